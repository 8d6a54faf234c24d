"""How much audio waits in the server's input buffer."""

from __future__ import annotations

from typing import ClassVar

from realtime_sync.events import (
    ClientEvent,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputAudioBufferCommitted,
    ServerEvent,
    SessionConfig,
    SessionCreated,
    SessionResumed,
    SessionUpdate,
    SessionUpdated,
    TranscriptionSessionUpdate,
)
from realtime_sync.state.conversation.lengths import base64_bytes
from realtime_sync.state.facts import Facts, Sound

__all__ = ["InputBuffer"]


class InputBuffer:
    """How much audio waits in the server's input buffer, as far as it can be known: without turn detection, in a
    format whose rate the server told.

    `sent` follows what is sent, `apply` what is received. It never claims to hold less than it does.
    """

    EVENTS: ClassVar[tuple[type[ServerEvent], ...]] = (
        SessionCreated,
        SessionUpdated,
        SessionResumed,
        InputAudioBufferCommitted,
    )
    """The events that `apply` needs."""

    def __init__(self) -> None:
        self._bytes = 0
        self._exact = True  # whether _bytes is no more than was sent either: base64 may hold line breaks
        self._counted = True  # whether _bytes is all that the buffer can hold
        self._commits = 0  # sent and not confirmed: one that fails leaves the audio where it is
        self._outdated = 0  # those among them that were followed by a clear
        self._manual: bool | None = None  # whether turn detection is off; None while nobody has told
        self._format = Sound()  # as the server told it
        self._asked: Sound | None = None  # the format asked for last; where it was refused, the length stays unknown

    @property
    def ms(self) -> float | None:
        """The length in milliseconds, ``None`` when it is not known."""
        bytes_per_ms = self._format.bytes_per_ms
        if not self._manual or not self._counted or self._commits or bytes_per_ms is None:
            return None
        if self._asked is not None and not _fits(self._format, self._asked):
            return None  # not answered yet: what was appended may be in either format
        return self._bytes / bytes_per_ms

    @property
    def torn_bytes(self) -> int | None:
        """How many bytes it holds, where these are known to end in half a 16-bit sample; ``None`` otherwise."""
        torn = self._exact and self._bytes % 2 and self._format.code == "pcm" and self.ms is not None
        return self._bytes if torn else None

    def encoded(self) -> None:
        """What is `appended` next is base64, whose length is an estimate."""
        self._exact = False

    def appended(self, size_bytes: int) -> None:
        """Take in ``size_bytes`` of audio that were sent."""
        if self._manual is False:
            self._counted = False
        self._bytes += size_bytes

    def sent(self, event: ClientEvent) -> None:
        """Take in one event that was sent: append, commit, clear, and an update that asks for another format."""
        if isinstance(event, InputAudioBufferAppend):
            self.encoded()
            self.appended(base64_bytes(event.audio))
        elif isinstance(event, InputAudioBufferCommit):
            self._bytes = 0
            self._exact = True
            self._counted = self._manual is True
            self._commits += 1
        elif isinstance(event, InputAudioBufferClear):  # always succeeds
            self._bytes = 0
            self._exact = self._counted = True
            self._outdated += self._commits
            self._commits = 0
        elif isinstance(event, (SessionUpdate, TranscriptionSessionUpdate)):
            self._ask(Facts.of(event.session).input)

    def lose_count(self) -> None:
        """Something was not sent after all: the length is unknown until the next clear."""
        self._counted = False

    def apply(self, event: ServerEvent) -> None:
        """Take in one event that was received; others than those of `EVENTS` change nothing."""
        if isinstance(event, (SessionCreated, SessionUpdated)):
            self._configure(event.session)
        elif isinstance(event, SessionResumed):
            if event.session is not None:
                self._configure(event.session)
            self._counted = self._counted and not self._bytes  # some of it may have been too old to be sent again
        elif isinstance(event, InputAudioBufferCommitted):
            if self._outdated:
                self._outdated -= 1
            elif self._commits:
                self._commits -= 1

    def _configure(self, config: SessionConfig) -> None:
        facts = Facts.of(config)
        another = facts.input.bytes_per_ms != self._format.bytes_per_ms
        self._manual = facts.manual
        if (self._manual is False and (self._bytes or self._commits)) or (self._bytes and another):
            self._counted = False
        self._format = facts.input

    def _ask(self, wanted: Sound) -> None:
        if wanted.code is None:
            return
        if self._bytes and not _fits(self._asked or self._format, wanted):
            self._counted = False
        self._asked = wanted


def _fits(told: Sound, asked: Sound) -> bool:
    return asked.code == told.code and asked.told_rate_hz in (None, told.told_rate_hz)
