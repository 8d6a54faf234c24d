"""The configuration of a session: what the client asks for and what the server reports, in one set of classes.

In what a client sends, a field that is ``None`` is left out and keeps its value on the server. The fields that can be
switched off are `UNSET` by default instead, and ``None`` there is sent as ``null``, which switches them off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import field

from realtime_sync._unset import UNSET, Unset
from realtime_sync.events._making import declared
from realtime_sync.events._other_names import OF_CONFIGURATIONS, missing
from realtime_sync.events.base import SECRET, WireObject, wire
from realtime_sync.events.facts import MOST_TOKENS, at_least, between, one_of, reported, required
from realtime_sync.events.items import InputFile, InputImage, InputText
from realtime_sync.events.tools import Tool, ToolChoice
from realtime_sync.events.unknown import UnknownObject

__all__ = [
    "AudioConfig",
    "AudioFormat",
    "AudioInput",
    "AudioOutput",
    "AudioPcm",
    "AudioPcma",
    "AudioPcmu",
    "ClientSecret",
    "CustomVoice",
    "FlatSessionConfig",
    "InputTranscription",
    "NoiseReduction",
    "Prompt",
    "RealtimeSessionConfig",
    "Reasoning",
    "SemanticVad",
    "ServerVad",
    "SessionConfig",
    "TokenLimits",
    "Tracing",
    "TranscriptionSessionConfig",
    "TranslationAudio",
    "TranslationInput",
    "TranslationOutput",
    "TranslationSessionConfig",
    "Truncation",
    "TurnDetection",
]


@wire
class AudioPcm(WireObject):
    """16-bit little-endian mono PCM; ``rate`` in Hz, 24000 at OpenAI."""

    TAGS = ("audio/pcm", None)

    type: str = "audio/pcm"
    rate: int | None = None


@wire
class AudioPcmu(WireObject):
    """G.711 mu-law: 8-bit mono at 8000 Hz."""

    type: str = "audio/pcmu"


@wire
class AudioPcma(WireObject):
    """G.711 A-law: 8-bit mono at 8000 Hz."""

    type: str = "audio/pcma"


AudioFormat = AudioPcm | AudioPcmu | AudioPcma | UnknownObject
"""How audio is coded in one direction."""


@wire
class InputTranscription(WireObject):
    """A second model that transcribes the user's speech beside the conversation.

    ``language`` is an ISO-639-1 code that the speech is in, ``languages`` several that it may be in; ``prompt`` and
    ``keywords`` guide the spelling; ``delay`` trades latency for accuracy (``minimal`` to ``xhigh``) where the model
    can.
    """

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: str | None = field(default=None, metadata=one_of("minimal", "low", "medium", "high", "xhigh"))


@wire
class NoiseReduction(WireObject):
    """Filters the input before turn detection and the model: ``near_field`` for a headset, ``far_field`` for a
    laptop or a room. ``strength`` is how much, where the server offers it."""

    type: str | None = field(default=None, metadata=one_of("near_field", "far_field"))
    strength: float | None = field(default=None, metadata=between(0, 1))


@wire
class ServerVad(WireObject):
    """Turns are found by loudness.

    ``threshold`` is 0.0 to 1.0; ``prefix_padding_ms`` of audio before the speech is kept; ``silence_duration_ms`` ends
    a turn. ``create_response`` answers at the end of each turn, ``interrupt_response`` stops the model when the user
    starts to speak. After ``idle_timeout_ms`` without speech the model speaks by itself; ``None`` switches that off.
    """

    TAGS = ("server_vad", None)

    type: str = "server_vad"
    threshold: float | None = field(default=None, metadata=between(0, 1))
    prefix_padding_ms: int | None = field(default=None, metadata=at_least(0))
    silence_duration_ms: int | None = field(default=None, metadata=at_least(0))
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: int | Unset | None = field(default=UNSET, metadata=between(5_000, 30_000))


@wire
class SemanticVad(WireObject):
    """Turns are found by a model that judges whether the user has finished. ``eagerness`` is ``low``, ``medium``,
    ``high`` or ``auto``: the longest waits are 8, 4 and 2 seconds."""

    type: str = "semantic_vad"
    eagerness: str | None = field(default=None, metadata=one_of("low", "medium", "high", "auto"))
    create_response: bool | None = None
    interrupt_response: bool | None = None


TurnDetection = ServerVad | SemanticVad | UnknownObject
"""How the server finds the turns of the user."""


@wire
class AudioInput(WireObject):
    """The user's audio. ``None`` switches noise reduction, transcription or turn detection off; without turn detection
    the client commits the buffer and asks for responses itself."""

    format: AudioFormat | None = None
    noise_reduction: NoiseReduction | Unset | None = UNSET
    transcription: InputTranscription | Unset | None = UNSET
    turn_detection: TurnDetection | Unset | None = UNSET


@wire
class CustomVoice(WireObject):
    """A voice of your own, by its ``id``."""

    id: str


@wire
class AudioOutput(WireObject):
    """The model's audio. ``voice`` is a name or a `CustomVoice` and is locked after the first audio; ``speed`` is 0.25
    to 1.5, 1.0 being normal."""

    format: AudioFormat | None = None
    voice: str | CustomVoice | None = None
    speed: float | None = field(default=None, metadata=between(0.25, 1.5))


@wire
class AudioConfig(WireObject):
    """Both directions of audio. A transcription session has only ``input``."""

    input: AudioInput | None = None
    output: AudioOutput | None = None


@wire
class Tracing(WireObject):
    """Names the trace that the API records of the session. It cannot be changed once it is on."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: Any = None


