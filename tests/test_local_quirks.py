"""Departures of compatible servers."""

from __future__ import annotations

from typing import Any

import pytest
from local_raw import RawClient, done_of, quiet, text_of, tone, types

from realtime_sync.audio import encode_pcmu
from realtime_sync.codec import decode_server_event
from realtime_sync.events import MalformedEvent, UnknownEvent
from realtime_sync.local import LocalServer, Quirks, ToolCall


def connected(quirks: Quirks, replies: Any = None) -> tuple[LocalServer, RawClient]:
    server = LocalServer(replies, quirks=quirks).start()
    return server, RawClient(server, checked=False)


def test_the_older_names() -> None:
    server, client = connected(Quirks(beta_names=True), ["Hello there."])
    with server, client:
        client.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
        client.send("response.create")
        events = client.response()
        names = types(events)
        assert "response.audio.delta" in names
        assert "response.audio_transcript.done" in names
        assert not any("output_audio" in name for name in names)
        assert done_of(events)["output"][0]["content"][0]["type"] == "audio"
        for event in events:
            assert not isinstance(decode_server_event(event), (UnknownEvent, MalformedEvent))


def test_a_flat_configuration_is_understood_and_shown() -> None:
    server, client = connected(Quirks(beta_names=True), lambda turn: "Hello.")
    flat = {
        "modalities": ["text", "audio"],
        "voice": "alloy",
        "speed": 1.25,
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"},
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": None,
        "max_response_output_tokens": 100,
        "temperature": 0.7,
        "instructions": "Be brief.",
        "tool_choice": "none",
    }
    with server, client:
        assert client.session["modalities"] == ["audio", "text"]
        assert client.session["input_audio_format"] == "pcm16"
        assert client.session["turn_detection"]["type"] == "server_vad"
        assert client.session["temperature"] == 0.8
        assert not {"audio", "output_modalities", "type", "max_output_tokens"} & set(client.session)
        client.send("session.update", session=flat)
        session = client.expect("session.updated")["session"]
        transcription = {"model": "whisper-1", "language": None, "prompt": None}
        changed = {"modalities": ["audio", "text"], "input_audio_transcription": transcription}
        assert {name: session[name] for name in flat} == {**flat, **changed}
        # It is heeded as well: no turn is detected, and the commit is transcribed from eight-bit audio.
        client.append(encode_pcmu(tone(600, 8_000) + quiet(800, 8_000)))
        client.send("input_audio_buffer.commit")
        assert types(client.until("conversation.item.input_audio_transcription.completed"))[0].endswith("committed")
        client.send("response.create", response={"modalities": ["text"], "max_response_output_tokens": 50})
        events = client.response()
        assert "response.text.delta" in types(events)
        response = done_of(events)
        assert (response["modalities"], response["max_output_tokens"]) == (["text"], 50)
        assert (response["voice"], response["output_audio_format"]) == ("alloy", "pcm16")
        assert response["output"][0]["content"][0]["type"] == "text"


def test_text_of_the_assistant_in_the_older_dialect() -> None:
    server, client = connected(Quirks(beta_names=True), lambda turn: str(turn.items[-1]["content"][0]["type"]))
    with server, client:
        item = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
        assert client.add(item)["content"][0]["type"] == "text"
        client.send("response.create", response={"modalities": ["text"], "input": [item]})
        assert text_of(done_of(client.response())) == "output_text"


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"voices": "alloy"}, "session.voices"),
        ({"voice": "nobody"}, "session.voice"),
        ({"turn_detection": {"type": "server_vad", "threshold": 7}}, "session.turn_detection.threshold"),
        ({"input_audio_format": "mp3"}, "session.input_audio_format.type"),
        ({"modalities": ["smell"]}, "session.modalities[0]"),
        ({"temperature": 5}, "session.temperature"),
    ],
)
def test_what_the_older_dialect_does_not_know_is_refused_by_its_name(session: Any, param: str) -> None:
    server, client = connected(Quirks(beta_names=True))
    with server, client:
        client.send("session.update", session=session)
        assert client.error()["param"] == param


def test_transcription_in_the_older_dialect() -> None:
    server = LocalServer(transcripts=["said"], quirks=Quirks(beta_names=True)).start()
    with server, RawClient(server, "intent=transcription", created=False, checked=False) as client:
        assert client.expect("transcription_session.created")["session"]["input_audio_transcription"] is None
        session = {"input_audio_transcription": {"model": "whisper-1"}, "turn_detection": None}
        client.send("transcription_session.update", session=session)
        updated = client.expect("transcription_session.updated")["session"]
        assert (updated["turn_detection"], updated["input_audio_transcription"]["model"]) == (None, "whisper-1")
        client.append(tone(300))
        client.send("input_audio_buffer.commit")
        assert client.until("conversation.item.input_audio_transcription.completed")[-1]["transcript"] == "said"


