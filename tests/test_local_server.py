"""The server as such: upgrade, keys, lifecycle, faults on command."""

from __future__ import annotations

import copy
import gc
import json
import math
import os
import pickle
import selectors
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from local_raw import TIMEOUT_S, RawClient, done_of, text_of, tone
from servers import client_context, server_context
from websockets.exceptions import InvalidStatus

import realtime_sync as rt
from realtime_sync.errors import ConfigurationError, RealtimeTimeout
from realtime_sync.local import Gate, LocalServer, Quirks, Reply, somewhere

KEY = "sk-local-secret-key"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as started:
        yield started


def descriptors() -> set[str]:
    gc.collect()
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()


def refused(connect: Callable[[], Any]) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as refusal:
        connect()
    response = refusal.value.response
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["x-request-id"]
    error: dict[str, Any] = json.loads(response.body)["error"]
    return response.status_code, error


# ------------------------------------------------------------------------------------------------------------ keys


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"api-key": KEY},
        {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}"},
    ],
)
def test_the_key_opens_the_door_and_is_not_kept(headers: dict[str, str]) -> None:
    with LocalServer(api_key=KEY) as server:
        if "Sec-WebSocket-Protocol" in headers:
            # The client library checks the subprotocol that comes back, so it is asked for by its own argument.
            from websockets.sync.client import connect

            url = server.base_url.replace("http", "ws", 1) + "/realtime?model=m"
            with connect(url, subprotocols=headers["Sec-WebSocket-Protocol"].split(", ")) as websocket:  # type: ignore[arg-type]
                assert websocket.subprotocol == "realtime"
                assert json.loads(websocket.recv(TIMEOUT_S))["type"] == "session.created"
        else:
            with RawClient(server, headers=headers):
                pass
        assert KEY not in repr(server.requests)


def test_a_wrong_key_is_a_401_with_json() -> None:
    with LocalServer(api_key=KEY) as server:
        status, error = refused(lambda: RawClient(server, headers={"Authorization": "Bearer sk-wrong"}))
        assert (status, error["code"], error["type"]) == (401, "invalid_api_key", "invalid_request_error")
        assert "sk-wrong" not in error["message"]
        status, error = refused(lambda: RawClient(server))
        assert (status, error["code"]) == (401, None)
        assert len(server.requests) == 2


def test_a_wrong_key_may_be_told_after_the_upgrade() -> None:
    server = LocalServer(api_key=KEY, quirks=Quirks(late_authentication=True)).start()
    with server, RawClient(server, headers={"Authorization": "Bearer sk-wrong"}, created=False) as client:
        assert client.error()["code"] == "invalid_api_key"
        assert client.closed() == (3000, "invalid_request_error.invalid_api_key")


def test_without_a_key_anybody_may_come(server: LocalServer) -> None:
    with RawClient(server, headers={"Authorization": "Bearer whatever"}), RawClient(server):
        pass


def test_other_paths_are_not_found(server: LocalServer) -> None:
    status, _ = refused(lambda: RawClient(server, path="/chat"))
    assert status == 404


# ------------------------------------------------------------------------------- turned away after the upgrade


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("model=m", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled"),
        ("intent=transcription", {"OpenAI-Beta": "realtime=v1"}, "beta_api_shape_disabled"),
        ("", {}, "missing_model"),
        ("intent=transcription&model=m", {}, "invalid_model"),
    ],
)
def test_a_wrong_request_is_upgraded_and_closed_with_4000(
    server: LocalServer, query: str, headers: dict[str, str], code: str
) -> None:
    with RawClient(server, query, headers=headers, created=False) as client:
        assert client.error()["code"] == code
        assert client.closed() == (4000, f"invalid_request_error.{code}")


def test_the_beta_header_passes_where_the_old_names_are_spoken() -> None:
    server = LocalServer(quirks=Quirks(beta_names=True))
    with server, RawClient(server, headers={"OpenAI-Beta": "realtime=v1"}, checked=False):
        pass


