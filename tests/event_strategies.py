"""Hypothesis strategies for every class of the protocol, made from the types of its fields."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, Union, get_args, get_origin

import attrs
from hypothesis import strategies as st

from realtime_sync._unset import UNSET, Unset
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    Message,
    SystemMessage,
    TranslationAudio,
    TranslationSessionConfig,
    UnknownObject,
    UserMessage,
    WireObject,
)
from realtime_sync.events.base import fields_of

INT = st.integers(-(2**63), 2**64 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | INT | FLOAT | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# Names that no class knows.
NAME = TEXT.map(lambda text: f"x_{text}")
EXTRA = st.just({}) | st.dictionaries(NAME, JSON, max_size=2)


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """What a field of this type may hold."""
    scalars = {str: TEXT, int: INT, float: FLOAT | INT, bool: st.booleans(), Any: JSON}
    if kind in scalars:
        return scalars[kind]
    if kind is NoneType:
        return st.none()
    if kind is Unset:
        return st.just(UNSET)
    if get_origin(kind) is list:
        return st.lists(values(get_args(kind)[0]), max_size=2)
    if get_origin(kind) is dict:
        return st.dictionaries(TEXT, values(get_args(kind)[1]), max_size=2)
    if isinstance(kind, type) and issubclass(kind, WireObject):
        return objects(kind)
    assert get_origin(kind) is Union or kind.__class__.__name__ == "UnionType", kind
    return st.one_of([values(arm) for arm in get_args(kind)])


@cache
def objects(cls: type[WireObject]) -> st.SearchStrategy[Any]:
    """Instances of a wire class, nested objects and unknown fields included."""
    if cls is Message:
        return st.one_of(_instances(cls), objects(UserMessage), objects(SystemMessage))
    return _instances(cls)


def _instances(cls: type[WireObject]) -> st.SearchStrategy[Any]:
    attrs.resolve_types(cls)
    own = {a.name: a for a in fields_of(cls) if a.name != "extra"}
    fields = {name: values(a.type) for name, a in own.items() if name not in ("type", "role")}
    kinds = [kind for registry in (SERVER_EVENTS, CLIENT_EVENTS) for kind in registry if registry[kind] is cls]
    kinds = kinds or [tag for tag in cls.TAGS if tag is not None]
    if cls is UnknownObject:
        fields["type"] = NAME
    elif kinds:
        fields["type"] = st.sampled_from(kinds)
    elif "type" in own and own["type"].default is attrs.NOTHING:
        fields["type"] = TEXT
    if cls is Message:
        fields["role"] = NAME
    whole = st.builds(cls, **fields, extra=EXTRA)
    if cls is TranslationSessionConfig:
        # Without a type it is known by its audio.
        return whole | st.builds(cls, audio=objects(TranslationAudio), extra=EXTRA)
    return whole
