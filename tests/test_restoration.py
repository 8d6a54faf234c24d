"""A conversation goes on in another session: what stands there afterwards, and what the server refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSession, error

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.local import LocalServer, Quirks
from realtime_sync.session import restoration

TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": None}}}
ASSISTANT_AUDIO = {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "x"}]}


def connect(server: LocalServer, **options: Any) -> rt.RealtimeSession:
    return rt.connect("gpt-realtime", base_url=server.base_url, api_key="k", **options)


def message(text: str, item_id: str | None = None) -> e.UserMessage:
    return e.UserMessage(id=item_id, content=[e.InputText(text=text)])


def messages(*item_ids: str) -> list[e.UserMessage]:
    return [message(item_id, item_id) for item_id in item_ids]


def ids(session: rt.RealtimeSession) -> list[str]:
    return [entry.id for entry in session.conversation]


def texts(session: rt.RealtimeSession) -> list[str]:
    return [entry.text for entry in session.conversation]


@pytest.fixture(scope="module")
def talk() -> rt.Conversation:
    """A talk with tools, an image and speech, which its server has forgotten."""
    with LocalServer() as server, connect(server, session=TRANSCRIBED) as session:

        @session.tool
        def look_up(key: str) -> str:
            """Look something up."""
            return f"found {key}"

        session.ask("Hello!")
        session.ask("Please look_up it", images=["data:image/png;base64,AA=="])
        session.ask(audio=bytes(48_000), heard=True)
        return session.conversation


@pytest.mark.parametrize(
    "quirks", [None, Quirks(beta_names=True), Quirks(item_created_only=True), Quirks(event_ids=False)]
)
def test_a_talk_goes_on_at_another_server(talk: rt.Conversation, quirks: Quirks | None) -> None:
    with LocalServer(quirks=quirks, strict=True) as server, connect(server) as session:
        restored = session.restore(talk)
        assert str(restored) == "8 items restored, 0 left out"
        assert list(restored.item_ids) == [entry.id for entry in talk]
        assert (dict(restored.renamed), restored.unconfirmed) == ({}, ())
        # What was spoken, by either side.
        assert [talk[item_id].text for item_id in restored.as_text] == [
            entry.text
            for entry in talk
            if isinstance(getattr(entry.item, "content", [0])[0], (e.InputAudio, e.OutputAudio))
        ]
        assert len(restored.as_text) == 4
        assert session.conversation.render() == talk.render()
        session.ask("Go on")
        # It is written once, however often it is asked for.
        assert session.restore(talk).item_ids == restored.item_ids
        assert ids(session)[:8] == list(restored.item_ids)
        assert len(ids(session)) == 10


def test_the_server_takes_no_speech_of_the_model(talk: rt.Conversation) -> None:
    with LocalServer() as server, connect(server) as session:
        with pytest.raises(rt.ServerError, match="use 'output_text'"):
            session.create_item(ASSISTANT_AUDIO).result()
        assert session.restore([ASSISTANT_AUDIO]).left_out == ()


def test_speech_stays_speech_where_its_audio_was_kept(talk: rt.Conversation) -> None:
    with LocalServer() as server, connect(server, session=TRANSCRIBED) as session:
        session.ask(audio=bytes(48_000), heard=True)
        kept = [session.retrieve_item(item_id).result().item for item_id in ids(session)]
        with connect(server) as other:
            restored = other.restore(kept)  # type: ignore[arg-type]
            assert len(restored.as_text) == 1
            [spoken, answer] = [other.retrieve_item(item_id).result().item for item_id in restored.item_ids]
            assert spoken.content == kept[0].content  # type: ignore[union-attr]
            assert answer.content == [e.OutputText(text=kept[1].content[0].transcript)]  # type: ignore[union-attr]


def test_a_session_or_a_turn_is_no_conversation() -> None:
    with LocalServer() as server, connect(server) as old, connect(server) as session:
        old.ask("Hello!")
        closed = connect(server)
        closed.close()
        for wrong in (old, closed, old.respond("Still there?")):
            with pytest.raises(rt.InvalidEvent, match=r"is no conversation: hand over session\.conversation"):
                session.restore(wrong)  # type: ignore[arg-type]
        assert len(session.conversation) == 0
        session.restore(old.conversation[:2])
        assert texts(session) == texts(old)[:2]


def test_a_file_of_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([ASSISTANT_AUDIO]))
    with LocalServer() as server, connect(server) as session:
        session.restore(path)
        assert texts(session) == ["x"]
        with pytest.raises(rt.InvalidEvent, match=r"the conversation in .*nowhere.* cannot be read"):
            session.restore(tmp_path / "nowhere")
        for wrong, told in (("[{", "no JSON of a conversation: Expecting"), ("{}", "a list of items, not dict")):
            path.write_text(wrong)
            with pytest.raises(
                rt.InvalidEvent, match=rf"^the conversation in .*talk\.json cannot be read: .*{told}"
            ) as bad:
                session.restore(path)
            assert "given as a Path" not in str(bad.value)
        with pytest.raises(rt.InvalidEvent, match=r"\(a file is given as a Path\)$"):
            session.restore("talk.json")


def test_the_history_stands_before_what_was_said_since() -> None:
    with LocalServer() as server, connect(server) as session:
        session.send_text("new").result()
        session.restore([message("old"), message("older news")])
        assert texts(session) == ["old", "older news", "new"]


def test_what_stands_there_already_is_not_written_again() -> None:
    with LocalServer(strict=True) as server, connect(server) as session:
        session.restore(messages("a", "c"))
        session.restore(messages("a", "b", "c", "d"))
        assert ids(session) == ["a", "b", "c", "d"]


def test_it_waits_wherever_others_may_wait() -> None:
    with LocalServer(strict=True) as server, connect(server) as session:
        restored: list[restoration.Restored] = []
        session.once("session.created", lambda _: restored.append(session.restore(messages("a"))))
        session.poll()
        session.start()
        restored.append(session.restore(messages("a", "b")))
        assert [result.item_ids for result in restored] == [("a",), ("a", "b")]


def test_a_long_talk() -> None:
    many = [message(str(number), f"item_{number}") for number in range(150)]
    with LocalServer(strict=True) as server, connect(server) as session:
        assert len(session.restore(many).item_ids) == 150
        assert texts(session) == [str(number) for number in range(150)]


def test_what_is_refused_is_told_and_the_others_keep_their_order() -> None:
    no_audio = e.UserMessage(id="bad", content=[e.InputAudio(audio="%")])
    call = e.FunctionCall(id="call", call_id="c", name="n", arguments="")
    nowhere = e.McpCall(id="mcp", server_label="", name="n", arguments="", output="x")
    items = [no_audio, *messages("one"), nowhere, no_audio, call, *messages("two")]
    items += [e.FunctionCallOutput(id="out", call_id="c", output="done")]
    with LocalServer() as server, connect(server) as session:
        restored = session.restore(items)
        assert ids(session) == list(restored.item_ids) == ["one", "call", "two", "out"]
        assert [left.item_id for left in restored.left_out] == ["bad", "mcp", "bad"]
        assert "base64" in restored.left_out[0].reason
        assert "item.server_label is missing" in restored.left_out[1].reason
        assert str(restored).splitlines()[0] == "4 items restored, 3 left out"
        assert len(str(restored).splitlines()) == 4


Answer = Callable[[dict[str, Any]], list[dict[str, Any]]]


def restored_with(fake: FakeSession, answer: Answer, *items: Any) -> restoration.Restored:
    """Restore with a server that answers each event so."""
    send = fake.wire.send_text

    def send_and_answer(text: str | bytes, timeout_s: float) -> None:
        send(text, timeout_s)
        fake.wire.say(*answer(fake.wire.texts[-1]))

    fake.wire.send_text = send_and_answer  # type: ignore[method-assign]
    return fake.session.restore(list(items))


def added(event: dict[str, Any], item_id: str | None = None) -> dict[str, Any]:
    previous = event.get("previous_item_id")
    item = event["item"] if item_id is None else {**event["item"], "id": item_id}
    return {"type": "conversation.item.added", "item": item, "previous_item_id": previous}


def test_a_server_that_wants_ids_of_another_form_is_given_new_ones() -> None:
    def answer(event: dict[str, Any]) -> list[dict[str, Any]]:
        refused = error(event["event_id"], "invalid_value", f"Invalid 'item.id': {event['item']['id']!r} has no msg_")
        return [refused] if event["item"]["id"] == "a" else [added(event)]

    with FakeSession() as fake:
        restored = restored_with(fake, answer, *messages("a"), message("no id"))
        new_id, other_id = restored.item_ids
        assert restored.renamed == {"a": new_id}
        assert ids(fake.session) == [new_id, other_id]
        assert [event.get("previous_item_id") for event in fake.wire.texts] == [None, "a", "root"]


def test_a_server_that_makes_its_own_ids_is_told_the_places_by_these() -> None:
    def answer(event: dict[str, Any]) -> list[dict[str, Any]]:
        if event.get("previous_item_id") == "a":
            return [error(event["event_id"], "invalid_value", "there is no item a")]
        return [added(event, f"own_{event['item']['id']}")]

    with FakeSession() as fake:
        restored = restored_with(fake, answer, *messages("a", "b"))
        assert restored.item_ids == ("own_a", "own_b")
        assert restored.renamed == {"a": "own_a", "b": "own_b"}
        assert fake.wire.texts[-1]["previous_item_id"] == "own_a"


def test_what_the_server_has_under_this_id_counts_as_restored() -> None:
    def answer(event: dict[str, Any]) -> list[dict[str, Any]]:
        return [error(event["event_id"], "item_create_duplicate_item_id", "an item 'a' already exists")]

    with FakeSession() as fake:
        assert restored_with(fake, answer, *messages("a")).item_ids == ("a",)


def test_a_server_that_confirms_no_items(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(restoration, "_SILENCE_S", 0.01)
    with LocalServer(quirks=Quirks(confirm=False)) as server, connect(server) as session:
        restored = session.restore(messages("a", "b"), timeout=None)
        assert restored.item_ids == restored.unconfirmed == ("a", "b")
        assert [record.message for record in caplog.records] == [
            "the server has not confirmed 2 restored items: they may not be there"
        ]
        session.ask("What did I say?")
        assert ids(session)[:2] == ["a", "b"]


def test_without_time_nothing_is_sent() -> None:
    with FakeSession() as fake:
        restored = fake.session.restore(messages("a"), timeout=0)
        assert [left.reason for left in restored.left_out] == ["there was no time left to send it"]
        assert fake.wire.texts == []


def test_the_end_of_the_connection_is_told() -> None:
    def cut(event: dict[str, Any]) -> list[dict[str, Any]]:
        fake.wire.hang_up(1011, "restarting")
        return []

    with FakeSession() as fake, pytest.raises(rt.ConnectionLost, match="restarting"):
        restored_with(fake, cut, *messages("a"))
