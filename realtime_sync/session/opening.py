"""`connect`: from arguments to an open session."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from realtime_sync import _limits
from realtime_sync._arguments import answering, check_kind
from realtime_sync._deadline import Deadline
from realtime_sync.codec import object_to_dict
from realtime_sync.codec.mismatch import kind_of
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.ending import refusal
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.errors import ConfigurationError, ConnectionClosed, RealtimeError, RealtimeTimeout
from realtime_sync.events import REALTIME, TRANSLATION, ClientEvent, Family, SessionConfig
from realtime_sync.events.family import content_field
from realtime_sync.session.dialling import Dialling
from realtime_sync.session.session import RealtimeSession
from realtime_sync.transport import MAX_MESSAGE_BYTES
from realtime_sync.transport.endpoint import Endpoint
from realtime_sync.transport.headers import SecretText, Unshown

if TYPE_CHECKING:
    import ssl

    from realtime_sync.recording import Recorder
    from realtime_sync.session.resume.policy import Resume
    from realtime_sync.state.usage import CostLimit
    from realtime_sync.tools import Toolset
    from realtime_sync.transport import Transport

__all__ = ["CONNECT_TIMEOUT_S", "INBOX_LIMIT_BYTES", "connect"]

CONNECT_TIMEOUT_S: Final = 10.0
"""How long `connect` may take in all when it is not told otherwise, in seconds."""

CONFIRM_S: Final = 2.0
"""How long `connect` waits for the server to confirm the configuration, in seconds: so long, or a quarter of what is
left of its limit, but never more than half."""

_log = logging.getLogger("realtime_sync")
P = TypeVar("P", dict[str, Any], list[Any])

_OF_TEXT: Final = "instructions= takes a text"

INBOX_LIMIT_BYTES: Final = 256 * 2**20
"""How much memory events may take that wait to be consumed when nothing else is said: over an hour of audio."""


@answering
def connect(
    model: str | None = None,
    *,
    api_key: str | Callable[[], str] | None = None,
    base_url: str | None = None,
    session: SessionConfig | Mapping[str, Any] | None = None,
    instructions: str | None = None,
    voice: str | None = None,
    tools: Toolset | Sequence[Callable[..., Any]] | None = None,
    timeout: float = CONNECT_TIMEOUT_S,
    intent: Literal["transcription", "translation"] | None = None,
    call_id: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    azure_endpoint: str | None = None,
    azure_ad_token: str | Callable[[], str] | None = None,
    azure_api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    allow_insecure: bool = False,
    proxy: str | bool | None = "auto",
    ssl_context: ssl.SSLContext | None = None,
    ping_interval_s: float | None = 20.0,
    ping_timeout_s: float = 20.0,
    send_timeout_s: float = 10.0,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
    inbox_limit_bytes: int = INBOX_LIMIT_BYTES,
    conversation_limit: int | None = None,
    checks: bool = True,
    cost_limit: CostLimit | None = None,
    endpoint: Endpoint | Callable[[], Endpoint] | None = None,
    family: Family | None = None,
    record: str | os.PathLike[str] | Recorder | None = None,
    resume: bool | Resume | None = None,
) -> RealtimeSession:
    """Open a session and return it when the server has said ``session.created`` and, where ``session`` is given, has
    accepted that configuration. Nothing is dispatched before the first blocking call, so handlers that are added to
    the returned session miss nothing.

    Where to: ``model``, ``api_key``, ``base_url``, ``intent``, ``call_id``, ``organization``, ``project``, the
    ``azure_*`` arguments, ``headers``, ``query`` and ``allow_insecure`` as `resolve_endpoint` explains; the environment
    (``OPENAI_API_KEY`` and its kin) serves for what is not given. Or all of it at once: ``endpoint``, an `Endpoint` or
    a function that gives one, for providers of your own.

    How: ``proxy`` is ``"auto"`` (by the environment), the URL of a proxy, or ``None``; ``ssl_context`` replaces the
    TLS settings (a custom authority, a client certificate).

    Limits: ``timeout`` seconds for everything until the session is returned. After ``ping_interval_s`` seconds of
    silence a ping is sent (``None``: never), and ``ping_timeout_s`` seconds later the connection counts as lost. One
    message must leave within ``send_timeout_s`` seconds. ``max_message_bytes`` bounds one received message,
    ``inbox_limit_bytes`` the memory of the events that wait to be consumed, within a factor of 3.
    ``conversation_limit`` is how many items `RealtimeSession.conversation` keeps, for sessions that last all day: of
    more, the oldest are dropped there, while the server still holds them. ``None`` keeps all.

    What: ``session`` is the configuration, as the protocol's JSON or typed: ``{"output_modalities": ["text"]}``.
    ``instructions`` and ``voice`` are the two options of it that nearly everybody sets. ``tools``, a `Toolset` or a
    list of functions, are offered to the model and run by themselves (`RealtimeSession.use_tools`). ``checks`` looks at
    what is sent and raises `InvalidEvent` for what the server would refuse anyway. ``cost_limit`` refuses further
    responses once they have cost too much, by your own prices. ``family`` is the family of the protocol that is spoken;
    ``None`` takes it from ``intent``.

    ``record`` is a file to write the whole talk to, from the first message on, or a `recording.Recorder`; keys and
    headers are never written.

    ``resume=True``, or a `Resume` with options, lets the session outlive its connection: when that is lost, or its time
    is up, another one is opened, with the configuration and the conversation. The functions that give a key or an
    endpoint are called again for it.

    A server that never confirms a configuration does not hold up the session for ever: after a part of ``timeout`` it
    is returned all the same, with a warning in the log.

    Raises `ConfigurationError` before anything is dialled, `HandshakeError` when the connection cannot be opened,
    `AuthenticationError` when the credentials are refused, `ServerError` when the server refuses the session or its
    configuration, `ConnectionLost` when the connection ends before that, `RealtimeTimeout` when the time is up. Nothing
    stays open then.
    """
    # A traceback with local variables shows what this frame holds.
    where: dict[str, Any] = Unshown(
        {
            "model": model,
            "api_key": api_key,
            "base_url": base_url,
            "organization": organization,
            "project": project,
            "call_id": call_id,
            "intent": intent,
            "azure_endpoint": azure_endpoint,
            "azure_ad_token": azure_ad_token,
            "azure_api_version": azure_api_version,
            "headers": headers,
            "query": query,
            "allow_insecure": allow_insecure,
        }
    )
    api_key = azure_ad_token = headers = query = base_url = azure_endpoint = None
    proxy = SecretText(proxy) if isinstance(proxy, str) else proxy
    deadline = Deadline(_limits.seconds("timeout", timeout))
    config = _with({} if session is None else object_to_dict(session, "session", of_text=_OF_TEXT), instructions, voice)
    inbox = Inbox(_limits.size("inbox_limit_bytes", inbox_limit_bytes))
    limits: dict[str, Any] = {
        "ping_interval_s": _limits.seconds("ping_interval_s", ping_interval_s, optional=True),
        "ping_timeout_s": _limits.seconds("ping_timeout_s", ping_timeout_s),
        "send_timeout_s": _limits.seconds("send_timeout_s", send_timeout_s),
    }
    max_message_bytes = _limits.size("max_message_bytes", max_message_bytes)
    if conversation_limit is not None:
        conversation_limit = _limits.size("conversation_limit", conversation_limit, "items")
    spoken = family or (TRANSLATION if intent == "translation" else REALTIME)
    if not isinstance(spoken, Family):
        raise ConfigurationError(f"family must be an events.Family, not {family!r}")
    if cost_limit is not None and not hasattr(cost_limit, "check"):
        raise ConfigurationError(f"cost_limit must be a CostLimit, CostLimit(max_cost, prices), not {cost_limit!r}")
    if record is not None:
        from realtime_sync.recording import Recorder

        check_kind("record", record, "a path or a recording.Recorder", str, os.PathLike, Recorder)
    policy = _policy(resume)
    if policy is not None and spoken not in (REALTIME, TRANSLATION):
        raise ConfigurationError(f"a session of the family {spoken.name!r} cannot be resumed: leave resume= out")
    if tools is not None:
        from realtime_sync.tools import Toolset

        tools = tools if isinstance(tools, Toolset) else Toolset(tools)
        hosted = _part(config.get("tools"), list, "session['tools']", "tools")
    how = {"ssl_context": ssl_context, "proxy": proxy, "max_message_bytes": max_message_bytes}
    dialling = Dialling(endpoint, where, how=how, limits=limits, family=spoken, inbox=inbox)
    endpoint = None
    try:
        transport = dialling.open(deadline)
    except ConfigurationError as error:
        raise error.with_traceback(None) from error.__cause__  # its frames hold the credentials where they were read
    finally:
        where.clear()
        if policy is None:
            dialling.forget()
    connection: Connection | None = None
    recorded: _Recorded | None = None
    opened: RealtimeSession | None = None
    try:
        connection = dialling.connection(transport)
        opened = RealtimeSession(
            connection,
            inbox,
            checks=checks,
            cost_limit=cost_limit,
            family=spoken,
            conversation_limit=conversation_limit,
            resume=policy,
            dialling=dialling,
            timeout_s=timeout,
        )
        if record is not None:
            recorded = _Recorded(record, opened, dialling)
        opened._dispatcher.control.run(connection.start)  # an interrupt in there would leave it listed for ever
        if recorded is not None:
            opened._dispatcher.at_end.append(recorded.ended)
            opened._at_close.append(recorded.close)
        if spoken.opens_with is not None:
            _introduce(opened, spoken.opens_with, config, deadline)
            return opened
        _await_opened(opened, deadline)
        if tools is not None:
            runner = opened.use_tools(tools, announce=False)
            config["tools"] = runner.announced_with(hosted)
        if config:
            _configure(opened, config, deadline)
        if opened._resumption is not None:
            opened._resumption.armed = True
    except RealtimeError as error:
        _give_up(transport, connection, recorded, opened)
        refused = refusal(error)
        raise refused from refused.__cause__
    except BaseException:
        _give_up(transport, connection, recorded, opened)
        raise
    return opened


def _policy(resume: bool | Resume | None) -> Resume | None:
    if resume is None or resume is False:
        return None
    from realtime_sync.session.resume.policy import Resume

    return Resume.of(resume)


class _Recorded:
    """The recording of one session, up to its close."""

    def __init__(self, record: str | os.PathLike[str] | Recorder, session: RealtimeSession, dialling: Dialling) -> None:
        from realtime_sync.recording import Recorder

        self._line = session._line
        self._recorder = record if isinstance(record, Recorder) else Recorder(record)
        self._own = self._recorder is not record  # else its user closes it
        self._tap = self._recorder.tap(dialling.url)
        session.add_tap(self._tap)

    def ended(self, told: RealtimeError) -> None:
        """All has been dispatched that came before the end."""
        if isinstance(told, ConnectionClosed) and not self._line.closing:
            self._tap.close("in", told.code, told.reason)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """The session was closed like this, if the server was not faster."""
        end = self._line.cause or self._line.goodbye
        if isinstance(end, ConnectionClosed):
            self._tap.close("in", end.code, end.reason)
        self._tap.close("out", code, reason)
        if self._own:
            self._recorder.close()


def _with(config: dict[str, Any], instructions: str | None, voice: str | None) -> dict[str, Any]:
    """The configuration with these two in their places."""
    if instructions is not None:
        if config.get("instructions") is not None:
            raise ConfigurationError("instructions= and session= both give instructions: leave one of them out")
        config = {**config, "instructions": instructions}
    if voice is not None:
        audio = _part(config.get("audio"), dict, "session['audio']", "voice")
        output = _part(audio.get("output"), dict, "session['audio']['output']", "voice")
        if output.get("voice") is not None or config.get("voice") is not None:
            raise ConfigurationError("voice= and session= both give a voice: leave one of them out")
        config = {**config, "audio": {**audio, "output": {**output, "voice": voice}}}
    return config


def _part(value: Any, kind: type[P], where: str, argument: str) -> P:
    """What stands there in the configuration, for this argument to be written into; empty where it is left out."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ConfigurationError(
            f"{where} must be a {kind.__name__}, not {kind_of(value)}, for {argument}= to be written into it"
        )
    return value


