"""The audio formats of the protocol: how long bytes last, and the way to and from plain samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from realtime_sync.audio import Resampler, decode_pcma, decode_pcmu, encode_pcma, encode_pcmu

__all__ = ["SPEAKER_RATE_HZ", "AudioFormat", "cut"]

SPEAKER_RATE_HZ: Final = 24_000
"""What a `speaker` returns: mono, 16-bit little-endian, at this rate."""

_G711_RATE_HZ: Final = 8_000


@attrs.frozen
class AudioFormat:
    """One format of the session configuration: ``audio/pcm``, ``audio/pcmu`` or ``audio/pcma``."""

    type: str = "audio/pcm"
    rate_hz: int = SPEAKER_RATE_HZ

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> AudioFormat:
        """The format that a ``format`` object of the session describes."""
        kind = config["type"]
        return cls(kind, config.get("rate") or SPEAKER_RATE_HZ) if kind == "audio/pcm" else cls(kind, _G711_RATE_HZ)

    @property
    def sample_bytes(self) -> int:
        """Bytes a sample takes on the wire."""
        return 2 if self.type == "audio/pcm" else 1

    def ms(self, size_bytes: int) -> float:
        """How long so many bytes last, in milliseconds."""
        return size_bytes * 1000 / (self.rate_hz * self.sample_bytes)

    def size(self, ms: float) -> int:
        """How many bytes so many milliseconds take, in whole samples."""
        return int(ms * self.rate_hz / 1000) * self.sample_bytes

    def to_pcm(self, data: bytes) -> bytes:
        """Bytes of the wire as 16-bit little-endian PCM at `rate_hz`."""
        if self.type == "audio/pcmu":
            return decode_pcmu(data)
        return decode_pcma(data) if self.type == "audio/pcma" else data

    def from_speaker(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """PCM of a speaker (`SPEAKER_RATE_HZ`) as bytes of the wire, piece by piece."""
        if self.rate_hz != SPEAKER_RATE_HZ:
            pieces = _resampled(pieces, self.rate_hz)
        if self.type == "audio/pcm":
            return iter(pieces)
        return map(encode_pcmu if self.type == "audio/pcmu" else encode_pcma, pieces)

    def size_from_speaker(self, size_bytes: int) -> int:
        """How many bytes of the wire so many bytes of a speaker make."""
        return -(-size_bytes * self.rate_hz // (2 * SPEAKER_RATE_HZ)) * self.sample_bytes


def cut(pieces: Iterable[bytes], size_bytes: int) -> Iterator[bytes]:
    """The same bytes in pieces of this size; the last may be shorter."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size_bytes:
            yield bytes(held[:size_bytes])
            del held[:size_bytes]
    if held:
        yield bytes(held)


def _resampled(pieces: Iterable[bytes], rate_hz: int) -> Iterator[bytes]:
    resampler = Resampler(SPEAKER_RATE_HZ, rate_hz)
    yield from map(resampler.feed, pieces)
    yield resampler.finish()
