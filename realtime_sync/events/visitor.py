"""One typed method for each event of the protocol.

A visitor overrides the methods of the events that it cares about; `default` gets the rest. An exhaustive one is refused
when its class is made unless it has a method for every event, so that none is forgotten when the protocol grows.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from realtime_sync.events import (
    CLIENT_EVENTS,
    LOCAL_EVENTS,
    SERVER_EVENTS,
    ConversationCreated,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputAudioBufferDtmfEventReceived,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
    MalformedEvent,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    OutputAudioBufferClear,
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    RateLimitsUpdated,
    ResponseCancel,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreate,
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
    SessionClose,
    SessionClosed,
    SessionCreated,
    SessionInputAudioBufferAppend,
    SessionInputTranscriptDelta,
    SessionOutputAudioDelta,
    SessionOutputTranscriptDelta,
    SessionResumed,
    SessionUpdate,
    SessionUpdated,
    TranscriptionSessionCreated,
    TranscriptionSessionUpdate,
    TranscriptionSessionUpdated,
    UnknownEvent,
)

__all__ = ["ClientEventVisitor", "ServerEventVisitor"]

T = TypeVar("T")


class _Visitor(Generic[T]):
    """What both visitors do when a class derives from them."""

    __slots__ = ()

    def __init_subclass__(cls, *, exhaustive: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__ == __name__:
            return
        methods = [name for base in cls.__mro__ if base.__module__ == __name__ for name in vars(base)]
        methods = [name for name in methods if name.startswith("visit_") or name in ("unknown", "malformed")]
        for name in dir(cls):
            if name.startswith("visit_") and name not in methods:
                raise TypeError(f"{cls.__name__}.{name} matches no event{_meant(name, methods)}")
        if exhaustive:
            missing = [name for name in methods if _owner(cls, name).__module__ == __name__]
            if missing:
                raise TypeError(f"{cls.__name__} is declared exhaustive but lacks {', '.join(missing)}")

    def default(self, event: Any) -> T | None:
        """Whatever has no method of its own in a subclass; returns ``None``."""
        return None

    def unknown(self, event: UnknownEvent) -> T | None:
        """An event of a type that this version does not know."""
        return self.default(event)

    def malformed(self, event: MalformedEvent) -> T | None:
        """A message that is no event; ``event.error`` says why."""
        return self.default(event)


def _owner(cls: type[Any], name: str) -> type[Any]:
    return next(base for base in cls.__mro__ if name in vars(base))


def _meant(name: str, methods: list[str]) -> str:
    """What a method with a wrong name was probably meant to be called."""
    import difflib

    kinds = {
        kind.replace(".", "_"): cls.VISIT for kind, cls in {**SERVER_EVENTS, **LOCAL_EVENTS, **CLIENT_EVENTS}.items()
    }
    candidates = [kind for kind, method in kinds.items() if method in methods]
    close = difflib.get_close_matches(name.removeprefix("visit_"), candidates, n=1)
    return f"; did you mean {kinds[close[0]]}?" if close else "; such methods are named after an event"


class ServerEventVisitor(_Visitor[T]):
    """Visits the events that a server sends: ``event.accept(visitor)`` calls the method for its class.

    ``T`` is what the methods return; one that is not overridden gives `default`'s ``None``. A class declared as
    ``class V(ServerEventVisitor[str], exhaustive=True)`` is refused with a `TypeError` that names the methods it lacks
    (`default` is not needed), and ``event.accept(V())`` is a ``str``: a type checker takes the type from ``unknown``.
    A method that starts with ``visit_`` and matches no event is refused in any case: it would never be called.
    """

    __slots__ = ()

    # <server: made by scripts/generate.py>

    def visit_error(self, event: ErrorEvent) -> T | None:
        """``error``: something went wrong, at the client's or the server's side."""
        return self.default(event)

    def visit_session_created(self, event: SessionCreated) -> T | None:
        """``session.created``: the first event of a connection: the configuration that the session starts with."""
        return self.default(event)

    def visit_session_updated(self, event: SessionUpdated) -> T | None:
        """``session.updated``: a ``session.update`` was accepted."""
        return self.default(event)

    def visit_transcription_session_created(self, event: TranscriptionSessionCreated) -> T | None:
        """``transcription_session.created``: the first event of a transcription session in the older dialect."""
        return self.default(event)

    def visit_transcription_session_updated(self, event: TranscriptionSessionUpdated) -> T | None:
        """``transcription_session.updated``: a ``transcription_session.update`` was accepted (older dialect)."""
        return self.default(event)

    def visit_conversation_created(self, event: ConversationCreated) -> T | None:
        """``conversation.created``: the conversation exists."""
        return self.default(event)

    def visit_conversation_item_created(self, event: ConversationItemCreated) -> T | None:
        """``conversation.item.created``: an item was added, in the words of the older dialect."""
        return self.default(event)

    def visit_conversation_item_added(self, event: ConversationItemAdded) -> T | None:
        """``conversation.item.added``: an item was added."""
        return self.default(event)

    def visit_conversation_item_done(self, event: ConversationItemDone) -> T | None:
        """``conversation.item.done``: an item is final and complete."""
        return self.default(event)

    def visit_conversation_item_retrieved(self, event: ConversationItemRetrieved) -> T | None:
        """``conversation.item.retrieved``: the item that ``conversation.item.retrieve`` asked for, with its audio."""
        return self.default(event)

    def visit_conversation_item_deleted(self, event: ConversationItemDeleted) -> T | None:
        """``conversation.item.deleted``: an item was removed, as ``conversation.item.delete`` asked for."""
        return self.default(event)

    def visit_conversation_item_truncated(self, event: ConversationItemTruncated) -> T | None:
        """``conversation.item.truncated``: the model's speech was cut at ``audio_end_ms``."""
        return self.default(event)

    def visit_conversation_item_input_audio_transcription_delta(
        self, event: ConversationItemInputAudioTranscriptionDelta
    ) -> T | None:
        """``conversation.item.input_audio_transcription.delta``: the next piece of what the user said."""
        return self.default(event)

    def visit_conversation_item_input_audio_transcription_segment(
        self, event: ConversationItemInputAudioTranscriptionSegment
    ) -> T | None:
        """``conversation.item.input_audio_transcription.segment``: one segment of what was said, by one ``speaker``."""
        return self.default(event)

    def visit_conversation_item_input_audio_transcription_completed(
        self, event: ConversationItemInputAudioTranscriptionCompleted
    ) -> T | None:
        """``conversation.item.input_audio_transcription.completed``: the whole of what the user said in an item."""
        return self.default(event)

    def visit_conversation_item_input_audio_transcription_failed(
        self, event: ConversationItemInputAudioTranscriptionFailed
    ) -> T | None:
        """``conversation.item.input_audio_transcription.failed``: the user's speech could not be transcribed."""
        return self.default(event)

    def visit_input_audio_buffer_committed(self, event: InputAudioBufferCommitted) -> T | None:
        """``input_audio_buffer.committed``: the input buffer became the user message ``item_id``."""
        return self.default(event)

    def visit_input_audio_buffer_cleared(self, event: InputAudioBufferCleared) -> T | None:
        """``input_audio_buffer.cleared``: the input buffer was emptied, as ``input_audio_buffer.clear`` asked for."""
        return self.default(event)

    def visit_input_audio_buffer_speech_started(self, event: InputAudioBufferSpeechStarted) -> T | None:
        """``input_audio_buffer.speech_started``: the user starts to speak: the moment to stop playing."""
        return self.default(event)

    def visit_input_audio_buffer_speech_stopped(self, event: InputAudioBufferSpeechStopped) -> T | None:
        """``input_audio_buffer.speech_stopped``: the user has stopped speaking."""
        return self.default(event)

    def visit_input_audio_buffer_timeout_triggered(self, event: InputAudioBufferTimeoutTriggered) -> T | None:
        """``input_audio_buffer.timeout_triggered``: nobody spoke for the ``idle_timeout_ms`` of `ServerVad`."""
        return self.default(event)

    def visit_input_audio_buffer_dtmf_event_received(self, event: InputAudioBufferDtmfEventReceived) -> T | None:
        """``input_audio_buffer.dtmf_event_received``: a key of the telephone was pressed (SIP only)."""
        return self.default(event)

    def visit_output_audio_buffer_started(self, event: OutputAudioBufferStarted) -> T | None:
        """``output_audio_buffer.started``: the server begins to play a response (WebRTC and SIP only)."""
        return self.default(event)

    def visit_output_audio_buffer_stopped(self, event: OutputAudioBufferStopped) -> T | None:
        """``output_audio_buffer.stopped``: the server has played a response to its end (WebRTC and SIP only)."""
        return self.default(event)

    def visit_output_audio_buffer_cleared(self, event: OutputAudioBufferCleared) -> T | None:
        """``output_audio_buffer.cleared``: the server stopped playing."""
        return self.default(event)

    def visit_response_created(self, event: ResponseCreated) -> T | None:
        """``response.created``: the model begins to answer; ``response`` has no output yet."""
        return self.default(event)

    def visit_response_done(self, event: ResponseDone) -> T | None:
        """``response.done``: a response has ended, well or not: see its ``status``."""
        return self.default(event)

    def visit_response_output_item_added(self, event: ResponseOutputItemAdded) -> T | None:
        """``response.output_item.added``: a response begins a new item."""
        return self.default(event)

    def visit_response_output_item_done(self, event: ResponseOutputItemDone) -> T | None:
        """``response.output_item.done``: an item of a response is final."""
        return self.default(event)

    def visit_response_content_part_added(self, event: ResponseContentPartAdded) -> T | None:
        """``response.content_part.added``: a message of a response begins a new part."""
        return self.default(event)

    def visit_response_content_part_done(self, event: ResponseContentPartDone) -> T | None:
        """``response.content_part.done``: a part of a message is final."""
        return self.default(event)

    def visit_response_output_text_delta(self, event: ResponseOutputTextDelta) -> T | None:
        """``response.output_text.delta``: the next piece of a written reply."""
        return self.default(event)

    def visit_response_output_text_done(self, event: ResponseOutputTextDone) -> T | None:
        """``response.output_text.done``: a written reply is complete; ``text`` is the whole of it."""
        return self.default(event)

    def visit_response_output_audio_transcript_delta(self, event: ResponseOutputAudioTranscriptDelta) -> T | None:
        """``response.output_audio_transcript.delta``: the next piece of the text of a spoken reply."""
        return self.default(event)

    def visit_response_output_audio_transcript_done(self, event: ResponseOutputAudioTranscriptDone) -> T | None:
        """``response.output_audio_transcript.done``: the text of a spoken reply is complete."""
        return self.default(event)

    def visit_response_output_audio_delta(self, event: ResponseOutputAudioDelta) -> T | None:
        """``response.output_audio.delta``: the next piece of a spoken reply, as base64."""
        return self.default(event)

    def visit_response_output_audio_done(self, event: ResponseOutputAudioDone) -> T | None:
        """``response.output_audio.done``: all audio of a part has been sent."""
        return self.default(event)

    def visit_response_function_call_arguments_delta(self, event: ResponseFunctionCallArgumentsDelta) -> T | None:
        """``response.function_call_arguments.delta``: the next piece of the JSON text."""
        return self.default(event)

    def visit_response_function_call_arguments_done(self, event: ResponseFunctionCallArgumentsDone) -> T | None:
        """``response.function_call_arguments.done``: the arguments of a function call are complete."""
        return self.default(event)

    def visit_response_mcp_call_arguments_delta(self, event: ResponseMcpCallArgumentsDelta) -> T | None:
        """``response.mcp_call_arguments.delta``: the next piece of the JSON text of an MCP call's arguments."""
        return self.default(event)

    def visit_response_mcp_call_arguments_done(self, event: ResponseMcpCallArgumentsDone) -> T | None:
        """``response.mcp_call_arguments.done``: the arguments of an MCP call are complete, as JSON text."""
        return self.default(event)

    def visit_response_mcp_call_in_progress(self, event: ResponseMcpCallInProgress) -> T | None:
        """``response.mcp_call.in_progress``: the API has called an MCP tool and waits for it."""
        return self.default(event)

    def visit_response_mcp_call_completed(self, event: ResponseMcpCallCompleted) -> T | None:
        """``response.mcp_call.completed``: a call of an MCP tool has succeeded; the result is in the item."""
        return self.default(event)

    def visit_response_mcp_call_failed(self, event: ResponseMcpCallFailed) -> T | None:
        """``response.mcp_call.failed``: a call of an MCP tool has failed; the reason is in the item."""
        return self.default(event)

    def visit_mcp_list_tools_in_progress(self, event: McpListToolsInProgress) -> T | None:
        """``mcp_list_tools.in_progress``: the API asks an MCP server for its tools."""
        return self.default(event)

    def visit_mcp_list_tools_completed(self, event: McpListToolsCompleted) -> T | None:
        """``mcp_list_tools.completed``: the tools of an MCP server are known and can be called."""
        return self.default(event)

    def visit_mcp_list_tools_failed(self, event: McpListToolsFailed) -> T | None:
        """``mcp_list_tools.failed``: an MCP server did not list its tools; the model goes on without them."""
        return self.default(event)

    def visit_rate_limits_updated(self, event: RateLimitsUpdated) -> T | None:
        """``rate_limits.updated``: how much of the account's limits is left."""
        return self.default(event)

    def visit_session_closed(self, event: SessionClosed) -> T | None:
        """``session.closed``: the session has ended; nothing follows."""
        return self.default(event)

    def visit_session_input_transcript_delta(self, event: SessionInputTranscriptDelta) -> T | None:
        """``session.input_transcript.delta``: the next piece of the text of the source speech."""
        return self.default(event)

    def visit_session_output_transcript_delta(self, event: SessionOutputTranscriptDelta) -> T | None:
        """``session.output_transcript.delta``: the next piece of the translated text."""
        return self.default(event)

    def visit_session_output_audio_delta(self, event: SessionOutputAudioDelta) -> T | None:
        """``session.output_audio.delta``: the next piece of the translated speech, of any length."""
        return self.default(event)

    def visit_session_resumed(self, event: SessionResumed) -> T | None:
        """``session.resumed``: the session goes on over another connection."""
        return self.default(event)

    # </server>


