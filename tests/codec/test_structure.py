"""Strict reading with the place of every fault."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync.codec.structure import _faults, explain, strict, structure
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import FunctionCall, Item, RealtimeSessionConfig, UnknownObject, UserMessage


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
