"""The tree of exceptions: one root, and each survives a process pool."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from raising import EXAMPLES, Derived, fail

from realtime_sync import errors
from realtime_sync.errors import (
    RealtimeError,
)


def kinds(root: type[RealtimeError]) -> Iterator[type[RealtimeError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def state_of(error: RealtimeError) -> Any:
    """What can be told from an exception; the errors among its attributes by their own state."""
    told = {name: state_of(value) if isinstance(value, RealtimeError) else value for name, value in vars(error).items()}
    return type(error), error.args, str(error), told


def test_every_kind_has_an_example() -> None:
    assert {type(error) for error in EXAMPLES} == set(kinds(RealtimeError))
    assert {kind.__name__ for kind in kinds(RealtimeError)} == set(errors.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_and_back_nothing_is_lost(error: RealtimeError, protocol: int) -> None:
    error = copy.copy(error)
    error.extra = {"by": "the user"}  # type: ignore[attr-defined]
    restored = pickle.loads(pickle.dumps(error, protocol))
    assert state_of(restored) == state_of(error)
    assert state_of(pickle.loads(pickle.dumps(restored, protocol))) == state_of(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_copied(error: RealtimeError) -> None:
    assert state_of(copy.copy(error)) == state_of(error)
    assert state_of(copy.deepcopy(error)) == state_of(error)


def test_raised_in_a_worker_process_they_arrive() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for number, error in enumerate(EXAMPLES):
            caught = pool.submit(fail, number).exception(60)
            assert isinstance(caught, RealtimeError)
            assert state_of(caught) == state_of(error)
        derived = pool.submit(fail, len(EXAMPLES)).exception(60)
    assert isinstance(derived, Derived)
    assert (derived.where, derived.limit_bytes, str(derived)) == ("there", 5, "overflow in there")
