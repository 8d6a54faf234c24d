"""What becomes of a session, on its dispatching thread, when its connection ends and another one follows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Set
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import now
from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.delivery.line import Line
from realtime_sync.errors import ConnectionClosed, ConnectionLost, RealtimeError, ServerError
from realtime_sync.events import (
    AssistantMessage,
    ConversationItemAdded,
    ConversationItemDone,
    FunctionCall,
    RateLimitsUpdated,
    ServerEvent,
    SessionCreated,
    SessionResumed,
    SessionUpdated,
    UserMessage,
)
from realtime_sync.sending.acks import AckTable
from realtime_sync.sending.asked_for import AskedFor
from realtime_sync.sending.outgoing import Outgoing
from realtime_sync.sending.sequencer import Sequencer
from realtime_sync.sending.spoken import Piece, Spoken
from realtime_sync.session.resume.policy import Resume
from realtime_sync.session.resume.worker import Talk, Worker
from realtime_sync.session.weak import weakly
from realtime_sync.state.conversation import ConversationSnapshot, History
from realtime_sync.state.conversation.record import item_id_of
from realtime_sync.state.responses import Run
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.delivery.inbox import Inbox
    from realtime_sync.session.dialling import Dialling
    from realtime_sync.state.conversation import ConversationEntry

__all__ = ["Resumption"]

_log = logging.getLogger("realtime_sync")
_HALF: Final = 0.5  # of the life of a session is what `rollover_s` may be at most


class Resumption:
    """Decides whether the session goes on, settles what was under way, and has the worker find another connection.

    ``armed`` once the session is open; before that no connection follows. ``cause`` gives the reason of the end as the
    user is told it, ``lose_calls`` cancels the tool calls of a response, ``busy`` says that something else goes on
    which a change of the connection would spoil.
    """

    def __init__(
        self,
        policy: Resume,
        dialling: Dialling,
        line: Line,
        inbox: Inbox,
        dispatcher: Dispatcher,
        state: SessionState,
        acks: AckTable,
        outgoing: Outgoing,
        sequencer: Sequencer,
        *,
        timeout_s: float,
        cause: Callable[[], RealtimeError | None],
        lose_calls: Callable[[Run], Set[str]],
        busy: Callable[[], bool],
    ) -> None:
        self.armed = False
        self._policy = policy
        self._family = dialling.family
        self._keeps_conversation = dialling.of_a_call
        self._line = line
        self._state = state
        self._acks = acks
        self._outgoing = outgoing
        self._sequencer = sequencer
        self._cause = cause
        self._lose_calls = lose_calls
        self._busy = busy
        self._asked_for = outgoing.asked_for = AskedFor(self._family)
        outgoing.stop_again = sequencer.stop_again
        self._spoken = outgoing.spoken = Spoken(policy.keep_audio_s, lambda: state.facts)
        self._worker = Worker(policy, dialling, line, inbox, timeout_s, weakly(self._spoken.leave))
        # Held while it is decided whether the connection is changed; tried only, where that can be left to others.
        self._deciding = threading.RLock()
        self._between = False  # no connection serves: another one is awaited
        self._planned = False  # this side has ended the connection, to go on over the one that is prepared
        self._lively = True  # whether the server has done something over this connection
        self._told: frozenset[str] = frozenset()  # the items that it was told ahead of that
        self._expires_at: float | None = None
        self._dispatcher = dispatcher
        state.conversation  # noqa: B018  a look: what a reply that is lost had said is to be kept
        dispatcher.survives = self.survives
        dispatcher.at_idle.append(self.look)
        dispatcher.subscribe(STATE, self._spoken.apply, *Spoken.EVENTS)
        dispatcher.subscribe(STATE, self._plan, SessionCreated, SessionUpdated, SessionResumed)
        dispatcher.subscribe(STATE, self._resumed, SessionResumed)

    def survives(self) -> bool:
        """Whether the session goes on. Called where the events of a connection end: all of them were dispatched."""
        with self._deciding:
            return self._survives()

    def _survives(self) -> bool:
        line = self._line
        if not self.armed or line.closing or line.ended:
            return False
        if self._between:
            return True
        line.hold()
        self._spoken.hold()
        told = None if self._planned else self._cause()
        conversation, kept = self._settle(told)
        self._worker.resume(
            Talk(
                cause=told,
                lively=self._lively,
                ended_at=now(),
                update=self._asked_for.update(),
                conversation=conversation,
                history=History.of(kept, self._state.facts, goes_on=True),
            )
        )
        self._between = True
        return True

    def expects(self, error: ServerError) -> bool:
        """Whether an error is only the end of a connection that another one follows: it is about no message."""
        return self.armed and not error.event_id and "session_expired" in (error.code, error.type)

    def look(self) -> None:
        """Change to the connection that is prepared, if there is one and nothing is under way. Any thread."""
        if self.armed and self._worker.ready and not self._line.ended:
            self._dispatcher.control.run(self._look)

    def _look(self) -> None:
        if not self._deciding.acquire(blocking=False):
            return
        try:
            self._change()
        finally:
            self._deciding.release()

    def _change(self) -> None:
        if self._planned or self._between or not self._quiet():
            return
        self._line.hold()  # from now on nothing leaves: what was faster shows in the second look
        if not self._quiet():
            self._line.flush()
            return
        self._planned = True
        self._worker.end(self._line.drop())

    def close(self, timeout_s: float | None) -> None:
        """The line is closed: wait, at most so many seconds, until nobody looks for another one. Any thread."""
        if not self._line.forked:  # the thread is the parent's
            self._worker.close(timeout_s)

    def _quiet(self) -> bool:
        """Whether nothing is lost by a change of the connection now."""
        state = self._state
        facts, heard = state.facts, state.heard
        speech = (
            self._spoken.waits or (facts.transcribes and heard.awaits) or (facts.server_answers and heard.unanswered)
        )
        return self._sequencer.idle and not (state.responses.alive or self._acks.waits or speech or self._busy())

    def _settle(self, cause: RealtimeError | None) -> tuple[ConversationSnapshot, list[ConversationEntry]]:
        """Decide what becomes of all that was under way; the conversation, and what the server is to be told of it."""
        self._sequencer.hold()
        error = _lost(cause)
        again: list[Run] = []
        answered: set[str] = set()
        responses = self._state.responses
        lost = responses.alive
        unheard = self._unheard()
        wanted = cause is None or self._policy.in_flight == "ask_again"
        for run in lost:
            answered |= self._lose_calls(run)
            told = unheard.isdisjoint(run.user_item_ids or ())
            run.again = wanted and run.cancelled_at is None and told and self._asks_again(run)
            if wanted and run.cancelled_at is not None:  # looked at last: another thread may just have cancelled it
                self._sequencer.stop_again(run)
                run.stopped = True
            elif run.again:
                again.append(run)
            else:
                run.lost = error
            responses.lose(run)
        if not unheard.isdisjoint(self._state.heard.unanswered):
            self._sequencer.lose(error)  # without the question it would answer another one
        elif not (lost or self._keeps_conversation) and self._awaits_answer():
            self._answer()
        if cause is None and self._line.parted and not self._spoken.speaking:
            self._line.settle(Piece)  # the server has read it over the other connection, and nobody speaks
        self._acks.survive(self._state.mirror, error)
        conversation = self._conversation()
        return conversation, self._kept(conversation, lost, again, answered)

    def _unheard(self) -> set[str | None]:
        """The items of the user's speech that the server cannot be told again."""
        if self._keeps_conversation:
            return set()
        history = History.of(self._state.mirror, self._state.facts, goes_on=True)
        return {left.item_id for left in history.left_out if isinstance(left.item, UserMessage)}

    def _awaits_answer(self) -> bool:
        """Whether the user has said something that the server was to answer by itself, and had not begun to."""
        state = self._state
        said = any(item_id in state.mirror for item_id in state.heard.unanswered)
        return said and state.facts.server_answers and self._sequencer.idle and not self._spoken.speaking

    def _answer(self) -> None:
        """Have it answered: the next connection knows of no turn that has ended."""
        with suppress(RealtimeError):
            self._sequencer.submit(*self._outgoing.response(None))

    def _asks_again(self, run: Run) -> bool:
        if self._sequencer.ask_again(run):
            return True
        try:
            ack, text = self._outgoing.response(None)  # the server had begun it by itself
        except RealtimeError:
            return False
        self._sequencer.queue_again(run, ack, text)
        return True

    def _conversation(self) -> ConversationSnapshot:
        """The conversation that goes on: there is none where the server keeps it, or does not converse."""
        converses = self._state.facts.kind in ("realtime", None) and not self._keeps_conversation
        return self._state.mirror.snapshot() if converses else ConversationSnapshot(entries={}, gone=frozenset())

    def _kept(
        self, conversation: ConversationSnapshot, lost: list[Run], again: list[Run], answered: Set[str]
    ) -> list[ConversationEntry]:
        """What the server is to be told: of lost responses no call that nobody has answered, and no message of those
        that are asked for again."""
        said_anew = {item_id for run in again for item_id in run.item_ids}
        unfinished = {item_id for run in lost for item_id in run.item_ids}

        def told(entry: ConversationEntry) -> bool:
            if isinstance(entry.item, FunctionCall):
                return entry.id not in unfinished or entry.item.call_id in answered
            return not (isinstance(entry.item, AssistantMessage) and entry.id in said_anew)

        kept = [entry for entry in conversation if told(entry)]
        count = self._policy.history
        return kept if count is None else kept[len(kept) - min(count, len(kept)) :]

    def _resumed(self, event: SessionResumed) -> None:
        self._between = self._planned = False
        self._told = frozenset(event.restored)
        if self._lively:
            self._lively = False
            self._dispatcher.subscribe(STATE, self._heard, ServerEvent)
        self._sequencer.release()

    def _heard(self, event: ServerEvent) -> None:
        """Something has come over this connection: the search for another one may begin anew, if it is more than what
        comes by itself."""
        told = isinstance(event, (ConversationItemAdded, ConversationItemDone)) and item_id_of(event.item) in self._told
        if not (told or isinstance(event, (SessionResumed, RateLimitsUpdated, self._family.error_class))):
            self._lively = True
            self._dispatcher.unsubscribe(STATE, self._heard, ServerEvent)

    def _plan(self, event: Any) -> None:
        """Prepare a connection before the server ends the session."""
        expires_at, rollover_s = self._state.facts.expires_at, self._policy.rollover_s
        planned = None if isinstance(event, SessionResumed) else self._expires_at  # another session may say the same
        if rollover_s is None or not expires_at or expires_at == planned:
            return
        self._expires_at = expires_at
        left_s = expires_at - time.time()
        if left_s <= 0:  # of the next connection it would say the same, and so on
            _log.warning(
                "the server says that the session ended %.0f s ago: the clocks do not agree, and no connection is"
                " prepared ahead of its time limit",
                -left_s,
            )
            return
        self._worker.plan(now() + left_s - min(rollover_s, left_s * _HALF))


def _lost(cause: RealtimeError | None) -> ConnectionLost:
    """What whoever waits for what was under way is told."""
    text = "the connection was lost meanwhile" if cause is None else str(cause)
    code, reason, error = 1006, "", None
    if isinstance(cause, ConnectionClosed):
        code, reason, error = cause.code, cause.reason, cause.error
    told = ConnectionLost(f"{text}; the session goes on over another connection", code=code, reason=reason, error=error)
    told.__cause__ = cause
    return told
