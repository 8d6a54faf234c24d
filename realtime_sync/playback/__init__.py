"""What the user hears of the model's audio, and the user who interrupts it."""

from __future__ import annotations

from realtime_sync.playback.barge_in import BargeIn, Cut, Interruption
from realtime_sync.playback.tracker import AudioChunk, HeardPart, PlaybackTracker

__all__ = ["AudioChunk", "BargeIn", "Cut", "HeardPart", "Interruption", "PlaybackTracker"]
