"""One response at a time: when a create is sent, and each way out of a claim on the conversation.

First the table itself, without threads and with a number for a clock; then the same through a session.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from effort import examples
from fakes import FakeSession, error, response_created, response_done, text_delta
from hypothesis import given
from hypothesis import strategies as st

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.sending import sequencer
from realtime_sync.sending.acks import STAMP, Ack, AckTable
from realtime_sync.sending.sequencer import ANOTHER_S, GIVEN_UP_S, PROBE_S, RETRY_S, UNANSWERED_S, Sequencer
from realtime_sync.state.responses import Responses, Run

COLLISION = "conversation_already_has_active_response"


NOT_ACTIVE = "response_cancel_not_active"
NOTHING: Any = None


class Table:
    """A sequencer whose clock, wire and server are the test."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.sent: list[str] = []
        self.cancelled: list[str | None] = []
        self.send_fault: BaseException | None = None
        self.responses = Responses()
        self.acks = AckTable(lambda: NOTHING)
        self.sequencer = Sequencer(self.acks, self.responses, self.send, self.cancelled.append)

    def send(self, text: str, owner: object = None) -> None:
        if self.send_fault is not None:
            raise self.send_fault
        self.sent.append(text)

    def ask(self, name: str, *, stamped: bool = True, **config: Any) -> Ack[Any]:
        """Submit a create, whose text is its name."""
        if stamped:
            config["metadata"] = {STAMP: name}
        create = e.ResponseCreate(event_id=name, response=e.ResponseConfig(**config))
        ack = self.acks.prepare(create, name)
        self.sequencer.submit(ack, name)
        return ack

    def created(self, response_id: str | None, stamp: str | None = None) -> Run:
        """The server begins a response; the ``stamp`` is that of the create that it answers."""
        metadata = {STAMP: stamp} if stamp is not None else None
        response = e.Response(id=response_id, status="in_progress", metadata=metadata)
        return self.sequencer.apply(e.ResponseCreated(response=response))

    def done(self, response_id: str | None, status: Any = "completed") -> Run:
        return self.sequencer.apply(e.ResponseDone(response=e.Response(id=response_id, status=status)))

    def error(self, code: str, event_id: str | None = None, *, where: str = "code") -> bool:
        """The server reports an error, which is taken in as the session does it; whether it was handled here."""
        said = rt.ServerError("no", **{where: code}, event_id=event_id)
        refused = self.acks.refusal_of(said)
        if self.sequencer.retries(said, refused):
            return True
        if refused is not None:
            self.acks.refuse(refused, said)
            self.sequencer.refused(refused)
            refused.exception()
            if event_id is None:
                self.sequencer.expect_another()
        return False

    @staticmethod
    def is_beside(ack: Ack[Any]) -> bool:
        config = getattr(ack.event, "response", None)
        return config is not None and config.conversation == "none"

    def after(self, seconds: float) -> list[str]:
        """What has been sent when so much time has passed in silence."""
        self.at += seconds
        self.sequencer.tick()
        return self.sent


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table()
    monkeypatch.setattr(sequencer, "now", lambda: made.at)
    return made


MOMENT = 0.01


# Each way out of a claim


def test_a_create_that_stays_unanswered_lapses(table: Table) -> None:
    table.ask("a")
    table.ask("b")
    assert table.after(UNANSWERED_S - MOMENT) == ["a"]
    assert table.after(MOMENT) == ["a", "b"]
    assert table.created("late", stamp="a").asked_by == "a", "its answer may come after all"


def test_what_comes_unstamped_after_a_create_has_lapsed_is_for_the_next_one(table: Table) -> None:
    a, b = table.ask("a", stamped=False), table.ask("b", stamped=False)
    table.after(UNANSWERED_S)
    assert table.created("r").asked_by == "b"
    assert (a.done, b.done) == (False, True)


def test_a_create_that_lapsed_is_not_given_up_while_it_is_the_only_one(table: Table) -> None:
    a = table.ask("a")
    assert table.after(60) == ["a"]
    assert table.created("r", stamp="a").asked_by == "a"
    assert a.done


def test_an_abandoned_create_lapses_sooner(table: Table) -> None:
    a = table.ask("a")
    table.ask("b")
    table.sequencer.abandon(a)
    assert table.after(GIVEN_UP_S - MOMENT) == ["a"]
    assert table.after(MOMENT) == ["a", "b"]
    table.created("late", stamp="a")
    assert not a.done, "nobody waits for it"


