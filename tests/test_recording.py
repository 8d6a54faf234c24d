"""Talks are written down, shown, played again, and recorded between a client and a server."""

from __future__ import annotations

import errno
import json
import math
import subprocess
import sys
import time
import urllib.error
import urllib.request
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import pytest
from local_raw import RawClient, b64, quiet, text_of, tone
from patience import PROCESS_S
from websockets.exceptions import InvalidStatus

import realtime_sync as rt
from realtime_sync.local import LocalServer, LogEntry, Quirks, ReplayDifference, Reply, ToolCall
from realtime_sync.recording import Message, Recorder, Recording, export_audio
from realtime_sync.recording.__main__ import main
from realtime_sync.recording.message import url_without_secrets
from realtime_sync.recording.table import table

WAIT_S = 20.0
MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}}


def weather(base_url: str, question: str = "The weather in Oslo?") -> str:
    """The program under test: typed text and sound, a tool, two responses."""
    with rt.connect("gpt-realtime", base_url=base_url, api_key="k") as session:

        @session.tool
        def get_weather(city: str) -> dict[str, str]:
            return {"sky": "clear"}

        session.update_session(MANUAL).result()
        try:
            told = str(session.ask(question))
        except rt.RealtimeError:
            with suppress(rt.ConnectionClosed):  # the server's close comes right behind the error
                session.wait_for("vendor.never", timeout=WAIT_S)
            raise
        return told + " " + str(session.ask(audio=tone(300)))


SCRIPT: list[Any] = [ToolCall("get_weather", {"city": "Oslo"}), "It is clear.", Reply("I heard you.", audio=tone(400))]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """What a proxy wrote down of the program."""
    path = tmp_path / "talks" / "weather.jsonl"
    with (
        LocalServer(SCRIPT, api_key="sk-upstream", transcripts=["said"]) as upstream,
        LocalServer(upstream=upstream.base_url, upstream_key="sk-upstream", record=path) as proxy,
    ):
        assert weather(proxy.base_url) == "It is clear. I heard you."
        upstream.assert_done()
        proxy.assert_done()
        assert upstream.requests[0].query == {"model": "gpt-realtime"}
    return path


# ---------------------------------------------------------------------------------------------------------- recorder


