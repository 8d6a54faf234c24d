"""Recordings through a transcription session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Departure, ScriptedServer, say

import realtime_sync as rt
from realtime_sync.audio import duration_ms, read_wav
from realtime_sync.delivery.dispatcher import STATE
from realtime_sync.local import Failure, LocalServer

ROOT = Path(__file__).parent.parent
SPEECH = ROOT / "examples" / "speech.wav"
TWO = ROOT / "examples" / "speech-two-turns.wav"
MODEL = {"transcription": {"model": "whisper-1"}}
MANUAL = {**MODEL, "turn_detection": None}
VAD = {**MODEL, "turn_detection": {"type": "server_vad"}}


@contextmanager
def opened(audio_input: Any, **more: Any) -> Iterator[tuple[LocalServer, rt.RealtimeSession]]:
    config = {"type": "transcription", "audio": {"input": audio_input}}
    with (
        LocalServer(**more) as server,
        rt.connect(base_url=server.base_url, intent="transcription", session=config) as session,
    ):
        yield server, session


def by_length(pcm: bytes, rate: int) -> str:
    return f"{len(pcm) * 1000 // (2 * rate)} ms"


@pytest.mark.parametrize("background", [False, True], ids=["pumped", "background"])
def test_stretches_of_speech_come_in_order_with_their_places(background: bool) -> None:
    with opened(VAD, transcripts=["first", "second", "third", "fourth"]) as (_, session):
        if background:
            session.start()
        told: list[tuple[int, int]] = []
        found = list(session.transcribe(TWO, progress=lambda sent, total: told.append((sent, total))))
        assert [segment.text for segment in found] == ["first", "second"]
        total_ms = round(duration_ms(len(read_wav(TWO))))
        places = [place for segment in found for place in (segment.start_ms, segment.end_ms)]
        assert None not in places
        assert places == sorted(places)  # type: ignore[type-var]
        assert places[-1] <= total_ms + 1  # type: ignore[operator]
        assert [sent for sent, _ in told] == sorted({sent for sent, _ in told})
        assert told[-1] == (total_ms, total_ms)
        again = list(session.transcribe(TWO.read_bytes()))
        assert [segment.text for segment in again] == ["third", "fourth"]
        assert abs((again[0].start_ms or 0) - (found[0].start_ms or 0)) <= 300
        assert again[0].item_id != found[0].item_id


def test_a_recording_is_placed_behind_those_that_were_sent_before_it_began() -> None:
    with opened(VAD) as (_, session):
        recordings = [session.transcribe(TWO) for _ in range(2)]
        first, second = ([segment.start_ms for segment in found] for found in recordings)
        assert len(first) == 2
        assert all(abs((after or 0) - (before or 0)) <= 300 for before, after in zip(first, second, strict=True))


def test_without_turn_detection_the_recording_is_cut() -> None:
    with opened(MANUAL, transcriber=by_length) as (_, session):
        found = list(session.transcribe(bytes(48_000 * 5 + 4_000), segment_s=2))
        assert [(segment.start_ms, segment.end_ms) for segment in found] == [(0, 2000), (2000, 4000), (4000, 5083)]
        assert [str(segment) for segment in found] == ["2000 ms", "2000 ms", "1083 ms"]
        tail = list(session.transcribe(bytes(48_000 * 2 + 2_400), segment_s=2))
        assert [segment.end_ms for segment in tail] == [2050], "a tail that is too short for a commit goes along"
        short = list(session.transcribe(bytes(960)))
        assert [(segment.text, segment.end_ms) for segment in short] == [("100 ms", 20)]


def test_a_server_that_does_not_name_the_item_of_a_commit() -> None:
    def forget(event: rt.events.InputAudioBufferCommitted) -> None:
        event.item_id = None  # type: ignore[assignment]

    with opened(MANUAL, transcripts=["one", "two", "three", "four"]) as (_, session):
        session._dispatcher.subscribe(STATE, forget, rt.events.InputAudioBufferCommitted)
        found = list(session.transcribe(SPEECH, segment_s=1))
        assert [segment.text for segment in found] == ["one", "two", "three", "four"]
        assert [segment.start_ms for segment in found] == [0, 1000, 2000, 3000]
        assert all(segment.item_id.startswith("item_") for segment in found)


@pytest.mark.parametrize("code", ["audio/pcmu", "audio/pcma"])
def test_g711_sessions_too(code: str) -> None:
    with opened({**MANUAL, "format": {"type": code}}, transcriber=by_length) as (_, session):
        found = list(session.transcribe(SPEECH, segment_s=1))
        assert [segment.text for segment in found][:2] == ["1000 ms", "1000 ms"]
        assert found[-1].end_ms == round(duration_ms(len(read_wav(SPEECH))))


def test_what_cannot_be_understood_is_a_segment_with_its_error() -> None:
    with opened(MANUAL, transcripts=["good", Failure("noise", code="audio_unintelligible"), "again"]) as (_, session):
        found = list(session.transcribe(bytes(48_000 * 3), segment_s=1))
        assert [segment.text for segment in found] == ["good", "", "again"]
        assert found[1].error is not None
        assert found[1].error.code == "audio_unintelligible"


def test_segments_come_while_the_recording_is_still_sent() -> None:
    sent: list[int] = []
    with opened(MANUAL, transcriber=by_length) as (_, session):
        segments = session.transcribe(
            bytes(48_000 * 2), segment_s=0.4, pace=4, progress=lambda done, total: sent.append(done)
        )
        began = time.monotonic()
        next(segments)
        assert sent[-1] < 2000
        assert len(list(segments)) == 4
        assert time.monotonic() - began > 0.3, "at four times the speed of the speech"


def test_a_recording_that_is_left_early_is_not_heard_with_the_next() -> None:
    with opened(MANUAL, transcriber=by_length) as (_, session):
        for _segment in session.transcribe(bytes(48_000 * 3), segment_s=1):
            break
        assert [str(segment) for segment in session.transcribe(bytes(48_000))] == ["1000 ms"]


def test_a_server_that_confirms_commits_without_naming_the_item() -> None:
    def heard(number: int, **outcome: Any) -> list[dict[str, Any]]:
        item = {"id": f"item_{number}", "type": "message", "role": "user", "content": []}
        kind = "completed" if "transcript" in outcome else "failed"
        told = {"type": f"conversation.item.input_audio_transcription.{kind}", "item_id": item["id"], **outcome}
        stale = {**told, "item_id": "item_0", "transcript": "of another recording"}
        return [
            {"type": "input_audio_buffer.committed"},
            {"type": "conversation.item.added", "item": item},
            told,
            stale,
        ]

    departures = [
        Departure("input_audio_buffer.commit", say(*heard(1, transcript="one")), at=1),
        Departure("input_audio_buffer.commit", say(*heard(2, error={"code": "unclear"})), at=2),
    ]
    config: Any = {"type": "transcription", "audio": {"input": MANUAL}}
    with ScriptedServer(*departures) as server:
        where: Any = {"base_url": server.base_url, "api_key": "x"}
        with rt.connect(intent="transcription", session=config, **where) as session:
            first, second = session.transcribe(bytes(48_000 * 2), segment_s=1, timeout=5)
    assert (first.text, first.item_id, first.start_ms, first.end_ms) == ("one", "item_1", 0, 1000)
    assert second.error is not None
    assert (second.error.code, second.item_id, second.start_ms) == ("unclear", "item_2", 1000)


def test_one_recording_at_a_time() -> None:
    with opened(MANUAL, transcriber=by_length) as (_, session):
        first = session.transcribe(bytes(48_000 * 2), segment_s=1)
        next(first)
        with pytest.raises(rt.ConfigurationError, match="one at a time"):
            next(session.transcribe(bytes(48_000)))
        assert len(list(first)) == 1


def test_a_server_that_never_tells_is_a_timeout() -> None:
    with (
        opened(MANUAL, transcriber=lambda pcm, rate: time.sleep(1) or "late") as (_, session),
        pytest.raises(rt.RealtimeTimeout, match="the next transcript"),
    ):
        list(session.transcribe(bytes(48_000), timeout=0.05))


# What such a session cannot do


def test_refusals_before_anything_is_sent() -> None:
    with opened(MANUAL) as (server, session):
        before = len(server.received)
        for call in (
            lambda: session.ask(audio=SPEECH),
            lambda: session.respond("hi"),
            session.create_response,
            session.next_reply,
        ):
            with pytest.raises(rt.InvalidEvent, match=r"transcription session makes no responses: transcribe\(\)"):
                call()
        for audio in (b"", "no/such.wav", b"RIFFnonsense"):
            with pytest.raises((rt.ConfigurationError, rt.InvalidEvent)):
                session.transcribe(audio)
        with pytest.raises(rt.ConfigurationError, match="pace"):
            session.transcribe(SPEECH, pace=0)
        assert len(server.received) == before


def test_other_sessions_do_not_transcribe() -> None:
    with (
        LocalServer() as server,
        rt.connect("m", base_url=server.base_url) as session,
        pytest.raises(rt.InvalidEvent, match=r'realtime session.*intent="transcription"'),
    ):
        session.transcribe(SPEECH)
    config = {"type": "transcription"}
    with (
        LocalServer() as server,
        rt.connect(base_url=server.base_url, intent="transcription", session=config) as bare,
        pytest.raises(rt.InvalidEvent, match="name a model"),
    ):
        bare.transcribe(SPEECH)
