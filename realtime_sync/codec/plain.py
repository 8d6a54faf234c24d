"""Events as plain JSON data, and what keeps one from being encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from types import NoneType
from typing import Any, Final

from realtime_sync._unset import UNSET
from realtime_sync.codec.lenient import reread
from realtime_sync.codec.mismatch import faults_in_words, kind_of
from realtime_sync.events import MalformedEvent, UnknownEvent, WireObject
from realtime_sync.events.base import fields_of

__all__ = ["fault", "plain"]

_ATOMS: Final = frozenset({str, int, bool, NoneType})
_LARGEST: Final = 2**64
_DEEPEST: Final = 250  # what the JSON writer allows, less a little

# Class -> its fields on the wire, each with whether ``None`` is sent as ``null``; filled as classes are first seen.
_fields: Final[dict[type[Any], tuple[tuple[str, bool], ...]]] = {}


class _Unencodable(Exception):
    """Not a part of JSON; `fault` finds out where and why."""


def plain(value: Any) -> Any:
    """``value`` as JSON data that shares nothing with it. Raises something where `fault` says what is wrong.

    Of wire objects, `UNSET` is left out everywhere and ``None`` where it has no meaning of its own.
    """
    kind = value.__class__
    if kind in _ATOMS:
        return value
    if kind in _fields or isinstance(value, WireObject):
        return _object(value)
    if kind is dict or isinstance(value, Mapping):
        return {_key(k): plain(v) for k, v in value.items() if v is not UNSET}
    if kind is list or kind is tuple:
        return [plain(v) for v in value]
    if isinstance(value, str):  # an enum of strings, say
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and isfinite(value):
        return float(value)
    raise _Unencodable


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    raise _Unencodable


def _object(value: Any) -> dict[str, Any]:
    kind = value.__class__
    if kind is UnknownEvent:
        raw: dict[str, Any] = plain(value.raw)
        return raw
    if kind is MalformedEvent:
        raise _Unencodable
    out: dict[str, Any] = {}
    for name, nullable in _fields.get(kind) or _fields_on_wire(kind):
        item = getattr(value, name)
        if item.__class__ is str:
            out[name] = item
        elif item is None:
            if nullable:
                out[name] = None
        elif item is not UNSET:
            out[name] = plain(item)
    if value.extra:
        for name, item in value.extra.items():
            # What came for a field that could not hold it is sent again, unless the field has been set since.
            if item is not UNSET and (name not in out or reread(kind, name, item) == getattr(value, name)):
                out[_key(name)] = plain(item)
    return out


def _fields_on_wire(cls: type[WireObject]) -> tuple[tuple[str, bool], ...]:
    attributes = sorted((a for a in fields_of(cls) if a.name != "extra"), key=lambda a: a.name != "type")
    _fields[cls] = tuple((a.name, a.default is UNSET) for a in attributes)
    return _fields[cls]


def fault(value: Any) -> str:
    """What keeps ``value`` from being encoded, with its places, never with its content."""
    if isinstance(value, type) and issubclass(value, WireObject):
        return f"{value.__name__} is a class: an object of it is needed, {value.__name__}(...)"
    with suppress(Exception):  # a mapping of the user's own may do anything
        found = _faults(value)
        if found:
            return faults_in_words(found)
    return f"{kind_of(value)} cannot be read as JSON data"


def _faults(value: Any) -> list[tuple[str, str]]:
    # A loop, not a recursion: what is looked for may be that the data is too deep to recurse into.
    found: list[tuple[str, str]] = []
    waiting: list[tuple[Any, str, int]] = [(value, "", 0)]
    while waiting:
        value, path, depth = waiting.pop()
        if depth > _DEEPEST:
            # All that is below it would be the same once more, without an end perhaps.
            return [*found, (re.split("[.[]", path, maxsplit=1)[0], "nested too deeply, or contains itself")]
        if isinstance(value, UnknownEvent):
            value = value.raw
        elif isinstance(value, WireObject) and not isinstance(value, MalformedEvent):
            own = {a.name: getattr(value, a.name) for a in fields_of(type(value)) if a.name != "extra"}
            value = {**own, **(value.extra or {})}
        inner: list[tuple[Any, str, int]] = []
        if isinstance(value, Mapping):
            found += [(path, reason) for reason in dict.fromkeys(map(_reason_of_key, value)) if reason]
            prefix = f"{path}." if path else ""
            inner = [(item, f"{prefix}{key}", depth + 1) for key, item in value.items() if item is not UNSET]
        elif isinstance(value, (list, tuple)):
            inner = [(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
        elif reason := _reason(value):
            found.append((path, reason))
        waiting += reversed(inner)
    return found


def _reason_of_key(key: Any) -> str:
    if not isinstance(key, str):
        return f"keys must be str, not {kind_of(key)}"
    return "a key is no valid text" if _reason(key) else ""


def _reason(value: Any) -> str:
    """Why a single value has no place in JSON; empty when it has one."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "the text holds half of a surrogate pair; join it with the other half or remove it"
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes cannot be sent as JSON; base64-encode them (`append_audio_bytes` does so for audio)"
    if isinstance(value, float):
        return "" if isfinite(value) else "the number is not finite"
    if isinstance(value, int):
        return "" if -(_LARGEST // 2) <= value < _LARGEST else "the number does not fit in 64 bits"
    if isinstance(value, MalformedEvent):
        return "a malformed event cannot be sent"
    if value is UNSET:
        return "UNSET can leave out a field, nothing else"
    return (
        ""
        if value is None
        else f"{kind_of(value)} cannot be sent as JSON; use str, int, float, bool, None, list or dict"
    )
