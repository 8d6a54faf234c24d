"""What would be refused anyway, caught before it is sent: each check says what to do instead.

Only what the protocol settles is checked; strings that it leaves open pass. What a field must be stands where it is
declared (`realtime_sync.events.facts`); what depends on the rest of the session stands here. Nothing here sends or
waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from realtime_sync._latest import Latest
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudioBufferCommit,
    ItemReference,
    RealtimeSessionConfig,
    ResponseCreate,
    SessionConfig,
    SessionUpdate,
    TranscriptionSessionConfig,
    TranscriptionSessionUpdate,
    WireObject,
)
from realtime_sync.events.facts import LONGEST_METADATA_KEY, LONGEST_METADATA_VALUE, MOST_METADATA, Fact, facts_of
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.conversation.record import item_id_of
from realtime_sync.state.facts import Facts, voice_id
from realtime_sync.state.input_buffer import InputBuffer

__all__ = ["Checks"]

_SHORTEST_COMMIT_MS: Final = 100
_MOST_CREATED: Final = 4096  # as many as the conversation remembers of what was deleted

Config = SessionConfig | None
Fields = Mapping[str, Any]
Faults = Iterator[str]


class Checks:
    """Looks at each event before it is sent, in the light of what is known: the configuration in force, the mirror of
    the ``conversation``, and the input ``buffer``. Any thread."""

    def __init__(self, conversation: Conversation | None = None, buffer: InputBuffer | None = None) -> None:
        self._conversation = conversation
        self._buffer = buffer
        self._created_again: dict[str, None] = Latest(_MOST_CREATED)

    def check(
        self, event: ClientEvent, config: SessionConfig | None = None, fields: Mapping[str, Any] | None = None
    ) -> None:
        """Raises `InvalidEvent`, which says all that is wrong and what to do, for an event that the server would
        refuse.

        ``config`` is the configuration as the server last reported it. ``fields`` is the same event as it is sent, for
        what the class does not tell; ``None`` leaves that unchecked.
        """
        faults = list(_faults(event, fields, ""))
        check = _CHECKS.get(type(event))
        if check is not None and not faults:  # what it looks at is there, then
            faults = list(check(self, event, config, fields or {}))
        if faults and event.extra:  # another dialect, perhaps
            unknown = ", ".join(sorted(event.extra))
            faults.append(f"unknown here: {unknown} (connect(checks=False) leaves all this to the server)")
        if faults:
            raise InvalidEvent("; ".join(faults))

    # Audio

    def _commit(self, event: InputAudioBufferCommit, config: Config, fields: Fields) -> Faults:
        ms = self._buffer.ms if self._buffer is not None else None
        if ms is not None and ms < _SHORTEST_COMMIT_MS:
            least = f"append {_SHORTEST_COMMIT_MS} ms or more before a commit"
            yield f"the input buffer holds {int(ms)} ms of audio: {least}"
        torn_bytes = self._buffer.torn_bytes if self._buffer is not None else None
        if torn_bytes is not None:
            yield (
                f"the input buffer holds {torn_bytes} bytes, and the last is half a 16-bit sample: where the odd byte"
                " came in front, all of it is noise; clear_audio(), and append whole samples"
            )

    # Items

    def _create(self, event: ConversationItemCreate, config: Config, fields: Fields) -> Faults:
        yield from _without_type(event.item, "item")
        yield from self._gone(event.previous_item_id, "previous_item_id")
        item_id = item_id_of(event.item)
        if item_id is not None and not self._present(item_id):
            self._created_again[item_id] = None

    def _item_id(
        self, event: ConversationItemDelete | ConversationItemRetrieve, config: Config, fields: Fields
    ) -> Faults:
        yield from self._gone(event.item_id, "item_id")

    def _truncate(self, event: ConversationItemTruncate, config: Config, fields: Fields) -> Faults:
        yield from self._gone(event.item_id, "item_id")
        entry = self._conversation.get(event.item_id) if self._conversation is not None else None
        if entry is None:
            return
        if entry.role in ("user", "system") or isinstance(entry.item, (FunctionCall, FunctionCallOutput)):
            yield f"{event.item_id} is no message of the assistant: only the model's speech is truncated"
            return
        if self._conversation is not None and event.item_id in self._conversation.speech_as_text:
            yield f"{event.item_id} is text since the session was resumed, not speech: there is nothing to truncate"
            return
        length_ms = entry.audio_ms.get(event.content_index)
        # The audio of an unfinished item may be longer at the server than what has come of it.
        if length_ms is not None and event.audio_end_ms > length_ms and entry.status == "completed":
            yield (
                f"audio_end_ms is {event.audio_end_ms}, but the audio of {event.item_id} is {length_ms} ms long:"
                " truncate it there at the latest, or not at all when all of it was heard"
            )

    def _present(self, item_id: str) -> bool:
        gone = self._conversation.gone if self._conversation is not None else ()
        return item_id not in gone or item_id in self._created_again

    def _gone(self, item_id: str | None, where: str) -> Faults:
        if item_id is not None and not self._present(item_id):
            yield f"{where}: {item_id} was deleted from the conversation; use the id of another item"

    # Sessions

    def _update(self, event: SessionUpdate, config: Config, fields: Fields) -> Faults:
        session = fields.get("session")
        typed = isinstance(config, (RealtimeSessionConfig, TranscriptionSessionConfig))
        if typed and isinstance(session, Mapping) and not session.get("type"):
            kind = config.type  # type: ignore[union-attr]
            yield f"session.type is missing: set it to {kind!r}, or use update_session(), which does"
        yield from self._session(event, config, fields)

    def _session(self, event: SessionUpdate | TranscriptionSessionUpdate, config: Config, fields: Fields) -> Faults:
        session = event.session
        yield from self._voice(Facts.of(session).voice, config)
        if isinstance(session, RealtimeSessionConfig):
            yield from _modalities(session.output_modalities, config, "session")
        yield from _same_names(getattr(session, "tools", None), "session.tools")

    def _voice(self, wanted: str | None, config: Config) -> Faults:
        current = Facts.of(config).voice
        if self._conversation is None or not self._conversation.has_spoken or None in (wanted, current):
            return
        if wanted != current:
            yield (
                f"the voice cannot change to {wanted!r} any more, since the model has spoken as {current!r}: leave it"
                " out, or open another session"
            )

    # Responses

    def _respond(self, event: ResponseCreate, config: Config, fields: Fields) -> Faults:
        response = event.response
        if response is None:
            return
        yield from _modalities(response.output_modalities, config, "response")
        if response.audio is not None and response.audio.output is not None:
            yield from self._voice(voice_id(response.audio.output.voice), config)
        yield from _same_names(response.tools, "response.tools")
        yield from _metadata(response.metadata or {})
        for index, item in enumerate(response.input or ()):
            yield from _without_type(item, f"response.input[{index}]")
            if isinstance(item, ItemReference):
                yield from self._gone(item.id, f"response.input[{index}].id")


_CHECKS: Final[Mapping[type[ClientEvent], Callable[[Checks, Any, Config, Fields], Faults]]] = {
    SessionUpdate: Checks._update,
    TranscriptionSessionUpdate: Checks._session,
    InputAudioBufferCommit: Checks._commit,
    ConversationItemCreate: Checks._create,
    ConversationItemDelete: Checks._item_id,
    ConversationItemRetrieve: Checks._item_id,
    ConversationItemTruncate: Checks._truncate,
    ResponseCreate: Checks._respond,
}


def _faults(owner: WireObject, raw: Any, path: str) -> Faults:
    """What is missing or out of bounds in an object, by the facts of its fields, and in all that it holds; ``raw`` is
    the same as it is sent."""
    below: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    for fact in facts_of(type(owner)):
        given = getattr(owner, fact.name)
        where = f"{path}.{fact.name}" if path else fact.name
        # Of a list that is not sent the class has an empty one.
        absent = given is None or (given == [] and bool(below) and below.get(fact.name) is None)
        if absent or given == "":
            if fact.required and (absent or not fact.may_be_empty):
                yield f"{where} is missing"
        elif isinstance(given, str):
            yield from _text(given, fact, where)
        elif isinstance(given, (int, float)):
            yield from _number(given, fact, where)
        else:
            yield from _inside(given, below.get(fact.name), where)


def _inside(given: Any, raw: Any, where: str) -> Faults:
    if isinstance(given, WireObject):
        yield from _faults(given, raw, where)
    elif isinstance(given, list):
        aligned = raw if isinstance(raw, list) and len(raw) == len(given) else [None] * len(given)
        for index, (entry, below) in enumerate(zip(given, aligned, strict=True)):
            yield from _inside(entry, below, f"{where}[{index}]")
    elif isinstance(given, Mapping):
        for key, entry in given.items():
            yield from _inside(entry, None, f"{where}[{key!r}]")


def _text(given: str, fact: Fact, where: str) -> Faults:
    if fact.or_else is not None and given != fact.or_else:
        yield f"{where} is {given!r}: it must be a number from {fact.least:g} to {fact.most:g}, or {fact.or_else!r}"
    if fact.longest is not None and len(given) > fact.longest:
        what = f"{where} has {len(given)} characters: {fact.longest} is the most of one event"
        yield f"{what}; split it, or use append_audio() or append_audio_bytes(), which do" if where == "audio" else what


def _number(given: float, fact: Fact, where: str) -> Faults:
    if fact.least is not None and not (fact.least <= given and (fact.most is None or given <= fact.most)):
        bounds = f"at least {fact.least:g}" if fact.most is None else f"from {fact.least:g} to {fact.most:g}"
        yield f"{where} is {given}: it must be {bounds}"


def _without_type(item: Any, where: str) -> Faults:
    if getattr(item, "type", "") is None:
        yield f"{where}.type is missing: 'message', 'function_call_output', ..."


def _modalities(modalities: list[str] | None, config: Config, where: str) -> Faults:
    both = {"text", "audio"}
    if both.issubset(modalities or ()) and not both.issubset(getattr(config, "output_modalities", None) or ()):
        yield (
            f"{where}.output_modalities cannot be text and audio together: ['audio'] comes with its transcript,"
            " ['text'] is text alone"
        )


def _same_names(tools: Iterable[Any] | None, where: str) -> Faults:
    names: set[str | None] = set()
    for index, tool in enumerate(tools or ()):
        if isinstance(tool, FunctionTool):
            if tool.name in names:
                yield f"{where}[{index}]: there is a function {tool.name!r} already; give it another name"
            names.add(tool.name)


def _metadata(metadata: Mapping[str, Any]) -> Faults:
    if len(metadata) > MOST_METADATA:
        yield f"response.metadata has {len(metadata)} pairs: {MOST_METADATA} is the most"
    for key, value in metadata.items():
        if not isinstance(value, str):
            yield f"response.metadata[{key!r}] is {type(value).__name__}: its values must be str"
        elif len(value) > LONGEST_METADATA_VALUE:
            yield f"response.metadata[{key!r}] is longer than {LONGEST_METADATA_VALUE} characters"
        if len(key) > LONGEST_METADATA_KEY:
            yield f"response.metadata: {key!r} is longer than {LONGEST_METADATA_KEY} characters"
