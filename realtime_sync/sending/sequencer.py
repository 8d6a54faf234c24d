"""One response at a time on the default conversation: a further one waits for its turn."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any, Final

from realtime_sync._deadline import now
from realtime_sync._latest import Latest
from realtime_sync.codec import encode_event
from realtime_sync.errors import RealtimeError, ServerError
from realtime_sync.events import (
    Response,
    ResponseConfig,
    ResponseContentPartAdded,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ServerEvent,
)
from realtime_sync.events.base import or_none
from realtime_sync.sending.acks import COLLISION, STAMP, Ack, AckTable, nothing_to_cancel
from realtime_sync.state.responses import Responses, Run, response_id_of

__all__ = ["RESPONDING", "Place", "Sequencer"]

RESPONDING: Final[tuple[type[ServerEvent], ...]] = (
    ResponseCreated,
    ResponseOutputItemAdded,
    ResponseContentPartAdded,
    ResponseFunctionCallArgumentsDone,
    ResponseOutputItemDone,
    ResponseDone,
)
"""The events that `Sequencer.apply` wants to see: those that show that a response has begun, but for the deltas, which
come by the thousand."""

UNANSWERED_S: Final = 3.0
"""How long a create that the server does not answer holds up the next one, in seconds."""

GIVEN_UP_S: Final = 2.0
"""The same for a response that this side has cancelled, or whose create nobody waits for any more."""

PROBE_S: Final = 10.0
"""How long a create waits for the active response before it is tried all the same: its end may be lost."""

ANOTHER_S: Final = 5.0
"""How long a response may take to begin that nobody asks for, in seconds."""

RETRY_S: Final = (0.0, 0.5, 1.0, 2.0)
"""After how many seconds a create that collided is tried again where no active response is known."""

_MOST_BEGUN: Final = 256  # a server may never tell the end of some
_log = logging.getLogger("realtime_sync")


Prepared = tuple[Ack[Any], str]
"""The handle of a message, and its JSON."""


class Place:
    """A place in the queue for somebody who will ask for a response, and has to say something first."""

    __slots__ = ("not_before", "patience_until", "taken", "thread")

    def __init__(self) -> None:
        self.thread: Final = get_ident()
        self.taken = False
        """Whether it is their turn: what others ask for waits until they have asked."""
        self.not_before = 0.0
        self.patience_until = now() + PROBE_S


class _Waiting:
    """A create that has not been accepted yet."""

    __slots__ = (
        "abandoned",
        "ack",
        "again",
        "before",
        "collisions",
        "not_before",
        "patience_until",
        "says",
        "text",
        "thread",
    )

    def __init__(self, ack: Ack[Any], text: str, before: Sequence[Prepared] = (), again: Run | None = None) -> None:
        self.ack = ack
        self.again = again  # the response that was lost, and is asked for once more
        self.text = text
        self.before = before  # messages that go ahead of it, at once
        self.says = bool(before)  # whether it has a message of its own, sent or not
        self.thread = get_ident()
        self.abandoned = False  # nobody waits for its response: it is cancelled when it begins
        self.collisions = 0
        self.not_before = 0.0
        self.patience_until = 0.0  # while it is queued: when it is tried in any case; while it is sent: when it lapses


class Sequencer:
    """Sends ``response.create`` when the default conversation is free.

    The conversation is busy from the moment of sending, not only when the server has confirmed. No claim on it lasts
    for ever: a create that stays unanswered, a response that was cancelled and does not end, and one whose end got
    lost are given up after a while. A server that is busy after all says so; the create is then sent once more.
    Responses out of band pass at once; an unanswered create of one is late after a while, and goes behind newer ones.

    What a response is to answer is said when its turn has come, not before: a message that goes with a create is sent
    right ahead of it, and who has more to say than a message (audio) lines up first. So of several threads that ask,
    each gets the answer to its own question. A handler that asks while its own thread has the floor is let through.

    ``submit``, ``withdraw`` and ``abandon`` may be called from any thread, what takes in events from the dispatching
    one. ``cancel`` is called, with the id of a response that nobody waits for, when it begins. ``undivided`` calls a
    function where no interrupt strikes.
    """

    def __init__(
        self,
        acks: AckTable,
        responses: Responses,
        send: Callable[..., None],
        cancel: Callable[[str | None], object],
        undivided: Callable[[Callable[[], object]], object] = lambda work: work(),
    ) -> None:
        self._acks = acks
        self._responses = responses
        self._send = send
        self._cancel = cancel
        self._undivided = undivided
        self._lock = threading.Lock()  # guards all below; never held while sending
        self._queue: deque[_Waiting | Place] = deque()
        self._floor: Place | None = None  # who is speaking
        self._sent: _Waiting | None = None  # on its way: neither confirmed nor refused yet
        self._beside: dict[str, _Waiting] = Latest(_MOST_BEGUN)  # the same, out of band
        self._another_at: float | None = None  # since when a response may begin that nobody asks for
        self._guess: tuple[_Waiting, Run] | None = None  # confirmed by a response that may not be its own
        self._begun: dict[str, Ack[Any]] = Latest(_MOST_BEGUN)  # creates of responses that have not ended
        self._tells_beginnings = False  # whether this server is known to send response.created
        self._held = False  # nothing leaves: there is no connection
        self._over = False  # nor will there be one

    @property
    def busy(self) -> bool:
        """Whether a response runs on the default conversation, has been asked for, or will be asked for once more."""
        return self._responses.active is not None or self._sent is not None or self._lost() is not None

    @property
    def idle(self) -> bool:
        """Whether nobody waits, or is speaking, for a response, and none runs on the conversation."""
        return not (self.busy or self._queue or self._floor is not None)

    def submit(self, ack: Ack[Any], text: str, before: Sequence[Prepared] = (), place: Place | None = None) -> None:
        """Send ``text``, the JSON of the ``response.create`` of ``ack``, and the messages ``before`` it, now or when
        its turn comes. ``place`` is that of `line_up`, whose turn it is, and which is given up."""
        waiting = _Waiting(ack, text, before)
        try:
            self._undivided(lambda: self._submit(waiting, place))
        except BaseException:
            self._renounce(ack)
            raise

    def _submit(self, waiting: _Waiting, place: Place | None) -> None:
        with self._lock:
            if waiting.ack._renounced:
                return
            if not _out_of_band(waiting.ack.event):
                first = self._floor is not None and self._floor.thread == waiting.thread
                if self._floor is place:
                    self._floor = None
                busy = self._busy_locked() or ((self._queue or self._floor is not None) and not first)
                if busy and not self._over:  # else sending raises what there is to say
                    waiting.patience_until = now() + PROBE_S
                    (self._queue.appendleft if first else self._queue.append)(waiting)
                    return
            self._claim_locked(waiting)
        self._dispatch(waiting)

    def line_up(self, place: Place) -> None:
        """Put somebody into the queue who has something to say first; `submit` or `step_down` ends it."""
        with self._lock:
            held = self._floor
            if held is not None and held.thread == place.thread:  # a handler of who is speaking
                place.taken = True
            elif held is None and not self._queue and not self._busy_locked():
                self._floor = place
                place.taken = True
            else:
                self._queue.append(place)

    def step_down(self, place: Place) -> None:
        """Nothing will be asked for from this place any more; nothing happens when it was given up already."""
        with self._lock:
            if self._floor is place:
                self._floor = None
            elif place in self._queue:
                self._queue.remove(place)
            else:
                return
        self._next()

    def beside(self, response_id: str | None) -> bool:
        """Whether this is a response out of band."""
        run = self._responses.named(response_id) if response_id else None
        return run is not None and run.beside

    @property
    def waits(self) -> bool:
        """Whether anybody waits for their turn."""
        return bool(self._queue)

    def _renounce(self, ack: Ack[Any]) -> None:
        """Nobody will have the handle of this create, which may be submitted at this very moment: it is not asked for,
        or its response is cancelled should it begin."""
        with self._lock:
            ack._renounced = True
        if not self.withdraw(ack):
            self.abandon(ack)

    def withdraw(self, ack: Ack[Any]) -> bool:
        """Forget a create that still waits for its turn; False when it has been sent."""
        with self._lock:
            for waiting in self._queue:
                if isinstance(waiting, _Waiting) and waiting.ack is ack:
                    self._queue.remove(waiting)
                    return True
        return False

    def abandon(self, ack: Ack[Any]) -> None:
        """Nobody waits for the response of this create any more: it is cancelled should it begin."""
        with self._lock:
            for waiting in self._under_way_locked():
                if waiting.ack is ack:
                    waiting.abandoned = True
                    waiting.patience_until = min(waiting.patience_until, now() + GIVEN_UP_S)

    def tick(self) -> None:
        """Look whether a claim has lapsed. Called when nothing has arrived for a moment."""
        if self._queue:
            self._next()

    def hold(self) -> None:
        """The connection is gone: what is asked for waits for the next one, also what was and has not begun."""
        with self._lock:
            self._held = True
            self._guess = self._another_at = None

    def release(self) -> None:
        """There is another connection, over which what was under way has been sent again."""
        at = now()
        beside: list[_Waiting] = []
        with self._lock:
            self._held = False
            for waiting in tuple(self._queue):
                waiting.patience_until = at + PROBE_S
                if isinstance(waiting, _Waiting) and _out_of_band(waiting.ack.event):
                    self._queue.remove(waiting)
                    self._claim_locked(waiting)
                    beside.append(waiting)
            for sent in self._under_way_locked():
                sent.patience_until = at + UNANSWERED_S
        for again in beside:
            self._dispatch_queued(again)
        self._next()

    def lose(self, error: RealtimeError) -> None:
        """What the create under way was to answer is gone: it fails, unless it has a message of its own."""
        with self._lock:
            waiting = self._sent
            if waiting is None or waiting.says:
                return
            self._sent = None
        self._acks.discard(waiting.ack)
        waiting.ack._settle(None, error)

    def ask_again(self, run: Run) -> bool:
        """Ask once more for a response that was lost with its connection; False when nobody here had asked for it."""
        ack = self._begun.pop(run.asked_by or "", None)
        if ack is None:
            return False
        run.asked_by = None
        self._acks.reopen(ack)
        self.queue_again(run, ack, encode_event(ack.event))
        return True

    def queue_again(self, run: Run, ack: Ack[Any], text: str) -> None:
        """Ask by this create for a response that was lost with its connection, once there is another one."""
        waiting = _Waiting(ack, text, again=run)
        with self._lock:
            self._queue.appendleft(waiting)

    def stop_again(self, run: Run | None = None) -> bool:
        """Do not ask once more for a response that was lost (``None``: for that on the conversation); False when that
        was done already: then it is cancelled when it begins. Any thread."""
        with self._lock:
            waiting = self._lost(run)
            if waiting is not None and waiting.again is not None:
                self._queue.remove(waiting)
                waiting.again.stopped = True
                return True
            for sent in self._under_way_locked() if run is not None else ():
                sent.abandoned = sent.abandoned or sent.again is run
        return False

    def _lost(self, run: Run | None = None) -> _Waiting | None:
        """The create, not sent yet, that asks once more for this response, or for that on the conversation. Only while
        there is no connection: after that it is like any other."""
        for waiting in tuple(self._queue) if self._held else ():
            if isinstance(waiting, Place) or waiting.again is None:
                continue
            if waiting.again is run or (run is None and not waiting.again.beside):
                return waiting
        return None

    def fail_all(self, cause: RealtimeError) -> None:
        """The connection has ended: what waits will never be sent."""
        with self._lock:
            self._over = True
            failed, self._queue = self._queue, deque()
        for waiting in failed:
            if isinstance(waiting, _Waiting):
                waiting.ack._settle(None, cause)

    def doubts(self, ack: Ack[Any]) -> bool:
        """Whether the response that confirmed this create may well be another's: then the next one to begin, if one
        does, is its own."""
        guess = self._guess
        return guess is not None and guess[0].ack is ack and self._suspects()

    # What the server says

    def expect_another(self) -> None:
        """A response may begin that nobody asks for now: the server has committed a turn by itself and is set to answer
        it, or it may answer a create that counts as refused or given up."""
        self._another_at = now()

    def apply(self, event: ServerEvent) -> Run:
        """Take in an event of a response."""
        response_id = response_id_of(event)
        if isinstance(event, ResponseCreated):  # one that is told a second time is no other
            self._tells_beginnings = True
            run = self._responses.named(response_id) if response_id else None
        else:
            run = self._responses.of(event)
        # With a create under way, what begins under the name of one that has ended (some servers have one for all),
        # or comes without a name while nothing is alive, is the first of a new response. Else it comes late.
        again = isinstance(event, ResponseCreated) or not response_id or not self._tells_beginnings
        if run is None or (run.over and again and self._answers_create(run, event)):
            run = self._begin(event)
        if isinstance(event, ResponseDone):
            run = self._responses.end(event)
            self._begun.pop(run.asked_by or "", None)
            self._acks.ended(event, run)
            self._next()
        return run

    def retries(self, error: ServerError, refused: Ack[Any] | None) -> bool:
        """Whether this error is a collision that is handled here: then nobody needs to hear of it."""
        if nothing_to_cancel(error):
            active = self._responses.active
            asked = active is not None and active.cancelled_at is not None
            if asked and (refused is None or refused._about is active):  # the server says that it is not alive
                self._responses.give_up()
                self._next()
            return False
        if COLLISION not in (error.code, error.type):
            return False
        with self._lock:
            waiting = self._sent
            named = refused.event_id if refused is not None else error.event_id or None
            if refused is None and self._guess is not None and named in (None, self._guess[0].ack.event_id):
                waiting = self._take_back_locked()
            if waiting is None or named not in (None, waiting.ack.event_id):
                return False
            if self._responses.active is None and waiting.collisions >= len(RETRY_S):
                return False
            self._sent = None
            if waiting.abandoned:
                self._acks.discard(waiting.ack)
            else:
                self._put_back_locked(waiting)
        self._next()
        return True

    def refused(self, ack: Ack[Any]) -> None:
        """The server has refused this message: if it is the create under way, the conversation is free."""
        with self._lock:
            self._beside.pop(ack.event_id, None)
            if self._sent is None or self._sent.ack is not ack:
                return
            self._sent = None
        self._next()

    def _begin(self, event: ServerEvent) -> Run:
        response: Response | None = or_none(getattr(event, "response", None))
        metadata = (response.metadata if response is not None else None) or {}
        with self._lock:
            # The stamp of a create that was confirmed by a guess: here is the response that is really its own. Without
            # any stamp, the first one is rather the other one that was to be expected.
            if self._guess is not None:
                stamp = metadata.get(STAMP)
                if stamp == self._guess[0].ack.event_id or (stamp is None and self._sent is None and self._suspects()):
                    self._sent = self._take_back_locked()
                    self._acks.expect(self._sent.ack, sent=True)
                    self._another_at = None
            for unanswered in self._beside.values():
                unanswered.ack._late = unanswered.ack._late or now() >= unanswered.patience_until
        ack, guessed = self._acks.begun(event)
        asked_by = ack.event_id if ack is not None else None
        if ack is not None:
            self._begun[ack.event_id] = ack
        run = self._responses.begin(event, asked_by=asked_by, beside=ack is not None and _out_of_band(ack.event))
        if ack is not None and self._acks.cancelled(ack):
            run.cancelled_at = now()
        with self._lock:
            waiting = self._sent
            ours = waiting is not None and waiting.ack is ack
            if ours:
                self._sent = None
            self._guess = (waiting, run) if waiting is not None and ours and guessed else None
            if ack is None:
                self._another_at = None  # this is the answer
            begun = waiting if ours else self._beside.pop(asked_by or "", None)
        if begun is not None and begun.abandoned and (ours or run.id is not None):  # without an id it would be another
            with suppress(RealtimeError):
                self._cancel(run.id)
        return run

    def _answers_create(self, run: Run, event: ServerEvent) -> bool:
        """Whether this, which could be of ``run``, that has ended, is of the create under way. Where this side has
        cancelled ``run`` and not that create, a further end that is told as cancelled is what the server answers to the
        cancellation, which came too late."""
        create = self._acks.create_under_way()
        if create is None:
            return False
        status = getattr(event.response, "status", None) if isinstance(event, ResponseDone) else None
        return status != "cancelled" or run.cancelled_at is None or self._acks.cancelled(create)

    def _suspects(self) -> bool:
        return self._another_at is not None and now() < self._another_at + ANOTHER_S

    def _take_back_locked(self) -> _Waiting:
        """The create that was confirmed by a guess, to be confirmed anew: the server began that response by itself."""
        assert self._guess is not None
        (waiting, run), self._guess = self._guess, None
        run.asked_by = None
        self._acks.reopen(waiting.ack)
        return waiting

    def _put_back_locked(self, waiting: _Waiting) -> None:
        """Try again: when the active response is done, or after a while where none is known."""
        self._acks.discard(waiting.ack)
        waiting.patience_until = now() + PROBE_S
        if self._responses.active is None:
            waiting.not_before = now() + RETRY_S[waiting.collisions]
        waiting.collisions += 1
        waiting.again = None  # its turn may have found out that it waits for another one
        self._queue.appendleft(waiting)

    # Sending

    def _busy_locked(self) -> bool:
        """Whether a claim on the conversation holds; one that has lapsed is given up."""
        at = now()
        sent, active = self._sent, self._responses.active
        if self._held:  # what claims the conversation waits too
            return True
        if sent is not None and at >= sent.patience_until:
            sent.ack._late = True
            self._another_at = at
            if sent.abandoned:
                self._acks.discard(sent.ack)
            self._sent = sent = None
        if active is not None and active.cancelled_at is not None and at >= active.cancelled_at + GIVEN_UP_S:
            self._responses.give_up()
            active = None
        return sent is not None or active is not None

    def _claim_locked(self, waiting: _Waiting) -> None:
        waiting.patience_until = now() + UNANSWERED_S
        if _out_of_band(waiting.ack.event):
            self._beside[waiting.ack.event_id] = waiting
        else:
            self._sent = waiting

    def _under_way_locked(self) -> list[_Waiting]:
        """The creates that are neither confirmed nor refused."""
        return [*self._beside.values(), *([self._sent] if self._sent is not None else [])]

    def _next(self) -> None:
        """Send the next create, if it is its turn."""
        with self._lock:
            if self._held or not self._queue:
                return
            waiting = self._first_locked()
            busy = self._busy_locked()
            held = self._floor is not None and self._floor.thread != waiting.thread
            if now() < waiting.not_before or ((busy or held) and now() < waiting.patience_until):
                return
            if isinstance(waiting, Place):
                if self._floor is None:  # two that speak at once would be heard as one
                    self._queue.remove(waiting)
                    self._floor = waiting
                    waiting.taken = True
                return
            if self._responses.active is not None and busy:
                _log.info("a response waited for %g s: it is asked for, whether or not another one is active", PROBE_S)
            self._queue.remove(waiting)
            self._claim_locked(waiting)
        self._dispatch_queued(waiting)

    def _dispatch_queued(self, waiting: _Waiting) -> None:
        try:
            self._dispatch(waiting)
        except RealtimeError as error:
            _log.debug("a response that had waited for its turn could not be asked for: %s", error)
            if not waiting.ack.done:
                waiting.ack._settle(None, error)

    def _first_locked(self) -> _Waiting | Place:
        """Whose turn is next: while somebody has the floor, what a handler on their own thread asks for goes first."""
        held = self._floor
        if held is not None:
            for waiting in self._queue:
                if waiting.thread == held.thread and isinstance(waiting, _Waiting):
                    return waiting
        return self._queue[0]

    def _dispatch(self, waiting: _Waiting) -> None:
        before, waiting.before = waiting.before, ()  # once: a create that collides is sent again without them
        ack = waiting.ack
        try:
            for ack, text in (*before, (waiting.ack, waiting.text)):
                self._acks.expect(ack)
                self._send(text, ack)
        except BaseException:
            self._acks.discard(ack)
            with self._lock:
                self._beside.pop(waiting.ack.event_id, None)
                if self._sent is waiting:
                    self._sent = None
            raise


def _out_of_band(create: Any) -> bool:
    config: ResponseConfig | None = create.response if isinstance(create, ResponseCreate) else None
    return config is not None and config.conversation == "none"
