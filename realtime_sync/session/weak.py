"""References that do not keep a session: a thread of `start` holds whatever the dispatcher refers to."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeVar

from realtime_sync.errors import ConnectionClosed

__all__ = ["WeakSession", "weakly"]

R = TypeVar("R")

_ENDING: Final = ("close", "stop")


def weakly(method: Callable[..., R]) -> Callable[..., Any]:
    """The method as long as its object is there; then a function that does nothing."""
    known = weakref.WeakMethod(method)

    def call(*given: Any) -> R | None:
        bound = known()
        return None if bound is None else bound(*given)

    return call


class WeakSession:
    """Stands for a session, in all that can be called by name; one that nobody refers to any more is a closed one: its
    verbs are there, and raise when they are called, but for those that end what has ended."""

    def __init__(self, session: Any) -> None:
        self._known = weakref.ref(session)
        self._kind = type(session)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self._kind

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        session = self._known()
        return session is None or bool(session.closed)

    def off(self, key: Any, handler: Callable[[Any], object]) -> bool:
        """As that of the session; there is nothing to take back from one that is gone."""
        session = self._known()
        return session is not None and bool(session.off(key, handler))

    def __getattr__(self, name: str) -> Any:
        session = self._known()
        if session is not None:
            return getattr(session, name)
        if callable(getattr(self._kind, name, None)):
            return _nothing if name in _ENDING else _gone
        _gone()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__getattr__("__iter__")())

    def __repr__(self) -> str:
        session = self._known()
        return "<a session that nobody refers to>" if session is None else repr(session)


def _nothing(*given: Any, **named: Any) -> None:
    pass


def _gone(*given: Any, **named: Any) -> NoReturn:
    raise ConnectionClosed("nobody refers to this session any more: it is closed", code=1000)
