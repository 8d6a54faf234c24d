"""A thread that dispatches in the background, for notebooks and for programs that have a main loop of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import Dispatcher
from realtime_sync.errors import RealtimeError, RealtimeTimeout

__all__ = ["BackgroundPump"]

_log = logging.getLogger("realtime_sync")

_START_S: Final = 2.0


class BackgroundPump:
    """Runs the dispatcher on a thread of its own until it is told to stop or the events end.

    An exception of a handler is logged, given to ``on_error`` and kept; the thread goes on with the next event.
    """

    def __init__(self, dispatcher: Dispatcher, on_error: Callable[[Exception], object] | None) -> None:
        self._dispatcher = dispatcher
        self._on_error = on_error
        self._stopped = False  # no Event: an interrupt in its `set` would leave its lock held
        self._waiting = True  # has yet to find the pump
        self._found = threading.Event()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="realtime_sync-dispatch", daemon=True)

    def start(self) -> None:
        """Start the thread; returns when it dispatches, or another thread does. Whoever waits afterwards would else
        run handlers in its place, where the machine is late."""
        self._thread.start()
        if not self._dispatcher.busy:
            self._found.wait(_START_S)

    @property
    def alive(self) -> bool:
        """Whether it still dispatches."""
        return self._thread.is_alive()

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller runs on the background thread, in a handler."""
        return threading.current_thread() is self._thread

    def request_stop(self) -> None:
        """Stop after the current event; does not wait."""
        self._stopped = True
        self._dispatcher.wake()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end. Raises `RealtimeTimeout` when it has not come by then. From a handler
        it returns at once."""
        if self.is_this_thread:
            return
        deadline = Deadline(timeout_s)
        while self._thread.is_alive() and not deadline.expired:
            self._thread.join(deadline.slice())
        if self._thread.is_alive():
            raise RealtimeTimeout(
                f"the background dispatch has not ended {timeout_s:g} s after the stop was asked for: a handler that is"
                " running ends first"
            )

    def raise_fault(self) -> None:
        """Raise the first exception of a handler, once."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _stop_asked(self) -> bool:
        if self._waiting:  # asked for the first time: with the pump, or since another thread keeps it
            self._waiting = False
            self._found.set()
        return self._stopped

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._dispatcher.run(self._stop_asked, self._fail)
            except Exception as fault:
                if fault is self._dispatcher.cause:
                    _log.warning("the session ended: %s", fault)
                    self._tell(fault)
                    return
                self._fail(fault)
            except BaseException as exit_:  # sys.exit() in a handler: it ends the thread, but not without a word
                _log.error("a handler ended the background thread", exc_info=exit_)
                ended = RealtimeError(f"a handler ended the background thread by raising {type(exit_).__name__}")
                ended.__cause__ = exit_
                self._fault = self._fault or ended
                self._tell(ended)
                return
            else:
                return

    def _fail(self, fault: Exception) -> None:
        _log.error("a handler failed", exc_info=fault)
        self._fault = self._fault or fault
        self._tell(fault)

    def _tell(self, fault: Exception) -> None:
        if self._on_error is None:
            return
        try:
            self._on_error(fault)
        except Exception:
            _log.exception("the hook for errors failed")
