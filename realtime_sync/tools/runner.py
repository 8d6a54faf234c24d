"""Runs the calls that the model asks for, on threads of their own, and answers them."""

from __future__ import annotations

import json
import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_function, check_kind
from realtime_sync._deadline import Deadline
from realtime_sync._unset import Unset
from realtime_sync.codec import object_to_dict
from realtime_sync.errors import ConfigurationError, InvalidEvent, RealtimeError, RealtimeTimeout
from realtime_sync.events import (
    FunctionCall,
    McpApprovalRequest,
    Response,
    ResponseConfig,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    SessionConfig,
    SessionUpdated,
    Tool,
)
from realtime_sync.events.base import or_none
from realtime_sync.sending.acks import Ack
from realtime_sync.sending.tools_told import ToolsTold
from realtime_sync.state.calls import Calls
from realtime_sync.state.facts import Facts
from realtime_sync.state.responses import Responses, Run
from realtime_sync.tools.approvals import Approvals, Decide, verdict
from realtime_sync.tools.results import arguments_text, error_text, output_text, read_arguments
from realtime_sync.tools.rounds import Phase, Rounds, RunningCall, ToolFailure, ToolRound
from realtime_sync.tools.schema.shapes import BadArguments
from realtime_sync.tools.toolset import Approve, FunctionSpec, ToolCall, ToolContext, Toolset
from realtime_sync.tools.watch import Watch
from realtime_sync.tools.workers import Workers, call_all

__all__ = ["ToolRunner"]

Options = Callable[[Response], "ResponseConfig | Mapping[str, Any] | None"]
"""The options of the response that follows upon this one."""

Due = list[tuple[RunningCall, FunctionSpec]]
"""Calls of inline tools, which the thread that dispatches runs next."""

_log = logging.getLogger("realtime_sync")


class ToolSession(Protocol):
    """What a runner needs of a session; `RealtimeSession` has it."""

    @property
    def config(self) -> Any: ...
    @property
    def closed(self) -> bool: ...
    def on(self, key: Any, handler: Any) -> None: ...
    def off(self, key: Any, handler: Any) -> bool: ...
    def update_session(self, config: SessionConfig | Mapping[str, Any]) -> Ack[SessionUpdated]: ...
    def create_item(self, item: Mapping[str, Any]) -> Ack[Any]: ...
    def submit_function_output(self, call_id: str, output: Any) -> Ack[Any]: ...
    def create_response(self, config: ResponseConfig | Mapping[str, Any] | None = None) -> Ack[ResponseCreated]: ...


