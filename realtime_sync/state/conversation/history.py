"""A conversation as another session can be told it: the items to create there, and what cannot be taken along."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from realtime_sync.codec import decode_server_event, object_to_dict
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    AssistantMessage,
    ContentPart,
    ConversationItemAdded,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
    OutputAudio,
    OutputText,
    SystemMessage,
    UserMessage,
)
from realtime_sync.events.facts import LONGEST_ID
from realtime_sync.state.conversation.entry import ConversationEntry, ConversationSnapshot, json_text
from realtime_sync.state.conversation.mirror import Conversation
from realtime_sync.state.conversation.record import item_id_of
from realtime_sync.state.facts import Facts, Sound

__all__ = ["History", "LeftOut", "Source"]

Source = Conversation | ConversationSnapshot | str | bytes | Iterable[ConversationEntry | Item | Mapping[str, Any]]
"""A conversation, a snapshot of one, the JSON text of its items, or its entries or items themselves."""

_MESSAGES: Final = {"user": UserMessage, "assistant": AssistantMessage, "system": SystemMessage}
_DETAILS: Final = ("auto", "low", "high")
_OF_THE_LIVING: Final = ("conversation", "result")  # of a session, and of a turn, which are waited for item by item
_UNHEARD: Final = "speech whose words are not known: it was cut off, or never transcribed, and the audio is not here"
_OF_ONE_SESSION: Final = "tools of an MCP server are listed, and their calls approved, anew by each session"


@attrs.frozen(kw_only=True)
class LeftOut:
    """What another session cannot be told: an item, or one part of a message."""

    item: Item
    """The item as it was."""
    reason: str
    """Why, in words; where the server refused it, in the server's."""
    content_index: int | None = None
    """The part of the message; ``None`` for the whole item."""

    @property
    def item_id(self) -> str | None:
        """The item's id in the session that it comes from."""
        return item_id_of(self.item)

    def __str__(self) -> str:
        part = "" if self.content_index is None else f", part {self.content_index}"
        return f"{self.item_id or self.item.type}{part}: {self.reason}"


@attrs.frozen(kw_only=True)
class History:
    """A conversation ready to be written into a session that knows nothing of it."""

    items: tuple[Item, ...]
    """The items to create, in order. They have the ids of the originals, which may be ``None``."""
    left_out: tuple[LeftOut, ...]
    """What cannot be created, in order."""
    as_text: tuple[str, ...]
    """The ids, as in ``items``, of those whose speech became its transcript."""
    renamed: Mapping[str, str]
    """Ids that the protocol does not take from a client, and those in ``items`` for them."""

    @classmethod
    def of(
        cls,
        source: Source,
        facts: Facts = Facts(),  # noqa: B008  immutable
        *,
        goes_on: bool = False,
    ) -> History:
        """What a session with the configuration ``facts`` is to be told of a conversation.

        Text and images stay as they are, speech of the user too where the item holds its audio in the session's format;
        other speech becomes its transcript, that of the model in any case. A function call goes with its output or not
        at all, and what the model had not ended is left out. ``goes_on``: it goes on with the server that it comes
        from, so that calls may still get their outputs, and ids stay as they are. Pure; any thread. Raises
        `InvalidEvent` for what is no conversation.
        """
        return _Writer(facts, goes_on).history(_items_of(source))


