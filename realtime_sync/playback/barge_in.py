"""The user interrupts the model: playing stops, and the conversation keeps only what was heard."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from realtime_sync._arguments import answered, check_function, check_session
from realtime_sync._latest import Latest
from realtime_sync.errors import ConfigurationError, RealtimeError
from realtime_sync.events import (
    InputAudioBufferSpeechStarted,
    ResponseCreated,
    ResponseDone,
    SessionResumed,
)
from realtime_sync.events.base import or_none
from realtime_sync.playback.tracker import HeardPart, PlaybackTracker
from realtime_sync.sending.acks import Ack
from realtime_sync.state.facts import Facts
from realtime_sync.state.responses import id_of

if TYPE_CHECKING:
    from realtime_sync.session.session import RealtimeSession

__all__ = ["BargeIn", "Cut", "Interruption"]

_log = logging.getLogger("realtime_sync")
_MOST_SPEAKING: Final = 256  # more than speak at once: a server may never tell the end of one


@attrs.frozen
class Cut:
    """What became of one content part: ``kept`` (all of it was heard), ``truncated`` at what was heard, or ``deleted``
    with its item, of which nothing was heard. ``ack`` is the handle of the change; ``None`` when none was sent."""

    part: HeardPart
    action: Literal["kept", "truncated", "deleted"]
    ack: Ack[Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Interruption:
    """What an interruption did: to the audio that was playing (``cuts``, in order), and the ids of the responses that
    were still speaking."""

    cuts: list[Cut]
    response_ids: list[str | None]

    def __bool__(self) -> bool:
        return bool(self.cuts or self.response_ids)


@answered
class BargeIn:
    """Lets the user interrupt: when speech starts (``input_audio_buffer.speech_started``), or by `interrupt`, here or
    of the session.

    The player is flushed, late audio of the responses that were speaking is dropped, and each item that was cut off is
    truncated to what was heard of it, or deleted when that is nothing. The responses are cancelled too where the
    server does not do so itself: ``server_interrupts`` says whether it does when speech starts; ``None`` takes it from
    the session's turn detection. What the server refuses (an item that is gone, say) is no error.

    ``on_interrupt`` is told of each interruption that found something to interrupt, on the thread that made it.

    Raises `ConfigurationError` for arguments of another kind.
    """

    def __init__(
        self,
        session: RealtimeSession,
        tracker: PlaybackTracker,
        *,
        server_interrupts: bool | None = None,
        on_interrupt: Callable[[Interruption], object] | None = None,
    ) -> None:
        check_session(session)
        if not isinstance(tracker, PlaybackTracker):
            raise ConfigurationError(f"tracker must be a PlaybackTracker, not {type(tracker).__name__}")
        if on_interrupt is not None:
            check_function(on_interrupt, "on_interrupt", "the interruption")
        self._session = session
        self._tracker = tracker
        self._server_interrupts = server_interrupts
        self._on_interrupt = on_interrupt
        self._lock = threading.Lock()  # guards _speaking
        self._speaking: dict[str | None, None] = Latest(_MOST_SPEAKING)  # with audio and not done, in order
        session.on(ResponseCreated, self._response_created)
        session.on(ResponseDone, self._response_done)
        session.on(InputAudioBufferSpeechStarted, self._speech_started)
        session.on(SessionResumed, self._resumed)
        session.add_interrupter(self._interrupted)

    def interrupt(self) -> Interruption:
        """Interrupt the model now, and cancel what it is saying. Does not wait; any thread."""
        return self._interrupt(cancel=True)

    def close(self) -> None:
        """Let the user interrupt no more."""
        self._session.off(ResponseCreated, self._response_created)
        self._session.off(ResponseDone, self._response_done)
        self._session.off(InputAudioBufferSpeechStarted, self._speech_started)
        self._session.off(SessionResumed, self._resumed)
        self._session.remove_interrupter(self._interrupted)

    def _interrupted(self) -> list[str | None]:
        return self.interrupt().response_ids

    def _response_created(self, event: ResponseCreated) -> None:
        response = or_none(event.response)
        modalities = response.output_modalities if response is not None else None
        if modalities is None or "audio" in modalities:
            with self._lock:
                self._speaking[id_of(response)] = None

    def _response_done(self, event: ResponseDone) -> None:
        with self._lock:
            self._speaking.pop(id_of(event.response), None)

    def _resumed(self, event: SessionResumed) -> None:
        with self._lock:  # what spoke over the connection before is gone
            self._speaking.clear()

    def _speech_started(self, event: InputAudioBufferSpeechStarted) -> None:
        interrupts = self._server_interrupts
        if interrupts is None:
            interrupts = Facts.of(self._session.config).server_interrupts
        self._interrupt(cancel=not interrupts)

    def _interrupt(self, *, cancel: bool) -> Interruption:
        with self._lock:
            speaking = dict(self._speaking)
            self._speaking.clear()
        for response_id in speaking:
            self._tracker.drop(response_id)
        heard = self._tracker.flush()
        # A compatible server may not have said that the response began.
        speaking.update((part.response_id, None) for part in heard if not part.complete)
        if cancel:
            for response_id in speaking:
                self._send(self._session.cancel_response, response_id)
        interruption = Interruption(self._cut(heard), list(speaking))
        if interruption and self._on_interrupt is not None:
            try:
                self._on_interrupt(interruption)
            except Exception:
                _log.exception("on_interrupt failed")
        return interruption

    def _cut(self, heard: list[HeardPart]) -> list[Cut]:
        """Make the conversation hold what was heard."""
        items: dict[str, list[HeardPart]] = {}
        for part in heard:
            items.setdefault(part.item_id, []).append(part)
        cuts: list[Cut] = []
        for item_id, parts in items.items():
            if not any(part.played_ms or part.over for part in parts):
                gone = self._send(self._session.delete_item, item_id)
                cuts.extend(Cut(part, "deleted", gone) for part in parts)
                continue
            cuts.extend(Cut(part, "kept") if part.over else self._truncate(part) for part in parts)
        return cuts

    def _truncate(self, part: HeardPart) -> Cut:
        ack = self._send(self._session.truncate_item, part.item_id, part.content_index, part.played_ms)
        return Cut(part, "truncated", ack)

    def _send(self, verb: Callable[..., Ack[Any]], *arguments: Any) -> Ack[Any] | None:
        try:
            ack = verb(*arguments)
        except RealtimeError as error:
            _log.info("the interruption could not be told to the server: %s", error)
            return None
        ack.exception()  # whoever wants to know of a refusal looks at the handle
        return ack
