"""What the user hears of the model's audio, the user who interrupts it, and the microphone that hears the user."""

from __future__ import annotations

from realtime_sync.playback.barge_in import BargeIn, Cut, Interruption
from realtime_sync.playback.microphone import MicrophoneFeed
from realtime_sync.playback.tracker import AudioChunk, HeardPart, PlaybackTracker

__all__ = ["AudioChunk", "BargeIn", "Cut", "HeardPart", "Interruption", "MicrophoneFeed", "PlaybackTracker"]
