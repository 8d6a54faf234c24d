"""From the callback of a sound card to the session, without ever holding the callback up."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from threading import Condition
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_session
from realtime_sync._deadline import SLICE_S, Deadline
from realtime_sync.audio import Resampler, encode_pcma, encode_pcmu, to_mono
from realtime_sync.audio.channels import validate_channels
from realtime_sync.audio.pcm import interleaved_copy, validate_rate
from realtime_sync.errors import ConfigurationError, ConnectionClosed, RealtimeTimeout
from realtime_sync.state.facts import Facts

if TYPE_CHECKING:
    from realtime_sync.session.session import RealtimeSession

__all__ = ["MicrophoneFeed"]


_log = logging.getLogger("realtime_sync")
_BYTES_PER_SAMPLE: Final = 2
_CODES: Final = {"pcmu": encode_pcmu, "pcma": encode_pcma}


@attrs.frozen
class _Piece:
    """What one callback gave, copied, and what its `memoryview` said of it."""

    data: bytes
    form: str
    shape: tuple[int, ...]
    samples: int

    @classmethod
    def of(cls, pcm: Any) -> _Piece:
        view = memoryview(pcm)
        bytes_each = max(view.itemsize, _BYTES_PER_SAMPLE)  # plain bytes hold PCM
        return cls(view.tobytes(), view.format, view.shape or (), view.nbytes // bytes_each)


@answered
class MicrophoneFeed:
    """Takes what a microphone's callback hands over, and sends it from a thread of its own.

    `put` only copies and returns: it never waits for the network and never raises, as the callback of a sound card
    must not. At most ``limit_s`` seconds of audio (``inf``: all of it) wait to be sent, while a network is stuck, say;
    beyond that the oldest is dropped, and counted in ``dropped_ms``. When the session ends, the feed ends with it:
    ``error`` is the cause, and what is put from then on is dropped too.

    The microphone gives s16le PCM (bytes, or a buffer of 16-bit integers, or of floats from -1 to 1) with ``channels``
    channels, interleaved, at ``rate_hz`` samples a second (``None``: the rate of the session's input, 24000 at OpenAI).
    It is sent in the format that the session's input has when the feed is made: mixed to mono, resampled and coded
    (G.711) where that is needed, on the feed's thread.

    Use it as a context manager, or call `close`. Any thread may call anything. Raises `ConfigurationError` for
    impossible arguments.
    """

    def __init__(
        self, session: RealtimeSession, *, rate_hz: int | None = None, channels: int = 1, limit_s: float = 10.0
    ) -> None:
        check_session(session)
        sound = Facts.of(session.config).input
        self._rate_hz = validate_rate(sound.rate_hz if rate_hz is None else rate_hz)
        self._channels = validate_channels(channels)
        self._resampler = None if self._rate_hz == sound.rate_hz else Resampler(self._rate_hz, sound.rate_hz)
        self._code: Callable[[Any], bytes] | None = _CODES.get(sound.code or "")
        self._limit_samples = _limits.seconds("limit_s", limit_s) * self._rate_hz * self._channels
        # Not the session itself: a thread that waits must not keep alive what nobody refers to.
        self._session = weakref.ref(session)
        self._lock = threading.RLock()  # guards all below
        self._changed = Condition(self._lock)  # entering it is a call that an interrupt can leave with the lock held
        self._waiting: deque[_Piece] = deque()
        self._waiting_samples = 0
        self._sending = False  # what was taken off the queue last has not left yet
        self._dropped_samples = 0
        self._open = True
        self._closed = False  # by `close`
        self._muted = False
        self.error: Exception | None = None
        """Why the feed ended; ``None`` while it runs, and after `close`."""
        self._thread = threading.Thread(target=self._run, name="realtime_sync-microphone", daemon=True)
        self._thread.start()

    def put(self, pcm: Any) -> None:
        """Take a piece of audio, which must hold whole frames; it is copied, since sound cards use their buffers again.
        Never waits, never raises: what is no buffer is logged, and a buffer of something else ends the feed (``error``
        is a `ConfigurationError`)."""
        try:
            piece = _Piece.of(pcm)
        except Exception:
            _log.exception("the microphone gave no buffer")
            return
        with self._lock:
            if self._muted:
                return
            self._waiting.append(piece)
            self._waiting_samples += piece.samples
            self._trim_locked()
            self._changed.notify_all()

    @property
    def dropped_ms(self) -> int:
        """How much audio was dropped so far, in milliseconds: what found the queue full, or the session at its end, and
        what `close` did not wait for."""
        return self._dropped_samples * 1000 // (self._channels * self._rate_hz)

    @property
    def muted(self) -> bool:
        """Whether what is put is left out, uncounted: for push-to-talk. May be set at any time."""
        return self._muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        with self._lock:
            self._muted = muted

    def flush(self, timeout: float | None = 2.0) -> bool:
        """Wait until all that was put has been handed to the network: before `commit_audio`, say. ``timeout`` is in
        seconds, ``None`` waits as long as the feed runs. False when it did not leave. Not for the callback."""
        deadline = Deadline(timeout)
        with self._lock:
            while (self._waiting or self._sending) and not deadline.expired:
                self._changed.wait(deadline.slice())
            return not (self._waiting or self._sending) and self.error is None

    def close(self, timeout: float = 2.0) -> None:
        """Send what was put, for up to ``timeout`` seconds, drop what is left, and end. Idempotent."""
        deadline = Deadline(timeout)
        self.flush(timeout)
        with self._lock:
            self._closed, self._open = True, False
            self._trim_locked()
            self._changed.notify_all()
        self._thread.join(deadline.remaining())

    def __enter__(self) -> MicrophoneFeed:
        if self._closed:
            raise ConfigurationError("a feed that was closed does not begin again: make another MicrophoneFeed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self._open else "closed"
        return f"<MicrophoneFeed: {state}, {len(self._waiting)} pieces wait, {self.dropped_ms} ms dropped>"

    def _run(self) -> None:
        error: Exception | None = None
        try:
            while (piece := self._next()) is not None:
                self._send(piece)
        except Exception as raised:  # the session has ended, or a piece is no PCM
            error = raised
            level = logging.INFO if isinstance(raised, ConnectionClosed) else logging.ERROR
            _log.log(level, "the microphone's audio is sent no more: %s", raised)
        with self._lock:
            self.error = error
            self._open = self._sending = False
            self._trim_locked()
            self._changed.notify_all()

    def _trim_locked(self) -> None:
        """Drop what may not wait: beyond the limit the oldest, and once the feed has ended all."""
        while self._waiting and (self._waiting_samples > self._limit_samples or not self._open):
            oldest = self._waiting.popleft()
            self._waiting_samples -= oldest.samples
            self._dropped_samples += oldest.samples

    def _next(self) -> _Piece | None:
        """Wait for the next piece; ``None`` at the end."""
        with self._lock:
            self._sending = False
            self._changed.notify_all()
            while not self._waiting:
                if not self._open or self._has_ended():
                    return None
                self._changed.wait(SLICE_S)
            piece = self._waiting.popleft()
            self._waiting_samples -= piece.samples
            self._sending = True
            return piece

    def _has_ended(self) -> bool:
        session = self._session()
        return session is None or session.closed

    def _send(self, piece: _Piece) -> None:
        interleaved = interleaved_copy(piece.data, piece.form, piece.shape, self._channels)
        pcm = to_mono(interleaved, self._channels)
        if self._resampler is not None:
            pcm = self._resampler.feed(pcm)
        session = self._session()
        try:
            if session is not None:
                session.append_audio_bytes(pcm if self._code is None else self._code(pcm))
        except RealtimeTimeout as late:  # it has not begun to leave, and the session goes on
            _log.warning("a piece of the microphone's audio is dropped: %s", late)
            with self._lock:
                self._dropped_samples += piece.samples
