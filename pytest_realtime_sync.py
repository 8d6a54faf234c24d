"""The pytest plugin of realtime_sync: a local Realtime server, and recorded talks, as fixtures.

It stands beside the package and imports nothing of it before a fixture is used: pytest loads it at the start of every
run, whether Realtime is tested there or not, and before coverage is measured.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from realtime_sync.local import LocalServer

_SERVER = pytest.StashKey["LocalServer"]()
_VERDICT = pytest.StashKey[Callable[[], None]]()
_PASSED = pytest.StashKey[bool]()
_LOOPBACK = "127.0.0.1,localhost,::1"
_MOST_LINES = 500


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers",
        "realtime_replies(*replies): what the model of the fixture realtime_server says, one for each response",
    )
    config.addinivalue_line(
        "markers", "realtime_server(replies, **options): arguments of LocalServer for the fixture realtime_server"
    )
    config.addinivalue_line(
        "markers", "realtime_cassette(path, mode, audio): the recording for the fixture realtime_cassette"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the record mode."""
    group = parser.getgroup("realtime")
    group.addoption(
        "--realtime-record",
        choices=("none", "once", "new_episodes", "all"),
        default="none",
        help="whether cassettes of realtime_cassette are recorded, as VCR's record modes (default: none)",
    )


@pytest.fixture
def realtime_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A `realtime_sync.local.LocalServer` that ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` name.

    The test fails when a client did something wrong, when something failed in the server, and when replies of the
    script are left; with ``@pytest.mark.realtime_server(strict=False)`` it does not.
    """
    from realtime_sync.local import LocalServer

    options = _options(request.node)
    strict = options.pop("strict", True)
    with LocalServer(**options) as server:
        _show(server, monkeypatch, options.get("api_key"))
        request.node.stash[_SERVER] = server
        if strict:
            request.node.stash[_VERDICT] = server.assert_done
        yield server


@pytest.fixture
def realtime_cassette(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A `realtime_sync.local.LocalServer` that plays the recording of this test, or makes it of a real server.

    The recording is ``cassettes/<module>/<test>.jsonl`` beside the test, or what the marker names:
    ``@pytest.mark.realtime_cassette(path, mode=, audio=)``. ``--realtime-record`` says whether to record; then
    ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` are those of the real server, and the program under test gets others. The
    test fails at the first difference, and when connections of the recording are not made.
    """
    from realtime_sync.errors import ConfigurationError
    from realtime_sync.local.cassette import Cassette

    path, mode, options = _cassette_of(request)
    upstream = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
    try:
        cassette = Cassette.open(
            path, mode, upstream=upstream, upstream_key=os.environ.get("OPENAI_API_KEY"), **options
        )
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        with cassette.server as server:
            _show(server, monkeypatch, None)
            request.node.stash[_SERVER] = server
            request.node.stash[_VERDICT] = cassette.assert_done
            yield server
    finally:
        cassette.close(keep=request.node.stash.get(_PASSED, False))


def _show(server: LocalServer, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """Let the environment name the server."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", key or "sk-of-the-local-server")
    # A proxy of the person who runs the tests has no way to this machine.
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), _LOOPBACK))))
    if server.ca_file is not None:
        monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)
        monkeypatch.setenv("NODE_EXTRA_CA_CERTS", server.ca_file)


def _options(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the server that the markers of a test give; the nearest marker wins."""
    options: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("realtime_server"))):
        options.update(_named(marker))
    replies = item.get_closest_marker("realtime_replies")
    if replies is not None:
        options["replies"] = list(replies.args)
    return options


def _named(marker: pytest.Mark) -> dict[str, Any]:
    """The arguments of the server that one marker gives, by their names."""
    from realtime_sync.local import LocalServer

    try:
        return signature(LocalServer).bind_partial(*marker.args, **marker.kwargs).arguments
    except TypeError:
        LocalServer(*marker.args, **marker.kwargs)  # says what is wrong with them
        raise


def _cassette_of(request: pytest.FixtureRequest) -> tuple[Path, str, dict[str, Any]]:
    """The recording of a test, its record mode, and arguments of the server."""
    options: dict[str, Any] = {}
    path = None
    for marker in reversed(list(request.node.iter_markers("realtime_cassette"))):
        options.update(marker.kwargs)
        path = marker.args[0] if marker.args else path
    name = re.sub(r"[^\w.\-]+", "_", request.node.name).strip("_")
    directory = request.path.parent
    place = directory / path if path is not None else directory / "cassettes" / request.path.stem / f"{name}.jsonl"
    return place, options.pop("mode", request.config.getoption("--realtime-record")), options


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge the server as a part of the test, so that it is the test that fails."""
    result = yield
    verdict = item.stash.get(_VERDICT, None)
    if verdict is not None:
        verdict()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what went over the wire when a test fails, and what was wrong with it: that may be the cause."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
        server = item.stash.get(_SERVER, None)
        if server is not None and report.failed:
            lines = [str(entry) for entry in server.log]
            left_out = [f"({len(lines) - _MOST_LINES} messages before)"] if len(lines) > _MOST_LINES else []
            report.sections.append(("Realtime messages", "\n".join(left_out + lines[-_MOST_LINES:])))
            report.sections.append(("Realtime verdict", _judged(item)))
    return report


def _judged(item: pytest.Item) -> str:
    try:
        item.stash[_VERDICT]()
    except (AssertionError, KeyError) as verdict:
        return str(verdict) if isinstance(verdict, AssertionError) else "not asked for"
    return "all as it should be"