@wire
class Prompt(WireObject):
    """A stored prompt: its ``id``, a ``version`` (``None``: the current one) and values for its variables."""

    id: str
    version: str | None = None
    variables: dict[str, str | InputText | InputImage | InputFile | UnknownObject] | None = None


@wire
class TokenLimits(WireObject):
    """``post_instructions`` is the most tokens that the conversation may take besides the instructions."""

    post_instructions: int | None = field(default=None, metadata=at_least(0))


@wire
class Truncation(WireObject):
    """When the conversation outgrows the model, keep ``retention_ratio`` (0.0 to 1.0) of it, dropping the oldest
    items: fewer, larger cuts that leave more of the prompt cached."""

    type: str = field(default="retention_ratio", metadata=required() | one_of("retention_ratio"))
    retention_ratio: float = field(metadata=between(0, 1))
    token_limits: TokenLimits | None = None


@wire
class Reasoning(WireObject):
    """How much a reasoning model thinks before it answers: ``minimal``, ``low``, ``medium``, ``high``, ``xhigh``."""

    effort: str | None = field(default=None, metadata=one_of("minimal", "low", "medium", "high", "xhigh"))


@wire
class ClientSecret(WireObject):
    """A key for one session, safe to hand to a browser. ``expires_at`` is in seconds since 1970 (UTC). ``value`` never
    appears in a repr."""

    value: str = field(metadata=SECRET)
    expires_at: int


@wire
class RealtimeSessionConfig(WireObject):
    """A session in which the model talks.

    ``output_modalities`` is ``["audio"]`` (with a transcript) or ``["text"]``. ``model`` is fixed when connecting.
    ``max_output_tokens`` is a number or ``inf``. ``truncation`` is ``auto``, ``disabled`` or a `Truncation`,
    ``tracing`` is ``auto`` or a `Tracing`. ``include`` asks for more in the server's events
    (``item.input_audio_transcription.logprobs``). Only the server sets ``id``, ``object``, ``expires_at`` (seconds
    since 1970, UTC: the connection ends then) and ``client_secret``.
    """

    type: str = "realtime"
    model: str | None = None
    instructions: str | None = None
    output_modalities: list[str] | None = None
    audio: AudioConfig | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | str | None = field(default=None, metadata=between(1, MOST_TOKENS, or_else="inf"))
    reasoning: Reasoning | None = None
    truncation: str | Truncation | None = None
    prompt: Prompt | Unset | None = UNSET
    tracing: str | Tracing | Unset | None = UNSET
    include: list[str] | None = None
    id: str | None = field(default=None, metadata=reported())
    object: str | None = field(default=None, metadata=reported())
    expires_at: int | None = field(default=None, metadata=reported())
    client_secret: ClientSecret | None = field(default=None, metadata=reported())

    if not TYPE_CHECKING:
        __getattr__ = missing({name: f"it is {place or 'gone'} today" for name, place in OF_CONFIGURATIONS.items()})


