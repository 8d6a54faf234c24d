"""The events that the server sends in a conversation or transcription session.

A compatible server may leave out what is required here, or send a value of another kind: then the field is ``None`` (a
list is empty) whatever its type says.
"""

from __future__ import annotations

from typing import Literal

from attrs import field

from realtime_sync.events._media import AudioDelta, text_on_demand
from realtime_sync.events.base import PAYLOAD, ServerEvent, WireObject, wire
from realtime_sync.events.config import FlatSessionConfig, SessionConfig
from realtime_sync.events.family import REALTIME
from realtime_sync.events.items import ContentPart, Item
from realtime_sync.events.response import (
    ErrorDetail,
    LogProb,
    RateLimit,
    Response,
    TranscriptionError,
    TranscriptionLanguage,
    TranscriptionUsage,
)

__all__ = [
    "Conversation",
    "ConversationCreated",
    "ConversationItemAdded",
    "ConversationItemCreated",
    "ConversationItemDeleted",
    "ConversationItemDone",
    "ConversationItemInputAudioTranscriptionCompleted",
    "ConversationItemInputAudioTranscriptionDelta",
    "ConversationItemInputAudioTranscriptionFailed",
    "ConversationItemInputAudioTranscriptionSegment",
    "ConversationItemRetrieved",
    "ConversationItemTruncated",
    "ErrorEvent",
    "InputAudioBufferCleared",
    "InputAudioBufferCommitted",
    "InputAudioBufferDtmfEventReceived",
    "InputAudioBufferSpeechStarted",
    "InputAudioBufferSpeechStopped",
    "InputAudioBufferTimeoutTriggered",
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "OutputAudioBufferCleared",
    "OutputAudioBufferStarted",
    "OutputAudioBufferStopped",
    "RateLimitsUpdated",
    "ResponseContentPartAdded",
    "ResponseContentPartDone",
    "ResponseCreated",
    "ResponseDone",
    "ResponseFunctionCallArgumentsDelta",
    "ResponseFunctionCallArgumentsDone",
    "ResponseMcpCallArgumentsDelta",
    "ResponseMcpCallArgumentsDone",
    "ResponseMcpCallCompleted",
    "ResponseMcpCallFailed",
    "ResponseMcpCallInProgress",
    "ResponseOutputAudioDelta",
    "ResponseOutputAudioDone",
    "ResponseOutputAudioTranscriptDelta",
    "ResponseOutputAudioTranscriptDone",
    "ResponseOutputItemAdded",
    "ResponseOutputItemDone",
    "ResponseOutputTextDelta",
    "ResponseOutputTextDone",
    "SessionCreated",
    "SessionUpdated",
    "TranscriptionSessionCreated",
    "TranscriptionSessionUpdated",
]


@REALTIME.server_event("error")
class ErrorEvent(ServerEvent):
    """Something went wrong, at the client's or the server's side. ``error.event_id`` names the client event that
    caused it, if one did; the session nearly always goes on."""

    type: Literal["error"] = "error"
    error: ErrorDetail


@REALTIME.server_event("session.created", opens=True)
class SessionCreated(ServerEvent):
    """The first event of a connection: the configuration that the session starts with."""

    type: Literal["session.created"] = "session.created"
    session: SessionConfig


@REALTIME.server_event("session.updated")
class SessionUpdated(ServerEvent):
    """A ``session.update`` was accepted; ``session`` is the whole configuration that now applies."""

    type: Literal["session.updated"] = "session.updated"
    session: SessionConfig


@REALTIME.server_event("transcription_session.created", opens=True)
class TranscriptionSessionCreated(ServerEvent):
    """The first event of a transcription session in the older dialect."""

    type: Literal["transcription_session.created"] = "transcription_session.created"
    session: FlatSessionConfig


@REALTIME.server_event("transcription_session.updated")
class TranscriptionSessionUpdated(ServerEvent):
    """A ``transcription_session.update`` was accepted (older dialect)."""

    type: Literal["transcription_session.updated"] = "transcription_session.updated"
    session: FlatSessionConfig


@wire
class Conversation(WireObject):
    """The conversation of a session."""

    id: str | None = None
    object: str | None = None


@REALTIME.server_event("conversation.created")
class ConversationCreated(ServerEvent):
    """The conversation exists; comes right after ``session.created`` where the server sends it."""

    type: Literal["conversation.created"] = "conversation.created"
    conversation: Conversation


