"""Stereo and more: from several channels to one, and back."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from realtime_sync import _limits
from realtime_sync._arguments import answering
from realtime_sync.audio.pcm import bytes_of, interleaved_bytes, pcm_bytes, samples_of
from realtime_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["MOST_CHANNELS", "mixed", "to_channels", "to_mono", "validate_channels"]

MOST_CHANNELS: Final = 64


@answering
def to_mono(pcm: Buffer, channels: int) -> bytes:
    """Mix ``channels`` channels, from 1 to 64, to one: each sample is the average of its frame, rounded down.

    ``pcm`` is s16le with the channels interleaved (left, right, left, right ...), as sound cards give it: bytes, a
    buffer of 16-bit integers or of floats from -1 to 1, or a NumPy array of shape (frames, channels). It must hold
    whole frames. The result is mono s16le at the same rate. Any thread.

    Raises `ConfigurationError` for what is not PCM of so many channels.
    """
    channels = validate_channels(channels)
    samples = samples_of(interleaved_bytes(pcm, channels))
    if len(samples) % channels:
        raise ConfigurationError(f"{len(samples)} samples are no whole frames of {channels} channels")
    return mixed(samples, channels)


def mixed(samples: array[int], channels: int) -> bytes:
    """Whole frames of interleaved samples as mono PCM."""
    if channels == 1:
        return bytes_of(samples)
    each = [samples[first::channels] for first in range(channels)]
    return bytes_of(sum(frame) // channels for frame in zip(*each, strict=True))


@answering
def to_channels(pcm: Buffer, channels: int) -> bytes:
    """Give every one of ``channels`` channels, from 1 to 64, the samples of mono PCM: interleaved s16le at the same
    rate, for a sound card that plays no mono. Any thread.

    Raises `ConfigurationError` for what is not mono PCM, and for an impossible number of channels.
    """
    channels = validate_channels(channels)
    samples = samples_of(pcm_bytes(pcm))
    spread = array("h", bytes(2 * len(samples) * channels))
    for channel in range(channels):
        spread[channel::channels] = samples
    return bytes_of(spread)


def validate_channels(channels: int) -> int:
    """The number itself; raises `ConfigurationError` when no sound has so many channels."""
    return _limits.size("the number of channels", channels, "channels", most=MOST_CHANNELS)