def test_the_settings_of_today_are_understood_beside() -> None:
    server, client = connected(Quirks(beta_names=True))
    with server, client:
        client.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "ash", "speed": 1.5}}})
        assert client.expect("session.updated")["session"]["voice"] == "ash"


def test_nothing_is_confirmed() -> None:
    server, client = connected(Quirks(confirm=False), ["Hello."])
    with server, client:
        client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
        client.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
        client.send("input_audio_buffer.clear")
        client.send("nope")
        client.expect("error")
        client.send("response.create")
        events = client.response()
        # What the model adds is no confirmation.
        assert types(events)[:3] == ["response.created", "rate_limits.updated", "response.output_item.added"]


def test_turn_detection_is_no_confirmation() -> None:
    server, client = connected(Quirks(confirm=False), ["Hello."])
    with server, client:
        client.append(quiet(200) + tone(500) + quiet(600))
        assert "input_audio_buffer.committed" in types(client.response())


def test_items_are_created_only() -> None:
    server, client = connected(Quirks(item_created_only=True), ["Hello."])
    with server, client:
        client.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
        client.expect("conversation.item.created")
        client.send("response.create")
        names = types(client.response())
        assert "conversation.item.created" in names
        assert not {"conversation.item.added", "conversation.item.done"} & set(names)


def test_whole_arguments() -> None:
    server, client = connected(Quirks(whole_arguments=True), [ToolCall("f", {"a": 1})])
    with server, client:
        client.send("response.create")
        events = client.response()
        assert "response.function_call_arguments.delta" not in types(events)
        done = next(event for event in events if event["type"] == "response.function_call_arguments.done")
        assert done["arguments"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("quirks", "check"),
    [
        (Quirks(code_in_type=True), lambda error: (error["type"], error["code"]) == ("invalid_value", None)),
        (Quirks(error_as_string=True), lambda error: isinstance(error, str) and "Supported values" in error),
    ],
)
def test_errors_of_another_shape(quirks: Quirks, check: Any) -> None:
    server, client = connected(quirks)
    with server, client:
        client.send("nope")
        event = client.expect("error")
        assert check(event["error"])
        assert not isinstance(decode_server_event(event), MalformedEvent)


def test_a_lenient_server_takes_what_it_does_not_know() -> None:
    server, client = connected(Quirks(lenient=True))
    with server, client:
        updated = client.update(turn_sensitivity="high", output_modalities=["text"])
        assert updated["output_modalities"] == ["text"]
        assert "turn_sensitivity" not in updated
        client.send("session.update", session={"instructions": "no type"})
        assert client.expect("session.updated")["session"]["instructions"] == "no type"
        client.send("conversation.item.create", item=5)
        assert client.error()["code"] == "invalid_type"
        assert text_of(client.ask("hello")) == "You said: hello"
        content = [{"type": "output_audio", "transcript": "from another conversation"}]
        client.add({"type": "message", "role": "assistant", "content": content})


def test_a_lenient_server_leaves_out_what_another_dialect_has() -> None:
    """As a client of Azure's Voice Live configures its session."""
    server, client = connected(Quirks(lenient=True, beta_names=True))
    with server, client:
        before = client.session
        tools = [{"type": "web_search"}, {"type": "function", "name": "look"}]
        flat = {
            "modalities": ["text", "audio", "animation"],
            "instructions": "Be brief.",
            "voice": {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural"},
            "turn_detection": {"type": "azure_semantic_vad", "silence_duration_ms": 500},
            "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
            "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
            "tools": tools,
            "temperature": 0.7,
        }
        client.send("session.update", session=flat)
        session = client.expect("session.updated")["session"]
        assert session == {**before, "instructions": "Be brief.", "tools": tools[1:], "temperature": 0.7}
        client.send("response.create", response={"voice": {"name": "Ava"}, "instructions": "x"})
        assert done_of(client.response())["status"] == "completed"
        for update, code in (({"instructions": 5}, "invalid_type"), ({"type": "other"}, "invalid_value")):
            client.send("session.update", session=update)
            assert client.error()["code"] == code


def test_a_lenient_server_takes_the_model_of_a_transcription_session() -> None:
    with LocalServer(quirks=Quirks(lenient=True)) as server:
        client = RawClient(server, "model=gpt-4o-transcribe&intent=transcription")
        with client:
            assert client.session["type"] == "transcription"


def test_another_rate() -> None:
    server, client = connected(Quirks(rate_hz=16_000), lambda turn: f"{turn.rate_hz}: {turn.text}")
    with server, client:
        assert client.session["audio"]["input"]["format"]["rate"] == 16_000
        client.append(quiet(400, 16_000) + tone(600, 16_000) + quiet(600, 16_000))
        events = client.response()
        assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (100, 1_500)
        assert text_of(done_of(events)) == "16000: (1.4 seconds of audio)"


def test_no_event_ids() -> None:
    server, client = connected(Quirks(event_ids=False))
    with server, client:
        client.send("input_audio_buffer.clear")
        assert client.recv() == {"type": "input_audio_buffer.cleared"}
