"""Base64 media."""

from __future__ import annotations

from binascii import Error, a2b_base64

from realtime_sync.errors import InvalidEvent

__all__ = ["decoded"]


def decoded(base64: str | None) -> bytes:
    """The bytes of a base64 field; ``None``, from a server that left it out, is empty."""
    try:
        return a2b_base64(base64 or "")
    except (Error, ValueError) as error:
        raise InvalidEvent(f"the audio of the event is not base64: {error}") from None
