"""Which handler is called for which event."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, text_delta

import realtime_sync as rt
from realtime_sync.events import (
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
