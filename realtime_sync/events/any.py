"""What comes from a server, for type checkers: it is narrowed by ``event.type == ...`` and by ``isinstance``.

Made by scripts/generate.py.
"""
# fmt: off

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from realtime_sync import events

    class _Unknown(events.UnknownEvent):
        type: Literal["<the type that the server sent>"] = "<the type that the server sent>"

    class _Malformed(events.MalformedEvent):
        type: Literal[""] = ""

    class EventOfAnyType(_Unknown):
        """What comes for a key that may be any string: its ``type`` may be compared with each."""

        type: Any

    AnyServerEvent = (
        events.ErrorEvent
        | events.SessionCreated
        | events.SessionUpdated
        | events.TranscriptionSessionCreated
        | events.TranscriptionSessionUpdated
        | events.ConversationCreated
        | events.ConversationItemCreated
        | events.ConversationItemAdded
        | events.ConversationItemDone
        | events.ConversationItemRetrieved
        | events.ConversationItemDeleted
        | events.ConversationItemTruncated
        | events.ConversationItemInputAudioTranscriptionDelta
        | events.ConversationItemInputAudioTranscriptionSegment
        | events.ConversationItemInputAudioTranscriptionCompleted
        | events.ConversationItemInputAudioTranscriptionFailed
        | events.InputAudioBufferCommitted
        | events.InputAudioBufferCleared
        | events.InputAudioBufferSpeechStarted
        | events.InputAudioBufferSpeechStopped
        | events.InputAudioBufferTimeoutTriggered
        | events.InputAudioBufferDtmfEventReceived
        | events.OutputAudioBufferStarted
        | events.OutputAudioBufferStopped
        | events.OutputAudioBufferCleared
        | events.ResponseCreated
        | events.ResponseDone
        | events.ResponseOutputItemAdded
        | events.ResponseOutputItemDone
        | events.ResponseContentPartAdded
        | events.ResponseContentPartDone
        | events.ResponseOutputTextDelta
        | events.ResponseOutputTextDone
        | events.ResponseOutputAudioTranscriptDelta
        | events.ResponseOutputAudioTranscriptDone
        | events.ResponseOutputAudioDelta
        | events.ResponseOutputAudioDone
        | events.ResponseFunctionCallArgumentsDelta
        | events.ResponseFunctionCallArgumentsDone
        | events.ResponseMcpCallArgumentsDelta
        | events.ResponseMcpCallArgumentsDone
        | events.ResponseMcpCallInProgress
        | events.ResponseMcpCallCompleted
        | events.ResponseMcpCallFailed
        | events.McpListToolsInProgress
        | events.McpListToolsCompleted
        | events.McpListToolsFailed
        | events.RateLimitsUpdated
        | events.SessionClosed
        | events.SessionInputTranscriptDelta
        | events.SessionOutputTranscriptDelta
        | events.SessionOutputAudioDelta
        | events.SessionResumed
        | _Unknown
        | _Malformed
    )
else:
    from realtime_sync.events.base import ServerEvent as AnyServerEvent
    from realtime_sync.events.unknown import UnknownEvent as EventOfAnyType

__all__ = ["AnyServerEvent", "EventOfAnyType"]
