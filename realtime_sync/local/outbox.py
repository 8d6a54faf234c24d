"""What goes out on one connection: one order, sent by a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from realtime_sync._deadline import SLICE_S, Deadline

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

__all__ = ["Outbox"]

_HIGH_WATER_BYTES: Final = 8 * 1024 * 1024


class Outbox:
    """Messages in the order in which they were put, and at their end a close.

    Whoever holds the session's lock puts without ever blocking on the network; the thread that sends waits for the
    peer alone. A producer that can wait asks `wait_for_room` first, which keeps the queue short when the peer does
    not read. Each message is told to ``note`` when it is put, and takes ``latency_s`` on its way. All methods may be
    called from any thread.
    """

    def __init__(
        self, websocket: ServerConnection, name: str, note: Callable[[str | bytes], None], latency_s: float = 0.0
    ) -> None:
        self._websocket = websocket
        self._note = note
        self._latency_s = latency_s
        # Guards the four below and is notified of every change.
        self._changed = threading.Condition()
        self._queue: deque[tuple[Deadline, str | bytes]] = deque()
        self._waiting_bytes = 0
        self._close: tuple[Deadline, int, str] | None = None
        self._ended = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    @property
    def gone(self) -> bool:
        """Whether the connection is closed."""
        return self._websocket.close_code is not None

    @property
    def goodbye(self) -> tuple[int, str]:
        """Code and reason with which the connection was closed; 1006 where it was cut."""
        code = self._websocket.close_code
        return 1006 if code is None else code, self._websocket.close_reason or ""

    def put(self, message: str | bytes) -> None:
        """Send a message after those already here; without effect once a close was put. Half of a surrogate
        pair, which no text on the wire can hold, becomes its escape in JSON."""
        if isinstance(message, str):
            message = message.encode(errors="backslashreplace").decode()
        with self._changed:
            if self._close is None and not self._ended:
                self._note(message)
                self._queue.append((Deadline(self._latency_s), message))
                self._waiting_bytes += len(message)
                self._changed.notify_all()

    def close(self, code: int, reason: str) -> None:
        """Close the connection once everything before is sent."""
        with self._changed:
            self._close = self._close or (Deadline(self._latency_s), code, reason)
            self._changed.notify_all()

    def end(self) -> None:
        """Forget what is left: the connection is gone."""
        with self._changed:
            self._ended = True
            self._queue.clear()
            self._changed.notify_all()

    def wait_for_room(self, stopped: Callable[[], bool]) -> None:
        """Block while too much waits for a peer that does not read."""
        with self._changed:
            while self._waiting_bytes > _HIGH_WATER_BYTES and not self._ended and not stopped():
                self._changed.wait(SLICE_S)

    def wait_until_sent(self) -> None:
        """Block until all that was put has been sent, or the connection is gone."""
        with self._changed:
            while self._waiting_bytes and not self._ended:
                self._changed.wait(SLICE_S)

    def _run(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while (batch := self._next()) is not None:
                for due, message in batch:
                    self._wait_until(due)
                    self._websocket.send(message)
                    with self._changed:
                        self._waiting_bytes -= len(message)
                        self._changed.notify_all()
            if self._close is not None:
                due, code, reason = self._close
                self._wait_until(due)
                self._websocket.close(code, reason)
        except ConnectionClosed:
            pass
        finally:
            self.end()

    def _wait_until(self, due: Deadline) -> None:
        if self._latency_s:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, due.remaining())

    def _next(self) -> list[tuple[Deadline, str | bytes]] | None:
        with self._changed:
            while not self._queue and not self._ended and self._close is None:
                self._changed.wait()
            if self._ended or not self._queue:
                return None
            batch = list(self._queue)
            self._queue.clear()
            return batch
