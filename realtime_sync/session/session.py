"""`RealtimeSession`: everything that a user does with an open connection."""

from __future__ import annotations

import logging
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from realtime_sync._arguments import answered, answering, check_function
from realtime_sync._deadline import Deadline, now
from realtime_sync._latest import Latest
from realtime_sync.delivery.connection import Connection, Tap, check_close
from realtime_sync.delivery.dispatcher import STATE, Dispatcher
from realtime_sync.delivery.ending import explain
from realtime_sync.delivery.handlers import decorating
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.delivery.line import Line
from realtime_sync.delivery.said import excerpt
from realtime_sync.errors import ConfigurationError, RealtimeError, ServerError, check_process
from realtime_sync.events import (
    REALTIME,
    Family,
    InputAudioBufferCommitted,
    MalformedEvent,
    McpApprovalRequest,
    ResponseCreate,
    ResponseOutputItemDone,
    ServerEvent,
    SessionResumed,
    UnknownEvent,
)
from realtime_sync.events._other_names import OF_SESSIONS, missing
from realtime_sync.sending.acks import AckTable, answers, error_in, nothing_to_cancel, server_error
from realtime_sync.sending.older_names import names_meant
from realtime_sync.sending.outgoing import Outgoing
from realtime_sync.sending.sequencer import RESPONDING, Sequencer
from realtime_sync.session.listener import WAIT_S
from realtime_sync.session.talker import Talker
from realtime_sync.session.weak import WeakSession, weakly
from realtime_sync.state.session_state import SessionState

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from realtime_sync.events import RealtimeSessionConfig
    from realtime_sync.session.dialling import Dialling
    from realtime_sync.session.options import RunnerOptions, ToolOptions
    from realtime_sync.session.resume.policy import Resume
    from realtime_sync.state.conversation import Conversation
    from realtime_sync.state.responses import Run
    from realtime_sync.state.usage import CostLimit, RateLimits, UsageTally
    from realtime_sync.tools import ToolRunner, Toolset

__all__ = ["RealtimeSession"]

F = TypeVar("F", bound=Callable[..., object])
_BAD_NEWS: Final = re.compile("error|fail", re.IGNORECASE)
_MOST_TYPES: Final = 256
_LONGEST_TYPE: Final = 256
_log = logging.getLogger("realtime_sync")


