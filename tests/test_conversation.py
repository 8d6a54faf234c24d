"""The mirror of the conversation: a fold whose result does not depend on how independent events interleave."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from effort import examples
from fakes import FakeSession
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import events as e
from realtime_sync.events._media import hold_sound
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.conversation.lengths import base64_bytes
from realtime_sync.state.conversation.order import ItemOrder

CONVERSATION = "conv_1"


def folded(events: Iterable[e.ServerEvent], *, counting: bool = False) -> Conversation:
    conversation = Conversation()
    if counting:
        conversation.count_audio(session())
    for event in events:
        conversation.apply(event)
    return conversation


def session(rate: int | None = 24_000) -> e.RealtimeSessionConfig:
    return e.RealtimeSessionConfig(audio=e.AudioConfig(output=e.AudioOutput(format=e.AudioPcm(rate=rate))))


def user(item_id: str, text: str = "hi", status: str | None = "completed") -> e.UserMessage:
    return e.UserMessage(id=item_id, status=status, content=[e.InputText(text=text)])


def speech(item_id: str, transcript: str | None = None, status: str = "completed") -> e.UserMessage:
    return e.UserMessage(id=item_id, status=status, content=[e.InputAudio(transcript=transcript)])


def assistant(item_id: str, *content: Any, status: str | None = "in_progress") -> e.AssistantMessage:
    return e.AssistantMessage(id=item_id, status=status, content=list(content))


def added(item: Any, previous: str | None = None) -> e.ConversationItemAdded:
    return e.ConversationItemAdded(item=item, previous_item_id=previous)


def created(item: Any, previous: str | None = None) -> e.ConversationItemCreated:
    return e.ConversationItemCreated(item=item, previous_item_id=previous)


def done(item: Any, previous: str | None = None) -> e.ConversationItemDone:
    return e.ConversationItemDone(item=item, previous_item_id=previous)


def deleted(item_id: str) -> e.ConversationItemDeleted:
    return e.ConversationItemDeleted(item_id=item_id)


def truncated(item_id: str, ms: int, index: int = 0) -> e.ConversationItemTruncated:
    return e.ConversationItemTruncated(item_id=item_id, content_index=index, audio_end_ms=ms)


def at(item_id: str, response_id: str = "r", index: int = 0) -> dict[str, Any]:
    return {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": index}


def text_delta(item_id: str, delta: Any, **place: Any) -> e.ResponseOutputTextDelta:
    return e.ResponseOutputTextDelta(**at(item_id, **place), delta=delta)


def transcript_delta(item_id: str, delta: Any, **place: Any) -> e.ResponseOutputAudioTranscriptDelta:
    return e.ResponseOutputAudioTranscriptDelta(**at(item_id, **place), delta=delta)


def audio_delta(item_id: str, size_bytes: int, response_id: str = "r") -> e.ResponseOutputAudioDelta:
    return e.ResponseOutputAudioDelta(**at(item_id, response_id), delta=base64.b64encode(bytes(size_bytes)).decode())


def heard(item_id: str, transcript: str) -> e.ConversationItemInputAudioTranscriptionCompleted:
    usage = e.DurationTranscriptionUsage(seconds=1.0)
    return e.ConversationItemInputAudioTranscriptionCompleted(
        item_id=item_id, content_index=0, transcript=transcript, usage=usage
    )


def hearing(item_id: str, delta: str | None) -> e.ConversationItemInputAudioTranscriptionDelta:
    return e.ConversationItemInputAudioTranscriptionDelta(item_id=item_id, content_index=0, delta=delta)


def begun(response_id: str = "r", conversation_id: str | None = CONVERSATION) -> e.ResponseCreated:
    return e.ResponseCreated(response=e.Response(id=response_id, status="in_progress", conversation_id=conversation_id))


def ended(
    response_id: str = "r", *output: Any, status: str = "completed", conversation_id: str | None = CONVERSATION
) -> e.ResponseDone:
    return e.ResponseDone(
        response=e.Response(id=response_id, status=status, output=list(output), conversation_id=conversation_id)
    )


def output_added(item: Any, response_id: str = "r") -> e.ResponseOutputItemAdded:
    return e.ResponseOutputItemAdded(response_id=response_id, output_index=0, item=item)


def output_done(item: Any, response_id: str = "r") -> e.ResponseOutputItemDone:
    return e.ResponseOutputItemDone(response_id=response_id, output_index=0, item=item)


def ids(conversation: Conversation) -> list[str]:
    return [entry.id for entry in conversation]


# The law: any legal order folds to what the server holds


class Server:
    """A model of the server. It holds the truth as a plain list and tells it as events; ``after`` says which events
    each one must follow."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.events: list[e.ServerEvent] = []
        self.after: list[set[int]] = []
        self._structure: int | None = None  # the last event that changed which items there are, and where
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def tell(self, event: e.ServerEvent, *after: int | None) -> int:
        self.events.append(event)
        self.after.append({index for index in after if index is not None})
        return len(self.events) - 1

    def structure(self, event: e.ServerEvent, *after: int | None) -> int:
        self._structure = self.tell(event, self._structure, *after)
        return self._structure

    def insert(self, item: dict[str, Any], where: str | None) -> str | None:
        known = [known["id"] for known in self.items]
        index = len(known) if where is None else 0 if where == "root" else known.index(where) + 1
        self.items.insert(index, item)
        return known[index - 1] if index else None

    def add_text(self, text: str, where: str | None, dialect: str) -> None:
        item_id = f"u{self.number()}"
        previous = self.insert({"id": item_id, "status": "completed", "text": text, "audio_ms": {}}, where)
        make = created if dialect == "created" else added
        first = self.structure(make(user(item_id, text), previous))
        if dialect != "created":
            self.tell(done(user(item_id, text), previous), first)
        if dialect == "both":
            self.tell(created(user(item_id, text), previous), first)

    def commit(self, words: list[str], outcome: str) -> None:
        item_id = f"s{self.number()}"
        text = "".join(words) if outcome != "failed" else "[audio]"
        previous = self.insert({"id": item_id, "status": "completed", "text": text, "audio_ms": {}}, None)
        committed = e.InputAudioBufferCommitted(item_id=item_id, previous_item_id=previous)
        first = self.structure(committed)
        first = self.structure(added(speech(item_id), previous), first)
        self.tell(done(speech(item_id), previous), first)
        last = None  # the transcription may run ahead of everything or long behind
        for word in words if outcome != "failed" else []:
            last = self.tell(hearing(item_id, word), last)
        if outcome == "completed":
            last = self.tell(heard(item_id, text), last)
            self.tell(heard(item_id, text), last)
        elif outcome == "failed":
            error = e.TranscriptionError(message="no")
            self.tell(
                e.ConversationItemInputAudioTranscriptionFailed(item_id=item_id, content_index=0, error=error), None
            )

    def respond(self, kinds: list[tuple[str, list[str]]], status: str, *, lasting: bool = True) -> None:
        response_id = f"r{self.number()}"
        conversation_id = CONVERSATION if lasting else None
        start = self.structure(begun(response_id, conversation_id))
        outcome = "completed" if status == "completed" else "incomplete"
        output: list[Any] = []
        for kind, words in kinds:
            item_id = f"{kind[0]}{self.number()}"
            self._item(kind, words, item_id, response_id, outcome, start, output, lasting)
        # A final response repeats everything; late deltas may still follow it.
        self.structure(ended(response_id, *output, status=status, conversation_id=conversation_id), start)

    def _item(
        self,
        kind: str,
        words: list[str],
        item_id: str,
        response_id: str,
        outcome: str,
        start: int,
        output: list[Any],
        lasting: bool,
    ) -> None:
        text = "".join(words)
        empty: Any = assistant(item_id)
        full: Any = assistant(item_id, e.OutputText(text=text), status=outcome)
        part: Any = e.OutputText(text="")
        shown = text
        if kind == "call":
            empty = e.FunctionCall(id=item_id, call_id=f"c{item_id}", name="f", arguments="", status="in_progress")
            full = e.FunctionCall(id=item_id, call_id=f"c{item_id}", name="f", arguments=text, status=outcome)
            shown = f"f({text})"
        elif kind == "voice":
            full = assistant(item_id, e.OutputAudio(transcript=text), status=outcome)
            part = e.OutputAudio(transcript="")
        output.append(full)
        place = at(item_id, response_id)
        previous = None
        last = self.structure(output_added(empty, response_id), start)
        if lasting:
            audio_ms = {0: 10 * len(words)} if kind == "voice" and words else {}
            item = {"id": item_id, "status": outcome, "text": shown, "audio_ms": audio_ms, "voice": kind == "voice"}
            previous = self.insert(item, None)
            last = self.structure(added(empty, previous), last)
        if kind == "call":
            for word in words:
                delta = e.ResponseFunctionCallArgumentsDelta(
                    response_id=response_id, item_id=item_id, output_index=0, call_id=f"c{item_id}", delta=word
                )
                last = self.tell(delta, last)
            arguments = e.ResponseFunctionCallArgumentsDone(
                response_id=response_id, item_id=item_id, output_index=0, call_id="c", name="f", arguments=text
            )
            last = self.tell(arguments, last)
        else:
            last = self.tell(e.ResponseContentPartAdded(**place, part=part), last)
            audio = last
            for word in words:
                delta = transcript_delta if kind == "voice" else text_delta
                last = self.tell(delta(item_id, word, response_id=response_id), last)
                if kind == "voice":
                    audio = self.tell(audio_delta(item_id, 480, response_id), audio)
            if kind == "voice":
                last = self.tell(e.ResponseOutputAudioTranscriptDone(**place, transcript=text), last)
            else:
                last = self.tell(e.ResponseOutputTextDone(**place, text=text), last)
            last = self.tell(e.ResponseContentPartDone(**place, part=full.content[0]), last)
        last = self.tell(output_done(full, response_id), last)
        if lasting:
            self.tell(done(full, previous), last)

    def delete(self, index: int) -> None:
        item = self.items.pop(index % len(self.items))
        self.deleted.append(item["id"])
        self.structure(deleted(item["id"]))

    def truncate(self, index: int, ms: int) -> None:
        voices = [item for item in self.items if item.get("voice")]
        if voices:
            item = voices[index % len(voices)]
            self.structure(truncated(item["id"], ms))
            item["text"] = "[audio]"
            item["audio_ms"] = {0: min(ms, item["audio_ms"].get(0, ms))}

    def truth(self) -> list[tuple[Any, ...]]:
        return [(item["id"], item["status"], item["text"], item["audio_ms"]) for item in self.items]


