"""The logger of the frames."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, text_delta
from servers import frame

from realtime_sync.delivery.wire_log import line
from realtime_sync.local import LocalServer
from realtime_sync.transport.frames import TEXT


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


def shown(message: Any) -> Any:
    text = line("in", json.dumps(message))
    assert "\n" not in text
    return json.loads(text.removeprefix("<- "))


def test_each_frame_is_one_line_with_its_direction(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    fake.session.poll()
    caplog.set_level(logging.DEBUG, "realtime_sync.wire")
    ack = fake.session.clear_audio()
    fake.wire.say({"type": "input_audio_buffer.cleared"}, text_delta("r", "two\nlines"))
    ack.result()
    lines = [record.getMessage() for record in caplog.records if record.name == "realtime_sync.wire"]
    assert lines[0] == f'-> {{"type": "input_audio_buffer.clear", "event_id": "{ack.event_id}"}}'
    assert lines[1] == '<- {"type": "input_audio_buffer.cleared"}'
    assert json.loads(lines[2][3:])["delta"] == "two\nlines"
    assert all("\n" not in text for text in lines)


def test_nothing_is_looked_at_while_it_is_off(
    fake: FakeSession, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("realtime_sync.delivery.wire_log.line", lambda *_: 1 / 0)
    caplog.set_level(logging.INFO, "realtime_sync.wire")
    ack = fake.session.clear_audio()
    fake.wire.say({"type": "input_audio_buffer.cleared"})
    assert ack.result()


def test_media_is_told_by_its_length() -> None:
    assert shown({"type": "input_audio_buffer.append", "audio": "AAAA"})["audio"] == "<4 characters>"
    assert shown({"type": "response.output_audio.delta", "delta": "AAAA"})["delta"] == "<4 characters>"
    assert shown({"type": "session.output_audio.delta", "delta": "AAAA"})["delta"] == "<4 characters>"
    assert shown({"type": "response.output_text.delta", "delta": "AAAA"})["delta"] == "AAAA"
    image = {"item": {"content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}}
    assert shown(image)["item"]["content"][0]["image_url"] == "<26 characters>"
    assert shown({"session": {"instructions": "x" * 1000}})["session"]["instructions"].endswith("<1000 characters>")


def test_credentials_are_left_out(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    tool = {"type": "mcp", "authorization": "secret-1", "headers": {"X-Key": "secret-2"}}
    told = json.dumps(shown({"session": {"tools": [tool], "client_secret": {"value": "secret-3"}}}))
    assert "secret-" not in told
    assert told.count("<redacted>") == 3
    caplog.set_level(logging.DEBUG, "realtime_sync.wire")
    fake.wire.say({"type": "error", "error": {"message": "no such key: sk-of-the-test"}})
    fake.session.wait_for("error")
    logged = [record.getMessage() for record in caplog.records if record.name == "realtime_sync.wire"]
    assert logged == ['<- {"type": "error", "error": {"message": "no such key: <redacted>"}}']


@pytest.mark.parametrize("odd", [b"\xff\xfe", "not json", b"[1,"])
def test_what_is_no_json_is_told_by_its_size(odd: Any) -> None:
    assert line("in", odd).endswith("that are no JSON")


def nested(depth: int) -> bytes:
    return b'{"type":"x.y","api_key":"sk-secret","a":%b%b}' % (b"[" * depth, b"]" * depth)


@pytest.mark.parametrize("share", [1.2, 100.0])  # of Python's own limit
def test_what_is_nested_too_deeply_is_told_by_its_size(share: float) -> None:
    deep = nested(int(sys.getrecursionlimit() * share))
    assert line("in", deep) == f"<- {len(deep)} bytes that are nested too deeply to be shown"


def test_a_deeply_nested_frame_does_not_end_the_session(fake: FakeSession, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "realtime_sync.wire")
    fake.wire.incoming.put(frame(TEXT, nested(int(sys.getrecursionlimit() * 0.9))))  # which `json` still reads
    fake.wire.say({"type": "x.z"})
    fake.session.wait_for("x.z")
    arrived = [record.getMessage() for record in caplog.records if record.name == "realtime_sync.wire"]
    assert len(arrived) == 2
    assert "sk-secret" not in caplog.text


def test_a_whole_session_is_logged_without_its_key(caplog: pytest.LogCaptureFixture) -> None:
    import realtime_sync as rt

    caplog.set_level(logging.DEBUG, "realtime_sync.wire")
    with (
        LocalServer(api_key="sk-very-secret") as server,
        rt.connect("m", base_url=server.base_url, api_key="sk-very-secret") as session,
    ):
        session.ask("hi")
    assert "session.created" in caplog.text
    assert "sk-very-secret" not in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 5000
