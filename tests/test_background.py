"""Dispatching on a thread of its own: `start` and `stop`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync.events import (
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
