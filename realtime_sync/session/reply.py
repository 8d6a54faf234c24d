"""What came of one response: text, transcript, audio, calls, usage and timing, gathered from its events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from realtime_sync._deadline import now
from realtime_sync.errors import InvalidEvent, ResponseFailed
from realtime_sync.events import (
    FunctionCall,
    Response,
    ResponseDone,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerEvent,
    Usage,
)
from realtime_sync.events.base import or_none
from realtime_sync.state.conversation.record import whole_text

__all__ = ["Reply"]

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
        self._parts: dict[tuple[int, int], _Pieces] = {}
        self._items: dict[int, Any] = {}
        self._calls: dict[str, FunctionCall] = {}
        self._asked_at = now()
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

    @property
    def done(self) -> bool:
        """Whether the response has ended, well or not."""
        return self.response is not None

    @property
    def text(self) -> str:
        """The text output of all its items, in order."""
        return "".join(piece for part in self._ordered() for piece in part.text)

    @property
    def transcript(self) -> str:
        """What the audio output says, in order."""
        return "".join(piece for part in self._ordered() for piece in part.transcript)

    @property
    def audio(self) -> bytes:
        """The audio output in the session's format; by default 24 kHz mono s16le."""
        return b"".join(piece for part in self._ordered() for piece in part.audio)

    @property
    def items(self) -> list[Any]:
        """The items that the response added to the conversation, in order."""
        if self.response is not None and self.response.output:
            return list(self.response.output)
        return [item for _, item in sorted(self._items.items())]

    @property
    def tool_calls(self) -> list[FunctionCall]:
        """The function calls that the model asks for, in order."""
        calls = dict(self._calls)
        calls.update((item.call_id or item.id or "", item) for item in self.items if isinstance(item, FunctionCall))
        return list(calls.values())

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
            raise ResponseFailed(
                f"the response ended as {self.status}{_reason(self.response)}",
                status=self.status,
                details=self.response.status_details if self.response else None,
                response=self.response,
            )
        return self

    def __str__(self) -> str:
        return self.text or self.transcript

    def __repr__(self) -> str:
        calls = f", tool_calls={[call.name for call in self.tool_calls]}" if self.tool_calls else ""
        audio_bytes = sum(len(piece) for part in self._parts.values() for piece in part.audio)
        return f"<Reply {self.status}: {str(self)!r}{calls}, {audio_bytes} bytes of audio>"

    def apply(self, event: ServerEvent) -> None:
        """Take in one event of this response."""
        gather = _GATHER.get(type(event))
        if gather is not None:
            gather(self, event)

    def end_unsent(self) -> None:
        """It was cancelled before the server heard of it."""
        self.duration_s = now() - self._asked_at
        self.response = Response(status="cancelled")

    def _part(self, event: Any) -> _Pieces:
        return self._parts.setdefault((event.output_index or 0, event.content_index or 0), _Pieces())

    def _ordered(self) -> Iterable[_Pieces]:
        return [part for _, part in sorted(self._parts.items(), key=lambda entry: entry[0])]

    def _mark(self) -> None:
        if self.first_delta_s is None:
            self.first_delta_s = now() - self._asked_at

    def _text_delta(self, event: ResponseOutputTextDelta) -> None:
        self._mark()
        pieces = self._part(event).text
        pieces += (event.delta or "",)  # not by a call, behind which an interrupt could come: see `Dispatcher`

    def _text_done(self, event: ResponseOutputTextDone) -> None:
        if event.text is not None:
            part = self._part(event)
            part.text = [whole_text(part.text, event.text)]

    def _transcript_delta(self, event: ResponseOutputAudioTranscriptDelta) -> None:
        self._mark()
        pieces = self._part(event).transcript
        pieces += (event.delta or "",)

    def _transcript_done(self, event: ResponseOutputAudioTranscriptDone) -> None:
        if event.transcript is not None:
            part = self._part(event)
            part.transcript = [whole_text(part.transcript, event.transcript)]

    def _audio_delta(self, event: ResponseOutputAudioDelta) -> None:
        self._mark()
        if self.first_audio_s is None:
            self.first_audio_s = now() - self._asked_at
        try:
            pieces, audio = self._part(event).audio, event.delta_bytes
            pieces += (audio,)
        except InvalidEvent as error:  # the event itself is still there for handlers
            _log.warning("a piece of audio of the response is left out: %s", error)

    def _call_done(self, event: ResponseFunctionCallArgumentsDone) -> None:
        self._calls[event.call_id or event.item_id] = FunctionCall(
            id=event.item_id, call_id=event.call_id, name=event.name, arguments=event.arguments
        )

    def _item_done(self, event: ResponseOutputItemDone) -> None:
        self._items[event.output_index or 0] = event.item

    def _done(self, event: ResponseDone) -> None:
        self.duration_s = now() - self._asked_at
        response: Response | None = or_none(event.response)
        self.response = Response() if response is None else response


_GATHER: Final[dict[type[ServerEvent], Callable[[Reply, Any], None]]] = {
    ResponseOutputTextDelta: Reply._text_delta,
    ResponseOutputTextDone: Reply._text_done,
    ResponseOutputAudioTranscriptDelta: Reply._transcript_delta,
    ResponseOutputAudioTranscriptDone: Reply._transcript_done,
    ResponseOutputAudioDelta: Reply._audio_delta,
    ResponseFunctionCallArgumentsDone: Reply._call_done,
    ResponseOutputItemDone: Reply._item_done,
    ResponseDone: Reply._done,
}


def _reason(response: Response | None) -> str:
    details = response.status_details if response is not None else None
    if details is None:
        return ""
    error = details.error
    said = [details.reason, error and (error.code or error.type), error and error.extra.get("message")]
    told = ", ".join(str(word) for word in said if word)
    return f" ({told})" if told else ""
