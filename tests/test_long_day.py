"""A day-long session: what it holds does not grow, but for the conversation, and that only as far as it may.

The server answers within the call that asks, without a thread or a socket; what the session holds is weighed by
following references. The bounds of what is remembered are made small, so that a few hundred turns are a long day.
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import sys
from collections.abc import Iterable, Iterator
from itertools import count
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

from realtime_sync.codec import decode_server_event
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import ServerEvent
from realtime_sync.playback import BargeIn, PlaybackTracker, barge_in, tracker
from realtime_sync.sending import acks, sequencer
from realtime_sync.session.session import RealtimeSession
from realtime_sync.state import heard, responses
from realtime_sync.state.conversation import mirror
from realtime_sync.state.usage import tally
from realtime_sync.tools import Toolset, rounds

BOUNDS: list[tuple[ModuleType, str]] = [
    (heard, "_MOST_KEPT"),
    (responses, "_MOST_KEPT"),
    (tally, "_MOST_KEPT"),
    (tracker, "_MOST_KEPT"),
    (barge_in, "_MOST_SPEAKING"),
    (acks, "_MOST_OF_A_KIND"),
    (sequencer, "_MOST_BEGUN"),
    (mirror, "_MOST_COUNTED"),
    (mirror, "_MOST_UNPLACED"),
    (rounds, "_MOST_UNSETTLED"),
]
PCM = base64.b64encode(bytes(960)).decode()  # 20 ms
NO_DATA = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType, logging.Logger)
MORNING, DAY = 100, 260
NOISE_BYTES = 12_000
"""What may differ between two looks: a leak of a single id a turn is twice that."""


@pytest.fixture(autouse=True)
def _short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in BOUNDS:
        monkeypatch.setattr(module, name, 32)
    monkeypatch.setattr(mirror, "_MOST_GONE", 64)


def weight(root: Any, *without: Any) -> int:
    """How many bytes are held by what ``root`` refers to, directly or not, but for what ``without`` does."""
    seen = {id(each) for each in without}
    total, found = 0, [root]
    while found:
        held = found.pop()
        if id(held) in seen or isinstance(held, NO_DATA):
            continue
        seen.add(id(held))
        total += sys.getsizeof(held)
        found += gc.get_referents(held)
    return total


class Service:
    """A server that answers at once. ``clumsy``: it confirms no item, tells the end of nothing beside the conversation,
    and speaks of items that nobody knows."""

    def __init__(self, inbox: Inbox, *, clumsy: bool = False) -> None:
        self.inbox = inbox
        self.clumsy = clumsy
        self.numbers = count(1)
        self.last_item = ""
        self.last: ServerEvent | None = None
        self.cause = None
        self.closing = self.ended = False

    # What a session wants of its connection

    def send(self, text: str | bytes) -> None:
        self.say(*self.answers(json.loads(text)))

    def redact(self, text: str) -> str:
        return text

    def close(self, *_: Any) -> None:
        self.closing = True
        self.inbox.end()

    abandon = close

    # The server

    def say(self, *events: dict[str, Any]) -> None:
        texts = [json.dumps({"event_id": f"event_{next(self.numbers)}", **event}).encode() for event in events]
        if texts:
            decoded = list(map(decode_server_event, texts))
            self.last = decoded[-1]
            self.inbox.put(decoded, sum(map(len, texts)))

    def answers(self, event: dict[str, Any]) -> Iterator[dict[str, Any]]:
        kind = event["type"]
        if kind == "conversation.item.create" and not self.clumsy:
            yield from self.added(event["item"])
        elif kind == "conversation.item.delete":
            yield {"type": "conversation.item.deleted", "item_id": event["item_id"]}
        elif kind == "session.update":
            yield {"type": "session.updated", "session": {**SESSION, **event["session"]}}
        elif kind == "response.create":
            yield from self.response(event.get("response") or {})

    def added(self, item: dict[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
        previous, self.last_item = self.last_item or None, item["id"]
        for kind in ("added", "done"):
            yield {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": {**item, **more}}

    def response(self, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
        number = next(self.numbers)
        name, item_id, beside = f"resp_{number}", f"item_a{number}", config.get("conversation") == "none"
        about = {"response_id": name, "item_id": item_id, "output_index": 0, "content_index": 0}
        asked = {"id": name, "status": "in_progress", "metadata": config.get("metadata"), "output": []}
        yield {"type": "response.created", "response": {**asked, "conversation_id": None if beside else "conv_1"}}
        if beside and self.clumsy:
            yield {"type": "response.output_text.delta", "delta": "lost", **about}
            return
        said = f"answer {number} " * 5
        part = {"type": "output_audio", "transcript": said}
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        if number % 7 == 0:
            call = {"id": item_id, "type": "function_call", "name": "look_up", "call_id": f"call_{number}"}
            item = {**call, "status": "completed", "arguments": "{}"}
        yield {"type": "response.output_item.added", "response_id": name, "output_index": 0, "item": item}
        if item["type"] == "message":
            for word in said.split():
                yield {"type": "response.output_audio_transcript.delta", "delta": word, **about}
            yield {"type": "response.output_audio.delta", "delta": PCM, **about}
            yield {"type": "response.output_audio.done", **about}
            yield {"type": "response.output_audio_transcript.done", "transcript": said, **about}
        if not beside and not self.clumsy:
            yield from self.added(item)
        yield {"type": "response.output_item.done", "response_id": name, "output_index": 0, "item": item}
        usage = {"total_tokens": 30, "input_tokens": 10, "output_tokens": 20}
        yield {"type": "response.done", "response": {**asked, "status": "completed", "output": [item], "usage": usage}}
        yield {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens", "limit": 9, "remaining": number}]}

    def hear(self) -> None:
        """The user says something."""
        number = next(self.numbers)
        item_id = f"item_u{number}"
        speech = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        started = {"type": "input_audio_buffer.speech_started", "item_id": item_id, "audio_start_ms": number}
        committed = {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": self.last_item}
        heard = {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": f"item_x{number}" if self.clumsy else item_id,
            "content_index": 0,
            "transcript": f"question {number}",
            "usage": {"type": "duration", "seconds": 1.5},
        }
        self.say(started, committed, *(() if self.clumsy else self.added(speech)), heard)


SESSION = {
    "type": "realtime",
    "id": "sess_1",
    "model": "gpt-realtime",
    "audio": {"input": {"turn_detection": None, "transcription": {"model": "t"}}, "output": {"voice": "v"}},
}


def opened(*, clumsy: bool = False, **options: Any) -> tuple[RealtimeSession, Service]:
    inbox = Inbox(10**8)
    service = Service(inbox, clumsy=clumsy)
    session = RealtimeSession(service, inbox, **options)  # type: ignore[arg-type]
    service.say({"type": "session.created", "session": SESSION})
    return session, service


def talk(session: RealtimeSession, service: Service, turns: Iterable[int]) -> None:
    """Turns of all kinds."""
    for number in turns:
        service.hear()
        reply = session.ask()
        assert reply.status == "completed"
        session.ask(f"and {number}?")
        if service.clumsy:
            session.create_response({"conversation": "none"})  # whose end is never told
        else:
            session.ask("aside", config={"conversation": "none"})
        note = session.send_text("note it")
        assert note.item_id is not None
        session.delete_item(note.item_id)
        session.poll()


def growth(session: RealtimeSession, service: Service, *without: Any) -> int:
    """By how many bytes a session has grown between the morning and the evening of a long day."""
    talk(session, service, range(MORNING))
    before = weight(session, service, *without)
    talk(session, service, range(DAY - MORNING))
    return weight(session, service, *without) - before


def with_tools_and_sound(session: RealtimeSession) -> list[Any]:
    """What hangs on a session; the sound is taken, and nobody says that it was played."""
    session.use_tools(Toolset(look_up))
    session.on("*", lambda event: None)
    player = PlaybackTracker(on_chunk=lambda chunk: None)
    player.attach(session)
    return [player, BargeIn(session, player)]


def look_up() -> str:
    """Look something up."""
    return "found"


BOTH = pytest.mark.parametrize(("looked_at", "clumsy"), [(False, False), (True, True)], ids=["unseen", "clumsy"])


@BOTH
def test_all_but_the_conversation_stays_as_large_as_it_is(looked_at: bool, clumsy: bool) -> None:
    session, service = opened(clumsy=clumsy)
    if looked_at:
        session.conversation.count_audio(session.config)
    assert growth(session, service, session._state.mirror) < NOISE_BYTES
    assert len(session._state.mirror) > DAY
    session.close()


@BOTH
def test_with_a_limit_the_conversation_too(looked_at: bool, clumsy: bool) -> None:
    session, service = opened(clumsy=clumsy, conversation_limit=20)
    if looked_at:
        assert len(session.conversation) == 0
    assert growth(session, service) < NOISE_BYTES
    assert len(session.conversation) in (19, 20)  # a note may have been deleted again
    assert session.conversation.dropped > DAY
    session.close()


def test_what_hangs_on_a_session_stays_as_large_as_it_is() -> None:
    session, service = opened(conversation_limit=20)
    hanging = with_tools_and_sound(session)
    assert session.usage.total.total_tokens == 0
    assert growth(session, service) < NOISE_BYTES
    assert all(weight(each, session, service) < 40_000 for each in hanging)
    session.close()