def _give_up(
    transport: Transport, connection: Connection | None, recorded: _Recorded | None, opened: RealtimeSession | None
) -> None:
    """Leave nothing open, and no thread."""
    if connection is not None:
        connection.close(timeout_s=0.0)
    transport.close()
    if opened is not None:
        opened._line.abandon()
        if opened._resumption is not None:
            opened._resumption.close(1.0)
        opened._dispatcher.control.rest()
    if recorded is not None:
        recorded.close()


def _introduce(opened: RealtimeSession, cls: type[ClientEvent], config: dict[str, Any], deadline: Deadline) -> None:
    """In this family the client speaks first; the configuration is part of what it says."""
    ack = opened.send({"type": cls.TYPE, content_field(cls): config})
    opened._dispatcher.preview(lambda: ack.done, deadline, f"the server's answer to {cls.TYPE}")
    error = ack.exception()
    if error is not None:
        raise error


def _await_opened(opened: RealtimeSession, deadline: Deadline) -> None:
    """Every session begins with ``session.created``; an error instead of it is a refusal."""
    try:
        opened._dispatcher.preview(
            lambda: opened._opened or opened._last_error is not None, deadline, "session.created"
        )
    except RealtimeTimeout as late:
        raise RealtimeTimeout(f"the connection itself is open, but the session is not: {late}") from None
    if not opened._opened and opened._last_error is not None:
        raise opened._last_error


def _configure(opened: RealtimeSession, config: Mapping[str, Any], deadline: Deadline) -> None:
    ack = opened.update_session(config)
    remaining = deadline.remaining()
    patience_s = None if remaining is None else min(max(CONFIRM_S, remaining * 0.25), remaining * 0.5)
    try:
        opened._dispatcher.preview(lambda: ack.done, Deadline(patience_s), "session.updated")
    except RealtimeTimeout as late:
        if opened._dispatcher.remarks.answers:  # it said something else instead: that explains more than a warning
            raise RealtimeTimeout(f"the server did not confirm the configuration of the session: {late}") from None
        _log.warning(
            "the server has not confirmed session.update within %g s: going on, though the configuration may not be in"
            " force (a refusal that comes later is logged)",
            patience_s,
        )
        return
    error = ack.exception()
    if error is not None:
        raise error
