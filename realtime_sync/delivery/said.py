"""What a server said in a shape of its own, for the text of an exception."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from realtime_sync._secrets import SECRET_FIELDS
from realtime_sync.delivery.wire_log import shown
from realtime_sync.transport.headers import in_one_line

__all__ = ["excerpt", "text_in"]

_LONGEST: Final = 200
_DEEPEST: Final = 6
_MOST: Final = 5
_TELLING: Final = ("message", "error", "errors", "detail", "reason", "msg")
_SECRET: Final = re.compile(rf"({'|'.join(map(re.escape, sorted(SECRET_FIELDS)))})\\?[\"']?\s*[:=].*", re.I | re.S)


def text_in(value: Any, depth: int = 0) -> str | None:
    """The text of an error in whatever JSON holds it: its message, however deep; ``None`` where there is none."""
    if isinstance(value, str):
        return value or None
    if depth == _DEEPEST:
        return None
    if isinstance(value, Mapping):
        return next((text for name in _TELLING if (text := text_in(value.get(name), depth + 1))), None)
    if isinstance(value, list):
        return "; ".join(filter(None, (text_in(entry, depth + 1) for entry in value[:_MOST]))) or None
    return None


def excerpt(said: Any, redact: Callable[[str], str] = str) -> str:
    """The beginning of a message, text or JSON, on one line: without media and credentials, and what ``redact`` takes
    out."""
    try:
        text = redact(_text_of(said))  # before it is cut: of a credential no part is left either
        try:
            text = json.dumps(shown(json.loads(text)), ensure_ascii=False)
        except ValueError:  # what stands behind a name of a credential may be one
            text = _SECRET.sub(r"\1: <redacted>", text)
    except UnicodeDecodeError:  # sound, say
        return f"<{len(said)} bytes>"
    except TypeError:
        return f"<{type(said).__name__}>"
    except RecursionError:
        return "<nested too deeply to be shown>"
    text = in_one_line(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _text_of(said: Any) -> str:
    if isinstance(said, str):
        return said
    if isinstance(said, (bytes, bytearray, memoryview)):
        return bytes(said).decode()
    return json.dumps(said, ensure_ascii=False)