def test_azure_names_a_deployment(server: LocalServer) -> None:
    with RawClient(server, "deployment=mine&api-version=2025-04-01") as client:
        assert client.session["model"] == "mine"


# ------------------------------------------------------------------------------------------------- what tests see


def test_requests_and_events_are_recorded_in_order(server: LocalServer) -> None:
    headers = {"Authorization": "Bearer secret", "X-Mine": "yes"}
    with (
        RawClient(server, "model=a&x=1&api-key=secret", headers=headers) as first,
        RawClient(server, "model=b") as second,
    ):
        first.say("one")
        second.say("two")
        first.say("three")
        request = server.requests[0]
        query = {"model": "a", "x": "1", "api-key": "<redacted>"}
        assert (request.path, request.query) == ("/v1/realtime", query)
        assert request.headers["x-mine"] == "yes"
        assert "secret" not in repr(request)
        said = [[event["item"]["content"][0]["text"] for event in made.received] for made in server.requests]
        assert said == [["one", "three"], ["two"]]
        assert len(server.received) == 3


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda given: pickle.loads(pickle.dumps(given))])
def test_what_is_recorded_can_be_copied(server: LocalServer, copied: Callable[[Any], Any]) -> None:
    with RawClient(server) as client:
        client.ask("hello")
        client.send("nothing.of.ours")
        client.error()
        log, refusals = copied(server.log), copied(server.refusals)
        assert list(map(str, log)) == list(map(str, server.log))
        assert [entry.event for entry in log] == [entry.event for entry in server.log]
        assert list(map(str, refusals)) == list(map(str, server.refusals)) != []
        request, copy_of_it = server.requests[0], log[0].connection
        for name in ("path", "query", "headers", "number", "status", "close_code"):
            assert getattr(copy_of_it, name) == getattr(request, name)
        assert (copy_of_it.is_open, request.is_open) == (False, True)


def test_the_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_sync.local.records._KEPT_BYTES", 1_000)
    with LocalServer() as server, RawClient(server) as first, RawClient(server) as second:
        for number in range(20):
            first.say(f"{number:0100d}")
        second.say("short")
        kept = [event["item"]["content"][0]["text"] for event in server.received]
        assert kept[-1] == "short"
        assert [int(text) for text in kept[:-1]] == list(range(20 - len(kept) + 1, 20))
        assert 1 < len(kept) < 6


def test_waiting_for_an_event_of_the_client(server: LocalServer) -> None:
    with RawClient(server) as client:
        timer = threading.Timer(0.02, client.send, ["input_audio_buffer.clear"])
        timer.start()
        assert server.wait_received("input_audio_buffer.clear", timeout=TIMEOUT_S)["event_id"] == "client_1"
        timer.join()
        with pytest.raises(RealtimeTimeout, match="1 of 2"):
            server.wait_received("input_audio_buffer.clear", count=2, timeout=0.01)


def test_what_a_reply_function_raises_is_kept() -> None:
    def broken(turn: Any) -> str:
        raise LookupError("no such reply")

    with LocalServer(broken) as server, RawClient(server) as client:
        response = client.ask("hello")
        assert response["status"] == "failed"
        assert response["status_details"]["error"]["code"] == "server_error"
        assert "no such reply" not in json.dumps(response)
        assert [str(failure) for failure in server.failures] == ["no such reply"]
        assert client.update(instructions="x")["instructions"] == "x"


# -------------------------------------------------------------------------------------------------- faults on command


def test_a_dropped_connection_ends_without_a_close_frame(server: LocalServer) -> None:
    with RawClient(server) as client:
        server.drop()
        assert client.closed() == (1006, "")
    with RawClient(server):
        pass


def test_connections_are_closed_with_code_and_reason_after_what_was_sent(server: LocalServer) -> None:
    with RawClient(server) as client:
        client.say("hello")
        server.send({"type": "rate_limits.updated", "event_id": "e", "rate_limits": []})
        server.close_connections(1011, "out of order")
        client.expect("rate_limits.updated")
        assert client.closed() == (1011, "out of order")


