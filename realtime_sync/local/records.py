"""What a test can look at afterwards: the upgrade requests and the events of the clients."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import attrs

from realtime_sync.errors import RealtimeTimeout

__all__ = ["Records", "Request"]

JsonObject = dict[str, Any]
_KEPT_REQUESTS: Final = 1_000
_KEPT_BYTES: Final = 64 * 1024 * 1024


@attrs.define(eq=False)
class Request:
    """One connection as a test sees it: the upgrade request, without secrets, and the client's events.

    ``headers`` have lower-case names.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    _events: deque[JsonObject] = attrs.field(factory=deque, init=False, repr=False)
    # Guards _events: they come on the connection's thread.
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @property
    def received(self) -> list[JsonObject]:
        """The events so far, in order, as decoded JSON. A server keeps 64 MiB of them and forgets the oldest first."""
        with self._lock:
            return list(self._events)

    def append(self, event: JsonObject) -> None:
        """Called by the server: an event has come."""
        with self._lock:
            self._events.append(event)

    def forget_first(self) -> None:
        """Called by the server: there is no room for the oldest any more."""
        with self._lock:
            self._events.popleft()


class Records:
    """The requests of one server and what came over them. All methods may be called from any thread."""

    def __init__(self) -> None:
        # Guards the three below; notified when an event has come.
        self._changed = threading.Condition()
        self._requests: deque[Request] = deque(maxlen=_KEPT_REQUESTS)
        self._order: deque[tuple[Request, int]] = deque()
        self._bytes = 0

    def add(self, request: Request) -> None:
        """A connection is made."""
        with self._changed:
            self._requests.append(request)

    def note(self, request: Request, event: JsonObject, size_bytes: int) -> None:
        """An event has come."""
        with self._changed:
            request.append(event)
            self._order.append((request, size_bytes))
            self._bytes += size_bytes
            while self._bytes > _KEPT_BYTES:
                oldest, size = self._order.popleft()
                oldest.forget_first()
                self._bytes -= size
            self._changed.notify_all()

    def requests(self) -> list[Request]:
        """The connections in order."""
        with self._changed:
            return list(self._requests)

    def received(self) -> list[JsonObject]:
        """The events of all connections, each connection's in order."""
        with self._changed:
            return [event for request in self._requests for event in request.received]

    def wait(self, event_type: str, count: int, timeout: float) -> JsonObject:
        """Block until so many events of a type have come; returns that event. Raises `RealtimeTimeout`."""
        found: list[JsonObject] = []

        def enough() -> bool:
            found[:] = [event for event in self.received() if event.get("type") == event_type]
            return len(found) >= count

        with self._changed:
            if not self._changed.wait_for(enough, timeout):
                raise RealtimeTimeout(f"{len(found)} of {count} {event_type} came in {timeout} s")
        return found[count - 1]
