"""A throw-away certificate for this machine's own names."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from typing import Final

from realtime_sync.errors import ConfigurationError

__all__ = ["Certificates"]

_NAMES: Final = ("localhost", "127.0.0.1", "::1")


class Certificates:
    """An authority of one server's own, its certificate, and the file that clients trust. Needs the extra ``tls``;
    raises `ConfigurationError` without it."""

    def __init__(self, host: str) -> None:
        try:
            import trustme
        except ImportError as error:
            message = "tls=True needs the extra `tls`: pip install 'realtime_sync[tls]'; or give an ssl_context"
            raise ConfigurationError(message) from error
        authority = trustme.CA()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys((*_NAMES, host))).configure_cert(self.context)
        handle, self.ca_file = tempfile.mkstemp(prefix="realtime-sync-ca-", suffix=".pem")
        with os.fdopen(handle, "wb") as file:
            file.write(authority.cert_pem.bytes())

    def remove(self) -> None:
        """Delete the file."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.ca_file)
