"""The options that `RealtimeSession.tool` and `RealtimeSession.use_tools` hand on, for type checkers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from realtime_sync._unset import Unset
    from realtime_sync.events import McpApprovalRequest
    from realtime_sync.sending.tools_told import ToolsTold
    from realtime_sync.state.responses import Responses
    from realtime_sync.tools import Approve, ToolCall, ToolFailure, ToolRunner
    from realtime_sync.tools.runner import Options

__all__ = ["RunnerOptions", "ToolOptions"]


class ToolOptions(TypedDict, total=False):
    """Those of `Toolset.tool`."""

    name: str | None
    description: str | None
    timeout_s: float | Unset | None
    strict: bool
    inline: bool
    approve: Approve | None
    replace: bool


class RunnerOptions(TypedDict, total=False):
    """Those of `ToolRunner`."""

    auto_respond: bool
    max_rounds: int | None
    workers: int
    queue_limit: int
    timeout_s: float | None
    approve: Approve | None
    on_mcp_approval: Callable[[McpApprovalRequest], bool | tuple[bool, str]] | None
    on_call: Callable[[ToolCall], object] | None
    on_output: Callable[[ToolCall, str], object] | None
    describe_failure: Callable[[ToolFailure], Any] | None
    options: Options | None
    ignores: Callable[[str | None], bool] | None
    responses: Responses | None
    told: ToolsTold | None
    undivided: Callable[[Callable[[], object]], object] | None
    replaces: ToolRunner | None
