"""Events with one odd field, as compatible servers send them: the class and everything beside it stay, the field is
``None`` (a float where a whole number belongs is rounded), what came is kept, and nothing waits in vain.

Only public names are used; the events come from the examples of the protocol, and from a `ScriptedServer`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import attrs
import pytest
from protocol_examples import (
    ASSISTANT_MESSAGE,
    FINISHED_RESPONSE,
    FLAT_REALTIME_SESSION,
    FUNCTION_CALL,
    SERVER_EXAMPLES,
    SESSION,
)
from scripted_server import (
    OPEN,
    Change,
    Departure,
    Exchange,
    Frame,
    JsonObject,
    ScriptedServer,
    answer_to,
    chain,
    edit,
    flat_config,
    nested_config,
    put,
    refusal,
    with_vad,
)
from scripted_session import BUSY, SOUND, TURN_S, assert_usable, at_once, connect, look_up, no_thread_left, opened

import realtime_sync as rt


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


ROUNDED: Any = object()  # where a float in a whole-number field becomes the nearest whole number


@dataclass(frozen=True)
class Odd:
    """``value`` at ``path`` of an event; ``becomes`` is what the attribute holds then (``None``: nothing)."""

    kind: str
    path: str
    value: Any
    becomes: Any = None
    base: str = ""

    @property
    def id(self) -> str:
        shown = json.dumps(self.value).replace(" ", "").replace('"', "'")
        return f"{self.kind}{self.base and ' ' + self.base}:{self.path}={shown}"

    @property
    def keys(self) -> list[str | int]:
        return [int(key) if key.isdigit() else key for key in self.path.split(".")]

    @property
    def raw(self) -> JsonObject:
        """A whole event with the odd value in it."""
        event = deepcopy(
            _BASES.get((self.kind, self.base)) or next(e for e in SERVER_EXAMPLES if e["type"] == self.kind)
        )
        event["type"] = self.kind
        put(*self.keys, value=self.value)(event)
        return event


_DONE = {"type": "response.done", "event_id": "ev_1"}
_BASES: dict[tuple[str, str], JsonObject] = {
    ("response.done", ""): {**_DONE, "response": {**FINISHED_RESPONSE, "output": [ASSISTANT_MESSAGE]}},
    ("response.done", "call"): {**_DONE, "response": {**FINISHED_RESPONSE, "output": [FUNCTION_CALL]}},
    **{
        (kind, base): {"type": kind, "event_id": "ev_1", "session": session}
        for kind in ("session.created", "session.updated")
        for base, session in (("", SESSION), ("flat", FLAT_REALTIME_SESSION))
    },
    **{
        (f"conversation.item.{name}", kind): {
            "type": f"conversation.item.{name}",
            "event_id": "ev_1",
            "previous_item_id": "item_0",
            "item": item,
        }
        for name in ("added", "done", "created", "retrieved")
        for kind, item in (
            ("message", ASSISTANT_MESSAGE),
            ("call", FUNCTION_CALL),
            ("output", {"type": "function_call_output", "id": "item_o1", "call_id": "call_8", "output": "12"}),
        )
    },
}


def _done(path: str, value: Any, becomes: Any = None, base: str = "") -> Odd:
    return Odd("response.done", f"response.{path}" if path else "response", value, becomes, base)


def _configured(path: str, value: Any, becomes: Any = None, base: str = "") -> Odd:
    return Odd("session.created", f"session.{path}" if path else "session", value, becomes, base)


ODD_DONE = [
    _done("usage.total_tokens", 15.7, ROUNDED),
    _done("usage.total_tokens", "15"),
    _done("usage.input_tokens", 10.2, ROUNDED),
    _done("usage.output_tokens", True),
    _done("usage.input_token_details.text_tokens", 9.6, ROUNDED),
    _done("usage.input_token_details.cached_tokens", "4"),
    _done("usage.input_token_details.cached_tokens_details", 4),
    _done("usage.input_token_details", []),
    _done("usage.output_token_details", "none"),
    _done("usage.output_token_details.audio_tokens", 0.4, ROUNDED),
    _done("usage", "15 tokens"),
    _done("usage", []),
    _done("status_details", "all is well"),
    _done("status_details.reason", 5),
    _done("status_details.error", ["none"]),
    _done("output", [None]),
    _done("output", ["Answer"]),
    _done("output", {}),
    _done("output", "Answer"),
    _done("output.0.content", "Answer"),
    _done("output.0.content", [None]),
    _done("output.0.content", ["Answer"]),
    _done("output.0.content.0.text", 5),
    _done("output.0.id", 12),
    _done("output.0.status", 1),
    _done("output.0.arguments", {"city": "Lyon"}, base="call"),
    _done("output.0.call_id", 9, base="call"),
    _done("output.0.id", 9, base="call"),
    _done("metadata", []),
    _done("metadata", "none"),
    _done("id", 7),
    _done("status", 200),
    _done("conversation_id", 5),
    _done("output_modalities", "text"),
    _done("audio", "alloy"),
    _done("max_output_tokens", []),
    _done("", []),
    _done("", "done"),
]
ODD_CONFIG = [
    _configured("audio.input.turn_detection", "server_vad"),
    _configured("audio.input.turn_detection", False),
    _configured("audio.input.turn_detection.threshold", "0.5"),
    _configured("audio.input.turn_detection.silence_duration_ms", 500.4, ROUNDED),
    _configured("audio.input.turn_detection.create_response", "true"),
    _configured("audio.input.format", "pcm16"),
    _configured("audio.input.format.rate", 24000.2, ROUNDED),
    _configured("audio.output.format", "pcm16"),
    _configured("audio.output.voice", 5),
    _configured("audio.output.speed", "1.0"),
    _configured("audio.input.transcription", True),
    _configured("audio.input.noise_reduction", "near_field"),
    _configured("audio.input", "pcm16"),
    _configured("audio", []),
    _configured("expires_at", 1790003600.7, ROUNDED),
    _configured("expires_at", "2026-09-21T12:33:20Z"),
    _configured("output_modalities", "text"),
    _configured("tools", {}),
    _configured("tools", [None]),
    _configured("tool_choice", False),
    _configured("max_output_tokens", []),
    _configured("truncation", 0.8),
    _configured("tracing", False),
    _configured("prompt", "none"),
    _configured("include", "item.input_audio_transcription.logprobs"),
    _configured("id", 5),
    _configured("model", {}),
    _configured("instructions", []),
    _configured("client_secret", "ek_1"),
    _configured("", "sess_1"),
    _configured("", []),
    _configured("temperature", "0.8", base="flat"),
    _configured("modalities", "text", base="flat"),
    _configured("input_audio_transcription", True, base="flat"),
    _configured("input_audio_format", {"type": "audio/pcm"}, base="flat"),
    _configured("turn_detection", "server_vad", base="flat"),
    _configured("turn_detection", False, base="flat"),
    _configured("tools", {}, base="flat"),
    _configured("expires_at", 1790003600.7, ROUNDED, base="flat"),
    _configured("expires_at", "never", base="flat"),
]
ODD_ERROR = [
    Odd("error", "error.message", {"text": BUSY}),
    Odd("error", "error.message", [BUSY]),
    Odd("error", "error.param", ["session", "voice"]),
    Odd("error", "error.code", ["busy"]),
    Odd("error", "error.type", 5),
    Odd("error", "error.event_id", 5),
]
ODD_OTHERS = [
    Odd("response.created", "response.status_details", "none"),
    Odd("response.created", "response.metadata", []),
    Odd("response.created", "response.id", 7),
    Odd("response.created", "response.output", [None]),
    Odd("response.created", "response", "resp_1"),
    Odd("error", "event_id", 5),
    Odd("response.output_text.delta", "delta", 5),
    Odd("response.output_text.delta", "content_index", "0"),
    Odd("response.output_text.delta", "response_id", 5),
    Odd("response.output_text.done", "text", ["Room twelve."]),
    Odd("response.output_audio.delta", "delta", [0, 1]),
    Odd("response.output_audio_transcript.done", "transcript", {"text": "x"}),
    Odd("response.output_item.added", "item", "item_1"),
    Odd("response.output_item.added", "output_index", 0.2, ROUNDED),
    Odd("response.output_item.done", "item.arguments", {"title": "x"}),
    Odd("response.content_part.added", "part", "text"),
    Odd("response.function_call_arguments.done", "arguments", {"title": "x"}),
    Odd("response.function_call_arguments.done", "call_id", 8),
    Odd("conversation.item.added", "item.content", "Hello", base="message"),
    Odd("conversation.item.added", "item.id", 4, base="message"),
    Odd("conversation.item.added", "item.role", 4, base="message"),
    Odd("conversation.item.added", "item.arguments", {"a": 1}, base="call"),
    Odd("conversation.item.added", "item.output", {"room": 12}, base="output"),
    Odd("conversation.item.added", "previous_item_id", 3, base="message"),
    Odd("conversation.item.done", "item.output", ["x"], base="output"),
    Odd("conversation.item.created", "item.content", "Hello", base="message"),
    Odd("conversation.item.created", "item", "item_1", base="message"),
    Odd("conversation.item.retrieved", "item.content", {}, base="message"),
    Odd("conversation.item.deleted", "item_id", 4),
    Odd("conversation.item.truncated", "audio_end_ms", 250.2, ROUNDED),
    Odd("conversation.item.input_audio_transcription.completed", "usage", 5),
    Odd("conversation.item.input_audio_transcription.completed", "usage.total_tokens", 24.4, ROUNDED),
    Odd("conversation.item.input_audio_transcription.completed", "transcript", ["in which room"]),
    Odd("conversation.item.input_audio_transcription.completed", "logprobs", {}),
    Odd("conversation.item.input_audio_transcription.segment", "start", "0.25"),
    Odd("input_audio_buffer.committed", "item_id", 4),
    Odd("input_audio_buffer.speech_started", "audio_start_ms", 639.7, ROUNDED),
    Odd("input_audio_buffer.speech_started", "audio_start_ms", "640"),
    Odd("input_audio_buffer.speech_started", "item_id", 4),
    Odd("input_audio_buffer.speech_stopped", "audio_end_ms", 2210.4, ROUNDED),
    Odd("input_audio_buffer.timeout_triggered", "audio_end_ms", 18999.9, ROUNDED),
    Odd("rate_limits.updated", "rate_limits.0.reset_seconds", "1s"),
    Odd("rate_limits.updated", "rate_limits.0.limit", "500"),
    Odd("rate_limits.updated", "rate_limits.0.remaining", 498.8, ROUNDED),
    Odd("rate_limits.updated", "rate_limits", {}),
    Odd("rate_limits.updated", "rate_limits", "unlimited"),
]
ODD_UPDATED = [Odd("session.updated", odd.path, odd.value, odd.becomes, odd.base) for odd in ODD_CONFIG]
ODD = [*ODD_DONE, *ODD_CONFIG, *ODD_UPDATED, *ODD_ERROR, *ODD_OTHERS]


def odd_ones(*odds: Odd) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("odd", [pytest.param(odd, id=odd.id) for odd in odds])


@odd_ones(*ODD)
def test_an_odd_field_leaves_the_event_its_class_and_everything_else(odd: Odd) -> None:
    raw = odd.raw
    event = rt.decode_server_event(json.dumps(raw))
    assert type(event) is rt.events.SERVER_EVENTS[odd.kind], event
    *above, name = odd.keys
    place: Any = event
    for key in above:
        place = place[key] if isinstance(key, int) else getattr(place, key)
    held = getattr(place, str(name))
    if odd.becomes is ROUNDED:
        assert (held, type(held)) == (round(odd.value), int)
    else:  # a list that is not there may be empty, and what could be null may be unset
        assert held is None or held is rt.UNSET or (held == [] and odd.value != [])
    assert place.extra[name] == odd.value
    assert rt.event_to_dict(event) == raw
    assert json.loads(rt.encode_event(event)) == raw


@odd_ones(*ODD)
def test_what_is_beside_an_odd_field_is_read_as_ever(odd: Odd) -> None:
    event, whole = rt.decode_server_event(odd.raw), rt.decode_server_event(_healthy(odd))
    *above, name = odd.keys
    for key in above:
        event, whole = (found[key] if isinstance(key, int) else getattr(found, key) for found in (event, whole))
    assert type(event) is type(whole)
    for field in attrs.fields(type(whole)):
        if field.name not in (name, "extra"):
            assert getattr(event, field.name) == getattr(whole, field.name), field.name
    assert {key: value for key, value in event.extra.items() if key != name} == whole.extra


def _healthy(odd: Odd) -> JsonObject:
    """The event without the odd value."""
    event = odd.raw
    place: Any = event
    for key in odd.keys[:-1]:
        place = place[key]
    del place[odd.keys[-1]]
    return event


@odd_ones(*ODD_DONE)
def test_an_odd_field_of_its_end_does_not_keep_a_response_from_ending(odd: Odd) -> None:
    question = "use the tool" if odd.base == "call" else "first"
    with opened(Departure("response.create", edit("response.done", put(*odd.keys, value=odd.value)))) as made:
        server, session = made
        if odd.base == "call":
            session.tool(look_up)
        with at_once():
            reply = session.ask(question, timeout=TURN_S)
        assert reply.text == answer_to(question)
        assert_usable(session, server)


@odd_ones(*(odd for odd in ODD_OTHERS if odd.kind == "response.created"))
def test_an_odd_field_of_its_beginning_does_not_keep_a_response_from_beginning(odd: Odd) -> None:
    with opened(Departure("response.create", edit(odd.kind, put(*odd.keys, value=odd.value)))) as (server, session):
        with at_once():
            assert session.ask("first", timeout=TURN_S).text == answer_to("first")
        assert_usable(session, server)


@odd_ones(*ODD_CONFIG)
def test_an_odd_field_of_the_configuration_neither_keeps_a_session_from_opening_nor_from_being_changed(
    odd: Odd,
) -> None:
    step = put(*odd.keys, value=odd.value)
    departures = (
        Departure(OPEN, edit("session.created", step)),
        Departure("session.update", edit("session.updated", step)),  # the one of connect()
    )
    config = flat_config() if odd.base == "flat" else with_vad(nested_config())
    options = {"session": {"tool_choice": "none"}}
    with ScriptedServer(*departures, config=config) as server, at_once(), connect(server, **options) as session:
        assert session.ask("first", timeout=TURN_S).text == answer_to("first")
        assert_usable(session, server)


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@odd_ones(*ODD_ERROR)
def test_an_odd_field_of_a_refusal_does_not_hide_it(odd: Odd, named: bool) -> None:
    def refuse(exchange: Exchange) -> list[Frame]:
        error = refusal(BUSY, event_id=exchange.request["event_id"] if named else None)
        put(*odd.keys, value=odd.value)(error)
        return [error]

    with opened(Departure("response.create", refuse)) as (server, session):
        with at_once(), pytest.raises(rt.ServerError, match=BUSY):
            session.ask("first", timeout=TURN_S)
        assert_usable(session, server)


ARGUMENTS = {
    "in the event": edit("response.function_call_arguments.done", put("arguments", value={})),
    "in the item": edit("response.output_item.done", put("item", "arguments", value={})),
    "in the end": edit("response.done", put("response", "output", 0, "arguments", value={})),
}


@pytest.mark.parametrize("change", [*ARGUMENTS.values(), chain(*ARGUMENTS.values())], ids=[*ARGUMENTS, "everywhere"])
def test_a_call_whose_arguments_are_an_object_is_answered(change: Change) -> None:
    with opened(Departure("response.create", change)) as (server, session):
        session.tool(look_up)
        assert session.ask("use the tool", timeout=TURN_S).text == answer_to("use the tool")
        outputs = [event for event in server.of_type("conversation.item.create") if "output" in event["item"]]
        assert [event["item"]["output"] for event in outputs] == ["found"]
        assert_usable(session, server)


def test_times_with_a_fraction_in_speech_events_are_rounded_and_the_turn_goes_on() -> None:
    change = chain(
        edit("input_audio_buffer.speech_started", put("audio_start_ms", value=12.7)),
        edit("input_audio_buffer.speech_stopped", put("audio_end_ms", value=512.2)),
    )
    with opened(Departure("input_audio_buffer.append", change), config=with_vad(nested_config())) as (server, session):
        times: list[int] = []
        session.on(rt.events.InputAudioBufferSpeechStarted, lambda event: times.append(event.audio_start_ms))
        session.on(rt.events.InputAudioBufferSpeechStopped, lambda event: times.append(event.audio_end_ms))
        turn = session.next_reply(timeout=TURN_S)
        session.append_audio_bytes(SOUND)
        assert turn.result().text == answer_to("speech 1")
        assert times == [13, 512]
        assert_usable(session, server)
