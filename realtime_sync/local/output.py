"""The items of a response while they are made: what each sends when it opens, piece by piece, and when it closes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

import attrs

from realtime_sync.local.conversation import StoredItem
from realtime_sync.local.core import Core
from realtime_sync.local.script import McpApproval, McpToolCall, ToolCall
from realtime_sync.local.sound import AudioFormat, cut
from realtime_sync.local.speech import Speech, words_of
from realtime_sync.local.usage import output_audio_tokens, text_tokens
from realtime_sync.state.usage.tokens import Tokens

__all__ = [
    "Delta",
    "OutputItem",
    "ResponseOutput",
    "approval_item",
    "call_item",
    "mcp_call_item",
    "speech_deltas",
    "speech_item",
    "text_deltas",
    "text_item",
]

_AUDIO_CHUNK_MS: Final = 200
_ARGUMENTS_CHUNK: Final = 12

Events = Iterator[tuple[str, dict[str, Any]]]


class ResponseOutput(Protocol):
    """What an item needs of the response that it belongs to."""

    id: str
    core: Core
    in_conversation: bool


@attrs.frozen
class Delta:
    """One piece of an item: the event that carries it, its cost in tokens, and how long it sounds."""

    event_type: str
    text: str = ""
    audio: bytes = b""
    tokens: Tokens = attrs.field(factory=Tokens)
    sounds_s: float = 0.0


class OutputItem:
    """One item of a response. Its pieces are made one by one, as they are sent. All methods but the constructor want
    the session's lock to be held."""

    opens: Sequence[str] = ("response.output_item.added", "conversation.item.added")
    closes: Sequence[str] = ("conversation.item.done", "response.output_item.done")

    def __init__(
        self, response: ResponseOutput, output_index: int, data: dict[str, Any], deltas: Iterable[Delta]
    ) -> None:
        item_id = response.core.new_id("item")
        self.stored = StoredItem({"id": item_id, **data})
        self._coming = iter(deltas)
        self._next: Delta | None = None
        self._response = response
        self._index = output_index

    def open(self) -> None:
        """Announce the item."""
        self._emit("response.output_item.added", item=self.stored.shown(), whole=True)
        if self._response.in_conversation:
            core = self._response.core
            previous = core.conversation.add(self.stored)
            core.emit("conversation.item.added", previous_item_id=previous, item=self.stored.shown())
        self._send(self._after_open())

    def next(self) -> Delta | None:
        """The piece that is to be sent next, if there is one."""
        if self._next is None:
            self._next = next(self._coming, None)
        return self._next

    def go_on(self, deltas: Iterable[Delta]) -> None:
        """After the last piece come these."""
        self._coming = iter(deltas)

    def send_next(self) -> Delta:
        """Send the `next` piece, which there is."""
        delta, self._next = self.next(), None
        assert delta is not None
        self._take(delta)
        encoded = base64.b64encode(delta.audio).decode() if delta.audio else delta.text
        self._emit(delta.event_type, **self._place(), delta=encoded)
        return delta

    def close(self, status: str) -> None:
        """Send what ends the item, with what it holds so far."""
        if "status" in self.stored.data:
            self.stored.data["status"] = status
        self._send(self._before_close(status))
        core = self._response.core
        # The client may have deleted the item while it was made.
        if self._response.in_conversation and self.stored in core.conversation:
            previous = core.conversation.before(self.stored)
            core.emit("conversation.item.done", previous_item_id=previous, item=self.stored.shown())
        self._emit("response.output_item.done", item=self.stored.shown(), whole=True)

    def _take(self, delta: Delta) -> None:
        """Add a piece to the item."""

    def _place(self) -> dict[str, Any]:
        return {}

    def _after_open(self) -> Events:
        yield from ()

    def _before_close(self, status: str) -> Events:
        yield from ()

    def _send(self, events: Events) -> None:
        for event_type, fields in events:
            self._emit(event_type, **fields)

    def _emit(self, event_type: str, *, whole: bool = False, **fields: Any) -> None:
        # An event that shows the whole item has no item_id of its own.
        of_item = {} if whole else {"item_id": self.stored.id}
        where: dict[str, Any] = {"response_id": self._response.id, **of_item, "output_index": self._index}
        self._response.core.emit(event_type, **where, **fields)


