"""Raw PCM: what counts as such, how long it lasts, and cutting it into pieces."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import TYPE_CHECKING, Final

from realtime_sync import _limits
from realtime_sync._arguments import answering
from realtime_sync._containers import CONTAINER_HEAD_BYTES, container_of
from realtime_sync._deadline import Deadline, now
from realtime_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "API_RATE_HZ",
    "bytes_of",
    "chunks",
    "duration_ms",
    "g711_bytes",
    "interleaved_bytes",
    "interleaved_copy",
    "pcm_bytes",
    "samples_from_floats",
    "samples_of",
    "validate_rate",
]

API_RATE_HZ: Final = 24_000
"""The sample rate of ``audio/pcm`` at OpenAI."""

_G711_RATE_HZ: Final = 8_000
_LEAST_RATE_HZ: Final = 1_000
_MOST_RATE_HZ: Final = 768_000
_LONGEST_MS: Final = 1e9
"""Beyond 11 days a piece is as long as all there is."""
_FULL_SCALE: Final = 32_767.0

_ENCODINGS: Final = {
    "audio/pcm": (2, API_RATE_HZ),
    "pcm16": (2, API_RATE_HZ),
    "audio/pcmu": (1, _G711_RATE_HZ),
    "g711_ulaw": (1, _G711_RATE_HZ),
    "audio/pcma": (1, _G711_RATE_HZ),
    "g711_alaw": (1, _G711_RATE_HZ),
}


@answering
def duration_ms(size_bytes: int, encoding: str = "audio/pcm", *, rate_hz: int | None = None) -> float:
    """How long ``size_bytes`` of mono audio play, in milliseconds.

    ``encoding`` is the ``type`` of the protocol's audio formats (``audio/pcm``, ``audio/pcmu``, ``audio/pcma``) or a
    name of the older dialect (``pcm16``, ``g711_ulaw``, ``g711_alaw``). ``rate_hz`` is in samples a second; ``None``
    takes the encoding's own, 24000 for PCM and 8000 for G.711.

    Raises `ConfigurationError` for an unknown encoding, a negative size and an impossible rate.
    """
    width_bytes, rate_hz = _width_and_rate(encoding, rate_hz)
    return _limits.size("size_bytes", size_bytes, least=0) * 1000 / (width_bytes * rate_hz)


@answering
def chunks(
    pcm: Buffer | Iterable[Buffer],
    *,
    chunk_ms: float = 100,
    rate_hz: int | None = None,
    encoding: str = "audio/pcm",
    paced: bool = False,
    stop: Event | None = None,
) -> Iterator[bytes]:
    """Cut mono audio into pieces of ``chunk_ms`` milliseconds; the last one may be shorter.

    ``pcm`` is one buffer or an iterable of buffers (a microphone, say), whose borders need not be those of samples.
    ``encoding`` is what they hold, under the names that `duration_ms` takes: PCM, or G.711 with one byte a sample.
    ``rate_hz`` is in samples a second; ``None`` takes the encoding's own, 24000 for PCM and 8000 for G.711. With
    ``paced``, the pieces come as fast as they would be spoken: the first at once, each further one when those before it
    have played; a consumer that falls behind gets the next ones without a wait. Setting ``stop``, from any thread, ends
    the iteration at once, in the middle of a wait too.

    Raises `ConfigurationError` at the call for an impossible argument, and in the iteration for a buffer that is not
    of the encoding and for PCM that ends in half a sample.
    """
    chunk_ms = min(_limits.amount("chunk_ms", chunk_ms, "milliseconds"), _LONGEST_MS)
    if stop is not None and not (hasattr(stop, "is_set") and hasattr(stop, "wait")):
        raise ConfigurationError(f"stop must be a threading.Event, not {type(stop).__name__}")
    check_raw(pcm)
    width_bytes, rate_hz = _width_and_rate(encoding, rate_hz)
    samples_each = max(1, int(rate_hz * chunk_ms / 1000))
    pieces = _cut(_buffers(pcm, pcm_bytes if width_bytes > 1 else g711_bytes), width_bytes * samples_each, width_bytes)
    return _until(_paced(pieces, samples_each / rate_hz, stop) if paced else pieces, stop)


def _width_and_rate(encoding: str, rate_hz: int | None) -> tuple[int, int]:
    """The bytes of a sample, and samples a second: as given, else the encoding's own."""
    try:
        width_bytes, own_rate_hz = _ENCODINGS[encoding]
    except (KeyError, TypeError):
        raise ConfigurationError(f"unknown audio encoding {encoding!r}; known are {', '.join(_ENCODINGS)}") from None
    return width_bytes, validate_rate(own_rate_hz if rate_hz is None else rate_hz)


def check_raw(pcm: object) -> None:
    """Raises `ConfigurationError` for the bytes of a file of sound, where raw audio is wanted."""
    kind = container_of(pcm[:CONTAINER_HEAD_BYTES]) if isinstance(pcm, bytes) else None
    if kind is not None:
        way_out = "read_wav() reads it" if kind == "a WAV file" else "convert it to WAV first"
        raise ConfigurationError(f"this is {kind}, not raw audio: {way_out}")


