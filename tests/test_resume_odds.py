"""Resuming in less usual places: what the server begins or refuses, forks, recordings, dropped sessions."""

from __future__ import annotations

import _thread
import base64
import gc
import logging
import os
import signal
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chaos.proxy import UP, ChaosProxy, Fault
from test_resume import (
    LATE,
    MANUAL,
    SPEECH,
    TEXT,
    WAIT_S,
    _nothing_is_left,  # noqa: F401
    connect,
    connections,
    cut_after,
    cut_in,
    on_server,
    resumed,
    until,
)

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.delivery.line import Line
from realtime_sync.local import LocalServer, ToolCall
from realtime_sync.playback import BargeIn, PlaybackTracker
from realtime_sync.tools import Toolset

AGAIN = resumed(in_flight="ask_again")


def audio_of(server: LocalServer, nth: int = -1) -> bytes:
    """All that was appended over a connection."""
    return b"".join(
        base64.b64decode(event["audio"])
        for event in connections(server)[nth].received
        if event["type"] == "input_audio_buffer.append"
    )


# Begun by the server


def test_a_user_who_speaks_while_the_connection_is_lost_is_heard_whole() -> None:
    with LocalServer(["I heard you."]) as server, connect(server) as session:
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5)
        session.wait_for("input_audio_buffer.speech_started")
        server.drop()
        session.append_audio_bytes(SPEECH * 3)
        session.append_audio_bytes(bytes(48_000))
        assert turn.result().text == "I heard you."
        assert audio_of(server) == SPEECH * 8 + bytes(48_000)


@pytest.mark.parametrize("again", [True, False])
def test_a_reply_that_the_server_was_to_begin_by_itself_is_asked_for(again: bool) -> None:
    heard = {**TEXT, "audio": {"input": {"transcription": {"model": "x"}, "turn_detection": {"type": "server_vad"}}}}
    policy = AGAIN if again else resumed()
    with (
        LocalServer(transcripts=["What is the weather?"]) as server,
        connect(server, session=heard, resume=policy) as session,
    ):
        gate = server.gate("response.created")
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5 + bytes(48_000))
        session.wait_for("conversation.item.input_audio_transcription.completed")
        gate.wait_reached(WAIT_S)
        server.drop()
        gate.open()
        assert turn.result().text == "You said: What is the weather?"
        server.drop()
        assert session.ask("And tomorrow?").text == "You said: And tomorrow?"
        assert [entry.role for entry in session.conversation] == ["user", "assistant"] * 2


@pytest.mark.parametrize("again", [True, False])
def test_a_reply_that_the_server_began_by_itself_is_lost(again: bool) -> None:
    transcribed = {**TEXT, "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    replies = ["one two three", "one two four"]
    policy = AGAIN if again else resumed()
    with (
        LocalServer(replies, transcripts=["Count!"]) as server,
        connect(server, session=transcribed, resume=policy) as session,
    ):
        cut_after(server, session, "response.output_text.delta", 2)
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5 + bytes(48_000))
        if again:
            assert turn.result().text == "one two four"
            assert [entry.text for entry in session.conversation] == ["Count!", "one two four"]
        else:
            with pytest.raises(rt.ConnectionLost, match="goes on"):
                turn.result()
            turn.cancel()
            assert session.ask("Go on.").text == "one two four"


def test_a_reply_beside_the_conversation_is_asked_for_again() -> None:
    with LocalServer(["one two three", "four five six"]) as server, connect(server, resume=AGAIN) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        reply = session.ask(config={"conversation": "none", "input": []})
        assert reply.text == "four five six"
        assert len(session.conversation) == 0


def test_a_turn_that_is_asked_again_can_be_cancelled() -> None:
    with LocalServer() as server, connect(server, resume=AGAIN) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        turn = session.respond("count to a hundred")
        until(lambda: turn._run is not None and turn._run.again, session)
        turn.cancel()
        assert session.ask("and now?").text == "You said: and now?"


STOPS = {
    "turn": lambda session, turn: turn.cancel(),
    "interrupt": lambda session, turn: session.interrupt(),
    "active": lambda session, turn: session.cancel_response(),
    "named": lambda session, turn: session.cancel_response(turn.reply.response_id),
    "left": lambda session, turn: turn.__exit__(KeyboardInterrupt, None, None),
}


def asked(server: LocalServer) -> int:
    """How many responses were asked for, over all connections."""
    return [event["type"] for request in connections(server) for event in request.received].count("response.create")


