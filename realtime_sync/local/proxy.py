"""Between a client and a real server: messages pass both ways, and are recorded."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.checks import Refusal
from realtime_sync.local.http import Answer, Head
from realtime_sync.local.outbox import Outbox
from realtime_sync.recording.recorder import Recorder, Tap

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["Dialled", "Proxied", "Upstream"]

JsonObject = dict[str, Any]
_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_PASSED_ON: Final = ("openai-beta", "openai-organization", "openai-project", "openai-safety-identifier", "user-agent")
_ENDPOINTS: Final = ("/realtime/translations", "/realtime")


class Upstream:
    """The real server: its URL, the key for it, and the recorder of what is said to it. The key is sent to that server
    alone, and neither written down nor shown."""

    def __init__(self, url: str, key: str | None, recorder: Recorder | None) -> None:
        parts = urlsplit(url)
        scheme = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}.get(parts.scheme)
        if scheme is None or not parts.netloc or "@" in parts.netloc:
            raise ConfigurationError("upstream is a URL such as https://api.openai.com/v1, without user and password")
        self._base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._query = parts.query
        self._key = key
        self.recorder = recorder

    def __repr__(self) -> str:
        return f"<Upstream {self._base}>"

    def dial(self, head: Head) -> Dialled | Answer:
        """Connect as a client asked; what the server answered where it does not want to."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        path = head.path.rstrip("/")
        endpoint = next((name for name in _ENDPOINTS if path.endswith(name)), None)
        if endpoint is None:
            return _error(404, f"Invalid URL ({head.method} {head.path})")
        query = "&".join(filter(None, (self._query, urlencode(head.query))))
        url = self._base + endpoint + (f"?{query}" if query else "")
        headers = {name: value for name in _PASSED_ON if (value := head.get(name)) is not None}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            websocket: Any = connect(
                url,
                additional_headers=headers,
                user_agent_header=None,
                compression=None,
                max_size=_MOST_BYTES,
                open_timeout=_TIMEOUT_S,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=None,
            ).__enter__()
        except InvalidStatus as refused:
            answer = refused.response
            kept = {n: v for n, v in answer.headers.raw_items() if n.lower() in ("retry-after", "x-request-id")}
            kind = answer.headers.get("Content-Type", "application/json")
            body = (answer.body or b"").decode(errors="replace")
            return Answer(answer.status_code, body, {"Content-Type": kind, **kept})
        except (OSError, WebSocketException) as error:
            return _error(502, f"The server that is recorded cannot be reached: {type(error).__name__}.")
        return Dialled(websocket, self.recorder.tap(url) if self.recorder is not None else None)


class Dialled:
    """A connection to the real server."""

    def __init__(self, websocket: ClientConnection, tap: Tap | None) -> None:
        self.websocket = websocket
        self.tap = tap


class Proxied:
    """One connection that passes everything on: what a session is to a server that thinks for itself."""

    def __init__(self, dialled: Dialled, outbox: Outbox) -> None:
        self._websocket = dialled.websocket
        self._tap = dialled.tap
        self._outbox = outbox
        name = f"{threading.current_thread().name}-upstream"
        self._thread = threading.Thread(target=self._pass_down, name=name, daemon=True)

    @property
    def next_deadline_s(self) -> float | None:
        """Time alone brings nothing about."""
        return None

    def open(self) -> None:
        """Begin to pass on what the server says."""
        self._thread.start()

    def on_time(self) -> None:
        """Do nothing."""

    def expire(self) -> None:
        """Do nothing: that is for the real server to do."""

    def silence(self) -> None:
        """Do nothing."""

    def receive(self, raw: JsonObject | Refusal, frame: str | bytes) -> None:
        """Pass a message of the client on."""
        from websockets.exceptions import ConnectionClosed

        if self._tap is not None:
            self._tap("out", frame)
        with contextlib.suppress(ConnectionClosed):  # the other thread passes the close on
            self._websocket.send(frame)

    def end(self) -> list[threading.Thread]:
        """The client is gone; the thread that has yet to notice."""
        # Not within the closing handshake of the server, which may take its time.
        closing = threading.Thread(target=self._websocket.close, name=f"{self._thread.name}-close", daemon=True)
        closing.start()
        return [self._thread, closing]

    def _pass_down(self) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                frame = self._websocket.recv()
                if self._tap is not None:
                    self._tap("in", frame)
                self._outbox.put(frame)
                self._outbox.wait_for_room(lambda: False)
        except ConnectionClosed:
            received = self._websocket.close_code
            code = received if received is not None and received not in (1005, 1006) else 1011
            self._outbox.close(code, self._websocket.close_reason or "")


def _error(status: int, message: str) -> Answer:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return Answer(status, {"error": error})
