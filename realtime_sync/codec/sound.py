"""Audio deltas: the bytes of the sound straight out of the frame, with no text made of the base64 in between.

Of what an audio delta costs, the JSON parser's copy of its base64 and the decoding of that copy are by far the most. So
the base64 is cut out of the frame and decoded, and the parser gets the rest of the frame. Whatever is not as usual is
left to the plain way; tests/codec/test_sound.py holds the two ways equal.
"""

from __future__ import annotations

import os
from typing import Any, Final

import orjson
from pybase64 import b64decode, b64encode

__all__ = ["LEAST_BYTES", "cut"]

LEAST_BYTES: Final = 700
"""Below this length of a frame the plain way is as fast."""

_HEAD_BYTES: Final = 512  # servers send the short fields first; a longer search would only cost other events time
_TYPE_ENDS: Final = b'audio.delta"'
_NAME: Final = b'"delta":'
_HOLE: Final = os.urandom(
    8
).hex()  # stands where the base64 was: no server can know it, so whatever has it is that place
_HOLE_BYTES: Final = _HOLE.encode()
_BLANK: Final = ord(" ")
_QUOTE: Final = ord('"')


def cut(frame: bytes) -> tuple[dict[str, Any], bytes] | None:
    """The fields of an audio delta, ``delta`` left empty, and the bytes that ``delta`` stands for; ``None`` when it is
    no audio delta or an unusual one. May raise instead of ``None``."""
    if frame.find(_TYPE_ENDS, 0, _HEAD_BYTES) < 0:
        return None
    start = frame.find(_NAME, 0, _HEAD_BYTES) + len(_NAME)
    start += frame[start] == _BLANK
    if frame[start] != _QUOTE:
        return None
    start += 1
    stop = frame.find(b'"', start)
    # Strict: refuses a backslash, which would begin an escape or hide the end, and whatever else is no base64.
    pcm = b64decode(memoryview(frame)[start:stop], None, True)
    over = len(pcm) % 3
    if over and b64encode(pcm[-over:]) != frame[stop - 4 : stop]:
        return None  # bits are set in the last character that no byte has: the text could not be made again
    # The hole shows that the text was the field `delta` of the event itself, of several such fields the last.
    fields = orjson.loads(frame[:start] + _HOLE_BYTES + frame[stop:])
    if fields["delta"] != _HOLE:
        return None
    fields["delta"] = ""
    return fields, pcm
