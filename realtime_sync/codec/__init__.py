"""JSON text <-> event, for both sides of the protocol.

Decoding never raises: what is not an event becomes a `MalformedEvent`, a type that is not known an `UnknownEvent`. A
message is first read strictly, which is the fast path; if that fails it is read leniently, so that a server that
leaves out a field, or fills it oddly, still gives the typed class. Scalars are never converted into each other, but for
floats where a whole number is meant.

All functions may be called from any thread.
"""

from __future__ import annotations

from realtime_sync.codec.decode import (
    Decoder,
    Frame,
    client_decoder,
    decode_client_event,
    decode_own,
    decode_server_event,
    decoder,
    server_decoder,
    watching_decoder,
)
from realtime_sync.codec.encode import encode_append, encode_event, encode_fields, event_to_dict, object_to_dict
from realtime_sync.codec.lenient import oddities
from realtime_sync.codec.structure import structure

__all__ = [
    "Decoder",
    "Frame",
    "client_decoder",
    "decode_client_event",
    "decode_own",
    "decode_server_event",
    "decoder",
    "encode_append",
    "encode_event",
    "encode_fields",
    "event_to_dict",
    "object_to_dict",
    "oddities",
    "server_decoder",
    "structure",
    "watching_decoder",
]
