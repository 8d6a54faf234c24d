"""What goes back and forth as text: the arguments that a model wrote, and the output that it reads."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final

import attrs

from realtime_sync.codec import object_to_dict
from realtime_sync.events import FunctionCall, ResponseFunctionCallArgumentsDone, WireObject
from realtime_sync.events.base import or_none
from realtime_sync.tools.schema.models import dumped
from realtime_sync.tools.schema.shapes import BadArguments, enum_json

__all__ = ["arguments_text", "error_text", "output_text", "read_arguments"]

_LONGEST_QUOTED: Final = 80


def read_arguments(text: str | None) -> dict[str, Any]:
    """The arguments of a call as JSON data; no text at all means that there are none.

    Raises `BadArguments` for what is not the JSON of an object.
    """
    if not text or text.isspace():
        return {}
    try:
        arguments = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadArguments(f"the arguments are not valid JSON: {str(error)[:_LONGEST_QUOTED]}") from None
    if not isinstance(arguments, dict):
        raise BadArguments("the arguments must be a JSON object")
    return arguments


def arguments_text(call: FunctionCall | ResponseFunctionCallArgumentsDone) -> str:
    """The arguments of a call as JSON text, also where a compatible server sent the object that the text stands for;
    empty where it sent none."""
    text = or_none(call.arguments)
    odd = call.extra.get("arguments") if text is None else None
    return text or ("" if odd is None else json.dumps(odd, ensure_ascii=False))


def output_text(value: Any) -> str:
    """What a tool returned, for the model: a string as it is, anything else as JSON (``None`` is ``null``).

    Enums, dates, UUIDs, paths, sets, attrs classes, dataclasses and pydantic models (what has ``model_dump``) are
    written as tools take them, objects of the protocol as they are on the wire. Raises `TypeError`, `ValueError` (also
    that of a model which refuses) or `RecursionError` for what cannot be written.
    """
    text = value if type(value) is str else json.dumps(_as_json(value), ensure_ascii=False, allow_nan=False)
    text.encode()  # half of a surrogate pair cannot be sent
    return text


def error_text(error: BaseException) -> str:
    """What an exception says; its class where it cannot say it."""
    try:
        return str(error)
    except Exception:
        return type(error).__name__


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _as_json(value: Any) -> Any:
    """``value`` as JSON data."""
    if isinstance(value, enum.Enum):
        return enum_json(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else output_text(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(entry) for entry in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, PurePath)):
        return str(value)
    if isinstance(value, WireObject):
        return object_to_dict(value)
    if attrs.has(type(value)):
        # Under the names that the constructor has, not those of private fields.
        return {a.alias or a.name: _as_json(getattr(value, a.name)) for a in attrs.fields(type(value))}
    if dataclasses.is_dataclass(type(value)):
        return {field.name: _as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _as_json(dumped(value))
