"""A third family, made of nothing but a folder: its types collide with those of the others, and its rules differ.

The client speaks first (`session.start`), ids travel as ``client_event_id``, and `response.create` has another shape.
"""

from __future__ import annotations

from attrs import field

from realtime_sync.events import ClientEvent, Family, ServerEvent, WireObject
from realtime_sync.events.base import wire
from realtime_sync.events.facts import between, longest

__all__ = ["LIVE", "Failure", "ResponseCreate", "SessionStart", "SessionStarted", "SessionUpdated", "Settings", "Speak"]

LIVE = Family("live", correlation="client_event_id", error_names="client_event_id")


@wire
class Settings(WireObject):
    """The configuration."""

    language: str | None = None
    warmth: float | None = field(default=None, metadata=between(0, 1))


@LIVE.server_event("session.started", opens=True)
class SessionStarted(ServerEvent):
    """The session is there."""

    settings: Settings


@LIVE.server_event("session.updated")
class SessionUpdated(ServerEvent):
    """The configuration has changed."""

    settings: Settings
    client_event_id: str | None = None


@LIVE.server_event("error", "failure")
class Failure(ServerEvent):
    """Something was refused."""

    reason: str
    client_event_id: str | None = None


@LIVE.client_event("session.start", confirmed_by=(SessionStarted,), opens=True)
class SessionStart(ClientEvent):
    """Comes first."""

    settings: Settings
    client_event_id: str | None = None


@LIVE.client_event("session.update", confirmed_by=(SessionUpdated,), updates=True)
class SessionUpdate(ClientEvent):
    """Changes the configuration."""

    settings: Settings
    client_event_id: str | None = None


@LIVE.client_event("audio", appends=True)
class Speak(ClientEvent):
    """Carries audio."""

    data: str = field(metadata=longest(8))
    client_event_id: str | None = None


@LIVE.client_event("response.create")
class ResponseCreate(ClientEvent):
    """Asks for an answer."""

    topic: str
    client_event_id: str | None = None
