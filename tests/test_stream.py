"""The duplex-safe stream below the frames: waiting, partial writes, TLS between the lines, the life of a descriptor."""

from __future__ import annotations

import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from servers import WAIT_S, authority, client_context, server_context

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConnectionClosed, HandshakeError, RealtimeTimeout
from realtime_sync.transport.stream import Descriptor, Readiness, Stream, TlsStream

MS = 0.001


@contextmanager
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    """A stream and the plain socket at its other end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        near = socket.create_connection(listener.getsockname(), WAIT_S)
        far, _ = listener.accept()
    far.settimeout(WAIT_S)
    stream = Stream(Descriptor(near))
    try:
        yield stream, far
    finally:
        stream.descriptor.close()
        far.close()


@contextmanager
def tls_pair(*, maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[tuple[TlsStream, ssl.SSLSocket]]:
    """A TLS stream and the TLS socket at its other end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority().cert_pem.bytes().decode())
    context.maximum_version = maximum
    with pair() as (inner, far):
        ends: list[ssl.SSLSocket] = []
        thread = threading.Thread(target=lambda: ends.append(server_context().wrap_socket(far, server_side=True)))
        thread.start()
        stream = TlsStream(inner, context, "localhost")
        stream.handshake(Deadline(WAIT_S), "the handshake")
        thread.join(WAIT_S)
        try:
            yield stream, ends[0]
        finally:
            ends[0].close()


def read(stream: Stream) -> bytes:
    return stream.receive(Deadline(WAIT_S), "reading")


