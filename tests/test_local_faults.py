"""The server as a test double: what was refused, what was logged, scripted faults, and a verdict at the end."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from local_raw import TIMEOUT_S, RawClient, done_of, text_of
from websockets.exceptions import InvalidMessage, InvalidStatus

import realtime_sync as rt
from realtime_sync.events import McpListedTool
from realtime_sync.local import Failure, LocalServer, Reply, Request, ToolCall, Transcript, Turn
from realtime_sync.local.records import Records


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as started:
        yield started


# --------------------------------------------------------------------------------------------------------- refusals


def test_refusals_say_what_the_client_did_wrong(server: LocalServer) -> None:
    with RawClient(server) as client:
        event_id = client.send("conversation.item.create", item={"type": "message", "role": "user"})
        client.error()
        client.websocket.send("{broken")
        client.error()
        client.websocket.send(b"\0")
        client.error()
        wrong, broken, binary = server.refusals
        assert (wrong.code, wrong.param) == ("missing_required_parameter", "item.content")
        assert isinstance(wrong.event, dict)
        assert wrong.event["event_id"] == event_id
        assert "item.content" in wrong.message
        assert wrong.connection is server.requests[0]
        assert (broken.event, broken.code) == ("{broken", "invalid_json")
        assert binary.event == b"\0"
        assert [entry.event for entry in server.log if entry.direction == "to_server"][1:] == ["{broken", b"\0"]


def test_refused_connections_are_refusals(server: LocalServer) -> None:
    with RawClient(server, "", created=False) as client:
        assert client.error()["code"] == "missing_model"
        client.closed()
    with pytest.raises(InvalidStatus):
        RawClient(server, path="/chat")
    assert [(refused.event, refused.code) for refused in server.refusals] == [(None, "missing_model"), (None, None)]
    opened, refused = server.requests
    assert (opened.status, opened.wait_closed()) == (101, 4000)
    assert (refused.status, refused.close_code) == (404, None)


def test_strict_raises_at_the_end_what_was_refused() -> None:
    server = LocalServer(strict=True)
    with pytest.raises(AssertionError, match=r"refused: nope \(#1\)"), server, RawClient(server) as client:
        client.send("nope")
        client.error()


def test_strict_raises_what_has_failed() -> None:
    def broken(turn: Turn) -> str:
        raise LookupError("no such reply")

    server = LocalServer(broken, strict=True)
    complains = pytest.raises(AssertionError, match="LookupError: no such reply")
    with complains as raised, server, RawClient(server) as client:
        client.ask("hello")
    assert isinstance(raised.value.__cause__, LookupError)


def test_strict_does_not_hide_what_the_body_raised() -> None:
    with pytest.raises(KeyError), LocalServer(strict=True) as server, RawClient(server) as client:
        client.send("nope")
        client.error()
        raise KeyError


def test_a_cancel_that_comes_too_late_is_no_wrong() -> None:
    with LocalServer(strict=True) as server, RawClient(server) as client:
        client.send("response.cancel")
        assert client.error()["code"] == "response_cancel_not_active"
        assert len(server.refusals) == 1
        server.assert_done()


# ------------------------------------------------------------------------------------------------------ the script


@pytest.mark.parametrize("script", [[42], ["fine", {"text": "x"}], [["nested", 5]], 42, {"a": 1}])
def test_a_wrong_script_is_found_at_once(script: Any) -> None:
    with pytest.raises(rt.ConfigurationError):
        LocalServer(script)


def test_a_wrong_script_names_its_entry() -> None:
    with pytest.raises(rt.ConfigurationError, match="entry 1 of the script: a reply cannot be a int"):
        LocalServer(["one", 2])
    with pytest.raises(rt.ConfigurationError, match="entry 0 of the script: a transcript cannot be a int"):
        LocalServer(transcripts=[5])


def test_assert_done_wants_all_replies_used() -> None:
    with LocalServer(["one", "two"], transcripts=["heard"]) as server, RawClient(server) as client:
        client.ask("x")
        with pytest.raises(AssertionError, match="not used: 'two'\n  not used: 'heard'"):
            server.assert_done()
        client.ask("y")
        server.transcripts = None
        server.assert_done()
        client.ask("one too many")
        with pytest.raises(AssertionError, match="no reply left"):
            server.assert_done()


def test_assert_done_wants_all_faults_to_have_happened(server: LocalServer) -> None:
    server.fail_next("response.create")
    server.refuse(429)
    with pytest.raises(AssertionError, match=r"refuse\(429\)\n  has not happened: fail_next\('response.create'\)"):
        server.assert_done()


def test_a_script_may_be_changed_and_be_of_one_connection() -> None:
    def whose(turn: Turn) -> str:
        return f"of all, to #{turn.request.number}"

    with LocalServer(whose) as server, RawClient(server) as first, RawClient(server) as second:
        server.requests[1].replies = ["of the second alone"]
        server.requests[1].transcripts = [Transcript("x")]
        assert text_of(first.ask("x")) == "of all, to #1"
        assert text_of(second.ask("x")) == "of the second alone"
        server.replies = ["changed"]
        assert text_of(first.ask("x")) == "changed"
        with pytest.raises(AssertionError, match="not used of connection #2"):
            server.assert_done()
        server.reset()
        assert (server.refusals, server.failures, server.received) == ([], [], [])
        assert len(server.requests) == 2
        assert text_of(first.ask("x")) == text_of(second.ask("x")) == "You said: x"
        server.replies = ["One.", "Two."]
        server.requests[1].replies = ["Own."]
        server.requests[1].replies = None
        assert (text_of(first.ask("x")), text_of(second.ask("x"))) == ("One.", "Two.")
        server.assert_done()


def test_tools_of_an_mcp_server_may_be_objects() -> None:
    tools = {"files": [McpListedTool(name="read", input_schema={"type": "object"})]}
    with LocalServer(mcp_tools=tools) as server, RawClient(server) as client:
        client.update(tools=[{"type": "mcp", "server_label": "files", "server_url": "https://x.test"}])
        done = client.until("conversation.item.done")[-1]
        assert done["item"]["tools"] == [{"name": "read", "input_schema": {"type": "object"}}]


# ----------------------------------------------------------------------------------------------------------- the log


def test_the_log_has_both_directions_in_order(server: LocalServer) -> None:
    with RawClient(server) as client:
        client.say("hello")
        request = server.requests[0]
        assert [event["type"] for event in request.sent] == [
            "session.created",
            "conversation.item.added",
            "conversation.item.done",
        ]
        log = request.log
        assert [entry.direction for entry in log] == ["to_client", "to_server", "to_client", "to_client"]
        assert all(before.at_s <= after.at_s for before, after in itertools.pairwise(log))
        assert "#1 -> conversation.item.create" in str(log[1])
        assert [str(entry) for entry in server.log] == [str(entry) for entry in log]
        assert request.wait_received("conversation.item.create")["type"] == "conversation.item.create"


def test_a_line_of_the_log_shows_audio_by_its_length(server: LocalServer) -> None:
    with RawClient(server) as client:
        client.append(bytes(9_600), chunk_bytes=9_600)
        client.send("input_audio_buffer.clear")
        client.expect("input_audio_buffer.cleared")
        client.ask("hello")
        lines = [str(entry) for entry in server.log]
        assert any("input_audio_buffer.append" in line and "<12800 characters>" in line for line in lines)
        assert max(map(len, lines)) < 260


def test_a_connection_says_how_it_ended(server: LocalServer) -> None:
    with RawClient(server) as client:
        request = server.requests[0]
        assert (request.status, request.close_code, request.is_open) == (101, None, True)
        with pytest.raises(rt.RealtimeTimeout, match=r"connection 1 is still open after 0.01 s"):
            request.wait_closed(0.01)
        request.close(4321, "enough")
        assert client.closed() == (4321, "enough")
        assert (request.wait_closed(), request.is_open) == (4321, False)
    with RawClient(server) as client, RawClient(server) as other:
        server.requests[1].drop()
        assert client.closed() == (1006, "")
        other.say("I am still here")
        server.requests[2].send({"type": "only.for.you"})
        assert json.loads(other.websocket.recv(TIMEOUT_S))["type"] == "only.for.you"
        server.requests[2].expire()
        assert other.error()["code"] == "session_expired"
        other.closed()
    assert [request.wait_closed() for request in server.requests] == [4321, 1006, 1001]
    assert [request.close_code for request in server.requests] == [4321, 1006, 1001]
    server.requests[0].send("into the void")


def test_what_never_became_a_connection_does_not_end(server: LocalServer) -> None:
    with pytest.raises(InvalidStatus):
        RawClient(server, path="/chat")
    with pytest.raises(rt.ConfigurationError, match="answered with status 404"):
        server.requests[0].wait_closed()
    stranger = Request("/v1/realtime", {}, {})
    for wait in (stranger.wait_closed, lambda: stranger.wait_received("any")):
        with pytest.raises(rt.ConfigurationError, match="belongs to no server"):
            wait()


def test_an_end_is_waited_for_where_the_server_sees_it_later_than_the_client(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, late = threading.Event(), Records.end

    def end(records: Records, request: Request, close_code: int) -> None:
        assert seen.wait(TIMEOUT_S)
        late(records, request, close_code)

    monkeypatch.setattr(Records, "end", end)
    with RawClient(server, "", created=False) as client:
        client.error()
        client.closed()
    request = server.requests[0]
    assert request.close_code is None
    seen.set()
    assert request.wait_closed() == 4000


# ------------------------------------------------------------------------------------------------------------ faults


def test_the_next_event_of_a_type_fails_and_is_named(server: LocalServer) -> None:
    with RawClient(server) as client, RawClient(server) as other:
        server.fail_next("conversation.item.create", code="rate_limit_exceeded", message="Slow down.", param="item")
        event_id = client.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
        assert client.error() == {
            "type": "invalid_request_error",
            "code": "rate_limit_exceeded",
            "message": "Slow down.",
            "param": "item",
            "event_id": event_id,
        }
        client.say("again")
        server.requests[1].fail_next("response.create", error_type="server_error", times=2)
        assert client.ask("x")["status"] == "completed"
        for _ in range(2):
            other.send("response.create")
            assert other.error()["type"] == "server_error"
        assert other.ask("x")["status"] == "completed"
        assert server.refusals == []
        server.assert_done()


def test_the_client_sees_the_failed_event_as_its_ack(server: LocalServer) -> None:
    with rt.connect("gpt-realtime", base_url=server.base_url) as session:
        server.fail_next("session.update", "invalid_value")
        with pytest.raises(rt.ServerError, match="had an error"):
            session.update_session({"instructions": "x"}).result()
        session.update_session({"instructions": "x"}).result()


def test_handshakes_are_refused_with_status_and_headers(server: LocalServer) -> None:
    server.refuse(429, {"Retry-After": "7"}, times=2)
    for _ in range(2):
        with pytest.raises(InvalidStatus) as refused:
            RawClient(server)
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "7"
    with RawClient(server):
        pass
    server.refuse(body="<html>down for maintenance</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(rt.HandshakeError) as error:
        rt.connect("gpt-realtime", base_url=server.base_url)
    assert (error.value.status, "maintenance" in str(error.value.body)) == (503, True)
    assert [request.status for request in server.requests] == [429, 429, 101, 503]
    server.assert_done()


def test_handshakes_are_cut_and_slow(server: LocalServer) -> None:
    server.refuse(None)
    with pytest.raises(InvalidMessage):
        RawClient(server)
    assert server.requests[0].status is None
    server.refuse(101, delay_s=0.2)
    before = time.monotonic()
    with RawClient(server):
        assert time.monotonic() - before >= 0.2
    server.refuse(101, delay_s=30)
    with pytest.raises(rt.RealtimeTimeout):
        rt.connect("gpt-realtime", base_url=server.base_url, timeout=0.2)
    with pytest.raises(rt.ConfigurationError, match="HTTP status"):
        server.refuse(7)


def test_latency() -> None:
    with LocalServer(latency_s=0.1) as server, RawClient(server) as client:
        before = time.monotonic()
        client.say("hello")
        assert time.monotonic() - before >= 0.1
        server.close_connections(1000, "after what was sent")
        assert client.closed() == (1000, "after what was sent")
    with pytest.raises(rt.ConfigurationError, match="latency_s"):
        LocalServer(latency_s=-1)


def test_latency_does_not_add_up() -> None:
    with LocalServer(latency_s=0.2) as server, RawClient(server) as client:
        client.update(output_modalities=["text"])
        before = time.monotonic()
        client.send("response.create")
        assert len(client.response()) > 8
        assert 0.2 <= time.monotonic() - before < 1.0


def test_scripted_failures_are_no_failures_of_the_script() -> None:
    script = [Failure("Overloaded."), Reply("x", tool_calls=[ToolCall("f")])]
    with LocalServer(script, strict=True) as server, RawClient(server) as client:
        assert client.ask("x")["status"] == "failed"
        client.send("response.create")
        assert done_of(client.response())["status"] == "completed"
        server.assert_done()
