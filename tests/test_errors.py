"""The tree of exceptions: one root, and each survives a process pool."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from realtime_sync import errors
from realtime_sync.codec import decode_server_event
from realtime_sync.errors import (
    AuthenticationError,
    BudgetExceeded,
    ConfigurationError,
    ConnectionClosed,
    ConnectionLost,
    HandshakeError,
    InboxOverflow,
    InvalidEvent,
    RealtimeError,
    RealtimeTimeout,
    ResponseFailed,
    ServerError,
    SessionExpired,
)

SERVER = ServerError("no such item", type="invalid_request_error", code="not_found", param="item_id", event_id="ev_1")
DONE: Any = decode_server_event(
    b'{"type": "response.done", "response": {"id": "r", "status": "failed", "vendor": 1,'
    b' "output": [{"type": "message", "id": "i", "content": []}]}}'
)

EXAMPLES: list[RealtimeError] = [
    RealtimeError("root"),
    ConfigurationError("no key"),
    HandshakeError("refused", status=503, body="busy", request_id="req_1", retry_after_s=1.5),
    AuthenticationError("refused", status=401),
    RealtimeTimeout("late"),
    ConnectionClosed("closed", code=1000, reason="bye", error=SERVER),
    ConnectionLost("lost"),
    SessionExpired("over", code=1001, reason="expired", error=SERVER),
    InboxOverflow("too much", limit_bytes=10),
    InvalidEvent("wrong"),
    SERVER,
    ServerError(None),
    ResponseFailed("failed", status="failed", details={"reason": "x"}, response=DONE.response),
    BudgetExceeded("spent", cost=1.5, max_cost=1.0),
]


def kinds(root: type[RealtimeError]) -> Iterator[type[RealtimeError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def state_of(error: RealtimeError) -> Any:
    """What can be told from an exception; the errors among its attributes by their own state."""
    told = {name: state_of(value) if isinstance(value, RealtimeError) else value for name, value in vars(error).items()}
    return type(error), error.args, str(error), told


def test_every_kind_has_an_example() -> None:
    assert {type(error) for error in EXAMPLES} == set(kinds(RealtimeError))
    assert {kind.__name__ for kind in kinds(RealtimeError)} == set(errors.__all__)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_and_back_nothing_is_lost(error: RealtimeError, protocol: int) -> None:
    error = copy.copy(error)
    error.extra = {"by": "the user"}  # type: ignore[attr-defined]
    restored = pickle.loads(pickle.dumps(error, protocol))
    assert state_of(restored) == state_of(error)
    assert state_of(pickle.loads(pickle.dumps(restored, protocol))) == state_of(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_copied(error: RealtimeError) -> None:
    assert state_of(copy.copy(error)) == state_of(error)
    assert state_of(copy.deepcopy(error)) == state_of(error)


class Derived(InboxOverflow):
    """As a user might derive one, with another signature."""

    def __init__(self, where: str) -> None:
        super().__init__(f"overflow in {where}", limit_bytes=5)
        self.where = where


def fail(number: int) -> None:
    raise Derived("there") if number == len(EXAMPLES) else EXAMPLES[number]


def test_raised_in_a_worker_process_they_arrive() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for number, error in enumerate(EXAMPLES):
            caught = pool.submit(fail, number).exception(60)
            assert isinstance(caught, RealtimeError)
            assert state_of(caught) == state_of(error)
        derived = pool.submit(fail, len(EXAMPLES)).exception(60)
    assert isinstance(derived, Derived)
    assert (derived.where, derived.limit_bytes, str(derived)) == ("there", 5, "overflow in there")
