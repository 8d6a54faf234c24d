"""A user's visitors: what a type checker knows of them. `R` is what it reveals, `E` the error that it must give."""

from __future__ import annotations

from typing_extensions import assert_type, reveal_type

from realtime_sync import decode_client_event, decode_server_event, events
from realtime_sync.events.visitor import ClientEventVisitor, ServerEventVisitor

Updated = events.SessionUpdated


class Printer(ServerEventVisitor[str]):
    def visit_response_output_text_delta(self, event: events.ResponseOutputTextDelta) -> str:
        reveal_type(event.delta)  # R: str
        reveal_type(event.extra)  # R: dict[str, Any]
        return event.delta

    def visit_error(self, event: events.ErrorEvent) -> str:
        reveal_type(event.error.code)  # R: str | None
        print(event.error.colour)  # E: attr-defined  # P: reportAttributeAccessIssue
        return ""

    def visit_session_created(self, event: Updated) -> str:  # E: override  # P: reportIncompatibleMethodOverride
        return ""

    def visit_session_updated(self, event: Updated) -> int:  # E: override  # P: reportIncompatibleMethodOverride
        return 5


event = decode_server_event("{}")
reveal_type(event)  # R: realtime_sync.events.base.ServerEvent
reveal_type(event.accept(Printer()))  # R: str | None
reveal_type(decode_client_event("{}"))  # R: realtime_sync.events.base.ClientEvent


class Both(ServerEventVisitor[int], ClientEventVisitor[int]):
    def unknown(self, event: events.UnknownEvent) -> int:
        return len(event.raw)

    def malformed(self, event: events.MalformedEvent) -> int:
        return len(event.error)


class Complete(ServerEventVisitor[str]):
    """Stands for an exhaustive visitor: `unknown` is one of the methods that it must have."""

    def unknown(self, event: events.UnknownEvent) -> str:
        return event.type


assert_type(event.accept(Complete()), str)
assert_type(events.UnknownEvent(type="x").accept(Complete()), str)
decode_server_event("{}").accept(Both())
decode_client_event("{}").accept(Both())
decode_client_event("{}").accept(Printer())  # E: arg-type  # P: reportArgumentType
decode_server_event("{}").accept("visitor")  # E: arg-type  # P: reportArgumentType
