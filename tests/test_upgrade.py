"""The upgrade: what is asked, which answers are taken, and what every refusal tells."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
import websocket
from servers import WAIT_S, Peer, RawServer, accept_of
from servers import frame as server_frame

from realtime_sync._deadline import Deadline
from realtime_sync.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLost,
    HandshakeError,
    RealtimeTimeout,
)
from realtime_sync.transport import open_transport
from realtime_sync.transport.endpoint import resolve_endpoint
from realtime_sync.transport.frames import CLOSE, TEXT, close_payload
from realtime_sync.transport.http import retry_after_s
from realtime_sync.transport.target import Target

KEY = "sk-very-secret-key"
CHUNKED = "Transfer-Encoding: chunked"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def refused(answer: bytes | Callable[[Peer], Any], *, timeout_s: float = WAIT_S) -> HandshakeError:
    """The error for a server that reads the request and answers so, then ends the connection."""

    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        answer(peer) if callable(answer) else peer.send(answer)

    with RawServer(handler, upgrade=False) as server, pytest.raises(HandshakeError) as caught:
        open_transport(server.url, HEADERS, deadline=Deadline(timeout_s))
    assert KEY not in f"{caught.value}{caught.value.body}"
    return caught.value


def http(status: str, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


# The request


def test_the_request_holds_what_it_should_and_nothing_else() -> None:
    with RawServer(Peer.wait_gone) as server:
        url = f"ws://127.0.0.1:{server.port}/v1/realtime?model=gpt%20x&intent=y"
        transport = open_transport(url, {**HEADERS, "X-Extra": "grüße"}, deadline=Deadline(WAIT_S))
        transport.close()
        (peer,) = server.peers
        assert peer.request.startswith(b"GET /v1/realtime?model=gpt%20x&intent=y HTTP/1.1\r\n")
        assert set(peer.headers) == {
            "host",
            "upgrade",
            "connection",
            "sec-websocket-key",
            "sec-websocket-version",
            "authorization",
            "x-extra",
        }
        assert peer.headers["authorization"] == f"Bearer {KEY}"
        assert peer.headers["x-extra"] == "grüße"
        assert peer.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("wss://api.openai.com/v1/realtime?model=m", "api.openai.com", 443, "/v1/realtime?model=m", "api.openai.com"),
        ("ws://HOST", "host", 80, "/", "host"),
        ("ws://h:443/x", "h", 443, "/x", "h:443"),
        ("wss://h:80/x#part", "h", 80, "/x", "h:80"),
        ("ws://[::1]:9/x", "::1", 9, "/x", "[::1]:9"),
        ("wss://[::1]/?a=b", "::1", 443, "/?a=b", "[::1]"),
        ("wss://bücher.example/", "xn--bcher-kva.example", 443, "/", "xn--bcher-kva.example"),
    ],
)
def test_targets(url: str, host: str, port: int, path: str, authority: str) -> None:
    target = Target.of(url)
    assert (target.host, target.port, target.path, target.authority) == (host, port, path, authority)
    assert target.secure == url.startswith("wss")


@pytest.mark.parametrize(
    "url",
    [
        "http://h/",
        "h/x",
        "ws:///x",
        "ws://h:nan/",
        "ws://h:99999/",
        "ws://[::1/",
        "ws://h/a b",
        "ws://h/ä",
        "ws://ü..e/",
    ],
)
def test_no_targets(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Target.of(url)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nY: b"},
        {"X": "a\nb"},
        {"X\r\nY": "b"},
        {"X:": "b"},
        {"X": " b"},
        {"X": "b\0"},
        {"": "b"},
        {"X": "日"},
    ],
)
def test_a_header_cannot_break_out_of_its_line(headers: dict[str, str]) -> None:
    with RawServer(Peer.wait_gone) as server:
        with pytest.raises(ConfigurationError) as caught:
            open_transport(server.url, headers, deadline=Deadline(WAIT_S))
        assert "Y: b" not in str(caught.value)


def test_cookies_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = "Set-Cookie: session=leak; domain=127.0.0.1\r\nSet-Cookie: other=leak; domain=upgrade.invalid\r\n"
    jar = websocket._handshake.CookieJar
    monkeypatch.setattr(jar, "jar", {})
    jar.set("mine=leak; domain=127.0.0.1")
    before = dict(jar.jar)

    def handler(peer: Peer) -> None:
        peer.upgrade(headers=cookie)
        peer.wait_gone()

    with RawServer(handler, upgrade=False) as server:
        for _ in range(2):
            transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S))
            assert "session=leak" in transport.response_headers["set-cookie"]
            transport.close()
        assert all("cookie" not in peer.headers for peer in server.peers)
        transport = open_transport(server.url, {"Cookie": "own=1"}, deadline=Deadline(WAIT_S))
        transport.close()
        assert server.peers[-1].headers["cookie"] == "own=1"
    assert jar.jar == before


def test_the_trace_of_websocket_client_shows_no_credential() -> None:
    records: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    websocket.enableTrace(True, handler=Collect())
    try:
        with RawServer(Peer.wait_gone) as server:
            transport = open_transport(f"{server.url}&token={KEY}", HEADERS, deadline=Deadline(WAIT_S))
            transport.send_text(KEY, WAIT_S)
            transport.close()
    finally:
        websocket.enableTrace(False)
    assert records
    assert KEY not in "".join(records)


# Answers that are not the wanted one


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(status: str) -> None:
    with RawServer(Peer.wait_gone) as elsewhere:
        error = refused(http(status, b"", f"Location: {elsewhere.url}"))
        assert elsewhere.connections == 0
    assert error.status == int(status[:3])
    assert type(error) is HandshakeError


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials(status: int) -> None:
    body = b'{"error": {"message": "Incorrect API key provided: %s.", "code": "invalid_api_key"}}' % KEY.encode()
    error = refused(http(f"{status} No", body, "X-Request-ID: req_1", "Content-Type: application/json"))
    assert isinstance(error, AuthenticationError)
    assert error.status == status
    assert error.request_id == "req_1"
    assert error.body is not None
    assert "invalid_api_key" in error.body
    assert "Incorrect API key provided: <redacted>." in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("retry-after: 7", 7.0),
        ("Retry-After: 1.5", 1.5),
        ("retry-after-ms: 250\r\nretry-after: 9", 0.25),
        ("X: y", None),
    ],
)
def test_too_many_requests(header: str, seconds: float | None) -> None:
    error = refused(http("429 Too Many Requests", b'{"message": "slow\\n down"}', header))
    assert (error.status, error.retry_after_s) == (429, seconds)
    assert str(error).endswith("HTTP 429: slow down")


def test_retry_after_as_a_date() -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=100)
    assert 90 < (retry_after_s({"retry-after": format_datetime(soon, usegmt=True)}) or 0) <= 100
    naive = format_datetime(soon.replace(tzinfo=None)).replace("-0000", "").strip()
    assert 90 < (retry_after_s({"retry-after": naive}) or 0) <= 100
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    for nonsense in ("soon", "-5", "nan", "inf", ""):
        assert retry_after_s({"retry-after": nonsense}) is None


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (http("500 Oops", b"it broke"), "it broke"),
        (http("500 Oops"), None),
        (http("500 Oops", b"", length=False), None),
        (http("500 Oops", b"until the end", length=False), "until the end"),
        (http("500 Oops", b"more than said", "Content-Length: 4", length=False), "more"),
        (http("500 Oops", b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", CHUNKED, length=False), "hello world"),
        (http("500 Oops", b"5\r\nhello\r\nzz\r\n", CHUNKED, length=False), "hello"),
        (http("500 Oops", b"caf\xe9"), "caf�"),
    ],
)
def test_bodies(answer: bytes, body: str | None) -> None:
    error = refused(answer)
    assert (error.status, error.body) == (500, body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": "plain"}', "plain"),
        (b'{"error": {"message": {"no": "string"}}}', "Oops"),
        (b"[1]", "Oops"),
        (b"<html>", "Oops"),
        (b'"' + b"x" * 2000 + b'"', "x" * 500),
    ],
)
def test_what_the_body_says_is_in_the_message(body: bytes, says: str) -> None:
    error = refused(http("500 Oops", body))
    assert str(error).endswith(f"refused the connection with HTTP 500: {says}")


def test_a_body_is_bounded_and_comes_byte_by_byte() -> None:
    error = refused(http("500 Oops", b"x" * 1_000_000))
    assert len(error.body or "") == 65536

    def slowly(peer: Peer) -> None:
        for value in http("503 Busy", b"later", "x-request-id: r"):
            peer.send(bytes([value]))

    error = refused(slowly)
    assert (error.status, error.body, error.request_id) == (503, "later", "r")


@pytest.mark.parametrize("timeout_s", [0.3, WAIT_S])
def test_a_body_that_never_ends_does_not_hold_the_error_up(timeout_s: float) -> None:
    def stall(peer: Peer) -> None:
        peer.send(http("401 No", b"begun", "Content-Length: 100", length=False))
        peer.wait_gone()

    started = time.monotonic()
    error = refused(stall, timeout_s=timeout_s)
    assert (error.status, error.body) == (401, "begun")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "answer",
    [
        http("500 x", b"-2\r\n" * 16_000, CHUNKED, length=False),
        http("500 x", b"", "Content-Length: " + "9" * 5000, length=False),
        http("503 x", b"", "Retry-After: Wed, 21 Oct 99999999999 07:28:00 GMT"),
        http("503 x", b"", "Retry-After: Wed, 21 Oct 2035 07:28:00 +99999999999999"),
        http("500 x", b"[" * 60_000),
        http("500 x", b'{"message": ' + b"9" * 60_000 + b"}"),
        http("500 x", b'"\\ud800"'),
    ],
)
def test_a_hostile_refusal_is_a_refusal(answer: bytes) -> None:
    started = time.monotonic()
    error = refused(answer)
    assert error.status in (500, 503)
    assert error.retry_after_s is None
    assert str(error).encode()
    assert time.monotonic() - started < 10


# What a traceback shows

SECRET_QUERY = "key-of-the-query"


def shown(error: BaseException) -> str:
    """The traceback with the local variables of each function of the library, as Sentry or ``pytest -l`` show it."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    text: list[str] = []
    for part in (trace, trace.__cause__, trace.__context__):
        if part is not None:
            text += part.format_exception_only()
            text += [f"{frame.name}: {frame.locals}" for frame in part.stack if "/tests/" not in frame.filename]
    return "\n".join(text)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http("401 No", b"wrong key", "x-request-id: r"), AuthenticationError),
        (b"SSH-2.0\r\n\r\n", HandshakeError),
        (http("101 Switching"), HandshakeError),
        (b"", HandshakeError),
        (Peer.reset, HandshakeError),
        (Peer.wait_gone, RealtimeTimeout),
    ],
)
def test_no_frame_shows_a_credential(answer: Any, kind: type[Exception]) -> None:
    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        answer(peer) if callable(answer) else peer.send(answer)

    endpoint = resolve_endpoint(
        base_url="ws://127.0.0.1:1", api_key=KEY, query={"api-key": SECRET_QUERY}, headers={"X-Auth-Token": KEY}
    )
    with RawServer(handler, upgrade=False) as server:
        url = endpoint.url.replace("127.0.0.1:1", server.address)
        with pytest.raises(kind) as caught:
            open_transport(url, endpoint.headers, deadline=Deadline(0.5 if kind is RealtimeTimeout else WAIT_S))
    text = shown(caught.value)
    assert "open_transport: " in text
    assert "headers" in text
    assert KEY not in text
    assert SECRET_QUERY not in text


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_transport("ws://127.0.0.1:1", {"Authorization": f"{KEY}\n"}, deadline=Deadline(WAIT_S))
    assert KEY not in shown(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        http("401 No", b"the key %s is wrong" % KEY.encode(), f"x-request-id: {KEY}"),
        f"you sent {KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 500 {KEY}\r\n\r\n".encode(),
        f"HTTP/1.1 101 {KEY}\r\nUpgrade: {KEY}\r\n\r\n".encode(),
    ],
)
def test_what_a_peer_repeats_is_not_told_on(answer: bytes) -> None:
    error = refused(answer)
    assert KEY not in f"{error}{error.body}{error.request_id}"