def test_a_recorder_is_a_tap(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "talk.jsonl"
    with LocalServer() as server, Recorder(path) as recorder, rt.connect("m", base_url=server.base_url) as session:
        session.add_tap(recorder.tap("wss://user:pass@host/v1/realtime?model=m&api-key=secret"))
        session.ask("Hello?")
        # Each line is there at once: nothing has been closed.
        recording = Recording.load(path)
    kinds = [message.type for message in recording.messages]
    # An answer may be read before the tap is told of the question, so their order is not looked at.
    assert {"conversation.item.create", "conversation.item.done", "response.create", "response.done"} <= set(kinds)
    assert {message.direction for message in recording.messages} == {"to_server", "to_client"}
    assert recording.urls == {1: "wss://host/v1/realtime?model=m&api-key=<redacted>"}
    assert "secret" not in path.read_text()
    assert "pass" not in path.read_text()
    times = [message.at_s for message in recording.messages]
    assert times == sorted(times)


def test_secrets_are_not_written(tmp_path: Path) -> None:
    tools = [{"type": "mcp", "server_label": "s", "authorization": "SECRET", "headers": {"x": "SECRET"}}]
    with Recorder(tmp_path / "x.jsonl") as recorder:
        tap = recorder.tap()
        tap("out", json.dumps({"type": "session.update", "session": {"tools": tools, "client_secret": None}}))
        tap("in", "not json")
        tap("in", b"[1]")
    recording = Recording.load(tmp_path / "x.jsonl")
    assert "SECRET" not in recorder.path.read_text()
    assert recording.messages[0].event == {
        "type": "session.update",
        "session": {
            "tools": [{**tools[0], "authorization": "<redacted>", "headers": "<redacted>"}],
            "client_secret": None,
        },
    }
    assert [message.event for message in recording.messages[1:]] == ["not json", "[1]"]
    assert recording.messages[1].type == ""


def test_audio_can_be_left_out(tmp_path: Path) -> None:
    with Recorder(tmp_path / "x.jsonl", audio="elide") as recorder:
        tap = recorder.tap()
        tap("out", json.dumps({"type": "input_audio_buffer.append", "audio": "A" * 400}))
        tap("in", json.dumps({"type": "response.output_audio.delta", "delta": "A" * 40}))
        tap("in", json.dumps({"type": "response.output_text.delta", "delta": "text"}))
    append, delta, text = (message.event for message in Recording.load(recorder.path).messages)
    assert isinstance(append, dict)
    assert isinstance(delta, dict)
    assert isinstance(text, dict)
    assert (append["audio"], delta["delta"], text["delta"]) == ("<elided 400>", "<elided 40>", "text")
    with pytest.raises(rt.ConfigurationError, match="holds no audio"):
        export_audio(Recording.load(recorder.path), tmp_path / "out")


def test_a_recording_can_be_continued_and_may_be_cut(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Recorder(path) as recorder:
        recorder.tap("ws://a")("in", '{"type": "one"}')
    with path.open("a") as file:
        file.write('{"connection":1,"at_s":0.5,"dire')  # a crash
    assert Recording.load(path).cut
    with Recorder(path, append=True) as recorder:
        recorder.tap("ws://b")("in", '{"type": "two"}')
    recorder.tap("ws://c")("in", '{"type": "too late"}')
    recording = Recording.load(path)
    assert [[message.type for message in messages] for messages in recording.connections] == [["one"], ["two"]]
    assert recording.urls == {1: "ws://a", 2: "ws://b"}


def test_what_cannot_be_recorded_or_read(tmp_path: Path) -> None:
    with pytest.raises(rt.ConfigurationError, match="cannot record"):
        Recorder(tmp_path)
    with pytest.raises(rt.ConfigurationError, match="keep"):
        Recorder(tmp_path / "x", audio="drop")  # type: ignore[arg-type]
    with pytest.raises(rt.ConfigurationError, match="cannot read"):
        Recording.load(tmp_path / "missing")
    (tmp_path / "other").write_text("{}\n[1]\nnull\nnonsense")
    with pytest.raises(rt.ConfigurationError, match="no recording"):
        Recording.load(tmp_path / "other")


def test_half_a_character_is_written_as_its_escape(tmp_path: Path) -> None:
    with Recorder(tmp_path / "x.jsonl") as recorder:
        tap = recorder.tap()
        tap("in", r'{"type": "odd", "text": "a\ud83d"}')
        tap("in", "no json: \ud83d")
        tap("in", '{"type": "next"}')
    events = [message.event for message in Recording.load(recorder.path).messages]
    assert events == [{"type": "odd", "text": "a\ud83d"}, "no json: \ud83d", {"type": "next"}]
    with (
        LocalServer.replay(recorder.path) as server,
        RawClient(server, created=False, checked=False) as client,
    ):
        assert client.recv()["text"] == "a\ud83d"


DEEP = 5_000


@pytest.mark.parametrize(
    "text",
    [
        '{"authorization": "SECRET", "x": %s}' % ("[" * DEEP + "]" * DEEP),
        '{"authorization": "SECRET", "x": %s}' % ('{"a":' * 600 + "1" + "}" * 600),
        '{"authorization": "SECRET", "x": %s}' % ("1" * DEEP),
    ],
    ids=["too deep to read", "deep", "a number of many digits"],
)
def test_what_is_too_deep_to_be_looked_at_is_not_written_as_it_is(tmp_path: Path, text: str) -> None:
    with Recorder(tmp_path / "x.jsonl", audio="elide") as recorder:
        tap = recorder.tap()
        tap("in", text)
        tap("in", '{"type": "next"}')
    assert "SECRET" not in recorder.path.read_text()
    assert len(Recording.load(recorder.path).messages) == 2


def test_odd_numbers_and_depths_in_a_file_are_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    odd = ['{"connection":1e999}', "[" * 100_000, '{"connection":"a","url":""}', '{"connection":null,"url":""}']
    path.write_text("\n".join(['{"connection":"4","url":"ws://x"}', *odd]) + "\n")
    assert (Recording.load(path).urls, Recording.load(path).cut) == ({4: "ws://x"}, True)
    with Recorder(path, append=True) as recorder:
        recorder.tap("ws://y")
    assert Recording.load(path).urls == {4: "ws://x", 5: "ws://y"}


def test_urls_lose_their_secrets() -> None:
    assert url_without_secrets("https://u:p@h:1/v1?token=x&a=b") == "https://h:1/v1?token=<redacted>&a=b"


# ------------------------------------------------------------------------------------------------------------- replay


def test_a_recording_is_played_to_any_client(recorded: Path) -> None:
    with LocalServer.replay(recorded, strict=True) as server:
        for _ in range(2):
            assert weather(server.base_url) == "It is clear. I heard you."
        server.assert_done()
        sent = [event["type"] for event in server.requests[0].sent]
        assert sent == [m.type for m in Recording.load(recorded).messages if m.direction == "to_client"][: len(sent)]


def test_the_first_difference_is_named(recorded: Path) -> None:
    with LocalServer.replay(recorded) as server:
        with pytest.raises(rt.RealtimeError):
            weather(server.base_url, "The weather in Rome?")
        [failure] = server.failures
        assert isinstance(failure, ReplayDifference)
        assert str(failure) == (
            'event 3, conversation.item.create: item.content[0].text is "The weather in Rome?", '
            'recorded was "The weather in Oslo?"'
        )
        with pytest.raises(AssertionError, match=r"ReplayDifference: event 3"):
            server.assert_done()
        assert server.requests[0].wait_closed() == 4000


def written(path: Path, *messages: tuple[str, Any]) -> Path:
    with Recorder(path) as recorder:
        tap = recorder.tap("ws://x")
        for arrow, event in messages:
            tap("in" if arrow == "<" else "out", event if isinstance(event, str) else json.dumps(event))
            time.sleep(0.001)
    return path


CREATED = {"type": "session.created", "event_id": "event_1", "session": {"id": "sess_1"}}
ITEM = {"id": "item_mine", "type": "message"}


def test_ids_of_the_client_may_be_others_and_come_back(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.jsonl",
        ("<", CREATED),
        (">", {"type": "conversation.item.create", "event_id": "e1", "item": ITEM}),
        ("<", {"type": "conversation.item.added", "item": ITEM}),
        ("<", {"type": "error", "error": {"event_id": "e1"}}),
        (">", {"type": "conversation.item.delete", "item_id": "item_mine"}),
        ("<", {"type": "conversation.item.deleted", "item_id": "item_mine"}),
        (">", {"type": "conversation.item.delete", "item_id": "item_mine"}),
    )
    with LocalServer.replay(path) as server, RawClient(server, checked=False) as client:
        event_id = client.send("conversation.item.create", item={"id": "item_other", "type": "message"})
        assert client.recv()["item"]["id"] == "item_other"
        assert client.error()["event_id"] == event_id
        client.send("conversation.item.delete", item_id="item_other")
        assert client.recv()["item_id"] == "item_other"
        client.send("conversation.item.delete", item_id="item_mine")
        assert client.error()["code"] == "replay_difference"
        assert 'item_id is "item_mine", expected was "item_other"' in str(server.failures[0])


def test_two_ids_cannot_become_one(tmp_path: Path) -> None:
    create = [(">", {"type": "conversation.item.create", "item": {"id": name}}) for name in ("one", "two")]
    path = written(tmp_path / "x.jsonl", ("<", CREATED), *create)
    with LocalServer.replay(path) as server, RawClient(server, checked=False) as client:
        for _ in create:
            client.send("conversation.item.create", item={"id": "same"})
        assert 'item.id is "same" once more, recorded was another one: "two"' in client.error()["message"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"type": "b"}, "event 1, a: b was sent"),
        ({"type": "a", "n": True, "l": [1]}, "event 1, a: n is true, recorded was 1"),
        ({"type": "a", "n": 1}, "event 1, a: l is missing"),
        ({"type": "a", "n": 1, "l": [1], "x": 0}, "event 1, a: x is not in the recording"),
        ({"type": "a", "n": 1, "l": [1, 2]}, "event 1, a: l has 2 entries, recorded were 1"),
        ("{broken", 'event 1, a: "{broken" was sent'),
    ],
)
def test_differences_in_words(tmp_path: Path, sent: Any, told: str) -> None:
    path = written(tmp_path / "x.jsonl", ("<", CREATED), (">", {"type": "a", "n": 1, "l": [1]}))
    with LocalServer.replay(path) as server, RawClient(server, checked=False) as client:
        client.websocket.send(sent if isinstance(sent, str) else json.dumps(sent))
        assert client.error()["message"] == told
        assert client.closed() == (4000, "replay_difference")
        assert [str(failure) for failure in server.failures] == [told]


