"""Writes what follows from the registries of events: the constants in ``events/types.py``, the imports and methods of
``events/visitor.py``, and for type checkers the ``type`` of each class of server events, the union of them in
``events/any.py`` and what `on`, `once` and `wait_for` make of a type string in ``session/keyed.py``.

Run it after an event class was added or renamed; with ``--check`` it changes nothing and says what is out of date.
"""

from __future__ import annotations

import ast
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


ANY = '''"""What comes from a server, for type checkers: it is narrowed by ``event.type == ...`` and by ``isinstance``.

Made by scripts/generate.py.
"""
# fmt: off

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from realtime_sync import events

    class _Unknown(events.UnknownEvent):
        type: Literal["<the type that the server sent>"] = "<the type that the server sent>"

    class _Malformed(events.MalformedEvent):
        type: Literal[""] = ""

    class EventOfAnyType(_Unknown):
        """What comes for a key that may be any string: its ``type`` may be compared with each."""

        type: Any

    AnyServerEvent = (
{members}
    )
else:
    from realtime_sync.events.base import ServerEvent as AnyServerEvent
    from realtime_sync.events.unknown import UnknownEvent as EventOfAnyType

__all__ = ["AnyServerEvent", "EventOfAnyType"]
'''
FALLBACKS = {"events.ServerEventType": "Any", "str": "EventOfAnyType"}
"""What a handler gets for a key that is no type string which is known. Were it `Any` for each string, mypy would take
that also for those that are known, and find nothing wrong with any handler."""
KEYED = '''"""What `on`, `once` and `wait_for` make of a type string, for type checkers; at run time nobody needs it.

Made by scripts/generate.py.
"""
# fmt: off
# mypy: disable-error-code="overload-overlap"

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar, overload

from realtime_sync import events
from realtime_sync.events.any import AnyServerEvent, EventOfAnyType

__all__ = ["Keyed"]

S = TypeVar("S", bound=events.ServerEvent)
E = TypeVar("E")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., object])
Handler = Callable[[S], object]


class Decorator(Protocol[E]):
    """Takes a function that handles such events, and gives it back."""

    def __call__(self, handler: Callable[[E], R], /) -> Callable[[E], R]: ...


class Keyed:
    """The verbs that take a class, a type string or ``"*"``."""
{verbs}'''


def names_of(registry: Mapping[str, Any]) -> dict[Any, list[str]]:
    """Each class with its types, its own first."""
    found: dict[Any, list[str]] = {cls: [cls.TYPE] for cls in classes_of(registry)}
    for name, cls in registry.items():
        found[cls] += [name] if name != cls.TYPE else []
    return found


def literal(names: Iterable[str]) -> str:
    """The type of these strings."""
    return f"Literal[{', '.join(map(repr, names))}]".replace("'", '"')


def discriminated(text: str, server: Mapping[str, Any]) -> str:
    """A module of events with the line that gives each class its ``type``, made anew."""
    lines = text.splitlines(keepends=True)
    by_name = {cls.__name__: names for cls, names in names_of(server).items()}
    for node in reversed(ast.parse(text).body):
        if not isinstance(node, ast.ClassDef) or not any("server_event" in ast.unparse(d) for d in node.decorator_list):
            continue
        names = by_name[node.name]
        made = f'    type: {literal(names)} = "{names[0]}"\n'
        if len(made) > WIDTH + 1:
            made = f'    type: {literal(names)} = (\n        "{names[0]}"\n    )\n'
        old = [entry for entry in node.body if isinstance(entry, ast.AnnAssign) and ast.unparse(entry.target) == "type"]
        if old:
            lines[old[0].lineno - 1 : old[0].end_lineno] = [made]
        elif len(node.body) == 1:
            lines.insert(node.body[0].end_lineno or 0, f"\n{made}")
        else:
            lines.insert((node.body[0].end_lineno or 0) + 1, made)
    return "".join(lines)


def any_event(server: Mapping[str, Any]) -> str:
    """The text of ``any.py``."""
    names = [*(f"events.{cls.__name__}" for cls in classes_of(server)), "_Unknown", "_Malformed"]
    return ANY.format(members="\n".join(f"        {'| ' if number else ''}{name}" for number, name in enumerate(names)))


