"""Time limits and sizes that users set, and the deadline that is made of them."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from realtime_sync import _limits
from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.errors import ConfigurationError

NO_NUMBERS: list[Any] = [math.nan, "1", b"1", True, False, [], 1j, object()]


@pytest.mark.parametrize(
    ("value", "as_seconds"),
    [(1, 1.0), (0.25, 0.25), (math.inf, math.inf), (10**400, math.inf), (Fraction(1, 2), 0.5), (Decimal("0.5"), 0.5)],
)
def test_seconds(value: Any, as_seconds: float) -> None:
    found = _limits.seconds("timeout", value)
    assert type(found) is float
    assert found == as_seconds


@pytest.mark.parametrize("value", [*NO_NUMBERS, -1, -0.5, -math.inf, -(10**400), 0, None])
def test_what_is_no_number_of_seconds_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout must be a number of seconds, above 0; not "):
        _limits.seconds("timeout", value)


def test_seconds_may_be_none_or_zero_where_that_has_a_meaning() -> None:
    assert _limits.seconds("x", None, optional=True) is None
    assert _limits.seconds("x", 0, zero=True) == 0.0
    with pytest.raises(ConfigurationError, match="x must be a number of seconds, 0 or more, or None; not -1"):
        _limits.seconds("x", -1, optional=True, zero=True)
    with pytest.raises(ConfigurationError):
        _limits.seconds("x", 0, optional=True)
    with pytest.raises(ConfigurationError):
        _limits.seconds("x", None, zero=True)


def test_pace() -> None:
    assert _limits.pace("speed", None) is None
    assert [_limits.pace("speed", value) for value in (2, 0.5, math.inf, Decimal("0.5"))] == [2.0, 0.5, math.inf, 0.5]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -1, -math.inf])
def test_what_is_no_pace_is_refused(value: Any) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"^speed must be a number of times real time, above 0, or None for as fast as it goes; not ",
    ):
        _limits.pace("speed", value)


@pytest.mark.parametrize(("value", "bytes_"), [(1, 1), (2**40, 2**40), (1e6, 1_000_000)])
def test_size(value: Any, bytes_: int) -> None:
    found = _limits.size("limit", value)
    assert type(found) is int
    assert found == bytes_


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -1, 0.5, 1.5, math.inf, 10**400, None])
def test_what_is_no_size_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^limit must be a whole number of bytes, 1 or more; not "):
        _limits.size("limit", value)


def test_a_size_may_have_other_bounds() -> None:
    assert _limits.size("rate", 8000.0, "Hz", least=1000, most=8000) == 8000
    assert _limits.size("rate", 0, least=0) == 0
    for value in (999, 8001, 2000.5, *NO_NUMBERS):
        with pytest.raises(ConfigurationError, match=r"^rate must be a whole number of Hz, from 1000 to 8000; not "):
            _limits.size("rate", value, "Hz", least=1000, most=8000)


def test_an_amount_of_something_else() -> None:
    assert _limits.amount("ms", 0.5, "milliseconds") == 0.5
    for value in (*NO_NUMBERS, None, -1):
        with pytest.raises(ConfigurationError, match=r"^ms must be a number of milliseconds, 0 or more; not "):
            _limits.amount("ms", value, "milliseconds", zero=True)
    assert _limits.amount("ms", -1, "milliseconds", negative=True) == -1.0
    for value in (*NO_NUMBERS, None):
        with pytest.raises(ConfigurationError, match=r"^ms must be a number of milliseconds; not "):
            _limits.amount("ms", value, "milliseconds", negative=True)


@pytest.mark.parametrize("timeout_s", [None, math.inf, 1e10, 1e300, 10**400, threading.TIMEOUT_MAX * 2])
def test_a_deadline_without_end(timeout_s: float | None) -> None:
    deadline = Deadline(timeout_s)
    assert not deadline.expired
    assert deadline.remaining() is None
    assert deadline.slice() == SLICE_S
    assert deadline.slice(30.0) == 30.0


@pytest.mark.parametrize("timeout_s", [0, -1, -1e300, -math.inf, -(10**400)])
def test_a_deadline_that_has_passed(timeout_s: float) -> None:
    deadline = Deadline(timeout_s)
    assert deadline.expired
    assert deadline.remaining() == 0.0
    assert deadline.slice() == 0.0
    format(deadline.timeout_s, "g")  # as in the text of a timeout


@pytest.mark.parametrize("timeout_s", [1, 1000.0, 1e6, Fraction(1000)])
def test_a_deadline_to_come(timeout_s: Any) -> None:
    deadline = Deadline(timeout_s)
    assert not deadline.expired
    remaining_s = deadline.remaining()
    assert remaining_s is not None
    assert 0 < remaining_s <= timeout_s
    assert threading.Lock().acquire(timeout=remaining_s)
    assert deadline.slice() <= SLICE_S


@pytest.mark.parametrize("timeout_s", [math.nan, "1", b"1", [], object()])
def test_a_deadline_of_no_number_is_refused(timeout_s: Any) -> None:
    with pytest.raises(ConfigurationError, match="a time limit must be a number of seconds or None, not"):
        Deadline(timeout_s)
