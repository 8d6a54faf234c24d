"""The order of the locks, as docs/architecture.md has it, watched in whole talks."""

from __future__ import annotations

import linecache
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync.audio import read_wav
from realtime_sync.local import LocalServer, ToolCall
from realtime_sync.playback import BargeIn, PlaybackTracker

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ORDER = re.findall(r"^\| `(\w+\.\w+)` \|", PAGE.partition("## Locks")[2].partition("## Tests")[0], re.MULTILINE)
ELSEWHERE = ("local", "recording")  # rooms of the other side
PACKAGE = Path(rt.__file__).parent


def _of_the_core(path: Path) -> bool:
    return path.is_relative_to(PACKAGE) and not set(ELSEWHERE) & set(path.relative_to(PACKAGE).parts)


class Watch:
    """Which lock was taken while which other was held, by name: the module and the attribute that it was made for."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()
        self.names: set[str] = set()
        self._held = threading.local()

    def made(self, kind: Any) -> Any:
        lock, name = kind(), self._name()
        return lock if name is None else Watched(self, lock, name)

    def _name(self) -> str | None:
        frame: Any = sys._getframe(2)
        while frame.f_code.co_filename in (threading.__file__, __file__):
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        line = linecache.getline(str(path), frame.f_lineno)
        found = re.match(r"\s*self\.(\w+)(: [^=]+)? = threading\.(R?Lock|Condition)\(", line)
        if found is None or not _of_the_core(path):
            return None
        self.names.add(name := f"{path.stem}.{found[1]}")
        return name

    @property
    def held(self) -> list[str]:
        if not hasattr(self._held, "names"):
            self._held.names = []
        names: list[str] = self._held.names
        return names

    def against_the_order(self) -> set[tuple[str, str]]:
        """What was taken while something below it was held."""
        place = {name: number for number, name in enumerate(ORDER)}
        return {pair for pair in self.pairs if place[pair[0]] > place[pair[1]]}

    def takes(self, name: str) -> None:
        self.pairs |= {(outer, name) for outer in self.held if outer != name}
        self.held.append(name)

    def gives(self, name: str) -> None:
        if name in self.held:
            self.held.reverse()
            self.held.remove(name)
            self.held.reverse()


class Watched:
    """A lock that says who takes it."""

    def __init__(self, watch: Watch, lock: Any, name: str) -> None:
        self._watch, self._lock, self._name = watch, lock, name

    def acquire(self, *arguments: Any, **options: Any) -> bool:
        taken: bool = self._lock.acquire(*arguments, **options)
        if taken:
            self._watch.takes(self._name)
        return taken

    def release(self) -> None:
        self._lock.release()
        self._watch.gives(self._name)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    for name in ("Lock", "RLock"):
        kind = getattr(threading, name)
        monkeypatch.setattr(threading, name, lambda kind=kind: made.made(kind))
    return made


def test_the_page_names_every_lock_of_the_core() -> None:
    assignment = re.compile(r"self\.(\w+)(?:: [^=]+)? = threading\.(?:R?Lock|Condition)\(")
    core = filter(_of_the_core, PACKAGE.rglob("*.py"))
    made = {f"{path.stem}.{name}" for path in core for name in assignment.findall(path.read_text(encoding="utf-8"))}
    assert made == set(ORDER)


@pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])
def test_locks_are_taken_in_the_order_of_the_page(watch: Watch, background: bool) -> None:
    replies = [ToolCall("add", {"a": 1, "b": 2}), "It is three.", "Another answer, long enough.", "Bye."]
    with LocalServer(replies) as server, rt.connect("m", base_url=server.base_url) as session:

        @session.tool
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        tracker = PlaybackTracker()
        tracker.attach(session)
        barge_in = BargeIn(session, tracker)
        session.on("response.output_text.delta", lambda event: str(session.conversation))
        session.once("response.done", lambda event: session.send_text("by the way"))
        if background:
            session.start()
        assert session.ask("What is 1 + 2?").transcript == "It is three."
        turn = session.respond("And now?")
        session.create_response()
        assert b"".join(turn.audio())
        while (chunk := tracker.take()) is not None:
            tracker.played(chunk)
        session.append_audio_bytes(read_wav(ROOT / "examples" / "speech.wav"))
        session.interrupt()
        barge_in.close()
        session.stop()
    assert {"dispatcher._pump", "acks._lock", "sequencer._lock", "runner._lock"} <= watch.names
    assert len(watch.pairs) > 10
    assert watch.against_the_order() == set()


def test_locks_are_taken_in_the_order_of_the_page_while_connections_change(watch: Watch) -> None:
    resume = rt.Resume(backoff_s=0, in_flight="ask_again")
    with (
        LocalServer([ToolCall("noon", {}), "Noon.", *["Again."] * 9], expires_after_s=2.0) as server,
        rt.connect("m", base_url=server.base_url, resume=resume) as session,
    ):

        @session.tool
        def noon() -> str:
            """The time."""
            server.drop()
            return "12:00"

        session.start()
        session.ask("What time is it?")
        session.append_audio_bytes(bytes(4800))
        server.drop()
        assert session.ask("Really?").transcript
        session.wait_for("session.resumed", lambda event: event.planned)
        assert session.ask("And now?").transcript
        session.stop()
    assert {"line._lock", "resumption._deciding", "worker._changed", "spoken._lock"} <= watch.names
    assert watch.against_the_order() == set()
