"""Which handler is called for which event."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, text_delta

import realtime_sync as rt
from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import Dispatcher
from realtime_sync.delivery.handlers import Handlers, decorating, key_of
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import (
    InputAudioBufferCleared,
    ResponseOutputTextDelta,
    ServerEvent,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def test_handlers_by_class_type_alias_and_for_all(fake: FakeSession) -> None:
    seen: list[str] = []
    fake.session.on(ResponseOutputTextDelta, lambda event: seen.append("class " + event.delta))

    @fake.session.on("response.text.delta")
    def by_alias(event: Any) -> None:
        seen.append("alias " + event.delta)

    @fake.session.on("*")
    def every(event: ServerEvent) -> None:
        seen.append("all " + event.type)

    @fake.session.once(ServerEvent)
    def first(event: ServerEvent) -> None:
        seen.append("once " + event.type)

    fake.wire.say(text_delta("r", "x"))
    fake.session.wait_for(ResponseOutputTextDelta)
    assert seen == [
        "all session.created",
        "once session.created",
        "class x",
        "alias x",
        "all response.output_text.delta",
    ]
    assert fake.session.off("response.output_text.delta", by_alias)
    assert not fake.session.off("response.output_text.delta", by_alias)
    fake.wire.say(text_delta("r", "y"))
    fake.session.wait_for(ResponseOutputTextDelta)
    assert seen[-2:] == ["class y", "all response.output_text.delta"]


def test_once_can_be_taken_back_and_registered_twice(fake: FakeSession) -> None:
    seen: list[str] = []

    def handler(event: ServerEvent) -> None:
        seen.append(event.type)

    fake.session.once("*", handler)
    assert fake.session.off("*", handler)
    fake.session.once("*", handler)
    fake.session.once("*", handler)
    fake.wire.say({"type": "a"})
    fake.session.wait_for("a")
    assert seen == ["session.created", "session.created"]


@pytest.mark.parametrize("key", ["response.create", 5, dict, rt.events.ResponseCreate])
def test_a_handler_for_what_never_comes_is_refused(fake: FakeSession, key: Any) -> None:
    with pytest.raises(rt.ConfigurationError):
        fake.session.on(key, print)
    with pytest.raises(rt.ConfigurationError):
        fake.session.once(key, print)


@pytest.mark.parametrize("key", ["", "response.*", "**"])
def test_a_type_that_no_event_can_have_is_refused(fake: FakeSession, key: str) -> None:
    for use in (fake.session.on, fake.session.once, fake.session.off, fake.session.wait_for):
        with pytest.raises(
            rt.ConfigurationError, match=r"^no event is called '.*: write a whole type, .*'\*' is for all$"
        ):
            use(key, print)  # type: ignore[operator]


def test_a_probable_typo_is_pointed_out(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fake.session.on("response.doen", print)
    assert "did you mean 'response.done'" in caplog.text
    for register in (fake.session.on, fake.session.once):
        with pytest.raises(rt.ConfigurationError, match="callable"):
            register("*", "no function")  # type: ignore[call-overload]


def test_a_once_handler_that_two_events_meet_runs_once(fake: FakeSession) -> None:
    seen: list[str] = []

    def handler(event: ServerEvent) -> None:
        seen.append(event.type)
        fake.session.wait_for("b")  # the second event passes while the first is handled

    fake.session.once("*", handler)
    fake.session.on("a", seen.append)
    fake.session.off("a", handler)
    fake.wire.say({"type": "b"}, {"type": "c"})
    fake.session.wait_for("c")
    assert seen == ["session.created"]


class Rig:
    """Handlers whose events the test dispatches."""

    def __init__(self) -> None:
        self.inbox = Inbox(1000)
        self.dispatcher = Dispatcher(self.inbox, lambda: None)
        self.handlers = Handlers(self.dispatcher)
        self.seen: list[str] = []

    def hear(self, *names: str) -> None:
        self.inbox.put([InputAudioBufferCleared(event_id=name) for name in names], len(names))
        while self.dispatcher.step(Deadline(0)):
            pass

    def first(self, event: Any) -> None:
        self.seen.append(f"first {event.event_id}")

    def second(self, event: Any) -> None:
        self.seen.append(f"second {event.event_id}")


CLEARED = "input_audio_buffer.cleared"


def test_a_key_is_a_class_a_type_that_becomes_its_class_or_everything() -> None:
    assert key_of("*") is ServerEvent
    assert key_of(CLEARED) is InputAudioBufferCleared
    assert key_of("response.text.delta") is ResponseOutputTextDelta, "an alias too"
    assert key_of(ResponseOutputTextDelta) is ResponseOutputTextDelta
    assert key_of("vendor.thing") == "vendor.thing"


def test_keys_are_those_of_the_family_that_is_spoken() -> None:
    assert key_of(CLEARED, {}, {}) == CLEARED
    with pytest.raises(rt.ConfigurationError, match="sent by the client"):
        key_of("own.event", {}, {"own.event": rt.events.ResponseCreate})


def test_what_is_far_from_any_type_is_no_typo(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        key_of("vendor.response.finished")
    assert caplog.text == ""


def test_handlers_are_called_in_the_order_of_their_registration_also_those_for_once() -> None:
    rig = Rig()
    rig.handlers.add_once(CLEARED, rig.first)
    rig.handlers.add("*", rig.second)
    rig.hear("a", "b")
    assert rig.seen == ["first a", "second a", "second b"]


def test_a_handler_that_was_added_twice_is_called_twice_and_removed_at_once() -> None:
    rig = Rig()
    rig.handlers.add(CLEARED, rig.first)
    rig.handlers.add(CLEARED, rig.first)
    rig.hear("a")
    assert rig.seen == ["first a", "first a"]
    assert rig.handlers.remove(InputAudioBufferCleared, rig.first)
    assert not rig.handlers.remove(CLEARED, rig.first)
    rig.hear("b")
    assert rig.seen == ["first a", "first a"]


def test_removing_takes_back_all_that_were_registered_under_that_key_and_no_other() -> None:
    rig = Rig()
    rig.handlers.add(CLEARED, rig.first)
    rig.handlers.add_once(CLEARED, rig.first)
    rig.handlers.add_once("*", rig.first)
    rig.handlers.add_once(CLEARED, rig.second)
    assert rig.handlers.remove(CLEARED, rig.first)
    rig.hear("a", "b")
    assert rig.seen == ["first a", "second a"]


def test_one_for_once_that_raises_is_not_called_again() -> None:
    rig = Rig()

    def fail(event: Any) -> None:
        rig.first(event)
        raise LookupError

    rig.handlers.add_once(CLEARED, fail)
    with pytest.raises(LookupError):
        rig.hear("a")
    rig.hear("b")
    assert rig.seen == ["first a"]
    assert not rig.handlers.remove(CLEARED, fail)


def test_a_decorator_gives_the_function_back() -> None:
    registered: list[Any] = []
    assert decorating(registered.append)(print) is print
    assert registered == [print]


@pytest.mark.parametrize("name", ["on", "once"])
def test_a_decorator_without_its_event_is_refused_where_it_stands(fake: FakeSession, name: str) -> None:
    register: Any = getattr(fake.session, name)
    with pytest.raises(rt.ConfigurationError, match=r'missing: on\("response.done", show\)'):

        @register
        def show(event: Any) -> None: ...

    with pytest.raises(rt.ConfigurationError, match="type strings, not 5"):
        register(5)
    with pytest.raises(rt.ConfigurationError, match="not None"):
        register("response.done", None)
