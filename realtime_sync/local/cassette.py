"""Recorded talks for tests, with the record modes of VCR."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.server import LocalServer
from realtime_sync.recording import Recorder, Recording

__all__ = ["MODES", "Cassette"]

MODES: Final = ("none", "once", "new_episodes", "all")


@attrs.frozen
class Cassette:
    """The recording of one test, and the server that plays it or is making it.

    ``none`` only plays. ``once`` plays what is there, and records where there is nothing. ``new_episodes`` plays the
    connections that are there and records those that come after them. ``all`` records anew.
    """

    path: Path
    server: LocalServer
    _connections: int | None
    _recorder: Recorder | None

    @classmethod
    def open(
        cls,
        path: Path,
        mode: str,
        *,
        upstream: str,
        upstream_key: str | None,
        audio: Literal["keep", "elide"] = "keep",
        **options: Any,
    ) -> Cassette:
        """Make the server, which is still to be started; ``options`` are arguments of it. Raises `ConfigurationError`
        for an unknown mode, and where there is nothing to play and ``none`` may be recorded."""
        if mode not in MODES:
            raise ConfigurationError(f"a record mode is one of {', '.join(MODES)}, not {mode!r}")
        exists = path.exists()
        if mode == "none" and not exists:
            raise ConfigurationError(
                f"there is no cassette {str(path)!r}: record it with --realtime-record=once, which "
                "leaves none for a test that makes no connection"
            )
        real: dict[str, Any] = {"upstream": upstream, "upstream_key": upstream_key}
        if exists and mode == "new_episodes":
            recorder = Recorder(path, audio=audio, append=True)
            return cls(path, LocalServer.replay(path, **real, record=recorder, **options), None, recorder)
        if exists and mode != "all":
            connections = len(Recording.load(path).connections)
            return cls(path, LocalServer.replay(path, **options), connections, None)
        # Beside its place until the test has passed: what went wrong is no cassette.
        recorder = Recorder(path.with_suffix(path.suffix + ".partial"), audio=audio)
        return cls(path, LocalServer(**real, record=recorder, **options), None, recorder)

    def assert_done(self) -> None:
        """Raise `AssertionError` unless all went as recorded: no difference, and all connections were made once."""
        self.server.assert_done()
        made = len(self.server.requests)
        if self._connections is not None and made != self._connections:
            raise AssertionError(f"the cassette has {self._connections} connections, {made} were made")

    def close(self, *, keep: bool) -> None:
        """The server has stopped: keep what was recorded, or do away with it."""
        if self._recorder is None:
            return
        self._recorder.close()
        making = self._recorder.path
        if making == self.path:
            return
        if keep and making.stat().st_size:  # where no connection was made, there is nothing in it
            os.replace(making, self.path)
        else:
            with contextlib.suppress(FileNotFoundError):
                making.unlink()
