"""What the library itself tells in the form of an event. It never goes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import field

from realtime_sync.events.base import ServerEvent
from realtime_sync.events.config import SessionConfig
from realtime_sync.events.family import Family
from realtime_sync.events.items import Item

__all__ = ["LOCAL_EVENTS", "SessionResumed"]


_NOTICES: Final = Family("notices")


@_NOTICES.server_event("session.resumed")
class SessionResumed(ServerEvent):
    """The session goes on over another connection. The library tells it, no server does: the type never comes over
    the wire, and cannot be sent.

    It is the first event of the new connection. ``session`` is the configuration that is in force there.
    """

    type: Literal["session.resumed"] = "session.resumed"
    attempts: int = 1
    """How many connections were tried, the one that serves included."""
    gap_s: float = 0.0
    """How long there was no connection, in seconds: from when its end was noticed to the new one's first message."""
    planned: bool = False
    """Whether it was changed ahead of the server's time limit; otherwise the connection had been lost."""
    reason: str | None = None
    """Why it was lost, in words; ``None`` when it was changed as planned."""
    restored: list[str] = field(factory=list)
    """The ids of the items of the conversation that were told to the server again, in order."""
    renamed: dict[str, str] = field(factory=dict)
    """Ids that the server did not take, and those that these items have now."""
    as_text: list[str] = field(factory=list)
    """The ids of those whose speech stands there as its transcript now: it cannot be truncated any more."""
    lost: list[Item] = field(factory=list)
    """The items that were in the conversation and are not any more, in order: what the server does not take, or was not
    to be told again."""
    lost_audio_s: float = 0.0
    """How much of the user's audio that waited to be committed, or to be sent, was too old to be sent again, in
    seconds."""
    session: SessionConfig | None = None


LOCAL_EVENTS: Final[Mapping[str, type[ServerEvent]]] = _NOTICES.server
"""Type -> class of the events that the library tells, not the server. Read-only."""
