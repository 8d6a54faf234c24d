"""The user's handlers: which function is called for which event."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from realtime_sync.delivery.dispatcher import HANDLER, Dispatcher, Prepared, Receiver
from realtime_sync.errors import ConfigurationError
from realtime_sync.events import CLIENT_EVENTS, SERVER_EVENTS, ClientEvent, ServerEvent

__all__ = ["Handlers", "Key", "key_of"]

Key = type[ServerEvent] | str
"""A class of server events (its subclasses included), a type string of the wire, or ``"*"`` for every event."""

_log = logging.getLogger("realtime_sync")


def key_of(
    key: Any,
    server: Mapping[str, type[ServerEvent]] = SERVER_EVENTS,
    client: Mapping[str, type[ClientEvent]] = CLIENT_EVENTS,
) -> Key:
    """What the dispatcher knows ``key`` by. A type string of an event that ``server`` knows becomes its class."""
    if isinstance(key, str):
        if key == "*":
            return ServerEvent
        known = server.get(key)
        if known is not None:
            return known
        if key in client:
            raise ConfigurationError(f"{key!r} is sent by the client: the server never sends it")
        import difflib

        meant = difflib.get_close_matches(key, server, 1, 0.85)
        if meant:
            _log.warning("no server event is called %r: did you mean %r?", key, meant[0])
        return str(key)
    if isinstance(key, type) and issubclass(key, ServerEvent):
        return key
    raise ConfigurationError(f"handlers are for classes of server events or type strings, not {key!r}")


class _First(Prepared):
    """A handler for one event only."""

    def __init__(self, handlers: Handlers, key: Key, handler: Receiver) -> None:
        self._handlers = handlers
        self._key = key
        self._handler = handler
        self._event: Any = None  # the one

    def prepare(self, event: Any) -> Receiver | None:
        """The handler, for the first event and unless it was removed."""
        if self._event is None and self._handlers.knows(self._key, self._handler, self):
            self._event = event
        if self._event is not event:
            return None
        self._handlers.forget(self._key, self._handler, self)
        return self._handler


class Handlers:
    """Adds and removes handlers; any thread."""

    def __init__(self, dispatcher: Dispatcher, key: Callable[[Any], Key] = key_of) -> None:
        self._dispatcher = dispatcher
        self._key = key
        self._lock = threading.Lock()  # guards _once
        self._once: list[tuple[Key, Receiver, Receiver]] = []

    def add(self, key: Key, handler: Receiver) -> None:
        """Call ``handler`` for each event of ``key`` from now on."""
        if not callable(handler):
            raise ConfigurationError(f"a handler must be callable, not {handler!r}")
        self._dispatcher.subscribe(HANDLER, handler, self._key(key))

    def add_once(self, key: Key, handler: Receiver) -> None:
        """Call ``handler`` for the next event of ``key`` only."""
        if not callable(handler):
            raise ConfigurationError(f"a handler must be callable, not {handler!r}")
        known = self._key(key)
        first = _First(self, known, handler)
        with self._lock:
            self._once.append((known, handler, first))
        self._dispatcher.subscribe(HANDLER, first, known)

    def remove(self, key: Key, handler: Receiver) -> bool:
        """Call ``handler`` no more; False when it was not registered for ``key``."""
        known = self._key(key)
        removed = self._dispatcher.unsubscribe(HANDLER, handler, known)
        for entry_key, entry_handler, first in list(self._once):
            if (entry_key, entry_handler) == (known, handler):
                removed = self.forget(known, handler, first) or removed
        return removed

    def knows(self, key: Key, handler: Receiver, first: Receiver) -> bool:
        """Whether this handler for one event is registered."""
        with self._lock:
            return (key, handler, first) in self._once

    def forget(self, key: Key, handler: Receiver, first: Receiver) -> bool:
        """Remove a handler for one event; False when it is not registered."""
        with self._lock:
            if (key, handler, first) not in self._once:
                return False
            self._once.remove((key, handler, first))
        self._dispatcher.unsubscribe(HANDLER, first, key)
        return True


def decorating(register: Callable[[Receiver], None]) -> Callable[[Any], Any]:
    """A decorator that registers the function and gives it back as it is."""

    def decorate(handler: Any) -> Any:
        register(handler)
        return handler

    return decorate
