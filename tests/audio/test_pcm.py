from __future__ import annotations

import threading
from array import array
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from realtime_sync._containers import container_of
from realtime_sync._deadline import now
from realtime_sync.audio import chunks, duration_ms
from realtime_sync.audio.pcm import pcm_bytes
from realtime_sync.errors import ConfigurationError

SECOND = bytes(range(250)) * 192


@pytest.mark.parametrize(
    ("size_bytes", "encoding", "rate_hz", "ms"),
    [
        (48_000, "audio/pcm", None, 1000),
        (48_000, "pcm16", None, 1000),
        (32_000, "audio/pcm", 16_000, 1000),
        (8_000, "audio/pcmu", None, 1000),
        (800, "g711_ulaw", None, 100),
        (800, "audio/pcma", None, 100),
        (800, "g711_alaw", 16_000, 50),
        (2, "audio/pcm", None, 1 / 24),
        (0, "audio/pcm", None, 0),
    ],
)
def test_duration(size_bytes: int, encoding: str, rate_hz: int | None, ms: float) -> None:
    assert duration_ms(size_bytes, encoding, rate_hz=rate_hz) == pytest.approx(ms)


def test_duration_of_the_impossible() -> None:
    with pytest.raises(ConfigurationError, match="unknown audio encoding 'mp3'; known are audio/pcm"):
        duration_ms(1, "mp3")
    with pytest.raises(ConfigurationError, match=r"whole number of bytes, 0 or more; not -1"):
        duration_ms(-1)
    with pytest.raises(ConfigurationError, match="sample rate"):
        duration_ms(1, rate_hz=0)


def test_chunks_of_a_buffer() -> None:
    pieces = list(chunks(SECOND + b"\1\2", chunk_ms=100))
    assert [len(piece) for piece in pieces] == [4800] * 10 + [2]
    assert b"".join(pieces) == SECOND + b"\1\2"
    assert all(type(piece) is bytes for piece in pieces)


def test_chunks_at_another_rate() -> None:
    assert [len(piece) for piece in chunks(bytes(1000), chunk_ms=20, rate_hz=11_025)] == [440, 440, 120]


def test_nothing_is_no_chunk() -> None:
    assert list(chunks(b"")) == list(chunks([])) == list(chunks([b"", b""])) == []


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 7))
def test_the_borders_of_the_input_do_not_matter(buffers: list[bytes], chunk_ms: int) -> None:
    whole = b"".join(buffers)
    if len(whole) % 2:
        buffers, whole = [*buffers, b"\0"], whole + b"\0"
    assume(container_of(whole) is None)
    assert list(chunks(buffers, chunk_ms=chunk_ms)) == list(chunks(whole, chunk_ms=chunk_ms))


def test_a_stream_is_cut_as_it_comes() -> None:
    taken: list[int] = []

    def microphone() -> Any:
        for index in range(3):
            taken.append(index)
            yield bytes(4800)

    pieces = chunks(microphone())
    next(pieces)
    assert taken == [0]


def test_half_a_sample_at_the_end_is_refused() -> None:
    pieces = chunks([bytes(4801)])
    assert len(next(pieces)) == 4800
    with pytest.raises(ConfigurationError, match="half a 16-bit sample"):
        next(pieces)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [({"chunk_ms": 0}, "chunk_ms"), ({"chunk_ms": -5}, "chunk_ms"), ({"rate_hz": 12}, "sample rate")],
)
def test_a_wrong_argument_is_refused_at_the_call(wrong: dict[str, int], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        chunks(b"", **wrong)


@pytest.mark.parametrize("wrong", ["text", 5, None, ["text"], [b"ok", 5]])
def test_what_is_not_audio_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="audio must be bytes"):
        list(chunks(wrong))


