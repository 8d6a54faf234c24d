"""What the server says: replies as a test or a demo writes them down, and the turn that a reply function sees."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_kind
from realtime_sync.errors import ConfigurationError, RealtimeTimeout

__all__ = [
    "Failure",
    "Gate",
    "McpApproval",
    "McpToolCall",
    "Output",
    "Reply",
    "ReplySource",
    "Say",
    "ToolCall",
    "Transcript",
    "Turn",
    "as_reply",
]

JsonObject = dict[str, Any]


class Gate:
    """Holds one event of the server back until it is opened: timing of a race without a sleep.

    ``Gate("response.done")`` stops the response in front of that event, ``Gate("response.output_audio.delta", nth=3)``
    in front of the third of these. `wait_reached` returns once the server stands there, `open` lets it go on. A gate
    holds once, and only what comes behind the event on its way: a response, a transcript, or the answers to the
    client; the others go on. It lets go by itself when the response is cancelled or the connection ends; what a cancel
    itself sends is never held. All methods may be called from any thread.
    """

    def __init__(self, event_type: str, nth: int = 1) -> None:
        check_kind("event_type", event_type, "str", str)
        self.event_type = event_type
        self.nth = _limits.size("nth", nth, "events")
        self._reached = threading.Event()
        self._opened = threading.Event()
        # Guards _seen: events of several threads pass by.
        self._lock = threading.Lock()
        self._seen = 0

    def wait_reached(self, timeout: float = 10.0) -> None:
        """Block until the server stands at the gate; raises `RealtimeTimeout` after ``timeout`` seconds."""
        if not self._reached.wait(min(_limits.seconds("timeout", timeout, zero=True), threading.TIMEOUT_MAX)):
            raise RealtimeTimeout(f"the server did not come to {self.event_type} (number {self.nth}) in {timeout} s")

    def open(self) -> None:
        """Let the event go out; before the server comes here it means that it need not stop."""
        self._opened.set()

    def arrive(self, event_type: str) -> bool:
        """Called by the server before it sends an event: whether that is the one to hold, and the gate is shut."""
        if event_type != self.event_type:
            return False
        with self._lock:
            self._seen += 1
            if self._seen != self.nth:
                return False
        self._reached.set()
        return not self._opened.is_set()

    @property
    def opened(self) -> bool:
        """Whether the event may go out."""
        return self._opened.is_set()


@answered
@attrs.frozen
class ToolCall:
    """The model calls a function of the session. ``arguments`` is an object, or text as it shall be sent (to try what
    a client makes of broken JSON); ``call_id`` is made up where none is given."""

    name: str
    arguments: Mapping[str, Any] | str = attrs.field(factory=dict)
    call_id: str | None = None

    @property
    def arguments_json(self) -> str:
        """The arguments as they are sent."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


@answered
@attrs.frozen
class Say:
    """A message of the assistant. ``audio`` is its speech (16-bit little-endian mono PCM at 24 kHz); ``None`` asks the
    server's speaker for it, and a response of text only has none."""

    text: str
    audio: bytes | None = attrs.field(default=None, repr=False)


@answered
@attrs.frozen
class McpToolCall:
    """The model calls a tool of an MCP server, which answers with ``output`` or fails with ``error`` (its text)."""

    server_label: str
    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    output: str | None = None
    error: str | None = None
    approval_request_id: str | None = None


@answered
@attrs.frozen
class McpApproval:
    """The model asks the user whether it may call a tool of an MCP server."""

    server_label: str
    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)


@answered
@attrs.frozen
class Failure:
    """What goes wrong: the error of a response that fails, or of a transcription."""

    message: str = "The server had an error while processing your request."
    code: str = "server_error"
    type: str = "server_error"


@answered
@attrs.frozen
class Transcript:
    """What one commit of the user's audio says, for ``transcripts``; a plain string is short for it.

    ``text`` may be a `Failure`: the audio could not be understood. A transcript comes right after its commit, before
    the response to it; with ``late`` it comes after the next ``response.done`` of the conversation.
    """

    text: str | Failure
    late: bool = attrs.field(default=False, kw_only=True)


Output = str | Say | ToolCall | McpToolCall | McpApproval
"""One item of a response; a string is a message."""


