"""JSON as careless writers leave it: texts cut in the middle of a character, numbers that are none."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

__all__ = ["mended"]

_HALF: Final = re.compile("[\ud800-\udfff]")


def mended(frame: Any) -> Any:
    """What a text says that the strict parser refuses, with U+FFFD for what is left of a character and null for NaN and
    Infinity. Raises an exception of any kind for what is no JSON then either."""
    if not isinstance(frame, (str, bytes, bytearray, memoryview)):
        raise TypeError(frame)
    text = frame if isinstance(frame, str) else bytes(frame).decode("utf-8", "replace")
    raw = json.loads(text, parse_constant=lambda _: None)
    return orjson.loads(_HALF.sub("\ufffd", json.dumps(raw, ensure_ascii=False)))