def test_too_little_and_too_much(tmp_path: Path) -> None:
    path = written(tmp_path / "x.jsonl", ("<", CREATED), (">", {"type": "a"}))
    with LocalServer.replay(path) as server:
        with RawClient(server, checked=False):
            pass
        with RawClient(server, checked=False) as client:
            client.send("a")
            client.send("a")
            assert "comes after the end" in client.error()["message"]
        server.stop()
        assert sorted(str(failure) for failure in server.failures) == [
            "a comes after the end of the recording",
            "the client left before it sent a",
        ]


def test_audio_counts_by_its_length(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.jsonl",
        ("<", CREATED),
        (">", {"type": "input_audio_buffer.append", "audio": b64(tone(200))}),
        (">", {"type": "input_audio_buffer.append", "audio": b64(tone(200))}),
        ("<", {"type": "input_audio_buffer.speech_started"}),
        (">", {"type": "input_audio_buffer.commit"}),
        ("<", {"type": "input_audio_buffer.committed"}),
    )
    with LocalServer.replay(path) as server, RawClient(server, checked=False) as client:
        client.append(quiet(200), chunk_bytes=960)
        with pytest.raises(TimeoutError):
            client.websocket.recv(0.05)
        client.append(quiet(210), chunk_bytes=960)
        client.expect("input_audio_buffer.speech_started")
        client.send("input_audio_buffer.commit")
        client.expect("input_audio_buffer.committed")
        assert server.failures == []


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {}), ("intent=transcription&model=m", {}), ("model=m", {"OpenAI-Beta": "realtime=v1"})],
)
def test_a_replay_asks_for_what_was_recorded_alone(tmp_path: Path, query: str, headers: dict[str, str]) -> None:
    path = written(tmp_path / "x.jsonl", ("<", CREATED), ("<", {"type": "next"}))
    with (
        LocalServer.replay(path, strict=True) as server,
        RawClient(server, query, headers=headers, checked=False) as client,
    ):
        client.expect("next")


