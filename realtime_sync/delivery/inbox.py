"""The queue between the reader thread and whoever dispatches, bounded by bytes."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from realtime_sync import _limits
from realtime_sync.events import SERVER_EVENTS, MalformedEvent, ServerEvent

__all__ = ["END", "EVENT_BYTES", "Header", "Inbox", "structure_bytes"]

EVENT_BYTES: Final = 600
"""What an event takes beside its text, about: the object, its fields, its place in the queues."""


_NODE_BYTES: Final = 60
"""What a list, an object or a field takes in memory, about; on the wire it may be three bytes."""

_FLAT: Final = frozenset(cls for name, cls in SERVER_EVENTS.items() if name.endswith(".delta"))


def structure_bytes(event: ServerEvent, text: bytes) -> int:
    """What the structure of a message takes beyond its text, and beyond `EVENT_BYTES`."""
    if event.__class__ in _FLAT and not event.extra:  # by the thousand, and all of one form
        return 0
    if isinstance(event, MalformedEvent) and isinstance(event.raw, (str, bytes)):  # kept as it came
        return 0
    return _NODE_BYTES * (text.count(b"[") + text.count(b"{") + text.count(b","))


class Header:
    """Stands before a batch of events. All counts are of all batches so far, so that they can be noted twice."""

    __slots__ = ("after_bytes", "before_bytes", "each_bytes")

    def __init__(self, before_bytes: int, after_bytes: int, each_bytes: int) -> None:
        self.before_bytes = before_bytes
        """What was put before the batch."""
        self.after_bytes = after_bytes
        """The same with the batch."""
        self.each_bytes = each_bytes
        """The average size of its events."""


class _End:
    """Stands behind the last event."""


END: Final = _End()


class Inbox:
    """Events in the order of their arrival; one thread puts, one thread at a time takes.

    ``limit_bytes`` bounds the events that wait: their text as it came over the wire, `EVENT_BYTES` for each, and what
    `put` is told of their structure: about what they take in memory, within a factor of 3. The bound is checked after a
    batch was stored: what has been received is never dropped. Raises `ConfigurationError` for a bound that is none.

    There is no lock of our own. Each of the two byte counters has one writer (the reader, the dispatcher's current
    thread), and the queue hands the batches over.
    """

    __slots__ = ("_put_bytes", "_queue", "_taken_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = _limits.size("inbox_limit_bytes", limit_bytes)
        self._queue: queue.SimpleQueue[Sequence[Any]] = queue.SimpleQueue()
        self._put_bytes = 0
        self._taken_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """Size of the events that nobody has consumed yet."""
        return self._put_bytes - self._taken_bytes

    def put(self, events: Sequence[ServerEvent], size_bytes: int) -> bool:
        """Store a batch whose text has ``size_bytes``; never blocks. False when the bound is now exceeded: put no more.
        Reader thread only."""
        if not events:
            return True
        before_bytes = self._put_bytes
        size_bytes += EVENT_BYTES * len(events)
        self._put_bytes += size_bytes
        self._queue.put((Header(before_bytes, self._put_bytes, size_bytes // len(events)), *events))
        return self._put_bytes - self._taken_bytes <= self.limit_bytes

    def end(self) -> None:
        """Nothing more will come. Reader thread only."""
        self._queue.put((END,))

    def wake(self) -> None:
        """Make a waiting `take` return at once with nothing. Any thread."""
        self._queue.put(())

    def take(self, pending: deque[Any], timeout_s: float) -> None:
        """Move the next batch behind ``pending``: a `Header` and its events, or `END`. Nothing when none came in time.

        Taking and keeping are one call into C: an interrupt (Ctrl-C) finds the batch here or there.
        """
        how = ((True,), (timeout_s,)) if timeout_s > 0 else ((False,),)
        try:
            pending.extend(chain.from_iterable(map(self._queue.get, *how)))
        except queue.Empty:
            return

    def consumed(self, total_bytes: int) -> None:
        """Of all that was ever put, ``total_bytes`` do not wait any more."""
        self._taken_bytes = total_bytes
