"""The local server as a program, and its control endpoints."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_raw import TIMEOUT_S, RawClient, text_of
from patience import PROCESS_S

import realtime_sync as rt
from realtime_sync.local import Failure, LocalServer, McpApproval, McpToolCall, Reply, Say, ToolCall, Transcript
from realtime_sync.local.script_json import replies_of, transcripts_of

ROOT = Path(__file__).parents[1]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as started:
        yield started


def control(
    server: LocalServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, f"/local/{path}", json.dumps(body), headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


# ------------------------------------------------------------------------------------------------------------- JSON


def test_replies_in_json() -> None:
    script = [
        "text",
        None,
        ["one", {"text": "two", "audio": "AAAA"}, {"tool_call": {"name": "f", "arguments": {"a": 1}}}],
        {"tool_call": {"name": "f", "arguments": "{broken", "call_id": "call_1"}},
        {"mcp_call": {"server_label": "s", "name": "n", "output": "x"}},
        {"mcp_approval": {"server_label": "s", "name": "n"}},
        {"failure": {"message": "Overloaded.", "code": "busy"}},
        {"text": "x", "tool_calls": [{"name": "f"}], "output": ["y"], "delay_s": 0.5, "chunk_delay_s": 1},
        {"text": "half", "incomplete": "content_filter", "late_deltas": 1, "rate_limits": []},
    ]
    assert replies_of(script) == [
        "text",
        None,
        ["one", Say("two", b"\0\0\0"), ToolCall("f", {"a": 1})],
        ToolCall("f", "{broken", "call_1"),
        McpToolCall("s", "n", output="x"),
        McpApproval("s", "n"),
        Reply(failure=Failure("Overloaded.", "busy")),
        Reply("x", [ToolCall("f")], output=["y"], delay_s=0.5, chunk_delay_s=1),
        Reply("half", incomplete="content_filter", late_deltas=1, rate_limits=[]),
    ]
    LocalServer(replies_of(script))


def test_transcripts_in_json() -> None:
    script = ["one", {"text": "two", "late": True}, {"failure": {"message": "Too noisy."}}]
    assert transcripts_of(script) == ["one", Transcript("two", late=True), Transcript(Failure("Too noisy."))]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({"text": "x"}, "replies: expected a list"),
        ([5], r"replies\[0\]: expected an object"),
        (["a", {"txt": "x"}], r"replies\[1\]: unknown key 'txt'"),
        ([{"text": 5}], r"replies\[0\].text: expected a string"),
        ([{"delay_s": True}], r"replies\[0\].delay_s: expected a number"),
        ([{"tool_call": {}}], r"replies\[0\].tool_call: name is missing"),
        ([["x", {"audio": "AAAA"}]], r"replies\[0\]\[1\]: text is missing"),
        ([{"text": "x", "audio": "%"}], r"replies\[0\].audio: expected base64"),
        ([{"tool_calls": [{"name": "f", "arguments": 5}]}], r"tool_calls\[0\].arguments: expected an object or a str"),
    ],
)
def test_a_wrong_script_says_where(script: Any, told: str) -> None:
    with pytest.raises(rt.ConfigurationError, match=told):
        replies_of(script)


@pytest.mark.parametrize("script", [{}, [5], [{"late": True}], [{"text": "x", "failure": {}}]])
def test_a_wrong_script_of_transcripts(script: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match="transcripts"):
        transcripts_of(script)


# ----------------------------------------------------------------------------------------------------------- control


def test_the_server_is_scripted_and_questioned_over_http(server: LocalServer) -> None:
    assert server.control_url == server.base_url.replace("/v1", "/local")
    assert control(server, "POST", "replies", ["Scripted."])[0] == 200
    with RawClient(server) as client:
        assert text_of(client.ask("hello")) == "Scripted."
        status, got = control(server, "GET", "received?type=response.create&count=1")
        assert (status, [event["type"] for event in got["events"]]) == (200, ["response.create"])
        assert control(server, "GET", "sent?connection=1&type=session.created")[1]["events"][0]["session"]["id"]
        client.send("nope")
        client.error()
        refused = control(server, "GET", "refusals")[1]["refusals"]
        assert [(entry["event"]["type"], entry["connection"]) for entry in refused] == [("nope", 1)]
        done = control(server, "GET", "done")[1]
        assert (done["done"], "refused: nope" in done["message"]) == (False, True)
        first = control(server, "GET", "log")[1]["entries"][0]
        assert (first["direction"], first["connection"], first["event"]["type"]) == ("to_client", 1, "session.created")
        assert control(server, "GET", "connections")[1]["connections"][0]["status"] == 101
        assert control(server, "POST", "reset")[0] == 200
        assert control(server, "GET", "done")[1] == {"done": True, "message": ""}
        control(server, "POST", "replies?connection=1", ["Only here."])
        assert text_of(client.ask("hello")) == "Only here."


def test_faults_over_http(server: LocalServer) -> None:
    with RawClient(server) as client, RawClient(server) as other:
        fail = {"type": "response.create", "code": "busy", "message": "Later.", "times": 1}
        assert control(server, "POST", "faults?connection=1", {"fail_next": fail})[0] == 200
        client.send("response.create")
        assert client.error()["code"] == "busy"
        control(server, "POST", "faults", {"send": {"type": "x"}})
        assert json.loads(client.websocket.recv(TIMEOUT_S)) == {"type": "x"}
        control(server, "POST", "faults?connection=1", {"close": {"code": 4000, "reason": "no"}})
        assert client.closed() == (4000, "no")
        assert json.loads(other.websocket.recv(TIMEOUT_S)) == {"type": "x"}
        control(server, "POST", "faults", {"close": {"code": 1011}})
        assert other.closed()[0] == 1011
    control(server, "POST", "faults", {"refuse": {"status": 503, "headers": {"Retry-After": "1"}}})
    with pytest.raises(rt.HandshakeError):
        rt.connect("gpt-realtime", base_url=server.base_url)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("GET", "replies", None, 405),
        ("POST", "log", None, 405),
        ("POST", "replies", {"a": 1}, 400),
        ("POST", "faults", {"explode": {}}, 400),
        ("POST", "faults", {"fail_next": {}}, 400),
        ("POST", "faults", {"refuse": {"status": 7}}, 400),
        ("POST", "faults", {"refuse": {"state": 429}}, 400),
        ("GET", "log?connection=9", None, 400),
        ("GET", "log?connection=x", None, 400),
        ("GET", "received?count=1", None, 400),
        ("GET", "received?type=x&count=1&timeout_s=0.01", None, 408),
    ],
)
def test_what_control_does_not_understand(server: LocalServer, method: str, path: str, body: Any, status: int) -> None:
    got, answer = control(server, method, path, body)
    assert got == status
    assert answer["error"]["message"]


def test_control_is_not_for_everybody(server: LocalServer) -> None:
    assert control(server, "GET", "log", headers={"Origin": "https://evil.test"})[0] == 403
    with LocalServer(api_key="sk-x") as locked:
        assert control(locked, "GET", "log")[0] == 401
        assert control(locked, "GET", "log", headers={"Authorization": "Bearer sk-x"})[0] == 200


# ----------------------------------------------------------------------------------------------------------- program


def started(*arguments: str, **options: Any) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    command = [sys.executable, "-m", "realtime_sync.local", *arguments]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **{**pipes, **options})
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_the_program_serves_until_its_stdin_ends(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text(json.dumps({"replies": ["From a file."], "transcripts": ["x"]}))
    (tmp_path / "said.json").write_text(json.dumps(["said"]))
    files = ["--script", str(tmp_path / "script.json"), "--transcripts", str(tmp_path / "said.json")]
    process, told = started(*files, "--log", "--latency-ms", "1", "--speed", "1000")
    assert told["ca_file"] is None
    with rt.connect("gpt-realtime", base_url=told["base_url"]) as session:
        assert str(session.ask("hello")) == "From a file."
    _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    lines = errors.splitlines()
    assert "session.created" in lines[0]
    assert any("-> response.create" in line for line in lines)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_the_program_ends_with_sigterm_and_not_with_dev_null() -> None:
    process, told = started("--beta", "--tls", stdin=subprocess.DEVNULL)
    with process:
        assert told["base_url"].startswith("https://")
        assert Path(told["ca_file"]).exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    assert not Path(told["ca_file"]).exists()


def test_the_program_says_what_is_wrong(tmp_path: Path) -> None:
    from realtime_sync.local.command import main

    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are for the main thread")
    (tmp_path / "bad.json").write_text('{"answers": []}')
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main(["--script", str(tmp_path / "bad.json")]) == 2
        assert main(["--script", str(tmp_path / "missing.json")]) == 2
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


# -------------------------------------------------------------------------------------------------------------- Node


def test_the_official_node_client() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    modules = ROOT / "build" / "node" / "node_modules"
    if not (modules / "openai").exists():
        pytest.skip("openai is not installed in build/node (npm install --prefix build/node openai@7 ws@8)")
    # Node looks for packages beside the program, and at no other place for modules.
    program = modules.parent / "weather.test.mjs"
    shutil.copy(ROOT / "examples" / "node" / "weather.test.mjs", program)
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [node, "--test", str(program)], env=environment, capture_output=True, text=True, timeout=PROCESS_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 2" in done.stdout
