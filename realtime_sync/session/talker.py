"""What a user says, and what is said in return: turns."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from realtime_sync._arguments import answered, check_function
from realtime_sync._deadline import Deadline
from realtime_sync.codec import object_to_dict
from realtime_sync.delivery.dispatcher import Dispatcher
from realtime_sync.delivery.line import Line
from realtime_sync.errors import ConfigurationError, InvalidEvent, RealtimeTimeout, ServerError
from realtime_sync.events import Family, ResponseConfig, ResponseCreated, SessionUpdated, TurnDetection
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.outgoing import Outgoing
from realtime_sync.sending.sequencer import Place, Sequencer
from realtime_sync.sending.user_input import coded_audio, user_message
from realtime_sync.session.listener import Listener
from realtime_sync.session.reply import Reply
from realtime_sync.session.turn import TURN_TIMEOUT_S, Faults, Turn, Turns
from realtime_sync.session.verbs import Sender
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.session.resume.resumption import Resumption
    from realtime_sync.session.transcription import Segment, Transcription
    from realtime_sync.tools import ToolRunner

__all__ = ["Talker"]


@answered
class Talker(Sender, Listener):
    """The half of `RealtimeSession` that talks: it sends, and follows the response to its end."""

    def __init__(
        self,
        line: Line,
        dispatcher: Dispatcher,
        family: Family,
        outgoing: Outgoing,
        sequencer: Sequencer,
        state: SessionState,
    ) -> None:
        Listener.__init__(self, line, dispatcher, family)
        Sender.__init__(self, outgoing, sequencer, state)
        self._turns = Turns(dispatcher)
        self._tool_runner: ToolRunner | None = None
        self._resumption: Resumption | None = None
        self._one_recording = threading.Lock()  # guards _transcribed_ms: held while a recording is transcribed
        self._transcribed_ms = 0.0
        self._interrupters_lock = threading.RLock()  # guards the change of _interrupters
        self._interrupters: tuple[Callable[[], Iterable[str | None]], ...] = ()

    def respond(
        self,
        text: str | None = None,
        *,
        audio: Any = None,
        images: Iterable[str | os.PathLike[str] | bytes] = (),
        config: ResponseConfig | Mapping[str, Any] | None = None,
        timeout: float | None = TURN_TIMEOUT_S,
    ) -> Turn:
        """Say something (or nothing new), ask for a response and return the turn, to iterate as it streams.

        ``text``: a user message. ``images``: URLs, paths or bytes of images that go into that message. ``audio``: a
        path or an open file or the bytes of a WAV file, or bytes or an array in the session's input format; it becomes
        a turn of its own whatever the turn detection is set to, which is switched off meanwhile and restored.
        ``config``: options of this response. ``timeout`` is in seconds, for the whole turn.

        While another response is active, what is said waits with the request until that has ended, so that threads
        which ask at once each get the answer to their own question. With audio this call itself waits for that, and
        for the audio to be committed; otherwise it returns at once. Hold the turn: one that is dropped takes nothing
        in.

        Raises `InvalidEvent` or `ConfigurationError` for input that cannot be sent, `ServerError` when the server
        refuses the audio, and `BudgetExceeded`.
        """
        deadline = Deadline(timeout)
        faults = Faults()
        if self._resumption is not None:
            self._resumption.look()  # a moment in which nothing is under way, where nobody pumps in others
        coded = None if audio is None else coded_audio(audio, self._state.facts.input)
        message = user_message(text, images)
        ack, sent = self._outgoing.response(config)
        before = [self._outgoing.item(message)] if message.content else []
        place = None if coded is None else Place()
        try:
            if coded is not None and place is not None:
                self._sequencer.line_up(place)
                self._dispatcher.wait(lambda: place.taken, deadline, "the end of another response", faults)
                self._speak(coded, deadline, faults)
            said = [item for item, _ in before]
            # Before sending: another thread may dispatch the answer at once.
            turn = self._turn(ack, deadline, faults, said)
            try:
                self._sequencer.submit(ack, sent, before, place)
            except BaseException:
                turn.leave()
                raise
        except BaseException:
            faults.log()
            raise
        finally:
            if place is not None:
                self._sequencer.step_down(place)
        return turn

    _respond = respond  # as it is, without the frame that `answered` puts around it: Ctrl-C there would lose the turn

    def ask(
        self,
        text: str | None = None,
        *,
        audio: Any = None,
        images: Iterable[str | os.PathLike[str] | bytes] = (),
        config: ResponseConfig | Mapping[str, Any] | None = None,
        timeout: float | None = TURN_TIMEOUT_S,
        check: bool = True,
        heard: bool = False,
    ) -> Reply:
        """Say something as `respond` does, block for the whole response and return it. When this call is left early,
        by its timeout or by Ctrl-C, the response is cancelled. ``heard=True`` also waits for ``reply.heard``, as
        `Turn.result` does.

        Raises `ResponseFailed` unless it was completed (``check=False`` returns it whatever its status),
        `ServerError` when the server refused, `RealtimeTimeout` and `ConnectionClosed` or its kin. The reply so far is
        their ``reply``. What a handler raises meanwhile is raised when the reply is there, with the same ``reply``.
        """
        with self._respond(text, audio=audio, images=images, config=config, timeout=timeout) as turn:
            try:
                return turn.result(check=check, heard=heard)
            finally:
                turn.leave()  # an exception may keep it for long

    def _speak(self, coded: bytes, deadline: Deadline, faults: Faults) -> None:
        """Make a user message of audio, past any turn detection."""
        facts = self._state.facts
        detection = facts.turn_detection or None
        switched = self._detect_turns(None) if detection else None
        try:
            if switched:
                self.clear_audio().exception()  # a server that has no such event may say so: nobody needs to hear of it
            self.append_audio_bytes(coded)
            self._commit(deadline, faults)
            if switched:
                self._confirmed(switched, deadline, faults)
        except (ServerError, InvalidEvent):
            if switched:  # waited for, so that the next call knows of the turn detection again
                self._confirmed(self._detect_turns(detection), deadline, faults)
                switched = None
            raise
        finally:
            if switched and not self.closed:
                self._detect_turns(detection)

    def _confirmed(self, ack: Ack[Any], deadline: Deadline, faults: Faults) -> None:
        """As its ``result``, but that a handler which fails does not end it."""
        try:
            what = f"the server's answer to {ack.event.type}"
            self._dispatcher.wait(lambda: ack.done, deadline, what, faults)
        except RealtimeTimeout:
            ack._late = True
            raise
        ack.result(0)

    def _commit(self, deadline: Deadline, faults: Faults) -> None:
        try:
            self._confirmed(self.commit_audio(), deadline, faults)
        except RealtimeTimeout as late:
            raise RealtimeTimeout(
                f"{late}: a server that ends turns by silence alone takes no commit; append silence after the speech"
                " and wait for next_reply() there"
            ) from None

    def _detect_turns(self, detection: TurnDetection | None) -> Ack[SessionUpdated]:
        wanted = None if detection is None else object_to_dict(detection)
        return self.update_session({"audio": {"input": {"turn_detection": wanted}}})

    def _turn(
        self,
        ack: Ack[ResponseCreated] | None,
        deadline: Deadline,
        faults: Faults | None = None,
        said: Iterable[Ack[Any]] = (),
    ) -> Turn:
        return Turn(
            self._dispatcher,
            self._turns,
            self._state,
            self._sequencer,
            ack,
            said=said,
            deadline=deadline,
            cancel_response=self.cancel_response,
            follow=self._tool_runner.follow if self._tool_runner is not None else None,
            faults=faults,
        )

    def next_reply(self, *, timeout: float | None = TURN_TIMEOUT_S) -> Turn:
        """The turn of the next response that begins, whoever starts it: for server-side turn detection, which answers
        by itself when the user stops speaking. Call it before the speech ends.

        Raises `InvalidEvent` in a session that makes no responses."""
        self._outgoing.check_responds()
        return self._turn(None, Deadline(timeout))

    def transcribe(
        self,
        audio: Any,
        *,
        progress: Callable[[int, int], object] | None = None,
        pace: float | None = None,
        segment_s: float = 30.0,
        timeout: float | None = 60.0,
    ) -> Iterator[Segment]:
        """Send a recording through a transcription session and give its text, segment by segment in order, as it
        comes; it ends when all have come. ``audio`` is as that of `ask`: a WAV file, or bytes in the session's format.

        With turn detection a segment is what the server takes for a stretch of speech; without, ``segment_s`` seconds
        of the recording. ``progress`` is called with the milliseconds that are sent and those there are in all.
        ``pace`` is the speed of sending, 1.0 being that of the speech; ``None`` sends as fast as it goes. ``timeout``
        is how long the next transcript may take once all is sent, in seconds; ``None``: as long as the connection
        lives. One recording at a time; left early, what is left of it is thrown away.

        Raises `InvalidEvent` for a session that does not transcribe and for empty audio, `ConfigurationError` for audio
        that cannot be read, both at the call and before anything is sent; while it is iterated `RealtimeTimeout`,
        `ServerError` when a commit is refused, and `ConnectionClosed` or its kin. A stretch that could not be
        understood is a segment with an ``error``.
        """
        from realtime_sync.session.transcription import Transcription, check_transcribes

        facts = self._state.facts
        check_transcribes(facts)
        coded = coded_audio(audio, facts.input)
        transcription = Transcription(
            self,
            self._dispatcher,
            facts,
            coded,
            before_ms=self._appended_ms,
            progress=progress,
            pace=pace,
            segment_s=segment_s,
            timeout=timeout,
        )
        return self._transcribing(transcription)

    def _appended_ms(self) -> float:
        """How much audio was sent over this connection, where recordings alone are."""
        spoken = self._outgoing.spoken
        return self._transcribed_ms if spoken is None else spoken.end_ms

    def _transcribing(self, transcription: Transcription) -> Iterator[Segment]:
        if not self._one_recording.acquire(blocking=False):
            raise ConfigurationError("another recording is being transcribed in this session: one at a time")
        try:
            yield from transcription.segments()
        finally:
            self._transcribed_ms += transcription.sent_ms
            self._one_recording.release()

    def interrupt(self) -> None:
        """Stop what the model is saying, as if the user had begun to speak: the active response is cancelled, and a
        `BargeIn` that is attached to the session flushes its player and truncates what was not heard. Nothing happens
        when the model is silent. Does not wait."""
        cancelled = [response_id for hook in self._interrupters for response_id in hook()]
        active = self._state.responses.active
        active_id = active.id if active is not None else None  # None: not confirmed yet; the server cancels in order
        if self._sequencer.busy and (active_id is None or active_id not in cancelled):
            self.cancel_response(active_id)

    def add_interrupter(self, hook: Callable[[], Iterable[str | None]]) -> None:
        """Let `interrupt` call ``hook``, which returns the ids of the responses that it has cancelled itself.

        Raises `ConfigurationError` for what cannot be called like that."""
        check_function(hook, "an interrupter")
        with self._interrupters_lock:
            self._interrupters = (*self._interrupters, hook)

    def remove_interrupter(self, hook: Callable[[], Iterable[str | None]]) -> None:
        """Let `interrupt` call ``hook`` no more."""
        with self._interrupters_lock:
            self._interrupters = tuple(other for other in self._interrupters if other != hook)
