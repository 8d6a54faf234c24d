"""Conversation items, and the content parts that messages are made of."""

from __future__ import annotations

from typing import Any

from attrs import field

from realtime_sync.events.base import ELIDED, PAYLOAD, WireObject, wire
from realtime_sync.events.facts import optional, reported, required
from realtime_sync.events.unknown import UnknownObject

__all__ = [
    "AssistantMessage",
    "ContentPart",
    "FunctionCall",
    "FunctionCallOutput",
    "InputAudio",
    "InputFile",
    "InputImage",
    "InputText",
    "Item",
    "ItemReference",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpError",
    "McpListTools",
    "McpListedTool",
    "Message",
    "OutputAudio",
    "OutputText",
    "PromptCacheBreakpoint",
    "SystemMessage",
    "UserMessage",
]


@wire
class PromptCacheBreakpoint(WireObject):
    """Marks where the reusable beginning of a prompt ends. ``mode`` is ``explicit``; ``ttl`` how long the cache keeps
    it (``30m``, ``12h``), ``None`` for the default."""

    mode: str = "explicit"
    ttl: str | None = None


@wire
class InputText(WireObject):
    """Text from the user or the system. ``prompt_cache_breakpoint`` has a place only in the variables of a stored
    prompt, not in a message."""

    type: str = "input_text"
    text: str = field(metadata=required(may_be_empty=True))
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = field(default=None, metadata=reported())


@wire
class InputAudio(WireObject):
    """Speech from the user. ``audio`` is base64 in the session's input format; the server leaves it out of its
    events. ``transcript`` is set once input transcription has finished, else ``None``."""

    type: str = "input_audio"
    audio: str | None = field(default=None, metadata=PAYLOAD)
    transcript: str | None = None


@wire
class InputImage(WireObject):
    """A picture from the user. ``image_url`` is a data URI (PNG or JPEG); ``detail`` is ``auto``, ``low`` or ``high``.

    ``file_id``, ``prompt_cache_breakpoint`` and the detail ``original`` have a place only in the variables of a stored
    prompt.
    """

    type: str = "input_image"
    image_url: str | None = field(default=None, metadata=ELIDED)
    detail: str | None = None
    file_id: str | None = field(default=None, metadata=reported())
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = field(default=None, metadata=reported())


@wire
class InputFile(WireObject):
    """A file as a variable of a stored prompt: one of ``file_id``, ``file_url`` and ``file_data`` (base64)."""

    type: str = "input_file"
    file_id: str | None = None
    filename: str | None = None
    file_data: str | None = field(default=None, metadata=PAYLOAD)
    file_url: str | None = field(default=None, metadata=ELIDED)
    detail: str | None = None
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


@wire
class OutputText(WireObject):
    """Text that the model wrote. Events about a content part call the type ``text``."""

    TAGS = ("output_text", "text")

    type: str = "output_text"
    text: str = field(metadata=required(may_be_empty=True))


@wire
class OutputAudio(WireObject):
    """Speech of the model. ``transcript`` is what it says; ``audio`` is base64 and left out by the server, which sends
    it as deltas only. Events about a content part call the type ``audio``."""

    TAGS = ("output_audio", "audio")

    type: str = "output_audio"
    audio: str | None = field(default=None, metadata=PAYLOAD)
    transcript: str | None = None


ContentPart = InputText | InputAudio | InputImage | OutputText | OutputAudio | UnknownObject
"""One part of a message."""


@wire
class Message(WireObject):
    """A message of the conversation; the class itself stands for a ``role`` that this version does not know.

    ``content`` holds the parts in order. ``id`` is made by the server unless the client chose one. ``status`` is
    ``in_progress``, ``completed`` or ``incomplete`` (cut off); it has no effect in what a client sends.
    """

    type: str = "message"
    role: str
    content: list[ContentPart]
    id: str | None = None
    object: str | None = None
    status: str | None = None


@wire
class SystemMessage(Message):
    """Instructions in the middle of a conversation; the content is `InputText`."""

    role: str = "system"


@wire
class UserMessage(Message):
    """What the user said, wrote or showed: `InputText`, `InputAudio`, `InputImage`."""

    role: str = "user"


@wire
class AssistantMessage(Message):
    """What the model said or wrote: `OutputText`, `OutputAudio`. A client may only add text here."""

    role: str = "assistant"


@wire
class FunctionCall(WireObject):
    """The model asks for a call of one of the session's functions. ``arguments`` is JSON text as the model wrote it,
    which need not be valid; answer with a `FunctionCallOutput` that has the same ``call_id``."""

    type: str = "function_call"
    name: str
    arguments: str = field(metadata=required(may_be_empty=True))
    call_id: str | None = None
    id: str | None = None
    object: str | None = None
    status: str | None = None


@wire
class FunctionCallOutput(WireObject):
    """The answer to a `FunctionCall`: ``output`` is free text for the model, usually JSON."""

    type: str = "function_call_output"
    call_id: str
    output: str = field(metadata=required(may_be_empty=True))
    id: str | None = None
    object: str | None = None
    status: str | None = None


@wire
class McpApprovalRequest(WireObject):
    """The model wants to call a tool of an MCP server that needs approval: answer with a `McpApprovalResponse`.
    ``arguments`` is JSON text."""

    type: str = "mcp_approval_request"
    id: str = field(metadata=optional())
    server_label: str
    name: str
    arguments: str = field(metadata=required(may_be_empty=True))


@wire
class McpApprovalResponse(WireObject):
    """Allows (``approve``) or refuses the call that a `McpApprovalRequest` asked for. ``reason`` is for the model;
    ``None`` gives none."""

    type: str = "mcp_approval_response"
    id: str = field(metadata=optional())
    approval_request_id: str
    approve: bool
    reason: str | None = None


@wire
class McpListedTool(WireObject):
    """One tool that an MCP server offers; ``input_schema`` is the JSON schema of its arguments."""

    name: str
    input_schema: Any
    description: str | None = None
    annotations: Any = None


@wire
class McpListTools(WireObject):
    """The tools that the MCP server ``server_label`` offers, as the API found them."""

    type: str = "mcp_list_tools"
    server_label: str
    tools: list[McpListedTool]
    id: str | None = None


@wire
class McpError(WireObject):
    """Why a call of an MCP tool failed. ``type`` is ``protocol_error``, ``http_error`` (``code`` is the status) or
    ``tool_execution_error`` (no ``code``)."""

    type: str
    message: str
    code: int | None = None


@wire
class McpCall(WireObject):
    """A call of an MCP tool that the API makes itself. ``output`` is its result as text, ``error`` why it failed; both
    are ``None`` while it runs. ``arguments`` is JSON text."""

    type: str = "mcp_call"
    id: str = field(metadata=optional())
    server_label: str
    name: str
    arguments: str = field(metadata=required(may_be_empty=True))
    approval_request_id: str | None = None
    output: str | None = None
    error: McpError | None = None


@wire
class ItemReference(WireObject):
    """Stands for an item that the conversation has already, in the ``input`` of a `ResponseConfig` only."""

    type: str = "item_reference"
    id: str


Item = (
    Message
    | FunctionCall
    | FunctionCallOutput
    | McpApprovalRequest
    | McpApprovalResponse
    | McpListTools
    | McpCall
    | UnknownObject
)
"""One item of the conversation."""
