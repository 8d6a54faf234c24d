"""What is sent: ids, checks, the handle, and what becomes of it when sending fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, response_created

import realtime_sync as rt
from realtime_sync.events import (
    InputAudioBufferClear,
    RealtimeSessionConfig,
    SessionCreated,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def test_send_fills_ids_in_without_touching_the_event(fake: FakeSession) -> None:
    event = InputAudioBufferClear()
    first, second = fake.session.send(event), fake.session.send(event)
    assert event.event_id is None
    assert first.event_id != second.event_id
    assert [sent["event_id"] for sent in fake.wire.texts] == [first.event_id, second.event_id]
    given = fake.session.send({"type": "input_audio_buffer.clear", "event_id": "mine"})
    assert given.event_id == "mine"


def test_send_takes_mappings_as_they_are(fake: FakeSession) -> None:
    ack = fake.session.send({"type": "vendor.thing", "value": None, "event_id": "1"})
    assert fake.wire.texts == [{"type": "vendor.thing", "value": None, "event_id": "1"}]
    assert ack.result() is None, "nothing confirms an unknown type"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"type": 5},
        {"type": "conversation.item.delete", "item_id": 5},
        {"type": "x", "value": object()},
        {"type": "x", "value": float("nan")},
        "text",
        {"type": "input_audio_buffer.cleared"},
        SessionCreated(session=RealtimeSessionConfig()),
    ],
)
def test_what_is_no_event_is_refused_and_nothing_is_sent(fake: FakeSession, bad: Any) -> None:
    with pytest.raises(rt.InvalidEvent):
        fake.session.send(bad)
    assert fake.wire.texts == []
    assert not fake.session.closed


def test_metadata_of_the_user_is_kept_and_a_full_one_is_not_stamped(fake: FakeSession) -> None:
    full = {f"key_{number}": "value" for number in range(16)}
    ack = fake.session.create_response({"metadata": full})
    create = fake.wire.wait_sent(1)
    assert create["response"]["metadata"] == full
    fake.wire.say(response_created("r", create))
    assert ack.result().response.id == "r"
