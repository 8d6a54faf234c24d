"""Why a session ended, as the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fakes import FakeSession, error

import realtime_sync as rt
from realtime_sync.delivery.ending import FATAL_CODES, UNAUTHORIZED_CODES, explain, refusal


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


@pytest.mark.parametrize("dispatched", [True, False])
@pytest.mark.parametrize(
    ("code", "reason", "before", "kind"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", [], rt.SessionExpired),
        (1001, "", [error(None, "session_expired")], rt.SessionExpired),
        (3000, "", [error(None, "insufficient_quota", "no money")], rt.ConnectionLost),
        (1011, "restart", [], rt.ConnectionLost),
    ],
)
def test_whoever_sends_after_the_end_is_told_the_same_as_who_waits(
    code: int, reason: str, before: list[Any], kind: type[Exception], dispatched: bool
) -> None:
    with FakeSession() as fake:
        session = fake.session
        session.on("error", lambda event: None)
        fake.wire.hang_up(code, reason, *before)
        fake.connection._thread.join(20)
        if dispatched:
            with pytest.raises(kind):
                list(session)
        for send in (session.ask, session.send_text, lambda _: session.append_audio_bytes(bytes(2))):
            with pytest.raises(kind) as sent:
                send("x")
            assert isinstance(sent.value, rt.ConnectionClosed)
            assert sent.value.code == code
            assert (sent.value.error is not None) == bool(before)
        with pytest.raises(kind) as waited:
            session.wait_for("x.y")
        assert str(waited.value) == str(sent.value)


QUOTA = error(None, "quota", "the quota is used up")


def clean_ends() -> Iterator[tuple[FakeSession, str, str | None]]:
    """Sessions that the server ends with code 1000, in the middle of a wait or ahead of it."""
    for reason, before in (("idle limit", [QUOTA]), ("idle limit", []), ("", [QUOTA])):
        with FakeSession() as fake:
            fake.session.on("error", lambda event: None)
            fake.wire.hang_up(1000, reason, *before)
            fake.connection._thread.join(20)
            yield fake, reason, "quota" if before else None


def check_told(told: BaseException, reason: str, code: str | None) -> None:
    assert type(told) is rt.ConnectionClosed
    assert (told.code, told.reason) == (1000, reason)
    assert (told.error and told.error.code) == code
    assert reason in str(told)
    assert ("the quota is used up" in str(told)) == (code is not None)


def test_a_clean_close_ends_iteration_run_and_recv_without_an_exception() -> None:
    for fake, _, _ in clean_ends():
        seen = [event.type for event in fake.session]
        assert seen[0] == "session.created"
        fake.session.run()
        assert fake.session.recv() is None


@pytest.mark.parametrize("dispatched", [True, False])
def test_whoever_waits_or_sends_is_told_why_the_server_closed_cleanly(dispatched: bool) -> None:
    for fake, reason, code in clean_ends():
        session = fake.session
        if dispatched:
            list(session)
        for late in (session.ask, session.send_text, session.wait_for):
            with pytest.raises(rt.ConnectionClosed) as caught:
                late("x")
            check_told(caught.value, reason, code)


def test_an_ack_and_a_reply_are_told_why_the_server_closed_cleanly() -> None:
    with FakeSession() as fake:
        session = fake.session
        ack = session.update_session({"instructions": "x"})
        turn = session.respond("hello")
        fake.wire.hang_up(1000, "idle limit")
        for wait in (ack.result, turn.result):
            with pytest.raises(rt.ConnectionClosed) as caught:
                wait()
            check_told(caught.value, "idle limit", None)


def test_our_own_close_has_no_goodbye_of_the_server() -> None:
    with FakeSession() as fake:
        fake.session.close(reason="enough")
        with pytest.raises(rt.ConnectionClosed, match=r"was closed while waiting for an event x\.y$") as waited:
            fake.session.wait_for("x.y")
        with pytest.raises(rt.ConnectionClosed, match="nothing can be sent any more") as sent:
            fake.session.send_text("x")
        for caught in (waited, sent):
            assert (caught.value.code, caught.value.reason, caught.value.error) == (1000, "", None)


def test_whoever_sends_after_an_overflow_is_told_of_it() -> None:
    with FakeSession(limit_bytes=1000) as fake:
        fake.wire.say(*[{"type": "vendor.long", "text": "x" * 1000}] * 2)
        fake.connection._thread.join(20)
        for _ in range(2):
            with pytest.raises(rt.ConnectionClosed, match="inbox_limit_bytes") as sent:
                fake.session.send_text("x")
            assert isinstance(sent.value.__cause__, rt.InboxOverflow)
            with pytest.raises(rt.InboxOverflow):
                fake.session.wait_for("x.y")


def said(code: str | None, kind: str | None = None) -> rt.ServerError:
    return rt.ServerError("as the server says", code=code, type=kind)


def lost(code: int = 1008, reason: str = "") -> rt.ConnectionLost:
    error = rt.ConnectionLost("the connection was lost", code=code, reason=reason)
    error.__cause__ = OSError("reset")
    return error


def test_a_clean_close_has_no_cause() -> None:
    assert explain(None, None, last=False) is None
    assert explain(None, said("rate_limit_exceeded"), last=True) is None


def test_a_cause_that_nothing_explains_stays_as_it_is() -> None:
    for cause in (lost(), rt.InboxOverflow("too much", limit_bytes=1), rt.ConnectionClosed("closed here", code=1000)):
        assert explain(cause, None, last=False) is cause
        assert explain(cause, said("odd"), last=False) is cause, "other events came after that error"


def test_the_last_error_explains_the_loss_that_follows_it() -> None:
    cause = lost(reason="policy")
    told = explain(cause, said("odd"), last=True)
    assert type(told) is rt.ConnectionLost
    assert "before it the server said" in str(told)
    assert (told.code, told.reason, told.error) == (1008, "policy", told.error)
    assert told.error is not None
    assert told.error.code == "odd"
    assert told.__cause__ is cause.__cause__


def test_an_overflow_on_this_side_is_not_explained_by_what_the_server_said() -> None:
    cause = rt.InboxOverflow("too much", limit_bytes=1)
    assert explain(cause, said("odd"), last=True) is cause


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_a_fatal_error_explains_the_end_whatever_came_after_it(code: str) -> None:
    for fatal in (said(code), said(None, code)):  # some servers put the code there
        told = explain(lost(), fatal, last=False)
        assert isinstance(told, rt.ConnectionClosed)
        assert told.error is fatal
        assert isinstance(told, rt.SessionExpired) == (code == "session_expired")


@pytest.mark.parametrize("cause", [None, lost(), lost(1001)], ids=["clean", "lost", "going away"])
@pytest.mark.parametrize("said_so", [said("session_expired"), said(None, "session_expired")], ids=["code", "type"])
def test_an_expired_session_is_told_as_such_however_the_connection_ended(cause: Any, said_so: rt.ServerError) -> None:
    told = explain(cause, said_so, last=True)
    assert isinstance(told, rt.SessionExpired)
    assert (told.error, told.code) == (said_so, 1000 if cause is None else cause.code)


@pytest.mark.parametrize(
    ("code", "reason", "expired"),
    [
        (1001, "Your session hit the maximum duration of 60 minutes.", True),
        (1001, "Session EXPIRED", True),
        (1001, "", False),
        (1001, "restart", False),
        (1008, "session expired", False),
    ],
)
def test_a_close_1001_is_an_expiry_when_its_text_says_so(code: int, reason: str, expired: bool) -> None:
    assert isinstance(explain(lost(code, reason), None, last=False), rt.SessionExpired) == expired


# What `connect` raises


@pytest.mark.parametrize("code", sorted(UNAUTHORIZED_CODES))
def test_wrong_credentials_are_told_as_such_by_code_or_type(code: str) -> None:
    closed = rt.ConnectionLost("closed", code=1008, reason="", error=said(code))
    for refused in (said(code), said(None, code), closed):
        told = refusal(refused)
        assert isinstance(told, rt.AuthenticationError)
        assert told.__cause__ is refused


def test_close_3000_means_wrong_credentials() -> None:
    assert isinstance(refusal(rt.ConnectionLost("closed", code=3000)), rt.AuthenticationError)


def test_other_refusals_are_raised_as_they_are() -> None:
    for other in (said("insufficient_quota"), lost(4000), rt.RealtimeTimeout("late"), rt.ServerError(None)):
        assert refusal(other) is other
