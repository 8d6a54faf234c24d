"""The frame parser, against the parser of the `websockets` package as the independent implementation."""

from __future__ import annotations

import time
import tracemalloc
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from servers import frame
from websockets.client import ClientProtocol
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from realtime_sync.transport.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Closed,
    FrameParser,
    Violation,
    close_payload,
)

LIMIT = 1 << 17


class Parsed(NamedTuple):
    """What comes out of some bytes."""

    messages: list[bytes]
    controls: list[tuple[int, bytes]]
    code: int | None
    """Of the violation."""


def parsed(data: bytes, limit: int = LIMIT) -> Parsed:
    """What one feed makes of the bytes."""
    parser = FrameParser(limit)
    return result(parser, parser.feed(data))


def result(parser: FrameParser, messages: list[bytes]) -> Parsed:
    return Parsed(messages, parser.controls, parser.fault.code if parser.fault else None)


def theirs(data: bytes, limit: int = LIMIT) -> Parsed:
    """The same from `websockets`, with fragments joined."""
    protocol = ClientProtocol(parse_uri("ws://127.0.0.1/"), state=OPEN, max_size=limit)
    protocol.receive_data(data)
    messages: list[bytes] = []
    controls: list[tuple[int, bytes]] = []
    payload = b""
    for event in protocol.events_received():
        assert isinstance(event, TheirFrame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            payload += bytes(event.data)
            if event.fin:
                messages.append(payload)
                payload = b""
        else:
            controls.append((int(event.opcode), bytes(event.data)))
    fault = protocol.parser_exc
    if "incomplete fragmented message" in str(fault):
        # They refuse a close frame inside a message. It is legal, and tells why the message will not be finished.
        return Parsed(messages, [*controls, parsed(data, limit).controls[-1]], None)
    if fault is None or isinstance(fault, EOFError):
        return Parsed(messages, controls, None)
    return Parsed(messages, controls, protocol.close_sent.code if protocol.close_sent else 1002)


def same_refusal(code: int | None, their_code: int | None) -> bool:
    """Of two faults in one header each names the one that it looks for first: they the size, this parser the frame's
    place in a message."""
    return code == their_code or (code, their_code) == (1002, 1009)


payloads = st.one_of(st.binary(max_size=200), st.integers(0, 70_000).map(lambda size: b"x" * size))
close_codes = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([1000, 1001, 1005, 1006, 1015, 3000, 4999, 5000]))


@st.composite
def legal(draw: st.DrawFn) -> bytes:
    """A legal sequence: whole and fragmented messages with control frames between."""
    out = b""
    for _ in range(draw(st.integers(0, 6))):
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        fragments = draw(st.lists(st.binary(max_size=300), min_size=1, max_size=4))
        for index, payload in enumerate(fragments):
            if draw(st.booleans()):
                out += frame(draw(st.sampled_from([PING, PONG])), draw(st.binary(max_size=125)))
            out += frame(opcode if index == 0 else 0, payload, fin=index == len(fragments) - 1)
    if draw(st.booleans()):
        out += frame(CLOSE, close_payload(1000, "bye"))
    return out


@st.composite
def any_frames(draw: st.DrawFn) -> bytes:
    """Frames of any kind, most of them wrong in one way or another."""
    out = b""
    for _ in range(draw(st.integers(1, 5))):
        opcode = draw(st.integers(0, 15))
        payload = draw(payloads)
        if opcode == CLOSE and draw(st.booleans()):
            payload = draw(close_codes).to_bytes(2, "big") + draw(st.binary(max_size=20))
        rsv = draw(st.sampled_from([0] * 8 + [1, 2, 4, 7]))
        mask = draw(st.sampled_from([False] * 8 + [True]))
        out += frame(opcode, payload, fin=draw(st.booleans()), rsv=rsv, mask=mask)
    return out


@given(st.one_of(legal(), any_frames()))
def test_same_messages_or_same_refusal_as_websockets(data: bytes) -> None:
    ours, other = parsed(data), theirs(data)
    assert ours[:2] == other[:2]
    assert same_refusal(ours.code, other.code)


@given(st.binary(max_size=60))
@example(b"\x00\x7f\x00\x00\x00\x00\x00\x02\x00\x01")
def test_noise_gives_the_same_as_websockets_or_is_refused_earlier(data: bytes) -> None:
    ours, other = parsed(data), theirs(data)
    assert ours[:2] == other[:2]
    # They look at a frame when its payload is there, this parser when its header is.
    assert other.code is None or same_refusal(ours.code, other.code)


@given(st.one_of(legal(), any_frames()), st.lists(st.integers(0, 3000), max_size=12))
def test_however_the_bytes_are_cut_the_same_comes_out(data: bytes, sizes: list[int]) -> None:
    parser = FrameParser(LIMIT)
    messages: list[bytes] = []
    position = 0
    for size in [*sizes, len(data)]:
        messages += parser.feed(data[position : position + size])
        position += size
    assert result(parser, messages) == parsed(data)