def pcm_bytes(pcm: Buffer) -> bytes:
    """PCM as bytes. The length may be odd: this may be a piece of a stream.

    Raises `ConfigurationError` for what is not a buffer, has several channels or holds other numbers than 16-bit
    integers and floats.
    """
    if isinstance(pcm, bytes):
        return pcm
    view = _view(pcm)
    if view.ndim != 1 and view.nbytes != view.itemsize * max(view.shape or (1,)):
        raise ConfigurationError(
            f"audio must be mono, not of shape {view.shape}: audio.to_mono(pcm, channels) mixes several channels"
        )
    return _as_s16le(view.tobytes(), view.format)


def interleaved_bytes(pcm: Buffer, channels: int) -> bytes:
    """As `pcm_bytes`, for the frames of several channels: flat, or of shape (frames, channels)."""
    if isinstance(pcm, bytes):
        return pcm
    view = _view(pcm)
    return interleaved_copy(view.tobytes(), view.format, view.shape or (), channels)


def interleaved_copy(data: bytes, form: str, shape: tuple[int, ...], channels: int) -> bytes:
    """As `interleaved_bytes`, of the copy of a buffer, and what its `memoryview` said of its format and shape."""
    if shape[1:] not in ((), (channels,)):
        raise ConfigurationError(f"audio of {channels} channels must be of shape (frames, {channels}), not {shape}")
    return _as_s16le(data, form)


def g711_bytes(coded: Buffer) -> bytes:
    """G.711 audio as bytes. Raises `ConfigurationError` for what is not a buffer of bytes."""
    try:
        view = memoryview(coded)
    except (TypeError, ValueError, BufferError):
        raise ConfigurationError(f"G.711 audio must be bytes, not {type(coded).__name__}") from None
    if view.itemsize != 1:
        raise ConfigurationError(f"G.711 audio must be bytes, not a buffer of format {view.format!r}")
    return view.tobytes()


def _view(pcm: Buffer) -> memoryview:
    try:
        return memoryview(pcm)
    except (TypeError, ValueError, BufferError):
        raise ConfigurationError(
            f"audio must be bytes or a buffer of 16-bit integers or floats, not {type(pcm).__name__}"
        ) from None


def _as_s16le(data: bytes, form: str) -> bytes:
    code = form.removeprefix("@")
    if code in ("B", "b", "c", "<h"):
        return data
    if code == "h":
        return _little_endian(array("h", data))
    if code in ("f", "d"):
        return _little_endian(samples_from_floats(array(code, data)))
    raise ConfigurationError(f"audio must be 16-bit integers, floats or bytes, not a buffer of format {form!r}")


def samples_of(pcm: bytes) -> array[int]:
    """PCM as integers from -32768 to 32767. Raises `ConfigurationError` when it ends in half a sample."""
    if len(pcm) % 2:
        raise ConfigurationError(f"{len(pcm)} bytes are no 16-bit PCM: the audio ends in half a sample")
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def samples_from_floats(numbers: Iterable[float]) -> array[int]:
    """Floats, full scale being -1 to 1, as 16-bit integers; what is beyond full scale is clipped.

    Raises `ConfigurationError` for NaN.
    """
    try:
        # The order matters: the other way round, NaN would become -1.
        return array("h", (round(max(min(number, 1.0), -1.0) * _FULL_SCALE) for number in numbers))
    except ValueError:
        raise ConfigurationError("the audio holds floats that are not numbers (NaN)") from None


def bytes_of(samples: Iterable[int]) -> bytes:
    """Integers from -32768 to 32767 as PCM."""
    return _little_endian(array("h", samples))


def validate_rate(rate_hz: int) -> int:
    """The rate itself; raises `ConfigurationError` when it is no sample rate of audio."""
    return _limits.size("a sample rate", rate_hz, "Hz", least=_LEAST_RATE_HZ, most=_MOST_RATE_HZ)


def _little_endian(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _buffers(pcm: Buffer | Iterable[Buffer], as_bytes: Callable[[Buffer], bytes]) -> Iterator[bytes]:
    # An array is an iterable too, but of numbers.
    if isinstance(pcm, Iterable) and not _is_buffer(pcm):
        yield from map(as_bytes, pcm)
    else:
        yield as_bytes(pcm)  # type: ignore[arg-type]


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    except (ValueError, BufferError):  # of a kind that cannot be looked at
        return True
    return True


def _cut(buffers: Iterable[bytes], size_bytes: int, width_bytes: int) -> Iterator[bytes]:
    held = bytearray()
    for buffer in buffers:
        held += buffer
        whole = len(held) // size_bytes * size_bytes
        for start in range(0, whole, size_bytes):
            yield bytes(held[start : start + size_bytes])
        del held[:whole]
    if len(held) % width_bytes:
        raise ConfigurationError("the audio ends in half a 16-bit sample")
    if held:
        yield bytes(held)


def _paced(pieces: Iterable[bytes], piece_s: float, stop: Event | None) -> Iterator[bytes]:
    stopped = stop or Event()
    started = None
    for index, piece in enumerate(pieces):
        if started is None:
            # The clock starts with the first piece, not with the first wait for the source.
            started = now()
        due = Deadline(started + index * piece_s - now())
        while not (due.expired or stopped.wait(due.slice())):
            pass
        yield piece


def _until(pieces: Iterable[bytes], stop: Event | None) -> Iterator[bytes]:
    for piece in pieces:
        if stop is not None and stop.is_set():
            return
        yield piece
