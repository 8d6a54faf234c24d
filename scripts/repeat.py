"""Runs the whole suite again and again, several at once: ``python scripts/repeat.py RUNS [--at-once N] [OPTIONS...]``.

Every second run has SIGINT ignored by its parent, as in a background job. Each run's output is a file below
``build/repeat``. What follows goes to pytest. Exits with 1 when a run has failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOGS = Path("build/repeat")
RUN = """\
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN if sys.argv[1] == "ignored" else signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""


def run(number: int, options: list[str]) -> bool:
    """One run; whether it passed."""
    interrupt = "usual" if number % 2 else "ignored"
    log = LOGS / f"{number}.log"
    pytest = [str(Path(sys.executable).parent / "pytest"), "--quiet", "-p", "no:cacheprovider", *options]
    begun_s = time.monotonic()
    with log.open("wb") as output:
        command = [sys.executable, "-c", RUN, interrupt, *pytest]
        passed = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode == 0
    last = log.read_text(errors="replace").rstrip().rpartition("\n")[2]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    result = "passed" if passed else "FAILED"
    print(
        f"run {number}, SIGINT {interrupt}: {result} after {time.monotonic() - begun_s:.0f} s{load}: {last}", flush=True
    )
    return passed


def main() -> int:
    """All runs; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=int)
    parser.add_argument("--at-once", type=int, default=1)
    given, options = parser.parse_known_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends this, and the runs with it
    with ThreadPoolExecutor(given.at_once) as pool:
        results = list(pool.map(lambda number: run(number, options), range(1, given.runs + 1)))
    print(f"{results.count(True)} of {given.runs} runs passed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
