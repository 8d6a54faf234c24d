"""The stand-ins for speech, and the audio formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_raw import quiet, tone

from realtime_sync.local import describe_audio, tone_speech
from realtime_sync.local.sound import AudioFormat
from realtime_sync.local.speech import words_of
from realtime_sync.local.vad import EnergyVad


def test_speech_lasts_as_long_as_the_words_would() -> None:
    text = " ".join(["hello"] * 150)
    assert len(tone_speech(text)) / 2 / 24_000 == pytest.approx(60, rel=0.01)


def test_the_same_text_gives_the_same_samples_and_no_text_gives_none() -> None:
    assert tone_speech("Good morning") == tone_speech("Good morning")
    assert tone_speech("Good morning") != tone_speech("Good evening")
    assert tone_speech("  ") == b""


def test_tones_are_speech_for_the_turn_detection() -> None:
    detector = EnergyVad(rate_hz=24_000, threshold=0.5, silence_ms=500)
    marks = detector.feed(tone_speech("This is one turn and not more than one.") + quiet(600))
    assert [mark.kind for mark in marks] == ["started", "stopped"]


def test_the_note_tells_the_length() -> None:
    assert describe_audio(tone(1_600), 24_000) == "(1.6 seconds of audio)"
    assert describe_audio(tone(1_600, 8_000), 8_000) == "(1.6 seconds of audio)"


@given(st.text())
def test_words_join_to_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text


@pytest.mark.parametrize(
    ("config", "second_bytes"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, 48_000),
        ({"type": "audio/pcm"}, 48_000),
        ({"type": "audio/pcm", "rate": 16_000}, 32_000),
        ({"type": "audio/pcmu"}, 8_000),
        ({"type": "audio/pcma"}, 8_000),
    ],
)
def test_formats_know_how_long_bytes_last(config: dict[str, object], second_bytes: int) -> None:
    audio_format = AudioFormat.of(config)
    assert audio_format.ms(second_bytes) == 1_000
    assert audio_format.size(250) == second_bytes // 4
    assert len(audio_format.from_speaker(tone(1_000))) == second_bytes
    assert audio_format.ms(len(audio_format.from_speaker(tone(1_000)))) == 1_000
    assert len(audio_format.to_pcm(bytes(second_bytes))) == second_bytes * 2 // audio_format.sample_bytes
