"""Limits and amounts that users set, checked in one place: seconds, sizes, paces and other numbers."""

from __future__ import annotations

import math
from typing import Literal, overload

from realtime_sync.errors import ConfigurationError

__all__ = ["amount", "pace", "seconds", "size"]


@overload
def seconds(name: str, value: object, *, optional: Literal[False] = False, zero: bool = False) -> float: ...
@overload
def seconds(name: str, value: object, *, optional: bool, zero: bool = False) -> float | None: ...
def seconds(name: str, value: object, *, optional: bool = False, zero: bool = False) -> float | None:
    """``value`` as a number of seconds above 0, or ``inf`` for "never".

    ``optional`` allows ``None`` (returned as it is), ``zero`` allows 0. ``name`` is the argument's name, for the
    message. Raises `ConfigurationError` for anything else: a negative number, NaN, a bool, text.
    """
    if value is None and optional:
        return None
    return amount(name, value, "seconds", zero=zero, also=", or None" if optional else "")


def amount(name: str, value: object, unit: str, *, zero: bool = False, negative: bool = False, also: str = "") -> float:
    """As `seconds`, of another ``unit``; ``negative`` allows what is below 0. ``also`` ends what the message says to be
    allowed."""
    number = _number(value)
    if number > 0 or (zero and number == 0) or (negative and number <= 0):  # false for NaN
        return number
    allowed = "" if negative else f", {'0 or more' if zero else 'above 0'}"
    raise ConfigurationError(f"{name} must be a number of {unit}{allowed}{also}; not {value!r}")


def pace(name: str, value: object) -> float | None:
    """``value`` as how many times as fast, above 0, or ``None`` for as fast as it goes. Raises `ConfigurationError` for
    anything else."""
    return None if value is None else amount(name, value, "times real time", also=", or None for as fast as it goes")


def size(name: str, value: object, unit: str = "bytes", *, least: int = 1, most: int | None = None) -> int:
    """``value`` as a number of ``unit``, from ``least`` to ``most``. Raises `ConfigurationError` for anything else,
    also infinity."""
    number = _number(value)
    if least <= number < math.inf and number == int(number) and (most is None or number <= most):
        return int(number)
    allowed = f"{least} or more" if most is None else f"from {least} to {most}"
    raise ConfigurationError(f"{name} must be a whole number of {unit}, {allowed}; not {value!r}")


def _number(value: object) -> float:
    """The value as a float; NaN for what is no number."""
    if isinstance(value, bool) or not hasattr(value, "__float__") or isinstance(value, str):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an int beyond all floats
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]
    except (TypeError, ValueError):
        return math.nan
