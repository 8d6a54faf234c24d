"""The thread that opens the next connection of a session, beside whoever uses the session."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import attrs

from realtime_sync._deadline import SLICE_S, Deadline, now
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.line import Line
from realtime_sync.errors import ConfigurationError, ConnectionClosed, ConnectionLost, RealtimeError
from realtime_sync.events import SessionResumed
from realtime_sync.session.resume.policy import Resume, is_final
from realtime_sync.session.resume.successor import Successor
from realtime_sync.state.conversation import ConversationSnapshot, History

if TYPE_CHECKING:
    from realtime_sync.delivery.connection import Connection
    from realtime_sync.session.dialling import Dialling
    from realtime_sync.session.restoration import Restored

__all__ = ["Talk", "Worker"]

_GOODBYE_S: Final = 2.0
_RESTORE_S: Final = 60.0
_GLANCE_S: Final = 0.05  # how soon what is prepared is found to be needed

_log = logging.getLogger("realtime_sync")


@attrs.frozen(kw_only=True)
class Talk:
    """What has to go on over another connection."""

    cause: RealtimeError | None
    """Why the connection has ended; ``None`` when it was changed as planned."""
    lively: bool
    """Whether the server did something over it."""
    ended_at: float
    update: Mapping[str, Any] | None
    """The event that sets the configuration, as JSON."""
    conversation: ConversationSnapshot
    history: History
    """What of it the server is to be told."""


class Worker:
    """Prepares connections, and hands them over. Its thread begins with the first thing to do, and ends with the line;
    it keeps nothing of the session that somebody may drop.

    ``leave`` is called ahead of what waits on the line, when a connection is there: it returns how many seconds of
    audio were too old to be sent again.
    """

    def __init__(
        self,
        policy: Resume,
        dialling: Dialling,
        line: Line,
        inbox: Inbox,
        timeout_s: float,
        leave: Callable[[], float | None],
    ) -> None:
        self._policy = policy
        self._dialling = dialling
        self._line = line
        self._inbox = inbox
        self._timeout_s = timeout_s
        self._leave = leave
        self._changed = threading.Condition()  # guards _thread, _due, _talk and _old
        self._thread: threading.Thread | None = None
        self._due: float | None = None
        self._talk: Talk | None = None
        self._old: Connection | None = None
        self._successor: Successor | None = None  # the thread's own, as all below
        self._failures = 0
        self._used = 0

    @property
    def ready(self) -> bool:
        """Whether a connection is prepared; any thread."""
        return self._successor is not None

    def plan(self, due: float | None) -> None:
        """Prepare a connection at this time, on the clock of `now`; ``None``: none."""
        with self._changed:
            self._due = due
            if due is not None:
                self._wake_locked()

    def end(self, old: Connection) -> None:
        """Say goodbye to the connection that another one replaces."""
        with self._changed:
            self._old = old
            self._wake_locked()

    def resume(self, talk: Talk) -> None:
        """Go on with this talk over another connection."""
        with self._changed:
            self._talk = talk
            self._wake_locked()

    def close(self, timeout_s: float | None) -> None:
        """The line is closed: wait for the thread's end, at most so many seconds (``None``: 2). Any thread."""
        with self._changed:
            thread = self._thread
            self._changed.notify_all()
        deadline = Deadline(_GOODBYE_S if timeout_s is None else timeout_s)
        while thread is not None and thread is not threading.current_thread() and thread.is_alive():
            if deadline.expired:
                return
            thread.join(deadline.slice())

    def _wake_locked(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="realtime_sync-resume", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._give_up(ConnectionLost(f"the session could not be resumed: no thread could be started: {error}"))
        self._changed.notify_all()

    # The thread

    def _run(self) -> None:
        try:
            while not (self._line.closing or self._line.ended):
                self._step()
        except BaseException as bug:
            _log.exception("the session cannot be resumed")
            fault = ConnectionLost("the session cannot be resumed: this is a fault of realtime_sync")
            fault.__cause__ = bug
            self._give_up(fault)
        finally:
            self._discard()

    def _step(self) -> None:
        with self._changed:
            talk, self._talk = self._talk, None
            old, self._old = self._old, None
            due = self._due
            if talk is None and old is None and self._successor is None and (due is None or now() < due):
                self._changed.wait(SLICE_S)
                return
        if old is not None:
            old.close(timeout_s=_GOODBYE_S)
        if talk is not None:
            self._go_on(talk)
        elif self._successor is not None:
            self._keep(self._successor)
        elif due is not None and now() >= due:
            self._prepare()

    def _prepare(self) -> None:
        """Open a connection ahead of time. A failure costs nothing yet."""
        try:
            self._successor = self._opened()
        except Exception as error:
            if not self._line.closing:
                _log.warning("no connection could be prepared ahead of the time limit of the session: %s", error)
            self._later(error)

    def _later(self, error: Exception) -> None:
        """What was to be prepared has failed: try again after a pause, if that is of any use."""
        self._failures += 1
        pause_s = self._policy.pause_s(self._failures, random.random(), _asked_s(error))
        with self._changed:
            self._due = None if is_final(error) else now() + max(pause_s, SLICE_S)

    def _keep(self, successor: Successor) -> None:
        try:
            successor.idle(_GLANCE_S)
        except RealtimeError as error:
            self._discard()
            self._later(error)

    def _go_on(self, talk: Talk) -> None:
        """Try until a connection has taken over, or no further attempt is left."""
        line, policy = self._line, self._policy
        if talk.lively or talk.cause is None:  # a planned change follows upon no failure
            self._used = 0
        tried = 0
        failure: BaseException | None = None
        while not line.closing:
            if self._used >= policy.attempts or (failure is not None and is_final(failure)):
                self._give_up(_not_resumed(talk.cause, failure, tried))
                return
            self._used += 1
            tried += 1
            try:
                if self._successor is None:
                    self._pause(policy.pause_s(self._used, random.random(), _asked_s(failure)))
                    self._successor = self._opened()
                restored = self._told(self._successor, talk)
                self._take_over(talk, self._successor, restored, tried)
                if talk.cause is None:
                    self._used = 0
                return
            except Exception as error:
                failure = error
                self._discard()
                if not line.closing:
                    _log.info("an attempt to resume the session failed: %s", error)

    def _opened(self) -> Successor:
        dialling, line = self._dialling, self._line
        deadline = _Patience(self._timeout_s, line)
        functions = dialling.functions
        try:
            transport = dialling.open(deadline)
        except Exception:
            raise
        except BaseException as exit_:  # sys.exit() in a function of the user: no Ctrl-C strikes this thread
            said = f"{type(exit_).__name__}: {exit_}".rstrip(": ")
            raise ConfigurationError(f"the function of {functions or 'the user'} raised {said}") from exit_
        successor = Successor(transport, dialling, lambda: line.closing)
        try:
            successor.open(deadline)
        except BaseException:
            successor.close()
            raise
        return successor

    def _told(self, successor: Successor, talk: Talk) -> Restored:
        if talk.update is not None:
            successor.configure(talk.update, Deadline(self._timeout_s))
        return successor.restore(talk.history, Deadline(_RESTORE_S))

    def _take_over(self, talk: Talk, successor: Successor, restored: Restored, tried: int) -> None:
        connection = self._dialling.connection(successor.transport)
        if not self._line.attach(connection):
            raise ConnectionClosed("the session was closed while it was being resumed", code=1000)
        self._successor = None
        self._failures = 0
        self.plan(None)  # until it is known how long this one lasts
        there = {*restored.item_ids, *restored.renamed}
        event = SessionResumed(
            attempts=tried,
            gap_s=now() - talk.ended_at,
            planned=talk.cause is None,
            reason=None if talk.cause is None else str(talk.cause),
            restored=list(restored.item_ids),
            renamed=dict(restored.renamed),
            as_text=list(restored.as_text),
            lost=[entry.item for entry in talk.conversation if entry.id not in there],
            lost_audio_s=self._leave() or 0.0,
            session=successor.config,
        )
        self._inbox.put([event], 0)
        try:
            connection.start()
        except RealtimeError as error:  # no thread: nobody would notice the end
            self._give_up(_not_resumed(talk.cause, error, tried))
            return
        self._line.flush()

    def _pause(self, pause_s: float) -> None:
        deadline = Deadline(pause_s)
        while not (deadline.expired or self._line.closing):
            with self._changed:
                self._changed.wait(deadline.slice())

    def _give_up(self, fault: RealtimeError) -> None:
        self._line.give_up(fault)
        self._inbox.end()

    def _discard(self) -> None:
        successor, self._successor = self._successor, None
        if successor is not None:
            with suppress(RealtimeError):
                successor.close()


class _Patience(Deadline):
    """A time limit that is reached at once when the line is closed."""

    __slots__ = ("_line",)

    def __init__(self, timeout_s: float, line: Line) -> None:
        super().__init__(timeout_s)
        self._line = line

    @property
    def expired(self) -> bool:
        """Whether the time is up, or nobody waits any more."""
        return self._line.closing or super().expired


def _asked_s(failure: BaseException | None) -> float | None:
    return getattr(failure, "retry_after_s", None)


def _not_resumed(cause: RealtimeError | None, failure: BaseException | None, tried: int) -> RealtimeError:
    """The cause of the end, as the user is told it."""
    how = f"it could not be resumed ({tried} attempt{'s' if tried != 1 else ''}): {failure}" if tried else ""
    if not isinstance(cause, ConnectionClosed):
        told: ConnectionClosed = ConnectionLost(
            "; ".join(filter(None, ["the session was to change its connection", how]))
        )
    elif how:
        told = type(cause)(f"{cause}; {how}", code=cause.code, reason=cause.reason, error=cause.error)
    else:
        return cause
    told.__cause__ = failure or getattr(cause, "__cause__", None)
    return told
