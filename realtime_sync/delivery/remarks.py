"""What happened meanwhile that may explain why a wait has timed out."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Remarks"]

_MOST_KEPT: Final = 16
_MOST_TOLD: Final = 3


class Remarks:
    """The latest remarks, numbered. Noted on the dispatching thread; any thread may ask."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, str]] = deque(maxlen=_MOST_KEPT)
        self._others: deque[tuple[int, str]] = deque(maxlen=_MOST_KEPT)
        self.count = 0
        """How many there have been: a mark for `since`."""
        self.answers = 0
        """How many of them were something that the server said in place of what it was asked for."""

    def note(self, text: str, *, answer: bool = True) -> None:
        """Remember ``text``."""
        self.count += 1
        self.answers += answer
        (self._kept if answer else self._others).append((self.count, text))

    def since(self, mark: int) -> str:
        """What was noted since ``count`` was ``mark``, to be put behind another text; empty when nothing was. Where it
        was too much, the latest is told, and answers rather than anything else."""
        noted = {text: number for number, text in [*self._others, *self._kept] if number > mark}
        told = sorted(list(noted.items())[-_MOST_TOLD:], key=lambda entry: entry[1])
        return f"; meanwhile {', and '.join(text for text, _ in told)}" if told else ""
