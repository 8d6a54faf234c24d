"""The limits of the account as the server last reported them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from realtime_sync._deadline import now
from realtime_sync._latest import Latest
from realtime_sync.events import RateLimit

__all__ = ["RateLimitState", "RateLimits"]

_MOST_NAMES: Final = 64


@attrs.frozen
class RateLimitState:
    """One limit: how many ``requests`` or ``tokens`` are allowed and how many remained at the last report, the output
    of the response that was beginning already taken off."""

    name: str
    """``requests`` or ``tokens``, or what else the server calls it."""
    limit: int | None
    """How many are allowed."""
    remaining: int | None
    """How many were left."""
    resets_at: float | None
    """When all are available again, on the clock of `time.monotonic`."""

    @property
    def resets_in_s(self) -> float | None:
        """Seconds from now until all are available again, never below 0."""
        return None if self.resets_at is None else max(0.0, self.resets_at - now())


class RateLimits:
    """The latest report of each limit, by name: ``limits["tokens"].remaining``."""

    def __init__(self) -> None:
        self._states: dict[str, RateLimitState] = Latest(_MOST_NAMES)

    def update(self, reported: Iterable[RateLimit]) -> None:
        """Take over a report; limits that it leaves out stay."""
        for limit in reported:
            if limit.name is not None:
                resets_at = None if limit.reset_seconds is None else now() + limit.reset_seconds
                state = RateLimitState(limit.name, limit.limit, limit.remaining, resets_at)
                self._states[limit.name] = state

    def get(self, name: str) -> RateLimitState | None:
        """The limit of this name, ``None`` when the server has not reported it."""
        return self._states.get(name)

    def remaining(self, name: str) -> int | None:
        """How many of this name were left at the last report, ``None`` when that is not known."""
        state = self._states.get(name)
        return None if state is None else state.remaining

    def __getitem__(self, name: str) -> RateLimitState:
        return self._states[name]

    def __iter__(self) -> Iterator[RateLimitState]:
        return iter(list(self._states.values()))

    def __len__(self) -> int:
        return len(self._states)

    def __repr__(self) -> str:
        return f"<RateLimits: {', '.join(f'{s.name} {s.remaining} of {s.limit}' for s in self) or 'none reported'}>"
