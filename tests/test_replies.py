"""What a turn gives, and what is left of it when something goes wrong."""

from __future__ import annotations

import gc
import io
import pickle
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSession, response_created, response_done, text_delta

import realtime_sync as rt
from realtime_sync.audio import read_wav
from realtime_sync.local import Failure, Gate, LocalServer, Reply, Transcript, Turn

SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"
QUESTION = "What is the weather in Paris?"
TRANSCRIBED = {
    "output_modalities": ["text"],
    "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}},
}
BOTH = pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])


@contextmanager
def opened(
    replies: Any = None, *, session: Any = None, background: bool = False, **more: Any
) -> Iterator[tuple[LocalServer, rt.RealtimeSession]]:
    config = {"output_modalities": ["text"]} if session is None else session
    with LocalServer(replies, **more) as server, rt.connect("m", base_url=server.base_url, session=config) as made:
        if background:
            made.start()
        yield server, made


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def said_to(turn: Turn) -> str:
    return f"echo {turn.text}"


# Waiting again


@BOTH
def test_result_works_again_after_a_timeout(background: bool) -> None:
    gate = Gate("response.output_text.done")
    with opened([Reply("in the end", gates=[gate])], background=background) as (_, session):
        turn = session.respond("hi", timeout=0.2)
        with pytest.raises(rt.RealtimeTimeout) as late:
            turn.result()
        assert late.value.reply is turn.reply
        assert turn.reply.text == "in the end"
        with pytest.raises(rt.RealtimeTimeout):
            turn.result(timeout=0.01)
        gate.open()
        assert turn.result(timeout=None).status == "completed"
        assert turn.result() is turn.result(timeout=0)


def test_result_with_no_time_looks_at_what_has_arrived(fake: FakeSession) -> None:
    turn = fake.session.respond()
    create = fake.wire.wait_sent(1)
    with pytest.raises(rt.RealtimeTimeout):
        turn.result(timeout=0)
    fake.wire.say(response_created("r", create), text_delta("r", "a"), response_done("r"))
    ends = time.monotonic() + 20
    while fake.inbox.waiting_bytes == 0:
        assert time.monotonic() < ends
    assert turn.result(timeout=0).text == "a"


# What an exception carries


def test_ask_that_fails_carries_what_has_come() -> None:
    gate = Gate("response.output_text.done")
    failing = Reply("half", failure=Failure("no capacity", code="overloaded"))
    with opened([Reply("so far", gates=[gate]), failing]) as (_, session):
        with pytest.raises(rt.RealtimeTimeout) as late:
            session.ask("hi", timeout=0.3)
        assert late.value.reply.text == "so far"
        gate.open()
        with pytest.raises(rt.ResponseFailed) as failed:
            session.ask("hi")
        assert (failed.value.reply.text, failed.value.reply.status) == ("half", "failed")
        copied = pickle.loads(pickle.dumps(failed.value))
        assert (copied.reply.text, copied.reply.heard, str(copied)) == ("half", None, str(failed.value))


def test_a_lost_connection_carries_the_reply_of_each_turn(fake: FakeSession) -> None:
    first = fake.session.respond()
    create = fake.wire.wait_sent(1)
    beside = fake.session.respond(config={"conversation": "none"})
    other = fake.wire.wait_sent(2)
    fake.wire.say(response_created("r", create), text_delta("r", "a"))
    fake.wire.say(response_created("s", other), text_delta("s", "b"))
    fake.wire.hang_up(1011, "broken")
    for turn, text in ((first, "a"), (beside, "b")):
        with pytest.raises(rt.ConnectionLost, match="broken") as lost:
            turn.result()
        assert (lost.value.reply.text, lost.value.code) == (text, 1011)
    with pytest.raises(rt.ConnectionLost) as lost:
        fake.session.wait_for("response.done")
    assert lost.value.reply is None
    assert rt.InvalidEvent("x").reply is None


def test_a_refusal_carries_the_reply_of_its_turn(fake: FakeSession) -> None:
    turn = fake.session.respond()
    create = fake.wire.wait_sent(1)
    fake.wire.say({"type": "error", "error": {"code": "bad", "message": "no", "event_id": create["event_id"]}})
    with pytest.raises(rt.ServerError) as refused:
        list(turn)
    assert refused.value.reply is turn.reply


