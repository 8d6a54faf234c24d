"""A session over the wire: configuration, items, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from local_raw import RawClient, b64, done_of, text_of, tone

from realtime_sync.local import Gate, LocalServer, Reply


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as started:
        yield started
    assert started.failures == []


@pytest.fixture
def client(server: LocalServer) -> Iterator[RawClient]:
    with RawClient(server) as connected:
        yield connected


# ------------------------------------------------------------------------------------------------------ configuration


def test_session_created_shows_the_whole_effective_configuration(client: RawClient) -> None:
    session = client.session
    assert time.time() + 3_500 < session.pop("expires_at") <= time.time() + 3_601
    assert session.pop("id").startswith("sess_")
    assert session.pop("instructions")
    assert session == {
        "type": "realtime",
        "object": "realtime.session",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin", "speed": 1.0},
        },
    }


def test_a_transcription_session_has_its_own_shape(server: LocalServer) -> None:
    with RawClient(server, "intent=transcription") as client:
        assert client.session["type"] == "transcription"
        assert client.session["object"] == "realtime.transcription_session"
        client.send("response.create")
        assert client.error()["message"] == "A transcription session cannot create responses."


def test_an_update_is_merged_and_echoed_whole(client: RawClient) -> None:
    first = client.update(instructions="Be brief.", audio={"input": {"turn_detection": None}})
    assert first == {
        **client.session,
        "instructions": "Be brief.",
        "audio": {
            **client.session["audio"],
            "input": {**client.session["audio"]["input"], "turn_detection": None},
        },
    }
    assert client.update(audio={"output": {"speed": 1.2}})["instructions"] == "Be brief."


def test_a_refused_update_changes_nothing_at_all(client: RawClient) -> None:
    event_id = client.send("session.update", session={"type": "realtime", "instructions": "x", "bogus": 1})
    assert client.error() == {
        "type": "invalid_request_error",
        "code": "unknown_parameter",
        "message": "Unknown parameter: 'session.bogus'.",
        "param": "session.bogus",
        "event_id": event_id,
    }
    assert client.update() == client.session


def test_the_voice_locks_with_the_first_audio(client: RawClient) -> None:
    client.update(audio={"output": {"voice": "cedar"}})
    client.ask("hello")
    client.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "marin"}}})
    error = client.error()
    assert error["code"] == "cannot_update_voice"
    assert error["message"] == "Cannot update a conversation's voice if assistant audio is present."
    client.send("response.create", response={"audio": {"output": {"voice": "marin"}}})
    assert client.error()["code"] == "cannot_update_voice"
    assert client.update(audio={"output": {"voice": "cedar"}})["audio"]["output"]["voice"] == "cedar"


def test_text_does_not_lock_the_voice(client: RawClient) -> None:
    client.update(output_modalities=["text"])
    client.ask("hello")
    assert client.update(audio={"output": {"voice": "ash"}})["audio"]["output"]["voice"] == "ash"


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{not json", "invalid_json"),
        ("", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type": NaN}', "invalid_json"),
        ('{"type": 1e999}', "invalid_json"),
        (f'{{"type": 1{"0" * 400}}}', "invalid_json"),
        ("[1, 2]", "invalid_event"),
        ("null", "invalid_event"),
        (b"\x00\x01", "invalid_event"),
        ("{}", "missing_required_parameter"),
        ('{"type": null}', "invalid_type"),
        ('{"type": "nope"}', "invalid_value"),
        ('{"type": "output_audio_buffer.clear"}', "invalid_value"),
        ('{"type": "transcription_session.update", "session": {}}', "invalid_value"),
        ('{"type": "session.close"}', "invalid_value"),
    ],
)
def test_nonsense_is_an_error_and_no_more(client: RawClient, frame: str | bytes, code: str) -> None:
    client.websocket.send(frame)
    error = client.error()
    assert (error["code"], error["event_id"]) == (code, None)
    assert client.update() == client.session


@pytest.mark.parametrize("event_id", ["mine", None, 5])
def test_errors_name_the_event_of_the_client(client: RawClient, event_id: Any) -> None:
    client.websocket.send(json.dumps({"type": "nope", "event_id": event_id}))
    assert client.error()["event_id"] == (event_id if isinstance(event_id, str) else None)


def test_a_message_that_is_too_big_closes_the_connection(client: RawClient) -> None:
    client.websocket.send("x" * (16 * 1024 * 1024 + 1))
    assert client.closed()[0] == 1009


def test_an_append_may_have_15_mib(client: RawClient) -> None:
    client.update(audio={"input": {"turn_detection": None}})
    client.send("input_audio_buffer.append", audio="A" * 15 * 1024 * 1024)
    client.send("input_audio_buffer.append", audio="A" * (15 * 1024 * 1024 + 4))
    assert client.error()["code"] == "string_above_max_length"
    client.send("input_audio_buffer.commit")
    client.expect("input_audio_buffer.committed", "conversation.item.added", "conversation.item.done")


# -------------------------------------------------------------------------------------------------------------- items


def test_items_are_added_where_they_belong(client: RawClient) -> None:
    first = client.say("one")
    client.send(
        "conversation.item.create",
        item={"id": "mine", "type": "message", "role": "system", "content": [{"type": "input_text", "text": "zero"}]},
        previous_item_id="root",
    )
    for event_type in ("conversation.item.added", "conversation.item.done"):
        event = client.expect(event_type)
        assert event["previous_item_id"] is None
        assert event["item"] == {
            "id": "mine",
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "system",
            "content": [{"type": "input_text", "text": "zero"}],
        }
    client.send("conversation.item.create", item={"type": "message", "role": "user", "content": []})
    assert client.expect("conversation.item.added")["previous_item_id"] == first["id"]
    client.expect("conversation.item.done")
    client.send(
        "conversation.item.create", item={"type": "message", "role": "user", "content": []}, previous_item_id="mine"
    )
    assert client.expect("conversation.item.added")["previous_item_id"] == "mine"


@pytest.mark.parametrize(
    ("item", "previous", "code", "param"),
    [
        (
            {"id": "taken", "type": "message", "role": "user", "content": []},
            None,
            "item_create_duplicate_item_id",
            None,
        ),
        ({"type": "message", "role": "user", "content": []}, "nowhere", "invalid_value", "previous_item_id"),
        ({"type": "function_call_output", "call_id": "c", "output": "1"}, None, "invalid_tool_call_id", None),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "%"}]},
            None,
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "x"}]},
            None,
            "invalid_value",
            "item.content[0].type",
        ),
    ],
)
def test_items_that_cannot_be_are_refused(
    client: RawClient, item: dict[str, Any], previous: str | None, code: str, param: str | None
) -> None:
    client.add({"id": "taken", "type": "message", "role": "user", "content": []})
    event_id = client.send("conversation.item.create", item=item, previous_item_id=previous)
    error = client.error()
    assert (error["code"], error["param"], error["event_id"]) == (code, param, event_id)


def test_every_kind_of_item_is_taken(client: RawClient) -> None:
    audio = b64(tone(200))
    items: list[dict[str, Any]] = [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "x"},
                {"type": "input_audio", "audio": audio},
                {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
            ],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_a"},
        {"type": "function_call_output", "call_id": "call_a", "output": "done"},
        {"type": "mcp_approval_request", "id": "m1", "server_label": "s", "name": "n", "arguments": "{}"},
        {"type": "mcp_approval_response", "id": "m2", "approval_request_id": "m1", "approve": True},
        {"type": "mcp_call", "id": "m3", "server_label": "s", "name": "n", "arguments": "{}", "output": "1"},
        {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "n", "input_schema": {}}]},
    ]
    for item in items:
        added = client.add(item)
        assert added["type"] == item["type"]
        client.send("conversation.item.retrieve", item_id=added["id"])
        assert client.expect("conversation.item.retrieved")["item"]["id"] == added["id"]


def test_only_retrieve_shows_audio(client: RawClient) -> None:
    audio = b64(tone(200))
    added = client.add({"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]})
    assert added["content"] == [{"type": "input_audio", "transcript": None}]
    client.send("conversation.item.retrieve", item_id=added["id"])
    assert client.expect("conversation.item.retrieved")["item"]["content"][0]["audio"] == audio


def test_deleted_items_are_gone(client: RawClient) -> None:
    item = client.say("x")
    client.send("conversation.item.delete", item_id=item["id"])
    assert client.expect("conversation.item.deleted")["item_id"] == item["id"]
    for action, code in (("delete", "delete"), ("retrieve", "retrieve"), ("truncate", "truncate")):
        more = {"content_index": 0, "audio_end_ms": 0} if action == "truncate" else {}
        client.send(f"conversation.item.{action}", item_id=item["id"], **more)
        assert client.error()["code"] == f"item_{code}_invalid_item_id"


def test_speech_is_truncated_to_what_was_heard() -> None:
    with LocalServer([Reply("a long story", audio=tone(900))]) as server, RawClient(server) as client:
        item = client.ask("tell me")["output"][0]
        where = {"item_id": item["id"], "content_index": 0}
        client.send("conversation.item.truncate", **where, audio_end_ms=901)
        error = client.error()
        assert error["message"] == "Audio content of 900ms is already shorter than 901ms"
        client.send("conversation.item.truncate", **where, audio_end_ms=300)
        assert client.expect("conversation.item.truncated")["audio_end_ms"] == 300
        client.send("conversation.item.retrieve", item_id=item["id"])
        part = client.expect("conversation.item.retrieved")["item"]["content"][0]
        assert part["audio"] == b64(tone(900)[: 300 * 48])
        assert part["transcript"] is None
        user = client.say("x")
        client.send("conversation.item.truncate", item_id=user["id"], content_index=0, audio_end_ms=0)
        error = client.error()
        assert (error["code"], error["message"]) == (None, "Only model output audio messages can be truncated")


# -------------------------------------------------------------------------------------------------------------- gates


def test_answers_can_be_held_back(server: LocalServer, client: RawClient) -> None:
    gate = server.gate("session.updated", nth=2)
    client.update(instructions="first")
    client.send("session.update", session={"type": "realtime", "instructions": "second"})
    gate.wait_reached()
    with pytest.raises(TimeoutError):
        client.websocket.recv(0.01)
    gate.open()
    assert client.expect("session.updated")["session"]["instructions"] == "second"


def test_errors_can_be_held_back_and_a_stop_frees_them() -> None:
    gate = Gate("error")
    with LocalServer(gates=[gate]) as server, RawClient(server) as client:
        client.send("nope")
        gate.wait_reached()
        server.stop()
        assert client.closed()[0] == 1001


# ---------------------------------------------------------------------------------------------------- context of a turn


def test_the_reply_function_sees_the_turn() -> None:
    turns: list[Any] = []

    def reply(turn: Any) -> str:
        turns.append(turn)
        return f"answer {turn.number}"

    with LocalServer(reply) as server, RawClient(server) as client:
        client.update(output_modalities=["text"], instructions="Be kind.")
        client.ask("first")
        client.say("second")
        client.send("response.create", response={"instructions": "Be short.", "metadata": {"a": "b"}})
        assert text_of(done_of(client.response())) == "answer 2"
    first, second = turns
    assert (first.text, second.text) == ("first", "second")
    assert [item["role"] for item in second.items] == ["user", "assistant", "user"]
    assert second.items[1]["content"] == [{"type": "output_text", "text": "answer 1"}]
    assert first.response["instructions"] == second.session["instructions"] == "Be kind."
    assert second.response["instructions"] == "Be short."
    assert second.response["metadata"] == {"a": "b"}
    assert first.audio == b""
