"""A turn in progress: the events of one response, picked out of all others, and the reply that grows from them."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from enum import Enum
from functools import partial
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from realtime_sync._arguments import answered
from realtime_sync._deadline import Deadline, now
from realtime_sync._unset import UNSET, Unset
from realtime_sync.delivery.dispatcher import WAITER, Dispatcher
from realtime_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    InvalidEvent,
    RealtimeError,
    RealtimeTimeout,
    ServerError,
)
from realtime_sync.events import (
    SERVER_EVENTS,
    Response,
    ResponseCreated,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)
from realtime_sync.events._other_names import OF_TURNS, missing
from realtime_sync.sending.acks import DUPLICATE, Ack
from realtime_sync.sending.sequencer import RESPONDING, Sequencer
from realtime_sync.session.reply import Reply
from realtime_sync.state.responses import Run, response_id_of
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.tools.rounds import ToolRound

__all__ = ["TURN_TIMEOUT_S", "Faults", "Turn", "Turns"]

TURN_TIMEOUT_S: Final = 60.0
"""How long a turn may take in all when it is not told otherwise, in seconds."""

ERROR_PATIENCE_S: Final = 3.0
"""How long a response may stay silent after an error that names no message, before that counts as its end."""

DOUBT_S: Final = 0.5
"""How long a turn whose response may have been another's waits for its own, in seconds."""

HEARD_S: Final = 10.0
"""How long `Turn.result` waits at most for the transcript of the user's speech once the response has ended, in
seconds."""

_log = logging.getLogger("realtime_sync")
_OF_A_RESPONSE: Final = tuple({cls for name, cls in SERVER_EVENTS.items() if name.startswith("response.")})


class Phase(Enum):
    """How far a turn has come."""

    ASKED = "asked"
    """A response is asked for, or awaited; none of its events has come."""
    GROWING = "growing"
    """The events of a response are coming."""
    CALLING = "calling"
    """A response has ended with tool calls; another one follows when they are answered."""
    OVER = "over"
    """Nothing more will come: the last event is in the queue."""


_MOVES: Final = {
    Phase.ASKED: {Phase.GROWING, Phase.OVER},
    # Back to ASKED when the response turns out to be another's.
    Phase.GROWING: {Phase.ASKED, Phase.CALLING, Phase.OVER},
    Phase.CALLING: {Phase.GROWING, Phase.OVER},
    Phase.OVER: set(),
}


class Faults:
    """What handlers raise while a turn is waited for: it is kept, so that it does not cost the reply."""

    def __init__(self) -> None:
        self._first: Exception | None = None
        self._further = 0

    def __call__(self, fault: Exception) -> None:
        """Keep the first; log a second one, and count those that follow."""
        if self._first is None:
            self._first = fault
            return
        self._further += 1
        if self._further == 1:
            _log.error("a handler failed again while a reply was waited for", exc_info=fault)

    def take(self) -> Exception | None:
        """The first, once."""
        first, self._first = self._first, None
        if self._further:
            _log.error("handlers failed %d times while a reply was waited for: the first is raised", self._further + 1)
            self._further = 0
        return first

    def log(self) -> None:
        """Something else is raised."""
        first = self.take()
        if first is not None:
            _log.error("a handler failed", exc_info=first)


