from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from realtime_sync.delivery.inbox import Inbox
from realtime_sync.events import InputAudioBufferCleared


def event(number: int) -> InputAudioBufferCleared:
    return InputAudioBufferCleared(event_id=str(number))


def test_gives_batches_back_in_order_and_then_the_end() -> None:
    inbox = Inbox(100)
    first, second = [event(1)], [event(2), event(3)]
    assert inbox.put(first, 10)
    assert inbox.put(second, 20)
    inbox.end()
    assert inbox.take(0) == (first, 10)
    assert inbox.take(0) == (second, 20)
    assert inbox.take(0) is None


def test_an_empty_inbox_gives_nothing_in_time() -> None:
    inbox = Inbox(100)
    assert inbox.take(0) == ((), 0)
    assert inbox.take(0.001) == ((), 0)


def test_the_bound_is_told_but_what_came_is_kept() -> None:
    inbox = Inbox(100)
    assert inbox.put([event(1)], 100)
    assert not inbox.put([event(2)], 1)
    assert inbox.waiting_bytes == 101
    inbox.take(0)
    assert inbox.waiting_bytes == 1
    assert inbox.put([event(3)], 99)


def test_wake_ends_a_take_at_once() -> None:
    inbox = Inbox(100)
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(inbox.take(30)))
    thread.start()
    inbox.wake()
    thread.join(10)
    assert taken == [((), 0)]


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans()), max_size=60))
def test_the_bound_counts_exactly_what_waits(steps: list[tuple[int, bool]]) -> None:
    inbox = Inbox(120)
    waiting: list[int] = []
    for size, take in steps:
        if take and waiting:
            taken = inbox.take(0)
            assert taken is not None
            assert taken[1] == waiting.pop(0)
        else:
            waiting.append(size)
            assert inbox.put([event(size)], size) == (sum(waiting) <= 120)
        assert inbox.waiting_bytes == sum(waiting)
