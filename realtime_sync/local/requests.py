"""What a conversation or transcription session does for each event of the client."""

from __future__ import annotations

from typing import Any, Final

from realtime_sync.codec import event_to_dict
from realtime_sync.events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from realtime_sync.events.visitor import ClientEventVisitor
from realtime_sync.local.checks import Refusal
from realtime_sync.local.config import merge_session
from realtime_sync.local.conversation import item_from_client
from realtime_sync.local.core import Core
from realtime_sync.local.sound import AudioFormat
from realtime_sync.local.user_audio import UserAudio

__all__ = ["Requests"]

JsonObject = dict[str, Any]


class Requests(ClientEventVisitor[None]):
    """Handles the events of one client, which have the right shape already.

    Each method wants the session's lock to be held, and raises `Refusal` for what cannot be done.
    """

    def __init__(self, core: Core) -> None:
        self._core: Final = core
        self._user_audio = UserAudio(core)
        self._responses = self._user_audio.responses

    @property
    def user_audio(self) -> UserAudio:
        """The user's audio."""
        return self._user_audio

    def default(self, event: ClientEvent) -> None:
        """Refuse what this kind of session does not know, and what cannot be read."""
        raise Refusal("invalid_value", f"The event '{event.type}' is not supported in this session.", "type")

    def visit_session_update(self, event: SessionUpdate) -> None:
        """Merge the update into the configuration, or refuse it as a whole."""
        core = self._core
        before = core.config
        update = event_to_dict(event)["session"]
        core.config = merge_session(before, update, voice_locked=core.voice_locked)
        self._user_audio.configure(before)
        core.answer("session.updated", session=core.config)
        known = [tool for tool in before.get("tools", ()) if tool["type"] == "mcp"]
        for tool in core.config.get("tools", ()):
            if tool["type"] == "mcp" and tool not in known:
                self._list_mcp_tools(tool["server_label"])

    def visit_input_audio_buffer_append(self, event: InputAudioBufferAppend) -> None:
        """Take audio; only turn detection answers it."""
        self._user_audio.append(event.audio)

    def visit_input_audio_buffer_commit(self, event: InputAudioBufferCommit) -> None:
        """Make a user message of the audio."""
        self._user_audio.commit()

    def visit_input_audio_buffer_clear(self, event: InputAudioBufferClear) -> None:
        """Forget the audio."""
        self._user_audio.clear()
        self._core.answer("input_audio_buffer.cleared")

    def visit_conversation_item_create(self, event: ConversationItemCreate) -> None:
        """Add an item."""
        core = self._core
        raw = event_to_dict(event)["item"]
        audio_format = AudioFormat.of(core.config["audio"]["input"]["format"])
        item = item_from_client(raw, core.new_id, audio_format, "item")
        previous = core.conversation.add(item, event.previous_item_id)
        self._user_audio.user_acted()
        for event_type in ("conversation.item.added", "conversation.item.done"):
            core.answer(event_type, previous_item_id=previous, item=item.shown())

    def visit_conversation_item_retrieve(self, event: ConversationItemRetrieve) -> None:
        """Show an item with its audio."""
        item = self._core.conversation.require(event.item_id, "retrieving", "item_retrieve_invalid_item_id")
        self._core.answer("conversation.item.retrieved", item=item.whole())

    def visit_conversation_item_delete(self, event: ConversationItemDelete) -> None:
        """Remove an item."""
        self._core.conversation.delete(event.item_id)
        self._core.answer("conversation.item.deleted", item_id=event.item_id)

    def visit_conversation_item_truncate(self, event: ConversationItemTruncate) -> None:
        """Cut what was not heard."""
        where: JsonObject = {
            "item_id": event.item_id,
            "content_index": event.content_index,
            "audio_end_ms": event.audio_end_ms,
        }
        self._core.conversation.truncate(**where)
        self._core.answer("conversation.item.truncated", **where)

    def visit_response_create(self, event: ResponseCreate) -> None:
        """Start a response."""
        self._user_audio.user_acted()
        self._responses.create(event_to_dict(event).get("response") or {})

    def visit_response_cancel(self, event: ResponseCancel) -> None:
        """Cancel a response."""
        self._responses.cancel(event.response_id)

    def _list_mcp_tools(self, server_label: str) -> None:
        """Import the tools of an MCP server that the session has just got; the script knows which it has."""
        core = self._core
        tools = core.options.mcp_tools.get(server_label)
        raw: JsonObject = {"type": "mcp_list_tools", "server_label": server_label, "tools": []}
        item = item_from_client(raw, core.new_id, AudioFormat(), "item")
        previous = core.conversation.add(item)
        core.tell("conversation.item.added", previous_item_id=previous, item=item.shown())
        core.tell("mcp_list_tools.in_progress", item_id=item.id)
        if tools is None:
            core.tell("mcp_list_tools.failed", item_id=item.id)
            return
        item.data["tools"] = [{"input_schema": {"type": "object"}, **tool} for tool in tools]
        core.tell("mcp_list_tools.completed", item_id=item.id)
        core.tell("conversation.item.done", previous_item_id=previous, item=item.shown())
