"""One response while it is generated, on a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.local.core import Core
from realtime_sync.local.output import (
    Delta,
    OutputItem,
    approval_item,
    call_item,
    mcp_call_item,
    speech_deltas,
    speech_item,
    text_deltas,
    text_item,
)
from realtime_sync.local.script import (
    Failure,
    Gate,
    McpApproval,
    McpToolCall,
    Output,
    Reply,
    Say,
    ToolCall,
    Turn,
    as_reply,
)
from realtime_sync.local.sound import AudioFormat
from realtime_sync.local.speech import Speech
from realtime_sync.local.usage import usage_of
from realtime_sync.state.usage.tokens import Tokens

__all__ = ["Generation"]

JsonObject = dict[str, Any]
_NO_REPLY: Final = Reply()


class _Ended(Exception):
    """The response was cancelled, or the connection has ended: the thread has nothing left to do."""


class Generation:
    """One response: what it says comes from a reply, piece by piece.

    `run` is the thread. `cancel` and everything that emits take the session's lock, so a cancel from the connection's
    thread lies between two events and closes the response at once; the thread notices before its next event.
    """

    def __init__(
        self,
        core: Core,
        settings: JsonObject,
        context: Tokens,
        cached: Tokens,
        on_end: Callable[[Generation], None],
        rate_limits: Sequence[Mapping[str, Any]],
    ) -> None:
        self.core = core
        self.id = core.new_id("resp")
        self.settings = settings
        self.in_conversation = settings.get("conversation") != "none"
        self.context = context
        self.sounded_s = 0.0
        self._cached = cached
        self._on_end = on_end
        self._rate_limits = rate_limits
        self._announced = False
        self._ended = threading.Event()
        self._reply = _NO_REPLY
        self._items: list[OutputItem] = []
        self._open: OutputItem | None = None
        self._tokens = Tokens()
        self._speaks = settings["output_modalities"] == ["audio"]
        self._format = AudioFormat.of(settings["audio"]["output"]["format"])
        limit = settings["max_output_tokens"]
        self._limit: int | None = None if limit == "inf" else limit

    @property
    def ended(self) -> bool:
        """Whether ``response.done`` was sent, or never will be."""
        return self._ended.is_set()

    def announce(self) -> None:
        """Send ``response.created`` and the rate limits, with the session's lock held; once."""
        if not self._announced:
            self._announced = True
            self.core.emit("response.created", response=self._shown("in_progress", None, None))
            self.core.emit("rate_limits.updated", rate_limits=self._rate_limits)

    def run(self, source: Callable[[Turn], Any], turn: Turn, gates: Sequence[Gate] = ()) -> None:
        """Generate the response: the body of its thread. ``gates`` stand in front of its announcement."""
        try:
            self.core.wait_open(gates, self._ended.is_set)
            with self.core.lock:
                if self.ended:
                    raise _Ended
                self.announce()
            self._reply = as_reply(source(turn))
            if self._reply.rate_limits not in (None, self._rate_limits):
                with self._before(("rate_limits.updated",)):
                    self.core.emit("rate_limits.updated", rate_limits=self._reply.rate_limits)
            self._pause(self._reply.delay_s)
            for output in self._reply.items():
                self._make(output)
            if self._reply.stream is not None:
                self._make_stream(self._reply.stream)
            self._finish()
        except _Ended:
            pass
        except Exception as error:
            self.core.report(error)
            message = f"The reply of the local server raised {type(error).__name__}."
            with self.core.lock:
                self._end("failed", _failed(Failure(message)))

    def cancel(self, reason: str) -> bool:
        """Close the response as cancelled; false when it has ended already."""
        with self.core.lock:
            if self.ended:
                return False
            if self._open is not None:
                for _ in range(self._reply.late_deltas):
                    if self._open.next() is not None:
                        self._tokens += self._open.send_next().tokens
            self._end("cancelled", {"type": "cancelled", "reason": reason})
            return True

    def abandon(self) -> None:
        """Stop without a word: the connection is gone."""
        self._ended.set()

    def _make(self, output: Output) -> None:
        index = len(self._items)
        if isinstance(output, str):
            output = Say(output)
        if isinstance(output, Say):
            item = self._message(index, output.text, output.audio)
        elif isinstance(output, ToolCall):
            item = call_item(self, index, output)
        elif isinstance(output, McpToolCall):
            item = mcp_call_item(self, index, output)
        elif isinstance(output, McpApproval):
            item = approval_item(self, index, output)
        else:
            raise TypeError(f"a response cannot hold a {type(output).__name__}")
        self._begin(item)
        self._send_deltas()
        self._close_item()

    def _make_stream(self, outputs: Iterator[Output]) -> None:
        """Items as an iterator makes them: strings in a row are one message."""
        for output in outputs:
            if not isinstance(output, str):
                self._close_item()
                self._make(output)
            elif self._open is None:
                self._begin(self._message(len(self._items), output, None))
                self._send_deltas()
            else:
                more = self._more(output)
                with self._before(()):
                    self._open.go_on(more)
                self._send_deltas()
        self._close_item()

    def _more(self, text: str) -> Iterator[Delta]:
        return speech_deltas(text, self._speech(text), self._format) if self._speaks else text_deltas(text)

    def _message(self, index: int, text: str, audio: bytes | None) -> OutputItem:
        if not self._speaks:
            return text_item(self, index, text)
        speech = self._speech(text) if audio is None else Speech.of(audio)
        return speech_item(self, index, text, speech, self._format)

    def _speech(self, text: str) -> Speech:
        return self.core.options.voice(text)

    def _begin(self, item: OutputItem) -> None:
        with self._before(item.opens):
            self._open = item
            self._items.append(item)
            item.open()

    def _send_deltas(self) -> None:
        item = self._open
        assert item is not None
        while (delta := self._next_of(item)) is not None:
            self._pause(self._reply.chunk_delay_s)
            with self._before((delta.event_type,)):
                if self._limit is not None and (self._tokens + delta.tokens).total > self._limit:
                    self._end("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
                    raise _Ended
                item.send_next()
                self._tokens += delta.tokens
                self.sounded_s += delta.sounds_s
            if self.core.options.speed is not None:
                self._pause(delta.sounds_s / self.core.options.speed)

    def _next_of(self, item: OutputItem) -> Delta | None:
        with self.core.lock:
            return item.next()

    def _close_item(self) -> None:
        if self._open is not None:
            with self._before(self._open.closes):
                self._open.close("completed")
                self._open = None

    def _finish(self) -> None:
        reply = self._reply
        status, details = "completed", None
        if reply.failure is not None:
            status, details = "failed", _failed(reply.failure)
        elif reply.incomplete is not None:
            status, details = "incomplete", {"type": "incomplete", "reason": reply.incomplete}
        with self._before(("response.done",)):
            self._end(status, details)

    def _end(self, status: str, details: JsonObject | None) -> None:
        if self.ended:
            return
        self._ended.set()
        self.announce()
        if self._open is not None:
            self._open.close("incomplete")
            self._open = None
        usage = usage_of(self.context, self._cached, self._tokens)
        self.core.emit("response.done", response=self._shown(status, details, usage))
        self._on_end(self)

    @contextlib.contextmanager
    def _before(self, event_types: Sequence[str]) -> Iterator[None]:
        """Wait for the gates and for room on the wire, then hold the lock for events of these types."""
        for event_type in event_types:
            own = [gate for gate in self._reply.gates if gate.arrive(event_type)]
            self.core.wait_open(own + self.core.arrive(event_type), self._ended.is_set)
        self.core.outbox.wait_for_room(self._ended.is_set)
        with self.core.lock:
            if self.ended:
                raise _Ended
            yield

    def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._ended.wait(Deadline(seconds).remaining())
        if self.ended:
            raise _Ended

    @property
    def output_tokens(self) -> Tokens:
        """What was generated so far."""
        return self._tokens

    def _shown(self, status: str, details: JsonObject | None, usage: JsonObject | None) -> JsonObject:
        settings = self.settings
        output = settings["audio"]["output"]
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.stored.shown() for item in self._items],
            "conversation_id": self.core.conversation.id if self.in_conversation else None,
            "output_modalities": settings["output_modalities"],
            "max_output_tokens": settings["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": usage,
            "metadata": settings.get("metadata"),
        }


def _failed(failure: Failure) -> JsonObject:
    return {
        "type": "failed",
        "error": {"type": failure.type, "code": failure.code, "message": failure.message},
    }
