"""One thread late everywhere, as on a machine that is busy: `REALTIME_SYNC_LATE=server make test`.

A race that a busy machine shows once in a thousand runs shows at once when the thread that usually wins comes late each
time. Which are late is a list of `LATE`'s names, with commas between. A few limits in the tests are too short for it:
`--timeout 0`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Final

from realtime_sync.delivery.control import Task
from realtime_sync.delivery.dispatcher import Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.line import Line
from realtime_sync.local.connection import Connection
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.records import Records

__all__ = ["LATE", "make_late"]


def _delay(owner: type, name: str, *, before_s: float = 0.0, after_s: float = 0.0) -> None:
    """Let a method begin and return late."""
    method = getattr(owner, name)

    @wraps(method)
    def late(*args: Any, **options: Any) -> Any:
        time.sleep(before_s)
        found = method(*args, **options)
        time.sleep(after_s)
        return found

    setattr(owner, name, late)


def _server() -> None:
    """The local server takes note of a connection, of messages and of the end after the client."""
    _delay(Connection, "serve", before_s=0.05)
    _delay(Records, "note", before_s=0.003)
    _delay(Records, "end", before_s=0.1)


def _replies() -> None:
    """The local server's messages leave late, and further apart."""
    _delay(Outbox, "_next", after_s=0.004)


def _reader() -> None:
    """What has arrived, and the end, come to the inbox late."""
    _delay(Inbox, "put", before_s=0.004)
    _delay(Inbox, "end", before_s=0.05)


def _sender() -> None:
    """Whoever sends goes on when the answer may be there already."""
    _delay(Line, "send", before_s=0.001, after_s=0.003)


def _dispatcher() -> None:
    """Whoever dispatches is slower than what arrives, and so is the thread beside."""
    _delay(Dispatcher, "step", before_s=0.002)
    _delay(Task, "run", before_s=0.004, after_s=0.004)


def _threads() -> None:
    """Threads begin a while after they were started."""
    start = threading.Thread.start

    def start_late(self: threading.Thread) -> None:
        run = self.run

        def late() -> None:
            time.sleep(random.random() * 0.03)
            run()

        self.run = late  # type: ignore[method-assign]
        start(self)

    threading.Thread.start = start_late  # type: ignore[method-assign]


LATE: Final[dict[str, Callable[[], None]]] = {
    "server": _server,
    "replies": _replies,
    "reader": _reader,
    "sender": _sender,
    "dispatcher": _dispatcher,
    "threads": _threads,
}


def make_late(names: Iterable[str]) -> None:
    """Make these late from now on, in this process."""
    for name in names:
        LATE[name]()
