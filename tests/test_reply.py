"""What a reply gathers from the events of its response."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.codec import decode_server_event
from realtime_sync.session import reply as room
from realtime_sync.session.reply import Reply


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


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"status_details": "BOOM"}, "BOOM"),
        ({"status_details": {"message": "BOOM"}}, "BOOM"),
        ({"status_details": {"error": "BOOM"}}, "BOOM"),
        ({"status_details": {"error": {"code": "c", "error": {"message": "BOOM"}}}}, "c, BOOM"),
        ({"status_details": {"reason": "content_filter"}, "error": {"message": "BOOM"}}, "content_filter, BOOM"),
        ({"last_error": {"detail": ["BOOM"]}}, "BOOM"),
        ({"error": {"number": 5, "api_key": "ek_hidden"}}, '{"number": 5, "api_key": "<redacted>"}'),
        ({"status_details": {"error": {"code": "c", "message": "said"}}, "error": "BOOM"}, "c, said"),
    ],
)
def test_a_failure_says_what_the_server_said_of_it_wherever_that_stands(more: dict[str, Any], told: str) -> None:
    reply = Reply()
    reply.apply(decode_server_event(response_done("r", "failed", **more)))
    with pytest.raises(rt.ResponseFailed) as caught:
        reply.raise_for_status()
    assert str(caught.value) == f"the response ended as failed ({told})"


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


NOTHING: Any = None


def place(output_index: int | None = 0, content_index: int | None = 0) -> Any:
    return {"response_id": "r", "item_id": "i", "output_index": output_index, "content_index": content_index}


def text(delta: str | None, *where: int | None) -> e.ServerEvent:
    given: Any = delta
    return e.ResponseOutputTextDelta(**place(*where), delta=given)


def folded(*events: e.ServerEvent) -> Reply:
    reply = Reply()
    for event in events:
        reply.apply(event)
    return reply


def done(**fields: Any) -> e.ResponseDone:
    return e.ResponseDone(response=e.Response(id="r", **fields))


def call(call_id: str | None, name: str = "f", arguments: str = "{}") -> Any:
    return e.FunctionCall(id="i", call_id=call_id, name=name, arguments=arguments)


def test_parts_stand_in_their_order_however_they_interleave() -> None:
    events = [text("d", 1, 0), text("a", 0, 0), text("c", 0, 1), text("b", 0, 0), text("e", 1, 0)]
    assert folded(*events).text == "abcde"


def test_what_the_server_leaves_out_is_nothing_and_the_first_place() -> None:
    assert folded(text("a", None, None), text(None), text("b", 0, 0)).text == "ab"


def test_the_whole_text_at_the_end_replaces_the_pieces() -> None:
    whole = e.ResponseOutputTextDone(**place(), text="Hello")
    assert folded(text("Hel"), whole).text == "Hello"
    assert folded(text("Hel"), text("lo"), whole).text == "Hello"
    said = e.ResponseOutputAudioTranscriptDone(**place(), transcript="Hi")
    spoken = folded(e.ResponseOutputAudioTranscriptDelta(**place(), delta="H"), said)
    assert (spoken.transcript, str(spoken), spoken.text) == ("Hi", "Hi", "")


def message(*parts: e.ContentPart) -> Any:
    return e.AssistantMessage(content=list(parts))


def item_done(item: Any, output_index: int = 0) -> e.ServerEvent:
    return e.ResponseOutputItemDone(response_id="r", output_index=output_index, item=item)


def part_done(part: e.ContentPart, *where: int) -> e.ServerEvent:
    return e.ResponseContentPartDone(**place(*where), part=part)


SPOKEN = e.OutputAudio(transcript="spoken")
WRITTEN = [e.OutputText(text="first, "), e.OutputText(text="second")]
TOLD_AT_THE_END = {
    "item": [item_done(message(WRITTEN[1], SPOKEN), 1), item_done(message(WRITTEN[0])), done(output=[])],
    "part": [part_done(WRITTEN[1], 1, 1), part_done(SPOKEN, 1, 0), part_done(WRITTEN[0]), done(output=[])],
    "output": [done(output=[call("c"), message(WRITTEN[0]), message(SPOKEN, WRITTEN[1])])],
    "output-and-items": [item_done(message(WRITTEN[0])), done(output=[message(*WRITTEN, SPOKEN)])],
    "all": [*map(part_done, WRITTEN), item_done(message(*WRITTEN, SPOKEN)), done(output=[message(*WRITTEN, SPOKEN)])],
}


@pytest.mark.parametrize("events", TOLD_AT_THE_END.values(), ids=TOLD_AT_THE_END)
def test_what_only_the_items_tell_is_its_text_in_the_end(events: list[e.ServerEvent]) -> None:
    reply = folded(*events[:-1])
    assert str(reply) == "", "it grows: what comes by itself may still come"
    reply.apply(events[-1])
    assert (reply.text, reply.transcript, str(reply)) == ("first, second", "spoken", "first, second")
    assert pickle.loads(pickle.dumps(reply)).text == "first, second"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (text("fir"), ("fir", "")),
        (e.ResponseOutputAudioTranscriptDelta(**place(7), delta="spo"), ("", "spo")),
    ],
)
def test_what_came_by_itself_is_not_taken_from_the_items_too(own: e.ServerEvent, said: tuple[str, str]) -> None:
    whole = message(*WRITTEN, SPOKEN)
    end = done(output=[whole])
    for events in ([own, item_done(whole, 1), part_done(WRITTEN[0]), end], [item_done(whole), end, own]):
        reply = folded(*events)
        assert (reply.text, reply.transcript) == said


@pytest.mark.parametrize("content", [[], NOTHING, [e.OutputAudio()], [e.InputText(text="asked")], [e.UnknownObject()]])
def test_items_that_tell_no_text_give_none(content: Any) -> None:
    assert str(folded(done(output=[e.AssistantMessage(content=content), call("c")]))) == ""


def test_the_items_are_not_looked_into_where_text_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reply, "items", property(lambda reply: pytest.fail("read")))
    assert str(folded(text("a"), done(output=[message(*WRITTEN)]))) == "a"


def test_the_reply_of_a_new_response_is_empty_and_in_progress() -> None:
    reply = Reply()
    assert (reply.text, reply.transcript, reply.audio, reply.items, reply.tool_calls) == ("", "", b"", [], [])
    assert (reply.done, reply.status, reply.usage, reply.response_id) == (False, "in_progress", None, None)
    assert reply.raise_for_status() is reply, "it may still go well"


def test_events_that_tell_nothing_of_it_change_nothing() -> None:
    reply = folded(e.ResponseCreated(response=e.Response(id="r")), e.UnknownEvent(type="x"))
    assert repr(reply) == repr(Reply())


@pytest.mark.parametrize("response", [e.Response(), NOTHING])
def test_an_end_without_a_status_is_a_good_one(response: Any) -> None:
    reply = folded(e.ResponseDone(response=response))
    assert (reply.done, reply.status) == (True, "completed")
    assert reply.raise_for_status() is reply


def test_times_are_counted_from_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 12.5, 13.0, 14.0])
    monkeypatch.setattr(room, "now", lambda: next(clock))
    audio = e.ResponseOutputAudioDelta(**place(), delta="AAAA")
    reply = folded(text("a"), text("b"), audio, audio, done())
    assert (reply.first_delta_s, reply.first_audio_s, reply.duration_s) == (1.0, 2.5, 3.0)


@pytest.mark.parametrize(
    "first",
    [
        e.ResponseOutputTextDelta(**place(), delta="a"),
        e.ResponseOutputAudioDelta(**place(), delta="AAAA"),
        e.ResponseOutputAudioTranscriptDelta(**place(), delta="a"),
    ],
    ids=lambda event: event.type,
)
def test_the_first_piece_of_any_content_counts(first: e.ServerEvent) -> None:
    reply = folded(first)
    assert reply.first_delta_s is not None
    assert (reply.first_audio_s is not None) == isinstance(first, e.ResponseOutputAudioDelta)


def test_calls_are_gathered_from_all_that_tells_of_them_each_once() -> None:
    told = e.ResponseFunctionCallArgumentsDone(
        response_id="r", item_id="i", output_index=0, call_id="c", name="f", arguments="{}"
    )
    item = e.ResponseOutputItemDone(response_id="r", output_index=0, item=call("c"))
    other = e.ResponseOutputItemDone(response_id="r", output_index=1, item=call("d", "g"))
    assert [c.name for c in folded(told).tool_calls] == ["f"]
    assert [c.name for c in folded(other, told, item).tool_calls] == ["f", "g"]
    assert [c.call_id for c in folded(told, item, other, done(output=[call("c"), call("d")])).tool_calls] == ["c", "d"]


@pytest.mark.parametrize("left_out", ["name", "call_id", "item_id", "call_id name", "item_id name"])
def test_a_call_is_put_together_from_all_that_tells_of_it(left_out: str) -> None:
    known = {"item_id": "i", "call_id": "c", "name": "f"}
    known.update(dict.fromkeys(left_out.split(), NOTHING))
    told = e.ResponseFunctionCallArgumentsDone(response_id="r", output_index=0, arguments='{"a": 1}', **known)
    whole = e.FunctionCall(id="i", call_id="c", name="f", arguments='{"a": 1}')
    begun = e.ResponseOutputItemAdded(response_id="r", output_index=0, item=whole.__replace__(arguments=""))
    item = e.ResponseOutputItemDone(response_id="r", output_index=0, item=whole.__replace__(arguments=NOTHING))
    assert folded(begun, told).tool_calls == [whole]
    assert folded(told, item).tool_calls == [whole]
    assert folded(told, done(output=[whole])).tool_calls == [whole]


def test_parallel_calls_whose_items_have_one_id_are_two() -> None:
    both = [e.FunctionCall(id="i", call_id=call_id, name="f", arguments="{}") for call_id in ("c", "d")]
    assert folded(done(output=both)).tool_calls == both


def test_the_items_at_the_end_go_first_and_those_before_stand_in_for_them() -> None:
    early = e.ResponseOutputItemDone(response_id="r", output_index=1, item=call("d"))
    first = e.ResponseOutputItemDone(response_id="r", output_index=NOTHING, item=call("c"))
    assert [item.call_id for item in folded(early, first).items] == ["c", "d"]
    assert [item.call_id for item in folded(early, done(output=[])).items] == ["d"]
    reply = folded(early, done(output=[call("e")]))
    assert [item.call_id for item in reply.items] == ["e"]
    reply.items.clear()
    assert len(reply.items) == 1, "a list of one's own"


@pytest.mark.parametrize(
    ("status", "output", "warned"),
    [
        ("completed", [], True),
        ("cancelled", [], False),
        ("completed", [e.FunctionCall(call_id="c", name="f", arguments="{}")], False),
    ],
)
def test_a_call_whose_arguments_were_never_told_whole_is_not_left_out_silently(
    caplog: pytest.LogCaptureFixture, status: str, output: list[Any], warned: bool
) -> None:
    place: Any = {"response_id": "r", "output_index": 0}
    reply = folded(
        e.ResponseOutputItemAdded(**place, item=e.FunctionCall(id="i", call_id="c", name="f", arguments="")),
        e.ResponseFunctionCallArgumentsDelta(**place, item_id="i", call_id="c", delta="{}"),
        e.ResponseDone(response=e.Response(status=status, output=output)),
    )
    assert reply.tool_calls == output
    assert ("a call of f and never told" in caplog.text) == warned


def test_one_that_was_never_asked_for_is_cancelled() -> None:
    reply = Reply()
    reply.end_unsent()
    assert (reply.done, reply.status) == (True, "cancelled")
    assert reply.duration_s is not None
    with pytest.raises(rt.ResponseFailed, match=r"ended as cancelled$"):
        reply.raise_for_status()


def test_a_failure_tells_what_the_server_says_of_it() -> None:
    error = e.ResponseError(type="server_error", code="script_exhausted", message="No reply is left.")
    details = e.ResponseStatusDetails(type="failed", error=error)
    reply = folded(e.ResponseDone(response=e.Response(status="failed", status_details=details)))
    with pytest.raises(rt.ResponseFailed, match=r"ended as failed \(script_exhausted, No reply is left\.\)$"):
        reply.raise_for_status()


def test_repr_shows_the_text_and_the_length_of_the_audio() -> None:
    audio = e.ResponseOutputAudioDelta(**place(), delta="AAAA")
    reply = folded(text("hi"), audio, done(output=[call("c", "look")]))
    assert repr(reply) == "<Reply completed: 'hi', tool_calls=['look'], 3 bytes of audio>"