@pytest.mark.parametrize("when", ["before the drop", "before it is noticed", "in the gap"])
@pytest.mark.parametrize("how", STOPS)
def test_a_reply_that_was_stopped_is_not_asked_for_again(how: str, when: str) -> None:
    with LocalServer(["one two three", "after"]) as server, connect(server, resume=AGAIN) as session:
        rest, end = server.gate("response.output_text.delta", 3), server.gate("response.done")
        gap = server.gate("session.created")
        turn = session.respond("count")
        rest.wait_reached(WAIT_S)
        until(lambda: turn.reply.text != "", session)
        if when == "before the drop":
            STOPS[how](session, turn)
            server.wait_received("response.cancel")
        server.drop()
        connections(server)[0].wait_closed(WAIT_S)
        if when == "before it is noticed":
            STOPS[how](session, turn)
        if when == "in the gap":
            until(lambda: turn._run is not None and turn._run.again, session)
            STOPS[how](session, turn)
        for gate in (rest, end, gap):
            gate.open()
        assert turn.result(check=False).status == "cancelled"
        assert "one two three".startswith(turn.reply.text)
        assert turn.reply.text
        with pytest.raises(rt.ResponseFailed, match="cancelled"):
            turn.result()
        assert session.ask("and now?").text == "after"
        assert asked(server) == 2


def test_ctrl_c_in_ask_stops_a_reply_whose_connection_is_lost() -> None:
    def interrupted(event: Any) -> None:
        server.drop()
        raise KeyboardInterrupt

    with LocalServer(["one two three", "after"]) as server, connect(server, resume=AGAIN) as session:
        rest = server.gate("response.output_text.delta", 2)
        session.once("response.output_text.delta", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.ask("count")
        rest.open()
        assert session.ask("and now?").text == "after"
        assert asked(server) == 2


@pytest.mark.parametrize("noticed", [True, False])
def test_a_user_who_barges_in_stops_a_reply_whose_connection_is_lost(noticed: bool) -> None:
    with LocalServer(["one two three", "after"]) as server, connect(server, session={}, resume=AGAIN) as session:
        tracker = PlaybackTracker()
        tracker.attach(session)
        barge_in = BargeIn(session, tracker)
        rest, gap = server.gate("response.output_audio.delta", 2), server.gate("session.created")
        turn = session.respond("count")
        rest.wait_reached(WAIT_S)
        until(lambda: turn.reply.audio != b"", session)
        chunk = tracker.take()
        assert chunk is not None
        tracker.played(chunk)
        server.drop()
        if noticed:
            until(lambda: turn._run is not None and turn._run.again, session)
        else:
            connections(server)[0].wait_closed(WAIT_S)
        assert barge_in.interrupt().response_ids == [turn.reply.response_id]
        session.interrupt()
        rest.open()
        gap.open()
        assert turn.result(check=False).status == "cancelled"
        assert session.ask("and now?").transcript == "after"
        assert asked(server) == 2
        barge_in.close()
        tracker.close()


def test_a_reply_that_the_server_began_by_itself_is_stopped() -> None:
    transcribed = {**TEXT, "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    with (
        LocalServer(["one two three", "after"], transcripts=["Count!"]) as server,
        connect(server, session=transcribed, resume=AGAIN) as session,
    ):
        cut_after(server, session, "response.output_text.delta", 2)
        gap = server.gate("session.created")
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5 + bytes(48_000))
        until(lambda: turn._run is not None and turn._run.again, session)
        turn.cancel()
        gap.open()
        assert turn.result(check=False).status == "cancelled"
        assert session.ask("and now?").text == "after"
        assert asked(server) == 1


def test_a_reply_beside_the_conversation_is_stopped() -> None:
    with LocalServer(["one two three", "after"]) as server, connect(server, resume=AGAIN) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        gap = server.gate("session.created")
        turn = session.respond(config={"conversation": "none", "input": []})
        until(lambda: turn._run is not None and turn._run.again, session)
        session.interrupt()
        assert not turn._finished(), "an interrupt is about the conversation"
        turn.cancel()
        gap.open()
        assert turn.result(check=False).status == "cancelled"
        assert session.ask("and now?").text == "after"
        assert asked(server) == 2


