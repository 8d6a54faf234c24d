"""A session that goes on when its connection ends, against the local server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.local import LocalServer, Request

TEXT = {"output_modalities": ["text"]}
WAIT_S = 20.0


def resumed(**options: Any) -> rt.Resume:
    """Without pauses, which would only make the tests slow."""
    return rt.Resume(**{"backoff_s": 0.0, "rollover_s": None, **options})


def connect(server: LocalServer, *, session: Any = TEXT, resume: Any = None, **options: Any) -> rt.RealtimeSession:
    return rt.connect(
        "m", base_url=server.base_url, session=session, resume=resumed() if resume is None else resume, **options
    )


def until(done: Callable[[], bool], session: rt.RealtimeSession | None = None) -> None:
    """Wait for a condition, pumping where a session is given."""
    ends = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < ends
        if session is None:
            time.sleep(0.002)
        elif not session.poll():
            time.sleep(0.002)


def connections(server: LocalServer) -> list[Request]:
    return [request for request in server.requests if request.status == 101]


def on_server(server: LocalServer, nth: int = -1) -> list[tuple[Any, Any]]:
    """The conversation as the client was told it on a connection: ids, and roles or types."""
    found: dict[str, Any] = {}
    for event in connections(server)[nth].sent:
        if event["type"] == "conversation.item.added":
            found[event["item"]["id"]] = event["item"].get("role") or event["item"]["type"]
    return list(found.items())


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    until(lambda: not [t for t in threading.enumerate() if t.name in ("realtime_sync-resume", "realtime_sync-reader")])


def test_a_drop_between_two_turns_is_gone_on_from() -> None:
    heard: list[str] = []
    notices: list[e.SessionResumed] = []
    with LocalServer() as server, connect(server, session={**TEXT, "instructions": "Be kind."}) as session:
        session.on("response.output_text.delta", lambda event: heard.append(event.delta))
        session.on("session.resumed", notices.append)
        assert session.ask("one").text == "You said: one"
        before = session.id
        server.drop()
        assert session.ask("two").text == "You said: two"
        assert "".join(heard) == "You said: oneYou said: two"
        assert [entry.text for entry in session.conversation] == ["one", "You said: one", "two", "You said: two"]
        assert session.config.instructions == "Be kind."
        assert session.id != before
        assert not session.closed
        (notice,) = notices
        assert (notice.attempts, notice.planned, notice.lost, notice.renamed) == (1, False, [], {})
        assert notice.restored == [entry.id for entry in session.conversation][:2]
        assert "without a close frame" in (notice.reason or "")
        assert [item_id for item_id, _ in on_server(server)] == [entry.id for entry in session.conversation]


def test_without_it_a_drop_ends_the_session() -> None:
    with LocalServer() as server, connect(server, resume=False) as session:
        session.ask("one")
        server.drop()
        with pytest.raises(rt.ConnectionLost):
            session.ask("two")
        until(lambda: session.closed)
