"""Short talks over a connection that fails. Long ones: ``python -m tests.chaos --seed 1 --turns 200``."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import pytest
from chaos.talk import LawBroken, nothing_left, talk

import realtime_sync as rt
from realtime_sync.state.conversation import History

TURNS = 15


@pytest.mark.parametrize(
    "resume",
    [None, rt.Resume(backoff_s=0.05), rt.Resume(backoff_s=0.05, in_flight="ask_again")],
    ids=["by hand", "resumed", "asked again"],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_talk_over_a_bad_connection_loses_nothing_that_is_not_told(seed: int, resume: rt.Resume | None) -> None:
    figures = talk(seed, TURNS, resume=resume)
    assert figures.turns == TURNS
    assert figures.connections > 1
    assert (figures.resumed > 0) == (resume is not None)
    assert figures.faults.keys() & {"cut", "reset", "stall", "refuse"}
    assert f"{TURNS} turns, each with its reply" in str(figures)


def test_the_laws_bite(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = History.of

    def forgetful(*args: Any) -> History:
        history = whole(*args)
        return History(items=history.items[1:], left_out=history.left_out, as_text=(), renamed={})

    monkeypatch.setattr(History, "of", forgetful)
    with pytest.raises(LawBroken, match="before: "):
        talk(1, TURNS)


def test_a_descriptor_that_is_left_is_seen() -> None:
    with ExitStack() as stack, pytest.raises(LawBroken, match="descriptors are left"), nothing_left():
        stack.enter_context(socket.socket())
