"""Wrong values for what `audio` and `playback` take: each has its documented meaning or is a `ConfigurationError`."""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Callable, Iterator
from ctypes import c_int16
from functools import partial
from typing import Any

import numpy as np
import pytest
from fakes import FakeSession

from realtime_sync import audio, playback
from realtime_sync.errors import ConfigurationError
from realtime_sync.playback import BargeIn, MicrophoneFeed, PlaybackTracker

VALUES: dict[str, Any] = {
    **{"None": None, "'5'": "5", "nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-1": -1, "0": 0, "2.0": 2.0},
    **{"0.5": 0.5, "huge": 10**400, "1e308": 1e308, "True": True, "[]": [], "odd": b"abc", "object": object()},
}
SOUND: dict[str, Any] = {
    **VALUES,
    "int32": np.zeros(2, np.int32),
    "stereo": np.zeros((2, 2), np.int16),
    "of no shape": np.zeros(1, np.int16).reshape(()),
    "dates": np.zeros(2, "datetime64[s]"),
}
TIMES = {"None", "inf", "-inf", "-1", "0", "2.0", "0.5", "huge", "1e308", "True"}
"""What a `Deadline` takes."""


class Told(io.BytesIO):
    """A file that is read but tells only of trouble."""

    def read(self, *_: Any) -> bytes:
        raise OSError("no such luck")


def read(given: Any) -> bytes:
    tracker = PlaybackTracker()
    return tracker.read(given)


def fed(**options: Any) -> Callable[[FakeSession], None]:
    def use(fake: FakeSession) -> None:
        MicrophoneFeed(fake.session, **options).close()

    return use


def of_feed(name: str, given: Any) -> Callable[[FakeSession], None]:
    def use(fake: FakeSession) -> None:
        with MicrophoneFeed(fake.session) as feed:
            getattr(feed, name)(given)

    return use


def plain(call: Callable[..., Any]) -> Callable[[Any], Callable[[FakeSession], Any]]:
    return lambda given: lambda _: call(given)


def named(call: Callable[..., Any], name: str) -> Callable[[Any], Callable[[FakeSession], Any]]:
    return lambda given: lambda _: call(**{name: given})


def cut(**options: Any) -> list[bytes]:
    return list(audio.chunks(bytes(8), **options))