def test_an_abandoned_create_does_not_lapse_later_for_it(table: Table) -> None:
    a = table.ask("a")
    table.ask("b")
    table.at += UNANSWERED_S - MOMENT
    table.sequencer.abandon(a)
    assert table.after(MOMENT) == ["a", "b"]


def test_the_response_of_an_abandoned_create_is_cancelled_when_it_begins(table: Table) -> None:
    a = table.ask("a")
    other = table.ask("b")
    table.sequencer.abandon(other)  # it still waits: that is for `withdraw`
    table.sequencer.abandon(a)
    table.created("r", stamp="a")
    assert table.cancelled == ["r"]
    table.done("r")
    table.created("s", stamp="b")
    assert table.cancelled == ["r"]


def test_the_response_of_an_abandoned_create_out_of_band_is_cancelled_when_it_begins(table: Table) -> None:
    side = table.ask("side", conversation="none")
    table.ask("a")
    table.sequencer.abandon(side)
    table.created("r", stamp="a")
    table.created("s", stamp="side")
    assert table.cancelled == ["s"]


@pytest.mark.parametrize("abandoned", [False, True])
def test_a_create_out_of_band_that_stays_unanswered_goes_behind_newer_ones(table: Table, abandoned: bool) -> None:
    side = table.ask("side", stamped=False, conversation="none")
    if abandoned:
        table.sequencer.abandon(side)
    table.at += GIVEN_UP_S if abandoned else UNANSWERED_S
    table.ask("a", stamped=False)
    assert table.created("r").asked_by == "a"
    table.done("r")
    assert table.created("s").asked_by == "side"


def test_a_cancelled_response_that_does_not_end_is_given_up(table: Table) -> None:
    table.ask("a")
    run = table.created("r", stamp="a")
    table.ask("b")
    run.cancelled_at = table.at
    assert table.after(GIVEN_UP_S - MOMENT) == ["a"]
    assert table.after(MOMENT) == ["a", "b"]
    assert run.status == "lost"


def test_a_create_is_tried_all_the_same_when_the_end_of_the_active_response_does_not_come(table: Table) -> None:
    table.created("r")
    table.ask("a")
    assert table.after(PROBE_S - MOMENT) == []
    assert table.after(MOMENT) == ["a"]
    assert table.error(COLLISION, "a"), "it was active after all"
    assert table.after(PROBE_S - MOMENT) == ["a"]
    assert table.after(MOMENT) == ["a", "a"]
    table.done("r")
    assert table.created("s", stamp="a").asked_by == "a"


def test_how_long_a_create_waits_is_counted_from_its_own_beginning(table: Table) -> None:
    table.created("r")
    table.at += 60
    table.ask("a")
    assert table.after(PROBE_S - MOMENT) == []


@pytest.mark.parametrize("event_id", ["the cancel", None])
def test_nothing_to_cancel_frees_the_conversation_where_it_was_to_be_cancelled(
    table: Table, event_id: str | None
) -> None:
    run = table.created("r")
    table.ask("a")
    assert not table.error(NOT_ACTIVE, event_id)
    assert table.sent == [], "it was another one that could not be cancelled"
    run.cancelled_at = table.at
    assert not table.error(NOT_ACTIVE, event_id)
    assert table.sent == ["a"]
    assert run.over


def test_a_refusal_frees_the_conversation_at_once(table: Table) -> None:
    a = table.ask("a")
    table.ask("b")
    assert not table.error("invalid_value", "a")
    assert (table.sent, type(a.exception())) == (["a", "b"], rt.ServerError)


def test_a_refusal_of_something_else_frees_nothing(table: Table) -> None:
    table.ask("a")
    table.ask("b")
    side = table.ask("side", conversation="none")
    assert not table.error("invalid_value", "side")
    assert side.done
    assert table.sent == ["a", "side"]


def test_a_send_that_fails_frees_the_conversation_and_is_raised(table: Table) -> None:
    table.send_fault = rt.RealtimeTimeout("stuck")
    with pytest.raises(rt.RealtimeTimeout):
        table.ask("a")
    table.send_fault = None
    assert not table.sequencer.busy
    table.ask("b")
    assert table.created("r").asked_by == "b", "the first one is not expected any more"


