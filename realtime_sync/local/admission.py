"""Who may connect, and to what: the upgrade request."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from realtime_sync.local.checks import Refusal
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.records import Request
from realtime_sync.local.session import Kind

if TYPE_CHECKING:
    from websockets.http11 import Request as HttpRequest
    from websockets.http11 import Response as HttpResponse
    from websockets.sync.server import ServerConnection

__all__ = ["http_error", "http_fault", "kind_and_model", "later_fault", "request_of", "subprotocol"]

_SECRETS: Final = frozenset({"authorization", "api-key", "api_key", "cookie", "key", "sec-websocket-protocol", "token"})
_KEY_PROTOCOL: Final = "openai-insecure-api-key."


def request_of(http: HttpRequest) -> Request:
    """The record of an upgrade request, its secrets hidden."""
    url = urlsplit(http.path)
    query = {name: _hidden(name, value) for name, value in parse_qsl(url.query, keep_blank_values=True)}
    headers = {name.lower(): _hidden(name, value) for name, value in http.headers.raw_items()}
    return Request(url.path, query, headers)


def http_fault(http: HttpRequest, request: Request, api_key: str | None) -> tuple[Refusal | None, int]:
    """Why a request is answered with an HTTP status in the place of the upgrade, and with which."""
    if not request.path.rstrip("/").endswith(("/realtime", "/realtime/translations")):
        return Refusal(None, f"Invalid URL (GET {request.path})"), 404
    if api_key is None:
        return None, 101
    offered = _offered_key(http)
    if offered is None:
        return Refusal(None, "Missing bearer or basic authentication in header"), 401
    if not hmac.compare_digest(offered.encode(), api_key.encode()):
        return Refusal("invalid_api_key", "Incorrect API key provided."), 401
    return None, 101


def later_fault(request: Request, quirks: Quirks) -> Refusal | None:
    """What is wrong with a request that the real server upgrades first and turns away then."""
    if request.headers.get("openai-beta") == "realtime=v1" and not quirks.beta_names:
        message = "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API."
        return Refusal("beta_api_shape_disabled", message)
    kind, model = kind_and_model(request)
    if kind == "transcription" and model:
        return Refusal("invalid_model", "You must not provide a model parameter for transcription sessions.")
    if kind != "transcription" and not model and "call_id" not in request.query and not quirks.lenient:
        return Refusal("missing_model", "You must provide a model parameter.")
    return None


def kind_and_model(request: Request) -> tuple[Kind, str]:
    """The kind of session that a request asks for, and its model (Azure's deployment)."""
    model = request.query.get("model") or request.query.get("deployment") or ""
    if request.path.rstrip("/").endswith("/translations"):
        return "translation", model
    return "transcription" if request.query.get("intent") == "transcription" else "realtime", model


def http_error(websocket: ServerConnection, status: int, fault: Refusal) -> HttpResponse:
    """The JSON answer to a request that is refused."""
    error = {"message": fault.message, "type": fault.type, "param": None, "code": fault.code}
    response = websocket.respond(status, json.dumps({"error": error}, indent=2))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    response.headers["x-request-id"] = f"req_{websocket.id.hex}"
    return response


def subprotocol(_: ServerConnection, offered: Sequence[Any]) -> Any:
    """The one subprotocol that is spoken, where a browser offers it."""
    return "realtime" if "realtime" in offered else None


def _offered_key(http: HttpRequest) -> str | None:
    """The key of a request: as a bearer token, in Azure's header, or in a browser's subprotocol."""
    scheme, _, token = http.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    if "api-key" in http.headers:
        return http.headers["api-key"]
    offered = ",".join(http.headers.get_all("Sec-WebSocket-Protocol")).split(",")
    keys = [name.strip().removeprefix(_KEY_PROTOCOL) for name in offered if name.strip().startswith(_KEY_PROTOCOL)]
    return keys[0] if keys else None


def _hidden(name: str, value: str) -> str:
    return "<redacted>" if name.lower() in _SECRETS else value
