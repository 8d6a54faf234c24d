"""Responses: what is asked of the model, what came of it, and what it used."""

from __future__ import annotations

from typing import Any

from attrs import field

from realtime_sync._unset import UNSET, Unset
from realtime_sync.events._later import LATER, later
from realtime_sync.events.base import WireObject, wire
from realtime_sync.events.config import AudioFormat, CustomVoice, Prompt, Reasoning
from realtime_sync.events.facts import MOST_TOKENS, between, one_of
from realtime_sync.events.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Message,
)
from realtime_sync.events.tools import Tool, ToolChoice
from realtime_sync.events.unknown import UnknownObject

__all__ = [
    "CachedTokenDetails",
    "DurationTranscriptionUsage",
    "ErrorDetail",
    "InputTokenDetails",
    "LogProb",
    "OutputTokenDetails",
    "RateLimit",
    "Response",
    "ResponseAudio",
    "ResponseAudioOutput",
    "ResponseConfig",
    "ResponseError",
    "ResponseInput",
    "ResponseStatusDetails",
    "TokenTranscriptionUsage",
    "TranscriptionError",
    "TranscriptionLanguage",
    "TranscriptionUsage",
    "Usage",
]

ResponseInput = (
    Message
    | FunctionCall
    | FunctionCallOutput
    | McpApprovalRequest
    | McpApprovalResponse
    | McpListTools
    | McpCall
    | ItemReference
    | UnknownObject
)
"""One entry of the ``input`` of a `ResponseConfig`: a new item, or a reference to one of the conversation."""


@wire
class ResponseAudioOutput(WireObject):
    """The audio of one response: its format, and the voice by name or as a `CustomVoice`."""

    format: AudioFormat | None = None
    voice: str | CustomVoice | None = None


@wire
class ResponseAudio(WireObject):
    """The audio settings of one response."""

    output: ResponseAudioOutput | None = None


@wire
class ResponseConfig(WireObject):
    """How one response differs from the session; what is ``None`` is taken from the session.

    ``conversation`` is ``auto`` or ``none``: the latter runs beside the conversation and adds nothing to it. ``input``
    replaces the conversation as the context; an empty list gives the model none. ``metadata`` (up to 16 pairs of
    text) comes back in the events of the response. ``max_output_tokens`` is a number or ``inf``.
    """

    instructions: str | None = None
    output_modalities: list[str] | None = None
    audio: ResponseAudio | None = None
    conversation: str | None = field(default=None, metadata=one_of("auto", "none"))
    input: list[ResponseInput] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | str | None = field(default=None, metadata=between(1, MOST_TOKENS, or_else="inf"))
    metadata: dict[str, Any] | None = None
    prompt: Prompt | Unset | None = UNSET
    reasoning: Reasoning | None = None


@wire
class ResponseError(WireObject):
    """Why a response failed."""

    type: str | None = None
    code: str | None = None
    message: str | None = None


@wire
class ResponseStatusDetails(WireObject):
    """Why a response did not end as ``completed``.

    ``type`` repeats the status. ``reason`` is ``turn_detected`` or ``client_cancelled`` for a cancelled response,
    ``max_output_tokens`` or ``content_filter`` for an incomplete one; ``error`` is set for a failed one.
    """

    type: str | None = None
    reason: str | None = None
    error: ResponseError | None = None


@wire
class CachedTokenDetails(WireObject):
    """Cached input tokens by modality."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


@wire
class InputTokenDetails(WireObject):
    """Input tokens by modality. ``cached_tokens`` are among the others, not beside them."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: CachedTokenDetails | None = None


@wire
class OutputTokenDetails(WireObject):
    """Output tokens by modality."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


@wire
class Usage(WireObject):
    """The tokens of one response. The transcription of the user's speech is counted apart from it."""

    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokenDetails | None = None
    output_token_details: OutputTokenDetails | None = None


@later("output")
@wire
class Response(WireObject):
    """One answer of the model.

    ``status`` is ``in_progress``, ``completed``, ``cancelled``, ``failed`` or ``incomplete``; ``status_details`` says
    why. ``output`` holds the items, without audio data. ``conversation_id`` is ``None`` for a response beside the
    conversation. ``usage`` is there once it is done.
    """

    id: str | None = None
    object: str | None = None
    status: str | None = None
    status_details: ResponseStatusDetails | None = None
    output: list[Item] = field(factory=list, metadata=LATER)
    conversation_id: str | None = None
    output_modalities: list[str] | None = None
    audio: ResponseAudio | None = None
    max_output_tokens: int | str | None = None
    metadata: dict[str, Any] | None = None
    usage: Usage | None = None


@wire
class RateLimit(WireObject):
    """A limit of the account: ``name`` (``requests``, ``tokens``), how many are allowed and how many remain, and in how
    many seconds all are available again."""

    name: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@wire
class TokenTranscriptionUsage(WireObject):
    """What a transcription used, for models that are billed by tokens."""

    TAGS = ("tokens", None)

    type: str = "tokens"
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: InputTokenDetails | None = None


@wire
class DurationTranscriptionUsage(WireObject):
    """What a transcription used, for models that are billed by seconds of audio."""

    type: str = "duration"
    seconds: float


TranscriptionUsage = TokenTranscriptionUsage | DurationTranscriptionUsage | UnknownObject
"""What the transcription of one item used."""


@wire
class TranscriptionLanguage(WireObject):
    """A language that was heard, by its code."""

    code: str


@wire
class LogProb(WireObject):
    """How sure a transcription is of one token: ``logprob`` is the natural logarithm of its probability, ``bytes`` its
    UTF-8 bytes."""

    token: str
    logprob: float
    bytes: list[int]


@wire
class ErrorDetail(WireObject):
    """What went wrong: ``type`` is the category, ``code`` the precise reason, ``param`` the field at fault and
    ``event_id`` the client event that caused it; the last three may be ``None``."""

    type: str
    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


@wire
class TranscriptionError(WireObject):
    """Why the user's speech could not be transcribed."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
