"""The measurements. Each runs in a fresh process: ``python -m benchmarks.measure WHAT ADDRESS CONTESTANT [NUMBER]...``.

Prints the result as JSON. Of the time, ``cpu`` is what all threads of this process used together.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from benchmarks.blaster import APPENDS, STAMPS, Order
from benchmarks.contestants import CONTESTANTS, Contestant
from benchmarks.recorded import AUDIO_DELTAS, DIFFERENT, TEXT_DELTAS
from benchmarks.startup import resident_bytes

PCM = bytes(range(240)) * 20  # 100 ms of 24 kHz s16le
STAMP_EVERY_S = 0.013  # no multiple of the 5 ms for which a thread keeps the interpreter: that would resonate
STREAM_EVERY_S = 0.2


def receive(address: str, contestant: str, kind: str, count: str, pause_s: str, looked_at: str) -> dict[str, float]:
    """Seconds for each event. ``looked_at`` is "sound" where the handler takes the PCM of each, else "nothing"."""
    client = _warm(address, contestant, kind, int(count), float(pause_s))
    look = client.pcm_of if looked_at == "sound" else None
    clock = _Clock()
    client.go()
    client.take(int(count), look)
    found = clock.each(int(count))
    client.close()
    return found


def append(address: str, contestant: str, count: str) -> dict[str, float]:
    """Seconds for each append of 100 ms, until the server has them all."""
    client = CONTESTANTS[contestant](address, Order(APPENDS, int(count)))
    for _ in range(2):
        clock = _Clock()
        client.append(PCM, int(count))
        client.take(1)
        found = clock.each(int(count))
    client.close()
    return found


def memory(address: str, contestant: str, count: str) -> dict[str, float]:
    """What each session after the first adds, in resident bytes and threads."""
    order = Order(TEXT_DELTAS, 1)
    clients = [CONTESTANTS[contestant](address, order)]
    first_bytes, threads = resident_bytes(), threading.active_count()
    clients += [CONTESTANTS[contestant](address, order) for _ in range(int(count))]
    further_bytes = resident_bytes() - first_bytes
    further_threads = threading.active_count() - threads
    for client in clients:
        client.close()
    return {"session_bytes": further_bytes / int(count), "session_threads": further_threads / int(count)}


def holding(address: str, contestant: str, kind: str, count: str) -> dict[str, float]:
    """Resident bytes for each event that is kept, and those of them that are not its text."""
    client = _warm(address, contestant, kind, int(count))
    before_bytes = resident_bytes()
    client.go()
    kept = list(islice(client.events(), int(count)))
    found = (resident_bytes() - before_bytes) / len(kept)
    client.close()
    text_bytes = statistics.fmean(sys.getsizeof(event.delta) for event in kept)
    return {"event_bytes": found, "beyond_bytes": found - text_bytes}


def latency(address: str, contestant: str, main_thread: str, count: str) -> dict[str, float]:
    """Seconds from the server's send to the user's code: on the main thread when that is ``idle``, on another when the
    main thread is ``busy`` computing without a pause."""
    client = CONTESTANTS[contestant](address, Order(STAMPS, int(count), STAMP_EVERY_S))
    late_s: list[float] = []

    def note(event: Any) -> None:
        now_ns = time.monotonic_ns()
        stamp = event["delta"] if isinstance(event, dict) else event.delta
        late_s.append((now_ns - int(stamp)) / 1e9)

    if main_thread == "busy":
        client.listen(note, int(count))
        client.go()
        while len(late_s) < int(count):
            sum(range(100))
    else:
        client.go()
        for event in islice(client.events(), int(count)):
            note(event)
    client.close()
    cuts = statistics.quantiles(late_s, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def many(address: str, contestant: str, sessions: str, count: str) -> dict[str, float]:
    """Many sessions at once, each receiving ``count`` audio deltas in real time on a consumer thread of its own."""
    order = Order(AUDIO_DELTAS, int(count), STREAM_EVERY_S)
    before_bytes = resident_bytes()
    clock = _Clock()
    clients = [CONTESTANTS[contestant](address, order) for _ in range(int(sessions))]
    connecting = clock.each(int(sessions))
    threads = threading.active_count() - 1
    heard = threading.Semaphore(0)
    for client in clients:
        client.listen(lambda _: heard.release(), int(count))
    clock = _Clock()
    for client in clients:
        client.go()
    for _ in range(int(sessions) * int(count)):
        heard.acquire()
    streaming = clock.each(1)
    added_bytes = resident_bytes() - before_bytes
    for client in clients:
        client.close()
    return {
        "threads": threads / int(sessions),
        "session_bytes": added_bytes / int(sessions),
        "connect_cpu": connecting["cpu"],
        "load": streaming["cpu"] / streaming["wall"],
    }


class _Clock:
    def __init__(self) -> None:
        self._cpu_ns, self._wall_ns = time.process_time_ns(), time.perf_counter_ns()

    def each(self, count: int) -> dict[str, float]:
        """Seconds since, for each of ``count``."""
        cpu_ns, wall_ns = time.process_time_ns() - self._cpu_ns, time.perf_counter_ns() - self._wall_ns
        return {"cpu": cpu_ns / 1e9 / count, "wall": wall_ns / 1e9 / count}


def _warm(address: str, contestant: str, kind: str, count: int, pause_s: float = 0.0) -> Contestant:
    """A client whose process has seen events of this kind before, on another connection."""
    first = CONTESTANTS[contestant](address, Order(kind, DIFFERENT))
    first.go()
    first.take(DIFFERENT)
    first.close()
    return CONTESTANTS[contestant](address, Order(kind, count, pause_s))


MEASUREMENTS: dict[str, Callable[..., dict[str, float]]] = {
    "receive": receive,
    "append": append,
    "memory": memory,
    "holding": holding,
    "latency": latency,
    "many": many,
}

if __name__ == "__main__":
    import json

    print(json.dumps(MEASUREMENTS[sys.argv[1]](*sys.argv[2:])))
