"""What `RealtimeSession.conversation` is made of, and what `RealtimeSession.restore` returns."""

from realtime_sync.session.restoration import Restored
from realtime_sync.state.conversation import Conversation, ConversationEntry, ConversationSnapshot, LeftOut

__all__ = ["Conversation", "ConversationEntry", "ConversationSnapshot", "LeftOut", "Restored"]
