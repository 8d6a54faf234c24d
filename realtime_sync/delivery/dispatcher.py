"""Delivery: takes events out of the inbox and gives each to the state, the waiters, the handlers and the caller.

Whatever blocks pumps: it dispatches events on its own thread until what it waits for has happened. One thread pumps
at a time. Another that wants to wait sleeps on a condition meanwhile, and takes the pump over when it becomes free.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.remarks import Remarks
from realtime_sync.errors import ConnectionClosed, InboxOverflow, RealtimeError, RealtimeTimeout, fork_error
from realtime_sync.events import ServerEvent, UnknownEvent

__all__ = ["HANDLER", "STATE", "VISITOR", "WAITER", "Dispatcher", "Receiver"]

Receiver = Callable[[Any], object]
"""Called with an event; what it returns is ignored."""

STATE: Final = 0
"""Receivers that keep the session's own state; they see an event first."""
WAITER: Final = 1
"""Receivers that a blocked call waits with."""
HANDLER: Final = 2
"""The user's handlers."""
VISITOR: Final = 3
"""The visitor of `run`."""

_log = logging.getLogger("realtime_sync")


class Dispatcher:
    """Routes events to receivers, each event once and in order.

    ``subscribe`` and ``unsubscribe`` may be called from any thread, also from a receiver; they apply from the next
    event on. ``cause`` is asked at the end for the reason that the user is told.
    """

    def __init__(self, inbox: Inbox, cause: Callable[[], RealtimeError | None]) -> None:
        self._inbox = inbox
        self._find_cause = cause
        self._pump = threading.RLock()  # held by the thread that dispatches; guards _batch
        self._batch: deque[ServerEvent] = deque()
        self._previewed = 0  # so many events of _batch have been shown to the STATE receivers already
        self._average_bytes = 0
        self._changed = threading.Condition()  # guards _sleepers; notified after an event when somebody sleeps
        self._sleepers = 0
        self._registry = threading.Lock()  # guards _receivers and the replacement of _routes
        self._receivers: list[tuple[int, type[ServerEvent] | str, Receiver]] = []
        self._routes: dict[type[ServerEvent], tuple[Receiver, ...]] = {}
        self._kept: deque[tuple[ServerEvent, int]] | None = None  # for next(): events that passed, with their size
        self._kept_bytes = 0
        self._missed = 0
        self._ended = False
        self._pid = os.getpid()
        self._cause: RealtimeError | None = None
        self.at_end: list[Callable[[RealtimeError], None]] = []
        """Called once, on the pumping thread, when the last event has been delivered."""
        self.at_idle: list[Callable[[], None]] = []
        """Called on the pumping thread when nothing has arrived for a moment."""
        self.remarks = Remarks()
        """What a wait that times out should tell."""

    # Who receives what

    def subscribe(self, stage: int, receiver: Receiver, *keys: type[ServerEvent] | str) -> None:
        """Give every further event of the classes ``keys`` (or subclasses), or of the unknown types ``keys``, to
        ``receiver``."""
        with self._registry:
            self._receivers = [*self._receivers, *((stage, key, receiver) for key in keys)]
            self._routes = {}

    def unsubscribe(self, stage: int, receiver: Receiver, *keys: type[ServerEvent] | str) -> bool:
        """Take such subscriptions back; False when there is none."""
        gone = [(stage, key, receiver) for key in keys]
        with self._registry:
            left = [entry for entry in self._receivers if entry not in gone]
            found = len(left) < len(self._receivers)
            self._receivers = left
            self._routes = {}
        return found

    def handlers(self) -> list[tuple[type[ServerEvent] | str, Receiver]]:
        """The user's handlers with their keys, in the order of registration."""
        return [(key, receiver) for stage, key, receiver in self._receivers if stage == HANDLER]

    def handles(self, cls: type[ServerEvent]) -> bool:
        """Whether a handler or a visitor will see events of this class."""
        return any(stage >= HANDLER and key in cls.__mro__ for stage, key, _ in self._receivers)

    def _chosen(self, event: ServerEvent) -> list[tuple[int, Receiver]]:
        """Who receives an event, with the stage, in order."""
        mro = type(event).__mro__
        kind = event.type if isinstance(event, UnknownEvent) else None
        with self._registry:
            entries = [
                (stage, r) for stage, key, r in self._receivers if (key == kind if key.__class__ is str else key in mro)
            ]
        return sorted(entries, key=lambda entry: entry[0])

    def _route(self, event: ServerEvent) -> tuple[Receiver, ...]:
        cls = type(event)
        with self._registry:
            routes = self._routes  # a change of the receivers meanwhile replaces it: what is stored then is forgotten
        route = tuple(receiver for _, receiver in self._chosen(event))
        if cls is not UnknownEvent:  # whose receivers depend on the type of each event
            routes[cls] = route
        return route

    # Pumping

    @property
    def ended(self) -> bool:
        """Whether the last event has been delivered."""
        return self._ended

    @property
    def cause(self) -> RealtimeError | None:
        """Why the events ended; ``None`` before that and after a clean end."""
        return self._cause

    def wait(
        self,
        done: Callable[[], bool],
        deadline: Deadline,
        what: str,
        tell: Callable[[Exception], object] | None = None,
    ) -> None:
        """Dispatch events until ``done()``, here or on the thread that is dispatching already. At the deadline, also
        one that has passed already, what has arrived is dispatched once more.

        Raises `RealtimeTimeout` at the deadline, the cause of the end when the events end first, and whatever a
        handler raised if this thread ran it; with ``tell`` that is told instead, and the waiting goes on.
        """
        mark = self.remarks.count
        while not done():
            if self._pump.acquire(blocking=False):
                try:
                    while not done():
                        if deadline.expired:
                            self._drain(done, tell)
                            if not done():
                                self._check(deadline, what, mark)
                            break
                        self._check_end(what)
                        self.step(deadline.slice(), tell)
                finally:
                    self._leave()
            else:
                self._sleep(done, deadline)
                if not done():
                    self._check(deadline, what, mark)

    def poll(self) -> int:
        """Dispatch what has arrived by now and return how many events that were; never waits.

        0 while another thread dispatches. Raises what a handler raised, and the cause of the end when nothing is left.
        """
        if not self._pump.acquire(blocking=False):
            return 0
        try:
            count = self._drain(lambda: False)
        finally:
            self._leave()
        if not count and self._ended and self._cause is not None:
            raise self._cause
        return count

    @property
    def bells(self) -> set[threading.Event]:
        """Are rung when something has arrived: of those who wait for several dispatchers at once. Any thread."""
        return self._inbox.bells

    def ready(self) -> bool:
        """Whether whoever dispatches now would find something: an event, one that is kept for `next`, or the end.
        Nothing is dispatched; false while another thread dispatches."""
        if self._kept or self._missed:
            return True
        if not self._pump.acquire(blocking=False):
            return False
        try:
            looks = self._inbox.waiting_batches + 1  # one more, for what is idle; one that only wakes has no events
            while not self._batch and looks:
                looks -= 1
                self._refill(0.0)
            return bool(self._batch) or self._ended
        finally:
            self._leave()

    def _drain(self, done: Callable[[], bool], tell: Callable[[Exception], object] | None = None) -> int:
        """Dispatch what has arrived by now, until ``done()``, and return how many events that were. The caller holds
        the pump."""
        count = 0
        # What arrives meanwhile does not count, or a busy server could keep us here. One look more, for what is idle.
        looks = self._inbox.waiting_batches + 1
        while not done():
            if not self._batch:
                if not looks:
                    break
                looks -= 1
            count += self.step(0.0, tell)
        return count

    def step(self, wait_s: float, tell: Callable[[Exception], object] | None = None) -> bool:
        """Dispatch the next event, if one comes within ``wait_s`` seconds. The caller holds the pump. What a handler
        raises is raised when all have run, or given to ``tell``."""
        batch = self._batch
        if not batch and not self._refill(wait_s):
            return False
        event = batch.popleft()
        if self._kept is not None:
            self._keep(self._kept, event)
        route = self._routes.get(type(event))
        if route is None:
            route = self._route(event)
        if self._previewed:
            self._previewed -= 1
            route = tuple(receiver for stage, receiver in self._chosen(event) if stage != STATE)
        fault: Exception | None = None
        for receiver in route:
            try:
                receiver(event)
            except Exception as raised:
                if fault is not None:
                    _log.error("a further handler of %s failed", event.type, exc_info=raised)
                fault = fault or raised
        if self._sleepers:
            with self._changed:
                self._changed.notify_all()
        if fault is not None:
            if tell is None:
                raise fault
            tell(fault)
        return True

    def preview(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Show what arrives to the STATE receivers, ahead of all others, until ``done()``; the others get it when it is
        dispatched. For the set-up, when nobody else pumps. Raises as `wait` does."""
        mark = self.remarks.count
        with self._pump:
            while not done():
                if self._previewed < len(self._batch):
                    event = self._batch[self._previewed]
                    self._previewed += 1
                    for stage, receiver in self._chosen(event):
                        if stage == STATE:
                            receiver(event)
                    continue
                if self._ended:
                    raise self._cause or ConnectionClosed(f"the session was closed while waiting for {what}", code=1000)
                if deadline.expired:
                    raise self._late(deadline, what, mark)
                self._refill(deadline.slice())

    def next(self, deadline: Deadline) -> ServerEvent | None:
        """The next event after it went through the receivers; ``None`` after a clean end.

        From the first call on, events that pass while another call pumps are kept for the next one, as many as the
        inbox may hold. Were there more, this raises `InboxOverflow` once where they are missing.
        """
        kept = self._kept
        if kept is None:
            kept = self._kept = deque()
        while True:
            if self._batch and not kept and not self._missed and self._pump.acquire(blocking=False):
                # What is here already needs no wait, which costs more than all else of an iteration.
                try:
                    if self._batch:
                        self.step(0.0)
                finally:
                    self._leave()
            try:
                event, size_bytes = kept.popleft()
            except IndexError:
                self._report_missed()
                if self._ended and self._cause is None:
                    return None
            else:
                self._kept_bytes -= size_bytes
                return event
            self.wait(lambda: bool(kept) or (self._ended and self._cause is None), deadline, "the next event")

    def wake(self) -> None:
        """Make a `run` that waits for events look at its stop condition now. Any thread."""
        self._inbox.wake()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Dispatch events until ``stopped()`` or the end, whose cause is raised."""
        while not self._pump.acquire(timeout=SLICE_S):
            if stopped():
                return
        try:
            while not stopped() and not (self._ended and not self._batch):
                self.step(SLICE_S)
        finally:
            self._leave()
        if self._cause is not None and not stopped():
            raise self._cause

    def _refill(self, wait_s: float) -> bool:
        if self._ended:
            return False
        self._check_process()
        taken = self._inbox.take(wait_s)
        if taken is None:
            self._end()
            return False
        events, size_bytes = taken
        if not events:
            for hook in self.at_idle:
                hook()
            return False
        self._average_bytes = size_bytes // len(events)
        self._batch.extend(events)
        for text in self._inbox.remarks():
            self.remarks.note(text, answer=False)
        return True

    def _end(self) -> None:
        self._cause = self._cause or self._find_cause()
        self._ended = True
        told = self._cause or ConnectionClosed("the session is closed", code=1000)
        for tell in self.at_end:
            tell(told)
        with self._changed:
            self._changed.notify_all()

    def _keep(self, kept: deque[tuple[ServerEvent, int]], event: ServerEvent) -> None:
        size_bytes = self._average_bytes
        if self._missed or self._kept_bytes + size_bytes > self._inbox.limit_bytes:
            self._missed += 1
            return
        self._kept_bytes += size_bytes
        kept.append((event, size_bytes))

    def _report_missed(self) -> None:
        missed, self._missed = self._missed, 0
        if missed:
            limit_bytes = self._inbox.limit_bytes
            raise InboxOverflow(
                f"{missed} events passed while other calls waited and were given to the handlers only: more than"
                f" {limit_bytes} bytes were kept for recv() already; the session goes on",
                limit_bytes=limit_bytes,
            )

    def _check_end(self, what: str) -> None:
        if self._ended and not self._batch:
            raise self._cause or ConnectionClosed(f"the session was closed while waiting for {what}", code=1000)

    def _check(self, deadline: Deadline, what: str, mark: int) -> None:
        self._check_end(what)
        if deadline.expired:
            raise self._late(deadline, what, mark)

    def _late(self, deadline: Deadline, what: str, mark: int) -> RealtimeTimeout:
        return RealtimeTimeout(f"waited {deadline.timeout_s:g} s for {what}{self.remarks.since(mark)}")

    def _check_process(self) -> None:
        """Nothing arrives in a fork: the reader stayed with the parent."""
        if os.getpid() != self._pid:
            raise fork_error()

    def _sleep(self, done: Callable[[], bool], deadline: Deadline) -> None:
        self._check_process()
        with self._changed:
            self._sleepers += 1
            try:
                if not done() and not self._ended:
                    self._changed.wait(deadline.slice())
            finally:
                self._sleepers -= 1

    def _leave(self) -> None:
        self._pump.release()
        if self._sleepers:
            with self._changed:
                self._changed.notify_all()
