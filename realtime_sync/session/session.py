"""`RealtimeSession`: everything that a user does with an open connection."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from realtime_sync._arguments import answered, check_function, unknown
from realtime_sync._deadline import Deadline, now
from realtime_sync.codec import object_to_dict
from realtime_sync.delivery.background import BackgroundPump
from realtime_sync.delivery.connection import Connection, Tap
from realtime_sync.delivery.dispatcher import STATE, VISITOR, WAITER, Dispatcher, Prepared, Receiver
from realtime_sync.delivery.ending import explain
from realtime_sync.delivery.handlers import Handlers, Key, decorating, key_of
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.line import Line
from realtime_sync.errors import (
    ConfigurationError,
    InvalidEvent,
    RealtimeError,
    RealtimeTimeout,
    ServerError,
    check_process,
)
from realtime_sync.events import (
    REALTIME,
    Family,
    InputAudioBufferCommitted,
    MalformedEvent,
    McpApprovalRequest,
    ResponseConfig,
    ResponseCreate,
    ResponseCreated,
    ResponseOutputItemDone,
    ServerEvent,
    SessionResumed,
    SessionUpdated,
    TurnDetection,
    UnknownEvent,
)
from realtime_sync.events._other_names import OF_SESSIONS, missing
from realtime_sync.sending.acks import Ack, AckTable, answers, nothing_to_cancel, server_error
from realtime_sync.sending.older_names import names_meant
from realtime_sync.sending.outgoing import Outgoing, known_types
from realtime_sync.sending.sequencer import RESPONDING, Place, Sequencer
from realtime_sync.sending.user_input import coded_audio, user_message
from realtime_sync.session.reply import Reply
from realtime_sync.session.turn import TURN_TIMEOUT_S, Faults, Turn, Turns
from realtime_sync.session.verbs import Sender
from realtime_sync.session.weak import WeakSession, weakly
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from typing_extensions import Never, Unpack

    from realtime_sync.events import RealtimeSessionConfig
    from realtime_sync.events.any import AnyServerEvent
    from realtime_sync.events.visitor import ServerEventVisitor
    from realtime_sync.session.dialling import Dialling
    from realtime_sync.session.keyed import Keyed
    from realtime_sync.session.options import RunnerOptions, ToolOptions
    from realtime_sync.session.resume.policy import Resume
    from realtime_sync.session.resume.resumption import Resumption
    from realtime_sync.session.transcription import Segment, Transcription
    from realtime_sync.state.conversation import Conversation
    from realtime_sync.state.responses import Run
    from realtime_sync.state.usage import CostLimit, RateLimits, UsageTally
    from realtime_sync.tools import ToolRunner, Toolset
else:
    Keyed = object

__all__ = ["RealtimeSession"]

F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")
_log = logging.getLogger("realtime_sync")
_WAIT_S: Final = 10.0


@answered
class RealtimeSession(Sender, Keyed):
    """An open session with a Realtime server. `realtime_sync.connect` makes one.

    Every method may be called from any thread and, unless it says otherwise, from a handler. Whatever blocks
    dispatches arriving events to the handlers meanwhile; nothing is dispatched before the first blocking call.
    Use it as a context manager, or call `close`.
    """

    def __init__(
        self,
        connection: Connection,
        inbox: Inbox,
        *,
        checks: bool = True,
        cost_limit: CostLimit | None = None,
        family: Family = REALTIME,
        conversation_limit: int | None = None,
        resume: Resume | None = None,
        dialling: Dialling | None = None,
        timeout_s: float = _WAIT_S,
    ) -> None:
        self._line = line = Line(connection, inbox, None if resume is None else resume.survives(family))
        self._dispatcher = Dispatcher(inbox, weakly(self._find_cause))
        self._family = family
        self._opened = False
        self._acks = AckTable(self._dispatcher.waiting, family)
        state = SessionState(self._dispatcher, conversation_limit)
        limit = None if cost_limit is None else partial(cost_limit.check, state.usage)
        outgoing = Outgoing(line.send, self._acks, state, checks=checks, before_response=limit, family=family)
        undivided = self._dispatcher.control.run
        sequencer = Sequencer(self._acks, state.responses, line.send, weakly(self.cancel_response), undivided)
        super().__init__(outgoing, sequencer, state)
        server, client = known_types(family)
        self._key_of = partial(key_of, server=server, client=client)
        self._handlers = Handlers(self._dispatcher, self._key_of)
        self._tool_runner: ToolRunner | None = None
        self._tools_lock = threading.RLock()  # guards the change of the two
        self._own_tools: Toolset | None = None  # the functions of `tool`, whatever toolset is in use
        self._approval_warned = False
        self._pid = os.getpid()
        self._lock = threading.RLock()  # guards _interrupters, and the replacement of _background
        self._background: BackgroundPump | None = None
        self._turns = Turns(self._dispatcher)
        self._one_recording = threading.Lock()  # guards _transcribed_ms: held while a recording is transcribed
        self._transcribed_ms = 0.0
        self._runs = 0
        self._interrupters: tuple[Callable[[], Iterable[str | None]], ...] = ()
        self._last_error: ServerError | None = None
        self._dispatcher.at_end += [self._acks.fail_all, sequencer.fail_all]
        self._dispatcher.at_idle.append(lambda: undivided(sequencer.tick) if sequencer.waits else None)
        # Weakly: a thread of `start` holds the dispatcher, and must not keep a session that nobody else holds any more.
        # First of all: what else keeps state asks which response an event belongs to.
        self._dispatcher.subscribe(STATE, weakly(self._answered), *answers(family))
        self._dispatcher.subscribe(STATE, weakly(self._began), *family.opened_by)
        self._dispatcher.subscribe(STATE, weakly(self._responding), *RESPONDING)
        self._dispatcher.subscribe(STATE, weakly(self._refused), family.error_class)
        self._dispatcher.subscribe(STATE, weakly(self._malformed), MalformedEvent)
        self._dispatcher.subscribe(STATE, weakly(self._approval_asked), ResponseOutputItemDone)
        state.follow()
        self._resumption: Resumption | None = None
        if resume is not None and dialling is not None:
            from realtime_sync.session.resume.resumption import Resumption  # only who goes on pays for it

            self._resumption = Resumption(
                resume,
                dialling,
                line,
                inbox,
                self._dispatcher,
                state,
                self._acks,
                outgoing,
                sequencer,
                timeout_s=timeout_s,
                cause=weakly(self._find_cause),
                lose_calls=weakly(self._lose_calls),
                busy=self._one_recording.locked,
            )
            self._dispatcher.subscribe(STATE, weakly(self._resumed), SessionResumed)
            if resume.on_resumed is not None:
                self._handlers.add(SessionResumed, resume.on_resumed)
        self._at_close: list[Callable[[int, str], object]] = []
        self._abandon = weakref.finalize(self, line.abandon)

    # What it is

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_SESSIONS)

    @property
    def config(self) -> RealtimeSessionConfig:
        """The configuration in force, as far as events have been dispatched.

        In other kinds of sessions it is of the class of that kind: `isinstance` tells a `TranscriptionSessionConfig`,
        a `TranslationSessionConfig`, or the `FlatSessionConfig` of the older dialect. Only with a server of another
        family, which tells none, it is ``None``."""
        return cast("RealtimeSessionConfig", self._state.config)

    @property
    def conversation(self) -> Conversation:
        """The conversation as the server keeps it, as far as events have been dispatched: items in order, with their
        text and transcripts. From the first look on text also grows while it streams. With ``conversation_limit`` of
        `connect` it holds the latest items only."""
        return self._state.conversation

    @property
    def usage(self) -> UsageTally:
        """What the session has used so far, by modality and cached or not, transcriptions apart."""
        return self._state.usage

    @property
    def rate_limits(self) -> RateLimits:
        """The latest rate limits that the server reported, with the time of their reset."""
        return self._state.usage.limits

    @property
    def id(self) -> str | None:
        """The server's id of the session."""
        return self._state.facts.id

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more: this side or the server has ended the connection."""
        return self._line.closing or self._line.ended

    @property
    def expires_at(self) -> float | None:
        """When the server ends the session, in seconds since 1970 (UTC); ``None`` where it does not tell. With
        ``connect(resume=)`` the session goes on after it."""
        return self._state.facts.expires_at

    @property
    def remaining_s(self) -> float | None:
        """How long that is from now, in seconds by the clock of this machine, never below 0; ``None`` where the server
        does not tell."""
        at = self._state.facts.expires_at
        return None if at is None else max(0.0, at - time.time())

    def _repr_html_(self) -> str:
        from realtime_sync.state import display

        facts, total = self._state.facts, self.usage.total
        handlers = len(self._handlers.own())
        background = self._background is not None and self._background.alive
        rows = [
            (
                "state",
                ("closed" if self.closed else "open") + (", dispatching in the background" if background else ""),
            ),
            ("model", facts.model),
            ("kind", facts.kind),
            ("voice", facts.voice),
            ("answers in", ", ".join(facts.modalities or ())),
            ("items", f"{len(self._state.mirror):,}"),
            ("responses", f"{self._state.responses.count:,}"),
            ("tokens", f"{total.total_tokens:,}"),
            ("handlers", str(handlers)),
        ]
        return display.panel("Realtime session", display.table(("", self.id or ""), rows))

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<RealtimeSession {self.id or 'without id'}: {state}>"

    # Turns

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
        """Let `interrupt` call ``hook``, which returns the ids of the responses that it has cancelled itself."""
        with self._lock:
            self._interrupters = (*self._interrupters, hook)

    def remove_interrupter(self, hook: Callable[[], Iterable[str | None]]) -> None:
        """Let `interrupt` call ``hook`` no more."""
        with self._lock:
            self._interrupters = tuple(other for other in self._interrupters if other != hook)

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
            turn = self._turn(ack, deadline, faults)  # before sending: another thread may dispatch the answer at once
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

    def _turn(self, ack: Ack[ResponseCreated] | None, deadline: Deadline, faults: Faults | None = None) -> Turn:
        return Turn(
            self._dispatcher,
            self._turns,
            self._state,
            self._sequencer,
            ack,
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
            before_ms=self._transcribed_ms,
            progress=progress,
            pace=pace,
            segment_s=segment_s,
            timeout=timeout,
        )
        return self._transcribing(transcription)

    def _transcribing(self, transcription: Transcription) -> Iterator[Segment]:
        if not self._one_recording.acquire(blocking=False):
            raise ConfigurationError("another recording is being transcribed in this session: one at a time")
        try:
            yield from transcription.segments()
        finally:
            self._transcribed_ms += transcription.sent_ms
            self._one_recording.release()

    # Tools

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(self, function: None = None, /, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...
    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a Python function to the model, as a decorator with or without the options of `Toolset.tool`: its
        signature and docstring become the schema, and its calls are run and answered by themselves. It stands beside
        the functions of a `Toolset` in use, to which it is not added, and beside hosted tools. Any thread.

        Raises `ConfigurationError` for a function whose signature cannot be expressed and for a name that is taken,
        and what `update_session` raises.
        """
        if function is None:
            return decorating(partial(self._offer, options))
        self._offer(options, function)
        return function

    def _offer(self, options: Mapping[str, Any], function: Callable[..., Any]) -> None:
        from realtime_sync.tools import Toolset

        check_process(self._pid)
        with self._tools_lock:
            runner = self._tool_runner
            name = options.get("name") or getattr(function, "__name__", "")
            if runner is not None and name in runner.toolset:
                raise ConfigurationError(f"there is a tool {name!r} already")
            if self._own_tools is None:
                self._own_tools = Toolset()
            self._own_tools.tool(**options)(function)  # a runner that announces tells the server
            if runner is None:
                self.use_tools(Toolset())
            elif not runner.announces:
                runner.announce()

    def use_tools(
        self,
        toolset: Toolset | Sequence[Callable[..., Any]],
        *,
        announce: bool = True,
        **options: Unpack[RunnerOptions],
    ) -> ToolRunner:
        """Run the model's calls with the functions of ``toolset`` (or of a list) from now on, and tell the server of
        them (unless ``announce=False``), beside the hosted tools that stand in the configuration and the functions of
        `tool`. `ask` and `respond` then go on until the model has its last word. A function that is added to the
        toolset later is announced too.

        ``options`` are those of `ToolRunner`: workers, time limits, approval, hooks. Replaces the toolset in use, and
        its options. Any thread. Raises `ConfigurationError` for impossible options and where a function of `tool` has
        the name of one of the toolset's.
        """
        from realtime_sync.tools import ToolRunner, Toolset

        check_process(self._pid)
        options.setdefault("ignores", self._sequencer.beside)  # its calls are answered in the conversation alone
        options.setdefault("responses", self._state.responses)
        options.setdefault("told", self._tools_told)
        options.setdefault("undivided", self._dispatcher.control.run)
        with self._tools_lock:
            if self._own_tools is None:
                self._own_tools = Toolset()
            together = Toolset(self._own_tools, toolset)
            options.setdefault("replaces", self._tool_runner)
            runner = self._tool_runner = ToolRunner(cast("RealtimeSession", WeakSession(self)), together, **options)
            if announce:
                runner.announce()
        return runner

    # Receiving

    def recv(self, timeout: float | None = None, **others: Never) -> AnyServerEvent | None:
        """The next event, after its handlers ran; ``None`` after a clean end.

        From the first call on, events that pass while another verb waits are kept for the next call, so that a loop
        over the session misses nothing. ``timeout`` is in seconds; ``None`` waits as long as the connection lives, 0
        looks at what has arrived.

        Raises `RealtimeTimeout`, `ConnectionLost` or its kin when the connection was lost, `InboxOverflow`, and what
        a handler raised (its event comes with the next call).
        """
        if others:  # told here: an `answering` frame around this one is a place where Ctrl-C could lose the event
            raise unknown(RealtimeSession.recv, others)
        # At once, and nothing called in between: an interrupt would find nobody that has the event.
        return self._dispatcher.next(Deadline(timeout))  # type: ignore[return-value]

    def poll(self) -> int:
        """Dispatch all that has arrived, and return how many events that were; never waits: for the timer of a GUI or
        a main loop of one's own. Events go to handlers as ever, and are kept for `recv` where that is in use.

        0 when nothing has arrived, and while another thread dispatches (`start`). Raises what a handler raised (the
        events after it come with the next call), and `ConnectionLost` or its kin once nothing is left of a connection
        that was lost; after a clean end it returns 0, and `closed` is true. Any thread.
        """
        return self._dispatcher.poll()

    def __iter__(self) -> Iterator[AnyServerEvent]:
        """Each event as `recv` returns it, until a clean end."""
        while True:
            event = self.recv()
            if event is None:  # no loop condition: at its jump backwards an interrupt would find the event nowhere
                return
            yield event

    # Handlers

    # `Keyed` tells type checkers what these make of each key.
    if not TYPE_CHECKING:

        def wait_for(self, key, predicate=None, timeout=_WAIT_S):
            """Block until an event of this class or type comes that the predicate accepts, and return it. Events that
            arrived but were not dispatched yet count; events dispatched before do not.

            Raises `RealtimeTimeout` after ``timeout`` seconds (0 looks at what has arrived), and the cause when the
            connection ends first.
            """
            return self._await_event(key, predicate, timeout)

        def on(self, key, handler=None, *, replace=False):
            """Call ``handler`` for each event of a class, of a type string, or of ``"*"``; without ``handler``, a
            decorator. Handlers run on the thread that dispatches, in the order of their registration.

            ``replace=True`` takes the place of what was registered for ``key`` under the same module and qualified
            name: of the earlier definition of the same function when a cell of a notebook is run again (all lambdas of
            a cell have the same name)."""
            return self._registered(handler, partial(self._handlers.add, key, replace=replace))

        def once(self, key, handler=None):
            """As `on`, for the next such event only."""
            return self._registered(handler, partial(self._handlers.add_once, key))

    def _registered(self, handler: Receiver | None, register: Callable[[Receiver], None]) -> Any:
        return decorating(register) if handler is None else register(handler)

    def _await_event(self, key: Key, predicate: Receiver | None, timeout: float | None) -> ServerEvent:
        if predicate is not None:
            check_function(predicate, "a predicate", "the event")
        known = self._key_of(key)
        wanted = _Wanted(predicate)
        look = wanted.prepare if predicate is None else wanted
        try:
            self._dispatcher.subscribe(WAITER, look, known)
            self._dispatcher.wait(lambda: wanted.found is not None, Deadline(timeout), f"an event {_name(key)}")
        finally:
            self._dispatcher.unsubscribe(WAITER, look, known)
        found: ServerEvent = wanted.found
        return found

    def off(self, key: Key | None = None, handler: Callable[[Any], object] | None = None) -> bool:
        """Call ``handler`` no more for ``key``; without ``handler``, none that was registered for ``key``; without
        both, none at all. Handlers of `on` and of `once`; the tools, players and the like of this package are not
        among them. False when there was none. Any thread, also a handler."""
        if handler is None:
            return self._handlers.remove_all(key) > 0
        if key is None:
            raise ConfigurationError(
                "off() takes a handler back from the key that it was registered for: name that too"
            )
        return self._handlers.remove(key, handler)

    def run(self, visitor: ServerEventVisitor[Any] | None = None) -> None:
        """Dispatch events to the handlers, and to ``visitor``, until the connection ends cleanly or `stop` or `close`
        is called.

        Raises what a handler raises, after the other handlers of that event ran: the session stays usable and `run`
        can be called again. Raises `ConnectionLost` or its kin when the connection is lost.
        """
        this_run = self._runs
        receive = None if visitor is None else _Visiting(visitor, self._family)
        try:
            if receive is not None:
                self._dispatcher.subscribe(VISITOR, receive, ServerEvent)
            self._dispatcher.run(lambda: self._runs != this_run or self._line.closing)
        finally:
            if receive is not None:
                self._dispatcher.unsubscribe(VISITOR, receive, ServerEvent)

    def start(self, *, on_error: Callable[[Exception], object] | None = None) -> None:
        """Dispatch on a background thread from now on: for notebooks. Blocking verbs still work on any thread.

        What a handler raises is logged, given to ``on_error`` and raised by `stop`. Starting twice changes nothing.
        """
        if on_error is not None:
            check_function(on_error, "on_error", "the exception")
        check_process(self._pid)  # before any lock
        self._dispatcher.control.run(partial(self._start, on_error))

    def _start(self, on_error: Callable[[Exception], object] | None) -> None:
        with self._lock:
            if self._background is None or not self._background.alive:
                self._background = BackgroundPump(self._dispatcher, on_error)
                self._background.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End `run` and the background dispatch; the connection stays open.

        Raises the first exception that a handler raised in the background, and `RealtimeTimeout` when a handler there
        does not return within ``timeout`` seconds.
        """
        self._runs += 1
        self._dispatcher.wake()
        background = self._background
        if background is not None:
            background.request_stop()
            background.join(timeout)
            background.raise_fault()

    # The wire

    def add_tap(self, tap: Tap) -> None:
        """Show every further text frame, as it is on the wire, to ``tap(direction, text)``: received ones (``"in"``,
        as bytes) on the reader's thread, sent ones (``"out"``, as a string) on the sender's. It must be quick and must
        not call the session. A tap that raises is logged and removed."""
        check_function(tap, "a tap", "the direction", "the text")
        self._line.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no further frame to ``tap``."""
        self._line.remove_tap(tap)

    # The end

    def close(self, code: int = 1000, reason: str = "", timeout: float = 2.0) -> None:
        """Say goodbye and release thread and socket, within ``timeout`` seconds. Idempotent; any thread, also a
        handler. What was received before can still be read with `recv`."""
        self._abandon.detach()
        if self._background is not None:
            self._background.request_stop()
        deadline = Deadline(timeout)
        self._line.close(code, reason, timeout)
        if self._resumption is not None:
            self._resumption.close(deadline.remaining())
        self._dispatcher.wake()
        self._dispatcher.control.rest()
        for release in self._at_close:
            release(code, reason)

    def __enter__(self) -> RealtimeSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the dispatcher calls

    def _answered(self, event: ServerEvent) -> None:
        confirmed = self._acks.apply(event)
        if confirmed is None and isinstance(event, InputAudioBufferCommitted) and self._state.facts.server_answers:
            self._sequencer.expect_another()

    def _responding(self, event: ServerEvent) -> None:
        run = self._sequencer.apply(event)
        self._state.answered_by(run)
        if run.asked_by is not None and not run.over:
            self._state.assume(self._acks.unconfirmed_items())

    def _malformed(self, event: MalformedEvent) -> None:
        self._dispatcher.remarks.note(f"a message came that cannot be read ({event.error})")

    def _approval_asked(self, event: ResponseOutputItemDone) -> None:
        runner = self._tool_runner
        decided = runner is not None and runner.decides_approvals
        if isinstance(event.item, McpApprovalRequest) and not decided and not self._approval_warned:
            self._approval_warned = True
            _log.warning(
                "the model waits for an approval to call %s of %s: give use_tools() an on_mcp_approval, or answer"
                " reply.approvals yourself with items of the type mcp_approval_response",
                event.item.name,
                event.item.server_label,
            )

    def _resumed(self, event: SessionResumed) -> None:
        self._last_error = None  # it was about the connection before

    def _lose_calls(self, run: Run) -> Set[str]:
        return self._tool_runner.lose(run) if self._tool_runner is not None else frozenset()

    def _began(self, event: ServerEvent) -> None:
        self._opened = True

    def _refused(self, event: ServerEvent) -> None:
        self._last_error = error = server_error(event, self._family)
        error.redact(self._line.redact)
        if self._resumption is not None and self._resumption.expects(error):
            return
        refused = self._acks.refusal_of(error)
        if self._sequencer.retries(error, refused):
            self._dispatcher.remarks.note(f"the server said: {error}")  # the other response may never end
            return
        handled = self._dispatcher.handles(self._family.error_class)
        if not error.event_id and not nothing_to_cancel(error):  # whom it is about is a guess at best
            self._dispatcher.remarks.note(f"the server said: {error}")
        if refused is not None:
            error.add_hint(names_meant(error, refused.event))
            self._acks.refuse(refused, error)
            self._sequencer.refused(refused)
            if isinstance(refused.event, ResponseCreate) and not error.event_id:
                self._sequencer.expect_another()
            if handled:
                refused.exception()  # somebody hears of it: its handle need not be asked
        elif not nothing_to_cancel(error):
            if error.event_id:
                self._dispatcher.remarks.note(f"the server said: {error}")
            run = self._state.responses.active
            if run is not None:
                run.error, run.error_at = error, now()
            raised = self._family.opens_with is None and not self._opened  # by connect()
            if not handled and not raised:
                _log.warning("the server reports an error: %s", error)

    def _find_cause(self) -> RealtimeError | None:
        return explain(self._line.cause, self._last_error, last=isinstance(self._line.last, self._family.error_class))


