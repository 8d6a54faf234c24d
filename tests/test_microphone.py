"""The microphone's feed: its callback is never held up, whatever the network and the session do."""

from __future__ import annotations

import base64
import gc
import logging
import threading
from array import array
from collections.abc import Callable, Iterator
from ctypes import c_float, c_int16
from typing import Any

import numpy as np
import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync._deadline import Deadline
from realtime_sync.audio import Resampler, encode_pcmu, to_mono
from realtime_sync.local import LocalServer
from realtime_sync.playback import MicrophoneFeed

WAIT_S = 20.0
MS = 48
"""Bytes of a millisecond of 24 kHz PCM."""


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as fake:
        yield fake
        gc.collect()
    assert not [t for t in threading.enumerate() if t.name == "realtime_sync-microphone" and t.is_alive()]


def sent(fake: FakeSession) -> bytes:
    return b"".join(base64.b64decode(text["audio"]) for text in list(fake.wire.texts))


def configure(fake: FakeSession, **audio_format: Any) -> None:
    config = {"type": "realtime", "audio": {"input": {"format": audio_format}}}
    fake.wire.say({"type": "session.updated", "session": config})
    fake.session.wait_for("session.updated", timeout=WAIT_S)


def until(done: Callable[[], bool]) -> None:
    deadline = Deadline(WAIT_S)
    while not done():
        assert not deadline.expired
        threading.Event().wait(0.002)


class Stuck:
    """A network that takes nothing until the test lets it."""

    def __init__(self, fake: FakeSession) -> None:
        self.go = threading.Event()
        self.reached = threading.Event()
        real = fake.wire.send_text

        def send_text(text: str | bytes, timeout_s: float) -> None:
            self.reached.set()
            assert self.go.wait(WAIT_S)
            real(text, timeout_s)

        fake.wire.send_text = send_text  # type: ignore[method-assign]


def test_what_is_put_is_sent_in_order(fake: FakeSession) -> None:
    pieces = [bytes([number, 0]) * 480 for number in range(20)]
    with MicrophoneFeed(fake.session) as feed:
        for piece in pieces:
            feed.put(piece)
        assert feed.flush(WAIT_S)
        assert sent(fake) == b"".join(pieces)
        assert (feed.dropped_ms, feed.error, "open" in repr(feed)) == (0, None, True)
    assert (feed.dropped_ms, feed.error, "closed" in repr(feed)) == (0, None, True)
    feed.put(bytes(MS))
    assert feed.dropped_ms == 1
    feed.close()


def test_a_buffer_that_is_used_again_is_copied(fake: FakeSession) -> None:
    stuck = Stuck(fake)
    buffer = bytearray(b"\1\0" * 100)
    with MicrophoneFeed(fake.session) as feed:
        feed.put(buffer)
        buffer[:] = bytes(200)
        stuck.go.set()
    assert sent(fake) == b"\1\0" * 100


def test_a_network_that_is_stuck_holds_nobody_up_and_the_oldest_is_dropped(fake: FakeSession) -> None:
    stuck = Stuck(fake)
    with MicrophoneFeed(fake.session, limit_s=0.1) as feed:
        feed.put(b"\1\0" * 24 * 10)
        assert stuck.reached.wait(WAIT_S)  # these 10 ms are on their way
        for number in range(2, 17):
            feed.put(bytes([number, 0]) * 24 * 10)
        assert feed.dropped_ms == 50
        assert not feed.flush(0.01)
        stuck.go.set()
        assert feed.flush(WAIT_S)
    assert sorted(set(sent(fake)[::2])) == [1, *range(7, 17)]
    assert feed.dropped_ms == 50


