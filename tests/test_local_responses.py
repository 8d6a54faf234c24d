"""Responses over the wire: their order of events, their ends, their races."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from local_raw import TIMEOUT_S, RawClient, done_of, text_of, tone, types

from realtime_sync._deadline import now
from realtime_sync.local import (
    Failure,
    Gate,
    LocalServer,
    McpApproval,
    McpToolCall,
    Reply,
    Say,
    ToolCall,
    speech,
    tone_speech,
)

TEXT = ["text"]
OPENED = ["response.created", "rate_limits.updated", "response.output_item.added", "conversation.item.added"]
CLOSED = ["conversation.item.done", "response.output_item.done", "response.done"]


def asked(replies: Any, **response: Any) -> list[dict[str, Any]]:
    """The events of one response to one user message."""
    with LocalServer(replies) as server, RawClient(server) as client:
        client.say("hello")
        client.send("response.create", response=response)
        events = client.response()
        assert server.failures == []
        return events


# -------------------------------------------------------------------------------------------------- the order of events


def test_a_text_response() -> None:
    events = asked(["Hi there, friend!"], output_modalities=TEXT)
    assert types(events) == [
        *OPENED,
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        *CLOSED,
    ]
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == ["Hi", " there,", " friend!"]
    created, _, added, in_conversation, part = events[:5]
    assert created["response"]["status"] == "in_progress"
    assert created["response"]["output"] == []
    assert created["response"]["usage"] is None
    assert (added["item"]["status"], added["item"]["content"]) == ("in_progress", [])
    assert in_conversation["item"] == added["item"]
    assert part["part"] == {"type": "text", "text": ""}
    response = done_of(events)
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "Hi there, friend!"}]
    assert response["conversation_id"].startswith("conv_")
    by_type = {event["type"]: event for event in events}
    assert by_type["conversation.item.done"]["item"] == response["output"][0]
    assert by_type["response.output_text.done"]["text"] == "Hi there, friend!"
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_spoken_response() -> None:
    audio = tone(500)
    events = asked([Reply("one two three", audio=audio)])
    assert types(events) == [
        *OPENED,
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        *CLOSED,
    ]
    chunks = [base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"]
    assert b"".join(chunks) == audio
    assert [len(chunk) for chunk in chunks] == [9_600, 9_600, 4_800]
    assert done_of(events)["output"][0]["content"] == [{"type": "output_audio", "transcript": "one two three"}]
    part = next(event["part"] for event in events if event["type"] == "response.content_part.done")
    assert part == {"type": "audio", "transcript": "one two three"}


def test_speech_without_audio_of_its_own_is_spoken_by_the_speaker() -> None:
    spoken: list[str] = []

    def speaker(text: str) -> bytes:
        spoken.append(text)
        return tone(100)

    with LocalServer(["one", Say("two", tone_speech("two"))], speaker=speaker) as server, RawClient(server) as client:
        client.ask("x")
        client.ask("y")
        assert spoken == ["one"]


@pytest.mark.parametrize("ending", ["cancel", "leave"])
@pytest.mark.parametrize("kind", ["audio/pcm", "audio/pcmu"])
def test_speech_is_made_as_it_is_sent(kind: str, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    tone_piece = speech._tone

    def counted(hz: int, length: int, start: int) -> bytes:
        made.append(tone_piece(hz, length, start))
        return made[-1]

    monkeypatch.setattr(speech, "_tone", counted)
    gate = Gate("response.output_audio.delta", nth=5)
    with LocalServer([Reply("x" * 1_000_000, gates=[gate])]) as server:
        with RawClient(server) as client:
            client.send("response.create", response={"audio": {"output": {"format": {"type": kind}}}})
            gate.wait_reached(TIMEOUT_S)
            assert 5 <= len(made) <= 6, "of three thousand; the filter of another rate looks ahead"
            if ending == "cancel":
                client.send("response.cancel")
                assert done_of(client.response())["status"] == "cancelled"
        server.stop()
        assert len(made) <= 6, "all threads have ended"


@pytest.mark.parametrize(("kind", "size"), [("audio/pcmu", 8), ("audio/pcma", 8), ("audio/pcm", 48)])
def test_speech_comes_in_the_format_of_the_session(kind: str, size: int) -> None:
    events = asked([Reply("x", audio=tone(400))], audio={"output": {"format": {"type": kind}}})
    chunks = [base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta"]
    assert [len(chunk) for chunk in chunks] == [200 * size] * 2


def test_several_function_calls_in_one_response() -> None:
    calls = [ToolCall("get_weather", {"city": "Paris", "unit": "celsius"}), ToolCall("get_time", call_id="call_mine")]
    events = asked([Reply("Let me see.", calls)], output_modalities=TEXT)
    call = [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert types(events)[-14:] == ["response.output_item.done", *call, *call, *CLOSED[2:]]
    done = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert [event["name"] for event in done] == ["get_weather", "get_time"]
    assert [json.loads(event["arguments"]) for event in done] == [{"city": "Paris", "unit": "celsius"}, {}]
    assert done[1]["call_id"] == "call_mine"
    for event in done:
        pieces = [e["delta"] for e in events if e.get("item_id") == event["item_id"] and e["type"].endswith("delta")]
        assert "".join(pieces) == event["arguments"]
    assert [item["type"] for item in done_of(events)["output"]] == ["message", "function_call", "function_call"]
    assert [e["output_index"] for e in events if e["type"] == "response.output_item.added"] == [0, 1, 2]


def test_items_of_a_response_form_a_chain() -> None:
    events = asked([["one", ToolCall("f"), "two"]], output_modalities=TEXT)
    added = [event for event in events if event["type"] == "conversation.item.added"]
    ids = [event["item"]["id"] for event in added]
    assert [event["previous_item_id"] for event in added][1:] == ids[:-1]


def test_a_response_may_be_empty() -> None:
    events = asked([None])
    assert types(events) == ["response.created", "rate_limits.updated", "response.done"]
    assert done_of(events)["output"] == []


def test_an_iterator_streams_its_pieces() -> None:
    def stream() -> Iterator[Any]:
        yield "Let me "
        yield "look."
        yield ToolCall("look", {"at": "it"})
        yield "Done."

    events = asked(lambda turn: stream(), output_modalities=TEXT)
    items = done_of(events)["output"]
    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    assert [text_of({"output": [item]}) for item in items] == ["Let me look.", "", "Done."]
    events = asked(lambda turn: stream())
    assert done_of(events)["output"][0]["content"] == [{"type": "output_audio", "transcript": "Let me look."}]


def test_mcp_calls_and_approvals() -> None:
    outputs = [
        McpToolCall("files", "read", {"path": "/x"}, output="content"),
        McpToolCall("files", "write", error="read-only"),
        McpApproval("files", "delete", {"path": "/x"}),
    ]
    events = asked([outputs], output_modalities=TEXT)
    names = types(events)
    assert names[4:8] == [
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
    ]
    assert "response.mcp_call.failed" in names
    padded = {len(e["delta"] + e["obfuscation"]) for e in events if e["type"] == "response.mcp_call_arguments.delta"}
    assert len(padded) == 1
    read, write, approval = done_of(events)["output"]
    assert (read["output"], read["error"]) == ("content", None)
    assert write["error"] == {"type": "tool_execution_error", "message": "read-only"}
    assert (approval["type"], json.loads(approval["arguments"])) == ("mcp_approval_request", {"path": "/x"})


def test_mcp_tools_are_listed_when_a_server_is_named() -> None:
    tools = {"files": [{"name": "read", "description": "reads"}]}
    with LocalServer(mcp_tools=tools) as server, RawClient(server) as client:
        mcp = [{"type": "mcp", "server_label": label, "server_url": "https://x.test"} for label in ("files", "other")]
        client.update(tools=mcp)
        added = client.expect("conversation.item.added")
        assert added["item"]["tools"] == []
        client.expect("mcp_list_tools.in_progress", "mcp_list_tools.completed")
        done = client.expect("conversation.item.done")
        assert (done["item"]["id"], done["item"]["tools"][0]["name"]) == (added["item"]["id"], "read")
        client.expect("conversation.item.added", "mcp_list_tools.in_progress", "mcp_list_tools.failed")
        client.update(instructions="the same tools are not listed again")
        assert client.ask("x")["status"] == "completed"


# ------------------------------------------------------------------------------------------------------- how they end


def test_failed() -> None:
    reply = Reply("This will", failure=Failure("Overloaded.", code="server_overloaded"))
    response = done_of(asked([reply], output_modalities=TEXT))
    assert response["status"] == "failed"
    error = {"type": "server_error", "code": "server_overloaded", "message": "Overloaded."}
    assert response["status_details"] == {"type": "failed", "error": error}
    assert text_of(response) == "This will"


def test_incomplete_for_a_reason() -> None:
    response = done_of(asked([Reply("Well,", incomplete="content_filter")], output_modalities=TEXT))
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "content_filter"}


@pytest.mark.parametrize("modality", ["text", "audio"])
def test_the_token_limit_cuts(modality: str) -> None:
    events = asked(["one two three four five six"], output_modalities=[modality], max_output_tokens=3)
    response = done_of(events)
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert text_of(response).split()[:1] == ["one"]
    assert text_of(response) != "one two three four five six"
    assert 1 <= response["usage"]["output_tokens"] <= 3


def test_a_script_that_is_over_fails_the_response() -> None:
    with LocalServer([]) as server, RawClient(server) as client:
        assert client.ask("hello")["status_details"]["error"]["code"] == "script_exhausted"
        assert ["no reply left" in str(failure) for failure in server.failures] == [True]


def test_cancel_closes_what_is_open_and_keeps_what_was_said() -> None:
    gate = Gate("response.output_text.delta", nth=3)
    with LocalServer([Reply("one two three four", gates=[gate])]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.say("hello")
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.send("response.cancel")
        events = client.response()
        assert types(events)[-5:] == ["response.output_text.done", "response.content_part.done", *CLOSED]
        response = done_of(events)
        assert response["status"] == "cancelled"
        assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        assert text_of(response) == "one two"
        assert response["output"][0]["status"] == "incomplete"
        assert response["usage"]["output_tokens"] == 2
        gate.open()
        client.send("response.cancel")
        error = client.error()
        assert (error["code"], error["message"]) == (
            "response_cancel_not_active",
            "Cancellation failed: no active response found",
        )


def test_cancel_before_anything_was_said() -> None:
    gate = Gate("response.output_item.added")
    with LocalServer([Reply("one", gates=[gate]), "two"]) as server, RawClient(server) as client:
        client.send("response.create")
        client.expect("response.created")
        client.send("response.cancel")
        done = client.expect("rate_limits.updated", "response.done")["response"]
        assert (done["status"], done["output"]) == ("cancelled", [])
        assert text_of(client.ask("again")) == "two"


def test_cancel_names_a_response() -> None:
    gate = Gate("response.done")
    with LocalServer([Reply("one", gates=[gate])]) as server, RawClient(server) as client:
        client.send("response.create")
        response_id = client.until("response.created")[-1]["response"]["id"]
        gate.wait_reached(TIMEOUT_S)
        client.send("response.cancel", response_id="resp_other")
        assert client.until("error")[-1]["error"]["code"] == "response_cancel_not_active"
        client.send("response.cancel", response_id=response_id)
        assert done_of(client.response())["status"] == "cancelled"


@pytest.mark.parametrize(("late", "said"), [(2, "one two three"), (9, "one two three four")])
def test_late_deltas_come_after_the_cancel(late: int, said: str) -> None:
    gate = Gate("response.output_text.delta", nth=2)
    reply = Reply("one two three four", gates=[gate], late_deltas=late)
    with LocalServer([reply]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.send("response.cancel")
        assert text_of(done_of(client.response())) == said


def test_cancel_races_with_the_end() -> None:
    """Whoever is first, there is exactly one response.done, and an error only after it."""
    with LocalServer(lambda turn: "x") as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        for _ in range(30):
            client.send("response.create")
            client.send("response.cancel")
            client.send("input_audio_buffer.clear")
            events = client.until("input_audio_buffer.cleared")
            if "response.done" not in types(events):
                events += client.response()
            ends = [event for event in events if event["type"] == "response.done"]
            refused = [event for event in events if event["type"] == "error"]
            assert len(ends) == 1
            assert (ends[0]["response"]["status"] == "completed") == bool(refused)


# --------------------------------------------------------------------------------------------- one at a time, or beside


def test_only_one_response_writes_to_the_conversation() -> None:
    gate = Gate("response.done")
    with LocalServer([Reply("one", gates=[gate]), "two"]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.send("response.create")
        active = client.until("response.created")[-1]["response"]["id"]
        gate.wait_reached(TIMEOUT_S)
        event_id = client.send("response.create")
        error = client.until("error")[-1]["error"]
        assert error["code"] == "conversation_already_has_active_response"
        assert active in error["message"]
        assert error["event_id"] == event_id
        gate.open()
        assert text_of(done_of(client.response())) == "one"
        client.send("response.create")
        assert text_of(done_of(client.response())) == "two"


def test_out_of_band_responses_run_beside_and_leave_no_trace() -> None:
    gate = Gate("response.done")
    with LocalServer([Reply("main", gates=[gate]), "side one", "side two"]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.say("hello")
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.until("conversation.item.done")
        client.expect("response.output_item.done")
        for topic in ("first", "second"):
            client.send("response.create", response={"conversation": "none", "metadata": {"topic": topic}})
            events = client.response()
            assert "conversation.item.added" not in types(events)
            response = done_of(events)
            assert response["conversation_id"] is None
            assert response["metadata"] == {"topic": topic}
            item_id = response["output"][0]["id"]
            client.send("conversation.item.retrieve", item_id=item_id)
            assert client.error()["code"] == "item_retrieve_invalid_item_id"
        gate.open()
        assert text_of(done_of(client.response())) == "main"


def test_many_responses_at_once_stay_apart() -> None:
    barrier = threading.Barrier(9)

    def reply(turn: Any) -> str:
        barrier.wait(TIMEOUT_S)
        return f"about {turn.response['metadata']['topic']}"

    with LocalServer(reply) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        for number in range(8):
            client.send("response.create", response={"conversation": "none", "metadata": {"topic": str(number)}})
        barrier.wait(TIMEOUT_S)
        events: list[dict[str, Any]] = []
        while sum(event["type"] == "response.done" for event in events) < 8:
            events.append(client.recv())
        done = [event["response"] for event in events if event["type"] == "response.done"]
        for response in done:
            assert text_of(response) == f"about {response['metadata']['topic']}"
            deltas = [e["delta"] for e in events if e.get("response_id") == response["id"] and "delta" in e]
            assert "".join(deltas) == text_of(response)
        assert len({response["id"] for response in done}) == 8


def test_responses_at_once_are_bounded() -> None:
    aside = {"conversation": "none", "output_modalities": TEXT}
    gate = threading.Event()
    with LocalServer(lambda turn: gate.wait(TIMEOUT_S) and "x") as server, RawClient(server) as client:
        for _ in range(64):
            client.send("response.create", response=aside)
            client.expect("response.created", "rate_limits.updated")
        client.send("response.create", response=aside)
        assert client.error()["code"] == "rate_limit_exceeded"
        gate.set()
        for _ in range(64):
            client.response()
        client.send("response.create", response=aside)
        assert done_of(client.response())["status"] == "completed"


def test_own_input_takes_the_place_of_the_conversation() -> None:
    with LocalServer(lambda turn: f"{len(turn.items)}: {turn.text}") as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        first = client.say("in the conversation")
        client.say("not this one")
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "given"}]}
        for items, said in (
            ([message], "1: given"),
            ([{"type": "item_reference", "id": first["id"]}], "1: in the conversation"),
            ([], "0: "),
        ):
            client.send("response.create", response={"conversation": "none", "input": items})
            assert text_of(done_of(client.response())) == said
        client.send("response.create", response={"input": [{"type": "item_reference", "id": "nothing"}]})
        assert client.error()["param"] == "response.input[0].id"


def test_tool_outputs_before_the_end_of_their_response() -> None:
    """The race of every tool loop: the output is welcome at once, a new response is not."""
    gate = Gate("response.done")
    with LocalServer([Reply(tool_calls=[ToolCall("f")], gates=[gate]), "done"]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.send("response.create")
        call_id = client.until("response.function_call_arguments.done")[-1]["call_id"]
        client.until("response.output_item.done")
        gate.wait_reached(TIMEOUT_S)
        client.add({"type": "function_call_output", "call_id": call_id, "output": "42"})
        client.send("response.create")
        assert client.error()["code"] == "conversation_already_has_active_response"
        gate.open()
        client.response()
        client.send("response.create")
        assert text_of(done_of(client.response())) == "done"


def test_an_item_deleted_while_it_is_made_does_not_come_back() -> None:
    gate = Gate("response.output_text.done")
    with LocalServer([Reply("one", gates=[gate])]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.send("response.create")
        item_id = client.until("conversation.item.added")[-1]["item"]["id"]
        client.until("response.output_text.delta")
        gate.wait_reached(TIMEOUT_S)
        client.send("conversation.item.delete", item_id=item_id)
        client.expect("conversation.item.deleted")
        gate.open()
        events = client.response()
        assert "conversation.item.done" not in types(events)
        assert done_of(events)["output"][0]["id"] == item_id


# ------------------------------------------------------------------------------------------------------------ timing


def test_delays_can_be_scripted_and_are_cut_short_by_a_cancel() -> None:
    with (
        LocalServer([Reply("one", delay_s=600), Reply("a b", chunk_delay_s=600)]) as server,
        RawClient(server) as client,
    ):
        for _ in range(2):
            client.send("response.create")
            client.until("response.created")
            client.send("response.cancel")
            assert done_of(client.response())["status"] == "cancelled"


def test_speech_can_be_paced() -> None:
    with LocalServer([Reply("one", audio=tone(800))], speed=10) as server, RawClient(server) as client:
        begun = now()
        client.send("response.create")
        assert done_of(client.response())["status"] == "completed"
        assert now() - begun >= 0.08


# ------------------------------------------------------------------------------------------------------------- usage


def test_usage_adds_up_and_the_context_is_cached() -> None:
    words = " ".join(f"word{number}" for number in range(200))
    with LocalServer([words, "short"]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        first = client.ask(words)["usage"]
        second = client.ask("more")["usage"]
        for usage in (first, second):
            inputs, outputs = usage["input_token_details"], usage["output_token_details"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            assert usage["input_tokens"] == sum(inputs[f"{kind}_tokens"] for kind in ("text", "audio", "image"))
            assert usage["output_tokens"] == outputs["text_tokens"] + outputs["audio_tokens"]
            cached = inputs["cached_tokens_details"]
            assert inputs["cached_tokens"] == sum(cached.values())
            assert all(cached[f"{kind}_tokens"] <= inputs[f"{kind}_tokens"] for kind in ("text", "audio", "image"))
        assert first["output_tokens"] == 200
        assert first["input_token_details"]["cached_tokens"] == 0
        assert second["input_token_details"]["cached_tokens"] >= 192
        assert second["input_tokens"] == first["input_tokens"] + 200 + 1


def test_speech_counts_by_its_length() -> None:
    usage = done_of(asked([Reply("one two", audio=tone(1_000))]))["usage"]
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 20}


def test_rate_limits_go_down() -> None:
    with LocalServer(lambda turn: "x") as server, RawClient(server) as client:
        left = []
        for _ in range(2):
            client.send("response.create")
            limits = {limit["name"]: limit for limit in client.response()[1]["rate_limits"]}
            left.append((limits["requests"]["remaining"], limits["tokens"]["remaining"]))
            assert limits["tokens"]["remaining"] < limits["tokens"]["limit"]
        assert left[1] < left[0]


def test_rate_limits_come_at_the_beginning_and_can_be_scripted() -> None:
    low = [{"name": "requests", "limit": 10, "remaining": 0, "reset_seconds": 6.5}]
    script = [Reply("known at once", rate_limits=low), lambda turn: Reply("later", rate_limits=low), "counted"]
    with LocalServer(script) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        told = []
        for _ in script:
            client.send("response.create")
            events = client.response()
            told.append([event["rate_limits"] for event in events if event["type"] == "rate_limits.updated"])
            assert events[1]["type"] == "rate_limits.updated"
        assert told[0] == [low]
        assert told[1][1] == low
        assert [limit["name"] for limit in told[2][0]] == ["requests", "tokens"]


def test_a_gate_before_a_response_holds_nothing_else() -> None:
    gate = Gate("response.created")
    with LocalServer(["one", "two"], gates=[gate]) as server, RawClient(server) as client:
        client.update(output_modalities=TEXT)
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.say("the conversation goes on")
        client.send("response.create")
        assert client.error()["code"] == "conversation_already_has_active_response"
        gate.open()
        assert types(client.response())[0] == "response.created"


def test_a_response_that_is_cancelled_behind_its_gate_was_created() -> None:
    gate = Gate("response.created")
    with LocalServer(["one", "two"], gates=[gate]) as server, RawClient(server) as client:
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.send("response.cancel")
        done = client.expect("response.created", "rate_limits.updated", "response.done")["response"]
        assert done["status"] == "cancelled"
        gate.open()
        assert text_of(client.ask("again")) == "two"
