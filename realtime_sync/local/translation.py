"""A translation session: each stretch of speech comes back as text and speech in another language."""

from __future__ import annotations

import base64
import copy
from typing import Any, Final

from realtime_sync.codec import event_to_dict
from realtime_sync.events import (
    ClientEvent,
    SessionClose,
    SessionInputAudioBufferAppend,
    SessionUpdate,
)
from realtime_sync.events.visitor import ClientEventVisitor
from realtime_sync.local.audio_buffer import InputAudioBuffer, decode_audio
from realtime_sync.local.checks import Refusal
from realtime_sync.local.config import merge_session
from realtime_sync.local.core import Core
from realtime_sync.local.script import Say, Turn, as_reply
from realtime_sync.local.sound import SPEAKER_RATE_HZ, AudioFormat, cut
from realtime_sync.local.speech import Speech, words_of
from realtime_sync.local.vad import EnergyVad

__all__ = ["TranslationRequests"]

_CHUNK_MS: Final = 200
_SILENCE_MS: Final = 500
_PREFIX_MS: Final = 300


class TranslationRequests(ClientEventVisitor[None]):
    """Handles the events of a translation session. Each method wants the session's lock to be held.

    A reply of the server is the translation of one stretch of speech; the turn it sees holds nothing but that.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._format = AudioFormat()
        self._buffer = InputAudioBuffer(self._format)
        self._vad = EnergyVad(rate_hz=SPEAKER_RATE_HZ, threshold=0.5, silence_ms=_SILENCE_MS)
        self._start_ms = 0
        self._number = 0

    def default(self, event: ClientEvent) -> None:
        """Refuse what this kind of session does not know, and what cannot be read."""
        raise Refusal("invalid_value", f"The event '{event.type}' is not supported in this session.", "type")

    def visit_session_update(self, event: SessionUpdate) -> None:
        """Merge the update into the configuration."""
        self._core.config = merge_session(self._core.config, event_to_dict(event)["session"])
        self._core.answer("session.updated", session=self._core.config)

    def visit_session_input_audio_buffer_append(self, event: SessionInputAudioBufferAppend) -> None:
        """Take speech, and translate it whenever it pauses."""
        data = decode_audio(event.audio, "audio")
        self._buffer.append(data)
        for mark in self._vad.feed(data):
            if mark.kind == "started":
                self._start_ms = max(self._buffer.begin_ms, mark.at_ms - _PREFIX_MS)
            else:
                self._translate(self._buffer.take(self._start_ms, mark.at_ms), mark.at_ms)

    def visit_session_close(self, event: SessionClose) -> None:
        """Translate what is left, then end."""
        if self._vad.speaking:
            self._translate(self._buffer.take(self._start_ms, self._buffer.end_ms), self._buffer.end_ms)
        self._core.answer("session.closed")
        self._core.outbox.close(1000, "")

    def _translate(self, audio: bytes, elapsed_ms: int) -> None:
        # On the connection's own thread: a translation keeps the order of the speech.
        core = self._core
        heard = core.options.transcriber(audio, SPEAKER_RATE_HZ)
        self._number += 1
        reply = as_reply(core.claim_reply().answer(self._turn(audio, heard)))
        if core.config["audio"]["input"]["transcription"] is not None:
            for word in words_of(heard):
                core.emit("session.input_transcript.delta", delta=word, elapsed_ms=elapsed_ms)
        for output in reply.items():
            said = Say(output) if isinstance(output, str) else output
            if isinstance(said, Say):
                self._say(said, elapsed_ms)

    def _say(self, said: Say, elapsed_ms: int) -> None:
        for word in words_of(said.text):
            self._core.emit("session.output_transcript.delta", delta=word, elapsed_ms=elapsed_ms)
        speech = self._core.options.voice(said.text) if said.audio is None else Speech.of(said.audio)
        for chunk in cut(speech.pieces, self._format.size(_CHUNK_MS)):
            self._core.emit(
                "session.output_audio.delta",
                delta=base64.b64encode(chunk).decode(),
                sample_rate=SPEAKER_RATE_HZ,
                channels=1,
                format="pcm16",
                elapsed_ms=elapsed_ms,
            )

    def _turn(self, audio: bytes, heard: str) -> Turn:
        content = [{"type": "input_audio", "transcript": heard}]
        settings: dict[str, Any] = {"tools": [], "tool_choice": "none", "output_modalities": ["audio"]}
        return Turn(
            items=[{"type": "message", "role": "user", "content": content}],
            session=copy.deepcopy(self._core.config),
            response=settings,
            number=self._number,
            audio=audio,
            rate_hz=SPEAKER_RATE_HZ,
            request=self._core.request,
            hear=lambda: heard,
        )
