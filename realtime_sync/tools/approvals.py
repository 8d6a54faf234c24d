"""Decides on the calls of hosted MCP tools, as the user's hook says."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from realtime_sync.events import McpApprovalRequest
from realtime_sync.tools.rounds import ToolRound
from realtime_sync.tools.workers import Workers

__all__ = ["Approvals", "Decide", "verdict"]

Decide = Callable[[McpApprovalRequest], "bool | tuple[bool, str]"]
"""Whether a call of a hosted tool is approved; and if not why, for the model."""

_log = logging.getLogger("realtime_sync")


def verdict(given: Any) -> tuple[bool, str]:
    """What a hook for approvals has said, and why. Raises `TypeError` for what will be known only later."""
    approved, reason = given if isinstance(given, tuple) else (given, None)
    if inspect.isawaitable(approved):  # it is true, whatever comes of it
        raise TypeError("the decision is not there yet: approve with a plain function, not an async one")
    return bool(approved), "" if reason is None else str(reason).encode("utf-8", "replace").decode()


class Approvals:
    """Has each request decided by ``decide``, on one of ``workers``; what cannot be decided is declined. ``answer``
    sends the answer to a request of a round, which is an item as JSON; ``close`` is called once for each request, after
    that."""

    def __init__(
        self,
        workers: Workers,
        decide: Decide,
        answer: Callable[[ToolRound, Mapping[str, Any]], object],
        close: Callable[[ToolRound], object],
    ) -> None:
        self._workers = workers
        self._by_user = decide
        self._answer = answer
        self._close = close

    def offer(self, request: McpApprovalRequest, found: ToolRound) -> None:
        """Have a request of a round decided."""

        def decline(reason: str) -> None:
            self._decide(found, request, lambda _: (False, reason))

        if not self._workers.submit(
            lambda: self._decide(found, request, self._by_user),
            lambda _: decline("no thread could be started to decide it"),
        ):
            decline("too many requests wait already")

    def _decide(self, found: ToolRound, request: McpApprovalRequest, decide: Decide) -> None:
        approved, reason = False, "the request could not be decided"
        try:
            approved, reason = verdict(decide(request))
        except Exception:
            _log.exception("the decision on a call of %s failed", request.name)
        finally:
            item = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": approved}
            try:
                if found.follows:
                    self._answer(found, {**item, "reason": reason} if reason else item)
            finally:
                self._close(found)
