"""Each example runs as a user runs it, on the local server, and prints and writes what it says it does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
import wave
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from patience import PROCESS_S
from websockets.sync.client import connect as dial

from realtime_sync.audio import chunks, encode_pcmu, read_wav
from realtime_sync.local import Gate, LocalServer
from realtime_sync.local import Reply as LocalReply

EXAMPLES = Path(__file__).parents[1] / "examples"
STUBS = Path(__file__).with_name("stubs")
PROGRAMS = {path.stem for path in EXAMPLES.glob("*.py")}
TESTED = {"text", "callbacks", "visitor", "wav_file", "tools", "notebook", "demo", "several", "transcribe"}
TESTED |= {"microphone", "push_to_talk", "twilio", "gui", "web", "go_on", "kiosk"}
WAIT_S = 20.0

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(stubs: bool) -> dict[str, str]:
    """With ``stubs``, what is missing here (a sound card, a screen) is played by modules of the tests."""
    path = [str(STUBS)] if stubs else []
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs Python in an empty directory; any warning of the program is an error."""

    def run(*arguments: Any, stubs: bool = False, typed: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(stubs),
            input=typed,
            capture_output=True,
            text=True,
            timeout=PROCESS_S,
            check=False,
        )

    return run


@pytest.fixture
def output_of(run: Run) -> Callable[..., list[str]]:
    """The lines that an example prints; it must succeed and say nothing on stderr."""

    def output_of(name: str, *arguments: Any, **options: Any) -> list[str]:
        done = run(EXAMPLES / f"{name}.py", *arguments, **options)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout.splitlines()

    return output_of


@pytest.fixture
def complaint_of(run: Run) -> Callable[..., str]:
    """The line that an example ends with when it cannot go on."""

    def complaint_of(name: str, *arguments: Any, status: int = 1, **options: Any) -> str:
        done = run(EXAMPLES / f"{name}.py", *arguments, **options)
        *usage, last = done.stderr.splitlines()
        assert (done.returncode, usage[1:]) == (status, []), done.stderr
        return str(last)

    return complaint_of


def test_every_example_is_tested() -> None:
    assert PROGRAMS == TESTED


def test_text(output_of: Callable[..., list[str]]) -> None:
    assert output_of("text") == [
        "The whole reply: You said: Name one planet.",
        "As it streams:  You said: And another one?",
        "30 tokens, of which 7 for the answer",
    ]


