"""An open WebSocket on a socket: whole messages in, whole messages out, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from realtime_sync import _limits
from realtime_sync._deadline import Deadline, now
from realtime_sync.errors import ConnectionClosed, ConnectionLost, RealtimeTimeout
from realtime_sync.transport.frames import Closed
from realtime_sync.transport.headers import Headers, Secrets, checked
from realtime_sync.transport.websocket import WebSocket, error_of

if TYPE_CHECKING:
    import ssl

    from realtime_sync.transport.stream import Stream

__all__ = ["MAX_MESSAGE_BYTES", "Transport", "open_transport"]

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
USER_TIMEOUT_S: Final = 30.0
_HOUR_S: Final = 3600.0


def open_transport(
    url: str,
    headers: Mapping[str, str],
    *,
    deadline: Deadline,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | bool | None = "auto",
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    user_timeout_s: float | None = USER_TIMEOUT_S,
    secrets: Secrets | None = None,
) -> Transport:
    """Connect and upgrade, all within the deadline.

    ``proxy`` is ``"auto"`` (by the environment), the URL of a proxy, or ``None`` for none. ``ssl_context`` replaces the
    default TLS settings. ``max_message_bytes`` bounds one message received. ``user_timeout_s``: seconds after which the
    system gives the connection up when the peer acknowledges nothing (where the system can; ``None`` leaves its own).
    ``secrets`` are those of the connections before, which this peer may know; they learn those of this one.

    Raises `ConfigurationError` before dialling (a limit, header or URL that is none), `HandshakeError`
    (`AuthenticationError` for HTTP 401 and 403), `RealtimeTimeout` at the deadline.
    """
    from realtime_sync.transport.dial import dial
    from realtime_sync.transport.target import Target
    from realtime_sync.transport.upgrade import upgrade

    # A traceback that shows local variables must not show a key: neither among the headers nor in the query of the URL.
    headers = Headers(headers)
    target = Target.of(url)
    del url
    headers = checked(headers)
    max_message_bytes = _limits.size("max_message_bytes", max_message_bytes)
    user_timeout_s = _limits.seconds("user_timeout_s", user_timeout_s, optional=True)
    secrets = Secrets() if secrets is None else secrets
    secrets.learn(headers, target.path.partition("?")[2])
    stream: Stream | None = None
    try:
        stream = dial(target, deadline, ssl_context=ssl_context, proxy=proxy, user_timeout_s=user_timeout_s)
        answered, received = upgrade(stream, target, headers, secrets, deadline)
        return Transport(stream, target.address, answered, received, max_message_bytes, secrets)
    except BaseException:
        if stream is not None:
            stream.descriptor.close()
        raise


class Transport:
    """An open WebSocket.

    One thread receives; any thread may send, and close. ``response_headers`` are those of the server's answer to the
    upgrade, names in lower case.
    """

    def __init__(
        self,
        stream: Stream,
        address: str,
        response_headers: dict[str, str],
        received: bytes,
        max_message_bytes: int,
        secrets: Secrets,
    ) -> None:
        from realtime_sync.transport.stream import Readiness

        self.response_headers: Mapping[str, str] = response_headers
        self._address = address
        self._stream = stream
        self._descriptor = stream.descriptor
        self._secrets = secrets
        self._websocket = WebSocket(max_message_bytes)
        self._received = received  # what came along with the answer to the upgrade
        self._readiness = Readiness
        self._reading = Readiness(stream.descriptor.socket)
        # The turn to send a message guards _sending and _writing. Like the stream's lock it lets a thread in twice,
        # since a signal handler may find its own thread inside; and it can be given back without knowing whether it was
        # taken. Whoever needs both takes the turn first.
        self._turn = threading.RLock()
        self._sending = False
        self._writing = Readiness(stream.descriptor.socket)
        # The stream's lock guards the rest: the writing side of the WebSocket, and whether a thread is just writing.
        self._pushing = False
        self._fault = ""  # why a sender gave the connection up

    def redact(self, text: str) -> str:
        """What the peer said, without the credentials that were sent to it."""
        return self._secrets.redact(text)

    def clean(self, message: str) -> str:
        """A message of either side without them, but for those that are short enough to be words of the protocol."""
        return self._secrets.clean_text(message)

    @property
    def parted(self) -> bool:
        """Whether the peer has answered our goodbye: it has read all that was sent before that."""
        return self._websocket.parted

    def keep_alive(self, interval_s: float | None, timeout_s: float) -> None:
        """From now on `receive` pings the peer after ``interval_s`` seconds of silence (``None``: never) and counts the
        connection as lost when it stays silent for ``timeout_s`` seconds more. The reader thread, or before it reads.
        """
        self._websocket.keep_alive(interval_s, timeout_s, now())

    def receive(self, timeout_s: float = _HOUR_S, before_wait: Callable[[], object] | None = None) -> list[bytes]:
        """The payloads of the messages that have come whole, in order; the reader thread only.

        What the peer repeats of the credentials that were sent to it is left out of them.

        Waits for bytes for at most ``timeout_s`` seconds, or until the keepalive has something to do. Empty when no
        message is whole yet. Where bytes have to be waited for, ``before_wait`` is called, as the last step before
        that; it leaves the transport alone, and what it raises is raised. Pings and the peer's close are answered here.
        At the end, when all messages before it have been returned, raises `ConnectionLost`, or a plain
        `ConnectionClosed` when the peer said goodbye with code 1000 or this side has called `close`.
        """
        websocket = self._websocket
        stream = self._stream
        calling = False
        try:
            self._descriptor.enter()
            if websocket.end:
                raise self._lost(None)
            data: bytes | None = self._received
            self._received = b""
            while not data:
                if stream.busy:
                    data = stream.read()
                else:
                    wait_s = min(timeout_s, websocket.due_s - now())
                    # Where something waits to be written, whichever is possible first is waited for.
                    reads = not self._left_behind() and self._descriptor.patience(wait_s)
                    if before_wait is not None:
                        calling = True
                        before_wait()
                        calling = False
                    if reads:
                        data = stream.read(waits=True)
                        if data is None:
                            websocket.tick(now())
                            break
                    elif self._wait(wait_s):
                        data = stream.read()
                    else:
                        websocket.tick(now())
                        break
                if data == b"":
                    raise self._lost(None)
            messages = self._secrets.clean(websocket.feed(data, now())) if data else []
            data = None  # what is raised below takes this frame along, and the peer may have repeated a key
            if websocket.staged:
                with suppress(OSError):  # what was received comes first; the next read meets the failure
                    self._push()
            if websocket.end and not messages:
                raise self._lost(None)
            return messages
        except (OSError, ValueError) as error:  # the latter of a socket that a signal handler has closed meanwhile
            if calling:
                raise
            raise self._lost(error) from error
        finally:
            self._descriptor.leave()

    def send_text(self, text: str | bytes, timeout_s: float) -> None:
        """Send one text message in one frame; any thread, one message after the other.

        Raises `RealtimeTimeout` when ``timeout_s`` seconds pass before its first byte could go (nothing was sent then),
        and `ConnectionLost` when they pass in its middle: half a frame is out, so the connection is given up. After an
        interrupt (Ctrl-C) the message is sent whole or not at all: its rest goes ahead of whatever is sent next.
        """
        frame = self._websocket.text(text)
        deadline = Deadline(timeout_s)
        self._in_turn(deadline, self._send, frame)

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye with a close frame, as soon as it can go: it waits for the message in its way, and for the peer
        to read, but the caller does not. After it nothing more is sent. Any thread. A failure shows at `receive`."""
        try:
            self._descriptor.enter()
            self._websocket.close(code, reason)
            with suppress(OSError):
                self._push()
        finally:
            self._descriptor.leave()

    def flush(self, timeout_s: float) -> bool:
        """Wait, ``timeout_s`` seconds at most, until all that was sent has left; whether it has. Any thread."""
        deadline = Deadline(timeout_s)
        try:
            self._in_turn(deadline, self._drain)
        except (RealtimeTimeout, ConnectionLost):
            return False
        return True

    def close(self) -> None:
        """Cut the connection at once, without a close frame; any thread, idempotent. Wakes every thread that waits."""
        self._descriptor.close()

    def forget(self) -> None:
        """Release this process's copy of the connection after a fork, leaving it open for the parent."""
        self._descriptor.forget()

    def _left_behind(self) -> bool:
        """Whether something waits to be written that has no sender: then the reader steps in."""
        return not self._sending and (bool(self._websocket.staged) or self._stream.unsent)

    def _wait(self, wait_s: float) -> bool:
        """Wait for bytes, or for the peer to take what was left behind; False when the time is up."""
        left = self._left_behind()
        if not self._reading.wait(max(0.0, wait_s), read=True, write=left and not self._stream.wants_read):
            return False
        if left:
            with suppress(OSError):  # what was received comes first; the read meets the failure after it
                self._push()
        return True

    def _in_turn(self, deadline: Deadline, work: Callable[..., None], *args: Any) -> None:
        """Call ``work`` with the deadline and ``args`` while no other thread sends. Raises `RealtimeTimeout` when the
        others take too long."""
        try:
            self._descriptor.enter()
            # The usual case needs no clock.
            while not (self._turn.acquire(False) or self._turn.acquire(timeout=deadline.slice())):
                if deadline.expired:
                    raise self._too_late(deadline)
            work(deadline, *args)
        except (RealtimeTimeout, ConnectionClosed):
            raise
        except (OSError, ValueError) as error:  # the latter of a socket that a signal handler has closed meanwhile
            self._descriptor.shutdown()  # the reader comes to the end too, after what was received
            raise self._lost(error) from error
        finally:
            # An interrupt (Ctrl-C) may come between any two steps, also when the turn has been taken and `acquire` has
            # not said so yet. So it is given back without asking, and at once: the lock itself knows whose it is.
            try:  # noqa: SIM105  suppress() would leave room for one more interrupt
                self._turn.release()
            except RuntimeError:
                pass  # this thread did not get it
            self._descriptor.leave()

    def _send(self, deadline: Deadline, frame: bytes) -> None:
        if self._sending:
            raise RealtimeTimeout("a signal handler cannot send while its own thread is sending; nothing was sent")
        try:
            self._sending = True
            while not self._begin(frame):
                if deadline.expired:
                    raise self._too_late(deadline)
                self._wait_writable(deadline)
            while (self._stream.unsent or self._websocket.staged) and not self._push():
                if deadline.expired:
                    raise self._give_up(f"{self._address} stopped reading in the middle of a message", deadline)
                self._wait_writable(deadline)
        finally:
            self._sending = False

    def _begin(self, frame: bytes) -> bool:
        """Write what can be written now of a message, whose rest is queued; False when nothing of it can."""
        stream = self._stream
        # The rest of an interrupted message goes first, and while the peer takes no bytes nothing is begun.
        if (stream.unsent or self._websocket.staged) and not self._push():
            return False
        with stream.lock:
            if self._pushing or stream.unsent:  # for the former see `_push`; the latter if the reader was faster
                return False
            try:
                self._pushing = True  # or a signal handler that pushes would send the message once more
                if self._websocket.closing:
                    raise ConnectionClosed(f"the connection to {self._address} is closing: nothing more can be sent")
                # A socket would take the first bytes of a message when it is nearly full already. It counts as writable
                # only while there is room for more than those, and then a message hardly ever gets stuck half way.
                return self._writing.wait(0.0, write=True) and stream.begin_locked(frame)
            finally:
                self._pushing = False

    def _drain(self, deadline: Deadline) -> None:
        while not self._push():
            if deadline.expired:
                raise self._too_late(deadline)
            self._wait_writable(deadline)

    def _push(self) -> bool:
        """Write what can be written now; True when nothing is left."""
        stream = self._stream
        with stream.lock:
            if self._pushing:  # by this thread, which a signal handler has interrupted: it will go on
                return False
            try:
                self._pushing = True
                while stream.push_locked():
                    frame = self._websocket.next_control() if self._websocket.staged else None
                    if frame is None:
                        return True
                    stream.queue.append((frame, []))
            finally:
                self._pushing = False
        return False

    def _wait_writable(self, deadline: Deadline) -> None:
        wants_read = self._stream.wants_read
        # Not _writing: a signal handler that flushes may have interrupted its thread right there.
        readiness = self._readiness(self._descriptor.socket)
        readiness.wait(deadline.slice(), read=wants_read, write=not wants_read)

    def _too_late(self, deadline: Deadline) -> RealtimeTimeout:
        return RealtimeTimeout(
            f"{self._address} took no bytes for {deadline.timeout_s:g} s; nothing of the message was sent"
        )

    def _give_up(self, message: str, deadline: Deadline) -> ConnectionLost:
        self._fault = f"{message} for {deadline.timeout_s:g} s; the connection was given up"
        self._descriptor.shutdown()
        return ConnectionLost(self._fault)

    def _lost(self, error: OSError | ValueError | None) -> ConnectionClosed:
        """What the end of the stream, or its failure, means."""
        if self._descriptor.closed:
            return ConnectionClosed(f"the connection to {self._address} was closed on this side")
        if self._fault:
            return ConnectionLost(self._fault)
        end = self._websocket.end
        if isinstance(end, Closed):
            end = Closed(end.code, self.redact(end.reason))
        if end:
            return error_of(end, self._address)
        how = "ended" if error is None else f"failed ({getattr(error, 'strerror', None) or error})"
        where = "" if self._websocket.idle else " in the middle of a message"
        return ConnectionLost(f"the connection to {self._address} {how}{where}, without a close frame")
