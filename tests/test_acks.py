from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

from realtime_sync._deadline import Deadline
from realtime_sync.codec import decode_server_event
from realtime_sync.errors import ConnectionLost, RealtimeTimeout, ServerError
from realtime_sync.events import (
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    ErrorDetail,
    ErrorEvent,
    FunctionCallOutput,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    InputText,
    RealtimeSessionConfig,
    Response,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    SessionUpdate,
    SessionUpdated,
    UserMessage,
)
from realtime_sync.sending.acks import STAMP, Ack, AckTable, error_in, server_error
from realtime_sync.state.responses import Responses


def never(done: Callable[[], bool], deadline: Deadline, what: str) -> None:
    if not done():
        raise RealtimeTimeout(what)


@pytest.fixture
def table() -> AckTable:
    return AckTable(lambda: never)


def sent(table: AckTable, event: Any, event_id: str) -> Ack[Any]:
    """The handle of an event that was sent."""
    ack = table.prepare(event, event_id)
    table.expect(ack)
    return ack


def refused(table: AckTable, event: ErrorEvent) -> Ack[Any] | None:
    """The handle that the error refuses."""
    error = server_error(event)
    ack = table.refusal_of(error)
    if ack is not None:
        table.refuse(ack, error)
    return ack


def begun(table: AckTable, event: ResponseCreated) -> Ack[Any] | None:
    return table.begun(event)[0]


def update() -> SessionUpdate:
    return SessionUpdate(session=RealtimeSessionConfig())


def updated() -> SessionUpdated:
    return SessionUpdated(session=RealtimeSessionConfig())


def error(event_id: str | None, code: str = "bad") -> ErrorEvent:
    return ErrorEvent(error=ErrorDetail(type="invalid_request_error", message="no", code=code, event_id=event_id))


def message(item_id: str | None, text: str = "hi") -> UserMessage:
    return UserMessage(id=item_id, content=[InputText(text=text)])


def created(response_id: str, stamp: str | None = None) -> ResponseCreated:
    return ResponseCreated(response=Response(id=response_id, metadata={STAMP: stamp} if stamp else None))


def stamped(event_id: str) -> ResponseCreate:
    return ResponseCreate(response=ResponseConfig(metadata={STAMP: event_id}))


def test_confirmations_without_an_id_come_in_order(table: AckTable) -> None:
    first, second = sent(table, update(), "1"), sent(table, update(), "2")
    with pytest.raises(RealtimeTimeout, match=r"answer to session\.update"):
        second.result()
    event = updated()
    assert table.apply(event)
    assert (first.done, second.done) == (True, False)
    assert first.result() is event
    assert first.confirmation is event
    assert table.apply(updated())
    assert second.done
    assert not table.apply(updated())


def test_a_refusal_names_its_event(table: AckTable) -> None:
    first, second = sent(table, update(), "1"), sent(table, update(), "2")
    assert refused(table, error("2"))
    assert not first.done
    with pytest.raises(ServerError) as caught:
        second.result()
    assert (caught.value.code, caught.value.event_id, caught.value.type) == ("bad", "2", "invalid_request_error")
    assert not refused(table, error("2"))
    assert "failed" in repr(second)
    assert "pending" in repr(first)


def test_what_nothing_confirms_is_done_at_once(table: AckTable) -> None:
    ack = sent(table, InputAudioBufferAppend(audio="AAAA"), "1")
    assert ack.done
    assert ack.result() is None
    assert not refused(table, error("1"))


