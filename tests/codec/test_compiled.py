"""The compiled functions: what they fill in, and that they refuse rather than guess."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync import UNSET
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
