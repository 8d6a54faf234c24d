"""Prices that the user brings along."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from copy import deepcopy
from math import isfinite
from typing import Any, Final

from realtime_sync._arguments import answered, check_kind
from realtime_sync.errors import ConfigurationError
from realtime_sync.state.usage.tokens import MODALITIES, Tokens, Used

__all__ = ["PriceTable", "check_prices", "require_price"]

_DIRECTIONS: Final = ("input", "cached", "output")
_MINUTE: Final = "minute"
_DATED: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_PRICED: Final = 1_000_000
"""Token prices are for so many."""


@answered
class PriceTable:
    """Prices of models, from a mapping; the library brings none along.

    For each model ``input``, ``cached`` and ``output`` give the price of a million tokens by modality (``text``,
    ``audio``, ``image``), and ``minute`` the price of a minute of audio for transcription models that are billed by
    time: ``{"some-model": {"input": {"text": ..., "audio": ...}, "cached": {...}, "output": {...}}}``. A modality
    that ``cached`` leaves out costs what it costs uncached. A model with a date at its end
    (``some-model-2030-01-31``) has the prices of the one without where it has none of its own, and ``*`` stands for
    every model that is not listed. The currency is yours.

    Raises `ConfigurationError`, which says where, for unknown names and for what is no price.
    """

    def __init__(self, prices: Mapping[str, Any]) -> None:
        self._models: dict[str, Mapping[str, Any]] = {}
        for model, table in _object(prices, "the price table").items():
            for name, value in _object(table, f"the prices of {model}").items():
                where = f"{name!r} of {model}"
                if name == _MINUTE:
                    require_price(value, where)
                elif name in _DIRECTIONS:
                    for modality, price in _object(value, where).items():
                        if modality not in MODALITIES:
                            raise ConfigurationError(f"{where}: {modality!r} is none of {', '.join(MODALITIES)}")
                        require_price(price, f"{where}, {modality}")
                else:
                    raise ConfigurationError(
                        f"the prices of {model}: {name!r} is none of {', '.join((*_DIRECTIONS, _MINUTE))}"
                    )
            self._models[model] = deepcopy(dict(table))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PriceTable:
        """The table in a JSON file. Raises `ConfigurationError` also when it cannot be read."""
        try:
            with open(path, encoding="utf-8") as file:
                prices = json.load(file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the price table {os.fspath(path)!r} cannot be read: {error}") from error
        return cls(prices)

    def require(self, model: str | None) -> None:
        """Raises `ConfigurationError` when the table has no prices for this model."""
        self._of(model)

    def cost(self, used: Used, model: str | None) -> float:
        """What ``used`` costs with this model. Tokens without a modality are taken for the dearest one.

        Raises `ConfigurationError` when a price is missing.
        """
        table = self._of(model)
        given, cached, written = (table.get(direction, {}) for direction in _DIRECTIONS)
        cost = _tokens_cost(used.uncached, given, f"input of {model}")
        cost += _tokens_cost(used.cached, {**given, **cached}, f"cached input of {model}")
        cost += _tokens_cost(used.output, written, f"output of {model}")
        if used.seconds:
            if _MINUTE not in table:
                raise ConfigurationError(f"the price table has no price for a minute of {model}")
            cost += used.seconds / 60 * table[_MINUTE]
        return cost

    def __repr__(self) -> str:
        return f"<PriceTable of {', '.join(self._models) or 'nothing'}>"

    def _of(self, model: str | None) -> Mapping[str, Any]:
        for name in (model, _DATED.sub("", model or ""), "*"):
            if name in self._models:
                return self._models[name]
        if model is None:
            raise ConfigurationError("the server does not name its model: give it, or list prices for '*'")
        known = ", ".join(self._models) or "nothing"
        raise ConfigurationError(f"the price table has no prices for {model!r}, only for {known}")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where}: expected an object, not {type(value).__name__}")
    return value


def check_prices(prices: object) -> None:
    """Raises `ConfigurationError` for what is no `PriceTable`."""
    check_kind("prices", prices, "a PriceTable: PriceTable({'some-model': {'input': {'text': ...}, ...}})", PriceTable)


def require_price(value: Any, where: str) -> None:
    """Raises `ConfigurationError`, which says where, for what is no amount of money."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
        raise ConfigurationError(f"{where}: {value!r} is no price")


def _tokens_cost(tokens: Tokens, prices: Mapping[str, float], of: str) -> float:
    cost = 0.0
    for modality in (*MODALITIES, "other"):
        count = getattr(tokens, modality)
        if count:
            price = max(prices.values(), default=None) if modality == "other" else prices.get(modality)
            if price is None:
                raise ConfigurationError(f"the price table has no price for the {modality} tokens, {of}")
            cost += count * price / _PRICED
    return cost
