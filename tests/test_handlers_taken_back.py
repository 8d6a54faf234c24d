"""Handlers that are taken back or replaced."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from fakes import FakeSession, text_delta

import realtime_sync as rt
from realtime_sync.events import ResponseOutputTextDelta
from realtime_sync.local import LocalServer, Reply, ToolCall, Turn

DELTA = "response.output_text.delta"


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def heard(fake: FakeSession, seen: list[Any], text: str = "a") -> list[Any]:
    """What the handlers make of one more event."""
    seen.clear()
    fake.wire.say(text_delta("r", text))
    fake.session.wait_for(DELTA)
    return list(seen)


def test_off_takes_all_handlers_of_a_key_back(fake: FakeSession) -> None:
    seen: list[str] = []
    fake.session.on(DELTA, lambda event: seen.append("string"))
    fake.session.on(ResponseOutputTextDelta, lambda event: seen.append("class"))
    fake.session.once(DELTA, lambda event: seen.append("once"))
    fake.session.on("*", lambda event: seen.append("all"))
    assert fake.session.off(DELTA) is True
    assert heard(fake, seen)[-1:] == ["all"]
    assert not {"string", "class", "once"} & set(seen)
    assert fake.session.off(DELTA) is False


def test_off_takes_all_back(fake: FakeSession) -> None:
    seen: list[str] = []
    fake.session.on(DELTA, lambda event: seen.append("x"))
    fake.session.once("*", lambda event: seen.append("x"))
    fake.session.on("vendor.thing", partial(seen.append))
    assert fake.session.off() is True
    assert heard(fake, seen) == []
    assert fake.session.off() is False
    fake.session.on(DELTA, lambda event: seen.append("again"))
    assert heard(fake, seen) == ["again"]


def test_off_of_a_handler_wants_its_key(fake: FakeSession) -> None:
    with pytest.raises(rt.ConfigurationError, match="key"):
        fake.session.off(None, print)


def define(fake: FakeSession, seen: list[str], text: str) -> Any:
    """What a cell of a notebook does each time it runs."""

    @fake.session.on(DELTA, replace=True)
    def show(event: ResponseOutputTextDelta) -> None:
        seen.append(text)

    fake.session.on(DELTA, lambda event: seen.append(f"lambda {text}"), replace=True)
    return show


def test_a_cell_that_runs_again_replaces_its_handlers(fake: FakeSession) -> None:
    seen: list[str] = []
    fake.session.on(DELTA, lambda event: seen.append("other"))
    define(fake, seen, "old")
    define(fake, seen, "new")
    fake.session.on("response.done", lambda event: seen.append("done"), replace=True)
    assert sorted(heard(fake, seen)) == ["lambda new", "new", "other"]


def test_without_replace_each_definition_counts(fake: FakeSession) -> None:
    seen: list[str] = []
    for _ in range(2):
        fake.session.on(DELTA, lambda event: seen.append("x"))
    assert heard(fake, seen) == ["x", "x"]


def test_what_has_no_name_replaces_nothing(fake: FakeSession) -> None:
    seen: list[str] = []
    for _ in range(2):
        fake.session.on(DELTA, partial(lambda event, to: to.append("x"), to=seen), replace=True)
    assert heard(fake, seen) == ["x", "x"]


def test_off_leaves_the_tools_alone() -> None:
    def reply(turn: Turn) -> Any:
        return turn.tool_outputs[0]["output"] if turn.tool_outputs else Reply(tool_calls=[ToolCall("noon")])

    config = {"output_modalities": ["text"]}
    with LocalServer(reply) as server, rt.connect("m", base_url=server.base_url, session=config) as session:

        @session.tool
        def noon() -> str:
            """The time."""
            return "12:00"

        session.on("*", lambda event: None)
        session.off()
        assert session.ask("What time is it?").text == "12:00"
