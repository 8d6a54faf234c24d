"""What a user hears: events one by one, handlers, visitors, and who dispatches them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._arguments import answered, check_function, unknown
from realtime_sync._deadline import NEVER, Deadline
from realtime_sync._unset import UNSET, Unset
from realtime_sync.delivery.background import BackgroundPump
from realtime_sync.delivery.dispatcher import VISITOR, WAITER, Dispatcher, Prepared, Receiver
from realtime_sync.delivery.handlers import Handlers, Key, decorating, key_of
from realtime_sync.delivery.line import Line
from realtime_sync.errors import ConfigurationError, check_process
from realtime_sync.events import Family, MalformedEvent, ServerEvent, UnknownEvent
from realtime_sync.sending.outgoing import known_types

if TYPE_CHECKING:
    from typing_extensions import Never

    from realtime_sync.events.any import AnyServerEvent
    from realtime_sync.events.visitor import ServerEventVisitor
    from realtime_sync.session.keyed import Keyed
else:
    Keyed = object

__all__ = ["WAIT_S", "Listener"]

WAIT_S: Final = 10.0


@answered
class Listener(Keyed):
    """The receiving half of `RealtimeSession`."""

    def __init__(self, line: Line, dispatcher: Dispatcher, family: Family) -> None:
        self._line = line
        self._dispatcher = dispatcher
        self._family = family
        server, client = known_types(family)
        self._key_of = partial(key_of, server=server, client=client)
        self._handlers = Handlers(dispatcher, self._key_of)
        self._pid = os.getpid()
        self._background_lock = threading.RLock()  # guards the replacement of _background
        self._background: BackgroundPump | None = None
        self._runs = 0

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: this side or the server has ended the connection."""
        return self._line.closing or self._line.ended

    # One by one

    def recv(self, timeout: float | None = None, **others: Never) -> AnyServerEvent | None:
        """The next event, after its handlers ran; ``None`` after a clean end.

        From the first call on, events that pass while another verb waits are kept for the next call, so that a loop
        over the session misses nothing. ``timeout`` is in seconds; ``None`` waits as long as the connection lives, 0
        looks at what has arrived.

        Raises `RealtimeTimeout`, `ConnectionLost` or its kin when the connection was lost, `InboxOverflow`, and what
        a handler raised (its event comes with the next call).
        """
        if others:  # told here: an `answering` frame around this one is a place where Ctrl-C could lose the event
            raise unknown(Listener.recv, others)
        # At once, and nothing called in between: an interrupt would find nobody that has the event.
        return self._dispatcher.next(NEVER if timeout is None else Deadline(timeout))  # type: ignore[return-value]

    def poll(self) -> int:
        """Dispatch all that has arrived, and return how many events that were; never waits: for the timer of a GUI or
        a main loop of one's own. Events go to handlers as ever, and are kept for `recv` where that is in use.

        0 when nothing has arrived, and while another thread dispatches (`start`). Raises what a handler raised (the
        events after it come with the next call), and `ConnectionLost` or its kin once nothing is left of a connection
        that was lost; after a clean end it returns 0, and `closed` is true. Any thread.
        """
        return self._dispatcher.poll()

    def __iter__(self) -> Iterator[AnyServerEvent]:
        """Each event as `recv` returns it, until a clean end."""
        while True:
            event = self.recv()
            if event is None:  # no loop condition: at its jump backwards an interrupt would find the event nowhere
                return
            yield event

    # Handlers

    # `Keyed` tells type checkers what these make of each key.
    if not TYPE_CHECKING:

        def wait_for(self, key, predicate=None, timeout=WAIT_S):
            """Block until an event of this class or type comes that the predicate accepts, and return it. Events that
            arrived but were not dispatched yet count; events dispatched before do not.

            Raises `RealtimeTimeout` after ``timeout`` seconds (0 looks at what has arrived), and the cause when the
            connection ends first.
            """
            return self._await_event(key, predicate, timeout)

        def on(self, key, handler=UNSET, *, replace=False):
            """Call ``handler`` for each event of a class, of a type string, or of ``"*"``; without ``handler``, a
            decorator. Handlers run on the thread that dispatches, in the order of their registration.

            ``replace=True`` takes the place of what was registered for ``key`` under the same module and qualified
            name: of the earlier definition of the same function when a cell of a notebook is run again (all lambdas of
            a cell have the same name)."""
            return self._registered(key, handler, partial(self._handlers.add, key, replace=replace))

        def once(self, key, handler=UNSET):
            """As `on`, for the next such event only."""
            return self._registered(key, handler, partial(self._handlers.add_once, key))

    def _registered(self, key: Key, handler: Receiver | Unset, register: Callable[[Receiver], None]) -> Any:
        if handler is not UNSET:
            return register(handler)
        if not isinstance(key, str):
            self._key_of(key)  # told here: `@session.on` without parentheses would never call what it decorates
        return decorating(register)

    def _await_event(self, key: Key, predicate: Receiver | None, timeout: float | None) -> ServerEvent:
        if predicate is not None:
            check_function(predicate, "a predicate", "the event")
        known = self._key_of(key)
        wanted = _Wanted(predicate)
        look = wanted.prepare if predicate is None else wanted
        try:
            self._dispatcher.subscribe(WAITER, look, known)
            self._dispatcher.wait(lambda: wanted.found is not None, Deadline(timeout), f"an event {_name(key)}")
        finally:
            self._dispatcher.unsubscribe(WAITER, look, known)
        found: ServerEvent = wanted.found
        return found

    def off(self, key: Key | None = None, handler: Callable[[Any], object] | None = None) -> bool:
        """Call ``handler`` no more for ``key``; without ``handler``, none that was registered for ``key``; without
        both, none at all. Handlers of `on` and of `once`; the tools, players and the like of this package are not
        among them. False when there was none. Any thread, also a handler."""
        if handler is None:
            return self._handlers.remove_all(key) > 0
        if key is None:
            raise ConfigurationError(
                "off() takes a handler back from the key that it was registered for: name that too"
            )
        return self._handlers.remove(key, handler)

    def run(self, visitor: ServerEventVisitor[Any] | None = None) -> None:
        """Dispatch events to the handlers, and to ``visitor``, until the connection ends cleanly or `stop` or `close`
        is called.

        Raises what a handler raises, after the other handlers of that event ran: the session stays usable and `run`
        can be called again. Raises `ConnectionLost` or its kin when the connection is lost.
        """
        this_run = self._runs
        receive = None if visitor is None else _Visiting(visitor, self._family)
        try:
            if receive is not None:
                self._dispatcher.subscribe(VISITOR, receive, ServerEvent)
            self._dispatcher.run(lambda: self._runs != this_run or self._line.closing)
        finally:
            if receive is not None:
                self._dispatcher.unsubscribe(VISITOR, receive, ServerEvent)

    def start(self, *, on_error: Callable[[Exception], object] | None = None) -> None:
        """Dispatch on a background thread from now on: for notebooks. Blocking verbs still work on any thread.

        What a handler raises is logged, given to ``on_error`` and raised by `stop`. Starting twice changes nothing.
        """
        if on_error is not None:
            check_function(on_error, "on_error", "the exception")
        check_process(self._pid)  # before any lock
        self._dispatcher.control.run(partial(self._start, on_error))

    def _start(self, on_error: Callable[[Exception], object] | None) -> None:
        with self._background_lock:
            if self._background is None or not self._background.alive:
                self._background = BackgroundPump(self._dispatcher, on_error)
                self._background.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End `run` and the background dispatch; the connection stays open.

        Raises the first exception that a handler raised in the background, and `RealtimeTimeout` when a handler there
        does not return within ``timeout`` seconds.
        """
        Deadline(timeout)  # what is no time limit is refused before anything ends
        self._runs += 1
        self._dispatcher.wake()
        background = self._background
        if background is not None:
            background.request_stop()
            background.join(timeout)
            background.raise_fault()


class _Wanted(Prepared):
    """Finds the first event that a predicate of the user accepts."""

    def __init__(self, predicate: Callable[[Any], object] | None) -> None:
        self.found: Any = None
        self._predicate = predicate

    def prepare(self, event: Any) -> None:
        """Look at an event."""
        if self.found is None and (self._predicate is None or self._predicate(event)):
            self.found = event


class _Visiting(Prepared):
    """Finds the method of a visitor that an event is for."""

    def __init__(self, visitor: ServerEventVisitor[Any], family: Family) -> None:
        _check_visitor(visitor, family)
        self._visitor = visitor

    def prepare(self, event: Any) -> Receiver:
        """The method."""
        found: Receiver = getattr(self._visitor, event.VISIT)
        return found


def _check_visitor(visitor: ServerEventVisitor[Any], family: Family) -> None:
    if isinstance(visitor, type) or not hasattr(visitor, family.error_class.VISIT):
        raise ConfigurationError(f"run() wants a ServerEventVisitor, not {visitor!r}")
    classes: tuple[type[ServerEvent], ...] = (*family.server.values(), UnknownEvent, MalformedEvent)
    missing = sorted({cls.VISIT for cls in classes if not hasattr(visitor, cls.VISIT)})
    if missing:
        raise ConfigurationError(
            f"{type(visitor).__name__} is no visitor of this session: it has no {', '.join(missing[:3])}"
            + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            + "; derive it from realtime_sync.ServerEventVisitor, or give it all of them"
        )
    from realtime_sync.events.visitor import ServerEventVisitor as Base

    for name in sorted({"default", *(cls.VISIT for cls in classes)}):
        base = getattr(Base, name, None)
        method = getattr(visitor, name, base)
        if getattr(method, "__func__", method) is not base:  # those that are overridden
            check_function(method, f"{type(visitor).__name__}.{name}", "the event")


def _name(key: Key) -> str:
    return key if isinstance(key, str) else key.__name__
