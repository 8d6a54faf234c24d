"""What a client sends: framed and masked, whichever function does it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import read_frame

from realtime_sync.transport import masking
from realtime_sync.transport.masking import client_frame, fastest_mask, mask_by_numbers


@pytest.fixture(autouse=True)
def _look_anew() -> Iterator[None]:
    fastest_mask.cache_clear()
    yield
    fastest_mask.cache_clear()


def masked(payload: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))


@given(st.binary(max_size=3000), st.binary(min_size=4, max_size=4))
def test_both_functions_mask_alike(payload: bytes, key: bytes) -> None:
    assert mask_by_numbers(payload, key) == fastest_mask()(payload, key) == masked(payload, key)


@pytest.mark.parametrize("size", [0, 1, 5, 125, 126, 1023, 1024, 65_535, 65_536, 100_001])
@pytest.mark.parametrize("opcode", [1, 8, 10])
def test_a_frame_is_read_as_it_was_sent(size: int, opcode: int) -> None:
    payload = (b"sound" * 21_000)[:size]
    frame = client_frame(opcode, payload)
    stream = io.BytesIO(frame)
    assert read_frame(stream.read) == (opcode, payload)
    assert stream.tell() == len(frame)
    assert frame[1] & 0x80


def test_each_frame_has_a_key_of_its_own() -> None:
    keys = {client_frame(1, b"x" * 2000)[4:8] for _ in range(50)}
    assert len(keys) > 45


def test_the_compiled_function_is_borrowed_without_its_package() -> None:
    pytest.importorskip("websockets.speedups")
    script = (
        "import sys\n"
        "from realtime_sync.transport.masking import fastest_mask, mask_by_numbers\n"
        "assert fastest_mask() is not mask_by_numbers\n"
        "assert not [name for name in sys.modules if name.startswith('websockets')]\n"
        "import websockets.speedups as theirs\n"
        "assert theirs.apply_mask(b'abc', b'1234') == fastest_mask()(b'abc', b'1234')\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def _missing() -> Any:
    raise ImportError


@pytest.mark.parametrize(
    "compiled", [_missing, lambda: None, lambda: lambda _, __: b"another", lambda: lambda data: data], ids=str
)
def test_without_a_usable_one_numbers_do_it(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_compiled", compiled)
    assert fastest_mask() is mask_by_numbers
    assert read_frame(io.BytesIO(client_frame(1, b"x" * 5000)).read) == (1, b"x" * 5000)
