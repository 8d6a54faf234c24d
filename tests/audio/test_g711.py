from __future__ import annotations

import importlib.util
import warnings
from array import array
from collections.abc import Callable

import pytest

from realtime_sync.audio import decode_pcma, decode_pcmu, encode_pcma, encode_pcmu
from realtime_sync.errors import ConfigurationError

EVERY_SAMPLE = array("h", range(-32768, 32768))
EVERY_CODE = bytes(range(256))

both_laws = pytest.mark.parametrize(
    ("encode", "decode"), [(encode_pcmu, decode_pcmu), (encode_pcma, decode_pcma)], ids=["mu-law", "A-law"]
)
Coder = Callable[..., bytes]


def values(pcm: bytes) -> list[int]:
    return list(array("h", pcm))


@pytest.mark.skipif(importlib.util.find_spec("audioop") is None, reason="audioop left Python with 3.13")
def test_bit_exact_with_audioop() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    every_sample = EVERY_SAMPLE.tobytes()
    assert encode_pcmu(every_sample) == audioop.lin2ulaw(every_sample, 2)
    assert encode_pcma(every_sample) == audioop.lin2alaw(every_sample, 2)
    assert decode_pcmu(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert decode_pcma(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)


def test_known_codes_of_mu_law() -> None:
    assert values(decode_pcmu(b"\x00\x80\xff\x7f\xf0")) == [-32124, 32124, 0, 0, 120]
    assert encode_pcmu(array("h", [-32768, 32767, 0, -4, 120])) == b"\x00\x80\xff\x7e\xf0"


def test_known_codes_of_a_law() -> None:
    assert values(decode_pcma(b"\x2a\xaa\xd5\x55\x80")) == [-32256, 32256, 8, -8, 5504]
    assert encode_pcma(array("h", [-32768, 32767, 0, -1, 5504])) == b"\x2a\xaa\xd5\x55\x80"


@both_laws
def test_a_decoded_code_encodes_to_itself(encode: Coder, decode: Coder) -> None:
    # Mu-law has two zeros; the negative one cannot survive as an integer.
    expected = EVERY_CODE.replace(b"\x7f", b"\xff") if encode is encode_pcmu else EVERY_CODE
    assert encode(decode(EVERY_CODE)) == expected


@both_laws
def test_the_coding_is_monotonous_and_close(encode: Coder, decode: Coder) -> None:
    coded = values(decode(encode(EVERY_SAMPLE)))
    assert coded == sorted(coded)
    # Half a step is at most 1/32 of the magnitude, or 8 in the lowest segments.
    assert all(abs(got - was) <= 8 + abs(was) / 32 for was, got in zip(EVERY_SAMPLE, coded, strict=True))


@both_laws
def test_any_buffer_is_taken(encode: Coder, decode: Coder) -> None:
    pcm = array("h", [0, 1000, -1000])
    assert encode(pcm) == encode(pcm.tobytes()) == encode(memoryview(pcm)) == encode(bytearray(pcm.tobytes()))
    coded = encode(pcm)
    assert decode(coded) == decode(bytearray(coded)) == decode(memoryview(coded))
    assert encode(b"") == decode(b"") == b""


@both_laws
def test_what_cannot_be_coded_is_refused(encode: Coder, decode: Coder) -> None:
    with pytest.raises(ConfigurationError, match="half a sample"):
        encode(b"\0\0\0")
    with pytest.raises(ConfigurationError, match="not str"):
        decode("text")
    with pytest.raises(ConfigurationError, match="format 'h'"):
        decode(array("h", [1]))
