"""What a docstring says about a function and its arguments: the styles of Google, NumPy and Sphinx."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

import attrs

__all__ = ["Documentation", "read_docstring"]

_OF_ARGUMENTS: Final = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters", "attributes"}
)
_OF_OTHERS: Final = frozenset(
    {"returns", "return", "yields", "yield", "raises", "example", "examples", "note", "notes", "warning", "warnings"}
    | {"see also", "references", "todo", "methods", "warns"}
)
_UNDERLINE: Final = re.compile(r"-{3,}\s*")
_FIELD: Final = re.compile(r":(?P<kind>\w+)(?P<words>[^:]*):\s*(?P<text>.*)")
_GOOGLE_ENTRY: Final = re.compile(r"\s*\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)")
_NUMPY_ENTRY: Final = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?::.*)?")


@attrs.frozen
class Documentation:
    """The prose before the first section, and a text for each argument that is described."""

    summary: str = ""
    arguments: dict[str, str] = attrs.field(factory=dict)


def read_docstring(text: str | None) -> Documentation:
    """Read a docstring of any of the three styles, or of none."""
    lines = inspect.cleandoc(text or "").splitlines()
    summary: list[str] = []
    arguments: dict[str, list[str]] = {}
    for section, body in _sections(lines):
        if section == "":
            summary = body
        elif section == "numpy":
            _read_numpy(body, arguments)
        elif section == "google":
            _read_google(body, arguments)
        elif section == "sphinx":
            _read_sphinx(body, arguments)
    told = {name: " ".join(filter(None, map(str.strip, words))) for name, words in arguments.items()}
    return Documentation("\n".join(summary).strip(), {name: words for name, words in told.items() if words})


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The style and the lines of each section that is of use; the prose before all others has no style."""
    style = ""
    body: list[str] = []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        heading = line.strip().lower()
        begun = None
        if _UNDERLINE.fullmatch(following) and heading:
            begun = "numpy" if heading in _OF_ARGUMENTS else "other"
        elif line.rstrip().endswith(":") and heading[:-1] in _OF_ARGUMENTS | _OF_OTHERS:
            begun = "google" if heading[:-1] in _OF_ARGUMENTS else "other"
        elif _FIELD.fullmatch(line) and style != "sphinx":
            yield style, body
            style, body = "sphinx", []
        if begun is not None:
            yield style, body
            style, body = begun, []
        elif not (_UNDERLINE.fullmatch(line) and not body):
            body.append(line)
    yield style, body


def _read_google(body: list[str], arguments: dict[str, list[str]]) -> None:
    indent = next((_indent(line) for line in body if line.strip()), 0)
    words: list[str] = []
    for line in body:
        entry = _GOOGLE_ENTRY.fullmatch(line)
        if line.strip() and _indent(line) < max(indent, 1):  # the section ends without a further heading
            return
        if entry is not None and _indent(line) == indent:
            words = arguments.setdefault(entry["name"], [])
            words.append(entry["text"])
        else:
            words.append(line)


def _read_numpy(body: list[str], arguments: dict[str, list[str]]) -> None:
    words: list[str] = []
    for line in body:
        entry = _NUMPY_ENTRY.fullmatch(line)
        if entry is not None:
            words = arguments.setdefault(entry["name"], [])
        else:
            words.append(line)


def _read_sphinx(body: list[str], arguments: dict[str, list[str]]) -> None:
    words: list[str] = []
    for line in body:
        entry = _FIELD.fullmatch(line)
        if entry is None:
            words.append(line)
            continue
        of_argument = entry["kind"] in ("param", "parameter", "arg", "argument", "ivar") and entry["words"].split()
        words = arguments.setdefault(entry["words"].split()[-1], []) if of_argument else []
        words.append(entry["text"])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
