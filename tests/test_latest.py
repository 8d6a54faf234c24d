"""What is remembered for a while."""

from __future__ import annotations

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
