"""The benchmarks run and say something about everything; how fast anything is, no test asserts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from realtime_sync import decode_server_event
from realtime_sync.events import MalformedEvent, UnknownEvent

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def rows(table: str) -> list[list[str]]:
    """The cells of the rows of all tables, heads included."""
    lines = (line.strip("| \n").split("|") for line in table.splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in line] for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(300)  # some forty processes, which a busy machine starts slowly
def test_the_smallest_run_has_every_row_with_numbers() -> None:
    from benchmarks.contestants import CONTESTANTS, OURS_ITERATED
    from benchmarks.recorded import AUDIO_DELTAS, MIX, RESPONSES, TEXT_DELTAS
    from benchmarks.report import FOOTPRINT

    tiny = ["--runs=1", "--events=60", "--stamps=3", "--streamed=2", "--sessions=3"]
    command = [sys.executable, "-m", "benchmarks", "--quick", *tiny]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found = {tuple(cells[:2]): cells for cells in rows(done.stdout)}
    for what in (TEXT_DELTAS, AUDIO_DELTAS, RESPONSES, MIX, "append of 100 ms of audio"):
        for contestant in CONTESTANTS:
            if (what, contestant) == ("append of 100 ms of audio", OURS_ITERATED):
                continue
            cpu_us, wall_us, against, above = found[what, contestant][2:]
            assert float(cpu_us) > 0
            assert float(wall_us) > 0
            assert against.endswith("x")
            assert above.endswith("x")
    named = {cells[0]: cells for cells in rows(done.stdout)}
    for title, _ in FOOTPRINT.values():
        assert float(named[title][1].split()[0]) >= 0
        assert float(named[title][2].split()[0]) >= 0


def test_what_is_served_consists_of_known_and_well_formed_events() -> None:
    from benchmarks.recorded import AUDIO_DELTAS, MIX, RESPONSES, TEXT_DELTAS, events_of, session_created

    for kind in (TEXT_DELTAS, AUDIO_DELTAS, RESPONSES, MIX):
        for text in (*events_of(kind), session_created()):
            event = decode_server_event(text)
            assert not isinstance(event, (UnknownEvent, MalformedEvent)), event
            assert not event.extra
