"""`UsageTally`: what a session has used so far."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Final

from realtime_sync._latest import Latest
from realtime_sync.events import (
    ConversationItemInputAudioTranscriptionCompleted,
    RateLimitsUpdated,
    ResponseDone,
    ServerEvent,
    SessionConfig,
    SessionCreated,
    SessionUpdated,
    Usage,
)
from realtime_sync.events._other_names import OF_USAGE, missing
from realtime_sync.state.facts import Facts
from realtime_sync.state.usage.limits import RateLimits
from realtime_sync.state.usage.prices import PriceTable, check_prices
from realtime_sync.state.usage.tokens import Used, used_by_response, used_by_transcription

__all__ = ["UsageTally"]

_MOST_KEPT: Final = 1024


class UsageTally:
    """Counts what a session uses: responses by modality and cached or not, and transcriptions of the user's speech
    apart from them, since another model makes them.

    It grows only by `apply`, on one thread; reading is safe on any. No response and no transcription is counted twice
    (of the latest 1,024 of each). What responses report is added up when somebody looks, or when much of it waits: with
    many responses the sums would be a large part of what each of them costs.
    """

    EVENTS: ClassVar[tuple[type[ServerEvent], ...]] = (
        ResponseDone,
        ConversationItemInputAudioTranscriptionCompleted,
        RateLimitsUpdated,
        SessionCreated,
        SessionUpdated,
    )
    """The events that `apply` needs."""

    def __init__(self) -> None:
        self.model: str | None = None
        """The model of the session, as the server names it."""
        self.transcription_model: str | None = None
        """The model that transcribes the user's speech, as the server names it."""
        self.limits: Final = RateLimits()
        """The limits of the account."""
        self._lock = threading.RLock()  # guards _responses, _by_model; an RLock, since a signal handler may look too
        self._reported: deque[tuple[str | None, str | None, Usage]] = deque()  # model, response, usage; to be added up
        self._responses: dict[str, Used] = Latest(_MOST_KEPT)
        self._counted: dict[str, None] = Latest(_MOST_KEPT)
        self._transcribed: dict[tuple[str, int], None] = Latest(_MOST_KEPT)
        self._by_model: dict[str | None, Used] = {}
        self._transcription_by_model: dict[str | None, Used] = {}

    if not TYPE_CHECKING:
        __getattr__ = missing(OF_USAGE)

    @property
    def total(self) -> Used:
        """What all responses have used together."""
        return sum(self._added_up().values(), Used())

    @property
    def transcription(self) -> Used:
        """What all transcriptions of the user's speech have used together."""
        return sum(list(self._transcription_by_model.values()), Used())

    @property
    def responses(self) -> Mapping[str, Used]:
        """What each of the latest 1,024 responses has used, by its id."""
        with self._lock:
            self._add_up_locked()
            return dict(self._responses)

    def cost(self, prices: PriceTable, *, model: str | None = None, transcription_model: str | None = None) -> float:
        """What all of it costs, transcriptions included, in the currency of the table. ``model`` and
        ``transcription_model`` are for what the server did not name.

        Raises `ConfigurationError` when the table lacks a price that is needed, and for what is no table.
        """
        check_prices(prices)
        counted = [(used, name or model) for name, used in self._added_up().items()]
        counted += [(used, name or transcription_model) for name, used in list(self._transcription_by_model.items())]
        return sum((prices.cost(used, name) for used, name in counted if used != Used()), 0.0)

    def apply(self, event: ServerEvent) -> None:
        """Take in one event; others than those of `EVENTS` change nothing."""
        if isinstance(event, ResponseDone):
            self._count_response(event)
        elif isinstance(event, ConversationItemInputAudioTranscriptionCompleted):
            self._count_transcription(event)
        elif isinstance(event, RateLimitsUpdated):
            self.limits.update(event.rate_limits or ())
        elif isinstance(event, (SessionCreated, SessionUpdated)):
            self._configure(event.session)

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:  # which a copy has one of its own of
            self._add_up_locked()
            held = {name: value for name, value in vars(self).items() if name != "_lock"}
            return {name: copy(value) if isinstance(value, (dict, deque)) else value for name, value in held.items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    def _repr_html_(self) -> str:
        from realtime_sync.state.display import usage

        return usage(self)

    def __repr__(self) -> str:
        total = self.total
        return f"<UsageTally: {total.input.total} input and {total.output.total} output tokens>"

    def _count_response(self, event: ResponseDone) -> None:
        response_id = getattr(event.response, "id", None)
        usage = getattr(event.response, "usage", None)
        known_by = response_id or event.event_id
        if usage is None or known_by in self._counted:
            return
        if known_by:
            self._counted[known_by] = None
        self._reported.append((self.model, response_id, usage))
        if len(self._reported) > _MOST_KEPT:
            self._added_up()

    def _added_up(self) -> dict[str | None, Used]:
        """What all responses have used, by the model."""
        with self._lock:
            self._add_up_locked()
            return dict(self._by_model)

    def _add_up_locked(self) -> None:
        while self._reported:
            report = self._reported.popleft()  # before all else: a signal handler that looks must not count it again
            model, response_id, usage = report
            try:
                used = used_by_response(usage)
                if response_id:
                    self._responses[response_id] = used
                self._by_model[model] = self._by_model.get(model, Used()) + used
            except BaseException:  # an interrupt
                self._reported.appendleft(report)
                raise

    def _count_transcription(self, event: ConversationItemInputAudioTranscriptionCompleted) -> None:
        place = (event.item_id, event.content_index or 0)
        if place in self._transcribed:
            return
        used = used_by_transcription(event.usage)
        if event.item_id and used != Used():
            self._transcribed[place] = None
        known = self._transcription_by_model.get(self.transcription_model, Used())
        self._transcription_by_model[self.transcription_model] = known + used

    def _configure(self, config: SessionConfig | None) -> None:
        facts = Facts.of(config)
        self.model = facts.model or self.model
        self.transcription_model = facts.transcription_model or self.transcription_model
