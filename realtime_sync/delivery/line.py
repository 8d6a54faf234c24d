"""The way to the server, which may outlive the connection that it runs over."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.connection import Connection, Tap, check_close
from realtime_sync.delivery.ending import after
from realtime_sync.errors import ConnectionClosed, RealtimeError, RealtimeTimeout, fork_error

if TYPE_CHECKING:
    from realtime_sync.delivery.inbox import Inbox
    from realtime_sync.events.base import ServerEvent

__all__ = ["Line", "Owner", "Survives"]

Survives = Callable[["RealtimeError | None", "ServerEvent | None"], bool]
"""Whether another connection may follow upon one that ended for this cause, and whose last event this was."""

_FEW: Final = 256


class Owner(Protocol):
    """Whose message it is, which says when the server need not be told it again: an `Ack`, say. Whoever waits for the
    answer holds it."""

    done: bool


class _Message:
    """What was sent, or waits to be."""

    __slots__ = ("owner", "sent", "text")

    def __init__(self, text: str | bytes, owner: Owner | None) -> None:
        self.text = text
        # Weakly: an ack leads to the session, which nobody may hold any more. One that is gone is waited for by nobody.
        self.owner = None if owner is None else weakref.ref(owner)
        self.sent = False  # on the connection that there is now

    @property
    def done(self) -> bool:
        """Whether it is not to be sent on another connection."""
        if self.owner is None:
            return self.sent
        owner = self.owner()
        return owner is None or owner.done


class Line:
    """What a session sends over, and closes. Any thread.

    Without ``survives`` it is its connection, and ends with it. With it, messages are kept, in order, until their
    owners are done; one without an owner, until it has left. When the connection ends for a cause that it survives,
    what is sent waits; when another one is attached, all that is kept leaves over that one, in the same order.
    """

    def __init__(self, connection: Connection, inbox: Inbox, survives: Survives | None = None) -> None:
        self._connection = connection
        self._inbox = inbox
        self._survives = survives
        # Guards all below, and which connection there is. A signal handler that calls `close` may find its own thread
        # inside, so the lock lets a thread in twice. Never held while sending.
        self._lock = threading.RLock()
        self._messages: list[_Message] = []
        self._most = _FEW
        self._held = False  # nothing leaves now
        self._closing = False
        self._fault: RealtimeError | None = None  # why no other connection follows
        self._pid = os.getpid()
        self.explain: Callable[[], RealtimeError | None] = lambda: None
        """Why it has ended, or what the server said with a clean end, as the user is told it; asked by whoever sends
        after that. Any thread."""

    @property
    def closing(self) -> bool:
        """Whether this side has asked for the end."""
        return self._closing or (self._survives is None and self._connection.closing)

    @property
    def ended(self) -> bool:
        """Whether no further event will come: the connection has ended, and no other one can follow."""
        connection = self._connection
        if self._fault is not None or self.forked:
            return True
        return connection.ended and not (
            self._held or (self._survives is not None and self._survives(connection.cause, connection.last))
        )

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one that opened it."""
        return os.getpid() != self._pid

    @property
    def cause(self) -> RealtimeError | None:
        """Why the connection that there is or was last has ended; ``None`` before that and after a clean end."""
        if self._closing and self._held:  # between two connections: this side has ended the search
            return self._fault
        return self._fault or self._connection.cause

    @property
    def goodbye(self) -> ConnectionClosed | None:
        """What the server said when it ended that connection cleanly; ``None`` before that and after any other end."""
        return self._connection.goodbye

    @property
    def fault(self) -> RealtimeError | None:
        """Why no other connection could follow, as the user is told it; ``None`` where none was to."""
        return self._fault

    @property
    def parted(self) -> bool:
        """As `Connection.parted`, of the connection that there is or was last."""
        return self._connection.parted

    @property
    def last(self) -> ServerEvent | None:
        """The latest event that arrived over this connection, dispatched or not."""
        return self._connection.last

    def redact(self, text: str) -> str:
        """What the server said, without the credentials that were sent to it."""
        return self._connection.redact(text)

    def clean(self, message: str) -> str:
        """As `Transport.clean`."""
        return self._connection.clean(message)

    def add_tap(self, tap: Tap) -> None:
        """Show every further text frame to ``tap``, on this connection and on those that follow."""
        with self._lock:
            self._connection.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no further frame to ``tap``."""
        with self._lock:
            self._connection.remove_tap(tap)

    def send(self, text: str | bytes, owner: Owner | None = None) -> None:
        """Send one message whole, or keep it for the next connection.

        Raises as `Connection.send`; `ConnectionClosed` only when no other connection can follow.
        """
        if self._survives is None:
            try:
                self._connection.send(text)
            except ConnectionClosed:
                if self.forked or not (self.closing or self.ended):
                    raise
                told = self._closed()
                raise told from told.__cause__
            return
        if self.forked:  # first of all: in a fork any lock may be held by a thread that is not there
            raise fork_error()
        message = _Message(text, owner)
        with self._lock:
            if self.closing or self.ended:
                raise self._closed()
            self._messages.append(message)
            if len(self._messages) > self._most:
                self._forget_done_locked()
            if self._held:
                return
            message.sent = True
            connection = self._connection
        self._transmit(connection, message)

    def hold(self) -> None:
        """Let nothing leave from now on: it waits for `flush`. What is done is forgotten, also if its owner is not for
        long: a reply that is asked for once more is asked for by another message."""
        with self._lock:
            self._held = True
            self._forget_done_locked()

    def settle(self, kind: type[Owner]) -> None:
        """What has left for owners of this class need not be sent again."""
        with self._lock:
            for message in self._messages:
                owner = message.owner() if message.owner is not None else None
                if message.sent and isinstance(owner, kind):
                    owner.done = True

    def drop(self) -> Connection:
        """The connection that there is; nothing leaves over it any more, and what ends it is no end of the session."""
        with self._lock:
            self._held = True
            return self._connection

    def attach(self, connection: Connection) -> bool:
        """Let another connection, which was not started yet, take the place of the one that has ended. What waits
        leaves with `flush`. False when the session has been closed meanwhile."""
        with self._lock:
            if self._closing or self._fault is not None:
                return False
            for tap in self._connection.taps:
                connection.add_tap(tap)
            self._held = True
            self._forget_done_locked()
            for message in self._messages:
                message.sent = False
            self._connection = connection
        return True

    def flush(self) -> None:
        """Send all that waits, in order; then what is sent leaves at once. When the connection fails, the rest waits
        for the next one."""
        while True:
            with self._lock:
                connection = self._connection
                waiting = next((message for message in self._messages if not (message.sent or message.done)), None)
                if waiting is None or connection.ended:
                    self._held = False
                    return
                waiting.sent = True
            try:
                connection.send(waiting.text)
            except RealtimeTimeout:  # nothing of it has left: the peer is slow, or gone, which the reader will find
                waiting.sent = False
            except ConnectionClosed:
                with self._lock:
                    waiting.sent = self._held = False
                return

    def give_up(self, fault: RealtimeError) -> None:
        """No other connection follows, because of ``fault``."""
        with self._lock:
            self._fault = fault
            self._messages.clear()

    def close(self, code: int = 1000, reason: str = "", timeout_s: float | None = 2.0) -> None:
        """As `Connection.close`, for good."""
        check_close(code, reason)
        Deadline(timeout_s)  # raises for what is no time limit, before anything is closed
        self._end(lambda connection: connection.close(code, reason, timeout_s))

    def abandon(self) -> None:
        """End at once, without a goodbye and without waiting."""
        self._end(Connection.abandon)

    def _end(self, end: Callable[[Connection], None]) -> None:
        if self.forked:  # before any lock, as in `send`
            end(self._connection)
            return
        with self._lock:  # from now on `attach` refuses
            self._closing = True
        end(self._connection)
        if self._survives is not None:
            self._inbox.end()  # between two connections there is no reader that would say so

    def _transmit(self, connection: Connection, message: _Message) -> None:
        try:
            connection.send(message.text)
        except RealtimeTimeout:
            with self._lock:
                if message in self._messages:
                    self._messages.remove(message)
            raise
        except ConnectionClosed:
            with self._lock:
                if connection is self._connection:
                    message.sent = False
                    if self._closing or self.ended:
                        told = self._closed()
                        raise told from told.__cause__

    def _closed(self) -> ConnectionClosed:
        told = self._fault or self.explain()
        if isinstance(told, ConnectionClosed) or (self._closing and self._held):  # between two connections
            return after(told)
        return self._connection.closed()

    def _forget_done_locked(self) -> None:
        self._messages = [message for message in self._messages if not message.done]
        self._most = max(_FEW, 2 * len(self._messages))
