"""A turn in progress: the events of one response, picked out of all others, and the reply that grows from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import WAITER, Dispatcher
from realtime_sync.errors import InvalidEvent, RealtimeError
from realtime_sync.events import (
    SERVER_EVENTS,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)
from realtime_sync.sending.acks import Ack, id_of
from realtime_sync.session.reply import Reply

if TYPE_CHECKING:
    from realtime_sync.tools.rounds import ToolRound

__all__ = ["TURN_TIMEOUT_S", "Turn"]

TURN_TIMEOUT_S: Final = 60.0
"""How long a turn may take in all when it is not told otherwise, in seconds."""

_OF_A_RESPONSE: Final = tuple({cls for name, cls in SERVER_EVENTS.items() if name.startswith("response.")})


class Turn:
    """What `RealtimeSession.respond` returns: iterate it for the events of its response as they come, then look at
    ``reply``.

    Use it on one thread. Left early as a context manager it cancels the response; otherwise a response that nobody
    waits for goes on, and ``reply`` is completed by whatever pumps next.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        ack: Ack[ResponseCreated] | None,
        *,
        deadline: Deadline,
        cancel_response: Callable[[str | None], object],
        withdraw: Callable[[Ack[ResponseCreated]], bool],
        follow: Callable[[Response], ToolRound | None] | None,
    ) -> None:
        self.reply = Reply()
        """What has come so far; where tools are called, of the latest response."""
        self.replies = [self.reply]
        """The replies of all its responses: one, and a further one after each round of tool calls."""
        self._dispatcher = dispatcher
        self._ack = ack
        self._cancel_response = cancel_response
        self._withdraw = withdraw
        self._follow = follow
        self._round: ToolRound | None = None
        self._cancel_when_begun = False
        self._deadline = deadline
        self._events: deque[ServerEvent] = deque()
        self._keeps_events = True
        self._begun = False
        self._over = False  # the reply is done and its last event is in _events
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
        """The text, or the transcript of the audio, piece by piece as it comes."""
        for event in self:
            if isinstance(event, (ResponseOutputTextDelta, ResponseOutputAudioTranscriptDelta)):
                yield event.delta or ""

    def audio(self) -> Iterator[bytes]:
        """The audio, piece by piece as it comes: 24 kHz mono s16le unless the session says otherwise."""
        for event in self:
            if isinstance(event, ResponseOutputAudioDelta):
                with suppress(InvalidEvent):  # the reply has logged it
                    yield event.delta_bytes

    def __iter__(self) -> Iterator[ServerEvent]:
        while True:
            over = self._finished()  # looked at first: the last event may come from another thread right now
            while self._events:
                yield self._events.popleft()
            if over:
                return
            self._wait(lambda: bool(self._events) or self._finished())

    def cancel(self) -> None:
        """Ask the server to stop; the reply then ends as ``cancelled``. Nothing happens when it has ended."""
        if self._finished():
            return
        ack = self._asked()
        if self._begun:
            self._cancel_response(self.reply.response_id)
        elif self._round is not None and ack is None:  # tools are running: nobody waits for what follows them
            self._end()
        elif ack is None or self._withdraw(ack):
            if self._round is None:
                self.reply.end_unsent()
            self._end()
        elif not ack.done:
            self._cancel_when_begun = True

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RealtimeError):  # the connection has ended: so has the response
            self.cancel()

    def _wait(self, done: Callable[[], bool]) -> None:
        self._dispatcher.wait(lambda: done() or self._stuck() is not None, self._deadline, "the response")
        stuck = self._stuck()
        if not done() and stuck is not None:
            self.leave()
            raise stuck

    def _stuck(self) -> RealtimeError | None:
        """Why no further response will begin, where it should."""
        if self._begun or self._over:
            return None
        if self._round is not None and self._round.error is not None:
            return self._round.error
        ack = self._asked()
        return ack.exception() if ack is not None and ack.done else None

    def _asked(self) -> Ack[ResponseCreated] | None:
        """The handle of the ``response.create`` that is waited for."""
        return self._ack if self._round is None else self._round.follow_up

    def _receive(self, event: Any) -> None:
        if not self._begun:
            if not self._begins(event):
                return
            self._begin(event)
        elif not self._belongs(event):
            return
        self.reply.apply(event)
        if self._keeps_events:
            self._events.append(event)
        if self.reply.done:
            self._go_on()

    def _begin(self, event: ResponseCreated) -> None:
        if self._round is not None:
            self.reply = Reply()
            self.replies.append(self.reply)
        self._begun = True
        self.reply.response_id = id_of(event.response)
        if self._cancel_when_begun:
            with suppress(RealtimeError):
                self._cancel_response(self.reply.response_id)

    def _go_on(self) -> None:
        """A response is done: either the turn is over, or tools are called and another one will follow."""
        response = self.reply.response
        self._round = self._follow(response) if self._follow is not None and response is not None else None
        self._begun = False
        if self._round is None or self._cancel_when_begun:
            self._end()

    def _finished(self) -> bool:
        """Whether nothing more will come: the last response is done, and no round of tool calls is open."""
        found = self._round
        waits = found is not None and not self._begun and not self._over
        if found is not None and waits and found.settled and found.error is None and found.follow_up is None:
            self._end()
        return self._over

    def _end(self) -> None:
        self._over = True
        self.leave()

    def _begins(self, event: Any) -> bool:
        if type(event) is not ResponseCreated:
            return False
        if self._round is None and self._ack is None:
            return True
        ack = self._asked()
        return ack is not None and ack.done and ack.confirmation is event

    def _belongs(self, event: Any) -> bool:
        if isinstance(event, (ResponseCreated, ResponseDone)):
            return id_of(event.response) in (self.reply.response_id, None)
        return getattr(event, "response_id", None) in (self.reply.response_id, None)

    def leave(self) -> None:
        """Take in no further event; the response itself goes on."""
        self._dispatcher.unsubscribe(WAITER, self._receive, *_OF_A_RESPONSE)
