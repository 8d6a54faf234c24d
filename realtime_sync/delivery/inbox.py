"""The queue between the reader thread and whoever dispatches, bounded by bytes."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from realtime_sync import _limits
from realtime_sync.events.base import ServerEvent

__all__ = ["Inbox"]

Batch = Sequence[ServerEvent]

_MOST_REMARKS: Final = 16


class Inbox:
    """Batches of events in the order of their arrival; one thread puts, one thread at a time takes.

    ``limit_bytes`` bounds the text of the events that wait, as it came over the wire. The bound is checked after a
    batch was stored: what has been received is never dropped. Raises `ConfigurationError` for a bound that is none.

    There is no lock of our own. Each of the two byte counters has one writer (the reader, the dispatcher's current
    thread), and the queue hands the batches over.
    """

    __slots__ = ("_put_bytes", "_queue", "_remarks", "_taken_bytes", "bells", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = _limits.size("inbox_limit_bytes", limit_bytes)
        self._queue: queue.SimpleQueue[tuple[Batch, int] | None] = queue.SimpleQueue()
        self._put_bytes = 0
        self._taken_bytes = 0
        self._remarks: deque[str] = deque(maxlen=_MOST_REMARKS)
        self.bells: set[threading.Event] = set()
        """Are rung when something has been put: of those who wait for several inboxes at once. Any thread."""

    @property
    def waiting_bytes(self) -> int:
        """Size on the wire of the events that nobody has taken yet."""
        return self._put_bytes - self._taken_bytes

    @property
    def waiting_batches(self) -> int:
        """About how many batches nobody has taken yet; never less when no other thread takes any."""
        return self._queue.qsize()

    def put(self, events: Batch, size_bytes: int) -> bool:
        """Store a batch; never blocks. False when the bound is now exceeded: put no more. Reader thread only."""
        self._put_bytes += size_bytes
        self._queue.put((events, size_bytes))
        if self.bells:
            self._ring()
        return self._put_bytes - self._taken_bytes <= self.limit_bytes

    def remark(self, text: str) -> None:
        """Say something about the events of the next batch; only the latest remarks are kept. Reader thread only."""
        self._remarks.append(text)

    def remarks(self) -> list[str]:
        """What was said about the events that were taken since this was last asked, and perhaps about further ones."""
        said = []
        with suppress(IndexError):
            while True:
                said.append(self._remarks.popleft())
        return said

    def end(self) -> None:
        """Nothing more will come. Reader thread only."""
        self._queue.put(None)
        self._ring()

    def _ring(self) -> None:
        for bell in tuple(self.bells):
            bell.set()

    def wake(self) -> None:
        """Make a waiting `take` return at once with nothing. Any thread."""
        self._queue.put(((), 0))

    def take(self, timeout_s: float) -> tuple[Batch, int] | None:
        """The next batch and its size in bytes, ``None`` at the end, an empty batch when nothing came in time."""
        try:
            taken = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return (), 0
        if taken is not None:
            self._taken_bytes += taken[1]
        return taken
