"""All that is known of one item, in the pieces in which it came."""

from __future__ import annotations

from copy import copy
from typing import Any, Final, TypeVar

from realtime_sync.events import (
    ContentPart,
    ConversationItemInputAudioTranscriptionSegment,
    FunctionCall,
    InputAudio,
    InputText,
    Item,
    McpCall,
    Message,
    OutputAudio,
    OutputText,
    TranscriptionError,
    UnknownObject,
    UserMessage,
)
from realtime_sync.state.conversation.entry import ConversationEntry
from realtime_sync.state.responses import Run

__all__ = ["ARGUMENTS", "ENDED", "Part", "Record", "item_id_of", "renamed", "status_of", "whole_text"]

ENDED: Final = frozenset({"completed", "incomplete"})
"""The statuses of an item that will not grow any more."""

ARGUMENTS: Final = -1
"""Stands for the arguments of a call where a content index stands for a part of a message."""

T = TypeVar("T")
_SPOKEN: Final = (InputAudio, OutputAudio)
_TEXTUAL: Final = (OutputText, *_SPOKEN)


class Part:
    """A content part, or the arguments of a call, as it grows. Its text is final once ``final`` is set; ``cut`` drops
    it, and what may still come of it."""

    __slots__ = ("bytes_per_ms", "cut", "final", "limit_ms", "pieces", "shown", "size_bytes", "spoken")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.final = False
        self.cut = False
        self.spoken = False
        self.shown: ContentPart | None = None
        self.size_bytes: int | None = None
        self.bytes_per_ms = 1.0
        self.limit_ms: int | None = None

    @property
    def open(self) -> bool:
        """Whether further deltas belong to the text."""
        return not (self.final or self.cut)

    @property
    def text(self) -> str | None:
        """The text as far as it came, ``None`` when none has."""
        return "".join(self.pieces) if self.pieces or self.final else None

    def finish(self, text: str) -> None:
        """The whole text; it replaces the pieces."""
        if not self.cut:
            self.pieces = [whole_text(self.pieces, text)]
            self.final = True

    def cut_at(self, limit_ms: int | None) -> None:
        """Drop the text for good; the audio is no longer than this any more."""
        self.cut = True
        self.final = False
        self.pieces = []
        if limit_ms is not None:
            self.limit_ms = limit_ms if self.limit_ms is None else min(limit_ms, self.limit_ms)

    def audio_ms(self) -> int | None:
        """The known length of the audio in whole milliseconds."""
        if self.size_bytes is None:
            return self.limit_ms
        counted = int(self.size_bytes / self.bytes_per_ms)
        return counted if self.limit_ms is None else min(counted, self.limit_ms)


def whole_text(pieces: list[str], told: str) -> str:
    """The text of a part at its end: as the server tells it, but for servers that repeat only the end of it."""
    streamed = "".join(pieces)
    return streamed if streamed.endswith(told) else told


