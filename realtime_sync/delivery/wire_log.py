"""Each frame as one line of the log, for those who ask for it: logger ``realtime_sync.wire``, level DEBUG."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from realtime_sync._secrets import SECRET_FIELDS

__all__ = ["WIRE", "line", "log", "shown"]

WIRE: Final = logging.getLogger("realtime_sync.wire")

_LONGEST_TEXT: Final = 300
_MOST_LINE: Final = 4000
_ARROWS: Final = {"in": "<-", "out": "->"}


def log(direction: Literal["in", "out"], texts: Iterable[bytes | str], redact: Callable[[str], str]) -> None:
    """Log each of these frames, as ``redact`` leaves it, if anybody wants to know."""
    if WIRE.isEnabledFor(logging.DEBUG):
        for text in texts:
            WIRE.debug("%s", redact(line(direction, text)))


def line(direction: Literal["in", "out"], text: bytes | str) -> str:
    """A frame as it is logged: ``<-`` received, ``->`` sent, then its JSON on one line. Media is told by its length,
    long text is cut, credentials are left out."""
    arrow = _ARROWS[direction]
    size = f"{len(text)} {'bytes' if isinstance(text, bytes) else 'characters'}"
    try:
        message = json.loads(text)
        told = json.dumps(shown(message), ensure_ascii=False)
    except ValueError:
        return f"{arrow} {size} that are no JSON"
    except RecursionError:
        return f"{arrow} {size} that are nested too deeply to be shown"
    return f"{arrow} {told if len(told) <= _MOST_LINE else told[:_MOST_LINE] + ' ...'}"


def shown(message: Any) -> Any:
    """A message, as JSON data, as it may be shown."""
    sound = isinstance(message, dict) and str(message.get("type")).endswith("audio.delta")
    return _shown(message, "", sound)


def _shown(value: Any, name: str, sound: bool) -> Any:
    if name.lower() in SECRET_FIELDS and value:
        return "<redacted>"
    if isinstance(value, dict):
        return {key: _shown(held, key, sound) for key, held in value.items()}
    if isinstance(value, list):
        return [_shown(held, "", sound) for held in value]
    if isinstance(value, str):
        if value and (name == "audio" or (sound and name == "delta") or value.startswith("data:")):
            return f"<{len(value)} characters>"
        if len(value) > _LONGEST_TEXT:
            return f"{value[:_LONGEST_TEXT]}... <{len(value)} characters>"
    return value
