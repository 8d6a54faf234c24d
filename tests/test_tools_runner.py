"""The runner of tool calls, on a session whose server the test plays."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSession, error, response_created, response_done

from realtime_sync import ConfigurationError, ServerError
from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConnectionClosed, InvalidEvent, RealtimeError, RealtimeTimeout
from realtime_sync.events import McpApprovalRequest, McpTool, Response, ResponseConfig
from realtime_sync.state.responses import Run
from realtime_sync.tools import BadArguments, ToolCall, ToolContext, ToolFailure, ToolRunner, Toolset
from realtime_sync.tools.workers import Workers

WAIT_S = 20.0
THREADS = "realtime_sync-tool"


class Rig:
    """A session with a runner; `say` plays the server and returns when all is dispatched."""

    def __init__(self, fake: FakeSession, toolset: Toolset, **options: Any) -> None:
        self.fake = fake
        self.session = fake.session
        self.runner = ToolRunner(fake.session, toolset, **options)
        self.markers = 0

    def say(self, *events: dict[str, Any]) -> None:
        self.markers += 1
        name = f"test.{self.markers}"
        self.fake.wire.say(*events, {"type": name})
        self.session.wait_for(name, timeout=WAIT_S)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What went out so far, in short: the outputs by call id, approvals, and creates."""
        return [short(text) for text in list(self.fake.wire.texts)]

    def wait_sent(self, count: int) -> list[dict[str, Any]]:
        """What went out, at least so much."""
        self.fake.wire.wait_sent(count)
        return self.sent

    def begin(self, call_id: str, name: str = "echo", arguments: Any = None, response_id: str = "r1") -> None:
        self.say(arguments_done(call_id, name, arguments, response_id))


def short(text: dict[str, Any]) -> dict[str, Any]:
    if text["type"] == "response.create":
        return {"create": {k: v for k, v in text["response"].items() if k != "metadata"}}
    if text["type"] == "conversation.item.create" and text["item"]["type"] == "function_call_output":
        return {text["item"]["call_id"]: text["item"]["output"]}
    return text


def as_json(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)


def arguments_done(
    call_id: str | None, name: str | None = "echo", arguments: Any = None, response_id: str | None = "r1"
) -> dict[str, Any]:
    return {
        "type": "response.function_call_arguments.done",
        "response_id": response_id,
        "item_id": f"item_{call_id}",
        "output_index": 0,
        "call_id": call_id,
        "name": name,
        "arguments": as_json(arguments),
    }


def call_item(call_id: str | None, name: str = "echo", arguments: Any = None, **more: Any) -> dict[str, Any]:
    item = {"type": "function_call", "id": f"item_{call_id}", "call_id": call_id, "name": name}
    return {**item, "arguments": as_json(arguments), **more}


def item_done(item: dict[str, Any], response_id: str | None = "r1") -> dict[str, Any]:
    return {"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item}


def item_added(item: dict[str, Any], response_id: str | None = "r1") -> dict[str, Any]:
    return {"type": "response.output_item.added", "response_id": response_id, "output_index": 0, "item": item}


def approval(request_id: str) -> dict[str, Any]:
    return {
        "type": "mcp_approval_request",
        "id": request_id,
        "server_label": "files",
        "name": "delete",
        "arguments": "{}",
    }


class Tools:
    """A toolset whose calls the test holds back."""

    def __init__(self) -> None:
        self.toolset = Toolset()
        self.started: dict[str, threading.Event] = {}
        self.go: dict[str, threading.Event] = {}
        self.threads: list[str] = []
        self.contexts: list[ToolContext] = []
        self.toolset.tool(self.echo)
        self.toolset.tool(self.hold)
        self.toolset.tool(self.fail)
        self.toolset.tool(name="quick", timeout_s=0.01)(self.hold)
        self.toolset.tool(name="here", inline=True)(self.echo)

    def event(self, kept: dict[str, threading.Event], key: str) -> threading.Event:
        return kept.setdefault(key, threading.Event())

    def echo(self, text: str = "ok") -> str:
        self.threads.append(threading.current_thread().name)
        return text

    def hold(self, key: str, context: ToolContext) -> str:
        self.contexts.append(context)
        self.event(self.started, key).set()
        assert self.event(self.go, key).wait(WAIT_S)
        return f"held {key}"

    def fail(self, text: str) -> str:
        raise ValueError(text)

    def wait_started(self, key: str) -> None:
        assert self.event(self.started, key).wait(WAIT_S)

    def release(self, key: str) -> None:
        self.event(self.go, key).set()


@pytest.fixture
def tools() -> Iterator[Tools]:
    tools = Tools()
    yield tools
    for key in list(tools.started):
        tools.release(key)
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert not tool_threads()


@pytest.fixture
def rig(tools: Tools) -> Iterator[Rig]:
    with FakeSession() as fake:
        yield Rig(fake, tools.toolset)


@pytest.fixture
def make_rig(tools: Tools) -> Iterator[Callable[..., Rig]]:
    with FakeSession() as fake:
        yield lambda **options: Rig(fake, tools.toolset, **options)


def tool_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREADS)]


CREATE = {"create": {}}


# The order of outputs and creates


