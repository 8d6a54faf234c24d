"""The conversation as the server keeps it, folded from the events that it sends: no threads, no waiting, no I/O."""

from __future__ import annotations

from realtime_sync.state.conversation.entry import ConversationEntry, ConversationSnapshot
from realtime_sync.state.conversation.history import History, LeftOut
from realtime_sync.state.conversation.mirror import Conversation

__all__ = ["Conversation", "ConversationEntry", "ConversationSnapshot", "History", "LeftOut"]
