from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import Any

import pytest

from realtime_sync._deadline import Deadline
from realtime_sync.delivery.dispatcher import HANDLER, STATE, VISITOR, WAITER, Dispatcher
from realtime_sync.delivery.inbox import EVENT_BYTES, Inbox
from realtime_sync.errors import ConnectionClosed, ConnectionLost, InboxOverflow, RealtimeError, RealtimeTimeout
from realtime_sync.events import (
    ErrorEvent,
    InputAudioBufferCleared,
    InputAudioBufferSpeechStarted,
    ServerEvent,
    UnknownEvent,
)


class Rig:
    """A dispatcher whose inbox the test fills."""

    def __init__(self, *, limit_bytes: int = 10_000) -> None:
        self.inbox = Inbox(limit_bytes)
        self.cause: RealtimeError | None = None
        self.dispatcher = Dispatcher(self.inbox, lambda: self.cause)

    def put(self, *names: str, size_bytes: int | None = None) -> None:
        self.inbox.put([cleared(name) for name in names], len(names) if size_bytes is None else size_bytes)

    def end(self, cause: RealtimeError | None = None) -> None:
        self.cause = cause
        self.inbox.end()

    def drain(self) -> None:
        while self.dispatcher.step(Deadline(0)):
            pass


def cleared(name: str) -> InputAudioBufferCleared:
    return InputAudioBufferCleared(event_id=name)


def started(name: str) -> InputAudioBufferSpeechStarted:
    return InputAudioBufferSpeechStarted(event_id=name, audio_start_ms=0, item_id="item_1")


def soon() -> Deadline:
    return Deadline(20)


def collector(seen: list[Any], tag: str) -> Any:
    return lambda event: seen.append((tag, event.event_id))


def test_stages_in_order_and_registration_order_within() -> None:
    rig, seen = Rig(), []
    for stage, tag in ((VISITOR, "visitor"), (HANDLER, "first"), (HANDLER, "second"), (WAITER, "w"), (STATE, "s")):
        rig.dispatcher.subscribe(stage, collector(seen, tag), ServerEvent)
    rig.put("a")
    rig.drain()
    assert seen == [("s", "a"), ("w", "a"), ("first", "a"), ("second", "a"), ("visitor", "a")]


def test_routes_by_class_base_class_and_unknown_type() -> None:
    rig, seen = Rig(), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "class"), InputAudioBufferCleared)
    rig.dispatcher.subscribe(HANDLER, collector(seen, "all"), ServerEvent)
    rig.dispatcher.subscribe(HANDLER, collector(seen, "vendor"), "vendor.event")
    rig.dispatcher.subscribe(HANDLER, collector(seen, "unknown"), UnknownEvent)
    rig.inbox.put([cleared("a"), UnknownEvent(type="vendor.event", event_id="v", raw={})], 2)
    rig.inbox.put([UnknownEvent(type="other", event_id="o", raw={})], 1)
    rig.drain()
    assert seen == [
        ("class", "a"),
        ("all", "a"),
        ("all", "v"),
        ("vendor", "v"),
        ("unknown", "v"),
        ("all", "o"),
        ("unknown", "o"),
    ]


def test_a_receiver_added_or_removed_by_a_receiver_counts_from_the_next_event() -> None:
    rig, seen = Rig(), []
    late = collector(seen, "late")

    def swap(event: Any) -> None:
        if event.event_id == "a":
            rig.dispatcher.subscribe(HANDLER, late, InputAudioBufferCleared)
        else:
            assert rig.dispatcher.unsubscribe(HANDLER, late, InputAudioBufferCleared)
            assert not rig.dispatcher.unsubscribe(HANDLER, late, InputAudioBufferCleared)

    rig.dispatcher.subscribe(HANDLER, swap, InputAudioBufferCleared)
    rig.put("a", "b")
    rig.dispatcher.step(Deadline(0))
    rig.dispatcher.step(Deadline(0))
    assert seen == [("late", "b")]


def test_a_receiver_that_was_removed_gets_nothing_more() -> None:
    rig, seen = Rig(), []
    receive = collector(seen, "h")
    rig.dispatcher.subscribe(HANDLER, receive, ServerEvent)
    rig.put("a")
    rig.drain()
    assert rig.dispatcher.unsubscribe(HANDLER, receive, ServerEvent)
    rig.put("b")
    rig.drain()
    assert seen == [("h", "a")]


