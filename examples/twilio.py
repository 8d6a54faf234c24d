"""A telephone line: the bridge between Twilio's media streams and the model, mu-law both ways.

    python examples/twilio.py [PORT]

Make it reachable (ngrok http 8765, say), and let the TwiML of your number connect calls to it:

    <Response><Connect><Stream url="wss://YOUR-HOST/" /></Connect></Response>

Twilio sends what the caller says and plays what it is sent; a `mark` comes back when everything before it was heard. So
the conversation keeps what the caller heard, also when they interrupt.
"""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from contextlib import suppress
from itertools import count
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

import realtime_sync as rt
from realtime_sync.local import somewhere
from realtime_sync.playback import AudioChunk, BargeIn, Interruption, PlaybackTracker

TELEPHONE = {"type": "audio/pcmu"}  # G.711 mu-law, 8000 Hz: the API speaks it as Twilio does, nothing is converted
CONFIG = {
    "instructions": "You are on the telephone. Be brief.",
    "audio": {
        "input": {"format": TELEPHONE, "turn_detection": {"type": "server_vad"}},
        "output": {"format": TELEPHONE},
    },
}


class Call:
    """One call, from Twilio's `start` to the end."""

    def __init__(self, phone: ServerConnection) -> None:
        self.phone = phone
        self.stream_sid = ""
        self.marks = map(str, count(1))
        self.unheard: dict[str, AudioChunk] = {}  # by the mark that comes back when it was heard
        self.tracker = PlaybackTracker(on_chunk=self.play, on_flush=self.clear)

    def send(self, event: str, **fields: Any) -> None:
        with suppress(ConnectionClosed):  # the caller has hung up: `talk` ends by itself
            self.phone.send(json.dumps({"event": event, "streamSid": self.stream_sid, **fields}))

    def play(self, chunk: AudioChunk) -> None:
        mark = next(self.marks)
        self.unheard[mark] = chunk
        self.send("media", media={"payload": b64encode(chunk.audio).decode()})
        self.send("mark", mark={"name": mark})

    def clear(self) -> None:
        self.send("clear")

    def talk(self) -> None:
        with rt.connect("gpt-realtime", **somewhere(speed=4), session=CONFIG) as session:
            self.tracker.attach(session)
            BargeIn(session, self.tracker, on_interrupt=tell)
            for message in self.phone:  # Twilio's events, on this thread; the model's on that of start()
                event = json.loads(message)
                if event["event"] == "start":
                    self.stream_sid = event["start"]["streamSid"]
                    session.start()
                elif event["event"] == "media":
                    session.append_audio(event["media"]["payload"])
                elif event["event"] == "mark":
                    chunk = self.unheard.pop(event["mark"]["name"], None)
                    if chunk is not None:
                        self.tracker.played(chunk)  # what was cleared meanwhile does not count
                elif event["event"] == "stop":
                    return


def tell(interruption: Interruption) -> None:
    for cut in interruption.cuts:
        print(f"The caller interrupted after {cut.part.played_ms} of {cut.part.received_ms} ms", flush=True)


def answer(phone: ServerConnection) -> None:
    print("A call begins", flush=True)
    try:
        Call(phone).talk()
    except rt.RealtimeError as error:  # the call is ended too
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    print("The call has ended", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="The bridge between Twilio's media streams and the model.")
    parser.add_argument("port", type=int, nargs="?", default=8765, help="where Twilio's calls come in (default: 8765)")
    port = parser.parse_args().port
    try:
        listening = serve(answer, "127.0.0.1", port)
    except (OSError, OverflowError) as error:
        sys.exit(f"Cannot listen on port {port}: {error}")
    with listening as server:
        print(f"Waiting for calls at ws://127.0.0.1:{server.socket.getsockname()[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
