"""What became of the calls of one response: the bookkeeping of the runner, without threads."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from realtime_sync._deadline import Deadline
from realtime_sync.errors import RealtimeError
from realtime_sync.events import Response, ResponseCreated
from realtime_sync.sending.acks import Ack
from realtime_sync.state.responses import Run, id_of
from realtime_sync.tools.toolset import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Rounds", "RunningCall", "ToolFailure", "ToolRound"]

_KEPT: Final = 8  # a handle that is forgotten logs the refusal that nobody asked for
_MOST_UNSETTLED: Final = 64  # a server may never tell the end of a response that calls


@attrs.frozen
class ToolFailure:
    """Why a call gives no result. ``message`` is for the model and holds no traceback; ``error`` is what was raised,
    if something was.

    ``reason`` is ``unknown_tool``, ``bad_arguments``, ``declined`` (not approved), ``exception``, ``timeout``,
    ``bad_result`` (JSON cannot express it), ``busy`` (too many calls wait) or ``cancelled`` (with the response, or
    because Ctrl-C kept an inline call from being made).
    """

    reason: Literal[
        "unknown_tool", "bad_arguments", "declined", "exception", "timeout", "bad_result", "busy", "cancelled"
    ]
    message: str
    call: ToolCall
    error: BaseException | None = None


class Phase(Enum):
    """How far a round has come."""

    CALLING = "calling"
    """Calls are open, or the response that asks has not ended."""
    ASKING = "asking"
    """All is answered: one thread asks for the following response, or finds that none is to follow."""
    SETTLED = "settled"
    """All is decided."""


_MOVES: Final = {Phase.CALLING: {Phase.ASKING, Phase.SETTLED}, Phase.ASKING: {Phase.SETTLED}, Phase.SETTLED: set()}


class ToolRound:
    """The calls and approvals that one response asks for, and the response that follows when all are answered.

    Any thread may look at it.
    """

    def __init__(self, run: Run) -> None:
        self.run: Final = run
        """The response that asks."""
        self.phase = Phase.CALLING
        self.follows = True
        """Whether a response is to follow: not when the response failed, or an answer could not be sent."""
        self.error: RealtimeError | None = None
        """Why the following response could not be asked for, or an answer not be sent; ``None`` when there was no such
        fault, also where no response was to follow."""
        self.fault: Exception | None = None
        """What the user's ``options`` raised, which was to say how the following response is asked for."""
        self.call_ids: set[str] = set()
        self.approval_ids: set[str] = set()
        self.running: list[RunningCall] = []
        self.open = 0  # calls and approvals whose answer has not been sent
        self.answers: list[Ack[Any]] = []
        """The handles of the answers that were sent, where a response follows."""
        self.response: Response | None = None  # as it ended
        self.number = 1  # of the rounds that have followed upon each other
        self.sending = threading.Lock()  # held while the follow-up is asked for, so that nobody misses it
        self._follow_up: Ack[ResponseCreated] | None = None

    @property
    def response_id(self) -> str | None:
        """The id of the response that asks; ``None`` until a server that leaves it out tells it."""
        return self.run.id

    @property
    def settled(self) -> bool:
        """Whether all is decided: `follow_up` will not change any more."""
        return self.phase is Phase.SETTLED

    def move(self, phase: Phase) -> None:
        """Go on to ``phase``; staying is no move."""
        assert phase is self.phase or phase in _MOVES[self.phase], (self.phase, phase)
        self.phase = phase

    @property
    def follow_up(self) -> Ack[ResponseCreated] | None:
        """The handle of the ``response.create`` that followed; ``None`` when there is none, or not yet. It is known
        before its ``response.created`` is dispatched."""
        with self.sending:
            return self._follow_up

    @follow_up.setter
    def follow_up(self, ack: Ack[ResponseCreated]) -> None:
        assert self.sending.locked()
        self._follow_up = ack

    def __repr__(self) -> str:
        state = "settled" if self.settled else f"{self.open} open"
        return f"<ToolRound of {self.response_id}: {len(self.call_ids)} calls, {state}>"


@attrs.define(eq=False)
class RunningCall:
    """A call on its way to its answer."""

    call: ToolCall
    round: ToolRound
    cancelled: threading.Event = attrs.field(factory=threading.Event)
    deadline: Deadline | None = None
    thread: threading.Thread | None = None
    settled: bool = False


class Rounds:
    """The latest rounds. The runner's lock guards it."""

    def __init__(self) -> None:
        self._rounds: list[ToolRound] = []

    def __iter__(self) -> Iterator[ToolRound]:
        return iter(list(self._rounds))

    def find(self, run: Run) -> ToolRound | None:
        """The round of a response."""
        return next((known for known in reversed(self._rounds) if known.run is run), None)

    def open(self, run: Run) -> ToolRound:
        """The round of a response, a new one where there is none."""
        known = self.find(run)
        if known is None:
            known = ToolRound(run)
            self._rounds.append(known)
            if len(self._rounds) > _KEPT:
                ended = next((earlier for earlier in self._rounds[:-2] if earlier.settled), None)
                if ended is not None or len(self._rounds) > _MOST_UNSETTLED:
                    self._rounds.remove(ended or self._rounds[0])
        return known

    def number(self, latest: ToolRound, *, by_id: bool) -> None:
        """Find out how many rounds have followed upon each other up to ``latest``. Not to be called with the runner's
        lock held: it waits for a follow-up that is being sent. ``by_id`` goes by the ids of the responses, which a
        server may leave out or repeat, where nobody knows what they were asked for by."""
        for earlier in self:
            ack = earlier.follow_up if earlier is not latest else None
            begun = ack.confirmation if ack is not None else None
            if ack is None or begun is None:
                continue
            followed = id_of(begun.response) == latest.response_id if by_id else ack.event_id == latest.run.asked_by
            if followed:
                latest.number = earlier.number + 1