def test_a_reply_that_was_stopped_before_it_began_is_stopped_over_the_next_connection() -> None:
    """Also where the connection lives until it has begun."""
    with LocalServer(["one two three", "one two three", "after"]) as server, connect(server, resume=AGAIN) as session:
        begins = server.gate("response.created")
        turn = session.respond("count")
        begins.wait_reached(WAIT_S)
        session.interrupt()
        server.wait_received("response.cancel")
        server.drop()
        rest = server.gate("response.output_text.delta", 2)
        begins.open()
        assert turn.result(check=False).status == "cancelled"
        rest.open()


def test_a_lost_reply_that_is_cancelled_in_the_gap_fails_all_the_same() -> None:
    with LocalServer(["one two three", "after"]) as server, connect(server) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        gap = server.gate("session.created")
        turn = session.respond("count")
        until(lambda: turn._run is not None and turn._run.lost is not None, session)
        turn.cancel()
        gap.open()
        for _ in range(2):
            with pytest.raises(rt.ConnectionLost, match="goes on") as caught:
                turn.result()
            assert caught.value.reply is turn.reply
        assert session.ask("and now?").text == "after"


def test_a_budget_refuses_what_the_server_had_begun() -> None:
    from realtime_sync.usage import CostLimit, PriceTable

    class Limit(CostLimit):
        reached = False

        def check(self, tally: Any) -> None:
            if self.reached:
                raise rt.BudgetExceeded("full", cost=2.0, max_cost=1.0)

    limit = Limit(1.0, PriceTable({}))
    with LocalServer(["one two three"]) as server, connect(server, resume=AGAIN, cost_limit=limit) as session:
        cut_after(server, session, "response.output_text.delta", 2)
        turn = session.next_reply()
        session.append_audio_bytes(SPEECH * 5 + bytes(48_000))
        limit.reached = True
        with pytest.raises(rt.ConnectionLost, match="goes on"):
            turn.result()


# Sent and not confirmed


def test_an_item_that_was_not_confirmed_is_sent_again_under_its_id() -> None:
    with LocalServer() as server, connect(server) as session:
        cut_in(server, "conversation.item.added")
        ack = session.send_text("hello")
        assert ack.result() is not None
        assert [entry.id for entry in session.conversation] == [ack.item_id]
        assert on_server(server) == [(ack.item_id, "user")]


def test_unconfirmed_changes_of_the_configuration_are_sent_again() -> None:
    with LocalServer() as server, connect(server) as session:
        cut_in(server, "session.updated", 1)
        session.update_session({"instructions": "Be brief."}).result()
        assert session.config.instructions == "Be brief."
        server.drop()
        session.ask("x")
        assert session.config.instructions == "Be brief.", "and asked for with all the rest the next time"


def test_a_cancellation_of_a_reply_that_is_lost_counts_as_done() -> None:
    with LocalServer(["one two three"]) as server, connect(server) as session:
        gate = server.gate("response.output_text.delta", 2)
        turn = session.respond("count")
        gate.wait_reached()
        until(lambda: turn.reply.response_id is not None, session)
        server.drop()
        connections(server)[0].wait_closed(WAIT_S)
        cancelled = session.cancel_response(turn.reply.response_id)
        with pytest.raises(rt.ConnectionLost):
            turn.result()
        assert cancelled.result() is None
        gate.open()


def test_a_question_with_words_of_its_own_is_asked_again_though_speech_before_it_is_lost() -> None:
    with LocalServer(["Hello.", "Hello again."]) as server, connect(server, session=MANUAL) as session:
        session.append_audio_bytes(SPEECH * 2)
        session.commit_audio().result()
        cut_in(server, "response.created")
        assert session.ask("hi").text.startswith("Hello")
        assert [entry.text for entry in session.conversation][-2] == "hi"


# What the new connection is told


@pytest.mark.parametrize(("history", "told"), [(0, 0), (1, 1), (3, 3), (None, 4)])
def test_so_much_of_the_conversation_is_told(history: int | None, told: int) -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(history=history, on_resumed=notices.append)
    with LocalServer() as server, connect(server, resume=policy) as session:
        session.ask("one")
        session.ask("two")
        before = [entry.id for entry in session.conversation]
        server.drop()
        session.ask("three")
        assert notices[0].restored == before[4 - told :]
        assert [item.id for item in notices[0].lost] == before[: 4 - told]
        assert len(session.conversation) == told + 2
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


