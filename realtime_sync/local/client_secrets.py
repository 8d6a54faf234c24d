"""Client secrets: short-lived keys that carry the configuration of their sessions."""

from __future__ import annotations

import json
import secrets
import threading
import time
from typing import Any, Final

import attrs

from realtime_sync.local.checks import Refusal, choice, integer, record
from realtime_sync.local.config import Kind, default_session, merge_session
from realtime_sync.local.core import Ids
from realtime_sync.local.shapes import check_request, check_translation_request

__all__ = ["ClientSecrets", "IssuedSecret"]

JsonObject = dict[str, Any]
_LIFE_S: Final = 600
_KEPT: Final = 1_000
_CHECK_LIFE: Final = record({}, {"anchor": choice("created_at"), "seconds": integer(10, 7200)})


@attrs.frozen
class IssuedSecret:
    """A key that was given out: the kind of its sessions, and what they are configured with."""

    kind: Kind
    session: JsonObject
    expires_at: float


class ClientSecrets:
    """The keys that a server has given out. All methods may be called from any thread."""

    def __init__(self, ids: Ids, expires_after_s: float, rate_hz: int) -> None:
        self._ids = ids
        self._expires_after_s = expires_after_s
        self._rate_hz = rate_hz
        # Guards _issued.
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedSecret] = {}

    def issue(self, body: bytes, *, translation: bool) -> JsonObject:
        """Give out a key for a request of ``POST .../client_secrets``; raises `Refusal` for one that is not right."""
        asked = _asked(body)
        session = asked.get("session") or {}
        if translation:
            kind: Kind = "translation"
            # The model is a part of the request here, and never one of an update.
            model = session.pop("model", None) or "gpt-realtime-translate"
            check_translation_request({"type": "session.update", "session": session})
        else:
            session.setdefault("type", "realtime")
            check_request({"type": "session.update", "session": session})
            kind = session["type"]
            model = session.pop("model", None) or "gpt-realtime"
        session_id, ends_at = self._ids.new("sess"), time.time() + self._expires_after_s
        effective = merge_session(default_session(kind, session_id, model, ends_at, self._rate_hz), session)
        life_s = (asked.get("expires_after") or {}).get("seconds") or _LIFE_S
        expires_at = int(time.time()) + life_s
        value = f"ek_{secrets.token_hex(16)}"
        preset = session if kind == "transcription" else {**session, "model": model}
        with self._lock:
            if len(self._issued) >= _KEPT:
                del self._issued[next(iter(self._issued))]
            self._issued[value] = IssuedSecret(kind, preset, expires_at)
        return {"value": value, "expires_at": expires_at, "session": effective}

    def find(self, key: str) -> IssuedSecret | None:
        """What a key was given out for; raises `Refusal` when it has expired."""
        with self._lock:
            issued = self._issued.get(key)
        if issued is not None and issued.expires_at <= time.time():
            raise Refusal("invalid_api_key", "The client secret has expired.")
        return issued


def _asked(body: bytes) -> JsonObject:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        raise Refusal("invalid_json", "We could not parse the JSON body of your request.") from None
    record({}, {"session": _any_object, "expires_after": _CHECK_LIFE})(asked, "", False)
    whole: JsonObject = asked
    return whole


def _any_object(value: Any, path: str, lenient: bool) -> None:
    record({})(value, path, True)
