"""What goes wrong in the field, through the whole client: real sockets, and real TLS where ``tls`` says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from fakes import SESSION, error, text_delta
from servers import RawServer, client_context, frame, server_context

import realtime_sync as rt
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.inbox import EVENT_BYTES
from realtime_sync.events import ResponseOutputTextDelta
from realtime_sync.transport.frames import CLOSE, PING, PONG, TEXT, close_payload
from realtime_sync.transport.transport import Transport

CREATED = {"type": "session.created", "event_id": "ev_0", "session": SESSION}
TLS = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


def event_frame(*events: dict[str, Any]) -> bytes:
    return b"".join(frame(TEXT, json.dumps(event).encode()) for event in events)


@contextmanager
def server(script: Callable[[Any], None], *, tls: bool = False, created: bool = True, **more: Any) -> Iterator[Any]:
    """A server that says session.created and then follows the script."""

    def handler(peer: Any) -> None:
        if created:
            peer.send(event_frame(CREATED))
        script(peer)

    with RawServer(handler, tls=server_context() if tls else None, **more) as made:
        yield made


def connect(made: RawServer, **more: Any) -> rt.RealtimeSession:
    scheme = "wss" if made._tls else "ws"
    return rt.connect(
        "gpt-realtime",
        base_url=f"{scheme}://{made.address}/v1",
        api_key="sk-secret-key",
        ssl_context=client_context() if made._tls else None,
        proxy=None,
        **{"timeout": 20.0, **more},
    )


@contextmanager
def nothing_left() -> Iterator[None]:
    """Neither a thread nor a descriptor of ours is left behind."""
    process = psutil.Process()
    before, known = process.num_fds(), set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - known if thread.name.startswith("realtime_sync")]
    assert left == []
    assert process.num_fds() <= before


def goodbye(peer: Any) -> None:
    """Answer the client's close frame, as a good server does."""
    while True:
        opcode, payload = peer.read_frame()
        if opcode == CLOSE:
            peer.send(frame(CLOSE, payload))
            return


def read_all(session: rt.RealtimeSession, into: list[Any]) -> None:
    """Everything until the end; raises why it ended."""
    for event in session:
        into.append(event)


def append_until_refused(session: rt.RealtimeSession) -> None:
    for _ in range(64):
        session.append_audio_bytes(bytes(2**20))


# Opening


@TLS
@pytest.mark.parametrize("stage", ["connected", "upgraded"])
def test_a_server_that_goes_mute_while_opening(tls: bool, stage: str) -> None:
    made = RawServer(
        lambda peer: peer.wait_gone(),
        upgrade=stage == "upgraded",
        tls=server_context() if tls and stage == "upgraded" else None,
    )
    with nothing_left(), made:
        began = time.monotonic()
        with pytest.raises(rt.RealtimeTimeout) as caught:
            rt.connect(
                "m",
                base_url=f"{'wss' if tls else 'ws'}://{made.address}/v1",
                api_key="sk-secret-key",
                ssl_context=client_context() if tls else None,
                proxy=None,
                timeout=0.3,
            )
        assert time.monotonic() - began < 5
        assert "sk-secret" not in str(caught.value)
        if stage == "upgraded":
            assert "session.created" in str(caught.value)


def test_an_error_instead_of_a_session() -> None:
    def refuse(peer: Any) -> None:
        peer.send(event_frame(error(None, "invalid_api_key", "Incorrect API key")))
        peer.send(frame(CLOSE, close_payload(3000, "invalid_request_error.invalid_api_key")))

    with nothing_left(), server(refuse, created=False) as made:
        with pytest.raises(rt.AuthenticationError, match="Incorrect API key") as caught:
            connect(made)
        assert caught.value.status is None


@pytest.mark.parametrize(
    ("code", "kind"), [(3000, rt.AuthenticationError), (4000, rt.ConnectionLost), (1011, rt.ConnectionLost)]
)
def test_a_close_instead_of_a_session(code: int, kind: type[Exception]) -> None:
    def refuse(peer: Any) -> None:
        peer.send(frame(CLOSE, close_payload(code, "because")))

    with nothing_left(), server(refuse, created=False) as made, pytest.raises(kind, match="because"):
        connect(made)