ANNOUNCING = (e.ConversationItemAdded, e.ConversationItemCreated)
words = st.lists(st.text("ab ", min_size=1, max_size=2), min_size=1, max_size=3)


@st.composite
def servers(draw: st.DrawFn) -> Server:
    server = Server()
    for _ in range(2):  # from the second on it is plain that this server tells previous ids
        server.add_text("".join(draw(words)), None, "added")
    for _ in range(draw(st.integers(1, 6))):
        step = draw(st.sampled_from(["text", "commit", "respond", "respond", "aside", "delete", "truncate"]))
        if step == "text":
            places = [None, "root", *(item["id"] for item in server.items)]
            dialect = draw(st.sampled_from(["added", "created", "both"]))
            server.add_text("".join(draw(words)), draw(st.sampled_from(places)), dialect)
        elif step == "commit":
            server.commit(draw(words), draw(st.sampled_from(["completed", "failed", "growing"])))
        elif step in ("respond", "aside"):
            kind = st.sampled_from(["text", "voice", "call"])
            kinds = draw(st.lists(st.tuples(kind, words), min_size=1, max_size=2))
            status = draw(st.sampled_from(["completed", "cancelled", "incomplete", "failed"]))
            server.respond(kinds, status, lasting=step == "respond")
        elif server.items and step == "delete":
            server.delete(draw(st.integers(0, 9)))
        else:
            server.truncate(draw(st.integers(0, 9)), draw(st.integers(0, 40)))
    return server


