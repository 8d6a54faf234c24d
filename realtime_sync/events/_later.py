"""Lists of objects that are read when somebody looks at them.

A response that is done repeats all its items, which nearly every program has seen before: to make objects of them would
be half of what such an event costs. The decoder has made sure that each entry is an object; whatever may be odd inside
one shows in it just the same, since nothing inside an entry tells on what is around it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

__all__ = ["LATER", "Unread", "as_it_stands", "later"]

C = TypeVar("C", bound=type[Any])

LATER: Final = {"later": True}
"""Metadata of a field of a class that `later` was applied to: the decoder may leave an `Unread` in it."""


class Unread(list[list[Any]]):
    """What came for a field, and the function that reads it. The list holds what was read: two threads that look at
    the same time may both read, and then both take what the first one appended."""

    __slots__ = ("_read", "raw")

    def __init__(self, raw: list[dict[str, Any]], read: Callable[[Any, Any], list[Any]]) -> None:
        self.raw: Final = raw
        self._read: Final = read

    def read(self) -> list[Any]:
        """The objects, the same ones each time."""
        self.append(self._read(self.raw, None))
        return self[0]


class _OnDemand(property):
    """Reads what stands in the slot when it is asked for; `stands` gives it as it is."""

    stands: Callable[[Any], Any]


def later(name: str) -> Callable[[C], C]:
    """Have the field ``name`` of a wire class read when somebody looks at it."""

    def decorate(cls: C) -> C:
        slot = getattr(cls, name)
        get, keep = slot.__get__, slot.__set__

        def look(made: Any) -> Any:
            found = get(made)
            if found.__class__ is Unread:
                found = found.read()
                keep(made, found)
            return found

        field = _OnDemand(look, keep)
        field.stands = get
        setattr(cls, name, field)
        return cls

    return decorate


def as_it_stands(made: Any, name: str) -> list[Any]:
    """The entries of such a field without reading them: plain JSON objects as long as nobody has looked."""
    field: _OnDemand = getattr(type(made), name)
    found = field.stands(made)
    return found.raw if found.__class__ is Unread else found or []
