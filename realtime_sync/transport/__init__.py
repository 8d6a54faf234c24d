"""Bytes and sockets: dialling, TLS and the WebSocket. Every failure leaves this room as an error of ours."""

from __future__ import annotations

from realtime_sync.transport.transport import MAX_MESSAGE_BYTES, USER_TIMEOUT_S, Transport, open_transport

__all__ = ["MAX_MESSAGE_BYTES", "USER_TIMEOUT_S", "Transport", "open_transport"]
