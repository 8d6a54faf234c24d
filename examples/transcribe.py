"""The words of a WAV file, with their times: a session that only transcribes.

python examples/transcribe.py [SPEECH.wav]
"""

from __future__ import annotations

import sys
from pathlib import Path

import realtime_sync as rt
from realtime_sync.local import somewhere

CONFIG = {
    "type": "transcription",  # the model stands here, not in connect()
    "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "server_vad"}}},
}
speech = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("speech-two-turns.wav")


def show(sent_ms: int, of_ms: int) -> None:
    end = "\n" if sent_ms == of_ms else ""
    print(f"\rSent {sent_ms / 1000:.0f} s of {of_ms / 1000:.0f}", end=end, file=sys.stderr, flush=True)


def main() -> None:
    with rt.connect(**somewhere(), intent="transcription", session=CONFIG) as session:
        for segment in session.transcribe(speech, progress=show):
            start_s, end_s = (segment.start_ms or 0) / 1000, (segment.end_ms or 0) / 1000
            print(f"{start_s:6.2f} - {end_s:.2f} s  {segment.error.message if segment.error else segment.text.strip()}")


if __name__ == "__main__":
    try:
        main()
    except rt.RealtimeError as error:  # the file, the key, the network
        sys.exit(f"{type(error).__name__}: {error}")
