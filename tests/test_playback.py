"""What was heard, and what an interruption makes of it; the test plays the server and the player."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, error, response_created, response_done
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import ConfigurationError
from realtime_sync.errors import ConnectionClosed
from realtime_sync.events import ResponseDone, ResponseOutputAudioDelta, ResponseOutputAudioDone
from realtime_sync.playback import AudioChunk, BargeIn, HeardPart, Interruption, PlaybackTracker
from realtime_sync.state.facts import Sound

WAIT_S = 20.0
MS = 48
"""Bytes of a millisecond of 24 kHz PCM."""


class Rig:
    """A session with a tracker; `say` plays the server and returns when all is dispatched."""

    def __init__(self, fake: FakeSession) -> None:
        self.fake = fake
        self.session = fake.session
        self.tracker = PlaybackTracker()
        self.tracker.attach(fake.session)
        self.interruptions: list[Interruption] = []
        self.markers = 0

    def barge_in(self, **options: Any) -> BargeIn:
        return BargeIn(self.session, self.tracker, on_interrupt=self.interruptions.append, **options)

    def say(self, *events: dict[str, Any]) -> None:
        self.markers += 1
        name = f"test.{self.markers}"
        self.fake.wire.say(*events, {"type": name})
        self.session.wait_for(name, timeout=WAIT_S)

    def configure(self, **config: Any) -> None:
        self.say({"type": "session.updated", "session": {"type": "realtime", **config}})

    def play(self, ms: float, size: int = MS) -> None:
        """The player takes all there is and plays so much of it."""
        while self.tracker.take() is not None:
            pass
        self.tracker.played(int(ms * size))

    @property
    def sent(self) -> list[tuple[Any, ...]]:
        """What went out, in short."""
        return [short(text) for text in list(self.fake.wire.texts)]


def short(text: dict[str, Any]) -> tuple[Any, ...]:
    kind = text["type"].split(".")[-1]
    fields = ("item_id", "content_index", "audio_end_ms", "response_id")
    return (kind, *(text[name] for name in fields if name in text))


def delta(audio: bytes | str, item: str = "i1", response: str | None = "r1", index: int = 0) -> dict[str, Any]:
    return {
        "type": "response.output_audio.delta",
        "response_id": response,
        "item_id": item,
        "output_index": 0,
        "content_index": index,
        "delta": audio if isinstance(audio, str) else base64.b64encode(audio).decode(),
    }


def speech(ms: float, item: str = "i1", response: str | None = "r1", index: int = 0, size: int = MS) -> dict[str, Any]:
    return delta(bytes(int(ms * size)), item, response, index)


def audio_done(item: str = "i1", response: str = "r1", index: int = 0) -> dict[str, Any]:
    return {**delta("", item, response, index), "type": "response.output_audio.done"}


STARTED = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"}


@pytest.fixture
def rig() -> Iterator[Rig]:
    with FakeSession() as fake:
        yield Rig(fake)


def heard(tracker: PlaybackTracker) -> list[tuple[str, int, int, int]]:
    return [(part.item_id, part.content_index, part.played_ms, part.received_ms) for part in tracker.parts]


# The tracker


def test_chunks_come_out_in_order_and_know_where_they_belong(rig: Rig) -> None:
    rig.say(delta(b"aa"), delta(b"bb", index=1), delta(b"cc", "i2"))
    chunks = [rig.tracker.take(), rig.tracker.take(), rig.tracker.take()]
    assert [(c.audio, c.response_id, c.item_id, c.content_index) for c in chunks if c is not None] == [
        (b"aa", "r1", "i1", 0),
        (b"bb", "r1", "i1", 1),
        (b"cc", "r1", "i2", 0),
    ]
    assert rig.tracker.take() is None
    assert repr(chunks[0]) == "AudioChunk(audio=<2 bytes>, response_id='r1', item_id='i1', content_index=0)"


def test_chunks_can_be_cut_to_what_a_device_takes(rig: Rig) -> None:
    rig.say(delta(b"aabbc"))
    assert [c.audio for c in iter(lambda: rig.tracker.take(max_bytes=2), None) if c is not None] == [b"aa", b"bb", b"c"]


def test_played_bytes_count_in_the_order_in_which_they_were_handed_out(rig: Rig) -> None:
    rig.say(speech(100), speech(50), speech(30, index=1), speech(70, "i2"))
    assert heard(rig.tracker) == [("i1", 0, 0, 150), ("i1", 1, 0, 30), ("i2", 0, 0, 70)]
    rig.tracker.played(10 * MS)  # nothing was handed out yet
    assert heard(rig.tracker)[0] == ("i1", 0, 0, 150)
    rig.play(120)
    rig.tracker.played(10 * MS)
    assert heard(rig.tracker)[0] == ("i1", 0, 130, 150)
    rig.tracker.played(35 * MS)
    assert heard(rig.tracker)[:2] == [("i1", 0, 150, 150), ("i1", 1, 15, 30)]
    rig.tracker.played(10**6)
    assert heard(rig.tracker)[2] == ("i2", 0, 70, 70)
    rig.tracker.played(-1000)
    assert heard(rig.tracker)[2] == ("i2", 0, 70, 70)


def test_played_milliseconds_count_as_well(rig: Rig) -> None:
    rig.say(speech(100), speech(70, "i2"))
    rig.play(0)
    for _ in range(300):
        rig.tracker.played_ms(0.4)
    assert heard(rig.tracker) == [("i1", 0, 100, 100), ("i2", 0, 20, 70)]


def test_played_chunks_count_for_their_own_part(rig: Rig) -> None:
    rig.say(speech(100), speech(70, "i2"))
    first, second = rig.tracker.take(), rig.tracker.take()
    assert first is not None
    assert second is not None
    rig.tracker.played(second)
    assert heard(rig.tracker) == [("i1", 0, 0, 100), ("i2", 0, 70, 70)]
    rig.tracker.flush()
    assert first.flushed
    rig.say(response_done("r1"), speech(10, "i3", "r2"))
    third = rig.tracker.take()
    assert third is not None
    assert not third.flushed
    rig.tracker.played(first)
    assert heard(rig.tracker) == [("i3", 0, 0, 10)]


FORMATS: list[tuple[dict[str, Any], int]] = [
    ({}, 48),
    ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}}, 48),
    ({"audio": {"output": {"format": {"type": "audio/pcm"}}}}, 48),
    ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}}, 32),
    ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, 8),
    ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, 8),
    ({"audio": {"output": {"format": {"type": "audio/opus"}}}}, 48),
]
FLAT_FORMATS: list[tuple[dict[str, Any], int]] = [
    ({"output_audio_format": "g711_ulaw"}, 8),
    ({"output_audio_format": "g711_alaw"}, 8),
    ({"output_audio_format": "pcm16"}, 48),
]


@pytest.mark.parametrize(
    ("where", "config", "bytes_per_ms"),
    [
        *(("session", {"type": "realtime", **config}, size) for config, size in FORMATS),
        *(("session", config, size) for config, size in FLAT_FORMATS),
        *(("response", config, size) for config, size in FORMATS),
    ],
)
def test_every_format_has_its_size(rig: Rig, where: str, config: dict[str, Any], bytes_per_ms: int) -> None:
    if where == "session":
        rig.say({"type": "session.updated", "session": config})
    else:
        created = response_created("r1")
        rig.say({**created, "response": {**created["response"], **config}})
    rig.say(speech(100, size=bytes_per_ms))
    rig.play(25.5, bytes_per_ms)
    assert heard(rig.tracker) == [("i1", 0, 25, 100)]
    if where == "response":
        rig.say(response_done("r1"))
        rig.say(speech(100, "i2", "r2"))
        assert heard(rig.tracker)[-1] == ("i2", 0, 0, 100), "the next one has the format of the session"


def test_what_is_over_is_forgotten_when_the_next_item_begins(rig: Rig) -> None:
    rig.say(speech(10), audio_done(), speech(10, "i2", index=0), audio_done("i2"), speech(10, "i2", index=1))
    rig.play(20)
    rig.say(speech(5, "i3"))
    # Of i2 a part is missing: what was heard of the other still matters.
    assert heard(rig.tracker) == [("i2", 0, 10, 10), ("i2", 1, 0, 10), ("i3", 0, 0, 5)]
    assert [part.over for part in rig.tracker.parts] == [True, False, False]


def test_bad_and_empty_audio_is_left_out(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.say(delta("abc"), delta(""), {**delta(b"ab"), "item_id": None, "content_index": None})
    assert "an audio delta is left out" in caplog.text
    assert heard(rig.tracker) == [("", 0, 0, 0)]


def test_a_flush_ends_what_plays_and_what_still_comes_of_it(rig: Rig) -> None:
    rig.say(speech(100), speech(50, "i0", "r0"), audio_done("i0", "r0"))
    rig.play(30)
    rig.say(speech(10))
    assert rig.tracker.flush() == [
        HeardPart("r1", "i1", 0, 30, 110, False, False),
        HeardPart("r0", "i0", 0, 0, 50, True, False),
    ]
    rig.say(speech(10), speech(10, "i9", "r2"))
    chunk = rig.tracker.take()
    assert chunk is not None
    assert chunk.item_id == "i9"
    assert rig.tracker.take() is None
    assert heard(rig.tracker) == [("i9", 0, 0, 10)]
    rig.say(response_done("r1"))
    assert rig.tracker.flush()[0].item_id == "i9"
    assert rig.tracker.flush() == []


def test_a_server_without_response_ids(rig: Rig) -> None:
    rig.say(speech(100, response=None))
    assert [part.complete for part in rig.tracker.flush()] == [False]
    rig.say(speech(100, response=None))
    assert rig.tracker.take() is None
    rig.say(response_done("r1"), speech(100, "i2", response=None), response_done("r2"))
    assert rig.tracker.take() is not None
    assert [part.complete for part in rig.tracker.parts] == [True]
    rig.say(speech(100, "i3", "r3"), {"type": "response.done"})
    assert [part.complete for part in rig.tracker.parts] == [True, True]


def test_the_player_can_be_called() -> None:
    with FakeSession() as fake:
        chunks: list[AudioChunk] = []
        events: list[str] = []
        tracker = PlaybackTracker(
            on_chunk=chunks.append, on_flush=lambda: (tracker.played(10 * MS), events.append("f"))
        )
        tracker.attach(fake.session)
        fake.wire.say(speech(100), {"type": "test.end"})
        fake.session.wait_for("test.end", timeout=WAIT_S)
        assert [len(chunk.audio) for chunk in chunks] == [100 * MS]
        assert tracker.take() is None
        tracker.played_ms(20)
        assert [part.played_ms for part in tracker.flush()] == [30]  # the last report counts
        assert events == ["f"]


def test_a_player_that_cannot_be_flushed_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    tracker = PlaybackTracker(on_flush=lambda: 1 / 0)
    assert tracker.flush() == []
    assert "the player could not be flushed" in caplog.text


def test_two_flushes_at_once_share_the_parts(rig: Rig) -> None:
    again: list[Any] = []
    rig.tracker._on_flush = lambda: again.append(None) or (len(again) == 1 and again.append(rig.tracker.flush()))
    rig.say(speech(100))
    assert rig.tracker.flush() == []
    assert [part.item_id for part in again[1] or again[2]] == ["i1"]


def test_a_waiting_player_gets_the_chunk_when_it_comes(rig: Rig) -> None:
    taken: list[Any] = []
    player = threading.Thread(target=lambda: taken.append(rig.tracker.take(WAIT_S)))
    player.start()
    rig.say(speech(10))
    player.join(WAIT_S)
    assert [chunk.item_id for chunk in taken] == ["i1"]
    assert rig.tracker.take(0.001) is None


def test_a_player_iterates_until_the_tracker_is_closed(rig: Rig) -> None:
    chunks: list[AudioChunk] = []
    first = threading.Event()

    def play() -> None:
        for chunk in rig.tracker:
            chunks.append(chunk)
            first.set()

    player = threading.Thread(target=play)
    player.start()
    rig.say(speech(10))
    assert first.wait(WAIT_S)
    rig.tracker.close()
    player.join(WAIT_S)
    rig.say(speech(10))
    assert len(chunks) == 1
    assert rig.tracker.take(None) is None


def test_a_player_ends_with_the_session(rig: Rig) -> None:
    player = threading.Thread(target=lambda: list(rig.tracker))
    player.start()
    rig.session.close()
    player.join(WAIT_S)
    assert not player.is_alive()


def test_a_tracker_follows_one_session(rig: Rig) -> None:
    with pytest.raises(ConfigurationError):
        rig.tracker.attach(rig.session)
    PlaybackTracker().close()


rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])


@given(
    rates,
    st.lists(st.integers(1, 5_000), min_size=1, max_size=6),
    st.lists(st.one_of(st.integers(0, 4_000), st.floats(0, 60.0)), max_size=12),
    st.integers(0, 6),
)
def test_what_was_heard_is_never_more_than_what_came(
    rate: int, deltas: list[int], reports: list[int | float], taken: int
) -> None:
    """Whatever a player reports: 0 <= played <= handed out <= received, in bytes and in rounded milliseconds, and the
    reports add up."""
    tracker = PlaybackTracker()
    tracker._sounds["r"] = Sound("pcm", rate)
    for number, size in enumerate(deltas):
        item = f"i{number // 2}"
        tracker._receive(
            ResponseOutputAudioDelta(
                response_id="r",
                item_id=item,
                output_index=0,
                content_index=0,
                delta=base64.b64encode(bytes(size)).decode(),
            )
        )
    handed = sum(len(chunk.audio) for _ in range(taken) if (chunk := tracker.take()) is not None)
    told = 0.0
    for report in reports:
        if isinstance(report, int):
            tracker.played(report)
            told += report
        else:
            tracker.played_ms(report)
            told += report * 2 * rate / 1000
    played = [part.played for part in tracker._parts]
    assert abs(float(sum(played)) - min(told, handed)) < 1e-3
    for part, shown in zip(tracker._parts, tracker.parts, strict=True):
        assert 0 <= part.played <= part.taken <= part.received
        assert 0 <= shown.played_ms <= shown.received_ms
        assert shown.played_ms * 2 * rate <= part.played * 1000
        assert shown.received_ms * 2 * rate <= part.received * 1000
    received = {part.item_id: part.received_ms for part in tracker.parts}
    assert all(part.played_ms <= received[part.item_id] for part in tracker.flush())


@given(st.data())
def test_each_part_is_counted_apart_in_any_interleaving(data: st.DataObject) -> None:
    """A player that reports whole chunks, in any order of deltas, takes, reports and ends: the same sums as a plain
    count."""
    tracker = PlaybackTracker()
    count: dict[str, list[int]] = {}
    pending: list[AudioChunk] = []
    done: set[str] = set()
    for _ in range(data.draw(st.integers(0, 30))):
        step = data.draw(st.sampled_from(["delta", "take", "report", "done", "end"]))
        item = data.draw(st.sampled_from(["a", "b", "c"]))
        place: Any = {"response_id": f"r{item}", "item_id": item, "output_index": 0, "content_index": 0}
        if step == "delta" and item not in done:
            size = data.draw(st.integers(1, 500))
            tracker._receive(ResponseOutputAudioDelta(**place, delta=base64.b64encode(bytes(size)).decode()))
            count.setdefault(item, [0, 0])[0] += size
        elif step == "take" and (chunk := tracker.take(max_bytes=data.draw(st.integers(1, 300)))) is not None:
            pending.append(chunk)
        elif step == "report" and pending:
            chunk = pending.pop(0)
            tracker.played(chunk)
            count[chunk.item_id][1] += len(chunk.audio)
        elif step == "done" and item in count and item not in done:
            done.add(item)
            tracker._audio_done(ResponseOutputAudioDone(**place))
        elif step == "end":
            done.update(count)  # nothing comes of a response after its end
            tracker._response_done(ResponseDone(response=None))  # type: ignore[arg-type]
    for part in tracker._parts:
        assert [part.received, part.played] == count[part.item_id]
    forgotten = count.keys() - {part.item_id for part in tracker._parts}
    assert all(count[item][0] == count[item][1] for item in forgotten)


# The interruption


def test_speech_cuts_what_plays_at_what_was_heard(rig: Rig) -> None:
    rig.barge_in()
    rig.say(response_created("r1"), speech(100))
    rig.play(40.9)
    rig.say(STARTED)
    assert rig.sent == [("truncate", "i1", 0, 40)]
    (interruption,) = rig.interruptions
    assert interruption.response_ids == ["r1"]
    (cut,) = interruption.cuts
    assert (cut.action, cut.part) == ("truncated", HeardPart("r1", "i1", 0, 40, 100, False, False))
    assert cut.ack is not None
    assert cut.ack.event_id == rig.fake.wire.texts[0]["event_id"]
    rig.say(speech(100), response_done("r1", "cancelled"))  # late
    assert rig.tracker.take() is None
    assert rig.tracker.parts == []


def test_an_item_of_which_nothing_was_heard_is_deleted(rig: Rig) -> None:
    rig.barge_in()
    rig.say(response_created("r1"), speech(100), speech(10, index=1))
    rig.play(0.9)
    rig.say(STARTED)
    assert rig.sent == [("delete", "i1")]
    assert [cut.action for cut in rig.interruptions[0].cuts] == ["deleted", "deleted"]


def test_nothing_is_cut_when_all_was_heard(rig: Rig) -> None:
    rig.barge_in()
    rig.say(response_created("r1"), speech(100), audio_done(), response_done("r1"))
    rig.play(100)
    rig.say(STARTED)
    assert rig.sent == []
    assert [cut.action for cut in rig.interruptions[0].cuts] == ["kept"]
    rig.say(STARTED)
    assert len(rig.interruptions) == 1  # the second time there was nothing to interrupt


def test_audio_that_was_heard_so_far_is_cut_while_more_could_come(rig: Rig) -> None:
    rig.barge_in()
    rig.say(response_created("r1"), speech(100))
    rig.play(100)
    rig.say(STARTED)
    assert rig.sent == [("truncate", "i1", 0, 100)]


def test_several_items_and_parts_are_each_cut_right(rig: Rig) -> None:
    rig.barge_in()
    rig.say(response_created("r1"))
    rig.say(speech(100, "a"), audio_done("a"), speech(50, "b"), audio_done("b"), speech(50, "b", index=1))
    rig.say(audio_done("b", index=1), speech(70, "c"), audio_done("c"), speech(70, "d"), response_done("r1"))
    rig.play(160)
    rig.say(STARTED)
    assert rig.sent == [("truncate", "b", 1, 10), ("delete", "c"), ("delete", "d")]
    actions = [(cut.part.item_id, cut.part.content_index, cut.action) for cut in rig.interruptions[0].cuts]
    assert actions == [
        ("a", 0, "kept"),
        ("b", 0, "kept"),
        ("b", 1, "truncated"),
        ("c", 0, "deleted"),
        ("d", 0, "deleted"),
    ]
    assert rig.interruptions[0].response_ids == []


def test_a_part_of_which_nothing_was_heard_is_cut_at_zero_when_its_item_stays(rig: Rig) -> None:
    rig.barge_in()
    rig.say(speech(50, "b"), audio_done("b"), speech(50, "b", index=1), response_done("r1"))
    rig.play(50)
    rig.say(STARTED)
    assert rig.sent == [("truncate", "b", 1, 0)]


@pytest.mark.parametrize(
    ("config", "cancels"),
    [
        ({}, False),
        ({"audio": {"input": {}}}, False),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}, False),
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "interrupt_response": True}}}}, False),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}}, True),
        ({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "interrupt_response": False}}}}, True),
        ({"audio": {"input": {"turn_detection": {"type": "other", "interrupt_response": False}}}}, True),
        ({"audio": {"input": {"turn_detection": {"type": "other"}}}}, False),
        ({"audio": {"input": {"turn_detection": None}}}, True),
        ({"type": None, "turn_detection": None}, True),
        ({"type": None, "voice": "x"}, False),
    ],
)
def test_the_response_is_cancelled_where_the_server_does_not(rig: Rig, config: dict[str, Any], cancels: bool) -> None:
    rig.barge_in()
    session = {name: value for name, value in {"type": "realtime", **config}.items() if name != "type" or value}
    rig.say({"type": "session.updated", "session": session}, response_created("r1"), speech(100), STARTED)
    assert rig.sent == [*([("cancel", "r1")] if cancels else []), ("delete", "i1")]


@pytest.mark.parametrize("interrupts", [True, False])
def test_one_can_say_what_the_server_does(rig: Rig, interrupts: bool) -> None:
    rig.barge_in(server_interrupts=interrupts)
    rig.say(response_created("r1"), STARTED)
    assert rig.sent == ([] if interrupts else [("cancel", "r1")])


def test_interrupt_cancels_whatever_speaks(rig: Rig) -> None:
    barge_in = rig.barge_in()
    silent = response_created("side")
    silent["response"]["output_modalities"] = ["text"]
    spoken = response_created("r1")
    spoken["response"]["output_modalities"] = ["audio"]
    rig.say(silent, spoken, speech(100), speech(100, "i2", "unannounced"))
    rig.play(150)
    interruption = barge_in.interrupt()
    assert interruption.response_ids == ["r1", "unannounced"]
    assert rig.sent == [
        ("cancel", "r1"),
        ("cancel", "unannounced"),
        ("truncate", "i1", 0, 100),
        ("truncate", "i2", 0, 50),
    ]
    assert rig.interruptions == [interruption]
    assert not barge_in.interrupt()
    assert len(rig.sent) == 4


def test_a_response_that_has_not_spoken_yet_is_interrupted_too(rig: Rig) -> None:
    barge_in = rig.barge_in()
    rig.say(response_created("r1"))
    assert barge_in.interrupt().response_ids == ["r1"]
    assert rig.sent == [("cancel", "r1")]
    rig.say(speech(100), response_done("r1", "cancelled"))
    assert rig.tracker.take() is None


def test_a_response_that_has_ended_is_not_cancelled(rig: Rig) -> None:
    barge_in = rig.barge_in()
    rig.say(response_created("r1"), speech(100), response_done("r1"))
    rig.play(30)
    assert barge_in.interrupt().response_ids == []
    assert rig.sent == [("truncate", "i1", 0, 30)]


def test_what_the_server_refuses_is_no_error(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    barge_in = rig.barge_in()
    rig.say(response_created("r1"), speech(100))
    rig.play(30)
    interruption = barge_in.interrupt()
    rig.interruptions.clear()
    for text in list(rig.fake.wire.texts):
        rig.say(error(text["event_id"], "item_truncate_invalid_item_id"))
    (cut,) = interruption.cuts
    assert cut.ack is not None
    assert cut.ack.exception() is not None
    del interruption, cut
    assert caplog.text == ""


def test_a_lost_connection_is_no_error(rig: Rig) -> None:
    barge_in = rig.barge_in()
    rig.say(response_created("r1"), speech(100))
    rig.play(30)
    rig.fake.wire.send_fault = ConnectionClosed("gone")
    interruption = barge_in.interrupt()
    assert [(cut.action, cut.ack) for cut in interruption.cuts] == [("truncated", None)]


def test_a_hook_that_fails_is_reported(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    BargeIn(rig.session, rig.tracker, on_interrupt=lambda interruption: 1 / 0)
    rig.say(speech(100), STARTED)
    assert rig.sent == [("delete", "i1")]
    assert "on_interrupt failed" in caplog.text


def test_no_hook_is_needed(rig: Rig) -> None:
    BargeIn(rig.session, rig.tracker)
    rig.say(speech(100), STARTED)
    assert rig.sent == [("delete", "i1")]


def test_after_close_the_user_cannot_interrupt(rig: Rig) -> None:
    barge_in = rig.barge_in()
    barge_in.close()
    rig.say(response_created("r1"), speech(100), STARTED, response_done("r1"))
    assert rig.sent == []


def test_a_player_thread_and_interruptions_never_disagree(rig: Rig) -> None:
    """A player that plays as fast as it can while speech comes and interruptions cut it: every truncation lies within
    what was received, and no item is cut twice."""
    barge_in = rig.barge_in()

    def play() -> None:
        for chunk in rig.tracker:
            rig.tracker.played(chunk)

    player = threading.Thread(target=play)
    player.start()
    for number in range(40):
        response = f"r{number}"
        rig.say(response_created(response), *(speech(20, f"i{number}", response) for _ in range(5)))
        barge_in.interrupt() if number % 2 else rig.say(STARTED)
        rig.say(speech(20, f"i{number}", response), response_done(response, "cancelled"))
    rig.tracker.close()
    player.join(WAIT_S)
    cut = [entry for entry in rig.sent if entry[0] in ("truncate", "delete")]
    assert len({entry[1] for entry in cut}) == len(cut) == 40
    assert all(entry[0] == "delete" or 0 < entry[3] <= 100 for entry in cut)


# Reading for a sound card


def test_a_read_fills_exactly_and_counts_by_itself(rig: Rig) -> None:
    rig.say(delta(b"\1" * 10), delta(b"\2" * 10, index=1), audio_done())
    assert rig.tracker.read(4) == b"\1" * 4
    assert rig.tracker.read(12) == b"\1" * 6 + b"\2" * 6
    assert rig.tracker.read(8) == b"\2" * 4 + bytes(4)
    assert rig.tracker.read(2) == bytes(2)
    assert rig.tracker.read(0) == b""
    assert [part.over for part in rig.tracker.parts] == [True, False]
    rig.say(speech(100, "i2"))
    rig.tracker.read(40 * MS)
    assert heard(rig.tracker)[-1] == ("i2", 0, 40, 100)
    rig.tracker.played(10 * MS)  # nothing is left to be reported
    assert heard(rig.tracker)[-1] == ("i2", 0, 40, 100)


@pytest.mark.parametrize(
    ("kind", "silence"), [("audio/pcm", b"\0"), ("audio/pcmu", b"\xff"), ("audio/pcma", b"\xd5"), ("audio/new", b"\0")]
)
def test_silence_is_that_of_the_output(rig: Rig, kind: str, silence: bytes) -> None:
    rig.configure(audio={"output": {"format": {"type": kind}}})
    assert rig.tracker.read(6) == silence * 6
    rig.say(delta(b"ab"))
    assert rig.tracker.read(6) == b"ab" + silence * 4


def test_the_silence_of_a_response_with_a_format_of_its_own(rig: Rig) -> None:
    own = {"id": "r1", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    rig.say({"type": "response.created", "response": own}, delta(b"abc"))
    assert rig.tracker.read(5) == b"abc\xff\xff"
    assert rig.tracker.read(1) == b"\xff"


def test_half_a_sample_waits_for_its_other_half(rig: Rig) -> None:
    rig.say(delta(b"abc"))
    assert rig.tracker.read(8) == b"ab" + bytes(6)
    assert rig.tracker.read(8) == bytes(8)
    rig.say(delta(b"def"))
    assert rig.tracker.read(8) == b"cdef" + bytes(4)


@pytest.mark.parametrize("together", [True, False])
def test_half_a_sample_at_the_end_of_a_part_does_not_shift_the_next(rig: Rig, together: bool) -> None:
    rig.say(delta(b"\1\2\3", "i1"))
    first = b"" if together else rig.tracker.read(2)
    rig.say(delta(bytes(range(0xA1, 0xA7)), "i2"))
    assert first + rig.tracker.read(8 - len(first)) == b"\1\2" + bytes(range(0xA1, 0xA7))
    assert rig.tracker.read(2) == bytes(2)
    assert heard(rig.tracker) == [("i1", 0, 0, 0), ("i2", 0, 0, 0)]


def test_half_a_sample_at_the_end_of_all_is_no_rest(rig: Rig) -> None:
    rig.say(delta(b"\1\2\3"), audio_done())
    assert rig.tracker.read(4) == b"\1\2\0\0"
    assert [part.over for part in rig.tracker.parts] == [True]


@pytest.mark.parametrize("size_bytes", [-2, 3])
def test_a_size_that_no_sound_card_asks_for(rig: Rig, size_bytes: int) -> None:
    with pytest.raises(ConfigurationError, match=r"no whole number of samples|whole number of bytes, from 0"):
        rig.tracker.read(size_bytes)


def test_a_read_before_and_after_the_session() -> None:
    tracker = PlaybackTracker()
    assert tracker.read(4) == bytes(4)
    with FakeSession() as fake:
        rig = Rig(fake)
        rig.say(delta(b"abcd"))
    assert rig.tracker.read(8) == b"abcd" + bytes(4)


def test_an_interruption_cuts_at_what_was_read(rig: Rig) -> None:
    rig.barge_in()
    rig.say(speech(300), audio_done())
    rig.tracker.read(120 * MS)
    rig.say(STARTED)
    assert rig.sent == [("truncate", "i1", 0, 120)]
    assert rig.tracker.read(4) == bytes(4)


@given(sizes=st.lists(st.integers(1, 50), max_size=8), reads=st.lists(st.integers(0, 30), max_size=10))
def test_however_it_is_read_the_same_bytes_come(sizes: list[int], reads: list[int]) -> None:
    tracker = PlaybackTracker()
    audio = bytes(number % 255 + 1 for number in range(sum(sizes)))
    place = 0
    for size in sizes:
        tracker._receive(
            ResponseOutputAudioDelta(
                response_id="r1",
                item_id="i1",
                output_index=0,
                content_index=0,
                delta=base64.b64encode(audio[place : place + size]).decode(),
            )
        )
        place += size
    read = b"".join(tracker.read(2 * half) for half in reads)
    assert len(read) == 2 * sum(reads)
    got = read.rstrip(b"\0")
    assert audio.startswith(got)
    assert len(got) == min(len(read), len(audio) // 2 * 2)
