"""How compatible servers differ, applied to what goes out so that everything else stays the protocol's own."""

from __future__ import annotations

from typing import Any

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered
from realtime_sync.local.beta import event_in_beta

__all__ = ["Quirks"]

JsonObject = dict[str, Any]


def _late(value: float) -> float:
    return _limits.seconds("ends_late_s", value, zero=True)


@answered
@attrs.frozen(kw_only=True)
class Quirks:
    """Departures of other servers from the protocol, all off by default.

    ``beta_names`` speaks the retired dialect: its event and content part names and flat configurations go out, both
    they and those of today are understood, and its header is accepted;
    ``confirm`` off leaves out whatever only confirms a client event (session.updated, conversation.item.added, ...);
    ``item_created_only`` sends one ``conversation.item.created`` in the place of added and done; ``whole_arguments``
    sends function arguments without deltas; ``code_in_type`` puts an error's code into its ``type``;
    ``error_as_string`` makes ``error`` a string; ``lenient`` accepts unknown fields of client events, settings
    with values of other dialects (and leaves them out), a session without its type, a transcription session that names
    a model and other rates of audio; ``rate_hz`` is the rate of PCM in both directions; ``event_ids`` off
    leaves ``event_id`` out of every event; ``late_authentication`` upgrades the connection with a wrong key too, then
    sends an error and closes with 3000; ``ends_late_s`` ends a session only so many seconds after the ``expires_at``
    that it tells: what a client does ahead of its time limit can then not come too late.
    """

    beta_names: bool = False
    confirm: bool = True
    item_created_only: bool = False
    whole_arguments: bool = False
    code_in_type: bool = False
    error_as_string: bool = False
    lenient: bool = False
    event_ids: bool = True
    late_authentication: bool = False
    rate_hz: int = 24_000
    ends_late_s: float = attrs.field(default=0.0, converter=_late)

    def outgoing(self, event: JsonObject, *, confirms: bool = False) -> JsonObject | None:
        """The event as this server would send it, ``None`` when it would not. ``confirms`` says that it is nothing
        but the answer to a client event."""
        kind = event["type"]
        if confirms and not self.confirm:
            return None
        if self.whole_arguments and kind == "response.function_call_arguments.delta":
            return None
        if self.item_created_only and kind in ("conversation.item.added", "conversation.item.done"):
            if kind == "conversation.item.done":
                return None
            event = {**event, "type": "conversation.item.created"}
        if kind == "error":
            event = {**event, "error": self._error(event["error"])}
        if not self.event_ids:
            event = {name: value for name, value in event.items() if name != "event_id"}
        return event_in_beta(event) if self.beta_names else event

    def _error(self, error: JsonObject) -> JsonObject | str:
        if self.error_as_string:
            message: str = error["message"]
            return message
        return {**error, "type": error["code"] or error["type"], "code": None} if self.code_in_type else error