def test_with_a_key_they_go_where_the_environment_says(
    output_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalServer(["Mars.", "Venus."], api_key="sk-1234") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        printed = output_of("text")
        assert printed[:2] == ["The whole reply: Mars.", "As it streams:  Venus."]
        assert [request.query for request in server.requests] == [{"model": "gpt-realtime"}]
    assert "sk-1234" not in "".join(printed)


def test_callbacks(output_of: Callable[..., list[str]]) -> None:
    opened, said, status, complaint, counted = output_of("callbacks")
    assert re.fullmatch(r"Opened sess_\w+", opened)
    assert (said, status) == ("You said: Say something nice.", "(completed)")
    assert complaint.startswith("The server says:")
    assert "item_that_is_not_there" in complaint
    assert re.fullmatch(r"\d+ events of \d+ types", counted)


def test_visitor(output_of: Callable[..., list[str]]) -> None:
    you, model, others = output_of("visitor")
    assert you == "You:   What is a visitor?"
    assert model == "Model: You said: What is a visitor?"
    assert re.fullmatch(r"\([1-9]\d* other events\)", others)


def test_wav_file(output_of: Callable[..., list[str]], tmp_path: Path) -> None:
    said, written = output_of("wav_file")
    assert said == "The model says: You said: (3.1 seconds of audio)"
    assert re.fullmatch(r"answer\.wav: 2\.2 s; first audio after \d+\.\d\d s", written)
    assert 2.1 < length_s(tmp_path / "answer.wav") < 2.3


def test_wav_file_takes_other_files_and_says_what_is_wrong_with_them(
    output_of: Callable[..., list[str]], complaint_of: Callable[..., str], tmp_path: Path
) -> None:
    said, _ = output_of("wav_file", EXAMPLES / "speech-two-turns.wav", "b.wav")
    assert said == "The model says: You said: (6.0 seconds of audio)"
    assert (tmp_path / "b.wav").exists()
    (tmp_path / "bad.wav").write_bytes(b"no WAV")
    for name in ("wav_file", "transcribe"):
        for wrong, told in (("bad.wav", "it is not a WAV file"), ("missing.wav", "cannot read 'missing.wav'")):
            assert told in complaint_of(name, wrong)
    question = EXAMPLES / "speech.wav"
    assert "cannot write 'nowhere/b.wav'" in complaint_of("wav_file", question, "nowhere/b.wav")


def test_tools(output_of: Callable[..., list[str]]) -> None:
    called, told, declined, counted = output_of("tools")
    assert called == "  (looking the weather of Paris up, in degrees celsius)"
    assert json.loads(told.removeprefix("The tool says: ")) == {"city": "Paris", "sky": "clear", "celsius": 21}
    assert "The user has to be asked first." in declined
    assert counted == "2 responses; the first one called delete_files"


NOTEBOOK = [
    "You said: Tell me about notebooks.",
    "completed 21",
    "You said: And without the callback?",
]


def test_notebook_as_a_script(output_of: Callable[..., list[str]]) -> None:
    opened, *said, closed = output_of("notebook")
    assert said == NOTEBOOK
    assert (opened.endswith(": open>"), closed.endswith(": closed>")) == (True, True)


RUN_CELLS = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1] + "/notebook.ipynb", encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
"""


def test_notebook_cell_by_cell(run: Run) -> None:
    done = run("-W", "ignore::ResourceWarning", "-c", RUN_CELLS, EXAMPLES)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:-1] == NOTEBOOK


def test_the_notebook_has_the_cells_of_its_script() -> None:
    document = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in document["cells"])
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]]
    script = (EXAMPLES / "notebook.py").read_text(encoding="utf-8")
    expected = []
    for block in script.split("# %%")[1:]:
        head, _, body = block.partition("\n")
        lines = body.strip("\n").split("\n")
        if head.strip() == "[markdown]":
            expected.append(("markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)))
        else:
            expected.append(("code", "\n".join(lines)))
    assert cells == expected


def test_each_example_runs_when_it_was_downloaded_alone(run: Run, tmp_path: Path) -> None:
    for name in ("text", "tools"):
        copy = tmp_path / f"{name}.py"
        copy.write_bytes((EXAMPLES / f"{name}.py").read_bytes())
        assert run(copy).returncode == 0
    imports = re.compile(r"^ *(?:import|from) (\w+)", re.MULTILINE)
    own = {name for path in EXAMPLES.glob("*.py") for name in imports.findall(path.read_text(encoding="utf-8"))}
    assert own & PROGRAMS == set()


def test_go_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped by Ctrl-C while the second answer comes, by a lost connection while the third one does."""
    thinking = Gate("response.output_text.done")
    with LocalServer(["Mars.", LocalReply("No, it is smaller.", gates=[thinking])], strict=True) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
        with running("go_on", tmp_path) as program:
            thinking.wait_reached()
        server.replies = ["No.", LocalReply("About 25 hours.", gates=[lost := Gate("response.output_text.delta")])]
        with running("go_on", tmp_path, interrupted=False) as program:
            lost.wait_reached()
            server.drop()
        assert program.returncode == 1
        server.replies = ["25 hours.", "Two."]
        done = run(EXAMPLES / "go_on.py")
    assert (done.returncode, done.stderr) == (0, "")
    restored, *lines = done.stdout.splitlines()
    assert " items restored, " in restored  # the latest may have been on its way when the connection was cut
    assert lines[-4:] == [
        "You:   How long is its day?",
        "Model: 25 hours.",
        "You:   Has it any moons?",
        "Model: Two.",
    ]
    assert not (tmp_path / "interview.json").exists()


def test_several(output_of: Callable[..., list[str]]) -> None:
    *said, last = output_of("several")
    assert sorted(said) == [f"{name}: You said: Good morning, {name}!" for name in ("English", "French", "Italian")]
    assert last == "All have answered."


