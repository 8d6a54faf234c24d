"""The configuration as this side has asked for it, to ask for it again."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from realtime_sync.codec import object_to_dict
from realtime_sync.events import Family, TranscriptionSessionUpdate
from realtime_sync.events.family import content_field
from realtime_sync.sending.acks import Ack

__all__ = ["AskedFor", "merged_update"]

_WHOLE: Final = frozenset({"noise_reduction", "prompt", "reasoning", "tool_choice", "tracing", "truncation", "tools"})
"""Options that are replaced as they are given; the others are changed field by field."""


class AskedFor:
    """What the updates that were sent come to, without those that were refused. Any thread."""

    def __init__(self, family: Family) -> None:
        self._kinds = (family.update, TranscriptionSessionUpdate)
        self._lock = threading.Lock()  # guards all below
        self._type: str | None = None
        self._field = ""
        self._merged: dict[str, Any] = {}
        self._open: deque[Ack[Any]] = deque()  # neither confirmed nor refused when last looked at

    def note(self, ack: Ack[Any]) -> None:
        """A message is about to be sent; it may change the configuration."""
        if type(ack.event) in self._kinds:
            with self._lock:
                self._open.append(ack)
                while self._open and self._open[0].done:
                    self._merge_locked(self._open.popleft())

    def update(self) -> dict[str, Any] | None:
        """The event, as JSON, that asks for all of it at once; ``None`` when nothing was asked for. What is neither
        confirmed nor refused is left out, as it is sent again by itself, but for what hardly will be."""
        with self._lock:
            for ack in [ack for ack in self._open if ack.done or ack._late]:
                self._open.remove(ack)
                self._merge_locked(ack)
            return None if self._type is None else {"type": self._type, self._field: self._merged}

    def _merge_locked(self, ack: Ack[Any]) -> None:
        if ack._error is None:
            self._type, self._field = ack.event.TYPE, content_field(type(ack.event))
            news = object_to_dict(getattr(ack.event, self._field))
            self._merged = merged_update(self._merged, news)


def merged_update(known: Any, news: Mapping[str, Any]) -> dict[str, Any]:
    """One configuration that says what ``known`` and then ``news`` say."""
    merged: dict[str, Any] = dict(known) if isinstance(known, Mapping) else {}
    for name, value in news.items():
        before = merged.get(name)
        same = isinstance(before, Mapping) and isinstance(value, Mapping) and before.get("type") == value.get("type")
        other_parts = same and name not in _WHOLE
        merged[name] = merged_update(before, value) if other_parts else value
    return merged
