"""The connection that follows upon another: opened, configured and told the conversation before it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.wire_log import log
from realtime_sync.errors import ConnectionClosed, RealtimeTimeout, ServerError
from realtime_sync.events import (
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemDone,
    Item,
    MalformedEvent,
    ServerEvent,
)
from realtime_sync.sending.acks import Ack, AckTable, answers, error_in
from realtime_sync.sending.outgoing import Outgoing
from realtime_sync.session.restoration import Restored, restore
from realtime_sync.state.conversation.record import item_id_of
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.events import SessionConfig
    from realtime_sync.session.dialling import Dialling
    from realtime_sync.state.conversation import History
    from realtime_sync.transport import Transport

__all__ = ["Successor"]

_SEND_S: Final = 10.0
_CONFIRM_S: Final = 5.0
"""How long a server may take to confirm the configuration before it counts as one that never does, in seconds."""

_DONE_S: Final = 0.5
"""How long after the last item was added it may take until it is done, in seconds."""

_log = logging.getLogger("realtime_sync")


class Successor:
    """A connection that is being prepared: a session in small, on one thread, without handlers.

    Whatever waits raises `ConnectionClosed` and its kin when the connection ends, and when ``ended()``; `ServerError`
    when the server refuses the session, `RealtimeTimeout`.
    """

    def __init__(self, transport: Transport, dialling: Dialling, ended: Callable[[], bool]) -> None:
        self.transport = transport
        self._family = family = dialling.family
        self._decode = dialling.decode
        self._ended = ended
        self._inbox = Inbox(2**62)
        self._dispatcher = Dispatcher(self._inbox, lambda: None)
        self._state = SessionState(self._dispatcher)
        self._acks = AckTable(lambda: self._wait, family)
        self._outgoing = Outgoing(
            self._send, self._acks, self._state, checks=False, before_response=None, family=family
        )
        self._opened = False
        self._error: ServerError | None = None
        self._open: set[str | None] = set()  # items that were added, and are still to be done
        self._dispatcher.subscribe(STATE, self._acks.apply, *answers(family))
        self._dispatcher.subscribe(STATE, self._begun, *family.opened_by)
        self._dispatcher.subscribe(STATE, self._refused, family.error_class, MalformedEvent)
        self._dispatcher.subscribe(STATE, self._added, ConversationItemAdded)
        self._dispatcher.subscribe(STATE, self._done, ConversationItemDone)
        self._state.follow()

    @property
    def config(self) -> SessionConfig | None:
        """The configuration in force."""
        return self._state.config

    def open(self, deadline: Deadline) -> None:
        """Wait until the server says that the session is there."""
        self._wait(lambda: self._opened or self._error is not None, deadline, "session.created")
        if not self._opened and self._error is not None:
            raise self._error

    def configure(self, update: Mapping[str, Any], deadline: Deadline) -> None:
        """Set the configuration; ``update`` is the whole event, as JSON. A server that never confirms one is not waited
        for long."""
        ack = self._outgoing.send(update)
        remaining_s = deadline.remaining()
        try:
            ack.result(_CONFIRM_S if remaining_s is None else min(_CONFIRM_S, remaining_s))
        except RealtimeTimeout:
            _log.warning("the server has not confirmed the configuration of the resumed session: going on")

    def restore(self, history: History, deadline: Deadline) -> Restored:
        """Write the conversation, as `RealtimeSession.restore` does."""
        restored = restore(history, self._create, self._state.mirror.snapshot().entries, deadline)
        with suppress(RealtimeTimeout):  # whoever follows upon us need not hear of them
            self._wait(lambda: not self._open, Deadline(_DONE_S), "the last of the items")
        return restored

    def idle(self, wait_s: float) -> None:
        """Keep the connection alive for so many seconds."""
        self._read(wait_s)

    def close(self) -> None:
        """End the connection; any thread."""
        self.transport.close()

    def _create(self, item: Item, previous_item_id: str | None) -> Ack[Any]:
        event = ConversationItemCreate(item=item, previous_item_id=previous_item_id)
        return self._outgoing.send(event)

    def _send(self, text: str | bytes, owner: object = None) -> None:
        self.transport.send_text(text, _SEND_S)
        self._log("out", text)

    def _wait(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        while not done():
            if deadline.expired:
                raise RealtimeTimeout(f"waited {deadline.timeout_s:g} s for {what}")
            self._read(deadline.slice())

    def _read(self, wait_s: float) -> None:
        if self._ended():
            raise ConnectionClosed("the session was closed while it was being resumed", code=1000)
        texts = self.transport.receive(wait_s)
        for text in texts:
            self._log("in", text)
        if texts:
            self._inbox.put([self._decode(text) for text in texts], 0)
            self._dispatcher.poll()

    def _log(self, direction: Literal["in", "out"], text: str | bytes) -> None:
        log(direction, (text,), self.transport.redact)

    def _begun(self, event: ServerEvent) -> None:
        self._opened = True

    def _added(self, event: ConversationItemAdded) -> None:
        self._open.add(item_id_of(event.item))

    def _done(self, event: ConversationItemDone) -> None:
        self._open.discard(item_id_of(event.item))

    def _refused(self, event: ServerEvent) -> None:
        error = error_in(event, self._family, self.transport.redact)
        if error is None:  # only a message that cannot be read
            return
        self._error = error
        refused = self._acks.refusal_of(error)
        if refused is not None:
            self._acks.refuse(refused, error)
            refused.exception()