def test_transcribe(run: Run) -> None:
    done = run(EXAMPLES / "transcribe.py")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r" +0\.\d\d - +\d\.\d\d s  \(\d\.\d seconds of audio\)", first)
    assert float(second.split()[0]) > float(first.split()[2])
    assert done.stderr.endswith("Sent 6 s of 6\n")


def test_microphone(output_of: Callable[..., list[str]]) -> None:
    """The stub speaks, speaks again while the model answers, and presses Ctrl-C when it has heard the second answer."""
    printed = output_of("microphone", stubs=True)
    assert (printed[0], printed[-1]) == ("Speak. Ctrl-C ends.", "Bye.")
    assert sum(line.startswith("You:   ") for line in printed) == 2
    # The first answer has no last word when it was interrupted while it still came.
    assert sum(line.startswith("Model: You said:") for line in printed) in (1, 2)
    (cut,) = [line for line in printed if line.startswith("(you heard")]
    heard_ms, of_ms = map(int, re.findall(r"\d+", cut))
    assert 200 <= heard_ms < of_ms


def test_push_to_talk(output_of: Callable[..., list[str]]) -> None:
    printed = "\n".join(output_of("push_to_talk", stubs=True, typed="\n\n\n\nq\n"))
    assert re.search(r"Enter to send: You said: \(\d\.\d seconds of audio\)\nEnter to speak", printed)
    assert "(too short: hold it for longer)" in printed


