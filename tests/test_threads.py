"""Many threads at once, forks, sessions that are dropped."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync.delivery import control
from realtime_sync.delivery.control import Control, Task
from realtime_sync.tools import Toolset


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


def test_tools_from_many_threads_are_all_offered(hasty: None) -> None:
    with FakeSession() as fake:
        faults: list[BaseException] = []

        def offer(number: int) -> None:
            try:
                for count in range(8):
                    fake.session.tool(name=f"tool_{number}_{count}")(lambda: "x")
                fake.session.use_tools(Toolset())
            except BaseException as fault:
                faults.append(fault)

        threads = [threading.Thread(target=offer, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert faults == []
        told = [event["session"]["tools"] for event in fake.wire.texts if event["type"] == "session.update"]
        assert {tool["name"] for tool in told[-1]} == {f"tool_{a}_{b}" for a in range(4) for b in range(8)}


VERBS: dict[str, Callable[[rt.RealtimeSession], Any]] = {
    "run": lambda session: session.run(),
    "start": lambda session: session.start(),
    "recv": lambda session: session.recv(5),
    "send": lambda session: session.send_text("x"),
    "append": lambda session: session.append_audio_bytes(bytes(480)),
    "ask": lambda session: session.ask("x", timeout=5),
    "wait_for": lambda session: session.wait_for("response.done", timeout=5),
    "create_response": lambda session: session.create_response(),
    "respond": lambda session: session.respond("x"),
    "next_reply": lambda session: session.next_reply(),
    "iterate": lambda session: next(iter(session)),
    "poll": lambda session: session.poll(),
    "tool": lambda session: session.tool(lambda: "x"),
    "use_tools": lambda session: session.use_tools(Toolset()),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_in_a_forked_child_raises_at_once(verb: str) -> None:
    with FakeSession() as fake:
        fake.session.start()
        inside = (fake.session._acks._lock, fake.session._tools_lock, fake.session._turns._lock)
        for lock in inside:  # as if other threads of the parent were just there
            lock.acquire()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                VERBS[verb](fake.session)
            except rt.ConnectionClosed as error:
                code = 0 if "process that opened it" in str(error) else 2
            finally:
                os._exit(code)
        for lock in inside:
            lock.release()
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_parent_has_not_read_is_not_read_in_a_fork() -> None:
    with FakeSession() as fake:
        session = fake.session
        fake.wire.say(*({"type": f"vendor.{name}"} for name in "abc"))
        assert session.recv(20).type == "session.created"
        for look in (lambda: 0, session.poll):  # it waits to be dispatched, and it waits to be read
            look()
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    session.recv(5)
                except rt.ConnectionClosed as error:
                    code = 0 if "process that opened it" in str(error) else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [session.recv(20).type for _ in range(3)] == ["vendor.a", "vendor.b", "vendor.c"]


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


def test_a_handler_that_exits_leaves_its_event_to_the_others() -> None:
    with FakeSession() as fake:
        heard: list[str] = []
        fake.session.once("session.created", lambda event: sys.exit(3))
        fake.session.on("session.created", lambda event: heard.append(event.type))
        with pytest.raises(SystemExit):
            fake.session.wait_for("session.created")
        assert heard == []
        with pytest.raises(rt.RealtimeTimeout):
            fake.session.recv(0)
        assert heard == ["session.created"]


def test_where_no_thread_can_be_started_the_main_one_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with FakeSession() as fake:
        monkeypatch.setattr(control, "start_new_thread", none)
        assert fake.session.wait_for("session.created").type == "session.created"
        fake.wire.hang_up(1000)
        with pytest.raises(rt.ConnectionClosed):
            fake.session.wait_for("error")
        monkeypatch.undo()
        fake.session._dispatcher.control.run(lambda: None)  # what is left of the others does no harm


def test_the_thread_beside_is_its_own_thread_where_that_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    beside, ran = Control(), list[int]()
    monkeypatch.setattr(threading.Thread, "start", none)
    beside.run(lambda: ran.append(threading.get_ident()))
    assert ran != [threading.get_ident()]
    beside.rest()


def test_work_beside_the_main_thread_raises_there_and_ends_at_rest() -> None:
    beside, ran = Control(), list[str]()
    others = set(threading.enumerate())  # of sessions of earlier tests, which are about to end
    assert beside.needed
    beside.rest()  # there is nothing to end
    beside.run(lambda: ran.append(threading.current_thread().name))
    with pytest.raises(ZeroDivisionError):
        beside.run(lambda: 1 / 0)
    assert ran == ["realtime_sync-control"]
    beside.rest()
    assert not any(thread.name == "realtime_sync-control" for thread in set(threading.enumerate()) - others)
    beside.run(lambda: ran.append("again"))
    assert ran[1:] == ["again"]
    beside.rest()


def test_a_thread_that_has_yet_to_run_when_an_interrupt_strikes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    beside, asked = Control(), threading.Event()

    def late(work: Callable[..., object], args: tuple[object, ...]) -> int:
        def run() -> None:
            assert asked.wait(20)
            work(*args)

        threading.Thread(target=run).start()
        raise KeyboardInterrupt

    class Told(queue.SimpleQueue[Any]):
        def put(self, task: Any, *more: Any) -> None:
            super().put(task, *more)
            if task is None:
                asked.set()

    monkeypatch.setattr(control, "start_new_thread", late)
    monkeypatch.setattr(control, "_JOIN_S", 20.0)
    beside._tasks = Told()
    others = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        beside.run(lambda: None)
    beside.rest()
    assert not any(thread.name == "realtime_sync-control" for thread in set(threading.enumerate()) - others)
    assert beside._tasks.empty()


def test_what_comes_just_when_the_thread_goes_is_done_by_it() -> None:
    beside, ran = Control(), list[str]()
    beside._tasks.put(None)
    beside.run(lambda: ran.append(threading.current_thread().name))
    assert ran == ["realtime_sync-control"]


def test_on_another_thread_work_is_just_called() -> None:
    beside, ran = Control(), list[int]()
    thread = threading.Thread(target=lambda: beside.run(lambda: ran.append(threading.get_ident())))
    thread.start()
    thread.join(20)
    assert ran == [thread.ident]


def test_a_task_that_was_left_is_called_off_or_waited_for() -> None:
    ran: list[str] = []
    unbegun = Task(lambda: ran.append("never"))
    unbegun.end()
    unbegun.run()
    assert ran == []
    entered, go = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert go.wait(20)
        ran.append("whole")

    task = Task(work)
    threading.Thread(target=task.run).start()
    assert entered.wait(20)
    threading.Timer(0.05, go.set).start()
    task.end()
    assert task.left
    assert ran == ["whole"]
