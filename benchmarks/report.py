"""The results as markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.contestants import BARE, OPENAI, OURS, OURS_ITERATED, OURS_STARTED
from benchmarks.recorded import AUDIO_DELTAS, RESPONSES, TEXT_DELTAS

Result = Mapping[str, float]
Found = Mapping[str, Mapping[str, Result]]
"""Row -> contestant -> what was measured."""

TCP = "TCP"
TLS = "TLS"

_PACKAGES = ("openai", "websockets", "websocket-client", "orjson", "pybase64")


def row(kind: str, layer: str, look: str = "nothing") -> str:
    """What a row is called."""
    return f"{kind}{' -> PCM' if look == 'sound' else ''}, {layer}"


def short(flood: Found, paced: Found, footprint: Found) -> str:
    """How many times as much each thing costs with ``openai``."""

    def ratio(of: Mapping[str, Result], number: str = "cpu", ours: str = OURS) -> str:
        return f"{of[OPENAI][number] / of[ours][number]:.1f}x"

    def both(title: str, found: Found, kind: str, look: str = "nothing", ours: str = OURS) -> tuple[str, ...]:
        return (title, *(ratio(found[row(kind, layer, look)], ours=ours) for layer in (TCP, TLS)))

    return _table(
        ("openai / realtime_sync, CPU", TCP, TLS),
        [
            both("flood: audio delta, PCM in the handler", flood, AUDIO_DELTAS, "sound"),
            both("flood: audio delta, never looked at", flood, AUDIO_DELTAS),
            both("flood: text delta", flood, TEXT_DELTAS),
            both("flood: text delta, iterated", flood, TEXT_DELTAS, ours=OURS_ITERATED),
            both("flood: response.done, ten items", flood, RESPONSES),
            both("flood: response.done, ten items, start()", flood, RESPONSES, ours=OURS_STARTED),
            both("append of 100 ms", flood, "append of 100 ms of audio"),
            both("one each 2 ms: text delta", paced, TEXT_DELTAS),
            both("one each 2 ms: audio delta, PCM in the handler", paced, AUDIO_DELTAS, "sound"),
            ("import", ratio(footprint[STARTUP], "import_cpu"), ""),
            ("import and first connect", ratio(footprint[STARTUP], "open_cpu"), ""),
            ("memory of a kept text delta beyond its text", ratio(footprint[HOLDING], "beyond_bytes"), ""),
            ("many sessions in speech", ratio(footprint[MANY], "load"), ""),
        ],
    )


def times(found: Found) -> str:
    """What one event costs each contestant, with the ratios to ``openai`` and to the bare loop."""
    rows = []
    for what, contestants in found.items():
        for contestant, result in contestants.items():
            cpu_s = result["cpu"]
            against = f"{contestants[OPENAI]['cpu'] / cpu_s:.1f}x"
            above = f"{cpu_s / contestants[BARE]['cpu']:.1f}x"
            rows.append((what, contestant, _us(cpu_s), _us(result["wall"]), against, above))
    return _table(("one", "with", "CPU, us", "wall, us", "faster than openai", "bare loop's cost"), rows)


def footprint(found: Found) -> str:
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


def page(machine: str, flood: Found, paced: Found, found: Found) -> str:
    """docs/benchmarks.md."""
    return _PAGE.format(
        machine=machine,
        short=short(flood, paced, found),
        flood=times(flood),
        paced=times(paced),
        footprint=footprint(found),
    )


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
    (HOLDING, "beyond_bytes"): (f"{HOLDING}, beyond its text", _bytes),
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

    make bench                        # prints the tables, in five minutes
    make bench ARGS=--quick           # rougher, in one
    make bench ARGS=--write           # renews this page

{machine}

## In short

{short}

Two things are measured, and they differ much. In a **flood** the server sends as fast as the client takes: many
events come with one read of the socket, and one wake-up of the user's thread serves them all. So it shows what the
code costs for each event. A model speaks faster than real time, so the beginning of an answer is a flood in fact. At
a **real pace**, here one event each 2 ms, every event comes alone, and most of its cost is the system's: a wake-up of
the reader, one of the user's thread, the reads between. No client gets below the bare loop there, which has one
thread and does nothing but read and parse. A session that talks gets ten to fifty events a second: either client is
then nearly idle, and what the user feels is the delay (below), memory, and the number of sessions that one process
can serve.

## A flood

A server in a process of its own sends WebSocket frames that were made beforehand, as fast as they are taken; no id of
an event or of a response comes twice. CPU is the time of all threads of the client's process, wall the time until the
last event has arrived. Contestants take turns, each time in a fresh process and after a warm-up; every number is the
median of the runs. TLS is 1.3 with Python's own `ssl` on both sides.

- **realtime_sync**: typed events, delivered to a registered handler by `session.run()`; **iterated**: by `for event
  in session`; **start()**: to a handler on the thread of `session.start()`.
- **openai**: `OpenAI().realtime.connect()`, typed events by iteration; as it is installed.
- **websocket-client, buffered + orjson**: that library on a socket that reads ahead, no thread, plain dicts.
- **bare socket loop + orjson**: as little Python as there can be. Finds the frames of this server and nothing else,
  plain dicts, and for sound the base64 of the standard library.

The text delta has 0.2 kB; the audio delta 200 ms of PCM16, 12.8 kB in base64; the `response.done` ten items, 4.4 kB,
which are known from before, as a server announces each. With **-> PCM** the handler takes the bytes of the sound:
`event.delta_bytes`, elsewhere `base64.b64decode`. The mix is a spoken turn as it comes over the wire: transcripts,
audio, new items, responses. For an append the CPU time of the client includes the base64 and the masking. What
realtime_sync does with a `response.done` includes keeping the conversation and the usage, and on the main thread two
changes of threads, so that Ctrl-C cannot cut that in two (docs/architecture.md); with `start()` there are none.

The limit: to copy the 12.8 kB of an audio delta out of the kernel takes 2 us on this kind of machine, to decrypt them
3 us (AES-256-GCM) and with Python's `ssl` around it 6 to 7, to decode the base64 1 us. So for PCM about 5 us over TCP
and 11 us over TLS is what can be reached from Python; the bare loop is above that because it makes a text of the
base64 first.

{flood}

## A real pace

The same, with one event each 2 ms. The number is what one event costs, all threads, sleeping not counted.

{paced}

## Start, memory, delay

The import alone loads little, since events and session are loaded on first use; "import and connect" has all of it. The
memory of the bare loop's process is that of an interpreter which has imported nothing. A kept text delta is the
memory that one of thousands takes in a list. The delays are from the moment before the server's `send`, one each 13 ms,
to the handler; with the main thread computing without a pause, the handler runs on another thread (`session.start()`),
and what is measured is mostly Python's switch interval of 5 ms. Of the many sessions (500 in one process), each
receives an audio delta every 200 ms and has a consumer thread (`session.start()`; for `openai` one that iterates);
threads are counted without these.

{footprint}
"""
