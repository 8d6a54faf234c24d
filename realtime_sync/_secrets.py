"""The names under which credentials travel: of headers and parameters of addresses, and of fields of JSON."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["SECRET_FIELDS", "is_secret"]

SECRET_FIELDS: Final = frozenset(
    {
        "api-key",
        "api_key",
        "authorization",
        "client_secret",
        "cookie",
        "headers",
        "proxy-authorization",
        "set-cookie",
        "token_secret",
        "x-api-key",
    }
)
"""Fields of JSON, in lower case: exact names, since words such as ``token`` and ``key`` mean other things there."""

_SECRET: Final = re.compile(
    r"auth|token|key|secret|passw|credential|cookie|signature|^sig$|^sec-websocket-protocol$", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Whether a header, or a parameter of an address, holds a credential, as far as its name tells."""
    return _SECRET.search(name) is not None
