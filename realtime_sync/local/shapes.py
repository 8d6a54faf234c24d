"""What each client event may hold: the server's side of the protocol's schema, checked before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from realtime_sync.codec.shapes import shape_of, typed_fields
from realtime_sync.events import (
    REALTIME,
    TRANSLATION,
    AssistantMessage,
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioPcm,
    AudioPcma,
    AudioPcmu,
    CustomVoice,
    Family,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputImage,
    InputText,
    InputTranscription,
    ItemReference,
    McpApprovalFilter,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpTool,
    McpToolFilter,
    NoiseReduction,
    OutputAudio,
    OutputText,
    Prompt,
    RealtimeSessionConfig,
    Reasoning,
    ResponseAudio,
    ResponseAudioOutput,
    ResponseConfig,
    SemanticVad,
    ServerVad,
    SystemMessage,
    TokenLimits,
    ToolChoiceFunction,
    ToolChoiceMcp,
    Tracing,
    TranscriptionSessionConfig,
    TranslationAudio,
    TranslationInput,
    TranslationOutput,
    TranslationSessionConfig,
    Truncation,
    UserMessage,
    WireObject,
)
from realtime_sync.events.facts import LONGEST_ID, Fact, facts_of
from realtime_sync.local.checks import (
    Check,
    Refusal,
    anything,
    array,
    boolean,
    choice,
    either,
    integer,
    number,
    record,
    strings,
    tagged,
    text,
)

__all__ = ["VOICES", "check_request", "check_translation_request"]

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

_LONGEST_EVENT_ID: Final = 512
_LONGEST_MS: Final = 3_600_000


def _of(cls: type[WireObject], needed: str = "", /, **checks: Check) -> Check:
    """An object with the fields that a client may send of ``cls``.

    What a field may be follows from its type and its facts; ``checks`` are those that do not. ``needed`` are fields
    that only this server insists on.
    """
    kinds = {a.name: a.type for a in typed_fields(cls)}
    required: dict[str, Check] = {}
    optional: dict[str, Check] = {}
    for fact in facts_of(cls):
        if not fact.reported:
            check = checks.pop(fact.name, None) or _by_type(kinds[fact.name], fact)
            (required if fact.required or fact.name in needed.split() else optional)[fact.name] = check
    assert not checks, checks
    return record(required, optional)


def _by_type(kind: Any, fact: Fact) -> Check:
    """What a field of plain data may be."""
    if fact.values:
        return choice(*fact.values)
    shape = shape_of(kind)
    if fact.or_else is not None:
        return either(str, choice(fact.or_else), _whole(fact))
    if kind is Any or fact.name in ("type", "role"):  # these have selected the class
        return anything
    if shape.scalars == {int}:
        return _whole(fact)
    plain: dict[Any, Check] = {
        str: text(fact.longest),
        bool: boolean,
        float: number(fact.least, fact.most),
        list[str]: array(text()),
    }
    (arm,) = shape.arms
    return plain[arm]


def _whole(fact: Fact) -> Check:
    least, most = (None if bound is None else int(bound) for bound in (fact.least, fact.most))
    return integer(least, most)


def _rate(value: Any, path: str, lenient: bool) -> None:
    """The one rate of the API; compatible servers have others."""
    integer(*((8_000, 48_000) if lenient else (24_000, 24_000)))(value, path, lenient)


def _audio_ms(value: Any, path: str, lenient: bool) -> None:
    integer(0, _LONGEST_MS)(value, path, lenient)


_FORMAT: Final = tagged(
    "type", {"audio/pcm": _of(AudioPcm, rate=_rate), "audio/pcmu": _of(AudioPcmu), "audio/pcma": _of(AudioPcma)}
)
_VOICE: Final = either(str, choice(*VOICES), _of(CustomVoice))
_MODALITIES: Final = array(choice("text", "audio"), longest=1)
_PROMPT: Final = _of(Prompt, variables=anything)
_TURN_DETECTION: Final = tagged(
    "type",
    {
        "server_vad": _of(ServerVad, prefix_padding_ms=_audio_ms, silence_duration_ms=_audio_ms),
        "semantic_vad": _of(SemanticVad),
    },
)
_NOISE_REDUCTION: Final = _of(NoiseReduction, "type")
_AUDIO_INPUT: Final = _of(
    AudioInput,
    format=_FORMAT,
    transcription=_of(InputTranscription),
    noise_reduction=_NOISE_REDUCTION,
    turn_detection=_TURN_DETECTION,
)
_INCLUDE: Final = array(choice("item.input_audio_transcription.logprobs"))

_FILTER: Final = _of(McpToolFilter)
_MCP_TOOL: Final = _of(
    McpTool,
    headers=strings,
    allowed_tools=either(list, array(text()), _FILTER),
    allowed_callers=array(choice("direct", "programmatic")),
    require_approval=either(str, choice("always", "never"), _of(McpApprovalFilter, always=_FILTER, never=_FILTER)),
)
_FUNCTION_TOOL: Final = _of(FunctionTool, parameters=either(dict, anything, record({})))
_TOOLS: Final = array(tagged("type", {"function": _FUNCTION_TOOL, "mcp": _MCP_TOOL}))
_TOOL_CHOICE: Final = either(
    str,
    choice("none", "auto", "required"),
    tagged("type", {"function": _of(ToolChoiceFunction), "mcp": _of(ToolChoiceMcp)}),
)

_SESSION: Final = tagged(
    "type",
    {
        "realtime": _of(
            RealtimeSessionConfig,
            output_modalities=_MODALITIES,
            audio=_of(AudioConfig, input=_AUDIO_INPUT, output=_of(AudioOutput, format=_FORMAT, voice=_VOICE)),
            tools=_TOOLS,
            tool_choice=_TOOL_CHOICE,
            reasoning=_of(Reasoning),
            include=_INCLUDE,
            prompt=_PROMPT,
            tracing=either(str, choice("auto"), _of(Tracing)),
            truncation=either(str, choice("auto", "disabled"), _of(Truncation, "type", token_limits=_of(TokenLimits))),
        ),
        "transcription": _of(TranscriptionSessionConfig, audio=record({}, {"input": _AUDIO_INPUT}), include=_INCLUDE),
    },
)

_ITEM: Final[Mapping[str, Check]] = {
    "id": text(LONGEST_ID),
    "object": choice("realtime.item"),
    "status": choice("completed", "incomplete", "in_progress"),
}
_USER_PARTS: Final[Mapping[str, Check]] = {
    "input_text": _of(InputText),
    "input_audio": _of(InputAudio, "audio"),
    "input_image": _of(InputImage, "image_url", detail=choice("auto", "low", "high")),
}


def _speech_of_the_assistant(value: Any, path: str, lenient: bool) -> None:
    """The model's speech comes from the model alone, except where a compatible server is generous."""
    if not lenient:
        message = "Invalid value: 'output_audio'. An assistant message of yours holds text: use 'output_text'."
        raise Refusal("invalid_value", message, f"{path}.type")
    _of(OutputAudio)(value, path, lenient)


