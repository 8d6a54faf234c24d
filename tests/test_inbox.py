from __future__ import annotations

import base64
import threading
import tracemalloc
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync.codec import decode_server_event
from realtime_sync.delivery.inbox import EVENT_BYTES, Inbox, structure_bytes
from realtime_sync.events import InputAudioBufferCleared, ServerEvent


def event(number: int) -> InputAudioBufferCleared:
    return InputAudioBufferCleared(event_id=str(number))


def taken(inbox: Inbox, timeout_s: float = 0) -> list[Any] | None:
    """What the next batch holds; ``None`` at the end."""
    pending: deque[ServerEvent] = deque()
    return list(pending) if inbox.take(pending, timeout_s) else None


def test_gives_batches_back_in_order_and_then_the_end() -> None:
    inbox = Inbox(10_000)
    first, second = [event(1)], [event(2), event(3)]
    assert inbox.put(first, 10)
    assert inbox.put(second, 20)
    inbox.end()
    assert taken(inbox) == first
    assert inbox.average_bytes == EVENT_BYTES + 10
    assert taken(inbox) == second
    assert inbox.average_bytes == EVENT_BYTES + 10
    assert taken(inbox) is None
    assert taken(inbox) is None, "it is told as often as it is asked for"


def test_events_are_counted_on_their_way() -> None:
    inbox = Inbox(10_000)
    inbox.put([event(1)], 10)
    inbox.put([event(2), event(3)], 20)
    inbox.wake()
    assert (inbox.arrived, inbox.taken) == (3, 0)
    assert taken(inbox) == [event(1)]
    assert (inbox.arrived, inbox.taken) == (3, 1)
    taken(inbox)
    taken(inbox)
    assert (inbox.arrived, inbox.taken) == (3, 3)


def test_an_empty_inbox_gives_nothing_in_time() -> None:
    inbox = Inbox(100)
    assert taken(inbox) == []
    assert taken(inbox, 0.001) == []


def test_the_bound_is_told_but_what_came_is_kept() -> None:
    inbox = Inbox(2 * EVENT_BYTES + 100)
    assert inbox.put([event(1)], 100)
    assert inbox.put([event(2)], 0)
    assert not inbox.put([event(3)], 0)
    assert inbox.waiting_bytes == 3 * EVENT_BYTES + 100
    assert taken(inbox) == [event(1)]
    assert inbox.waiting_bytes == 2 * EVENT_BYTES
    assert inbox.put([], 0)


def test_wake_ends_a_take_at_once() -> None:
    inbox = Inbox(100)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(taken(inbox, 30)))
    thread.start()
    inbox.wake()
    thread.join(10)
    assert got == [[]]


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=60))
def test_the_bound_counts_exactly_what_waits(steps: list[tuple[int, bool]]) -> None:
    inbox = Inbox(12_000)
    waiting: list[int] = []
    for size, take in steps:
        if take and waiting:
            waiting.pop(0)
            assert taken(inbox) != []
        else:
            waiting.append(size + EVENT_BYTES)
            assert inbox.put([event(size)], size) == (sum(waiting) <= 12_000)
        assert inbox.waiting_bytes == sum(waiting)


DELTA = (
    b'{"type":"response.output_text.delta","event_id":"event_%d","response_id":"resp_1","item_id":"item_1",'
    b'"output_index":0,"content_index":0,"delta":"%s"%s}'
)
AUDIO = DELTA.replace(b"output_text", b"output_audio")
SOUND = base64.b64encode(bytes(range(256)) * 30)
STREAMS: dict[str, Callable[[int], bytes]] = {
    "empty": lambda number: b"",
    "no object": lambda number: b"0",
    "lists": lambda number: b"[%d," % number + b"[]," * 400 + b"[]]",
    "lists of an unknown event": lambda number: b'{"type":"vendor","a":[' + b"[]," * 400 + b"[]]}",
    "objects": lambda number: b'{"type":"vendor","a":[' + b"{}," * 400 + b"{}]}",
    "floats": lambda number: b'{"type":"vendor","a":{' + b",".join(b'"k%d":%d.5' % (i, i) for i in range(200)) + b"}}",
    "an object without a type": lambda number: b'{"a":[' + b"[]," * 400 + b"[]]}",
    "deltas": lambda number: DELTA % (number, b"word", b""),
    "long deltas": lambda number: DELTA % (number, b"x" * 20_000, b""),
    "deltas with lists": lambda number: DELTA % (number, b"word", b',"more":[' + b"[]," * 400 + b"[]]"),
    "deltas with a short list": lambda number: DELTA % (number, b"word", b',"more":[' + b"[]," * 12 + b"[]]"),
    "sound": lambda number: AUDIO % (number, SOUND, b""),
    "sound with lists": lambda number: AUDIO % (number, SOUND, b',"more":[' + b"[]," * 4000 + b"[]]"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_bound_holds_memory_within_a_factor_of_3(name: str) -> None:
    text = STREAMS[name]
    limit_bytes = 2 * 2**20
    inbox = Inbox(limit_bytes)
    for number in range(5):
        decode_server_event(text(number))  # what is made on first use
    tracemalloc.start()
    try:
        number = 0
        while True:
            number += 1
            received = text(number)
            decoded = decode_server_event(received)
            if not inbox.put([decoded], len(received) + structure_bytes([decoded], [received])):
                break
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert limit_bytes / 3 < used_bytes < limit_bytes * 3
