"""What every object on the wire has in common: kept unknown fields, a safe repr, equality by value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

import attrs
from attrs import field

from realtime_sync._secrets import SECRET_FIELDS
from realtime_sync._unset import UNSET
from realtime_sync.events._making import slotted
from realtime_sync.events._other_names import OF_EVENTS, missing

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Any:
        return lambda decorator: decorator


__all__ = [
    "ELIDED",
    "PAYLOAD",
    "SECRET",
    "AcceptsClientEvents",
    "AcceptsServerEvents",
    "ClientEvent",
    "Event",
    "ServerEvent",
    "WireObject",
    "elide",
    "fields_of",
    "odd_fields",
    "odd_places",
    "or_none",
    "wire",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C", bound=type[Any])

PAYLOAD: Final = {"repr": "payload"}
"""Metadata of a field with base64 media: the repr shows its length only."""

SECRET: Final = {"repr": "secret"}
"""Metadata of a field with credentials: the repr shows nothing of it."""

ELIDED: Final = {"repr": "elided"}
"""Metadata of a field that may hold a data URI or another long text: the repr shows its length then."""

_LONGEST_SHOWN: Final = 200


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def wire(cls: C) -> C:
    """Make a slotted, keyword-only attrs class. Equality and repr come from `WireObject`."""
    return slotted(cls)


def fields_of(cls: type[WireObject]) -> tuple[attrs.Attribute[Any], ...]:
    """The attributes of a wire class, inherited ones included."""
    found: tuple[attrs.Attribute[Any], ...] = cls.__attrs_attrs__  # type: ignore[attr-defined]
    return found


def elide(value: Any) -> Any:
    """A copy of JSON data fit for a log: long strings and data URIs as their length, credentials hidden."""
    if isinstance(value, str):
        if len(value) > _LONGEST_SHOWN or value.startswith("data:"):
            return _Shown(f"<{len(value)} characters>")
        return value
    if isinstance(value, dict):
        return {k: _Shown("<redacted>") if k.lower() in SECRET_FIELDS and v else elide(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [elide(v) for v in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _Shown(f"<{len(value)} bytes>")
    return value


def _place(attribute: attrs.Attribute[Any]) -> int:
    return {"type": 0, "extra": 2}.get(attribute.name, 1)


def odd_places(value: WireObject) -> Iterator[tuple[str, WireObject, str]]:
    """The path, the object and the name of each field whose value came in a kind that its class cannot hold."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, owner = waiting.pop()
        inner: list[tuple[str, Any]] = []
        if isinstance(owner, WireObject):
            extra = _peek_extra(owner)
            for attribute in fields_of(type(owner)):
                name = attribute.name
                if name == "extra":
                    continue
                here = f"{path}.{name}" if path else name
                if name in extra:
                    yield here, owner, name
                inner.append((here, getattr(owner, name)))
        elif isinstance(owner, list):
            inner = [(f"{path}[{index}]", entry) for index, entry in enumerate(owner)]
        elif isinstance(owner, dict):
            inner = [(path, entry) for entry in owner.values()]  # without the keys, which are the user's
        waiting += reversed([(here, entry) for here, entry in inner if isinstance(entry, (WireObject, list, dict))])


def odd_fields(event: WireObject) -> tuple[str, ...]:
    """The paths of the fields that came in a kind that their class cannot hold, e.g. ``response.usage.total_tokens``.

    Such a field is ``None``, or what could be made of it, and stands in the ``extra`` of its object as it came. Empty
    for nearly every event. Any thread.
    """
    return tuple(path for path, _, _ in odd_places(event))


def or_none(value: T) -> T | None:
    """``value`` as it is, for a type checker: a required field may be ``None`` when a compatible server left it out."""
    return value