@pytest.mark.parametrize("late", [False, True])
def test_a_client_that_is_refused_uses_up_no_talk(tmp_path: Path, late: bool) -> None:
    path = tmp_path / "x.jsonl"
    with Recorder(path) as recorder:
        for name in ("one", "two"):
            recorder.tap()("in", json.dumps({"type": name}))
    with LocalServer.replay(path, api_key="k", quirks=Quirks(late_authentication=late)) as server:
        right = {"Authorization": "Bearer k"}
        with pytest.raises(rt.AuthenticationError):
            rt.connect("m", base_url=server.base_url, api_key="wrong")
        with RawClient(server, headers=right, created=False, checked=False) as client:
            client.expect("one")
        with pytest.raises(InvalidStatus, match="404"):
            RawClient(server, path="/nowhere", headers=right)
        for name in ("two", "one"):
            with RawClient(server, headers=right, created=False, checked=False) as client:
                client.expect(name)


def test_elided_audio_comes_back_as_silence(tmp_path: Path) -> None:
    with (
        LocalServer([Reply("Hi.", audio=tone(300))]) as upstream,
        Recorder(tmp_path / "x.jsonl", audio="elide") as recorder,
        LocalServer(upstream=upstream.base_url, record=recorder) as proxy,
        RawClient(proxy) as client,
    ):
        client.ask("hello")
    with LocalServer.replay(tmp_path / "x.jsonl") as server, RawClient(server) as client:
        client.say("hello")
        client.send("response.create")
        events = client.response()
        sound = "".join(event["delta"] for event in events if event["type"] == "response.output_audio.delta")
        assert sound == b64(bytes(14_400))


def test_at_recorded_speed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    of_server = {"connection": 1, "direction": "to_client"}
    lines: list[Any] = [{"connection": 1, "url": ""}]
    lines += [{**of_server, "at_s": n * 10.0, "event": {"type": f"t{n}"}} for n in (0, 1, 2)]
    path.write_text("\n".join(map(json.dumps, lines)))
    with LocalServer.replay(path, speed=200) as server:
        before = time.monotonic()
        with RawClient(server, created=False, checked=False) as client:
            client.expect("t0", "t1", "t2")
            assert 0.1 <= time.monotonic() - before < 5
    wrong: list[Any] = [0, "2", math.nan, True, b""]
    for speed in wrong:
        with pytest.raises(
            rt.ConfigurationError,
            match=r"^speed must be a number of times real time, above 0, or None for as fast as it goes; not ",
        ):
            LocalServer.replay(path, speed=speed)


