"""Each verb: what it puts on the wire, and what confirms it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes import FakeSession, error

import realtime_sync as rt
from realtime_sync.events import (
    FunctionTool,
    InputText,
    RealtimeSessionConfig,
    UserMessage,
)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


UPDATED = {"type": "session.updated", "session": {"type": "realtime", "id": "sess_1", "instructions": "new"}}


def test_update_session_adds_the_type_and_is_confirmed(fake: FakeSession) -> None:
    ack = fake.session.update_session({"instructions": "new"})
    typed = fake.session.update_session(
        RealtimeSessionConfig(tools=[FunctionTool(name="f", parameters={"type": "object"})])
    )
    assert fake.wire.texts[0]["session"] == {"type": "realtime", "instructions": "new"}
    assert fake.wire.texts[1]["session"]["tools"][0]["name"] == "f"
    fake.wire.say(UPDATED)
    assert ack.result().session.instructions == "new"  # type: ignore[union-attr]
    assert fake.session.config is not None
    assert fake.session.id == "sess_1"
    fake.wire.say(error(typed.event_id, "unknown_parameter"))
    with pytest.raises(rt.ServerError, match="unknown_parameter"):
        typed.result()


def test_items(fake: FakeSession) -> None:
    session = fake.session
    ack = session.send_text("hello")
    sent = fake.wire.texts[0]
    assert sent["item"]["content"] == [{"type": "input_text", "text": "hello"}]
    assert sent["item"]["id"] == ack.item_id
    fake.wire.say({"type": "conversation.item.added", "item": sent["item"]})
    assert ack.result().item.id == ack.item_id  # type: ignore[union-attr]
    session.create_item(UserMessage(id="mine", content=[InputText(text="x")]), previous_item_id="root")
    assert fake.wire.texts[1]["item"]["id"] == "mine"
    assert fake.wire.texts[1]["previous_item_id"] == "root"
    session.create_item({"type": "message", "role": "user", "content": []})
    session.retrieve_item("a")
    session.delete_item("b")
    session.truncate_item("c", 1, 250)
    assert [text["type"].split(".")[-1] for text in fake.wire.texts[3:]] == ["retrieve", "delete", "truncate"]
    assert fake.wire.texts[5]["audio_end_ms"] == 250
    fake.wire.say({"type": "conversation.item.deleted", "item_id": "b"})


def test_function_outputs_are_text_or_json(fake: FakeSession) -> None:
    fake.session.submit_function_output("call_1", "plain")
    fake.session.submit_function_output("call_2", {"grad": "°C", "n": [1, None]})
    outputs = [text["item"]["output"] for text in fake.wire.texts]
    assert outputs == ["plain", '{"grad": "°C", "n": [1, null]}']
    for bad in (object(), float("nan"), {1: {2}}):
        with pytest.raises(rt.InvalidEvent, match="call_3"):
            fake.session.submit_function_output("call_3", bad)
    with pytest.raises(rt.InvalidEvent, match="needs the call_id"):
        fake.session.submit_function_output(rt.events.FunctionCall(name="f", arguments="{}").call_id, "x")


def test_commit_clear_and_output_clear(fake: FakeSession) -> None:
    acks = [fake.session.commit_audio(), fake.session.clear_audio(), fake.session.clear_output_audio()]
    fake.wire.say(
        {"type": "input_audio_buffer.committed", "item_id": "i"},
        {"type": "input_audio_buffer.cleared"},
        {"type": "output_audio_buffer.cleared", "response_id": "r"},
    )
    assert [ack.result().type for ack in acks] == [
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "output_audio_buffer.cleared",
    ]
