"""What `RealtimeSession.conversation` is made of."""

from realtime_sync.state.conversation import Conversation, ConversationEntry, ConversationSnapshot

__all__ = ["Conversation", "ConversationEntry", "ConversationSnapshot"]
