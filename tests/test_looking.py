"""Looking at what has arrived without waiting: ``timeout=0`` and ``poll()``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSession, error, text_delta

import realtime_sync as rt

CLEARED = {"type": "input_audio_buffer.cleared"}


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def arrived(fake: FakeSession, *events: dict[str, Any]) -> None:
    """The server says these, and they have come to the inbox when this returns; nobody has dispatched them."""
    before = fake.inbox.waiting_bytes
    fake.wire.say(*events)
    until(lambda: fake.inbox.waiting_bytes > before)


def until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_recv_with_no_time_gives_what_has_arrived(fake: FakeSession) -> None:
    arrived(fake, text_delta("r", "a"), text_delta("r", "b"))
    seen = [fake.session.recv(timeout=0) for _ in range(3)]
    assert [event.type for event in seen if event] == ["session.created", *["response.output_text.delta"] * 2]
    with pytest.raises(rt.RealtimeTimeout, match="0 s"):
        fake.session.recv(timeout=0)


def test_wait_for_and_ack_with_no_time_look_at_what_has_arrived(fake: FakeSession) -> None:
    ack = fake.session.clear_audio()
    with pytest.raises(rt.RealtimeTimeout):
        ack.result(timeout=0)
    arrived(fake, text_delta("r", "a"), CLEARED, text_delta("r", "b"))
    assert fake.session.wait_for("response.output_text.delta", lambda e: e.delta == "a", timeout=0)
    assert ack.result(timeout=0).type == "input_audio_buffer.cleared"
    assert fake.session.wait_for("response.output_text.delta", timeout=0).delta == "b"
    with pytest.raises(rt.RealtimeTimeout):
        fake.session.wait_for("response.output_text.delta", timeout=0)


def test_what_a_slow_handler_kept_waiting_is_found_after_the_deadline(fake: FakeSession) -> None:
    fake.session.poll()
    deadline_s = 0.5

    def slow(event: Any) -> None:
        arrived(fake, CLEARED)
        time.sleep(deadline_s)

    fake.session.on("response.output_text.delta", slow)
    arrived(fake, text_delta("r", "a"))
    assert fake.session.wait_for("input_audio_buffer.cleared", timeout=deadline_s)


def test_poll_dispatches_all_that_has_arrived_and_never_waits(fake: FakeSession) -> None:
    seen: list[str] = []
    fake.session.on("*", lambda event: seen.append(event.type))
    arrived(fake, CLEARED)
    until(lambda: fake.inbox.waiting_batches == 2)
    assert fake.session.poll() == 2
    assert seen == ["session.created", "input_audio_buffer.cleared"]
    began = time.monotonic()
    assert [fake.session.poll() for _ in range(100)] == [0] * 100
    assert time.monotonic() - began < 2


def test_poll_in_a_handler_goes_on_with_the_events_behind(fake: FakeSession) -> None:
    seen: list[str] = []

    def nested(event: Any) -> None:
        seen.append(event.delta)
        if event.delta == "a":
            assert fake.session.poll() == 2

    fake.session.poll()
    fake.session.on("response.output_text.delta", nested)
    arrived(fake, *(text_delta("r", text) for text in "abc"))
    assert fake.session.poll() == 1
    assert seen == ["a", "b", "c"]


def test_poll_raises_what_a_handler_raises_and_goes_on_behind_it(fake: FakeSession) -> None:
    fake.session.once("response.output_text.delta", lambda event: 1 / 0)
    arrived(fake, text_delta("r", "a"), CLEARED)
    with pytest.raises(ZeroDivisionError):
        fake.session.poll()
    assert fake.session.poll() == 1


def test_poll_leaves_it_to_a_thread_that_dispatches(fake: FakeSession) -> None:
    inside, leave = threading.Event(), threading.Event()
    fake.session.on("input_audio_buffer.cleared", lambda event: (inside.set(), leave.wait(20)))
    fake.session.start()
    fake.wire.say(CLEARED, CLEARED)
    assert inside.wait(20)
    assert fake.session.poll() == 0
    leave.set()
    fake.session.stop()


def test_poll_tells_of_the_end_once_nothing_is_left(fake: FakeSession) -> None:
    fake.session.on("error", lambda event: None)
    fake.wire.hang_up(1011, "broken", error(None))
    fake.connection._thread.join(20)  # the end itself is the last that it puts into the inbox
    assert fake.session.poll() == 2
    for _ in range(2):
        with pytest.raises(rt.ConnectionLost, match="broken"):
            fake.session.poll()


def test_poll_after_a_clean_end_gives_nothing(fake: FakeSession) -> None:
    fake.session.close()
    assert fake.session.poll() == 1
    assert (fake.session.poll(), fake.session.closed) == (0, True)


def test_a_server_that_never_pauses_does_not_keep_poll(fake: FakeSession) -> None:
    fake.session.on("response.output_text.delta", lambda event: arrived(fake, text_delta("r", "x")))
    arrived(fake, text_delta("r", "x"))
    assert 1 <= fake.session.poll() <= 4
