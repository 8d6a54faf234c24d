"""The facts of our fields against the published schemas and the models of the `openai` package.

The checks before sending and the local server read the same facts, so what is wrong here would be wrong on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

import attrs
import pytest

from realtime_sync import events as e
from realtime_sync.codec.shapes import shape_of, typed_fields
from realtime_sync.events import REALTIME, TRANSLATION, Message, WireObject
from realtime_sync.events.base import fields_of, wire
from realtime_sync.events.facts import Fact, at_least, between, facts_of, longest, one_of, optional, reported, required

PROTOCOL = next(
    (
        place
        for place in (Path(__file__).parents[2] / "shared" / "protocol", Path("/work/shared/protocol"))
        if place.is_dir()
    ),
    None,
)
Schema = dict[str, Any]

# Where we differ from a schema on purpose, and why.
REQUIRED_DIFFERENTLY: dict[str, str] = {
    "FunctionTool.name": "the schema has it optional; the server refuses a function without a name",
    "InputText.text": "one schema stands for all kinds of parts there, so that nothing is required",
    "OutputText.text": "one schema stands for all kinds of parts there, so that nothing is required",
    "InputImage.detail": "required only among the variables of a stored prompt",
    "InputTranscription.model": "required only in a translation session; the local server does so",
    "McpApprovalRequest.id": "a client that creates the item may leave the id to the server",
    "McpApprovalResponse.id": "a client that creates the item may leave the id to the server",
    "McpCall.id": "a client that creates the item may leave the id to the server",
    "McpError.code": "one class of ours stands for three errors, one of which has no code",
}
IN_PROSE_ONLY: dict[str, str] = {
    "ServerVad.threshold": "0.0 to 1.0 by the description",
    "ServerVad.prefix_padding_ms": "a length of time",
    "ServerVad.silence_duration_ms": "a length of time",
    "NoiseReduction.strength": "a share",
    "FlatSessionConfig.temperature": "0.6 to 1.2 by the description of the older dialect",
    "FlatSessionConfig.max_response_output_tokens": "1 to 4096 or inf by the description",
    "RealtimeSessionConfig.max_output_tokens": "1 to 4096 or inf by the description",
    "ResponseConfig.max_output_tokens": "1 to 4096 or inf by the description",
    "ConversationItemTruncate.content_index": "an index",
    "ConversationItemTruncate.audio_end_ms": "a length of time",
    "InputAudioBufferAppend.audio": "15 MiB by the description",
    "SessionInputAudioBufferAppend.audio": "15 MiB by the description",
}
"""Bounds that no schema states."""


class Said(NamedTuple):
    """What a schema says of one of our fields."""

    cls: type[WireObject]
    name: str
    required: bool
    least: float | None
    most: float | None


def parts(schema: Schema, defs: Schema) -> Iterator[Schema]:
    """The schema, or those that it is made of, through references, unions and lists."""
    if "$ref" in schema:
        yield from parts(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
        return
    yield schema
    for group in ("anyOf", "oneOf", "allOf"):
        for inner in schema.get(group, ()):
            yield from parts(inner, defs)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from parts(inner, defs)


def constants(schema: Schema, name: str, defs: Schema) -> set[str]:
    prop = schema.get("properties", {}).get(name, {})
    return {value for part in parts(prop, defs) for value in (*part.get("enum", ()), *[part.get("const")]) if value}


def matching(schema: Schema, candidates: list[type[WireObject]], defs: Schema) -> list[type[WireObject]]:
    """Which of our classes stand for a schema: those that its ``type`` and ``role`` select."""
    for name in ("type", "role"):
        allowed = constants(schema, name, defs)
        tagged = [cls for cls in candidates if name in {a.name for a in fields_of(cls)}]
        chosen = [cls for cls in tagged if allowed & {default(cls, name), *cls.TAGS}]
        candidates = chosen or ([] if allowed and len(candidates) > 1 else candidates)
    return candidates


def default(cls: type[WireObject], name: str) -> Any:
    return next((a.default for a in fields_of(cls) if a.name == name and isinstance(a.default, str)), None)


def classes(kind: Any) -> list[type[WireObject]]:
    """The wire classes that an annotation is made of."""
    if get_origin(kind) in (list, dict):
        return classes(get_args(kind)[-1])
    shape = shape_of(kind)
    found = list(shape.classes) if len(shape.arms) > 1 or shape.classes else []
    for arm in shape.arms:
        if get_origin(arm) in (list, dict):
            found += classes(arm)
    return found + [sub for cls in found if cls is Message for sub in Message.__subclasses__()]


def said_of(schema: Schema, candidates: list[type[WireObject]], defs: Schema) -> Iterator[Said]:
    for part in parts(schema, defs):
        if "properties" not in part:
            continue
        for cls in matching(part, candidates, defs):
            kinds = {a.name: a.type for a in typed_fields(cls)}
            for name, prop in part["properties"].items():
                if name in kinds:
                    inner = list(parts(prop, defs))
                    least = next((p["minimum"] for p in inner if "minimum" in p), None)
                    most = next((p["maximum"] for p in inner if "maximum" in p), None)
                    yield Said(cls, name, name in part.get("required", ()), least, most)
                    if classes(kinds[name]):
                        yield from said_of(prop, classes(kinds[name]), defs)


def fact_of(said: Said) -> Fact:
    return next(fact for fact in facts_of(said.cls) if fact.name == said.name)


def differences(said: list[Said]) -> dict[str, str]:
    """Where a schema requires what we do not, or the other way round."""
    found = {}
    for one in said:
        tags = ("type", "role", "mode", "object")  # they come with the class
        if one.name not in tags and one.required is not fact_of(one).required:
            found[f"{one.cls.__name__}.{one.name}"] = "required" if one.required else "not required"
    return found


def from_protocol(name: str) -> Schema:
    if PROTOCOL is None:
        pytest.skip("the protocol's schemas are not beside the repository (../shared/protocol)")
    loaded: Schema = json.loads((PROTOCOL / name).read_text())
    return loaded


def from_openai(union: str) -> Schema:
    pydantic = pytest.importorskip("pydantic")
    realtime = pytest.importorskip("openai.types.realtime")
    made: Schema = pydantic.TypeAdapter(getattr(realtime, union)).json_schema()
    return made


CLIENT_EVENTS = [
    pytest.param(load, name, family, id=name)
    for load, name, family in (
        (from_protocol, "ga.client-events.schema.json", REALTIME),
        (from_protocol, "translation.client-events.schema.json", TRANSLATION),
        (from_openai, "RealtimeClientEvent", REALTIME),
        (from_openai, "RealtimeTranslationClientEvent", TRANSLATION),
    )
]


def said_of_client_events(load: Any, name: str, family: Any) -> list[Said]:
    schema = load(name)
    return list(said_of(schema, [*family.client.values()], schema["$defs"]))


@pytest.mark.parametrize(("load", "name", "family"), CLIENT_EVENTS)
def test_what_is_required(load: Any, name: str, family: Any) -> None:
    said = said_of_client_events(load, name, family)
    assert {one.cls for one in said} >= set(family.client.values()) - {e.TranscriptionSessionUpdate}
    assert len(said) > (100 if family is REALTIME else 8), "the walk goes down into what the events are made of"
    assert {path: what for path, what in differences(said).items() if path not in REQUIRED_DIFFERENTLY} == {}


def test_no_exception_is_out_of_date() -> None:
    found: set[str] = set()
    for case in CLIENT_EVENTS:
        found |= set(differences(said_of_client_events(*case.values)))
    assert found == set(REQUIRED_DIFFERENTLY)


BOUNDS = [
    ("rest.openapi.json", "RealtimeSessionCreateRequestGA", e.RealtimeSessionConfig),
    ("rest.openapi.json", "RealtimeTurnDetection", e.ServerVad),
    ("rest.openapi.json", "RealtimeTruncation", e.Truncation),
    ("beta.openapi.json", "RealtimeSessionCreateRequest", e.FlatSessionConfig),
    ("beta.openapi.json", "RealtimeTruncation", e.Truncation),
]


def test_bounds() -> None:
    stated: dict[str, tuple[Any, Any]] = {}
    for name, kind, cls in BOUNDS:
        defs = from_protocol(name)["schemas"]
        for said in said_of(defs[kind], [cls], defs):
            if said.least is not None or said.most is not None:
                stated[f"{said.cls.__name__}.{said.name}"] = (said.least, said.most)
    ours = {
        f"{cls.__name__}.{fact.name}": (fact.least, fact.most)
        for cls in vars(e).values()
        if isinstance(cls, type) and issubclass(cls, WireObject)
        for fact in facts_of(cls)
        if (fact.least, fact.most, fact.longest) != (None, None, None)
    }
    assert len(stated) >= 5
    assert {path: bounds for path, bounds in ours.items() if path not in IN_PROSE_ONLY} == stated


def test_the_walk_finds_a_difference() -> None:
    schema = {
        "properties": {"type": {"const": "response.cancel"}, "response_id": {"type": "string", "minimum": 3}},
        "required": ["type", "response_id"],
    }
    said = list(said_of(schema, [e.ResponseCreate, e.ResponseCancel], {}))
    assert differences(said) == {"ResponseCancel.response_id": "required"}
    assert said[1].least == 3


@wire
class Sample(WireObject):
    """One field of each sort."""

    plain: str
    unset: str | None = None
    named: str | None = attrs.field(default=None, metadata=required())
    body: str = attrs.field(metadata=required(may_be_empty=True) | longest(5))
    own: str = attrs.field(metadata=optional())
    share: float | None = attrs.field(default=None, metadata=between(0, 1, or_else="inf"))
    count: int | None = attrs.field(default=None, metadata=at_least(1))
    kind: str | None = attrs.field(default=None, metadata=one_of("a", "b"))
    id: str | None = attrs.field(default=None, metadata=reported())


def test_what_facts_say() -> None:
    facts = {fact.name: fact for fact in facts_of(Sample)}
    assert list(facts) == [a.name for a in fields_of(Sample) if a.name != "extra"]
    assert [name for name, fact in facts.items() if fact.required] == ["plain", "named", "body"]
    assert facts["body"].may_be_empty
    assert not facts["named"].may_be_empty
    assert facts["body"].longest == 5
    assert (facts["share"].least, facts["share"].most, facts["share"].or_else) == (0, 1, "inf")
    assert (facts["count"].least, facts["count"].most) == (1, None)
    assert facts["kind"].values == ("a", "b")
    assert [name for name, fact in facts.items() if fact.reported] == ["id"]
    assert facts_of(Sample) is facts_of(Sample)
