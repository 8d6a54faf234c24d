"""Translation sessions on the local server."""

from __future__ import annotations

import base64
from typing import Any

from local_raw import RawClient, b64, quiet, tone, types

from realtime_sync.local import LocalServer, Say

PATH = "/realtime/translations"
MODEL = "model=gpt-realtime-translate"
TURN = quiet(400) + tone(600) + quiet(600)


def append(client: RawClient, pcm: bytes) -> None:
    client.send("session.input_audio_buffer.append", audio=b64(pcm))


def test_speech_comes_back_translated() -> None:
    seen: list[Any] = []

    def translate(turn: Any) -> Say:
        seen.append((turn.text, turn.session["audio"]["output"]["language"]))
        return Say("hola mundo", tone(300))

    server = LocalServer(translate, transcriber=lambda pcm, rate_hz: "hello world").start()
    with server, RawClient(server, MODEL, path=PATH) as client:
        assert client.session["type"] == "translation"
        audio = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}, "output": {"language": "es"}}
        client.send("session.update", session={"audio": audio})
        assert client.expect("session.updated")["session"]["audio"]["output"] == {"language": "es"}
        append(client, TURN)
        append(client, tone(300))
        client.send("session.close")
        events = client.until("session.closed")
        assert client.closed() == (1000, "")
    assert seen == [("hello world", "es")] * 2
    one = ["session.input_transcript.delta", "session.output_transcript.delta", "session.output_audio.delta"]
    assert types(events) == [*one, *one, "session.closed"]
    texts = ["".join(e["delta"] for e in events if e["type"] == kind) for kind in one[:2]]
    assert texts == ["hello world" * 2, "hola mundo" * 2]
    chunks = [base64.b64decode(e["delta"]) for e in events if e["type"] == one[2]]
    assert b"".join(chunks) == tone(300) * 2
    assert {(e["sample_rate"], e["channels"], e["format"]) for e in events if e["type"] == one[2]} == {
        (24_000, 1, "pcm16")
    }
    assert server.failures == []


def test_other_events_are_refused() -> None:
    with LocalServer() as server, RawClient(server, MODEL, path=PATH) as client:
        event_id = client.send("response.create")
        error = client.error()
        assert (error["code"], error["param"], error["event_id"]) == ("invalid_value", "type", event_id)
        client.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        assert client.error()["param"] == "session.audio.input.turn_detection"
