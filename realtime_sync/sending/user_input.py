"""What the user says, in the forms that the protocol takes: messages of text and images, audio in the session's
format."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from typing import Any, Final

from realtime_sync._containers import CONTAINER_HEAD_BYTES, container_of
from realtime_sync.errors import ConfigurationError, InvalidEvent
from realtime_sync.events import (
    InputImage,
    InputText,
    UserMessage,
)
from realtime_sync.state.facts import Sound

__all__ = ["coded_audio", "no_text", "user_message"]

_MAGIC: Final = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


def user_message(text: str | None, images: Iterable[str | os.PathLike[str] | bytes] = ()) -> UserMessage:
    """A user message with these images and then this text. An image is a URL (``https:`` or ``data:``), a path, or
    the bytes of a PNG, JPEG, GIF or WebP file. Raises `InvalidEvent` for what is none of these."""
    if isinstance(images, (str, bytes, os.PathLike)):
        images = [images]
    elif not isinstance(images, Iterable):
        raise InvalidEvent(f"images= takes a list of URLs, paths or bytes of images, not {images!r}")
    content: list[Any] = [InputImage(image_url=_image_url(image)) for image in images]
    if text is not None:
        if not isinstance(text, str):
            raise no_text(text)
        content.append(InputText(text=text))
    return UserMessage(content=content)


def no_text(given: object) -> InvalidEvent:
    """What to raise for what stands where a text should."""
    way_out = "; sound goes in as audio=" if isinstance(given, (bytes, bytearray, memoryview, os.PathLike)) else ""
    return InvalidEvent(f"the text of a message must be str, not {type(given).__name__}{way_out}")


def coded_audio(audio: Any, sound: Sound) -> bytes:
    """``audio`` as bytes in the format ``sound``, that of the session's input.

    A path, an open binary file or the bytes of a WAV file are converted from whatever rate they have. Other bytes are
    taken to be in the session's format already; arrays of 16-bit integers or of floats from -1 to 1 to be mono samples
    at its rate. Raises `ConfigurationError` for what cannot be read, `InvalidEvent` for no audio at all and for PCM
    that ends in half a sample.
    """
    coded = _coded(audio, sound)
    if not coded:
        raise InvalidEvent("audio= is empty: there is nothing to send")
    if sound.code == "pcm" and len(coded) % 2:
        raise InvalidEvent(f"audio= ends in half a 16-bit sample: {len(coded)} bytes are no whole number of samples")
    return coded


def _coded(audio: Any, sound: Sound) -> bytes:
    from realtime_sync.audio import encode_pcma, encode_pcmu, read_wav  # only who speaks pays for their tables
    from realtime_sync.audio.pcm import pcm_bytes

    code = {"pcmu": encode_pcmu, "pcma": encode_pcma}.get(sound.code or "")
    is_bytes = isinstance(audio, (bytes, bytearray, memoryview))
    if isinstance(audio, (str, os.PathLike)) or hasattr(audio, "read") or (is_bytes and bytes(audio[:4]) == b"RIFF"):
        pcm = read_wav(audio, rate_hz=sound.rate_hz)
    elif is_bytes:
        coded = bytes(audio)
        kind = container_of(coded[:CONTAINER_HEAD_BYTES])
        if kind is not None:
            raise ConfigurationError(f"audio= is {kind}: convert it to WAV first")
        return coded
    else:
        pcm = pcm_bytes(audio)
    return code(pcm) if code else pcm


def _image_url(image: str | os.PathLike[str] | bytes) -> str:
    if isinstance(image, str) and image.startswith(("https:", "http:", "data:")):
        return image
    if isinstance(image, bytes):
        content = image
    else:
        try:
            with open(os.fspath(image), "rb") as file:
                content = file.read()
        except (OSError, TypeError, ValueError) as error:
            raise InvalidEvent(f"the image {image!r} cannot be read: {error}") from None
    kind = next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)
    if kind is None:
        raise InvalidEvent("an image must be a PNG, JPEG, GIF or WebP file, or a URL")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