def test_an_item_that_the_server_refuses_is_lost_and_one_whose_id_it_refuses_is_renamed() -> None:
    notices: list[e.SessionResumed] = []
    with LocalServer() as server, connect(server, resume=resumed(on_resumed=notices.append)) as session:
        first = session.send_text("one").result().item.id
        second = session.send_text("two").result().item.id
        third = session.send_text("three").result().item.id
        server.fail_next("conversation.item.create", "invalid_value", "not this id", param="item.id")
        server.drop()
        session.ask("four")
        assert notices[0].renamed == {first: session.conversation.items[0].id}
        assert [entry.text for entry in session.conversation][:3] == ["one", "two", "three"]
        assert [entry.id for entry in session.conversation][1:3] == [second, third]
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


def test_speech_is_told_as_text_and_cannot_be_truncated_any_more() -> None:
    notices: list[e.SessionResumed] = []
    with (
        LocalServer(["Spoken."]) as server,
        connect(server, session={}, resume=resumed(on_resumed=notices.append)) as session,
    ):
        reply = session.ask("Say it.")
        item_id = reply.items[0].id
        assert session.conversation[item_id].text == "Spoken."
        server.drop()
        session.send_text("x").result()
        assert notices[0].as_text == [item_id]
        assert session.conversation[item_id].text == "Spoken."
        with pytest.raises(rt.InvalidEvent, match="is text since the session was resumed"):
            session.truncate_item(item_id, 0, 100)


def test_tools_are_told_again() -> None:
    with LocalServer() as server, connect(server) as session:

        @session.tool
        def noon() -> str:
            """The time."""
            return "12:00"

        session.ask("x")
        server.drop()
        session.ask("y")
        assert [tool.name for tool in session.config.tools or ()] == ["noon"]


# The search


def test_a_connection_over_which_nothing_happens_does_not_renew_the_budget() -> None:
    with LocalServer() as server, connect(server, resume=resumed(attempts=3)) as session:
        session.ask("one")
        session.on("session.resumed", lambda event: server.drop())
        server.drop()
        with pytest.raises(rt.ConnectionLost):
            session.wait_for("response.done")
        assert session.closed
        assert len(connections(server)) == 4


def test_a_connection_that_ends_before_it_serves_costs_an_attempt() -> None:
    notices: list[e.SessionResumed] = []
    with LocalServer() as server, connect(server, resume=resumed(on_resumed=notices.append)) as session:
        session.ask("one")
        server.refuse(None, times=2)
        server.drop()
        assert session.ask("two").text == "You said: two"
        assert notices[0].attempts == 3


def test_a_function_of_the_user_that_fails_costs_an_attempt() -> None:
    calls: list[int] = []

    def key() -> str:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("the vault is shut")
        return "sk-x"

    with LocalServer() as server, connect(server, api_key=key) as session:
        session.ask("one")
        server.drop()
        assert session.ask("two").text == "You said: two"
        assert len(calls) == 3


@pytest.mark.parametrize("by", ["api_key", "endpoint"])
@pytest.mark.parametrize(("exit_", "said"), [(SystemExit("no key"), "SystemExit: no key"), (KeyboardInterrupt(), "K")])
def test_a_function_of_the_user_that_exits_is_named(by: str, exit_: BaseException, said: str) -> None:
    calls: list[int] = []

    def given() -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise exit_
        return "sk-x" if by == "api_key" else rt.resolve_endpoint(model="m", base_url=server.base_url)

    with LocalServer() as server:
        where = {"base_url": server.base_url} if by == "api_key" else {}
        model = "m" if by == "api_key" else None
        with rt.connect(model, **where, **{by: given}, session=TEXT, resume=resumed()) as session:
            session.ask("one")
            server.drop()
            with pytest.raises(rt.ConnectionLost, match="without a close frame; it could not be resumed") as caught:
                session.ask("two")
            assert f"the function of {by}= raised {said}" in str(caught.value)
            assert "fault of realtime_sync" not in str(caught.value)
            assert caught.value.__cause__ is not None
            assert caught.value.__cause__.__cause__ is exit_
            assert session.closed
            assert len(calls) == 2


