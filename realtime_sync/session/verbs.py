"""What a user can send: one verb for each client event, each with its handle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from realtime_sync._arguments import answered
from realtime_sync._deadline import Deadline
from realtime_sync.codec import object_to_dict
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    ClientEvent,
    ConversationItemAdded,
    ConversationItemCreate,
    ConversationItemCreated,
    ConversationItemDelete,
    ConversationItemDeleted,
    ConversationItemRetrieve,
    ConversationItemRetrieved,
    ConversationItemTruncate,
    ConversationItemTruncated,
    FunctionCallOutput,
    InputAudioBufferClear,
    InputAudioBufferCleared,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    Item,
    OutputAudioBufferClear,
    OutputAudioBufferCleared,
    ResponseCancel,
    ResponseConfig,
    ResponseCreated,
    ResponseDone,
    SessionConfig,
    SessionUpdated,
)
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.audio_pieces import base64_pieces, pcm_pieces
from realtime_sync.sending.outgoing import Outgoing
from realtime_sync.sending.sequencer import Sequencer
from realtime_sync.sending.tools_told import ToolsTold
from realtime_sync.sending.user_input import no_text, user_message
from realtime_sync.session.restoration import Restored, restore
from realtime_sync.session.weak import weakly
from realtime_sync.state.conversation import History
from realtime_sync.state.conversation.history import Source
from realtime_sync.state.facts import Facts
from realtime_sync.state.session_state import SessionState

__all__ = ["Sender"]


@answered
class Sender:
    """The sending half of `RealtimeSession`. Each verb may be called from any thread, also from a handler, and returns
    at once; `Ack.result` waits for the server's answer. `restore` alone waits itself.

    All raise `InvalidEvent` for what cannot be sent or would be refused anyway, `ConnectionClosed` or its kin when the
    connection has ended, and `RealtimeTimeout` when the message could not begin to leave in time.
    """

    def __init__(self, outgoing: Outgoing, sequencer: Sequencer, state: SessionState) -> None:
        self._outgoing = outgoing
        self._sequencer = sequencer
        self._state = state
        self._tools_told = ToolsTold(lambda: state.config, weakly(self.update_session))

    def send(self, event: ClientEvent | Mapping[str, Any]) -> Ack[Any]:
        """Send any client event, or its JSON as a mapping, and return the handle of its confirmation.

        A missing ``event_id`` is filled in (the event itself stays as it is), likewise the id of an item to create.
        Raises `InvalidEvent` when it cannot be encoded or is no client event, `ConnectionClosed` or its kin when the
        connection has ended, `RealtimeTimeout` when it could not begin to leave in time.
        """
        ack = self._outgoing.send(event)
        self._tools_told.note(ack)
        return ack

    def update_session(self, config: SessionConfig | Mapping[str, Any]) -> Ack[SessionUpdated]:
        """Change the configuration: only the fields that are given change; ``None`` (``null``) switches off what it
        can switch off. A mapping without ``type`` gets the type of the session; in a session of the older dialect the
        options get their names of that dialect.

        The server takes the whole update or none of it. ``session.update``. A list of ``tools`` replaces the whole list
        that was there; a warning is logged, once, when that takes tools away from the model which this session runs
        (`tool`, `use_tools`).
        """
        ack = self._outgoing.update(object_to_dict(config, "config"))
        self._tools_told.note(ack)
        return ack

    def append_audio(self, audio: str) -> None:
        """Add base64 audio in the session's input format to the input buffer. Long audio is split; the server never
        confirms. ``input_audio_buffer.append``; in a translation session ``session.input_audio_buffer.append``."""
        self._outgoing.append(base64_pieces(audio))

    def append_audio_bytes(self, pcm: Any) -> None:
        """Add audio to the input buffer: bytes or any buffer of bytes or 16-bit integers (array, memoryview, numpy),
        in the session's input format, by default 24 kHz mono s16le. ``input_audio_buffer.append``.

        It may wait up to ``send_timeout_s`` for the network, and raises when the session has ended: in the callback of
        a microphone use `realtime_sync.playback.MicrophoneFeed`.

        Raises `InvalidEvent` for floats and other buffers that cannot be audio, and for a WAV file.
        """
        self._outgoing.append(pcm_pieces(pcm))

    def commit_audio(self) -> Ack[InputAudioBufferCommitted]:
        """Make a user message of the input buffer, which holds at least 100 ms, of PCM in whole samples. It starts no
        response. ``input_audio_buffer.commit``."""
        return self.send(InputAudioBufferCommit())

    def clear_audio(self) -> Ack[InputAudioBufferCleared]:
        """Throw the input buffer away. ``input_audio_buffer.clear``."""
        return self.send(InputAudioBufferClear())

    def clear_output_audio(self) -> Ack[OutputAudioBufferCleared]:
        """Cut off the output that the server still plays; for WebRTC and SIP calls, a WebSocket session has no such
        buffer. ``output_audio_buffer.clear``."""
        return self.send(OutputAudioBufferClear())

    def create_item(
        self, item: Item | Mapping[str, Any], previous_item_id: str | None = None
    ) -> Ack[ConversationItemAdded | ConversationItemCreated]:
        """Add an item after the one with ``previous_item_id`` (``"root"``: at the start; ``None``: at the end).
        ``conversation.item.create``."""
        fields = object_to_dict(item, "item", of_text="send_text() takes a text")
        event: dict[str, Any] = {"type": ConversationItemCreate.TYPE, "item": fields}
        if previous_item_id is not None:
            event["previous_item_id"] = previous_item_id
        return self.send(event)

    def send_text(self, text: str) -> Ack[ConversationItemAdded | ConversationItemCreated]:
        """Add a user message with this text. It starts no response. ``conversation.item.create``."""
        if text is None:  # a message without a word
            raise no_text(text)
        return self.create_item(user_message(text))

    def restore(self, conversation: Source | os.PathLike[str], *, timeout: float | None = 30.0) -> Restored:
        """Write a conversation of another session into this one, which should be fresh, and say what came of it.

        ``conversation`` is the other session's `conversation`, a snapshot of it, its ``to_json()`` (the text, or the
        path of a file with it), or a list of entries or items. Text and images stay as they were, and so does speech
        of the user where the item holds its audio (as ``conversation.item.retrieved`` shows it); other speech becomes
        its transcript, that of the model in any case, since no server takes it as audio. A function call goes with its
        output or not at all; what the model had not ended is left out. Ids are kept where the server takes them. The
        history stands in front of what the session holds already; what stands there under its id is not written
        again. Starts no response.

        Blocks, pumping events, until the server has answered for each item, or for ``timeout`` seconds; ``None`` waits
        as long as the connection lives. A server that confirms nothing for 5 seconds is not waited for. Raises
        `InvalidEvent` for what is no conversation, and `ConnectionClosed` or its kin when the connection ends; what the
        server refuses is left out and told.
        """
        deadline = Deadline(timeout)
        facts = self._state.facts
        if isinstance(conversation, os.PathLike):
            history = _history_in(conversation, facts)
        else:
            history = History.of(conversation, facts)
        return restore(history, self.create_item, self._state.mirror.snapshot().entries, deadline)

    def submit_function_output(
        self, call_id: str | None, output: Any
    ) -> Ack[ConversationItemAdded | ConversationItemCreated]:
        """Answer a function call, whose ``call_id`` it has. A string is sent as it is, anything else as JSON. It starts
        no response. ``conversation.item.create``.

        Raises `InvalidEvent` for an output that JSON cannot express, and without a ``call_id``.
        """
        if not call_id:
            raise InvalidEvent("the output of a function call needs the call_id of that call")
        if not isinstance(output, str):
            try:
                output = json.dumps(output, ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise InvalidEvent(f"the output of call {call_id} cannot be written as JSON: {error}") from error
        return self.create_item(FunctionCallOutput(call_id=call_id, output=output))

    def retrieve_item(self, item_id: str) -> Ack[ConversationItemRetrieved]:
        """Ask for the server's copy of an item, audio included. ``conversation.item.retrieve``."""
        return self.send(ConversationItemRetrieve(item_id=item_id))

    def delete_item(self, item_id: str) -> Ack[ConversationItemDeleted]:
        """Remove an item from the conversation. ``conversation.item.delete``."""
        return self.send(ConversationItemDelete(item_id=item_id))

    def truncate_item(self, item_id: str, content_index: int, audio_end_ms: int) -> Ack[ConversationItemTruncated]:
        """Cut the audio of an assistant message after ``audio_end_ms`` milliseconds; its transcript goes.
        ``conversation.item.truncate``."""
        return self.send(
            ConversationItemTruncate(item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms)
        )

    def create_response(self, config: ResponseConfig | Mapping[str, Any] | None = None) -> Ack[ResponseCreated]:
        """Ask the model to respond, with options for this response only. ``response.create``.

        Only one response at a time may write to the default conversation: a further one is sent when the active one
        is done (which something must pump to notice). Responses with ``conversation="none"`` run in parallel.
        """
        ack, text = self._outgoing.response(config)
        self._sequencer.submit(ack, text)
        return ack

    def cancel_response(self, response_id: str | None = None) -> Ack[ResponseDone | None]:
        """Stop the response with this id, or the active one. When there is none any more, the result is ``None``.
        ``response.cancel``."""
        return self.send(ResponseCancel(response_id=response_id))


def _history_in(path: os.PathLike[str], facts: Facts) -> History:
    try:
        with open(path, "rb") as file:
            return History.of(file.read(), facts)
    except (OSError, ValueError) as error:
        raise InvalidEvent(f"the conversation in {os.fspath(path)} cannot be read: {error}") from None