# -------------------------------------------------------------------------------------------------------------- proxy


# The official client's own use of the library.
@pytest.mark.filterwarnings("ignore:connect\\(\\) must be used as a context manager:DeprecationWarning")
def test_the_proxy_adds_the_key_and_keeps_it_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    path = tmp_path / "x.jsonl"
    with (
        LocalServer(["Hi."], api_key="sk-from-the-environment") as upstream,
        LocalServer(upstream=upstream.base_url, record=path) as proxy,
        openai.OpenAI(api_key="sk-of-the-client", base_url=proxy.base_url) as client,
    ):
        with client.realtime.connect(model="gpt-realtime") as connection:
            connection.response.create()
            for event in connection:
                if event.type == "response.done":
                    break
        assert "sk-" not in path.read_text() + repr(proxy.requests) + "".join(map(str, proxy.log))


def test_the_proxy_passes_on_what_goes_wrong(tmp_path: Path) -> None:
    def call(proxy: LocalServer, **options: Any) -> int:
        with pytest.raises(InvalidStatus) as refused:
            RawClient(proxy, **options)
        return refused.value.response.status_code

    with LocalServer(api_key="sk-right") as upstream:
        with LocalServer(upstream=upstream.base_url, upstream_key="sk-wrong", api_key="k") as proxy:
            bearer = {"Authorization": "Bearer k"}
            assert call(proxy) == 401
            assert proxy.refusals[-1].code is None
            assert call(proxy, headers=bearer) == 401
            assert proxy.refusals[-1].code == "invalid_api_key"
            assert call(proxy, headers=bearer, path="/nowhere") == 404
        with LocalServer(upstream=upstream.base_url, upstream_key="sk-right") as proxy:
            upstream.refuse(429, {"Retry-After": "3"})
            assert call(proxy) == 429
            with RawClient(proxy) as client:
                upstream.close_connections(4001, "enough")
                assert client.closed() == (4001, "enough")
            with RawClient(proxy) as client:
                upstream.drop()
                assert client.closed()[0] == 1011
            with RawClient(proxy) as client:
                proxy.expire()
                proxy.silence()
                client.send("input_audio_buffer.clear")
                client.expect("input_audio_buffer.cleared")
        base_url = upstream.base_url
    with LocalServer(upstream=base_url) as proxy:
        assert call(proxy) == 502


def test_wrong_arguments_of_a_proxy(tmp_path: Path) -> None:
    odd: list[Any] = ["http://[x", "http://x:port/v1", "http://x:99999", "https://:443/v1", 5, b"http://x", Path("x")]
    for url in ("api.openai.com", "ftp://x", "https://user:pass@host/v1", *odd):
        with pytest.raises(rt.ConfigurationError, match="upstream is a URL such as"):
            LocalServer(upstream=url)
    with pytest.raises(rt.ConfigurationError, match="upstream"):
        LocalServer(record=tmp_path / "x.jsonl")


def test_other_dialects_are_recorded_as_they_are(tmp_path: Path) -> None:
    quirks = Quirks(beta_names=True)
    with (
        LocalServer(["Hi."], quirks=quirks) as upstream,
        LocalServer(upstream=upstream.base_url, record=tmp_path / "x.jsonl") as proxy,
        RawClient(proxy, checked=False) as client,
    ):
        assert text_of(client.ask("hello")) == "Hi."
    assert "response.audio.delta" in {message.type for message in Recording.load(tmp_path / "x.jsonl").messages}


