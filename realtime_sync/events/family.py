"""A family of the protocol: the events of one kind of session, and what is particular about it.

Types of one family mean nothing in another: ``session.updated`` may be two classes in two families. What speaks a
family (the codec, the opening, acks, checks, the local server) is given it as a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar

from realtime_sync.events.base import ClientEvent, Event, ServerEvent, fields_of, wire

__all__ = ["REALTIME", "TRANSLATION", "Family"]

S = TypeVar("S", bound=ServerEvent)
K = TypeVar("K", bound=ClientEvent)


class Family:
    """The events of one kind of session. Filled while the modules of its classes are imported, constant afterwards.

    ``correlation`` is the field of a client's event that holds its id. ``error`` is the type of the event that refuses
    one, and ``error_names`` the path of fields in which that names it.
    """

    __slots__ = (
        "_client",
        "_server",
        "append",
        "client",
        "correlation",
        "error",
        "error_names",
        "name",
        "opened_by",
        "opens_with",
        "server",
        "update",
    )

    def __init__(
        self,
        name: str,
        *,
        correlation: str = "event_id",
        error: str = "error",
        error_names: str = "error.event_id",
    ) -> None:
        self.name: Final = name
        self.correlation: Final = correlation
        self.error: Final = error
        self.error_names: Final = tuple(error_names.split("."))
        self._server: dict[str, type[ServerEvent]] = {}
        self._client: dict[str, type[ClientEvent]] = {}
        self.server: Final[Mapping[str, type[ServerEvent]]] = MappingProxyType(self._server)
        """Type -> class of what the server sends, other dialects' names included."""
        self.client: Final[Mapping[str, type[ClientEvent]]] = MappingProxyType(self._client)
        """Type -> class of what a client sends."""
        self.opened_by: tuple[type[ServerEvent], ...] = ()
        """The events with which the server says that the session is there."""
        self.opens_with: type[ClientEvent] | None = None
        """What the client has to send first; ``None`` where the server speaks first."""
        self.update: type[ClientEvent] | None = None
        """What changes the configuration."""
        self.append: type[ClientEvent] | None = None
        """What carries audio to the server."""

    def __repr__(self) -> str:
        return f"<Family {self.name}: {len(self._server)} server and {len(self._client)} client types>"

    def server_event(self, wire_type: str, *aliases: str, opens: bool = False) -> Callable[[type[S]], type[S]]:
        """Make a `wire` class of an event that the server sends and register it under its type and the names that
        other dialects give to the same event. ``opens``: it says that the session is there."""

        def decorate(cls: type[S]) -> type[S]:
            made: type[S] = _named(cls, wire_type)
            self._server.update(dict.fromkeys((wire_type, *aliases), made))
            if opens:
                self.opened_by += (made,)
            return made

        return decorate

    def client_event(
        self,
        wire_type: str,
        *aliases: str,
        confirmed_by: tuple[type[ServerEvent], ...] = (),
        opens: bool = False,
        updates: bool = False,
        appends: bool = False,
    ) -> Callable[[type[K]], type[K]]:
        """Make a `wire` class of an event that a client sends and register it, as `server_event` does.

        ``confirmed_by`` are the events any of which says that the server has done it; none where it never says so.
        ``opens``: it has to come first. ``updates``: it changes the configuration. ``appends``: it carries audio.
        """

        def decorate(cls: type[K]) -> type[K]:
            made: type[K] = _named(cls, wire_type)
            made.CONFIRMED_BY = confirmed_by
            self._client.update(dict.fromkeys((wire_type, *aliases), made))
            self._note(made, opens=opens, updates=updates, appends=appends)
            return made

        return decorate

    def share(self, other: Family, *classes: type[Event]) -> None:
        """Take over classes of another family, which are the same in this one, with all their names and their part."""
        for cls in classes:
            self._server.update({kind: known for kind, known in other.server.items() if known is cls})
            self._client.update({kind: known for kind, known in other.client.items() if known is cls})
            if cls in other.opened_by:
                self.opened_by += (cls,)
            self._note(cls, opens=cls is other.opens_with, updates=cls is other.update, appends=cls is other.append)

    @property
    def error_class(self) -> type[ServerEvent]:
        """The class of the event that refuses one of the client's."""
        return self.server[self.error]

    def id_of(self, event: ClientEvent) -> str | None:
        """The id that the server repeats in what it says of ``event``; ``None`` when it has none."""
        found: str | None = getattr(event, self.correlation, None)
        return found

    def refused_by(self, event: ServerEvent) -> str | None:
        """The id of the client's event that ``event`` refuses; ``None`` when it is no error or names none."""
        if event.type != self.error:
            return None
        found: Any = event
        for name in self.error_names:
            found = getattr(found, name, None)
        return found if isinstance(found, str) else None

    def _note(self, cls: Any, *, opens: bool, updates: bool, appends: bool) -> None:
        self.opens_with = cls if opens else self.opens_with
        self.update = cls if updates else self.update
        self.append = cls if appends else self.append


def content_field(cls: type[Event]) -> str:
    """The field in which an event carries what it is about: ``session`` of an update, ``audio`` of an append."""
    return _content_field(cls)


_content_field: Final[Callable[[Any], str]] = cache(
    lambda cls: next(a.name for a in fields_of(cls) if a.name not in ("type", "event_id", "extra"))
)


def _named(cls: type[Any], wire_type: str) -> Any:
    cls.TYPE = wire_type
    cls.VISIT = "visit_" + wire_type.replace(".", "_")
    cls.__annotations__.pop("type", None)  # for type checkers a class says which strings it may be: any is taken
    cls.__annotations__["type"] = "str"
    cls.type = wire_type
    return wire(cls)


REALTIME: Final = Family("realtime")
"""Conversations and transcription, in today's dialect and the older one."""

TRANSLATION: Final = Family("translation")
"""Sessions that translate speech."""
