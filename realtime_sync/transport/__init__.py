"""Bytes and sockets: dialling, TLS and WebSocket frames. Every failure leaves this room as an error of ours."""

from __future__ import annotations

from realtime_sync.transport.frames import BINARY, CLOSE, PING, PONG, TEXT, CloseFrame, Frame, close_payload
from realtime_sync.transport.transport import MAX_MESSAGE_BYTES, USER_TIMEOUT_S, Transport, open_transport

__all__ = [
    "BINARY",
    "CLOSE",
    "MAX_MESSAGE_BYTES",
    "PING",
    "PONG",
    "TEXT",
    "USER_TIMEOUT_S",
    "CloseFrame",
    "Frame",
    "Transport",
    "close_payload",
    "open_transport",
]