class Turns:
    """The turns of a session that somebody holds: there is one subscription for all of them, and none without any. A
    turn that is dropped takes nothing in any more."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        # Without a lock, since a turn may go in any garbage collection: each use of it is one step of the interpreter.
        self._turns: dict[int, weakref.ref[Turn]] = {}
        self._numbers = count()
        self._lock = threading.Lock()  # guards _subscribed
        self._subscribed = False

    def add(self, turn: Turn) -> int:
        """Give every further event of a response to the turn; the number by which `remove` knows it."""
        number, turns = next(self._numbers), self._turns
        with self._lock:
            turns[number] = weakref.ref(turn, lambda _: turns.pop(number, None))
            # Noted last here and first in `remove`: an interrupt may leave a subscription too many, which does no harm
            # (a turn knows an event again), but never one too few.
            if not self._subscribed:
                self._dispatcher.subscribe(WAITER, self._receive, *_OF_A_RESPONSE)
                self._subscribed = True
        return number

    def remove(self, number: int) -> None:
        """Give it no further event."""
        self._turns.pop(number, None)
        with self._lock:
            if self._subscribed and not self._turns:
                self._subscribed = False
                self._dispatcher.unsubscribe(WAITER, self._receive, *_OF_A_RESPONSE)

    def _receive(self, event: ServerEvent) -> None:
        numbered = list(self._turns.items())
        for _, known in numbered:
            turn = known()
            if turn is not None:
                turn._receive(event)
        if not numbered:  # the last one was dropped
            self.remove(-1)


@answered
class Turn:
    """What `RealtimeSession.respond` returns: iterate it for the events of its response as they come, then look at
    ``reply``.

    Use it on one thread. Left early as a context manager it cancels the response; otherwise a response that nobody
    waits for goes on, and ``reply`` is completed by whatever pumps next, as long as somebody holds the turn: one that
    is dropped takes nothing in any more.

    What a handler raises while this turn is waited for is kept until the reply is there, and raised then, with
    ``.reply``; when the wait itself fails, that is raised, and the handler's exception is logged.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        turns: Turns,
        state: SessionState,
        sequencer: Sequencer,
        ack: Ack[ResponseCreated] | None,
        *,
        said: Iterable[Ack[Any]] = (),
        deadline: Deadline,
        cancel_response: Callable[[str | None], object],
        follow: Callable[[Response], ToolRound | None] | None,
        faults: Faults | None = None,
    ) -> None:
        self.reply = Reply()
        """What has come so far; where tools are called, of the latest response."""
        self.replies = [self.reply]
        """The replies of all its responses: one, and a further one after each round of tool calls."""
        self._dispatcher = dispatcher
        self._mark = dispatcher.remarks.count  # what is said from now on explains a timeout
        self._turns = turns
        self._state = state
        self._responses = state.responses
        self._sequencer = sequencer
        self._ack = ack
        self._said = tuple(said)  # what it answers: without that the answer is another question's
        self._deadline = deadline
        self._cancel_response = cancel_response
        self._follow = follow
        self._phase = Phase.ASKED
        self._run: Run | None = None  # the response that grows, or grew last
        self._round: ToolRound | None = None  # the calls that it asked for
        self._cancelled = False  # before it began
        self._left = False  # by whoever holds it
        self._begun_before = self._responses.count
        self._heard_at = now()  # when its latest event came
        self._user_item_ids: tuple[str, ...] = ()  # the user's audio that it answers
        self._last_event: ServerEvent | None = None  # the event that was taken in last
        self._events: deque[ServerEvent] = deque()
        self._keeps_events = True
        self._taken_by = ""  # what has taken the events, since each comes once
        self._faults = faults or Faults()
        self._number = turns.add(self)

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_TURNS)

    def result(self, *, check: bool = True, timeout: float | Unset | None = UNSET, heard: bool = False) -> Reply:
        """Block until the response has ended and return the reply. After a timeout it can be called again.

        ``timeout`` is in seconds; ``None`` waits as long as the connection lives, 0 looks at what has arrived, and
        without it there is the rest of the turn's own time. ``heard=True`` also waits for ``reply.heard``, the
        transcript of the user's speech, where the session has transcription: 10 seconds more at most, within the same
        limit, and without an exception when it does not come. What the turn was not iterated for is not kept.

        Raises `ResponseFailed` unless it was completed (``check=False`` returns it whatever its status),
        `ServerError` when the server refused to respond, `RealtimeTimeout` when the time is up, and `ConnectionClosed`
        or its kin when the connection ends first; each has the reply so far in its ``reply``. Raises what a handler
        raised, with the same ``reply``.
        """
        deadline = self._deadline if isinstance(timeout, Unset) else Deadline(timeout)
        self._taken_by = self._taken_by or "result()"
        self._keeps_events = False
        self._events.clear()
        self._wait(self._finished, deadline)
        if heard:
            self._await_heard(deadline)
        self._raise_fault()
        return self.reply.raise_for_status() if check else self.reply

    def text(self) -> Iterator[str]:
        """The text, or the transcript of the audio, piece by piece as it comes. Raises as iterating the turn does."""
        return (piece[1] for piece in self._pieces("text()") if piece[0] == "text")

    def audio(self) -> Iterator[bytes]:
        """The audio, piece by piece as it comes, faster than it sounds: 24 kHz mono s16le unless the session says
        otherwise. Raises as iterating the turn does."""
        return (piece[1] for piece in self._pieces("audio()") if piece[0] == "audio")

    def pieces(self) -> Iterator[tuple[Literal["text"], str] | tuple[Literal["audio"], bytes]]:
        """Text and audio together, in the order in which they come: ``("text", str)`` as of `text`, ``("audio",
        bytes)`` as of `audio`. Raises as iterating the turn does."""
        return self._pieces("pieces()")

    def _pieces(self, taken_by: str) -> Iterator[tuple[Literal["text"], str] | tuple[Literal["audio"], bytes]]:
        self._take(taken_by)
        return self._pieces_of(self._stream())

    def _pieces_of(
        self, events: Iterator[ServerEvent]
    ) -> Iterator[tuple[Literal["text"], str] | tuple[Literal["audio"], bytes]]:
        for event in events:
            if isinstance(event, (ResponseOutputTextDelta, ResponseOutputAudioTranscriptDelta)):
                yield "text", event.delta or ""
            elif isinstance(event, ResponseOutputAudioDelta):
                with suppress(InvalidEvent):  # the reply has logged it
                    yield "audio", event.delta_bytes

    def _take(self, taken_by: str) -> None:
        """Each event comes once: whoever asks for them a second time would wait for nothing."""
        if self._taken_by:
            raise ConfigurationError(
                f"the events of this turn have gone to {self._taken_by} already: what has come is in turn.reply, and"
                " pieces() gives text and audio together"
            )
        self._taken_by = taken_by

    def __iter__(self) -> Iterator[ServerEvent]:
        """The events of the response, or of all of them where tools are called, in order, each once, until the last
        ``response.done``; blocks for the next one, and pumps events meanwhile.

        A loop that was left early can be gone on with by another one; `text`, `audio`, `pieces` and `result` take all.

        Raises `ServerError` when the server refuses to respond, `RealtimeTimeout` when the turn's time is up, and
        `ConnectionClosed` or its kin when the connection ends first; each has the reply so far in its ``reply``. What
        a handler raised is raised at the end. A response that failed is no error here: look at ``reply.status``.
        Raises `ConfigurationError` when the events have gone to another call already.
        """
        if self._taken_by != "a loop":
            self._take("a loop")
        return self._stream()

    def _stream(self) -> Iterator[ServerEvent]:
        while True:
            over = self._finished()  # looked at first: the last event may come from another thread right now
            while self._events:
                event = self._events[0]
                del self._events[0]  # by an operator, behind which no interrupt comes before the event is handed over
                yield event
            if over:
                self._wait(self._finished, self._deadline)  # which tells of a question that was not taken
                self._raise_fault()
                return
            self._wait(lambda: len(self._events) > 0 or self._finished(), self._deadline)

    def cancel(self) -> None:
        """Ask the server to stop; the reply then ends as ``cancelled``. Nothing happens when it has ended. Any thread;
        never waits."""
        if self._finished():
            return
        run = self._run
        if self._phase is Phase.GROWING and run is not None:
            if run.lost is not None:
                self._leave()  # it has ended: whoever waits for it is told how
                return
            if run.again and self._sequencer.stop_again(run):
                self._end_stopped()
                return
        if self._phase is Phase.GROWING and self._was_anothers():
            self._start_over()
        ack = self._asked()
        if self._phase is Phase.GROWING:
            self._cancel_response(self.reply.response_id)
        elif self._phase is Phase.CALLING and ack is None:  # tools are running: nobody waits for what follows them
            self._end()
        elif ack is None or self._sequencer.withdraw(ack):
            if self._phase is Phase.ASKED:
                self.reply.end_unsent()
            self._end()
        elif not ack.done:
            self._cancelled = True
            self._sequencer.abandon(ack)

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RealtimeError):  # the connection has ended: so has the response
            self.cancel()

    def leave(self) -> None:
        """Take in no further event; the response itself goes on. Unless it has ended, `result` and iterating raise
        `ConfigurationError` from then on."""
        self._left = True
        self._leave()

    def __repr__(self) -> str:
        before = f", {len(self.replies)} replies" if len(self.replies) > 1 else ""
        return f"<Turn {self._phase.value}{before}: {self.reply!r}>"

    def _repr_html_(self) -> str:
        from realtime_sync.state import display

        count = len(self.replies)
        notes = (f"turn: {self._phase.value}", f"{count} replies" if count > 1 else "")
        return self.reply._repr_html_() + display.panel("", notes=notes)

    # Waiting

    def _wait(self, done: Callable[[], bool], deadline: Deadline) -> None:
        try:
            self._dispatcher.wait(
                lambda: done() or self._stuck() is not None, deadline, "the response", self._faults, since=self._mark
            )
        except RealtimeError as error:
            raise self._told(error) from error.__cause__
        stuck = self._stuck()
        if stuck is not None and (not done() or stuck is self._unsaid()):
            self._leave()
            raise self._told(stuck) from stuck.__cause__

    def _told(self, error: RealtimeError) -> RealtimeError:
        """A copy, with our own reply: others are told the same."""
        told = copy(error)
        told.reply = self.reply
        running = [call.call.name for call in tuple(self._round.running)] if self._round is not None else []
        if running and isinstance(error, RealtimeTimeout):
            told.args = (f"{error}; still at work: the tool {', '.join(running)}",)
        fault = self._faults.take()
        if fault is not None:
            _log.error("a handler failed", exc_info=fault)
        return told

    def _raise_fault(self) -> None:
        fault = self._faults.take()
        if fault is None:
            return
        if getattr(fault, "reply", None) is None:  # else it is of a turn within the handler
            with suppress(AttributeError, TypeError):
                fault.reply = self.reply  # type: ignore[attr-defined]
        raise fault

    def _await_heard(self, deadline: Deadline) -> None:
        left_s = deadline.remaining()
        patience = Deadline(HEARD_S if left_s is None else min(left_s, HEARD_S))
        if self._state.facts.transcribes:
            with suppress(RealtimeTimeout, ConnectionClosed):
                reply = self.reply
                self._dispatcher.wait(lambda: reply._settled, patience, "the transcript", self._faults)

    def _finished(self) -> bool:
        """Whether nothing more will come; a round of tool calls that no response follows ends the turn here."""
        if self._phase is Phase.CALLING:
            calls = self._round
            if calls is not None and calls.settled and calls.error is None and calls.follow_up is None:
                if calls.fault is not None:
                    self._faults(calls.fault)
                self._end()
        elif self._phase is Phase.GROWING and self._run is not None and self._run.stopped:
            self._dispatcher.control.run(self._end_stopped)
        elif self._phase is Phase.GROWING and self.reply.done and now() > self._heard_at + DOUBT_S:
            self._dispatcher.control.run(self._go_on)  # no other response has begun: it was ours
        return self._phase is Phase.OVER

    def _doubts(self) -> bool:
        """Whether a response that has ended may have been another's."""
        ack = self._asked()
        return ack is not None and self._sequencer.doubts(ack)

    def _stuck(self) -> RealtimeError | None:
        """Why the response that is waited for will not come, or not go on, or is no answer."""
        refused = self._unsaid()
        if refused is not None:
            return refused
        if self._left and (self._phase is Phase.CALLING or not self.reply.done):
            return ConfigurationError(
                "leave() was called on this turn: it takes nothing in any more, and what had come is in turn.reply"
            )
        if self._phase is Phase.GROWING:
            run = self._run
            if run is not None and run.lost is not None:
                return run.lost
            error = run.error if run is not None else None
            silent = run is not None and now() - max(run.error_at, self._heard_at) > ERROR_PATIENCE_S
            return error if silent else None
        if self._phase is Phase.OVER:
            return None
        if self._round is not None and self._round.error is not None:
            return self._round.error
        ack = self._asked()
        return ack.exception() if ack is not None and ack.done else None

    def _unsaid(self) -> ServerError | None:
        """Why the server did not take what the response is to answer."""
        for ack in (*self._said, *self._answered()):
            error = ack.exception() if ack.done else None
            if isinstance(error, ServerError) and error.code != DUPLICATE:
                return error
        return None

    def _answered(self) -> list[Ack[Any]]:
        """What was said for the calls of the latest round, where a response follows."""
        return self._round.answers if self._round is not None and self._round.follows else []

    def _asked(self) -> Ack[ResponseCreated] | None:
        """The handle of the ``response.create`` whose response is waited for, or grows."""
        return self._ack if self._round is None else self._round.follow_up

    # Growing

    def _move(self, phase: Phase) -> None:
        if self._phase is Phase.OVER:
            return  # whichever thread was faster: a turn that is over stays so
        assert phase in _MOVES[self._phase], (self._phase, phase)
        self._phase = phase

    def _receive(self, event: Any) -> None:
        """Take in an event that may be of this response; nothing when it is told again, after an interrupt."""
        if event is self._last_event or self._phase is Phase.OVER:
            return
        if self._phase is Phase.GROWING and not self._was_anothers():
            if self._belongs(event):
                self._take_in(event)
        elif not self._of_another(event):
            self._dispatcher.undivided(partial(self._receive_first, event))

    def _receive_first(self, event: Any) -> None:
        if self._phase is Phase.GROWING:
            self._start_over()
        if self._phase is not Phase.OVER and self._begins(event):
            self._take_in(event)

    def _take_in(self, event: Any) -> None:
        self._heard_at = now()
        self.reply.apply(event)
        if self._keeps_events:
            self._events += (event,)  # by an operator: no interrupt comes between this and the note of it
        self._last_event = event
        if self.reply.response is not None and not self._doubts():
            self._go_on()

    def _of_another(self, event: Any) -> bool:
        """Whether this is of a response that is known and not the one that is waited for."""
        run = self._responses.named(response_id_of(event) or "")
        return run is not None and not run.over and not self._awaited(run)

    def _awaited(self, run: Run) -> bool:
        """Whether this is the response that is waited for."""
        ack = self._asked()
        if ack is not None:
            return run.asked_by == ack.event_id
        return self._round is None and run.number > self._begun_before

    def _begins(self, event: ServerEvent) -> bool:
        """Whether this is the first event of the response that is waited for."""
        # The delta of a response whose beginning the server did not tell is news to the session.
        run = self._responses.of(event) if isinstance(event, RESPONDING) else self._sequencer.apply(event)
        if run is None or not self._awaited(run):
            return False
        if self._phase is Phase.CALLING:
            self.reply = Reply()
            self.replies.append(self.reply)
        self._run = run
        self._user_item_ids += self._state.answered_by(run)
        sound = run.sound or self._state.facts.output
        self.reply._begin(run.id, sound, self._state.heard, self._user_item_ids)
        self._move(Phase.GROWING)
        return True

    def _belongs(self, event: ServerEvent) -> bool:
        response_id = response_id_of(event)
        if response_id is not None and response_id == self.reply.response_id:
            return True
        return self._responses.of(event) is self._run

    def _was_anothers(self) -> bool:
        """Whether the server has shown that it began this response by itself, and refused ours because of it; or it was
        lost, and is asked for again."""
        ack = self._asked()
        if self._run is not None and self._run.again:
            return not self._run.stopped
        return ack is not None and self._run is not None and self._run.asked_by != ack.event_id

    def _start_over(self) -> None:
        """Wait for our own response, which will be asked for again."""
        self.replies[-1] = self.reply = Reply()
        self._run = None
        self._user_item_ids = ()
        self._events.clear()
        self._move(Phase.ASKED)

    def _go_on(self) -> None:
        """A response is done: either the turn is over, or tools are called and another one will follow."""
        if self._phase is not Phase.GROWING:
            return  # another thread was faster
        response = self.reply.response
        self._said = (*self._said, *self._answered())
        self._round = self._follow(response) if self._follow is not None and response is not None else None
        if self._round is None or self._cancelled:
            self._end()
        else:
            self._move(Phase.CALLING)

    def _end_stopped(self) -> None:
        """It was cancelled, and lost with its connection."""
        if self._phase is Phase.GROWING:  # else another thread was faster
            self.reply.end_unsent()
            self._end()

    def _end(self) -> None:
        self._move(Phase.OVER)
        self._leave()

    def _leave(self) -> None:
        """Nothing is taken in any more, and what there is to say is known."""
        self._turns.remove(self._number)