@st.composite
def legal_orders(draw: st.DrawFn) -> tuple[Server, list[e.ServerEvent]]:
    """A server's events, some of them twice, in an order that keeps what each has to follow."""
    server = draw(servers())
    events, after = list(server.events), [set(needed) for needed in server.after]
    for index, event in enumerate(server.events):
        if isinstance(event, (*ANNOUNCING, e.ConversationItemDone)) and draw(st.booleans()):
            events.append(event)
            after.append({index})
    for index, event in enumerate(events):
        if isinstance(event, ANNOUNCING):  # one that comes after the deletion would be another item
            for other, later in enumerate(server.events):
                if isinstance(later, e.ConversationItemDeleted) and later.item_id == event.item.id:  # type: ignore[union-attr]
                    after[other].add(index)
    ordered: list[e.ServerEvent] = []
    told: set[int] = set()
    random = draw(st.randoms(use_true_random=False))
    while len(told) < len(events):
        ready = [index for index in range(len(events)) if index not in told and after[index] <= told]
        chosen = random.choice(ready)
        told.add(chosen)
        ordered.append(events[chosen])
    return server, ordered


@examples(150)
@given(legal_orders())
def test_any_legal_order_folds_to_what_the_server_holds(case: tuple[Server, list[e.ServerEvent]]) -> None:
    server, ordered = case
    conversation = folded(ordered, counting=True)
    shown = [(entry.id, entry.status, entry.text, dict(entry.audio_ms)) for entry in conversation]
    assert shown == server.truth()
    assert set(conversation.gone) == set(server.deleted)
    assert len(conversation) == len(server.items)


@examples(100)
@given(servers(), st.data())
def test_without_deltas_the_result_is_the_same(server: Server, data: st.DataObject) -> None:
    everything = folded(server.events)
    told = [event for event in server.events if isinstance(event, Conversation.EVENTS)]
    texts = [(entry.id, entry.status, entry.text) for entry in folded(told)]
    growing = [entry for entry in everything if entry.id[0] == "s"]  # a transcription that never completed
    for entry, (item_id, status, text) in zip(everything, texts, strict=True):
        assert (entry.id, entry.status) == (item_id, status)
        assert entry in growing or entry.text == text


@given(st.lists(st.integers(0, 30), max_size=12), st.randoms(use_true_random=False))
def test_a_chain_of_items_is_the_same_in_any_order(choices: list[int], random: Any) -> None:
    chain = [f"i{number}" for number in range(len(choices))]
    told = [added(user(item_id), chain[number - 1] if number else None) for number, item_id in enumerate(chain)]
    random.shuffle(told)
    assert ids(folded(told)) == chain


@given(st.lists(st.integers(0, 30), max_size=20))
def test_places_in_the_servers_order_follow_the_list_model(choices: list[int]) -> None:
    model: list[str] = []
    order = ItemOrder()
    for number, choice in enumerate(choices):
        item_id = f"i{number}"
        index = choice % (len(model) + 1)
        order.place(item_id, model[index - 1] if index else "root", may_lead=True)
        model.insert(index, item_id)
    assert order.ids() == model


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.sampled_from([*"abcdef", "root", "?"])), max_size=20)
)
def test_nonsense_places_lose_and_repeat_nothing(told: list[tuple[str, str | None]]) -> None:
    order = ItemOrder()
    for item_id, previous in told:
        order.place(item_id, previous, may_lead=True)
    assert sorted(order.ids()) == sorted({item_id for item_id, _ in told})


# Order


def test_a_server_without_previous_ids_gets_the_order_of_arrival() -> None:
    assert ids(folded([added(user("a")), added(assistant("b")), added(user("c"))])) == ["a", "b", "c"]


