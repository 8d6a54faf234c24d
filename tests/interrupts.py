"""KeyboardInterrupt at every place where CPython can deliver one, one place at a time.

CPython looks for signals when a Python function starts, after a call of C code, and at a jump backwards; a lock, a
queue or a poll also notices one while it waits. `struck` raises there, on the calling thread, by the hooks for
profilers and tracers. What counts is all code but the tests' own, what logs, and what imports.

A scenario is run once to count its places, then again for each place (`REALTIME_SYNC_INTERRUPTS=all`, or the number of
places to try for each scenario; the suite takes a sample that is different each time).

    REALTIME_SYNC_INTERRUPTS=all pytest tests/test_interrupts.py -s
"""

from __future__ import annotations

import dis
import functools
import os
import random
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import realtime_sync as rt
from realtime_sync.delivery import control

SAMPLE: Final = os.environ.get("REALTIME_SYNC_INTERRUPTS", "12")
HANG_S: Final = 25.0
LIBRARY: Final = str(Path(rt.__file__).parent) + os.sep
"""Where the package lies: a clone may be called as the package is."""
_TESTS: Final = str(Path(__file__).parent) + os.sep
_EXEMPT: Final = (
    "importlib",
    "logging",
    "<frozen",
    "/attr/",
    "attrs generated",
    "/_pytest/",
    "/hypothesis/",  # its callback of the garbage collector, whose exceptions Python swallows
    "/json/",
    "_weakrefset.py",
    "traceback.py",
    "linecache.py",
)
_WAITS: Final = frozenset({"acquire", "get", "poll", "__enter__"})


class Places:
    """Counts the places that are passed, and strikes at one of them: raises, or calls what a signal handler would."""

    def __init__(self, at: int | None = None, strike: Callable[[], object] | None = None) -> None:
        self._at = at
        self._strike = strike
        self.count = 0
        self.where = ""
        """The place that was struck; empty when it was not reached."""

    def profile(self, frame: FrameType, kind: str, arg: Any) -> None:
        code = frame.f_code
        if kind == "call":
            if _counts(code):
                self._pass(frame, "start of the function")
        elif kind == "c_return":
            if _counts(code):
                self._pass(frame, f"after {arg.__name__}")
        elif kind == "c_call" and arg.__name__ in _WAITS and _counts(code):
            self._pass(frame, f"during {arg.__name__}")

    def trace(self, frame: FrameType, kind: str, arg: Any) -> Any:
        jumps = _jumps(frame.f_code)
        if not jumps:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False

        def local(frame: FrameType, kind: str, arg: Any) -> Any:
            if kind == "opcode" and frame.f_lasti in jumps:
                self._pass(frame, "jump backwards")
            return local

        return local

    def _pass(self, frame: FrameType, how: str) -> None:
        if _of_a_test(frame):
            return
        self.count += 1
        if self.count == self._at:
            sys.setprofile(None)
            sys.settrace(None)
            self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}, {how}"
            if self._strike is None:
                raise KeyboardInterrupt(self.where)
            self._strike()


def _of_a_test(frame: FrameType | None) -> bool:
    """Whether the test's own code has called this, not the library."""
    while frame is not None and not frame.f_code.co_filename.startswith(LIBRARY):
        if frame.f_code.co_filename.startswith(_TESTS):
            return True
        frame = frame.f_back
    return False


@functools.cache
def _counts(code: CodeType) -> bool:
    name = code.co_filename
    if code.co_name == "__del__":  # whatever comes out of that is swallowed by Python
        return False
    if name.startswith((LIBRARY, _TESTS)):
        return name.startswith(LIBRARY)
    return not any(part in name for part in _EXEMPT)


@functools.cache
def _jumps(code: CodeType) -> frozenset[int]:
    if not _counts(code):
        return frozenset()
    # JUMP_BACKWARD_NO_INTERRUPT is what it says.
    back = ("JUMP_BACKWARD", "POP_JUMP_BACKWARD")
    return frozenset(
        instruction.offset
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(back) and not instruction.opname.endswith("NO_INTERRUPT")
    )


@contextmanager
def struck(at: int | None, strike: Callable[[], object] | None = None) -> Iterator[Places]:
    """Count the places of the block, and strike at the one of this number, counted from 1. A KeyboardInterrupt that
    comes out of the block is swallowed."""
    places = Places(at, strike)
    measured = sys.gettrace()  # by coverage
    try:
        sys.settrace(places.trace)
        sys.setprofile(places.profile)
        yield places
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
        sys.settrace(measured)


class Outcome:
    """What became of the places of one scenario."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tried = 0
        self.faults: dict[str, str] = {}
        self.where: set[str] = set()

    def __str__(self) -> str:
        bad = "".join(f"\n    {where}: {fault[:300]}" for where, fault in sorted(self.faults.items()))
        return f"{self.name}: {self.tried} struck, {len(self.where)} places, {len(self.faults)} broke{bad}"


def everywhere(name: str, scenario: Callable[[int | None], Places], sample: str = SAMPLE) -> Outcome:
    """Run ``scenario`` with a strike at each of its places, or at a random sample of them. ``scenario(at)`` uses
    `struck` and raises where the law does not hold afterwards."""
    scenario(None)  # what is made on first use exists from here on
    count = max(scenario(None).count, scenario(None).count)
    numbers: list[int] = list(range(1, count + 1))
    if sample != "all" and int(sample) < count:
        numbers = sorted(random.sample(numbers, int(sample)))
    outcome = Outcome(name)
    for number in numbers:
        places, fault = _apart(scenario, number)
        where = places.where if places is not None else getattr(fault, "where", "") or f"number {number}"
        if where:
            outcome.tried += 1
            outcome.where.add(where)
        if fault is not None:
            outcome.faults.setdefault(where, f"{type(fault).__name__}: {fault}")
        if len(outcome.faults) > 60:
            break
    return outcome


def _apart(scenario: Callable[[int | None], Places], number: int) -> tuple[Places | None, BaseException | None]:
    """Run a scenario on a thread of its own that counts as the one that signals strike, so that a hang is no more than
    a fault."""
    found: list[Places | BaseException] = []

    def run() -> None:
        control._main_ident = threading.get_ident()
        try:
            found.append(scenario(number))
        except BaseException as fault:
            found.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANG_S)
    control._main_ident = threading.main_thread().ident
    if not found:
        stacks = [traceback.format_stack(stack) for stack in sys._current_frames().values()]
        at = "\n".join("".join(stack[-6:]) for stack in stacks)
        return None, TimeoutError(f"it hangs: {at}")
    return (found[0], None) if isinstance(found[0], Places) else (None, found[0])
