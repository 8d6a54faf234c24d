"""The WebSocket without I/O: what comes in, what goes out, when it pings and why it ends. No socket, thread or sleep;
the clock is a number."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import frame, read_frame

from realtime_sync.errors import ConnectionClosed, ConnectionLost
from realtime_sync.transport.frames import BINARY, CLOSE, PING, PONG, TEXT, Closed, Violation, close_payload
from realtime_sync.transport.websocket import End, Silence, WebSocket, error_of

LIMIT = 1000


def sent_by(websocket: WebSocket) -> list[tuple[int, bytes]]:
    """The control frames that leave now."""
    out = b""
    while data := websocket.next_control():
        out += data
    stream = io.BytesIO(out)
    frames = []
    while stream.tell() < len(out):
        frames.append(read_frame(stream.read))
    return frames


# Messages


def test_messages_come_out_and_go_in() -> None:
    websocket = WebSocket(LIMIT)
    data = frame(TEXT, b"one") + frame(BINARY, b"two") + frame(TEXT, b"thr", fin=False) + frame(0, b"ee")
    assert websocket.feed(data, 0.0) == [b"one", b"two", b"three"]
    assert read_frame(io.BytesIO(websocket.text("grüße")).read) == (TEXT, "grüße".encode())
    assert read_frame(io.BytesIO(websocket.text(b"{}")).read) == (TEXT, b"{}")
    assert websocket.end is None
    assert not websocket.staged
    assert sent_by(websocket) == []


def test_idle_says_that_nothing_waits_for_its_rest() -> None:
    websocket = WebSocket(LIMIT)
    assert websocket.idle
    websocket.feed(frame(TEXT, b"abc")[:3], 0.0)
    assert not websocket.idle
    assert websocket.feed(b"bc", 0.0) == [b"abc"]
    assert websocket.idle


# Control frames


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        (frame(PING, b"abc"), [(PONG, b"abc")]),
        (frame(PING), [(PONG, b"")]),
        (frame(PING, b"1") + frame(TEXT, b"x") + frame(PING, b"2"), [(PONG, b"2")]),  # the newest answers for all
        (frame(TEXT, b"x", fin=False) + frame(PING, b"1"), [(PONG, b"1")]),
        (frame(PONG, b"unasked"), []),
        (frame(CLOSE), [(CLOSE, b"")]),
        (frame(CLOSE, close_payload(1000)), [(CLOSE, b"\x03\xe8")]),
        (frame(CLOSE, close_payload(1001, "going away")), [(CLOSE, b"\x03\xe9")]),  # the code alone comes back
        (frame(PING, b"p") + frame(CLOSE, b"\x03\xe8") + frame(PING, b"q"), [(PONG, b"p"), (CLOSE, b"\x03\xe8")]),
        (frame(5), [(CLOSE, close_payload(1002))]),
        (frame(TEXT, b"x" * (LIMIT + 1)), [(CLOSE, close_payload(1009))]),
        (frame(CLOSE, b"\x03\xe8\xff"), [(CLOSE, close_payload(1007))]),
        (frame(PING, b"p") + frame(5), [(PONG, b"p"), (CLOSE, close_payload(1002))]),
    ],
)
def test_what_is_answered(received: bytes, sent: list[tuple[int, bytes]]) -> None:
    websocket = WebSocket(LIMIT)
    websocket.feed(received, 0.0)
    assert bool(websocket.staged) == bool(sent)
    assert sent_by(websocket) == sent
    assert not websocket.staged
    byte_by_byte = WebSocket(LIMIT)
    for value in received:
        byte_by_byte.feed(bytes([value]), 0.0)
    assert sent_by(byte_by_byte) == sent


def test_an_older_answer_that_has_not_left_is_replaced() -> None:
    websocket = WebSocket(LIMIT)
    for i in range(1000):
        websocket.feed(frame(PING, b"%d" % i), 0.0)
    assert sent_by(websocket) == [(PONG, b"999")]
    websocket.feed(frame(PING, b"next"), 0.0)
    assert sent_by(websocket) == [(PONG, b"next")]


# Closing


def test_our_close_goes_last_and_nothing_follows_it() -> None:
    websocket = WebSocket(LIMIT)
    websocket.keep_alive(10.0, 10.0, 0.0)
    websocket.close(3001, "bye")
    assert websocket.closing
    websocket.tick(10.0)
    websocket.feed(frame(PING, b"p"), 10.0)
    assert sent_by(websocket) == [(PONG, b"p"), (PING, b""), (CLOSE, close_payload(3001, "bye"))]
    assert websocket.closing
    websocket.feed(frame(PING, b"too late"), 11.0)
    websocket.close(1000)
    assert sent_by(websocket) == []


def test_a_close_that_waits_is_not_replaced_by_another() -> None:
    websocket = WebSocket(LIMIT)
    websocket.close(3001, "bye")
    websocket.close(3002)
    websocket.feed(frame(CLOSE, close_payload(1000)), 0.0)
    assert sent_by(websocket) == [(CLOSE, close_payload(3001, "bye"))]


def test_the_answer_to_our_close_is_not_answered() -> None:
    websocket = WebSocket(LIMIT)
    websocket.close(1000)
    assert sent_by(websocket) == [(CLOSE, close_payload(1000))]
    assert websocket.feed(frame(TEXT, b"under way") + frame(CLOSE, close_payload(1000)), 0.0) == [b"under way"]
    assert websocket.end == Closed(1000, "")
    assert sent_by(websocket) == []


@pytest.mark.parametrize(
    ("received", "end"),
    [
        (frame(CLOSE), Closed(1005, "")),
        (frame(CLOSE, close_payload(1000)), Closed(1000, "")),
        (frame(CLOSE, close_payload(4000, "läuft ab")), Closed(4000, "läuft ab")),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(5), 1002),
        (frame(TEXT, b"x" * (LIMIT + 1)), 1009),
    ],
)
def test_why_it_ends(received: bytes, end: Any) -> None:
    websocket = WebSocket(LIMIT)
    assert websocket.feed(frame(TEXT, b"before") + received + frame(TEXT, b"after"), 0.0) == [b"before"]
    if isinstance(end, int):
        assert isinstance(websocket.end, Violation)
        assert websocket.end.code == end
    else:
        assert websocket.end == end
    assert websocket.closing
    told = websocket.end
    assert websocket.feed(frame(TEXT, b"after") + frame(CLOSE), 1.0) == []
    assert websocket.end is told


@pytest.mark.parametrize(
    ("end", "kind", "code", "reason", "text"),
    [
        (Closed(1000, ""), ConnectionClosed, 1000, "", "the server closed the connection with code 1000"),
        (Closed(1000, "bye"), ConnectionClosed, 1000, "bye", "the server closed the connection with code 1000: bye"),
        (Closed(1001, "go"), ConnectionLost, 1001, "go", "the server closed the connection with code 1001: go"),
        (Closed(1005, ""), ConnectionLost, 1005, "", "the server closed the connection with code 1005"),
        (Silence(40.0), ConnectionLost, 1006, "", "the server has been silent for 40 s, pings included"),
        (
            Violation(1002, "a masked frame"),
            ConnectionLost,
            1002,
            "",
            "example.org:443 broke the WebSocket protocol: it sent a masked frame",
        ),
    ],
)
def test_how_an_end_is_told(end: End, kind: type[ConnectionClosed], code: int, reason: str, text: str) -> None:
    error = error_of(end, "example.org:443")
    assert type(error) is kind
    assert (error.code, error.reason, str(error)) == (code, reason, text)
    assert error.__cause__ is (end if isinstance(end, Violation) else None)


# Keepalive: the clock is a number

Step = tuple[float, bytes | None]
"""A time and what arrives then; ``None`` when only the clock is looked at."""

PART = frame(TEXT, b"hello")[:3]
LIFE = pytest.mark.parametrize(
    "life", [frame(TEXT, b"x"), frame(PONG), frame(PING), PART], ids=["text", "pong", "ping", "part of a frame"]
)


def play(websocket: WebSocket, *steps: Step) -> list[float]:
    """Go through the steps; the times at which a ping left."""
    pinged = []
    for now_s, data in steps:
        if data is None:
            websocket.tick(now_s)
        else:
            websocket.feed(data, now_s)
        if (PING, b"") in sent_by(websocket):
            pinged.append(now_s)
    return pinged


@pytest.mark.parametrize(
    ("interval_s", "timeout_s", "steps", "pinged", "due_s", "silence_s"),
    [
        # Never, before it was asked for or when it is switched off.
        (None, 20.0, [(1e9, None)], [], math.inf, None),
        (math.inf, 20.0, [(1e9, None)], [], math.inf, None),
        # Not a moment too early.
        (20.0, 15.0, [], [], 120.0, None),
        (20.0, 15.0, [(119.99, None)], [], 120.0, None),
        (20.0, 15.0, [(120.0, None)], [120.0], 135.0, None),
        (20.0, 15.0, [(123.0, None)], [123.0], 138.0, None),  # a late reader gives the peer its whole time
        (20.0, 15.0, [(120.0, None), (134.99, None)], [120.0], 135.0, None),
        (20.0, 15.0, [(120.0, None), (135.0, None)], [120.0], math.inf, 35.0),
        (20.0, math.inf, [(120.0, None), (1e9, None)], [120.0], math.inf, None),
        # Whatever arrives begins the interval anew.
        (20.0, 15.0, [(110.0, b"\x89\0")], [], 130.0, None),
        (20.0, 15.0, [(110.0, b"\x89\0"), (120.0, None), (130.0, None)], [130.0], 145.0, None),
        # A server that does nothing but answer pings lives for ever.
        (20.0, 15.0, [(120.0, None), (120.1, b"\x8a\0"), (135.0, None)], [120.0], 140.1, None),
        (20.0, 15.0, [(120.0, None), (121.0, b"\x8a\0"), (141.0, None), (155.9, None)], [120.0, 141.0], 156.0, None),
        (20.0, 15.0, [(120.0, None), (121.0, b"\x8a\0"), (141.0, None), (156.0, None)], [120.0, 141.0], math.inf, 35.0),
    ],
)
def test_keepalive(
    interval_s: float | None,
    timeout_s: float,
    steps: list[Step],
    pinged: list[float],
    due_s: float,
    silence_s: float | None,
) -> None:
    websocket = WebSocket(LIMIT)
    assert websocket.due_s == math.inf
    websocket.keep_alive(interval_s, timeout_s, 100.0)
    assert play(websocket, *steps) == pinged
    assert websocket.due_s == pytest.approx(due_s)
    assert websocket.end == (None if silence_s is None else Silence(silence_s))


@LIFE
def test_any_byte_is_a_sign_of_life(life: bytes) -> None:
    websocket = WebSocket(LIMIT)
    websocket.keep_alive(20.0, 15.0, 0.0)
    assert play(websocket, (20.0, None), (34.0, life)) == [20.0]
    assert websocket.due_s == 54.0
    websocket.tick(35.0)
    assert websocket.end is None
    assert play(websocket, (54.0, None)) == [54.0]
    websocket.tick(69.0)
    assert websocket.end == Silence(35.0)


def test_a_thousand_idle_intervals_with_a_peer_that_answers() -> None:
    websocket = WebSocket(LIMIT)
    websocket.keep_alive(20.0, 15.0, 0.0)
    pings = 0
    for _ in range(1000):
        now_s = websocket.due_s
        websocket.tick(now_s)
        for opcode, payload in sent_by(websocket):
            assert (opcode, payload) == (PING, b"")
            pings += 1
            websocket.feed(frame(PONG, payload), now_s + 0.1)
    assert pings == 1000
    assert websocket.end is None


def test_silence_does_not_hide_why_the_peer_has_closed() -> None:
    websocket = WebSocket(LIMIT)
    websocket.keep_alive(20.0, 15.0, 0.0)
    websocket.feed(frame(CLOSE, close_payload(1001)), 0.0)
    websocket.tick(20.0)
    websocket.tick(40.0)
    assert websocket.end == Closed(1001, "")


@given(
    st.floats(0.1, 100),
    st.floats(0.1, 100),
    st.lists(st.tuples(st.floats(0, 150), st.booleans()), max_size=30),
)
def test_it_is_lost_only_after_interval_and_timeout_without_a_byte(
    interval_s: float, timeout_s: float, steps: list[tuple[float, bool]]
) -> None:
    websocket = WebSocket(LIMIT)
    websocket.keep_alive(interval_s, timeout_s, 0.0)
    now_s = heard_s = 0.0
    for wait_s, arrives in steps:
        now_s += wait_s
        if arrives:
            websocket.feed(frame(PONG), now_s)
            heard_s = now_s
        else:
            websocket.tick(now_s)
        if websocket.end:
            assert now_s - heard_s >= (interval_s + timeout_s) * 0.999
            break
        assert websocket.due_s - heard_s >= interval_s * 0.999