def keyed(server: Mapping[str, Any], session: Any) -> str:
    """The text of ``keyed.py``."""
    named = [(f"events.{cls.__name__}", literal(names)) for cls, names in names_of(server).items()]
    verbs = ""
    for verb in ("on", "once"):
        more = ", *, replace: bool = ..." if verb == "on" else ""
        for cls, key in [*named, ("AnyServerEvent", 'Literal["*"]')]:
            verbs += overloaded(verb, f"key: {key}{more}", f"Decorator[{cls}]")
        verbs += overloaded(verb, f"key: type[S]{more}", "Decorator[S]")
        verbs += overloaded(verb, f"key: str{more}", "Callable[[F], F]")
        for cls, key in [*named, ("AnyServerEvent", 'Literal["*"]')]:
            verbs += overloaded(verb, f"key: {key}, handler: Callable[[{cls}], object]{more}", "None")
        verbs += overloaded(verb, f"key: type[S], handler: Handler[S]{more}", "None")
        for key, cls in FALLBACKS.items():
            verbs += overloaded(verb, f"key: {key}, handler: Callable[[{cls}], object]{more}", "None")
        more = more.replace("...", "False")
        verbs += defined(verb, f"key: Any, handler: Any = None{more}", session)
    least = "predicate: Callable[[{0}], object] | None = ..., timeout: float | None = ..."
    for cls, key in [*named, ("AnyServerEvent", 'Literal["*"]'), ("S", "type[S]")]:
        verbs += overloaded("wait_for", f"key: {key}, {least.format(cls)}", cls)
    for key, cls in FALLBACKS.items():
        verbs += overloaded("wait_for", f"key: {key}, {least.format(cls)}", "Any")
    verbs += defined("wait_for", "key: Any, predicate: Any = None, timeout: float | None = 10.0", session)
    return KEYED.format(verbs=verbs)


def overloaded(verb: str, parameters: str, result: str) -> str:
    """One way to call a verb."""
    head = f"    def {verb}(self, {parameters}) -> {result}: ..."
    if len(head) > WIDTH:
        head = f"    def {verb}(\n        self, {parameters}\n    ) -> {result}: ..."
        if max(map(len, head.splitlines())) > WIDTH:
            split = re.sub(r", (?=\*,|[a-z]+: )", ",\n        ", f"self, {parameters}")
            head = f"    def {verb}(\n        {split},\n    ) -> {result}: ..."
    return f"\n    @overload\n{head}\n"


def defined(verb: str, parameters: str, session: Any) -> str:
    """The verb itself, with the docstring that it has at run time: editors show it."""
    doc = inspect.getdoc(getattr(session, verb)) or ""
    lines = [f'"""{doc}"""'] if "\n" not in doc else [*f'"""{doc}'.splitlines(), '"""']
    text = "\n".join(f"        {line}".rstrip() for line in lines)
    return f"\n    def {verb}(self, {parameters}) -> Any:\n{text}\n        raise NotImplementedError\n"


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
    imported = ["CLIENT_EVENTS", "LOCAL_EVENTS", "SERVER_EVENTS", *sorted(names | {"MalformedEvent", "UnknownEvent"})]
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
    from realtime_sync.events import CLIENT_EVENTS, LOCAL_EVENTS, SERVER_EVENTS
    from realtime_sync.session import RealtimeSession

    path = EVENTS / "visitor.py"
    arriving = {**SERVER_EVENTS, **LOCAL_EVENTS}  # what a session dispatches
    modules = [EVENTS / f"{name}.py" for name in ("server", "translation", "notices")]
    return {
        **{module: discriminated(module.read_text(encoding="utf-8"), arriving) for module in modules},
        EVENTS / "any.py": any_event(arriving),
        EVENTS.parent / "session" / "keyed.py": keyed(arriving, RealtimeSession),
        EVENTS / "types.py": types(CLIENT_EVENTS, SERVER_EVENTS),
        path: visitor(path.read_text(encoding="utf-8"), CLIENT_EVENTS, arriving),
    }


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` compare them."""
    stale = [path for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
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
