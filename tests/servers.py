"""Servers on loopback for the tests: scripted at the level of bytes, over plain TCP or real TLS."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import Any

import trustme

WAIT_S = 20.0
"""The bound of everything that a test waits for: never reached, unless something is broken."""


@cache
def authority() -> trustme.CA:
    """The throwaway authority that signs every certificate of the tests."""
    return trustme.CA()


@cache
def server_context(*names: str) -> ssl.SSLContext:
    """TLS settings of a server with a certificate for these names (this machine's, by default)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("localhost", "127.0.0.1", "::1"))).configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """TLS settings of a client that trusts the throwaway authority alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = False) -> bytes:
    """A frame as a server sends it; ``mask`` makes it one that a client would."""
    length = len(payload)
    short = length if length < 126 else 126 if length < 1 << 16 else 127
    head = bytes([fin << 7 | rsv << 4 | opcode, mask << 7 | short])
    if short >= 126:
        head += struct.pack("!H" if short == 126 else "!Q", length)
    return head + (b"\0\0\0\0" if mask else b"") + payload


def unmasked(data: bytes) -> tuple[int, bytes]:
    """The only frame in ``data``, as a client sends it: (opcode, payload)."""
    read = io.BytesIO(data).read
    opcode, payload = read_frame(read)
    assert not read()
    return opcode, payload


def read_frame(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """The next frame of a client, unmasked: (opcode, payload); ``read`` gives exactly so many bytes."""
    first, second = read(2)
    assert first & 0xF0 == 0x80, f"client frame begins with {first:#x}"
    assert second & 0x80, "a client must mask"
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(read(2 if length == 126 else 8), "big")
    mask = read(4)
    payload = read(length)
    full = mask * (length // 4) + mask[: length % 4]
    plain = (int.from_bytes(payload, "big") ^ int.from_bytes(full, "big")).to_bytes(length, "big")
    return first & 0x0F, plain


def accept_of(request: bytes) -> str:
    """The Sec-WebSocket-Accept that belongs to an upgrade request."""
    key = request.lower().split(b"sec-websocket-key: ")[1]
    key = request[len(request) - len(key) :].split(b"\r\n")[0]
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class Peer:
    """The server's end of one connection, for a handler to use as it likes.

    ``request`` is the head of the client's upgrade request (empty where the server does none).
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.request = b""
        self._received = b""

    @property
    def headers(self) -> dict[str, str]:
        lines = self.request.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(": ") for line in lines if line)
        return {name.lower(): value for name, _, value in pairs}

    def read_head(self) -> bytes:
        """Everything up to and including the first empty line."""
        while b"\r\n\r\n" not in self._received:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionResetError("the client left before its request was complete")
            self._received += data
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def upgrade(self, *, key: str | None = None, more: bytes = b"", headers: str = "") -> None:
        """Read the request and answer with 101 (with a wrong accept ``key`` if given), then ``more`` at once."""
        self.request = self.read_head()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Accept: {key or accept_of(self.request)}\r\n{headers}\r\n"
        self.sock.sendall(head.encode() + more)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def recv_exactly(self, size: int) -> bytes:
        pieces = [self._received[:size]]
        self._received = self._received[size:]
        size -= len(pieces[0])
        while size:
            piece = self.sock.recv(min(size, 1 << 18))
            if not piece:
                raise ConnectionResetError("the client closed in the middle")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def read_frame(self) -> tuple[int, bytes]:
        """The next frame of the client, unmasked: (opcode, payload)."""
        return read_frame(self.recv_exactly)

    def wait_gone(self) -> None:
        """Read and forget until the client is gone."""
        with suppress(OSError):
            while self.sock.recv(1 << 16):
                pass

    def reset(self) -> None:
        """Cut the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RawServer:
    """Accepts connections on loopback and hands each to ``handler``, on a thread of its own.

    With ``tls`` the TLS handshake, and with ``upgrade`` the WebSocket upgrade, is done before. What a handler raises is
    raised again by `close`, but for a connection that the client has ended. Leaving closes all sockets and waits for
    all threads.
    """

    def __init__(
        self,
        handler: Callable[[Peer], Any],
        *,
        tls: ssl.SSLContext | None = None,
        upgrade: bool = True,
        host: str = "127.0.0.1",
        receive_buffer: int | None = None,
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._upgrade = upgrade
        self._listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((host, 0))
        self._listener.listen()
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.peers: list[Peer] = []
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._closing = False
        self._threads = [threading.Thread(target=self._accept, name="raw-server", daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://{self.address}/v1/realtime?model=test"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                if self._closing:
                    sock.close()
                    return
                sock.settimeout(WAIT_S)
                # What was sent is on its way at once: a reset would throw away what Nagle's rule still holds back.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(sock)
                self.peers.append(peer)
                thread = threading.Thread(target=self._serve, args=(peer,), name="raw-peer", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: Peer) -> None:
        try:
            if self._tls:
                peer.sock = self._tls.wrap_socket(peer.sock, server_side=True)
            if self._upgrade:
                peer.upgrade()
            self._handler(peer)
        except (ConnectionError, ssl.SSLError, ssl.SSLEOFError):
            pass
        except BaseException as error:
            if not self._closing:
                self._errors.append(error)
        finally:
            peer.sock.close()

    def close(self) -> None:
        with self._lock:
            self._closing = True
            peers, threads = list(self.peers), list(self._threads)
        for sock in [self._listener, *(peer.sock for peer in peers)]:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not ssl's, which would go on in plain text
        self._listener.close()
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), "a server thread did not end"
        if self._errors:
            raise self._errors[0]

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except BaseException:
            if error is None:
                raise
