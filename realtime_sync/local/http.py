"""HTTP/1.1 as far as a test server needs it: the head of a request, a bounded body, and an answer that closes."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import attrs

from realtime_sync._deadline import Deadline
from realtime_sync.local.checks import Refusal

__all__ = ["Answer", "Head", "HttpFault", "error_answer", "read_body", "read_head", "send_answer", "shown_key"]

_MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_BODY_BYTES: Final = 64 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_KEY_PROTOCOL: Final = "openai-insecure-api-key."


class HttpFault(Exception):
    """A request that cannot be read, and the status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@attrs.frozen
class Answer:
    """What a request is answered with; ``body`` is sent as JSON, a string as it is."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = attrs.field(factory=dict)


def error_answer(status: int, fault: Refusal) -> Answer:
    """A refusal as the answer to a request: the error body of the protocol."""
    error = {"message": fault.message, "type": fault.type, "param": fault.param, "code": fault.code}
    return Answer(status, {"error": error})


@attrs.frozen
class Head:
    """The head of a request. ``raw`` is what was read of the connection so far: the head, and what came with it."""

    method: str
    path: str
    query: Sequence[tuple[str, str]]
    headers: Sequence[tuple[str, str]]
    raw: bytes = attrs.field(repr=False)
    size: int = attrs.field(repr=False)

    def get_all(self, name: str) -> list[str]:
        """The values of a header, its name in lower case."""
        return [value for known, value in self.headers if known.lower() == name]

    def get(self, name: str) -> str | None:
        """The first value of a header, its name in lower case."""
        return next(iter(self.get_all(name)), None)

    @property
    def is_upgrade(self) -> bool:
        """Whether a WebSocket is asked for."""
        upgrades = ",".join(self.get_all("upgrade")).lower()
        return self.method == "GET" and "websocket" in [name.strip() for name in upgrades.split(",")]


def read_head(sock: socket.socket, deadline: Deadline) -> Head | None:
    """The head of the request that comes on a connection; ``None`` where the peer says nothing or goes.

    Raises `HttpFault` for what is no HTTP, and `OSError` as sockets do, a timeout included.
    """
    raw = b""
    while b"\r\n\r\n" not in raw:
        if len(raw) > _MOST_HEAD_BYTES:
            raise HttpFault(431, "The head of the request is too large.")
        piece = _receive(sock, deadline)
        if not piece:
            return None
        raw += piece
    size = raw.index(b"\r\n\r\n") + 4
    first, *lines = raw[: size - 4].decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not target.startswith("/"):
        raise HttpFault(400, "This is no HTTP/1.1 request.")
    headers = [(name, value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]
    url = urlsplit(target)
    return Head(method, url.path, parse_qsl(url.query, keep_blank_values=True), headers, raw, size)


def read_body(sock: socket.socket, head: Head, deadline: Deadline) -> bytes:
    """The body of a request, of any length that is announced and fits.

    Raises `HttpFault` for other bodies, and `OSError` as sockets do, a timeout included.
    """
    if head.get("transfer-encoding") is not None:
        raise HttpFault(411, "Send the body with its length.")
    length = head.get("content-length") or "0"
    if not length.isascii() or not length.isdigit():
        raise HttpFault(400, "The length of the body is no number.")
    size = int(length)
    if size > _MOST_BODY_BYTES:
        raise HttpFault(413, "The body is too large.")
    if head.get("expect") is not None:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray(head.raw[head.size :])
    while len(body) < size:
        piece = _receive(sock, deadline)
        if not piece:
            raise HttpFault(400, "The body ended early.")
        body += piece
    return bytes(body[:size])


def send_answer(sock: socket.socket, answer: Answer, deadline: Deadline) -> None:
    """Send an answer, as the last thing on its connection. Raises `OSError` as sockets do."""
    body = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, indent=2, ensure_ascii=False)
    payload = b"" if answer.body is None else body.encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(payload)),
        "Connection": "close",
        "x-request-id": f"req_{secrets.token_hex(16)}",
        **answer.headers,
    }
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    sock.settimeout(deadline.remaining())
    sock.sendall("\r\n".join(lines).encode("latin-1") + payload)


def shown_key(head: Head) -> str | None:
    """The key of a request: as a bearer token, in Azure's header, or in a browser's subprotocol."""
    scheme, _, token = (head.get("authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    if (key := head.get("api-key")) is not None:
        return key
    offered = ",".join(head.get_all("sec-websocket-protocol")).split(",")
    keys = [name.strip().removeprefix(_KEY_PROTOCOL) for name in offered if name.strip().startswith(_KEY_PROTOCOL)]
    return keys[0] if keys else None


def _receive(sock: socket.socket, deadline: Deadline) -> bytes:
    sock.settimeout(deadline.remaining() or 0.001)
    return sock.recv(_PIECE_BYTES)