# Pieces


def test_pieces_are_text_and_audio_as_they_come() -> None:
    with opened(["It is sunny."], session={}) as (_, session):
        turn = session.respond("hi")
        pieces = list(turn.pieces())
        assert "".join(piece for kind, piece in pieces if kind == "text") == "It is sunny."
        assert b"".join(piece for kind, piece in pieces if kind == "audio") == turn.reply.audio != b""


@pytest.mark.parametrize("first", ["text", "audio", "pieces", "result", "__iter__"])
@pytest.mark.parametrize("second", ["text", "audio", "pieces", "__iter__"])
def test_what_has_been_taken_is_not_given_twice(first: str, second: str) -> None:
    with opened(["Hello."]) as (_, session):
        turn = session.respond("hi")
        taken = getattr(turn, first)()
        if first != "result":
            list(taken)
        if first == second == "__iter__":
            assert list(turn) == []
        else:
            with pytest.raises(rt.ConfigurationError, match=r"already.*turn\.reply"):
                getattr(turn, second)()
        assert turn.result().text == "Hello."


def test_a_loop_that_was_left_can_be_gone_on_with() -> None:
    with opened(["Hello there."]) as (_, session):
        turn = session.respond("hi")
        for event in turn:
            assert event.type == "response.created"
            break
        assert [event.type for event in turn][-1] == "response.done"


# The user's audio


@BOTH
def test_what_the_user_was_heard_to_say_is_on_the_reply(background: bool) -> None:
    with opened(said_to, session=TRANSCRIBED, transcripts=[QUESTION, Transcript("late", late=True), "third"]) as (
        _,
        session,
    ):
        if background:
            session.start()
        assert session.ask(audio=SPEECH, heard=True).heard == QUESTION
        session.append_audio_bytes(read_wav(SPEECH))
        session.commit_audio()
        turn = session.respond()
        assert turn.result(heard=True).heard == "late"
        assert session.ask("no audio", heard=True).heard is None
        reply = session.ask(audio=SPEECH, heard=True)
        assert reply.heard == "third"
        assert pickle.loads(pickle.dumps(reply)).heard == "third"


def test_speech_that_the_server_detects_is_heard_too() -> None:
    config = {"output_modalities": ["text"], "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    with opened(["Sunny."], session=config, transcripts=[QUESTION]) as (_, session):
        turn = session.next_reply()
        session.append_audio_bytes(read_wav(SPEECH) + bytes(48_000))
        assert turn.result(heard=True).heard == QUESTION


def test_speech_that_cannot_be_understood_holds_nobody_up() -> None:
    with opened(["What?"], session=TRANSCRIBED, transcripts=[Failure("noise")]) as (_, session):
        began = time.monotonic()
        assert session.ask(audio=SPEECH, heard=True).heard is None
        assert time.monotonic() - began < 5


def test_without_transcription_nothing_is_waited_for() -> None:
    config = {**TRANSCRIBED, "audio": {"input": {"transcription": None, "turn_detection": None}}}
    with opened(["Yes."], session=config) as (_, session):
        began = time.monotonic()
        assert session.ask(audio=SPEECH, heard=True).heard is None
        assert time.monotonic() - began < 5


# Sound


@pytest.mark.parametrize(
    ("audio_format", "rate_hz"),
    [({"type": "audio/pcm", "rate": 24000}, 24_000), ({"type": "audio/pcmu"}, 8_000), ({"type": "audio/pcma"}, 8_000)],
    ids=["pcm", "pcmu", "pcma"],
)
def test_a_wav_sounds_as_it_was_spoken(audio_format: Any, rate_hz: int, tmp_path: Path) -> None:
    with opened(["It is sunny."], session={"audio": {"output": {"format": audio_format}}}) as (_, session):
        reply = session.ask("hi")
        reply.save(tmp_path / "reply.wav")
        content = (tmp_path / "reply.wav").read_bytes()
        assert content == reply.wav
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate_hz, 1, 2)
            samples = len(reply.audio) // (2 if rate_hz == 24_000 else 1)
            assert file.getnframes() == samples > rate_hz / 2
        if rate_hz == 24_000:
            assert read_wav(content) == reply.audio
        with pytest.raises(rt.ConfigurationError, match="no/such"):
            reply.save(tmp_path / "no" / "such" / "x.wav")