def test_anything_can_be_sent(server: LocalServer) -> None:
    with RawClient(server, checked=False) as client:
        server.send("{not json")
        server.send(b"\x00binary")
        server.send({"type": "some.future.event"})
        assert client.websocket.recv(TIMEOUT_S) == "{not json"
        assert client.websocket.recv(TIMEOUT_S) == b"\x00binary"
        assert client.recv() == {"type": "some.future.event"}


def test_a_session_expires_on_command(server: LocalServer) -> None:
    with RawClient(server) as client:
        server.expire()
        assert client.error()["code"] == "session_expired"
        assert client.closed() == (1001, "Your session hit the maximum duration of 60 minutes.")


def test_a_session_expires_at_its_time() -> None:
    with LocalServer(expires_after_s=0.05) as server, RawClient(server) as client:
        assert client.error()["code"] == "session_expired"
        assert client.closed()[0] == 1001


def test_a_session_can_end_later_than_it_says() -> None:
    begun = time.monotonic()
    with LocalServer(expires_after_s=0, quirks=Quirks(ends_late_s=0.2)) as server, RawClient(server) as client:
        assert client.session["expires_at"] <= time.time()
        assert client.error()["code"] == "session_expired"
        assert time.monotonic() > begun + 0.2
    for never_s in (math.inf, 10**400):
        with LocalServer(expires_after_s=0, quirks=Quirks(ends_late_s=never_s)) as server, RawClient(server) as client:
            assert text_of(client.ask("still there?")) == "You said: still there?"


@pytest.mark.parametrize("late_s", [-1, "2", math.nan])
def test_a_session_does_not_end_before_it_says(late_s: Any) -> None:
    with pytest.raises(ConfigurationError, match="ends_late_s must be a number of seconds, 0 or more"):
        Quirks(ends_late_s=late_s)


@pytest.mark.parametrize("life_s", [math.inf, 1e300])
def test_a_session_that_does_not_expire_is_given_a_date_far_off(life_s: float) -> None:
    with LocalServer(expires_after_s=life_s) as server, RawClient(server) as client:
        told = client.session["expires_at"]
        assert time.time() + 99 * 365 * 86_400 < told < time.time() + 101 * 365 * 86_400


def test_session_created_can_be_held_back() -> None:
    gate = Gate("session.created")
    with LocalServer(gates=[gate]) as server, RawClient(server, created=False) as client:
        gate.wait_reached(TIMEOUT_S)
        with pytest.raises(TimeoutError):
            client.websocket.recv(0.01)
        gate.open()
        client.expect("session.created")


# ---------------------------------------------------------------------------------------------------------- lifecycle


def test_stop_leaves_no_thread_and_no_descriptor() -> None:
    with LocalServer() as server, RawClient(server) as client:
        client.ask("warm up, so that lazy imports are done")
    before = descriptors()
    threads = set(threading.enumerate())
    server = LocalServer(["x", "y", "z"]).start()
    clients = [RawClient(server) for _ in range(4)]
    for client in clients:
        client.say("hello")
        client.send("response.create")
    stray = socket.create_connection(("127.0.0.1", int(server.base_url.split(":")[2].split("/")[0])))
    server.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("local-realtime")]
    for client in clients:
        client.close()
    stray.close()
    assert not set(threading.enumerate()) - threads
    assert descriptors() == before


def test_the_server_tells_its_address_once_it_has_one() -> None:
    server = LocalServer(api_key=KEY)
    assert repr(server) == "<LocalServer without an address: not started>"
    for name in ("base_url", "control_url"):
        with pytest.raises(ConfigurationError, match=r"call start\(\)"):
            getattr(server, name)
    with server:
        url = server.base_url
        assert repr(server) == f"<LocalServer {url}: listening>"
    assert repr(server) == f"<LocalServer {url}: stopped>"
    assert server.base_url == url
    assert LocalServer(port=8123).base_url == "http://127.0.0.1:8123/v1"


