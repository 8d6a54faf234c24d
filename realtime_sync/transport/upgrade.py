"""The WebSocket upgrade, done by websocket-client over our stream."""

from __future__ import annotations

from typing import Any

from realtime_sync._deadline import Deadline
from realtime_sync.errors import HandshakeError
from realtime_sync.transport.headers import Headers, SecretBytes, Secrets, header_lines
from realtime_sync.transport.http import Head, read_body, read_head, refusal
from realtime_sync.transport.stream import Stream
from realtime_sync.transport.target import Target

__all__ = ["upgrade"]


def upgrade(
    stream: Stream, target: Target, headers: Headers, secrets: Secrets, deadline: Deadline
) -> tuple[dict[str, str], bytes]:
    """Turn the stream into a WebSocket; return the server's headers and the first bytes that followed them.

    ``secrets`` are left out of what an error repeats of the answer.

    Raises `HandshakeError` for any answer but a valid 101 (`AuthenticationError` for 401 and 403), `RealtimeTimeout`.
    """
    import websocket

    client = _UpgradeSocket(stream, target, headers, secrets, deadline)
    handshake: Any = websocket.WebSocket(enable_multithread=False)
    try:
        # A host that nobody has keeps the library's global cookie jar out of it; the real one goes into `host`.
        handshake.connect(
            "ws://upgrade.invalid/", socket=client, host=target.authority, suppress_origin=True, redirect_limit=0
        )
    except Exception as error:
        if client.failure is not None:
            raise client.failure from client.failure.__cause__
        raise HandshakeError(
            f"{target.address} answered the WebSocket upgrade wrongly ({secrets.redact(str(error))}); does a proxy or "
            "gateway in between not know WebSocket?",
            status=101,
        ) from error
    assert client.head is not None
    if "sec-websocket-extensions" in client.head.headers:
        raise HandshakeError(f"{target.address} wants a WebSocket extension that was not offered", status=101)
    return client.head.headers, client.received


class _UpgradeSocket:
    """The side of a socket that websocket-client's handshake uses.

    Our headers are put in on the way out and cookies are left out on the way in: so neither the credentials nor the
    server's cookies ever reach that library's trace log and its global cookie jar. Any answer but 101 ends the
    handshake here, before a redirect could be followed.
    """

    def __init__(self, stream: Stream, target: Target, headers: Headers, secrets: Secrets, deadline: Deadline) -> None:
        self.head: Head | None = None
        self.received = b""
        self.failure: Exception | None = None
        self._stream = stream
        self._target = target
        self._headers = headers
        self._secrets = secrets
        self._deadline = deadline
        self._shown = b""

    def send(self, data: bytes) -> int:
        lines = data.removeprefix(b"GET / ").removesuffix(b"\r\n")
        try:
            self._stream.send_all(
                SecretBytes(b"GET %s %s%s\r\n" % (self._target.path.encode(), lines, header_lines(self._headers))),
                self._deadline,
                f"the upgrade at {self._target.address}",
            )
        except Exception as error:
            self.failure = error
            raise
        return len(data)

    def recv(self, size: int) -> bytes:
        if self.head is None:
            try:
                self.head = self._answer()
            except Exception as error:
                self.failure = error
                raise
            lines = (f"{name}: {value}\r\n" for name, value in self.head.headers.items() if name != "set-cookie")
            self._shown = f"HTTP/1.1 101 {self.head.reason}\r\n{''.join(lines)}\r\n".encode()
        piece, self._shown = self._shown[:size], self._shown[size:]
        return piece

    def _answer(self) -> Head:
        who = self._target.address
        head, self.received = read_head(self._stream, self._deadline, who, f"the upgrade at {who}", self._secrets)
        if head.status != 101:
            # Not by way of a name: a traceback would show the body as it is.
            raise refusal(who, head, read_body(self._stream, head, self.received, self._deadline), self._secrets)
        return head

    def gettimeout(self) -> int:
        """Zero has websocket-client call `send` and `recv` straight, without waiting itself."""
        return 0

    def close(self) -> None:
        """The stream's owner closes it."""
