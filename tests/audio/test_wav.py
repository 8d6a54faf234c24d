from __future__ import annotations

import io
import struct
import wave
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync.audio import chunks, encode_pcma, encode_pcmu, read_wav, write_wav
from realtime_sync.errors import ConfigurationError, InvalidEvent, RealtimeError
from realtime_sync.sending.audio_pieces import pcm_pieces
from realtime_sync.sending.user_input import coded_audio
from realtime_sync.state.facts import Sound

EXAMPLES = Path(__file__).parents[2] / "examples"
SAMPLES = [0, 256, -256, 32512, -32768, 12800]
PCM = array("h", SAMPLES).tobytes()


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(codec: int, bits: int, channels: int = 1, rate_hz: int = 24000) -> tuple[bytes, bytes]:
    frame = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", codec, channels, rate_hz, rate_hz * frame, frame, bits)


def extensible(codec: int, bits: int) -> tuple[bytes, bytes]:
    guid = struct.pack("<H", codec) + bytes.fromhex("000000001000800000aa00389b71")
    return b"fmt ", fmt(0xFFFE, bits)[1] + struct.pack("<HHI", 22, bits, 4) + guid


CODINGS = {
    "16 bit": (fmt(1, 16), PCM),
    "8 bit": (fmt(1, 8), bytes(128 + s // 256 for s in SAMPLES)),
    "24 bit": (fmt(1, 24), b"".join((s * 256).to_bytes(3, "little", signed=True) for s in SAMPLES)),
    "32 bit": (fmt(1, 32), b"".join((s * 65536).to_bytes(4, "little", signed=True) for s in SAMPLES)),
    "float": (fmt(3, 32), struct.pack("<6f", *(s / 32767 for s in SAMPLES))),
    "double": (fmt(3, 64), struct.pack("<6d", *(s / 32767 for s in SAMPLES))),
    "extensible 16 bit": (extensible(1, 16), PCM),
    "extensible float": (extensible(3, 32), struct.pack("<6f", *(s / 32767 for s in SAMPLES))),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding_of_numbers(coding: str) -> None:
    form, data = CODINGS[coding]
    got = list(array("h", read_wav(riff(form, (b"data", data)))))
    # Full scale is -32767 where floats are.
    assert [max(sample, -32767) for sample in got] == [max(sample, -32767) for sample in SAMPLES]


def test_g711_inside() -> None:
    for codec, encode in ((6, encode_pcma), (7, encode_pcmu)):
        got = array("h", read_wav(riff(fmt(codec, 8), (b"data", encode(PCM)))))
        assert all(abs(a - b) <= max(8, abs(b) / 16) for a, b in zip(got, SAMPLES, strict=True))


def test_channels_are_averaged() -> None:
    stereo = array("h", [100, 300, -32768, -32768, 32767, 32767, 0, -2]).tobytes()
    assert list(array("h", read_wav(riff(fmt(1, 16, 2), (b"data", stereo))))) == [200, -32768, 32767, -1]
    assert list(array("h", read_wav(riff(fmt(1, 16, 4), (b"data", stereo))))) == [-16284, 16383]
    assert list(array("h", read_wav(riff(fmt(1, 8, 2), (b"data", bytes([128, 130, 0, 0])))))) == [256, -32768]


def test_another_rate_is_converted() -> None:
    wav = riff(fmt(1, 16, 1, 16000), (b"data", bytes(3200)))
    assert len(read_wav(wav)) == 4800
    assert len(read_wav(wav, rate_hz=8000)) == 1600
    assert len(read_wav(wav, rate_hz=16000)) == 3200


def test_files_of_the_standard_library() -> None:
    for width in (1, 2, 3, 4):
        file = io.BytesIO()
        with wave.open(file, "wb") as made:
            made.setnchannels(2)
            made.setsampwidth(width)
            made.setframerate(48000)
            made.writeframes(bytes([128] if width == 1 else [0]) * (width * 2 * 480))
        assert read_wav(file.getvalue()) == bytes(480)


def test_the_speech_of_the_examples() -> None:
    pcm = read_wav(EXAMPLES / "speech.wav")
    with wave.open(str(EXAMPLES / "speech.wav")) as file:
        assert file.getframerate() == 16000
        assert len(pcm) == file.getnframes() * 3
    assert max(array("h", pcm)) > 10_000
    assert max(map(abs, array("h", pcm[-24000:]))) < 300


def test_other_chunks_are_skipped() -> None:
    wav = riff((b"JUNK", b"odd"), fmt(1, 16), (b"LIST", bytes(5)), (b"data", PCM), (b"id3 ", b"x"))
    assert read_wav(wav) == PCM


@pytest.mark.parametrize("announced", [0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_0000])
def test_a_wav_out_of_a_pipe_has_no_size(announced: int) -> None:
    wav = riff(fmt(1, 16), (b"data", PCM))
    assert read_wav(wav[:40] + struct.pack("<I", announced) + PCM) == PCM


@pytest.mark.parametrize(
    ("wav", "text"),
    [
        (b"", "it is empty"),
        (b"RIFF", "no RIFF/WAVE header"),
        (b"ID3\x04 an mp3 file perhaps", "no RIFF/WAVE header"),
        (riff(), "cut off before its audio"),
        (riff(fmt(1, 16)), "cut off before its audio"),
        (riff((b"fmt ", b"\1\0")), "cut off in its format"),
        (riff((b"fmt ", fmt(0xFFFE, 16)[1])), "cut off in its format"),
        (riff((b"data", PCM)), "before its format"),
        (riff(fmt(1, 16), (b"data", b"")), "holds no audio"),
        (riff(fmt(1, 16), (b"data", b"\0")), "holds no audio"),
        (riff(fmt(1, 16), (b"data", PCM))[:-2], "cut off: 10 of 12 bytes"),
        (riff(fmt(1, 16, channels=0), (b"data", PCM)), "0 channels"),
        (riff(fmt(1, 16, channels=65), (b"data", PCM)), "65 channels"),
        (riff(fmt(1, 16, rate_hz=0), (b"data", PCM)), "sample rate"),
        (riff(fmt(1, 12), (b"data", PCM)), "format 1, 12 bits"),
        (riff(fmt(2, 4), (b"data", PCM)), "not supported"),
        (riff(fmt(0x55, 0), (b"data", PCM)), "format 85"),
        (riff(fmt(3, 32), (b"data", struct.pack("<f", float("nan")))), "NaN"),
    ],
)
def test_what_is_no_usable_wav_is_refused(wav: bytes, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=text) as raised:
        read_wav(wav)
    assert str(raised.value).startswith("the WAV: ")
    path = tmp_path / "bad.wav"
    path.write_bytes(wav)
    with pytest.raises(ConfigurationError, match=r"bad\.wav.*" + text):
        read_wav(path)


@given(st.binary(max_size=200), st.integers(0, 120), st.booleans())
def test_damage_is_read_or_refused_but_nothing_else(noise: bytes, at: int, append: bool) -> None:
    wav = riff(fmt(1, 16, 2, 24000), (b"data", PCM))
    damaged = wav[:at] + noise + (wav[at:] if append else wav[at + len(noise) :])
    with suppress(RealtimeError):
        assert len(read_wav(damaged)) % 2 == 0


def test_sources(tmp_path: Path) -> None:
    wav = riff(fmt(1, 16), (b"data", PCM))
    path = tmp_path / "a.wav"
    path.write_bytes(wav)
    with path.open("rb") as file:
        assert read_wav(file) == PCM
        assert not file.closed
    for source in (path, str(path), wav, bytearray(wav), memoryview(wav)):
        assert read_wav(source) == PCM


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read '.*absent\.wav': No such file"):
        read_wav(tmp_path / "absent.wav")
    with pytest.raises(ConfigurationError, match="cannot read"):
        read_wav("with\0nul")
    with pytest.raises(ConfigurationError, match="binary mode"):
        read_wav(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="not int"):
        read_wav(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="sample rate"):
        read_wav(b"", rate_hz=1)


@pytest.mark.parametrize("rate_hz", [8000, 24000])
def test_what_is_written_can_be_read(tmp_path: Path, rate_hz: int) -> None:
    path = tmp_path / "out.wav"
    write_wav(path, array("h", SAMPLES), rate_hz=rate_hz)
    assert read_wav(path, rate_hz=rate_hz) == PCM
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, rate_hz, len(SAMPLES))
        assert file.readframes(10) == PCM
    buffer = io.BytesIO()
    write_wav(buffer, PCM, rate_hz=rate_hz)
    assert buffer.getvalue() == path.read_bytes()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write '.*x\.wav': No such file"):
        write_wav(tmp_path / "absent" / "x.wav", PCM)
    with pytest.raises(ConfigurationError, match="half a sample"):
        write_wav(tmp_path / "x.wav", b"\0")
    with pytest.raises(ConfigurationError, match="sample rate"):
        write_wav(tmp_path / "x.wav", PCM, rate_hz=0)
    assert list(tmp_path.iterdir()) == []
    closed = io.BytesIO()
    closed.close()
    wrong: Any = closed
    with pytest.raises(ConfigurationError, match="cannot write the WAV"):
        write_wav(wrong, PCM)


HEADS = {
    "an MP3 file": b"ID3\x04\x00\x00\x00\x00\x02\x00",
    "an Ogg file": b"OggS\x00\x02",
    "a FLAC file": b"fLaC\x00\x00\x00\x22",
    "an MP4 or M4A file": b"\x00\x00\x00\x20ftypM4A ",
    "a WebM or Matroska file": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01",
    "an AIFF file": b"FORM\x00\x00\x10\x00AIFF",
    "an RF64 file": b"RF64\xff\xff\xff\xffWAVE",
    "an AMR file": b"#!AMR\n",
}


@pytest.mark.parametrize("kind", HEADS)
def test_other_files_of_sound_are_named(kind: str, tmp_path: Path) -> None:
    content = HEADS[kind] + bytes(100)
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"is not a WAV file .{kind}, which has to be converted first"):
        read_wav(tmp_path / "x")
    for call in (lambda: chunks(content), lambda: write_wav(tmp_path / "y.wav", content)):
        with pytest.raises(ConfigurationError, match=f"this is {kind}, not raw audio: convert it to WAV first"):
            call()
    with pytest.raises(ConfigurationError, match=f"audio= is {kind}: convert"):
        coded_audio(content, Sound())
    with pytest.raises(InvalidEvent, match=f"this is {kind}, .*: convert it to WAV first"):
        list(pcm_pieces(content))


def test_a_wav_is_no_raw_audio(tmp_path: Path) -> None:
    file = io.BytesIO()
    write_wav(file, PCM)
    with pytest.raises(ConfigurationError, match=r"a WAV file, not raw audio: read_wav\(\) reads it"):
        chunks(file.getvalue())


def test_a_wav_has_the_name_of_a_wav(tmp_path: Path) -> None:
    for name in ("a.mp3", "b.OGG"):
        with pytest.raises(ConfigurationError, match=r"what is written is a WAV file, call it \.wav"):
            write_wav(tmp_path / name, PCM)
    with pytest.raises(ConfigurationError, match="not to NoneType"):
        write_wav(None, PCM)  # type: ignore[arg-type]
    write_wav(tmp_path / "without.a.suffix", PCM)
