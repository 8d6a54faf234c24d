"""Where the examples connect: with an API key to OpenAI, without one to a local server that this starts.

`where()` returns the arguments for `realtime_sync.connect` that say so. Your own programs need nothing of this:
``rt.connect("gpt-realtime")`` finds OPENAI_API_KEY by itself.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from realtime_sync.local import LocalServer


def where(**scripted: Any) -> dict[str, Any]:
    """``{}`` when OPENAI_API_KEY or OPENAI_BASE_URL is set, for `connect` looks at them itself. Otherwise the address
    of a new local server, made with the arguments ``scripted`` and stopped when the program ends."""
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        return {}
    server = LocalServer(**scripted).start()
    atexit.register(server.stop)
    return {"base_url": server.base_url}
