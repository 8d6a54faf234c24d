"""A turn in progress: the events of one response, picked out of all others, and the reply that grows from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import Deadline, now
from realtime_sync.delivery.dispatcher import WAITER, Dispatcher
from realtime_sync.errors import InvalidEvent, RealtimeError
from realtime_sync.events import (
    SERVER_EVENTS,
    Response,
    ResponseCreated,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.sequencer import RESPONDING, Sequencer
from realtime_sync.session.reply import Reply
from realtime_sync.state.responses import Responses, Run, response_id_of

if TYPE_CHECKING:
    from realtime_sync.tools.rounds import ToolRound

__all__ = ["TURN_TIMEOUT_S", "Turn"]

TURN_TIMEOUT_S: Final = 60.0
"""How long a turn may take in all when it is not told otherwise, in seconds."""

ERROR_PATIENCE_S: Final = 3.0
"""How long a response may stay silent after an error that names no message, before that counts as its end."""

DOUBT_S: Final = 0.5
"""How long a turn whose response may have been another's waits for its own, in seconds."""

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


class Turn:
    """What `RealtimeSession.respond` returns: iterate it for the events of its response as they come, then look at
    ``reply``.

    Use it on one thread. Left early as a context manager it cancels the response; otherwise a response that nobody
    waits for goes on, and ``reply`` is completed by whatever pumps next.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        responses: Responses,
        sequencer: Sequencer,
        ack: Ack[ResponseCreated] | None,
        *,
        deadline: Deadline,
        cancel_response: Callable[[str | None], object],
        follow: Callable[[Response], ToolRound | None] | None,
    ) -> None:
        self.reply = Reply()
        """What has come so far; where tools are called, of the latest response."""
        self.replies = [self.reply]
        """The replies of all its responses: one, and a further one after each round of tool calls."""
        self._dispatcher = dispatcher
        self._responses = responses
        self._sequencer = sequencer
        self._ack = ack
        self._deadline = deadline
        self._cancel_response = cancel_response
        self._follow = follow
        self._phase = Phase.ASKED
        self._run: Run | None = None  # the response that grows, or grew last
        self._round: ToolRound | None = None  # the calls that it asked for
        self._cancelled = False  # before it began
        self._begun_before = responses.count
        self._heard_at = now()  # when its latest event came
        self._events: deque[ServerEvent] = deque()
        self._given: ServerEvent | None = None  # what the iteration has returned last
        self._keeps_events = True
        dispatcher.subscribe(WAITER, self._receive, *_OF_A_RESPONSE)

    def result(self, *, check: bool = True) -> Reply:
        """Block until the response has ended and return the reply.

        Raises `ResponseFailed` unless it was completed (``check=False`` returns it whatever its status),
        `ServerError` when the server refused to respond, `RealtimeTimeout` when the turn's time is up (the reply so
        far stays in ``reply``), and `ConnectionClosed` or its kin when the connection ends first.
        """
        self._keeps_events = False
        self._events.clear()
        self._wait(self._finished)
        return self.reply.raise_for_status() if check else self.reply

    def text(self) -> Iterator[str]:
        """The text, or the transcript of the audio, piece by piece as it comes. Raises as iterating the turn does."""
        for event in self:
            if isinstance(event, (ResponseOutputTextDelta, ResponseOutputAudioTranscriptDelta)):
                yield event.delta or ""

    def audio(self) -> Iterator[bytes]:
        """The audio, piece by piece as it comes, faster than it sounds: 24 kHz mono s16le unless the session says
        otherwise. Raises as iterating the turn does."""
        for event in self:
            if isinstance(event, ResponseOutputAudioDelta):
                with suppress(InvalidEvent):  # the reply has logged it
                    yield event.delta_bytes

    def __iter__(self) -> Iterator[ServerEvent]:
        """The events of the response, or of all of them where tools are called, in order, each once, until the last
        ``response.done``; blocks for the next one, and pumps events meanwhile.

        Raises `ServerError` when the server refuses to respond, `RealtimeTimeout` when the turn's time is up, and
        `ConnectionClosed` or its kin when the connection ends first. A response that failed is no error here: look at
        ``reply.status``.
        """
        while True:
            over = self._finished()  # looked at first: the last event may come from another thread right now
            while self._events:
                event = self._events[0]
                if event is self._given:
                    self._events.popleft()
                    continue
                self._given = event  # it goes from the queue later: an interrupt must not find it nowhere
                yield event
            if over:
                return
            self._wait(lambda: len(self._events) > 0 or self._finished())

    def cancel(self) -> None:
        """Ask the server to stop; the reply then ends as ``cancelled``. Nothing happens when it has ended. Any thread;
        never waits."""
        if self._finished():
            return
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
        """Take in no further event; the response itself goes on."""
        self._dispatcher.unsubscribe(WAITER, self._receive, *_OF_A_RESPONSE)

    def __repr__(self) -> str:
        return f"<Turn {self._phase.value}: {self.reply!r}>"

    # Waiting

    def _wait(self, done: Callable[[], bool]) -> None:
        self._dispatcher.wait(lambda: done() or self._stuck() is not None, self._deadline, "the response")
        stuck = self._stuck()
        if not done() and stuck is not None:
            self.leave()
            raise stuck

    def _finished(self) -> bool:
        """Whether nothing more will come; a round of tool calls that no response follows ends the turn here."""
        if self._phase is Phase.CALLING:
            calls = self._round
            if calls is not None and calls.settled and calls.error is None and calls.follow_up is None:
                self._end()
        elif self._phase is Phase.GROWING and self.reply.done and now() > self._heard_at + DOUBT_S:
            self._go_on()  # no other response has begun: it was ours
        return self._phase is Phase.OVER

    def _doubts(self) -> bool:
        """Whether a response that has ended may have been another's."""
        ack = self._asked()
        return ack is not None and self._sequencer.doubts(ack)

    def _stuck(self) -> RealtimeError | None:
        """Why the response that is waited for will not come, or not go on."""
        if self._phase is Phase.GROWING:
            run = self._run
            error = run.error if run is not None else None
            silent = run is not None and now() - max(run.error_at, self._heard_at) > ERROR_PATIENCE_S
            return error if silent else None
        if self._phase is Phase.OVER:
            return None
        if self._round is not None and self._round.error is not None:
            return self._round.error
        ack = self._asked()
        return ack.exception() if ack is not None and ack.done else None

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
        if self._phase is Phase.GROWING and self._was_anothers():
            self._start_over()
        if self._phase is Phase.GROWING:
            if not self._belongs(event):
                return
        elif self._phase is Phase.OVER or not self._begins(event):
            return
        self._heard_at = now()
        self.reply.apply(event)
        # Of a delta nothing but the piece of the reply and this place in the queue is noted, and by no call: no
        # interrupt comes in between, and after one that comes before, the delta is taken in again.
        if self._keeps_events:
            self._events += (event,)
        if self.reply.response is not None and not self._doubts():
            self._go_on()

    def _begins(self, event: ServerEvent) -> bool:
        """Whether this is the first event of the response that is waited for."""
        # The delta of a response whose beginning the server did not tell is news to the session.
        run = self._responses.of(event) if isinstance(event, RESPONDING) else self._sequencer.apply(event)
        if run is None:
            return False
        ack = self._asked()
        if ack is not None:
            if run.asked_by != ack.event_id:
                return False
        elif self._round is not None or run.number <= self._begun_before:
            return False
        if self._phase is Phase.CALLING:
            self.reply = Reply()
            self.replies.append(self.reply)
        self._run = run
        self.reply.response_id = run.id
        self._move(Phase.GROWING)
        return True

    def _belongs(self, event: ServerEvent) -> bool:
        response_id = response_id_of(event)
        if response_id is not None and response_id == self.reply.response_id:
            return True
        return self._responses.of(event) is self._run

    def _was_anothers(self) -> bool:
        """Whether the server has shown that it began this response by itself, and refused ours because of it."""
        ack = self._asked()
        return ack is not None and self._run is not None and self._run.asked_by != ack.event_id

    def _start_over(self) -> None:
        """Wait for our own response, which will be asked for again."""
        self.replies[-1] = self.reply = Reply()
        self._run = None
        self._events.clear()
        self._move(Phase.ASKED)

    def _go_on(self) -> None:
        """A response is done: either the turn is over, or tools are called and another one will follow."""
        response = self.reply.response
        self._round = self._follow(response) if self._follow is not None and response is not None else None
        if self._round is None or self._cancelled:
            self._end()
        else:
            self._move(Phase.CALLING)

    def _end(self) -> None:
        self._move(Phase.OVER)
        self.leave()