class Full(Recorder):
    """A disk that is full after so many lines."""

    room = 1

    def _write(self, line: dict[str, Any], start_s: float | None = None) -> None:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        super()._write(line, start_s)


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_full_disk_costs_the_recording_and_not_the_talk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, room: int
) -> None:
    with LocalServer(["Hi."]) as upstream, Full(tmp_path / "x.jsonl") as recorder:
        recorder.room = room
        with LocalServer(upstream=upstream.base_url, record=recorder) as proxy, RawClient(proxy) as client:
            assert text_of(client.ask("hello")) == "Hi."
            upstream.close_connections(4001, "enough")
            assert client.closed() == (4001, "enough")
    assert [record.message for record in caplog.records] == [
        "a recorder failed: no more of this connection is recorded"
    ]
    assert len(recorder.path.read_text().splitlines()) == room


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_does_not_cost_the_session(caplog: pytest.LogCaptureFixture) -> None:
    with LocalServer(["Hi."]) as server, rt.connect("m", base_url=server.base_url, record="/dev/full") as session:
        assert str(session.ask("Hello")) == "Hi."
    failed, unwritten = (record.message for record in caplog.records)
    assert failed == "a recorder failed: no more of this connection is recorded"
    assert unwritten == "the end of the recording /dev/full could not be written"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_proxy_that_fails_ends_the_connection(tmp_path: Path) -> None:
    def look(entry: LogEntry) -> None:
        if isinstance(entry.event, dict) and entry.event["type"] == "odd":
            raise RuntimeError("a fault in a test")

    path = tmp_path / "x.jsonl"
    with (
        LocalServer() as upstream,
        LocalServer(upstream=upstream.base_url, record=path, on_message=look) as proxy,
        RawClient(proxy) as client,
    ):
        upstream.send({"type": "odd"})
        assert client.closed() == (1011, "")
    assert closes_of(path) == [("to_client", 1011, "")]


def post(url: str, body: Any, key: str = "k") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_client_secrets_are_those_of_the_real_server(tmp_path: Path) -> None:
    wanted = {"session": {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}}
    path = tmp_path / "x.jsonl"
    with (
        LocalServer(["Hi."], api_key="sk-upstream") as upstream,
        LocalServer(upstream=upstream.base_url, upstream_key="sk-upstream", api_key="k", record=path) as proxy,
    ):
        url = f"{proxy.base_url}/realtime/client_secrets"
        assert post(url, wanted, "wrong")[0] == 401
        assert post(url, {"session": {"type": "x"}})[0] == 400
        status, told = post(url, wanted)
        assert (status, told["value"][:3]) == (200, "ek_")
        with rt.connect(base_url=proxy.base_url, api_key=told["value"]) as session:
            assert session.config.instructions == "Be brief."
            assert str(session.ask("Hello")) == "Hi."
        with pytest.raises(rt.AuthenticationError):
            rt.connect("m", base_url=proxy.base_url, api_key="ek_of_nobody")
        assert upstream.requests[-1].headers["authorization"] == "<redacted>"
        base_url = upstream.base_url
    assert told["value"] not in path.read_text()
    with LocalServer(upstream=base_url) as proxy:
        assert post(f"{proxy.base_url}/realtime/translations/client_secrets", {})[0] == 502


# ------------------------------------------------------------------------------------------------------------- closes


def closes_of(path: Path) -> list[tuple[str, int, str]]:
    return [(close.direction, close.code, close.reason) for close in Recording.load(path).closes.values()]


def lost(base_url: str) -> rt.ConnectionClosed:
    """A program that asks once and then waits until it is told no more."""
    with rt.connect("gpt-realtime", base_url=base_url) as session:
        session.ask("Hello")
        with pytest.raises(rt.ConnectionClosed) as ended:
            session.wait_for("vendor.never", timeout=WAIT_S)
    return ended.value


@pytest.mark.parametrize("through", ["proxy", "session"])
@pytest.mark.parametrize(("code", "reason"), [(1001, "Your session hit the maximum duration."), (4001, "enough")])
def test_a_close_of_the_server_is_recorded_and_comes_again(
    tmp_path: Path, through: str, code: int, reason: str
) -> None:
    path = tmp_path / f"{through}.jsonl"
    with (
        LocalServer(["Hi."]) as upstream,
        LocalServer(upstream=upstream.base_url, record=tmp_path / "proxy.jsonl") as proxy,
    ):
        record = tmp_path / "session.jsonl"
        with rt.connect("gpt-realtime", base_url=proxy.base_url, record=record) as session:
            session.ask("Hello")
            upstream.close_connections(code, reason)
            with pytest.raises(rt.ConnectionClosed) as ended:
                session.wait_for("vendor.never", timeout=WAIT_S)
            assert (ended.value.code, ended.value.reason) == (code, reason)
    assert closes_of(path) == [("to_client", code, reason)]
    assert f"(the server closed with {code}: {reason})" in "\n".join(table(Recording.load(path)))
    with LocalServer.replay(path, strict=True) as server:
        again = lost(server.base_url)
        assert (again.code, again.reason, type(again)) == (code, reason, type(ended.value))


