"""Why a session ended, as the user is told: the close code, its text and the error event that came before it."""

from __future__ import annotations

from typing import Final

from realtime_sync.errors import (
    AuthenticationError,
    ConnectionClosed,
    ConnectionLost,
    RealtimeError,
    ServerError,
    SessionExpired,
)

__all__ = ["FATAL_CODES", "UNAUTHORIZED_CODES", "after", "explain", "refusal"]

UNAUTHORIZED_CODES: Final = frozenset({"invalid_api_key", "incorrect_api_key", "authentication_error", "unauthorized"})
"""Error codes and types that say the credentials are wrong."""

FATAL_CODES: Final = UNAUTHORIZED_CODES | {
    "session_expired",
    "insufficient_quota",
    "billing_hard_limit_reached",
    "account_deactivated",
}
"""Error codes and types after which the server ends the session."""

_GOING_AWAY: Final = 1001
_UNAUTHORIZED: Final = 3000
_EXPIRY_WORDS: Final = ("expire", "maximum duration", "session hit the")


def explain(cause: RealtimeError | None, error: ServerError | None, *, last: bool) -> RealtimeError | None:
    """The reader's ``cause`` (``None``: a clean close), or the goodbye of the server, together with the last ``error``
    event of the session; ``last`` says that nothing came after it."""
    if error is not None and not last and FATAL_CODES.isdisjoint((error.code, error.type)):
        error = None
    code, reason = (cause.code, cause.reason) if isinstance(cause, ConnectionClosed) else (1000, "")
    expired = error is not None and "session_expired" in (error.code, error.type)
    if expired or (code == _GOING_AWAY and any(word in reason.lower() for word in _EXPIRY_WORDS)):
        told: ConnectionClosed = SessionExpired(
            "the session reached the server's time limit", code=code, reason=reason, error=error
        )
    elif isinstance(cause, ConnectionClosed) and error is not None:
        told = type(cause)(f"{cause}; before it the server said: {error}", code=code, reason=reason, error=error)
    else:
        return cause
    told.__cause__ = cause.__cause__ if isinstance(cause, ConnectionLost) else None
    return told


def after(cause: RealtimeError | None) -> ConnectionClosed:
    """What whoever sends after the end is told."""
    if isinstance(cause, ConnectionClosed):
        told = type(cause)(str(cause), code=cause.code, reason=cause.reason, error=cause.error)
    else:
        told = ConnectionClosed(f"the session is closed: {cause or 'nothing can be sent any more'}", code=1000)
    told.__cause__ = cause
    return told


def refusal(error: RealtimeError) -> RealtimeError:
    """What `connect` raises for ``error``: an `AuthenticationError` where that is what it means."""
    said = error.error if isinstance(error, ConnectionClosed) else error
    words = {said.code, said.type} if isinstance(said, ServerError) else set()
    unauthorized = isinstance(error, ConnectionClosed) and error.code == _UNAUTHORIZED
    if not unauthorized and not words & UNAUTHORIZED_CODES:
        return error
    refused = AuthenticationError(f"the server refused the credentials: {error}")
    refused.__cause__ = error
    return refused
