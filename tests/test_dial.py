"""Dialling: look-up, addresses, TLS and proxies, each against real sockets and with a deadline over all of it."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from alarms import alarm, alarms, needs_timer
from proxies import ConnectProxy, SocksProxy
from servers import WAIT_S, Peer, RawServer, authority, client_context, frame, server_context

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError, ConnectionLost, HandshakeError, RealtimeTimeout
from realtime_sync.transport import Transport, open_transport
from realtime_sync.transport import dial as dialling
from realtime_sync.transport.dial import tls_context
from realtime_sync.transport.proxy import Proxy, bypassed, choose
from realtime_sync.transport.target import Target

NAME = "realtime.test"
"""A name that only the proxies of the tests know."""


def echo(peer: Peer) -> None:
    while True:
        opcode, payload = peer.read_frame()
        peer.send(frame(opcode, payload))


def opened(url: str, timeout_s: float = WAIT_S, **options: Any) -> Transport:
    return open_transport(url, {}, deadline=Deadline(timeout_s), **{"ssl_context": client_context(), **options})


def works(transport: Transport) -> None:
    """The transport carries a message there and back; then it is closed."""
    try:
        transport.send_text("hello", WAIT_S)
        deadline = Deadline(WAIT_S)
        while not (messages := transport.receive(deadline.slice())):
            assert not deadline.expired
        assert messages == [b"hello"]
    finally:
        transport.close()


def failing(url: str, timeout_s: float = WAIT_S, **options: Any) -> HandshakeError:
    with pytest.raises(HandshakeError) as caught:
        opened(url, timeout_s, **options)
    return caught.value


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Whatever happened while dialling, no descriptor stays open."""
    if sys.platform != "linux":
        yield
        return
    before = set(os.listdir("/proc/self/fd"))
    yield
    deadline = Deadline(5)
    while not set(os.listdir("/proc/self/fd")) <= before and not deadline.expired:
        time.sleep(0.001)
    assert set(os.listdir("/proc/self/fd")) <= before


@contextmanager
def addresses(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int]) -> Iterator[str]:
    """Let the name of the tests lead to these addresses; the URL to dial comes out."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host != NAME or options.get("flags"):
            return real(host, port, *args, **options)
        return [real(address, number, type=socket.SOCK_STREAM)[0] for address, number in found]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield f"ws://{NAME}/"


@contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """An address that answers nothing at all, not even a connection attempt: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address: tuple[str, int] = listener.getsockname()
        fillers = []
        while True:
            filler = socket.socket()
            fillers.append(filler)
            filler.settimeout(0.1)
            try:
                filler.connect(address)
            except TimeoutError:
                break
        yield address
        for filler in fillers:
            filler.close()


def refusing() -> tuple[str, int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address: tuple[str, int] = listener.getsockname()
        return address


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
linux = pytest.mark.skipif(sys.platform != "linux", reason="a full queue is silent on Linux")


# Addresses


def test_nobody_listens() -> None:
    host, port = refusing()
    error = failing(f"ws://{host}:{port}/")
    assert str(error) == f"could not connect to 127.0.0.1:{port}: Connection refused"
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert error.status is None


def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = failing("wss://nowhere.test/")
    assert "the host of nowhere.test:443 was not found" in str(error)
    assert isinstance(error.__cause__, socket.gaierror)


def test_a_label_that_is_too_long() -> None:
    assert "was not found" in str(failing(f"ws://{'x' * 70}.test/"))


def test_a_look_up_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    release, done = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **options: Any) -> Any:
        if options.get("flags"):
            raise socket.gaierror
        release.wait(WAIT_S)
        done.set()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()
    with pytest.raises(RealtimeTimeout, match=r"looking up the host nowhere\.test: not done within 0\.2 s"):
        opened("wss://nowhere.test/", 0.2)
    assert time.monotonic() - started < 5
    release.set()
    assert done.wait(WAIT_S)


def test_no_address_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with addresses(monkeypatch) as url:
        assert "could not connect" in str(failing(url))


def test_the_next_address_is_tried_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(echo) as server, addresses(monkeypatch, refusing(), ("127.0.0.1", server.port)) as url:
        works(opened(url))


