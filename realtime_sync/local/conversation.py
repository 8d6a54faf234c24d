"""The conversation as the server keeps it: items in order, with their audio."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from realtime_sync.local.audio_buffer import decode_audio
from realtime_sync.local.checks import Refusal
from realtime_sync.local.script import Failure
from realtime_sync.local.sound import AudioFormat

__all__ = ["Conversation", "StoredItem", "item_from_client"]

_AUDIO_PARTS: Final = ("input_audio", "output_audio")
_OBJECTS: Final = frozenset({"message", "function_call", "function_call_output"})
# A retrieved part names its format as the older dialect did.
_FORMAT_NAMES: Final = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}


@attrs.define
class StoredItem:
    """An item: what the events show of it, and the audio that only ``conversation.item.retrieve`` shows.

    ``audio`` maps the index of a content part to bytes of the wire in ``audio_format``; ``heard`` is what was
    understood of an input, or why it was not, once somebody has listened.
    """

    data: dict[str, Any]
    audio_format: AudioFormat = attrs.field(factory=AudioFormat)
    audio: dict[int, bytearray] = attrs.field(factory=dict)
    heard: str | Failure | None = None

    @property
    def id(self) -> str:
        """The item's id."""
        item_id: str = self.data["id"]
        return item_id

    @property
    def audio_ms(self) -> float:
        """How long all its audio lasts."""
        return sum(self.audio_format.ms(len(part)) for part in self.audio.values())

    def shown(self) -> dict[str, Any]:
        """The item as most events carry it: a copy, without audio."""
        data = copy.deepcopy(self.data)
        if data["type"] in _OBJECTS:
            data = {"id": data.pop("id"), "object": "realtime.item", **data}
        return data

    def whole(self) -> dict[str, Any]:
        """The item with its audio in base64."""
        data = self.shown()
        for index, audio in self.audio.items():
            part = data["content"][index]
            part["audio"] = base64.b64encode(audio).decode()
            part["format"] = _FORMAT_NAMES[self.audio_format.type]
        return data


def item_from_client(
    raw: Mapping[str, Any], new_id: Callable[[str], str], audio_format: AudioFormat, path: str
) -> StoredItem:
    """The item that a client asked for, completed with the ids and the status that it left out.

    Raises `Refusal` for audio that is no base64; ``path`` is the item's place in the event.
    """
    data = {name: copy.deepcopy(value) for name, value in raw.items() if value is not None}
    data = {"id": data.get("id") or new_id("item"), **data}
    if data["type"] in ("message", "function_call", "function_call_output"):
        data.setdefault("status", "completed")
    if data["type"] == "function_call":
        data.setdefault("call_id", new_id("call"))
    item = StoredItem(data, audio_format)
    for index, part in enumerate(data.get("content", ())):
        if part["type"] in _AUDIO_PARTS:
            encoded = part.pop("audio", None)
            part.setdefault("transcript", None)
            if encoded is not None:
                item.audio[index] = bytearray(decode_audio(encoded, f"{path}.content[{index}].audio"))
    return item


class Conversation:
    """The items of the default conversation, in order. Not for several threads: the session's lock guards it."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self._items: list[StoredItem] = []

    def __iter__(self) -> Iterator[StoredItem]:
        return iter(self._items)

    def __contains__(self, item: StoredItem) -> bool:
        return any(item is known for known in self._items)

    def find(self, item_id: str) -> StoredItem | None:
        """The item with this id."""
        return next((item for item in self._items if item.id == item_id), None)

    def require(self, item_id: str, action: str, code: str) -> StoredItem:
        """The item with this id; raises `Refusal` with the code when it is not there."""
        item = self.find(item_id)
        if item is None:
            message = f"Error {action} item: the item with id '{item_id}' does not exist."
            raise Refusal(code, message)
        return item

    def add(self, item: StoredItem, previous_item_id: str | None = None) -> str | None:
        """Put an item behind another, at the end (``None``) or at the beginning (``root``); the id of the one that
        now stands before it. Raises `Refusal` for an id that is taken, a place or a tool call that is not there."""
        if self.find(item.id) is not None:
            message = f"Error adding item: an item with id '{item.id}' already exists."
            raise Refusal("item_create_duplicate_item_id", message)
        if item.data["type"] == "function_call_output":
            self._require_call(item.data["call_id"])
        index = len(self._items)
        if previous_item_id == "root":
            index = 0
        elif previous_item_id:
            previous = self.find(previous_item_id)
            if previous is None:
                message = f"Error adding item: the previous item with id '{previous_item_id}' does not exist."
                raise Refusal("invalid_value", message, "previous_item_id")
            index = self._items.index(previous) + 1
        self._items.insert(index, item)
        return self.before(item)

    def before(self, item: StoredItem) -> str | None:
        """The id of the item that stands before this one."""
        index = next(i for i, known in enumerate(self._items) if known is item)
        return self._items[index - 1].id if index else None

    def delete(self, item_id: str) -> None:
        """Remove an item; raises `Refusal` when it is not there."""
        self._items.remove(self.require(item_id, "deleting", "item_delete_invalid_item_id"))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut the audio of an assistant's message; its transcript goes, since nobody knows how much of it was heard.

        Raises `Refusal` for an unknown item, one that is no speech of the assistant, a part that is not there or a
        position behind the end.
        """
        item = self.require(item_id, "truncating", "item_truncate_invalid_item_id")
        content = item.data.get("content", ())
        if item.data.get("role") != "assistant" or not any(part["type"] == "output_audio" for part in content):
            raise Refusal(None, "Only model output audio messages can be truncated")
        if content_index not in item.audio:
            raise Refusal("invalid_value", f"Content index {content_index} holds no audio.", "content_index")
        audio = item.audio[content_index]
        length_ms = int(item.audio_format.ms(len(audio)))
        if audio_end_ms > length_ms:
            message = f"Audio content of {length_ms}ms is already shorter than {audio_end_ms}ms"
            raise Refusal("invalid_value", message)
        del audio[item.audio_format.size(audio_end_ms) :]
        content[content_index]["transcript"] = None

    def _require_call(self, call_id: str) -> None:
        if not any(i.data["type"] == "function_call" and i.data["call_id"] == call_id for i in self._items):
            raise Refusal("invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.")
