"""The older dialect: client events and configurations translated both ways.

Whatever has no counterpart here is left as it came, so that the checks refuse it by its name; nothing is echoed that
is not understood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["event_from_beta", "event_in_beta", "param_in_beta"]

JsonObject = dict[str, Any]
Path = tuple[str, ...]

_PLACES: Final[Mapping[str, Path]] = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "max_response_output_tokens": ("max_output_tokens",),
}
"""The flat names of the older dialect, and where their settings are now."""

_FORMATS: Final[Mapping[str, JsonObject]] = {
    "pcm16": {"type": "audio/pcm"},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_NAMES: Final = {value["type"]: name for name, value in _FORMATS.items()}
_TEMPERATURE: Final = 0.8

_EVENTS: Final = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
_PARTS: Final = {"output_text": "text", "output_audio": "audio"}
_CURRENT_PARTS: Final = {name: current for current, name in _PARTS.items()}


def event_from_beta(raw: JsonObject) -> JsonObject:
    """A client event of the older dialect as one of today; one of today stays as it is."""
    event = dict(raw)
    if event.get("type") == "transcription_session.update":
        event["type"] = "session.update"
        if isinstance(event.get("session"), dict):
            event["session"] = {"type": "transcription", **event["session"]}
    if event.get("type") == "session.update" and isinstance(event.get("session"), dict):
        event["session"] = {"type": "realtime", **_unflattened(event["session"])}
    elif event.get("type") == "response.create" and isinstance(event.get("response"), dict):
        response = _unflattened(event["response"])
        if isinstance(response.get("input"), list):
            response["input"] = [_item_from_beta(item) for item in response["input"]]
        event["response"] = response
    elif event.get("type") == "conversation.item.create":
        event["item"] = _item_from_beta(event.get("item"))
    return event


def event_in_beta(event: JsonObject) -> JsonObject:
    """An event of the server as the older dialect has it."""
    event = {**event, "type": _EVENTS.get(event["type"], event["type"])}
    if "item" in event:
        event["item"] = _item_in_beta(event["item"])
    if "response" in event:
        event["response"] = _response_in_beta(event["response"])
    if "session" in event:
        if event["session"].get("type") == "transcription":
            event["type"] = f"transcription_{event['type']}"
        event["session"] = _session_in_beta(event["session"])
    return event


def param_in_beta(param: str | None, raw: Mapping[str, Any]) -> str | None:
    """The path of a field at fault as the client that sent the event wrote it."""
    if param is None:
        return None
    root, _, rest = param.partition(".")
    sent = raw.get(root)
    for name, place in _PLACES.items():
        now = ".".join(place)
        if isinstance(sent, dict) and name in sent and (rest == now or rest.startswith((f"{now}.", f"{now}["))):
            return f"{root}.{name}{rest[len(now) :]}"
    return param


def _unflattened(flat: Mapping[str, Any]) -> JsonObject:
    """Settings with the flat ones put where they are now."""
    settings: JsonObject = {name: value for name, value in flat.items() if name not in _PLACES}
    for name, place in _PLACES.items():
        if name in flat:
            *path, last = place
            where = settings
            for step in path:
                below = where.get(step)
                where[step] = where = dict(below) if isinstance(below, dict) else {}
            where[last] = _setting(name, flat[name])
    return settings


def _setting(name: str, value: Any) -> Any:
    if name == "modalities" and isinstance(value, list) and set(map(str, value)) == {"text", "audio"}:
        return ["audio"]
    if name.endswith("_format") and isinstance(value, str):
        # An unknown name becomes an unknown type, and is refused as that.
        return _FORMATS.get(value, {"type": value})
    return value


def _flattened(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, place in _PLACES.items():
        value: Any = settings
        for step in place:
            value = value.get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is _ABSENT:
            continue
        if name == "modalities":
            value = ["audio", "text"] if value == ["audio"] else value
        elif name.endswith("_format"):
            value = _FORMAT_NAMES[value["type"]]
        yield name, value


_ABSENT: Final = object()
_MOVED: Final = frozenset({place[0] for place in _PLACES.values()})


def _session_in_beta(session: Mapping[str, Any]) -> JsonObject:
    kept = {name: value for name, value in session.items() if name not in _MOVED and name != "type"}
    if session.get("type") != "realtime":
        return {**kept, **dict(_flattened(session))}
    return {**kept, "temperature": session.get("temperature", _TEMPERATURE), **dict(_flattened(session))}


def _response_in_beta(response: Mapping[str, Any]) -> JsonObject:
    kept = {name: value for name, value in response.items() if name not in _MOVED}
    flat = dict(_flattened(response))
    # The one name that the response never had as long as the session's.
    limit = flat.pop("max_response_output_tokens", None)
    output = [_item_in_beta(item) for item in response["output"]]
    return {**kept, **flat, "max_output_tokens": limit, "output": output}


def _item_in_beta(item: JsonObject) -> JsonObject:
    return _with_parts(item, _PARTS)


def _item_from_beta(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("role") != "assistant":
        return item
    return _with_parts(item, _CURRENT_PARTS)


def _with_parts(item: JsonObject, names: Mapping[str, str]) -> JsonObject:
    parts = item.get("content")
    if not isinstance(parts, list):
        return item
    return {**item, "content": [_renamed(part, names) for part in parts]}


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(part, dict) or part.get("type") not in names:
        return part
    return {**part, "type": names[part["type"]]}
