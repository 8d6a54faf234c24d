"""JSON text to events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import orjson

from realtime_sync.codec.lenient import lenient, oddities
from realtime_sync.codec.mended import mended
from realtime_sync.codec.mismatch import kind_of
from realtime_sync.codec.plain import fault, plain
from realtime_sync.codec.shapes import Hook
from realtime_sync.codec.sound import LEAST_BYTES, cut
from realtime_sync.codec.structure import strict
from realtime_sync.events import (
    CLIENT_EVENTS,
    REALTIME,
    SERVER_EVENTS,
    TRANSLATION,
    ClientEvent,
    Family,
    MalformedEvent,
    ServerEvent,
    UnknownEvent,
)
from realtime_sync.events._media import AudioDelta, hold_sound

__all__ = [
    "Decoder",
    "Frame",
    "client_decoder",
    "decode_client_event",
    "decode_own",
    "decode_server_event",
    "decoder",
    "server_decoder",
    "watching_decoder",
]

Frame = str | bytes | bytearray | memoryview | Mapping[str, Any]
"""One message: JSON text, or what it decodes to."""

E_co = TypeVar("E_co", covariant=True)
E = TypeVar("E")

_loads: Final[Callable[[Any], Any]] = orjson.loads

_TIMES_SEEN: Final = 3
"""So often a type has to come before its function is compiled, which takes as long as reading a hundred events with the
forgiving one. What is read in both ways is the same; most types come once or twice while a session is opened."""


class Decoder(Protocol[E_co]):
    """Makes events of frames. Never raises, see `UnknownEvent` and `MalformedEvent`; any thread."""

    def __call__(self, frame: Frame) -> E_co: ...  # noqa: D102


class _Hooks:
    """The reading functions of a registry, filled as types come. All decoders of the registry share them."""

    __slots__ = ("forgiving", "ready", "registry", "seen", "sounding")

    def __init__(self, registry: Mapping[str, type[Any]]) -> None:
        self.registry = registry
        self.ready: dict[str, Hook] = {}  # type -> strict structure function, from the third time on
        self.sounding: dict[str, Hook] = {}  # those of `ready` whose class is an `AudioDelta`
        self.forgiving: dict[str, Hook] = {}
        self.seen: dict[str, int] = {}  # how often a type was read by the one of `forgiving`


def decoder(registry: Mapping[str, type[E]]) -> Decoder[E]:
    """The function that decodes the events of a registry from type to class."""
    return _decoder(_Hooks(registry), None)


@cache
def _hooks_of(family: Family | None) -> _Hooks:
    """What all sessions of a family share; ``None`` stands for the two of OpenAI."""
    return _Hooks(SERVER_EVENTS if family is None else family.server)


def _decoder(hooks: _Hooks, odd: Callable[[str], object] | None) -> Decoder[Any]:
    registry, ready, sounding, forgiving, seen = (
        hooks.registry,
        hooks.ready,
        hooks.sounding,
        hooks.forgiving,
        hooks.seen,
    )
    loads = _loads

    def decode(frame: Any) -> Any:
        if frame.__class__ is bytes:
            if len(frame) >= LEAST_BYTES:
                try:
                    found = cut(frame)
                    if found is not None:
                        fields, pcm = found
                        event = sounding[fields["type"]](fields, None)
                        hold_sound(event, pcm)
                        return event
                except Exception:  # noqa: S110  the plain way finds out what it is
                    pass
        elif frame.__class__ is dict:
            return decode_other(frame, None)
        try:
            raw = loads(frame)
        except Exception as error:
            return decode_other(frame, error)
        try:
            return ready[raw["type"]](raw, None)
        except Exception:
            return decode_slowly(raw, frame)

    def decode_other(frame: Any, error: Exception | None) -> Any:
        """A frame that is no strict JSON text: a mapping, one that can be mended, or malformed."""
        if not isinstance(frame, Mapping):
            try:
                raw = mended(frame)
            except Exception:
                return MalformedEvent(raw=frame, error=f"not JSON: {error}")
            return decode_slowly(raw, frame)
        try:
            raw = plain(frame)
        except Exception:
            return MalformedEvent(raw=frame, error=fault(frame))
        try:
            return ready[raw["type"]](raw, None)
        except Exception:
            return decode_slowly(raw, frame)

    def decode_slowly(raw: Any, frame: Any) -> Any:
        """A message whose type is new or unknown, or that is incomplete, odd or malformed."""
        if raw.__class__ is not dict:
            return MalformedEvent(raw=frame, error=f"expected an object, got {kind_of(raw)}")
        kind = raw.get("type")
        if kind.__class__ is not str or not kind:
            return MalformedEvent(
                raw=raw, error=f"type: expected str, got {kind_of(kind)}" if kind else "type: missing"
            )
        cls = registry.get(kind)
        if cls is None:
            event_id = raw.get("event_id")
            return UnknownEvent(type=kind, event_id=event_id if event_id.__class__ is str else None, raw=raw)
        if kind not in forgiving:
            forgiving[kind] = lenient(cls)
        seen[kind] = times = seen.get(kind, 0) + 1
        if times >= _TIMES_SEEN and kind not in ready:
            hook = strict(cls, later=True)
            if issubclass(cls, AudioDelta):
                sounding[kind] = hook
            ready[kind] = hook
        event = forgiving[kind](raw, None)
        if odd is not None:
            faults = oddities(event)
            if faults:
                odd(f"{kind} came with {faults}")
        return event

    return decode


@cache
def server_decoder(family: Family) -> Decoder[ServerEvent]:
    """The function that decodes what a server of this family sends: only its own types are known."""
    return decoder(family.server)


def watching_decoder(family: Family, odd: Callable[[str], object]) -> Decoder[ServerEvent]:
    """The function that decodes what arrives in a session of this family, and tells ``odd``, on the decoding thread, of
    each event with fields of the wrong kind, as far as it has read it: the items of a response are read later. The two
    families of OpenAI are read alike: each has the other's types."""
    return _decoder(_hooks_of(None if family in (REALTIME, TRANSLATION) else family), odd)


@cache
def client_decoder(family: Family) -> Decoder[ClientEvent]:
    """The function that decodes what a client of this family sends."""
    return decoder(family.client)


def decode_own(fields: dict[str, Any], registry: Mapping[str, type[ClientEvent]]) -> tuple[ClientEvent, str]:
    """The event that plain data is, and all that is of the wrong kind in it, which a user should hear of though a
    server would be forgiven; what is missing is ``None``, and not told. The event may share parts of ``fields``."""
    cls = registry.get(fields.get("type", ""))
    if cls is not None:
        with suppress(Exception):
            event: ClientEvent = strict(cls)(fields, None)
            return event, ""
    found: Any = decoder(registry)(fields)
    return found, found.error if isinstance(found, MalformedEvent) else oddities(found)


def _named(decode: Decoder[E], name: str, side: str) -> Decoder[E]:
    decode.__doc__ = (
        f"The event that a {side} sent, from JSON text or a mapping. Never raises: see `UnknownEvent` and"
        " `MalformedEvent`, and `odd_fields` for fields of the wrong kind."
    )
    decode.__name__ = decode.__qualname__ = name  # type: ignore[attr-defined]
    return decode


decode_server_event: Final[Decoder[ServerEvent]] = _named(
    _decoder(_hooks_of(None), None), "decode_server_event", "server"
)
decode_client_event: Final[Decoder[ClientEvent]] = _named(decoder(CLIENT_EVENTS), "decode_client_event", "client")