def test_once_previous_ids_come_a_missing_one_means_the_beginning_also_in_retrospect() -> None:
    told = [added(user("a")), added(user("b"))]
    assert ids(folded(told)) == ["a", "b"]
    assert ids(folded([*told, added(user("c"), "a")])) == ["b", "a", "c"]
    assert ids(folded([*told, added(user("c"), "a"), added(user("d"))])) == ["d", "b", "a", "c"]


def test_root_is_the_beginning() -> None:
    assert ids(folded([added(user("a")), added(user("b"), "root")])) == ["b", "a"]


def test_what_the_model_or_the_microphone_adds_never_goes_to_the_beginning() -> None:
    told = [added(user("a")), added(user("b"), "a"), added(assistant("c"))]
    assert ids(folded([*told, e.InputAudioBufferCommitted(item_id="d")])) == ["a", "b", "c", "d"]


def test_an_unknown_previous_id_waits_at_the_end_with_what_follows_it() -> None:
    told = [added(user("a")), added(user("x"), "later"), added(user("y"), "x"), added(user("b"), "a")]
    conversation = folded(told)
    assert ids(conversation) == ["a", "b", "x", "y"]
    conversation.apply(added(user("later"), "a"))
    assert ids(conversation) == ["a", "later", "x", "y", "b"]


def test_previous_ids_that_never_appear_do_not_disturb_the_order_of_arrival() -> None:
    told = [e.InputAudioBufferCommitted(item_id="a", previous_item_id="TODO"), added(assistant("b")), added(user("c"))]
    assert ids(folded(told)) == ["a", "b", "c"]


def test_a_place_that_is_told_later_counts() -> None:
    told = [added(user("a")), added(user("b"), "a"), e.InputAudioBufferCommitted(item_id="s")]
    assert ids(folded(told)) == ["a", "b", "s"]
    assert ids(folded([*told, added(speech("s"), "a")])) == ["a", "s", "b"]


def test_items_that_name_each_other_stay() -> None:
    assert ids(folded([added(user("a"), "b"), added(user("b"), "a"), added(user("c"), "c")])) == ["a", "b", "c"]


# Deletion


def test_a_deleted_item_is_gone_and_nothing_late_brings_it_back() -> None:
    item = assistant("a", e.OutputAudio(transcript="x"), status="completed")
    late = [
        done(item),
        output_added(item),
        output_done(item),
        ended("r", item),
        heard("a", "x"),
        hearing("a", "x"),
        text_delta("a", "x"),
        truncated("a", 5),
        e.ConversationItemRetrieved(item=item),
        e.InputAudioBufferCommitted(item_id="a"),
        e.ResponseMcpCallFailed(item_id="a", output_index=0),
        e.ConversationItemInputAudioTranscriptionFailed(item_id="a", content_index=0, error=e.TranscriptionError()),
        e.ConversationItemInputAudioTranscriptionSegment(
            item_id="a", content_index=0, id="s", speaker="A", start=0.0, end=1.0, text="x"
        ),
        e.ResponseContentPartAdded(**at("a"), part=e.OutputAudio()),
    ]
    conversation = folded([begun(), added(assistant("a")), transcript_delta("a", "x"), deleted("a"), *late])
    assert ids(conversation) == []
    assert "a" not in conversation
    assert set(conversation.gone) == {"a"}
    assert conversation.get("a") is None
    with pytest.raises(KeyError):
        conversation["a"]


def test_an_id_that_is_used_again_is_a_new_item_at_a_new_place() -> None:
    told = [added(user("a", "old")), added(user("b"), "a"), deleted("a"), added(user("a", "new"), "b")]
    conversation = folded(told)
    assert str(conversation) == "user: hi\nuser: new"
    assert not conversation.gone


def test_an_item_may_be_placed_behind_a_deleted_one() -> None:
    told = [added(user("a")), added(user("b"), "a"), added(user("c"), "b"), deleted("b"), added(user("d"), "b")]
    assert ids(folded(told)) == ["a", "d", "c"]


def test_a_deletion_of_something_unknown_is_remembered() -> None:
    conversation = folded([deleted("a"), deleted("")])
    assert set(conversation.gone) == {"a"}
    conversation.apply(added(user("a")))
    assert ids(conversation) == ["a"]


# Text as it grows


def test_deltas_show_at_once_and_the_whole_text_replaces_them() -> None:
    conversation = folded([begun(), added(assistant("a")), text_delta("a", "Hel")])
    assert conversation["a"].text == "Hel"
    assert conversation["a"].status == "in_progress"
    conversation.apply(text_delta("a", "lo"))
    assert conversation["a"].item == assistant("a", e.OutputText(text="Hello"))
    conversation.apply(e.ResponseOutputTextDone(**at("a"), text="Hello!"))
    conversation.apply(text_delta("a", "late"))
    assert conversation["a"].text == "Hello!"


def test_the_kind_of_a_part_is_told_by_its_deltas_where_nothing_else_tells() -> None:
    conversation = folded([added(assistant("a")), text_delta("a", "x"), transcript_delta("a", "y", index=1)])
    assert conversation["a"].item.content == [e.OutputText(text="x"), e.OutputAudio(transcript="y")]  # type: ignore[union-attr]


def test_a_received_item_is_never_changed() -> None:
    item = assistant("a", e.OutputText(text=""))
    folded([added(item), text_delta("a", "x")])
    assert item == assistant("a", e.OutputText(text=""))


