"""Talks with a Realtime server, written down message by message, to be looked at, tested and played again."""

from __future__ import annotations

from realtime_sync.recording.message import Close, Message
from realtime_sync.recording.recorder import Recorder
from realtime_sync.recording.recording import Recording
from realtime_sync.recording.sound import export_audio

__all__ = ["Close", "Message", "Recorder", "Recording", "export_audio"]
