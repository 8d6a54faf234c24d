"""`Conversation`: the events of a session folded into the items that the server holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING, Any, ClassVar, Final, overload

from realtime_sync._latest import Latest
from realtime_sync.events import (
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    InputAudioBufferCommitted,
    Item,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    OutputAudio,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    ResponseMcpCallArgumentsDelta,
    ResponseMcpCallArgumentsDone,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerEvent,
    SessionConfig,
    SessionResumed,
    SessionUpdated,
)
from realtime_sync.events._later import as_it_stands
from realtime_sync.events._media import held_sound
from realtime_sync.events._other_names import OF_CONVERSATIONS, missing
from realtime_sync.events.base import or_none
from realtime_sync.state.conversation.entry import ConversationEntry, ConversationSnapshot
from realtime_sync.state.conversation.lengths import base64_bytes
from realtime_sync.state.conversation.order import ROOT, ItemOrder
from realtime_sync.state.conversation.record import ARGUMENTS, ENDED, Record, item_id_of, renamed, status_of
from realtime_sync.state.facts import Facts
from realtime_sync.state.responses import Responses, Run

__all__ = ["Conversation"]

_MOST_COUNTED: Final = 256
_MOST_GONE: Final = 4096
_MOST_UNPLACED: Final = 1024


class Conversation:
    """The conversation as far as events have been applied: iterate it for its entries in order, or look one up by its
    item's id.

    It grows only by `apply`, on one thread. Every look at it gives what has been applied so far, from any thread, as
    objects that do not change afterwards. Responses beside the conversation are left out. An item without an id, from
    a server that gives none, cannot be mirrored. Audio is never kept.

    ``responses`` is the fold of responses of the session; without it the mirror keeps one of its own. ``limit`` is how
    many items are kept: of more, the oldest are dropped from the mirror, while the server still holds them. ``None``
    keeps all.
    """

    EVENTS: ClassVar[tuple[type[ServerEvent], ...]]
    """The events that `apply` needs at least."""

    DELTAS: ClassVar[tuple[type[ServerEvent], ...]]
    """The events that let text grow while it comes; without them it is there once it is complete."""

    AUDIO: ClassVar[tuple[type[ServerEvent], ...]]
    """The events that tell how long the model's speech is, after a call of `count_audio`."""

    def __init__(self, responses: Responses | None = None, *, limit: int | None = None) -> None:
        self._folds_responses = responses is None
        self._responses = responses or Responses()
        self._order = ItemOrder()
        self._records: dict[str, Record] = {}
        self._unplaced: dict[str, None] = {}  # the records that may not belong to the conversation
        self._gone: dict[str, None] = {}  # the latest that were deleted
        self._limit = limit
        self._dropped: dict[str, None] = Latest(_MOST_GONE)  # the latest that the limit cost
        self._as_text: dict[str, None] = Latest(_MOST_GONE)  # the latest that became text on another connection
        self._open: dict[tuple[str, int], list[str]] = {}  # where the deltas of a part go, for speed
        self._counts = False
        self._bytes_per_ms: float | None = None
        self._last_delta: ServerEvent | None = None  # the delta that was taken in last
        self._counted: dict[str, float] = Latest(_MOST_COUNTED)  # bytes a millisecond of the responses that are counted
        self.has_spoken = False
        """Whether the model has answered with audio, beside the conversation included: the voice is locked then."""
        self.dropped = 0
        """How many of the oldest items the limit has cost so far."""

    # Looking

    @property
    def gone(self) -> Set[str]:
        """The ids of the latest 4,096 items that were deleted."""
        return self._gone.keys()

    @property
    def speech_as_text(self) -> Set[str]:
        """The ids of the latest 4,096 items whose speech became text when the session went on over another
        connection."""
        return self._as_text.keys()

    @property
    def items(self) -> tuple[Item, ...]:
        """The items in order, with all text that has come."""
        return self.snapshot().items

    def snapshot(self) -> ConversationSnapshot:
        """The conversation at this moment."""
        entries = {item_id: self.get(item_id) for item_id in self._order.ids()}
        return ConversationSnapshot(
            entries={item_id: entry for item_id, entry in entries.items() if entry is not None},
            gone=frozenset(self._gone),
        )

    def get(self, item_id: str | None) -> ConversationEntry | None:
        """The entry of this item at this moment, ``None`` when the conversation has no such item, or not any more."""
        record = self._records.get(item_id) if isinstance(item_id, str) else None
        if record is None or item_id in self._unplaced:
            return None
        return record.entry(record.run.status if record.run is not None else None)

    def render(self) -> str:
        """The conversation as readable text, a line or more for each item: ``user: ...``, ``assistant: ...``."""
        return self.snapshot().render()

    def to_json(self, *, indent: int | None = None) -> str:
        """The items in order as a JSON array, each as it is on the wire, without audio."""
        return self.snapshot().to_json(indent=indent)

    @overload
    def __getitem__(self, key: str | int) -> ConversationEntry: ...
    @overload
    def __getitem__(self, key: slice) -> list[ConversationEntry]: ...
    def __getitem__(self, key: str | int | slice) -> ConversationEntry | list[ConversationEntry]:
        if not isinstance(key, str):
            return self.snapshot()[key]
        entry = self.get(key)
        if entry is None:
            older = f" (not among the latest {self._limit}: {self.dropped} older items were dropped)"
            raise KeyError(key + older if self.dropped else key)
        return entry

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and item_id in self._records and item_id not in self._unplaced

    def __iter__(self) -> Iterator[ConversationEntry]:
        return iter(self.snapshot())

    def __len__(self) -> int:
        return max(0, len(self._records) - len(self._unplaced))  # another thread may be between the two

    def __str__(self) -> str:
        return self.render()

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_CONVERSATIONS)

    def _repr_html_(self) -> str:
        return self.snapshot()._repr_html_()

    def __repr__(self) -> str:
        return f"<Conversation of {len(self)} items>"

    # Growing

    def apply(self, event: ServerEvent) -> None:
        """Take in one event; others than those of `EVENTS`, `DELTAS` and `AUDIO` change nothing, nor does a
        delta that is told again."""
        fold = _FOLDS.get(type(event))
        if fold is not None and event is not self._last_delta:
            fold(self, event)

    def assume(self, item: Item) -> None:
        """Take in an item that was sent and that the server never confirmed, once; at the end."""
        item_id = item_id_of(item)
        record = self._record(item_id) if item_id not in self._records else None
        if record is not None:
            record.confirmed = False
            self._learn(record, item, final=True)
            self._place(record)

    def count_audio(self, config: SessionConfig | None) -> None:
        """Count the model's speech from the next response on, given the configuration in force."""
        self._counts = True
        output = Facts.of(config).output
        if output.code is not None:
            self._bytes_per_ms = output.bytes_per_ms

    def _record(self, item_id: str | None) -> Record | None:
        """The record of an item, made when it is new; ``None`` for a deleted or dropped one."""
        if not item_id or item_id in self._gone or item_id in self._dropped:
            return None
        record = self._records.get(item_id)
        if record is None:
            self._unplaced[item_id] = None
            record = self._records[item_id] = Record(item_id)
            if len(self._unplaced) > _MOST_UNPLACED:  # a server that never tells what became of them
                self._forget(next(iter(self._unplaced)))
        record.confirmed = True
        return record

    def _run_of(self, event: Any) -> Run | None:
        """The response that an event is about; ``None`` for events that are about none."""
        if not isinstance(event, (ResponseCreated, ResponseDone)) and not hasattr(event, "response_id"):
            return None
        return self._responses.fold(event) if self._folds_responses else self._responses.of(event)

    def _of_response(self, item_id: str | None, run: Run | None) -> Record | None:
        """The record of an item of a response; ``None`` also for a late delta of one that left nothing."""
        if run is not None and run.over and not run.lasting and item_id not in self._records:
            return None
        record = self._record(item_id)
        if record is not None and record.run is None and run is not None:
            run.item_ids.append(record.id)  # first, or an interrupt in between would lose it
            record.run = run
        return record

    def _learn(self, record: Record, item: Item, *, final: bool, anew: bool = False) -> None:
        record.learn(item, final=final, anew=anew)
        self.has_spoken = self.has_spoken or any(
            isinstance(part, OutputAudio) for part in getattr(item, "content", None) or ()
        )
        self._close(record)

    def _close(self, record: Record) -> None:
        """Let no further delta reach a text that is final."""
        if not self._open:
            return
        for index, part in record.parts.items():
            if not part.open:
                self._open.pop((record.id, index), None)

    def _place(self, record: Record, previous_id: str | None = None, *, may_lead: bool = False) -> None:
        if previous_id or record.id in self._unplaced:
            if previous_id in self._dropped:
                previous_id = ROOT  # older than all that is left
            self._order.place(record.id, previous_id, may_lead=may_lead)
            self._unplaced.pop(record.id, None)
            if self._limit is not None and len(self) > self._limit:
                self._drop_oldest(self._limit)

    def _drop_oldest(self, limit: int) -> None:
        """Keep the latest ``limit`` items, and of the deleted ones those that stand among them."""
        for item_id in self._order.ids():
            if len(self) <= limit:
                return
            self._order.forget(item_id)
            if item_id in self:
                self._forget(item_id)
                self._dropped[item_id] = None
                self.dropped += 1

    # Items

    def _item_added(self, event: ConversationItemAdded | ConversationItemCreated) -> None:
        item_id = item_id_of(event.item)
        if item_id in self._gone:  # the client has given the id to a new item
            del self._gone[item_id]
            self._order.forget(item_id)
        record = self._record(item_id)
        if record is None:
            return
        status = status_of(event.item)
        self._learn(record, event.item, final=status in ENDED)
        may_lead = record.run is None and status != "in_progress"  # only a client adds at the beginning
        self._place(record, event.previous_item_id, may_lead=may_lead)

    def _item_done(self, event: ConversationItemDone) -> None:
        record = self._record(item_id_of(event.item))
        if record is not None:
            self._learn(record, event.item, final=True)
            self._place(record, event.previous_item_id)

    def _item_retrieved(self, event: ConversationItemRetrieved) -> None:
        record = self._record(item_id_of(event.item))
        if record is not None:
            self._learn(record, event.item, final=status_of(event.item) != "in_progress", anew=True)
            self._place(record)

    def _item_deleted(self, event: ConversationItemDeleted) -> None:
        if event.item_id:
            self._delete(event.item_id)

    def _delete(self, item_id: str) -> None:
        self._gone[item_id] = None
        self._dropped.pop(item_id, None)
        self._forget(item_id)
        if len(self._gone) > _MOST_GONE:
            oldest = next(iter(self._gone))
            del self._gone[oldest]
            self._order.forget(oldest)

    def _forget(self, item_id: str) -> None:
        record = self._records.pop(item_id, None)
        self._unplaced.pop(item_id, None)
        for index in record.parts if record is not None else ():
            self._open.pop((item_id, index), None)

    def _item_truncated(self, event: ConversationItemTruncated) -> None:
        record = self._record(event.item_id)
        if record is not None:
            record.part(event.content_index).cut_at(event.audio_end_ms)
            self._close(record)

    def _committed(self, event: InputAudioBufferCommitted) -> None:
        record = self._record(event.item_id)
        if record is not None:
            self._place(record, event.previous_item_id)

    # Responses

    def _response_created(self, event: ResponseCreated) -> None:
        run = self._run_of(event)
        if run is not None and run.id and self._counts:
            rate = run.sound.bytes_per_ms if run.sound is not None else self._bytes_per_ms
            if rate is not None:  # kept for a while, since late deltas may follow the end
                self._counted[run.id] = rate

    def _response_done(self, event: ResponseDone) -> None:
        run = self._run_of(event)
        response = or_none(event.response)
        if run is None or response is None:
            return
        if all(map(self._is_told, as_it_stands(response, "output"))):
            items = []  # the usual case: each item was told when it was done, and need not even be read
        else:
            items = [item for item in response.output or () if not self._is_told(item)]
        for item in items:
            item_id = item_id_of(item)
            record = self._of_response(item_id, run)
            if record is not None:
                self._learn(record, item, final=True)
                if run.lasting:
                    self._place(record)
            elif any(isinstance(part, OutputAudio) for part in getattr(item, "content", None) or ()):
                self.has_spoken = True
        if not run.lasting:
            for item_id in run.item_ids:
                if item_id in self._unplaced:
                    self._forget(item_id)
        run.item_ids = []

    def _is_told(self, item: Any) -> bool:
        """Whether hearing again of an item of a response changes nothing; it may be one that was not read yet."""
        item_id = item.get("id") if item.__class__ is dict else item_id_of(item)
        known = self._records.get(item_id) if item_id.__class__ is str else None
        return known is not None and known.whole and known.run is not None and item_id in self

    def _output_item(self, event: ResponseOutputItemAdded | ResponseOutputItemDone) -> None:
        run = self._run_of(event)
        record = self._of_response(item_id_of(event.item), run)
        if record is None:
            return
        final = isinstance(event, ResponseOutputItemDone) or status_of(event.item) in ENDED
        self._learn(record, event.item, final=final)
        if run is not None and run.lasting:
            self._place(record)

    def _part_added(self, event: ResponseContentPartAdded) -> None:
        self.has_spoken = self.has_spoken or isinstance(event.part, OutputAudio)
        record = self._of_response(event.item_id, self._run_of(event))
        if record is not None and event.part is not None:
            part = record.part(event.content_index)
            part.shown = part.shown or event.part

    def _part_done(self, event: ResponseContentPartDone) -> None:
        self._part_added(event)  # type: ignore[arg-type]
        text = event.part.transcript if isinstance(event.part, OutputAudio) else getattr(event.part, "text", None)
        self._finish(event, text)

    def _finish(self, event: Any, text: str | None, index: int | None = None) -> None:
        index = event.content_index if index is None else index
        record = self._of_response(event.item_id, self._run_of(event))
        if record is not None:
            record.finish(index, text)
            self._close(record)

    def _text_done(self, event: ResponseOutputTextDone) -> None:
        self._finish(event, event.text)

    def _transcript_done(self, event: ResponseOutputAudioTranscriptDone) -> None:
        self.has_spoken = True
        self._finish(event, event.transcript)
        self._spoken(event)

    def _arguments_done(self, event: ResponseFunctionCallArgumentsDone | ResponseMcpCallArgumentsDone) -> None:
        self._finish(event, event.arguments, ARGUMENTS)

    def _spoken(self, event: Any) -> None:
        record = self._records.get(event.item_id)
        if record is not None:
            record.part(event.content_index).spoken = True

    # Deltas: the list of pieces is found at once when the part has grown before. It grows by an operator: no interrupt
    # comes between this and the note of the event, which is ignored when it is told again (see `Route`).

    def _text_delta(self, event: ResponseOutputTextDelta | ConversationItemInputAudioTranscriptionDelta) -> None:
        delta = event.delta
        if delta:
            try:
                pieces = self._open[event.item_id, event.content_index]  # type: ignore[index]
            except KeyError:
                pieces = self._begin(event, event.content_index)
            pieces += (delta,)
            self._last_delta = event

    def _transcript_delta(self, event: ResponseOutputAudioTranscriptDelta) -> None:
        delta = event.delta
        if delta:
            try:
                pieces = self._open[event.item_id, event.content_index]
            except KeyError:
                self.has_spoken = True
                pieces = self._begin(event, event.content_index)
                self._spoken(event)
            pieces += (delta,)
            self._last_delta = event

    def _arguments_delta(self, event: ResponseFunctionCallArgumentsDelta | ResponseMcpCallArgumentsDelta) -> None:
        delta = event.delta
        if delta:
            try:
                pieces = self._open[event.item_id, ARGUMENTS]
            except KeyError:
                pieces = self._begin(event, ARGUMENTS)
            pieces += (delta,)
            self._last_delta = event

    def _begin(self, event: Any, index: int | None) -> list[str]:
        """Where the deltas of a part go from now on."""
        record = self._of_response(event.item_id, self._run_of(event))
        part = record.part(index) if record is not None else None
        if record is None or part is None or not part.open:
            return []
        if index is not None:
            self._open[record.id, index] = part.pieces
        return part.pieces

    def _audio_delta(self, event: ResponseOutputAudioDelta) -> None:
        self.has_spoken = True
        rate = self._counted.get(event.response_id)
        record = self._records.get(event.item_id)
        if record is None or rate is None:
            return  # not counted from its beginning, or of unknown format
        part = record.part(event.content_index)
        if part.size_bytes is None:
            part.bytes_per_ms = rate
            part.spoken = True
        pcm = held_sound(event)  # to make the text of it only for its length would cost more than all else here
        size_bytes = base64_bytes(event.delta or "") if pcm is None else len(pcm)
        part.size_bytes = (part.size_bytes or 0) + size_bytes
        self._last_delta = event

    def _reconfigured(self, event: SessionUpdated) -> None:
        if self._counts:
            self.count_audio(event.session)

    # What the user said

    def _heard(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        self._finish(event, event.transcript)

    def _not_heard(self, event: ConversationItemInputAudioTranscriptionFailed) -> None:
        record = self._record(event.item_id)
        if record is not None:
            record.error = event.error

    def _segment(self, event: ConversationItemInputAudioTranscriptionSegment) -> None:
        record = self._record(event.item_id)
        if record is not None:
            record.segments[event.id or (event.start, event.end)] = event

    # Another connection

    def _resumed(self, event: SessionResumed) -> None:
        for old_id, new_id in event.renamed.items():
            self._rename(old_id, new_id)
        for item_id in event.as_text:
            if item_id in self._records:
                self._records[item_id].turn_into_text()
                self._as_text[item_id] = None
        for lost_id in filter(None, map(item_id_of, event.lost)):
            self._delete(lost_id)
        self._open.clear()
        self.has_spoken = False  # as far as the server knows

    def _rename(self, old_id: str, new_id: str) -> None:
        record = self._records.pop(old_id, None)
        if record is None:
            return
        record.id = new_id
        record.item = record.item if record.item is None else renamed(record.item, new_id)
        self._records[new_id] = record
        self._order.rename(old_id, new_id)
        if self._as_text.pop(old_id, False) is None:
            self._as_text[new_id] = None

    # MCP

    def _mcp(self, event: Any) -> None:
        record = self._record(event.item_id)
        if record is not None and record.outcome not in ("completed", "failed"):
            record.outcome = _OUTCOMES[type(event)]


_Folds = dict[type[ServerEvent], Callable[[Conversation, Any], None]]

_OUTCOMES: Final[dict[type[ServerEvent], str]] = {
    ResponseMcpCallInProgress: "in_progress",
    ResponseMcpCallCompleted: "completed",
    ResponseMcpCallFailed: "failed",
    McpListToolsInProgress: "in_progress",
    McpListToolsCompleted: "completed",
    McpListToolsFailed: "failed",
}

_OF_EVENTS: Final[_Folds] = {
    ConversationItemAdded: Conversation._item_added,
    ConversationItemCreated: Conversation._item_added,
    ConversationItemDone: Conversation._item_done,
    ConversationItemRetrieved: Conversation._item_retrieved,
    ConversationItemDeleted: Conversation._item_deleted,
    ConversationItemTruncated: Conversation._item_truncated,
    ConversationItemInputAudioTranscriptionCompleted: Conversation._heard,
    ConversationItemInputAudioTranscriptionFailed: Conversation._not_heard,
    ConversationItemInputAudioTranscriptionSegment: Conversation._segment,
    InputAudioBufferCommitted: Conversation._committed,
    ResponseCreated: Conversation._response_created,
    ResponseDone: Conversation._response_done,
    ResponseOutputItemAdded: Conversation._output_item,
    ResponseOutputItemDone: Conversation._output_item,
    ResponseContentPartAdded: Conversation._part_added,
    ResponseContentPartDone: Conversation._part_done,
    ResponseOutputTextDone: Conversation._text_done,
    ResponseOutputAudioTranscriptDone: Conversation._transcript_done,
    ResponseFunctionCallArgumentsDone: Conversation._arguments_done,
    ResponseMcpCallArgumentsDone: Conversation._arguments_done,
    SessionResumed: Conversation._resumed,
    **dict.fromkeys(_OUTCOMES, Conversation._mcp),
}

_OF_DELTAS: Final[_Folds] = {
    ResponseOutputTextDelta: Conversation._text_delta,
    ResponseOutputAudioTranscriptDelta: Conversation._transcript_delta,
    ResponseFunctionCallArgumentsDelta: Conversation._arguments_delta,
    ResponseMcpCallArgumentsDelta: Conversation._arguments_delta,
    ConversationItemInputAudioTranscriptionDelta: Conversation._text_delta,
}

_OF_AUDIO: Final[_Folds] = {
    ResponseOutputAudioDelta: Conversation._audio_delta,
    SessionUpdated: Conversation._reconfigured,
}

_FOLDS: Final[_Folds] = {**_OF_EVENTS, **_OF_DELTAS, **_OF_AUDIO}

Conversation.EVENTS = tuple(_OF_EVENTS)
Conversation.DELTAS = tuple(_OF_DELTAS)
Conversation.AUDIO = tuple(_OF_AUDIO)