def test_a_function_of_the_user_that_exits_ends_no_session_that_lives(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def key() -> str:
        calls.append(1)
        if len(calls) == 2:
            raise SystemExit
        return "sk-x"

    with (
        LocalServer(expires_after_s=2.0) as server,
        connect(server, api_key=key, resume=resumed(rollover_s=60.0)) as session,
    ):
        until(lambda: "the function of api_key= raised SystemExit" in caplog.text, session)
        assert session.ask("one").text == "You said: one"
        until(lambda: len(connections(server)) == 2, session)
        assert session.ask("two").text == "You said: two"


def test_when_nobody_pumps_nothing_is_resumed_until_somebody_does() -> None:
    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        server.drop()
        connections(server)[0].wait_closed(WAIT_S)
        session.send_text("two")
        assert not session.closed
        assert len(connections(server)) == 1
        session.start()
        until(lambda: len(connections(server)) == 2)
        connections(server)[1].wait_received("conversation.item.create", 3)
        session.stop()


def test_ctrl_c_ends_the_wait_and_the_session_still_goes_on() -> None:
    with LocalServer() as server, connect(server, resume=resumed(attempts=50, backoff_s=0.05, jitter=0.0)) as session:
        session.ask("one")
        server.refuse(503, times=3)
        server.drop()

        def interrupt() -> None:
            until(lambda: any(request.status == 503 for request in server.requests))
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            session.wait_for("response.done", timeout=WAIT_S)
        assert session.ask("two").text == "You said: two"


def test_a_prepared_connection_that_ends_is_replaced() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with (
        LocalServer(["one two three", "after"], expires_after_s=6.0, quirks=LATE) as server,
        connect(server, resume=policy) as session,
    ):
        gate = server.gate("response.done")
        turn = session.respond("count")
        until(lambda: len(connections(server)) == 2, session)
        connections(server)[1].drop()
        until(lambda: len(connections(server)) == 3, session)
        gate.open()
        turn.result()
        until(lambda: bool(notices), session)
        assert notices[0].planned
        assert session.ask("and now?").text == "after"


def test_a_connection_that_cannot_be_prepared_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with LocalServer(expires_after_s=4.0, quirks=LATE) as server, connect(server, resume=policy) as session:
        server.refuse(503, times=1)
        until(lambda: bool(notices), session)
        assert "could be prepared ahead" in caplog.text


def test_a_session_in_which_nobody_says_a_word_outlives_many_changes() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(attempts=1, rollover_s=60.0, on_resumed=notices.append)
    with LocalServer(expires_after_s=2.0, quirks=LATE) as server, connect(server, resume=policy) as session:
        until(lambda: len(notices) == 3, session)
        assert all(notice.planned for notice in notices)
        assert session.ask("still there?").text == "You said: still there?"


def test_a_time_limit_that_has_passed_by_this_clock_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with LocalServer(expires_after_s=3600.0) as server:
        here = time.time
        monkeypatch.setattr("realtime_sync.session.resume.resumption.time", SimpleNamespace(time=lambda: here() + 7200))
        with connect(server, resume=resumed(rollover_s=60.0)) as session:
            assert session.ask("one").text == "You said: one"
            assert not [thread for thread in threading.enumerate() if thread.name == "realtime_sync-resume"]
        assert len(connections(server)) == 1
    assert caplog.text.count("the clocks do not agree") == 1


def test_ctrl_c_while_the_connection_is_changed_leaves_nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    struck: list[bool] = []
    hold = Line.hold

    def interrupted(line: Line) -> None:
        hold(line)
        if not struck:
            struck.append(True)
            _thread.interrupt_main()
            sum(range(100_000))  # where this is the main thread, the interrupt strikes here

    monkeypatch.setattr(Line, "hold", interrupted)
    policy = resumed(rollover_s=60.0)
    with LocalServer(expires_after_s=2.0, quirks=LATE) as server, connect(server, resume=policy) as session:
        with pytest.raises(KeyboardInterrupt):
            until(lambda: False, session)
        assert session.ask("still there?").text == "You said: still there?"


def test_a_connect_that_fails_leaves_nobody_who_looks_for_another_connection() -> None:
    with LocalServer(expires_after_s=4.0, quirks=LATE) as server:
        gate = server.gate("session.updated")
        cut = threading.Thread(target=lambda: (gate.wait_reached(WAIT_S), server.drop()))
        cut.start()
        with pytest.raises(rt.ConnectionLost) as told:
            connect(server, resume=resumed(rollover_s=60.0))
        cut.join(WAIT_S)
        assert not [thread for thread in threading.enumerate() if thread.name == "realtime_sync-resume"]
        assert len(connections(server)) == 1
        gate.open()
    assert told.value.code == 1006


@pytest.mark.parametrize("last", ["session_expired", "boom"])
def test_why_it_could_not_be_resumed_is_told_once_and_to_all(last: str) -> None:
    policy = resumed(attempts=1)
    with LocalServer() as server, connect(server, resume=policy) as session:
        session.ask("one")
        session.on("error", lambda event: None)
        server.refuse(404, times=9)
        server.send({"type": "error", "error": {"type": "x", "code": last, "message": "boom"}})
        session.wait_for("error")
        server.drop()
        with pytest.raises(rt.ConnectionClosed) as waited:
            session.wait_for("response.done")
        with pytest.raises(rt.ConnectionClosed) as sent:
            session.send_text("two")
    assert str(waited.value) == str(sent.value)
    assert str(waited.value).count("boom") <= 2  # the message and the code
    assert "could not be resumed (1 attempt)" in str(waited.value)
    assert waited.value.error is not None
    assert sent.value.error is waited.value.error
    assert waited.value.__cause__ is not None


def test_after_the_end_of_a_resumable_session_a_change_is_refused_as_in_any_other() -> None:
    with LocalServer() as server, connect(server) as session:
        session.ask("one")
        session.close()
        with pytest.raises(rt.ConnectionClosed):
            session.update_session({"instructions": "x"})


# Around it


def test_audio_of_a_connection_that_was_dead_when_it_was_changed_is_sent_again() -> None:
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with (
        LocalServer(expires_after_s=3.0, quirks=LATE) as server,
        ChaosProxy(server.base_url, 1) as proxy,
        rt.connect("m", base_url=proxy.base_url, session=TEXT, resume=policy) as session,
    ):
        proxy.arm(Fault("stall", UP))
        for _ in range(5):
            session.append_audio_bytes(SPEECH)
        until(lambda: bool(notices), session)
        assert notices[0].planned
        connections(server)[1].wait_received("input_audio_buffer.append", 5)
        assert audio_of(server, 0) == b""
        assert audio_of(server, 1) == SPEECH * 5


def test_a_recording_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with LocalServer() as server, connect(server, record=path) as session:
        session.ask("one")
        server.drop()
        session.ask("two")
    text = path.read_text(encoding="utf-8")
    assert text.count('"response.done') == 2
    assert text.count('"session.created') == 1


def test_a_dropped_session_leaves_no_thread() -> None:
    with LocalServer(expires_after_s=30.0) as server:
        session: Any = connect(server, resume=resumed(rollover_s=1.0))
        session.on("*", lambda event, session=session: None)
        session.ask("one")
        assert any(thread.name == "realtime_sync-resume" for thread in threading.enumerate())
        known = weakref.ref(session)
        del session
        gc.collect()
        assert known() is None
        until(lambda: not any(thread.name == "realtime_sync-resume" for thread in threading.enumerate()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_closes_its_copy_only() -> None:
    with LocalServer() as server, connect(server, resume=resumed(rollover_s=60.0)) as session:
        session.ask("one")
        pid = os.fork()
        if not pid:
            code = 1
            try:
                try:
                    session.ask("x", timeout=5)
                except rt.ConnectionClosed:
                    session.close()
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        assert session.ask("two").text == "You said: two"


def test_no_key_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with LocalServer(api_key="sk-of-the-test") as server, connect(server, api_key="sk-of-the-test") as session:
        session.ask("one")
        server.drop()
        session.ask("two")
    assert "-> " in caplog.text
    assert caplog.text.count('<- {"type": "session.created"') == 2
    assert "sk-of-the-test" not in caplog.text


def test_no_key_of_a_connection_before_is_told(caplog: pytest.LogCaptureFixture) -> None:
    keys = iter(["sk-first-0123456789abcdef", "sk-second-0123456789abcdef"])
    told: list[Any] = []
    with LocalServer() as server, connect(server, api_key=lambda: next(keys)) as session:
        session.on("error", told.append)
        session.ask("one")
        server.drop()
        session.ask("two")
        with caplog.at_level(logging.DEBUG):
            said = "of sk-first-0123456789abcdef and sk-second-0123456789abcdef"
            server.send({"type": "error", "event_id": "e", "error": {"type": "x", "message": said}})
            session.wait_for("error")
        assert told[0].error.message == "of <redacted> and <redacted>"
        assert session._line.redact(said) == "of <redacted> and <redacted>"
        assert "0123456789abcdef" not in caplog.text


def test_a_recording_that_is_transcribed_is_told_of_the_change() -> None:
    config = {"type": "transcription", "audio": {"input": {"transcription": {"model": "x"}, "turn_detection": None}}}
    with (
        LocalServer(transcripts=["one", "two"]) as server,
        rt.connect(base_url=server.base_url, session=config, intent="transcription", resume=resumed()) as session,
    ):
        gate = server.gate("conversation.item.input_audio_transcription.completed")
        found = session.transcribe(SPEECH * 20)

        def cut() -> None:
            gate.wait_reached(WAIT_S)
            server.drop()
            gate.open()

        threading.Thread(target=cut).start()
        with pytest.raises(rt.ConnectionLost, match="while a recording was transcribed"):
            list(found)
        assert not session.closed


def test_a_recording_has_its_own_places_on_another_connection() -> None:
    config = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "x"}, "turn_detection": {"type": "server_vad"}}},
    }
    with (
        LocalServer() as server,
        rt.connect(base_url=server.base_url, session=config, intent="transcription", resume=resumed()) as session,
    ):
        recording = bytes(48_000) + SPEECH * 10 + bytes(48_000)
        places = [(found.start_ms, found.end_ms) for found in session.transcribe(recording)]
        server.drop()
        session.update_session({}).result()
        assert [(found.start_ms, found.end_ms) for found in session.transcribe(recording)] == places


