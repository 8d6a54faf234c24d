"""Interruptions against the local server: what the conversation holds afterwards is what was heard."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync.events import (
    ConversationItemDeleted,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
)
from realtime_sync.local import Gate, LocalServer, Reply, Say, Turn, tone_speech
from realtime_sync.playback import BargeIn, Interruption, PlaybackTracker

WAIT_S = 20.0
MS = 48
"""Bytes of a millisecond of 24 kHz PCM."""

SPEECH = tone_speech("wait a moment")
SILENCE = bytes(1000 * MS)


def sound(ms: int, pitch: int = 1) -> bytes:
    """Audio of which every piece is another."""
    return b"".join((number * pitch % 30_000).to_bytes(2, "little") for number in range(ms * MS // 2))


class Stage:
    """A session with a tracker, a barge-in, and a record of what happened."""

    def __init__(self, server: LocalServer, session: rt.RealtimeSession) -> None:
        self.server = server
        self.session = session
        self.tracker = PlaybackTracker()
        self.tracker.attach(session)
        self.interruptions: list[Interruption] = []
        self.errors: list[ErrorEvent] = []
        self.barge_in = BargeIn(session, self.tracker, on_interrupt=self.interruptions.append)
        session.on(ErrorEvent, self.errors.append)

    def ask(self) -> None:
        """The user asks by text, and the model begins to answer."""
        self.session.send_text("Tell me!")
        self.session.create_response()
        self.session.wait_for(ResponseCreated, timeout=WAIT_S)

    def hear(self, ms: float, *, chunks: int, size: int = MS) -> None:
        """So many chunks arrive and go to the player, which plays so much of them."""
        for _ in range(chunks):
            while self.tracker.take() is None:
                self.session.wait_for(ResponseOutputAudioDelta, timeout=WAIT_S)
        self.tracker.played(int(ms * size))

    def speak(self) -> None:
        """The user begins to speak."""
        self.session.append_audio_bytes(SPEECH)
        self.session.wait_for(InputAudioBufferSpeechStarted, timeout=WAIT_S)

    def stored(self, item_id: str, index: int = 0) -> bytes:
        """The audio of an item as the server keeps it."""
        item: Any = self.session.retrieve_item(item_id).result(WAIT_S).item
        return base64.b64decode(item.content[index].audio)

    @property
    def sent(self) -> list[str]:
        """The corrections that the client sent."""
        kinds = ("conversation.item.truncate", "conversation.item.delete", "response.cancel")
        return [event["type"].split(".")[-1] for event in self.server.received if event["type"] in kinds]


@contextmanager
def talking(replies: Any, *, config: Any = None, checks: bool = False) -> Iterator[Stage]:
    """Without the client's own checks it is the server that refuses."""
    with LocalServer(replies) as server:
        with rt.connect("gpt-realtime", base_url=server.base_url, session=config, checks=checks) as session:
            yield Stage(server, session)
        assert server.failures == []


def test_the_conversation_keeps_what_was_heard() -> None:
    audio = sound(2000)
    seen: list[Any] = []

    def after(turn: Turn) -> str:
        seen.extend(item for item in turn.items if item.get("role") == "assistant")
        return "Yes?"

    gate = Gate("response.output_audio.delta", nth=4)
    spoken = Reply("one two three four", audio=audio, gates=[gate], late_deltas=3)
    with talking([spoken, after]) as stage:
        stage.ask()
        stage.hear(250.7, chunks=3)
        gate.wait_reached()
        stage.speak()
        done = stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        assert done.response.status == "cancelled"
        stage.session.wait_for(ConversationItemTruncated, timeout=WAIT_S)
        (interruption,) = stage.interruptions
        (cut,) = interruption.cuts
        assert (cut.action, cut.part.played_ms, cut.part.received_ms) == ("truncated", 250, 600)
        assert interruption.response_ids == [done.response.id]
        assert stage.stored(cut.part.item_id) == audio[: 250 * MS]
        assert stage.tracker.take() is None  # the late deltas
        assert stage.sent == ["truncate"]  # the server cancels by itself
        stage.session.append_audio_bytes(SILENCE)
        assert stage.session.wait_for(ResponseDone, timeout=WAIT_S).response.status == "completed"
        assert stage.tracker.take() is not None  # the answer is heard again
        assert seen[0]["content"] == [{"type": "output_audio", "transcript": None}]
        assert stage.errors == []


