"""Full-duplex TLS load: both directions of several sessions busy for a while, every event checked.

    python -m benchmarks.soak --seconds 120 --sessions 4

Exits with 1 when a connection is lost, an event is missing, out of order or damaged, or a thread is left.
"""

from __future__ import annotations

import argparse
import json
import random
import ssl
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import trustme
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import realtime_sync as rt

CREATED = {"type": "session.created", "session": {"type": "realtime", "id": "sess_soak"}}
PADDING = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=60_000))


def delta(name: str, number: int, size: int) -> str:
    return json.dumps(
        {"type": "response.output_text.delta", "item_id": name, "event_id": str(number), "delta": PADDING[:size]}
    )


def serve_one(connection: ServerConnection) -> None:
    """Push deltas as fast as they go, and echo what comes, both numbered."""
    lock = threading.Lock()
    stop = threading.Event()
    connection.send(json.dumps(CREATED))

    def push() -> None:
        sizes = random.Random(2)
        number = 0
        with suppress(ConnectionClosed):
            while not stop.is_set():
                with lock:
                    connection.send(delta("push", number, sizes.choice((5, 40, 300, 12_000, 60_000))))
                number += 1

    pusher = threading.Thread(target=push, daemon=True)
    pusher.start()
    try:
        for text in connection:
            event = json.loads(text)
            with lock:
                connection.send(delta("echo", event["number"], len(event["padding"])))
    finally:
        stop.set()
        pusher.join(10)


def drive(url: str, context: ssl.SSLContext, seconds: float, faults: list[str], counts: list[int]) -> None:
    expected = {"push": 0, "echo": 0}
    sent = 0
    end = time.monotonic() + seconds
    sizes = random.Random(3)

    def check(event: Any) -> None:
        name = event.item_id
        if event.event_id != str(expected[name]) or not PADDING.startswith(event.delta):
            faults.append(f"{name}: expected {expected[name]}, got {event.event_id}")
        expected[name] += 1

    try:
        with rt.connect("soak", base_url=url, ssl_context=context, proxy=None, ping_interval_s=1.0) as session:
            session.on(rt.events.ResponseOutputTextDelta, check)
            session.start()
            while time.monotonic() < end and not faults:
                session.send(
                    {"type": "vendor.echo", "number": sent, "padding": PADDING[: sizes.choice((1, 900, 30_000))]}
                )
                sent += 1
                if sent - expected["echo"] > 200:  # or the server's and our buffers fill up and both wait
                    session.wait_for("response.output_text.delta", timeout=30)
            last = time.monotonic() + 60
            while expected["echo"] < sent and time.monotonic() < last and not faults:
                session.wait_for("response.output_text.delta", timeout=30)
            session.stop()
            if expected["echo"] != sent:
                faults.append(f"{sent - expected['echo']} of {sent} echoes are missing")
    except Exception as fault:
        faults.append(repr(fault))
    counts.append(sent + sum(expected.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--sessions", type=int, default=4)
    arguments = parser.parse_args()
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_side)
    faults: list[str] = []
    counts: list[int] = []
    with serve(serve_one, "127.0.0.1", 0, ssl=server_side, compression=None, max_size=2**26) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.socket.getsockname()[1]}/v1"
        drivers = [
            threading.Thread(target=drive, args=(url, client_side, arguments.seconds, faults, counts))
            for _ in range(arguments.sessions)
        ]
        for driver in drivers:
            driver.start()
        for driver in drivers:
            driver.join()
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("realtime_sync")]
        server.shutdown()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {ssl.OPENSSL_VERSION}: {sum(counts)} messages in {arguments.sessions} sessions", end="")
    print(f", {len(faults)} faults {faults[:3]}, threads left: {left}")
    return 1 if faults or left else 0


if __name__ == "__main__":
    raise SystemExit(main())
