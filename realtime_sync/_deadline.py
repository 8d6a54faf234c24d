"""One timeout across several steps, on the monotonic clock."""

from __future__ import annotations

from time import monotonic
from typing import Final

__all__ = ["SLICE_S", "Deadline", "now"]

SLICE_S: Final = 0.2
"""No wait of a user's thread is longer than this in one piece, so that Ctrl-C is never swallowed."""

now = monotonic


class Deadline:
    """A point in time by which a whole operation must be done, however many waits it is made of.

    ``timeout_s`` is in seconds; ``None`` never expires. A negative value has expired already. Immutable, so any
    thread may use it.
    """

    __slots__ = ("_at", "timeout_s")

    def __init__(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s
        self._at = None if timeout_s is None else monotonic() + timeout_s

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self._at is not None and monotonic() >= self._at

    def remaining(self) -> float | None:
        """Seconds left, never below 0; ``None`` when there is no limit."""
        return None if self._at is None else max(0.0, self._at - monotonic())

    def slice(self, most_s: float = SLICE_S) -> float:
        """Seconds to wait now in one piece: what remains, at most ``most_s``."""
        return most_s if self._at is None else max(0.0, min(most_s, self._at - monotonic()))
