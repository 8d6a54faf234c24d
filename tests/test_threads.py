"""Many threads at once, forks, sessions that are dropped."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt


@pytest.fixture
def hasty() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def dispatching() -> int:
    return sum(thread.name == "realtime_sync-dispatch" for thread in threading.enumerate())


def test_start_from_many_threads_at_once_begins_one_and_stop_leaves_none(hasty: None) -> None:
    with FakeSession() as fake:
        for _ in range(30):
            threads = [threading.Thread(target=fake.session.start) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert dispatching() == 1
            fake.session.stop()
            assert dispatching() == 0


def test_interrupters_from_many_threads_are_all_kept(hasty: None) -> None:
    with FakeSession() as fake:
        called: list[int] = []

        def add(number: int) -> None:
            for _ in range(50):
                fake.session.add_interrupter(lambda: called.append(number) or ())

        threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        fake.session.interrupt()
        assert len(called) == 200


VERBS: dict[str, Callable[[rt.RealtimeSession], Any]] = {
    "run": lambda session: session.run(),
    "start": lambda session: session.start(),
    "recv": lambda session: session.recv(5),
    "send": lambda session: session.send_text("x"),
    "append": lambda session: session.append_audio_bytes(bytes(480)),
    "ask": lambda session: session.ask("x", timeout=5),
    "wait_for": lambda session: session.wait_for("response.done", timeout=5),
    "create_response": lambda session: session.create_response(),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_in_a_forked_child_raises_at_once(verb: str) -> None:
    with FakeSession() as fake:
        fake.session.start()
        fake.session._acks._lock.acquire()  # as if another thread of the parent were just inside
        child = os.fork()
        if child == 0:
            code = 1
            try:
                VERBS[verb](fake.session)
            except rt.ConnectionClosed as error:
                code = 0 if "process that opened it" in str(error) else 2
            finally:
                os._exit(code)
        fake.session._acks._lock.release()
        deadline = time.monotonic() + 20
        ended, status = os.waitpid(child, os.WNOHANG)
        while not ended and time.monotonic() < deadline:
            time.sleep(0.01)
            ended, status = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, 9)
            os.waitpid(child, 0)
        assert ended, "it hangs"
        assert os.waitstatus_to_exitcode(status) == 0


def test_a_handler_that_ends_its_thread_in_the_background_is_heard_of() -> None:
    with FakeSession() as fake:
        told: list[Exception] = []
        fake.session.on("session.created", lambda event: sys.exit(3))
        fake.session.start(on_error=told.append)
        deadline = time.monotonic() + 20
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(rt.RealtimeError, match="SystemExit"):
            fake.session.stop()
        assert isinstance(told[0].__cause__, SystemExit)
