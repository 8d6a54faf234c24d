"""Delivery: takes events out of the inbox and gives each to the state, the waiters, the handlers and the caller.

Whatever blocks pumps: it dispatches events on its own thread until what it waits for has happened. One thread pumps
at a time. Another that wants to wait sleeps meanwhile, and takes the pump over when it becomes free.

An interrupt (Ctrl-C) may strike the pumping thread between any two steps. **An event stays at the head of the pending
ones, with the number of the receivers that had it, until all of them had it**; whoever pumps next goes on there. The
library's own receivers run where no interrupt strikes (`Control`), but for those of deltas, which come by the thousand:
they end with their one effect, made by an operator. A receiver of the user is counted right before it is called. In
between there is no call, so nothing can strike there. What moves an event from one queue to another is one call into C.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from threading import get_ident
from typing import Any, Final

from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.delivery.control import Control, Task
from realtime_sync.delivery.inbox import END, Header, Inbox
from realtime_sync.delivery.remarks import Remarks
from realtime_sync.errors import ConnectionClosed, InboxOverflow, RealtimeError, RealtimeTimeout, check_process
from realtime_sync.events import ServerEvent, UnknownEvent

__all__ = ["HANDLER", "STATE", "VISITOR", "WAITER", "Dispatcher", "Prepared", "Receiver"]

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

_POPLEFT: Final[Callable[[deque[Any]], Any]] = deque.popleft
_log = logging.getLogger("realtime_sync")


class Prepared:
    """A receiver that finds out by `prepare` whom to call. On the pumping thread; prepared again after an interrupt."""

    def prepare(self, event: Any) -> Receiver | None:
        """Who is to be called with the event, if anybody."""
        raise NotImplementedError

    def __call__(self, event: Any) -> object:
        """Both at once."""
        receiver = self.prepare(event)
        return None if receiver is None else receiver(event)


_Route = tuple[tuple[Receiver, ...], bool, tuple[Receiver, ...]]
"""Who receives an event: the receivers of the library, and whether those run where no interrupt strikes; then those of
the user, and `Prepared` ones."""


class _Aside:
    """An event whose handler waits for later ones, with the number of receivers that had it."""

    __slots__ = ("event", "others", "served")

    def __init__(self, event: ServerEvent, others: tuple[Receiver, ...], served: int) -> None:
        self.event = event
        self.others = others
        self.served = served


class _Claims(threading.local):
    """What `Dispatcher.next` has taken for this thread and not returned yet."""

    def __init__(self) -> None:
        self.taken: deque[tuple[ServerEvent, int]] = deque()
        self.given = False  # whether the caller has got it


class Dispatcher:
    """Routes events to receivers, each event once and in order.

    ``subscribe`` and ``unsubscribe`` may be called from any thread, also from a receiver; they apply from the next
    event on. ``cause`` is asked at the end for the reason that the user is told.
    """

    __slots__ = (  # faster than a dict of so many
        "__weakref__",
        "_asides",
        "_cause",
        "_claims",
        "_ended",
        "_event",
        "_fault",
        "_find_cause",
        "_inbox",
        "_kept",
        "_kept_bytes",
        "_level",
        "_live",
        "_missed",
        "_pending",
        "_pid",
        "_plain",
        "_previewed",
        "_pump",
        "_pumper",
        "_reached",
        "_receivers",
        "_registry",
        "_route",
        "_routes",
        "_served",
        "_sleepers",
        "_task",
        "at_end",
        "at_idle",
        "control",
        "remarks",
    )

    def __init__(self, inbox: Inbox, cause: Callable[[], RealtimeError | None]) -> None:
        self._inbox = inbox
        self._find_cause = cause
        # Held by the thread that dispatches; guards the pending events and all that is noted of them. It can be given
        # back without knowing whether it was taken.
        self._pump = threading.RLock()
        self._pumper: int | None = None  # the thread that holds it, by its ident
        self._pending: deque[Any] = deque()  # batches of the inbox, flat
        self._event: ServerEvent | None = None  # the event at the head, once its dispatch has begun
        self._route: _Route = ((), False, ())  # its receivers
        self._served = 0  # how many of them had it, or are being called
        self._level = 0  # how many calls pump, one in a handler of the other
        self._asides: list[_Aside] = []
        self._live = 0  # so many of them are of handlers that still run
        self._task: Task | None = None  # of the library's receivers
        self._fault: Exception | None = None  # what one of those raised
        self._previewed: list[ServerEvent] = []  # pending events that have been shown to the STATE receivers already
        self._reached = Header(0, 0, 0)
        self._sleepers: deque[threading.Lock] = deque()  # of threads that wait; each is released and goes
        self._registry = threading.Lock()  # guards _receivers and the replacement of _routes and _plain
        self._receivers: list[tuple[int, type[ServerEvent] | str, Receiver]] = []
        self._routes: dict[type[ServerEvent], _Route] = {}
        self._plain: dict[type[ServerEvent], _Route] = {}  # of classes that only plain handlers receive
        self._kept: deque[tuple[ServerEvent, int]] | None = None  # for next(): events that passed, with their size
        self._claims = _Claims()
        self._kept_bytes = 0
        self._missed = 0
        self._ended = False
        self._pid = os.getpid()
        self._cause: RealtimeError | None = None
        self.control = Control()
        """Runs what an interrupt must not cut in two."""
        self.at_end: list[Callable[[RealtimeError], None]] = []
        """Called once, when the last event has been delivered; where no interrupt strikes."""
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
            self._routes, self._plain = {}, {}

    def unsubscribe(self, stage: int, receiver: Receiver, *keys: type[ServerEvent] | str) -> bool:
        """Take such subscriptions back; False when there is none."""
        gone = [(stage, key, receiver) for key in keys]
        with self._registry:
            left = [entry for entry in self._receivers if entry not in gone]
            found = len(left) < len(self._receivers)
            self._receivers = left
            self._routes, self._plain = {}, {}
        return found

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

    def _find_route(self, event: ServerEvent) -> _Route:
        cls = type(event)
        with self._registry:
            # A change of the receivers meanwhile replaces both: what is stored then is forgotten.
            routes, plain = self._routes, self._plain
        chosen = self._chosen(event)
        own = [r for stage, r in chosen if stage <= WAITER and not isinstance(r, Prepared)]
        others = [r for stage, r in chosen if stage > WAITER or isinstance(r, Prepared)]
        guarded = bool(own) and not (event.type or "").endswith(".delta")
        route = (tuple(own), guarded, tuple(others))
        if cls is not UnknownEvent:  # whose receivers depend on the type of each event
            routes[cls] = route
            if not own and not any(isinstance(receiver, Prepared) for receiver in others):
                plain[cls] = route
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

    def wait(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Dispatch events until ``done()``, here or on the thread that is dispatching already.

        Raises `RealtimeTimeout` at the deadline, the cause of the end when the events end first, and whatever a
        handler raised if this thread ran it.
        """
        self._check_process()  # before the pump, whose owner may not be there in a fork
        mark = self.remarks.count
        me = get_ident()
        if self._pumper == me:  # in a handler
            level = self._level
            try:
                self._nest(level)
                self._pump_until(done, deadline, what, mark)
                return
            finally:
                self._level = self._live = level
        while not done():
            try:
                if self._pump.acquire(blocking=False):
                    self._pumper = me
                    self._level = 1
                    self._pump_until(done, deadline, what, mark)
                    return
            finally:
                # An interrupt may come when the pump has been taken and `acquire` has not said so yet: it is given back
                # without asking, and at once. The lock itself knows whose it is.
                if self._pumper == me:
                    self._level = self._live = 0
                    self._pumper = None
                try:  # noqa: SIM105  suppress() would leave room for one more interrupt
                    self._pump.release()
                except RuntimeError:
                    pass
                self._wake_sleepers()
            self._sleep(done, deadline)
            if not done():
                self._check(deadline, what, mark)

    def _pump_until(self, done: Callable[[], bool], deadline: Deadline, what: str, mark: int) -> None:
        while not done():
            self._check(deadline, what, mark)
            self.step(deadline.slice())

    def step(self, wait_s: float) -> bool:
        """Dispatch the next event, if one comes within ``wait_s`` seconds. The caller holds the pump."""
        pending = self._pending
        if self._event is not None or self._asides or self._previewed:
            return self._step_after(wait_s)
        if not pending and not self._refill(wait_s):
            return False
        event = pending[0]
        route = self._plain.get(type(event))
        if route is None:
            return self._step_after(wait_s)
        # The usual case: an event for handlers only. All that `_serve` notes, without its questions.
        self._route = route
        self._served = served = 0
        self._event = event
        fault: Exception | None = None
        for receiver in route[2]:
            served += 1  # noqa: SIM113  enumerate() is slower
            self._served = served
            try:
                receiver(event)
            except Exception as raised:
                fault = _first(fault, raised, event)
            if self._event is not event:
                return self._return_to(event, fault)
        if self._kept is None:
            pending.popleft()
        else:
            self._keep(self._kept)
        self._event = None
        if self._sleepers:
            self._wake_sleepers()
        if fault is not None:
            raise fault
        return True

    def _step_after(self, wait_s: float) -> bool:
        """`step` for what is not usual: also for what an interrupt has left."""
        pending = self._pending
        self._finish_task()
        if len(self._asides) > self._live:
            self._serve_aside(self._asides[self._live], None)
            return True
        while not pending or pending[0].__class__ is Header or pending[0] is END:
            if not pending:
                if not self._refill(wait_s):
                    return False
            elif pending[0] is END:
                self._end()
                return False
            else:
                self._reach(pending[0])
        event = pending[0]
        if event is not self._event:
            route = self._routes.get(type(event)) or self._find_route(event)
            if self._previewed:
                route = self._without_state(event, route)
            self._route = route
            self._served = 0
            self._event = event
        return self._serve(event)

    def _serve(self, event: ServerEvent) -> bool:
        """Give the event at the head to those who have not had it."""
        own, guarded, others = self._route
        if self._served < len(own):
            if guarded and self.control.needed:
                self._task = Task(self._serve_own)
                self._finish_task()
            else:
                self._serve_own()
        served = self._served
        fault: Exception | None = None
        for receiver in others[served - len(own) :]:
            chosen: Receiver | None = receiver
            if isinstance(receiver, Prepared):
                chosen = receiver.prepare(event)
            served += 1
            self._served = served
            if chosen is None:
                continue
            try:
                chosen(event)
            except Exception as raised:
                fault = _first(fault, raised, event)
            if self._event is not event:
                return self._return_to(event, fault)
        if self._kept is None:
            self._pending.popleft()
        else:
            self._keep(self._kept)
        self._event = None
        if self._sleepers:
            self._wake_sleepers()
        if self._fault is not None:
            fault, self._fault = self._fault, None
        if fault is not None:
            raise fault
        return True

    def _return_to(self, event: ServerEvent, fault: Exception | None) -> bool:
        """Go on with an event that was set aside while a handler of it waited for later ones."""
        self._serve_aside(next(aside for aside in self._asides if aside.event is event), fault)
        return True

    def _serve_own(self) -> None:
        """Give the event at the head to the receivers of the library. Where no interrupt strikes, or a delta."""
        event, own, served = self._event, self._route[0], self._served
        assert event is not None
        while served < len(own):
            try:
                own[served](event)
                served += 1
                self._served = served
            except Exception as raised:
                served += 1
                self._served = served
                if self._fault is not None:
                    _log.error("a further receiver of %s failed", event.type, exc_info=raised)
                self._fault = self._fault or raised

    def _finish_task(self) -> None:
        task = self._task
        if task is not None:
            self.control.finish(task)
            self._task = None
            if task.fault is not None:
                raise task.fault

    def _nest(self, level: int) -> None:
        """A handler waits for later events: its own makes way for them, unless it has done so before."""
        self._level = level + 1
        if self._live >= level or self._event is None:
            return
        event, (own, _, others) = self._event, self._route
        everyone = len(own) + len(others)
        aside = _Aside(event, others, self._served - len(own))
        # From here on nothing can strike until the event goes: no call, no jump.
        self._asides += (aside,)
        self._live = level
        self._served = everyone
        if self._kept is None:
            self._pending.popleft()
        else:
            self._keep(self._kept)
        self._event = None

    def _serve_aside(self, aside: _Aside, fault: Exception | None) -> None:
        """Give an event that had to make way to the handlers that have not had it."""
        event, others = aside.event, aside.others
        depth = self._asides.index(aside)
        # While its handlers run they count as those of this pump, which may wait in turn.
        self._live = max(self._live, depth + 1)
        while aside.served < len(others):
            receiver: Receiver | None = others[aside.served]
            if isinstance(receiver, Prepared):
                receiver = receiver.prepare(event)
            aside.served += 1
            if receiver is not None:
                try:
                    receiver(event)
                except Exception as raised:
                    fault = _first(fault, raised, event)
        self._asides.remove(aside)
        self._live = depth
        self._wake_sleepers()
        if fault is not None:
            raise fault

    def _reach(self, header: Header) -> None:
        """A batch begins."""
        self._inbox.consumed(header.before_bytes)
        self._reached = header
        self._pending.popleft()

    def _without_state(self, event: ServerEvent, route: _Route) -> _Route:
        """The route of an event that may have been previewed."""
        if not any(shown is event for shown in self._previewed):
            self._previewed = []
            return route
        state = [receiver for stage, receiver in self._chosen(event) if stage == STATE]
        return tuple(receiver for receiver in route[0] if receiver not in state), route[1], route[2]

    def preview(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Show what arrives to the STATE receivers, ahead of all others, until ``done()``; the others get it when it is
        dispatched. For the set-up, when nobody else pumps: an interrupt ends the session. Raises as `wait` does."""
        mark = self.remarks.count
        with self._pump:
            while not done():
                while self._pending and self._pending[0].__class__ is Header:
                    self._reach(self._pending[0])
                shown = self._previewed
                events = (event for event in self._pending if isinstance(event, ServerEvent))
                event = next(islice(events, len(shown), None), None)
                if event is not None:
                    shown.append(event)
                    for stage, receiver in self._chosen(event):
                        if stage == STATE:
                            receiver(event)
                    continue
                if END in self._pending:
                    self._end()
                if self._ended:
                    raise self._cause or ConnectionClosed(f"the session was closed while waiting for {what}", code=1000)
                if deadline.expired:
                    raise self._late(deadline, what, mark)
                self._refill(deadline.slice(), behind=True)

    def next(self, deadline: Deadline) -> ServerEvent | None:
        """The next event after it went through the receivers; ``None`` after a clean end.

        From the first call on, events that pass while another call pumps are kept for the next one, as many as the
        inbox may hold. Were there more, this raises `InboxOverflow` once where they are missing.
        """
        kept = self._kept
        if kept is None:
            kept = self._kept = deque()
        claims = self._claims
        while True:
            taken = claims.taken
            if claims.given:
                taken.clear()
                claims.given = False
            if not taken:
                try:  # noqa: SIM105
                    taken.extend(map(_POPLEFT, (kept,)))  # one call into C: an interrupt finds it here or there
                except IndexError:
                    pass
            if taken:
                event, size_bytes = taken[0]
                self._kept_bytes -= size_bytes
                claims.given = True  # the caller has it: nothing can strike up to there
                return event
            self._report_missed()
            if self._ended and self._cause is None:
                return None
            self.wait(lambda: bool(kept) or (self._ended and self._cause is None), deadline, "the next event")

    def wake(self) -> None:
        """Make a `run` that waits for events look at its stop condition now. Any thread."""
        self._inbox.wake()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Dispatch events until ``stopped()`` or the end, whose cause is raised."""
        self._check_process()
        me = get_ident()
        nested = self._pumper == me
        level = self._level if nested else 0
        try:
            while not nested and not self._pump.acquire(timeout=SLICE_S):
                if stopped():
                    return
            self._pumper = me
            if nested:
                self._nest(level)
            else:
                self._level = 1
            while not stopped() and not (self._ended and not self._pending):
                self.step(SLICE_S)
        finally:
            if not nested:  # as in `wait`
                if self._pumper == me:
                    self._level = self._live = 0
                    self._pumper = None
                try:  # noqa: SIM105
                    self._pump.release()
                except RuntimeError:
                    pass
                self._wake_sleepers()
        if self._cause is not None and not stopped():
            raise self._cause

    def _refill(self, wait_s: float, *, behind: bool = False) -> bool:
        if self._ended:
            return False
        self._check_process()
        if not behind:
            self._inbox.consumed(self._reached.after_bytes)
        before = len(self._pending)
        self._inbox.take(self._pending, wait_s)
        if len(self._pending) == before:
            for hook in self.at_idle:
                hook()
            return False
        return True

    def _end(self) -> None:
        self._cause = self._cause or self._find_cause()
        told = self._cause or ConnectionClosed("the session is closed", code=1000)
        self.control.run(lambda: [tell(told) for tell in self.at_end])
        self._ended = True
        if self._pending and self._pending[-1] is END:
            self._pending.pop()
        self.control.rest()
        self._wake_sleepers()

    def _keep(self, kept: deque[tuple[ServerEvent, int]]) -> None:
        """Move the event at the head to those that wait for `next`."""
        size_bytes = self._reached.each_bytes
        if self._missed or self._kept_bytes + size_bytes > self._inbox.limit_bytes:
            self._missed += 1
            self._pending.popleft()
            return
        self._kept_bytes += size_bytes
        kept.extend(zip(map(_POPLEFT, (self._pending,)), (size_bytes,), strict=False))

    def _report_missed(self) -> None:
        missed, self._missed = self._missed, 0
        if missed:
            limit_bytes = self._inbox.limit_bytes
            raise InboxOverflow(
                f"{missed} events passed while other calls waited and were given to the handlers only: more than"
                f" {limit_bytes} bytes were kept for recv() already; the session goes on",
                limit_bytes=limit_bytes,
            )

    def _check(self, deadline: Deadline, what: str, mark: int) -> None:
        if self._ended and not self._pending:
            raise self._cause or ConnectionClosed(f"the session was closed while waiting for {what}", code=1000)
        if deadline.expired:
            raise self._late(deadline, what, mark)

    def _late(self, deadline: Deadline, what: str, mark: int) -> RealtimeTimeout:
        return RealtimeTimeout(f"waited {deadline.timeout_s:g} s for {what}{self.remarks.since(mark)}")

    def _check_process(self) -> None:
        """Nothing arrives in a fork: the reader stayed with the parent."""
        check_process(self._pid)

    def _sleep(self, done: Callable[[], bool], deadline: Deadline) -> None:
        """Wait until the thread that dispatches has gone on by an event, or for a slice."""
        self._check_process()
        bell = threading.Lock()
        bell.acquire()
        self._sleepers.append(bell)
        if not done() and not self._ended and self._pumper is not None:
            bell.acquire(timeout=deadline.slice())

    def _wake_sleepers(self) -> None:
        sleepers = self._sleepers
        while sleepers:
            try:
                sleepers.popleft().release()
            except (IndexError, RuntimeError):  # another thread was faster
                return


def _first(fault: Exception | None, raised: Exception, event: ServerEvent) -> Exception:
    """Which of the exceptions of an event's handlers is raised: the first; others are logged."""
    if fault is None:
        return raised
    _log.error("a further handler of %s failed", event.type, exc_info=raised)
    return fault
