"""The thread that resumes, where things fail that do not fail over a network."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from test_resume import WAIT_S, _nothing_is_left, connect, connections, resumed, until  # noqa: F401

import realtime_sync as rt
from realtime_sync.delivery.connection import Connection
from realtime_sync.errors import HandshakeError
from realtime_sync.local import LocalServer
from realtime_sync.session.resume.successor import Successor
from realtime_sync.session.resume.worker import Worker


def test_without_a_thread_for_it_the_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def fails(thread: threading.Thread) -> None:
        if thread.name == "realtime_sync-resume":
            raise RuntimeError("no more threads")
        start(thread)

    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        monkeypatch.setattr(threading.Thread, "start", fails)
        server.drop()
        with pytest.raises(rt.ConnectionLost, match="no thread could be started"):
            session.ask("two")
        assert session.closed


def test_without_a_reader_for_the_new_connection_the_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(connection: Connection) -> None:
        connection._transport.close()
        raise HandshakeError("the reader's thread could not be started")

    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        monkeypatch.setattr(Connection, "start", fails)
        server.drop()
        with pytest.raises(rt.ConnectionLost, match="reader's thread"):
            session.ask("two")
        assert session.closed


def test_a_bug_ends_the_session(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fails(worker: Worker, talk: Any) -> None:
        raise ZeroDivisionError

    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        monkeypatch.setattr(Worker, "_go_on", fails)
        server.drop()
        with pytest.raises(rt.ConnectionLost, match="a fault of realtime_sync") as caught:
            session.ask("two")
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert "ZeroDivisionError" in caplog.text


def test_closing_while_the_conversation_is_written_ends_it_at_once() -> None:
    with LocalServer() as server:
        session = connect(server)
        session.ask("one")
        gate = server.gate("conversation.item.added", 2)
        server.drop()
        session.start()
        gate.wait_reached(WAIT_S)
        session.close()
        assert session.closed
        assert not any(thread.name == "realtime_sync-resume" for thread in threading.enumerate())
        gate.open()


def test_closing_does_not_wait_for_ever_for_a_function_of_the_user() -> None:
    let_go, asked = threading.Event(), threading.Event()
    calls: list[int] = []

    def key() -> str:
        calls.append(1)
        if len(calls) > 1:
            asked.set()
            assert let_go.wait(WAIT_S)
        return "sk-x"

    with LocalServer() as server:
        session = connect(server, api_key=key)
        session.ask("one")
        server.drop()
        session.start()
        assert asked.wait(WAIT_S)
        session.close(timeout=0.0)
        assert session.closed
        let_go.set()


def test_a_server_that_confirms_no_configuration_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("realtime_sync.session.resume.successor._CONFIRM_S", 0.05)
    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        gate = server.gate("session.updated")
        server.drop()
        opener = threading.Thread(target=lambda: (gate.wait_reached(WAIT_S), until(lambda: "going on" in caplog.text)))
        opener.start()
        turn = session.respond("two")
        until(lambda: not opener.is_alive(), session)
        gate.open()
        assert turn.result().text == "You said: two"


def test_a_server_that_refuses_the_session_costs_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Successor.open
    times: list[int] = []

    def refused(successor: Successor, deadline: Any) -> None:
        times.append(1)
        if len(times) == 1:
            successor._opened = False
            successor._error = rt.ServerError("not now", code="server_error")
            raise successor._error
        opened(successor, deadline)

    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        monkeypatch.setattr(Successor, "open", refused)
        server.drop()
        assert session.ask("two").text == "You said: two"
        assert len(times) == 2
        until(lambda: len(connections(server)) == 3)


def test_what_is_prepared_is_not_tried_again_after_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    with LocalServer(expires_after_s=3.0) as server, connect(server, resume=resumed(rollover_s=60.0)) as session:
        server.refuse(404, times=9)
        until(lambda: "could be prepared ahead" in caplog.text, session)
        with pytest.raises(rt.SessionExpired):
            session.wait_for("response.done", timeout=WAIT_S)
        refused = [request for request in server.requests if request.status == 404]
        assert len(refused) == 2, "once ahead of the time limit, once after it"
