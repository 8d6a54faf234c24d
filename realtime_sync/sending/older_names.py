"""Names of the preview's configuration, and where the same stands today: for the text of a refusal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from realtime_sync.errors import ServerError
from realtime_sync.events._other_names import OF_CONFIGURATIONS
from realtime_sync.events.base import WireObject, fields_of

__all__ = ["names_meant", "type_meant"]

_NOWHERE: Final = "is gone: leave it out"
_STEP: Final = re.compile(r"(\w+)|\[(\d{1,6})\]")
_MOST_CHANGES: Final = 2


def names_meant(error: ServerError, sent: Any) -> str:
    """What to write instead of the names of the preview, or of a misspelt one, in ``sent``, which the server refused
    with ``error``; empty when those are not the reason."""
    words = f"{error.code} {error.type} {error.message}".lower()
    if "unknown" not in words and "unrecognized" not in words and "unsupported" not in words:
        return ""
    return _of_the_preview(error, sent) or _misspelt(error, sent)


def _misspelt(error: ServerError, sent: Any) -> str:
    """The field of the class that the refused one is a slip of the pen for."""
    import difflib

    path, _, last = (error.param or "").rpartition(".")
    owner = sent
    for name, number in _STEP.findall(path):
        owner = getattr(owner, name, None) if name else _entry(owner, int(number))
    known = [field.name for field in fields_of(type(owner))] if isinstance(owner, WireObject) else []
    meant = difflib.get_close_matches(last, known, 1, 0.75)
    return f"did you mean {meant[0]!r}?" if meant and meant[0] != last else ""


def _entry(entries: Any, number: int) -> Any:
    return entries[number] if isinstance(entries, list) and number < len(entries) else None


def _of_the_preview(error: ServerError, sent: Any) -> str:
    hints = []
    for field in ("session", "response"):
        used = getattr(getattr(sent, field, None), "extra", {})
        root, _, named = (error.param or "").partition(".")
        names = [*used, *([named] if root == field and named not in used else [])]
        for name in names:
            new = OF_CONFIGURATIONS.get(name)
            if new is not None:
                hints.append(f"{field}.{name} {f'is {field}.{new} today' if new else _NOWHERE}")
        if "session" in used and field == "session":
            hints.append("the configuration stands in a second 'session': hand over the inner one")
    return "of the preview: " + "; ".join(hints) if hints else ""


def type_meant(kind: str, known: Mapping[str, Any]) -> str | None:
    """The type that ``kind`` is a slip of the pen for; ``None`` when it looks like a type of somebody's own."""
    import difflib

    for candidate in difflib.get_close_matches(kind, known, 3, 0.85):
        if _changes(kind, candidate) <= _MOST_CHANGES:
            return str(candidate)
    return None


def _changes(one: str, other: str) -> int:
    """How many characters have to be put in, taken out or replaced."""
    row = list(range(len(other) + 1))
    for number, mine in enumerate(one, 1):
        above, row[0] = row[0], number
        for place, theirs in enumerate(other, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (mine != theirs))
    return row[-1]
