"""The clients that are compared. Each is written as its users would write it; none is patched."""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from benchmarks.blaster import Order

OURS = "realtime_sync"
OURS_ITERATED = "realtime_sync, iterated"
OURS_STARTED = "realtime_sync, start()"
OPENAI = "openai"
LIBRARY = "websocket-client, buffered + orjson"
BARE = "bare socket loop + orjson"

Look = Callable[[Any], object] | None

_READ_BYTES = 64 * 1024  # the fastest: larger ones need fresh memory each time
_SILENCE = "AAA="

KEY = "sk-proj-" + "Kx7Rq2_LmZ9vTw4-" * 9
"""As long as real ones: a client may look for it in what the server says."""


class Contestant:
    """A connection to the blaster at ``url``: http for TCP, https for TLS. It imports what it needs when it is made."""

    def __init__(self, url: str, order: Order) -> None:
        raise NotImplementedError

    @staticmethod
    def pcm_of(event: Any) -> bytes:
        """The sound of an audio delta, as the user of this client gets at it."""
        raise NotImplementedError

    def go(self) -> None:
        """Send a message, which starts the serving."""
        raise NotImplementedError

    def take(self, count: int, look: Look = None) -> None:
        """Receive so many events, decoded and, where the client has types, typed; ``look`` at each."""
        if look is None:
            for _ in islice(self.events(), count):
                pass
        else:
            for event in islice(self.events(), count):
                look(event)

    def events(self) -> Iterator[Any]:
        """The events one by one."""
        raise NotImplementedError

    def listen(self, each: Callable[[Any], None], count: int) -> None:
        """Have ``each`` called with the next ``count`` events, on another thread; returns at once."""

        def call() -> None:
            for event in islice(self.events(), count):
                each(event)

        threading.Thread(target=call, daemon=True).start()

    def append(self, pcm: bytes, count: int) -> None:
        """Send ``pcm`` so many times as an ``input_audio_buffer.append``."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class RealtimeSync(Contestant):
    """Events delivered to a handler on the main thread."""

    def __init__(self, url: str, order: Order) -> None:
        import realtime_sync

        self._session = realtime_sync.connect(order.model, base_url=f"{url}/v1", api_key=KEY)
        self._session.wait_for("session.created")

    @staticmethod
    def pcm_of(event: Any) -> bytes:
        pcm: bytes = event.delta_bytes
        return pcm

    def go(self) -> None:
        self._session.append_audio(_SILENCE)

    def take(self, count: int, look: Look = None) -> None:
        def note(event: Any) -> None:
            nonlocal count
            if look is not None:
                look(event)
            count -= 1
            if not count:
                self._session.stop()

        self._session.on("*", note)
        self._session.run()
        self._session.off("*", note)

    def events(self) -> Iterator[Any]:
        return iter(self._session)

    def listen(self, each: Callable[[Any], None], count: int) -> None:
        self._session.on("*", each)
        self._session.start()

    def append(self, pcm: bytes, count: int) -> None:
        append = self._session.append_audio_bytes
        for _ in range(count):
            append(pcm)

    def close(self) -> None:
        self._session.close()


class RealtimeSyncIterated(RealtimeSync):
    """``for event in session``."""

    def take(self, count: int, look: Look = None) -> None:
        Contestant.take(self, count, look)


class RealtimeSyncStarted(RealtimeSync):
    """Events delivered to a handler on the thread of ``session.start()``."""

    def take(self, count: int, look: Look = None) -> None:
        done = threading.Event()

        def note(event: Any) -> None:
            nonlocal count
            if look is not None:
                look(event)
            count -= 1
            if not count:
                done.set()

        self._session.on("*", note)
        self._session.start()
        done.wait()
        self._session.stop()
        self._session.off("*", note)


class OpenAi(Contestant):
    """The synchronous client of the ``openai`` package."""

    def __init__(self, url: str, order: Order) -> None:
        from openai import OpenAI

        self._client = OpenAI(api_key=KEY, base_url=f"{url}/v1", websocket_base_url=f"{_as_ws(url)}/v1")
        self._connection = self._client.realtime.connect(model=order.model).enter()
        opened = self._connection.recv()
        assert opened.type == "session.created"

    @staticmethod
    def pcm_of(event: Any) -> bytes:
        return base64.b64decode(event.delta)

    def go(self) -> None:
        self._connection.input_audio_buffer.append(audio=_SILENCE)

    def events(self) -> Iterator[Any]:
        return iter(self._connection)

    def append(self, pcm: bytes, count: int) -> None:
        append = self._connection.input_audio_buffer.append
        for _ in range(count):
            append(audio=base64.b64encode(pcm).decode())

    def close(self) -> None:
        self._connection.close()


class _BufferedSocket:
    """Serves the small reads of websocket-client out of large ones."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._data = b""
        self._position = 0

    def recv(self, size: int) -> bytes:
        if self._position == len(self._data):
            self._data, self._position = self._sock.recv(_READ_BYTES), 0
        found = self._data[self._position : self._position + size]
        self._position += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class WebSocketClient(Contestant):
    """The websocket-client package as a plain loop: no threads, no types."""

    def __init__(self, url: str, order: Order) -> None:
        import orjson
        import websocket

        self._loads, self._dumps = orjson.loads, orjson.dumps
        self._socket: Any = websocket.WebSocket(skip_utf8_validation=True, enable_multithread=False)
        self._socket.connect(f"{_as_ws(url)}/v1/realtime?model={quote(order.model)}", http_no_proxy=["*"])
        self._socket.sock = _BufferedSocket(self._socket.sock)
        opened = next(self.events())
        assert opened["type"] == "session.created"

    @staticmethod
    def pcm_of(event: Any) -> bytes:
        return base64.b64decode(event["delta"])

    def go(self) -> None:
        self._socket.send(_append(_SILENCE))

    def events(self) -> Iterator[Any]:
        receive, loads = self._socket.recv_data, self._loads
        while True:
            yield loads(receive()[1])

    def append(self, pcm: bytes, count: int) -> None:
        for n in range(count):
            audio = base64.b64encode(pcm).decode()
            event = {"type": "input_audio_buffer.append", "event_id": f"event_{n}", "audio": audio}
            self._socket.send(self._dumps(event))

    def close(self) -> None:
        self._socket.close()