def test_another_error_instead_of_a_session_is_a_server_error() -> None:
    def refuse(peer: Any) -> None:
        peer.send(event_frame(error(None, "model_not_found", "no such model")))
        peer.wait_gone()

    with nothing_left(), server(refuse, created=False) as made, pytest.raises(rt.ServerError, match="no such model"):
        connect(made)


def test_a_configuration_that_is_refused_closes_the_session_again() -> None:
    def refuse(peer: Any) -> None:
        _, text = peer.read_frame()
        update = json.loads(text)
        peer.send(event_frame(error("of another"), error(update["event_id"], "unknown_parameter", "no such field")))
        goodbye(peer)

    with nothing_left(), server(refuse) as made, pytest.raises(rt.ServerError, match="no such field"):
        connect(made, session={"fild": 1})


def test_a_server_that_never_confirms_the_configuration_is_told_from_a_mute_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mute = server(lambda peer: peer.wait_gone())
    with nothing_left(), mute as made, connect(made, session={"instructions": "x"}, timeout=1) as session:
        assert "has not confirmed session.update" in caplog.text
        assert session.id == SESSION["id"]


def test_the_accepted_configuration_is_there_and_its_events_are_still_dispatched() -> None:
    def accept(peer: Any) -> None:
        _, text = peer.read_frame()
        config = {**SESSION, **json.loads(text)["session"]}
        peer.send(event_frame({"type": "session.updated", "session": config}))
        goodbye(peer)

    with nothing_left(), server(accept) as made, connect(made, session={"instructions": "be brief"}) as session:
        assert session.config is not None
        assert session.config.instructions == "be brief"  # type: ignore[union-attr]
        assert session.id == "sess_1"
        seen: list[str] = []
        session.on("*", lambda event: seen.append(event.type))
        session.wait_for("session.updated")
        assert seen == ["session.created", "session.updated"]


@pytest.mark.parametrize(
    "bad",
    [
        {"timeout": 0},
        {"timeout": None},
        {"ping_interval_s": -1},
        {"ping_timeout_s": "20"},
        {"inbox_limit_bytes": True},
        {"max_message_bytes": float("nan")},
    ],
)
def test_limits_that_cannot_work_are_refused_before_dialling(bad: dict[str, Any]) -> None:
    with pytest.raises(rt.ConfigurationError, match=next(iter(bad))):
        rt.connect("m", base_url="http://127.0.0.1:1/v1", **bad)


# While it is open


@TLS
def test_a_peer_that_falls_silent_is_lost_in_time_while_we_read(tls: bool) -> None:
    limits = {"ping_interval_s": 0.1, "ping_timeout_s": 0.1}
    with nothing_left(), server(lambda peer: peer.wait_gone(), tls=tls) as made, connect(made, **limits) as session:
        began = time.monotonic()
        with pytest.raises(rt.ConnectionLost, match="silent"):
            read_all(session, [])
        assert time.monotonic() - began < 5


@TLS
def test_a_peer_that_stops_reading_fails_the_send_in_time_and_the_close_is_bounded(tls: bool) -> None:
    release = threading.Event()

    def stall(peer: Any) -> None:
        assert release.wait(20)

    with nothing_left(), server(stall, tls=tls, receive_buffer=4096) as made:
        session = connect(made, send_timeout_s=0.2)
        with pytest.raises((rt.ConnectionLost, rt.RealtimeTimeout)):
            append_until_refused(session)
        began = time.monotonic()
        session.close(timeout=0.3)
        assert time.monotonic() - began < 5
        release.set()


@TLS
def test_close_during_a_blocked_send_returns_in_time_and_frees_the_sender(tls: bool) -> None:
    release, sending = threading.Event(), threading.Event()
    faults: list[Exception] = []

    def stall(peer: Any) -> None:
        assert release.wait(20)

    with nothing_left(), server(stall, tls=tls, receive_buffer=4096) as made:
        session = connect(made, send_timeout_s=30)

        def send() -> None:
            try:
                for _ in range(64):
                    session.append_audio_bytes(bytes(2**20))
                    sending.set()
            except Exception as fault:
                faults.append(fault)

        thread = threading.Thread(target=send)
        thread.start()
        assert sending.wait(20)
        began = time.monotonic()
        session.close(timeout=0.2)
        assert time.monotonic() - began < 5
        thread.join(20)
        assert not thread.is_alive()
        assert len(faults) == 1
        assert isinstance(faults[0], rt.ConnectionClosed)
        release.set()


