"""Push to talk: Enter begins to listen, Enter again sends. No turn detection, so that a noisy room is no trouble.

Needs a sound card and the package sounddevice: pip install "realtime-sync[voice]".
"""

from __future__ import annotations

import sys

import realtime_sync as rt
from realtime_sync.local import somewhere
from realtime_sync.playback import BargeIn, MicrophoneFeed, PlaybackTracker

try:
    import sounddevice
except (ImportError, OSError) as missing:  # OSError: its C library, PortAudio
    sys.exit(f'This needs sounddevice: pip install "realtime-sync[voice]" ({missing})')

SOUND = {"samplerate": 24_000, "channels": 1, "dtype": "int16"}
CONFIG = {"audio": {"input": {"turn_detection": None}}}


def talk() -> None:
    with rt.connect("gpt-realtime", **somewhere(speed=4), session=CONFIG) as session, MicrophoneFeed(session) as feed:
        feed.muted = True
        tracker = PlaybackTracker()
        tracker.attach(session)
        BargeIn(session, tracker)  # session.interrupt() below acts through it

        def listen(pcm: memoryview, *_: object) -> None:
            feed.put(pcm)

        def play(out: memoryview, *_: object) -> None:
            out[:] = tracker.read(len(out))

        with (
            sounddevice.RawInputStream(callback=listen, **SOUND),
            sounddevice.RawOutputStream(callback=play, **SOUND),
        ):
            while input("Enter to speak, q to quit: ") != "q":
                session.interrupt()  # stop what still plays; the conversation keeps what you have heard
                session.clear_audio()
                feed.muted = False
                input("Listening; Enter to send: ")
                feed.muted = True
                feed.flush()
                try:
                    session.commit_audio().result()
                except (rt.ServerError, rt.InvalidEvent):
                    print("(too short: hold it for longer)")
                    continue
                for piece in session.respond().text():
                    print(piece, end="", flush=True)
                print()


if __name__ == "__main__":
    try:
        talk()
    except sounddevice.PortAudioError as error:
        sys.exit(f"No microphone or loudspeaker: {error}. `python -m sounddevice` lists them.")
    except rt.RealtimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, EOFError):
        print("Bye.")
