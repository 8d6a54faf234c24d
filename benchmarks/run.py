"""The whole comparison. Contestants take turns, run after run: what else the machine does then meets all of them."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks import report
from benchmarks.contestants import BARE, LIBRARY, OPENAI, OURS, OURS_ITERATED, OURS_STARTED
from benchmarks.recorded import AUDIO_DELTAS, MIX, RESPONSES, TEXT_DELTAS
from benchmarks.report import BUSY, HOLDING, IDLE, MANY, MEMORY, STARTUP, TCP, TLS

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "benchmarks.md"
_TRIES = 6
"""A handshake that fails, or a client that hangs, is not to cost the whole run. Over TLS, the synchronous client that
`openai` uses does either once in some sixty connections, and more often on a busy machine."""

Result = dict[str, float]


PACE_S = 0.002
APPEND = "append of 100 ms of audio"
KINDS = {TEXT_DELTAS: 1.0, AUDIO_DELTAS: 0.4, RESPONSES: 0.25, MIX: 0.5, APPEND: 0.3}
"""What is measured in a flood, and how many of it for each text delta: the dearer, the fewer."""

SENDERS = (OURS, OPENAI, BARE)
RECEIVERS = (OURS, OURS_ITERATED, OPENAI, BARE)


def contestants_of(kind: str, layer: str) -> tuple[str, ...]:
    """Who takes part in a flood. The library without types is compared over TCP alone; `start()` where it differs: in
    what is guarded against Ctrl-C on the main thread."""
    found = SENDERS if kind == APPEND else RECEIVERS
    if kind in (RESPONSES, MIX):
        found = (*found[:2], OURS_STARTED, *found[2:])
    return (*found[:-1], LIBRARY, *found[-1:]) if layer == TCP else found


class Size(NamedTuple):
    """How much is measured; what is counted in ``paced``, ``stamps`` and ``streamed`` comes in real time. A measurement
    that takes longer than ``limit_s`` seconds hangs."""

    runs: int
    events: int
    paced: int
    stamps: int
    streamed: int
    sessions: int
    limit_s: int

    def events_of(self, kind: str) -> int:
        return max(1, int(self.events * KINDS[kind]))


FULL = Size(runs=5, events=10_000, paced=500, stamps=150, streamed=25, sessions=500, limit_s=600)
QUICK = Size(runs=2, events=2_000, paced=100, stamps=40, streamed=10, sessions=50, limit_s=60)


class Address(NamedTuple):
    """Where the blaster listens."""

    tcp: str
    tls: str

    def over(self, layer: str) -> str:
        return self.tcp if layer == TCP else self.tls


class Bench:
    """Runs measurements against one blaster."""

    def __init__(self, address: Address, size: Size) -> None:
        self._address = address
        self._size = size

    def flood(self) -> dict[str, dict[str, Result]]:
        """As fast as the client takes it."""
        found = {}
        for layer in (TCP, TLS):
            for kind in KINDS:
                contestants = contestants_of(kind, layer)
                if kind == APPEND:
                    numbers = (self._size.events_of(kind),)
                    found[report.row(kind, layer)] = self._compare("append", layer, contestants, *numbers)
                    continue
                looks = ("nothing", "sound") if kind == AUDIO_DELTAS else ("nothing",)
                for look in looks:
                    numbers = (kind, self._size.events_of(kind), 0, look)
                    found[report.row(kind, layer, look)] = self._compare("receive", layer, contestants, *numbers)
        return found

    def paced(self) -> dict[str, dict[str, Result]]:
        """One event each 2 ms, so that every event comes alone."""
        found = {}
        for layer in (TCP, TLS):
            for kind, look in ((TEXT_DELTAS, "nothing"), (AUDIO_DELTAS, "sound")):
                numbers = (kind, self._size.paced, PACE_S, look)
                found[report.row(kind, layer, look)] = self._compare("receive", layer, (OURS, OPENAI, BARE), *numbers)
        return found

    def footprint(self) -> dict[str, dict[str, Result]]:
        size, two, three = self._size, (OURS, OPENAI), (OURS, OPENAI, BARE)
        return {
            STARTUP: self._compare(STARTUP, TCP, three),
            MEMORY: self._compare("memory", TCP, two, max(1, size.sessions // 10)),
            HOLDING: self._compare("holding", TCP, two, TEXT_DELTAS, size.events),
            IDLE: self._compare("latency", TCP, three, "idle", size.stamps),
            BUSY: self._compare("latency", TCP, three, "busy", size.stamps),
            # Once is enough of this: it averages over all sessions.
            MANY: {contestant: self._once("many", TCP, contestant, size.sessions, size.streamed) for contestant in two},
        }

    def _compare(self, what: str, layer: str, contestants: Iterable[str], *numbers: object) -> dict[str, Result]:
        """The median of each number of a measurement, for each contestant."""
        found: dict[str, list[Result]] = {contestant: [] for contestant in contestants}
        for _ in range(self._size.runs):
            for contestant, results in found.items():
                results.append(self._once(what, layer, contestant, *numbers))
        return {contestant: _medians(results) for contestant, results in found.items()}

    def _once(self, what: str, layer: str, contestant: str, *numbers: object) -> Result:
        program = ["benchmarks.startup"] if what == STARTUP else ["benchmarks.measure", what]
        command = [sys.executable, "-m", *program, self._address.over(layer), contestant, *map(str, numbers)]
        # Installed packages are compiled; ours, in the source tree, must be allowed to be.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        for tries_left in reversed(range(_TRIES)):
            try:
                done = subprocess.run(
                    command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, timeout=self._size.limit_s, check=True
                )
            except subprocess.SubprocessError as error:
                if not tries_left:
                    raise
                print(f"once more: {error}", file=sys.stderr)
            else:
                break
        found: Result = json.loads(done.stdout)
        return found


def _medians(results: list[Result]) -> Result:
    return {name: statistics.median(result[name] for result in results) for name in results[0]}


@contextmanager
def _blaster() -> Iterator[Address]:
    """Where a blaster listens, in a process of its own. The processes started meanwhile trust its certificate."""
    with tempfile.TemporaryDirectory() as directory:
        authority = str(Path(directory) / "authority.pem")
        command = [sys.executable, "-m", "benchmarks.blaster", authority]
        with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                plain, secure = map(int, process.stdout.readline().split())
                os.environ["SSL_CERT_FILE"] = os.environ["WEBSOCKET_CLIENT_CA_BUNDLE"] = authority
                yield Address(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}")
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
        flood = bench.flood()
        print(f"{report.times(flood)}\n", flush=True)
        paced = bench.paced()
        print(f"{report.times(paced)}\n", flush=True)
        footprint = bench.footprint()
        print(f"{report.footprint(footprint)}\n", flush=True)
        print(report.short(flood, paced, footprint))
    if arguments.write:
        _PAGE.parent.mkdir(exist_ok=True)
        _PAGE.write_text(report.page(machine, flood, paced, footprint))
