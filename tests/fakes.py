"""A transport without a socket: the test plays the server, at the level of bytes."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from servers import frame, unmasked

from realtime_sync._deadline import Deadline, now
from realtime_sync.delivery.connection import Connection
from realtime_sync.delivery.inbox import Inbox
from realtime_sync.errors import ConnectionClosed, ConnectionLost
from realtime_sync.session.session import RealtimeSession
from realtime_sync.transport.frames import BINARY, CLOSE, PING, TEXT, close_payload
from realtime_sync.transport.websocket import WebSocket, error_of

SESSION = {"type": "realtime", "id": "sess_1", "object": "realtime.session", "model": "gpt-realtime"}


class FakeTransport:
    """The real WebSocket without a socket: bytes that the test puts come in by `receive`; what is sent is kept."""

    def __init__(self) -> None:
        self.websocket = WebSocket(1 << 26)
        self.incoming: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
        self.texts: list[dict[str, Any]] = []
        self.controls: list[tuple[int, bytes]] = []
        self.closed = threading.Event()
        self.sent = threading.Condition()
        self.send_fault: Exception | None = None
        self.answer_close = True
        self.forgotten = False
        self.busy = False

    def keep_alive(self, interval_s: float | None, timeout_s: float) -> None:
        self.websocket.keep_alive(interval_s, timeout_s, now())

    def receive(self, timeout_s: float = 3600.0, before_wait: Callable[[], object] | None = None) -> list[bytes]:
        messages: list[bytes] = []
        if not self.websocket.end:
            if before_wait is not None and not (self.busy and self.incoming.qsize()):
                before_wait()
            try:
                data = self.incoming.get(timeout=max(0.0, min(self.websocket.due_s - now(), timeout_s)))
            except queue.Empty:
                self.busy = False
                self.websocket.tick(now())
            else:
                if isinstance(data, Exception):
                    raise data
                messages = self.websocket.feed(data, now())
            self._push()
        if self.websocket.end and not messages:
            raise error_of(self.websocket.end, "the test")
        return messages

    def redact(self, text: str) -> str:
        return text.replace("sk-of-the-test", "<redacted>")

    def send_text(self, text: str | bytes, timeout_s: float) -> None:
        if self.send_fault is not None:
            if isinstance(self.send_fault, ConnectionClosed):
                self.incoming.put(ConnectionLost("the connection failed"))  # the real one shuts the socket down
            raise self.send_fault
        with self.sent:
            self.texts.append(json.loads(text))
            self.sent.notify_all()

    def send_close(self, code: int = 1000, reason: str = "") -> None:
        self.websocket.close(code, reason)
        self._push()

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.incoming.put(ConnectionClosed("closed on this side"))

    def forget(self) -> None:
        self.forgotten = True

    def _push(self) -> None:
        with self.sent:
            while data := self.websocket.next_control():
                opcode, payload = unmasked(data)
                self.controls.append((opcode, payload))
                self.sent.notify_all()
                if opcode == CLOSE and self.answer_close:
                    self.incoming.put(frame(CLOSE, payload))

    # The server's side

    def say(self, *events: dict[str, Any]) -> None:
        """Events in one batch."""
        self.incoming.put(b"".join(frame(TEXT, json.dumps(event).encode()) for event in events))

    def say_binary(self, event: dict[str, Any]) -> None:
        self.incoming.put(frame(BINARY, json.dumps(event).encode()))

    def ping(self, payload: bytes) -> None:
        self.incoming.put(frame(PING, payload))

    def hang_up(self, code: int | None = None, reason: str = "", *events: dict[str, Any]) -> None:
        """A close frame, after ``events`` in the same batch."""
        payload = b"" if code is None else close_payload(code, reason)
        texts = (frame(TEXT, json.dumps(event).encode()) for event in events)
        self.incoming.put(b"".join((*texts, frame(CLOSE, payload))))

    def fail(self, error: Exception) -> None:
        self.incoming.put(error)

    def wait_sent(self, count: int) -> dict[str, Any]:
        """Block until ``count`` texts were sent in all; the last of them."""
        with self.sent:
            found = self.sent.wait_for(lambda: len(self.texts) >= count, 20)
            assert found, self.texts
            return self.texts[count - 1]

    def wait_control(self, opcode: int) -> bytes:
        """Block until a control frame of this kind was sent; its payload."""
        with self.sent:
            found = self.sent.wait_for(lambda: any(sent == opcode for sent, _ in self.controls), 20)
            assert found, self.controls
            return next(payload for sent, payload in self.controls if sent == opcode)


class FakeSession:
    """A session on a fake transport. As a context manager it begins when ``session.created`` has arrived, which nobody
    has dispatched."""

    def __init__(
        self,
        *,
        limit_bytes: int = 10**8,
        created: bool = True,
        conversation_limit: int | None = None,
        **limits: Any,
    ) -> None:
        self.wire = FakeTransport()
        self.inbox = Inbox(limit_bytes)
        self.connection = Connection(self.wire, self.inbox, **limits)  # type: ignore[arg-type]
        self.session = RealtimeSession(self.connection, self.inbox, conversation_limit=conversation_limit)
        self.created = created
        if created:
            self.wire.say({"type": "session.created", "event_id": "ev_0", "session": SESSION})
        self.connection.start()

    def __enter__(self) -> FakeSession:
        deadline = Deadline(20)
        while self.created and not self.inbox.waiting_bytes:
            assert not deadline.expired
            time.sleep(0.0005)
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        assert not self.connection._thread.is_alive()


def text_delta(response_id: str, delta: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "response.output_text.delta",
        "response_id": response_id,
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "delta": delta,
        **more,
    }


def response_created(response_id: str, create: dict[str, Any] | None = None) -> dict[str, Any]:
    """``response.created``; ``create`` is the client event that it answers."""
    metadata = create["response"].get("metadata") if create else None
    return {
        "type": "response.created",
        "response": {"id": response_id, "status": "in_progress", "metadata": metadata, "conversation_id": "conv_1"},
    }


def response_done(response_id: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": "response.done", "response": {"id": response_id, "status": status, "output": [], **more}}


def error(event_id: str | None, code: str = "bad", message: str = "no") -> dict[str, Any]:
    detail = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
    return {"type": "error", "event_id": "ev_e", "error": detail}
