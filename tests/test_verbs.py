"""Each verb: what it puts on the wire, and what confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


@pytest.mark.parametrize(
    ("call", "event"),
    [
        (("commit_audio",), {"type": "input_audio_buffer.commit"}),
        (("clear_audio",), {"type": "input_audio_buffer.clear"}),
        (("clear_output_audio",), {"type": "output_audio_buffer.clear"}),
        (("append_audio", "AAAA"), {"type": "input_audio_buffer.append", "audio": "AAAA"}),
        (("append_audio_bytes", b"\0\0\0"), {"type": "input_audio_buffer.append", "audio": "AAAA"}),
        (("retrieve_item", "i"), {"type": "conversation.item.retrieve", "item_id": "i"}),
        (("delete_item", "i"), {"type": "conversation.item.delete", "item_id": "i"}),
        (
            ("truncate_item", "i", 1, 250),
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 1, "audio_end_ms": 250},
        ),
        (("cancel_response",), {"type": "response.cancel"}),
        (("cancel_response", "r"), {"type": "response.cancel", "response_id": "r"}),
        (("send", {"type": "vendor.thing", "x": None}), {"type": "vendor.thing", "x": None}),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_each_verb_sends_its_event_and_nothing_else(fake: FakeSession, call: Any, event: dict[str, Any]) -> None:
    verb, *arguments = call
    getattr(fake.session, verb)(*arguments)
    (sent,) = fake.wire.texts
    assert sent.pop("event_id")
    assert sent == event


def test_a_place_in_the_conversation_is_named_only_when_it_is_given(fake: FakeSession) -> None:
    item = {"id": "i", "type": "message", "role": "user", "content": []}
    fake.session.create_item(item)
    fake.session.create_item(item, "before")
    assert "previous_item_id" not in fake.wire.texts[0]
    assert fake.wire.texts[1]["previous_item_id"] == "before"
    assert fake.wire.texts[1]["item"] == item


def test_each_handle_waits_for_the_answer_to_its_own_event(fake: FakeSession) -> None:
    acks = [fake.session.delete_item("a"), fake.session.delete_item("b"), fake.session.retrieve_item("a")]
    fake.wire.say({"type": "conversation.item.deleted", "item_id": "b"})
    assert acks[1].result().type == "conversation.item.deleted"
    assert [ack.done for ack in acks] == [False, True, False]


def test_every_verb_says_so_when_the_connection_has_ended(fake: FakeSession) -> None:
    fake.session.close()
    session = fake.session
    for verb in (session.commit_audio, session.create_response, session.cancel_response):
        with pytest.raises(rt.ConnectionClosed):
            verb()
    with pytest.raises(rt.ConnectionClosed):
        session.append_audio("AAAA")


def test_a_text_that_is_missing_is_no_message_without_a_word(fake: FakeSession) -> None:
    missing: Any = {}.get("question")
    with pytest.raises(rt.InvalidEvent, match="must be str, not NoneType"):
        fake.session.send_text(missing)
    assert fake.wire.texts == []
