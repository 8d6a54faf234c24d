"""The little HTTP that comes before the frames: answers of a proxy and of the server to the upgrade."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from realtime_sync._deadline import Deadline
from realtime_sync.errors import AuthenticationError, HandshakeError, RealtimeError
from realtime_sync.transport.headers import HEADER_NAME, SecretBuffer, SecretBytes, Secrets, in_one_line
from realtime_sync.transport.stream import Stream, TlsStream

__all__ = ["Head", "read_body", "read_head", "refusal", "retry_after_s"]

_MOST_HEAD_BYTES: Final = 64 * 1024
_MOST_BODY_BYTES: Final = 64 * 1024
_MOST_INTERIM: Final = 16
"""One or two are usual: who sends them without end must not keep anybody waiting."""
_TLS_ALERT: Final = b"\x15\x03"
"""What a server that speaks TLS says to a request in plain text."""
_WANTS_TLS: Final = "; if it speaks TLS on this port, write https:// or wss:// in place of http:// or ws://"
_BODY_PATIENCE_S: Final = 2.0
"""The status is known by then: a body that does not come must not delay the error for long."""

_MOST_RETRY_S: Final = 366 * 86400.0
"""Who asks to wait longer does not mean it."""

_STATUS: Final = re.compile(r"[0-9]{3}")
_LENGTH: Final = re.compile(r"[0-9]{1,9}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class Head(NamedTuple):
    """Status line and header of an HTTP answer, without the credentials that the peer repeats; header names in lower
    case, values that repeat joined by commas."""

    status: int
    reason: str
    headers: dict[str, str]

    @classmethod
    def parse(cls, raw: bytes, who: str, secrets: Secrets) -> Head:
        """Read a head. Raises `HandshakeError`, without the ``secrets``, when it is none."""
        first, *lines = secrets.redact(raw.decode("latin-1")).rstrip("\r\n").split("\r\n")
        version, _, rest = first.partition(" ")
        status, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not _STATUS.fullmatch(status):
            raise HandshakeError(f"{who} does not answer in HTTP; it begins with {first[:40]!r}")
        values: dict[str, list[str]] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not HEADER_NAME.fullmatch(name):
                raise HandshakeError(f"{who} sent a malformed header line", status=int(status))
            values.setdefault(name.lower(), []).append(value.strip())
        return cls(int(status), reason.strip(), {name: ", ".join(found) for name, found in values.items()})


def read_head(stream: Stream, deadline: Deadline, who: str, doing: str, secrets: Secrets) -> tuple[Head, bytes]:
    """Read the head of an answer, past interim ones (such as 103 Early Hints), and what was received after it. Raises
    `HandshakeError` and `RealtimeTimeout`."""
    received = SecretBuffer()  # a traceback shows what this frame holds
    interim = at = 0
    while True:
        end = received.find(b"\r\n\r\n", at)
        if (end if end >= 0 else len(received)) > _MOST_HEAD_BYTES:
            raise HandshakeError(f"{who} sent a header of more than {_MOST_HEAD_BYTES} bytes")
        if end >= 0:
            head = Head.parse(SecretBytes(received[:end]), who, secrets)
            del received[: end + 4]
            if head.status == 101 or not 100 <= head.status < 200:
                return head, SecretBytes(received)
            interim += 1
            if interim > _MOST_INTERIM:
                raise HandshakeError(f"{who} sent more than {_MOST_INTERIM} interim answers", status=head.status)
            at = 0
            continue
        at = max(0, len(received) - 3)
        hint = "" if received or interim or isinstance(stream, TlsStream) else _WANTS_TLS
        try:
            data = SecretBytes(stream.receive(deadline, doing))
        except HandshakeError as error:
            raise HandshakeError(f"{error}{hint}") from error.__cause__
        if not data:
            raise HandshakeError(f"{who} closed the connection {'within' if received else 'before'} its answer{hint}")
        received += data
        if received.startswith(_TLS_ALERT) and not interim:
            raise HandshakeError(
                f"{who} speaks TLS on this port: write https:// or wss:// in place of http:// or ws://"
            )


def read_body(stream: Stream, head: Head, received: bytes, deadline: Deadline) -> str:
    """The start of the body of a refusal as text, as far as it comes; never raises."""
    chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
    length = head.headers.get("content-length", "")
    most = _MOST_BODY_BYTES
    if _LENGTH.fullmatch(length) and not chunked:
        most = min(int(length), most)
    remaining = deadline.remaining()
    patience = Deadline(_BODY_PATIENCE_S if remaining is None else min(_BODY_PATIENCE_S, remaining))
    body = bytearray(received)
    try:
        # That the last chunk has come is a guess, by what it usually looks like. A wrong one costs a part of the text.
        while len(body) < most and not (chunked and b"0\r\n\r\n" in body[-7:]):
            data = stream.receive(patience, "the body of a refusal")
            if not data:
                break
            body += data
    except RealtimeError:
        pass
    return (_unchunk(bytes(body)) if chunked else bytes(body[:most])).decode(errors="replace")


def _unchunk(raw: bytes) -> bytes:
    """The payload of the chunks, up to the first that is malformed, and 64 KiB at most."""
    body = bytearray()
    size_line = _CHUNK_SIZE.match(raw)
    while size_line and len(body) < _MOST_BODY_BYTES:
        start = size_line.end()
        stop = start + int(size_line[1], 16)
        body += raw[start:stop]
        size_line = _CHUNK_SIZE.match(raw, stop + 2)
    return bytes(body[:_MOST_BODY_BYTES])


def refusal(who: str, head: Head, body: str, secrets: Secrets, *, by_proxy: bool = False) -> HandshakeError:
    """The error for an answer that is not the wanted one, without the ``secrets`` that the peer may repeat."""
    body = secrets.redact(body)
    said = in_one_line(secrets.redact(_message_of(body) or head.reason))
    request_id = head.headers.get("x-request-id") or head.headers.get("apim-request-id")
    kind = AuthenticationError if head.status in (401, 403) and not by_proxy else HandshakeError
    return kind(
        f"{who} refused the connection with HTTP {head.status}" + (f": {said}" if said else ""),
        status=head.status,
        body=body or None,
        request_id=secrets.redact(request_id) if request_id else None,
        retry_after_s=retry_after_s(head.headers),
    )


def _message_of(body: str) -> str:
    """What an error body of the usual shapes says."""
    try:
        error: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message"):
        error = error.get(key, error) if isinstance(error, dict) else error
    return error if isinstance(error, str) else ""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that the peer asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if 0 <= seconds <= _MOST_RETRY_S:  # false for NaN
            return seconds
    seconds = _seconds_until(headers.get("retry-after", ""))
    return max(0.0, seconds) if seconds <= _MOST_RETRY_S else None


def _seconds_until(date: str) -> float:
    """The seconds from now to a date of HTTP; NaN for what is none."""
    from datetime import datetime, timezone  # here, since `email` is slow to load and a refusal is rare
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(date)
        if at.tzinfo is None:
            at = at.replace(tzinfo=timezone.utc)
        return (at - datetime.now(timezone.utc)).total_seconds()
    except Exception:  # of many kinds, for a peer may write anything: a year of twenty digits is an OverflowError
        return math.nan
