"""Events on their way out: ids are filled in, mistakes are caught, and each gets its handle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import now
from realtime_sync.codec import (
    decode_own,
    encode_append,
    encode_fields,
    event_to_dict,
    object_to_dict,
)
from realtime_sync.delivery.line import Owner
from realtime_sync.errors import InvalidEvent, RealtimeTimeout, check_process
from realtime_sync.events import (
    CLIENT_EVENTS,
    LOCAL_EVENTS,
    REALTIME,
    SERVER_EVENTS,
    TRANSLATION,
    ClientEvent,
    ConversationItemCreate,
    Family,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    Item,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    ServerEvent,
)
from realtime_sync.events.facts import MOST_METADATA
from realtime_sync.events.family import content_field
from realtime_sync.sending.acks import STAMP, Ack, AckTable
from realtime_sync.sending.checks import Checks
from realtime_sync.sending.older_names import type_meant
from realtime_sync.state.conversation.lengths import base64_bytes
from realtime_sync.state.responses import Run
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.sending.asked_for import AskedFor
    from realtime_sync.sending.spoken import Spoken

__all__ = ["Outgoing", "known_types"]

_INSTEAD: Final = {
    "transcription": "transcribe() gives the text of a recording, events that of a stream",
    "translation": "append the speech, and take session.output_audio.delta and session.output_transcript.delta",
}


def known_types(family: Family) -> tuple[Mapping[str, type[ServerEvent]], Mapping[str, type[ClientEvent]]]:
    """The types of server and client that are known in a session of this family. The two families of OpenAI do not
    collide, and which one is spoken is certain only when the server has said so: there both are known."""
    return (SERVER_EVENTS, CLIENT_EVENTS) if family in (REALTIME, TRANSLATION) else (family.server, family.client)


class Outgoing:
    """Prepares what is sent and sends it. Any thread.

    ``send`` takes a message and its owner, as `Line.send` does. ``checks`` are those of `Checks`; ``False`` leaves them
    to the server. ``before_response`` is called before each ``response.create``, to refuse it by an exception.
    """

    def __init__(
        self,
        send: Callable[..., None],
        acks: AckTable,
        state: SessionState,
        *,
        checks: bool,
        before_response: Callable[[], object] | None,
        family: Family = REALTIME,
    ) -> None:
        self._pid = os.getpid()
        self._transmit = send
        self._family = family
        self._server_types, self._client_types = known_types(family)
        self._acks = acks
        self._state = state
        self._checks = Checks(state.mirror, state.buffer) if checks else None
        self._before_response = before_response
        self.spoken: Spoken | None = None
        """Where the audio is noted that may have to be sent again; ``None`` where none will be."""
        self.asked_for: AskedFor | None = None
        """Where changes of the configuration are noted that may have to be asked for again."""
        self.stop_again: Callable[[Run | None], bool] | None = None
        """Takes back what would ask once more for a response that was lost, as `Sequencer.stop_again` does."""
        self._event_ids = map(f"event_{os.urandom(8).hex()}_{{}}".format, count(1))
        self._item_ids = map(f"item_{os.urandom(9).hex()}{{:04d}}".format, count(1))

    def send(self, event: ClientEvent | Mapping[str, Any]) -> Ack[Any]:
        """Send one event, or its JSON as a mapping."""
        check_process(self._pid)  # before any lock
        ack, text = self._prepared(event_to_dict(event))
        if isinstance(ack.event, ResponseCancel):
            ack._about = about = self._cancelled(ack.event)
            if self.stop_again is not None and not isinstance(about, str) and self.stop_again(about):
                ack._settle(None)  # its connection is gone: no server need be told
                return ack
            if about is None:  # there is nothing to cancel, as far as is known; the server decides
                self._transmit(text)
                ack._settle(None)
                return ack
        try:
            self._acks.expect(ack)
            self._state.buffer.sent(ack.event)  # before: the confirmation may be dispatched by another thread at once
            if self.asked_for is not None:
                self.asked_for.note(ack)
            self._transmit_kept(text, self._owner(ack))
        except BaseException:
            self._acks.discard(ack)
            self._state.buffer.lose_count()
            raise
        return ack

    @property
    def family(self) -> Family:
        """The family that is spoken."""
        return TRANSLATION if self._state.facts.kind == TRANSLATION.name else self._family

    def update(self, changes: Mapping[str, Any]) -> Ack[Any]:
        """Change the configuration: the family's event for that, with ``changes`` as JSON."""
        family = self.family
        if family.update is None:
            raise InvalidEvent(f"the configuration of a {family.name} session cannot be changed")
        fields = self._state.facts.update(changes) if family in (REALTIME, TRANSLATION) else dict(changes)
        return self.send({"type": family.update.TYPE, content_field(family.update): fields})

    def append(self, pieces: Iterable[str | memoryview]) -> None:
        """Send audio, base64 or raw: the family's event for that, one a piece."""
        family = self.family
        if family.append is None:
            raise InvalidEvent(f"a {family.name} session takes no audio")
        kind, field = family.append.TYPE, content_field(family.append)
        for piece in pieces:
            event_id = next(self._event_ids)
            if isinstance(piece, str):
                size_bytes = base64_bytes(piece)
                self._state.buffer.encoded()
            else:
                size_bytes = len(piece)
            owner = None if self.spoken is None else self.spoken.add(size_bytes)
            text = encode_append(piece, event_id, kind=kind, field=field, correlation=family.correlation)
            self._transmit_kept(text, owner)
            self._state.buffer.appended(size_bytes)

    def response(self, config: ResponseConfig | Mapping[str, Any] | None) -> tuple[Ack[Any], str]:
        """The handle of a ``response.create``, and its text, which is still to be sent."""
        self.check_responds()
        if self._before_response is not None:
            self._before_response()
        event_id = next(self._event_ids)
        response = {} if config is None else object_to_dict(config, "config")
        metadata = response.get("metadata") or {}
        if isinstance(metadata, Mapping) and len(metadata) < MOST_METADATA:
            response["metadata"] = {**metadata, STAMP: event_id}
        return self._prepared({"type": ResponseCreate.TYPE, "event_id": event_id, "response": response})

    def check_responds(self) -> None:
        """Raises `InvalidEvent` in a session that makes no responses, and `ConnectionClosed` in a fork."""
        check_process(self._pid)
        kind = self._state.facts.kind
        if self._checks is None or kind not in _INSTEAD:
            return
        raise InvalidEvent(f"a {kind} session makes no responses: {_INSTEAD[kind]}")

    def item(self, item: Item | Mapping[str, Any]) -> tuple[Ack[Any], str]:
        """The handle of a ``conversation.item.create``, and its text, which is still to be sent."""
        return self._prepared({"type": ConversationItemCreate.TYPE, "item": object_to_dict(item)})

    def _owner(self, ack: Ack[Any]) -> Owner | None:
        """Who says whether a message need be sent again: an append and the like are never confirmed."""
        if self.spoken is None:
            return ack
        if isinstance(ack.event, InputAudioBufferAppend):
            return self.spoken.add(base64_bytes(ack.event.audio))
        if isinstance(ack.event, (InputAudioBufferCommit, InputAudioBufferClear)):
            self.spoken.cut(ack)
        return ack if ack.event.CONFIRMED_BY else None

    def _transmit_kept(self, text: str | bytes, owner: Owner | None) -> None:
        """Send what may have to be sent again."""
        try:
            self._transmit(text, owner)
        except RealtimeTimeout:  # nothing of it has left, nor will it
            if self.spoken is not None:
                self.spoken.take_back(owner)
            raise

    def _prepared(self, fields: dict[str, Any]) -> tuple[Ack[Any], str]:
        """The handle of an event, and its text: encoded once, and read once into what is checked and kept."""
        kind = fields["type"]
        if kind in self._server_types and kind not in self._client_types:
            raise InvalidEvent(f"{kind!r} is sent by the server: a client cannot send it")
        if kind in LOCAL_EVENTS:
            raise InvalidEvent(f"{kind!r} is told by this library: it never goes over the wire")
        if self._checks is not None and kind not in self._client_types:
            meant = type_meant(kind, self._client_types)
            if meant is not None:
                raise InvalidEvent(
                    f"no client event is called {kind!r}: did you mean {meant!r}? connect(checks=False) sends it so"
                )
        event_id = fields.get(self._family.correlation) or next(self._event_ids)
        fields[self._family.correlation] = event_id
        item = fields.get("item")
        if kind == ConversationItemCreate.TYPE and item.__class__ is dict and not item.get("id"):
            item["id"] = next(self._item_ids)
        text = encode_fields(fields)
        sent, wrong = decode_own(fields, self._client_types)
        if wrong:
            raise InvalidEvent(f"{kind} cannot be sent like this: {wrong}")
        if self._checks is not None:
            self._checks.check(sent, self._state.config, fields)
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
