"""The input audio buffer: what the client has appended and nobody has committed yet."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from realtime_sync.local.checks import Refusal
from realtime_sync.local.sound import AudioFormat

__all__ = ["InputAudioBuffer", "decode_audio"]

_LEAST_COMMIT_MS: Final = 100
_MOST_BYTES: Final = 128 * 1024 * 1024


class InputAudioBuffer:
    """Audio bytes of the wire, addressed by their position in everything that the session was ever sent.

    Positions are milliseconds since the first append, as the ``audio_start_ms`` and ``audio_end_ms`` of the events
    are. Not for several threads: the session's lock guards it.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._data = bytearray()
        self._begin_ms = 0.0

    @property
    def ms(self) -> float:
        """How much audio waits here, in milliseconds."""
        return self.format.ms(len(self._data))

    @property
    def end_ms(self) -> int:
        """The position of the last sample."""
        return round(self._begin_ms + self.ms)

    @property
    def begin_ms(self) -> int:
        """The position of the first sample that is still here."""
        return round(self._begin_ms)

    def append(self, data: bytes) -> None:
        """Add audio; raises `Refusal` when the buffer is full."""
        if len(self._data) + len(data) > _MOST_BYTES:
            raise Refusal("input_audio_buffer_full", "The input audio buffer is full; commit or clear it first.")
        self._data += data

    def clear(self) -> None:
        """Forget what waits here; positions go on."""
        self._begin_ms += self.ms
        self._data.clear()

    def change_format(self, audio_format: AudioFormat) -> None:
        """Take audio in another format from now on; what waits in the old one is dropped."""
        if audio_format != self.format:
            self.clear()
            self.format = audio_format

    def take_all(self) -> bytes:
        """Remove and return everything, for a commit of the client; raises `Refusal` below 100 ms."""
        if self.ms < _LEAST_COMMIT_MS:
            raise Refusal(
                "input_audio_buffer_commit_empty",
                f"Error committing input audio buffer: buffer too small. Expected at least {_LEAST_COMMIT_MS}ms of "
                f"audio, but buffer only has {self.ms:.2f}ms of audio.",
            )
        data = bytes(self._data)
        self.clear()
        return data

    def take(self, start_ms: int, end_ms: int) -> bytes:
        """Remove everything up to a position and return the part from ``start_ms`` on."""
        start, end = (self.format.size(max(0.0, ms - self._begin_ms)) for ms in (start_ms, end_ms))
        data = bytes(self._data[start:end])
        del self._data[:end]
        self._begin_ms += self.format.ms(end)
        return data

    def forget_before(self, position_ms: int) -> None:
        """Drop what is older: silence that no turn will reach back to."""
        if position_ms > self._begin_ms:
            self.take(position_ms, position_ms)


def decode_audio(encoded: str, param: str) -> bytes:
    """The bytes of a base64 field; raises `Refusal` that names the field when it holds something else or nothing."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        got = "an invalid value" if encoded else "empty bytes"
        raise Refusal("invalid_value", f"Invalid '{param}'. Expected base64-encoded audio bytes but got {got}.", param)
    return data
