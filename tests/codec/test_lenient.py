"""Odd fields: what becomes of the attribute, what stands in ``extra``, and that nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from realtime_sync import UNSET, codec, decode_client_event, decode_server_event, encode_event, event_to_dict
from realtime_sync import events as e

DONE: dict[str, Any] = {"type": "response.done", "event_id": "e", "response": {"id": "r", "output": []}}
ITEM: dict[str, Any] = {"type": "function_call", "name": "f", "arguments": "{}"}


def done(**response: Any) -> dict[str, Any]:
    return {**DONE, "response": {**DONE["response"], **response}}


def created(**session: Any) -> dict[str, Any]:
    return {"type": "session.created", "session": {"type": "realtime", **session}}


# What servers that nobody here wrote do, or plausibly may.
DEPARTURES = [
    (done(usage={"total_tokens": 7.5}), ["response.usage.total_tokens"]),
    (done(usage={"total_tokens": "7"}), ["response.usage.total_tokens"]),
    (done(usage=[1]), ["response.usage"]),
    (done(status_details="cancelled"), ["response.status_details"]),
    (done(output=[{**ITEM, "arguments": {"a": 1}}]), ["response.output[0].arguments"]),
    (done(output=[{"type": "message", "role": "assistant", "content": "hi"}]), ["response.output[0].content"]),
    (done(output=[None]), ["response.output"]),
    (done(output={}), ["response.output"]),
    (done(metadata=[]), ["response.metadata"]),
    (done(output_modalities="audio"), ["response.output_modalities"]),
    (done(output_modalities=["audio", 5]), ["response.output_modalities"]),
    (done(id=5, status=1), ["response.id", "response.status"]),
    ({**DONE, "event_id": 9, "response": "gone"}, ["event_id", "response"]),
    (created(audio={"input": {"turn_detection": "server_vad"}}), ["session.audio.input.turn_detection"]),
    (created(audio={"input": {"turn_detection": False}}), ["session.audio.input.turn_detection"]),
    (created(audio={"input": {"format": "pcm16"}}), ["session.audio.input.format"]),
    (created(audio=[1]), ["session.audio"]),
    (created(expires_at=1.5), ["session.expires_at"]),
    (created(expires_at="soon"), ["session.expires_at"]),
    (created(tools={}), ["session.tools"]),
    (created(max_output_tokens=7.5), ["session.max_output_tokens"]),
    (created(prompt={"id": 5, "variables": {"a": 5, "b": "c"}}), ["session.prompt.id", "session.prompt.variables"]),
    ({"type": "session.created", "session": {"type": 5, "audio": {"output": {"voice": "v"}}}}, ["session.type"]),
    ({"type": "session.created", "session": {"modalities": "text"}}, ["session.modalities"]),
    (
        {"type": "session.updated", "session": {"input_audio_transcription": True, "temperature": "0.8"}},
        ["session.input_audio_transcription", "session.temperature"],
    ),
    ({"type": "session.updated", "session": 5}, ["session"]),
    (
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 12.3, "item_id": 5},
        ["audio_start_ms", "item_id"],
    ),
    ({"type": "response.function_call_arguments.done", "arguments": {"a": 1}}, ["arguments"]),
    ({"type": "error", "error": {"message": {"text": "a"}, "param": ["b"]}}, ["error.message", "error.param"]),
    ({"type": "error", "error": "no quota"}, ["error"]),
    ({"type": "error", "error": {"code": 429}}, ["error.code"]),
    (
        {"type": "rate_limits.updated", "rate_limits": [{"name": "a", "reset_seconds": "1s"}]},
        ["rate_limits[0].reset_seconds"],
    ),
    ({"type": "rate_limits.updated", "rate_limits": ["a", {"name": "b"}]}, ["rate_limits"]),
    ({"type": "conversation.item.added", "item": {"type": 7, "id": "i"}}, ["item.type"]),
    ({"type": "conversation.item.added", "item": {"type": "message", "role": 7, "content": []}}, ["item.role"]),
]


@pytest.mark.parametrize(("raw", "paths"), DEPARTURES, ids=lambda value: json.dumps(value)[:60])
def test_an_odd_field_costs_only_itself(raw: Any, paths: list[str]) -> None:
    for frame in (raw, json.dumps(raw)):
        event = decode_server_event(frame)
        assert type(event) is e.SERVER_EVENTS[raw["type"]]
        assert list(e.odd_fields(event)) == paths
        assert event_to_dict(event) == json.loads(encode_event(event)) == raw
        assert decode_server_event(encode_event(event)) == event
        said = codec.oddities(event)
        assert [text.split(": expected ")[0].split("[")[0] for text in said.split("; ")] == [
            path.split("[")[0] for path in paths
        ]


def read(raw: Any) -> Any:
    return decode_server_event(raw)


def test_what_the_attributes_are() -> None:
    assert read(done(usage={"total_tokens": 7.6})).response.usage.total_tokens == 8
    assert read(done(usage={"total_tokens": "7"})).response.usage.total_tokens is None
    assert read(done(max_output_tokens=2.0)).response.max_output_tokens == 2
    assert read(done(max_output_tokens=2.0)).response.extra == {}
    assert read(done(output={})).response.output == []
    assert read(done(metadata=[])).response.metadata is None
    assert read({"type": "error", "error": "no quota"}).error.message == "no quota"
    assert read({"type": "error", "error": {"code": 429}}).error.code == "429"
    session = read({"type": "session.created", "session": {"type": 5, "audio": {"output": {"voice": "v"}}}}).session
    assert session.audio.output.voice == "v"
    assert session.type is None


def test_of_a_list_is_kept_what_can_be_read() -> None:
    response = read(done(output=[None, ITEM, 5, {"type": "x"}], output_modalities=["audio", 5])).response
    assert response.output == [e.FunctionCall(name="f", arguments="{}"), e.UnknownObject(type="x")]
    assert response.output_modalities == ["audio"]
    assert response.extra["output"] == [None, ITEM, 5, {"type": "x"}]
    logprobs = [{"token": "a", "logprob": 0, "bytes": [1, 2.5, "x"]}]
    kind = "conversation.item.input_audio_transcription.delta"
    event = read({"type": kind, "item_id": "i", "delta": "d", "logprobs": logprobs})
    assert event.logprobs[0].bytes == [1, 2]
    assert event_to_dict(event)["logprobs"] == logprobs
    assert codec.oddities(event) == (
        "logprobs[0].bytes[1]: expected int, got float; logprobs[0].bytes[2]: expected int, got str"
    )


def test_of_a_table_is_kept_what_can_be_read() -> None:
    variables = {"a": 5, "b": "c", "d": None, "e": {"type": "input_text", "text": "f"}}
    prompt = read(created(prompt={"id": "p", "variables": variables})).session.prompt
    assert prompt.variables == {"b": "c", "e": e.InputText(text="f")}
    assert prompt.extra == {"variables": variables}


@pytest.mark.parametrize("odd", ["server_vad", False, 5, []])
def test_what_cannot_be_read_is_not_taken_for_switched_off(odd: Any) -> None:
    event = read(created(audio={"input": {"turn_detection": odd}}, tracing=5))
    assert event.session.audio.input.turn_detection is UNSET
    assert event.session.tracing is UNSET
    off = read({**created(audio={"input": {"turn_detection": None}}, expires_at="x")})
    assert off.session.audio.input.turn_detection is None


def test_a_field_that_is_set_later_is_sent_in_place_of_what_came() -> None:
    event = read({"type": "input_audio_buffer.speech_started", "audio_start_ms": 12.3, "item_id": 5})
    event.audio_start_ms = 40
    event = attrs.evolve(event, item_id="i")
    assert event_to_dict(event) == {"type": event.type, "audio_start_ms": 40, "item_id": "i"}
    response = read(done(output=[None])).response
    response.output.append(e.FunctionCall(name="f", arguments="{}"))
    assert codec.object_to_dict(response)["output"] == [ITEM]
    session = read(created(tracing=5)).session
    session.tracing = None
    assert codec.object_to_dict(session)["tracing"] is None


def test_nothing_is_odd_about_what_is_only_missing_or_unknown() -> None:
    event = read({"type": "response.done", "vendor": 1, "response": {"vendor": 2, "output": None, "usage": None}})
    assert e.odd_fields(event) == ()
    assert codec.oddities(event) == ""
    assert e.odd_fields(e.UnknownEvent(type="x", raw={"type": "x"})) == ()


def test_what_a_client_sends_is_read_the_same_way() -> None:
    raw = {"type": "response.create", "response": {"instructions": 5}}
    event = decode_client_event(raw)
    assert isinstance(event, e.ResponseCreate)
    assert codec.oddities(event) == "response.instructions: expected str, got int"


def test_many_faults_are_counted() -> None:
    event = read(done(output=[None] * 25))
    assert codec.oddities(event).endswith("response.output[9]: expected an object, got null; and 15 more")
