"""What the user was heard to say, and which response answers it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import ClassVar, Final

from realtime_sync._latest import Latest
from realtime_sync.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    InputAudioBufferCommitted,
    ServerEvent,
    SessionResumed,
)

__all__ = ["Heard"]

_MOST_KEPT: Final = 1024


class _Speech:
    """What was heard in one item."""

    __slots__ = ("settled", "text")

    def __init__(self) -> None:
        self.text: str | None = None  # also where it could not be understood
        self.settled = False


class Heard:
    """The latest of the user's audio by the ids of its items: what was said, and what no response has answered yet.

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
        self._speeches: dict[str, _Speech] = Latest(_MOST_KEPT)
        self._unanswered: deque[str] = deque(maxlen=_MOST_KEPT)
        self._latest: _Speech | None = None

    @property
    def awaits(self) -> bool:
        """Whether the text of what was said last may still come, where it is written down."""
        return self._latest is not None and not self._latest.settled

    def apply(self, event: ServerEvent) -> None:
        """Take in one event; others than those of `EVENTS` change nothing."""
        if isinstance(event, InputAudioBufferCommitted):
            if event.item_id:
                self._unanswered.append(event.item_id)
                self._latest = self._speech(event.item_id)
        elif isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            speech = self._speech(event.item_id)
            speech.text, speech.settled = event.transcript, True
        elif isinstance(event, ConversationItemInputAudioTranscriptionFailed):
            self._speech(event.item_id).settled = True
        elif isinstance(event, SessionResumed):  # whoever would have told it is gone
            for speech in self._speeches.values():
                speech.settled = True

    @property
    def unanswered(self) -> tuple[str, ...]:
        """The items that no response has answered yet."""
        return tuple(self._unanswered)

    def take(self) -> tuple[str, ...]:
        """The items that a response which begins now answers: those that came since the one before."""
        taken = tuple(self._unanswered)
        self._unanswered.clear()
        return taken

    def of(self, item_ids: Iterable[str]) -> Heard:
        """What is heard in these items only, now and later: it lasts as long as somebody holds it."""
        part = Heard()
        part._speeches = {item_id: self._speech(item_id) for item_id in item_ids}
        return part

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be heard."""
        return all(speech.settled for speech in self._speeches.values())

    @property
    def text(self) -> str | None:
        """What was said, as far as that is known; ``None`` when nothing is."""
        known = [speech.text for speech in self._speeches.values() if speech.text is not None]
        return " ".join(filter(None, known)) if known else None

    def _speech(self, item_id: str) -> _Speech:
        speech = self._speeches.get(item_id)
        if speech is None:
            speech = self._speeches[item_id] = _Speech()
        return speech
