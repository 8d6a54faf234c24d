"""Synchronous client for the OpenAI Realtime API."""

from __future__ import annotations

from realtime_sync._version import __version__ as __version__