def test_what_nobody_heard_is_deleted() -> None:
    gate = Gate("response.output_audio.delta", nth=3)
    with talking([Reply("one two three", audio=sound(2000), gates=[gate])]) as stage:
        stage.ask()
        stage.hear(0, chunks=2)
        gate.wait_reached()
        stage.speak()
        stage.session.wait_for(ConversationItemDeleted, timeout=WAIT_S)
        (cut,) = stage.interruptions[0].cuts
        assert cut.action == "deleted"
        with pytest.raises(rt.ServerError):
            stage.stored(cut.part.item_id)
        assert stage.sent == ["delete"]


def test_what_was_heard_to_its_end_stays() -> None:
    audio = sound(400)
    with talking([Reply("one two", audio=audio)]) as stage:
        stage.ask()
        stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        stage.hear(400, chunks=2)
        stage.speak()
        (cut,) = stage.interruptions[0].cuts
        assert cut.action == "kept"
        assert stage.stored(cut.part.item_id) == audio
        assert stage.sent == []


def test_a_response_that_is_done_still_plays() -> None:
    """The server has sent all long ago; the user speaks while it sounds. There is nothing to cancel any more."""
    audio = sound(3000)
    with talking([Reply("one two", audio=audio)]) as stage:
        stage.ask()
        stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        stage.hear(1234, chunks=15)
        interruption = stage.barge_in.interrupt()
        stage.session.wait_for(ConversationItemTruncated, timeout=WAIT_S)
        assert interruption.response_ids == []
        assert stage.stored(interruption.cuts[0].part.item_id) == audio[: 1234 * MS]
        assert stage.sent == ["truncate"]


@pytest.mark.parametrize("how", ["speech", "call", "manual"])
def test_the_client_cancels_where_the_server_does_not(how: str) -> None:
    detection = None if how == "manual" else {"type": "server_vad", "interrupt_response": False}
    gate = Gate("response.output_audio.delta", nth=3)
    audio = sound(2000)
    config = {"audio": {"input": {"turn_detection": detection}}}
    with talking([Reply("one two three", audio=audio, gates=[gate], late_deltas=2)], config=config) as stage:
        stage.ask()
        stage.hear(333, chunks=2)
        gate.wait_reached()
        if how == "speech":
            stage.speak()
        else:
            stage.barge_in.interrupt()
        done = stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        assert done.response.status == "cancelled"
        assert done.response.status_details is not None
        assert done.response.status_details.reason == "client_cancelled"
        stage.session.wait_for(ConversationItemTruncated, timeout=WAIT_S)
        assert stage.stored(stage.interruptions[0].cuts[0].part.item_id) == audio[: 333 * MS]
        assert stage.tracker.take() is None
        assert stage.sent == ["cancel", "truncate"]
        assert stage.errors == []


def test_interrupting_twice_cancels_once() -> None:
    gate = Gate("response.output_audio.delta", nth=3)
    with talking([Reply("one two three", audio=sound(2000), gates=[gate])]) as stage:
        stage.ask()
        stage.hear(100, chunks=2)
        assert stage.barge_in.interrupt()
        assert not stage.barge_in.interrupt()
        stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        stage.session.wait_for(ConversationItemTruncated, timeout=WAIT_S)
        assert stage.sent == ["cancel", "truncate"]


def test_an_interruption_before_the_first_sound() -> None:
    gate = Gate("response.output_item.added")
    with talking([Reply("one", audio=sound(500), gates=[gate]), Reply("two", audio=sound(300))]) as stage:
        stage.ask()
        gate.wait_reached()
        stage.barge_in.interrupt()
        assert stage.session.wait_for(ResponseDone, timeout=WAIT_S).response.status == "cancelled"
        assert stage.interruptions[0].cuts == []
        stage.ask()
        stage.hear(300, chunks=2)
        assert [part.played_ms for part in stage.tracker.parts] == [300]


