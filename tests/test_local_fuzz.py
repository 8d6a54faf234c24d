"""Whatever a client sends, the server answers and goes on."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from effort import examples
from hypothesis import example, given
from hypothesis import strategies as st
from local_raw import RawClient, b64, tone

from realtime_sync.local import LocalServer, Quirks

ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
EVENTS: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "event_id": "e",
        "session": {
            "type": "realtime",
            "instructions": "x",
            "output_modalities": ["text"],
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "prefix_padding_ms": 300,
                        "silence_duration_ms": 500,
                        "idle_timeout_ms": None,
                        "create_response": False,
                    },
                    "transcription": {"model": "gpt-4o-transcribe"},
                    "noise_reduction": None,
                },
                "output": {"voice": "marin", "speed": 1.0, "format": {"type": "audio/pcmu"}},
            },
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
        },
    },
    {"type": "conversation.item.create", "item": ITEM, "previous_item_id": None},
    {"type": "conversation.item.create", "item": {"type": "function_call", "name": "f", "arguments": "{}"}},
    {"type": "conversation.item.delete", "item_id": "x"},
    {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 1},
    {"type": "input_audio_buffer.append", "audio": b64(tone(20))},
    {"type": "input_audio_buffer.commit"},
    {"type": "response.create", "response": {"conversation": "none", "input": [ITEM], "metadata": {"a": "b"}}},
    {"type": "response.create", "response": {"output_modalities": ["text"], "max_output_tokens": 5}},
    {"type": "response.cancel", "response_id": "resp_1"},
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**400, 10**401)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


@st.composite
def broken_events(draw: st.DrawFn) -> Any:
    """A real event of a client in which one place holds something else, or nothing, or more."""
    event = copy.deepcopy(draw(st.sampled_from(EVENTS)))
    *way, last = draw(st.sampled_from(list(places(event))))
    target: Any = event
    for key in way:
        target = target[key]
    change = draw(st.sampled_from(["replace", "remove", "add", "keep"]))
    if change == "replace":
        target[last] = draw(json_values)
    elif change == "remove":
        del target[last]
    elif change == "add" and isinstance(target, dict):
        target[draw(st.text(max_size=8))] = draw(json_values)
    return event


@pytest.fixture(scope="module", params=[Quirks(), Quirks(lenient=True)], ids=["strict", "lenient"])
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[LocalServer, RawClient]]:
    server = LocalServer(lambda turn: "x", quirks=request.param).start()
    with server, RawClient(server, checked=request.param == Quirks()) as client:
        yield server, client


@examples(150)
@given(event=broken_events() | json_values)
@example({"type": "session.update"})
@example({"type": "session.update", "session": {"audio": 5}})
@example({"type": "response.create", "response": 5})
def test_nothing_that_a_client_sends_breaks_the_server(connection: tuple[LocalServer, RawClient], event: Any) -> None:
    server, client = connection
    before = len(server.failures)
    client.websocket.send(json.dumps(event))
    client.send("conversation.item.retrieve", item_id="the end of this example")
    while True:
        answer = client.recv()
        if answer["type"] == "error" and "the end of this example" in answer["error"]["message"]:
            break
    assert server.failures[before:] == []