class _Failed(Exception):
    """A call ends with this failure."""

    def __init__(self, reason: Any, message: str, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.error = error


@answered
class ToolRunner:
    """Answers the function calls of a session with the functions of a `Toolset`, from its construction on.

    Each call is run as soon as its arguments are complete, on one of ``workers`` daemon threads (``inline`` tools: on
    the thread that dispatches), and its output is sent at once; where the network is stuck it waits until it can be
    (that of an ``inline`` tool for ``send_timeout_s`` of `connect`). When all calls of a response are answered and the
    response is done, one ``response.create`` lets the model go on. Whatever fails becomes an output that says so, for
    the model. The calls of a response that was cancelled, interrupted or failed are cancelled: they are answered so,
    and no response follows.

    ``auto_respond=False`` leaves the following response to you. After ``max_rounds`` rounds of calls in a row the
    model must answer without tools; ``None`` is no limit. ``queue_limit`` calls may wait for a thread. ``timeout_s``
    limits a call that has no limit of its own, in seconds, from its arrival (or its approval) on; a late result is
    dropped. ``approve`` is asked before each call of a tool that has no hook of its own; on a worker thread.

    ``on_mcp_approval`` decides on calls of hosted MCP tools, on a worker thread; without it such requests are left to
    you. ``on_call`` and ``on_output`` watch what is asked and answered. ``describe_failure`` makes the output of a
    call that failed, instead of ``{"error": message}``. ``options`` gives the options of the following response; by
    default it comes in the modalities of the one before. ``ignores`` is given the id of a response and says whether
    its calls are none of the runner's business: out of band, say. ``responses`` is what the session knows of its
    responses; without it the runner follows them by itself. ``told`` is what it knows of the tools that the server was
    told of; without it the runner goes by the session's configuration. ``undivided`` calls a function where no
    interrupt (Ctrl-C) strikes; without it one may leave a call unanswered. ``replaces`` is an earlier runner of the
    session, which is closed before this one begins, but not where these options are impossible.

    Raises `ConfigurationError` for impossible options.
    """

    def __init__(
        self,
        session: ToolSession,
        toolset: Toolset,
        *,
        auto_respond: bool = True,
        max_rounds: int | None = 10,
        workers: int = 4,
        queue_limit: int = 64,
        timeout_s: float | None = 60.0,
        approve: Approve | None = None,
        on_mcp_approval: Decide | None = None,
        on_call: Callable[[ToolCall], object] | None = None,
        on_output: Callable[[ToolCall, str], object] | None = None,
        describe_failure: Callable[[ToolFailure], Any] | None = None,
        options: Options | None = None,
        ignores: Callable[[str | None], bool] | None = None,
        responses: Responses | None = None,
        told: ToolsTold | None = None,
        undivided: Callable[[Callable[[], object]], object] | None = None,
        replaces: ToolRunner | None = None,
    ) -> None:
        _check_toolset(toolset)
        for hook, role, *given in (
            (approve, "approve", "the call"),
            (on_mcp_approval, "on_mcp_approval", "the request"),
            (on_call, "on_call", "the call"),
            (on_output, "on_output", "the call", "the output"),
            (describe_failure, "describe_failure", "the failure"),
            (options, "options", "the response"),
            (ignores, "ignores", "the id of a response"),
            (undivided, "undivided", "the work"),
        ):
            if hook is not None:
                check_function(hook, role, *given)
        threads = _limits.size("workers", workers, "threads")
        waiting = _limits.size("queue_limit", queue_limit, "calls", least=0)
        self.announces = False
        """Whether the server is told of the tools, and of those that are added to the toolset later."""
        self._session = session
        self._toolset = toolset
        self._auto_respond = auto_respond
        self._max_rounds = None if max_rounds is None else _limits.size("max_rounds", max_rounds, "rounds")
        self._timeout_s = _limits.seconds("timeout_s", timeout_s, optional=True)
        self._approve = approve
        self._on_call = on_call
        self._on_output = on_output
        self._describe_failure = describe_failure
        self._options = self._same_modalities if options is None else options
        self._ignores = ignores
        self._folds_responses = responses is None
        self._responses = responses or Responses()
        self._told = told or ToolsTold(lambda: session.config, session.update_session)
        self._undivided = (lambda work: work()) if undivided is None else undivided
        self._watcher = weakref.WeakMethod(self._toolset_grew)
        self._workers = Workers(threads, waiting)
        self._approvals = (
            None
            if on_mcp_approval is None
            else Approvals(self._workers, on_mcp_approval, self._answer_request, self._close_one)
        )
        self._lock = threading.RLock()  # guards all below, and the state of rounds and calls
        self._watch = Watch(self._lock, self._give_up, self._look_whether_closed)
        self._rounds = Rounds()
        self._calls = Calls()  # only where events are taken in
        self._closed = False
        self._handlers: Final[tuple[tuple[Any, Callable[[Any], object]], ...]] = (
            (ResponseCreated, self._run_of),
            (ResponseOutputItemAdded, self._item_added),
            (ResponseFunctionCallArgumentsDone, self._arguments_done),
            (ResponseOutputItemDone, self._item_done),
            (ResponseDone, self._response_done),
        )
        if replaces is not None:
            replaces.close()
        self._told.runs(lambda: [spec.name for spec in toolset])
        for event_class, handler in self._handlers:
            session.on(event_class, handler)

    @property
    def toolset(self) -> Toolset:
        """The functions that it answers with."""
        return self._toolset

    @property
    def decides_approvals(self) -> bool:
        """Whether it answers the requests of hosted MCP tools."""
        return self._approvals is not None

    def announce(self, *others: Tool) -> Ack[SessionUpdated]:
        """Tell the server which tools there are: those of the toolset, ``others`` (hosted MCP servers, say), and beside
        them what stands in the session's configuration already. From now on a tool that is added to the toolset is
        announced by itself. Any thread; raises as `update_session` does."""
        self.keep_announced()
        return self._told.announce(lambda: [*self._toolset.definitions, *others])

    def announced_with(self, others: Iterable[Any] = ()) -> list[dict[str, Any]]:
        """The list of tools for a configuration that you send yourself, as JSON: those of the toolset beside
        ``others``. Tools that are added later are announced as after `announce`."""
        check_kind("others", others, "the tools beside those of the toolset, in a list", Iterable)
        self.keep_announced()
        return self._told.beside([object_to_dict(tool) for tool in self._toolset.definitions], others)

    def keep_announced(self) -> None:
        """Announce each tool that is added to the toolset from now on."""
        self.announces = True
        self._toolset._watch(self._watcher)

    def _toolset_grew(self) -> None:
        if not (self._closed or self._session.closed):
            self._told.announce(lambda: self._toolset.definitions)

    def follow(self, response: Response) -> ToolRound | None:
        """What comes of a response that has ended: its round, or ``None`` when it called no tool.

        For a caller that waits for the model's last word: wait until the round is ``settled``, then go on with its
        ``follow_up``. It may be called from any thread, and as soon as ``response.done`` is there.
        """
        check_kind("response", response, "the Response of a response.done", Response)
        run = self._responses.find(response.id)
        if run is None and self._folds_responses:
            run = self._responses.begin(ResponseDone(response=response))
        due: Due = []
        found = self._end(response, None if run is None or self._is_ignored(run) else run, due)
        self._run_due(due)
        return found

    def lose(self, run: Run) -> frozenset[str]:
        """A response was lost with its connection: its calls are cancelled, as with any that ends unfinished. The ids
        of those that have an answer, then: a call that had not begun is gone with its response, without one."""
        if self._is_ignored(run):
            return frozenset()
        self._withdraw(run)
        known = self._end(Response(id=run.id, status="cancelled"), run, [])  # of which no call begins
        return frozenset() if known is None else frozenset(known.call_ids)

    def _withdraw(self, run: Run) -> None:
        """Forget the calls of a response that have not begun."""
        with self._lock:
            found = self._rounds.find(run)
            unbegun = [] if found is None else [running for running in found.running if running.thread is None]
            for running in unbegun:
                running.settled = True
                self._watch.forget_locked(running)
                running.round.running.remove(running)
                running.round.call_ids.discard(running.call.call_id)
                running.round.open -= 1
        for running in unbegun:
            running.cancelled.set()

    def close(self) -> None:
        """Answer no more calls. Those that run are cancelled and their results dropped. The end of the session does
        the same. Idempotent; any thread."""
        with self._lock:
            self._closed = True
            cancelled = [running for known in self._rounds for running in known.running]
            for running in cancelled:
                running.settled = True
            for known in self._rounds:
                known.running.clear()
                # When the session has ended it stays unsettled: who waits for the next response hears of that end.
                if not known.settled:
                    known.move(Phase.ASKING if self._session.closed else Phase.SETTLED)
            self._watch.clear_locked()
        self._toolset._unwatch(self._watcher)
        for running in cancelled:
            running.cancelled.set()
        for event_class, handler in self._handlers:
            self._session.off(event_class, handler)

    # What the model asks for

    def _run_of(self, event: Any) -> Run | None:
        """The response that an event is about; ``None`` for one that is none of the runner's business."""
        run = self._responses.fold(event) if self._folds_responses else self._responses.of(event)
        return None if run is None or self._is_ignored(run) else run

    def _is_ignored(self, run: Run) -> bool:
        return self._ignores is not None and self._ignores(run.id)

    def _arguments_done(self, event: ResponseFunctionCallArgumentsDone) -> None:
        call = self._calls.told(event)
        name, call_id = or_none(call.name), or_none(call.call_id)
        arguments = arguments_text(call)
        # This comes also for a call that was cut off. Text that is no whole object waits for the item to be done.
        if name is not None and call_id is not None and _is_whole(arguments):
            self._take_in(lambda due: self._offer(name, arguments, call_id, self._run_of(event), due))

    def _item_added(self, event: ResponseOutputItemAdded) -> None:
        if isinstance(event.item, FunctionCall):
            self._calls.begin(event.item)

    def _item_done(self, event: ResponseOutputItemDone) -> None:
        self._take_in(lambda due: self._take(event.item, self._run_of(event), due))

    def _response_done(self, event: ResponseDone) -> None:
        self._take_in(lambda due: self._end(or_none(event.response), self._run_of(event), due))

    def _take_in(self, work: Callable[[Due], object]) -> None:
        """Take in an event, undivided; the calls of inline tools, which that collects, are then run here."""
        due: Due = []
        left = threading.Event()

        def taking() -> None:
            try:
                work(due)
            finally:
                if left.is_set():  # an interrupt ended the waiting, and not this
                    self._leave(due)

        try:
            self._undivided(taking)
            self._run_due(due)
        except BaseException:
            left.set()
            self._leave(due)
            raise

    def _run_due(self, due: Due) -> None:
        try:
            while due:
                self._run(*due[0])
                del due[0]
        finally:
            self._leave(due)

    def _leave(self, due: Due) -> None:
        """Answer the calls of inline tools that are not run any more."""
        told = "the call was cancelled before it ran: the program was interrupted"
        call_all(partial(self._cancel, running, told) for running, _ in due)

    def _take(self, item: Any, run: Run | None, due: Due) -> None:
        if isinstance(item, McpApprovalRequest):
            self._offer_approval(item, run)
        elif isinstance(item, FunctionCall) and item.status != "incomplete":
            if item.call_id is None:
                _log.warning("the model calls %s without a call_id: it cannot be answered", item.name)
            else:
                self._offer(or_none(item.name) or "", arguments_text(item), item.call_id, run, due)

    def _open_round_locked(self, run: Run, kind: str, new_id: str) -> ToolRound | None:
        """The round that something new belongs to; ``None`` when it is known already, or comes too late."""
        found = None if self._closed else self._rounds.open(run)
        if found is None or found.response is not None:
            return None
        seen = found.call_ids if kind == "call" else found.approval_ids
        if new_id in seen:
            return None
        seen.add(new_id)
        found.open += 1
        return found

    def _offer(self, name: str, arguments: str, call_id: str, run: Run | None, due: Due) -> None:
        """Begin a call, unless it has begun already; that of an inline tool is ``due``."""
        if run is None:
            return
        call = ToolCall(name, arguments, call_id, run.id)
        with self._lock:
            found = self._open_round_locked(run, "call", call.call_id)
            if found is None:
                return
            running = RunningCall(call, found)
            found.running.append(running)
        try:
            self._begin(running, due)
        except BaseException as error:
            _log.warning("the call of %s could not begin", call.name, exc_info=error)
            self._fail(
                running, "exception", f"the call could not begin: {type(error).__name__}: {error_text(error)}", error
            )
            if not isinstance(error, Exception):
                raise

    def _offer_approval(self, request: McpApprovalRequest, run: Run | None) -> None:
        if self._approvals is None or run is None:
            return
        with self._lock:
            found = self._open_round_locked(run, "approval", request.id)
        if found is not None:
            self._approvals.offer(request, found)

    def _answer_request(self, found: ToolRound, item: Mapping[str, Any]) -> None:
        self._send(found, self._session.create_item, item)

    def _begin(self, running: RunningCall, due: Due) -> None:
        self._notify(self._on_call, running.call)
        name = running.call.name
        spec = self._toolset.get(name)
        if spec is None:
            there = ", ".join(repr(known.name) for known in self._toolset) or "none"
            self._fail(running, "unknown_tool", f"there is no tool {name!r}; there are: {there}")
        elif spec.inline:
            due.append((running, spec))
        else:
            self._watch.over(running, self._limit(spec) if self._approval_of(spec) is None else None)
            if not self._workers.submit(lambda: self._run(running, spec), lambda error: self._lost(running, error)):
                self._fail(running, "busy", "too many calls wait already; try again later")

    def _lost(self, running: RunningCall, error: Exception) -> None:
        self._fail(
            running,
            "exception",
            f"no thread could be started for the call: {type(error).__name__}: {error_text(error)}",
            error,
        )

    def _end(self, response: Response | None, run: Run | None, due: Due) -> ToolRound | None:
        """Take in the end of a response, once."""
        if run is None:
            return None
        response = response or Response()
        completed = response.status in ("completed", None)
        try:
            call_all(partial(self._take, item, run, due) for item in (response.output if completed else ()))
        finally:
            found = self._settle(response, run, completed=completed)
        return found

    def _settle(self, response: Response, run: Run, *, completed: bool) -> ToolRound | None:
        with self._lock:
            found = self._rounds.find(run)
            if found is None:
                return None
            found.response = found.response or response
            found.follows = found.follows and completed
            cancelled = [] if completed else list(found.running)
        told = "the call was cancelled with its response, "
        ran, not_yet = f"{told}while it ran; it may have had an effect", f"{told}before it ran"
        call_all(partial(self._cancel, known, ran if known.thread else not_yet) for known in cancelled)
        self._advance(found)
        return found

    def _cancel(self, running: RunningCall, message: str) -> None:
        running.cancelled.set()
        self._fail(running, "cancelled", message)

    # A call

    def _approval_of(self, spec: FunctionSpec) -> Approve | None:
        return self._approve if spec.approve is None else spec.approve

    def _limit(self, spec: FunctionSpec) -> Deadline:
        return Deadline(self._timeout_s if isinstance(spec.timeout_s, Unset) else spec.timeout_s)

    def _run(self, running: RunningCall, spec: FunctionSpec) -> None:
        """Run a call to its end, on this thread."""
        with self._lock:
            if running.settled:
                return
            running.thread = threading.current_thread()
        try:
            output = self._produce(running, spec)
        except BadArguments as error:
            self._fail(running, "bad_arguments", error_text(error), error)
        except _Failed as failed:
            self._fail(running, failed.reason, failed.message, failed.error)
        except BaseException as error:
            _log.warning("the tool %s failed", spec.name, exc_info=error)
            self._fail(running, "exception", f"{type(error).__name__}: {error_text(error)}", error)
            if spec.inline and not isinstance(error, Exception):
                raise
        else:
            self._answer(running, output)

    def _produce(self, running: RunningCall, spec: FunctionSpec) -> str:
        call = spec.bind(running.call.arguments, ToolContext(running.call, self._session, running.cancelled))
        approve = self._approval_of(spec)
        if approve is not None:
            approved, reason = verdict(approve(running.call))
            if not approved:
                raise _Failed("declined", f"the call was not approved{reason and f': {reason}'}")
            if not spec.inline:
                self._watch.over(running, self._limit(spec))
        if running.cancelled.is_set():
            return ""  # answered already
        result = call()
        try:
            return output_text(result)
        except (TypeError, ValueError, RecursionError) as error:
            _log.warning("the result of the tool %s cannot be written as JSON: %s", spec.name, error_text(error))
            raise _Failed("bad_result", f"the result cannot be written as JSON: {error_text(error)}", error) from error

    def _fail(self, running: RunningCall, reason: Any, message: str, error: BaseException | None = None) -> None:
        self._answer(running, ToolFailure(reason, message, running.call, error))

    def _answer(self, running: RunningCall, output: str | ToolFailure) -> None:
        """Send the one answer of a call; a second one is dropped."""
        with self._lock:
            if running.settled:
                return
            running.settled = True
            running.round.running.remove(running)
            self._watch.forget_locked(running)
        try:
            text = output if isinstance(output, str) else self._described(output)
            ack = self._send(running.round, self._session.submit_function_output, running.call.call_id, text)
            if ack is not None:
                if running.round.follows:
                    running.round.answers.append(ack)
                else:
                    ack.exception()  # a server that has dropped the call may refuse: nobody needs to hear of it
                self._notify(self._on_output, running.call, text)
        finally:
            self._close_one(running.round)

    def _described(self, failure: ToolFailure) -> str:
        text = json.dumps({"error": failure.message}, ensure_ascii=False)
        if self._describe_failure is not None:
            try:
                text = output_text(self._describe_failure(failure))
            except (Exception, SystemExit):  # whatever it does, there is an answer
                _log.exception("describe_failure failed")
        return text.encode("utf-8", "replace").decode()

    # What follows

    def _close_one(self, found: ToolRound) -> None:
        with self._lock:
            found.open -= 1
        self._advance(found)

    def _advance(self, found: ToolRound) -> None:
        """Ask for the following response, if it is time."""
        with self._lock:
            if found.open or found.response is None or found.phase is not Phase.CALLING:
                return
            found.move(Phase.ASKING)
        if self._auto_respond and found.follows:
            try:
                config = self._options(found.response)
                self._rounds.number(found, by_id=self._folds_responses)
                if self._max_rounds is not None and found.number >= self._max_rounds:
                    config = {**object_to_dict(config or {}), "tool_choice": "none"}
                with found.sending:
                    found.follow_up = self._session.create_response(config)
            except RealtimeError as error:
                found.error = error
                _log.warning("no response follows the tool calls: %s", error)
            except Exception as fault:
                found.fault = fault
                _log.exception("no response follows the tool calls")
            except BaseException:
                found.move(Phase.SETTLED)
                raise
        found.move(Phase.SETTLED)

    def _same_modalities(self, response: Response) -> ResponseConfig | None:
        # The older dialect has another name for them.
        modalities = response.output_modalities or response.extra.get("modalities")
        usual = Facts.of(self._session.config)
        if modalities is None or set(modalities) == set(usual.modalities or ()):
            return None
        if usual.flat:
            return ResponseConfig(extra={"modalities": modalities})
        return ResponseConfig(output_modalities=modalities)

    def _send(self, found: ToolRound, verb: Callable[..., Ack[Any]], *arguments: Any) -> Ack[Any] | None:
        while True:
            try:
                return verb(*arguments)
            except InvalidEvent as error:  # the call is gone from the conversation, say
                _log.warning("a tool call is not answered: %s", error)
            except RealtimeError as error:
                stuck = isinstance(error, RealtimeTimeout)  # nothing of it has left
                beside = self._workers.inside or self._watch.inside  # nobody is held up here until it does
                if stuck and beside and not self._closed:
                    continue
                _log.info("the answer to a tool call could not be sent: %s", error)
                found.error = found.error or error
                found.follows = False
            return None

    def _notify(self, hook: Callable[..., object] | None, *arguments: Any) -> None:
        if hook is not None:
            try:
                hook(*arguments)
            except Exception:
                _log.exception("a hook of the tool runner failed")

    # Timeouts and the end of the session

    def _look_whether_closed(self) -> None:
        if self._session.closed:
            self.close()

    def _give_up(self, running: RunningCall) -> None:
        assert running.deadline is not None
        running.cancelled.set()
        message = f"the call was given up after {running.deadline.timeout_s:g} s; it may still have an effect"
        self._fail(running, "timeout", message)
        if running.thread is not None:
            self._workers.give_up(running.thread)


def _check_toolset(toolset: object) -> None:
    if not isinstance(toolset, Toolset):
        kind = type(toolset).__name__
        raise ConfigurationError(f"toolset must be a Toolset, Toolset(*functions) makes one; not a {kind}")


def _is_whole(arguments: str) -> bool:
    try:
        return bool(arguments) and read_arguments(arguments) is not None
    except BadArguments:
        return False