def test_a_queued_create_that_cannot_be_sent_tells_its_handle_and_the_next_one_goes_on(table: Table) -> None:
    table.ask("a")
    b, _ = table.ask("b"), table.ask("c")
    table.created("r", stamp="a")
    table.send_fault = rt.RealtimeTimeout("stuck")
    table.done("r")
    assert isinstance(b.exception(), rt.RealtimeTimeout)
    table.send_fault = None
    assert table.after(0) == ["a", "c"]


def test_the_end_of_the_connection_fails_what_waits(table: Table) -> None:
    table.ask("a")
    b = table.ask("b")
    table.sequencer.fail_all(rt.ConnectionLost("gone"))
    assert isinstance(b.exception(), rt.ConnectionLost)
    assert table.after(60) == ["a"]


def test_after_the_end_nothing_is_queued(table: Table) -> None:
    table.ask("a")
    table.created("r", stamp="a")
    table.sequencer.fail_all(rt.ConnectionLost("gone"))
    table.send_fault = rt.ConnectionClosed("the session is over", code=1000)
    with pytest.raises(rt.ConnectionClosed):
        table.ask("b")
    assert not table.sequencer.waits


def test_a_queued_create_can_be_withdrawn_and_a_sent_one_cannot(table: Table) -> None:
    a, b, c = table.ask("a"), table.ask("b"), table.ask("c")
    assert table.sequencer.withdraw(b)
    assert not table.sequencer.withdraw(b)
    assert not table.sequencer.withdraw(a)
    table.created("r", stamp="a")
    table.done("r")
    assert table.sent == ["a", "c"]
    assert not table.sequencer.withdraw(c)


def test_they_are_sent_in_the_order_in_which_they_were_asked_for(table: Table) -> None:
    for name in "abcd":
        table.ask(name)
    for name in "abcd":
        assert table.sent[-1] == name
        table.created(f"r{name}", stamp=name)
        table.done(f"r{name}")
    assert not table.sequencer.busy


def test_a_create_that_comes_while_one_still_waits_goes_behind_it(table: Table) -> None:
    a = table.ask("a")
    table.error(COLLISION, "a")
    table.error(COLLISION, "a")  # it waits for a while now, and nothing is active
    assert not table.sequencer.busy
    table.ask("b")
    assert table.sent == ["a", "a"]
    assert table.after(RETRY_S[1]) == ["a", "a", "a"]
    assert not a.done


# Collisions


def test_a_collision_with_a_known_response_waits_for_its_end(table: Table) -> None:
    a = table.ask("a")
    table.created("auto", stamp="of another client")
    assert table.error(COLLISION, "a")
    assert table.after(PROBE_S - MOMENT) == ["a"]
    table.done("auto")
    assert table.sent == ["a", "a"]
    table.created("mine", stamp="a")
    assert a.done


@pytest.mark.parametrize("where", ["code", "type"])
def test_collisions_without_a_known_response_are_tried_again_for_a_while_and_then_told(
    table: Table, where: str
) -> None:
    a = table.ask("a")
    for number, seconds in enumerate(RETRY_S, 1):
        assert len(table.sent) == number
        assert table.error(COLLISION, "a", where=where)
        if seconds:
            assert len(table.after(seconds - MOMENT)) == number
            table.after(MOMENT)
    assert not table.error(COLLISION, "a", where=where), "enough"
    assert isinstance(a.exception(), rt.ServerError)
    table.ask("b")
    assert table.sent[-1] == "b"


def test_one_that_collided_goes_before_those_that_have_not_been_sent(table: Table) -> None:
    table.ask("a")
    table.ask("b")
    table.created("auto", stamp="of another client")
    table.error(COLLISION, "a")
    table.done("auto")
    assert table.sent == ["a", "a"]


def test_what_is_asked_for_once_more_can_be_taken_back_until_it_is_sent(table: Table) -> None:
    table.ask("a")
    lost = table.created("r", stamp="a")

    def lose() -> None:
        table.sequencer.hold()
        table.responses.lose(lost)

    lose()
    assert table.sequencer.ask_again(lost)
    assert table.sequencer.busy
    table.sequencer.release()
    assert not table.sequencer.stop_again(lost), "it has been sent"
    assert table.created("s", stamp="a").id == table.cancelled[-1] == "s", "but it is cancelled when it begins"
    lost = table.responses.alive[0]
    lose()
    assert table.sequencer.ask_again(lost)
    assert not table.sequencer.stop_again(Run(99, "another"))
    assert table.sequencer.stop_again(), "that on the conversation"
    assert (lost.stopped, table.sequencer.busy) == (True, False)
    table.sequencer.release()
    assert len(table.sent) == 2