@REALTIME.server_event("conversation.item.created")
class ConversationItemCreated(ServerEvent):
    """An item was added, in the words of the older dialect: compatible servers send this in place of
    ``conversation.item.added`` and ``conversation.item.done``. ``previous_item_id`` is ``None`` for the first item."""

    type: Literal["conversation.item.created"] = "conversation.item.created"
    item: Item
    previous_item_id: str | None = None


@REALTIME.server_event("conversation.item.added")
class ConversationItemAdded(ServerEvent):
    """An item was added, by the client, by the committed input buffer, or by a response that begins to fill it.
    ``previous_item_id`` is ``None`` for the first item."""

    type: Literal["conversation.item.added"] = "conversation.item.added"
    item: Item
    previous_item_id: str | None = None


@REALTIME.server_event("conversation.item.done")
class ConversationItemDone(ServerEvent):
    """An item is final and complete, but for audio data and a transcript that may follow."""

    type: Literal["conversation.item.done"] = "conversation.item.done"
    item: Item
    previous_item_id: str | None = None


@REALTIME.server_event("conversation.item.retrieved")
class ConversationItemRetrieved(ServerEvent):
    """The item that ``conversation.item.retrieve`` asked for, with its audio."""

    type: Literal["conversation.item.retrieved"] = "conversation.item.retrieved"
    item: Item


@REALTIME.server_event("conversation.item.deleted")
class ConversationItemDeleted(ServerEvent):
    """An item was removed, as ``conversation.item.delete`` asked for."""

    type: Literal["conversation.item.deleted"] = "conversation.item.deleted"
    item_id: str


@REALTIME.server_event("conversation.item.truncated")
class ConversationItemTruncated(ServerEvent):
    """The model's speech was cut at ``audio_end_ms`` (milliseconds from its beginning); its transcript is dropped."""

    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: str
    content_index: int
    audio_end_ms: int


@REALTIME.server_event("conversation.item.input_audio_transcription.delta")
class ConversationItemInputAudioTranscriptionDelta(ServerEvent):
    """The next piece of what the user said. ``logprobs`` only when the session's ``include`` asks for it."""

    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: int | None = None
    delta: str | None = None
    logprobs: list[LogProb] | None = None


@REALTIME.server_event("conversation.item.input_audio_transcription.segment")
class ConversationItemInputAudioTranscriptionSegment(ServerEvent):
    """One segment of what was said, by one ``speaker``; ``start`` and ``end`` in seconds."""

    type: Literal["conversation.item.input_audio_transcription.segment"] = (
        "conversation.item.input_audio_transcription.segment"
    )
    item_id: str
    content_index: int
    id: str
    speaker: str
    start: float
    end: float
    text: str


@REALTIME.server_event("conversation.item.input_audio_transcription.completed")
class ConversationItemInputAudioTranscriptionCompleted(ServerEvent):
    """The whole of what the user said in an item; replaces the deltas. It may come after the model's reply. ``usage``
    is counted apart from the response's."""

    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: int
    transcript: str
    usage: TranscriptionUsage
    languages: list[TranscriptionLanguage] | None = None
    logprobs: list[LogProb] | None = None


@REALTIME.server_event("conversation.item.input_audio_transcription.failed")
class ConversationItemInputAudioTranscriptionFailed(ServerEvent):
    """The user's speech could not be transcribed; the conversation goes on with the audio."""

    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: int
    error: TranscriptionError


@REALTIME.server_event("input_audio_buffer.committed")
class InputAudioBufferCommitted(ServerEvent):
    """The input buffer became the user message ``item_id``, by the client or by turn detection; the item itself
    follows. ``previous_item_id`` is ``None`` for the first item."""

    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None = None


@REALTIME.server_event("input_audio_buffer.cleared")
class InputAudioBufferCleared(ServerEvent):
    """The input buffer was emptied, as ``input_audio_buffer.clear`` asked for."""

    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


@REALTIME.server_event("input_audio_buffer.speech_started")
class InputAudioBufferSpeechStarted(ServerEvent):
    """The user starts to speak: the moment to stop playing. ``audio_start_ms`` counts milliseconds of all audio sent in
    the session, padding included; ``item_id`` is the id that the user message will have."""

    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str


@REALTIME.server_event("input_audio_buffer.speech_stopped")
class InputAudioBufferSpeechStopped(ServerEvent):
    """The user has stopped speaking. ``audio_end_ms`` counts milliseconds of all audio sent in the session, trailing
    silence included."""

    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str


