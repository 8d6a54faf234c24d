"""Every way in which compatible servers were seen to depart from the protocol, as a table, each followed by good
behaviour: the call that meets the departure ends with the answer or with what the server said, and the session goes on.

Only public names are used, and a server of our own (`scripted_server`), so that nothing here depends on how it is done.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import (
    Change,
    Departure,
    Exchange,
    Frame,
    JsonObject,
    ScriptedServer,
    answer_to,
    before,
    chain,
    drop,
    edit,
    flat_config,
    instead_of,
    keep,
    named_refusal,
    nested_config,
    put,
    refusal,
    remove,
    say,
    with_vad,
)
from scripted_session import (
    AT_ONCE_S,
    BUSY,
    PACE,
    SHORT_S,
    SOUND,
    TURN_S,
    assert_usable,
    at_once,
    connect,
    look_up,
    no_thread_left,
    opened,
)

import realtime_sync as rt
from realtime_sync.audio import encode_pcmu, read_wav
from realtime_sync.events import MalformedEvent
from realtime_sync.tools import Toolset

SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"
MEANWHILE = "; meanwhile the server said: "


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    with no_thread_left():
        yield


# 1. One event is missing, or another one comes in its place


@dataclass(frozen=True)
class Row:
    """What a server sends instead of a response, and what the call that meets it may make of that.

    ``reply``: the answer is returned. ``refusal``: what the server ``says`` is raised, at once. ``either``: the answer,
    or an error of this library that tells what the server said, if it said anything.
    """

    id: str
    change: Change
    expects: Literal["reply", "refusal", "either"]
    says: str = ""
    to_cancel: Change | None = None
    """What is sent for each ``response.cancel``; by default that nothing is there to be cancelled."""
    then: Callable[[int], tuple[Departure, ...]] = lambda at: ()
    """Further departures, for the number of the response that departs."""
    only: frozenset[str] | None = None
    """The variants that make sense; all by default."""
    again_s: float = TURN_S


@dataclass(frozen=True)
class Variant:
    """Where the departure comes: at the ``at``-th response."""

    id: str
    at: int = 1
    question: str = "first"
    background: bool = False
    server: Callable[[], JsonObject] = dict


def _vad() -> JsonObject:
    return {"config": with_vad(nested_config()), "echoes": False}


def _flat() -> JsonObject:
    return {"config": flat_config(), "echoes": False, "item_events": ("created",)}


VARIANTS = (
    Variant("first"),
    Variant("second", at=2),
    Variant("calling", question="use the tool"),
    Variant("after_call", at=2, question="use the tool"),
    Variant("vad", server=_vad),
    Variant("background", background=True),
    Variant("flat", server=_flat),
)
ECHOING = frozenset({"first", "second", "background"})
FEW = frozenset({"first", "after_call", "vad"})  # for what is much like another row
SLOW = frozenset({"first", "background"})


def error_in_place_of_the_end(exchange: Exchange) -> list[Frame]:
    return [*drop("response.done", "response.output_item.done")(exchange), refusal(BUSY, type="server_error")]


def runs_on(*, named: bool) -> Callable[[int], tuple[Departure, ...]]:
    """The response that seemed dead collides with the next one, and is done then."""

    def departures(at: int) -> tuple[Departure, ...]:
        old: list[str] = []

        def begin(exchange: Exchange) -> list[Frame]:
            old.append(exchange.response_id)
            return list(keep("response.created")(exchange))

        def collide(exchange: Exchange) -> list[Frame]:
            event_id = exchange.request["event_id"] if named else None
            code = "conversation_already_has_active_response"
            done = {"type": "response.done", "response": {"id": old[0], "status": "cancelled", "output": []}}
            return [refusal("a response is active", event_id=event_id, code=code), done]

        return Departure("response.create", begin, at), Departure("response.create", collide, at + 1)

    return departures


def comes_late(at: int) -> tuple[Departure, ...]:
    """The answer is sent when nobody waits for it any more: before the confirmation of the next question."""
    late: list[Frame] = []

    def hold(exchange: Exchange) -> list[Frame]:
        late.extend(exchange.answer)
        return []

    def release(exchange: Exchange) -> list[Frame]:
        frames = [*late, *exchange.answer]
        late.clear()
        return frames

    return Departure("response.create", hold, at), Departure("conversation.item.create", release, None)


def only_in(kind: str) -> Change:
    """The text comes only with the end of a part, or of an item."""
    told = keep("response.created", f"response.{kind}.done", "response.done")
    return chain(told, edit("response.done", put("response", "output", value=[])))


def done_of(response_id: str | None, **more: Any) -> JsonObject:
    return {"type": "response.done", "response": {"id": response_id, "status": "completed", "output": [], **more}}


def cancelled(exchange: Exchange) -> list[Frame]:
    """A good answer to a cancellation of the response that it names."""
    return [done_of(exchange.request.get("response_id"), status="cancelled")]


NOT_ACTIVE = refusal("nothing runs", code="response_cancel_not_active")
_UNNAMED: dict[str, JsonObject] = {
    "null_id": refusal(BUSY),
    "no_id": {"type": "error", "error": {"type": "server_error", "message": BUSY}},
    "code_in_type": {"type": "error", "error": {"type": "upstream_busy", "message": BUSY, "code": 503}},
    "text": {"type": "error", "error": BUSY},
    "flat": {"type": "error", "message": BUSY},
}

DIED = keep("response.created")

ROWS = (
    # The create
    *(Row(f"refused-{name}", say(error), "refusal", BUSY) for name, error in _UNNAMED.items()),
    Row("refused-named", named_refusal(BUSY), "refusal", BUSY),
    Row("unanswered", say(), "either", only=FEW | SLOW),
    Row("answered-late", drop(), "either", then=comes_late, only=ECHOING),
    # The model dies
    Row("died", DIED, "either"),
    Row("died-cancel-not-active-unnamed", DIED, "either", to_cancel=say(NOT_ACTIVE), only=FEW),
    Row("died-cancel-unknown", DIED, "either", to_cancel=named_refusal("Unknown event type"), only=FEW),
    Row("died-cancel-refused-unnamed", DIED, "either", to_cancel=say(refusal("no")), only=SLOW, again_s=8.0 * PACE),
    Row("died-cancel-unanswered", DIED, "either", to_cancel=say(), only=SLOW, again_s=8.0 * PACE),
    Row("died-cancelled", DIED, "either", to_cancel=cancelled, only=FEW),
    Row("died-midway", drop("response.output_item.done", "response.done"), "either", only=FEW),
    Row("runs-on-named", drop(), "either", then=runs_on(named=True)),
    Row("runs-on-unnamed", drop(), "either", then=runs_on(named=False), only=FEW),
    # An error in the place of the end
    Row("error-for-done", error_in_place_of_the_end, "either", BUSY),
    Row("error-for-all", chain(DIED, lambda e: [*e.answer, refusal(BUSY)]), "either", BUSY, only=FEW),
    # The end
    Row("done-lost", drop("response.done"), "either"),
    Row("done-not-json", instead_of("response.done", '{"type": "response.done", "response": {'), "either", only=FEW),
    Row("done-without-type", edit("response.done", remove("type")), "either", only=FEW),
    Row("done-without-response", edit("response.done", remove("response")), "reply"),
    Row("done-null", edit("response.done", put("response", value=None)), "reply"),
    Row("done-a-list", edit("response.done", put("response", value=[])), "reply"),
    Row("done-without-id", edit("response.done", remove("response", "id")), "reply"),
    Row("done-of-another-id", edit("response.done", put("response", "id", value="resp_other")), "either", only=FEW),
    # The beginning
    Row("no-created", drop("response.created"), "reply"),
    Row("done-only", keep("response.done"), "reply"),
    Row("deltas-and-done-only", keep("response.output_text.delta", "response.done"), "reply"),
    *(Row(f"text-in-{kind}-only", only_in(kind), "reply", only=FEW) for kind in ("content_part", "output_item")),
    Row(
        "no-created-no-ids",
        chain(drop("response.created"), edit("*", remove("response_id"), remove("response", "id"))),
        "either",
        only=FEW,
    ),
    Row("created-without-id", edit("response.created", remove("response", "id")), "reply"),
    Row("error-before", before(refusal(BUSY)), "either", only=ECHOING),
    Row("created-twice", lambda e: [e.answer[0], *e.answer], "reply"),
)
CASES = [
    pytest.param(row, variant, id=f"{row.id}-{variant.id}")
    for row in ROWS
    for variant in VARIANTS
    if row.only is None or variant.id in row.only
]


@pytest.mark.parametrize(("row", "variant"), CASES)
def test_the_session_answers_after_a_response_that_departed(row: Row, variant: Variant) -> None:
    departures = [Departure("response.create", row.change, variant.at), *row.then(variant.at)]
    if row.to_cancel is not None:
        departures.append(Departure("response.cancel", row.to_cancel, None))
    with opened(*departures, **variant.server()) as (server, session):
        _come_to(session, variant)
        _depart(session, row, variant.question)
        assert_usable(session, server, timeout=row.again_s)


def _come_to(session: rt.RealtimeSession, variant: Variant) -> None:
    """Everything before the departure, which is as it should be."""
    if variant.background:
        session.start()
    if "tool" in variant.question:
        session.tool(look_up)
    elif variant.at == 2:
        assert session.ask("zeroth", timeout=TURN_S).text == answer_to("zeroth")
    if variant.server is _vad:
        turn = session.next_reply(timeout=TURN_S)
        session.append_audio_bytes(SOUND)
        assert turn.result().text == answer_to("speech 1")


def _depart(session: rt.RealtimeSession, row: Row, question: str) -> None:
    limit_s = SHORT_S if row.expects == "either" else TURN_S
    began = time.monotonic()
    outcome = _outcome(session, question, limit_s)
    assert time.monotonic() - began < (SHORT_S + AT_ONCE_S if row.expects == "either" else AT_ONCE_S)
    if isinstance(outcome, rt.RealtimeError):
        assert row.expects != "reply", str(outcome)
        assert row.says in str(outcome)
        assert row.expects == "either" or not isinstance(outcome, rt.RealtimeTimeout)
    else:
        assert row.expects != "refusal"
        assert str(outcome) == answer_to(question)


def _outcome(session: rt.RealtimeSession, question: str, timeout: float) -> rt.Reply | rt.RealtimeError:
    try:
        return session.ask(question, timeout=timeout)
    except rt.RealtimeError as error:
        return error


# 1, continued: the server commits a turn of the user and answers it, or not

UNHEARD = {
    # What a server sends for a turn of the user; whether that turn is configured to be answered.
    "not-configured": (with_vad(nested_config(), create_response=False), drop()),
    "noise": (
        with_vad(nested_config()),
        keep("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"),
    ),
    "committed-only": (with_vad(nested_config()), keep("input_audio_buffer.committed")),
    "empty-transcript": (
        with_vad(nested_config()),
        chain(
            drop("response.created", "response.output_item.added", "response.output_item.done", "response.done"),
            lambda e: [event for event in e.events if not event["type"].startswith(("response.", "conversation."))],
            lambda e: [
                *e.answer,
                {
                    "type": "conversation.item.input_audio_transcription.completed",
                    "item_id": e.events[0]["item_id"],
                    "content_index": 0,
                    "transcript": "",
                },
            ],
        ),
    ),
    "flat-not-configured": (with_vad(flat_config(), create_response=False), drop()),
}


@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "unechoed"])
@pytest.mark.parametrize("case", UNHEARD)
def test_a_turn_of_the_user_that_is_never_answered_takes_no_other_answer(case: str, echoes: bool) -> None:
    config, change = UNHEARD[case]
    with opened(Departure("input_audio_buffer.append", change, None), config=config, echoes=echoes) as (
        server,
        session,
    ):
        session.append_audio_bytes(SOUND)
        server.wait_received("input_audio_buffer.append")
        try:
            assert session.ask("first", timeout=TURN_S).text == answer_to("first")
        except rt.RealtimeTimeout:  # it may have been the answer to the turn of the user, for a while
            assert not echoes
            assert "not-configured" not in case
        assert_usable(session, server)


@pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])
@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "unechoed"])
def test_an_answer_to_the_speech_of_the_user_is_not_taken_for_the_answer_to_a_question(
    echoes: bool, background: bool
) -> None:
    held: list[Frame] = []

    def hold(exchange: Exchange) -> list[Frame]:
        """The turn is committed at once; its answer comes just before the next one."""
        responding = [event for event in exchange.events if event["type"].startswith("response.")]
        held.extend(responding)
        return [event for event in exchange.events if event not in responding]

    departures = (
        Departure("input_audio_buffer.append", hold),
        Departure("response.create", lambda exchange: [*held, *exchange.answer]),
    )
    with opened(*departures, config=with_vad(nested_config()), echoes=echoes) as (server, session):
        if background:
            session.start()
        session.append_audio_bytes(SOUND)
        reply = session.ask("first", timeout=TURN_S)
        assert reply.text == answer_to("first")
        assert_usable(session, server)


def test_a_timeout_tells_of_a_frame_that_could_not_be_read() -> None:
    broken = instead_of("response.done", '{"type": "response.done", "response": {')
    with opened(Departure("response.create", broken)) as (server, session):
        with pytest.raises(rt.RealtimeTimeout, match=r"(?i)not JSON|malformed"):
            session.ask("first", timeout=SHORT_S)
        assert_usable(session, server)


BOTH = pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])

ANYHOW: dict[str, Frame] = {
    "untyped": {"error": {"message": BUSY}},
    "untyped text": {"error": BUSY},
    "nested": {"type": "error", "error": {"error": {"message": BUSY}}},
    "detail": {"type": "error", "detail": BUSY},
    "list": {"type": "error", "error": [BUSY]},
    "text": f"upstream: {BUSY}",
    "of an unknown type": {"type": "response.failed", "response": {"error": {"message": BUSY}}},
    "the code as its type": {"type": "invalid_request_error", "message": BUSY},
}


@BOTH
@pytest.mark.parametrize("shape", ANYHOW)
def test_what_the_server_says_is_told_in_whatever_shape_it_comes(shape: str, background: bool) -> None:
    kind = rt.RealtimeTimeout if shape == "text" or shape.startswith(("of", "the")) else rt.ServerError
    with ScriptedServer(Departure("open", say(ANYHOW[shape]))) as server, pytest.raises(kind, match=BUSY):
        connect(server, timeout=SHORT_S).close()
    with opened(Departure("response.create", say(ANYHOW[shape]))) as (server, session):
        if background:
            session.start()
        with pytest.raises(kind, match=BUSY):
            session.ask("first", timeout=SHORT_S)
        assert_usable(session, server)


def test_an_untyped_error_is_logged_where_nobody_hears_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with opened(Departure("input_audio_buffer.append", say({"error": BUSY}))) as (_, session):
        session.on("error", lambda event: pytest.fail("it is a MalformedEvent to a handler"))
        session.append_audio_bytes(SOUND)
        session.wait_for(MalformedEvent, timeout=TURN_S)
        assert f"the server reports an error: {BUSY}" in caplog.text


def test_an_event_of_an_unknown_type_is_named_once_and_what_it_says_is_not_shown() -> None:
    vendor = {"type": "vendor.progress", "text": "hidden"}
    with opened(Departure("input_audio_buffer.append", say(vendor, vendor)), Departure("response.create", say())) as (
        _,
        session,
    ):
        session.append_audio_bytes(SOUND)
        with pytest.raises(rt.RealtimeTimeout) as caught:
            session.ask("first", timeout=SHORT_S)
        assert str(caught.value).endswith("; meanwhile an unknown vendor.progress came")
        assert "hidden" not in str(caught.value)


# 3. A refusal that names no message

UNNAMED = pytest.mark.parametrize("error", [pytest.param(error, id=name) for name, error in _UNNAMED.items()])


@UNNAMED
def test_connect_raises_an_unnamed_refusal_of_its_configuration_at_once(error: JsonObject) -> None:
    departure = Departure("session.update", say(error))
    with ScriptedServer(departure) as server, at_once(), pytest.raises(rt.ServerError, match=BUSY):
        connect(server, session={"colour": "blue"})


@UNNAMED
@BOTH
def test_an_unnamed_refusal_belongs_to_the_only_message_that_waits(error: JsonObject, background: bool) -> None:
    with opened(Departure("session.update", say(error))) as (server, session):
        if background:
            session.start()
        bad = session.update_session({"colour": "blue"})
        with at_once(), pytest.raises(rt.ServerError, match=BUSY):
            bad.result(TURN_S)
        good = session.update_session({"instructions": "good"}).result(TURN_S)
        assert getattr(good.session, "instructions", None) == "good"
        assert_usable(session, server)


VERBS: dict[str, Callable[[rt.RealtimeSession], Any]] = {
    "session.update": lambda session: session.update_session({"instructions": "x"}),
    "input_audio_buffer.clear": lambda session: session.clear_audio(),
    "input_audio_buffer.commit": lambda session: session.append_audio_bytes(SOUND) or session.commit_audio(),
    "conversation.item.create": lambda session: session.send_text("hello"),
    "conversation.item.retrieve": lambda session: session.retrieve_item("item_9"),
    "conversation.item.delete": lambda session: session.delete_item("item_9"),
    "conversation.item.truncate": lambda session: session.truncate_item("item_9", 0, 100),
    "response.create": lambda session: session.create_response(),
}


@pytest.mark.parametrize("kind", VERBS)
def test_every_message_hears_of_its_unnamed_refusal(kind: str) -> None:
    with ScriptedServer(Departure(kind, say(refusal(BUSY)))) as server, connect(server, checks=False) as session:
        ack = VERBS[kind](session)
        with at_once(), pytest.raises(rt.ServerError, match=BUSY):
            ack.result(TURN_S)
        assert_usable(session, server)


PARAMS = {"session.colour": "session.update", "item.content": "conversation.item.create"}


@pytest.mark.parametrize("param", PARAMS)
def test_with_several_messages_waiting_the_param_tells_which_one_was_refused(param: str) -> None:
    """Both wait: what the server would say to the first is sent with what it says to the second."""
    refused = PARAMS[param]
    answers: list[Frame] = []

    def first(exchange: Exchange) -> list[Frame]:
        answers.extend([refusal(BUSY, param=param)] if refused == "session.update" else exchange.answer)
        return []

    def second(exchange: Exchange) -> list[Frame]:
        mine = [refusal(BUSY, param=param)] if refused == "conversation.item.create" else exchange.answer
        return [*answers, *mine]

    departures = Departure("session.update", first), Departure("conversation.item.create", second)
    with opened(*departures) as (server, session):
        acks = {
            "session.update": session.update_session({"colour": "blue"}),
            "conversation.item.create": session.send_text("hello"),
        }
        with at_once(), pytest.raises(rt.ServerError, match=BUSY):
            acks.pop(refused).result(TURN_S)
        (other,) = acks.values()
        with at_once():
            other.result(TURN_S)
        assert_usable(session, server)


def test_of_two_updates_the_one_whose_field_is_named_is_refused() -> None:
    departures = (
        Departure("session.update", say(), 1),
        Departure("session.update", before(refusal(BUSY, param="session.colour")), 2),
    )
    with opened(*departures) as (server, session):
        bad, good = session.update_session({"colour": "blue"}), session.update_session({"instructions": "good"})
        with at_once():
            assert getattr(good.result(TURN_S).session, "instructions", None) == "good"
            with pytest.raises(rt.ServerError, match=BUSY):
                bad.result(TURN_S)
        assert_usable(session, server)


def _two_wait_in_vain(session: rt.RealtimeSession) -> Any:
    session.retrieve_item("item_9")
    return session.clear_audio()


WAITS: dict[str, Callable[[rt.RealtimeSession], object]] = {
    "wait_for": lambda session: session.wait_for("never", timeout=SHORT_S),
    "ack": lambda session: _two_wait_in_vain(session).result(SHORT_S),
    "next_reply": lambda session: session.next_reply(timeout=SHORT_S).result(),
    "turn": lambda session: list(session.next_reply(timeout=SHORT_S).text()),
}


@BOTH
@pytest.mark.parametrize("wait", WAITS)
def test_a_timeout_ends_with_what_the_server_said_meanwhile(wait: str, background: bool) -> None:
    """The error belongs to nothing that can be known: audio is never confirmed, and two messages wait at most."""
    departures = (
        Departure("input_audio_buffer.clear", say(refusal(BUSY))),
        Departure("input_audio_buffer.append", say(refusal(BUSY))),
        Departure("conversation.item.retrieve", say()),
    )
    with ScriptedServer(*departures) as server, connect(server, checks=False) as session:
        if background:
            session.start()
        if wait == "ack":
            with pytest.raises(rt.RealtimeTimeout) as caught:
                WAITS[wait](session)
        else:
            teller = threading.Timer(SHORT_S / 4, lambda: session.append_audio_bytes(SOUND))
            teller.start()
            with pytest.raises(rt.RealtimeTimeout) as caught:
                WAITS[wait](session)
            teller.join()
        told = str(caught.value).partition(MEANWHILE)[2]
        assert BUSY in told, str(caught.value)
        assert_usable(session, server)


def test_a_timeout_tells_what_was_said_between_asking_and_waiting() -> None:
    departures = (
        Departure("input_audio_buffer.clear", say(refusal(BUSY))),
        Departure("conversation.item.retrieve", say()),
    )
    with ScriptedServer(*departures) as server, connect(server, checks=False) as session:
        session.start()
        told = threading.Event()
        session.on("error", lambda _: told.set())
        ack = _two_wait_in_vain(session)
        assert told.wait(TURN_S), "the other thread has dispatched it"
        with pytest.raises(rt.RealtimeTimeout, match=BUSY):
            ack.result(0)
        assert_usable(session, server)


def test_a_timeout_says_nothing_of_what_the_server_said_before_the_wait() -> None:
    with opened(Departure("input_audio_buffer.append", say(refusal(BUSY)))) as (server, session):
        session.append_audio_bytes(SOUND)
        session.wait_for("error", timeout=TURN_S)
        with pytest.raises(rt.RealtimeTimeout) as caught:
            session.wait_for("never", timeout=0.1)
        assert BUSY not in str(caught.value)
        assert_usable(session, server)


@BOTH
def test_a_timeout_names_fields_of_the_wrong_kind(background: bool) -> None:
    odd = {"type": "conversation.item.truncated", "item_id": ["item_9"], "content_index": 0, "audio_end_ms": "soon"}
    with opened(Departure("input_audio_buffer.append", say(odd))) as (_, session):
        if background:
            session.start()
        teller = threading.Timer(SHORT_S / 4, lambda: session.append_audio_bytes(SOUND))
        teller.start()
        with pytest.raises(rt.RealtimeTimeout) as caught:
            session.wait_for("never", timeout=SHORT_S)
        teller.join()
        told = (
            "; meanwhile conversation.item.truncated came with item_id: expected str, got list; audio_end_ms: expected"
        )
        assert told in str(caught.value)
        with pytest.raises(rt.RealtimeTimeout) as caught:
            session.wait_for("never", timeout=0)
        assert "meanwhile" not in str(caught.value), "it was told"


IN_ORDER = ["session.update", "input_audio_buffer.clear", "input_audio_buffer.commit", "response.create"]


@BOTH
@pytest.mark.parametrize("kind", IN_ORDER)
def test_once_its_wait_was_in_vain_a_newer_message_of_its_kind_goes_first(kind: str, background: bool) -> None:
    with opened(Departure(kind, say())) as (server, session):
        if background:
            session.start()
        older = VERBS[kind](session)
        with pytest.raises(rt.RealtimeTimeout):
            older.result(SHORT_S)
        newer = VERBS[kind](session)
        assert newer.result(TURN_S) is not None
        assert older.confirmation is None
        assert_usable(session, server)


def test_once_its_wait_was_in_vain_a_newer_item_goes_first_where_the_server_gives_ids_of_its_own() -> None:
    own_id = edit("*", put("item", "id", value="of_the_server"))
    with opened(Departure("conversation.item.create", say(), 1), Departure("conversation.item.create", own_id, 2)) as (
        server,
        session,
    ):
        older = session.send_text("older")
        with pytest.raises(rt.RealtimeTimeout):
            older.result(SHORT_S)
        assert getattr(session.send_text("newer").result(TURN_S).item, "id", None) == "of_the_server"
        assert older.confirmation is None
        assert_usable(session, server)


TO_CANCEL: dict[str, Change] = {
    "named": drop(),
    "unnamed": say(NOT_ACTIVE),
    "code-in-type": say(refusal("nothing runs", type="response_cancel_not_active")),
    "unanswered": say(),
}


@BOTH
@pytest.mark.parametrize("case", TO_CANCEL)
def test_a_cancellation_that_found_nothing_is_not_confirmed_by_the_next_response(case: str, background: bool) -> None:
    with opened(Departure("response.cancel", TO_CANCEL[case], None)) as (server, session):
        if background:
            session.start()
        ack = session.cancel_response()
        assert session.ask("first", timeout=TURN_S).text == answer_to("first")
        with at_once():
            assert ack.result(TURN_S) is None
        assert_usable(session, server)


def test_a_cancellation_belongs_to_the_response_that_was_active_when_it_was_sent() -> None:
    departures = (
        Departure("response.create", keep("response.created", "response.output_item.added")),
        Departure("response.cancel", say(done_of("resp_beside"), done_of("resp_1", status="cancelled"))),
    )
    with opened(*departures) as (server, session):
        session.create_response().result(TURN_S)
        done = session.cancel_response().result(TURN_S)
        assert done is not None
        assert (done.response.id, done.response.status) == ("resp_1", "cancelled")
        assert_usable(session, server)


# 4. A server that never confirms session.update


def _tools() -> rt.Toolset:
    tools = rt.Toolset()
    tools.tool(look_up)
    return tools


OPTIONS: dict[str, Callable[[], JsonObject]] = {
    "session": lambda: {"session": {"instructions": "be brief"}},
    "tools": lambda: {"tools": _tools()},
    "both": lambda: {"session": {"instructions": "be brief"}, "tools": _tools()},
}


@pytest.mark.parametrize(("what", "swallows"), [("session", 1), ("tools", 1), ("both", 1), ("both", None)], ids=str)
def test_connect_goes_on_with_a_warning_where_the_configuration_is_never_confirmed(
    what: str, swallows: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    limit_s = 2.0 * PACE
    with ScriptedServer(Departure("session.update", say(), swallows)) as server:
        began = time.monotonic()
        with caplog.at_level(logging.WARNING, "realtime_sync"):
            session = connect(server, timeout=limit_s, **OPTIONS[what]())
        with session:
            assert time.monotonic() - began < 0.9 * limit_s
            assert any(re.search(r"session\.update|confirm", record.getMessage()) for record in caplog.records)
            question = "first" if what == "session" else "use the tool"
            assert session.ask(question, timeout=TURN_S).text == answer_to(question)
            if swallows:
                assert_usable(session, server)
            else:
                assert session.ask("again", timeout=TURN_S).text == answer_to("again")


def test_a_server_that_takes_its_time_to_confirm_is_waited_for_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pause = threading.Event()

    def later(exchange: Exchange) -> list[Frame]:
        pause.wait(0.2)  # never set: the server thinks for a moment
        return exchange.answer

    with ScriptedServer(Departure("session.update", later)) as server:
        with caplog.at_level(logging.WARNING, "realtime_sync"):
            session = connect(server, session={"instructions": "be brief"}, timeout=10)
        with session:
            assert getattr(session.config, "instructions", None) == "be brief"
            assert caplog.records == []
            assert_usable(session, server)


# 5. An item that is confirmed under two names


@pytest.mark.parametrize("own_ids", [False, True], ids=["our-id", "id-of-the-server"])
@pytest.mark.parametrize(
    "names",
    [("created", "added"), ("added", "created"), ("created", "added", "done"), ("added", "added")],
    ids="-".join,
)
def test_an_item_that_is_told_twice_confirms_one_message(names: tuple[str, ...], own_ids: bool) -> None:
    change = edit("*", put("item", "id", value="of_the_server")) if own_ids else drop()
    departures = Departure("conversation.item.create", change, 1), Departure("conversation.item.create", say(), 2)
    with opened(*departures, item_events=names) as (server, session):
        first, second = session.send_text("one"), session.send_text("two")
        assert getattr(first.result(TURN_S).item, "content", [None])[0].text == "one"
        session.update_session({"instructions": "x"}).result(TURN_S)  # everything before this has been seen then
        assert not second.done
        assert_usable(session, server)


# 6. Smaller ones


@pytest.mark.parametrize("coding", ["g711_ulaw", "pcm16"])
def test_a_flat_session_is_spoken_to_in_its_format_and_with_its_turn_detection_off(coding: str) -> None:
    config = with_vad(flat_config(input_audio_format=coding))
    with opened(config=config, item_events=("created",), echoes=False) as (server, session):
        assert session.ask(audio=SPEECH, timeout=TURN_S).text == answer_to("speech 1")
        sent = b"".join(base64.b64decode(event["audio"]) for event in server.of_type("input_audio_buffer.append"))
        pcm = read_wav(SPEECH, rate_hz=8_000 if coding == "g711_ulaw" else 24_000)
        assert sent == (encode_pcmu(pcm) if coding == "g711_ulaw" else pcm)
        server.wait_received("session.update", 2)
        off, on = (event["session"] for event in server.of_type("session.update"))
        assert "audio" not in off
        assert "audio" not in on
        assert off["turn_detection"] is None
        assert on["turn_detection"] == config["turn_detection"]
        order = [event["type"] for event in server.received if event["type"].startswith(("session", "input_audio"))]
        assert (order[0], order[-1]) == ("session.update", "session.update")
        assert_usable(session, server)


@pytest.mark.parametrize("config", [nested_config, flat_config])
def test_what_an_update_leaves_out_stays_known(config: Callable[..., JsonObject]) -> None:
    change = edit("session.updated", put("session", value={"instructions": "new"}))
    with opened(Departure("session.update", change), config=config(instructions="old")) as (server, session):
        assert session.id == "sess_1"
        session.update_session({"instructions": "new"}).result(TURN_S)
        assert session.id == "sess_1"
        assert getattr(session.config, "instructions", None) == "new"
        assert getattr(session.config, "model", None) == "m"
        assert type(session.config) is type(
            rt.decode_server_event({"type": "session.created", "session": config()}).session
        )  # type: ignore[attr-defined]
        assert_usable(session, server)


def test_the_handle_of_an_item_follows_the_id_that_the_server_gives_it() -> None:
    with opened(Departure("conversation.item.create", _own_ids, None)) as (server, session):
        ack = session.send_text("hello")
        ack.result(TURN_S)
        assert ack.item_id == "own_1"
        session.ask("first", timeout=TURN_S)
        deleted = session.delete_item(ack.item_id)
        assert server.wait_received("conversation.item.delete")["item_id"] == "own_1"
        assert deleted.event_id


def _own_ids(exchange: Exchange) -> list[Frame]:
    for event in exchange.events:
        event["item"]["id"] = f"own_{exchange.number}"
    return exchange.answer


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (edit("response.output_text.done", put("text", value="to first.")), answer_to("first")),
        (edit("response.output_text.done", put("text", value="")), answer_to("first")),
        (drop("response.output_text.delta"), answer_to("first")),
        (drop("response.output_text.done"), answer_to("first")),
    ],
    ids=["last-piece", "empty", "no-deltas", "no-done"],
)
def test_the_text_of_a_reply_is_all_that_was_streamed(change: Change, text: str) -> None:
    with opened(Departure("response.create", change)) as (server, session):
        assert session.ask("first", timeout=TURN_S).text == text
        assert_usable(session, server)


def test_the_transcript_of_a_reply_is_all_that_was_streamed() -> None:
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

    def speak(exchange: Exchange) -> list[Frame]:
        at = {"response_id": exchange.response_id, **where}
        kind = "response.output_audio_transcript"
        pieces = [{"type": f"{kind}.delta", **at, "delta": piece} for piece in ("Good ", "morning", ".")]
        done = {"type": f"{kind}.done", **at, "transcript": "."}
        return [exchange.answer[0], *pieces, done, done_of(exchange.response_id)]

    with opened(Departure("response.create", speak)) as (server, session):
        assert session.ask("first", timeout=TURN_S).transcript == "Good morning."
        assert_usable(session, server)


def test_what_the_user_said_stands_in_the_conversation_where_no_event_confirms_it() -> None:
    with opened(Departure("conversation.item.create", say(), None)) as (_, session):
        session.ask("first", timeout=TURN_S)
        session.ask("second", timeout=TURN_S)
        lines = ["user: first", f"assistant: {answer_to('first')}", "user: second", f"assistant: {answer_to('second')}"]
        assert session.conversation.render().splitlines() == lines


def test_nested_options_for_a_flat_session_are_translated_or_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with opened(config=flat_config()) as (server, session), caplog.at_level(logging.WARNING, "realtime_sync"):
        session.update_session({"audio": {"output": {"voice": "cedar"}}})
        sent = server.wait_received("session.update")["session"]
        assert sent.get("voice") == "cedar" or caplog.records


CLEAR_IS_UNKNOWN: dict[str, Change] = {
    "named": named_refusal("Unknown event type: input_audio_buffer.clear"),
    "unnamed": say(refusal("Unknown event type: input_audio_buffer.clear")),
    "unanswered": say(),
}


@pytest.mark.parametrize("case", CLEAR_IS_UNKNOWN)
def test_a_server_that_cannot_clear_its_buffer_is_spoken_to_without_a_word_in_the_log(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    departure = Departure("input_audio_buffer.clear", CLEAR_IS_UNKNOWN[case], None)
    with (
        caplog.at_level(logging.WARNING, "realtime_sync"),
        opened(departure, config=with_vad(nested_config())) as (server, session),
    ):
        assert session.ask(audio=SOUND, timeout=TURN_S).text == answer_to("speech 1")
        assert session.ask(audio=SOUND, timeout=TURN_S).text == answer_to("speech 2")
        assert_usable(session, server)
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize("config", [nested_config, flat_config])
def test_a_server_that_ends_turns_by_silence_only_is_named_when_it_does_not_answer_a_commit(
    config: Callable[..., JsonObject],
) -> None:
    with opened(Departure("input_audio_buffer.commit", say()), config=with_vad(config())) as (server, session):
        with pytest.raises(rt.RealtimeTimeout, match="silence"):
            session.ask(audio=SOUND, timeout=SHORT_S)
        assert_usable(session, server)


def test_a_refused_commit_is_raised_at_once_though_it_names_nothing() -> None:
    error = refusal("the buffer is too small", code="input_audio_buffer_commit_empty")
    config = with_vad(nested_config())
    with opened(Departure("input_audio_buffer.commit", say(error)), config=config) as (server, session):
        with at_once(), pytest.raises(rt.ServerError, match="too small"):
            session.ask(audio=SOUND, timeout=TURN_S)
        assert_usable(session, server)


def test_an_update_with_the_model_beside_the_session_is_refused_with_a_way_out() -> None:
    update = {"type": "session.update", "model": "m"}
    with ScriptedServer() as server:
        with connect(server) as session, pytest.raises(rt.InvalidEvent, match="checks=False"):
            session.send(update)
        with connect(server, checks=False) as session:
            session.send(update).result(TURN_S)
            assert server.of_type("session.update")[-1]["model"] == "m"


def test_a_truncation_that_is_accepted_silently_blocks_nothing() -> None:
    with opened(Departure("conversation.item.truncate", say(), None)) as (server, session):
        reply = session.ask("first", timeout=TURN_S)
        cut = session.truncate_item(reply.items[0].id, 0, 100)
        with pytest.raises(rt.RealtimeTimeout):
            cut.result(0.1)
        assert_usable(session, server)


# A law: whatever the server does for a while, the session answers when it has come to its senses

RESPONSES: dict[str, Change] = {
    "good": drop(),
    "refused": named_refusal(BUSY),
    "refused-unnamed": say(refusal(BUSY)),
    "unanswered": say(),
    "died": keep("response.created"),
    "died-midway": drop("response.done"),
    "error-for-done": error_in_place_of_the_end,
    "not-json": instead_of("response.done", "{"),
    "no-created": drop("response.created"),
    "done-only": keep("response.done"),
    "done-without-id": edit("response.done", remove("response", "id")),
    "done-of-another-id": edit("response.done", put("response", "id", value="resp_other")),
    "created-twice": lambda exchange: [exchange.answer[0], *exchange.answer],
    "no-ids": edit("*", remove("response_id"), remove("item_id"), remove("response", "id")),
    "odd-usage": edit("response.done", put("response", "usage", value="15 tokens")),
}
ITEMS: dict[str, Change] = {
    "good": drop(),
    "silent": say(),
    "own-ids": _own_ids,
    "twice": lambda exchange: [*exchange.answer, *exchange.answer],
    "refused": say(refusal("no such item", param="item.content")),
}
CANCELS: dict[str, Change] = {
    "not-active": drop(),
    "not-active-unnamed": say(NOT_ACTIVE),
    "cancelled": cancelled,
}


@examples(20)
@given(
    responses=st.lists(st.sampled_from(sorted(RESPONSES)), min_size=1, max_size=3),
    items=st.lists(st.sampled_from(sorted(ITEMS)), max_size=3),
    cancel=st.sampled_from(sorted(CANCELS)),
    echoes=st.booleans(),
    background=st.booleans(),
)
def test_a_session_answers_whatever_the_server_did_before(
    responses: list[str], items: list[str], cancel: str, echoes: bool, background: bool
) -> None:
    mad = threading.Event()
    mad.set()

    def while_mad(change: Change) -> Change:
        return lambda exchange: change(exchange) if mad.is_set() else exchange.answer

    departures = [
        *(Departure("response.create", while_mad(RESPONSES[name]), number) for number, name in enumerate(responses, 1)),
        *(
            Departure("conversation.item.create", while_mad(ITEMS[name]), number)
            for number, name in enumerate(items, 1)
        ),
        Departure("response.cancel", CANCELS[cancel], None),
    ]
    with opened(*departures, echoes=echoes) as (server, session):
        if background:
            session.start()
        for number in range(max(len(responses), len(items))):
            outcome = _outcome(session, f"question {number}", SHORT_S / 2)
            assert isinstance(outcome, rt.RealtimeError) or str(outcome) in ("", answer_to(f"question {number}"))
        mad.clear()
        assert_usable(session, server)


@BOTH
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize(
    "begins", [keep("response.output_text.delta", "response.done"), drop()], ids=["untold", "told"]
)
def test_what_a_server_says_to_a_cancellation_that_came_too_late_is_no_answer(
    begins: Change, named: bool, background: bool
) -> None:
    def late(exchange: Exchange) -> list[Frame]:
        return [done_of(exchange.request.get("response_id") if named else None, status="cancelled")]

    departures = (
        Departure("conversation.item.create", say(refusal("no such item", param="item.content"))),
        Departure("response.create", begins, None),
        Departure("response.cancel", late, None),
    )
    with opened(*departures, echoes=False) as (server, session):
        if background:
            session.start()
        with pytest.raises(rt.ServerError, match="no such item"):  # the response comes all the same, and is cancelled
            session.ask("first", timeout=TURN_S)
        assert_usable(session, server)


def test_a_response_that_the_server_never_ends_is_told_of() -> None:
    """As one does that begins a response for output that was left over from the last."""
    code = "conversation_already_has_active_response"
    stray = {"type": "response.created", "response": {"id": "resp_stray", "status": "in_progress", "output": []}}

    def collide(exchange: Exchange) -> list[Frame]:
        event_id = exchange.request["event_id"]
        return [stray, refusal("another one is in progress", event_id=event_id, code=None, type=code)]

    told = "meanwhile the server said: another one is in progress"
    departure = Departure("response.create", collide)
    with opened(departure) as (_, session), pytest.raises(rt.RealtimeTimeout, match=told):
        session.ask("hello", timeout=SHORT_S)


# What had come before


def _told_before(text: str) -> list[Frame]:
    """A greeting that nobody asked for, a change of the configuration, and trouble that is over."""
    delta = {"type": "response.output_text.delta", "response_id": "resp_hi", "item_id": "item_hi", "delta": text}
    return [
        {"type": "response.created", "response": {"id": "resp_hi", "status": "in_progress"}},
        delta,
        {"type": "response.done", "response": {"id": "resp_hi", "status": "completed", "output": []}},
        {"type": "session.updated", "session": nested_config(instructions="of the server")},
        refusal("old trouble"),
    ]


@contextmanager
def _told_before_anything_is_asked(*departures: Departure, **options: Any) -> Iterator[rt.RealtimeSession]:
    """A session in whose inbox lies what nobody has dispatched."""
    unasked = Departure("input_audio_buffer.clear", lambda exchange: [*exchange.answer, *_told_before("Welcome!")])
    with opened(unasked, *departures, **options) as (_, session):
        cleared = threading.Semaphore(0)
        session.add_tap(lambda way, text: cleared.release() if way == "in" and b".cleared" in bytes(text) else None)
        for _ in range(3):  # the second may come with what is told; what came before the third is in the inbox
            session.clear_audio()
            assert cleared.acquire(timeout=TURN_S)
        yield session


@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "echoes-nothing"])
def test_what_had_come_before_a_question_is_not_its_answer(echoes: bool) -> None:
    with _told_before_anything_is_asked(echoes=echoes) as session:
        for question in ("one", "two", "three"):
            assert str(session.ask(question, timeout=TURN_S)) == answer_to(question)


def test_what_had_come_before_a_message_neither_confirms_nor_refuses_it() -> None:
    refused = Departure("session.update", say(refusal("colour unknown")), 2)
    with _told_before_anything_is_asked(refused) as session:
        confirmed = session.update_session({"instructions": "be brief"}).result(TURN_S)
        assert confirmed.session.instructions == "be brief"
    with _told_before_anything_is_asked(Departure("session.update", say(refusal("colour unknown")))) as session:
        ack = session.update_session({"instructions": "be brief"})
        with pytest.raises(rt.ServerError, match="colour unknown"):
            ack.result(TURN_S)


@BOTH
def test_metadata_of_the_servers_own_does_not_hide_the_answer(background: bool) -> None:
    own = edit("response.created", put("response", "metadata", value={"trace_id": "abc"}))
    with opened(Departure("response.create", own, None)) as (_, session):
        if background:
            session.start()
        for question in ("one", "two"):
            assert str(session.ask(question, timeout=TURN_S)) == answer_to(question)


@BOTH
def test_a_question_that_is_refused_by_name_gets_no_answer_of_another(background: bool) -> None:
    refused = Departure("conversation.item.create", named_refusal("too long", code="string_above_max_length"), 2)
    with opened(refused) as (server, session):
        if background:
            session.start()
        session.ask("good", timeout=TURN_S)
        with pytest.raises(rt.ServerError, match="too long"), at_once():
            session.ask("bad", timeout=TURN_S)
        assert_usable(session, server)


@BOTH
def test_an_answer_of_a_tool_that_is_refused_by_name_gets_no_reply_without_it(background: bool) -> None:
    refused = Departure("conversation.item.create", named_refusal("too long"), 2)
    with opened(refused) as (server, session):
        session.tool(look_up)
        if background:
            session.start()
        with pytest.raises(rt.ServerError, match="too long"), at_once():
            session.ask("use the tool", timeout=TURN_S)
        assert_usable(session, server)


@BOTH
def test_a_turn_whose_question_was_refused_raises_however_it_is_looked_at(background: bool) -> None:
    refused = Departure("conversation.item.create", named_refusal("too long"), None)
    with opened(refused) as (_, session):
        if background:
            session.start()
        for look in (rt.Turn.result, list, lambda turn: "".join(turn.text())):
            turn = session.respond("bad", timeout=TURN_S)
            with pytest.raises(rt.ServerError, match="too long"):
                look(turn)


def _same_id(exchange: Exchange) -> list[Frame]:
    found: list[Frame] = json.loads(json.dumps(exchange.answer).replace(exchange.response_id, "resp"))
    return found


@pytest.mark.parametrize(
    "change", [edit("*", remove("response_id"), remove("response", "id")), _same_id], ids=["no-ids", "one-id-for-all"]
)
@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "echoes-nothing"])
def test_the_tools_of_earlier_questions_do_not_count_as_rounds_of_this_one(change: Change, echoes: bool) -> None:
    with opened(Departure("response.create", change, None), echoes=echoes) as (server, session):
        session.use_tools(Toolset(look_up), max_rounds=3)
        for number in range(4):
            assert str(session.ask(f"use the tool {number}", timeout=TURN_S)) == answer_to(f"use the tool {number}")
        assert not any("tool_choice" in event.get("response", {}) for event in server.of_type("response.create"))


@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "echoes-nothing"])
def test_one_id_for_all_responses_is_understood_out_of_band_too(echoes: bool) -> None:
    with opened(Departure("response.create", _same_id, None), echoes=echoes) as (_, session):
        for config in (None, {"conversation": "none"}, None):
            assert str(session.ask("first", config=config, timeout=TURN_S)) == answer_to("first")


@BOTH
@pytest.mark.parametrize(
    "keeps",
    [drop("response.created"), keep("response.output_text.delta", "response.done")],
    ids=["no-created", "deltas-only"],
)
def test_one_id_for_all_responses_is_understood_where_no_beginning_is_told(keeps: Change, background: bool) -> None:
    with opened(Departure("response.create", chain(_same_id, keeps), None), echoes=False) as (_, session):
        if background:
            session.start()
        for question in ("one", "two", "three"):
            assert "".join(session.respond(question, timeout=TURN_S).text()) == answer_to(question)
            assert str(session.ask(question, timeout=TURN_S)) == answer_to(question)
