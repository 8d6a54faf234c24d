"""Ask with a WAV file, get the answer as a WAV file. Any rate and format: it is converted.

python examples/wav_file.py [QUESTION.wav [ANSWER.wav]]
"""

from __future__ import annotations

import sys
from pathlib import Path

import realtime_sync as rt
from realtime_sync.audio import duration_ms, write_wav
from realtime_sync.local import somewhere

question = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("speech.wav")
answer = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("answer.wav")


def main() -> None:
    with rt.connect("gpt-realtime", **somewhere(speed=4)) as session:
        reply = session.ask(audio=question)
    write_wav(answer, reply.audio)
    print("The model says:", reply.transcript)
    print(f"{answer}: {duration_ms(len(reply.audio)) / 1000:.1f} s; first audio after {reply.first_audio_s:.2f} s")


if __name__ == "__main__":
    try:
        main()
    except rt.RealtimeError as error:  # the file, the key, the network
        sys.exit(f"{type(error).__name__}: {error}")
