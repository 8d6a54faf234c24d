"""What would be refused anyway, caught before it is sent: each check says what to do instead.

Only what the protocol settles is checked; strings that it leaves open pass. Nothing here sends or waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    CustomVoice,
    FlatSessionConfig,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputText,
    ItemReference,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    McpTool,
    Message,
    OutputText,
    RealtimeSessionConfig,
    ResponseCreate,
    ServerVad,
    SessionConfig,
    SessionInputAudioBufferAppend,
    SessionUpdate,
    ToolChoiceFunction,
    ToolChoiceMcp,
    TranscriptionSessionConfig,
    TranscriptionSessionUpdate,
    Truncation,
)
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.conversation.record import item_id_of
from realtime_sync.state.facts import Facts, voice_id
from realtime_sync.state.input_buffer import InputBuffer

__all__ = ["Checks"]

_LONGEST_APPEND: Final = 15 * 2**20
_SHORTEST_COMMIT_MS: Final = 100
_MOST_METADATA: Final = 16
_LONGEST_KEY: Final = 64
_LONGEST_VALUE: Final = 512
_MOST_TOKENS: Final = 4096

_REQUIRED: Final[Mapping[type[Any], tuple[str, ...]]] = {
    Message: ("role", "content"),
    FunctionCall: ("name", "arguments"),
    FunctionCallOutput: ("call_id", "output"),
    McpApprovalRequest: ("server_label", "name", "arguments"),
    McpApprovalResponse: ("approval_request_id", "approve"),
    McpCall: ("server_label", "name", "arguments"),
    McpListTools: ("server_label", "tools"),
    ItemReference: ("id",),
    InputText: ("text",),
    OutputText: ("text",),
    FunctionTool: ("name",),
    McpTool: ("server_label",),
    ToolChoiceFunction: ("name",),
    ToolChoiceMcp: ("server_label",),
    CustomVoice: ("id",),
    Truncation: ("retention_ratio",),
    SessionUpdate: ("session",),
    TranscriptionSessionUpdate: ("session",),
    InputAudioBufferAppend: ("audio",),
    SessionInputAudioBufferAppend: ("audio",),
    ConversationItemCreate: ("item",),
    ConversationItemDelete: ("item_id",),
    ConversationItemRetrieve: ("item_id",),
    ConversationItemTruncate: ("item_id", "content_index", "audio_end_ms"),
}
_MAY_BE_EMPTY: Final = frozenset({"arguments", "audio", "output", "text"})


class Checks:
    """Looks at each event before it is sent, in the light of what is known: the ``config`` in force, the mirror of the
    ``conversation``, and the input ``buffer``. Any thread; an event without a check costs one look-up."""

    def __init__(self, conversation: Conversation | None = None, buffer: InputBuffer | None = None) -> None:
        self.config: SessionConfig | None = None
        """The configuration as the server last reported it."""
        self._conversation = conversation
        self._buffer = buffer
        self._created_again: set[str] = set()

    def check(self, event: ClientEvent, fields: Mapping[str, Any] | None = None) -> None:
        """Raises `InvalidEvent`, which says what to do, for an event that the server would refuse.

        ``fields`` is the same event as it is sent, for what the class does not tell; ``None`` leaves that unchecked.
        """
        check = _CHECKS.get(type(event))
        if check is not None:
            _require(event, "")
            check(self, event, fields or {})

    # Audio

    def _append(self, event: InputAudioBufferAppend, fields: Mapping[str, Any]) -> None:
        if len(event.audio) > _LONGEST_APPEND:
            raise InvalidEvent(
                f"{len(event.audio)} characters of audio are more than the 15 MiB of one event: split them, or use"
                " append_audio() or append_audio_bytes(), which do"
            )

    def _commit(self, event: InputAudioBufferCommit, fields: Mapping[str, Any]) -> None:
        ms = self._buffer.ms if self._buffer is not None else None
        if ms is not None and ms < _SHORTEST_COMMIT_MS:
            raise InvalidEvent(
                f"the input buffer holds {int(ms)} ms of audio: append {_SHORTEST_COMMIT_MS} ms or more before a commit"
            )

    # Items

    def _create(self, event: ConversationItemCreate, fields: Mapping[str, Any]) -> None:
        _check_item(event.item, fields.get("item"), "item")
        item_id = item_id_of(event.item)
        if item_id is not None and not self._present(item_id):
            self._created_again.add(item_id)
        self._require_present(event.previous_item_id, "previous_item_id")

    def _item_id(self, event: ConversationItemDelete | ConversationItemRetrieve, fields: Mapping[str, Any]) -> None:
        self._require_present(event.item_id, "item_id")

    def _truncate(self, event: ConversationItemTruncate, fields: Mapping[str, Any]) -> None:
        self._require_present(event.item_id, "item_id")
        _between(event.content_index, 0, None, "content_index")
        _between(event.audio_end_ms, 0, None, "audio_end_ms")
        entry = self._conversation.get(event.item_id) if self._conversation is not None else None
        if entry is None:
            return
        if entry.role in ("user", "system") or isinstance(entry.item, (FunctionCall, FunctionCallOutput)):
            raise InvalidEvent(f"{event.item_id} is no message of the assistant: only the model's speech is truncated")
        length_ms = entry.audio_ms.get(event.content_index)
        # The audio of an unfinished item may be longer at the server than what has come of it.
        if length_ms is not None and event.audio_end_ms > length_ms and entry.status == "completed":
            raise InvalidEvent(
                f"audio_end_ms is {event.audio_end_ms}, but the audio of {event.item_id} is {length_ms} ms long:"
                " truncate it there at the latest, or not at all when all of it was heard"
            )

    def _present(self, item_id: str) -> bool:
        gone = self._conversation.gone if self._conversation is not None else ()
        return item_id not in gone or item_id in self._created_again

    def _require_present(self, item_id: str | None, where: str) -> None:
        if item_id is not None and not self._present(item_id):
            raise InvalidEvent(f"{where}: {item_id} was deleted from the conversation; use the id of another item")

    # Sessions

    def _update(self, event: SessionUpdate, fields: Mapping[str, Any]) -> None:
        session = fields.get("session")
        typed = isinstance(self.config, (RealtimeSessionConfig, TranscriptionSessionConfig))
        if typed and isinstance(session, Mapping) and not session.get("type"):
            raise InvalidEvent(
                f"session.type is missing: set it to {self.config.type!r}, or use update_session(), which does"  # type: ignore[union-attr]
            )
        self._check_session(event.session)

    def _check_session(self, config: SessionConfig) -> None:
        _check_detection(Facts.of(config).turn_detection, "turn_detection")
        if isinstance(config, RealtimeSessionConfig):
            self._check_modalities(config.output_modalities)
            output = config.audio.output if config.audio is not None else None
            if output is not None:
                _between(output.speed, 0.25, 1.5, "session.audio.output.speed")
                self._check_voice(output.voice)
            _check_max_tokens(config.max_output_tokens, "session.max_output_tokens")
        elif isinstance(config, FlatSessionConfig):
            _between(config.speed, 0.25, 1.5, "session.speed")
            _between(config.temperature, 0.6, 1.2, "session.temperature")
            _check_max_tokens(config.max_response_output_tokens, "session.max_response_output_tokens")
            self._check_voice(config.voice)
        else:
            return
        _check_tools(config.tools, config.tool_choice)
        if isinstance(config.truncation, Truncation):
            _require(config.truncation, "session.truncation")
            _between(config.truncation.retention_ratio, 0, 1, "session.truncation.retention_ratio")
            limits = config.truncation.token_limits
            if limits is not None:
                _between(limits.post_instructions, 0, None, "session.truncation.token_limits.post_instructions")

    def _transcription_update(self, event: TranscriptionSessionUpdate, fields: Mapping[str, Any]) -> None:
        self._check_session(event.session)

    def _check_voice(self, voice: str | CustomVoice | None) -> None:
        if isinstance(voice, CustomVoice):
            _require(voice, "voice")
        wanted, current = voice_id(voice), Facts.of(self.config).voice
        if self._conversation is None or not self._conversation.has_spoken or None in (wanted, current):
            return
        if wanted != current:
            raise InvalidEvent(
                f"the voice cannot change to {wanted!r} any more, since the model has spoken as {current!r}: leave it"
                " out, or open another session"
            )

    def _check_modalities(self, modalities: list[str] | None) -> None:
        if not {"text", "audio"}.issubset(modalities or ()):
            return
        if not {"text", "audio"}.issubset(getattr(self.config, "output_modalities", None) or ()):
            raise InvalidEvent(
                "output_modalities cannot be text and audio together: ['audio'] comes with its transcript, ['text']"
                " is text alone"
            )

    # Responses

    def _respond(self, event: ResponseCreate, fields: Mapping[str, Any]) -> None:
        config = event.response
        if config is None:
            return
        self._check_modalities(config.output_modalities)
        if config.audio is not None and config.audio.output is not None:
            self._check_voice(config.audio.output.voice)
        _check_max_tokens(config.max_output_tokens, "response.max_output_tokens")
        _check_tools(config.tools, config.tool_choice)
        _check_metadata(config.metadata or {})
        plain = (fields.get("response") or {}).get("input") or [None] * len(config.input or ())
        for index, (item, raw) in enumerate(zip(config.input or (), plain, strict=False)):
            _check_item(item, raw, f"response.input[{index}]")
            if isinstance(item, ItemReference):
                self._require_present(item.id, f"response.input[{index}].id")


_CHECKS: Final[Mapping[type[ClientEvent], Callable[[Checks, Any, Mapping[str, Any]], None]]] = {
    SessionUpdate: Checks._update,
    TranscriptionSessionUpdate: Checks._transcription_update,
    InputAudioBufferAppend: Checks._append,
    SessionInputAudioBufferAppend: Checks._append,
    InputAudioBufferCommit: Checks._commit,
    ConversationItemCreate: Checks._create,
    ConversationItemDelete: Checks._item_id,
    ConversationItemRetrieve: Checks._item_id,
    ConversationItemTruncate: Checks._truncate,
    ResponseCreate: Checks._respond,
}


def _require(value: Any, where: str) -> None:
    for cls in type(value).__mro__:
        for name in _REQUIRED.get(cls, ()):
            given = getattr(value, name)
            if given is None or (given == "" and name not in _MAY_BE_EMPTY):
                raise InvalidEvent(f"{where}{'.' if where else ''}{name} is missing")


def _between(value: Any, least: float, most: float | None, where: str) -> None:
    if isinstance(value, (int, float)) and not (least <= value and (most is None or value <= most)):
        bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise InvalidEvent(f"{where} is {value}: it must be {bounds}")


def _check_item(item: Any, raw: Any, where: str) -> None:
    if isinstance(item, Message) and isinstance(raw, Mapping) and raw.get("content") is None:
        raise InvalidEvent(f"{where}.content is missing")  # the class has an empty list then
    if getattr(item, "type", "") is None:
        raise InvalidEvent(f"{where}.type is missing: 'message', 'function_call_output', ...")
    _require(item, where)
    for index, part in enumerate(getattr(item, "content", None) or ()):
        _require(part, f"{where}.content[{index}]")


def _check_detection(detection: Any, where: str) -> None:
    if isinstance(detection, ServerVad):
        _between(detection.threshold, 0, 1, f"{where}.threshold")
        _between(detection.prefix_padding_ms, 0, None, f"{where}.prefix_padding_ms")
        _between(detection.silence_duration_ms, 0, None, f"{where}.silence_duration_ms")
        _between(detection.idle_timeout_ms, 5_000, 30_000, f"{where}.idle_timeout_ms")


def _check_max_tokens(value: int | str | None, where: str) -> None:
    if isinstance(value, str) and value != "inf":
        raise InvalidEvent(f"{where} is {value!r}: it must be a number from 1 to {_MOST_TOKENS}, or 'inf'")
    _between(value, 1, _MOST_TOKENS, where)


def _check_tools(tools: Iterable[Any] | None, choice: Any) -> None:
    _require(choice, "tool_choice")
    names: set[str] = set()
    for index, tool in enumerate(tools or ()):
        _require(tool, f"tools[{index}]")
        if isinstance(tool, FunctionTool):
            if tool.name in names:
                raise InvalidEvent(f"tools[{index}]: there is a function {tool.name!r} already; give it another name")
            names.add(str(tool.name))


def _check_metadata(metadata: Mapping[str, Any]) -> None:
    if len(metadata) > _MOST_METADATA:
        raise InvalidEvent(f"response.metadata has {len(metadata)} pairs: {_MOST_METADATA} is the most")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise InvalidEvent(f"response.metadata[{key!r}] is {type(value).__name__}: its values must be str")
        if len(key) > _LONGEST_KEY:
            raise InvalidEvent(f"response.metadata: {key!r} is longer than {_LONGEST_KEY} characters")
        if len(value) > _LONGEST_VALUE:
            raise InvalidEvent(f"response.metadata[{key!r}] is longer than {_LONGEST_VALUE} characters")
