"""The user's audio over the wire: buffer, turn detection, interruption, transcription."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from local_raw import TIMEOUT_S, RawClient, b64, done_of, quiet, text_of, tone, types

from realtime_sync.audio import encode_pcma, encode_pcmu
from realtime_sync.local import Failure, Gate, LocalServer, Reply, Transcript

TURN = quiet(400) + tone(600) + quiet(600)
COMMITTED = ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
DETECTED = ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", *COMMITTED]
TRANSCRIBED = "conversation.item.input_audio_transcription"


def manual(client: RawClient, **audio_input: Any) -> None:
    client.update(output_modalities=["text"], audio={"input": {"turn_detection": None, **audio_input}})


def detecting(client: RawClient, kind: str = "server_vad", **settings: Any) -> None:
    client.update(output_modalities=["text"], audio={"input": {"turn_detection": {"type": kind, **settings}}})


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as started:
        yield started
    assert started.failures == []


@pytest.fixture
def client(server: LocalServer) -> Iterator[RawClient]:
    with RawClient(server) as connected:
        yield connected


# --------------------------------------------------------------------------------------------------------- by hand


def test_a_commit_makes_a_message_and_no_response(client: RawClient) -> None:
    manual(client)
    before = client.say("hello")
    audio = tone(250)
    client.append(audio)
    client.send("input_audio_buffer.commit")
    committed = client.expect(COMMITTED[0])
    assert committed["previous_item_id"] == before["id"]
    client.expect(COMMITTED[1])
    item = client.expect(COMMITTED[2])["item"]
    assert item == {
        "id": committed["item_id"],
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    client.send("conversation.item.retrieve", item_id=item["id"])
    assert client.expect("conversation.item.retrieved")["item"]["content"][0]["audio"] == b64(audio)
    client.send("response.create")
    assert text_of(done_of(client.response())) == "You said: (0.2 seconds of audio)"


@pytest.mark.parametrize(("ms", "told"), [(0, "0.00ms"), (50, "50.00ms")])
def test_a_commit_below_100_ms_is_refused(client: RawClient, ms: int, told: str) -> None:
    manual(client)
    client.append(tone(ms))
    event_id = client.send("input_audio_buffer.commit")
    error = client.error()
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", event_id)
    assert error["message"] == (
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
        f"but buffer only has {told} of audio."
    )
    client.append(tone(100 - ms))
    client.send("input_audio_buffer.commit")
    client.expect(*COMMITTED)


def test_cleared_audio_is_gone(client: RawClient) -> None:
    manual(client)
    client.append(tone(300))
    client.send("input_audio_buffer.clear")
    client.expect("input_audio_buffer.cleared")
    client.send("input_audio_buffer.commit")
    assert "0.00ms" in client.error()["message"]


@pytest.mark.parametrize("audio", ["", "%%%", "QUI"])
def test_an_append_must_be_audio(client: RawClient, audio: str) -> None:
    client.send("input_audio_buffer.append", audio=audio)
    error = client.error()
    assert (error["code"], error["param"]) == ("invalid_value", "audio")


# ---------------------------------------------------------------------------------------------------- turn detection


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_a_detected_turn_is_committed_and_answered(client: RawClient, kind: str) -> None:
    detecting(client, kind)
    client.append(TURN + quiet(400))
    events = client.response()
    assert types(events)[:6] == [*DETECTED, "response.created"]
    started, stopped, committed, added = events[:4]
    assert started["audio_start_ms"] == 100
    assert stopped["audio_end_ms"] == (1_500 if kind == "server_vad" else 1_700)
    assert {started["item_id"], stopped["item_id"], committed["item_id"], added["item"]["id"]} == {started["item_id"]}
    seconds = (stopped["audio_end_ms"] - 100) / 1_000
    assert text_of(done_of(events)) == f"You said: ({seconds:.1f} seconds of audio)"
    client.send("conversation.item.retrieve", item_id=started["item_id"])
    audio = client.expect("conversation.item.retrieved")["item"]["content"][0]["audio"]
    assert audio == b64((TURN + quiet(400))[100 * 48 : stopped["audio_end_ms"] * 48])


def test_turns_follow_each_other_on_one_clock(client: RawClient) -> None:
    detecting(client, create_response=False, prefix_padding_ms=100)
    client.append(TURN + TURN)
    starts, ends = [], []
    for _ in range(2):
        starts.append(client.expect(DETECTED[0])["audio_start_ms"])
        ends.append(client.expect(DETECTED[1])["audio_end_ms"])
        client.expect(*COMMITTED)
    assert (starts, ends) == ([300, 1_900], [1_500, 3_100])


def test_the_prefix_does_not_reach_into_the_turn_before(client: RawClient) -> None:
    detecting(client, create_response=False, prefix_padding_ms=2_000, silence_duration_ms=100)
    client.append(tone(300) + quiet(200) + tone(300) + quiet(200))
    assert client.expect(DETECTED[0])["audio_start_ms"] == 0
    end = client.expect(DETECTED[1])["audio_end_ms"]
    client.expect(*COMMITTED)
    assert client.expect(DETECTED[0])["audio_start_ms"] == end == 400


def test_without_create_response_nobody_answers(client: RawClient) -> None:
    detecting(client, create_response=False)
    client.append(TURN)
    client.expect(*DETECTED)
    client.send("response.create")
    client.expect("response.created")


def test_a_commit_in_the_middle_of_speech_takes_its_item(client: RawClient) -> None:
    detecting(client)
    client.append(tone(400))
    item_id = client.expect(DETECTED[0])["item_id"]
    client.send("input_audio_buffer.commit")
    assert client.expect(COMMITTED[0])["item_id"] == item_id
    client.expect(*COMMITTED[1:])
    client.append(quiet(600))
    client.send("input_audio_buffer.clear")
    client.expect("input_audio_buffer.cleared")


def test_after_a_detected_turn_there_is_nothing_to_commit(client: RawClient) -> None:
    detecting(client, create_response=False)
    client.append(tone(600) + quiet(500))
    client.expect(*DETECTED)
    client.send("input_audio_buffer.commit")
    assert "0.00ms" in client.error()["message"]


def test_an_update_in_the_middle_of_speech_does_not_lose_the_turn(client: RawClient) -> None:
    detecting(client, create_response=False)
    client.append(tone(400))
    item_id = client.expect(DETECTED[0])["item_id"]
    client.update(instructions="changed")
    client.append(quiet(600))
    assert client.expect(DETECTED[1])["item_id"] == item_id
    client.expect(*COMMITTED)


def test_switching_the_detection_off_forgets_the_speech(client: RawClient) -> None:
    client.append(tone(400))
    client.expect(DETECTED[0])
    manual(client)
    client.append(quiet(600))
    client.send("input_audio_buffer.commit")
    client.expect(*COMMITTED)


@pytest.mark.parametrize(("kind", "encode"), [("audio/pcmu", encode_pcmu), ("audio/pcma", encode_pcma)])
def test_g711(client: RawClient, kind: str, encode: Any) -> None:
    client.update(audio={"input": {"format": {"type": kind}}}, output_modalities=["text"])
    client.append(encode(quiet(400, 8_000) + tone(600, 8_000) + quiet(600, 8_000)), chunk_bytes=800)
    events = client.response()
    assert types(events)[:6] == [*DETECTED, "response.created"]
    assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (100, 1_500)
    assert text_of(done_of(events)) == "You said: (1.4 seconds of audio)"


# ------------------------------------------------------------------------------------------------------ interruption


def test_speech_interrupts_the_response() -> None:
    gate = Gate("response.output_audio.delta", nth=3)
    with LocalServer([Reply("a long story", audio=tone(2_000), gates=[gate])]) as server, RawClient(server) as client:
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.append(tone(200))
        events = client.response()
        names = types(events)
        assert names.index("input_audio_buffer.speech_started") < names.index("response.output_audio.done")
        response = done_of(events)
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        item = response["output"][0]
        assert item["status"] == "incomplete"
        client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=401)
        assert client.error()["message"] == "Audio content of 400ms is already shorter than 401ms"
        client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=400)
        client.expect("conversation.item.truncated")


def test_speech_leaves_out_of_band_responses_alone() -> None:
    gate = Gate("response.done")
    with LocalServer([Reply("aside", gates=[gate])]) as server, RawClient(server) as client:
        client.send("response.create", response={"conversation": "none", "output_modalities": ["text"]})
        gate.wait_reached(TIMEOUT_S)
        client.append(tone(200))
        client.until("input_audio_buffer.speech_started")
        gate.open()
        assert done_of(client.response())["status"] == "completed"


def test_without_interruption_the_answer_waits_for_the_active_response() -> None:
    gate = Gate("response.done")
    with LocalServer([Reply("first", gates=[gate]), "second"]) as server, RawClient(server) as client:
        detecting(client, interrupt_response=False)
        client.send("response.create")
        gate.wait_reached(TIMEOUT_S)
        client.append(TURN)
        assert "response.done" not in types(client.until(COMMITTED[0]))
        client.expect(*COMMITTED[1:])
        gate.open()
        assert text_of(done_of(client.response())) == "first"
        assert text_of(done_of(client.response())) == "second"


# ------------------------------------------------------------------------------------------------------------ silence


def test_a_long_silence_is_answered_once() -> None:
    with LocalServer(["Hello!", "Are you there?", "Good."]) as server, RawClient(server) as client:
        detecting(client, idle_timeout_ms=5_000)
        client.send("response.create")
        client.response()
        client.append(quiet(700))
        client.send("input_audio_buffer.clear")
        client.expect("input_audio_buffer.cleared")
        client.append(quiet(300))
        server.wait_received("input_audio_buffer.append", count=10)
        client.update()
        server.silence()
        timeout = client.expect("input_audio_buffer.timeout_triggered")
        assert (timeout["audio_start_ms"], timeout["audio_end_ms"]) == (700, 1_000)
        assert client.expect(*COMMITTED)["item"]["id"] == timeout["item_id"]
        assert text_of(done_of(client.response())) == "Are you there?"


def test_silence_is_measured_from_the_end_of_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    # The protocol's least timeout is 5 s; here one second of it takes a millisecond.
    from realtime_sync._deadline import Deadline

    monkeypatch.setattr("realtime_sync.local.user_audio.Deadline", lambda seconds: Deadline(seconds / 1_000))
    with LocalServer(["Hello!", "Are you there?"]) as server, RawClient(server) as client:
        detecting(client, idle_timeout_ms=5_000)
        client.send("response.create")
        client.response()
        client.expect("input_audio_buffer.timeout_triggered", *COMMITTED)
        assert text_of(done_of(client.response())) == "Are you there?"


# ------------------------------------------------------------------------------------------------------ transcription


def transcripts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"].startswith(TRANSCRIBED)]


def transcribe(model: str, transcript: Any, include: Any = None) -> list[dict[str, Any]]:
    """The transcription events of one commit."""
    with LocalServer(transcripts=[transcript]) as server, RawClient(server) as client:
        manual(client, transcription={"model": model})
        if include:
            client.update(include=include)
        client.append(tone(1_600))
        client.send("input_audio_buffer.commit")
        client.expect(*COMMITTED)
        events = [client.recv()]
        while events[-1]["type"] not in (f"{TRANSCRIBED}.completed", f"{TRANSCRIBED}.failed"):
            events.append(client.recv())
        if events[-1]["type"].endswith("completed"):
            client.send("conversation.item.retrieve", item_id=events[-1]["item_id"])
            part = client.expect("conversation.item.retrieved")["item"]["content"][0]
            assert part["transcript"] == transcript
        return events


def test_transcripts_come_in_pieces_with_their_usage() -> None:
    *deltas, completed = transcribe("gpt-4o-transcribe", "Hello there, world.")
    assert [event["delta"] for event in deltas] == ["Hello", " there,", " world."]
    assert completed["transcript"] == "Hello there, world."
    assert completed["usage"] == {
        "type": "tokens",
        "total_tokens": 21,
        "input_tokens": 16,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 16},
        "output_tokens": 5,
    }


def test_whisper_tells_all_at_once_and_counts_seconds() -> None:
    delta, completed = transcribe("whisper-1", "Hello there")
    assert delta["delta"] == "Hello there"
    assert completed["usage"] == {"type": "duration", "seconds": 1.6}
    *_, completed = transcribe("gpt-transcribe", "Hello there")
    assert completed["usage"] == {"type": "duration", "seconds": 1.6}


def test_logprobs_come_when_they_are_asked_for() -> None:
    delta, _, completed = transcribe("gpt-4o-transcribe", "Hé you", ["item.input_audio_transcription.logprobs"])
    assert delta["logprobs"] == [{"token": "Hé", "logprob": -0.1, "bytes": [72, 195, 169]}]
    assert [entry["token"] for entry in completed["logprobs"]] == ["Hé", " you"]


def test_diarization_has_segments() -> None:
    events = transcribe("gpt-4o-transcribe-diarize", "Hello")
    segment = events[1]
    assert segment["type"] == f"{TRANSCRIBED}.segment"
    assert (segment["start"], segment["end"], segment["text"]) == (0.0, 1.6, "Hello")


def test_a_transcription_can_fail() -> None:
    (failed,) = transcribe("gpt-4o-transcribe", Failure("Too noisy.", "audio_unintelligible", "transcription_error"))
    assert failed["error"] == {
        "type": "transcription_error",
        "code": "audio_unintelligible",
        "message": "Too noisy.",
        "param": None,
    }


def test_a_transcriber_hears_pcm_at_its_rate_and_only_once() -> None:
    heard: list[tuple[int, int]] = []

    def transcriber(pcm: bytes, rate_hz: int) -> str:
        heard.append((len(pcm), rate_hz))
        return "what was said"

    with LocalServer(transcriber=transcriber) as server, RawClient(server) as client:
        manual(client, transcription={"model": "gpt-4o-transcribe"}, format={"type": "audio/pcmu"})
        client.append(encode_pcmu(tone(500, 8_000)))
        client.send("input_audio_buffer.commit")
        client.until(f"{TRANSCRIBED}.completed")
        client.send("response.create")
        assert text_of(done_of(client.response())) == "You said: what was said"
        assert heard == [(8_000, 8_000)]


def no_ears(pcm: bytes, rate_hz: int) -> str:
    raise OSError("no ears")


@pytest.mark.parametrize(
    ("transcriber", "told"),
    [(no_ears, "no ears"), (lambda pcm, rate_hz: None, "a transcriber returns text, not NoneType")],
)
def test_a_broken_transcriber_fails_the_transcription_alone(transcriber: Any, told: str) -> None:
    with LocalServer(["I go on."], transcriber=transcriber) as server, RawClient(server) as client:
        manual(client, transcription={"model": "gpt-4o-transcribe"})
        client.append(tone(500))
        client.send("input_audio_buffer.commit")
        assert client.until(f"{TRANSCRIBED}.failed")[-1]["error"]["code"] == "audio_unintelligible"
        client.send("response.create")
        assert text_of(done_of(client.response())) == "I go on."
        assert [str(failure) for failure in server.failures] == [told]


def turn_of(client: RawClient) -> list[str]:
    """The types of the events of one turn of speech, whose transcript comes at its end at the latest."""
    client.append(TURN)
    names: list[str] = []
    while not {"response.done", f"{TRANSCRIBED}.completed"} <= set(names):
        names.append(client.recv()["type"])
    return names


@pytest.mark.parametrize("options", [{}, {"transcripts": ["one two"] * 20}])
def test_each_run_has_the_same_order(options: Any) -> None:
    """A transcript that is known at the commit comes between that and the response."""
    with LocalServer(**options) as server, RawClient(server) as client:
        client.update(output_modalities=["text"], audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
        turns = [turn_of(client) for _ in range(20)]
        assert turns == [turns[0]] * 20
        after = turns[0][turns[0].index("conversation.item.done") + 1 :]
        assert after.index(f"{TRANSCRIBED}.completed") + 1 == after.index("response.created")


def test_a_late_transcript_comes_after_the_response() -> None:
    script = [Transcript("one two", late=True), Transcript(Failure("Too noisy."), late=True), "three"]
    with LocalServer(["a", "b", "c"], transcripts=script) as server, RawClient(server) as client:
        client.update(output_modalities=["text"], audio={"input": {"transcription": {"model": "whisper-1"}}})
        for end in (["delta", "completed"], ["failed"]):
            client.append(TURN)
            assert transcripts(client.response()) == []
            client.expect(*(f"{TRANSCRIBED}.{name}" for name in end))
        client.append(TURN)
        assert len(transcripts(client.response())) == 2


def test_a_transcript_of_a_session_without_responses_is_never_late() -> None:
    script = [Transcript("one", late=True)]
    with LocalServer(transcripts=script) as server, RawClient(server, "intent=transcription") as client:
        session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
        client.send("session.update", session=session)
        client.append(TURN)
        assert client.until(f"{TRANSCRIBED}.completed")[-1]["transcript"] == "one"


def test_a_gate_before_the_response_does_not_hold_the_transcript() -> None:
    asked = threading.Event()

    def transcriber(pcm: bytes, rate_hz: int) -> str:
        asked.wait(TIMEOUT_S)
        return "heard"

    gate = Gate("response.created")
    with LocalServer(["Reply."], transcriber=transcriber, gates=[gate]) as server, RawClient(server) as client:
        client.update(output_modalities=["text"], audio={"input": {"transcription": {"model": "whisper-1"}}})
        client.append(TURN)
        gate.wait_reached(TIMEOUT_S)
        asked.set()
        assert "response.created" not in types(client.until(f"{TRANSCRIBED}.completed"))
        gate.open()
        client.response()


def test_a_transcript_may_come_after_the_reply() -> None:
    gate = Gate(f"{TRANSCRIBED}.delta")
    with LocalServer(["Reply."], transcripts=["late"], gates=[gate]) as server, RawClient(server) as client:
        client.update(output_modalities=["text"], audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
        client.append(TURN)
        gate.wait_reached(TIMEOUT_S)
        assert transcripts(client.response()) == []
        gate.open()
        client.expect(f"{TRANSCRIBED}.delta", f"{TRANSCRIBED}.completed")


def test_the_model_hears_what_the_script_says() -> None:
    with LocalServer(transcripts=["the weather in Oslo"]) as server, RawClient(server) as client:
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
        client.update(tools=[{"type": "function", "name": "get_weather", "parameters": parameters}])
        client.append(TURN)
        (call,) = done_of(client.response())["output"]
        assert (call["name"], call["arguments"]) == ("get_weather", '{"city": "Oslo"}')
        client.add({"type": "function_call_output", "call_id": call["call_id"], "output": "rain"})
        client.send("response.create")
        assert text_of(done_of(client.response())) == "The tool says: rain"


def test_a_transcription_session_only_transcribes() -> None:
    with LocalServer(transcripts=["one", "two"]) as server, RawClient(server, "intent=transcription") as client:
        session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        client.send("session.update", session=session)
        client.expect("session.updated")
        client.append(TURN)
        events = client.until(f"{TRANSCRIBED}.completed")
        assert types(events) == [*DETECTED, f"{TRANSCRIBED}.delta", f"{TRANSCRIBED}.completed"]
        client.append(TURN)
        assert client.until(f"{TRANSCRIBED}.completed")[-1]["transcript"] == "two"


def test_speech_counts_as_audio_tokens(client: RawClient) -> None:
    manual(client)
    client.append(tone(2_000))
    client.send("input_audio_buffer.commit")
    client.expect(*COMMITTED)
    client.send("response.create")
    assert done_of(client.response())["usage"]["input_token_details"]["audio_tokens"] == 20