def test_a_receiver_that_another_thread_adds_just_while_an_event_is_routed_gets_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig, seen = Rig(), []
    routes = rig.dispatcher._routes
    late, chosen = collector(seen, "late"), routes._chosen

    def choose(event: ServerEvent) -> Any:
        found = chosen(event)
        monkeypatch.undo()
        rig.dispatcher.subscribe(HANDLER, late, ServerEvent)
        return found

    monkeypatch.setattr(routes, "_chosen", choose)
    rig.put("a", "b")
    rig.drain()
    assert seen == [("late", "b")]


def test_a_failing_handler_leaves_after_the_others_ran_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    rig, seen = Rig(), []

    def fail(event: Any) -> None:
        if event.event_id == "a":
            raise KeyError("first")

    def fail_too(event: Any) -> None:
        if event.event_id == "a":
            raise ValueError("second")

    for receiver in (fail, fail_too, collector(seen, "after")):
        rig.dispatcher.subscribe(HANDLER, receiver, ServerEvent)
    rig.put("a", "b")
    with pytest.raises(KeyError, match="first"), caplog.at_level(logging.ERROR):
        rig.dispatcher.next(soon())
    assert "a further handler" in caplog.text
    assert seen == [("after", "a")]
    assert rig.dispatcher.next(soon()) == cleared("a")
    assert rig.dispatcher.next(soon()) == cleared("b")
    assert seen == [("after", "a"), ("after", "b")]


def test_next_gives_none_after_a_clean_end_and_the_cause_after_another() -> None:
    rig = Rig()
    rig.put("a")
    rig.end()
    assert rig.dispatcher.next(soon()) == cleared("a")
    assert rig.dispatcher.next(soon()) is None
    assert rig.dispatcher.next(soon()) is None

    rig = Rig()
    rig.put("a")
    rig.end(ConnectionLost("gone", code=1011))
    assert rig.dispatcher.next(soon()) == cleared("a")
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone"):
            rig.dispatcher.next(soon())


def test_next_times_out_and_the_event_comes_with_the_next_call() -> None:
    rig = Rig()
    with pytest.raises(RealtimeTimeout, match="the next event"):
        rig.dispatcher.next(Deadline(0.01))
    rig.put("a")
    assert rig.dispatcher.next(soon()) == cleared("a")


def test_what_passes_another_wait_is_kept_once_next_was_used() -> None:
    rig, seen = Rig(), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.put("before")
    rig.dispatcher.wait(lambda: bool(seen), soon(), "it")
    rig.put("a", "b", "c")
    assert rig.dispatcher.next(soon()) == cleared("a")
    rig.dispatcher.wait(lambda: ("h", "c") in seen, soon(), "c")
    assert rig.dispatcher.next(soon()) == cleared("b")
    assert rig.dispatcher.next(soon()) == cleared("c")


def test_more_than_may_be_kept_is_reported_where_it_is_missing() -> None:
    rig, seen = Rig(limit_bytes=100 + 2 * EVENT_BYTES), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.put("a")
    assert rig.dispatcher.next(soon()) == cleared("a")
    for name in ("b", "c", "d"):
        rig.put(name, size_bytes=45)
        rig.dispatcher.wait(lambda name=name: ("h", name) in seen, soon(), name)  # type: ignore[misc]
    assert rig.dispatcher.next(soon()) == cleared("b")
    assert rig.dispatcher.next(soon()) == cleared("c")
    with pytest.raises(InboxOverflow, match="1 events passed"):
        rig.dispatcher.next(soon())
    rig.put("e")
    assert rig.dispatcher.next(soon()) == cleared("e")