class Record:
    """What the events have told of one item, in any order. It is ``whole`` when it is final and lacks no text: then
    hearing of it again changes nothing."""

    __slots__ = ("confirmed", "error", "final", "id", "item", "outcome", "parts", "run", "segments", "whole")

    def __init__(self, item_id: str) -> None:
        self.id = item_id
        self.item: Item | None = None
        self.final = False
        self.whole = False
        self.confirmed = True  # the server has said something of it
        self.parts: dict[int, Part] = {}
        self.run: Run | None = None  # the response that made it
        self.outcome: str | None = None
        self.error: TranscriptionError | None = None
        self.segments: dict[Any, ConversationItemInputAudioTranscriptionSegment] = {}

    def part(self, index: int | None) -> Part:
        """The part with this content index; ``None``, from a server that left it out, is the first."""
        index = index or 0
        part = self.parts.get(index)
        if part is None:
            part = self.parts[index] = Part()
        return part

    def finish(self, index: int | None, text: str | None) -> None:
        """The whole text of a part; it replaces the pieces. ``None``, left out by the server, says nothing."""
        part = self.part(index)
        if text is not None:
            part.finish(text)

    def learn(self, item: Item, *, final: bool, anew: bool = False) -> None:
        """Take over the item as an event shows it. What is not ``final`` says nothing about a final item. ``anew``
        makes its transcripts count although the part was cut."""
        if self.final and not final:
            return
        self.item = _without_audio(item)
        self.final = final
        if not final:
            return
        content = getattr(item, "content", None) or ()
        self.whole = bool(content)
        for index, part in enumerate(content):
            text = _text_of(part) if isinstance(part, _TEXTUAL) else None
            self.whole = self.whole and bool(text)
            if text is None:
                continue
            known = self.part(index)
            known.cut = known.cut and not anew
            if text or not known.pieces:  # some servers show an empty transcript that they have told already
                known.finish(text)
        if isinstance(item, (FunctionCall, McpCall)):
            self.whole = isinstance(item, FunctionCall) and bool(item.arguments)
            self.finish(ARGUMENTS, item.arguments)

    def entry(self, response_status: str | None) -> ConversationEntry:
        """The item as it stands, given the status of its response."""
        status = self._status(response_status)
        item: Any = self.item
        if item is None:  # the input buffer was committed, the item itself is still to come
            item = UserMessage(id=self.id, content=[InputAudio()])
        changes: dict[str, Any] = {}
        if getattr(item, "status", status) != status:
            changes["status"] = status
        if isinstance(item, Message):
            changes["content"] = self._content(item)
        elif isinstance(item, (FunctionCall, McpCall)) and ARGUMENTS in self.parts:
            changes["arguments"] = self.parts[ARGUMENTS].text or item.arguments
        lengths = ((index, part.audio_ms()) for index, part in sorted(self.parts.items()))
        return ConversationEntry(
            id=self.id,
            item=_changed(item, **changes) if changes else item,
            status=status,
            response_id=self.run.id if self.run is not None else None,
            audio_ms={index: ms for index, ms in lengths if ms is not None},
            transcription_error=None if any(part.final for part in self.parts.values()) else self.error,
            confirmed=self.confirmed,
            segments=tuple(sorted(self.segments.values(), key=lambda segment: segment.start or 0.0)),
        )

    def turn_into_text(self) -> None:
        """Its speech stands there as its transcript from now on."""
        item = self.entry(None).item
        content = [_as_text(part) for part in getattr(item, "content", None) or ()]
        self.item = _changed(item, content=content)
        self.final = self.whole = True
        self.parts = {}

    def _status(self, response_status: str | None) -> str:
        own = status_of(self.item)
        if self.outcome in ("completed", "failed"):
            return self.outcome
        if isinstance(self.item, McpCall) and self.item.error is not None:
            return "failed"
        if self.final and own in ENDED:
            return str(own)
        if response_status is not None:
            return "completed" if response_status == "completed" else "incomplete"
        if self.final:
            return "completed"
        if own is None and self.item is not None and self.run is None and self.outcome is None:
            return "completed"  # added by the client, and the server tells no status
        return "in_progress"

    def _content(self, item: Message) -> list[ContentPart]:
        content = list(item.content or ())
        for index, part in sorted(self.parts.items()):
            if 0 <= index < len(content):
                content[index] = _grown(content[index], part)
            elif index != ARGUMENTS:
                content.append(_grown(part.shown or _guess(item, part), part))
        heard: dict[int, list[str]] = {}
        for segment in sorted(self.segments.values(), key=lambda segment: segment.start or 0.0):
            heard.setdefault(segment.content_index or 0, []).append((segment.text or "").strip())
        for index, texts in heard.items():
            if index < len(content) and isinstance(content[index], InputAudio) and _text_of(content[index]) is None:
                content[index] = InputAudio(transcript=" ".join(filter(None, texts)))
        return content


def item_id_of(item: Any) -> str | None:
    """The id of any item, also of one whose type is not known; ``None`` when it has none."""
    found = item.extra.get("id") if isinstance(item, UnknownObject) else getattr(item, "id", None)
    return found if isinstance(found, str) and found else None


def _as_text(part: ContentPart) -> ContentPart:
    if isinstance(part, OutputAudio):
        return OutputText(text=part.transcript or "")
    return InputText(text=part.transcript or "") if isinstance(part, InputAudio) else part


def renamed(item: Item, item_id: str) -> Item:
    """The item under another id."""
    return _changed(item, id=item_id)


def status_of(item: Any) -> str | None:
    """The status that an item bears, ``None`` when it bears none."""
    found = item.extra.get("status") if isinstance(item, UnknownObject) else getattr(item, "status", None)
    return found if isinstance(found, str) else None


def _text_of(part: Any) -> str | None:
    text = part.transcript if isinstance(part, _SPOKEN) else getattr(part, "text", None)
    return text if isinstance(text, str) else None


def _changed(value: T, **fields: Any) -> T:
    """A copy with other fields: what was received belongs to the handlers as well."""
    changed = copy(value)
    for name, field in fields.items():
        setattr(changed, name, field)
    return changed


def _grown(shown: ContentPart, part: Part) -> ContentPart:
    """The content part as it was shown, with the text that has come since."""
    if part.text is None and not part.cut:
        return shown
    if isinstance(shown, _SPOKEN):
        return _changed(shown, transcript=part.text)
    if isinstance(shown, OutputText):
        return _changed(shown, text=part.text or "")
    return shown


def _guess(item: Message, part: Part) -> ContentPart:
    """The kind of a part of which only text or audio has come."""
    if isinstance(item, UserMessage):
        return InputAudio()
    return OutputText(text="") if not part.spoken else OutputAudio()


def _without_audio(item: Item) -> Item:
    content = getattr(item, "content", None) or ()
    for part in content:
        if isinstance(part, _SPOKEN) and part.audio is not None:
            break
    else:
        return item
    bare = [_changed(part, audio=None) if isinstance(part, _SPOKEN) else part for part in content]
    return _changed(item, content=bare)
