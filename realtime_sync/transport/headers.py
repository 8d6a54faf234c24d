"""Headers of a request: their grammar, and the credentials in them and in the query, which nothing shows.

A traceback with local variables (Sentry, ``pytest -l``) shows the repr of whatever a function holds. So what holds a
credential here is of a type whose repr leaves it out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, quote

from realtime_sync._secrets import is_secret
from realtime_sync.errors import ConfigurationError

__all__ = [
    "HEADER_NAME",
    "Headers",
    "SecretBuffer",
    "SecretBytes",
    "SecretText",
    "Secrets",
    "Unshown",
    "checked",
    "header_lines",
    "in_one_line",
    "texts",
]

V = TypeVar("V")
HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_SHORTEST: Final = 8
"""What is shorter is no credential, but a word such as "Bearer"."""
_SHORTEST_IN_MESSAGES: Final = 16
"""What is shorter may be a word of the protocol: a server that wants no key is often given ``realtime`` or the like."""
_MARK: Final = 24
"""So many bytes of a credential are searched for first, which is faster than a long search."""
_RARE: Final = b"-.~:"
"""What keys may have and base64 has not; nor ids, as an underscore would be."""
_MOST_CONNECTIONS: Final = 16
"""The credentials of so many connections of one session are remembered: a key may be another one each time."""
_INSTEAD: Final = "<redacted>"


class Unshown(dict[str, V]):
    """A mapping whose repr shows the names only."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


class Headers(Unshown[str]):
    """Headers by name."""


class SecretText(str):
    """A credential, or a text with one in it; the repr shows nothing of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} characters>"


class SecretBytes(bytes):
    """Bytes with a credential in them; the repr shows their number only."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class SecretBuffer(bytearray):
    """The same, for bytes that grow."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class Secrets:
    """The credentials that were sent, to be taken out of whatever a peer says."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._sent: deque[frozenset[str]] = deque(maxlen=_MOST_CONNECTIONS)
        self._add(texts)

    @classmethod
    def of(cls, headers: Mapping[str, str], query: str = "") -> Secrets:
        """Those among the headers and in the query of the URL."""
        secrets = cls()
        secrets.learn(headers, query)
        return secrets

    def learn(self, headers: Mapping[str, str], query: str = "") -> None:
        """Take out those of a further connection too; any thread, one at a time."""
        self._add(text for text in _texts_of(headers, query) if len(text) >= _SHORTEST)

    def _add(self, texts: Iterable[str]) -> None:
        sent = frozenset(filter(None, texts))
        if sent in self._sent:
            self._sent.remove(sent)
        self._sent.append(sent)
        self._texts = sorted(frozenset[str]().union(*self._sent), key=len, reverse=True)  # one may hold another
        long = (text.encode() for text in self._texts if len(text) >= _SHORTEST_IN_MESSAGES)
        self._in_messages = [(_mark(whole), whole) for whole in long]

    def redact(self, text: str) -> str:
        """The text without them."""
        for secret in self._texts:
            text = text.replace(secret, _INSTEAD)
        return text

    def clean(self, messages: list[bytes]) -> list[bytes]:
        """The messages without them, but for those that are short enough to be words of the protocol."""
        for mark, whole in self._in_messages:
            messages = [text.replace(whole, _INSTEAD.encode()) if mark in text else text for text in messages]
        return messages

    def clean_text(self, text: str) -> str:
        """One message as text, cleaned like that."""
        return self.clean([text.encode(errors="surrogatepass")])[0].decode(errors="surrogatepass")


def _mark(whole: bytes) -> bytes:
    """What is searched for first: one byte that no base64 has, where there is one, since most of what is received is
    the base64 of sound, in which one byte is searched for faster than many."""
    return next((bytes([byte]) for byte in whole if byte in _RARE), whole[:_MARK])


def in_one_line(said: str) -> str:
    """What a peer said, as a text that can be printed: without line breaks and what steers a terminal, and not long."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "?" for c in said[:2000]).split())[:500]


def _texts_of(headers: Mapping[str, str], query: str) -> Iterator[str]:
    for name in headers:
        if is_secret(name):
            yield from headers[name].split()
    for name, value in parse_qsl(query, True):
        if is_secret(name):
            yield from (value, quote(value), quote(value, safe=""))


def texts(name: str, given: Any) -> Unshown[str]:
    """A mapping from str to str. Raises `ConfigurationError`, which shows no value, for what is none; ``name`` is that
    of the argument."""
    if not isinstance(given, Mapping) or not all(isinstance(text, str) for pair in given.items() for text in pair):
        raise ConfigurationError(f"{name} must be a mapping from str to str")
    return Unshown(given)


def checked(headers: Any) -> Headers:
    """The headers as they can be sent. Raises `ConfigurationError`, which shows no value, for what is no mapping from
    str to str, or would break out of its line."""
    found = Headers(texts("headers", headers))
    for name in found:
        if not HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not the name of a header")
        if not _VALUE.fullmatch(found[name]) or found[name] != found[name].strip():
            raise ConfigurationError(
                f"the header {name} has a line break, blanks around it or a character beyond Latin-1"
            )
    return found


def header_lines(headers: Mapping[str, str]) -> SecretBytes:
    """The lines to put into a request. Raises `ConfigurationError` as `checked` does."""
    return SecretBytes("".join(f"{name}: {value}\r\n" for name, value in checked(headers).items()).encode("latin-1"))
