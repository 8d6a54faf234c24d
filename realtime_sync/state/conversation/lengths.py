"""How long audio is, by the size of its data."""

from __future__ import annotations

from typing import Any, Final

from realtime_sync.events import AudioPcm, AudioPcma, AudioPcmu

__all__ = ["base64_bytes", "bytes_per_ms"]

_G711_BYTES_PER_MS: Final = 8.0
_FLAT_G711: Final = ("g711_ulaw", "g711_alaw")


def bytes_per_ms(audio_format: Any) -> float | None:
    """The bytes that a millisecond of audio takes, ``None`` where the format does not say: servers differ in the rate
    of PCM that they do not name."""
    if isinstance(audio_format, AudioPcm):
        return audio_format.rate * 2 / 1000 if audio_format.rate else None
    if isinstance(audio_format, (AudioPcmu, AudioPcma)) or audio_format in _FLAT_G711:
        return _G711_BYTES_PER_MS
    return None


def base64_bytes(text: str) -> int:
    """How many bytes the base64 text stands for."""
    return len(text) * 3 // 4 - text.endswith("=") - text.endswith("==")
