"""What all parts of one session share: its state, one lock for it, and one order of what goes out."""

from __future__ import annotations

import itertools
import json
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from realtime_sync.errors import ConfigurationError
from realtime_sync.local.checks import Refusal
from realtime_sync.local.conversation import Conversation
from realtime_sync.local.faults import Faults
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.quirks import Quirks
from realtime_sync.local.replies import Claim, Replies, Transcripts
from realtime_sync.local.request import Request
from realtime_sync.local.script import Gate
from realtime_sync.local.speech import Speech, Transcriber

__all__ = ["Core", "Ids", "Options"]

JsonObject = dict[str, Any]
_LOG: Final = logging.getLogger("realtime_sync.local")
_MOST_THREADS: Final = 64
# A gate may be of many sessions, so it is looked at and notifies none.
_GATE_POLL_S: Final = 0.005


class Ids:
    """Ids that repeat neither within a server nor in another one: ``item_5f3ac20007``."""

    def __init__(self) -> None:
        # A client may bring items along that it had of another server.
        self._server = secrets.token_hex(3)
        self._counters: dict[str, itertools.count[int]] = {}
        # Guards _counters: sessions share the ids of their server.
        self._lock = threading.Lock()

    def new(self, prefix: str) -> str:
        """The next id with this prefix."""
        with self._lock:
            number = next(self._counters.setdefault(prefix, itertools.count(1)))
        return f"{prefix}_{self._server}{number:04d}"


@attrs.define(kw_only=True, eq=False)
class Options:
    """What a server was started with, as far as its sessions need it. The scripts may be replaced at any time."""

    replies: Replies
    transcripts: Transcripts | None
    transcriber: Transcriber
    voice: Callable[[str], Speech]
    speed: float | None
    latency_s: float
    expires_after_s: float
    quirks: Quirks
    mcp_tools: dict[str, Sequence[JsonObject]]
    gates: list[Gate]
    failed: Callable[[BaseException], None]
    refused: Callable[[JsonObject | str | bytes | None, Refusal, Request], None]
    faults: Faults
    ids: Ids
    replay_speed: float | None = None


class Core:
    """The state of one session.

    Events of the client are handled on the connection's thread, responses and transcriptions run on threads of their
    own, and tests call in from anywhere: each of them changes the state and emits what follows from it while it holds
    `lock`, so that the order of events is the order of changes.
    """

    def __init__(self, config: JsonObject, outbox: Outbox, options: Options, request: Request) -> None:
        # Guards everything that a session holds (configuration, conversation, input audio, responses) and the order
        # of the outbox. Re-entrant, since what takes it calls each other. Nobody waits for the network while holding
        # it, and who stands at a gate lets go of it in `wait_open`: whatever that held up goes on meanwhile.
        self.lock = threading.Condition(threading.RLock())
        self.config = config
        self.conversation = Conversation(options.ids.new("conv"))
        self.voice_locked = False
        self._ended = False
        self.outbox = outbox
        self.options = options
        self.request = request
        self._name = threading.current_thread().name
        self._threads: list[threading.Thread] = []

    @property
    def ended(self) -> bool:
        """Whether the connection is gone: nothing can be emitted any more, and nobody need wait."""
        return self._ended or self.outbox.gone

    def new_id(self, prefix: str) -> str:
        """An id for something new."""
        return self.options.ids.new(prefix)

    def emit(self, event_type: str, /, *, confirms: bool = False, **fields: Any) -> None:
        """Send an event, whatever the gates say. ``confirms`` says that it is nothing but the answer to an event of the
        client."""
        with self.lock:
            event = {"type": event_type, "event_id": self.new_id("event"), **fields}
            shown = self.options.quirks.outgoing(event, confirms=confirms)
            if shown is not None and not self.ended:
                self.outbox.put(json.dumps(shown, ensure_ascii=False, separators=(",", ":")))

    def tell(self, event_type: str, /, *, confirms: bool = False, **fields: Any) -> None:
        """Send an event once the gates let it pass."""
        self.wait_open(self.arrive(event_type), lambda: self.ended)
        self.emit(event_type, confirms=confirms, **fields)

    def answer(self, event_type: str, /, **fields: Any) -> None:
        """Send what confirms an event of the client, once the gates let it pass."""
        self.tell(event_type, confirms=True, **fields)

    def refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """Send an ``error`` event that names the client's event."""
        self.tell("error", error=refusal.shown(event_id))

    def arrive(self, event_type: str) -> list[Gate]:
        """The server's gates that are shut in front of this event."""
        return [gate for gate in tuple(self.options.gates) if gate.arrive(event_type)]

    def wait_open(self, gates: Sequence[Gate], ended: Callable[[], bool]) -> None:
        """Stand at these gates until they are open or it has ended. The lock is released meanwhile, however often the
        caller has taken it: state may be another one afterwards."""
        if not gates:
            return
        with self.lock:
            while not ended() and not all(gate.opened for gate in gates):
                self.lock.wait(_GATE_POLL_S)

    def report(self, error: Exception) -> None:
        """Log what a reply function, a transcriber or anything else raised, and keep it for tests."""
        _LOG.error("the local server failed on %s", threading.current_thread().name, exc_info=error)
        self.options.failed(error)

    def claim_reply(self) -> Claim:
        """The next reply of this connection's script, or of the server's."""
        claim = (self.request.replies or self.options.replies).claim()
        if claim.exhausted:
            self.options.failed(ConfigurationError("the script has no reply left for a response that was asked for"))
        return claim

    def run_aside(self, name: str, target: Callable[[], None]) -> None:
        """Run something on a thread of its own; raises `Refusal` when too many run already."""
        with self.lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) >= _MOST_THREADS:
                raise Refusal("rate_limit_exceeded", "Too many responses at once on this connection.")
            name = f"{self._name}-{name}"
            thread = threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True)
            self._threads.append(thread)
        thread.start()

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except Exception as error:
            self.report(error)

    def end(self) -> list[threading.Thread]:
        """Emit nothing from now on; the threads that have yet to notice."""
        with self.lock:
            self._ended = True
            return [thread for thread in self._threads if thread.is_alive()]
