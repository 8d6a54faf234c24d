"""What it takes to have a session, in an interpreter that has loaded nothing else.

``python -m benchmarks.startup ADDRESS CONTESTANT`` prints as JSON the seconds of the import, the seconds until the
session is open (the import included), and the resident bytes of the process then; for any other contestant than the
two packages only the latter, of the interpreter alone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

MODEL = "text delta:1:0"
KEY = "sk-proj-" + "Kx7Rq2_LmZ9vTw4-" * 9


def main(address: str, contestant: str) -> None:
    found = {}
    session: Any = None
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    if contestant == "realtime_sync":
        import realtime_sync

        found |= {"import_cpu": time.process_time() - cpu_s, "import_wall": time.perf_counter() - wall_s}
        session = realtime_sync.connect(MODEL, base_url=f"{address}/v1", api_key=KEY)
    elif contestant == "openai":
        import openai

        found |= {"import_cpu": time.process_time() - cpu_s, "import_wall": time.perf_counter() - wall_s}
        socket_url = address.replace("http", "ws", 1)
        client = openai.OpenAI(api_key=KEY, base_url=f"{address}/v1", websocket_base_url=f"{socket_url}/v1")
        session = client.realtime.connect(model=MODEL).enter()
        session.recv()
    if session is not None:
        found |= {"open_cpu": time.process_time() - cpu_s, "open_wall": time.perf_counter() - wall_s}
    found["first_bytes"] = resident_bytes()
    if session is not None:
        session.close()
    import json

    print(json.dumps(found))


def resident_bytes() -> int:
    """The memory of this process, as far as it is in use."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        return int(statm.read_text().split()[1]) * resource.getpagesize()
    import psutil

    resident: int = psutil.Process().memory_info().rss
    return resident


if __name__ == "__main__":
    main(*sys.argv[1:])
