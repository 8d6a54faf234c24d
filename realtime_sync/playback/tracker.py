"""What the user has heard: which part of the model's audio was received, handed to the player, and played."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from threading import Condition
from typing import TYPE_CHECKING, Any, Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_function, check_kind, check_session
from realtime_sync._deadline import Deadline
from realtime_sync._latest import Latest
from realtime_sync.errors import ConfigurationError, InvalidEvent
from realtime_sync.events import (
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    SessionResumed,
)
from realtime_sync.events.base import or_none
from realtime_sync.state.facts import Facts, Sound, sound_of
from realtime_sync.state.responses import id_of

if TYPE_CHECKING:
    from realtime_sync.session.session import RealtimeSession

__all__ = ["AudioChunk", "HeardPart", "PlaybackTracker"]

_log = logging.getLogger("realtime_sync")
_MOST_KEPT: Final = 256
"""Of responses whose end is not told, and of parts that are not reported as played to their end."""
_MOST_CREDIT: Final = 2**50
"""Bytes or milliseconds: more than was ever handed out."""
_MOST_READ_BYTES: Final = 2**28
_SILENCE: Final = {"pcmu": b"\xff", "pcma": b"\xd5"}  # of PCM it is 0


@attrs.define(eq=False)
class _Part:
    """The audio of one content part. Sizes are in bytes; what was played may end within a sample."""

    response_id: str | None
    item_id: str
    content_index: int
    sound: Sound
    received: int = 0
    taken: int = 0
    played: Fraction = Fraction(0)
    complete: bool = False
    flushed: bool = False

    @property
    def bytes_per_s(self) -> int:
        return self.sound.bytes_per_s

    @property
    def over(self) -> bool:
        return self.complete and self.played == self.received

    def play(self, size: Fraction) -> Fraction:
        """Count what of ``size`` can have been of this part, and return it."""
        heard = max(Fraction(0), min(size, self.taken - self.played))
        self.played += heard
        return heard

    def shown(self) -> HeardPart:
        return HeardPart(
            self.response_id,
            self.item_id,
            self.content_index,
            int(self.played * 1000 / self.bytes_per_s),
            self.received * 1000 // self.bytes_per_s,
            self.complete,
            self.over,
        )


@attrs.frozen
class AudioChunk:
    """A piece of the model's audio for the player, in the session's output format, and where it belongs."""

    audio: bytes = attrs.field(repr=lambda audio: f"<{len(audio)} bytes>")
    response_id: str | None
    item_id: str
    content_index: int
    _part: _Part = attrs.field(repr=False, eq=False)

    @property
    def flushed(self) -> bool:
        """Whether the tracker was flushed since: then it is not to be played (any further)."""
        return self._part.flushed


@attrs.frozen
class HeardPart:
    """How much of one content part was received and played, in milliseconds rounded down. ``complete`` says that all
    of it was received, ``over`` that all of it was also played, to the last sample."""

    response_id: str | None
    item_id: str
    content_index: int
    played_ms: int
    received_ms: int
    complete: bool
    over: bool


@answered
class PlaybackTracker:
    """Hands the model's audio to a player, in order, and counts what was played of each content part.

    `attach` it to a session. A sound card's callback takes what it needs with `read`, which counts by itself. Any other
    player `take`s chunks (or iterates over them), and says with `played` or `played_ms` how much of what it took has
    sounded, in the order in which it was handed out. Without a player of either kind, ``on_chunk`` gets each chunk on
    the thread that dispatches, and nothing is kept. ``on_flush`` is called by `flush`, to stop the player and drop what
    it has buffered; it may report the last `played` audio.

    All methods may be called from any thread. Chunks wait without a limit until they are taken: the server sends
    faster than they sound.
    """

    def __init__(
        self,
        *,
        on_chunk: Callable[[AudioChunk], object] | None = None,
        on_flush: Callable[[], object] | None = None,
    ) -> None:
        if on_chunk is not None:
            check_function(on_chunk, "on_chunk", "the chunk")
        if on_flush is not None:
            check_function(on_flush, "on_flush")
        self._on_chunk = on_chunk
        self._on_flush = on_flush
        self._session: RealtimeSession | None = None
        self._lock = threading.RLock()  # guards all below
        self._changed = Condition(self._lock)  # notified when a chunk comes or nothing more will
        self._chunks: deque[tuple[_Part, bytes]] = deque()
        self._parts: list[_Part] = []
        self._sounds: dict[str | None, Sound] = Latest(_MOST_KEPT)  # of the responses that have a format of their own
        self._dropped: dict[str | None, None] = Latest(_MOST_KEPT)  # responses of which nothing more is played
        self._last_sound: Sound | None = None  # what `read` gave last: silence goes on in it
        self._closed = False

    # The session's side

    def attach(self, session: RealtimeSession) -> None:
        """Follow the audio of a session from now on. Once for each tracker: else, and for what is no session, raises
        `ConfigurationError`."""
        check_session(session)
        if self._session is not None:
            raise ConfigurationError("a tracker follows one session")
        self._session = session
        session.on(ResponseCreated, self._response_created)
        session.on(ResponseOutputAudioDelta, self._receive)
        session.on(ResponseOutputAudioDone, self._audio_done)
        session.on(ResponseDone, self._response_done)
        session.on(SessionResumed, self._resumed)

    def close(self) -> None:
        """Follow the session no more; `take` gives what is left, then nothing."""
        session = self._session
        if session is not None:
            session.off(ResponseCreated, self._response_created)
            session.off(ResponseOutputAudioDelta, self._receive)
            session.off(ResponseOutputAudioDone, self._audio_done)
            session.off(ResponseDone, self._response_done)
            session.off(SessionResumed, self._resumed)
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def _response_created(self, event: ResponseCreated) -> None:
        own = sound_of(or_none(event.response))
        if own is not None:
            with self._lock:
                self._sounds[id_of(event.response)] = own

    def _receive(self, event: ResponseOutputAudioDelta) -> None:
        try:
            audio = event.delta_bytes
        except InvalidEvent as error:
            _log.warning("an audio delta is left out: %s", error)
            return
        config = self._session.config if self._session is not None else None
        with self._lock:
            if event.response_id in self._dropped or not audio:
                return
            part = self._part_locked(event, config)
            part.received += len(audio)
            if self._on_chunk is None:
                self._chunks.append((part, audio))
                self._changed.notify_all()
                return
            part.taken += len(audio)
        self._on_chunk(_chunk(part, audio))

    def _audio_done(self, event: ResponseOutputAudioDone) -> None:
        with self._lock:
            for part in self._parts:
                if (part.item_id, part.content_index) == _place(event):
                    part.complete = True

    def _response_done(self, event: ResponseDone) -> None:
        response_id = id_of(event.response)
        with self._lock:
            for part in self._parts:
                part.complete = part.complete or response_id is None or part.response_id in (response_id, None)
            for known in (response_id, None):  # None: a server that leaves the id out of its deltas
                self._dropped.pop(known, None)
            self._sounds.pop(response_id, None)

    def _resumed(self, event: SessionResumed) -> None:
        with self._lock:  # what spoke over the connection before is gone
            for part in self._parts:
                part.complete = True
            self._dropped.clear()
            self._sounds.clear()

    def _part_locked(self, event: ResponseOutputAudioDelta, config: Any) -> _Part:
        item_id, content_index = _place(event)
        for part in reversed(self._parts):
            if (part.item_id, part.content_index) == (item_id, content_index):
                return part
        # What has sounded to its end, with all other parts of its item, needs no bookkeeping any more.
        going = {part.item_id for part in self._parts if not part.over} | {item_id}
        self._parts = [part for part in self._parts if part.item_id in going]
        spare = len(self._parts) - _MOST_KEPT  # of a player that does not report what it has played
        silent = [part for part in self._parts if part.complete and part.taken == part.received][: max(0, spare)]
        self._parts = [part for part in self._parts if part not in silent]
        sound = self._sounds.get(event.response_id) or Facts.of(config).output
        self._parts.append(_Part(event.response_id, item_id, content_index, sound))
        return self._parts[-1]

    # The player's side

    def take(self, timeout: float | None = 0.0, *, max_bytes: int | None = None) -> AudioChunk | None:
        """The next chunk to play, at most ``max_bytes`` of it. Waits up to ``timeout`` seconds for one (``None``: as
        long as the session lives); ``None`` when there is none. Raises `ConfigurationError` for an impossible timeout
        or size."""
        deadline = Deadline(timeout)
        if max_bytes is not None:
            max_bytes = _limits.size("max_bytes", max_bytes, least=0)
        with self._lock:
            while not self._chunks:
                if self._closed or deadline.expired or (self._session is not None and self._session.closed):
                    return None
                self._changed.wait(deadline.slice())
            part, audio = self._chunks.popleft()
            if max_bytes is not None and len(audio) > max_bytes:
                self._chunks.appendleft((part, audio[max_bytes:]))
                audio = audio[:max_bytes]
            part.taken += len(audio)
        return _chunk(part, audio)

    def read(self, size_bytes: int) -> bytes:
        """Exactly ``size_bytes`` of audio to play now, for the callback of a sound card: what waits, across chunks,
        then silence in the format of the output. What comes out of here counts as played at once, silence not; so do
        not report it with `played`, and do not `take` from the same tracker. What the card itself still holds (usually
        10 to 100 ms) counts as heard with it.

        Never waits for audio and never raises but `ConfigurationError`, for a size that is negative or above 2**28, or
        no whole number of samples where the output is PCM (2 bytes each; G.711: 1). Any thread.
        """
        size_bytes = _limits.size("size_bytes", size_bytes, least=0, most=_MOST_READ_BYTES)
        config = self._session.config if self._session is not None else None
        with self._lock:
            sound = self._chunks[0][0].sound if self._chunks else self._last_sound or Facts.of(config).output
            width_bytes = sound.bytes_per_s // sound.rate_hz
            if size_bytes % width_bytes:
                raise ConfigurationError(f"{size_bytes} bytes are no whole number of samples of {width_bytes} bytes")
            self._last_sound = sound
            filled = bytearray()
            last: _Part | None = None
            while len(filled) < size_bytes and self._chunks:
                part, audio = self._chunks.popleft()
                if part is not last:
                    _cut_to_samples(filled, width_bytes)
                last = part
                missing = size_bytes - len(filled)
                piece, rest = audio[:missing], audio[missing:]
                waits = not self._chunks and not rest and (len(filled) + len(piece)) % width_bytes and not part.complete
                if waits:
                    piece, rest = piece[:-1], piece[-1:]  # the other half of this sample is still to come
                if rest:
                    self._chunks.appendleft((part, rest))
                part.taken += len(piece)
                part.play(Fraction(len(piece)))
                filled += piece
                if waits:
                    break
            _cut_to_samples(filled, width_bytes)
        return bytes(filled) + _SILENCE.get(sound.code or "", b"\0") * (size_bytes - len(filled))

    def __iter__(self) -> Iterator[AudioChunk]:
        """Each chunk as it comes, until `close` or the end of the session."""
        while (chunk := self.take(None)) is not None:
            yield chunk

    def played(self, what: int | AudioChunk) -> None:
        """Count ``what`` as heard: a number of bytes, in the order in which they were handed out, or a whole chunk.

        What was flushed meanwhile does not count, nor do bytes beyond those that were handed out, nor what is below 0.
        Raises `ConfigurationError` for what is neither a chunk nor a number.
        """
        with self._lock:
            if isinstance(what, AudioChunk):
                what._part.play(Fraction(len(what.audio)))
                return
            credit = _credit("what was played", what, "bytes")
            for part in self._parts:
                credit -= part.play(credit)

    def played_ms(self, ms: float) -> None:
        """Count so many more milliseconds as heard; else as `played`."""
        credit_s = _credit("ms", ms, "milliseconds") / 1000
        with self._lock:
            for part in self._parts:
                credit_s -= part.play(credit_s * part.bytes_per_s) / part.bytes_per_s

    # What was heard

    @property
    def parts(self) -> list[HeardPart]:
        """What is being received or played, in order."""
        with self._lock:
            return [part.shown() for part in self._parts]

    def drop(self, response_id: str | None) -> None:
        """Leave out what comes from now on of a response, until it is done."""
        check_kind("response_id", response_id, "str or None", str, type(None))
        with self._lock:
            self._dropped[response_id] = None

    def flush(self) -> list[HeardPart]:
        """Stop playing: forget the chunks that were not taken, leave out what still comes of their responses, call
        ``on_flush``, and return how much had been heard of each part by then. Responses that begin later are played."""
        with self._lock:
            self._chunks.clear()
            cut = list(self._parts)
            for part in cut:
                part.flushed = True
                if not part.complete:
                    self._dropped[part.response_id] = None
        if self._on_flush is not None:
            try:
                self._on_flush()
            except Exception:
                _log.exception("the player could not be flushed")
        with self._lock:
            cut = [part for part in cut if part in self._parts]  # another thread may have been faster
            self._parts = [part for part in self._parts if part not in cut]
            return [part.shown() for part in cut]


def _chunk(part: _Part, audio: bytes) -> AudioChunk:
    return AudioChunk(audio, part.response_id, part.item_id, part.content_index, part)


def _credit(name: str, value: object, unit: str) -> Fraction:
    return Fraction(max(0, min(_limits.amount(name, value, unit, negative=True), _MOST_CREDIT)))


def _cut_to_samples(audio: bytearray, width_bytes: int) -> None:
    """A part that ended in half a sample: what follows is not its other half."""
    del audio[len(audio) // width_bytes * width_bytes :]


def _place(event: ResponseOutputAudioDelta | ResponseOutputAudioDone) -> tuple[str, int]:
    return or_none(event.item_id) or "", or_none(event.content_index) or 0
