"""The time limits of calls that run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from threading import Condition
from typing import Any

from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.tools.rounds import RunningCall

__all__ = ["Watch"]

_log = logging.getLogger("realtime_sync")


class Watch:
    """Calls ``give_up`` for each call whose time is up, on a thread of its own, and ``look`` now and then meanwhile.
    The thread is there as long as there is something to watch. ``lock`` guards all of it, and the state of calls."""

    def __init__(self, lock: Any, give_up: Callable[[RunningCall], object], look: Callable[[], object]) -> None:
        self._lock = lock
        # For the watch alone: to enter a condition is a call that an interrupt can leave with the lock held.
        self._changed = Condition(lock)
        self._give_up = give_up
        self._look = look
        self._watched: set[RunningCall] = set()
        self._thread: threading.Thread | None = None

    @property
    def inside(self) -> bool:
        """Whether the calling thread is that of the watch."""
        return threading.current_thread() is self._thread

    def over(self, running: RunningCall, deadline: Deadline | None) -> None:
        """Give a call up at ``deadline``; ``None``: never. Raises `RuntimeError` when no thread can be started."""
        with self._lock:
            if running.settled:
                return
            running.deadline = deadline
            self._watched.add(running)
            self._changed.notify_all()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="realtime_sync-tool-watch", daemon=True)
                thread.start()
                self._thread = thread  # now: one that could not be started watches nothing

    def forget_locked(self, running: RunningCall) -> None:
        """Watch over a call no more."""
        self._watched.discard(running)
        self._changed.notify_all()

    def clear_locked(self) -> None:
        """Watch over none any more."""
        self._watched.clear()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
                deadlines = [running.deadline for running in self._watched if running.deadline is not None]
                self._changed.wait(min((deadline.slice() for deadline in deadlines), default=SLICE_S))
                expired = [r for r in self._watched if r.deadline is not None and r.deadline.expired]
            for running in expired:
                try:
                    self._give_up(running)
                except BaseException:  # a hook; the other calls are watched all the same
                    _log.exception("a call was not given up in good order")
            self._look()
