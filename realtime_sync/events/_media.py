"""Base64 media."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from pybase64 import b64decode, b64encode_as_string

from realtime_sync.errors import InvalidEvent
from realtime_sync.events.base import ServerEvent

__all__ = ["AudioDelta", "decoded", "held_sound", "hold_sound", "text_on_demand"]

D = TypeVar("D", bound=type[Any])


def decoded(base64: str | None) -> bytes:
    """The bytes of a base64 field; ``None``, from a server that left it out, is empty."""
    text = base64 or ""
    with suppress(ValueError):
        return b64decode(text, None, True)
    try:
        return a2b_base64(text)  # which forgives line breaks and more, and takes 25 times as long
    except ValueError as error:
        raise InvalidEvent(f"the audio of the event is not base64: {error}") from None


class AudioDelta(ServerEvent):
    """An event whose ``delta`` is sound as base64.

    Its receiver wants the bytes, and hardly ever the text. So where the decoder has cut the bytes out of the frame (see
    `codec.sound`) only these are kept, and ``delta`` is made of them when it is asked for. It is the text that came:
    only what encodes to that very text is cut out.
    """

    __slots__ = ("_pcm",)

    def _sound(self) -> bytes:
        event: Any = self  # an annotation of the slot would count as one more field
        pcm: bytes | None = event._pcm
        return decoded(event.delta) if pcm is None else pcm


hold_sound: Final[Callable[[Any, bytes], None]] = AudioDelta._pcm.__set__  # type: ignore[attr-defined]
"""Gives an `AudioDelta` the bytes that its ``delta`` stands for."""

held_sound: Final[Callable[[Any], bytes | None]] = AudioDelta._pcm.__get__  # type: ignore[attr-defined]
"""These bytes; ``None`` of an event that has its text only."""


def text_on_demand(cls: D) -> D:
    """Let the ``delta`` of a class of `AudioDelta` be made of its bytes where it has them."""
    slot = cls.delta
    get, keep = slot.__get__, slot.__set__

    def delta(event: Any) -> Any:
        pcm = event._pcm
        return get(event) if pcm is None else b64encode_as_string(pcm)

    def set_delta(event: Any, text: Any) -> None:
        event._pcm = None
        keep(event, text)

    cls.delta = property(delta, set_delta)
    return cls
