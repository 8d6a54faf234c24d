"""Plain HTTP on the port of the server: client secrets, control, and a clear no to everything else."""

from __future__ import annotations

from realtime_sync.local.admission import Door, is_realtime
from realtime_sync.local.checks import Refusal
from realtime_sync.local.control import PREFIX, Control
from realtime_sync.local.http import Answer, Head, error_answer
from realtime_sync.local.proxy import Upstream

__all__ = ["Rest"]


class Rest:
    """Answers what is no upgrade; client secrets are those of the ``upstream`` where there is one. Any thread."""

    def __init__(self, door: Door, control: Control, upstream: Upstream | None) -> None:
        self._door = door
        self._control = control
        self._upstream = upstream

    def answer(self, head: Head, body: bytes) -> Answer:
        """The answer to a request."""
        path = head.path.rstrip("/")
        if path.startswith(PREFIX):
            return self._controlled(head, body)
        if path.endswith("/realtime/client_secrets") or path.endswith("/realtime/translations/client_secrets"):
            return self._client_secrets(head, body)
        if is_realtime(path):
            if head.method == "GET":
                message = "This is a WebSocket: connect with an upgrade."
                return _with(error_answer(426, Refusal(None, message)), Upgrade="websocket")
            return _wrong_method(head, "GET")
        return error_answer(404, Refusal(None, f"Invalid URL ({head.method} {head.path})"))

    def _controlled(self, head: Head, body: bytes) -> Answer:
        try:
            self._door.check_key(head)
        except Refusal as fault:
            return error_answer(401, fault)
        return self._control.answer(head, body)

    def _client_secrets(self, head: Head, body: bytes) -> Answer:
        if head.method != "POST":
            return _wrong_method(head, "POST")
        try:
            secret = self._door.check_key(head)
        except Refusal as fault:
            return error_answer(401, fault)
        if self._upstream is not None:
            return self._upstream.post(head, body)
        if secret is not None:
            return error_answer(401, Refusal("invalid_api_key", "A client secret cannot create another one."))
        try:
            return Answer(200, self._door.secrets.issue(body, translation="/translations/" in head.path))
        except Refusal as fault:
            return error_answer(400, fault)


def _wrong_method(head: Head, right: str) -> Answer:
    message = f"Not allowed to {head.method} on {head.path} (HINT: perhaps you meant to use a different HTTP method?)"
    return _with(error_answer(405, Refusal("method_not_supported", message)), Allow=right)


def _with(answer: Answer, **headers: str) -> Answer:
    return Answer(answer.status, answer.body, {**answer.headers, **headers})
