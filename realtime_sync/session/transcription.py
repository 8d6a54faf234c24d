"""A whole recording through a transcription session: sent piece by piece, and its text in order as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, Protocol

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import check_function
from realtime_sync._deadline import Deadline, now
from realtime_sync.delivery.dispatcher import WAITER, Dispatcher
from realtime_sync.errors import ConnectionLost, InvalidEvent, RealtimeError, RealtimeTimeout, ServerError
from realtime_sync.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ServerEvent,
    ServerVad,
    SessionResumed,
    SessionUpdated,
    TranscriptionError,
)
from realtime_sync.events.base import or_none
from realtime_sync.sending.acks import Ack
from realtime_sync.state.facts import Facts, Sound

__all__ = ["Segment", "Transcription", "check_transcribes"]

PIECE_S: Final = 0.2
"""How much audio goes into one message, in seconds."""

SHORTEST_MS: Final = 100
"""A commit takes no less audio than that."""

_SILENCE: Final = {"pcmu": b"\xff", "pcma": b"\xd5"}
_EVENTS: Final = (
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    SessionResumed,
)


@attrs.frozen(kw_only=True)
class Segment:
    """A stretch of speech: what the server took for one, or what lay between two commits."""

    text: str
    """What was said; empty when it could not be understood."""
    start_ms: int | None
    """Where it begins, in milliseconds from the beginning of the recording; ``None`` when the server did not say."""
    end_ms: int | None
    """Where it ends."""
    item_id: str
    """The item that it is in the conversation."""
    error: TranscriptionError | None = None
    """Why it could not be understood."""

    def __str__(self) -> str:
        return self.text


@attrs.define(eq=False)
class _Stretch:
    """A segment as it becomes known."""

    start_ms: int | None = None
    end_ms: int | None = None
    text: str | None = None
    error: TranscriptionError | None = None

    @property
    def settled(self) -> bool:
        return self.text is not None or self.error is not None


class Speaking(Protocol):
    """What of a session is used."""

    def append_audio_bytes(self, pcm: bytes) -> None: ...
    def commit_audio(self) -> Ack[InputAudioBufferCommitted]: ...
    def clear_audio(self) -> Ack[InputAudioBufferCleared]: ...
    def update_session(self, config: dict[str, object], /) -> Ack[SessionUpdated]: ...


def check_transcribes(facts: Facts) -> None:
    """Raises `InvalidEvent` for a session that cannot transcribe a recording."""
    if facts.kind in ("realtime", "translation"):
        raise InvalidEvent(
            f"this is a {facts.kind} session: transcribe() wants one of its own,"
            ' connect(intent="transcription", session={"type": "transcription", ...})'
        )
    if not facts.transcribes:
        raise InvalidEvent(
            "this session has no transcription: name a model for it,"
            ' session={"type": "transcription", "audio": {"input": {"transcription": {"model": ...}}}}'
        )


class Transcription:
    """One recording on its way. Use it on one thread."""

    def __init__(
        self,
        session: Speaking,
        dispatcher: Dispatcher,
        facts: Facts,
        coded: bytes,
        *,
        before_ms: Callable[[], float],
        progress: Callable[[int, int], object] | None,
        pace: float | None,
        segment_s: float,
        timeout: float | None,
    ) -> None:
        self._session = session
        self._dispatcher = dispatcher
        self._facts = facts
        self._coded = coded
        self._sent_before = before_ms
        self._before_ms = 0.0  # what was sent ahead of it over this connection: the server counts from the first byte
        if progress is not None:
            check_function(progress, "progress", "the milliseconds sent", "those of all")
        self._progress = progress
        self._pace = _limits.pace("pace", pace)
        self._segment_s = max(_limits.seconds("segment_s", segment_s), SHORTEST_MS / 1000)
        self._timeout = timeout
        Deadline(timeout)  # raises for what is no time limit
        self._stretches: dict[str, _Stretch] = {}
        self._order: list[str] = []  # items that were committed and not given yet
        self._nameless: list[str] = []  # keys of those whose confirmation named no item, until a transcript does
        self._cuts: list[tuple[Ack[InputAudioBufferCommitted], int, int]] = []  # our own commits, with their bounds
        self._speaking: set[str] = set()
        self._replaced = False
        self.sent_ms = 0.0
        """How much audio was sent, silence included."""

    def segments(self) -> Iterator[Segment]:
        """Send, and give each segment when it and all before it are known."""
        if not self._facts.manual:
            self._barrier()  # what is left of something before must not be taken for a part of this
        self._dispatcher.subscribe(WAITER, self._receive, *_EVENTS)
        self._before_ms = self._sent_before()
        whole = False
        try:
            yield from self._send()
            self._finish()
            while self._order or self._cuts:
                self._wait(lambda: self._is_next or self._refused, Deadline(self._timeout), "the next transcript")
                if self._refused:
                    self._cuts[0][0].result(0)
                yield from self._ready()
            whole = True
        finally:
            self._dispatcher.unsubscribe(WAITER, self._receive, *_EVENTS)
            if not whole:
                with suppress(RealtimeError):  # what is left of it must not be heard with the next one
                    self._session.clear_audio().exception()

    def _send(self) -> Iterator[Segment]:
        sound = self._facts.input
        size = _whole(sound, PIECE_S)
        total_ms = _ms(len(self._coded), sound)
        commit_at = _whole(sound, self._segment_s) if self._facts.manual else 0
        cut = 0
        began = now()
        for start in range(0, len(self._coded), size):
            piece = self._coded[start : start + size]
            self._session.append_audio_bytes(piece)
            end = start + len(piece)
            self.sent_ms += _ms(len(piece), sound)
            left = len(self._coded) - end
            if commit_at and end - cut >= commit_at and _ms(left, sound) >= SHORTEST_MS:
                self._commit(_ms(cut, sound), _ms(end, sound))
                cut = end
            if self._progress is not None:
                self._progress(round(_ms(end, sound)), round(total_ms))
            due_s = began + _ms(end, sound) / 1000 / self._pace - now() if self._pace and left else 0.0
            with suppress(RealtimeTimeout):  # nothing to give yet
                self._wait(lambda: False, Deadline(max(0.0, due_s)), "the next piece")
            yield from self._ready()
        if commit_at:
            self._pad(max(0.0, SHORTEST_MS - _ms(len(self._coded) - cut, sound)))
            self._commit(_ms(cut, sound), total_ms)

    def _finish(self) -> None:
        """Let the server find the end of the last speech, and hear of all that it has found."""
        if self._facts.manual:
            return
        detection = self._facts.turn_detection
        told_ms = detection.silence_duration_ms if isinstance(detection, ServerVad) else 1500
        self._pad((500 if told_ms is None else told_ms) + 500)
        self._barrier()
        if self._speaking:  # it waits for more silence: what it has is all that comes
            with suppress(ServerError):  # the server was faster
                ack = self._session.commit_audio()
                self._wait(lambda: ack.done, Deadline(self._timeout), "the last commit")
                ack.result(0)

    def _barrier(self) -> None:
        """What the server answers after this, it has said after it had heard all: messages are taken in order."""
        ack = self._session.update_session({})
        self._wait(lambda: ack.done, Deadline(self._timeout), "the server to hear all of the recording")
        ack.exception()

    def _pad(self, silence_ms: float) -> None:
        if silence_ms > 0:
            sound = self._facts.input
            self._session.append_audio_bytes(_SILENCE.get(sound.code or "", b"\0") * _whole(sound, silence_ms / 1000))
            self.sent_ms += silence_ms

    def _commit(self, start_ms: float, end_ms: float) -> None:
        self._cuts.append((self._session.commit_audio(), round(start_ms), round(end_ms)))

    def _wait(self, done: Callable[[], bool], deadline: Deadline, what: str) -> None:
        self._dispatcher.wait(lambda: self._replaced or done(), deadline, what)
        if self._replaced:
            raise ConnectionLost(
                "the connection was replaced while a recording was transcribed: what had not come of it is lost; the"
                " session goes on"
            )

    @property
    def _refused(self) -> bool:
        """Whether the oldest commit that is not confirmed was refused: then nothing comes of it."""
        return bool(self._cuts) and self._cuts[0][0].done

    @property
    def _is_next(self) -> bool:
        return bool(self._order) and self._stretches[self._order[0]].settled

    def _ready(self) -> Iterator[Segment]:
        while self._is_next:
            item_id = self._order.pop(0)
            stretch = self._stretches.pop(item_id)
            yield Segment(
                text=stretch.text or "",
                start_ms=stretch.start_ms,
                end_ms=stretch.end_ms,
                item_id=item_id,
                error=stretch.error,
            )

    def _receive(self, event: ServerEvent) -> None:
        item_id: str = getattr(event, "item_id", None) or ""
        if isinstance(event, SessionResumed):
            self._replaced = True
        elif isinstance(event, InputAudioBufferCommitted):
            if self._facts.manual:
                self._confirmed(event)
            else:
                self._of(item_id)
                self._order.append(item_id)
                self._speaking.discard(item_id)
        elif isinstance(event, InputAudioBufferSpeechStarted):
            self._speaking.add(item_id)
            self._of(item_id).start_ms = self._place(event.audio_start_ms)
        elif isinstance(event, InputAudioBufferSpeechStopped):
            self._speaking.discard(item_id)
            self._of(item_id).end_ms = self._place(event.audio_end_ms)
        elif isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            self._heard(item_id).text = event.transcript or ""
        elif isinstance(event, ConversationItemInputAudioTranscriptionFailed):
            self._heard(item_id).error = or_none(event.error) or TranscriptionError()

    def _confirmed(self, event: InputAudioBufferCommitted) -> None:
        """A commit is confirmed: ours, or that of a recording that was left early."""
        for cut in self._cuts:
            ack, start_ms, end_ms = cut
            if ack.confirmation is event:
                self._cuts.remove(cut)
                key = event.item_id
                if not key:
                    key = f"the commit at {start_ms} ms"
                    self._nameless.append(key)
                self._stretches[key] = _Stretch(start_ms, end_ms)
                self._order.append(key)
                return

    def _heard(self, item_id: str) -> _Stretch:
        """The segment that a transcript is of, or one that nobody asks for where it is of no part of this recording."""
        if item_id not in self._stretches and self._nameless:
            key = self._nameless.pop(0)
            self._order[self._order.index(key)] = item_id
            self._stretches[item_id] = self._stretches.pop(key)
        return self._stretches.get(item_id) or _Stretch()

    def _of(self, item_id: str) -> _Stretch:
        return self._stretches.setdefault(item_id, _Stretch())

    def _place(self, at_ms: int | None) -> int | None:
        """From the beginning of this recording on, within it."""
        if at_ms is None:
            return None
        return round(min(max(0.0, at_ms - self._before_ms), _ms(len(self._coded), self._facts.input)))


def _ms(size_bytes: int, sound: Sound) -> float:
    return size_bytes * 1000 / sound.bytes_per_s


def _whole(sound: Sound, seconds: float) -> int:
    """So many bytes, of whole samples."""
    return max(1, round(sound.rate_hz * seconds)) * (sound.bytes_per_s // sound.rate_hz)
