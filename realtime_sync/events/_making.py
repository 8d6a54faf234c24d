"""Wire classes whose fields and whose ``__init__`` are made by attrs when somebody looks for them.

There are over a hundred such classes, of which a program sees a few. To have attrs complete all of them would be a
third of what the first `connect` takes, so at import a class gets its slots only.
"""

from __future__ import annotations

from threading import RLock
from typing import Any, Final, TypeVar

import attrs

__all__ = ["declared", "slotted"]

C = TypeVar("C", bound=type[Any])

_completing: Final = RLock()  # held while a class is completed: two threads must find the same fields


class _Later:
    """Stands for an attribute of a class that attrs will make: the first look at it completes the class."""

    __slots__ = ("_cls", "_name")

    def __init__(self, name: str, cls: type[Any]) -> None:
        self._name = name
        self._cls = cls

    def __get__(self, made: Any, cls: type[Any]) -> Any:
        _complete(self._cls)
        found = vars(self._cls)[self._name]
        return found.__get__(made, cls) if self._name == "__init__" else found


def slotted(cls: C) -> C:
    """A class with slots for the annotated fields of ``cls``, otherwise the same: keyword-only and without a generated
    repr and equality, for attrs a class of its own like any other."""
    annotations = {name: kind for name, kind in cls.__annotations__.items() if not str(kind).startswith("ClassVar")}
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__", *annotations)}
    inherited = {name for base in cls.__mro__[1:] for name in getattr(base, "__slots__", ())}
    root = [] if "__weakref__" in inherited else ["__weakref__"]
    body["__slots__"] = (*(name for name in annotations if name not in inherited), *root)
    made: Any = type(cls.__name__, cls.__bases__, body)
    for value in vars(cls).values():  # `super()` in a method means the class in whose body it stood
        function = getattr(value, "__func__", getattr(value, "fget", value))
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is cls:
                cell.cell_contents = made
    # Its own fields: name -> annotation, and the default or what `attrs.field` gave.
    made._declared = {name: (kind, vars(cls).get(name, attrs.NOTHING)) for name, kind in annotations.items()}
    for name in ("__attrs_attrs__", "__init__"):
        setattr(made, name, _Later(name, made))
    found: C = made
    return found


def declared(cls: type[Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of a class, inherited ones first, as they were declared; it need not be complete for that."""
    fields: dict[str, tuple[Any, Any]] = {}
    for base in reversed(cls.__mro__):
        for name, kind_and_default in vars(base).get("_declared", {}).items():
            fields.pop(name, None)  # a field that is declared anew stands with the newer ones
            fields[name] = kind_and_default
    return fields


def _complete(cls: type[Any]) -> None:
    """Give a class its fields and its ``__init__``."""
    with _completing:
        if not isinstance(vars(cls)["__attrs_attrs__"], _Later):
            return
        fields = declared(cls)
        body = {name: value for name, (_, value) in fields.items() if value is not attrs.NOTHING}
        body |= {"__annotations__": {name: kind for name, (kind, _) in fields.items()}}
        body |= {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        twin: Any = type(cls.__name__, (), body)
        twin = attrs.define(twin, slots=False, kw_only=True, eq=False, repr=False)
        cls.__init__ = twin.__init__
        cls.__attrs_attrs__ = twin.__attrs_attrs__  # last: after an interrupt before it, the next look does all again