def test_the_reason_of_a_close_repeats_no_credential() -> None:
    def handler(peer: Peer) -> None:
        peer.upgrade(more=server_frame(CLOSE, close_payload(3000, f"invalid key {KEY}")))
        peer.wait_gone()

    with RawServer(handler, upgrade=False) as server:
        transport = open_transport(server.url, HEADERS, deadline=Deadline(WAIT_S))
        with pytest.raises(ConnectionLost) as caught:
            transport.receive(WAIT_S)
        transport.close()
        assert transport.redact(f"and {KEY} again") == "and <redacted> again"
    assert caught.value.reason == "invalid key <redacted>"
    assert KEY not in str(caught.value)


# Answers that are none


def answer(peer: Peer, *changes: tuple[bytes, bytes]) -> bytes:
    """The right answer, with replacements."""
    right = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_of(peer.request)}\r\n\r\n"
    ).encode()
    for old, new in changes:
        assert old in right
        right = right.replace(old, new)
    return right


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([(b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x")], "wrongly"),
        ([(b"Sec-WebSocket-Accept", b"X-Accept")], "wrongly"),
        ([(b"Upgrade: websocket", b"Upgrade: h2c")], "wrongly"),
        ([(b"Connection: Upgrade", b"Connection: close")], "wrongly"),
        ([(b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\nSec-WebSocket-Extensions: x\r\n")], "extension"),
        ([(b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\nno colon here\r\n")], "malformed"),
        ([(b"HTTP/1.1", b"SSH-2.0")], "does not answer in HTTP"),
        ([(b"101", b"1O1")], "does not answer in HTTP"),
        ([(b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\nX: " + b"y" * 70_000 + b"\r\n")], "more than"),
    ],
)
def test_wrong_answers(changes: list[tuple[bytes, bytes]], says: str) -> None:
    error = refused(lambda peer: peer.send(answer(peer, *changes)))
    assert says in str(error)


def test_endless_header() -> None:
    error = refused(lambda peer: [peer.send(b"HTTP/1.1 101 x\r\n" if i == 0 else b"X: y\r\n") for i in range(30_000)])
    assert "more than" in str(error)


def test_answers_in_pieces_and_in_odd_case_are_taken() -> None:
    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        for value in answer(
            peer, (b"Upgrade: websocket", b"uPGRADE:WebSocket"), (b"Connection: Up", b"connection: x, up")
        ):
            peer.send(bytes([value]))
        peer.wait_gone()

    with RawServer(handler, upgrade=False) as server:
        open_transport(server.url, {}, deadline=Deadline(WAIT_S)).close()


INTERIM = http("100 Continue", length=False) + http("103 Early Hints", b"", "Link: </x>", length=False)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_interim_answers_are_not_the_answer(size: int) -> None:
    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        whole = INTERIM + answer(peer) + server_frame(TEXT, b"{}")
        for at in range(0, len(whole), size):
            peer.send(whole[at : at + size])
        peer.wait_gone()

    with RawServer(handler, upgrade=False) as server:
        transport = open_transport(server.url, {}, deadline=Deadline(WAIT_S))
        deadline = Deadline(WAIT_S)
        while not (messages := transport.receive(deadline.slice())):
            assert not deadline.expired
        assert messages == [b"{}"]
        transport.close()


def test_a_refusal_after_interim_answers_is_that_refusal() -> None:
    error = refused(INTERIM + http("401 No", b"wrong key"))
    assert (type(error), error.status, error.body) == (AuthenticationError, 401, "wrong key")


def test_interim_answers_without_end() -> None:
    error = refused(lambda peer: [peer.send(INTERIM) for _ in range(30_000)])
    assert "more than 16 interim answers" in str(error)


def test_a_server_that_leaves_before_its_answer() -> None:
    assert "closed the connection before its answer" in str(refused(b""))
    assert "closed the connection within its answer" in str(refused(b"HTTP/1.1 101 Swi"))
    error = refused(Peer.reset)
    assert isinstance(error.__cause__, ConnectionResetError)


def test_a_server_that_speaks_tls_is_told_from_one_that_may() -> None:
    assert "speaks TLS on this port: write https:// or wss://" in str(refused(b"\x15\x03\x01\0\x02\x02\x46"))
    for gone in (b"", Peer.reset):
        assert "; if it speaks TLS on this port, write https:// or wss://" in str(refused(gone))
    assert "TLS" not in str(refused(b"HTTP/1.1 101 Swi"))


def test_a_mute_server_is_a_timeout_that_names_the_step() -> None:
    release = threading.Event()

    def handler(peer: Peer) -> None:
        peer.read_head()
        assert release.wait(WAIT_S)

    with RawServer(handler, upgrade=False) as server:
        started = time.monotonic()
        with pytest.raises(RealtimeTimeout, match=r"the upgrade at 127\.0\.0\.1:\d+: not done within 0\.2 s"):
            open_transport(server.url, HEADERS, deadline=Deadline(0.2))
        assert time.monotonic() - started < 5
        release.set()
