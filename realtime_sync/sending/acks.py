"""Which server event confirms or refuses which client event: a table without threads or sockets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from realtime_sync._arguments import answered
from realtime_sync._deadline import Deadline
from realtime_sync._latest import Latest
from realtime_sync.codec import server_decoder
from realtime_sync.delivery.said import excerpt, text_in
from realtime_sync.errors import RealtimeError, RealtimeTimeout, ServerError
from realtime_sync.events import (
    REALTIME,
    ClientEvent,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemTruncate,
    ErrorDetail,
    Family,
    MalformedEvent,
    Response,
    ResponseCancel,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
)
from realtime_sync.events._other_names import OF_ACKS, missing
from realtime_sync.events.base import fields_of, or_none
from realtime_sync.state.responses import Run, response_id_of

__all__ = [
    "ACK_TIMEOUT_S",
    "COLLISION",
    "DUPLICATE",
    "STAMP",
    "Ack",
    "AckTable",
    "answers",
    "error_in",
    "nothing_to_cancel",
    "server_error",
]

ACK_TIMEOUT_S: Final = 10.0
"""How long `Ack.result` waits when it is not told otherwise, in seconds."""

STAMP: Final = "realtime_sync_event_id"
"""The metadata key by which a response is told from others that may begin at the same time."""

COLLISION: Final = "conversation_already_has_active_response"
"""The error code of a create that came while another response was active."""

DUPLICATE: Final = "item_create_duplicate_item_id"
"""The error code of an item that stands in the conversation already."""

_NOTHING_TO_CANCEL: Final = "response_cancel_not_active"
_MOST_OF_A_KIND: Final = 1024
_log = logging.getLogger("realtime_sync")
E_co = TypeVar("E_co", covariant=True)


Wait = Callable[[Callable[[], bool], Deadline, str], None]
"""Blocks until a condition holds, or the deadline; the text says what is waited for. `Dispatcher.wait` is one."""


@answered
class Ack(Generic[E_co]):
    """The handle of a message that was sent: what the server made of it can be asked for, or ignored.

    A refusal that is never asked for is logged as a warning when the handle is forgotten.
    """

    __slots__ = (
        "__weakref__",
        "_about",
        "_after",
        "_asked",
        "_confirmation",
        "_error",
        "_late",
        "_renounced",
        "_wait",
        "done",
        "event",
        "event_id",
    )

    def __init__(self, event: ClientEvent, event_id: str, wait: Wait) -> None:
        self.event: Final = event
        """What was sent."""
        self.event_id: Final = event_id
        """The id under which it was sent; a server error names it."""
        self.done = False
        """Whether the server has confirmed or refused, or the connection has ended."""
        self._wait = wait
        self._about: Run | str | None = None  # of a cancellation: the response, its id, or that of its create
        self._after = 0  # so many events had arrived when its message was sent: none of them is its answer
        self._confirmation: Any = None
        self._error: RealtimeError | None = None
        self._asked = False
        self._renounced = False  # of a create: nobody waits for its response any more
        self._late = False  # an answer is hardly to be expected any more: newer messages of its kind go first

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_ACKS)

    @property
    def item_id(self) -> str | None:
        """For the creation of an item: its id, usable before the server has confirmed; the server's own once it has
        confirmed another one. Otherwise ``None``."""
        named = getattr(getattr(self._confirmation, "item", None), "id", None)
        return named or getattr(getattr(self.event, "item", None), "id", None)

    def result(self, timeout: float | None = ACK_TIMEOUT_S) -> E_co:
        """Block until the server confirms and return the event that does, pumping events meanwhile; any thread.

        ``None`` comes back at once for messages that no server ever confirms (audio appends, unknown types), and for
        a cancellation that found nothing to cancel. ``timeout`` is in seconds; ``None`` waits as long as the
        connection lives, 0 looks at what has arrived.

        Raises `ServerError` when the server refuses, `RealtimeTimeout` when it says nothing in time (asking again is
        fine), and `ConnectionClosed` or its kin when the connection ends first.
        """
        if not self.done:
            try:
                self._wait(lambda: self.done, Deadline(timeout), f"the server's answer to {self.event.type}")
            except RealtimeTimeout:
                self._late = True
                raise
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
        asked = getattr(self, "_asked", True)  # an interrupt may have left it half made
        if not asked and isinstance(self._error, ServerError):
            _log.warning("%s was refused and nobody asked: %s", self.event.type, self._error)

    def _settle(self, confirmation: ServerEvent | None, error: RealtimeError | None = None) -> None:
        self._confirmation = confirmation
        self._error = error
        self.done = True


def error_in(
    event: ServerEvent | None, family: Family = REALTIME, redact: Callable[[str], str] = str
) -> ServerError | None:
    """What an event says that is an error, also one without a ``type``; ``None`` for every other event."""
    if isinstance(event, MalformedEvent) and isinstance(event.raw, dict) and event.raw.get("error"):
        event = server_decoder(family)({**event.raw, "type": family.error})
    return server_error(event, family, redact) if isinstance(event, family.error_class) else None


def server_error(event: ServerEvent, family: Family = REALTIME, redact: Callable[[str], str] = str) -> ServerError:
    """The exception that says what the error event of a family says, without what ``redact`` takes out."""
    detail = getattr(event, "error", None)
    if isinstance(detail, ErrorDetail):
        known = {"type": detail.type, "code": detail.code, "param": detail.param, "event_id": detail.event_id}
        message, odd = or_none(detail.message), {"error": detail.extra, **event.extra} if detail.extra else event.extra
    else:  # of another family, or of a compatible server that sends no detail
        known = {"event_id": family.refused_by(event)}
        message, odd = getattr(event, "message", None) or getattr(event, "reason", None), event.extra
    error = ServerError(message or text_in(odd) or (excerpt(odd, redact) if odd else None), **known)
    error.redact(redact)
    return error


def answers(family: Family) -> tuple[type[ServerEvent], ...]:
    """The server events that `AckTable.apply` wants to see; those of responses are for the sequencer."""
    kinds = {cls for cls in family.client.values() if cls not in (ResponseCreate, ResponseCancel)}
    return tuple({confirming for cls in kinds for confirming in cls.CONFIRMED_BY})


class AckTable:
    """The messages that still wait for their answer.

    **The rule.** An answer that names a message (by its ``event_id``, its item's id, the stamp of a response) is for
    that one. One that names none is for the oldest message of its kind that is not late; a message is late once nobody
    waits for it any more, or once a later one was answered. An error that names none is for the message whose type,
    field or code it mentions, else for the only one that waits, else for the only ``response.create``; otherwise it is
    nobody's. What had arrived before a message was sent is no answer to it, however late it is dispatched.

    ``expect`` and ``discard`` may be called from any thread; what takes in events, from the dispatching one.
    ``arrived`` tells how many events have arrived so far, ``place`` how many up to the one that is taken in.
    """

    def __init__(
        self,
        waiting: Callable[[], Wait],
        family: Family = REALTIME,
        *,
        arrived: Callable[[], int] = lambda: 0,
        place: Callable[[], int] = lambda: 1,
    ) -> None:
        self._waiting = waiting  # how a message that is prepared now will be waited for
        self._arrived = arrived
        self._place = place
        self._codes: Final = {_short(cls.TYPE) for cls in family.client.values() if cls.CONFIRMED_BY}
        self._lock = threading.Lock()  # guards all below
        self._pending: dict[str, Ack[Any]] = {}  # in the order of sending
        self._kinds: dict[type[ClientEvent], dict[str, Ack[Any]]] = {}  # the same, by class
        self._by_item: dict[str, Ack[Any]] = {}  # creations of items that wait
        self._seen_items: dict[str, None] = Latest(_MOST_OF_A_KIND)  # ids of the latest items that were announced
        self._echoes = False  # whether this server is known to send the stamp back
        self._ended: RealtimeError | None = None

    def prepare(self, event: ClientEvent, event_id: str) -> Ack[Any]:
        """The handle of ``event``, which will be sent under ``event_id``; it does not count as sent yet."""
        return Ack(event, event_id, self._waiting())

    def expect(self, ack: Ack[Any], *, sent: bool = False) -> None:
        """Its message is about to be sent; or was ``sent`` before, and what answered it was not its answer."""
        if not ack.event.CONFIRMED_BY:
            ack._settle(None)
            return
        if not sent:
            ack._after = self._arrived()
        with self._lock:
            if self._ended is not None:
                ack._settle(None, self._ended)
                return
            of_kind = self._kinds.setdefault(type(ack.event), {})
            if len(of_kind) >= _MOST_OF_A_KIND:  # a server that confirms none of them
                self._remove_locked(next(iter(of_kind.values())))
            self._pending[ack.event_id] = of_kind[ack.event_id] = ack
            if isinstance(ack.event, ConversationItemCreate) and ack.item_id:
                self._by_item[ack.item_id] = ack

    def discard(self, ack: Ack[Any]) -> None:
        """It was not sent after all, or nobody cares any more."""
        with self._lock:
            self._remove_locked(ack)

    def reopen(self, ack: Ack[Any]) -> None:
        """Its confirmation was not meant for it."""
        ack._confirmation, ack.done = None, False

    def create_under_way(self) -> Ack[Any] | None:
        """The latest ``response.create`` that was sent and is not answered."""
        with self._lock:
            waiting = [ack for ack in self._kinds.get(ResponseCreate, {}).values() if not ack._late]
        return waiting[-1] if waiting else None

    def cancelled(self, create: Ack[Any]) -> bool:
        """Whether the response that this ``response.create`` asks for was cancelled before it began."""
        with self._lock:
            return any(ack._about == create.event_id for ack in self._kinds.get(ResponseCancel, {}).values())

    def unconfirmed_items(self) -> list[Any]:
        """The items that were sent and are hardly to be confirmed any more, in the order of sending."""
        with self._lock:
            waiting = self._kinds.get(ConversationItemCreate, {}).values()
            return [getattr(ack.event, "item", None) for ack in waiting if ack._late]

    @property
    def waits(self) -> bool:
        """Whether an answer is to be expected."""
        with self._lock:
            return any(not ack._late for ack in self._pending.values())

    def survive(self, present: Container[str], error: RealtimeError) -> None:
        """Another connection follows, on which what waits is sent again: but for cancellations of responses that had
        begun, which are gone, items that are ``present`` in the conversation, and what is about the sound of an item,
        or late: that fails with ``error``."""
        with self._lock:
            known = [ack for ack in self._kinds.get(ConversationItemCreate, {}).values() if ack.item_id in present]
            creates = self._kinds.get(ResponseCreate, {})
            late = [ack for ack in creates.values() if ack._late]
            begins = {event_id for event_id, ack in creates.items() if not ack._late}
            over = [ack for ack in self._kinds.get(ResponseCancel, {}).values() if ack._about not in begins]
            over += known
            cut = self._kinds.get(ConversationItemTruncate, {}).values()
            failed = [*cut, *late]
            for ack in (*over, *failed):
                self._remove_locked(ack)
        for ack in over:
            ack._settle(None)
        for ack in failed:
            ack._settle(None, error)

    # What the server says

    def apply(self, event: ServerEvent) -> Ack[Any] | None:
        """Settle the handle that ``event`` confirms and return it; ``None`` when there is none. For what is not about
        responses."""
        cls, place = type(event), self._place()
        with self._lock:
            candidates = [
                ack
                for kind, of_kind in self._kinds.items()
                if cls in kind.CONFIRMED_BY
                for ack in of_kind.values()
                if ack._after < place
            ]
            if isinstance(event, (ConversationItemAdded, ConversationItemCreated)):
                ack = self._created_locked(candidates, event)
            else:
                ack = _first(ack for ack in candidates if _matches(ack.event, event))
            if ack is not None:
                self._remove_locked(ack)
        if ack is not None:
            ack._settle(event)
        return ack

    def begun(self, event: ServerEvent) -> tuple[Ack[Any] | None, bool]:
        """Settle the ``response.create`` whose response begins with ``event``; also whether that is a guess."""
        response: Response | None = or_none(getattr(event, "response", None))
        with self._lock:
            ack, guessed = self._asked_locked(response)
            if ack is not None:
                for earlier in self._pending.values():  # a server answers in order
                    if earlier is ack:
                        break
                    earlier._late = earlier._late or not isinstance(earlier.event, (ResponseCreate, ResponseCancel))
                self._remove_locked(ack)
        if ack is not None:
            response = response or Response(id=response_id_of(event), status="in_progress")
            created = event if isinstance(event, ResponseCreated) else ResponseCreated(response=response)
            ack._settle(created)
        return ack, guessed

    def ended(self, event: ResponseDone, run: Run) -> None:
        """Settle the cancellations of a response that is done."""
        with self._lock:
            over = [
                ack
                for ack in self._kinds.get(ResponseCancel, {}).values()
                if ack._about is run or (ack._about is not None and ack._about in (run.id, run.asked_by))
            ]
            for ack in over:
                self._remove_locked(ack)
        for ack in over:
            ack._settle(event)

    def refusal_of(self, error: ServerError) -> Ack[Any] | None:
        """The message that an error is about."""
        with self._lock:
            if error.event_id:
                return self._pending.get(error.event_id)
            place = self._place()
            sent = [ack for ack in self._pending.values() if ack._after < place]
        waiting = [ack for ack in sent if not ack._late] or sent
        named = _first(ack for ack in waiting if _mentions(error, ack.event))
        code = _code_of(error)
        if named is not None or any(short in code for short in self._codes):  # it is about none that waits
            return named
        if len(waiting) == 1:
            return waiting[0]
        creates = [ack for ack in waiting if isinstance(ack.event, ResponseCreate)]
        return creates[0] if len(creates) == 1 else None

    def refuse(self, ack: Ack[Any], error: ServerError) -> None:
        """The server refuses a message."""
        self.discard(ack)
        ack._settle(None, None if nothing_to_cancel(error) and isinstance(ack.event, ResponseCancel) else error)

    def fail_all(self, cause: RealtimeError) -> None:
        """The connection has ended: nothing will be confirmed any more."""
        with self._lock:
            self._ended = cause
            failed, self._pending, self._kinds, self._by_item = self._pending, {}, {}, {}
        for ack in failed.values():
            ack._settle(None, cause)

    def _remove_locked(self, ack: Ack[Any]) -> None:
        self._pending.pop(ack.event_id, None)
        self._kinds.get(type(ack.event), {}).pop(ack.event_id, None)
        if self._by_item:
            item_id = getattr(getattr(ack.event, "item", None), "id", None) or ""
            if self._by_item.get(item_id) is ack:
                del self._by_item[item_id]

    def _created_locked(
        self, candidates: list[Ack[Any]], event: ConversationItemAdded | ConversationItemCreated
    ) -> Ack[Any] | None:
        """The create of this item: by its id, else, for an id that is new (some servers give ids of their own), the
        oldest of the same shape."""
        item_id = getattr(event.item, "id", None)
        known = self._by_item.get(item_id or "")
        seen = item_id in self._seen_items
        if item_id:
            self._seen_items[item_id] = None
        if known is not None or seen:
            return known
        shape = _shape(event.item)
        return _first(ack for ack in candidates if _shape(getattr(ack.event, "item", None)) == shape)

    def _asked_locked(self, response: Response | None) -> tuple[Ack[Any] | None, bool]:
        """The create of this response: by its stamp, else the oldest, as a guess: the server may just as well have
        begun it by itself, which shows when it refuses ours for the collision."""
        creates = self._kinds.get(ResponseCreate, {})
        metadata = (response.metadata if response is not None else None) or {}
        if STAMP in metadata:
            self._echoes = True
            return creates.get(str(metadata[STAMP])), False
        place = self._place()
        waiting = [ack for ack in creates.values() if ack._after < place]
        plain = _first(ack for ack in waiting if not _stamped(ack.event))
        if plain is not None:
            return plain, True
        if self._echoes and response is not None:  # metadata of another kind is the server's own
            return None, False
        return _first(waiting), True


def nothing_to_cancel(error: ServerError) -> bool:
    """Whether the server says that no response is active: as good as success for a cancellation."""
    return _NOTHING_TO_CANCEL in (error.code, error.type)


def _first(waiting: Iterable[Ack[Any]]) -> Ack[Any] | None:
    """The oldest that is not late, else the oldest."""
    late: Ack[Any] | None = None
    for ack in waiting:
        if not ack._late:
            return ack
        late = late or ack
    return late


def _matches(sent: Any, event: Any) -> bool:
    """Whether ``event`` can confirm ``sent``: it is about the same item, or does not say about which."""
    wanted = getattr(sent, "item_id", None)
    if wanted is None:
        return True
    item = getattr(event, "item", None)
    named = getattr(item, "id", None) if item is not None else getattr(event, "item_id", None)
    return named in (wanted, None, "")


def _code_of(error: ServerError) -> str:
    return f"{error.code or ''} {error.type or ''}"


def _short(kind: str) -> str:
    """What error codes call a type: ``item_create`` for ``conversation.item.create``."""
    return "_".join(kind.replace(".", "_").split("_")[-2:])


def _mentions(error: ServerError, sent: ClientEvent) -> bool:
    """Whether an error that names no message speaks of this one: of its type, of one of its fields, by its code."""
    code = _code_of(error)
    if sent.type in f"{error.message or ''} {error.param or ''} {code}":
        return True
    if COLLISION in code:
        return isinstance(sent, ResponseCreate)
    if _short(sent.type) in code:
        return True
    field = (error.param or "").partition(".")[0].partition("[")[0]
    return field in {a.name for a in fields_of(type(sent))} - {"type", "event_id", "extra"}


def _stamped(create: Any) -> bool:
    response = create.response
    return response is not None and STAMP in (response.metadata or {})


def _shape(item: Any) -> tuple[Any, ...]:
    parts = tuple(type(part) for part in getattr(item, "content", None) or ())
    return (type(item), getattr(item, "role", None), getattr(item, "call_id", None), parts)
