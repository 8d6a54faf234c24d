"""A conversation written into a session: item by item, in order, with what the server refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from realtime_sync._deadline import Deadline
from realtime_sync.errors import InvalidEvent, RealtimeTimeout, ServerError
from realtime_sync.sending.acks import DUPLICATE, Ack
from realtime_sync.state.conversation import History, LeftOut

__all__ = ["Restored", "restore"]

_AT_ONCE: Final = 64
"""So many items are under way before their confirmations are waited for."""

_SILENCE_S: Final = 5.0
"""A server that says nothing for so long, in seconds, is not waited for any more."""

_log = logging.getLogger("realtime_sync")

Create = Callable[[Any, str | None], Ack[Any]]
"""Creates an item behind the one with this id; ``root`` is the beginning, ``None`` the end."""


@attrs.frozen(kw_only=True)
class Restored:
    """What became of a conversation that was written into a session. Its text tells all of it."""

    item_ids: tuple[str, ...]
    """The ids in this session of the items that stand there now, in order."""
    left_out: tuple[LeftOut, ...]
    """What could not be restored, and why. An item that the server refused is here as it was sent."""
    as_text: tuple[str, ...]
    """The ids in this session of messages whose speech stands there as its transcript."""
    renamed: Mapping[str, str]
    """Ids that could not be kept, and those that the items have in this session."""
    unconfirmed: tuple[str, ...]
    """The ids of items that were sent and never confirmed: some servers confirm none."""

    def __str__(self) -> str:
        words = f"{len(self.item_ids)} items restored, {len(self.left_out)} left out"
        return "\n  ".join([words, *map(str, self.left_out)])


class _Line:
    """One item on its way: it waits until it stands there under an ``id``, or was ``refused``."""

    __slots__ = ("ack", "behind", "confirmed", "first_id", "id", "item", "refused")

    def __init__(self, item: Any, there: Iterable[str]) -> None:
        self.item = item
        self.first_id: str | None = item.id
        self.id = item.id if item.id in there else None
        self.confirmed = True
        self.refused: str | None = None
        self.behind: str | None = None
        self.ack: Any = None

    @property
    def waits(self) -> bool:
        return self.id is None and self.refused is None


def restore(history: History, create: Create, present: Iterable[str], deadline: Deadline) -> Restored:
    """Create the items of ``history`` in front of what stands in the session, whose items are ``present``, and wait
    for the answers. An item that stands there already is not created again.

    What has not been sent by the deadline is left out. Raises what ``create`` and `Ack.result` raise at the end of
    the connection.
    """
    there = set(present)
    lines = [_Line(item, there) for item in history.items]
    silent = False
    while not deadline.expired:
        sent = _send(lines, create, "root" if there else None)
        if not sent:
            break
        for line in sent:
            silent = not _settle(line, there, deadline, 0.0 if silent else _SILENCE_S)
    return _restored(history, lines)


def _send(lines: Iterable[_Line], create: Create, start: str | None) -> list[_Line]:
    """Send the next items that wait, each to stand behind the one before it."""
    sent: list[_Line] = []
    behind = start
    for line in lines:
        if line.waits:
            if len(sent) == _AT_ONCE:
                break
            try:
                line.ack = create(line.item, behind)
            except InvalidEvent as error:
                line.refused = str(error)
                continue
            line.behind, behind = behind, line.ack.item_id
            sent.append(line)
        elif line.id is not None:
            behind = line.id
    return sent


def _settle(line: _Line, there: set[str], deadline: Deadline, patience_s: float) -> bool:
    """Take in what the server made of an item; whether it answered."""
    remaining_s = deadline.remaining()
    try:
        line.ack.result(patience_s if remaining_s is None else min(patience_s, remaining_s))
    except ServerError as error:
        if line.behind not in (None, "root") and line.behind not in there:
            return True  # what it was to stand behind was refused, or got another id: it is sent again
        if DUPLICATE in (error.code, error.type):
            line.id = line.item.id
        elif line.item.id is not None and _is_about(line.item.id, error):
            line.item = attrs.evolve(line.item, id=None)
        else:
            line.refused = str(error)
        return True
    except RealtimeTimeout:
        line.confirmed = False
    line.id = line.ack.item_id
    there.add(line.id)
    return line.confirmed


def _is_about(item_id: str, error: ServerError) -> bool:
    """Whether the server refuses an item for its id, which is not to its liking."""
    return error.param == "item.id" or item_id in (error.message or "")


def _restored(history: History, lines: list[_Line]) -> Restored:
    refused = [
        LeftOut(item=line.item, reason=line.refused or "there was no time left to send it")
        for line in lines
        if line.id is None
    ]
    new_ids = {line.first_id or line.id: line.id for line in lines if line.id is not None}
    unconfirmed = tuple(line.id for line in lines if line.id is not None and not line.confirmed)
    if unconfirmed:
        _log.warning("the server has not confirmed %d restored items: they may not be there", len(unconfirmed))
    old_ids = {fitting: old for old, fitting in history.renamed.items()}
    renamed = {old_ids.get(first, first): new for first, new in new_ids.items() if old_ids.get(first, first) != new}
    return Restored(
        item_ids=tuple(new_ids.values()),
        left_out=(*history.left_out, *refused),
        as_text=tuple(new_ids[first] for first in history.as_text if first in new_ids),
        renamed=renamed,
        unconfirmed=unconfirmed,
    )
