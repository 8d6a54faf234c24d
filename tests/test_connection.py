from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from fakes import SESSION, FakeSession, FakeTransport
from servers import Peer, RawServer, frame

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.errors import (
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    HandshakeError,
    InboxOverflow,
    RealtimeTimeout,
)
from realtime_sync.events import ServerEvent, SessionCreated, UnknownEvent
from realtime_sync.transport import open_transport
from realtime_sync.transport.frames import CLOSE, PING, PONG, TEXT, close_payload


class Rig:
    """A connection on a fake transport."""

    def __init__(self, *, limit_bytes: int = 10**8, **limits: Any) -> None:
        self.wire = FakeTransport()
        self.inbox = Inbox(limit_bytes)
        self.connection = Connection(self.wire, self.inbox, **limits)  # type: ignore[arg-type]
        self.connection.start()

    def take(self) -> Any:
        """The events of the next batch and what they count for; ``None`` at the end."""
        pending: deque[ServerEvent] = deque()
        while not pending:
            if not self.inbox.take(pending, 20):
                return None
        return list(pending), self.inbox.average_bytes * len(pending)

    def ended(self) -> None:
        self.connection._thread.join(20)
        assert not self.connection._thread.is_alive()


@pytest.fixture
def rig() -> Any:
    made = Rig()
    yield made
    made.connection.close()
    made.ended()


def test_texts_and_binaries_become_batches_of_events(rig: Rig) -> None:
    rig.wire.say({"type": "session.created", "session": SESSION}, {"type": "vendor.hello"})
    events, size_bytes = rig.take()
    assert isinstance(events[0], SessionCreated)
    assert isinstance(events[1], UnknownEvent)
    assert size_bytes > 80
    rig.wire.say_binary({"type": "vendor.binary"})
    events, _ = rig.take()
    assert events[0].type == "vendor.binary"
    assert rig.connection.last is events[0]


@pytest.mark.parametrize("end", [None, ConnectionLost("gone")], ids=["then nothing", "then the end"])
def test_while_more_is_there_it_becomes_one_batch(end: Exception | None) -> None:
    rig = Rig()
    rig.wire.busy = True
    for n in range(3):
        rig.wire.incoming.put(frame(TEXT, b'{"type":"vendor.%d"}' % n))
    if end:
        rig.wire.incoming.put(end)
    seen: list[str] = []
    while len(seen) < 3:  # the reader may have asked before all was there
        seen += [event.type for event in rig.take()[0]]
    assert seen == ["vendor.0", "vendor.1", "vendor.2"]
    rig.connection.close()
    rig.ended()


def test_however_much_is_there_a_batch_is_bounded() -> None:
    rig = Rig()
    whole = frame(TEXT, b'{"type":"vendor.x","pad":"%s"}' % (b"x" * 100_000))
    rig.wire.busy = True
    for _ in range(9):
        rig.wire.incoming.put(whole)
    sizes: list[int] = []
    while sum(sizes) < 9:
        sizes.append(len(rig.take()[0]))
    assert max(sizes) <= 3
    rig.connection.close()
    rig.ended()


def test_pings_are_answered_without_anybody_reading(rig: Rig) -> None:
    rig.wire.ping(b"abc")
    assert rig.wire.wait_control(PONG) == b"abc"


def test_close_says_goodbye_and_is_idempotent() -> None:
    rig = Rig()
    rig.connection.close(3001, "bye")
    rig.connection.close()
    rig.ended()
    assert rig.wire.controls == [(CLOSE, close_payload(3001, "bye"))]
    assert rig.connection.closing
    assert rig.connection.cause is None
    assert rig.connection.goodbye is None
    assert rig.take() is None
    with pytest.raises(ConnectionClosed, match="the session is closed"):
        rig.connection.send("{}")


def test_close_without_an_answer_is_bounded_and_clean() -> None:
    rig = Rig()
    rig.wire.answer_close = False
    rig.connection.close(timeout_s=0.01)
    rig.ended()
    assert rig.wire.closed.is_set()
    assert rig.connection.cause is None


def test_two_closes_at_once_wait_for_the_same_end() -> None:
    rig = Rig()
    rig.wire.answer_close = False
    threads = [threading.Thread(target=rig.connection.close) for _ in range(2)]
    for thread in threads:
        thread.start()
    rig.wire.wait_control(CLOSE)
    rig.wire.hang_up(1000)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(rig.wire.controls) == 1


def test_a_long_reason_is_cut_at_a_character() -> None:
    rig = Rig()
    rig.connection.close(reason="é" * 100)
    rig.ended()
    payload = rig.wire.controls[0][1]
    assert len(payload) <= 125
    assert payload[2:].decode() == "é" * 61


