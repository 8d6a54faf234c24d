"""Listening: one port for WebSockets and plain HTTP, with or without TLS, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.admission import subprotocol
from realtime_sync.local.checks import Refusal
from realtime_sync.local.http import Answer, Head, HttpFault, error_answer, read_body, read_head, send_answer

if TYPE_CHECKING:
    import ssl

    from websockets.sync.server import Server, ServerConnection

__all__ = ["Listener"]

_LOG: Final = logging.getLogger("realtime_sync.local")
_MOST_BYTES: Final = 16 * 1024 * 1024
_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 2.0


class Listener:
    """Accepts connections, each on a thread of its own.

    ``admit`` decides about an upgrade request: with an `Answer` it is refused, ``None`` cuts it, and anything else
    goes to ``serve`` with the connection; that returns the threads it leaves behind. ``answer`` is asked about all
    other requests. All methods may be called from any thread.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        ping_interval_s: float | None,
        *,
        admit: Callable[[Head], Any],
        serve: Callable[[ServerConnection, Any, Callable[[], None]], list[threading.Thread]],
        answer: Callable[[Head, bytes], Answer],
    ) -> None:
        self._host = host
        self.port = port
        self._context = context
        self._ping_interval_s = ping_interval_s
        self._admit = admit
        self._serve_upgraded = serve
        self._answer = answer
        # Guards the sockets and threads; notified when a socket is closed.
        self._changed = threading.Condition()
        self._stopping = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._server: Server | None = None
        self._accepting: threading.Thread | None = None
        self._numbers = itertools.count(1)
        self._pid = os.getpid()

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return self._server is not None

    @property
    def stopping(self) -> bool:
        """Whether it is to end, or has."""
        return self._stopping

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one that started it, or made it."""
        return os.getpid() != self._pid

    def start(self) -> None:
        """Listen; raises `ConfigurationError` when that cannot be, or the extra is missing."""
        if self._stopping:
            raise ConfigurationError("a server that was stopped does not start again: make another LocalServer")
        if self._server is not None:
            raise ConfigurationError("the server was started already")
        try:
            from websockets.sync.server import serve

            from realtime_sync.local.upgrade import UpgradedConnection
        except ImportError as error:
            message = "the local server needs the extra `local`: pip install 'realtime_sync[local]'"
            raise ConfigurationError(message) from error
        try:
            server = serve(
                self._serve,
                self._host,
                self.port,
                family=socket.AF_INET6 if ":" in self._host else socket.AF_INET,
                create_connection=UpgradedConnection,
                compression=None,
                select_subprotocol=subprotocol,
                subprotocols=["realtime"],  # type: ignore[list-item]
                server_header=None,
                open_timeout=_OPEN_TIMEOUT_S,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=self._ping_interval_s,
                ping_timeout=None,
                max_size=_MOST_BYTES,
                logger=_wire_log(),
            )
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {self._host} port {self.port}: {error.strerror}") from error
        self._pid = os.getpid()
        self.port = server.socket.getsockname()[1]
        server.handler = self._guard(server.handler)
        self._server = server
        name = "local-realtime-accept"
        self._accepting = threading.Thread(target=self._accept, args=(server,), name=name, daemon=True)
        self._accepting.start()

    def stop(self, timeout: float, say_goodbye: Callable[[], None]) -> None:
        """End everything within ``timeout`` seconds; ``say_goodbye`` closes the connections first. Idempotent."""
        deadline = Deadline(timeout)
        with self._changed:
            server, accepting, first = self._server, self._accepting, not self._stopping
            self._stopping = True
        if server is None or accepting is None:
            return
        if first:
            say_goodbye()
            self._wait_until_closed(Deadline(min(timeout / 2, _CLOSE_TIMEOUT_S)))
            self.cut()
            # The library waits for its handlers without a limit, and one may be in code of the user.
            name, args = "local-realtime-shutdown", (server, accepting)
            ending = threading.Thread(target=_shut, args=args, name=name, daemon=True)
            try:
                ending.start()
            except RuntimeError:  # the interpreter is ending, and with it every thread of ours
                server.socket.close()
                return
            self.remember(ending)
        # One that ends may leave others behind, so each look is a new one.
        while (left := self._others_alive()) and not deadline.expired:
            left[0].join(deadline.remaining())
        if left:
            names = ", ".join(thread.name for thread in left)
            _LOG.warning("the local server has stopped, but code that it called still runs: %s", names)

    def forget(self) -> None:
        """Release a fork's copies of the sockets; the server itself goes on in the parent. Idempotent. Without the
        lock, which a thread of the parent may have held."""
        first, self._stopping = not self._stopping, True
        if not first or self._server is None:
            return
        self._server.socket.close()
        for sock in list(self._sockets):
            sock.close()
        for end in _pipe_of(self._server):
            os.close(end)

    def remember(self, *threads: threading.Thread) -> None:
        """Wait for these threads in `stop`."""
        with self._changed:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.extend(threads)

    def cut(self) -> None:
        """Cut every connection without a word."""
        with self._changed:
            for sock in self._sockets:
                _cut(sock)

    def _accept(self, server: Server) -> None:
        """The body of the thread that accepts."""
        try:
            server.serve_forever()
        except OSError:
            if not self._stopping:  # else `stop` was faster than it could begin
                raise

    def _guard(self, handler: Callable[[Any, Any], None]) -> Callable[[socket.socket, Any], None]:
        """The library's handler of a connection, for those that ask for a WebSocket: with a named thread and a socket
        that can be cut at any time, in the handshake too."""

        def handle(sock: socket.socket, address: Any) -> None:
            thread = threading.current_thread()
            thread.name = f"local-realtime-{next(self._numbers)}"
            self.remember(thread)
            try:
                if self._context is not None:
                    # Without the handshake, so that it can be cut in there too.
                    sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                with self._changed:
                    self._sockets.add(sock)
                    if self._stopping:
                        _cut(sock)
                upgraded = self._greet(sock)
                if upgraded is not None:
                    handler(upgraded, address)
            except OSError:
                pass  # the peer went away, or was no HTTP client
            finally:
                sock.close()
                # The library's handler does this, but was not asked each time.
                getattr(self._server, "handler_threads", set()).discard(thread)
                with self._changed:
                    self._sockets.discard(sock)
                    self._changed.notify_all()

        return handle

    def _greet(self, sock: Any) -> Any:
        """Read the request and answer it, unless it is an upgrade that may pass: then what the library is to go on
        with."""
        from realtime_sync.local.upgrade import ReadSocket

        deadline = Deadline(_OPEN_TIMEOUT_S)
        sock.settimeout(_OPEN_TIMEOUT_S)
        if self._context is not None:
            sock.do_handshake()
        try:
            head = read_head(sock, deadline)
            if head is None:
                return None
            if head.is_upgrade:
                admitted = self._admit(head)
                if admitted is None:
                    return None
                if not isinstance(admitted, Answer):
                    sock.settimeout(None)
                    return ReadSocket(sock, head.raw, admitted)
                answer = admitted
            else:
                answer = self._answer(head, read_body(sock, head, deadline))
        except HttpFault as fault:
            answer = error_answer(fault.status, Refusal(None, str(fault)))
        send_answer(sock, answer, Deadline(_OPEN_TIMEOUT_S))
        # A peer that has yet to read the answer would lose it to a reset.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_WR)
        return None

    def _serve(self, websocket: ServerConnection) -> None:
        """Serve one connection: the body of its thread, called by the library."""
        read: Any = websocket.socket
        # The library's own threads end by themselves, but a little later than the connection.
        library = [getattr(websocket, name, None) for name in ("recv_events_thread", "keepalive_thread")]
        self.remember(*(thread for thread in library if thread is not None))
        self.remember(*self._serve_upgraded(websocket, read.admitted, lambda: self._cut_one(read.sock)))

    def _cut_one(self, sock: socket.socket) -> None:
        with self._changed:
            if sock in self._sockets:
                _cut(sock)

    def _others_alive(self) -> list[threading.Thread]:
        current = threading.current_thread()
        with self._changed:
            return [thread for thread in self._threads if thread.is_alive() and thread is not current]

    def _wait_until_closed(self, deadline: Deadline) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._sockets, deadline.remaining())


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may have lost its peer already
        # Not the method of a TLS socket, which would touch what its reader is using.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _shut(server: Server, accepting: threading.Thread) -> None:
    """Stop listening, and close what the library leaves open."""
    ends = _pipe_of(server)
    server.shutdown()
    accepting.join()
    for end in ends:
        os.close(end)


def _pipe_of(server: Server) -> list[int]:
    """What wakes the library's listener, where that is a pipe: before version 17."""
    ends: list[Any] = [server.shutdown_watcher, server.shutdown_notifier]
    return [end for end in ends if isinstance(end, int)]


def _wire_log() -> logging.Logger:
    """The log of the WebSocket library: silent, unless somebody sets its level. A client that goes away in the
    handshake would be an error in it, with a traceback."""
    log = logging.getLogger("realtime_sync.local.wire")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    return log
