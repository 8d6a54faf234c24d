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
        self.count = 0
        """How many there have been: a mark for `since`."""
        self.answers = 0
        """How many of them were something that the server said in place of what it was asked for."""

    def note(self, text: str, *, answer: bool = True) -> None:
        """Remember ``text``."""
        self.count += 1
        self.answers += answer
        self._kept.append((self.count, text))

    def since(self, mark: int) -> str:
        """What was noted since ``count`` was ``mark``, to be put behind another text; empty when nothing was."""
        texts = list(dict.fromkeys(text for number, text in list(self._kept) if number > mark))
        return f"; meanwhile {', and '.join(texts[-_MOST_TOLD:])}" if texts else ""
