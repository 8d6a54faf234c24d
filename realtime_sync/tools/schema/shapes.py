"""Type hints as JSON schemas, and JSON values back into those types: one walk over the hint makes both, so that they
agree."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import types
import uuid
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import attrs

from realtime_sync.errors import ConfigurationError, RealtimeError
from realtime_sync.tools.schema import models
from realtime_sync.tools.schema.docstring import read_docstring

__all__ = [
    "BadArguments",
    "Field",
    "Shape",
    "Shapes",
    "annotated_doc",
    "enum_json",
    "hints_of",
    "is_documented",
    "load_fields",
    "object_schema",
]

JsonObject = dict[str, Any]


class BadArguments(RealtimeError, ValueError):
    """Arguments of a tool are no JSON object, or do not fit the tool's schema. The text says what is wrong and where,
    for the model to read."""


Load = Callable[[Any, str], Any]
"""Takes a JSON value and its place (``days[0].name``); gives the value of the type, or raises `BadArguments`."""


@attrs.frozen
class Shape:
    """One type: its JSON schema, and how a JSON value of it becomes a value of the type.

    ``what`` names it in errors. ``rank`` orders the members of a union: the lowest that fits is taken.
    """

    schema: JsonObject
    load: Load
    what: str
    rank: int


@attrs.frozen
class Field:
    """One property of an object: an argument of a function, or a field of a class."""

    name: str
    shape: Shape
    required: bool
    doc: str | None = None
    default: Any = None

    @property
    def schema(self) -> JsonObject:
        """The schema of the property, with its description and its default."""
        described = self.shape.schema if self.doc is None else {**self.shape.schema, "description": self.doc}
        default = enum_json(self.default) if isinstance(self.default, enum.Enum) else self.default
        return {**described, "default": default} if self._allows(default) else described

    def _allows(self, default: Any) -> bool:
        """Whether a default can be shown: a scalar of the property's own type."""
        if type(default) not in (bool, int, float, str):
            return False
        try:
            return bool(self.shape.load(default, "") == self.default) and default not in (_INFINITY, -_INFINITY)
        except BadArguments:
            return False


_INFINITY: Final = float("inf")
_NULL, _TAGGED, _EXACT, _TEXT, _NESTED, _ANY = range(6)


def _refuse(at: str, what: str, value: Any) -> NoReturn:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    raise BadArguments(f"{at} must be {what}, not {kinds.get(type(value), 'a number')}")


# ----------------------------------------------------------------------------------------------------- scalars


def _scalar(
    name: str, what: str, rank: int, kinds: tuple[type, ...], make: Callable[[Any], Any] | None = None
) -> Shape:
    """A JSON scalar; ``make`` converts it and raises `ValueError` or `OverflowError` where it cannot."""

    def load(value: Any, at: str) -> Any:
        if type(value) not in kinds:
            _refuse(at, what, value)
        try:
            return value if make is None else make(value)
        except (ValueError, OverflowError):
            raise BadArguments(f"{at} must be {what}") from None

    return Shape({"type": name}, load, what, rank)


def _text(what: str, make: Callable[[str], Any], form: str | None = None) -> Shape:
    shape = _scalar("string", what, _TEXT, (str,), make)
    return shape if form is None else attrs.evolve(shape, schema={"type": "string", "format": form})


def _whole(value: int | float) -> int:
    if value != int(value):
        raise ValueError
    return int(value)


def _utc(text: str) -> str:
    # Before Python 3.11 the letter Z is not understood.
    return text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text


def _moment(text: str) -> datetime.datetime:
    if len(text) <= len("2030-01-31"):
        raise ValueError
    return datetime.datetime.fromisoformat(_utc(text))


def _scalar_of(hint: Any) -> Shape | None:
    try:
        return _SCALARS.get(hint)
    except TypeError:  # the hint cannot be hashed
        return None


_ANYTHING: Final = Shape({}, lambda value, at: value, "any value", _ANY)

_SCALARS: Final[dict[Any, Shape]] = {
    None: _scalar("null", "null", _NULL, (type(None),)),
    type(None): _scalar("null", "null", _NULL, (type(None),)),
    bool: _scalar("boolean", "true or false", _EXACT, (bool,)),
    int: _scalar("integer", "a whole number", _EXACT, (int, float), _whole),
    float: _scalar("number", "a number", _TEXT, (int, float), float),
    str: _scalar("string", "a string", _NESTED, (str,)),
    datetime.datetime: _text("a date and time such as 2030-01-31T12:00:00Z", _moment, "date-time"),
    datetime.date: _text("a date such as 2030-01-31", datetime.date.fromisoformat, "date"),
    datetime.time: _text("a time such as 12:00:00", lambda text: datetime.time.fromisoformat(_utc(text)), "time"),
    uuid.UUID: _text("a UUID", uuid.UUID, "uuid"),
    Path: _scalar("string", "a path", _NESTED, (str,), Path),
    PurePath: _scalar("string", "a path", _NESTED, (str,), PurePath),
    Any: _ANYTHING,
    object: _ANYTHING,
}

