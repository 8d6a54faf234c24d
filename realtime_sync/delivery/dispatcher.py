"""Delivery: takes events out of the inbox and gives each to the state, the waiters, the handlers and the caller.

Whatever blocks pumps: it dispatches events on its own thread until what it waits for has happened. One thread pumps
at a time. Another that wants to wait sleeps meanwhile, and takes the pump over when it becomes free.

An interrupt (Ctrl-C) may strike the main thread between any two steps. **An event that is being delivered is kept, with
the number of the receivers that had it, until all of them had it**; whoever pumps next goes on there. (Where one
handler at most receives it, nothing is left when its call has begun.) A receiver of the user is counted right before it
is called, with nothing in between. The library's own receivers run on the thread beside (`Control`), where no interrupt
strikes; it goes on with further events until one has receivers of the user, or what the main thread waits for has
happened. What moves an event makes no call in between, behind which an interrupt could come.
"""

from __future__ import annotations

import logging
import os
import threading
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import get_ident
from typing import Final

from realtime_sync._deadline import NEVER, SLICE_S, Deadline, now
from realtime_sync.delivery.control import Control, Task
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.remarks import Remarks
from realtime_sync.delivery.routes import HANDLER, STATE, VISITOR, WAITER, Prepared, Receiver, Route, Routes
from realtime_sync.errors import ConnectionClosed, InboxOverflow, RealtimeError, RealtimeTimeout, check_process
from realtime_sync.events import ServerEvent

__all__ = ["HANDLER", "STATE", "VISITOR", "WAITER", "Dispatcher", "Prepared", "Receiver"]

_PAST: Final = Deadline(0.0)
_log = logging.getLogger("realtime_sync")

_FORKS: Final = [0]
"""How many forks have led to this process: quicker to look at for each event than its id."""