@wire
class TranscriptionSessionConfig(WireObject):
    """A session that only transcribes the user's speech. The fields are those of `RealtimeSessionConfig`; of
    ``audio`` it has ``input``."""

    type: str = "transcription"
    audio: AudioConfig | None = None
    include: list[str] | None = None
    id: str | None = field(default=None, metadata=reported())
    object: str | None = field(default=None, metadata=reported())
    expires_at: int | None = field(default=None, metadata=reported())
    client_secret: ClientSecret | None = field(default=None, metadata=reported())


@wire
class TranslationInput(WireObject):
    """The speech to translate. ``transcription`` adds its text in the source language; ``None`` switches noise
    reduction or transcription off."""

    noise_reduction: NoiseReduction | Unset | None = UNSET
    transcription: InputTranscription | Unset | None = UNSET


@wire
class TranslationOutput(WireObject):
    """The translated speech, in ``language`` (a code such as ``es``)."""

    language: str | None = None


@wire
class TranslationAudio(WireObject):
    """Both directions of a translation session."""

    input: TranslationInput | None = None
    output: TranslationOutput | None = None


@wire
class TranslationSessionConfig(WireObject):
    """A session that translates speech continuously.

    A client sets ``audio`` only. The server reports ``type`` (``translation``), ``id``, ``model`` and ``expires_at``
    (seconds since 1970, UTC).
    """

    TAGS = ("translation",)

    type: str | None = field(default=None, metadata=reported())
    audio: TranslationAudio | None = None
    model: str | None = field(default=None, metadata=reported())
    id: str | None = field(default=None, metadata=reported())
    expires_at: int | None = field(default=None, metadata=reported())


@wire
class FlatSessionConfig(WireObject):
    """A session in the older dialect, with all fields on one level and no ``type``; some compatible servers use it,
    and ``transcription_session.*`` events do.

    Formats are ``pcm16``, ``g711_ulaw`` or ``g711_alaw``; ``temperature`` is 0.6 to 1.2. The other fields mean what
    they mean in `RealtimeSessionConfig` and `AudioConfig`.
    """

    model: str | None = None
    modalities: list[str] | None = None
    instructions: str | None = None
    voice: str | CustomVoice | None = None
    input_audio_format: str | None = None
    output_audio_format: str | None = None
    input_audio_transcription: InputTranscription | Unset | None = UNSET
    input_audio_noise_reduction: NoiseReduction | Unset | None = UNSET
    turn_detection: TurnDetection | Unset | None = UNSET
    speed: float | None = field(default=None, metadata=between(0.25, 1.5))
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    temperature: float | None = field(default=None, metadata=between(0.6, 1.2))
    max_response_output_tokens: int | str | None = field(default=None, metadata=between(1, MOST_TOKENS, or_else="inf"))
    truncation: str | Truncation | None = None
    prompt: Prompt | Unset | None = UNSET
    tracing: str | Tracing | Unset | None = UNSET
    include: list[str] | None = None
    id: str | None = field(default=None, metadata=reported())
    object: str | None = field(default=None, metadata=reported())
    expires_at: int | None = field(default=None, metadata=reported())
    client_secret: ClientSecret | None = field(default=None, metadata=reported())


SessionConfig = (
    RealtimeSessionConfig | TranscriptionSessionConfig | TranslationSessionConfig | FlatSessionConfig | UnknownObject
)
"""The configuration of any kind of session."""

# What says that a session is no translation: fields of the others, and of their audio.
_NOT_TRANSLATED: Final = declared(RealtimeSessionConfig).keys() - declared(TranslationSessionConfig).keys()
_AUDIO_NOT_TRANSLATED: Final = frozenset({"format", "turn_detection", "voice", "speed"})


def untagged_session(raw: Mapping[str, Any]) -> type[WireObject]:
    """The class of a session that has no ``type``, by its shape: a client's update of a translation session has only
    ``audio``, the older dialect has everything but ``audio``."""
    audio = raw.get("audio")
    if audio is None:
        return FlatSessionConfig
    directions = audio.values() if isinstance(audio, Mapping) else ()
    fields = {name for direction in directions if isinstance(direction, Mapping) for name in direction}
    if _NOT_TRANSLATED.isdisjoint(raw) and _AUDIO_NOT_TRANSLATED.isdisjoint(fields):
        return TranslationSessionConfig
    return RealtimeSessionConfig
