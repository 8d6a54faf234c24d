"""Python functions as tools of the model: what it is told of them, and the calls that it asks for."""

from __future__ import annotations

from realtime_sync.tools.rounds import ToolFailure, ToolRound
from realtime_sync.tools.runner import ToolRunner
from realtime_sync.tools.schema.shapes import BadArguments
from realtime_sync.tools.toolset import Approve, FunctionSpec, ToolCall, ToolContext, Toolset

__all__ = [
    "Approve",
    "BadArguments",
    "FunctionSpec",
    "ToolCall",
    "ToolContext",
    "ToolFailure",
    "ToolRound",
    "ToolRunner",
    "Toolset",
]