def test_places_and_slices_are_those_of_a_list() -> None:
    conversation = folded([added(assistant("a")), added(user("b"), "a"), added(user("c"), "b")])
    for told in (conversation, conversation.snapshot()):
        entries = list(told)
        assert [entry.id for entry in entries] == ["a", "b", "c"]
        for part in (slice(2), slice(-2, None), slice(None, None, -1), slice(5, 9)):
            assert told[part] == entries[part]
        assert told[-1] == entries[-1]
        with pytest.raises(IndexError):
            told[3]


def test_an_entry_does_not_change_when_the_conversation_goes_on() -> None:
    conversation = folded([added(assistant("a")), text_delta("a", "x")])
    entry, snapshot = conversation["a"], conversation.snapshot()
    conversation.apply(text_delta("a", "y"))
    conversation.apply(added(user("b"), "a"))
    assert entry.text == snapshot["a"].text == "x"
    assert len(snapshot) == 1
    assert "b" not in snapshot
    assert snapshot.get("b") is None
    assert str(conversation) == str(conversation.snapshot()) == "assistant: xy\nuser: hi"


def test_calls_grow_by_their_arguments() -> None:
    call = e.FunctionCall(id="c", call_id="x", name="f", arguments="")
    place = {"response_id": "r", "item_id": "c", "output_index": 0}
    told = [begun(), output_added(call)]
    for piece in ('{"a"', ":1}"):
        told.append(e.ResponseFunctionCallArgumentsDelta(**place, call_id="x", delta=piece))  # type: ignore[arg-type]
    conversation = folded(told)  # type: ignore[arg-type]
    assert conversation["c"].text == 'f({"a":1})'
    assert str(conversation["c"]) == 'call: f({"a":1})'
    whole = e.ResponseFunctionCallArgumentsDone(**place, call_id="x", name="f", arguments="{}")  # type: ignore[arg-type]
    conversation.apply(whole)
    assert conversation["c"].text == "f({})"


def test_arguments_of_a_message_are_ignored() -> None:
    arguments = e.ResponseFunctionCallArgumentsDelta(
        response_id="r", item_id="a", output_index=0, call_id="x", delta="{}"
    )
    assert folded([added(assistant("a", e.OutputText(text="x"))), arguments])["a"].text == "x"
    assert folded([added(assistant("a")), arguments])["a"].text == ""


def test_arguments_without_deltas() -> None:
    call = e.FunctionCall(id="c", call_id="x", name="f", arguments=None)  # type: ignore[arg-type]
    conversation = folded([added(call)])
    assert conversation["c"].text == "f()"
    conversation.apply(
        e.ResponseFunctionCallArgumentsDone(
            response_id="r", item_id="c", output_index=0, call_id="x", name="f", arguments="{}"
        )
    )
    assert conversation["c"].text == "f({})"


# What the user said


def test_a_transcript_may_come_before_the_item() -> None:
    conversation = folded([hearing("s", "he"), heard("s", "hello"), hearing("s", "x")])
    assert len(conversation) == 0
    conversation.apply(e.InputAudioBufferCommitted(item_id="s"))
    assert conversation["s"].text == "hello"
    assert conversation["s"].status == "in_progress"
    conversation.apply(added(speech("s")))
    assert conversation["s"].item == speech("s", "hello")


def test_a_committed_buffer_holds_the_place_of_its_item() -> None:
    conversation = folded([added(user("a")), e.InputAudioBufferCommitted(item_id="s", previous_item_id="a")])
    assert str(conversation) == "user: hi\nuser: [audio]"


def test_an_empty_transcript_does_not_replace_one() -> None:
    assert folded([heard("s", "hello"), added(speech("s", ""))])["s"].text == "hello"
    assert folded([added(speech("s", "")), heard("s", "hello")])["s"].text == "hello"


def test_a_transcript_of_a_part_that_was_not_shown() -> None:
    assert folded([added(e.UserMessage(id="s", content=[])), heard("s", "hello")])["s"].text == "hello"
    assert folded([added(user("s", "typed")), heard("s", "hello")])["s"].text == "typed"


def test_silence_is_an_empty_transcript() -> None:
    conversation = folded([added(speech("s")), heard("s", "")])
    assert conversation["s"].item == speech("s", "")


def test_a_failed_transcription_is_told() -> None:
    error = e.TranscriptionError(code="audio_unintelligible")
    failed = e.ConversationItemInputAudioTranscriptionFailed(item_id="s", content_index=0, error=error)
    conversation = folded([failed, added(speech("s"))])
    assert conversation["s"].transcription_error == error
    assert conversation["s"].text == "[audio]"
    conversation.apply(heard("s", "after all"))
    assert conversation["s"].transcription_error is None


def test_segments_come_in_any_order_and_twice() -> None:
    def segment(name: str, start: Any, text: Any) -> e.ConversationItemInputAudioTranscriptionSegment:
        return e.ConversationItemInputAudioTranscriptionSegment(
            item_id="s", content_index=0, id=name, speaker="A", start=start, end=start, text=text
        )

    told = [
        segment("2", 1.0, " there "),
        segment("1", 0.5, "Hi"),
        segment("2", 1.0, " there "),
        segment("0", None, None),
    ]
    conversation = folded([added(speech("s")), *told])
    assert [found.id for found in conversation["s"].segments] == ["0", "1", "2"]
    assert conversation["s"].text == "Hi there"
    conversation.apply(heard("s", "Hi there!"))
    assert conversation["s"].text == "Hi there!"