def test_a_response_with_a_format_of_its_own_is_saved_in_that() -> None:
    with opened(["Hello."], session={}) as (_, session):
        reply = session.ask("hi", config={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
        with wave.open(io.BytesIO(reply.wav)) as file:
            assert (file.getframerate(), file.getnframes()) == (8_000, len(reply.audio))


def test_a_written_reply_has_no_wav(tmp_path: Path) -> None:
    with opened(["Hello."]) as (_, session):
        reply = session.ask("hi")
        assert reply.wav == b""
        with pytest.raises(rt.ConfigurationError, match="no audio"):
            reply.save(tmp_path / "x.wav")
        assert not (tmp_path / "x.wav").exists()


# Several threads


@BOTH
def test_threads_that_ask_at_once_each_get_their_own_answer(background: bool) -> None:
    with opened(said_to, background=background) as (_, session), ThreadPoolExecutor(8) as pool:
        questions = [f"question {number}" for number in range(32)]
        replies = list(pool.map(lambda text: session.ask(text, timeout=40).text, questions))
        assert replies == [f"echo {question}" for question in questions]


@BOTH
def test_threads_that_speak_and_write_at_once_each_get_their_own_answer(background: bool) -> None:
    config = {"output_modalities": ["text"]}

    def transcriber(pcm: bytes, rate: int) -> str:
        return f"sound {len(pcm)}"

    def ask(number: int) -> tuple[str, str]:
        if number % 2:
            return f"echo {number}", session.ask(str(number), timeout=40).text
        pcm = bytes(9_600 + 2 * number)
        return f"echo sound {len(pcm)}", session.ask(audio=pcm, timeout=40).text

    with (
        opened(said_to, session=config, transcriber=transcriber, background=background) as (_, session),
        ThreadPoolExecutor(6) as pool,
    ):
        for expected, got in pool.map(ask, range(12)):
            assert got == expected


def test_a_handler_that_asks_while_others_do_is_no_deadlock() -> None:
    answers: list[str] = []
    config = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}

    def nested(event: Any) -> None:
        answers.append(session.ask("nested", timeout=15).text)

    with opened(said_to, session=config, transcriber=lambda pcm, rate: "sound") as (_, session):
        session.once("input_audio_buffer.committed", nested)  # while this thread has the floor
        assert session.ask(audio=bytes(9_600), timeout=15).text in ("echo sound", "echo nested")
        assert answers == ["echo nested"]
        session.once("response.output_text.delta", nested)  # while another response is active
        with ThreadPoolExecutor(4) as pool:
            texts = list(pool.map(lambda n: session.ask(str(n), timeout=15).text, range(8)))
        assert texts == [f"echo {n}" for n in range(8)]
        session.once("response.output_text.delta", lambda event: answers.append(session.ask(audio=bytes(9_600)).text))
        assert session.ask("outer", timeout=15).text == "echo outer"
        assert answers[1:] == ["echo nested", "echo sound"]


def test_a_question_that_is_given_up_before_its_turn_is_never_said() -> None:
    gate = Gate("response.output_text.done")
    with opened([Reply("first", gates=[gate]), "third"]) as (server, session):
        first = session.respond("one")
        session.respond("two").cancel()
        gate.open()
        assert first.result().text == "first"
        assert session.ask("three").text == "third"
        said = [event["item"]["content"][0]["text"] for event in server.received if "item" in event]
        assert said == ["one", "three"]


def test_audio_that_fails_gives_the_floor_back() -> None:
    with opened(said_to) as (_, session):
        with pytest.raises((rt.ServerError, rt.InvalidEvent)):
            session.ask(audio=bytes(480))
        assert session.ask("still there?").text == "echo still there?"


# Turns that nobody holds


def test_turns_that_time_out_and_are_dropped_leave_nothing(fake: FakeSession) -> None:
    fake.session.poll()
    before = len(fake.session._dispatcher._routes)
    for _ in range(50):
        with pytest.raises(rt.RealtimeTimeout):
            fake.session.next_reply(timeout=0).result()
    gc.collect()
    assert len(fake.session._turns._turns) == 0
    assert len(fake.session._dispatcher._routes) <= before + 40
    fake.wire.say(response_created("r"), text_delta("r", "a"), response_done("r"))
    fake.session.wait_for("response.done")
    fake.wire.say(response_created("s"))
    fake.session.wait_for("response.created")
    assert len(fake.session._dispatcher._routes) == before


def test_nothing_is_decoded_for_a_turn_that_nobody_holds(fake: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[str] = []
    monkeypatch.setattr("realtime_sync.session.reply.Reply.apply", lambda self, event: applied.append(event.type))
    fake.session.respond()
    held = fake.session.respond(config={"conversation": "none"})
    gc.collect()
    create, other = fake.wire.wait_sent(1), fake.wire.wait_sent(2)
    fake.wire.say(response_created("r", create), text_delta("r", "a"), response_done("r"))
    fake.wire.say(response_created("s", other))
    fake.session.wait_for("response.created", lambda event: event.response.id == "s")
    assert applied == ["response.created"]
    assert "growing" in repr(held)


def test_ask_that_failed_takes_nothing_in_any_more(fake: FakeSession) -> None:
    with pytest.raises(rt.RealtimeTimeout) as late:
        fake.session.ask(timeout=0.01)
    create = fake.wire.wait_sent(1)
    fake.wire.say(response_created("r", create), text_delta("r", "a"), response_done("r", "cancelled"))
    fake.session.wait_for("response.done")
    assert (late.value.reply.text, late.value.reply.done) == ("", False)


# Handlers that raise


def test_a_handler_that_raises_does_not_cost_the_reply(caplog: pytest.LogCaptureFixture) -> None:
    with opened(["Hello there, friend.", "Again."]) as (_, session):
        session.on("response.output_text.delta", lambda event: 1 / 0)
        with pytest.raises(ZeroDivisionError) as raised:
            session.ask("hi")
        assert raised.value.reply.text == "Hello there, friend."  # type: ignore[attr-defined]
        assert raised.value.reply.status == "completed"  # type: ignore[attr-defined]
        assert "failed" in caplog.text, "of the further exceptions the log tells"
        session.off("response.output_text.delta")
        assert session.ask("hi").text == "Again."


def test_a_stream_comes_whole_before_what_a_handler_raised(caplog: pytest.LogCaptureFixture) -> None:
    with opened(["Hello there."]) as (_, session):
        session.once("response.output_text.delta", lambda event: 1 / 0)
        seen: list[str] = []
        turn = session.respond("hi")
        with pytest.raises(ZeroDivisionError):
            seen.extend(turn.text())
        assert "".join(seen) == turn.reply.text == "Hello there."
        assert turn.result().text == "Hello there."


def test_a_handler_that_raises_while_audio_is_sent_does_not_cost_the_reply() -> None:
    with opened(["Sunny."]) as (_, session):
        session.once("input_audio_buffer.committed", lambda event: 1 / 0)
        with pytest.raises(ZeroDivisionError) as raised:
            session.ask(audio=SPEECH)
        assert raised.value.reply.text == "Sunny."  # type: ignore[attr-defined]


def test_a_timeout_goes_before_what_a_handler_raised(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    fake.session.once("session.created", lambda event: 1 / 0)
    with pytest.raises(rt.RealtimeTimeout):
        fake.session.ask(timeout=0.05)
    assert "ZeroDivisionError" in caplog.text


def test_what_a_turn_within_a_handler_raised_keeps_its_own_reply() -> None:
    gate = Gate("response.output_text.done")
    with opened([Reply("outer"), Reply("inner", gates=[gate]), "last"]) as (_, session):

        def nested(event: Any) -> None:
            session.ask("inner", timeout=0.3)

        session.once("response.output_text.delta", nested)
        try:
            with pytest.raises(rt.RealtimeTimeout) as late:
                session.ask("outer", timeout=20)
        finally:
            gate.open()
        assert late.value.reply.text != "outer"


def test_many_dropped_turns_cost_one_look_each(fake: FakeSession) -> None:
    threads = [threading.Thread(target=lambda: [fake.session.next_reply() for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert fake.session._turns._turns == {}
