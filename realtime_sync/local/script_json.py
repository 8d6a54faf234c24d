"""Scripts as JSON: what a file or a program in another language says that the model and the user say."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.script import Failure, McpApproval, McpToolCall, Reply, Say, ToolCall, Transcript

__all__ = ["replies_of", "transcripts_of"]

JsonObject = Mapping[str, Any]
Field = tuple[type[Any] | tuple[type[Any], ...], str]

_TEXT: Final[Field] = (str, "a string")
_OBJECT: Final[Field] = (dict, "an object")
_LIST: Final[Field] = (list, "a list")
_NUMBER: Final[Field] = ((int, float), "a number")
_COUNT: Final[Field] = (int, "a whole number")

_FAILURE: Final = {"message": _TEXT, "code": _TEXT, "type": _TEXT}
_TOOL_CALL: Final = {"name": _TEXT, "arguments": ((dict, str), "an object or a string"), "call_id": _TEXT}
_MCP: Final = {"server_label": _TEXT, "name": _TEXT, "arguments": _OBJECT}
_MCP_CALL: Final = {**_MCP, "output": _TEXT, "error": _TEXT, "approval_request_id": _TEXT}
_SAY: Final = {"text": _TEXT, "audio": _TEXT}
_REPLY: Final = {
    **_SAY,
    "tool_calls": _LIST,
    "output": _LIST,
    "failure": _OBJECT,
    "incomplete": _TEXT,
    "delay_s": _NUMBER,
    "chunk_delay_s": _NUMBER,
    "late_deltas": _COUNT,
    "rate_limits": _LIST,
}


def replies_of(script: Any) -> list[Any]:
    """The replies of a script in JSON; raises `ConfigurationError` that says where it is wrong."""
    return [_reply(entry, f"replies[{index}]") for index, entry in enumerate(_listed(script, "replies"))]


def transcripts_of(script: Any) -> list[Any]:
    """The transcripts of a script in JSON; raises `ConfigurationError` that says where it is wrong."""
    return [_transcript(entry, f"transcripts[{index}]") for index, entry in enumerate(_listed(script, "transcripts"))]


def _listed(script: Any, name: str) -> list[Any]:
    if not isinstance(script, list):
        raise ConfigurationError(f"{name}: expected a list")
    return script


def _reply(entry: Any, path: str) -> Any:
    if entry is None or isinstance(entry, str):
        return entry
    if isinstance(entry, list):
        return [_item(item, f"{path}[{index}]") for index, item in enumerate(entry)]
    if isinstance(entry, dict) and len(entry) == 1 and (next(iter(entry)) in _ITEMS):
        return _item(entry, path)
    fields = _checked(entry, _REPLY, path)
    made: dict[str, Any] = {name: value for name, value in fields.items() if name not in ("text", "audio")}
    if "tool_calls" in fields:
        made["tool_calls"] = [
            _tool_call(call, f"{path}.tool_calls[{i}]") for i, call in enumerate(fields["tool_calls"])
        ]
    if "output" in fields:
        made["output"] = [_item(item, f"{path}.output[{index}]") for index, item in enumerate(fields["output"])]
    if "failure" in fields:
        made["failure"] = _failure(fields["failure"], f"{path}.failure")
    return Reply(fields.get("text"), audio=_audio(fields, path), **made)


def _item(entry: Any, path: str) -> Any:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict) and len(entry) == 1 and (name := next(iter(entry))) in _ITEMS:
        return _ITEMS[name](entry[name], f"{path}.{name}")
    fields = _checked(entry, _SAY, path, required="text")
    return Say(fields["text"], _audio(fields, path))


def _tool_call(entry: Any, path: str) -> ToolCall:
    return ToolCall(**_checked(entry, _TOOL_CALL, path, required="name"))


def _mcp_call(entry: Any, path: str) -> McpToolCall:
    return McpToolCall(**_checked(entry, _MCP_CALL, path, required="name"))


def _mcp_approval(entry: Any, path: str) -> McpApproval:
    return McpApproval(**_checked(entry, _MCP, path, required="name"))


_ITEMS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "tool_call": _tool_call,
    "mcp_call": _mcp_call,
    "mcp_approval": _mcp_approval,
}


def _failure(entry: Any, path: str) -> Failure:
    return Failure(**_checked(entry, _FAILURE, path))


def _transcript(entry: Any, path: str) -> Any:
    if isinstance(entry, str):
        return entry
    fields = _checked(entry, {"text": _TEXT, "failure": _OBJECT, "late": (bool, "true or false")}, path)
    if ("text" in fields) == ("failure" in fields):
        raise ConfigurationError(f"{path}: expected one of text and failure")
    said = fields["text"] if "text" in fields else _failure(fields["failure"], f"{path}.failure")
    return Transcript(said, late=fields.get("late", False))


def _audio(fields: JsonObject, path: str) -> bytes | None:
    if "audio" not in fields:
        return None
    try:
        return base64.b64decode(fields["audio"], validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{path}.audio: expected base64 of 24 kHz mono PCM") from None


def _checked(entry: Any, known: Mapping[str, Field], path: str, *, required: str | None = None) -> dict[str, Any]:
    """The fields of an object, all of them known and of their types; null counts as absent."""
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{path}: expected an object with {', '.join(known)}")
    fields = {name: value for name, value in entry.items() if value is not None}
    for name, value in fields.items():
        if name not in known:
            raise ConfigurationError(f"{path}: unknown key {name!r}; known are {', '.join(known)}")
        kinds, told = known[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise ConfigurationError(f"{path}.{name}: expected {told}")
    if required is not None and required not in fields:
        raise ConfigurationError(f"{path}: {required} is missing")
    return fields
