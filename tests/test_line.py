"""The line: what is kept when its connection ends, and what leaves over the next one."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeTransport

import realtime_sync as rt
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.line import Line


class Owned:
    """An owner that is done when the test says so."""

    def __init__(self) -> None:
        self.done = False


class Rig:
    """A line whose connections are the test's."""

    def __init__(self, *, survives: bool = True) -> None:
        self.inbox = Inbox(10**6)
        self.wires: list[FakeTransport] = []
        self.connections: list[Connection] = []
        self.verdict = True
        self.owners: list[Owned | None] = []
        self.line = Line(self.connect(), self.inbox, (lambda cause, last: self.verdict) if survives else None)

    def connect(self) -> Connection:
        self.wires.append(FakeTransport())
        self.connections.append(Connection(self.wires[-1], self.inbox))  # type: ignore[arg-type]
        if len(self.connections) == 1:
            self.connections[0].start()
        return self.connections[-1]

    def attach(self) -> bool:
        connection = self.connect()
        attached = self.line.attach(connection)
        connection.start()
        self.line.flush()
        return attached

    def lose(self) -> None:
        """The connection that there is fails, and its end is told."""
        self.wires[-1].fail(rt.ConnectionLost("lost"))
        self.connections[-1]._thread.join(20)
        assert self.connections[-1].ended

    def sent(self, nth: int = -1) -> list[Any]:
        return [text["n"] for text in self.wires[nth].texts]

    def send(self, number: int, owner: Owned | None = None) -> None:
        self.owners.append(owner)
        self.line.send(f'{{"n": {number}}}', owner)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.line.abandon()
    for connection in made.connections:
        connection.abandon()
        if connection._thread.ident is not None:
            connection._thread.join(20)


def test_what_is_not_done_leaves_once_more_and_what_was_sent_meanwhile_after_it(rig: Rig) -> None:
    owners = [Owned() for _ in range(4)]
    for number, owner in enumerate(owners):
        rig.send(number, owner)
    rig.send(9)
    owners[1].done = True
    rig.lose()
    assert not rig.line.ended
    rig.send(10)
    rig.send(11, Owned())
    assert rig.sent() == [0, 1, 2, 3, 9]
    assert rig.attach()
    assert rig.sent() == [0, 2, 3, 10, 11], "what has no owner is sent once"
    rig.send(12)
    assert rig.sent() == [0, 2, 3, 10, 11, 12]


def test_a_connection_that_fails_while_it_is_told_leaves_the_rest_for_the_next(rig: Rig) -> None:
    for number in range(3):
        rig.send(number, Owned())
    rig.lose()
    connection = rig.connect()
    assert rig.line.attach(connection)
    rig.wires[-1].send_fault = rt.ConnectionLost("at once")
    connection.start()
    rig.line.flush()
    rig.send(3, Owned())
    connection._thread.join(20)
    assert rig.attach()
    assert rig.sent() == [0, 1, 2, 3]


def test_a_peer_that_takes_nothing_is_told_until_it_is_gone(rig: Rig) -> None:
    rig.send(0, Owned())
    rig.lose()
    connection = rig.connect()
    assert rig.line.attach(connection)
    connection.start()
    times: list[int] = []

    def late(text: str | bytes, timeout_s: float) -> None:
        times.append(1)
        if len(times) == 3:
            connection.abandon()
            connection._thread.join(20)
        raise rt.RealtimeTimeout("late")

    rig.wires[-1].send_text = late  # type: ignore[method-assign]
    rig.line.flush()
    assert len(times) == 3


def test_what_could_not_begin_to_leave_is_forgotten(rig: Rig) -> None:
    rig.wires[0].send_fault = rt.RealtimeTimeout("late")
    with pytest.raises(rt.RealtimeTimeout):
        rig.send(0, Owned())
    rig.lose()
    assert rig.attach()
    assert rig.sent() == []


def test_what_is_held_waits_for_the_flush(rig: Rig) -> None:
    rig.line.hold()
    rig.send(0, Owned())
    assert rig.sent() == []
    rig.line.flush()
    assert rig.sent() == [0]


def test_what_is_settled_by_its_kind_is_not_sent_again(rig: Rig) -> None:
    class Other(Owned):
        pass

    rig.send(0, Other())
    rig.send(1, Owned())
    rig.line.hold()
    rig.send(2, Other())
    rig.line.settle(Other)
    rig.lose()
    assert rig.attach()
    assert rig.sent() == [1, 2], "what was held had not left"


