"""`RealtimeSession`: everything that a user does with an open connection."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from realtime_sync._deadline import Deadline, now
from realtime_sync.codec import object_to_dict
from realtime_sync.delivery.background import BackgroundPump
from realtime_sync.delivery.connection import Connection, Tap
from realtime_sync.delivery.dispatcher import STATE, VISITOR, WAITER, Dispatcher, Prepared, Receiver
from realtime_sync.delivery.ending import explain
from realtime_sync.delivery.handlers import Handlers, Key, decorating, key_of
from realtime_sync.delivery.inbox import Inbox
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
    ResponseConfig,
    ResponseCreate,
    ResponseCreated,
    ServerEvent,
    SessionConfig,
    SessionUpdated,
    TurnDetection,
)
from realtime_sync.sending.acks import Ack, AckTable, answers, nothing_to_cancel, server_error
from realtime_sync.sending.outgoing import Outgoing, known_types
from realtime_sync.sending.sequencer import RESPONDING, Sequencer
from realtime_sync.sending.user_input import coded_audio, user_message
from realtime_sync.session.reply import Reply
from realtime_sync.session.turn import TURN_TIMEOUT_S, Turn
from realtime_sync.session.verbs import Sender
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from realtime_sync.events.visitor import ServerEventVisitor
    from realtime_sync.state.conversation import Conversation
    from realtime_sync.state.usage import CostLimit, RateLimits, UsageTally
    from realtime_sync.tools import ToolRunner, Toolset

__all__ = ["RealtimeSession"]

E = TypeVar("E", bound=ServerEvent)
F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")
_log = logging.getLogger("realtime_sync")
_WAIT_S: Final = 10.0


class RealtimeSession(Sender):
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
    ) -> None:
        self._connection = connection
        self._dispatcher = Dispatcher(inbox, self._find_cause)
        self._family = family
        self._opened = False
        self._acks = AckTable(self._dispatcher.wait, family)
        state = SessionState(self._dispatcher)
        limit = None if cost_limit is None else partial(cost_limit.check, state.usage)
        outgoing = Outgoing(connection.send, self._acks, state, checks=checks, before_response=limit, family=family)
        sequencer = Sequencer(self._acks, state.responses, connection.send, self.cancel_response)
        super().__init__(outgoing, sequencer, state)
        server, client = known_types(family)
        self._key_of = partial(key_of, server=server, client=client)
        self._handlers = Handlers(self._dispatcher, self._key_of)
        self._tool_runner: ToolRunner | None = None
        self._own_tools: Toolset | None = None
        self._pid = os.getpid()
        self._lock = threading.RLock()  # guards _interrupters, and the replacement of _background
        self._background: BackgroundPump | None = None
        self._runs = 0
        self._interrupters: tuple[Callable[[], Iterable[str | None]], ...] = ()
        self._last_error: ServerError | None = None
        self._dispatcher.at_end += [self._acks.fail_all, sequencer.fail_all]
        self._dispatcher.at_idle.append(self._tick)
        # First of all: what else keeps state asks which response an event belongs to.
        self._dispatcher.subscribe(STATE, self._answered, *answers(family))
        self._dispatcher.subscribe(STATE, self._began, *family.opened_by)
        self._dispatcher.subscribe(STATE, self._responding, *RESPONDING)
        self._dispatcher.subscribe(STATE, self._refused, family.error_class)
        self._dispatcher.subscribe(STATE, self._malformed, MalformedEvent)
        state.follow()
        self._abandon = weakref.finalize(self, connection.abandon)

    # What it is

    @property
    def config(self) -> SessionConfig | None:
        """The configuration in force, as far as events have been dispatched."""
        return self._state.config

    @property
    def conversation(self) -> Conversation:
        """The conversation as the server keeps it, as far as events have been dispatched: items in order, with their
        text and transcripts. From the first look on text also grows while it streams."""
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
        return self._connection.closing or self._connection.ended

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

        Raises `InvalidEvent` or `ConfigurationError` for input that cannot be sent, and `ServerError` when the server
        refuses the audio.
        """
        deadline = Deadline(timeout)
        if audio is not None:
            self._speak(coded_audio(audio, self._state.facts.input), deadline)
        message = user_message(text, images)
        if message.content:
            self.create_item(message)
        ack, sent = self._outgoing.response(config)
        turn = self._turn(ack, deadline)  # before sending: another thread may dispatch the answer at once
        try:
            self._dispatcher.control.run(partial(self._sequencer.submit, ack, sent))
        except BaseException:
            turn.leave()
            self._sequencer.renounce(ack)
            raise
        return turn

    def ask(
        self,
        text: str | None = None,
        *,
        audio: Any = None,
        images: Iterable[str | os.PathLike[str] | bytes] = (),
        config: ResponseConfig | Mapping[str, Any] | None = None,
        timeout: float | None = TURN_TIMEOUT_S,
        check: bool = True,
    ) -> Reply:
        """Say something as `respond` does, block for the whole response and return it. When this call is left early,
        by its timeout or by Ctrl-C, the response is cancelled.

        Raises `ResponseFailed` unless it was completed (``check=False`` returns it whatever its status),
        `ServerError` when the server refused, `RealtimeTimeout` and `ConnectionClosed` or its kin.
        """
        with self.respond(text, audio=audio, images=images, config=config, timeout=timeout) as turn:
            return turn.result(check=check)

    def _speak(self, coded: bytes, deadline: Deadline) -> None:
        """Make a user message of audio, past any turn detection."""
        facts = self._state.facts
        detection = facts.turn_detection or None
        switched = self._detect_turns(None) if detection else None
        try:
            if switched:
                self.clear_audio().exception()  # a server that has no such event may say so: nobody needs to hear of it
            self.append_audio_bytes(coded)
            self._commit(deadline)
            if switched:
                switched.result(deadline.remaining())
        except (ServerError, InvalidEvent):
            if switched:  # waited for, so that the next call knows of the turn detection again
                self._detect_turns(detection).result(deadline.remaining())
                switched = None
            raise
        finally:
            if switched and not self.closed:
                self._detect_turns(detection)

    def _commit(self, deadline: Deadline) -> None:
        try:
            self.commit_audio().result(deadline.remaining())
        except RealtimeTimeout as late:
            raise RealtimeTimeout(
                f"{late}: a server that ends turns by silence alone takes no commit; append silence after the speech"
                " and wait for next_reply() there"
            ) from None

    def _detect_turns(self, detection: TurnDetection | None) -> Ack[SessionUpdated]:
        wanted = None if detection is None else object_to_dict(detection)
        return self.update_session({"audio": {"input": {"turn_detection": wanted}}})

    def _turn(self, ack: Ack[ResponseCreated] | None, deadline: Deadline) -> Turn:
        return Turn(
            self._dispatcher,
            self._state.responses,
            self._sequencer,
            ack,
            deadline=deadline,
            cancel_response=self.cancel_response,
            follow=self._tool_runner.follow if self._tool_runner is not None else None,
        )

    def next_reply(self, *, timeout: float | None = TURN_TIMEOUT_S) -> Turn:
        """The turn of the next response that begins, whoever starts it: for server-side turn detection, which answers
        by itself when the user stops speaking. Call it before the speech ends."""
        return self._turn(None, Deadline(timeout))

    # Tools

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(self, function: None = None, /, **options: Any) -> Callable[[F], F]: ...
    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a Python function to the model, as a decorator with or without the options of `Toolset.tool`: its
        signature and docstring become the schema, and its calls are run and answered by themselves.

        Raises `ConfigurationError` for a function whose signature cannot be expressed.
        """
        if function is None:
            return decorating(partial(self._offer, options))
        self._offer(options, function)
        return function

    def _offer(self, options: Mapping[str, Any], function: Callable[..., Any]) -> None:
        from realtime_sync.tools import Toolset

        if self._own_tools is None:
            if self._tool_runner is not None:
                raise ConfigurationError("this session uses a Toolset: add the function to that, before use_tools()")
            tools = Toolset()
            tools.tool(**options)(function)
            self._own_tools = tools
            self.use_tools(tools)
        else:
            self._own_tools.tool(**options)(function)
            assert self._tool_runner is not None
            self._tool_runner.announce()

    def use_tools(self, toolset: Toolset, *, announce: bool = True, **options: Any) -> ToolRunner:
        """Run the model's calls with the functions of ``toolset`` from now on, and tell the server of them (unless
        ``announce=False``). `ask` and `respond` then go on until the model has its last word.

        ``options`` are those of `ToolRunner`: workers, time limits, approval, hooks. Replaces the tools in use.
        """
        from realtime_sync.tools import ToolRunner

        if self._tool_runner is not None:
            self._tool_runner.close()
        options.setdefault("ignores", self._sequencer.beside)  # its calls are answered in the conversation alone
        options.setdefault("responses", self._state.responses)
        runner = self._tool_runner = ToolRunner(self, toolset, **options)
        if announce:
            runner.announce()
        return runner

    # Receiving

    def recv(self, timeout: float | None = None) -> ServerEvent | None:
        """The next event, after its handlers ran; ``None`` after a clean end.

        From the first call on, events that pass while another verb waits are kept for the next call, so that a loop
        over the session misses nothing. ``timeout`` is in seconds; ``None`` waits as long as the connection lives.

        Raises `RealtimeTimeout`, `ConnectionLost` or its kin when the connection was lost, `InboxOverflow`, and what
        a handler raised (its event comes with the next call).
        """
        return self._dispatcher.next(Deadline(timeout))

    def __iter__(self) -> Iterator[ServerEvent]:
        """Each event as `recv` returns it, until a clean end."""
        while (event := self.recv()) is not None:
            yield event

    @overload
    def wait_for(
        self, key: type[E], predicate: Callable[[E], object] | None = None, timeout: float | None = _WAIT_S
    ) -> E: ...
    @overload
    def wait_for(
        self, key: str, predicate: Callable[[Any], object] | None = None, timeout: float | None = _WAIT_S
    ) -> Any: ...
    def wait_for(
        self, key: Key, predicate: Callable[[Any], object] | None = None, timeout: float | None = _WAIT_S
    ) -> Any:
        """Block until an event of this class or type comes that the predicate accepts, and return it. Events that
        arrived but were not dispatched yet count; events dispatched before do not.

        Raises `RealtimeTimeout` after ``timeout`` seconds, and the cause when the connection ends first.
        """
        known = self._key_of(key)
        look = _Look(predicate)
        try:
            self._dispatcher.subscribe(WAITER, look, known)
            self._dispatcher.wait(lambda: look.found is not None, Deadline(timeout), f"an event {_name(key)}")
        finally:
            self._dispatcher.unsubscribe(WAITER, look, known)
        return look.found

    # Handlers

    @overload
    def on(self, key: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...
    @overload
    def on(self, key: type[E], handler: Callable[[E], object]) -> None: ...
    @overload
    def on(self, key: str) -> Callable[[F], F]: ...
    @overload
    def on(self, key: str, handler: Callable[[Any], object]) -> None: ...
    def on(self, key: Key, handler: Callable[[Any], object] | None = None) -> Any:
        """Call ``handler`` for each event of a class, of a type string, or of ``"*"``; without ``handler``, a
        decorator. Handlers run on the thread that dispatches, in the order of their registration."""
        if handler is None:
            return decorating(lambda given: self._handlers.add(key, given))
        return self._handlers.add(key, handler)

    @overload
    def once(self, key: type[E]) -> Callable[[Callable[[E], R]], Callable[[E], R]]: ...
    @overload
    def once(self, key: type[E], handler: Callable[[E], object]) -> None: ...
    @overload
    def once(self, key: str) -> Callable[[F], F]: ...
    @overload
    def once(self, key: str, handler: Callable[[Any], object]) -> None: ...
    def once(self, key: Key, handler: Callable[[Any], object] | None = None) -> Any:
        """As `on`, for the next such event only."""
        if handler is None:
            return decorating(lambda given: self._handlers.add_once(key, given))
        return self._handlers.add_once(key, handler)

    def off(self, key: Key, handler: Callable[[Any], object]) -> bool:
        """Call ``handler`` no more for ``key``; False when it was not registered."""
        return self._handlers.remove(key, handler)

    def run(self, visitor: ServerEventVisitor[Any] | None = None) -> None:
        """Dispatch events to the handlers, and to ``visitor``, until the connection ends cleanly or `stop` or `close`
        is called.

        Raises what a handler raises, after the other handlers of that event ran: the session stays usable and `run`
        can be called again. Raises `ConnectionLost` or its kin when the connection is lost.
        """
        this_run = self._runs
        receive = None if visitor is None else _Visiting(visitor)
        try:
            if receive is not None:
                self._dispatcher.subscribe(VISITOR, receive, ServerEvent)
            self._dispatcher.run(lambda: self._runs != this_run or self._connection.closing)
        finally:
            if receive is not None:
                self._dispatcher.unsubscribe(VISITOR, receive, ServerEvent)

    def start(self, *, on_error: Callable[[Exception], object] | None = None) -> None:
        """Dispatch on a background thread from now on: for notebooks. Blocking verbs still work on any thread.

        What a handler raises is logged, given to ``on_error`` and raised by `stop`. Starting twice changes nothing.
        """
        check_process(self._pid)  # before any lock
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
        """Show every further text frame, as it is on the wire, to ``tap(direction, text)``: received ones (``"in"``)
        on the reader's thread, sent ones (``"out"``) on the sender's. It must be quick and must not call the
        session. A tap that raises is logged and removed."""
        self._connection.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no further frame to ``tap``."""
        self._connection.remove_tap(tap)

    # The end

    def close(self, code: int = 1000, reason: str = "", timeout: float = 2.0) -> None:
        """Say goodbye and release thread and socket, within ``timeout`` seconds. Idempotent; any thread, also a
        handler. What was received before can still be read with `recv`."""
        self._abandon.detach()
        if self._background is not None:
            self._background.request_stop()
        self._connection.close(code, reason, timeout)
        self._dispatcher.wake()
        self._dispatcher.control.rest()

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
        if run.asked_by is not None and not run.over:
            self._state.assume(self._acks.unconfirmed_items())

    def _tick(self) -> None:
        if self._sequencer.waits:
            self._dispatcher.control.run(self._sequencer.tick)

    def _malformed(self, event: MalformedEvent) -> None:
        self._dispatcher.remarks.note(f"a message came that cannot be read ({event.error})")

    def _began(self, event: ServerEvent) -> None:
        self._opened = True

    def _refused(self, event: ServerEvent) -> None:
        self._last_error = error = server_error(event, self._family, redact=self._connection.redact)
        refused = self._acks.refusal_of(error)
        if self._sequencer.retries(error, refused):
            return
        handled = self._dispatcher.handles(self._family.error_class)
        if not error.event_id and not nothing_to_cancel(error):  # whom it is about is a guess at best
            self._dispatcher.remarks.note(f"the server said: {error}")
        if refused is not None:
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
            if not handled:
                _log.warning("the server reports an error: %s", error)

    def _find_cause(self) -> RealtimeError | None:
        return explain(
            self._connection.cause, self._last_error, last=isinstance(self._connection.last, self._family.error_class)
        )


class _Look(Prepared):
    """Finds the first event that a predicate accepts."""

    def __init__(self, predicate: Callable[[Any], object] | None) -> None:
        self.found: Any = None
        self._predicate = predicate

    def prepare(self, event: Any) -> None:
        """Look at the event."""
        if self.found is None and (self._predicate is None or self._predicate(event)):
            self.found = event


class _Visiting(Prepared):
    """Finds the method of a visitor that an event is for."""

    def __init__(self, visitor: ServerEventVisitor[Any]) -> None:
        if isinstance(visitor, type) or not hasattr(visitor, "visit_error"):
            raise ConfigurationError(f"run() wants a ServerEventVisitor, not {visitor!r}")
        self._visitor = visitor

    def prepare(self, event: Any) -> Receiver:
        """The method."""
        found: Receiver = getattr(self._visitor, event.VISIT)
        return found


def _name(key: Key) -> str:
    return key if isinstance(key, str) else key.__name__
