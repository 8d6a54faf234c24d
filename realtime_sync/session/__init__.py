"""The session and what its verbs return."""

from realtime_sync.session.session import RealtimeSession

__all__ = ["RealtimeSession"]
