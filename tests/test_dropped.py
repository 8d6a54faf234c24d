"""A session that nobody refers to any more is ended, whatever ran in it."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync.local import LocalServer, Reply, ToolCall, Turn
from realtime_sync.session.weak import WeakSession


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("realtime_sync-")]


def until(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not done():
        assert time.monotonic() < ends, threads()
        time.sleep(0.005)


def connect_cell(server: LocalServer, seen: list[str], *, tools: bool) -> rt.RealtimeSession:
    """What a cell of a notebook does."""
    session = rt.connect("m", base_url=server.base_url, session={"output_modalities": ["text"]})
    session.start()
    session.on("response.output_text.delta", lambda event: seen.append(event.delta))
    if tools:

        @session.tool
        def noon() -> str:
            """The time."""
            return "12:00"

    return session


@pytest.mark.parametrize("tools", [False, True], ids=["plain", "tools"])
def test_a_connect_cell_that_runs_again_leaves_nothing_open(tools: bool) -> None:
    def reply(turn: Turn) -> Any:
        return Reply(tool_calls=[ToolCall("noon")]) if tools and not turn.tool_outputs else "Hello."

    names = ["realtime_sync-dispatch", "realtime_sync-reader"]
    before = threading.enumerate()  # those of other tests may end meanwhile

    def ours() -> list[str]:  # the control thread, which is not among them, ends by itself
        return sorted(thread.name for thread in threading.enumerate() if thread.name in names and thread not in before)

    with LocalServer(reply) as server:
        seen: list[str] = []
        for _ in range(4):
            session = connect_cell(server, seen, tools=tools)
            assert session.ask("hi").text == "Hello."
            assert session.conversation.render().endswith("Hello.")
        gc.collect()
        until(lambda: ours() == names)
        assert session.ask("again").text == "Hello.", "the last one is still there"
        session.close()
    until(lambda: not ours())


def test_a_turn_keeps_its_session() -> None:
    with LocalServer(["Hello."]) as server:
        turn = rt.connect("m", base_url=server.base_url, session={"output_modalities": ["text"]}).respond("hi")
        gc.collect()
        assert turn.result().text == "Hello."


def test_dropping_needs_no_garbage_collection() -> None:
    fake = FakeSession()
    fake.session.start()
    gone = weakref.ref(fake.session)
    thread = fake.connection._thread
    gc.disable()
    try:
        del fake.session
        assert gone() is None
        thread.join(20)
        assert not thread.is_alive()
    finally:
        gc.enable()


def test_what_tools_hold_is_as_good_as_the_session_and_then_a_closed_one() -> None:
    with LocalServer(["Hello."]) as server:
        session = rt.connect("m", base_url=server.base_url)
        held: Any = WeakSession(session)
        assert isinstance(held, rt.RealtimeSession)
        assert (held.id, held.closed, repr(held)) == (session.id, False, repr(session))
        assert next(iter(held)).type == "session.created"
        del session
        assert held.closed
        assert "nobody" in repr(held)
        assert held.off("error", print) is False
        verb = held.send_text  # only the call fails, as that of a closed session does
        with pytest.raises(rt.ConnectionClosed, match="nobody refers"):
            verb("x", event_id="e")
        held.close(1000, "bye", timeout=1)  # what has ended can be ended again
        held.stop()
        with pytest.raises(rt.ConnectionClosed, match="nobody refers"):
            repr(held.conversation)
        with pytest.raises(rt.ConnectionClosed, match="nobody refers"):
            repr(held.colour)


def test_a_tool_that_ends_after_its_session_was_dropped_ends_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    with LocalServer([Reply(tool_calls=[ToolCall("leave")])] * 20) as server:
        for _ in range(20):  # its connection ends in the background: the answer comes before that, or after
            cell = [rt.connect("m", base_url=server.base_url)]
            gone, ran = weakref.ref(cell[0]), threading.Event()
            noted: list[threading.Thread] = []

            def leave(cell: Any = cell, gone: Any = gone, ran: Any = ran, noted: Any = noted) -> str:
                """Drop the session."""
                noted.append(threading.current_thread())
                cell.clear()
                until(lambda: gone() is None)
                ran.set()
                return "done"

            cell[0].start()
            cell[0].tool(leave)
            cell[0].create_response()
            assert ran.wait(20)
            noted[0].join(20)
            assert not noted[0].is_alive()
    assert raised == []


def test_an_error_that_repeats_the_key_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    with FakeSession() as fake:
        ack = fake.session.clear_audio()
        detail = {"message": "bad key sk-of-the-test", "code": "bad", "event_id": ack.event_id}
        fake.wire.say({"type": "error", "error": detail}, {"type": "error", "error": {"message": "sk-of-the-test"}})
        with pytest.raises(rt.ServerError, match="bad key <redacted>"):
            ack.result()
        until(lambda: fake.session.poll() > 0 or "the server reports" in caplog.text)
        assert "sk-of-the-test" not in caplog.text
