"""What `on`, `once` and `wait_for` make of a type string, for type checkers; at run time nobody needs it.

Made by scripts/generate.py.
"""
# fmt: off
# mypy: disable-error-code="overload-overlap"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar, overload

from realtime_sync.events import (
    ConversationCreated,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferDtmfEventReceived,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    RateLimitsUpdated,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    ResponseMcpCallArgumentsDelta,
    ResponseMcpCallArgumentsDone,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerEvent,
    SessionClosed,
    SessionCreated,
    SessionInputTranscriptDelta,
    SessionOutputAudioDelta,
    SessionOutputTranscriptDelta,
    SessionResumed,
    SessionUpdated,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdated,
)
from realtime_sync.events.any import AnyServerEvent

__all__ = ["Keyed"]

S = TypeVar("S", bound=ServerEvent)
E = TypeVar("E")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])
Handler = Callable[[S], object]


class Decorator(Protocol[E]):
    """Takes a function that handles such events, and gives it back."""

    def __call__(self, handler: Callable[[E], R], /) -> Callable[[E], R]: ...


class Keyed:
    """The verbs that take a class, a type string or ``"*"``."""

    @overload
    def on(self, key: Literal["error"], *, replace: bool = ...) -> Decorator[ErrorEvent]: ...

    @overload
    def on(self, key: Literal["session.created"], *, replace: bool = ...) -> Decorator[SessionCreated]: ...

    @overload
    def on(self, key: Literal["session.updated"], *, replace: bool = ...) -> Decorator[SessionUpdated]: ...

    @overload
    def on(
        self, key: Literal["transcription_session.created"], *, replace: bool = ...
    ) -> Decorator[TranscriptionSessionCreated]: ...

    @overload
    def on(
        self, key: Literal["transcription_session.updated"], *, replace: bool = ...
    ) -> Decorator[TranscriptionSessionUpdated]: ...

    @overload
    def on(self, key: Literal["conversation.created"], *, replace: bool = ...) -> Decorator[ConversationCreated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.created"], *, replace: bool = ...
    ) -> Decorator[ConversationItemCreated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.added"], *, replace: bool = ...
    ) -> Decorator[ConversationItemAdded]: ...

    @overload
    def on(self, key: Literal["conversation.item.done"], *, replace: bool = ...) -> Decorator[ConversationItemDone]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.retrieved"], *, replace: bool = ...
    ) -> Decorator[ConversationItemRetrieved]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.deleted"], *, replace: bool = ...
    ) -> Decorator[ConversationItemDeleted]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.truncated"], *, replace: bool = ...
    ) -> Decorator[ConversationItemTruncated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.delta"], *, replace: bool = ...
    ) -> Decorator[ConversationItemInputAudioTranscriptionDelta]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.segment"], *, replace: bool = ...
    ) -> Decorator[ConversationItemInputAudioTranscriptionSegment]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.completed"], *, replace: bool = ...
    ) -> Decorator[ConversationItemInputAudioTranscriptionCompleted]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.failed"], *, replace: bool = ...
    ) -> Decorator[ConversationItemInputAudioTranscriptionFailed]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.committed"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferCommitted]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.cleared"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferCleared]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.speech_started"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferSpeechStarted]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.speech_stopped"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferSpeechStopped]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.timeout_triggered"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferTimeoutTriggered]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.dtmf_event_received"], *, replace: bool = ...
    ) -> Decorator[InputAudioBufferDtmfEventReceived]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.started"], *, replace: bool = ...
    ) -> Decorator[OutputAudioBufferStarted]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.stopped"], *, replace: bool = ...
    ) -> Decorator[OutputAudioBufferStopped]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.cleared"], *, replace: bool = ...
    ) -> Decorator[OutputAudioBufferCleared]: ...

    @overload
    def on(self, key: Literal["response.created"], *, replace: bool = ...) -> Decorator[ResponseCreated]: ...

    @overload
    def on(self, key: Literal["response.done"], *, replace: bool = ...) -> Decorator[ResponseDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_item.added"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputItemAdded]: ...

    @overload
    def on(
        self, key: Literal["response.output_item.done"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputItemDone]: ...

    @overload
    def on(
        self, key: Literal["response.content_part.added"], *, replace: bool = ...
    ) -> Decorator[ResponseContentPartAdded]: ...

    @overload
    def on(
        self, key: Literal["response.content_part.done"], *, replace: bool = ...
    ) -> Decorator[ResponseContentPartDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_text.delta", "response.text.delta"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputTextDelta]: ...

    @overload
    def on(
        self, key: Literal["response.output_text.done", "response.text.done"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputTextDone]: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        *,
        replace: bool = ...,
    ) -> Decorator[ResponseOutputAudioTranscriptDelta]: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        *,
        replace: bool = ...,
    ) -> Decorator[ResponseOutputAudioTranscriptDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_audio.delta", "response.audio.delta"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputAudioDelta]: ...

    @overload
    def on(
        self, key: Literal["response.output_audio.done", "response.audio.done"], *, replace: bool = ...
    ) -> Decorator[ResponseOutputAudioDone]: ...

    @overload
    def on(
        self, key: Literal["response.function_call_arguments.delta"], *, replace: bool = ...
    ) -> Decorator[ResponseFunctionCallArgumentsDelta]: ...

    @overload
    def on(
        self, key: Literal["response.function_call_arguments.done"], *, replace: bool = ...
    ) -> Decorator[ResponseFunctionCallArgumentsDone]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call_arguments.delta"], *, replace: bool = ...
    ) -> Decorator[ResponseMcpCallArgumentsDelta]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call_arguments.done"], *, replace: bool = ...
    ) -> Decorator[ResponseMcpCallArgumentsDone]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.in_progress"], *, replace: bool = ...
    ) -> Decorator[ResponseMcpCallInProgress]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.completed"], *, replace: bool = ...
    ) -> Decorator[ResponseMcpCallCompleted]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.failed"], *, replace: bool = ...
    ) -> Decorator[ResponseMcpCallFailed]: ...

    @overload
    def on(
        self, key: Literal["mcp_list_tools.in_progress"], *, replace: bool = ...
    ) -> Decorator[McpListToolsInProgress]: ...

    @overload
    def on(
        self, key: Literal["mcp_list_tools.completed"], *, replace: bool = ...
    ) -> Decorator[McpListToolsCompleted]: ...

    @overload
    def on(self, key: Literal["mcp_list_tools.failed"], *, replace: bool = ...) -> Decorator[McpListToolsFailed]: ...

    @overload
    def on(self, key: Literal["rate_limits.updated"], *, replace: bool = ...) -> Decorator[RateLimitsUpdated]: ...

    @overload
    def on(self, key: Literal["session.closed"], *, replace: bool = ...) -> Decorator[SessionClosed]: ...

    @overload
    def on(
        self, key: Literal["session.input_transcript.delta"], *, replace: bool = ...
    ) -> Decorator[SessionInputTranscriptDelta]: ...

    @overload
    def on(
        self, key: Literal["session.output_transcript.delta"], *, replace: bool = ...
    ) -> Decorator[SessionOutputTranscriptDelta]: ...

    @overload
    def on(
        self, key: Literal["session.output_audio.delta"], *, replace: bool = ...
    ) -> Decorator[SessionOutputAudioDelta]: ...

    @overload
    def on(self, key: Literal["session.resumed"], *, replace: bool = ...) -> Decorator[SessionResumed]: ...

    @overload
    def on(self, key: Literal["*"], *, replace: bool = ...) -> Decorator[AnyServerEvent]: ...

    @overload
    def on(self, key: type[S], *, replace: bool = ...) -> Decorator[S]: ...

    @overload
    def on(self, key: str, *, replace: bool = ...) -> Callable[[F], F]: ...

    @overload
    def on(self, key: Literal["error"], handler: Callable[[ErrorEvent], object], *, replace: bool = ...) -> None: ...

    @overload
    def on(
        self, key: Literal["session.created"], handler: Callable[[SessionCreated], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["session.updated"], handler: Callable[[SessionUpdated], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["transcription_session.created"],
        handler: Callable[[TranscriptionSessionCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["transcription_session.updated"],
        handler: Callable[[TranscriptionSessionUpdated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.created"],
        handler: Callable[[ConversationCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.created"],
        handler: Callable[[ConversationItemCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.added"],
        handler: Callable[[ConversationItemAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.done"],
        handler: Callable[[ConversationItemDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.retrieved"],
        handler: Callable[[ConversationItemRetrieved], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.deleted"],
        handler: Callable[[ConversationItemDeleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.truncated"],
        handler: Callable[[ConversationItemTruncated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        handler: Callable[[ConversationItemInputAudioTranscriptionDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        handler: Callable[[ConversationItemInputAudioTranscriptionSegment], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        handler: Callable[[ConversationItemInputAudioTranscriptionCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        handler: Callable[[ConversationItemInputAudioTranscriptionFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.committed"],
        handler: Callable[[InputAudioBufferCommitted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.cleared"],
        handler: Callable[[InputAudioBufferCleared], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        handler: Callable[[InputAudioBufferSpeechStarted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        handler: Callable[[InputAudioBufferSpeechStopped], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        handler: Callable[[InputAudioBufferTimeoutTriggered], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        handler: Callable[[InputAudioBufferDtmfEventReceived], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.started"],
        handler: Callable[[OutputAudioBufferStarted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.stopped"],
        handler: Callable[[OutputAudioBufferStopped], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.cleared"],
        handler: Callable[[OutputAudioBufferCleared], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["response.created"], handler: Callable[[ResponseCreated], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["response.done"], handler: Callable[[ResponseDone], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_item.added"],
        handler: Callable[[ResponseOutputItemAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_item.done"],
        handler: Callable[[ResponseOutputItemDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.content_part.added"],
        handler: Callable[[ResponseContentPartAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.content_part.done"],
        handler: Callable[[ResponseContentPartDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        handler: Callable[[ResponseOutputTextDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        handler: Callable[[ResponseOutputTextDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        handler: Callable[[ResponseOutputAudioTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        handler: Callable[[ResponseOutputAudioTranscriptDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        handler: Callable[[ResponseOutputAudioDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        handler: Callable[[ResponseOutputAudioDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.function_call_arguments.delta"],
        handler: Callable[[ResponseFunctionCallArgumentsDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.function_call_arguments.done"],
        handler: Callable[[ResponseFunctionCallArgumentsDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        handler: Callable[[ResponseMcpCallArgumentsDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        handler: Callable[[ResponseMcpCallArgumentsDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.in_progress"],
        handler: Callable[[ResponseMcpCallInProgress], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.completed"],
        handler: Callable[[ResponseMcpCallCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.failed"],
        handler: Callable[[ResponseMcpCallFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.in_progress"],
        handler: Callable[[McpListToolsInProgress], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.completed"],
        handler: Callable[[McpListToolsCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.failed"],
        handler: Callable[[McpListToolsFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["rate_limits.updated"],
        handler: Callable[[RateLimitsUpdated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["session.closed"], handler: Callable[[SessionClosed], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.input_transcript.delta"],
        handler: Callable[[SessionInputTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.output_transcript.delta"],
        handler: Callable[[SessionOutputTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.output_audio.delta"],
        handler: Callable[[SessionOutputAudioDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["session.resumed"], handler: Callable[[SessionResumed], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(self, key: Literal["*"], handler: Callable[[AnyServerEvent], object], *, replace: bool = ...) -> None: ...

    @overload
    def on(self, key: type[S], handler: Handler[S], *, replace: bool = ...) -> None: ...

    @overload
    def on(self, key: str, handler: Callable[[Any], object], *, replace: bool = ...) -> None: ...

    def on(self, key: Any, handler: Any = None, *, replace: bool = False) -> Any:
        """Call ``handler`` for each event of a class, of a type string, or of ``"*"``; without ``handler``, a
        decorator. Handlers run on the thread that dispatches, in the order of their registration.

        ``replace=True`` takes the place of what was registered for ``key`` under the same module and qualified
        name: of the earlier definition of the same function when a cell of a notebook is run again (all lambdas of
        a cell have the same name).
        """
        raise NotImplementedError

    @overload
    def once(self, key: Literal["error"]) -> Decorator[ErrorEvent]: ...

    @overload
    def once(self, key: Literal["session.created"]) -> Decorator[SessionCreated]: ...

    @overload
    def once(self, key: Literal["session.updated"]) -> Decorator[SessionUpdated]: ...

    @overload
    def once(self, key: Literal["transcription_session.created"]) -> Decorator[TranscriptionSessionCreated]: ...

    @overload
    def once(self, key: Literal["transcription_session.updated"]) -> Decorator[TranscriptionSessionUpdated]: ...

    @overload
    def once(self, key: Literal["conversation.created"]) -> Decorator[ConversationCreated]: ...

    @overload
    def once(self, key: Literal["conversation.item.created"]) -> Decorator[ConversationItemCreated]: ...

    @overload
    def once(self, key: Literal["conversation.item.added"]) -> Decorator[ConversationItemAdded]: ...

    @overload
    def once(self, key: Literal["conversation.item.done"]) -> Decorator[ConversationItemDone]: ...

    @overload
    def once(self, key: Literal["conversation.item.retrieved"]) -> Decorator[ConversationItemRetrieved]: ...

    @overload
    def once(self, key: Literal["conversation.item.deleted"]) -> Decorator[ConversationItemDeleted]: ...

    @overload
    def once(self, key: Literal["conversation.item.truncated"]) -> Decorator[ConversationItemTruncated]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.delta"]
    ) -> Decorator[ConversationItemInputAudioTranscriptionDelta]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.segment"]
    ) -> Decorator[ConversationItemInputAudioTranscriptionSegment]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.completed"]
    ) -> Decorator[ConversationItemInputAudioTranscriptionCompleted]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.failed"]
    ) -> Decorator[ConversationItemInputAudioTranscriptionFailed]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.committed"]) -> Decorator[InputAudioBufferCommitted]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.cleared"]) -> Decorator[InputAudioBufferCleared]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.speech_started"]) -> Decorator[InputAudioBufferSpeechStarted]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.speech_stopped"]) -> Decorator[InputAudioBufferSpeechStopped]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.timeout_triggered"]
    ) -> Decorator[InputAudioBufferTimeoutTriggered]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.dtmf_event_received"]
    ) -> Decorator[InputAudioBufferDtmfEventReceived]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.started"]) -> Decorator[OutputAudioBufferStarted]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.stopped"]) -> Decorator[OutputAudioBufferStopped]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.cleared"]) -> Decorator[OutputAudioBufferCleared]: ...

    @overload
    def once(self, key: Literal["response.created"]) -> Decorator[ResponseCreated]: ...

    @overload
    def once(self, key: Literal["response.done"]) -> Decorator[ResponseDone]: ...

    @overload
    def once(self, key: Literal["response.output_item.added"]) -> Decorator[ResponseOutputItemAdded]: ...

    @overload
    def once(self, key: Literal["response.output_item.done"]) -> Decorator[ResponseOutputItemDone]: ...

    @overload
    def once(self, key: Literal["response.content_part.added"]) -> Decorator[ResponseContentPartAdded]: ...

    @overload
    def once(self, key: Literal["response.content_part.done"]) -> Decorator[ResponseContentPartDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_text.delta", "response.text.delta"]
    ) -> Decorator[ResponseOutputTextDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_text.done", "response.text.done"]
    ) -> Decorator[ResponseOutputTextDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"]
    ) -> Decorator[ResponseOutputAudioTranscriptDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"]
    ) -> Decorator[ResponseOutputAudioTranscriptDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio.delta", "response.audio.delta"]
    ) -> Decorator[ResponseOutputAudioDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio.done", "response.audio.done"]
    ) -> Decorator[ResponseOutputAudioDone]: ...

    @overload
    def once(
        self, key: Literal["response.function_call_arguments.delta"]
    ) -> Decorator[ResponseFunctionCallArgumentsDelta]: ...

    @overload
    def once(
        self, key: Literal["response.function_call_arguments.done"]
    ) -> Decorator[ResponseFunctionCallArgumentsDone]: ...

    @overload
    def once(self, key: Literal["response.mcp_call_arguments.delta"]) -> Decorator[ResponseMcpCallArgumentsDelta]: ...

    @overload
    def once(self, key: Literal["response.mcp_call_arguments.done"]) -> Decorator[ResponseMcpCallArgumentsDone]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.in_progress"]) -> Decorator[ResponseMcpCallInProgress]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.completed"]) -> Decorator[ResponseMcpCallCompleted]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.failed"]) -> Decorator[ResponseMcpCallFailed]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.in_progress"]) -> Decorator[McpListToolsInProgress]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.completed"]) -> Decorator[McpListToolsCompleted]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.failed"]) -> Decorator[McpListToolsFailed]: ...

    @overload
    def once(self, key: Literal["rate_limits.updated"]) -> Decorator[RateLimitsUpdated]: ...

    @overload
    def once(self, key: Literal["session.closed"]) -> Decorator[SessionClosed]: ...

    @overload
    def once(self, key: Literal["session.input_transcript.delta"]) -> Decorator[SessionInputTranscriptDelta]: ...

    @overload
    def once(self, key: Literal["session.output_transcript.delta"]) -> Decorator[SessionOutputTranscriptDelta]: ...

    @overload
    def once(self, key: Literal["session.output_audio.delta"]) -> Decorator[SessionOutputAudioDelta]: ...

    @overload
    def once(self, key: Literal["session.resumed"]) -> Decorator[SessionResumed]: ...

    @overload
    def once(self, key: Literal["*"]) -> Decorator[AnyServerEvent]: ...

    @overload
    def once(self, key: type[S]) -> Decorator[S]: ...

    @overload
    def once(self, key: str) -> Callable[[F], F]: ...

    @overload
    def once(self, key: Literal["error"], handler: Callable[[ErrorEvent], object]) -> None: ...

    @overload
    def once(self, key: Literal["session.created"], handler: Callable[[SessionCreated], object]) -> None: ...

    @overload
    def once(self, key: Literal["session.updated"], handler: Callable[[SessionUpdated], object]) -> None: ...

    @overload
    def once(
        self, key: Literal["transcription_session.created"], handler: Callable[[TranscriptionSessionCreated], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["transcription_session.updated"], handler: Callable[[TranscriptionSessionUpdated], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["conversation.created"], handler: Callable[[ConversationCreated], object]) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.created"], handler: Callable[[ConversationItemCreated], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.added"], handler: Callable[[ConversationItemAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.done"], handler: Callable[[ConversationItemDone], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.retrieved"], handler: Callable[[ConversationItemRetrieved], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.deleted"], handler: Callable[[ConversationItemDeleted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.truncated"], handler: Callable[[ConversationItemTruncated], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        handler: Callable[[ConversationItemInputAudioTranscriptionDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        handler: Callable[[ConversationItemInputAudioTranscriptionSegment], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        handler: Callable[[ConversationItemInputAudioTranscriptionCompleted], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        handler: Callable[[ConversationItemInputAudioTranscriptionFailed], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.committed"], handler: Callable[[InputAudioBufferCommitted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.cleared"], handler: Callable[[InputAudioBufferCleared], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        handler: Callable[[InputAudioBufferSpeechStarted], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        handler: Callable[[InputAudioBufferSpeechStopped], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        handler: Callable[[InputAudioBufferTimeoutTriggered], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        handler: Callable[[InputAudioBufferDtmfEventReceived], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.started"], handler: Callable[[OutputAudioBufferStarted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.stopped"], handler: Callable[[OutputAudioBufferStopped], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.cleared"], handler: Callable[[OutputAudioBufferCleared], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["response.created"], handler: Callable[[ResponseCreated], object]) -> None: ...

    @overload
    def once(self, key: Literal["response.done"], handler: Callable[[ResponseDone], object]) -> None: ...

    @overload
    def once(
        self, key: Literal["response.output_item.added"], handler: Callable[[ResponseOutputItemAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.output_item.done"], handler: Callable[[ResponseOutputItemDone], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.content_part.added"], handler: Callable[[ResponseContentPartAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.content_part.done"], handler: Callable[[ResponseContentPartDone], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        handler: Callable[[ResponseOutputTextDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        handler: Callable[[ResponseOutputTextDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        handler: Callable[[ResponseOutputAudioTranscriptDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        handler: Callable[[ResponseOutputAudioTranscriptDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        handler: Callable[[ResponseOutputAudioDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        handler: Callable[[ResponseOutputAudioDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.function_call_arguments.delta"],
        handler: Callable[[ResponseFunctionCallArgumentsDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.function_call_arguments.done"],
        handler: Callable[[ResponseFunctionCallArgumentsDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        handler: Callable[[ResponseMcpCallArgumentsDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        handler: Callable[[ResponseMcpCallArgumentsDone], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call.in_progress"], handler: Callable[[ResponseMcpCallInProgress], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call.completed"], handler: Callable[[ResponseMcpCallCompleted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call.failed"], handler: Callable[[ResponseMcpCallFailed], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["mcp_list_tools.in_progress"], handler: Callable[[McpListToolsInProgress], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["mcp_list_tools.completed"], handler: Callable[[McpListToolsCompleted], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.failed"], handler: Callable[[McpListToolsFailed], object]) -> None: ...

    @overload
    def once(self, key: Literal["rate_limits.updated"], handler: Callable[[RateLimitsUpdated], object]) -> None: ...

    @overload
    def once(self, key: Literal["session.closed"], handler: Callable[[SessionClosed], object]) -> None: ...

    @overload
    def once(
        self, key: Literal["session.input_transcript.delta"], handler: Callable[[SessionInputTranscriptDelta], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["session.output_transcript.delta"], handler: Callable[[SessionOutputTranscriptDelta], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["session.output_audio.delta"], handler: Callable[[SessionOutputAudioDelta], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["session.resumed"], handler: Callable[[SessionResumed], object]) -> None: ...

    @overload
    def once(self, key: Literal["*"], handler: Callable[[AnyServerEvent], object]) -> None: ...

    @overload
    def once(self, key: type[S], handler: Handler[S]) -> None: ...

    @overload
    def once(self, key: str, handler: Callable[[Any], object]) -> None: ...

    def once(self, key: Any, handler: Any = None) -> Any:
        """As `on`, for the next such event only."""
        raise NotImplementedError

    @overload
    def wait_for(
        self, key: Literal["error"], predicate: Callable[[ErrorEvent], object] | None = ..., timeout: float | None = ...
    ) -> ErrorEvent: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.created"],
        predicate: Callable[[SessionCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.updated"],
        predicate: Callable[[SessionUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["transcription_session.created"],
        predicate: Callable[[TranscriptionSessionCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> TranscriptionSessionCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["transcription_session.updated"],
        predicate: Callable[[TranscriptionSessionUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> TranscriptionSessionUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.created"],
        predicate: Callable[[ConversationCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.created"],
        predicate: Callable[[ConversationItemCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.added"],
        predicate: Callable[[ConversationItemAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.done"],
        predicate: Callable[[ConversationItemDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.retrieved"],
        predicate: Callable[[ConversationItemRetrieved], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemRetrieved: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.deleted"],
        predicate: Callable[[ConversationItemDeleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemDeleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.truncated"],
        predicate: Callable[[ConversationItemTruncated], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemTruncated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        predicate: Callable[[ConversationItemInputAudioTranscriptionDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemInputAudioTranscriptionDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        predicate: Callable[[ConversationItemInputAudioTranscriptionSegment], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemInputAudioTranscriptionSegment: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        predicate: Callable[[ConversationItemInputAudioTranscriptionCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemInputAudioTranscriptionCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        predicate: Callable[[ConversationItemInputAudioTranscriptionFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> ConversationItemInputAudioTranscriptionFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.committed"],
        predicate: Callable[[InputAudioBufferCommitted], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferCommitted: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.cleared"],
        predicate: Callable[[InputAudioBufferCleared], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferCleared: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        predicate: Callable[[InputAudioBufferSpeechStarted], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferSpeechStarted: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        predicate: Callable[[InputAudioBufferSpeechStopped], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferSpeechStopped: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        predicate: Callable[[InputAudioBufferTimeoutTriggered], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferTimeoutTriggered: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        predicate: Callable[[InputAudioBufferDtmfEventReceived], object] | None = ...,
        timeout: float | None = ...,
    ) -> InputAudioBufferDtmfEventReceived: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.started"],
        predicate: Callable[[OutputAudioBufferStarted], object] | None = ...,
        timeout: float | None = ...,
    ) -> OutputAudioBufferStarted: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.stopped"],
        predicate: Callable[[OutputAudioBufferStopped], object] | None = ...,
        timeout: float | None = ...,
    ) -> OutputAudioBufferStopped: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.cleared"],
        predicate: Callable[[OutputAudioBufferCleared], object] | None = ...,
        timeout: float | None = ...,
    ) -> OutputAudioBufferCleared: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.created"],
        predicate: Callable[[ResponseCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.done"],
        predicate: Callable[[ResponseDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_item.added"],
        predicate: Callable[[ResponseOutputItemAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputItemAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_item.done"],
        predicate: Callable[[ResponseOutputItemDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputItemDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.content_part.added"],
        predicate: Callable[[ResponseContentPartAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseContentPartAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.content_part.done"],
        predicate: Callable[[ResponseContentPartDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseContentPartDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        predicate: Callable[[ResponseOutputTextDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputTextDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        predicate: Callable[[ResponseOutputTextDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputTextDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        predicate: Callable[[ResponseOutputAudioTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputAudioTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        predicate: Callable[[ResponseOutputAudioTranscriptDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputAudioTranscriptDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        predicate: Callable[[ResponseOutputAudioDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputAudioDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        predicate: Callable[[ResponseOutputAudioDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseOutputAudioDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.function_call_arguments.delta"],
        predicate: Callable[[ResponseFunctionCallArgumentsDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseFunctionCallArgumentsDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.function_call_arguments.done"],
        predicate: Callable[[ResponseFunctionCallArgumentsDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseFunctionCallArgumentsDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        predicate: Callable[[ResponseMcpCallArgumentsDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseMcpCallArgumentsDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        predicate: Callable[[ResponseMcpCallArgumentsDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseMcpCallArgumentsDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.in_progress"],
        predicate: Callable[[ResponseMcpCallInProgress], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseMcpCallInProgress: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.completed"],
        predicate: Callable[[ResponseMcpCallCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseMcpCallCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.failed"],
        predicate: Callable[[ResponseMcpCallFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> ResponseMcpCallFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.in_progress"],
        predicate: Callable[[McpListToolsInProgress], object] | None = ...,
        timeout: float | None = ...,
    ) -> McpListToolsInProgress: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.completed"],
        predicate: Callable[[McpListToolsCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> McpListToolsCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.failed"],
        predicate: Callable[[McpListToolsFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> McpListToolsFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["rate_limits.updated"],
        predicate: Callable[[RateLimitsUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> RateLimitsUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.closed"],
        predicate: Callable[[SessionClosed], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionClosed: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.input_transcript.delta"],
        predicate: Callable[[SessionInputTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionInputTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.output_transcript.delta"],
        predicate: Callable[[SessionOutputTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionOutputTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.output_audio.delta"],
        predicate: Callable[[SessionOutputAudioDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionOutputAudioDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.resumed"],
        predicate: Callable[[SessionResumed], object] | None = ...,
        timeout: float | None = ...,
    ) -> SessionResumed: ...

    @overload
    def wait_for(
        self, key: Literal["*"], predicate: Callable[[AnyServerEvent], object] | None = ..., timeout: float | None = ...
    ) -> AnyServerEvent: ...

    @overload
    def wait_for(
        self, key: type[S], predicate: Callable[[S], object] | None = ..., timeout: float | None = ...
    ) -> S: ...

    @overload
    def wait_for(
        self, key: str, predicate: Callable[[Any], object] | None = ..., timeout: float | None = ...
    ) -> Any: ...

    def wait_for(self, key: Any, predicate: Any = None, timeout: float | None = 10.0) -> Any:
        """Block until an event of this class or type comes that the predicate accepts, and return it. Events that
        arrived but were not dispatched yet count; events dispatched before do not.

        Raises `RealtimeTimeout` after ``timeout`` seconds (0 looks at what has arrived), and the cause when the
        connection ends first.
        """
        raise NotImplementedError
