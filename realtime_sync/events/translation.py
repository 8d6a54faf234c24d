"""The events that only a translation session has; ``session.update``, ``session.created``, ``session.updated`` and
``error`` it shares with the others."""

from __future__ import annotations

from typing import Literal

from attrs import field

from realtime_sync.events._media import AudioDelta, text_on_demand
from realtime_sync.events.base import PAYLOAD, ClientEvent, ServerEvent
from realtime_sync.events.client import SessionUpdate
from realtime_sync.events.facts import LONGEST_APPEND, longest, required
from realtime_sync.events.family import REALTIME, TRANSLATION
from realtime_sync.events.server import ErrorEvent, SessionCreated, SessionUpdated

__all__ = [
    "SessionClose",
    "SessionClosed",
    "SessionInputAudioBufferAppend",
    "SessionInputTranscriptDelta",
    "SessionOutputAudioDelta",
    "SessionOutputTranscriptDelta",
]

TRANSLATION.share(REALTIME, SessionUpdate, SessionCreated, SessionUpdated, ErrorEvent)


@TRANSLATION.client_event("session.input_audio_buffer.append", appends=True)
class SessionInputAudioBufferAppend(ClientEvent):
    """Add speech to translate: base64 of 24 kHz mono s16le PCM. It is never confirmed."""

    audio: str = field(metadata=PAYLOAD | required(may_be_empty=True) | longest(LONGEST_APPEND))


@TRANSLATION.server_event("session.closed")
class SessionClosed(ServerEvent):
    """The session has ended; nothing follows."""

    type: Literal["session.closed"] = "session.closed"


@TRANSLATION.client_event("session.close", confirmed_by=(SessionClosed,))
class SessionClose(ClientEvent):
    """End the session: the server finishes what it has, then sends ``session.closed``."""


@TRANSLATION.server_event("session.input_transcript.delta")
class SessionInputTranscriptDelta(ServerEvent):
    """The next piece of the text of the source speech, to be joined without adding spaces; comes only with input
    transcription on. ``elapsed_ms`` is its place in the stream in milliseconds, where the server gives one."""

    type: Literal["session.input_transcript.delta"] = "session.input_transcript.delta"
    delta: str
    elapsed_ms: int | None = None


@TRANSLATION.server_event("session.output_transcript.delta")
class SessionOutputTranscriptDelta(ServerEvent):
    """The next piece of the translated text, to be joined without adding spaces. ``elapsed_ms`` as in
    `SessionInputTranscriptDelta`."""

    type: Literal["session.output_transcript.delta"] = "session.output_transcript.delta"
    delta: str
    elapsed_ms: int | None = None


@text_on_demand
@TRANSLATION.server_event("session.output_audio.delta")
class SessionOutputAudioDelta(AudioDelta):
    """The next piece of the translated speech, of any length: base64 of s16le PCM (``format`` is ``pcm16``) with
    ``sample_rate`` in Hz and ``channels``; 24 kHz mono where they are ``None``. ``elapsed_ms`` as in
    `SessionInputTranscriptDelta`."""

    type: Literal["session.output_audio.delta"] = "session.output_audio.delta"
    delta: str = field(metadata=PAYLOAD)
    sample_rate: int | None = None
    channels: int | None = None
    format: str | None = None
    elapsed_ms: int | None = None

    @property
    def delta_bytes(self) -> bytes:
        """The audio as bytes: s16le PCM, 24 kHz mono unless ``sample_rate`` and ``channels`` say otherwise. Empty
        when the server sent none; `InvalidEvent` when it is not base64."""
        return self._sound()
