"""Scripts: what the model and the user say, handed out entry by entry."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from realtime_sync._arguments import check_function
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.default_reply import default_reply
from realtime_sync.local.script import Failure, Reply, ReplySource, Transcript, Turn, as_reply

__all__ = ["Claim", "Replies", "Script", "Transcripts"]

_GIVEN: Final = "the turn"


class Script:
    """Entries handed out one after the other, to any thread. Those of a list are checked at once; an iterator is asked
    for one at a time. ``check`` raises `ConfigurationError` for what cannot be an entry."""

    def __init__(self, entries: Iterable[Any], check: Callable[[Any], object]) -> None:
        if isinstance(entries, (str, bytes)):
            raise ConfigurationError("a script of one entry is a list with the entry in it, not the entry itself")
        if isinstance(entries, Mapping) or not isinstance(entries, Iterable):
            raise ConfigurationError(f"a script is a list or an iterator, not a {type(entries).__name__}")
        self._known: deque[Any] | None = None
        if isinstance(entries, Sequence):
            for index, entry in enumerate(entries):
                try:
                    check(entry)
                except ConfigurationError as error:
                    raise ConfigurationError(f"entry {index} of the script: {error}") from None
            self._known = deque(entries)
        self._entries = iter(entries)
        # Guards the two above: the sessions of a server share them.
        self._lock = threading.Lock()

    def next(self, otherwise: Any) -> Any:
        """The next entry, ``otherwise`` when there is none left."""
        with self._lock:
            if self._known is not None:
                return self._known.popleft() if self._known else otherwise
            return next(self._entries, otherwise)

    @property
    def left(self) -> list[Any]:
        """The entries of a list that nobody has asked for; none of an iterator."""
        with self._lock:
            return list(self._known or ())


def _check_reply(entry: Any) -> None:
    if callable(entry):
        check_function(entry, "a reply", _GIVEN)
    else:
        as_reply(entry)


def _check_transcript(entry: Any) -> None:
    if not isinstance(entry, (str, Failure, Transcript)):
        raise ConfigurationError(f"a transcript cannot be a {type(entry).__name__}")


class Transcripts(Script):
    """What the user says, one entry for each commit."""

    def __init__(self, entries: Iterable[Any]) -> None:
        super().__init__(entries, _check_transcript)


@attrs.frozen
class Claim:
    """The reply to one response: a function of the turn, and the rate limits where they are known before."""

    answer: Callable[[Turn], Any]
    rate_limits: Sequence[Mapping[str, Any]] | None = None
    exhausted: bool = False


class Replies:
    """Hands the replies out, one for each response, in the order in which the responses are created. An entry of a
    script may be a function of the turn itself."""

    def __init__(self, source: ReplySource) -> None:
        if callable(source):
            check_function(source, "replies", _GIVEN)
        self._function = default_reply if source is None else source if callable(source) else None
        self._script = Script(() if source is None or callable(source) else source, _check_reply)

    @property
    def left(self) -> list[Any]:
        """The entries of a list that no response has used; none of a function or an iterator."""
        return self._script.left

    def claim(self) -> Claim:
        """The next reply, to be asked for when its turn is known. One that says so when there is none left."""
        if self._function is not None:
            return Claim(self._function)
        entry = self._script.next(_EXHAUSTED)
        if entry is _EXHAUSTED:
            return Claim(lambda turn: entry, exhausted=True)
        if callable(entry):
            return Claim(entry)
        return Claim(lambda turn: entry, entry.rate_limits if isinstance(entry, Reply) else None)


_EXHAUSTED: Final = Failure("The script of the local server has no reply left.", code="script_exhausted")
