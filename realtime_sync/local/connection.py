"""One connection from its upgrade to its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from realtime_sync.local.admission import Admitted, kind_and_model
from realtime_sync.local.checks import Refusal
from realtime_sync.local.core import Options
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.proxy import Proxied
from realtime_sync.local.records import Records
from realtime_sync.local.replay import Replay
from realtime_sync.local.session import Session, parse_frame

if TYPE_CHECKING:
    from websockets.sync.server import ServerConnection

__all__ = ["Connection"]

_TURNED_AWAY_TIMEOUT_S: Final = 2.0


class Connection:
    """An open connection: what its `Request` can be made to do. `serve` is the body of its thread; the other methods
    may be called from any thread."""

    def __init__(
        self,
        websocket: ServerConnection,
        admitted: Admitted,
        options: Options,
        records: Records,
        cut: Callable[[], None],
    ) -> None:
        self._websocket = websocket
        self._admitted = admitted
        self._options = options
        self._records = records
        self._cut = cut
        self._request = request = admitted.request
        name = f"{threading.current_thread().name}-sender"

        def note(message: str | bytes) -> None:
            records.note(request, "to_client", message, len(message))

        self.outbox = Outbox(websocket, name, note, options.latency_s)
        self._session: Session | Replay | Proxied | None = None

    def serve(self) -> list[threading.Thread]:
        """Serve the connection until it ends; the threads of it that have yet to notice."""
        request = self._request
        request.status = 101
        try:
            if self._admitted.fault is not None:
                self._turn_away(self._admitted.fault)
                return []
            return self._converse()
        finally:
            close = self._websocket.close_code
            self._records.end(request, 1006 if close is None else close)

    def put(self, message: str | bytes) -> None:
        """Send a message."""
        self.outbox.put(message)

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent before."""
        self.outbox.close(code, reason)

    def cut(self) -> None:
        """Cut without a close frame."""
        self._cut()

    def expire(self) -> None:
        """End the session as at its time limit."""
        if self._session is not None:
            self._session.expire()

    def silence(self) -> None:
        """Let the user have been silent for too long."""
        if self._session is not None:
            self._session.silence()

    def _converse(self) -> list[threading.Thread]:
        from websockets.exceptions import ConnectionClosed

        request = self._request
        self._session = session = self._make_session()
        request.link = self
        try:
            session.open()
            while True:
                try:
                    frame = self._websocket.recv(session.next_deadline_s)
                except TimeoutError:
                    session.on_time()
                    continue
                raw = parse_frame(frame)
                told = frame if isinstance(raw, Refusal) else raw
                self._records.note(request, "to_server", told, len(frame))
                session.receive(raw, frame)
        except ConnectionClosed:
            pass
        finally:
            self.outbox.end()
            left = session.end()
        return left

    def _make_session(self) -> Session | Replay | Proxied:
        """What is at the other end: a session of our own, a recording, or a real server."""
        admitted, options, request = self._admitted, self._options, self._request
        if admitted.dialled is not None:
            return Proxied(admitted.dialled, self.outbox)
        if admitted.talk is not None:
            return Replay(admitted.talk, self.outbox, options.failed, options.replay_speed, self._cut)
        kind, model = kind_and_model(request, admitted.secret)
        preset = admitted.secret.session if admitted.secret is not None else None
        return Session(kind, model, self.outbox, options, request, preset)

    def _turn_away(self, fault: Refusal) -> None:
        """Refuse a connection as the real server does after the upgrade: an error, and at once a close."""
        event = {"type": "error", "event_id": self._options.ids.new("event"), "error": fault.shown(None)}
        self._options.refused(None, fault, self._request)
        self.outbox.put(json.dumps(event))
        code = 3000 if fault.code in (None, "invalid_api_key") else 4000
        self.outbox.close(code, ".".join(part for part in (fault.type, fault.code) if part))
        self.outbox.thread.join(_TURNED_AWAY_TIMEOUT_S + self._options.latency_s)
