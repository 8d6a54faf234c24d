"""One message of a recording, and what of it is not written down: secrets, and audio where that is not wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import attrs

from realtime_sync._secrets import SECRET_FIELDS, is_secret

__all__ = [
    "REDACTED",
    "UNREADABLE",
    "Close",
    "Message",
    "audio_length",
    "elided",
    "is_hidden",
    "is_same_text",
    "redacted",
    "restored",
    "strings_of",
    "url_without_secrets",
]

JsonObject = dict[str, Any]
Direction = Literal["to_server", "to_client"]

REDACTED: Final = "<redacted>"
UNREADABLE: Final = (ValueError, LookupError, TypeError, OverflowError, RecursionError)
"""What reading a line of a recording raises where it is not one of ours."""
_ELIDED: Final = re.compile(r"<elided (\d+)>")


@attrs.frozen
class Message:
    """One message. ``at_s`` is in seconds since its connection was made; ``direction`` is ``to_server`` or
    ``to_client``; ``event`` is the decoded JSON, or the text of what is no JSON object. ``connection`` counts from 1.

    Audio that was not kept is a string ``<elided 12800>``, which tells its length in characters of base64.
    """

    at_s: float
    direction: Direction
    event: JsonObject | str
    connection: int = 1

    @property
    def type(self) -> str:
        """The type of the event; empty where there is none."""
        kind = self.event.get("type") if isinstance(self.event, dict) else None
        return kind if isinstance(kind, str) else ""


@attrs.frozen
class Close:
    """How a connection ended. ``direction`` tells who closed it: ``to_client`` the server, ``to_server`` the client.
    ``code`` and ``reason`` are those of the close frame; 1006 where the connection was lost without one."""

    at_s: float
    direction: Direction
    code: int
    reason: str = ""
    connection: int = 1


def redacted(value: Any) -> Any:
    """JSON with the values of secrets in it replaced."""
    if isinstance(value, dict):
        return {
            name: REDACTED if name.lower() in SECRET_FIELDS and entry is not None else redacted(entry)
            for name, entry in value.items()
        }
    return [redacted(entry) for entry in value] if isinstance(value, list) else value


def elided(event: JsonObject) -> JsonObject:
    """An event with its audio replaced by the length of it."""
    shown: JsonObject = _with_audio(event, event, lambda audio: f"<elided {len(audio)}>" if audio else audio)
    return shown


def restored(event: JsonObject) -> JsonObject:
    """An event with silence of the same length in the place of audio that was not kept."""

    def silence(audio: str) -> str:
        found = _ELIDED.fullmatch(audio)
        return "A" * int(found[1]) if found else audio

    whole: JsonObject = _with_audio(event, event, silence)
    return whole


def audio_length(audio: str) -> int:
    """How many characters of base64 an audio field has, or had."""
    found = _ELIDED.fullmatch(audio)
    return int(found[1]) if found else len(audio)


def is_hidden(value: Any) -> bool:
    """Whether a value stands for one that was not written down."""
    return isinstance(value, str) and (value == REDACTED or _ELIDED.fullmatch(value) is not None)


def is_same_text(recorded: Any, given: Any) -> bool:
    """Whether a text is the recorded one, which may have lost credentials in it."""
    if not (isinstance(recorded, str) and isinstance(given, str) and REDACTED in recorded):
        return False
    return re.fullmatch(".+?".join(map(re.escape, recorded.split(REDACTED))), given, re.DOTALL) is not None


def url_without_secrets(url: str) -> str:
    """A URL without user, password and keys in its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = [(n, REDACTED if is_secret(n) else v) for n, v in parse_qsl(parts.query, True)]
    return urlunsplit((parts.scheme, host, parts.path, urlencode(query, safe="<>"), ""))


def strings_of(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """All strings in JSON, each with the name of the field that it stands in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from strings_of(entry, key)
    elif isinstance(value, list):
        for entry in value:
            yield from strings_of(entry, name)


def _with_audio(value: Any, event: JsonObject, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        kind = str(event.get("type"))
        sound = "delta" if kind.endswith("audio.delta") else "audio"
        return {
            name: change(entry) if name == sound and isinstance(entry, str) else _with_audio(entry, event, change)
            for name, entry in value.items()
        }
    return [_with_audio(entry, event, change) for entry in value] if isinstance(value, list) else value
