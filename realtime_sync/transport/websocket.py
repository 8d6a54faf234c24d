"""The client's end of an open WebSocket without any I/O: bytes in and out, and the time is passed in.

It answers pings and the peer's close, keeps the connection alive, and knows when and why it has ended. Whoever owns it
moves the bytes: what arrives goes to `WebSocket.feed`, what `WebSocket.text` and `WebSocket.next_control` return goes
out, and when the clock reaches `WebSocket.due_s` without a byte, `WebSocket.tick` is called.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

from realtime_sync.errors import ConnectionClosed, ConnectionLost
from realtime_sync.transport.frames import CLOSE, PING, PONG, TEXT, Closed, FrameParser, Violation, close_payload
from realtime_sync.transport.headers import in_one_line
from realtime_sync.transport.masking import client_frame

__all__ = ["End", "Silence", "WebSocket", "error_of"]

_NORMAL: Final = 1000
_CONTROL_ORDER: Final = (PONG, PING, CLOSE)


class Silence(NamedTuple):
    """The peer sent nothing for ``silence_s`` seconds, not even the answer to a ping."""

    silence_s: float


End: TypeAlias = Closed | Violation | Silence
"""Why nothing more will be received: the peer's close frame, its breach of the protocol, or its silence."""


class WebSocket:
    """One side reads, the other writes; they may be two threads.

    The reading side calls `keep_alive`, `feed` and `tick`. `due_s` is the time, on the caller's clock, at which `tick`
    is to be called unless bytes came before. `end` says why nothing more will be received; what came before that has
    been returned by `feed`.

    Control frames that wait to be written stand in `staged`, payloads by opcode, the newest of each kind. Any thread
    may stage one, without a lock, since that is a single step of the dict. Whoever writes takes them out with
    `next_control`, and needs a lock around that and the writing where several threads write.
    """

    __slots__ = (
        "_goodbye",
        "_interval_s",
        "_parser",
        "_pinged",
        "_timeout_s",
        "due_s",
        "end",
        "staged",
    )

    def __init__(self, max_message_bytes: int) -> None:
        self.due_s = math.inf
        self.end: End | None = None
        self._parser = FrameParser(max_message_bytes)
        self._interval_s = math.inf
        self._timeout_s = math.inf
        self._pinged = False
        self.staged: dict[int, bytes] = {}
        self._goodbye = False  # whether a close frame of ours was handed out

    # The reading side

    def keep_alive(self, interval_s: float | None, timeout_s: float, now_s: float) -> None:
        """From now on send a ping after ``interval_s`` seconds of silence (``None``: never), and count the connection
        as lost when the silence goes on for ``timeout_s`` seconds after it."""
        self._interval_s = math.inf if interval_s is None else interval_s
        self._timeout_s = timeout_s
        self._pinged = False
        self.due_s = now_s + self._interval_s

    def feed(self, data: bytes, now_s: float) -> list[bytes]:
        """Take received bytes; return the messages that they complete, in order. Any byte is a sign of life."""
        self.due_s = now_s + self._interval_s
        self._pinged = False
        parser = self._parser
        messages = parser.feed(data)
        if parser.controls or parser.fault:
            self._react()
        return messages

    def tick(self, now_s: float) -> None:
        """Look at the clock: stages the ping that is due, or sets `end` when the last one was not answered."""
        if now_s < self.due_s:
            return
        if self._pinged:
            self.end = self.end or Silence(self._interval_s + self._timeout_s)
            self.due_s = math.inf
        else:
            self.staged[PING] = b""
            self._pinged = True
            self.due_s = now_s + self._timeout_s

    @property
    def parted(self) -> bool:
        """Whether the peer's close frame is the answer to ours, as far as that can be seen: its code is a normal one,
        that of ours."""
        return self._goodbye and isinstance(self.end, Closed) and self.end.code == _NORMAL

    @property
    def idle(self) -> bool:
        """Whether no part of a frame or message waits for its rest."""
        return self._parser.idle

    def _react(self) -> None:
        parser = self._parser
        for opcode, payload in parser.controls:
            if opcode == PING:
                self.staged[PONG] = payload  # an older one that has not left is answered by this, too (RFC 6455, 5.5.3)
            elif opcode == CLOSE:
                self.end = parser.closed
                self.staged.setdefault(CLOSE, payload[:2])
        parser.controls.clear()
        if parser.fault:
            self.end = parser.fault
            self.staged.setdefault(CLOSE, close_payload(parser.fault.code))

    # The writing side

    def text(self, text: str | bytes) -> bytes:
        """The frame of a message."""
        return client_frame(TEXT, text.encode() if isinstance(text, str) else text)

    def close(self, code: int = _NORMAL, reason: str = "") -> None:
        """Stage a close frame, if none was before; after it nothing may be sent."""
        self.staged.setdefault(CLOSE, close_payload(code, reason))

    @property
    def closing(self) -> bool:
        """Whether our side has said goodbye, or is about to: no message may follow."""
        return self._goodbye or CLOSE in self.staged

    def next_control(self) -> bytes | None:
        """Take out the control frame to write next: pong, ping, then close, of each kind the newest only."""
        if self._goodbye:
            self.staged.clear()
        for opcode in _CONTROL_ORDER:
            payload = self.staged.pop(opcode, None)
            if payload is not None:
                self._goodbye = opcode == CLOSE
                return client_frame(opcode, payload)
        return None


def error_of(end: End, peer: str) -> ConnectionClosed:
    """The exception that tells of an end: a plain `ConnectionClosed` for a clean one (code 1000)."""
    if isinstance(end, Silence):
        return ConnectionLost(f"the server has been silent for {end.silence_s:g} s, pings included")
    if isinstance(end, Violation):
        error = ConnectionLost(f"{peer} broke the WebSocket protocol: it sent {end}", code=end.code)
        error.__cause__ = end
        return error
    kind = ConnectionClosed if end.code == _NORMAL else ConnectionLost
    said = f": {in_one_line(end.reason)}" if end.reason else ""
    return kind(f"the server closed the connection with code {end.code}{said}", code=end.code, reason=end.reason)
