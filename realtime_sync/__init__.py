"""Synchronous, threaded client for the OpenAI Realtime API and for the servers that speak it.

import realtime_sync as rt

with rt.connect("gpt-realtime") as session:
    print(session.ask("Tell me a joke."))
"""

from __future__ import annotations

from realtime_sync import events
from realtime_sync._unset import UNSET, Unset
from realtime_sync._version import __version__
from realtime_sync.acks import Ack
from realtime_sync.codec import decode_client_event, decode_server_event, encode_event, event_to_dict
from realtime_sync.endpoint import Endpoint, resolve_endpoint
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
from realtime_sync.opening import connect
from realtime_sync.reply import Reply
from realtime_sync.session import RealtimeSession
from realtime_sync.turn import Turn
from realtime_sync.visitor import ClientEventVisitor, ServerEventVisitor

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
    "Endpoint",
    "HandshakeError",
    "InboxOverflow",
    "InvalidEvent",
    "RealtimeError",
    "RealtimeSession",
    "RealtimeTimeout",
    "Reply",
    "ResponseFailed",
    "ServerError",
    "ServerEventType",
    "ServerEventVisitor",
    "SessionExpired",
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
