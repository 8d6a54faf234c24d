"""Wire classes are completed by attrs when somebody looks, and then are what attrs would have made at once."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import threading
import weakref
from typing import Any, ClassVar

import attrs
import pytest

from realtime_sync.events import ErrorDetail, ErrorEvent, WireObject
from realtime_sync.events._making import _Later, declared
from realtime_sync.events.base import fields_of, wire


@wire
class Thing(WireObject):
    """One with every kind of field."""

    KIND: ClassVar[str] = "thing"

    name: str
    size: int = 3
    parts: list[str] = attrs.field(factory=list, metadata={"said": True})


@wire
class Better(Thing):
    """One that declares a field anew."""

    name: str = "better"
    more: str | None = None


def complete(cls: type[Any]) -> bool:
    return not isinstance(vars(cls)["__init__"], _Later)


def test_importing_and_connecting_complete_few_classes() -> None:
    program = """
import gc
from realtime_sync.events import ResponseOutputTextDelta, WireObject
from realtime_sync.events._making import _Later
import realtime_sync.session.opening

def completed():
    return [c for c in gc.get_objects() if isinstance(c, type) and issubclass(c, WireObject)
            and not isinstance(vars(c).get("__init__", _Later("", c)), _Later)]

assert completed() == [], completed()
ResponseOutputTextDelta(response_id="r", item_id="i", output_index=0, content_index=0, delta="x")
assert completed() == [ResponseOutputTextDelta], completed()
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_fields_are_those_of_attrs() -> None:
    eager = attrs.define(
        type("Eager", (), {"__annotations__": dict(Thing.__annotations__), "size": 3}), slots=True, kw_only=True
    )
    by_name = {a.name: a for a in attrs.fields(Thing)}
    assert list(by_name) == ["extra", *(a.name for a in attrs.fields(eager))] == list(declared(Thing))
    assert by_name["name"].default is attrs.NOTHING
    assert by_name["size"].default == 3
    assert by_name["parts"].metadata == {"said": True}
    assert all(a.kw_only for a in by_name.values())
    assert attrs.has(Thing)
    assert attrs.fields(Thing) is fields_of(Thing)


def test_a_field_that_is_declared_anew_stands_with_the_newer_ones() -> None:
    assert [a.name for a in fields_of(Better)] == ["extra", "size", "parts", "name", "more"]
    assert Better().name == "better"
    assert Better.__slots__ == ("more",)


def test_what_is_made_is_slotted_and_checked_by_its_init() -> None:
    thing: Any = Thing(name="a")
    assert (thing.name, thing.size, thing.parts, thing.extra) == ("a", 3, [], {})
    assert not hasattr(thing, "__dict__")
    with pytest.raises(AttributeError):
        thing.other = 1
    with pytest.raises(TypeError, match=r"Thing.__init__\(\) got an unexpected keyword argument 'nme'"):
        Thing(nme="a")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'name'"):
        Thing()  # type: ignore[call-arg]
    assert weakref.ref(thing)() is thing


def test_a_look_at_the_signature_is_enough() -> None:
    @wire
    class Fresh(WireObject):
        name: str

    assert not complete(Fresh)
    assert list(inspect.signature(Fresh).parameters) == ["extra", "name"]
    assert complete(Fresh)


def test_copies_and_pickles() -> None:
    event = ErrorEvent(error=ErrorDetail(type="t", message="m", extra={"more": 1}), event_id="e")
    assert copy.copy(event) == event
    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event
    assert attrs.evolve(event, event_id=None) == ErrorEvent(error=event.error)
    assert attrs.asdict(event)["error"]["message"] == "m"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with 3.13")
def test_replacing() -> None:
    replace: Any = getattr(copy, "replace", None)
    assert replace(ErrorDetail(type="t", message="m"), message="n") == ErrorDetail(type="t", message="n")


def test_classes_of_attrs_may_build_on_them() -> None:
    @attrs.define(kw_only=True)
    class Mine(Thing):
        colour: str = "red"

    mine = Mine(name="a", colour="blue")
    assert (mine.name, mine.size, mine.colour) == ("a", 3, "blue")
    assert [a.name for a in attrs.fields(Mine)] == ["extra", "name", "size", "parts", "colour"]


@wire
class Louder(Thing):
    """One whose methods call those of its base."""

    loud: bool = True

    @property
    def shown(self) -> str:
        """With a mark."""
        return super().__repr__() + "!"

    @classmethod
    def of(cls) -> Louder:
        """One of them."""
        return super().__new__(cls)

    def __repr__(self) -> str:
        return super().__repr__().upper()


def test_super_means_the_class_that_was_made() -> None:
    assert repr(Louder(name="a")) == "LOUDER(NAME='A', SIZE=3, PARTS=[], LOUD=TRUE)"
    assert Louder(name="a").shown == "Louder(name='a', size=3, parts=[], loud=True)!"
    assert type(Louder.of()) is Louder
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(Louder(name="a"), protocol)) == Louder(name="a")


def test_a_subclass_may_call_the_init_of_its_base() -> None:
    @wire
    class Fresh(WireObject):
        name: str

    class Own(Fresh):
        __slots__ = ()

        def __init__(self) -> None:
            super().__init__(name="own")

    assert Own().name == "own"
    assert Own().name == "own"


def test_an_interrupt_while_a_class_is_completed_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    @wire
    class Fresh(WireObject):
        name: str

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("realtime_sync.events._making.attrs.define", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Fresh(name="a")
    later = vars(Fresh)["__attrs_attrs__"]
    assert Fresh(name="a").name == "a"
    Fresh.__attrs_attrs__ = later  # type: ignore[attr-defined]  # as it is when the interrupt comes between the two
    assert [a.name for a in attrs.fields(Fresh)] == ["extra", "name"]
    assert Fresh(name="b").name == "b"


def test_a_plain_subclass_has_what_its_base_has() -> None:
    class Plain(Thing):
        __slots__ = ()

    assert Plain(name="a").name == "a"
    assert fields_of(Plain) is fields_of(Thing)


def test_threads_find_the_same_fields() -> None:
    for _ in range(20):

        @wire
        class Fresh(WireObject):
            name: str

        both = threading.Barrier(4)
        found: list[Any] = []

        def look(fresh: Any = Fresh, both: threading.Barrier = both, found: list[Any] = found) -> None:
            both.wait(10)
            found.append(fresh(name="a").__attrs_attrs__)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(found) == 4
        assert all(fields is found[0] for fields in found)
