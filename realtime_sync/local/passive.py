"""The end of a connection that does nothing by itself: another one decides, a recording or a real server."""

from __future__ import annotations

__all__ = ["Passive"]


class Passive:
    """What a `Session` does as time passes or on command, and this does not."""

    @property
    def next_deadline_s(self) -> float | None:
        """Time alone brings nothing about."""
        return None

    def on_time(self) -> None:
        """Do nothing."""

    def expire(self) -> None:
        """Do nothing: a recording, or the real server, has its own end."""

    def silence(self) -> None:
        """Do nothing."""
