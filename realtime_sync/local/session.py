"""One connection of a client, from ``session.created`` to its end."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.codec import decode_client_event
from realtime_sync.local.beta import event_from_beta, param_in_beta
from realtime_sync.local.checks import Refusal, number
from realtime_sync.local.config import Kind, default_session, merge_session, without_setting
from realtime_sync.local.core import Core, Options
from realtime_sync.local.faults import ScriptedRefusal
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.request import Request
from realtime_sync.local.requests import Requests
from realtime_sync.local.shapes import check_request, check_translation_request
from realtime_sync.local.translation import TranslationRequests

__all__ = ["Session", "parse_frame"]

_OF_ANOTHER_DIALECT: Final = ("invalid_value", "missing_required_parameter", "array_above_max_length")
"""How the checks refuse a value that has another shape or name elsewhere; one of the wrong type is a mistake."""


class Session:
    """A session of one kind: takes the messages of its client and lets the rest happen. ``preset`` is the configuration
    that came with the key."""

    def __init__(
        self,
        kind: Kind,
        model: str,
        outbox: Outbox,
        options: Options,
        request: Request,
        preset: Mapping[str, Any] | None = None,
    ) -> None:
        expires_at = time.time() + options.expires_after_s
        config = default_session(kind, options.ids.new("sess"), model, expires_at, options.quirks.rate_hz)
        if preset:
            config = merge_session(config, {name: value for name, value in preset.items() if name != "model"})
        self._core = Core(config, outbox, options, request)
        self._expiry = Deadline(options.expires_after_s + options.quirks.ends_late_s)
        self._check = check_translation_request if kind == "translation" else check_request
        self._requests: Requests | TranslationRequests
        self._requests = TranslationRequests(self._core) if kind == "translation" else Requests(self._core)

    def open(self) -> None:
        """Send ``session.created``."""
        self._core.tell("session.created", session=self._core.config)

    def receive(self, raw: dict[str, Any] | Refusal, frame: str | bytes) -> None:
        """Handle one message of the client, as `parse_frame` made it of its frame."""
        core = self._core
        event_id = None
        told = raw if isinstance(raw, dict) else frame
        try:
            if isinstance(raw, Refusal):
                raise raw
            event_id = raw["event_id"] if isinstance(raw.get("event_id"), str) else None
            fault = core.request.faults.take(raw.get("type")) or core.options.faults.take(raw.get("type"))
            if fault is not None:
                raise fault
            raw = self._checked(raw)
            core.outbox.wait_for_room(lambda: core.ended)
            event = decode_client_event(raw)
            with core.lock:
                event.accept(self._requests)
        except ScriptedRefusal as fault:
            core.refuse(fault, event_id)
        except Refusal as refusal:
            # Before the client is told, so that whoever sees the error finds this.
            core.options.refused(told, refusal, core.request)
            core.refuse(refusal, event_id)
        except Exception as error:
            core.report(error)
            failure = Refusal("server_error", "The server had an error.", type="server_error")
            core.refuse(failure, event_id)

    @property
    def next_deadline_s(self) -> float | None:
        """Seconds until `on_time` wants to be called; ``None`` when it never does again."""
        if isinstance(self._requests, Requests) and self._requests.user_audio.watches_silence:
            # When a silence begins is known to other threads first, so it is looked for.
            return self._expiry.slice(SLICE_S)
        return self._expiry.remaining()

    def on_time(self) -> None:
        """Do what time alone brings about."""
        if self._expiry.expired:
            self._expiry = Deadline(None)
            self.expire()
        elif isinstance(self._requests, Requests):
            with self._core.lock:
                idle = self._requests.user_audio.idle
                if idle is not None and idle.expired:
                    self._requests.user_audio.idle_timeout()

    def expire(self) -> None:
        """End the session as at its time limit: an error, then close code 1001."""
        minutes = self._core.options.expires_after_s / 60
        message = f"Your session hit the maximum duration of {minutes:g} minutes."
        with self._core.lock:
            self._core.refuse(Refusal("session_expired", message), None)
            self._core.outbox.close(1001, message)

    def silence(self) -> None:
        """Act as if the user had been silent for as long as ``idle_timeout_ms`` says."""
        if isinstance(self._requests, Requests):
            with self._core.lock:
                self._requests.user_audio.idle_timeout()

    def end(self) -> list[threading.Thread]:
        """The connection is gone: stop everything. The threads that have yet to notice."""
        threads = self._core.end()
        if isinstance(self._requests, Requests):
            self._requests.user_audio.responses.abandon()
        return threads

    def _checked(self, raw: dict[str, Any]) -> dict[str, Any]:
        quirks = self._core.options.quirks
        lenient = quirks.lenient
        if quirks.beta_names:
            return self._checked_beta(raw)
        if lenient and isinstance(raw.get("session"), dict):
            raw = {**raw, "session": {"type": self._core.config["type"], **raw["session"]}}
        return self._verified(raw)

    def _verified(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event that is as it should be; a lenient server first leaves out each setting whose value another
        dialect has."""
        lenient = self._core.options.quirks.lenient
        while True:
            try:
                self._check(event, lenient=lenient)
                return event
            except Refusal as refusal:
                foreign = lenient and refusal.code in _OF_ANOTHER_DIALECT
                rest = without_setting(event, refusal.param or "") if foreign else None
                if rest is None:
                    raise
                event = rest

    def _checked_beta(self, raw: dict[str, Any]) -> dict[str, Any]:
        """An event of the older dialect as one of today."""
        event = event_from_beta(raw)
        # Nothing has come after this setting: it is known and shown, and that is all.
        root = "session" if event.get("type") == "session.update" else "response"
        settings = event.get(root)
        temperature = settings.pop("temperature", None) if isinstance(settings, dict) else None
        try:
            if temperature is not None:
                number(0.6, 1.2)(temperature, f"{root}.temperature", False)
            event = self._verified(event)
        except Refusal as refusal:
            raise Refusal(refusal.code, refusal.message, param_in_beta(refusal.param, raw), type=refusal.type) from None
        if temperature is not None and root == "session":
            event["session"] = {**event["session"], "temperature": temperature}
        return event


def _finite(text: str) -> float:
    """A number as JSON knows it: neither NaN nor Infinity, nor too big for a double, all of which Python reads."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def parse_frame(frame: str | bytes) -> dict[str, Any] | Refusal:
    """The JSON object in a message, or why there is none."""
    if isinstance(frame, bytes):
        return Refusal("invalid_event", "Expected a text WebSocket message; binary frames are not supported.")
    try:
        raw = json.loads(frame, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError):
        return Refusal("invalid_json", "Invalid event: failed to parse JSON value. Please check that it is valid JSON.")
    if not isinstance(raw, dict):
        return Refusal("invalid_event", "Invalid event: expected a JSON object.")
    return raw