_ASSISTANT_PARTS: Final[Mapping[str, Check]] = {
    "output_text": _of(OutputText),
    "output_audio": _speech_of_the_assistant,
}


def _message(cls: type[WireObject], parts: Mapping[str, Check]) -> Check:
    return _of(cls, content=array(tagged("type", parts)), **_ITEM)


_MESSAGE: Final = tagged(
    "role",
    {
        "user": _message(UserMessage, _USER_PARTS),
        "assistant": _message(AssistantMessage, _ASSISTANT_PARTS),
        "system": _message(SystemMessage, {"input_text": _USER_PARTS["input_text"]}),
    },
)
_ID: Final = {"id": _ITEM["id"]}
_ITEMS: Final = tagged(
    "type",
    {
        "message": _MESSAGE,
        "function_call": _of(FunctionCall, call_id=text(LONGEST_ID), **_ITEM),
        "function_call_output": _of(FunctionCallOutput, **_ITEM),
        "mcp_approval_response": _of(McpApprovalResponse, **_ID),
        "mcp_approval_request": _of(McpApprovalRequest, **_ID),
        "mcp_list_tools": _of(McpListTools, tools=array(anything), **_ID),
        "mcp_call": _of(McpCall, error=anything, **_ID),
    },
)
_REFERENCE: Final = _of(ItemReference)


def _input(value: Any, path: str, lenient: bool) -> None:
    reference = isinstance(value, dict) and value.get("type") == "item_reference"
    (_REFERENCE if reference else _ITEMS)(value, path, lenient)


_RESPONSE: Final = _of(
    ResponseConfig,
    input=array(_input),
    output_modalities=_MODALITIES,
    audio=_of(ResponseAudio, output=_of(ResponseAudioOutput, format=_FORMAT, voice=_VOICE)),
    tools=_TOOLS,
    tool_choice=_TOOL_CHOICE,
    metadata=strings,
    prompt=_PROMPT,
    reasoning=_of(Reasoning),
)
_TRANSLATION_SESSION: Final = _of(
    TranslationSessionConfig,
    audio=_of(
        TranslationAudio,
        input=_of(TranslationInput, transcription=record({"model": text()}), noise_reduction=_NOISE_REDUCTION),
        output=_of(TranslationOutput),
    ),
)


def _events(family: Family, without: Iterable[str] = (), **checks: Check) -> Check:
    """Any event of a family; ``checks`` are for fields that hold objects."""
    by_type = {}
    for kind, cls in family.client.items():
        if kind not in without:
            own = {fact.name: checks[fact.name] for fact in facts_of(cls) if fact.name in checks}
            by_type[kind] = _of(cls, event_id=text(_LONGEST_EVENT_ID), **own)
    return tagged("type", by_type)


# What today's API refuses over a WebSocket.
_ELSEWHERE: Final = ("transcription_session.update", "output_audio_buffer.clear")
_REALTIME: Final = _events(REALTIME, _ELSEWHERE, session=_SESSION, item=_ITEMS, response=_RESPONSE)
_TRANSLATION: Final = _events(TRANSLATION, session=_TRANSLATION_SESSION)


def check_request(event: Mapping[str, Any], *, lenient: bool = False) -> None:
    """Refuse an event of the client that the real server would refuse for its shape alone.

    Raises `Refusal` for a field that is unknown, missing or holds a wrong value, with the field's path. ``lenient``
    lets unknown fields pass, and rates of audio that compatible servers have.
    """
    _REALTIME(event, "", lenient)


def check_translation_request(event: Mapping[str, Any], *, lenient: bool = False) -> None:
    """The same for a translation session, which knows other events."""
    _TRANSLATION(event, "", lenient)
