"""A connected socket that one thread may read while others write: plain TCP, and TLS on top of it.

Nothing here blocks but a wait, and the reader's wait is the read itself (see `Descriptor.patience`). Each other call on
the socket or on the TLS engine is non-blocking, and whatever writes is done under one lock; readiness is waited for
outside it. So reader and writers never hold each other up, and OpenSSL, whose objects are not made for two threads,
never sees two at once.
"""

from __future__ import annotations

import math
import os
import select
import socket
import ssl
import struct
import threading
from collections import deque
from contextlib import suppress
from typing import Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConnectionClosed, RealtimeTimeout, fork_error
from realtime_sync.transport.failures import mapped, while_doing

__all__ = ["Descriptor", "Readiness", "Stream", "TlsStream"]

_READ_BYTES: Final = 96 * 1024  # beyond 128 KiB each read would map, fill with zeros and unmap fresh memory
_TLS_READ_BYTES: Final = 64 * 1024  # OpenSSL's buffer grows to one read and stays so for the life of the connection
_RECORD_BYTES: Final = 16 * 1024  # the most that one TLS record takes
_BUSY_BYTES: Final = 16 * 1024  # after a read of so much, more is probably there already
_AT_ONCE: Final = getattr(socket, "MSG_DONTWAIT", 0)
# Whether one call can wait and read. Windows has no such flag; an interpreter that is patched for green threads has no
# `poll`, and a call that blocks would stop them all.
_WAITS_IN_READ: Final = bool(_AT_ONCE) and hasattr(socket, "SO_RCVTIMEO") and hasattr(select, "poll")
_LONGEST_WAIT_S: Final = 3600.0
_NEAR_ENOUGH: Final = 1.01


class Readiness:
    """Waits for one socket. Each thread that waits needs an instance of its own."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._mask = 0
        self._poll: Any = None
        if hasattr(select, "poll"):  # Windows has none, nor has an interpreter patched for green threads
            self._poll = select.poll()
            self._poll.register(sock, self._mask)

    def wait(self, timeout_s: float, *, read: bool = False, write: bool = False) -> bool:
        """Wait until the socket can be read or written, as asked, or has failed; False when the time is up."""
        if self._poll is None:
            readers, writers = [self._sock] if read else [], [self._sock] if write else []
            return any(select.select(readers, writers, [self._sock], timeout_s))
        mask = (select.POLLIN if read else 0) | (select.POLLOUT if write else 0)
        if mask != self._mask:
            self._poll.modify(self._sock, mask)
            self._mask = mask
        return bool(self._poll.poll(math.ceil(timeout_s * 1000)))


class Descriptor:
    """The life of a socket: closed only when no thread is inside a call on it, so its number is never reused there.

    It needs no lock: `enter` registers its thread before it checks `closed`; `close` sets `closed` before it looks who
    is registered. So at least one of the two sees the other. An interrupt (Ctrl-C) can come anywhere, and a signal
    handler may call `close`.
    """

    def __init__(self, sock: socket.socket) -> None:
        # Whatever must not wait says so in its call, where it can.
        sock.setblocking(_WAITS_IN_READ)
        self.socket = sock
        self._patience_s = 0.0  # how long a read that may wait does so; 0 for without end
        self.closed = False
        self._pid = os.getpid()
        self._inside: set[int] = set()  # threads, by their idents

    def enter(self) -> None:
        """Keep the socket open until this thread calls `leave`, which it must do even when this raises.

        Raises `ConnectionClosed` when `close` was called before, and in a fork.
        """
        if self._pid != os.getpid():
            raise fork_error()
        self._inside.add(threading.get_ident())
        if self.closed:
            raise ConnectionClosed("the connection was closed on this side")

    def patience(self, wait_s: float) -> bool:
        """Let a read that may wait do so for about ``wait_s`` seconds; False where none can.

        A thread that wakes up has to wait for the interpreter, which a busy program gives away every 5 ms. To wait and
        to read in one call is to queue for it once, and not twice. What is set already is kept while it is near enough:
        who has waited too short waits again."""
        if not _WAITS_IN_READ or wait_s <= 0:
            return False
        if not wait_s / 2 <= self._patience_s <= wait_s * _NEAR_ENOUGH:
            whole_s = min(wait_s, _LONGEST_WAIT_S)
            span = struct.pack("@ll", int(whole_s), max(1, int(whole_s % 1 * 1e6)))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, span)
            self._patience_s = whole_s
        return True

    def leave(self) -> None:
        """Undo `enter`; the last to leave a closed descriptor releases it."""
        self._inside.discard(threading.get_ident())
        if self.closed and not self._inside:
            self.socket.close()

    def close(self) -> None:
        """End the connection at once, from any thread. Wakes every thread that waits on it, and waits for none."""
        if self._pid != os.getpid():
            self.forget()  # a shutdown would end the connection of the parent
            return
        self.closed = True
        self.shutdown()
        # This thread is inside only if an interrupt kept it from leaving, or as a signal handler: then the interrupted
        # call finds a closed socket.
        self._inside.discard(threading.get_ident())
        if not self._inside:
            self.socket.close()

    def forget(self) -> None:
        """Release a fork's copy of the socket; the connection itself goes on in the parent."""
        self.socket.close()

    def shutdown(self) -> None:
        """Stop both directions and wake who waits; what has been received can still be read."""
        with suppress(OSError):  # the peer may have been faster
            self.socket.shutdown(socket.SHUT_RDWR)