@linux
def test_the_next_address_is_tried_when_one_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as mute, RawServer(echo) as server:
        started = time.monotonic()
        with addresses(monkeypatch, mute, ("127.0.0.1", server.port)) as url:
            works(opened(url))
        assert time.monotonic() - started >= 0.25
        with addresses(monkeypatch, mute, refusing(), ("127.0.0.1", server.port)) as url:
            works(opened(url))


@linux
def test_silent_addresses_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as mute, addresses(monkeypatch, mute, mute, mute) as url:
        started = time.monotonic()
        with pytest.raises(RealtimeTimeout, match="connecting to"):
            opened(url, 0.6)
        assert time.monotonic() - started < 5


@ipv6
def test_ipv6() -> None:
    with RawServer(echo, host="::1", tls=server_context()) as server:
        works(opened(server.url))
        assert server.peers[0].headers["host"] == f"[::1]:{server.port}"


@ipv6
def test_the_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(echo) as server:
        tried = [("::1", 1), ("::1", 2), ("127.0.0.1", server.port)]
        with addresses(monkeypatch, *tried) as url:
            found = dialling._look_up(NAME, 80, Deadline(WAIT_S), url)
            assert [address[4][1] for address in found] == [1, server.port, 2]
            works(opened(url))


def test_a_family_that_this_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = dialling._start

    def start(address: Any) -> socket.socket:
        if address[4][1] == 1:
            raise OSError(97, "Address family not supported by protocol")
        return real(address)

    monkeypatch.setattr(dialling, "_start", start)
    with RawServer(echo) as server, addresses(monkeypatch, ("127.0.0.1", 1), ("127.0.0.1", server.port)) as url:
        works(opened(url))


def test_an_address_without_a_route() -> None:
    with pytest.raises(HandshakeError, match=r"could not connect to 255\.255\.255\.255:80"):
        opened("ws://255.255.255.255/")


def test_options_of_the_socket() -> None:
    with RawServer(Peer.wait_gone) as server:
        transport = opened(server.url, user_timeout_s=12.5)
        sock = transport._descriptor.socket
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 12_500
        transport.close()
        transport = opened(server.url, user_timeout_s=None)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert transport._descriptor.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        transport.close()


@needs_timer
@pytest.mark.parametrize("where", ["look-up", "tls", "upgrade"])
def test_ctrl_c_while_dialling(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    if where == "look-up":
        monkeypatch.setattr(dialling, "_look_up", lambda *_: dialling._bounded(release.wait, Deadline(WAIT_S), "x"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with RawServer(lambda _: release.wait(WAIT_S), upgrade=False) as server, alarms(interrupt):
        try:
            alarm(0.1)
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                opened(f"{'wss' if where == 'tls' else 'ws'}://127.0.0.1:{server.port}/")
            assert time.monotonic() - started < 0.1 + 0.3 + 1
        finally:
            release.set()


# TLS


def test_a_certificate_of_an_unknown_authority() -> None:
    with RawServer(echo, tls=server_context()) as server:
        error = failing(server.url, ssl_context=None)
    assert "is not trusted" in str(error)
    assert "SSL_CERT_FILE" in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)


def test_a_certificate_for_another_name() -> None:
    with RawServer(echo, tls=server_context("other.test")) as server:
        told = str(failing(server.url))
    assert told.endswith("not valid for '127.0.0.1'. Write an address that the certificate is made out to")


def test_a_file_of_authorities_that_is_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with RawServer(echo, tls=server_context()) as server:
        for path, told in (
            (tmp_path / "none.pem", "cannot be read: No such file"),
            (junk, "holds no certificate (PEM)"),
        ):
            monkeypatch.setenv("SSL_CERT_FILE", str(path))
            assert f". SSL_CERT_FILE is set to {str(path)!r}, which {told}" in str(
                failing(server.url, ssl_context=None)
            )
        trustme.CA().cert_pem.write_to_path(str(junk))
        assert "name its authority in SSL_CERT_FILE" in str(failing(server.url, ssl_context=None))
    monkeypatch.delenv("SSL_CERT_FILE")
    dialling._default_contexts.clear()


def test_the_authority_by_file_and_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cafile = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(cafile))
    with RawServer(echo, tls=server_context()) as server:
        works(opened(server.url, ssl_context=tls_context(cafile=cafile)))
        monkeypatch.setenv("SSL_CERT_FILE", str(cafile))
        works(opened(server.url, ssl_context=None))
    assert tls_context() is tls_context()
    assert tls_context(cafile=cafile) is not tls_context(cafile=cafile)
    assert tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
    monkeypatch.delenv("SSL_CERT_FILE")
    dialling._default_contexts.clear()


def test_a_client_certificate(tmp_path: Path) -> None:
    cert = authority().issue_cert("client@realtime.test")
    pem, key, ca = tmp_path / "client.pem", tmp_path / "client.key", tmp_path / "ca.pem"
    cert.cert_chain_pems[0].write_to_path(str(pem))
    cert.private_key_pem.write_to_path(str(key))
    authority().cert_pem.write_to_path(str(ca))
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(server_tls)
    authority().configure_trust(server_tls)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    with RawServer(echo, tls=server_tls) as server:
        works(opened(server.url, ssl_context=tls_context(cafile=ca, certfile=pem, keyfile=key)))
        error = failing(server.url)
        assert isinstance(error.__cause__, (ssl.SSLError, OSError)) or "closed the connection" in str(error)


def test_certificates_that_are_of_no_use(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    locked = tmp_path / "locked.pem"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
        )
        + authority().cert_pem.bytes()
    )
    calls: list[Callable[[], Any]] = [
        lambda: tls_context(cafile=tmp_path / "none.pem"),
        lambda: tls_context(cafile=junk),
        lambda: tls_context(certfile=junk),
        lambda: tls_context(certfile=locked),  # a prompt for the password would hang here
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="could not be loaded"):
            call()


