"""Who may connect, and to what: keys, and the upgrade request."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

import attrs

from realtime_sync._secrets import is_secret
from realtime_sync.local.checks import Refusal
from realtime_sync.local.client_secrets import ClientSecrets, IssuedSecret
from realtime_sync.local.config import Kind
from realtime_sync.local.http import Answer, Head, error_answer, shown_key
from realtime_sync.local.proxy import Dialled
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.replay import Talk
from realtime_sync.local.request import Request
from realtime_sync.recording.message import REDACTED

__all__ = ["Admitted", "Door", "kind_and_model", "refusal_of", "request_of", "subprotocol"]


@attrs.frozen
class Admitted:
    """A connection that is upgraded: to be turned away at once where there is a ``fault``, else to be served.
    ``secret`` is the client secret that it showed, ``dialled`` the real server's end where it is passed on, ``talk``
    what is to be played."""

    request: Request
    fault: Refusal | None = None
    secret: IssuedSecret | None = None
    dialled: Dialled | None = None
    talk: Talk | None = None


@attrs.frozen
class Door:
    """Decides about keys and upgrade requests."""

    api_key: str | None
    secrets: ClientSecrets
    quirks: Quirks

    def check_key(self, head: Head) -> IssuedSecret | None:
        """What the key that is shown was issued for, where it is a client secret; raises `Refusal` for a wrong one."""
        offered = shown_key(head)
        secret = None if offered is None else self.secrets.find(offered)
        if secret is not None or self.api_key is None:
            return secret
        if offered is None:
            raise Refusal(None, "Missing bearer or basic authentication in header")
        if not hmac.compare_digest(offered.encode(), self.api_key.encode()):
            raise Refusal("invalid_api_key", "Incorrect API key provided.")
        return None

    def admit(self, head: Head, request: Request, *, known: bool = False) -> Admitted | Answer:
        """Let an upgrade request pass by its path and its key, or answer it with an HTTP status. A ``known`` key is
        right already."""
        if not is_realtime(head.path):
            return error_answer(404, Refusal(None, f"Invalid URL ({head.method} {head.path})"))
        try:
            secret = None if known else self.check_key(head)
        except Refusal as fault:
            return Admitted(request, fault, None) if self.quirks.late_authentication else error_answer(401, fault)
        return Admitted(request, secret=secret)

    def later_fault(self, request: Request, secret: IssuedSecret | None) -> Refusal | None:
        """What is wrong with a request for a session that the real server upgrades first and turns away then."""
        if request.headers.get("openai-beta") == "realtime=v1" and not self.quirks.beta_names:
            message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
            return Refusal("beta_api_shape_disabled", message)
        kind, model = kind_and_model(request, secret)
        if secret is not None and kind != secret.kind:
            return Refusal("invalid_value", f"The client secret is for a {secret.kind} session.")
        if kind == "transcription" and model and not self.quirks.lenient:
            return Refusal("invalid_model", "You must not provide a model parameter for transcription sessions.")
        if kind != "transcription" and not model and "call_id" not in request.query and not self.quirks.lenient:
            return Refusal("missing_model", "You must provide a model parameter.")
        return None


def is_realtime(path: str) -> bool:
    """Whether a path is one of the two that are upgraded."""
    return path.rstrip("/").endswith(("/realtime", "/realtime/translations"))


def request_of(head: Head, number: int) -> Request:
    """The record of an upgrade request, its secrets hidden."""
    query = {name: _hidden(name, value) for name, value in head.query}
    headers = {name.lower(): _hidden(name, value) for name, value in head.headers}
    return Request(head.path, query, headers, number)


def kind_and_model(request: Request, secret: IssuedSecret | None = None) -> tuple[Kind, str]:
    """The kind of session that a request asks for, and its model (Azure's deployment, or that of the secret)."""
    model = request.query.get("model") or request.query.get("deployment") or ""
    if secret is not None and not model:
        model = secret.session.get("model", "")
    if request.path.rstrip("/").endswith("/translations"):
        return "translation", model
    by_secret = secret is not None and secret.kind == "transcription"
    return "transcription" if by_secret or request.query.get("intent") == "transcription" else "realtime", model


def refusal_of(answer: Answer) -> Refusal:
    """What an answer says: ours, or one that a real server gave."""
    try:
        body = json.loads(answer.body) if isinstance(answer.body, str) else answer.body
        error = body["error"]
        return Refusal(error.get("code"), str(error["message"]), error.get("param"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Refusal(None, f"HTTP status {answer.status}")


def subprotocol(_: Any, offered: Sequence[Any]) -> Any:
    """The one subprotocol that is spoken, where a browser offers it."""
    return "realtime" if "realtime" in offered else None


def _hidden(name: str, value: str) -> str:
    return REDACTED if is_secret(name) else value