PCM = {"odd", "of no shape"}
CODED = {"odd"}
PLACES: dict[str, tuple[Callable[[Any], Callable[[FakeSession], Any]], set[str]]] = {
    "to_mono": (plain(partial(audio.to_mono, channels=2)), {"stereo"}),
    "to_mono(channels)": (plain(partial(audio.to_mono, bytes(8))), {"2.0"}),
    "to_channels": (plain(partial(audio.to_channels, channels=2)), {"of no shape"}),
    "to_channels(channels)": (plain(partial(audio.to_channels, bytes(8))), {"2.0"}),
    "encode_pcmu": (plain(audio.encode_pcmu), {"of no shape"}),
    "encode_pcma": (plain(audio.encode_pcma), {"of no shape"}),
    "decode_pcmu": (plain(audio.decode_pcmu), CODED),
    "decode_pcma": (plain(audio.decode_pcma), CODED),
    "duration_ms": (plain(audio.duration_ms), {"0", "2.0", "1e308"}),
    "duration_ms(encoding)": (plain(partial(audio.duration_ms, 1)), set()),
    "duration_ms(rate_hz)": (named(partial(audio.duration_ms, 1), "rate_hz"), {"None"}),
    "chunks": (plain(lambda given: list(audio.chunks(given))), {"[]", "of no shape"}),
    "chunks of several": (plain(lambda given: list(audio.chunks([given]))), {"of no shape"}),
    "chunks(chunk_ms)": (named(cut, "chunk_ms"), {"inf", "2.0", "0.5", "huge", "1e308"}),
    "chunks(rate_hz)": (named(cut, "rate_hz"), {"None"}),
    "chunks(encoding)": (named(cut, "encoding"), set()),
    "chunks(stop)": (named(cut, "stop"), {"None"}),
    "Resampler(from_hz)": (named(partial(audio.Resampler, to_hz=24_000), "from_hz"), set()),
    "Resampler(to_hz)": (named(partial(audio.Resampler, 24_000), "to_hz"), set()),
    "Resampler.feed": (plain(lambda given: audio.Resampler(8000, 24_000).feed(given)), PCM),
    "read_wav": (plain(audio.read_wav), set()),
    "read_wav(rate_hz)": (named(partial(audio.read_wav, b""), "rate_hz"), set()),
    "write_wav": (plain(lambda given: audio.write_wav(given, b"") if given != "5" else None), {"'5'"}),
    "write_wav(pcm)": (plain(lambda given: audio.write_wav(io.BytesIO(), given)), {"of no shape"}),
    "write_wav(rate_hz)": (named(partial(audio.write_wav, io.BytesIO(), b""), "rate_hz"), set()),
    "PlaybackTracker(on_chunk)": (named(PlaybackTracker, "on_chunk"), {"None"}),
    "PlaybackTracker(on_flush)": (named(PlaybackTracker, "on_flush"), {"None"}),
    "attach": (plain(lambda given: PlaybackTracker().attach(given)), set()),
    "take(timeout)": (lambda given: lambda fake: ended(fake).take(given), TIMES),
    "take(max_bytes)": (named(lambda max_bytes: PlaybackTracker().take(max_bytes=max_bytes), "max_bytes"), set()),
    "read": (plain(read), {"0", "2.0"}),
    "played": (plain(lambda given: PlaybackTracker().played(given)), set()),
    "played_ms": (plain(lambda given: PlaybackTracker().played_ms(given)), set()),
    "BargeIn": (plain(lambda given: BargeIn(given, PlaybackTracker())), set()),
    "BargeIn(tracker)": (lambda given: lambda fake: BargeIn(fake.session, given), set()),
    "BargeIn(on_interrupt)": (
        lambda given: lambda fake: BargeIn(fake.session, PlaybackTracker(), on_interrupt=given).close(),
        {"None"},
    ),
    "MicrophoneFeed": (plain(MicrophoneFeed), set()),
    "MicrophoneFeed(rate_hz)": (lambda given: fed(rate_hz=given), {"None"}),
    "MicrophoneFeed(channels)": (lambda given: fed(channels=given), {"2.0"}),
    "MicrophoneFeed(limit_s)": (lambda given: fed(limit_s=given), {"inf", "2.0", "0.5", "huge", "1e308"}),
    "put": (lambda given: of_feed("put", given), set(SOUND)),
    "flush": (lambda given: of_feed("flush", given), TIMES),
    "close": (lambda given: of_feed("close", given), TIMES),
}
"""What is given a value, and which of them have a meaning there."""
GIVEN_SOUND = {"to_mono", "to_channels", "chunks", "chunks of several", "Resampler.feed", "read_wav", "write_wav(pcm)"}
GIVEN_SOUND |= {"encode_pcmu", "encode_pcma", "decode_pcmu", "decode_pcma", "put"}
PLACES["take(max_bytes)"][1].update({"None", "0", "2.0", "1e308"})
for _name in ("played", "played_ms"):
    PLACES[_name][1].update({"inf", "-inf", "-1", "0", "2.0", "0.5", "huge", "1e308"})


def ended(fake: FakeSession) -> PlaybackTracker:
    tracker = PlaybackTracker()
    tracker.close()
    return tracker


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeSession]:
    with FakeSession() as fake:
        yield fake


@pytest.mark.parametrize("place", PLACES)
def test_each_value_has_its_meaning_or_is_refused(fake: FakeSession, place: str) -> None:
    use, meant = PLACES[place]
    for name, value in (SOUND if place in GIVEN_SOUND else VALUES).items():
        if name in meant:
            use(value)(fake)
            continue
        with pytest.raises(ConfigurationError):
            use(value)(fake)
            pytest.fail(f"{place} takes {name}")


def test_every_function_and_class_is_among_them() -> None:
    made_by_the_library = {"AudioChunk", "Cut", "HeardPart", "Interruption"}
    told = {place.partition("(")[0].partition(".")[0] for place in PLACES}
    assert {*audio.__all__, *playback.__all__} - made_by_the_library <= told


def test_callbacks_that_cannot_be_called_as_they_would_be() -> None:
    with pytest.raises(ConfigurationError, match=r"on_chunk is called with 1 argument, the chunk: "):
        PlaybackTracker(on_chunk=lambda: None)  # type: ignore[arg-type,misc]
    with pytest.raises(ConfigurationError, match=r"on_flush is called with no argument: "):
        PlaybackTracker(on_flush=lambda chunk: None)  # type: ignore[arg-type,misc]


def test_files_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="cannot read the WAV: no such luck"):
        audio.read_wav(Told())
    with pytest.raises(ConfigurationError, match="file opened in binary mode"):
        audio.write_wav(io.StringIO(), b"")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="closed file"):
        audio.read_wav(closed())
    wav = io.BytesIO()
    audio.write_wav(wav, array("h", [1, 2]), rate_hz=8000.0)  # type: ignore[arg-type]
    words = (c_int16 * 24).from_buffer_copy(wav.getvalue())
    assert audio.read_wav(words, rate_hz=8000) == audio.read_wav(wav.getvalue(), rate_hz=8000)


def closed() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file