def test_a_server_without_tls() -> None:
    def plain(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with RawServer(plain, upgrade=False) as server:
        error = failing(f"wss://127.0.0.1:{server.port}/")
    assert "seems not to speak TLS" in str(error)
    assert isinstance(error.__cause__, ssl.SSLError)


def test_a_server_that_ends_the_tls_handshake() -> None:
    with RawServer(lambda peer: peer.sock.recv(1000), upgrade=False) as server:
        error = failing(f"wss://127.0.0.1:{server.port}/")
        assert "the TLS handshake with" in str(error)
        assert "if it speaks plain HTTP on this port, write http:// or ws://" in str(error)
    with RawServer(lambda peer: (peer.sock.recv(1000), peer.reset()), upgrade=False) as server:
        error = failing(f"wss://127.0.0.1:{server.port}/")
        assert "the TLS handshake with" in str(error)
        assert "if it speaks plain HTTP on this port, write http:// or ws://" in str(error)


def test_a_server_that_is_mute_in_the_tls_handshake() -> None:
    release = threading.Event()
    with RawServer(lambda _: release.wait(WAIT_S), upgrade=False) as server:
        with pytest.raises(
            RealtimeTimeout, match=r"the TLS handshake with 127\.0\.0\.1:\d+: not done within 0\.2 s; if .* http://"
        ):
            opened(f"wss://127.0.0.1:{server.port}/", 0.2)
        release.set()


def test_the_system_lacks_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_KEEPIDLE", "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name, raising=False)
    with RawServer(echo) as server:
        works(opened(server.url))


def test_a_host_that_cannot_stand_in_a_certificate() -> None:
    with RawServer(echo, tls=server_context(NAME)) as server, ConnectProxy(server.port) as proxy:
        error = failing(f"wss://.{NAME}/", proxy=f"http://{proxy.address}")
    assert "the TLS handshake with" in str(error)
    assert isinstance(error.__cause__, ValueError)


def test_no_common_version() -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("127.0.0.1").configure_cert(old)
    old.minimum_version = ssl.TLSVersion.TLSv1_3
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(client)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(echo, tls=old) as server:
        assert "PROTOCOL_VERSION" in str(failing(server.url, ssl_context=client)).upper()


