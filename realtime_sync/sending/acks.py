"""Which server event confirms which client event: a table without threads or sockets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from realtime_sync._deadline import Deadline
from realtime_sync.errors import RealtimeError, ServerError
from realtime_sync.events import (
    ClientEvent,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    OutputAudioBufferClear,
    OutputAudioBufferCleared,
    Response,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionClose,
    SessionClosed,
    SessionUpdate,
    SessionUpdated,
    TranscriptionSessionUpdate,
    TranscriptionSessionUpdated,
)
from realtime_sync.events.base import or_none

__all__ = ["ACK_TIMEOUT_S", "STAMP", "Ack", "AckTable", "id_of", "server_error"]

ACK_TIMEOUT_S: Final = 10.0
"""How long `Ack.result` waits when it is not told otherwise, in seconds."""

STAMP: Final = "realtime_sync_event_id"
"""The metadata key by which a response is told from others that may begin at the same time."""

_log = logging.getLogger("realtime_sync")
E_co = TypeVar("E_co", covariant=True)


class Wait(Protocol):
    """Blocks until ``done()`` or the deadline; `Dispatcher.wait` is one."""

    def __call__(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None: ...


class Ack(Generic[E_co]):
    """The handle of a message that was sent: what the server made of it can be asked for, or ignored.

    A refusal that is never asked for is logged as a warning when the handle is forgotten.
    """

    __slots__ = ("__weakref__", "_asked", "_confirmation", "_error", "_wait", "done", "event", "event_id")

    def __init__(self, event: ClientEvent, event_id: str, wait: Wait) -> None:
        self.event: Final = event
        """What was sent."""
        self.event_id: Final = event_id
        """The id under which it was sent; a server error names it."""
        self.done = False
        """Whether the server has confirmed or refused, or the connection has ended."""
        self._wait = wait
        self._confirmation: Any = None
        self._error: RealtimeError | None = None
        self._asked = False

    @property
    def item_id(self) -> str | None:
        """For the creation of an item: its id, usable before the server has confirmed. Otherwise ``None``."""
        item = getattr(self.event, "item", None)
        return getattr(item, "id", None)

    def result(self, timeout: float | None = ACK_TIMEOUT_S) -> E_co:
        """Block until the server confirms and return the event that does, pumping events meanwhile; any thread.

        ``None`` comes back at once for messages that no server ever confirms (audio appends, unknown types), and for
        a cancellation that found nothing to cancel. ``timeout`` is in seconds; ``None`` waits as long as the
        connection lives.

        Raises `ServerError` when the server refuses, `RealtimeTimeout` when it says nothing in time (asking again is
        fine), and `ConnectionClosed` or its kin when the connection ends first.
        """
        if not self.done:
            self._wait(lambda: self.done, Deadline(timeout), f"the server's answer to {self.event.type}")
        error = self.exception()
        if error is not None:
            raise error.with_traceback(None)
        confirmation: E_co = self._confirmation
        return confirmation

    def exception(self) -> RealtimeError | None:
        """Why it failed; ``None`` when it did not, or not yet. Never blocks."""
        self._asked = True
        return self._error

    @property
    def confirmation(self) -> E_co | None:
        """The confirming event; ``None`` as long as there is none. Never blocks."""
        confirmation: E_co | None = self._confirmation
        return confirmation

    def __repr__(self) -> str:
        state = "pending" if not self.done else "confirmed" if self._error is None else f"failed: {self._error}"
        return f"<Ack of {self.event.type} {self.event_id}: {state}>"

    def __del__(self) -> None:
        if not self._asked and isinstance(self._error, ServerError):
            _log.warning("%s was refused and nobody asked: %s", self.event.type, self._error)

    def _settle(self, confirmation: ServerEvent | None, error: RealtimeError | None = None) -> None:
        self._confirmation = confirmation
        self._error = error
        self.done = True


def server_error(event: ErrorEvent) -> ServerError:
    """The exception that says what an error event says."""
    detail = or_none(event.error)
    if detail is None:  # a compatible server that sends no detail
        return ServerError(event.extra.get("message"), event_id=None)
    return ServerError(detail.message, type=detail.type, code=detail.code, param=detail.param, event_id=detail.event_id)


_Match = Callable[[Any, Any], bool]


def _in_order(sent: Any, event: Any) -> bool:
    return True


def _same_item(sent: Any, event: Any) -> bool:
    return bool(sent.item_id == event.item_id or not event.item_id)  # some servers name no item


_CONFIRMED_BY: Final[dict[type[ClientEvent], tuple[tuple[type[ServerEvent], ...], _Match]]] = {
    SessionUpdate: ((SessionUpdated,), _in_order),
    TranscriptionSessionUpdate: ((TranscriptionSessionUpdated, SessionUpdated), _in_order),
    SessionClose: ((SessionClosed,), _in_order),
    InputAudioBufferCommit: ((InputAudioBufferCommitted,), _in_order),
    InputAudioBufferClear: ((InputAudioBufferCleared,), _in_order),
    OutputAudioBufferClear: ((OutputAudioBufferCleared,), _in_order),
    ConversationItemCreate: ((ConversationItemAdded, ConversationItemCreated), _in_order),
    ConversationItemRetrieve: (
        (ConversationItemRetrieved,),
        lambda sent, event: event.item is None or getattr(event.item, "id", None) in (sent.item_id, None),
    ),
    ConversationItemDelete: ((ConversationItemDeleted,), _same_item),
    ConversationItemTruncate: ((ConversationItemTruncated,), _same_item),
    ResponseCreate: ((ResponseCreated,), _in_order),
    ResponseCancel: (
        (ResponseDone,),
        lambda sent, event: sent.response_id in (None, id_of(event.response)),
    ),
}

CONFIRMING: Final[tuple[type[ServerEvent], ...]] = (
    ErrorEvent,
    *{cls for classes, _ in _CONFIRMED_BY.values() for cls in classes},
)
"""The server events that `AckTable.apply` wants to see."""

NOTHING_TO_CANCEL: Final = "response_cancel_not_active"
"""The error code of a cancellation that came too late: as good as success."""


class AckTable:
    """The messages that still wait for their confirmation, in the order in which they were sent.

    ``expect`` and ``discard`` may be called from any thread; ``apply`` and ``fail_all`` from the dispatching one.
    """

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self._lock = threading.Lock()  # guards _pending and _ended
        self._pending: dict[str, Ack[Any]] = {}
        self._ended: RealtimeError | None = None
        self._automatic_commits = 0  # turns that the server committed and has not answered yet
        self._echoes = False  # whether this server is known to send the stamp back

    def expect(self, event: ClientEvent, event_id: str) -> Ack[Any]:
        """The handle of ``event``, which is about to be sent under ``event_id``."""
        ack: Ack[Any] = Ack(event, event_id, self._wait)
        if type(event) not in _CONFIRMED_BY:
            ack._settle(None)
            return ack
        with self._lock:
            if self._ended is not None:
                ack._settle(None, self._ended)
            else:
                self._pending[event_id] = ack
        return ack

    def discard(self, ack: Ack[Any]) -> None:
        """It was not sent after all."""
        with self._lock:
            self._pending.pop(ack.event_id, None)

    def pending(self, cls: type[ClientEvent]) -> bool:
        """Whether a message of this class still waits."""
        with self._lock:
            return any(type(ack.event) is cls for ack in self._pending.values())

    def apply(self, event: ServerEvent) -> Ack[Any] | None:
        """Settle the handle that ``event`` confirms or refuses and return it; ``None`` when there is none."""
        with self._lock:
            ack = self._refused(event) if isinstance(event, ErrorEvent) else self._confirmed(event)
            if ack is None:
                return None
            del self._pending[ack.event_id]
        if not isinstance(event, ErrorEvent):
            ack._settle(event)
        else:
            error = server_error(event)
            harmless = NOTHING_TO_CANCEL in (error.code, error.type) and isinstance(ack.event, ResponseCancel)
            ack._settle(None, None if harmless else error)
        return ack

    def fail_all(self, cause: RealtimeError) -> None:
        """The connection has ended: nothing will be confirmed any more."""
        with self._lock:
            self._ended = cause
            failed, self._pending = self._pending, {}
        for ack in failed.values():
            ack._settle(None, cause)

    def _refused(self, event: ErrorEvent) -> Ack[Any] | None:
        detail = or_none(event.error)
        event_id = detail.event_id if detail is not None else None
        return self._pending.get(event_id) if event_id else None

    def _confirmed(self, event: ServerEvent) -> Ack[Any] | None:
        cls = type(event)
        candidates = [
            ack
            for ack in self._pending.values()
            for classes, match in (_CONFIRMED_BY[type(ack.event)],)
            if cls in classes and match(ack.event, event)
        ]
        if isinstance(event, (ConversationItemAdded, ConversationItemCreated)):
            return _created(candidates, event)
        if isinstance(event, ResponseCreated):
            return self._begun(candidates, event)
        if isinstance(event, InputAudioBufferCommitted) and not candidates:
            self._automatic_commits += 1
        return candidates[0] if candidates else None

    def _begun(self, candidates: list[Ack[Any]], event: ResponseCreated) -> Ack[Any] | None:
        """The create that began this response: by its stamp, else the oldest one that the server's own turn detection
        does not explain better."""
        response = or_none(event.response)
        metadata = (response.metadata if response is not None else None) or {}
        if STAMP in metadata:
            self._echoes = True
            return next((ack for ack in candidates if ack.event_id == metadata[STAMP]), None)
        plain = [ack for ack in candidates if not _stamped(ack.event)]
        if plain:
            return plain[0]
        if self._echoes or self._automatic_commits:
            self._automatic_commits = max(0, self._automatic_commits - 1)
            return None
        return candidates[0] if candidates else None


def id_of(response: Response | None) -> str | None:
    """The id of a response, where there is one."""
    return response.id if response is not None else None


def _stamped(create: Any) -> bool:
    response: ResponseConfig | None = create.response
    return response is not None and STAMP in (response.metadata or {})


def _created(candidates: list[Ack[Any]], event: ConversationItemAdded | ConversationItemCreated) -> Ack[Any] | None:
    """The create of this item: by its id, else (some servers give ids of their own) the oldest of the same shape."""
    item_id = getattr(event.item, "id", None)
    for ack in candidates:
        if ack.item_id == item_id:
            return ack
    shape = _shape(event.item)
    return next((ack for ack in candidates if _shape(getattr(ack.event, "item", None)) == shape), None)


def _shape(item: Any) -> tuple[Any, ...]:
    parts = tuple(type(part) for part in getattr(item, "content", None) or ())
    return (type(item), getattr(item, "role", None), getattr(item, "call_id", None), parts)
