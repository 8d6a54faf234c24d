"""How much audio waits at the server: never less is claimed than there is."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import events as e
from realtime_sync._unset import UNSET
from realtime_sync.state.input_buffer import InputBuffer

NOTHING: Any = None
COMMIT = e.InputAudioBufferCommit()
CLEAR = e.InputAudioBufferClear()
COMMITTED = e.InputAudioBufferCommitted(item_id="s")


def configured(detection: Any, audio_format: Any = None) -> e.SessionUpdated:
    audio_format = audio_format or e.AudioPcm(rate=24_000)
    audio = e.AudioConfig(input=e.AudioInput(turn_detection=detection, format=audio_format))
    return e.SessionUpdated(session=e.RealtimeSessionConfig(audio=audio))


def test_a_commit_empties_the_buffer_once_it_is_confirmed() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(9600)
    buffer.sent(COMMIT)
    buffer.appended(480)
    assert buffer.ms is None
    buffer.apply(COMMITTED)
    assert buffer.ms == 10
    buffer.sent(CLEAR)
    assert buffer.ms == 0
    buffer.sent(e.ResponseCreate())
    buffer.apply(e.UnknownEvent(type="x"))
    buffer.apply(COMMITTED)
    assert buffer.ms == 0


def test_turn_detection_makes_the_length_unknown() -> None:
    buffer = InputBuffer()
    buffer.apply(e.SessionCreated(session=configured(e.ServerVad()).session))
    assert buffer.ms is None
    buffer.apply(configured(None))
    assert buffer.ms == 0
    buffer.apply(configured(e.ServerVad()))
    buffer.appended(480)
    buffer.apply(configured(None))
    assert buffer.ms is None
    buffer.sent(CLEAR)
    assert buffer.ms == 0


@pytest.mark.parametrize(
    "config",
    [
        e.RealtimeSessionConfig(),
        e.RealtimeSessionConfig(audio=e.AudioConfig()),
        configured(UNSET).session,
        configured(None, e.AudioPcm()).session,
        e.FlatSessionConfig(turn_detection=None, input_audio_format="pcm16"),
        e.UnknownObject(type="x"),
        NOTHING,
    ],
    ids=str,
)
def test_a_configuration_that_does_not_tell_enough(config: Any) -> None:
    buffer = InputBuffer()
    buffer.apply(e.SessionUpdated(session=config))
    assert buffer.ms is None


def test_g711_is_known_in_either_dialect() -> None:
    flat = e.SessionUpdated(session=e.FlatSessionConfig(turn_detection=None, input_audio_format="g711_ulaw"))
    for told in (flat, configured(None, e.AudioPcma())):
        buffer = InputBuffer()
        buffer.apply(told)
        buffer.appended(80)
        assert buffer.ms == 10


def test_another_format_in_mid_buffer_makes_the_length_unknown() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(80)
    buffer.apply(configured(None))
    assert buffer.ms is not None
    buffer.apply(configured(None, e.AudioPcma()))
    assert buffer.ms is None


PCM, ULAW = e.AudioPcm(rate=24_000), e.AudioPcmu()


def asked(audio_format: Any) -> e.SessionUpdate:
    return e.SessionUpdate(session=configured(UNSET, audio_format).session)


def test_a_format_that_is_asked_for_makes_the_length_unknown_until_the_server_has_taken_it() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None, PCM))
    buffer.sent(asked(ULAW))
    buffer.appended(1600)  # 200 ms, if the server takes it
    assert buffer.ms is None
    buffer.apply(configured(None, ULAW))
    assert buffer.ms is None, "it came before the new format was known"
    buffer.sent(CLEAR)
    buffer.appended(1600)
    assert buffer.ms == 200
    buffer.sent(e.SessionUpdate(session=e.RealtimeSessionConfig(instructions="be brief")))
    assert buffer.ms == 200, "that changes no format"


def test_what_was_not_sent_makes_the_length_unknown_until_the_next_clear() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(480)
    buffer.sent(COMMIT)
    buffer.lose_count()
    buffer.appended(480)
    assert buffer.ms is None
    buffer.sent(CLEAR)
    assert buffer.ms == 0


def test_a_clear_makes_the_commits_before_it_meaningless() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(9600)
    buffer.sent(COMMIT)
    buffer.sent(CLEAR)
    assert buffer.ms == 0
    buffer.appended(9600)
    buffer.sent(COMMIT)
    buffer.apply(COMMITTED)  # of the commit before the clear
    buffer.appended(480)
    assert buffer.ms is None, "the second commit is not confirmed yet"
    buffer.apply(COMMITTED)
    assert buffer.ms == 10


def test_a_commit_under_turn_detection_tells_nothing() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(e.ServerVad()))
    buffer.appended(9600)
    buffer.sent(COMMIT)  # refused: the server has just committed most of it by itself
    buffer.apply(COMMITTED)
    buffer.apply(configured(None))
    assert buffer.ms is None


def test_another_rate_is_another_format() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None, e.AudioPcm(rate=16_000)))
    buffer.sent(asked(e.AudioPcm()))
    assert buffer.ms == 0, "no other one"
    buffer.sent(asked(PCM))
    buffer.appended(4800)
    assert buffer.ms is None


def test_turn_detection_that_is_switched_on_under_a_commit_makes_the_length_unknown() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(9600)
    buffer.sent(COMMIT)
    buffer.apply(configured(e.ServerVad()))
    buffer.apply(COMMITTED)  # by the server, perhaps: then ours was refused
    buffer.apply(configured(None))
    assert buffer.ms is None


class Server:
    """A model of a server's input buffer. It acts on a message at once; what it says is delivered later."""

    def __init__(self, detecting: bool) -> None:
        self.detecting = detecting
        self.format: Any = PCM
        self.held: list[tuple[int, int]] = []  # bytes, and how many of them are a millisecond
        self.under_way: list[e.ServerEvent] = []
        self.say_configuration()

    @property
    def ms(self) -> float:
        return sum(size_bytes / rate for size_bytes, rate in self.held)

    def say_configuration(self) -> None:
        self.under_way.append(configured(e.ServerVad() if self.detecting else None, self.format))

    def append(self, size_bytes: int) -> None:
        self.held.append((size_bytes, 48 if self.format is PCM else 8))

    def commit(self, *, silently: bool = False) -> None:
        if self.ms < 100:
            return  # an error, which is not for the buffer
        self.held.clear()
        if not silently:
            self.under_way.append(COMMITTED)

    def hear(self, size_bytes: int) -> None:
        """Detect a turn: what was appended so far, but for the last bytes."""
        if self.detecting:
            self.held = [(min(size_bytes, self.held[-1][0]), self.held[-1][1])] if self.held else []
            self.under_way.append(COMMITTED)


