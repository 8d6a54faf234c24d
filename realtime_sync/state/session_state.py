"""What is known of a session: its configuration, its conversation, what it has used; kept up by the dispatcher."""

from __future__ import annotations

import threading

from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.events import (
    ServerEvent,
    SessionConfig,
    SessionCreated,
    SessionUpdated,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdated,
)
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.input_buffer import InputBuffer
from realtime_sync.state.usage import UsageTally

__all__ = ["SessionState"]


class SessionState:
    """Folds events into state on the dispatching thread; any thread may look.

    Deltas, which come by the thousand, are folded only from the first look at the conversation on.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.config: SessionConfig | None = None
        """The configuration in force, as the server last reported it."""
        self.buffer = InputBuffer()
        self.usage = UsageTally()
        self._conversation = Conversation()
        self._dispatcher = dispatcher
        self._lock = threading.Lock()  # guards _grows
        self._grows = False
        dispatcher.subscribe(STATE, self._updated, SessionUpdated, TranscriptionSessionUpdated)
        dispatcher.subscribe(STATE, self._conversation.apply, *Conversation.EVENTS)
        dispatcher.subscribe(STATE, self.usage.apply, *UsageTally.EVENTS)
        dispatcher.subscribe(STATE, self.buffer.apply, *InputBuffer.EVENTS)

    @property
    def conversation(self) -> Conversation:
        """The mirror; the first look at it makes text grow delta by delta."""
        with self._lock:
            if not self._grows:
                self._grows = True
                self._dispatcher.subscribe(STATE, self._conversation.apply, *Conversation.DELTAS)
        return self._conversation

    @property
    def mirror(self) -> Conversation:
        """The same, for a look that does not need the latest deltas."""
        return self._conversation

    def note(self, event: ServerEvent) -> None:
        """Take the configuration out of an event that will be dispatched later."""
        if isinstance(
            event, (SessionCreated, SessionUpdated, TranscriptionSessionCreated, TranscriptionSessionUpdated)
        ):
            self._updated(event)
            self.buffer.apply(event)
            self.usage.apply(event)  # a cost limit asks for the model before anything was dispatched

    def _updated(
        self, event: SessionCreated | SessionUpdated | TranscriptionSessionCreated | TranscriptionSessionUpdated
    ) -> None:
        self.config = event.session
