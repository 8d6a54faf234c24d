"""A limit to what a session may cost."""

from __future__ import annotations

from typing import Final

from realtime_sync._arguments import answered
from realtime_sync.errors import BudgetExceeded
from realtime_sync.state.usage.prices import PriceTable, check_prices, require_price
from realtime_sync.state.usage.tally import UsageTally

__all__ = ["CostLimit"]


@answered
class CostLimit:
    """Refuses further responses once a session has cost ``max_cost`` by ``prices``. ``model`` and
    ``transcription_model`` are for servers that do not name theirs."""

    def __init__(
        self, max_cost: float, prices: PriceTable, *, model: str | None = None, transcription_model: str | None = None
    ) -> None:
        require_price(max_cost, "max_cost")
        check_prices(prices)
        self.max_cost: Final = max_cost
        self._prices = prices
        self._model = model
        self._transcription_model = transcription_model

    def check(self, tally: UsageTally) -> None:
        """Call it before each response.

        Raises `BudgetExceeded` when the limit is reached, and `ConfigurationError` when the table lacks a price that
        is needed, for the session's model already before the first response.
        """
        self._prices.require(tally.model or self._model)
        cost = tally.cost(self._prices, model=self._model, transcription_model=self._transcription_model)
        if cost >= self.max_cost:
            raise BudgetExceeded(
                f"the session has cost {cost:.6g} of at most {self.max_cost:g}: no further response is asked for",
                cost=cost,
                max_cost=self.max_cost,
            )
