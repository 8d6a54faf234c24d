"""Synchronous, threaded client for the OpenAI Realtime API and for the servers that speak it.

import realtime_sync as rt

with rt.connect("gpt-realtime") as session:
    print(session.ask("Tell me a joke."))
"""

from __future__ import annotations

from importlib import import_module as _import
from sys import modules as _modules
from typing import TYPE_CHECKING as _TYPE_CHECKING

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

if _TYPE_CHECKING:
    from realtime_sync import events
    from realtime_sync.codec import decode_client_event, decode_server_event, encode_event, event_to_dict
    from realtime_sync.events import ClientEventType, ServerEventType
    from realtime_sync.events.any import AnyServerEvent
    from realtime_sync.events.visitor import ClientEventVisitor, ServerEventVisitor
    from realtime_sync.sending.acks import Ack
    from realtime_sync.session.opening import connect
    from realtime_sync.session.reply import Reply
    from realtime_sync.session.resume import Resume
    from realtime_sync.session.session import RealtimeSession
    from realtime_sync.session.turn import Turn
    from realtime_sync.session.waiting import wait
    from realtime_sync.state.conversation import Conversation
    from realtime_sync.state.usage import CostLimit, PriceTable
    from realtime_sync.tools import ToolContext, Toolset
    from realtime_sync.transport.endpoint import Endpoint, resolve_endpoint

_LATER = {
    "Ack": "sending.acks",
    "ClientEventType": "events",
    "AnyServerEvent": "events.any",
    "ClientEventVisitor": "events.visitor",
    "Conversation": "state.conversation",
    "CostLimit": "state.usage",
    "Endpoint": "transport.endpoint",
    "PriceTable": "state.usage",
    "RealtimeSession": "session",
    "Reply": "session.reply",
    "Resume": "session.resume",
    "ServerEventType": "events",
    "ServerEventVisitor": "events.visitor",
    "ToolContext": "tools",
    "Toolset": "tools",
    "Turn": "session.turn",
    "audio": "",
    "conversation": "",
    "connect": "session.opening",
    "decode_client_event": "codec",
    "decode_server_event": "codec",
    "encode_event": "codec",
    "events": "",
    "event_to_dict": "codec",
    "local": "",
    "playback": "",
    "recording": "",
    "resolve_endpoint": "transport.endpoint",
    "tools": "",
    "usage": "",
    "wait": "session.waiting",
}
"""Public names that are imported on first use, and the rooms that they come from: all but the errors, so that a
program which may need the library does not wait for it."""

__all__ = [
    "UNSET",
    "Ack",
    "AnyServerEvent",
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
    "Resume",
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
    "wait",
]


def __getattr__(name: str) -> object:
    room = _LATER.get(name)
    if room is None:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}{_elsewhere(name)}", name=name, obj=_modules[__name__]
        )
    found = getattr(_import(f"{__name__}.{room}"), name) if room else _import(f"{__name__}.{name}")
    globals()[name] = found
    return found


def _elsewhere(name: str) -> str:
    """Where else a public name is, or what there is in its place; for the text of an `AttributeError`."""
    if name.startswith("_"):  # what `inspect` and the like ask for
        return ""
    if name.endswith(("Client", "OpenAI")) or name in ("Session", "open", "client"):
        return ": connect(model) opens a session"
    rooms = [room for room, inside in _LATER.items() if not inside]
    found = [room for room in rooms if name in _import(f"{__name__}.{room}").__all__]
    return f": it is {__name__}.{found[0]}.{name}" if found else ""


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name, room in _LATER.items() if not room), "errors"})
