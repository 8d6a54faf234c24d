"""A turn: which events are its own, what it grows into, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fakes import FakeSession, error, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync.events import (
    ResponseConfig,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def test_a_turn_misses_nothing_when_the_answer_is_dispatched_before_the_call_returns(
    fake: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.session.start()
    dispatched = threading.Event()
    fake.session.on("response.done", lambda event: dispatched.set())
    send = fake.wire.send_text

    def send_and_answer(text: str | bytes, timeout_s: float) -> None:
        send(text, timeout_s)
        create = fake.wire.texts[-1]
        fake.wire.say(response_created("r", create), text_delta("r", "at once"), response_done("r"))
        assert dispatched.wait(20)

    monkeypatch.setattr(fake.wire, "send_text", send_and_answer)
    turn = fake.session.respond()
    assert list(turn.text()) == ["at once"]
    assert turn.result(check=False).status == "completed"


def test_a_turn_that_could_not_be_asked_for_is_forgotten(fake: FakeSession) -> None:
    fake.wire.send_fault = rt.RealtimeTimeout("stuck")
    waiting = len(fake.session._dispatcher._receivers)
    for _ in range(3):
        with pytest.raises(rt.RealtimeTimeout):
            fake.session.respond()
    assert len(fake.session._dispatcher._receivers) == waiting


def test_iterating_a_turn_beside_the_background_thread_ends_with_its_last_event(fake: FakeSession) -> None:
    fake.session.start()
    for number in range(100):
        turn = fake.session.respond()
        create = fake.wire.texts[-1]
        fake.wire.say(response_created(f"r{number}", create))
        fake.wire.say(response_done(f"r{number}"))
        assert [event.type for event in turn] == ["response.created", "response.done"]
        assert turn.reply.done


def test_respond_streams_and_can_be_left(fake: FakeSession) -> None:
    turn = fake.session.respond(config=ResponseConfig(instructions="be brief"))
    create = fake.wire.wait_sent(1)
    assert create["response"]["instructions"] == "be brief"
    fake.wire.say(response_created("mine", create), text_delta("mine", "a"), text_delta("mine", "b"))
    pieces = turn.text()
    assert [next(pieces), next(pieces)] == ["a", "b"]
    fake.wire.say(response_done("mine"))
    assert list(pieces) == []
    assert list(turn) == []
    assert turn.result().text == "ab"

    with fake.session.respond() as left:
        create = fake.wire.wait_sent(2)
        fake.wire.say(response_created("second", create), text_delta("second", "a"))
        assert next(left.text()) == "a"
    assert fake.wire.wait_sent(3) == {
        "type": "response.cancel",
        "response_id": "second",
        "event_id": fake.wire.texts[2]["event_id"],
    }
    fake.wire.say(response_done("second", "cancelled"))
    fake.session.wait_for("response.done")
    assert left.reply.status == "cancelled"
    left.cancel()
    assert len(fake.wire.texts) == 3


def test_a_refused_response_raises_and_frees_the_way(fake: FakeSession) -> None:
    turn = fake.session.respond()
    fake.wire.say(error(fake.wire.wait_sent(1)["event_id"], "invalid_value", "no such voice"))
    with pytest.raises(rt.ServerError, match="no such voice"):
        turn.result()
    fake.session.respond()
    fake.wire.wait_sent(2)


def test_a_turn_times_out_and_keeps_what_came(fake: FakeSession) -> None:
    turn = fake.session.respond(timeout=0.05)
    fake.wire.say(response_created("r", fake.wire.wait_sent(1)), text_delta("r", "so far"))
    with pytest.raises(rt.RealtimeTimeout, match="the response"):
        turn.result()
    assert turn.reply.text == "so far"
    assert turn.reply.status == "in_progress"
    assert not turn.reply.done


def test_next_reply_follows_a_response_that_the_server_begins(fake: FakeSession) -> None:
    turn = fake.session.next_reply()
    fake.wire.say(response_created("auto"), text_delta("auto", "hi"), response_done("auto"))
    assert turn.result().text == "hi"


def test_two_responses_take_turns(fake: FakeSession) -> None:
    first, second = fake.session.respond(), fake.session.respond()
    assert len(fake.wire.texts) == 1
    fake.wire.say(response_created("1", fake.wire.texts[0]), text_delta("1", "one"), response_done("1"))
    assert first.result().text == "one"
    create = fake.wire.wait_sent(2)
    fake.wire.say(response_created("2", create), text_delta("2", "two"), response_done("2"))
    assert second.result().text == "two"