class ClientEventVisitor(_Visitor[T]):
    """Visits the events that a client sends: ``event.accept(visitor)`` calls the method for its class.

    ``T`` is what the methods return; one that is not overridden gives `default`'s ``None``. A class declared as
    ``class V(ClientEventVisitor[str], exhaustive=True)`` is refused with a `TypeError` that names the methods it lacks
    (`default` is not needed), and ``event.accept(V())`` is a ``str``: a type checker takes the type from ``unknown``.
    A method that starts with ``visit_`` and matches no event is refused in any case: it would never be called.
    """

    __slots__ = ()

    # <client: made by scripts/generate.py>

    def visit_session_update(self, event: SessionUpdate) -> T | None:
        """``session.update``: change the configuration: only what ``session`` sets."""
        return self.default(event)

    def visit_transcription_session_update(self, event: TranscriptionSessionUpdate) -> T | None:
        """``transcription_session.update``: change a transcription session in the older dialect."""
        return self.default(event)

    def visit_input_audio_buffer_append(self, event: InputAudioBufferAppend) -> T | None:
        """``input_audio_buffer.append``: add speech to the input buffer."""
        return self.default(event)

    def visit_input_audio_buffer_commit(self, event: InputAudioBufferCommit) -> T | None:
        """``input_audio_buffer.commit``: turn the input buffer into a user message."""
        return self.default(event)

    def visit_input_audio_buffer_clear(self, event: InputAudioBufferClear) -> T | None:
        """``input_audio_buffer.clear``: throw the input buffer away."""
        return self.default(event)

    def visit_output_audio_buffer_clear(self, event: OutputAudioBufferClear) -> T | None:
        """``output_audio_buffer.clear``: stop the audio that the server is playing (WebRTC and SIP only)."""
        return self.default(event)

    def visit_conversation_item_create(self, event: ConversationItemCreate) -> T | None:
        """``conversation.item.create``: add an item to the conversation."""
        return self.default(event)

    def visit_conversation_item_retrieve(self, event: ConversationItemRetrieve) -> T | None:
        """``conversation.item.retrieve``: ask for the server's copy of an item."""
        return self.default(event)

    def visit_conversation_item_delete(self, event: ConversationItemDelete) -> T | None:
        """``conversation.item.delete``: remove an item from the conversation."""
        return self.default(event)

    def visit_conversation_item_truncate(self, event: ConversationItemTruncate) -> T | None:
        """``conversation.item.truncate``: cut the model's speech at ``audio_end_ms``."""
        return self.default(event)

    def visit_response_create(self, event: ResponseCreate) -> T | None:
        """``response.create``: make the model answer."""
        return self.default(event)

    def visit_response_cancel(self, event: ResponseCancel) -> T | None:
        """``response.cancel``: stop a response; ``None`` means the one of the conversation."""
        return self.default(event)

    def visit_session_input_audio_buffer_append(self, event: SessionInputAudioBufferAppend) -> T | None:
        """``session.input_audio_buffer.append``: add speech to translate: base64 of 24 kHz mono s16le PCM."""
        return self.default(event)

    def visit_session_close(self, event: SessionClose) -> T | None:
        """``session.close``: end the session: the server finishes what it has, then sends ``session.closed``."""
        return self.default(event)

    # </client>
