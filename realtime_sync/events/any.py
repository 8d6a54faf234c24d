"""What comes from a server, for type checkers: it is narrowed by ``event.type == ...`` and by ``isinstance``.

Made by scripts/generate.py.
"""
# fmt: off

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from realtime_sync.events.notices import (
        SessionResumed,
    )
    from realtime_sync.events.server import (
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
        SessionCreated,
        SessionUpdated,
        TranscriptionSessionCreated,
        TranscriptionSessionUpdated,
    )
    from realtime_sync.events.translation import (
        SessionClosed,
        SessionInputTranscriptDelta,
        SessionOutputAudioDelta,
        SessionOutputTranscriptDelta,
    )
    from realtime_sync.events.unknown import MalformedEvent, UnknownEvent

    class _Unknown(UnknownEvent):
        type: Literal["<the type that the server sent>"] = "<the type that the server sent>"

    class _Malformed(MalformedEvent):
        type: Literal[""] = ""

    AnyServerEvent = (
        ErrorEvent
        | SessionCreated
        | SessionUpdated
        | TranscriptionSessionCreated
        | TranscriptionSessionUpdated
        | ConversationCreated
        | ConversationItemCreated
        | ConversationItemAdded
        | ConversationItemDone
        | ConversationItemRetrieved
        | ConversationItemDeleted
        | ConversationItemTruncated
        | ConversationItemInputAudioTranscriptionDelta
        | ConversationItemInputAudioTranscriptionSegment
        | ConversationItemInputAudioTranscriptionCompleted
        | ConversationItemInputAudioTranscriptionFailed
        | InputAudioBufferCommitted
        | InputAudioBufferCleared
        | InputAudioBufferSpeechStarted
        | InputAudioBufferSpeechStopped
        | InputAudioBufferTimeoutTriggered
        | InputAudioBufferDtmfEventReceived
        | OutputAudioBufferStarted
        | OutputAudioBufferStopped
        | OutputAudioBufferCleared
        | ResponseCreated
        | ResponseDone
        | ResponseOutputItemAdded
        | ResponseOutputItemDone
        | ResponseContentPartAdded
        | ResponseContentPartDone
        | ResponseOutputTextDelta
        | ResponseOutputTextDone
        | ResponseOutputAudioTranscriptDelta
        | ResponseOutputAudioTranscriptDone
        | ResponseOutputAudioDelta
        | ResponseOutputAudioDone
        | ResponseFunctionCallArgumentsDelta
        | ResponseFunctionCallArgumentsDone
        | ResponseMcpCallArgumentsDelta
        | ResponseMcpCallArgumentsDone
        | ResponseMcpCallInProgress
        | ResponseMcpCallCompleted
        | ResponseMcpCallFailed
        | McpListToolsInProgress
        | McpListToolsCompleted
        | McpListToolsFailed
        | RateLimitsUpdated
        | SessionClosed
        | SessionInputTranscriptDelta
        | SessionOutputTranscriptDelta
        | SessionOutputAudioDelta
        | SessionResumed
        | _Unknown
        | _Malformed
    )
else:
    from realtime_sync.events.base import ServerEvent as AnyServerEvent

__all__ = ["AnyServerEvent"]
