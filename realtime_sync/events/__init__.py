"""Every message of the protocol as a typed class, and the registries from wire type to class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from realtime_sync.events import (
    client,
    config,
    family,
    items,
    notices,
    response,
    server,
    tools,
    translation,
    types,
    unknown,
)
from realtime_sync.events.base import ClientEvent, Event, ServerEvent, WireObject, odd_fields
from realtime_sync.events.client import *
from realtime_sync.events.config import *
from realtime_sync.events.family import *
from realtime_sync.events.items import *
from realtime_sync.events.notices import *
from realtime_sync.events.response import *
from realtime_sync.events.server import *
from realtime_sync.events.tools import *
from realtime_sync.events.translation import *
from realtime_sync.events.types import *
from realtime_sync.events.unknown import *

__all__ = ["CLIENT_EVENTS", "SERVER_EVENTS", "ClientEvent", "Event", "ServerEvent", "WireObject", "odd_fields"]
__all__ += client.__all__
__all__ += config.__all__
__all__ += family.__all__
__all__ += items.__all__
__all__ += notices.__all__
__all__ += response.__all__
__all__ += server.__all__
__all__ += tools.__all__
__all__ += translation.__all__
__all__ += types.__all__
__all__ += unknown.__all__

SERVER_EVENTS: Final[Mapping[str, type[ServerEvent]]] = MappingProxyType({**REALTIME.server, **TRANSLATION.server})
"""Wire type -> class of every event that a server sends, the names of older dialects included. Read-only."""

CLIENT_EVENTS: Final[Mapping[str, type[ClientEvent]]] = MappingProxyType({**REALTIME.client, **TRANSLATION.client})
"""Wire type -> class of every event that a client sends. Read-only."""
