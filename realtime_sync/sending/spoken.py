"""The user's audio that a server may not have taken into the conversation yet, piece by piece."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from realtime_sync._deadline import now
from realtime_sync.events import (
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    ServerEvent,
)
from realtime_sync.sending.acks import Ack
from realtime_sync.state.facts import Facts

__all__ = ["Piece", "Spoken"]


class Piece:
    """What one append held. It is ``done`` when it is in the conversation, was thrown away, or is too old."""

    __slots__ = ("__weakref__", "at", "done", "ms", "start_ms")

    def __init__(self, at: float, ms: float) -> None:
        self.at = at
        self.ms = ms
        self.start_ms = 0.0  # where it begins in all the audio of this connection
        self.done = False


class _Cut:
    """Where a commit or a clear of this side cuts."""

    __slots__ = ("ack", "at_ms")

    def __init__(self, ack: Ack[Any], at_ms: float) -> None:
        self.ack = ack
        self.at_ms = at_ms

    @property
    def refused(self) -> bool:
        return self.ack.done and self.ack.confirmation is None


class Spoken:
    """The audio since the last commit, as far as it would be sent again: for ``keep_s`` seconds. ``facts`` are those of
    the session.

    `add`, `cut` and `take_back` may be called from any thread, `apply` from the dispatching one, where the handles of
    what an event confirms are settled before.
    """

    EVENTS: ClassVar[tuple[type[ServerEvent], ...]] = (
        InputAudioBufferSpeechStarted,
        InputAudioBufferSpeechStopped,
        InputAudioBufferCommitted,
        InputAudioBufferCleared,
    )
    """The events that `apply` needs."""

    def __init__(self, keep_s: float, facts: Callable[[], Facts]) -> None:
        self._keep_s = keep_s
        self._facts = facts
        self._lock = threading.Lock()  # guards all below
        self._pieces: deque[Piece] = deque()
        self._end_ms = 0.0
        self._aged_ms = 0.0  # of what was sent and became too old
        self._unsent_ms = 0.0  # of what became too old before it could be sent
        self._down_since: float | None = None
        self._cuts: deque[_Cut] = deque()  # commits and clears that this side has sent, until they are confirmed
        self._stopped_ms: float | None = None
        self.speaking = False
        """Whether the user is speaking, as the server hears it."""

    @property
    def waits(self) -> bool:
        """Whether there is audio that a commit would take, where this side commits; else whether the user speaks."""
        return self.speaking or (self._facts().turn_detection is None and any(not p.done for p in tuple(self._pieces)))

    @property
    def end_ms(self) -> float:
        """How much audio was sent over this connection."""
        return self._end_ms

    def add(self, size_bytes: int) -> Piece:
        """Audio is about to be sent."""
        piece = Piece(now(), size_bytes * 1000 / self._facts().input.bytes_per_s)
        with self._lock:
            piece.start_ms = self._end_ms
            self._end_ms += piece.ms
            self._pieces.append(piece)
            self._age_locked(piece.at)
        return piece

    def cut(self, ack: Ack[Any]) -> None:
        """A commit or a clear is about to be sent."""
        with self._lock:
            self._cuts.append(_Cut(ack, self._end_ms))

    def take_back(self, owner: object) -> None:
        """A piece of audio, or the commit or clear of a handle, has not been sent after all."""
        with self._lock:
            self._cuts = deque(cut for cut in self._cuts if cut.ack is not owner)
            if not isinstance(owner, Piece) or owner not in self._pieces:
                return
            owner.done = True
            self._pieces.remove(owner)
            self._end_ms -= owner.ms
            for piece in self._pieces:
                if piece.start_ms > owner.start_ms:
                    piece.start_ms -= owner.ms
            for cut in self._cuts:
                if cut.at_ms > owner.start_ms:
                    cut.at_ms -= owner.ms

    def apply(self, event: ServerEvent) -> None:
        """Take in one event; others than those of `EVENTS` change nothing."""
        with self._lock:
            if isinstance(event, InputAudioBufferSpeechStarted):
                self.speaking = True
                self._aged_ms = 0.0  # it was silence
            elif isinstance(event, InputAudioBufferSpeechStopped):
                self._stopped_ms = event.audio_end_ms
                self.speaking = False
            else:
                self.speaking = False
                self._aged_ms = 0.0
                self._forget_locked(self._taken_locked(event))

    def hold(self) -> None:
        """The connection has ended: what is added from now on has to wait."""
        with self._lock:
            self._down_since = now()

    def leave(self) -> float:
        """All that is left goes to a new connection; how many seconds of audio were too old for it."""
        with self._lock:
            self._age_locked(now())
            manual = self._facts().turn_detection is None
            lost_ms = self._unsent_ms + (self._aged_ms if manual or self.speaking else 0.0)
            self._end_ms = self._aged_ms = self._unsent_ms = 0.0
            self._stopped_ms = self._down_since = None
            self.speaking = False
            self._pieces = deque(piece for piece in self._pieces if not piece.done)
            # They are sent again too, each between the same pieces.
            cuts, self._cuts = deque(cut for cut in self._cuts if not cut.ack.done), deque()
            for piece in self._pieces:
                while cuts and cuts[0].at_ms <= piece.start_ms:
                    self._cuts.append(_Cut(cuts.popleft().ack, self._end_ms))
                piece.start_ms = self._end_ms
                self._end_ms += piece.ms
            self._cuts.extend(_Cut(cut.ack, self._end_ms) for cut in cuts)
        return lost_ms / 1000

    def _taken_locked(self, event: ServerEvent) -> float:
        """Up to where the server has taken, or thrown away, what was sent."""
        cuts = self._cuts = deque(cut for cut in self._cuts if not cut.refused)
        for cut in tuple(cuts):
            if cut.ack.confirmation is event:
                while cuts.popleft() is not cut:
                    pass  # messages are taken in order: this one is never confirmed
                return cut.at_ms
        stopped_ms, self._stopped_ms = self._stopped_ms, None
        if stopped_ms is not None:
            return stopped_ms
        return cuts.popleft().at_ms if cuts else self._end_ms

    def _forget_locked(self, end_ms: float) -> None:
        # Also a piece that lies across the end: what would be heard twice is worse than silence that is not heard.
        while self._pieces and self._pieces[0].start_ms < end_ms:
            self._pieces.popleft().done = True

    def _age_locked(self, at: float) -> None:
        while self._pieces and (self._pieces[0].done or self._pieces[0].at < at - self._keep_s):
            piece = self._pieces.popleft()
            if piece.done:
                continue
            piece.done = True
            if self._down_since is not None and piece.at >= self._down_since:
                self._unsent_ms += piece.ms
            else:
                self._aged_ms += piece.ms
