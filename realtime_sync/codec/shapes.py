"""What the annotations of wire classes say about JSON, for every way of reading it."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, Union, get_args, get_origin

import attrs

from realtime_sync._unset import Unset
from realtime_sync.events import AssistantMessage, SystemMessage, UnknownObject, UserMessage, WireObject
from realtime_sync.events._making import declared
from realtime_sync.events.base import fields_of
from realtime_sync.events.config import untagged_session

__all__ = ["Hook", "HookOf", "Shape", "building", "message", "session", "shape_of", "typed_fields", "variants"]

Hook = Callable[[Any, Any], Any]
"""Makes a Python object of a JSON value; the second argument, its type, is there for cattrs and not looked at."""

HookOf = Callable[[Any], Hook]
"""The function for a type."""

building: Final = RLock()  # held while functions are built, which resolves annotations in place

_SCALARS: Final = (str, int, float, bool)
_IN_WORDS: Final[dict[type[Any], str]] = {dict: "an object", list: "a list"}


def typed_fields(cls: type[WireObject]) -> list[attrs.Attribute[Any]]:
    """The fields of a class that are fields on the wire, their types resolved."""
    with building:
        attrs.resolve_types(cls)  # type: ignore[type-var]
    return [a for a in fields_of(cls) if a.name != "extra"]


class Shape(NamedTuple):
    """What a union allows."""

    arms: list[Any]
    nullable: bool
    scalars: set[type[Any]]
    classes: list[type[WireObject]]
    lists: list[Any]

    @property
    def expected(self) -> str:
        """All of it in words, for an error text."""
        others = [*([dict] if self.classes else []), *([list] if self.lists else [])]
        return " or ".join([*sorted(s.__name__ for s in self.scalars), *(_IN_WORDS[t] for t in others)])


def shape_of(kind: Any) -> Shape:
    """A type taken apart; one that is no union counts as a union of one."""
    union = get_origin(kind) in (Union, UnionType)
    given = get_args(kind) if union else (kind,)
    arms = [arm for arm in given if arm not in (NoneType, Unset)]
    return Shape(
        arms=arms,
        nullable=NoneType in given,
        scalars={arm for arm in arms if arm in _SCALARS},
        classes=[arm for arm in arms if isinstance(arm, type) and issubclass(arm, WireObject)],
        lists=[arm for arm in arms if get_origin(arm) is list],
    )


def variants(classes: list[type[WireObject]], hook_of: HookOf) -> Hook:
    """Classes that ``type`` tells apart; any other is an `UnknownObject`."""
    by_tag = {tag: cls for cls in classes if cls is not UnknownObject for tag in _tags(cls)}
    hooks: dict[str | None, Hook] = {}  # those of `by_tag`, as they come: most variants never do

    def structure_variant(value: Any, _: Any) -> Any:
        tag = value.get("type")
        if tag.__class__ is not str:
            tag = None  # one that is no text goes to a class, whose check of the field then says so
        return (hooks.get(tag) or hook_for(tag))(value, None)

    def hook_for(tag: str | None) -> Hook:
        hook = hook_of(by_tag.get(tag, UnknownObject))
        if tag in by_tag:
            hooks[tag] = hook
        return hook

    return structure_variant


def session(tagged: Hook, hook_of: HookOf) -> Hook:
    """The configuration of a session, which need not have a ``type``; ``tagged`` reads one that has."""

    def structure_session(value: Any, _: Any) -> Any:
        if value.__class__ is dict and value.get("type").__class__ is not str:
            return hook_of(untagged_session(value))(value, None)
        return tagged(value, None)

    return structure_session


def message(whole: Hook, hook_of: HookOf) -> Hook:
    """A message, by its role; ``whole`` reads one whose role has no class."""
    roles = {"system": SystemMessage, "user": UserMessage, "assistant": AssistantMessage}
    hooks = {role: hook_of(cls) for role, cls in roles.items()}

    def structure_message(value: Any, _: Any) -> Any:
        role = value.get("role") if value.__class__ is dict else None
        return (hooks.get(role, whole) if role.__class__ is str else whole)(value, None)

    return structure_message


def _tags(cls: type[WireObject]) -> tuple[str | None, ...]:
    """The values of ``type`` that select a class."""
    _, default = declared(cls).get("type", (None, None))
    return cls.TAGS or ((default,) if isinstance(default, str) else ())
