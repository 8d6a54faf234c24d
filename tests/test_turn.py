"""A turn: which events are its own, what it grows into, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeSession, error, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import ResponseConfig
from realtime_sync.sending import sequencer
from realtime_sync.sending.acks import COLLISION, STAMP, Ack, AckTable
from realtime_sync.sending.sequencer import RESPONDING, Sequencer
from realtime_sync.session import turn as room
from realtime_sync.session.turn import DOUBT_S, ERROR_PATIENCE_S, Turn, Turns
from realtime_sync.state.session_state import SessionState


class Rig:
    """Turns whose events, clock and server are the test: nothing runs but the thread of the test."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.sent: list[str] = []
        self.cancelled: list[str | None] = []
        self.rounds: list[Any] = []  # what is made of the next responses that end; then nothing
        self.inbox = Inbox(10**6)
        self.dispatcher = Dispatcher(self.inbox, lambda: None)
        self.turns = Turns(self.dispatcher)
        self.state = SessionState(self.dispatcher)
        self.responses = self.state.responses
        self.acks = AckTable(self.dispatcher.waiting)
        self.sequencer = Sequencer(self.acks, self.responses, self.send, self.cancelled.append)
        self.dispatcher.subscribe(STATE, self.sequencer.apply, *RESPONDING)

    def send(self, text: str, owner: object = None) -> None:
        self.sent.append(text)

    def next_reply(self) -> Turn:
        return Turn(
            self.dispatcher,
            self.turns,
            self.state,
            self.sequencer,
            None,
            deadline=Deadline(20),
            cancel_response=self.cancelled.append,
            follow=self.follow,
        )

    def ask(self, name: str = "ours") -> Turn:
        ack = self.create(name)
        turn = self.next_reply()
        turn._ack = ack
        self.sequencer.submit(ack, name)
        return turn

    def create(self, name: str) -> Ack[Any]:
        config = e.ResponseConfig(metadata={STAMP: name})
        return self.acks.prepare(e.ResponseCreate(event_id=name, response=config), name)

    def follow(self, response: e.Response) -> Any:
        return self.rounds.pop(0) if self.rounds else None

    def hear(self, *events: e.ServerEvent) -> None:
        self.inbox.put(events, 1)
        while self.dispatcher.step(Deadline(0)):
            pass

    def refuse(self, ack: Ack[Any], code: str = "invalid_value") -> None:
        said = rt.ServerError("no", code=code, event_id=ack.event_id)
        refused = self.acks.refusal_of(said)
        if not self.sequencer.retries(said, refused):
            assert refused is ack
            self.acks.refuse(ack, said)
            self.sequencer.refused(ack)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig()
    monkeypatch.setattr(sequencer, "now", lambda: made.at)
    monkeypatch.setattr(room, "now", lambda: made.at)
    return made


def created(response_id: str | None, stamp: str | None = None) -> e.ResponseCreated:
    metadata = {STAMP: stamp} if stamp is not None else None
    return e.ResponseCreated(response=e.Response(id=response_id, status="in_progress", metadata=metadata))


def delta(response_id: str | None, text: str) -> e.ResponseOutputTextDelta:
    named: Any = response_id
    return e.ResponseOutputTextDelta(response_id=named, item_id="i", output_index=0, content_index=0, delta=text)


def done(response_id: str | None, status: str = "completed") -> e.ResponseDone:
    return e.ResponseDone(response=e.Response(id=response_id, status=status))


def kinds(turn: Turn) -> list[str]:
    return [event.type.removeprefix("response.") for event in turn]


# Which events are its own


def test_a_turn_takes_the_events_of_its_own_response_and_no_others(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("foreign", "of another client"), delta("foreign", "NO"), done("foreign"))
    rig.hear(created("r", "ours"), delta("foreign", "NO"), delta("r", "yes"), done("foreign"), done("r"))
    assert kinds(turn) == ["created", "output_text.delta", "done"]
    assert turn.result().text == "yes"
    assert turn.reply.response_id == "r"


def test_events_without_an_id_are_those_of_the_active_response(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created(None, "ours"), delta(None, "a"), delta("r", "b"), delta(None, "c"), done(None))
    assert turn.result().text == "abc"


