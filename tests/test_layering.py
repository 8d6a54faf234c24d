"""Who may import whom, and who alone touches what: read off the source of the package.

A room is a module or a sub-package directly under ``realtime_sync``. It imports only from rooms in rows above its own.
All imports count, in functions and for type checking too.
"""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest
from patience import PROCESS_S

import realtime_sync

PACKAGE = "realtime_sync"
ROOT = Path(realtime_sync.__file__).parent

FACADE = "__init__"
ROWS: list[set[str]] = [
    # What everything rests on.
    {"errors", "_containers", "_latest", "_secrets", "_unset", "_version"},
    {"_arguments", "_deadline", "_limits"},
    # What goes over the wire.
    {"events"},
    # Events <-> text; bytes <-> text; sound, which needs nothing but the first row.
    {"codec", "transport", "audio"},
    # From the socket to the handlers; talks written down, loaded when one is.
    {"delivery", "recording"},
    # What is known of a session.
    {"state"},
    # The way out.
    {"sending"},
    # Functions that the model calls; loaded when a session is given some.
    {"tools"},
    # The user's verbs, and how a session comes to be.
    {"session"},
    {FACADE, "conversation", "usage"},
    # Rooms that hang on the core by one seam each; the local server plays recordings too.
    {"playback"},
    {"local"},
]
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
HANGING = {room for rooms in ROWS[ROW_OF[FACADE] + 1 :] for room in rooms}

EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(module, room it imports against the direction): why that is right."""

OWNERS: dict[str, set[str]] = {
    "websocket": {"transport"},
    "python_socks": {"transport"},
    # The local server ends TLS; only the transport begins it.
    "ssl": {"transport", "local"},
    # The local server listens; only the transport dials.
    "socket": {"transport", "local"},
    "select": {"transport"},
    "selectors": {"transport"},
    f"{PACKAGE}.events.base.wire": {"events"},
    f"{PACKAGE}.events.family.Family": {"events"},
    "cattrs": {"codec"},
    "orjson": {"codec"},
    "pybase64": {"events", "codec"},
    "websockets": {"local"},
    "time.monotonic": {"_deadline"},
    "time.monotonic_ns": {"_deadline"},
    "time.perf_counter": {"_deadline"},
    "time.perf_counter_ns": {"_deadline"},
    "threading.Thread": {"delivery", "transport", "tools", "session"} | HANGING,
    "print": set(),
    "asyncio": set(),
    "numpy": set(),
    "openai": set(),
    "attr": set(),
}
"""What only these rooms touch while the program runs; to name a type in an annotation is free."""

NOT_LOADED = {"cattrs", "websocket", "websockets", "python_socks", "openai", "numpy", "asyncio"}


class Use(NamedTuple):
    """One mention of something from elsewhere: an import, ``time.monotonic`` or ``print``."""

    name: str
    line: int
    typing_only: bool


class Source(NamedTuple):
    module: str
    is_package: bool
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.module.split(".")[0]


def source_of(path: Path) -> Source:
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package and len(parts) > 1 else parts)
    return Source(name, is_package, ast.parse(path.read_text(encoding="utf-8")))


SOURCES = [source_of(path) for path in sorted(ROOT.rglob("*.py"))]
MODULES = {source.module for source in SOURCES}


def uses_of(source: Source) -> Iterator[Use]:
    """Everything imported, ``from x import y`` as ``x.y``, and each builtin or attribute that `OWNERS` names."""
    for node, typing_only in walk(source.tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(alias.name, line, typing_only)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Use(f"{origin(node, source)}.{alias.name}", line, typing_only)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in OWNERS:
            yield Use(ast.unparse(node), line, typing_only)
        elif isinstance(node, ast.Name) and hasattr(builtins, node.id):
            yield Use(node.id, line, typing_only)


def walk(node: ast.AST, typing_only: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """The tree with, for each node, whether it is there for the type checker only."""
    for field, value in ast.iter_fields(node):
        annotation = field in ("annotation", "returns")
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                only = typing_only or annotation or (field == "body" and is_type_checking(node))
                yield child, only
                yield from walk(child, only)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def origin(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = [PACKAGE, *([] if source.module == FACADE else source.module.split("."))]
    base = package[: len(package) - node.level + (source.is_package and source.module != FACADE)] or [PACKAGE]
    return ".".join([*base, *([node.module] if node.module else [])])


def imported_modules(source: Source) -> Iterator[tuple[str, Use]]:
    """Our own modules that the source imports, without the package's name; the facade for one of its names."""
    for use in uses_of(source):
        first, _, rest = use.name.partition(".")
        if first == PACKAGE and (rest or use.name == PACKAGE):
            while rest and rest not in MODULES and rest not in ROW_OF:
                rest = rest.rpartition(".")[0]
            yield rest or FACADE, use


def misdirected(source: Source) -> Iterator[tuple[str, int]]:
    """The rooms that the source imports though they are not above its own, with the line."""
    for module, use in imported_modules(source):
        room = module.split(".")[0]
        if source.room == FACADE and use.typing_only:
            # It tells type checkers of the names that it loads from the rooms on first use.
            continue
        # What has no row yet is reported by a test of its own.
        if room != source.room and ROW_OF.get(room, 0) >= ROW_OF.get(source.room, len(ROWS)):
            yield room, use.line


