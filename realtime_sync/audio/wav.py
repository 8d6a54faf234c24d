"""WAV files: any usual one in, and one that everything plays out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from struct import error as StructError
from struct import iter_unpack, pack, unpack_from
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from realtime_sync._arguments import answering
from realtime_sync._containers import CONTAINER_HEAD_BYTES, container_of
from realtime_sync.audio.channels import MOST_CHANNELS, mixed
from realtime_sync.audio.g711 import decode_pcma, decode_pcmu
from realtime_sync.audio.pcm import (
    API_RATE_HZ,
    bytes_of,
    check_raw,
    pcm_bytes,
    samples_from_floats,
    samples_of,
    validate_rate,
)
from realtime_sync.audio.resample import Resampler
from realtime_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["read_wav", "write_wav"]

_PCM: Final = 1
_FLOAT: Final = 3
_A_LAW: Final = 6
_MU_LAW: Final = 7
_EXTENSIBLE: Final = 0xFFFE

_UNKNOWN_SIZE: Final = 0x7FFF_0000
"""A program that writes a WAV into a pipe cannot know its size, and announces one from here on."""

_HEADER_BYTES: Final = 44
_MOST_BYTES: Final = 0xFFFF_FFFF - _HEADER_BYTES

_OTHER_SUFFIXES: Final = frozenset({"mp3", "ogg", "opus", "flac", "m4a", "mp4", "aac", "webm", "aiff", "aif"})


class _Format(NamedTuple):
    codec: int
    channels: int
    rate_hz: int
    bits: int


@answering
def read_wav(source: str | os.PathLike[str] | IO[bytes] | Buffer, *, rate_hz: int = API_RATE_HZ) -> bytes:
    """Read a WAV as mono PCM at ``rate_hz`` samples a second, ready for ``append_audio_bytes``.

    ``source`` is a path, a binary file (read to its end, not closed) or the content of a file as bytes. 8, 16, 24 and
    32-bit integers, 32 and 64-bit floats, A-law and mu-law are read, at any rate; several channels are averaged.

    Raises `ConfigurationError`, whose text names the file, when it cannot be read, is not a WAV, is cut off, holds no
    audio, or is coded in another way.
    """
    rate_hz = validate_rate(rate_hz)
    content, name = _content(source)
    try:
        wav_format, data = _parsed(content)
        pcm = _mono(wav_format, data)
        if wav_format.rate_hz == rate_hz:
            return pcm
        resampler = Resampler(wav_format.rate_hz, rate_hz)
        return resampler.feed(pcm) + resampler.finish()
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None


@answering
def write_wav(target: str | os.PathLike[str] | IO[bytes], pcm: Buffer, *, rate_hz: int = API_RATE_HZ) -> None:
    """Write PCM of ``rate_hz`` samples a second as a 16-bit mono WAV.

    ``target`` is a path, whose file is replaced, or a binary file (not closed; it need not seek).

    Raises `ConfigurationError` for what is not PCM, for more than a WAV can hold (4 GiB), and when the file cannot be
    written.
    """
    check_target(target)
    check_raw(pcm)
    data = pcm_bytes(pcm)
    samples_of(data)
    if len(data) > _MOST_BYTES:
        raise ConfigurationError(f"{len(data)} bytes of audio are more than a WAV can hold")
    rate_hz = validate_rate(rate_hz)
    header = pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _HEADER_BYTES - 8 + len(data), b"WAVE"),
        *(b"fmt ", 16, _PCM, 1, rate_hz, 2 * rate_hz, 2, 16),
        *(b"data", len(data)),
    )
    try:
        if isinstance(target, (str, os.PathLike)):
            with open(target, "wb") as file:
                file.write(header + data)
        else:
            target.write(header + data)
    except TypeError:
        raise ConfigurationError("a WAV must be written to a file opened in binary mode") from None
    except (OSError, ValueError) as error:
        name = repr(os.fspath(target)) if isinstance(target, (str, os.PathLike)) else "the WAV"
        raise ConfigurationError(f"cannot write {name}: {_reason(error)}") from error


def check_target(target: object) -> None:
    """Raises `ConfigurationError` for what is no place for a WAV: neither path nor file, or the name of another kind of
    sound."""
    if isinstance(target, (str, os.PathLike)):
        _, dot, suffix = os.fspath(target).rpartition(".")
        if dot and suffix.lower() in _OTHER_SUFFIXES:
            raise ConfigurationError(f"{os.fspath(target)!r}: what is written is a WAV file, call it .wav")
    elif not hasattr(target, "write"):
        raise ConfigurationError(f"a WAV is written to a path or a binary file, not to {type(target).__name__}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _content(source: str | os.PathLike[str] | IO[bytes] | Buffer) -> tuple[memoryview, str]:
    """All bytes of the source, and what to call it in an error."""
    if isinstance(source, (str, os.PathLike)):
        try:
            with open(source, "rb") as file:
                return memoryview(file.read()), repr(os.fspath(source))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read {os.fspath(source)!r}: {_reason(error)}") from error
    if hasattr(source, "read"):
        try:
            read = source.read()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"cannot read the WAV: {_reason(error)}") from error
        if not isinstance(read, bytes):
            raise ConfigurationError("a WAV must be read from a file opened in binary mode")
        return memoryview(read), "the WAV"
    try:
        view = memoryview(source)
        return view if view.format == "B" and view.ndim == 1 and view.contiguous else memoryview(
            view.tobytes()
        ), "the WAV"
    except (TypeError, ValueError, BufferError):
        raise ConfigurationError(f"a WAV must be a path, a binary file or bytes, not {type(source).__name__}") from None


def _parsed(content: memoryview) -> tuple[_Format, memoryview]:
    if not content:
        raise ConfigurationError("it is empty")
    if bytes(content[:4]) != b"RIFF" or bytes(content[8:12]) != b"WAVE":
        kind = container_of(bytes(content[:CONTAINER_HEAD_BYTES]))
        told = f"{kind}, which has to be converted first" if kind else "no RIFF/WAVE header"
        raise ConfigurationError(f"it is not a WAV file ({told})")
    wav_format = None
    for name, size_bytes, body in _riff_chunks(content):
        if name == b"fmt ":
            wav_format = _format(body)
        elif name == b"data":
            if wav_format is None:
                raise ConfigurationError("its audio comes before its format")
            if len(body) < size_bytes < _UNKNOWN_SIZE:
                raise ConfigurationError(f"it is cut off: {len(body)} of {size_bytes} bytes of audio are there")
            frame_bytes = wav_format.channels * wav_format.bits // 8
            whole = len(body) // frame_bytes * frame_bytes
            if not whole:
                raise ConfigurationError("it holds no audio")
            return wav_format, body[:whole]
    raise ConfigurationError("it is cut off before its audio")


def _riff_chunks(content: memoryview) -> Iterator[tuple[bytes, int, memoryview]]:
    """Name, announced size and body of each chunk; the body is shorter than announced where the file ends."""
    position = 12
    while position + 8 <= len(content):
        name, size_bytes = unpack_from("<4sI", content, position)
        position += 8
        yield name, size_bytes, content[position : position + size_bytes]
        # Chunks begin at even places.
        position += size_bytes + size_bytes % 2


def _format(body: memoryview) -> _Format:
    try:
        codec, channels, rate_hz, _, _, bits = unpack_from("<HHIIHH", body)
        if codec == _EXTENSIBLE:
            # The codec proper is at the start of the sub-format's GUID.
            (codec,) = unpack_from("<H", body, 24)
    except StructError:
        raise ConfigurationError("it is cut off in its format") from None
    if not 1 <= channels <= MOST_CHANNELS:
        raise ConfigurationError(f"it claims to have {channels} channels")
    if (codec, bits) not in _DECODERS:
        raise ConfigurationError(
            f"its coding is not supported (format {codec}, {bits} bits); 8 to 32-bit PCM, float, A-law and mu-law are"
        )
    return _Format(codec, channels, validate_rate(rate_hz), bits)


def _mono(wav_format: _Format, data: memoryview) -> bytes:
    pcm = _DECODERS[wav_format.codec, wav_format.bits](data)
    return pcm if wav_format.channels == 1 else mixed(samples_of(pcm), wav_format.channels)


def _from_unsigned_8(data: memoryview) -> bytes:
    return bytes_of((sample - 128) << 8 for sample in data)


def _from_24(data: memoryview) -> bytes:
    return _upper_bytes(data, 3)


def _from_32(data: memoryview) -> bytes:
    return _upper_bytes(data, 4)


def _upper_bytes(data: memoryview, width: int) -> bytes:
    """The upper 16 bits of each sample of ``width`` bytes."""
    pcm = bytearray(len(data) // width * 2)
    pcm[0::2] = data[width - 2 :: width]
    pcm[1::2] = data[width - 1 :: width]
    return bytes(pcm)


def _from_float(data: memoryview) -> bytes:
    return bytes_of(samples_from_floats(number for (number,) in iter_unpack("<f", data)))


def _from_double(data: memoryview) -> bytes:
    return bytes_of(samples_from_floats(number for (number,) in iter_unpack("<d", data)))


_DECODERS: Final[dict[tuple[int, int], Callable[[memoryview], bytes]]] = {
    (_PCM, 8): _from_unsigned_8,
    (_PCM, 16): bytes,
    (_PCM, 24): _from_24,
    (_PCM, 32): _from_32,
    (_FLOAT, 32): _from_float,
    (_FLOAT, 64): _from_double,
    (_A_LAW, 8): decode_pcma,
    (_MU_LAW, 8): decode_pcmu,
}
