"""The server: a process of its own that sends frames made beforehand, as fast as the client takes them or at a pace.

What a connection serves is its ``model``, see `Order`. Every message of the client is the word to serve it once (once
more), but in an order for appends, where the messages are counted and answered by one event after the last. It listens
twice: for TCP, and for TLS with a certificate that is made for this run.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from benchmarks.recorded import session_created, stream_of

APPENDS = "appends"
STAMPS = "stamps"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BLOCK_BYTES = 1 << 20


class Order(NamedTuple):
    """``kind`` of events, ``count`` of them, and the seconds from one to the next (0: no pause)."""

    kind: str
    count: int
    pause_s: float = 0.0

    @property
    def model(self) -> str:
        """The name of the model that a client asks for to get this."""
        return f"{self.kind}:{self.count}:{self.pause_s}"

    @classmethod
    def parse(cls, model: str) -> Order:
        kind, count, pause_s = model.split(":")
        return cls(kind, int(count), float(pause_s))


def frame(payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes([0x81, length]) + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


class Client:
    """One connection, on a thread of its own."""

    def __init__(self, sock: socket.socket, secured: Callable[[socket.socket], socket.socket]) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._secured = secured
        self._frames: list[bytes] = []
        self._buffer = bytearray()

    def run(self) -> None:
        try:
            self._sock = self._secured(self._sock)
            with self._sock:
                self._serve(self._upgrade())
        except (OSError, EOFError):  # the client has gone
            pass

    def _upgrade(self) -> Order:
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + _GUID).digest())
        order = Order.parse(parse_qs(urlsplit(request.split()[1]).query)["model"][0])
        if order.kind not in (APPENDS, STAMPS):
            self._frames = list(map(frame, stream_of(order.kind, order.count)))
        answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._sock.sendall(answer + b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept + frame(session_created()))
        return order

    def _serve(self, order: Order) -> None:
        messages = 0
        while self._skip_message():
            messages += 1
            if order.kind == APPENDS:
                if messages % order.count == 0:
                    committed = b'{"type":"input_audio_buffer.committed","event_id":"event_1","item_id":"item_1"}'
                    self._sock.sendall(frame(committed))
            elif order.kind == STAMPS:
                self._send_stamps(order)
            else:
                self._send(order)

    def _send(self, order: Order) -> None:
        if order.pause_s:
            for data in self._frames:
                self._sock.sendall(data)
                time.sleep(order.pause_s)
            return
        at_once = max(1, _BLOCK_BYTES // len(self._frames[0]))
        for start in range(0, len(self._frames), at_once):
            self._sock.sendall(b"".join(self._frames[start : start + at_once]))

    def _send_stamps(self, order: Order) -> None:
        """Text deltas whose text is the time of their sending."""
        text = b'{"type":"response.output_text.delta","event_id":"event_1","response_id":"resp_1","item_id":"item_1",'
        text += b'"output_index":0,"content_index":0,"delta":"%d"}'
        for _ in range(order.count):
            time.sleep(order.pause_s)
            self._sock.sendall(frame(text % time.monotonic_ns()))

    def _skip_message(self) -> bool:
        """Drop the next message, answering pings before it; False for a close frame, which is answered too."""
        while True:
            opcode, masked, mask = self._next_frame()
            if opcode < 8:
                return True
            payload = bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))
            if opcode == 8:
                self._sock.sendall(b"\x88\x02" + payload[:2])
                return False
            if opcode == 9:
                self._sock.sendall(bytes([0x8A, len(payload)]) + payload)

    def _next_frame(self) -> tuple[int, bytes, bytes]:
        self._want(2)
        opcode, length = self._buffer[0] & 0x0F, self._buffer[1] & 0x7F
        start = 2
        if length > 125:
            start += 2 if length == 126 else 8
            self._want(start)
            length = int.from_bytes(self._buffer[2:start], "big")
        start += 4
        self._want(start + length)
        found = opcode, bytes(self._buffer[start : start + length]), bytes(self._buffer[start - 4 : start])
        del self._buffer[: start + length]
        return found

    def _want(self, size: int) -> None:
        while len(self._buffer) < size:
            self._read()

    def _read(self) -> None:
        data = self._sock.recv(_BLOCK_BYTES)
        if not data:
            raise EOFError
        self._buffer += data


def serve(secured: Callable[[socket.socket], socket.socket]) -> int:
    """Listen on a port of its own, which is returned."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=Client(sock, secured).run, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def main(authority_path: str) -> None:
    """Write the certificate of the authority to trust, print the ports for TCP and TLS, serve until stdin ends."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(authority_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    plain = serve(lambda sock: sock)
    secure = serve(lambda sock: context.wrap_socket(sock, server_side=True))
    print(plain, secure, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
