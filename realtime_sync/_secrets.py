"""The names under which credentials travel: in headers, in events, in addresses. All in lower case."""

from __future__ import annotations

from typing import Final

__all__ = ["SECRET_FIELDS", "SECRET_HEADERS", "SECRET_NAMES", "SECRET_PARAMETERS"]

SECRET_HEADERS: Final = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "proxy-authorization",
        "sec-websocket-protocol",
        "set-cookie",
        "x-api-key",
    }
)
"""Headers of HTTP."""

SECRET_FIELDS: Final = SECRET_HEADERS | {"api_key", "client_secret", "headers", "token_secret"}
"""Fields of JSON, where a header may turn up too. Words that mean other things there (``key``, ``token``) are not
among them."""

SECRET_PARAMETERS: Final = frozenset({"access_token", "api-key", "api_key", "key", "token"})
"""Parameters of an address."""

SECRET_NAMES: Final = SECRET_FIELDS | SECRET_PARAMETERS
"""All of them."""
