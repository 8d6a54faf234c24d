"""The local server as a program, for tests in other languages and for trying things from a shell."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from realtime_sync._deadline import SLICE_S
from realtime_sync.errors import ConfigurationError
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.request import LogEntry
from realtime_sync.local.script_json import replies_of, transcripts_of
from realtime_sync.local.server import LocalServer

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the end of a pipe on stdin; the exit status.

    The first line on stdout is JSON with ``base_url``, ``control_url`` and ``ca_file``.
    """
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: stop.set())
    try:
        script = _read(options.script)
        if not isinstance(script, dict):
            script = {"replies": script}
        if not set(script) <= {"replies", "transcripts"}:
            raise ConfigurationError("a script is a list of replies, or an object with replies and transcripts")
        replies = script.get("replies")
        transcripts = _read(options.transcripts) if options.transcripts else script.get("transcripts")
        server = LocalServer(
            None if replies is None else replies_of(replies),
            host=options.host,
            port=options.port,
            api_key=options.api_key,
            transcripts=None if transcripts is None else transcripts_of(transcripts),
            tls=options.tls,
            speed=options.speed,
            latency_s=options.latency_ms / 1000,
            quirks=Quirks(beta_names=True, item_created_only=True) if options.beta else None,
            on_message=_write_log if options.log else None,
        )
        server.start()
    except ConfigurationError as error:
        sys.stderr.write(f"realtime-sync-server: {error}\n")
        return 2
    with server:
        told = {"base_url": server.base_url, "control_url": server.control_url, "ca_file": server.ca_file}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        if _is_pipe(sys.stdin):
            threading.Thread(target=_wait_for_end, args=(stop,), name="local-realtime-stdin", daemon=True).start()
        while not stop.wait(SLICE_S):
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="realtime-sync-server",
        description="A Realtime server on this machine, for tests in any language. Its first line on stdout is JSON "
        "with base_url, control_url and ca_file; it serves until SIGTERM or the end of a pipe on stdin.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument("--script", metavar="FILE", help="JSON: what the model says")
    parser.add_argument("--transcripts", metavar="FILE", help="JSON: what the user's audio says")
    parser.add_argument("--api-key", metavar="KEY", help="the key that clients must show (default: any or none)")
    parser.add_argument("--tls", action="store_true", help="https and wss, with a throw-away certificate")
    parser.add_argument("--beta", action="store_true", help="speak the older dialect")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each message to a client takes")
    parser.add_argument("--speed", type=float, help="pace speech at so many times real time")
    parser.add_argument("--log", action="store_true", help="each message as a line on stderr")
    return parser


def _read(path: str | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error


def _write_log(entry: LogEntry) -> None:
    sys.stderr.write(f"{entry}\n")


def _is_pipe(stream: Any) -> bool:
    """Whether the end of a stream means something: that of a terminal or of /dev/null does not."""
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _wait_for_end(stop: threading.Event) -> None:
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 65_536):
        pass
    stop.set()
