"""The server's own endpoints: scripted and questioned over HTTP, by a test in any language."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from realtime_sync.errors import ConfigurationError, RealtimeTimeout
from realtime_sync.local.checks import Refusal
from realtime_sync.local.http import Answer, Head, error_answer
from realtime_sync.local.request import LogEntry, Request
from realtime_sync.local.script_json import replies_of, transcripts_of

__all__ = ["PREFIX", "Control"]

JsonObject = dict[str, Any]
PREFIX: Final = "/local/"
_TIMEOUT_S: Final = 10.0
_LONGEST_TIMEOUT_S: Final = 300.0
_FAULTS: Final = ("refuse", "fail_next", "drop", "close", "expire", "silence", "send")


class Control:
    """Answers requests whose path begins with ``/local/``. May be called from any thread."""

    def __init__(self, server: Any) -> None:
        # A LocalServer; its module imports this one, so its type cannot be named.
        self._server = server
        self._gets: Mapping[str, Callable[[Mapping[str, str]], Any]] = {
            "received": self._received,
            "sent": self._sent,
            "log": self._log,
            "refusals": self._refusals,
            "connections": self._connections,
            "done": self._done,
        }
        self._posts: Mapping[str, Callable[[Any, Mapping[str, str]], None]] = {
            "replies": self._set_replies,
            "transcripts": self._set_transcripts,
            "faults": self._make_faults,
            "reset": lambda body, query: self._server.reset(),
        }

    def answer(self, head: Head, body: bytes) -> Answer:
        """The answer to a request."""
        if head.get("origin") is not None:
            return _error(403, "Pages in a browser have no business here.")
        name = head.path.removeprefix(PREFIX)
        query = dict(head.query)
        try:
            if name in self._gets and head.method == "GET":
                return Answer(200, self._gets[name](query))
            if name in self._posts and head.method == "POST":
                self._posts[name](json.loads(body or b"null"), query)
                return Answer(200, {"ok": True})
        except (ConfigurationError, ValueError, TypeError) as error:
            return _error(400, str(error))
        except RealtimeTimeout as error:
            return _error(408, str(error))
        if name in self._gets or name in self._posts:
            return _error(405, f"{head.path} wants {'GET' if name in self._gets else 'POST'}.")
        return _error(404, f"There is no {head.path}; there are {', '.join([*self._gets, *self._posts])}.")

    def _received(self, query: Mapping[str, str]) -> JsonObject:
        event_type = query.get("type")
        owner = self._owner(query)
        if "count" in query and event_type is None:
            raise ConfigurationError("count waits for events of a type: give it too")
        if event_type is not None and "count" in query:
            timeout_s = min(float(query.get("timeout_s", _TIMEOUT_S)), _LONGEST_TIMEOUT_S)
            owner.wait_received(event_type, int(query["count"]), timeout_s)
        return {"events": _of_type(owner.received, event_type)}

    def _sent(self, query: Mapping[str, str]) -> JsonObject:
        requests = [self._owner(query)] if "connection" in query else self._server.requests
        return {"events": _of_type([event for request in requests for event in request.sent], query.get("type"))}

    def _log(self, query: Mapping[str, str]) -> JsonObject:
        return {"entries": [_entry_shown(entry) for entry in self._owner(query).log]}

    def _refusals(self, query: Mapping[str, str]) -> JsonObject:
        shown = [
            {
                "event": refused.event if not isinstance(refused.event, bytes) else repr(refused.event),
                "code": refused.code,
                "param": refused.param,
                "message": refused.message,
                "connection": refused.connection.number,
            }
            for refused in self._server.refusals
        ]
        return {"refusals": shown}

    def _connections(self, query: Mapping[str, str]) -> JsonObject:
        return {"connections": [_request_shown(request) for request in self._server.requests]}

    def _done(self, query: Mapping[str, str]) -> JsonObject:
        try:
            self._server.assert_done()
        except AssertionError as error:
            return {"done": False, "message": str(error)}
        return {"done": True, "message": ""}

    def _set_replies(self, body: Any, query: Mapping[str, str]) -> None:
        self._owner(query).replies = None if body is None else replies_of(body)

    def _set_transcripts(self, body: Any, query: Mapping[str, str]) -> None:
        self._owner(query).transcripts = None if body is None else transcripts_of(body)

    def _make_faults(self, body: Any, query: Mapping[str, str]) -> None:
        if not isinstance(body, dict) or not body or not set(body) <= set(_FAULTS):
            raise ConfigurationError(f"expected an object with some of {', '.join(_FAULTS)}")
        owner = self._owner(query)
        for name, given in body.items():
            if name == "send":
                owner.send(given)
                continue
            arguments = dict(given or {})
            if name == "refuse":
                self._server.refuse(**arguments)
            elif name == "fail_next":
                if "type" not in arguments:
                    raise ConfigurationError("fail_next.type is missing")
                owner.fail_next(arguments.pop("type"), **arguments)
            elif name == "close" and owner is self._server:
                self._server.close_connections(**arguments)
            else:
                getattr(owner, name)(**arguments)

    def _owner(self, query: Mapping[str, str]) -> Any:
        """The connection that is asked about, or the server."""
        if "connection" not in query:
            return self._server
        number = int(query["connection"])
        for request in self._server.requests:
            if request.number == number:
                return request
        raise ConfigurationError(f"there is no connection {number}")


def _of_type(events: list[JsonObject], event_type: str | None) -> list[JsonObject]:
    return [event for event in events if event_type in (None, event.get("type"))]


def _entry_shown(entry: LogEntry) -> JsonObject:
    event = entry.event
    return {
        "at_s": round(entry.at_s, 6),
        "direction": entry.direction,
        "connection": entry.connection.number,
        "event": repr(event) if isinstance(event, bytes) else event,
    }


def _request_shown(request: Request) -> JsonObject:
    return {
        "number": request.number,
        "path": request.path,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "status": request.status,
        "close_code": request.close_code,
    }


def _error(status: int, message: str) -> Answer:
    return error_answer(status, Refusal(None, message, type="local_server"))
