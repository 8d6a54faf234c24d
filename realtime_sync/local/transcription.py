"""Understanding the user's speech, and telling the client what was understood."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from realtime_sync.local.conversation import StoredItem
from realtime_sync.local.core import Core
from realtime_sync.local.script import Failure, Gate, Transcript
from realtime_sync.local.speech import describe_audio, words_of
from realtime_sync.local.usage import transcription_usage

__all__ = ["Transcription"]

JsonObject = dict[str, Any]
Event = tuple[str, JsonObject]
Events = Iterator[Event]

_UNINTELLIGIBLE = Failure("The audio could not be transcribed.", "audio_unintelligible", "transcription_error")


class Transcription:
    """Transcribes committed audio: for the model on demand, and as events where the session asks for them.

    With scripted transcripts each committed item claims the next one, in the order of the commits. What is known at
    the commit (a scripted transcript, the stand-in for one) is told at once, so that the order of events is the same
    each time; a transcriber of the user takes its time on a thread of its own.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        # Guards what the items were heard as, and lets one transcription run at a time: a transcriber given by the
        # user need not be thread-safe. Never taken by a thread that holds the session's lock.
        self._lock = threading.Lock()
        self._late: list[Events] = []

    def committed(self, item: StoredItem) -> None:
        """New audio of the user: transcribe it where the session is configured to. Wants the session's lock."""
        options, config = self._core.options, self._core.config
        late = False
        script = self._core.request.transcripts or options.transcripts
        if script is not None:
            entry = script.next(_UNINTELLIGIBLE)
            scripted = entry if isinstance(entry, Transcript) else Transcript(entry)
            item.heard, late = scripted.text, scripted.late and config["type"] == "realtime"
        elif options.transcriber is describe_audio:
            item.heard = describe_audio(*_pcm_of(item))
        transcription = config["audio"]["input"]["transcription"]
        if transcription is None:
            return
        logprobs = "item.input_audio_transcription.logprobs" in (config["include"] or ())
        events = self._events(item, transcription["model"], logprobs)
        if late:
            self._late.append(events)
        elif item.heard is not None:
            self._tell_now(events)
        else:
            self._core.run_aside(f"transcription-{item.id}", partial(self._tell, events))

    def tell_late(self) -> None:
        """A response of the conversation has ended: tell what waited for that. Wants the session's lock."""
        late, self._late = self._late, []
        for events in late:
            self._tell_now(events)

    def heard(self, item: StoredItem) -> str:
        """What was said in an item; nothing where it could not be understood."""
        heard = self._listen(item)
        return heard if isinstance(heard, str) else ""

    def _listen(self, item: StoredItem) -> str | Failure:
        if item.heard is not None:
            return item.heard
        with self._lock:
            if item.heard is None:
                try:
                    heard = self._core.options.transcriber(*_pcm_of(item))
                    if not isinstance(heard, str):
                        raise TypeError(f"a transcriber returns text, not {type(heard).__name__}")
                    item.heard = heard
                except Exception as error:
                    self._core.report(error)
                    item.heard = _UNINTELLIGIBLE
            return item.heard

    def _tell_now(self, events: Events) -> None:
        """Send the events; from the first one in front of which a gate is shut on, on a thread that waits there."""
        core = self._core
        for event in events:
            gates = core.arrive(event[0])
            if gates:
                core.run_aside(f"transcription-{event[1]['item_id']}", partial(self._tell_behind, gates, event, events))
                return
            core.emit(event[0], **event[1])

    def _tell_behind(self, gates: Sequence[Gate], event: Event, events: Events) -> None:
        self._core.wait_open(gates, lambda: self._core.ended)
        self._core.emit(event[0], **event[1])
        self._tell(events)

    def _tell(self, events: Events) -> None:
        for event_type, fields in events:
            self._core.tell(event_type, **fields)

    def _events(self, item: StoredItem, model: str | None, logprobs: bool) -> Events:
        def event(what: str, **fields: Any) -> Event:
            event_type = f"conversation.item.input_audio_transcription.{what}"
            return event_type, {"item_id": item.id, "content_index": 0, **fields}

        core = self._core
        transcript = self._listen(item)
        if isinstance(transcript, Failure):
            error = {"type": transcript.type, "code": transcript.code, "message": transcript.message, "param": None}
            yield event("failed", error=error)
            return
        # Only whisper-1 tells everything at once.
        pieces = [transcript] if model == "whisper-1" else words_of(transcript)
        for piece in pieces:
            more = {"logprobs": _logprobs([piece])} if logprobs else {}
            yield event("delta", delta=piece, **more)
        if model == "gpt-4o-transcribe-diarize":
            end = round(item.audio_ms / 1000, 3)
            yield event("segment", id=core.new_id("seg"), start=0.0, end=end, speaker="A", text=transcript)
        with core.lock:
            item.data["content"][0]["transcript"] = transcript
        more = {"logprobs": _logprobs(pieces)} if logprobs else {}
        usage = transcription_usage(model, item.audio_ms, transcript)
        yield event("completed", transcript=transcript, usage=usage, **more)


def _pcm_of(item: StoredItem) -> tuple[bytes, int]:
    pcm = item.audio_format.to_pcm(b"".join(bytes(part) for part in item.audio.values()))
    return pcm, item.audio_format.rate_hz


def _logprobs(pieces: list[str]) -> list[dict[str, object]]:
    return [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode())} for piece in pieces]
