"""How hard the property tests look: the same examples at each run, or new ones and more of them.

``REALTIME_SYNC_FRESH_EXAMPLES=5`` takes fresh seeds and five times as many; a failure prints how to repeat it.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

FACTOR: Final = int(os.environ.get("REALTIME_SYNC_FRESH_EXAMPLES") or 0)


def examples(count: int) -> settings:
    """A decorator: ``count`` examples, more of them where fresh ones are asked for."""
    return settings(max_examples=count * (FACTOR or 1))


# The machine may be busy: how long one example took says nothing about the code.
settings.register_profile(
    "realtime_sync",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not FACTOR,
    max_examples=100 * (FACTOR or 1),
    print_blob=True,
    database=None,
)