class MessageItem(OutputItem):
    """A message of the assistant; its one content part is added by the subclasses."""

    opens = (*OutputItem.opens, "response.content_part.added")

    def __init__(self, response: ResponseOutput, output_index: int, deltas: Iterable[Delta]) -> None:
        data = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(response, output_index, data, deltas)
        self._text = ""

    def _place(self) -> dict[str, Any]:
        return {"content_index": 0}

    def _part(self) -> dict[str, Any]:
        """The content part as the events of a response show it; in an item its type is another."""
        raise NotImplementedError

    def _take(self, delta: Delta) -> None:
        self._text += delta.text
        self._show_part()

    def _show_part(self) -> None:
        part = self._part()
        self.stored.data["content"] = [{**part, "type": f"output_{part['type']}"}]

    def _after_open(self) -> Events:
        self._show_part()
        yield "response.content_part.added", {**self._place(), "part": self._part()}

    def _before_close(self, status: str) -> Events:
        yield "response.content_part.done", {**self._place(), "part": self._part()}


class TextItem(MessageItem):
    """A written message."""

    closes = ("response.output_text.done", "response.content_part.done", *OutputItem.closes)

    def _part(self) -> dict[str, Any]:
        return {"type": "text", "text": self._text}

    def _before_close(self, status: str) -> Events:
        yield "response.output_text.done", {**self._place(), "text": self._text}
        yield from super()._before_close(status)


class SpeechItem(MessageItem):
    """A spoken message with its transcript."""

    closes = (
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        *OutputItem.closes,
    )

    def __init__(
        self, response: ResponseOutput, output_index: int, deltas: Iterable[Delta], audio_format: AudioFormat
    ) -> None:
        super().__init__(response, output_index, deltas)
        self.stored.audio_format = audio_format
        self.stored.audio[0] = bytearray()

    def _part(self) -> dict[str, Any]:
        return {"type": "audio", "transcript": self._text}

    def _take(self, delta: Delta) -> None:
        super()._take(delta)
        self.stored.audio[0] += delta.audio
        self._response.core.voice_locked |= bool(delta.audio) and self._response.in_conversation

    def _before_close(self, status: str) -> Events:
        yield "response.output_audio.done", self._place()
        yield "response.output_audio_transcript.done", {**self._place(), "transcript": self._text}
        yield from super()._before_close(status)


class ArgumentsItem(OutputItem):
    """An item whose pieces are the JSON of arguments."""

    def _take(self, delta: Delta) -> None:
        self.stored.data["arguments"] += delta.text


class CallItem(ArgumentsItem):
    """A call of a function of the client."""

    closes = ("response.function_call_arguments.done", *OutputItem.closes)

    def _place(self) -> dict[str, Any]:
        return {"call_id": self.stored.data["call_id"]}

    def _before_close(self, status: str) -> Events:
        data = self.stored.data
        yield (
            "response.function_call_arguments.done",
            {"call_id": data["call_id"], "name": data["name"], "arguments": data["arguments"]},
        )


