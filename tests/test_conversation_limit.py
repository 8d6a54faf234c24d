"""A mirror that keeps the latest items only."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from fakes import FakeSession
from hypothesis import given
from hypothesis import strategies as st
from test_conversation import added, assistant, begun, deleted, done, heard, ids, text_delta, user

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.state.conversation import Conversation, mirror

NAMES = [f"item_{number}" for number in range(12)]


def kept(limit: int | None, events: Iterable[e.ServerEvent]) -> Conversation:
    conversation = Conversation(limit=limit)
    for event in events:
        conversation.apply(event)
        assert limit is None or len(conversation) <= limit
    return conversation


def in_a_row(names: list[str]) -> list[e.ServerEvent]:
    return [added(user(names[0])), *(added(user(name), before) for before, name in pairwise(names))]


@given(st.integers(1, 14), st.sets(st.sampled_from(NAMES)), st.booleans())
def test_what_is_kept_are_the_latest(limit: int, gone: set[str], told: bool) -> None:
    events = in_a_row(NAMES) if told else [added(user(name)) for name in NAMES]
    again = [done(user(name, "again"), "root" if told else None) for name in NAMES]
    late = [heard(name, "late") for name in NAMES]
    deletions = [deleted(name) for name in sorted(gone)]
    conversation = kept(limit, [*events, *again, *late, *deletions])
    assert ids(conversation) == [name for name in NAMES[-limit:] if name not in gone]
    assert conversation.dropped == max(0, len(NAMES) - limit)
    assert set(conversation.gone) == gone


def test_what_was_dropped_is_told() -> None:
    conversation = kept(2, in_a_row(NAMES[:3]))
    assert conversation.get("item_0") is None
    assert "item_0" not in conversation
    with pytest.raises(KeyError, match=r"item_0 \(not among the latest 2: 1 older items were dropped\)"):
        conversation["item_0"]
    with pytest.raises(KeyError, match=r"^'item_0'$"):
        kept(2, [])["item_0"]


def test_nothing_brings_a_dropped_item_back() -> None:
    conversation = kept(2, in_a_row(NAMES[:3]))
    conversation.assume(user("item_0"))
    for event in (
        e.ConversationItemRetrieved(item=user("item_0")),
        e.ConversationItemTruncated(item_id="item_0", content_index=0, audio_end_ms=5),
        e.InputAudioBufferCommitted(item_id="item_0"),
    ):
        conversation.apply(event)
    assert ids(conversation) == NAMES[1:3]
    # Its id is free once it was deleted, and what is placed behind it is older than all that is kept.
    conversation.apply(deleted("item_0"))
    conversation.apply(added(user("item_0"), "item_2"))
    assert ids(conversation) == ["item_2", "item_0"]
    conversation.apply(added(user("old"), "item_1"))
    assert ids(conversation) == ["item_2", "item_0"]


def test_an_answer_that_grows_while_it_is_dropped() -> None:
    conversation = kept(1, [begun(), added(assistant("a")), text_delta("a", "Hel"), added(user("b"), "a")])
    conversation.apply(text_delta("a", "lo"))
    assert ids(conversation) == ["b"]


def test_deleted_items_are_forgotten_too_after_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_MOST_GONE", 2)
    names = [f"n{number}" for number in range(5)]
    conversation = kept(None, [*in_a_row(names), *(deleted(name) for name in names[:4])])
    assert (ids(conversation), set(conversation.gone)) == (["n4"], {"n2", "n3"})
    assert conversation._order.ids() == ["n2", "n3", "n4"]


def test_items_that_nobody_places_are_forgotten_after_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_MOST_UNPLACED", 2)
    conversation = kept(None, [heard(name, "x") for name in NAMES])
    assert list(conversation._records) == NAMES[-2:]
    assert len(conversation) == 0


@pytest.mark.parametrize("limit", [0, -1, 1.5, "7", True, float("inf")])
def test_a_limit_that_is_none(limit: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match="conversation_limit must be a whole number of items, 1 or more"):
        rt.connect("m", base_url="ws://127.0.0.1:1", conversation_limit=limit)


def test_a_session_has_it() -> None:
    with FakeSession(conversation_limit=1) as fake:
        for number in range(3):
            item = {"type": "message", "id": f"i{number}", "role": "user", "content": []}
            fake.wire.say({"type": "conversation.item.added", "item": item})
        fake.session.wait_for("conversation.item.added", lambda event: event.item.id == "i2")
        assert [entry.id for entry in fake.session.conversation] == ["i2"]