_LISTS: Final[dict[Any, Callable[[Iterable[Any]], Any]]] = {
    list: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Collection: list,
    abc.Iterable: list,
    set: set,
    abc.Set: set,
    abc.MutableSet: set,
    frozenset: frozenset,
}
_SETS: Final = (set, abc.Set, abc.MutableSet, frozenset)
_DICTS: Final = (dict, abc.Mapping, abc.MutableMapping)


def enum_json(member: enum.Enum) -> Any:
    """How a member of an enum is written in JSON: its value where all values of the enum are strings or whole numbers,
    else its name."""
    values = [other.value for other in type(member)]
    return member.value if all(type(value) in (str, int) for value in values) else member.name


def _choice(pairs: list[tuple[Any, Any]]) -> Shape:
    """One of a few JSON scalars, each of which stands for a value."""
    shown = [json for json, _ in pairs]
    what = "one of " + ", ".join("null" if json is None else repr(json) for json in shown)

    def load(value: Any, at: str) -> Any:
        for json, meant in pairs:
            # In JSON, unlike Python, true is not 1.
            if json == value and isinstance(json, bool) == isinstance(value, bool):
                return meant
        raise BadArguments(f"{at} must be {what}")

    kinds = {type(json) for json in shown}
    name = {frozenset({str}): "string", frozenset({int}): "integer"}.get(frozenset(kinds))
    return Shape({**({"type": name} if name else {}), "enum": shown}, load, what, _TAGGED)


# --------------------------------------------------------------------------------------------------- composites


def _list(item: Shape, make: Callable[[Iterable[Any]], Any], *, unique: bool) -> Shape:
    def load(value: Any, at: str) -> Any:
        if not isinstance(value, list):
            _refuse(at, "a list", value)
        return make(item.load(entry, f"{at}[{number}]") for number, entry in enumerate(value))

    schema: JsonObject = {"type": "array", **({"items": item.schema} if item.schema else {})}
    return Shape({**schema, "uniqueItems": True} if unique else schema, load, "a list", _NESTED)


def _tuple(items: list[Shape]) -> Shape:
    def load(value: Any, at: str) -> Any:
        if not isinstance(value, list) or len(value) != len(items):
            raise BadArguments(f"{at} must be a list of {len(items)}")
        return tuple(item.load(entry, f"{at}[{n}]") for n, (item, entry) in enumerate(zip(items, value, strict=True)))

    size = {"minItems": len(items), "maxItems": len(items)}
    prefix = {"prefixItems": [item.schema for item in items]} if items else {}
    return Shape({"type": "array", **prefix, **size}, load, f"a list of {len(items)}", _NESTED)


def _mapping(item: Shape) -> Shape:
    def load(value: Any, at: str) -> Any:
        if not isinstance(value, dict):
            _refuse(at, "an object", value)
        return {name: item.load(entry, f"{at}.{name}") for name, entry in value.items()}

    more = {"additionalProperties": item.schema} if item.schema else {}
    return Shape({"type": "object", **more}, load, "an object", _NESTED)


def _union(members: list[Shape]) -> Shape:
    ranked = sorted(members, key=lambda member: member.rank)
    what = " or ".join(dict.fromkeys(member.what for member in members))

    def load(value: Any, at: str) -> Any:
        if len(ranked) == 2 and ranked[0].rank == _NULL:  # an optional: the other member's error is the better one
            return None if value is None else ranked[1].load(value, at)
        for member in ranked:
            try:
                return member.load(value, at)
            except BadArguments:
                continue
        raise BadArguments(f"{at} must be {what}")

    return Shape({"anyOf": [member.schema for member in members]}, load, what, ranked[0].rank)


def object_schema(fields: Iterable[Field], *, strict: bool) -> JsonObject:
    """The schema of an object with these properties; ``strict``: with no others."""
    fields = list(fields)
    schema: JsonObject = {"type": "object", "properties": {field.name: field.schema for field in fields}}
    required = [field.name for field in fields if field.required]
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False} if strict else schema


