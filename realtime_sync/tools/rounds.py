"""What became of the calls of one response: the bookkeeping of the runner, without threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Literal

import attrs

from realtime_sync._deadline import Deadline
from realtime_sync.errors import RealtimeError
from realtime_sync.events import Response, ResponseCreated
from realtime_sync.sending.acks import Ack, id_of
from realtime_sync.tools.toolset import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Rounds", "RunningCall", "ToolFailure", "ToolRound"]

_KEPT: Final = 8  # a handle that is forgotten logs the refusal that nobody asked for


@attrs.frozen
class ToolFailure:
    """Why a call gives no result. ``message`` is for the model and holds no traceback; ``error`` is what was raised,
    if something was.

    ``reason`` is ``unknown_tool``, ``bad_arguments``, ``declined`` (not approved), ``exception``, ``timeout``,
    ``bad_result`` (JSON cannot express it), ``busy`` (too many calls wait) or ``cancelled`` (with the response).
    """

    reason: Literal[
        "unknown_tool", "bad_arguments", "declined", "exception", "timeout", "bad_result", "busy", "cancelled"
    ]
    message: str
    call: ToolCall
    error: BaseException | None = None


class ToolRound:
    """The calls and approvals that one response asks for, and the response that follows when all are answered.

    Any thread may look at it.
    """

    def __init__(self, response_id: str | None) -> None:
        self.response_id = response_id
        """The id of the response that asks; ``None`` until a server that leaves it out tells it."""
        self.settled = False
        """Whether all is decided: `follow_up` will not change any more."""
        self.error: RealtimeError | None = None
        """Why the following response could not be asked for, or an answer not be sent; ``None`` when there was no such
        fault, also where no response was to follow."""
        self.call_ids: set[str] = set()
        self.approval_ids: set[str] = set()
        self.running: list[RunningCall] = []
        self.open = 0  # calls and approvals whose answer has not been sent
        self.response: Response | None = None  # as it ended
        self.number = 1  # of the rounds that have followed upon each other
        self.barren = False  # no response is to follow: the response failed, or an answer could not be sent
        self.claimed = False  # some thread settles it
        self.sending = threading.Lock()  # held while the follow-up is asked for, so that nobody misses it
        self._follow_up: Ack[ResponseCreated] | None = None

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

    def find(self, response_id: str | None) -> ToolRound | None:
        """The round of a response. Where a server leaves the id out of some of its events, the latest round that is
        open and does not contradict."""
        for known in reversed(self._rounds):
            unnamed = response_id is None or known.response_id is None
            if known.response is None if unnamed else known.response_id == response_id:
                known.response_id = known.response_id or response_id
                return known
        return None

    def open(self, response_id: str | None) -> ToolRound:
        """The round of a response, a new one where there is none."""
        known = self.find(response_id)
        if known is None:
            known = ToolRound(response_id)
            self._rounds.append(known)
            if len(self._rounds) > _KEPT and self._rounds[0].settled:
                del self._rounds[0]
        return known

    def number(self, latest: ToolRound) -> None:
        """Find out how many rounds have followed upon each other up to ``latest``. Not to be called with the runner's
        lock held: it waits for a follow-up that is being sent."""
        for earlier in self:
            ack = earlier.follow_up if earlier is not latest else None
            if (
                ack is not None
                and ack.confirmation is not None
                and id_of(ack.confirmation.response) == latest.response_id
            ):
                latest.number = earlier.number + 1
