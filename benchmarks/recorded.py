"""The events that the blaster serves: shaped as the server sends them, made up in content."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import orjson

TEXT_DELTAS = "text delta"
AUDIO_DELTAS = "audio delta"
RESPONSES = "response.done"
MIX = "mix of a spoken turn"

DIFFERENT = 200
"""How many different events of a kind there are; they are served over and over, each time with new ids."""

EVENT_MARK = b"~~~~~~~~"
"""The end of an id that is new with each event."""
RESPONSE_MARK = b"^^^^^^^^"
"""The end of an id that is new with each response, and of what belongs to it."""

_DELTAS = 50  # in a response

_DELTA_BYTES = 9600  # 200 ms of 24 kHz s16le
_WORDS = ("so", "the", "trains", "to", "coast", "leave", "every", "hour", "from", "platform", "two", "and", "nine")


def events_of(kind: str) -> list[bytes]:
    """The JSON texts of one kind of events, always the same ones."""
    maker = _Maker(random.Random(kind))
    events: Iterator[dict[str, Any]]
    if kind == MIX:
        events = (event for _ in range(4) for event in maker.turn())
    else:
        make = {TEXT_DELTAS: maker.text_delta, AUDIO_DELTAS: maker.audio_delta, RESPONSES: maker.response_done}[kind]
        events = (make() for _ in range(DIFFERENT))
    return [orjson.dumps(event) for event in events]


def stream_of(kind: str, count: int) -> list[bytes]:
    """The JSON texts of ``count`` events, no id of a response or of an event twice: what a client does once for each
    response, it does here."""
    templates = events_of(kind)
    of_response = {TEXT_DELTAS: _DELTAS, AUDIO_DELTAS: _DELTAS, RESPONSES: 1, MIX: len(templates)}[kind]
    return [
        templates[n % len(templates)]
        .replace(EVENT_MARK, b"%08d" % n, 1)
        .replace(RESPONSE_MARK, b"%08d" % (n // of_response))
        for n in range(count)
    ]


def session_created() -> bytes:
    session = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_CkQ0vE3mSXbN2a7Yc1Lzw",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "Your knowledge cutoff is 2023-10. You are a helpful, witty, and friendly AI. " * 8,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "prompt": None,
        "expires_at": 1760000000,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }
    return orjson.dumps({"type": "session.created", "event_id": "event_CkQ0vH1dJv8PzK3sT5uXe", "session": session})


class _Maker:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._response_id = self._id("resp")
        self._item_id = self._id("item")

    def _id(self, prefix: str) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        mark = EVENT_MARK if prefix == "event" else RESPONSE_MARK
        return f"{prefix}_{''.join(self._chance.choices(letters, k=13))}{mark.decode()}"

    def _words(self, count: int) -> str:
        return " ".join(self._chance.choices(_WORDS, k=count))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "event_id": self._id("event"), **fields}

    def _of_response(self, kind: str, **fields: Any) -> dict[str, Any]:
        ids = {"response_id": self._response_id, "item_id": self._item_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **ids, **fields)

    def text_delta(self) -> dict[str, Any]:
        return self._of_response("response.output_text.delta", delta=f" {self._words(1)}")

    def audio_delta(self) -> dict[str, Any]:
        audio = base64.b64encode(self._chance.randbytes(_DELTA_BYTES)).decode()
        return self._of_response("response.output_audio.delta", delta=audio)

    def response_done(self) -> dict[str, Any]:
        self._response_id = self._id("resp")
        output = [self._message("assistant", 60) if n % 3 else self._function_call() for n in range(10)]
        return self._event("response.done", response=self._response("completed", output))

    def _message(self, role: str, words: int) -> dict[str, Any]:
        part = {"type": "output_audio" if role == "assistant" else "input_audio", "transcript": self._words(words)}
        item = {"id": self._id("item"), "type": "message", "object": "realtime.item", "role": role}
        return {**item, "status": "completed", "content": [part]}

    def _function_call(self) -> dict[str, Any]:
        arguments = orjson.dumps({"from": self._words(2), "to": self._words(2), "at": "09:15"}).decode()
        return {
            "id": self._id("item"),
            "type": "function_call",
            "object": "realtime.item",
            "status": "completed",
            "name": "find_train",
            "call_id": self._id("call"),
            "arguments": arguments,
        }

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        usage = {
            "total_tokens": 1320,
            "input_tokens": 1100,
            "output_tokens": 220,
            "input_token_details": {
                "text_tokens": 300,
                "audio_tokens": 800,
                "image_tokens": 0,
                "cached_tokens": 640,
                "cached_tokens_details": {"text_tokens": 256, "audio_tokens": 384, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 60, "audio_tokens": 160},
        }
        return {
            "object": "realtime.response",
            "id": self._response_id,
            "status": status,
            "status_details": None,
            "output": output,
            "conversation_id": "conv_CkQ0vQw7bRk2Lx9Ds4Mnu",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
            "usage": usage if status == "completed" else None,
            "metadata": None,
        }

    def turn(self) -> Iterator[dict[str, Any]]:
        """A question heard by server-side turn detection, and its spoken answer of four seconds."""
        user, answer = self._message("user", 12), self._message("assistant", 40)
        self._response_id, self._item_id = self._id("resp"), answer["id"]
        asked, transcript = user["id"], answer["content"][0]["transcript"]
        yield self._event("input_audio_buffer.speech_started", audio_start_ms=1216, item_id=asked)
        yield self._event("input_audio_buffer.speech_stopped", audio_end_ms=4544, item_id=asked)
        yield self._event("input_audio_buffer.committed", previous_item_id=None, item_id=asked)
        yield self._event("conversation.item.added", previous_item_id=None, item=user)
        yield self._event("conversation.item.done", previous_item_id=None, item=user)
        yield self._event("response.created", response=self._response("in_progress", []))
        begun = {**answer, "status": "in_progress", "content": []}
        of_response = {"response_id": self._response_id, "output_index": 0}
        yield self._event("response.output_item.added", **of_response, item=begun)
        yield self._event("conversation.item.added", previous_item_id=asked, item=begun)
        yield self._of_response("response.content_part.added", part={"type": "audio", "transcript": ""})
        for word in transcript.split():
            yield self._of_response("response.output_audio_transcript.delta", delta=f" {word}")
            if self._chance.random() < 0.5:
                yield self.audio_delta()
        heard = "conversation.item.input_audio_transcription"
        for word in user["content"][0]["transcript"].split():
            yield self._event(f"{heard}.delta", item_id=asked, content_index=0, delta=f" {word}")
        usage = {"type": "tokens", "total_tokens": 48, "input_tokens": 36, "output_tokens": 12}
        usage["input_token_details"] = {"text_tokens": 0, "audio_tokens": 36}
        text = user["content"][0]["transcript"]
        yield self._event(f"{heard}.completed", item_id=asked, content_index=0, transcript=text, usage=usage)
        yield self._of_response("response.output_audio.done")
        yield self._of_response("response.output_audio_transcript.done", transcript=transcript)
        yield self._of_response("response.content_part.done", part={"type": "audio", "transcript": transcript})
        yield self._event("response.output_item.done", **of_response, item=answer)
        yield self._event("conversation.item.done", previous_item_id=asked, item=answer)
        yield self._event("response.done", response=self._response("completed", [answer]))
        limits = [{"name": "tokens", "limit": 40000, "remaining": 38680, "reset_seconds": 1.98}]
        yield self._event("rate_limits.updated", rate_limits=limits)
