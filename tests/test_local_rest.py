"""Plain HTTP and TLS on the port of the server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest
from local_raw import TIMEOUT_S, RawClient, text_of
from websockets.exceptions import InvalidStatus

import realtime_sync as rt
from realtime_sync.local import LocalServer

KEY = "sk-of-the-test"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(api_key=KEY) as started:
        yield started


def call(
    server: LocalServer, method: str, path: str, body: Any = None, headers: dict[str, str] = BEARER
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=TIMEOUT_S)
    try:
        payload = body if isinstance(body, (bytes, type(None))) else json.dumps(body)
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(response.read()), dict(response.headers)
    finally:
        connection.close()


def address(server: LocalServer) -> tuple[str, int]:
    url = urlsplit(server.base_url)
    return str(url.hostname), int(url.port or 0)


# --------------------------------------------------------------------------------------------------- client secrets


def test_a_client_secret_opens_a_session_with_its_configuration(server: LocalServer) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
    status, made, _ = call(server, "POST", "/v1/realtime/client_secrets", {"session": session})
    assert status == 200
    assert made["value"].startswith("ek_")
    assert made["session"]["instructions"] == "Be brief."
    assert made["session"]["id"].startswith("sess_")
    with RawClient(server, "", headers={"Authorization": f"Bearer {made['value']}"}) as client:
        assert client.session["model"] == "gpt-realtime"
        assert client.session["instructions"] == "Be brief."
        assert client.session["output_modalities"] == ["text"]
        assert text_of(client.ask("hello")) == "You said: hello"
        assert client.update(instructions="Other.")["instructions"] == "Other."
    with pytest.raises(InvalidStatus):
        RawClient(server, headers={"Authorization": "Bearer ek_made_up"})


def test_the_official_client_makes_and_uses_one(server: LocalServer) -> None:
    with openai.OpenAI(api_key=KEY, base_url=server.base_url) as client:
        secret = client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "realtime", "model": "gpt-realtime", "output_modalities": ["text"]},
        )
    with rt.connect("gpt-realtime", base_url=server.base_url, api_key=secret.value) as session:
        assert session.config is not None
        assert session.config.output_modalities == ["text"]  # type: ignore[union-attr]


def test_secrets_of_other_kinds(server: LocalServer) -> None:
    model = {"model": "whisper-1"}
    session = {"type": "transcription", "audio": {"input": {"transcription": model}}}
    _, made, _ = call(server, "POST", "/v1/realtime/client_secrets", {"session": session})
    assert made["session"]["object"] == "realtime.transcription_session"
    key = {"Authorization": f"Bearer {made['value']}"}
    with RawClient(server, "", headers=key) as client:
        assert client.session["audio"]["input"]["transcription"]["model"] == "whisper-1"
    with RawClient(server, "model=x", path="/realtime/translations", headers=key, created=False) as client:
        assert client.closed()[0] == 4000
    session = {"model": "gpt-realtime-translate", "audio": {"output": {"language": "es"}}}
    status, made, _ = call(server, "POST", "/v1/realtime/translations/client_secrets", {"session": session})
    assert (status, made["session"]["audio"]["output"]["language"]) == (200, "es")
    key = {"Authorization": f"Bearer {made['value']}"}
    with RawClient(server, "", path="/realtime/translations", headers=key) as client:
        assert client.session["model"] == "gpt-realtime-translate"
        assert client.session["audio"]["output"]["language"] == "es"


def test_a_secret_expires(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made, _ = call(server, "POST", "/v1/realtime/client_secrets", {"expires_after": {"seconds": 10}})
    monkeypatch.setattr("realtime_sync.local.client_secrets.time.time", lambda: made["expires_at"] + 1.0)
    with pytest.raises(InvalidStatus) as refused:
        RawClient(server, headers={"Authorization": f"Bearer {made['value']}"})
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{broken", None),
        ({"session": {"type": "realtime", "voice": "marin"}}, "session.voice"),
        ({"expires_after": {"seconds": 5}}, "expires_after.seconds"),
        ({"more": 1}, "more"),
        ([1], ""),
    ],
)
def test_a_wrong_body_is_a_400(server: LocalServer, body: Any, param: str | None) -> None:
    status, answer, _ = call(server, "POST", "/v1/realtime/client_secrets", body)
    assert (status, answer["error"]["param"]) == (400, param)


def test_a_secret_needs_the_key(server: LocalServer) -> None:
    for headers in ({}, {"Authorization": "Bearer sk-wrong"}):
        status, answer, _ = call(server, "POST", "/v1/realtime/client_secrets", {}, headers)
        assert (status, answer["error"]["type"]) == (401, "invalid_request_error")
    _, made, _ = call(server, "POST", "/v1/realtime/client_secrets", {})
    ephemeral = {"Authorization": f"Bearer {made['value']}"}
    assert call(server, "POST", "/v1/realtime/client_secrets", {}, ephemeral)[0] == 401


# -------------------------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 404),
        ("POST", "/v1/chat/completions", 404),
        ("DELETE", "/", 404),
        ("GET", "/v1/realtime/client_secrets", 405),
        ("POST", "/v1/realtime", 405),
        ("GET", "/v1/realtime?model=x", 426),
        ("GET", "/local/nothing", 404),
        ("POST", "/local/done", 405),
    ],
)
def test_everything_else_is_answered_with_json(server: LocalServer, method: str, path: str, status: int) -> None:
    got, answer, headers = call(server, method, path)
    assert got == status
    assert answer["error"]["message"]
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert headers["x-request-id"]
    if status == 405 and path.startswith("/v1/"):
        assert headers["Allow"] in ("GET", "POST")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, b"431"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}", b"100"),
    ],
)
def test_broken_requests_are_answered(server: LocalServer, sent: bytes, status: bytes) -> None:
    with socket.create_connection(address(server), TIMEOUT_S) as sock:
        sock.sendall(sent)
        answer = sock.recv(1_000)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b'"param": null' in answer or status == b"100"


def test_who_goes_away_in_the_middle_harms_nobody(server: LocalServer) -> None:
    for sent in (b"", b"GET /v1/rea", b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"):
        with socket.create_connection(address(server), TIMEOUT_S) as sock:
            sock.sendall(sent)
    with RawClient(server, headers=BEARER) as client:
        assert text_of(client.ask("hello")) == "You said: hello"


# -------------------------------------------------------------------------------------------------------------- TLS


def test_tls_with_a_certificate_of_its_own() -> None:
    with LocalServer(tls=True) as server:
        assert server.base_url.startswith("https://127.0.0.1:")
        assert server.ca_file is not None
        context = ssl.create_default_context(cafile=server.ca_file)
        with RawClient(server, ssl=context) as client:
            assert text_of(client.ask("hello")) == "You said: hello"
        with rt.connect("gpt-realtime", base_url=server.base_url, ssl_context=context) as session:
            assert str(session.ask("hello")) == "You said: hello"
        host, port = address(server)
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=TIMEOUT_S)
        connection.request("POST", "/v1/realtime/client_secrets", "{}")
        assert json.loads(connection.getresponse().read())["value"].startswith("ek_")
        connection.close()
        with pytest.raises(ssl.SSLError), socket.create_connection((host, port), TIMEOUT_S) as sock:
            ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")
        with socket.create_connection((host, port), TIMEOUT_S) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in sock.recv(1_000)
    assert not os.path.exists(server.ca_file)


def test_tls_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(rt.ConfigurationError, match=r"realtime_sync\[tls\]"):
        LocalServer(tls=True)


def test_without_tls_there_is_no_file(server: LocalServer) -> None:
    assert server.ca_file is None
    with pytest.raises(rt.ConfigurationError, match="one of the two"):
        LocalServer(tls=True, ssl_context=ssl.create_default_context())
