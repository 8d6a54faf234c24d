"""The words of a WAV file, with their times: a session that only transcribes.

python examples/transcribe.py [SPEECH.wav]
"""

from __future__ import annotations

import sys
from pathlib import Path

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.audio import chunks, duration_ms, read_wav
from realtime_sync.local import somewhere

CONFIG = {
    "type": "transcription",  # the model stands here, not in connect()
    "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "server_vad"}}},
}
SILENCE = bytes(48_000)  # 1 s, by which turn detection sees that the last sentence is over

speech = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("speech-two-turns.wav")
pcm = read_wav(speech) + SILENCE
spoken: dict[str, list[float]] = {}  # item id -> when it begins and ends, in seconds
said: dict[str, str] = {}

with rt.connect(**somewhere(), intent="transcription", session=CONFIG) as session:

    @session.on(events.InputAudioBufferSpeechStarted)
    def begin(event: events.InputAudioBufferSpeechStarted) -> None:
        spoken[event.item_id] = [event.audio_start_ms / 1000]

    @session.on(events.InputAudioBufferSpeechStopped)
    def end(event: events.InputAudioBufferSpeechStopped) -> None:
        spoken[event.item_id].append(event.audio_end_ms / 1000)

    @session.on(events.ConversationItemInputAudioTranscriptionCompleted)
    def hear(event: events.ConversationItemInputAudioTranscriptionCompleted) -> None:
        said[event.item_id] = event.transcript

    @session.on(events.ConversationItemInputAudioTranscriptionFailed)
    def miss(event: events.ConversationItemInputAudioTranscriptionFailed) -> None:
        said[event.item_id] = f"[{event.error.message}]"

    for number, piece in enumerate(chunks(pcm, chunk_ms=1000), 1):
        session.append_audio_bytes(piece)
        print(f"\rSent {number} s of {duration_ms(len(pcm)) / 1000:.0f}", end="", file=sys.stderr)
    print(file=sys.stderr)
    # The server answers in order: when turn detection is off, all that was spoken has been found.
    session.update_session({"audio": {"input": {"turn_detection": None}}}).result(timeout=60)
    while any(item_id not in said for item_id in spoken):  # transcripts come late, and in any order
        session.recv(timeout=60)

for item_id, (start_s, *end_s) in spoken.items():
    print(f"{start_s:6.2f} - {end_s[0] if end_s else 0:6.2f} s  {said[item_id].strip()}")
