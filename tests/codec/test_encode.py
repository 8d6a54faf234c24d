"""Encoding: what is sent, what is left out, and what is refused with its place."""

from __future__ import annotations

import json
import math
from collections import UserDict
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any

import pytest

from realtime_sync import (
    UNSET,
    InvalidEvent,
    decode_client_event,
    decode_server_event,
    encode_event,
    event_to_dict,
)
from realtime_sync.codec import encode_append, object_to_dict
from realtime_sync.events import (
    AudioConfig,
    AudioInput,
    FunctionTool,
    InputAudioBufferAppend,
    InputText,
    MalformedEvent,
    RealtimeSessionConfig,
    ResponseConfig,
    ResponseCreate,
    SessionUpdate,
    UnknownEvent,
)


def test_none_and_unset_are_left_out_and_null_is_sent_where_it_means_something() -> None:
    config = RealtimeSessionConfig(
        instructions="a", audio=AudioConfig(input=AudioInput(turn_detection=None)), tracing=None, prompt=UNSET
    )
    assert event_to_dict(SessionUpdate(session=config)) == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "a",
            "audio": {"input": {"turn_detection": None}},
            "tracing": None,
        },
    }


def test_the_type_comes_first() -> None:
    assert encode_event(InputAudioBufferAppend(audio="AAA=", event_id="e")) == (
        '{"type":"input_audio_buffer.append","event_id":"e","audio":"AAA="}'
    )


def test_a_typed_object_may_hold_plain_data() -> None:
    event = SessionUpdate(session={"type": "realtime", "tools": ({"name": "f"},), "prompt": UNSET})  # type: ignore[arg-type]
    assert event_to_dict(event)["session"] == {"type": "realtime", "tools": [{"name": "f"}]}


def test_a_mapping_is_sent_as_it_stands() -> None:
    class Voice(str, Enum):
        CALM = "marin"

    event = {"type": "session.update", "session": MappingProxyType({"voice": Voice.CALM, "instructions": None})}
    assert encode_event(event) == '{"type":"session.update","session":{"voice":"marin","instructions":null}}'
    assert encode_event({Voice.CALM: 1, "type": "x"}) == '{"marin":1,"type":"x"}'


def test_extra_is_merged_but_never_wins() -> None:
    event = ResponseCreate(extra={"type": "x", "speed": 2, "response": None, "event_id": "e", "gone": UNSET})
    assert event_to_dict(event) == {"type": "response.create", "event_id": "e", "speed": 2, "response": None}


def test_the_dict_is_a_copy() -> None:
    parameters = {"type": "object", "properties": {}}
    event = SessionUpdate(session=RealtimeSessionConfig(tools=[FunctionTool(name="f", parameters=parameters)]))
    event_to_dict(event)["session"]["tools"][0]["parameters"]["properties"]["a"] = {}
    assert parameters == {"type": "object", "properties": {}}


CYCLE: list[Any] = []
CYCLE.append(CYCLE)
DEEP: Any = {}
for _ in range(400):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (InputAudioBufferAppend(audio=b"secret"), "audio: bytes cannot be sent as JSON; base64-encode them"),  # type: ignore[arg-type]
        (InputAudioBufferAppend(audio=memoryview(b"s")), "audio: bytes cannot be sent"),  # type: ignore[arg-type]
        (ResponseCreate(response=ResponseConfig(metadata={"a": [1, math.inf]})), "response.metadata.a[1]: the number"),
        (ResponseCreate(response=ResponseConfig(metadata={"a": {2}})), "response.metadata.a: set cannot be sent"),
        (ResponseCreate(response=ResponseConfig(metadata={2: "a"})), "response.metadata: keys must be str, not int"),  # type: ignore[dict-item]
        (ResponseCreate(response=ResponseConfig(metadata={"\ud800": 1})), "response.metadata: a key is no valid text"),
        (ResponseCreate(response=ResponseConfig(instructions="\ud83d")), "response.instructions: the text holds half"),
        (ResponseCreate(response=ResponseConfig(max_output_tokens=2**64)), "does not fit in 64 bits"),
        (ResponseCreate(response=ResponseConfig(max_output_tokens=-(2**63) - 1)), "does not fit in 64 bits"),
        (ResponseCreate(extra={"a": CYCLE}), "a: nested too deeply, or contains itself"),
        (ResponseCreate(extra={"a": DEEP}), "a: nested too deeply, or contains itself"),
        (ResponseCreate(extra={"a": UnknownEvent(type="x", raw={"b": b""})}), "a.b: bytes"),
        (ResponseCreate(extra={"a": UNSET, "c": [True, None, 1.5, "", b""]}), "c[4]: bytes"),
        ({"type": "x", "a": {"b": (b"",)}}, "a.b[0]: bytes"),
        ({1: "x"}, "keys must be str, not int"),
        ({"type": "x", "a": MalformedEvent(raw="", error="")}, "a: a malformed event cannot be sent"),
        (MalformedEvent(raw="", error=""), "a malformed event cannot be sent"),
        ({}, "dict has no `type`"),
        ({"type": None}, "dict has no `type`"),
        ({"type": 5}, "dict has no `type`"),
        (InputText(text="a", type=""), "InputText has no `type`"),
        ("text", "an object of the protocol or a mapping is needed, not str"),
        (None, "an object of the protocol or a mapping is needed, not null"),
        (5j, "complex cannot be sent as JSON"),
    ],
)
def test_what_cannot_be_encoded_is_refused_with_its_place(event: Any, text: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        encode_event(event)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_unset_in_a_list_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"a\[0\]: UNSET can leave out a field"):
        encode_event({"type": "x", "a": [UNSET]})


class Hostile(UserDict[str, Any]):
    def items(self) -> Any:
        raise OSError("disk on fire")


def test_a_mapping_that_cannot_be_read() -> None:
    with pytest.raises(InvalidEvent, match="Hostile cannot be read as JSON data"):
        encode_event(Hostile({"type": "x"}))
    event = decode_server_event(Hostile({"type": "x"}))
    assert isinstance(event, MalformedEvent)
    assert event.error == "Hostile cannot be read as JSON data"


def test_numbers_of_other_classes_are_numbers() -> None:
    class Level(IntEnum):
        HIGH = 3

    class Real(float):
        pass

    plain = object_to_dict({"a": Level.HIGH, "b": Real(0.5), "c": True})
    assert [type(value) for value in plain.values()] == [int, float, bool]
    with pytest.raises(InvalidEvent, match="not finite"):
        encode_event({"type": "x", "a": Real("nan")})


def test_event_to_dict_refuses_the_same() -> None:
    with pytest.raises(InvalidEvent, match="audio: bytes"):
        event_to_dict(InputAudioBufferAppend(audio=b""))  # type: ignore[arg-type]


def test_the_largest_numbers() -> None:
    event = {"type": "x", "a": [2**64 - 1, -(2**63), 0.1, 1e300, -0.0]}
    assert json.loads(encode_event(event)) == event


def test_encode_append() -> None:
    raw = bytes(range(256))
    sent = decode_client_event(encode_append(memoryview(raw), "e7"))
    assert isinstance(sent, InputAudioBufferAppend)
    assert sent.event_id == "e7"
    assert sent == decode_client_event(encode_append(sent.audio, "e7"))
