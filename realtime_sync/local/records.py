"""What a test can look at afterwards: connections, the messages of both directions, and what was refused."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import attrs

from realtime_sync import _limits
from realtime_sync._deadline import now
from realtime_sync.errors import RealtimeTimeout
from realtime_sync.local.request import Direction, LogEntry, Request

__all__ = ["Records", "RefusedEvent"]

JsonObject = dict[str, Any]
_KEPT_REQUESTS: Final = 1_000
_KEPT_REFUSALS: Final = 1_000
_KEPT_BYTES: Final = 64 * 1024 * 1024


@attrs.frozen
class RefusedEvent:
    """What a client did wrong.

    ``event`` is its event as decoded JSON, the text or the bytes of one that cannot be read, or ``None`` where the
    connection itself was refused. ``code``, ``message`` and ``param`` are those of the error that it was sent;
    ``connection`` is the `Request` that it came on.
    """

    event: JsonObject | str | bytes | None
    code: str | None
    param: str | None
    message: str
    connection: Request = attrs.field(repr=False)

    def __str__(self) -> str:
        kind = self.event.get("type") if isinstance(self.event, dict) else None
        what = "the connection" if self.event is None else kind or "an unreadable message"
        told = ", ".join(part for part in (self.code, self.param) if part)
        return f"{what} (#{self.connection.number}): {self.message}" + (f" [{told}]" if told else "")


class Records:
    """The requests of one server and what went over them. ``on_message`` is called for each message, in order. All
    methods may be called from any thread."""

    def __init__(self, on_message: Callable[[LogEntry], object] | None = None) -> None:
        self._on_message = on_message
        # Guards everything below; notified when a message has come or a connection has ended.
        self._changed = threading.Condition()
        self._start_s = now()
        self._numbers = itertools.count(1)
        self._requests: deque[Request] = deque(maxlen=_KEPT_REQUESTS)
        self._refused: deque[RefusedEvent] = deque(maxlen=_KEPT_REFUSALS)
        self._entries: dict[Direction, deque[tuple[LogEntry, int]]] = {"to_server": deque(), "to_client": deque()}
        self._bytes: dict[Direction, int] = {"to_server": 0, "to_client": 0}

    def add(self, request: Request) -> None:
        """A connection is made."""
        with self._changed:
            self._requests.append(request)
            request.records = self

    def end(self, request: Request, close_code: int) -> None:
        """A connection has ended."""
        with self._changed:
            request.close_code, request.link = close_code, None
            self._changed.notify_all()

    def note(self, request: Request, direction: Direction, message: JsonObject | str | bytes, size_bytes: int) -> None:
        """A message has come, or is on its way."""
        with self._changed:
            entry = LogEntry(next(self._numbers), now() - self._start_s, direction, request, message)
            entries = self._entries[direction]
            entries.append((entry, size_bytes))
            self._bytes[direction] += size_bytes
            while self._bytes[direction] > _KEPT_BYTES:
                self._bytes[direction] -= entries.popleft()[1]
            if self._on_message is not None:
                self._on_message(entry)
            self._changed.notify_all()

    def refuse(self, refused: RefusedEvent) -> None:
        """Something was refused."""
        with self._changed:
            self._refused.append(refused)
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget everything but the connections that are open."""
        with self._changed:
            kept = [request for request in self._requests if request.is_open]
            self._requests.clear()
            self._requests.extend(kept)
            self._refused.clear()
            for direction, entries in self._entries.items():
                entries.clear()
                self._bytes[direction] = 0

    def requests(self) -> list[Request]:
        """The connections in order."""
        with self._changed:
            return list(self._requests)

    def refused(self) -> list[RefusedEvent]:
        """What was refused, in order."""
        with self._changed:
            return list(self._refused)

    def log(self, request: Request | None = None, direction: Direction | None = None) -> list[LogEntry]:
        """The messages in order: all, or those of one connection or direction."""
        with self._changed:
            chosen = [
                [entry for entry, _ in entries if request is None or entry.connection is request]
                for kept, entries in self._entries.items()
                if direction in (None, kept)
            ]
        return list(heapq.merge(*chosen, key=lambda entry: entry.number))

    def events(self, request: Request, direction: Direction) -> list[JsonObject]:
        """The messages of one connection that are JSON objects."""
        return [event for entry in self.log(request, direction) if isinstance(event := entry.event, dict)]

    def received(self) -> list[JsonObject]:
        """The events of all connections, each connection's in order."""
        by_request: dict[int, list[JsonObject]] = {id(request): [] for request in self.requests()}
        for entry in self.log(direction="to_server"):
            if isinstance(event := entry.event, dict):
                by_request.setdefault(id(entry.connection), []).append(event)
        return [event for events in by_request.values() for event in events]

    def wait(self, found: Callable[[], list[JsonObject]], what: str, count: int, timeout: float) -> JsonObject:
        """Block until so many events are found; returns that event. Raises `RealtimeTimeout`."""
        count = _limits.size("count", count, "events")
        events: list[JsonObject] = []

        def enough() -> bool:
            events[:] = found()
            return len(events) >= count

        if not self._wait_for(enough, timeout):
            raise RealtimeTimeout(f"{len(events)} of {count} {what} came in {timeout} s")
        return events[count - 1]

    def wait_ended(self, request: Request, timeout: float) -> int:
        """Block until a connection has ended; its close code. Raises `RealtimeTimeout`."""
        self._wait_for(lambda: request.close_code is not None, timeout)
        if (code := request.close_code) is None:
            raise RealtimeTimeout(f"connection {request.number} is still open after {timeout} s")
        return code

    def _wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        timeout_s = min(_limits.seconds("timeout", timeout, zero=True), threading.TIMEOUT_MAX)
        with self._changed:
            return self._changed.wait_for(happened, timeout_s)
