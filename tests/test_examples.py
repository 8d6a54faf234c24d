"""Each example runs as a user runs it, on the local server, and prints and writes what it says it does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime_sync.local import LocalServer

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = {path.stem for path in EXAMPLES.glob("*.py")} - {"_where"}
TESTED = {"text", "callbacks", "visitor", "wav_file", "tools", "notebook", "demo"}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python in an empty directory; any warning of the program is an error."""

    def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)

    return run


@pytest.fixture
def output_of(run: Run) -> Callable[..., list[str]]:
    """The lines that an example prints; it must succeed and say nothing on stderr."""

    def output_of(name: str, *arguments: Any) -> list[str]:
        done = run(EXAMPLES / f"{name}.py", *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout.splitlines()

    return output_of


def test_every_example_is_tested() -> None:
    assert PROGRAMS == TESTED


def test_text(output_of: Callable[..., list[str]]) -> None:
    assert output_of("text") == [
        "The whole reply: You said: Name one planet.",
        "As it streams:  You said: And another one?",
        "30 tokens, of which 7 for the answer",
    ]


def test_with_a_key_they_go_where_the_environment_says(
    output_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalServer(["Mars.", "Venus."], api_key="sk-1234") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        printed = output_of("text")
        assert printed[:2] == ["The whole reply: Mars.", "As it streams:  Venus."]
        assert [request.query for request in server.requests] == [{"model": "gpt-realtime"}]
    assert "sk-1234" not in "".join(printed)


def test_callbacks(output_of: Callable[..., list[str]]) -> None:
    opened, said, status, complaint, counted = output_of("callbacks")
    assert re.fullmatch(r"Opened sess_\w+", opened)
    assert (said, status) == ("You said: Say something nice.", "(completed)")
    assert complaint.startswith("The server says:")
    assert "item_that_is_not_there" in complaint
    assert re.fullmatch(r"\d+ events of \d+ types", counted)


def test_visitor(output_of: Callable[..., list[str]]) -> None:
    you, model, others = output_of("visitor")
    assert you == "You:   What is a visitor?"
    assert model == "Model: You said: What is a visitor?"
    assert re.fullmatch(r"\([1-9]\d* other events\)", others)


def test_wav_file(output_of: Callable[..., list[str]], tmp_path: Path) -> None:
    said, written = output_of("wav_file")
    assert said == "The model says: You said: (3.1 seconds of audio)"
    assert re.fullmatch(r"answer\.wav: 2\.2 s; first audio after \d+\.\d\d s", written)
    assert 2.1 < length_s(tmp_path / "answer.wav") < 2.3


def test_wav_file_takes_other_files_and_says_what_is_wrong_with_them(
    output_of: Callable[..., list[str]], run: Run, tmp_path: Path
) -> None:
    said, _ = output_of("wav_file", EXAMPLES / "speech-two-turns.wav", "b.wav")
    assert said == "The model says: You said: (6.0 seconds of audio)"
    assert (tmp_path / "b.wav").exists()
    (tmp_path / "bad.wav").write_bytes(b"no WAV")
    for wrong, told in (("bad.wav", "it is not a WAV file"), ("missing.wav", "cannot read 'missing.wav'")):
        failed = run(EXAMPLES / "wav_file.py", wrong)
        assert failed.returncode == 1
        assert told in failed.stderr.splitlines()[-1]


def test_tools(output_of: Callable[..., list[str]]) -> None:
    called, told, declined, counted = output_of("tools")
    assert called == "  (looking the weather of Paris up, in degrees celsius)"
    assert json.loads(told.removeprefix("The tool says: ")) == {"city": "Paris", "sky": "clear", "celsius": 21}
    assert "The user has to be asked first." in declined
    assert counted == "2 responses; the first one called delete_files"


NOTEBOOK = [
    "You said: Tell me about notebooks.",
    "completed 21",
    "You said: And without the callback?",
]


def test_notebook_as_a_script(output_of: Callable[..., list[str]]) -> None:
    opened, *said, closed = output_of("notebook")
    assert said == NOTEBOOK
    assert (opened.endswith(": open>"), closed.endswith(": closed>")) == (True, True)


RUN_CELLS = """
import json, sys
sys.path.insert(0, sys.argv[1])
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1] + "/notebook.ipynb", encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
"""


def test_notebook_cell_by_cell(run: Run) -> None:
    done = run("-W", "ignore::ResourceWarning", "-c", RUN_CELLS, EXAMPLES)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:-1] == NOTEBOOK


def test_the_notebook_has_the_cells_of_its_script() -> None:
    document = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in document["cells"])
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]]
    script = (EXAMPLES / "notebook.py").read_text(encoding="utf-8")
    expected = []
    for block in script.split("# %%")[1:]:
        head, _, body = block.partition("\n")
        lines = body.strip("\n").split("\n")
        if head.strip() == "[markdown]":
            expected.append(("markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)))
        else:
            expected.append(("code", "\n".join(lines)))
    assert cells == expected


def test_demo(output_of: Callable[..., list[str]], tmp_path: Path) -> None:
    printed = "\n".join(output_of("demo"))
    assert "Sent speech.wav in 37 pieces of 100 ms" in printed
    assert "You:    What is the weather in Paris right now?" in printed
    assert 'Tool:   get_weather -> {"city": "Paris", "sky": "clear", "celsius": 21}' in printed
    assert "Model:  In Paris the sky is clear and it is 21 degrees." in printed
    assert re.search(r"Response 2: \d+ tokens in \(\d+ text, \d+ audio, \d+ of them cached\), \d+ out", printed)
    assert re.search(r"First word \d+\.\d\d s after the question, everything in \d+\.\d s", printed)
    assert 3.1 < length_s(tmp_path / "out" / "reply.wav") < 3.3


def test_the_demo_says_why_it_fails(run: Run, tmp_path: Path) -> None:
    without_key = run(EXAMPLES / "demo.py", "--openai")
    assert without_key.returncode == 1
    assert "no API key: set OPENAI_API_KEY" in without_key.stderr
    (tmp_path / "out").write_text("a file where the directory should be")
    unwritable = run(EXAMPLES / "demo.py")
    assert unwritable.returncode == 1
    assert "The demo failed: FileExistsError" in unwritable.stderr


def length_s(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        return file.getnframes() / file.getframerate()
