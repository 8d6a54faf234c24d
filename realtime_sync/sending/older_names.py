"""Names of the preview's configuration, and where the same stands today: for the text of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from realtime_sync.errors import ServerError

__all__ = ["older_names", "type_meant"]

_NOWHERE: Final = "is gone: leave it out"
_NEW_PLACES: Final[Mapping[str, str]] = {
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "modalities": "output_modalities",
    "turn_detection": "audio.input.turn_detection",
    "input_audio_format": 'audio.input.format, {"type": "audio/pcm", "rate": 24000} for "pcm16"',
    "output_audio_format": 'audio.output.format, {"type": "audio/pcm", "rate": 24000} for "pcm16"',
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "max_response_output_tokens": "max_output_tokens",
    "temperature": "",
}
_MOST_CHANGES: Final = 2


def older_names(error: ServerError, sent: Any) -> str:
    """What to write instead of the names of the preview in ``sent``, which the server refused with ``error``; empty
    when those are not the reason."""
    words = f"{error.code} {error.type} {error.message}".lower()
    if "unknown" not in words and "unrecognized" not in words and "unsupported" not in words:
        return ""
    hints = []
    for field in ("session", "response"):
        used = getattr(getattr(sent, field, None), "extra", {})
        root, _, named = (error.param or "").partition(".")
        names = [*used, *([named] if root == field and named not in used else [])]
        for name in names:
            new = _NEW_PLACES.get(name)
            if new is not None:
                hints.append(f"{field}.{name} {f'is {field}.{new} today' if new else _NOWHERE}")
        if "session" in used and field == "session":
            hints.append("the configuration stands in a second 'session': hand over the inner one")
    return "of the preview: " + "; ".join(hints) if hints else ""


def type_meant(kind: str, known: Mapping[str, Any]) -> str | None:
    """The type that ``kind`` is a slip of the pen for; ``None`` when it looks like a type of somebody's own."""
    import difflib

    for candidate in difflib.get_close_matches(kind, known, 3, 0.85):
        if _changes(kind, candidate) <= _MOST_CHANGES:
            return str(candidate)
    return None


def _changes(one: str, other: str) -> int:
    """How many characters have to be put in, taken out or replaced."""
    row = list(range(len(other) + 1))
    for number, mine in enumerate(one, 1):
        above, row[0] = row[0], number
        for place, theirs in enumerate(other, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (mine != theirs))
    return row[-1]
