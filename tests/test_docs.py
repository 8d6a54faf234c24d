"""What the pages say is true: their snippets run, their links lead somewhere, and nothing public is left out."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from patience import PROCESS_S
from test_layering import ROW_OF

import realtime_sync as rt
from realtime_sync import audio, conversation, events, local, playback, recording, tools, usage
from realtime_sync.local import LocalServer

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "examples" / "README.md"])
FENCE = re.compile(r"^(?P<skip><!-- not run: .+ -->\n)?```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)

RUN_SNIPPETS = """
import pathlib, sys
names = {"__name__": "__main__"}
for path in map(pathlib.Path, sys.argv[2:]):
    code = path.read_text(encoding="utf-8")
    before = set(names)
    exec(compile(code, sys.argv[1], "exec"), names)
    for name in set(names) - before:
        if name.startswith("test_"):
            names[name]()
"""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def snippets_of(page: Path) -> list[tuple[str, bool]]:
    """Each snippet, its lines where they are on the page, and whether it is to be run."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in FENCE.finditer(text):
        lines_before = text.count("\n", 0, fence.start("code"))
        found.append(("\n" * lines_before + fence["code"], fence["skip"] is None))
    return found


PAGES_WITH_SNIPPETS = [page for page in PAGES if snippets_of(page)]


@pytest.mark.parametrize("page", PAGES_WITH_SNIPPETS, ids=name_of)
def test_the_snippets_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []
    for number, (code, is_run) in enumerate(snippets_of(page)):
        compile(code, name_of(page), "exec")
        if is_run:
            paths.append(tmp_path / f"snippet{number}.py")
            paths[-1].write_text(code, encoding="utf-8")
    (tmp_path / "examples").mkdir()
    for wav in (ROOT / "examples").glob("*.wav"):
        shutil.copy(wav, tmp_path / "examples")
    with LocalServer(api_key="sk-of-the-test") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", RUN_SNIPPETS, name_of(page), *map(str, paths)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PROCESS_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "sk-of-the-test" not in done.stdout + done.stderr


def anchors_of(page: Path) -> set[str]:
    """The anchors that a forge makes of the headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_the_pages_resolve(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in anchors_of(linked)):
            broken.append(target)
    assert broken == []


def documented() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def mentioned(name: str, text: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", text) is not None


CALLED_BY_THE_SESSION = {"apply", "end_unsent"}


def members(cls: type) -> set[str]:
    """The names of a class that are for users, those of instances included where the class says them."""
    slots = getattr(cls, "__slots__", ())
    fields = [field.name for field in getattr(cls, "__attrs_attrs__", ())]
    inherited = [name for base in cls.__mro__ if base.__module__.startswith("realtime_sync") for name in vars(base)]
    return {name for name in {*inherited, *slots, *fields} if not name.startswith("_")} - CALLED_BY_THE_SESSION


@pytest.mark.parametrize(
    "module",
    [rt, events, audio, local, conversation, playback, recording, tools, usage],
    ids=lambda module: module.__name__,
)
def test_every_public_name_is_documented(module: ModuleType) -> None:
    text = documented()
    assert [name for name in module.__all__ if not mentioned(name, text)] == []


@pytest.mark.parametrize(
    "cls",
    [rt.RealtimeSession, rt.Turn, rt.Ack, rt.Reply, local.LocalServer, local.Quirks, recording.Recorder],
)
def test_every_public_member_is_documented(cls: type) -> None:
    text = documented()
    assert [name for name in sorted(members(cls)) if not mentioned(name, text)] == []


@pytest.mark.parametrize("function", [rt.connect, local.LocalServer, tools.ToolRunner, tools.Toolset.tool])
def test_every_argument_is_documented(function: Callable[..., object]) -> None:
    text = documented()
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "session", "toolset")]
    assert [name for name in names if not mentioned(name, text)] == []


def test_every_event_is_in_the_tables() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    registered = {**events.SERVER_EVENTS, **events.CLIENT_EVENTS}
    missing = [
        kind for kind, cls in registered.items() if kind == cls.TYPE and f"| `{kind}` | `{cls.__name__}` |" not in page
    ]
    assert missing == []
    assert [kind for kind in registered if f"`{kind}`" not in page] == []


def test_the_limits_of_connect_are_what_the_page_says() -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `connect\((\w+)=\)` \| (\d+) \|", page, re.MULTILINE))
    parameters = inspect.signature(rt.connect).parameters.values()
    limits = {p.name: p.default for p in parameters if type(p.default) in (int, float)}
    assert {name: float(value) for name, value in told.items()} == limits


@pytest.mark.parametrize(
    ("function", "seconds"),
    [
        (rt.RealtimeSession.ask, 60),
        (rt.RealtimeSession.respond, 60),
        (rt.RealtimeSession.next_reply, 60),
        (rt.Ack.result, 10),
        (rt.RealtimeSession.wait_for, 10),
        (rt.RealtimeSession.recv, None),
        (rt.RealtimeSession.restore, 30),
        (rt.RealtimeSession.stop, 2),
        (rt.RealtimeSession.close, 2),
    ],
)
def test_the_other_limits_are_what_the_page_says(function: Callable[..., object], seconds: float | None) -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    shown = f"{function.__name__}(timeout=)`"
    row = next(line for line in page.splitlines() if line.startswith("| `") and shown in line)
    assert row.split(" | ")[1].strip("`") == str(seconds)
    assert inspect.signature(function).parameters["timeout"].default == seconds


def test_the_exceptions_are_in_both_tables() -> None:
    tree = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    kinds = [cls for cls in vars(rt).values() if isinstance(cls, type) and issubclass(cls, rt.RealtimeError)]
    assert [cls.__name__ for cls in kinds if f"── {cls.__name__}" not in tree and cls is not rt.RealtimeError] == []
    assert [cls.__name__ for cls in kinds if f"| `{cls.__name__}` |" not in table and cls is not rt.RealtimeError] == []


def test_the_architecture_page_knows_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    package = Path(rt.__file__).parent
    rooms = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(room for room in rooms - {"__init__"} if f"`{room}`" not in table) == []
    told = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[2])]
    assert set(told) - rooms == set()
    assert [ROW_OF[name] for name in told] == sorted(ROW_OF[name] for name in told)
