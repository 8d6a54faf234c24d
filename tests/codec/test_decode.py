"""Decoding: complete, incomplete, unknown, odd and malformed messages, and the first use of everything."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections import UserDict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from protocol_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES

from realtime_sync import (
    UNSET,
    ServerEventType,
    codec,
    decode_client_event,
    decode_server_event,
    encode_event,
    event_to_dict,
    events,
)
from realtime_sync.codec import object_to_dict, structure
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    AssistantMessage,
    AudioConfig,
    AudioInput,
    AudioPcm,
    ConversationItemAdded,
    ConversationItemCreate,
    ErrorDetail,
    ErrorEvent,
    FlatSessionConfig,
    FunctionTool,
    InputText,
    MalformedEvent,
    Message,
    OutputAudio,
    OutputText,
    RateLimitsUpdated,
    RealtimeSessionConfig,
    ResponseConfig,
    ResponseContentPartDone,
    ResponseCreate,
    ResponseDone,
    ResponseOutputTextDelta,
    ServerVad,
    SessionConfig,
    SessionCreated,
    TokenTranscriptionUsage,
    TranscriptionSessionConfig,
    TranslationSessionConfig,
    UnknownEvent,
    UnknownObject,
    UserMessage,
    WireObject,
)
from realtime_sync.events.base import fields_of

SECRET = "do-not-show-this"
DELTA = {
    "type": "response.output_text.delta",
    "event_id": "e1",
    "response_id": "r1",
    "item_id": "i1",
    "output_index": 0,
    "content_index": 2,
    "delta": "hi",
}
EXAMPLES = [
    *(pytest.param(e, decode_server_event, SERVER_EVENTS, id=e["type"]) for e in SERVER_EXAMPLES),
    *(pytest.param(e, decode_client_event, CLIENT_EVENTS, id=e["type"]) for e in CLIENT_EXAMPLES),
]


def message(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.added", "item": {"type": "message", "role": "user", **fields}}


def item_of(item: Any) -> Any:
    event = decode_server_event({"type": "conversation.item.added", "item": item})
    assert isinstance(event, ConversationItemAdded), event
    return event.item


def oddities_of(raw: Any) -> str:
    """What is said of an event with odd fields, which loses nothing."""
    event = decode_server_event(json.dumps(raw))
    assert type(event) is SERVER_EVENTS[raw["type"]]
    assert event_to_dict(event) == json.loads(encode_event(event)) == raw
    assert events.odd_fields(event)
    said = codec.oddities(event)
    assert SECRET not in said
    return said


def error_of(raw: Any) -> str:
    event = decode_server_event(raw if isinstance(raw, (str, bytes)) else json.dumps(raw))
    assert isinstance(event, MalformedEvent), event
    assert SECRET not in event.error
    return event.error


def known_throughout(value: Any) -> bool:
    """Whether no part of a decoded event is of an unknown kind."""
    if isinstance(value, list):
        return all(map(known_throughout, value))
    if not isinstance(value, WireObject):
        return True
    parts = (getattr(value, a.name) for a in fields_of(type(value)) if a.name != "extra")
    return not isinstance(value, UnknownObject) and not value.extra and all(map(known_throughout, parts))


@pytest.mark.parametrize(("example", "decode", "registry"), EXAMPLES)
def test_every_example_is_typed_and_encoded_again_the_same(example: Any, decode: Any, registry: Any) -> None:
    event = decode(json.dumps(example))
    assert type(event) is registry[example["type"]]
    assert event.type == example["type"]
    assert known_throughout(event)
    assert json.loads(encode_event(event)) == event_to_dict(event) == example


def test_there_is_an_example_of_every_event() -> None:
    assert {e["type"] for e in SERVER_EXAMPLES} == set(SERVER_EVENTS)
    assert {e["type"] for e in CLIENT_EXAMPLES} == set(CLIENT_EVENTS)


@pytest.mark.parametrize("form", [str, str.encode, lambda s: bytearray(s, "utf-8"), lambda s: memoryview(s.encode())])
def test_a_frame_may_be_text_or_bytes(form: Any) -> None:
    assert decode_server_event(form(json.dumps(DELTA))) == decode_server_event(DELTA)


@pytest.mark.parametrize("form", [dict, UserDict, MappingProxyType])
def test_a_frame_may_be_a_mapping(form: Any) -> None:
    event = decode_server_event(form({**DELTA, "type": ServerEventType.RESPONSE_OUTPUT_TEXT_DELTA}))
    assert event == ResponseOutputTextDelta(
        event_id="e1", response_id="r1", item_id="i1", output_index=0, content_index=2, delta="hi"
    )
    assert type(event.type) is str


def test_a_mapping_may_hold_typed_objects() -> None:
    item = UserMessage(content=[InputText(text="a")])
    assert decode_client_event({"type": "conversation.item.create", "item": item}) == ConversationItemCreate(item=item)


def test_a_decoded_mapping_is_not_shared() -> None:
    raw = {"type": "response.create", "response": {"metadata": {"a": ["b"]}}}
    event = decode_client_event(raw)
    raw["response"]["metadata"]["a"].append("c")  # type: ignore[index]
    assert event == ResponseCreate(response=ResponseConfig(metadata={"a": ["b"]}))


def test_messages_by_role() -> None:
    assert type(item_of({"type": "message", "role": "assistant", "content": []})) is AssistantMessage
    critic = item_of({"type": "message", "role": "critic", "content": []})
    assert type(critic) is Message
    assert critic.role == "critic"


def test_content_parts_of_both_dialects() -> None:
    parts = item_of(
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "output_text", "text": "a"},
                {"type": "audio", "transcript": "b"},
                {"type": "output_audio"},
                {"type": "hologram", "depth": 3},
                {"text": "no type"},
            ],
        }
    ).content
    assert parts == [
        OutputText(type="text", text="a"),
        OutputText(text="a"),
        OutputAudio(type="audio", transcript="b"),
        OutputAudio(),
        UnknownObject(type="hologram", extra={"depth": 3}),
        UnknownObject(extra={"text": "no type"}),
    ]


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"type": "realtime"}, RealtimeSessionConfig),
        ({"type": "transcription"}, TranscriptionSessionConfig),
        ({"type": "translation"}, TranslationSessionConfig),
        ({"type": "hologram", "depth": 3}, UnknownObject),
        ({"audio": {"output": {"language": "es"}}}, TranslationSessionConfig),
        ({"audio": {"input": {"transcription": None}}}, TranslationSessionConfig),
        ({"audio": {}, "novelty": 1}, TranslationSessionConfig),
        ({"audio": [1]}, TranslationSessionConfig),
        ({"audio": {"output": {"voice": "marin"}}}, RealtimeSessionConfig),
        ({"audio": {"input": {"turn_detection": None}}}, RealtimeSessionConfig),
        ({"audio": {"output": {"language": "es"}}, "instructions": "a"}, RealtimeSessionConfig),
        ({"voice": "alloy", "type": None}, FlatSessionConfig),
        ({}, FlatSessionConfig),
    ],
)
def test_kinds_of_session(session: Any, expected: Any) -> None:
    created = decode_server_event({"type": "session.created", "session": session})
    assert type(created.session if isinstance(created, SessionCreated) else created) is expected


def test_untagged_variants_where_the_protocol_lets_the_type_out() -> None:
    config = structure(
        {"tools": [{"name": "f"}], "audio": {"input": {"format": {"rate": 16000}, "turn_detection": {"threshold": 1}}}},
        RealtimeSessionConfig,
    )
    assert config.tools == [FunctionTool(name="f")]
    assert config.audio == AudioConfig(
        input=AudioInput(format=AudioPcm(rate=16000), turn_detection=ServerVad(threshold=1))
    )
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    kind = "conversation.item.input_audio_transcription.completed"
    event: Any = decode_server_event({"type": kind, "item_id": "i", "transcript": "", "usage": usage})
    assert event.usage == TokenTranscriptionUsage(**usage)


def test_three_states() -> None:
    session: Any = structure({"type": "realtime", "tracing": None}, SessionConfig)
    assert session.tracing is None
    assert session.prompt is UNSET
    assert object_to_dict(session) == {"type": "realtime", "tracing": None}


def test_null_is_absent_where_it_means_nothing() -> None:
    config = {"type": "realtime", "instructions": None, "tools": None, "audio": {"output": None}, "prompt": None}
    event: Any = decode_server_event({"type": "session.created", "session": config})
    assert event.session == RealtimeSessionConfig(audio=AudioConfig(), prompt=None)
    assert event_to_dict(event)["session"] == {"type": "realtime", "audio": {}, "prompt": None}


def test_a_wire_field_called_extra_is_kept() -> None:
    event = decode_server_event({**DELTA, "extra": {"a": 1}})
    assert event.extra == {"extra": {"a": 1}}
    assert event_to_dict(event)["extra"] == {"a": 1}


def test_scalars_are_not_converted() -> None:
    limits = {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens", "limit": 5, "reset_seconds": 1}]}
    event = decode_server_event(limits)
    assert isinstance(event, RateLimitsUpdated)
    assert type(event.rate_limits[0].reset_seconds) is int
    assert event_to_dict(event) == limits


def test_duplicate_keys_the_last_one_counts() -> None:
    assert isinstance(decode_server_event('{"type": "error", "type": "session.closed"}'), events.SessionClosed)


@pytest.mark.parametrize("name", [name for name in DELTA if name != "type"])
@pytest.mark.parametrize("null", [False, True])
def test_an_incomplete_event_is_typed(name: str, null: bool) -> None:
    raw: dict[str, Any] = {k: v for k, v in DELTA.items() if k != name}
    event = decode_server_event({**raw, name: None} if null else raw)
    assert isinstance(event, ResponseOutputTextDelta)
    assert getattr(event, name) is None
    assert event_to_dict(event) == raw
    assert decode_server_event(json.dumps(raw)) == event, "the second one comes another way"


def test_missing_lists_are_empty_and_missing_objects_none() -> None:
    assert item_of({"type": "message", "role": "user"}) == UserMessage(content=[])
    assert item_of({"type": "message", "role": "user", "content": None}) == UserMessage(content=[])
    assert item_of(None) is None
    assert item_of({"type": "message", "role": None, "content": []}).role is None
    done: Any = decode_server_event({"type": "response.done", "response": {"output": None}})
    assert done.response.output == []
    assert done.response.output_modalities is None
    nothing: Any = decode_server_event({"type": "response.done"})
    assert nothing.response is None
    headers = {"type": "realtime", "tools": [{"type": "mcp", "headers": None}]}
    created: Any = decode_server_event({"type": "session.created", "session": headers})
    assert created.session.tools[0].headers is None
    assert created.session.tools[0].server_label is None


def test_whole_numbers_may_come_as_floats() -> None:
    event = decode_server_event({**DELTA, "output_index": 3.0})
    assert isinstance(event, ResponseOutputTextDelta)
    assert type(event.output_index) is int
    assert event.output_index == 3
    assert event.extra == {}
    for odd, read in ((3.6, 4), (-0.4, 0), (2.0**80, None), (True, None), ("3", None)):
        event = decode_server_event({**DELTA, "output_index": odd})
        assert isinstance(event, ResponseOutputTextDelta)
        assert event.output_index == read
        assert type(event.output_index) is type(read)
        assert event.extra == {"output_index": odd}
        assert oddities_of({**DELTA, "output_index": odd}) == f"output_index: expected int, got {type(odd).__name__}"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("no quota", {"message": "no quota"}),
        ({"code": 429, "message": "slow down"}, {"code": "429", "message": "slow down", "extra": {"code": 429}}),
        ({"type": "invalid_api_key"}, {"type": "invalid_api_key"}),
        ({"message": "a", "param": ["b"]}, {"message": "a", "param": None, "extra": {"param": ["b"]}}),
    ],
)
def test_errors_in_the_manner_of_compatible_servers(error: Any, expected: Any) -> None:
    raw = {"type": "error", "error": error}
    event = decode_server_event(json.dumps(raw))
    assert isinstance(event, ErrorEvent)
    assert event.error == ErrorDetail(**{"type": None, "message": None, **expected})
    assert event_to_dict(event) == raw
    response = {"status": "failed", "status_details": {"error": error}, "output": []}
    done = decode_server_event({"type": "response.done", "response": response})
    assert isinstance(done, ResponseDone)
    assert object_to_dict(done.response) == response
    details: Any = done.response.status_details
    assert details.error.message == event.error.message
    assert details.error.code == event.error.code


def test_an_error_without_anything() -> None:
    event = decode_server_event({"type": "error"})
    assert isinstance(event, ErrorEvent)
    assert event.error is None
    assert oddities_of({"type": "error", "error": [SECRET]}) == "error: expected an object, got list"
    assert oddities_of({"type": "error", "error": {"code": True}}) == "error.code: expected str, got bool"


def test_an_unknown_event() -> None:
    raw = {"type": "weather.changed", "event_id": "e", "wind": [1, {"a": None}]}
    event = decode_server_event(json.dumps(raw))
    assert event == UnknownEvent(type="weather.changed", event_id="e", raw=raw)
    assert json.loads(encode_event(event)) == raw
    assert decode_client_event('{"type": "x", "event_id": 5}') == UnknownEvent(
        type="x", raw={"type": "x", "event_id": 5}
    )


def test_the_other_sides_events_are_unknown() -> None:
    assert isinstance(decode_server_event('{"type": "response.create"}'), UnknownEvent)
    assert isinstance(decode_client_event('{"type": "response.done"}'), UnknownEvent)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (f'{{"type": {SECRET}', "not JSON"),
        (b'{"a": "\xff"', "not JSON"),
        ('{"type": "error", "error": NaN', "not JSON"),
        ('{"type": "error", "error": 1e999, "event_id": "\\ud83d"}', "not JSON"),
        ([SECRET], "expected an object, got list"),
        (SECRET, "not JSON"),
        ("null", "expected an object, got null"),
        ({}, "type: missing"),
        ({"type": ""}, "type: missing"),
        ({"type": None}, "type: missing"),
        ({"type": 5}, "type: expected str, got int"),
        ({"type": [SECRET]}, "type: expected str, got list"),
    ],
)
def test_a_malformed_message_says_where_and_never_what(raw: Any, error: str) -> None:
    found = error_of(raw)
    assert found == error or (error == "not JSON" and found.startswith("not JSON: "))
    frame = raw if isinstance(raw, (str, bytes)) else json.dumps(raw)
    event = decode_client_event(frame)
    assert isinstance(event, (MalformedEvent, UnknownEvent))


@pytest.mark.parametrize(
    ("frame", "delta"),
    [
        (r'"half \ud83d"', "half \ufffd"),
        (
            r'"\ude00 the other, \ud83d\ude00 both, \\ud83d neither"',
            "\ufffd the other, \U0001f600 both, \\ud83d neither",
        ),
        (b'"caf\xc3"', "caf\ufffd"),
        (bytearray(b'"\xff"'), "\ufffd"),
        ('"in the text: \ud83d"', "in the text: \ufffd"),
        ("NaN", None),
        ("-Infinity", None),
    ],
)
def test_a_text_that_is_cut_in_a_character_is_read(frame: Any, delta: str | None) -> None:
    """Servers that cut their texts by code units or bytes, and those whose numbers are none."""
    head, tail = '{"type": "response.output_text.delta", "item_id": "i", "delta": ', ', "extra": {"p": [NaN]}}'
    whole = head + frame + tail if isinstance(frame, str) else head.encode() + frame + tail.encode()
    for _ in range(4):  # read in either way
        event = decode_server_event(whole)
        assert isinstance(event, ResponseOutputTextDelta)
        assert (event.item_id, event.delta, event.extra) == ("i", delta, {"extra": {"p": [None]}})


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({**DELTA, "delta": [SECRET]}, "delta: expected str, got list"),
        ({**DELTA, "event_id": 5}, "event_id: expected str, got int"),
        (message(content=[{"type": "input_text", "text": 5}]), "item.content[0].text: expected str, got int"),
        (
            message(content=[{"type": "input_text", "text": "a"}, SECRET]),
            "item.content[1]: expected an object, got str",
        ),
        (message(content=SECRET), "item.content: expected a list, got str"),
        (message(content=[None]), "item.content[0]: expected an object, got null"),
        (message(role=[SECRET], content=[]), "item.role: expected str, got list"),
        ({"type": "conversation.item.added", "item": {"type": 7}}, "item.type: expected str, got int"),
        ({"type": "conversation.item.added", "item": [SECRET]}, "item: expected an object, got list"),
        ({"type": "response.done", "response": SECRET}, "response: expected an object, got str"),
        (
            {"type": "response.done", "response": {"output": [], "max_output_tokens": [SECRET]}},
            "response.max_output_tokens: expected int or str, got list",
        ),
        (
            {"type": "response.done", "response": {"output": [], "metadata": SECRET}},
            "response.metadata: expected an object, got str",
        ),
        (
            {"type": "response.done", "response": {"output": [], "usage": {"total_tokens": SECRET}}},
            "response.usage.total_tokens: expected int, got str",
        ),
        (
            {"type": "rate_limits.updated", "rate_limits": [{}, {"reset_seconds": SECRET}]},
            "rate_limits[1].reset_seconds: expected float, got str",
        ),
        ({"type": "session.created", "session": [SECRET]}, "session: expected an object, got list"),
        ({"type": "session.created", "session": {"voice": 5}}, "session.voice: expected str or an object, got int"),
        (
            {"type": "session.created", "session": {"type": "realtime", "prompt": {"variables": {SECRET: 5}}}},
            "session.prompt.variables: expected str or an object, got int",
        ),
        (
            {
                "type": "session.created",
                "session": {"type": "realtime", "tools": [{"type": "mcp", "allowed_tools": 5}]},
            },
            "session.tools[0].allowed_tools: expected an object or a list, got int",
        ),
    ],
)
def test_a_field_of_the_wrong_kind_costs_only_itself(raw: Any, said: str) -> None:
    assert oddities_of(raw) == said
    assert isinstance(decode_client_event(json.dumps(raw)), UnknownEvent)


def test_a_malformed_message_is_kept() -> None:
    assert decode_server_event("[1]") == MalformedEvent(raw="[1]", error="expected an object, got list")
    raw = {"type": 7, "event_id": "e", "response": 5}
    assert decode_server_event(json.dumps(raw)) == MalformedEvent(raw=raw, error="type: expected str, got int")


def test_mappings_that_json_cannot_hold_are_malformed() -> None:
    for fields, error in (
        ({"delta": b"a"}, "delta: bytes cannot be sent as JSON"),
        ({"delta": math.nan}, "delta: the number is not finite"),
        ({1: 2}, "keys must be str, not int"),
        (
            {"delta": b"a", "item_id": {2}},
            "item_id: set cannot be sent as JSON; use str, int, float, bool, None, list or dict; delta: bytes",
        ),
    ):
        event = decode_server_event({**DELTA, **fields})  # type: ignore[dict-item]
        assert isinstance(event, MalformedEvent)
        assert event.error.startswith(error)


def test_a_mapping_that_contains_itself_is_malformed() -> None:
    raw: dict[str, Any] = {"type": "error"}
    raw["error"] = raw
    event = decode_server_event(raw)
    assert isinstance(event, MalformedEvent)
    assert event.error == "error: nested too deeply, or contains itself"


def test_the_same_message_may_be_odd_many_times() -> None:
    said = oddities_of({**DELTA, "delta": 5})
    assert {oddities_of({**DELTA, "delta": 5}) for _ in range(3)} == {said}


def test_first_use_from_many_threads_at_once() -> None:
    script = """
