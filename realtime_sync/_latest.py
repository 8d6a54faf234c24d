"""What is remembered for a while: of a long day only the latest."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["Latest"]

K = TypeVar("K")
V = TypeVar("V")


class Latest(dict[K, V]):
    """A dict of at most ``most`` keys: setting a further one drops the one that was set first."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __reduce__(self) -> tuple[Any, ...]:
        # The bound first, which each entry asks for; the entries at once: another thread may add one meanwhile.
        return type(self), (self._most,), None, None, iter(list(self.items()))

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self._most:
            del self[next(iter(self))]
