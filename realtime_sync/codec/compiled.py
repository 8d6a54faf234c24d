"""The fast path of decoding: for each wire class one function, made of straight-line Python, that checks and fills it.

Generated structuring code that goes through ``__init__`` and one call a field takes about three times as long, which
would be a large part of what a text delta costs from the socket to the handler.
"""

from __future__ import annotations

from types import NoneType
from typing import Any, Final, get_args

import attrs

from realtime_sync._unset import Unset
from realtime_sync.codec.lenient import lenient
from realtime_sync.codec.shapes import Hook, HookOf, typed_fields
from realtime_sync.events import Event, WireObject
from realtime_sync.events._later import Unread

__all__ = ["compiled"]

_FACTORY: Final[Any] = attrs.Factory  # a class, which its type declaration hides
_CLASSES: Final[dict[Any, str]] = {str: "str", int: "int", bool: "bool", dict[str, Any]: "dict"}
_SHARED: Final = frozenset({"type", "response_id", "item_id"})
_MOST_SEEN: Final = 64
_seen: Final[dict[str, str]] = {}


def _share(text: str) -> str:
    """``text``, and for the next event with the same text this very object: all deltas of a response name the same
    type and ids, which would be half of the memory of each."""
    if len(_seen) >= _MOST_SEEN:
        _seen.clear()
    _seen[text] = text
    return text


def compiled(cls: type[WireObject], hook_of: HookOf, *, later: bool = False) -> Hook:
    """A function that makes a ``cls`` of a dict, or raises when a required field is missing or anything has the wrong
    class. ``hook_of`` gives the functions for the types of nested objects. ``later`` leaves the fields that are `LATER`
    to be read when somebody looks: what is of the wrong kind inside them is read leniently then."""
    attributes = typed_fields(cls)
    names: dict[str, Any] = {"cls": cls, "new": cls.__new__, "known": frozenset(a.name for a in attributes)}
    names |= {"seen": _seen, "share": _share}
    lines = ["def structure(o, _):"]
    if not issubclass(cls, Event):  # whose type was looked up in it, so that it is one
        lines.append(" if o.__class__ is not dict: raise TypeError")
    lines.append(" made = new(cls)")
    lines.append(f" unknown = len(o) - {len(attributes)}")
    for attribute in attributes:
        lines += _filling(attribute, hook_of, names, later=later and "later" in attribute.metadata)
    # Without fields that the class does not know, `extra` is left to be made when it is asked for.
    lines.append(" if unknown: made.extra = {k: v for k, v in o.items() if k not in known}")
    lines.append(" return made")
    # The text consists of the names of our own classes' fields; nothing that was received gets into it.
    exec("\n".join(lines), names)  # noqa: S102
    made: Hook = names["structure"]
    made.__name__ = f"structure_{cls.__name__}"
    return made


def _reading(kind: Any, hook_of: HookOf) -> Hook:
    """The function that reads a list of objects late: never raises."""
    fast = hook_of(kind)

    def read(value: Any, _: Any) -> Any:
        try:
            return fast(value, None)
        except Exception:
            return lenient(kind)(value, None)

    return read


def _filling(attribute: attrs.Attribute[Any], hook_of: HookOf, names: dict[str, Any], *, later: bool) -> list[str]:
    """The lines that check and set one field; what they refer to is added to ``names``."""
    name = attribute.name
    arms = [arm for arm in get_args(attribute.type) if arm not in (NoneType, Unset)]
    optional = NoneType in get_args(attribute.type)
    kind = arms[0] if optional and len(arms) == 1 else attribute.type
    shared = name in _SHARED and kind is str and not optional
    if later:
        names |= {f"hook_{name}": hook_of(kind), f"read_{name}": _reading(kind, hook_of), "Unread": Unread}
        names["objects"] = {dict}
        unread = f"Unread(v, read_{name}) if {{*map(type, v)}} == objects else hook_{name}(v, None)"
        filling = [f"made.{name} = {unread}"]
    elif kind is Any:
        filling = [f"made.{name} = v"]
    elif kind in _CLASSES or kind is float:
        wrong = f"v.__class__ is not {_CLASSES.get(kind, 'float')}"
        wrong += " and v.__class__ is not int" if kind is float else ""
        wrong += " and v is not None" if optional else ""
        filling = [f"if {wrong}: raise TypeError", f"made.{name} = {'seen.get(v) or share(v)' if shared else 'v'}"]
    else:
        names[f"hook_{name}"] = hook_of(kind)
        filling = [f"made.{name} = hook_{name}(v, None)" + (" if v is not None else None" if optional else "")]
    default: Any = attribute.default
    if default is attrs.NOTHING:
        return [f" v = o[{name!r}]", *(f" {line}" for line in filling)]
    made_anew = isinstance(default, _FACTORY)
    names[f"default_{name}"] = default.factory if made_anew else default
    return [
        f" if {name!r} in o:",
        f"  v = o[{name!r}]",
        *(f"  {line}" for line in filling),
        " else:",
        "  unknown += 1",
        f"  made.{name} = default_{name}{'()' if made_anew else ''}",
    ]