def test_a_lost_connection_is_lost_again(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with LocalServer(["Hi."]) as upstream, rt.connect("m", base_url=upstream.base_url, record=path) as session:
        session.ask("Hello")
        upstream.drop()
        with pytest.raises(rt.ConnectionLost):
            session.wait_for("vendor.never", timeout=WAIT_S)
    assert closes_of(path) == [("to_client", 1006, "")]
    assert "(the connection was lost)" in "\n".join(table(Recording.load(path)))
    for speed in (None, 100):
        with LocalServer.replay(path, speed=speed, strict=True) as server:
            assert lost(server.base_url).code == 1006


@pytest.mark.parametrize("code", [1000, 3001])
def test_a_close_of_the_client_is_recorded_and_passed_on(tmp_path: Path, code: int) -> None:
    with LocalServer() as upstream, LocalServer(upstream=upstream.base_url, record=tmp_path / "proxy.jsonl") as proxy:
        session = rt.connect("m", base_url=proxy.base_url, record=tmp_path / "own.jsonl")
        session.close(code, "bye")
        assert upstream.requests[0].wait_closed() == code
    assert closes_of(tmp_path / "own.jsonl") == closes_of(tmp_path / "proxy.jsonl") == [("to_server", code, "bye")]
    with LocalServer.replay(tmp_path / "own.jsonl", strict=True) as server:
        rt.connect("m", base_url=server.base_url).close()


def test_a_session_that_cannot_be_opened_leaves_a_whole_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    quirks = Quirks(late_authentication=True)
    with LocalServer(quirks=quirks, api_key="k") as server, pytest.raises(rt.AuthenticationError):
        rt.connect("m", base_url=server.base_url, api_key="wrong", record=path)
    assert [message.type for message in Recording.load(path).messages] == ["error"]
    assert len(closes_of(path)) == 1


def test_a_client_that_leaves_before_the_recorded_close_is_told_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Recorder(path) as recorder:
        tap = recorder.tap()
        tap("in", '{"type": "session.created", "session": {"type": "realtime"}}')
        tap("out", '{"type": "input_audio_buffer.clear"}')
        tap("in", '{"type": "input_audio_buffer.cleared"}')
        tap.close("in", 4001, "enough")
        tap.close("out", 1000)
    assert closes_of(path) == [("to_client", 4001, "enough")]
    with LocalServer.replay(path) as server:
        rt.connect("m", base_url=server.base_url).close()
        while not server.failures:
            time.sleep(0.001)
        assert "left before it sent input_audio_buffer.clear" in str(server.failures[0])


@pytest.mark.parametrize("close", ["4001", '{"code": "x", "reason": ""}', "{}"])
def test_an_odd_close_counts_as_a_line_that_cannot_be_read(tmp_path: Path, close: str) -> None:
    head = '{"connection": 1, "url": "ws://x"}\n'
    line = '{"at_s": 1, "connection": 1, "direction": "to_client", "close": %s}\n'
    (tmp_path / "x.jsonl").write_text(head + line % close)
    recording = Recording.load(tmp_path / "x.jsonl")
    assert (recording.cut, recording.closes) == (True, {})


# --------------------------------------------------------------------------------------------------- table and sound


def test_the_table(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recorded)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("connection 1: ws://127.0.0.1:")
    assert "<- session.created" in lines[1]
    assert any("-> input_audio_buffer.append" in line for line in lines)
    assert any("response.output_audio_transcript.delta" in line and line.endswith("It") for line in lines)
    assert max(map(len, lines)) < 180


def test_the_sound(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recorded), "--audio", str(tmp_path / "out")]) == 0
    assert "written: " in capsys.readouterr().out
    lengths = {path.name: length_ms(path) for path in (tmp_path / "out").iterdir()}
    assert lengths["input-1.wav"] == 300
    assert lengths["response-1-2.wav"] == 400


def length_ms(path: Path) -> int:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return round(file.getnframes() * 1000 / file.getframerate())


