"""``python -m realtime_sync.recording FILE``: a recording as a table; ``--audio DIRECTORY`` exports its sound."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from realtime_sync.errors import ConfigurationError
from realtime_sync.recording.recording import Recording
from realtime_sync.recording.sound import export_audio
from realtime_sync.recording.table import table

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a recording; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m realtime_sync.recording", description="Show a recorded talk as a table."
    )
    parser.add_argument("file", metavar="FILE", help="the recording")
    parser.add_argument("--audio", metavar="DIRECTORY", help="write its sound there, as WAV files")
    options = parser.parse_args(arguments)
    try:
        recording = Recording.load(options.file)
        lines = list(table(recording))
        if options.audio is not None:
            lines += [f"written: {path}" for path in export_audio(recording, options.audio)]
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