def test_a_response_whose_beginning_the_server_does_not_tell_begins_with_its_first_delta(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(delta("r", "a"), delta("r", "b"), done("r"))
    assert turn.result().text == "ab"
    assert turn._ack is not None
    assert turn._ack.done


@pytest.mark.parametrize("stamp", ["of another client", None])
def test_a_turn_whose_create_was_refused_takes_no_foreign_response(rig: Rig, stamp: str | None) -> None:
    turn = rig.ask()
    assert turn._ack is not None
    rig.refuse(turn._ack)
    rig.hear(created("foreign", stamp), delta("foreign", "NO"), done("foreign"))  # another thread dispatches it
    assert (turn.reply.text, turn.reply.done, turn.reply.response_id) == ("", False, None)
    with pytest.raises(rt.ServerError, match="invalid_value"):
        turn.result()


def test_the_next_reply_is_of_a_response_that_begins_after_the_call(rig: Rig) -> None:
    rig.hear(created("old"))
    turn = rig.next_reply()
    rig.hear(delta("old", "NO"), done("old"))
    assert not turn.reply.done
    rig.hear(created("new"), delta("new", "yes"), done("new"))
    assert turn.result().text == "yes"
    rig.hear(created("newer"), delta("newer", "NO"), done("newer"))
    assert turn.result().text == "yes"


def test_two_turns_at_once_get_each_their_own(rig: Rig) -> None:
    first, second = rig.ask("1"), rig.ask("2")
    rig.hear(created("a", "1"), delta("a", "one"), done("a"), created("b", "2"), delta("b", "two"), done("b"))
    assert (first.result().text, second.result().text) == ("one", "two")


def test_late_events_of_a_turn_that_is_over_change_nothing(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), done("r"), delta("r", "late"), done("r", "failed"))
    assert (turn.reply.text, turn.reply.status) == ("", "completed")
    assert kinds(turn) == ["created", "done"]


# Responses that may be another's


def test_a_response_that_may_be_anothers_is_waited_out(rig: Rig) -> None:
    turn = rig.ask()
    rig.sequencer.expect_another()
    rig.hear(created("r"), delta("r", "yes"), done("r"))
    assert turn.reply.done
    assert not turn._finished(), "its own may follow"
    rig.at += DOUBT_S
    assert not turn._finished()
    rig.at += 0.01
    assert turn._finished()
    assert turn.result().text == "yes"


def test_a_response_that_turns_out_to_be_anothers_is_forgotten(rig: Rig) -> None:
    turn = rig.ask()
    rig.sequencer.expect_another()
    rig.hear(created("auto"), delta("auto", "NO"), done("auto"))
    rig.hear(created("mine"), delta("mine", "yes"), done("mine"))
    assert turn._finished()
    assert kinds(turn) == ["created", "output_text.delta", "done"]
    assert (turn.result().text, turn.reply.response_id, turn.replies) == ("yes", "mine", [turn.reply])


def test_a_collision_shows_that_the_response_was_anothers(rig: Rig) -> None:
    turn = rig.ask()
    assert turn._ack is not None
    rig.hear(created("auto"), delta("auto", "NO"))
    rig.refuse(turn._ack, COLLISION)
    rig.hear(delta("auto", "NO"), done("auto"))
    assert (turn.reply.text, turn.reply.done) == ("", False)
    assert rig.sent == ["ours", "ours"]
    rig.hear(created("mine", "ours"), delta("mine", "yes"), done("mine"))
    assert turn.result().text == "yes"


# Errors that name nothing


def test_a_response_that_stays_silent_after_an_error_is_given_up(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), delta("r", "so far"))
    run = rig.responses.active
    assert run is not None
    rig.at += 60
    assert turn._stuck() is None, "silence alone says nothing"
    run.error, run.error_at = rt.ServerError("the upstream is gone"), rig.at
    rig.at += ERROR_PATIENCE_S
    assert turn._stuck() is None
    rig.at += 0.01
    with pytest.raises(rt.ServerError, match="upstream"):
        turn.result()
    rig.hear(delta("r", ", and on after all"))
    assert turn.reply.text == "so far", "who was told of its end hears no more"


def test_a_response_that_goes_on_after_an_error_is_not_given_up(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"))
    run = rig.responses.active
    assert run is not None
    run.error, run.error_at = rt.ServerError("hiccup"), rig.at
    rig.at += ERROR_PATIENCE_S
    rig.hear(delta("r", "on"))
    rig.at += ERROR_PATIENCE_S
    assert turn._stuck() is None
    rig.hear(done("r"))
    rig.at += 60
    assert turn.result().text == "on"


# Cancelling


def test_a_queued_turn_is_taken_out_of_the_queue(rig: Rig) -> None:
    rig.ask("first")
    turn = rig.ask()
    turn.cancel()
    assert turn.result(check=False).status == "cancelled"
    rig.hear(created("a", "first"), done("a"))
    assert (rig.sent, rig.cancelled) == (["first"], [])


def test_a_turn_that_is_asked_for_is_cancelled_when_it_begins(rig: Rig) -> None:
    turn = rig.ask()
    turn.cancel()
    assert rig.cancelled == []
    rig.rounds = [calling()]
    rig.hear(created("r", "ours"))
    assert rig.cancelled == ["r"]
    rig.hear(done("r", "cancelled"))
    assert turn.result(check=False).status == "cancelled", "no tool is waited for"


def test_a_turn_that_grows_asks_for_its_end_and_takes_what_still_comes(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), delta("r", "so"))
    turn.cancel()
    assert rig.cancelled == ["r"]
    rig.hear(delta("r", " far"), done("r", "cancelled"))
    assert (turn.result(check=False).text, turn.reply.status) == ("so far", "cancelled")
    turn.cancel()
    assert rig.cancelled == ["r"]