# Responses


@pytest.mark.parametrize(
    ("status", "expected"),
    [("completed", "completed"), ("cancelled", "incomplete"), ("failed", "incomplete"), ("incomplete", "incomplete")],
)
def test_the_end_of_a_response_ends_its_items(status: str, expected: str) -> None:
    told = [begun(), output_added(assistant("a")), added(assistant("a")), text_delta("a", "x")]
    conversation = folded([*told, ended(status=status)])
    assert conversation["a"].status == expected
    assert conversation["a"].item.status == expected  # type: ignore[union-attr]
    assert conversation["a"].response_id == "r"


def test_the_items_own_status_counts_more() -> None:
    item = assistant("a", e.OutputText(text="x"), status="completed")
    assert folded([begun(), added(assistant("a")), done(item), ended(status="cancelled")])["a"].status == "completed"


def test_an_unfinished_status_in_a_final_item_is_not_believed() -> None:
    item = assistant("a", e.OutputText(text="x"))
    assert folded([done(item)])["a"].status == "completed"
    assert folded([begun(), ended("r", item, status="cancelled")])["a"].status == "incomplete"


def test_a_response_beside_the_conversation_leaves_nothing() -> None:
    item = assistant("a", e.OutputAudio(transcript="x"), status="completed")
    told = [begun(conversation_id=None), output_added(assistant("a")), text_delta("a", "x"), output_done(item)]
    conversation = folded([*told, ended("r", item, conversation_id=None), text_delta("a", "late")])
    assert len(conversation) == 0
    assert conversation._records == {}
    assert conversation.has_spoken


def test_a_server_that_tells_items_only_at_the_end_is_followed() -> None:
    item = assistant("a", e.OutputText(text="x"), status="completed")
    assert str(folded([added(user("u")), begun(), ended("r", item)])) == "user: hi\nassistant: x"


@pytest.mark.parametrize("early", [[], [e.OutputAudio()], [e.OutputAudio(transcript="")]])
def test_a_text_that_a_finished_item_lacked_comes_with_the_response(early: list[Any]) -> None:
    item = assistant("a", e.OutputAudio(transcript="x"), status="completed")
    told = [begun(), output_done(assistant("a", *early, status="completed")), ended("r", item)]
    assert str(folded(told)) == "assistant: x"
    call = e.FunctionCall(id="c", call_id="k", name="f", arguments="{}", status="completed")
    bare = e.FunctionCall(id="c", call_id="k", name="f", arguments="", status="completed")
    told = [begun(), output_done(bare), ended("r", call)]
    assert str(folded(told)) == "call: f({})"


def test_a_server_that_names_no_conversation_is_followed_by_its_items() -> None:
    told = [begun(conversation_id=None), created(assistant("a")), text_delta("a", "x"), ended(conversation_id=None)]
    conversation = folded(told)
    assert str(conversation) == "assistant: x"
    assert conversation["a"].status == "completed"


def test_the_voice_is_locked_by_any_sign_of_audio() -> None:
    assert not folded([begun(), text_delta("a", "x"), ended()]).has_spoken
    for event in (
        transcript_delta("a", "x"),
        audio_delta("a", 2),
        e.ResponseOutputAudioTranscriptDone(**at("a"), transcript="x"),
        e.ResponseContentPartAdded(**at("a"), part=e.OutputAudio()),
        ended("r", assistant("a", e.OutputAudio())),
        ended("r", user("u"), assistant("a", e.OutputAudio()), conversation_id=None),
        added(assistant("a", e.OutputAudio())),
    ):
        assert folded([event]).has_spoken


# Truncation and lengths


def test_a_truncated_part_has_no_transcript_whatever_still_comes() -> None:
    told = [begun(), added(assistant("a")), transcript_delta("a", "Hello"), truncated("a", 700)]
    full = assistant("a", e.OutputAudio(transcript="Hello"), status="incomplete")
    late = [transcript_delta("a", " you"), e.ResponseOutputAudioTranscriptDone(**at("a"), transcript="Hello you")]
    conversation = folded([*told, *late, done(full), ended("r", full, status="cancelled")])
    assert conversation["a"].text == "[audio]"
    assert conversation["a"].audio_ms == {0: 700}
    conversation.apply(truncated("a", 900))
    assert conversation["a"].audio_ms == {0: 700}
    retrieved = e.ConversationItemRetrieved(item=assistant("a", e.OutputAudio(transcript="Hel"), status="incomplete"))
    conversation.apply(retrieved)
    assert conversation["a"].text == "Hel"


def test_a_truncation_without_its_length() -> None:
    event = e.ConversationItemTruncated(item_id="a", content_index=None, audio_end_ms=None)  # type: ignore[arg-type]
    conversation = folded([added(assistant("a", e.OutputAudio(transcript="x"))), event])
    assert conversation["a"].text == "[audio]"
    assert conversation["a"].audio_ms == {}


def test_audio_is_counted_from_the_next_response_on() -> None:
    conversation = folded([begun("r0"), added(assistant("a"))])
    conversation.count_audio(session())
    for event in (audio_delta("a", 4800, "r0"), begun(), added(assistant("b"), "a"), audio_delta("b", 4800)):
        conversation.apply(event)
    bytes_only = audio_delta("b", 0)
    hold_sound(bytes_only, bytes(2401))  # as the decoder makes them of a frame
    conversation.apply(bytes_only)
    conversation.apply(audio_delta("unknown", 10))
    assert conversation["a"].audio_ms == {}
    assert conversation["b"].audio_ms == {0: 150}
    assert isinstance(conversation["b"].item.content[0], e.OutputAudio)  # type: ignore[union-attr]


