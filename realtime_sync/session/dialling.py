"""Where a session is dialled, and how: asked anew for each connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from realtime_sync.codec import watching_decoder
from realtime_sync.delivery.connection import Connection
from realtime_sync.errors import ConfigurationError
from realtime_sync.transport import open_transport
from realtime_sync.transport.endpoint import Endpoint, resolve_endpoint
from realtime_sync.transport.headers import Secrets, Unshown

if TYPE_CHECKING:
    from realtime_sync._deadline import Deadline
    from realtime_sync.delivery.inbox import Inbox
    from realtime_sync.events import Family, ServerEvent
    from realtime_sync.transport import Transport

__all__ = ["Dialling"]


class Dialling:
    """Opens connections of one session, all in the same way: functions that give an endpoint or a key are called for
    each, the environment is read for each. Its repr shows nothing of what it knows.

    ``where`` are the arguments of `resolve_endpoint`, unless ``endpoint`` says all of it; ``how`` those of
    `open_transport`; ``limits`` those of `Connection`.
    """

    def __init__(
        self,
        endpoint: Endpoint | Callable[[], Endpoint] | None,
        where: Mapping[str, Any],
        *,
        how: Mapping[str, Any],
        limits: Mapping[str, Any],
        family: Family,
        inbox: Inbox,
    ) -> None:
        self._endpoint = endpoint
        self._where: dict[str, Any] = Unshown(where)
        self._how = how
        self._limits = limits
        self._inbox = inbox
        self._secrets = Secrets()  # of all connections: where one key was told, another may be repeated
        self.family = family
        self.url = ""
        """The URL that was dialled last."""
        self.decode: Callable[[bytes], ServerEvent] = watching_decoder(family, inbox.remark)
        """What makes events of the texts that arrive."""

    @property
    def of_a_call(self) -> bool:
        """Whether it leads to a call, which keeps its conversation when nobody is connected."""
        return self._where.get("call_id") is not None

    @property
    def functions(self) -> str:
        """Which arguments are functions of the user's, called for each connection."""
        names = [name for name in self._where if callable(self._where[name])]
        return " or ".join(f"{name}=" for name in (*names, *(["endpoint"] if callable(self._endpoint) else [])))

    def open(self, deadline: Deadline) -> Transport:
        """Dial; raises as `open_transport` and `resolve_endpoint` do."""
        target = self._resolved()
        self.url = target.url
        transport = open_transport(target.url, target.headers, deadline=deadline, secrets=self._secrets, **self._how)
        transport.keep_alive(self._limits["ping_interval_s"], self._limits["ping_timeout_s"])
        return transport

    def connection(self, transport: Transport) -> Connection:
        """A connection, not started, that fills the inbox of the session."""
        return Connection(transport, self._inbox, **self._limits, decode=self.decode)

    def forget(self) -> None:
        """No further connection will be opened: nobody need know the key any more."""
        self._endpoint = None
        self._where.clear()

    def _resolved(self) -> Endpoint:
        endpoint = self._endpoint
        if endpoint is None:
            return resolve_endpoint(**self._where)
        both = [
            name
            for name, value in self._where.items()
            if value not in (None, False) and name not in ("intent", "allow_insecure")
        ]
        if both:
            raise ConfigurationError(f"endpoint= says where to connect to: leave out {', '.join(both)}")
        given = endpoint() if callable(endpoint) else endpoint
        if not isinstance(given, Endpoint):
            raise ConfigurationError(
                f"endpoint= takes an Endpoint or a function that gives one, not {type(given).__name__}"
            )
        return given
