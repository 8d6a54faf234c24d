"""The pytest plugin of realtime_sync: a local Realtime server, and recorded talks, as fixtures.

It stands beside the package and imports nothing of it before a fixture is used: pytest loads it at the start of every
run, whether Realtime is tested there or not, and before coverage is measured.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from realtime_sync.local import LocalServer

_SERVER = pytest.StashKey["LocalServer"]()
_LOOPBACK = "127.0.0.1,localhost,::1"
_MOST_LINES = 500


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    config.addinivalue_line(
        "markers",
        "realtime_replies(*replies): what the model of the fixture realtime_server says, one for each response",
    )
    config.addinivalue_line(
        "markers", "realtime_server(**options): arguments of LocalServer for the fixture realtime_server"
    )


@pytest.fixture
def realtime_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """A `realtime_sync.local.LocalServer` that ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` name.

    The test fails when a client did something wrong, when something failed in the server, and when replies of the
    script are left; with ``@pytest.mark.realtime_server(strict=False)`` it does not.
    """
    from realtime_sync.local import LocalServer

    options = _options(request.node)
    with LocalServer(strict=False, **{name: value for name, value in options.items() if name != "strict"}) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", options.get("api_key") or "sk-of-the-local-server")
        # A proxy of the person who runs the tests has no way to this machine.
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, ",".join(filter(None, (os.environ.get(name), _LOOPBACK))))
        if server.ca_file is not None:
            monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)
            monkeypatch.setenv("NODE_EXTRA_CA_CERTS", server.ca_file)
        request.node.stash[_SERVER] = server
        yield server


def _options(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the server that the markers of a test give; the nearest marker wins."""
    options: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("realtime_server"))):
        options.update(marker.kwargs)
    replies = item.get_closest_marker("realtime_replies")
    if replies is not None:
        options["replies"] = list(replies.args)
    return options


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge the server as a part of the test, so that it is the test that fails."""
    result = yield
    server = item.stash.get(_SERVER, None)
    if server is not None and _options(item).get("strict", True):
        server.assert_done()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what went over the wire when a test fails."""
    report = yield
    server = item.stash.get(_SERVER, None)
    if server is not None and report.when == "call" and report.failed:
        lines = [str(entry) for entry in server.log]
        left_out = [f"({len(lines) - _MOST_LINES} messages before)"] if len(lines) > _MOST_LINES else []
        report.sections.append(("Realtime messages", "\n".join(left_out + lines[-_MOST_LINES:])))
    return report