def test_a_turn_that_waits_for_a_response_of_the_server_ends_at_once(rig: Rig) -> None:
    turn = rig.next_reply()
    turn.cancel()
    assert turn.result(check=False).status == "cancelled"
    rig.hear(created("r"), delta("r", "NO"))
    assert turn.reply.text == ""


def test_a_turn_whose_create_was_refused_has_nothing_to_cancel(rig: Rig) -> None:
    turn = rig.ask()
    assert turn._ack is not None
    rig.refuse(turn._ack)
    turn.cancel()
    with pytest.raises(rt.ServerError):
        turn.result()


def test_a_turn_that_is_left_early_is_cancelled_and_one_that_is_over_is_not(rig: Rig) -> None:
    with rig.ask():
        rig.hear(created("r", "ours"))
    assert rig.cancelled == ["r"]
    rig.hear(done("r"))
    with rig.ask("again") as turn:
        rig.hear(created("s", "again"), done("s"))
        turn.result()
    assert rig.cancelled == ["r"]


# Rounds of tool calls


def calling(**fields: Any) -> Any:
    known = {"settled": False, "error": None, "fault": None, "follow_up": None, "running": []}
    return SimpleNamespace(**{**known, "follows": True, "answers": [], **fields})


def test_a_turn_goes_on_with_the_response_that_follows_the_calls(rig: Rig) -> None:
    turn, calls = rig.ask(), calling()
    rig.rounds = [calls]
    rig.hear(created("r", "ours"), delta("r", "let me see"), done("r"))
    assert not turn._finished()
    calls.follow_up = rig.create("follow")
    rig.sequencer.submit(calls.follow_up, "follow")
    calls.settled = True
    assert not turn._finished()
    rig.hear(created("other", "of another client"), done("other"))
    rig.hear(created("s", "follow"), delta("s", "found"), done("s"))
    assert turn.result().text == "found"
    assert [reply.text for reply in turn.replies] == ["let me see", "found"]


def test_calls_that_no_response_follows_end_the_turn(rig: Rig) -> None:
    turn, calls = rig.ask(), calling()
    rig.rounds = [calls]
    rig.hear(created("r", "ours"), delta("r", "done"), done("r"))
    rig.hear(created("auto"), delta("auto", "NO"))
    calls.settled = True
    assert turn.result().text == "done"


def test_calls_whose_answers_cannot_be_sent_are_raised(rig: Rig) -> None:
    turn, calls = rig.ask(), calling()
    rig.rounds = [calls]
    rig.hear(created("r", "ours"), done("r"))
    calls.error, calls.settled = rt.RealtimeTimeout("stuck"), True
    with pytest.raises(rt.RealtimeTimeout, match="stuck"):
        turn.result()


def test_a_following_response_that_is_refused_is_raised(rig: Rig) -> None:
    turn, calls = rig.ask(), calling()
    rig.rounds = [calls]
    rig.hear(created("r", "ours"), done("r"))
    calls.follow_up = rig.create("follow")
    rig.sequencer.submit(calls.follow_up, "follow")
    rig.refuse(calls.follow_up)
    with pytest.raises(rt.ServerError, match="invalid_value"):
        turn.result()


def test_a_turn_that_is_cancelled_while_tools_run_is_over(rig: Rig) -> None:
    turn = rig.ask()
    rig.rounds = [calling()]
    rig.hear(created("r", "ours"), delta("r", "let me see"), done("r"))
    turn.cancel()
    assert turn.result().text == "let me see"
    assert rig.cancelled == []


def test_a_turn_that_is_cancelled_while_the_following_response_is_queued_is_over(rig: Rig) -> None:
    turn, calls = rig.ask(), calling()
    rig.rounds = [calls]
    rig.hear(created("r", "ours"), done("r"), created("auto"))
    calls.follow_up, calls.settled = rig.create("follow"), True
    rig.sequencer.submit(calls.follow_up, "follow")
    turn.cancel()
    assert turn.result().status == "completed"
    rig.hear(done("auto"))
    assert rig.sent == ["ours"]