class McpCallItem(ArgumentsItem):
    """A call of a tool of an MCP server, with what came of it."""

    closes = (
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        *OutputItem.closes,
    )

    def __init__(self, response: ResponseOutput, output_index: int, call: McpToolCall) -> None:
        data = {
            "type": "mcp_call",
            "server_label": call.server_label,
            "name": call.name,
            "arguments": "",
            "output": None,
            "error": None,
            "approval_request_id": call.approval_request_id,
        }
        super().__init__(
            response, output_index, data, _argument_deltas("response.mcp_call", json.dumps(call.arguments))
        )
        self._call = call

    def _before_close(self, status: str) -> Events:
        yield "response.mcp_call_arguments.done", {"arguments": self.stored.data["arguments"]}
        if status != "completed":
            return
        yield "response.mcp_call.in_progress", {}
        failed = self._call.error is not None
        self.stored.data["output"] = self._call.output
        self.stored.data["error"] = {"type": "tool_execution_error", "message": self._call.error} if failed else None
        yield f"response.mcp_call.{'failed' if failed else 'completed'}", {}

    def _emit(self, event_type: str, *, whole: bool = False, **fields: Any) -> None:
        if event_type.startswith("response.mcp_call."):
            # These three carry no response_id.
            self._response.core.emit(event_type, item_id=self.stored.id, output_index=self._index)
        else:
            if "delta" in fields:  # documented for these deltas alone: padding, so that none tells its length
                fields["obfuscation"] = "x" * (2 * _ARGUMENTS_CHUNK - len(fields["delta"]))
            super()._emit(event_type, whole=whole, **fields)


def text_item(response: ResponseOutput, output_index: int, text: str) -> OutputItem:
    """A written message."""
    return TextItem(response, output_index, text_deltas(text))


def speech_item(
    response: ResponseOutput, output_index: int, text: str, speech: Speech, audio_format: AudioFormat
) -> OutputItem:
    """A spoken message."""
    return SpeechItem(response, output_index, speech_deltas(text, speech, audio_format), audio_format)


def call_item(response: ResponseOutput, output_index: int, call: ToolCall) -> OutputItem:
    """A function call."""
    call_id = call.call_id or response.core.new_id("call")
    data = {
        "type": "function_call",
        "status": "in_progress",
        "call_id": call_id,
        "name": call.name,
        "arguments": "",
    }
    return CallItem(response, output_index, data, _argument_deltas("response.function_call", call.arguments_json))


def mcp_call_item(response: ResponseOutput, output_index: int, call: McpToolCall) -> OutputItem:
    """A call of an MCP tool."""
    return McpCallItem(response, output_index, call)


def approval_item(response: ResponseOutput, output_index: int, asked: McpApproval) -> OutputItem:
    """A request to let an MCP tool be called."""
    data = {
        "type": "mcp_approval_request",
        "server_label": asked.server_label,
        "name": asked.name,
        "arguments": json.dumps(asked.arguments),
    }
    return OutputItem(response, output_index, data, ())


def text_deltas(text: str) -> Iterator[Delta]:
    """The pieces of a text."""
    for word in words_of(text):
        yield Delta("response.output_text.delta", word, tokens=Tokens(text=text_tokens(word)))


def speech_deltas(text: str, speech: Speech, audio_format: AudioFormat) -> Iterator[Delta]:
    """The pieces of speech: each word of the transcript comes before the chunk of audio in which it begins."""
    size = audio_format.size(_AUDIO_CHUNK_MS)
    count = -(-audio_format.size_from_speaker(speech.size_bytes) // size)
    words = words_of(text)
    told = 0
    for number, chunk in enumerate(cut(audio_format.from_speaker(speech.pieces), size), start=1):
        due = -(-len(words) * number // count)
        yield from _transcript_deltas(words[told:due])
        told = due
        ms = audio_format.ms(len(chunk))
        tokens = Tokens(audio=output_audio_tokens(ms))
        yield Delta("response.output_audio.delta", audio=chunk, tokens=tokens, sounds_s=ms / 1000)
    yield from _transcript_deltas(words[told:])


def _transcript_deltas(words: Sequence[str]) -> Iterator[Delta]:
    for word in words:
        yield Delta("response.output_audio_transcript.delta", word, tokens=Tokens(text=text_tokens(word)))


def _argument_deltas(prefix: str, arguments: str) -> Iterator[Delta]:
    for start in range(0, len(arguments), _ARGUMENTS_CHUNK):
        piece = arguments[start : start + _ARGUMENTS_CHUNK]
        yield Delta(f"{prefix}_arguments.delta", piece, tokens=Tokens(text=text_tokens(piece)))
