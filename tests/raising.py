"""Exceptions, and a function that raises them in another process, which finds this module by its plain name."""

from __future__ import annotations

from typing import Any

from realtime_sync.codec import decode_server_event
from realtime_sync.errors import (
    AuthenticationError,
    BudgetExceeded,
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    HandshakeError,
    InboxOverflow,
    InvalidEvent,
    RealtimeError,
    RealtimeTimeout,
    ResponseFailed,
    ServerError,
    SessionExpired,
)

SERVER = ServerError("no such item", type="invalid_request_error", code="not_found", param="item_id", event_id="ev_1")
DONE: Any = decode_server_event(
    b'{"type": "response.done", "response": {"id": "r", "status": "failed", "vendor": 1,'
    b' "output": [{"type": "message", "id": "i", "content": []}]}}'
)

EXAMPLES: list[RealtimeError] = [
    RealtimeError("root"),
    ConfigurationError("no key"),
    HandshakeError("refused", status=503, body="busy", request_id="req_1", retry_after_s=1.5),
    AuthenticationError("refused", status=401),
    RealtimeTimeout("late"),
    ConnectionClosed("closed", code=1000, reason="bye", error=SERVER),
    ConnectionLost("lost"),
    SessionExpired("over", code=1001, reason="expired", error=SERVER),
    InboxOverflow("too much", limit_bytes=10),
    InvalidEvent("wrong"),
    SERVER,
    ServerError(None),
    ResponseFailed("failed", status="failed", details={"reason": "x"}, response=DONE.response),
    BudgetExceeded("spent", cost=1.5, max_cost=1.0),
]


class Derived(InboxOverflow):
    """As a user might derive one, with another signature."""

    def __init__(self, where: str) -> None:
        super().__init__(f"overflow in {where}", limit_bytes=5)
        self.where = where


def fail(number: int) -> None:
    raise Derived("there") if number == len(EXAMPLES) else EXAMPLES[number]
