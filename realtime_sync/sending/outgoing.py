"""Events on their way out: ids are filled in, mistakes are caught, and each gets its handle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from realtime_sync._deadline import now
from realtime_sync.codec import decode_client_event, encode_append, encode_fields, event_to_dict, object_to_dict
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    ClientEvent,
    ConversationItemCreate,
    MalformedEvent,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
)
from realtime_sync.sending.acks import STAMP, Ack, AckTable
from realtime_sync.sending.checks import Checks
from realtime_sync.state.conversation.lengths import base64_bytes
from realtime_sync.state.responses import Run
from realtime_sync.state.session_state import SessionState

__all__ = ["Outgoing"]

_MOST_METADATA: Final = 16


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
        ack, text = self._prepared(event_to_dict(event))
        if isinstance(ack.event, ResponseCancel):
            ack._about = self._cancelled(ack.event)
            if ack._about is None:  # there is nothing to cancel, as far as is known; the server decides
                self._transmit(text)
                ack._settle(None)
                return ack
        self._acks.expect(ack)
        self._state.buffer.sent(ack.event)  # before: the confirmation may be dispatched by another thread at once
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
            self._state.buffer.appended(base64_bytes(piece) if isinstance(piece, str) else len(piece))

    def response(self, config: ResponseConfig | Mapping[str, Any] | None) -> tuple[Ack[Any], str]:
        """The handle of a ``response.create``, and its text, which is still to be sent."""
        if self._before_response is not None:
            self._before_response()
        event_id = next(self._event_ids)
        response = {} if config is None else object_to_dict(config)
        metadata = response.get("metadata") or {}
        if isinstance(metadata, Mapping) and len(metadata) < _MOST_METADATA:
            response["metadata"] = {**metadata, STAMP: event_id}
        return self._prepared({"type": ResponseCreate.TYPE, "event_id": event_id, "response": response})

    def _prepared(self, fields: dict[str, Any]) -> tuple[Ack[Any], str]:
        """The handle of an event, and its text: encoded once, and decoded once into what is checked and kept."""
        kind = fields["type"]
        if kind in SERVER_EVENTS and kind not in CLIENT_EVENTS:
            raise InvalidEvent(f"{kind!r} is sent by the server: a client cannot send it")
        event_id = fields.get("event_id") or next(self._event_ids)
        fields["event_id"] = event_id
        item = fields.get("item")
        if kind == ConversationItemCreate.TYPE and item.__class__ is dict and not item.get("id"):
            item["id"] = next(self._item_ids)
        text = encode_fields(fields)
        sent = decode_client_event(text)
        if isinstance(sent, MalformedEvent):
            raise InvalidEvent(f"this is no client event: {sent.error}")
        if self._checks is not None:
            self._checks.config = self._state.config
            self._checks.check(sent, fields)
        return self._acks.prepare(sent, event_id), text

    def _cancelled(self, event: ResponseCancel) -> Run | str | None:
        """What a cancellation is about: a response, the id of one, or the create under way that asks for one."""
        responses = self._state.responses
        run = responses.named(event.response_id) if event.response_id else responses.active
        if run is not None:
            run.cancelled_at = now()
            return run
        if event.response_id:
            return event.response_id
        create = self._acks.create_under_way()
        return create.event_id if create is not None else None
