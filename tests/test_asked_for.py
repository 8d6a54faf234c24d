"""The configuration that was asked for, as it is asked for again."""

from __future__ import annotations

from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.events import REALTIME
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.asked_for import AskedFor, merged_update

NOTHING: Any = None


def update(asked: AskedFor, session: dict[str, Any]) -> Ack[Any]:
    event = rt.decode_client_event({"type": "session.update", "session": {"type": "realtime", **session}})
    ack: Ack[Any] = Ack(event, "ev", NOTHING)
    asked.note(ack)
    return ack


def test_confirmed_updates_come_to_one() -> None:
    asked = AskedFor(REALTIME)
    assert asked.update() is None
    update(asked, {"instructions": "a", "audio": {"input": {"turn_detection": None}}})._settle(None)
    update(asked, {"instructions": "b", "audio": {"output": {"voice": "cedar"}}})._settle(None)
    assert asked.update() == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "b",
            "audio": {"input": {"turn_detection": None}, "output": {"voice": "cedar"}},
        },
    }


def test_what_was_refused_or_waits_is_left_out_and_what_is_never_confirmed_is_not() -> None:
    asked = AskedFor(REALTIME)
    update(asked, {"instructions": "a"})._settle(None, rt.ServerError("no"))
    update(asked, {"voice": "b"})
    late = update(asked, {"instructions": "c"})
    assert asked.update() is None
    late._late = True
    told = asked.update()
    assert told is not None
    assert told["session"] == {"type": "realtime", "instructions": "c"}


def test_an_update_that_has_its_end_already_is_taken_in_at_once() -> None:
    asked = AskedFor(REALTIME)
    ack = update(AskedFor(REALTIME), {"instructions": "a"})
    ack._settle(None, rt.ConnectionClosed("the session is closed", code=1000))
    asked.note(ack)
    assert asked.update() is None


def test_what_is_no_update_is_none_of_its_business() -> None:
    asked = AskedFor(REALTIME)
    ack: Ack[Any] = Ack(e.InputAudioBufferClear(), "ev", NOTHING)
    ack._settle(None)
    asked.note(ack)
    assert asked.update() is None


@pytest.mark.parametrize(
    ("known", "news", "merged"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"tools": [1]}, {"tools": [2]}, {"tools": [2]}),
        ({"prompt": {"id": "p", "version": "1"}}, {"prompt": {"id": "q"}}, {"prompt": {"id": "q"}}),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 0.1}},
            {"turn_detection": {"type": "semantic_vad"}},
            {"turn_detection": {"type": "semantic_vad"}},
        ),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 0.1}},
            {"turn_detection": {"type": "server_vad", "silence_duration_ms": 1}},
            {"turn_detection": {"type": "server_vad", "threshold": 0.1, "silence_duration_ms": 1}},
        ),
    ],
)
def test_an_update_changes_field_by_field(known: Any, news: Any, merged: Any) -> None:
    assert merged_update(known, news) == merged
