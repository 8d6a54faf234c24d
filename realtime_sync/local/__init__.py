"""A Realtime server on this machine, for trying and testing without a key and without a network.

Needs the extra ``local``.
"""

from __future__ import annotations

from realtime_sync.local.fallback import somewhere
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.records import RefusedEvent
from realtime_sync.local.replay import ReplayDifference
from realtime_sync.local.request import LogEntry, Request
from realtime_sync.local.script import Failure, Gate, McpApproval, McpToolCall, Reply, Say, ToolCall, Transcript, Turn
from realtime_sync.local.server import LocalServer
from realtime_sync.local.speech import describe_audio, tone_speech

__all__ = [
    "Failure",
    "Gate",
    "LocalServer",
    "LogEntry",
    "McpApproval",
    "McpToolCall",
    "Quirks",
    "RefusedEvent",
    "ReplayDifference",
    "Reply",
    "Request",
    "Say",
    "ToolCall",
    "Transcript",
    "Turn",
    "describe_audio",
    "somewhere",
    "tone_speech",
]
