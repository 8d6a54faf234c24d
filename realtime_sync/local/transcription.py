"""Understanding the user's speech, and telling the client what was understood."""

from __future__ import annotations

import threading
from typing import Any

from realtime_sync.local.conversation import StoredItem
from realtime_sync.local.core import Core
from realtime_sync.local.script import Failure
from realtime_sync.local.speech import words_of
from realtime_sync.local.usage import transcription_usage

__all__ = ["Transcription"]

_UNINTELLIGIBLE = Failure("The audio could not be transcribed.", "audio_unintelligible", "transcription_error")


class Transcription:
    """Transcribes committed audio: for the model on demand, and as events where the session asks for them.

    With scripted transcripts each committed item claims the next one, in the order of the commits.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        # Guards what the items were heard as, and lets one transcription run at a time: a transcriber given by the
        # user need not be thread-safe. Never taken by a thread that holds the session's lock.
        self._lock = threading.Lock()

    def committed(self, item: StoredItem) -> None:
        """New audio of the user: transcribe it where the session is configured to."""
        options = self._core.options
        if options.transcripts is not None:
            item.heard = options.transcripts.next(_UNINTELLIGIBLE)
        transcription = self._core.config["audio"]["input"]["transcription"]
        if transcription is not None:
            logprobs = "item.input_audio_transcription.logprobs" in (self._core.config["include"] or ())
            model = transcription["model"]
            self._core.run_aside(f"transcription-{item.id}", lambda: self._transcribe(item, model, logprobs))

    def heard(self, item: StoredItem) -> str:
        """What was said in an item; nothing where it could not be understood."""
        heard = self._listen(item)
        return heard if isinstance(heard, str) else ""

    def _listen(self, item: StoredItem) -> str | Failure:
        with self._lock:
            if item.heard is None:
                pcm = item.audio_format.to_pcm(b"".join(bytes(part) for part in item.audio.values()))
                try:
                    heard = self._core.options.transcriber(pcm, item.audio_format.rate_hz)
                    if not isinstance(heard, str):
                        raise TypeError(f"a transcriber returns text, not {type(heard).__name__}")
                    item.heard = heard
                except Exception as error:
                    self._core.report(error)
                    item.heard = _UNINTELLIGIBLE
            return item.heard

    def _transcribe(self, item: StoredItem, model: str | None, logprobs: bool) -> None:
        core = self._core
        transcript = self._listen(item)
        if isinstance(transcript, Failure):
            error = {"type": transcript.type, "code": transcript.code, "message": transcript.message, "param": None}
            self._tell("failed", item, error=error)
            return
        # Only whisper-1 tells everything at once.
        pieces = [transcript] if model == "whisper-1" else words_of(transcript)
        for piece in pieces:
            more = {"logprobs": _logprobs([piece])} if logprobs else {}
            self._tell("delta", item, delta=piece, **more)
        if model == "gpt-4o-transcribe-diarize":
            end = round(item.audio_ms / 1000, 3)
            segment = {"id": core.new_id("seg"), "start": 0.0, "end": end, "speaker": "A", "text": transcript}
            self._tell("segment", item, **segment)
        with core.lock:
            item.data["content"][0]["transcript"] = transcript
        more = {"logprobs": _logprobs(pieces)} if logprobs else {}
        usage = transcription_usage(model, item.audio_ms, transcript)
        self._tell("completed", item, transcript=transcript, usage=usage, **more)

    def _tell(self, what: str, item: StoredItem, **fields: Any) -> None:
        event_type = f"conversation.item.input_audio_transcription.{what}"
        self._core.tell(event_type, item_id=item.id, content_index=0, **fields)


def _logprobs(pieces: list[str]) -> list[dict[str, object]]:
    return [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode())} for piece in pieces]