class Clock(threading.Event):
    """A `stop` that never comes and in whose waits time passes at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.time_s = 1000.0
        self.waits_s: list[float] = []
        monkeypatch.setattr("realtime_sync._deadline.monotonic", lambda: self.time_s)
        monkeypatch.setattr("realtime_sync.audio.pcm.now", lambda: self.time_s)

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        self.time_s += timeout
        return False


def test_paced_chunks_come_as_they_would_play(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pieces = chunks(bytes(48_000 * 3), chunk_ms=700, paced=True, stop=clock)
    arrivals = [clock.time_s for _ in pieces]
    assert arrivals == pytest.approx([1000, 1000.7, 1001.4, 1002.1, 1002.8])
    # In slices, so that Ctrl-C gets through.
    assert max(clock.waits_s) <= 0.2


def test_a_slow_consumer_is_not_made_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pieces = chunks(bytes(4800 * 4), chunk_ms=100, paced=True, stop=clock)
    next(pieces)
    clock.time_s += 0.25
    next(pieces)
    next(pieces)
    assert clock.waits_s == []
    next(pieces)
    assert clock.waits_s == pytest.approx([0.05])


def test_pacing_by_the_real_clock() -> None:
    started = now()
    arrivals_s = [now() - started for _ in chunks(bytes(480 * 5), chunk_ms=10, paced=True)]
    assert all(arrival_s >= index * 0.01 - 1e-6 for index, arrival_s in enumerate(arrivals_s))


def test_stop_ends_the_wait() -> None:
    stop = threading.Event()
    pieces = chunks(bytes(48_000 * 120), chunk_ms=60_000, paced=True, stop=stop)
    assert len(next(pieces)) == 48_000 * 60
    rest: list[bytes] = []
    consumer = threading.Thread(target=lambda: rest.extend(pieces))
    consumer.start()
    stop.set()
    consumer.join(10)
    assert not consumer.is_alive()
    assert rest == []


def test_stop_ends_an_unpaced_iteration() -> None:
    stop = threading.Event()
    pieces = chunks(SECOND, stop=stop)
    next(pieces)
    stop.set()
    assert list(pieces) == []


def test_buffers_of_every_kind() -> None:
    samples = array("h", [0, 1, -1, 32767, -32768])
    pcm = samples.tobytes()
    for same in (pcm, bytearray(pcm), memoryview(pcm), samples, memoryview(samples)):
        assert pcm_bytes(same) == pcm
    assert pcm_bytes(memoryview(samples)[::2]) == array("h", [0, -1, -32768]).tobytes()


def test_floats_are_scaled_and_clipped() -> None:
    for code in "fd":
        pcm = pcm_bytes(array(code, [0.0, 0.5, 1.0, -1.0, 7.0, float("-inf")]))
        assert list(array("h", pcm)) == [0, 16384, 32767, -32767, 32767, -32767]
    with pytest.raises(ConfigurationError, match="NaN"):
        pcm_bytes(array("f", [float("nan")]))


def test_other_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="format 'i'"):
        pcm_bytes(array("i", [1]))
    with pytest.raises(ConfigurationError, match=r"mono, not of shape \(2, 2\)"):
        pcm_bytes(memoryview(bytes(8)).cast("B").cast("h", (2, 2)))


def test_numpy_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    samples = numpy.array([0, 1, -1, 32767, -32768], dtype=numpy.int16)
    pcm = samples.tobytes()
    assert pcm_bytes(samples) == pcm_bytes(samples.reshape(5, 1)) == pcm
    assert pcm_bytes(samples[::-1]) == samples[::-1].tobytes()
    assert b"".join(chunks(numpy.zeros(5000, dtype=numpy.int16))) == bytes(10_000)
    assert pcm_bytes(numpy.array([0.5], dtype=numpy.float32)) == b"\x00\x40"
    for wrong in ("int64", "float16", ">i2", "object", "datetime64[s]"):
        with pytest.raises(ConfigurationError):
            pcm_bytes(numpy.zeros(2, dtype=wrong))
    with pytest.raises(ConfigurationError, match="mono"):
        pcm_bytes(numpy.zeros((4, 2), dtype=numpy.int16))


@pytest.mark.parametrize("encoding", ["audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw"])
def test_chunks_of_the_telephone(encoding: str) -> None:
    pieces = list(chunks([SECOND[:333], bytearray(SECOND[333:1001])], chunk_ms=20, encoding=encoding))
    assert [len(piece) for piece in pieces] == [160] * 6 + [41]  # 8000 Hz, one byte a sample
    assert b"".join(pieces) == SECOND[:1001]
    assert [len(piece) for piece in chunks(bytes(500), chunk_ms=20, encoding=encoding, rate_hz=16_000)] == [320, 180]


def test_chunks_of_what_is_not_in_the_encoding() -> None:
    with pytest.raises(ConfigurationError, match="unknown audio encoding 'mp3'"):
        chunks(b"", encoding="mp3")
    with pytest.raises(ConfigurationError, match=r"G\.711 audio must be bytes, not a buffer of format 'h'"):
        list(chunks(array("h", [1]), encoding="audio/pcmu"))
