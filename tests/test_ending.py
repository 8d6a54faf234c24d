"""Why a session ended, as the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, error

import realtime_sync as rt


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


@pytest.mark.parametrize(
    ("reason", "before", "kind"),
    [
        ("Your session hit the maximum duration of 60 minutes.", [], rt.SessionExpired),
        ("", [error(None, "session_expired")], rt.SessionExpired),
        ("restart", [], rt.ConnectionLost),
    ],
)
def test_close_1001_is_expiry_or_loss(reason: str, before: list[Any], kind: type[Exception]) -> None:
    with FakeSession() as fake:
        fake.wire.hang_up(1001, reason, *before)
        with pytest.raises(kind) as caught:
            for _ in fake.session:
                pass
        assert isinstance(caught.value, rt.ConnectionClosed)
        assert (caught.value.error is not None) == bool(before)


def test_the_error_that_explains_the_end_is_attached_and_others_are_not() -> None:
    with FakeSession() as fake:
        fake.wire.hang_up(1008, "policy", error(None, "rate_limit_exceeded", "slow down"))
        with pytest.raises(rt.ConnectionLost, match="slow down") as caught:
            list(fake.session)
        assert caught.value.error is not None
        assert caught.value.error.code == "rate_limit_exceeded"
    with FakeSession() as fake:
        fake.wire.hang_up(1008, "policy", error(None, "old"), {"type": "a"})
        with pytest.raises(rt.ConnectionLost) as caught:
            list(fake.session)
        assert caught.value.error is None