class Stream:
    """A TCP connection as a stream of bytes.

    ``lock`` guards ``queue`` and all that writes; a method that needs it ends in ``_locked``. ``queue`` holds what is
    still to be written, in order: each piece with the counts of its bytes that are out. ``busy`` says that a read will
    probably find bytes without waiting; ``wants_read`` that writing cannot go on before something was read.

    An interrupt (Ctrl-C) may come between any two steps of Python, also when ``send`` has returned and its result is
    not stored yet. Then nobody would know how many bytes are out, and the connection would have to be given up: a
    Ctrl-C in a loop that sends audio comes at that very place one time in three. So sending and noting the count
    are one call into C (`push_locked`), and likewise for TLS taking ciphertext out of the engine and queueing it
    (`TlsStream._settle_locked`). Whoever writes next goes on where the interrupted thread stopped.
    """

    wants_read = False

    def __init__(self, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        # A signal handler may find its own thread inside, so the lock lets a thread in twice. (Such a lock cannot be
        # asked whether it is held before Python 3.14: that is why `push_locked` asserts nothing.)
        self.lock = threading.RLock()
        self.queue: deque[tuple[bytes, list[int]]] = deque()
        self.busy = False

    @property
    def unsent(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self.queue)

    def read(self, most_bytes: int = _READ_BYTES, *, waits: bool = False) -> bytes | None:
        """The bytes that are there now; ``None`` when there are none yet, ``b""`` at the end. One thread at a time.

        With ``waits``, after `Descriptor.patience` has said that it can, those that come within that time.
        """
        try:
            data = self.descriptor.socket.recv(most_bytes, 0 if waits else _AT_ONCE)
        except BlockingIOError:
            self.busy = False
            return None
        self.busy = len(data) >= _BUSY_BYTES
        return data

    def push_locked(self) -> bool:
        """Write as much of the queue as is taken now; True when nothing is left in it."""
        queue = self.queue
        send = self.descriptor.socket.send
        while queue:
            data, counts = queue[0]
            out = sum(counts)
            if out == len(data):
                queue.popleft()
                continue
            try:
                # One call into C sends and notes the count, with no place for an interrupt in between (see the class).
                counts.extend(map(send, (memoryview(data)[out:],), (_AT_ONCE,)))
            except BlockingIOError:
                return False
        return True

    def begin_locked(self, data: bytes) -> bool:
        """Write what is taken now of ``data``, and queue the rest; the queue is empty. False when nothing is taken:
        then it was not begun, and nothing is queued."""
        counts: list[int] = []
        # Queued before, so that the rest of it goes out after an interrupt.
        self.queue.append((data, counts))
        try:
            counts.extend(
                map(self.descriptor.socket.send, (data,), (_AT_ONCE,))
            )  # one call into C, as in `push_locked`
        except BlockingIOError:
            self.queue.pop()
            return False
        if counts[0] == len(data):
            self.queue.pop()
        return True

    # What follows serves the dialling thread, before the stream is shared. Each raises `RealtimeTimeout` at the
    # deadline and `HandshakeError` when the connection fails; both name what was being done.

    def send_all(self, data: bytes, deadline: Deadline, doing: str) -> None:
        """Write all of ``data``."""
        with self.lock:
            self.queue.append((data, []))
        self.flush(deadline, doing)

    def flush(self, deadline: Deadline, doing: str) -> None:
        """Write all that is queued."""
        with mapped(while_doing(doing), OSError):
            readiness = Readiness(self.descriptor.socket)
            while True:
                with self.lock:
                    if self.push_locked():
                        return
                self._check(deadline, doing)
                readiness.wait(deadline.slice(), read=self.wants_read, write=not self.wants_read)

    def receive(self, deadline: Deadline, doing: str) -> bytes:
        """The next bytes, ``b""`` at the end."""
        with mapped(while_doing(doing), OSError):
            readiness = Readiness(self.descriptor.socket)
            while True:
                data = self.read()
                if data is not None:
                    return data
                self._check(deadline, doing)
                readiness.wait(deadline.slice(), read=True)

    @staticmethod
    def _check(deadline: Deadline, doing: str) -> None:
        if deadline.expired:
            raise RealtimeTimeout(f"{doing}: not done within {deadline.timeout_s:g} s")


class TlsStream(Stream):
    """TLS over another stream: TCP, or the TLS of a proxy.

    The TLS engine works on memory alone and its ciphertext travels through the inner stream. ``lock``, shared with the
    inner stream, guards the engine too. ``queue`` holds plain bytes, the inner one their ciphertext.

    While the peer renegotiates, which TLS 1.2 allows, only reading may meet its data: OpenSSL takes data that a write
    meets there for a breach of the protocol (``UNEXPECTED_RECORD``). So what arrives is decrypted to its last byte
    before the lock is given back, and a write finds nothing.
    """

    def __init__(self, inner: Stream, context: ssl.SSLContext, server_name: str) -> None:
        super().__init__(inner.descriptor)
        self.lock = inner.lock
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        self._unsettled: tuple[list[int], int] | None = None
        self._more = False  # whether the engine may hold bytes that were decrypted but not asked for
        self._end: ssl.SSLError | bool = False  # the end of the stream, or its failure, once it was met

    def handshake(self, deadline: Deadline, doing: str) -> None:
        """Agree on keys. Raises `RealtimeTimeout` at the deadline, and ssl's or the socket's own errors."""
        while True:
            with self.lock:
                try:
                    self._tls.do_handshake()
                    done = True
                except ssl.SSLWantReadError:
                    done = False
                finally:
                    self._settle_locked()
                    if self._inner.queue:
                        self._inner.push_locked()  # an alert that says why we refuse, too
            self._inner.flush(deadline, doing)
            if done:
                return
            data = self._inner.receive(deadline, doing)
            with self.lock:
                self._feed_locked(data)

    @property
    def unsent(self) -> bool:
        """Whether anything, plain or encrypted, waits to be written."""
        return bool(self.queue) or self._outgoing.pending > 0 or self._inner.unsent

    def read(self, most_bytes: int = _READ_BYTES, *, waits: bool = False) -> bytes | None:
        """As `Stream.read`. Raises ssl's own errors too."""
        while not self._end:
            data = None
            if not self._more:
                data = self._inner.read(_TLS_READ_BYTES, waits=waits)
                if data is None:
                    self.busy = False
                    return None
            plain = self._decrypt(data, most_bytes)
            if plain:
                return plain
        if isinstance(self._end, ssl.SSLError):
            raise self._end
        return b""

    def push_locked(self) -> bool:
        """As `Stream.push_locked`. Raises ssl's own errors too."""
        while True:
            self._settle_locked()
            if not self._inner.push_locked():
                return False
            if not self.queue:
                return True
            data, counts = self.queue[0]
            out = sum(counts)
            if out == len(data):
                self.queue.popleft()
                if self.queue:
                    continue
                return True  # its ciphertext left just above
            stop = min(out + _RECORD_BYTES, len(data))
            # Noted before, for an interrupt may come when the engine has taken the bytes and not yet said so.
            self._unsettled = (counts, stop)
            try:
                self._unsettled = (counts, out + self._tls.write(memoryview(data)[out:stop]))
            except ssl.SSLWantReadError:  # a renegotiation, which TLS 1.2 allows
                self._unsettled = None
                self.wants_read = True
                self._settle_locked()
                self._inner.push_locked()  # our part of it, which the peer waits for
                return False

    def begin_locked(self, data: bytes) -> bool:
        """As `Stream.begin_locked`, but never False: what is encrypted has to go out."""
        self.queue.append((data, []))
        self.push_locked()
        return True

    def _settle_locked(self) -> None:
        """Move ciphertext to the inner queue, counting the plain bytes that it holds; right after any interrupt."""
        if self._outgoing.pending:
            if self._unsettled:
                counts, out = self._unsettled
                counts[:] = [out]
            # One call into C takes the ciphertext and queues it, as above.
            self._inner.queue.extend(zip(map(self._outgoing.read, (-1,)), ([],), strict=False))
        self._unsettled = None

    def _feed_locked(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _decrypt(self, data: bytes | None, most_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        with self.lock:
            self._settle_locked()
            self.wants_read = False
            if data is not None:
                self._feed_locked(data)
            try:
                while size < most_bytes:
                    piece = self._tls.read(_RECORD_BYTES)
                    if not piece:
                        self._end = True
                        break
                    pieces.append(piece)
                    size += len(piece)
                self._more = not self._end
            except ssl.SSLWantReadError:
                self._more = False
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                self._end = True
            except ssl.SSLError as error:
                self._end = error
            if self._outgoing.pending:  # the answer to a key update, or an alert
                with suppress(OSError):  # what was received comes first; the next read meets the failure
                    self.push_locked()
        self.busy = self._more or self._inner.busy
        return b"".join(pieces)
