"""What people type who know another library, or the preview."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import LocalServer
from realtime_sync.sending.older_names import type_meant


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
