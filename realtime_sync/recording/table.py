"""A recording as lines for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from realtime_sync.recording.message import Message, elided
from realtime_sync.recording.recording import Recording

__all__ = ["table"]

_WIDTH: Final = 100
_LEFT_OUT: Final = frozenset({"type", "event_id", "response_id", "item_id", "output_index", "content_index"})


def table(recording: Recording) -> Iterator[str]:
    """One line for each message, runs of the same delta as one: time, direction, type and what matters of the rest."""
    for number, url in sorted(recording.urls.items()):
        yield f"connection {number}: {url}"
    several = len(recording.urls) > 1
    run: list[Message] = []
    for message in recording.messages:
        if run and _joins(run[-1], message):
            run.append(message)
            continue
        if run:
            yield _row(run, several)
        run = [message]
    if run:
        yield _row(run, several)
    for number, close in sorted(recording.closes.items()):
        who = "server" if close.direction == "to_client" else "client"
        how = f"the {who} closed with {close.code}" if close.code != 1006 else "the connection was lost"
        told = f": {close.reason}" if close.reason else ""
        yield f"{close.at_s:9.3f} {f'#{number} ' if several else ''}({how}{told})"
    if recording.cut:
        yield "(the end could not be read)"


def _joins(before: Message, message: Message) -> bool:
    same = (before.type, before.direction, before.connection) == (message.type, message.direction, message.connection)
    return same and message.type.endswith((".delta", ".append"))


def _row(run: list[Message], several: bool) -> str:
    first = run[0]
    arrow = "->" if first.direction == "to_server" else "<-"
    count = f" x{len(run)}" if len(run) > 1 else ""
    connection = f"#{first.connection} " if several else ""
    row = f"{first.at_s:9.3f} {connection}{arrow} {first.type + count or '(no event)':<52}"
    text = _details(run)
    return f"{row} {text if len(text) <= _WIDTH else text[: _WIDTH - 3] + '...'}".rstrip()


def _details(run: list[Message]) -> str:
    events = [elided(message.event) if isinstance(message.event, dict) else message.event for message in run]
    first = events[0]
    if not isinstance(first, dict):
        return first
    if run[0].type.endswith(".delta") and not run[0].type.endswith("audio.delta"):
        return "".join(str(event.get("delta", "")) for event in events if isinstance(event, dict))
    fields: dict[str, Any] = {name: value for name, value in first.items() if name not in _LEFT_OUT}
    return json.dumps(fields, ensure_ascii=False) if fields else ""
