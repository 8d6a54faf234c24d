"""A stand-in for speech without any dependency: tones that last as long as the words would, and a note of what was
heard. Real speech comes in through the ``speaker`` and ``transcriber`` arguments of the server."""

from __future__ import annotations

import functools
import math
import zlib
from array import array
from collections.abc import Callable
from typing import Final

from realtime_sync.audio.pcm import bytes_of
from realtime_sync.local.sound import SPEAKER_RATE_HZ

__all__ = ["Speaker", "Transcriber", "describe_audio", "tone_speech", "words_of"]

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
_FADE_S: Final = 0.01


def words_of(text: str) -> list[str]:
    """The text cut before each word, so that the pieces joined are the text again."""
    pieces: list[str] = []
    for piece in text.split(" "):
        pieces.append(f" {piece}" if pieces else piece)
    return [piece for piece in pieces if piece]


def tone_speech(text: str) -> bytes:
    """A tone for each word, its pitch from the letters and its length from their number (150 words of five letters a
    minute), a short pause after each. The same text gives the same samples; no text gives no audio."""
    return b"".join([_tone(word) for word in text.split()])


def describe_audio(pcm: bytes, rate_hz: int) -> str:
    """Says how much was heard, e.g. ``(1.6 seconds of audio)``: the transcript where no transcriber is given."""
    return f"({len(pcm) / 2 / rate_hz:.1f} seconds of audio)"


@functools.lru_cache(maxsize=512)
def _tone(word: str) -> bytes:
    hz = _LOWEST_HZ + zlib.crc32(word.lower().encode()) % (_HIGHEST_HZ - _LOWEST_HZ)
    period = SPEAKER_RATE_HZ // hz
    wave = array("h", [round(_AMPLITUDE * math.sin(2 * math.pi * i / period)) for i in range(period)])
    length = round(len(word) * _LETTER_S * SPEAKER_RATE_HZ)
    tone = (wave * (length // period + 1))[:length]
    fade = min(length // 2, round(_FADE_S * SPEAKER_RATE_HZ))
    for i in range(fade):
        tone[i] = tone[i] * i // fade
        tone[-1 - i] = tone[-1 - i] * i // fade
    pause = array("h", bytes(2 * round(_LETTER_S * SPEAKER_RATE_HZ)))
    return bytes_of(tone + pause)
