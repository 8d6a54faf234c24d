"""How long audio is, by the size of its data."""

from __future__ import annotations

__all__ = ["base64_bytes"]


def base64_bytes(text: str) -> int:
    """How many bytes the base64 text stands for."""
    return len(text) * 3 // 4 - text.endswith("=") - text.endswith("==")
