"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    """Where a test suite of a user is written down and run."""
    # Where the package is installed the plugin is there already; naming it again does no harm.
    options = "-p pytest_realtime_sync -p no:cacheprovider --strict-markers"
    pytester.makeini(f"[pytest]\naddopts = {options}\nfilterwarnings = error")
    return pytester


def run(inner: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    inner.makepyfile(code)
    return inner.runpytest_inprocess(*arguments)


def test_a_program_finds_the_server_in_its_environment(inner: pytest.Pytester) -> None:
    result = run(
        inner,
        """
        import os
        import pytest
        import realtime_sync as rt

        def program():
            with rt.connect("gpt-realtime") as session:
                return str(session.ask("Hello?"))

        def test_default(realtime_server):
            assert os.environ["OPENAI_BASE_URL"] == realtime_server.base_url
            assert program() == "You said: Hello?"

        def test_its_replies(realtime_server):
            realtime_server.replies = ["One.", "Two."]
            assert [program(), program()] == ["One.", "Two."]

        @pytest.mark.realtime_replies("Marked.", lambda turn: turn.text)
        def test_marked(realtime_server):
            assert [program(), program()] == ["Marked.", "Hello?"]

        @pytest.mark.realtime_server(api_key="sk-other", latency_s=0.01)
        class TestOptions:
            @pytest.mark.realtime_server(replies=["Mine."])
            def test_options(self, realtime_server):
                assert os.environ["OPENAI_API_KEY"] == "sk-other"
                assert program() == "Mine."

        def test_without_it():
            assert "OPENAI_BASE_URL" not in os.environ
        """,
    )
    result.assert_outcomes(passed=5)


def test_what_goes_wrong_fails_the_test_and_shows_the_log(inner: pytest.Pytester) -> None:
    result = run(
        inner,
        """
        import pytest
        import realtime_sync as rt

        def test_refused(realtime_server):
            with rt.connect("gpt-realtime") as session:
                with pytest.raises(rt.ServerError):
                    session.send({"type": "conversation.item.delete", "item_id": "nothing"}).result()

        @pytest.mark.realtime_replies("used", "left over")
        def test_left_over(realtime_server):
            with rt.connect("gpt-realtime") as session:
                session.ask("x")

        def test_broken(realtime_server):
            realtime_server.replies = lambda turn: 1 / 0
            with rt.connect("gpt-realtime") as session:
                session.ask("x", check=False)

        def test_its_own_fault(realtime_server):
            with rt.connect("gpt-realtime") as session:
                session.ask("x")
            assert False, "my own fault"
        """,
    )
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: the local server is not content:*",
            "*refused: conversation.item.delete (#1): *",
            "*- Realtime messages -*",
            "* <- session.created *",
            "* -> conversation.item.delete *",
            "* <- error *",
            "*not used: 'left over'*",
            "*failed: ZeroDivisionError*",
            "*my own fault*",
            "*- Realtime messages -*",
        ]
    )


def test_the_verdict_can_be_switched_off(inner: pytest.Pytester) -> None:
    result = run(
        inner,
        """
        import pytest
        import realtime_sync as rt

        @pytest.mark.realtime_server(strict=False, replies=["left over"])
        def test_loosely(realtime_server):
            with rt.connect("gpt-realtime") as session:
                with pytest.raises(rt.ServerError):
                    session.send({"type": "conversation.item.delete", "item_id": "nothing"}).result()
            assert realtime_server.refusals
        """,
    )
    result.assert_outcomes(passed=1)


def test_a_long_log_is_cut(inner: pytest.Pytester) -> None:
    result = run(
        inner,
        """
        import realtime_sync as rt

        def test_chatty(realtime_server, monkeypatch):
            monkeypatch.setattr("pytest_realtime_sync._MOST_LINES", 3)
            with rt.connect("gpt-realtime") as session:
                session.ask("one two three four five")
            assert False
        """,
    )
    result.stdout.fnmatch_lines(["(* messages before)", "*conversation.item.done*", "*response.done *"])


def test_the_page_on_testing_is_true(inner: pytest.Pytester) -> None:
    page = (Path(__file__).parents[1] / "docs" / "testing.md").read_text(encoding="utf-8")
    snippets = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(snippets) >= 2
    for number, code in enumerate(snippets):
        inner.makepyfile(**{f"test_snippet{number}": code})
    outcomes = inner.runpytest_inprocess().parseoutcomes()
    assert set(outcomes) == {"passed"}


def test_pytest_starts_without_the_package() -> None:
    code = "import sys, pytest_realtime_sync; print([name for name in sys.modules if name.startswith('realtime_sync')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "[]"
