"""The whole comparison. Contestants take turns, run after run: what else the machine does then meets all of them."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from benchmarks.contestants import BARE, CONTESTANTS, OPENAI, OURS, OURS_ITERATED
from benchmarks.recorded import AUDIO_DELTAS, MIX, RESPONSES, TEXT_DELTAS
from benchmarks.report import BUSY, HOLDING, IDLE, MANY, MEMORY, STARTUP

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "benchmarks.md"
_DEADLINE_S = 600

Result = dict[str, float]


class Size(NamedTuple):
    """How much is measured; what is counted in ``stamps`` and ``streamed`` comes in real time."""

    runs: int
    events: int
    stamps: int
    streamed: int
    sessions: int


FULL = Size(runs=7, events=10_000, stamps=200, streamed=25, sessions=500)
QUICK = Size(runs=3, events=2_000, stamps=40, streamed=10, sessions=50)


class Bench:
    """Runs measurements against one blaster."""

    def __init__(self, address: str, size: Size) -> None:
        self._address = address
        self._size = size

    def times(self) -> dict[str, dict[str, Result]]:
        events = self._size.events
        found = {
            kind: self._compare("receive", CONTESTANTS, kind, events)
            for kind in (TEXT_DELTAS, AUDIO_DELTAS, RESPONSES, MIX)
        }
        senders = [contestant for contestant in CONTESTANTS if contestant != OURS_ITERATED]
        found["append of 100 ms of audio"] = self._compare("append", senders, events)
        return found

    def footprint(self) -> dict[str, dict[str, Result]]:
        size, two, three = self._size, (OURS, OPENAI), (OURS, OPENAI, BARE)
        return {
            STARTUP: self._compare(STARTUP, three),
            MEMORY: self._compare("memory", two, max(1, size.sessions // 10)),
            HOLDING: self._compare("holding", two, TEXT_DELTAS, size.events),
            IDLE: self._compare("latency", three, "idle", size.stamps),
            BUSY: self._compare("latency", three, "busy", size.stamps),
            # Once is enough of this: it averages over all sessions.
            MANY: {contestant: self._once("many", contestant, size.sessions, size.streamed) for contestant in two},
        }

    def _compare(self, what: str, contestants: Iterable[str], *numbers: object) -> dict[str, Result]:
        """The median of each number of a measurement, for each contestant."""
        found: dict[str, list[Result]] = {contestant: [] for contestant in contestants}
        for _ in range(self._size.runs):
            for contestant, results in found.items():
                results.append(self._once(what, contestant, *numbers))
        return {contestant: _medians(results) for contestant, results in found.items()}

    def _once(self, what: str, contestant: str, *numbers: object) -> Result:
        program = ["benchmarks.startup"] if what == STARTUP else ["benchmarks.measure", what]
        command = [sys.executable, "-m", *program, self._address, contestant, *map(str, numbers)]
        # Installed packages are compiled; ours, in the source tree, must be allowed to be.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(
            command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, timeout=_DEADLINE_S, check=True
        )
        found: Result = json.loads(done.stdout)
        return found


def _medians(results: list[Result]) -> Result:
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


@contextmanager
def _blaster() -> Iterator[str]:
    """The address of a blaster, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.blaster"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()  # which ends it


def _allow_descriptors() -> None:
    """Raise the limit of open files as far as it goes, for the blaster and the clients: hundreds of sockets each."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare the cost of an event.")
    parser.add_argument("--quick", action="store_true", help="fewer runs of fewer events: rougher numbers, sooner")
    parser.add_argument("--write", action="store_true", help=f"put the results into {_PAGE.relative_to(_ROOT)} too")
    for name in Size._fields:
        parser.add_argument(f"--{name}", type=int, help=f"instead of {getattr(FULL, name)}")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    given = {name: value for name in Size._fields if (value := getattr(arguments, name)) is not None}
    size = (QUICK if arguments.quick else FULL)._replace(**given)
    _allow_descriptors()
    with _blaster() as address:
        bench = Bench(address, size)
        machine = report.machine(size.runs)
        print(f"{machine}\n", flush=True)
        times = report.times(bench.times())
        print(f"{times}\n", flush=True)
        footprint = report.footprint(bench.footprint())
        print(footprint)
    if arguments.write:
        _PAGE.parent.mkdir(exist_ok=True)
        _PAGE.write_text(report.page(machine, times, footprint))
