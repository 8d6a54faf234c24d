"""Synchronous, threaded client for the OpenAI Realtime API and for the servers that speak it.

import realtime_sync as rt

with rt.connect("gpt-realtime") as session:
    print(session.ask("Tell me a joke."))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from realtime_sync import events
from realtime_sync._unset import UNSET, Unset
from realtime_sync._version import __version__
from realtime_sync.errors import (
    AuthenticationError,
    BudgetExceeded,
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    HandshakeError,
    InboxOverflow,
    InvalidEvent,
    RealtimeError,
    RealtimeTimeout,
    ResponseFailed,
    ServerError,
    SessionExpired,
)
from realtime_sync.events import ClientEventType, ServerEventType

if TYPE_CHECKING:
    from realtime_sync.acks import Ack
    from realtime_sync.codec import decode_client_event, decode_server_event, encode_event, event_to_dict
    from realtime_sync.conversation import Conversation
    from realtime_sync.endpoint import Endpoint, resolve_endpoint
    from realtime_sync.opening import connect
    from realtime_sync.reply import Reply
    from realtime_sync.session import RealtimeSession
    from realtime_sync.tools import ToolContext, Toolset
    from realtime_sync.turn import Turn
    from realtime_sync.usage import CostLimit, PriceTable
    from realtime_sync.visitor import ClientEventVisitor, ServerEventVisitor

_LATER = {
    "Ack": "acks",
    "ClientEventVisitor": "visitor",
    "Conversation": "conversation",
    "CostLimit": "usage",
    "Endpoint": "endpoint",
    "PriceTable": "usage",
    "RealtimeSession": "session",
    "Reply": "reply",
    "ServerEventVisitor": "visitor",
    "ToolContext": "tools",
    "Toolset": "tools",
    "Turn": "turn",
    "audio": "",
    "connect": "opening",
    "decode_client_event": "codec",
    "decode_server_event": "codec",
    "encode_event": "codec",
    "event_to_dict": "codec",
    "local": "",
    "playback": "",
    "resolve_endpoint": "endpoint",
    "tools": "",
    "usage": "",
}
"""Public names that are imported on first use, and the rooms that they come from: all but the events and the errors, so
that a program which may need the library does not wait for it."""

__all__ = [
    "UNSET",
    "Ack",
    "AuthenticationError",
    "BudgetExceeded",
    "ClientEventType",
    "ClientEventVisitor",
    "ConfigurationError",
    "ConnectionClosed",
    "ConnectionLost",
    "Conversation",
    "CostLimit",
    "Endpoint",
    "HandshakeError",
    "InboxOverflow",
    "InvalidEvent",
    "PriceTable",
    "RealtimeError",
    "RealtimeSession",
    "RealtimeTimeout",
    "Reply",
    "ResponseFailed",
    "ServerError",
    "ServerEventType",
    "ServerEventVisitor",
    "SessionExpired",
    "ToolContext",
    "Toolset",
    "Turn",
    "Unset",
    "__version__",
    "connect",
    "decode_client_event",
    "decode_server_event",
    "encode_event",
    "event_to_dict",
    "events",
    "resolve_endpoint",
]


def __getattr__(name: str) -> Any:
    room = _LATER.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{room}"), name) if room else import_module(f"{__name__}.{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