@answered
class RealtimeSession(Talker):
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
        timeout_s: float = WAIT_S,
    ) -> None:
        line = Line(connection, inbox, None if resume is None else resume.survives(family))
        dispatcher = Dispatcher(inbox, weakly(self._find_cause))
        undivided = dispatcher.control.run
        self._acks = AckTable(dispatcher.waiting, family, arrived=lambda: inbox.arrived, place=dispatcher.place)
        state = SessionState(dispatcher, conversation_limit)
        limit = None if cost_limit is None else partial(cost_limit.check, state.usage)
        outgoing = Outgoing(line.send, self._acks, state, checks=checks, before_response=limit, family=family)
        sequencer = Sequencer(self._acks, state.responses, line.send, weakly(self.cancel_response), undivided)
        super().__init__(line, dispatcher, family, outgoing, sequencer, state)
        self._opened = False
        self._tools_lock = threading.RLock()  # guards the change of the two
        self._own_tools: Toolset | None = None  # the functions of `tool`, whatever toolset is in use
        self._approval_warned = False
        self._last_error: ServerError | None = None
        self._unknown_types: dict[str, None] = Latest(_MOST_TYPES)  # that a remark was made of
        dispatcher.goodbye = weakly(self._find_goodbye)
        line.explain = weakly(self._explain_end)
        dispatcher.at_end += [self._acks.fail_all, sequencer.fail_all]
        dispatcher.at_idle.append(lambda: undivided(sequencer.tick) if sequencer.waits else None)
        # Weakly: a thread of `start` holds the dispatcher, and must not keep a session that nobody else holds any more.
        # First of all: what else keeps state asks which response an event belongs to.
        dispatcher.subscribe(STATE, weakly(self._answered), *answers(family))
        dispatcher.subscribe(STATE, weakly(self._began), *family.opened_by)
        dispatcher.subscribe(STATE, weakly(self._responding), *RESPONDING)
        dispatcher.subscribe(STATE, weakly(self._refused), family.error_class)
        dispatcher.subscribe(STATE, weakly(self._malformed), MalformedEvent)
        dispatcher.subscribe(STATE, weakly(self._unknown), UnknownEvent)
        dispatcher.subscribe(STATE, weakly(self._approval_asked), ResponseOutputItemDone)
        state.follow()
        if resume is not None and dialling is not None:
            from realtime_sync.session.resume.resumption import Resumption  # only who goes on pays for it

            self._resumption = Resumption(
                resume,
                dialling,
                line,
                inbox,
                dispatcher,
                state,
                self._acks,
                outgoing,
                sequencer,
                timeout_s=timeout_s,
                cause=weakly(self._find_cause),
                lose_calls=weakly(self._lose_calls),
                busy=self._one_recording.locked,
            )
            dispatcher.subscribe(STATE, weakly(self._resumed), SessionResumed)
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

    # Tools

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(self, function: None = None, /, **options: Unpack[ToolOptions]) -> Callable[[F], F]: ...
    @answering
    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Offer a Python function to the model, as a decorator with or without the options of `Toolset.tool`: its
        signature and docstring become the schema, and its calls are run and answered by themselves. It stands beside
        the functions of a `Toolset` in use, to which it is not added, and beside hosted tools. Any thread.

        Raises `ConfigurationError` for a function whose signature cannot be expressed and for a name that is taken,
        (``replace=True`` takes the place of an earlier function of this method), and what `update_session` raises.
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
            if self._own_tools is None:
                self._own_tools = Toolset()
            if runner is not None and name in runner.toolset and name not in self._own_tools:
                raise ConfigurationError(f"there is a tool {name!r} already, in the toolset in use: replace it there")
            self._own_tools.tool(**options)(function)  # a runner that announces tells the server
            if runner is None:
                self.use_tools(Toolset())
            elif not runner.announces:
                runner.announce()

    @answering
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

    # The wire

    def add_tap(self, tap: Tap) -> None:
        """Show every further text frame, as it is on the wire, to ``tap(direction, text)``: received ones (``"in"``,
        as bytes) on the reader's thread, sent ones (``"out"``, as a string) on the sender's. It must be quick and must
        not call the session. A tap that raises is logged and removed."""
        from realtime_sync.recording.recorder import Tap as Recording

        check_function(tap, "a tap", "the direction", "the text")
        if isinstance(tap, Recording):
            known = weakref.ref(self._line)  # which holds the tap
            tap.redact = lambda said: said if (line := known()) is None else line.clean(said)
        self._line.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Show no further frame to ``tap``."""
        self._line.remove_tap(tap)

    # The end

    def close(self, code: int = 1000, reason: str = "", timeout: float = 2.0) -> None:
        """Say goodbye and release thread and socket, within ``timeout`` seconds. Idempotent; any thread, also a
        handler. What was received before can still be read with `recv`. Raises `ConfigurationError` for a ``code``
        other than 1000 and 3000 to 4999, a ``reason`` that is no text and for what is no time limit; nothing is closed
        then."""
        check_close(code, reason)
        deadline = Deadline(timeout)
        self._abandon.detach()
        if self._background is not None:
            self._background.request_stop()
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
        error = error_in(event, self._family, self._line.redact)
        if error is not None:
            self._heed(error, handled=self._dispatcher.handles(MalformedEvent))
            return
        said = excerpt(event.raw, self._line.redact)
        self._dispatcher.remarks.note(f"a message came that cannot be read ({event.error}): {said}")

    def _unknown(self, event: UnknownEvent) -> None:
        if _BAD_NEWS.search(event.type):
            said = excerpt(event.raw, self._line.redact)
            self._dispatcher.remarks.note(f"the server said: {said}")
        elif (known := event.type[:_LONGEST_TYPE]) not in self._unknown_types:  # once: they may come by the thousand
            self._unknown_types[known] = None
            kind = excerpt(event.type, self._line.redact)
            self._dispatcher.remarks.note(f"an unknown {kind} came", answer=False)

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
        error = server_error(event, self._family, self._line.redact)
        self._heed(error, handled=self._dispatcher.handles(self._family.error_class))

    def _heed(self, error: ServerError, *, handled: bool) -> None:
        """Find out whom an error is about; ``handled`` says whether somebody else hears of it, too."""
        self._last_error = error
        if self._resumption is not None and self._resumption.expects(error):
            return
        refused = self._acks.refusal_of(error)
        if self._sequencer.retries(error, refused):
            self._dispatcher.remarks.note(f"the server said: {error}")  # the other response may never end
            return
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
        line = self._line
        return line.fault or self._explained(line.cause)  # a fault is explained already

    def _find_goodbye(self) -> RealtimeError | None:
        goodbye = self._line.goodbye
        return None if goodbye is None else self._explained(goodbye)

    def _explain_end(self) -> RealtimeError | None:
        return self._find_cause() or self._find_goodbye()

    def _explained(self, cause: RealtimeError | None) -> RealtimeError | None:
        """The end together with the error event that announced it."""
        line, error = self._line, self._last_error
        last = error_in(line.last, self._family, line.redact)
        if last is None:
            return explain(cause, error, last=False)
        return explain(cause, error if self._dispatcher.ended else last, last=True)  # else it may be undispatched yet
