"""One response at a time on the default conversation: a further one waits for its turn."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from realtime_sync.errors import RealtimeError
from realtime_sync.events import ErrorEvent, ResponseCreated, ResponseDone, ServerEvent
from realtime_sync.events.base import or_none
from realtime_sync.sending.acks import Ack, AckTable, id_of

__all__ = ["Sequencer"]

_COLLISION: Final = "conversation_already_has_active_response"
_MOST_BESIDE: Final = 64
_log = logging.getLogger("realtime_sync")


class _Waiting:
    """A create that has not been accepted yet."""

    __slots__ = ("ack", "collided", "text")

    def __init__(self, ack: Ack[Any], text: str) -> None:
        self.ack = ack
        self.text = text
        self.collided = False


class Sequencer:
    """Sends ``response.create`` when the default conversation is free.

    The conversation is busy from the moment of sending, not only when the server has confirmed. A create that still
    collides, with a response that the server began by itself, is sent once more when that one is done. Responses out
    of band pass at once.

    ``submit`` and ``withdraw`` may be called from any thread, ``apply`` and ``retries`` from the dispatching one.
    """

    def __init__(self, acks: AckTable, send: Callable[[str], None]) -> None:
        self._acks = acks
        self._send = send
        self._lock = threading.Lock()  # guards all below; never held while sending
        self._queue: deque[_Waiting] = deque()
        self._sent: _Waiting | None = None  # on its way: neither confirmed nor refused yet
        self._active = False
        self._active_id: str | None = None
        self._beside: deque[str | None] = deque(maxlen=_MOST_BESIDE)

    @property
    def busy(self) -> bool:
        """Whether a response runs on the default conversation or has been asked for."""
        return self._active or self._sent is not None

    @property
    def active_id(self) -> str | None:
        """The id of the response that runs on the default conversation."""
        return self._active_id

    def submit(self, ack: Ack[Any], text: str) -> None:
        """Send ``text``, the JSON of the ``response.create`` that ``ack`` expects, now or when its turn comes."""
        if _out_of_band(ack.event):
            self._dispatch(ack, text)
            return
        waiting = _Waiting(ack, text)
        with self._lock:
            if self.busy or self._queue:
                self._queue.append(waiting)
                return
            self._sent = waiting
        try:
            self._dispatch(ack, text)
        except BaseException:
            with self._lock:
                self._sent = None
            raise

    def beside(self, response_id: str | None) -> bool:
        """Whether this is one of our latest responses out of band."""
        return response_id is not None and response_id in self._beside

    def withdraw(self, ack: Ack[Any]) -> bool:
        """Forget a create that still waits for its turn; False when it has been sent."""
        with self._lock:
            for waiting in self._queue:
                if waiting.ack is ack:
                    self._queue.remove(waiting)
                    self._acks.discard(ack)
                    return True
        return False

    def retries(self, event: ErrorEvent) -> bool:
        """Whether this error is a collision that is handled here: then nobody needs to hear of it."""
        sent, error = self._sent, or_none(event.error)
        if sent is None or error is None or error.event_id != sent.ack.event_id or sent.collided:
            return False
        if _COLLISION not in (error.code, error.type):
            return False
        sent.collided = True
        with self._lock:
            self._sent = None
            self._queue.appendleft(sent)
        self._next()
        return True

    def apply(self, event: ServerEvent, settled: Ack[Any] | None) -> None:
        """Take in a response that began or ended, or the refusal of a create; ``settled`` is the handle that the
        event settled."""
        with self._lock:
            ours = self._sent is not None and self._sent.ack is settled
            if ours:
                self._sent = None
            if isinstance(event, ResponseCreated):
                if settled is not None and _out_of_band(settled.event):
                    self._beside.append(id_of(event.response))
                else:
                    self._active, self._active_id = True, id_of(event.response)
                return
            if isinstance(event, ResponseDone):
                done_id = id_of(event.response)
                if None not in (done_id, self._active_id) and done_id != self._active_id:
                    return
                self._active, self._active_id = False, None
            elif not ours:
                return
        self._next()

    def _next(self) -> None:
        with self._lock:
            if self.busy or not self._queue:
                return
            waiting = self._sent = self._queue.popleft()
        try:
            self._send(waiting.text)
        except RealtimeError as error:  # the end of the connection fails the handle
            _log.debug("a response that had waited for its turn could not be asked for: %s", error)

    def _dispatch(self, ack: Ack[Any], text: str) -> None:
        try:
            self._send(text)
        except BaseException:
            self._acks.discard(ack)
            raise


def _out_of_band(create: Any) -> bool:
    response = getattr(create, "response", None)
    return response is not None and response.conversation == "none"
