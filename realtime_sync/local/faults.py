"""Faults that are asked for before they happen: refused handshakes, and events that fail."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

import attrs

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.checks import Refusal

__all__ = ["Faults", "HandshakeFault", "ScriptedRefusal"]


class ScriptedRefusal(Refusal):
    """A refusal that the test asked for: no fault of the client."""


@attrs.frozen
class HandshakeFault:
    """How one handshake goes wrong: with an HTTP status, or ``None`` without an answer. Either way it takes
    ``delay_s``; with 101 that is all."""

    status: int | None
    headers: Mapping[str, str]
    body: str | None
    delay_s: float


class Faults:
    """The faults that wait for their moment. All methods may be called from any thread."""

    def __init__(self) -> None:
        # Guards the two below: they are asked for by tests and taken by connections.
        self._lock = threading.Lock()
        self._handshakes: deque[HandshakeFault] = deque()
        self._events: dict[str, deque[ScriptedRefusal]] = {}

    def refuse(self, fault: HandshakeFault, times: int) -> None:
        """Let so many handshakes fail."""
        if fault.status is not None and not 100 <= fault.status <= 599:
            raise ConfigurationError(f"{fault.status} is no HTTP status; None cuts the connection")
        with self._lock:
            self._handshakes.extend([fault] * times)

    def fail_next(
        self, event_type: str, code: str | None, message: str, *, param: str | None, error_type: str, times: int
    ) -> None:
        """Let so many events of this type fail."""
        with self._lock:
            waiting = self._events.setdefault(event_type, deque())
            waiting.extend(ScriptedRefusal(code, message, param, type=error_type) for _ in range(times))

    def take_handshake(self) -> HandshakeFault | None:
        """How the handshake that is under way goes wrong."""
        with self._lock:
            return self._handshakes.popleft() if self._handshakes else None

    def take(self, event_type: object) -> ScriptedRefusal | None:
        """Why the event that has come fails."""
        with self._lock:
            waiting = self._events.get(event_type) if isinstance(event_type, str) else None
            return waiting.popleft() if waiting else None

    def clear(self) -> None:
        """Forget those that have not happened."""
        with self._lock:
            self._handshakes.clear()
            self._events.clear()

    def left(self) -> list[str]:
        """Those that have not happened, in words."""
        with self._lock:
            events = [f"fail_next({name!r})" for name, waiting in self._events.items() for _ in waiting]
            return [f"refuse({fault.status})" for fault in self._handshakes] + events
