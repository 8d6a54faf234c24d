"""What people type who know another library, or the preview."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import LocalServer
from realtime_sync.sending.older_names import names_meant, type_meant


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as made:
        yield made


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


@pytest.mark.parametrize(
    ("config", "hints"),
    [
        ({"voice": "alloy"}, ["session.voice is session.audio.output.voice today"]),
        (
            {"modalities": ["text"], "turn_detection": None, "input_audio_format": "pcm16"},
            ["output_modalities", "audio.input.turn_detection", 'audio.input.format, {"type": "audio/pcm"'],
        ),
        ({"input_audio_transcription": {"model": "whisper-1"}}, ["session.audio.input.transcription today"]),
        ({"max_response_output_tokens": 5}, ["session.max_output_tokens today"]),
        ({"temperature": 0.8}, ["session.temperature is gone"]),
        ({"session": {"voice": "alloy"}}, ["second 'session'"]),
    ],
)
def test_names_of_the_preview_are_answered_with_those_of_today(
    server: LocalServer, config: Any, hints: list[str]
) -> None:
    with pytest.raises(rt.ServerError) as refused:
        rt.connect("m", base_url=server.base_url, session=config)
    for hint in hints:
        assert hint in str(refused.value)
        assert hint in (refused.value.hint or "")
    assert refused.value.code == "unknown_parameter"
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_options_of_a_response_too(server: LocalServer) -> None:
    with rt.connect("m", base_url=server.base_url) as session:
        with pytest.raises(rt.ServerError, match=r"response\.modalities is response\.output_modalities today"):
            session.ask("hi", config={"modalities": ["text"]})
        with pytest.raises(rt.ServerError) as other:
            session.update_session({"colour": "blue"}).result()
        assert other.value.hint is None
        assert session.ask("hi").transcript


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("response.create", "create_response"),
        ("session.update", "update_session"),
        ("conversation.item.create", "create_item"),
        ("input_audio_buffer.append", "append_audio_bytes"),
        ("output_audio_buffer.clear", "clear_output_audio"),
        ("dispatch_events", "run"),
        ("recv_bytes", "add_tap"),
    ],
)
def test_paths_of_the_official_sdk_name_ours(fake: FakeSession, path: str, ours: str) -> None:
    owner: Any = fake.session
    *inner, last = path.split(".")
    with pytest.raises(AttributeError, match=ours):
        for name in (*inner, last):
            owner = getattr(owner, name)
    assert hasattr(rt.RealtimeSession, ours)
    assert [*inner, last][0] not in set(dir(fake.session)) - {"conversation"}
    assert "item" not in dir(fake.session.conversation)


def test_methods_of_their_events_name_ours() -> None:
    event = events.InputAudioBufferClear(event_id="e")
    for theirs in ("model_dump", "to_dict", "to_json", "model_dump_json"):
        with pytest.raises(AttributeError, match=r"event_to_dict|encode_event"):
            getattr(event, theirs)
        assert theirs not in dir(event)
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        event.colour  # type: ignore[attr-defined]  # noqa: B018
    assert copy.deepcopy(event) == pickle.loads(pickle.dumps(event)) == event


def test_other_missing_names_are_told_as_ever(fake: FakeSession) -> None:
    with pytest.raises(AttributeError, match=r"'RealtimeSession' object has no attribute 'colour'$") as missing:
        fake.session.colour  # type: ignore[attr-defined]  # noqa: B018
    assert (missing.value.name, missing.value.obj) == ("colour", fake.session)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("response.crate", "response.create"),
        ("respnse.create", "response.create"),
        ("sesion.update", "session.update"),
        ("input_audio_buffer.comit", "input_audio_buffer.commit"),
        ("conversation.item.creat", "conversation.item.create"),
    ],
)
def test_a_misspelt_type_is_refused_before_it_is_sent(fake: FakeSession, wrong: str, right: str) -> None:
    with pytest.raises(rt.InvalidEvent, match=f"did you mean '{right}'"):
        fake.session.send({"type": wrong})
    assert fake.wire.texts == []


@pytest.mark.parametrize("own", ["input_image_buffer.append", "vendor.thing", "response.create_more", "x"])
def test_types_of_somebodys_own_are_sent(own: str) -> None:
    assert type_meant(own, events.CLIENT_EVENTS) is None


def test_without_checks_a_misspelt_type_is_sent(server: LocalServer) -> None:
    with rt.connect("m", base_url=server.base_url, checks=False) as session:
        session.send({"type": "response.crate"})
        assert session.wait_for("error").error.message


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"instructoins": "x"}, "did you mean 'instructions'?"),
        ({"audio": {"input": {"turn_detction": None}}}, "did you mean 'turn_detection'?"),
        (
            {"tools": [{"type": "mcp", "server_label": "a", "server_url": "https://x.test", "hedaers": {}}]},
            "'headers'?",
        ),
        ({"audio": {"input": {"colour": 1}}}, None),
    ],
)
def test_a_misspelt_option_is_answered_with_the_one_that_is_meant(
    server: LocalServer, config: Any, hint: str | None
) -> None:
    with pytest.raises(rt.ServerError, match="Unknown parameter") as refused:
        rt.connect("m", base_url=server.base_url, session=config)
    assert (refused.value.hint or "").endswith(hint) if hint else refused.value.hint is None


def test_a_path_that_leads_nowhere_has_no_hint() -> None:
    for param in (None, "", "session.tools[9].nme", "a.b[0].c", "session"):
        error = rt.ServerError("unknown", code="unknown_parameter", param=param)
        assert names_meant(error, events.SessionUpdate(session=events.RealtimeSessionConfig(tools=[]))) == ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("session.model", "config.model"),
        ("session.say", "ask(text)"),
        ("session.disconnect", "close() ends it"),
        ("session.conversation.messages", "iterate it"),
        ("session.usage.total_tokens", "total.total_tokens"),
        ("session.config.voice", "it is audio.output.voice today"),
        ("session.config.temperature", "it is gone today"),
        ("turn.wait", "result() waits"),
        ("turn.reply.content", "text is what was written"),
        ("ack.get", "result() waits"),
    ],
)
def test_what_people_guess_is_answered_with_ours(server: LocalServer, path: str, told: str) -> None:
    with rt.connect("m", base_url=server.base_url) as session:
        turn = session.respond("hi")
        turn.result()
        first, *inner, last = path.split(".")
        owner: Any = {"session": session, "turn": turn, "ack": session.clear_audio()}[first]
        for name in inner:
            owner = getattr(owner, name)
        with pytest.raises(AttributeError, match=re.escape(told)):
            getattr(owner, last)
        assert last not in dir(owner)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LocalServer", ": it is realtime_sync.local.LocalServer"),
        ("read_wav", ": it is realtime_sync.audio.read_wav"),
        ("ServerVad", ": it is realtime_sync.events.ServerVad"),
        ("RealtimeClient", ": connect(model) opens a session"),
        ("conect", "has no attribute 'conect'"),
        ("_private", "has no attribute '_private'"),
    ],
)
def test_names_of_other_rooms_say_where_they_are(name: str, told: str) -> None:
    with pytest.raises(AttributeError) as missing:
        getattr(rt, name)
    assert str(missing.value).endswith(told)
    assert (missing.value.name, missing.value.obj) == (name, rt)


def test_the_place_of_an_item_in_the_conversation(server: LocalServer) -> None:
    with rt.connect("m", base_url=server.base_url) as session:
        session.ask("hi")
        assert session.conversation[-1].text == "You said: hi"
        assert session.conversation[0] == session.conversation.snapshot()[0]
        with pytest.raises(IndexError):
            session.conversation[2]
        with pytest.raises(KeyError):
            session.conversation["absent"]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda fake: fake.session.send("response.create"), "json.loads"),
        (lambda fake: fake.session.send(events.ResponseCreate), "ResponseCreate(...)"),
        (lambda fake: fake.session.create_item("hi"), "item must be a mapping .* not str; send_text"),
        (lambda fake: fake.session.update_session(None), "config must be a mapping .* not null$"),
        (lambda fake: fake.session.ask(b"hi"), "sound goes in as audio="),
        (lambda fake: fake.session.append_audio_bytes(Path("x.wav")), "read_wav"),
        (
            lambda fake: rt.connect("m", base_url="http://localhost:1", session="Be brief."),
            "instructions= takes a text",
        ),
        (lambda fake: rt.connect("m", base_url="http://localhost:1", cost_limit=5), "cost_limit must be a CostLimit"),
        (lambda fake: rt.connect("m", base_url="http://localhost:1", family="beta"), "family must be an events.Family"),
        (lambda fake: rt.connect("m", base_url="http://localhost:1", tools=[5]), "int cannot be called"),
    ],
)
def test_arguments_of_the_wrong_kind_name_the_right_one(fake: FakeSession, call: Any, told: str) -> None:
    with pytest.raises((rt.InvalidEvent, rt.ConfigurationError)) as refused:
        call(fake)
    assert re.search(told.replace("(...)", r"\(\.\.\.\)"), str(refused.value))


def test_tools_may_be_a_list(server: LocalServer) -> None:
    def clock() -> str:
        """Tells the time."""
        return "noon"

    with rt.connect("m", base_url=server.base_url, tools=[clock]) as session:
        assert session.config.tools is not None
        assert [tool.name for tool in session.config.tools if isinstance(tool, events.FunctionTool)] == ["clock"]
        session.use_tools([])
        assert not session.config.tools or session.update_session({}).result().session.tools == []


def test_instructions_and_voice_go_to_their_places(server: LocalServer) -> None:
    given = {"audio": {"output": {"speed": 1.1}}}
    with rt.connect("m", base_url=server.base_url, instructions="Be brief.", voice="cedar", session=given) as session:
        assert session.config.instructions == "Be brief."
        assert session.config.audio is not None
        assert session.config.audio.output is not None
        assert (session.config.audio.output.voice, session.config.audio.output.speed) == ("cedar", 1.1)
    assert given == {"audio": {"output": {"speed": 1.1}}}


@pytest.mark.parametrize(
    "more",
    [
        {"instructions": "a", "session": {"instructions": "b"}},
        {"voice": "a", "session": {"audio": {"output": {"voice": "b"}}}},
        {"voice": "a", "session": {"voice": "b"}},
    ],
)
def test_given_twice_is_refused_before_anything_is_dialled(more: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match="leave one of them out"):
        rt.connect("m", base_url="http://localhost:1", **more)
