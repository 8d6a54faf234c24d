"""Which responses there are, which one is alive, and what is meant where a server leaves the id out."""

from __future__ import annotations

from typing import Any, Final

from realtime_sync.errors import ConnectionLost, ServerError
from realtime_sync.events import Response, ResponseCreated, ResponseDone, ServerEvent
from realtime_sync.state.facts import Sound, sound_of

__all__ = ["Responses", "Run", "id_of", "response_id_of"]

_MOST_KEPT: Final = 256


def id_of(response: Response | None) -> str | None:
    """The id of a response, where there is one."""
    return response.id if response is not None else None


def response_id_of(event: Any) -> str | None:
    """The id of the response that an event is about, ``None`` where it has none."""
    if isinstance(event, (ResponseCreated, ResponseDone)):
        return id_of(event.response)
    found: str | None = getattr(event, "response_id", None)
    return found


class Run:
    """One response, from its first event on. Read it on any thread."""

    __slots__ = (
        "again",
        "asked_by",
        "beside",
        "cancelled_at",
        "error",
        "error_at",
        "id",
        "item_ids",
        "lasting",
        "lost",
        "modalities",
        "number",
        "sound",
        "status",
        "stopped",
        "user_item_ids",
    )

    def __init__(self, number: int, response_id: str | None) -> None:
        self.number: Final = number
        """Counts up, from 1, in the order in which the responses began."""
        self.id = response_id
        """The server's id; ``None`` until a server that leaves it out tells it."""
        self.status: str | None = None
        """How it ended; ``None`` while it is alive."""
        self.beside = False
        """Whether it runs beside the conversation (``conversation: "none"``)."""
        self.lasting = False
        """Whether the server said that it writes to the conversation."""
        self.asked_by: str | None = None
        """The ``event_id`` of the ``response.create`` that began it; ``None`` when the server began it by itself."""
        self.cancelled_at: float | None = None
        """When this side last asked for its end, on the clock of `now`."""
        self.error: ServerError | None = None
        """What the server said while it was alive and named no message of ours for; ``None`` once it goes on."""
        self.error_at = 0.0
        """When, on the clock of `now`."""
        self.lost: ConnectionLost | None = None
        """Why it ended, where that was the end of its connection while the session goes on."""
        self.again = False
        """Whether it was lost in that way and is asked for again."""
        self.stopped = False
        """Whether it was lost in that way where it would be asked for again, had this side not cancelled it."""
        self.sound: Sound | None = None
        """The audio format of its own, where it has one."""
        self.modalities: list[str] | None = None
        """What it comes in, as far as the server said."""
        self.item_ids: list[str] = []
        """The items that it has made, for the mirror of the conversation."""
        self.user_item_ids: tuple[str, ...] | None = None
        """The user's audio that it answers; ``None`` until that has been looked at."""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status is not None

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.status or 'alive'}{', beside' if self.beside else ''}>"


class Responses:
    """A fold of ``response.created`` and ``response.done``. It grows on one thread; any thread may look.

    **The rule for ids.** An event that names a response belongs to that one. One that names none belongs to the active
    response, else to the latest. A name that is new belongs to the active response while that has none; any other new
    name is that of a response whose beginning the server did not tell, beside the active one if there is one. The name
    of one that has ended is free for the answer to a further create.
    """

    def __init__(self) -> None:
        self.active: Run | None = None
        """The response that writes to the default conversation now."""
        self.count = 0
        """How many responses have begun."""
        self._runs: dict[str, Run] = {}
        self._latest: Run | None = None

    def of(self, event: ServerEvent) -> Run | None:
        """The response that an event is about, by the rule; ``None`` for one that is not known."""
        return self.find(response_id_of(event))

    def named(self, response_id: str) -> Run | None:
        """The response that is known by just this id."""
        return self._runs.get(response_id)

    def find(self, response_id: str | None) -> Run | None:
        """The response of this id, by the rule."""
        if not response_id:
            return self.active or self._latest
        known = self._runs.get(response_id)
        if known is None and self.active is not None and self.active.id is None:
            known = self.active
            known.id = response_id
            self._runs[response_id] = known
        return known

    def begin(self, event: ServerEvent, *, asked_by: str | None = None, beside: bool = False) -> Run:
        """A response begins with this event: ``response.created``, or what comes first where that is missing."""
        response_id = response_id_of(event)
        run = self._runs.get(response_id) if response_id else None
        if run is None or (run.over and asked_by not in (None, run.asked_by)):
            self.count += 1
            run = Run(self.count, response_id)
            if response_id:
                self._runs[response_id] = run
                self._forget_old()
        run.asked_by = asked_by or run.asked_by
        untold = not isinstance(event, ResponseCreated) and asked_by is None
        run.beside = run.beside or beside or (untold and self.active is not None and self.active is not run)
        self._learn(run, event)
        if not run.over:
            self._latest = run
            if not run.beside:
                if self.active is not None and self.active is not run:
                    self.give_up()  # only one can write to the conversation: the end of that one was not told
                self.active = run
        return run

    def end(self, event: ResponseDone) -> Run:
        """A response ends."""
        run = self.of(event) or self.begin(event)
        self._learn(run, event)
        run.status = getattr(event.response, "status", None) or "completed"
        self._latest = run
        if self.active is run:
            self.active = None
        return run

    def fold(self, event: ServerEvent) -> Run:
        """Take in any event of a response, where nobody knows what was asked for."""
        if isinstance(event, ResponseDone):
            return self.end(event)
        run = None if isinstance(event, ResponseCreated) else self.of(event)
        return run or self.begin(event)

    def give_up(self) -> None:
        """The active response counts as ended, though its end was not told."""
        run, self.active = self.active, None
        if run is not None:
            run.status = run.status or "lost"

    @property
    def alive(self) -> list[Run]:
        """Those that have not ended, in the order in which they began."""
        known = [*self._runs.values(), *([self.active] if self.active is not None else [])]
        return sorted({run for run in known if not run.over}, key=lambda run: run.number)

    def lose(self, run: Run) -> None:
        """The connection is gone, and with it this response."""
        run.status = "lost"
        if self.active is run:
            self.active = None

    def _learn(self, run: Run, event: ServerEvent) -> None:
        response: Response | None = getattr(event, "response", None)
        if response is not None:
            run.lasting = run.lasting or response.conversation_id is not None
            run.sound = sound_of(response) or run.sound
            run.modalities = response.output_modalities or run.modalities

    def _forget_old(self) -> None:
        if len(self._runs) > _MOST_KEPT:
            # Those that have ended go first; the end of one beside the conversation may never be told.
            for response_id in sorted(self._runs, key=lambda known: not self._runs[known].over)[: _MOST_KEPT // 4]:
                del self._runs[response_id]
