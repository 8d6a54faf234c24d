from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

from realtime_sync._deadline import Deadline
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
    SessionUpdate,
    SessionUpdated,
    UserMessage,
)
from realtime_sync.sending.acks import STAMP, AckTable, server_error


def never(done: Callable[[], bool], deadline: Deadline, what: str) -> None:
    if not done():
        raise RealtimeTimeout(what)


@pytest.fixture
def table() -> AckTable:
    return AckTable(never)


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
    first, second = table.expect(update(), "1"), table.expect(update(), "2")
    with pytest.raises(RealtimeTimeout, match=r"answer to session\.update"):
        first.result()
    event = updated()
    assert table.apply(event)
    assert (first.done, second.done) == (True, False)
    assert first.result() is event
    assert first.confirmation is event
    assert table.apply(updated())
    assert second.done
    assert not table.apply(updated())


def test_a_refusal_names_its_event(table: AckTable) -> None:
    first, second = table.expect(update(), "1"), table.expect(update(), "2")
    assert table.apply(error("2"))
    assert not first.done
    with pytest.raises(ServerError) as caught:
        second.result()
    assert (caught.value.code, caught.value.event_id, caught.value.type) == ("bad", "2", "invalid_request_error")
    assert not table.apply(error("2"))
    assert not table.apply(error(None))
    assert "failed" in repr(second)
    assert "pending" in repr(first)


def test_what_nothing_confirms_is_done_at_once(table: AckTable) -> None:
    ack = table.expect(InputAudioBufferAppend(audio="AAAA"), "1")
    assert ack.done
    assert ack.result() is None
    assert not table.apply(error("1"))


@pytest.mark.parametrize(
    ("sent", "other", "confirming"),
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
        (
            ResponseCancel(response_id="a"),
            ResponseDone(response=Response(id="b")),
            ResponseDone(response=Response(id="a")),
        ),
        (InputAudioBufferClear(), InputAudioBufferCommitted(item_id="x"), InputAudioBufferCleared()),
        (InputAudioBufferCommit(), InputAudioBufferCleared(), InputAudioBufferCommitted(item_id="x")),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_confirmations_with_an_id_are_matched_by_it(table: AckTable, sent: Any, other: Any, confirming: Any) -> None:
    ack = table.expect(sent, "1")
    assert table.pending(type(sent))
    assert not table.apply(other)
    assert not ack.done
    assert table.apply(confirming)
    assert ack.result() is confirming
    assert not table.pending(type(sent))


def test_an_item_that_the_server_named_itself_is_matched_by_its_shape(table: AckTable) -> None:
    call = table.expect(ConversationItemCreate(item=FunctionCallOutput(id="x", call_id="c", output="")), "1")
    text = table.expect(ConversationItemCreate(item=message("y")), "2")
    assert (call.item_id, text.item_id) == ("x", "y")
    assert table.apply(ConversationItemCreated(item=message("server-1")))
    assert (call.done, text.done) == (False, True)
    assert table.apply(ConversationItemAdded(item=FunctionCallOutput(id="server-2", call_id="c", output="")))
    assert call.done


def test_a_stamped_response_is_told_from_one_that_turn_detection_began(table: AckTable) -> None:
    assert not table.apply(InputAudioBufferCommitted(item_id="speech"))
    ack = table.expect(stamped("1"), "1")
    assert not table.apply(created("by the server"))
    assert not ack.done
    assert not table.apply(created("of somebody else", stamp="7"))
    assert table.apply(created("mine", stamp="1"))
    assert ack.result().response.id == "mine"


def test_once_a_server_sent_a_stamp_back_one_without_it_is_nobodys(table: AckTable) -> None:
    first = table.expect(stamped("1"), "1")
    table.apply(created("a", stamp="1"))
    assert first.done
    second = table.expect(stamped("2"), "2")
    assert not table.apply(created("by the server"))
    assert table.apply(created("b", stamp="2"))
    assert second.done


def test_a_server_that_echoes_no_metadata_confirms_in_order(table: AckTable) -> None:
    first, second = table.expect(stamped("1"), "1"), table.expect(ResponseCreate(), "2")
    assert table.apply(created("a"))
    assert second.done, "one without a stamp can only be confirmed in order"
    assert not first.done
    assert table.apply(created("b"))
    assert first.done


def test_nothing_to_cancel_is_success(table: AckTable) -> None:
    ack = table.expect(ResponseCancel(), "1")
    assert table.apply(error("1", code="response_cancel_not_active"))
    assert ack.result() is None
    other = table.expect(update(), "2")
    assert table.apply(error("2", code="response_cancel_not_active"))
    with pytest.raises(ServerError):
        other.result()


def test_the_end_fails_what_waits_and_what_comes_later(table: AckTable) -> None:
    ack = table.expect(update(), "1")
    table.fail_all(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        ack.result()
    late = table.expect(update(), "2")
    with pytest.raises(ConnectionLost):
        late.result()


def test_a_discarded_one_is_never_confirmed(table: AckTable) -> None:
    ack = table.expect(update(), "1")
    table.discard(ack)
    assert not table.apply(updated())


def test_a_refusal_that_nobody_asks_for_is_logged(table: AckTable, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "realtime_sync"):
        ack = table.expect(update(), "1")
        table.apply(error("1"))
        del ack
        gc.collect()
        assert "session.update was refused and nobody asked" in caplog.text
        caplog.clear()
        ack = table.expect(update(), "2")
        table.apply(error("2"))
        assert isinstance(ack.exception(), ServerError)
        del ack
        gc.collect()
        assert caplog.text == ""


def test_an_error_without_detail_still_becomes_an_exception() -> None:
    event = ErrorEvent(error=None, extra={"message": "boom"})  # type: ignore[arg-type]
    assert "boom" in str(server_error(event))