class BareSocket(Contestant):
    """As little Python as there can be; knows only the frames that the blaster sends. The floor."""

    def __init__(self, url: str, order: Order) -> None:
        import orjson

        self._loads = orjson.loads
        scheme, _, address = url.partition("://")
        host, _, port = address.partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if scheme == "https":
            import ssl

            self._socket = ssl.create_default_context().wrap_socket(self._socket, server_hostname=host)
        head = f"GET /v1/realtime?model={quote(order.model)} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
        head += f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n"
        self._socket.sendall(head.encode())
        self._rest = b""
        while b"\r\n\r\n" not in self._rest:
            self._rest += self._socket.recv(_READ_BYTES)
        self._rest = self._rest.partition(b"\r\n\r\n")[2]
        opened = next(self.events())
        assert opened["type"] == "session.created"

    @staticmethod
    def pcm_of(event: Any) -> bytes:
        return base64.b64decode(event["delta"])

    def go(self) -> None:
        self._send(_append(_SILENCE))

    def events(self) -> Iterator[Any]:
        loads, receive = self._loads, self._socket.recv
        data, position = self._rest, 0
        try:
            while True:
                end = len(data)
                while end - position >= 4:
                    length, start = data[position + 1], position + 2
                    if length == 126:
                        length, start = data[position + 2] << 8 | data[position + 3], position + 4
                    if start + length > end:
                        break
                    position = start + length
                    yield loads(data[start:position])
                more = receive(_READ_BYTES)
                if not more:
                    return
                data, position = data[position:] + more, 0
        finally:
            self._rest = data[position:]

    def append(self, pcm: bytes, count: int) -> None:
        for _ in range(count):
            self._send(_append(base64.b64encode(pcm).decode()))

    def _send(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        mask = os.urandom(4)
        header = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
        masked = (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")
        self._socket.sendall(header + mask + masked)

    def close(self) -> None:
        self._socket.close()


CONTESTANTS: dict[str, type[Contestant]] = {
    OURS: RealtimeSync,
    OURS_ITERATED: RealtimeSyncIterated,
    OURS_STARTED: RealtimeSyncStarted,
    OPENAI: OpenAi,
    LIBRARY: WebSocketClient,
    BARE: BareSocket,
}


def _as_ws(url: str) -> str:
    return url.replace("http", "ws", 1)


def _append(audio: str) -> str:
    return f'{{"type":"input_audio_buffer.append","event_id":"event_1","audio":"{audio}"}}'
