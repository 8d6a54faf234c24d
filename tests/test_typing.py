"""Type checkers find in users' scripts what the comments in them say, and nothing else.

For `mypy --strict` ``# R: type`` expects a revealed type, ``# E: code ...`` errors with these codes; for pyright
``# P: rule`` an error by its own name of the rule.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PROCESS_S

import realtime_sync
from realtime_sync.session.options import RunnerOptions, ToolOptions
from realtime_sync.tools import ToolRunner, Toolset

pytest.importorskip("mypy")

SCRIPTS = sorted((Path(__file__).parent / "typing").glob("*.py"))
Found = list[tuple[int, str, str]]


def expected(script: Path) -> Found:
    found = []
    for number, line in enumerate(script.read_text().splitlines(), 1):
        for kind, text in re.findall(r"# ([RE]): (.*?)(?=  # P:|$)", line):
            found += [(number, kind, part) for part in (text.split() if kind == "E" else [text])]
    return sorted(found)


def reported(script: Path, output: str) -> Found:
    found = []
    for line in output.splitlines():
        match = re.match(r".*?:(\d+): (\w+): (.*)$", line)
        assert match, line
        number, severity, text = int(match[1]), match[2], match[3]
        if severity == "error":
            found.append((number, "E", text.rpartition("[")[2].rstrip("]")))
        elif revealed := re.match(r'Revealed type is "(.*)"', text):
            found.append((number, "R", revealed[1].replace("builtins.", "").rstrip("?")))
    return sorted(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_users_script(script: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    package = Path(realtime_sync.__file__).parent
    assert (package / "py.typed").exists()
    environment = dict(os.environ)
    if package.parent.name != "site-packages":  # where mypy finds it by itself, and refuses to be told
        environment["MYPYPATH"] = str(package.parent)
    cache = tmp_path_factory.getbasetemp() / "mypy"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file=",
            "--no-error-summary",
            f"--cache-dir={cache}",
            script,
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stderr == ""
    assert reported(script, done.stdout) == expected(script)


def pyright() -> list[str]:
    """The command of pyright: of the npm package, or of basedpyright, which brings its own node."""
    root = Path(os.environ.get("REALTIME_SYNC_PYRIGHT", "build/pyright"))
    program = root / "node_modules" / "pyright" / "index.js"
    node = shutil.which("node")
    if node is not None and program.exists():
        return [node, str(program.resolve())]
    based = Path(sys.executable).parent / "basedpyright"
    if based.exists():
        return [str(based)]
    pytest.skip(f"neither pyright (npm install --prefix {root} pyright) nor basedpyright (pip) is installed")


@pytest.mark.slow
def test_pyright_finds_what_it_should(tmp_path: Path) -> None:
    command = pyright()
    settings = {
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "extraPaths": [str(Path(realtime_sync.__file__).parents[1])],
        "enableTypeIgnoreComments": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    for script in SCRIPTS:
        shutil.copy(script, tmp_path)
    done = subprocess.run(
        [*command, "--outputjson", "--pythonpath", sys.executable, "--project", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PROCESS_S,
    )
    told = [d for d in json.loads(done.stdout)["generalDiagnostics"] if d["severity"] == "error"]
    found = {(Path(d["file"]).name, d["range"]["start"]["line"] + 1, d.get("rule")) for d in told}
    wanted = {
        (script.name, number, rule)
        for script in SCRIPTS
        for number, line in enumerate(script.read_text().splitlines(), 1)
        for rule in re.findall(r"# P: (\w+)", line)
    }
    assert found == wanted, told


@pytest.mark.parametrize(("options", "function"), [(ToolOptions, Toolset.tool), (RunnerOptions, ToolRunner)])
def test_the_typed_options_are_those_of_what_they_are_handed_to(options: type, function: object) -> None:
    assert callable(function)
    parameters = inspect.signature(function).parameters.values()
    assert set(options.__annotations__) == {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
