"""Hostile and clumsy peers at the level of a session: what comes of them is a session that works, or a clear error of
ours within the limit; never a hang, a foreign exception, or a reader that failed."""

from __future__ import annotations

import json
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from effort import examples
from hypothesis import example, given
from hypothesis import strategies as st
from servers import WAIT_S, Peer, RawServer, accept_of, frame

import realtime_sync as rt
from realtime_sync.transport.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload

CREATED = json.dumps({"type": "session.created", "session": {"type": "realtime", "id": "sess_1"}}).encode()
LIMIT_S = 5.0
"""Of `connect`; what takes longer has not kept to it. Nothing here is to reach it but what stays silent."""


class Failures(logging.Handler):
    """Collects what the reader would log of a fault of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@contextmanager
def no_fault_of_ours() -> Iterator[None]:
    failures, threads = Failures(), set(threading.enumerate())
    log = logging.getLogger("realtime_sync")
    log.addHandler(failures)
    try:
        yield
    finally:
        log.removeHandler(failures)
    for thread in set(threading.enumerate()) - threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), thread.name
    assert failures.told == []


def tried(server: RawServer, **options: Any) -> rt.RealtimeError | None:
    """The error of `connect`; ``None`` when it has given a session."""
    where = {"base_url": f"http://{server.address}/v1", "timeout": LIMIT_S}
    try:
        rt.connect("m", **{**where, **options}).close(timeout=0.5)
    except rt.RealtimeError as error:
        return error
    return None


def send_slowly(peer: Peer, data: bytes) -> None:
    for value in data:
        peer.send(bytes([value]))


# The answer to the upgrade

SWITCH = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n"
GOOD = [
    SWITCH,
    SWITCH.replace(b" x\r\n", b"\r\n"),
    SWITCH.lower().replace(b"http", b"HTTP").replace(b"accept: accept", b"accept: ACCEPT"),
    SWITCH.replace(b": ", b":   \t").replace(b"\r\nUp", b"\r\nX-Long: " + b"y" * 30_000 + b"\r\nUp"),
    SWITCH + b"Set-Cookie: a=b\r\nSet-Cookie: c=d; Expires=Wed, 99 Foo 99999 25:61:61 GMT\r\n",
    SWITCH + "X: \xff\xfe\x80 \u00e9\r\n".encode("latin-1"),
    SWITCH + b"Content-Length: -5\r\nTransfer-Encoding: chunked\r\n",
    SWITCH + b"Content-Length: " + b"9" * 5000 + b"\r\n",
    SWITCH.replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
    b"HTTP/1.0" + SWITCH[8:],
    SWITCH.replace(b"Upgrade: websocket", b"Upgrade: websocket\r\nUpgrade: h2c"),
    SWITCH + b"Sec-WebSocket-Protocol: realtime\r\n",
]
BAD = [
    b"",
    b"\r\n\r\n",
    b"\0" * 100_000,
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 101\r\n\r\n",
    b"HTTP/1.1 1010 x\r\n\r\n",
    b"HTTP/1.1 -101 x\r\n\r\n",
    b"HTTP/9.9 101 x\r\n\r\n",
    b"HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nyes",
    b"HTTP/1.1 204 x\r\n\r\n",
    b"HTTP/1.1 301 x\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 500 x\r\nContent-Length: " + b"9" * 4000 + b"\r\n\r\nno",
    b"HTTP/1.1 500 x\r\nContent-Length: -1\r\nContent-Length: 5\r\n\r\nno",
    b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"-2\r\n" * 16_000,
    b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked, gzip\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nx",
    b"HTTP/1.1 429 x\r\nRetry-After: " + b"9" * 4000 + b"\r\n\r\n",
    b"HTTP/1.1 429 x\r\nRetry-After: Wed, 21 Oct 99999999999 07:28:00 GMT\r\n\r\n",
    b"HTTP/1.1 401 \xff\xfe\r\nX-Request-Id: \x80\x81\r\n\r\n\xff\xfe\xfd",
    b"HTTP/1.1 400 x\r\n\r\n" + b"[" * 60_000,
    b'HTTP/1.1 400 x\r\n\r\n{"error": ' + b"9" * 60_000 + b"}",
    b'HTTP/1.1 400 x\r\n\r\n{"error": {"message": {"error": {"message": ["x"]}}}}',
    SWITCH.replace(b"websocket", b"h2c"),
    SWITCH.replace(b"Upgrade: websocket\r\n", b""),
    SWITCH.replace(b"Connection: Upgrade", b"Connection: close"),
    SWITCH.replace(b"ACCEPT", b"AAAA"),
    SWITCH.replace(b"ACCEPT", b"ACCEPT\r\nSec-WebSocket-Accept: ACCEPT"),
    SWITCH + b" folded: line\r\n",
    SWITCH + b"no colon\r\n",
    SWITCH + b": no name\r\n",
    SWITCH + b"a b: blank in the name\r\n",
    SWITCH + b"n\0: x\r\n",
    SWITCH + b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
    SWITCH + b"X: " + b"y" * 70_000 + b"\r\n",
    SWITCH.replace(b"\r\n", b"\n"),
    SWITCH.replace(b"\r\n", b"\r"),
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
]


def answering(answer: bytes, *, slowly: bool = False, more: bytes = b"") -> RawServer:
    """A server that answers so to whatever comes; what switches protocols goes on with an event."""

    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        accept = accept_of(peer.request) if b"sec-websocket-key" in peer.request.lower() else ""
        raw = answer.replace(b"ACCEPT", accept.encode()) + more
        send_slowly(peer, raw) if slowly else peer.send(raw)
        if more:
            peer.wait_gone()

    return RawServer(handler, upgrade=False)


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("number", range(len(GOOD)))
def test_an_odd_answer_that_will_do(number: int, slowly: bool) -> None:
    answer = GOOD[number] if not slowly else GOOD[number].replace(b"y" * 30_000, b"y" * 100)
    with no_fault_of_ours(), answering(answer + b"\r\n", slowly=slowly, more=frame(TEXT, CREATED)) as server:
        assert tried(server) is None


@pytest.mark.parametrize("number", range(len(BAD)))
def test_an_answer_that_will_not_do(number: int) -> None:
    more = frame(TEXT, CREATED) if BAD[number].startswith(SWITCH[:16]) else b""
    end = b"\r\n" if BAD[number].startswith(b"HTTP/1.1 101 x") else b""
    with no_fault_of_ours(), answering(BAD[number] + end, more=more) as server:
        error = tried(server)
    assert isinstance(error, rt.HandshakeError)
    assert str(error).isprintable()


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_proxy_that_answers_so(number: int) -> None:
    with no_fault_of_ours(), answering(BAD[number] + b"\r\n\r\n") as proxy, RawServer(Peer.wait_gone) as server:
        to = f"http://server.example:{server.port}/v1"
        error = tried(server, base_url=to, proxy=f"http://{proxy.address}")
    assert isinstance(error, rt.RealtimeError)
    assert str(error).isprintable()


LINES = st.sampled_from([*SWITCH.splitlines()[1:], b"Content-Length: 7", b"Retry-After: Wed, 1 Jan 1 1:1:1 GMT", b""])
ODD_LINES = LINES | st.binary(max_size=30) | st.from_regex(rb"\A[!-~ ]{0,12}:[!-~ ]{0,12}\Z")


@given(st.sampled_from([101, 200, 302, 407, 500]), st.lists(ODD_LINES, max_size=8), st.binary(max_size=40))
@example(101, [], b"")
@examples(60)
def test_whatever_is_answered(status: int, lines: list[bytes], rest: bytes) -> None:
    answer = b"\r\n".join([b"HTTP/1.1 %d x" % status, *lines, b"", rest])
    with no_fault_of_ours(), answering(answer) as server:
        assert isinstance(tried(server), rt.RealtimeError)


# Within the WebSocket


def long(opcode: int, length: int) -> bytes:
    """The head of a frame that announces so many bytes in the longest form."""
    return bytes([0x80 | opcode, 127]) + struct.pack("!Q", length)


BREACHES = {
    **{f"reserved bits {rsv}": frame(TEXT, b"{}", rsv=rsv) for rsv in range(1, 8)},
    **{f"opcode {opcode:x}": frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "masked": frame(TEXT, b"{}", mask=True),
    "ping of 126 bytes": frame(PING, b"x" * 126),
    "pong of 70000 bytes": frame(PONG, b"x" * 70_000),
    "close of 126 bytes": frame(CLOSE, close_payload(1000) + b"x" * 124),
    "ping in fragments": frame(PING, b"x", fin=False),
    "close in fragments": frame(CLOSE, close_payload(1000), fin=False),
    "close of 1 byte": frame(CLOSE, b"\x03"),
    **{f"close code {code}": frame(CLOSE, code.to_bytes(2, "big")) for code in (0, 999, 1004, 1005, 1006, 1015, 2999)},
    **{f"close code {code} too": frame(CLOSE, code.to_bytes(2, "big")) for code in (5000, 65535)},
    "close reason no UTF-8": frame(CLOSE, close_payload(1000) + b"\xff\xfe"),
    "a continuation of nothing": frame(CONTINUATION, b"x"),
    "a message in a message": frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"),
    "a message of 1 TiB": long(TEXT, 1 << 40),
    "a message of 2**64-1": long(TEXT, (1 << 64) - 1),
    "fragments without end": frame(TEXT, b"x" * 60_000, fin=False) + frame(CONTINUATION, b"x" * 60_000, fin=False) * 9,
    "half a head": b"\x81",
    "half a length": b"\x81\x7f\0\0",
    "half a message": frame(TEXT, b"x" * 100)[:50],
    "no WebSocket": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
ODD_BUT_FINE = {
    "ping of 125 bytes": frame(PING, b"x" * 125),
    "an unasked pong": frame(PONG, b"x"),
    "many pings": frame(PING, b"x") * 5000,
    "an empty message": frame(TEXT),
    "no UTF-8": frame(TEXT, b'{"type": "x\xff\xfe"}'),
    "half a character": frame(TEXT, b'{"type": "x\\ud800"}'),
    "a binary message": frame(BINARY, b"\0\1\2"),
    "a list": frame(TEXT, b"[1, 2]"),
    "deep": frame(TEXT, b"[" * 100_000),
    "a type that is none": frame(TEXT, b'{"type": {"x": []}, "event_id": 5}'),
    "a length in the longest form": long(TEXT, 2) + b"{}",
    "empty fragments": frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 5000 + frame(CONTINUATION),
    "a ping within a message": frame(TEXT, b"{", fin=False) + frame(PING, b"x") + frame(CONTINUATION, b"}"),
}
LAST = json.dumps({"type": "rate_limits.updated", "rate_limits": [{"name": "last"}]}).encode()


def seen_of(data: bytes, *, slowly: bool = False) -> tuple[list[str], rt.RealtimeError | None]:
    """The types that a session gets when a server sends ``data`` between two events and leaves, and how it ends."""

    def handler(peer: Peer) -> None:
        peer.send(frame(TEXT, CREATED))
        send_slowly(peer, data) if slowly else peer.send(data)
        peer.send(frame(TEXT, LAST) + frame(CLOSE, close_payload(1000)))
        with suppress(OSError):  # the client may have left
            # Else it would wait for the rest of a frame that has taken these in.
            peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_gone()

    seen: list[str] = []
    error: rt.RealtimeError | None = None
    with no_fault_of_ours(), RawServer(handler) as server:
        session = rt.connect("m", base_url=f"http://{server.address}/v1", timeout=WAIT_S, max_message_bytes=500_000)
        session.on("*", lambda event: seen.append(str(event.type)))
        try:
            while session.recv(WAIT_S) is not None:
                pass
        except rt.RealtimeError as raised:
            error = raised
        for verb in (session.poll, session.clear_audio, lambda: session.ask("x", timeout=WAIT_S)):
            with pytest.raises(rt.ConnectionClosed):
                verb()
                raise rt.ConnectionClosed("poll after a clean end")
        session.close()
    return seen, error


@pytest.mark.parametrize(
    ("name", "slowly"),
    [(name, slowly) for name in BREACHES for slowly in (False, True) if not slowly or len(BREACHES[name]) < 1000],
)
def test_a_breach_of_the_protocol(name: str, slowly: bool) -> None:
    seen, error = seen_of(BREACHES[name], slowly=slowly)
    assert seen[0] == "session.created"
    assert isinstance(error, rt.ConnectionLost) or name in ("half a length", "half a message", "half a head")
    assert error is not None or "half" in name
    assert "rate_limits.updated" not in seen


@pytest.mark.parametrize("name", ODD_BUT_FINE)
def test_what_is_odd_but_no_breach(name: str) -> None:
    seen, error = seen_of(ODD_BUT_FINE[name])
    assert (seen[0], seen[-1], error) == ("session.created", "rate_limits.updated", None)


@given(st.lists(st.sampled_from([*BREACHES.values(), *ODD_BUT_FINE.values()]) | st.binary(max_size=300), max_size=5))
@example([b"\x81\x7e\x7f\xff"])  # the beginning of a frame, longer than all that follows
@examples(60)
def test_whatever_is_sent(pieces: list[bytes]) -> None:
    seen, error = seen_of(b"".join(pieces))
    assert seen[0] == "session.created"
    assert error is None or isinstance(error, rt.ConnectionClosed)
