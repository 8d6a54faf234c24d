"""Voice activity by loudness."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_raw import quiet, tone

from realtime_sync.local.vad import EnergyVad, Mark


def vad(rate_hz: int = 24_000, threshold: float = 0.5, silence_ms: int = 500) -> EnergyVad:
    return EnergyVad(rate_hz=rate_hz, threshold=threshold, silence_ms=silence_ms)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000])
def test_speech_between_silence_is_found_at_its_place(rate_hz: int) -> None:
    audio = quiet(400, rate_hz) + tone(600, rate_hz) + quiet(1_000, rate_hz)
    assert vad(rate_hz).feed(audio) == [Mark("started", 400), Mark("stopped", 1_500)]


def test_two_turns_in_one_piece() -> None:
    turn = tone(300) + quiet(600)
    marks = vad().feed(turn + turn)
    assert [mark.kind for mark in marks] == ["started", "stopped"] * 2


def test_a_pause_shorter_than_the_silence_belongs_to_the_turn() -> None:
    marks = vad(silence_ms=500).feed(tone(300) + quiet(400) + tone(300) + quiet(600))
    assert marks == [Mark("started", 0), Mark("stopped", 1_500)]


def test_a_click_is_no_speech() -> None:
    assert vad().feed(quiet(200) + tone(20) + quiet(600)) == []


def test_silence_never_speaks() -> None:
    detector = vad()
    assert detector.feed(quiet(5_000)) == []
    assert not detector.speaking


@pytest.mark.parametrize(
    ("threshold", "amplitude", "found"), [(0.5, 300, False), (0.1, 300, True), (1.0, 3_000, False)]
)
def test_the_threshold_decides_what_is_loud(threshold: float, amplitude: int, found: bool) -> None:
    assert bool(vad(threshold=threshold).feed(tone(300, amplitude=amplitude))) is found


@given(st.lists(st.integers(1, 4_000), min_size=1, max_size=40))
def test_the_cut_of_the_audio_changes_nothing(sizes: list[int]) -> None:
    audio = quiet(130) + tone(210) + quiet(560) + tone(90)
    whole = vad().feed(audio)
    detector, marks, start = vad(), [], 0
    for size in sizes:
        marks += detector.feed(audio[start : start + size])
        start += size
    assert marks + detector.feed(audio[start:]) == whole
