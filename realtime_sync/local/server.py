"""A Realtime server on this machine: listening, keys, the life of connections, and faults on command."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.admission import http_error, http_fault, kind_and_model, later_fault, request_of, subprotocol
from realtime_sync.local.checks import Refusal
from realtime_sync.local.core import Ids, Options
from realtime_sync.local.default_reply import default_reply
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.records import Records, Request
from realtime_sync.local.script import Gate, Replies, ReplySource, Script
from realtime_sync.local.session import Session, parse_frame
from realtime_sync.local.speech import Speaker, Transcriber, describe_audio, tone_speech

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self
    from websockets.http11 import Request as HttpRequest
    from websockets.http11 import Response as HttpResponse
    from websockets.sync.server import Server, ServerConnection

__all__ = ["LocalServer"]

JsonObject = dict[str, Any]
_LOG: Final = logging.getLogger("realtime_sync.local")
_MOST_BYTES: Final = 16 * 1024 * 1024
_KEPT_FAILURES: Final = 1_000
_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 2.0


@attrs.define(eq=False)
class _Link:
    """An open connection."""

    outbox: Outbox
    session: Session


class LocalServer:
    """A protocol-faithful Realtime server for trying and testing: no key, no network, no cost.

    ``with LocalServer() as server: rt.connect(base_url=server.base_url)``; `start` and `stop` do the same without
    ``with``. Needs the extra ``local``. Nothing leaves the machine, and nothing is written to a file.

    ``replies`` decides what the model says: ``None`` repeats what it hears and calls a tool whose name is mentioned; a
    list or iterator is a script with an entry for each response; a function gets the `Turn`. An entry, or what the
    function returns, is a string, a `Reply`, a `ToolCall`, a `Failure`, a list of output items, or an iterator that
    streams them. Functions run on a thread of the response.

    ``host`` and ``port`` say where to listen; port 0 takes a free one. ``api_key`` is the key that clients must show;
    ``None`` accepts any and none. ``ssl_context`` makes it https. ``transcriber`` and ``speaker`` put real speech in
    the place of the tones and notes that stand for it (`Transcriber`, `Speaker`); ``transcripts`` scripts instead what
    the user's audio says, one string or `Failure` for each commit. ``speed`` paces speech at so many times real time;
    ``None`` sends it as fast as it goes. ``expires_after_s`` is the life of a session in seconds. ``ping_interval_s``
    is the time between pings, ``None`` for none. ``mcp_tools`` maps the label of an MCP server to its tools.
    ``gates`` hold single events of any connection back. ``quirks`` departs from the protocol as compatible servers do.

    All methods may be called from any thread. Faults are made on command: `drop`, `close_connections`, `expire`,
    `silence` and `send` act on all connections that are open.
    """

    def __init__(
        self,
        replies: ReplySource = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        transcriber: Transcriber | None = None,
        transcripts: Iterable[Any] | None = None,
        speaker: Speaker | None = None,
        speed: float | None = None,
        expires_after_s: float = 3600.0,
        ping_interval_s: float | None = 20.0,
        ssl_context: ssl.SSLContext | None = None,
        mcp_tools: Mapping[str, Sequence[JsonObject]] | None = None,
        gates: Iterable[Gate] = (),
        quirks: Quirks | None = None,
    ) -> None:
        if speed is not None and speed <= 0:
            raise ConfigurationError("speed must be above 0; None is as fast as possible")
        self._host = host
        self._port = port
        self._api_key = api_key
        self._ssl_context = ssl_context
        self._ping_interval_s = ping_interval_s
        self.failures: list[BaseException] = []
        """What reply functions, transcribers and speakers raised, in order."""
        self._records = Records()
        self._options = Options(
            replies=Replies(replies, default_reply),
            transcripts=None if transcripts is None else Script(transcripts),
            transcriber=transcriber or describe_audio,
            speaker=speaker or tone_speech,
            speed=speed,
            expires_after_s=expires_after_s,
            quirks=quirks or Quirks(),
            mcp_tools=dict(mcp_tools or {}),
            gates=list(gates),
            failed=self._keep_failure,
            ids=Ids(),
        )
        # Guards the sockets, links and threads; notified when a socket is closed.
        self._changed = threading.Condition()
        self._stopping = False
        self._links: list[_Link] = []
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._server: Server | None = None
        self._accepting: threading.Thread | None = None
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------------------------------------------- lifecycle

    def start(self) -> Self:
        """Listen, and return once connections are accepted. Raises `ConfigurationError` when the port is taken or the
        extra ``local`` is missing."""
        if self._server is not None:
            raise ConfigurationError("the server was started already")
        try:
            from websockets.sync.server import serve
        except ImportError as error:
            message = "the local server needs the extra `local`: pip install 'realtime_sync[local]'"
            raise ConfigurationError(message) from error
        try:
            server = serve(
                self._serve,
                self._host,
                self._port,
                family=socket.AF_INET6 if ":" in self._host else socket.AF_INET,
                ssl=self._ssl_context,
                compression=None,
                process_request=self._admit,
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
            raise ConfigurationError(f"cannot listen on {self._host} port {self._port}: {error.strerror}") from error
        self._port = server.socket.getsockname()[1]
        server.handler = self._guard(server.handler)
        self._server = server
        self._accepting = threading.Thread(target=server.serve_forever, name="local-realtime-accept", daemon=True)
        self._accepting.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Close all connections and end all threads, within ``timeout`` seconds. Idempotent; a server that was stopped
        does not start again."""
        deadline = Deadline(timeout)
        with self._changed:
            server, accepting, first = self._server, self._accepting, not self._stopping
            self._stopping = True
        if server is None or accepting is None:
            return
        if first:
            self.close_connections(1001, "The local server stops.")
            self._wait_until_closed(Deadline(min(timeout / 2, _CLOSE_TIMEOUT_S)))
            self._cut()
            # The library waits for its handlers without a limit, and one may be in code of the user.
            name, args = "local-realtime-shutdown", (server, accepting)
            ending = threading.Thread(target=_shut, args=args, name=name, daemon=True)
            try:
                ending.start()
            except RuntimeError:  # the interpreter is ending, and with it every thread of ours
                server.socket.close()
                return
            with self._changed:
                self._threads.append(ending)
        # One that ends may leave others behind, so each look is a new one.
        while (left := self._others_alive()) and not deadline.expired:
            left[0].join(deadline.remaining())
        if left:
            names = ", ".join(thread.name for thread in left)
            _LOG.warning("the local server has stopped, but code that it called still runs: %s", names)

    def __enter__(self) -> Self:
        return self if self._server is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """The URL for clients, e.g. ``http://127.0.0.1:54321/v1``; valid once the server has started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._ssl_context else 'http'}://{host}:{self._port}/v1"

    # ------------------------------------------------------------------------------------------------ for tests

    @property
    def requests(self) -> list[Request]:
        """The connections that were made, in order, refused ones too; the last 1,000."""
        return self._records.requests()

    @property
    def received(self) -> list[JsonObject]:
        """The client events of all connections, each connection's in order."""
        return self._records.received()

    def wait_received(self, event_type: str, count: int = 1, timeout: float = 10.0) -> JsonObject:
        """Block until so many client events of a type have come, on all connections together; returns that event.
        Raises `RealtimeTimeout` after ``timeout`` seconds."""
        return self._records.wait(event_type, count, timeout)

    def gate(self, event_type: str, nth: int = 1) -> Gate:
        """Hold an event of any connection back from now on; see `Gate`."""
        gate = Gate(event_type, nth)
        self._options.gates.append(gate)
        return gate

    def send(self, event: str | bytes | Mapping[str, Any]) -> None:
        """Send something to every client: text or bytes as they are, a mapping as JSON."""
        message = event if isinstance(event, (str, bytes)) else json.dumps(event, ensure_ascii=False)
        for link in self._open_links():
            link.outbox.put(message)

    def expire(self) -> None:
        """End every session as at its time limit."""
        for link in self._open_links():
            link.session.expire()

    def silence(self) -> None:
        """Let every session with turn detection find that the user has been silent for too long."""
        for link in self._open_links():
            link.session.silence()

    def close_connections(self, code: int = 1000, reason: str = "") -> None:
        """Close every connection with a close frame, after what was sent before."""
        for link in self._open_links():
            link.outbox.close(code, reason)

    def drop(self) -> None:
        """Cut every connection without a close frame, as a failing network does."""
        self._cut()

    # ----------------------------------------------------------------------------------------------- connections

    def _guard(self, handler: Callable[[socket.socket, Any], None]) -> Callable[[socket.socket, Any], None]:
        """The library's handler of a connection, with a named thread and a socket that can be cut at any time, in the
        handshake too."""

        def handle(sock: socket.socket, address: Any) -> None:
            thread = threading.current_thread()
            thread.name = f"local-realtime-{next(self._numbers)}"
            with self._changed:
                if self._stopping:
                    sock.close()
                self._sockets.add(sock)
                self._remember(thread)
            try:
                handler(sock, address)
            finally:
                with self._changed:
                    self._sockets.discard(sock)
                    self._changed.notify_all()

        return handle

    def _remember(self, *threads: threading.Thread) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.extend(threads)

    def _others_alive(self) -> list[threading.Thread]:
        with self._changed:
            return [
                thread for thread in self._threads if thread.is_alive() and thread is not threading.current_thread()
            ]

    def _admit(self, websocket: ServerConnection, http: HttpRequest) -> HttpResponse | None:
        """Answer an upgrade request that cannot be served; ``None`` lets it pass."""
        request = request_of(http)
        self._records.add(request)
        websocket.local_request = request  # type: ignore[attr-defined]
        fault, status = http_fault(http, request, self._api_key)
        if fault is None:
            fault = later_fault(request, self._options.quirks)
        elif not (status == 401 and self._options.quirks.late_authentication):
            return http_error(websocket, status, fault)
        websocket.local_fault = fault  # type: ignore[attr-defined]
        return None

    def _serve(self, websocket: ServerConnection) -> None:
        """Serve one connection: the body of its thread."""
        from websockets.exceptions import ConnectionClosed

        request: Request = websocket.local_request  # type: ignore[attr-defined]
        fault: Refusal | None = websocket.local_fault  # type: ignore[attr-defined]
        outbox = Outbox(websocket, f"{threading.current_thread().name}-sender")
        # The library's own threads end by themselves, but a little later than the connection.
        library = [getattr(websocket, name, None) for name in ("recv_events_thread", "keepalive_thread")]
        with self._changed:
            self._remember(outbox.thread, *(thread for thread in library if thread is not None))
        if fault is not None:
            self._turn_away(outbox, fault)
            return
        link = _Link(outbox, Session(*kind_and_model(request), outbox, self._options))
        with self._changed:
            self._links.append(link)
            if self._stopping:
                outbox.close(1001, "The local server stops.")
        try:
            link.session.open()
            while True:
                try:
                    frame = websocket.recv(link.session.next_deadline_s)
                except TimeoutError:
                    link.session.on_time()
                    continue
                raw = parse_frame(frame)
                if not isinstance(raw, Refusal):
                    self._records.note(request, raw, len(frame))
                link.session.receive(raw)
        except ConnectionClosed:
            pass
        finally:
            outbox.end()
            left = link.session.end()
            with self._changed:
                self._links.remove(link)
                self._remember(*left)

    def _turn_away(self, outbox: Outbox, fault: Refusal) -> None:
        """Refuse a connection as the real server does after the upgrade: an error, and at once a close."""
        event = {"type": "error", "event_id": self._options.ids.new("event"), "error": fault.shown(None)}
        outbox.put(json.dumps(event))
        code = 3000 if fault.code in (None, "invalid_api_key") else 4000
        outbox.close(code, ".".join(part for part in (fault.type, fault.code) if part))
        outbox.thread.join(_CLOSE_TIMEOUT_S)

    def _keep_failure(self, error: BaseException) -> None:
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(error)

    def _open_links(self) -> list[_Link]:
        with self._changed:
            return list(self._links)

    def _wait_until_closed(self, deadline: Deadline) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._sockets, deadline.remaining())

    def _cut(self) -> None:
        with self._changed:
            for sock in self._sockets:
                with contextlib.suppress(OSError):  # it may have lost its peer already
                    # Not the method of a TLS socket, which would touch what its reader is using.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _shut(server: Server, accepting: threading.Thread) -> None:
    """Stop listening, and close what the library leaves open."""
    ends: list[Any] = [server.shutdown_watcher, server.shutdown_notifier]
    server.shutdown()
    accepting.join()
    for end in ends:
        if isinstance(end, int):  # one end of a pipe, before version 17
            os.close(end)


def _wire_log() -> logging.Logger:
    """The log of the WebSocket library: silent, unless somebody sets its level. A client that goes away in the
    handshake would be an error in it, with a traceback."""
    log = logging.getLogger("realtime_sync.local.wire")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
    return log