@pytest.fixture(params=[True, False], ids=["poll", "select"])
def with_poll(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to wait: systems without poll use select."""
    if not request.param:
        monkeypatch.delattr(select, "poll", raising=False)
    elif not hasattr(select, "poll"):
        pytest.skip("this system has no poll")
    return bool(request.param)


@pytest.mark.usefixtures("with_poll")
def test_readiness() -> None:
    with pair() as (stream, far):
        readiness = Readiness(stream.descriptor.socket)
        assert not readiness.wait(0, read=True)
        started = time.monotonic()
        assert not readiness.wait(30 * MS, read=True)
        assert time.monotonic() - started >= 29 * MS
        assert readiness.wait(WAIT_S, write=True)
        assert readiness.wait(WAIT_S, read=True, write=True)
        far.sendall(b"x")
        assert readiness.wait(WAIT_S, read=True)
        assert read(stream) == b"x"
        assert not readiness.wait(0, read=True)
        far.close()
        assert readiness.wait(WAIT_S, read=True)


@pytest.mark.usefixtures("with_poll")
def test_shutdown_wakes_who_waits() -> None:
    with pair() as (stream, _):
        woken = threading.Event()

        def wait() -> None:
            if Readiness(stream.descriptor.socket).wait(WAIT_S, read=True):
                woken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(20 * MS)  # the wait may not have begun: it must end just the same
        stream.descriptor.shutdown()
        thread.join(WAIT_S)
        assert woken.is_set()


def test_a_read_that_waits_returns_what_comes_nothing_in_time_and_the_end() -> None:
    with pair() as (stream, far):
        assert not stream.descriptor.patience(0)
        assert stream.descriptor.patience(20 * MS)
        started = time.monotonic()
        assert stream.read(waits=True) is None
        assert time.monotonic() - started >= 19 * MS
        assert stream.descriptor.patience(WAIT_S)
        thread = threading.Thread(target=far.sendall, args=(b"abc",))
        thread.start()
        assert stream.read(waits=True) == b"abc"
        thread.join()
        assert stream.read() is None, "one that does not wait is none the worse for it"
        with stream.lock:
            stream.queue.append((bytes(1 << 24), []))
            assert not stream.push_locked(), "nor is a write: it takes what fits"
        far.close()


def test_what_is_near_enough_is_not_set_again() -> None:
    with pair() as (stream, _):
        spans: list[float] = []
        for wait_s in (20.0, 19.9, 10.0, 20.0, 9.0, 1e9):
            assert stream.descriptor.patience(wait_s)
            spans.append(stream.descriptor._patience_s)
    assert spans == [20.0, 20.0, 10.0, 10.0, 9.0, 3600.0]


def test_a_shutdown_wakes_a_read_that_waits() -> None:
    with pair() as (stream, _):
        assert stream.descriptor.patience(WAIT_S)
        got: list[bytes | None] = []
        thread = threading.Thread(target=lambda: got.append(stream.read(waits=True)))
        thread.start()
        time.sleep(20 * MS)  # it may not have begun: it must end just the same
        stream.descriptor.shutdown()
        thread.join(WAIT_S)
        assert got == [b""]


def test_read_tells_nothing_data_and_the_end_apart() -> None:
    with pair() as (stream, far):
        assert stream.read() is None
        assert not stream.busy
        far.sendall(b"abc")
        assert read(stream) == b"abc"
        assert not stream.busy
        far.sendall(b"x" * 1_000_000)
        total = 0
        while total < 1_000_000:
            data = read(stream)
            assert stream.busy == (len(data) >= 16384)
            total += len(data)
        far.close()
        assert read(stream) == b""
        assert stream.read() == b""


@pytest.mark.parametrize("maker", [pair, tls_pair])
def test_what_does_not_fit_goes_later_and_to_the_byte(maker: Callable[[], Any]) -> None:
    pieces = [bytes([i]) * 700_001 for i in range(20)]
    with maker() as (stream, far):
        for piece in pieces:
            stream.queue.append((piece, []))
        assert stream.unsent
        with stream.lock:
            assert not stream.push_locked()
        got = bytearray()

        def drain() -> None:
            while len(got) < 20 * 700_001:
                got.extend(far.recv(1 << 16))

        thread = threading.Thread(target=drain)
        thread.start()
        stream.flush(Deadline(WAIT_S), "writing")
        thread.join(WAIT_S)
        assert not stream.unsent
        assert bytes(got) == b"".join(pieces)


@pytest.mark.parametrize("maker", [pair, tls_pair])
def test_dialling_waits_end_at_the_deadline(maker: Callable[[], Any]) -> None:
    with maker() as (stream, _):
        with pytest.raises(RealtimeTimeout, match=r"^reading: not done within 0\.05 s$"):
            stream.receive(Deadline(50 * MS), "reading")
        with pytest.raises(RealtimeTimeout, match=r"^writing: not done within 0\.05 s$"):
            stream.send_all(b"x" * 30_000_000, Deadline(50 * MS), "writing")


@pytest.mark.parametrize("maker", [pair, tls_pair])
def test_failures_while_dialling_are_ours(maker: Callable[[], Any]) -> None:
    with maker() as (stream, far):
        far.close()
        assert read(stream) == b""
        with pytest.raises(HandshakeError, match=r"^writing failed: ") as caught:
            for _ in range(1000):
                stream.send_all(b"x" * 1000, Deadline(WAIT_S), "writing")
        assert isinstance(caught.value.__cause__, OSError)


# TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_both_ways(version: ssl.TLSVersion) -> None:
    with tls_pair(maximum=version) as (stream, far):
        assert far.version() == version.name.replace("_", ".")
        stream.send_all(b"hello", Deadline(WAIT_S), "writing")
        assert far.recv(100) == b"hello"
        far.sendall(b"x" * 200_000)
        total = b""
        while len(total) < 200_000:
            total += read(stream)
        assert total == b"x" * 200_000
        assert stream.read() is None


def test_decrypted_bytes_that_were_not_asked_for_are_not_forgotten() -> None:
    with tls_pair() as (stream, far):
        far.sendall(b"a" * 16384 + b"b" * 16384 + b"c")
        first = None
        while first is None:
            first = stream.read(1)  # one record and no more
        assert len(first) == 16384
        assert stream.busy
        rest = b""
        while len(rest) < 16385:
            rest += stream.read(1) or b""
        assert rest == b"b" * 16384 + b"c"


def test_after_a_large_read_more_is_expected_without_asking() -> None:
    """`busy` saves a wait for each read while the peer sends faster than we read: over TLS too, also when all that was
    read is decrypted and given out."""
    with tls_pair() as (stream, far):
        for size, busy in ((20_000, True), (100, False)):
            far.sendall(b"x" * size)
            received = 0
            while received < size:
                assert Readiness(stream.descriptor.socket).wait(WAIT_S, read=True)
                while len(stream.descriptor.socket.recv(1 << 17, socket.MSG_PEEK)) < size - received:
                    time.sleep(MS)  # until all of it is in the socket, so that one read takes it
                received += len(read(stream))
            assert not stream._more
            assert stream.busy is busy


def test_the_end_of_tls_with_and_without_goodbye() -> None:
    with tls_pair() as (stream, far):
        far.sendall(b"last")
        goodbye = threading.Thread(target=_say_goodbye, args=(far,))
        goodbye.start()
        assert read(stream) == b"last"
        assert read(stream) == b""
        assert read(stream) == b""
        stream.descriptor.close()
        goodbye.join(WAIT_S)
    with tls_pair() as (stream, far):
        far.sendall(b"last")
        far.close()
        assert read(stream) == b"last"
        assert read(stream) == b""


def _say_goodbye(far: ssl.SSLSocket) -> None:
    with suppress(OSError):  # for it is not returned
        far.unwrap()


def test_a_damaged_record_comes_after_the_good_ones() -> None:
    with tls_pair() as (stream, far):
        far.sendall(b"good")
        with socket.socket(fileno=os.dup(far.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        assert read(stream) == b"good"
        for _ in range(2):
            with pytest.raises(ssl.SSLError):
                while stream.read() is None:
                    time.sleep(MS)


def test_bytes_under_encryption_count_as_unsent() -> None:
    with tls_pair() as (stream, _), stream.lock:
        stream._tls.write(b"x")
        assert stream.unsent
        assert stream.push_locked()
        assert not stream.unsent


class OpenSsl:
    """The openssl program as a server: it can do on command what Python's ssl cannot."""

    def __init__(self, tmp_path: Path, *options: str) -> None:
        pem = tmp_path / "server.pem"
        cert = authority().issue_cert("localhost")
        pem.write_bytes(cert.private_key_and_cert_chain_pem.bytes())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(pem), "-naccept", "1", *options]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._wait_for(b"ACCEPT")
        near = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self.stream = TlsStream(Stream(Descriptor(near)), client_context(), "localhost")
        self.stream.handshake(Deadline(WAIT_S), "the handshake")

    def _wait_for(self, text: bytes) -> None:
        assert self.process.stdout is not None
        seen = b""
        while text not in seen:
            data = self.process.stdout.read(1000)
            assert data, seen
            seen += data

    def says(self, text: bytes) -> None:
        """Send a line; one that begins with a letter such as K or r is a command if it is read alone."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + b"\n")

    def command(self, letter: bytes) -> None:
        self.says(letter)
        # It looks at its input before it looks at the connection: what it hears now comes after the command.
        self.hears(b"command " + letter)

    def hears(self, text: bytes) -> None:
        self.stream.send_all(text + b"\n", Deadline(WAIT_S), "writing")
        self._wait_for(text)

    def close(self) -> None:
        self.stream.descriptor.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def openssl(tmp_path: Path) -> Iterator[Callable[..., OpenSsl]]:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    started: list[OpenSsl] = []

    def start(*options: str) -> OpenSsl:
        started.append(OpenSsl(tmp_path, *options))
        return started[-1]

    yield start
    for program in started:
        program.close()


def test_key_updates(openssl: Callable[..., OpenSsl]) -> None:
    server = openssl("-tls1_3")
    for i in range(5):
        server.command(b"K")  # new keys, and please new ones of yours
        server.says(b"line %d" % i)
        received = b""
        while b"line %d\n" % i not in received:
            received += read(server.stream)
        server.hears(b"answer %d" % i)


def test_a_renegotiation_that_the_server_begins(openssl: Callable[..., OpenSsl]) -> None:
    """Writing cannot go on in its middle before something was read: the reader does that, whenever it comes."""
    server = openssl("-tls1_2")
    received = bytearray()
    stop = threading.Event()

    def keep_reading() -> None:
        readiness = Readiness(server.stream.descriptor.socket)
        while not stop.is_set():
            received.extend(server.stream.read() or b"")
            readiness.wait(5 * MS, read=True)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        for i in range(3):
            server.command(b"r")  # without asking for a certificate
            server.says(b"line %d" % i)
            for _ in range(50):
                server.stream.send_all(b"x" * 100 + b"\n", Deadline(WAIT_S), "writing")
            server.hears(b"answer %d" % i)
            deadline = Deadline(WAIT_S)
            while b"line %d\n" % i not in received:
                assert not deadline.expired
                time.sleep(MS)
    finally:
        stop.set()
        reader.join(WAIT_S)


def test_renegotiations_while_both_sides_send(openssl: Callable[..., OpenSsl]) -> None:
    """What the server says on both sides of each is met by a write too, were it not read before."""
    server = openssl("-tls1_2")
    stream, process = server.stream, server.process
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    received = bytearray()
    stop = threading.Event()
    failures: list[Exception] = []
    readiness = Readiness(stream.descriptor.socket)

    def take() -> None:
        while (data := stream.read()) != b"":
            received.extend(data or b"")
            readiness.wait(5 * MS, read=True)

    def say() -> None:
        while not stop.is_set():
            stream.send_all(b"x" * 200 + b"\n", Deadline(WAIT_S), "writing")

    def drain() -> None:
        while stdout.read(1 << 16):
            pass

    def watched(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as failure:
            failures.append(failure)
        stop.set()

    threads = [threading.Thread(target=watched, args=(work,)) for work in (take, say, drain)]
    for thread in threads:
        thread.start()
    deadline = Deadline(WAIT_S)
    try:
        for number in range(12):
            for text in (b"before %d" % number * 300, b"r", b"after %d" % number * 300):
                server.says(text)
                while unread_bytes(stdin) and not (stop.is_set() or deadline.expired):
                    time.sleep(MS)  # a command is one only where it is read alone
        while b"after 11\n" not in received and not (stop.is_set() or deadline.expired):
            time.sleep(MS)
        assert failures == []
        assert received.count(b"\n") == 24
    finally:
        stop.set()
        process.kill()
        for thread in threads:
            thread.join(WAIT_S)


def unread_bytes(pipe: Any) -> int:
    import fcntl
    import termios

    return int.from_bytes(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)), "little")


def test_what_arrives_is_decrypted_before_another_thread_can_write() -> None:
    with tls_pair() as (stream, far):
        left: list[int] = []

        class Watched:
            def __init__(self, lock: Any) -> None:
                self.lock = lock

            def __enter__(self) -> None:
                self.lock.acquire()

            def __exit__(self, *_: object) -> None:
                left.append(stream._incoming.pending)
                self.lock.release()

        stream.lock = Watched(stream.lock)  # type: ignore[assignment]
        far.sendall(b"x" * 300_000)
        received = 0
        while received < 300_000:
            received += len(read(stream))
        assert len(left) > 3
        assert set(left) == {0}


def test_writing_that_must_wait_for_reading() -> None:
    with tls_pair() as (stream, far):
        real = stream._tls

        class Renegotiating:
            refuse = True

            def write(self, data: bytes) -> int:
                if self.refuse:
                    raise ssl.SSLWantReadError
                return real.write(data)

            def read(self, size: int) -> bytes:
                Renegotiating.refuse = False
                return real.read(size)

        stream._tls = Renegotiating()  # type: ignore[assignment]
        stream.queue.append((b"hello", []))
        with stream.lock:
            assert not stream.push_locked()
        assert stream.wants_read
        with pytest.raises(RealtimeTimeout):
            stream.flush(Deadline(20 * MS), "writing")
        far.sendall(b"x")
        assert read(stream) == b"x"
        assert not stream.wants_read
        stream.flush(Deadline(WAIT_S), "writing")
        assert far.recv(10) == b"hello"


def test_a_failing_write_while_reading_waits_for_the_read_to_tell() -> None:
    with tls_pair() as (stream, far):
        far.sendall(b"last")
        assert read(stream) == b"last"
        with stream.lock:
            stream._outgoing.write(b"an answer that cannot leave")
        far.sendall(b"more")
        stream._inner.push_locked = _raise  # type: ignore[method-assign]
        assert read(stream) == b"more"


def _raise() -> bool:
    raise BrokenPipeError


# The life of a descriptor


def test_a_descriptor_is_released_by_the_last_inside() -> None:
    with pair() as (stream, _):
        descriptor = stream.descriptor
        inside, leave = threading.Event(), threading.Event()

        def visit() -> None:
            descriptor.enter()
            inside.set()
            leave.wait(WAIT_S)
            descriptor.leave()

        thread = threading.Thread(target=visit)
        thread.start()
        assert inside.wait(WAIT_S)
        descriptor.close()
        assert descriptor.closed
        assert descriptor.socket.fileno() != -1
        with pytest.raises(ConnectionClosed):
            descriptor.enter()
        descriptor.leave()
        assert descriptor.socket.fileno() != -1
        leave.set()
        thread.join(WAIT_S)
        assert descriptor.socket.fileno() == -1
        descriptor.close()


def test_an_interrupt_may_keep_a_thread_from_leaving() -> None:
    with pair() as (stream, _):
        stream.descriptor.enter()
        stream.descriptor.close()
        assert stream.descriptor.socket.fileno() == -1


def test_a_fork_has_only_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    with pair() as (stream, far):
        descriptor = stream.descriptor
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with pytest.raises(ConnectionClosed, match="fork"):
                descriptor.enter()
        far.sendall(b"x")
        assert read(stream) == b"x"
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            descriptor.close()
        assert descriptor.socket.fileno() == -1
