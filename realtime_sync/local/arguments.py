"""Arguments of a tool call: values that fit a JSON schema, out of a text where it offers any."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["arguments_for"]

JsonObject = Mapping[str, Any]

# Tried one after the other, so that a schema that holds itself is filled as little as it lets.
_DEPTHS: Final = (5, 10, 20)
_MOST_VALUES: Final = 2_000
_FORMATS: Final = {
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "hostname": "example.com",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_BY_KEYWORD: Final = {"properties": "object", "items": "array", "prefixItems": "array"}


class _EndlessError(Exception):
    """A schema that holds itself, or asks for more than anybody would."""


def arguments_for(schema: JsonObject, text: str) -> dict[str, Any]:
    """What a model that read ``text`` might call a tool of this schema with: its required properties, or all where it
    names none. Whatever the schema says that is not understood (a pattern, say) is passed over."""
    for deepest in _DEPTHS:
        try:
            value = _Maker(schema, text, deepest).value(schema, 0)
        except _EndlessError:
            continue
        return value if isinstance(value, dict) else {}
    return {}


class _Maker:
    """Makes values for the parts of one schema, ``root``, that lie at most so deep in it."""

    def __init__(self, root: JsonObject, text: str, deepest: int) -> None:
        self._root = root
        self._deepest = deepest
        self._left = _MOST_VALUES
        self._text = text
        numbers = re.search(r"-?\d+(?:\.\d+)?", text)
        number = float(numbers.group()) if numbers else 0.0
        self._number = number if math.isfinite(number) else 0.0
        # A name in the middle of the sentence is the likeliest word to be asked about, else the last word.
        words = re.findall(r"\w+", text)
        self._word = next((word for word in reversed(words[1:]) if word[0].isupper()), words[-1] if words else "")

    def value(self, schema: Any, depth: int) -> Any:
        """A value that fits; raises `_EndlessError` where there is no end to it."""
        self._left -= 1
        if depth > self._deepest or self._left < 0:
            raise _EndlessError
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if choices := _list(schema, "enum"):
            return next(self._mentioned(choices), choices[0])
        if arms := _list(schema, "anyOf") or _list(schema, "oneOf"):
            return self._arm(schema, arms, depth)
        kind = _kind(schema)
        if kind in ("number", "integer"):
            return _number(schema, kind, self._number)
        if kind == "array":
            return self._array(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "string":
            return _string(schema, self._word)
        return None if kind == "null" else True

    def _resolved(self, schema: Any, depth: int) -> dict[str, Any]:
        """A schema with what it refers to, and all of its ``allOf``, as one."""
        if depth > self._deepest:
            raise _EndlessError
        whole = dict(_dict(schema))
        if "$ref" in whole:
            whole = {**self._resolved(self._at(whole.pop("$ref")), depth + 1), **whole}
        parts = _list(whole, "allOf")
        whole.pop("allOf", None)
        for part in (self._resolved(part, depth + 1) for part in parts):
            properties = {**_dict(whole.get("properties")), **_dict(part.get("properties"))}
            required = [*_list(whole, "required"), *_list(part, "required")]
            whole = {**whole, **part, **({"properties": properties} if properties else {}), "required": required}
        return whole

    def _at(self, pointer: Any) -> dict[str, Any]:
        """What stands at a place of the root: ``#/$defs/City``."""
        place: Any = self._root
        for name in str(pointer).removeprefix("#").split("/")[1:]:
            place = _dict(place).get(name.replace("~1", "/").replace("~0", "~"))
        return _dict(place)

    def _arm(self, schema: dict[str, Any], arms: list[Any], depth: int) -> Any:
        """A value of the alternative that the text mentions, else of the first that comes to an end."""
        rest = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf")}
        made = []
        for arm in arms:
            try:
                value = self.value({**rest, **_dict(arm)}, depth + 1)
            except _EndlessError:
                continue
            made.append(value)
        if not made:
            raise _EndlessError
        return next(self._mentioned(made), made[0])

    def _mentioned(self, choices: list[Any]) -> Iterator[Any]:
        """Those of the values that the text holds."""
        said = self._text.lower()
        return (choice for choice in choices if choice not in (None, "") and str(choice).lower() in said)

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        first = [self.value(entry, depth + 1) for entry in _list(schema, "prefixItems")]
        least = schema.get("minItems")
        missing = least - len(first) if isinstance(least, int) else 0
        return first + [self.value(schema.get("items"), depth + 1) for _ in range(missing)]

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = _dict(schema.get("properties"))
        required = [name for name in _list(schema, "required") if isinstance(name, str)]
        made = {}
        for name in required or properties:
            try:
                made[name] = self.value(properties.get(name), depth + 1)
            except _EndlessError:
                if required:
                    raise
        return made


def _kind(schema: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return kind or next((kind for keyword, kind in _BY_KEYWORD.items() if keyword in schema), "string")


def _number(schema: dict[str, Any], kind: str, number: float) -> int | float:
    """The number, or the next one within the bounds."""
    step = _real(schema, "multipleOf") or (1 if kind == "integer" else 0)
    nudge = step or 1e-3
    for name, sign, open_ in (
        ("minimum", 1, False),
        ("exclusiveMinimum", 1, True),
        ("maximum", -1, False),
        ("exclusiveMaximum", -1, True),
    ):
        bound = _real(schema, name)
        if bound is not None and (number - bound) * sign < (nudge if open_ else 0):
            number = bound + (nudge * sign if open_ else 0)
    if step and math.isfinite(number / step):
        down = math.floor(number / step) * step
        least = _real(schema, "minimum")
        number = down if least is None or down >= least else down + step
    return int(number) if float(number).is_integer() else number


def _string(schema: dict[str, Any], word: str) -> str:
    if (known := _FORMATS.get(str(schema.get("format")))) is not None:
        return known
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int):
        word = word.ljust(min(least, _MOST_VALUES), "x")
    return word[:most] if isinstance(most, int) else word


def _real(schema: dict[str, Any], name: str) -> float | None:
    """A number of the schema, if it is one that a float can hold."""
    value = schema.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(schema: dict[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []
