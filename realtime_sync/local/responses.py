"""The responses of one session: which may start, which one is active, and what follows when it ends."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from realtime_sync.local.checks import Refusal
from realtime_sync.local.config import merge_response
from realtime_sync.local.conversation import StoredItem, item_from_client
from realtime_sync.local.core import Core
from realtime_sync.local.generation import Generation
from realtime_sync.local.script import Turn
from realtime_sync.local.sound import AudioFormat
from realtime_sync.local.transcription import Transcription
from realtime_sync.local.usage import cached_after, context_tokens
from realtime_sync.state.usage.tokens import Tokens

__all__ = ["Responses"]

_REQUEST_LIMIT: Final = 1_000
_TOKEN_LIMIT: Final = 1_000_000


class Responses:
    """Starts, cancels and counts responses. One at a time writes to the conversation; those out of band run beside it.

    ``on_end`` is told how many seconds the speech of a response of the conversation lasts. All methods take the
    session's lock.
    """

    def __init__(self, core: Core, transcription: Transcription, on_end: Callable[[float], None]) -> None:
        self._core = core
        self._transcription = transcription
        self._on_end = on_end
        self._running: dict[str, Generation] = {}
        self._active: Generation | None = None
        self._turn_waits = False
        self._count = 0
        self._tokens_spent = 0
        self._context_before = Tokens()

    def create(self, config: Mapping[str, Any]) -> None:
        """Start the response that a client asks for; raises `Refusal` while another one writes to the conversation,
        and for settings that cannot be."""
        core = self._core
        with core.lock:
            if core.config["type"] == "transcription":
                raise Refusal("invalid_value", "A transcription session cannot create responses.", "type")
            settings = merge_response(core.config, config, voice_locked=core.voice_locked)
            in_conversation = settings.get("conversation") != "none"
            if in_conversation and self._active is not None:
                message = (
                    f"Conversation already has an active response in progress: {self._active.id}. "
                    "Wait until the response is finished before creating a new one."
                )
                raise Refusal("conversation_already_has_active_response", message)
            items = self._context(settings)
            context = context_tokens(settings, items)
            cached = cached_after(context, self._context_before)
            self._count += 1
            turn = self._turn(settings, items)
            claim = core.claim_reply()
            limits = self._rate_limits(context) if claim.rate_limits is None else claim.rate_limits
            generation = Generation(core, settings, context, cached, self._ended, limits)
            gates = [gate for name in ("response.created", "rate_limits.updated") for gate in core.arrive(name)]
            # The thread can emit nothing before response.created: this one holds the lock.
            core.run_aside(generation.id, lambda: generation.run(claim.answer, turn, gates))
            self._running[generation.id] = generation
            if in_conversation:
                self._active = generation
            # Where a gate is shut the thread waits in front of it, and nobody else does.
            if not gates:
                generation.announce()

    def create_for_turn(self) -> None:
        """Start the response to a turn that was detected; after the active one where there is one."""
        with self._core.lock:
            self._turn_waits = self._active is not None
            if not self._turn_waits:
                try:
                    self.create({})
                except Refusal as refusal:
                    self._core.refuse(refusal, None)

    def cancel(self, response_id: str | None) -> None:
        """Cancel a response, the active one where none is named; raises `Refusal` when there is none."""
        with self._core.lock:
            generation = self._running.get(response_id) if response_id else self._active
            if generation is None or not generation.cancel("client_cancelled"):
                raise Refusal("response_cancel_not_active", "Cancellation failed: no active response found")

    def interrupt(self) -> None:
        """The user speaks: cancel what is being said."""
        with self._core.lock:
            if self._active is not None:
                self._active.cancel("turn_detected")

    def abandon(self) -> None:
        """The connection is gone."""
        with self._core.lock:
            for generation in self._running.values():
                generation.abandon()

    def _ended(self, generation: Generation) -> None:
        del self._running[generation.id]
        self._tokens_spent += generation.context.total + generation.output_tokens.total
        if not generation.in_conversation:
            return
        self._active = None
        self._context_before = generation.context
        self._on_end(generation.sounded_s)
        if self._turn_waits:
            self.create_for_turn()

    def _rate_limits(self, context: Tokens) -> list[dict[str, Any]]:
        """What is left once a response with this context has begun."""
        limits = (
            ("requests", _REQUEST_LIMIT, self._count),
            ("tokens", _TOKEN_LIMIT, self._tokens_spent + context.total),
        )
        return [
            {"name": name, "limit": limit, "remaining": max(0, limit - spent), "reset_seconds": 60.0}
            for name, limit, spent in limits
        ]

    def _context(self, settings: Mapping[str, Any]) -> Sequence[StoredItem]:
        """What the model reads: the conversation, or the items that the request brings along."""
        core = self._core
        if settings.get("input") is None:
            return list(core.conversation)
        audio_format = AudioFormat.of(core.config["audio"]["input"]["format"])
        items = []
        for index, raw in enumerate(settings["input"]):
            path = f"response.input[{index}]"
            if raw["type"] == "item_reference":
                item = core.conversation.find(raw["id"])
                if item is None:
                    raise Refusal("invalid_value", f"The item with id '{raw['id']}' does not exist.", f"{path}.id")
            else:
                item = item_from_client(raw, core.new_id, audio_format, path)
            items.append(item)
        return items

    def _turn(self, settings: dict[str, Any], items: Sequence[StoredItem]) -> Turn:
        said = next((item for item in reversed(items) if item.data.get("role") == "user"), None)
        audio = b"".join(bytes(part) for part in said.audio.values()) if said is not None else b""
        audio_format = said.audio_format if said is not None else AudioFormat()
        return Turn(
            items=[item.shown() for item in items],
            session=copy.deepcopy(self._core.config),
            response=copy.deepcopy(settings),
            number=self._count,
            audio=audio_format.to_pcm(audio),
            rate_hz=audio_format.rate_hz,
            request=self._core.request,
            hear=lambda: self._transcription.heard(said) if said is not None else "",
        )
