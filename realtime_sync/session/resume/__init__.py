"""A session that goes on over another connection when its own ends."""

from realtime_sync.session.resume.policy import Resume

__all__ = ["Resume"]