@REALTIME.server_event("input_audio_buffer.timeout_triggered")
class InputAudioBufferTimeoutTriggered(ServerEvent):
    """Nobody spoke for the ``idle_timeout_ms`` of `ServerVad`: the silence from ``audio_start_ms`` to ``audio_end_ms``
    (of all audio sent) is committed as ``item_id`` and the model will speak."""

    type: Literal["input_audio_buffer.timeout_triggered"] = "input_audio_buffer.timeout_triggered"
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


@REALTIME.server_event("input_audio_buffer.dtmf_event_received")
class InputAudioBufferDtmfEventReceived(ServerEvent):
    """A key of the telephone was pressed (SIP only): ``event`` is the key, ``received_at`` in seconds since 1970
    (UTC)."""

    type: Literal["input_audio_buffer.dtmf_event_received"] = "input_audio_buffer.dtmf_event_received"
    event: str
    received_at: int


@REALTIME.server_event("output_audio_buffer.started")
class OutputAudioBufferStarted(ServerEvent):
    """The server begins to play a response (WebRTC and SIP only)."""

    type: Literal["output_audio_buffer.started"] = "output_audio_buffer.started"
    response_id: str


@REALTIME.server_event("output_audio_buffer.stopped")
class OutputAudioBufferStopped(ServerEvent):
    """The server has played a response to its end (WebRTC and SIP only)."""

    type: Literal["output_audio_buffer.stopped"] = "output_audio_buffer.stopped"
    response_id: str


@REALTIME.server_event("output_audio_buffer.cleared")
class OutputAudioBufferCleared(ServerEvent):
    """The server stopped playing: the user interrupted, or ``output_audio_buffer.clear`` asked for it (WebRTC and SIP
    only)."""

    type: Literal["output_audio_buffer.cleared"] = "output_audio_buffer.cleared"
    response_id: str


@REALTIME.server_event("response.created")
class ResponseCreated(ServerEvent):
    """The model begins to answer; ``response`` has no output yet."""

    type: Literal["response.created"] = "response.created"
    response: Response


@REALTIME.server_event("response.done")
class ResponseDone(ServerEvent):
    """A response has ended, well or not: see its ``status``. It holds everything but audio data, and the usage."""

    type: Literal["response.done"] = "response.done"
    response: Response


@REALTIME.server_event("response.output_item.added")
class ResponseOutputItemAdded(ServerEvent):
    """A response begins a new item."""

    type: Literal["response.output_item.added"] = "response.output_item.added"
    response_id: str
    output_index: int
    item: Item


@REALTIME.server_event("response.output_item.done")
class ResponseOutputItemDone(ServerEvent):
    """An item of a response is final."""

    type: Literal["response.output_item.done"] = "response.output_item.done"
    response_id: str
    output_index: int
    item: Item


@REALTIME.server_event("response.content_part.added")
class ResponseContentPartAdded(ServerEvent):
    """A message of a response begins a new part."""

    type: Literal["response.content_part.added"] = "response.content_part.added"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: ContentPart


@REALTIME.server_event("response.content_part.done")
class ResponseContentPartDone(ServerEvent):
    """A part of a message is final."""

    type: Literal["response.content_part.done"] = "response.content_part.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: ContentPart


@REALTIME.server_event("response.output_text.delta", "response.text.delta")
class ResponseOutputTextDelta(ServerEvent):
    """The next piece of a written reply."""

    type: Literal["response.output_text.delta", "response.text.delta"] = "response.output_text.delta"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str


@REALTIME.server_event("response.output_text.done", "response.text.done")
class ResponseOutputTextDone(ServerEvent):
    """A written reply is complete; ``text`` is the whole of it."""

    type: Literal["response.output_text.done", "response.text.done"] = "response.output_text.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    text: str


@REALTIME.server_event("response.output_audio_transcript.delta", "response.audio_transcript.delta")
class ResponseOutputAudioTranscriptDelta(ServerEvent):
    """The next piece of the text of a spoken reply; it runs ahead of what is heard."""

    type: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"] = (
        "response.output_audio_transcript.delta"
    )
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str


@REALTIME.server_event("response.output_audio_transcript.done", "response.audio_transcript.done")
class ResponseOutputAudioTranscriptDone(ServerEvent):
    """The text of a spoken reply is complete."""

    type: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"] = (
        "response.output_audio_transcript.done"
    )
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    transcript: str


