"""Events as plain data, and everything that keeps one from being that."""

from __future__ import annotations

from typing import Any

import pytest

from realtime_sync.codec.plain import _Unencodable, fault, plain
from realtime_sync.events import FunctionTool, InputAudioBufferAppend, MalformedEvent, UnknownEvent


def test_all_faults_are_told_in_order() -> None:
    value = {"a": [1, b"", {"b": {2}}], "c": "\ud800", 1: 2, "d": float("nan")}
    assert fault(value) == (
        "keys must be str, not int; a[1]: bytes cannot be sent as JSON; base64-encode them (`append_audio_bytes` does"
        " so for audio); a[2].b: set cannot be sent as JSON; use str, int, float, bool, None, list or dict; c: the"
        " text holds half of a surrogate pair; join it with the other half or remove it; d: the number is not finite"
    )


def test_a_long_tail_is_counted() -> None:
    assert fault([b""] * 30).endswith("; and 20 more")


def test_a_circle_ends_the_search() -> None:
    circle: list[Any] = []
    circle += [circle, circle, b""]
    assert fault({"x": circle}) == "x: nested too deeply, or contains itself"


def test_nothing_wrong() -> None:
    assert fault({"type": "x"}) == "dict cannot be read as JSON data"


def test_the_result_shares_nothing() -> None:
    parameters = {"properties": [{}]}
    copied = plain(FunctionTool(name="f", parameters=parameters))
    copied["parameters"]["properties"].append(1)
    assert parameters == {"properties": [{}]}


def test_events_inside_data() -> None:
    append = InputAudioBufferAppend(audio="AAA=")
    assert plain({"a": (append, UnknownEvent(type="x", raw={"type": "x"}))}) == {
        "a": [{"type": "input_audio_buffer.append", "audio": "AAA="}, {"type": "x"}]
    }
    with pytest.raises(_Unencodable):
        plain([MalformedEvent(raw="", error="")])
