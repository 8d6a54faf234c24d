"""Which audio would be sent again over another connection: a table with a number for a clock."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync import RealtimeError, ServerError
from realtime_sync import events as e
from realtime_sync.sending import spoken
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.spoken import Piece, Spoken
from realtime_sync.state.facts import Facts

MANUAL = Facts(turn_detection=None)
DETECTED = Facts(turn_detection=e.ServerVad())
SECOND = 48_000


class Table:
    def __init__(self) -> None:
        self.at = 100.0
        self.facts = MANUAL
        self.spoken = Spoken(10.0, lambda: self.facts)
        self.pieces: list[Piece] = []

    def say(self, seconds: float, after: float = 0.0) -> Piece:
        self.at += after
        self.pieces.append(self.spoken.add(round(seconds * SECOND)))
        return self.pieces[-1]

    def cut(self) -> Ack[Any]:
        ack: Ack[Any] = Ack(e.InputAudioBufferCommit(), "event_1", lambda done, deadline, what: None)
        self.spoken.cut(ack)
        return ack

    def confirm(self, ack: Ack[Any], event: e.ServerEvent) -> None:
        ack._settle(event)
        self.spoken.apply(event)

    @property
    def left(self) -> list[float]:
        return [piece.ms / 1000 for piece in self.pieces if not piece.done]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    made = Table()
    monkeypatch.setattr(spoken, "now", lambda: made.at)
    return made


def committed() -> e.InputAudioBufferCommitted:
    return e.InputAudioBufferCommitted(item_id="i")


def test_a_confirmed_commit_takes_what_was_said_before_it(table: Table) -> None:
    table.say(1)
    table.say(2)
    commit = table.cut()
    table.say(3)
    assert table.spoken.waits
    table.confirm(commit, committed())
    assert table.left == [3]
    table.confirm(table.cut(), e.InputAudioBufferCleared())
    assert table.left == []
    assert not table.spoken.waits


def test_what_is_cut_is_cut_at_the_same_place_on_another_connection(table: Table) -> None:
    table.say(1)
    table.confirm(table.cut(), committed())
    clear = table.cut()  # that is not confirmed, then speech, and a commit of it
    table.say(2)
    table.say(3)
    commit = table.cut()
    table.say(4)
    table.spoken.hold()
    assert table.spoken.leave() == 0
    table.confirm(clear, e.InputAudioBufferCleared())
    assert table.left == [2, 3, 4]
    table.confirm(commit, committed())
    assert table.left == [4]


@pytest.mark.parametrize("error", [ServerError("the buffer is too small"), RealtimeError("lost")])
def test_a_commit_that_is_refused_cuts_nothing(table: Table, error: RealtimeError) -> None:
    table.say(1)
    table.cut()._settle(None, error)
    table.say(2)
    table.confirm(table.cut(), committed())
    assert table.left == []
    table.cut()._settle(None, error)
    table.say(3)
    table.spoken.leave()
    table.say(4)
    table.confirm(table.cut(), committed())
    assert table.left == []


def test_a_commit_of_the_server_is_not_that_of_this_side(table: Table) -> None:
    table.facts = DETECTED
    for _ in range(3):
        table.say(1)
    clear = table.cut()
    table.say(4)
    table.spoken.apply(e.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=1_000))
    table.spoken.apply(committed())
    assert table.left == [1, 1, 4]
    table.confirm(clear, e.InputAudioBufferCleared())
    assert table.left == [4]


def test_a_commit_whose_handle_was_given_up_cuts_where_it_was_sent(table: Table) -> None:
    table.say(1)
    table.cut()
    table.say(2)
    table.spoken.apply(committed())
    assert table.left == [2]


def test_what_could_not_leave_has_no_place_among_what_was_sent(table: Table) -> None:
    table.facts = DETECTED
    table.say(1)
    stuck = table.say(2)
    table.say(3)
    commit = table.cut()
    table.say(4)
    table.spoken.take_back(stuck)
    assert table.left == [1, 3, 4]
    table.spoken.take_back(table.cut())
    table.confirm(commit, committed())
    assert table.left == [4]
    table.spoken.apply(e.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=8_000))
    table.spoken.apply(committed())
    assert table.left == []
    table.spoken.take_back(stuck)  # once


def test_what_the_server_commits_reaches_to_where_it_heard_the_end(table: Table) -> None:
    table.facts = DETECTED
    for _ in range(4):
        table.say(1)
    assert not table.spoken.waits, "nobody speaks"
    table.spoken.apply(e.InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=500))
    assert table.spoken.waits
    assert table.spoken.speaking
    table.spoken.apply(e.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=2_000))
    table.spoken.apply(committed())
    assert table.left == [1, 1]
    table.spoken.apply(committed())
    assert table.left == [], "without a place, all"


def test_old_audio_is_dropped_and_counted_where_it_was_not_committed(table: Table) -> None:
    table.say(1)
    table.say(2, after=11)
    assert table.left == [2]
    assert table.spoken.leave() == 1.0
    assert table.left == [2]
    assert table.spoken.leave() == 0.0


def test_old_silence_is_not_counted_but_what_could_not_be_sent_is(table: Table) -> None:
    table.facts = DETECTED
    table.say(1)
    table.say(1, after=11)
    table.at += 0.1
    table.spoken.hold()
    table.say(2)
    table.say(3, after=5)
    table.at += 7
    assert table.spoken.leave() == 2.0
    assert table.left == [3]


def test_old_speech_is_counted(table: Table) -> None:
    table.facts = DETECTED
    table.say(1)
    table.spoken.apply(e.InputAudioBufferSpeechStarted(item_id="i", audio_start_ms=0))
    table.say(1, after=11)
    assert table.spoken.leave() == 1.0
    assert not table.spoken.speaking, "the new connection has heard nothing yet"


def test_places_are_counted_anew_on_another_connection(table: Table) -> None:
    table.facts = DETECTED
    for _ in range(4):
        table.say(1)
    table.spoken.apply(e.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=2_000))
    table.spoken.apply(committed())
    table.spoken.leave()
    table.say(1)
    table.spoken.apply(e.InputAudioBufferSpeechStopped(item_id="i", audio_end_ms=2_000))
    table.spoken.apply(committed())
    assert table.left == [1]


def test_what_was_settled_by_others_is_neither_kept_nor_counted(table: Table) -> None:
    table.say(1).done = True
    table.say(2)
    table.at += 11
    assert table.spoken.leave() == 2.0
