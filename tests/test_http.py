"""The little HTTP before the frames, from a stream that is a list of pieces: however cut, and however hostile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime_sync._deadline import Deadline
from realtime_sync._secrets import is_secret
from realtime_sync.errors import AuthenticationError, ConfigurationError, HandshakeError, RealtimeError, RealtimeTimeout
from realtime_sync.transport.frames import Closed
from realtime_sync.transport.headers import Headers, SecretBytes, Secrets, checked, header_lines
from realtime_sync.transport.http import Head, read_body, read_head, refusal, retry_after_s
from realtime_sync.transport.websocket import error_of

KEY = "sk-very-secret-key"
SECRETS = Secrets.of({"Authorization": f"Bearer {KEY}"})


class Pieces:
    """A stream that gives these pieces, one for each read; then its end."""

    def __init__(self, *pieces: bytes, then: Exception | None = None) -> None:
        self.pieces = list(pieces)
        self.then = then

    def receive(self, deadline: Deadline, doing: str) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.then:
            raise self.then
        return b""


def head_of(pieces: Sequence[bytes]) -> tuple[Head, bytes]:
    stream: Any = Pieces(*pieces)
    return read_head(stream, Deadline(20), "the server", "asking", SECRETS)


def body_of(headers: dict[str, str], raw: bytes, *pieces: bytes, then: Exception | None = None) -> str:
    stream: Any = Pieces(*pieces, then=then)
    return read_body(stream, Head(500, "no", headers), raw, Deadline(20))


HEAD = b"HTTP/1.1 200 All right\r\nA: b\r\nX-Y:  z \r\na: c\r\n\r\n"
PARSED = Head(200, "All right", {"a": "b, c", "x-y": "z"})


@pytest.mark.parametrize("size", range(1, len(HEAD) + 1))
def test_a_head_in_pieces_of_each_size(size: int) -> None:
    whole = HEAD + b"rest"
    stream: Any = Pieces(*(whole[i : i + size] for i in range(0, len(whole), size)))
    head, received = read_head(stream, Deadline(20), "the server", "asking", SECRETS)
    assert head == PARSED
    assert received + b"".join(stream.pieces) == b"rest"


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
def test_a_head_cut_in_two_at_each_place(cut: int) -> None:
    assert head_of([HEAD[:cut], HEAD[cut:] + b"rest"]) == (PARSED, b"rest")


@given(st.lists(st.integers(1, 20), max_size=40))
def test_a_head_cut_anyhow(sizes: list[int]) -> None:
    pieces, position = [], 0
    for size in [*sizes, len(HEAD)]:
        if HEAD[position : position + size]:
            pieces.append(HEAD[position : position + size])
        position += size
    assert head_of(pieces) == (PARSED, b"")


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize("size", range(1, len(INTERIM + HEAD) + 5))
def test_interim_answers_are_read_past_in_pieces_of_each_size(size: int) -> None:
    whole = INTERIM + HEAD + b"rest"
    stream: Any = Pieces(*(whole[i : i + size] for i in range(0, len(whole), size)))
    head, received = read_head(stream, Deadline(20), "the server", "asking", SECRETS)
    assert head == PARSED
    assert received + b"".join(stream.pieces) == b"rest"


@pytest.mark.parametrize("cut", range(1, len(INTERIM + HEAD)))
def test_interim_answers_cut_in_two_at_each_place(cut: int) -> None:
    whole = INTERIM + HEAD
    assert head_of([whole[:cut], whole[cut:] + b"rest"]) == (PARSED, b"rest")


@pytest.mark.parametrize("status", [101, 200, 401, 99])
def test_an_answer_that_is_not_interim_is_the_answer(status: int) -> None:
    head, received = head_of([b"HTTP/1.1 %03d x\r\n\r\n" % status + INTERIM])
    assert (head.status, received) == (status, INTERIM)


def test_interim_answers_are_bounded_in_size_and_number() -> None:
    one = INTERIM[: INTERIM.index(b"HTTP", 1)]
    assert head_of([one * 16 + HEAD]) == (PARSED, b"")
    for endless in ([one * 17 + HEAD], [one] * 1000):
        with pytest.raises(HandshakeError, match=r"^the server sent more than 16 interim answers$") as caught:
            head_of(endless)
        assert caught.value.status == 100
    hints = b"HTTP/1.1 103 x\r\n" + b"Link: </x>\r\n" * 6_000
    for large in ([one + hints], [one + hints + b"\r\n" + HEAD]):
        with pytest.raises(HandshakeError, match="a header of more than 65536 bytes"):
            head_of(large)


def test_who_leaves_after_an_interim_answer_speaks_http() -> None:
    for said, when in ((b"", "before"), (b"HTTP/1.1 101 Swi", "within")):
        with pytest.raises(HandshakeError, match=rf"closed the connection {when} its answer$"):
            head_of([INTERIM + said])
    with pytest.raises(HandshakeError, match="does not answer in HTTP"):
        head_of([INTERIM + b"\x15\x03\r\n\r\n"])


@given(st.binary(max_size=200))
@example(b"HTTP/1.1 \xb9\xb2\xb3 x\r\n\r\n")
@example(b"HTTP/1.1 200\r\n: x\r\n\r\n")
def test_noise_is_an_error_of_ours(raw: bytes) -> None:
    with suppress(HandshakeError):
        head_of([raw, b"\r\n\r\n"])


def test_a_header_that_repeats_without_end_costs_no_more_than_its_bytes() -> None:
    raw = b"HTTP/1.1 200 x\r\n" + b"a:\r\n" * 16_000 + b"\r\n"
    started = time.process_time()
    head, _ = head_of([raw])
    assert head.headers["a"].count(",") == 15_999
    assert time.process_time() - started < 1


def test_what_is_no_http_is_shown_without_the_credentials() -> None:
    with pytest.raises(HandshakeError) as caught:
        head_of([f"{KEY} is what you sent\r\n\r\n".encode()])
    assert str(caught.value) == "the server does not answer in HTTP; it begins with '<redacted> is what you sent'"
    with pytest.raises(HandshakeError) as caught:
        head_of([f"it was, as you know, certainly {KEY}\r\n\r\n".encode()])
    assert KEY[:4] not in str(caught.value)


# Bodies

CHUNKED = {"transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", "hello"),
        (b"5;x=y\r\nhello\r\n6 ;z\r\n world\r\n0\r\n\r\n", "hello world"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        (b"5\r\nhel", "hel"),
        (b"ffffffff\r\nhello", "hello"),
        (b"5\r\nhello\r\nzz\r\nno", "hello"),
        (b"-2\r\n" * 16_000, ""),
        (b"+5\r\nhello", ""),
        (b"0x5\r\nhello", ""),
        (b"5_0\r\nhello", ""),
        (b" 5\r\nhello", ""),
        (b"123456789\r\nhello", ""),
        (b"\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_chunks(raw: bytes, body: str) -> None:
    assert body_of(CHUNKED, raw) == body
    if len(raw) < 200:
        assert body_of(CHUNKED, b"", *(bytes([value]) for value in raw)) == body


@pytest.mark.parametrize(
    "chunk", [b"-2\r\n", b"0\r\n", b"1\r\nx\r\n", b"1;" + b"y" * 50 + b"\r\nx\r\n", b"ffffffff\r\n"]
)
def test_hostile_chunks_cost_no_more_than_their_bytes(chunk: bytes) -> None:
    raw = chunk * (65_536 // len(chunk))
    started = time.process_time()
    assert len(body_of(CHUNKED, raw)) <= 65_536
    assert time.process_time() - started < 1


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10))
def test_chunks_come_out_as_they_went_in(parts: list[bytes]) -> None:
    raw = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert body_of(CHUNKED, raw) == b"".join(parts).decode(errors="replace")


@pytest.mark.parametrize("length", ["4", "0004"])
def test_a_body_is_as_long_as_said(length: str) -> None:
    assert body_of({"content-length": length}, b"more than said") == "more"


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "4, 4", "４", "", "1e3", "0x4", "4_0"])  # noqa: RUF001
def test_a_length_that_is_none_is_taken_for_none(length: str) -> None:
    assert body_of({"content-length": length}, b"all ", b"of it") == "all of it"


def test_a_body_is_bounded() -> None:
    assert len(body_of({"content-length": "9" * 9}, b"x" * 100_000)) == 65_536
    assert len(body_of({}, b"", *[b"x" * 1000] * 100)) == 65_536
    assert len(body_of(CHUNKED, b"fffff\r\n" + b"x" * 100_000)) == 65_536


@pytest.mark.parametrize("error", [RealtimeTimeout("late"), HandshakeError("reset")])
def test_what_came_of_a_body_before_it_failed_is_kept(error: RealtimeError) -> None:
    assert body_of({"content-length": "100"}, b"begun", then=error) == "begun"


# What a refusal tells


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1e400", None),
        ("1e300", None),
        ("9" * 5000, None),
        ("nan", None),
        ("-1", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Wed, 99999999999999999999 Oct 2035 07:28:00 GMT", None),
        ("Wed, 21 Oct 2035 07:28:00 +99999999999999", None),
        ("Wed, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Wed, 21 Oct 2999 07:28:00 GMT", None),
        ("", None),
        ("\0", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": value}) == seconds


@given(
    st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} [A-Z][a-z]{2} \d{1,30} \d+:\d+:\d+ [-+]?\d{1,30}")
)
def test_retry_after_is_a_sane_number_or_none(value: str) -> None:
    found = retry_after_s({"retry-after": value, "retry-after-ms": value})
    assert found is None or 0 <= found < 400 * 86400


def test_a_refusal_repeats_no_credential() -> None:
    head = Head(401, f"No {KEY}", {"x-request-id": f"req-{KEY}"})
    error = refusal("the server", head, f'{{"error": "bad key {KEY}"}}', SECRETS)
    assert type(error) is AuthenticationError
    assert KEY not in f"{error}{error.body}{error.request_id}"
    assert error.request_id == "req-<redacted>"
    assert str(error).endswith("HTTP 401: bad key <redacted>")
    assert KEY not in str(refusal("the server", head, "", SECRETS))


def test_half_a_character_can_be_printed() -> None:
    error = refusal("the server", Head(500, "no", {}), '{"message": "a \\ud800 b"}', Secrets())
    assert str(error).encode().endswith(b"a ? b")


def test_what_is_told_is_one_line_that_steers_no_terminal() -> None:
    for error in (
        refusal("the server", Head(500, "a\n\tb\x1b[2Jc\x85d", {}), "", Secrets()),
        refusal("the server", Head(500, "", {}), '{"message": "a\\n\\tb\\u001b[2Jc\\u0085d"}', Secrets()),
    ):
        assert str(error).endswith("HTTP 500: a b?[2Jc d")
    assert len(str(refusal("the server", Head(500, "x" * 9000, {}), "", Secrets()))) < 600
    told = error_of(Closed(3000, "a\nb\x1bc"), "the server")
    assert str(told).endswith("3000: a b?c")
    assert told.reason == "a\nb\x1bc"


# Headers


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "API-Key",
        "x-api-key",
        "X-Auth-Token",
        "Cookie",
        "sig",
        "access_token",
        "Ocp-Apim-Subscription-Key",
        "client_secret",
        "password",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    text = "value-of-the-secret"
    assert Secrets.of({name: text}).redact(f"you said {text}!") == "you said <redacted>!"
    assert Secrets.of({}, f"x=1&{name}={text}").redact(f"you said {text}!") == "you said <redacted>!"


@pytest.mark.parametrize("name", ["User-Agent", "model", "OpenAI-Organization", "api-version", "X-Trace-Id", "signal"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)
    assert Secrets.of({name: "value-of-no-secret"}).redact("value-of-no-secret") == "value-of-no-secret"


def test_secrets() -> None:
    secrets = Secrets.of({"Authorization": "Bearer abcdefgh-1 abcdefgh-12"}, "api-key=a%2Fb%2Fc%2Fd%2Fe")
    assert secrets.redact("Bearer abcdefgh-12 abcdefgh-1") == "Bearer <redacted> <redacted>"
    assert secrets.redact("a/b/c/d/e a%2Fb%2Fc%2Fd%2Fe") == "<redacted> <redacted>"
    assert "abcdefgh" not in repr(secrets)
    assert Secrets().redact("x") == "x"


def test_the_secrets_of_the_latest_connections_are_taken_out() -> None:
    keys = [f"sk-of-connection-{number:02d}" for number in range(20)]
    secrets = Secrets.of({"Authorization": f"Bearer {keys[0]}"})
    for key in (*keys[1:15], keys[0], *keys[15:]):
        secrets.learn({"Authorization": f"Bearer {key}"})
    known = [keys[0], *keys[5:]]
    assert [key for key in keys if secrets.redact(key) == "<redacted>"] == known
    assert [key for key in keys if secrets.clean([key.encode()]) == [b"<redacted>"]] == known


@pytest.mark.parametrize("key", ["sk-proj-4f0a9c27d1e8b365", "4f0a9c27d1e8b3650c7f2e9a1d4b8603", "ek_4f0a9c27d1e8b365"])
def test_a_key_is_taken_out_of_messages_of_any_content(key: str) -> None:
    secrets = Secrets.of({"Authorization": f"Bearer {key}"})
    innocent = [b"", b"-._~:", b"A" * 10_000, key[:-1].encode(), key[1:].encode(), b"well-known: a.b~c"]
    assert secrets.clean(innocent) == innocent
    for before in innocent:
        assert secrets.clean([before + key.encode() + before]) == [before + b"<redacted>" + before]


def test_headers_show_their_names_only() -> None:
    headers = Headers({"Authorization": KEY, "X": "y"})
    assert repr(headers) == "<Authorization, X>"
    assert headers == {"Authorization": KEY, "X": "y"}
    assert bytes(header_lines(headers)) == f"Authorization: {KEY}\r\nX: y\r\n".encode()
    assert repr(header_lines(headers)) == "<41 bytes>"
    assert repr(SecretBytes(b"abc")) == "<3 bytes>"


@pytest.mark.parametrize(
    "headers",
    [{"X": "a\nb"}, {"X": "a\r\nY: b"}, {"X:": "b"}, {"X": " b"}, {"": "b"}, {"X": "日"}, {"X": 5}, "X", None],
)
def test_headers_that_cannot_be_sent(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        checked(headers)
