"""What there is to say against the clients of a server, and against its script, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from realtime_sync.local.faults import Faults
from realtime_sync.local.records import RefusedEvent
from realtime_sync.local.replies import Replies, Transcripts
from realtime_sync.local.request import Request

__all__ = ["leftovers_of", "wrongs"]

_BENIGN: Final = frozenset({"response_cancel_not_active"})
"""A cancel may always cross the end of its response: no fault of the client."""


class _Scripted(Protocol):
    @property
    def replies(self) -> Replies | None: ...

    @property
    def transcripts(self) -> Transcripts | None: ...


def wrongs(refusals: Iterable[RefusedEvent], failures: Iterable[BaseException]) -> list[str]:
    """What clients did wrong, and what has failed."""
    refused = [f"refused: {entry}" for entry in refusals if entry.code not in _BENIGN]
    return refused + [f"failed: {type(error).__name__}: {error}" for error in failures]


def leftovers_of(server: _Scripted, requests: Sequence[Request], faults: Faults) -> list[str]:
    """What was scripted, for the server or for a connection of it, and has not come to pass."""
    left = []
    owners: list[tuple[str, _Scripted, Faults]] = [("", server, faults)]
    owners += [(f" of connection #{request.number}", request, request.faults) for request in requests]
    for of, owner, waiting in owners:
        for script in (owner.replies, owner.transcripts):
            left += [f"not used{of}: {entry!r}" for entry in (script.left if script is not None else ())]
        left += [f"has not happened{of}: {fault}" for fault in waiting.left()]
    return left
