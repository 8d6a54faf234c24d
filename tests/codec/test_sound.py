"""Audio deltas whose sound is cut out of the frame: nothing tells them from those read in the plain way."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import attrs
import pytest
from effort import examples
from hypothesis import example, given
from hypothesis import strategies as st

from realtime_sync import decode_server_event, encode_event
from realtime_sync.codec import server_decoder
from realtime_sync.codec.sound import LEAST_BYTES
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import TRANSLATION, MalformedEvent, ResponseOutputAudioDelta, SessionOutputAudioDelta

PCM = bytes(range(256)) * 6
HEAD = {"type": "response.output_audio.delta", "event_id": "event_1", "response_id": "resp_1", "item_id": "item_1"}
PLACE = {"output_index": 0, "content_index": 0}
translated = server_decoder(TRANSLATION)


@pytest.fixture(autouse=True, scope="module")
def _are_known() -> None:
    """What comes for the first time is read in the plain way."""
    for _ in range(3):
        decode_server_event({**HEAD, **PLACE, "delta": ""})
        decode_server_event({**HEAD, **PLACE, "delta": "", "type": "response.audio.delta"})
        translated({"type": "session.output_audio.delta", "delta": ""})


def text_of(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()


def frame_of(delta: str = text_of(PCM), **fields: Any) -> bytes:
    return json.dumps({**HEAD, **PLACE, "delta": delta, **fields}, separators=(",", ":")).encode()


def sound_of(event: Any) -> Any:
    try:
        return event.delta_bytes
    except AttributeError:
        return "no audio delta"
    except InvalidEvent as error:
        return str(error)


def is_cut(event: Any) -> bool:
    return getattr(event, "_pcm", None) is not None


def same_either_way(frame: bytes) -> Any:
    """The event of a frame, which both ways agree upon. Only `bytes`, which the transport gives, are read in the fast
    way."""
    for decode in (decode_server_event, translated):
        fast, plain = decode(frame), decode(bytearray(frame))
        assert not is_cut(plain)
        assert type(fast) is type(plain)
        assert fast == plain
        assert plain == fast
        assert fast.extra == plain.extra
        assert sound_of(fast) == sound_of(plain)
        if not isinstance(fast, MalformedEvent):
            assert repr(fast) == repr(plain)
            assert encode_event(fast) == encode_event(plain)
            assert decode(encode_event(fast)) == fast
    return decode_server_event(frame)


@pytest.mark.parametrize("kind", ["response.output_audio.delta", "response.audio.delta"])
def test_the_sound_is_ready_and_its_text_is_made_on_demand(kind: str) -> None:
    event = same_either_way(frame_of(type=kind, vendor={"delta": "x"}))
    assert is_cut(event)
    assert event.delta_bytes == PCM
    assert event.delta_bytes is event.delta_bytes
    assert event.delta == text_of(PCM)
    assert event.type == kind
    assert event.extra == {"vendor": {"delta": "x"}}


def test_the_translated_sound_too() -> None:
    fields = {"type": "session.output_audio.delta", "delta": text_of(PCM), "sample_rate": 24_000}
    same_either_way(json.dumps(fields).encode())
    event = translated(json.dumps(fields).encode())
    assert is_cut(event)
    assert event == SessionOutputAudioDelta(delta=text_of(PCM), sample_rate=24_000)


def test_it_is_plain_data() -> None:
    event = same_either_way(frame_of())
    assert isinstance(event, ResponseOutputAudioDelta)
    assert is_cut(event)
    for copied in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event)), attrs.evolve(event)):
        assert copied == event
        assert copied.delta_bytes == PCM
    assert attrs.asdict(event)["delta"] == text_of(PCM)
    assert "<2048 characters>" in repr(event)
    event.delta = "AAEC"
    assert (event.delta, event.delta_bytes) == ("AAEC", b"\x00\x01\x02")
    assert attrs.evolve(event, delta="AAAA").delta_bytes == b"\x00\x00\x00"


def test_text_that_would_not_come_back_as_it_came_is_kept() -> None:
    text = text_of(PCM + b"\x00")
    assert text.endswith("AA==")
    assert is_cut(same_either_way(frame_of(text)))
    spoiled = [text[:-3] + "B==", text[:-2], text[:-1]]
    for odd in (*spoiled, *(text + more for more in ("=", "\n", " ", "\u00e9", "-_"))):
        event = same_either_way(frame_of(odd))
        assert not is_cut(event)
        assert event.delta == odd


def test_an_escaped_text_is_read_as_json() -> None:
    frame = frame_of(text_of(b"\xff" * 900))
    event = same_either_way(frame.replace(b"////", b"\\/\\/\\u002f/"))
    assert not is_cut(event)
    assert event.delta_bytes == b"\xff" * 900


LONG = text_of(PCM).encode()


@pytest.mark.parametrize(
    "frame",
    [
        frame_of().replace(b'"delta"', b'"x":{"a":1,"delta"') + b"}",
        frame_of().replace(b'"delta"', b'"x":{"a":1,"delta"').replace(LONG, LONG + b'"},"delta":"'),
        frame_of()[:-1] + b',"delta":"AAAA"}',
        frame_of()[:-1] + b',"delta":""}',
        frame_of()[:-1] + b',"d\\u0065lta":"AAAA"}',
        frame_of()[:-1] + b',"delta":null}',
        frame_of().replace(b'"delta"', b'"delta":"AAAA","delta"'),
        frame_of().replace(b'"delta"', b'"a\\"delta":"AAAA","delta"'),
        frame_of().replace(b'"delta"', b'"a\\"delta"'),
        frame_of().replace(b'"item_1"', b'"item_1,\\"delta\\":\\"AAAA"'),
        frame_of().replace(b'"item_1"', b'["item_1","delta":"AAAA"]'),
        frame_of().replace(b":0,", b":null,"),
        frame_of().replace(b'"response.output_audio.delta"', b'"response.output_text.delta","x":"audio.delta"'),
        frame_of().replace(b'"response.output_audio.delta"', b'"vendor.audio.delta"'),
        frame_of().replace(b'"event_1"', b'"\xff"'),
        frame_of()[:-2],
        frame_of()[:-1],
        frame_of() + b"}",
        frame_of().replace(b'"type":"response.output_audio.delta",', b""),
        b"[" + frame_of() + b"]",
        b'"' + b"audio.delta" * 99 + b'"',
        b'"delta":"' * 99 + b'audio.delta"',
        b'["audio.delta"' + b"," * 700,
    ],
    ids=lambda frame: str(frame[:90]) if isinstance(frame, bytes) else None,
)
def test_an_odd_frame_is_read_as_ever(frame: bytes) -> None:
    assert len(frame) >= LEAST_BYTES
    same_either_way(frame)


TEXTS = st.one_of(
    st.binary(min_size=400, max_size=900).map(text_of),
    st.binary(min_size=400, max_size=900).map(lambda pcm: text_of(pcm).rstrip("=")),
    st.text(alphabet="ABab01+/=-_\\ \n\u00e9", min_size=0, max_size=40).map(lambda odd: text_of(PCM) + odd),
    st.text(max_size=20).map(lambda odd: odd * 60),
)
VALUES = st.one_of(
    st.none(), st.integers(0, 9), st.text(max_size=5), TEXTS, st.dictionaries(st.sampled_from(["delta", "x"]), TEXTS)
)
NAMES = st.sampled_from(["type", "delta", "item_id", "output_index", "event_id", "x", "\u0064elta", "audio.delta"])
TYPES = st.sampled_from(
    ["response.output_audio.delta"] * 4
    + ["response.audio.delta", "session.output_audio.delta", "response.output_text.delta", "x.audio.delta"]
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Audio deltas as servers may write them: in any order, style and spelling, with fields twice and odd values."""
    fields = [*HEAD.items(), *PLACE.items(), ("delta", draw(TEXTS))]
    fields[0] = ("type", draw(TYPES))
    fields += draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))
    if draw(st.booleans()):
        fields = draw(st.permutations(fields))
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (" :  ", " ,\n")]))
    is_ascii = draw(st.booleans())
    pairs = (f"{json.dumps(k)}{colon}{json.dumps(v, ensure_ascii=is_ascii)}" for k, v in fields)
    return ("{" + comma.join(pairs) + "}").encode(errors="surrogatepass")


