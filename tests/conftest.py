"""What every test file gets."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

# The asserts of what the test files share hold too where Python itself leaves them out (-O).
pytest.register_assert_rewrite(*(path.stem for path in Path(__file__).parent.glob("*.py")))

import effort  # noqa: E402, F401  registers the profile
from hypothesis import settings  # noqa: E402

settings.load_profile("realtime_sync")

# How often threads take turns, where it is to be seen what a switch at an unusual place does.
if os.environ.get("REALTIME_SYNC_SWITCH_INTERVAL_S"):
    sys.setswitchinterval(float(os.environ["REALTIME_SYNC_SWITCH_INTERVAL_S"]))

# Which threads are late, where it is to be seen what only a busy machine shows.
if os.environ.get("REALTIME_SYNC_LATE"):
    from lateness import make_late

    make_late(os.environ["REALTIME_SYNC_LATE"].split(","))

# A parent that runs us in the background may have had SIGINT ignored, and our own children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_user_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test sees no key, address or proxy of the person who runs it."""
    for name in list(os.environ):
        if name.upper().startswith(("OPENAI_", "AZURE_OPENAI_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def aimock_command() -> list[str]:
    """The command line of the aimock server; skips the test, with the reason, where it is not installed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    root = Path(os.environ.get("REALTIME_SYNC_AIMOCK", "build/aimock"))
    program = root / "node_modules" / ".bin" / "llmock"
    if not program.exists():
        pytest.skip(f"aimock is not installed in {root} (npm install --prefix {root} @copilotkit/aimock@1.43.0)")
    return [node, str(program.resolve())]
