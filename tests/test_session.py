from __future__ import annotations

import array
import base64
import gc
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, error, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync.events import (
    ErrorEvent,
    FunctionTool,
    InputAudioBufferClear,
    InputText,
    RealtimeSessionConfig,
    ResponseConfig,
    ResponseOutputTextDelta,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    UserMessage,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


UPDATED = {"type": "session.updated", "session": {"type": "realtime", "id": "sess_1", "instructions": "new"}}


# Sending


def test_send_fills_ids_in_without_touching_the_event(fake: FakeSession) -> None:
    event = InputAudioBufferClear()
    first, second = fake.session.send(event), fake.session.send(event)
    assert event.event_id is None
    assert first.event_id != second.event_id
    assert [sent["event_id"] for sent in fake.wire.texts] == [first.event_id, second.event_id]
    given = fake.session.send({"type": "input_audio_buffer.clear", "event_id": "mine"})
    assert given.event_id == "mine"


def test_send_takes_mappings_as_they_are(fake: FakeSession) -> None:
    ack = fake.session.send({"type": "vendor.thing", "value": None, "event_id": "1"})
    assert fake.wire.texts == [{"type": "vendor.thing", "value": None, "event_id": "1"}]
    assert ack.result() is None, "nothing confirms an unknown type"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"type": 5},
        {"type": "conversation.item.delete", "item_id": 5},
        {"type": "x", "value": object()},
        {"type": "x", "value": float("nan")},
        "text",
        {"type": "input_audio_buffer.cleared"},
        SessionCreated(session=RealtimeSessionConfig()),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_is_sent(fake: FakeSession, bad: Any) -> None:
    with pytest.raises(rt.InvalidEvent):
        fake.session.send(bad)
    assert fake.wire.texts == []
    assert not fake.session.closed


def test_update_session_adds_the_type_and_is_confirmed(fake: FakeSession) -> None:
    ack = fake.session.update_session({"instructions": "new"})
    typed = fake.session.update_session(
        RealtimeSessionConfig(tools=[FunctionTool(name="f", parameters={"type": "object"})])
    )
    assert fake.wire.texts[0]["session"] == {"type": "realtime", "instructions": "new"}
    assert fake.wire.texts[1]["session"]["tools"][0]["name"] == "f"
    fake.wire.say(UPDATED)
    assert ack.result().session.instructions == "new"  # type: ignore[union-attr]
    assert fake.session.config is not None
    assert fake.session.id == "sess_1"
    fake.wire.say(error(typed.event_id, "unknown_parameter"))
    with pytest.raises(rt.ServerError, match="unknown_parameter"):
        typed.result()


def test_an_ack_times_out_and_can_be_asked_again(fake: FakeSession) -> None:
    ack = fake.session.clear_audio()
    with pytest.raises(rt.RealtimeTimeout, match=r"input_audio_buffer\.clear"):
        ack.result(timeout=0.01)
    fake.wire.say({"type": "input_audio_buffer.cleared"})
    assert ack.result().type == "input_audio_buffer.cleared"


def test_audio_is_appended_as_base64_from_any_buffer(fake: FakeSession) -> None:
    samples = array.array("h", [0, 1, -1, 32767])
    fake.session.append_audio_bytes(samples)
    fake.session.append_audio_bytes(samples.tobytes())
    fake.session.append_audio_bytes(memoryview(samples.tobytes())[2:4])
    fake.session.append_audio("AAAA")
    fake.session.append_audio_bytes(b"")
    sent = [base64.b64decode(text["audio"]) for text in fake.wire.texts]
    assert sent == [samples.tobytes(), samples.tobytes(), samples.tobytes()[2:4], b"\0\0\0"]
    assert {text["type"] for text in fake.wire.texts} == {"input_audio_buffer.append"}
    assert len({text["event_id"] for text in fake.wire.texts}) == 4


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("AAAA", "base64 text goes to"),
        (array.array("f", [0.5]), "convert them to int16"),
        (5, "not int"),
        (memoryview(bytes(8)).cast("h", (2, 2)), "mono"),
    ],
)
def test_what_is_no_audio_is_refused(fake: FakeSession, bad: Any, said: str) -> None:
    with pytest.raises(rt.InvalidEvent, match=said):
        fake.session.append_audio_bytes(bad)
    with pytest.raises(rt.InvalidEvent, match="append_audio_bytes"):
        fake.session.append_audio(b"AAAA")  # type: ignore[arg-type]
    assert fake.wire.texts == []


