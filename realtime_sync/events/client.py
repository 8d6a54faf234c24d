"""The events that a client sends in a conversation or transcription session."""

from __future__ import annotations

from attrs import field

from realtime_sync.events.base import PAYLOAD, ClientEvent
from realtime_sync.events.config import FlatSessionConfig, SessionConfig
from realtime_sync.events.facts import LONGEST_APPEND, at_least, longest, required
from realtime_sync.events.family import REALTIME
from realtime_sync.events.items import Item
from realtime_sync.events.response import ResponseConfig
from realtime_sync.events.server import (
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    OutputAudioBufferCleared,
    ResponseCreated,
    ResponseDone,
    SessionUpdated,
    TranscriptionSessionUpdated,
)

__all__ = [
    "ConversationItemCreate",
    "ConversationItemDelete",
    "ConversationItemRetrieve",
    "ConversationItemTruncate",
    "InputAudioBufferAppend",
    "InputAudioBufferClear",
    "InputAudioBufferCommit",
    "OutputAudioBufferClear",
    "ResponseCancel",
    "ResponseCreate",
    "SessionUpdate",
    "TranscriptionSessionUpdate",
]


@REALTIME.client_event("session.update", confirmed_by=(SessionUpdated,), updates=True)
class SessionUpdate(ClientEvent):
    """Change the configuration: only what ``session`` sets. Answered by ``session.updated``, or refused as a whole."""

    session: SessionConfig


@REALTIME.client_event("transcription_session.update", confirmed_by=(TranscriptionSessionUpdated, SessionUpdated))
class TranscriptionSessionUpdate(ClientEvent):
    """Change a transcription session in the older dialect. Answered by ``transcription_session.updated``."""

    session: FlatSessionConfig


@REALTIME.client_event("input_audio_buffer.append", appends=True)
class InputAudioBufferAppend(ClientEvent):
    """Add speech to the input buffer: base64 in the session's input format (24 kHz mono s16le by default), at most
    15 MiB. It is never confirmed."""

    audio: str = field(metadata=PAYLOAD | required(may_be_empty=True) | longest(LONGEST_APPEND))


@REALTIME.client_event("input_audio_buffer.commit", confirmed_by=(InputAudioBufferCommitted,))
class InputAudioBufferCommit(ClientEvent):
    """Turn the input buffer into a user message. Answered by ``input_audio_buffer.committed``; an error when it holds
    less than 100 ms. Server turn detection does this by itself. It starts no response."""


@REALTIME.client_event("input_audio_buffer.clear", confirmed_by=(InputAudioBufferCleared,))
class InputAudioBufferClear(ClientEvent):
    """Throw the input buffer away. Answered by ``input_audio_buffer.cleared``."""


@REALTIME.client_event("output_audio_buffer.clear", confirmed_by=(OutputAudioBufferCleared,))
class OutputAudioBufferClear(ClientEvent):
    """Stop the audio that the server is playing (WebRTC and SIP only). Answered by ``output_audio_buffer.cleared``."""


@REALTIME.client_event("conversation.item.create", confirmed_by=(ConversationItemAdded, ConversationItemCreated))
class ConversationItemCreate(ClientEvent):
    """Add an item to the conversation: after ``previous_item_id``, at the beginning for ``root``, at the end for
    ``None``. Answered by ``conversation.item.added``, then ``conversation.item.done``."""

    item: Item
    previous_item_id: str | None = None


@REALTIME.client_event("conversation.item.retrieve", confirmed_by=(ConversationItemRetrieved,))
class ConversationItemRetrieve(ClientEvent):
    """Ask for the server's copy of an item, e.g. its audio after noise reduction. Answered by
    ``conversation.item.retrieved``."""

    item_id: str


@REALTIME.client_event("conversation.item.delete", confirmed_by=(ConversationItemDeleted,))
class ConversationItemDelete(ClientEvent):
    """Remove an item from the conversation. Answered by ``conversation.item.deleted``."""

    item_id: str


@REALTIME.client_event("conversation.item.truncate", confirmed_by=(ConversationItemTruncated,))
class ConversationItemTruncate(ClientEvent):
    """Cut the model's speech at ``audio_end_ms`` (milliseconds from its beginning), so that the conversation holds
    only what the user has heard. Answered by ``conversation.item.truncated``; an error beyond the end of the audio."""

    item_id: str
    content_index: int = field(metadata=at_least(0))
    audio_end_ms: int = field(metadata=at_least(0))


@REALTIME.client_event("response.create", confirmed_by=(ResponseCreated,))
class ResponseCreate(ClientEvent):
    """Make the model answer. Answered by ``response.created``. Only one response at a time may write to the
    conversation."""

    response: ResponseConfig | None = None


@REALTIME.client_event("response.cancel", confirmed_by=(ResponseDone,))
class ResponseCancel(ClientEvent):
    """Stop a response; ``None`` means the one of the conversation. Answered by ``response.done`` with the status
    ``cancelled``, or an error when there is nothing to stop."""

    response_id: str | None = None
