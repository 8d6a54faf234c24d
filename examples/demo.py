"""The main job: speech from a WAV file goes in, a tool is called, speech comes out.

`make demo` runs it. The server is the local one: its ears and its model are scripted below and its voice is a tone for
each word, but every event on the wire is the protocol's. ``--openai`` (`make demo ARGS=--openai`) speaks to OpenAI
instead, with the key in OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import realtime_sync as rt
from realtime_sync import events, local
from realtime_sync.audio import chunks, duration_ms, read_wav, write_wav
from realtime_sync.tools import Toolset

SPEECH = Path(__file__).with_name("speech.wav")  # 16 kHz: read_wav converts it to the 24 kHz of the API
SILENCE = bytes(24_000)  # 0.5 s, by which turn detection sees that the speech is over
REPLY = Path("out", "reply.wav")

CONFIG = {
    "instructions": "You are a friendly assistant. Answer in one sentence, in English.",
    "audio": {
        "input": {"transcription": {"model": "gpt-4o-mini-transcribe"}, "turn_detection": {"type": "server_vad"}}
    },
}


def get_weather(city: str) -> dict[str, Any]:
    """The weather in a city right now."""
    weather = {"city": city, "sky": "clear", "celsius": 21}
    print("Tool:   get_weather ->", json.dumps(weather))
    return weather


def hear(pcm: bytes, rate_hz: int) -> str:
    """The ears of the local server: whatever it is given, it hears what the WAV file says."""
    return "What is the weather in Paris right now?"


def think(turn: local.Turn) -> local.Reply | str:
    """The model of the local server: it looks the weather up, after a moment's thought, and tells it."""
    if not turn.tool_outputs:
        return local.Reply(tool_calls=[local.ToolCall("get_weather", {"city": "Paris"})], delay_s=0.2)
    weather = json.loads(turn.tool_outputs[-1]["output"])
    return f"In {weather['city']} the sky is {weather['sky']} and it is {weather['celsius']} degrees."


def talk(**where: Any) -> None:
    """One spoken turn, with its tool call, at the server that ``where`` names."""
    began = perf_counter()
    with rt.connect("gpt-realtime", **where, session=CONFIG, tools=Toolset(get_weather)) as session:
        print(f"Connected in {perf_counter() - began:.2f} s: {session.id}")

        turn = session.next_reply()  # the server will answer by itself when the speech has ended
        pieces = list(chunks(read_wav(SPEECH) + SILENCE, chunk_ms=100))
        for piece in pieces:
            session.append_audio_bytes(piece)
        sent = perf_counter()
        print(f"Sent {SPEECH.name} in {len(pieces)} pieces of 100 ms")

        started = session.wait_for(events.InputAudioBufferSpeechStarted)
        stopped = session.wait_for(events.InputAudioBufferSpeechStopped)
        print(f"The server heard speech from {started.audio_start_ms} to {stopped.audio_end_ms} ms\n")
        heard = session.wait_for(events.ConversationItemInputAudioTranscriptionCompleted, timeout=30)
        print("You:   ", heard.transcript.strip())

        answered = 0.0
        for text in turn.text():  # goes on when the tool was called
            if not answered:
                answered = perf_counter()
                print("Model:  ", end="")
            print(text, end="", flush=True)
        reply = turn.result()
        if not reply.audio:
            raise rt.RealtimeError("the reply has no audio")

    print("\n")
    REPLY.parent.mkdir(exist_ok=True)
    write_wav(REPLY, reply.audio)
    print(f"Wrote {REPLY}: {duration_ms(len(reply.audio)) / 1000:.1f} s of speech")
    for number, response in enumerate(turn.replies, 1):
        print(f"Response {number}: {used(response.usage)}")
    print(f"First word {answered - sent:.2f} s after the question, everything in {perf_counter() - began:.1f} s")


def used(usage: events.Usage | None) -> str:
    """The tokens of a response by their kind."""
    if usage is None or usage.input_token_details is None or usage.output_token_details is None:
        return "the server does not say what it used"
    heard, said = usage.input_token_details, usage.output_token_details
    return (
        f"{usage.input_tokens} tokens in ({heard.text_tokens} text, {heard.audio_tokens} audio,"
        f" {heard.cached_tokens} of them cached), {usage.output_tokens} out ({said.text_tokens} text,"
        f" {said.audio_tokens} audio)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Speech in, a tool call, speech out, on the local server.")
    parser.add_argument("--openai", action="store_true", help="at OpenAI instead, with the key in OPENAI_API_KEY")
    options = parser.parse_args()
    try:
        if options.openai:
            talk()
        else:
            # Speech comes four times as fast as it is spoken, so that one can watch it come.
            with local.LocalServer(think, transcriber=hear, speed=4) as server:
                print("Local server at", server.base_url)
                talk(base_url=server.base_url, api_key="any")
    except (rt.RealtimeError, OSError) as error:
        print(f"\nThe demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
