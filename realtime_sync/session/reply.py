"""What came of one response: text, transcript, audio, calls, usage and timing, gathered from its events."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from realtime_sync._deadline import now
from realtime_sync.delivery.said import excerpt, text_in
from realtime_sync.errors import ConfigurationError, InvalidEvent, ResponseFailed
from realtime_sync.events import (
    FunctionCall,
    McpApprovalRequest,
    Message,
    OutputAudio,
    OutputText,
    Response,
    ResponseContentPartDone,
    ResponseDone,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerEvent,
    Usage,
)
from realtime_sync.events._other_names import OF_REPLIES, missing
from realtime_sync.events.base import or_none
from realtime_sync.state.calls import Calls, filled, same_call
from realtime_sync.state.conversation.record import whole_text
from realtime_sync.state.facts import Sound
from realtime_sync.state.heard import Heard

__all__ = ["Reply"]

_REASONS: Final = ("status_details", "error", "last_error")
_log = logging.getLogger("realtime_sync")


class _Pieces:
    """The content of one part as it grows."""

    __slots__ = ("audio", "text", "transcript")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.transcript: list[str] = []
        self.audio: list[bytes] = []


class Reply:
    """One response of the model, whole or still growing.

    Filled by the thread that pumps; reading it from another thread while it grows gives what has come so far.
    """

    def __init__(self) -> None:
        self._last_delta: ServerEvent | None = None  # the delta that was taken in last
        self._parts: dict[tuple[int, int], _Pieces] = {}
        self._ended_parts: dict[tuple[int, int], ResponseContentPartDone] = {}
        self._items: dict[int, Any] = {}
        self._calls_begun = Calls()
        self._calls: list[FunctionCall] = []  # whose arguments were told
        self._call_begun: str | None = None  # the name in a function call that was only announced
        self._asked_at = now()
        self._sound = Sound()
        self._heard = Heard()
        self.response_id: str | None = None
        """The server's id of the response; ``None`` until it has begun."""
        self.response: Response | None = None
        """The final response as the server reports it; ``None`` until it is done."""
        self.first_delta_s: float | None = None
        """Seconds from the request to the first piece of content."""
        self.first_audio_s: float | None = None
        """Seconds from the request to the first piece of audio."""
        self.duration_s: float | None = None
        """Seconds from the request to the end."""

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_REPLIES)

    @property
    def done(self) -> bool:
        """Whether the response has ended, well or not."""
        return self.response is not None

    @property
    def text(self) -> str:
        """The text output of all its items, in order. In the end it is there too where a server tells it with the items
        only; so it is with `transcript`."""
        if self._untold:
            return "".join(part.text or "" for part in self._whole_parts() if isinstance(part, OutputText))
        return "".join(piece for part in self._ordered() for piece in part.text)

    @property
    def transcript(self) -> str:
        """What the audio output says, in order."""
        if self._untold:
            return "".join(part.transcript or "" for part in self._whole_parts() if isinstance(part, OutputAudio))
        return "".join(piece for part in self._ordered() for piece in part.transcript)

    @property
    def audio(self) -> bytes:
        """The audio output in the session's format; by default 24 kHz mono s16le."""
        return b"".join(piece for part in self._ordered() for piece in part.audio)

    @property
    def wav(self) -> bytes:
        """The audio output as a WAV file of 16-bit mono PCM at the rate that it has, which every player plays; what
        comes as G.711 is decoded (8 kHz). Empty when there is no audio."""
        audio = self.audio
        if not audio:
            return b""
        from realtime_sync.audio import decode_pcma, decode_pcmu, write_wav  # only who listens pays for their tables

        decode = {"pcmu": decode_pcmu, "pcma": decode_pcma}.get(self._sound.code or "")
        file = io.BytesIO()
        write_wav(file, decode(audio) if decode else audio[: len(audio) & ~1], rate_hz=self._sound.rate_hz)
        return file.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `wav` to a file, which is replaced.

        Raises `ConfigurationError` when there is no audio, when the file cannot be written, and for a name such as
        ``answer.mp3``: it is a WAV file.
        """
        from realtime_sync.audio.wav import check_target

        check_target(path)
        content = self.wav
        if not content:
            raise ConfigurationError(f"there is no audio to save in {os.fspath(path)!r}: the reply is text")
        try:
            with open(path, "wb") as file:
                file.write(content)
        except OSError as error:
            raise ConfigurationError(f"cannot write {os.fspath(path)!r}: {error.strerror}") from error

    @property
    def heard(self) -> str | None:
        """What the user was heard to say in the audio that this response answers. ``None`` without such audio, when the
        session has no transcription, and until it has come: it may come after the reply (``ask(heard=True)`` and
        ``Turn.result(heard=True)`` wait for it)."""
        return self._heard.text

    @property
    def items(self) -> list[Any]:
        """The items that the response added to the conversation, in order."""
        if self.response is not None and self.response.output:
            return list(self.response.output)
        return [item for _, item in sorted(self._items.items())]

    @property
    def tool_calls(self) -> list[FunctionCall]:
        """The function calls that the model asks for, in order."""
        calls: list[FunctionCall] = []
        for call in (*self._calls, *(item for item in self.items if isinstance(item, FunctionCall))):
            known = next((place for place, earlier in enumerate(calls) if same_call(earlier, call)), None)
            if known is None:
                calls.append(call)
            else:
                calls[known] = filled(call, calls[known])
        return calls

    @property
    def approvals(self) -> list[McpApprovalRequest]:
        """The calls of hosted MCP tools that wait for an approval, in order: the model goes on when each is answered
        by an ``mcp_approval_response`` item and a response is asked for, which ``on_mcp_approval`` of
        `RealtimeSession.use_tools` does by itself."""
        return [item for item in self.items if isinstance(item, McpApprovalRequest)]

    @property
    def usage(self) -> Usage | None:
        """The tokens that this response cost, where the server says."""
        return self.response.usage if self.response is not None else None

    @property
    def status(self) -> str:
        """``in_progress``, then ``completed``, ``cancelled``, ``failed`` or ``incomplete``."""
        if self.response is None:
            return "in_progress"
        return self.response.status or "completed"

    def raise_for_status(self) -> Reply:
        """Return the reply itself; raises `ResponseFailed` unless it was completed."""
        if self.done and self.status != "completed":
            failed = ResponseFailed(
                f"the response ended as {self.status}{_reason(self.response)}",
                status=self.status,
                details=self.response.status_details if self.response else None,
                response=self.response,
            )
            failed.reply = self
            raise failed
        return self

    def __str__(self) -> str:
        return self.text or self.transcript

    def __repr__(self) -> str:
        calls = f", tool_calls={[call.name for call in self.tool_calls]}" if self.tool_calls else ""
        calls += f", approvals={[request.name for request in self.approvals]}" if self.approvals else ""
        audio_bytes = sum(len(piece) for part in self._parts.values() for piece in part.audio)
        return f"<Reply {self.status}: {str(self)!r}{calls}, {audio_bytes} bytes of audio>"

    def _repr_html_(self) -> str:
        from realtime_sync.state import display

        heard = self.heard
        parts = [] if heard is None else [display.text(heard, who="You:")]
        parts += [display.text(str(self))] if str(self) else []
        parts += [display.text(f"{call.name}({call.arguments or ''})", who="Call:") for call in self.tool_calls]
        usage = self.usage
        notes = [
            self.status + (_reason(self.response) if self.done else ""),
            f"{usage.input_tokens or 0} tokens in, {usage.output_tokens or 0} out" if usage is not None else "",
            f"first piece after {self.first_delta_s:.2f} s" if self.first_delta_s is not None else "",
            f"{self.duration_s:.2f} s in all" if self.duration_s is not None else "",
        ]
        return display.panel("Reply", *parts, display.player(self.wav), notes=notes)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: without the event that came last."""
        return {**self.__dict__, "_last_delta": None}

    def _begin(self, response_id: str | None, sound: Sound, heard: Heard, user_item_ids: tuple[str, ...]) -> None:
        """The response has begun: in which format its audio comes, and which audio of the user it answers."""
        self.response_id = response_id
        self._sound = sound
        self._heard = heard.of(user_item_ids)

    @property
    def _settled(self) -> bool:
        """Whether nothing more is to come to `heard`."""
        return self._heard.settled

    def apply(self, event: ServerEvent) -> None:
        """Take in one event of this response. A delta that is told again, after an interrupt, changes nothing."""
        gather = _GATHER.get(type(event))
        if gather is not None and event is not self._last_delta:
            gather(self, event)

    def end_unsent(self) -> None:
        """It was cancelled, and no server will say so: none has heard of it, or the connection is gone."""
        self.duration_s = now() - self._asked_at
        self.response = Response(status="cancelled")

    def _part(self, event: Any) -> _Pieces:
        return self._parts.setdefault((event.output_index or 0, event.content_index or 0), _Pieces())

    def _ordered(self) -> Iterable[_Pieces]:
        return [part for _, part in sorted(self._parts.items(), key=lambda entry: entry[0])]

    @property
    def _untold(self) -> bool:
        """Whether it has ended and no event of its own brought text or transcript: then its items may. Not decided part
        by part, which would double the text where a server numbers its outputs wrongly."""
        return self.done and not any(any(part.text) or any(part.transcript) for part in self._parts.values())

    def _whole_parts(self) -> list[Any]:
        """The parts of its messages, in order, as the server tells them at their end. Read late: it costs."""
        found = [part for item in self.items if isinstance(item, Message) for part in item.content or ()]
        return found or [event.part for _, event in sorted(self._ended_parts.items(), key=lambda entry: entry[0])]

    def _mark(self) -> None:
        if self.first_delta_s is None:
            self.first_delta_s = now() - self._asked_at

    def _text_delta(self, event: ResponseOutputTextDelta) -> None:
        self._mark()
        pieces, piece = self._part(event).text, event.delta or ""
        pieces += (piece,)  # by an operator: no interrupt comes between this and the note of it
        self._last_delta = event

    def _text_done(self, event: ResponseOutputTextDone) -> None:
        if event.text is not None:
            part = self._part(event)
            part.text = [whole_text(part.text, event.text)]

    def _transcript_delta(self, event: ResponseOutputAudioTranscriptDelta) -> None:
        self._mark()
        pieces, piece = self._part(event).transcript, event.delta or ""
        pieces += (piece,)
        self._last_delta = event

    def _transcript_done(self, event: ResponseOutputAudioTranscriptDone) -> None:
        if event.transcript is not None:
            part = self._part(event)
            part.transcript = [whole_text(part.transcript, event.transcript)]

    def _audio_delta(self, event: ResponseOutputAudioDelta) -> None:
        self._mark()
        if self.first_audio_s is None:
            self.first_audio_s = now() - self._asked_at
        try:
            pieces, piece = self._part(event).audio, event.delta_bytes
            pieces += (piece,)
            self._last_delta = event
        except InvalidEvent as error:  # the event itself is still there for handlers
            _log.warning("a piece of audio of the response is left out: %s", error)

    def _call_done(self, event: ResponseFunctionCallArgumentsDone) -> None:
        self._calls += (self._calls_begun.told(event),)  # by an operator: told again, it is the same call

    def _part_done(self, event: ResponseContentPartDone) -> None:
        self._ended_parts[event.output_index or 0, event.content_index or 0] = event

    def _item_added(self, event: ResponseOutputItemAdded) -> None:
        if isinstance(event.item, FunctionCall):
            self._calls_begun.begin(event.item)
            self._call_begun = event.item.name or "a function without a name"

    def _item_done(self, event: ResponseOutputItemDone) -> None:
        self._items[event.output_index or 0] = event.item

    def _done(self, event: ResponseDone) -> None:
        self.duration_s = now() - self._asked_at
        response: Response | None = or_none(event.response)
        self.response = Response() if response is None else response
        if self._call_begun and self.status == "completed" and not self.tool_calls:
            _log.warning("the server began a call of %s and never told its arguments whole: left out", self._call_begun)


