"""The conditions under which the suite can be run (CONTRIBUTING.md) are such that it finds something there."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("test_")))
def test_asserts_hold_also_where_python_leaves_them_out(name: str) -> None:
    module = importlib.import_module(name)
    assert type(module.__loader__).__name__ == "AssertionRewritingHook"


def test_threads_take_turns_as_often_as_was_asked_for() -> None:
    wanted = os.environ.get("REALTIME_SYNC_SWITCH_INTERVAL_S")
    assert sys.getswitchinterval() == pytest.approx(float(wanted or 0.005))
