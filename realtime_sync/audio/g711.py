"""G.711, the telephone's coding: 8 bits a sample at 8000 Hz, as mu-law (``audio/pcmu``) or A-law (``audio/pcma``)."""

from __future__ import annotations

from array import array
from functools import cache
from typing import TYPE_CHECKING, Final

from realtime_sync.audio.pcm import bytes_of, g711_bytes, pcm_bytes, samples_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["decode_pcma", "decode_pcmu", "encode_pcma", "encode_pcmu"]

_MU_BIAS: Final = 33
_MU_CLIP: Final = 8158
"""The largest magnitude, in the 14 bits that mu-law codes."""


def encode_pcmu(pcm: Buffer) -> bytes:
    """PCM to mu-law, at the rate that it has (the protocol's is 8000 Hz: see `Resampler`).

    Raises `ConfigurationError` for what is not PCM.
    """
    codes = _mu_codes()
    return bytes([codes[sample >> 2] for sample in samples_of(pcm_bytes(pcm))])


def decode_pcmu(coded: Buffer) -> bytes:
    """Mu-law to PCM of the same rate. Raises `ConfigurationError` for what is not a buffer of bytes."""
    return _decoded(coded, _mu_values())


def encode_pcma(pcm: Buffer) -> bytes:
    """PCM to A-law, at the rate that it has (the protocol's is 8000 Hz: see `Resampler`).

    Raises `ConfigurationError` for what is not PCM.
    """
    codes = _a_codes()
    return bytes([codes[sample >> 3] for sample in samples_of(pcm_bytes(pcm))])


def decode_pcma(coded: Buffer) -> bytes:
    """A-law to PCM of the same rate. Raises `ConfigurationError` for what is not a buffer of bytes."""
    return _decoded(coded, _a_values())


def _decoded(coded: Buffer, values: array[int]) -> bytes:
    return bytes_of([values[code] for code in g711_bytes(coded)])


# The code tables are indexed by a sample's upper 14 or 13 bits, and so by a negative number for a negative sample:
# Python then counts from the end, which is the order of two's complement.


@cache
def _mu_codes() -> bytes:
    half = 1 << 13
    return bytes(_mu_code(sample) for sample in (*range(half), *range(-half, 0)))


@cache
def _a_codes() -> bytes:
    half = 1 << 12
    return bytes(_a_code(sample) for sample in (*range(half), *range(-half, 0)))


@cache
def _mu_values() -> array[int]:
    return array("h", map(_mu_value, range(256)))


@cache
def _a_values() -> array[int]:
    return array("h", map(_a_value, range(256)))


def _mu_code(sample: int) -> int:
    """The code of a 14-bit sample: sign, 3 bits of exponent, 4 of mantissa, all inverted."""
    magnitude = min(abs(sample), _MU_CLIP) + _MU_BIAS
    exponent = magnitude.bit_length() - 6
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    sign = 0x80 if sample < 0 else 0
    return ~(sign | exponent << 4 | mantissa) & 0xFF


def _mu_value(code: int) -> int:
    code = ~code & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    magnitude = ((2 * mantissa + _MU_BIAS << exponent) - _MU_BIAS) << 2
    return -magnitude if code & 0x80 else magnitude


def _a_code(sample: int) -> int:
    """The code of a 13-bit sample: sign, 3 bits of exponent, 4 of mantissa, every other bit inverted."""
    magnitude = ~sample if sample < 0 else sample
    exponent = max(0, magnitude.bit_length() - 5)
    # The lowest two segments have the same step.
    mantissa = (magnitude >> max(1, exponent)) & 0x0F
    sign = 0 if sample < 0 else 0x80
    return (sign | exponent << 4 | mantissa) ^ 0x55


def _a_value(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 0x0F
    # Half a step is added, so that a value lies in the middle of what was coded by it.
    magnitude = 2 * mantissa + 1 if exponent == 0 else 2 * mantissa + 33 << exponent - 1
    return magnitude << 3 if code & 0x80 else -(magnitude << 3)