def test_what_is_asked_for_once_more_and_collides_is_like_any_other(table: Table) -> None:
    table.ask("a")
    lost = table.created("r", stamp="a")
    table.sequencer.hold()
    table.responses.lose(lost)
    assert table.sequencer.ask_again(lost)
    table.sequencer.release()
    table.created("auto", stamp="of another client")
    table.error(COLLISION, "a")
    table.sequencer.hold()
    assert not table.sequencer.stop_again(lost), "its turn may wait for this create by now"
    table.sequencer.release()
    table.done("auto")
    assert len(table.sent) == 3


def test_collisions_with_known_responses_are_never_told(table: Table) -> None:
    a = table.ask("a")
    for number in range(10):
        table.created(f"auto{number}", stamp="of another client")
        assert table.error(COLLISION, "a")
        table.done(f"auto{number}")
    assert len(table.sent) == 11
    assert not a.done


def test_a_collision_that_names_another_message_is_not_ours(table: Table) -> None:
    table.ask("a")
    side = table.ask("side", conversation="none")
    assert not table.error(COLLISION, "side")
    assert side.done
    assert table.sequencer.busy
    assert not table.error(COLLISION, "of another client")
    assert table.sent == ["a", "side"]


def test_an_abandoned_create_that_collides_is_forgotten(table: Table) -> None:
    a = table.ask("a")
    table.ask("b")
    table.sequencer.abandon(a)
    assert table.error(COLLISION, "a")
    assert table.after(60) == ["a", "b"]


# Guesses: responses without a stamp


def test_a_guess_is_taken_back_by_the_stamp_of_another_response(table: Table) -> None:
    a = table.ask("a")
    auto = table.created("auto")
    assert (auto.asked_by, a.done) == ("a", True)
    mine = table.created("mine", stamp="a")
    assert (auto.asked_by, mine.asked_by) == (None, "a")
    assert a.result().response.id == "mine"


def test_a_stamp_that_is_not_of_the_guess_leaves_it_alone(table: Table) -> None:
    table.ask("a")
    auto = table.created("auto")
    table.created("other", stamp="of another client")
    assert auto.asked_by == "a"


@pytest.mark.parametrize("event_id", ["a", None, ""])
def test_a_guess_is_taken_back_by_a_collision(table: Table, event_id: str | None) -> None:
    a = table.ask("a")
    auto = table.created("auto")
    assert table.error(COLLISION, event_id)
    assert (auto.asked_by, a.done) == (None, False)
    table.done("auto")
    assert table.sent == ["a", "a"]
    assert table.created("mine").asked_by == "a"


def test_a_collision_of_another_message_takes_no_guess_back(table: Table) -> None:
    table.ask("a")
    auto = table.created("auto")
    assert not table.error(COLLISION, "of another client")
    assert auto.asked_by == "a"


def test_a_guess_is_taken_back_by_a_second_response_while_another_one_was_to_be_expected(table: Table) -> None:
    a = table.ask("a")
    table.sequencer.expect_another()
    auto = table.created("auto")
    assert table.sequencer.doubts(a)
    table.done("auto")
    mine = table.created("mine")
    assert (auto.asked_by, mine.asked_by) == (None, "a")
    assert not table.sequencer.doubts(a), "what was to be expected has come"
    further = table.created("further")
    assert (mine.asked_by, further.asked_by) == ("a", None)


def test_a_second_response_is_none_of_ours_when_no_other_one_was_to_be_expected(table: Table) -> None:
    a = table.ask("a")
    mine = table.created("mine")
    assert not table.sequencer.doubts(a)
    table.done("mine")
    assert table.created("auto").asked_by is None
    assert mine.asked_by == "a"


def test_what_was_to_be_expected_is_so_for_a_while_only(table: Table) -> None:
    a = table.ask("a")
    table.sequencer.expect_another()
    table.at += ANOTHER_S - MOMENT
    mine = table.created("mine")
    assert table.sequencer.doubts(a)
    table.at += MOMENT
    assert not table.sequencer.doubts(a)
    table.done("mine")
    assert table.created("auto").asked_by is None
    assert mine.asked_by == "a"