@pytest.mark.parametrize("code", [999, 1001, 2999, 5000])
def test_a_close_code_that_is_not_the_clients_is_refused(rig: Rig, code: int) -> None:
    with pytest.raises(ConfigurationError, match="close code"):
        rig.connection.close(code)


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        (1000, type(None), None),
        (1001, ConnectionLost, 1001),
        (1011, ConnectionLost, 1011),
        (None, ConnectionLost, 1005),
    ],
)
def test_the_servers_close_is_answered_and_told(code: int | None, kind: type[Any], told: int | None) -> None:
    rig = Rig()
    rig.wire.hang_up(code, "why" if code else "", {"type": "vendor.last"})
    events, _ = rig.take()
    assert events[0].type == "vendor.last"
    assert rig.take() is None
    rig.ended()
    cause = rig.connection.cause
    assert isinstance(cause, kind)
    goodbye = rig.connection.goodbye
    if cause is None:
        assert goodbye is not None
        assert (goodbye.code, goodbye.reason) == (1000, "why")
        with pytest.raises(ConnectionClosed, match="why"):
            rig.connection.send("{}")
    else:
        assert goodbye is None
    if isinstance(cause, ConnectionLost):
        assert cause.code == told
        assert cause.reason == ("why" if code else "")
        with pytest.raises(ConnectionLost, match="closed the connection"):
            rig.connection.send("{}")
    assert [opcode for opcode, _ in rig.wire.controls] == [CLOSE]


def test_a_fault_of_the_transport_is_the_cause() -> None:
    rig = Rig()
    rig.wire.fail(ConnectionLost("reset by peer"))
    assert rig.take() is None
    rig.ended()
    assert "reset by peer" in str(rig.connection.cause)
    rig.connection.close()


