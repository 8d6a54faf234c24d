"""Limits that users set, checked in one place: seconds and sizes."""

from __future__ import annotations

import math
from typing import Literal, overload

from realtime_sync.errors import ConfigurationError

__all__ = ["seconds", "size"]


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
    number = _number(value)
    if number > 0 or (zero and number == 0):  # false for NaN
        return number
    allowed = f"{'0 or more' if zero else 'above 0'}{', or None' if optional else ''}"
    raise ConfigurationError(f"{name} must be a number of seconds, {allowed}; not {value!r}")


def size(name: str, value: object, unit: str = "bytes", *, least: int = 1) -> int:
    """``value`` as a number of ``unit``, ``least`` or more. Raises `ConfigurationError` for anything else, also
    infinity."""
    number = _number(value)
    if least <= number < math.inf and number == int(number):
        return int(number)
    raise ConfigurationError(f"{name} must be a whole number of {unit}, {least} or more; not {value!r}")


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
