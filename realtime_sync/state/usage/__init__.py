"""What a session has used, what that costs by the user's own prices, and the limits of the account."""

from __future__ import annotations

from realtime_sync.state.usage.budget import CostLimit
from realtime_sync.state.usage.limits import RateLimits, RateLimitState
from realtime_sync.state.usage.prices import PriceTable
from realtime_sync.state.usage.tally import UsageTally
from realtime_sync.state.usage.tokens import Tokens, Used

__all__ = ["CostLimit", "PriceTable", "RateLimitState", "RateLimits", "Tokens", "UsageTally", "Used"]
