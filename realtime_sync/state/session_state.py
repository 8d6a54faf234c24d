"""What is known of a session: its configuration, its responses, its conversation, what it has used."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.events import (
    Item,
    SessionConfig,
    SessionCreated,
    SessionResumed,
    SessionUpdated,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdated,
)
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.facts import Facts, merged
from realtime_sync.state.heard import Heard
from realtime_sync.state.input_buffer import InputBuffer
from realtime_sync.state.responses import Responses, Run
from realtime_sync.state.usage import UsageTally

__all__ = ["SessionState"]

_Configuring = SessionCreated | SessionUpdated | TranscriptionSessionCreated | TranscriptionSessionUpdated


class SessionState:
    """Folds events into state on the dispatching thread; any thread may look.

    Deltas, which come by the thousand, are folded only from the first look at the conversation on. `responses` is fed
    by the session, which knows what was asked for. ``conversation_limit`` is that of `Conversation`.
    """

    def __init__(self, dispatcher: Dispatcher, conversation_limit: int | None = None) -> None:
        self.config: SessionConfig | None = None
        """The configuration in force, as the server last reported it; what a report leaves out is kept."""
        self.facts = Facts()
        """What `config` says."""
        self.responses = Responses()
        self.buffer = InputBuffer()
        self.heard = Heard()
        self.usage = UsageTally()
        self._conversation = Conversation(self.responses, limit=conversation_limit)
        self._dispatcher = dispatcher
        self._lock = threading.Lock()  # guards _grows
        self._grows = False

    def follow(self) -> None:
        """Take in what is dispatched from now on."""
        self._dispatcher.subscribe(
            STATE,
            self._configured,
            SessionCreated,
            SessionUpdated,
            TranscriptionSessionCreated,
            TranscriptionSessionUpdated,
        )
        self._dispatcher.subscribe(STATE, self._resumed, SessionResumed)
        self._dispatcher.subscribe(STATE, self._conversation.apply, *Conversation.EVENTS)
        self._dispatcher.subscribe(STATE, self.usage.apply, *UsageTally.EVENTS)
        self._dispatcher.subscribe(STATE, self.buffer.apply, *InputBuffer.EVENTS)
        self._dispatcher.subscribe(STATE, self.heard.apply, *Heard.EVENTS)

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

    def answered_by(self, run: Run) -> tuple[str, ...]:
        """The items of the user's audio that a response answers, which begins now or has begun."""
        if run.user_item_ids is None:
            run.user_item_ids = () if run.beside else self.heard.take()
        return run.user_item_ids

    def assume(self, items: Iterable[Item]) -> None:
        """The server answers without having confirmed these items: they stand in the conversation, unconfirmed."""
        for item in items:
            self._conversation.assume(item)

    def _resumed(self, event: SessionResumed) -> None:
        # Another session of the server's: what was known of the one before says nothing about it.
        self.facts = Facts.of(event.session)
        self.config = event.session

    def _configured(self, event: _Configuring) -> None:
        # In this order: whoever reads the facts on another thread finds them no older than the configuration.
        config = merged(self.config, event.session)
        self.facts = Facts.of(config)
        self.config = config
