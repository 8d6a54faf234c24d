"""Our client against a Realtime server that we did not write: npm's @copilotkit/aimock."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import realtime_sync as rt

pytestmark = pytest.mark.aimock

TRANSCRIPT = "What is the weather in Paris right now?"
FIXTURES: list[dict[str, Any]] = [
    {
        "match": {"userMessage": "weather in Paris", "hasToolResult": False},
        "response": {"toolCalls": [{"id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}]},
    },
    {"match": {"userMessage": "weather in Paris", "hasToolResult": True}, "response": {"content": "21 degrees."}},
    {"match": {"endpoint": "realtime-transcription"}, "response": {"transcription": {"text": TRANSCRIPT}}},
    {
        "match": {"userMessage": "cut me off"},
        "response": {"content": "This sentence is never finished, whatever happens."},
        "chunkSize": 5,
        "truncateAfterChunks": 3,
    },
    {
        "match": {"userMessage": "both", "hasToolResult": False},
        "response": {"content": "Let me look.", "toolCalls": [{"name": "weather", "arguments": {"city": "Rome"}}]},
    },
    {"match": {"userMessage": "both", "hasToolResult": True}, "response": {"content": "Fine in Rome."}},
    {"match": {"userMessage": "smile"}, "response": {"content": "So \U0001f600 glad"}, "chunkSize": 1},
    {"match": {"userMessage": "slowly"}, "response": {"content": "One two three."}, "chunkSize": 2, "latency": 20},
    {"match": {"userMessage": "hello"}, "response": {"content": "Hello! How can I help you today?"}, "chunkSize": 4},
    {
        "match": {"userMessage": "fail"},
        "response": {"error": {"message": "overloaded", "type": "server_error", "code": "overloaded"}, "status": 529},
    },
]


@pytest.fixture(scope="module")
def base_url(aimock_command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    yield from serve(aimock_command, fixtures)


def serve(command: list[str], fixtures: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, "-p", str(port), "-h", "127.0.0.1", "-f", str(fixtures), "--log-level", "warn"]
    )
    try:
        limit = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "aimock has ended"
                assert time.monotonic() < limit, "aimock does not listen"
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def connect(base_url: str, **more: Any) -> rt.RealtimeSession:
    return rt.connect("gpt-realtime", base_url=base_url, api_key="test", proxy=None, **more)


def test_a_text_turn_streams_and_the_next_one_follows(base_url: str) -> None:
    with connect(base_url, session={"output_modalities": ["text"]}) as session:
        turn = session.respond("hello")
        pieces = list(turn.text())
        assert "".join(pieces) == turn.reply.text == "Hello! How can I help you today?"
        assert len(pieces) > 3
        assert turn.reply.status == "completed"
        assert session.ask("hello again").text.startswith("Hello!")


def test_every_event_of_it_is_typed(base_url: str) -> None:
    with connect(base_url) as session:
        events: list[rt.events.ServerEvent] = []
        session.on("*", events.append)
        session.ask("hello")
    assert len(events) > 10
    assert not [event for event in events if isinstance(event, (rt.events.UnknownEvent, rt.events.MalformedEvent))]


def test_a_tool_turn(base_url: str) -> None:
    with connect(base_url) as session:
        reply = session.ask("What is the weather in Paris?")
        (call,) = reply.tool_calls
        assert (call.name, json.loads(call.arguments), call.call_id) == ("weather", {"city": "Paris"}, "call_1")
        assert call.call_id is not None
        session.submit_function_output(call.call_id, {"degrees": 21}).result()
        assert session.ask().text == "21 degrees."


@pytest.mark.parametrize("background", [False, True])
def test_the_tool_loop_runs_by_itself(base_url: str, background: bool) -> None:
    asked: list[str] = []
    with connect(base_url) as session:
        if background:
            session.start()

        @session.tool
        def weather(city: str) -> dict[str, Any]:
            """The weather in a city."""
            asked.append(city)
            return {"degrees": 21}

        turn = session.respond("What is the weather in Paris?")
        assert "".join(turn.text()) == "21 degrees."
        assert asked == ["Paris"]
        assert len(turn.replies) == 2
        assert "result:" in str(session.conversation)


def test_text_and_a_tool_call_in_one_response(base_url: str) -> None:
    with connect(base_url) as session:

        @session.tool
        def weather(city: str) -> str:
            """The weather in a city."""
            return f"fine in {city}"

        turn = session.respond("both")
        assert turn.result().text == "Fine in Rome."
        assert [reply.text for reply in turn.replies] == ["Let me look.", "Fine in Rome."]


def test_text_that_is_cut_in_the_middle_of_a_character(base_url: str) -> None:
    """It cuts by code units, so that each half of an emoji comes in an event of its own."""
    with connect(base_url) as session:
        malformed: list[rt.events.ServerEvent] = []
        session.on(rt.events.MalformedEvent, malformed.append)
        turn = session.respond("smile")
        assert "".join(turn.text()) == "So \ufffd\ufffd glad"
        assert turn.reply.text == "So \U0001f600 glad"
    assert not malformed


def test_a_cancel_that_it_does_not_heed(base_url: str) -> None:
    with connect(base_url) as session:
        turn = session.respond("slowly")
        next(turn.text())
        turn.cancel()
        assert turn.result(check=False).text == "One two three."
        assert session.ask("hello").text


def transcribing(base_url: str) -> rt.RealtimeSession:
    config: Any = {
        "type": "transcription",
        "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": None}},
    }
    return rt.connect(
        "gpt-4o-transcribe", base_url=base_url, api_key="test", proxy=None, intent="transcription", session=config
    )


def test_a_recording_is_transcribed_though_commits_name_no_item(base_url: str) -> None:
    with transcribing(base_url) as session:
        segments = list(session.transcribe(bytes(48_000 * 2), segment_s=1, timeout=10))
    assert [segment.text for segment in segments] == [TRANSCRIPT, TRANSCRIPT]
    assert all(segment.item_id.startswith("item_") for segment in segments)


def test_a_transcription_session(base_url: str) -> None:
    with transcribing(base_url) as session:
        session.append_audio_bytes(bytes(48_000))
        session.commit_audio().result()
        done = session.wait_for(rt.events.ConversationItemInputAudioTranscriptionCompleted)
        assert done.transcript == TRANSCRIPT
        (segment,) = session.transcribe(bytes(48_000))  # which item a commit makes is not said there
        assert (segment.text, segment.item_id[:5]) == (TRANSCRIPT, "item_")


def test_an_abrupt_disconnect_keeps_what_came(base_url: str) -> None:
    with connect(base_url) as session:
        turn = session.respond("cut me off")
        with pytest.raises(rt.ConnectionLost):
            turn.result()
        assert turn.reply.text
        assert "This sentence is never finished".startswith(turn.reply.text)


def test_a_failure_is_told(base_url: str) -> None:
    with connect(base_url) as session:
        with pytest.raises((rt.ServerError, rt.ResponseFailed), match=r"overloaded|server_error|failed"):
            session.ask("fail")
        assert session.ask("hello").text
