"""Where a program connects that is to run with a key and without one: for examples and first steps."""

from __future__ import annotations

import atexit
import os
from typing import Any

from realtime_sync.local.server import LocalServer

__all__ = ["somewhere"]


def somewhere(**scripted: Any) -> dict[str, Any]:
    """Arguments for `realtime_sync.connect` that lead somewhere, whether there is a key or not.

    ``{}`` where ``OPENAI_API_KEY`` or ``OPENAI_BASE_URL`` is set, for `connect` looks at them by itself. Otherwise the
    address of a new `LocalServer`, made with the arguments ``scripted`` and stopped when the program ends.

    Raises what `LocalServer` raises, `ConfigurationError` where the extra ``local`` is missing say. Any thread.
    """
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        return {}
    server = LocalServer(**scripted).start()
    atexit.register(server.stop)
    return {"base_url": server.base_url}
