"""What a configuration says: every dialect answers the same questions."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from effort import examples
from event_strategies import objects
from hypothesis import given

from realtime_sync import events as e
from realtime_sync._unset import UNSET
from realtime_sync.state.facts import Facts, Sound, merged, sound_of, voice_id

VAD = e.ServerVad(threshold=0.5)
WHISPER = e.InputTranscription(model="whisper-1")
INPUT = e.AudioInput(format=e.AudioPcmu(), turn_detection=VAD, transcription=WHISPER)
OUTPUT = e.AudioOutput(format=e.AudioPcm(rate=24_000), voice="sage")
NESTED = e.RealtimeSessionConfig(
    id="s", model="m", expires_at=9, output_modalities=["audio"], audio=e.AudioConfig(input=INPUT, output=OUTPUT)
)
FLAT = e.FlatSessionConfig(
    id="s",
    model="m",
    expires_at=9,
    modalities=["audio"],
    voice="sage",
    turn_detection=VAD,
    input_audio_format="g711_ulaw",
    output_audio_format="pcm16",
    input_audio_transcription=WHISPER,
)
TRANSCRIPTION = e.TranscriptionSessionConfig(id="s", expires_at=9, audio=e.AudioConfig(input=INPUT))
TRANSLATION = e.TranslationSessionConfig(
    id="s",
    model="m",
    expires_at=9,
    audio=e.TranslationAudio(
        input=e.TranslationInput(transcription=WHISPER), output=e.TranslationOutput(language="es")
    ),
)
UNKNOWN = e.UnknownObject(type="hologram", extra={"id": "s", "audio": {"input": {}}})
ULAW = Sound("pcmu", 8_000)


@pytest.mark.parametrize(
    ("config", "facts"),
    [
        (
            NESTED,
            Facts(
                "realtime", False, "s", "m", 9, ULAW, Sound("pcm", 24_000), VAD, "whisper-1", "sage", ("audio",), True
            ),
        ),
        (FLAT, Facts(None, True, "s", "m", 9, ULAW, Sound("pcm"), VAD, "whisper-1", "sage", ("audio",), True)),
        (TRANSCRIPTION, Facts("transcription", False, "s", None, 9, ULAW, Sound(), VAD, "whisper-1", transcribes=True)),
        (TRANSLATION, Facts("translation", False, "s", "m", 9, transcription_model="whisper-1", transcribes=True)),
        (UNKNOWN, Facts("hologram")),
        (e.RealtimeSessionConfig(), Facts("realtime")),
        (e.FlatSessionConfig(), Facts()),
        (None, Facts()),
    ],
    ids=["nested", "flat", "transcription", "translation", "unknown", "nothing nested", "nothing flat", "none"],
)
def test_every_dialect_answers_the_same_questions(config: Any, facts: Facts) -> None:
    assert Facts.of(config) == facts


@pytest.mark.parametrize("config", [NESTED, FLAT, TRANSCRIPTION], ids=["nested", "flat", "transcription"])
def test_every_dialect_says_who_ends_a_turn_and_what_follows(config: Any) -> None:
    facts = Facts.of(config)
    assert facts.manual is False
    assert facts.server_answers is (config is not TRANSCRIPTION)  # that one writes down, and answers nothing
    assert facts.server_interrupts


def detecting(detection: Any) -> Facts:
    return Facts.of(e.FlatSessionConfig(turn_detection=detection))


@pytest.mark.parametrize(
    ("detection", "manual", "answers", "interrupts"),
    [
        (None, True, False, False),
        (UNSET, None, True, True),  # not told: what servers do by default
        (e.ServerVad(), False, True, True),
        (e.SemanticVad(), False, True, True),
        (e.ServerVad(create_response=False), False, False, True),
        (e.SemanticVad(interrupt_response=False), False, True, False),
        (e.UnknownObject(type="x_vad"), False, True, True),
        (e.UnknownObject(type="x_vad", extra={"create_response": False}), False, False, True),
    ],
    ids=repr,
)
def test_who_ends_the_turns_of_the_user_and_what_the_server_does_then(
    detection: Any, manual: bool | None, answers: bool, interrupts: bool
) -> None:
    facts = detecting(detection)
    assert (facts.manual, facts.server_answers, facts.server_interrupts) == (manual, answers, interrupts)


@pytest.mark.parametrize(
    ("told", "code", "bytes_per_ms", "bytes_per_s"),
    [
        (e.AudioPcm(rate=24_000), "pcm", 48, 48_000),
        (e.AudioPcm(rate=16_000), "pcm", 32, 32_000),
        (e.AudioPcm(), "pcm", None, 48_000),  # servers differ in the rate that they do not name
        ("pcm16", "pcm", None, 48_000),
        (e.AudioPcmu(), "pcmu", 8, 8_000),
        ("g711_ulaw", "pcmu", 8, 8_000),
        (e.AudioPcma(), "pcma", 8, 8_000),
        ("g711_alaw", "pcma", 8, 8_000),
        (e.UnknownObject(type="audio/opus"), None, None, 48_000),
        ("opus", None, None, 48_000),
        (None, None, None, 48_000),
    ],
    ids=repr,
)
def test_how_long_audio_is_by_its_size(told: Any, code: str | None, bytes_per_ms: float, bytes_per_s: int) -> None:
    sound = Sound.of(told)
    assert (sound.code, sound.bytes_per_ms, sound.bytes_per_s) == (code, bytes_per_ms, bytes_per_s)


def test_a_voice_is_known_by_its_name_or_by_its_id() -> None:
    assert [voice_id(voice) for voice in ("sage", e.CustomVoice(id="v1"), None)] == ["sage", "v1", None]


def test_a_response_may_have_a_format_of_its_own() -> None:
    own = e.Response(audio=e.AudioConfig(output=e.AudioOutput(format=e.AudioPcma())))
    assert sound_of(own) == Sound("pcma", 8_000)
    silent = e.Response(audio=e.AudioConfig(output=e.AudioOutput(voice="sage")))
    for none in (silent, e.Response(audio=e.AudioConfig()), e.Response(), None):
        assert sound_of(none) is None


# Updates, in the dialect of the session


def test_an_update_of_today_gets_the_type_of_the_session() -> None:
    changes = {"instructions": "be brief"}
    assert Facts().update(changes) == {"type": "realtime", **changes}
    assert Facts.of(NESTED).update(changes) == {"type": "realtime", **changes}
    assert Facts.of(TRANSCRIPTION).update(changes) == {"type": "transcription", **changes}
    assert Facts.of(NESTED).update({"type": "transcription"}) == {"type": "transcription"}, "one's own goes first"
    assert Facts.of(TRANSLATION).update(changes) == changes, "which takes none"
    assert changes == {"instructions": "be brief"}


def test_an_update_in_the_older_dialect_gets_the_names_of_that_dialect() -> None:
    noise = {"type": "near_field"}
    nested = {
        "type": "realtime",
        "instructions": "be brief",
        "output_modalities": ["text"],
        "max_output_tokens": 5,
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "whisper-1"},
                "noise_reduction": noise,
                "turn_detection": None,
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "sage", "speed": 1.5},
        },
    }
    assert Facts.of(FLAT).update(nested) == {
        "instructions": "be brief",
        "modalities": ["text"],
        "max_response_output_tokens": 5,
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "input_audio_noise_reduction": noise,
        "turn_detection": None,
        "output_audio_format": "pcm16",
        "voice": "sage",
        "speed": 1.5,
    }


def test_what_is_in_the_older_dialect_already_or_odd_is_sent_as_it_is() -> None:
    flat = {"modalities": ["text"], "voice": "sage", "turn_detection": None, "temperature": 0.7}
    assert Facts.of(FLAT).update(flat) == flat
    for odd in (None, "loud", {"input": None}, {"input": "x", "output": []}):
        assert Facts.of(FLAT).update({"audio": odd}) == {}
    unknown = {"audio": {"output": {"format": {"type": "audio/pcma"}}, "input": {"format": "opus"}}}
    assert Facts.of(FLAT).update(unknown) == {"output_audio_format": "g711_alaw", "input_audio_format": "opus"}


def test_only_what_the_older_dialect_alone_has_shows_it() -> None:
    for told in ({"voice": "sage"}, {"temperature": 0.7}, {"turn_detection": None}, {"input_audio_format": "pcm16"}):
        assert Facts.of(e.FlatSessionConfig(**told)).flat, told  # type: ignore[arg-type]
    for common in ({}, {"id": "s"}, {"model": "m", "instructions": "x"}, {"prompt": None}):
        assert not Facts.of(e.FlatSessionConfig(**common)).flat, common  # type: ignore[arg-type]


# Reports that leave something out


def test_what_a_report_leaves_out_is_kept() -> None:
    muted = e.RealtimeSessionConfig(audio=e.AudioConfig(input=e.AudioInput(turn_detection=None)))
    now = Facts.of(merged(NESTED, muted))
    assert now.manual
    assert now == attrs.evolve(Facts.of(NESTED), turn_detection=None)


def test_null_switches_off_where_the_protocol_says_so_and_says_nothing_elsewhere() -> None:
    known = e.FlatSessionConfig(voice="sage", turn_detection=VAD, input_audio_transcription=WHISPER)
    news = e.FlatSessionConfig(voice=None, turn_detection=None)
    assert merged(known, news) == e.FlatSessionConfig(
        voice="sage", turn_detection=None, input_audio_transcription=WHISPER
    )


def test_unknown_fields_are_kept_too_and_the_news_go_first() -> None:
    known = e.RealtimeSessionConfig(extra={"a": 1, "b": 1})
    assert merged(known, e.RealtimeSessionConfig(extra={"b": 2})).extra == {"a": 1, "b": 2}


def test_an_object_of_another_kind_replaces_the_one_before() -> None:
    semantic = e.AudioConfig(input=e.AudioInput(turn_detection=e.SemanticVad(eagerness="low")))
    now = merged(NESTED, e.RealtimeSessionConfig(audio=semantic))
    assert now.audio.input.turn_detection == e.SemanticVad(eagerness="low")
    assert now.audio.input.format == e.AudioPcmu()
    assert merged(NESTED, TRANSCRIPTION) is TRANSCRIPTION
    assert merged(None, NESTED) is NESTED
    assert merged(NESTED, UNKNOWN) is UNKNOWN


def test_a_report_without_type_is_of_the_kind_as_before_unless_it_speaks_the_older_dialect() -> None:
    brief = e.FlatSessionConfig(instructions="be brief")
    now = merged(NESTED, brief)
    assert isinstance(now, e.RealtimeSessionConfig)
    assert (now.instructions, now.model, now.audio) == ("be brief", "m", NESTED.audio)
    voiced = e.FlatSessionConfig(voice="sage")
    assert merged(NESTED, voiced) is voiced
    assert merged(None, brief) is brief
    assert isinstance(merged(FLAT, brief), e.FlatSessionConfig)


CONFIGS = objects(e.RealtimeSessionConfig)


@examples(150)
@given(CONFIGS, CONFIGS)
def test_what_is_told_again_changes_nothing(known: e.RealtimeSessionConfig, news: e.RealtimeSessionConfig) -> None:
    assert merged(known, known) == known
    assert merged(e.RealtimeSessionConfig(), known) == known
    assert merged(known, e.RealtimeSessionConfig()) == known
    both = merged(known, news)
    assert merged(both, news) == both
