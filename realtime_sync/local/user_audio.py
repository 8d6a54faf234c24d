"""The user's audio: the input buffer, turn detection, and the commits that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.local.audio_buffer import InputAudioBuffer, decode_audio
from realtime_sync.local.config import silence_ms
from realtime_sync.local.conversation import StoredItem
from realtime_sync.local.core import Core
from realtime_sync.local.responses import Responses
from realtime_sync.local.sound import AudioFormat
from realtime_sync.local.transcription import Transcription
from realtime_sync.local.vad import EnergyVad

__all__ = ["UserAudio"]

_KEPT_SILENCE_MS: Final = 60_000
_SEMANTIC_THRESHOLD: Final = 0.5
_SEMANTIC_PREFIX_MS: Final = 300


class UserAudio:
    """Takes the audio of the client, finds the turns in it and lets them be answered.

    All methods want the session's lock to be held.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._transcription = Transcription(core)
        self.responses = Responses(core, self._transcription, self._response_ended)
        self._buffer = InputAudioBuffer(self._format())
        self._vad: EnergyVad | None = None
        self._vad_begin_ms = 0
        self._speech_item_id = ""
        self._speech_start_ms = 0
        self._idle: Deadline | None = None
        self._prompted = False
        self._listen_anew()

    def configure(self, before: dict[str, Any]) -> None:
        """The session was updated: detect turns as it says from now on. Speech that goes on survives every update
        but one of the format or of the turn detection itself."""
        detection = self._core.config["audio"]["input"]["turn_detection"]
        if before["audio"]["input"]["turn_detection"] != detection or self._format() != self._buffer.format:
            self._buffer.change_format(self._format())
            self._listen_anew()
            self._idle = None

    def append(self, audio: str) -> None:
        """Take audio; raises `Refusal` when it is none."""
        data = decode_audio(audio, "audio")
        self._buffer.append(data)
        if self._vad is None:
            return
        for mark in self._vad.feed(self._buffer.format.to_pcm(data)):
            at_ms = self._vad_begin_ms + mark.at_ms
            if mark.kind == "started":
                self._speech_started(at_ms)
            else:
                self._speech_stopped(at_ms)
        if not self._vad.speaking:
            self._buffer.forget_before(self._buffer.end_ms - _KEPT_SILENCE_MS)

    def commit(self) -> None:
        """Make a user message of what is in the buffer; raises `Refusal` below 100 ms."""
        data = self._buffer.take_all()
        speaking = self._vad is not None and self._vad.speaking
        item_id = self._speech_item_id if speaking else self._core.new_id("item")
        self._listen_anew()
        self.user_acted()
        self._commit(item_id, data, self._core.answer)

    def clear(self) -> None:
        """Forget what is in the buffer."""
        self._buffer.clear()
        self._listen_anew()

    def _response_ended(self, sounded_s: float) -> None:
        """The model has spoken: late transcripts come, and from now on the user's silence counts, until it was asked
        for once."""
        self._transcription.tell_late()
        detection = self._core.config["audio"]["input"]["turn_detection"] or {}
        idle_ms = detection.get("idle_timeout_ms")
        speed = self._core.options.speed
        if idle_ms is not None and not self._prompted:
            self._idle = Deadline(idle_ms / 1000 + (sounded_s / speed if speed else 0.0))

    def user_acted(self) -> None:
        """The user did something: there is no silence to end."""
        self._idle = None
        self._prompted = False

    @property
    def idle(self) -> Deadline | None:
        """When the user will have been silent for too long; ``None`` while that is not watched."""
        return self._idle

    @property
    def watches_silence(self) -> bool:
        """Whether the configuration asks for the user's silence to be ended."""
        detection = self._core.config["audio"]["input"]["turn_detection"]
        return detection is not None and detection.get("idle_timeout_ms") is not None

    def idle_timeout(self) -> None:
        """The user was silent for too long: commit the silence and let the model speak."""
        self._idle = None
        self._prompted = True
        start_ms, end_ms = self._buffer.begin_ms, self._buffer.end_ms
        item_id = self._core.new_id("item")
        self._core.tell(
            "input_audio_buffer.timeout_triggered", audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id
        )
        self._commit(item_id, self._buffer.take(start_ms, end_ms), self._core.tell)
        self._listen_anew()
        self.responses.create_for_turn()

    def _format(self) -> AudioFormat:
        return AudioFormat.of(self._core.config["audio"]["input"]["format"])

    def _detection(self) -> dict[str, Any]:
        detection: dict[str, Any] = self._core.config["audio"]["input"]["turn_detection"]
        return detection

    def _listen_anew(self) -> None:
        detection = self._detection()
        self._vad_begin_ms = self._buffer.end_ms
        self._vad = None
        if detection is not None:
            self._vad = EnergyVad(
                rate_hz=self._buffer.format.rate_hz,
                threshold=detection.get("threshold", _SEMANTIC_THRESHOLD),
                silence_ms=silence_ms(detection),
            )

    def _speech_started(self, at_ms: int) -> None:
        detection = self._detection()
        prefix_ms = detection.get("prefix_padding_ms", _SEMANTIC_PREFIX_MS)
        self._speech_start_ms = max(self._buffer.begin_ms, at_ms - prefix_ms)
        self._speech_item_id = self._core.new_id("item")
        self.user_acted()
        self._core.tell(
            "input_audio_buffer.speech_started", audio_start_ms=self._speech_start_ms, item_id=self._speech_item_id
        )
        if detection["interrupt_response"]:
            self.responses.interrupt()

    def _speech_stopped(self, at_ms: int) -> None:
        detection = self._detection()
        self._core.tell("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._speech_item_id)
        self._commit(self._speech_item_id, self._buffer.take(self._speech_start_ms, at_ms), self._core.tell)
        if detection["create_response"] and self._core.config["type"] == "realtime":
            self.responses.create_for_turn()

    def _commit(self, item_id: str, data: bytes, tell: Callable[..., None]) -> None:
        content = [{"type": "input_audio", "transcript": None}]
        shown = {"id": item_id, "type": "message", "status": "completed", "role": "user", "content": content}
        item = StoredItem(shown, self._buffer.format, {0: bytearray(data)})
        previous = self._core.conversation.add(item)
        tell("input_audio_buffer.committed", previous_item_id=previous, item_id=item_id)
        for event_type in ("conversation.item.added", "conversation.item.done"):
            tell(event_type, previous_item_id=previous, item=item.shown())
        self._transcription.committed(item)
