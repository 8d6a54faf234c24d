from __future__ import annotations

import importlib.metadata
from importlib.resources import files

from realtime_sync._version import __version__


def test_the_installed_metadata_have_the_version_of_the_code() -> None:
    assert importlib.metadata.version("realtime-sync") == __version__


def test_the_package_says_that_it_is_typed() -> None:
    assert files("realtime_sync").joinpath("py.typed").is_file()
