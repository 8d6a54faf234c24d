"""Events on their way out: ids are filled in, mistakes are caught, and each gets its handle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any

from realtime_sync.codec import (
    decode_own,
    encode_append,
    encode_event,
    event_to_dict,
    object_to_dict,
)
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    ClientEvent,
    ConversationItemCreate,
    ResponseConfig,
    ResponseCreate,
)
from realtime_sync.events.facts import MOST_METADATA
from realtime_sync.sending.acks import STAMP, Ack, AckTable
from realtime_sync.sending.checks import Checks
from realtime_sync.state.session_state import SessionState

__all__ = ["Outgoing"]


class Outgoing:
    """Prepares what is sent and sends it. Any thread.

    ``checks`` are those of `Checks`; ``False`` leaves them to the server. ``before_response`` is called before each
    ``response.create``, to refuse it by an exception.
    """

    def __init__(
        self,
        send: Callable[[str | bytes], None],
        acks: AckTable,
        state: SessionState,
        *,
        checks: bool,
        before_response: Callable[[], object] | None,
    ) -> None:
        self._transmit = send
        self._acks = acks
        self._state = state
        self._checks = Checks(state.mirror, state.buffer) if checks else None
        self._before_response = before_response
        self._event_ids = map(f"event_{os.urandom(8).hex()}_{{}}".format, count(1))
        self._item_ids = map(f"item_{os.urandom(9).hex()}{{:04d}}".format, count(1))

    def send(self, event: ClientEvent | Mapping[str, Any]) -> Ack[Any]:
        """Send one event, or its JSON as a mapping."""
        fields = event_to_dict(event)
        event_id = fields.get("event_id") or next(self._event_ids)
        fields["event_id"] = event_id
        item = fields.get("item")
        if fields.get("type") == ConversationItemCreate.TYPE and isinstance(item, Mapping) and not item.get("id"):
            fields["item"] = {**item, "id": next(self._item_ids)}
        sent = self._checked(fields)
        text = encode_event(fields)
        ack = self._acks.expect(sent, event_id)
        self._state.buffer.sent(sent)  # before: the confirmation may be dispatched by another thread at once
        try:
            self._transmit(text)
        except BaseException:
            self._acks.discard(ack)
            self._state.buffer.lose_count()
            raise
        return ack

    def append(self, pieces: Iterable[str | memoryview]) -> None:
        """Send audio, base64 or raw, one ``input_audio_buffer.append`` a piece."""
        for piece in pieces:
            self._transmit(encode_append(piece, next(self._event_ids)))
            self._state.buffer.appended(len(piece) // 4 * 3 if isinstance(piece, str) else len(piece))

    def response(self, config: ResponseConfig | Mapping[str, Any] | None) -> tuple[Ack[Any], str]:
        """The handle of a ``response.create``, and its text, which is still to be sent."""
        if self._before_response is not None:
            self._before_response()
        event_id = next(self._event_ids)
        response = {} if config is None else object_to_dict(config)
        metadata = response.get("metadata") or {}
        if isinstance(metadata, Mapping) and len(metadata) < MOST_METADATA:
            response["metadata"] = {**metadata, STAMP: event_id}
        fields = {"type": ResponseCreate.TYPE, "event_id": event_id, "response": response}
        sent, text = self._checked(fields), encode_event(fields)
        return self._acks.expect(sent, event_id), text

    def _checked(self, fields: dict[str, Any]) -> ClientEvent:
        kind = fields.get("type")
        if kind in SERVER_EVENTS and kind not in CLIENT_EVENTS:
            raise InvalidEvent(f"{kind!r} is sent by the server: a client cannot send it")
        sent, wrong = decode_own(fields, CLIENT_EVENTS)
        if wrong:
            raise InvalidEvent(f"this is no client event: {wrong}")
        if self._checks is not None:
            self._checks.check(sent, self._state.config, fields)
        return sent
