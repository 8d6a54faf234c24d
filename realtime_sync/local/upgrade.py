"""The WebSocket library's end of a connection whose request was read already. Imported on first use: it needs the extra
``local``."""

from __future__ import annotations

import socket
from typing import Any

from websockets.sync.server import ServerConnection

__all__ = ["ReadSocket", "UpgradedConnection"]


class ReadSocket:
    """A socket together with what was read of it, and what was found out from that."""

    def __init__(self, sock: socket.socket, read: bytes, admitted: Any) -> None:
        self.sock = sock
        self.read = read
        self.admitted = admitted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)


class UpgradedConnection(ServerConnection):
    """A connection that begins with what was read before it was made."""

    socket: Any

    def recv_events(self) -> None:
        """Take what was read, then read on: the body of the library's reader thread."""
        with self.protocol_mutex:
            self.protocol.receive_data(self.socket.read)
            events = self.protocol.events_received()
        for event in events:
            self.process_event(event)
        super().recv_events()
