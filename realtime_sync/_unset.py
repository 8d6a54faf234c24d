"""The third state of an optional field: left out of the message."""

from __future__ import annotations

import enum
from typing import Final, Literal

__all__ = ["UNSET", "Unset"]


class Unset(enum.Enum):
    """The type of `UNSET`; an enum, so that a type checker narrows ``value is UNSET``."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Leaves a field out of the message. Where the protocol gives ``null`` a meaning (it switches turn detection
off, say), ``None`` is sent as ``null``, and `UNSET` says nothing about the field at all. `UNSET` is falsy."""
