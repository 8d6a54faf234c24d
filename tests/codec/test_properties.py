"""Laws of the codec, for generated events of every class and for everything that is no event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cattrs import BaseValidationError
from effort import examples
from event_strategies import EXTRA, JSON, NAME, objects
from hypothesis import example, given
from hypothesis import strategies as st
from protocol_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES

from realtime_sync import codec, decode_client_event, decode_server_event, encode_event, event_to_dict, events
from realtime_sync.codec.lenient import lenient
from realtime_sync.codec.structure import strict
from realtime_sync.events import CLIENT_EVENTS, SERVER_EVENTS, MalformedEvent, UnknownEvent, WireObject
from realtime_sync.events.base import fields_of

SIDES = [(SERVER_EVENTS, decode_server_event, SERVER_EXAMPLES), (CLIENT_EVENTS, decode_client_event, CLIENT_EXAMPLES)]
EVENTS = [
    pytest.param(cls, decode, id=cls.TYPE) for registry, decode, _ in SIDES for cls in dict.fromkeys(registry.values())
]
EXAMPLES = [(registry, decode, made) for registry, decode, all_made in SIDES for made in all_made]
WIRE_CLASSES = [
    cls
    for cls in vars(events).values()
    if isinstance(cls, type)
    and issubclass(cls, WireObject)
    and fields_of(cls) != fields_of(events.Event)
    and cls not in (MalformedEvent, UnknownEvent, WireObject)
]


@pytest.mark.parametrize(("cls", "decode"), EVENTS)
@examples(30)
@given(data=st.data())
def test_decoding_undoes_encoding(cls: Any, decode: Any, data: st.DataObject) -> None:
    event = data.draw(objects(cls))
    text = encode_event(event)
    assert decode(text) == event
    assert decode(text.encode()) == event
    assert json.loads(text) == event_to_dict(event)
    assert decode(event_to_dict(event)) == event


@pytest.mark.parametrize("cls", WIRE_CLASSES)
@examples(30)
@given(data=st.data())
def test_the_fast_path_agrees_with_cattrs(cls: Any, data: st.DataObject) -> None:
    """The compiled functions, and the generated ones of cattrs that are used where speed does not matter."""
    fields = codec.object_to_dict(data.draw(objects(cls)))
    if fields:
        name = data.draw(st.sampled_from(sorted(fields)))
        change = data.draw(st.sampled_from(["keep", "remove", "null", "replace"]))
        if change == "remove":
            del fields[name]
        elif change != "keep":
            fields[name] = None if change == "null" else data.draw(JSON)
    outcomes = []
    for explain in (False, True):
        try:
            outcomes.append(strict(cls, explaining=explain)(fields, cls))
        except (TypeError, KeyError, AttributeError, BaseValidationError):
            outcomes.append("refused")
    fast, thorough = outcomes
    assert fast == thorough
    if fast != "refused":
        assert lenient(cls)(fields, cls) == fast
        assert codec.structure(fields, cls) == fast


@given(JSON)
def test_any_json_is_decoded_to_something(raw: Any) -> None:
    for _, decode, _ in SIDES:
        event = decode(json.dumps(raw))
        assert isinstance(event, MalformedEvent if not isinstance(raw, dict) else events.Event)


def _same(came: Any, sent: Any) -> bool:
    """Whether nothing but defaults tells them apart: null is as good as left out, so is an empty list that must be
    there, and an object that may leave out its type, or has null there, gets it."""
    if isinstance(came, dict) and isinstance(sent, dict):
        for name in {*came, *sent}:
            one, other = came.get(name), sent.get(name)
            added = other in (None, []) or name in ("type", "mode")
            if not (one is None and added) and not _same(one, other):
                return False
        return True
    if isinstance(came, list) and isinstance(sent, list):
        return len(came) == len(sent) and all(map(_same, came, sent))
    return bool(came == sent)


def _typed(registry: Any, decode: Any, raw: dict[str, Any]) -> None:
    event = decode(json.dumps(raw))
    assert type(event) is registry[raw["type"]]
    assert _same(raw, event_to_dict(event)), event
    again = decode(encode_event(event))
    assert again == event
    assert type(codec.oddities(event)) is str
    assert bool(codec.oddities(event)) is bool(events.odd_fields(event))


@pytest.mark.parametrize(("cls", "decode"), EVENTS)
@examples(20)
@given(
    fields=st.dictionaries(st.sampled_from(["a", "event_id"]) | st.text(max_size=6), JSON, max_size=3), data=st.data()
)
def test_a_known_type_with_any_fields_is_typed_and_loses_nothing(cls: Any, decode: Any, fields: Any, data: Any) -> None:
    names = st.sampled_from([a.name for a in fields_of(cls) if a.name not in ("type", "extra")])
    fields.update(data.draw(st.dictionaries(names, JSON)))
    _typed({cls.TYPE: cls}, decode, {**fields, "type": cls.TYPE})


def _odd(raw: Any, data: st.DataObject) -> Any:
    """``raw`` with some values replaced by anything, at every level."""
    if data.draw(st.sampled_from([False] * 9 + [True])):
        return data.draw(JSON)
    if isinstance(raw, list):
        return [_odd(item, data) for item in raw]
    if isinstance(raw, dict):
        return {name: _odd(value, data) for name, value in raw.items()}
    return raw


@examples(500)
@given(case=st.sampled_from(EXAMPLES), data=st.data())
def test_an_odd_event_is_typed_and_loses_nothing(case: Any, data: st.DataObject) -> None:
    registry, decode, whole = case
    _typed(registry, decode, {name: v if name == "type" else _odd(v, data) for name, v in whole.items()})


def _cut(raw: Any, data: st.DataObject) -> Any:
    """``raw`` with some fields left out and some null, at every level."""
    if isinstance(raw, list):
        return [_cut(item, data) for item in raw]
    if not isinstance(raw, dict):
        return raw
    kept = {}
    for name, value in raw.items():
        fate = data.draw(st.sampled_from(["keep", "keep", "drop", "null"]))
        if fate != "drop":
            kept[name] = None if fate == "null" else _cut(value, data)
    return kept


@pytest.mark.parametrize("side", range(2))
@examples(300)
@given(data=st.data())
def test_an_incomplete_event_keeps_its_class(side: int, data: st.DataObject) -> None:
    registry, decode, examples = SIDES[side]
    whole = data.draw(st.sampled_from(examples))
    event = decode(json.dumps({**_cut(whole, data), "type": whole["type"]}))
    assert type(event) is registry[whole["type"]], event


def _with_extra(raw: Any, data: st.DataObject) -> Any:
    if isinstance(raw, list):
        return [_with_extra(item, data) for item in raw]
    if not isinstance(raw, dict):
        return raw
    extended = {k: _with_extra(v, data) for k, v in raw.items()}
    if "variables" in raw:  # a table of text or typed content: an entry there is no unknown field
        extended["variables"] = {k: _with_extra(v, data) for k, v in raw["variables"].items()}
    return {**extended, **data.draw(EXTRA)}


@examples(300)
@given(case=st.sampled_from(EXAMPLES), data=st.data())
def test_unknown_fields_survive_at_every_level(case: Any, data: st.DataObject) -> None:
    _, decode, example = case
    extended = _with_extra(example, data)
    event = decode(json.dumps(extended))
    assert json.loads(encode_event(event)) == extended


@given(case=st.sampled_from(EXAMPLES), cut=st.floats(0, 1, exclude_max=True), tail=st.text(max_size=3))
def test_truncated_text_is_malformed(case: Any, cut: float, tail: str) -> None:
    _, decode, example = case
    text = json.dumps(example)
    text = text[: int(len(text) * cut)]
    event = decode(text + tail.replace("}", ""))
    assert isinstance(event, MalformedEvent)
    assert event.raw == text + tail.replace("}", "")


@given(st.text() | st.binary() | st.text(alphabet=st.characters(codec=None, categories=["Cs", "L"])))
@example("\ud800")
@example('{"type": "\\ud800"}')
@example(b'{"type": "error", "event_id": "\xff"}')
@example('{"type": "error", "error": NaN}')
@example('{"type": "error", "error": -Infinity}')
@example('{"type": "error", "type": "session.created"}')
@example("[" * 100_000)
@example('{"type": ' * 5_000)
@example('{"type": "response.done", "response": ' + '{"a": ' * 5_000)
@example("9" * 5_000)
@example("")
@example(b"")
@example("\x00")
def test_any_frame_is_decoded_to_something(frame: Any) -> None:
    for _, decode, _ in SIDES:
        assert isinstance(decode(frame), events.Event)


@given(st.none() | st.integers() | st.lists(JSON, max_size=2) | st.dictionaries(st.integers(), JSON, max_size=2))
def test_a_frame_of_the_wrong_kind_is_malformed(frame: Any) -> None:
    for _, decode, _ in SIDES:
        assert isinstance(decode(frame), MalformedEvent)


@given(kind=NAME, fields=st.dictionaries(st.text(max_size=5).filter(lambda name: name != "type"), JSON, max_size=4))
def test_an_unknown_event_survives(kind: str, fields: Any) -> None:
    raw = {"type": kind, **fields}
    for _, decode, _ in SIDES:
        event = decode(json.dumps(raw))
        assert isinstance(event, UnknownEvent)
        assert json.loads(encode_event(event)) == raw == event.raw


@pytest.mark.parametrize("text", ["a" * 10_000_000, "\\u00e9" * 1_000_000, "é" * 5_000_000])
def test_huge_strings(text: str) -> None:
    plain = json.loads(f'"{text}"')
    delta = decode_server_event(f'{{"type": "response.output_text.delta", "delta": "{text}"}}')
    assert isinstance(delta, events.ResponseOutputTextDelta)
    assert delta.delta == plain
    for frame in (f'"{text}"', text, f'{{"type": "{text}"}}', f'{{"type": "error", "error": {{"{text}": 1}}}}'):
        assert isinstance(decode_server_event(frame), events.Event)
        assert isinstance(decode_client_event(frame.encode()), events.Event)
