"""One full example of every event, as JSON data: the names from the wire, the values made up."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

SESSION: JSON = {
    "type": "realtime",
    "object": "realtime.session",
    "id": "sess_7Fq2mPzR41",
    "model": "gpt-realtime",
    "expires_at": 1790003600,
    "instructions": "You help people to find their way in a museum. Be brief.",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": {"type": "near_field", "strength": 0.5},
            "transcription": {
                "model": "gpt-4o-transcribe",
                "language": "en",
                "languages": ["en", "fr"],
                "keywords": ["atrium"],
                "prompt": "Names of painters.",
                "delay": "low",
            },
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.4,
                "prefix_padding_ms": 250,
                "silence_duration_ms": 600,
                "create_response": True,
                "interrupt_response": True,
                "idle_timeout_ms": None,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.1},
    },
    "tools": [
        {
            "type": "function",
            "name": "find_room",
            "description": "Says in which room a picture hangs.",
            "parameters": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]},
        },
        {
            "type": "mcp",
            "server_label": "catalogue",
            "server_url": "https://mcp.example/catalogue",
            "server_description": "The catalogue of the museum.",
            "authorization": "token-of-the-museum",
            "headers": {"X-Floor": "2"},
            "allowed_tools": ["search", "details"],
            "allowed_callers": ["direct"],
            "require_approval": "never",
            "defer_loading": False,
        },
        {
            "type": "mcp",
            "server_label": "shop",
            "tunnel_id": "tun_11",
            "allowed_tools": {"tool_names": ["prices"], "read_only": True},
            "require_approval": {"always": {"tool_names": ["buy"]}, "never": {"read_only": True}},
        },
        {"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail"},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_output_tokens": 900,
    "reasoning": {"effort": "low"},
    "truncation": {"type": "retention_ratio", "retention_ratio": 0.7, "token_limits": {"post_instructions": 9000}},
    "prompt": {
        "id": "pmpt_guide",
        "version": "4",
        "variables": {
            "city": "Lyon",
            "motto": {"type": "input_text", "text": "Look closely.", "prompt_cache_breakpoint": {"mode": "explicit"}},
            "plan": {
                "type": "input_image",
                "file_id": "file_plan",
                "detail": "high",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
            },
            "hours": {
                "type": "input_file",
                "filename": "hours.pdf",
                "file_id": "file_hours",
                "file_url": "https://files.example/hours.pdf",
                "file_data": "JVBERi0=",
                "detail": "low",
                "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
            },
        },
    },
    "tracing": {"workflow_name": "guide", "group_id": "floor-2", "metadata": {"desk": "north"}},
    "include": ["item.input_audio_transcription.logprobs"],
}

_SET_BY_SERVER = ("id", "object", "expires_at")
REQUESTED: JSON = {name: value for name, value in SESSION.items() if name not in _SET_BY_SERVER}

TRANSCRIPTION_SESSION: JSON = {
    "type": "transcription",
    "object": "realtime.transcription_session",
    "id": "sess_t91",
    "expires_at": 1790007200,
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcmu"},
            "noise_reduction": None,
            "transcription": {"model": "whisper-1", "language": "de"},
            "turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False},
        }
    },
}

TRANSLATION_SESSION: JSON = {
    "type": "translation",
    "id": "sess_x5",
    "model": "gpt-realtime-translate",
    "expires_at": 1790009000,
    "audio": {
        "input": {"noise_reduction": {"type": "far_field"}, "transcription": {"model": "gpt-realtime-whisper"}},
        "output": {"language": "es"},
    },
}

FLAT_SESSION: JSON = {
    "id": "sess_old3",
    "object": "realtime.transcription_session",
    "expires_at": 1790001000,
    "client_secret": {"value": "ek_only_for_this_test", "expires_at": 1790000060},
    "modalities": ["text"],
    "input_audio_format": "pcm16",
    "input_audio_transcription": {"model": "whisper-1", "prompt": "Names of stations."},
    "input_audio_noise_reduction": {"type": "far_field"},
    "turn_detection": {"type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 300, "silence_duration_ms": 400},
    "include": ["item.input_audio_transcription.logprobs"],
}

FLAT_REALTIME_SESSION: JSON = {
    "id": "sess_old4",
    "object": "realtime.session",
    "model": "some-compatible-model",
    "modalities": ["audio", "text"],
    "instructions": "Answer in rhyme.",
    "voice": "alloy",
    "input_audio_format": "g711_ulaw",
    "output_audio_format": "g711_alaw",
    "input_audio_transcription": None,
    "input_audio_noise_reduction": None,
    "turn_detection": None,
    "speed": 1,
    "tools": [{"type": "function", "name": "clock"}],
    "tool_choice": "none",
    "temperature": 0.7,
    "max_response_output_tokens": "inf",
    "truncation": "auto",
    "prompt": None,
    "tracing": None,
}

USER_MESSAGE: JSON = {
    "id": "item_u1",
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "user",
    "content": [
        {"type": "input_text", "text": "Where is this?"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
        {"type": "input_audio", "audio": "AAABAAIAAwA=", "transcript": "in which room"},
    ],
}
SYSTEM_MESSAGE: JSON = {
    "id": "item_s1",
    "type": "message",
    "role": "system",
    "content": [{"type": "input_text", "text": "The visitor is a child."}],
}
ASSISTANT_MESSAGE: JSON = {
    "id": "item_a1",
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {"type": "output_text", "text": "Room twelve."},
        {"type": "output_audio", "audio": "AQACAAMA", "transcript": "It is in room twelve."},
    ],
}
FUNCTION_CALL: JSON = {
    "id": "item_f1",
    "object": "realtime.item",
    "type": "function_call",
    "status": "completed",
    "name": "find_room",
    "call_id": "call_8",
    "arguments": '{"title": "The Card Players"}',
}
FUNCTION_CALL_OUTPUT: JSON = {
    "id": "item_o1",
    "object": "realtime.item",
    "type": "function_call_output",
    "status": "completed",
    "call_id": "call_8",
    "output": '{"room": 12}',
}
MCP_APPROVAL_REQUEST: JSON = {
    "id": "mcpr_1",
    "type": "mcp_approval_request",
    "server_label": "shop",
    "name": "buy",
    "arguments": '{"postcard": 3}',
}
MCP_APPROVAL_RESPONSE: JSON = {
    "id": "mcpa_1",
    "type": "mcp_approval_response",
    "approval_request_id": "mcpr_1",
    "approve": False,
    "reason": "Too dear.",
}
MCP_LIST_TOOLS: JSON = {
    "id": "mcpl_1",
    "type": "mcp_list_tools",
    "server_label": "catalogue",
    "tools": [
        {
            "name": "search",
            "description": "Full text search.",
            "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}},
            "annotations": {"readOnlyHint": True},
        }
    ],
}
MCP_CALL: JSON = {
    "id": "mcpc_1",
    "type": "mcp_call",
    "server_label": "catalogue",
    "name": "search",
    "arguments": '{"q": "lilies"}',
    "approval_request_id": "mcpr_0",
    "output": "3 pictures",
}
FAILED_MCP_CALLS: list[JSON] = [
    {**MCP_CALL, "id": "mcpc_2", "error": {"type": "http_error", "code": 503, "message": "closed today"}},
    {**MCP_CALL, "id": "mcpc_3", "error": {"type": "protocol_error", "code": -32601, "message": "no such method"}},
    {**MCP_CALL, "id": "mcpc_4", "error": {"type": "tool_execution_error", "message": "the index is broken"}},
]
ITEMS: list[JSON] = [
    SYSTEM_MESSAGE,
    USER_MESSAGE,
    ASSISTANT_MESSAGE,
    FUNCTION_CALL,
    FUNCTION_CALL_OUTPUT,
    MCP_APPROVAL_REQUEST,
    MCP_APPROVAL_RESPONSE,
    MCP_LIST_TOOLS,
    MCP_CALL,
    *FAILED_MCP_CALLS,
]

USAGE: JSON = {
    "total_tokens": 310,
    "input_tokens": 210,
    "output_tokens": 100,
    "input_token_details": {
        "text_tokens": 150,
        "audio_tokens": 40,
        "image_tokens": 20,
        "cached_tokens": 128,
        "cached_tokens_details": {"text_tokens": 100, "audio_tokens": 20, "image_tokens": 8},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 70},
}

RESPONSE: JSON = {
    "id": "resp_1",
    "object": "realtime.response",
    "status": "in_progress",
    "output": [],
    "conversation_id": "conv_1",
    "output_modalities": ["audio"],
    "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar"}},
    "max_output_tokens": "inf",
    "metadata": {"topic": "rooms"},
}
FINISHED_RESPONSE: JSON = {**RESPONSE, "status": "completed", "output": ITEMS, "usage": USAGE}
FAILED_RESPONSE: JSON = {
    **RESPONSE,
    "status": "failed",
    "status_details": {
        "type": "failed",
        "error": {"type": "server_error", "code": "overloaded", "message": "Too many visitors."},
    },
}
INCOMPLETE_RESPONSE: JSON = {
    **RESPONSE,
    "status": "incomplete",
    "status_details": {"type": "incomplete", "reason": "max_output_tokens"},
}

LOGPROBS: list[JSON] = [{"token": "room", "logprob": -0.02, "bytes": [114, 111, 111, 109]}]

_PART = {"response_id": "resp_1", "item_id": "item_a1", "output_index": 0, "content_index": 1}
_OUTPUT = {"response_id": "resp_1", "item_id": "item_f1", "output_index": 2}
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def _events(*events: JSON) -> list[JSON]:
    """Each with an id of its own."""
    return [{"event_id": f"event_{number:03}", **event} for number, event in enumerate(events)]


SERVER_EXAMPLES: list[JSON] = _events(
    {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": "invalid_value",
            "message": "There is no such voice.",
            "param": "session.audio.output.voice",
            "event_id": "mine_4",
        },
    },
    {"type": "session.created", "session": SESSION},
    {"type": "session.created", "session": TRANSLATION_SESSION},
    {"type": "session.created", "session": FLAT_REALTIME_SESSION},
    {"type": "session.updated", "session": TRANSCRIPTION_SESSION},
    {"type": "session.updated", "session": {**SESSION, "prompt": None, "tracing": None, "truncation": "disabled"}},
    {"type": "transcription_session.created", "session": FLAT_SESSION},
    {"type": "transcription_session.updated", "session": {**FLAT_SESSION, "turn_detection": None}},
    {"type": "conversation.created", "conversation": {"id": "conv_1", "object": "realtime.conversation"}},
    *({"type": "conversation.item.added", "previous_item_id": "item_0", "item": item} for item in ITEMS),
    {"type": "conversation.item.created", "previous_item_id": "item_0", "item": USER_MESSAGE},
    {"type": "conversation.item.done", "previous_item_id": "item_f1", "item": FUNCTION_CALL_OUTPUT},
    {"type": "conversation.item.retrieved", "item": USER_MESSAGE},
    {"type": "conversation.item.deleted", "item_id": "item_u1"},
    {"type": "conversation.item.truncated", "item_id": "item_a1", "content_index": 0, "audio_end_ms": 1480},
    {
        "type": f"{_TRANSCRIPTION}.delta",
        "item_id": "item_u1",
        "content_index": 2,
        "delta": "in which ",
        "logprobs": LOGPROBS,
    },
    {
        "type": f"{_TRANSCRIPTION}.segment",
        "item_id": "item_u1",
        "content_index": 2,
        "id": "seg_1",
        "speaker": "visitor",
        "start": 0.25,
        "end": 1.5,
        "text": "in which room",
    },
    {
        "type": f"{_TRANSCRIPTION}.completed",
        "item_id": "item_u1",
        "content_index": 2,
        "transcript": "in which room",
        "languages": [{"code": "en"}],
        "logprobs": LOGPROBS,
        "usage": {
            "type": "tokens",
            "input_tokens": 20,
            "output_tokens": 4,
            "total_tokens": 24,
            "input_token_details": {"audio_tokens": 15, "text_tokens": 5},
        },
    },
    {
        "type": f"{_TRANSCRIPTION}.completed",
        "item_id": "item_u2",
        "content_index": 0,
        "transcript": "thank you",
        "usage": {"type": "duration", "seconds": 1.75},
    },
    {
        "type": f"{_TRANSCRIPTION}.failed",
        "item_id": "item_u1",
        "content_index": 2,
        "error": {
            "type": "transcription_error",
            "code": "audio_unintelligible",
            "message": "Only noise.",
            "param": "audio",
        },
    },
    {"type": "input_audio_buffer.committed", "previous_item_id": "item_s1", "item_id": "item_u1"},
    {"type": "input_audio_buffer.cleared"},
    {"type": "input_audio_buffer.speech_started", "audio_start_ms": 640, "item_id": "item_u1"},
    {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 2210, "item_id": "item_u1"},
    {
        "type": "input_audio_buffer.timeout_triggered",
        "audio_start_ms": 13000,
        "audio_end_ms": 19000,
        "item_id": "item_u9",
    },
    {"type": "input_audio_buffer.dtmf_event_received", "event": "#", "received_at": 1790000123},
    {"type": "output_audio_buffer.started", "response_id": "resp_1"},
    {"type": "output_audio_buffer.stopped", "response_id": "resp_1"},
    {"type": "output_audio_buffer.cleared", "response_id": "resp_1"},
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.done", "response": FINISHED_RESPONSE},
    {"type": "response.done", "response": FAILED_RESPONSE},
    {"type": "response.done", "response": INCOMPLETE_RESPONSE},
    {"type": "response.output_item.added", "response_id": "resp_1", "output_index": 0, "item": ASSISTANT_MESSAGE},
    {"type": "response.output_item.done", "response_id": "resp_1", "output_index": 2, "item": FUNCTION_CALL},
    {"type": "response.content_part.added", **_PART, "part": {"type": "text", "text": ""}},
    {
        "type": "response.content_part.done",
        **_PART,
        "part": {"type": "audio", "audio": "AQA=", "transcript": "It is in room twelve."},
    },
    {"type": "response.output_text.delta", **_PART, "delta": "Room "},
    {"type": "response.output_text.done", **_PART, "text": "Room twelve."},
    {"type": "response.output_audio_transcript.delta", **_PART, "delta": "It is "},
    {"type": "response.output_audio_transcript.done", **_PART, "transcript": "It is in room twelve."},
    {"type": "response.output_audio.delta", **_PART, "delta": "AAABAAIAAwA="},
    {"type": "response.output_audio.done", **_PART},
    {"type": "response.function_call_arguments.delta", **_OUTPUT, "call_id": "call_8", "delta": '{"title'},
    {
        "type": "response.function_call_arguments.done",
        **_OUTPUT,
        "call_id": "call_8",
        "name": "find_room",
        "arguments": '{"title": "The Card Players"}',
    },
    {"type": "response.mcp_call_arguments.delta", **_OUTPUT, "delta": '{"q"', "obfuscation": "xxxxxxx"},
    {"type": "response.mcp_call_arguments.done", **_OUTPUT, "arguments": '{"q": "lilies"}'},
    {"type": "response.mcp_call.in_progress", "item_id": "mcpc_1", "output_index": 0},
    {"type": "response.mcp_call.completed", "item_id": "mcpc_1", "output_index": 0},
    {"type": "response.mcp_call.failed", "item_id": "mcpc_2", "output_index": 1},
    {"type": "mcp_list_tools.in_progress", "item_id": "mcpl_1"},
    {"type": "mcp_list_tools.completed", "item_id": "mcpl_1"},
    {"type": "mcp_list_tools.failed", "item_id": "mcpl_2"},
    {
        "type": "rate_limits.updated",
        "rate_limits": [
            {"name": "requests", "limit": 500, "remaining": 499, "reset_seconds": 0.12},
            {"name": "tokens", "limit": 40000, "remaining": 38900, "reset_seconds": 2},
        ],
    },
    {"type": "session.closed"},
    {"type": "session.input_transcript.delta", "delta": "Bonjour", "elapsed_ms": 400},
    {"type": "session.output_transcript.delta", "delta": "Hola", "elapsed_ms": 900},
    {
        "type": "session.output_audio.delta",
        "delta": "AAABAA==",
        "elapsed_ms": 900,
        "format": "pcm16",
        "sample_rate": 24000,
        "channels": 1,
    },
    # The older dialect's names for events that have a class above.
    {"type": "response.text.delta", **_PART, "delta": "Room "},
    {"type": "response.text.done", **_PART, "text": "Room twelve."},
    {"type": "response.audio.delta", **_PART, "delta": "AAABAAIAAwA="},
    {"type": "response.audio.done", **_PART},
    {"type": "response.audio_transcript.delta", **_PART, "delta": "It is "},
    {"type": "response.audio_transcript.done", **_PART, "transcript": "It is in room twelve."},
)

RESPONSE_CONFIG: JSON = {
    "instructions": "Answer with the number of the room only.",
    "output_modalities": ["text"],
    "audio": {"output": {"format": {"type": "audio/pcma"}, "voice": {"id": "voice_of_the_house"}}},
    "conversation": "none",
    "input": [{"type": "item_reference", "id": "item_u1"}, *ITEMS],
    "tools": REQUESTED["tools"],
    "tool_choice": {"type": "function", "name": "find_room"},
    "parallel_tool_calls": False,
    "max_output_tokens": 40,
    "metadata": {"topic": "rooms"},
    "prompt": {"id": "pmpt_short"},
    "reasoning": {"effort": "minimal"},
}

CLIENT_EXAMPLES: list[JSON] = _events(
    {"type": "session.update", "session": REQUESTED},
    {
        "type": "session.update",
        "session": {
            **REQUESTED,
            "max_output_tokens": "inf",
            "tool_choice": {"type": "mcp", "server_label": "catalogue", "name": "search"},
            "truncation": "auto",
            "tracing": "auto",
        },
    },
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "audio": {"input": {"noise_reduction": None, "transcription": None, "turn_detection": None}},
            "prompt": None,
            "tracing": None,
        },
    },
    {
        "type": "session.update",
        "session": {k: v for k, v in TRANSCRIPTION_SESSION.items() if k not in _SET_BY_SERVER},
    },
    {"type": "session.update", "session": {"audio": TRANSLATION_SESSION["audio"]}},
    {
        "type": "session.update",
        "session": {"audio": {"input": {"noise_reduction": None, "transcription": None}, "output": {"language": "it"}}},
    },
    {
        "type": "transcription_session.update",
        "session": {k: v for k, v in FLAT_SESSION.items() if k not in (*_SET_BY_SERVER, "client_secret")},
    },
    {"type": "input_audio_buffer.append", "audio": "AAABAAIAAwA="},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "output_audio_buffer.clear"},
    *({"type": "conversation.item.create", "previous_item_id": "root", "item": item} for item in ITEMS),
    {"type": "conversation.item.retrieve", "item_id": "item_u1"},
    {"type": "conversation.item.delete", "item_id": "item_u1"},
    {"type": "conversation.item.truncate", "item_id": "item_a1", "content_index": 0, "audio_end_ms": 1480},
    {"type": "response.create"},
    {"type": "response.create", "response": RESPONSE_CONFIG},
    {"type": "response.cancel", "response_id": "resp_1"},
    {"type": "session.input_audio_buffer.append", "audio": "AAABAAIAAwA="},
    {"type": "session.close"},
)