@pytest.mark.parametrize(
    "told", [{"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, {"input_audio_format": "g711_ulaw"}]
)
def test_sound_of_eight_bits(tmp_path: Path, told: Any) -> None:
    path = written(
        tmp_path / "x.jsonl",
        ("<", {"type": "session.created", "session": told}),
        (">", {"type": "input_audio_buffer.append", "audio": b64(bytes(8_00))}),
        (">", {"type": "input_audio_buffer.append", "audio": "%"}),
    )
    [wav] = export_audio(Recording.load(path), tmp_path / "out")
    assert length_ms(wav) == 100


def test_the_command_line(recorded: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "realtime_sync.recording"]
    done = subprocess.run([*command, str(recorded)], capture_output=True, text=True, timeout=PROCESS_S, check=True)
    assert "session.created" in done.stdout
    wrong = subprocess.run(
        [*command, str(tmp_path / "x")], capture_output=True, text=True, timeout=PROCESS_S, check=False
    )
    assert (wrong.returncode, "cannot read" in wrong.stderr) == (2, True)


def test_the_table_shows_several_connections_and_a_cut_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Recorder(tmp_path / "x.jsonl") as recorder:
        for _ in range(2):
            recorder.tap("ws://x")("in", "not json")
    with recorder.path.open("a") as file:
        file.write('{"connection":')
    assert main([str(recorder.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].endswith("not json")
    assert "#1 <- (no event)" in lines[2]
    assert lines[-1] == "(the end could not be read)"


def test_a_message_knows_its_type() -> None:
    assert Message(0.0, "to_client", {"type": 5}).type == ""


@pytest.mark.parametrize("own", [False, True], ids=["path", "recorder"])
def test_a_session_records_itself_from_the_first_message_on(tmp_path: Path, own: bool) -> None:
    path = tmp_path / "talks" / "one.jsonl"
    recorder = Recorder(path) if own else None
    with LocalServer(["Hello."]) as server:
        session = rt.connect("m", base_url=server.base_url, api_key="sk-not-to-be-seen", record=recorder or path)
        with session:
            assert session.ask("Hi").transcript == "Hello."
    types = [message.type for message in Recording.load(path).messages]
    assert types[0] == "session.created"
    assert types.index("response.create") < types.index("response.created") < types.index("response.done")
    assert "sk-not-to-be-seen" not in path.read_text(encoding="utf-8")
    if recorder is not None:
        recorder.close()
    with LocalServer.replay(path) as server, rt.connect("m", base_url=server.base_url) as session:
        assert session.ask("Hi").transcript == "Hello."


@pytest.mark.parametrize("by", ["record", "tap", "proxy"])
def test_a_key_that_is_said_is_not_written(tmp_path: Path, by: str) -> None:
    key, path = "sk-a-key/of+24_characters", tmp_path / "x.jsonl"

    def talk(url: str, shown: str, **how: Any) -> None:
        with rt.connect("m", base_url=url, api_key=shown, instructions=f"Never say {shown}.", **how) as session:
            if by == "tap":
                session.add_tap(recorder.tap())
            session.ask(f"My key is {shown}")
            session.close(3000, shown)

    with LocalServer(api_key=key) as server, Recorder(path) as recorder:
        if by == "proxy":
            other = "sk-the-client-has-another"
            with LocalServer(upstream=server.base_url, upstream_key=key, record=recorder) as proxy:
                talk(proxy.base_url, other)
                talk(proxy.base_url, key)
            assert other not in path.read_text(encoding="utf-8")
        else:
            talk(server.base_url, key, **({"record": recorder} if by == "record" else {}))
    assert key not in path.read_text(encoding="utf-8")
    recording = Recording.load(path)
    assert not recording.cut
    told = [str(message.event) for message in recording.messages if message.type == "conversation.item.create"]
    assert sum("My key is <redacted>" in event for event in told) == len(told) == len(recording.urls)


def test_what_was_said_of_a_key_is_compared_without_it(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"

    def talk(url: str, key: str, asked: str, **how: Any) -> None:
        with rt.connect("m", base_url=url, api_key=key, instructions=f"Never say {key}.", **how) as session:
            session.ask(f"{asked} {key}, is it?")

    with LocalServer(["No."]) as server:
        talk(server.base_url, "sk-a-key-of-26-characters", "My key is", record=path)
    with LocalServer.replay(path, strict=True) as replay:
        talk(replay.base_url, "sk-another-one-of-29-letters", "My key is")
        with pytest.raises((rt.ServerError, rt.ConnectionClosed), match="recorded was"):  # whichever is faster
            talk(replay.base_url, "sk-another-one-of-29-letters", "Your key is")
        assert len(replay.failures) == 1
        replay.failures.clear()


def test_a_file_that_cannot_be_written_is_told_before_the_session_is_used(tmp_path: Path) -> None:
    with LocalServer() as server, pytest.raises(rt.ConfigurationError, match="cannot record"):
        rt.connect("m", base_url=server.base_url, record=tmp_path)
