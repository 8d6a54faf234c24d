"""A sound card for the examples, with a user: they speak, interrupt the first answer, and leave after the second.

Under push-to-talk the user holds the key once while speaking, and once for nothing. At the kiosk they say everything
again until it is answered.
"""

from __future__ import annotations

import builtins
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from realtime_sync.audio import chunks, read_wav

SPEECH = read_wav(Path(__file__).parents[2] / "examples" / "speech.wav") + bytes(24_000)
BLOCK_BYTES = 480  # 10 ms
FASTER = 4

heard_bytes = 0
heard = threading.Condition()


listening = threading.Event()
spoken = threading.Event()
keys = iter(["", "Enter", "", "", "q"])


def press(prompt: str) -> str:
    """What the user types."""
    print(prompt, end="", flush=True)
    key = next(keys)
    if key == "Enter":
        listening.set()
        spoken.wait(20)
    return key


if "push_to_talk" in sys.argv[0]:
    builtins.input = press


class PortAudioError(Exception):
    pass


class Stream:
    def __init__(self, *, callback: Callable[..., None], samplerate: int, channels: int, dtype: str) -> None:
        assert (samplerate, channels, dtype) == (24_000, 1, "int16")
        self.callback = callback
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Stream:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        raise NotImplementedError


class RawInputStream(Stream):
    def run(self) -> None:
        if "push_to_talk" in sys.argv[0]:
            listening.wait(20)
            self.speak(SPEECH[:48_000])
            spoken.set()
            return
        if "kiosk" in sys.argv[0]:
            for answers in (1, 2):
                while not self.wait_heard(2.0 * answers, 3):
                    self.speak(SPEECH)
            signal.raise_signal(signal.SIGINT)
            return
        self.speak(SPEECH)
        self.wait_heard(0.3)
        before = heard_bytes
        self.speak(SPEECH)
        self.wait_heard(before / 48_000 + 1.5)
        signal.raise_signal(signal.SIGINT)  # as Ctrl-C does, in the main thread

    def speak(self, pcm: bytes) -> None:
        buffer = bytearray(BLOCK_BYTES)  # one and the same, as a real card has it
        for piece in chunks(pcm, chunk_ms=10):
            buffer[: len(piece)] = piece
            self.callback(memoryview(buffer)[: len(piece)], len(piece) // 2, None, None)

    def wait_heard(self, seconds: float, timeout: float = 20) -> bool:
        with heard:
            return heard.wait_for(lambda: heard_bytes >= seconds * 48_000 or self.ended.is_set(), timeout)


class RawOutputStream(Stream):
    def run(self) -> None:
        global heard_bytes
        buffer = bytearray(BLOCK_BYTES)
        while not self.ended.wait(0.01 / FASTER):
            self.callback(memoryview(buffer), BLOCK_BYTES // 2, None, None)
            with heard:
                heard_bytes += 0 if buffer.count(0) == BLOCK_BYTES else BLOCK_BYTES
                heard.notify_all()
