"""Talk with the model: microphone in, loudspeaker out, and it stops when you speak.

Needs a sound card and the package sounddevice: pip install "realtime-sync[voice]". Wear a headset, or the model hears
itself. Ctrl-C ends it.
"""

from __future__ import annotations

import sys
from typing import Any

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere
from realtime_sync.playback import BargeIn, Interruption, MicrophoneFeed, PlaybackTracker

SOUND = {"samplerate": 24_000, "channels": 1, "dtype": "int16"}  # what the API speaks; another rate: MicrophoneFeed
CONFIG = {
    "instructions": "You are a friendly assistant. Be brief.",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "gpt-4o-mini-transcribe"}}
    },
}


def talk(sounddevice: Any) -> None:
    with rt.connect("gpt-realtime", **somewhere(speed=4), session=CONFIG) as session, MicrophoneFeed(session) as feed:
        tracker = PlaybackTracker()
        tracker.attach(session)
        BargeIn(session, tracker, on_interrupt=tell)  # what you did not hear is cut from the conversation
        session.on(
            events.ConversationItemInputAudioTranscriptionCompleted, lambda event: print("You:  ", event.transcript)
        )
        session.on(events.ResponseOutputAudioTranscriptDone, lambda event: print("Model:", event.transcript))

        # Both run on threads of the sound card and must not wait: neither of these does.
        def listen(pcm: Any, frames: int, time: Any, status: Any) -> None:
            feed.put(pcm)

        def play(out: Any, frames: int, time: Any, status: Any) -> None:
            out[:] = tracker.read(len(out))

        with (
            sounddevice.RawInputStream(callback=listen, **SOUND),
            sounddevice.RawOutputStream(callback=play, **SOUND),
        ):
            print("Speak. Ctrl-C ends.")
            try:
                session.run()
            except KeyboardInterrupt:
                print("Bye.")
        if feed.dropped_ms:
            print(f"The network was too slow for {feed.dropped_ms} ms of what you said.")


def tell(interruption: Interruption) -> None:
    for cut in interruption.cuts:
        print(f"(you heard {cut.part.played_ms} of {cut.part.received_ms} ms)")


def main() -> int:
    try:
        import sounddevice
    except ImportError:
        print('This needs sounddevice: pip install "realtime-sync[voice]"', file=sys.stderr)
        return 1
    except OSError as error:  # its C library is missing
        print(f"{error}: install PortAudio (on Debian and Ubuntu: apt install libportaudio2)", file=sys.stderr)
        return 1
    try:
        talk(sounddevice)
    except sounddevice.PortAudioError as error:
        print(f"No microphone or loudspeaker: {error}. `python -m sounddevice` lists them.", file=sys.stderr)
        return 1
    except rt.RealtimeError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
