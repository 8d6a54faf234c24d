"""A Realtime server on this machine: what it says, who may come, and faults on command."""

from __future__ import annotations

import itertools
import logging
import os
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_function, check_kind
from realtime_sync._deadline import Deadline
from realtime_sync.codec import object_to_dict
from realtime_sync.errors import ConfigurationError
from realtime_sync.events import McpListedTool
from realtime_sync.local.admission import Admitted, Door, refusal_of, request_of
from realtime_sync.local.checks import Refusal
from realtime_sync.local.client_secrets import ClientSecrets
from realtime_sync.local.connection import Connection
from realtime_sync.local.control import PREFIX, Control
from realtime_sync.local.core import Ids, Options
from realtime_sync.local.faults import Faults, HandshakeFault, check_goodbye
from realtime_sync.local.http import Answer, Head, error_answer
from realtime_sync.local.listener import Listener
from realtime_sync.local.proxy import Upstream
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.records import Records, RefusedEvent
from realtime_sync.local.replay import Talk
from realtime_sync.local.replies import Replies, Transcripts
from realtime_sync.local.request import LogEntry, Request, message_of
from realtime_sync.local.rest import Rest
from realtime_sync.local.script import Gate, ReplySource
from realtime_sync.local.speech import Speaker, Speech, Transcriber, describe_audio
from realtime_sync.local.verdict import leftovers_of, wrongs
from realtime_sync.recording import Recorder, Recording

if TYPE_CHECKING:
    from typing_extensions import Self
    from websockets.sync.server import ServerConnection

__all__ = ["LocalServer"]

JsonObject = dict[str, Any]
_LOG: Final = logging.getLogger("realtime_sync.local")
_KEPT_FAILURES: Final = 1_000
_LONGEST_LIFE_S: Final = 100 * 365 * 86_400.0  # the end of a session has to be a date


