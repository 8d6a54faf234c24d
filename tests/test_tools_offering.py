"""What the server is told of tools, whoever adds them and whatever stands in the configuration already."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from typing import Any

import pytest
from fakes import FakeSession, response_done

import realtime_sync as rt
from realtime_sync._deadline import Deadline
from realtime_sync.events import FunctionTool, McpApprovalRequest, McpTool
from realtime_sync.local import LocalServer, McpApproval, Reply, ToolCall, Turn
from realtime_sync.tools import ToolContext, Toolset

WAIT_S = 20.0
MCP = {"type": "mcp", "server_label": "files", "server_url": "https://files.test", "authorization": "Bearer t"}


def first(value: int) -> int:
    """The first."""
    return value


def second(value: int) -> int:
    """The second."""
    return value


def third(value: int) -> int:
    """The third."""
    return value


def names(update: dict[str, Any]) -> list[str]:
    return sorted(tool.get("name") or tool["server_label"] for tool in update["session"]["tools"])


def told(fake: FakeSession) -> list[list[str]]:
    return [names(text) for text in list(fake.wire.texts) if "tools" in text.get("session", {})]


def test_a_tool_of_the_session_stands_beside_hosted_ones_and_a_toolset() -> None:
    tools = Toolset(first)
    with (
        LocalServer(mcp_tools={"files": []}) as server,
        rt.connect("m", base_url=server.base_url, session={"tools": [MCP]}, tools=tools) as session,
    ):
        session.tool(second)
        tools.tool(third)  # late: a session uses the toolset already
        session.tool(name="fourth")(first)
        last = session.update_session({"instructions": "x"})
        last.result(WAIT_S)
        assert isinstance(session.config, rt.events.RealtimeSessionConfig)
        shown = [object_name(tool) for tool in session.config.tools or ()]
        assert sorted(shown) == ["files", "first", "fourth", "second", "third"]
        updates = [event for event in server.received if "tools" in event.get("session", {})]
        # What the server hides in its reports is sent again as it was.
        assert all(MCP in update["session"]["tools"] for update in updates)
        assert [tool.name for tool in tools] == ["first", "third"]


def object_name(tool: Any) -> str:
    return str(tool.server_label if isinstance(tool, McpTool) else tool.name)


def test_what_was_sent_counts_before_the_server_confirms_it() -> None:
    with FakeSession() as fake:
        fake.session.update_session({"tools": [MCP]})
        fake.session.tool(first)
        fake.session.send({"type": "session.update", "session": {"type": "realtime", "tools": [MCP, *by_hand("own")]}})
        assert told(fake) == [["files"], ["files", "first"], ["files", "own"]]
        fake.session.tool(second)
        assert told(fake)[-1] == ["files", "first", "own", "second"]


def by_hand(*given: str) -> list[dict[str, Any]]:
    return [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in given]


@pytest.mark.parametrize("reports", [True, False])
def test_what_was_refused_does_not_count(reports: bool) -> None:
    with FakeSession() as fake:
        known = {"type": "realtime", "id": "sess_1", **({"tools": [{**MCP, "authorization": None}]} if reports else {})}
        fake.wire.say({"type": "session.updated", "session": known})
        fake.session.wait_for("session.updated")
        refused = fake.session.update_session({"tools": by_hand("wrong")})
        detail = {"type": "invalid_request_error", "message": "no", "event_id": refused.event_id}
        fake.wire.say({"type": "error", "error": detail})
        with pytest.raises(rt.ServerError):
            refused.result(WAIT_S)
        fake.session.tool(first)
        assert told(fake)[-1] == (["files", "first"] if reports else ["first"])


def test_another_toolset_replaces_the_one_in_use_and_nothing_else() -> None:
    with FakeSession() as fake:
        fake.session.update_session({"tools": [MCP, *by_hand("own")]})
        fake.session.use_tools(Toolset(first))
        fake.session.tool(third)
        runner = fake.session.use_tools(Toolset(second))
        assert told(fake)[-1] == ["files", "own", "second", "third"]
        runner.announce(McpTool(server_label="mail"), McpTool(server_label="files"))
        assert told(fake)[-1] == ["files", "mail", "own", "second", "third"]
        # A name that was run once may be somebody's again.
        fake.session.update_session({"tools": by_hand("first")})
        runner.announce()
        assert told(fake)[-1] == ["first", "second", "third"]


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"max_rouns": 3}])
def test_impossible_options_change_nothing(wrong: dict[str, Any]) -> None:
    with FakeSession() as fake:
        fake.session.use_tools(Toolset(first))
        with pytest.raises((rt.ConfigurationError, TypeError)):
            fake.session.use_tools(Toolset(second), **wrong)
        fake.session.tool(third)
        assert told(fake) == [["first"], ["first", "third"]]
        call = {"type": "function_call", "id": "i1", "call_id": "c1", "name": "first", "arguments": '{"value": 7}'}
        fake.wire.say(response_done("r1", output=[call]), {"type": "test.end"})
        fake.session.wait_for("test.end", timeout=WAIT_S)
        fake.wire.wait_sent(4)
        assert fake.wire.texts[2]["item"]["output"] == "7"


def test_a_late_tool_is_announced_where_the_tools_are() -> None:
    tools = Toolset()
    with FakeSession() as announced, FakeSession() as quiet, FakeSession() as closed:
        announced.session.use_tools(tools)
        quiet.session.use_tools(tools, announce=False)
        closed.session.use_tools(tools)
        closed.session.close()
        tools.tool(first)
        tools.add("raw", None, {"type": "object"}, lambda arguments: None)
        assert told(announced) == [[], ["first"], ["first", "raw"]]
        assert told(quiet) == []
        assert told(closed) == [[]]
        quiet.session.tool(second)  # this one is to be announced, whatever was said of the others
        assert told(quiet) == [["first", "raw", "second"]]
        replaced = announced.session.use_tools(Toolset(third))
        tools.tool(second)
        assert told(announced)[-1] == ["third"]
        assert replaced.announces


def test_all_sessions_hear_of_a_late_tool_although_one_cannot_be_told() -> None:
    tools = Toolset()
    with FakeSession() as broken, FakeSession() as sound:
        broken.session.use_tools(tools)
        sound.session.use_tools(tools)
        broken.wire.send_fault = rt.RealtimeTimeout("too slow")
        with pytest.raises(rt.RealtimeTimeout):
            tools.tool(first)
        broken.wire.send_fault = None
        assert told(sound)[-1] == ["first"]
        assert "first" in tools


def test_a_toolset_keeps_no_session_alive() -> None:
    tools = Toolset(first)
    with FakeSession() as fake:
        session = fake.session
        session.use_tools(tools)
    seen = weakref.ref(session)
    del fake, session
    deadline = Deadline(WAIT_S)
    while seen() is not None and not deadline.expired:  # a thread of before may hold it for a moment
        gc.collect()
    assert seen() is None
    tools.tool(second)


def test_names_are_taken_across_toolsets() -> None:
    tools = Toolset(first)
    both = Toolset(tools, second)
    assert [spec.name for spec in both] == ["second", "first"]
    assert (len(both), "first" in both, "third" in both, repr(both)) == (2, True, False, "<Toolset: second, first>")
    with pytest.raises(rt.ConfigurationError, match="'first' already"):
        both.tool(first)
    with pytest.raises(rt.ConfigurationError, match="'first' already"):
        Toolset(first, tools)
    tools.tool(name="second")(third)  # hidden there by the one that was first
    assert both.get("second").function is second  # type: ignore[union-attr]
    assert len(both) == 2
    with FakeSession() as fake:
        fake.session.use_tools(tools)
        with pytest.raises(rt.ConfigurationError, match="'first' already"):
            fake.session.tool(first)
        fake.session.tool(third)
        with pytest.raises(rt.ConfigurationError, match="'third' already"):
            fake.session.use_tools(Toolset(third))


@pytest.mark.parametrize("where", ["session", "toolset", "add"])
def test_a_cell_that_is_run_again_puts_its_tool_in_the_place_of_the_earlier_one(where: str) -> None:
    calls = [ToolCall("get_weather", {name: "Paris"}, call_id=name) for name in ("city", "town")]
    tools = Toolset()

    def offer(function: Any, name: str, **how: bool) -> None:
        if where == "add":
            schema = {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}
            tools.add("get_weather", None, schema, lambda arguments: function(**arguments), **how)
        else:
            (session if where == "session" else tools).tool(**how)(function)

    with (
        LocalServer([calls[0], "Rain.", calls[1], "Sun."]) as server,
        rt.connect("m", base_url=server.base_url, tools=tools) as session,
    ):

        def get_weather(city: str) -> str:
            return f"rain in {city}"

        offer(get_weather, "city", replace=True)  # there is none yet
        assert str(session.ask("Weather?")) == "Rain."

        def get_weather(town: str) -> str:  # type: ignore[misc,no-redef]
            return f"sun in {town}"

        with pytest.raises(rt.ConfigurationError, match=r"'get_weather' already; tool\(\.\.\., replace=True\) puts"):
            offer(get_weather, "town")
        offer(get_weather, "town", replace=True)
        assert str(session.ask("And now?")) == "Sun."
        updates = [event["session"]["tools"] for event in server.received if event["type"] == "session.update"]
        assert [list(tool["parameters"]["properties"]) for tool in updates[-1]] == [["town"]]
        outputs = [event["item"].get("output") for event in server.received if "item" in event]
        assert [output for output in outputs if output] == ["rain in Paris", "sun in Paris"]


def test_replacing_reaches_where_the_tool_stands() -> None:
    tools = Toolset(first)
    both = Toolset(tools, second)
    both.tool(third, name="first", replace=True)  # stands before that of its part
    assert both.get("first").function is third  # type: ignore[union-attr]
    assert tools.get("first").function is first  # type: ignore[union-attr]
    assert len(both) == 2
    with FakeSession() as fake:
        fake.session.use_tools(tools)
        with pytest.raises(rt.ConfigurationError, match="in the toolset in use: replace it there"):
            fake.session.tool(name="first", replace=True)(third)
        tools.tool(name="first", replace=True)(third)
        assert fake.session.use_tools(tools).toolset.get("first").function is third  # type: ignore[union-attr]


def test_a_list_that_drops_the_tools_that_run_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with FakeSession() as fake:
        fake.session.use_tools(Toolset(first, second))
        fake.session.update_session({"tools": []})  # on purpose
        fake.session.use_tools(Toolset(first, second))
        definitions = Toolset(first, second).definitions
        fake.session.update_session({"tools": [*definitions, FunctionTool(name="more")]})
        fake.session.update_session({"instructions": "nothing of tools"})
        assert caplog.records == []
        fake.session.update_session({"tools": [MCP]})
        fake.session.update_session({"tools": [MCP]})
        fake.session.use_tools(Toolset(first))
        fake.session.update_session({"tools": [MCP]})
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "first, second" in warning
    assert "announce(" in warning


@pytest.mark.parametrize("given", ["tool", "use_tools", "toolset"])
def test_tools_may_be_given_from_many_threads(given: str) -> None:
    """The last list that leaves has them all; nothing is lost, and one runner answers."""
    count = 24
    with FakeSession() as fake:
        shared = Toolset()
        if given == "toolset":
            fake.session.use_tools(shared)
        barrier = threading.Barrier(count)
        failures: list[BaseException] = []

        def offer(number: int) -> None:
            try:
                barrier.wait(WAIT_S)
                if given == "use_tools" and number % 2:
                    fake.session.use_tools(Toolset(first))
                elif given == "toolset":
                    shared.tool(name=f"t{number:02}")(first)
                else:
                    fake.session.tool(name=f"t{number:02}")(first)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=offer, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert failures == []
        wanted = [f"t{number:02}" for number in range(count) if given != "use_tools" or number % 2 == 0]
        assert told(fake)[-1] == (["first", *wanted] if given == "use_tools" else wanted)
        call = {"type": "function_call", "id": "i1", "call_id": "c1", "name": wanted[0], "arguments": '{"value": 7}'}
        fake.wire.say(response_done("r1", output=[call]), {"type": "test.end"})
        fake.session.wait_for("test.end", timeout=WAIT_S)
        before = len(told(fake))
        fake.wire.wait_sent(before + 2)  # one output and one create, by whichever runner is left
        assert [text["type"] for text in fake.wire.texts[before:]] == ["conversation.item.create", "response.create"]


def test_arguments_that_a_server_sent_as_an_object_reach_the_tool() -> None:
    seen: list[Any] = []

    def look(city: str, days: int, context: ToolContext) -> str:
        """Look."""
        seen.append((city, days, context.call.args))
        return "seen"

    item = {"type": "function_call", "id": "i1", "name": "look", "arguments": {"city": "Paris", "days": 2}}
    with FakeSession() as fake:
        fake.session.use_tools(Toolset(look), announce=False)
        turn = fake.session.respond("Look!", timeout=WAIT_S)
        done = {**item, "type": "response.function_call_arguments.done", "item_id": "i1", "response_id": "r1"}
        del done["id"]
        created = {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}
        fake.wire.say(created, {**done, "call_id": "c1", "output_index": 0})
        fake.wire.say(
            {"type": "response.output_item.done", "response_id": "r1", "item": {**item, "call_id": "c2"}},
            response_done("r1", output=[{**item, "call_id": "c1"}, {**item, "call_id": "c2"}]),
            {"type": "test.end"},
        )
        fake.session.wait_for("test.end", timeout=WAIT_S)
        fake.wire.wait_sent(5)  # the message, the create, two outputs and the create that follows
        assert [text.get("item", {}).get("output") for text in fake.wire.texts[2:4]] == ["seen", "seen"]
        assert [call.extra["arguments"] for call in turn.reply.tool_calls] == [item["arguments"]] * 2
        turn.leave()
    assert seen == [("Paris", 2, {"city": "Paris", "days": 2})] * 2


def test_an_approval_that_nobody_decides_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def reply(turn: Turn) -> Reply:
        return Reply(tool_calls=[McpApproval("files", "delete", {"path": "/x"})])

    with LocalServer(reply) as server, rt.connect("m", base_url=server.base_url) as session:
        first_reply, second_reply = session.ask("Delete!"), session.ask("Delete it!")
        assert [type(request) for request in first_reply.approvals] == [McpApprovalRequest]
        assert (first_reply.approvals[0].name, len(second_reply.approvals)) == ("delete", 1)
        assert "approvals=['delete']" in repr(first_reply)
        assert session.respond("x").reply.approvals == []
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "on_mcp_approval" in warning
    assert "delete of files" in warning


def test_an_approval_that_is_decided_needs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    replies = [Reply(tool_calls=[McpApproval("files", "delete", {"path": "/x"})]), "Done."]
    with LocalServer(replies) as server, rt.connect("m", base_url=server.base_url) as session:
        session.use_tools(Toolset(), on_mcp_approval=lambda request: True)
        assert session.ask("Delete!").transcript == "Done."
    assert caplog.records == []


class Cart:
    """A class with tools of its own."""

    def __init__(self) -> None:
        self.goods: list[str] = []

    def put(self, name: str, count: int = 1) -> int:
        """Put something into the cart."""
        self.goods += [name] * count
        return len(self.goods)


def test_methods_and_ready_schemas_in_a_talk() -> None:
    def reply(turn: Turn) -> Any:
        if turn.tool_outputs:
            return " and ".join(str(output["output"]) for output in turn.tool_outputs)
        return Reply(tool_calls=[ToolCall("put", {"name": "tea", "count": 2}), ToolCall("look-up", {"key": "a"})])

    cart = Cart()
    tools = Toolset(cart.put)
    schema = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    tools.add("look-up", "Look something up.", schema, lambda arguments: {"found": arguments["key"]})
    config = {"output_modalities": ["text"]}
    with LocalServer(reply) as server, rt.connect("m", base_url=server.base_url, session=config, tools=tools) as talk:
        assert sorted(talk.ask("Tea!").text.split(" and ")) == ["2", '{"found": "a"}'], "they run at the same time"
    assert cart.goods == ["tea", "tea"]
