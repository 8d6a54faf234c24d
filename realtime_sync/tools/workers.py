"""A few threads for the calls: there only while there is something to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from itertools import count

__all__ = ["Workers", "call_all"]

Job = Callable[[], object]
Lost = Callable[[Exception], object]


def call_all(calls: Iterable[Callable[[], object]]) -> None:
    """Call each in turn, also those after one that raises; what was raised last is raised in the end."""
    with ExitStack() as stack:
        for call in reversed(list(calls)):
            stack.callback(call)


class Workers:
    """Runs jobs on up to ``limit`` daemon threads; up to ``queue_limit`` further jobs wait.

    A thread starts when a job finds none free, and ends when no job waits: idle threads do not exist, so there is
    nothing to shut down. All methods may be called from any thread.
    """

    def __init__(self, limit: int, queue_limit: int) -> None:
        self._limit = limit
        self._queue_limit = queue_limit
        self._lock = threading.Lock()  # guards all below
        self._jobs: deque[tuple[Job, Lost]] = deque()
        self._threads: set[threading.Thread] = set()
        self._given_up: set[threading.Thread] = set()
        self._numbers = count(1)

    @property
    def inside(self) -> bool:
        """Whether the calling thread is one of them."""
        thread = threading.current_thread()
        with self._lock:
            return thread in self._threads or thread in self._given_up

    def submit(self, job: Job, lost: Lost) -> bool:
        """Run ``job`` when a thread is free; False when too many wait already. Where no thread can be started, and none
        is there that could run it later, ``lost`` is called with the reason instead, on any thread."""
        with self._lock:
            if len(self._jobs) >= self._queue_limit + self._limit:  # as many as `limit` may be about to be taken
                return False
            self._jobs.append((job, lost))
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
        try:
            thread.start()
        except Exception as error:  # no more threads
            with self._lock:
                self._threads.discard(thread)
                lost = [] if self._threads else [tell for _, tell in self._jobs]  # some may have waited for this thread
                if lost:
                    self._jobs.clear()
            call_all(partial(tell, error) for tell in lost)

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
                return self._jobs.popleft()[0]
            self._threads.discard(thread)  # here, under the lock: a job that comes now finds no thread and starts one
            return None
