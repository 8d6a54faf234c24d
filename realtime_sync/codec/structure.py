"""The strict way of reading: fast through the compiled functions, or by cattrs with the place of every fault.

cattrs is loaded only when there is a fault to explain. Scalars are never converted into each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from realtime_sync.codec.compiled import compiled
from realtime_sync.codec.encode import object_to_dict
from realtime_sync.codec.mismatch import Mismatch, faults_in_words
from realtime_sync.codec.shapes import Hook, building, message, session, shape_of, typed_fields, variants
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import Message, SessionConfig, WireObject

__all__ = ["explain", "strict", "structure"]

_SCALARS: Final = (str, int, float, bool)
_UNIONS: Final = (Union, UnionType)


def structure(raw: Mapping[str, Any], cls: Any) -> Any:
    """A user's mapping as ``cls``: a wire class, or a union of them such as ``Item``.

    Raises `InvalidEvent` that names every field that is required and missing or has the wrong type. Unknown fields are
    kept in ``extra``.
    """
    fields = object_to_dict(raw)
    try:
        return strict(cls)(fields, cls)
    except Exception:
        name = cls.__name__ if isinstance(cls, type) else " | ".join(arm.__name__ for arm in get_args(cls))
        raise InvalidEvent(f"{name}: {explain(fields, cls)}") from None


def strict(cls: Any, *, explaining: bool = False, later: bool = False) -> Hook:
    """The structure function of a class or a union of classes, built on first use. It raises when a required field is
    missing or anything has the wrong kind, without telling what unless it is the ``explaining`` one, which is slow.
    ``later`` is for what a server sends: see `compiled`."""
    return _builder(explaining, later).hook(cls)


def explain(raw: Any, cls: Any) -> str:
    """Where ``raw`` does not fit ``cls``, e.g. ``item.content[0].text: expected str, got int; item.role: missing``."""
    try:
        strict(cls, explaining=True)(raw, cls)
    except Exception as error:
        return faults_in_words(_faults(error, ""))
    return "cannot be read"  # it can now: it was changed by another thread meanwhile


def _faults(error: Any, path: str) -> list[tuple[str, str]]:
    """The faults that cattrs collected, with their places."""
    from cattrs import BaseValidationError
    from cattrs.errors import IterableValidationNote

    if isinstance(error, BaseValidationError):
        group: Any = error  # its base class is unknown to a type checker for 3.10
        found: list[tuple[str, str]] = []
        for inner, note in group.group_exceptions()[0]:
            step = f"[{note.index}]" if isinstance(note, IterableValidationNote) else f".{note.name}"
            found += _faults(inner, path + step)
        return found
    if isinstance(error, KeyError):
        return [(path, "missing")]
    return [(path, str(error) if isinstance(error, Mismatch) else "cannot be read")]


@cache
def _builder(explaining: bool, later: bool) -> _Builder:
    """One builder for each way of reading: fast, or with the places of the faults."""
    return _Builder(explaining, later)


def _scalar(kind: type[Any]) -> Hook:
    """A check by exact type: JSON has no subclasses, and a bool must not pass for an int."""

    def exact(value: Any, _: Any) -> Any:
        if value.__class__ is kind:
            return value
        raise Mismatch(kind.__name__, value)

    def number(value: Any, _: Any) -> Any:
        if value.__class__ is float or value.__class__ is int:
            return value
        raise Mismatch("float", value)

    return number if kind is float else exact


def _is_ours(kind: Any) -> bool:
    """Whether cattrs is to read a type in our way."""
    return get_origin(kind) in (dict, list, *_UNIONS) or (isinstance(kind, type) and issubclass(kind, WireObject))


class _Builder:
    """Builds the structure functions of one way of reading."""

    def __init__(self, explaining: bool, later: bool) -> None:
        self.explaining = explaining
        self._later = later
        self._built: dict[Any, Hook] = {}
        if explaining:
            from cattrs import Converter

            self.converter = Converter(detailed_validation=True)
            for kind in _SCALARS:
                self.converter.register_structure_hook(kind, _scalar(kind))
            self.converter.register_structure_hook_factory(_is_ours, self._build)

    def hook(self, kind: Any) -> Hook:
        with building:
            found = self._built.get(kind)
            if found is None:
                found = self.converter.get_structure_hook(kind) if self.explaining else self._build(kind)
                self._built[kind] = found
            return found

    def _build(self, kind: Any) -> Hook:
        if kind is Any:
            return lambda value, _: value
        if kind in _SCALARS:
            return _scalar(kind)
        if kind is Message:
            return message(self.wire(kind), self.hook)
        if kind == SessionConfig:
            return session(self.union(kind), self.hook)
        if get_origin(kind) is dict:
            return self.mapping(kind)
        if get_origin(kind) is list:
            return self.array(kind)
        return self.union(kind) if get_origin(kind) in _UNIONS else self.wire(kind)

    def mapping(self, kind: Any) -> Hook:
        """``dict[str, ...]``."""
        item = get_args(kind)[1]
        hook = None if item is Any else self.hook(item)

        def structure_mapping(value: Any, _: Any) -> Any:
            if value.__class__ is dict:
                return value if hook is None else {k: hook(v, item) for k, v in value.items()}
            raise Mismatch("an object", value)

        return structure_mapping

    def array(self, kind: Any) -> Hook:
        """``list[...]``."""
        (item,) = get_args(kind)
        hook = self.hook(item)
        located = None
        if self.explaining:
            from cattrs.cols import list_structure_factory

            located = list_structure_factory(kind, self.converter)

        def structure_array(value: Any, _: Any) -> Any:
            if value.__class__ is list:
                return [hook(v, item) for v in value] if located is None else located(value, kind)
            raise Mismatch("a list", value)

        return structure_array

    def union(self, kind: Any) -> Hook:
        """Any union: of scalars, a list, an object, and variants that their ``type`` tells apart."""
        shape = shape_of(kind)
        if len(shape.arms) == 1:
            return self.optional(shape.arms[0])
        scalars, nullable, expected = shape.scalars, shape.nullable, shape.expected
        others: dict[type[Any], Hook] = {}
        if shape.classes:
            one = len(shape.classes) == 1
            others[dict] = self.hook(shape.classes[0]) if one else variants(shape.classes, self.hook)
        for arm in shape.lists:
            others[list] = self.hook(arm)
        if list(others) == [dict] and not (scalars or nullable or self.explaining):
            return others[dict]  # which fails for whatever is no object too

        def structure_union(value: Any, _: Any) -> Any:
            found = others.get(value.__class__)
            if found is not None:
                return found(value, None)
            if value.__class__ in scalars or (value is None and nullable):
                return value
            raise Mismatch(expected, value)

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

    def wire(self, kind: type[WireObject]) -> Hook:
        """A wire class; fields that it does not know go to ``extra``."""
        if not self.explaining:
            return compiled(kind, self.hook, later=self._later)
        from cattrs.gen import make_dict_structure_fn, override

        known = frozenset(a.name for a in typed_fields(kind))
        fill: Hook = make_dict_structure_fn(
            kind, self.converter, _cattrs_detailed_validation=True, extra=override(omit=True)
        )

        def structure_wire(value: Any, _: Any) -> Any:
            if value.__class__ is not dict:
                raise Mismatch("an object", value)
            made = fill(value, kind)
            if not known.issuperset(value):
                made.extra = {k: v for k, v in value.items() if k not in known}
            return made

        return structure_wire
