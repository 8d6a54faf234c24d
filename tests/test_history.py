"""A conversation as another session is told it: pure, without a session."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from effort import examples
from event_strategies import objects
from hypothesis import given
from hypothesis import strategies as st

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.codec import object_to_dict
from realtime_sync.local.beta import event_from_beta
from realtime_sync.local.shapes import check_request
from realtime_sync.state.conversation import Conversation, History
from realtime_sync.state.facts import Facts, Sound

AUDIO = base64.b64encode(bytes(4_800)).decode()


def told(*items: Any, facts: Facts | None = None) -> History:
    return History.of(list(items)) if facts is None else History.of(list(items), facts)


def user(*content: Any, item_id: str | None = "u") -> e.UserMessage:
    return e.UserMessage(id=item_id, status="completed", object="realtime.item", content=list(content))


def assistant(*content: Any, item_id: str = "a") -> e.AssistantMessage:
    return e.AssistantMessage(id=item_id, status="completed", content=list(content))


def call(call_id: str | None = "c", item_id: str = "f", name: Any = "look", arguments: Any = "{}") -> e.FunctionCall:
    return e.FunctionCall(id=item_id, call_id=call_id, name=name, arguments=arguments, status="completed")


def output(call_id: str = "c", item_id: str = "o") -> e.FunctionCallOutput:
    return e.FunctionCallOutput(id=item_id, call_id=call_id, output="found", status="completed")


def reasons(history: History) -> list[str]:
    return [left.reason for left in history.left_out]


# Messages


def test_text_and_images_stay_and_what_the_server_adds_goes() -> None:
    picture = e.InputImage(image_url="data:image/png;base64,AA==", detail="original", file_id="file_1")
    written = e.InputText(text="look", prompt_cache_breakpoint=e.PromptCacheBreakpoint())
    item = user(picture, written)
    item.extra = {"phase": "new"}
    assert told(item) == History(
        items=(
            e.UserMessage(
                id="u", content=[e.InputImage(image_url="data:image/png;base64,AA=="), e.InputText(text="look")]
            ),
        ),
        left_out=(),
        as_text=(),
        renamed={},
    )
    assert told(user(e.InputImage(image_url="https://x/y.png", detail="low"))).items[0].content[0].detail == "low"  # type: ignore[union-attr]


def test_speech_becomes_its_transcript() -> None:
    history = told(
        user(e.InputAudio(transcript="hello"), item_id="u1"),
        assistant(e.OutputAudio(transcript="hi"), e.OutputAudio(transcript="there")),
        user(e.InputAudio(transcript="no id"), item_id=None),
        assistant(e.OutputText(text="written"), item_id="a2"),
    )
    assert [item.content for item in history.items] == [  # type: ignore[union-attr]
        [e.InputText(text="hello")],
        [e.OutputText(text="hi"), e.OutputText(text="there")],
        [e.InputText(text="no id")],
        [e.OutputText(text="written")],
    ]
    assert [item.id for item in history.items] == ["u1", "a", None, "a2"]  # type: ignore[union-attr]
    assert history.as_text == ("u1", "a")


def test_speech_of_the_user_stays_where_its_audio_was_kept() -> None:
    [item] = told(user(e.InputAudio(audio=AUDIO, transcript="hello"))).items
    assert item == e.UserMessage(id="u", content=[e.InputAudio(audio=AUDIO, transcript="hello")])
    # Not what the model said: no server takes that.
    [item] = told(assistant(e.OutputAudio(audio=AUDIO, transcript="hi"))).items
    assert item == e.AssistantMessage(id="a", content=[e.OutputText(text="hi")])


@pytest.mark.parametrize(
    ("told_format", "code", "kept"),
    [
        ("pcm16", "pcm", True),
        ("g711_ulaw", "pcm", False),
        ("g711_ulaw", "pcmu", True),
        ("g711_ulaw", None, True),
        (None, "pcma", True),
        ({"type": "audio/pcm"}, "pcma", True),  # nobody can tell
    ],
)
def test_audio_stays_only_in_its_own_format(told_format: Any, code: str | None, kept: bool) -> None:
    part = e.InputAudio(audio=AUDIO, transcript="hello")
    part.extra = {} if told_format is None else {"format": told_format}
    facts = Facts(input=Sound(code))
    [item] = told(user(part), facts=facts).items
    assert item.content == [e.InputAudio(audio=AUDIO, transcript="hello") if kept else e.InputText(text="hello")]  # type: ignore[union-attr]
    part.transcript = None
    assert reasons(told(user(part), facts=facts)) == ([] if kept else ["audio in another format, without a transcript"])


def test_the_older_dialect_calls_text_of_the_model_otherwise() -> None:
    [item] = told(assistant(e.OutputAudio(transcript="hi")), facts=Facts(flat=True)).items
    assert item == e.AssistantMessage(id="a", content=[e.OutputText(type="text", text="hi")])
    # And from there to here, with a server that calls the user's so too.
    old = {"type": "message", "role": "user", "id": "u", "content": [{"type": "text", "text": "hello"}]}
    [item] = told(old).items
    assert item == e.UserMessage(id="u", content=[e.InputText(text="hello")])


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (user(), "it holds nothing"),
        (user(e.InputText(text=""), e.InputAudio(transcript="")), "it holds nothing"),
        (assistant(e.OutputAudio()), "speech whose words are not known"),
        (e.AssistantMessage(status="in_progress", content=[e.OutputText(text="hal")]), "the model had not ended it"),
        (user(e.InputImage()), "an image that the server did not send back"),
        (assistant(e.InputImage(image_url="data:,")), "an image that is not the user's"),
        (user(e.UnknownObject(type="input_video")), "a part of the type 'input_video' is not known here"),
        (e.Message(role="developer", content=[e.InputText(text="x")]), "the role 'developer'"),
        (e.UnknownObject(type="new", extra={"id": "n"}), "an item of the type 'new' is not known here"),
        (e.McpListTools(id="m", server_label="s", tools=[]), "anew by each session"),
        (e.McpApprovalRequest(id="m", server_label="s", name="n", arguments=""), "anew by each session"),
        (e.McpApprovalResponse(id="m", approval_request_id="q", approve=True), "anew by each session"),
        (e.McpCall(id="m", server_label="s", name="n", arguments=""), "had not ended"),
    ],
)
def test_what_cannot_be_told_is_left_out_with_the_reason(item: Any, reason: str) -> None:
    history = told(user(e.InputText(text="before")), item)
    assert [other.id for other in history.items] == ["u"]  # type: ignore[union-attr]
    [left] = history.left_out
    assert left.item is item
    assert reason in left.reason
    assert left.content_index is None
    assert str(left) == f"{left.item_id or item.type}: {left.reason}"


def test_a_message_may_lose_a_part() -> None:
    history = told(user(e.InputImage(), e.InputText(text="what is this?")))
    [item] = history.items
    assert item == e.UserMessage(id="u", content=[e.InputText(text="what is this?")])
    assert [str(left) for left in history.left_out] == ["u, part 0: an image that the server did not send back"]


def test_what_was_cut_off_is_known_as_that() -> None:
    cut = e.AssistantMessage(id="a", status="incomplete", content=[e.OutputAudio(transcript="Once upon")])
    assert told(cut).items == (
        e.AssistantMessage(id="a", status="incomplete", content=[e.OutputText(text="Once upon")]),
    )


# Calls


def test_a_call_of_an_mcp_tool_that_ended_stays() -> None:
    failed = e.McpCall(
        id="m",
        server_label="s",
        name="n",
        arguments="{}",
        approval_request_id="q",
        error=e.McpError(type="protocol_error", message="no"),
    )
    [item] = told(failed).items
    assert item == e.McpCall(id="m", server_label="s", name="n", arguments="{}", error=failed.error)


def test_calls_go_with_their_outputs_or_not_at_all() -> None:
    history = told(
        output("late", "o0"),
        call("a", "f1"),
        call("b", "f2"),
        call("late", "f3"),
        call(None, "f4"),
        call("nameless", "f5", name=None),
        output("b", "o2"),
        output("a", "o1"),
        output("nameless", "o5"),
        output("gone", "o6"),
    )
    assert [item.id for item in history.items] == ["f1", "f2", "o2", "o1"]  # type: ignore[union-attr]
    assert history.items[0] == e.FunctionCall(id="f1", call_id="a", name="look", arguments="{}")
    assert history.items[2] == e.FunctionCallOutput(id="o2", call_id="b", output="found")
    no_output, no_call = "a function call without its output", "the output of a function call that is not there"
    assert [(left.item_id, left.reason) for left in history.left_out] == [
        ("o0", no_call),
        ("f3", no_output),
        ("f4", no_output),
        ("f5", no_output),
        ("o5", no_call),
        ("o6", no_call),
    ]


def test_arguments_that_came_as_an_object_become_text() -> None:
    odd = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": {"at": "sky"}}
    history = told(odd, output())
    assert history.items[0].arguments == '{"at": "sky"}'  # type: ignore[union-attr]


def test_ids_that_no_client_may_choose_become_shorter_and_calls_stay_together() -> None:
    long_item, long_call = "item_" + "x" * 40, "chatcmpl-tool-" + "1" * 32
    history = told(call(long_call, long_item), output(long_call), user(e.InputText(text="x"), item_id="x" * 32))
    made, answer, message = history.items
    assert made.call_id == answer.call_id != long_call  # type: ignore[union-attr]
    assert len(made.call_id) <= 32  # type: ignore[union-attr,arg-type]
    assert history.renamed == {long_item: made.id}  # type: ignore[union-attr]
    assert message.id == "x" * 32  # type: ignore[union-attr]
    assert told(call(long_call, long_item), output(long_call)).items == (made, answer)


# The laws

ITEMS = st.one_of(
    *(
        objects(cls)
        for cls in (e.UserMessage, e.AssistantMessage, e.Message, e.McpCall, e.McpListTools, e.UnknownObject)
    ),
    st.builds(call, st.sampled_from(["a", "b", "c" * 40, "", None]), arguments=st.text()),
    st.builds(output, st.sampled_from(["a", "b", "c" * 40, ""])),
)


@examples(60)
@given(st.lists(ITEMS, max_size=12), st.booleans())
def test_each_item_is_told_or_left_out_and_a_server_takes_what_is_told(items: list[Any], flat: bool) -> None:
    history = told(*items, facts=Facts(flat=flat))
    whole = [left for left in history.left_out if left.content_index is None]
    assert len(history.items) + len(whole) == len(items)
    for item in history.items:
        event = {"type": "conversation.item.create", "item": object_to_dict(item)}
        check_request(event_from_beta(event) if flat else event)
    # What was told can be told again, and nothing of it is lost.
    again = told(*history.items, facts=Facts(flat=flat))
    assert (again.items, again.left_out, again.renamed) == (history.items, (), {})


# Where it comes from


def talk() -> Conversation:
    conversation = Conversation()
    for item in (user(e.InputText(text="hello")), assistant(e.OutputAudio(transcript="hi"))):
        conversation.apply(e.ConversationItemAdded(item=item))
    return conversation


def test_every_form_of_a_conversation_tells_the_same() -> None:
    conversation = talk()
    expected = History.of(conversation)
    assert [item.id for item in expected.items] == ["u", "a"]  # type: ignore[union-attr]
    snapshot = conversation.snapshot()
    text = conversation.to_json()
    for source in (snapshot, text, text.encode(), json.loads(text), snapshot.items, list(snapshot), iter(snapshot)):
        assert History.of(source) == expected


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("talk.json", "no JSON of a conversation.*a file is given as a Path"),
        (b"\xff", "no JSON"),
        ('{"type": "message"}', "a list of items, not dict"),
        ('"text"', "a list of items, not str"),
        (5, "a list of items, not int"),
        ([5], "item 0 of the conversation is no item but int"),
        ([user(), e.InputAudioBufferSpeechStarted(audio_start_ms=0, item_id="u")], "item 1 .* is no item but Input"),
        ([e.InputText(text="x")], "item 0 of the conversation is no item but InputText"),
        ([{"role": object()}], "object"),
    ],
)
def test_what_is_no_conversation_is_refused(source: Any, said: str) -> None:
    with pytest.raises(rt.InvalidEvent, match=said):
        History.of(source)
