"""Where no interrupt can strike: work that must be done whole runs beside the main thread."""

from __future__ import annotations

import queue
import threading
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Final

from realtime_sync._deadline import SLICE_S

__all__ = ["Control", "Task"]

_IDLE_S: Final = 2.0
_JOIN_S: Final = 0.5
_main_ident = threading.main_thread().ident


class Task:
    """A piece of work that runs once at most; who waits for it may leave, and come back."""

    __slots__ = ("_bell", "_running", "_work", "done", "fault", "left")

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = [work]
        self._running = False
        self._bell = allocate_lock()
        self._bell.acquire()  # released when it is done
        self.done = False
        self.fault: BaseException | None = None
        """What it raised."""
        self.left = False
        """Whether nobody waits for it any more: it should end soon."""

    def run(self) -> None:
        """Run it, unless it has run or was called off."""
        if self.done:
            return
        self._running = True
        try:
            while self._work:
                self._work.pop()()  # nothing refers to it any more when it is done
        except BaseException as raised:
            self.fault = raised
        self.done = True
        self._bell.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; whether it has come."""
        if not self.done and self._bell.acquire(timeout=timeout_s):
            self._bell.release()  # for others; where an interrupt keeps us from it, they find `done`
        return self.done

    def end(self) -> None:
        """Call it off, or wait for its end where it runs already. Any thread; to be repeated after an interrupt."""
        self.left = True
        self._work.clear()
        while self._running and not self.wait(SLICE_S):
            pass


class Control:
    """Does what an interrupt (Ctrl-C) must not cut in two.

    Python raises `KeyboardInterrupt` in the main thread only, between any two steps. So what the main thread wants done
    whole runs on a thread beside it while the main thread waits: an interrupt ends the waiting, not the work. On other
    threads, which no interrupt reaches, the work is just called. The thread begins with the first task and ends when
    there was none for a moment.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._begun = False  # a thread is to run, or does
        self._alive = False  # it does
        self._thread: threading.Thread | None = None

    @property
    def needed(self) -> bool:
        """Whether an interrupt may strike the calling thread."""
        return get_ident() == _main_ident

    def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` to its end; what it raises is raised here."""
        __tracebackhide__ = True
        if get_ident() == _main_ident:
            self.finish(Task(work))
        else:
            work()

    def finish(self, task: Task) -> None:
        """Have ``task`` run beside the main thread, which calls this, and wait for its end; raises what it raises."""
        __tracebackhide__ = True
        self._tasks.put(task)
        while not task.done:
            if not self._alive and not self._begin():
                task.run()  # without protection is better than not at all
            task.wait(SLICE_S)
        if task.fault is not None:
            raise task.fault

    def rest(self) -> None:
        """Nothing is to be expected for a while: the thread ends now. A further task begins another."""
        if self._thread is threading.current_thread():
            return
        if self._begun:  # but it may have yet to run: an interrupt does not wait for that
            runs = Task(lambda: None)
            self._tasks.put(runs)
            self._tasks.put(None)
            runs.wait(_JOIN_S)
        if self._thread is not None:
            self._thread.join(_JOIN_S)

    def _begin(self) -> bool:
        self._begun = True
        try:
            start_new_thread(self._start, ())  # one step: an interrupt finds it begun or not
        except RuntimeError:  # no thread can be started
            self._begun = False
            return False
        return True

    def _start(self) -> None:
        """`Thread.start` itself waits in ways that an interrupt can break: not on the main thread, therefore."""
        try:
            threading.Thread(target=self._run, name="realtime_sync-control", daemon=True).start()
        except RuntimeError:
            self._work_off()

    def _run(self) -> None:
        self._thread = threading.current_thread()
        self._work_off()

    def _work_off(self) -> None:
        self._alive = True
        try:
            while (task := self._tasks.get(timeout=_IDLE_S)) is not None:
                task.run()
                del task  # or a session would live as long as it is waited here
        except queue.Empty:
            pass
        self._begun = self._alive = False
        with suppress(queue.Empty):
            while True:  # whoever put it may have found us alive
                task = self._tasks.get_nowait()
                if task is not None:
                    task.run()
