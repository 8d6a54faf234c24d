"""Tool calls against the local server, with its timing scripted: the races of a real conversation."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync.events import (
    ConversationItemAdded,
    ConversationItemDone,
    ErrorEvent,
    FunctionCallOutput,
    InputAudioBufferSpeechStarted,
    McpApprovalRequest,
    McpCall,
    ResponseCreated,
    ResponseDone,
)
from realtime_sync.local import (
    Failure,
    Gate,
    LocalServer,
    McpApproval,
    McpToolCall,
    Quirks,
    Reply,
    ToolCall,
    Turn,
    tone_speech,
)
from realtime_sync.tools import ToolContext, Toolset

WAIT_S = 20.0
THREADS = "realtime_sync-tool"
TEXT = {"output_modalities": ["text"]}
MS = 48


class Held:
    """A tool whose calls the test holds back, each by its key."""

    def __init__(self) -> None:
        self.started: dict[str, threading.Event] = {}
        self.go: dict[str, threading.Event] = {}
        self.cancelled: dict[str, threading.Event] = {}
        self.lock = threading.Lock()

    def _event(self, kept: dict[str, threading.Event], key: str) -> threading.Event:
        with self.lock:
            return kept.setdefault(key, threading.Event())

    def __call__(self, key: str, context: ToolContext) -> str:
        """Wait until the test lets go."""
        with self.lock:
            self.cancelled[key] = context.cancelled
        self._event(self.started, key).set()
        assert self._event(self.go, key).wait(WAIT_S)
        return f"held {key}"

    def wait_started(self, key: str) -> None:
        assert self._event(self.started, key).wait(WAIT_S)

    def release(self, key: str) -> None:
        self._event(self.go, key).set()


def tools_of(held: Held) -> Toolset:
    toolset = Toolset()
    toolset.tool(held, name="hold")

    @toolset.tool
    def add(a: int, b: int = 1) -> int:
        """Add two numbers."""
        return a + b

    @toolset.tool
    def fail(why: str) -> None:
        """Fail."""
        raise LookupError(why)

    return toolset


@contextmanager
def talking(
    replies: Any, held: Held | None = None, *, quirks: Quirks | None = None, config: Any = TEXT, **options: Any
) -> Iterator[tuple[LocalServer, rt.RealtimeSession]]:
    """A server with these replies, and a session with tools."""
    held = held or Held()
    with LocalServer(replies, quirks=quirks) as server:
        with rt.connect("gpt-realtime", base_url=server.base_url, session=config) as session:
            session.use_tools(tools_of(held), **options)
            yield server, session
        for key in list(held.started):
            held.release(key)
        for thread in threading.enumerate():
            if thread.name.startswith(THREADS):
                thread.join(WAIT_S)
                assert not thread.is_alive()
        assert server.failures == []


def outputs(server: LocalServer) -> list[tuple[str, str]]:
    """The outputs and creates that the server got, in order."""
    found: list[tuple[str, str]] = []
    for event in server.received:
        if event["type"] == "response.create":
            found.append(("create", ""))
        elif event.get("item", {}).get("type") == "function_call_output":
            found.append((event["item"]["call_id"], event["item"]["output"]))
    return found


def wait_outputs(server: LocalServer, session: rt.RealtimeSession, count: int) -> None:
    """Pump until the conversation has so many outputs of calls."""
    seen = 0

    def enough(event: ConversationItemAdded) -> bool:
        nonlocal seen
        seen += isinstance(event.item, FunctionCallOutput)
        return seen >= count

    session.wait_for(ConversationItemAdded, enough, WAIT_S)


def sums(turn: Turn) -> str:
    return " and ".join(str(output["output"]) for output in turn.tool_outputs)


# The plain case


def test_ask_goes_through_the_tools_to_the_last_word() -> None:
    calls = [ToolCall("add", {"a": 1, "b": 2}, "c1"), ToolCall("add", {"a": 5}, "c2")]
    with talking([Reply(tool_calls=calls), sums]) as (server, session):
        reply = session.ask("What are 1+2 and 5+1?", timeout=WAIT_S)
        assert sorted(reply.text.split(" and ")) == ["3", "6"]
        got = outputs(server)
        assert sorted(got[1:3]) == [("c1", "3"), ("c2", "6")]
        assert got[::3] == [("create", ""), ("create", "")]
        announced = server.wait_received("session.update", 2)
        assert [tool["name"] for tool in announced["session"]["tools"]] == ["hold", "add", "fail"]


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(beta_names=True),
        Quirks(confirm=False),
        Quirks(item_created_only=True),
        Quirks(whole_arguments=True),
        Quirks(event_ids=False),
        Quirks(confirm=False, item_created_only=True, whole_arguments=True, event_ids=False),
    ],
    ids=["beta", "silent", "created", "whole", "no ids", "all"],
)
def test_tools_work_on_compatible_servers(quirks: Quirks) -> None:
    replies = [Reply(tool_calls=[ToolCall("add", {"a": 1, "b": 2}), ToolCall("fail", {"why": "so"})]), sums]
    with talking(replies, quirks=quirks, config=None) as (_, session):
        reply = session.ask("Add!", config=TEXT, timeout=WAIT_S)
        assert sorted(reply.text.split(" and ")) == ["3", '{"error": "LookupError: so"}']


def test_rounds_of_calls_go_on_until_the_model_speaks() -> None:
    def reply(turn: Turn) -> Any:
        results = [int(output["output"]) for output in turn.tool_outputs]
        return f"{results[-1]}!" if results and results[-1] >= 4 else ToolCall("add", {"a": (results or [0])[-1]})

    with talking(reply) as (server, session):
        assert session.ask("Count!", timeout=WAIT_S).text == "4!"
        assert [entry[1] for entry in outputs(server) if entry[0] != "create"] == ["1", "2", "3", "4"]


def test_a_model_that_never_stops_calling_is_stopped() -> None:
    def reply(turn: Turn) -> Any:
        return "enough" if turn.response["tool_choice"] == "none" else ToolCall("add", {"a": turn.number})

    with talking(reply, max_rounds=3) as (server, session):
        assert session.ask("Count!", timeout=WAIT_S).text == "enough"
        assert len([entry for entry in outputs(server) if entry[0] != "create"]) == 3


def test_what_goes_wrong_is_told_to_the_model() -> None:
    calls = [
        ToolCall("add", '{"a": 1', "c1"),
        ToolCall("add", {"a": "one"}, "c2"),
        ToolCall("add", {"a": 1, "c": 2}, "c3"),
        ToolCall("fly", {}, "c4"),
        ToolCall("fail", {"why": "no such thing"}, "c5"),
    ]
    with talking([Reply(tool_calls=calls), "Sorry."]) as (server, session):
        assert session.ask("Go!", timeout=WAIT_S).text == "Sorry."
        told = {call_id: json.loads(output)["error"] for call_id, output in outputs(server) if call_id != "create"}
        assert told.pop("c1").startswith("the arguments are not valid JSON: ")
        assert told == {
            "c2": "a must be a whole number, not a string",
            "c3": "c is unknown; known are a, b",
            "c4": "there is no tool 'fly'; there are: 'hold', 'add', 'fail'",
            "c5": "LookupError: no such thing",
        }


def test_background_dispatch() -> None:
    held = Held()
    with talking([ToolCall("hold", {"key": "a"}), sums], held) as (_, session):
        session.start()
        done = threading.Event()
        texts: list[str] = []

        @session.on(ResponseDone)
        def finished(event: ResponseDone) -> None:
            content = getattr(event.response.output[0], "content", None)
            if content:
                texts.append(content[0].text)
                done.set()

        session.send_text("Hold!")
        session.create_response()
        held.wait_started("a")
        held.release("a")
        assert done.wait(WAIT_S)
        assert texts == ["held a"]
        session.stop()


# Time and order


def test_outputs_are_sent_at_once_and_the_response_waits_for_the_last() -> None:
    held = Held()
    calls = [ToolCall("hold", {"key": key}, key) for key in "abc"]
    with talking([Reply(tool_calls=calls), sums], held) as (server, session):
        turn = session.respond("Hold!", timeout=WAIT_S)
        session.wait_for(ResponseDone, timeout=WAIT_S)
        for key in "abc":
            held.wait_started(key)
        for number, key in enumerate("bca", start=1):
            held.release(key)
            server.wait_received("conversation.item.create", number + 1)  # the user's message came first
        assert turn.result().text == "held b and held c and held a"
        assert outputs(server) == [
            ("create", ""),
            ("b", "held b"),
            ("c", "held c"),
            ("a", "held a"),
            ("create", ""),
        ]


def test_an_output_before_the_end_of_its_response_is_followed_after_it() -> None:
    gate = Gate("response.done")
    with talking([Reply(tool_calls=[ToolCall("add", {"a": 1}, "c1")], gates=[gate]), sums]) as (server, session):
        turn = session.respond("Add!", timeout=WAIT_S)
        session.wait_for("response.output_item.done", timeout=WAIT_S)
        server.wait_received("conversation.item.create", 2)
        gate.wait_reached()
        assert outputs(server) == [("create", ""), ("c1", "2")]
        gate.open()
        assert turn.result().text == "2"


def test_two_slow_responses_do_not_collide(caplog: pytest.LogCaptureFixture) -> None:
    """The user goes on talking while a tool runs: the response to that comes first, then the one with the result."""
    held = Held()
    replies = [ToolCall("hold", {"key": "a"}), "I am still looking.", sums]
    gate = Gate("response.done", nth=2)
    with talking(replies, held) as (server, session):
        server._options.gates.append(gate)
        session.send_text("Look it up!")
        session.create_response()
        session.wait_for(ResponseDone, timeout=WAIT_S)
        held.wait_started("a")
        chatter = session.respond("Are you there?", timeout=WAIT_S)
        gate.wait_reached()
        session.wait_for("response.output_item.done", timeout=WAIT_S)
        held.release("a")
        wait_outputs(server, session, 1)
        gate.open()
        assert chatter.result().text == "I am still looking."
        done = session.wait_for(ResponseDone, timeout=WAIT_S)
        assert done.response.status == "completed"
        assert not [event for event in caplog.records if event.levelno >= logging.WARNING]


# Interruptions


def test_a_cancelled_response_cancels_its_running_call() -> None:
    held = Held()
    gate = Gate("response.done")
    replies = [Reply(tool_calls=[ToolCall("hold", {"key": "a"}, "c1")], gates=[gate]), "Next."]
    with talking(replies, held) as (server, session):
        turn = session.respond("Hold!", timeout=WAIT_S)
        session.wait_for("response.output_item.done", timeout=WAIT_S)
        held.wait_started("a")
        turn.cancel()
        assert turn.result(check=False).status == "cancelled"
        assert held.cancelled["a"].wait(WAIT_S)
        server.wait_received("conversation.item.create", 2)
        held.release("a")
        assert session.ask("And now?", timeout=WAIT_S).text == "Next."
        ended = "the call was cancelled with its response, while it ran; it may have had an effect"
        assert outputs(server) == [("create", ""), ("c1", json.dumps({"error": ended})), ("create", "")]


def test_a_call_that_was_cut_off_is_not_run() -> None:
    gate = Gate("response.function_call_arguments.delta", nth=2)
    call = ToolCall("add", {"a": 123456789, "b": 123456789})
    with talking([Reply(tool_calls=[call], gates=[gate]), "Next."]) as (server, session):
        turn = session.respond("Add!", timeout=WAIT_S)
        session.wait_for("response.function_call_arguments.delta", timeout=WAIT_S)
        gate.wait_reached()
        turn.cancel()
        assert turn.result(check=False).status == "cancelled"
        assert session.ask("And now?", timeout=WAIT_S).text == "Next."
        assert outputs(server) == [("create", ""), ("create", "")]


SILENCE = bytes(1000 * MS)


def test_the_user_interrupts_a_response_with_a_running_call() -> None:
    """Speech cancels the response on the server: its call is cancelled, and the answer to the speech sees that."""
    held = Held()
    gate = Gate("response.done")
    seen: list[Any] = []

    def second(turn: Turn) -> str:
        seen.extend(item for item in turn.items if item["type"] == "function_call_output")
        return "I stopped."

    replies = [Reply(tool_calls=[ToolCall("hold", {"key": "a"}, "c1")], gates=[gate]), second]
    with talking(replies, held) as (server, session):
        session.respond("Hold!", timeout=WAIT_S)
        session.wait_for("response.output_item.done", timeout=WAIT_S)
        held.wait_started("a")
        session.append_audio_bytes(tone_speech("stop it"))
        session.wait_for(InputAudioBufferSpeechStarted, timeout=WAIT_S)
        done = session.wait_for(ResponseDone, timeout=WAIT_S)
        assert done.response.status == "cancelled"
        assert done.response.status_details is not None
        assert done.response.status_details.reason == "turn_detected"
        assert held.cancelled["a"].wait(WAIT_S)
        wait_outputs(server, session, 1)
        session.append_audio_bytes(SILENCE)
        assert session.wait_for(ResponseDone, timeout=WAIT_S).response.status == "completed"
        held.release("a")
        assert len(seen) == 1
        assert "cancelled with its response" in seen[0]["output"]
        assert [entry[0] for entry in outputs(server)] == ["create", "c1"]


def test_a_result_that_comes_while_the_user_speaks_is_followed_after_the_answer() -> None:
    """The response with the call is done; the user speaks, and the server answers by itself. The result arrives in the
    middle of that answer: its own response waits for its turn."""
    held = Held()
    gate = Gate("response.done", nth=2)
    replies = [ToolCall("hold", {"key": "a"}, "c1"), "One moment.", sums]
    errors: list[ErrorEvent] = []
    with talking(replies, held) as (server, session):
        server._options.gates.append(gate)
        session.on(ErrorEvent, errors.append)
        session.send_text("Hold!")
        session.create_response()
        session.wait_for(ResponseDone, timeout=WAIT_S)
        held.wait_started("a")
        session.append_audio_bytes(tone_speech("hello") + SILENCE)
        session.wait_for(ResponseCreated, timeout=WAIT_S)
        gate.wait_reached()
        held.release("a")
        wait_outputs(server, session, 1)
        gate.open()
        answers = [session.wait_for(ResponseDone, timeout=WAIT_S).response for _ in range(2)]
        texts = [answer.output[0].content[0].text for answer in answers]  # type: ignore[union-attr]
        assert texts == ["One moment.", "held a"]
        assert [entry[0] for entry in outputs(server)] == ["create", "c1", "create"]
        assert errors == []


def test_a_call_whose_response_fails_is_cancelled() -> None:
    held = Held()
    replies = [Reply(tool_calls=[ToolCall("hold", {"key": "a"}, "c1")], failure=Failure()), "Next."]
    with talking(replies, held) as (server, session):
        turn = session.respond("Hold!", timeout=WAIT_S)
        with pytest.raises(rt.ResponseFailed):
            turn.result()
        assert session.ask("And now?", timeout=WAIT_S).text == "Next."
        assert [entry[0] for entry in outputs(server)] == ["create", "c1", "create"]


# The end of the connection


@pytest.mark.parametrize("how", ["drop", "close"])
def test_the_connection_ends_in_mid_call(how: str, caplog: pytest.LogCaptureFixture) -> None:
    held = Held()
    with talking([ToolCall("hold", {"key": "a"})], held) as (server, session):
        session.respond("Hold!", timeout=WAIT_S)
        session.wait_for(ResponseDone, timeout=WAIT_S)
        held.wait_started("a")
        server.drop() if how == "drop" else session.close()
        assert held.cancelled["a"].wait(WAIT_S)
        held.release("a")
        for thread in threading.enumerate():
            if thread.name.startswith(THREADS):
                thread.join(WAIT_S)
        assert outputs(server) == [("create", "")]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_ask_is_told_when_the_connection_ends_while_its_tool_runs() -> None:
    held = Held()
    with talking([ToolCall("hold", {"key": "a"})], held) as (server, session):

        @session.on(ResponseDone)
        def cut(event: ResponseDone) -> None:
            held.wait_started("a")
            server.drop()

        with pytest.raises(rt.ConnectionLost):
            session.ask("Hold!", timeout=WAIT_S)


# Hosted tools


def approve_files(request: McpApprovalRequest) -> bool | tuple[bool, str]:
    return (True, "") if request.name == "read" else (False, "only reading is allowed")


def test_an_ask_that_comes_too_late_names_the_tool_that_is_still_at_work() -> None:
    go = threading.Event()

    def look_up() -> str:
        """Look something up."""
        go.wait(WAIT_S)
        return "found"

    with (
        LocalServer([ToolCall("look_up", {}), "Done."]) as server,
        rt.connect("m", base_url=server.base_url, session=TEXT, tools=[look_up]) as session,
    ):
        turn = session.respond("go")
        session.wait_for("response.done")
        with pytest.raises(rt.RealtimeTimeout, match=r"still at work: the tool look_up$"):
            turn.result(timeout=0.05)
        go.set()
        assert turn.result().text == "Done."


def test_options_of_the_next_response_that_fail_are_raised_with_the_reply() -> None:
    def options(response: Any) -> Any:
        raise LookupError("boom")

    with (
        LocalServer([ToolCall("look_up", {}), "Done."]) as server,
        rt.connect("m", base_url=server.base_url, session=TEXT) as session,
    ):
        session.tool(look_up)
        session.use_tools(Toolset(), options=options)
        with pytest.raises(LookupError, match="boom") as caught:
            session.ask("go")
        assert caught.value.reply.tool_calls[0].name == "look_up"  # type: ignore[attr-defined]
        assert session.ask("and now?").text == "Done."


def look_up() -> str:
    """Look something up."""
    return "found"


def test_hosted_tools_are_approved_and_the_model_goes_on() -> None:
    def after(turn: Turn) -> Any:
        answers = [item for item in turn.items if item["type"] == "mcp_approval_response"]
        return [
            McpToolCall("files", "read", output="content", approval_request_id=answers[0]["approval_request_id"]),
            f"{answers[1]['approve']} {answers[1]['reason']}",
        ]

    asked = [McpApproval("files", "read"), McpApproval("files", "delete")]
    with talking([asked, after], on_mcp_approval=approve_files, workers=1) as (server, session):
        calls: list[McpCall] = []
        session.on(
            ConversationItemDone, lambda event: calls.append(event.item) if isinstance(event.item, McpCall) else None
        )
        reply = session.ask("Read and delete!", timeout=WAIT_S)
        assert reply.text == "False only reading is allowed"
        assert [call.output for call in calls] == ["content"]
        created = [event["item"]["type"] for event in server.received if event["type"] == "conversation.item.create"]
        assert created == ["message", "mcp_approval_response", "mcp_approval_response"]
        assert len([entry for entry in outputs(server) if entry == ("create", "")]) == 2
