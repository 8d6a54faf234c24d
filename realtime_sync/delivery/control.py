"""Where no interrupt can strike: work that must be done whole runs beside the main thread."""

from __future__ import annotations

import queue
import threading
from _thread import start_new_thread
from collections.abc import Callable
from threading import get_ident
from typing import Final

from realtime_sync._deadline import SLICE_S

__all__ = ["Control", "Task"]

_IDLE_S: Final = 2.0
_main_ident = threading.main_thread().ident


class Task:
    """A piece of work that runs once, whoever waits for it and however often."""

    __slots__ = ("_bell", "_claimed", "done", "fault", "work")

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.fault: BaseException | None = None
        """What it raised."""
        self._claimed = threading.Lock()
        self.done = False
        self._bell = threading.Lock()
        self._bell.acquire()  # released when it is done

    def run(self) -> None:
        """Run it, unless it runs or ran already."""
        if not self._claimed.acquire(blocking=False):
            return
        try:
            self.work()
        except BaseException as raised:
            self.fault = raised
        finally:
            self.done = True
            self._bell.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has come."""
        if not self.done and self._bell.acquire(timeout=timeout_s):
            self._bell.release()  # for others; where an interrupt keeps us from it, they find `done`
        return self.done


class Control:
    """Does what an interrupt (Ctrl-C) must not cut in two.

    Python raises `KeyboardInterrupt` in the main thread only, between any two steps. So what the main thread wants done
    whole runs on a thread beside it, while the main thread waits; an interrupt ends the waiting, not the work. On other
    threads, which no interrupt reaches, the work is just called. The thread begins with the first task and ends when
    there was none for a moment.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def needed(self) -> bool:
        """Whether an interrupt may strike the calling thread."""
        return get_ident() == _main_ident

    def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` to its end; what it raises is raised here."""
        if get_ident() != _main_ident:
            work()
            return
        task = Task(work)
        self.finish(task)
        if task.fault is not None:
            raise task.fault

    def finish(self, task: Task) -> None:
        """Let ``task`` run and wait for its end. After an interrupt this may be called again, on any thread."""
        if get_ident() != _main_ident:
            task.run()  # unless the thread beside has begun it
        else:
            self._tasks.put(task)  # a task that is put twice runs once
            self._ensure_thread()
        while not task.wait(SLICE_S):
            if get_ident() == _main_ident:
                self._ensure_thread()

    def rest(self) -> None:
        """Nothing is to be expected for a while: the thread ends now. A further task begins another."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._tasks.put(None)
            if thread is not threading.current_thread():
                thread.join(SLICE_S)

    def _ensure_thread(self) -> None:
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._thread = thread = threading.Thread(
                target=_work, args=(self._tasks,), name="realtime_sync-control", daemon=True
            )
            try:
                # `start` itself waits in ways that an interrupt can break: another thread calls it.
                start_new_thread(thread.start, ())
            except RuntimeError:  # no thread can be started, at the interpreter's end for example
                self._thread = None
                while not self._tasks.empty():
                    waiting = self._tasks.get()
                    if waiting is not None:
                        waiting.run()


def _work(tasks: queue.SimpleQueue[Task | None]) -> None:
    try:
        while True:
            task = tasks.get(timeout=_IDLE_S)
            if task is not None:
                task.run()
            elif tasks.empty():
                return
    except queue.Empty:
        return