def test_the_response_of_a_create_that_lapsed_was_to_be_expected(table: Table) -> None:
    table.ask("a")
    b = table.ask("b")
    table.after(UNANSWERED_S)
    late = table.created("late")
    assert table.sequencer.doubts(b)
    table.done("late")
    assert table.created("mine").asked_by == "b"
    assert late.asked_by is None


def test_a_response_that_nobody_asked_for_is_the_one_that_was_expected(table: Table) -> None:
    table.sequencer.expect_another()
    assert table.created("auto").asked_by is None
    table.done("auto")
    a = table.ask("a")
    mine = table.created("mine")
    assert mine.asked_by == "a"
    assert not table.sequencer.doubts(a)


def test_a_stamp_leaves_no_doubt(table: Table) -> None:
    a = table.ask("a")
    table.sequencer.expect_another()
    table.created("mine", stamp="a")
    assert not table.sequencer.doubts(a)
    assert table.created("auto").asked_by is None


def test_a_further_create_under_way_takes_the_second_response(table: Table) -> None:
    a = table.ask("a", stamped=False)
    table.sequencer.expect_another()
    first = table.created("1")
    table.done("1")
    table.ask("b", stamped=False)
    assert table.created("2").asked_by == "b"
    assert first.asked_by == "a"
    assert a.done


# What the server leaves out


def test_an_end_without_id_frees_the_conversation(table: Table) -> None:
    table.ask("a")
    table.created("r", stamp="a")
    table.ask("b")
    table.done(None)
    assert table.sent == ["a", "b"]


def test_what_comes_first_of_a_response_begins_it(table: Table) -> None:
    a = table.ask("a")
    item = e.ResponseOutputItemAdded(response_id="r", output_index=0, item=e.FunctionCall(name="f", arguments=""))
    run = table.sequencer.apply(item)
    assert (run.asked_by, a.done, a.result().response.id) == ("a", True, "r")
    assert table.responses.active is run
    assert table.created("r") is run, "which may be told late"


def test_what_names_no_response_while_none_is_alive_begins_the_one_that_was_asked_for(table: Table) -> None:
    table.ask("a")
    table.created("r", stamp="a")
    table.done("r")
    late = table.done(None)
    assert late.number == 1, "nothing was asked for: of the one before"
    table.ask("b", stamped=False)
    assert table.created(None).number == 2
    table.done(None)
    table.ask("c", stamped=False)
    assert table.done(None).number == 3
    assert not table.sequencer.busy


@pytest.mark.parametrize("stamped", [True, False])
def test_a_server_that_has_one_name_for_all_responses_answers_each_create(table: Table, stamped: bool) -> None:
    for name in "abc":
        ack = table.ask(name)
        run = table.created("r", stamp=name if stamped else None)
        assert (run.asked_by, run.over, ack.done) == (name, False, True)
        assert table.created("r", stamp=name if stamped else None) is run, "told again"
        assert table.done("r") is run
    assert table.responses.count == 3
    table.ask("d")
    assert table.created("r", stamp="of another client").over, "none of ours"


def cancelled_too_late(table: Table, response_id: str | None) -> Run:
    """A response of a server that tells no beginnings; its end and our cancellation were under way at once."""
    table.ask("a", stamped=False)
    item = e.FunctionCall(name="f", arguments="")
    run = table.sequencer.apply(e.ResponseOutputItemAdded(response_id=response_id, output_index=0, item=item))
    run.cancelled_at = table.at
    table.done(response_id)
    return run


@pytest.mark.parametrize("response_id", ["r", None])
def test_what_a_server_says_to_a_cancellation_that_came_too_late_is_not_the_answer_to_the_next_create(
    table: Table, response_id: str | None
) -> None:
    run = cancelled_too_late(table, response_id)
    b = table.ask("b", stamped=False)
    assert table.done(response_id, "cancelled") is run
    assert (b.done, table.sequencer.busy) == (False, True)
    answer = table.done(response_id)
    assert (answer.number, answer.asked_by, b.done) == (2, "b", True), "what has ended otherwise is"


@pytest.mark.parametrize("response_id", ["r", None])
def test_an_end_by_cancellation_is_that_of_the_create_under_way_where_that_was_cancelled(
    table: Table, response_id: str | None
) -> None:
    cancelled_too_late(table, response_id)
    b = table.ask("b", stamped=False)
    cancel = table.acks.prepare(e.ResponseCancel(event_id="c"), "c")
    cancel._about = "b"
    table.acks.expect(cancel)
    assert table.done(response_id, "cancelled").asked_by == "b"
    assert b.done
    assert cancel.done