# Reading it


def test_result_gives_no_events_to_iterate_afterwards_and_iterating_gives_each_once(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), delta("r", "a"))
    events = iter(turn)
    assert next(events).type == "response.created"
    rig.hear(done("r"))
    assert [event.type for event in events] == ["response.output_text.delta", "response.done"]
    assert list(events) == []
    other = rig.ask("other")
    rig.hear(created("s", "other"), done("s"))
    other.result()
    with pytest.raises(rt.ConfigurationError, match=r"result\(\) already"):
        iter(other)


def test_the_last_event_is_not_lost_when_another_thread_delivers_it_just_now(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"))
    finished = turn._finished

    def deliver_just_now() -> bool:
        rig.hear(done("r"))
        return finished()

    turn._finished = deliver_just_now  # type: ignore[method-assign]
    assert kinds(turn) == ["created", "done"]


def test_text_is_that_of_the_audio_too_and_audio_leaves_out_what_cannot_be_decoded(rig: Rig) -> None:
    for read, expected in (("text", ["hi", ""]), ("audio", [b"\0\0\0"])):
        place: Any = {"response_id": read, "item_id": "i", "output_index": 0, "content_index": 0}
        nothing: Any = None
        turn = rig.ask(read)
        rig.hear(
            created(read, read),
            e.ResponseOutputAudioDelta(**place, delta="AAAA"),
            e.ResponseOutputAudioDelta(**place, delta="A"),
            e.ResponseOutputAudioTranscriptDelta(**place, delta="hi"),
            e.ResponseOutputAudioTranscriptDelta(**place, delta=nothing),
            done(read),
        )
        assert list(getattr(turn, read)()) == expected


def test_a_turn_that_is_left_takes_in_nothing_more(rig: Rig) -> None:
    turn = rig.ask()
    turn.leave()
    rig.hear(created("r", "ours"), done("r"))
    assert not turn.reply.done
    assert repr(turn) == f"<Turn asked: {turn.reply!r}>"


READS = {
    "result": lambda turn: turn.result(),
    "unchecked": lambda turn: turn.result(check=False),
    "text": lambda turn: list(turn.text()),
    "loop": lambda turn: [event.type for event in turn],
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("read", READS)
def test_who_has_left_a_turn_waits_for_nothing(rig: Rig, read: str, begun: bool) -> None:
    turn = rig.ask()
    if begun:
        rig.hear(created("r", "ours"), delta("r", "so far"))
    turn.leave()
    rig.hear(done("r"))
    with pytest.raises(rt.ConfigurationError, match=r"leave\(\) was called") as caught:
        READS[read](turn)
    assert caught.value.reply is turn.reply
    assert turn.reply.text == ("so far" if begun else "")


@pytest.mark.parametrize(
    ("read", "expected"),
    [("text", ["all", " of it"]), ("loop", ["response.created", *["response.output_text.delta"] * 2, "response.done"])],
)
def test_what_has_come_before_a_turn_is_left_is_given(rig: Rig, read: str, expected: list[str]) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), delta("r", "all"), delta("r", " of it"), done("r"))
    turn.leave()
    assert READS[read](turn) == expected
    assert turn.result().text == "all of it"


def test_a_turn_is_left_in_the_midst_of_reading_it(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"), delta("r", "a"), delta("r", "b"))
    pieces = turn.text()
    assert next(pieces) == "a"
    turn.leave()
    assert next(pieces) == "b"
    with pytest.raises(rt.ConfigurationError, match=r"turn\.reply"):
        next(pieces)


def test_a_turn_is_left_while_tools_run(rig: Rig) -> None:
    turn = rig.ask()
    rig.rounds = [calling()]
    rig.hear(created("r", "ours"), done("r"))
    turn.leave()
    with pytest.raises(rt.ConfigurationError, match="leave"):
        turn.result()


def test_after_a_timeout_the_result_can_be_asked_for_again(rig: Rig) -> None:
    turn = rig.ask()
    rig.hear(created("r", "ours"))
    for _ in range(2):
        with pytest.raises(rt.RealtimeTimeout):
            turn.result(timeout=0)
    rig.hear(delta("r", "late"), done("r"))
    assert turn.result(timeout=0).text == "late"


# Through a session


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
    waiting = len(fake.session._dispatcher._routes)
    for _ in range(3):
        with pytest.raises(rt.RealtimeTimeout):
            fake.session.respond()
    assert len(fake.session._dispatcher._routes) == waiting


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
    with pytest.raises(rt.ConfigurationError, match=r"text\(\) already"):
        iter(turn)
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
