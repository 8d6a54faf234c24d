"""The items of a response are read when somebody looks at them, and then are what they would have been at once."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from typing import Any

import pytest
from effort import examples
from event_strategies import JSON, objects
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import codec, encode_event, events
from realtime_sync.codec.lenient import lenient
from realtime_sync.codec.structure import strict
from realtime_sync.events import FunctionCall, Response, ResponseDone, UnknownObject, odd_fields
from realtime_sync.events._later import Unread, as_it_stands

CALL = {"type": "function_call", "id": "item_1", "name": "f", "call_id": "c", "arguments": "{}"}
FIELDS = {"type": "response.done", "event_id": "e", "response": {"id": "r", "status": "completed", "output": [CALL]}}

decode = strict(ResponseDone, later=True)


def decoded(output: Any) -> Any:
    return decode({**FIELDS, "response": {"id": "r", "output": output}}, None).response


def test_items_are_read_at_the_first_look_and_stay_the_same() -> None:
    response = decode(FIELDS, None).response
    assert as_it_stands(response, "output") == [CALL]
    item = response.output[0]
    assert item == FunctionCall(id="item_1", name="f", call_id="c", arguments="{}")
    assert response.output[0] is item
    assert as_it_stands(response, "output")[0] is item


def test_a_frame_that_comes_often_is_read_so() -> None:
    frame = json.dumps(FIELDS).encode()
    read = codec.decoder(events.SERVER_EVENTS)
    for _ in range(4):
        event: Any = read(frame)
    assert as_it_stands(event.response, "output") == [CALL]
    assert json.loads(encode_event(event)) == FIELDS


@pytest.mark.parametrize("output", [[], None, "text", {"a": 1}, [None], [CALL, 5]], ids=str)
def test_what_is_no_list_of_objects_is_looked_at_at_once(output: Any) -> None:
    try:
        response = decoded(output)
    except (TypeError, AttributeError):
        response = lenient(Response)({"output": output}, None)
    assert as_it_stands(response, "output") is response.output or response.output == []


def test_what_is_odd_inside_an_item_shows() -> None:
    event = decode({**FIELDS, "response": {"output": [{**CALL, "name": 5}, {"type": "new"}]}}, None)
    assert odd_fields(event) == ("response.output[0].name",)
    assert event.response.output[0].extra == {"name": 5}
    assert event.response.output[1] == UnknownObject(type="new")


def test_what_a_user_hands_over_is_read_at_once() -> None:
    with pytest.raises((TypeError, KeyError)):
        strict(Response)({"output": [{**CALL, "name": 5}]}, None)


@examples(200)
@given(st.lists(st.dictionaries(st.sampled_from(["type", "id", "role", "content", "name"]), JSON) | JSON, max_size=3))
def test_both_ways_make_the_same_of_anything(output: Any) -> None:
    fields = {"type": "response.done", "response": {"output": output}}
    leniently = lenient(ResponseDone)(fields, None)
    try:
        event = decode(fields, None)
    except Exception:
        return
    assert event == leniently
    assert odd_fields(event) == odd_fields(leniently)
    assert event.response.extra == leniently.response.extra


@examples(50)
@given(objects(Response))
def test_both_ways_make_the_same_of_a_response(response: Any) -> None:
    fields = {"type": "response.done", "response": codec.object_to_dict(response)}
    assert decode(fields, None) == lenient(ResponseDone)(fields, None)


def test_an_unread_one_is_copied_pickled_shown_and_changed_like_any() -> None:
    for use in (copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))):
        assert use(decoded([CALL])) == decoded([CALL])
    assert "FunctionCall" in repr(decoded([CALL])) or "function_call" in repr(decoded([CALL]))
    response = decoded([CALL])
    response.output = []
    assert response.output == as_it_stands(response, "output") == []
    assert response == decoded([])


def test_threads_that_look_at_the_same_time_get_the_same_items() -> None:
    both = threading.Barrier(2)

    def read(raw: Any, _: Any) -> Any:
        both.wait(10)
        return [object()]

    unread = Unread([CALL], read)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(unread.read())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found[0] is found[1]
