"""The server's own conversation, and its input audio buffer."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from realtime_sync.local.audio_buffer import InputAudioBuffer, decode_audio
from realtime_sync.local.checks import Refusal
from realtime_sync.local.conversation import Conversation, StoredItem, item_from_client
from realtime_sync.local.sound import AudioFormat


def user(item_id: str) -> StoredItem:
    return StoredItem({"id": item_id, "type": "message", "role": "user", "content": []})


def assistant(item_id: str, ms: int) -> StoredItem:
    content = [{"type": "output_audio", "transcript": "all of it"}]
    data = {"id": item_id, "type": "message", "role": "assistant", "content": content}
    return StoredItem(data, AudioFormat(), {0: bytearray(ms * 48)})


@pytest.fixture
def conversation() -> Conversation:
    made = Conversation("conv_1")
    for item_id in ("a", "b", "c"):
        made.add(user(item_id))
    return made


def ids(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation]


def refused(code: str | None, param: str | None = None) -> Any:
    return pytest.raises(Refusal, check=lambda refusal: (refusal.code, refusal.param) == (code, param))


def test_items_go_where_they_are_put(conversation: Conversation) -> None:
    assert conversation.add(user("end")) == "c"
    assert conversation.add(user("start"), "root") is None
    assert conversation.add(user("middle"), "a") == "a"
    assert ids(conversation) == ["start", "a", "middle", "b", "c", "end"]


def test_ids_are_taken_once_and_places_must_exist(conversation: Conversation) -> None:
    with refused("item_create_duplicate_item_id"):
        conversation.add(user("a"))
    with refused("invalid_value", "previous_item_id"):
        conversation.add(user("d"), "nowhere")
    assert ids(conversation) == ["a", "b", "c"]


def test_an_output_needs_its_call(conversation: Conversation) -> None:
    output = StoredItem({"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "1"})
    with refused("invalid_tool_call_id"):
        conversation.add(output)
    conversation.add(StoredItem({"id": "f", "type": "function_call", "call_id": "call_1", "name": "n"}))
    assert conversation.add(output) == "f"


def test_deleting_mends_the_chain(conversation: Conversation) -> None:
    conversation.delete("b")
    assert conversation.add(user("d"), "a") == "a"
    assert ids(conversation) == ["a", "d", "c"]
    with refused("item_delete_invalid_item_id"):
        conversation.delete("b")


def test_truncating_cuts_the_audio_and_drops_the_transcript(conversation: Conversation) -> None:
    item = assistant("t", 500)
    conversation.add(item)
    conversation.truncate("t", 0, 200)
    assert item.audio_ms == 200
    assert item.data["content"][0]["transcript"] is None
    conversation.truncate("t", 0, 200)
    with refused("invalid_value"):
        conversation.truncate("t", 0, 201)


def test_truncating_needs_speech_of_the_assistant(conversation: Conversation) -> None:
    with refused("item_truncate_invalid_item_id"):
        conversation.truncate("x", 0, 0)
    with refused(None):
        conversation.truncate("a", 0, 0)
    conversation.add(assistant("t", 500))
    with refused("invalid_value", "content_index"):
        conversation.truncate("t", 1, 0)


def test_items_of_the_client_are_completed_and_keep_their_audio_apart() -> None:
    ids = itertools.count(1)
    audio = base64.b64encode(bytes(4_800)).decode()
    raw = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    item = item_from_client(raw, lambda prefix: f"{prefix}_{next(ids)}", AudioFormat(), "item")
    content = [{"type": "input_audio", "transcript": None}]
    assert item.shown() == {
        "id": "item_1",
        "object": "realtime.item",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": content,
    }
    assert item.audio_ms == 100
    assert item.whole()["content"] == [{**content[0], "audio": audio, "format": "pcm16"}]
    raw["content"] = [{"type": "input_audio", "audio": "???"}]
    with refused("invalid_value", "item.content[0].audio"):
        item_from_client(raw, str, AudioFormat(), "item")


def test_the_buffer_counts_from_the_first_append() -> None:
    buffer = InputAudioBuffer(AudioFormat())
    buffer.append(bytes(48 * 300))
    assert buffer.take(100, 250) == bytes(48 * 150)
    assert (buffer.begin_ms, buffer.end_ms, buffer.ms) == (250, 300, 50)
    buffer.append(bytes(48 * 100))
    assert len(buffer.take_all()) == 48 * 150
    assert (buffer.begin_ms, buffer.end_ms) == (400, 400)
    buffer.append(bytes(48 * 500))
    buffer.forget_before(800)
    assert (buffer.begin_ms, buffer.ms) == (800, 100)
    buffer.clear()
    assert (buffer.begin_ms, buffer.ms) == (900, 0)


@pytest.mark.parametrize("ms", [0, 1, 99])
def test_a_commit_needs_100_ms(ms: int) -> None:
    buffer = InputAudioBuffer(AudioFormat("audio/pcmu", 8_000))
    buffer.append(bytes(8 * ms))
    with refused("input_audio_buffer_commit_empty"):
        buffer.take_all()
    assert buffer.ms == ms


def test_another_format_starts_anew() -> None:
    buffer = InputAudioBuffer(AudioFormat())
    buffer.append(bytes(48 * 100))
    buffer.change_format(AudioFormat("audio/pcma", 8_000))
    assert (buffer.begin_ms, buffer.ms) == (100, 0)
    buffer.append(bytes(8 * 100))
    assert buffer.end_ms == 200


@pytest.mark.parametrize("encoded", ["", "!!!!", "abc", "QUJD\n"])
def test_audio_must_be_base64(encoded: str) -> None:
    with refused("invalid_value", "audio"):
        decode_audio(encoded, "audio")
