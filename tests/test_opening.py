"""From arguments to an open session: what is waited for, what is raised, and that nothing stays open then."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import SESSION, FakeTransport, error

import realtime_sync as rt
from realtime_sync.session import dialling, opening
from realtime_sync.tools import Toolset
from realtime_sync.transport.endpoint import Endpoint

CREATED = {"type": "session.created", "event_id": "ev_0", "session": SESSION}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTransport]:
    """The transport that the next `connect` gets."""
    made = FakeTransport()
    known = set(threading.enumerate())
    monkeypatch.setattr(dialling, "open_transport", lambda *_, **__: made)
    yield made
    for thread in set(threading.enumerate()) - known:
        assert thread.name != "realtime_sync-reader", "a reader is left"


@pytest.fixture
def undialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dialling would be a mistake."""

    def fail(*_: Any, **__: Any) -> None:
        pytest.fail("it has dialled")

    monkeypatch.setattr(dialling, "open_transport", fail)


def connect(**options: Any) -> rt.RealtimeSession:
    return rt.connect("m", api_key="sk-x", **{"timeout": 20, **options})


def answer(wire: FakeTransport, *events: dict[str, Any], to: int = 1) -> threading.Thread:
    """Say these events once so many texts were sent; ``event_id`` of an error becomes that of the last of them."""

    def serve() -> None:
        sent = wire.wait_sent(to)
        for event in events:
            if event["type"] == "error":
                event["error"]["event_id"] = sent["event_id"]
        wire.say(*events)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def updated(**session: Any) -> dict[str, Any]:
    return {"type": "session.updated", "session": {**SESSION, **session}}


# What is waited for


def test_a_session_is_open_when_the_server_has_said_so_and_handlers_still_hear_of_it(wire: FakeTransport) -> None:
    wire.say(CREATED)
    with connect() as session:
        assert wire.texts == []
        assert session.id == "sess_1", "the state knows"
        seen: list[str] = []
        session.on("*", lambda event: seen.append(event.type))
        wire.say({"type": "a"})
        session.wait_for("a")
        assert seen == ["session.created", "a"]


def test_a_configuration_is_sent_and_its_acceptance_waited_for(wire: FakeTransport) -> None:
    wire.say(CREATED)
    server = answer(wire, updated(instructions="be brief"))
    with connect(session={"instructions": "be brief"}) as session:
        server.join()
        assert wire.texts[0]["session"] == {"type": "realtime", "instructions": "be brief"}
        assert getattr(session.config, "instructions", None) == "be brief"


def test_an_empty_configuration_is_not_sent(wire: FakeTransport) -> None:
    wire.say(CREATED)
    with connect(session={}):
        assert wire.texts == []


def test_tools_are_added_to_those_of_the_configuration(wire: FakeTransport) -> None:
    tools = Toolset()

    @tools.tool
    def look_up() -> None:
        """Look something up."""

    wire.say(CREATED)
    given = {"tools": [{"type": "mcp", "server_label": "docs", "server_url": "https://x"}]}
    server = answer(wire, updated())
    with connect(session=given, tools=tools):
        server.join()
        told = wire.texts[0]["session"]["tools"]
        assert sorted(tool.get("name", tool["type"]) for tool in told) == ["look_up", "mcp"]
    assert len(given["tools"]) == 1


