"""What a value in a client event may be: small checks that refuse a wrong one as the real server does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = [
    "Check",
    "Refusal",
    "anything",
    "array",
    "boolean",
    "choice",
    "either",
    "integer",
    "nullable",
    "number",
    "record",
    "strings",
    "tagged",
    "text",
]

Check = Callable[[Any, str, bool], None]
"""Takes a value, its path in the event (``session.audio.input``) and whether to be lenient, that is to let unknown
fields pass; raises `Refusal`, or returns."""


class Refusal(Exception):
    """The server says no: what becomes an ``error`` event. ``param`` is the path of the field at fault."""

    def __init__(
        self, code: str | None, message: str, param: str | None = None, *, type: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.type = type

    def shown(self, event_id: str | None) -> dict[str, Any]:
        """The ``error`` of the event; ``event_id`` is the client's."""
        told = {"type": self.type, "code": self.code, "message": self.message, "param": self.param}
        return {**told, "event_id": event_id}


def anything(value: Any, path: str, lenient: bool) -> None:
    """Accept whatever JSON it is."""


def text(longest: int | None = None) -> Check:
    """A string, of at most so many characters."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, str):
            raise _wrong_type(path, "a string", value)
        if longest is not None and len(value) > longest:
            raise Refusal(
                "string_above_max_length",
                f"Invalid '{path}': string too long. Expected a string with maximum length {longest}, "
                f"but got a string with length {len(value)} instead.",
                path,
            )

    return check


def boolean(value: Any, path: str, lenient: bool) -> None:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise _wrong_type(path, "a boolean", value)


def integer(least: int | None = None, most: int | None = None) -> Check:
    """A whole number within the bounds."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong_type(path, "an integer", value)
        _within("integer", value, path, least, most)

    return check


def number(least: float | None = None, most: float | None = None) -> Check:
    """A number within the bounds."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise _wrong_type(path, "a decimal", value)
        _within("decimal", value, path, least, most)

    return check


def choice(*values: str) -> Check:
    """One of these strings."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, str):
            raise _wrong_type(path, f"one of {_listed(values, 'or')}", value)
        if value not in values:
            raise Refusal(
                "invalid_value", f"Invalid value: '{value}'. Supported values are: {_listed(values, 'and')}.", path
            )

    return check


def array(of: Check, longest: int | None = None) -> Check:
    """A list whose entries all pass."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, list):
            raise _wrong_type(path, "an array", value)
        if longest is not None and len(value) > longest:
            raise Refusal(
                "array_above_max_length",
                f"Invalid '{path}': array too long. Expected an array with maximum length {longest}, "
                f"but got an array with length {len(value)} instead.",
                path,
            )
        for index, entry in enumerate(value):
            of(entry, f"{path}[{index}]", lenient)

    return check


def nullable(check: Check) -> Check:
    """Null, or what the check accepts."""

    def check_unless_null(value: Any, path: str, lenient: bool) -> None:
        if value is not None:
            check(value, path, lenient)

    return check_unless_null


def either(first: type, check: Check, otherwise: Check) -> Check:
    """``check`` for a value of the type ``first``, else ``otherwise``."""
    return lambda value, path, lenient: (check if isinstance(value, first) else otherwise)(value, path, lenient)


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields and no others; null counts as absent in the optional ones."""
    optional = {name: nullable(check) for name, check in (optional or {}).items()}
    fields: Final = {**required, **optional}

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        for name, field in value.items():
            where = _join(path, name)
            if name in fields:
                fields[name](field, where, lenient)
            elif not lenient:
                raise Refusal("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        for name in required:
            if name not in value:
                raise _missing(_join(path, name))

    return check


def strings(value: Any, path: str, lenient: bool) -> None:
    """Accept an object whose values are all strings."""
    if not isinstance(value, dict):
        raise _wrong_type(path, "an object", value)
    for name, entry in value.items():
        text()(entry, _join(path, name), lenient)


def tagged(tag: str, variants: Mapping[str, Check]) -> Check:
    """An object whose field ``tag`` says which check it has to pass."""

    def check(value: Any, path: str, lenient: bool) -> None:
        if not isinstance(value, dict):
            raise _wrong_type(path, "an object", value)
        if tag not in value:
            raise _missing(_join(path, tag))
        choice(*variants)(value[tag], _join(path, tag), lenient)
        variants[value[tag]](value, path, lenient)

    return check


def _within(noun: str, value: float, path: str, least: float | None, most: float | None) -> None:
    for bound, beyond, sign, word in (
        (least, least is not None and value < least, ">=", "below_min"),
        (most, most is not None and value > most, "<=", "above_max"),
    ):
        if beyond:
            raise Refusal(
                f"{noun}_{word}_value",
                f"Invalid '{path}': {noun} {word.replace('_min', ' minimum').replace('_max', ' maximum')} value. "
                f"Expected a value {sign} {bound}, but got {value} instead.",
                path,
            )


def _wrong_type(path: str, expected: str, value: Any) -> Refusal:
    got = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}.get(
        type(value), "null" if value is None else "a decimal"
    )
    message = f"Invalid type for '{path}': expected {expected}, but got {got} instead."
    return Refusal("invalid_type", message, path)


def _missing(path: str) -> Refusal:
    return Refusal("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _listed(values: tuple[str, ...], word: str) -> str:
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])}{',' if len(quoted) > 2 else ''} {word} {quoted[-1]}"
