"""Tools that the model may call, and the choice among them."""

from __future__ import annotations

from typing import Any

from attrs import field

from realtime_sync.events.base import ELIDED, SECRET, WireObject, wire
from realtime_sync.events.facts import required
from realtime_sync.events.unknown import UnknownObject

__all__ = [
    "FunctionTool",
    "McpApprovalFilter",
    "McpTool",
    "McpToolFilter",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
]


@wire
class FunctionTool(WireObject):
    """A function of yours that the model may ask for. ``description`` tells the model when and how; ``parameters`` is
    the JSON schema of the arguments, an object schema."""

    TAGS = ("function", None)

    type: str = "function"
    name: str | None = field(default=None, metadata=required())
    description: str | None = None
    parameters: Any = None


@wire
class McpToolFilter(WireObject):
    """Picks tools of an MCP server: by name, or those that declare to change nothing (``read_only``)."""

    tool_names: list[str] | None = None
    read_only: bool | None = None


@wire
class McpApprovalFilter(WireObject):
    """Which tools of an MCP server need an approval ``always`` and which ``never``."""

    always: McpToolFilter | None = None
    never: McpToolFilter | None = None


@wire
class McpTool(WireObject):
    """An MCP server whose tools the API itself calls for the model.

    One of ``server_url``, ``connector_id`` and ``tunnel_id`` says where it is. ``authorization`` is an OAuth token and
    ``headers`` are sent to that server; neither appears in a repr. ``allowed_tools`` restricts the tools (names or a
    filter), ``allowed_callers`` who calls them (``direct``, ``programmatic``); ``require_approval`` is ``always``,
    ``never`` or a filter; ``defer_loading`` makes the tools known only once they are searched for.
    """

    type: str = "mcp"
    server_label: str
    server_url: str | None = field(default=None, metadata=ELIDED)
    connector_id: str | None = None
    tunnel_id: str | None = None
    authorization: str | None = field(default=None, metadata=SECRET)
    headers: dict[str, Any] | None = field(default=None, metadata=SECRET)
    server_description: str | None = None
    allowed_tools: list[str] | McpToolFilter | None = None
    allowed_callers: list[str] | None = None
    require_approval: str | McpApprovalFilter | None = None
    defer_loading: bool | None = None


@wire
class ToolChoiceFunction(WireObject):
    """Makes the model call the function ``name``."""

    type: str = "function"
    name: str


@wire
class ToolChoiceMcp(WireObject):
    """Makes the model call the tool ``name`` of an MCP server, or any of its tools when ``name`` is ``None``."""

    type: str = "mcp"
    server_label: str
    name: str | None = None


Tool = FunctionTool | McpTool | UnknownObject
"""One entry of ``tools``."""

ToolChoice = str | ToolChoiceFunction | ToolChoiceMcp | UnknownObject
"""``auto``, ``none``, ``required``, or one particular tool."""
