"""What each client event may hold: the server's side of the protocol's schema, checked before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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

__all__ = ["LONGEST_APPEND", "VOICES", "check_request", "check_translation_request"]

LONGEST_APPEND: Final = 15 * 1024 * 1024
"""The most characters of base64 in one append."""

VOICES: Final = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")

_LONGEST_ID: Final = 32
_ID: Final = text(_LONGEST_ID)

_LONGEST_MS: Final = 3_600_000


def _rate(value: Any, path: str, lenient: bool) -> None:
    """The one rate of the API; compatible servers have others."""
    integer(*((8_000, 48_000) if lenient else (24_000, 24_000)))(value, path, lenient)


_FORMAT: Final = tagged(
    "type",
    {
        "audio/pcm": record({"type": anything}, {"rate": _rate}),
        "audio/pcmu": record({"type": anything}),
        "audio/pcma": record({"type": anything}),
    },
)
_VOICE: Final = either(str, choice(*VOICES), record({"id": text()}))
_MAX_OUTPUT_TOKENS: Final = either(str, choice("inf"), integer(1, 4096))
_MODALITIES: Final = array(choice("text", "audio"), longest=1)
_REASONING: Final = record({}, {"effort": choice("minimal", "low", "medium", "high", "xhigh")})
_PROMPT: Final = record({"id": text()}, {"variables": anything, "version": text()})

_TURN_DETECTION: Final = tagged(
    "type",
    {
        "server_vad": record(
            {"type": anything},
            {
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(0, _LONGEST_MS),
                "silence_duration_ms": integer(0, _LONGEST_MS),
                "idle_timeout_ms": integer(5_000, 30_000),
                "create_response": boolean,
                "interrupt_response": boolean,
            },
        ),
        "semantic_vad": record(
            {"type": anything},
            {
                "eagerness": choice("low", "medium", "high", "auto"),
                "create_response": boolean,
                "interrupt_response": boolean,
            },
        ),
    },
)
_TRANSCRIPTION: Final = record(
    {},
    {
        "model": text(),
        "language": text(),
        "languages": array(text()),
        "keywords": array(text()),
        "prompt": text(),
        "delay": choice("minimal", "low", "medium", "high", "xhigh"),
    },
)
_NOISE_REDUCTION: Final = record({"type": choice("near_field", "far_field")}, {"strength": number(0, 1)})
_AUDIO_INPUT: Final = record(
    {},
    {
        "format": _FORMAT,
        "transcription": _TRANSCRIPTION,
        "noise_reduction": _NOISE_REDUCTION,
        "turn_detection": _TURN_DETECTION,
    },
)
_INCLUDE: Final = array(choice("item.input_audio_transcription.logprobs"))

_FUNCTION_TOOL: Final = record(
    {"type": anything, "name": text()}, {"description": text(), "parameters": either(dict, anything, record({}))}
)
_FILTER: Final = record({}, {"tool_names": array(text()), "read_only": boolean})
_MCP_TOOL: Final = record(
    {"type": anything, "server_label": text()},
    {
        "server_url": text(),
        "connector_id": text(),
        "server_description": text(),
        "authorization": text(),
        "headers": strings,
        "allowed_tools": either(list, array(text()), _FILTER),
        "allowed_callers": array(choice("direct", "programmatic")),
        "require_approval": either(str, choice("always", "never"), record({}, {"always": _FILTER, "never": _FILTER})),
        "defer_loading": boolean,
        "tunnel_id": text(),
    },
)
_TOOLS: Final = array(tagged("type", {"function": _FUNCTION_TOOL, "mcp": _MCP_TOOL}))
_TOOL_CHOICE: Final = either(
    str,
    choice("none", "auto", "required"),
    tagged(
        "type",
        {
            "function": record({"type": anything, "name": text()}),
            "mcp": record({"type": anything, "server_label": text()}, {"name": text()}),
        },
    ),
)

_SESSION: Final = tagged(
    "type",
    {
        "realtime": record(
            {"type": anything},
            {
                "model": text(),
                "instructions": text(),
                "output_modalities": _MODALITIES,
                "audio": record(
                    {},
                    {
                        "input": _AUDIO_INPUT,
                        "output": record({}, {"format": _FORMAT, "voice": _VOICE, "speed": number(0.25, 1.5)}),
                    },
                ),
                "tools": _TOOLS,
                "tool_choice": _TOOL_CHOICE,
                "parallel_tool_calls": boolean,
                "max_output_tokens": _MAX_OUTPUT_TOKENS,
                "reasoning": _REASONING,
                "include": _INCLUDE,
                "prompt": _PROMPT,
                "tracing": either(
                    str,
                    choice("auto"),
                    record({}, {"group_id": text(), "metadata": anything, "workflow_name": text()}),
                ),
                "truncation": either(
                    str,
                    choice("auto", "disabled"),
                    record(
                        {"type": choice("retention_ratio"), "retention_ratio": number(0, 1)},
                        {"token_limits": record({}, {"post_instructions": integer(0)})},
                    ),
                ),
            },
        ),
        "transcription": record(
            {"type": anything}, {"audio": record({}, {"input": _AUDIO_INPUT}), "include": _INCLUDE}
        ),
    },
)

_STATUS: Final = choice("completed", "incomplete", "in_progress")
_ITEM_FIELDS: Final[Mapping[str, Check]] = {"id": _ID, "object": choice("realtime.item"), "status": _STATUS}
_INPUT_TEXT: Final = record({"type": anything, "text": text()})
_OUTPUT_TEXT: Final = record({"type": anything, "text": text()})
_USER_PARTS: Final[Mapping[str, Check]] = {
    "input_text": _INPUT_TEXT,
    "input_audio": record({"type": anything, "audio": text()}, {"transcript": text()}),
    "input_image": record({"type": anything, "image_url": text()}, {"detail": choice("auto", "low", "high")}),
}


def _speech_of_the_assistant(value: Any, path: str, lenient: bool) -> None:
    """The model's speech comes from the model alone, except where a compatible server is generous."""
    if not lenient:
        message = "Invalid value: 'output_audio'. An assistant message of yours holds text: use 'output_text'."
        raise Refusal("invalid_value", message, f"{path}.type")
    record({"type": anything}, {"transcript": text(), "audio": text()})(value, path, lenient)


