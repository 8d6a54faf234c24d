"""Whether a session goes on over another connection, and how hard that is tried: values and rules, without I/O."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_function
from realtime_sync.delivery.ending import FATAL_CODES
from realtime_sync.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionClosed,
    HandshakeError,
    RealtimeError,
    ServerError,
)
from realtime_sync.sending.acks import error_in

if TYPE_CHECKING:
    from realtime_sync.events import Family, ServerEvent, SessionResumed

__all__ = ["Resume", "is_final", "survives"]

_FINAL_CODES: Final = FATAL_CODES - {"session_expired"}
_FINAL_CLOSES: Final = frozenset({3000, 4000})  # refused credentials; a session of another dialect
_TRANSIENT_STATUSES: Final = frozenset({408, 425, 429})


def _seconds(*, optional: bool = False) -> Any:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        _limits.seconds(f"Resume({attribute.name})", value, optional=optional, zero=True)

    return check


def _count(least: int, *, optional: bool = False) -> Any:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and not (optional and value is None):
            none = " or None" if optional else ""
            raise ConfigurationError(
                f"Resume({attribute.name}) must be a whole number, {least} or more{none}; not {value!r}"
            )

    return check


def _share(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigurationError(f"Resume({attribute.name}) must be a number from 0 to 1; not {value!r}")


def _way(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value not in ("fail", "ask_again"):
        raise ConfigurationError(f"Resume({attribute.name}) must be 'fail' or 'ask_again'; not {value!r}")


def _handler(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value is not None:
        check_function(value, f"Resume({attribute.name})", "the event")


@answered
@attrs.frozen(kw_only=True)
class Resume:
    """How a session goes on when its connection ends: the ``resume=`` of `realtime_sync.connect`.

    Raises `ConfigurationError` for values that cannot be.
    """

    attempts: int = attrs.field(default=5, validator=_count(1))
    """How many connections are tried, until the server has done something over one of them."""
    backoff_s: float = attrs.field(default=0.5, validator=_seconds())
    """The pause before the first of them, in seconds; it doubles each time. A server that says how long to wait is
    heeded, within ``backoff_max_s``."""
    backoff_max_s: float = attrs.field(default=30.0, validator=_seconds())
    """The longest pause, in seconds."""
    jitter: float = attrs.field(default=0.5, validator=_share)
    """Which share of each pause is left to chance, so that many clients do not come back in the same moment."""
    in_flight: Literal["fail", "ask_again"] = attrs.field(default="fail", validator=_way)
    """What becomes of a reply that had begun: it fails with `ConnectionLost`, whose ``reply`` is what had come, or is
    asked for once more. What was asked for and had not begun is asked for again in any case."""
    keep_audio_s: float = attrs.field(default=30.0, validator=_seconds())
    """How old audio may be that is sent again, in seconds: audio that was not committed, or not sent at all."""
    history: int | None = attrs.field(default=None, validator=_count(0, optional=True))
    """How many items of the conversation the server is told again: so many of the latest; ``None``: all."""
    rollover_s: float | None = attrs.field(default=60.0, validator=_seconds(optional=True))
    """How long before the server's time limit another connection is prepared, in seconds (at most half of the time
    that there is); ``None``: the limit is waited for."""
    on_resumed: Callable[[SessionResumed], object] | None = attrs.field(default=None, validator=_handler)
    """A handler of `SessionResumed`, as `RealtimeSession.on` takes it."""

    @classmethod
    def of(cls, given: bool | Resume | None) -> Resume | None:
        """What ``resume=`` means. Raises `ConfigurationError` for what it cannot be."""
        if given is None or isinstance(given, Resume):
            return given
        if isinstance(given, bool):
            return cls() if given else None
        raise ConfigurationError(f"resume= takes True or a Resume, not {type(given).__name__}")

    def survives(self, family: Family) -> Callable[[RealtimeError | None, ServerEvent | None], bool]:
        """The rule by which a session of this family goes on, see `survives`."""
        return partial(survives, family)

    def pause_s(self, attempt: int, chance: float, asked_s: float | None = None) -> float:
        """The pause before an attempt (1 is the first), in seconds. ``chance`` is a number from 0 to 1, ``asked_s``
        what the server asked for."""
        least_s, most_s = (
            _limits.seconds("a pause", bound, zero=True) for bound in (self.backoff_s, self.backoff_max_s)
        )
        pause_s = min(most_s, max(least_s * 2.0 ** min(attempt - 1, 64), asked_s or 0.0))
        return max(pause_s * (1 - self.jitter * chance), min(asked_s or 0.0, most_s))


def survives(family: Family, cause: RealtimeError | None, last: ServerEvent | None) -> bool:
    """Whether a session can go on whose connection ended for ``cause``, and whose last event this was: not when it
    was closed cleanly, when the server says that nobody is to come back, and when this side is at fault."""
    if not isinstance(cause, ConnectionClosed) or cause.code in _FINAL_CLOSES:
        return False
    if not isinstance(cause.__cause__, (OSError, RealtimeError, type(None))):  # a tap that ended the reader, say
        return False
    error = error_in(last, family)
    return error is None or not _is_final(error)


def is_final(error: BaseException) -> bool:
    """Whether trying once more is of no use after this failure of an attempt."""
    if isinstance(error, (AuthenticationError, ConfigurationError)):
        return True
    if isinstance(error, HandshakeError):
        status, body = error.status or 0, error.body or ""
        return (400 <= status < 500 and status not in _TRANSIENT_STATUSES) or any(code in body for code in _FINAL_CODES)
    if isinstance(error, ConnectionClosed):
        return error.code in _FINAL_CLOSES
    return isinstance(error, ServerError) and _is_final(error)


def _is_final(said: ServerError) -> bool:
    return not _FINAL_CODES.isdisjoint((said.code, said.type))