def test_a_cause_that_is_not_survived_ends_the_line(rig: Rig) -> None:
    rig.verdict = False
    rig.lose()
    assert rig.line.ended
    with pytest.raises(rt.ConnectionLost):
        rig.send(0)
    assert isinstance(rig.line.cause, rt.ConnectionLost)


def test_a_send_that_meets_such_an_end_raises(rig: Rig) -> None:
    rig.verdict = False
    wire = rig.wires[0]

    def fails(text: str | bytes, timeout_s: float) -> None:
        rig.lose()
        raise rt.ConnectionLost("lost")

    wire.send_text = fails  # type: ignore[method-assign]
    with pytest.raises(rt.ConnectionLost):
        rig.send(0)


def test_giving_up_is_told_to_whoever_sends(rig: Rig) -> None:
    rig.lose()
    rig.line.hold()
    fault = rt.ConnectionLost("no way", code=1011)
    rig.line.give_up(fault)
    assert rig.line.ended
    assert rig.line.cause is fault
    with pytest.raises(rt.ConnectionLost, match="no way") as caught:
        rig.send(0)
    assert caught.value.__cause__ is fault
    assert not rig.line.attach(rig.connect())


def test_after_a_fault_that_is_no_close_the_end_of_the_connection_is_told(rig: Rig) -> None:
    rig.lose()
    rig.line.hold()
    rig.line.give_up(rt.HandshakeError("no way"))
    with pytest.raises(rt.ConnectionLost, match="lost"):
        rig.send(0)


def test_closing_between_two_connections_is_a_clean_end(rig: Rig) -> None:
    rig.lose()
    rig.line.hold()
    rig.line.close()
    assert rig.line.closing
    assert rig.line.cause is None
    assert not rig.line.attach(rig.connect())
    for whose in ("the reader's", "that of the close"):
        assert not rig.inbox.take(deque(), 1.0), whose
        rig.inbox.go_on()
    with pytest.raises(rt.ConnectionClosed):
        rig.send(0)


def test_a_close_that_cannot_be_closes_nothing(rig: Rig) -> None:
    for arguments in ({"code": 1001}, {"timeout_s": float("nan")}):
        with pytest.raises(rt.ConfigurationError):
            rig.line.close(**arguments)
    assert not rig.line.closing


def test_taps_go_along(rig: Rig) -> None:
    seen: list[Any] = []

    def tap(direction: str, text: bytes | str) -> None:
        seen.append(text)

    rig.line.add_tap(tap)
    rig.send(0, Owned())
    rig.lose()
    assert rig.attach()
    rig.line.remove_tap(tap)
    rig.send(1)
    assert seen == ['{"n": 0}'] * 2


def test_what_is_done_is_forgotten_when_there_is_much(rig: Rig) -> None:
    for number in range(2000):
        owner = Owned()
        rig.send(number, owner)
        owner.done = True
    assert len(rig.line._messages) < 600


def test_a_message_that_nobody_waits_for_is_not_sent_again(rig: Rig) -> None:
    rig.send(0, Owned())
    rig.owners.clear()
    rig.lose()
    assert rig.attach()
    assert rig.sent() == []


def test_without_survival_the_line_is_its_connection() -> None:
    rig = Rig(survives=False)
    rig.send(0)
    assert rig.line._messages == []
    rig.lose()
    assert rig.line.ended
    with pytest.raises(rt.ConnectionLost):
        rig.send(1)
    rig.line.close()
    assert not rig.inbox.take(deque(), 1.0)
    rig.inbox.go_on()
    assert rig.inbox.take(deque(), 0.0), "one end, that of the reader"


def test_a_fork_has_no_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = os.getpid()
    holder = threading.Event()
    let_go = threading.Event()

    def hold() -> None:  # as a thread of the parent's that is not there in the child
        with rig.line._lock:
            holder.set()
            let_go.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holder.wait(20)
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: pid + 1)
        assert rig.line.forked
        assert rig.line.ended
        with pytest.raises(rt.ConnectionClosed, match="fork"):
            rig.send(0)
        rig.line.close()
        rig.line.abandon()
    let_go.set()
    thread.join(20)
    assert rig.wires[0].forgotten
    rig.send(1)
    assert rig.sent() == [1]
