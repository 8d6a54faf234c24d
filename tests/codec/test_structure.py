"""Strict reading with the place of every fault."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from protocol_examples import FINISHED_RESPONSE, ITEMS, SESSION

from realtime_sync import events
from realtime_sync.codec import object_to_dict
from realtime_sync.codec.structure import _faults, explain, strict, structure
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    AudioOutput,
    ContentPart,
    CustomVoice,
    FunctionCall,
    InputText,
    Item,
    OutputText,
    RealtimeSessionConfig,
    SessionConfig,
    UnknownObject,
    UserMessage,
)


def refusal(raw: Any, cls: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        structure(raw, cls)
    return str(caught.value)


def test_all_faults_are_told() -> None:
    raw = {"type": "function_call", "name": 5, "id": 6}
    assert refusal(raw, FunctionCall) == (
        "FunctionCall: name: expected str, got int; arguments: missing; id: expected str, got int"
    )
    content: list[Any] = [{"type": "input_text"}, {"type": "input_text", "text": 5}, None]
    assert refusal({"type": "message", "role": "user", "content": content}, UserMessage) == (
        "UserMessage: content[0].text: missing; content[1].text: expected str, got int;"
        " content[2]: expected an object, got null"
    )
    speed = {"audio": {"output": {"speed": "fast"}}, "include": ["a", 5], "parallel_tool_calls": 1}
    assert refusal(speed, RealtimeSessionConfig) == (
        "RealtimeSessionConfig: audio.output.speed: expected float, got str;"
        " parallel_tool_calls: expected bool, got int; include[1]: expected str, got int"
    )


def test_a_union_is_named_by_its_members() -> None:
    assert refusal({"type": "function_call", "arguments": ""}, Item).endswith("UnknownObject: name: missing")


def test_what_json_cannot_hold_is_told_as_a_whole() -> None:
    said = refusal({"audio": b"", "include": [{2}]}, RealtimeSessionConfig)
    assert said.startswith("audio: bytes cannot be sent as JSON")
    assert "; include[0]: set cannot be sent as JSON" in said


def test_nothing_is_converted() -> None:
    for wrong in ("1", True, None, 1.0):
        with pytest.raises(TypeError):
            strict(int)(wrong, int)
    assert strict(float)(1, float) == 1


def test_an_explanation_when_there_is_nothing_to_explain() -> None:
    assert explain({}, UnknownObject) == "cannot be read"
    assert _faults(RuntimeError("do-not-show-this"), "") == [("", "cannot be read")]


def test_structure_makes_typed_objects() -> None:
    config = {key: value for key, value in SESSION.items() if key != "type"}
    typed = structure(config, RealtimeSessionConfig)
    assert typed == structure(SESSION, SessionConfig)
    assert object_to_dict(typed) == SESSION
    assert [object_to_dict(structure(item, Item)) for item in ITEMS] == ITEMS
    assert structure({"type": "text", "text": "a"}, ContentPart) == OutputText(type="text", text="a")
    assert object_to_dict(structure(FINISHED_RESPONSE, events.Response)) == FINISHED_RESPONSE


def test_structure_takes_typed_parts_and_leaves_the_mapping_alone() -> None:
    raw = {"type": "message", "role": "user", "content": (InputText(text="a"),)}
    assert structure(raw, Item) == UserMessage(content=[InputText(text="a")])
    assert raw["content"] == (InputText(text="a"),)
    voice = structure(MappingProxyType({"voice": {"id": "v"}}), AudioOutput)
    assert voice == AudioOutput(voice=CustomVoice(id="v"))


@pytest.mark.parametrize(
    ("raw", "cls", "text"),
    [
        ({"type": "message", "role": "user"}, UserMessage, "UserMessage: content: missing"),
        ({"type": "message", "role": "user", "content": [{"type": "input_text"}]}, Item, "content[0].text: missing"),
        ({"type": "message", "role": "user", "content": None}, UserMessage, "content: expected a list, got null"),
        ({"type": "function_call", "name": 5, "arguments": ""}, FunctionCall, "name: expected str, got int"),
        (
            {"audio": {"output": {"speed": "fast"}}},
            RealtimeSessionConfig,
            "audio.output.speed: expected float, got str",
        ),
        ({"parallel_tool_calls": 1}, RealtimeSessionConfig, "parallel_tool_calls: expected bool, got int"),
        ({"include": ["a", 5]}, RealtimeSessionConfig, "include[1]: expected str, got int"),
        ({"audio": b""}, RealtimeSessionConfig, "audio: bytes cannot be sent"),
        ([], RealtimeSessionConfig, "a mapping is needed, not list"),
        ({"type": "message", "content": []}, Item, "Message | FunctionCall | FunctionCallOutput"),
    ],
)
def test_structure_says_what_is_wrong(raw: Any, cls: Any, text: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        structure(raw, cls)
    assert text in str(caught.value)