def test_pings_are_answered_while_a_handler_is_busy() -> None:
    answered = threading.Event()

    def ping(peer: Any) -> None:
        peer.send(event_frame({"type": "work"}))
        for number in range(5):
            peer.send(frame(PING, bytes([number])))
            while True:
                opcode, payload = peer.read_frame()
                if opcode == PONG:
                    assert payload == bytes([number])
                    break
        answered.set()
        goodbye(peer)

    with nothing_left(), server(ping) as made, connect(made) as session:
        session.on("work", lambda event: answered.wait(20))
        session.wait_for("work", timeout=30)
        assert answered.is_set()


def test_a_consumer_that_never_reads_ends_with_overflow_and_loses_nothing_before_it() -> None:
    sent: list[int] = []

    def pour(peer: Any) -> None:
        audio = "A" * 12_800
        try:
            for number in range(100_000):
                delta = {"type": "response.output_audio.delta", "event_id": str(number), "delta": audio}
                peer.send(event_frame(delta))
                sent.append(number)
        except OSError:
            return

    with nothing_left(), server(pour) as made:
        session = connect(made, inbox_limit_bytes=2**20)
        session._line._connection._thread.join(20)
        assert session._line.ended
        events: list[Any] = []
        with pytest.raises(rt.InboxOverflow, match="inbox_limit_bytes") as caught:
            read_all(session, events)
        got = [event.event_id for event in events]
        assert caught.value.limit_bytes == 2**20
        assert got == ["ev_0", *map(str, range(len(got) - 1))]
        assert 2**20 < len(got) * (12_900 + EVENT_BYTES) < 2 * 2**20 + 2**19
        session.close()


@TLS
def test_eight_threads_send_while_one_reads(tls: bool) -> None:
    count, threads_count = 60, 8
    received: list[dict[str, Any]] = []

    def echo(peer: Any) -> None:
        for _ in range(count * threads_count):
            opcode, text = peer.read_frame()
            assert opcode == TEXT
            event = json.loads(text)
            received.append(event)
            peer.send(event_frame(text_delta("r", event["who"])))
        goodbye(peer)

    with nothing_left(), server(echo, tls=tls) as made, connect(made) as session:

        def send(who: str) -> None:
            for number in range(count):
                session.send({"type": "vendor.x", "who": who, "number": number, "padding": "x" * (number * 37 % 5000)})

        threads = [threading.Thread(target=send, args=(str(who),)) for who in range(threads_count)]
        for thread in threads:
            thread.start()
        for _ in range(count * threads_count):
            session.wait_for(ResponseOutputTextDelta, timeout=20)
        for thread in threads:
            thread.join(20)
    for who in range(threads_count):
        assert [event["number"] for event in received if event["who"] == str(who)] == list(range(count))


@TLS
def test_a_reset_in_the_middle_delivers_what_was_whole(tls: bool) -> None:
    def cut(peer: Any) -> None:
        peer.send(event_frame({"type": "a"}) + event_frame({"type": "b"})[:-3])
        _, text = peer.read_frame()
        assert json.loads(text)["type"] == "vendor.go"
        peer.reset()

    with nothing_left(), server(cut, tls=tls) as made, connect(made) as session:
        session.send({"type": "vendor.go"})
        seen: list[Any] = []
        with pytest.raises(rt.ConnectionLost):
            read_all(session, seen)
        assert [event.type for event in seen] == ["session.created", "a"]


