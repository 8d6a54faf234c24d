"""The session's configuration: its defaults, and how an update is merged into it field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from realtime_sync.local.checks import Refusal

__all__ = [
    "Kind",
    "default_session",
    "merge_response",
    "merge_session",
    "require_voice",
    "silence_ms",
    "without_setting",
]

JsonObject = dict[str, Any]
Kind = Literal["realtime", "transcription", "translation"]

_INSTRUCTIONS: Final = "Answer briefly and in a friendly tone."
_SERVER_VAD: Final[Mapping[str, Any]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: Final[Mapping[str, Any]] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_SILENCE_MS_BY_EAGERNESS: Final = {"low": 1200, "medium": 700, "high": 300, "auto": 700}

# Objects that stand for one setting are replaced as a whole; all others are merged.
_WHOLE: Final = frozenset({"noise_reduction", "prompt", "reasoning", "tool_choice", "tracing", "truncation"})


_UNDERSTOOD: Final[Mapping[str, Any]] = {
    **dict.fromkeys(
        ("type", "model", "output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens")
    ),
    **dict.fromkeys(("tracing", "truncation", "prompt", "include", "parallel_tool_calls", "reasoning", "temperature")),
    "audio": {
        "input": dict.fromkeys(("format", "transcription", "noise_reduction", "turn_detection")),
        "output": dict.fromkeys(("format", "voice", "speed", "language")),
    },
}
"""The settings that an update can change, and the settings in them."""


def default_session(kind: Kind, session_id: str, model: str, expires_at: float, rate_hz: int) -> JsonObject:
    """The effective configuration of a session before any update. ``expires_at`` is in seconds since 1970."""
    if kind == "realtime":
        return _realtime_session(session_id, model, int(expires_at), rate_hz)
    if kind == "transcription":
        return _transcription_session(session_id, int(expires_at), rate_hz)
    return _translation_session(session_id, model, int(expires_at))


def _realtime_session(session_id: str, model: str, expires_at: int, rate_hz: int) -> JsonObject:
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": _INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {"input": _audio_input(rate_hz), "output": {"format": _pcm(rate_hz), "voice": "marin", "speed": 1.0}},
        "include": None,
    }


def _transcription_session(session_id: str, expires_at: int, rate_hz: int) -> JsonObject:
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "expires_at": expires_at,
        "audio": {"input": _audio_input(rate_hz)},
        "include": None,
    }


def _translation_session(session_id: str, model: str, expires_at: int) -> JsonObject:
    return {
        "type": "translation",
        "id": session_id,
        "model": model,
        "expires_at": expires_at,
        "audio": {"input": {"transcription": None, "noise_reduction": None}, "output": {"language": "en"}},
    }


def _pcm(rate_hz: int) -> JsonObject:
    return {"type": "audio/pcm", "rate": rate_hz}


def _audio_input(rate_hz: int) -> JsonObject:
    return {
        "format": _pcm(rate_hz),
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": dict(_SERVER_VAD),
    }


def merge_session(current: JsonObject, update: Mapping[str, Any], *, voice_locked: bool = False) -> JsonObject:
    """The configuration after an update; ``current`` stays as it is. Null switches a setting off.

    Raises `Refusal` for what cannot change: the type and the model of the session, and the voice once the
    conversation holds the assistant's speech.
    """
    if update.get("type", current["type"]) != current["type"]:
        kinds = f"Passing a {update['type']} session update to a {current['type']} session is not allowed."
        raise Refusal("invalid_value", kinds, "session.type")
    if update.get("model") not in (None, current.get("model")):
        raise Refusal("invalid_value", "Cannot update the model of a session after it was created.", "session.model")
    merged = _merged(current, _understood(update))
    if voice_locked:
        require_voice(current, merged["audio"]["output"]["voice"])
    return merged


def require_voice(session: JsonObject, voice: Any) -> None:
    """Refuse a voice other than the session's."""
    if voice != session["audio"]["output"]["voice"]:
        raise Refusal("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")


def without_setting(event: JsonObject, path: str) -> JsonObject | None:
    """A client event without the setting that a path (``session.tools[1].type``) leads into: of a list the entry, else
    the whole setting. ``None`` when it leads into none."""
    root, *names = path.split(".")
    if root not in ("session", "response"):
        return None
    if not isinstance(event.get(root), dict):
        return None
    whole: JsonObject = {**event, root: dict(event[root])}
    where, known = whole[root], _UNDERSTOOD
    for name, _, index in (step.partition("[") for step in names):
        if name == "type" or name not in known or name not in where:
            return None
        if known[name] is None or not isinstance(where[name], dict):
            setting = where.pop(name)
            if index and isinstance(setting, list):
                at = int(index[:-1])
                where[name] = [*setting[:at], *setting[at + 1 :]]
            return whole
        where[name] = where = dict(where[name])
        known = known[name]
    return None


def _understood(update: Mapping[str, Any], known: Mapping[str, Any] = _UNDERSTOOD) -> JsonObject:
    """An update without the settings that this server has no idea of: a lenient one accepts them, and no more."""
    result = {name: value for name, value in update.items() if name in known}
    for name, below in known.items():
        if below and isinstance(result.get(name), dict):
            result[name] = _understood(result[name], below)
    return result


def _merged(current: Any, update: Mapping[str, Any]) -> JsonObject:
    result: JsonObject = dict(current) if isinstance(current, dict) else {}
    for name, value in update.items():
        result[name] = _setting(name, result.get(name), value)
    return result


def _setting(name: str, current: Any, value: Any) -> Any:
    if not isinstance(value, dict) or name in _WHOLE:
        return value
    if name == "turn_detection":
        defaults = _SERVER_VAD if value["type"] == "server_vad" else _SEMANTIC_VAD
        same = isinstance(current, dict) and current["type"] == value["type"]
        return {**(current if same else defaults), **value}
    if name == "transcription":
        return _merged(current or {"model": None, "language": None, "prompt": None}, value)
    if name == "format":
        return {"rate": 24_000, **value} if value["type"] == "audio/pcm" else value
    return _merged(current, value)


def merge_response(session: JsonObject, config: Mapping[str, Any], *, voice_locked: bool) -> JsonObject:
    """The settings of one response: the session's, with those of ``response.create`` over them."""
    names = ("output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens")
    base = {name: session[name] for name in names} | {"audio": {"output": session["audio"]["output"]}}
    merged = _merged(base, config)
    in_conversation = merged.get("conversation") != "none"
    if voice_locked and in_conversation:
        require_voice(session, merged["audio"]["output"]["voice"])
    return merged


def silence_ms(turn_detection: Mapping[str, Any]) -> int:
    """How much silence ends a turn. The semantic detection does not look at meaning here: its eagerness stands for a
    length of silence."""
    if turn_detection["type"] == "semantic_vad":
        return _SILENCE_MS_BY_EAGERNESS[turn_detection["eagerness"]]
    silence: int = turn_detection["silence_duration_ms"]
    return silence