def load_fields(value: Any, fields: Mapping[str, Field], at: str, *, strict: bool) -> JsonObject:
    """The values of the properties that are there; raises `BadArguments` for missing and, if ``strict``, for unknown
    ones."""
    if not isinstance(value, dict):
        _refuse(at or "the arguments", "an object", value)
    place = f"{at}." if at else ""
    for name in value:
        if name not in fields and strict:
            known = f"known are {', '.join(fields)}" if fields else "there are none"
            raise BadArguments(f"{place}{name} is unknown; {known}")
    for name, field in fields.items():
        if field.required and name not in value:
            raise BadArguments(f"{place}{name} is missing")
    return {name: fields[name].shape.load(entry, place + name) for name, entry in value.items() if name in fields}


def hints_of(thing: Any, where: str) -> dict[str, Any]:
    """The type hints of a function or class. Raises `ConfigurationError` for names that cannot be resolved."""
    try:
        return get_type_hints(thing, include_extras=True)
    except Exception as error:
        raise ConfigurationError(
            f"{where}: a type hint cannot be resolved ({error}); names in hints must be importable from the module"
            " where they are used"
        ) from error


class Shapes:
    """Makes the shapes of one tool. ``definitions`` fills with the schemas of the types that contain themselves."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._open: dict[Any, list[Shape]] = {}  # types that are being made; the list gets the shape when it is done
        self._names: dict[Any, str] = {}  # types that contain themselves
        self.definitions: JsonObject = {}

    def of(self, hint: Any, where: str) -> Shape:
        """The shape of a type hint. Raises `ConfigurationError` for what JSON cannot express."""
        scalar = _scalar_of(hint)
        if scalar is not None:
            return scalar
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(arguments[0], arguments[1:], where)
        if origin is Literal:
            return self._literal(arguments, where)
        if origin in (Union, types.UnionType):
            return _union([self.of(member, where) for member in arguments])
        if hasattr(hint, "__supertype__"):  # a NewType
            return self.of(hint.__supertype__, where)
        if type(hint).__name__ == "TypeAliasType":
            return self._named(hint, lambda: self.of(hint.__value__, where))
        container = self._container(origin or hint, arguments, where)
        if container is not None:
            return container
        if isinstance(hint, type):
            if issubclass(hint, enum.Enum):
                return self._enum(hint, where)
            if models.is_model(hint):
                return self._model(hint, where)
            shape = self._class(hint, where)
            if shape is not None:
                return shape
        if _name(hint) == "RealtimeSession":
            raise ConfigurationError(f"{where}: the session comes with the context: annotate it with ToolContext")
        raise ConfigurationError(
            f"{where}: {_name(hint)} cannot be expressed in JSON; use str, int, float, bool, None, lists, sets, tuples,"
            " dicts with str keys, Literal, enums, attrs classes, dataclasses, TypedDict, pydantic models, dates, UUID,"
            " Path, or unions"
        )

    def _annotated(self, hint: Any, metadata: tuple[Any, ...], where: str) -> Shape:
        shape = self.of(hint, where)
        doc = annotated_doc(metadata)
        return shape if doc is None else attrs.evolve(shape, schema={**shape.schema, "description": doc})

    def _literal(self, values: tuple[Any, ...], where: str) -> Shape:
        pairs = [(enum_json(value) if isinstance(value, enum.Enum) else value, value) for value in values]
        if any(isinstance(json, bytes) for json, _ in pairs):
            raise ConfigurationError(f"{where}: bytes cannot be expressed in JSON")
        return _choice(pairs)

    def _enum(self, cls: type[enum.Enum], where: str) -> Shape:
        pairs = [(enum_json(member), member) for member in cls]
        if not pairs:
            raise ConfigurationError(f"{where}: the enum {_name(cls)} has no members")
        return _choice(pairs)

    def _model(self, cls: Any, where: str) -> Shape:
        """The shape of a class that knows its own schema, pydantic's say: it also reads the values itself."""
        try:
            schema = models.schema_of(cls, self.definitions, set(self._names.values()))
        except Exception as error:
            raise ConfigurationError(f"{where}: {_name(cls)} cannot be expressed in JSON: {error}") from error

        def load(value: Any, at: str) -> Any:
            try:
                return models.loaded(cls, value)
            except Exception as error:
                raise BadArguments(models.reasons(error, at)) from error

        return Shape(schema, load, f"a {cls.__name__}", _NESTED)

    def _container(self, kind: Any, arguments: tuple[Any, ...], where: str) -> Shape | None:
        if kind is tuple:
            if len(arguments) != 2 or arguments[1] is not ...:
                bare = not arguments
                return _list(_ANYTHING, tuple, unique=False) if bare else _tuple([self.of(a, where) for a in arguments])
            return _list(self.of(arguments[0], where), tuple, unique=False)
        if kind in _LISTS:
            item = self.of(arguments[0], where) if arguments else _ANYTHING
            return _list(item, _LISTS[kind], unique=kind in _SETS)
        if kind in _DICTS:
            key, value = arguments or (str, Any)
            if key is not str:
                raise ConfigurationError(f"{where}: the keys of a JSON object are str, not {_name(key)}")
            return _mapping(self.of(value, where))
        return None

    # Classes

    def _named(self, hint: Any, make: Callable[[], Shape]) -> Shape:
        """The shape of a type that may contain itself: then it is a definition that all its uses refer to."""
        if hint in self._open:
            later = self._open[hint]

            def load(value: Any, at: str) -> Any:
                return later[0].load(value, at)

            return Shape(self._refer(hint), load, "an object", _NESTED)
        made: list[Shape] = []
        self._open[hint] = made
        made.append(make())
        del self._open[hint]
        if hint not in self._names:
            return made[0]
        self.definitions[self._names[hint]] = made[0].schema
        return attrs.evolve(made[0], schema=self._refer(hint))

    def _refer(self, hint: Any) -> JsonObject:
        if hint not in self._names:
            name, count = hint.__name__, 1
            while name in self.definitions or name in self._names.values():
                count += 1
                name = f"{hint.__name__}_{count}"
            self._names[hint] = name
        return {"$ref": f"#/$defs/{self._names[hint]}"}

    def _class(self, cls: type, where: str) -> Shape | None:
        """The shape of a class whose fields are known; ``None`` for any other class."""
        specs, make = _specs(cls, where)
        if specs is None:
            return None
        docs = read_docstring(cls.__dict__.get("__doc__")).arguments

        def build() -> Shape:
            fields = {
                spec.name: Field(
                    spec.name,
                    self.of(spec.hint, f"{where}, field {spec.name} of {cls.__qualname__}"),
                    spec.required,
                    None if is_documented(spec.hint) else docs.get(spec.name),
                    spec.default,
                )
                for spec in specs
            }

            def load(value: Any, at: str) -> Any:
                values = load_fields(value, fields, at, strict=self._strict)
                try:
                    return make(**values)
                except Exception as error:  # a validator or a converter of the class
                    raise BadArguments(f"{at}: {error}") from error

            return Shape(object_schema(fields.values(), strict=self._strict), load, "an object", _NESTED)

        return self._named(cls, build)


