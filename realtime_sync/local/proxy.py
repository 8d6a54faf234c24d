"""Between a client and a real server: messages pass both ways, and are recorded."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.checks import Refusal
from realtime_sync.local.http import Answer, Head, error_answer, shown_key
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.passive import Passive
from realtime_sync.recording.recorder import Recorder, Tap
from realtime_sync.transport.headers import Secrets

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

__all__ = ["Dialled", "Proxied", "Upstream"]

JsonObject = dict[str, Any]
_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_PASSED_ON: Final = ("openai-beta", "openai-organization", "openai-project", "openai-safety-identifier", "user-agent")
_NORMAL: Final = 1000
_CLOSES_OF_CLIENTS: Final = range(3000, 5000)
_SECRETS: Final = ("/realtime/translations/client_secrets", "/realtime/client_secrets")
_KEPT_SECRETS: Final = 100
_ENDPOINTS: Final = ("/realtime/translations", "/realtime")


class Upstream:
    """The real server: its URL, the key for it, and the recorder of what is said to it. The key is sent to that server
    alone, and neither written down nor shown."""

    def __init__(self, url: str, key: str | None, recorder: Recorder | None) -> None:
        try:
            parts = urlsplit(str(url))
            whole = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc  # a wrong port raises
        except ValueError:
            whole = False
        scheme = {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}.get(parts.scheme) if whole else None
        if scheme is None:
            raise ConfigurationError("upstream is a URL such as https://api.openai.com/v1, without user and password")
        self._base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._query = parts.query
        self._key = key
        self._issued: deque[str] = deque(maxlen=_KEPT_SECRETS)  # client secrets that were asked for here
        self.recorder = recorder

    def __repr__(self) -> str:
        return f"<Upstream {self._base}>"

    def dial(self, head: Head) -> Dialled | Answer:
        """Connect as a client asked, whose path is one of the two; what the server answered where it does not want
        to."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        path = head.path.rstrip("/")
        endpoint = next(name for name in _ENDPOINTS if path.endswith(name))
        query = "&".join(filter(None, (self._query, urlencode(head.query))))
        url = self._base + endpoint + (f"?{query}" if query else "")
        headers = self._headers(head)
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
            return _unreachable(error)
        return Dialled(websocket, None if self.recorder is None else self._tap(self.recorder, url, headers, head))

    def _tap(self, recorder: Recorder, url: str, headers: dict[str, str], head: Head) -> Tap:
        """What records a connection, without the credentials of either side of it."""
        tap = recorder.tap(url)
        shown = {"Authorization": shown_key(head) or ""}
        ours, theirs = Secrets.of(headers, urlsplit(url).query), Secrets.of(shown)
        tap.redact = lambda said: theirs.clean_text(ours.clean_text(said))
        return tap

    def post(self, head: Head, body: bytes) -> Answer:
        """Ask the server for a client secret, as a client asked here: a connection that shows it is passed on with it,
        in the place of the key."""
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        parts = urlsplit(self._base)
        path = next(name for name in _SECRETS if head.path.rstrip("/").endswith(name))
        target = f"{parts.path}{path}{f'?{self._query}' if self._query else ''}"
        headers = {**self._headers(head), "Content-Type": head.get("content-type") or "application/json"}
        dial = HTTPSConnection if parts.scheme == "wss" else HTTPConnection
        connection = dial(parts.netloc, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            return _unreachable(error)
        finally:
            connection.close()
        with contextlib.suppress(ValueError, TypeError, KeyError):
            self._issued.append(str(json.loads(text)["value"]))
        return Answer(answer.status, text, {"Content-Type": answer.headers.get("Content-Type", "application/json")})

    def issued(self, head: Head) -> bool:
        """Whether a client shows a secret that was asked for here."""
        return shown_key(head) in self._issued

    def _headers(self, head: Head) -> dict[str, str]:
        """What goes to the server of a client's headers, and the key: ours, or a client secret that we asked for."""
        headers = {name: value for name in _PASSED_ON if (value := head.get(name)) is not None}
        key = shown_key(head) if self.issued(head) else self._key
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return headers


class Dialled:
    """A connection to the real server."""

    def __init__(self, websocket: ClientConnection, tap: Tap | None) -> None:
        self.websocket = websocket
        self.tap = tap


class Proxied(Passive):
    """One connection that passes everything on: what a session is to a server that thinks for itself."""

    def __init__(self, dialled: Dialled, outbox: Outbox) -> None:
        self._websocket = dialled.websocket
        self._tap = dialled.tap
        self._outbox = outbox
        name = f"{threading.current_thread().name}-upstream"
        self._thread = threading.Thread(target=self._pass_down, name=name, daemon=True)

    def open(self) -> None:
        """Begin to pass on what the server says."""
        self._thread.start()

    def receive(self, raw: JsonObject | Refusal, frame: str | bytes) -> None:
        """Pass a message of the client on."""
        from websockets.exceptions import ConnectionClosed

        if self._tap is not None:
            self._tap("out", frame)
        with contextlib.suppress(ConnectionClosed):  # the other thread passes the close on
            self._websocket.send(frame)

    def end(self) -> list[threading.Thread]:
        """The client is gone; the thread that has yet to notice."""
        code, reason = self._outbox.goodbye
        if self._tap is not None:
            self._tap.close("out", code, reason)
        # Not within the closing handshake of the server, which may take its time.
        say = (code, reason) if code == _NORMAL or code in _CLOSES_OF_CLIENTS else ()
        name = f"{self._thread.name}-close"
        closing = threading.Thread(target=self._websocket.close, args=say, name=name, daemon=True)
        closing.start()
        return [self._thread, closing]

    def _pass_down(self) -> None:
        from websockets.exceptions import ConnectionClosed

        code, reason = 1011, ""
        try:
            while True:
                frame = self._websocket.recv()
                if self._tap is not None:
                    self._tap("in", frame)
                self._outbox.put(frame)
                self._outbox.wait_for_room(lambda: False)
        except ConnectionClosed:
            received = self._websocket.close_code
            code = received if received is not None and received not in (1005, 1006) else code
            reason = self._websocket.close_reason or ""
        finally:  # whatever it was, the client is not to wait for it
            if self._tap is not None:
                self._tap.close("in", code, reason)
            self._outbox.close(code, reason)


def _unreachable(error: Exception) -> Answer:
    message = f"The server that is recorded cannot be reached: {type(error).__name__}."
    return error_answer(502, Refusal(None, message))