def test_long_audio_is_split_below_the_limit_and_decodes_to_the_same(fake: FakeSession) -> None:
    pcm = bytes(range(256)) * (60_000)
    fake.session.append_audio_bytes(pcm)
    fake.session.append_audio(base64.b64encode(pcm).decode())
    pieces = [text["audio"] for text in fake.wire.texts]
    assert len(pieces) == 6
    assert all(len(piece) < 15 * 2**20 for piece in pieces)
    assert b"".join(map(base64.b64decode, pieces)) == pcm * 2
    assert all(len(base64.b64decode(piece)) % 2 == 0 for piece in pieces)


def test_items(fake: FakeSession) -> None:
    session = fake.session
    ack = session.send_text("hello")
    sent = fake.wire.texts[0]
    assert sent["item"]["content"] == [{"type": "input_text", "text": "hello"}]
    assert sent["item"]["id"] == ack.item_id
    fake.wire.say({"type": "conversation.item.added", "item": sent["item"]})
    assert ack.result().item.id == ack.item_id  # type: ignore[union-attr]
    session.create_item(UserMessage(id="mine", content=[InputText(text="x")]), previous_item_id="root")
    assert fake.wire.texts[1]["item"]["id"] == "mine"
    assert fake.wire.texts[1]["previous_item_id"] == "root"
    session.create_item({"type": "message", "role": "user", "content": []})
    session.retrieve_item("a")
    session.delete_item("b")
    session.truncate_item("c", 1, 250)
    assert [text["type"].split(".")[-1] for text in fake.wire.texts[3:]] == ["retrieve", "delete", "truncate"]
    assert fake.wire.texts[5]["audio_end_ms"] == 250
    fake.wire.say({"type": "conversation.item.deleted", "item_id": "b"})


def test_function_outputs_are_text_or_json(fake: FakeSession) -> None:
    fake.session.submit_function_output("call_1", "plain")
    fake.session.submit_function_output("call_2", {"grad": "°C", "n": [1, None]})
    outputs = [text["item"]["output"] for text in fake.wire.texts]
    assert outputs == ["plain", '{"grad": "°C", "n": [1, null]}']
    for bad in (object(), float("nan"), {1: {2}}):
        with pytest.raises(rt.InvalidEvent, match="call_3"):
            fake.session.submit_function_output("call_3", bad)
    with pytest.raises(rt.InvalidEvent, match="needs the call_id"):
        fake.session.submit_function_output(rt.events.FunctionCall(name="f", arguments="{}").call_id, "x")


def test_commit_clear_and_output_clear(fake: FakeSession) -> None:
    acks = [fake.session.commit_audio(), fake.session.clear_audio(), fake.session.clear_output_audio()]
    fake.wire.say(
        {"type": "input_audio_buffer.committed", "item_id": "i"},
        {"type": "input_audio_buffer.cleared"},
        {"type": "output_audio_buffer.cleared", "response_id": "r"},
    )
    assert [ack.result().type for ack in acks] == [
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "output_audio_buffer.cleared",
    ]


# Receiving


def test_nothing_is_dispatched_before_the_first_blocking_call(fake: FakeSession) -> None:
    seen: list[Any] = []
    fake.session.on(SessionCreated, seen.append)
    event = fake.session.recv(20)
    assert isinstance(event, SessionCreated)
    assert seen == [event]


def test_iteration_ends_with_a_clean_close_and_raises_otherwise() -> None:
    with FakeSession() as fake:
        fake.wire.say({"type": "a"})
        fake.wire.hang_up(1000)
        assert [event.type for event in fake.session] == ["session.created", "a"]
        assert fake.session.recv() is None
        assert fake.session.closed
    with FakeSession() as fake:
        fake.wire.hang_up(1011, "overloaded", {"type": "a"})
        seen = []
        with pytest.raises(rt.ConnectionLost, match="overloaded") as caught:
            for event in fake.session:
                seen.append(event.type)
        assert seen == ["session.created", "a"]
        assert caught.value.code == 1011


def test_recv_times_out(fake: FakeSession) -> None:
    fake.session.recv(20)
    with pytest.raises(rt.RealtimeTimeout):
        fake.session.recv(0.01)
    with pytest.raises(TimeoutError):
        fake.session.recv(timeout=0)


@pytest.mark.parametrize(
    ("reason", "before", "kind"),
    [
        ("Your session hit the maximum duration of 60 minutes.", [], rt.SessionExpired),
        ("", [error(None, "session_expired")], rt.SessionExpired),
        ("restart", [], rt.ConnectionLost),
    ],
)
def test_close_1001_is_expiry_or_loss(reason: str, before: list[Any], kind: type[Exception]) -> None:
    with FakeSession() as fake:
        fake.wire.hang_up(1001, reason, *before)
        with pytest.raises(kind) as caught:
            for _ in fake.session:
                pass
        assert isinstance(caught.value, rt.ConnectionClosed)
        assert (caught.value.error is not None) == bool(before)


def test_the_error_that_explains_the_end_is_attached_and_others_are_not() -> None:
    with FakeSession() as fake:
        fake.wire.hang_up(1008, "policy", error(None, "rate_limit_exceeded", "slow down"))
        with pytest.raises(rt.ConnectionLost, match="slow down") as caught:
            list(fake.session)
        assert caught.value.error is not None
        assert caught.value.error.code == "rate_limit_exceeded"
    with FakeSession() as fake:
        fake.wire.hang_up(1008, "policy", error(None, "old"), {"type": "a"})
        with pytest.raises(rt.ConnectionLost) as caught:
            list(fake.session)
        assert caught.value.error is None


def test_wait_for_by_class_type_and_predicate(fake: FakeSession) -> None:
    fake.wire.say(text_delta("r", "a"), text_delta("r", "b"), {"type": "vendor.x", "n": 1})
    found = fake.session.wait_for(ResponseOutputTextDelta, lambda event: event.delta == "b")
    assert found.delta == "b"
    assert fake.session.wait_for("vendor.x").raw["n"] == 1
    with pytest.raises(rt.RealtimeTimeout, match="ResponseOutputTextDelta"):
        fake.session.wait_for(ResponseOutputTextDelta, timeout=0.01)
    fake.wire.hang_up(1011)
    with pytest.raises(rt.ConnectionLost):
        fake.session.wait_for("response.done")


# Handlers


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


def test_a_handler_that_raises_leaves_the_session_usable(fake: FakeSession) -> None:
    @fake.session.on("a")
    def fail(event: Any) -> None:
        raise LookupError("in the handler")

    fake.wire.say({"type": "a"}, {"type": "b"})
    with pytest.raises(LookupError, match="in the handler"):
        fake.session.wait_for("b")
    assert fake.session.wait_for("b").type == "b"


def test_blocking_verbs_work_inside_a_handler(fake: FakeSession) -> None:
    results: list[Any] = []

    @fake.session.on("a")
    def ask(event: Any) -> None:
        ack = fake.session.update_session({"instructions": "new"})
        fake.wire.say(UPDATED)
        results.append(ack.result())

    fake.wire.say({"type": "a"}, {"type": "b"})
    fake.session.wait_for("a")
    assert isinstance(results[0], SessionUpdated)


def test_run_dispatches_until_stop_and_until_the_end(fake: FakeSession) -> None:
    seen: list[str] = []

    @fake.session.on("*")
    def note(event: ServerEvent) -> None:
        seen.append(event.type)
        if event.type == "b":
            fake.session.stop()

    fake.wire.say({"type": "a"}, {"type": "b"}, {"type": "c"})
    fake.session.run()
    assert seen == ["session.created", "a", "b"]
    fake.wire.hang_up(1000)
    fake.session.run()
    assert seen[-1] == "c"
    fake.session.run()


def test_run_ends_when_a_handler_closes_and_what_came_can_still_be_read(fake: FakeSession) -> None:
    fake.session.on("a", lambda event: fake.session.close())
    fake.wire.say({"type": "a"}, {"type": "b"})
    fake.session.run()
    assert fake.session.closed
    assert fake.session.recv().type == "b"  # type: ignore[union-attr]
    assert fake.session.recv() is None


def test_run_raises_the_loss(fake: FakeSession) -> None:
    fake.wire.fail(rt.ConnectionLost("reset"))
    with pytest.raises(rt.ConnectionLost, match="reset"):
        fake.session.run()


def test_run_with_a_visitor(fake: FakeSession) -> None:
    class Collect(rt.ServerEventVisitor[None]):
        def __init__(self) -> None:
            self.seen: list[str] = []

        def visit_response_output_text_delta(self, event: ResponseOutputTextDelta) -> None:
            self.seen.append(event.delta)

        def unknown(self, event: rt.events.UnknownEvent) -> None:
            self.seen.append(f"unknown {event.type}")

        def malformed(self, event: rt.events.MalformedEvent) -> None:
            self.seen.append("malformed")

    visitor = Collect()
    fake.wire.say(text_delta("r", "x"), {"type": "vendor.y"}, {"no": "type"})
    fake.wire.hang_up(1000)
    fake.session.run(visitor)
    assert visitor.seen == ["x", "unknown vendor.y", "malformed"]
    with pytest.raises(rt.ConfigurationError):
        fake.session.run("visitor")  # type: ignore[arg-type]
    with pytest.raises(rt.ConfigurationError, match="ServerEventVisitor"):
        fake.session.run(rt.ServerEventVisitor)  # type: ignore[arg-type]


def test_start_dispatches_in_the_background_and_verbs_still_work(fake: FakeSession) -> None:
    seen: list[str] = []
    threads: set[str] = set()

    @fake.session.on("*")
    def note(event: ServerEvent) -> None:
        seen.append(event.type)
        threads.add(threading.current_thread().name)

    fake.session.start()
    fake.session.start()
    ack = fake.session.clear_audio()
    fake.wire.say({"type": "input_audio_buffer.cleared"})
    assert ack.result().type == "input_audio_buffer.cleared"
    assert seen == ["session.created", "input_audio_buffer.cleared"]
    assert threads == {"realtime_sync-dispatch"}
    fake.session.stop()
    fake.wire.say({"type": "late"})
    assert fake.session.wait_for("late").type == "late"
    assert threads == {"realtime_sync-dispatch", threading.current_thread().name}


