"""An open WebSocket: whole messages in, whole messages out, from any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConnectionClosed, ConnectionLost, RealtimeError, RealtimeTimeout
from realtime_sync.transport.frames import CLOSE, PING, PONG, TEXT, CloseFrame, Frame, FrameParser, close_payload

if TYPE_CHECKING:
    import ssl

    from realtime_sync.transport.stream import Stream

__all__ = ["MAX_MESSAGE_BYTES", "Transport", "open_transport"]

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
USER_TIMEOUT_S: Final = 30.0


def open_transport(
    url: str,
    headers: Mapping[str, str],
    *,
    deadline: Deadline,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | bool | None = "auto",
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    user_timeout_s: float | None = USER_TIMEOUT_S,
) -> Transport:
    """Connect and upgrade, all within the deadline.

    ``proxy`` is ``"auto"`` (by the environment), the URL of a proxy, or ``None`` for none. ``ssl_context`` replaces the
    default TLS settings. ``max_message_bytes`` bounds one message received. ``user_timeout_s``: seconds after which the
    system gives the connection up when the peer acknowledges nothing (where the system can; ``None`` leaves its own).

    Raises `ConfigurationError` before dialling, `HandshakeError` (`AuthenticationError` for HTTP 401 and 403),
    `RealtimeTimeout` at the deadline.
    """
    from realtime_sync.transport.dial import dial
    from realtime_sync.transport.target import Target
    from realtime_sync.transport.upgrade import upgrade

    target = Target.of(url)
    stream = dial(target, deadline, ssl_context=ssl_context, proxy=proxy, user_timeout_s=user_timeout_s)
    try:
        answered, received = upgrade(stream, target, headers, deadline)
        return Transport(stream, target.address, answered, received, max_message_bytes)
    except BaseException:
        stream.descriptor.close()
        raise


class Transport:
    """An open WebSocket.

    One thread receives; any thread may send, and close. ``response_headers`` are those of the server's answer to the
    upgrade, names in lower case.
    """

    def __init__(
        self, stream: Stream, address: str, response_headers: dict[str, str], received: bytes, max_message_bytes: int
    ) -> None:
        from websocket import ABNF

        from realtime_sync.transport.stream import Readiness

        self.response_headers: Mapping[str, str] = response_headers
        self._address = address
        self._stream = stream
        self._descriptor = stream.descriptor
        self._parser = FrameParser(max_message_bytes)
        self._received = received  # what came along with the answer to the upgrade
        self._close_frame: CloseFrame | None = None
        self._readiness = Readiness
        self._reading = Readiness(stream.descriptor.socket)
        # The turn to send a message guards _sending and _writing. Both locks know their owner: so that an interrupt
        # (Ctrl-C) on the very instruction leaves none taken, and a signal handler may find its own thread inside.
        self._turn = threading.RLock()
        self._sending = False
        self._writing = Readiness(stream.descriptor.socket)
        # The stream's lock guards the rest: the control frames not yet in its queue, the newest of each kind; whether a
        # close frame was among them, which ends our side; whether a thread is just writing.
        self._control: dict[int, bytes] = {}
        self._closing = False
        self._pushing = False
        self._fault = ""  # why a sender gave the connection up
        self._frame: Any = ABNF.create_frame

    @property
    def local_address(self) -> str | None:
        """Our end of the connection as ``host:port``, for debugging; ``None`` once it is closed."""
        return _shown(self._descriptor.socket.getsockname)

    @property
    def peer_address(self) -> str | None:
        """The other end, the server or the proxy, as ``host:port``, for debugging; ``None`` once it is closed."""
        return _shown(self._descriptor.socket.getpeername)

    def receive(self, timeout_s: float) -> list[Frame] | None:
        """Every whole message and control frame that has come, in order; the reader thread only.

        Waits for bytes for at most ``timeout_s`` seconds and returns ``None`` when none came; ``[]`` means that a part
        of a message did. Pings are not answered here. Raises `ConnectionClosed` after `close`, and `ConnectionLost`
        when the stream has ended, failed, or broke the protocol; what came before that is returned first.
        """
        try:
            self._descriptor.enter()
            if self._received:
                along, self._received = self._received, b""
                return self._note(self._parser.feed(along))
            if self._parser.fault:
                raise self._violated()
            deadline = Deadline(timeout_s)
            stream = self._stream
            while True:
                if not stream.busy and not self._wait(deadline):
                    return None
                data = stream.read()
                if data:
                    return self._note(self._parser.feed(data))
                if data is not None:
                    raise self._lost(None)
        except RealtimeError:
            raise
        except (OSError, ValueError) as error:  # the latter of a socket that a signal handler has closed meanwhile
            raise self._lost(error) from error
        finally:
            self._descriptor.leave()

    def send_text(self, text: str | bytes, timeout_s: float) -> None:
        """Send one text message in one frame; any thread, one message after the other.

        Raises `RealtimeTimeout` when ``timeout_s`` seconds pass before its first byte could go (nothing was sent then),
        and `ConnectionLost` when they pass in its middle: half a frame is out, so the connection is given up. After an
        interrupt (Ctrl-C) the message is sent whole or not at all: its rest goes ahead of whatever is sent next.
        """
        frame = self._frame(text, TEXT).format()
        deadline = Deadline(timeout_s)
        try:
            self._descriptor.enter()
            if not self._turn.acquire(timeout=max(0.0, timeout_s)):
                raise self._too_late(deadline)
            self._send(frame, deadline)
        finally:
            try:  # noqa: SIM105  bare, so that no interrupt can strike before the turn is given back
                self._turn.release()
            except RuntimeError:
                pass  # this thread did not get it
            self._descriptor.leave()

    def send_control(self, opcode: int, payload: bytes = b"") -> None:
        """Send a ping, pong or close frame (at most 125 bytes) as soon as it can go; any thread, never blocks.

        A frame that cannot go now waits for the message in its way, or for the peer to read, and a newer one of its
        kind replaces it. After a close frame nothing more is sent. A failure shows at the next `receive`.
        """
        try:
            self._descriptor.enter()
            self._stage(opcode, payload)
        finally:
            self._descriptor.leave()

    def flush(self, timeout_s: float) -> bool:
        """Wait, ``timeout_s`` seconds at most, until all that was sent has left; whether it has. Any thread."""
        deadline = Deadline(timeout_s)
        try:
            self._descriptor.enter()
            if not self._turn.acquire(timeout=max(0.0, timeout_s)):
                return False
            while not self._push():
                if deadline.expired:
                    return False
                self._wait_writable(deadline)
        except RealtimeError:
            raise
        except (OSError, ValueError):
            return False
        finally:
            try:  # noqa: SIM105  as above
                self._turn.release()
            except RuntimeError:
                pass
            self._descriptor.leave()
        return True

    def close(self) -> None:
        """Cut the connection at once, without a close frame; any thread, idempotent. Who waits in it is woken."""
        self._descriptor.close()

    def forget(self) -> None:
        """Release this process's copy of the connection after a fork, leaving it open for the parent."""
        self._descriptor.forget()

    def _wait(self, deadline: Deadline) -> bool:
        """Wait for bytes, or for the peer to take what was left behind; False when the time is up."""
        # While a sender has its turn it writes everything; the reader steps in only for what has no sender.
        left = bool(self._control or self._stream.unsent) and not self._sending
        remaining = deadline.remaining()
        if not self._reading.wait(remaining or 0.0, read=True, write=left and not self._stream.wants_read):
            return False
        if left:
            with suppress(OSError):  # what was received comes first; the read meets the failure after it
                self._push()
        return True

    def _note(self, frames: list[Frame]) -> list[Frame]:
        """Look at what the parser made: a violation is told to the peer, and raised when nothing came before it."""
        fault = self._parser.fault
        if fault:
            self._stage(CLOSE, close_payload(fault.code))
            if not frames:
                raise self._violated()
        elif frames and frames[-1][0] == CLOSE:
            self._close_frame = CloseFrame.parse(frames[-1][1])
        return frames

    def _stage(self, opcode: int, payload: bytes) -> None:
        frame = self._frame(payload, opcode).format()
        with self._stream.lock:
            if self._closing:
                return
            self._closing = opcode == CLOSE
            self._control[opcode] = frame
        with suppress(OSError):
            self._push()

    def _send(self, frame: bytes, deadline: Deadline) -> None:
        if self._sending:
            raise RealtimeTimeout("a signal handler cannot send while its own thread is sending; nothing was sent")
        try:
            self._sending = True
            # The rest of an interrupted message goes first, and while the peer takes no bytes nothing is begun.
            while not (self._push() and self._writing.wait(0.0, write=True)):
                if deadline.expired:
                    raise self._too_late(deadline)
                self._wait_writable(deadline)
            with self._stream.lock:
                if self._closing:
                    raise ConnectionClosed(f"the connection to {self._address} is closing: nothing more can be sent")
                self._stream.queue.append((frame, []))
            while not self._push():
                if deadline.expired:
                    raise self._give_up(f"{self._address} stopped reading in the middle of a message", deadline)
                self._wait_writable(deadline)
        except RealtimeError:
            raise
        except (OSError, ValueError) as error:  # the latter of a socket that a signal handler has closed meanwhile
            self._descriptor.shutdown()  # the reader comes to the end too, after what was received
            raise self._lost(error) from error
        finally:
            self._sending = False

    def _push(self) -> bool:
        """Write what can be written now; True when nothing is left."""
        stream = self._stream
        with stream.lock:
            if self._pushing:  # by this thread, which a signal handler has interrupted: it will go on
                return False
            try:
                self._pushing = True
                while stream.push_locked():
                    if not self._control:
                        return True
                    for opcode in (PONG, PING, CLOSE):
                        frame = self._control.pop(opcode, None)
                        if frame:
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

    def _violated(self) -> ConnectionLost:
        fault = self._parser.fault
        assert fault is not None
        error = ConnectionLost(f"{self._address} broke the WebSocket protocol: it sent {fault}", code=fault.code)
        error.__cause__ = fault
        return error

    def _lost(self, error: OSError | ValueError | None) -> ConnectionClosed:
        """What the end of the stream, or its failure, means."""
        if self._descriptor.closed:
            return ConnectionClosed(f"the connection to {self._address} was closed on this side")
        if self._fault:
            return ConnectionLost(self._fault)
        if self._close_frame:
            code, reason = self._close_frame
            kind = ConnectionClosed if code == 1000 else ConnectionLost
            return kind(f"{self._address} closed the connection with code {code}", code=code, reason=reason)
        how = "ended" if error is None else f"failed ({getattr(error, 'strerror', None) or error})"
        where = "" if self._parser.idle else " in the middle of a message"
        return ConnectionLost(f"the connection to {self._address} {how}{where}, without a close frame")


def _shown(address_of: Any) -> str | None:
    try:
        host, port = address_of()[:2]
    except OSError:
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
