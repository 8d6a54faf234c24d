"""Several channels to one, and back."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync.audio import to_channels, to_mono
from realtime_sync.errors import ConfigurationError

samples = st.lists(st.integers(-32768, 32767), max_size=50)


def pcm(*numbers: int) -> bytes:
    return np.array(numbers, "<i2").tobytes()


def test_stereo_is_averaged() -> None:
    assert to_mono(pcm(100, 200, -100, -201, 32767, 32767, -32768, -32768), 2) == pcm(150, -151, 32767, -32768)
    assert to_mono(b"", 2) == b""


@pytest.mark.parametrize("channels", [1, 2, 3, 64])
@given(numbers=samples)
def test_there_and_back(numbers: list[int], channels: int) -> None:
    spread = to_channels(pcm(*numbers), channels)
    assert len(spread) == 2 * len(numbers) * channels
    assert to_mono(spread, channels) == pcm(*numbers)


@given(numbers=st.lists(st.tuples(*[st.integers(-32768, 32767)] * 3), max_size=20))
def test_it_is_the_average_of_each_frame(numbers: list[tuple[int, int, int]]) -> None:
    frames = np.array(numbers, "<i2").reshape(-1, 3)
    assert to_mono(frames, 3) == to_mono(frames.tobytes(), 3) == pcm(*(sum(frame) // 3 for frame in numbers))


def test_what_sound_cards_give() -> None:
    stereo = np.array([[0.5, -0.5], [1.0, 2.0]], np.float32)
    assert to_mono(stereo, 2) == to_mono(array("f", [0.5, -0.5, 1.0, 2.0]), 2) == pcm(0, 32767)
    assert to_mono(np.array([[5], [6]], np.int16), 1) == pcm(5, 6)
    assert to_channels(array("h", [1, 2]), 2) == pcm(1, 1, 2, 2)
    assert to_mono(memoryview(pcm(1, 3)), 2) == pcm(2)


@pytest.mark.parametrize("channels", [0, -1, 65, 1.5, None, "2"])
def test_impossible_numbers_of_channels(channels: Any) -> None:
    for convert in (to_mono, to_channels):
        with pytest.raises(ConfigurationError, match="channels must be a whole number of channels, from 1 to 64"):
            convert(b"", channels)


def test_what_is_no_audio_of_so_many_channels() -> None:
    with pytest.raises(ConfigurationError, match="3 samples are no whole frames of 2 channels"):
        to_mono(bytes(6), 2)
    with pytest.raises(ConfigurationError, match="half a sample"):
        to_mono(bytes(5), 2)
    with pytest.raises(ConfigurationError, match=r"of shape \(frames, 2\), not \(2, 4\)"):
        to_mono(np.zeros((2, 4), np.int16), 2)
    with pytest.raises(ConfigurationError, match="not str"):
        to_mono("pcm", 2)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"audio\.to_mono\(pcm, channels\) mixes"):
        to_channels(np.zeros((2, 4), np.int16), 2)
