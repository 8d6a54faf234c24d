"""What the protocol says of a field besides its type: whether a client must send it, its bounds, its values.

These are metadata of the attrs fields, so they stand where the field is declared: ``field(metadata=at_least(0))``. A
field of what a client sends that has no default is required. The checks before sending and the local server read the
same facts, and a test compares them with the published schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import attrs

from realtime_sync.events.base import WireObject, fields_of

__all__ = [
    "LONGEST_APPEND",
    "LONGEST_ID",
    "LONGEST_METADATA_KEY",
    "LONGEST_METADATA_VALUE",
    "MOST_METADATA",
    "MOST_TOKENS",
    "Fact",
    "at_least",
    "between",
    "facts_of",
    "longest",
    "one_of",
    "optional",
    "reported",
    "required",
]

LONGEST_APPEND: Final = 15 * 2**20
"""The most characters of base64 in one event."""

LONGEST_ID: Final = 32
"""The most characters of an id that a client gives to an item or a function call."""

MOST_METADATA: Final = 16
"""The most pairs in the metadata of a response."""

MOST_TOKENS: Final = 4096
"""The most tokens that one response may be allowed."""

LONGEST_METADATA_KEY: Final = 64
LONGEST_METADATA_VALUE: Final = 512

Metadata = dict[str, Any]


def required(*, may_be_empty: bool = False) -> Metadata:
    """A client must send it, also where the class has a default; an empty text is as good as none, unless it
    ``may_be_empty``."""
    return {"required": True, "may_be_empty": may_be_empty}


def optional() -> Metadata:
    """The class requires it, since every server sends it; a client may leave it out."""
    return {"required": False}


def between(least: float, most: float, *, or_else: str | None = None) -> Metadata:
    """A number from ``least`` to ``most``, both included, or the one text that is allowed in its place."""
    return {"least": least, "most": most, "or_else": or_else}


def at_least(least: float) -> Metadata:
    """A number without an upper bound."""
    return {"least": least}


def longest(characters: int) -> Metadata:
    """A text of at most so many characters."""
    return {"longest": characters}


def one_of(*values: str) -> Metadata:
    """The values that OpenAI knows. Other servers have others, so only the local server looks at this."""
    return {"values": values}


def reported() -> Metadata:
    """Only the server sets it, or it has no place where a client would send it."""
    return {"reported": True}


class Fact(NamedTuple):
    """What is known of one field."""

    name: str
    required: bool
    may_be_empty: bool
    least: float | None
    most: float | None
    or_else: str | None
    longest: int | None
    values: tuple[str, ...]
    reported: bool
    says_of_text: bool
    """Whether it matters to a text that the field may hold."""


_known: Final[dict[type[WireObject], tuple[Fact, ...]]] = {}  # filled as classes are first asked for


def facts_of(cls: type[WireObject]) -> tuple[Fact, ...]:
    """The facts of every field that a wire class has on the wire."""
    found = _known.get(cls)
    if found is None:
        found = _known[cls] = tuple(_fact(a) for a in fields_of(cls) if a.name != "extra")
    return found


def _fact(attribute: attrs.Attribute[Any]) -> Fact:
    said: Mapping[str, Any] = attribute.metadata
    is_required = said.get("required", attribute.default is attrs.NOTHING)
    may_be_empty = said.get("may_be_empty", False)
    return Fact(
        name=attribute.name,
        required=is_required,
        may_be_empty=may_be_empty,
        least=said.get("least"),
        most=said.get("most"),
        or_else=said.get("or_else"),
        longest=said.get("longest"),
        values=said.get("values", ()),
        reported=said.get("reported", False),
        says_of_text=(is_required and not may_be_empty) or "longest" in said or said.get("or_else") is not None,
    )
