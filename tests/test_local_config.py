"""How an update of the session is merged."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from realtime_sync.local.checks import Refusal
from realtime_sync.local.config import (
    default_session,
    merge_response,
    merge_session,
    silence_ms,
)


@pytest.fixture
def config() -> dict[str, Any]:
    return default_session("realtime", "sess_1", "gpt-realtime", 1_700_000_000, 24_000)


def turn_detection(config: dict[str, Any]) -> Any:
    return config["audio"]["input"]["turn_detection"]


def test_only_what_is_named_changes(config: dict[str, Any]) -> None:
    before = copy.deepcopy(config)
    merged = merge_session(config, {"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
    assert config == before
    expected = copy.deepcopy(before)
    expected["audio"]["output"]["voice"] = "cedar"
    assert merged == expected


def test_null_switches_off_and_absence_does_not(config: dict[str, Any]) -> None:
    merged = merge_session(config, {"audio": {"input": {"turn_detection": None}}})
    assert turn_detection(merged) is None
    assert turn_detection(merge_session(merged, {"audio": {"input": {"noise_reduction": None}}})) is None
    back = merge_session(merged, {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert back == config


def test_turn_detection_merges_within_its_type_and_starts_anew_in_another(config: dict[str, Any]) -> None:
    quick = merge_session(config, {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}}})
    slow = merge_session(
        quick, {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 9}}}}
    )
    assert (turn_detection(slow)["threshold"], turn_detection(slow)["silence_duration_ms"]) == (0.7, 9)
    semantic = merge_session(slow, {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}})
    assert turn_detection(semantic) == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


def test_whole_settings_are_replaced(config: dict[str, Any]) -> None:
    first = merge_session(config, {"tools": [{"type": "function", "name": "a"}], "prompt": {"id": "p", "version": "1"}})
    second = merge_session(first, {"tools": [{"type": "function", "name": "b"}], "prompt": {"id": "q"}})
    assert [tool["name"] for tool in second["tools"]] == ["b"]
    assert second["prompt"] == {"id": "q"}


def test_transcription_shows_what_is_not_set(config: dict[str, Any]) -> None:
    merged = merge_session(config, {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}})
    assert merged["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe", "language": None, "prompt": None}


def test_a_format_has_the_rate_of_its_type(config: dict[str, Any]) -> None:
    merged = merge_session(config, {"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    assert merged["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    back = merge_session(merged, {"audio": {"output": {"format": {"type": "audio/pcm"}}}})
    assert back["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}


@pytest.mark.parametrize(
    ("update", "param"),
    [({"type": "transcription"}, "session.type"), ({"type": "realtime", "model": "gpt-other"}, "session.model")],
)
def test_type_and_model_are_fixed(config: dict[str, Any], update: dict[str, Any], param: str) -> None:
    with pytest.raises(Refusal) as refused:
        merge_session(config, update)
    assert refused.value.param == param


def test_the_same_model_may_be_named(config: dict[str, Any]) -> None:
    assert merge_session(config, {"type": "realtime", "model": "gpt-realtime"}) == config


def test_a_locked_voice_refuses_the_whole_update(config: dict[str, Any]) -> None:
    update = {"instructions": "x", "audio": {"output": {"voice": "cedar"}}}
    with pytest.raises(Refusal) as refused:
        merge_session(config, update, voice_locked=True)
    assert refused.value.code == "cannot_update_voice"
    update["audio"]["output"]["voice"] = "marin"
    assert merge_session(config, update, voice_locked=True)["instructions"] == "x"


def test_a_response_takes_the_sessions_settings(config: dict[str, Any]) -> None:
    settings = merge_response(config, {"output_modalities": ["text"], "metadata": {"a": "b"}}, voice_locked=False)
    assert settings["output_modalities"] == ["text"]
    assert settings["instructions"] == config["instructions"]
    assert settings["audio"]["output"]["voice"] == "marin"
    assert settings["metadata"] == {"a": "b"}


def test_out_of_band_may_use_another_voice(config: dict[str, Any]) -> None:
    other = {"audio": {"output": {"voice": "cedar"}}}
    with pytest.raises(Refusal):
        merge_response(config, other, voice_locked=True)
    settings = merge_response(config, {**other, "conversation": "none"}, voice_locked=True)
    assert settings["audio"]["output"]["voice"] == "cedar"


def test_eagerness_stands_for_silence() -> None:
    lengths = [silence_ms({"type": "semantic_vad", "eagerness": name}) for name in ("high", "medium", "low")]
    assert lengths == sorted(lengths)
    assert silence_ms({"type": "server_vad", "silence_duration_ms": 350}) == 350


def test_a_transcription_session_has_input_only() -> None:
    config = default_session("transcription", "sess_1", "", 1, 24_000)
    assert config["object"] == "realtime.transcription_session"
    assert set(config["audio"]) == {"input"}
