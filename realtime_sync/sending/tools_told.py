"""What the server was told of tools: each configuration replaces the whole list, so that who adds one must know the
others."""

from __future__ import annotations

import json
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from realtime_sync.codec import object_to_dict
from realtime_sync.events import WireObject
from realtime_sync.sending.acks import Ack

__all__ = ["ToolsTold"]

_log = logging.getLogger("realtime_sync")

Definition = dict[str, Any]


class ToolsTold:
    """The tools in the configuration of a session, and how more are added to them. Any thread.

    ``config`` gives the configuration in force, ``update`` changes it.
    """

    def __init__(self, config: Callable[[], Any], update: Callable[[Mapping[str, Any]], Ack[Any]]) -> None:
        self._config = config
        self._update = update
        # Guards all below. Held while a list of tools is sent, so that the newest list is the last one to leave;
        # entered again by `note`, which that sending calls.
        self._lock = threading.RLock()
        self._latest: tuple[weakref.ref[Ack[Any]], list[Definition]] | None = None
        self._as_sent: dict[str, Definition] = {}  # hosted tools: a server does not show their credentials again
        self._announcing = False
        self._runs: Callable[[], Iterable[str]] | None = None  # the names of the functions that are run by themselves
        self._ran: set[str] = set()  # those of before
        self._warned = False

    def runs(self, names: Callable[[], Iterable[str]]) -> None:
        """From now on the functions with these names are run by themselves, and none that were so before."""
        with self._lock:
            self._ran.update(self._runs() if self._runs is not None else ())
            self._runs = names

    def announce(self, tools: Callable[[], Iterable[WireObject | Mapping[str, Any]]]) -> Ack[Any]:
        """Tell the server of ``tools``, beside what stands in the configuration already."""
        with self._lock:
            mine = [object_to_dict(tool) for tool in tools()]
            self._announcing = True
            try:
                return self._update({"tools": self.beside(mine, self._standing())})
            finally:
                self._announcing = False

    def beside(self, mine: list[Definition], others: Iterable[Any]) -> list[Definition]:
        """``mine`` and those of ``others`` that are something else, and no function of a toolset that was replaced."""
        with self._lock:
            taken = {*map(_key, mine), *(_key({"type": "function", "name": name}) for name in self._ran)}
        return [*mine, *(other for other in map(object_to_dict, others) if _key(other) not in taken)]

    def note(self, ack: Ack[Any]) -> None:
        """An event was sent; it may be a configuration with tools."""
        tools = getattr(getattr(ack.event, "session", None), "tools", None)
        if not isinstance(tools, list):
            return
        told = [object_to_dict(tool) for tool in tools]
        with self._lock:
            before, self._latest = self._standing(), (weakref.ref(ack), told)
            self._as_sent.update((_key(tool), tool) for tool in told if tool.get("type") != "function")
            if not self._announcing:
                self._ran -= _names(told)  # now they are somebody else's
            lost = _names(before) & set(self._runs() if self._runs is not None else ()) - _names(told)
            if not lost or not told or self._announcing or self._warned:
                return
            self._warned = True
        _log.warning(
            "update_session(tools=...) replaces all tools: the model knows no more of %s, which this session runs. To"
            " keep them, add to the list what Toolset.definitions gives, or use ToolRunner.announce(*others)",
            ", ".join(sorted(lost)),
        )

    def _standing(self) -> list[Definition]:
        """The tools that the server has, as far as can be known."""
        ack = self._latest[0]() if self._latest is not None else None
        if self._latest is not None and ack is not None and not ack.done:
            return self._latest[1]
        shown = getattr(self._config(), "tools", None)
        if not isinstance(shown, list):  # a server that reports nothing of them
            refused = ack is not None and ack._error is not None
            return self._latest[1] if self._latest is not None and not refused else []
        return [self._as_sent.get(_key(tool), tool) for tool in map(object_to_dict, shown)]


def _key(tool: Definition) -> str:
    """What makes a tool the same one in another list."""
    name = tool.get({"function": "name", "mcp": "server_label"}.get(str(tool.get("type", "function")), "name"))
    return f"{tool.get('type', 'function')} {name}" if name else json.dumps(tool, sort_keys=True)


def _names(tools: Iterable[Definition]) -> set[str]:
    return {str(tool.get("name")) for tool in tools if tool.get("type", "function") == "function"}