@pytest.mark.parametrize("name", ["microphone", "push_to_talk", "kiosk"])
def test_without_what_the_sound_needs_they_say_so(run: Run, name: str, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise ImportError('no such module')")
    (tmp_path / f"{name}.py").write_bytes((EXAMPLES / f"{name}.py").read_bytes())
    missing = run(tmp_path / f"{name}.py")
    assert missing.returncode == 1
    assert 'pip install "realtime-sync[voice]"' in missing.stderr
    assert "Traceback" not in missing.stderr


def test_gui(output_of: Callable[..., list[str]]) -> None:
    """The stub types two questions, and closes the window when both are answered."""
    assert output_of("gui", stubs=True) == [
        "You: Hello?",
        "Model: You said: Hello?",
        "You: Still there?",
        "Model: You said: Still there?",
    ]


def test_gui_without_a_screen(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tkinter.py").write_text(
        "class TclError(Exception): ...\ndef Tk(): raise TclError('no display name and no $DISPLAY')\n"
    )
    (tmp_path / "gui.py").write_bytes((EXAMPLES / "gui.py").read_bytes())
    done = run(tmp_path / "gui.py")
    assert (done.returncode, done.stderr) == (1, "No screen for the window: no display name and no $DISPLAY\n")


@contextmanager
def running(name: str, tmp_path: Path, *arguments: Any, interrupted: bool = True) -> Iterator[subprocess.Popen[str]]:
    """An example that runs until it is ``interrupted``, or until it has ended."""
    program = subprocess.Popen(
        [sys.executable, "-u", "-W", "error", EXAMPLES / f"{name}.py", *map(str, arguments)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        if interrupted:
            program.send_signal(signal.SIGINT)
        try:
            program.communicate(timeout=WAIT_S)
        finally:
            program.kill()


def line_of(program: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """The next line that the program prints which matches."""
    assert program.stdout is not None
    for line in program.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"no line {pattern}")


def test_kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network fails after the first answer; the visitor speaks until they are answered again."""
    monkeypatch.setenv("PYTHONPATH", environment(stubs=True)["PYTHONPATH"])
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234")
    with LocalServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        with running("kiosk", tmp_path, interrupted=False) as program:
            line_of(program, r"^Open\.$")
            line_of(program, r"^Visitor: \(\d\.\d seconds of audio\)$")
            line_of(program, r"^Kiosk:   You said: ")
            server.drop()
            line_of(program, r"^\(on the line again after \d+\.\d s: ")
            line_of(program, r"^Kiosk:   You said: ")
            line_of(program, r"^Bye\.$")
        assert program.returncode == 0


def test_twilio(tmp_path: Path) -> None:
    """A caller who hears some of the answer, interrupts it, and hangs up."""
    speech = encode_pcmu(read_wav(EXAMPLES / "speech.wav", rate_hz=8000))
    sound = [b64encode(piece).decode() for piece in chunks(speech, chunk_ms=20, encoding="audio/pcmu")]
    with running("twilio", tmp_path, 0) as program:
        url = line_of(program, r"Waiting for calls at (\S+)")[1]
        with dial(url) as phone:
            phone.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            phone.send(json.dumps({"event": "start", "start": {"streamSid": "MZ1"}, "streamSid": "MZ1"}))
            line_of(program, "A call begins")

            def speak() -> None:
                for payload in sound:
                    phone.send(json.dumps({"event": "media", "media": {"payload": payload}}))

            def hear(kind: str) -> dict[str, Any]:
                while (event := json.loads(phone.recv(WAIT_S)))["event"] != kind:
                    assert event["streamSid"] == "MZ1"
                return dict(event)

            speak()
            played = 0
            for _ in range(2):
                played += len(b64decode(hear("media")["media"]["payload"])) // 8
                phone.send(json.dumps({"event": "mark", "mark": hear("mark")["mark"]}))
            speak()
            hear("clear")
            heard = line_of(program, r"The caller interrupted after (\d+) of (\d+) ms")
            assert int(heard[1]) == played <= int(heard[2])
            assert hear("media")["media"]["payload"]  # the answer to what was said second
            phone.send(json.dumps({"event": "stop"}))
        line_of(program, "The call has ended")


def test_arguments_that_cannot_be(complaint_of: Callable[..., str], run: Run) -> None:
    for name in ("twilio", "web"):
        assert "invalid int value: 'x'" in complaint_of(name, "x", status=2)
        assert "where " in run(EXAMPLES / f"{name}.py", "--help").stdout
    assert "unrecognized arguments: --foo" in complaint_of("demo", "--foo", status=2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert complaint_of("twilio", port).startswith(f"Cannot listen on port {port}: ")
    too_high = run(EXAMPLES / "twilio.py", 99_999)  # of which Python itself leaves a socket open
    assert (too_high.returncode, too_high.stderr.splitlines()[-1][:30]) == (1, "Cannot listen on port 99999: b")


def test_web(tmp_path: Path) -> None:
    with LocalServer() as free:
        port = urllib.parse.urlsplit(free.base_url).port  # free again when the server has stopped
    with running("web", tmp_path, port) as program:
        url = line_of(program, r"Running on (http\S+)")[1]
        with urllib.request.urlopen(url, timeout=WAIT_S) as page:
            assert b"<form>" in page.read()
        question = urllib.parse.urlencode({"question": "What is new?"}).encode()
        with urllib.request.urlopen(f"{url}/ask", question, timeout=WAIT_S) as answer:
            assert answer.read() == b"You said: What is new?"


def test_demo(output_of: Callable[..., list[str]], tmp_path: Path) -> None:
    printed = "\n".join(output_of("demo"))
    assert "Sent speech.wav in 37 pieces of 100 ms" in printed
    assert "You:    What is the weather in Paris right now?" in printed
    assert 'Tool:   get_weather -> {"city": "Paris", "sky": "clear", "celsius": 21}' in printed
    assert "Model:  In Paris the sky is clear and it is 21 degrees." in printed
    assert re.search(r"Response 2: \d+ tokens in \(\d+ text, \d+ audio, \d+ of them cached\), \d+ out", printed)
    assert re.search(r"First word \d+\.\d\d s after the question, everything in \d+\.\d s", printed)
    assert 3.1 < length_s(tmp_path / "out" / "reply.wav") < 3.3


def test_the_demo_says_why_it_fails(run: Run, tmp_path: Path) -> None:
    without_key = run(EXAMPLES / "demo.py", "--openai")
    assert without_key.returncode == 1
    assert "no API key: set OPENAI_API_KEY" in without_key.stderr
    (tmp_path / "out").write_text("a file where the directory should be")
    unwritable = run(EXAMPLES / "demo.py")
    assert unwritable.returncode == 1
    assert "The demo failed: FileExistsError" in unwritable.stderr


def length_s(path: Path) -> float:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        return file.getnframes() / file.getframerate()
