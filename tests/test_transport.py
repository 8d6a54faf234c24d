"""The open WebSocket over real sockets, plain and with real TLS: what arrives, what leaves, and every way to fail."""

from __future__ import annotations

import gc
import itertools
import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from alarms import alarm, alarms, needs_timer
from servers import WAIT_S, Peer, RawServer, client_context, frame, server_context

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConnectionClosed, ConnectionLost, RealtimeTimeout
from realtime_sync.transport import Transport, open_transport, stream
from realtime_sync.transport.frames import BINARY, CLOSE, PING, PONG, TEXT, close_payload

MS = 0.001
TRANSPORT = str(Path(stream.__file__).parent) + os.sep
both = pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])


@contextmanager
def opened(
    handler: Callable[[Peer], Any], *, tls: bool = False, receive_buffer: int | None = None, **options: Any
) -> Iterator[Transport]:
    """A transport to a server that runs ``handler`` once the WebSocket is open."""
    context = server_context() if tls else None
    with RawServer(handler, tls=context, receive_buffer=receive_buffer) as server:
        transport = open_transport(
            server.url, {}, deadline=Deadline(WAIT_S), ssl_context=client_context(), proxy=None, **options
        )
        try:
            yield transport
        finally:
            transport.close()


def receive(transport: Transport, count: int) -> list[bytes]:
    """The next ``count`` messages, or more where more came at once."""
    messages: list[bytes] = []
    deadline = Deadline(WAIT_S)
    while len(messages) < count:
        messages += transport.receive(deadline.slice())
        assert not deadline.expired, f"{len(messages)} of {count} messages came"
    return messages


def fault(transport: Transport) -> ConnectionClosed:
    """The error that ends the receiving, after the messages before it."""
    deadline = Deadline(WAIT_S)
    with pytest.raises(ConnectionClosed) as caught:
        while not deadline.expired:
            transport.receive(0.2)
    return caught.value


def receive_raises(transport: Transport) -> str:
    with pytest.raises(ConnectionClosed) as caught:
        transport.receive(WAIT_S)
    return str(caught.value)


def stage(transport: Transport, opcode: int, payload: bytes = b"") -> None:
    """Send a control frame, as the WebSocket does by itself."""
    transport._websocket.staged[opcode] = payload
    transport._push()


def fill(transport: Transport) -> None:
    """Send until the socket takes no more. It leaves the larger part of a message waiting, as an interrupt might."""
    message = transport._websocket.text(b"x" * 20_000_000)
    while transport._push():
        transport._stream.queue.append((message, []))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


linux = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")


# What arrives