@attrs.frozen
class _Spec:
    """A field of a class as its author declared it."""

    name: str
    hint: Any
    required: bool
    default: Any = None


def _specs(cls: type, where: str) -> tuple[list[_Spec] | None, Callable[..., Any]]:
    """The fields of an attrs class, a dataclass or a TypedDict, and what makes a value of them."""
    if attrs.has(cls):
        hints = hints_of(cls, where)
        return [
            _Spec(a.alias or a.name, hints.get(a.name, a.type or Any), a.default is attrs.NOTHING, a.default)
            for a in attrs.fields(cls)
            if a.init
        ], cls
    if dataclasses.is_dataclass(cls):
        hints = hints_of(cls, where)
        if any(isinstance(hint, dataclasses.InitVar) for hint in hints.values()):
            raise ConfigurationError(f"{where}: {cls.__qualname__} has an InitVar, which cannot be expressed in JSON")
        missing = dataclasses.MISSING
        return [
            _Spec(f.name, hints[f.name], f.default is missing and f.default_factory is missing, f.default)
            for f in dataclasses.fields(cls)
            if f.init
        ], cls
    if issubclass(cls, dict) and hasattr(cls, "__total__"):
        required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
        specs = []
        for name, hint in hints_of(cls, where).items():
            # With postponed annotations __required_keys__ does not know of these marks.
            while (mark := getattr(get_origin(hint), "_name", None)) in ("Required", "NotRequired", "ReadOnly"):
                required = required | {name} if mark == "Required" else required
                required = required - {name} if mark == "NotRequired" else required
                (hint,) = get_args(hint)
            specs.append(_Spec(name, hint, name in required))
        return specs, dict
    return None, dict


def is_documented(hint: Any) -> bool:
    """Whether a hint is ``Annotated`` with a text, which its schema then has already."""
    return get_origin(hint) is Annotated and annotated_doc(get_args(hint)[1:]) is not None


def annotated_doc(metadata: Iterable[Any]) -> str | None:
    """The text in the metadata of an ``Annotated``: a string, or an object with ``documentation`` or (the ``Field`` of
    pydantic) ``description``."""
    for entry in metadata:
        told = (entry, getattr(entry, "documentation", None), getattr(entry, "description", None))
        doc = next((text for text in told if isinstance(text, str)), None)
        if doc is not None:
            return inspect.cleandoc(doc)
    return None


def _name(hint: Any) -> str:
    return hint.__qualname__ if isinstance(hint, type) else str(hint)