def test_what_is_here_already_comes_as_what_is_waited_for() -> None:
    """A batch of several events, of which a handler spoils one and others pass while another call waits."""
    rig = Rig()
    seen: list[Any] = []
    faults = iter([None, ValueError("b"), None, None, None])

    def handle(event: Any) -> None:
        seen.append(event)
        if (fault := next(faults)) is not None:
            raise fault

    rig.dispatcher.subscribe(HANDLER, handle, InputAudioBufferCleared)
    rig.put("a", "b", "c", "d", "e")
    assert rig.dispatcher.next(soon()) == cleared("a")
    with pytest.raises(ValueError, match="b"):
        rig.dispatcher.next(soon())
    assert rig.dispatcher.next(soon()) == cleared("b")
    rig.dispatcher.wait(lambda: len(seen) == 4, soon(), "d")
    assert [rig.dispatcher.next(soon()) for _ in "cde"] == [cleared(name) for name in "cde"]
    assert seen == [cleared(name) for name in "abcde"]


def test_after_a_gap_nothing_more_is_kept_so_that_the_order_holds() -> None:
    rig, seen = Rig(limit_bytes=100 + 2 * EVENT_BYTES), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.put("a")
    assert rig.dispatcher.next(soon()) == cleared("a")
    for name, size_bytes in (("b", 80), ("too large", 40), ("small", 5)):
        rig.put(name, size_bytes=size_bytes)
        rig.drain()
    assert rig.dispatcher.next(soon()) == cleared("b")
    with pytest.raises(InboxOverflow, match="2 events passed"):
        rig.dispatcher.next(soon())
    rig.put("c", "d", size_bytes=100)
    rig.drain()
    assert [rig.dispatcher.next(soon()) for _ in "cd"] == [cleared("c"), cleared("d")], "there is room again"


def test_wait_raises_the_cause_or_a_closed_session() -> None:
    rig = Rig()
    rig.end(ConnectionLost("gone"))
    told: list[RealtimeError] = []
    rig.dispatcher.at_end.append(told.append)
    with pytest.raises(ConnectionLost):
        rig.dispatcher.wait(lambda: False, soon(), "it")
    assert [str(error) for error in told] == ["gone"]
    assert rig.dispatcher.ended
    assert isinstance(rig.dispatcher.cause, ConnectionLost)

    rig = Rig()
    rig.end()
    with pytest.raises(ConnectionClosed, match="closed while waiting for it") as caught:
        rig.dispatcher.wait(lambda: False, soon(), "it")
    assert caught.value.code == 1000