def trespasses(source: Source) -> Iterator[str]:
    """What the source touches though others own it."""
    for use in uses_of(source):
        for owned, owners in OWNERS.items():
            if not use.typing_only and source.room not in owners and f"{use.name}.".startswith(f"{owned}."):
                yield f"{source.module}:{use.line} touches {owned}, which is for {sorted(owners) or 'nobody'}"


def test_every_module_has_its_row() -> None:
    assert {source.room for source in SOURCES} - set(ROW_OF) == set()


def test_imports_go_upwards_only() -> None:
    found = [(source.module, room, line) for source in SOURCES for room, line in misdirected(source)]
    wrong = [f"{module}:{line} imports {room}" for module, room, line in found if (module, room) not in EXCEPTIONS]
    assert wrong == []
    assert set(EXCEPTIONS) <= {(module, room) for module, room, _ in found}, "an exception is no longer needed"


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {source.module: {module for module, _ in imported_modules(source)} for source in SOURCES}
    # The facade shows what stands below it, and may tell type checkers of what hangs on it.
    del graph[FACADE]
    try:
        TopologicalSorter({module: needed - {module} for module, needed in graph.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_everyone_touches_only_what_is_theirs() -> None:
    assert [text for source in SOURCES for text in trespasses(source)] == []


def test_importing_the_package_loads_no_room_and_nothing_heavy() -> None:
    code = f"import sys, {PACKAGE}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PROCESS_S, check=True)
    loaded = set(run.stdout.split())
    assert PACKAGE in loaded
    assert loaded & NOT_LOADED == set()
    assert loaded & {f"{PACKAGE}.{room}" for room in HANGING | {"audio", "recording"}} == set()


def test_what_is_completed_after_the_package_is_what_is_public() -> None:
    shown = set(dir(realtime_sync))
    assert set(realtime_sync.__all__) <= shown
    modules = {"audio", "conversation", "errors", "local", "playback", "recording", "tools", "usage"}
    assert shown - set(realtime_sync.__all__) == modules
    assert all(getattr(realtime_sync, name).__name__ == f"realtime_sync.{name}" for name in modules)


def made(module: str, text: str, *, is_package: bool = False) -> Source:
    return Source(module, is_package, ast.parse(text))


@pytest.mark.parametrize(
    ("module", "text", "room"),
    [
        ("codec", "from realtime_sync.session import RealtimeSession", "session"),
        ("codec", "from realtime_sync import session", "session"),
        ("codec", "from realtime_sync import connect", FACADE),
        ("codec", "import realtime_sync", FACADE),
        ("codec", "import realtime_sync.local.server", "local"),
        ("codec", "from . import local", "local"),
        ("codec.plain", "from ..delivery.inbox import Inbox", "delivery"),
        ("transport.dial", "from ..delivery import connection", "delivery"),
        ("codec", "def f():\n    from realtime_sync import local", "local"),
        ("codec", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from realtime_sync import local", "local"),
        ("codec", "from realtime_sync.transport.endpoint import Endpoint", "transport"),
        (FACADE, "from realtime_sync.local import LocalServer", "local"),
        (FACADE, "from .local import LocalServer", "local"),
    ],
)
def test_the_check_sees_a_wrong_direction(module: str, text: str, room: str) -> None:
    assert [wrong for wrong, _ in misdirected(made(module, text))] == [room]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("session", "from realtime_sync.codec import encode_event\nimport json"),
        ("session", "from realtime_sync import errors, events"),
        ("events.server", "from .items import Item\nfrom realtime_sync.events.base import wire\nfrom . import config"),
        ("playback", "import realtime_sync as rt\nfrom realtime_sync.session import RealtimeSession"),
        (FACADE, "from . import events\nif TYPE_CHECKING:\n    from realtime_sync.tools import Toolset"),
    ],
)
def test_the_check_lets_the_right_direction_pass(module: str, text: str) -> None:
    assert list(misdirected(made(module, text, is_package=module == FACADE))) == []


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("session", "import socket"),
        ("session", "from ssl import SSLContext"),
        ("session", "def f():\n    import websocket._core"),
        ("session", "import time\ntime.monotonic()"),
        ("session", "from time import monotonic as clock"),
        ("session", "print('x')"),
        ("tools", "list(map(print, []))"),
        ("sending", "import threading\nthreading.Thread()"),
        ("transport.endpoint", "from orjson import loads"),
        ("state.conversation.entry", "from realtime_sync.events.base import wire"),
        ("local", "import asyncio.subprocess"),
    ],
)
def test_the_check_sees_a_trespass(module: str, text: str) -> None:
    assert len(list(trespasses(made(module, text)))) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("transport.dial", "import socket, ssl\nimport websocket"),
        (
            "session.opening",
            "if TYPE_CHECKING:\n    import ssl\ndef f(context: ssl.SSLContext | None) -> ssl.SSLContext: ...",
        ),
        ("session", "import time\ntime.time()\nimport threading\nthreading.Lock()\nimport websocket_like"),
        ("session.opening", "printed = 1\nsession.print(2)"),
        ("local.server", "websocket = accept()\nwebsocket.recv()"),
    ],
)
def test_the_check_lets_owners_pass(module: str, text: str) -> None:
    assert list(trespasses(made(module, text))) == []
