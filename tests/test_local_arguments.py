"""Arguments that the local server makes up: whatever the schema, they fit it."""

from __future__ import annotations

import json
import math
from datetime import date
from enum import Enum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from realtime_sync.local.arguments import arguments_for

Json = dict[str, Any]


class Unit(Enum):
    c = "celsius"
    f = "fahrenheit"


class Place(BaseModel):
    city: str = Field(min_length=12, max_length=14)
    zip: str | None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]
    tail_cm: float = Field(gt=3, lt=9)


class Node(BaseModel):
    left: Node | None
    right: Node | None
    values: list[Node] = Field(min_length=0)


class Order(BaseModel):
    place: Place
    unit: Unit | None
    on: date
    pet: Cat | Dog
    tree: Node
    pair: tuple[int, str]
    tags: list[str] = Field(min_length=2)
    rooms: int = Field(ge=7, le=9)
    step: int = Field(multiple_of=5, ge=3)
    below: int = Field(lt=-3)
    both: int | str
    spare: int = 5


def fits(schema: Json, text: str) -> Json:
    made = arguments_for(schema, text)
    Draft202012Validator(schema).validate(made)
    json.dumps(made)
    return made


def test_they_fit_what_pydantic_makes_of_a_model() -> None:
    made = fits(Order.model_json_schema(), "Order 8 dogs to Oslo in fahrenheit")
    order = Order.model_validate(made)
    assert order.place.city.startswith("Oslo")
    assert order.unit is Unit.f
    assert order.pet.kind == "cat"
    assert (order.rooms, order.below, order.step) == (8, -4, 5)
    assert "spare" not in made


def test_they_fit_what_zod_makes_of_an_object() -> None:
    unit = {"anyOf": [{"type": "string", "enum": ["c", "f"]}, {"type": "null"}]}
    properties = {"city": {"type": "string"}, "unit": unit, "near": {"type": ["boolean", "null"]}}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    assert fits(schema, "the weather in Oslo") == {"city": "Oslo", "unit": "c", "near": True}


def test_parts_of_a_schema_are_joined() -> None:
    name: Json = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {
        "allOf": [{"$ref": "#/$defs/a~1b"}, {"properties": {"age": {"minimum": 3, "type": "number"}}}],
        "required": ["age"],
        "$defs": {"a/b": name},
    }
    assert fits(schema, "Ann") == {"name": "Ann", "age": 3}


def plain(**keywords: Any) -> Json:
    return {"type": "object", "properties": {"x": keywords}, "required": ["x"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (plain(), "it"),
        (plain(type="null"), None),
        (plain(const=5), 5),
        (plain(type="string", maxLength=1), "i"),
        (plain(type="string", format="email"), "someone@example.com"),
        (plain(items={"type": "integer"}, minItems=2), [0, 0]),
        (plain(prefixItems=[{"const": 1}]), [1]),
        (plain(type="number", exclusiveMinimum=0, maximum=1), 0.001),
        (plain(type="integer", minimum=0.5), 1),
        (plain(oneOf=[{"const": "no"}, {"const": "it"}]), "it"),
        (plain(properties={"y": {"type": "boolean"}}), {"y": True}),
    ],
)
def test_each_kind(schema: Json, value: Any) -> None:
    assert fits(schema, "do it") == {"x": value}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"$ref": "#"},
        {"$ref": "https://example.com/other"},
        {"properties": [], "required": "x"},
        {"properties": {"x": True}, "allOf": 5},
        {"$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}, "$ref": "#/$defs/N"},
        {"$defs": {"N": {"properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"]}}, "$ref": "#/$defs/N"},
        plain(anyOf=[{"$ref": "#"}]),
        {"properties": {"a": {"type": "string"}}, "required": [["a"], {}, None]},
        plain(type="array", minItems=10**9, items={"type": "array", "minItems": 10**9}),
    ],
)
def test_whatever_the_schema_there_are_some(schema: Json) -> None:
    assert isinstance(arguments_for(schema, "so what"), dict)


@pytest.mark.parametrize("text", ["9" * 400, "-" + "9" * 400, "about 5"])
@pytest.mark.parametrize("kind", ["integer", "number"])
@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"minimum": 10**400},
        {"maximum": -(10**400), "exclusiveMinimum": 3},
        {"minimum": math.inf},
        {"minimum": math.nan},
        {"multipleOf": 5e-324},
        {"minimum": 10**300, "multipleOf": 1e-300},
    ],
)
def test_numbers_are_finite(text: str, kind: str, bounds: Json) -> None:
    made = arguments_for(plain(type=kind, **bounds), text)
    assert math.isfinite(made["x"])


LEAVES: st.SearchStrategy[Json] = st.one_of(
    st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"]).map(lambda t: {"type": t}),
    st.lists(st.sampled_from(["a", "b", 1, None]), min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.builds(
        lambda least, kind: {"type": kind, "minimum": least, "maximum": least + 2},
        st.integers(-9, 9),
        st.sampled_from(["integer", "number"]),
    ),
    st.builds(lambda least: {"type": "string", "minLength": least, "maxLength": least + 3}, st.integers(0, 9)),
)


def grown(schemas: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.one_of(
        st.lists(schemas, min_size=1, max_size=3).map(lambda arms: {"anyOf": arms}),
        st.builds(lambda of, least: {"type": "array", "items": of, "minItems": least}, schemas, st.integers(0, 2)),
        st.dictionaries(st.sampled_from("xyz"), schemas, min_size=1, max_size=3).map(
            lambda all_: {"type": "object", "properties": all_, "required": [*all_]}
        ),
        schemas.map(lambda schema: {"allOf": [schema]}),
    )


@given(schema=st.recursive(LEAVES, grown, max_leaves=8), text=st.sampled_from(["", "a", "no 5.5 of b", "Ann is 12"]))
def test_they_fit_any_schema(schema: Json, text: str) -> None:
    fits(plain(**schema), text)
