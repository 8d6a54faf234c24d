"""Files of sound, told by how they begin: given as raw audio they would be heard as noise."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["CONTAINER_HEAD_BYTES", "container_of"]

CONTAINER_HEAD_BYTES: Final = 12
"""So many bytes tell."""

# At least 40 bits each: raw audio that is sent in small pieces for years must not be taken for one of these.
_BEGINNINGS: Final = (
    (rb"RIFF....WAVE", "a WAV file"),
    (rb"ID3[\2-\4]\0.[\0-\x7f]{4}", "an MP3 file"),
    (rb"OggS\0", "an Ogg file"),
    (rb"fLaC[\0\x80]\0\0\x22", "a FLAC file"),
    (rb"\0\0\0.ftyp", "an MP4 or M4A file"),
    (rb"\x1aE\xdf\xa3.B\x86", "a WebM or Matroska file"),
    (rb"FORM....AIF[FC]", "an AIFF file"),
    (rb"RF64....WAVE", "an RF64 file"),
    (rb"#!AMR[\n-]", "an AMR file"),
)
_ANY: Final = re.compile(b"|".join(b"(%b)" % beginning for beginning, _ in _BEGINNINGS), re.DOTALL)


def container_of(head: bytes) -> str | None:
    """What kind of file begins with ``head``, with its article; ``None`` for what may be raw audio."""
    found = _ANY.match(head)
    return None if found is None or found.lastindex is None else _BEGINNINGS[found.lastindex - 1][1]
