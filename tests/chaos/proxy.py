"""A proxy between client and server that splits, delays and holds what passes, and breaks connections on command."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from collections import Counter
from contextlib import suppress
from time import monotonic
from typing import Final, NamedTuple
from urllib.parse import urlsplit

__all__ = ["DOWN", "UP", "ChaosProxy", "Fault"]

UP, DOWN = 0, 1
"""Directions: to the server, to the client."""

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_POLL_S: Final = 0.05
_STALL_S: Final = 3.0  # of a client that does not give up
_MOST_DELAY_S: Final = 0.004
_HOLD_S: Final = 0.1


class Fault(NamedTuple):
    """What is to happen once so many bytes more have passed in a direction.

    ``cut`` ends the connection, ``reset`` does so by a TCP reset, ``stall`` lets nothing more pass in this direction
    until the client gives up; ``refuse`` cuts the next connection before anything was said.
    """

    kind: str
    direction: int = UP
    after_bytes: int = 0


class ChaosProxy:
    """Listens on loopback and passes on to the server at ``base_url``. The same seed delays and splits in the same
    way, as far as the bytes come in the same pieces. `arm` may be called from any thread."""

    def __init__(self, base_url: str, seed: int) -> None:
        url = urlsplit(base_url)
        assert url.hostname
        assert url.port
        self._server = (url.hostname, url.port)
        self._seed = seed
        self.happened: Counter[str] = Counter()
        """What was done so far, by its kind."""
        self.connections = 0
        """How many connections were passed on."""
        self._lock = threading.Lock()  # guards the faults, and the count of those that happened
        self._faults: list[Fault] = []
        self._links: list[_Link] = []
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_POLL_S)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{url.path}"
        self._thread = threading.Thread(target=self._listen, name="chaos-listener")
        self._thread.start()

    def arm(self, *faults: Fault) -> None:
        """Let these happen, one after the other, in the place of what has not happened yet."""
        with self._lock:
            self._faults = [*faults]

    def close(self) -> None:
        """End all connections and threads."""
        self._closing.set()
        self._thread.join()
        self._listener.close()
        for link in self._links:
            link.join()

    def __enter__(self) -> ChaosProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self._refuses():
                client.close()
                continue
            try:
                server = socket.create_connection(self._server, 5)
            except OSError:
                client.close()
                continue
            self.connections += 1
            self._links = [link for link in self._links if link.is_alive()]
            self._links.append(_Link(self, client, server, random.Random(f"{self._seed} {self.connections}")))

    def _refuses(self) -> bool:
        with self._lock:
            if not self._faults or self._faults[0].kind != "refuse":
                return False
            self._happen_locked()
            return True

    def passing(self, direction: int, size_bytes: int) -> tuple[int, str | None]:
        """How many of these bytes may pass, and what happens behind them."""
        with self._lock:
            fault = self._faults[0] if self._faults else None
            if fault is None or fault.kind == "refuse" or fault.direction != direction:
                return size_bytes, None
            if fault.after_bytes > size_bytes:
                self._faults[0] = fault._replace(after_bytes=fault.after_bytes - size_bytes)
                return size_bytes, None
            self._happen_locked()
            return fault.after_bytes, fault.kind

    def _happen_locked(self) -> None:
        self.happened[self._faults.pop(0).kind] += 1

    @property
    def closing(self) -> bool:
        return self._closing.is_set()


class _Link(threading.Thread):
    """One connection and the thread that carries it."""

    def __init__(self, proxy: ChaosProxy, client: socket.socket, server: socket.socket, dice: random.Random) -> None:
        super().__init__(name="chaos-link", daemon=True)
        self._proxy = proxy
        self._dice = dice
        self._ends = (client, server)  # what is read in direction UP, and in direction DOWN
        self._waiting = [b"", b""]  # by direction
        self._ready_at = [0.0, 0.0]
        self._stalled: int | None = None  # the direction in which nothing passes any more,
        self._until = 0.0  # and when the connection ends for that
        self.start()

    def run(self) -> None:
        client, server = self._ends
        for end in self._ends:
            end.settimeout(_STALL_S)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while not self._proxy.closing and self._carry():
                pass
        except OSError:  # one side has gone
            pass
        for end in (client, server):
            with suppress(OSError):
                end.close()

    def _carry(self) -> bool:
        """Pass on what is due, and take in what has come; false at the end of the connection."""
        now = monotonic()
        if self._stalled is not None:
            self._waiting[self._stalled] = b""  # it is read all the same, so that the end is seen
            if now >= self._until:
                return False
        for direction in (UP, DOWN):
            if self._waiting[direction] and now >= self._ready_at[direction] and not self._pass_on(direction):
                return False
        readable = [self._ends[d] for d in (UP, DOWN) if not self._waiting[d]]
        due = [self._ready_at[d] - now for d in (UP, DOWN) if self._waiting[d]]
        for end in select.select(readable, [], [], max(0.0, min([_POLL_S, *due])))[0]:
            direction = self._ends.index(end)
            data = end.recv(1 << 16)
            if not data:
                return False
            self._waiting[direction] = data
            self._ready_at[direction] = monotonic() + self._delay_s()
        return True

    def _delay_s(self) -> float:
        chance = self._dice.random()
        if chance < 0.01:
            self._proxy.happened["hold"] += 1
            return _HOLD_S
        if chance < 0.3:
            self._proxy.happened["delay"] += 1
            return self._dice.uniform(0, _MOST_DELAY_S)
        return 0.0

    def _pass_on(self, direction: int) -> bool:
        """Send all that waits, or a piece of it; false when that breaks the connection."""
        data = self._waiting[direction]
        if len(data) > 1 and self._dice.random() < 0.2:
            self._proxy.happened["split"] += 1
            data = data[: self._dice.randrange(1, len(data))]
        size_bytes, fault = self._proxy.passing(direction, len(data))
        self._ends[not direction].sendall(data[:size_bytes])
        self._waiting[direction] = self._waiting[direction][size_bytes:]
        if fault == "stall":
            self._stalled, self._until = direction, monotonic() + _STALL_S
            return True
        if fault == "reset":
            for end in self._ends:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        return fault is None
