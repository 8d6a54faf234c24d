"""A small Realtime server on loopback that answers as a good server does, but where a `Departure` says otherwise.

For each event of the client it works out what a good server would send. A departure gets that as a list and returns
what is sent instead: the list itself, changed, shortened, or something else. So a departure needs no thread and no
clock, and what comes after it is good again::

    with ScriptedServer(Departure("response.create", drop("response.done"), at=2)) as server:
        with rt.connect("m", base_url=server.base_url, api_key="x") as session: ...

The text of each response names the question that it answers (`answer_to`). A question with the word "tool" in it is
answered by a call of the function ``look_up`` first.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

JsonObject = dict[str, Any]
Frame = JsonObject | str
"""What is sent: an event, or text as it stands."""

WAIT_S = 10.0
"""The bound of everything that the server or a test waits for: never reached, unless something is broken."""

OPEN = "open"
"""Stands for the type of an event where the opening of the connection is meant; a good server says session.created."""

VAD: JsonObject = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "create_response": True,
    "interrupt_response": True,
}

_TOOL: JsonObject = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}


def answer_to(question: str) -> str:
    """The text of the response to this question."""
    return f"Answer to {question}."


# ------------------------------------------------------------------------------------------------- departures


@dataclass
class Exchange:
    """One event of the client, and what a good server answers to it."""

    request: JsonObject
    number: int
    """1 for the first event of this type."""
    answer: list[Frame]

    @property
    def events(self) -> list[JsonObject]:
        return [frame for frame in self.answer if isinstance(frame, dict)]

    @property
    def response_id(self) -> str:
        """The id of the response that the answer begins."""
        return next(str(event["response"]["id"]) for event in self.events if event["type"] == "response.created")


Change = Callable[[Exchange], Sequence[Frame]]


@dataclass(frozen=True)
class Departure:
    """What is sent instead for the ``at``-th event of type ``to`` (``None``: for each)."""

    to: str
    change: Change
    at: int | None = 1


def keep(*types: str) -> Change:
    """Only the events of these types."""
    return lambda exchange: [event for event in exchange.events if event["type"] in types]


def drop(*types: str) -> Change:
    """All but the events of these types."""
    return lambda exchange: [event for event in exchange.events if event["type"] not in types]


def say(*frames: Frame) -> Change:
    """These frames and nothing else; no frame at all: silence."""
    return lambda exchange: deepcopy(frames)


def before(*frames: Frame) -> Change:
    """These frames, then the good answer."""
    return lambda exchange: [*deepcopy(frames), *exchange.answer]


def instead_of(kind: str, *frames: Frame) -> Change:
    """The good answer, with these frames in the place of the events of one type."""

    def change(exchange: Exchange) -> list[Frame]:
        sent: list[Frame] = []
        for event in exchange.events:
            sent += deepcopy(frames) if event["type"] == kind else [event]
        return sent

    return change


def edit(kind: str, *steps: Callable[[JsonObject], object]) -> Change:
    """The good answer, with each event of a type (``"*"``: of all) changed in place."""

    def change(exchange: Exchange) -> list[Frame]:
        for event in exchange.events:
            if kind in ("*", event["type"]):
                for step in steps:
                    step(event)
        return exchange.answer

    return change


def put(*path: str | int, value: Any) -> Callable[[JsonObject], None]:
    """For `edit`: the value at this place."""

    def step(event: JsonObject) -> None:
        place: Any = event
        for key in path[:-1]:
            if isinstance(key, str) and isinstance(place, dict) and place.get(key) is None:
                place[key] = {}
            place = place[key]
        place[path[-1]] = deepcopy(value)

    return step


def remove(*path: str) -> Callable[[JsonObject], None]:
    """For `edit`: without what is at this place, if there is anything."""

    def step(event: JsonObject) -> None:
        place: Any = event
        for key in path[:-1]:
            place = place.get(key)
            if not isinstance(place, dict):
                return
        place.pop(path[-1], None)

    return step


def chain(*changes: Change) -> Change:
    """One change after the other."""

    def change(exchange: Exchange) -> list[Frame]:
        for each in changes:
            exchange = Exchange(exchange.request, exchange.number, list(each(exchange)))
        return exchange.answer

    return change


def refusal(message: str, *, event_id: str | None = None, **more: Any) -> JsonObject:
    """An ``error`` event, which names no event of the client unless it is told to."""
    detail = {"type": "invalid_request_error", "code": None, "message": message, "param": None, "event_id": event_id}
    return {"type": "error", "event_id": "ev_error", "error": {**detail, **more}}


def named_refusal(message: str, **more: Any) -> Change:
    """An ``error`` that names the event that it refuses, and nothing else."""
    return lambda exchange: [refusal(message, event_id=exchange.request.get("event_id"), **more)]


# ------------------------------------------------------------------------------------------------- good behaviour


def nested_config(**more: Any) -> JsonObject:
    """The configuration of a session as it is today."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_1",
        "model": "m",
        "instructions": "",
        "output_modalities": ["text"],
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "expires_at": 2_000_000_000,
        "audio": {"input": {"format": pcm, "turn_detection": None}, "output": {"format": pcm, "voice": "alloy"}},
        **more,
    }


