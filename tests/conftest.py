"""What every test file gets."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import effort  # noqa: F401  registers the profile
import pytest
from hypothesis import settings

settings.load_profile("realtime_sync")

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
