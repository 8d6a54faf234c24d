"""Whole turns against the local server, with the races of the field put in place by gates instead of sleeps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync.audio import chunks, duration_ms, read_wav
from realtime_sync.events import RealtimeSessionConfig, ServerVad
from realtime_sync.local import Failure, Gate, LocalServer, Quirks, Reply, ToolCall, Turn
from realtime_sync.state.usage import CostLimit, PriceTable

SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"
QUESTION = "What is the weather in Paris right now?"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
BOTH = pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])


@contextmanager
def opened(
    replies: Any = None, *, session: dict[str, Any] | None = None, background: bool = False, **more: Any
) -> Iterator[tuple[LocalServer, rt.RealtimeSession]]:
    client = {name: more.pop(name) for name in ("tools", "cost_limit", "checks") if name in more}
    with LocalServer(replies, **more) as server:
        config = {"output_modalities": ["text"]} if session is None else session
        with rt.connect("gpt-realtime", base_url=server.base_url, session=config, **client) as made:
            if background:
                made.start()
            yield server, made
            made.stop()
        assert server.failures == []


def sent(server: LocalServer) -> list[str]:
    return [event["type"] for request in server.requests for event in request.received]


# Saying


@BOTH
def test_text_streams_in_order_and_the_reply_has_everything(background: bool) -> None:
    with opened(["Hello there, friend."], background=background) as (_, session):
        turn = session.respond("hi")
        pieces = list(turn.text())
        assert "".join(pieces) == "Hello there, friend."
        reply = turn.result()
        assert reply is turn.reply
        assert (reply.text, reply.transcript, reply.audio, reply.status) == (
            "Hello there, friend.",
            "",
            b"",
            "completed",
        )
        assert reply.usage is not None
        assert reply.usage.total_tokens == session.usage.total.total_tokens
        assert 0 <= (reply.first_delta_s or 0) <= (reply.duration_s or 0)
        assert [item.role for item in reply.items] == ["assistant"]


@BOTH
def test_speech_comes_as_audio_with_its_transcript(background: bool) -> None:
    with opened(["It is sunny."], session={}, background=background) as (_, session):
        turn = session.respond("hi")
        audio = b"".join(turn.audio())
        assert (turn.reply.audio, turn.reply.transcript, str(turn.reply)) == (audio, "It is sunny.", "It is sunny.")
        assert turn.reply.first_audio_s is not None
        assert duration_ms(len(audio)) > 500
        assert session.usage.total.output.audio > 0


def test_images_and_going_on() -> None:
    seen: list[Any] = []

    def reply(turn: Turn) -> str:
        seen.append([item["content"] for item in turn.items if item.get("role") == "user"])
        return "A cat."

    with opened(reply) as (_, session):
        assert session.ask("What is this?", images=[PNG]).text == "A cat."
        assert session.ask().text == "A cat."
    assert [part["type"] for part in seen[0][0]] == ["input_image", "input_text"]
    assert seen[1] == seen[0]


@pytest.mark.parametrize(
    "detection",
    [None, {"type": "server_vad", "threshold": 0.4}, {"type": "semantic_vad", "eagerness": "high"}],
    ids=["manual", "server_vad", "semantic_vad"],
)
@BOTH
def test_a_wav_file_is_a_turn_whatever_the_turn_detection(detection: Any, background: bool) -> None:
    heard: list[str] = []

    def reply(turn: Turn) -> str:
        heard.append(turn.text)
        return "Sunny."

    config = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": detection}}}
    with opened(reply, session=config, transcriber=lambda pcm, rate: QUESTION, background=background) as (_, session):
        before = session.config
        assert session.ask(audio=SPEECH).text == "Sunny."
        assert session.ask("and now?", audio=read_wav(SPEECH)).text == "Sunny."
        session.clear_audio().result()
        after = session.config
        assert isinstance(before, RealtimeSessionConfig)
        assert isinstance(after, RealtimeSessionConfig)
        assert before.audio is not None
        assert after.audio is not None
        assert before.audio.input == after.audio.input
    assert heard == [QUESTION, "and now?"]


def test_audio_that_the_server_refuses_leaves_the_turn_detection_as_it_was() -> None:
    with opened() as (_, session):
        with pytest.raises((rt.ServerError, rt.InvalidEvent), match="100"):
            session.ask(audio=bytes(480))
        session.clear_audio().result()
        config = session.config
        assert isinstance(config, RealtimeSessionConfig)
        assert config.audio is not None
        assert config.audio.input is not None
        assert isinstance(config.audio.input.turn_detection, ServerVad)
        assert session.ask("hi").text


@pytest.mark.parametrize("bad", ["no/such/file.wav", b"RIFFnonsense", [1, 2], 5])
def test_audio_that_cannot_be_read_costs_nothing(bad: Any) -> None:
    with opened() as (server, session):
        before = sent(server)
        with pytest.raises((rt.ConfigurationError, rt.InvalidEvent)):
            session.ask(audio=bad)
        assert session.ask("hi").text
        assert "input_audio_buffer.append" not in sent(server)
        assert len(sent(server)) == len(before) + 2


@BOTH
def test_speech_that_the_server_detects_is_answered_and_followed(background: bool) -> None:
    with opened(["Sunny."], session={}, transcripts=[QUESTION], background=background) as (_, session):
        turn = session.next_reply()
        for piece in chunks(read_wav(SPEECH)):
            session.append_audio_bytes(piece)
        session.append_audio_bytes(bytes(48_000))
        assert turn.result().transcript == "Sunny."


# One at a time, and its races


@BOTH
def test_a_collision_with_turn_detection_is_retried_after_it(background: bool) -> None:
    """The server begins to answer speech while our own request is under way."""
    gate = Gate("response.done")
    transcribe = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}, "output_modalities": ["text"]}
    replies = [Reply("to speech", gates=[gate]), "to text"]
    with opened(replies, session=transcribe, transcripts=[QUESTION], background=background) as (server, session):
        auto = session.next_reply()
        session.append_audio_bytes(read_wav(SPEECH) + bytes(48_000))
        gate.wait_reached()  # the server answers, and without a background thread nobody here has looked yet
        mine = session.respond("hi")
        if not background:
            session.wait_for("error", lambda event: event.error.code == "conversation_already_has_active_response")
        gate.open()
        assert auto.result().text == "to speech"
        assert mine.result().text == "to text"
        assert sent(server).count("response.create") == 2 or background


def test_an_out_of_band_response_runs_beside_a_held_one() -> None:
    gate = Gate("response.done")
    with opened([Reply("main", gates=[gate]), "side"]) as (_, session):
        main = session.respond("hi")
        gate.wait_reached()
        side = session.ask(config={"conversation": "none", "metadata": {"topic": "title"}, "input": []})
        assert side.text == "side"
        assert side.response is not None
        assert (side.response.metadata or {})["topic"] == "title"
        assert not main.reply.done
        gate.open()
        assert main.result().text == "main"
        assert "side" not in str(session.conversation)


@BOTH
@pytest.mark.parametrize("config", [None, {"conversation": "none"}], ids=["conversation", "beside"])
def test_a_response_that_is_cancelled_before_it_begins_is_stopped(config: Any, background: bool) -> None:
    second = Gate("response.output_text.delta", nth=2)  # which never opens
    with opened([Reply("One two three.", gates=[second])], background=background) as (server, session):
        begins = server.gate("response.created")
        turn = session.respond("Count.", config=config, timeout=10)
        begins.wait_reached()
        turn.cancel()
        begins.open()
        assert turn.result(check=False).status == "cancelled"
        assert "response.cancel" in sent(server)


@BOTH
def test_cancelling_a_streaming_turn_keeps_what_came_and_frees_the_way(background: bool) -> None:
    gate = Gate("response.output_text.delta", nth=3)
    with opened([Reply("one two three four five", gates=[gate]), "next"], background=background) as (_, session):
        turn = session.respond("hi")
        pieces = turn.text()
        got = [next(pieces), next(pieces)]
        turn.cancel()
        reply = turn.result(check=False)
        assert reply.status == "cancelled"
        assert reply.text.startswith("".join(got))
        with pytest.raises(rt.ResponseFailed, match="client_cancelled") as caught:
            reply.raise_for_status()
        assert caught.value.status == "cancelled"
        assert session.ask("and now?").text == "next"


def test_ask_that_times_out_cancels_and_the_session_goes_on() -> None:
    gate = Gate("response.output_text.done")
    with opened([Reply("too slow", gates=[gate]), "quick"]) as (server, session):
        with pytest.raises(rt.RealtimeTimeout):
            session.ask("hi", timeout=0.3)
        assert session.ask("again", timeout=20).text == "quick"
        assert "response.cancel" in sent(server)


def test_cancelling_what_is_done_already_is_success() -> None:
    with opened() as (_, session):
        reply = session.ask("hi")
        assert session.cancel_response(reply.response_id).result() is None
        assert session.cancel_response().result() is None


@pytest.mark.parametrize(
    ("reply", "status", "said"),
    [
        (Reply("half", failure=Failure("no capacity", code="overloaded")), "failed", "overloaded"),
        (Reply("half", incomplete="content_filter"), "incomplete", "content_filter"),
    ],
)
def test_a_response_that_ends_badly_raises_with_what_came(reply: Reply, status: str, said: str) -> None:
    with opened([reply, reply, "fine"]) as (_, session):
        with pytest.raises(rt.ResponseFailed, match=said) as caught:
            session.ask("hi")
        assert caught.value.status == status
        assert caught.value.response is not None
        assert session.ask("hi", check=False).text == "half"
        assert session.ask("hi").text == "fine"


def test_a_lost_connection_in_mid_reply_keeps_what_came() -> None:
    gate = Gate("response.output_text.delta", nth=3)
    with opened([Reply("one two three four", gates=[gate])]) as (server, session):
        turn = session.respond("hi")
        pieces = turn.text()
        assert next(pieces) + next(pieces) == "one two"  # a reset throws away what was not read
        server.drop()
        with pytest.raises(rt.ConnectionLost):
            turn.result()
        assert turn.reply.text == "one two"
        with pytest.raises(rt.ConnectionClosed):
            session.ask("more")


# Tools


def weather(city: str) -> dict[str, Any]:
    """The weather in a city."""
    return {"city": city, "degrees": 21}


def forecast(turn: Turn) -> Any:
    if turn.tool_outputs:
        return " and ".join(sorted(str(item["output"]) for item in turn.tool_outputs))  # each came when it was ready
    return Reply(tool_calls=[ToolCall("weather", {"city": "Paris"}), ToolCall("weather", {"city": "Rome"})])


@BOTH
def test_ask_goes_on_through_tool_calls_to_the_last_word(background: bool) -> None:
    with opened(forecast, background=background) as (server, session):
        session.tool(weather)
        reply = session.ask("Paris and Rome?")
        assert reply.text == '{"city": "Paris", "degrees": 21} and {"city": "Rome", "degrees": 21}'
        assert sent(server).count("response.create") == 2
        turn = session.respond("again?")
        assert "".join(turn.text()) == reply.text
        assert [len(one.tool_calls) for one in turn.replies] == [2, 0]


def test_tools_can_be_given_to_connect_and_are_announced_with_the_configuration() -> None:
    from realtime_sync.tools import Toolset

    tools = Toolset()
    tools.tool(weather)
    with opened(forecast, tools=tools) as (server, session):
        assert isinstance(session.config, RealtimeSessionConfig)
        assert [getattr(tool, "name", None) for tool in session.config.tools or ()] == ["weather"]
        assert "Rome" in session.ask("Paris and Rome?").text
        assert sent(server).count("session.update") == 1
        with pytest.raises(rt.ConfigurationError, match="there is a tool 'weather' already"):
            session.tool(weather)


def test_a_tool_decorator_with_options_and_a_second_tool() -> None:
    def reply(turn: Turn) -> Any:
        return turn.tool_outputs[0]["output"] if turn.tool_outputs else Reply(tool_calls=[ToolCall("now")])

    with opened(reply) as (_, session):

        @session.tool(name="now", description="The time of day.")
        def time_of_day() -> str:
            return "noon"

        session.tool(weather)
        assert session.ask("What time is it?").text == "noon"
        assert isinstance(session.config, RealtimeSessionConfig)
        assert [getattr(tool, "name", None) for tool in session.config.tools or ()] == ["now", "weather"]


def test_a_turn_that_is_cancelled_while_tools_run_is_over_at_once() -> None:
    release, running = threading.Event(), threading.Event()

    def slow() -> str:
        running.set()
        assert release.wait(20)
        return "late"

    def reply(turn: Turn) -> Any:
        return "late indeed" if turn.tool_outputs else Reply(tool_calls=[ToolCall("slow")])

    with opened(reply) as (_, session):
        session.tool(slow)
        turn = session.respond("go")
        events = iter(turn)
        for event in events:
            if event.type == "response.done":
                break
        assert running.wait(20)
        turn.cancel()
        assert turn.result().tool_calls[0].name == "slow"
        release.set()


# State


def test_the_conversation_mirrors_what_the_server_has() -> None:
    with opened() as (_, session):
        session.ask("one")
        extra = session.send_text("two")
        extra.result()
        session.delete_item(extra.item_id or "").result()
        for entry in session.conversation:
            assert session.retrieve_item(entry.id).result().item.content == entry.item.content  # type: ignore[union-attr]
        assert extra.item_id in session.conversation.gone
        with pytest.raises(rt.InvalidEvent, match="deleted"):
            session.delete_item(extra.item_id or "")
        assert str(session.conversation) == "user: one\nassistant: You said: one"


def test_text_grows_in_the_mirror_while_it_streams() -> None:
    gate = Gate("response.output_text.delta", nth=3)
    with opened([Reply("one two three", gates=[gate])]) as (_, session):
        assert len(session.conversation) == 0
        pieces = session.respond("hi").text()
        next(pieces), next(pieces)
        assert str(session.conversation).endswith("assistant: one two")
        gate.open()
        list(pieces)
        assert str(session.conversation).endswith("assistant: one two three")


def test_a_cost_limit_refuses_the_next_response_before_it_is_sent() -> None:
    prices = PriceTable({"*": {"input": {"text": 1000.0}, "output": {"text": 1000.0}}})
    with opened(cost_limit=CostLimit(0.001, prices)) as (server, session):
        session.ask("hi")
        with pytest.raises(rt.BudgetExceeded):
            session.ask("hi")
        assert sent(server).count("response.create") == 1
        assert session.send_text("still open").result()


def test_checks_save_a_round_trip_and_can_be_switched_off() -> None:
    with opened() as (server, session):
        before = len(sent(server))
        with pytest.raises(rt.InvalidEvent, match="silence_duration_ms"):
            session.update_session(
                {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": -1}}}}
            )
        assert len(sent(server)) == before
    with opened(checks=False) as (_, session):
        ack = session.update_session(
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": -1}}}}
        )
        with pytest.raises(rt.ServerError):
            ack.result()


# Other servers


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(item_created_only=True),
        Quirks(whole_arguments=True),
        Quirks(beta_names=True),
        Quirks(event_ids=False, code_in_type=True),
        Quirks(rate_hz=16_000),
    ],
    ids=["created_only", "whole_arguments", "beta_names", "no_ids", "16_khz"],
)
def test_turns_work_with_servers_that_differ(quirks: Quirks) -> None:
    with LocalServer(forecast, quirks=quirks) as server, rt.connect("any", base_url=server.base_url) as session:
        session.tool(weather)
        turn = session.respond("Paris and Rome?")
        said = "".join(turn.text())
        assert '"Paris"' in said
        assert "Rome" in turn.result().transcript + turn.result().text
        assert turn.reply.audio
        session.send_text("more").result()


def test_a_server_that_confirms_nothing_still_answers() -> None:
    quirks = Quirks(confirm=False)
    with LocalServer(["Hello."], quirks=quirks) as server, rt.connect("any", base_url=server.base_url) as session:
        assert session.ask("hi").transcript == "Hello."
        with pytest.raises(rt.RealtimeTimeout):
            session.update_session({"instructions": "x"}).result(timeout=0.1)


def test_interrupt_cancels_the_active_response_and_is_harmless_otherwise() -> None:
    gate = Gate("response.output_text.delta", nth=3)
    with opened([Reply("one two three four", gates=[gate]), "next"]) as (server, session):
        session.interrupt()
        turn = session.respond("hi")
        pieces = turn.text()
        next(pieces), next(pieces)
        session.interrupt()
        assert turn.result(check=False).status == "cancelled"
        session.interrupt()
        assert session.ask("and now?").text == "next"
        assert sent(server).count("response.cancel") == 1


def test_interrupt_flushes_and_truncates_where_a_player_is_attached() -> None:
    from realtime_sync.playback import BargeIn, PlaybackTracker

    gate = Gate("response.output_audio.delta", nth=3)
    with opened([Reply("one two three four five six", gates=[gate])], session={}) as (server, session):
        tracker = PlaybackTracker()
        tracker.attach(session)
        barge_in = BargeIn(session, tracker)
        turn = session.respond("hi")
        sounds = turn.audio()
        next(sounds), next(sounds)
        chunk = tracker.take()
        assert chunk is not None
        tracker.played(chunk)
        session.interrupt()
        assert turn.result(check=False).status == "cancelled"
        assert tracker.take() is None
        session.wait_for("conversation.item.truncated")
        assert sent(server).count("response.cancel") == 1
        barge_in.close()
        tracker.close()
        session.interrupt()


@BOTH
def test_calls_of_a_response_out_of_band_are_left_to_the_caller(background: bool) -> None:
    def reply(turn: Turn) -> Any:
        return "fine" if turn.tool_outputs else Reply(tool_calls=[ToolCall("weather", {"city": "Rome"})])

    with opened(reply, background=background) as (server, session):
        session.tool(weather)
        side = session.ask(config={"conversation": "none", "input": []})
        assert [call.name for call in side.tool_calls] == ["weather"]
        assert sent(server).count("conversation.item.create") == 0
        assert session.ask("hi").text == "fine"


def test_interrupt_reaches_a_response_that_is_only_asked_for() -> None:
    gate = Gate("response.output_text.delta")
    with opened([Reply("never said", gates=[gate]), "next"]) as (_, session):
        turn = session.respond("hi")
        gate.wait_reached()  # the response has begun, but nobody here has looked yet
        assert turn.reply.response_id is None
        session.interrupt()
        assert turn.result(check=False).status == "cancelled"
        assert session.ask("and now?").text == "next"
