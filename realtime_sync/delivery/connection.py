"""One open WebSocket with its reader thread: frames become events in the inbox, texts go out, silence is noticed."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from realtime_sync import _limits
from realtime_sync._deadline import Deadline
from realtime_sync.codec import decode_server_event
from realtime_sync.delivery.ending import after
from realtime_sync.delivery.inbox import Inbox, structure_bytes
from realtime_sync.delivery.wire_log import log
from realtime_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    HandshakeError,
    InboxOverflow,
    RealtimeError,
    fork_error,
)

if TYPE_CHECKING:
    from realtime_sync.events.base import ServerEvent
    from realtime_sync.transport import Transport

__all__ = ["Connection", "Tap", "check_close"]

Tap = Callable[[Literal["in", "out"], "bytes | str"], object]
"""Called with each text frame: its direction and its JSON, as on the wire (but for keys that the server repeats)."""

_NORMAL: Final = 1000
_ABNORMAL: Final = 1006
_GOODBYE_S: Final = 1.0
"""How long the close frame may take to leave, where `close` has no time limit."""

_JOIN_S: Final = 0.5
_VERDICT_S: Final = 2.0
"""How long a sender that meets the end waits for the reader, which knows what it was once it has read all before it."""

_BATCH_BYTES: Final = 256 * 1024  # the most that is read before the consumer gets it
_log = logging.getLogger("realtime_sync")


def check_close(code: object, reason: object) -> None:
    """Raises `ConfigurationError` for a close code that a client must not send, and for a reason that is no text."""
    if code != _NORMAL and not (isinstance(code, int) and 3000 <= code <= 4999):
        raise ConfigurationError(f"close code {code!r} is not for clients: use 1000 or 3000 to 4999")
    if not isinstance(reason, str):
        raise ConfigurationError(f"the reason of a close must be str, not {type(reason).__name__}")


class Connection:
    """Owns the transport and the thread that reads it.

    The reader decodes and enqueues; it runs no user code but taps, never blocks on the inbox, and answers pings
    however slow the consumer is. Every method may be called from any thread.

    ``ping_interval_s``: after so much silence a ping is sent (``None`` or infinity: never). ``ping_timeout_s``: how
    long the silence may then go on before the connection counts as lost. ``send_timeout_s``: how long one message may
    take to leave. ``decode`` makes an event of each text; it must not raise.

    Raises `ConfigurationError` for a limit that is none.
    """

    def __init__(
        self,
        transport: Transport,
        inbox: Inbox,
        *,
        ping_interval_s: float | None = 20.0,
        ping_timeout_s: float = 20.0,
        send_timeout_s: float = 10.0,
        decode: Callable[[bytes], ServerEvent] = decode_server_event,
    ) -> None:
        self._transport = transport
        self._inbox = inbox
        self._decode = decode
        self._ping_interval_s = _limits.seconds("ping_interval_s", ping_interval_s, optional=True)
        self._ping_timeout_s = _limits.seconds("ping_timeout_s", ping_timeout_s)
        self._send_timeout_s = _limits.seconds("send_timeout_s", send_timeout_s)
        self._taps: tuple[Tap, ...] = ()
        # Guards _closing, _send_fault, _cause, _goodbye, _ended and the replacement of _taps. A signal handler that
        # calls `close` may find its own thread inside, so the lock lets a thread in twice.
        self._lock = threading.RLock()
        self._closing = False
        self._send_fault: RealtimeError | None = None
        self._cause: RealtimeError | None = None
        self._goodbye: ConnectionClosed | None = None
        self._ended = False  # no Event: its inner lock would deadlock a signal handler that waits in `close`
        self._last: ServerEvent | None = None
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="realtime_sync-reader", daemon=True)

    def start(self) -> None:
        """Start the reader thread, unless the connection was closed before. Without a thread it is closed, and a
        `HandshakeError` is raised."""
        try:
            with self._lock:  # whoever closes it finds the thread, or keeps it from starting
                if not self._closing:
                    self._thread.start()
                    return
                self._ended = True
            self._inbox.end()
        except RuntimeError as error:
            self._transport.close()
            raise HandshakeError(f"the reader's thread could not be started: {error}") from error

    @property
    def closing(self) -> bool:
        """Whether this side has asked for the end."""
        return self._closing

    @property
    def ended(self) -> bool:
        """Whether the reader has stopped, or is left behind in the parent of a fork: no further event will be put into
        the inbox."""
        return self._ended or os.getpid() != self._pid

    @property
    def cause(self) -> RealtimeError | None:
        """Why it ended; ``None`` before the end and after a clean one."""
        return self._cause

    @property
    def goodbye(self) -> ConnectionClosed | None:
        """What the peer said when it ended it cleanly; ``None`` before the end and after any other."""
        return self._goodbye

    @property
    def parted(self) -> bool:
        """Whether the peer has answered the goodbye of this side: all that was sent has arrived."""
        return self._transport.parted

    @property
    def last(self) -> ServerEvent | None:
        """The latest event that arrived, dispatched or not."""
        return self._last

    @property
    def taps(self) -> tuple[Tap, ...]:
        """Who is shown the text frames."""
        return self._taps

    def redact(self, text: str) -> str:
        """What the server said, without the credentials that were sent to it."""
        return self._transport.redact(text)

    def clean(self, message: str) -> str:
        """As `Transport.clean`."""
        return self._transport.clean(message)

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
        stuck half way, and `ConnectionClosed` when the connection has ended. A sender can meet the end ahead of the
        reader, which has yet to read what the server said before it: then this waits for that, and tells it.
        """
        if os.getpid() != self._pid:  # first of all: in a fork any lock may be held by a thread that is not there
            raise fork_error()
        if self._closing or self._ended:
            raise self.closed()
        if self._taps:  # before it leaves: a recording has the question ahead of its answer
            self._tap("out", text)
        try:
            self._transport.send_text(text, self._send_timeout_s)
        except ConnectionClosed as fault:
            with self._lock:
                over = self.closing or self.ended
                if not over:
                    self._send_fault = self._send_fault or fault
            if over or self._await_end():
                raise self.closed() from fault
            raise
        log("out", (text,), self.redact)

    def close(self, code: int = _NORMAL, reason: str = "", timeout_s: float | None = 2.0) -> None:
        """Say goodbye, wait for the answer, release thread and socket; all within about ``timeout_s`` seconds
        (``None``: as long as the answer takes). Idempotent: a further call waits for the same end. In a tap of received
        frames, which runs on the reader thread, nothing is waited for."""
        check_close(code, reason)
        if os.getpid() != self._pid:
            self._transport.forget()
            return
        deadline = Deadline(timeout_s)  # raises for what is no time limit, before anything is closed
        with self._lock:
            first, self._closing = not self._closing, True
        reader = self._thread
        waits = reader.ident is not None and reader is not threading.current_thread()
        try:
            if first and not self._ended:
                with suppress(ConnectionClosed):  # a send that failed was faster
                    self._transport.send_close(code, reason)
                    remaining_s = deadline.remaining()
                    self._transport.flush(_GOODBYE_S if remaining_s is None else remaining_s / 2)
            while waits and reader.is_alive() and not deadline.expired:
                reader.join(deadline.slice())
        finally:
            self._transport.close()
            if waits:
                with suppress(RuntimeError):  # an interrupt struck in its start: it has not begun
                    reader.join(_JOIN_S)

    def abandon(self) -> None:
        """End at once, without a goodbye and without waiting."""
        if os.getpid() != self._pid:  # before any lock, as in `send`
            self._transport.forget()
            return
        with self._lock:
            self._closing = True
        self._transport.close()

    def closed(self) -> ConnectionClosed:
        """What whoever sends after the end is told."""
        return after(self._cause or self._goodbye or self._send_fault)

    def _await_end(self) -> bool:
        """Wait for the reader, which the transport lets come to the end, after what was received; whether it has. In a
        tap, which runs on it, nothing is waited for."""
        reader = self._thread
        deadline = Deadline(_VERDICT_S)
        if reader.ident is not None and reader is not threading.current_thread():
            while reader.is_alive() and not deadline.expired:
                reader.join(deadline.slice())
        return self.closing or self.ended

    # The reader thread

    def _run(self) -> None:
        cause: RealtimeError
        try:
            cause = self._read()
        except RealtimeError as fault:
            cause = fault
        except Exception as bug:
            _log.exception("the reader failed")
            cause = ConnectionLost("the reader failed: this is a fault of realtime_sync")
            cause.__cause__ = bug
        except BaseException as exit_:  # sys.exit() in a tap: whoever waits for an event must hear of it all the same
            _log.exception("a tap ended the reader thread")
            cause = ConnectionLost(f"a tap ended the reader thread by raising {type(exit_).__name__}")
            cause.__cause__ = exit_
        with self._lock:
            clean = self._closing and not isinstance(cause, InboxOverflow)
            vague = isinstance(cause, ConnectionClosed) and cause.code == _ABNORMAL
            if isinstance(cause, ConnectionClosed) and cause.code == _NORMAL:
                self._goodbye = None if clean else cause
            else:
                self._cause = None if clean else (self._send_fault or cause) if vague else cause
            self._ended = True
        self._transport.close()  # only now: a send that fails because of this finds the cause
        self._inbox.end()

    def _read(self) -> RealtimeError:
        """Move what arrives into the inbox until the end; returns what has ended it."""
        transport = self._transport
        transport.keep_alive(self._ping_interval_s, self._ping_timeout_s)
        receive = transport.receive
        texts: list[bytes] = []

        def hand_over() -> None:
            nonlocal texts
            taken, texts = texts, []
            if taken and not self._take(taken):
                limit_bytes = self._inbox.limit_bytes
                raise InboxOverflow(
                    f"more than {limit_bytes} bytes of events wait to be consumed: read faster, or allow more with"
                    " inbox_limit_bytes",
                    limit_bytes=limit_bytes,
                )

        try:
            while True:
                # In a flood several reads make one batch: to wake the consumer costs more than to read once more.
                # It is woken right before the reader waits, so that it finds the interpreter free: where it has to
                # queue for it behind a main thread that computes, it waits for another 5 or 10 ms.
                more = receive(before_wait=hand_over)
                texts += more
                self._show(more)
                if not more or sum(map(len, texts)) >= _BATCH_BYTES:
                    hand_over()
        except ConnectionClosed as end:
            return end
        except InboxOverflow:
            transport.send_close()
            raise
        finally:
            if texts:
                self._take(texts)

    def _show(self, texts: list[bytes]) -> None:
        """Show what has arrived to the taps and the log."""
        if self._taps:
            for text in texts:
                self._tap("in", text)
        log("in", texts, self.redact)

    def _take(self, texts: list[bytes]) -> bool:
        """Put the events of ``texts`` into the inbox; False when that is too full now."""
        events = list(map(self._decode, texts))
        self._last = events[-1]
        return self._inbox.put(events, sum(map(len, texts)) + structure_bytes(events, texts))

    def _tap(self, direction: Literal["in", "out"], text: bytes | str) -> None:
        for tap in self._taps:
            try:
                tap(direction, text)
            except Exception:
                _log.exception("a tap failed and is removed")
                self.remove_tap(tap)