def test_one_beside_the_conversation_claims_nothing(table: Table) -> None:
    side = table.ask("side", conversation="none")
    assert not table.sequencer.busy
    run = table.created("s", stamp="side")
    assert (run.beside, side.done, table.sequencer.busy) == (True, True, False)
    assert table.sequencer.beside("s")
    assert not table.sequencer.beside(None)
    assert not table.sequencer.beside("unknown")
    table.ask("a")
    table.ask("b")
    table.done("s")
    assert table.sent == ["side", "a"], "its end frees nothing"


# The law: nothing that a server says or leaves out holds a create up for ever

IDS = st.sampled_from([None, "1", "2", "3"])
NAMES = st.sampled_from(["a0", "a1", "a2", "a3", "of another client", None])
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.booleans(), st.booleans()),
    st.tuples(st.just("created"), IDS, NAMES),
    st.tuples(st.just("done"), IDS),
    st.tuples(st.just("error"), st.sampled_from([COLLISION, NOT_ACTIVE, "invalid_value"]), NAMES),
    st.tuples(st.just("abandon"), st.integers(0, 9)),
    st.tuples(st.just("withdraw"), st.integers(0, 9)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("committed")),
    st.tuples(st.just("after"), st.sampled_from([0.1, 0.6, 2.0, 5.0, 11.0])),
)


def play(table: Table, asked: list[Ack[Any]], withdrawn: set[str], step: Any) -> None:
    what, *details = step
    if what == "ask":
        stamped, beside = details
        asked.append(table.ask(f"a{len(asked)}", stamped=stamped, **({"conversation": "none"} if beside else {})))
    elif what == "abandon" and asked:
        table.sequencer.abandon(asked[details[0] % len(asked)])
    elif what == "withdraw" and asked:
        ack = asked[details[0] % len(asked)]
        if table.sequencer.withdraw(ack):
            withdrawn.add(ack.event_id)
    elif what == "cancel" and table.responses.active is not None:
        table.responses.active.cancelled_at = table.at
    elif what == "committed":
        table.sequencer.expect_another()
    elif what in ("created", "done", "error", "after"):
        getattr(table, what)(*details)


@examples(400)
@given(st.lists(STEPS, max_size=25))
def test_whatever_the_server_says_or_not_every_create_is_sent_in_the_end(steps: list[Any]) -> None:
    table, withdrawn = Table(), set[str]()
    asked: list[Ack[Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequencer, "now", lambda: table.at)
        for step in steps:
            play(table, asked, withdrawn, step)
        asked.append(table.ask("last"))
        for _ in range(len(asked) + 1):
            table.after(PROBE_S)
    assert {ack.event_id for ack in asked} - withdrawn <= set(table.sent)
    first_sends = list(dict.fromkeys(table.sent))
    queued = [ack.event_id for ack in asked if not table.is_beside(ack) and ack.event_id in table.sent]
    assert [name for name in first_sends if name in queued] == queued, "in order"


# Through a session


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


@pytest.mark.parametrize("ended", [False, True], ids=["before its end", "after its end"])
def test_after_the_end_of_the_session_nothing_can_be_asked_for(fake: FakeSession, ended: bool) -> None:
    fake.session.create_response()
    fake.wire.say(response_created("1", creates(fake)[0]))
    if ended:
        fake.wire.say(response_done("1"))
    fake.wire.hang_up(1011, "x")
    with pytest.raises(rt.ConnectionLost):
        fake.session.wait_for("vendor.marker")
    for ask in (
        fake.session.create_response,
        lambda: fake.session.send_text("x"),
        lambda: fake.session.ask("x", timeout=None),
        lambda: fake.session.respond("x"),
        lambda: fake.session.ask(audio=b"\0\0", timeout=None),  # lines up first
    ):
        with pytest.raises(rt.ConnectionLost):
            ask()
    assert len(creates(fake)) == 1


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


def test_a_response_that_was_cancelled_before_it_began_is_known_as_cancelled(fake: FakeSession) -> None:
    turn = fake.session.respond()
    fake.session.cancel_response()
    fake.wire.say(response_created("r", creates(fake)[0]))
    pump(fake)
    assert turn.reply.response_id == "r"
    run = fake.session._state.responses.active
    assert run is not None
    assert run.cancelled_at is not None


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
