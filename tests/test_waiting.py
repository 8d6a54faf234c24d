"""One thread for several sessions: `rt.wait`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, text_delta

import realtime_sync as rt
from realtime_sync.local import LocalServer

WAIT_S = 20.0


@pytest.fixture
def fakes() -> Iterator[list[FakeSession]]:
    with FakeSession() as one, FakeSession() as other:
        for fake in (one, other):
            assert fake.session.wait_for("session.created", timeout=WAIT_S)
            while fake.session.poll():
                pass
        yield [one, other]


def test_those_are_returned_at_which_something_has_arrived(fakes: list[FakeSession]) -> None:
    one, other = (fake.session for fake in fakes)
    assert rt.wait([one, other], timeout=0) == []
    fakes[1].wire.say(text_delta("r", "a"))
    assert rt.wait([one, other], WAIT_S) == [other]
    assert rt.wait(iter([other, one]), WAIT_S) == [other]  # nothing was dispatched
    event = other.recv(timeout=0)
    assert event is not None
    assert event.type == "response.output_text.delta"
    assert rt.wait([one, other], timeout=0) == []
    fakes[0].wire.say(text_delta("r", "b"))
    assert rt.wait([one, other], WAIT_S) == [one]
    assert one.poll() == 1


def test_what_arrives_wakes_whoever_waits(fakes: list[FakeSession]) -> None:
    found: list[list[rt.RealtimeSession]] = []
    sessions = [fake.session for fake in fakes]
    threads = [threading.Thread(target=lambda: found.append(rt.wait(sessions, WAIT_S))) for _ in range(3)]
    for thread in threads:
        thread.start()
    while sum(len(fake.inbox.bells) for fake in fakes) < 6:
        threading.Event().wait(0.001)
    fakes[0].wire.say(text_delta("r", "a"))
    for thread in threads:
        thread.join(WAIT_S)
    # Two that look in the same moment: one of them finds that another is looking, and looks again after a slice.
    assert found == [[sessions[0]]] * 3
    assert not any(fake.inbox.bells for fake in fakes)


def test_what_is_kept_for_recv_counts(fakes: list[FakeSession]) -> None:
    session = fakes[0].session
    with pytest.raises(rt.RealtimeTimeout):
        session.recv(timeout=0)
    fakes[0].wire.say(text_delta("r", "a"))
    session.wait_for("response.output_text.delta", timeout=WAIT_S)
    assert rt.wait([session], timeout=0) == [session]
    assert session.recv(timeout=0) is not None
    assert rt.wait([session], timeout=0) == []


def test_a_session_that_has_ended_is_returned_each_time(fakes: list[FakeSession]) -> None:
    one, other = (fake.session for fake in fakes)
    other.close()
    for _ in range(2):
        assert rt.wait([one, other], WAIT_S) == [other]
    assert other.recv(timeout=0) is None


def test_what_another_thread_dispatches_is_no_business_of_it(fakes: list[FakeSession]) -> None:
    session = fakes[0].session
    inside, leave = threading.Event(), threading.Event()

    def hold(event: Any) -> None:
        inside.set()
        leave.wait(WAIT_S)

    session.on("response.output_text.delta", hold)
    session.start()
    fakes[0].wire.say(text_delta("r", "a"), text_delta("r", "b"))
    assert inside.wait(WAIT_S)
    assert rt.wait([session], timeout=0) == []
    leave.set()
    session.stop()


def test_a_wake_up_is_nothing_that_has_arrived(fakes: list[FakeSession]) -> None:
    session = fakes[0].session
    session.stop()
    assert fakes[0].inbox.waiting_batches == 1
    assert rt.wait([session], timeout=0) == []


def test_what_is_idle_is_looked_after_meanwhile(fakes: list[FakeSession]) -> None:
    session = fakes[0].session
    idle = threading.Event()
    session._dispatcher.at_idle.append(idle.set)
    rt.wait([session], timeout=0)
    assert idle.is_set()


def test_what_is_no_list_of_sessions_is_refused(fakes: list[FakeSession]) -> None:
    for wrong in ([], fakes[0].session, [1]):
        with pytest.raises(rt.ConfigurationError, match="takes a list of sessions"):
            rt.wait(wrong)  # type: ignore[arg-type]


def test_several_real_sessions() -> None:
    with LocalServer() as server:
        sessions = [rt.connect("m", base_url=server.base_url) for _ in range(3)]
        turns = [session.respond(f"I am {number}") for number, session in enumerate(sessions)]
        while not all(turn.reply.done for turn in turns):
            for session in rt.wait(sessions, WAIT_S):
                session.poll()
        assert [turn.reply.transcript for turn in turns] == [f"You said: I am {number}" for number in range(3)]
        for session in sessions:
            session.close()
