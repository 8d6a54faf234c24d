"""Writes what follows from the registries of events: the constants in ``events/types.py``, and the imports and methods
of ``events/visitor.py``.

Run it after an event class was added or renamed; with ``--check`` it changes nothing and says what is out of date.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EVENTS = ROOT / "realtime_sync" / "events"
WIDTH = 120

TYPES = '''"""The event types of the protocol as constants. Made by scripts/generate.py."""

from __future__ import annotations

from enum import Enum

__all__ = ["ClientEventType", "ServerEventType"]
'''
ENUM = '''

class {side}EventType(str, Enum):
    """The types of the events that a {who} sends; each is its wire string, so it can be used wherever one can."""

{constants}

    def __str__(self) -> str:
        return self.value
'''


def classes_of(registry: Mapping[str, Any]) -> list[Any]:
    """The classes of a registry, each once."""
    return list(dict.fromkeys(registry.values()))


def types(client: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    """The text of ``types.py``."""
    text = TYPES
    for side, registry in (("Client", client), ("Server", server)):
        names = [(cls.TYPE.replace(".", "_").upper(), cls.TYPE) for cls in classes_of(registry)]
        constants = "\n".join(f'    {name} = "{kind}"' for name, kind in names)
        text += ENUM.format(side=side, who=side.lower(), constants=constants)
    return text


def summary(cls: Any, room: int) -> str:
    """The first sentence of a class, or as much of it as fits."""
    text = " ".join(inspect.cleandoc(cls.__doc__).split())
    text = re.split(r"\.(?: (?=[A-Z`])|$)", text, maxsplit=1)[0]
    text = text if text[1].isupper() else text[0].lower() + text[1:]
    for end in (";", ":", " (", ","):
        text = text.split(end)[0] if len(text) > room else text
    text = text.rpartition(" of ")[0] if len(text) > room else text
    assert len(text) <= room, f"the docstring of {cls.__name__} begins with a sentence that is too long"
    return text


def method(cls: Any) -> str:
    """The method of a visitor for one class."""
    head = f"    def {cls.VISIT}(self, event: {cls.__name__}) -> T | None:"
    if len(head) > WIDTH:
        head = f"    def {cls.VISIT}(\n        self, event: {cls.__name__}\n    ) -> T | None:"
    begin = f'        """``{cls.TYPE}``: '
    doc = f'{begin}{summary(cls, WIDTH - len(begin) - 4)}."""'
    return f"{head}\n{doc}\n        return self.default(event)\n"


def visitor(text: str, client: Mapping[str, Any], server: Mapping[str, Any]) -> str:
    """The text of ``visitor.py`` with its imports and methods made anew."""
    names = {cls.__name__ for cls in [*classes_of(client), *classes_of(server)]}
    imported = ["CLIENT_EVENTS", "SERVER_EVENTS", *sorted(names | {"MalformedEvent", "UnknownEvent"})]
    text = between(text, "from realtime_sync.events import (\n", ")\n", (f"    {name},\n" for name in imported))
    for side, registry in (("server", server), ("client", client)):
        methods = "\n".join(map(method, classes_of(registry)))
        text = between(
            text, f"    # <{side}: made by scripts/generate.py>\n", f"    # </{side}>\n", ["\n", methods, "\n"]
        )
    return text


def between(text: str, begin: str, end: str, content: Iterable[str]) -> str:
    """The text with something else between two marks."""
    head, began, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    assert began, begin
    assert ended, end
    return head + begin + "".join(content) + end + tail


def made() -> dict[Path, str]:
    """Each file that is made here, and what it should be."""
    from realtime_sync.events import CLIENT_EVENTS, SERVER_EVENTS

    path = EVENTS / "visitor.py"
    return {
        EVENTS / "types.py": types(CLIENT_EVENTS, SERVER_EVENTS),
        path: visitor(path.read_text(encoding="utf-8"), CLIENT_EVENTS, SERVER_EVENTS),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` compare them."""
    stale = [path for path, text in made().items() if path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run python scripts/generate.py\n")
        return 1 if stale else 0
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main(sys.argv[1:]))
