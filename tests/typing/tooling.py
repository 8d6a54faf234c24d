"""A user's tools and sound: what a type checker knows of them."""

from __future__ import annotations

from array import array

from typing_extensions import reveal_type

import realtime_sync as rt
from realtime_sync.audio import chunks, to_channels, to_mono
from realtime_sync.playback import MicrophoneFeed, PlaybackTracker
from realtime_sync.tools import ToolCall, ToolRunner, Toolset


class Cart:
    def put(self, name: str) -> int:
        """Put something into the cart."""
        return len(name)


tools = Toolset(Cart().put, Toolset())
reveal_type(tools.tool(Cart().put))  # R: def (name: str) -> int
reveal_type(tools.tool(Cart().put, name="put", timeout_s=None))  # R: def (name: str) -> int
tools.add("find", None, {"type": "object"}, lambda arguments: arguments["id"], timeout_s=3)
tools.add("find", {"type": "object"}, print)  # E: call-arg arg-type arg-type  # P: reportCallIssue


def approve(call: ToolCall) -> bool:
    reveal_type(call.args)  # R: dict[str, Any]
    return call.name == "find"


def talk(session: rt.RealtimeSession) -> None:
    reveal_type(session.use_tools(tools, approve=approve))  # R: realtime_sync.tools.runner.ToolRunner
    reveal_type(session.ask("hi").approvals)  # R: list[realtime_sync.events.items.McpApprovalRequest]
    ToolRunner(session, tools).announce()
    with MicrophoneFeed(session, channels=2, rate_hz=48_000) as feed:
        feed.put(b"")
        reveal_type(feed.dropped_ms)  # R: int
    reveal_type(PlaybackTracker().read(2))  # R: bytes
    reveal_type(to_mono(array("h"), 2) + to_channels(b"", 2))  # R: bytes
    reveal_type(list(chunks(b"", encoding="audio/pcmu")))  # R: list[bytes]
    to_mono("", 2)  # E: arg-type  # P: reportArgumentType
