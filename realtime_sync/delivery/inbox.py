"""The queue between the reader thread and whoever dispatches, bounded by bytes."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from realtime_sync import _limits
from realtime_sync.events import SERVER_EVENTS, MalformedEvent, ServerEvent
from realtime_sync.events._media import AudioDelta

__all__ = ["EVENT_BYTES", "Inbox", "structure_bytes"]

Batch = Sequence[ServerEvent]

EVENT_BYTES: Final = 600
"""What an event takes in memory beside its text, about: the object, its fields, its place in the queues."""

_MOST_REMARKS: Final = 16

_NODE_BYTES: Final = 60
"""What a list, an object or a field takes in memory, about; on the wire it may be three bytes."""

_FLAT_BYTES: Final = 320
"""What a delta takes on the wire beside its content, at most, when it has no fields that are unknown."""

_DELTAS: Final[dict[type[ServerEvent], tuple[str, float]]] = {
    cls: ("_pcm", 4 / 3) if issubclass(cls, AudioDelta) else ("delta", 1.0)
    for name, cls in SERVER_EVENTS.items()
    if name.endswith(".delta")
}
"""Where a delta keeps its content, and how many bytes of the wire stand for one of that."""


def structure_bytes(events: Batch, texts: Sequence[bytes]) -> int:
    """What the structure of these messages takes in memory, about, beyond their texts and `EVENT_BYTES` for each."""
    if _DELTAS.keys() >= {*map(type, events)} and max(map(len, texts)) < _FLAT_BYTES:
        return 0
    total = 0
    for event, text in zip(events, texts, strict=True):
        known = _DELTAS.get(event.__class__)
        if known is not None:  # they come by the thousand, and nearly all are flat
            content = getattr(event, known[0])
            if content is not None and len(text) - len(content) * known[1] < _FLAT_BYTES:
                continue
        if event.__class__ is not MalformedEvent or isinstance(event.raw, dict):  # else it is kept as it came
            total += text.count(b"[") + text.count(b"{") + text.count(b",")
    return total * _NODE_BYTES


class Inbox:
    """Batches of events in the order of their arrival; one thread puts, one thread at a time takes.

    ``limit_bytes`` bounds the events that wait by what they take in memory, within a factor of 3: `EVENT_BYTES` for
    each, and what `put` is told. The bound is checked after a batch was stored: what has been received is never
    dropped. Raises `ConfigurationError` for a bound that is none.

    There is no lock of our own. Each of the counters has one writer (the reader, or the dispatcher's current thread),
    and the queue hands the batches over.
    """

    __slots__ = (
        "_arrived",
        "_put_bytes",
        "_queue",
        "_remarks",
        "_taken_bytes",
        "arrived",
        "average_bytes",
        "bells",
        "limit_bytes",
        "taken",
    )

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = _limits.size("inbox_limit_bytes", limit_bytes)
        self.average_bytes = 0
        """What an event of the batch counts for that was taken last."""
        self.arrived = 0
        """How many events have been put. Any thread."""
        self.taken = 0
        """How many of them have been taken."""
        self._queue: queue.SimpleQueue[tuple[Batch, int] | None] = queue.SimpleQueue()
        self._arrived: deque[tuple[Batch, int] | None] = deque()  # out of the queue, and not taken yet; one at most
        self._put_bytes = 0
        self._taken_bytes = 0
        self._remarks: deque[str] = deque(maxlen=_MOST_REMARKS)
        self.bells: set[threading.Event] = set()
        """Are rung when something has been put: of those who wait for several inboxes at once. Any thread."""

    @property
    def waiting_bytes(self) -> int:
        """What the events count for that nobody has taken yet."""
        return self._put_bytes - self._taken_bytes

    @property
    def waiting_batches(self) -> int:
        """About how many batches nobody has taken yet; never less when no other thread takes any."""
        return self._queue.qsize() + len(self._arrived)

    def put(self, events: Batch, size_bytes: int) -> bool:
        """Store a batch whose text and structure take ``size_bytes``; never blocks. False when the bound is now
        exceeded: put no more. Reader thread only."""
        size_bytes += EVENT_BYTES * len(events)
        self._put_bytes += size_bytes
        self.arrived += len(events)
        self._queue.put((events, size_bytes))
        if self.bells:
            self._ring()
        return self.waiting_bytes <= self.limit_bytes

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
        """Nothing more will come, unless whoever takes says `go_on`. Any thread, behind the last batch."""
        self._queue.put(None)
        self._ring()

    def go_on(self) -> None:
        """The end that `take` has come to is none: the events of another connection follow."""
        del self._arrived[0]

    def _ring(self) -> None:
        for bell in tuple(self.bells):
            bell.set()

    def wake(self) -> None:
        """Make a waiting `take` return at once with nothing. Any thread."""
        self._queue.put(((), 0))

    def take(self, pending: deque[ServerEvent], timeout_s: float) -> bool:
        """Move the next batch behind ``pending``, if one comes in time; False at the end, also when asked again.

        An interrupt (Ctrl-C) finds a batch either here or there: to take it out of the queue and to keep it is one call
        of C code, and behind that there is no call, after which one could come.
        """
        arrived = self._arrived
        if not arrived:
            how = ((True,), (timeout_s,)) if timeout_s > 0 else ((False,),)
            try:
                arrived.extend(map(self._queue.get, *how))
            except queue.Empty:
                return True
        batch = arrived[0]
        if batch is None:
            return False
        events, size_bytes = batch
        count = len(events)
        if count:
            average_bytes = size_bytes // count
            self.average_bytes = average_bytes
        pending += events
        self._taken_bytes += size_bytes
        self.taken += count
        del arrived[0]
        return True
