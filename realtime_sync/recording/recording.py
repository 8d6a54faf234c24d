"""A talk that was written down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import attrs

from realtime_sync.errors import ConfigurationError
from realtime_sync.recording.message import UNREADABLE, Close, Message

__all__ = ["Recording"]


@attrs.frozen
class Recording:
    """The messages of a file, in order. ``urls`` maps the number of each connection to what was dialled, without
    secrets; ``closes`` maps it to how that ended, where that was written down. ``cut`` tells that lines could not be
    read: the end of a talk whose program crashed."""

    path: Path
    messages: list[Message]
    urls: dict[int, str]
    cut: bool = False
    closes: dict[int, Close] = attrs.field(factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file; raises `ConfigurationError` when it cannot be read, or is no recording."""
        path = Path(path)
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError as error:
            raise ConfigurationError(f"cannot read the recording {str(path)!r}: {error.strerror}") from error
        messages: list[Message] = []
        urls: dict[int, str] = {}
        closes: dict[int, Close] = {}
        cut = False
        for line in filter(None, lines):
            try:
                found = _line(json.loads(line))
            except UNREADABLE:
                cut = True
                continue
            if isinstance(found, Message):
                messages.append(found)
            elif isinstance(found, Close):
                closes[found.connection] = found
            else:
                urls[found[0]] = found[1]
        if not urls:
            raise ConfigurationError(f"{str(path)!r} is no recording")
        return cls(path, messages, urls, cut, closes)

    @property
    def connections(self) -> list[list[Message]]:
        """The messages of each connection."""
        return [[message for message in self.messages if message.connection == number] for number in sorted(self.urls)]


def _line(raw: Any) -> Message | Close | tuple[int, str]:
    number = int(raw["connection"])
    if "url" in raw:
        return number, str(raw["url"])
    if raw["direction"] not in ("to_server", "to_client"):
        raise ValueError(raw)
    if "close" in raw:
        close = raw["close"]
        return Close(float(raw["at_s"]), raw["direction"], int(close["code"]), str(close["reason"]), number)
    if not isinstance(raw["event"], (dict, str)):
        raise ValueError(raw)
    return Message(float(raw["at_s"]), raw["direction"], raw["event"], number)
