"""A talk of many turns, with tools and speech, over a bad connection; and the laws that it must keep."""

from __future__ import annotations

import gc
import os
import random
import threading
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import isclose
from time import monotonic
from typing import Any, Final

import realtime_sync as rt
from realtime_sync import events as e
from realtime_sync.conversation import ConversationEntry
from realtime_sync.local import LocalServer, ToolCall, Turn
from realtime_sync.tools import ToolContext, Toolset
from realtime_sync.usage import PriceTable, UsageTally, Used

from .proxy import DOWN, UP, ChaosProxy, Fault

__all__ = ["Figures", "LawBroken", "nothing_left", "talk"]

_TURN_S: Final = 30.0  # reached only by what hangs
_MOST_TRIES: Final = 30
_BREAKS: Final = 0.35  # the part of turns in which the connection is to break
_BREAKS_AGAIN: Final = 0.25  # the part of the connections after that which are to break as well
_KINDS: Final = ("text", "written", "streamed", "tool", "tools", "speech")
_CALLS: Final = {"tool": 1, "tools": 3}
_WAYS: Final = ("cut", "reset", "stall", "cut", "reset")  # a stall takes a second
_MOST_UP_BYTES: Final = 3_000  # about what a turn sends
_MOST_DOWN_BYTES: Final = 60_000
_CONFIG: Final = {"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}}
_OPTIONS: Final[dict[str, Any]] = {"session": _CONFIG, "ping_interval_s": 0.5, "ping_timeout_s": 0.7, "timeout": 6}
_PRICE: Final = {
    "input": {"text": 4.0, "audio": 32.0},
    "cached": {"text": 0.4, "audio": 0.4},
    "output": {"text": 16.0, "audio": 64.0},
}
_PRICES: Final = PriceTable({"gpt-realtime": _PRICE, "gpt-4o-mini-transcribe": _PRICE})
_MODELS: Final = {"model": "gpt-realtime", "transcription_model": "gpt-4o-mini-transcribe"}
_MOST_WITHOUT_AUDIO: Final = 10_000
_SAMPLES: Final = 4_800  # 200 ms


class LawBroken(AssertionError):
    """What must hold does not."""


def hold(law: object, text: str) -> None:
    if not law:
        raise LawBroken(text)


class Figures:
    """What happened in a talk."""

    def __init__(self) -> None:
        self.turns = self.connections = self.resumed = 0
        self.items = self.left_out = self.calls = self.tokens = 0
        self.errors: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.seconds = self.longest_s = 0.0

    def __str__(self) -> str:
        return (
            f"{self.turns} turns, each with its reply, in {self.seconds:.0f} s, the longest {self.longest_s:.1f} s\n"
            f"{self.connections} connections, {self.resumed} of them taken over; faults: {_counted(self.faults)}\n"
            f"errors that were raised: {_counted(self.errors)}\n"
            f"{self.items} items as at the server, {self.left_out} left out, as told; {self.calls} tool calls, each"
            f" answered once; {self.tokens} tokens, all counted and priced"
        )


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "none"


def talk(seed: int, turns: int, **options: Any) -> Figures:
    """Run a talk and return its figures; raises `LawBroken`. ``options`` go to `realtime_sync.connect`."""
    brain = _Brain()
    with nothing_left():
        with LocalServer(brain.answer, transcriber=brain.hear) as server, ChaosProxy(server.base_url, seed) as proxy:
            talker = _Talker(seed, proxy, brain, options)
            began = monotonic()
            try:
                for number in range(turns):
                    talker.turn(number)
                talker.check()
            finally:
                talker.close()
            talker.figures.seconds = monotonic() - began
        hold(not server.failures, f"the server failed: {server.failures}")
    return talker.figures


@contextmanager
def nothing_left() -> Iterator[None]:
    """All threads and descriptors that come within are gone at the end."""
    gc.collect()
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    gc.collect()
    for thread in set(threading.enumerate()) - threads:
        thread.join(_TURN_S)
        hold(not thread.is_alive(), f"the thread {thread.name} is left")
    left = _descriptors() - descriptors
    hold(left <= 0, f"{left} descriptors are left")


def _descriptors() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:  # no Linux
        return 0


class _Brain:
    """The model: it calls a tool where the question says so, and knows the conversation as the server keeps it."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def answer(self, turn: Turn) -> Any:
        self.items = list(turn.items)
        number, kind = turn.text.split()
        if kind in _CALLS and not turn.tool_outputs:
            return [ToolCall("note", {"number": int(number), "part": part}) for part in range(_CALLS[kind])]
        return _answer_to(turn.text)

    def hear(self, pcm: bytes, rate_hz: int) -> str:
        return f"{array('h', pcm)[0]} speech"


def _answer_to(question: str) -> str:
    return f"Answer to {question}."


def _speech(number: int) -> bytes:
    return array("h", [number]).tobytes() * _SAMPLES


class _Talker:
    """The user: goes on in another session when one was lost, and asks again what was not answered."""

    def __init__(self, seed: int, proxy: ChaosProxy, brain: _Brain, options: dict[str, Any]) -> None:
        self.figures = Figures()
        self._dice = random.Random(seed)
        self._proxy = proxy
        self._brain = brain
        self._options = {**_OPTIONS, **options}
        self._questions: list[str] = []
        self._left_out: list[Any] = []  # items
        self._called: Counter[str] = Counter()
        self._lock = threading.Lock()  # guards _seen
        self._seen = UsageTally()  # by the frames of all connections
        self._counted = self._transcribed = Used()  # by the sessions that have ended
        self._cost = 0.0
        self._tools = Toolset(self.note)
        self._session = self._connect()

    def note(self, number: int, part: int, context: ToolContext) -> str:
        """Take a note."""
        self._called[context.call.call_id] += 1
        return f"noted {number}.{part}"

    def _tap(self, direction: str, frame: bytes | str) -> None:
        event = rt.decode_server_event(frame) if direction == "in" and len(frame) < _MOST_WITHOUT_AUDIO else None
        if isinstance(event, (e.ResponseDone, e.ConversationItemInputAudioTranscriptionCompleted)):
            with self._lock:
                self._seen.apply(event)

    def _connect(self) -> rt.RealtimeSession:
        session = rt.connect(
            "gpt-realtime", base_url=self._proxy.base_url, api_key="k", tools=self._tools, **self._options
        )
        session.add_tap(self._tap)
        if self._options.get("resume"):
            session.on("session.resumed", self._resumed)
        return session

    def _resumed(self, event: Any) -> None:
        self.figures.resumed += 1
        self._left_out += event.lost

    # One turn

    def turn(self, number: int) -> None:
        """Ask a question until it is answered."""
        kind = self._dice.choice(_KINDS)
        question = f"{number} {kind}"
        self._questions.append(question)
        if self._dice.random() < _BREAKS:
            self._break()
        began = monotonic()
        for _ in range(_MOST_TRIES):
            try:
                if self._session.closed:
                    self._go_on()
                self._say(number, kind, question)
            except rt.RealtimeTimeout as error:
                raise LawBroken(f"{question}: a turn hung: {error}") from error
            except rt.RealtimeError as error:
                self._raised(error)
            else:
                break
        else:
            raise LawBroken(f"{question}: no reply in {_MOST_TRIES} attempts")
        self.figures.turns += 1
        self.figures.longest_s = max(self.figures.longest_s, monotonic() - began)

    def _say(self, number: int, kind: str, question: str) -> None:
        session, connections = self._session, self._proxy.connections
        said = [(entry.role, entry.text) for entry in session.conversation]
        if ("assistant", _answer_to(question)) in said:
            return  # the connection broke right behind it
        if ("user", question) in said:
            reply = session.ask(timeout=_TURN_S)
        elif kind == "speech":
            reply = session.ask(audio=_speech(number), heard=True, timeout=_TURN_S)
            unheard = reply.heard is None and self._proxy.connections > connections
            hold(reply.heard == question or unheard, f"{question}: heard {reply.heard}")
        elif kind == "written":
            reply = session.ask(question, config={"output_modalities": ["text"]}, timeout=_TURN_S)
        else:
            turn = session.respond(question, timeout=_TURN_S)
            streamed = "".join(piece for of, piece in turn.pieces() if of == "text")
            reply = turn.result()
            again = streamed.endswith(_answer_to(question)) and self._proxy.connections > connections
            hold(streamed == _answer_to(question) or again, f"{question}: streamed {streamed!r}")
        hold(str(reply) == _answer_to(question), f"{question}: answered {str(reply)!r}")
        known = [item["id"] for item in self._brain.items]
        mirrored = [entry.id for entry in session.conversation]
        hold(mirrored[:-1] == known, f"{question}: the server has {known}, we have {mirrored}")

    # The connection

    def _break(self) -> None:
        """Let the connection break during this turn, or soon after; perhaps the next ones as well."""
        faults = [self._fault()]
        while self._dice.random() < _BREAKS_AGAIN:
            faults.append(Fault("refuse") if self._dice.random() < 0.5 else self._fault())
        self._proxy.arm(*faults)

    def _fault(self) -> Fault:
        direction = self._dice.choice((UP, DOWN))
        most = _MOST_UP_BYTES if direction == UP else _MOST_DOWN_BYTES
        return Fault(self._dice.choice(_WAYS), direction, self._dice.randrange(most))

    def _go_on(self) -> None:
        """Another session with the same conversation."""
        lost = self._session
        with suppress(rt.RealtimeError):
            lost.run()  # what has come and was not looked at
        self._end(lost)
        for _ in range(_MOST_TRIES):
            try:
                session = self._connect()
            except rt.RealtimeError as error:
                self._raised(error)
                continue
            try:
                restored = session.restore(lost.conversation)
            except rt.ConnectionClosed as error:
                self._raised(error)
                self._end(session)
                continue
            self._session = session
            hold(not restored.unconfirmed, f"not confirmed: {restored.unconfirmed}")
            left_out = [left.item_id for left in restored.left_out]
            self._left_out += [left.item for left in restored.left_out]
            before = [_shown(entry) for entry in lost.conversation if entry.id not in left_out]
            after = [_shown(entry) for entry in session.conversation]
            hold(before == after, f"before: {before}\nafter: {after}\n{restored}")
            return
        raise LawBroken(f"no session in {_MOST_TRIES} attempts")

    def _raised(self, error: rt.RealtimeError) -> None:
        hold(str(error), f"an error without a word: {error!r}")
        self.figures.errors[type(error).__name__] += 1

    def _end(self, session: rt.RealtimeSession) -> None:
        session.close()
        self._counted += session.usage.total
        self._transcribed += session.usage.transcription
        self._cost += session.usage.cost(_PRICES, **_MODELS)

    def close(self) -> None:
        self._session.close()

    # The laws of the whole

    def check(self) -> None:
        """What must hold when all has been said."""
        figures, entries = self.figures, list(self._session.conversation)
        said = Counter(entry.text for entry in entries if entry.role == "assistant")
        asked = Counter(entry.text for entry in entries if entry.role == "user")
        figures.left_out = len(self._left_out)
        unheard = sum(isinstance(item, e.UserMessage) for item in self._left_out)
        for question in self._questions:
            hold(said[_answer_to(question)] == 1, f"{question}: answered {said[_answer_to(question)]} times")
            unheard -= not asked[question]
            hold(asked[question] <= 1, f"{question}: asked {asked[question]} times")
        hold(unheard >= 0, "a question is missing and nobody said so")
        here = [_shown(entry) for entry in entries[:-1]]
        there = [_told(item) for item in self._brain.items]
        hold(here == there, f"the server has {there}, we have {here}")
        items = [entry.item for entry in entries]
        outputs = Counter(item.call_id for item in items if isinstance(item, e.FunctionCallOutput))
        calls = [item.call_id for item in items if isinstance(item, e.FunctionCall)]
        hold(outputs == Counter(calls), f"calls {calls}, outputs {outputs}")
        hold(set(calls) <= set(self._called), "a call is answered and was never made")
        hold(max(self._called.values(), default=1) == 1, f"called twice: {self._called}")
        self._end(self._session)
        used = (self._counted, self._transcribed)
        seen = (self._seen.total, self._seen.transcription)
        hold(used == seen, f"used {seen}, counted {used}")
        cost = self._seen.cost(_PRICES, **_MODELS)
        hold(isclose(self._cost, cost), f"it cost {cost}, not {self._cost}")
        figures.items, figures.calls, figures.tokens = len(entries), len(calls), self._counted.total_tokens
        figures.connections, figures.faults = self._proxy.connections, self._proxy.happened


def _shown(entry: ConversationEntry) -> tuple[str | None, str]:
    """What is compared of an item, as this side knows it."""
    return entry.role or entry.item.type, entry.text


def _told(item: dict[str, Any]) -> tuple[str | None, str]:
    """The same, as the server knows it."""
    if item["type"] == "function_call":
        return item["type"], f"{item['name']}({item['arguments']})"
    if item["type"] == "function_call_output":
        return item["type"], item["output"]
    return item["role"], " ".join(part.get("text") or part.get("transcript") or "" for part in item["content"])
