"""What a wait that timed out tells of the meantime."""

from __future__ import annotations

from realtime_sync.delivery.remarks import Remarks


def test_what_was_noted_since_a_mark_is_told() -> None:
    remarks = Remarks()
    remarks.note("before")
    mark = remarks.count
    assert remarks.since(mark) == ""
    remarks.note("a")
    assert remarks.since(mark) == "; meanwhile a"
    remarks.note("b")
    assert remarks.since(mark) == "; meanwhile a, and b"
    assert remarks.since(remarks.count) == ""


def test_of_many_the_latest_are_told_and_few_are_kept() -> None:
    remarks = Remarks()
    for number in range(1000):
        remarks.note(str(number))
    assert remarks.count == 1000
    assert remarks.since(0) == "; meanwhile 997, and 998, and 999"
    assert len(remarks._kept) < 100


def test_an_answer_is_not_lost_among_other_remarks() -> None:
    remarks = Remarks()
    remarks.note("first", answer=False)
    remarks.note("BOOM")
    for number in range(100):
        remarks.note(str(number), answer=False)
    assert remarks.since(0) == "; meanwhile BOOM, and 98, and 99"
    assert remarks.since(2) == "; meanwhile 97, and 98, and 99"
    assert remarks.answers == 1


def test_a_mark_older_than_what_is_kept_still_counts() -> None:
    remarks = Remarks()
    for number in range(40):
        remarks.note(str(number))
    assert remarks.since(38) == "; meanwhile 38, and 39"
