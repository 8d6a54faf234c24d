"""What is made from the registries is as the generator would make it now."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import realtime_sync
from realtime_sync.events import CLIENT_EVENTS, LOCAL_EVENTS, SERVER_EVENTS, ResponseCreate, ServerEvent

SCRIPT = Path(__file__).parents[1] / "scripts" / "generate.py"


@pytest.fixture
def generate() -> Any:
    spec = importlib.util.spec_from_file_location("generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_up_to_date(generate: Any) -> None:
    """If this fails: python scripts/generate.py."""
    package = Path(realtime_sync.__file__).parent
    for path, text in generate.made().items():
        assert (package / path.relative_to(generate.EVENTS.parent)).read_text(encoding="utf-8") == text


def test_a_new_event_gets_its_constant_and_its_method(generate: Any, tmp_path: Path) -> None:
    class ThingHappened(ServerEvent):
        """A thing has happened, e.g. rain. Nothing follows."""

    ThingHappened.TYPE, ThingHappened.VISIT = "thing.happened", "visit_thing_happened"
    arriving = {**SERVER_EVENTS, **LOCAL_EVENTS}
    server = {**arriving, "thing.happened": ThingHappened}
    assert '    THING_HAPPENED = "thing.happened"\n' in generate.types(CLIENT_EVENTS, server)
    before = (generate.EVENTS / "visitor.py").read_text(encoding="utf-8")
    after = generate.visitor(before, CLIENT_EVENTS, server)
    assert "    ThingHappened,\n" in after
    assert (
        "    def visit_thing_happened(self, event: ThingHappened) -> T | None:\n"
        '        """``thing.happened``: a thing has happened, e.g. rain."""\n'
        "        return self.default(event)\n"
    ) in after
    assert generate.visitor(after, CLIENT_EVENTS, arriving) == before


def test_what_is_out_of_date_is_told(
    generate: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert generate.main(["--check"]) == 0
    stale = tmp_path / "types.py"
    stale.write_text("old")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "made", lambda: {stale: "new"})
    assert generate.main(["--check"]) == 1
    assert "types.py is out of date" in capsys.readouterr().err
    assert generate.main([]) == 0
    assert stale.read_text() == "new"


def test_summaries_are_short(generate: Any) -> None:
    assert generate.summary(ResponseCreate, 100) == "make the model answer"