def test_several_items_of_one_response() -> None:
    sounds = [sound(400, 3), sound(400, 5), sound(400, 7), sound(400, 9)]
    reply = Reply(output=[Say(f"part {n}", audio) for n, audio in enumerate(sounds)])
    with talking([reply]) as stage:
        stage.ask()
        done = stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        items = [item.id for item in done.response.output]  # type: ignore[union-attr]
        stage.hear(400 + 150, chunks=8)
        stage.speak()
        stage.session.wait_for(ConversationItemDeleted, lambda event: event.item_id == items[3], WAIT_S)
        assert [cut.action for cut in stage.interruptions[0].cuts] == ["kept", "truncated", "deleted", "deleted"]
        assert stage.sent == ["truncate", "delete", "delete"]
        assert stage.stored(items[0]) == sounds[0]
        assert stage.stored(items[1]) == sounds[1][: 150 * MS]
        for item_id in items[2:]:
            with pytest.raises(rt.ServerError):
                stage.stored(item_id)


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
def test_telephone_audio(kind: str) -> None:
    config = {"audio": {"output": {"format": {"type": kind}}}}
    with talking([Reply("one two", audio=sound(1000))], config=config) as stage:
        stage.ask()
        stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        stage.hear(321, chunks=5, size=8)
        stage.speak()
        stage.session.wait_for(ConversationItemTruncated, timeout=WAIT_S)
        (cut,) = stage.interruptions[0].cuts
        assert (cut.part.played_ms, cut.part.received_ms) == (321, 1000)
        assert len(stage.stored(cut.part.item_id)) == 321 * 8
        assert stage.errors == []


@pytest.mark.parametrize("checks", [True, False])
def test_an_item_that_is_gone_is_no_error(checks: bool, caplog: pytest.LogCaptureFixture) -> None:
    with talking([Reply("one two", audio=sound(1000)), "More."], checks=checks) as stage:
        stage.ask()
        done = stage.session.wait_for(ResponseDone, timeout=WAIT_S)
        stage.hear(321, chunks=5)
        item_id = done.response.output[0].id  # type: ignore[union-attr]
        assert item_id is not None
        stage.session.delete_item(item_id).result(WAIT_S)
        interruption = stage.barge_in.interrupt()
        (cut,) = interruption.cuts
        assert (cut.ack is None) == checks
        if cut.ack is not None:
            with pytest.raises(rt.ServerError):
                cut.ack.result(WAIT_S)
        assert caplog.text == ""
        assert stage.session.ask("Go on!", config={"output_modalities": ["text"]}, timeout=WAIT_S).text == "More."


def test_a_player_on_its_own_thread_and_dispatch_in_the_background() -> None:
    """As in a real program: a player thread, a dispatching thread, and the user who speaks into it."""
    audio = sound(4000)
    gate = Gate("response.output_audio.delta", nth=10)
    with talking([Reply("one two three four five six", audio=audio, gates=[gate])]) as stage:
        heard_enough = threading.Event()
        played: list[bytes] = []

        def play() -> None:
            for chunk in stage.tracker:
                if not chunk.flushed:
                    played.append(chunk.audio)
                    stage.tracker.played(chunk)
                if len(played) == 5:
                    heard_enough.set()

        player = threading.Thread(target=play)
        player.start()
        truncated = threading.Event()
        stage.session.on(ConversationItemTruncated, lambda event: truncated.set())
        stage.session.start()
        stage.session.send_text("Tell me!")
        stage.session.create_response()
        assert heard_enough.wait(WAIT_S)
        gate.wait_reached()
        stage.session.append_audio_bytes(SPEECH)
        assert truncated.wait(WAIT_S)
        (cut,) = stage.interruptions[0].cuts
        stage.tracker.close()
        player.join(WAIT_S)
        kept = stage.stored(cut.part.item_id)
        assert kept == audio[: cut.part.played_ms * MS]
        assert b"".join(played)[: len(kept)] == kept
        assert 1000 <= cut.part.played_ms <= 1800
        assert stage.errors == []
