"""Who receives which event, and in which order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from realtime_sync.events import ServerEvent, UnknownEvent

__all__ = ["HANDLER", "STATE", "VISITOR", "WAITER", "Prepared", "Receiver", "Route", "Routes"]

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


class Prepared:
    """A receiver that finds out by `prepare` which function of the user is to be called."""

    def prepare(self, event: Any) -> Receiver | None:
        """Whom to call with the event, if anybody. Asked again after an interrupt, for the same event."""
        raise NotImplementedError

    def __call__(self, event: Any) -> object:
        """Both at once."""
        receiver = self.prepare(event)
        return None if receiver is None else receiver(event)


class Route:
    """Who receives an event, in order."""

    __slots__ = ("guarded", "light", "others", "own", "prepared")

    def __init__(self, own: tuple[Receiver, ...] = (), others: tuple[Receiver, ...] = (), *, delta: bool) -> None:
        self.own = own
        """The library's own receivers."""
        self.others = others
        """Those of the user, and `Prepared` ones."""
        self.guarded = not delta
        """Whether its own receivers run where no interrupt strikes. Those of deltas, which come by the thousand, do
        not: such a receiver notes the event beside its one effect, with no call in between, and ignores it when it is
        told a second time."""
        self.prepared = any(isinstance(receiver, Prepared) for receiver in others)
        self.light = not own and not self.prepared and len(others) < 2
        """Whether one handler receives it, or nobody."""


class Routes:
    """The receivers, in stages. Any thread; a change applies from the next event on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the replacement of both, in this order; who reads needs none
        self._receivers: list[tuple[int, type[ServerEvent] | str, Receiver]] = []
        self.known: dict[type[ServerEvent], Route] = {}
        """The routes of the classes that have come."""

    def add(self, stage: int, receiver: Receiver, *keys: type[ServerEvent] | str) -> None:
        """Give every further event of the classes ``keys`` (or subclasses), or of the unknown types ``keys``, to
        ``receiver``."""
        with self._lock:
            self._receivers = [*self._receivers, *((stage, key, receiver) for key in keys)]
            self.known = {}

    def remove(self, stage: int, receiver: Receiver, *keys: type[ServerEvent] | str) -> bool:
        """Take such subscriptions back; False when there is none."""
        gone = [(stage, key, receiver) for key in keys]
        with self._lock:
            left = [entry for entry in self._receivers if entry not in gone]
            found = len(left) < len(self._receivers)
            self._receivers = left
            self.known = {}
        return found

    def __len__(self) -> int:
        return len(self._receivers)

    def handlers(self) -> list[tuple[type[ServerEvent] | str, Receiver]]:
        """The user's handlers with their keys, in the order of registration."""
        return [(key, receiver) for stage, key, receiver in self._receivers if stage == HANDLER]

    def handles(self, cls: type[ServerEvent]) -> bool:
        """Whether a handler or a visitor will see events of this class."""
        return any(stage >= HANDLER and key in cls.__mro__ for stage, key, _ in self._receivers)

    def of(self, event: ServerEvent) -> Route:
        """Who receives an event."""
        known = self.known.get(type(event))
        return known if known is not None else self._find(event)

    def state_of(self, event: ServerEvent) -> list[Receiver]:
        """The receivers of the first stage."""
        return [receiver for stage, receiver in self._chosen(event) if stage == STATE]

    def after_state(self, event: ServerEvent) -> Route:
        """Who receives an event that those of the first stage have had."""
        return _route(event, [(stage, receiver) for stage, receiver in self._chosen(event) if stage != STATE])

    def _find(self, event: ServerEvent) -> Route:
        routes = self.known  # a change of the receivers meanwhile replaces it: what is stored then is forgotten
        route = _route(event, self._chosen(event))
        if type(event) is not UnknownEvent:  # whose receivers depend on the type of each event
            routes[type(event)] = route
        return route

    def _chosen(self, event: ServerEvent) -> list[tuple[int, Receiver]]:
        """Who receives an event, with the stage, in order."""
        mro = type(event).__mro__
        kind = event.type if isinstance(event, UnknownEvent) else None
        entries = [
            (stage, r) for stage, key, r in self._receivers if (key == kind if key.__class__ is str else key in mro)
        ]
        return sorted(entries, key=lambda entry: entry[0])


def _route(event: ServerEvent, chosen: list[tuple[int, Receiver]]) -> Route:
    own = tuple(receiver for stage, receiver in chosen if stage <= WAITER and not isinstance(receiver, Prepared))
    others = tuple(receiver for stage, receiver in chosen if stage > WAITER or isinstance(receiver, Prepared))
    return Route(own, others, delta=(event.type or "").endswith(".delta"))
