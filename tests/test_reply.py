"""What a reply gathers from the events of its response."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from fakes import FakeSession, response_created, response_done, text_delta

import realtime_sync as rt


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
def test_a_response_that_is_not_completed(fake: FakeSession, status: str) -> None:
    for check in (True, False):
        turn = fake.session.respond()
        create = fake.wire.wait_sent(1 if check else 2)
        details = {"type": status, "reason": "content_filter", "error": {"code": "server_error"}}
        fake.wire.say(
            response_created(f"r{check}", create),
            text_delta(f"r{check}", "so far"),
            response_done(f"r{check}", status, status_details=details),
        )
        if check:
            with pytest.raises(rt.ResponseFailed, match="content_filter, server_error") as caught:
                turn.result()
            assert caught.value.status == status
            assert turn.reply.text == "so far"
        else:
            assert turn.result(check=False).status == status


def test_a_reply_is_whole_without_deltas_and_without_what_cannot_be_decoded(fake: FakeSession) -> None:
    turn = fake.session.respond()
    create = fake.wire.wait_sent(1)
    place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    fake.wire.say(
        response_created("r", create),
        {"type": "response.output_audio.delta", **place, "delta": "A"},
        {"type": "response.output_audio.delta", **place, "delta": base64.b64encode(b"pcm").decode()},
        {"type": "response.output_audio_transcript.delta", **place, "delta": "sp"},
        {"type": "response.output_audio_transcript.done", **place, "transcript": "spoken"},
        {"type": "response.output_audio_transcript.done", **place, "transcript": None},
        {"type": "response.output_text.done", **place, "text": "written"},
        {"type": "response.output_text.done", **place, "text": None},
        {"type": "response.function_call_arguments.done", **place, "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "response.output_item.done", **place, "item": {"type": "message", "role": "assistant", "content": []}},
        response_done("r", "failed"),
    )
    reply = turn.result(check=False)
    assert (reply.audio, reply.transcript, reply.text) == (b"pcm", "spoken", "written")
    assert [call.call_id for call in reply.tool_calls] == ["c"]
    assert len(reply.items) == 1
    with pytest.raises(rt.ResponseFailed, match=r"failed$"):
        reply.raise_for_status()