def test_the_format_of_the_audio_may_change() -> None:
    conversation = folded([])
    conversation.apply(e.SessionUpdated(session=session(8_000)))
    conversation.count_audio(None)
    conversation.apply(begun("r1"))
    conversation.apply(e.SessionUpdated(session=e.FlatSessionConfig(output_audio_format="g711_ulaw")))
    conversation.apply(begun("r2"))
    pcma = e.ResponseAudio(output=e.ResponseAudioOutput(format=e.AudioPcm(rate=16_000)))
    conversation.apply(e.ResponseCreated(response=e.Response(id="r3", audio=pcma)))
    for number in ("1", "2", "3"):
        conversation.apply(added(assistant(number)))
        conversation.apply(audio_delta(number, 3200, f"r{number}"))
    assert [dict(entry.audio_ms) for entry in conversation] == [{}, {0: 400}, {0: 100}]


def test_audio_is_never_kept() -> None:
    item = e.UserMessage(id="s", content=[e.InputAudio(audio="AAAA", transcript="x"), e.InputText(text="y")])
    conversation = folded([added(item), e.ConversationItemRetrieved(item=item)])
    assert conversation["s"].item.content[0] == e.InputAudio(transcript="x")  # type: ignore[union-attr]
    assert "AAAA" not in conversation.to_json()
    assert item.content[0].audio == "AAAA"  # type: ignore[union-attr]


@pytest.mark.parametrize("size_bytes", range(7))
def test_the_size_of_base64(size_bytes: int) -> None:
    text = base64.b64encode(bytes(size_bytes)).decode()
    assert base64_bytes(text) == size_bytes
    assert base64_bytes(text.rstrip("=")) == size_bytes


# MCP and other items


def test_calls_of_mcp_tools() -> None:
    call = e.McpCall(id="m", server_label="docs", name="find", arguments="")
    place = {"item_id": "m", "output_index": 0}
    told: list[Any] = [
        begun(),
        added(call),
        output_added(call),
        e.ResponseMcpCallArgumentsDelta(response_id="r", delta='{"q"', **place),
        e.ResponseMcpCallArgumentsDelta(response_id="r", delta=":1}", **place),
    ]
    conversation = folded(told)
    assert conversation["m"].text == 'docs.find({"q":1})'
    conversation.apply(e.ResponseMcpCallArgumentsDone(response_id="r", arguments="{}", **place))
    conversation.apply(e.ResponseMcpCallInProgress(**place))
    assert conversation["m"].status == "in_progress"
    conversation.apply(e.ResponseMcpCallCompleted(**place))
    conversation.apply(e.ResponseMcpCallInProgress(**place))
    assert conversation["m"].status == "completed"
    conversation.apply(done(e.McpCall(id="m", server_label="docs", name="find", arguments="{}", output="found")))
    assert conversation["m"].text == "docs.find({}) -> found"


def test_the_output_of_an_mcp_call_that_only_the_end_of_the_response_shows() -> None:
    call = e.McpCall(id="m", server_label="docs", name="find", arguments="{}")
    whole = e.McpCall(id="m", server_label="docs", name="find", arguments="{}", output="found")
    told = [
        begun(),
        added(call),
        output_added(call),
        e.ResponseOutputItemDone(response_id="r", output_index=0, item=call),
        done(call),
        e.ResponseDone(response=e.Response(id="r", status="completed", conversation_id=CONVERSATION, output=[whole])),
    ]
    assert folded(told)["m"].text == "docs.find({}) -> found"


def test_a_failed_mcp_call() -> None:
    error = e.McpError(type="http_error", message="nope", code=500)
    call = e.McpCall(id="m", server_label="docs", name="find", arguments="{}", error=error)
    assert folded([done(call)])["m"].status == "failed"
    assert folded([done(call)])["m"].text == "docs.find({}) -> failed: nope"
    told = [added(call), e.ResponseMcpCallFailed(item_id="m", output_index=0)]
    assert folded(told)["m"].status == "failed"


def test_the_list_of_mcp_tools() -> None:
    empty = e.McpListTools(id="l", server_label="docs", tools=[])
    full = e.McpListTools(id="l", server_label="docs", tools=[e.McpListedTool(name="find", input_schema={})])
    conversation = folded([added(empty), e.McpListToolsInProgress(item_id="l")])
    assert conversation["l"].status == "in_progress"
    conversation.apply(e.McpListToolsCompleted(item_id="l"))
    conversation.apply(done(full))
    assert conversation["l"].status == "completed"
    assert str(conversation) == "mcp_list_tools: docs: find"


