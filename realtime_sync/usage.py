"""What `RealtimeSession.usage` is made of: tokens, cost by your own prices, rate limits."""

from realtime_sync.state.usage import CostLimit, PriceTable, RateLimits, RateLimitState, Tokens, UsageTally, Used

__all__ = ["CostLimit", "PriceTable", "RateLimitState", "RateLimits", "Tokens", "UsageTally", "Used"]
