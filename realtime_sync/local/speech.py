"""A stand-in for speech without any dependency: tones that last as long as the words would, and a note of what was
heard. Real speech comes in through the ``speaker`` and ``transcriber`` arguments of the server."""

from __future__ import annotations

import functools
import math
import re
import zlib
from array import array
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import check_kind
from realtime_sync.audio.pcm import bytes_of
from realtime_sync.local.sound import SPEAKER_RATE_HZ

__all__ = ["Speaker", "Speech", "Transcriber", "describe_audio", "tone_speech", "words_of"]

Speaker = Callable[[str], bytes]
"""Text to speech: 16-bit little-endian mono PCM at 24 kHz. Called on a thread of the server."""

Transcriber = Callable[[bytes, int], str]
"""Speech to text: PCM (16-bit little-endian, mono) and its rate in Hz to what was said."""

_WORDS_A_MINUTE: Final = 150
_LETTERS_A_WORD: Final = 5
_LETTER_S: Final = 60 / _WORDS_A_MINUTE / (_LETTERS_A_WORD + 1)
_LOWEST_HZ: Final = 120
_HIGHEST_HZ: Final = 360
_AMPLITUDE: Final = 8000
_FADE: Final = round(0.01 * SPEAKER_RATE_HZ)
_PAUSE: Final = round(_LETTER_S * SPEAKER_RATE_HZ)
_LONGEST: Final = 600 * SPEAKER_RATE_HZ
_PIECE: Final = SPEAKER_RATE_HZ // 5
_LONG_TEXT: Final = 100_000
_MOST_PIECES: Final = 4_096


@attrs.frozen
class Speech:
    """Speech as a `Speaker` makes it: its length, which is known before, and its pieces of a fifth of a second at most,
    each made when it is asked for."""

    size_bytes: int
    pieces: Iterator[bytes]

    @classmethod
    def of(cls, pcm: bytes) -> Speech:
        """Speech that is there already."""
        return cls(len(pcm), (pcm[start : start + 2 * _PIECE] for start in range(0, len(pcm), 2 * _PIECE)))

    @classmethod
    def of_tones(cls, text: str) -> Speech:
        """What `tone_speech` returns."""
        tones = list(_tones(text))
        return cls(2 * sum(length + _PAUSE for _, length in tones), _pieces(tones))


def words_of(text: str) -> list[str]:
    """The text cut before each word, so that the pieces joined are the text again. A text as long as a book has longer
    pieces: what is told of it grows with each, and so does the work."""
    least = 1 if len(text) <= _LONG_TEXT else len(text) // _MOST_PIECES
    return re.findall(rf"(?s:.){{1,{least}}}[^ ]*", text)


def tone_speech(text: str) -> bytes:
    """A tone for each word, its pitch from the letters and its length from their number (150 words of five letters a
    minute), a short pause after each. The same text gives the same samples; no text gives no audio, and of a long one
    ten minutes are spoken. Raises `ConfigurationError` for what is no text."""
    check_kind("text", text, "str", str)
    return b"".join(Speech.of_tones(text).pieces)


def describe_audio(pcm: bytes, rate_hz: int) -> str:
    """Says how much was heard, e.g. ``(1.6 seconds of audio)``: the transcript where no transcriber is given. Raises
    `ConfigurationError` for what is no audio, and a rate that is none."""
    check_kind("pcm", pcm, "bytes", bytes, bytearray, memoryview)
    rate_hz = _limits.size("rate_hz", rate_hz, "samples a second")
    return f"({len(pcm) / 2 / rate_hz:.1f} seconds of audio)"


def _tones(text: str) -> Iterator[tuple[int, int]]:
    """The pitch of the tone for each word in Hz, and its length in samples."""
    left = _LONGEST
    for match in re.finditer(r"\S+", text):
        word = match[0]
        length = min(round(len(word) * _LETTER_S * SPEAKER_RATE_HZ), left - _PAUSE)
        if length <= 0:
            return
        left -= length + _PAUSE
        letters = word.lower().encode("utf-8", "surrogatepass")
        yield _LOWEST_HZ + zlib.crc32(letters) % (_HIGHEST_HZ - _LOWEST_HZ), length


def _pieces(tones: list[tuple[int, int]]) -> Iterator[bytes]:
    for hz, length in tones:
        for start in range(0, length, _PIECE):
            yield _tone(hz, length, start)
        yield bytes(2 * _PAUSE)


@functools.lru_cache(maxsize=512)  # of 10 kB each
def _tone(hz: int, length: int, start: int) -> bytes:
    """A piece of the tone of this length, from the sample ``start`` on."""
    period = SPEAKER_RATE_HZ // hz
    wave = array("h", [round(_AMPLITUDE * math.sin(2 * math.pi * i / period)) for i in range(period)])
    stop, begun = min(start + _PIECE, length), start % period
    tone = (wave * ((begun + stop - start) // period + 1))[begun : begun + stop - start]
    fade = min(length // 2, _FADE)
    for i in range(start, min(stop, fade)):
        tone[i - start] = tone[i - start] * i // fade
    for i in range(max(start, length - fade), stop):
        tone[i - start] = tone[i - start] * (length - 1 - i) // fade
    return bytes_of(tone)