def test_stop_is_idempotent_and_tells_the_clients() -> None:
    server = LocalServer().start()
    with RawClient(server) as client:
        server.stop()
        server.stop()
        assert client.closed() == (1001, "The local server stops.")
    with pytest.raises(ConnectionRefusedError):
        RawClient(server)


def test_stop_does_not_wait_for_a_gate_or_a_slow_reply() -> None:
    release = threading.Event()
    gate = Gate("response.done")

    def slow(turn: Any) -> str:
        release.wait(TIMEOUT_S)
        return "too late"

    with LocalServer([Reply("held", gates=[gate]), slow]) as server:
        first, second = RawClient(server), RawClient(server)
        for client in (first, second):
            client.say("hello")
            client.send("response.create")
            client.until("response.created")
        gate.wait_reached(TIMEOUT_S)
        server.stop(timeout=0.5)
        assert first.closed()[0] == second.closed()[0] == 1001
        release.set()
        first.close()
        second.close()


def test_a_server_starts_once(server: LocalServer) -> None:
    with pytest.raises(ConfigurationError, match="already"):
        server.start()


@pytest.mark.parametrize("known", [True, False], ids=["looked up before", "looked up after"])
def test_a_server_that_is_stopped_before_it_accepts_ends_silently(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    class Late(selectors.DefaultSelector):
        """Registers the listening socket once it is closed."""

        def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
            if isinstance(fileobj, socket.socket) and fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                number = fileobj.fileno()
                begun.set()
                while fileobj.fileno() != -1:
                    time.sleep(0.001)
                fileobj = number if known else fileobj
            return super().register(fileobj, events, data)

    monkeypatch.setattr(selectors, "DefaultSelector", Late)
    server = LocalServer()
    server.start()
    assert begun.wait(20)
    server.stop()
    assert not any(thread.name.startswith("local-realtime") for thread in threading.enumerate())


def test_an_accept_that_fails_is_hidden_only_at_the_end(server: LocalServer) -> None:
    def refuse() -> None:
        raise OSError("too many open files")

    failing: Any = SimpleNamespace(serve_forever=refuse)
    with pytest.raises(OSError, match="too many open files"):
        server._listener._accept(failing)
    server.stop()
    server._listener._accept(failing)


def test_a_server_that_was_stopped_does_not_start_again(server: LocalServer) -> None:
    server.stop()
    never_begun = LocalServer()
    never_begun.stop()
    for begin in (server.start, server.__enter__, never_begun.start):
        with pytest.raises(ConfigurationError, match="does not start again: make another LocalServer"):
            begin()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("leaves", ["stop", "with"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_forked_child_that_stops_the_server_leaves_it_to_the_parent(leaves: str, tls: bool) -> None:
    with LocalServer(tls=tls, strict=True) as server:
        context = ssl.create_default_context(cafile=server.ca_file) if tls else None
        with rt.connect("m", base_url=server.base_url, ssl_context=context) as session:
            session.ask("Before the fork")
            locks = (server._listener._changed, server._records._changed)
            for lock in locks:  # as if threads of the server were just there
                lock.acquire()
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    held = descriptors()
                    if leaves == "with":
                        server.__exit__(ValueError, ValueError(), None)
                    server.stop()
                    # The port and the connection; before version 17 of websockets also a pipe.
                    released = not held or len(held - descriptors()) >= 2
                    code = 0 if released and threading.active_count() == 1 else 2
                finally:
                    os._exit(code)
            for lock in locks:
                lock.release()
            watch = threading.Timer(TIMEOUT_S, os.kill, (child, signal.SIGKILL))
            watch.start()
            status = os.waitpid(child, 0)[1]
            watch.cancel()
            assert os.waitstatus_to_exitcode(status) == 0
            assert server.ca_file is None or os.path.exists(server.ca_file)
            assert "After" in str(session.ask("After the fork"))
            with rt.connect("m", base_url=server.base_url, ssl_context=context) as another:
                another.ask("Is the door open?")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("local-realtime")]


def test_a_taken_port_is_named(server: LocalServer) -> None:
    port = int(server.base_url.split(":")[2].split("/")[0])
    with pytest.raises(ConfigurationError, match=str(port)):
        LocalServer(port=port).start()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets.sync.server", None)
    with pytest.raises(ConfigurationError, match="local"):
        LocalServer().start()


@pytest.mark.parametrize("name", ["speed", "latency_s", "expires_after_s", "ping_interval_s"])
@pytest.mark.parametrize("value", [-1, "2", math.nan, True])
def test_time_does_not_stand_still(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must be a number"):
        LocalServer(**{name: value})
    with pytest.raises(ConfigurationError, match="speed"):
        LocalServer(speed=0)


def test_tls() -> None:
    with LocalServer(ssl_context=server_context()) as server:
        assert server.base_url.startswith("https://127.0.0.1:")
        with RawClient(server, ssl=client_context()) as client:
            assert text_of(client.ask("hello")) == "You said: hello"


def test_ipv6() -> None:
    try:
        server = LocalServer(host="::1").start()
    except ConfigurationError:
        pytest.skip("no IPv6 here")
    with server, RawClient(server) as client:
        assert "[::1]" in server.base_url
        assert text_of(client.ask("hello")) == "You said: hello"


def test_the_server_pings() -> None:
    with LocalServer(ping_interval_s=0.01) as server, RawClient(server) as client:
        # A pong is answered by the client's library; the connection outlives many pings.
        for _ in range(20):
            assert client.update(instructions="x")["instructions"] == "x"


def test_clients_of_one_server_are_apart() -> None:
    with LocalServer() as server, RawClient(server) as first, RawClient(server) as second:
        first.update(instructions="first")
        first.say("only here")
        second.send("response.create")
        assert text_of(done_of(second.response())) == "Hello! What can I do for you?"
        assert second.session["id"] != first.session["id"]


def test_a_client_that_does_not_read_holds_nobody_up() -> None:
    """More is generated than the sockets hold: the generation waits, the rest of the server goes on."""
    audio = tone(1_000) * 400
    server = LocalServer(lambda turn: Reply("much", audio=audio))
    with server, RawClient(server, checked=False) as lazy, RawClient(server) as other:
        lazy.say("hello")
        lazy.send("response.create")
        lazy.until("response.created")
        other.update(output_modalities=["text"])
        assert other.ask("hello")["status"] == "completed"
        events = lazy.response()
        assert done_of(events)["status"] == "completed"
        assert sum(event["type"] == "response.output_audio.delta" for event in events) == 2_000


def test_somewhere_is_a_local_server_without_a_key_and_nothing_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[Any] = []
    monkeypatch.setattr("realtime_sync.local.fallback.atexit", SimpleNamespace(register=stops.append))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    where = somewhere(replies=["Here."])
    with rt.connect("m", **where, session={"output_modalities": ["text"]}) as session:
        assert session.ask("Where?").text == "Here."
    (stop,) = stops
    stop()
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        with monkeypatch.context() as set_one:
            set_one.setenv(name, "x")
            assert somewhere() == {}


def test_half_a_character_is_sent_as_its_escape() -> None:
    with LocalServer() as server, RawClient(server, checked=False) as client:
        server.send({"type": "odd", "text": "a\ud83d"})
        assert client.recv()["text"] == "a\ud83d"
        server.send('{"type": "odd", "text": "\ud83d"}')
        assert client.recv()["text"] == "\ud83d"
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a\ud83d"}]}
        client.send("conversation.item.create", item=item)
        assert client.recv()["item"]["content"][0]["text"] == "a\ud83d"


def test_a_message_too_deep_to_be_read_is_logged_as_it_is() -> None:
    deep = "[" * 100_000
    with LocalServer() as server, RawClient(server, checked=False) as client:
        server.send(deep)
        assert client.websocket.recv(TIMEOUT_S) == deep
        assert server.log[-1].event == deep
