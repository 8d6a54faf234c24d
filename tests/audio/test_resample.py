from __future__ import annotations

import math
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync.audio import Resampler
from realtime_sync.errors import ConfigurationError

RATES = [(8000, 24000), (16000, 24000), (22050, 24000), (44100, 24000), (48000, 24000), (24000, 8000), (24000, 44100)]
every_rate = pytest.mark.parametrize(("from_hz", "to_hz"), RATES)


def tone(hz: float, rate_hz: int, *, seconds: float = 0.25, amplitude: float = 10_000) -> array[int]:
    step = 2 * math.pi * hz / rate_hz
    return array("h", [round(amplitude * math.sin(step * n)) for n in range(int(rate_hz * seconds))])


def resampled(pcm: array[int] | bytes, from_hz: int, to_hz: int) -> array[int]:
    resampler = Resampler(from_hz, to_hz)
    return array("h", resampler.feed(pcm) + resampler.finish())


def middle(samples: array[int]) -> array[int]:
    """Without the edges, where a tone begins and ends abruptly."""
    tenth = len(samples) // 10
    return samples[tenth:-tenth]


def rms(samples: array[int]) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def amplitude_at(samples: array[int], hz: float, rate_hz: int) -> float:
    """The amplitude of one frequency, under a Hann window."""
    count = len(samples)
    step = 2 * math.pi * hz / rate_hz
    windowed = [sample * (1 - math.cos(2 * math.pi * n / count)) for n, sample in enumerate(samples)]
    real = sum(value * math.cos(step * n) for n, value in enumerate(windowed))
    imaginary = sum(value * math.sin(step * n) for n, value in enumerate(windowed))
    return 2 * math.hypot(real, imaginary) / count


@every_rate
def test_the_length_is_right(from_hz: int, to_hz: int) -> None:
    for count in (0, 1, 2, 3, 7, 100, 441, 1000):
        assert len(resampled(bytes(2 * count), from_hz, to_hz)) == math.ceil(count * to_hz / from_hz)


@every_rate
def test_a_tone_keeps_frequency_amplitude_and_place(from_hz: int, to_hz: int) -> None:
    for hz in (100, 1000, min(from_hz, to_hz) * 0.42):
        got = resampled(tone(hz, from_hz), from_hz, to_hz)
        assert amplitude_at(middle(got), hz, to_hz) == pytest.approx(10_000, rel=0.012)
        # Against the same tone made at the other rate: nothing else came in, and nothing moved.
        wanted = tone(hz, to_hz)
        difference = array("h", [a - b for a, b in zip(middle(got), middle(wanted), strict=False)])
        assert rms(difference) < 10_000 * 0.012


@pytest.mark.parametrize(("from_hz", "to_hz", "hz"), [(48000, 24000, 12_200), (48000, 24000, 15_000),
                                                      (44100, 24000, 20_000), (24000, 8000, 4_100),
                                                      (24000, 16000, 9_000), (96000, 24000, 40_000)])  # fmt: skip
def test_what_the_lower_rate_cannot_hold_is_suppressed(from_hz: int, to_hz: int, hz: float) -> None:
    got = resampled(tone(hz, from_hz, amplitude=30_000), from_hz, to_hz)
    # 60 dB below the input, which is 30000 / sqrt(2).
    assert rms(middle(got)) < 30_000 / math.sqrt(2) / 1000


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 24000), (16000, 24000), (22050, 24000)])
def test_a_higher_rate_brings_no_images(from_hz: int, to_hz: int) -> None:
    hz = from_hz * 0.4
    got = middle(resampled(tone(hz, from_hz, amplitude=30_000), from_hz, to_hz))
    image = from_hz - hz
    folded = image if image < to_hz / 2 else to_hz - image
    assert amplitude_at(got, folded, to_hz) < 30_000 / 1000


@every_rate
def test_a_constant_stays_the_same(from_hz: int, to_hz: int) -> None:
    assert set(middle(resampled(array("h", [12_345]) * (from_hz // 10), from_hz, to_hz))) == {12_345}


def test_loud_edges_are_clipped_not_wrapped() -> None:
    square = array("h", ([32767] * 40 + [-32768] * 40) * 20)
    got = middle(resampled(square, 16000, 24000))
    assert max(got) == 32767
    assert min(got) == -32768
    assert all(abs(a - b) < 65000 for a, b in pairwise(got))


@given(
    st.sampled_from([*RATES, (24000, 24000), (44056, 24000)]),
    st.binary(max_size=3000).map(lambda pcm: pcm[: len(pcm) // 2 * 2]),
    st.lists(st.integers(0, 700), max_size=12),
)
def test_the_cuts_of_the_stream_do_not_matter(rates: tuple[int, int], pcm: bytes, sizes: list[int]) -> None:
    whole = Resampler(*rates)
    piecewise = Resampler(*rates)
    out = b""
    start = 0
    for size in sizes:
        out += piecewise.feed(pcm[start : start + size])
        start += size
    out += piecewise.feed(pcm[start:]) + piecewise.finish()
    assert out == whole.feed(pcm) + whole.finish()


def test_long_input_is_the_same_in_one_piece_and_in_many() -> None:
    pcm = tone(440, 16000, seconds=2.5).tobytes()
    whole, piecewise = Resampler(16000, 24000), Resampler(16000, 24000)
    out = b"".join(piecewise.feed(pcm[start : start + 3201]) for start in range(0, len(pcm), 3201))
    assert out + piecewise.finish() == whole.feed(pcm) + whole.finish()


def test_output_comes_while_the_stream_goes_on() -> None:
    resampler = Resampler(16000, 24000)
    came = sum(len(resampler.feed(bytes(640))) for _ in range(10)) // 2
    # At most a few milliseconds are held back.
    assert 4800 - 24 * 4 < came <= 4800


def test_the_same_rate_changes_nothing() -> None:
    resampler = Resampler(24000, 24000)
    assert resampler.feed(b"\1\2\3") == b"\1\2"
    assert resampler.feed(b"\4") == b"\3\4"
    assert resampler.finish() == b""


@pytest.mark.parametrize("rates", [(16000, 24000), (24000, 24000)])
def test_the_end_of_a_stream(rates: tuple[int, int]) -> None:
    resampler = Resampler(*rates)
    resampler.feed(b"\0")
    with pytest.raises(ConfigurationError, match="half a 16-bit sample"):
        resampler.finish()
    resampler.feed(b"\0")
    resampler.finish()
    assert resampler.finish() == b""
    with pytest.raises(ConfigurationError, match="finished"):
        resampler.feed(b"\0\0")


@pytest.mark.parametrize("wrong", [0, -1, 999, 768_001, 16000.5, "16000", None])
def test_an_impossible_rate_is_refused(wrong: int) -> None:
    with pytest.raises(ConfigurationError, match="sample rate"):
        Resampler(wrong, 24000)
    with pytest.raises(ConfigurationError, match="sample rate"):
        Resampler(24000, wrong)


def test_numpy_input() -> None:
    numpy = pytest.importorskip("numpy")
    samples = numpy.array(tone(300, 16000), dtype=numpy.int16)
    assert resampled(samples, 16000, 24000) == resampled(samples.tobytes(), 16000, 24000)
