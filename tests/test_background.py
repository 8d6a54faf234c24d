"""Dispatching on a thread of its own: `start` and `stop`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync._deadline import Deadline
from realtime_sync.delivery.background import BackgroundPump
from realtime_sync.delivery.dispatcher import HANDLER, Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import (
    InputAudioBufferCleared,
    ServerEvent,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


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
    with pytest.raises(rt.RealtimeTimeout, match="a handler that is running ends first"):
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


class Rig:
    """A pump whose inbox the test fills."""

    def __init__(self, on_error: Any = None) -> None:
        self.inbox = Inbox(1000)
        self.cause: rt.RealtimeError | None = None
        self.dispatcher = Dispatcher(self.inbox, lambda: self.cause)
        self.pump = BackgroundPump(self.dispatcher, on_error)
        self.seen: list[str | None] = []
        self.threads: set[threading.Thread] = set()
        self.came = threading.Event()
        self.dispatcher.subscribe(HANDLER, self.handle, ServerEvent)

    def handle(self, event: ServerEvent) -> None:
        self.seen.append(event.event_id)
        self.threads.add(threading.current_thread())
        if event.event_id == "last":
            self.came.set()
        elif event.event_id is not None and event.event_id.startswith("bad"):
            raise LookupError(event.event_id)

    def put(self, *names: str) -> None:
        self.inbox.put([InputAudioBufferCleared(event_id=name) for name in names], len(names))

    def wait_here(self) -> None:
        """Wait as a blocking verb does, until the last event has been handled."""
        self.dispatcher.wait(self.came.is_set, Deadline(20), "the last event")

    def stop(self) -> None:
        self.pump.request_stop()
        self.pump.join(20)


def test_it_dispatches_on_its_own_thread_until_it_is_stopped() -> None:
    rig = Rig()
    assert not rig.pump.alive
    rig.pump.start()
    rig.put("a", "last")
    assert rig.came.wait(20)
    assert rig.pump.alive
    assert not rig.pump.is_this_thread
    rig.pump.request_stop()
    rig.pump.join(20)
    assert not rig.pump.alive
    rig.pump.raise_fault()
    assert rig.seen == ["a", "last"]


def test_whoever_waits_after_the_start_dispatches_nothing_however_late_the_thread_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = threading.Thread.run

    def late(self: threading.Thread) -> None:
        time.sleep(0.05)
        run(self)

    rig = Rig()
    rig.put("a", "last")
    monkeypatch.setattr(threading.Thread, "run", late)
    rig.pump.start()
    rig.wait_here()
    rig.stop()
    assert rig.threads == {rig.pump._thread}


def test_a_handler_that_fails_does_not_bring_the_next_event_to_whoever_waits() -> None:
    def fail_late(event: ServerEvent) -> None:
        while event.event_id == "bad" and not rig.dispatcher._sleepers:
            time.sleep(0.001)

    rig = Rig(lambda fault: time.sleep(0.05))
    rig.dispatcher.subscribe(HANDLER, fail_late, ServerEvent)
    rig.pump.start()
    rig.put("bad", "last")
    rig.wait_here()
    rig.stop()
    assert rig.threads == {rig.pump._thread}


def test_a_start_while_another_thread_dispatches_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    waits: list[float] = []
    monkeypatch.setattr(rig.pump._found, "wait", waits.append)
    begin = threading.Semaphore()

    def start(event: ServerEvent) -> None:
        if begin.acquire(blocking=False):
            rig.pump.start()

    rig.dispatcher.subscribe(HANDLER, start, ServerEvent)
    rig.put("a", "last")
    rig.wait_here()
    rig.inbox.end()
    rig.pump.join(20)
    assert rig.threads == {threading.current_thread()}
    assert waits == []


def test_it_ends_with_the_events() -> None:
    rig = Rig()
    rig.put("a")
    rig.inbox.end()
    rig.pump.start()
    rig.pump.join(20)
    assert (rig.seen, rig.pump.alive) == (["a"], False)


def test_the_first_fault_of_a_handler_is_kept_and_raised_once_and_the_others_are_told() -> None:
    told: list[str] = []
    rig = Rig(lambda fault: told.append(str(fault)))
    rig.pump.start()
    rig.put("bad 1", "bad 2", "last")
    assert rig.came.wait(20)
    rig.pump.request_stop()
    rig.pump.join(20)
    with pytest.raises(LookupError, match="bad 1"):
        rig.pump.raise_fault()
    rig.pump.raise_fault()
    assert told == ["bad 1", "bad 2"]
    assert rig.seen == ["bad 1", "bad 2", "last"]


def test_the_cause_of_the_end_is_told_and_is_no_fault_of_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Exception] = []
    rig = Rig(told.append)
    rig.cause = rt.ConnectionLost("gone")
    rig.put("a")
    rig.inbox.end()
    with caplog.at_level(logging.WARNING):
        rig.pump.start()
        rig.pump.join(20)
    assert told == [rig.cause]
    assert "the session ended: gone" in caplog.text
    rig.pump.raise_fault()


def test_a_join_from_a_handler_returns_at_once_and_one_that_takes_too_long_says_so() -> None:
    rig = Rig()
    entered, go = threading.Event(), threading.Event()
    inside: list[bool] = []

    def join(event: Any) -> None:
        inside.append(rig.pump.is_this_thread)
        rig.pump.join(60)
        entered.set()
        assert go.wait(20)

    rig.dispatcher.subscribe(HANDLER, join, ServerEvent)
    rig.pump.start()
    rig.put("a")
    assert entered.wait(20)
    rig.pump.request_stop()
    with pytest.raises(rt.RealtimeTimeout, match=r"has not ended 0\.01 s after the stop .*: a handler that is running"):
        rig.pump.join(0.01)
    go.set()
    rig.pump.join(20)
    assert inside == [True]
