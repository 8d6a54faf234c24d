from __future__ import annotations

import importlib.metadata
import re
from importlib.resources import files
from pathlib import Path

from realtime_sync._version import __version__


def test_the_installed_metadata_have_the_version_of_the_code() -> None:
    assert importlib.metadata.version("realtime-sync") == __version__


def test_the_changelog_has_a_section_of_the_version() -> None:
    changes = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+) - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)
    assert released[0] == __version__


def test_the_package_says_that_it_is_typed() -> None:
    assert files("realtime_sync").joinpath("py.typed").is_file()
