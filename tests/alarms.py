"""Real signals from the system's timer, at any instant: SIGALRM, of which the test's own time limit makes use too."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

needs_timer = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that send signals")

AGAIN_S = 0.0002


def alarm(after_s: float) -> None:
    """Let the signal come after so many seconds; 0: not at all."""
    signal.setitimer(signal.ITIMER_REAL, after_s)


@contextmanager
def alarms(strike: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Call ``strike`` for each signal within the block. Behind it the time limit of the test runs on.

    A signal that finds coverage at work comes again a little later: coverage holds a lock of its own there, which
    every thread needs, and would never give it back.
    """

    def handle(number: int, where: FrameType | None) -> None:
        if _within_coverage(where):
            alarm(AGAIN_S)
        else:
            strike(number, where)

    before = signal.getsignal(signal.SIGALRM)
    limit_s, _ = signal.getitimer(signal.ITIMER_REAL)
    started = time.monotonic()
    alarm(0)
    signal.signal(signal.SIGALRM, handle)
    try:
        yield
    finally:
        alarm(0)
        signal.signal(signal.SIGALRM, before)
        if limit_s:
            alarm(max(limit_s - (time.monotonic() - started), 0.001))


def _within_coverage(frame: FrameType | None) -> bool:
    coverage = sys.modules.get("coverage")
    if coverage is None or coverage.__file__ is None:
        return False
    within = str(Path(coverage.__file__).parent) + os.sep
    while frame is not None:
        if frame.f_code.co_filename.startswith(within):
            return True
        frame = frame.f_back
    return False
