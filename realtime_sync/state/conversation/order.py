"""The order of a conversation's items, from what the server says stands before each."""

from __future__ import annotations

from typing import Final

__all__ = ["ROOT", "ItemOrder"]

ROOT: Final = "root"
"""What stands for the beginning where the protocol has a previous id."""


class ItemOrder:
    """Item ids in order. An id stays where it is once its place was told; ids of deleted items stay as well, since
    others may still be placed behind them.

    A server that leaves out the previous id gets the order of arrival. Only once one previous id has made sense does
    a missing one mean what the protocol says, the beginning.
    """

    __slots__ = ("_ids", "_previous", "_telling", "_unplaced", "_waiting")

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._previous: dict[str, str] = {}  # what was told to stand before an id, known or not
        self._waiting: dict[str, str] = {}  # the part of it that is not known yet; these stand at the end for now
        self._unplaced: dict[str, bool] = {}  # ids without a previous one; whether that may mean the beginning
        self._telling = False  # whether the server has named a previous id that exists

    def ids(self) -> list[str]:
        """All ids in order."""
        return list(self._ids)

    def rename(self, old_id: str, new_id: str) -> None:
        """The item has another id now."""
        ids = {old_id: new_id}
        self._ids = [ids.get(known, known) for known in self._ids]
        for kept in (self._previous, self._waiting):
            renamed = {ids.get(known, known): ids.get(previous, previous) for known, previous in kept.items()}
            kept.clear()
            kept.update(renamed)
        self._unplaced = {ids.get(known, known): may_lead for known, may_lead in self._unplaced.items()}

    def place(self, item_id: str, previous_id: str | None, *, may_lead: bool) -> None:
        """Put ``item_id`` behind ``previous_id`` (``root``: at the beginning), or leave it where it is when its place
        is known. Without a previous id it goes to the end; ``may_lead`` says that it can be the beginning instead."""
        if not previous_id or previous_id == item_id:
            self._place_unplaced(item_id, may_lead and not previous_id)
        elif not self._knows(item_id):
            self._insert(item_id, previous_id)
        elif self._unplaced.pop(item_id, None) is not None:
            self._ids.remove(item_id)
            self._insert(item_id, previous_id)

    def forget(self, item_id: str) -> None:
        """Drop an id: it will be placed anew."""
        if self._knows(item_id):
            self._ids.remove(item_id)
        for kept in (self._previous, self._waiting, self._unplaced):
            kept.pop(item_id, None)

    def _place_unplaced(self, item_id: str, may_lead: bool) -> None:
        if self._knows(item_id):
            return
        self._unplaced[item_id] = may_lead
        self._ids.insert(0 if may_lead and self._telling else len(self._ids), item_id)
        self._arrived(item_id)

    def _insert(self, item_id: str, previous_id: str) -> None:
        self._previous[item_id] = previous_id
        if previous_id == ROOT:
            self._tell()
            self._ids.insert(0, item_id)
        elif self._knows(previous_id):
            self._tell()
            self._ids.insert(self._behind(previous_id), item_id)
        else:
            self._waiting[item_id] = previous_id
            self._ids.append(item_id)
        self._arrived(item_id)

    def _knows(self, item_id: str) -> bool:
        return item_id in self._previous or item_id in self._unplaced

    def _behind(self, item_id: str) -> int:
        if self._ids[-1] == item_id:
            return len(self._ids)
        return self._ids.index(item_id) + 1

    def _arrived(self, item_id: str) -> None:
        """Fetch what waits for this id, each with all that was placed behind it meanwhile."""
        for waiting in [i for i, previous in self._waiting.items() if previous == item_id]:
            del self._waiting[waiting]
            self._tell()
            start = end = self._ids.index(waiting)
            block: list[str] = []
            while end < len(self._ids) and (end == start or self._previous.get(self._ids[end]) in block):
                block.append(self._ids[end])
                end += 1
            if item_id in block:  # the two name each other
                continue
            del self._ids[start:end]
            behind = self._behind(item_id)
            self._ids[behind:behind] = block

    def _tell(self) -> None:
        """A previous id made sense: from now on, and for what came before, a missing one means the beginning."""
        if self._telling:
            return
        self._telling = True
        ids: list[str] = []
        for item_id in self._ids:
            ids.insert(0 if self._unplaced.get(item_id) else len(ids), item_id)
        self._ids = ids
