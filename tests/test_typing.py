"""`mypy --strict` on users' scripts finds what the comments in them say, and nothing else.

``# R: type`` expects a revealed type, ``# E: code ...`` errors with these codes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import realtime_sync

pytest.importorskip("mypy")

SCRIPTS = sorted((Path(__file__).parent / "typing").glob("*.py"))
Found = list[tuple[int, str, str]]


def expected(script: Path) -> Found:
    found = []
    for number, line in enumerate(script.read_text().splitlines(), 1):
        for kind, text in re.findall(r"# ([RE]): (.*)$", line):
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
