"""The compiled functions: what they fill in, and that they refuse rather than guess."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync import UNSET, decode_server_event
from realtime_sync.codec import compiled as shared
from realtime_sync.codec.compiled import compiled
from realtime_sync.codec.structure import strict
from realtime_sync.events import AudioInput, NoiseReduction, WireObject
from realtime_sync.events.base import wire


@wire
class Place(WireObject):
    """Every kind of field."""

    name: str
    floor: int = 2
    height: float | None = None
    open: bool | None = None
    owner: dict[str, Any] | None = None
    rooms: list[int] | None = None
    anything: Any = None


def made(**fields: Any) -> Place:
    place: Place = compiled(Place, strict)(fields, None)
    return place


def test_defaults_are_filled_in() -> None:
    assert made(name="a") == Place(name="a")
    assert made(name="a", floor=1, height=1, open=True, owner={}, rooms=[1], anything=()) == Place(
        name="a", floor=1, height=1, open=True, owner={}, rooms=[1], anything=()
    )


def test_a_class_whose_fields_are_nested() -> None:
    read = compiled(AudioInput, strict)
    found = read({"noise_reduction": {"type": "near_field"}, "transcription": None}, None)
    assert found == AudioInput(noise_reduction=NoiseReduction(type="near_field"), transcription=None)
    assert found.turn_detection is UNSET


def test_unknown_fields_are_extra() -> None:
    assert made(name="a", vendor=1).extra == {"vendor": 1}
    assert made(name="a").extra == {}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": None},
        {"name": 5},
        {"name": "a", "floor": True},
        {"name": "a", "floor": 1.0},
        {"name": "a", "floor": None},
        {"name": "a", "height": "1"},
        {"name": "a", "height": True},
        {"name": "a", "open": 1},
        {"name": "a", "owner": []},
        {"name": "a", "rooms": {}},
        {"name": "a", "rooms": [None]},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises((TypeError, KeyError)):
        made(**fields)


@pytest.mark.parametrize("value", [None, [], "name", 5])
def test_only_objects_are_read(value: Any) -> None:
    with pytest.raises(TypeError):
        compiled(NoiseReduction, strict)(value, None)


def test_the_type_and_the_ids_of_a_response_are_shared_by_its_events() -> None:
    def delta(n: int) -> Any:
        fields = f'"response_id":"resp_{n}","item_id":"item_{n}","output_index":0,"content_index":0,"delta":"x{n}"'
        return decode_server_event(f'{{"type":"response.output_text.delta",{fields}}}')

    for _ in range(3):
        delta(0)  # the compiled function comes with the third
    one, other = delta(1), delta(1)
    assert one.type is other.type
    assert one.response_id is other.response_id
    assert one.item_id is other.item_id
    for n in range(1000):  # what is remembered for it is bounded
        event = delta(n)
        assert (event.type, event.response_id, event.item_id) == (one.type, f"resp_{n}", f"item_{n}")
        assert len(shared._seen) <= 64
