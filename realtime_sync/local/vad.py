"""Voice activity by loudness: where speech starts and where it has stopped."""

from __future__ import annotations

import math
from operator import mul
from typing import Final, Literal

import attrs

from realtime_sync.audio.pcm import samples_of

__all__ = ["EnergyVad", "Mark"]

_FRAME_MS: Final = 20
_ATTACK_FRAMES: Final = 2
"""So many loud frames in a row are speech; fewer are a click."""

_SILENT_DBFS: Final = -60.0
_LOUD_DBFS: Final = -20.0


@attrs.frozen
class Mark:
    """Something that the detector found, ``at_ms`` milliseconds after the first sample that it heard."""

    kind: Literal["started", "stopped"]
    at_ms: int


class EnergyVad:
    """Finds speech in 16-bit PCM by the loudness of frames of 20 ms.

    ``threshold`` is the protocol's 0 to 1: 0 stands for -60 dB of full scale, 1 for -20 dB, so that the default of
    0.5 takes everything above -40 dB for speech. Speech has stopped after ``silence_ms`` of frames below that. A
    pure function of the samples: the same audio gives the same marks, however it is cut. Not for several threads.
    """

    def __init__(self, *, rate_hz: int, threshold: float, silence_ms: int) -> None:
        self._frame_bytes = rate_hz * _FRAME_MS // 1000 * 2
        self._silence_frames = max(1, math.ceil(silence_ms / _FRAME_MS))
        dbfs = _SILENT_DBFS + (_LOUD_DBFS - _SILENT_DBFS) * threshold
        # Sums of squares are compared, which saves a root and a logarithm for each frame.
        self._loud = (10 ** (dbfs / 20) * 32768) ** 2 * (self._frame_bytes // 2)
        self._rest = b""
        self._frames = 0
        self._run = 0
        self.speaking = False

    def feed(self, pcm: bytes) -> list[Mark]:
        """Take the next samples; the marks found in them, in order. What does not fill a frame waits."""
        data = self._rest + pcm
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        marks = []
        for start in range(0, whole, self._frame_bytes):
            mark = self._frame(data[start : start + self._frame_bytes])
            if mark is not None:
                marks.append(mark)
        return marks

    def _frame(self, frame: bytes) -> Mark | None:
        samples = samples_of(frame)
        loud = sum(map(mul, samples, samples)) > self._loud
        self._frames += 1
        # The run counts frames that speak against the present state: loud ones in silence, quiet ones in speech.
        self._run = self._run + 1 if loud is not self.speaking else 0
        if self._run < (self._silence_frames if self.speaking else _ATTACK_FRAMES):
            return None
        length, self._run = self._run, 0
        self.speaking = not self.speaking
        if self.speaking:
            return Mark("started", (self._frames - length) * _FRAME_MS)
        return Mark("stopped", self._frames * _FRAME_MS)