class _Shown(str):
    """Text that stands in a repr as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(attribute: attrs.Attribute[Any], value: Any) -> str:
    kind = attribute.metadata.get("repr")
    if kind == "secret":
        return "<redacted>"
    if kind == "payload" and isinstance(value, str):
        return f"<{len(value)} characters>"
    if kind is not None or isinstance(value, (dict, list, bytes, bytearray, memoryview)):
        return repr(elide(value))
    return repr(value)


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@wire
class WireObject:
    """Anything that the protocol sends as a JSON object.

    ``extra`` holds the fields that the class does not know, as decoded JSON, so that nothing is lost between decoding
    and encoding. Two objects are equal when class and all fields are. Instances are plain data: changing one that was
    received changes nothing on the server.
    """

    TAGS: ClassVar[tuple[str | None, ...]] = ()
    """The values of ``type`` that select the class among the variants of a field, where they are more than the
    default of its ``type``; ``None`` stands for an object that has no ``type``."""

    extra: dict[str, Any] = field(factory=dict)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, a.name) == getattr(other, a.name) for a in fields_of(type(self)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return super().__reduce_ex__(max(protocol, 2))  # the oldest that knows slots

    def __replace__(self: T, **changes: Any) -> T:
        """For `copy.replace`."""
        return attrs.evolve(self, **changes)  # type: ignore[misc]

    def __repr__(self) -> str:
        shown = []
        for attribute in sorted(fields_of(type(self)), key=_place):
            value = getattr(self, attribute.name)
            if value is not None and value is not UNSET and (value or attribute.name != "extra"):
                shown.append(f"{attribute.name}={_shown(attribute, value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


_extra: Any = WireObject.extra  # the slot


def _get_extra(made: WireObject) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _extra.__get__(made)
    except AttributeError:
        found = {}
        _extra.__set__(made, found)
    return found


def _peek_extra(made: WireObject) -> dict[str, Any]:
    try:
        found: dict[str, Any] = _extra.__get__(made)
    except AttributeError:
        return {}
    return found


# Nearly no object has unknown fields, so decoding leaves the slot empty: a dict for each would be work for the
# allocator and, with many nested objects, for the garbage collector.
WireObject.extra = property(_get_extra, _extra.__set__)  # type: ignore[assignment]


@wire
class Event(WireObject):
    """One message of either direction.

    ``type`` is the type string as received; for a name of an older dialect it stays that name. ``event_id`` is the
    sender's id of this message.
    """

    TYPE: ClassVar[str] = ""
    """The wire type of the class, e.g. ``response.output_text.delta``; ``type`` of an instance unless it came under
    another name."""

    VISIT: ClassVar[str] = "unknown"
    """The name of the visitor method for the class, e.g. ``visit_response_output_text_delta``."""

    type: str = ""
    event_id: str | None = None

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_EVENTS)


class AcceptsServerEvents(Protocol[T_co]):
    """What `ServerEvent.accept` needs of a visitor; `ServerEventVisitor` has it."""

    def unknown(self, event: Any, /) -> T_co: ...  # noqa: D102
    def malformed(self, event: Any, /) -> Any: ...  # noqa: D102
    def visit_error(self, event: Any, /) -> Any: ...  # noqa: D102


class AcceptsClientEvents(Protocol[T_co]):
    """What `ClientEvent.accept` needs of a visitor; `ClientEventVisitor` has it."""

    def unknown(self, event: Any, /) -> T_co: ...  # noqa: D102
    def malformed(self, event: Any, /) -> Any: ...  # noqa: D102
    def visit_session_update(self, event: Any, /) -> Any: ...  # noqa: D102


class ServerEvent(Event):
    """An event that the server sends."""

    __slots__ = ()

    def accept(self, visitor: AcceptsServerEvents[T]) -> T:
        """Call the visitor's method for this event and return what it returns."""
        result: T = getattr(visitor, self.VISIT)(self)
        return result


class ClientEvent(Event):
    """An event that the client sends."""

    __slots__ = ()

    CONFIRMED_BY: ClassVar[tuple[type[ServerEvent], ...]] = ()
    """The events any of which says that the server has done what this one asks for; empty where it never says so."""

    def accept(self, visitor: AcceptsClientEvents[T]) -> T:
        """Call the visitor's method for this event and return what it returns."""
        result: T = getattr(visitor, self.VISIT)(self)
        return result
