"""What the configuration of a session says, in every dialect: read here, asked everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Any, Final

import attrs

from realtime_sync._unset import UNSET, Unset
from realtime_sync.events import (
    AudioPcm,
    AudioPcma,
    AudioPcmu,
    CustomVoice,
    FlatSessionConfig,
    InputTranscription,
    RealtimeSessionConfig,
    Response,
    ResponseConfig,
    SemanticVad,
    ServerVad,
    SessionConfig,
    TranscriptionSessionConfig,
    TranslationSessionConfig,
    TurnDetection,
    UnknownObject,
    WireObject,
)
from realtime_sync.events._making import declared
from realtime_sync.events.base import fields_of

__all__ = ["Facts", "Sound", "merged"]

_G711_RATE_HZ: Final = 8000
_PCM_RATE_HZ: Final = 24000
_PCM_BYTES: Final = 2
_FLAT_CODES: Final = {"g711_ulaw": "pcmu", "g711_alaw": "pcma", "pcm16": "pcm"}
_CODES: Final[dict[type[WireObject], str]] = {AudioPcm: "pcm", AudioPcmu: "pcmu", AudioPcma: "pcma"}


# What only the older dialect has, and what it calls the options that are nested today.
_FLAT_ONLY: Final = declared(FlatSessionConfig).keys() - declared(RealtimeSessionConfig).keys()
_FLAT_NAMES: Final = {"output_modalities": "modalities", "max_output_tokens": "max_response_output_tokens"}
_FLAT_AUDIO: Final = {
    "input": {
        "format": "input_audio_format",
        "transcription": "input_audio_transcription",
        "noise_reduction": "input_audio_noise_reduction",
    },
    "output": {"format": "output_audio_format"},
}


@attrs.frozen
class Sound:
    """How audio is coded in one direction.

    ``code`` is ``pcm`` (16 bits), ``pcmu`` or ``pcma``; ``None`` where the server did not say, or said something
    unknown. ``told_rate_hz`` is the rate that it named: servers differ in the rate of PCM that they do not name.
    """

    code: str | None = None
    told_rate_hz: int | None = None

    @classmethod
    def of(cls, audio_format: Any) -> Sound:
        """A format as it stands in a configuration, nested or flat; ``None`` for one that is not told."""
        flat = isinstance(audio_format, str)
        code = _FLAT_CODES.get(audio_format) if flat else _CODES.get(type(audio_format))
        told = getattr(audio_format, "rate", None) if code == "pcm" else _G711_RATE_HZ if code else None
        return cls(code, told)

    @property
    def rate_hz(self) -> int:
        """Samples a second: as told, else what OpenAI takes it for."""
        return self.told_rate_hz or _PCM_RATE_HZ

    @property
    def bytes_per_s(self) -> int:
        """Bytes a second, at `rate_hz`."""
        return self.rate_hz * (1 if self.code in ("pcmu", "pcma") else _PCM_BYTES)

    @property
    def bytes_per_ms(self) -> float | None:
        """Bytes a millisecond; ``None`` where the server did not tell the rate."""
        return self.bytes_per_s / 1000 if self.told_rate_hz else None


@attrs.frozen
class Facts:
    """One configuration, read once. What it does not say is ``None``; without any, `Facts()` stands for "unknown"."""

    kind: str | None = None
    """``realtime``, ``transcription``, ``translation``, or what else the server calls its ``type``."""
    flat: bool = False
    """Whether it came in the older dialect, with all fields on one level."""
    id: str | None = None
    model: str | None = None
    expires_at: float | None = None
    """When the server ends the session, in seconds since 1970 (UTC)."""
    input: Sound = Sound()
    output: Sound = Sound()
    turn_detection: TurnDetection | Unset | None = UNSET
    """How the server finds the turns of the user: ``None`` when it does not, `UNSET` when that is not told."""
    transcription_model: str | None = None
    voice: str | None = None
    modalities: tuple[str, ...] | None = None
    transcribes: bool = False
    """Whether the user's speech is written down."""

    @classmethod
    def of(cls, config: SessionConfig | None) -> Facts:
        """Read a configuration of any dialect."""
        if config is None:
            return cls()
        audio = getattr(config, "audio", None)
        if isinstance(config, FlatSessionConfig):
            heard, transcription = config.input_audio_format, config.input_audio_transcription
            spoken, voice, modalities = config.output_audio_format, config.voice, config.modalities
            detection: Any = config.turn_detection
        else:
            into, out = getattr(audio, "input", None), getattr(audio, "output", None)
            heard, spoken = getattr(into, "format", None), getattr(out, "format", None)
            transcription, detection = getattr(into, "transcription", UNSET), getattr(into, "turn_detection", UNSET)
            voice, modalities = getattr(out, "voice", None), getattr(config, "output_modalities", None)
        return cls(
            kind=_kind(config),
            flat=isinstance(config, FlatSessionConfig) and _told(config).keys() & _FLAT_ONLY != set(),
            id=getattr(config, "id", None),
            model=getattr(config, "model", None),
            expires_at=getattr(config, "expires_at", None),
            input=Sound.of(heard),
            output=Sound.of(spoken),
            turn_detection=detection,
            transcribes=isinstance(transcription, (InputTranscription, UnknownObject)),
            transcription_model=transcription.model if isinstance(transcription, InputTranscription) else None,
            voice=voice_id(voice),
            modalities=tuple(modalities) if modalities is not None else None,
        )

    @property
    def manual(self) -> bool | None:
        """Whether the client itself ends the turns of the user; ``None`` when that is not told."""
        return None if self.turn_detection is UNSET else self.turn_detection is None

    @property
    def server_interrupts(self) -> bool:
        """Whether the server stops the model by itself when the user starts to speak: it does unless told not to."""
        return self._detects("interrupt_response")

    @property
    def server_answers(self) -> bool:
        """Whether the server makes a response by itself at the end of each turn: it does in a conversation, unless told
        not to."""
        return self.kind != "transcription" and self._detects("create_response")

    def _detects(self, option: str) -> bool:
        detection = self.turn_detection
        if detection is None:
            return False
        if isinstance(detection, (ServerVad, SemanticVad)):
            return getattr(detection, option) is not False
        return not isinstance(detection, UnknownObject) or detection.extra.get(option) is not False

    def update(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """``changes`` of a configuration, as JSON, in the dialect of the session."""
        if not self.flat:
            # A translation session reports a type and takes none.
            return {**changes} if self.kind == "translation" else {"type": self.kind or "realtime", **changes}
        flat = {_FLAT_NAMES.get(name, name): changes[name] for name in changes if name not in ("type", "audio")}
        audio = changes.get("audio")
        for direction, names in _FLAT_AUDIO.items():
            options = audio.get(direction) if isinstance(audio, Mapping) else None
            for name, value in options.items() if isinstance(options, Mapping) else ():
                flat[names.get(name, str(name))] = _flat_format(value) if name == "format" else value
        return flat


def _flat_format(audio_format: Any) -> Any:
    kind = audio_format.get("type") if isinstance(audio_format, Mapping) else None
    return {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}.get(str(kind), audio_format)


def _kind(config: SessionConfig) -> str | None:
    if isinstance(config, (RealtimeSessionConfig, TranscriptionSessionConfig, UnknownObject)):
        return config.type
    return "translation" if isinstance(config, TranslationSessionConfig) else None


def voice_id(voice: str | CustomVoice | None) -> str | None:
    """The name of a voice, or the id of one's own."""
    return voice.id if isinstance(voice, CustomVoice) else voice


def sound_of(response: Response | ResponseConfig | None) -> Sound | None:
    """The format of its own that a response has; ``None`` where it has that of the session."""
    output = response.audio.output if response is not None and response.audio is not None else None
    return Sound.of(output.format) if output is not None and output.format is not None else None


def _told(value: WireObject) -> dict[str, Any]:
    """The fields that are set; ``None`` is told where the protocol gives ``null`` a meaning."""
    told = ((a, getattr(value, a.name)) for a in fields_of(type(value)) if a.name != "extra")
    return {a.name: field for a, field in told if field is not UNSET and (field is not None or a.default is UNSET)}


def merged(known: Any, news: Any) -> Any:
    """``news`` with what it leaves out taken from ``known``: some servers report only what has changed."""
    if isinstance(news, FlatSessionConfig) and not isinstance(known, (FlatSessionConfig, NoneType)):
        # Without a type it was taken for the older dialect; with nothing of that in it, it is of the kind as before.
        told = _told(news)
        if told.keys() <= {a.name for a in fields_of(type(known))}:
            news = attrs.evolve(known, extra={}, **told)
    if type(known) is not type(news) or not isinstance(news, WireObject):
        return news
    changes: dict[str, Any] = {}
    for attribute in fields_of(type(news)):
        before, now = getattr(known, attribute.name), getattr(news, attribute.name)
        if attribute.name == "extra":
            changes["extra"] = {**before, **now}
        elif now is UNSET or (now is None and attribute.default is None):
            changes[attribute.name] = before
        elif isinstance(now, WireObject):
            changes[attribute.name] = merged(before, now)
    return attrs.evolve(news, **changes)  # type: ignore[misc]
