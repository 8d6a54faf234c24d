"""Replies, gates and the default reply."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync.errors import ConfigurationError, RealtimeTimeout
from realtime_sync.local import Failure, Gate, McpApproval, Reply, Say, ToolCall, Turn
from realtime_sync.local.default_reply import default_reply
from realtime_sync.local.replies import Replies, Transcripts
from realtime_sync.local.script import as_reply

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def turn(text: str = "", *more: dict[str, Any], tools: Any = (), tool_choice: Any = "auto", audio: bytes = b"") -> Turn:
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return Turn(
        items=[message, *more],
        session={},
        response={"tools": list(tools), "tool_choice": tool_choice},
        number=1,
        audio=audio,
        rate_hz=24_000,
        hear=lambda: "heard",
    )


def claimed(replies: Replies) -> Any:
    return replies.claim().answer(turn())


def test_a_script_is_handed_out_in_order_and_then_fails() -> None:
    replies = Replies(["one", Reply("two"), lambda turn: turn.number])
    assert [claimed(replies) for _ in range(3)] == ["one", Reply("two"), 1]
    assert claimed(replies).code == "script_exhausted"


def test_iterators_and_functions_are_scripts_too() -> None:
    assert claimed(Replies(iter("x"))) == "x"
    assert claimed(Replies(lambda turn: f"number {turn.number}")) == "number 1"
    assert claimed(Replies(None)) == "Hello! What can I do for you?"


def test_a_string_is_no_script() -> None:
    with pytest.raises(ConfigurationError, match="list"):
        Replies("hello")
    with pytest.raises(ConfigurationError, match="list"):
        Transcripts(b"hello")


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (None, []),
        ("hi", [Say("hi")]),
        (Say("hi"), [Say("hi")]),
        (ToolCall("f"), [ToolCall("f")]),
        (["hi", ToolCall("f")], ["hi", ToolCall("f")]),
        (McpApproval("s", "f"), [McpApproval("s", "f")]),
        (Reply("hi", [ToolCall("f")], output=["more"]), [Say("hi"), ToolCall("f"), "more"]),
        (Failure(), []),
    ],
)
def test_what_a_reply_may_be(value: Any, items: list[Any]) -> None:
    assert list(as_reply(value).items()) == items


@pytest.mark.parametrize("value", [5, {"text": "x"}, [5], b"pcm"])
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="reply"):
        as_reply(value)


def test_arguments_may_be_broken_on_purpose() -> None:
    assert ToolCall("f", {"a": "ä"}).arguments_json == '{"a": "ä"}'
    assert ToolCall("f", "{broken").arguments_json == "{broken"


def test_a_gate_holds_the_event_it_counts() -> None:
    gate = Gate("response.done", nth=2)

    names = ("response.done", "response.created", "response.done", "response.done")
    assert [gate.arrive(name) for name in names] == [False, False, True, False]
    gate.wait_reached(0)
    assert not gate.opened
    gate.open()
    assert gate.opened


def test_a_gate_that_is_open_already_holds_nothing() -> None:
    gate = Gate("response.done")
    gate.open()
    assert not gate.arrive("response.done")
    gate.wait_reached(0)


def test_waiting_at_a_gate_is_bounded() -> None:
    with pytest.raises(RealtimeTimeout, match=r"response\.done"):
        Gate("response.done").wait_reached(0.01)


def test_the_turn_shows_text_and_transcript() -> None:
    both = turn("look", audio=b"\0\0")
    both.items[0]["content"].append({"type": "input_audio", "transcript": None})
    assert both.text == "look heard"
    both.items[0]["content"][1]["transcript"] = "here"
    assert both.text == "look here"
    assert turn("").text == ""


def test_the_turn_shows_the_outputs_behind_the_last_message() -> None:
    call = {"type": "function_call", "call_id": "c"}
    output = {"type": "function_call_output", "call_id": "c", "output": "1"}
    assert turn("x", call, output).tool_outputs == [output]
    assert turn("x", output, {"type": "message", "role": "assistant", "content": []}).tool_outputs == []


@pytest.mark.parametrize(
    ("seen", "reply"),
    [
        (turn("good morning"), "You said: good morning"),
        (turn(""), "Hello! What can I do for you?"),
        (turn("What is the weather in Oslo today?", tools=[WEATHER]), ToolCall("get_weather", {"city": "Oslo"})),
        (turn("And the weather?", tools=[WEATHER], tool_choice="none"), "You said: And the weather?"),
        (turn("good morning", tools=[WEATHER]), "You said: good morning"),
        (turn("in Rome", tools=[WEATHER], tool_choice="required"), ToolCall("get_weather", {"city": "Rome"})),
        (
            turn("go", tools=[WEATHER], tool_choice={"type": "function", "name": "get_weather"}),
            ToolCall("get_weather", {"city": "go"}),
        ),
        (
            turn("weather?", {"type": "function_call_output", "output": "sunny"}, tools=[WEATHER]),
            "The tool says: sunny",
        ),
    ],
)
def test_the_default_reply_follows_from_the_turn(seen: Turn, reply: Any) -> None:
    assert default_reply(seen) == reply


def test_the_default_reply_makes_arguments_that_fit_the_schema() -> None:
    properties = {
        "level": {"type": "integer"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "exact": {"type": "boolean"},
        "tags": {"type": "array"},
        "where": {"type": "object", "properties": {"room": {"type": "string"}}},
        "factor": {"type": "number"},
    }
    tool = {"type": "function", "name": "setHeating", "parameters": {"properties": properties}}
    call = default_reply(turn("Turn the heating to 21.5 Fahrenheit please", tools=[tool]))
    assert isinstance(call, ToolCall)
    assert call.arguments == {
        "level": 21,
        "unit": "fahrenheit",
        "exact": True,
        "tags": [],
        "where": {"room": "Fahrenheit"},
        "factor": 21.5,
    }