@text_on_demand
@REALTIME.server_event("response.output_audio.delta", "response.audio.delta")
class ResponseOutputAudioDelta(AudioDelta):
    """The next piece of a spoken reply, as base64; it comes faster than it is to be played."""

    type: Literal["response.output_audio.delta", "response.audio.delta"] = "response.output_audio.delta"
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str = field(metadata=PAYLOAD)

    @property
    def delta_bytes(self) -> bytes:
        """The audio as bytes in the session's output format, 24 kHz mono s16le by default. Empty when the server sent
        none; `InvalidEvent` when it is not base64."""
        return self._sound()


@REALTIME.server_event("response.output_audio.done", "response.audio.done")
class ResponseOutputAudioDone(ServerEvent):
    """All audio of a part has been sent, which does not mean that it has been played."""

    type: Literal["response.output_audio.done", "response.audio.done"] = "response.output_audio.done"
    response_id: str
    item_id: str
    output_index: int
    content_index: int


@REALTIME.server_event("response.function_call_arguments.delta")
class ResponseFunctionCallArgumentsDelta(ServerEvent):
    """The next piece of the JSON text of a function call's arguments."""

    type: Literal["response.function_call_arguments.delta"] = "response.function_call_arguments.delta"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


@REALTIME.server_event("response.function_call_arguments.done")
class ResponseFunctionCallArgumentsDone(ServerEvent):
    """The arguments of a function call are complete, as JSON text that the model wrote."""

    type: Literal["response.function_call_arguments.done"] = "response.function_call_arguments.done"
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


@REALTIME.server_event("response.mcp_call_arguments.delta")
class ResponseMcpCallArgumentsDelta(ServerEvent):
    """The next piece of the JSON text of an MCP call's arguments. ``obfuscation`` is padding against guessing by
    length."""

    type: Literal["response.mcp_call_arguments.delta"] = "response.mcp_call_arguments.delta"
    response_id: str
    item_id: str
    output_index: int
    delta: str
    obfuscation: str | None = None


@REALTIME.server_event("response.mcp_call_arguments.done")
class ResponseMcpCallArgumentsDone(ServerEvent):
    """The arguments of an MCP call are complete, as JSON text."""

    type: Literal["response.mcp_call_arguments.done"] = "response.mcp_call_arguments.done"
    response_id: str
    item_id: str
    output_index: int
    arguments: str


@REALTIME.server_event("response.mcp_call.in_progress")
class ResponseMcpCallInProgress(ServerEvent):
    """The API has called an MCP tool and waits for it."""

    type: Literal["response.mcp_call.in_progress"] = "response.mcp_call.in_progress"
    item_id: str
    output_index: int


@REALTIME.server_event("response.mcp_call.completed")
class ResponseMcpCallCompleted(ServerEvent):
    """A call of an MCP tool has succeeded; the result is in the item."""

    type: Literal["response.mcp_call.completed"] = "response.mcp_call.completed"
    item_id: str
    output_index: int


@REALTIME.server_event("response.mcp_call.failed")
class ResponseMcpCallFailed(ServerEvent):
    """A call of an MCP tool has failed; the reason is in the item."""

    type: Literal["response.mcp_call.failed"] = "response.mcp_call.failed"
    item_id: str
    output_index: int


@REALTIME.server_event("mcp_list_tools.in_progress")
class McpListToolsInProgress(ServerEvent):
    """The API asks an MCP server for its tools; ``item_id`` is the item that will list them."""

    type: Literal["mcp_list_tools.in_progress"] = "mcp_list_tools.in_progress"
    item_id: str


@REALTIME.server_event("mcp_list_tools.completed")
class McpListToolsCompleted(ServerEvent):
    """The tools of an MCP server are known and can be called."""

    type: Literal["mcp_list_tools.completed"] = "mcp_list_tools.completed"
    item_id: str


@REALTIME.server_event("mcp_list_tools.failed")
class McpListToolsFailed(ServerEvent):
    """An MCP server did not list its tools; the model goes on without them."""

    type: Literal["mcp_list_tools.failed"] = "mcp_list_tools.failed"
    item_id: str


@REALTIME.server_event("rate_limits.updated")
class RateLimitsUpdated(ServerEvent):
    """How much of the account's limits is left, output of the current response already reserved."""

    type: Literal["rate_limits.updated"] = "rate_limits.updated"
    rate_limits: list[RateLimit]