def test_a_bug_in_the_reader_ends_the_session_visibly(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        rig = Rig()
        rig.wire.fail(ZeroDivisionError("bug"))
        assert rig.take() is None
        rig.ended()
    assert isinstance(rig.connection.cause, ConnectionLost)
    assert isinstance(rig.connection.cause.__cause__, ZeroDivisionError)


def test_the_keepalive_is_the_transports() -> None:
    """Its rules are tested by tables in test_websocket.py; here, that they are used and their end is told."""
    rig = Rig(ping_interval_s=0.02, ping_timeout_s=0.02)
    assert rig.wire.wait_control(PING) == b""
    assert rig.take() is None
    rig.ended()
    assert "silent for 0.04 s" in str(rig.connection.cause)


def test_events_are_made_by_the_decoder_that_is_passed() -> None:
    seen: list[bytes] = []

    def decode(text: bytes) -> Any:
        seen.append(text)
        return UnknownEvent(type="mine", raw={})

    rig = Rig(decode=decode)
    rig.wire.say({"type": "session.created"})
    events, _ = rig.take()
    assert events[0].type == "mine"
    assert seen == [b'{"type": "session.created"}']
    rig.connection.close()
    rig.ended()


@pytest.mark.parametrize("kind", [OSError, ValueError, KeyError])
def test_a_decoder_that_fails_is_no_failure_of_the_connection(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def decode(text: bytes) -> Any:
        if b"bad" in text:
            raise kind("oh")
        return UnknownEvent(type="mine", raw={})

    def serve(peer: Peer) -> None:
        peer.send(frame(TEXT, b"good"))
        peer.send(frame(TEXT, b"bad"))
        peer.wait_gone()

    with RawServer(serve) as server, caplog.at_level(logging.ERROR):
        inbox = Inbox(10**8)
        connection = Connection(open_transport(server.url, {}, deadline=Deadline(20)), inbox, decode=decode)
        connection.start()
        pending: deque[ServerEvent] = deque()
        while inbox.take(pending, 20):
            pass
        connection.close()
    assert isinstance(connection.cause, ConnectionLost)
    assert "the reader failed" in str(connection.cause)
    assert type(connection.cause.__cause__) is kind
    assert len(pending) <= 1  # the good one, unless it came along with the bad one


def test_overflow_ends_the_session_after_what_came() -> None:
    rig = Rig(limit_bytes=10)
    rig.wire.say({"type": "a"}, {"type": "b"})
    rig.ended()
    events, _ = rig.take()
    assert [event.type for event in events] == ["a", "b"]
    assert rig.take() is None
    cause = rig.connection.cause
    assert isinstance(cause, InboxOverflow)
    assert cause.limit_bytes == 10
    assert "inbox_limit_bytes" in str(cause)
    with pytest.raises(ConnectionClosed) as caught:
        rig.connection.send("{}")
    assert caught.value.__cause__ is cause


def test_a_send_that_stuck_half_way_is_the_cause_of_the_end() -> None:
    rig = Rig()
    rig.wire.send_fault = ConnectionLost("stuck")
    with pytest.raises(ConnectionLost, match="stuck"):
        rig.connection.send("{}")
    rig.ended()
    assert str(rig.connection.cause) == "stuck"


def test_a_send_that_loses_against_the_end_is_told_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    close = rig.wire.close
    raised: list[ConnectionClosed] = []

    def send_in_between() -> None:  # the reader lets go of the socket
        close()
        with pytest.raises(ConnectionClosed) as caught:
            rig.connection.send("{}")
        raised.append(caught.value)

    def fail_at_the_end(text: str | bytes, timeout_s: float) -> None:
        rig.wire.hang_up(1011, "overloaded")
        rig.ended()
        raise ConnectionClosed("the connection was closed on this side")

    monkeypatch.setattr(rig.wire, "close", send_in_between)
    monkeypatch.setattr(rig.wire, "send_text", fail_at_the_end)
    with pytest.raises(ConnectionClosed) as caught:
        rig.connection.send("{}")
    assert len(raised) == 1
    for error in (*raised, caught.value, rig.connection.cause):
        assert isinstance(error, ConnectionLost)
        assert (error.code, error.reason) == (1011, "overloaded")


def test_a_send_that_never_began_leaves_the_session_open(rig: Rig) -> None:
    rig.wire.send_fault = RealtimeTimeout("later")
    with pytest.raises(RealtimeTimeout):
        rig.connection.send("{}")
    assert not rig.connection.ended
    rig.wire.send_fault = None
    rig.connection.send('{"type": "a"}')
    assert rig.wire.texts == [{"type": "a"}]


def test_taps_see_both_directions_and_a_failing_one_is_removed(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[str, Any]] = []

    def bad(direction: str, text: Any) -> None:
        raise ValueError("tap")

    def tap(direction: str, text: Any) -> None:
        seen.append((direction, text))

    with caplog.at_level(logging.ERROR):
        rig.connection.add_tap(bad)
        rig.connection.add_tap(tap)
        rig.wire.say({"type": "a"})
        rig.take()
        rig.connection.send('{"type": "b"}')
    assert seen == [("in", b'{"type": "a"}'), ("out", '{"type": "b"}')]
    assert caplog.text.count("a tap failed") == 1
    rig.connection.remove_tap(tap)
    rig.connection.send('{"type": "c"}')
    assert len(seen) == 2


def test_what_the_server_repeats_is_redacted_by_the_transport(rig: Rig) -> None:
    assert rig.connection.redact("bad key sk-of-the-test") == "bad key <redacted>"


def test_without_a_thread_the_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    wire = FakeTransport()
    connection = Connection(wire, Inbox(100))  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(HandshakeError, match="could not be started: can't start new thread"):
            connection.start()
    assert wire.closed.is_set()
    connection.close()


@pytest.mark.parametrize("end", [Connection.close, Connection.abandon])
def test_what_was_closed_before_it_began_has_ended_without_a_thread(end: Callable[[Connection], None]) -> None:
    """An interrupt can leave the start to the thread beside, which comes to it late."""
    inbox: Inbox = Inbox(100)
    connection = Connection(FakeTransport(), inbox)  # type: ignore[arg-type]
    end(connection)
    connection.start()
    assert connection._thread.ident is None
    assert (connection.ended, connection.cause) == (True, None)
    assert inbox.take(deque(), 20) is False
    connection.close()


def test_abandon_ends_at_once_without_a_goodbye() -> None:
    rig = Rig()
    rig.connection.abandon()
    rig.ended()
    assert rig.wire.controls == []
    assert rig.connection.cause is None


def test_another_process_cannot_use_or_end_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        assert rig.connection.ended
        with pytest.raises(ConnectionClosed, match="after a fork"):
            rig.connection.send("{}")
        rig.connection.close()
        rig.connection.abandon()
    assert rig.wire.forgotten
    assert not rig.wire.closed.is_set()


@pytest.mark.parametrize("what", ["send", "close", "abandon"])
def test_in_a_fork_no_lock_is_waited_for(what: str, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may have held it at the fork, and is not there to give it back."""
    calls: dict[str, Callable[[], None]] = {
        "send": lambda: rig.connection.send("{}"),
        "close": rig.connection.close,
        "abandon": rig.connection.abandon,
    }

    def call() -> None:
        with suppress(ConnectionClosed):
            calls[what]()

    with rig.connection._lock, monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        child = threading.Thread(target=call)
        child.start()
        child.join(20)
        assert not child.is_alive()


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="needs signals")
def test_a_signal_handler_may_close_wherever_it_strikes() -> None:
    rig = Rig()
    closed: list[bool] = []

    def on_signal(*_: object) -> None:
        rig.connection.close(timeout_s=0.05)
        closed.append(rig.connection.ended)

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        with rig.connection._lock:  # as in the middle of add_tap, close or a send that fails
            signal.raise_signal(signal.SIGINT)
        rig.connection.close()
    finally:
        signal.signal(signal.SIGINT, previous)
    rig.ended()
    # The reader's last step needs the lock, which the handler's own thread holds: so it came after the handler.
    assert closed == [False]


def test_a_handler_that_closes_while_its_thread_closes() -> None:
    """The signal strikes while the main thread waits for the reader's end."""
    rig = Rig()
    rig.wire.answer_close = False
    calls: list[str] = []
    join = rig.connection._thread.join

    def interrupted(timeout: float | None = None) -> None:
        calls.append("join")
        if len(calls) == 1:
            rig.connection.close(timeout_s=0.01)
            calls.append("closed")
        join(timeout)

    rig.connection._thread.join = interrupted  # type: ignore[method-assign]
    rig.connection.close()
    assert "closed" in calls
    join(20)
    assert rig.connection.ended


# Limits


@pytest.mark.parametrize("limit", ["ping_interval_s", "ping_timeout_s", "send_timeout_s"])
@pytest.mark.parametrize("value", [float("nan"), -1, 0, "5", True])
def test_a_limit_that_is_none_is_refused(limit: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{limit} must be a number of seconds"):
        Connection(FakeTransport(), Inbox(100), **{limit: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("inf"), 1e10, 1e300, 10**400])
def test_a_limit_may_be_as_good_as_endless(value: float) -> None:
    rig = Rig(ping_interval_s=value, ping_timeout_s=value, send_timeout_s=value)
    rig.wire.say({"type": "a"})
    rig.take()
    rig.connection.send("{}")
    rig.connection.close(timeout_s=value)
    rig.ended()
    assert rig.connection.cause is None
    assert [opcode for opcode, _ in rig.wire.controls] == [CLOSE]


def test_close_without_a_time_limit_waits_for_the_answer() -> None:
    rig = Rig()
    rig.wire.answer_close = False
    closing = threading.Thread(target=rig.connection.close, kwargs={"timeout_s": None})
    closing.start()
    rig.wire.wait_control(CLOSE)
    rig.wire.hang_up(1000)
    closing.join(20)
    assert not closing.is_alive()
    rig.ended()


@pytest.mark.parametrize("timeout_s", [float("nan"), "2"])
def test_a_close_with_a_limit_that_is_none_changes_nothing(timeout_s: Any, rig: Rig) -> None:
    with pytest.raises(ConfigurationError):
        rig.connection.close(timeout_s=timeout_s)
    assert not rig.connection.closing
    rig.connection.send("{}")


# Taps that do what they should not


class Odd(BaseException):
    pass


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, Odd])
def test_a_tap_that_ends_the_readers_thread_ends_the_session_visibly(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def tap(direction: str, text: Any) -> None:
        raise kind("out")

    rig = Rig()
    with caplog.at_level(logging.ERROR):
        rig.connection.add_tap(tap)
        rig.wire.say({"type": "a"})
        events, _ = rig.take()
        assert [event.type for event in events] == ["a"]
        assert rig.take() is None
        rig.ended()
    assert rig.connection.ended
    cause = rig.connection.cause
    assert isinstance(cause, ConnectionLost)
    assert kind.__name__ in str(cause)
    assert isinstance(cause.__cause__, kind)
    assert "a tap ended the reader" in caplog.text
    with pytest.raises(ConnectionLost, match=kind.__name__):
        rig.connection.send("{}")
    rig.connection.close()


def test_close_in_a_tap_waits_for_nothing() -> None:
    rig = Rig()
    rig.wire.answer_close = False
    took_s: list[float] = []

    def tap(direction: str, text: Any) -> None:
        started = time.monotonic()
        rig.connection.close(timeout_s=15)
        took_s.append(time.monotonic() - started)

    rig.connection.add_tap(tap)
    rig.wire.say(*({"type": "a"} for _ in range(5)))
    events, _ = rig.take()
    assert len(events) == 5  # what came with it is delivered
    assert rig.take() is None
    rig.ended()
    assert rig.connection.cause is None
    assert len(took_s) == 5
    assert sum(took_s) < 10


def test_a_forgotten_session_is_abandoned() -> None:
    fake = FakeSession()
    connection, wire = fake.connection, fake.wire
    del fake
    gc.collect()  # handlers of the session refer to it
    assert wire.closed.wait(20)
    connection._thread.join(20)
    assert not connection._thread.is_alive()