class _Writer:
    """Writes the items of one history. What cannot be written is a text: the reason."""

    def __init__(self, facts: Facts, goes_on: bool) -> None:
        self._goes_on = goes_on
        self._fitting = _same if goes_on else _fitting
        self._sound = facts.input
        self._answer_type = "text" if facts.flat else "output_text"
        self._left_out: list[LeftOut] = []
        self._as_text: dict[str, None] = {}

    def history(self, items: list[Item]) -> History:
        alone = _unpaired(items, self._goes_on)
        written: list[Item] = []
        renamed: dict[str, str] = {}
        for place, item in enumerate(items):
            new = alone.get(place) or self._item(item)
            if isinstance(new, str):
                self._left_out.append(LeftOut(item=item, reason=new))
                continue
            written.append(new)
            old_id, new_id = item_id_of(item), item_id_of(new)
            if old_id and new_id and old_id != new_id:
                renamed[old_id] = new_id
        return History(
            items=tuple(written), left_out=tuple(self._left_out), as_text=tuple(self._as_text), renamed=renamed
        )

    def _item(self, item: Item) -> Item | str:
        if isinstance(item, Message):
            return self._message(item)
        item_id = self._fitting(item_id_of(item))
        if isinstance(item, FunctionCall):
            arguments = json_text(item, "arguments")
            return FunctionCall(id=item_id, call_id=self._fitting(item.call_id), name=item.name, arguments=arguments)
        if isinstance(item, FunctionCallOutput):
            call_id = self._fitting(item.call_id) or ""
            return FunctionCallOutput(id=item_id, call_id=call_id, output=json_text(item, "output"))
        if isinstance(item, McpCall):
            if item.output is None and item.error is None:
                return "a call of an MCP tool that had not ended"
            return McpCall(
                id=item_id or "",
                server_label=item.server_label,
                name=item.name,
                arguments=item.arguments or "",
                output=item.output,
                error=item.error,
            )
        if isinstance(item, (McpListTools, McpApprovalRequest, McpApprovalResponse)):
            return _OF_ONE_SESSION
        return f"an item of the type {item.type!r} is not known here"

    def _message(self, item: Message) -> Message | str:
        cls = _MESSAGES.get(item.role)
        if cls is None:
            return f"a message of the role {item.role!r} is not known here"
        if cls is AssistantMessage and item.status == "in_progress":
            return "the model had not ended it"
        parts: list[ContentPart] = []
        lost: list[LeftOut] = []
        item_id = self._fitting(item.id)
        for index, old in enumerate(item.content or ()):
            new = self._part(old, cls)
            if isinstance(new, str):
                lost.append(LeftOut(item=item, reason=new, content_index=index))
            elif new is not None:
                parts.append(new)
                if item_id and isinstance(old, (InputAudio, OutputAudio)) and not isinstance(new, InputAudio):
                    self._as_text[item_id] = None
        if not parts:
            return "; ".join(left.reason for left in lost) or "it holds nothing"
        self._left_out += lost
        return cls(id=item_id, content=parts, status="incomplete" if item.status == "incomplete" else None)

    def _part(self, part: ContentPart, cls: type[Message]) -> ContentPart | str | None:
        """The part as it can be created, the reason why it cannot, or ``None`` for one without content."""
        if isinstance(part, InputImage):
            if cls is not UserMessage:
                return "an image that is not the user's"
            if not part.image_url:
                return "an image that the server did not send back"
            return InputImage(image_url=part.image_url, detail=part.detail if part.detail in _DETAILS else None)
        if isinstance(part, InputAudio) and part.audio and cls is UserMessage and self._same_format(part):
            return InputAudio(audio=part.audio, transcript=part.transcript)
        if isinstance(part, (InputAudio, OutputAudio)):
            text = part.transcript
            if text is None:
                return "audio in another format, without a transcript" if part.audio else _UNHEARD
        elif isinstance(part, (InputText, OutputText)):
            text = part.text
        else:
            return f"a part of the type {part.type!r} is not known here"
        if not text:
            return None
        return OutputText(type=self._answer_type, text=text) if cls is AssistantMessage else InputText(text=text)

    def _same_format(self, part: InputAudio) -> bool:
        """Whether the audio of a part is in the session's format, as far as both are told."""
        told = Sound.of(part.extra.get("format")).code
        return told is None or self._sound.code in (None, told)


def _items_of(source: Source) -> list[Item]:
    if isinstance(source, (Conversation, ConversationSnapshot)):
        return [*source.items]
    entries: Any = source
    if isinstance(source, (str, bytes)):
        try:
            entries = json.loads(source)
        except (ValueError, RecursionError) as error:
            hint = " (a file is given as a Path)" if isinstance(source, str) else ""
            raise InvalidEvent(f"this is no JSON of a conversation: {error}{hint}") from None
    if any(hasattr(entries.__class__, name) for name in _OF_THE_LIVING):
        kind = type(entries).__name__
        raise InvalidEvent(f"a {kind} is no conversation: hand over session.conversation")
    if not isinstance(entries, Iterable) or isinstance(entries, (Mapping, str, bytes)):
        raise InvalidEvent(f"a conversation is a list of items, not {type(entries).__name__}")
    return [_item_of(entry, place) for place, entry in enumerate(entries)]


def _item_of(entry: Any, place: int) -> Item:
    """The item, read as forgivingly as what a server sends: it may come from one."""
    if isinstance(entry, ConversationEntry):
        return entry.item
    if isinstance(entry, Item):
        return entry
    if isinstance(entry, Mapping):
        read: Any = decode_server_event({"type": ConversationItemAdded.TYPE, "item": object_to_dict(entry)})
        item: Item = read.item
        return item
    raise InvalidEvent(f"item {place} of the conversation is no item but {type(entry).__name__}")


def _unpaired(items: list[Item], goes_on: bool) -> Mapping[int, str]:
    """The places of calls without an output behind them, and of outputs without a call before them, with the reason."""
    named = [(item.call_id, place) for place, item in _of(FunctionCall, items) if item.call_id and item.name]
    calls = dict(reversed(named))  # the first of each id
    answered = {
        item.call_id for place, item in _of(FunctionCallOutput, items) if calls.get(item.call_id, place) < place
    }
    alone: dict[int, str] = {}
    for place, item in enumerate(items):
        if isinstance(item, FunctionCall) and not (
            item.name and (item.call_id in answered or (goes_on and item.call_id))
        ):
            alone[place] = "a function call without its output"
        elif isinstance(item, FunctionCallOutput) and (item.call_id not in answered or calls[item.call_id] > place):
            alone[place] = "the output of a function call that is not there"
    return alone


def _of(cls: type[Any], items: list[Item]) -> Iterator[tuple[int, Any]]:
    return ((place, item) for place, item in enumerate(items) if isinstance(item, cls))


def _same(given: str | None) -> str | None:
    return given or None


def _fitting(given: str | None) -> str | None:
    """An id that a client may choose: as it is, or the same short one each time for one that is too long."""
    if not given or len(given) <= LONGEST_ID:
        return given or None
    return f"id_{hashlib.sha256(given.encode()).hexdigest()[:24]}"
