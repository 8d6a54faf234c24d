"""What `on`, `once` and `wait_for` make of a type string, for type checkers; at run time nobody needs it.

Made by scripts/generate.py.
"""
# fmt: off
# mypy: disable-error-code="overload-overlap"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar, overload

from realtime_sync import events
from realtime_sync.events.any import AnyServerEvent, EventOfAnyType

__all__ = ["Keyed"]

S = TypeVar("S", bound=events.ServerEvent)
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
    def on(self, key: Literal["error"], *, replace: bool = ...) -> Decorator[events.ErrorEvent]: ...

    @overload
    def on(self, key: Literal["session.created"], *, replace: bool = ...) -> Decorator[events.SessionCreated]: ...

    @overload
    def on(self, key: Literal["session.updated"], *, replace: bool = ...) -> Decorator[events.SessionUpdated]: ...

    @overload
    def on(
        self, key: Literal["transcription_session.created"], *, replace: bool = ...
    ) -> Decorator[events.TranscriptionSessionCreated]: ...

    @overload
    def on(
        self, key: Literal["transcription_session.updated"], *, replace: bool = ...
    ) -> Decorator[events.TranscriptionSessionUpdated]: ...

    @overload
    def on(
        self, key: Literal["conversation.created"], *, replace: bool = ...
    ) -> Decorator[events.ConversationCreated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.created"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemCreated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.added"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemAdded]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.done"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemDone]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.retrieved"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemRetrieved]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.deleted"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemDeleted]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.truncated"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemTruncated]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.delta"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionDelta]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.segment"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionSegment]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.completed"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionCompleted]: ...

    @overload
    def on(
        self, key: Literal["conversation.item.input_audio_transcription.failed"], *, replace: bool = ...
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionFailed]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.committed"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferCommitted]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.cleared"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferCleared]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.speech_started"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferSpeechStarted]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.speech_stopped"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferSpeechStopped]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.timeout_triggered"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferTimeoutTriggered]: ...

    @overload
    def on(
        self, key: Literal["input_audio_buffer.dtmf_event_received"], *, replace: bool = ...
    ) -> Decorator[events.InputAudioBufferDtmfEventReceived]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.started"], *, replace: bool = ...
    ) -> Decorator[events.OutputAudioBufferStarted]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.stopped"], *, replace: bool = ...
    ) -> Decorator[events.OutputAudioBufferStopped]: ...

    @overload
    def on(
        self, key: Literal["output_audio_buffer.cleared"], *, replace: bool = ...
    ) -> Decorator[events.OutputAudioBufferCleared]: ...

    @overload
    def on(self, key: Literal["response.created"], *, replace: bool = ...) -> Decorator[events.ResponseCreated]: ...

    @overload
    def on(self, key: Literal["response.done"], *, replace: bool = ...) -> Decorator[events.ResponseDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_item.added"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputItemAdded]: ...

    @overload
    def on(
        self, key: Literal["response.output_item.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputItemDone]: ...

    @overload
    def on(
        self, key: Literal["response.content_part.added"], *, replace: bool = ...
    ) -> Decorator[events.ResponseContentPartAdded]: ...

    @overload
    def on(
        self, key: Literal["response.content_part.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseContentPartDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_text.delta", "response.text.delta"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputTextDelta]: ...

    @overload
    def on(
        self, key: Literal["response.output_text.done", "response.text.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputTextDone]: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        *,
        replace: bool = ...,
    ) -> Decorator[events.ResponseOutputAudioTranscriptDelta]: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        *,
        replace: bool = ...,
    ) -> Decorator[events.ResponseOutputAudioTranscriptDone]: ...

    @overload
    def on(
        self, key: Literal["response.output_audio.delta", "response.audio.delta"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputAudioDelta]: ...

    @overload
    def on(
        self, key: Literal["response.output_audio.done", "response.audio.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseOutputAudioDone]: ...

    @overload
    def on(
        self, key: Literal["response.function_call_arguments.delta"], *, replace: bool = ...
    ) -> Decorator[events.ResponseFunctionCallArgumentsDelta]: ...

    @overload
    def on(
        self, key: Literal["response.function_call_arguments.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseFunctionCallArgumentsDone]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call_arguments.delta"], *, replace: bool = ...
    ) -> Decorator[events.ResponseMcpCallArgumentsDelta]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call_arguments.done"], *, replace: bool = ...
    ) -> Decorator[events.ResponseMcpCallArgumentsDone]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.in_progress"], *, replace: bool = ...
    ) -> Decorator[events.ResponseMcpCallInProgress]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.completed"], *, replace: bool = ...
    ) -> Decorator[events.ResponseMcpCallCompleted]: ...

    @overload
    def on(
        self, key: Literal["response.mcp_call.failed"], *, replace: bool = ...
    ) -> Decorator[events.ResponseMcpCallFailed]: ...

    @overload
    def on(
        self, key: Literal["mcp_list_tools.in_progress"], *, replace: bool = ...
    ) -> Decorator[events.McpListToolsInProgress]: ...

    @overload
    def on(
        self, key: Literal["mcp_list_tools.completed"], *, replace: bool = ...
    ) -> Decorator[events.McpListToolsCompleted]: ...

    @overload
    def on(
        self, key: Literal["mcp_list_tools.failed"], *, replace: bool = ...
    ) -> Decorator[events.McpListToolsFailed]: ...

    @overload
    def on(
        self, key: Literal["rate_limits.updated"], *, replace: bool = ...
    ) -> Decorator[events.RateLimitsUpdated]: ...

    @overload
    def on(self, key: Literal["session.closed"], *, replace: bool = ...) -> Decorator[events.SessionClosed]: ...

    @overload
    def on(
        self, key: Literal["session.input_transcript.delta"], *, replace: bool = ...
    ) -> Decorator[events.SessionInputTranscriptDelta]: ...

    @overload
    def on(
        self, key: Literal["session.output_transcript.delta"], *, replace: bool = ...
    ) -> Decorator[events.SessionOutputTranscriptDelta]: ...

    @overload
    def on(
        self, key: Literal["session.output_audio.delta"], *, replace: bool = ...
    ) -> Decorator[events.SessionOutputAudioDelta]: ...

    @overload
    def on(self, key: Literal["session.resumed"], *, replace: bool = ...) -> Decorator[events.SessionResumed]: ...

    @overload
    def on(self, key: Literal["*"], *, replace: bool = ...) -> Decorator[AnyServerEvent]: ...

    @overload
    def on(self, key: type[S], *, replace: bool = ...) -> Decorator[S]: ...

    @overload
    def on(self, key: str, *, replace: bool = ...) -> Callable[[F], F]: ...

    @overload
    def on(
        self, key: Literal["error"], handler: Callable[[events.ErrorEvent], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.created"],
        handler: Callable[[events.SessionCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.updated"],
        handler: Callable[[events.SessionUpdated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["transcription_session.created"],
        handler: Callable[[events.TranscriptionSessionCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["transcription_session.updated"],
        handler: Callable[[events.TranscriptionSessionUpdated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.created"],
        handler: Callable[[events.ConversationCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.created"],
        handler: Callable[[events.ConversationItemCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.added"],
        handler: Callable[[events.ConversationItemAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.done"],
        handler: Callable[[events.ConversationItemDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.retrieved"],
        handler: Callable[[events.ConversationItemRetrieved], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.deleted"],
        handler: Callable[[events.ConversationItemDeleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.truncated"],
        handler: Callable[[events.ConversationItemTruncated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionSegment], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.committed"],
        handler: Callable[[events.InputAudioBufferCommitted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.cleared"],
        handler: Callable[[events.InputAudioBufferCleared], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        handler: Callable[[events.InputAudioBufferSpeechStarted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        handler: Callable[[events.InputAudioBufferSpeechStopped], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        handler: Callable[[events.InputAudioBufferTimeoutTriggered], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        handler: Callable[[events.InputAudioBufferDtmfEventReceived], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.started"],
        handler: Callable[[events.OutputAudioBufferStarted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.stopped"],
        handler: Callable[[events.OutputAudioBufferStopped], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["output_audio_buffer.cleared"],
        handler: Callable[[events.OutputAudioBufferCleared], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.created"],
        handler: Callable[[events.ResponseCreated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["response.done"], handler: Callable[[events.ResponseDone], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_item.added"],
        handler: Callable[[events.ResponseOutputItemAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_item.done"],
        handler: Callable[[events.ResponseOutputItemDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.content_part.added"],
        handler: Callable[[events.ResponseContentPartAdded], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.content_part.done"],
        handler: Callable[[events.ResponseContentPartDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        handler: Callable[[events.ResponseOutputTextDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        handler: Callable[[events.ResponseOutputTextDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        handler: Callable[[events.ResponseOutputAudioTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        handler: Callable[[events.ResponseOutputAudioTranscriptDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        handler: Callable[[events.ResponseOutputAudioDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        handler: Callable[[events.ResponseOutputAudioDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.function_call_arguments.delta"],
        handler: Callable[[events.ResponseFunctionCallArgumentsDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.function_call_arguments.done"],
        handler: Callable[[events.ResponseFunctionCallArgumentsDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        handler: Callable[[events.ResponseMcpCallArgumentsDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        handler: Callable[[events.ResponseMcpCallArgumentsDone], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.in_progress"],
        handler: Callable[[events.ResponseMcpCallInProgress], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.completed"],
        handler: Callable[[events.ResponseMcpCallCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["response.mcp_call.failed"],
        handler: Callable[[events.ResponseMcpCallFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.in_progress"],
        handler: Callable[[events.McpListToolsInProgress], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.completed"],
        handler: Callable[[events.McpListToolsCompleted], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["mcp_list_tools.failed"],
        handler: Callable[[events.McpListToolsFailed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["rate_limits.updated"],
        handler: Callable[[events.RateLimitsUpdated], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self, key: Literal["session.closed"], handler: Callable[[events.SessionClosed], object], *, replace: bool = ...
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.input_transcript.delta"],
        handler: Callable[[events.SessionInputTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.output_transcript.delta"],
        handler: Callable[[events.SessionOutputTranscriptDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.output_audio.delta"],
        handler: Callable[[events.SessionOutputAudioDelta], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(
        self,
        key: Literal["session.resumed"],
        handler: Callable[[events.SessionResumed], object],
        *,
        replace: bool = ...,
    ) -> None: ...

    @overload
    def on(self, key: Literal["*"], handler: Callable[[AnyServerEvent], object], *, replace: bool = ...) -> None: ...

    @overload
    def on(self, key: type[S], handler: Handler[S], *, replace: bool = ...) -> None: ...

    @overload
    def on(self, key: events.ServerEventType, handler: Callable[[Any], object], *, replace: bool = ...) -> None: ...

    @overload
    def on(self, key: str, handler: Callable[[EventOfAnyType], object], *, replace: bool = ...) -> None: ...

    def on(self, key: Any, handler: Any = None, *, replace: bool = False) -> Any:
        """Call ``handler`` for each event of a class, of a type string, or of ``"*"``; without ``handler``, a
        decorator. Handlers run on the thread that dispatches, in the order of their registration.

        ``replace=True`` takes the place of what was registered for ``key`` under the same module and qualified
        name: of the earlier definition of the same function when a cell of a notebook is run again (all lambdas of
        a cell have the same name).
        """
        raise NotImplementedError

    @overload
    def once(self, key: Literal["error"]) -> Decorator[events.ErrorEvent]: ...

    @overload
    def once(self, key: Literal["session.created"]) -> Decorator[events.SessionCreated]: ...

    @overload
    def once(self, key: Literal["session.updated"]) -> Decorator[events.SessionUpdated]: ...

    @overload
    def once(self, key: Literal["transcription_session.created"]) -> Decorator[events.TranscriptionSessionCreated]: ...

    @overload
    def once(self, key: Literal["transcription_session.updated"]) -> Decorator[events.TranscriptionSessionUpdated]: ...

    @overload
    def once(self, key: Literal["conversation.created"]) -> Decorator[events.ConversationCreated]: ...

    @overload
    def once(self, key: Literal["conversation.item.created"]) -> Decorator[events.ConversationItemCreated]: ...

    @overload
    def once(self, key: Literal["conversation.item.added"]) -> Decorator[events.ConversationItemAdded]: ...

    @overload
    def once(self, key: Literal["conversation.item.done"]) -> Decorator[events.ConversationItemDone]: ...

    @overload
    def once(self, key: Literal["conversation.item.retrieved"]) -> Decorator[events.ConversationItemRetrieved]: ...

    @overload
    def once(self, key: Literal["conversation.item.deleted"]) -> Decorator[events.ConversationItemDeleted]: ...

    @overload
    def once(self, key: Literal["conversation.item.truncated"]) -> Decorator[events.ConversationItemTruncated]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.delta"]
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionDelta]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.segment"]
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionSegment]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.completed"]
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionCompleted]: ...

    @overload
    def once(
        self, key: Literal["conversation.item.input_audio_transcription.failed"]
    ) -> Decorator[events.ConversationItemInputAudioTranscriptionFailed]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.committed"]) -> Decorator[events.InputAudioBufferCommitted]: ...

    @overload
    def once(self, key: Literal["input_audio_buffer.cleared"]) -> Decorator[events.InputAudioBufferCleared]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.speech_started"]
    ) -> Decorator[events.InputAudioBufferSpeechStarted]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.speech_stopped"]
    ) -> Decorator[events.InputAudioBufferSpeechStopped]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.timeout_triggered"]
    ) -> Decorator[events.InputAudioBufferTimeoutTriggered]: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.dtmf_event_received"]
    ) -> Decorator[events.InputAudioBufferDtmfEventReceived]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.started"]) -> Decorator[events.OutputAudioBufferStarted]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.stopped"]) -> Decorator[events.OutputAudioBufferStopped]: ...

    @overload
    def once(self, key: Literal["output_audio_buffer.cleared"]) -> Decorator[events.OutputAudioBufferCleared]: ...

    @overload
    def once(self, key: Literal["response.created"]) -> Decorator[events.ResponseCreated]: ...

    @overload
    def once(self, key: Literal["response.done"]) -> Decorator[events.ResponseDone]: ...

    @overload
    def once(self, key: Literal["response.output_item.added"]) -> Decorator[events.ResponseOutputItemAdded]: ...

    @overload
    def once(self, key: Literal["response.output_item.done"]) -> Decorator[events.ResponseOutputItemDone]: ...

    @overload
    def once(self, key: Literal["response.content_part.added"]) -> Decorator[events.ResponseContentPartAdded]: ...

    @overload
    def once(self, key: Literal["response.content_part.done"]) -> Decorator[events.ResponseContentPartDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_text.delta", "response.text.delta"]
    ) -> Decorator[events.ResponseOutputTextDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_text.done", "response.text.done"]
    ) -> Decorator[events.ResponseOutputTextDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"]
    ) -> Decorator[events.ResponseOutputAudioTranscriptDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"]
    ) -> Decorator[events.ResponseOutputAudioTranscriptDone]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio.delta", "response.audio.delta"]
    ) -> Decorator[events.ResponseOutputAudioDelta]: ...

    @overload
    def once(
        self, key: Literal["response.output_audio.done", "response.audio.done"]
    ) -> Decorator[events.ResponseOutputAudioDone]: ...

    @overload
    def once(
        self, key: Literal["response.function_call_arguments.delta"]
    ) -> Decorator[events.ResponseFunctionCallArgumentsDelta]: ...

    @overload
    def once(
        self, key: Literal["response.function_call_arguments.done"]
    ) -> Decorator[events.ResponseFunctionCallArgumentsDone]: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call_arguments.delta"]
    ) -> Decorator[events.ResponseMcpCallArgumentsDelta]: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call_arguments.done"]
    ) -> Decorator[events.ResponseMcpCallArgumentsDone]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.in_progress"]) -> Decorator[events.ResponseMcpCallInProgress]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.completed"]) -> Decorator[events.ResponseMcpCallCompleted]: ...

    @overload
    def once(self, key: Literal["response.mcp_call.failed"]) -> Decorator[events.ResponseMcpCallFailed]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.in_progress"]) -> Decorator[events.McpListToolsInProgress]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.completed"]) -> Decorator[events.McpListToolsCompleted]: ...

    @overload
    def once(self, key: Literal["mcp_list_tools.failed"]) -> Decorator[events.McpListToolsFailed]: ...

    @overload
    def once(self, key: Literal["rate_limits.updated"]) -> Decorator[events.RateLimitsUpdated]: ...

    @overload
    def once(self, key: Literal["session.closed"]) -> Decorator[events.SessionClosed]: ...

    @overload
    def once(self, key: Literal["session.input_transcript.delta"]) -> Decorator[events.SessionInputTranscriptDelta]: ...

    @overload
    def once(
        self, key: Literal["session.output_transcript.delta"]
    ) -> Decorator[events.SessionOutputTranscriptDelta]: ...

    @overload
    def once(self, key: Literal["session.output_audio.delta"]) -> Decorator[events.SessionOutputAudioDelta]: ...

    @overload
    def once(self, key: Literal["session.resumed"]) -> Decorator[events.SessionResumed]: ...

    @overload
    def once(self, key: Literal["*"]) -> Decorator[AnyServerEvent]: ...

    @overload
    def once(self, key: type[S]) -> Decorator[S]: ...

    @overload
    def once(self, key: str) -> Callable[[F], F]: ...

    @overload
    def once(self, key: Literal["error"], handler: Callable[[events.ErrorEvent], object]) -> None: ...

    @overload
    def once(self, key: Literal["session.created"], handler: Callable[[events.SessionCreated], object]) -> None: ...

    @overload
    def once(self, key: Literal["session.updated"], handler: Callable[[events.SessionUpdated], object]) -> None: ...

    @overload
    def once(
        self,
        key: Literal["transcription_session.created"],
        handler: Callable[[events.TranscriptionSessionCreated], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["transcription_session.updated"],
        handler: Callable[[events.TranscriptionSessionUpdated], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.created"], handler: Callable[[events.ConversationCreated], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.created"], handler: Callable[[events.ConversationItemCreated], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.added"], handler: Callable[[events.ConversationItemAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.done"], handler: Callable[[events.ConversationItemDone], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.retrieved"], handler: Callable[[events.ConversationItemRetrieved], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.deleted"], handler: Callable[[events.ConversationItemDeleted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["conversation.item.truncated"], handler: Callable[[events.ConversationItemTruncated], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionSegment], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionCompleted], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        handler: Callable[[events.ConversationItemInputAudioTranscriptionFailed], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.committed"],
        handler: Callable[[events.InputAudioBufferCommitted], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["input_audio_buffer.cleared"], handler: Callable[[events.InputAudioBufferCleared], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        handler: Callable[[events.InputAudioBufferSpeechStarted], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        handler: Callable[[events.InputAudioBufferSpeechStopped], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        handler: Callable[[events.InputAudioBufferTimeoutTriggered], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        handler: Callable[[events.InputAudioBufferDtmfEventReceived], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.started"], handler: Callable[[events.OutputAudioBufferStarted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.stopped"], handler: Callable[[events.OutputAudioBufferStopped], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["output_audio_buffer.cleared"], handler: Callable[[events.OutputAudioBufferCleared], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["response.created"], handler: Callable[[events.ResponseCreated], object]) -> None: ...

    @overload
    def once(self, key: Literal["response.done"], handler: Callable[[events.ResponseDone], object]) -> None: ...

    @overload
    def once(
        self, key: Literal["response.output_item.added"], handler: Callable[[events.ResponseOutputItemAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.output_item.done"], handler: Callable[[events.ResponseOutputItemDone], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.content_part.added"], handler: Callable[[events.ResponseContentPartAdded], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.content_part.done"], handler: Callable[[events.ResponseContentPartDone], object]
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        handler: Callable[[events.ResponseOutputTextDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        handler: Callable[[events.ResponseOutputTextDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        handler: Callable[[events.ResponseOutputAudioTranscriptDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        handler: Callable[[events.ResponseOutputAudioTranscriptDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        handler: Callable[[events.ResponseOutputAudioDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        handler: Callable[[events.ResponseOutputAudioDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.function_call_arguments.delta"],
        handler: Callable[[events.ResponseFunctionCallArgumentsDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.function_call_arguments.done"],
        handler: Callable[[events.ResponseFunctionCallArgumentsDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        handler: Callable[[events.ResponseMcpCallArgumentsDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        handler: Callable[[events.ResponseMcpCallArgumentsDone], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["response.mcp_call.in_progress"],
        handler: Callable[[events.ResponseMcpCallInProgress], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call.completed"], handler: Callable[[events.ResponseMcpCallCompleted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["response.mcp_call.failed"], handler: Callable[[events.ResponseMcpCallFailed], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["mcp_list_tools.in_progress"], handler: Callable[[events.McpListToolsInProgress], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["mcp_list_tools.completed"], handler: Callable[[events.McpListToolsCompleted], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["mcp_list_tools.failed"], handler: Callable[[events.McpListToolsFailed], object]
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["rate_limits.updated"], handler: Callable[[events.RateLimitsUpdated], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["session.closed"], handler: Callable[[events.SessionClosed], object]) -> None: ...

    @overload
    def once(
        self,
        key: Literal["session.input_transcript.delta"],
        handler: Callable[[events.SessionInputTranscriptDelta], object],
    ) -> None: ...

    @overload
    def once(
        self,
        key: Literal["session.output_transcript.delta"],
        handler: Callable[[events.SessionOutputTranscriptDelta], object],
    ) -> None: ...

    @overload
    def once(
        self, key: Literal["session.output_audio.delta"], handler: Callable[[events.SessionOutputAudioDelta], object]
    ) -> None: ...

    @overload
    def once(self, key: Literal["session.resumed"], handler: Callable[[events.SessionResumed], object]) -> None: ...

    @overload
    def once(self, key: Literal["*"], handler: Callable[[AnyServerEvent], object]) -> None: ...

    @overload
    def once(self, key: type[S], handler: Handler[S]) -> None: ...

    @overload
    def once(self, key: events.ServerEventType, handler: Callable[[Any], object]) -> None: ...

    @overload
    def once(self, key: str, handler: Callable[[EventOfAnyType], object]) -> None: ...

    def once(self, key: Any, handler: Any = None) -> Any:
        """As `on`, for the next such event only."""
        raise NotImplementedError

    @overload
    def wait_for(
        self,
        key: Literal["error"],
        predicate: Callable[[events.ErrorEvent], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ErrorEvent: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.created"],
        predicate: Callable[[events.SessionCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.updated"],
        predicate: Callable[[events.SessionUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["transcription_session.created"],
        predicate: Callable[[events.TranscriptionSessionCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.TranscriptionSessionCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["transcription_session.updated"],
        predicate: Callable[[events.TranscriptionSessionUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.TranscriptionSessionUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.created"],
        predicate: Callable[[events.ConversationCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.created"],
        predicate: Callable[[events.ConversationItemCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.added"],
        predicate: Callable[[events.ConversationItemAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.done"],
        predicate: Callable[[events.ConversationItemDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.retrieved"],
        predicate: Callable[[events.ConversationItemRetrieved], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemRetrieved: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.deleted"],
        predicate: Callable[[events.ConversationItemDeleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemDeleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.truncated"],
        predicate: Callable[[events.ConversationItemTruncated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemTruncated: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.delta"],
        predicate: Callable[[events.ConversationItemInputAudioTranscriptionDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemInputAudioTranscriptionDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.segment"],
        predicate: Callable[[events.ConversationItemInputAudioTranscriptionSegment], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemInputAudioTranscriptionSegment: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.completed"],
        predicate: Callable[[events.ConversationItemInputAudioTranscriptionCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemInputAudioTranscriptionCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["conversation.item.input_audio_transcription.failed"],
        predicate: Callable[[events.ConversationItemInputAudioTranscriptionFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ConversationItemInputAudioTranscriptionFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.committed"],
        predicate: Callable[[events.InputAudioBufferCommitted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferCommitted: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.cleared"],
        predicate: Callable[[events.InputAudioBufferCleared], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferCleared: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.speech_started"],
        predicate: Callable[[events.InputAudioBufferSpeechStarted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferSpeechStarted: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.speech_stopped"],
        predicate: Callable[[events.InputAudioBufferSpeechStopped], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferSpeechStopped: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.timeout_triggered"],
        predicate: Callable[[events.InputAudioBufferTimeoutTriggered], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferTimeoutTriggered: ...

    @overload
    def wait_for(
        self,
        key: Literal["input_audio_buffer.dtmf_event_received"],
        predicate: Callable[[events.InputAudioBufferDtmfEventReceived], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.InputAudioBufferDtmfEventReceived: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.started"],
        predicate: Callable[[events.OutputAudioBufferStarted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.OutputAudioBufferStarted: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.stopped"],
        predicate: Callable[[events.OutputAudioBufferStopped], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.OutputAudioBufferStopped: ...

    @overload
    def wait_for(
        self,
        key: Literal["output_audio_buffer.cleared"],
        predicate: Callable[[events.OutputAudioBufferCleared], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.OutputAudioBufferCleared: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.created"],
        predicate: Callable[[events.ResponseCreated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseCreated: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.done"],
        predicate: Callable[[events.ResponseDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_item.added"],
        predicate: Callable[[events.ResponseOutputItemAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputItemAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_item.done"],
        predicate: Callable[[events.ResponseOutputItemDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputItemDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.content_part.added"],
        predicate: Callable[[events.ResponseContentPartAdded], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseContentPartAdded: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.content_part.done"],
        predicate: Callable[[events.ResponseContentPartDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseContentPartDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_text.delta", "response.text.delta"],
        predicate: Callable[[events.ResponseOutputTextDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputTextDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_text.done", "response.text.done"],
        predicate: Callable[[events.ResponseOutputTextDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputTextDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"],
        predicate: Callable[[events.ResponseOutputAudioTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputAudioTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"],
        predicate: Callable[[events.ResponseOutputAudioTranscriptDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputAudioTranscriptDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio.delta", "response.audio.delta"],
        predicate: Callable[[events.ResponseOutputAudioDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputAudioDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.output_audio.done", "response.audio.done"],
        predicate: Callable[[events.ResponseOutputAudioDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseOutputAudioDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.function_call_arguments.delta"],
        predicate: Callable[[events.ResponseFunctionCallArgumentsDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseFunctionCallArgumentsDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.function_call_arguments.done"],
        predicate: Callable[[events.ResponseFunctionCallArgumentsDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseFunctionCallArgumentsDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call_arguments.delta"],
        predicate: Callable[[events.ResponseMcpCallArgumentsDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseMcpCallArgumentsDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call_arguments.done"],
        predicate: Callable[[events.ResponseMcpCallArgumentsDone], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseMcpCallArgumentsDone: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.in_progress"],
        predicate: Callable[[events.ResponseMcpCallInProgress], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseMcpCallInProgress: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.completed"],
        predicate: Callable[[events.ResponseMcpCallCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseMcpCallCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["response.mcp_call.failed"],
        predicate: Callable[[events.ResponseMcpCallFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.ResponseMcpCallFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.in_progress"],
        predicate: Callable[[events.McpListToolsInProgress], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.McpListToolsInProgress: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.completed"],
        predicate: Callable[[events.McpListToolsCompleted], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.McpListToolsCompleted: ...

    @overload
    def wait_for(
        self,
        key: Literal["mcp_list_tools.failed"],
        predicate: Callable[[events.McpListToolsFailed], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.McpListToolsFailed: ...

    @overload
    def wait_for(
        self,
        key: Literal["rate_limits.updated"],
        predicate: Callable[[events.RateLimitsUpdated], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.RateLimitsUpdated: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.closed"],
        predicate: Callable[[events.SessionClosed], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionClosed: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.input_transcript.delta"],
        predicate: Callable[[events.SessionInputTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionInputTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.output_transcript.delta"],
        predicate: Callable[[events.SessionOutputTranscriptDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionOutputTranscriptDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.output_audio.delta"],
        predicate: Callable[[events.SessionOutputAudioDelta], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionOutputAudioDelta: ...

    @overload
    def wait_for(
        self,
        key: Literal["session.resumed"],
        predicate: Callable[[events.SessionResumed], object] | None = ...,
        timeout: float | None = ...,
    ) -> events.SessionResumed: ...

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
        self, key: events.ServerEventType, predicate: Callable[[Any], object] | None = ..., timeout: float | None = ...
    ) -> Any: ...

    @overload
    def wait_for(
        self, key: str, predicate: Callable[[EventOfAnyType], object] | None = ..., timeout: float | None = ...
    ) -> Any: ...

    def wait_for(self, key: Any, predicate: Any = None, timeout: float | None = 10.0) -> Any:
        """Block until an event of this class or type comes that the predicate accepts, and return it. Events that
        arrived but were not dispatched yet count; events dispatched before do not.

        Raises `RealtimeTimeout` after ``timeout`` seconds (0 looks at what has arrived), and the cause when the
        connection ends first.
        """
        raise NotImplementedError
