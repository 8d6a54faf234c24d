"""Amounts that add up: tokens by modality, and what one response or transcription has used."""

from __future__ import annotations

from typing import Any, Final

import attrs

from realtime_sync.events import DurationTranscriptionUsage, TokenTranscriptionUsage, Usage

__all__ = ["MODALITIES", "Tokens", "Used", "used_by_response", "used_by_transcription"]

MODALITIES: Final = ("text", "audio", "image")


@attrs.frozen
class Tokens:
    """Tokens by modality; ``other`` are those of which the server does not tell the modality."""

    text: int = 0
    audio: int = 0
    image: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image + self.other

    def __add__(self, more: Tokens) -> Tokens:
        return Tokens(self.text + more.text, self.audio + more.audio, self.image + more.image, self.other + more.other)

    def __sub__(self, less: Tokens) -> Tokens:
        return Tokens(self.text - less.text, self.audio - less.audio, self.image - less.image, self.other - less.other)


@attrs.frozen
class Used:
    """What a response or a transcription has used, or several of them together.

    ``cached`` tokens are among those of ``input``, for each modality. ``seconds`` of audio are counted for
    transcription models that are billed by time, which have no tokens.
    """

    input: Tokens = Tokens()
    cached: Tokens = Tokens()
    output: Tokens = Tokens()
    seconds: float = 0.0

    @property
    def uncached(self) -> Tokens:
        """The input tokens that were not cached."""
        return self.input - self.cached

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input.total + self.output.total

    def __add__(self, more: Used) -> Used:
        return Used(
            self.input + more.input, self.cached + more.cached, self.output + more.output, self.seconds + more.seconds
        )


def used_by_response(usage: Usage) -> Used:
    """What a response reports, made consistent: a server may leave out details or totals."""
    details = usage.input_token_details
    given = _tokens(usage.input_tokens, details)
    return Used(given, _cached(details, given), _tokens(usage.output_tokens, usage.output_token_details))


def used_by_transcription(usage: Any) -> Used:
    """What a transcription reports: tokens, or seconds of audio. Nothing when it reports neither."""
    if isinstance(usage, DurationTranscriptionUsage):
        return Used(seconds=max(0.0, usage.seconds or 0.0))
    if isinstance(usage, TokenTranscriptionUsage):
        output = Tokens(text=_count(usage.output_tokens))
        return Used(_tokens(usage.input_tokens, usage.input_token_details), output=output)
    return Used()


def _count(value: int | None) -> int:
    return max(0, value or 0)


def _tokens(total: int | None, details: Any) -> Tokens:
    by_modality = Tokens(*(_count(getattr(details, f"{modality}_tokens", None)) for modality in MODALITIES))
    return by_modality + Tokens(other=_count(_count(total) - by_modality.total))


def _cached(details: Any, given: Tokens) -> Tokens:
    """The cached tokens, never more of a modality than there are. Those without a modality are taken for text first,
    the beginning of every prompt, then for audio and images."""
    told = _tokens(getattr(details, "cached_tokens", None), getattr(details, "cached_tokens_details", None))
    left = told.total
    cached: dict[str, int] = {}
    for modality in MODALITIES:
        cached[modality] = min(getattr(told, modality), getattr(given, modality))
        left -= cached[modality]
    for modality in (*MODALITIES, "other"):
        more = min(left, getattr(given, modality) - cached.get(modality, 0))
        cached[modality] = cached.get(modality, 0) + more
        left -= more
    return Tokens(**cached)
