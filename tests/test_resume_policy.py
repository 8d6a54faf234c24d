"""Whether and how hard a session is resumed: tables, without I/O."""

from __future__ import annotations

from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.events import REALTIME
from realtime_sync.session.resume.policy import is_final, survives


def said(code: str) -> e.ErrorEvent:
    return e.ErrorEvent(error=e.ErrorDetail(type="invalid_request_error", code=code, message="no"))


def caused(error: BaseException, cause: BaseException) -> Any:
    error.__cause__ = cause
    return error


LOST = rt.ConnectionLost("lost")
DELTA = e.ResponseOutputTextDelta(response_id="r", item_id="i", output_index=0, content_index=0, delta="x")


@pytest.mark.parametrize(
    ("cause", "last", "goes_on"),
    [
        pytest.param(None, None, False, id="clean"),
        pytest.param(LOST, None, True, id="lost"),
        pytest.param(LOST, DELTA, True, id="lost in a reply"),
        pytest.param(caused(rt.ConnectionLost("x"), OSError("reset")), None, True, id="by the network"),
        pytest.param(caused(rt.ConnectionLost("x"), ZeroDivisionError()), None, False, id="by a bug of ours"),
        pytest.param(caused(rt.ConnectionLost("x"), SystemExit()), None, False, id="by a tap"),
        pytest.param(rt.ConnectionLost("x", code=1001), said("session_expired"), True, id="expired"),
        pytest.param(rt.ConnectionLost("x", code=1011), None, True, id="internal error"),
        pytest.param(rt.ConnectionLost("x", code=3000), None, False, id="unauthorized"),
        pytest.param(rt.ConnectionLost("x", code=4000), None, False, id="another dialect"),
        pytest.param(LOST, said("insufficient_quota"), False, id="quota"),
        pytest.param(LOST, said("billing_hard_limit_reached"), False, id="billing"),
        pytest.param(LOST, said("invalid_api_key"), False, id="key"),
        pytest.param(LOST, said("unknown_parameter"), True, id="another error"),
        pytest.param(rt.InboxOverflow("full", limit_bytes=1), None, False, id="overflow"),
    ],
)
def test_what_a_session_survives(cause: Any, last: Any, goes_on: bool) -> None:
    assert survives(REALTIME, cause, last) is goes_on
    assert rt.Resume().survives(REALTIME)(cause, last) is goes_on


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (rt.HandshakeError("refused"), False),
        (rt.HandshakeError("busy", status=503), False),
        (rt.HandshakeError("later", status=429), False),
        (rt.HandshakeError("quota", status=429, body='{"code": "insufficient_quota"}'), True),
        (rt.HandshakeError("gone", status=404), True),
        (rt.AuthenticationError("no", status=401), True),
        (rt.ConfigurationError("no"), True),
        (rt.RealtimeTimeout("late"), False),
        (rt.ConnectionLost("lost"), False),
        (rt.ConnectionLost("lost", code=3000), True),
        (rt.ServerError("no", code="invalid_api_key"), True),
        (rt.ServerError("no", type="insufficient_quota"), True),
        (rt.ServerError("no", code="server_error"), False),
        (OSError("of the user's own function"), False),
    ],
)
def test_which_failures_of_an_attempt_are_final(error: BaseException, final: bool) -> None:
    assert is_final(error) is final


@pytest.mark.parametrize(
    ("attempt", "chance", "asked_s", "pause_s"),
    [
        (1, 0.0, None, 1.0),
        (2, 0.0, None, 2.0),
        (3, 0.0, None, 4.0),
        (4, 0.0, None, 5.0),
        (500, 0.0, None, 5.0),
        (1, 1.0, None, 0.5),
        (3, 0.5, None, 3.0),
        (1, 0.0, 3.0, 3.0),
        (1, 1.0, 3.0, 3.0),
        (1, 1.0, 60.0, 5.0),
    ],
)
def test_pauses_double_up_to_a_bound_and_heed_the_server(
    attempt: int, chance: float, asked_s: float | None, pause_s: float
) -> None:
    policy = rt.Resume(backoff_s=1.0, backoff_max_s=5.0, jitter=0.5)
    assert policy.pause_s(attempt, chance, asked_s) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 0),
        ("attempts", 1.5),
        ("attempts", True),
        ("attempts", None),
        ("backoff_s", -1),
        ("backoff_max_s", "x"),
        ("jitter", 1.1),
        ("jitter", "x"),
        ("jitter", True),
        ("in_flight", "hope"),
        ("keep_audio_s", float("nan")),
        ("keep_audio_s", None),
        ("history", -1),
        ("history", 1.5),
        ("rollover_s", -1),
        ("on_resumed", 5),
    ],
)
def test_what_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match=name):
        rt.Resume(**{name: value})


def test_what_resume_takes() -> None:
    assert rt.Resume.of(True) == rt.Resume()
    assert rt.Resume.of(False) is None
    assert rt.Resume.of(None) is None
    policy = rt.Resume(history=0, rollover_s=None, backoff_s=0)
    assert rt.Resume.of(policy) is policy
    with pytest.raises(rt.ConfigurationError, match="takes True or a Resume"):
        rt.Resume.of("yes")  # type: ignore[arg-type]
    with pytest.raises(rt.ConfigurationError, match="takes True or a Resume"):
        rt.connect("m", base_url="http://127.0.0.1:1", resume="yes")  # type: ignore[arg-type]


def test_a_pause_is_bounded_whatever_was_asked_for() -> None:
    assert rt.Resume(backoff_s=10**400).pause_s(1, 0.0) == 30.0
    assert rt.Resume(backoff_s=10**400, backoff_max_s=10**400).pause_s(5, 0.5) == float("inf")


def test_a_handler_that_cannot_be_called_with_the_event_is_refused_at_once() -> None:
    with pytest.raises(rt.ConfigurationError, match="on_resumed"):
        rt.Resume(on_resumed=lambda: None)  # type: ignore[arg-type, misc]