@given(st.one_of(legal(), st.binary(max_size=60)))
def test_byte_by_byte(data: bytes) -> None:
    parser = FrameParser(LIMIT)
    messages: list[bytes] = []
    for value in data:
        messages += parser.feed(bytes([value]))
    assert result(parser, messages) == parsed(data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_every_form_of_length(opcode: int, size: int) -> None:
    payload = b"q" * size
    data = frame(opcode, payload) * 2
    assert parsed(data) == ([payload] * 2, [], None)
    parser = FrameParser(LIMIT)
    messages = [found for i in range(12) for found in parser.feed(data[i : i + 1])] + parser.feed(data[12:])
    assert messages == [payload] * 2


def test_payload_is_bytes_and_text_is_not_decoded() -> None:
    (payload,) = parsed(frame(TEXT, b"\xff\xfe")).messages
    assert type(payload) is bytes
    assert payload == b"\xff\xfe"


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (frame(TEXT, b"x", mask=True), 1002, "masked"),
        (frame(TEXT, b"x", rsv=4), 1002, "compression"),
        (frame(TEXT, b"x", rsv=1), 1002, "reserved"),
        (frame(3), 1002, "unknown kind 0x3"),
        (frame(11), 1002, "unknown kind 0xb"),
        (frame(0, b"x"), 1002, "continuation"),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002, "unfinished"),
        (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), 1002, "unfinished"),
        (frame(PING, b"x", fin=False), 1002, "fragments"),
        (frame(PING, b"x" * 126), 1002, "125"),
        (frame(CLOSE, b"x"), 1002, "close code"),
        (frame(CLOSE, b"\x03\xed"), 1002, "close code"),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007, "UTF-8"),
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), 1009, "1099511627776"),
        (b"\x81\xff", 1002, "masked"),
    ],
)
def test_refused(data: bytes, code: int, says: str) -> None:
    parser = FrameParser(LIMIT)
    assert parser.feed(frame(TEXT, b"before") + data + frame(TEXT, b"after")) == [b"before"]
    assert parser.fault is not None
    assert parser.fault.code == code
    assert says in str(parser.fault)
    assert parser.feed(frame(TEXT, b"later")) == []


def test_size_limit_is_met_exactly_and_counts_fragments_together() -> None:
    assert parsed(frame(TEXT, b"x" * 100), 100) == ([b"x" * 100], [], None)
    assert parsed(frame(TEXT, b"x" * 101), 100) == ([], [], 1009)
    assert parsed(frame(TEXT, b"x" * 60, fin=False) + frame(0, b"x" * 40), 100) == ([b"x" * 100], [], None)
    assert parsed(frame(TEXT, b"x" * 60, fin=False) + frame(0, b"x" * 41), 100) == ([], [], 1009)
    # Control frames do not count, and a finished message leaves room for the next.
    assert parsed(frame(TEXT, b"x" * 99, fin=False) + frame(PING, b"p" * 50) + frame(0, b"x"), 100).code is None
    assert parsed(frame(TEXT, b"x" * 100) * 5, 100).code is None


def test_a_huge_header_buffers_nothing() -> None:
    parser = FrameParser(64 << 20)
    tracemalloc.start()
    try:
        parser.feed(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"))
        assert parser.fault is not None
        for _ in range(100):
            parser.feed(b"x" * 100_000)
        # One announced within the limit costs nothing either before its bytes come.
        FrameParser(64 << 20).feed(b"\x82\x7f" + (60 << 20).to_bytes(8, "big"))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_read_after_a_close_frame() -> None:
    parser = FrameParser(LIMIT)
    assert parser.feed(frame(TEXT, b"last") + frame(CLOSE, b"\x03\xe9bye") + frame(TEXT, b"x")) == [b"last"]
    assert parser.closed == Closed(1001, "bye")
    assert parser.feed(frame(TEXT, b"x") + b"\xff\xff") == []
    assert parser.controls == [(CLOSE, b"\x03\xe9bye")]
    assert parser.fault is None


def test_idle_tells_whether_something_is_missing() -> None:
    parser = FrameParser(LIMIT)
    for data, idle in ((b"", True), (b"\x81", False), (b"\x05", False), (b"hello", True)):
        parser.feed(data)
        assert parser.idle is idle
    parser.feed(frame(TEXT, b"x", fin=False))
    assert not parser.idle
    parser.feed(frame(0))
    assert parser.idle


def cpu_of(pieces: list[bytes]) -> float:
    parser = FrameParser(64 << 20)
    started = time.process_time()
    count = sum(len(parser.feed(piece)) for piece in pieces)
    assert count == 1
    return time.process_time() - started


@pytest.mark.parametrize("shape", ["drops", "fragments"])
def test_cost_grows_with_the_bytes_not_with_their_square(shape: str) -> None:
    def pieces(count: int) -> list[bytes]:
        if shape == "fragments":
            parts = [frame(0 if i else TEXT, b"x" * 1000, fin=i == count - 1) for i in range(count)]
            return [b"".join(parts)]
        whole = frame(TEXT, b"x" * count * 1000)
        return [whole[i : i + 1000] for i in range(0, len(whole), 1000)]

    small = min(cpu_of(pieces(500)) for _ in range(3))
    large = min(cpu_of(pieces(8000)) for _ in range(3))
    assert large < 16 * small * 4 + 0.05


def test_close_frame_and_payload() -> None:
    assert Closed.parse(b"") == (1005, "")
    assert Closed.parse(close_payload(4000, "läuft ab")) == (4000, "läuft ab")
    assert Closed.parse(close_payload(1001)) == (1001, "")
    long = close_payload(1000, "ü" * 100)
    assert len(long) <= 125
    assert Closed.parse(long).reason == "ü" * 61
    with pytest.raises(Violation, match="reason"):
        Closed.parse(b"\x03\xe8\xc3")


@given(close_codes, st.binary(max_size=123))
def test_close_payloads_are_judged_as_websockets_does(code: int, reason: bytes) -> None:
    data = frame(CLOSE, code.to_bytes(2, "big") + reason)
    assert parsed(data) == theirs(data)
