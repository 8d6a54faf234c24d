"""The stand-ins for speech, and the audio formats."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_raw import quiet, tone

from realtime_sync.local import describe_audio, tone_speech
from realtime_sync.local.sound import SPEAKER_RATE_HZ, AudioFormat, cut
from realtime_sync.local.speech import Speech, words_of
from realtime_sync.local.vad import EnergyVad


def test_speech_lasts_as_long_as_the_words_would() -> None:
    text = " ".join(["hello"] * 150)
    assert len(tone_speech(text)) / 2 / 24_000 == pytest.approx(60, rel=0.01)


def test_the_same_text_gives_the_same_samples_and_no_text_gives_none() -> None:
    assert tone_speech("Good morning") == tone_speech("Good morning")
    assert tone_speech("Good morning") != tone_speech("Good evening")
    assert tone_speech("  ") == b""
    assert tone_speech("\ud83d"), "half a pair of surrogates, as JSON may hold it"


@pytest.mark.parametrize("text", ["x" * 2_000_000, "x " * 1_000_000], ids=["one word", "many words"])
def test_of_a_long_text_ten_minutes_are_spoken_and_one_piece_is_made_at_a_time(text: str) -> None:
    tracemalloc.start()
    try:
        speech = Speech.of_tones(text)
        told = sum(len(piece) for piece in speech.pieces)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told == speech.size_bytes
    assert told / 2 / SPEAKER_RATE_HZ == pytest.approx(600, abs=0.2)
    assert peak_bytes < 12_000_000, "the text in lower case, and what is kept of tones"


def test_a_tone_of_many_pieces_is_without_a_seam() -> None:
    samples = memoryview(tone_speech("x" * 50)).cast("h")
    steps = [abs(after - before) for before, after in itertools.pairwise(samples)]
    assert max(steps) == max(steps[:4_800]), "where it goes on it is as smooth as within its first piece"


@given(st.lists(st.binary(max_size=20)), st.integers(1, 10))
def test_cut_changes_no_byte(pieces: list[bytes], size_bytes: int) -> None:
    chunks = list(cut(pieces, size_bytes))
    assert b"".join(chunks) == b"".join(pieces)
    assert all(len(chunk) == size_bytes for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= size_bytes for chunk in chunks)


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
    assert all(word and " " not in word[1:] for word in words_of(text))


def test_the_words_of_a_book_come_in_longer_pieces() -> None:
    text = "to be or not\n" * 160_000
    pieces = words_of(text)
    assert "".join(pieces) == text
    assert len(pieces) < 5_000


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
    spoken = b"".join(audio_format.from_speaker(cut([tone(1_000)], 4_000)))
    assert len(spoken) == second_bytes == audio_format.size_from_speaker(48_000)
    assert audio_format.ms(len(spoken)) == 1_000
    assert len(audio_format.to_pcm(bytes(second_bytes))) == second_bytes * 2 // audio_format.sample_bytes