@answered
@attrs.frozen
class Reply:
    """One response of the model: its items in order (``text``, then ``tool_calls``, then ``output``), how it ends, and
    its timing.

    ``audio`` is the speech of ``text``, as in `Say`. ``failure`` ends the response as failed after its items;
    ``incomplete`` ends it as incomplete with that reason (``content_filter``). ``delay_s`` is waited before the first
    item, ``chunk_delay_s`` before each delta. ``gates`` hold single events back. ``late_deltas`` so many deltas still
    go out when the response is cancelled, as those that were on their way already. ``stream`` makes the items while
    they are sent: strings from it are pieces of one message. ``rate_limits`` are the limits that
    ``rate_limits.updated`` tells at the beginning of the response, each with ``name``, ``limit``, ``remaining`` and
    ``reset_seconds``; ``None`` has the server count.
    """

    text: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    output: Sequence[Output] = attrs.field(default=(), kw_only=True)
    audio: bytes | None = attrs.field(default=None, kw_only=True, repr=False)
    failure: Failure | None = attrs.field(default=None, kw_only=True)
    incomplete: str | None = attrs.field(default=None, kw_only=True)
    delay_s: float = attrs.field(default=0.0, kw_only=True)
    chunk_delay_s: float = attrs.field(default=0.0, kw_only=True)
    gates: Sequence[Gate] = attrs.field(default=(), kw_only=True)
    late_deltas: int = attrs.field(default=0, kw_only=True)
    stream: Iterator[Output] | None = attrs.field(default=None, kw_only=True)
    rate_limits: Sequence[Mapping[str, Any]] | None = attrs.field(default=None, kw_only=True)

    def items(self) -> Iterator[Output]:
        """The items of the response in order, those of ``stream`` left out."""
        if self.text is not None:
            yield Say(self.text, self.audio)
        yield from self.tool_calls
        yield from self.output


_OUTPUTS: Final = (Say, ToolCall, McpToolCall, McpApproval)


def as_reply(value: Any) -> Reply:
    """What a script or a reply function gave, as a `Reply`; raises `ConfigurationError` for anything else."""
    if isinstance(value, Reply):
        return value
    if value is None:
        return Reply()
    if isinstance(value, str):
        return Reply(value)
    if isinstance(value, Failure):
        return Reply(failure=value)
    if isinstance(value, _OUTPUTS):
        return Reply(output=(value,))
    if isinstance(value, (list, tuple)) and all(isinstance(entry, (str, *_OUTPUTS)) for entry in value):
        return Reply(output=tuple(value))
    if isinstance(value, Iterator):
        return Reply(stream=value)
    raise ConfigurationError(f"a reply cannot be a {type(value).__name__}")


@attrs.frozen
class Turn:
    """What the model sees when it is to respond: plain JSON data, copies that nobody else changes.

    ``items`` is the conversation, or the ``input`` of the response where it has its own; ``session`` the effective
    configuration; ``response`` the effective settings of this response (instructions, modalities, tools, metadata);
    ``number`` counts the responses of the connection from 1; ``request`` is the `Request` of the connection. ``audio``
    is the audio of the last user message as 16-bit little-endian mono PCM at ``rate_hz``, empty where it has none.
    """

    items: Sequence[JsonObject]
    session: JsonObject
    response: JsonObject
    number: int
    audio: bytes = attrs.field(repr=False)
    rate_hz: int
    request: Any = attrs.field(default=None, kw_only=True, repr=False)
    _hear: Callable[[], str] = attrs.field(repr=False)

    @property
    def text(self) -> str:
        """What the user said last: the text of the last user message, with the transcript of its audio. The first
        look calls the transcriber where no transcript is known yet."""
        message = next((i for i in reversed(self.items) if i.get("role") == "user"), None)
        if message is None:
            return ""
        texts = [part.get("text") or part.get("transcript") for part in message["content"]]
        if self.audio and not any(part.get("transcript") for part in message["content"]):
            texts.append(self._hear())
        return " ".join(text for text in texts if text)

    @property
    def tool_outputs(self) -> list[JsonObject]:
        """The function_call_output items that stand at the end of the conversation, behind the last message."""
        found: list[JsonObject] = []
        for item in reversed(self.items):
            if item["type"] == "message":
                break
            if item["type"] == "function_call_output":
                found.insert(0, item)
        return found


ReplySource = Iterable[Any] | Callable[[Turn], Any] | None
"""What decides the replies: nothing (a friendly default), a script (one entry for each response) or a function."""
