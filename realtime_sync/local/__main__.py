"""``python -m realtime_sync.local``: the local server as a program."""

from __future__ import annotations

from realtime_sync.local.command import main

if __name__ == "__main__":
    raise SystemExit(main())
