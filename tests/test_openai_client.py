"""The official client of OpenAI, unmodified, against the local server: text, speech with turn detection, tools."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from local_raw import quiet, tone
from openai import OpenAI
from openai.types.realtime import RealtimeServerEvent

from realtime_sync.local import LocalServer, Reply, ToolCall

# How the client opens its connection is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")

MODEL = "gpt-realtime"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def openai() -> Iterator[Any]:
    clients: list[OpenAI] = []

    def make(server: LocalServer, **options: Any) -> OpenAI:
        clients.append(OpenAI(api_key="sk-test", base_url=server.base_url, max_retries=0, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def until_done(connection: Any) -> list[RealtimeServerEvent]:
    """All events up to the end of a response; an error fails the test."""
    events: list[RealtimeServerEvent] = []
    for event in connection:
        assert event.type != "error", event
        events.append(event)
        if event.type == "response.done":
            break
    return events


def user(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_a_text_turn(openai: Any) -> None:
    with LocalServer(api_key="sk-test") as server, openai(server).realtime.connect(model=MODEL) as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        connection.conversation.item.create(item=user("Say hi!"))
        connection.response.create()
        events = until_done(connection)
        assert events[0].type == "session.created"
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "You said: Say hi!"
        response = events[-1].response
        assert response.status == "completed"
        assert response.output[0].content[0].text == "You said: Say hi!"
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


def test_a_spoken_turn_with_turn_detection(openai: Any) -> None:
    answer = tone(700)
    script = [Reply("It is noon.", audio=answer)]
    server = LocalServer(script, transcripts=["What time is it?"]).start()
    with server, openai(server).realtime.connect(model=MODEL) as connection:
        transcription = {"model": "gpt-4o-mini-transcribe"}
        connection.session.update(session={"type": "realtime", "audio": {"input": {"transcription": transcription}}})
        speech = quiet(300) + tone(900) + quiet(700)
        for start in range(0, len(speech), 4_800):
            chunk = base64.b64encode(speech[start : start + 4_800]).decode()
            connection.input_audio_buffer.append(audio=chunk)
        events = until_done(connection)
        names = [event.type for event in events]
        assert names.index("input_audio_buffer.speech_started") < names.index("input_audio_buffer.committed")
        assert names.index("input_audio_buffer.committed") < names.index("response.created")
        audio = [event.delta for event in events if event.type == "response.output_audio.delta"]
        assert b"".join(base64.b64decode(delta) for delta in audio) == answer
        assert events[-1].response.output[0].content[0].transcript == "It is noon."
        transcribed = "conversation.item.input_audio_transcription.completed"
        heard = next((event for event in events if event.type == transcribed), None)
        while heard is None:
            event = connection.recv()
            heard = event if event.type == transcribed else None
        assert heard.transcript == "What time is it?"


def test_a_turn_with_a_tool(openai: Any) -> None:
    with LocalServer() as server, openai(server).realtime.connect(model=MODEL) as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "tools": [WEATHER]})
        connection.conversation.item.create(item=user("What is the weather in Oslo?"))
        connection.response.create()
        call = until_done(connection)[-1].response.output[0]
        assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Oslo"})
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": '{"sky": "clear"}'}
        connection.conversation.item.create(item=output)
        connection.response.create()
        response = until_done(connection)[-1].response
        assert response.output[0].content[0].text == 'The tool says: {"sky": "clear"}'


def test_parallel_tool_calls(openai: Any) -> None:
    calls = [ToolCall("get_weather", {"city": city}) for city in ("Oslo", "Rome")]
    with LocalServer([calls, "Both are fine."]) as server, openai(server).realtime.connect(model=MODEL) as connection:
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"], "tools": [WEATHER]})
        connection.response.create()
        for call in until_done(connection)[-1].response.output:
            output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "fine"}
            connection.conversation.item.create(item=output)
        connection.response.create()
        assert until_done(connection)[-1].response.output[0].content[0].text == "Both are fine."


def test_a_websocket_url_of_its_own(openai: Any) -> None:
    with LocalServer() as server:
        url = server.base_url.replace("http", "ws", 1)
        client = openai(server, websocket_base_url=url)
        with client.realtime.connect(model=MODEL) as connection:
            assert connection.recv().type == "session.created"


def test_a_transcription_session(openai: Any) -> None:
    server = LocalServer(transcripts=["hello"]).start()
    with server, openai(server).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        assert connection.recv().session.type == "transcription"
        audio: Any = {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": None}}
        connection.session.update(session={"type": "transcription", "audio": audio})
        connection.input_audio_buffer.append(audio=base64.b64encode(tone(500)).decode())
        connection.input_audio_buffer.commit()
        for event in connection:
            assert event.type != "error", event
            if event.type == "conversation.item.input_audio_transcription.completed":
                assert event.transcript == "hello"
                break
