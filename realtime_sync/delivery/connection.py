"""One open WebSocket with its reader thread: frames become events in the inbox, texts go out, silence is noticed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from realtime_sync._deadline import Deadline, now
from realtime_sync.codec import decode_server_event
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    InboxOverflow,
    RealtimeError,
)
from realtime_sync.transport import CLOSE, PING, PONG, CloseFrame, close_payload

if TYPE_CHECKING:
    from realtime_sync.events.base import ServerEvent
    from realtime_sync.transport import Frame, Transport

__all__ = ["Connection", "Tap"]

Tap = Callable[[Literal["in", "out"], "bytes | str"], None]
"""Called with each text frame: its direction and its JSON, exactly as it is on the wire."""

_NORMAL: Final = 1000
_ABNORMAL: Final = 1006
_JOIN_S: Final = 0.5
_log = logging.getLogger("realtime_sync")


class Connection:
    """Owns the transport and the thread that reads it.

    The reader decodes and enqueues; it runs no user code but taps, never blocks on the inbox, and answers pings
    however slow the consumer is. Every method may be called from any thread.

    ``ping_interval_s``: after so much silence a ping is sent (``None``: never). ``ping_timeout_s``: how long the
    silence may then go on before the connection counts as lost. ``send_timeout_s``: how long one message may take to
    leave.
    """

    def __init__(
        self,
        transport: Transport,
        inbox: Inbox,
        *,
        ping_interval_s: float | None = 20.0,
        ping_timeout_s: float = 20.0,
        send_timeout_s: float = 10.0,
    ) -> None:
        self._transport = transport
        self._inbox = inbox
        self._ping_interval_s = ping_interval_s
        self._ping_timeout_s = ping_timeout_s
        self._send_timeout_s = send_timeout_s
        self._taps: tuple[Tap, ...] = ()
        self._lock = threading.Lock()  # guards _closing, _send_fault and the replacement of _taps
        self._closing = False
        self._send_fault: RealtimeError | None = None
        self._cause: RealtimeError | None = None
        self._ended = threading.Event()
        self._last: ServerEvent | None = None
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="realtime_sync-reader", daemon=True)

    def start(self) -> None:
        """Start the reader thread."""
        self._thread.start()

    @property
    def closing(self) -> bool:
        """Whether this side has asked for the end."""
        return self._closing

    @property
    def ended(self) -> bool:
        """Whether the reader has stopped, or is left behind in the parent of a fork: no further event will be put into
        the inbox."""
        return self._ended.is_set() or os.getpid() != self._pid

    @property
    def cause(self) -> RealtimeError | None:
        """Why it ended; ``None`` before the end and after a clean one."""
        return self._cause

    @property
    def last(self) -> ServerEvent | None:
        """The latest event that arrived, dispatched or not."""
        return self._last

    def add_tap(self, tap: Tap) -> None:
        """Show every further text frame to ``tap``: received ones on the reader thread, sent ones on the sender's. It
        must be quick. One that raises is logged and removed."""
        with self._lock:
            self._taps = (*self._taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no further frame to ``tap``."""
        with self._lock:
            self._taps = tuple(other for other in self._taps if other is not tap)

    def send(self, text: str | bytes) -> None:
        """Send one message whole.

        Raises `RealtimeTimeout` when it could not begin to leave in time (nothing was sent), `ConnectionLost` when it
        stuck half way, and `ConnectionClosed` when the connection has ended.
        """
        if self._closing or self._ended.is_set() or os.getpid() != self._pid:
            raise self._closed()
        try:
            self._transport.send_text(text, self._send_timeout_s)
        except ConnectionClosed as fault:
            with self._lock:
                ended = self.closing or self.ended
                if not ended:
                    self._send_fault = self._send_fault or fault
            if ended:  # while this waited for its turn, `close` was called or the reader came to the end
                raise self._closed() from fault
            raise  # the transport lets the reader come to the end, after what was received
        if self._taps:
            self._tap("out", text)

    def close(self, code: int = _NORMAL, reason: str = "", timeout_s: float = 2.0) -> None:
        """Say goodbye, wait for the answer, release thread and socket; all within about ``timeout_s`` seconds.
        Idempotent: a further call waits for the same end."""
        if code != _NORMAL and not 3000 <= code <= 4999:
            raise ConfigurationError(f"close code {code} is not for clients: use 1000 or 3000 to 4999")
        if os.getpid() != self._pid:
            self._transport.forget()
            return
        deadline = Deadline(timeout_s)
        with self._lock:
            first, self._closing = not self._closing, True
        try:
            if first and not self._ended.is_set():
                with suppress(ConnectionClosed):  # a send that failed was faster
                    self._transport.send_control(CLOSE, close_payload(code, reason))
                    self._transport.flush(timeout_s / 2)
            while not self._ended.is_set() and not deadline.expired:
                self._ended.wait(deadline.slice())
        finally:
            self._transport.close()
            if threading.current_thread() is not self._thread and self._thread.ident is not None:
                self._thread.join(_JOIN_S)

    def abandon(self) -> None:
        """End at once, without a goodbye and without waiting."""
        with self._lock:
            self._closing = True
        if os.getpid() == self._pid:
            self._transport.close()
        else:
            self._transport.forget()

    def _closed(self) -> ConnectionClosed:
        if os.getpid() != self._pid:
            return ConnectionClosed("this session belongs to the process that opened it: connect again after a fork")
        cause = self._cause or self._send_fault
        if isinstance(cause, ConnectionClosed):
            closed = type(cause)(str(cause), code=cause.code, reason=cause.reason, error=cause.error)
            closed.__cause__ = cause
            return closed
        closed = ConnectionClosed("the session is closed: nothing can be sent any more", code=_NORMAL)
        closed.__cause__ = cause
        return closed

    # The reader thread

    def _run(self) -> None:
        cause: RealtimeError | None
        try:
            cause = self._read()
        except RealtimeError as fault:
            cause = fault
        except Exception as bug:
            _log.exception("the reader failed")
            cause = ConnectionLost("the reader failed: this is a fault of realtime_sync")
            cause.__cause__ = bug
        with self._lock:
            clean = self._closing and not isinstance(cause, InboxOverflow)
            vague = isinstance(cause, ConnectionClosed) and cause.code == _ABNORMAL
            self._cause = None if clean else (self._send_fault or cause) if vague else cause
            self._ended.set()
        self._transport.close()  # after that: a send that fails by this finds the cause
        self._inbox.end()

    def _read(self) -> RealtimeError | None:
        receive = self._transport.receive
        heard, pinged = now(), False
        while True:
            patience_s = self._ping_timeout_s if pinged else self._ping_interval_s
            wait_s = 3600.0 if patience_s is None else heard + patience_s - now()
            frames = receive(max(0.0, wait_s))
            if frames is not None:
                heard, pinged = now(), False
                end = self._take(frames) if frames else None
                if end is not None:
                    return end[0]
            elif patience_s is not None and now() - heard >= patience_s:
                if pinged:
                    silence_s = self._ping_timeout_s + (self._ping_interval_s or 0.0)
                    return ConnectionLost(f"the server has been silent for {silence_s:g} s, pings included")
                self._transport.send_control(PING, b"")
                heard, pinged = now(), True

    def _take(self, frames: list[Frame]) -> tuple[RealtimeError | None] | None:
        """Put the events of ``frames`` into the inbox. A 1-tuple with the cause when they hold the end."""
        events: list[ServerEvent] = []
        size_bytes = 0
        end: tuple[RealtimeError | None] | None = None
        for opcode, payload in frames:
            if opcode < CLOSE:
                if self._taps:
                    self._tap("in", payload)
                events.append(decode_server_event(payload))
                size_bytes += len(payload)
            elif opcode == PING:
                self._transport.send_control(PONG, payload)
            elif opcode == CLOSE:
                if not self._closing:
                    self._transport.send_control(CLOSE, payload[:2])
                end = (_cause_of(payload),)
                break
        if not events:
            return end
        self._last = events[-1]
        if not self._inbox.put(events, size_bytes) and end is None:
            limit_bytes = self._inbox.limit_bytes
            self._transport.send_control(CLOSE, close_payload(_NORMAL))
            end = (
                InboxOverflow(
                    f"more than {limit_bytes} bytes of events wait to be consumed: read faster, or allow more with"
                    " inbox_limit_bytes",
                    limit_bytes=limit_bytes,
                ),
            )
        return end

    def _tap(self, direction: Literal["in", "out"], text: bytes | str) -> None:
        for tap in self._taps:
            try:
                tap(direction, text)
            except Exception:
                _log.exception("a tap failed and is removed")
                self.remove_tap(tap)


def _cause_of(payload: bytes) -> RealtimeError | None:
    """What the peer's close frame means; ``None`` for a clean end."""
    code, reason = CloseFrame.parse(payload)  # the transport has checked it
    if code == _NORMAL:
        return None
    said = f": {reason}" if reason else ""
    return ConnectionLost(f"the server closed the connection with code {code}{said}", code=code, reason=reason)
