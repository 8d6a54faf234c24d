"""What a server said in a shape of its own, as it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realtime_sync.delivery.said import excerpt, text_in

KEY = "sk-a-key-of-this-test"


def redact(text: str) -> str:
    return text.replace(KEY, "<redacted>")


@pytest.mark.parametrize(
    "said",
    [
        "BOOM",
        {"message": "BOOM"},
        {"error": "BOOM"},
        {"error": {"error": {"message": "BOOM"}}},
        {"detail": "BOOM"},
        {"detail": [{"loc": ["body"], "msg": "BOOM"}]},
        {"reason": "BOOM", "code": "x"},
        {"errors": [{"message": "BOOM"}]},
        {"message": {"error": ["BOOM"]}},
        {"message": "", "error": None, "reason": "BOOM"},
    ],
)
def test_the_text_of_an_error_is_found_wherever_it_is(said: Any) -> None:
    assert text_in(said) == "BOOM"


def test_several_texts_are_told_together() -> None:
    assert text_in({"errors": ["a", {"message": "b"}, None]}) == "a; b"


def test_where_there_is_no_text_none_is_found() -> None:
    for said in (None, "", 5, True, {}, [], {"message": 5}, {"colour": "blue"}):
        assert text_in(said) is None
    endless: Any = "BOOM"
    for _ in range(900):
        endless = {"error": [endless]}
    assert text_in(endless) is None


def test_an_excerpt_is_short_and_on_one_line() -> None:
    assert excerpt({"a": 1, "b": "two\nlines"}) == '{"a": 1, "b": "two\\nlines"}'
    assert excerpt("upstream\r\n\x1b[31mBOOM") == "upstream ?[31mBOOM"
    assert excerpt(b'{"type": "x"') == '{"type": "x"'
    for long in ("word " * 1000, {"text": "x" * 100_000}, [1] * 1000, json.dumps({"text": "x" * 1000}).encode()):
        assert 190 < len(excerpt(long)) < 210


def test_an_excerpt_shows_no_media() -> None:
    sound = "A" * 1000
    for said in (
        {"type": "vendor.audio.delta", "delta": sound},
        {"audio": sound, "type": "x"},
        {"image_url": f"data:image/png;base64,{sound}"},
    ):
        assert "characters>" in excerpt(said)
        assert "AAAA" not in excerpt(said)
        assert "AAAA" not in excerpt(json.dumps(said).encode())
    assert excerpt(bytes([200]) * 480) == "<480 bytes>"


@pytest.mark.parametrize("before", ["", "x" * 190, "x" * 295])
def test_an_excerpt_shows_no_credential_nor_a_part_of_one(before: str) -> None:
    for said in (f"{before}{KEY}", {"text": f"{before}{KEY}"}, {KEY: 1}, f'{{"cut": "{before}{KEY}'):
        assert "sk-" not in excerpt(said, redact)
        assert "sk-" not in excerpt({"text": [KEY] * 10, "more": said}, redact)


@pytest.mark.parametrize(
    "said",
    [
        {"client_secret": {"value": "ek_hidden"}},
        {"Authorization": "Bearer ek_hidden"},
        '{"client_secret": {"value": "ek_hidden"',
        "Authorization: Bearer ek_hidden",
        "bad headers: x\nX-Api-Key=ek_hidden",
    ],
)
def test_an_excerpt_hides_what_stands_under_the_name_of_a_credential(said: Any) -> None:
    assert "<redacted>" in excerpt(said)
    assert "ek_hidden" not in excerpt(said)


def test_what_cannot_be_shown_is_told_by_its_kind() -> None:
    assert excerpt(object()) == "<object>"
    assert excerpt("[" * 100_000) == "<nested too deeply to be shown>"
