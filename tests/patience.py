"""How long the tests wait for another process before they say that it hangs."""

from __future__ import annotations

from typing import Final

__all__ = ["PROCESS_S"]

PROCESS_S: Final = 200.0
"""In seconds, below the limit of a test (pyproject.toml). At a load of 13 on two processors pyright took over 55."""
