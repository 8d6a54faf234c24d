"""A client of raw JSON for the local server: it knows nothing of this library and checks every event against the
models of the `openai` package, and against our own classes."""

from __future__ import annotations

import base64
import itertools
import json
import math
from array import array
from collections.abc import Mapping
from ssl import PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion
from typing import Any, get_args

import openai.types.realtime as models
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from realtime_sync.codec import decode_server_event
from realtime_sync.events import MalformedEvent, UnknownEvent
from realtime_sync.events.base import WireObject, fields_of
from realtime_sync.local import LocalServer

TIMEOUT_S = 20.0

JsonObject = dict[str, Any]


def _models(union: Any) -> dict[str, Any]:
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


_SERVER_MODELS = _models(models.RealtimeServerEvent)
_TRANSLATION_MODELS = _models(models.RealtimeTranslationServerEvent)


def check_event(event: JsonObject, *, translation: bool = False) -> None:
    """Fail unless both sets of models know the event with everything in it."""
    known = _TRANSLATION_MODELS if translation else _SERVER_MODELS
    known[event["type"]].model_validate(event, strict=True)
    decoded = decode_server_event(json.dumps(event))
    assert not isinstance(decoded, (MalformedEvent, UnknownEvent)), decoded
    unknown = unknown_fields(decoded)
    # The schema does not know it, the documented example shows it.
    assert [path for path in unknown if not path.endswith("].format")] == []


def unknown_fields(value: Any, path: str = "") -> list[str]:
    """The paths of all fields that our classes do not know."""
    found = []
    if isinstance(value, WireObject):
        found += [f"{path}.{name}" for name in value.extra]
        for attribute in fields_of(type(value)):
            if attribute.name != "extra":
                found += unknown_fields(getattr(value, attribute.name), f"{path}.{attribute.name}")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            found += unknown_fields(entry, f"{path}[{index}]")
    return found


class RawClient:
    """One connection. ``session`` is the configuration from session.created, which is awaited unless told otherwise."""

    def __init__(
        self,
        server: LocalServer,
        query: str = "model=gpt-realtime",
        *,
        path: str = "/realtime",
        headers: Mapping[str, str] | None = None,
        created: bool = True,
        checked: bool = True,
        ssl: Any = None,
    ) -> None:
        url = server.base_url.replace("http", "ws", 1) + path + (f"?{query}" if query else "")
        self._checked = checked
        self._translation = path.endswith("translations")
        self._ids = itertools.count(1)
        if ssl is not None:
            # This client writes while its thread reads. In TLS 1.3 the reader then handles the server's tickets, and
            # now and then the request got lost (3 of 600 runs).
            authorities = b"".join(ssl.get_ca_certs(binary_form=True))
            ssl = SSLContext(PROTOCOL_TLS_CLIENT)
            ssl.load_verify_locations(cadata=authorities)
            ssl.maximum_version = TLSVersion.TLSv1_2
        connection = connect(
            url,
            additional_headers=dict(headers or {}),
            compression=None,
            max_size=None,
            ssl=ssl,
            close_timeout=TIMEOUT_S,
            ping_interval=None,
        )
        # Entered here and left in close(): newer versions of the library want a context manager.
        self.websocket = connection.__enter__()
        self.session: JsonObject = self.expect("session.created")["session"] if created else {}

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.websocket.close()

    def send(self, event_type: str, **fields: Any) -> str:
        """Send an event; its id."""
        event_id = f"client_{next(self._ids)}"
        self.websocket.send(json.dumps({"type": event_type, "event_id": event_id, **fields}))
        return event_id

    def recv(self) -> JsonObject:
        """The next event."""
        event: JsonObject = json.loads(self.websocket.recv(TIMEOUT_S))
        if self._checked:
            check_event(event, translation=self._translation)
        return event

    def expect(self, *event_types: str) -> JsonObject:
        """The next events must have these types; the last of them."""
        event: JsonObject = {}
        for event_type in event_types:
            event = self.recv()
            assert event["type"] == event_type, event
        return event

    def until(self, event_type: str) -> list[JsonObject]:
        """All events up to one of this type."""
        events = [self.recv()]
        while events[-1]["type"] != event_type:
            events.append(self.recv())
        return events

    def response(self) -> list[JsonObject]:
        """All events up to the end of a response."""
        return self.until("response.done")

    def error(self) -> JsonObject:
        """The next event must be an error; what it says."""
        error: JsonObject = self.expect("error")["error"]
        return error

    def update(self, **session: Any) -> JsonObject:
        """Update the session; the new configuration."""
        self.send("session.update", session={"type": "realtime", **session})
        updated: JsonObject = self.expect("session.updated")["session"]
        return updated

    def say(self, text: str, **fields: Any) -> JsonObject:
        """Add a message of the user; the item."""
        content = [{"type": "input_text", "text": text}]
        return self.add({"type": "message", "role": "user", "content": content}, **fields)

    def add(self, item: JsonObject, **fields: Any) -> JsonObject:
        """Add an item; the item as the server has it."""
        self.send("conversation.item.create", item=item, **fields)
        self.expect("conversation.item.added")
        added: JsonObject = self.expect("conversation.item.done")["item"]
        return added

    def append(self, pcm: bytes, chunk_bytes: int = 4_800) -> None:
        """Send audio in chunks."""
        for start in range(0, len(pcm), chunk_bytes):
            self.send("input_audio_buffer.append", audio=b64(pcm[start : start + chunk_bytes]))

    def ask(self, text: str) -> JsonObject:
        """A whole turn of text; the final response."""
        self.say(text)
        self.send("response.create")
        return done_of(self.response())

    def closed(self) -> tuple[int, str]:
        """Wait for the server's close; its code and reason."""
        try:
            while True:
                self.websocket.recv(TIMEOUT_S)
        except ConnectionClosed as error:
            close = error.rcvd
            return (close.code, close.reason) if close is not None else (1006, "")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def types(events: list[JsonObject]) -> list[str]:
    """The types, runs of the same delta as one."""
    return [kind for kind, _ in itertools.groupby(event["type"] for event in events)]


def done_of(events: list[JsonObject]) -> JsonObject:
    """The final response among the events."""
    done: JsonObject = next(event for event in events if event["type"] == "response.done")["response"]
    return done


def text_of(response: JsonObject) -> str:
    """The text or transcript of all messages of a response."""
    parts = [part for item in response["output"] for part in item.get("content", ())]
    return "".join(part.get("text") or part.get("transcript") or "" for part in parts)


def tone(ms: int, rate_hz: int = 24_000, amplitude: int = 9_000) -> bytes:
    """Something loud."""
    step = 2 * math.pi * 220 / rate_hz
    return array("h", [round(amplitude * math.sin(step * i)) for i in range(rate_hz * ms // 1000)]).tobytes()


def quiet(ms: int, rate_hz: int = 24_000) -> bytes:
    """Silence."""
    return bytes(rate_hz * ms // 1000 * 2)
