"""One timeout across several steps, on the monotonic clock."""

from __future__ import annotations

import math
from time import monotonic
from typing import Final

from realtime_sync.errors import ConfigurationError

__all__ = ["NEVER", "SLICE_S", "Deadline", "now"]

SLICE_S: Final = 0.2
"""No wait of a user's thread is longer than this in one piece, so that Ctrl-C is never swallowed."""

_NEVER_S: Final = 4e6
"""Beyond 46 days a limit is none. Locks and polls could not count much further (on Windows: 49 days)."""

now = monotonic


class Deadline:
    """A point in time by which a whole operation must be done, however many waits it is made of.

    ``timeout_s`` is in seconds; ``None`` and infinity never expire. A negative value has expired already. Immutable, so
    any thread may use it. Raises `ConfigurationError` for what is no number, NaN included.
    """

    __slots__ = ("_at", "timeout_s")

    def __init__(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s
        self._at: float | None = None
        if timeout_s is None:
            return
        try:
            at = monotonic() + timeout_s
        except OverflowError:  # an int beyond all floats
            at = self.timeout_s = math.inf if timeout_s > 0 else -math.inf
        except TypeError:
            at = math.nan
        if at != at:
            raise ConfigurationError(f"a time limit must be a number of seconds or None, not {timeout_s!r}")
        if timeout_s < _NEVER_S:
            self._at = at

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


NEVER: Final = Deadline(None)
"""No limit."""
