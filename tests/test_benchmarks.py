"""The benchmarks run and say something about everything; how fast anything is, no test asserts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

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


def test_a_client_that_fails_or_hangs_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import run

    command: list[str] = []
    outcomes: list[Any] = [
        subprocess.CalledProcessError(1, command),
        subprocess.TimeoutExpired(command, 60),
        subprocess.CompletedProcess(command, 0, stdout=b'{"cpu": 1.5}'),
        *(subprocess.TimeoutExpired(command, 60) for _ in range(run._TRIES)),
    ]

    def outcome(*_: Any, **__: Any) -> Any:
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(run.subprocess, "run", outcome)
    bench = run.Bench(run.Address("http://x", "https://x"), run.QUICK)
    assert bench._once("memory", "TCP", "openai", 1) == {"cpu": 1.5}
    with pytest.raises(subprocess.TimeoutExpired):
        bench._once("memory", "TCP", "openai", 1)
    assert not outcomes


@pytest.mark.slow
@pytest.mark.timeout(960)  # some seventy processes, which a busy machine starts slowly
def test_the_smallest_run_has_every_row_with_numbers() -> None:
    from benchmarks.contestants import BARE, OPENAI, OURS
    from benchmarks.recorded import AUDIO_DELTAS, TEXT_DELTAS
    from benchmarks.report import FOOTPRINT, TCP, TLS, row
    from benchmarks.run import KINDS, contestants_of

    tiny = ["--runs=1", "--events=100", "--paced=3", "--stamps=3", "--streamed=2", "--sessions=3"]
    command = [sys.executable, "-m", "benchmarks", "--quick", *tiny]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    flood, paced = ({tuple(cells[:2]): cells for cells in rows(table)} for table in done.stdout.split("\n\n")[1:3])
    for layer in (TCP, TLS):
        wanted = [(row(kind, layer), contestant) for kind in KINDS for contestant in contestants_of(kind, layer)]
        wanted += [(row(AUDIO_DELTAS, layer, "sound"), name) for name in contestants_of(AUDIO_DELTAS, layer)]
        at_pace = [row(TEXT_DELTAS, layer), row(AUDIO_DELTAS, layer, "sound")]
        cells_of = [flood[key] for key in wanted]
        cells_of += [paced[title, contestant] for title in at_pace for contestant in (OURS, OPENAI, BARE)]
        for cells in cells_of:
            cpu_us, wall_us, against, above = cells[2:]
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


def test_no_id_of_an_event_or_a_response_comes_twice() -> None:
    from benchmarks.recorded import MIX, RESPONSES, TEXT_DELTAS, stream_of

    done = [decode_server_event(text) for text in stream_of(RESPONSES, 450)]
    assert len({event.response.id for event in done}) == 450  # type: ignore[attr-defined]
    assert len({item.id for event in done for item in event.response.output}) == 200  # type: ignore[attr-defined]
    deltas: list[Any] = [decode_server_event(text) for text in stream_of(TEXT_DELTAS, 450)]
    assert len({event.event_id for event in deltas}) == 450
    assert len({event.response_id for event in deltas}) == 9
    mix = [decode_server_event(text) for text in stream_of(MIX, 900)]
    assert len({event.event_id for event in mix}) == 900
    assert not [event for event in mix if isinstance(event, (UnknownEvent, MalformedEvent))]