import sys, threading
sys.setswitchinterval(1e-6)
from protocol_examples import SERVER_EXAMPLES
from realtime_sync.codec import decode_server_event, encode_event
results, barrier = [], threading.Barrier(8)
def work():
    barrier.wait()
    results.append([decode_server_event(example) for example in SERVER_EXAMPLES])
    results.append([decode_server_event(encode_event(event)) for event in results[-1]])
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert len(results) == 16 and all(r == results[0] for r in results)
assert not any("Malformed" in type(e).__name__ or e.type == "unknown" for e in results[0])
print("same")
"""
    here = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=here)
    assert done.stdout == "same\n", done.stderr


def test_cattrs_is_loaded_on_first_use() -> None:
    script = "import sys, realtime_sync.codec; print('cattrs' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_decoding_while_others_decode() -> None:
    frames = [json.dumps(e) for e in SERVER_EXAMPLES]
    expected = [decode_server_event(f) for f in frames]
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            wrong.extend(f for f, e in zip(frames, expected, strict=True) if decode_server_event(f) != e)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_content_part_events() -> None:
    event = decode_server_event({"type": "response.content_part.done", "part": {"type": "audio", "transcript": "x"}})
    assert isinstance(event, ResponseContentPartDone)
    assert event.part == OutputAudio(type="audio", transcript="x")


def test_the_extra_of_a_decoded_object_is_made_when_it_is_asked_for_and_then_stays() -> None:
    event = decode_server_event({"type": "response.done", "response": {"id": "resp_1", "output": []}})
    assert isinstance(event, events.ResponseDone)
    event.response.extra["vendor"] = 1
    assert event.response.extra == {"vendor": 1}
    assert event.extra == {}
    assert event_to_dict(event)["response"]["vendor"] == 1
    assert decode_server_event(encode_event(event)) == event


@pytest.mark.parametrize(
    ("fields", "cls", "wrong"),
    [
        ({"type": "response.create", "response": {"instructions": "a"}}, ResponseCreate, ""),
        ({"type": "response.create", "response": None, "vendor": 1}, ResponseCreate, ""),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}, ConversationItemCreate, ""),
        (
            {"type": "response.create", "event_id": 5, "response": {"instructions": 5}},
            ResponseCreate,
            "event_id: expected str, got int; response.instructions: expected str, got int",
        ),
        ({"type": "vendor.thing", "a": 1}, UnknownEvent, ""),
        ({"a": 1}, MalformedEvent, "type: missing"),
    ],
)
def test_what_is_wrong_with_an_event_of_our_own(fields: dict[str, Any], cls: Any, wrong: str) -> None:
    assert codec.decode_own(fields, CLIENT_EVENTS) == (decode_client_event(fields), wrong)
    assert type(codec.decode_own(fields, CLIENT_EVENTS)[0]) is cls


def test_a_type_that_is_null_is_as_good_as_left_out() -> None:
    session = {"type": "realtime", "audio": {"input": {"format": {"type": None, "rate": 24000}}}}
    event: Any = decode_server_event({"type": "session.updated", "session": session})
    left_out: Any = decode_server_event(
        {"type": "session.updated", "session": {**session, "audio": {"input": {"format": {"rate": 24000}}}}}
    )
    assert event == left_out
    assert decode_server_event(encode_event(event)) == event
