"""Faults that are asked for before they happen: refused handshakes, and events that fail."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import check_kind
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.checks import Refusal

__all__ = ["Faults", "HandshakeFault", "ScriptedRefusal", "check_goodbye"]

_MOST_TIMES: Final = 1_000_000
_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
_MOST_REASON_BYTES: Final = 123


def check_goodbye(code: object, reason: object) -> None:
    """Raises `ConfigurationError` for what no close frame can say."""
    if not isinstance(code, int) or code not in _CODES:
        raise ConfigurationError(f"close code {code!r} cannot be sent: use 1000 to 1003, 1007 to 1014 or 3000 to 4999")
    check_kind("reason", reason, "str", str)
    if len(str(reason).encode(errors="replace")) > _MOST_REASON_BYTES:
        raise ConfigurationError(f"reason takes {_MOST_REASON_BYTES} bytes of UTF-8 at most")


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
        check_kind("body", fault.body, "str or None", str, type(None))
        if fault.status is not None and fault.status not in range(100, 600):
            raise ConfigurationError(f"{fault.status!r} is no HTTP status; None cuts the connection")
        times = _limits.size("times", times, "handshakes", most=_MOST_TIMES)
        with self._lock:
            self._handshakes.extend([fault] * times)

    def fail_next(
        self, event_type: str, code: str | None, message: str, *, param: str | None, error_type: str, times: int
    ) -> None:
        """Let so many events of this type fail."""
        check_kind("event_type", event_type, "the type of a client's event, a str", str)
        times = _limits.size("times", times, "events", most=_MOST_TIMES)
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