class _Wanted(Prepared):
    """Finds the first event that a predicate of the user accepts."""

    def __init__(self, predicate: Callable[[Any], object] | None) -> None:
        self.found: Any = None
        self._predicate = predicate

    def prepare(self, event: Any) -> None:
        """Look at an event."""
        if self.found is None and (self._predicate is None or self._predicate(event)):
            self.found = event


class _Visiting(Prepared):
    """Finds the method of a visitor that an event is for."""

    def __init__(self, visitor: ServerEventVisitor[Any], family: Family) -> None:
        _check_visitor(visitor, family)
        self._visitor = visitor

    def prepare(self, event: Any) -> Receiver:
        """The method."""
        found: Receiver = getattr(self._visitor, event.VISIT)
        return found


def _check_visitor(visitor: ServerEventVisitor[Any], family: Family) -> None:
    if isinstance(visitor, type) or not hasattr(visitor, family.error_class.VISIT):
        raise ConfigurationError(f"run() wants a ServerEventVisitor, not {visitor!r}")
    classes: tuple[type[ServerEvent], ...] = (*family.server.values(), UnknownEvent, MalformedEvent)
    missing = sorted({cls.VISIT for cls in classes if not hasattr(visitor, cls.VISIT)})
    if missing:
        raise ConfigurationError(
            f"{type(visitor).__name__} is no visitor of this session: it has no {', '.join(missing[:3])}"
            + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            + "; derive it from realtime_sync.ServerEventVisitor, or give it all of them"
        )


def _name(key: Key) -> str:
    return key if isinstance(key, str) else key.__name__
