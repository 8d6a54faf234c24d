"""The audio formats of the protocol: how long bytes last, and the way to and from plain samples."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final

import attrs

from realtime_sync.local.g711 import alaw_to_pcm, pcm_of, pcm_to_alaw, pcm_to_ulaw, samples_of, ulaw_to_pcm

__all__ = ["SPEAKER_RATE_HZ", "AudioFormat", "resample"]

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
            return ulaw_to_pcm(data)
        return alaw_to_pcm(data) if self.type == "audio/pcma" else data

    def from_speaker(self, pcm: bytes) -> bytes:
        """PCM of a speaker (`SPEAKER_RATE_HZ`) as bytes of the wire."""
        pcm = resample(pcm, SPEAKER_RATE_HZ, self.rate_hz)
        if self.type == "audio/pcmu":
            return pcm_to_ulaw(pcm)
        return pcm_to_alaw(pcm) if self.type == "audio/pcma" else pcm


def resample(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """16-bit little-endian PCM at another rate: the mean of each group for a whole ratio, else linear."""
    if from_hz == to_hz:
        return pcm
    samples = samples_of(pcm)
    ratio, remainder = divmod(from_hz, to_hz)
    if remainder == 0:
        mixed = [sum(group) // ratio for group in zip(*(samples[i::ratio] for i in range(ratio)), strict=False)]
    else:
        mixed = [_between(samples, i * from_hz / to_hz) for i in range(len(samples) * to_hz // from_hz)]
    return pcm_of(mixed)


def _between(samples: array[int], position: float) -> int:
    index = int(position)
    following = samples[min(index + 1, len(samples) - 1)]
    return round(samples[index] + (following - samples[index]) * (position - index))
