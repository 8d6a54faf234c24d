"""Audio of any kind becomes pieces that fit into a message each."""

from __future__ import annotations

import array
import base64
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync.sending import audio_pieces
from realtime_sync.sending.audio_pieces import base64_pieces, pcm_pieces


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def test_audio_is_appended_as_base64_from_any_buffer(fake: FakeSession) -> None:
    samples = array.array("h", [0, 1, -1, 32767])
    fake.session.append_audio_bytes(samples)
    fake.session.append_audio_bytes(samples.tobytes())
    fake.session.append_audio_bytes(memoryview(samples.tobytes())[2:4])
    fake.session.append_audio("AAAA")
    fake.session.append_audio_bytes(b"")
    sent = [base64.b64decode(text["audio"]) for text in fake.wire.texts]
    assert sent == [samples.tobytes(), samples.tobytes(), samples.tobytes()[2:4], b"\0\0\0"]
    assert {text["type"] for text in fake.wire.texts} == {"input_audio_buffer.append"}
    assert len({text["event_id"] for text in fake.wire.texts}) == 4


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("AAAA", "base64 text goes to"),
        (array.array("f", [0.5]), "convert them to int16"),
        (5, "not int"),
        (memoryview(bytes(8)).cast("h", (2, 2)), "mono"),
    ],
)
def test_what_is_no_audio_is_refused(fake: FakeSession, bad: Any, said: str) -> None:
    with pytest.raises(rt.InvalidEvent, match=said):
        fake.session.append_audio_bytes(bad)
    with pytest.raises(rt.InvalidEvent, match="append_audio_bytes"):
        fake.session.append_audio(b"AAAA")  # type: ignore[arg-type]
    assert fake.wire.texts == []


def test_long_audio_is_split_below_the_limit_and_decodes_to_the_same(fake: FakeSession) -> None:
    pcm = bytes(range(256)) * (60_000)
    fake.session.append_audio_bytes(pcm)
    fake.session.append_audio(base64.b64encode(pcm).decode())
    pieces = [text["audio"] for text in fake.wire.texts]
    assert len(pieces) == 6
    assert all(len(piece) < 15 * 2**20 for piece in pieces)
    assert b"".join(map(base64.b64decode, pieces)) == pcm * 2
    assert all(len(base64.b64decode(piece)) % 2 == 0 for piece in pieces)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_pieces, "_PIECE_BYTES", 6)
    monkeypatch.setattr(audio_pieces, "_PIECE_CHARACTERS", 8)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", [0, 1, 5, 6, 7, 12, 13])
def test_the_pieces_of_any_length_are_the_whole(size: int) -> None:
    pcm = bytes(range(size))
    pieces = [bytes(piece) for piece in pcm_pieces(pcm)]
    assert b"".join(pieces) == pcm
    assert [len(piece) for piece in pieces[:-1]] == [6] * max(0, (size - 1) // 6)
    texts = list(base64_pieces(base64.b64encode(pcm).decode()))
    assert b"".join(map(base64.b64decode, texts)) == pcm, "each decodes on its own"
    assert all(0 < len(text) <= 8 for text in texts)


def test_a_piece_ends_between_two_samples_and_between_two_groups_of_base64() -> None:
    assert audio_pieces._PIECE_BYTES % 6 == 0
    assert audio_pieces._PIECE_CHARACTERS % 4 == 0
    assert audio_pieces._PIECE_BYTES * 4 // 3 < 15 * 2**20


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [
        (bytearray(b"\1\2"), b"\1\2"),
        (memoryview(b"\1\2\3\4")[::2], b"\1\3"),
        (memoryview(array.array("h", [1, 2, 3]))[::2], array.array("h", [1, 3]).tobytes()),
        (memoryview(bytes(4)).cast("h", (2, 1)), bytes(4)),
        (memoryview(b"ab").cast("c"), b"ab"),
        (array.array("b", [-1, 1]), b"\xff\1"),
    ],
    ids=["bytearray", "strided bytes", "strided samples", "a column", "characters", "signed bytes"],
)
def test_any_buffer_of_bytes_or_samples_is_taken(buffer: Any, expected: bytes) -> None:
    assert b"".join(pcm_pieces(buffer)) == expected
