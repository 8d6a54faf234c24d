"""Token counts that add up: words for text, seconds for audio."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from realtime_sync.local.conversation import StoredItem

__all__ = ["Tokens", "context_tokens", "output_audio_tokens", "text_tokens", "transcription_usage", "usage_of"]

_AUDIO_IN_A_SECOND: Final = 10
_AUDIO_OUT_A_SECOND: Final = 20
_IMAGE: Final = 85
_CACHE_BLOCK: Final = 64
_PAID_BY_THE_SECOND: Final = ("whisper-1", "gpt-transcribe", "gpt-live-transcribe")


@attrs.frozen
class Tokens:
    """A number of tokens of each modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.text + other.text, self.audio + other.audio, self.image + other.image)

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image

    def cached_after(self, earlier: Tokens) -> Tokens:
        """How many of these are a repetition of an earlier context: whole blocks of it, for each modality."""
        pairs = ((self.text, earlier.text), (self.audio, earlier.audio), (self.image, earlier.image))
        return Tokens(*(min(now, before) // _CACHE_BLOCK * _CACHE_BLOCK for now, before in pairs))


def text_tokens(text: str) -> int:
    """Words and punctuation marks."""
    return len(re.findall(r"\w+|[^\w\s]", text))


def output_audio_tokens(ms: float) -> int:
    """Tokens of speech that the model made."""
    return math.ceil(ms * _AUDIO_OUT_A_SECOND / 1000)


def context_tokens(settings: Mapping[str, Any], items: Iterable[StoredItem]) -> Tokens:
    """What the model reads for a response: instructions, tools and every item."""
    tools = json.dumps(settings["tools"]) if settings["tools"] else ""
    tokens = Tokens(text_tokens(settings["instructions"]) + text_tokens(tools))
    for item in items:
        tokens += _item_tokens(item)
    return tokens


def _item_tokens(item: StoredItem) -> Tokens:
    data = item.data
    text = "".join(str(data.get(name) or "") for name in ("arguments", "output"))
    images = 0
    for part in data.get("content", ()):
        text += " " + (part.get("text") or "")
        images += part["type"] == "input_image"
    return Tokens(text_tokens(text), math.ceil(item.audio_ms * _AUDIO_IN_A_SECOND / 1000), images * _IMAGE)


def usage_of(context: Tokens, cached: Tokens, output: Tokens) -> dict[str, Any]:
    """The ``usage`` of a response."""
    return {
        "total_tokens": context.total + output.total,
        "input_tokens": context.total,
        "output_tokens": output.total,
        "input_token_details": {
            "text_tokens": context.text,
            "audio_tokens": context.audio,
            "image_tokens": context.image,
            "cached_tokens": cached.total,
            "cached_tokens_details": {
                "text_tokens": cached.text,
                "audio_tokens": cached.audio,
                "image_tokens": cached.image,
            },
        },
        "output_token_details": {"text_tokens": output.text, "audio_tokens": output.audio},
    }


def transcription_usage(model: str | None, audio_ms: float, transcript: str) -> dict[str, Any]:
    """The ``usage`` of an input transcription: seconds for the models that are paid by them, tokens for all others."""
    if model is not None and model.startswith(_PAID_BY_THE_SECOND):
        return {"type": "duration", "seconds": round(audio_ms / 1000, 3)}
    heard, written = math.ceil(audio_ms * _AUDIO_IN_A_SECOND / 1000), text_tokens(transcript)
    return {
        "type": "tokens",
        "total_tokens": heard + written,
        "input_tokens": heard,
        "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
        "output_tokens": written,
    }
