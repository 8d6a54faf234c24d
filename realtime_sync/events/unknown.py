"""What arrived and is not a known class: unknown variants, unknown events, malformed messages."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import field

from realtime_sync.events.base import (
    ELIDED,
    AcceptsClientEvents,
    AcceptsServerEvents,
    ClientEvent,
    ServerEvent,
    WireObject,
    wire,
)

__all__ = ["MalformedEvent", "UnknownEvent", "UnknownObject"]

T = TypeVar("T")


@wire
class UnknownObject(WireObject):
    """A nested object of a ``type`` that this version does not know: an item, a content part, a tool, ...

    ``type`` is what the sender called it, ``None`` when it has none; every other field is in ``extra``, so it is
    encoded again as it came.
    """

    type: str | None = None


@wire
class UnknownEvent(ServerEvent, ClientEvent):
    """A well-formed event of a ``type`` that this version does not know. ``raw`` is the whole message as decoded
    JSON; it is encoded again as it came."""

    type: str
    raw: dict[str, Any] = field(factory=dict)

    def accept(self, visitor: AcceptsServerEvents[T] | AcceptsClientEvents[T]) -> T:
        """Call the visitor's ``unknown`` and return what it returns."""
        return visitor.unknown(self)


@wire
class MalformedEvent(ServerEvent, ClientEvent):
    """A message that is no event: not JSON, not an object, or without a ``type``.

    ``raw`` is the message as it came: text, bytes, or the decoded JSON where it was an object. ``error`` says all that
    is wrong and where, without the data. ``type`` is empty. It cannot be encoded. An event with fields of the wrong
    kind is none of these: see `odd_fields`.
    """

    VISIT = "malformed"

    type: str = ""
    raw: Any = field(metadata=ELIDED)
    error: str

    def accept(self, visitor: AcceptsServerEvents[T] | AcceptsClientEvents[T]) -> T:
        """Call the visitor's ``malformed`` and return what it returns."""
        result: T = visitor.malformed(self)
        return result