def test_a_context_that_cannot_be_used_here() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with RawServer(echo, tls=server_context()) as server:
        assert "the TLS handshake with" in str(failing(server.url, ssl_context=context))


# Proxies


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http", "https"])
def test_through_an_http_proxy(secure: bool, proxy_tls: bool) -> None:
    with (
        RawServer(echo, tls=server_context(NAME) if secure else None) as server,
        ConnectProxy(server.port, tls=server_context() if proxy_tls else None) as proxy,
    ):
        url = f"{'wss' if secure else 'ws'}://{NAME}/v1/realtime"
        works(opened(url, proxy=f"{'https' if proxy_tls else 'http'}://{proxy.address}"))
        port = 443 if secure else 80
        (request,) = proxy.requests
        assert request == f"CONNECT {NAME}:{port} HTTP/1.1\r\nHost: {NAME}:{port}\r\n\r\n".encode()
        assert server.peers[0].headers["host"] == NAME


def test_interim_answers_of_a_proxy_are_not_its_answer() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    with RawServer(echo) as server, ConnectProxy(server.port, interim=interim) as proxy:
        works(opened(f"ws://{NAME}/", proxy=f"http://{proxy.address}"))


def test_large_messages_through_tls_in_tls() -> None:
    with (
        RawServer(echo, tls=server_context(NAME)) as server,
        ConnectProxy(server.port, tls=server_context()) as proxy,
    ):
        transport = opened(f"wss://{NAME}/", proxy=f"https://{proxy.address}")
        text = b"x" * 3_000_000
        transport.send_text(text, WAIT_S)
        deadline = Deadline(WAIT_S)
        while not (messages := transport.receive(deadline.slice())):
            assert not deadline.expired
        assert messages == [text]
        transport.close()


def test_credentials_of_a_proxy() -> None:
    with RawServer(echo) as server, ConnectProxy(server.port, auth="me:p@ss:wörd") as proxy:
        works(opened(f"ws://{NAME}/", proxy=f"http://me:p%40ss%3Aw%C3%B6rd@{proxy.address}"))
        error = failing(f"ws://{NAME}/", proxy=f"http://me:wrong-password@{proxy.address}")
        assert type(error) is HandshakeError
        assert error.status == 407
        assert f"the proxy http://{proxy.address} refused the connection with HTTP 407" in str(error)
        assert error.body == "who are you, <redacted>"
        assert server.connections == 1


@ipv6
def test_an_ipv6_target_through_a_proxy() -> None:
    with RawServer(echo, host="::1") as server, ConnectProxy(server.port, host="::1") as proxy:
        works(opened(f"ws://[2001:db8::1]:{server.port}/", proxy=f"http://{proxy.address}"))
        assert proxy.requests[0].startswith(f"CONNECT [2001:db8::1]:{server.port} HTTP/1.1".encode())


