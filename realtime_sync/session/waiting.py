"""`wait`: one thread for several sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from realtime_sync._arguments import answering
from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError
from realtime_sync.session.session import RealtimeSession

__all__ = ["wait"]


@answering
def wait(sessions: Iterable[RealtimeSession], timeout: float | None = None) -> list[RealtimeSession]:
    """Block until something has arrived at one or more of ``sessions``, and return these, in the order given: an empty
    list after ``timeout`` seconds (0 only looks; ``None`` waits for as long as it takes).

    Nothing is dispatched: ``session.poll()`` then gives all that has arrived to the handlers, and
    ``session.recv(timeout=0)`` returns the next event. A session that has ended is returned too, each time: leave it
    out from then on. What another thread dispatches (`RealtimeSession.start`) is no business of this call. Any thread.

    Raises `ConfigurationError` when there is no session or something else among them.
    """
    given: object = sessions
    # A session is iterable too: over its events.
    several = tuple(given) if isinstance(given, Iterable) and not hasattr(given, "recv") else ()
    if not several or not all(isinstance(session, RealtimeSession) for session in several):
        raise ConfigurationError("wait() takes a list of sessions, one at least: wait([session])")
    deadline = Deadline(timeout)
    bell = threading.Event()
    for session in several:
        session._dispatcher.bells.add(bell)
    try:
        while True:
            bell.clear()  # before looking: what comes after the look rings
            ready = [session for session in several if session._dispatcher.ready()]
            if ready or deadline.expired:
                return ready
            bell.wait(deadline.slice())
    finally:
        for session in several:
            session._dispatcher.bells.discard(bell)
