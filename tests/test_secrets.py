"""A key is shown nowhere: a peer repeats it in every place that it can write to, and every place of ours is looked at
that shows what a peer wrote. The frames of the test itself, where the key stands, do not count."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from protocol_examples import SERVER_EXAMPLES
from proxies import SocksProxy
from servers import WAIT_S, Peer, RawServer, accept_of, frame

import realtime_sync as rt
from realtime_sync.transport.endpoint import Endpoint
from realtime_sync.transport.frames import CLOSE, PING, TEXT, close_payload

KEY = "sk-proj-A1b2C3d4E5f6G7h8-" + "x9Y" * 30
CREATED = {"type": "session.created", "session": {"type": "realtime", "id": "sess_1", "model": "m"}}


def traceback_of(error: BaseException | None) -> str:
    """All that a traceback with local variables shows of our frames and of those below, causes included."""
    shown: list[str] = []
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        shown += [repr(error), str(error), repr(vars(error))]
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if Path(trace.tb_frame.f_code.co_filename) != Path(__file__):
                shown += [f"{trace.tb_frame.f_code.co_name}.{n}: {v!r}" for n, v in trace.tb_frame.f_locals.items()]
            trace = trace.tb_next
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(shown)


def assert_hidden(shown: str) -> None:
    lines = [line for line in shown.splitlines() if KEY[:20] in line]
    assert lines == []


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of everything, at the finest; looked at in the end."""
    with caplog.at_level(logging.DEBUG):
        yield caplog
    assert_hidden("\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records))


def connect(server: RawServer, **options: Any) -> rt.RealtimeSession:
    return rt.connect("m", base_url=f"http://{server.address}/v1", **{"api_key": KEY, "timeout": WAIT_S, **options})


# Before the WebSocket

HEAD = f"X-Request-Id: {KEY}\r\nX-Echo: Bearer {KEY}\r\nRetry-After: {KEY}\r\nSet-Cookie: {KEY}\r\n"
BODY = json.dumps({"error": {"message": f"no {KEY}", "code": KEY, "type": KEY}})
ANSWERS = {
    "refusal": f"HTTP/1.1 500 {KEY}\r\n{HEAD}Content-Length: {len(BODY)}\r\n\r\n{BODY}",
    "unauthorized": f"HTTP/1.1 401 {KEY}\r\n{HEAD}\r\n{BODY}",
    "escaped": "HTTP/1.1 400 x\r\n\r\n" + BODY.replace("sk-", "\\u0073k-"),
    "chunked": f"HTTP/1.1 400 x\r\nTransfer-Encoding: chunked\r\n\r\n{len(KEY):x}\r\n{KEY}\r\n0\r\n\r\n",
    "redirect": f"HTTP/1.1 302 x\r\nLocation: https://{KEY}.example/\r\n{HEAD}\r\n",
    "no HTTP": f"{KEY} is what you said\r\n\r\n",
    "a wrong line": f"HTTP/1.1 101 x\r\n{KEY}\r\n\r\n",
    "no end": f"HTTP/1.1 101 x\r\n{HEAD}",
    "too long": f"HTTP/1.1 101 {KEY}\r\n" + f"A: {KEY}\r\n" * 1000,
    "a wrong accept": f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{HEAD}"
    f"Sec-WebSocket-Accept: {KEY}\r\n\r\n",
    "an extension": f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{HEAD}"
    f"Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Extensions: {KEY}\r\n\r\n",
    "a protocol": f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{HEAD}"
    f"Sec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Protocol: {KEY}\r\n\r\n",
}


def answering(text: str) -> Callable[[Peer], None]:
    def handler(peer: Peer) -> None:
        peer.request = peer.read_head()
        accept = accept_of(peer.request) if b"Sec-WebSocket-Key" in peer.request else ""
        peer.send(text.replace("ACCEPT", accept).encode())

    return handler


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_to_the_upgrade(answer: str) -> None:
    with RawServer(answering(ANSWERS[answer]), upgrade=False) as server:
        with pytest.raises(rt.RealtimeError) as caught:
            connect(server)
        assert_hidden(traceback_of(caught.value))
        assert KEY[:20].encode() not in pickle.dumps(caught.value)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_a_proxy(answer: str) -> None:
    with RawServer(answering(ANSWERS[answer]), upgrade=False) as proxy, RawServer(Peer.wait_gone) as server:
        with pytest.raises(rt.RealtimeError) as caught:
            rt.connect(
                "m",
                base_url=f"http://localhost.example:{server.port}/v1",
                allow_insecure=True,
                api_key="another-key",
                proxy=f"http://user:{KEY}@{proxy.address}",
                timeout=WAIT_S,
            )
        assert_hidden(traceback_of(caught.value))


@pytest.mark.usefixtures("logged")
def test_a_socks_proxy_that_refuses() -> None:
    with SocksProxy(1, auth=(b"user", b"other")) as proxy, pytest.raises(rt.RealtimeError) as caught:
        rt.connect("m", base_url="http://127.0.0.1:1", proxy=f"socks5://user:{KEY}@{proxy.address}", timeout=WAIT_S)
    assert_hidden(traceback_of(caught.value))


# What the user gave, where it cannot work

MISTAKES: list[dict[str, Any]] = [
    {"api_key": KEY, "base_url": "ftp://x"},
    {"api_key": KEY, "timeout": -1},
    {"api_key": f"Bearer {KEY}"},
    {"api_key": KEY, "base_url": "http://8.8.8.8"},
    {"api_key": KEY, "session": {"instructions": "a"}, "instructions": "b"},
    {"base_url": f"https://user:{KEY}@example.org"},
    {"base_url": "http://8.8.8.8", "query": {"api-key": KEY}},
    {"base_url": "http://8.8.8.8", "headers": {"X-Token": KEY}},
    {"base_url": "http://8.8.8.8", "headers": {"X-Token": f"{KEY}\n"}},
    {"azure_endpoint": "http://8.8.8.8", "azure_ad_token": KEY},
    {"api_key": KEY, "proxy": "nonsense://"},
    {"proxy": f"http://user:{KEY}@host:port"},
    {"proxy": f"wrong://user:{KEY}@host"},
    {"model": None, "endpoint": Endpoint(f"ws://127.0.0.1/a b?api-key={KEY}", {"Authorization": KEY})},
    {"model": None, "endpoint": Endpoint(f"http://127.0.0.1/?api-key={KEY}", {})},
]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("mistake", range(len(MISTAKES)))
def test_a_mistake_of_the_user(mistake: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(rt.ConfigurationError) as caught:
        rt.connect(**{"model": "m", **MISTAKES[mistake]})
    assert_hidden(traceback_of(caught.value))


# Within the WebSocket


def repeating(value: Any, name: str = "", *, types: bool = False) -> Any:
    """The value with the key in each of its texts (but for those that say what it is), and among its names."""
    if isinstance(value, dict):
        return {**{n: repeating(v, n, types=types) for n, v in value.items()}, f"more {KEY}": KEY}
    if isinstance(value, list):
        return [repeating(entry, types=types) for entry in value]
    if isinstance(value, str) and (types or name not in ("type", "object", "status", "role")):
        return f"{KEY} and {value}"
    return value


def looks(session: rt.RealtimeSession) -> str:
    """What a session shows of itself."""
    faces = (session, session.conversation, session.usage, session.rate_limits, session.config, session._acks)
    notebook = (face._repr_html_() for face in faces[:3])  # type: ignore[union-attr]
    return "\n".join([*map(repr, faces), *notebook, session.conversation.render(), session.conversation.to_json()])


@pytest.mark.parametrize("types", [False, True], ids=["typed", "of unknown types"])
def test_every_event_that_repeats_it(types: bool, tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    told = [repeating(event) for event in SERVER_EXAMPLES]
    if types:
        told = [repeating(event, types=True) | {"type": event["type"]} for event in SERVER_EXAMPLES]
        told += [{"type": f"of.{KEY}", "x": KEY}, {"type": ["x", KEY]}]
    frames = [frame(TEXT, json.dumps(event).encode()) for event in (CREATED, *told)]
    frames += [frame(TEXT, f"no JSON, {KEY}".encode()), frame(PING, KEY[:120].encode())]
    goodbye = frame(CLOSE, close_payload(3000, f"bye, {KEY}"))
    shown: list[str] = []
    with RawServer(lambda peer: (peer.send(b"".join(frames) + goodbye), peer.wait_gone())) as server:
        session = connect(server, record=tmp_path / "talk.jsonl", checks=False)
        session.on("*", lambda event: shown.append(repr(event)))
        with pytest.raises(rt.ConnectionClosed) as caught:
            session.run()
        shown += [looks(session), traceback_of(caught.value)]
        session.close()
    assert len(shown) > len(told)
    assert_hidden("\n".join(shown))
    assert_hidden((tmp_path / "talk.jsonl").read_text(encoding="utf-8"))
    assert logged.records


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("secret", [KEY, "short-key"])
def test_every_refusal_that_repeats_it(secret: str) -> None:
    """Of an error also a credential that is short."""
    detail = dict.fromkeys(("message", "type", "code", "param", "event_id"), f"<{secret}>")

    def refuse(peer: Peer) -> None:
        peer.send(frame(TEXT, json.dumps(CREATED).encode()))
        while True:
            opcode, payload = peer.read_frame()
            if opcode == CLOSE:
                peer.send(frame(CLOSE, payload))
                return
            sent = json.loads(payload)
            told = {"type": "error", "event_id": secret, "error": {**detail, "event_id": sent["event_id"]}}
            peer.send(frame(TEXT, json.dumps(told).encode()))
            peer.send(frame(TEXT, json.dumps({"type": "error", "error": detail}).encode()))

    with RawServer(refuse) as server, connect(server, api_key=secret) as session:
        shown: list[str] = []
        for verb in (session.clear_audio, lambda: session.ask("x"), lambda: session.update_session({})):
            with pytest.raises(rt.RealtimeError) as caught:
                result = verb()
                shown.append(repr(result))
                result.result(WAIT_S)  # type: ignore[union-attr]
            error = caught.value
            shown += [f"{error} {error!r} {vars(error)}", traceback_of(error) if secret == KEY else ""]
        assert session.closed is False
    assert secret not in "".join(shown)


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("said", ["error", "close", "violation"])
def test_a_refusal_of_the_session(said: str) -> None:
    detail = dict.fromkeys(("message", "type", "code", "param", "event_id"), KEY)
    frames = {
        "error": frame(TEXT, json.dumps({"type": "error", "event_id": KEY, "error": detail}).encode()),
        "close": frame(CLOSE, close_payload(3000, f"no {KEY}")),
        "violation": frame(PING, KEY.encode() * 2),
    }
    with RawServer(lambda peer: (peer.send(frames[said]), peer.wait_gone())) as server:
        with pytest.raises(rt.RealtimeError) as caught:
            connect(server)
        assert_hidden(traceback_of(caught.value))


def test_what_is_sent_with_it_is_not_logged(logged: pytest.LogCaptureFixture) -> None:
    with RawServer(lambda peer: (peer.send(frame(TEXT, json.dumps(CREATED).encode())), peer.wait_gone())) as server:
        session = connect(server)
        session.send_text(f"what is {KEY}?")
        session.close(timeout=0)
    assert any("<redacted>" in record.getMessage() for record in logged.records)