def test_a_mute_proxy() -> None:
    release = threading.Event()
    with RawServer(lambda _: release.wait(WAIT_S), upgrade=False) as proxy:
        with pytest.raises(RealtimeTimeout, match=rf"asking the proxy http://{proxy.address} for {NAME}:80"):
            opened(f"ws://{NAME}/", 0.2, proxy=proxy.address)
        release.set()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nnope", "HTTP 502"),
        (b"HTTP/1.1 403 No\r\n\r\n", "HTTP 403"),
        (b"HTTP/1.1 502 x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"-2\r\n" * 16_000, "HTTP 502"),
        (b"HTTP/1.1 502 x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "HTTP 502"),
        (b"HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 99999999999 07:28:00 GMT\r\n\r\n", "HTTP 503"),
        (b"", "closed the connection before its answer"),
        (b"\x16\x03\x01nonsense\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.0 200 OK\r\n\r\nearly", "bytes of its own"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 Bad Gateway\r\n\r\n", "HTTP 502"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 17, "more than 16 interim answers"),
    ],
)
def test_a_proxy_that_refuses(answer: bytes, says: str) -> None:
    with RawServer(lambda peer: peer.read_head() and peer.send(answer), upgrade=False) as proxy:
        error = failing(f"ws://{NAME}/", proxy=f"http://{proxy.address}")
        assert says in str(error)
        assert type(error) is HandshakeError


def test_a_proxy_that_is_not_there() -> None:
    host, port = refusing()
    error = failing(f"ws://{NAME}/", proxy=f"http://user:secret-word@{host}:{port}")
    assert str(error) == f"could not connect to the proxy {host}:{port}: Connection refused"


def test_a_proxy_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(echo, tls=server_context(NAME)) as server, ConnectProxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        works(opened(f"wss://{NAME}/"))
        assert len(proxy.requests) == 1
        # This machine itself is reached without it, and so is what NO_PROXY names or a call exempts.
        assert "not valid for '127.0.0.1'" in str(failing(server.url))
        monkeypatch.setattr(dialling, "_connect", lambda *_: (_ for _ in ()).throw(ConnectionLost("direct")))
        with pytest.raises(ConnectionLost, match="direct"):
            opened(f"wss://{NAME}/", proxy=None)
        monkeypatch.setenv("NO_PROXY", ".test")
        with pytest.raises(ConnectionLost, match="direct"):
            opened(f"wss://{NAME}/")
        assert len(proxy.requests) == 1


WSS, WS = Target.of("wss://api.openai.com/"), Target.of("ws://api.openai.com/")


@pytest.mark.parametrize(
    ("target", "environ", "expected"),
    [
        (WSS, {}, None),
        (WSS, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (WSS, {"https_proxy": "p:2", "HTTPS_PROXY": "http://p:1"}, "http://p:2"),
        (WSS, {"HTTP_PROXY": "http://p:1"}, None),
        (WSS, {"ALL_PROXY": "socks5://p"}, "socks5://p:1080"),
        (WSS, {"ALL_PROXY": "socks5://p", "HTTPS_PROXY": " http://p "}, "http://p:80"),
        (WSS, {"all_proxy": "socks://p:9"}, "socks5h://p:9"),
        (WSS, {"HTTPS_PROXY": ""}, None),
        (WSS, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "openai.com"}, None),
        (WSS, {"HTTPS_PROXY": "http://p:1", "no_proxy": "openai.com", "NO_PROXY": "x"}, None),
        (WS, {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        (WS, {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        (WS, {"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://p:1"),
        (Target.of("ws://localhost/"), {"HTTP_PROXY": "http://p:1"}, None),
    ],
)
def test_the_environment_chooses(target: Target, environ: dict[str, str], expected: str | None) -> None:
    for auto in ("auto", True):
        chosen = choose(target, auto, environ)
        assert (str(chosen) if chosen else None) == expected
    assert choose(target, None, environ) is None
    assert choose(target, False, environ) is None
    assert str(choose(target, "https://q", environ)) == "https://q:443"


@pytest.mark.parametrize(
    ("host", "no_proxy", "expected"),
    [
        ("api.openai.com", "", False),
        ("api.openai.com", "*", True),
        ("api.openai.com", "openai.com", True),
        ("api.openai.com", ".openai.com", True),
        ("api.openai.com", "*.openai.com", True),
        ("openai.com", ".openai.com", True),
        ("badopenai.com", ".openai.com", False),
        ("badopenai.com", "openai.com", False),
        ("API.OpenAI.com.", "other.com, OPENAI.COM", True),
        ("api.openai.com", "a b,api.openai.com:443", True),
        ("api.openai.com", "api.openai.com:8443", False),
        ("api.openai.com", ".", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("10.1.2.3", "example.com", False),
        ("10.1.2.3", "fd00::/8", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]:80", False),
        ("127.0.0.1", "", True),
        ("127.9.9.9", "", True),
        ("::1", "", True),
        ("localhost", "", True),
        ("a.localhost", "", True),
        ("host.docker.internal", "", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, expected: bool) -> None:
    assert bypassed(host, 443, no_proxy) is expected


@pytest.mark.parametrize(
    "url", ["ftp://user:secret@p", "http://", "http://user:secret@p:nan", "http://[secret", "socks9://secret"]
)
def test_the_url_of_a_proxy_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Proxy.of(url)
    assert "secret" not in str(caught.value)


def test_a_proxy_does_not_show_its_credentials() -> None:
    proxy = Proxy.of("http://user:secret@p:1")
    assert (proxy.user, proxy.password) == ("user", "secret")
    assert "secret" not in f"{proxy}{proxy!r}"
    assert "user" not in f"{proxy}"


# SOCKS


@pytest.mark.parametrize(
    ("scheme", "host", "asked"),
    [
        ("socks5", "127.0.0.1", "127.0.0.1"),
        ("socks5", "localhost", "127.0.0.1"),
        ("socks5h", NAME, NAME),
        ("socks4", "127.0.0.1", "127.0.0.1"),
        ("socks4a", NAME, NAME),
    ],
)
def test_through_a_socks_proxy(scheme: str, host: str, asked: str) -> None:
    pytest.importorskip("python_socks")
    with RawServer(echo, tls=server_context(host)) as server, SocksProxy(server.port) as proxy:
        works(opened(f"wss://{host}:{server.port}/", proxy=f"{scheme}://{proxy.address}"))
        assert proxy.targets == [(asked, server.port)]


def test_credentials_of_a_socks_proxy() -> None:
    pytest.importorskip("python_socks")
    with RawServer(echo) as server, SocksProxy(server.port, auth=(b"me", b"p@ss")) as proxy:
        works(opened(f"ws://{NAME}/", proxy=f"socks5h://me:p%40ss@{proxy.address}"))
        error = failing(f"ws://{NAME}/", proxy=f"socks5h://me:wrong-secret@{proxy.address}")
        assert f"the proxy socks5h://{proxy.address} did not connect to {NAME}:80" in str(error)
        assert "wrong-secret" not in str(error)
        assert proxy.credentials == [(b"me", b"p@ss"), (b"me", b"wrong-secret")]


def test_a_socks_proxy_that_refuses() -> None:
    pytest.importorskip("python_socks")
    with SocksProxy(1, refuse=True) as proxy:
        for scheme in ("socks5h", "socks4a"):
            assert "did not connect" in str(failing(f"ws://{NAME}/", proxy=f"{scheme}://{proxy.address}"))
    host, port = refusing()
    assert "did not connect" in str(failing(f"ws://{NAME}/", proxy=f"socks5h://{host}:{port}"))


def test_a_mute_socks_proxy() -> None:
    pytest.importorskip("python_socks")
    release = threading.Event()
    with RawServer(lambda _: release.wait(WAIT_S), upgrade=False) as proxy:
        with pytest.raises(RealtimeTimeout, match=rf"through socks5h://{proxy.address}: not done within 0\.3 s"):
            opened(f"ws://{NAME}/", 0.3, proxy=f"socks5h://{proxy.address}")
        release.set()


def test_a_socks_proxy_that_lets_its_own_limit_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    sync = pytest.importorskip("python_socks.sync")

    def connect(*_: Any, **__: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr(sync.Proxy, "connect", connect)
    with pytest.raises(RealtimeTimeout, match=rf"connecting to {NAME}:80 through socks5://p:1: not done within 20 s"):
        opened(f"ws://{NAME}/", proxy="socks5://p:1")


def test_what_comes_too_late_is_closed() -> None:
    release, made = threading.Event(), threading.Event()
    late = socket.socket()

    def work() -> socket.socket:
        release.wait(WAIT_S)
        made.set()
        return late

    with pytest.raises(RealtimeTimeout):
        dialling._bounded(work, Deadline(0.05), "x")
    release.set()
    deadline = Deadline(WAIT_S)
    while late.fileno() != -1 and not deadline.expired:
        time.sleep(0.001)
    assert made.is_set()
    assert late.fileno() == -1


def test_what_comes_as_the_time_is_up_is_closed() -> None:
    just = socket.socket()

    class Expired(Deadline):
        def slice(self, most_s: float = 0.2) -> float:
            for thread in threading.enumerate():
                if thread.name == "realtime-sync this":
                    thread.join(WAIT_S)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dialling._bounded(lambda: just, Expired(1), "this")
    assert just.fileno() == -1


def test_socks_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ConfigurationError, match=r"realtime-sync\[socks\]"):
        opened(f"ws://{NAME}/", proxy="socks5://127.0.0.1:1")
