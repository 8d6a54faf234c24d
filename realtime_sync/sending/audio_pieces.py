"""Audio cut into pieces that fit into one ``input_audio_buffer.append`` each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from realtime_sync._containers import CONTAINER_HEAD_BYTES, container_of
from realtime_sync.errors import InvalidEvent

__all__ = ["base64_pieces", "pcm_pieces"]

_PIECE_BYTES: Final = 6 * 2**20
"""8 MiB in base64, well below the 15 MiB that a message may have; a multiple of 3 and of any sample size."""

_PIECE_CHARACTERS: Final = 8 * 2**20


def pcm_pieces(pcm: Any) -> Iterator[memoryview]:
    """The bytes of any buffer of bytes or 16-bit integers, in pieces; nothing for an empty one. Raises `InvalidEvent`
    for what cannot be audio."""
    flat = memoryview(pcm) if pcm.__class__ is bytes else _bytes_of(pcm)
    kind = container_of(bytes(flat[:CONTAINER_HEAD_BYTES]))
    if kind is not None:
        way_out = "send what audio.read_wav() makes of it, or let ask(audio=...) read it"
        raise InvalidEvent(
            f"this is {kind}, whose header and coding would be heard as noise:"
            f" {way_out if kind == 'a WAV file' else 'convert it to WAV first'}"
        )
    for start in range(0, len(flat), _PIECE_BYTES):
        yield flat[start : start + _PIECE_BYTES]


def _bytes_of(pcm: Any) -> memoryview:
    """The bytes of any buffer that can be audio."""
    try:
        view = memoryview(pcm)
    except TypeError:
        other = "base64 text goes to append_audio()" if isinstance(pcm, str) else "audio.read_wav(path) reads a file"
        raise InvalidEvent(
            f"audio must be bytes or a buffer of 16-bit integers, not {type(pcm).__name__}; {other}"
        ) from None
    if view.format.lstrip("<=@") not in ("B", "b", "c", "h"):
        raise InvalidEvent(
            f"audio must be bytes or 16-bit integers, not a buffer of format {view.format!r}: scale floats to -32768 to"
            " 32767 and convert them to int16 first"
        )
    if view.ndim > 1 and sum(length > 1 for length in view.shape or ()) > 1:
        raise InvalidEvent(
            f"audio must be mono, not an array of shape {view.shape}: audio.to_mono(pcm, channels) mixes the channels"
        )
    native = view.c_contiguous and view.format in ("B", "b", "c", "h")
    return view.cast("B") if native else memoryview(view.tobytes())


def base64_pieces(audio: str) -> Iterator[str]:
    """Base64 text in pieces that decode on their own; nothing for an empty one. Raises `InvalidEvent` for other
    types."""
    if not isinstance(audio, str):
        raise InvalidEvent(f"base64 audio must be str, not {type(audio).__name__}; bytes go to append_audio_bytes()")
    for start in range(0, len(audio), _PIECE_CHARACTERS):
        yield audio[start : start + _PIECE_CHARACTERS]
