"""The forgiving way of reading: an odd field never costs the event that it is in.

What is missing or null is ``None`` (a list is empty). A value of the wrong kind leaves its attribute empty in the same
way and stands in the ``extra`` of its object as it came; where something can be made of it (a float for a whole number
is rounded, a list is kept without its odd entries, an error that is plain text becomes its message), the attribute is
that. Encoding sends what stands in ``extra`` as long as the attribute is what was read of it, so decoding and encoding
an odd event gives what came.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin

import attrs

from realtime_sync._unset import UNSET
from realtime_sync.codec.mismatch import NOTHING_KEPT, Mismatch, faults_in_words
from realtime_sync.codec.shapes import Hook, message, session, shape_of, typed_fields, variants
from realtime_sync.events import (
    ErrorDetail,
    Event,
    Message,
    ResponseError,
    SessionConfig,
    TranscriptionError,
    WireObject,
)
from realtime_sync.events.base import odd_places

__all__ = ["lenient", "oddities", "reread"]

T = TypeVar("T")

_WHOLE: Final = 2**53  # beyond it a float holds no exact whole number
_ERRORS: Final = (ErrorDetail, ResponseError, TranscriptionError)
_FACTORY: Final[Any] = attrs.Factory  # a class, which its type declaration hides


def _once(made: Callable[[Any], T]) -> Callable[[Any], T]:
    """`cache` for a function of a type, which type checkers do not take for hashable."""
    return cache(made)


@_once
def lenient(kind: Any) -> Hook:
    """The reading function of a type. A wire class raises `Mismatch` only for what is no object."""
    if kind is Any:
        return lambda value, _: value
    if kind == SessionConfig:
        return session(_union(kind), lenient)
    if kind is Message:
        return message(_wire(kind), lenient)
    if isinstance(kind, type) and issubclass(kind, WireObject):
        return _wire(kind)
    if get_origin(kind) is list:
        return _list(kind)
    if get_origin(kind) is dict:
        return _table(kind)
    return _union(kind)


def reread(cls: type[WireObject], name: str, came: Any) -> Any:
    """What the attribute ``name`` is after ``came`` was read for it."""
    field = _fields(cls)[name]
    if came is None:
        return field.empty()
    try:
        return field.hook(came, None)
    except Mismatch as mismatch:
        return field.instead(mismatch)


def oddities(event: Event) -> str:
    """What of a decoded event is of the wrong kind, and where: ``response.status: expected str, got int``. Empty when
    nothing is."""
    faults = []
    for path, owner, name in odd_places(event):
        try:
            _fields(type(owner))[name].hook(owner.extra[name], None)
        except Mismatch as mismatch:
            faults += [(path + inner, text) for inner, text in mismatch.faults]
    return faults_in_words(faults)


class _Field(NamedTuple):
    """How one field is read."""

    hook: Hook
    default: Callable[[], Any]  # when it is left out
    empty: Callable[[], Any]  # when it is null
    odd: Callable[[], Any]  # when nothing can be made of what came

    def instead(self, mismatch: Mismatch) -> Any:
        """What the attribute becomes when the value is of the wrong kind."""
        return self.odd() if mismatch.kept is NOTHING_KEPT else mismatch.kept


@_once
def _fields(cls: type[WireObject]) -> dict[str, _Field]:
    return {a.name: _field(cls, a) for a in typed_fields(cls)}


def _field(cls: type[WireObject], attribute: attrs.Attribute[Any]) -> _Field:
    default: Any = attribute.default
    empty: Callable[[], Any] = list if get_origin(attribute.type) is list else _none
    # Where null switches something off, what cannot be read is not that.
    odd = _unset if default is UNSET else empty
    if isinstance(default, str):  # what tells a class from its kin: null is as good as left out
        empty = lambda: default  # noqa: E731
    if default is attrs.NOTHING:
        absent = empty
    else:
        absent = default.factory if isinstance(default, _FACTORY) else lambda: default
    hook = _code if cls in _ERRORS and attribute.name == "code" else lenient(attribute.type)
    return _Field(hook, absent, empty, odd)


def _none() -> Any:
    return None


def _unset() -> Any:
    return UNSET


def _wire(cls: type[WireObject]) -> Hook:
    new: Any = cls.__new__
    is_error = cls in _ERRORS

    def read_object(value: Any, _: Any) -> Any:
        if value.__class__ is not dict:
            # Compatible servers send an error as plain text.
            kept = read_object({"message": value}, None) if is_error and value.__class__ is str else NOTHING_KEPT
            raise Mismatch("an object", value, kept=kept)
        made = new(cls)
        fields = _fields(cls)  # only now: most of what may be nested in an object never comes
        extra = {name: came for name, came in value.items() if name not in fields}
        for name, field in fields.items():
            if name not in value:
                read = field.default()
            else:
                came = value[name]
                try:
                    read = field.empty() if came is None else field.hook(came, None)
                except Mismatch as mismatch:
                    extra[name] = came
                    read = field.instead(mismatch)
            setattr(made, name, read)
        if extra:
            made.extra = extra
        return made

    return read_object


def _list(kind: Any) -> Hook:
    hook = lenient(get_args(kind)[0])

    def read_list(value: Any, _: Any) -> Any:
        if value.__class__ is not list:
            raise Mismatch("a list", value)
        kept: list[Any] = []
        faults: list[tuple[str, str]] = []
        for index, entry in enumerate(value):
            try:
                kept.append(hook(entry, None))
            except Mismatch as mismatch:
                faults += [(f"[{index}]{path}", text) for path, text in mismatch.faults]
                if mismatch.kept is not NOTHING_KEPT:
                    kept.append(mismatch.kept)
        if faults:
            raise Mismatch("", value, kept=kept).within(faults)
        return kept

    return read_list


def _table(kind: Any) -> Hook:
    item = get_args(kind)[1]
    hook = lenient(item)

    def read_table(value: Any, _: Any) -> Any:
        if value.__class__ is not dict:
            raise Mismatch("an object", value)
        if item is Any:
            return value
        kept: dict[str, Any] = {}
        faults: list[tuple[str, str]] = []
        for key, entry in value.items():
            try:
                kept[key] = hook(entry, None)
            except Mismatch as mismatch:
                faults += mismatch.faults  # without the key, which is the user's
        if faults:
            raise Mismatch("", value, kept=kept).within(faults)
        return kept

    return read_table


def _union(kind: Any) -> Hook:
    shape = shape_of(kind)
    if len(shape.arms) == 1 and not shape.scalars:
        return lenient(shape.arms[0])
    others: dict[type[Any], Hook] = {}
    if shape.classes:
        one = len(shape.classes) == 1
        others[dict] = lenient(shape.classes[0]) if one else variants(shape.classes, lenient)
    for arm in shape.lists:
        others[list] = lenient(arm)
    scalars = shape.scalars | ({int} if float in shape.scalars else set())
    rounds = int in shape.scalars and float not in shape.scalars
    expected = shape.expected

    def read_union(value: Any, _: Any) -> Any:
        found = others.get(value.__class__)
        if found is not None:
            return found(value, None)
        if value.__class__ in scalars:
            return value
        if rounds and value.__class__ is float and abs(value) <= _WHOLE:
            if value.is_integer():
                return int(value)
            raise Mismatch(expected, value, kept=round(value))
        raise Mismatch(expected, value)

    return read_union


def _code(value: Any, _: Any) -> Any:
    """The code of an error, which compatible servers send as a number."""
    if value.__class__ is str:
        return value
    raise Mismatch("str", value, kept=str(value) if value.__class__ is int else NOTHING_KEPT)