@examples(300)
@given(frames())
def test_both_ways_agree(frame: bytes) -> None:
    same_either_way(frame)


@examples(300)
@given(
    frame=st.just(frame_of()) | frames(),
    at=st.floats(0, 1),
    near=st.sampled_from(["anywhere", "head", "tail"]),
    cut_bytes=st.integers(0, 3),
    put=st.binary(max_size=3)
    | st.sampled_from([b'"', b"\\", b"{", b"}", b',"delta":"', b'"delta":', b"=", b"==", b" "]),
)
@example(frame=frame_of(), at=1.0, near="anywhere", cut_bytes=0, put=b'"')
def test_both_ways_agree_on_damaged_frames(frame: bytes, at: float, near: str, cut_bytes: int, put: bytes) -> None:
    length = len(frame)
    place = {"anywhere": int(at * length), "head": int(at * 250), "tail": length - int(at * 20)}[near]
    same_either_way(frame[:place] + put + frame[place + cut_bytes :])


@given(st.binary(min_size=600, max_size=700))
def test_what_is_cut_out_is_what_was_sent(pcm: bytes) -> None:
    event = same_either_way(frame_of(text_of(pcm)))
    assert is_cut(event)
    assert event.delta_bytes == pcm
    assert event.delta == text_of(pcm)