def test_after_close_nothing_more_is_sent_and_what_waited_is_counted(fake: FakeSession) -> None:
    stuck = Stuck(fake)
    feed = MicrophoneFeed(fake.session)
    for number in range(1, 9):
        feed.put(bytes([number, 0]) * 24 * 10)
    assert stuck.reached.wait(WAIT_S)  # the first 10 ms are on their way
    feed.close(timeout=0.01)
    assert feed.dropped_ms == 70
    stuck.go.set()
    feed._thread.join(WAIT_S)
    assert sent(fake) == b"\1\0" * 24 * 10
    assert (feed.dropped_ms, feed.error, "0 pieces wait" in repr(feed)) == (70, None, True)


def test_a_piece_that_could_not_leave_in_time_is_dropped_and_the_rest_goes_on(
    fake: FakeSession, caplog: pytest.LogCaptureFixture
) -> None:
    fake.wire.send_fault = rt.RealtimeTimeout("too slow")
    with MicrophoneFeed(fake.session) as feed:
        feed.put(bytes(10 * MS))
        assert feed.flush(WAIT_S)
        fake.wire.send_fault = None
        feed.put(b"\1\0")
    assert sent(fake) == b"\1\0"
    assert feed.dropped_ms == 10
    assert "too slow" in caplog.text


