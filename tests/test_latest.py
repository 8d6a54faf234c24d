"""What is remembered for a while."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync._latest import Latest


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 9), st.text(max_size=2)), max_size=30))
def test_the_latest_are_kept_in_order(most: int, entries: list[tuple[int, str]]) -> None:
    kept: Latest[int, str] = Latest(most)
    known: list[tuple[int, str]] = []
    for key, value in entries:
        kept[key] = value
        places = [place for place, (other, _) in enumerate(known) if other == key]
        if places:
            known[places[0]] = (key, value)
        else:
            known = [*known, (key, value)][-most:]
        assert list(kept.items()) == known


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy]
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    COPIES.append(lambda kept, protocol=protocol: pickle.loads(pickle.dumps(kept, protocol)))


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_has_the_same_and_the_same_bound(copied: Callable[[Any], Any]) -> None:
    kept: Latest[str, list[int]] = Latest(2)
    kept["a"], kept["b"] = [1], [2]
    other = copied(kept)
    assert type(other) is Latest
    assert list(other.items()) == [("a", [1]), ("b", [2])]
    other["c"] = [3]
    assert (list(other), list(kept)) == (["b", "c"], ["a", "b"])