def test_the_connection_of_a_transcription_is_changed_when_all_is_written_down() -> None:
    config = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "x"}, "turn_detection": {"type": "server_vad"}}},
    }
    notices: list[e.SessionResumed] = []
    policy = resumed(rollover_s=60.0, on_resumed=notices.append)
    with (
        LocalServer(expires_after_s=4.0, quirks=LATE) as server,
        rt.connect(base_url=server.base_url, session=config, intent="transcription", resume=policy) as session,
    ):
        session.append_audio_bytes(bytes(48_000) + SPEECH * 10 + bytes(96_000))
        session.wait_for("conversation.item.input_audio_transcription.completed", timeout=WAIT_S)
        until(lambda: bool(notices), session)
        assert notices[0].planned


def test_other_families_cannot_be_resumed() -> None:
    family = rt.events.Family("other")
    with pytest.raises(rt.ConfigurationError, match="'other' cannot be resumed"):
        rt.connect("m", base_url="http://127.0.0.1:1", family=family, resume=True)


def test_the_event_never_goes_over_the_wire() -> None:
    assert isinstance(rt.decode_server_event('{"type": "session.resumed"}'), e.UnknownEvent)
    with LocalServer() as server, connect(server) as session, pytest.raises(rt.InvalidEvent, match="never goes over"):
        session.send({"type": "session.resumed"})