@pytest.mark.parametrize(
    ("payload", "before", "kind", "code"),
    [
        (close_payload(1000, "bye"), [], None, 1000),
        (close_payload(1001, "Your session hit the maximum duration of 60 minutes."), [], rt.SessionExpired, 1001),
        (close_payload(1001), [error(None, "session_expired")], rt.SessionExpired, 1001),
        (close_payload(1008, "policy"), [], rt.ConnectionLost, 1008),
        (close_payload(1009, "too big"), [], rt.ConnectionLost, 1009),
        (close_payload(1011, "internal"), [error(None, "server_error")], rt.ConnectionLost, 1011),
        (close_payload(3000, "key"), [error(None, "invalid_api_key")], rt.ConnectionLost, 3000),
        (close_payload(4000, "beta"), [], rt.ConnectionLost, 4000),
        (b"", [], rt.ConnectionLost, 1005),
        (None, [], rt.ConnectionLost, 1006),
    ],
)
def test_every_end_is_told_after_what_came_before(
    payload: bytes | None, before: list[Any], kind: type[rt.ConnectionClosed] | None, code: int
) -> None:
    def end(peer: Any) -> None:
        peer.send(event_frame({"type": "a"}, *before))
        if payload is not None:
            peer.send(frame(CLOSE, payload))
            peer.wait_gone()

    with nothing_left(), server(end) as made, connect(made) as session:
        session.on("error", lambda event: None)
        seen: list[Any] = []
        if kind is None:
            read_all(session, seen)
        else:
            with pytest.raises(kind) as caught:
                read_all(session, seen)
            assert caught.value.code == code
            assert (caught.value.error is not None) == bool(before)
        assert [event.type for event in seen][:2] == ["session.created", "a"]


@TLS
def test_a_send_that_fails_does_not_hide_what_the_server_said_before(tls: bool) -> None:

    def refuse(peer: Any) -> None:
        peer.send(event_frame({"type": "a"}, error(None, "policy", "not like this")))
        peer.send(frame(CLOSE, close_payload(1008, "policy")))

    with nothing_left(), server(refuse, tls=tls) as made, connect(made) as session:
        session.on("error", lambda event: None)
        with pytest.raises(rt.ConnectionClosed):
            append_until_refused(session)
        seen: list[Any] = []
        with pytest.raises(rt.ConnectionLost, match="not like this") as caught:
            read_all(session, seen)
        assert caught.value.code in (1008, 1006)  # a reset may overtake the close frame, never what came before it
        assert [event.type for event in seen] == ["session.created", "a", "error"]


