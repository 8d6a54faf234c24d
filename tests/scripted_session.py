"""A session with a `ScriptedServer`, and what must hold of it whatever that server did before."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scripted_server import Departure, ScriptedServer, answer_to

import realtime_sync as rt

PACE = float(os.environ.get("REALTIME_SYNC_PACE", "1"))  # 3 for a machine that is very busy
TURN_S = 5.0 * PACE  # of what can be answered: reached only by what hangs
SHORT_S = 0.5 * PACE  # of a turn that cannot end by itself
AT_ONCE_S = 3.0 * PACE  # nobody who waits for a limit of `TURN_S` is done by then
SOUND = bytes(9_600)  # 200 ms
BUSY = "the upstream is busy"


@contextmanager
def no_thread_left() -> Iterator[None]:
    """All threads that were started within have ended, or do so now."""
    known = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - known:
        thread.join(TURN_S)
        assert not thread.is_alive(), f"{thread.name} is left"


def connect(server: ScriptedServer, **options: Any) -> rt.RealtimeSession:
    return rt.connect("m", base_url=server.base_url, api_key="x", **{"timeout": TURN_S, **options})


@contextmanager
def opened(*departures: Departure, **options: Any) -> Iterator[tuple[ScriptedServer, rt.RealtimeSession]]:
    """A session with a server that departs so. ``options`` are those of the server."""
    with ScriptedServer(*departures, **options) as server, connect(server) as session:
        yield server, session


@contextmanager
def at_once() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < AT_ONCE_S, "it waited for its limit"


def assert_usable(session: rt.RealtimeSession, server: ScriptedServer, *, timeout: float = TURN_S) -> None:
    """The next questions get their own answers, and the next messages their own confirmations."""
    ask_again(session, server, "again", timeout)
    updated = session.update_session({"instructions": "be brief"}).result(TURN_S)
    assert getattr(updated.session, "instructions", None) == "be brief"
    note = session.create_item({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "n"}]})
    assert getattr(note.result(TURN_S).item, "id", None) == note.item_id
    ask_again(session, server, "once more", TURN_S)


def ask_again(session: rt.RealtimeSession, server: ScriptedServer, question: str, timeout: float) -> None:
    turn = session.respond(question, timeout=timeout)
    assert "".join(turn.text()) == answer_to(question)
    assert (turn.reply.text, turn.reply.status) == (answer_to(question), "completed")
    assert turn.reply.response_id == server.response_ids(question)[-1]


def look_up() -> str:
    """Look something up."""
    return "found"