@pytest.mark.parametrize(
    ("event", "other", "confirming"),
    [
        (
            ConversationItemDelete(item_id="a"),
            ConversationItemDeleted(item_id="b"),
            ConversationItemDeleted(item_id="a"),
        ),
        (
            ConversationItemTruncate(item_id="a", content_index=0, audio_end_ms=1),
            ConversationItemTruncated(item_id="b", content_index=0, audio_end_ms=1),
            ConversationItemTruncated(item_id="a", content_index=0, audio_end_ms=1),
        ),
        (
            ConversationItemRetrieve(item_id="a"),
            ConversationItemRetrieved(item=message("b")),
            ConversationItemRetrieved(item=message("a")),
        ),
        (
            ConversationItemCreate(item=message("a")),
            ConversationItemAdded(item=FunctionCallOutput(id="b", call_id="c", output="")),
            ConversationItemAdded(item=message("a")),
        ),
        (InputAudioBufferClear(), InputAudioBufferCommitted(item_id="x"), InputAudioBufferCleared()),
        (InputAudioBufferCommit(), InputAudioBufferCleared(), InputAudioBufferCommitted(item_id="x")),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_confirmations_with_an_id_are_matched_by_it(table: AckTable, event: Any, other: Any, confirming: Any) -> None:
    ack = sent(table, event, "1")
    assert not table.apply(other)
    assert not ack.done
    assert table.apply(confirming) is ack
    assert ack.result() is confirming
    assert not table.apply(confirming)


def test_a_cancellation_is_confirmed_by_the_end_of_what_it_cancels(table: AckTable) -> None:
    responses = Responses()
    first = responses.begin(created("a"), asked_by="0")
    by_run, by_id, by_create = (sent(table, ResponseCancel(), str(number)) for number in (1, 2, 3))
    by_run._about, by_id._about, by_create._about = first, "a", "0"
    other = responses.begin(created("b"))
    end = ResponseDone(response=Response(id="b"))
    table.ended(end, other)
    assert [ack.done for ack in (by_run, by_id, by_create)] == [False] * 3
    end = ResponseDone(response=Response(id="a"))
    table.ended(end, first)
    assert by_run.result() is by_id.result() is by_create.result() is end


def test_an_item_that_the_server_named_itself_is_matched_by_its_shape(table: AckTable) -> None:
    call = sent(table, ConversationItemCreate(item=FunctionCallOutput(id="x", call_id="c", output="")), "1")
    text = sent(table, ConversationItemCreate(item=message("y")), "2")
    assert (call.item_id, text.item_id) == ("x", "y")
    assert table.apply(ConversationItemCreated(item=message("server-1")))
    assert (call.done, text.done) == (False, True)
    assert table.apply(ConversationItemAdded(item=FunctionCallOutput(id="server-2", call_id="c", output="")))
    assert call.done


def test_the_stamp_tells_a_response_from_others(table: AckTable) -> None:
    ack = sent(table, stamped("1"), "1")
    assert not begun(table, created("of somebody else", stamp="7"))
    assert not ack.done
    assert table.begun(created("mine", stamp="1")) == (ack, False)
    assert ack.result().response.id == "mine"


def test_once_a_server_sent_a_stamp_back_one_without_it_is_nobodys(table: AckTable) -> None:
    first = sent(table, stamped("1"), "1")
    begun(table, created("a", stamp="1"))
    assert first.done
    second = sent(table, stamped("2"), "2")
    assert not begun(table, created("by the server"))
    assert begun(table, created("b", stamp="2"))
    assert second.done


def test_a_server_that_echoes_no_metadata_confirms_in_order_which_is_a_guess(table: AckTable) -> None:
    first, second = sent(table, stamped("1"), "1"), sent(table, ResponseCreate(), "2")
    assert begun(table, created("a")) is second, "one without a stamp can only be confirmed in order"
    assert not first.done
    assert table.begun(created("b")) == (first, True)
    table.reopen(first)
    assert not first.done
    assert first.confirmation is None


def test_a_response_whose_beginning_was_not_told_confirms_all_the_same(table: AckTable) -> None:
    ack = sent(table, stamped("1"), "1")
    item = ResponseOutputItemAdded(response_id="r", output_index=0, item=message("i"))
    assert table.begun(item)[0] is ack
    assert isinstance(ack.result(), ResponseCreated)
    assert ack.result().response.id == "r"


# What had arrived before


class Arrivals:
    """How many events have arrived, and which one is taken in."""

    def __init__(self) -> None:
        self.arrived = self.place = 0
        self.table = AckTable(lambda: never, arrived=lambda: self.arrived, place=lambda: self.place)


def test_what_had_arrived_before_a_message_was_sent_is_no_answer_to_it() -> None:
    arrivals = Arrivals()
    table = arrivals.table
    arrivals.arrived = 2
    changed, asked = sent(table, update(), "1"), sent(table, ResponseCreate(), "2")
    said = sent(table, ConversationItemCreate(item=message(None)), "3")
    for place in (1, 2):
        arrivals.place = place
        assert table.apply(updated()) is None
        assert begun(table, created(f"r{place}")) is None
        assert table.apply(ConversationItemAdded(item=message(f"i{place}"))) is None
        assert refused(table, error(None)) is None
    assert not any(ack.done for ack in (changed, asked, said))
    arrivals.place = 3
    assert table.apply(updated()) is changed
    assert begun(table, created("r3")) is asked
    assert table.apply(ConversationItemAdded(item=message("i3"))) is said


def test_what_names_a_message_is_about_it_whenever_it_came() -> None:
    arrivals = Arrivals()
    arrivals.arrived, arrivals.place = 2, 1  # no server can do that, but nothing is gained by not believing it
    changed, asked = sent(arrivals.table, update(), "1"), sent(arrivals.table, stamped("2"), "2")
    assert refused(arrivals.table, error("1")) is changed
    assert begun(arrivals.table, created("r", stamp="2")) is asked


def test_a_message_that_is_sent_again_is_answered_by_what_comes_then() -> None:
    arrivals = Arrivals()
    asked = sent(arrivals.table, ResponseCreate(), "1")
    arrivals.table.discard(asked)
    arrivals.arrived = arrivals.place = 5
    arrivals.table.expect(asked)
    assert begun(arrivals.table, created("r")) is None
    arrivals.place = 6
    assert begun(arrivals.table, created("r")) is asked
    arrivals.arrived = arrivals.place = 7  # that was the answer to something else; this may be its own
    arrivals.table.reopen(asked)
    arrivals.table.expect(asked, sent=True)
    assert begun(arrivals.table, created("s")) is asked


def test_metadata_of_the_servers_own_says_nothing_of_ours(table: AckTable) -> None:
    ack = sent(table, stamped("1"), "1")
    assert begun(table, ResponseCreated(response=Response(id="r", metadata={"trace_id": "abc"}))) is ack


# What names nobody


def unnamed(message: str = "no", code: str | None = None, param: str | None = None) -> ErrorEvent:
    return ErrorEvent(error=ErrorDetail(type="server_error", message=message, code=code, param=param))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (unnamed("session.update was not understood"), "session.update"),
        (unnamed(param="session.voice"), "session.update"),
        (unnamed(param="item.content[0].text"), "conversation.item.create"),
        (unnamed(param="item_id"), "conversation.item.delete"),
        (unnamed(code="input_audio_buffer_commit_empty"), "input_audio_buffer.commit"),
        (unnamed(code="item_create_duplicate_item_id"), "conversation.item.create"),
        (unnamed(code="conversation_already_has_active_response"), "response.create"),
        (unnamed("out of order"), "response.create"),
    ],
)
def test_an_error_that_names_no_message_is_for_the_one_that_it_speaks_of_else_for_the_only_create(
    table: AckTable, error: ErrorEvent, kind: str
) -> None:
    waiting = [update(), ConversationItemCreate(item=message("a")), ConversationItemDelete(item_id="a")]
    waiting += [InputAudioBufferCommit(), ResponseCreate()]
    acks = {event.type: sent(table, event, event.type) for event in waiting}
    assert refused(table, error) is acks[kind]
    assert [kind for kind, ack in acks.items() if ack.done] == [kind]


