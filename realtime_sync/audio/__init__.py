"""Sound in and out of files and other formats, for an API that speaks 24 kHz mono 16-bit PCM.

Pure Python, without a dependency. PCM here is 16-bit, signed and little-endian (s16le), the ``audio/pcm`` of the
protocol, and mono but for `to_mono` and `to_channels`; results are ``bytes``. Where PCM is taken it may be bytes, any
buffer of 16-bit integers (array, memoryview, NumPy array), or a buffer of floats from -1 to 1, which are clipped there.

Whatever cannot work raises `ConfigurationError` and says why.
"""

from __future__ import annotations

from realtime_sync.audio.channels import to_channels, to_mono
from realtime_sync.audio.g711 import decode_pcma, decode_pcmu, encode_pcma, encode_pcmu
from realtime_sync.audio.pcm import chunks, duration_ms
from realtime_sync.audio.resample import Resampler
from realtime_sync.audio.wav import read_wav, write_wav

__all__ = [
    "Resampler",
    "chunks",
    "decode_pcma",
    "decode_pcmu",
    "duration_ms",
    "encode_pcma",
    "encode_pcmu",
    "read_wav",
    "to_channels",
    "to_mono",
    "write_wav",
]
