"""Real little proxies on loopback: HTTP CONNECT and SOCKS, each leading every name to one and the same server."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import threading
from contextlib import suppress

from servers import WAIT_S, Peer, RawServer


class _Duplex:
    """A socket for one reader and one writer at the same time, which an `ssl.SSLSocket` alone is not made for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        sock.setblocking(False)

    def recv(self) -> bytes:
        while True:
            try:
                with self._lock:
                    return self._sock.recv(1 << 16)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([self._sock], [], [], 0.2)

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                with self._lock:
                    rest = rest[self._sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([], [self._sock], [], 0.2)

    def end(self) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def _pipe(source: _Duplex, sink: _Duplex) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv():
            sink.send(data)
    source.end()
    sink.end()


def _join(peer: Peer, target: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    near, far = _Duplex(peer.sock), _Duplex(target)
    back = threading.Thread(target=_pipe, args=(far, near), daemon=True)
    back.start()
    _pipe(near, far)
    back.join(WAIT_S)
    target.close()


class ConnectProxy(RawServer):
    """An HTTP proxy. ``requests`` holds the heads that it got; ``auth`` is the ``user:password`` that it wants,
    ``interim`` what it says before its answer."""

    def __init__(
        self,
        port: int,
        *,
        auth: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        interim: bytes = b"",
    ) -> None:
        self.requests: list[bytes] = []
        self._interim = interim
        self._to = port
        self._token = base64.b64encode(auth.encode()) if auth else b""
        super().__init__(self._tunnel, tls=tls, upgrade=False, host=host)

    def _tunnel(self, peer: Peer) -> None:
        head = peer.read_head()
        self.requests.append(head)
        if self._token not in head:
            said = b"who are you, " + head.split(b"Basic ")[-1].split(b"\r\n")[0]
            peer.send(b"HTTP/1.1 407 Auth\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))
            return
        target = socket.create_connection((self.host, self._to), WAIT_S)
        peer.send(self._interim + b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        _join(peer, target)


class SocksProxy(RawServer):
    """A proxy for SOCKS 4, 4a and 5. ``targets`` holds what it was asked for, ``credentials`` what it was shown."""

    def __init__(self, port: int, *, auth: tuple[bytes, bytes] | None = None, refuse: bool = False) -> None:
        self.targets: list[tuple[str, int]] = []
        self.credentials: list[tuple[bytes, bytes]] = []
        self._to = port
        self._auth = auth
        self._refuse = refuse
        super().__init__(self._serve_socks, upgrade=False)

    def _serve_socks(self, peer: Peer) -> None:
        if peer.recv_exactly(1) == b"\5":
            self._socks5(peer)
        else:
            self._socks4(peer)

    def _socks4(self, peer: Peer) -> None:
        _, port, address = peer.recv_exactly(1), int.from_bytes(peer.recv_exactly(2), "big"), peer.recv_exactly(4)
        self._string(peer)
        named = address[:3] == b"\0\0\0" and address[3] != 0
        self.targets.append((self._string(peer).decode() if named else socket.inet_ntoa(address), port))
        peer.send(b"\0" + (b"\x5b" if self._refuse else b"\x5a") + bytes(6))
        if not self._refuse:
            _join(peer, socket.create_connection(("127.0.0.1", self._to), WAIT_S))

    def _string(self, peer: Peer) -> bytes:
        found = b""
        while (value := peer.recv_exactly(1)) != b"\0":
            found += value
        return found

    def _socks5(self, peer: Peer) -> None:
        methods = peer.recv_exactly(peer.recv_exactly(1)[0])
        if self._auth:
            assert 2 in methods
            peer.send(b"\5\2")
            assert peer.recv_exactly(1) == b"\1"
            user = peer.recv_exactly(peer.recv_exactly(1)[0])
            password = peer.recv_exactly(peer.recv_exactly(1)[0])
            self.credentials.append((user, password))
            peer.send(b"\1" + (b"\0" if (user, password) == self._auth else b"\1"))
        else:
            peer.send(b"\5\0")
        kind = peer.recv_exactly(4)[3]
        if kind == 1:
            host = socket.inet_ntoa(peer.recv_exactly(4))
        elif kind == 4:
            host = socket.inet_ntop(socket.AF_INET6, peer.recv_exactly(16))
        else:
            host = peer.recv_exactly(peer.recv_exactly(1)[0]).decode()
        self.targets.append((host, int.from_bytes(peer.recv_exactly(2), "big")))
        peer.send(b"\5" + (b"\5" if self._refuse else b"\0") + b"\0\1" + bytes(6))
        if not self._refuse:
            _join(peer, socket.create_connection(("127.0.0.1", self._to), WAIT_S))
