"""The edge of this room: exceptions of the packages underneath become ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from realtime_sync.errors import HandshakeError, RealtimeError

__all__ = ["mapped", "while_doing"]


@contextmanager
def mapped(error_of: Callable[[Exception], RealtimeError], *kinds: type[Exception]) -> Iterator[None]:
    """Raise what ``error_of`` makes of an exception of these kinds, with that as its cause. Ours pass as they are: a
    `RealtimeTimeout` is an `OSError`, too."""
    try:
        yield
    except RealtimeError:
        raise
    except kinds as error:
        raise error_of(error) from error


def while_doing(doing: str) -> Callable[[Exception], HandshakeError]:
    """What a failure of the socket means while the connection is being opened."""
    return lambda error: HandshakeError(f"{doing} failed: {getattr(error, 'strerror', None) or error}")
