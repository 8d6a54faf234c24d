"""A window without a screen, and a user who asks two questions and closes it."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Any

QUESTIONS = ["Hello?", "Still there?"]


class TclError(Exception): ...


class Tk:
    def __init__(self) -> None:
        self.due: list[tuple[float, int, Callable[[], object]]] = []
        self.order = count()
        self.parts: list[Any] = []

    def title(self, _: str) -> None: ...

    def after(self, delay_ms: int, call: Callable[[], object]) -> None:
        heapq.heappush(self.due, (time.monotonic() + delay_ms / 1000, next(self.order), call))

    def mainloop(self) -> None:
        text, entry = self.parts
        asked = 0
        end = time.monotonic() + 20
        while time.monotonic() < end:
            at, _, call = heapq.heappop(self.due)
            time.sleep(max(0.0, at - time.monotonic()))
            call()
            answered = text.content.count("You said") == asked and text.content[-1:] in ("", "\n")
            if answered and asked == len(QUESTIONS):
                break
            if answered:
                entry.text = QUESTIONS[asked]
                asked += 1
                entry.bound(None)
        print(text.content, end="")


class Widget:
    def __init__(self, root: Tk, **_: Any) -> None:
        root.parts.append(self)

    def pack(self, **_: Any) -> None: ...


class Text(Widget):
    content = ""

    def insert(self, where: str, text: str) -> None:
        assert where == "end"
        self.content += text

    def see(self, _: str) -> None: ...


class Entry(Widget):
    text = ""

    def bind(self, key: str, call: Callable[[Any], None]) -> None:
        assert key == "<Return>"
        self.bound = call

    def get(self) -> str:
        return self.text

    def delete(self, first: int, last: str) -> None:
        self.text = ""