@answered
class LocalServer:
    """A protocol-faithful Realtime server for trying and testing: no key, no network, no cost.

    ``with LocalServer() as server: rt.connect(base_url=server.base_url)``; `start` and `stop` do the same without
    ``with``. Needs the extra ``local``. Nothing leaves the machine.

    ``replies`` decides what the model says: ``None`` repeats what it hears and calls a tool whose name is mentioned; a
    list or iterator is a script with an entry for each response; a function gets the `Turn`. An entry, or what the
    function returns, is a string, a `Reply`, a `ToolCall`, a `Failure`, a list of output items, or an iterator that
    streams them. Functions run on a thread of the response. A list is checked at once.

    ``host`` and ``port`` say where to listen; port 0 takes a free one. ``api_key`` is the key that clients must show;
    ``None`` accepts any and none. ``ssl_context`` makes it https; so does ``tls``, with a throw-away certificate that
    `ca_file` vouches for (needs the extra ``tls``). ``transcriber`` and ``speaker`` put real speech in
    the place of the tones and notes that stand for it (`Transcriber`, `Speaker`); ``transcripts`` scripts instead what
    the user's audio says, one string, `Failure` or `Transcript` for each commit. ``speed`` paces speech at so many
    times real time; ``None`` sends it as fast as it goes. ``latency_s`` is how long each message to a client is on its
    way, in seconds. ``expires_after_s`` is the life of a session in seconds. ``ping_interval_s``
    is the time between pings, ``None`` for none. ``mcp_tools`` maps the label of an MCP server to its tools (mappings
    or `McpListedTool`). ``gates`` hold single events of any connection back. ``quirks`` departs from the protocol as
    compatible servers do. ``strict`` raises at the end of ``with`` what was refused or has failed.
    ``on_message`` is called with each message of either direction, on the server's threads; it must be quick, and must
    not call the server.

    ``upstream`` is the base URL of a real server (``https://api.openai.com/v1``), to which everything is passed on,
    with ``upstream_key`` as its key (``None``: ``OPENAI_API_KEY``); ``record`` writes that down, to a path or a
    `Recorder` (which its owner closes). `replay` is the way back.

    Raises `ConfigurationError` for arguments that cannot be. All methods may be called from any thread. Faults are made
    on command: `drop`, `close_connections`, `expire`, `silence` and `send` act on all connections that are open, and
    their namesakes of a `Request` on that one.
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
        latency_s: float = 0.0,
        expires_after_s: float = 3600.0,
        ping_interval_s: float | None = 20.0,
        ssl_context: ssl.SSLContext | None = None,
        tls: bool = False,
        mcp_tools: Mapping[str, Sequence[JsonObject | McpListedTool]] | None = None,
        gates: Iterable[Gate] = (),
        quirks: Quirks | None = None,
        strict: bool = False,
        on_message: Callable[[LogEntry], object] | None = None,
        upstream: str | None = None,
        upstream_key: str | None = None,
        record: str | os.PathLike[str] | Recorder | None = None,
    ) -> None:
        check_kind("ssl_context", ssl_context, "an ssl.SSLContext or None", ssl.SSLContext, type(None))
        check_kind("tls", tls, "True or False", bool)
        if tls and ssl_context is not None:
            raise ConfigurationError("tls=True makes an ssl_context of its own: give one of the two")
        check_kind("host", host, "str", str)
        check_kind("api_key", api_key, "str or None", str, type(None))
        check_kind("upstream_key", upstream_key, "str or None", str, type(None))
        check_kind("strict", strict, "True or False", bool)
        check_kind("gates", gates, "a list of gates", Iterable)
        check_kind("mcp_tools", mcp_tools, "a mapping from labels to tools", Mapping, type(None))
        check_kind("quirks", quirks, "Quirks", Quirks, type(None))
        check_kind("record", record, "a path or a Recorder", str, os.PathLike, Recorder, type(None))
        if port not in range(65_536):
            raise ConfigurationError(f"port must be a number from 0 (a free one) to 65535, not {port!r}")
        if transcriber is not None:
            check_function(transcriber, "transcriber", "the audio", "its rate")
        if speaker is not None:
            check_function(speaker, "speaker", "the text")
        if on_message is not None:
            check_function(on_message, "on_message", "the entry")
        self._host = host
        self._strict = strict
        self.failures: list[BaseException] = []
        """What reply functions, transcribers and speakers raised, and scripts that had run out, in order."""
        self._records = Records(on_message)
        self._faults = Faults()
        self._options = Options(
            replies=Replies(replies),
            transcripts=None if transcripts is None else Transcripts(transcripts),
            transcriber=transcriber or describe_audio,
            voice=Speech.of_tones if speaker is None else lambda text: Speech.of(speaker(text)),
            speed=_limits.pace("speed", speed),
            latency_s=_limits.seconds("latency_s", latency_s, zero=True),
            expires_after_s=min(_limits.seconds("expires_after_s", expires_after_s, zero=True), _LONGEST_LIFE_S),
            quirks=quirks or Quirks(),
            mcp_tools={label: [object_to_dict(tool) for tool in tools] for label, tools in (mcp_tools or {}).items()},
            gates=list(gates),
            failed=self._keep_failure,
            refused=self._keep_refusal,
            faults=self._faults,
            ids=Ids(),
        )
        secrets = ClientSecrets(self._options.ids, self._options.expires_after_s, self._options.quirks.rate_hz)
        self._door = Door(api_key, secrets, self._options.quirks)
        if record is not None and upstream is None:
            raise ConfigurationError("record writes down what is said to an upstream: give that too")
        self._recorder = Recorder(record) if isinstance(record, (str, os.PathLike)) else None
        self._upstream = None
        if upstream is not None:
            key = upstream_key if upstream_key is not None else os.environ.get("OPENAI_API_KEY")
            self._upstream = Upstream(upstream, key, record if isinstance(record, Recorder) else self._recorder)
        self._rest = Rest(self._door, Control(self), self._upstream)
        self._certificates = None
        if tls:
            from realtime_sync.local.certificates import Certificates

            self._certificates = Certificates(host)
            ssl_context = self._certificates.context
        self._secure = ssl_context is not None
        self._listener = Listener(
            host,
            port,
            ssl_context,
            _limits.seconds("ping_interval_s", ping_interval_s, optional=True),
            admit=self._admit,
            serve=self._serve,
            answer=self._rest.answer,
        )
        self._talks: Iterator[Talk] = iter(())
        # Guards the number of the last connection, and the talks.
        self._lock = threading.Lock()
        self._connections = 0

    @classmethod
    def replay(cls, path: str | os.PathLike[str], *, speed: float | None = None, **options: Any) -> Self:
        """A server that plays its part of a recording to any client, the connections of it in turn; after the last it
        begins again, or passes on to the ``upstream`` where one is given.

        What clients send is compared with the recording: ids that they make up may be others, audio counts by its
        length. The first difference closes the connection with code 4000, says in an error where it is, and is kept
        in `failures`, so that `assert_done` and ``strict`` raise it. ``speed`` paces the messages at so many times the
        recorded speed, ``None`` sends each once the client has sent what came before it. Where the server closed, or
        the connection was lost, that comes again with its code and reason. ``options`` are further
        arguments of the server. Raises `ConfigurationError` when the file is no recording.
        """
        speed = _limits.pace("speed", speed)
        check_kind("path", path, "a path", str, os.PathLike)
        recording = Recording.load(path)
        numbered = zip(sorted(recording.urls), recording.connections, strict=True)
        talks = [Talk(messages, recording.closes.get(number)) for number, messages in numbered]
        server = cls(**options)
        # What comes after them is new where there is somebody to ask; else they begin again.
        server._talks = iter(talks) if server._upstream is not None else itertools.cycle(talks)
        server._options.replay_speed = speed
        return server

    # ------------------------------------------------------------------------------------------------- lifecycle

    def start(self) -> Self:
        """Listen, and return once connections are accepted. Raises `ConfigurationError` when the port is taken, the
        extra ``local`` is missing, or it was started or stopped before."""
        self._listener.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """Close all connections and end all threads, within ``timeout`` seconds. Idempotent; a server that was stopped
        does not start again. In a fork of the process that started it, it goes on, and only this process's copies of
        its sockets are closed."""
        if self._listener.forked:
            self._listener.forget()
            return
        self._listener.stop(timeout, lambda: self.close_connections(1001, "The local server stops."))
        if self._certificates is not None:
            self._certificates.remove()
        if self._recorder is not None:
            self._recorder.close()

    def __enter__(self) -> Self:
        return self if self._listener.started and not self._listener.stopping else self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        # What the body raised is nearer to the cause.
        if self._strict and kind is None and not self._listener.forked:
            self._complain(leftovers=False)

    def __repr__(self) -> str:
        state = "stopped" if self._listener.stopping else "listening" if self._listener.started else "not started"
        return f"<LocalServer {self.base_url if self._listener.port else 'without an address'}: {state}>"

    @property
    def base_url(self) -> str:
        """The URL for clients, e.g. ``http://127.0.0.1:54321/v1``. Raises `ConfigurationError` before the server has
        started, unless it was given a port."""
        if not self._listener.port:
            raise ConfigurationError(
                "the server has no address before it listens: call start(), or use `with LocalServer() as server:`"
            )
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._secure else 'http'}://{host}:{self._listener.port}/v1"

    @property
    def control_url(self) -> str:
        """The URL under which tests in other languages script and question the server; see the page on testing. Raises
        as `base_url` does."""
        return self.base_url.removesuffix("/v1") + PREFIX.rstrip("/")

    @property
    def ca_file(self) -> str | None:
        """The path of a PEM file with the authority that clients of a server with ``tls`` have to trust (in
        ``SSL_CERT_FILE``, ``NODE_EXTRA_CA_CERTS`` or a context of their own); ``None`` without. It goes with `stop`."""
        return self._certificates.ca_file if self._certificates is not None else None

    # -------------------------------------------------------------------------------------------------- the script

    @property
    def replies(self) -> Replies:
        """What the model says from now on; set it as ``replies`` of the constructor are given."""
        return self._options.replies

    @replies.setter
    def replies(self, source: ReplySource) -> None:
        self._options.replies = Replies(source)

    @property
    def transcripts(self) -> Transcripts | None:
        """What the user says from now on; set it as ``transcripts`` of the constructor are given."""
        return self._options.transcripts

    @transcripts.setter
    def transcripts(self, entries: Iterable[Any] | None) -> None:
        self._options.transcripts = None if entries is None else Transcripts(entries)

    def gate(self, event_type: str, nth: int = 1) -> Gate:
        """Hold an event of any connection back from now on; see `Gate`."""
        gate = Gate(event_type, nth)
        self._options.gates.append(gate)
        return gate

    # ------------------------------------------------------------------------------------------- what has happened

    @property
    def requests(self) -> list[Request]:
        """The connections that were made, in order, refused ones too; the last 1,000."""
        return self._records.requests()

    @property
    def received(self) -> list[JsonObject]:
        """The client events of all connections, each connection's in order."""
        return self._records.received()

    @property
    def log(self) -> list[LogEntry]:
        """The messages of all connections and both directions, in one order, with their times."""
        return self._records.log()

    @property
    def refusals(self) -> list[RefusedEvent]:
        """What clients did wrong, in order: events that were answered with an error, unreadable messages, and
        connections that were refused. What `refuse` and `fail_next` brought about is not among it."""
        return self._records.refused()

    def wait_received(self, event_type: str, count: int = 1, timeout: float = 10.0) -> JsonObject:
        """Block until so many client events of a type have come, on all connections together; returns that event.
        Raises `RealtimeTimeout` after ``timeout`` seconds. In asyncio: ``await asyncio.to_thread(...)``."""

        def found() -> list[JsonObject]:
            return [event for event in self.received if event.get("type") == event_type]

        return self._records.wait(found, event_type, count, timeout)

    def assert_done(self) -> None:
        """Raise `AssertionError` unless all went as scripted: the entries of all lists of replies and transcripts were
        used, all scripted faults have happened, nothing was refused (a cancel of what had ended does not count), and
        nothing has failed."""
        self._complain(leftovers=True)

    def reset(self) -> None:
        """Forget what has happened, and what was scripted: replies, transcripts and faults that have not happened.
        Connections that are open stay."""
        self._records.clear()
        self.failures.clear()
        self._faults.clear()
        self._options.gates.clear()
        self.replies = None
        self.transcripts = None
        for request in self.requests:
            request.replies = None
            request.transcripts = None
            request.faults.clear()

    # ------------------------------------------------------------------------------------------------------- faults

    def refuse(
        self,
        status: int | None = 503,
        headers: Mapping[str, str] | None = None,
        times: int = 1,
        *,
        body: str | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Let the next ``times`` handshakes fail with this HTTP status and these headers (``Retry-After``, say);
        ``body`` is sent in the place of a JSON error. ``status=None`` cuts the connection without an answer. Each
        takes ``delay_s`` seconds; with status 101 it comes about after that. Raises `ConfigurationError` for what is
        no status."""
        check_kind("headers", headers, "a mapping or None", Mapping, type(None))
        delay_s = _limits.seconds("delay_s", delay_s, zero=True)
        self._faults.refuse(HandshakeFault(status, dict(headers or {}), body, delay_s), times)

    def fail_next(
        self,
        event_type: str,
        code: str | None = "server_error",
        message: str = "The server had an error while processing your request.",
        *,
        param: str | None = None,
        error_type: str = "invalid_request_error",
        times: int = 1,
    ) -> None:
        """Answer the next ``times`` client events of this type, on any connection, with an error that names the event,
        in the place of what it asks for."""
        self._faults.fail_next(event_type, code, message, param=param, error_type=error_type, times=times)

    def send(self, event: str | bytes | Mapping[str, Any]) -> None:
        """Send something to every client: text or bytes as they are, a mapping as JSON."""
        message = message_of(event)
        for request in self.requests:
            request.send(message)

    def expire(self) -> None:
        """End every session as at its time limit."""
        for request in self.requests:
            request.expire()

    def silence(self) -> None:
        """Let every session with turn detection find that the user has been silent for too long."""
        for request in self.requests:
            request.silence()

    def close_connections(self, code: int = 1000, reason: str = "") -> None:
        """Close every connection with a close frame, after what was sent before. Raises `ConfigurationError` for what
        no close frame can say."""
        check_goodbye(code, reason)
        for request in self.requests:
            request.close(code, reason)

    def drop(self) -> None:
        """Cut every connection without a close frame, as a failing network does."""
        self._listener.cut()

    # --------------------------------------------------------------------------------------------------- connections

    def _admit(self, head: Head) -> Admitted | Answer | None:
        with self._lock:
            self._connections += 1
            request = request_of(head, self._connections)
        self._records.add(request)
        fault = self._faults.take_handshake()
        if fault is not None:
            answer = self._faulty(fault)
            if answer is None or answer.status != 101:
                request.status = None if answer is None else answer.status
                return answer
        known = self._upstream is not None and self._upstream.issued(head)
        admitted = self._door.admit(head, request, known=known)
        if isinstance(admitted, Admitted) and admitted.fault is None:
            admitted = self._with_other_end(head, admitted)
        if isinstance(admitted, Answer):
            request.status = admitted.status
            self._keep_refusal(None, refusal_of(admitted), request)
        return admitted

    def _with_other_end(self, head: Head, admitted: Admitted) -> Admitted | Answer:
        """Who answers a client whose path and key are right: a talk of the recording, the real server, or a session of
        our own, which alone has rules for the rest of the request."""
        with self._lock:
            talk = next(self._talks, None)
        if talk is not None:
            return attrs.evolve(admitted, talk=talk)
        if self._upstream is None:
            return attrs.evolve(admitted, fault=self._door.later_fault(admitted.request, admitted.secret))
        dialled = self._upstream.dial(head)
        return dialled if isinstance(dialled, Answer) else attrs.evolve(admitted, dialled=dialled)

    def _faulty(self, fault: HandshakeFault) -> Answer | None:
        deadline = Deadline(fault.delay_s)
        while not deadline.expired and not self._listener.stopping:
            threading.Event().wait(deadline.slice())
        if fault.status is None:
            return None
        answer = error_answer(fault.status, Refusal(None, "The local server was told to refuse this."))
        return Answer(fault.status, answer.body if fault.body is None else fault.body, fault.headers)

    def _serve(
        self, websocket: ServerConnection, admitted: Admitted, cut: Callable[[], None]
    ) -> list[threading.Thread]:
        connection = Connection(websocket, admitted, self._options, self._records, cut)
        self._listener.remember(connection.outbox.thread)
        if self._listener.stopping:
            connection.close(1001, "The local server stops.")
        return connection.serve()

    def _keep_failure(self, error: BaseException) -> None:
        if len(self.failures) < _KEPT_FAILURES:
            self.failures.append(error)

    def _keep_refusal(self, event: JsonObject | str | bytes | None, refusal: Refusal, request: Request) -> None:
        self._records.refuse(RefusedEvent(event, refusal.code, refusal.param, refusal.message, request))

    def _complain(self, *, leftovers: bool) -> None:
        """Raise what has to be said against the clients and the script."""
        faults = wrongs(self.refusals, self.failures)
        if leftovers:
            faults += leftovers_of(self, self.requests, self._faults)
        if faults:
            cause = self.failures[0] if self.failures else None
            raise AssertionError("\n  ".join(["the local server is not content:", *faults])) from cause