def test_a_server_that_never_confirms_does_not_hold_up_the_session(
    wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    wire.say(CREATED)
    with caplog.at_level(logging.WARNING), connect(session={"instructions": "x"}, timeout=0.2) as session:
        assert not session.closed
    assert "has not confirmed session.update" in caplog.text


def test_a_server_that_says_something_else_instead_is_no_mere_warning(wire: FakeTransport) -> None:
    wire.say(CREATED)
    nameless = error(None, "server_error", "the model is not loaded")
    wire.say(nameless, error("another", "odd"))
    with pytest.raises((rt.RealtimeTimeout, rt.ServerError), match="not loaded"):
        connect(session={"instructions": "x"}, timeout=0.2)
    assert wire.closed.is_set()


# What is raised, and that nothing stays open


def test_a_configuration_that_is_refused_is_raised(wire: FakeTransport) -> None:
    wire.say(CREATED)
    server = answer(wire, error(None, "unknown_parameter", "no such field"))
    with pytest.raises(rt.ServerError, match="no such field"):
        connect(session={"instructions": "x"})
    server.join()
    assert wire.closed.is_set()


def test_an_error_in_the_place_of_the_session_is_raised_and_not_logged(
    wire: FakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    wire.say(error(None, "insufficient_quota", "pay first"))
    with pytest.raises(rt.ServerError, match="pay first"):
        connect()
    assert wire.closed.is_set()
    assert caplog.text == ""


def test_an_error_after_the_session_was_created_is_none_of_the_opening(wire: FakeTransport) -> None:
    wire.say(CREATED, error(None, "odd"))
    with connect() as session:
        assert not session.closed


@pytest.mark.parametrize("by", ["error", "close"])
def test_wrong_credentials_are_told_as_such(wire: FakeTransport, by: str) -> None:
    if by == "error":
        wire.say(error(None, "invalid_api_key"))
    else:
        wire.hang_up(3000, "unauthorized")
    with pytest.raises(rt.AuthenticationError) as caught:
        connect()
    assert isinstance(caught.value.__cause__, rt.ServerError if by == "error" else rt.ConnectionClosed)
    assert wire.closed.is_set()


def test_a_server_that_says_nothing_is_a_timeout(wire: FakeTransport) -> None:
    with pytest.raises(rt.RealtimeTimeout, match="the connection itself is open"):
        connect(timeout=0.05)
    assert wire.closed.is_set()


def test_a_connection_that_ends_first_is_a_loss(wire: FakeTransport) -> None:
    wire.fail(rt.ConnectionLost("reset"))
    with pytest.raises(rt.ConnectionLost, match="reset"):
        connect()
    assert wire.closed.is_set()


def test_a_clean_close_in_place_of_a_session_says_why(wire: FakeTransport) -> None:
    wire.hang_up(1000, "model not found")
    with pytest.raises(rt.ConnectionClosed, match="model not found") as caught:
        connect()
    assert (caught.value.code, caught.value.reason) == (1000, "model not found")
    assert "is open" not in str(caught.value)
    assert wire.closed.is_set()


def test_what_interrupts_the_opening_leaves_nothing_open(wire: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "_await_opened", interrupt)
    with pytest.raises(KeyboardInterrupt):
        connect()
    assert wire.closed.is_set()


# Before anything is dialled


@pytest.mark.usefixtures("undialled")
@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": "x"},
        {"ping_interval_s": -1},
        {"ping_timeout_s": 0},
        {"send_timeout_s": 0},
        {"max_message_bytes": 0},
        {"inbox_limit_bytes": 0},
        {"base_url": "ftp://x"},
    ],
    ids=str,
)
def test_a_limit_or_an_address_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(rt.ConfigurationError):
        connect(**options)


@pytest.mark.usefixtures("undialled")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"session": {"audio": "pcm"}, "voice": "alloy"}, "session['audio'] must be a dict, not str"),
        ({"session": {"audio": ""}, "voice": "alloy"}, "session['audio'] must be a dict, not str"),
        ({"session": {"audio": {"output": 5}}, "voice": "x"}, "session['audio']['output'] must be a dict, not int"),
        ({"session": {"tools": 5}, "tools": []}, "session['tools'] must be a list, not int"),
        ({"session": {"tools": {"name": "f"}}, "tools": []}, "session['tools'] must be a list, not dict"),
    ],
    ids=str,
)
def test_a_configuration_that_nothing_can_be_written_into_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(rt.ConfigurationError) as raised:
        connect(**options)
    assert said in str(raised.value)


def test_what_a_configuration_leaves_out_is_written_into_it(wire: FakeTransport) -> None:
    config = {"audio": {"input": None, "output": None}, "tools": None}
    wire.say(CREATED)
    server = answer(wire, updated())
    with connect(session=config, voice="alloy", tools=[]):
        server.join()
    sent = wire.texts[0]["session"]
    assert (sent["audio"]["output"], sent["tools"]) == ({"voice": "alloy"}, [])


def test_without_a_thread_for_the_reader_nothing_stays_open(
    wire: FakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(rt.HandshakeError, match="could not be started: can't start new thread"):
            connect()
    assert wire.closed.is_set()


@pytest.mark.usefixtures("undialled")
def test_an_endpoint_says_all_or_nothing() -> None:
    given = Endpoint(url="wss://x.example/v1", headers={})
    with pytest.raises(rt.ConfigurationError, match=r"leave out model, api_key$"):
        connect(endpoint=given)
    with pytest.raises(rt.ConfigurationError, match="not str"):
        rt.connect(endpoint="wss://x")  # type: ignore[arg-type]
    with pytest.raises(rt.ConfigurationError, match="not NoneType"):
        rt.connect(endpoint=lambda: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("made", [False, True])
def test_an_endpoint_or_a_function_that_gives_one_is_dialled(monkeypatch: pytest.MonkeyPatch, made: bool) -> None:
    dialled: list[Any] = []

    def refuse(url: str, headers: Any, **_: Any) -> None:
        dialled.append((url, dict(headers)))
        raise rt.HandshakeError("no", status=503)

    monkeypatch.setattr(dialling, "open_transport", refuse)
    given = Endpoint(url="wss://x.example/v1", headers={"X": "1"})
    with pytest.raises(rt.HandshakeError):
        rt.connect(endpoint=(lambda: given) if made else given)
    assert dialled == [("wss://x.example/v1", {"X": "1"})]