def test_an_error_that_names_no_message_is_for_the_only_one_that_waits(table: AckTable) -> None:
    assert refused(table, unnamed()) is None
    ack = sent(table, update(), "1")
    assert refused(table, unnamed(code="input_audio_buffer_commit_empty")) is None, "it speaks of another one"
    assert refused(table, unnamed()) is ack


def test_an_error_that_could_be_for_several_is_nobodys(table: AckTable) -> None:
    acks = [sent(table, event, event.type) for event in (update(), InputAudioBufferCommit())]
    assert refused(table, unnamed()) is None
    assert not any(ack.done for ack in acks)


def test_a_message_that_nobody_waits_for_any_more_lets_newer_ones_go_first(table: AckTable) -> None:
    swallowed = sent(table, update(), "1")
    with pytest.raises(RealtimeTimeout):
        swallowed.result()
    good = sent(table, update(), "2")
    assert table.apply(updated()) is good
    assert not swallowed.done
    assert table.apply(updated()) is swallowed, "better late than never"


def test_the_create_under_way_is_the_latest_that_is_not_late(table: AckTable) -> None:
    assert table.create_under_way() is None
    first, second = sent(table, stamped("1"), "1"), sent(table, stamped("2"), "2")
    assert table.create_under_way() is second
    with pytest.raises(RealtimeTimeout):
        second.result(0)
    assert table.create_under_way() is first
    table.discard(first)
    assert table.create_under_way() is None


