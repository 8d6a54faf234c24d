"""G.711 in pure Python: one byte a sample, 8 kHz, the two telephone companding laws."""

from __future__ import annotations

import functools
import sys
from array import array
from collections.abc import Iterable

__all__ = ["alaw_to_pcm", "pcm_of", "pcm_to_alaw", "pcm_to_ulaw", "samples_of", "ulaw_to_pcm"]

_BIAS = 0x84
_CLIP = 32635


def samples_of(pcm: bytes | bytearray | memoryview) -> array[int]:
    """16-bit little-endian PCM as numbers; an odd byte at the end is left out."""
    samples = array("h")
    samples.frombytes(pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def pcm_of(samples: Iterable[int]) -> bytes:
    """Numbers from -32768 to 32767 as 16-bit little-endian PCM."""
    numbers = array("h", samples)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def ulaw_to_pcm(data: bytes) -> bytes:
    """Mu-law bytes to 16-bit little-endian PCM at the same rate."""
    return _decoded(data, _ulaw_values())


def alaw_to_pcm(data: bytes) -> bytes:
    """A-law bytes to 16-bit little-endian PCM at the same rate."""
    return _decoded(data, _alaw_values())


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to mu-law bytes at the same rate."""
    table = _ulaw_bytes()
    return bytes([table[sample >> 2] for sample in samples_of(pcm)])


def pcm_to_alaw(pcm: bytes) -> bytes:
    """16-bit little-endian PCM to A-law bytes at the same rate."""
    table = _alaw_bytes()
    return bytes([table[sample >> 3] for sample in samples_of(pcm)])


def _decoded(data: bytes, values: list[bytes]) -> bytes:
    return b"".join([values[byte] for byte in data])


@functools.cache
def _ulaw_values() -> list[bytes]:
    def value(byte: int) -> int:
        byte = ~byte & 0xFF
        magnitude = (((byte & 0x0F) << 3) + _BIAS) << ((byte & 0x70) >> 4)
        return _BIAS - magnitude if byte & 0x80 else magnitude - _BIAS

    return [pcm_of([value(byte)]) for byte in range(256)]


@functools.cache
def _alaw_values() -> list[bytes]:
    def value(byte: int) -> int:
        byte ^= 0x55
        segment = (byte & 0x70) >> 4
        magnitude = ((byte & 0x0F) << 4) + (8 if segment == 0 else 0x108)
        magnitude <<= max(0, segment - 1)
        return magnitude if byte & 0x80 else -magnitude

    return [pcm_of([value(byte)]) for byte in range(256)]


# Both laws look at the upper bits only, so a table indexed by the shifted sample is exact. A negative index counts
# from the end of a list, which is where the table holds the negative samples.
@functools.cache
def _ulaw_bytes() -> list[int]:
    def coded(sample: int) -> int:
        sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
        magnitude = min(magnitude, _CLIP) + _BIAS
        exponent = magnitude.bit_length() - 8
        return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF

    return [coded(sample << 2) for sample in (*range(8192), *range(-8192, 0))]


@functools.cache
def _alaw_bytes() -> list[int]:
    def coded(sample: int) -> int:
        mask, magnitude = (0x55, -sample - 1) if sample < 0 else (0xD5, sample)
        segment = max(0, magnitude.bit_length() - 5)
        return (segment << 4 | magnitude >> max(1, segment) & 0x0F) ^ mask

    return [coded(sample) for sample in (*range(4096), *range(-4096, 0))]
