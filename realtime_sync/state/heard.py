"""What the user was heard to say, and which response answers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from realtime_sync.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    InputAudioBufferCommitted,
    ServerEvent,
    SessionResumed,
)

__all__ = ["Heard"]


class Heard:
    """The user's audio by the ids of its items: what was said, and what no response has answered yet.

    It grows only by `apply` and `take`, on one thread; any thread may look.
    """

    EVENTS: ClassVar[tuple[type[ServerEvent], ...]] = (
        InputAudioBufferCommitted,
        ConversationItemInputAudioTranscriptionCompleted,
        ConversationItemInputAudioTranscriptionFailed,
        SessionResumed,
    )
    """The events that `apply` needs."""

    def __init__(self) -> None:
        self._texts: dict[str, str | None] = {}  # None: it could not be understood
        self._unanswered: list[str] = []
        self._awaited: dict[str, None] = {}  # whose text may come

    @property
    def awaits(self) -> bool:
        """Whether the text of what was said last may still come, where it is written down."""
        return next(reversed(self._awaited), None) not in (None, *self._texts)

    def apply(self, event: ServerEvent) -> None:
        """Take in one event; others than those of `EVENTS` change nothing."""
        if isinstance(event, InputAudioBufferCommitted):
            if event.item_id:
                self._unanswered.append(event.item_id)
                self._awaited[event.item_id] = None
        elif isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            self._texts[event.item_id] = event.transcript
            self._awaited.pop(event.item_id, None)
        elif isinstance(event, ConversationItemInputAudioTranscriptionFailed):
            self._texts.setdefault(event.item_id, None)
            self._awaited.pop(event.item_id, None)
        elif isinstance(event, SessionResumed):  # whoever would have told it is gone
            self._texts.update((item_id, None) for item_id in self._awaited if item_id not in self._texts)
            self._awaited.clear()

    def take(self) -> tuple[str, ...]:
        """The items that a response which begins now answers: those that came since the one before."""
        taken, self._unanswered = tuple(self._unanswered), []
        return taken

    def settled(self, item_ids: Iterable[str]) -> bool:
        """Whether nothing more is to be heard of these items."""
        return all(item_id in self._texts for item_id in item_ids)

    def text(self, item_ids: Iterable[str]) -> str | None:
        """What was said in these items, as far as that is known; ``None`` when nothing is."""
        texts = [self._texts.get(item_id) for item_id in item_ids]
        known = [text for text in texts if text is not None]
        return " ".join(filter(None, known)) if known else None

    def of(self, item_ids: Iterable[str]) -> Heard:
        """A copy that knows of these items only."""
        copied = Heard()
        copied._texts = {item_id: self._texts[item_id] for item_id in item_ids if item_id in self._texts}
        return copied
