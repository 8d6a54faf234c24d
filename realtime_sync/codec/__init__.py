"""JSON text <-> event, for both sides of the protocol.

Decoding never raises: what is not an event becomes a `MalformedEvent`, a type that is not known an `UnknownEvent`. A
message is first read strictly, which is the fast path; if that fails it is read leniently, so that a server that
leaves out a field (it is ``None`` then, a list is empty) still gives the typed class. Scalars are never converted
into each other, but for whole numbers that arrive as ``1.0``.

All functions may be called from any thread.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from threading import RLock
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin

import attrs
import orjson

from realtime_sync._unset import Unset
from realtime_sync.codec.compiled import Hook, compiled
from realtime_sync.codec.plain import fault, kind_of, plain
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    AssistantMessage,
    ClientEvent,
    ErrorDetail,
    Event,
    MalformedEvent,
    Message,
    ResponseError,
    ServerEvent,
    SessionConfig,
    SystemMessage,
    TranscriptionError,
    UnknownEvent,
    UnknownObject,
    UserMessage,
    WireObject,
)
from realtime_sync.events.base import fields_of
from realtime_sync.events.config import untagged_session

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "Frame",
    "decode_client_event",
    "decode_server_event",
    "encode_append",
    "encode_event",
    "encode_fields",
    "event_to_dict",
    "object_to_dict",
    "structure",
]

Frame = str | bytes | bytearray | memoryview | Mapping[str, Any]
"""One message: JSON text, or what it decodes to."""

T = TypeVar("T")

_loads: Final[Callable[[Any], Any]] = orjson.loads

# Wire type -> strict structure function, filled as types are first seen.
_ready_server: Final[dict[str, Hook]] = {}
_ready_client: Final[dict[str, Hook]] = {}

_building: Final = RLock()  # held while a converter builds structure functions


# ---------------------------------------------------------------------------------------------------- decoding


def decode_server_event(frame: Frame) -> ServerEvent:
    """The event that a server sent, from JSON text or a mapping. Never raises: see `UnknownEvent`, `MalformedEvent`."""
    event: ServerEvent
    try:
        raw = _loads(frame)
    except Exception as error:
        event = _decode_other(frame, error, SERVER_EVENTS, _ready_server)
        return event
    try:
        event = _ready_server[raw["type"]](raw, None)
    except Exception:
        event = _decode_slowly(raw, frame, SERVER_EVENTS, _ready_server)
    return event


def decode_client_event(frame: Frame) -> ClientEvent:
    """The event that a client sent, from JSON text or a mapping. Never raises: see `UnknownEvent`, `MalformedEvent`."""
    event: ClientEvent
    try:
        raw = _loads(frame)
    except Exception as error:
        event = _decode_other(frame, error, CLIENT_EVENTS, _ready_client)
        return event
    try:
        event = _ready_client[raw["type"]](raw, None)
    except Exception:
        event = _decode_slowly(raw, frame, CLIENT_EVENTS, _ready_client)
    return event


def _decode_other(frame: Any, error: Exception, registry: Mapping[str, Any], ready: dict[str, Hook]) -> Any:
    """A frame that is no JSON text: a mapping, or malformed."""
    if not isinstance(frame, Mapping):
        return MalformedEvent(raw=frame, error=f"not JSON: {error}")
    try:
        raw = plain(frame)
    except Exception:
        return MalformedEvent(raw=frame, error=fault(frame))
    return _decode_slowly(raw, frame, registry, ready)


def _decode_slowly(raw: Any, frame: Any, registry: Mapping[str, Any], ready: dict[str, Hook]) -> Any:
    """A message whose type is seen for the first time or unknown, or that is incomplete or malformed."""
    if raw.__class__ is not dict:
        return MalformedEvent(raw=frame, error=f"expected an object, got {kind_of(raw)}")
    kind = raw.get("type")
    if kind.__class__ is not str or not kind:
        return MalformedEvent(raw=raw, error=f"type: expected str, got {kind_of(kind)}" if kind else "type: missing")
    event_id = raw.get("event_id")
    event_id = event_id if event_id.__class__ is str else None
    cls = registry.get(kind)
    if cls is None:
        return UnknownEvent(type=kind, event_id=event_id, raw=raw)
    try:
        if kind not in ready:
            ready[kind] = _hook(cls)
            with suppress(Exception):  # an incomplete message, as in the callers
                return ready[kind](raw, cls)
        return _hook(cls, lenient=True)(raw, cls)
    except Exception:
        return MalformedEvent(type=kind, event_id=event_id, raw=raw, error=_explain(raw, cls, lenient=True))


def structure(raw: Mapping[str, Any], cls: Any) -> Any:
    """A user's mapping as ``cls``: a wire class, or a union of them such as ``Item``.

    Raises `InvalidEvent` that names the field when a required one is missing or one has the wrong type. Unknown fields
    are kept in ``extra``.
    """
    fields = object_to_dict(raw)
    try:
        return _hook(cls)(fields, cls)
    except Exception:
        raise InvalidEvent(f"{_name(cls)}: {_explain(fields, cls, lenient=False)}") from None


# ---------------------------------------------------------------------------------------------------- encoding


def encode_event(event: Event | Mapping[str, Any]) -> str:
    """The JSON text of an event, or of a mapping with a ``type``.

    ``None`` is left out, except in the fields where the protocol gives ``null`` a meaning; in a mapping it is sent as
    it stands. Raises `InvalidEvent`, which names the field, for what JSON cannot hold.
    """
    fields = event_to_dict(event)
    try:
        return orjson.dumps(fields).decode()
    except Exception:
        raise InvalidEvent(fault(event)) from None


def encode_fields(fields: dict[str, Any]) -> str:
    """The JSON text of what `event_to_dict` gave. Raises `InvalidEvent` as `encode_event` does."""
    try:
        return orjson.dumps(fields).decode()
    except Exception:
        raise InvalidEvent(fault(fields)) from None


def event_to_dict(event: Event | Mapping[str, Any]) -> dict[str, Any]:
    """The event as plain JSON data that shares nothing with it. Raises `InvalidEvent` as `encode_event` does."""
    fields = object_to_dict(event)
    kind = fields.get("type")
    if kind.__class__ is not str or not kind:
        raise InvalidEvent(f"{_name(event.__class__)} has no `type`: set it to the type of the event, a str")
    return fields


def object_to_dict(value: WireObject | Mapping[str, Any]) -> dict[str, Any]:
    """Any wire object, or a mapping, as plain JSON data that shares nothing with it. Raises `InvalidEvent` as
    `encode_event` does."""
    try:
        fields: dict[str, Any] = plain(value)
    except Exception:
        raise InvalidEvent(fault(value)) from None
    if fields.__class__ is not dict:
        raise InvalidEvent(f"an object of the protocol or a mapping is needed, not {kind_of(value)}")
    return fields


def encode_append(audio: str | memoryview, event_id: str) -> str | bytes:
    """The JSON text of an ``input_audio_buffer.append`` with base64 text or with raw bytes, without the detours of
    `encode_event`: it is what a client sends most. ``event_id`` needs no escaping."""
    if isinstance(audio, str):
        return encode_event({"type": "input_audio_buffer.append", "event_id": event_id, "audio": audio})
    return b'{"type":"input_audio_buffer.append","event_id":"%b","audio":"%b"}' % (
        event_id.encode(),
        b2a_base64(audio, newline=False),
    )


# ------------------------------------------------------------------------------------------------- structuring


class _Mismatch(TypeError):
    """A value of the wrong kind; the text never shows the value."""

    def __init__(self, expected: str, got: Any) -> None:
        super().__init__(f"expected {expected}, got {kind_of(got)}")


def _name(cls: Any) -> str:
    """A wire class or a union of them, for an error text."""
    return cls.__name__ if isinstance(cls, type) else " | ".join(arg.__name__ for arg in get_args(cls))


def _hook(cls: Any, *, lenient: bool = False, explain: bool = False) -> Hook:
    """The structure function of a class or a union of classes, built on first use."""
    with _building:
        hook: Hook = _converter(lenient, explain).get_structure_hook(cls)
    return hook


def _explain(raw: Any, cls: Any, *, lenient: bool) -> str:
    """Where ``raw`` does not fit ``cls``, e.g. ``item.content[0].text: expected str, got int``."""
    try:
        _hook(cls, lenient=lenient, explain=True)(raw, cls)
    except Exception as error:
        return _where(error)
    return "cannot be read"  # it can now: it was changed by another thread meanwhile


def _where(error: Any) -> str:
    """The first fault among those that cattrs collected, with its path."""
    from cattrs import BaseValidationError
    from cattrs.errors import IterableValidationNote

    path = ""
    while isinstance(error, BaseValidationError):
        group: Any = error  # its base class is unknown to a type checker for 3.10
        error, note = group.group_exceptions()[0][0]
        path += f"[{note.index}]" if isinstance(note, IterableValidationNote) else f".{note.name}"
    if isinstance(error, KeyError):
        text = "missing"
    else:
        text = str(error) if isinstance(error, _Mismatch) else "cannot be read"
    return f"{path.lstrip('.')}: {text}" if path else text


@cache
def _converter(lenient: bool, explain: bool) -> Converter:
    """One converter for each way of reading: strictly or leniently, and fast or with the place of an error."""
    from cattrs import Converter

    converter = Converter(detailed_validation=explain)
    build = _Builder(converter, lenient, explain)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _scalar(kind, lenient))
    factories: list[tuple[Callable[[Any], bool], Callable[[Any], Hook]]] = [
        (lambda t: get_origin(t) is dict, build.mapping),
        (lambda t: get_origin(t) is list, build.array),
        (lambda t: get_origin(t) in (Union, UnionType), build.union),
        (lambda t: t == SessionConfig, build.session),
        (lambda t: isinstance(t, type) and issubclass(t, WireObject), build.wire),
        (lambda t: t is Message, build.message),
    ]
    for applies, factory in factories:
        converter.register_structure_hook_factory(applies, factory)
    return converter


_IN_WORDS: Final[dict[type[Any], str]] = {dict: "an object", list: "a list"}
_WHOLE: Final = 2**53  # beyond it a float holds no exact whole number


def _scalar(kind: type[Any], lenient: bool) -> Hook:
    """A check by exact type: JSON has no subclasses, and a bool must not pass for an int."""

    def exact(value: Any, _: Any) -> Any:
        if value.__class__ is kind:
            return value
        raise _Mismatch(kind.__name__, value)

    def number(value: Any, _: Any) -> Any:
        if value.__class__ is float or value.__class__ is int:
            return value
        raise _Mismatch("float", value)

    strict = number if kind is float else exact

    def nullable(value: Any, _: Any) -> Any:
        if value is None:
            return None
        if kind is int and value.__class__ is float and value.is_integer() and abs(value) <= _WHOLE:
            return int(value)
        return strict(value, _)

    return nullable if lenient else strict


class _Builder:
    """Builds the structure functions of one converter."""

    def __init__(self, converter: Converter, lenient: bool, explain: bool) -> None:
        self.converter = converter
        self.lenient = lenient
        self.explain = explain

    def hook(self, kind: Any) -> Hook:
        found: Hook = self.converter.get_structure_hook(kind)
        return found

    def mapping(self, kind: Any) -> Hook:
        """``dict[str, ...]``."""
        item = get_args(kind)[1]
        hook = None if item is Any else self.hook(item)

        def structure_mapping(value: Any, _: Any) -> Any:
            if value.__class__ is dict:
                return value if hook is None else {k: hook(v, item) for k, v in value.items()}
            raise _Mismatch("an object", value)

        return structure_mapping

    def array(self, kind: Any) -> Hook:
        """``list[...]``; a missing one that is required is empty, so that it can be iterated over."""
        (item,) = get_args(kind)
        hook = self.hook(item)
        lenient = self.lenient
        located = None
        if self.explain:
            from cattrs.cols import list_structure_factory

            located = list_structure_factory(kind, self.converter)

        def structure_array(value: Any, _: Any) -> Any:
            if value.__class__ is list:
                if lenient and None in value:
                    raise _Mismatch("no null in the list", None)
                return [hook(v, item) for v in value] if located is None else located(value, kind)
            if value is None and lenient:
                return []
            raise _Mismatch("a list", value)

        return structure_array

    def union(self, kind: Any) -> Hook:
        """Any union: of scalars, a list, an object, and variants that their ``type`` tells apart."""
        arms = [arm for arm in get_args(kind) if arm not in (NoneType, Unset)]
        optional = NoneType in get_args(kind) or self.lenient
        if len(arms) == 1:
            return self.optional(arms[0])
        scalars = {arm for arm in arms if arm in (str, int, float, bool)}
        classes = [arm for arm in arms if isinstance(arm, type) and issubclass(arm, WireObject)]
        others: dict[type[Any], Hook] = {}
        if classes:
            others[dict] = self.hook(classes[0]) if len(classes) == 1 else self.variants(classes)
        for arm in arms:
            if get_origin(arm) is list:
                others[list] = self.hook(arm)
        if list(others) == [dict] and not (scalars or optional or self.explain):
            return others[dict]  # which fails for whatever is no object too
        expected = " or ".join([*sorted(s.__name__ for s in scalars), *(_IN_WORDS[t] for t in others)])

        def structure_union(value: Any, _: Any) -> Any:
            found = others.get(value.__class__)
            if found is not None:
                return found(value, None)
            if value.__class__ in scalars or (value is None and optional):
                return value
            raise _Mismatch(expected, value)

        return structure_union

    def optional(self, arm: Any) -> Hook:
        """``X | None``."""
        hook = self.hook(arm)

        def structure_optional(value: Any, _: Any) -> Any:
            return None if value is None else hook(value, arm)

        def exact_or_none(value: Any, _: Any) -> Any:
            if value is None or value.__class__ is arm:
                return value
            return hook(value, arm)

        return exact_or_none if arm in (str, int, float, bool) else structure_optional

    def variants(self, classes: list[type[WireObject]]) -> Hook:
        """Classes that ``type`` tells apart; any other is an `UnknownObject`."""
        hooks = {tag: self.hook(cls) for cls in classes if cls is not UnknownObject for tag in _tags(cls)}
        unknown = self.hook(UnknownObject)
        untagged = hooks.get(None, unknown)

        def structure_variant(value: Any, _: Any) -> Any:
            tag = value.get("type")
            # A `type` that is no text goes to a class, whose check of the field then says so.
            return (hooks.get(tag, unknown) if tag.__class__ is str else untagged)(value, None)

        return structure_variant

    def session(self, kind: Any) -> Hook:
        """The configuration of a session, which need not have a ``type``."""
        tagged = self.union(kind)

        def structure_session(value: Any, _: Any) -> Any:
            if value.__class__ is dict and value.get("type") is None:
                cls = untagged_session(value)
                return _hook(cls, lenient=self.lenient, explain=self.explain)(value, cls)
            return tagged(value, None)

        return structure_session

    def message(self, kind: type[Message]) -> Hook:
        """A message, by its role."""
        roles = {"system": SystemMessage, "user": UserMessage, "assistant": AssistantMessage}
        hooks = {role: self.hook(cls) for role, cls in roles.items()}
        plain = self.wire(kind)

        def structure_message(value: Any, _: Any) -> Any:
            role = value.get("role") if value.__class__ is dict else None
            return (hooks.get(role, plain) if role.__class__ is str else plain)(value, None)

        return structure_message

    def wire(self, kind: type[WireObject]) -> Hook:
        """A wire class; fields that it does not know go to ``extra``."""
        if not self.lenient and not self.explain:
            return compiled(kind, self.hook)
        from cattrs.gen import make_dict_structure_fn, override

        attributes = [a for a in fields_of(kind) if a.name != "extra"]
        known = frozenset(a.name for a in attributes)
        fill: Hook = make_dict_structure_fn(
            kind, self.converter, _cattrs_detailed_validation=self.explain, extra=override(omit=True)
        )
        missing = dict.fromkeys(a.name for a in attributes if a.default is attrs.NOTHING)
        is_error = kind in (ErrorDetail, ResponseError, TranscriptionError)
        lenient = self.lenient

        def structure_wire(value: Any, _: Any) -> Any:
            if lenient:
                if value is None:
                    return None
                value = _as_error(value) if is_error else value
            if value.__class__ is not dict:
                raise _Mismatch("an object", value)
            made = fill({**missing, **value} if lenient else value, kind)
            if not known.issuperset(value):
                made.extra = {k: v for k, v in value.items() if k not in known}
            return made

        return structure_wire


def _tags(cls: type[WireObject]) -> tuple[str | None, ...]:
    """The values of ``type`` that select a class."""
    return cls.TAGS or tuple(a.default for a in fields_of(cls) if a.name == "type" and isinstance(a.default, str))


def _as_error(value: Any) -> Any:
    """Compatible servers send an error as plain text, or with a number as its code."""
    if value.__class__ is str:
        return {"message": value}
    if value.__class__ is dict and value.get("code").__class__ is int:
        return {**value, "code": str(value["code"])}
    return value