def flat_config(**more: Any) -> JsonObject:
    """The configuration of a session of the older dialect."""
    return {
        "object": "realtime.session",
        "id": "sess_1",
        "model": "m",
        "instructions": "",
        "modalities": ["text"],
        "voice": "alloy",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": None,
        "turn_detection": None,
        "tools": [],
        "temperature": 0.8,
        **more,
    }


def with_vad(config: JsonObject, **more: Any) -> JsonObject:
    """The same configuration, with turn detection by the server."""
    changed = deepcopy(config)
    (changed["audio"]["input"] if "audio" in changed else changed)["turn_detection"] = {**VAD, **more}
    return changed


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> JsonObject:
    """``old`` with what ``new`` says, at every level."""
    both = dict(old)
    for name, value in new.items():
        known = both.get(name)
        both[name] = merged(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
    return both


class _Conversation:
    """What a good server knows of one connection, and what it answers."""

    def __init__(self, config: JsonObject, *, echoes: bool, item_events: Sequence[str]) -> None:
        self.config = deepcopy(config)
        self.asked: list[tuple[str, str]] = []  # questions with the ids of the responses to them
        self._echoes = echoes
        self._item_events = item_events
        self._items: dict[str, JsonObject] = {}
        self._numbers = itertools.count(1)
        self._buffered = 0

    def answer(self, request: JsonObject) -> list[Frame]:
        method = getattr(self, "_" + str(request.get("type")).replace(".", "_"), None)
        if method is None:
            return [refusal(f"Unknown event type: {request.get('type')}", event_id=request.get("event_id"))]
        found: list[Frame] = [self._stamped(event) for event in method(request)]
        return found

    def _stamped(self, event: JsonObject) -> JsonObject:
        return {"type": event["type"], "event_id": f"ev_{next(self._numbers)}", **event}

    def _open(self, request: JsonObject) -> list[JsonObject]:
        return [{"type": "session.created", "session": deepcopy(self.config)}]

    def _session_update(self, request: JsonObject) -> list[JsonObject]:
        self.config = merged(self.config, request.get("session") or {})
        return [{"type": "session.updated", "session": deepcopy(self.config)}]

    # Items

    def _added(self, item: JsonObject) -> list[JsonObject]:
        item = {"id": f"item_{next(self._numbers)}", "object": "realtime.item", "status": "completed", **item}
        previous = next(reversed(self._items), None)
        self._items[item["id"]] = item
        return [
            {"type": f"conversation.item.{name}", "previous_item_id": previous, "item": deepcopy(item)}
            for name in self._item_events
        ]

    def _conversation_item_create(self, request: JsonObject) -> list[JsonObject]:
        return self._added(request["item"])

    def _conversation_item_retrieve(self, request: JsonObject) -> list[JsonObject]:
        item = self._items.get(request["item_id"])
        if item is None:
            return [refusal(f"no item {request['item_id']}", event_id=request.get("event_id"))]
        return [{"type": "conversation.item.retrieved", "item": item}]

    def _conversation_item_delete(self, request: JsonObject) -> list[JsonObject]:
        if self._items.pop(request["item_id"], None) is None:
            return [refusal(f"no item {request['item_id']}", event_id=request.get("event_id"))]
        return [{"type": "conversation.item.deleted", "item_id": request["item_id"]}]

    def _conversation_item_truncate(self, request: JsonObject) -> list[JsonObject]:
        names = ("item_id", "content_index", "audio_end_ms")
        return [{"type": "conversation.item.truncated", **{name: request[name] for name in names}}]

    # Audio

    @property
    def _detection(self) -> Any:
        return (self.config["audio"]["input"] if "audio" in self.config else self.config).get("turn_detection")

    def _input_audio_buffer_append(self, request: JsonObject) -> list[JsonObject]:
        """With turn detection on, each append is a whole turn of the user, and is answered where so configured."""
        self._buffered += len(request["audio"])
        if not self._detection:
            return []
        heard = self._committed()
        item_id = heard[0]["item_id"]
        events = [
            {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item_id},
            {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 500, "item_id": item_id},
            *heard,
        ]
        return events + (self._response({}) if self._detection.get("create_response") else [])

    def _committed(self) -> list[JsonObject]:
        self._buffered = 0
        count = sum(1 for item in self._items.values() if _spoken(item)) + 1
        content = [{"type": "input_audio", "transcript": f"speech {count}"}]
        added = self._added({"type": "message", "role": "user", "content": content})
        item_id = next(reversed(self._items))
        return [{"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None}, *added]

    def _input_audio_buffer_commit(self, request: JsonObject) -> list[JsonObject]:
        if not self._buffered:
            message = "the buffer is empty"
            return [refusal(message, event_id=request.get("event_id"), code="input_audio_buffer_commit_empty")]
        return self._committed()

    def _input_audio_buffer_clear(self, request: JsonObject) -> list[JsonObject]:
        self._buffered = 0
        return [{"type": "input_audio_buffer.cleared"}]

    # Responses

    def _response_create(self, request: JsonObject) -> list[JsonObject]:
        return self._response(request.get("response") or {})

    def _response_cancel(self, request: JsonObject) -> list[JsonObject]:
        """Each answer is sent whole, so that nothing ever runs."""
        code = "response_cancel_not_active"
        return [refusal("no active response found", event_id=request.get("event_id"), code=code)]

    def _response(self, options: JsonObject) -> list[JsonObject]:
        number = len(self.asked) + 1
        response_id, item_id = f"resp_{number}", f"msg_{number}"
        question, has_output = self._question()
        self.asked.append((question, response_id))
        if "tool" in question and not has_output:
            return self._call(number, options)
        text = answer_to(question)
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
        whole = {**item, "status": "completed", "content": [{"type": "output_text", "text": text}]}
        first, rest = text[:6], text[6:]
        content = [
            {"type": "response.content_part.added", **where, "part": {"type": "output_text", "text": ""}},
            {"type": "response.output_text.delta", **where, "delta": first},
            {"type": "response.output_text.delta", **where, "delta": rest},
            {"type": "response.output_text.done", **where, "text": text},
            {"type": "response.content_part.done", **where, "part": {"type": "output_text", "text": text}},
        ]
        return self._run(response_id, options, {**item, "status": "in_progress", "content": []}, content, whole)

    def _call(self, number: int, options: JsonObject) -> list[JsonObject]:
        response_id, item_id, call_id = f"resp_{number}", f"call_item_{number}", f"call_{number}"
        tools = self.config.get("tools")
        name = tools[0]["name"] if isinstance(tools, list) and tools else _TOOL["name"]
        item = {"id": item_id, "object": "realtime.item", "type": "function_call", "name": name, "call_id": call_id}
        where = {"response_id": response_id, "item_id": item_id, "output_index": 0, "call_id": call_id}
        content = [
            {"type": "response.function_call_arguments.delta", **where, "delta": "{}"},
            {"type": "response.function_call_arguments.done", **where, "name": name, "arguments": "{}"},
        ]
        whole = {**item, "status": "completed", "arguments": "{}"}
        return self._run(response_id, options, {**item, "status": "in_progress", "arguments": ""}, content, whole)

    def _run(
        self, response_id: str, options: JsonObject, begun: JsonObject, content: list[JsonObject], whole: JsonObject
    ) -> list[JsonObject]:
        lasting = options.get("conversation") != "none"
        response = {
            "id": response_id,
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": "conv_1" if lasting else None,
            "output_modalities": ["text"],
            "max_output_tokens": "inf",
            "metadata": options.get("metadata") if self._echoes else None,
        }
        done = {**response, "status": "completed", "output": [whole], "usage": usage()}
        at = {"response_id": response_id, "output_index": 0}
        return [
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added", **at, "item": begun},
            *(self._added(whole) if lasting else []),
            *content,
            {"type": "response.output_item.done", **at, "item": whole},
            {"type": "response.done", "response": deepcopy(done)},
        ]

    def _question(self) -> tuple[str, bool]:
        """What the user said last, and whether a tool has been asked since."""
        has_output = False
        for item in reversed(self._items.values()):
            has_output = has_output or item.get("type") == "function_call_output"
            if item.get("role") == "user":
                texts = [part.get("text") or part.get("transcript") or "" for part in item["content"]]
                return " ".join(texts), has_output
        return "nothing", has_output


def usage() -> JsonObject:
    return {
        "total_tokens": 15,
        "input_tokens": 10,
        "output_tokens": 5,
        "input_token_details": {
            "text_tokens": 10,
            "audio_tokens": 0,
            "cached_tokens": 4,
            "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": 5, "audio_tokens": 0},
    }


def _spoken(item: JsonObject) -> bool:
    return any(part.get("type") == "input_audio" for part in item.get("content") or ())


# ------------------------------------------------------------------------------------------------- the server


class ScriptedServer:
    """Serves each connection on a thread of its own until the client leaves; leaving it ends all of them.

    ``config`` is the configuration of a new session; ``echoes`` says whether the metadata of a response comes back;
    ``item_events`` are the names under which an item is told. What a departure raises is raised again at the end.
    """

    def __init__(
        self,
        *departures: Departure,
        config: JsonObject | None = None,
        echoes: bool = True,
        item_events: Sequence[str] = ("added", "done"),
    ) -> None:
        self._departures = departures
        self._config = nested_config() if config is None else config
        self._echoes = echoes
        self._item_events = item_events
        self._changed = threading.Condition()  # guards all below
        self._received: list[JsonObject] = []
        self._conversations: list[_Conversation] = []
        self._connections: list[ServerConnection] = []
        self._threads: list[threading.Thread] = []
        self._faults: list[BaseException] = []
        self._server = serve(
            self._serve, "127.0.0.1", 0, compression=None, close_timeout=1, ping_interval=None, logger=_quiet()
        )
        self._accepting = threading.Thread(target=self._server.serve_forever, name="scripted-accept", daemon=True)
        self._accepting.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"

    # What it saw

    @property
    def received(self) -> list[JsonObject]:
        """All events of all clients so far."""
        with self._changed:
            return list(self._received)

    def of_type(self, kind: str) -> list[JsonObject]:
        """The events of this type that have come so far."""
        return [event for event in self.received if event.get("type") == kind]

    def wait_received(self, kind: str, count: int = 1) -> JsonObject:
        """The ``count``-th event of this type, once it has come."""
        with self._changed:
            come = self._changed.wait_for(lambda: len(self._of_type_locked(kind)) >= count, WAIT_S)
            assert come, f"the client sent no {count} events {kind}, but {[e.get('type') for e in self._received]}"
            return self._of_type_locked(kind)[count - 1]

    def response_ids(self, question: str) -> list[str]:
        """The ids of the responses to a question."""
        with self._changed:
            return [
                response_id
                for conversation in self._conversations
                for asked, response_id in conversation.asked
                if asked == question
            ]

    def _of_type_locked(self, kind: str) -> list[JsonObject]:
        return [event for event in self._received if event.get("type") == kind]

    # What it does

    def tell(self, *frames: Frame) -> None:
        """Send something unasked to the client that came last."""
        with self._changed:
            connection = self._connections[-1]
        _send(connection, frames)

    def _serve(self, connection: ServerConnection) -> None:
        conversation = _Conversation(self._config, echoes=self._echoes, item_events=self._item_events)
        with self._changed:
            self._connections.append(connection)
            self._threads += [threading.current_thread(), connection.recv_events_thread]
            self._conversations.append(conversation)
        counts: dict[str, int] = {}
        try:
            self._take({"type": OPEN}, connection, conversation, counts)
            for text in connection:
                self._take(json.loads(text), connection, conversation, counts)
        except ConnectionClosed:
            pass
        except BaseException as fault:
            traceback.print_exception(fault)  # what the test then fails of is but a consequence
            with self._changed:
                self._faults.append(fault)

    def _take(
        self, request: JsonObject, connection: ServerConnection, conversation: _Conversation, counts: dict[str, int]
    ) -> None:
        kind = str(request.get("type"))
        counts[kind] = counts.get(kind, 0) + 1
        with self._changed:
            answer = conversation.answer(request)
            if kind != OPEN:
                self._received.append(request)
                self._changed.notify_all()
        for departure in self._departures:
            if departure.to == kind and departure.at in (None, counts[kind]):
                answer = list(departure.change(Exchange(request, counts[kind], answer)))
        _send(connection, answer)

    def close(self) -> None:
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            with suppress(ConnectionClosed, OSError):
                connection.close(1001)
        self._server.shutdown()
        self._accepting.join(WAIT_S)
        with self._changed:
            threads, faults = [self._accepting, *self._threads], list(self._faults)
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive(), f"{thread.name} did not end"
        if faults:
            raise faults[0]

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.close()
        except BaseException:
            if kind is None:
                raise


def _send(connection: ServerConnection, frames: Iterable[Frame]) -> None:
    for frame in frames:
        connection.send(frame if isinstance(frame, str) else json.dumps(frame))


def _quiet() -> logging.Logger:
    """What the WebSocket library logs of a client that leaves is of no interest."""
    logger = logging.getLogger("scripted_server.wire")
    logger.setLevel(logging.CRITICAL)
    return logger
