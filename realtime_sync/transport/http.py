"""The little HTTP that comes before the frames: answers of a proxy and of the server to the upgrade."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from realtime_sync._deadline import Deadline
from realtime_sync.errors import AuthenticationError, ConfigurationError, HandshakeError, RealtimeError
from realtime_sync.transport.stream import Stream

__all__ = ["Head", "header_lines", "read_body", "read_head", "redact", "refusal", "secrets_of"]

_MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_BODY_BYTES: Final = 64 * 1024
_BODY_PATIENCE_S: Final = 2.0
"""The status is known by then: a body that does not come must not delay the error for long."""

_SECRET_HEADERS: Final = frozenset({"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization"})
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE: Final = re.compile(r"[^\t -~\x80-\xff]")


class Head(NamedTuple):
    """Status line and header of an HTTP answer; header names in lower case, values that repeat joined by commas."""

    status: int
    reason: str
    headers: dict[str, str]

    @classmethod
    def parse(cls, raw: bytes, who: str) -> Head:
        """Read a head. Raises `HandshakeError` when it is none."""
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        version, _, rest = first.partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not re.fullmatch(r"\d{3}", status):
            raise HandshakeError(f"{who} does not answer in HTTP; it begins with {first[:40]!r}")
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not _NAME.fullmatch(name):
                raise HandshakeError(f"{who} sent a malformed header line", status=int(status))
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return cls(int(status), reason.strip(), headers)


def read_head(stream: Stream, deadline: Deadline, who: str, doing: str) -> tuple[Head, bytes]:
    """Read the head of an answer, and what was received after it. Raises `HandshakeError` and `RealtimeTimeout`."""
    received = bytearray()
    while True:
        data = stream.receive(deadline, doing)
        if not data:
            raise HandshakeError(f"{who} closed the connection {'within' if received else 'before'} its answer")
        at = max(0, len(received) - 3)
        received += data
        end = received.find(b"\r\n\r\n", at)
        if (end if end >= 0 else len(received)) > _MOST_HEAD_BYTES:
            raise HandshakeError(f"{who} sent a header of more than {_MOST_HEAD_BYTES} bytes")
        if end >= 0:
            return Head.parse(bytes(received[:end]), who), bytes(received[end + 4 :])


def read_body(stream: Stream, head: Head, received: bytes, deadline: Deadline) -> str:
    """The start of the body of a refusal as text, as far as it comes; never raises."""
    chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
    length = head.headers.get("content-length", "")
    most = min(int(length), _MOST_BODY_BYTES) if length.isdecimal() and not chunked else _MOST_BODY_BYTES
    remaining = deadline.remaining()
    patience = Deadline(_BODY_PATIENCE_S if remaining is None else min(_BODY_PATIENCE_S, remaining))
    body = bytearray(received)
    try:
        while len(body) < most and not (chunked and b"0\r\n\r\n" in body[-7:]):
            data = stream.receive(patience, "the body of a refusal")
            if not data:
                break
            body += data
    except RealtimeError:
        pass
    return (_unchunk(bytes(body)) if chunked else bytes(body[:most])).decode(errors="replace")


def _unchunk(raw: bytes) -> bytes:
    body = b""
    while raw:
        size_line, _, raw = raw.partition(b"\r\n")
        try:
            size = int(size_line.split(b";")[0], 16)
        except ValueError:
            break
        body += raw[:size]
        raw = raw[size + 2 :]
    return body


def refusal(who: str, head: Head, body: str, secrets: Iterable[str] = (), *, by_proxy: bool = False) -> HandshakeError:
    """The error for an answer that is not the wanted one; ``secrets`` are blotted out of what the peer said."""
    body = redact(body, secrets)
    said = redact(_message_of(body) or head.reason, secrets)
    kind = AuthenticationError if head.status in (401, 403) and not by_proxy else HandshakeError
    return kind(
        f"{who} refused the connection with HTTP {head.status}" + (f": {said}" if said else ""),
        status=head.status,
        body=body or None,
        request_id=head.headers.get("x-request-id") or head.headers.get("apim-request-id"),
        retry_after_s=retry_after_s(head.headers),
    )


def _message_of(body: str) -> str:
    """What an error body of the usual shapes says, in one line."""
    try:
        error: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message"):
        error = error.get(key, error) if isinstance(error, dict) else error
    return " ".join(error.split())[:500] if isinstance(error, str) else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that the peer asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        date = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, TypeError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def header_lines(headers: Mapping[str, str]) -> str:
    """The lines to put into a request. Raises `ConfigurationError` for what would break out of its line."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not the name of a header")
        if _BAD_VALUE.search(value) or value != value.strip():
            raise ConfigurationError(
                f"the value of the header {name} has a line break, blanks around or a bad character"
            )
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """The credentials among the headers, longest first, to be blotted out wherever a peer repeats them."""
    found = {part for name in headers if name.lower() in _SECRET_HEADERS for part in headers[name].split()}
    return sorted((part for part in found if len(part) >= 8), key=len, reverse=True)


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "<redacted>")
    return text
