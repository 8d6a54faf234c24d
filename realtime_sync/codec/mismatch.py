"""Values of a kind that a field cannot hold."""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["NOTHING_KEPT", "Mismatch", "faults_in_words", "kind_of"]

NOTHING_KEPT: Final[Any] = attrs.NOTHING


class Mismatch(TypeError):
    """A value of the wrong kind; the text never shows the value.

    ``kept`` is what could be made of it all the same: a float rounded, a list without its odd entries. ``faults`` are
    what is wrong, each with its place inside the value: more than one in a list.
    """

    def __init__(self, expected: str, got: Any, *, kept: Any = NOTHING_KEPT) -> None:
        text = f"expected {expected}, got {kind_of(got)}"
        super().__init__(text)
        self.kept = kept
        self.faults: list[tuple[str, str]] = [("", text)]

    def within(self, faults: list[tuple[str, str]]) -> Mismatch:
        """The same with faults that are inside the value."""
        self.faults = faults
        return self


def kind_of(value: Any) -> str:
    """What ``value`` is, for an error text that must not show it."""
    return "null" if value is None else type(value).__name__


_MOST_SHOWN: Final = 10


def faults_in_words(faults: list[tuple[str, str]]) -> str:
    """``path: what is wrong`` of all faults in one text; a long tail is counted only."""
    shown = [f"{path.lstrip('.')}: {text}" if path else text for path, text in faults[:_MOST_SHOWN]]
    more = len(faults) - len(shown)
    return "; ".join([*shown, f"and {more} more"] if more else shown)
