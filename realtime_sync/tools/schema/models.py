"""Classes that know their own schema, as the models of pydantic do: told by their methods, so that none is imported.

Such a class has ``model_json_schema()`` and ``model_validate(value)``; its instances have ``model_dump(mode=)``.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final

__all__ = ["dumped", "is_model", "loaded", "reasons", "schema_of"]

_MOST_REASONS: Final = 5
_DEFS: Final = "#/$defs/"


def is_model(cls: Any) -> bool:
    """Whether a class describes and reads itself."""
    return isinstance(cls, type) and all(
        callable(getattr(cls, n, None)) for n in ("model_json_schema", "model_validate")
    )


def schema_of(cls: Any, definitions: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    """The schema of a model. What it refers to goes into ``definitions``, under other names where one is taken by
    something else, there or in ``taken``."""
    schema: dict[str, Any] = json.loads(json.dumps(cls.model_json_schema()))
    inner: dict[str, Any] = schema.pop("$defs", {})
    names = {name: name for name in inner}

    def free(name: str, new: str) -> bool:
        if new in taken or any(names[other] == new for other in inner if other != name):
            return False
        return new not in definitions or definitions[new] == _renamed(inner[name], {**names, name: new})

    # A new name changes the definitions that refer to it, which then may need new names themselves.
    while wrong := [name for name in inner if not free(name, names[name])]:
        name = wrong[0]
        names[name] = next(new for n in count(2) if free(name, new := f"{name}_{n}"))
    for name, definition in inner.items():
        definitions[names[name]] = _renamed(definition, names)
    renamed: dict[str, Any] = _renamed(schema, names)
    return renamed


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    if isinstance(schema, list):
        return [_renamed(entry, names) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(entry, names) for key, entry in schema.items()}
    if "$ref" in renamed:
        renamed["$ref"] = _pointing(renamed["$ref"], names)
    told_apart = renamed.get("discriminator")
    if isinstance(told_apart, dict) and isinstance(told_apart.get("mapping"), dict):
        told_apart["mapping"] = {value: _pointing(target, names) for value, target in told_apart["mapping"].items()}
    return renamed


def _pointing(target: Any, names: dict[str, str]) -> Any:
    """A pointer to a definition, under its new name."""
    if not isinstance(target, str) or not target.startswith(_DEFS):
        return target
    return _DEFS + names.get(target[len(_DEFS) :], target[len(_DEFS) :])


def loaded(cls: Any, value: Any) -> Any:
    """A JSON value as a model; raises what the class raises."""
    # As JSON, where the class can: a strict model takes a date from JSON text, not from a Python string.
    from_json = getattr(cls, "model_validate_json", None)
    return cls.model_validate(value) if from_json is None else from_json(json.dumps(value))


def reasons(error: Exception, at: str) -> str:
    """Why a value is no model, each fault with its place: for the language model to read."""
    try:
        faults = error.errors()  # type: ignore[attr-defined]
        told = [f"{_place(at, fault['loc'])}: {fault['msg']}" for fault in faults]
    except Exception:  # no error of pydantic's kind
        told = []
    return "; ".join(told[:_MOST_REASONS]) or f"{at}: {error}"


def _place(at: str, steps: Any) -> str:
    return at + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def dumped(value: Any) -> Any:
    """An instance of a model as JSON data; raises what the class raises, `TypeError` for what is no model."""
    if not callable(getattr(type(value), "model_dump", None)):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    return value.model_dump(mode="json")
