"""The results as markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.contestants import BARE, OPENAI, OURS

Result = Mapping[str, float]

_PACKAGES = ("openai", "websockets", "websocket-client", "orjson", "cattrs")


def times(found: Mapping[str, Mapping[str, Result]]) -> str:
    """What one event costs each contestant, with the ratios to ``openai`` and to the bare loop."""
    rows = []
    for what, contestants in found.items():
        for contestant, result in contestants.items():
            cpu_s = result["cpu"]
            against = f"{contestants[OPENAI]['cpu'] / cpu_s:.1f}x"
            above = f"{cpu_s / contestants[BARE]['cpu']:.1f}x"
            rows.append((what, contestant, _us(cpu_s), _us(result["wall"]), against, above))
    return _table(("one", "with", "CPU, us", "wall, us", "faster than openai", "bare loop's cost"), rows)


def footprint(found: Mapping[str, Mapping[str, Result]]) -> str:
    """What else it takes, next to ``openai``."""
    rows = []
    for (what, key), (title, shown) in FOOTPRINT.items():
        ours, theirs, bare = (found[what].get(contestant, {}).get(key) for contestant in (OURS, OPENAI, BARE))
        assert ours is not None
        assert theirs is not None
        ratio = f"{theirs / ours:.1f}x" if ours else ""
        rows.append((title, shown(ours), shown(theirs), shown(bare) if bare else "", ratio))
    return _table(("what", OURS, OPENAI, BARE, "openai / realtime_sync"), rows)


def machine(runs: int) -> str:
    """One line on what was measured, and on what."""
    packages = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{_processor()}, {os.cpu_count()} processors, {platform.system()}"
    return f"{system}; {python}; {packages}; medians of {runs} runs."


def page(machine: str, times: str, footprint: str) -> str:
    """docs/benchmarks.md."""
    return _PAGE.format(machine=machine, times=times, footprint=footprint)


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.2f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _kib(size_bytes: float) -> str:
    return f"{size_bytes / 1024:.0f} KiB"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"


def _bytes(size_bytes: float) -> str:
    return f"{size_bytes:.0f} bytes"


def _number(value: float) -> str:
    return f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


STARTUP = "startup"
MEMORY = "a further session"
HOLDING = "a text delta that is kept"
IDLE = "server's send to handler, idle"
BUSY = "server's send to handler, main thread computing"
MANY = "many at once in speech"

FOOTPRINT: dict[tuple[str, str], tuple[str, Callable[[float], str]]] = {
    (STARTUP, "import_cpu"): ("import, CPU", _ms),
    (STARTUP, "import_wall"): ("import, wall", _ms),
    (STARTUP, "open_cpu"): ("import and connect, CPU", _ms),
    (STARTUP, "open_wall"): ("import and connect, wall", _ms),
    (STARTUP, "first_bytes"): ("memory of a process with one session", _mib),
    (MEMORY, "session_bytes"): (f"{MEMORY}: memory", _kib),
    (MEMORY, "session_threads"): (f"{MEMORY}: threads", _number),
    (HOLDING, "event_bytes"): (HOLDING, _bytes),
    (IDLE, "p50"): (f"{IDLE}, p50", _ms),
    (IDLE, "p99"): (f"{IDLE}, p99", _ms),
    (BUSY, "p50"): (f"{BUSY}, p50", _ms),
    (BUSY, "p99"): (f"{BUSY}, p99", _ms),
    (MANY, "connect_cpu"): (f"{MANY}: CPU to connect one", _ms),
    (MANY, "threads"): (f"{MANY}: threads of one", _number),
    (MANY, "session_bytes"): (f"{MANY}: memory of one", _kib),
    (MANY, "load"): (f"{MANY}: load of all", _percent),
}
"""Measurement and which of its numbers -> how the row is called and the number shown."""


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, rule, *rows)
    )
    return "\n".join(f"| {line} |" for line in lines)


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


_PAGE = """\
# Benchmarks

What an event costs with realtime_sync, side by side with the synchronous client of the `openai` package and with less
comfortable ways, all in one run. This page is written by the program that measures; to measure again:

    make bench                        # prints the tables
    make bench ARGS=--quick           # rougher, in a minute
    make bench ARGS=--write           # renews this page

{machine}

## One event, one append

A server in a process of its own sends WebSocket frames that were made beforehand, as fast as they are taken. CPU is
the time of all threads of the client's process, wall the time until the last event has arrived. Contestants take turns,
each time in a fresh process and after a warm-up; every number is the median of the runs.

- **realtime_sync**: typed events, delivered to a registered handler by `session.run()`; **iterated**: by
  `for event in session`.
- **openai**: `OpenAI().realtime.connect()`, typed events by iteration; as it is installed.
- **websocket-client, buffered + orjson**: that library on a socket that reads ahead, no thread, plain dicts.
- **bare socket loop + orjson**: the floor. Finds the frames of this server and nothing else, plain dicts.

The text delta has 0.2 kB; the audio delta 200 ms of PCM16, 12.8 kB in base64; the `response.done` ten items, 4.4 kB.
The mix is a spoken turn as it comes over the wire: transcripts, audio, items, responses. For an append the CPU time of
the client includes the base64 and the masking. Of an audio delta, what the bare loop needs is nearly all there is: the
kernel's copy and the JSON parser. A `response.done` with realtime_sync includes keeping the conversation and the usage.

{times}

## Start, memory, delay

The memory of the bare loop's process is that of an interpreter which has imported nothing. A kept text delta is the
memory that one of thousands takes in a list. The delays are from the moment before the server's `send` to the handler;
with the main thread computing without a pause, the handler runs on another thread (`session.start()`), and what is
measured is mostly Python's switch interval of 5 ms. Of the many sessions (500 in one process), each receives an audio
delta every 200 ms and has a consumer thread (`session.start()`; for `openai` one that iterates); threads are counted
without these.

{footprint}
"""