def test_what_was_sent_before_something_that_is_answered_is_late(table: AckTable) -> None:
    item, create = sent(table, ConversationItemCreate(item=message("a")), "1"), sent(table, ResponseCreate(), "2")
    begun(table, created("r"))
    assert create.done
    again = sent(table, update(), "3")
    assert refused(table, unnamed()) is again, "the item's confirmation is hardly to be expected"
    assert not item.done


def test_an_item_that_is_announced_under_two_names_confirms_one_message(table: AckTable) -> None:
    first, second = (sent(table, ConversationItemCreate(item=message(name)), name) for name in "ab")
    assert table.apply(ConversationItemCreated(item=message("a"))) is first
    assert table.apply(ConversationItemAdded(item=message("a"))) is None
    assert not second.done
    third = sent(table, ConversationItemCreate(item=message("c")), "c")
    assert table.apply(ConversationItemCreated(item=message("server-1"))) is second
    assert second.item_id == "server-1"
    assert table.apply(ConversationItemAdded(item=message("server-1"))) is None
    assert not third.done


def test_what_no_server_confirms_does_not_pile_up(table: AckTable) -> None:
    acks = [sent(table, ConversationItemCreate(item=message(str(number))), str(number)) for number in range(3000)]
    assert len(table._pending) < 1100
    assert table.apply(ConversationItemAdded(item=message("2999"))) is acks[-1]


def test_nothing_to_cancel_is_success(table: AckTable) -> None:
    ack = sent(table, ResponseCancel(), "1")
    assert refused(table, error("1", code="response_cancel_not_active"))
    assert ack.result() is None
    other = sent(table, update(), "2")
    assert refused(table, error("2", code="response_cancel_not_active"))
    with pytest.raises(ServerError):
        other.result()


def test_the_end_fails_what_waits_and_what_comes_later(table: AckTable) -> None:
    ack = sent(table, update(), "1")
    table.fail_all(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        ack.result()
    late = sent(table, update(), "2")
    with pytest.raises(ConnectionLost):
        late.result()


def test_a_discarded_one_is_never_confirmed(table: AckTable) -> None:
    ack = sent(table, update(), "1")
    table.discard(ack)
    assert not table.apply(updated())


def test_a_refusal_that_nobody_asks_for_is_logged(table: AckTable, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "realtime_sync"):
        ack = sent(table, update(), "1")
        refused(table, error("1"))
        del ack
        gc.collect()
        assert "session.update was refused and nobody asked" in caplog.text
        caplog.clear()
        ack = sent(table, update(), "2")
        refused(table, error("2"))
        assert isinstance(ack.exception(), ServerError)
        del ack
        gc.collect()
        assert caplog.text == ""


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"error": {"message": "BOOM"}}},
        {"error": {"detail": "BOOM"}},
        {"error": {"message": ["BOOM"]}},
        {"error": {"errors": [{"message": "BOOM"}]}},
        {"error": ["BOOM"]},
        {"error": "BOOM"},
        {"detail": "BOOM"},
        {"reason": "BOOM"},
        {"errors": ["BOOM"]},
    ],
)
def test_the_message_of_an_error_is_found_in_whatever_shape_it_has(said: dict[str, Any]) -> None:
    event = decode_server_event({"type": "error", **said})
    assert server_error(event).message == "BOOM"
    untyped = error_in(decode_server_event(said))
    assert ("error" in said) == (untyped is not None)
    assert untyped is None or untyped.message == "BOOM"


def test_an_error_without_any_message_shows_what_it_has() -> None:
    event = decode_server_event({"type": "error", "error": {"code": "x", "hint": "a key", "api_key": "ek_hidden"}})
    error = server_error(event, redact=lambda text: text.replace("a key", "<redacted>"))
    assert str(error) == '{"error": {"hint": "<redacted>", "api_key": "<redacted>"}} (x)'
    assert str(server_error(decode_server_event({"type": "error"}))) == "the server gave no message (no code)"


def test_an_event_that_is_no_error_says_none() -> None:
    for other in ({"type": "session.created"}, {"type": "vendor.x", "error": "BOOM"}, {"error": None}, [], "error"):
        assert error_in(decode_server_event(other)) is None  # type: ignore[arg-type]
    assert error_in(None) is None


def test_an_error_without_detail_still_becomes_an_exception() -> None:
    event = ErrorEvent(error=None, extra={"message": "boom"})  # type: ignore[arg-type]
    assert "boom" in str(server_error(event))
