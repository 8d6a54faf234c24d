"""What a conversation shows of itself: entries that do not change, and a snapshot of all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, overload

import attrs

from realtime_sync import _limits
from realtime_sync.codec import object_to_dict
from realtime_sync.events import (
    ConversationItemInputAudioTranscriptionSegment,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    Item,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
    OutputAudio,
    TranscriptionError,
)

__all__ = ["ConversationEntry", "ConversationSnapshot", "json_text"]


@attrs.frozen(kw_only=True)
class ConversationEntry:
    """One item of the conversation at one moment; it does not change when the conversation goes on."""

    id: str
    """The item's id."""
    item: Item
    """The item with all text that had come: what the model had written or said, what the user was heard to say. It
    never holds audio."""
    status: str
    """``in_progress``, ``completed``, ``incomplete`` (cut off), or ``failed`` (a call of an MCP tool)."""
    response_id: str | None = None
    """The response that made the item; ``None`` for what the user or the client added."""
    audio_ms: Mapping[int, int] = attrs.field(factory=dict)
    """How long the audio of a content part is, in milliseconds by content index, where it is known: for the model's
    speech when audio is counted or the part was truncated."""
    transcription_error: TranscriptionError | None = None
    """Why the user's speech could not be transcribed."""
    segments: tuple[ConversationItemInputAudioTranscriptionSegment, ...] = ()
    """The segments of a transcription that tells speakers apart, in order of time."""
    confirmed: bool = True
    """Whether the server has said something of the item: some answer a message without ever confirming it."""

    @property
    def role(self) -> str | None:
        """``user``, ``assistant`` or ``system``; ``None`` for an item that is no message."""
        return self.item.role if isinstance(self.item, Message) else None

    @property
    def text(self) -> str:
        """The item as readable text: text and transcripts, ``[audio]`` and ``[image]`` for what has no text."""
        return _text(self.item)

    def __str__(self) -> str:
        return f"{self.role or _label(self.item)}: {self.text}"


@attrs.frozen(kw_only=True)
class ConversationSnapshot:
    """A conversation at one moment: iterate it for its entries in order, or look one up by its item's id or its place
    (``[-1]``: the last)."""

    entries: Mapping[str, ConversationEntry]
    """The entries in order, by id."""
    gone: frozenset[str]
    """The ids of the items that were deleted."""

    @property
    def items(self) -> tuple[Item, ...]:
        """The items in order."""
        return tuple(entry.item for entry in self)

    def get(self, item_id: str | None) -> ConversationEntry | None:
        """The entry of this item, ``None`` when there is none."""
        return self.entries.get(item_id) if isinstance(item_id, str) else None

    def render(self) -> str:
        """The conversation as readable text, a line or more for each item: ``user: ...``, ``assistant: ...``."""
        return "\n".join(str(entry) for entry in self)

    def to_json(self, *, indent: int | None = None) -> str:
        """The items in order as a JSON array, each as it is on the wire, without audio."""
        if indent is not None:
            indent = _limits.size("indent", indent, "spaces", least=0, most=100)
        return json.dumps([object_to_dict(entry.item) for entry in self], ensure_ascii=False, indent=indent)

    def _repr_html_(self) -> str:
        from realtime_sync.state.display import chat

        return chat(self)

    @overload
    def __getitem__(self, key: str | int) -> ConversationEntry: ...
    @overload
    def __getitem__(self, key: slice) -> list[ConversationEntry]: ...
    def __getitem__(self, key: str | int | slice) -> ConversationEntry | list[ConversationEntry]:
        return self.entries[key] if isinstance(key, str) else list(self)[key]

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self.entries

    def __iter__(self) -> Iterator[ConversationEntry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        return self.render()


def _label(item: Item) -> str:
    if isinstance(item, FunctionCall):
        return "call"
    if isinstance(item, FunctionCallOutput):
        return "result"
    return item.type or "item"


def _text(item: Item) -> str:
    if isinstance(item, Message):
        return " ".join(filter(None, map(_part_text, item.content or ())))
    if isinstance(item, FunctionCall):
        return f"{item.name}({json_text(item, 'arguments')})"
    if isinstance(item, FunctionCallOutput):
        return json_text(item, "output")
    if isinstance(item, McpApprovalRequest):
        return f"{item.server_label}.{item.name}({item.arguments or ''})"
    if isinstance(item, McpApprovalResponse):
        return ("approved" if item.approve else "refused") + (f": {item.reason}" if item.reason else "")
    if isinstance(item, McpListTools):
        return f"{item.server_label}: {', '.join(str(tool.name) for tool in item.tools or ())}"
    if isinstance(item, McpCall):
        outcome = item.output if item.error is None else f"failed: {item.error.message}"
        return f"{item.server_label}.{item.name}({item.arguments or ''})" + (f" -> {outcome}" if outcome else "")
    return "[unknown]"


def json_text(item: FunctionCall | FunctionCallOutput, name: str) -> str:
    """JSON text that some servers send as the object that it stands for."""
    text = getattr(item, name) or ""
    odd = None if text else item.extra.get(name)
    return text if odd is None else json.dumps(odd, ensure_ascii=False)


def _part_text(part: Any) -> str:
    if isinstance(part, (InputAudio, OutputAudio)):
        return "[audio]" if part.transcript is None else part.transcript
    if isinstance(part, InputImage):
        return "[image]"
    text: str | None = getattr(part, "text", f"[{part.type}]")
    return text or ""
