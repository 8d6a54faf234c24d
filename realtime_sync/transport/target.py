"""A WebSocket URL taken apart."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from realtime_sync.errors import ConfigurationError

__all__ = ["Target", "ascii_host"]


class Target(NamedTuple):
    """Where to connect and what to ask for there; ``path`` includes the query."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Take apart a ws:// or wss:// URL. Raises `ConfigurationError` for any other."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError("the URL to dial is not valid (its host or its port)") from None
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ConfigurationError("the URL to dial must begin with ws:// or wss:// and name a host")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ConfigurationError("the path and query of the URL to dial must be percent-encoded")
        secure = parts.scheme == "wss"
        return cls(secure, ascii_host(parts.hostname), port or (443 if secure else 80), path)

    def __repr__(self) -> str:
        return f"<{'wss' if self.secure else 'ws'}://{self.address}>"  # the query may hold a credential

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header: without the port where it is the scheme's own."""
        return _bracketed(self.host) if self.port == (443 if self.secure else 80) else self.address


def ascii_host(host: str) -> str:
    """The host name as it is looked up and sent: an international one in its ASCII form."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError as error:
        raise ConfigurationError(f"the host name {host!r} is not valid") from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
