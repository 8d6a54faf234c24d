"""Sample rate conversion: a polyphase windowed-sinc filter over a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import mul
from typing import TYPE_CHECKING, Final

from realtime_sync._arguments import answered
from realtime_sync.audio.pcm import bytes_of, pcm_bytes, samples_of, validate_rate
from realtime_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Resampler"]

_LOBES: Final = 24
"""Zero crossings of the sinc on each side: more is steeper and slower."""

_BETA: Final = 6.6
"""The window's shape: 65 dB of attenuation beyond the transition band."""

_CUTOFF: Final = 0.917
"""Cutoff (-6 dB) as a fraction of the lower Nyquist frequency, where the transition band ends."""

_BLOCK_SAMPLES: Final = 16_384
"""Converted at a time: as Python's floats, an hour of audio would fill the memory."""


@answered
class Resampler:
    """Converts a stream of PCM from one sample rate to another, piece by piece.

    ``from_hz`` and ``to_hz`` are whole numbers from 1000 to 768000; anything else raises `ConfigurationError`. However
    the stream is cut, the same bytes come out: ``ceil(samples * to_hz / from_hz)`` samples in all, without a delay
    against the input. What lies above half the lower rate is suppressed by more than 60 dB; up to 0.85 of that half
    it changes by less than 0.1 dB. One instance serves one stream, from one thread at a time.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.from_hz = validate_rate(from_hz)
        self.to_hz = validate_rate(to_hz)
        common = math.gcd(self.from_hz, self.to_hz)
        self._up = self.to_hz // common
        self._down = self.from_hz // common
        self._scale = min(1.0, self._up / self._down) * _CUTOFF
        self._reach = math.ceil(_LOBES / self._scale)
        self._filters: dict[int, list[float]] = {}
        self._phase = 0
        # The input before the first sample is silence, so that the filter is centred on that sample at once.
        self._held = [0.0] * (self._reach - 1)
        self._half_sample = b""
        self._finished = False

    def feed(self, pcm: Buffer) -> bytes:
        """Take the next piece and return what is ready, at times nothing: the filter looks a few milliseconds ahead.

        Raises `ConfigurationError` for what is not PCM, and after `finish`.
        """
        if self._finished:
            raise ConfigurationError("this Resampler has finished its stream; take a new one for the next")
        whole = self._half_sample + pcm_bytes(pcm)
        even = len(whole) & ~1
        self._half_sample = whole[even:]
        if self._up == self._down:
            return whole[:even]
        samples = samples_of(whole[:even])
        blocks = range(0, len(samples), _BLOCK_SAMPLES)
        return b"".join([self._convert(samples[start : start + _BLOCK_SAMPLES]) for start in blocks])

    def finish(self) -> bytes:
        """Return the rest of the stream; nothing can be fed after it, and a second call returns nothing.

        Raises `ConfigurationError` when the stream ends in half a sample.
        """
        if self._half_sample:
            raise ConfigurationError("the audio ends in half a 16-bit sample")
        if self._finished or self._up == self._down:
            self._finished = True
            return b""
        self._finished = True
        return self._convert([0.0] * self._reach)

    def _convert(self, samples: Sequence[float]) -> bytes:
        held = self._held
        held.extend(map(float, samples))
        up, down, phase, start = self._up, self._down, self._phase, 0
        taps_each = 2 * self._reach
        filters = self._filters
        out = []
        while start + taps_each <= len(held):
            taps = filters.get(phase) or self._filter(phase)
            out.append(_dot(taps, held[start : start + taps_each]))
            phase += down
            start += phase // up
            phase %= up
        del held[:start]
        self._phase = phase
        return _pcm(out)

    def _filter(self, phase: int) -> list[float]:
        """The taps for an output that lies ``phase / up`` of a sample behind the input at the filter's centre; made
        when first needed, since odd pairs of rates have thousands."""
        centre = self._reach - 1 + phase / self._up
        taps = [_windowed_sinc((k - centre) * self._scale) for k in range(2 * self._reach)]
        # Each phase passes a constant unchanged; without this the phases differ audibly in loudness.
        total = math.fsum(taps)
        made = self._filters[phase] = [tap / total for tap in taps]
        return made


def _windowed_sinc(x: float) -> float:
    """The sinc at ``x`` zero crossings from its middle, under a window of `_LOBES` on each side."""
    if abs(x) >= _LOBES:
        return 0.0
    sinc = math.sin(math.pi * x) / (math.pi * x) if x else 1.0
    # Nearly Kaiser's window, without its Bessel function.
    return sinc * math.exp(_BETA * (math.sqrt(1.0 - (x / _LOBES) ** 2) - 1.0))


def _products(taps: list[float], window: list[float]) -> float:
    return sum(map(mul, taps, window), 0.0)


# Python 3.12 has the same in C, three times as fast.
_dot: Final[Callable[[list[float], list[float]], float]] = getattr(math, "sumprod", _products)


def _pcm(values: list[float]) -> bytes:
    try:
        return bytes_of(map(round, values))
    except OverflowError:
        # The filter overshoots at steep edges of loud audio.
        return bytes_of(max(-32768, min(round(value), 32767)) for value in values)
