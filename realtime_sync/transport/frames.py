"""WebSocket frames out of bytes: incremental, and without any socket.

Only what a client may receive is accepted (RFC 6455): unmasked frames, no reserved bits (no extension is ever agreed,
so nothing is compressed), whole control frames of at most 125 bytes, fragments in order. The text of a message stays
bytes: the JSON decoder checks its UTF-8, at a fraction of the cost of a second pass here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Closed", "FrameParser", "Violation", "close_payload"]

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FIN: Final = 0x80
_RESERVED: Final = 0x70
_FINAL_TEXT: Final = _FIN | TEXT
_MASKED: Final = 0x80
_SHORT: Final = 126
_LONG: Final = 127
_MOST_CONTROL_BYTES: Final = 125
_CODES: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class Violation(Exception):
    """The peer broke the WebSocket protocol; ``code`` is the close code that says how."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Closed(NamedTuple):
    """What a close frame says; ``code`` is 1005 where it says nothing."""

    code: int
    reason: str

    @classmethod
    def parse(cls, payload: bytes) -> Closed:
        """Read the payload of a close frame. Raises `Violation` when it is malformed."""
        if not payload:
            return cls(1005, "")
        code = int.from_bytes(payload[:2], "big")
        try:
            reason = payload[2:].decode()
        except UnicodeDecodeError:
            raise Violation(1007, f"a close frame (code {code}) whose reason is not UTF-8") from None
        if len(payload) == 1 or not (code in _CODES or 3000 <= code < 5000):
            raise Violation(1002, f"a close frame without a valid close code ({payload[:2].hex()})")
        return cls(code, reason)


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame; the reason is cut at a character so that it fits."""
    text = reason.encode(errors="replace")[: _MOST_CONTROL_BYTES - 2]
    return code.to_bytes(2, "big") + text.decode(errors="ignore").encode()


class FrameParser:
    """Turns received bytes, however they are cut, into whole messages and control frames.

    ``max_message_bytes`` bounds a message before it is buffered: a header that announces more is refused at once.
    `controls` collects the control frames, as (opcode, payload), for the caller to take out. A close frame sets
    `closed`, a violation `fault`; after either all further bytes are ignored. Not thread-safe.
    """

    __slots__ = ("_buffer", "_fin", "_max", "_message", "_need", "_rest", "closed", "controls", "fault")

    def __init__(self, max_message_bytes: int) -> None:
        self.controls: list[tuple[int, bytes]] = []
        self.closed: Closed | None = None
        self.fault: Violation | None = None
        self._max = max_message_bytes
        self._rest = b""  # an incomplete header, or control frame: below 135 bytes
        self._message = 0  # the opcode of the message whose end has not come; 0 when there is none
        self._buffer = bytearray()  # its payload so far
        self._need = 0  # bytes still missing from the payload of its current frame
        self._fin = True  # whether that frame is its last

    @property
    def idle(self) -> bool:
        """Whether no part of a frame or message is waiting for its rest."""
        return not (self._rest or self._message)

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; return the payload of each message that they complete, in order."""
        messages: list[bytes] = []
        if self.fault or self.closed:
            return messages
        position = 0
        if self._need:
            position = self._continue_payload(data, 0, messages)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        append = messages.append
        try:
            while end - position >= 2:
                length = data[position + 1]
                # This branch is the whole of the common case: an unfragmented text below 64 KiB that is all there.
                if data[position] == _FINAL_TEXT and length < _LONG and not self._message:
                    if length < _SHORT:
                        start = position + 2
                    elif end - position >= 4:
                        start = position + 4
                        length = data[position + 2] << 8 | data[position + 3]
                    else:
                        break
                    stop = start + length
                    if stop <= end and length <= self._max:
                        append(data[start:stop])
                        position = stop
                        continue
                moved = self._any_frame(data, position, messages)
                if moved == position:
                    break
                position = moved
        except Violation as violation:
            self.fault = violation.with_traceback(None)  # whose frames hold what the peer sent
            self._buffer = bytearray()
            return messages
        if position < end:
            self._rest = data[position:]
        return messages

    def _any_frame(self, data: bytes, position: int, messages: list[bytes]) -> int:
        """Take one frame, or the part of it that is there; return where to go on, ``position`` for "not yet"."""
        first, second = data[position], data[position + 1]
        opcode = first & 0x0F
        self._check_head(first, second)
        start = position + (2 if second < _SHORT else 4 if second == _SHORT else 10)
        if start > len(data):
            return position
        length = second if second < _SHORT else int.from_bytes(data[position + 2 : start], "big")
        if opcode >= CLOSE:
            stop = start + length
            if stop > len(data):
                return position
            payload = data[start:stop]
            if opcode == CLOSE:
                self.closed = Closed.parse(payload)
                stop = len(data)
            self.controls.append((opcode, payload))
            return stop
        if len(self._buffer) + length > self._max:
            announced = len(self._buffer) + length
            raise Violation(1009, f"a message of {announced} bytes or more, over the limit of {self._max}")
        self._message = self._message or opcode
        self._fin = first >= _FIN
        self._need = length
        return self._continue_payload(data, start, messages)

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & _RESERVED:
            raise Violation(1002, "a frame with reserved bits: compression or another extension that was not agreed")
        if second & _MASKED:
            raise Violation(1002, "a masked frame, which only a client may send")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise Violation(1002, f"a frame of the unknown kind {opcode:#x}")
            if first < _FIN:
                raise Violation(1002, "a control frame in fragments")
            if second > _MOST_CONTROL_BYTES:
                raise Violation(1002, "a control frame of more than 125 bytes")
        elif opcode > BINARY:
            raise Violation(1002, f"a frame of the unknown kind {opcode:#x}")
        elif opcode == CONTINUATION and not self._message:
            raise Violation(1002, "a continuation of no message")
        elif opcode != CONTINUATION and self._message:
            raise Violation(1002, "a new message inside an unfinished one")

    def _continue_payload(self, data: bytes, start: int, messages: list[bytes]) -> int:
        """Add to the payload of the current data frame what of it lies at ``start``; return where it ends."""
        stop = min(start + self._need, len(data))
        self._need -= stop - start
        complete = self._fin and not self._need
        if complete and not self._buffer:
            messages.append(data[start:stop])
            self._message = 0
            return stop
        # A bytearray grows in amortized steps: each byte is copied a bounded number of times, however it is cut.
        self._buffer += memoryview(data)[start:stop]
        if complete:
            messages.append(bytes(self._buffer))
            self._message = 0
            self._buffer = bytearray()
        return stop
