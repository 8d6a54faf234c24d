"""Ctrl-C anywhere: each event is delivered once and in order, and the session goes on, here and on other threads."""

from __future__ import annotations

import gc
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from alarms import AGAIN_S, alarm, alarms, needs_timer
from fakes import FakeSession, FakeTransport
from interrupts import Places, everywhere, struck
from scripted_server import ScriptedServer
from servers import frame

import realtime_sync as rt
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.session.session import RealtimeSession
from realtime_sync.transport.frames import TEXT

LATER_S = 8.0

# A strike in a generator that is just thrown away goes to sys.unraisablehook.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Answering(FakeTransport):
    """A good server: it confirms, and answers each question with a text of three deltas."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.told: list[str] = []
        """The ids of all events that were sent, in order."""
        self.kinds: list[str] = []
        """Their types."""
        self.lock = threading.Lock()
        self.question = ""
        self.busy = False
        self.calls_tools = False

    def tell(self, *events: dict[str, Any]) -> None:
        with self.lock:
            named = [{**event, "event_id": f"ev_{next(self.numbers)}"} for event in events]
            self.told += [event["event_id"] for event in named]
            self.kinds += [event["type"] for event in named]
            self.incoming.put(b"".join(frame(TEXT, json.dumps(event).encode()) for event in named))

    def send_text(self, text: str | bytes, timeout_s: float) -> None:
        super().send_text(text, timeout_s)
        event = self.texts[-1]
        kind = event["type"]
        if kind == "conversation.item.create":
            item = event["item"]
            content = item.get("content") or [{}]
            said = content[0].get("text") or "what the tool said"
            self.question = self.question if said == "aside" else said
            self.tell(
                {"type": "conversation.item.added", "item": item}, {"type": "conversation.item.done", "item": item}
            )
        elif kind == "input_audio_buffer.commit":
            self.tell({"type": "input_audio_buffer.committed", "item_id": f"item_a{next(self.numbers)}"})
        elif kind == "response.create":
            self.answer(event)
        elif kind == "response.cancel":
            detail = {"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "none"}
            self.tell({"type": "error", "error": {**detail, "event_id": event["event_id"]}})
        elif kind == "session.update":
            self.tell({"type": "session.updated", "session": {"type": "realtime", **event["session"]}})

    def answer(self, create: dict[str, Any]) -> None:
        response_id, item_id = f"resp_{next(self.numbers)}", f"item_r{next(self.numbers)}"
        response = {
            "id": response_id,
            "status": "in_progress",
            "metadata": (create.get("response") or {}).get("metadata"),
            "conversation_id": "conv_1",
        }
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        if self.calls_tools and self.question.startswith("tool"):
            item = {
                "id": item_id,
                "type": "function_call",
                "name": "look_up",
                "call_id": f"call_{item_id}",
                "arguments": "{}",
            }
            self.tell(
                {"type": "response.created", "response": response},
                {"type": "response.output_item.added", **where, "item": {**item, "status": "in_progress"}},
                {
                    "type": "response.function_call_arguments.done",
                    **where,
                    "name": "look_up",
                    "call_id": item["call_id"],
                    "arguments": "{}",
                },
                {"type": "response.output_item.done", **where, "item": {**item, "status": "completed"}},
                {
                    "type": "response.done",
                    "response": {**response, "status": "completed", "output": [{**item, "status": "completed"}]},
                },
            )
            return
        text = f"Answer to {self.question}."
        item = {"id": item_id, "type": "message", "role": "assistant", "content": []}
        part = {"type": "output_text", "text": text}
        whole = {**item, "status": "completed", "content": [part]}
        self.tell(
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added", **where, "item": {**item, "status": "in_progress"}},
            {"type": "conversation.item.added", "item": {**item, "status": "in_progress"}},
            {"type": "response.content_part.added", **where, "part": {"type": "output_text", "text": ""}},
            *({"type": "response.output_text.delta", **where, "delta": piece} for piece in (text[:3], text[3:5])),
        )
        self.tell(
            {"type": "response.output_text.delta", **where, "delta": text[5:]},
            {"type": "response.output_text.done", **where, "text": text},
            {"type": "response.content_part.done", **where, "part": part},
            {"type": "response.output_item.done", **where, "item": whole},
            {"type": "conversation.item.done", "item": whole},
            {"type": "response.done", "response": {**response, "status": "completed", "output": [whole]}},
        )


class Rig(FakeSession):
    """A session with the answering server, whose every event a handler notes."""

    def __init__(self) -> None:
        self.wire: Answering = Answering()  # type: ignore[assignment]
        self.inbox = Inbox(10**8)
        self.connection = Connection(self.wire, self.inbox)  # type: ignore[arg-type]
        self.session = RealtimeSession(self.connection, self.inbox)
        self.heard: list[str] = []
        self.session.on("*", self.hear)
        self.wire.tell({"type": "session.created", "session": {"type": "realtime", "id": "sess_1"}})
        self.connection.start()

    def hear(self, event: Any) -> None:
        self.heard += (event.event_id,)

    def answers(self, question: str) -> set[str]:
        """What the server may answer: what a tool said meanwhile stands in the conversation too."""
        return {f"Answer to {question}.", *(["Answer to what the tool said."] if self.wire.calls_tools else [])}

    def check(self) -> None:
        """The law: the session answers here and elsewhere, and each event was delivered once and in order."""
        session = self.session
        assert session.ask("here", timeout=LATER_S).text in self.answers("here")
        said: list[Any] = []

        def ask() -> None:
            try:
                said.append(session.ask("there", timeout=LATER_S).text)
            except Exception as fault:
                said.append(fault)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(LATER_S + 2)
        assert len(said) == 1
        assert said[0] in self.answers("there"), said
        told = self.wire.told
        deadline = time.monotonic() + LATER_S
        while len(self.heard) < len(told) and time.monotonic() < deadline:
            with suppress(rt.RealtimeTimeout):
                session.wait_for("*", timeout=0.05)
        missing = [name for name in told if name not in self.heard]
        twice = [name for name in told if self.heard.count(name) > 1]
        assert self.heard == told, f"missing {missing}, twice {twice}"
        shown = [entry.text for entry in session.conversation if entry.text != "aside"]
        if self.wire.calls_tools:
            return
        assert shown[-4:] == ["here", "Answer to here.", "there", "Answer to there."]
        assert all(
            text in {"again", "x", "aside", "tool", "look_up({})", "found", "", *shown[-4:]}
            or text.startswith("Answer to ")
            for text in shown
        ), shown


def nothing(rig: Rig) -> None:
    """Neither to prepare nor to look at."""


def scenario(
    use: Callable[[Rig], object], prepare: Callable[[Rig], object] = nothing, law: Callable[[Rig], object] = nothing
) -> Callable[[int | None], Places]:
    def once(at: int | None) -> Places:
        rig = Rig()
        places = Places()
        try:
            prepare(rig)
            with struck(at) as places:
                use(rig)
            law(rig)
            rig.check()
        except BaseException as fault:
            fault.where = places.where  # type: ignore[attr-defined]
            raise
        finally:
            with suppress(Exception):
                rig.session.stop(timeout=1)
            rig.session.close(timeout=1)
        if rig.connection._thread.is_alive():
            raise AssertionError("the reader is left")
        return places

    return once


def assert_unharmed(
    name: str,
    use: Callable[[Rig], object],
    prepare: Callable[[Rig], object] = nothing,
    law: Callable[[Rig], object] = nothing,
) -> None:
    outcome = everywhere(name, scenario(use, prepare, law))
    print(outcome)
    assert not outcome.faults, str(outcome)
    assert outcome.tried


def test_ask() -> None:
    assert_unharmed("ask", lambda rig: rig.session.ask("again", timeout=LATER_S))


def test_ask_with_the_conversation_looked_at() -> None:
    assert_unharmed("ask, conversation", lambda rig: rig.session.ask("again"), lambda rig: rig.session.conversation)


def test_respond_and_iterate() -> None:
    assert_unharmed("respond", lambda rig: list(rig.session.respond("again", timeout=LATER_S)))


def test_wait_for() -> None:
    def use(rig: Rig) -> None:
        rig.session.wait_for("response.done", lambda event: True, timeout=LATER_S)

    assert_unharmed("wait_for", use, lambda rig: (rig.session.send_text("x"), rig.session.create_response()))


def test_create_response() -> None:
    def use(rig: Rig) -> None:
        rig.session.create_response().result(LATER_S)

    assert_unharmed("create_response", use, lambda rig: rig.session.send_text("x"))


def test_poll() -> None:
    def use(rig: Rig) -> None:
        while not rig.heard or rig.heard[-1] != rig.wire.told[-1]:
            rig.session.poll()

    assert_unharmed("poll", use, lambda rig: (rig.session.send_text("x"), rig.session.create_response()))


def test_several_turns_and_the_conversation_grow_by_each_delta_once() -> None:
    def prepare(rig: Rig) -> None:
        assert rig.session.conversation is not None
        rig.turns = [rig.session.next_reply(), rig.session.next_reply()]  # type: ignore[attr-defined]

    def use(rig: Rig) -> None:
        for turn in (*rig.turns, rig.session.respond("again", timeout=LATER_S)):  # type: ignore[attr-defined]
            turn.result()

    def law(rig: Rig) -> None:
        rig.session.ask("here", timeout=LATER_S)
        assert {turn.reply.text for turn in rig.turns} <= {"Answer to again.", "Answer to here."}  # type: ignore[attr-defined]

    assert_unharmed("several turns", use, prepare, law)


def test_pieces_of_a_turn() -> None:
    def prepare(rig: Rig) -> None:
        rig.turn = rig.session.respond("again", timeout=LATER_S)  # type: ignore[attr-defined]

    def law(rig: Rig) -> None:
        assert rig.turn.result().text == "Answer to again."  # type: ignore[attr-defined]

    assert_unharmed("pieces", lambda rig: list(rig.turn.pieces()), prepare, law)  # type: ignore[attr-defined]


def test_a_loop_over_a_turn_goes_on_where_it_was() -> None:
    def prepare(rig: Rig) -> None:
        rig.turn, rig.got = rig.session.respond("again", timeout=LATER_S), []  # type: ignore[attr-defined]

    def use(rig: Rig) -> None:
        for event in rig.turn:  # type: ignore[attr-defined]
            rig.got += (event.event_id,)  # type: ignore[attr-defined]

    def law(rig: Rig) -> None:
        use(rig)
        told = [name for name, kind in zip(rig.wire.told, rig.wire.kinds, strict=True) if kind.startswith("response.")]
        assert rig.got == told[: len(rig.got)]  # type: ignore[attr-defined]
        assert len(rig.got) == 10  # type: ignore[attr-defined]

    assert_unharmed("iterate", use, prepare, law)


def test_another_thread_that_waits_gets_its_answer() -> None:
    """What the main thread dispatches for somebody else is not lost with it."""

    def prepare(rig: Rig) -> None:
        rig.said = []  # type: ignore[attr-defined]
        entered = threading.Event()

        def ask() -> None:
            turn = rig.session.respond("aside", timeout=LATER_S)
            found: list[Any] = []
            entered.set()
            try:
                found.append(turn.result().text)
                rig.session.wait_for("conversation.item.done", lambda event: True, timeout=LATER_S)
            except Exception as fault:
                found.append(fault)
            rig.said += found  # type: ignore[attr-defined]

        rig.other = threading.Thread(target=ask, daemon=True)  # type: ignore[attr-defined]
        rig.other.start()  # type: ignore[attr-defined]
        assert entered.wait(LATER_S)

    def law(rig: Rig) -> None:
        rig.session.ask("here", timeout=LATER_S)
        rig.other.join(LATER_S + 2)  # type: ignore[attr-defined]
        assert len(rig.said) == 1, rig.said  # type: ignore[attr-defined]
        assert str(rig.said[0]).startswith("Answer to"), rig.said  # type: ignore[attr-defined]

    assert_unharmed("beside another thread", lambda rig: rig.session.ask("again", timeout=LATER_S), prepare, law)


@pytest.mark.parametrize("how", ["recv", "iteration"])
def test_recv(how: str) -> None:
    def use(rig: Rig) -> None:
        received = rig.received  # type: ignore[attr-defined]
        if how == "iteration":
            for event in rig.session:
                received += (event,)
                if event.type == "response.done":
                    return
        while not received or received[-1].type != "response.done":
            received += (rig.session.recv(LATER_S),)

    def prepare(rig: Rig) -> None:
        rig.session.send_text("x")
        rig.session.create_response()
        rig.received = [rig.session.recv(LATER_S)]  # type: ignore[attr-defined]  # from now on nothing passes

    def law(rig: Rig) -> None:
        received = rig.received  # type: ignore[attr-defined]
        rig.check()
        while len(received) < len(rig.wire.told):
            received.append(rig.session.recv(1.0))
        assert [event.event_id for event in received] == rig.wire.told

    assert_unharmed(how, use, prepare, law)


def test_run() -> None:
    def prepare(rig: Rig) -> None:
        class Visitor(rt.ServerEventVisitor[None]):
            def unknown(self, event: Any) -> None: ...
            def visit_response_done(self, event: Any) -> None:
                rig.session.stop()

        rig.visitor = Visitor()  # type: ignore[attr-defined]
        rig.session.send_text("x")
        rig.session.create_response()

    assert_unharmed("run", lambda rig: rig.session.run(rig.visitor), prepare)  # type: ignore[attr-defined]


def test_a_handler_that_runs_once_runs_once() -> None:
    def once(at: int | None) -> Places:
        rig = Rig()
        seen: list[str] = []

        def hear(event: Any) -> None:
            nonlocal seen
            seen += (event.type,)

        rig.session.once("response.done", hear)
        places = Places()
        try:
            with struck(at) as places:
                rig.session.ask("again", timeout=LATER_S)
            rig.check()
            assert seen == ["response.done"]
        except BaseException as fault:
            fault.where = places.where  # type: ignore[attr-defined]
            raise
        finally:
            rig.session.close(timeout=1)
        return places

    outcome = everywhere("once", once)
    print(outcome)
    assert not outcome.faults, str(outcome)


def test_a_handler_that_asks() -> None:
    def prepare(rig: Rig) -> None:
        rig.session.once("response.output_text.done", lambda event: rig.session.send_text("aside").result(LATER_S))

    assert_unharmed("ask within a handler", lambda rig: rig.session.ask("again", timeout=LATER_S), prepare)


def test_ack_result() -> None:
    assert_unharmed("Ack.result", lambda rig: rig.session.send_text("x").result(LATER_S))


def test_append() -> None:
    def check(at: int | None) -> Places:
        return scenario(lambda rig: rig.session.append_audio_bytes(bytes(9600)))(at)

    outcome = everywhere("append", check)
    print(outcome)
    assert not outcome.faults, str(outcome)


def test_start_and_stop() -> None:
    def use(rig: Rig) -> None:
        rig.session.start()
        rig.session.ask("again", timeout=LATER_S)
        rig.session.stop()

    assert_unharmed("start, ask, stop", use)


def test_close() -> None:
    def once(at: int | None) -> Places:
        rig = Rig()
        with struck(at) as places:
            rig.session.close()
        try:
            rig.session.close()
            assert rig.session.closed
            rig.connection._thread.join(5)
            assert not rig.connection._thread.is_alive()
            with pytest.raises(rt.ConnectionClosed):
                rig.session.ask("again", timeout=LATER_S)
        except BaseException as fault:
            fault.where = places.where  # type: ignore[attr-defined]
            raise
        return places

    outcome = everywhere("close", once)
    print(outcome)
    assert not outcome.faults, str(outcome)


def test_a_signal_handler_that_closes_the_session() -> None:
    def once(at: int | None) -> Places:
        rig = Rig()
        try:
            with suppress(rt.RealtimeError), struck(at, rig.session.close) as places:
                rig.session.ask("again", timeout=LATER_S)
            rig.session.close()
            assert not rig.connection._thread.is_alive()
            with pytest.raises(rt.ConnectionClosed):
                rig.session.ask("again", timeout=LATER_S)
            assert rig.heard == rig.wire.told[: len(rig.heard)]
        except BaseException as fault:
            fault.where = places.where  # type: ignore[attr-defined]
            raise
        return places

    outcome = everywhere("close in a signal handler", once)
    print(outcome)
    assert not outcome.faults, str(outcome)


def test_tools() -> None:
    def prepare(rig: Rig) -> None:
        rig.wire.calls_tools = True

        def look_up() -> str:
            """Look something up."""
            return "found"

        rig.session.tool(look_up)

    assert_unharmed("ask with tools", lambda rig: rig.session.ask("tool", timeout=LATER_S), prepare)


def test_connect() -> None:
    with ScriptedServer() as server:
        rt.connect("m", base_url=server.base_url, api_key="x").close()  # imports what it needs, which is no place

        def once(at: int | None) -> Places:
            known = set(threading.enumerate())
            session = None
            with suppress(rt.HandshakeError), struck(at) as places:  # what a thread makes of a strike in its start
                session = rt.connect("m", base_url=server.base_url, api_key="x", session={"instructions": "x"})
            if session is not None:
                session.close()
            gc.collect()  # what the interrupted frames held
            ours = [t for t in set(threading.enumerate()) - known if t.name.startswith("realtime_sync-reader")]
            for thread in ours:
                thread.join(5)
                if thread.is_alive():
                    raise _Left(thread.name, places.where)
            return places

        outcome = everywhere("connect", once)
        print(outcome)
        assert not outcome.faults, str(outcome)


class _Left(AssertionError):
    def __init__(self, name: str, where: str) -> None:
        super().__init__(f"{name} is left")
        self.where = where


@needs_timer
def test_a_storm_of_real_signals() -> None:
    """What the sampled places cannot show: signals at any instant, also while a lock or a queue is waited for."""

    def strike(number: int, where: Any) -> None:
        while where is not None:
            if where.f_code.co_name in ("send_text", "hear"):  # the test's server and handler: not there
                alarm(AGAIN_S)
                return
            where = where.f_back
        raise KeyboardInterrupt

    with alarms(strike):
        for _ in range(60):
            rig = Rig()
            try:
                with suppress(KeyboardInterrupt):
                    try:
                        alarm(random.uniform(0.0001, 0.012))
                        rig.session.ask("again", timeout=LATER_S)
                    finally:
                        alarm(0)
                with suppress(KeyboardInterrupt):  # one that came in between
                    alarm(0)
                rig.check()
            finally:
                rig.session.close(timeout=1)