def test_a_call_is_answered_at_once_and_one_response_follows_the_end_of_the_first(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", arguments={"text": "hello"})
    assert rig.wait_sent(1) == [{"c1": "hello"}]
    assert tools.threads[0].startswith(THREADS)
    rig.say(item_done(call_item("c1")))
    rig.say(response_done("r1", output=[call_item("c1")]))
    assert rig.wait_sent(2) == [{"c1": "hello"}, CREATE]


def test_a_slow_call_delays_the_following_response(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    rig.say(response_done("r1", output=[call_item("c1", "hold", {"key": "a"})]))
    assert rig.sent == []
    tools.release("a")
    assert rig.wait_sent(2) == [{"c1": "held a"}, CREATE]


def test_parallel_calls_are_answered_in_the_order_in_which_they_end(rig: Rig, tools: Tools) -> None:
    for call_id in "abc":
        rig.begin(call_id, "hold", {"key": call_id})
        tools.wait_started(call_id)
    rig.say(response_done("r1"))
    for number, call_id in enumerate("cab", start=1):
        tools.release(call_id)
        rig.wait_sent(number)
    assert rig.wait_sent(4) == [{"c": "held c"}, {"a": "held a"}, {"b": "held b"}, CREATE]


@pytest.mark.parametrize(
    "events",
    [
        [arguments_done("c1")],
        [item_done(call_item("c1"))],
        [item_done(call_item("c1", status="completed")), arguments_done("c1")],
        [arguments_done("c1"), item_done(call_item("c1")), item_done(call_item("c1"))],
        [arguments_done("c1", name=None), item_done(call_item("c1"))],
        [arguments_done(None), item_done(call_item("c1"))],
        [arguments_done("c1", arguments="")],
        [arguments_done("c1", response_id=None), item_done(call_item("c1"), response_id=None)],
        [item_added(call_item("c1", arguments="")), arguments_done("c1", name=None)],
        [item_added(call_item("c1", arguments="")), {**arguments_done("c1", name=None), "call_id": None}],
        [],
    ],
)
@pytest.mark.parametrize("output", [[], [call_item("c1")]])
@pytest.mark.parametrize("inline", [True, False])
def test_each_call_runs_once_whatever_events_announce_it(
    rig: Rig, events: list[dict[str, Any]], output: list[dict[str, Any]], inline: bool
) -> None:
    nothing = not output and (not events or events == [arguments_done("c1", arguments="")])
    if inline:
        events, output = json.loads(json.dumps([events, output]).replace('"echo"', '"here"'))
    rig.say(*events)
    rig.say(response_done("r1", output=output))
    if not any(event.get("response_id", "r1") is None for event in events):
        rig.say(response_done("r1", output=output), *events)  # again, which nobody should do
    if nothing:
        assert rig.sent == []
    else:
        assert rig.wait_sent(2) == [{"c1": "ok"}, CREATE]


def test_a_response_without_ids_at_all(rig: Rig) -> None:
    for number in (1, 2):  # the server uses the same id for different calls
        rig.say(arguments_done("c", arguments={"text": str(number)}, response_id=None))
        rig.say({"type": "response.done", "response": {"status": "completed"}})
        rig.wait_sent(number * 2)
        rig.say(response_created(f"x{number}", rig.fake.wire.texts[-1]), response_done(f"x{number}"))
    assert rig.sent == [{"c": "1"}, CREATE, {"c": "2"}, CREATE]


def test_a_response_done_without_response_ends_the_latest_round(rig: Rig) -> None:
    rig.begin("c1")
    rig.say({"type": "response.done"})
    assert rig.wait_sent(2) == [{"c1": "ok"}, CREATE]


def test_a_call_without_an_id_is_reported(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.say(item_done(call_item(None)), response_done("r1"))
    assert rig.sent == []
    assert "calls echo without a call_id" in caplog.text


def test_other_items_and_responses_are_none_of_its_business(rig: Rig) -> None:
    message = {"type": "message", "id": "m", "role": "assistant", "content": []}
    rig.say(item_done(message), response_done("r1", output=[message]), response_done("r2"))
    assert rig.sent == []


def test_responses_of_others_are_ignored(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(ignores=lambda response_id: response_id == "side", on_mcp_approval=lambda request: True)
    rig.begin("c1", response_id="side")
    rig.say(item_done(approval("q"), "side"), response_done("side", output=[call_item("c1")]))
    rig.begin("c2")
    assert rig.wait_sent(1) == [{"c2": "ok"}]


def test_the_follow_up_can_be_left_to_the_user(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(auto_respond=False)
    rig.begin("c1")
    rig.wait_sent(1)
    rig.say(response_done("r1"))
    assert rig.sent == [{"c1": "ok"}]


def test_two_responses_at_a_time_are_apart(rig: Rig, tools: Tools) -> None:
    rig.begin("a", "hold", {"key": "a"}, "r1")
    rig.begin("b", "hold", {"key": "b"}, "r2")
    rig.say(response_done("r2"), response_done("r1"))
    tools.release("a")
    rig.wait_sent(2)
    tools.release("b")
    rig.wait_sent(3)
    assert rig.sent == [{"a": "held a"}, CREATE, {"b": "held b"}]  # the second create waits for its turn
    rig.say(response_created("r3", rig.fake.wire.texts[1]), response_done("r3"))
    assert rig.wait_sent(4)[3:] == [CREATE]


def test_inline_calls_run_on_the_thread_that_dispatches(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "here")
    assert rig.sent == [{"c1": "ok"}]
    assert tools.threads == [threading.current_thread().name]
    assert not tool_threads()


def test_an_inline_tool_may_use_blocking_verbs(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig()

    @tools.toolset.tool(inline=True)
    def look(context: ToolContext) -> str:
        rig.fake.wire.say(response_done("r1"), {"type": "test.nested"})
        found = context.session.wait_for("test.nested", timeout=WAIT_S)
        return str(found.type)

    rig.begin("c1", "look")
    assert rig.sent == [{"c1": "test.nested"}, CREATE]


# What becomes of the result


def test_results_are_json_but_for_strings(rig: Rig, tools: Tools) -> None:
    tools.toolset.tool(name="data")(lambda: {"a": [1, None]})
    tools.toolset.tool(name="nothing")(lambda: None)
    rig.begin("c1", "data")
    rig.wait_sent(1)
    rig.begin("c2", "nothing")
    assert rig.wait_sent(2) == [{"c1": '{"a": [1, null]}'}, {"c2": "null"}]


def failure_of(rig: Rig, number: int = 1) -> str:
    (output,) = rig.wait_sent(number)[number - 1].values()
    return str(json.loads(output)["error"])


def test_an_exception_becomes_an_output(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.begin("c1", "fail", {"text": "no such city \ud800"})
    assert failure_of(rig) == "ValueError: no such city ?"
    rig.say(response_done("r1"))
    assert rig.wait_sent(2)[1] == CREATE
    assert "Traceback" in caplog.text  # for the author of the tool only


def test_an_unknown_tool_becomes_an_output(rig: Rig) -> None:
    rig.begin("c1", "fly")
    assert failure_of(rig) == "there is no tool 'fly'; there are: 'echo', 'hold', 'fail', 'quick', 'here'"


def test_no_tools_at_all() -> None:
    with FakeSession() as fake:
        rig = Rig(fake, Toolset())
        rig.say(item_done({"type": "function_call", "call_id": "c1"}))
        assert failure_of(rig) == "there is no tool ''; there are: none"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": 5}, "text must be a string, not a number"),
        ({"more": 5}, "more is unknown; known are text"),
        ("[1]", "the arguments must be a JSON object"),
        ('{"text": "a', "the arguments are not valid JSON: "),
    ],
)
@pytest.mark.parametrize("name", ["echo", "here"])
def test_bad_arguments_become_an_output_when_they_are_final(rig: Rig, arguments: Any, message: str, name: str) -> None:
    rig.say(arguments_done("c1", name, arguments), item_done(call_item("c1", name, arguments, status="completed")))
    rig.say(response_done("r1"))
    assert failure_of(rig).startswith(message)
    assert rig.wait_sent(2)[1] == CREATE


def test_a_result_that_json_cannot_express_becomes_an_output(
    rig: Rig, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    tools.toolset.tool(name="odd")(object)
    rig.begin("c1", "odd")
    assert failure_of(rig) == "the result cannot be written as JSON: object cannot be written as JSON"
    assert "the result of the tool odd cannot be written as JSON: object cannot" in caplog.text


def test_a_tool_that_ends_its_thread_is_answered_too(rig: Rig, tools: Tools) -> None:
    @tools.toolset.tool
    def leave() -> None:
        raise SystemExit(3)

    rig.begin("c1", "leave")
    assert failure_of(rig) == "SystemExit: 3"


def test_an_interrupt_in_an_inline_tool_reaches_the_caller(rig: Rig, tools: Tools) -> None:
    @tools.toolset.tool(inline=True)
    def wait() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rig.begin("c1", "wait")
    assert failure_of(rig) == "KeyboardInterrupt: "


def test_the_output_of_a_failure_can_be_chosen(make_rig: Callable[..., Rig]) -> None:
    seen: list[ToolFailure] = []

    def describe(failure: ToolFailure) -> Any:
        seen.append(failure)
        return {"sorry": failure.reason} if failure.reason == "exception" else "plain text"

    rig = make_rig(describe_failure=describe)
    rig.begin("c1", "fail", {"text": "x"})
    rig.wait_sent(1)
    rig.begin("c2", "fly")
    assert rig.wait_sent(2) == [{"c1": '{"sorry": "exception"}'}, {"c2": "plain text"}]
    assert seen[0].call == ToolCall("fail", '{"text": "x"}', "c1", "r1")
    assert isinstance(seen[0].error, ValueError)
    assert seen[1].error is None


def test_a_describer_that_fails_is_reported(make_rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    rig = make_rig(describe_failure=lambda failure: 1 / 0)
    rig.begin("c1", "fly")
    assert failure_of(rig).startswith("there is no tool")
    assert "describe_failure failed" in caplog.text


# Time


@pytest.fixture
def expires_once_started(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of call "a" is up as soon as it has begun, however long a busy machine takes to begin it."""

    class Limit(Deadline):
        __slots__ = ()

        @property
        def expired(self) -> bool:
            return tools.event(tools.started, "a").is_set()

    monkeypatch.setattr("realtime_sync.tools.runner.Deadline", Limit)


@pytest.mark.usefixtures("expires_once_started")
def test_a_call_that_takes_too_long_is_answered_and_its_result_dropped(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "quick", {"key": "a"})
    assert failure_of(rig) == "the call was given up after 0.01 s; it may still have an effect"
    tools.wait_started("a")
    assert tools.contexts[0].cancelled.is_set()
    tools.release("a")
    rig.say(response_done("r1"))
    rig.wait_sent(2)
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert rig.sent[1:] == [CREATE]


def test_the_runner_has_a_limit_for_all(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(timeout_s=0.01)
    rig.begin("c1", "hold", {"key": "a"})
    assert failure_of(rig).startswith("the call was given up after 0.01 s")


def test_a_tool_without_limit(make_rig: Callable[..., Rig], tools: Tools) -> None:
    tools.toolset.tool(name="long", timeout_s=None)(tools.hold)
    rig = make_rig(timeout_s=0.01)
    rig.begin("c1", "long", {"key": "a"})
    rig.begin("c2", "hold", {"key": "b"})
    assert failure_of(rig).startswith("the call was given up")
    tools.release("a")
    assert rig.wait_sent(2)[1] == {"c1": "held a"}


def test_calls_that_hang_do_not_block_others(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig(workers=1)
    rig.begin("c1", "quick", {"key": "a"})
    rig.wait_sent(1)
    rig.begin("c2")
    assert rig.wait_sent(2)[1] == {"c2": "ok"}


def test_a_call_can_expire_while_it_waits_for_a_thread(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig(workers=1)
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    rig.begin("c2", "quick", {"key": "b"})
    assert failure_of(rig).startswith("the call was given up")
    tools.release("a")
    rig.say(response_done("r1"))
    assert rig.wait_sent(3)[1:] == [{"c1": "held a"}, CREATE]
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert "b" not in tools.started


def test_too_many_calls_are_refused(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig(workers=1, queue_limit=1)
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    for call_id in ("c2", "c3", "c4"):
        rig.begin(call_id)
    assert failure_of(rig) == "too many calls wait already; try again later"
    tools.release("a")
    rig.say(response_done("r1"))
    assert rig.wait_sent(5)[1:] == [{"c1": "held a"}, {"c2": "ok"}, {"c3": "ok"}, CREATE]


# Cancelled responses


@pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete"])
def test_calls_of_a_response_that_did_not_complete_are_cancelled(
    make_rig: Callable[..., Rig], tools: Tools, status: str
) -> None:
    rig = make_rig(workers=1)
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    rig.begin("c2")
    rig.say(response_done("r1", status, output=[call_item("c1"), call_item("c3")]))
    assert failure_of(rig, 1) == ("the call was cancelled with its response, while it ran; it may have had an effect")
    assert failure_of(rig, 2) == "the call was cancelled with its response, before it ran"
    assert tools.contexts[0].cancelled.is_set()
    tools.release("a")
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert len(rig.sent) == 2
    assert tools.threads == []


def test_a_call_that_was_cut_off_never_runs(rig: Rig) -> None:
    rig.say(
        arguments_done("c1", arguments='{"text": "hel'),
        item_done(call_item("c1", arguments='{"text": "hel', status="incomplete")),
        response_done("r1", "cancelled", output=[call_item("c1", arguments='{"text": "hel', status="incomplete")]),
    )
    assert rig.sent == []
    assert not tool_threads()


def test_an_answer_that_the_server_no_longer_wants_is_quiet(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    rig.say(response_done("r1", "cancelled"))
    output = rig.fake.wire.wait_sent(1)
    rig.say(error(output["event_id"], "invalid_tool_call_id"))
    assert "nobody asked" not in caplog.text


def test_calls_answered_before_the_interruption_get_no_response(rig: Rig) -> None:
    rig.begin("c1")
    rig.wait_sent(1)
    rig.say(response_done("r1", "cancelled"))
    assert rig.sent == [{"c1": "ok"}]


def test_a_tool_can_wait_for_the_cancellation(rig: Rig, tools: Tools) -> None:
    woken = threading.Event()

    @tools.toolset.tool
    def nap(context: ToolContext) -> str:
        tools.event(tools.started, "nap").set()
        assert context.cancelled.wait(WAIT_S)
        woken.set()
        return "too late"

    rig.begin("c1", "nap")
    tools.wait_started("nap")
    rig.say(response_done("r1", "cancelled"))
    assert woken.wait(WAIT_S)
    assert failure_of(rig).startswith("the call was cancelled")


# The end of the session


def test_a_lost_connection_in_mid_call_is_quiet(rig: Rig, tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    rig.begin("c2", "hold", {"key": "b"})
    tools.wait_started("a")
    tools.wait_started("b")
    rig.fake.wire.fail(ConnectionClosed("gone"))
    assert tools.contexts[0].cancelled.wait(WAIT_S)
    assert tools.contexts[1].cancelled.wait(WAIT_S)
    tools.release("a")
    tools.release("b")
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert not tool_threads()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_answer_that_cannot_be_sent_is_quiet(rig: Rig, tools: Tools, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outputs: list[Any] = []
    rig.runner._on_output = lambda *output: outputs.append(output)
    rig.fake.wire.send_fault = ConnectionClosed("gone")
    rig.fake.wire.say(arguments_done("c1", "here"))
    with pytest.raises(ConnectionClosed):
        rig.session.run()
    found = rig.runner.follow(Response(id="r1"))
    assert found is not None
    assert found.settled
    assert found.follow_up is None
    assert str(found.error) in ("gone", "the connection failed")  # as the reader was faster, or not
    assert outputs == []
    assert f"could not be sent: {found.error}" in caplog.text


@pytest.mark.parametrize(
    ("name", "answer"),
    [("echo", "ok"), ("quick", '{"error": "the call was given up after 0.01 s; it may still have an effect"}')],
)
def test_an_answer_waits_for_a_network_that_is_stuck(
    rig: Rig, tools: Tools, monkeypatch: pytest.MonkeyPatch, name: str, answer: str
) -> None:
    wire, tried = rig.fake.wire, []

    def stuck(text: str | bytes, timeout_s: float) -> None:
        tried.append(text)
        if len(tried) == 3:
            monkeypatch.undo()
        raise RealtimeTimeout("it took no bytes; nothing of the message was sent")

    monkeypatch.setattr(wire, "send_text", stuck)
    rig.say(arguments_done("c1", name, {} if name == "echo" else {"key": "a"}), response_done("r1"))
    assert rig.wait_sent(2) == [{"c1": answer}, {"create": {}}]
    tools.release("a")
    assert len(tried) == 3
    found = rig.runner.follow(Response(id="r1"))
    assert found is not None
    assert found.error is None


@pytest.mark.parametrize("how", ["the runner is closed", "the session is closed"])
def test_an_answer_waits_no_longer_than_somebody_can_give_it(rig: Rig, how: str) -> None:
    rig.fake.wire.send_fault = RealtimeTimeout("it took no bytes; nothing of the message was sent")
    rig.say(arguments_done("c1"), response_done("r1"))
    assert tool_threads()
    rig.runner.close() if how == "the runner is closed" else rig.session.close()
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert not tool_threads()


@pytest.mark.parametrize("when", ["while the tool runs", "when it is answered"])
def test_whoever_waits_for_the_last_word_hears_that_the_connection_is_lost(tools: Tools, when: str) -> None:
    """Also when the runner has noticed before anybody dispatched the end."""
    with FakeSession() as fake:
        runner = fake.session.use_tools(tools.toolset, announce=False)
        turn = fake.session.respond("Go!", timeout=WAIT_S)
        created = response_created("r1", fake.wire.wait_sent(2))
        fake.wire.say(created, arguments_done("c1", "hold", {"key": "a"}), response_done("r1"), {"type": "test.end"})
        fake.session.wait_for("test.end", timeout=WAIT_S)
        tools.wait_started("a")
        if when == "while the tool runs":
            fake.wire.fail(ConnectionClosed("gone"))
            assert tools.contexts[0].cancelled.wait(WAIT_S)
            assert runner.follow(Response(id="r1")) is not None
        else:
            fake.wire.send_fault = ConnectionClosed("gone")
            tools.release("a")
        for thread in tool_threads():
            if when == "when it is answered" or "watch" in thread.name:
                thread.join(WAIT_S)
        with pytest.raises(ConnectionClosed, match="gone"):
            turn.result()


def test_an_answer_to_a_call_that_is_gone_does_not_stop_the_others(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    submit = rig.session.submit_function_output

    def picky(call_id: str, output: Any) -> Any:
        if call_id == "c1":
            raise InvalidEvent("c1 is gone")
        return submit(call_id, output)

    rig.session.submit_function_output = picky  # type: ignore[method-assign]
    rig.begin("c1", "here")
    rig.begin("c2", "here")
    rig.say(response_done("r1"))
    assert rig.sent == [{"c2": "ok"}, CREATE]
    assert "a tool call is not answered: c1 is gone" in caplog.text


def test_closing_the_runner_cancels_what_runs_and_answers_no_more(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    rig.runner.close()
    rig.runner.close()
    assert tools.contexts[0].cancelled.is_set()
    tools.release("a")
    rig.begin("c2")
    rig.say(response_done("r1", output=[call_item("c1"), call_item("c2")]))
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert rig.sent == []
    assert rig.runner.follow(Response(id="r2", output=[])) is None


def test_nothing_begins_after_the_close(rig: Rig) -> None:
    rig.runner.close()
    rig.runner._offer("echo", "{}", "c1", Run(1, "r1"), [])
    assert rig.sent == []


# Approval


def test_a_local_tool_can_need_approval(make_rig: Callable[..., Rig], tools: Tools) -> None:
    asked: list[ToolCall] = []
    answers: list[Any] = [True, False, (False, "not today"), (True, "fine")]

    def approve(call: ToolCall) -> Any:
        assert threading.current_thread().name.startswith(THREADS)
        asked.append(call)
        return answers.pop(0)

    tools.toolset.tool(name="pay", approve=approve)(tools.echo)
    rig = make_rig()
    for number in range(1, 5):
        rig.begin(f"c{number}", "pay")
        rig.wait_sent(number)
    declined = '{"error": "the call was not approved'
    assert rig.sent == [{"c1": "ok"}, {"c2": declined + '"}'}, {"c3": declined + ': not today"}'}, {"c4": "ok"}]
    assert [call.call_id for call in asked] == ["c1", "c2", "c3", "c4"]


def test_bad_arguments_are_not_put_up_for_approval(make_rig: Callable[..., Rig]) -> None:
    asked: list[ToolCall] = []
    rig = make_rig(approve=asked.append)
    rig.begin("c1", arguments={"text": 5})
    assert failure_of(rig).startswith("text must be a string")
    assert asked == []


@pytest.mark.usefixtures("expires_once_started")
def test_the_clock_of_a_call_starts_with_its_approval(make_rig: Callable[..., Rig], tools: Tools) -> None:
    gate, asked = threading.Event(), threading.Event()

    def approve(call: ToolCall) -> bool:
        asked.set()
        return gate.wait(WAIT_S)

    rig = make_rig(approve=approve)
    rig.begin("c1", "quick", {"key": "a"})
    assert asked.wait(WAIT_S)
    assert not tools.started
    gate.set()
    assert failure_of(rig).startswith("the call was given up")
    tools.wait_started("a")


def test_a_call_that_is_cancelled_while_approval_is_asked_for_does_not_run(
    make_rig: Callable[..., Rig], tools: Tools
) -> None:
    gate, asked = threading.Event(), threading.Event()

    def approve(call: ToolCall) -> bool:
        asked.set()
        return gate.wait(WAIT_S)

    rig = make_rig(approve=approve)
    rig.begin("c1")
    assert asked.wait(WAIT_S)
    rig.say(response_done("r1", "cancelled"))
    gate.set()
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert failure_of(rig).startswith("the call was cancelled")
    assert len(rig.sent) == 1
    assert tools.threads == []


def test_an_inline_tool_is_approved_inline(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(approve=lambda call: call.call_id == "c2")
    rig.begin("c1", "here")
    rig.begin("c2", "here")
    assert rig.sent == [{"c1": '{"error": "the call was not approved"}'}, {"c2": "ok"}]
    assert not tool_threads()


def responses_to(rig: Rig, count: int) -> list[dict[str, Any]]:
    return [entry.get("item", entry) for entry in rig.wait_sent(count)]


def test_hosted_tools_are_approved(make_rig: Callable[..., Rig]) -> None:
    answers: dict[str, Any] = {"q1": True, "q2": (False, "no files")}
    rig = make_rig(on_mcp_approval=lambda request: answers[request.id])
    for number, request_id in enumerate(("q1", "q2", "q3"), start=1):
        rig.say(item_done(approval(request_id)), item_done(approval(request_id)))
        rig.wait_sent(number)
    rig.say(response_done("r1", output=[approval(q) for q in ("q1", "q2", "q3")]))
    found = [{k: v for k, v in item.items() if k != "id"} for item in responses_to(rig, 4)]
    assert found == [
        {"type": "mcp_approval_response", "approval_request_id": "q1", "approve": True},
        {"type": "mcp_approval_response", "approval_request_id": "q2", "approve": False, "reason": "no files"},
        {
            "type": "mcp_approval_response",
            "approval_request_id": "q3",
            "approve": False,
            "reason": "the request could not be decided",
        },
        CREATE,
    ]


def test_approvals_and_calls_of_a_response_are_followed_by_one_response(make_rig: Callable[..., Rig]) -> None:
    gate = threading.Event()
    rig = make_rig(on_mcp_approval=lambda request: gate.wait(WAIT_S))
    rig.say(response_done("r1", output=[call_item("c1"), approval("q1")]))
    assert rig.wait_sent(1) == [{"c1": "ok"}]
    gate.set()
    assert responses_to(rig, 3)[1:] == [
        {**responses_to(rig, 3)[1], "type": "mcp_approval_response", "approve": True},
        CREATE,
    ]


def test_approvals_are_left_to_the_user_without_a_hook(rig: Rig) -> None:
    rig.say(item_done(approval("q1")), response_done("r1", output=[approval("q1")]))
    assert rig.sent == []


def test_no_approval_goes_to_a_cancelled_response(make_rig: Callable[..., Rig]) -> None:
    gate, asked = threading.Event(), threading.Event()

    def decide(request: McpApprovalRequest) -> bool:
        asked.set()
        return gate.wait(WAIT_S)

    rig = make_rig(on_mcp_approval=decide)
    rig.say(item_done(approval("q1")))
    assert asked.wait(WAIT_S)
    rig.say(response_done("r1", "cancelled"))
    gate.set()
    for thread in tool_threads():
        thread.join(WAIT_S)
    assert rig.sent == []


def test_too_many_approvals_are_refused(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig(workers=1, queue_limit=0, on_mcp_approval=lambda request: True)
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    rig.say(item_done(approval("q1")), item_done(approval("q2")))
    refused = responses_to(rig, 1)[0]
    assert (refused["approval_request_id"], refused["approve"]) == ("q2", False)
    assert refused["reason"] == "too many requests wait already"


# What follows


def test_the_round_tells_what_follows(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    response = Response(id="r1", status="completed", output=[])
    found = rig.runner.follow(response)
    assert found is not None
    assert (found.response_id, found.settled, found.follow_up, found.error) == ("r1", False, None, None)
    assert repr(found) == "<ToolRound of r1: 1 calls, 1 open>"
    rig.say(response_done("r1"))
    assert rig.runner.follow(response) is found
    tools.release("a")
    rig.session._dispatcher.wait(lambda: found.settled, _soon(), "the round")
    assert found.follow_up is not None
    assert found.follow_up.event_id == rig.fake.wire.wait_sent(2)["event_id"]
    assert repr(found) == "<ToolRound of r1: 1 calls, settled>"
    rig.say(response_created("r2", rig.fake.wire.texts[1]))
    confirmed = found.follow_up.result(WAIT_S)
    assert confirmed.response.id == "r2"
    assert rig.runner.follow(Response(id="r2", status="completed")) is None


def _soon() -> Any:
    from realtime_sync._deadline import Deadline

    return Deadline(WAIT_S)


def test_the_follow_up_is_known_before_its_response_is_dispatched(rig: Rig, tools: Tools) -> None:
    """What a waiting `ask` relies on: whoever looks while ``response.created`` is dispatched finds the handle."""
    rig.begin("c1", "hold", {"key": "a"})
    rig.say(response_done("r1"))
    found = rig.runner.follow(Response(id="r1", status="completed", output=[]))
    assert found is not None
    seen: list[bool] = []
    entered, leave = threading.Event(), threading.Event()
    create = rig.session.create_response

    def slow_create(config: Any) -> Any:
        ack = create(config)
        entered.set()
        assert leave.wait(WAIT_S)
        return ack

    rig.session.create_response = slow_create  # type: ignore[method-assign]

    def look(event: Any) -> None:
        threading.Timer(0.01, leave.set).start()
        ack = found.follow_up
        seen.append(ack is not None and ack.confirmation is event)

    rig.session.on("response.created", look)
    tools.release("a")
    assert entered.wait(WAIT_S)
    rig.say(response_created("r2", rig.fake.wire.texts[-1]))
    assert seen == [True]


def test_a_response_that_cannot_be_asked_for_is_in_the_round(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(config: Any) -> Any:
        raise RealtimeError("too expensive")

    rig.session.create_response = refuse  # type: ignore[method-assign]
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    found = rig.runner.follow(Response(id="r1"))
    assert found is not None
    assert found.settled
    assert found.follow_up is None
    assert str(found.error) == "too expensive"
    assert "no response follows the tool calls: too expensive" in caplog.text


def test_a_refusal_of_the_following_response_is_logged_when_it_is_forgotten(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 11):
        rig.begin("c", "here", response_id=f"r{number}")
        rig.say(response_done(f"r{number}"))
        refused = rig.fake.wire.texts[-1]
        assert refused["type"] == "response.create"
        rig.say(error(refused["event_id"]))
    assert "response.create was refused and nobody asked" in caplog.text


def test_the_refusal_reaches_who_asks(rig: Rig) -> None:
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    found = rig.runner.follow(Response(id="r1"))
    assert found is not None
    assert found.follow_up is not None
    rig.say(error(rig.fake.wire.texts[-1]["event_id"]))
    with pytest.raises(ServerError):
        found.follow_up.result(WAIT_S)


def test_the_following_response_keeps_the_modalities(rig: Rig) -> None:
    rig.begin("c1", "here")
    rig.say(response_done("r1", output_modalities=["text"]))
    assert rig.sent[1] == {"create": {"output_modalities": ["text"]}}
    rig.say({"type": "session.updated", "session": {"type": "realtime", "output_modalities": ["text"]}})
    rig.say(response_created("r2", rig.fake.wire.texts[-1]), arguments_done("c2", "here", response_id="r2"))
    rig.say(response_done("r2", output_modalities=["text"]))
    assert rig.sent[3] == CREATE


def test_options_of_the_following_response(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(options=lambda response: ResponseConfig(instructions=f"after {response.id}"))
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    assert rig.sent[1] == {"create": {"instructions": "after r1"}}


def test_options_that_fail_are_reported(make_rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    rig = make_rig(options=lambda response: 1 / 0)
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    assert rig.sent == [{"c1": "ok"}]
    assert "no response follows the tool calls" in caplog.text


@pytest.mark.parametrize("echoes", [True, False])
def test_rounds_without_end_are_ended(make_rig: Callable[..., Rig], echoes: bool) -> None:
    rig = make_rig(max_rounds=3, options=lambda response: {"instructions": "i"})
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    for number in range(2, 5):
        create = rig.fake.wire.texts[-1] if echoes else None
        rig.say(response_created(f"r{number}", create), arguments_done(f"c{number}", "here", response_id=f"r{number}"))
        rig.say(response_done(f"r{number}"))
    creates = [entry["create"] for entry in rig.sent if "create" in entry]
    usual = {"instructions": "i"}
    assert creates == [usual, usual, {**usual, "tool_choice": "none"}, {**usual, "tool_choice": "none"}]


def test_a_new_turn_counts_anew(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(max_rounds=2)
    for number in range(1, 5):
        rig.begin("c", "here", response_id=f"r{number}")
        rig.say(response_done(f"r{number}"))
        rig.say(response_created(f"f{number}", rig.fake.wire.texts[-1]), response_done(f"f{number}"))
    assert [entry["create"] for entry in rig.sent if "create" in entry] == [{}] * 4


def test_rounds_may_have_no_limit(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(max_rounds=None)
    rig.begin("c1", "here")
    rig.say(response_done("r1"))
    assert rig.sent == [{"c1": "ok"}, CREATE]


# Hooks and set-up


def test_hooks_see_every_call_and_output(make_rig: Callable[..., Rig]) -> None:
    calls: list[ToolCall] = []
    outputs: list[tuple[ToolCall, str]] = []
    rig = make_rig(on_call=calls.append, on_output=lambda call, output: outputs.append((call, output)))
    rig.begin("c1", "here", {"text": "x"})
    rig.begin("c2", "fly")
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("c1", "here", '{"text": "x"}'),
        ("c2", "fly", "{}"),
    ]
    assert [(call.call_id, output[:8]) for call, output in outputs] == [("c1", "x"), ("c2", '{"error"')]


def test_a_hook_that_fails_is_reported(make_rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    rig = make_rig(on_call=lambda call: 1 / 0)
    rig.begin("c1", "here")
    assert rig.sent == [{"c1": "ok"}]
    assert "a hook of the tool runner failed" in caplog.text


def test_the_context_knows_the_call_and_the_session(rig: Rig, tools: Tools) -> None:
    rig.begin("c1", "hold", {"key": "a"})
    tools.wait_started("a")
    (context,) = tools.contexts
    assert context.call == ToolCall("hold", '{"key": "a"}', "c1", "r1")
    assert context.session is rig.session
    assert not context.cancelled.is_set()


def test_announce_replaces_the_tools_of_the_session(rig: Rig) -> None:
    rig.runner.announce(McpTool(server_label="files"))
    (update,) = rig.sent
    tools = update["session"].pop("tools")
    assert update["session"] == {"type": "realtime"}
    assert [tool.get("name", tool["type"]) for tool in tools] == ["echo", "hold", "fail", "quick", "here", "mcp"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"workers": wrong}, "workers must be a whole number of threads, 1 or more; not") for wrong in (0, "4", 1.5)),
        *(
            ({"queue_limit": wrong}, "queue_limit must be a whole number of calls, 0 or more; not")
            for wrong in (-1, "4")
        ),
        *(({"max_rounds": wrong}, "max_rounds must be a whole number of rounds, 1 or more; not") for wrong in (0, "4")),
        *(
            ({"timeout_s": wrong}, "timeout_s must be a number of seconds, above 0, or None; not")
            for wrong in (0, -1, "4", float("nan"))
        ),
        ({"approve": "x"}, "approve must be callable, not 'x'"),
        ({"approve": False}, "approve must be callable, not False"),
        ({"on_mcp_approval": lambda: True}, "on_mcp_approval is called with 1 argument, the request"),
        ({"on_call": lambda: None}, "on_call is called with 1 argument, the call"),
        ({"on_output": lambda call: None}, "on_output is called with 2 arguments, the call and the output"),
        ({"describe_failure": "x"}, "describe_failure must be callable"),
        ({"options": {"instructions": "x"}}, "options must be callable"),
        ({"ignores": "r1"}, "ignores must be callable"),
        ({"undivided": True}, "undivided must be callable"),
    ],
)
def test_impossible_options(make_rig: Callable[..., Rig], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        make_rig(**options)


def test_a_runner_needs_a_toolset() -> None:
    with FakeSession() as fake, pytest.raises(ConfigurationError, match=r"toolset must be a Toolset, .*; not a list"):
        ToolRunner(fake.session, [print])  # type: ignore[arg-type]


def test_a_runner_costs_no_thread_while_nothing_is_called(rig: Rig) -> None:
    rig.say(response_done("r1"))
    assert not tool_threads()


def test_many_calls_at_once_are_each_answered_once(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(workers=3)
    ids = [f"c{number}" for number in range(40)]
    rig.say(*(arguments_done(call_id, arguments={"text": call_id}) for call_id in ids), response_done("r1"))
    sent = rig.wait_sent(41)
    assert sorted(sent[:40], key=lambda entry: int(next(iter(entry))[1:])) == [{call_id: call_id} for call_id in ids]
    assert sent[40:] == [CREATE]


# The threads


def test_workers_survive_a_job_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    workers = Workers(1, 5)
    gate, done = threading.Event(), threading.Event()

    def fail() -> None:
        assert gate.wait(WAIT_S)
        raise RuntimeError("no")

    assert workers.submit(fail, pytest.fail)
    assert workers.submit(done.set, pytest.fail)
    gate.set()
    assert done.wait(WAIT_S)
    for thread in tool_threads():
        thread.join(WAIT_S)


def test_only_so_many_hanging_threads_are_replaced() -> None:
    workers = Workers(1, 5)
    gate = threading.Event()
    threads: list[threading.Thread] = []
    started = threading.Semaphore(0)

    def hang() -> None:
        threads.append(threading.current_thread())
        started.release()
        assert gate.wait(WAIT_S)

    assert workers.submit(hang, pytest.fail)
    assert started.acquire(timeout=WAIT_S)
    workers.give_up(threads[0])
    workers.give_up(threads[0])
    assert workers.submit(hang, pytest.fail)
    assert started.acquire(timeout=WAIT_S)
    workers.give_up(threads[1])  # not replaced
    assert workers.submit(hang, pytest.fail)
    assert len(threads) == 2
    gate.set()
    assert started.acquire(timeout=WAIT_S)
    for thread in threads:
        thread.join(WAIT_S)
    assert threads[2] is threads[1]


class NoThreads:
    """No thread for tools can be started while ``fails``; each attempt is told to ``meanwhile``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails = True
        self.meanwhile: Callable[[], object] = lambda: None
        start = threading.Thread.start

        def none(thread: threading.Thread) -> None:
            if self.fails and thread.name.startswith(THREADS) and not thread.name.endswith("watch"):
                self.meanwhile()
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", none)


def test_every_job_that_finds_no_thread_is_told_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, workers, lost = NoThreads(monkeypatch), Workers(1, 5), list[str]()

    def meanwhile() -> None:
        threads.meanwhile = lambda: None
        assert workers.submit(
            lambda: None, lambda error: lost.append(f"second: {error}")
        )  # waits for the first's thread

    threads.meanwhile = meanwhile
    assert workers.submit(lambda: None, lambda error: lost.append(f"first: {error}"))
    assert lost == ["first: can't start new thread", "second: can't start new thread"]
    threads.fails = False
    done = threading.Event()
    assert workers.submit(done.set, pytest.fail)
    assert done.wait(WAIT_S)
    for thread in tool_threads():
        thread.join(WAIT_S)


def test_a_job_is_left_to_the_threads_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, workers = NoThreads(monkeypatch), Workers(2, 5)
    threads.fails = False
    gate, started, done = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        assert gate.wait(WAIT_S)

    assert workers.submit(hang, pytest.fail)
    assert started.wait(WAIT_S)
    threads.fails = True
    assert workers.submit(done.set, pytest.fail)
    gate.set()
    assert done.wait(WAIT_S)
    for thread in tool_threads():
        thread.join(WAIT_S)


def test_calls_and_approvals_without_a_thread_are_answered(
    make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = make_rig(on_mcp_approval=lambda request: True, workers=1)
    threads = NoThreads(monkeypatch)
    rig.say(response_done("r1", output=[call_item("c1"), approval("q1")]))
    assert failure_of(rig) == "no thread could be started for the call: RuntimeError: can't start new thread"
    (answer,) = [item for item in responses_to(rig, 3) if item.get("type") == "mcp_approval_response"]
    assert (answer["approve"], answer["reason"]) == (False, "no thread could be started to decide it")
    threads.fails = False
    rig.begin("c2", response_id="r2")
    assert rig.wait_sent(4)[3:] == [{"c2": "ok"}]


def test_a_call_whose_limit_nobody_can_watch_is_answered(
    rig: Rig, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def none(thread: threading.Thread) -> None:
        if thread.name.endswith("tool-watch"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        rig.begin("c1")
        assert failure_of(rig) == "the call could not begin: RuntimeError: can't start new thread"
    rig.begin("c2", "quick", {"key": "a"})
    assert "given up" in failure_of(rig, 2)
    tools.release("a")


# What goes wrong on the way


class Unsaid(Exception):
    """An exception that cannot even be told."""

    def __str__(self) -> str:
        raise ValueError("no text")


def leave(*_: object) -> Any:
    raise SystemExit


def test_an_exception_without_text_is_told_by_its_name(make_rig: Callable[..., Rig], tools: Tools) -> None:
    rig = make_rig()

    @tools.toolset.tool
    def odd(wrong: bool) -> None:
        if wrong:
            raise Unwritten
        raise Unsaid

    rig.begin("c1", "odd", {"wrong": False})
    assert failure_of(rig) == "Unsaid: Unsaid"
    rig.begin("c2", "odd", {"wrong": True})
    assert failure_of(rig, 2) == "Unwritten"


class Unwritten(BadArguments, Unsaid):
    """Bad arguments that cannot be told."""

    __str__ = Unsaid.__str__


def test_a_hook_that_ends_its_thread_leaves_no_call_unanswered(
    make_rig: Callable[..., Rig], tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    rig = make_rig(describe_failure=leave, on_output=leave)
    rig.say(response_done("r1", output=[call_item("c1", "fail", {"text": "x"}), call_item("c2")]))
    assert sorted(rig.wait_sent(3), key=str)[:2] == [{"c1": '{"error": "ValueError: x"}'}, {"c2": "ok"}]
    assert CREATE in rig.sent
    # Nor does it end the watch.
    for number, call_id in enumerate(("c3", "c4"), start=4):
        rig.begin(call_id, "quick", {"key": call_id}, response_id="r2")
        assert "given up" in failure_of(rig, number)
        tools.release(call_id)


def test_a_hook_that_leaves_before_a_call_is_answered_and_heard(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(on_call=leave)
    with pytest.raises(SystemExit):
        rig.begin("c1")
    assert failure_of(rig) == "the call could not begin: SystemExit: "


def test_a_hook_that_leaves_does_not_keep_the_other_calls_from_their_answers(
    make_rig: Callable[..., Rig], tools: Tools
) -> None:
    rig = make_rig(on_call=leave)
    with pytest.raises(SystemExit):
        rig.say(response_done("r1", output=[call_item("c1"), call_item("c2")]))
    told = '{"error": "the call could not begin: SystemExit: "}'
    assert rig.wait_sent(3) == [{"c1": told}, {"c2": told}, CREATE]


def test_all_calls_of_a_cancelled_response_are_answered_whatever_a_hook_does(
    make_rig: Callable[..., Rig], tools: Tools
) -> None:
    rig = make_rig(on_output=leave)
    for key in ("a", "b"):
        rig.begin(key, "hold", {"key": key})
        tools.wait_started(key)
    with pytest.raises(SystemExit):
        rig.say(response_done("r1", "cancelled"))
    assert [list(entry) for entry in rig.wait_sent(2)] == [["a"], ["b"]]


def test_options_that_leave_settle_the_round(make_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    rig = make_rig(options=leave)
    ended = Response(id="r1", status="completed")
    rig.begin("c1")
    rig.wait_sent(1)
    for thread in tool_threads():
        thread.join(WAIT_S)
    with pytest.raises(SystemExit):
        rig.runner.follow(ended)
    found = rig.runner.follow(ended)
    assert found is not None
    assert found.settled


def test_inline_calls_after_an_interrupted_one_are_cancelled(rig: Rig, tools: Tools) -> None:
    @tools.toolset.tool(inline=True)
    def interrupted() -> None:
        raise KeyboardInterrupt

    output = [call_item("c1", "interrupted"), call_item("c2", "here"), call_item("c3", "here")]
    with pytest.raises(KeyboardInterrupt):
        rig.say(response_done("r1", output=output))
    told = "the call was cancelled before it ran: the program was interrupted"
    rig.wait_sent(4)
    assert rig.sent[1:] == [{"c2": json.dumps({"error": told})}, {"c3": json.dumps({"error": told})}, CREATE]
    assert tools.threads == []


def test_inline_calls_that_are_found_after_an_interrupt_are_cancelled(
    make_rig: Callable[..., Rig], tools: Tools
) -> None:
    works: list[Callable[[], object]] = []

    def undivided(work: Callable[[], object]) -> None:
        works.append(work)
        raise KeyboardInterrupt

    rig = make_rig(undivided=undivided)
    with pytest.raises(KeyboardInterrupt):
        rig.say(response_done("r1", output=[call_item("c1", "here")]))
    assert rig.sent == []
    works[0]()  # the work goes on beside
    assert failure_of(rig) == "the call was cancelled before it ran: the program was interrupted"
    assert rig.wait_sent(2)[1:] == [CREATE]
    assert tools.threads == []


class Later:
    """What an async function would return."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


class Nobody(list[str]):
    """A hook that is false as a value."""

    def __call__(self, call: Any) -> bool:
        return False


class AsyncHook:
    async def __call__(self, call: Any) -> bool:
        return False


@pytest.mark.parametrize(
    ("decide", "message"),
    [
        (
            lambda call: Later(),
            "TypeError: the decision is not there yet: approve with a plain function, not an async one",
        ),
        (Nobody(), "the call was not approved"),
        (lambda call: (False, None), "the call was not approved"),
        (lambda call: (False, 5), "the call was not approved: 5"),
    ],
)
def test_what_is_not_approved_does_not_run(
    make_rig: Callable[..., Rig], tools: Tools, decide: Callable[[Any], Any], message: str
) -> None:
    rig = make_rig(approve=decide)
    tools.toolset.tool(name="own", approve=decide)(tools.echo)
    rig.begin("c1")
    assert failure_of(rig) == message
    rig.begin("c2", "own")
    assert failure_of(rig, 2) == message
    assert tools.threads == []


def test_a_hook_that_is_false_as_a_value_is_asked(rig: Rig, tools: Tools) -> None:
    tools.toolset.tool(name="own", approve=Nobody())(tools.echo)
    rig.begin("c1", "own")
    assert failure_of(rig) == "the call was not approved"


def test_an_async_object_decides_nothing(make_rig: Callable[..., Rig]) -> None:
    with pytest.raises(ConfigurationError, match="approve is a plain function, not an async one"):
        make_rig(approve=AsyncHook())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Later(), "the request could not be decided"),
        ((False, object), "<class 'object'>"),
        ((False, "half \ud83d"), "half ?"),
    ],
)
def test_a_hosted_tool_is_answered_whatever_the_decision_is(
    make_rig: Callable[..., Rig], given: Any, reason: str
) -> None:
    rig = make_rig(on_mcp_approval=lambda request: given)
    rig.say(item_done(approval("q1")))
    (answer,) = responses_to(rig, 1)
    assert (answer["approve"], answer["reason"]) == (False, reason)
