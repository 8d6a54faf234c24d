"""Which response an event belongs to: the rule for ids."""

from __future__ import annotations

from typing import Any

import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import events as e
from realtime_sync.state.facts import Sound
from realtime_sync.state.responses import Responses, Run, id_of, response_id_of

NOTHING: Any = None


def created(response_id: str | None = None, **fields: Any) -> e.ResponseCreated:
    return e.ResponseCreated(response=e.Response(id=response_id, status="in_progress", **fields))


def done(response_id: str | None = None, status: str | None = "completed") -> e.ResponseDone:
    return e.ResponseDone(response=e.Response(id=response_id, status=status))


def delta(response_id: str | None = None) -> e.ResponseOutputTextDelta:
    return e.ResponseOutputTextDelta(
        response_id=response_id or NOTHING, item_id="i", output_index=0, content_index=0, delta="x"
    )


@pytest.fixture
def responses() -> Responses:
    return Responses()


def test_an_event_that_names_a_response_belongs_to_that_one(responses: Responses) -> None:
    first = responses.fold(created("a"))
    second = responses.begin(created("b"), beside=True)
    assert responses.fold(delta("a")) is first
    assert responses.fold(delta("b")) is second
    assert responses.fold(done("b")) is second
    assert (responses.active, second.over, first.over) == (first, True, False)
    assert responses.fold(done("a")) is first
    assert responses.of(delta("b")) is second, "late events of one that has ended too"
    assert responses.active is None


def test_an_event_that_names_none_belongs_to_the_active_response_else_to_the_latest(responses: Responses) -> None:
    assert responses.of(delta()) is None
    first = responses.fold(created("a"))
    responses.begin(created("b"), beside=True)
    assert responses.fold(delta()) is first
    assert responses.fold(done()) is first
    assert responses.of(delta()) is first


@pytest.mark.parametrize("blank", [None, ""])
def test_an_empty_name_is_none(responses: Responses, blank: Any) -> None:
    run = responses.fold(created("a"))
    assert responses.find(blank) is run


def test_a_new_name_belongs_to_the_active_response_while_that_has_none(responses: Responses) -> None:
    run = responses.fold(created())
    assert responses.fold(delta("a")) is run
    assert (run.id, responses.named("a")) == ("a", run)
    other = responses.fold(delta("b"))
    assert other is not run, "it has one now"
    assert other.beside
    assert responses.active is run


def test_any_other_new_name_is_that_of_a_response_whose_beginning_was_not_told(responses: Responses) -> None:
    run = responses.fold(delta("a"))
    assert (run.beside, responses.active, responses.count) == (False, run, 1)
    responses.fold(done("a"))
    only_done = responses.fold(done("b"))
    assert (only_done.over, only_done.beside, responses.active, responses.count) == (True, False, None, 2)


def test_one_that_was_asked_for_writes_to_the_conversation_though_its_beginning_was_not_told(
    responses: Responses,
) -> None:
    lost = responses.fold(created("a"))
    ours = responses.begin(delta("b"), asked_by="event_1")
    assert (ours.beside, ours.asked_by, responses.active) == (False, "event_1", ours)
    assert lost.status == "lost", "only one can write to the conversation"


def test_a_beginning_that_is_told_twice_is_one(responses: Responses) -> None:
    run = responses.begin(created("a"), asked_by="event_1")
    assert responses.begin(created("a")) is run
    assert (run.asked_by, responses.count, responses.active) == ("event_1", 1, run)
    responses.fold(done("a"))
    assert responses.begin(created("a")) is run
    assert responses.active is None, "it has ended"
    assert responses.of(delta()) is run


def test_two_that_begin_without_a_name_are_two(responses: Responses) -> None:
    first, second = responses.fold(created()), responses.fold(created())
    assert first is not second
    assert (first.number, second.number, first.status, responses.active) == (1, 2, "lost", second)


def test_one_beside_the_conversation_is_never_active(responses: Responses) -> None:
    run = responses.begin(created("a"), beside=True)
    assert responses.active is None
    responses.begin(created("a"))
    assert (run.beside, responses.active) == (True, None)
    responses.fold(created("b"))
    responses.fold(done("a"))
    assert id_of(e.Response(id="b")) == getattr(responses.active, "id", None)


@pytest.mark.parametrize(("told", "status"), [("failed", "failed"), (None, "completed")])
def test_how_it_ended(responses: Responses, told: str | None, status: str) -> None:
    run = responses.fold(created("a"))
    assert (run.status, run.over) == (None, False)
    responses.fold(done("a", told))
    assert (run.status, run.over) == (status, True)


def test_one_that_is_given_up_frees_the_conversation_and_can_still_end(responses: Responses) -> None:
    responses.give_up()
    run = responses.fold(created("a"))
    responses.give_up()
    assert (responses.active, run.status) == (None, "lost")
    assert responses.fold(done("a", "cancelled")) is run
    assert run.status == "cancelled"