_ASSISTANT_PARTS: Final[Mapping[str, Check]] = {
    "output_text": _OUTPUT_TEXT,
    "output_audio": _speech_of_the_assistant,
}


def _message(parts: Mapping[str, Check]) -> Check:
    fields = {"type": anything, "role": anything, "content": array(tagged("type", parts))}
    return record(fields, _ITEM_FIELDS)


_MCP_FIELDS: Final[Mapping[str, Check]] = {"server_label": text(), "name": text(), "arguments": text()}
_ITEM: Final = tagged(
    "type",
    {
        "message": tagged(
            "role",
            {
                "user": _message(_USER_PARTS),
                "assistant": _message(_ASSISTANT_PARTS),
                "system": _message({"input_text": _INPUT_TEXT}),
            },
        ),
        "function_call": record(
            {"type": anything, "name": text(), "arguments": text()}, {"call_id": _ID, **_ITEM_FIELDS}
        ),
        "function_call_output": record({"type": anything, "call_id": text(), "output": text()}, _ITEM_FIELDS),
        "mcp_approval_response": record(
            {"type": anything, "approval_request_id": text(), "approve": boolean}, {"reason": text(), **_ITEM_FIELDS}
        ),
        "mcp_approval_request": record({"type": anything, **_MCP_FIELDS}, _ITEM_FIELDS),
        "mcp_list_tools": record({"type": anything, "server_label": text(), "tools": array(anything)}, _ITEM_FIELDS),
        "mcp_call": record(
            {"type": anything, **_MCP_FIELDS},
            {"approval_request_id": text(), "output": text(), "error": anything, **_ITEM_FIELDS},
        ),
    },
)
_REFERENCE: Final = record({"type": anything, "id": text()})

_RESPONSE: Final = record(
    {},
    {
        "conversation": choice("auto", "none"),
        "input": array(
            lambda value, path, lenient: (
                _REFERENCE if isinstance(value, dict) and value.get("type") == "item_reference" else _ITEM
            )(value, path, lenient)
        ),
        "instructions": text(),
        "output_modalities": _MODALITIES,
        "audio": record({}, {"output": record({}, {"format": _FORMAT, "voice": _VOICE})}),
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "max_output_tokens": _MAX_OUTPUT_TOKENS,
        "metadata": strings,
        "prompt": _PROMPT,
        "reasoning": _REASONING,
    },
)


def _event(required: Mapping[str, Check] | None = None, optional: Mapping[str, Check] | None = None) -> Check:
    return record({"type": anything, **(required or {})}, {"event_id": text(512), **(optional or {})})


_REALTIME: Final = tagged(
    "type",
    {
        "session.update": _event({"session": _SESSION}),
        "input_audio_buffer.append": _event({"audio": text(LONGEST_APPEND)}),
        "input_audio_buffer.commit": _event(),
        "input_audio_buffer.clear": _event(),
        "conversation.item.create": _event({"item": _ITEM}, {"previous_item_id": text()}),
        "conversation.item.truncate": _event(
            {"item_id": text(), "content_index": integer(0), "audio_end_ms": integer(0)}
        ),
        "conversation.item.delete": _event({"item_id": text()}),
        "conversation.item.retrieve": _event({"item_id": text()}),
        "response.create": _event({}, {"response": _RESPONSE}),
        "response.cancel": _event({}, {"response_id": text()}),
    },
)

_TRANSLATION: Final = tagged(
    "type",
    {
        "session.update": _event(
            {
                "session": record(
                    {},
                    {
                        "audio": record(
                            {},
                            {
                                "input": record(
                                    {},
                                    {"transcription": record({"model": text()}), "noise_reduction": _NOISE_REDUCTION},
                                ),
                                "output": record({}, {"language": text()}),
                            },
                        )
                    },
                )
            }
        ),
        "session.input_audio_buffer.append": _event({"audio": text(LONGEST_APPEND)}),
        "session.close": _event(),
    },
)


def check_request(event: Mapping[str, Any], *, lenient: bool = False) -> None:
    """Refuse an event of the client that the real server would refuse for its shape alone.

    Raises `Refusal` for a field that is unknown, missing or holds a wrong value, with the field's path. ``lenient``
    lets unknown fields pass, and rates of audio that compatible servers have.
    """
    _REALTIME(event, "", lenient)


def check_translation_request(event: Mapping[str, Any], *, lenient: bool = False) -> None:
    """The same for a translation session, which knows other events."""
    _TRANSLATION(event, "", lenient)
