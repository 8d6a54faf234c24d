"""Writing a talk down while it goes on."""

from __future__ import annotations

import datetime
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from realtime_sync._arguments import answered, check_kind
from realtime_sync._deadline import now
from realtime_sync.errors import ConfigurationError
from realtime_sync.recording.message import UNREADABLE, Direction, elided, redacted, url_without_secrets

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Recorder", "Tap"]

_LOG: Final = logging.getLogger("realtime_sync.recording")
_DIRECTIONS: Final[dict[str, Direction]] = {"in": "to_client", "out": "to_server"}


class Tap:
    """Writes down one connection. It never raises: what goes wrong is logged, and ends the recording, not the talk. Any
    thread."""

    def __init__(self, write: Callable[[str, dict[str, Any]], None], event_of: Callable[[str], Any]) -> None:
        self.redact: Callable[[str], str] = str
        """Takes the credentials in use out of what is written; for whoever knows them to set."""
        self._write = write
        self._event_of = event_of
        self._closed = False
        self._failed = False

    def __call__(self, direction: Literal["in", "out"], text: str | bytes) -> None:
        """Write a message: ``in`` from the server, ``out`` to it."""
        whole = text.decode(errors="replace") if isinstance(text, bytes) else text
        self.guard(lambda: self._write(direction, {"event": self._event_of(self.redact(whole))}))

    def close(self, direction: Literal["in", "out"], code: int, reason: str = "") -> None:
        """The connection has ended, by a close of the server (``in``) or of the client (``out``) with this code, or
        without one: 1006. Only the first call counts."""
        first, self._closed = not self._closed, True
        if first:
            self.guard(lambda: self._write(direction, {"close": {"code": code, "reason": self.redact(reason)}}))

    def guard(self, write: Callable[[], None]) -> None:
        """Write something, unless that has failed before."""
        if self._failed:
            return
        try:
            write()
        except Exception:
            self._failed = True
            _LOG.exception("a recorder failed: no more of this connection is recorded")


@answered
class Recorder:
    """Writes messages to a file as lines of JSON, each at once, so that a crash loses nothing that came before it.

    ``audio`` is ``keep`` or ``elide``, which writes only how long it is. ``append`` goes on with a file that is there,
    else it is replaced; directories are made. Keys, tokens and headers are never written, neither those of the URL nor
    those of MCP servers in a configuration.

    Raises `ConfigurationError` when the file cannot be written. All methods may be called from any thread.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, audio: Literal["keep", "elide"] = "keep", append: bool = False
    ) -> None:
        if audio not in ("keep", "elide"):
            raise ConfigurationError(f"audio is 'keep' or 'elide', not {audio!r}")
        check_kind("path", path, "the path of a file", str, os.PathLike)
        self.path = Path(path)
        self._elides = audio == "elide"
        # Guards _file and _connections: messages come on several threads.
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connections = _last_connection(self.path) if append else 0
            mode = "a" if append else "w"
            # Half of a surrogate pair becomes its escape in JSON.
            self._file = self.path.open(mode, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigurationError(f"cannot record to {str(self.path)!r}: {error.strerror}") from error

    def tap(self, url: str = "") -> Tap:
        """What takes the messages of one more connection, for `RealtimeSession.add_tap`; ``url`` is where it goes.
        Its ``close(direction, code, reason)`` writes how the connection ended. Raises `ConfigurationError` for what
        is no URL."""
        check_kind("url", url, "str", str)
        try:
            where = url_without_secrets(url)
        except ValueError as error:
            raise ConfigurationError(f"url is no URL: {error}") from None
        start_s = now()
        with self._lock:
            self._connections += 1
            number = self._connections
        started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        head = {"connection": number, "url": where, "started_at": started}

        def write(direction: str, what: dict[str, Any]) -> None:
            self._write({"connection": number, "direction": _DIRECTIONS[direction], **what}, start_s)

        tap = Tap(write, self._shown)
        tap.guard(lambda: self._write(head))
        return tap

    def close(self) -> None:
        """Close the file. Idempotent; what comes later is not written."""
        with self._lock:
            try:
                self._file.close()
            except OSError:  # the disk is full, say; it is closed nevertheless
                _LOG.exception("the end of the recording %s could not be written", self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shown(self, text: str) -> Any:
        try:
            event = json.loads(text)
            if not isinstance(event, dict):
                return text
            event = redacted(event)
            return elided(event) if self._elides else event
        except json.JSONDecodeError:
            return text
        except (ValueError, RecursionError):  # a number of too many digits; not as it is: there may be secrets in it
            return f"<not written: {len(text)} characters that cannot be looked at>"

    def _write(self, line: dict[str, Any], start_s: float | None = None) -> None:
        with self._lock:
            if self._file.closed:
                return
            # The clock is read under the lock, so that the times in the file never go back.
            timed = line if start_s is None else {"at_s": round(now() - start_s, 6), **line}
            self._file.write(json.dumps(timed, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._file.flush()


def _last_connection(path: Path) -> int:
    """The number of the last connection in a file; a line that a crash has cut is ended, so that the next is whole."""
    if not path.exists():
        return 0
    text = path.read_text(encoding="utf-8", errors="replace")
    if text and not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
    numbers = [0]
    for line in text.splitlines():
        try:
            numbers.append(int(json.loads(line)["connection"]))
        except UNREADABLE:
            continue
    return max(numbers)