_GATHER: Final[dict[type[ServerEvent], Callable[[Reply, Any], None]]] = {
    ResponseOutputTextDelta: Reply._text_delta,
    ResponseOutputTextDone: Reply._text_done,
    ResponseOutputAudioTranscriptDelta: Reply._transcript_delta,
    ResponseOutputAudioTranscriptDone: Reply._transcript_done,
    ResponseOutputAudioDelta: Reply._audio_delta,
    ResponseFunctionCallArgumentsDone: Reply._call_done,
    ResponseContentPartDone: Reply._part_done,
    ResponseOutputItemAdded: Reply._item_added,
    ResponseOutputItemDone: Reply._item_done,
    ResponseDone: Reply._done,
}


def _reason(response: Response | None) -> str:
    if response is None:
        return ""
    details = response.status_details
    error = details.error if details is not None else None
    said = [details and details.reason, error and (error.code or error.type), error and error.message]
    if not said[-1]:  # a compatible server may say it in its own way
        odd = [error and error.extra, details and details.extra, *map(response.extra.get, _REASONS)]
        text = next(filter(None, map(text_in, odd)), None)
        said.append(text or next((excerpt(other) for other in odd if other and not any(said)), None))
    told = ", ".join(str(word) for word in said if word)
    return f" ({told})" if told else ""
