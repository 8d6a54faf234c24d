"""The sound of a recording: what the user said, and each answer."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any, Final

from realtime_sync._arguments import answering, check_kind
from realtime_sync.audio import decode_pcma, decode_pcmu, write_wav
from realtime_sync.errors import ConfigurationError
from realtime_sync.recording.message import Message, is_hidden
from realtime_sync.recording.recording import Recording

__all__ = ["export_audio"]

_APPENDS: Final = ("input_audio_buffer.append", "session.input_audio_buffer.append")
_DELTAS: Final = ("response.output_audio.delta", "response.audio.delta", "session.output_audio.delta")
_G711: Final = {
    "audio/pcmu": decode_pcmu,
    "g711_ulaw": decode_pcmu,
    "audio/pcma": decode_pcma,
    "g711_alaw": decode_pcma,
}
_G711_RATE_HZ: Final = 8_000
_PCM_RATE_HZ: Final = 24_000


@answering
def export_audio(recording: Recording, directory: str | os.PathLike[str]) -> list[Path]:
    """Write WAV files into a directory, which is made: ``input-1.wav``, what went to the server on connection 1, and
    ``response-1-1.wav`` for each response of it with sound. The paths, in order.

    Raises `ConfigurationError` when nothing can be written, or the recording holds no audio.
    """
    check_kind("directory", directory, "the path of a directory", str, os.PathLike)
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot write to {str(target)!r}: {error.strerror}") from error
    written = []
    for number, messages in zip(sorted(recording.urls), recording.connections, strict=True):
        for name, (pcm, rate_hz) in _sounds(messages).items():
            path = target / (f"input-{number}.wav" if name == "input" else f"response-{number}-{name}.wav")
            write_wav(path, pcm, rate_hz=rate_hz)
            written.append(path)
    if not written:
        raise ConfigurationError(f"{str(recording.path)!r} holds no audio: it was not kept, or there was none")
    return written


def _sounds(messages: list[Message]) -> dict[str, tuple[bytearray, int]]:
    """The sound of the input and of each response, by their names, each with its rate in Hz."""
    sounds: dict[str, tuple[bytearray, int]] = {}
    names: dict[str, str] = {}
    formats: dict[str, Any] = {"input": None, "output": None}
    for message in messages:
        event = message.event
        if not isinstance(event, dict):
            continue
        if isinstance(event.get("session"), dict) and message.direction == "to_client":
            formats = {side: _format(event["session"], side) or formats[side] for side in formats}
        if message.type in _APPENDS:
            name, field, side = "input", "audio", "input"
        elif message.type in _DELTAS:
            response = str(event.get("response_id") or "")
            name, field, side = names.setdefault(response, str(len(names) + 1)), "delta", "output"
        else:
            continue
        pcm, rate_hz = _decoded(event.get(field), formats[side])
        if pcm:
            sounds.setdefault(name, (bytearray(), rate_hz))[0].extend(pcm)
    return sounds


def _format(session: dict[str, Any], side: str) -> Any:
    """The format of one direction, as a configuration of any dialect tells it."""
    flat = session.get(f"{side}_audio_format")
    if flat is not None:
        return {"type": flat}
    audio = session.get("audio")
    of_side = audio.get(side) if isinstance(audio, dict) else None
    return of_side.get("format") if isinstance(of_side, dict) else None


def _decoded(payload: Any, audio_format: Any) -> tuple[bytes, int]:
    if not isinstance(payload, str) or is_hidden(payload):
        return b"", 0
    try:
        data = base64.b64decode(payload)
    except (binascii.Error, ValueError):
        return b"", 0
    told = audio_format if isinstance(audio_format, dict) else {}
    decode = _G711.get(str(told.get("type")))
    if decode is not None:
        return decode(data), _G711_RATE_HZ
    rate_hz = told.get("rate")
    return data[: len(data) // 2 * 2], rate_hz if isinstance(rate_hz, int) and rate_hz > 0 else _PCM_RATE_HZ
