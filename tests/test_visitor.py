"""Visitors: each event reaches its method, and a visitor that cannot work is refused when its class is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from protocol_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES

from realtime_sync import decode_client_event, decode_server_event
from realtime_sync.events import (
    CLIENT_EVENTS,
    LOCAL_EVENTS,
    SERVER_EVENTS,
    ErrorEvent,
    InputAudioBufferAppend,
    ResponseOutputTextDelta,
    SessionCreated,
)
from realtime_sync.events.visitor import ClientEventVisitor, ServerEventVisitor

ARRIVING = {**SERVER_EVENTS, **LOCAL_EVENTS}
SIDES = pytest.mark.parametrize(
    ("visitor", "registry", "examples", "decode"),
    [
        (ServerEventVisitor, ARRIVING, SERVER_EXAMPLES, decode_server_event),
        (ClientEventVisitor, CLIENT_EVENTS, CLIENT_EXAMPLES, decode_client_event),
    ],
    ids=["server", "client"],
)


def methods_of(registry: Any) -> list[str]:
    return [*dict.fromkeys(cls.VISIT for cls in registry.values()), "unknown", "malformed"]


def naming(base: Any, names: list[str], **options: Any) -> Any:
    """A visitor whose methods return their own name."""

    def method(name: str) -> Any:
        return lambda self, event: name

    return type("V", (base,), {name: method(name) for name in names}, **options)


@SIDES
def test_there_is_one_method_for_each_event(visitor: Any, registry: Any, examples: Any, decode: Any) -> None:
    defined = [name for name in vars(visitor) if name.startswith("visit_")]
    assert [*defined, "unknown", "malformed"] == methods_of(registry)
    for cls in set(registry.values()):
        method = getattr(visitor, cls.VISIT)
        assert method.__annotations__["event"] == cls.__name__
        assert method.__doc__
        assert "\n" not in method.__doc__


@SIDES
def test_each_event_reaches_its_method(visitor: Any, registry: Any, examples: Any, decode: Any) -> None:
    names = naming(visitor, methods_of(registry), exhaustive=True)()
    for example in examples:
        event = decode(json.dumps(example))
        assert event.accept(names) == registry[example["type"]].VISIT
    assert decode('{"type": "something.new"}').accept(names) == "unknown"
    assert decode("{").accept(names) == "malformed"


@SIDES
def test_what_is_not_overridden_goes_to_default(visitor: Any, registry: Any, examples: Any, decode: Any) -> None:
    class Everything(visitor):  # type: ignore[misc]
        def default(self, event: Any) -> Any:
            return event

    for frame in (*map(json.dumps, examples), '{"type": "something.new"}', "{"):
        event = decode(frame)
        assert event.accept(Everything()) is event
        assert event.accept(visitor()) is None


@SIDES
def test_an_exhaustive_visitor_lacks_nothing(visitor: Any, registry: Any, examples: Any, decode: Any) -> None:
    names = methods_of(registry)
    naming(visitor, names, exhaustive=True)
    for missing in ("unknown", "malformed", names[0], names[-3]):
        with pytest.raises(TypeError, match=rf"V is declared exhaustive but lacks {missing}$"):
            naming(visitor, [name for name in names if name != missing], exhaustive=True)


def test_an_exhaustive_visitor_may_inherit_its_methods() -> None:
    names = methods_of(ARRIVING)
    half = naming(ServerEventVisitor, names[:30])
    full = naming(half, names[30:], exhaustive=True)
    assert naming(full, [])().visit_error(None) == "visit_error"
    with pytest.raises(TypeError, match=names[-3]):
        naming(half, names[30:-3], exhaustive=True)


def test_an_exhaustive_visitor_may_take_methods_from_a_mixin() -> None:
    names = methods_of(CLIENT_EVENTS)
    mixin = type("Mixin", (), {name: lambda self, event: 1 for name in names})
    made = type("V", (mixin, ClientEventVisitor), {}, exhaustive=True)
    assert made().unknown(None) == 1


def test_a_visitor_may_visit_both_sides() -> None:
    class Both(ServerEventVisitor[str], ClientEventVisitor[str]):
        def visit_error(self, event: ErrorEvent) -> str:
            return "from the server"

        def visit_input_audio_buffer_append(self, event: InputAudioBufferAppend) -> str:
            return "from the client"

    assert decode_server_event('{"type": "error", "error": "no"}').accept(Both()) == "from the server"
    sent = decode_client_event('{"type": "input_audio_buffer.append", "audio": ""}')
    assert sent.accept(Both()) == "from the client"
    with pytest.raises(TypeError, match="session_close"):
        type("V", (Both,), {}, exhaustive=True)


@pytest.mark.parametrize(
    ("base", "name", "hint"),
    [
        (ServerEventVisitor, "visit_response_output_text_detla", "did you mean visit_response_output_text_delta?"),
        (ServerEventVisitor, "visit_response_text_delta", "did you mean visit_response_output_text_delta?"),
        (ServerEventVisitor, "visit_response_audio_done", "did you mean visit_response_output_audio_done?"),
        (ServerEventVisitor, "visit_error_event", "did you mean visit_error?"),
        (ClientEventVisitor, "visit_session_updated", "did you mean visit_session_update?"),
        (ServerEventVisitor, "visit_zzz", "such methods are named after an event"),
    ],
)
def test_a_method_that_would_never_be_called_is_refused(base: Any, name: str, hint: str) -> None:
    with pytest.raises(TypeError) as caught:
        naming(base, [name])
    assert str(caught.value).startswith(f"V.{name} matches no event; ")
    assert hint in str(caught.value)


def test_a_typo_in_a_mixin_is_refused_too() -> None:
    mixin = type("Mixin", (), {"visit_eror": lambda self, event: None})
    with pytest.raises(TypeError, match="did you mean visit_error"):
        type("V", (mixin, ServerEventVisitor), {})


def test_other_methods_and_class_arguments_are_the_users_own() -> None:
    class Base:
        def __init_subclass__(cls, *, label: str = "", **options: Any) -> None:
            super().__init_subclass__(**options)
            cls.label = label

    class V(ServerEventVisitor[None], Base, label="mine"):
        label: str

        def visited(self) -> None: ...

        def visit_session_created(self, event: SessionCreated) -> None:
            self.seen = event

    visitor = V()
    decode_server_event('{"type": "session.created", "session": {"type": "realtime"}}').accept(visitor)
    assert visitor.seen.session.type == "realtime"
    assert V.label == "mine"


def test_an_alias_goes_to_the_method_of_today() -> None:
    class V(ServerEventVisitor[str]):
        def visit_response_output_text_delta(self, event: ResponseOutputTextDelta) -> str:
            return event.type

    frame = {"type": "response.text.delta", "delta": "a"}
    assert decode_server_event(frame).accept(V()) == "response.text.delta"