STEPS = [
    *("append", "append", "append base64", "append fails"),
    *("commit", "commit", "commit unanswered", "commit fails"),
    *("clear", "clear", "clear fails"),
    *("detect", "manual", "pcm", "ulaw", "another format is refused", "hear"),
    *("deliver", "deliver", "deliver", "deliver all"),
]


@examples(600)
@given(st.booleans(), st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9600)), max_size=30))
def test_the_length_is_unknown_or_exact_and_never_less_than_what_the_server_holds(
    detecting: bool, steps: list[tuple[str, int]]
) -> None:
    buffer, server = InputBuffer(), Server(detecting)
    for step, size_bytes in steps:
        if step == "append":
            server.append(size_bytes)
            buffer.appended(size_bytes)
        elif step == "append base64":
            server.append(size_bytes)
            buffer.sent(e.InputAudioBufferAppend(audio=base64.b64encode(bytes(size_bytes)).decode()))
        elif step == "append fails":
            buffer.sent(e.InputAudioBufferAppend(audio="AAAA"))
            buffer.lose_count()
        elif step.startswith("commit"):
            buffer.sent(COMMIT)
            if step == "commit fails":
                buffer.lose_count()
            else:
                server.commit(silently=step == "commit unanswered")
        elif step.startswith("clear"):
            buffer.sent(CLEAR)
            if step == "clear fails":
                buffer.lose_count()
            else:
                server.held.clear()
        elif step in ("detect", "manual"):
            server.detecting = step == "detect"
            server.say_configuration()
        elif step in ("pcm", "ulaw"):
            server.format = PCM if step == "pcm" else ULAW
            buffer.sent(asked(server.format))
            server.say_configuration()
        elif step == "another format is refused":
            if not server.under_way:  # with a switch under way, one that succeeds cannot be told from this one
                buffer.sent(asked(ULAW if server.format is PCM else PCM))
        elif step == "hear":
            server.hear(size_bytes)
        elif step == "deliver":
            if server.under_way:
                buffer.apply(server.under_way.pop(0))
        else:
            while server.under_way:
                buffer.apply(server.under_way.pop(0))
        claimed = buffer.ms
        if claimed is not None:
            assert claimed >= server.ms - 0.001, (step, claimed, server.ms)
            if not any(isinstance(event, e.SessionUpdated) for event in server.under_way):
                assert claimed == pytest.approx(server.ms), (step, claimed, server.ms)


def test_the_length_is_known_where_all_goes_well() -> None:
    """The law alone would let a buffer pass that never knows anything."""
    buffer, server = InputBuffer(), Server(detecting=False)
    for _ in range(3):
        while server.under_way:
            buffer.apply(server.under_way.pop(0))
        for size_bytes in (4800, 960):
            server.append(size_bytes)
            buffer.appended(size_bytes)
        assert buffer.ms == 120
        server.commit()
        buffer.sent(COMMIT)