@TLS
@pytest.mark.parametrize("goodbye", [close_payload(4000, "no more"), close_payload(1000, "no more"), None])
@pytest.mark.parametrize("verb", ["send_text", "append_audio_bytes"])
def test_a_sender_that_meets_the_end_ahead_of_the_reader_is_told_it(
    verb: str, goodbye: bytes | None, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answering the goodbye, or a socket that fails, comes before a look at what was received with it."""
    met = threading.Event()
    send_text, take = Transport.send_text, Connection._take

    def meets(self: Transport, text: str | bytes, timeout_s: float) -> None:
        try:
            send_text(self, text, timeout_s)
        except rt.ConnectionClosed:
            met.set()
            raise

    def late(self: Connection, texts: list[bytes]) -> bool:
        if any(b"not like this" in text for text in texts):
            assert met.wait(20)
        return take(self, texts)

    def refuse(peer: Any) -> None:
        peer.read_frame()
        peer.send(event_frame(error(None, "policy", "not like this")) + (frame(CLOSE, goodbye) if goodbye else b""))
        if goodbye:
            peer.wait_gone()

    monkeypatch.setattr(Transport, "send_text", meets)
    monkeypatch.setattr(Connection, "_take", late)
    with nothing_left(), server(refuse, tls=tls) as made, connect(made) as session:
        send: Any = getattr(session, verb)
        with pytest.raises(rt.ConnectionClosed, match="not like this") as caught:
            while True:
                send(bytes(2) if verb == "append_audio_bytes" else "x")
        assert caught.value.error is not None
        assert caught.value.code == (int.from_bytes(goodbye[:2], "big") if goodbye else 1006)
        assert type(caught.value) is (rt.ConnectionClosed if caught.value.code == 1000 else rt.ConnectionLost)


# Closing


def test_close_with_a_deep_backlog_is_quick_and_keeps_what_came() -> None:
    count = 20_000

    def pour(peer: Any) -> None:
        peer.send(event_frame(*(text_delta("r", str(number)) for number in range(count))))
        goodbye(peer)

    with nothing_left(), server(pour) as made:
        session = connect(made)
        session.wait_for(ResponseOutputTextDelta)
        while session._line.last is None or getattr(session._line.last, "delta", "") != str(count - 1):
            time.sleep(0.001)
        began = time.monotonic()
        session.close()
        assert time.monotonic() - began < 5
        assert sum(1 for _ in session) == count - 1


def test_two_threads_close_at_once_and_others_wake_up() -> None:
    with nothing_left(), server(goodbye) as made:
        session = connect(made)
        session.recv()
        outcomes: list[Any] = []

        def read() -> None:
            outcomes.append(session.recv())

        def wait() -> None:
            try:
                session.clear_audio().result(None)
            except rt.ConnectionClosed as closed:
                outcomes.append(closed.code)

        readers = [threading.Thread(target=read), threading.Thread(target=wait)]
        closers = [threading.Thread(target=session.close) for _ in range(2)]
        for thread in [*readers, *closers]:
            thread.start()
        for thread in [*readers, *closers]:
            thread.join(20)
            assert not thread.is_alive()
        assert sorted(map(str, outcomes)) == ["1000", "None"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_leaves_the_session_to_the_parent() -> None:
    def serve(peer: Any) -> None:
        _, text = peer.read_frame()
        assert json.loads(text)["type"] == "vendor.after"
        peer.send(event_frame({"type": "vendor.answer"}))
        goodbye(peer)

    with nothing_left(), server(serve) as made, connect(made) as session:
        session.recv()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                session.send({"type": "vendor.child"})
            except rt.ConnectionClosed:
                assert session.closed
                with pytest.raises(rt.ConnectionClosed, match="after a fork"):
                    session.recv()
                session.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        session.send({"type": "vendor.after"})
        assert session.wait_for("vendor.answer").type == "vendor.answer"


# Ctrl-C


@contextmanager
def interrupt_when(ready: Callable[[], bool]) -> Iterator[list[float]]:
    """Send ourselves SIGINT once ``ready()``; gives the moment of it."""
    sent: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not ready() and not stop.wait(0.005):
            pass
        stop.wait(0.05)  # let the main thread get into its wait
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join(20)


WAITS: dict[str, Callable[[rt.RealtimeSession], object]] = {
    "recv": lambda session: session.recv(),
    "run": lambda session: session.run(),
    "ask": lambda session: session.ask("x"),
    "result": lambda session: session.clear_audio().result(),
    "wait_for": lambda session: session.wait_for("vendor.never"),
}


@pytest.mark.parametrize("how", WAITS)
@pytest.mark.parametrize("background", [False, True])
def test_ctrl_c_leaves_every_wait_and_the_session_is_still_closable(how: str, background: bool) -> None:
    with nothing_left(), server(goodbye) as made:
        session = connect(made)
        session.recv()
        if background:
            session.start()
        with interrupt_when(lambda: True) as sent, pytest.raises(KeyboardInterrupt):
            WAITS[how](session)
        assert time.monotonic() - sent[0] < 2  # 0.3 s on a machine that is not busy with other tests
        session.close()
        if background:
            session.stop()


def test_ctrl_c_leaves_connect() -> None:
    made = RawServer(lambda peer: peer.wait_gone())
    with nothing_left(), made:
        with interrupt_when(lambda: made.connections > 0) as sent, pytest.raises(KeyboardInterrupt):
            connect(made)
        assert time.monotonic() - sent[0] < 2


SCRIPT = """
import realtime_sync as rt, sys
session = rt.connect("m", base_url=sys.argv[1], proxy=None)
session.start()
print(session.id, flush=True)
"""


def test_a_script_that_forgets_to_close_ends_all_the_same() -> None:
    with server(goodbye) as made:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, f"ws://{made.address}/v1"],
            capture_output=True,
            text=True,
            timeout=30,  # less than the keepalive needs, which would end it too
            check=False,
        )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "sess_1", "")


def test_no_secret_gets_out(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"), server(goodbye) as made:
        session = connect(made)
        session.close()
        with pytest.raises(rt.ConnectionClosed) as caught:
            session.send_text("x")
        shown = [repr(session), repr(session._line), str(caught.value), repr(vars(session)), caplog.text]
    assert not any("sk-secret" in text for text in shown)
