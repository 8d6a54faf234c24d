"""A session that goes on when its connection ends, against the local server."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.local import LocalServer, Quirks, Request

TEXT = {"output_modalities": ["text"]}
WAIT_S = 20.0
LATE = Quirks(ends_late_s=60.0)
"""Of a server whose sessions are to be changed ahead of their time limit, however late a busy machine is."""


def resumed(**options: Any) -> rt.Resume:
    """Without pauses, which would only make the tests slow."""
    return rt.Resume(**{"backoff_s": 0.0, "rollover_s": None, **options})


def connect(server: LocalServer, *, session: Any = TEXT, resume: Any = None, **options: Any) -> rt.RealtimeSession:
    return rt.connect(
        "m", base_url=server.base_url, session=session, resume=resumed() if resume is None else resume, **options
    )


def until(done: Callable[[], bool], session: rt.RealtimeSession | None = None) -> None:
    """Wait for a condition, pumping where a session is given."""
    ends = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < ends
        if session is None or not session.poll():
            time.sleep(0.002)


def connections(server: LocalServer) -> list[Request]:
    return [request for request in server.requests if request.status == 101]


def on_server(server: LocalServer, nth: int = -1) -> list[tuple[Any, Any]]:
    """The conversation as the client was told it on a connection: ids, and roles or types."""
    found: dict[str, Any] = {}
    for event in connections(server)[nth].sent:
        if event["type"] == "conversation.item.added":
            found[event["item"]["id"]] = event["item"].get("role") or event["item"]["type"]
    return list(found.items())


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    until(lambda: not [t for t in threading.enumerate() if t.name in ("realtime_sync-resume", "realtime_sync-reader")])


def test_a_drop_between_two_turns_is_gone_on_from() -> None:
    heard: list[str] = []
    notices: list[e.SessionResumed] = []
    with LocalServer() as server, connect(server, session={**TEXT, "instructions": "Be kind."}) as session:
        session.on("response.output_text.delta", lambda event: heard.append(event.delta))
        session.on("session.resumed", notices.append)
        assert session.ask("one").text == "You said: one"
        before = session.id
        server.drop()
        assert session.ask("two").text == "You said: two"
        assert "".join(heard) == "You said: oneYou said: two"
        assert [entry.text for entry in session.conversation] == ["one", "You said: one", "two", "You said: two"]
        assert session.config.instructions == "Be kind."
        assert session.id != before
        assert not session.closed
        (notice,) = notices
        assert (notice.attempts, notice.planned, notice.lost, notice.renamed) == (1, False, [], {})
        assert notice.restored == [entry.id for entry in session.conversation][:2]
        assert "without a close frame" in (notice.reason or "")
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


def test_without_it_a_drop_ends_the_session() -> None:
    with LocalServer() as server, connect(server, resume=False) as session:
        session.ask("one")
        server.drop()
        with pytest.raises(rt.ConnectionLost):
            session.ask("two")
        until(lambda: session.closed)


# What was under way


def cut_in(server: LocalServer, event_type: str, nth: int = 1) -> None:
    """Cut the connection where the server is about to send this."""
    gate = server.gate(event_type, nth)

    def cut() -> None:
        gate.wait_reached(WAIT_S)
        server.drop()
        gate.open()

    threading.Thread(target=cut).start()


def cut_after(
    server: LocalServer, session: rt.RealtimeSession, event_type: str, nth: int = 1, held: str | None = None
) -> None:
    """Cut the connection when so many of these have arrived, while the server holds the next one back, or the first of
    the type ``held``."""
    gate = server.gate(event_type, nth + 1) if held is None else server.gate(held)
    seen: list[Any] = []

    def count(event: Any) -> None:
        seen.append(event)
        if len(seen) == nth:
            gate.wait_reached(WAIT_S)
            server.drop()
            gate.open()

    session.on(event_type, count)


def test_a_reply_that_had_begun_fails_with_what_had_come() -> None:
    with LocalServer(["one two three", "after"]) as server, connect(server) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        with pytest.raises(rt.ConnectionLost, match="the session goes on over another connection") as caught:
            session.ask("count")
        assert caught.value.reply.text
        assert "one two three".startswith(caught.value.reply.text)
        begun = caught.value.reply.text
        assert session.ask("and now?").text == "after"
        assert [entry.text for entry in session.conversation] == ["count", begun, "and now?", "after"]
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


def test_a_reply_that_had_begun_is_asked_for_again() -> None:
    again = resumed(in_flight="ask_again")
    with LocalServer(["one two three", "one two four", "five"]) as server, connect(server, resume=again) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        assert session.ask("count").text == "one two four"
        assert [entry.text for entry in session.conversation] == ["count", "one two four"]
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]
        assert session.ask("on").text == "five"
        kinds = [event["type"] for event in connections(server)[-1].received]
        assert kinds.count("response.create") == 2  # not once more for the message that had left


def test_what_was_asked_for_and_had_not_begun_is_asked_for_again() -> None:
    with LocalServer(["lost", "kept"]) as server, connect(server) as session:
        cut_in(server, "response.created")
        assert session.ask("hi").text in ("lost", "kept")
        assert [entry.role for entry in session.conversation] == ["user", "assistant"]


def test_a_tool_that_runs_meanwhile_is_answered_on_the_new_connection() -> None:
    from realtime_sync.local import ToolCall

    running, asked, go_on = threading.Event(), threading.Event(), threading.Event()
    calls: list[int] = []
    with LocalServer([ToolCall("add", {"a": 1, "b": 2}), "Three."]) as server, connect(server) as session:

        @session.tool
        def add(a: int, b: int) -> int:
            """Add."""
            calls.append(a)
            running.set()
            assert go_on.wait(WAIT_S)
            return a + b

        def cut() -> None:
            assert running.wait(WAIT_S)
            assert asked.wait(WAIT_S)
            server.drop()
            until(lambda: len(connections(server)) == 2)
            go_on.set()

        session.once("response.done", lambda event: asked.set())
        threading.Thread(target=cut).start()
        assert session.ask("1 + 2?").text == "Three."
        assert calls == [1]
        assert [entry.item.type for entry in session.conversation] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]
        assert server.refusals == []


def test_a_call_that_was_not_done_is_not_told_to_the_new_connection() -> None:
    from realtime_sync.local import ToolCall

    call = ToolCall("add", {"a": 1})
    with LocalServer([call, call, "One."]) as server, connect(server) as session:
        notices: list[e.SessionResumed] = []
        session.on("session.resumed", notices.append)

        @session.tool
        def add(a: int) -> int:
            """Add."""
            return a

        cut_after(
            server, session, "response.function_call_arguments.delta", held="response.function_call_arguments.done"
        )
        with pytest.raises(rt.ConnectionLost):
            session.ask("1?")
        assert session.ask().text == "One."
        assert [entry.text for entry in session.conversation] == ["1?", 'add({"a": 1})', "1", "One."]
        (notice,) = notices
        assert [item.type for item in notice.lost] == ["function_call"]


def test_messages_wait_for_the_new_connection_in_their_order() -> None:
    with LocalServer() as server, connect(server) as session:
        session.ask("zero")
        server.refuse(503, times=2)
        server.drop()
        acks = [session.send_text(f"note {number}") for number in range(5)]
        assert all(ack.result() for ack in acks)
        assert [entry.text for entry in session.conversation][2:] == [f"note {number}" for number in range(5)]
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


# What cannot go on


@pytest.mark.parametrize(("code", "goes_on"), [(3000, False), (4000, False), (1000, False), (1001, True), (1011, True)])
def test_some_closes_are_final(code: int, goes_on: bool) -> None:
    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        server.close_connections(code, "bye")
        connections(server)[0].wait_closed(WAIT_S)
        if goes_on:
            assert session.ask("two").text == "You said: two"
        else:
            with pytest.raises(rt.ConnectionClosed):
                session.ask("two")
            until(lambda: session.closed)
            assert len(connections(server)) == 1


def test_the_attempts_are_used_up() -> None:
    with LocalServer() as server, connect(server, resume=resumed(attempts=3)) as session:
        session.ask("one")
        server.refuse(503, times=99)
        server.drop()
        with pytest.raises(rt.ConnectionLost, match=r"could not be resumed \(3 attempts\)"):
            session.ask("two")
        assert session.closed
        with pytest.raises(rt.ConnectionLost):
            session.send_text("x")
        assert len([request for request in server.requests if request.status == 503]) == 3


def test_refused_credentials_are_not_tried_twice() -> None:
    with LocalServer(api_key="sk-right") as server:
        keys = iter(["sk-right", "sk-wrong", "sk-right"])
        with connect(server, api_key=lambda: next(keys)) as session:
            session.ask("one")
            server.drop()
            with pytest.raises(rt.ConnectionLost, match="1 attempt") as caught:
                session.ask("two")
            assert isinstance(caught.value.__cause__, rt.AuthenticationError)


def test_a_fresh_key_is_asked_for() -> None:
    with LocalServer(api_key="sk-right") as server:
        keys: list[str] = []

        def key() -> str:
            keys.append("sk-right")
            return keys[-1]

        with connect(server, api_key=key) as session:
            session.ask("one")
            server.drop()
            assert session.ask("two").text == "You said: two"
            assert len(keys) == 2


def test_closing_ends_the_search_at_once() -> None:
    with LocalServer() as server:
        session = connect(server, resume=resumed(attempts=9, backoff_s=30.0, jitter=0.0))
        session.ask("one")
        server.refuse(503, times=99)
        server.drop()
        session.start()
        until(lambda: any(thread.name == "realtime_sync-resume" for thread in threading.enumerate()))
        assert not session.closed
        session.close()
        assert session.closed
        for verb in (lambda: session.ask("two"), lambda: session.append_audio_bytes(SPEECH)):
            with pytest.raises(rt.ConnectionClosed) as told:
                verb()
            assert type(told.value) is rt.ConnectionClosed, "this side has closed it"


# The user's audio

SPEECH = b"\x00\x40" * 24_00  # 100 ms, loud
MANUAL = {**TEXT, "audio": {"input": {"turn_detection": None}}}


def appended(server: LocalServer, nth: int = -1) -> int:
    """How many appends came over a connection."""
    return sum(event["type"] == "input_audio_buffer.append" for event in connections(server)[nth].received)


def test_audio_that_was_not_committed_is_sent_again() -> None:
    with LocalServer() as server, connect(server, session=MANUAL) as session:
        for _ in range(5):
            session.append_audio_bytes(SPEECH)
        session.commit_audio().result()
        for _ in range(3):
            session.append_audio_bytes(SPEECH)
        connections(server)[0].wait_received("input_audio_buffer.append", 8)
        server.drop()
        session.append_audio_bytes(SPEECH)
        committed = session.commit_audio().result()
        assert appended(server) == 4
        assert session.conversation[committed.item_id].text == "[audio]"
        assert server.refusals == []


def test_audio_that_is_too_old_is_dropped_and_counted() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(keep_audio_s=0.0, on_resumed=notices.append)
    with LocalServer() as server, connect(server, session=MANUAL, resume=policy) as session:
        server.refuse(503, times=1)
        server.drop()
        for _ in range(4):
            session.append_audio_bytes(SPEECH)
        with pytest.raises(rt.ServerError, match="buffer too small"):
            session.commit_audio().result()
        assert notices[0].lost_audio_s == pytest.approx(0.4)
        assert appended(server) == 0


def test_audio_that_was_committed_is_not_sent_again_after_a_commit_that_was_refused() -> None:
    with LocalServer() as server, connect(server, session=MANUAL) as session:
        session.append_audio_bytes(SPEECH)
        commits = [session.commit_audio() for _ in range(2)]  # the button was pressed twice
        assert commits[0].result().item_id
        with pytest.raises(rt.ServerError, match="buffer too small"):
            commits[1].result()
        session.append_audio_bytes(SPEECH)
        session.commit_audio().result()
        server.drop()
        session.append_audio_bytes(SPEECH)
        session.commit_audio().result()
        assert appended(server) == 1


# The time limit of the server


def test_the_time_limit_is_told() -> None:
    with LocalServer(expires_after_s=100.0) as server, connect(server) as session:
        assert session.expires_at is not None
        assert abs(session.expires_at - time.time() - 100) < 10
        assert session.remaining_s is not None
        assert 80 < session.remaining_s <= 100


def test_the_connection_is_changed_between_two_turns_before_the_time_limit() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with LocalServer(expires_after_s=2.0, quirks=LATE) as server, connect(server, resume=policy) as session:
        assert session.ask("one").text == "You said: one"
        until(lambda: bool(notices), session)
        assert notices[0].planned
        assert notices[0].reason is None
        assert session.ask("two").text == "You said: two"
        assert connections(server)[0].wait_closed(WAIT_S) == 1000
        assert [item_id for item_id, _ in on_server(server, len(notices))] == [
            entry.id for entry in session.conversation
        ]
        assert len(session.conversation) == 4


def test_a_connection_with_the_time_limit_of_the_one_before_is_changed_ahead_of_it() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with LocalServer(expires_after_s=3.0, quirks=LATE) as server, connect(server, resume=policy) as session:
        before = None
        while session.expires_at != before:  # it is told in whole seconds
            before = session.expires_at
            server.drop()
            session.update_session({}).result()
        assert not notices[-1].planned
        lost = len(notices)
        until(lambda: len(notices) > lost, session)
        assert notices[-1].planned


def test_a_session_whose_time_is_up_goes_on() -> None:
    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        server.expire()
        connections(server)[0].wait_closed(WAIT_S)
        assert session.ask("two").text == "You said: two"
        assert len(session.conversation) == 4


def test_the_connection_is_not_changed_while_a_reply_comes() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    local = LocalServer(["one two three", "after"], expires_after_s=4.0, quirks=LATE)
    with local as server, connect(server, resume=policy) as session:
        gate = server.gate("response.done")
        turn = session.respond("count")
        until(lambda: len(connections(server)) == 2, session)
        until(lambda: bool(turn.reply.text), session)
        assert notices == []
        gate.open()
        assert turn.result().text == "one two three"
        until(lambda: bool(notices), session)
        assert session.ask("and now?").text == "after"
        assert len(session.conversation) == 4


def test_the_time_limit_in_the_middle_of_a_reply() -> None:
    policy = resumed(rollover_s=60.0, in_flight="ask_again")
    local = LocalServer(["one two three", "four five six"], expires_after_s=2.0)
    with local as server, connect(server, resume=policy) as session:
        server.gate("response.output_text.delta", 3)
        assert session.ask("count").text == "four five six"
        assert [entry.text for entry in session.conversation] == ["count", "four five six"]


def test_the_time_limit_in_the_middle_of_a_tool_call() -> None:
    from realtime_sync.local import ToolCall

    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    resumptions = threading.Event()
    local = LocalServer([ToolCall("wait", {}), "Done."], expires_after_s=2.0, quirks=LATE)
    with local as server, connect(server, resume=policy) as session:
        session.on("session.resumed", lambda event: resumptions.set())

        @session.tool
        def wait() -> str:
            """Wait."""
            assert resumptions.wait(WAIT_S)
            return "waited"

        assert session.ask("wait").text == "Done."
        assert notices[0].planned
        assert [entry.item.type for entry in session.conversation] == [
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert notices[0].lost == []


def test_the_time_limit_while_the_user_speaks() -> None:
    """Without turn detection: what was said goes along to the next connection, whole."""
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with LocalServer(expires_after_s=2.0) as server, connect(server, session=MANUAL, resume=policy) as session:
        session.append_audio_bytes(SPEECH)
        until(lambda: bool(notices), session)
        assert not notices[0].planned, "it was waited for the user, until the server ended the session"
        session.append_audio_bytes(SPEECH)
        session.commit_audio().result()
        assert [appended(server, nth) for nth in (0, 1)] == [1, 2]
        assert server.refusals == []


def test_no_audio_of_a_microphone_is_lost_or_sent_twice_when_the_connection_is_changed() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    silence = bytes(480)
    with (
        LocalServer(expires_after_s=2.0, quirks=LATE) as server,
        connect(server, session=TEXT, resume=policy) as session,
    ):
        count = 0
        ends = time.monotonic() + WAIT_S
        while len(notices) < 2 or count < 200:
            assert time.monotonic() < ends
            session.append_audio_bytes(count.to_bytes(2, "little") + silence)
            count += 1
            session.poll()
            time.sleep(0.005)
        assert all(notice.planned for notice in notices)
        connections(server)[len(notices)].wait_received("input_audio_buffer.append", 1)
        until(lambda: sum(appended(server, nth) for nth in range(len(connections(server)))) == count)
        sent = [
            int.from_bytes(base64.b64decode(event["audio"])[:2], "little")
            for request in connections(server)
            for event in request.received
            if event["type"] == "input_audio_buffer.append"
        ]
        assert sent == list(range(count))


def test_a_speaking_user_is_heard_out_before_the_connection_is_changed() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with (
        LocalServer(["I heard you."], expires_after_s=4.0, quirks=LATE) as server,
        connect(server, resume=policy) as session,
    ):
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5)
        session.wait_for("input_audio_buffer.speech_started")
        until(lambda: len(connections(server)) == 2, session)
        for _ in range(20):
            session.append_audio_bytes(SPEECH)
            session.poll()
        assert notices == []
        session.append_audio_bytes(bytes(48_000))
        assert turn.result().text == "I heard you."
        until(lambda: bool(notices), session)
        assert notices[0].planned
        assert len(notices[0].lost) == 1, "speech that was never written down"
