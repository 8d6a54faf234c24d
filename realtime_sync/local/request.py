"""One connection as a test sees it, and what it can do to that connection alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Protocol

import attrs

from realtime_sync._arguments import check_kind
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.faults import Faults, check_goodbye
from realtime_sync.local.replies import Replies, Transcripts
from realtime_sync.local.script import ReplySource

__all__ = ["Direction", "Link", "LogEntry", "Request", "message_of"]

JsonObject = dict[str, Any]
Direction = Literal["to_server", "to_client"]


def message_of(event: str | bytes | Mapping[str, Any]) -> str | bytes:
    """What goes over the wire: text and bytes as they are, a mapping as JSON. Raises `ConfigurationError` for what is
    neither, or cannot be JSON."""
    check_kind("event", event, "text, bytes or a mapping", str, bytes, Mapping)
    if isinstance(event, (str, bytes)):
        return event
    try:
        return json.dumps(dict(event), ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"event cannot be JSON: {error}") from None


class Link(Protocol):
    """What an open connection can be made to do. All methods may be called from any thread."""

    def put(self, message: str | bytes) -> None:
        """Send a message."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after what was sent before."""

    def cut(self) -> None:
        """Cut the connection."""

    def expire(self) -> None:
        """End the session as at its time limit."""

    def silence(self) -> None:
        """Let the user have been silent for too long."""


class Log(Protocol):
    """What a server keeps of its connections, as far as one of them asks for it."""

    def log(self, request: Request | None = None, direction: Direction | None = None) -> list[LogEntry]:
        """The messages in order."""

    def events(self, request: Request, direction: Direction) -> list[JsonObject]:
        """Those that are JSON objects."""

    def wait(self, found: Callable[[], list[JsonObject]], what: str, count: int, timeout: float) -> JsonObject:
        """Block until so many are found."""

    def wait_ended(self, request: Request, timeout: float) -> int:
        """Block until a connection has ended; its close code."""


@attrs.frozen
class LogEntry:
    """One message on the wire.

    ``at_s`` is in seconds since the server was made; ``direction`` is ``to_server`` or ``to_client``; ``connection``
    is the `Request` that it belongs to.
    """

    number: int = attrs.field(repr=False)
    at_s: float
    direction: Direction
    connection: Request = attrs.field(repr=False)
    _message: JsonObject | str | bytes = attrs.field(repr=False)

    @property
    def event(self) -> JsonObject | str | bytes:
        """The message as decoded JSON; as it was sent where it is no JSON object."""
        if not isinstance(self._message, str):
            return self._message
        try:
            event = json.loads(self._message)
        except (ValueError, RecursionError):
            return self._message
        return event if isinstance(event, dict) else self._message

    def __str__(self) -> str:
        event = self.event
        arrow = "->" if self.direction == "to_server" else "<-"
        name = event.get("type") if isinstance(event, dict) else None
        return f"{self.at_s:9.3f} s  #{self.connection.number} {arrow} {name or 'unreadable':<50} {_shortened(event)}"


