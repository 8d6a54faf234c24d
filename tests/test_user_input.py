from __future__ import annotations

import array
import base64
import io
from pathlib import Path
from typing import Any

import pytest

from realtime_sync.audio import decode_pcmu, duration_ms, encode_pcmu, write_wav
from realtime_sync.errors import ConfigurationError, InvalidEvent
from realtime_sync.events import (
    InputImage,
    InputText,
)
from realtime_sync.sending.audio_pieces import base64_pieces, pcm_pieces
from realtime_sync.sending.user_input import coded_audio, user_message
from realtime_sync.state.facts import Sound

PNG = b"\x89PNG\r\n\x1a\n rest"


def test_a_message_of_text_and_images(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(PNG)
    message = user_message("What is this?", [path, PNG, "https://example.org/a.jpg", str(path)])
    data_uri = "data:image/png;base64," + base64.b64encode(PNG).decode()
    urls = [part.image_url for part in message.content[:-1] if isinstance(part, InputImage)]
    assert urls == [data_uri, data_uri, "https://example.org/a.jpg", data_uri]
    assert message.content[-1] == InputText(text="What is this?")
    assert len(user_message(None, PNG).content) == 1
    assert user_message(None).content == []


@pytest.mark.parametrize(
    ("magic", "kind"), [(b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF....WEBP", "image/webp")]
)
def test_the_kind_of_an_image_is_told_by_its_bytes(magic: bytes, kind: str) -> None:
    (part,) = user_message(None, [magic]).content
    assert isinstance(part, InputImage)
    assert part.image_url is not None
    assert part.image_url.startswith(f"data:{kind};base64,")


@pytest.mark.parametrize("bad", ["no/such/file.png", b"no image", 5])
def test_what_is_no_image_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidEvent, match="image"):
        user_message("text", [bad])
    with pytest.raises(InvalidEvent, match="must be str"):
        user_message(5)  # type: ignore[arg-type]


def test_wav_is_converted_to_the_format_of_the_session(tmp_path: Path) -> None:
    path = tmp_path / "second.wav"
    write_wav(path, bytes(2 * 16000), rate_hz=16000)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert len(coded_audio(source, Sound())) == 48000
    assert len(coded_audio(path, Sound("pcm", 16000))) == 32000
    for code, encoding in (("pcmu", "audio/pcmu"), ("pcma", "audio/pcma")):
        assert duration_ms(len(coded_audio(path, Sound(code, 8000))), encoding) == 1000


def test_bytes_are_taken_as_they_are_and_arrays_as_samples() -> None:
    samples = array.array("h", [0, 1000, -1000, 32767])
    assert coded_audio(b"\1\2\3\4", Sound("pcmu", 8000)) == b"\1\2\3\4"
    assert coded_audio(bytearray(b"\1\2"), Sound()) == b"\1\2"
    assert coded_audio(samples, Sound()) == samples.tobytes()
    assert coded_audio(array.array("f", [0.0, 1.0]), Sound()) == array.array("h", [0, 32767]).tobytes()
    coded = coded_audio(samples, Sound("pcmu", 8000))
    assert coded == encode_pcmu(samples.tobytes())
    assert len(decode_pcmu(coded)) == 8
    with pytest.raises(ConfigurationError):
        coded_audio("no/such/file.wav", Sound())


def test_a_strided_or_foreign_buffer_is_copied_right() -> None:
    flat = array.array("h", range(8))
    strided = memoryview(flat)[::2]
    assert b"".join(pcm_pieces(strided)) == array.array("h", [0, 2, 4, 6]).tobytes()
    assert list(base64_pieces("")) == []