def test_a_preview_shows_events_to_the_state_and_dispatches_them_to_the_others_later() -> None:
    rig, seen = Rig(), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.dispatcher.subscribe(STATE, collector(seen, "s"), ServerEvent)
    rig.put("a")
    rig.put("b", "c")
    rig.dispatcher.preview(lambda: ("s", "b") in seen, soon(), "b")
    assert seen == [("s", "a"), ("s", "b")]
    rig.drain()
    assert seen[2:] == [("h", "a"), ("h", "b"), ("s", "c"), ("h", "c")], "each receiver once, in order"
    with pytest.raises(RealtimeTimeout):
        rig.dispatcher.preview(lambda: False, Deadline(0.01), "it")
    rig.end(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        rig.dispatcher.preview(lambda: False, soon(), "it")


@pytest.mark.parametrize("how", ["run", "wait"])
def test_what_came_before_an_end_that_a_preview_met_is_still_delivered(how: str) -> None:
    rig, seen = Rig(), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.put("a", "b")
    rig.end()
    with pytest.raises(ConnectionClosed):
        rig.dispatcher.preview(lambda: False, soon(), "it")
    assert seen == []
    if how == "run":
        rig.dispatcher.run(lambda: False)
    else:
        rig.dispatcher.wait(lambda: len(seen) == 2, soon(), "both")
    assert seen == [("h", "a"), ("h", "b")]


def test_a_loss_that_comes_with_a_stop_is_not_raised_by_run() -> None:
    rig = Rig()
    rig.end(ConnectionLost("gone"))
    stopped: list[RealtimeError] = []
    rig.dispatcher.at_end.append(stopped.append)
    rig.dispatcher.run(lambda: bool(stopped))
    with pytest.raises(ConnectionLost):
        rig.dispatcher.run(lambda: False)


def test_a_timeout_tells_what_was_noted_during_the_wait_and_nothing_older() -> None:
    rig = Rig()
    rig.dispatcher.subscribe(HANDLER, lambda event: rig.dispatcher.remarks.note("something odd came"), ServerEvent)
    rig.dispatcher.remarks.note("long ago")
    rig.put("a")
    with pytest.raises(RealtimeTimeout, match=r"for it; meanwhile something odd came$"):
        rig.dispatcher.wait(lambda: False, Deadline(0.05), "it")
    rig.dispatcher.subscribe(STATE, lambda event: rig.dispatcher.remarks.note("again"), ServerEvent)
    rig.put("b")
    with pytest.raises(RealtimeTimeout, match=r"for it; meanwhile again$"):
        rig.dispatcher.preview(lambda: False, Deadline(0.05), "it")


def test_a_handler_may_wait_for_later_events() -> None:
    rig, seen = Rig(), []

    def ask(event: Any) -> None:
        seen.append(("begin", event.event_id))
        if event.event_id == "a":
            rig.dispatcher.wait(lambda: ("end", "b") in seen, soon(), "b")
        seen.append(("end", event.event_id))

    rig.dispatcher.subscribe(HANDLER, ask, ServerEvent)
    rig.put("a", "b")
    rig.dispatcher.wait(lambda: ("end", "a") in seen, soon(), "a")
    assert seen == [("begin", "a"), ("begin", "b"), ("end", "b"), ("end", "a")]


def test_run_until_stopped_and_until_the_end() -> None:
    rig, seen = Rig(), []
    rig.dispatcher.subscribe(HANDLER, collector(seen, "h"), ServerEvent)
    rig.put("a", "b", "c")
    rig.dispatcher.run(lambda: len(seen) == 2)
    assert seen == [("h", "a"), ("h", "b")]
    rig.end(ConnectionLost("gone"))
    with pytest.raises(ConnectionLost):
        rig.dispatcher.run(lambda: False)
    assert seen[-1] == ("h", "c")


def test_another_thread_waits_while_one_pumps_and_takes_over() -> None:
    rig, seen = Rig(), []
    entered, go = threading.Event(), threading.Event()
    stop = threading.Event()

    def handler(event: Any) -> None:
        entered.set()
        assert go.wait(20)
        seen.append(event.event_id)

    rig.dispatcher.subscribe(HANDLER, handler, ServerEvent)
    pump = threading.Thread(target=lambda: rig.dispatcher.run(stop.is_set))
    pump.start()
    rig.put("a")
    assert entered.wait(20)
    with pytest.raises(RealtimeTimeout):  # the pump is inside a handler
        rig.dispatcher.wait(lambda: "a" in seen, Deadline(0.02), "a")
    go.set()
    rig.dispatcher.wait(lambda: "a" in seen, soon(), "a")
    stop.set()
    rig.dispatcher.wake()
    pump.join(20)
    assert not pump.is_alive()
    rig.put("b")
    rig.dispatcher.wait(lambda: "b" in seen, soon(), "b")


def test_a_second_run_waits_for_the_first_and_can_be_stopped_before_its_turn() -> None:
    rig = Rig()
    stop = threading.Event()
    entered = threading.Event()
    rig.dispatcher.subscribe(HANDLER, lambda _: entered.set(), ServerEvent)
    pump = threading.Thread(target=lambda: rig.dispatcher.run(stop.is_set))
    pump.start()
    rig.put("a")
    assert entered.wait(20)
    rig.dispatcher.run(lambda: True)  # returns although the other has the pump
    stop.set()
    rig.dispatcher.wake()
    pump.join(20)
    assert not pump.is_alive()


def test_many_threads_wait_and_each_event_is_delivered_once_in_order() -> None:
    rig, seen = Rig(limit_bytes=10**9), []
    rig.dispatcher.subscribe(HANDLER, lambda event: seen.append(int(event.event_id or "")), ServerEvent)
    total, faults = 3000, []

    def wait_for(number: int) -> None:
        try:
            rig.dispatcher.wait(lambda: len(seen) > number, soon(), str(number))
        except Exception as fault:
            faults.append(fault)

    threads = [threading.Thread(target=wait_for, args=(number,)) for number in range(100, total, 400)]
    for thread in threads:
        thread.start()
    for number in range(total):
        rig.put(str(number))
    for thread in threads:
        thread.join(30)
    rig.drain()
    assert faults == []
    assert seen == list(range(total))


def test_several_threads_take_each_event_once() -> None:
    rig = Rig(limit_bytes=10**9)
    taken: list[list[str]] = [[], [], []]

    def take(mine: list[str]) -> None:
        while (event := rig.dispatcher.next(soon())) is not None:
            mine.append(event.event_id or "")

    threads = [threading.Thread(target=take, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for number in range(600):
        rig.put(str(number))
    rig.end()
    for thread in threads:
        thread.join(30)
    assert sorted(int(name) for mine in taken for name in mine) == list(range(600))
    for mine in taken:
        assert [int(name) for name in mine] == sorted(int(name) for name in mine)


def test_handles_tells_whether_the_user_sees_a_class() -> None:
    rig = Rig()
    rig.dispatcher.subscribe(STATE, lambda _: None, ErrorEvent)
    assert not rig.dispatcher.handles(ErrorEvent)
    rig.dispatcher.subscribe(HANDLER, print, ErrorEvent)
    assert rig.dispatcher.handles(ErrorEvent)
    assert not rig.dispatcher.handles(InputAudioBufferSpeechStarted)
    rig.dispatcher.subscribe(VISITOR, print, ServerEvent)
    assert rig.dispatcher.handles(InputAudioBufferSpeechStarted)


class Patient(Deadline):
    """Far away, and waited for in one piece: who is not woken sleeps on."""

    def __init__(self) -> None:
        super().__init__(None)

    def slice(self, most_s: float = 60) -> float:
        return most_s


def test_who_waits_is_woken_also_when_a_handler_raises() -> None:
    rig, seen = Rig(), []
    entered, asleep, go = threading.Event(), threading.Event(), threading.Event()
    looks: list[bool] = []

    def fail(event: Any) -> None:
        entered.set()
        assert go.wait(20)
        seen.append(event.event_id)
        raise LookupError

    rig.dispatcher.subscribe(HANDLER, fail, ServerEvent)
    faults: list[Exception] = []

    def pump() -> None:
        try:
            rig.dispatcher.run(lambda: False)
        except Exception as fault:
            faults.append(fault)

    def done() -> bool:
        looks.append(bool(seen))
        if len(looks) > 1:  # the last look before it sleeps, under the lock of who would wake it
            asleep.set()
        return looks[-1]

    pumping = threading.Thread(target=pump)
    waiting = threading.Thread(target=lambda: rig.dispatcher.wait(done, Patient(), "it"))
    rig.put("a")
    pumping.start()
    assert entered.wait(20)
    waiting.start()
    assert asleep.wait(20)
    go.set()
    for thread in (pumping, waiting):
        thread.join(20)
        assert not thread.is_alive()
    assert [type(fault) for fault in faults] == [LookupError]


def test_who_waits_is_woken_by_the_end() -> None:
    rig = Rig()
    entered, go = threading.Event(), threading.Event()

    def handler(event: Any) -> None:
        entered.set()
        assert go.wait(20)

    rig.dispatcher.subscribe(HANDLER, handler, ServerEvent)
    faults: list[str] = []

    def wait() -> None:
        try:
            rig.dispatcher.wait(lambda: False, Patient(), "it")
        except ConnectionClosed as fault:
            faults.append(str(fault))

    pumping = threading.Thread(target=lambda: rig.dispatcher.run(lambda: False))
    rig.put("a")
    rig.end()
    pumping.start()
    assert entered.wait(20)
    waiting = threading.Thread(target=wait)
    waiting.start()
    go.set()
    for thread in (pumping, waiting):
        thread.join(20)
        assert not thread.is_alive()
    assert faults == ["the session was closed while waiting for it"]


def test_who_waits_takes_the_pump_over_when_it_becomes_free() -> None:
    rig, seen = Rig(), []
    entered, go, asleep_again = threading.Event(), threading.Event(), threading.Event()
    looks: list[bool] = []

    def handler(event: Any) -> None:
        entered.set()
        assert go.wait(20)
        seen.append(event.event_id)

    def first_done() -> bool:
        return bool(seen) and asleep_again.wait(20)

    def second_done() -> bool:
        looks.append("b" in seen)
        if len(looks) == 2:  # about to sleep, under the lock of who would wake it
            go.set()
        if len(looks) == 5:  # woken by the event, which was not for it, and about to sleep once more
            asleep_again.set()
        return looks[-1]

    rig.dispatcher.subscribe(HANDLER, handler, ServerEvent)
    first = threading.Thread(target=lambda: rig.dispatcher.wait(first_done, soon(), "a"))
    second = threading.Thread(target=lambda: rig.dispatcher.wait(second_done, Patient(), "b"))
    rig.put("a")
    first.start()
    assert entered.wait(20)
    second.start()
    first.join(20)
    rig.put("b")
    second.join(20)
    assert not second.is_alive()


def test_a_fork_is_told_that_nothing_will_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.put("a")
    monkeypatch.setattr("realtime_sync.delivery.dispatcher.os.getpid", lambda: -1)
    for wait in (
        lambda: rig.dispatcher.run(lambda: False),
        lambda: rig.dispatcher.wait(lambda: False, soon(), "it"),
        lambda: rig.dispatcher.next(soon()),
    ):
        with pytest.raises(ConnectionClosed, match="connect again after a fork"):
            wait()


class Struck:
    """A handler that Ctrl-C interrupts at events of this name, once."""

    def __init__(self, seen: list[Any], name: str) -> None:
        self._seen = seen
        self._name = name

    def __call__(self, event: Any) -> None:
        self._seen.append(("struck", event.event_id))
        if event.event_id == self._name:
            self._name = ""
            raise KeyboardInterrupt


@pytest.mark.parametrize("state", [False, True], ids=["handlers only", "with state"])
def test_an_interrupted_event_goes_on_with_those_who_have_not_had_it(state: bool) -> None:
    rig, seen = Rig(), []
    for tag in ("first", "second"):
        rig.dispatcher.subscribe(HANDLER, collector(seen, tag), ServerEvent)
        if tag == "first":
            rig.dispatcher.subscribe(HANDLER, Struck(seen, "a"), ServerEvent)
    if state:
        rig.dispatcher.subscribe(STATE, collector(seen, "state"), ServerEvent)
    rig.put("a", "b")
    with pytest.raises(KeyboardInterrupt):
        rig.dispatcher.wait(lambda: ("second", "b") in seen, soon(), "it")
    assert rig.dispatcher.ready()
    rig.dispatcher.wait(lambda: ("second", "b") in seen, soon(), "it")
    tags = [*(["state"] if state else []), "first", "struck", "second"]
    assert seen == [(tag, name) for name in "ab" for tag in tags]


def test_what_a_handler_was_interrupted_in_is_finished_before_it_goes_on() -> None:
    """A handler waits for a later event, Ctrl-C strikes there, the handler catches it and waits once more."""
    rig, seen = Rig(), []
    heard: list[str] = []

    def patient(event: Any) -> None:
        if event.event_id == "a":
            with suppress(KeyboardInterrupt):
                rig.dispatcher.wait(lambda: "c" in heard, soon(), "c")
            seen.append(("went on", event.event_id))

    def fail(event: Any) -> None:
        heard.append(event.event_id)
        if event.event_id == "b":
            raise LookupError("b")

    rig.dispatcher.subscribe(HANDLER, patient, ServerEvent)
    rig.dispatcher.subscribe(HANDLER, Struck(seen, "b"), ServerEvent)
    rig.dispatcher.subscribe(HANDLER, fail, ServerEvent)
    rig.dispatcher.subscribe(WAITER, collector(seen, "own"), ServerEvent)
    rig.put("a", "b", "c")
    with pytest.raises(LookupError, match="b"):
        rig.dispatcher.wait(lambda: "c" in heard, soon(), "c")
    assert heard == ["b", "a"], "the inner one first: it is the one that the handler waited for"
    rig.dispatcher.wait(lambda: "c" in heard, soon(), "c")
    assert heard == ["b", "a", "c"]
    assert [name for tag, name in seen if tag == "own"] == ["a", "b", "c"]
    assert seen.index(("went on", "a")) > seen.index(("struck", "b"))


@pytest.mark.parametrize("told", [False, True], ids=["raised", "told"])
@pytest.mark.parametrize("fails", [False, True], ids=["goes on", "fails"])
def test_what_a_lone_handler_was_interrupted_in_is_finished_when_it_has_ended(fails: bool, told: bool) -> None:
    """Of an event with one handler nothing is kept while that runs: what it waited for is finished all the same."""
    rig, seen, faults = Rig(), [], []

    def patient(event: Any) -> None:
        if event.event_id == "outer":
            with suppress(KeyboardInterrupt):
                rig.dispatcher.wait(lambda: ("last", "inner") in seen, soon(), "inner")
        seen.append(("had", event.event_id))
        if fails and event.event_id == "outer":
            raise LookupError(event.event_id)

    def fail(event: Any) -> None:
        seen.append(("last", event.event_id))
        raise ValueError(event.event_id)

    rig.dispatcher.subscribe(HANDLER, patient, InputAudioBufferSpeechStarted)
    rig.dispatcher.subscribe(HANDLER, Struck(seen, "inner"), InputAudioBufferCleared)
    rig.dispatcher.subscribe(HANDLER, fail, InputAudioBufferCleared)
    rig.inbox.put([started("before"), started("outer"), cleared("inner"), started("after")], 4)
    expected = LookupError if fails else ValueError
    try:
        rig.dispatcher.wait(lambda: ("had", "after") in seen, soon(), "all", faults.append if told else None)
    except expected as raised:
        faults.append(raised)
    assert [type(fault) for fault in faults] == [expected], "the first; the others are logged"
    rig.drain()
    assert seen == [("had", "before"), ("struck", "inner"), ("had", "outer"), ("last", "inner"), ("had", "after")]
    assert rig.dispatcher._delivery is None
    assert not rig.dispatcher._batch


@pytest.mark.parametrize("elsewhere", [False, True], ids=["this thread", "another thread"])
def test_what_runs_beside_an_interrupted_wait_is_waited_for_by_the_next_one(
    monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    rig, seen = Rig(), []
    entered, go = threading.Event(), threading.Event()

    def slow(event: Any) -> None:
        entered.set()
        assert go.wait(20)
        seen.append(event.event_id)

    def interrupted(task: Any) -> None:
        threading.Thread(target=task.run).start()
        assert entered.wait(20)
        monkeypatch.undo()
        raise KeyboardInterrupt

    rig.dispatcher.subscribe(STATE, slow, ServerEvent)
    monkeypatch.setattr(rig.dispatcher.control, "finish", interrupted)
    rig.put("a", "b")
    with pytest.raises(KeyboardInterrupt):
        rig.dispatcher.wait(lambda: len(seen) == 2, soon(), "it")
    assert seen == []
    threading.Timer(0.05, go.set).start()

    def wait() -> None:
        rig.dispatcher.wait(lambda: len(seen) == 2, soon(), "it")

    if elsewhere:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(20)
    else:
        wait()
    assert seen == ["a", "b"]
    rig.dispatcher.control.rest()


def test_beside_the_main_thread_several_events_are_dispatched_at_once_and_a_fault_is_told() -> None:
    rig, seen = Rig(), []

    def fail(event: Any) -> None:
        if event.event_id in ("b", "d"):
            raise LookupError(event.event_id)

    rig.dispatcher.subscribe(STATE, fail, ServerEvent)
    rig.dispatcher.subscribe(
        STATE, lambda event: seen.append((event.event_id, threading.current_thread())), ServerEvent
    )
    rig.put("a", "b", "c")
    with pytest.raises(LookupError, match="b"):
        rig.dispatcher.wait(lambda: len(seen) == 3, soon(), "it")
    told: list[Exception] = []
    rig.put("d", "e")
    rig.dispatcher.wait(lambda: len(seen) == 5, soon(), "it", told.append)
    assert [name for name, _ in seen] == list("abcde")
    assert {thread.name for _, thread in seen} == {"realtime_sync-control"}
    assert [str(fault) for fault in told] == ["d"]
    rig.dispatcher.control.rest()


def test_a_part_of_a_receiver_can_be_undivided() -> None:
    rig, ran = Rig(), list[str]()

    def note() -> None:
        ran.append(threading.current_thread().name)

    rig.dispatcher.undivided(note)
    thread = threading.Thread(target=lambda: rig.dispatcher.undivided(note), name="mine")
    thread.start()
    thread.join(20)
    assert ran == ["realtime_sync-control", "mine"]
    rig.dispatcher.control.rest()