def test_items_of_every_kind_can_be_read() -> None:
    request = e.McpApprovalRequest(id="1", server_label="docs", name="find", arguments="{}")
    told = [
        added(e.UserMessage(id="0", content=[e.InputText(text="see"), e.InputImage(image_url="data:x")])),
        added(request),
        added(e.McpApprovalResponse(id="2", approval_request_id="1", approve=True)),
        added(e.McpApprovalResponse(id="3", approval_request_id="1", approve=False, reason="no")),
        added(e.FunctionCallOutput(id="4", call_id="c", output="42")),
        added(e.UnknownObject(type="hologram", extra={"id": "5", "status": "completed"})),
        added(e.SystemMessage(id="6", content=[e.InputText(text="rule"), e.UnknownObject(type="video")])),
        added(e.Message(role="critic", id="7", content=[])),
    ]
    assert folded(told).render().splitlines() == [
        "user: see [image]",
        "mcp_approval_request: docs.find({})",
        "mcp_approval_response: approved",
        "mcp_approval_response: refused: no",
        "result: 42",
        "hologram: [unknown]",
        "system: rule [video]",
        "critic: ",
    ]
    assert [entry.role for entry in folded(told)] == ["user", *[None] * 5, "system", "critic"]


def test_json_is_what_is_on_the_wire() -> None:
    unknown = e.UnknownObject(type="hologram", extra={"id": "h", "beams": [1, 2]})
    told = [added(speech("s")), heard("s", "hé"), added(unknown, "s")]
    expected = [
        {
            "type": "message",
            "role": "user",
            "id": "s",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": "hé"}],
        },
        {"type": "hologram", "id": "h", "beams": [1, 2]},
    ]
    assert json.loads(folded(told).to_json(indent=2)) == expected
    assert "hé" in folded(told).to_json()


def test_the_items_alone() -> None:
    assert folded([added(user("a")), added(user("b"), "a")]).items == (user("a"), user("b"))
    assert repr(folded([added(user("a"))])) == "<Conversation of 1 items>"


# Incomplete servers

NOTHING: Any = None


def test_a_server_that_leaves_fields_out_breaks_nothing() -> None:
    incomplete: list[Any] = [
        added(NOTHING),
        created(user(NOTHING)),
        done(NOTHING),
        e.ConversationItemRetrieved(item=NOTHING),
        deleted(NOTHING),
        truncated(NOTHING, 5),
        heard(NOTHING, "x"),
        heard("s", NOTHING),
        hearing("s", None),
        begun(NOTHING),
        e.ResponseCreated(response=NOTHING),
        e.ResponseDone(response=NOTHING),
        ended(NOTHING),
        output_added(NOTHING, NOTHING),
        text_delta("s", NOTHING),
        text_delta(NOTHING, "x"),
        transcript_delta("s", NOTHING),
        transcript_delta(NOTHING, "x"),
        audio_delta(NOTHING, 4),
        e.ResponseFunctionCallArgumentsDelta(response_id="r", item_id="s", output_index=0, call_id="c", delta=NOTHING),
        e.ResponseOutputTextDone(**at("s"), text=NOTHING),
        e.ResponseContentPartAdded(**at("s"), part=NOTHING),
        e.ResponseContentPartDone(**at("s"), part=NOTHING),
        e.InputAudioBufferCommitted(item_id=NOTHING),
        e.ResponseMcpCallFailed(item_id=NOTHING, output_index=NOTHING),
        e.UnknownEvent(type="what"),
        added(assistant("a", status=None)),
    ]
    conversation = folded(incomplete, counting=True)
    assert ids(conversation) == ["a"]
    assert conversation["a"].status == "completed"


def test_deltas_without_a_content_index_belong_to_the_first_part() -> None:
    told = [added(assistant("a")), text_delta("a", "x", index=NOTHING), text_delta("a", "y", index=NOTHING)]
    assert folded(told)["a"].text == "xy"


def test_messages_without_content() -> None:
    bare = e.UserMessage(id="u", content=NOTHING)
    conversation = folded([added(bare)])
    assert conversation["u"].text == ""


def test_a_response_without_a_list_of_items() -> None:
    event = e.ResponseDone(response=e.Response(id="r", output=NOTHING, status=NOTHING, conversation_id="c"))
    assert folded([begun(), added(assistant("a")), text_delta("a", "x"), event])["a"].status == "completed"


def test_arguments_and_outputs_that_came_as_objects_are_shown_as_text() -> None:
    call = {"type": "function_call", "id": "i1", "call_id": "c1", "name": "look", "arguments": {"city": "Köln"}}
    result = {"type": "function_call_output", "id": "i2", "call_id": "c1", "output": {"sky": "clear"}}
    with FakeSession() as fake:
        for item in (call, result):
            fake.wire.say({"type": "conversation.item.added", "item": item})
        fake.wire.say({"type": "test.end"})
        fake.session.wait_for("test.end", timeout=20)
        shown = fake.session.conversation.snapshot()
    assert shown.render() == 'call: look({"city": "Köln"})\nresult: {"sky": "clear"}'
    assert [(item["type"], item.get("arguments") or item["output"]) for item in json.loads(shown.to_json())] == [
        ("function_call", {"city": "Köln"}),
        ("function_call_output", {"sky": "clear"}),
    ]


def test_an_item_whose_speech_became_text_is_known_as_such_under_each_later_id() -> None:
    conversation = folded([added(assistant("a")), added(assistant("b"))])
    conversation.apply(e.SessionResumed(as_text=["a"]))
    conversation.apply(e.SessionResumed(renamed={"a": "c", "b": "d"}))
    assert set(conversation.speech_as_text) == {"c"}
    conversation.apply(e.SessionResumed(renamed={"c": "f"}))
    assert set(conversation.speech_as_text) == {"f"}
