"""Token counts that add up: words for text, seconds for audio."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from realtime_sync.local.conversation import StoredItem
from realtime_sync.state.usage.tokens import MODALITIES, Tokens

__all__ = ["cached_after", "context_tokens", "output_audio_tokens", "text_tokens", "transcription_usage", "usage_of"]

_AUDIO_IN_A_SECOND: Final = 10
_AUDIO_OUT_A_SECOND: Final = 20
_IMAGE: Final = 85
_CACHE_BLOCK: Final = 64
_PAID_BY_THE_SECOND: Final = ("whisper-1", "gpt-transcribe", "gpt-live-transcribe")


def cached_after(context: Tokens, earlier: Tokens) -> Tokens:
    """How many tokens of a context are a repetition of an earlier one: whole blocks of it, for each modality."""
    pairs = ((getattr(context, name), getattr(earlier, name)) for name in MODALITIES)
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
