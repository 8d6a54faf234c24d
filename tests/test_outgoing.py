"""What is sent: ids, checks, the handle, and what becomes of it when sending fails."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSession, response_created

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import (
    REALTIME,
    TRANSLATION,
    Family,
    InputAudioBufferClear,
    RealtimeSessionConfig,
    SessionCreated,
)
from realtime_sync.sending import outgoing
from realtime_sync.sending.acks import STAMP, Ack, AckTable
from realtime_sync.sending.outgoing import Outgoing, known_types
from realtime_sync.sending.spoken import Spoken
from realtime_sync.state.session_state import SessionState

MANUAL = RealtimeSessionConfig(
    audio=e.AudioConfig(input=e.AudioInput(turn_detection=None, format=e.AudioPcm(rate=24_000)))
)
NOTHING: Any = None


class Way:
    """The way out without anything behind it: what is sent is kept, or fails with ``fault``."""

    def __init__(
        self,
        *,
        checks: bool = True,
        before_response: Callable[[], object] | None = None,
        family: Family = REALTIME,
        config: Any = None,
    ) -> None:
        self.texts: list[str | bytes] = []
        self.fault: BaseException | None = None
        self.inbox = Inbox(1000)
        self.dispatcher = Dispatcher(self.inbox, lambda: None)
        self.state = SessionState(self.dispatcher)
        self.state.follow()
        self.acks = AckTable(lambda: NOTHING, family)
        self.out = Outgoing(
            self.send, self.acks, self.state, checks=checks, before_response=before_response, family=family
        )
        if config is not None:
            self.hear(SessionCreated(session=config))

    def send(self, text: str | bytes, owner: object = None) -> None:
        if self.fault is not None:
            raise self.fault
        self.texts.append(text)

    def hear(self, *events: e.ServerEvent) -> None:
        self.inbox.put(events, 1)
        while self.dispatcher.step(Deadline(0)):
            pass

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]

    def pending(self, ack: Ack[Any]) -> bool:
        return self.acks.refusal_of(rt.ServerError("no", event_id=ack.event_id)) is ack


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


# Ids


def test_an_item_without_an_id_gets_one_and_the_mapping_stays_as_it_is() -> None:
    way = Way()
    item = {"type": "message", "role": "user", "content": []}
    first, second = (way.out.send({"type": "conversation.item.create", "item": item}) for _ in range(2))
    assert "id" not in item
    assert [sent["item"]["id"] for sent in way.sent] == [first.item_id, second.item_id]
    assert first.item_id != second.item_id
    assert len(first.item_id or "") <= 32, "more is refused"
    named = way.out.send({"type": "conversation.item.create", "item": {**item, "id": "mine"}})
    assert named.item_id == "mine"


def test_ids_of_two_sessions_differ() -> None:
    event_ids = {Way().out.send(InputAudioBufferClear()).event_id for _ in range(20)}
    assert len(event_ids) == 20


def test_an_empty_event_id_is_filled_in_too() -> None:
    way = Way()
    ack = way.out.send({"type": "input_audio_buffer.clear", "event_id": ""})
    assert ack.event_id
    assert way.sent[0]["event_id"] == ack.event_id


def test_an_id_that_the_family_calls_otherwise_is_filled_in_under_that_name() -> None:
    way = Way(family=Family("test", correlation="client_event_id"))
    ack = way.out.send({"type": "session.close"})
    assert way.sent == [{"type": "session.close", "client_event_id": ack.event_id}]


# The handle


def test_a_message_is_expected_to_be_confirmed_before_it_is_sent() -> None:
    way = Way()
    seen: list[Ack[Any] | None] = []
    transmit = way.send

    def answer_at_once(text: str | bytes, _: object) -> None:
        transmit(text)
        seen.append(way.acks.apply(e.InputAudioBufferCleared()))

    way.out._transmit = answer_at_once
    ack = way.out.send(InputAudioBufferClear())
    assert seen == [ack]
    assert ack.done


def test_a_commit_counts_before_it_is_sent() -> None:
    way = Way(config=MANUAL)
    way.out.append([memoryview(bytes(9600))])
    way.out._transmit = lambda *_: way.hear(e.InputAudioBufferCommitted(item_id="i"))
    way.out.send(e.InputAudioBufferCommit())
    assert way.state.buffer.ms == 0


def test_what_could_not_be_sent_is_not_expected_and_makes_the_length_of_the_buffer_unknown() -> None:
    way = Way(config=MANUAL)
    way.out.append([memoryview(bytes(9600))])
    assert way.state.buffer.ms == 200
    way.fault = rt.RealtimeTimeout("stuck")
    with pytest.raises(rt.RealtimeTimeout):
        way.out.send(e.InputAudioBufferCommit(event_id="c"))
    assert way.acks.refusal_of(rt.ServerError("no", event_id="c")) is None
    way.fault = None
    way.out.append([memoryview(bytes(96))])
    way.hear(e.InputAudioBufferCommitted(item_id="i"))
    assert way.state.buffer.ms is None, "2 ms, or 202"
    way.out.send(e.InputAudioBufferCommit())
    assert len(way.texts) == 3, "the server decides"


def test_audio_that_could_not_be_sent_does_not_count() -> None:
    way = Way(config=MANUAL)
    way.fault = rt.RealtimeTimeout("stuck")
    with pytest.raises(rt.RealtimeTimeout):
        way.out.append([memoryview(bytes(9600))])
    assert way.state.buffer.ms == 0


def test_audio_counts_by_the_bytes_that_it_stands_for_raw_or_as_base64() -> None:
    way = Way(config=MANUAL)
    pcm = bytes(3602)  # 75 ms, and padding
    way.out.append([base64.b64encode(pcm).decode(), memoryview(pcm)])
    assert way.state.buffer.ms == pytest.approx(2 * 3602 / 48)
    way.out.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
    assert way.state.buffer.ms == pytest.approx(3 * 3602 / 48)


def test_75_ms_of_base64_are_too_short_for_a_commit() -> None:
    way = Way(config=MANUAL)
    way.out.append([base64.b64encode(bytes(75 * 48)).decode()])
    with pytest.raises(rt.InvalidEvent, match="holds 75 ms"):
        way.out.send(e.InputAudioBufferCommit())


def test_without_checks_what_the_server_would_refuse_is_sent() -> None:
    way = Way(checks=False, config=MANUAL)
    way.out.send(e.InputAudioBufferCommit())
    way.out.send({"type": "conversation.item.delete"})
    assert [sent["type"] for sent in way.sent] == ["input_audio_buffer.commit", "conversation.item.delete"]


# Cancellations


def created(response_id: str | None) -> e.ResponseCreated:
    return e.ResponseCreated(response=e.Response(id=response_id, status="in_progress"))


def test_a_cancellation_is_about_the_response_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "now", lambda: 7.0)
    way = Way()
    active = way.state.responses.fold(created("a"))
    beside = way.state.responses.begin(created("b"), beside=True)
    ack = way.out.send(e.ResponseCancel(response_id="b"))
    assert (beside.cancelled_at, active.cancelled_at, ack.done) == (7.0, None, False)
    way.acks.ended(e.ResponseDone(response=e.Response(id="b")), way.state.responses.fold(created("b")))
    assert ack.done


def test_a_cancellation_that_names_none_is_about_the_active_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "now", lambda: 7.0)
    way = Way()
    active = way.state.responses.fold(created(None))
    ack = way.out.send(e.ResponseCancel())
    assert (active.cancelled_at, ack.done, way.pending(ack)) == (7.0, False, True)


def test_a_cancellation_of_one_that_is_not_known_waits_for_the_end_of_that_one() -> None:
    way = Way()
    way.state.responses.fold(created("a"))
    ack = way.out.send(e.ResponseCancel(response_id="unknown"))
    assert not ack.done
    end = e.ResponseDone(response=e.Response(id="unknown", status="cancelled"))
    way.acks.ended(end, way.state.responses.fold(end))
    assert ack.done
    assert way.state.responses.active is not None
    assert way.state.responses.active.cancelled_at is None


def test_a_cancellation_before_anything_has_begun_is_about_the_create_under_way() -> None:
    way = Way()
    create, text = way.out.response(None)
    way.acks.expect(create)
    ack = way.out.send(e.ResponseCancel())
    run = way.state.responses.begin(created("a"), asked_by=create.event_id)
    way.acks.ended(e.ResponseDone(response=e.Response(id="a")), run)
    assert ack.done
    assert STAMP in text


def test_a_cancellation_with_nothing_to_cancel_is_sent_and_nobody_waits() -> None:
    way = Way()
    ack = way.out.send(e.ResponseCancel())
    assert ack.done
    assert ack.result() is None
    assert [sent["type"] for sent in way.sent] == ["response.cancel"]


# Responses


def test_a_response_is_stamped_with_its_own_event_id_beside_the_metadata_of_the_user() -> None:
    way = Way()
    given = {"metadata": {"topic": "x"}, "instructions": "be brief"}
    ack, text = way.out.response(given)
    assert json.loads(text) == {
        "type": "response.create",
        "event_id": ack.event_id,
        "response": {"instructions": "be brief", "metadata": {"topic": "x", STAMP: ack.event_id}},
    }
    assert given == {"metadata": {"topic": "x"}, "instructions": "be brief"}
    assert way.texts == [], "it is still to be sent"
    assert not way.pending(ack)


@pytest.mark.parametrize("odd", [["x"], "x", 5])
def test_metadata_that_is_none_is_refused_as_such(odd: Any) -> None:
    with pytest.raises(rt.InvalidEvent, match="metadata"):
        Way().out.response({"metadata": odd})


def test_a_response_can_be_refused_before_it_is_prepared() -> None:
    def refuse() -> None:
        raise rt.BudgetExceeded("enough", cost=2.0, max_cost=1.0)

    way = Way(before_response=refuse)
    with pytest.raises(rt.BudgetExceeded):
        way.out.response(None)
    way.out.send(InputAudioBufferClear())


# Families


def test_the_family_is_what_the_server_says_it_is() -> None:
    way = Way()
    assert way.out.family is REALTIME
    way.hear(SessionCreated(session=e.TranslationSessionConfig(type="translation")))
    assert way.out.family is TRANSLATION
    way.out.append([memoryview(b"\0\0")])
    way.out.update({"audio": {"output": {"language": "es"}}})
    assert [sent["type"] for sent in way.sent] == ["session.input_audio_buffer.append", "session.update"]
    assert way.sent[1]["session"] == {"audio": {"output": {"language": "es"}}}


def test_an_update_is_in_the_dialect_of_the_session() -> None:
    way = Way(config=e.FlatSessionConfig(voice="sage"))
    way.out.update({"type": "realtime", "output_modalities": ["text"]})
    assert way.sent[0]["session"] == {"modalities": ["text"]}


def test_a_family_may_take_neither_audio_nor_updates() -> None:
    way = Way(family=Family("mute"))
    with pytest.raises(rt.InvalidEvent, match="a mute session takes no audio"):
        way.out.append([memoryview(b"\0\0")])
    with pytest.raises(rt.InvalidEvent, match="configuration of a mute session cannot be changed"):
        way.out.update({})
    assert way.texts == []


def test_both_families_of_openai_are_known_until_the_server_has_said_which_is_spoken() -> None:
    assert known_types(REALTIME) == known_types(TRANSLATION)
    own = Family("own")
    assert known_types(own) == (own.server, own.client)


def test_what_did_not_leave_in_time_is_not_among_what_may_have_to_be_sent_again() -> None:
    way = Way(config=MANUAL)
    spoken = way.out.spoken = Spoken(30.0, lambda: way.state.facts)
    way.dispatcher.subscribe(STATE, lambda event: [way.acks.apply(event), spoken.apply(event)], *Spoken.EVENTS)
    way.fault = rt.RealtimeTimeout("the network is stuck")
    for give in (
        lambda: way.out.append([memoryview(bytes(48_000))]),
        lambda: way.out.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(48_000)).decode()}),
        lambda: way.out.send(InputAudioBufferClear()),
    ):
        with pytest.raises(rt.RealtimeTimeout):
            give()
    assert not spoken.waits
    way.fault = None
    way.out.append([memoryview(bytes(48_000))])
    way.out.send({"type": "input_audio_buffer.commit"})
    assert spoken.waits
    way.hear(e.InputAudioBufferCommitted(item_id="item_1"))
    assert not spoken.waits
