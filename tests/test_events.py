"""The classes of the protocol: registries, names, equality, what a repr hides."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from realtime_sync import UNSET, InvalidEvent, events
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    ClientEvent,
    ClientEventType,
    ClientSecret,
    ErrorDetail,
    ErrorEvent,
    InputAudio,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputFile,
    InputImage,
    InputText,
    MalformedEvent,
    McpTool,
    RealtimeSessionConfig,
    ResponseCreate,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    ServerEvent,
    ServerEventType,
    ServerVad,
    SessionOutputAudioDelta,
    UnknownEvent,
    UserMessage,
    WireObject,
)
from realtime_sync.events.base import fields_of, or_none

EVENT_CLASSES = list(dict.fromkeys([*SERVER_EVENTS.values(), *CLIENT_EVENTS.values()]))
WIRE_CLASSES = [cls for cls in vars(events).values() if isinstance(cls, type) and issubclass(cls, WireObject)]

ALIASES = {
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}

AUDIO = "QUFBQUFBQUFBQUFBQUFBQQ=="


def audio_delta(delta: Any) -> ResponseOutputAudioDelta:
    return ResponseOutputAudioDelta(response_id="r", item_id="i", output_index=0, content_index=0, delta=delta)


def test_how_many_there_are() -> None:
    ga_server, translation_server, older_server = 46, 4, 2
    assert len(set(SERVER_EVENTS.values())) == ga_server + translation_server + older_server
    assert len(CLIENT_EVENTS) == len(set(CLIENT_EVENTS.values())) == 11 + 2 + 1


def test_aliases_lead_to_the_class_of_today() -> None:
    aliases = {kind: cls.TYPE for kind, cls in SERVER_EVENTS.items() if kind != cls.TYPE}
    assert aliases == ALIASES
    assert all(kind == cls.TYPE for kind, cls in CLIENT_EVENTS.items())


@pytest.mark.parametrize("cls", EVENT_CLASSES)
def test_names_are_mechanical(cls: type[events.Event]) -> None:
    words = re.split(r"[._]", cls.TYPE)
    expected = "ErrorEvent" if cls.TYPE == "error" else "".join(word.title() for word in words)
    assert cls.__name__ == expected
    assert "visit_" + "_".join(words) == cls.VISIT
    assert getattr(events, cls.__name__) is cls


@pytest.mark.parametrize(
    ("enum", "registry"), [(ServerEventType, SERVER_EVENTS), (ClientEventType, CLIENT_EVENTS)], ids=["server", "client"]
)
def test_the_constants_are_the_canonical_types(enum: Any, registry: Any) -> None:
    assert [str(constant) for constant in enum] == list(dict.fromkeys(cls.TYPE for cls in registry.values()))
    for constant in enum:
        assert constant.name == constant.value.replace(".", "_").upper()
        assert f"{constant}" == constant.value == constant
        assert constant == registry[constant].TYPE, "usable as a key"


def test_the_registries_are_read_only() -> None:
    with pytest.raises(TypeError):
        SERVER_EVENTS["x"] = ErrorEvent  # type: ignore[index]
    with pytest.raises(TypeError):
        del CLIENT_EVENTS["response.create"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", WIRE_CLASSES)
def test_every_class_is_slotted_keyword_only_and_documented(cls: type[WireObject]) -> None:
    assert "__dict__" not in dir(cls)
    assert all(a.kw_only for a in fields_of(cls))
    assert inspect.cleandoc(cls.__doc__ or "")
    assert not (cls.__doc__ or "").startswith("Method generated"), "a docstring of its own"
    assert fields_of(cls)[-1].name == "extra" or any(a.name == "extra" for a in fields_of(cls))


def test_everything_public_is_exported() -> None:
    assert set(WIRE_CLASSES) >= set(EVENT_CLASSES)
    assert sorted(set(events.__all__)) == sorted(events.__all__)
    assert {cls.__name__ for cls in WIRE_CLASSES} <= set(events.__all__)
    assert all(hasattr(events, name) for name in events.__all__)


def test_the_sides_are_told_apart() -> None:
    assert all(issubclass(cls, ServerEvent) and not issubclass(cls, ClientEvent) for cls in SERVER_EVENTS.values())
    assert all(issubclass(cls, ClientEvent) and not issubclass(cls, ServerEvent) for cls in CLIENT_EVENTS.values())
    for cls in (UnknownEvent, MalformedEvent):
        assert issubclass(cls, ServerEvent)
        assert issubclass(cls, ClientEvent)


def test_a_required_field_is_required() -> None:
    with pytest.raises(TypeError, match="audio"):
        InputAudioBufferAppend()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        InputAudioBufferAppend(AUDIO)  # type: ignore[misc,call-arg]
    with pytest.raises(TypeError, match="colour"):
        InputText(text="a", colour="red")  # type: ignore[call-arg]


def test_no_field_can_be_misspelt() -> None:
    config = RealtimeSessionConfig()
    with pytest.raises(AttributeError):
        config.instruction = "x"  # type: ignore[attr-defined]


def test_type_has_a_default_and_may_be_another_name() -> None:
    assert InputAudioBufferCommit().type == "input_audio_buffer.commit"
    assert audio_delta("").type == "response.output_audio.delta"
    assert attrs.evolve(audio_delta(""), type="response.audio.delta").VISIT == "visit_response_output_audio_delta"


def test_equality_is_by_class_and_value() -> None:
    one, other = InputText(text="a"), InputText(text="a")
    assert one == other
    assert one != InputText(text="b")
    assert one != InputText(text="a", extra={"b": 1})
    assert InputAudioBufferCommit() != InputAudioBufferClear()
    assert one != "a"
    assert ServerVad() != ServerVad(idle_timeout_ms=None), "left out is not null"


def test_objects_are_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(InputText(text="a"))


def test_objects_do_not_share_their_defaults() -> None:
    one, other = InputText(text="a"), InputText(text="a")
    one.extra["x"] = 1
    assert other.extra == {}


def test_copies_and_pickles() -> None:
    event = ResponseCreate(event_id="e", extra={"a": [1]})
    message = UserMessage(content=[InputText(text="hi")])
    for value in (event, message, RealtimeSessionConfig()):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(RealtimeSessionConfig())).tracing is UNSET


# ------------------------------------------------------------------------------------------------------- repr


def test_a_repr_shows_what_is_set_type_first() -> None:
    event = ResponseOutputTextDelta(
        type="response.text.delta",
        response_id="r",
        item_id="i",
        output_index=0,
        content_index=1,
        delta="x",
        extra={"a": 1},
    )
    assert repr(event) == (
        "ResponseOutputTextDelta(type='response.text.delta', response_id='r', item_id='i', output_index=0, "
        "content_index=1, delta='x', extra={'a': 1})"
    )
    assert repr(RealtimeSessionConfig()) == "RealtimeSessionConfig(type='realtime')"


@pytest.mark.parametrize(
    "value",
    [
        InputAudioBufferAppend(audio=AUDIO),
        InputAudioBufferAppend(audio=AUDIO.encode()),  # type: ignore[arg-type]
        audio_delta(AUDIO),
        SessionOutputAudioDelta(delta=AUDIO),
        InputAudio(audio=AUDIO),
        InputFile(file_data=AUDIO),
        InputImage(image_url=f"data:image/png;base64,{AUDIO}"),
        InputFile(file_url=f"data:image/png;base64,{AUDIO}"),
        UserMessage(content=[InputAudio(audio=AUDIO)]),
        UserMessage(content=[{"image_url": f"data:image/png;base64,{AUDIO}"}]),  # type: ignore[list-item]
        InputText(text="", extra={"audio": AUDIO * 20}),
        InputText(text="", extra={"audio": [{"a": AUDIO.encode()}, bytearray(AUDIO.encode())]}),
        MalformedEvent(raw=AUDIO * 20, error="x"),
        MalformedEvent(raw=AUDIO.encode(), error="x"),
        MalformedEvent(raw=memoryview(AUDIO.encode()), error="x"),
        MalformedEvent(raw=[AUDIO * 20], error="x"),
        UnknownEvent(type="x", raw={"type": "x", "audio": AUDIO * 20}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_shows_media_by_length_only(value: WireObject) -> None:
    assert "QUFB" not in repr(value)
    assert re.search(r"<\d+ (characters|bytes)>", repr(value))


def test_a_repr_shows_an_address() -> None:
    assert "https://pictures.example/1" in repr(InputImage(image_url="https://pictures.example/1"))


KEY = "not-to-be-seen"


@pytest.mark.parametrize(
    "value",
    [
        McpTool(server_label="a", authorization=KEY),
        McpTool(server_label="a", headers={"Authorization": KEY}),
        ClientSecret(value=KEY, expires_at=1),
        RealtimeSessionConfig(client_secret=ClientSecret(value=KEY, expires_at=1)),
        RealtimeSessionConfig(tools=[McpTool(server_label="a", authorization=KEY)]),
        RealtimeSessionConfig(tools=[{"type": "mcp", "authorization": KEY, "headers": {"a": KEY}}]),  # type: ignore[list-item]
        RealtimeSessionConfig(extra={"client_secret": {"value": KEY}, "api_key": KEY}),
        UnknownEvent(type="x", raw={"tools": [{"authorization": KEY}]}),
        UnknownEvent(type="x", raw={"sent": {"Proxy-Authorization": KEY, "X-API-Key": KEY}}),
        MalformedEvent(raw={"session": {"client_secret": {"value": KEY}}}, error="x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_repr_shows_no_credentials(value: WireObject) -> None:
    assert KEY not in repr(value)
    assert "<redacted>" in repr(value)


# ------------------------------------------------------------------------------------------------------ media


def test_delta_bytes() -> None:
    assert audio_delta("AAEC").delta_bytes == b"\x00\x01\x02"
    assert SessionOutputAudioDelta(delta="AAEC").delta_bytes == b"\x00\x01\x02"
    assert audio_delta("").delta_bytes == audio_delta(None).delta_bytes == b""


@pytest.mark.parametrize("delta", ["AAE", "é"])
def test_delta_bytes_of_no_base64(delta: str) -> None:
    with pytest.raises(InvalidEvent, match="not base64"):
        _ = audio_delta(delta).delta_bytes


def test_or_none_is_the_value() -> None:
    detail = ErrorDetail(type="a", message="b")
    assert or_none(detail) is detail


def test_importing_the_events_is_cheap() -> None:
    script = "import sys, realtime_sync.events; print(*[m for m in ('cattrs', 'websocket', 'ssl') if m in sys.modules])"
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == []
