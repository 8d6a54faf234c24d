from __future__ import annotations

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
    RealtimeSessionConfig,
    ResponseOutputTextDelta,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


UPDATED = {"type": "session.updated", "session": {"type": "realtime", "id": "sess_1", "instructions": "new"}}


# Sending


def test_an_ack_times_out_and_can_be_asked_again(fake: FakeSession) -> None:
    ack = fake.session.clear_audio()
    with pytest.raises(rt.RealtimeTimeout, match=r"input_audio_buffer\.clear"):
        ack.result(timeout=0.01)
    fake.wire.say({"type": "input_audio_buffer.cleared"})
    assert ack.result().type == "input_audio_buffer.cleared"


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


def test_repr_says_what_it_is(fake: FakeSession) -> None:
    assert repr(fake.session) == "<RealtimeSession without id: open>"
    fake.session.close()
    assert "closed" in repr(fake.session)


@pytest.mark.parametrize(
    "options", [{"code": 1001}, {"code": "1000"}, {"timeout": "2"}, {"timeout": float("nan")}], ids=str
)
def test_a_close_that_cannot_be_takes_nothing_apart(fake: FakeSession, options: dict[str, Any]) -> None:
    released: list[Any] = []
    fake.session._at_close.append(lambda *told: released.append(told))
    fake.session.start()
    with pytest.raises(rt.ConfigurationError):
        fake.session.close(**options)
    background = fake.session._background
    assert background is not None
    assert not background._stopped
    assert fake.session._abandon.alive
    assert not fake.session.closed
    assert not released
    ack = fake.session.clear_audio()
    fake.wire.say({"type": "input_audio_buffer.cleared"})
    assert ack.result()


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
    updates = [text for text in fake.wire.texts if text["type"] == "session.update"]
    assert len(updates) == 2, "switched off, and restored once"


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


def test_a_loss_that_comes_with_a_stop_is_not_raised_by_run(fake: FakeSession) -> None:
    fake.session.on("a", lambda event: fake.session.stop())
    fake.wire.say({"type": "a"})
    fake.wire.fail(rt.ConnectionLost("reset"))
    fake.session.run()
    with pytest.raises(rt.ConnectionLost):
        fake.session.run()
