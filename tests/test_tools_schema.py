"""Type hints as JSON schemas, and arguments back into the types."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import threading
import typing
import uuid
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict, Union

import attrs
import pydantic
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from realtime_sync import UNSET, ConfigurationError, event_to_dict
from realtime_sync.events import FunctionTool, RealtimeSessionConfig, SessionUpdate
from realtime_sync.tools import BadArguments, FunctionSpec, ToolCall, ToolContext, Toolset
from realtime_sync.tools.results import output_text
from realtime_sync.tools.schema.models import schema_of


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Odd(enum.Enum):
    """Values that JSON cannot tell apart from others."""

    PAIR = (1, 2)
    TRUE = True


class Empty(enum.Enum):
    pass


@attrs.frozen
class Place:
    """A place.

    Attributes:
        name: what it is called
        label: not used, the hint says it
    """

    name: str
    _secret: int = 3
    label: Annotated[str, "the label"] = ""
    tags: tuple[str, ...] = ()
    near: Place | None = None


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    y: float = 0.5
    history: tuple[int, ...] = dataclasses.field(default_factory=tuple)


@dataclasses.dataclass
class Counted:
    x: int
    count: int = dataclasses.field(init=False, default=0)


@attrs.define
class Numbered:
    x: int
    number: int = attrs.field(init=False, default=0)


@dataclasses.dataclass
class WithInitVar:
    x: dataclasses.InitVar[int]


@attrs.define
class Even:
    number: int = attrs.field()

    @number.validator
    def _check(self, attribute: Any, value: int) -> None:
        if value % 2:
            raise ValueError(f"{value} is odd")


class Options(TypedDict):
    verbose: bool
    depth: typing_extensions.NotRequired[int]


class Loose(TypedDict, total=False):
    verbose: bool
    depth: typing_extensions.Required[int]


class Tree(typing_extensions.TypedDict):
    value: int
    children: list[Tree]


UserId = NewType("UserId", int)


def made(hint: Any, default: Any = dataclasses.MISSING) -> FunctionSpec:
    """A tool with one parameter ``value`` of this type, which returns what it gets."""

    def echo(value):  # type: ignore[no-untyped-def]
        return value

    echo.__annotations__ = {"value": hint}
    if default is not dataclasses.MISSING:
        echo.__defaults__ = (default,)
    spec = Toolset(echo).get("echo")
    assert spec is not None
    Draft202012Validator.check_schema(spec.parameters)
    return spec


def schema(hint: Any, default: Any = dataclasses.MISSING) -> Any:
    return made(hint, default).parameters["properties"]["value"]


def call(hint: Any, value: Any) -> Any:
    """What a JSON value becomes."""
    return made(hint).bind(json.dumps({"value": value}))()


# The law: what a hint describes, its schema allows; and it comes back equal.

scalars: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, st.text()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (None, st.none()),
    (Any, st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)),
    (Literal["a", "b", 3, None, True], st.sampled_from(["a", "b", 3, None, True])),
    (Literal[Color.RED, Odd.PAIR], st.sampled_from([Color.RED, Odd.PAIR])),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (Odd, st.sampled_from(Odd)),
    (datetime.datetime, st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc))),
    (datetime.date, st.dates()),
    (datetime.time, st.times()),
    (uuid.UUID, st.uuids()),
    (Path, st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1).map(Path)),
    (UserId, st.integers()),
    (Annotated[int, "a number"], st.integers()),
    (Point, st.builds(Point, x=st.floats(-1e6, 1e6), y=st.floats(-1, 1))),
    (
        Place,
        st.recursive(
            st.builds(Place, name=st.text(), secret=st.integers()),
            lambda places: st.builds(Place, name=st.text(), near=places, tags=st.lists(st.text()).map(tuple)),
        ),
    ),
    (Options, st.fixed_dictionaries({"verbose": st.booleans()}, optional={"depth": st.integers()})),
    (Loose, st.fixed_dictionaries({"depth": st.integers()}, optional={"verbose": st.booleans()})),
]
hashable = [entry for entry in scalars if entry[0] not in (Any, Options, Loose)]


@st.composite
def hint_and_value(draw: st.DrawFn, depth: int = 2) -> tuple[Any, Any]:
    hint, values = draw(hints(depth))
    return hint, draw(values)


@st.composite
def hints(draw: st.DrawFn, depth: int = 2) -> tuple[Any, st.SearchStrategy[Any]]:
    kind = draw(st.sampled_from(["scalar", "list", "set", "tuple", "pair", "dict", "optional", "union"]))
    if depth == 0 or kind == "scalar":
        return draw(st.sampled_from(scalars))
    if kind in ("set",):
        inner, values = draw(st.sampled_from(hashable))
        return draw(st.sampled_from([(set[inner], st.sets(values)), (frozenset[inner], st.frozensets(values))]))  # type: ignore[valid-type]
    if kind == "union":
        # Members that JSON can tell apart.
        members = draw(st.sampled_from([(int, str), (bool, float), (Color, int), (datetime.date, datetime.datetime)]))
        return Union[members], st.one_of(*(values for hint, values in hashable if hint in members))  # noqa: UP007
    inner, values = draw(hints(depth - 1))
    if kind == "list":
        return list[inner], st.lists(values, max_size=3)  # type: ignore[valid-type]
    if kind == "tuple":
        return tuple[inner, ...], st.lists(values, max_size=3).map(tuple)  # type: ignore[valid-type]
    if kind == "dict":
        return dict[str, inner], st.dictionaries(st.text(), values, max_size=3)  # type: ignore[valid-type]
    if kind == "optional":
        return Optional[inner], st.none() | values  # noqa: UP045
    other, others = draw(hints(depth - 1))
    return tuple[inner, other], st.tuples(values, others)  # type: ignore[valid-type]


@given(hint_and_value())
def test_what_a_hint_describes_is_valid_and_comes_back_equal(case: tuple[Any, Any]) -> None:
    hint, value = case
    spec = made(hint)
    text = output_text({"value": value})
    Draft202012Validator(spec.parameters).validate(json.loads(text))
    back = spec.bind(text)()
    assert back == value
    assert type(back) is type(value) or isinstance(value, (int, float))


@given(
    st.sampled_from([int, float, bool, str, Color, list[int], Point, Options, tuple[int, str], Level, Place]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "name", "verbose"]), inner),
        max_leaves=5,
    ),
)
def test_what_the_schema_refuses_is_refused_and_the_reverse(hint: Any, value: Any) -> None:
    spec = made(hint)
    valid = Draft202012Validator(spec.parameters).is_valid({"value": value})
    text = json.dumps({"value": value})
    if valid:
        spec.bind(text)
    else:
        with pytest.raises(BadArguments, match="value"):
            spec.bind(text)


@given(st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_arguments_or_a_clear_refusal(text: str) -> None:
    with pytest.raises(BadArguments, match=r"the arguments|is unknown|is missing|must be"):
        made(int).bind(text)


# The schemas themselves


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (type(None), {"type": "null"}),
        (Any, {}),
        (object, {}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Color, {"type": "string", "enum": ["red", "green"]}),
        (Level, {"type": "integer", "enum": [1, 2]}),
        (Odd, {"type": "string", "enum": ["PAIR", "TRUE"]}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.time, {"type": "string", "format": "time"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (Path, {"type": "string"}),
        (UserId, {"type": "integer"}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (Iterable[int], {"type": "array", "items": {"type": "integer"}}),
        (typing.List[int], {"type": "array", "items": {"type": "integer"}}),  # noqa: UP006
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (AbstractSet[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (tuple, {"type": "array"}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "maxItems": 2},
        ),
        (dict, {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, Any], {"type": "object"}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Annotated[int, 5, typing_extensions.Doc("a doc")], {"type": "integer", "description": "a doc"}),
        (Annotated[int, [5]], {"type": "integer"}),
        (
            Options,
            {
                "type": "object",
                "properties": {"verbose": {"type": "boolean"}, "depth": {"type": "integer"}},
                "required": ["verbose"],
                "additionalProperties": False,
            },
        ),
        (
            Loose,
            {
                "type": "object",
                "properties": {"verbose": {"type": "boolean"}, "depth": {"type": "integer"}},
                "required": ["depth"],
                "additionalProperties": False,
            },
        ),
        (
            Point,
            {
                "type": "object",
                "properties": {
                    "x": {"type": "number"},
                    "y": {"type": "number", "default": 0.5},
                    "history": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["x"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_schema(hint: Any, expected: Any) -> None:
    assert schema(hint) == expected


def test_a_class_that_contains_itself_is_a_definition() -> None:
    spec = made(Place)
    assert spec.parameters["properties"]["value"] == {"$ref": "#/$defs/Place"}
    assert spec.parameters["$defs"]["Place"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "what it is called"},
            "secret": {"type": "integer", "default": 3},
            "label": {"type": "string", "description": "the label", "default": ""},
            "tags": {"type": "array", "items": {"type": "string"}},
            "near": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("cls", [Counted, Numbered])
def test_fields_that_the_constructor_does_not_take_are_no_arguments(cls: Any) -> None:
    assert list(schema(cls)["properties"]) == ["x"]
    assert call(cls, {"x": 1}) == cls(1)


def test_two_classes_of_one_name_are_two_definitions() -> None:
    def other() -> Any:
        class Tree(typing_extensions.TypedDict):
            leaf: bool
            next: Any

        Tree.__annotations__["next"] = Optional[Tree]  # noqa: UP045
        return Tree

    spec = made(tuple[Tree, other()])  # type: ignore[misc]
    assert sorted(spec.parameters["$defs"]) == ["Tree", "Tree_2"]
    value = [{"value": 1, "children": [{"value": 2, "children": []}]}, {"leaf": True, "next": None}]
    assert spec.bind({"value": value})() == tuple(value)


@pytest.mark.skipif(not hasattr(typing, "TypeAliasType"), reason="needs type aliases of Python 3.12")
def test_type_aliases() -> None:
    names = {"Any": Any}
    exec("type Count = int\ntype Json = int | list[Json]", names)
    assert schema(names["Count"]) == {"type": "integer"}
    assert call(names["Json"], [1, [2]]) == [1, [2]]


@pytest.mark.parametrize(
    ("hint", "default", "shown"),
    [
        (int, 3, 3),
        (str, "x", "x"),
        (bool, False, False),
        (Color, Color.RED, "red"),
        (Odd, Odd.PAIR, "PAIR"),
        (Level, Level.HIGH, 2),
        (int | None, 3, 3),
    ],
)
def test_defaults_are_shown(hint: Any, default: Any, shown: Any) -> None:
    assert schema(hint, default)["default"] == shown
    assert "required" not in made(hint, default).parameters
    assert made(hint, default).bind({})() == default


@pytest.mark.parametrize(
    ("hint", "default"),
    [(int | None, None), (float, float("inf")), (float, float("nan")), (int, attrs.NOTHING), (int, "3"), (list, [])],
)
def test_defaults_that_json_does_not_have_are_not(hint: Any, default: Any) -> None:
    assert "default" not in schema(hint, default)


# Arguments


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (datetime.datetime, "2030-01-31T12:00:00Z", datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.timezone.utc)),
        (datetime.time, "12:00:00Z", datetime.time(12, tzinfo=datetime.timezone.utc)),
        (uuid.UUID, "0" * 32, uuid.UUID(int=0)),
        (Path, "/tmp", Path("/tmp")),
        (PurePath, "a/b", PurePath("a/b")),
        (str | Color, "red", Color.RED),
        (str | Color, "blue", "blue"),
        (Color | None, None, None),
        (datetime.datetime | datetime.date, "2030-01-31", datetime.date(2030, 1, 31)),
        (int | list[int], [1], [1]),
        (Place | Point, {"x": 1}, Point(1.0)),
        (set[int], [1, 1], {1}),
        (frozenset[str], ["a"], frozenset("a")),
        (Even, {"number": 2}, Even(2)),
    ],
)
def test_arguments(hint: Any, value: Any, expected: Any) -> None:
    back = call(hint, value)
    assert back == expected
    assert type(back) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, "3", "value must be a whole number, not a string"),
        (int, True, "value must be a whole number, not a boolean"),
        (int, 3.5, "value must be a whole number"),
        (float, 10**400, "value must be a number"),
        (str, 3, "value must be a string, not a number"),
        (str, None, "value must be a string, not null"),
        (bool, 1, "value must be true or false, not a number"),
        (Color, "blue", "value must be one of 'red', 'green'"),
        (Literal[1], True, "value must be one of 1"),
        (Literal["a", None], {}, "value must be one of 'a', null"),
        (list[int], {}, "value must be a list, not an object"),
        (list[int], [1, "2"], "value[1] must be a whole number, not a string"),
        (tuple[int, str], [1], "value must be a list of 2"),
        (dict[str, int], [], "value must be an object, not a list"),
        (dict[str, int], {"a": "b"}, "value.a must be a whole number, not a string"),
        (Point, {}, "value.x is missing"),
        (Point, {"x": 1, "z": 2}, "value.z is unknown; known are x, y, history"),
        (Point, 5, "value must be an object, not a number"),
        (int | None, "x", "value must be a whole number, not a string"),
        (int | bool | None, "x", "value must be a whole number or true or false or null"),
        (datetime.date, "tomorrow", "value must be a date such as 2030-01-31"),
        (datetime.datetime, "2030-01-31", "value must be a date and time such as 2030-01-31T12:00:00Z"),
        (Even, {"number": 3}, "value: 3 is odd"),
    ],
)
def test_wrong_arguments(hint: Any, value: Any, message: str) -> None:
    with pytest.raises(BadArguments) as refused:
        call(hint, value)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the arguments are not valid JSON: "),
        ('{"value": NaN}', "the arguments are not valid JSON: NaN is not a number of JSON"),
        ("[" * 100_000, "the arguments are not valid JSON: "),
        ("[]", "the arguments must be a JSON object"),
        ("{}", "value is missing"),
        ("", "value is missing"),
        (' \n"', "the arguments are not valid JSON: "),
        ('{"value": 1, "more": 2}', "more is unknown; known are value"),
    ],
)
def test_wrong_texts(text: str, message: str) -> None:
    with pytest.raises(BadArguments, match="^" + message.replace("(", r"\(")):
        made(int).bind(text)


def test_no_text_is_no_arguments() -> None:
    def ping() -> str:
        return "pong"

    spec = Toolset(ping).get("ping")
    assert spec is not None
    assert spec.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert spec.bind("")() == spec.bind(" ")() == spec.bind("{}")() == "pong"
    with pytest.raises(BadArguments, match="x is unknown; there are none"):
        spec.bind('{"x": 1}')


def test_a_tool_that_is_not_strict_drops_what_it_does_not_know() -> None:
    toolset = Toolset()

    @toolset.tool(strict=False)
    def go(to: Point) -> Point:
        return to

    spec = toolset.get("go")
    assert spec is not None
    assert "additionalProperties" not in spec.parameters
    assert "additionalProperties" not in spec.parameters["properties"]["to"]
    assert spec.bind({"to": {"x": 1, "more": 2}, "speed": 3})() == Point(1.0)


# Registration


def test_a_tool_is_described_by_its_function() -> None:
    toolset = Toolset()

    @toolset.tool
    def get_weather(city: str, days: int = 1, *, unit: Literal["C", "F"] = "C") -> str:
        """Weather of a city.

        Only in Europe.

        Args:
            city: name of the city,
                in English
            days (int): how many
            other: not there

        Returns:
            text
        """
        return f"{city} {days} {unit}"

    assert get_weather("Oslo") == "Oslo 1 C"
    definition = toolset.definitions[0]
    assert definition.name == "get_weather"
    assert definition.description == "Weather of a city.\n\nOnly in Europe."
    assert definition.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "name of the city, in English"},
            "days": {"type": "integer", "description": "how many", "default": 1},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    assert "get_weather" in toolset
    assert "other" not in toolset
    assert len(toolset) == 1
    assert repr(toolset) == "<Toolset: get_weather>"
    assert repr(Toolset()) == "<Toolset: empty>"
    assert toolset.get("other") is None
    sent = event_to_dict(SessionUpdate(session=RealtimeSessionConfig(tools=list(toolset.definitions))))
    assert sent["session"]["tools"][0] == {
        "type": "function",
        "name": "get_weather",
        "description": definition.description,
        "parameters": definition.parameters,
    }


def test_options_of_a_tool() -> None:
    toolset = Toolset()

    def approve(call: ToolCall) -> bool:
        return True

    @toolset.tool(name="add-2", description="  Adds.\n  Well.", timeout_s=2.5, inline=True, approve=approve)
    def add(a: int, b: int) -> int:
        """Not this."""
        return a + b

    spec = toolset.get("add-2")
    assert spec is not None
    assert (spec.description, spec.timeout_s, spec.inline, spec.approve) == ("Adds.\nWell.", 2.5, True, approve)
    assert spec.bind({"a": 1, "b": 2})() == 3
    assert "fields" not in repr(spec)


def test_no_docstring_is_no_description() -> None:
    def nothing() -> None: ...

    assert Toolset(nothing).definitions[0].description is None


def test_every_kind_of_parameter() -> None:
    toolset = Toolset()

    @toolset.tool
    def mixed(a: int, b: int = 5, /, c: int = 6, *, d: int = 7) -> list[int]:
        return [a, b, c, d]

    spec = toolset.get("mixed")
    assert spec is not None
    assert spec.bind({"a": 1})() == [1, 5, 6, 7]
    assert spec.bind({"d": 4, "c": 3, "b": 2, "a": 1})() == [1, 2, 3, 4]


def test_every_kind_of_callable() -> None:
    class Adder:
        """Adds up."""

        def __init__(self, start: int = 0) -> None:
            self.total = start

        def __call__(self, number: int) -> int:
            self.total += number
            return self.total

        def add(self, number: int) -> int:
            """Add."""
            return self(number)

    toolset = Toolset()
    adder = Adder()
    toolset.tool(adder.add)
    toolset.tool(adder, name="plus")
    toolset.tool(Adder, name="make")
    toolset.tool(partial(max_of, limit=7), name="limited")
    toolset.tool(partial(max_of, 3), name="with_three")

    def run(name: str, arguments: dict[str, Any]) -> Any:
        spec = toolset.get(name)
        assert spec is not None
        return spec.bind(arguments)()

    assert run("add", {"number": 1}) == 1
    assert run("plus", {"number": 2}) == 3
    assert run("make", {"start": 4}).total == 4
    assert run("limited", {"a": 9, "b": 1}) == 7
    assert run("with_three", {"b": 5}) == 5
    limited = toolset.get("limited")
    assert limited is not None
    assert list(limited.parameters["properties"]) == ["a", "b"]  # what was bound stays hidden


def max_of(a: int, b: int, limit: int = 100) -> int:
    return min(max(a, b), limit)


def test_a_context_is_no_argument() -> None:
    toolset = Toolset()

    @toolset.tool
    def look(context: ToolContext, x: int = 0, maybe: ToolContext | None = None) -> Any:
        return context, maybe, x

    spec = toolset.get("look")
    assert spec is not None
    assert list(spec.parameters["properties"]) == ["x"]
    marker: Any = object()
    assert spec.bind({"x": 1}, marker)() == (marker, marker, 1)
    assert spec.bind({"x": 1})() == (None, None, 1)
    with pytest.raises(BadArguments):
        spec.bind({"context": 1})


def bad_star(*args: int) -> None: ...


def bad_stars(**kwargs: int) -> None: ...


def bad_unhinted(a) -> None: ...  # type: ignore[no-untyped-def]


def bad_unresolved(a: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def bad_async(a: int) -> None: ...


async def bad_stream(a: int):  # type: ignore[no-untyped-def]
    yield a


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (bad_star, "tool bad_star, parameter args: * and ** cannot be expressed"),
        (bad_stars, "tool bad_stars, parameter kwargs: * and ** cannot be expressed"),
        (bad_unhinted, "tool bad_unhinted, parameter a has no type hint"),
        (bad_unresolved, "tool bad_unresolved: a type hint cannot be resolved"),
        (bad_async, "tool bad_async is async"),
        (bad_stream, "tool bad_stream is async"),
        (lambda: None, "a tool cannot be called '<lambda>'"),
        (partial(max_of), "a tool cannot be called ''"),
        (max, "tool max: "),
    ],
)
def test_functions_that_cannot_be_tools(function: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Toolset(function)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "a.b", "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ConfigurationError, match="a tool cannot be called"):
        Toolset().tool(name=name)(max_of)


def test_other_refusals_at_registration() -> None:
    toolset = Toolset(max_of)
    with pytest.raises(ConfigurationError, match="there is a tool 'max_of' already"):
        toolset.tool(max_of)
    with pytest.raises(ConfigurationError, match="cannot be called"):
        toolset.tool(name="five")(5)  # type: ignore[type-var]
    for add in (Toolset, toolset.tool(name="none")):
        with pytest.raises(ConfigurationError, match="NoneType cannot be called"):
            add(None)  # type: ignore[operator]
    for options, message in (
        *(
            ({"timeout_s": wrong}, "tool other: timeout_s must be a number of seconds, above 0, or None; not")
            for wrong in (0, -1.0, float("nan"), "5", True)
        ),
        ({"name": 5}, "a tool cannot be called 5: give it a name"),
        ({"description": 5}, "tool other: the description must be text, or None; not 5"),
        ({"approve": "x"}, "tool other: approve must be callable, not 'x'"),
        ({"approve": lambda: True}, "tool other: approve is called with 1 argument, the call"),
        ({"approve": bad_async}, "tool other: approve is a plain function, not an async one"),
    ):
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            toolset.tool(**{"name": "other", **options})(max_of)  # type: ignore[call-overload]
        with pytest.raises(ConfigurationError, match=f"^{message}"):
            given = {"name": "other", "description": None, **options}
            toolset.add(parameters=SCHEMA, function=max, **given)  # type: ignore[arg-type]
    toolset.tool(name="unlimited", timeout_s=None)(max_of)
    toolset.tool(name="decimal", timeout_s=decimal.Decimal(5))(max_of)  # type: ignore[arg-type]
    assert [spec.timeout_s for spec in toolset] == [UNSET, None, 5.0]
    assert isinstance([*toolset][-1].timeout_s, float)


@attrs.define
class Unresolved:
    x: Nowhere  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (bytes, "tool echo, parameter value: bytes cannot be expressed in JSON; use str"),
        (complex, "complex cannot be expressed"),
        (list[bytes], "bytes cannot be expressed"),
        (dict[int, str], "the keys of a JSON object are str, not int"),
        (Literal[b"x"], "bytes cannot be expressed"),
        (typing.TypeVar("T"), "cannot be expressed"),
        (typing.Callable[[], int], "cannot be expressed"),
        (WithInitVar, "InitVar"),
        (Empty, "the enum Empty has no members"),
        (Unresolved, "a type hint cannot be resolved"),
        (attrs.make_class("C", {"x": attrs.field(type=bytes)}), "parameter value, field x of C: bytes cannot be"),
    ],
)
def test_types_that_cannot_be_expressed(hint: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        made(hint)
    assert message in str(refused.value)


def test_a_class_without_hints_takes_anything() -> None:
    loose = attrs.make_class("Loose", ["x"])
    assert call(loose, {"x": [1]}).x == [1]


# Docstrings


def documented(doc: str) -> tuple[str, dict[str, str]]:
    from realtime_sync.tools.schema.docstring import read_docstring

    read = read_docstring(doc)
    return read.summary, read.arguments


def test_google_docstring() -> None:
    assert documented(
        """Does it.

        Parameters:
            a: first
            **b (int, optional): second: with a colon
                and more

            c:
                third

        And this is no argument: really.
        """
    ) == ("Does it.", {"a": "first", "b": "second: with a colon and more", "c": "third"})


def test_numpy_docstring() -> None:
    assert documented(
        """Does it.

        And well.

        Parameters
        ----------
        a : int
            first

            of all
        b
            second

        Returns
        -------
        int
            a number
        """
    ) == ("Does it.\n\nAnd well.", {"a": "first of all", "b": "second"})


def test_sphinx_docstring() -> None:
    assert documented(
        """Does it.

        :param a: first
            and more
        :param int b: second
        :type b: int
        :param:
        :returns: a number
            that is large
        """
    ) == ("Does it.", {"a": "first and more", "b": "second"})


@pytest.mark.parametrize(
    "doc", ["", "Args:", "Args:\n\nText", "Only text: here", "Parameters\n----------", "A\n---\nb"]
)
def test_docstrings_without_arguments(doc: str) -> None:
    assert documented(doc)[1] == {}


@given(st.text(st.sampled_from("Args:\n -param ()*ab")))
def test_any_docstring_is_read(doc: str) -> None:
    documented(doc)


# Results


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": [1, (2, 3)]}, '{"a": [1, [2, 3]]}'),
        ({1: "ä", Level.LOW: None}, '{"1": null}'),
        ({2: "ä"}, '{"2": "ä"}'),
        (Color.RED, '"red"'),
        (Odd.PAIR, '"PAIR"'),
        ([Level.LOW], "[1]"),
        ({3}, "[3]"),
        (datetime.date(2030, 1, 31), '"2030-01-31"'),
        (datetime.time(12), '"12:00:00"'),
        (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        (PurePath("a"), '"a"'),
        (Even(2), '{"number": 2}'),
        (Point(1.0), '{"x": 1.0, "y": 0.5, "history": []}'),
        (Counted(1), '{"x": 1, "count": 0}'),
        (Numbered(1), '{"x": 1, "number": 0}'),
    ],
)
def test_results(value: Any, text: str) -> None:
    assert output_text(value) == text


@pytest.mark.parametrize("value", [object(), float("nan"), b"x", {"a": {1j}}, ["\ud800"], "\ud800"])
def test_results_that_cannot_be_written(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        output_text(value)


def test_a_result_that_contains_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises((RecursionError, ValueError)):
        output_text(loop)


# Models of pydantic, by their methods alone


class City(pydantic.BaseModel):
    name: str
    founded: datetime.date | None = None


class Journey(pydantic.BaseModel):
    """A journey."""

    model_config = pydantic.ConfigDict(strict=True)

    stops: list[City] = pydantic.Field(min_length=1)
    day: datetime.date
    next: Journey | None = None


class OtherCity:
    class City(pydantic.BaseModel):
        """Another class with the same name."""

        zip_code: int = pydantic.Field(alias="zip", ge=1)


class OwnModel:
    """No pydantic, but what matters of it."""

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @classmethod
    def model_validate(cls, value: Any) -> OwnModel:
        if not value:
            raise ValueError("too short")
        return cls(value)

    def model_dump(self, *, mode: str) -> str:
        assert mode == "json"
        return self.text.upper()


def test_models_as_arguments() -> None:
    def plan(
        journey: Journey, home: OtherCity.City, spare: list[City] | None = None, note: OwnModel | None = None
    ) -> str:
        """Plan."""
        return (
            f"{journey.stops[0].name} on {journey.day:%d.%m.%Y} from {home.zip_code}, {len(spare or ())} {note and 1}"
        )

    (spec,) = Toolset(plan)
    Draft202012Validator.check_schema(spec.parameters)
    validator = Draft202012Validator(spec.parameters)
    given = {
        "journey": {"stops": [{"name": "Rome", "founded": None}], "day": "2030-01-31", "next": None},
        "home": {"zip": 7},
        "spare": [{"name": "Bern"}],
        "note": "x",
    }
    assert validator.is_valid(given)
    assert spec.bind(json.dumps(given))() == "Rome on 31.01.2030 from 7, 1 1"
    assert {"City", "Journey"} <= set(spec.parameters["$defs"])
    assert not validator.is_valid({**given, "journey": {**given["journey"], "next": {"stops": []}}})  # type: ignore[dict-item]
    with pytest.raises(BadArguments, match=r"^journey\.stops: List should have at least 1 item.*; journey\.day: Field"):
        spec.bind({**given, "journey": {"stops": []}})
    with pytest.raises(BadArguments, match=r"^journey\.stops\[1\]\.name: "):
        spec.bind({**given, "journey": {"stops": [{"name": "a"}, {}], "day": "2030-01-31"}})
    with pytest.raises(BadArguments, match=r"^home\.zip: Input should be greater than or equal to 1$"):
        spec.bind({**given, "home": {"zip": 0}})
    with pytest.raises(BadArguments, match=r"note must be null or a OwnModel|note: too short"):
        spec.bind({**given, "note": ""})


def test_models_with_one_name_stay_apart() -> None:
    one = type("Same", (pydantic.BaseModel,), {"__annotations__": {"again": list[City]}})
    holder = pydantic.create_model("Holder", city=(OtherCity.City, ...))

    @attrs.frozen
    class Holds:
        a: one  # type: ignore[valid-type]
        b: holder  # type: ignore[valid-type]

    def take(both: Holds) -> None:
        """Take."""

    take.__annotations__ = {
        "both": attrs.make_class("Both", {"a": attrs.field(type=one), "b": attrs.field(type=holder)})
    }
    (spec,) = Toolset(take)
    definitions = spec.parameters["$defs"]
    assert set(definitions) == {"City", "City_2"}
    assert Draft202012Validator(spec.parameters).is_valid(
        {"both": {"a": {"again": [{"name": "x"}]}, "b": {"city": {"zip": 1}}}}
    )


def test_what_tells_variants_apart_points_to_where_they_are() -> None:
    def zoo(kind: str) -> Any:
        """A model that holds one of two of the same names as those of the other zoo."""
        cat = pydantic.create_model("Cat", kind=(Literal["cat"], ...), **{f"of_{kind}": (str, ...)})
        dog = pydantic.create_model("Dog", kind=(Literal["dog"], ...))
        return pydantic.create_model(
            f"Zoo{kind}", pet=(Annotated[cat | dog, pydantic.Field(discriminator="kind")], ...)
        )

    def take(one: Any, other: Any) -> None:
        """Take."""

    take.__annotations__ = {"one": zoo("a"), "other": zoo("b")}
    (spec,) = Toolset(take)
    schema = spec.parameters
    for name, cat in (("one", "Cat"), ("other", "Cat_2")):
        pet = schema["properties"][name]["properties"]["pet"]
        pointed = {value: target.removeprefix("#/$defs/") for value, target in pet["discriminator"]["mapping"].items()}
        assert pointed == {"cat": cat, "dog": "Dog"}
        assert {"$ref": f"#/$defs/{cat}"} in pet["oneOf"]
        assert cat in schema["$defs"]


def model_of(**definitions: Any) -> Any:
    """A model with these definitions, and a property for each."""

    class Model:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return {"properties": {name: {"$ref": f"#/$defs/{name}"} for name in definitions}, "$defs": definitions}

        @classmethod
        def model_validate(cls, value: Any) -> Any: ...

    return Model


def resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with all that it refers to in its place."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions)
    return {key: resolved(entry, definitions) for key, entry in schema.items()}


TO_B = {"not": {"$ref": "#/$defs/B"}}


@pytest.mark.parametrize(
    ("inners", "taken", "names"),
    [
        ([{"A": {"x": 1}, "A_2": {"x": 2}}], {"A"}, {"A_3", "A_2"}),
        ([{"A_2": {"x": 2}, "A": {"x": 1}}], {"A"}, {"A_3", "A_2"}),
        ([{"A": {"x": 1}}, {"A": {"x": 2}, "A_2": {"x": 3}}], set(), {"A", "A_2", "A_3"}),
        # Alike but for what they refer to, which is known only afterwards.
        ([{"A": TO_B, "B": {"x": 1}}, {"A": TO_B, "B": {"x": 2}}] * 2, set(), {"A", "A_2", "B", "B_2"}),
        ([{"B": {"x": 1}, "A": TO_B}, {"B": {"x": 2}, "A": TO_B}] * 2, {"B"}, {"A", "A_2", "B_2", "B_3"}),
    ],
)
def test_no_definition_of_a_model_is_lost(inners: list[dict[str, Any]], taken: set[str], names: set[str]) -> None:
    definitions: dict[str, Any] = {}
    schemas = [schema_of(model_of(**inner), definitions, taken) for inner in inners]
    assert set(definitions) == names
    for inner, told in zip(inners, schemas, strict=True):
        assert resolved(told, definitions)["properties"] == {k: resolved(v, inner) for k, v in inner.items()}


def test_models_as_results() -> None:
    journey = Journey(stops=[City(name="Rome")], day=datetime.date(2030, 1, 31))
    text = output_text({"journeys": [journey], "note": OwnModel("x")})
    stops = [{"name": "Rome", "founded": None}]
    assert json.loads(text) == {"journeys": [{"stops": stops, "day": "2030-01-31", "next": None}], "note": "X"}
    assert json.loads(output_text(FunctionTool(name="x"))) == {"type": "function", "name": "x"}


def test_a_description_of_pydantic_is_told() -> None:
    def look(city: Annotated[str, pydantic.Field(description="In English.")]) -> str:
        """Look."""
        return city

    (spec,) = Toolset(look)
    assert spec.parameters["properties"]["city"]["description"] == "In English."


def test_a_model_that_has_no_schema_is_refused() -> None:
    class Odd(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        thing: threading.Event

    with pytest.raises(ConfigurationError, match=r"parameter value: .*Odd cannot be expressed in JSON: "):
        made(Odd)


# Ready schemas


SCHEMA = {"type": "object", "properties": {"user-id": {"type": "string"}}, "required": ["user-id"]}


def test_a_ready_schema_is_told_as_it_is_and_its_function_gets_the_dict() -> None:
    schema = {**SCHEMA, "additionalProperties": False}
    toolset = Toolset()
    toolset.add("find", "Find.", schema, lambda arguments: arguments["user-id"] * 2, timeout_s=3)
    spec = toolset.get("find")
    assert spec is not None
    assert (spec.definition.description, spec.parameters, spec.timeout_s) == ("Find.", schema, 3)
    assert spec.parameters is not schema
    assert spec.bind('{"user-id": "ab"}')() == "abab"
    with pytest.raises(BadArguments, match=r"^user-id is missing$"):
        spec.bind({})
    with pytest.raises(BadArguments, match=r"^x is unknown; known are user-id$"):
        spec.bind({"user-id": "a", "x": 1})


def test_a_ready_schema_with_a_context() -> None:
    def find(arguments: dict[str, Any], *, context: ToolContext) -> Any:
        return (arguments, context)

    def untyped(arguments, more: Nowhere = 5):  # type: ignore[no-untyped-def,name-defined]  # noqa: F821
        return (arguments, more)

    toolset = Toolset()
    toolset.add("find", None, SCHEMA, find)
    toolset.add("untyped", None, {"type": "object"}, untyped)
    context = ToolContext(ToolCall("find", "{}", "c1"), None, threading.Event())
    found, loose = toolset
    assert found.bind({"user-id": "a"}, context)() == ({"user-id": "a"}, context)
    assert loose.bind("", context)() == ({}, 5)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "string"}, "the JSON schema of an object"),
        ({"properties": {}}, "the JSON schema of an object"),
        (None, "the JSON schema of an object"),
        ({"type": "object", "properties": {"a": {"default": b"x"}}}, "the schema is no JSON: .*bytes"),
    ],
)
def test_schemas_that_cannot_be_told(schema: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"tool x: .*{message}"):
        Toolset().add("x", None, schema, print)


def test_ready_schemas_are_refused_as_functions_are() -> None:
    toolset = Toolset(max_of)
    for name, function, message in (
        ("max_of", print, "already"),
        ("a b", print, "cannot be called 'a b'"),
        ("x", bad_async, "is async"),
        ("x", 5, "int cannot be called"),
        ("x", lambda: 1, "the function of tool x is called with 1 argument, the arguments"),
        ("x", lambda a, b: 1, "the function of tool x is called with 1 argument, the arguments"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            toolset.add(name, None, SCHEMA, function)  # type: ignore[arg-type]


# Ways out


class Counter:
    """A class with methods that are to be tools."""

    def __init__(self) -> None:
        self.count = 0

    def inc(self, by: int = 1) -> int:
        """Count."""
        self.count += by
        return self.count

    @classmethod
    def unit(cls) -> str:
        """The unit."""
        return "piece"

    @staticmethod
    def zero() -> int:
        """Nothing."""
        return 0

    @staticmethod
    async def later() -> None: ...


def test_methods_are_tools_once_they_are_bound() -> None:
    counter = Counter()
    inc, unit, zero = Toolset(counter.inc, Counter.unit, Counter.zero)
    assert (inc.bind({"by": 3})(), unit.bind({})(), zero.bind({})(), counter.count) == (3, "piece", 0, 3)


@pytest.mark.parametrize(
    ("function", "way_out"),
    [
        (bad_async, "def bad_async(...): return asyncio.run(async_bad_async(...))"),
        (Counter.later, "asyncio.run"),
        (bad_unhinted, "annotate it, e.g. `a: str`"),
        (Counter.inc, "toolset.tool(thing.inc)"),
        (Counter(), "toolset.tool(thing.method)"),
        (vars(Counter)["unit"], "add it from outside, toolset.tool(TheClass.unit)"),
        (partial(max_of), "name='look_up'"),
        ({"type": "function", "name": "x"}, "toolset.add(name, description, parameters, function)"),
        (5, "int cannot be called"),
    ],
)
def test_each_refusal_has_a_way_out(function: Any, way_out: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Toolset(function)
    assert way_out in str(refused.value)


def test_the_arguments_of_a_call_as_data() -> None:
    assert ToolCall("x", '{"a": [1]}', "c1").args == {"a": [1]}
    assert ToolCall("x", "", "c1").args == {}
    with pytest.raises(BadArguments):
        _ = ToolCall("x", "[1]", "c1").args
