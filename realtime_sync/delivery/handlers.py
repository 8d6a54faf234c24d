"""The user's handlers: which function is called for which event."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from realtime_sync._arguments import check_function
from realtime_sync.delivery.dispatcher import HANDLER, Dispatcher, Prepared, Receiver
from realtime_sync.errors import ConfigurationError
from realtime_sync.events import CLIENT_EVENTS, LOCAL_EVENTS, SERVER_EVENTS, ClientEvent, ServerEvent

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
        if not key or "*" in key:
            raise ConfigurationError(
                f"no event is called {key!r}: write a whole type, such as 'response.done', or its class; '*' is for all"
            )
        known = server.get(key) or LOCAL_EVENTS.get(key)
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
    if callable(key) and not isinstance(key, type):
        name = getattr(key, "__name__", "it")
        raise ConfigurationError(f'which events {name} is for is missing: on("response.done", {name}), say')
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
        if self._event is None and self._handlers.waits(self._key, self._handler, self):
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

    def add(self, key: Key, handler: Receiver, *, replace: bool = False) -> None:
        """Call ``handler`` for each event of ``key`` from now on; with ``replace``, instead of what was registered for
        it under the same module and qualified name."""
        check_function(handler, "a handler", "the event")
        known = self._key(key)
        name = _definition(handler)
        for earlier in self._registered(known) if replace and name is not None else ():
            if _definition(earlier) == name:
                self._dispatcher.unsubscribe(HANDLER, earlier, known)
        self._dispatcher.subscribe(HANDLER, handler, known)

    def add_once(self, key: Key, handler: Receiver) -> None:
        """Call ``handler`` for the next event of ``key`` only."""
        check_function(handler, "a handler", "the event")
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

    def remove_all(self, key: Key | None = None) -> int:
        """Call the user's handlers of ``key`` no more, or all of them; how many that were. What rooms of this package
        registered stays."""
        known = None if key is None else self._key(key)
        with self._lock:
            waiting = {first: handler for _, handler, first in self._once}
            self._once = [entry for entry in self._once if known not in (None, entry[0]) or _is_ours(entry[1])]
        count = 0
        for of, handler in self._dispatcher.handlers():
            if known in (None, of) and not _is_ours(waiting.get(handler, handler)):
                count += self._dispatcher.unsubscribe(HANDLER, handler, of)
        return count

    def own(self) -> list[Receiver]:
        """The user's handlers, without those of other rooms of this package."""
        with self._lock:
            waiting = {first: handler for _, handler, first in self._once}
        registered = (waiting.get(handler, handler) for _, handler in self._dispatcher.handlers())
        return [handler for handler in registered if not _is_ours(handler)]

    def _registered(self, key: Key) -> list[Receiver]:
        return [handler for of, handler in self._dispatcher.handlers() if of == key]

    def waits(self, key: Key, handler: Receiver, first: Receiver) -> bool:
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


def _definition(handler: Any) -> tuple[str, str] | None:
    """By what a function is known again when its cell of a notebook has run once more; ``None`` when it has no name."""
    module, name = getattr(handler, "__module__", None), getattr(handler, "__qualname__", None)
    return (module, name) if module and name else None


def _is_ours(handler: Any) -> bool:
    """Whether it belongs to a tool runner, a player and the like: they are taken back by closing those."""
    while hasattr(handler, "func"):  # a partial
        handler = handler.func
    return str(getattr(handler, "__module__", "")).startswith("realtime_sync.")


def decorating(register: Callable[[Receiver], None]) -> Callable[[Any], Any]:
    """A decorator that registers the function and gives it back as it is."""

    def decorate(handler: Any) -> Any:
        register(handler)
        return handler

    return decorate
