"""How much audio waits at the server: never less is claimed than there is."""

from __future__ import annotations

from typing import Any

import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import events as e
from realtime_sync._unset import UNSET
from realtime_sync.state.input_buffer import InputBuffer

NOTHING: Any = None


COMMIT = e.InputAudioBufferCommit()


COMMITTED = e.InputAudioBufferCommitted(item_id="s")


def configured(detection: Any, audio_format: Any = None) -> e.SessionUpdated:
    audio_format = audio_format or e.AudioPcm(rate=24_000)
    audio = e.AudioConfig(input=e.AudioInput(turn_detection=detection, format=audio_format))
    return e.SessionUpdated(session=e.RealtimeSessionConfig(audio=audio))


def test_a_commit_empties_the_buffer_once_it_is_confirmed() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(9600)
    buffer.sent(COMMIT)
    buffer.appended(480)
    assert buffer.ms is None
    buffer.apply(COMMITTED)
    assert buffer.ms == 10
    buffer.sent(e.InputAudioBufferClear())
    assert buffer.ms == 0
    buffer.sent(e.ResponseCreate())
    buffer.apply(e.UnknownEvent(type="x"))
    buffer.apply(COMMITTED)
    assert buffer.ms == 0


def test_turn_detection_makes_the_length_unknown() -> None:
    buffer = InputBuffer()
    buffer.apply(e.SessionCreated(session=configured(e.ServerVad()).session))
    assert buffer.ms is None
    buffer.apply(configured(None))
    assert buffer.ms == 0
    buffer.apply(configured(e.ServerVad()))
    buffer.appended(480)
    buffer.apply(configured(None))
    assert buffer.ms is None
    buffer.sent(e.InputAudioBufferClear())
    assert buffer.ms == 0


@pytest.mark.parametrize(
    "config",
    [
        e.RealtimeSessionConfig(),
        e.RealtimeSessionConfig(audio=e.AudioConfig()),
        configured(UNSET).session,
        configured(None, e.AudioPcm()).session,
        e.FlatSessionConfig(turn_detection=None, input_audio_format="pcm16"),
        e.UnknownObject(type="x"),
        NOTHING,
    ],
    ids=str,
)
def test_a_configuration_that_does_not_tell_enough(config: Any) -> None:
    buffer = InputBuffer()
    buffer.apply(e.SessionUpdated(session=config))
    assert buffer.ms is None


def test_g711_is_known_in_either_dialect() -> None:
    flat = e.SessionUpdated(session=e.FlatSessionConfig(turn_detection=None, input_audio_format="g711_ulaw"))
    for told in (flat, configured(None, e.AudioPcma())):
        buffer = InputBuffer()
        buffer.apply(told)
        buffer.appended(80)
        assert buffer.ms == 10


def test_another_format_in_mid_buffer_makes_the_length_unknown() -> None:
    buffer = InputBuffer()
    buffer.apply(configured(None))
    buffer.appended(80)
    buffer.apply(configured(None))
    assert buffer.ms is not None
    buffer.apply(configured(None, e.AudioPcma()))
    assert buffer.ms is None


STEPS = ["append", "append", "commit", "clear", "detect", "manual", "hear", "deliver", "deliver"]


@examples(500)
@given(st.booleans(), st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9600)), max_size=25))
def test_the_buffer_never_claims_less_than_there_is(detecting: bool, steps: list[tuple[str, int]]) -> None:
    """A model of the server answers at once; what it says arrives later."""
    buffer, real = InputBuffer(), 0
    under_way: list[e.ServerEvent] = [configured(e.ServerVad() if detecting else None)]
    for step, size_bytes in steps:
        if step == "append":
            real += size_bytes
            buffer.appended(size_bytes)
        elif step == "commit":
            if real >= 4800:
                real = 0
                under_way.append(COMMITTED)
            buffer.sent(COMMIT)
        elif step == "clear":
            real = 0
            buffer.sent(e.InputAudioBufferClear())
        elif step in ("detect", "manual"):
            detecting = step == "detect"
            under_way.append(configured(e.ServerVad() if detecting else None))
        elif step == "hear" and detecting:  # the server commits by itself
            real = max(0, real - size_bytes)
            under_way.append(COMMITTED)
        elif under_way:
            buffer.apply(under_way.pop(0))
        claimed = buffer.ms
        assert claimed is None or claimed * 48 >= real
