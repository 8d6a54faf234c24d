"""A voice kiosk that runs for days: it goes on when the network fails and when the server ends the session, and starts
afresh for the next visitor.

Needs a sound card and the package sounddevice: pip install "realtime-sync[voice]". Ctrl-C ends it.
"""

from __future__ import annotations

import random
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
LEFT_S = 90.0  # a visitor who has said nothing for so long has left
LONGEST_PAUSE_S = 60.0


class Kiosk:
    """What outlives a session: the sound card, and the talk with the visitor."""

    def __init__(self) -> None:
        self.feed: MicrophoneFeed | None = None
        self.tracker: PlaybackTracker | None = None
        self.talk: rt.Conversation | None = None
        self.spoke_at = 0.0
        self.failures = 0

    # Both run on threads of the sound card.

    def listen(self, pcm: Any, *_: object) -> None:
        if self.feed is not None:
            self.feed.put(pcm)

    def play(self, out: Any, *_: object) -> None:
        out[:] = self.tracker.read(len(out)) if self.tracker is not None else bytes(len(out))

    def serve(self, where: dict[str, Any]) -> None:
        """One session, until it ends."""
        with rt.connect("gpt-realtime", **where, session=CONFIG) as session, MicrophoneFeed(session) as feed:
            tracker = PlaybackTracker()
            tracker.attach(session)
            BargeIn(session, tracker)
            if self.talk is not None and not self.visitor_has_left():
                print(session.restore(self.talk))
            self.talk = session.conversation
            self.feed, self.tracker, self.failures = feed, tracker, 0

            @session.on(events.InputAudioBufferSpeechStarted)
            def somebody_speaks(event: events.InputAudioBufferSpeechStarted) -> None:
                if self.visitor_has_left():
                    for entry in session.conversation:
                        session.delete_item(entry.id)
                self.spoke_at = time.monotonic()

            @session.on(events.ConversationItemInputAudioTranscriptionCompleted)
            def heard(event: events.ConversationItemInputAudioTranscriptionCompleted) -> None:
                print("Visitor:", event.transcript)

            @session.on(events.ResponseOutputAudioTranscriptDone)
            def said(event: events.ResponseOutputAudioTranscriptDone) -> None:
                print("Kiosk:  ", event.transcript)

            print("Open.")
            session.run()

    def visitor_has_left(self) -> bool:
        return time.monotonic() - self.spoke_at > LEFT_S

    def pause_s(self) -> float:
        """Longer after each failure, and not the same for all kiosks of a museum."""
        self.failures += 1
        return min(2.0**self.failures / 4, LONGEST_PAUSE_S) * random.uniform(0.5, 1)


def main() -> None:
    kiosk, where = Kiosk(), somewhere(speed=4)
    with (
        sounddevice.RawInputStream(callback=kiosk.listen, **SOUND),
        sounddevice.RawOutputStream(callback=kiosk.play, **SOUND),
    ):
        while True:
            try:
                kiosk.serve(where)
            except (rt.AuthenticationError, rt.ConfigurationError):
                raise  # no use to try again
            except rt.RealtimeError as error:
                print(f"{type(error).__name__}: {error}")
            time.sleep(kiosk.pause_s())


if __name__ == "__main__":
    try:
        main()
    except sounddevice.PortAudioError as error:
        sys.exit(f"No microphone or loudspeaker: {error}. `python -m sounddevice` lists them.")
    except rt.RealtimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        print("Bye.")