def test_background_faults_are_logged_hooked_and_raised_by_stop(
    fake: FakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    hooked: list[Exception] = []
    handled = threading.Event()

    def hook(fault: Exception) -> None:
        hooked.append(fault)
        raise RuntimeError("in the hook")

    @fake.session.on("a")
    def fail(event: Any) -> None:
        raise LookupError("in the handler")

    fake.session.on("b", lambda event: handled.set())
    with caplog.at_level(logging.ERROR):
        fake.session.start(on_error=hook)
        fake.wire.say({"type": "a"}, {"type": "a"}, {"type": "b"})
        assert handled.wait(20)
        with pytest.raises(LookupError, match="in the handler"):
            fake.session.stop()
    fake.session.stop()
    assert len(hooked) == 2
    assert "a handler failed" in caplog.text
    assert "the hook for errors failed" in caplog.text


def test_a_background_handler_may_stop_and_close(fake: FakeSession) -> None:
    done = threading.Event()

    @fake.session.on("a")
    def leave(event: Any) -> None:
        fake.session.stop()
        fake.session.close()
        done.set()

    fake.session.start()
    fake.wire.say({"type": "a"})
    assert done.wait(20)
    fake.session.stop()
    assert fake.session.closed


def test_stop_is_bounded_when_a_handler_hangs(fake: FakeSession) -> None:
    go, entered = threading.Event(), threading.Event()

    @fake.session.on("a")
    def hang(event: Any) -> None:
        entered.set()
        assert go.wait(20)

    fake.session.start()
    fake.wire.say({"type": "a"})
    assert entered.wait(20)
    with pytest.raises(rt.RealtimeTimeout, match="still running"):
        fake.session.stop(timeout=0.01)
    go.set()
    fake.session.stop()


def test_a_loss_in_the_background_is_logged_and_hooked(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    hooked: list[Exception] = []
    told = threading.Event()

    def hook(fault: Exception) -> None:
        hooked.append(fault)
        told.set()

    with caplog.at_level(logging.WARNING):
        fake.session.start(on_error=hook)
        fake.wire.fail(rt.ConnectionLost("reset"))
        assert told.wait(20)
    assert isinstance(hooked[0], rt.ConnectionLost)
    assert "the session ended" in caplog.text
    with pytest.raises(rt.ConnectionLost):
        fake.session.send_text("x")


# Errors


def test_an_uncorrelated_error_is_logged_unless_handled(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fake.wire.say(error(None, "odd"))
        fake.session.wait_for("error")
        assert "odd" in caplog.text
        caplog.clear()
        seen: list[ErrorEvent] = []
        fake.session.on("error", seen.append)
        fake.wire.say(error("no event of ours", "odd"))
        fake.session.wait_for("error")
    assert caplog.text == ""
    assert seen[0].error.code == "odd"


def test_a_cancellation_that_came_too_late_is_no_warning(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fake.wire.say(error("settled already", "response_cancel_not_active"))
        fake.session.wait_for(ServerEvent, lambda event: event.type == "error")
    assert caplog.text == ""


def test_a_refusal_that_a_handler_hears_of_is_not_logged_too(
    fake: FakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    fake.session.on("error", lambda event: None)
    with caplog.at_level(logging.WARNING):
        refused = fake.session.clear_audio().event_id  # its handle is dropped
        fake.wire.say(error(refused))
        fake.session.wait_for("error")
        gc.collect()
    assert caplog.text == ""


def test_a_lost_connection_fails_pending_acks_at_once(fake: FakeSession) -> None:
    acks = [fake.session.clear_audio(), fake.session.create_response(), fake.session.create_response()]
    fake.wire.fail(rt.ConnectionLost("reset"))
    for ack in acks:
        with pytest.raises(rt.ConnectionLost, match="reset"):
            ack.result(timeout=None)
    with pytest.raises(rt.ConnectionClosed):
        fake.session.clear_audio()


# Turns


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


def test_ask_returns_the_reply_of_its_own_response(fake: FakeSession) -> None:
    replies: list[rt.Reply] = []
    asking = threading.Thread(target=lambda: replies.append(fake.session.ask("hi")))
    asking.start()
    create = fake.wire.wait_sent(2)
    assert create["type"] == "response.create"
    fake.wire.say(
        response_created("mine", create),
        text_delta("other", "NO"),
        text_delta("mine", "Hel"),
        text_delta("mine", "lo"),
        response_done("other"),
        response_done("mine", usage={"total_tokens": 3}),
    )
    asking.join(20)
    (reply,) = replies
    assert (reply.text, str(reply), reply.status, reply.response_id) == ("Hello", "Hello", "completed", "mine")
    assert reply.usage is not None
    assert reply.usage.total_tokens == 3
    assert reply.first_delta_s is not None
    assert reply.duration_s is not None
    assert "Hello" in repr(reply)


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


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
def test_a_response_that_is_not_completed(fake: FakeSession, status: str) -> None:
    for check in (True, False):
        turn = fake.session.respond()
        create = fake.wire.wait_sent(1 if check else 2)
        details = {"type": status, "reason": "content_filter", "error": {"code": "server_error"}}
        fake.wire.say(
            response_created(f"r{check}", create),
            text_delta(f"r{check}", "so far"),
            response_done(f"r{check}", status, status_details=details),
        )
        if check:
            with pytest.raises(rt.ResponseFailed, match="content_filter, server_error") as caught:
                turn.result()
            assert caught.value.status == status
            assert turn.reply.text == "so far"
        else:
            assert turn.result(check=False).status == status


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


def test_repr_says_what_it_is(fake: FakeSession) -> None:
    assert repr(fake.session) == "<RealtimeSession without id: open>"
    fake.session.close()
    assert "closed" in repr(fake.session)


def test_audio_that_is_refused_leaves_the_turn_detection_as_it_was(fake: FakeSession) -> None:
    config = {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.25}}}}

    def server() -> None:
        for number, detection in ((1, None), (5, config["audio"]["input"]["turn_detection"])):
            sent = fake.wire.wait_sent(number)
            assert sent["session"]["audio"]["input"]["turn_detection"] == detection
            answer = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
            fake.wire.say({"type": "session.updated", "session": answer})
            if detection is None:
                fake.wire.say(error(fake.wire.wait_sent(4)["event_id"], "input_audio_buffer_commit_empty"))

    fake.wire.say({"type": "session.updated", "session": {"type": "realtime", **config}})
    fake.session.wait_for(SessionUpdated)
    playing = threading.Thread(target=server)
    playing.start()
    with pytest.raises(rt.ServerError, match="commit_empty"):
        fake.session.ask(audio=b"\0\0")
    playing.join()
    now = fake.session.config
    assert isinstance(now, RealtimeSessionConfig)
    assert now.audio is not None
    assert now.audio.input is not None
    assert isinstance(now.audio.input.turn_detection, rt.events.ServerVad)


def test_taps_see_the_wire(fake: FakeSession) -> None:
    fake.session.recv(20)
    seen: list[tuple[str, Any]] = []

    def tap(direction: str, text: Any) -> None:
        seen.append((direction, text))

    fake.session.add_tap(tap)
    fake.session.send({"type": "vendor.x", "event_id": "1"})
    fake.wire.say({"type": "a"})
    fake.session.wait_for("a")
    fake.session.remove_tap(tap)
    fake.session.send({"type": "vendor.y"})
    assert seen == [("out", '{"type":"vendor.x","event_id":"1"}'), ("in", b'{"type": "a"}')]


def test_rate_limits_and_usage_are_kept(fake: FakeSession) -> None:
    limit = {"name": "tokens", "limit": 100, "remaining": 40, "reset_seconds": 6.0}
    fake.wire.say({"type": "rate_limits.updated", "rate_limits": [limit]})
    fake.session.wait_for("rate_limits.updated")
    assert fake.session.rate_limits["tokens"].remaining == 40
    assert fake.session.usage.total.total_tokens == 0


def test_metadata_of_the_user_is_kept_and_a_full_one_is_not_stamped(fake: FakeSession) -> None:
    full = {f"key_{number}": "value" for number in range(16)}
    ack = fake.session.create_response({"metadata": full})
    create = fake.wire.wait_sent(1)
    assert create["response"]["metadata"] == full
    fake.wire.say(response_created("r", create))
    assert ack.result().response.id == "r"


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


def test_a_reply_is_whole_without_deltas_and_without_what_cannot_be_decoded(fake: FakeSession) -> None:
    turn = fake.session.respond()
    create = fake.wire.wait_sent(1)
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    fake.wire.say(
        response_created("r", create),
        {"type": "response.output_audio.delta", **place, "delta": "A"},
        {"type": "response.output_audio.delta", **place, "delta": base64.b64encode(b"pcm").decode()},
        {"type": "response.output_audio_transcript.delta", **place, "delta": "sp"},
        {"type": "response.output_audio_transcript.done", **place, "transcript": "spoken"},
        {"type": "response.output_audio_transcript.done", **place, "transcript": None},
        {"type": "response.output_text.done", **place, "text": "written"},
        {"type": "response.output_text.done", **place, "text": None},
        {"type": "response.function_call_arguments.done", **place, "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "response.output_item.done", **place, "item": {"type": "message", "role": "assistant", "content": []}},
        response_done("r", "failed"),
    )
    reply = turn.result(check=False)
    assert (reply.audio, reply.transcript, reply.text) == (b"pcm", "spoken", "written")
    assert [call.call_id for call in reply.tool_calls] == ["c"]
    assert len(reply.items) == 1
    with pytest.raises(rt.ResponseFailed, match=r"failed$"):
        reply.raise_for_status()


def test_a_loss_that_comes_with_a_stop_is_not_raised_by_run(fake: FakeSession) -> None:
    fake.session.on("a", lambda event: fake.session.stop())
    fake.wire.say({"type": "a"})
    fake.wire.fail(rt.ConnectionLost("reset"))
    fake.session.run()
    with pytest.raises(rt.ConnectionLost):
        fake.session.run()


def test_an_error_event_that_repeats_the_key_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    with FakeSession() as fake:
        ack = fake.session.update_session({"instructions": "x"})
        fake.wire.say(
            error(ack.event_id, message="bad key sk-of-the-test"), error(None, message="sk-of-the-test again")
        )
        with pytest.raises(rt.ServerError) as caught:
            ack.result()
        fake.session.wait_for("error")
        assert "sk-of-the-test" not in str(caught.value) + caplog.text
        assert "<redacted> again" in caplog.text
