"""The pytest plugin, in pytest runs of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PROCESS_S

from realtime_sync.local import LocalServer

pytest_plugins = ["pytester"]


@pytest.fixture
def inner(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    """Where a test suite of a user is written down and run."""
    # Where the package is installed the plugin is there already, and pytest warns of naming it again.
    installed = request.config.pluginmanager.hasplugin("pytest_realtime_sync")
    options = f"{'' if installed else '-p pytest_realtime_sync '}-p no:cacheprovider -p no:randomly --strict-markers"
    without_asserts = "ignore:assertions not in test modules:pytest.PytestConfigWarning"
    pytester.makeini(f"[pytest]\naddopts = {options}\nfilterwarnings =\n  error\n  {without_asserts}")
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

        @pytest.mark.realtime_server(["Positional."])
        class TestPositional:
            def test_positional(self, realtime_server):
                assert program() == "Positional."

            @pytest.mark.realtime_server(replies=["Nearer."])
            def test_nearer(self, realtime_server):
                assert program() == "Nearer."

            @pytest.mark.realtime_server(lambda turn: "Nearest.", api_key="sk-other")
            def test_nearest(self, realtime_server):
                assert program() == "Nearest."

        def test_without_it():
            assert "OPENAI_BASE_URL" not in os.environ
        """,
    )
    result.assert_outcomes(passed=8)


@pytest.mark.parametrize(
    ("marked", "told"),
    [
        ("['One.'], 'gpt'", "*too many positional arguments; it takes replies, and by name host*"),
        ("['One.'], replies=['Two.']", "*multiple values for argument 'replies'*"),
        ("answers=['One.']", "*no argument 'answers': it is replies here*"),
    ],
)
def test_a_marker_with_wrong_arguments_is_an_error(inner: pytest.Pytester, marked: str, told: str) -> None:
    result = run(
        inner,
        f"""
        import pytest

        @pytest.mark.realtime_server({marked})
        def test_marked(realtime_server):
            pass
        """,
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([told])


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


CASSETTE = """
    import pytest
    import realtime_sync as rt

    {marker}
    def test_talk(realtime_cassette):
        with rt.connect("gpt-realtime") as session:
            assert str(session.ask("{question}")) == "From upstream."
"""


def cassette(inner: pytest.Pytester, *arguments: str, question: str = "Hello?", marker: str = "") -> pytest.RunResult:
    return run(inner, CASSETTE.format(question=question, marker=marker), *arguments)


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """The real server, which the environment names."""
    with LocalServer(lambda turn: "From upstream.", api_key="sk-real") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
        yield server


def test_a_cassette_is_recorded_once_and_then_played(inner: pytest.Pytester, upstream: LocalServer) -> None:
    result = cassette(inner)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*there is no cassette *record it with --realtime-record=once*"])
    cassette(inner, "--realtime-record=once").assert_outcomes(passed=1)
    [path] = inner.path.rglob("*.jsonl")
    assert path.relative_to(inner.path).parts[0] == "cassettes"
    assert path.name == "test_talk.jsonl"
    assert "sk-real" not in path.read_text()
    upstream.stop()
    for mode in ("none", "once", "new_episodes"):
        cassette(inner, f"--realtime-record={mode}").assert_outcomes(passed=1)
    assert len(upstream.requests) == 1


def test_a_difference_from_the_cassette_fails(inner: pytest.Pytester, upstream: LocalServer) -> None:
    cassette(inner, "--realtime-record=once").assert_outcomes(passed=1)
    result = cassette(inner, question="Other?")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Realtime verdict*", "*item.content?0?.text is *Other?*, recorded was *Hello?*"])
    cassette(inner, "--realtime-record=all", question="Other?").assert_outcomes(passed=1)
    cassette(inner, question="Other?").assert_outcomes(passed=1)


def test_a_test_that_fails_leaves_no_cassette(inner: pytest.Pytester, upstream: LocalServer) -> None:
    upstream.replies = ["Something else."]
    cassette(inner, "--realtime-record=once").assert_outcomes(failed=1)
    assert list(inner.path.rglob("*.jsonl*")) == []


def test_a_test_that_never_connects_leaves_no_cassette(inner: pytest.Pytester, upstream: LocalServer) -> None:
    code = "def test_quiet(realtime_cassette): pass"
    for _ in range(2):
        run(inner, code, "--realtime-record=once").assert_outcomes(passed=1)
    assert list(inner.path.rglob("*.jsonl*")) == []


def test_connections_of_a_cassette_are_counted_and_added(inner: pytest.Pytester, upstream: LocalServer) -> None:
    marker = '@pytest.mark.realtime_cassette("my.jsonl", audio="elide")'
    cassette(inner, "--realtime-record=once", marker=marker).assert_outcomes(passed=1)
    twice = CASSETTE + CASSETTE.split("realtime_cassette):")[1]
    result = run(inner, twice.format(question="Hello?", marker=marker))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the cassette has 1 connections, 2 were made*"])
    code = twice.format(question="Hello?", marker=marker)
    run(inner, code, "--realtime-record=new_episodes").assert_outcomes(passed=1)
    run(inner, code).assert_outcomes(passed=1)
    assert len(upstream.requests) == 2
    assert "<elided " in (inner.path / "my.jsonl").read_text()


def test_an_unknown_record_mode(inner: pytest.Pytester) -> None:
    result = cassette(inner, marker='@pytest.mark.realtime_cassette(mode="sometimes")')
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a record mode is one of none, once, new_episodes, all*"])


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PROCESS_S, check=True)
    assert done.stdout.strip() == "[]"