@attrs.define(eq=False)
class Request:
    """One connection as a test sees it: the upgrade request, without secrets, and what went over it.

    ``headers`` have lower-case names; ``number`` counts the connections of the server from 1. ``status`` is that of
    the answer: 101 for a connection that came about, ``None`` while there is none and where it was cut.
    ``close_code`` is the code with which the connection ended, 1006 without a close frame and ``None`` while it is
    open. All methods may be called from any thread; they do nothing once the connection is closed. A copy (`pickle`,
    `copy`) is of the fields alone, and belongs to no server.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    number: int = 0
    status: int | None = attrs.field(default=None, init=False)
    close_code: int | None = attrs.field(default=None, init=False)
    # The three below are the server's.
    records: Log | None = attrs.field(default=None, init=False, repr=False)
    link: Link | None = attrs.field(default=None, init=False, repr=False)
    faults: Faults = attrs.field(factory=Faults, init=False, repr=False)
    _replies: Replies | None = attrs.field(default=None, init=False, repr=False)
    _transcripts: Transcripts | None = attrs.field(default=None, init=False, repr=False)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.path, self.query, self.headers, self.number, self.status, self.close_code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        Request.__init__(self, *state[:4])
        self.status, self.close_code = state[4:]

    @property
    def is_open(self) -> bool:
        """Whether the session of this connection goes on."""
        return self.link is not None

    @property
    def log(self) -> list[LogEntry]:
        """The messages of both directions, in order, with their times."""
        return self.records.log(self) if self.records is not None else []

    @property
    def received(self) -> list[JsonObject]:
        """The client's events so far, in order, as decoded JSON. A server keeps 64 MiB of them and forgets the oldest
        first."""
        return self.records.events(self, "to_server") if self.records is not None else []

    @property
    def sent(self) -> list[JsonObject]:
        """What the client was sent so far, in order, as decoded JSON; 64 MiB of a server are kept."""
        return self.records.events(self, "to_client") if self.records is not None else []

    @property
    def replies(self) -> Replies | None:
        """What the model says on this connection alone; set it as ``replies`` of the server are given. ``None``: what
        it says on all others."""
        return self._replies

    @replies.setter
    def replies(self, source: ReplySource) -> None:
        self._replies = None if source is None else Replies(source)

    @property
    def transcripts(self) -> Transcripts | None:
        """What the user says on this connection alone; set it as ``transcripts`` of the server are given."""
        return self._transcripts

    @transcripts.setter
    def transcripts(self, entries: Iterable[Any] | None) -> None:
        self._transcripts = None if entries is None else Transcripts(entries)

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
        """As `LocalServer.fail_next`, for this connection alone."""
        self.faults.fail_next(event_type, code, message, param=param, error_type=error_type, times=times)

    def send(self, event: str | bytes | Mapping[str, Any]) -> None:
        """Send something to this client: text or bytes as they are, a mapping as JSON."""
        if (link := self.link) is not None:
            link.put(message_of(event))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a close frame, after what was sent before. Raises `ConfigurationError` for what no close frame can
        say."""
        check_goodbye(code, reason)
        if (link := self.link) is not None:
            link.close(code, reason)

    def drop(self) -> None:
        """Cut the connection without a close frame, as a failing network does."""
        if (link := self.link) is not None:
            link.cut()

    def expire(self) -> None:
        """End the session as at its time limit."""
        if (link := self.link) is not None:
            link.expire()

    def silence(self) -> None:
        """Let turn detection find that the user has been silent for too long."""
        if (link := self.link) is not None:
            link.silence()

    def wait_received(self, event_type: str, count: int = 1, timeout: float = 10.0) -> JsonObject:
        """Block until so many client events of a type have come on this connection; returns that event. Raises
        `RealtimeTimeout` after ``timeout`` seconds."""

        def found() -> list[JsonObject]:
            return [event for event in self.received if event.get("type") == event_type]

        return self._kept().wait(found, event_type, count, timeout)

    def wait_closed(self, timeout: float = 10.0) -> int:
        """Block until the server has seen the connection end, which a client may have seen earlier; returns its
        ``close_code``. Raises `RealtimeTimeout` after ``timeout`` seconds and `ConfigurationError` for a request that
        was refused, which never became a connection."""
        records = self._kept()
        if self.status not in (None, 101):
            raise ConfigurationError(f"this request was answered with status {self.status}: there is no connection")
        return records.wait_ended(self, timeout)

    def _kept(self) -> Log:
        if self.records is None:
            raise ConfigurationError("this request belongs to no server")
        return self.records


_LONGEST_SHOWN: Final = 160
_PAYLOADS: Final = frozenset({"audio", "image_url"})


def _shortened(event: JsonObject | str | bytes) -> str:
    """An event for a line of the log: audio by its length, no more than fits."""
    if isinstance(event, dict):
        fields = {
            name: _elided(name, value, event) for name, value in event.items() if name not in ("type", "event_id")
        }
        text = json.dumps(fields, ensure_ascii=False)
    else:
        text = repr(event)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _elided(name: str, value: Any, event: JsonObject) -> Any:
    if isinstance(value, str) and (
        name in _PAYLOADS or (name == "delta" and str(event.get("type")).endswith("audio.delta"))
    ):
        return f"<{len(value)} characters>"
    if isinstance(value, dict):
        return {key: _elided(key, entry, event) for key, entry in value.items()}
    return [_elided("", entry, event) for entry in value] if isinstance(value, list) else value