def _count_fork() -> None:
    _FORKS[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class _Delivery:
    """An event on its way to its receivers."""

    __slots__ = ("event", "fault", "outer", "route", "served")

    event: ServerEvent
    route: Route
    served: int  # how many of its receivers had it, or are being called
    fault: Exception | None  # what the first of them raised
    outer: _Delivery | None  # the one that goes on when this one is at its end


class Dispatcher:
    """Routes events to receivers, each event once and in order.

    ``subscribe`` and ``unsubscribe`` may be called from any thread, also from a receiver; they apply from the next
    event on. ``cause`` is asked at the end for the reason that the user is told.
    """

    def __init__(self, inbox: Inbox, cause: Callable[[], RealtimeError | None]) -> None:
        self._inbox = inbox
        self._find_cause = cause
        self._routes = Routes()
        self.subscribe = self._routes.add
        self.unsubscribe = self._routes.remove
        self.handlers = self._routes.handlers
        self.handles = self._routes.handles
        # Held by the thread that dispatches; guards all of the following. It can be given back without knowing whether
        # it was taken.
        self._pump = threading.RLock()
        self._pumper: int | None = None  # the thread that holds it, by its ident
        self._batch: deque[ServerEvent] = deque()
        self._previewed = 0  # so many events of _batch have been shown to the STATE receivers already
        self._delivery: _Delivery | None = None  # the latest that is not at its end
        self._serving: _Delivery | None = None  # the one of which a receiver is being called
        self._task: Task | None = None  # of the thread beside, which dispatches in the place of the pumper
        self._step_now = partial(self.step, _PAST)
        self._count = 0  # events that this pump has taken out of _batch
        self._kept: deque[tuple[ServerEvent, int]] | None = None  # for next(): events that passed, with their size
        self._kept_bytes = 0
        self._missed = 0
        self._sleepers: deque[LockType] = deque()  # of threads that wait; each is released and goes
        self._ended = False
        self._pid = os.getpid()
        self._forks = _FORKS[0]
        self._cause: RealtimeError | None = None
        self.control = Control()
        """Runs what an interrupt must not cut in two."""
        self.at_end: list[Callable[[RealtimeError], None]] = []
        """Called once, when the last event has been delivered; where no interrupt strikes."""
        self.goodbye: Callable[[], ConnectionClosed | None] = lambda: None
        """Asked after a clean end for what the server said with it."""
        self.survives: Callable[[], bool] = lambda: False
        """Asked where the events of a connection end, where no interrupt strikes: whether those of another follow."""
        self.at_idle: list[Callable[[], None]] = []
        """Called on the pumping thread when nothing has arrived for a moment."""
        self.remarks = Remarks()
        """What a wait that times out should tell."""

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
        *,
        since: int | None = None,
    ) -> None:
        """Dispatch events until ``done()``, here or on the thread that is dispatching already. At the deadline, also
        one that has passed already, what has arrived is dispatched once more.

        Raises `RealtimeTimeout` at the deadline, the cause of the end when the events end first, and whatever a
        handler raised if this thread ran it; with ``tell`` that is told instead, and the waiting goes on. A timeout
        tells the remarks after the first ``since``; ``None`` means those that come from now on.
        """
        __tracebackhide__ = True  # here and below, where a wait stands when Ctrl-C ends it
        check_process(self._pid)  # before the pump, whose owner may not be there in a fork
        mark = self.remarks.count if since is None else since
        while not done():
            if not self._with_pump(partial(self._pump_until, done, deadline, what, mark, tell)):
                self._sleep(done, deadline)
                if not done():
                    self._check(deadline, what, mark)

    def waiting(self) -> Callable[[Callable[[], bool], Deadline, str], None]:
        """`wait` for somebody who asks now, and waits later: a timeout tells what another thread dispatched meanwhile,
        too."""
        return partial(self.wait, since=self.remarks.count)

    def poll(self) -> int:
        """Dispatch what has arrived by now and return how many events that were; never waits.

        0 while another thread dispatches. Raises what a handler raised, and the cause of the end when nothing is left.
        """
        check_process(self._pid)
        counts = [0]
        self._with_pump(lambda: counts.append(self._drain(lambda: False)))
        count = counts[-1]
        if not count and self._ended and self._cause is not None:
            raise self._cause
        return count

    def run(self, stopped: Callable[[], bool], tell: Callable[[Exception], object] | None = None) -> None:
        """Dispatch events until ``stopped()`` or the end, whose cause is raised. What a handler raises is raised, or
        given to ``tell``, and then no other thread comes to dispatch in between."""
        check_process(self._pid)
        while not self._with_pump(lambda: self._run_until(stopped, tell), SLICE_S):
            if stopped():
                return
        if self._cause is not None and not stopped():
            raise self._cause

    @property
    def busy(self) -> bool:
        """Whether a thread dispatches now."""
        return self._pumper is not None

    def place(self) -> int:
        """How many events had arrived up to the one that is shown to the STATE receivers now."""
        return self._inbox.taken - len(self._batch) + self._previewed

    @property
    def bells(self) -> set[threading.Event]:
        """Are rung when something has arrived: of those who wait for several dispatchers at once. Any thread."""
        return self._inbox.bells

    def ready(self) -> bool:
        """Whether whoever dispatches now would find something: an event, one that is kept for `next`, or the end.
        Nothing is dispatched; false while another thread dispatches."""
        if self._kept or self._missed:
            return True
        if not self._with_pump(self._look):
            return False
        return bool(self._batch) or self._delivery is not self._serving or self._ended

    def next(self, deadline: Deadline) -> ServerEvent | None:
        """The next event after it went through the receivers; ``None`` after a clean end.

        From the first call on, events that pass while another call pumps are kept for the next one, as many as the
        inbox may hold. Were there more, this raises `InboxOverflow` once where they are missing.
        """
        if _FORKS[0] != self._forks:
            check_process(self._pid)  # what is kept came to the parent
        kept = self._kept
        if kept is None:
            kept = self._kept = deque()
        while True:
            if self._batch and not kept and not self._missed:
                # What is here already needs no wait, which costs more than all else of an iteration.
                self._with_pump(self._step_now)
            try:
                event, size_bytes = kept[0]
                # No call up to the caller: neither an interrupt nor another thread comes in between.
                del kept[0]
                self._kept_bytes -= size_bytes
                return event
            except IndexError:
                self._report_missed()
                if self._ended and self._cause is None:
                    return None
            self.wait(lambda: bool(kept) or (self._ended and self._cause is None), deadline, "the next event")

    def preview(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Show what arrives to the STATE receivers, ahead of all others, until ``done()``; the others get it when it is
        dispatched. For the set-up, when nobody else pumps, and which an interrupt ends. Raises as `wait` does."""
        mark = self.remarks.count
        with self._pump:
            while not done():
                if self._previewed < len(self._batch):
                    event = self._batch[self._previewed]
                    self._previewed += 1
                    for receiver in self._routes.state_of(event):
                        receiver(event)
                    continue
                if self._ended:
                    raise self._told(f"the session was closed while waiting for {what}")
                if deadline.expired:
                    raise self._late(deadline, what, mark)
                self._refill(deadline)

    def wake(self) -> None:
        """Make a `run` that waits for events look at its stop condition now. Any thread."""
        self._inbox.wake()

    # The pump

    def _with_pump(self, act: Callable[[], object], patience_s: float = 0.0) -> bool:
        """Call ``act`` while this thread holds the pump; False when another one holds it so long."""
        __tracebackhide__ = True
        me = get_ident()
        nested = self._pumper == me  # in a handler
        serving, count = (self._serving, self._count) if nested else (None, 0)
        try:
            taken = self._pump.acquire(True, patience_s) if patience_s else self._pump.acquire(False)
            if taken:
                self._serving = serving
                self._pumper = me
                act()
            return taken
        finally:
            # An interrupt may come when the pump has been taken and `acquire` has not said so yet: it is given back
            # without asking, and at once. The lock itself knows whose it is.
            if self._pumper == me:
                self._serving = serving
                self._count = count
                if not nested:
                    self._pumper = None
            try:
                self._pump.release()
            except RuntimeError:
                pass
            else:
                if self._sleepers:
                    self._wake_sleepers()

    def _pump_until(
        self,
        done: Callable[[], bool],
        deadline: Deadline,
        what: str,
        mark: int,
        tell: Callable[[Exception], object] | None,
    ) -> None:
        __tracebackhide__ = True
        while not done():
            if deadline.expired:
                self._drain(done, tell)
                if not done():
                    self._check(deadline, what, mark)
                return
            if self._ended:
                self._check_end(what)
            self.step(deadline, tell, done)

    def _run_until(self, stopped: Callable[[], bool], tell: Callable[[Exception], object] | None) -> None:
        __tracebackhide__ = True
        while not stopped() and not (self._ended and self._at_end):
            self.step(NEVER, tell, stopped)

    def _look(self) -> None:
        """Take what has arrived out of the inbox, if nothing has been taken yet."""
        self._end_task()
        looks = self._inbox.waiting_batches + 1  # one more, for what is idle; one that only wakes has no events
        while not self._batch and looks:
            looks -= 1
            self._refill(_PAST)

    def _drain(self, done: Callable[[], bool], tell: Callable[[Exception], object] | None = None) -> int:
        """Dispatch what has arrived by now, until ``done()``; how many events that were."""
        before = self._count
        # What arrives meanwhile does not count, or a busy server could keep us here. One look more, for what is idle.
        looks = self._inbox.waiting_batches + 1
        while not done():
            if not self._batch and self._delivery is self._serving:
                if not looks:
                    break
                looks -= 1
            self.step(_PAST, tell, done)
        return self._count - before

    def step(
        self,
        deadline: Deadline,
        tell: Callable[[Exception], object] | None = None,
        done: Callable[[], bool] | None = None,
    ) -> bool:
        """Deliver the next event, if one comes by ``deadline`` or within a slice, and perhaps further ones until
        ``done()``; whether one came. The caller holds the pump. What a handler raises is raised when all have run, or
        given to ``tell``."""
        if self._task is not None:
            self._end_task()
        delivery, batch = self._delivery, self._batch
        if delivery is self._serving:
            if not batch:
                self._refill(deadline)
                if not batch:
                    return False
            event = batch[0]
            route = self._routes.known.get(type(event))
            if route is not None and route.light and not self._previewed:
                return self._pass_on(event, route.others, tell)
            delivery = self._begin(event)
        assert delivery is not None
        fault = self._deliver(delivery, deadline, done)
        if fault is not None:
            if tell is None:
                raise fault
            tell(fault)
        return True

    def _pass_on(
        self, event: ServerEvent, handlers: tuple[Receiver, ...], tell: Callable[[Exception], object] | None
    ) -> bool:
        """The usual case: one handler at most. Once its call has begun, nothing is left that could be lost, so nothing
        is kept of the event."""
        serving, kept = self._serving, self._kept
        if kept is not None:
            size_bytes = self._inbox.average_bytes
            if self._missed or self._kept_bytes + size_bytes > self._inbox.limit_bytes:
                self._missed += 1
            else:
                self._kept_bytes += size_bytes
                kept += ((event, size_bytes),)
        self._count += 1
        del self._batch[0]
        fault: Exception | None = None
        for handler in handlers:
            try:
                handler(event)
            except Exception as raised:
                fault = self._finish_inner(serving, raised)  # an interrupt in there tells of `raised` as its context
        if self._task is not None or self._delivery is not serving:
            fault = self._finish_inner(serving, fault)
        if self._sleepers:
            self._wake_sleepers()
        if fault is not None:
            if tell is None:
                raise fault
            tell(fault)
        return True

    def _begin(self, event: ServerEvent) -> _Delivery:
        """Take the next event out of the batch."""
        batch = self._batch
        previewed, kept = self._previewed, self._kept
        delivery = _Delivery()
        delivery.event = event
        delivery.route = self._routes.after_state(event) if previewed else self._routes.of(event)
        delivery.served = 0
        delivery.fault = None
        delivery.outer = self._delivery
        size_bytes = self._inbox.average_bytes
        # From here on no call: an interrupt finds the event in the batch, or on its way.
        if kept is not None:
            if self._missed or self._kept_bytes + size_bytes > self._inbox.limit_bytes:
                self._missed += 1
            else:
                self._kept_bytes += size_bytes
                kept += ((event, size_bytes),)
        if previewed:
            self._previewed = previewed - 1
        self._count += 1
        self._delivery = delivery
        del batch[0]
        return delivery

    def _deliver(
        self, delivery: _Delivery, deadline: Deadline, done: Callable[[], bool] | None = None
    ) -> Exception | None:
        """Give an event to those who have not had it; what the first of them raised."""
        if delivery.served < len(delivery.route.own):
            if delivery.route.guarded and self.control.needed:
                left = self._beside(deadline, done)
                if left is None:
                    return None
                delivery = left
            else:
                self._serve_own(delivery)
        event, route = delivery.event, delivery.route
        serving, self._serving = self._serving, delivery
        served = delivery.served
        for receiver in route.others[served - len(route.own) :]:
            served += 1
            chosen: Receiver | None = receiver
            try:
                if route.prepared and isinstance(receiver, Prepared):
                    chosen = receiver.prepare(event)
                delivery.served = served
                if chosen is not None:
                    chosen(event)
            except Exception as raised:
                delivery.served = served
                delivery.fault = _first(delivery.fault, raised, event)
            if self._task is not None or self._delivery is not delivery:
                delivery.fault = self._finish_inner(delivery, delivery.fault)
        self._serving = serving
        self._delivery = delivery.outer
        if self._sleepers:
            self._wake_sleepers()
        return delivery.fault

    def _serve_own(self, delivery: _Delivery) -> None:
        """Give an event to the library's own receivers: where no interrupt strikes, or a delta."""
        own = delivery.route.own
        while delivery.served < len(own):
            try:
                own[delivery.served](delivery.event)
            except Exception as raised:
                delivery.fault = _first(delivery.fault, raised, delivery.event)
            delivery.served += 1

    def _finish_inner(self, serving: _Delivery | None, fault: Exception | None) -> Exception | None:
        """An interrupt has struck in a handler that waited for later events, and the handler went on: so do these. The
        first of the faults, ``fault`` included."""
        self._end_task()
        while (inner := self._delivery) is not None and inner is not serving:
            self._serving = serving
            raised = self._deliver(inner, _PAST)
            if raised is not None:
                fault = _first(fault, raised, inner.event)
        self._serving = serving
        return fault

    # Beside the main thread

    def _beside(self, deadline: Deadline, done: Callable[[], bool] | None) -> _Delivery | None:
        """Have the thread beside go on in our place; the delivery that is left to this thread, if one is."""
        serving = self._serving
        task = Task(lambda: self._go_on(task, serving, deadline, done))
        self._finish(task)
        self._rest_at_end()
        left = self._delivery
        return None if left is serving else left

    def _go_on(
        self, task: Task, serving: _Delivery | None, deadline: Deadline, done: Callable[[], bool] | None
    ) -> None:
        """Dispatch until an event has receivers of the user, or ``done()``; without that, one event."""
        until = now() + SLICE_S
        while True:
            delivery = self._delivery
            if delivery is None or delivery is serving:
                if done is None or task.left or done() or now() > until:
                    return
                if not self._batch:
                    self._refill(deadline)
                    if not self._batch:
                        return
                delivery = self._begin(self._batch[0])
            self._serve_own(delivery)
            if delivery.route.others or delivery.fault is not None:
                return
            self._delivery = delivery.outer
            if self._sleepers:
                self._wake_sleepers()

    def undivided(self, work: Callable[[], object]) -> None:
        """Call ``work``, a part of a receiver, where no interrupt strikes. The caller holds the pump."""
        if self.control.needed:
            self._finish(Task(work))
        else:
            work()

    def _finish(self, task: Task) -> None:
        self._task = task
        try:
            self.control.finish(task)
        except BaseException:
            task.left = True  # whoever pumps next waits for its end
            raise
        self._task = None

    def _end_task(self) -> None:
        """Let the thread beside come to an end with what an interrupt has left to it."""
        task = self._task
        if task is not None:
            task.left = True
            self._inbox.wake()
            task.end()
            self._task = None

    # The inbox

    def _refill(self, deadline: Deadline) -> None:
        __tracebackhide__ = True
        if self._ended:
            return
        check_process(self._pid)
        before = len(self._batch)
        if not self._inbox.take(self._batch, deadline.slice()):
            self.undivided(self._come_to_end)
            self._rest_at_end()
        elif len(self._batch) == before:
            for hook in self.at_idle:
                hook()
        for text in self._inbox.remarks():
            self.remarks.note(text, answer=False)

    def _come_to_end(self) -> None:
        if self.survives():
            self._inbox.go_on()
        else:
            self._end()

    def _end(self) -> None:
        self._cause = self._cause or self._find_cause()
        told = self._told("the session is closed")
        self.control.run(lambda: [tell(told) for tell in self.at_end])
        self._ended = True
        self._wake_sleepers()

    def _told(self, text: str) -> RealtimeError:
        """What whoever waits at the end is told; after a clean one ``text``, and what the server said with it."""
        goodbye = self.goodbye() if self._cause is None else None
        if goodbye is None:
            return self._cause or ConnectionClosed(text, code=1000)
        return ConnectionClosed(f"{text}: {goodbye}", code=goodbye.code, reason=goodbye.reason, error=goodbye.error)

    def _rest_at_end(self) -> None:
        if self._ended:
            self.control.rest()

    @property
    def _at_end(self) -> bool:
        return self._ended and not self._batch and self._delivery is self._serving

    def _report_missed(self) -> None:
        missed, self._missed = self._missed, 0
        if missed:
            limit_bytes = self._inbox.limit_bytes
            raise InboxOverflow(
                f"{missed} events passed while other calls waited and were given to the handlers only: more than"
                f" {limit_bytes} bytes were kept for recv() already; the session goes on",
                limit_bytes=limit_bytes,
            )

    # Waiting for another thread

    def _check_end(self, what: str) -> None:
        if self._at_end:
            raise self._told(f"the session was closed while waiting for {what}")

    def _check(self, deadline: Deadline, what: str, mark: int) -> None:
        self._check_end(what)
        if deadline.expired:
            raise self._late(deadline, what, mark)

    def _late(self, deadline: Deadline, what: str, mark: int) -> RealtimeTimeout:
        return RealtimeTimeout(f"waited {deadline.timeout_s:g} s for {what}{self.remarks.since(mark)}")

    def _sleep(self, done: Callable[[], bool], deadline: Deadline) -> None:
        """Wait until the thread that dispatches has gone on by an event or has left, or for a slice."""
        check_process(self._pid)
        bell = allocate_lock()
        bell.acquire()
        self._sleepers.append(bell)
        if not done() and not self._at_end and self._pumper is not None:
            bell.acquire(timeout=deadline.slice())
        with suppress(ValueError):
            self._sleepers.remove(bell)

    def _wake_sleepers(self) -> None:
        with suppress(IndexError):  # another thread was faster
            while True:
                self._sleepers.popleft().release()


def _first(fault: Exception | None, raised: Exception, event: ServerEvent) -> Exception:
    """Which of the exceptions of an event's receivers is raised: the first; others are logged."""
    if fault is None:
        return raised
    _log.error("a further handler of %s failed", event.type, exc_info=raised)
    return fault
