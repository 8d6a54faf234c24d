"""What a session knows: each event goes to what folds it, and only what somebody looks at grows by deltas."""

from __future__ import annotations

from typing import Any

from realtime_sync import events as e
from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import Dispatcher
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.state.facts import Facts
from realtime_sync.state.session_state import SessionState

NOTHING: Any = None


class Rig:
    def __init__(self) -> None:
        self.inbox = Inbox(1000)
        self.dispatcher = Dispatcher(self.inbox, lambda: None)
        self.state = SessionState(self.dispatcher)
        self.state.follow()

    def hear(self, *events: e.ServerEvent) -> None:
        self.inbox.put(events, 1)
        while self.dispatcher.step(Deadline(0)):
            pass


def realtime(**fields: Any) -> e.RealtimeSessionConfig:
    return e.RealtimeSessionConfig(**fields)


def heard(detection: Any) -> e.AudioConfig:
    return e.AudioConfig(input=e.AudioInput(turn_detection=detection, format=e.AudioPcm(rate=24_000)))


def test_nothing_is_known_before_the_server_speaks() -> None:
    state = Rig().state
    assert (state.config, state.facts, state.responses.active, state.buffer.ms) == (None, Facts(), None, None)


def test_every_event_that_configures_is_taken_in_and_what_it_leaves_out_is_kept() -> None:
    rig = Rig()
    rig.hear(e.SessionCreated(session=realtime(model="m", instructions="a", audio=heard(None))))
    rig.hear(e.SessionUpdated(session=realtime(instructions="b")))
    assert rig.state.config == realtime(model="m", instructions="b", audio=heard(None))
    assert rig.state.facts == Facts.of(rig.state.config)
    assert rig.state.facts.manual
    rig = Rig()
    rig.hear(e.TranscriptionSessionCreated(session=e.FlatSessionConfig(id="s", input_audio_format="g711_ulaw")))
    assert rig.state.facts.input.code == "pcmu"
    rig.hear(e.TranscriptionSessionUpdated(session=e.FlatSessionConfig(turn_detection=None)))
    assert (rig.state.facts.id, rig.state.facts.input.code, rig.state.facts.manual) == ("s", "pcmu", True)


def test_the_input_buffer_hears_of_the_configuration_and_of_commits() -> None:
    rig = Rig()
    rig.hear(e.SessionCreated(session=realtime(audio=heard(None))))
    rig.state.buffer.appended(480)
    assert rig.state.buffer.ms == 10
    rig.state.buffer.sent(e.InputAudioBufferCommit())
    assert rig.state.buffer.ms is None
    rig.hear(e.InputAudioBufferCommitted(item_id="i"))
    assert rig.state.buffer.ms == 0


def delta(text: str) -> e.ResponseOutputTextDelta:
    return e.ResponseOutputTextDelta(response_id="r", item_id="a", output_index=0, content_index=0, delta=text)


def text_of(rig: Rig) -> str | None:
    entry = rig.state.mirror.get("a")
    assert entry is not None
    return entry.text


def test_text_grows_by_deltas_only_from_the_first_look_at_the_conversation_on() -> None:
    rig = Rig()
    created = e.ResponseCreated(response=e.Response(id="r", conversation_id="c"))
    rig.state.responses.fold(created)
    added = e.AssistantMessage(id="a", status="in_progress", content=[])
    rig.hear(created, e.ConversationItemAdded(item=added), delta("un"))
    assert not text_of(rig)
    assert rig.state.conversation is rig.state.mirror
    rig.hear(delta("seen"))
    assert text_of(rig) == "seen"
    assert rig.state.conversation is rig.state.mirror
    rig.hear(delta("!"))
    assert text_of(rig) == "seen!", "once, however often somebody looks"


def test_items_that_the_server_has_not_confirmed_are_assumed() -> None:
    rig = Rig()
    rig.state.assume([e.UserMessage(id="u", content=[e.InputText(text="hi")])])
    entry = rig.state.mirror.get("u")
    assert entry is not None
    assert not entry.confirmed


def test_usage_is_counted() -> None:
    rig = Rig()
    used = e.Usage(total_tokens=3, input_tokens=1, output_tokens=2)
    rig.hear(e.ResponseDone(response=e.Response(id="r", status="completed", usage=used)))
    assert rig.state.usage.total.total_tokens == 3