def test_the_visitor_is_told() -> None:
    seen: list[str] = []
    with LocalServer() as server, connect(server) as session:

        class Visitor(rt.ServerEventVisitor[None]):
            def visit_session_resumed(self, event: e.SessionResumed) -> None:
                seen.append(event.type)
                session.stop()

        session.ask("one")
        server.drop()
        session.run(Visitor())
        assert seen == ["session.resumed"]


def test_manual_speech_waits_for_its_commit_before_a_change() -> None:
    policy = resumed(rollover_s=60.0)
    with (
        LocalServer(expires_after_s=6.0, quirks=LATE) as server,
        connect(server, session=MANUAL, resume=policy) as session,
    ):
        session.append_audio_bytes(SPEECH * 2)
        until(lambda: len(connections(server)) == 2, session)
        begun = time.monotonic()
        until(lambda: time.monotonic() > begun + 0.5, session)
        assert connections(server)[0].is_open
        session.commit_audio().result()
        until(lambda: not connections(server)[0].is_open, session)
        assert audio_of(server, 0) == SPEECH * 2
        assert audio_of(server, 1) == b""


def test_a_call_that_had_not_begun_is_lost_with_its_reply_and_made_again() -> None:
    """One that runs is answered, since it may have had an effect; one that waits for a thread is not."""
    ran: list[str] = []
    both, resumptions = threading.Event(), threading.Event()

    def reply(turn: Any) -> Any:
        if len(turn.tool_outputs) < 2:
            return [ToolCall("note", {"name": f"{name}{len(turn.tool_outputs)}"}) for name in "ab"]
        return " ".join(output["output"] for output in turn.tool_outputs)

    def note(name: str) -> str:
        """Note a name."""
        ran.append(name)
        if name == "a0":
            assert both.wait(WAIT_S)
            server.drop()
            assert resumptions.wait(WAIT_S)
        return name

    with LocalServer(reply) as server, connect(server, resume=resumed(in_flight="ask_again")) as session:
        session.on("session.resumed", lambda event: resumptions.set())
        session.use_tools(Toolset(note), workers=1, on_call=lambda call: both.set() if "b0" in call.arguments else None)
        gate = server.gate("response.done")
        told = session.ask("go").text
        gate.open()
        assert ran == ["a0", "a1", "b1"]
        while_it_ran = '{"error": "the call was cancelled with its response, while it ran; it may have had an effect"}'
        assert told == f"{while_it_ran} a1 b1"
        assert server.refusals == []


