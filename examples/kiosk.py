"""A voice kiosk that runs for days: it goes on when the network fails and when the server ends the session, and starts
afresh for the next visitor.

Needs a sound card and the package sounddevice: pip install "realtime-sync[voice]". Ctrl-C ends it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere
from realtime_sync.playback import BargeIn, MicrophoneFeed, PlaybackTracker

try:
    import sounddevice
except (ImportError, OSError) as missing:  # OSError: its C library, PortAudio
    sys.exit(f'This needs sounddevice: pip install "realtime-sync[voice]" ({missing})')

SOUND = {"samplerate": 24_000, "channels": 1, "dtype": "int16"}
CONFIG = {
    "instructions": "You tell visitors of a museum the way. Always speak, and be brief.",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "gpt-4o-mini-transcribe"}}
    },
}
# It never gives up; what was said more than five seconds before the line was there again, nobody waits to be answered.
RESUME = rt.Resume(attempts=1_000_000, backoff_max_s=60.0, keep_audio_s=5.0, in_flight="ask_again")
LEFT_S = 90.0  # a visitor who has said nothing for so long has left


class Visits:
    """Forgets what was said when somebody else comes."""

    def __init__(self, session: rt.RealtimeSession) -> None:
        self.session = session
        self.spoke_at = time.monotonic()

    def somebody_speaks(self, event: events.InputAudioBufferSpeechStarted) -> None:
        if time.monotonic() - self.spoke_at > LEFT_S:
            for entry in self.session.conversation:
                self.session.delete_item(entry.id)
        self.spoke_at = time.monotonic()


def tell(event: events.SessionResumed) -> None:
    lost = f", {len(event.lost)} items are lost" if event.lost else ""
    print(f"(on the line again after {event.gap_s:.1f} s: {event.reason or 'as planned'}{lost})")


def serve() -> None:
    with (
        rt.connect("gpt-realtime", **somewhere(speed=4), session=CONFIG, resume=RESUME) as session,
        MicrophoneFeed(session) as feed,
    ):
        tracker = PlaybackTracker()
        tracker.attach(session)
        BargeIn(session, tracker)
        session.on(events.InputAudioBufferSpeechStarted, Visits(session).somebody_speaks)
        session.on(
            events.ConversationItemInputAudioTranscriptionCompleted, lambda event: print("Visitor:", event.transcript)
        )
        session.on(events.ResponseOutputAudioTranscriptDone, lambda event: print("Kiosk:  ", event.transcript))
        session.on(events.SessionResumed, tell)

        # Both run on threads of the sound card, which go on whatever becomes of the connection.
        def listen(pcm: Any, *_: object) -> None:
            feed.put(pcm)

        def play(out: Any, *_: object) -> None:
            out[:] = tracker.read(len(out))

        with (
            sounddevice.RawInputStream(callback=listen, **SOUND),
            sounddevice.RawOutputStream(callback=play, **SOUND),
        ):
            print("Open.")
            session.run()


if __name__ == "__main__":
    try:
        serve()
    except sounddevice.PortAudioError as error:
        sys.exit(f"No microphone or loudspeaker: {error}. `python -m sounddevice` lists them.")
    except rt.RealtimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        print("Bye.")
