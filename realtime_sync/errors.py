"""Every exception that this library raises: one tree, rooted in `RealtimeError`.

No exception of the network libraries underneath gets out; where one was the cause, it is the ``__cause__``. No
message holds an API key.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = [
    "AuthenticationError",
    "BudgetExceeded",
    "ConfigurationError",
    "ConnectionClosed",
    "ConnectionLost",
    "HandshakeError",
    "InboxOverflow",
    "InvalidEvent",
    "RealtimeError",
    "RealtimeTimeout",
    "ResponseFailed",
    "ServerError",
    "SessionExpired",
]


class RealtimeError(Exception):
    """The base of every exception of this library. Each can be pickled, so it survives the way out of a worker
    process."""

    reply: Any = None
    """Raised by `ask` or by a turn: the `Reply` with what has come so far; ``None`` otherwise."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own would call the class with its text alone, and lose or miss what else `__init__` takes.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[RealtimeError], args: tuple[Any, ...], attributes: dict[str, Any]) -> RealtimeError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(RealtimeError, ValueError):
    """An argument, an environment variable or a combination of them cannot work; nothing was dialled."""


class HandshakeError(RealtimeError):
    """The connection could not be opened: look-up, dialling, proxy, TLS or the WebSocket upgrade failed.

    ``status`` is the HTTP status where the server (or the proxy) answered, else ``None``; ``body`` the start of its
    answer as text; ``request_id`` its ``x-request-id``; ``retry_after_s`` the seconds it asks to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        body: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class AuthenticationError(HandshakeError):
    """The server refused the credentials: HTTP 401 or 403, or an error event or close that says so (``status`` is
    ``None`` then). Trying again with the same key is of no use."""


class RealtimeTimeout(RealtimeError, TimeoutError):
    """A wait reached its time limit. Unless the text says otherwise the session goes on and the wait can be
    repeated: nothing that arrived is lost."""


class ConnectionClosed(RealtimeError):
    """The connection has ended.

    ``code`` is the WebSocket close code (1006 where the peer sent none), ``reason`` its text, and ``error`` the
    server's `ServerError` that announced the end, where one came.
    """

    def __init__(self, message: str, *, code: int = 1006, reason: str = "", error: ServerError | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.error = error


class ConnectionLost(ConnectionClosed):
    """The connection ended without a clean close: the network failed, the peer went silent, or the server closed
    with a code other than 1000."""


class SessionExpired(ConnectionClosed):
    """The server ended the session at its time limit (60 minutes at OpenAI)."""


class InboxOverflow(RealtimeError):
    """Events arrived faster than they were consumed until ``limit_bytes`` of them waited. The connection was closed;
    everything received before is still delivered ahead of this error."""

    def __init__(self, message: str, *, limit_bytes: int) -> None:
        super().__init__(message)
        self.limit_bytes = limit_bytes


class InvalidEvent(RealtimeError, ValueError):
    """An event was refused before it was sent; the text says what to change. The session is untouched."""


class ServerError(RealtimeError):
    """The server answered with an ``error`` event.

    ``type`` is its category (``invalid_request_error``), ``code`` the precise reason, ``param`` the field at fault and
    ``event_id`` the client event that caused it; each is ``None`` where the server did not say. ``hint`` is what this
    library makes of it, at the end of the text too: which name of today stands for one of the preview; else ``None``.
    """

    hint: str | None = None

    def __init__(
        self,
        message: str | None,
        *,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.event_id = event_id
        where = "".join(f", {name} {value!r}" for name, value in (("param", param), ("event", event_id)) if value)
        super().__init__(f"{message or 'the server gave no message'} ({code or type or 'no code'}{where})")

    def redact(self, without_secrets: Callable[[str], str]) -> None:
        """Take out what the server repeats of our credentials."""
        for name in ("message", "type", "code", "param", "event_id"):
            said = getattr(self, name)
            setattr(self, name, without_secrets(said) if said else said)
        self.args = (without_secrets(self.args[0]),)

    def add_hint(self, hint: str) -> None:
        """Put ``hint`` behind the text; nothing when it is empty."""
        if hint:
            self.hint = hint
            self.args = (f"{self.args[0]}; {hint}",)


class ResponseFailed(RealtimeError):
    """A response ended as ``failed`` or ``incomplete`` (or ``cancelled``, where the caller waited for its text).

    ``status`` is the final status, ``details`` the response's ``status_details`` and ``response`` the whole final
    response with everything that was generated before the failure.
    """

    def __init__(self, message: str, *, status: str | None, details: Any = None, response: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.details = details
        self.response = response


class BudgetExceeded(RealtimeError):
    """A response was not asked for because the session has used up its budget; nothing was sent.

    ``cost`` is what it has cost so far and ``max_cost`` the limit, both in the currency of the price table. A limit is
    checked before each response: the last one may have gone beyond it.
    """

    def __init__(self, message: str, *, cost: float, max_cost: float) -> None:
        super().__init__(message)
        self.cost = cost
        self.max_cost = max_cost


def fork_error() -> ConnectionClosed:
    """What whoever uses a session in a forked child is told. (Not public: here so that the text stands once.)"""
    return ConnectionClosed("this session belongs to the process that opened it: connect again after a fork")


def check_process(pid: int) -> None:
    """Raises that in a process other than ``pid``. To be called before any lock is taken: in a fork it may be held by a
    thread that is not there."""
    if os.getpid() != pid:
        raise fork_error()