@pytest.mark.slow
def test_a_talk_of_thirty_seconds_over_sessions_of_two() -> None:
    """Asked, answered, with tools and a microphone that never stops: nothing is lost, nothing comes twice."""
    notices: list[e.SessionResumed] = []
    calls: list[int] = []
    policy = resumed(rollover_s=60.0, in_flight="ask_again", on_resumed=notices.append)

    def reply(turn: Any) -> Any:
        if turn.tool_outputs:
            return f"It is {turn.tool_outputs[-1]['output']}."
        return ToolCall("double", {"number": int(turn.text.rpartition(" ")[2])})

    with LocalServer(reply, expires_after_s=2.0) as server, connect(server, resume=policy) as session:

        @session.tool
        def double(number: int) -> int:
            """Twice as much."""
            calls.append(number)
            return 2 * number

        ends = time.monotonic() + 30
        number = 0
        while time.monotonic() < ends:
            number += 1
            assert session.ask(f"Double {number}").text == f"It is {2 * number}."
            until_s = time.monotonic() + 0.1
            while time.monotonic() < until_s:
                session.poll()
                time.sleep(0.01)
        assert calls == list(range(1, number + 1)), "each call is run once"
        assert len(notices) >= 10
        planned = sum(notice.planned for notice in notices)
        assert planned > len(notices) / 2, "a busy machine is late for some of them, not for most"
        assert [entry.text for entry in session.conversation if entry.role == "user"] == [
            f"Double {asked}" for asked in range(1, number + 1)
        ]
        # Where a busy machine was late, what a reply had begun that was asked for again is gone, and nothing else.
        lost = [(notice.planned, item.type, item.status) for notice in notices for item in notice.lost]
        assert set(lost) <= {(False, "function_call", "incomplete"), (False, "message", "incomplete")}
        assert len(session.usage.responses) >= 2 * number
        assert server.refusals == []


def test_what_is_played_is_whole_when_the_rest_of_it_is_lost() -> None:
    tracker = PlaybackTracker()
    with LocalServer(["one two three"]) as server, connect(server, session={}) as session:
        tracker.attach(session)
        barge_in = BargeIn(session, tracker)
        cut_after(server, session, "response.output_audio.delta", 1)
        with pytest.raises(rt.ConnectionLost):
            session.ask("count")
        session.wait_for("session.resumed")
        (part,) = tracker.parts
        assert part.complete
        chunk = tracker.take(0)
        assert chunk is not None
        tracker.played(len(chunk.audio) // 2)
        interruption = barge_in.interrupt()
        assert interruption.response_ids == []
        assert [cut.action for cut in interruption.cuts] == ["truncated"]
        assert interruption.cuts[0].ack is None, "it is text now"
        tracker.close()


def test_a_call_keeps_its_conversation() -> None:
    from realtime_sync.session.dialling import Dialling

    class OfACall(Dialling):
        of_a_call = True

    notices: list[e.SessionResumed] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("realtime_sync.session.opening.Dialling", OfACall)
        with LocalServer() as server, connect(server, resume=resumed(on_resumed=notices.append)) as session:
            session.ask("one")
            server.drop()
            session.ask("two")
            assert notices[0].restored == []
            assert notices[0].lost == []
            assert len(session.conversation) == 4


def test_a_later_loss_is_not_told_as_the_time_limit_of_before() -> None:
    with LocalServer() as server, connect(server, resume=resumed(attempts=1)) as session:
        session.ask("one")
        server.expire()
        connections(server)[0].wait_closed(WAIT_S)
        session.ask("two")
        server.refuse(503)
        server.drop()
        with pytest.raises(rt.ConnectionLost):
            session.ask("three")