def test_what_the_server_says_of_it_is_kept_and_what_it_leaves_out_changes_nothing(responses: Responses) -> None:
    own = e.AudioConfig(output=e.AudioOutput(format=e.AudioPcmu()))
    run = responses.fold(created("a", conversation_id="conv_1", audio=own, output_modalities=["audio"]))
    responses.fold(done("a"))
    assert (run.lasting, run.sound, run.modalities) == (True, Sound("pcmu", 8_000), ["audio"])
    bare = responses.fold(created("b"))
    assert (bare.lasting, bare.sound, bare.modalities) == (False, None, None)
    responses.fold(e.ResponseDone(response=e.Response(id="b", conversation_id="conv_1", output_modalities=["text"])))
    assert (bare.lasting, bare.modalities) == (True, ["text"])


def test_events_without_a_response_are_read_all_the_same(responses: Responses) -> None:
    run = responses.fold(e.ResponseCreated(response=NOTHING))
    assert run.id is None
    assert responses.fold(e.ResponseDone(response=NOTHING)) is run
    assert (run.status, responses.active) == ("completed", None)
    assert response_id_of(e.SessionUpdated(session=NOTHING)) is None


def test_old_ones_are_forgotten_but_none_that_is_alive(responses: Responses) -> None:
    alive = responses.begin(created("alive"), beside=True)
    for number in range(1000):
        responses.fold(created(str(number)))
        responses.fold(done(str(number)))
    assert responses.named("alive") is alive
    assert responses.named("999") is not None
    assert responses.named("0") is None
    assert len(responses._runs) <= 257


def test_repr_says_how_it_is(responses: Responses) -> None:
    assert repr(responses.begin(created("a"), beside=True)) == "<Run a: alive, beside>"
    assert repr(responses.fold(done("a"))) == "<Run a: completed>".replace(">", ", beside>")


class Truth:
    """A response at the server, and what our side takes it for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.run: Run | None = None
        self.named = False  # whether its id was told


class Server:
    """Any legal order of events, with ids left out where it stays clear what is meant.

    One response at a time writes to the conversation, of which the beginning, the end and ids may be missing. Others
    run beside it: those are named always, and begin with ``response.created``, or else while the active one is named.
    """

    def __init__(self) -> None:
        self.responses = Responses()
        self.all: list[Truth] = []
        self.main: Truth | None = None
        self.told: Truth | None = None  # the active one as far as our side can know: its end may be lost
        self.beside: list[Truth] = []
        self.latest: Truth | None = None  # whose beginning or end was told last

    def step(self, what: str, named: bool, number: int) -> None:
        if what.startswith("beside") or what == "stranger":
            self.step_beside(what, number)
        elif what == "lose":  # our side will not hear of its end
            self.main = None
        elif what == "late":
            if self.told is None and self.latest is not None:
                assert self.responses.of(delta()) is self.latest.run
        else:
            self.step_main(what, named)

    def step_main(self, what: str, named: bool) -> None:
        main = self.main
        fresh = main is None
        if main is None:
            if self.told is not None and what != "created":
                return  # after an end that got lost only this tells a further one from the last
            named = named or (what != "created" and self.latest is not None)
            main = self.main = self.new()
        elif what == "created":  # told again
            if not main.named:
                return
            named = True
        event = {"created": created, "delta": delta, "done": done}[what](main.name if named else None)
        main.named = main.named or named
        self.check(main, self.responses.fold(event))
        if fresh or what != "delta":
            self.latest = main
        self.told = main
        if what == "done":
            self.main = self.told = None

    def step_beside(self, what: str, number: int) -> None:
        if what == "beside created":
            truth = self.new()
            self.beside.append(truth)
            self.latest = truth
            self.check(truth, self.responses.begin(created(truth.name), beside=True))
        elif what == "stranger":
            if self.told is not None and self.told.named:
                truth = self.new()
                self.beside.append(truth)
                self.latest = truth
                self.check(truth, self.responses.fold(delta(truth.name)))
        elif self.beside:
            truth = self.beside[number % len(self.beside)]
            if what == "beside done":
                self.beside.remove(truth)
                self.latest = truth
            self.check(truth, self.responses.fold((done if what == "beside done" else delta)(truth.name)))
        assert all(truth.run is not None and truth.run.beside for truth in self.beside)

    def new(self) -> Truth:
        truth = Truth(f"resp_{len(self.all)}")
        self.all.append(truth)
        return truth

    def check(self, truth: Truth, run: Run) -> None:
        if truth.run is None:
            assert all(other.run is not run for other in self.all), f"{truth.name} was taken for another one"
            truth.run = run
        assert truth.run is run, f"an event of {truth.name} was taken for {run}'s"


STEPS = ["created", "created", "delta", "delta", "done", "done", "lose", "late"]
STEPS += ["beside created", "beside delta", "beside done", "stranger"]


@examples(600)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans(), st.integers(0, 9)), max_size=30))
def test_every_event_is_taken_for_its_own_response_with_and_without_ids(steps: list[tuple[str, bool, int]]) -> None:
    server = Server()
    for step in steps:
        server.step(*step)
        active = server.responses.active
        assert active is (server.told.run if server.told is not None else None)
        assert active is None or not (active.over or active.beside)
        assert server.responses.count == len(server.all)