@both
def test_messages_of_every_size_come_and_go(tls: bool) -> None:
    def echo(peer: Peer) -> None:
        while True:
            opcode, payload = peer.read_frame()
            peer.send(frame(opcode, payload))

    with opened(echo, tls=tls) as transport:
        for size in (0, 1, 125, 126, 65535, 65536, 300_000, 5_000_000):
            transport.send_text("ü" * (size // 2) + "x" * (size % 2), WAIT_S)
            (payload,) = receive(transport, 1)
            assert payload == b"\xc3\xbc" * (size // 2) + b"x" * (size % 2)


@both
def test_many_messages_come_in_order_and_in_batches(tls: bool) -> None:
    count = 30_000

    def blast(peer: Peer) -> None:
        peer.send(b"".join(frame(TEXT, b"%d" % i) for i in range(count)))
        peer.wait_gone()

    with opened(blast, tls=tls) as transport:
        messages: list[bytes] = []
        calls = 0
        while len(messages) < count:
            messages += transport.receive(WAIT_S)
            calls += 1
        assert messages == [b"%d" % i for i in range(count)]
        assert calls < count / 20


@both
def test_half_a_frame_is_no_message_yet(tls: bool) -> None:
    ready, go = threading.Event(), threading.Event()

    def halves(peer: Peer) -> None:
        whole = frame(TEXT, b"x" * 1000)
        assert ready.wait(WAIT_S)
        peer.send(whole[:500])
        assert go.wait(WAIT_S)
        peer.send(whole[500:])
        peer.wait_gone()

    with opened(halves, tls=tls) as transport:
        transport.keep_alive(1000.0, 1000.0)
        due_s = transport._websocket.due_s
        ready.set()
        assert transport.receive(WAIT_S) == []
        assert transport._websocket.due_s > due_s  # it is a sign of life
        due_s = transport._websocket.due_s
        assert transport.receive(50 * MS) == []
        assert transport._websocket.due_s == due_s  # a stall is none
        go.set()
        assert receive(transport, 1) == [b"x" * 1000]


@both
def test_whoever_is_told_of_a_wait_is_told_before_it_and_once(tls: bool) -> None:
    waits = threading.Semaphore(0)
    told = 0

    def answer(peer: Peer) -> None:
        for number in range(5):
            assert waits.acquire(timeout=WAIT_S)
            peer.send(frame(TEXT, b"%d" % number))
        peer.wait_gone()

    def before_wait() -> None:
        nonlocal told
        told += 1
        waits.release()

    with opened(answer, tls=tls) as transport:
        messages: list[bytes] = []
        calls = 0
        while len(messages) < 5:
            messages += transport.receive(WAIT_S, before_wait)
            calls += 1
            assert told <= calls
        assert messages == [b"%d" % number for number in range(5)]


@both
def test_nobody_is_told_of_a_wait_where_there_is_more_to_read(tls: bool) -> None:
    def pour(peer: Peer) -> None:
        peer.send(frame(TEXT, b"x" * 600_000))
        peer.wait_gone()

    def told() -> None:
        raise AssertionError

    with opened(pour, tls=tls) as transport:
        while not transport._stream.busy:
            assert transport.receive(WAIT_S) == []
        assert transport._stream.busy
        assert select.select([transport._descriptor.socket], [], [], WAIT_S)[0]
        transport.receive(WAIT_S, told)


@pytest.mark.parametrize("kind", [OSError, ValueError, ConnectionLost, KeyError, SystemExit])
def test_what_is_raised_before_a_wait_is_raised_as_it_is(kind: type[BaseException]) -> None:
    def before_wait() -> None:
        raise kind("mine")

    with opened(Peer.wait_gone) as transport:
        with pytest.raises(kind, match="mine") as caught:
            transport.receive(WAIT_S, before_wait)
        assert type(caught.value) is kind
        assert transport._descriptor._inside == set()
        transport.send_text("it goes on", WAIT_S)
        assert transport.receive(0) == []


def test_byte_by_byte() -> None:
    def dribble(peer: Peer) -> None:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for value in frame(TEXT, b"hello" * 30) + frame(PING, b"p") + frame(CLOSE, close_payload(1000)):
            peer.send(bytes([value]))
        peer.wait_gone()

    with opened(dribble) as transport:
        assert receive(transport, 1) == [b"hello" * 30]
        assert fault(transport).code == 1000


@both
def test_a_thousand_fragments_with_pings_between(tls: bool) -> None:
    pongs: list[tuple[int, bytes]] = []

    def fragments(peer: Peer) -> None:
        for i in range(1000):
            peer.send(frame(TEXT if i == 0 else 0, b"%03d" % i, fin=i == 999))
            if i % 100 == 0:
                peer.send(frame(PING, b"%d" % i))
        while not pongs or pongs[-1] != (PONG, b"900"):
            pongs.append(peer.read_frame())
        peer.send(frame(CLOSE))

    with opened(fragments, tls=tls) as transport:
        assert receive(transport, 1) == [b"".join(b"%03d" % i for i in range(1000))]
        fault(transport)
    assert {opcode for opcode, _ in pongs} == {PONG}
    assert pongs == sorted(pongs, key=lambda pong: int(pong[1]))


def test_frames_that_came_with_the_upgrade_are_received() -> None:
    def handler(peer: Peer) -> None:
        peer.upgrade(more=frame(TEXT, b"first") + frame(TEXT, b"second")[:3])
        peer.send(frame(TEXT, b"second")[3:])
        peer.wait_gone()

    with RawServer(handler, upgrade=False) as server:
        transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S))
        assert receive(transport, 2) == [b"first", b"second"]
        transport.close()


def test_nothing_in_time_is_nothing() -> None:
    with opened(Peer.wait_gone) as transport:
        started = time.monotonic()
        assert transport.receive(0) == []
        assert transport.receive(30 * MS) == []
        assert 30 * MS <= time.monotonic() - started < WAIT_S


def test_the_answer_to_the_upgrade_is_kept() -> None:
    with opened(Peer.wait_gone) as transport:
        assert transport.response_headers["upgrade"] == "websocket"


@pytest.mark.parametrize("in_one_call", [True, False])
@both
def test_keepalive_over_a_real_connection(tls: bool, in_one_call: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does nothing but answer pings keeps the connection; when it stops, it is lost."""
    if not in_one_call:  # as where a read cannot wait
        monkeypatch.setattr(stream, "_WAITS_IN_READ", False)
    got: list[tuple[int, bytes]] = []
    release = threading.Event()

    def handler(peer: Peer) -> None:
        while len(got) < 5:
            got.append(peer.read_frame())
            peer.send(frame(PONG, got[-1][1]))
        release.wait(WAIT_S)

    with opened(handler, tls=tls) as transport:
        transport.keep_alive(30 * MS, WAIT_S)
        try:
            while len(got) < 5:
                assert transport.receive() == []
            transport.keep_alive(20 * MS, 30 * MS)
            error = fault(transport)
        finally:
            release.set()
    assert got == [(PING, b"")] * 5
    assert type(error) is ConnectionLost
    assert "silent for 0.05 s" in str(error)


# How it ends


@both
@pytest.mark.parametrize("code", [1000, 1001, 1008, 1009, 1011, 3000, 4000])
def test_close_codes(tls: bool, code: int) -> None:
    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"last") + frame(CLOSE, close_payload(code, "why")))

    with opened(handler, tls=tls) as transport:
        assert receive(transport, 1) == [b"last"]
        error = fault(transport)
        assert (error.code, error.reason) == (code, "why")
        assert isinstance(error, ConnectionLost) == (code != 1000)
        assert receive_raises(transport) == str(error)


def test_close_without_a_code() -> None:
    with opened(lambda peer: peer.send(frame(CLOSE))) as transport:
        assert fault(transport).code == 1005


@both
def test_end_without_close_frame(tls: bool) -> None:
    with opened(lambda peer: peer.send(frame(TEXT, b"last")), tls=tls) as transport:
        assert receive(transport, 1) == [b"last"]
        error = fault(transport)
        assert isinstance(error, ConnectionLost)
        assert error.code == 1006
        assert "without a close frame" in str(error)
        assert "middle" not in str(error)
        with pytest.raises(ConnectionLost):
            transport.receive(WAIT_S)


@both
def test_end_in_mid_frame(tls: bool) -> None:
    with opened(lambda peer: peer.send(frame(TEXT, b"x" * 100)[:50]), tls=tls) as transport:
        assert "in the middle of a message" in str(fault(transport))


@both
def test_reset_in_mid_frame(tls: bool) -> None:
    go = threading.Event()

    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"whole") + frame(TEXT, b"x" * 100)[:50])
        assert go.wait(WAIT_S)
        raw = peer.sock
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()

    with opened(handler, tls=tls) as transport:
        assert receive(transport, 1) == [b"whole"]
        go.set()
        error = fault(transport)
        assert isinstance(error, ConnectionLost)
        assert isinstance(error.__cause__, ConnectionResetError)
        assert "reset" in str(error)
        with pytest.raises(ConnectionClosed):
            for _ in range(100):  # the first may still get into a buffer
                transport.send_text("x", WAIT_S)


@both
@pytest.mark.parametrize(
    ("bad", "code", "says"),
    [
        (frame(TEXT, b"x", mask=True), 1002, "masked"),
        (frame(TEXT, b"x", rsv=4), 1002, "compression"),
        (frame(5), 1002, "unknown kind"),
        (frame(TEXT, b"x" * 2000), 1009, "limit of 1000"),
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big") + b"x" * 100, 1009, "1099511627776"),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007, "UTF-8"),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_and_left(tls: bool, bad: bytes, code: int, says: str) -> None:
    answers: list[tuple[int, bytes]] = []

    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"good") + bad)
        answers.append(peer.read_frame())

    with opened(handler, tls=tls, max_message_bytes=1000) as transport:
        assert receive(transport, 1) == [b"good"]
        error = fault(transport)
        assert isinstance(error, ConnectionLost)
        assert error.code == code
        assert says in str(error)
        assert says in str(error.__cause__)
        assert fault(transport).code == code
    assert answers == [(CLOSE, close_payload(code))]


@pytest.mark.parametrize("along", [True, False], ids=["with the upgrade", "later"])
def test_a_violation_without_anything_before_it(along: bool) -> None:
    answers: list[tuple[int, bytes]] = []
    go = threading.Event()

    def handler(peer: Peer) -> None:
        peer.upgrade(more=frame(5) if along else b"")
        assert go.wait(WAIT_S)
        if not along:
            peer.send(frame(5))
        answers.append(peer.read_frame())

    with RawServer(handler, upgrade=False) as server:
        transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S))
        if not along:
            assert transport.receive(0) == []
        go.set()
        assert fault(transport).code == 1002
        transport.close()
    assert answers == [(CLOSE, close_payload(1002))]


@both
def test_garbage_under_tls_is_a_lost_connection(tls: bool) -> None:
    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"good"))
        if tls:
            raw = socket.socket(fileno=os.dup(peer.sock.fileno()))
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"not a record at all, no cipher..")
            raw.close()
        else:
            peer.send(b"\x00" * 10)
        peer.wait_gone()

    with opened(handler, tls=tls) as transport:
        assert receive(transport, 1) == [b"good"]
        error = fault(transport)
        assert isinstance(error, ConnectionLost)
        assert isinstance(error.__cause__, ssl.SSLError) == tls
        assert type(fault(transport)) is ConnectionLost


# What leaves


@both
def test_eight_threads_send_while_one_receives(tls: bool) -> None:
    threads, each = 8, 150
    got: list[bytes] = []

    def handler(peer: Peer) -> None:
        for i in range(threads * each):
            got.append(peer.read_frame()[1])
            if i % 3 == 0:
                peer.send(frame(TEXT, b"y" * random.choice([10, 5000])))
        peer.send(frame(CLOSE))
        peer.wait_gone()

    with opened(handler, tls=tls) as transport:

        def send(thread: int) -> None:
            for i in range(each):
                transport.send_text(b"%d:%d:" % (thread, i) + b"z" * random.choice([0, 100, 70_000]), WAIT_S)

        workers = [threading.Thread(target=send, args=(i,)) for i in range(threads)]
        for worker in workers:
            worker.start()
        receive(transport, threads * each // 3)
        for worker in workers:
            worker.join(WAIT_S)
        assert fault(transport).code == 1005
    for thread in range(threads):
        mine = [int(text.split(b":")[1]) for text in got if text.startswith(b"%d:" % thread)]
        assert mine == list(range(each))


@both
def test_a_peer_that_never_reads(tls: bool) -> None:
    release = threading.Event()
    with opened(lambda _: release.wait(WAIT_S), tls=tls, receive_buffer=65536) as transport:
        try:
            big = b"x" * 60_000_000
            with pytest.raises(ConnectionLost, match="stopped reading in the middle of a message for"):
                transport.send_text(big, 0.3)
            assert "middle of a message" in str(fault(transport))
            with pytest.raises(ConnectionLost):
                transport.send_text("x", WAIT_S)
        finally:
            release.set()


@both
def test_a_full_socket_times_out_with_nothing_sent(tls: bool) -> None:
    go = threading.Event()
    got: list[bytes] = []

    def handler(peer: Peer) -> None:
        assert go.wait(WAIT_S)
        while not got or got[-1] != close_payload(1000):
            got.append(peer.read_frame()[1])

    with opened(handler, tls=tls, receive_buffer=65536) as transport:
        sent = 0
        with pytest.raises(RealtimeTimeout, match="nothing of the message was sent"):
            for i in range(1_000_000):
                transport.send_text(b"%06d" % i + b"x" * 1000, 50 * MS)
                sent += 1
        go.set()
        transport.send_text("at last", WAIT_S)
        transport.send_close()
        assert transport.flush(WAIT_S)
        fault(transport)
    assert [text[:6] for text in got[:-2]] == [b"%06d" % i for i in range(sent)]
    assert got[-2:] == [b"at last", close_payload(1000)]


def test_a_sender_waits_for_its_turn_no_longer_than_its_timeout() -> None:
    release = threading.Event()
    with opened(lambda _: release.wait(WAIT_S), receive_buffer=65536) as transport:
        stuck = threading.Thread(target=lambda: _ignoring(lambda: transport.send_text(b"x" * 60_000_000, WAIT_S)))
        stuck.start()
        while not transport._stream.unsent:
            time.sleep(MS)
        started = time.monotonic()
        with pytest.raises(RealtimeTimeout, match="nothing of the message was sent"):
            transport.send_text("y", 50 * MS)
        assert not transport.flush(50 * MS)
        assert time.monotonic() - started < 5
        release.set()
        transport.close()
        stuck.join(WAIT_S)
        assert not stuck.is_alive()


def _ignoring(call: Callable[[], Any]) -> None:
    with suppress(ConnectionClosed):
        call()


@both
def test_a_pong_waits_for_the_message_in_its_way_but_nobody_waits_for_it(tls: bool) -> None:
    go = threading.Event()
    got: list[tuple[int, bytes]] = []

    def handler(peer: Peer) -> None:
        assert go.wait(WAIT_S)
        for _ in range(4):
            got.append(peer.read_frame())
        peer.send(frame(CLOSE))
        peer.wait_gone()

    big = b"x" * 30_000_000
    with opened(handler, tls=tls, receive_buffer=65536) as transport:
        sender = threading.Thread(target=transport.send_text, args=(big, WAIT_S))
        sender.start()
        while not transport._stream.unsent:
            time.sleep(MS)
        started = time.monotonic()
        for i in range(1000):
            stage(transport, PONG, b"%d" % i)
            stage(transport, PING, b"%d" % i)
        transport.send_close()
        assert transport.receive(0) == []
        assert time.monotonic() - started < 5, "the reader was held up by a sender"
        assert len(transport._websocket.staged) <= 3
        go.set()
        assert fault(transport).code == 1005
        sender.join(WAIT_S)
    assert got == [(TEXT, big), (PONG, b"999"), (PING, b"999"), (CLOSE, close_payload(1000))]


@both
def test_the_reader_writes_what_others_left_behind(tls: bool) -> None:
    go = threading.Event()
    got: list[tuple[int, bytes]] = []

    def handler(peer: Peer) -> None:
        assert go.wait(WAIT_S)
        while not got or got[-1][0] != PONG:
            got.append(peer.read_frame())
        peer.send(frame(TEXT, b"done"))
        peer.wait_gone()

    with opened(handler, tls=tls, receive_buffer=65536) as transport:
        fill(transport)
        stage(transport, PONG, b"p")
        assert transport._websocket.staged
        go.set()
        assert receive(transport, 1) == [b"done"]
    assert got[-1] == (PONG, b"p")


@both
def test_while_a_sender_has_its_turn_the_reader_only_reads(tls: bool) -> None:
    """The sender writes everything that waits; a reader that woke for it too would be in its way."""
    go = threading.Event()
    big = b"x" * 20_000_000

    def handler(peer: Peer) -> None:
        assert go.wait(WAIT_S)
        assert peer.read_frame() == (TEXT, big)
        peer.send(frame(TEXT, b"done"))
        peer.wait_gone()

    with opened(handler, tls=tls, receive_buffer=65536) as transport:
        pushed_by: set[int] = set()
        push = transport._push

        def noted() -> bool:
            pushed_by.add(threading.get_ident())
            return push()

        transport._push = noted  # type: ignore[method-assign]
        sender = threading.Thread(target=transport.send_text, args=(big, WAIT_S))
        sender.start()
        while not (transport._sending and transport._stream.unsent):
            time.sleep(MS)
        go.set()
        assert receive(transport, 1) == [b"done"]
        sender.join(WAIT_S)
        assert threading.get_ident() not in pushed_by


def test_a_failure_to_write_waits_until_everything_received_is_read() -> None:
    """The server says why and cuts the connection; what it said is not lost to the answer that cannot leave."""
    cut = threading.Event()

    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"why") + frame(PING, b"p"))
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert cut.wait(WAIT_S)

    with opened(handler, receive_buffer=65536) as transport:
        fill(transport)
        stage(transport, PONG, b"p")
        cut.set()
        messages: list[bytes] = []
        with pytest.raises(ConnectionLost):
            while True:
                messages += transport.receive(WAIT_S)
        assert messages == [b"why"]
        with pytest.raises(ConnectionLost):
            transport.send_text("x", WAIT_S)


@both
def test_what_the_server_said_before_it_cut_the_connection_outlives_a_failed_send(tls: bool) -> None:
    said = threading.Event()

    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, b"why") + frame(CLOSE, close_payload(1008, "policy")))
        said.set()  # on loopback it has arrived by now
        peer.read_frame()
        peer.reset()

    with opened(handler, tls=tls) as transport:
        assert said.wait(WAIT_S)
        with pytest.raises(ConnectionLost):
            while True:
                transport.send_text(b"x" * 1000, WAIT_S)
        assert receive(transport, 1) == [b"why"]
        assert fault(transport).code == 1008


@needs_timer
def test_a_signal_handler_inside_a_send_is_refused_and_may_close() -> None:
    release = threading.Event()
    seen: list[BaseException | bool] = []

    def on_signal(*_: object) -> None:
        if not transport._sending:
            alarm(10 * MS)
            return
        try:
            transport.send_text("x", 0.1)
        except RealtimeTimeout as error:
            seen.append(error)
        stage(transport, PING)
        with transport._stream.lock:  # as if the signal had come in the middle of a write
            transport._pushing = True
            seen.append(transport.flush(0.01))
            transport._pushing = False
        transport.close()

    with opened(lambda _: release.wait(WAIT_S), receive_buffer=65536) as transport, alarms(on_signal):
        fill(transport)
        try:
            alarm(10 * MS)
            with pytest.raises(ConnectionClosed, match="closed on this side"):
                transport.send_text("x", WAIT_S)
        finally:
            release.set()
        assert "signal handler" in str(seen[0])
        assert seen[1] is False
        assert transport._descriptor.socket.fileno() == -1


def test_nothing_is_sent_after_a_close_frame() -> None:
    with opened(Peer.wait_gone) as transport:
        transport.send_close()
        with pytest.raises(ConnectionClosed, match="closing"):
            transport.send_text("x", WAIT_S)


def test_binary_is_just_another_message() -> None:
    with opened(lambda peer: peer.send(frame(BINARY, b"\0\1")) or peer.wait_gone()) as transport:
        assert receive(transport, 1) == [b"\0\1"]


@both
@needs_timer
def test_interrupts_in_mid_send_never_tear_a_frame(tls: bool) -> None:
    """Ctrl-C over and over while sending: each message arrives whole or not at all, in order."""
    got: list[bytes] = []

    def handler(peer: Peer) -> None:
        while True:
            opcode, payload = peer.read_frame()
            if opcode == CLOSE:
                peer.send(frame(CLOSE, payload))
                return
            number, _, rest = payload.partition(b":")
            assert rest == number * (len(rest) // len(number))
            got.append(number)

    class Interrupt(Exception):
        pass

    armed = False

    def interrupt(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False  # one for each send: a late one finds the test elsewhere
            raise Interrupt

    rng = random.Random(5)
    with opened(handler, tls=tls, receive_buffer=65536) as transport:
        interrupted = 0
        with alarms(interrupt):
            stop = time.monotonic() + 3
            for i in itertools.count(100_000):
                if time.monotonic() > stop:
                    break
                number = b"%d" % i
                text = number + b":" + number * rng.choice([1, 100, 20_000])
                try:
                    armed = True
                    alarm(rng.uniform(1e-6, 300e-6))
                    transport.send_text(text, WAIT_S)
                    armed = False
                except Interrupt:
                    interrupted += 1
            armed = False
        assert interrupted > 100
        other = threading.Thread(target=transport.send_text, args=(b"1:", WAIT_S))
        other.start()  # the turn is free for another thread
        other.join(WAIT_S)
        transport.send_text(b"0:", WAIT_S)
        transport.send_close()
        assert fault(transport).code == 1000
    assert got[-2:] == [b"1", b"0"]
    assert got[:-2] == sorted(set(got[:-2])), "a message came twice or out of order"
    assert len(got) > interrupted / 10


# Both at once


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_full_duplex_under_load_with_small_timeouts(version: ssl.TLSVersion) -> None:
    """Both directions of several TLS connections stay busy; every message comes whole and in order."""
    seconds = float(os.environ.get("REALTIME_SYNC_STRESS_S", "2"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=_authority_pem())
    context.minimum_version = context.maximum_version = version
    sizes = [10, 200, 6500, 20_000, 100_000]
    stop = threading.Event()
    problems: list[BaseException] = []

    def guarded(work: Callable[..., None]) -> Callable[..., None]:
        def run(*args: Any) -> None:
            try:
                work(*args)
            except BaseException as error:
                problems.append(error)
                stop.set()

        return run

    def handler(peer: Peer) -> None:
        """Read on this thread and write on another; the ssl of the server gets a lock as ours does not need."""
        lock = threading.Lock()
        peer.sock.setblocking(False)
        received = bytearray()

        def write() -> None:
            for i in itertools.count():
                done = stop.is_set()
                payload = b"%d:" % i + b"s" * sizes[i % len(sizes)]
                data = memoryview(frame(CLOSE if done else TEXT, b"" if done else payload))
                while data:
                    try:
                        with lock:
                            data = data[peer.sock.send(data) :]
                    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                        time.sleep(MS)
                if done:
                    return

        writer = threading.Thread(target=guarded(write))
        writer.start()
        try:
            end = time.monotonic() + seconds + WAIT_S
            while time.monotonic() < end and problems == []:
                try:
                    with lock:
                        data = peer.sock.recv(1 << 16)
                    received += data
                    if not data or received.endswith(b"bye!"):
                        return
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    time.sleep(MS)
        finally:
            writer.join(WAIT_S)
            totals.append(bytes(received))
            read_out.release()

    totals: list[bytes] = []
    read_out = threading.Semaphore(0)
    with RawServer(guarded(handler), tls=server_context()) as server:
        transports = [
            open_transport(server.url, {}, deadline=Deadline(WAIT_S), ssl_context=context, proxy=None) for _ in range(2)
        ]
        counts: list[int] = []

        def read(transport: Transport) -> None:
            expected = 0
            while True:
                try:
                    messages = transport.receive(random.choice([0.0, 1 * MS, 5 * MS]))
                except ConnectionClosed as end:
                    if end.code != 1005:  # not the server's goodbye, which names none
                        raise
                    counts.append(expected)
                    return
                for payload in messages:
                    number, _, rest = payload.partition(b":")
                    assert int(number) == expected
                    assert rest == b"s" * sizes[expected % len(sizes)]
                    expected += 1

        def send(transport: Transport, sent: list[int]) -> None:
            for i in itertools.count():
                if stop.is_set():
                    return
                try:
                    transport.send_text(b"%d:" % i + b"c" * sizes[i % len(sizes)], WAIT_S)
                except ConnectionClosed:
                    if not stop.is_set():
                        raise
                    return  # the server's goodbye was faster
                sent.append(i)

        sent: list[list[int]] = [[] for _ in transports]
        workers = [
            threading.Thread(target=guarded(work), args=args)
            for transport, mine in zip(transports, sent, strict=True)
            for work, args in ((read, (transport,)), (send, (transport, mine)))
        ]
        for worker in workers:
            worker.start()
        stop.wait(seconds)
        stop.set()
        for worker in workers:
            worker.join(WAIT_S)
            assert not worker.is_alive()
        assert not problems, problems
        for transport in transports:
            with transport._stream.lock:  # it ends the server's reading
                transport._stream.queue.append((b"\x88\x84\0\0\0\0bye!", []))
            assert transport.flush(WAIT_S), problems
        for _ in transports:  # what has left is not there yet: the system forgets it with the connection, now and then
            assert read_out.acquire(timeout=WAIT_S), problems
        for transport in transports:
            transport.close()
    assert not problems, problems
    assert min(counts) > 20
    assert min(len(mine) for mine in sent) > 20
    for data in totals:
        numbers = _numbers_of(data)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in {len(mine) for mine in sent}


def _authority_pem() -> str:
    from servers import authority

    return authority().cert_pem.bytes().decode()


def _numbers_of(data: bytes) -> list[int]:
    """The leading numbers of masked client messages."""
    numbers = []
    position = 0
    while position < len(data):
        opcode, short = data[position] & 15, data[position + 1] & 127
        start = position + (2 if short < 126 else 4 if short == 126 else 10)
        length = short if short < 126 else int.from_bytes(data[position + 2 : start], "big")
        mask, body = data[start : start + 4], data[start + 4 : start + 4 + min(length, 12)]
        if opcode == TEXT:
            plain = bytes(value ^ mask[i % 4] for i, value in enumerate(body))
            numbers.append(int(plain.split(b":")[0]))
        position = start + 4 + length
    return numbers


# Closing


@both
def test_close_wakes_a_waiting_reader_and_a_stuck_sender(tls: bool) -> None:
    release = threading.Event()
    outcomes: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            call()
        except ConnectionClosed as error:
            outcomes.append(error)

    before = descriptors() if sys.platform == "linux" else 0
    with opened(lambda _: release.wait(WAIT_S), tls=tls, receive_buffer=65536) as transport:
        fill(transport)
        threads = [
            threading.Thread(target=run, args=(lambda: transport.receive(WAIT_S),)),
            threading.Thread(target=run, args=(lambda: transport.send_text(b"x", WAIT_S),)),
            threading.Thread(target=run, args=(lambda: transport.send_text(b"y", WAIT_S),)),
        ]
        for thread in threads:
            thread.start()
        while len(transport._descriptor._inside) < 3:
            time.sleep(MS)
        started = time.monotonic()
        transport.close()
        transport.close()
        assert time.monotonic() - started < 1
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        assert len(outcomes) == 3
        assert all("closed on this side" in str(error) for error in outcomes), outcomes
        assert all(type(error) is ConnectionClosed for error in outcomes)
        assert transport._descriptor.socket.fileno() == -1
        release.set()
    if before:
        assert descriptors() <= before


def test_everything_after_close_is_refused() -> None:
    with opened(Peer.wait_gone) as transport:
        transport.close()
        for call in (
            lambda: transport.receive(0),
            lambda: transport.send_text("x", 0),
            transport.send_close,
            lambda: transport.flush(0),
        ):
            with pytest.raises(ConnectionClosed, match="closed on this side"):
                call()


def test_forget_leaves_the_connection_alone() -> None:
    with opened(Peer.wait_gone) as transport:
        copy = socket.socket(fileno=os.dup(transport._descriptor.socket.fileno()))
        transport.forget()
        assert transport._descriptor.socket.fileno() == -1
        assert copy.send(b"x") == 1
        copy.close()


def test_flush_on_a_dead_connection_is_false() -> None:
    release = threading.Event()

    def handler(peer: Peer) -> None:
        assert release.wait(WAIT_S)
        peer.reset()

    with opened(handler, receive_buffer=65536) as transport:
        fill(transport)
        stage(transport, PING, b"p")
        assert not transport.flush(20 * MS)
        release.set()
        fault(transport)
        assert not transport.flush(WAIT_S)


@linux
@both
def test_no_descriptor_and_no_thread_is_left(tls: bool) -> None:
    context = server_context() if tls else None
    with RawServer(Peer.wait_gone, tls=context) as server:

        def cycle() -> None:
            transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S), ssl_context=client_context())
            reader = threading.Thread(target=lambda: _ignoring(lambda: transport.receive(WAIT_S)))
            reader.start()
            transport.send_text("x", WAIT_S)
            transport.close()
            reader.join(WAIT_S)
            assert transport._descriptor.socket.fileno() == -1

        cycle()
        for peer in server.peers:
            peer.sock.close()
        before, known = descriptors(), set(threading.enumerate())
        for _ in range(30):
            cycle()
        deadline = Deadline(WAIT_S)
        while descriptors() > before and not deadline.expired:
            time.sleep(MS)
        assert descriptors() <= before
        assert not [thread for thread in set(threading.enumerate()) - known if thread.name.startswith("realtime")]


@linux
def test_a_fork_can_neither_use_nor_end_the_connection() -> None:
    def echo(peer: Peer) -> None:
        while True:
            opcode, payload = peer.read_frame()
            peer.send(frame(opcode, payload))

    with opened(echo) as transport:
        transport._stream.lock.acquire()  # as if another thread had been inside at the fork
        pid = os.fork()
        if not pid:  # the child
            status = 1
            with suppress(BaseException):
                refused = 0
                calls: list[Callable[[], Any]] = [lambda: transport.receive(0), lambda: transport.send_text("x", 0)]
                for call in calls:
                    try:
                        call()
                    except ConnectionClosed as error:
                        refused += "fork" in str(error)
                transport.close()
                transport.close()
                transport.forget()
                status = 0 if refused == 2 and transport._descriptor.socket.fileno() == -1 else 2
            os._exit(status)
        transport._stream.lock.release()
        assert os.waitpid(pid, 0)[1] == 0
        transport.send_text("still here", WAIT_S)
        assert receive(transport, 1) == [b"still here"]


class Interrupts:
    """A trace function that raises KeyboardInterrupt at the n-th line of the transport's code; counts them all."""

    def __init__(self, at: int | None) -> None:
        self.lines = 0
        self._at = at

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(TRANSPORT) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            self.lines += 1
            if self.lines == self._at:
                raise KeyboardInterrupt
        return self._line


@both
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a socket that is dropped between two lines closes itself
def test_an_interrupt_while_opening_leaves_nothing_open(tls: bool) -> None:
    if sys.gettrace() is not None:
        pytest.skip("another tracer is at work")

    def opened_at(url: str, at: int | None) -> int:
        tracer = Interrupts(at)
        context = client_context()
        sys.settrace(tracer)
        try:
            transport = open_transport(url, {}, deadline=Deadline(WAIT_S), ssl_context=context, proxy=None)
        finally:
            sys.settrace(None)
        transport.close()
        return tracer.lines

    with RawServer(Peer.wait_gone, tls=server_context() if tls else None) as server:
        lines = opened_at(server.url, None)
        assert lines > 100

        def interrupted() -> None:
            for at in range(1, lines, 3):
                with suppress(KeyboardInterrupt):
                    opened_at(server.url, at)

        # On a thread of its own: where a tracer raises on the way out of an `except`, CPython 3.12 keeps what was
        # handled as the thread's current exception, and every later one there would have it as its context.
        other = threading.Thread(target=interrupted)
        other.start()
        other.join(WAIT_S * 3)
        assert not other.is_alive()
        gc.collect()
        for thread in server._threads[1:]:  # each ends when its client has closed
            thread.join(WAIT_S)
            assert not thread.is_alive()


def test_a_dropped_transport_is_collected() -> None:
    with RawServer(Peer.wait_gone) as server:
        transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S))
        transport.close()
        del transport
        gc.collect()


def test_sources_of_the_transport_stay_apart() -> None:
    """Importing the room loads neither a socket nor TLS: they come with the first connection."""
    code = "import sys, realtime_sync.transport; print({'ssl', 'socket', 'websocket'} & set(sys.modules))"
    import subprocess

    root = Path(__file__).parent.parent
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=30)
    assert out.stdout.strip() == "set()"