@pytest.mark.parametrize("how", ["lost", "closed"])
def test_the_end_of_the_session_is_no_exception_in_the_callback(
    fake: FakeSession, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    feed = MicrophoneFeed(fake.session)
    if how == "lost":
        fake.wire.send_fault = rt.ConnectionLost("gone")
        feed.put(bytes(10 * MS))
    else:
        fake.session.close()
    feed._thread.join(WAIT_S)
    feed.put(bytes(5 * MS))
    assert (str(feed.error), feed.dropped_ms) == (("gone", 5) if how == "lost" else ("None", 5))
    assert feed.flush(0) is (how == "closed")
    assert [record.levelno for record in caplog.records if record.levelno > logging.INFO] == []


def test_stereo_of_a_sound_card_comes_as_the_session_wants_it(fake: FakeSession) -> None:
    stereo = (np.sin(np.arange(9600) / 20) * 8000).astype("<i2").reshape(-1, 2)
    with MicrophoneFeed(fake.session, rate_hz=48_000, channels=2) as feed:
        for start in range(0, len(stereo), 480):
            feed.put(stereo[start : start + 480])
    assert sent(fake) == Resampler(48_000, 24_000).feed(to_mono(stereo, 2))


def test_the_telephone_gets_its_coding(fake: FakeSession) -> None:
    configure(fake, type="audio/pcmu")
    pcm = array("h", range(-4000, 4000, 100))
    with MicrophoneFeed(fake.session) as feed:  # 8000 Hz, the rate of the session's input
        feed.put(pcm)
    assert sent(fake) == encode_pcmu(pcm)


@pytest.mark.parametrize("make", [np.float32, np.float64])
def test_floats_are_samples_too(fake: FakeSession, make: Any) -> None:
    with MicrophoneFeed(fake.session, limit_s=0.001) as feed:  # 24 samples
        feed.put(np.array([0.0, 1.0, -2.0] * 8, make).reshape(-1, 1))
    assert sent(fake) == np.array([0, 32767, -32767] * 8, "<i2").tobytes()
    assert feed.dropped_ms == 0


@pytest.mark.parametrize(
    "pcm",
    [
        *(b"\1\0" * 4, bytearray(8), array("h", [1, 2]), memoryview(array("h", [1, 2, 3, 4]))[::2]),
        *(np.ones((2, 2), np.int16), np.ones((0, 2), np.int16), np.ones((4, 2), np.float32)[::2]),
        *((c_int16 * 4)(1, 2), ((c_int16 * 2) * 4)()),
    ],
)
def test_what_is_sent_is_what_to_mono_makes_of_it(fake: FakeSession, pcm: Any) -> None:
    with MicrophoneFeed(fake.session, channels=2) as feed:
        feed.put(pcm)
        assert feed.flush(WAIT_S)
    assert sent(fake) == to_mono(pcm, 2)


@pytest.mark.parametrize(
    "pcm",
    [
        *(bytes(3), np.zeros(4, np.int32), np.zeros((240, 2), np.int16), np.zeros((2, 240), np.float32)),
        *((c_float * 4)(), ((c_int16 * 2) * 4)(), np.zeros(4, ">i2"), np.zeros(4, np.float16), np.zeros(4, np.bool_)),
    ],
)
def test_what_is_no_audio_ends_the_feed_and_says_so(
    fake: FakeSession, pcm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with MicrophoneFeed(fake.session) as feed:
        feed.put(pcm)
        feed._thread.join(WAIT_S)
        assert isinstance(feed.error, rt.ConfigurationError)
    with pytest.raises(rt.ConfigurationError) as told:
        to_mono(pcm, 1)
    assert str(feed.error) == str(told.value)
    assert sent(fake) == b""
    assert "sent no more" in caplog.text


def test_what_is_no_buffer_is_logged(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    with MicrophoneFeed(fake.session) as feed:
        feed.put("text")
        feed.put(b"\1\0")
    assert sent(fake) == b"\1\0"
    assert "no buffer" in caplog.text


def test_it_can_be_muted(fake: FakeSession) -> None:
    with MicrophoneFeed(fake.session) as feed:
        feed.muted = True
        feed.put(b"\1\0")
        assert feed.muted
        feed.muted = False
        feed.put(b"\2\0")
    assert sent(fake) == b"\2\0"
    assert feed.dropped_ms == 0


def test_a_feed_that_was_closed_does_not_begin_again(fake: FakeSession) -> None:
    with MicrophoneFeed(fake.session) as feed:
        pass
    with pytest.raises(rt.ConfigurationError, match="make another MicrophoneFeed"), feed:
        pass
    ended = MicrophoneFeed(fake.session)
    fake.session.close()
    ended._thread.join(5)
    with ended:  # as one that ends a moment later
        assert ended.error is None or isinstance(ended.error, rt.ConnectionClosed)


@pytest.mark.parametrize("options", [{"channels": 0}, {"rate_hz": 10}, {"limit_s": 0}, {"limit_s": float("nan")}])
def test_impossible_arguments(fake: FakeSession, options: dict[str, Any]) -> None:
    with pytest.raises(rt.ConfigurationError):
        MicrophoneFeed(fake.session, **options)


def test_a_feed_keeps_no_session_alive() -> None:
    with FakeSession() as fake:
        feed = MicrophoneFeed(fake.session)
        session = fake.session
    session_id = id(session)
    del fake, session
    gc.collect()
    until(lambda: not feed._thread.is_alive())
    assert session_id
    feed.close()


# What is refused before anything is sent


def test_a_wav_file_is_refused_as_raw_audio(fake: FakeSession) -> None:
    wav = b"RIFF\x24\0\0\0WAVEfmt " + bytes(28)
    for given in (wav, bytearray(wav), np.frombuffer(wav, np.int16)):
        with pytest.raises(rt.InvalidEvent, match=r"a WAV file.*read_wav\(\)"):
            fake.session.append_audio_bytes(given)
    assert fake.wire.texts == []
    fake.session.append_audio_bytes(b"RIFF")  # it may be sound by chance


@pytest.mark.parametrize(
    ("audio", "why"), [(b"", "is empty"), (b"abc", "half a 16-bit sample"), (array("h"), "is empty")]
)
def test_no_audio_and_half_a_sample_are_refused_before_anything_is_sent(audio: Any, why: str) -> None:
    with LocalServer() as server, rt.connect("m", base_url=server.base_url) as session:
        for ask in (session.ask, session.respond):
            with pytest.raises(rt.InvalidEvent, match=why):
                ask(audio=audio)
        assert server.received == []


def test_the_telephone_has_no_half_samples() -> None:
    config = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}, "output_modalities": ["text"]}
    with LocalServer() as server, rt.connect("m", base_url=server.base_url, session=config) as session:
        assert session.ask(audio=b"\xff" * 1601).text
