"""Events to JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pybase64 import b64encode

from realtime_sync.codec.mismatch import kind_of
from realtime_sync.codec.plain import fault, plain
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import Event, WireObject

__all__ = ["encode_append", "encode_event", "encode_fields", "event_to_dict", "object_to_dict"]


def encode_event(event: Event | Mapping[str, Any]) -> str:
    """The JSON text of an event, or of a mapping with a ``type``.

    ``None`` is left out, except in the fields where the protocol gives ``null`` a meaning; in a mapping it is sent as
    it stands. Raises `InvalidEvent`, which names the field, for what JSON cannot hold.
    """
    fields = event_to_dict(event)
    try:
        return orjson.dumps(fields).decode()
    except Exception:
        raise InvalidEvent(fault(event)) from None


def encode_fields(fields: dict[str, Any]) -> str:
    """The JSON text of what `event_to_dict` gave. Raises `InvalidEvent` as `encode_event` does."""
    try:
        return orjson.dumps(fields).decode()
    except Exception:
        raise InvalidEvent(fault(fields)) from None


def event_to_dict(event: Event | Mapping[str, Any]) -> dict[str, Any]:
    """The event as plain JSON data that shares nothing with it. Raises `InvalidEvent` as `encode_event` does."""
    fields = object_to_dict(event, of_text="JSON text goes through json.loads() first, a type alone is {'type': ...}")
    kind = fields.get("type")
    if kind.__class__ is not str or not kind:
        raise InvalidEvent(f"{event.__class__.__name__} has no `type`: set it to the type of the event, a str")
    return fields


def object_to_dict(value: WireObject | Mapping[str, Any], name: str = "", *, of_text: str = "") -> dict[str, Any]:
    """Any wire object, or a mapping, as plain JSON data that shares nothing with it. Raises `InvalidEvent` as
    `encode_event` does: ``name`` is the argument that it came as, ``of_text`` what to do with a text instead."""
    try:
        fields: dict[str, Any] = plain(value)
    except Exception:
        raise InvalidEvent(fault(value)) from None
    if fields.__class__ is not dict:
        kind = kind_of(value)
        needed = "an object of the protocol or a mapping is needed"
        told = f"{name} must be a mapping or an object of the protocol" if name else needed
        raise InvalidEvent(f"{told}, not {kind}{f'; {of_text}' if of_text and kind == 'str' else ''}")
    return fields


def encode_append(
    audio: str | memoryview,
    event_id: str,
    *,
    kind: str = "input_audio_buffer.append",
    field: str = "audio",
    correlation: str = "event_id",
) -> str | bytes:
    """The JSON text of an event of type ``kind`` that carries base64 text or raw bytes in ``field``, without the
    detours of `encode_event`: it is what a client sends most. ``event_id`` needs no escaping."""
    if isinstance(audio, str):
        return encode_event({"type": kind, correlation: event_id, field: audio})
    head = f'{{"type":"{kind}","{correlation}":"{event_id}","{field}":"'
    return b"".join((head.encode(), b64encode(audio), b'"}'))
