"""The mirror, the tally and the buffer against a real server: they hold what it holds."""

from __future__ import annotations

from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.local import LocalServer, Quirks, Reply, ToolCall
from realtime_sync.state.conversation import Conversation
from realtime_sync.state.input_buffer import InputBuffer
from realtime_sync.state.usage import CostLimit, PriceTable, UsageTally

HEARD = e.ConversationItemInputAudioTranscriptionCompleted
MODEL = "gpt-realtime"
MANUAL = {
    "audio": {
        "input": {"transcription": {"model": "whisper-1"}, "turn_detection": None},
        "output": {"format": {"type": "audio/pcm", "rate": 24_000}},
    }
}


def bare(item: Any) -> Any:
    """An item as it was retrieved, without its audio."""
    for part in item.content if isinstance(item, e.Message) else ():
        part.extra.clear()
        if isinstance(part, (e.InputAudio, e.OutputAudio)):
            part.audio = None
    return item


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(),
        Quirks(item_created_only=True),
        Quirks(beta_names=True),
        Quirks(whole_arguments=True, event_ids=False),
    ],
    ids=str,
)
@pytest.mark.parametrize("deltas", [True, False], ids=["with deltas", "without deltas"])
def test_the_mirror_shows_what_the_server_retrieves(quirks: Quirks, deltas: bool) -> None:
    script = ["One.", Reply("Two.", tool_calls=[ToolCall("look", {"at": "sky"})]), "Aside.", "Three.", "Heard."]
    with (
        LocalServer(script, quirks=quirks) as server,
        rt.connect(MODEL, base_url=server.base_url, api_key="k") as session,
    ):
        conversation = Conversation()
        for cls in (*Conversation.EVENTS, *Conversation.AUDIO, *(Conversation.DELTAS if deltas else ())):
            session.on(cls, conversation.apply)
        conversation.count_audio(session.update_session(MANUAL).result().session)
        session.ask("Say one")
        session.update_session({"tools": [{"type": "function", "name": "look", "parameters": {}}]}).result()
        [call] = session.ask("Look", config={"output_modalities": ["text"]}).tool_calls
        session.ask("Beside", config={"conversation": "none", "output_modalities": ["text"]})
        session.submit_function_output(call.call_id, {"sky": "blue"}).result()
        session.ask()
        session.create_item(e.SystemMessage(content=[e.InputText(text="Be brief")]), "root").result()
        heard: list[Any] = []
        session.on(HEARD, heard.append)
        session.ask(audio=bytes(48_000))
        if not heard:
            session.wait_for(HEARD)
        entries = list(conversation)
        session.delete_item(entries[1].id).result()
        # The older dialect does not tell the rate, so that nobody can count.
        counted = not quirks.beta_names
        spoken = next(entry for entry in entries if entry.role == "assistant" and entry.text == "One.")
        before = spoken.audio_ms[0] if counted else 300
        session.truncate_item(spoken.id, 0, before - 100).result()

        mirrored = conversation.snapshot()
        assert set(mirrored.gone) == {entries[1].id}
        assert not counted or mirrored[spoken.id].audio_ms == {0: before - 100}
        for entry in mirrored:
            assert entry.item == bare(session.retrieve_item(entry.id).result().item)
        assert mirrored.render().splitlines() == [
            "system: Be brief",
            "assistant: [audio]",
            "user: Look",
            "assistant: Two.",
            'call: look({"at": "sky"})',
            "user: Beside",
            'result: {"sky": "blue"}',
            "assistant: Three.",
            f"user: {heard[0].transcript}",
            "assistant: Heard.",
        ]
        assert [entry.response_id is None for entry in mirrored] == [
            entry.role in ("user", "system") or isinstance(entry.item, e.FunctionCallOutput) for entry in mirrored
        ]


def test_the_tally_is_the_sum_of_what_the_responses_say() -> None:
    with LocalServer() as server, rt.connect(MODEL, base_url=server.base_url, api_key="k") as session:
        tally, used = UsageTally(), []
        for cls in UsageTally.EVENTS:
            session.on(cls, tally.apply)
        for question in ("word " * 200, "And again", "Once more"):
            used.append(session.ask(question).usage)
        assert tally.total.total_tokens == sum(usage.total_tokens for usage in used if usage and usage.total_tokens)
        assert tally.total.cached.total > 0
        assert len(tally.responses) == 3
        assert tally.model == MODEL
        tokens = tally.limits["tokens"]
        assert tokens.remaining is not None
        assert tokens.resets_in_s is not None


def test_a_cost_limit_knows_the_model_before_anything_was_dispatched() -> None:
    prices = PriceTable({MODEL: {"input": {"text": 1.0, "audio": 1.0}, "output": {"text": 1.0, "audio": 1.0}}})
    limit = CostLimit(1e-9, prices)
    with LocalServer() as server, rt.connect(MODEL, base_url=server.base_url, api_key="k", cost_limit=limit) as session:
        session.ask("One.")
        with pytest.raises(rt.BudgetExceeded):
            session.ask("Two.")


def test_the_buffer_knows_what_the_server_would_refuse() -> None:
    with LocalServer() as server, rt.connect(MODEL, base_url=server.base_url, api_key="k") as session:
        buffer = InputBuffer()
        for cls in InputBuffer.EVENTS:
            session.on(cls, buffer.apply)
        session.update_session(MANUAL).result()
        assert buffer.ms == 0
        session.append_audio_bytes(bytes(4800))
        buffer.appended(4800)
        assert buffer.ms == 100
        ack = session.commit_audio()
        buffer.sent(ack.event)
        assert buffer.ms is None
        ack.result()
        assert buffer.ms == 0
