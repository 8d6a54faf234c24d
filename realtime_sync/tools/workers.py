"""A few threads for the calls: there only while there is something to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import count

__all__ = ["Workers"]

Job = Callable[[], object]


class Workers:
    """Runs jobs on up to ``limit`` daemon threads; up to ``queue_limit`` further jobs wait.

    A thread starts when a job finds none free, and ends when no job waits: idle threads do not exist, so there is
    nothing to shut down. All methods may be called from any thread.
    """

    def __init__(self, limit: int, queue_limit: int) -> None:
        self._limit = limit
        self._queue_limit = queue_limit
        self._lock = threading.Lock()  # guards all below
        self._jobs: deque[Job] = deque()
        self._threads: set[threading.Thread] = set()
        self._given_up: set[threading.Thread] = set()
        self._numbers = count(1)

    def submit(self, job: Job) -> bool:
        """Run ``job`` when a thread is free; False when too many wait already."""
        with self._lock:
            if len(self._jobs) >= self._queue_limit + self._limit:  # as many as `limit` may be about to be taken
                return False
            self._jobs.append(job)
        self._grow()
        return True

    def give_up(self, thread: threading.Thread) -> None:
        """The job of ``thread`` hangs: another thread may take its place. It ends when its job does; ``limit`` such
        threads at most are replaced."""
        with self._lock:
            if thread not in self._threads or len(self._given_up) >= self._limit:
                return
            self._threads.discard(thread)
            self._given_up.add(thread)
        self._grow()

    def _grow(self) -> None:
        with self._lock:
            if not self._jobs or len(self._threads) >= self._limit:
                return
            name = f"realtime_sync-tool-{next(self._numbers)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.add(thread)
        thread.start()

    def _work(self) -> None:
        thread = threading.current_thread()
        try:
            while (job := self._next(thread)) is not None:
                job()
        finally:
            with self._lock:
                self._threads.discard(thread)
                self._given_up.discard(thread)
            self._grow()  # a job that raised has left others waiting

    def _next(self, thread: threading.Thread) -> Job | None:
        with self._lock:
            if self._jobs and thread in self._threads:
                return self._jobs.popleft()
            self._threads.discard(thread)  # here, under the lock: a job that comes now finds no thread and starts one
            return None
