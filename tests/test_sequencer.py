from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, error, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync.sending import sequencer

COLLISION = "conversation_already_has_active_response"


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def pump(fake: FakeSession) -> None:
    """Dispatch everything that was said so far."""
    fake.wire.say({"type": "vendor.marker"})
    fake.session.wait_for("vendor.marker")


def creates(fake: FakeSession) -> list[dict[str, Any]]:
    return [text for text in fake.wire.texts if text["type"] == "response.create"]


def test_a_second_create_waits_for_the_first_to_be_done(fake: FakeSession) -> None:
    first, second, third = (fake.session.create_response() for _ in range(3))
    assert len(creates(fake)) == 1
    fake.wire.say(response_created("1", creates(fake)[0]))
    pump(fake)
    assert first.done
    assert len(creates(fake)) == 1, "confirmed is not done"
    fake.wire.say(response_done("1"))
    pump(fake)
    assert [text["event_id"] for text in creates(fake)] == [first.event_id, second.event_id]
    fake.wire.say(response_created("2", creates(fake)[1]), response_done("2", "failed"))
    pump(fake)
    assert creates(fake)[2]["event_id"] == third.event_id


def test_out_of_band_responses_run_in_parallel(fake: FakeSession) -> None:
    main = fake.session.respond()
    side = fake.session.respond(config={"conversation": "none", "metadata": {"topic": "x"}})
    assert len(creates(fake)) == 2
    assert creates(fake)[1]["response"]["metadata"]["topic"] == "x"
    queued = fake.session.create_response()
    fake.wire.say(
        response_created("side", creates(fake)[1]),
        response_created("main", creates(fake)[0]),
        text_delta("side", "s"),
        text_delta("main", "m"),
        response_done("side"),
    )
    assert side.result().text == "s"
    pump(fake)
    assert len(creates(fake)) == 2, "the side response does not free the conversation"
    fake.wire.say(response_done("main"))
    assert main.result().text == "m"
    assert creates(fake)[2]["event_id"] == queued.event_id


def test_a_response_that_the_server_begins_makes_ours_wait(fake: FakeSession) -> None:
    fake.wire.say(response_created("auto"))
    pump(fake)
    ack = fake.session.create_response()
    assert creates(fake) == []
    fake.wire.say(response_done("auto"))
    pump(fake)
    assert creates(fake)[0]["event_id"] == ack.event_id


def test_a_collision_with_a_running_response_is_retried_when_it_is_done(fake: FakeSession) -> None:
    ack = fake.session.create_response()
    fake.wire.say({"type": "input_audio_buffer.committed", "item_id": "speech"}, response_created("auto"))
    fake.wire.say(error(ack.event_id, COLLISION))
    pump(fake)
    assert not ack.done
    assert len(creates(fake)) == 1
    fake.wire.say(response_done("auto"))
    pump(fake)
    assert len(creates(fake)) == 2
    assert creates(fake)[0] == creates(fake)[1]
    fake.wire.say(response_created("mine", creates(fake)[1]))
    assert ack.result().response.id == "mine"


def test_a_collision_with_one_that_has_just_ended_is_retried_at_once(fake: FakeSession) -> None:
    ack = fake.session.create_response()
    fake.wire.say({"type": "input_audio_buffer.committed", "item_id": "speech"})
    fake.wire.say(response_created("auto"), response_done("auto"), error(ack.event_id, COLLISION))
    pump(fake)
    assert len(creates(fake)) == 2


def test_a_collision_that_does_not_end_is_told(fake: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "RETRY_S", (0.0, 0.0))
    ack = fake.session.create_response()
    for _ in range(3):
        fake.wire.say(error(ack.event_id, COLLISION))
        pump(fake)
    with pytest.raises(rt.ServerError, match=COLLISION):
        ack.result()
    after = fake.session.create_response()
    assert creates(fake)[-1]["event_id"] == after.event_id


def test_a_refused_create_does_not_block_the_queue(fake: FakeSession) -> None:
    first, second = fake.session.create_response(), fake.session.create_response()
    fake.wire.say(error(first.event_id, "invalid_value"))
    pump(fake)
    with pytest.raises(rt.ServerError):
        first.result()
    assert creates(fake)[1]["event_id"] == second.event_id


def test_a_queued_turn_that_is_cancelled_is_never_sent(fake: FakeSession) -> None:
    fake.session.create_response()
    turn = fake.session.respond()
    turn.cancel()
    assert turn.reply.status == "cancelled"
    assert turn.result(check=False).done
    fake.wire.say(response_created("1", creates(fake)[0]), response_done("1"))
    pump(fake)
    assert len(fake.wire.texts) == 1


def test_a_turn_that_is_cancelled_before_it_began_is_cancelled_when_it_begins(fake: FakeSession) -> None:
    turn = fake.session.respond()
    turn.cancel()
    assert len(fake.wire.texts) == 1
    fake.wire.say(response_created("1", creates(fake)[0]))
    pump(fake)
    assert fake.wire.texts[-1]["type"] == "response.cancel"
    assert fake.wire.texts[-1]["response_id"] == "1"
    waiting = fake.session.next_reply()
    waiting.cancel()
    assert waiting.reply.status == "cancelled"


def test_a_connection_that_ends_while_one_waits_fails_it(fake: FakeSession) -> None:
    fake.session.create_response()
    queued = fake.session.create_response()
    fake.wire.say(response_created("1", creates(fake)[0]), response_done("1"))
    fake.wire.fail(rt.ConnectionLost("reset"))
    with pytest.raises(rt.ConnectionLost):
        queued.result()


def test_a_send_that_fails_frees_the_conversation(fake: FakeSession) -> None:
    fake.wire.send_fault = rt.RealtimeTimeout("later")
    for config in (None, {"conversation": "none"}):
        with pytest.raises(rt.RealtimeTimeout):
            fake.session.create_response(config)
    fake.wire.send_fault = None
    fake.session.create_response()
    assert len(creates(fake)) == 1


def test_an_incomplete_server_frees_the_conversation_too(fake: FakeSession) -> None:
    fake.session.create_response()
    fake.wire.say({"type": "response.created"}, {"type": "response.done"})
    pump(fake)
    fake.session.create_response()
    assert len(creates(fake)) == 2


def test_creates_from_many_threads_are_sent_one_after_the_other(fake: FakeSession) -> None:
    replies: list[str] = []

    def ask() -> None:
        replies.append(fake.session.ask(timeout=30).text)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(6):
        create = fake.wire.wait_sent(number + 1)
        assert len(creates(fake)) == number + 1, "one at a time"
        name = str(number)
        fake.wire.say(response_created(name, create), text_delta(name, name), response_done(name))
    for thread in threads:
        thread.join(30)
    assert sorted(replies) == [str(number) for number in range(6)]


def test_that_another_response_cannot_be_cancelled_says_nothing_of_the_active_one(fake: FakeSession) -> None:
    fake.session.create_response()
    fake.wire.say(response_created("1", creates(fake)[0]))
    pump(fake)
    late = fake.session.cancel_response("long over")
    fake.wire.say(error(late.event_id, "response_cancel_not_active"))
    assert late.result() is None
    fake.session.create_response()
    assert len(creates(fake)) == 1, "the active one is as active as before"
    mine = fake.session.cancel_response()
    fake.wire.say(error(mine.event_id, "response_cancel_not_active"))
    assert mine.result() is None
    assert len(creates(fake)) == 2, "the server says that nothing is active"
