"""What the server refuses for its shape alone, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync.local.checks import Refusal
from realtime_sync.local.shapes import check_request, check_translation_request

TURN = "session.audio.input.turn_detection"


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": fields}


def response(**fields: Any) -> dict[str, Any]:
    return {"type": "response.create", "response": fields}


def message(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return item(type="message", role=role, content=list(content), **fields)


def turn_detection(**fields: Any) -> dict[str, Any]:
    return session(audio={"input": {"turn_detection": fields}})


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": "nope"}, "invalid_value", "type"),
        ({"type": 5}, "invalid_type", "type"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
        ({"type": "transcription_session.update", "session": {}}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": []}, "invalid_type", "session"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "session.update", "session": {"type": "other"}}, "invalid_value", "session.type"),
        ({"type": "input_audio_buffer.commit", "more": 1}, "unknown_parameter", "more"),
        ({"type": "input_audio_buffer.commit", "event_id": "x" * 600}, "string_above_max_length", "event_id"),
        (session(bogus=1), "unknown_parameter", "session.bogus"),
        (session(voice="alloy"), "unknown_parameter", "session.voice"),
        (session(temperature=0.8), "unknown_parameter", "session.temperature"),
        (session(instructions=5), "invalid_type", "session.instructions"),
        (session(output_modalities="audio"), "invalid_type", "session.output_modalities"),
        (session(output_modalities=["text", "audio"]), "array_above_max_length", "session.output_modalities"),
        (session(output_modalities=["video"]), "invalid_value", "session.output_modalities[0]"),
        (session(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
        (session(max_output_tokens="lots"), "invalid_value", "session.max_output_tokens"),
        (session(max_output_tokens=True), "invalid_type", "session.max_output_tokens"),
        (session(audio={"input": {"format": "pcm16"}}), "invalid_type", "session.audio.input.format"),
        (
            session(audio={"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}),
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (session(audio={"output": {"voice": "nobody"}}), "invalid_value", "session.audio.output.voice"),
        (session(audio={"output": {"speed": 3}}), "decimal_above_max_value", "session.audio.output.speed"),
        (turn_detection(), "missing_required_parameter", f"{TURN}.type"),
        (turn_detection(type="magic"), "invalid_value", f"{TURN}.type"),
        (turn_detection(type="server_vad", threshold=1.5), "decimal_above_max_value", f"{TURN}.threshold"),
        (turn_detection(type="server_vad", eagerness="low"), "unknown_parameter", f"{TURN}.eagerness"),
        (turn_detection(type="semantic_vad", eagerness="huge"), "invalid_value", f"{TURN}.eagerness"),
        (turn_detection(type="server_vad", create_response=1), "invalid_type", f"{TURN}.create_response"),
        (session(tools=[{"type": "function"}]), "missing_required_parameter", "session.tools[0].name"),
        (
            session(tools=[{"type": "function", "name": "f", "strict": True}]),
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (session(tools=[{"type": "mcp"}]), "missing_required_parameter", "session.tools[0].server_label"),
        (session(tool_choice="sometimes"), "invalid_value", "session.tool_choice"),
        (session(tool_choice={"type": "function"}), "missing_required_parameter", "session.tool_choice.name"),
        (item(), "missing_required_parameter", "item.type"),
        (item(type="message"), "missing_required_parameter", "item.role"),
        (item(type="message", role="user"), "missing_required_parameter", "item.content"),
        (message("user", {"type": "text", "text": "x"}), "invalid_value", "item.content[0].type"),
        (message("assistant", {"type": "input_text", "text": "x"}), "invalid_value", "item.content[0].type"),
        (message("user", {"type": "input_text"}), "missing_required_parameter", "item.content[0].text"),
        (message("user", {"type": "input_text", "text": "x"}, id="i" * 33), "string_above_max_length", "item.id"),
        (item(type="function_call_output", call_id="c", output={}), "invalid_type", "item.output"),
        (response(conversation="mine"), "invalid_value", "response.conversation"),
        (response(metadata={"a": 1}), "invalid_type", "response.metadata.a"),
        (response(modalities=["text"]), "unknown_parameter", "response.modalities"),
        (response(input=[{"type": "message"}]), "missing_required_parameter", "response.input[0].role"),
        ({"type": "response.cancel", "response_id": 5}, "invalid_type", "response_id"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "integer_below_min_value",
            "audio_end_ms",
        ),
        ({"type": "input_audio_buffer.append", "audio": 5}, "invalid_type", "audio"),
    ],
)
def test_refusals_name_the_field(event: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_request(event)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.type == "invalid_request_error"


def test_the_messages_are_those_of_the_real_server() -> None:
    for event, text in (
        (session(bogus=1), "Unknown parameter: 'session.bogus'."),
        ({"type": "session.update", "session": {}}, "Missing required parameter: 'session.type'."),
        (
            session(audio={"input": {"format": "pcm16"}}),
            "Invalid type for 'session.audio.input.format': expected an object, but got a string instead.",
        ),
        (
            session(tool_choice="sometimes"),
            "Invalid value: 'sometimes'. Supported values are: 'none', 'auto', and 'required'.",
        ),
    ):
        with pytest.raises(Refusal) as refused:
            check_request(event)
        assert refused.value.message == text


def test_an_append_is_limited() -> None:
    check_request({"type": "input_audio_buffer.append", "audio": "A" * 15 * 1024 * 1024})
    with pytest.raises(Refusal) as refused:
        check_request({"type": "input_audio_buffer.append", "audio": "A" * (15 * 1024 * 1024 + 1)})
    assert refused.value.code == "string_above_max_length"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.commit", "event_id": None},
        {"type": "response.create"},
        response(),
        response(
            conversation="none",
            metadata={"topic": "x"},
            input=[
                {"type": "item_reference", "id": "item_1"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
            ],
            tools=[],
            tool_choice="required",
            max_output_tokens="inf",
            output_modalities=["text"],
        ),
        session(
            model="gpt-realtime",
            audio={
                "input": {
                    "turn_detection": None,
                    "noise_reduction": {"type": "near_field"},
                    "transcription": {"model": "m"},
                },
                "output": {"voice": {"id": "voice_1"}, "format": {"type": "audio/pcmu"}, "speed": 1},
            },
            tools=[
                {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}},
                {"type": "mcp", "server_label": "s", "require_approval": {"never": {"tool_names": ["t"]}}},
            ],
            tracing={"workflow_name": "w"},
            truncation={"type": "retention_ratio", "retention_ratio": 0.5},
            prompt={"id": "p"},
            include=["item.input_audio_transcription.logprobs"],
        ),
        {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {}}}},
        message("user", {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}),
        message("assistant", {"type": "output_text", "text": "x"}, status="completed"),
        message("system", {"type": "input_text", "text": "x"}),
        item(type="function_call", name="f", arguments="{}", call_id="c"),
        item(type="mcp_approval_response", id="a", approval_request_id="r", approve=True),
    ],
)
def test_what_is_right_passes(event: dict[str, Any]) -> None:
    check_request(event)


def test_a_translation_session_knows_other_events() -> None:
    check_translation_request({"type": "session.close"})
    check_translation_request({"type": "session.update", "session": {"audio": {"output": {"language": "es"}}}})
    for event in ({"type": "response.create"}, {"type": "input_audio_buffer.append", "audio": ""}):
        with pytest.raises(Refusal) as refused:
            check_translation_request(event)
        assert refused.value.param == "type"
