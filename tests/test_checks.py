"""The checks before sending: what is refused, what it says, and what passes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.codec import decode_client_event
from realtime_sync.errors import InvalidEvent
from realtime_sync.local import LocalServer
from realtime_sync.sending.checks import Checks
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.input_buffer import InputBuffer

NOTHING: Any = None


class Knowing(Checks):
    """Checks with a configuration to be given to each call."""

    config: Any = None


def refusal(checks: Checks, event: Any) -> str:
    """What is said against an event, given as a mapping or as an object; empty when nothing is."""
    typed = decode_client_event(event) if isinstance(event, dict) else event
    assert not isinstance(typed, e.MalformedEvent), typed
    try:
        checks.check(typed, getattr(checks, "config", None), event if isinstance(event, dict) else None)
    except InvalidEvent as error:
        return str(error)
    return ""


def realtime(voice: Any = "sage", **fields: Any) -> e.RealtimeSessionConfig:
    return e.RealtimeSessionConfig(audio=e.AudioConfig(output=e.AudioOutput(voice=voice)), **fields)


def knowing(*told: e.ServerEvent, config: Any = None, counting: bool = False) -> Knowing:
    conversation = Conversation()
    if counting:
        conversation.count_audio(
            e.RealtimeSessionConfig(audio=e.AudioConfig(output=e.AudioOutput(format=e.AudioPcm(rate=24_000))))
        )
    for event in told:
        conversation.apply(event)
    checks = Knowing(conversation, InputBuffer())
    checks.config = config
    return checks


def user(item_id: str) -> e.ConversationItemAdded:
    item = e.UserMessage(id=item_id, status="completed", content=[e.InputText(text="x")])
    return e.ConversationItemAdded(item=item)


def gone(item_id: str) -> list[e.ServerEvent]:
    return [user(item_id), e.ConversationItemDeleted(item_id=item_id)]


def update(session: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": session}


def create(item: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item, **fields}


def respond(**response: Any) -> dict[str, Any]:
    return {"type": "response.create", "response": response}


def realtime_update(**session: Any) -> dict[str, Any]:
    return update({"type": "realtime", **session})


GOOD: list[dict[str, Any]] = [
    realtime_update(instructions="", output_modalities=["audio"], max_output_tokens="inf"),
    realtime_update(output_modalities=["smell"], tool_choice="auto", truncation="auto", tracing=None),
    realtime_update(max_output_tokens=4096, audio={"output": {"speed": 0.25, "voice": {"id": "mine"}}}),
    realtime_update(audio={"output": {"speed": 1.5}, "input": {"turn_detection": None}}),
    realtime_update(
        audio={
            "input": {
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 1.0,
                    "prefix_padding_ms": 0,
                    "silence_duration_ms": 1,
                    "idle_timeout_ms": 5000,
                }
            }
        }
    ),
    realtime_update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "mild"}}}),
    realtime_update(truncation={"type": "retention_ratio", "retention_ratio": 0, "token_limits": {}}),
    realtime_update(truncation={"type": "retention_ratio", "retention_ratio": 1.0}),
    realtime_update(
        tools=[
            {"type": "function", "name": "f"},
            {"type": "function", "name": "g"},
            {"type": "mcp", "server_label": "docs"},
            {"type": "magic"},
        ],
        tool_choice={"type": "function", "name": "f"},
    ),
    update({"type": "transcription", "audio": {"input": {}}}),
    update({"type": "novel"}),
    update({"voice": "sage", "temperature": 0.6, "speed": 1.0, "modalities": ["text", "audio"]}),
    update({"audio": {"output": {"language": "es"}}}),
    {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16"}},
    {"type": "input_audio_buffer.append", "audio": ""},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "output_audio_buffer.clear"},
    {"type": "session.close"},
    create({"type": "message", "role": "user", "content": [{"type": "input_text", "text": ""}]}),
    create({"type": "message", "role": "user", "content": []}, previous_item_id="root"),
    create({"type": "message", "role": "user", "content": [{"type": "input_scent"}]}),
    create({"type": "function_call_output", "call_id": "c", "output": ""}),
    create({"type": "function_call", "name": "f", "arguments": ""}),
    create({"type": "mcp_approval_response", "id": "i", "approval_request_id": "r", "approve": False}),
    create({"type": "hologram"}),
    {"type": "conversation.item.delete", "item_id": "i"},
    {"type": "conversation.item.retrieve", "item_id": "i"},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 0},
    {"type": "response.create"},
    respond(
        conversation="none",
        input=[{"type": "item_reference", "id": "i"}, {"type": "x"}],
        metadata={"k" * 64: "v" * 512},
    ),
    respond(input=[], metadata={f"k{number}": "" for number in range(16)}, audio={"output": {}}),
    respond(output_modalities=["text"], max_output_tokens=1),
    {"type": "response.cancel"},
    {"type": "brand.new"},
]


@pytest.mark.parametrize("event", GOOD, ids=str)
def test_what_is_right_passes(event: dict[str, Any]) -> None:
    assert refusal(Checks(), event) == ""
    assert refusal(knowing(*gone("other"), user("i")), event) == "" or "truncate" in event["type"]


vad = {"type": "server_vad"}
MESSAGE = {"type": "message", "role": "user"}

BAD: list[tuple[dict[str, Any], str]] = [
    (update(None), "session is missing"),
    ({"type": "transcription_session.update"}, "session is missing"),
    (realtime_update(output_modalities=["text", "audio"]), "output_modalities cannot be text and audio together"),
    (
        realtime_update(audio={"output": {"speed": 0.2}}),
        "session.audio.output.speed is 0.2: it must be from 0.25 to 1.5",
    ),
    (realtime_update(audio={"output": {"speed": 1.6}}), "session.audio.output.speed is 1.6"),
    (realtime_update(audio={"output": {"voice": {}}}), "voice.id is missing"),
    (
        realtime_update(audio={"input": {"turn_detection": {**vad, "threshold": 1.1}}}),
        "turn_detection.threshold is 1.1",
    ),
    (realtime_update(audio={"input": {"turn_detection": {**vad, "prefix_padding_ms": -1}}}), "prefix_padding_ms is -1"),
    (realtime_update(audio={"input": {"turn_detection": {**vad, "silence_duration_ms": -1}}}), "it must be at least 0"),
    (
        realtime_update(audio={"input": {"turn_detection": {**vad, "idle_timeout_ms": 4999}}}),
        "idle_timeout_ms is 4999: it must be from 5000 to 30000",
    ),
    (update({"type": "transcription", "audio": {"input": {"turn_detection": {**vad, "threshold": 2}}}}), "threshold"),
    (realtime_update(max_output_tokens=0), "session.max_output_tokens is 0: it must be from 1 to 4096"),
    (realtime_update(max_output_tokens=4097), "session.max_output_tokens is 4097"),
    (realtime_update(max_output_tokens="lots"), "it must be a number from 1 to 4096, or 'inf'"),
    (realtime_update(truncation={"type": "retention_ratio"}), "session.truncation.retention_ratio is missing"),
    (realtime_update(truncation={"type": "retention_ratio", "retention_ratio": 1.5}), "retention_ratio is 1.5"),
    (
        realtime_update(
            truncation={"type": "retention_ratio", "retention_ratio": 1, "token_limits": {"post_instructions": -1}}
        ),
        "post_instructions is -1",
    ),
    (realtime_update(tools=[{"type": "function"}]), "tools[0].name is missing"),
    (realtime_update(tools=[{"type": "mcp"}]), "tools[0].server_label is missing"),
    (
        realtime_update(tools=[{"type": "function", "name": "f"}, {"type": "function", "name": "f"}]),
        "tools[1]: there is a function 'f' already",
    ),
    (realtime_update(tool_choice={"type": "function"}), "tool_choice.name is missing"),
    (update({"temperature": 1.3}), "session.temperature is 1.3: it must be from 0.6 to 1.2"),
    (update({"temperature": 0.5}), "session.temperature is 0.5"),
    (update({"speed": 2.0}), "session.speed is 2.0"),
    (update({"max_response_output_tokens": 9999}), "session.max_response_output_tokens is 9999"),
    ({"type": "transcription_session.update", "session": {"turn_detection": {**vad, "threshold": -1}}}, "threshold"),
    ({"type": "input_audio_buffer.append"}, "audio is missing"),
    ({"type": "session.input_audio_buffer.append"}, "audio is missing"),
    ({"type": "input_audio_buffer.append", "audio": "A" * (15 * 2**20 + 1)}, "append_audio() or append_audio_bytes()"),
    (create(None), "item is missing"),
    (create({"id": "i"}), "item.type is missing"),
    (create(MESSAGE), "item.content is missing"),
    (create({"type": "message", "content": []}), "item.role is missing"),
    (create({**MESSAGE, "content": [{"type": "input_text"}]}), "item.content[0].text is missing"),
    (create({"type": "function_call_output", "output": "x"}), "item.call_id is missing"),
    (create({"type": "function_call_output", "call_id": "", "output": "x"}), "item.call_id is missing"),
    (create({"type": "function_call_output", "call_id": "c"}), "item.output is missing"),
    (create({"type": "function_call", "arguments": ""}), "item.name is missing"),
    (create({"type": "mcp_approval_response", "approval_request_id": "r"}), "item.approve is missing"),
    ({"type": "conversation.item.delete"}, "item_id is missing"),
    ({"type": "conversation.item.retrieve", "item_id": ""}, "item_id is missing"),
    ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0}, "audio_end_ms is missing"),
    (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
        "audio_end_ms is -1: it must be at least 0",
    ),
    (
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": -1, "audio_end_ms": 1},
        "content_index is -1",
    ),
    (respond(output_modalities=["audio", "text"]), "output_modalities cannot be"),
    (respond(max_output_tokens=0), "response.max_output_tokens is 0"),
    (respond(tools=[{"type": "function", "name": ""}]), "tools[0].name is missing"),
    (respond(metadata={f"k{number}": "" for number in range(17)}), "has 17 pairs: 16 is the most"),
    (respond(metadata={"k" * 65: ""}), "is longer than 64 characters"),
    (respond(metadata={"k": "v" * 513}), "response.metadata['k'] is longer than 512 characters"),
    (respond(metadata={"k": 5}), "response.metadata['k'] is int: its values must be str"),
    (respond(input=[{"type": "item_reference"}]), "response.input[0].id is missing"),
    (respond(input=[{"type": "item_reference", "id": "i"}, MESSAGE]), "response.input[1].content is missing"),
    (respond(input=[{**MESSAGE, "content": [{"type": "input_text"}]}]), "response.input[0].content[0].text is missing"),
]


@pytest.mark.parametrize(("event", "said"), BAD, ids=[said for _, said in BAD])
def test_what_the_server_would_refuse_is_refused_before(event: dict[str, Any], said: str) -> None:
    assert said in refusal(Checks(), event)


def test_all_faults_are_told_with_their_places() -> None:
    event = realtime_update(
        audio={"input": {"turn_detection": {**vad, "threshold": 2}}, "output": {"voice": {}, "speed": 9}},
        tools=[{"type": "function"}, {"type": "mcp"}],
        prompt={"variables": {"a": {"type": "input_text"}}},
    )
    assert refusal(Checks(), event).split("; ") == [
        "session.audio.input.turn_detection.threshold is 2: it must be from 0 to 1",
        "session.audio.output.voice.id is missing",
        "session.audio.output.speed is 9: it must be from 0.25 to 1.5",
        "session.tools[0].name is missing",
        "session.tools[1].server_label is missing",
        "session.prompt.id is missing",
        "session.prompt.variables['a'].text is missing",
    ]
    several = respond(output_modalities=["text", "audio"], metadata={"k": 5, "l" * 65: "v" * 513})
    assert refusal(Checks(), several).split("; ") == [
        "response.output_modalities cannot be text and audio together: ['audio'] comes with its transcript, ['text'] is"
        " text alone",
        "response.metadata['k'] is int: its values must be str",
        f"response.metadata['{'l' * 65}'] is longer than 512 characters",
        f"response.metadata: '{'l' * 65}' is longer than 64 characters",
    ]


def test_objects_are_checked_like_mappings() -> None:
    assert refusal(Checks(), e.ConversationItemDelete(item_id="")) == "item_id is missing"
    assert refusal(Checks(), e.ResponseCreate(response=e.ResponseConfig(max_output_tokens=0)))
    again = e.ItemReference(id="i")
    assert refusal(knowing(*gone("i")), e.ResponseCreate(response=e.ResponseConfig(input=[again])))
    empty = e.UserMessage(content=NOTHING)
    assert refusal(Checks(), e.ConversationItemCreate(item=empty)) == "item.content is missing"


# The session


def test_an_update_without_type_is_refused_where_the_server_uses_types() -> None:
    event = update({"instructions": "x"})
    assert refusal(knowing(config=realtime()), event).startswith("session.type is missing: set it to 'realtime'")
    assert "'transcription'" in refusal(knowing(config=e.TranscriptionSessionConfig()), event)
    for other in (e.FlatSessionConfig(), e.TranslationSessionConfig(), None):
        assert refusal(knowing(config=other), event) == ""
    assert refusal(knowing(config=realtime()), decode_client_event(event)) == ""


def test_a_server_that_does_both_modalities_is_left_alone() -> None:
    both = ["text", "audio"]
    assert refusal(knowing(config=realtime(output_modalities=both)), respond(output_modalities=both)) == ""


SPOKEN = e.ResponseContentPartAdded(response_id="r", item_id="a", output_index=0, content_index=0, part=e.OutputAudio())


@pytest.mark.parametrize(
    "event",
    [
        realtime_update(audio={"output": {"voice": "verse"}}),
        realtime_update(audio={"output": {"voice": {"id": "verse"}}}),
        respond(audio={"output": {"voice": "verse"}}),
        update({"voice": "verse"}),
    ],
    ids=str,
)
def test_the_voice_is_locked_after_the_first_audio(event: dict[str, Any]) -> None:
    dialect: Any = e.FlatSessionConfig(voice="sage") if "voice" in event.get("session", ()) else realtime()
    assert "the voice cannot change to 'verse' any more" in refusal(knowing(SPOKEN, config=dialect), event)
    assert refusal(knowing(config=dialect), event) == ""
    assert refusal(Checks(), event) == ""
    for same_or_unknown in (realtime("verse"), realtime(e.CustomVoice(id="verse")), realtime(None)):
        if dialect.__class__ is same_or_unknown.__class__:
            assert refusal(knowing(SPOKEN, config=same_or_unknown), event) == ""
    assert refusal(knowing(SPOKEN, config=e.UnknownObject(type="x")), event) == ""


# Items


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.delete", "item_id": "i"},
        {"type": "conversation.item.retrieve", "item_id": "i"},
        {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1},
        create({**MESSAGE, "content": []}, previous_item_id="i"),
        respond(input=[{"type": "item_reference", "id": "i"}]),
    ],
    ids=str,
)
def test_deleted_items_are_gone(event: dict[str, Any]) -> None:
    assert "i was deleted from the conversation" in refusal(knowing(*gone("i")), event)
    assert refusal(knowing(), event) == ""


def test_an_id_that_is_used_again_is_there_before_the_server_says_so() -> None:
    checks = knowing(*gone("i"))
    delete = {"type": "conversation.item.delete", "item_id": "i"}
    assert refusal(checks, create({**MESSAGE, "id": "other", "content": []})) == ""
    assert refusal(checks, delete)
    assert refusal(checks, create({**MESSAGE, "id": "i", "content": []})) == ""
    assert refusal(checks, delete) == ""


def truncate(ms: int, index: int = 0, item_id: str = "a") -> dict[str, Any]:
    return {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": index,
        "audio_end_ms": ms,
    }


def spoken(status: str) -> list[e.ServerEvent]:
    place: dict[str, Any] = {"response_id": "r", "item_id": "a", "output_index": 0, "content_index": 0}
    item = e.AssistantMessage(id="a", status=status, content=[e.OutputAudio()])
    return [
        e.ResponseCreated(response=e.Response(id="r", conversation_id="c")),
        e.ConversationItemAdded(item=e.AssistantMessage(id="a", status="in_progress", content=[])),
        e.ResponseOutputAudioDelta(**place, delta="AAAA" * 3200),  # 9600 bytes: 200 ms
        e.ConversationItemDone(item=item) if status != "in_progress" else e.UnknownEvent(type="x"),
    ]


def test_a_truncation_beyond_the_known_audio() -> None:
    checks = knowing(*spoken("completed"), counting=True)
    assert "the audio of a is 200 ms long" in refusal(checks, truncate(201))
    assert refusal(checks, truncate(200)) == ""
    assert refusal(checks, truncate(300, index=1)) == ""
    assert refusal(knowing(*spoken("completed")), truncate(201)) == ""
    for unfinished in ("in_progress", "incomplete"):
        assert refusal(knowing(*spoken(unfinished), counting=True), truncate(201)) == ""


def test_only_the_models_speech_can_be_truncated() -> None:
    call = e.ConversationItemAdded(item=e.FunctionCall(id="f", name="f", arguments=""))
    novel = e.ConversationItemAdded(item=e.UnknownObject(type="hologram", extra={"id": "n"}))
    checks = knowing(user("u"), call, novel)
    assert "u is no message of the assistant" in refusal(checks, truncate(1, item_id="u"))
    assert "f is no message of the assistant" in refusal(checks, truncate(1, item_id="f"))
    assert refusal(checks, truncate(1, item_id="n")) == ""


# The input buffer


COMMIT = e.InputAudioBufferCommit()


def test_a_commit_of_less_than_100_ms_is_refused() -> None:
    told = e.AudioInput(turn_detection=None, format=e.AudioPcm(rate=24_000))
    manual = e.SessionUpdated(session=e.RealtimeSessionConfig(audio=e.AudioConfig(input=told)))
    buffer = InputBuffer()
    checks = Checks(buffer=buffer)
    assert refusal(checks, COMMIT) == ""
    buffer.apply(manual)
    assert "the input buffer holds 0 ms of audio: append 100 ms or more" in refusal(checks, COMMIT)
    buffer.appended(4799)
    assert "holds 99 ms" in refusal(checks, COMMIT)
    buffer.sent(e.InputAudioBufferAppend(audio="AA=="))
    assert buffer.ms == 100
    assert refusal(checks, COMMIT) == ""


@pytest.mark.parametrize(
    ("told", "torn"), [(e.AudioPcm(rate=24_000), True), (e.AudioPcmu(), False), (e.AudioPcma(), False), (None, False)]
)
def test_a_commit_of_half_a_sample_is_refused(told: Any, torn: bool) -> None:
    config = e.AudioInput(turn_detection=None, format=told)
    buffer = InputBuffer()
    checks = Checks(buffer=buffer)
    buffer.apply(e.SessionUpdated(session=e.RealtimeSessionConfig(audio=e.AudioConfig(input=config))))
    buffer.appended(1)
    buffer.appended(9_600)
    assert ("9601 bytes, and the last is half a 16-bit sample" in refusal(checks, COMMIT)) is torn
    buffer.appended(1)
    assert refusal(checks, COMMIT) == "", "a sample may be split between two appends"
    buffer.sent(e.InputAudioBufferAppend(audio="AA=="))
    assert refusal(checks, COMMIT) == "", "the length of base64 is an estimate"
    buffer.sent(e.InputAudioBufferClear())
    buffer.appended(9_601)
    assert ("9601 bytes" in refusal(checks, COMMIT)) is torn
    buffer.lose_count()
    assert refusal(checks, COMMIT) == "", "how much there is is not known"


def test_a_session_refuses_to_commit_half_a_sample() -> None:
    quiet = {"audio": {"input": {"turn_detection": None}}}
    with LocalServer() as server:
        with rt.connect("m", base_url=server.base_url, api_key="k", session=quiet) as session:
            session.append_audio_bytes(b"\x01" + bytes(9_600))
            with pytest.raises(InvalidEvent, match=r"clear_audio\(\)"):
                session.commit_audio()
            session.clear_audio()
            session.append_audio(base64.b64encode(bytes(9_600)).decode())
            assert session.commit_audio().result(10).item_id
        with rt.connect("m", base_url=server.base_url, api_key="k", session=quiet, checks=False) as session:
            session.append_audio_bytes(b"\x01" + bytes(9_600))
            assert session.commit_audio().result(10).item_id


# What the codec would forgive a server


def test_fields_of_the_wrong_kind_are_not_sent() -> None:
    with FakeSession() as fake:
        odd = respond(instructions=5, max_output_tokens=[1], input=[None])
        with pytest.raises(InvalidEvent) as caught:
            fake.session.send(odd)
        assert str(caught.value) == (
            "response.create cannot be sent like this: response.instructions: expected str, got int;"
            " response.input[0]: expected an object, got null;"
            " response.max_output_tokens: expected int or str, got list"
        )
        with pytest.raises(InvalidEvent, match="has no `type`"):
            fake.session.send({})
