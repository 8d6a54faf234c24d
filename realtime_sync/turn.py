"""A turn in progress: the events of one response, picked out of all others, and the reply that grows from them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.acks import Ack, id_of
from realtime_sync.dispatcher import WAITER, Dispatcher
from realtime_sync.errors import RealtimeError
from realtime_sync.events import (
    SERVER_EVENTS,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)
from realtime_sync.reply import Reply

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
    ) -> None:
        self.reply = Reply()
        """What has come so far."""
        self._dispatcher = dispatcher
        self._ack = ack
        self._cancel_response = cancel_response
        self._withdraw = withdraw
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
        self._wait(lambda: self.reply.done)
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
                yield event.delta_bytes

    def __iter__(self) -> Iterator[ServerEvent]:
        while True:
            over = self._over  # looked at first: the last event may come from another thread right now
            while self._events:
                yield self._events.popleft()
            if over:
                return
            self._wait(lambda: bool(self._events) or self._over)

    def cancel(self) -> None:
        """Ask the server to stop; the reply then ends as ``cancelled``. Nothing happens when it has ended."""
        if self.reply.done:
            return
        if self._begun:
            self._cancel_response(self.reply.response_id)
        elif self._ack is None or self._withdraw(self._ack):
            self.leave()
            self.reply.end_unsent()
            self._over = True
        else:
            self._cancel_when_begun = True

    def __enter__(self) -> Turn:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RealtimeError):  # the connection has ended: so has the response
            self.cancel()

    def _wait(self, done: Callable[[], bool]) -> None:
        ack = self._ack
        self._dispatcher.wait(
            lambda: done() or (ack is not None and ack.done and ack.exception() is not None),
            self._deadline,
            "the response",
        )
        if not done() and ack is not None:
            self.leave()
            ack.result()

    def _receive(self, event: Any) -> None:
        if not self._begun:
            if not self._begins(event):
                return
            self._begun = True
            self.reply.response_id = id_of(event.response)
            if self._cancel_when_begun:
                with suppress(RealtimeError):
                    self._cancel_response(self.reply.response_id)
        elif not self._belongs(event):
            return
        self.reply.apply(event)
        if self._keeps_events:
            self._events.append(event)
        if self.reply.done:
            self._over = True
            self.leave()

    def _begins(self, event: Any) -> bool:
        if type(event) is not ResponseCreated:
            return False
        return self._ack is None or (self._ack.done and self._ack.confirmation is event)

    def _belongs(self, event: Any) -> bool:
        if isinstance(event, (ResponseCreated, ResponseDone)):
            return id_of(event.response) in (self.reply.response_id, None)
        return getattr(event, "response_id", None) in (self.reply.response_id, None)

    def leave(self) -> None:
        """Take in no further event; the response itself goes on."""
        self._dispatcher.unsubscribe(WAITER, self._receive, *_OF_A_RESPONSE)
