"""Dialling: name look-up, TCP, proxy and TLS, all within one deadline, with every failure as an error of ours."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, TypeAlias, TypeVar

from realtime_sync._arguments import check_kind
from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError, HandshakeError, RealtimeTimeout
from realtime_sync.transport import proxy as proxies
from realtime_sync.transport.failures import mapped
from realtime_sync.transport.stream import Descriptor, Stream, TlsStream
from realtime_sync.transport.target import Target

__all__ = ["dial", "tls_context"]

T = TypeVar("T")
Address: TypeAlias = tuple[int, int, int, str, Any]  # as socket.getaddrinfo gives it

_NEXT_ADDRESS_S: Final = 0.25
"""How long an address may stay silent before the next is tried beside it (RFC 8305)."""

_NO_TLS: Final = "; if it speaks plain HTTP on this port, write http:// or ws:// in place of https:// or wss://"
_FOR_ANOTHER: Final = (62, 64)
"""What OpenSSL says of a certificate that is for another name, or for another IP address."""

_INT_MAX: Final = 2**31 - 1
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
_default_contexts: dict[tuple[str | None, ...], ssl.SSLContext] = {}


def dial(
    target: Target,
    deadline: Deadline,
    *,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | bool | None = "auto",
    user_timeout_s: float | None = None,
) -> Stream:
    """Connect to the target, through the proxy that applies. Raises `ConfigurationError`, `HandshakeError`,
    `RealtimeTimeout`.

    ``user_timeout_s`` is the time after which the system gives up on bytes that the peer does not acknowledge, where
    it has such a limit.
    """
    check_kind("ssl_context", ssl_context, "an ssl.SSLContext or None", ssl.SSLContext, type(None))
    chosen = proxies.choose(target, proxy)
    if chosen is None:
        sock = _connect(target.host, target.port, deadline, "")
    elif chosen.scheme.startswith("socks"):
        sock = _bounded(
            lambda: proxies.socks_connect(chosen, target, deadline),
            deadline,
            f"connecting to {target.address} through {chosen}",
        )
    else:
        sock = _connect(chosen.host, chosen.port, deadline, "the proxy ")
    stream = Stream(Descriptor(sock))
    try:
        _tune(sock, user_timeout_s)
        if chosen is not None and not chosen.scheme.startswith("socks"):
            if chosen.scheme == "https":
                stream = _secure(stream, ssl_context, chosen.host, f"the proxy {chosen}", deadline)
            proxies.tunnel(stream, chosen, target, deadline)
        if target.secure:
            stream = _secure(stream, ssl_context, target.host, target.address, deadline)
    except BaseException:
        stream.descriptor.close()
        raise
    return stream


def tls_context(
    cafile: str | os.PathLike[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """TLS settings that verify the server: TLS 1.2 at least.

    ``cafile`` holds the authorities to trust (PEM) instead of the system's; ``certfile`` and ``keyfile`` (if apart, and
    ``password`` if locked) the certificate that this client shows. Raises `ConfigurationError` when a file is no good.
    """
    plain = not (cafile or certfile or keyfile)
    # Loading the system's authorities takes long and the memory of a whole session: done once for each place of them.
    place = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    if plain and place in _default_contexts:
        return _default_contexts[place]
    with mapped(
        lambda error: ConfigurationError(f"the TLS certificates could not be loaded: {error}"), OSError, ValueError
    ):
        context = ssl.create_default_context(cafile=cafile)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if certfile:
            context.load_cert_chain(certfile, keyfile, password if password is not None else "")
    if plain:
        _default_contexts[place] = context
    return context


def _connect(host: str, port: int, deadline: Deadline, role: str) -> socket.socket:
    name = f"{role}{host}:{port}"
    addresses = _look_up(host, port, deadline, name)
    with mapped(lambda error: HandshakeError(f"could not connect to {name}: {_reason(error)}"), OSError):
        return _race(addresses, deadline, f"connecting to {name}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _look_up(host: str, port: int, deadline: Deadline, name: str) -> Sequence[Address]:
    """The addresses of a host, IPv4 and IPv6 in turn, so that a family without a route costs one attempt only."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, ValueError):
        pass  # a name, not an address
    with mapped(lambda error: HandshakeError(f"the host of {name} was not found: {error}"), OSError, ValueError):
        found = _bounded(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), deadline, f"looking up the host {host}"
        )
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address]


def _bounded(work: Callable[[], T], deadline: Deadline, doing: str) -> T:
    """Do what blocks without a limit on a thread of its own, and leave it behind at the deadline."""
    done = threading.Event()
    lock = threading.Lock()  # guards outcome and abandoned
    outcome: list[T | BaseException] = []
    abandoned = False

    def run() -> None:
        result: T | BaseException
        try:
            result = work()
        except BaseException as error:
            result = error
        with lock:
            if not abandoned:
                outcome.append(result)
            elif isinstance(result, socket.socket):
                result.close()
        done.set()

    with mapped(lambda error: HandshakeError(f"{doing}: {error}"), RuntimeError):  # no more threads
        threading.Thread(target=run, name=f"realtime-sync {doing}", daemon=True).start()
    try:
        while not done.wait(deadline.slice()):
            if deadline.expired:
                raise RealtimeTimeout(f"{doing}: not done within {deadline.timeout_s:g} s")
    except BaseException:
        with lock:
            abandoned = True
            for late in outcome:
                if isinstance(late, socket.socket):
                    late.close()
        raise
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result


def _race(addresses: Sequence[Address], deadline: Deadline, doing: str) -> socket.socket:
    """Connect to the first address that answers: one after the other, the next when one fails or stays silent."""
    waiting = deque(addresses)
    failure: OSError = OSError("no address")
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                try:
                    if waiting:
                        selector.register(_start(waiting.popleft()), selectors.EVENT_WRITE)
                    sock = _first(selector, deadline, Deadline(_NEXT_ADDRESS_S if waiting else None), doing)
                except RealtimeTimeout:
                    raise
                except OSError as error:
                    failure = error
                else:
                    if sock is not None:
                        return sock
        finally:
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
    raise failure


def _first(
    selector: selectors.BaseSelector, deadline: Deadline, patience: Deadline, doing: str
) -> socket.socket | None:
    """The first of the sockets to be connected; ``None`` when the patience is at its end. Raises `OSError` when one
    fails, `RealtimeTimeout` at the deadline."""
    while not patience.expired:
        if deadline.expired:
            raise RealtimeTimeout(f"{doing}: not done within {deadline.timeout_s:g} s")
        for key, _ in selector.select(min(deadline.slice(), patience.slice())):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            selector.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return sock
            sock.close()
            raise OSError(code, os.strerror(code))
    return None


def _start(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    code = sock.connect_ex(place)
    if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def _tune(sock: socket.socket, user_timeout_s: float | None) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if user_timeout_s is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(min(user_timeout_s * 1000, _INT_MAX)))


def _secure(stream: Stream, context: ssl.SSLContext | None, host: str, name: str, deadline: Deadline) -> TlsStream:
    with mapped(lambda error: _tls_failure(error, name, by_default=context is None), OSError, ValueError):
        tls = TlsStream(stream, context or tls_context(), host)
        try:
            tls.handshake(deadline, f"the TLS handshake with {name}")
        except (HandshakeError, RealtimeTimeout) as error:  # a server of plain HTTP waits for the end of the request
            raise type(error)(f"{error}{_NO_TLS}") from error.__cause__
    return tls


def _tls_failure(error: Exception, name: str, *, by_default: bool) -> HandshakeError:
    if isinstance(error, ssl.SSLCertVerificationError):
        way_out = "If it is your own or your company's, name its authority in SSL_CERT_FILE or pass an ssl_context"
        if error.verify_code in _FOR_ANOTHER:
            way_out = "Write an address that the certificate is made out to"
        elif by_default:
            way_out = _fault_of_file(os.environ.get("SSL_CERT_FILE")) or way_out
        reason = error.verify_message.rstrip(".")
        return HandshakeError(f"the certificate of {name} is not trusted: {reason}. {way_out}")
    if isinstance(error, ssl.SSLError):
        hint = ""
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            hint = "; it seems not to speak TLS on this port (a ws:// or http:// address instead?)"
        elif isinstance(error, ssl.SSLEOFError):
            hint = _NO_TLS
        return HandshakeError(f"the TLS handshake with {name} failed: {error.reason or error}{hint}")
    return HandshakeError(f"the TLS handshake with {name} failed: {error}")


def _fault_of_file(path: str | None) -> str:
    """What is wrong with SSL_CERT_FILE, which OpenSSL passes over in silence; empty when nothing is."""
    if not path:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return f"SSL_CERT_FILE is set to {path!r}, which holds no certificate (PEM)"
    except OSError as error:
        return f"SSL_CERT_FILE is set to {path!r}, which cannot be read: {error.strerror}"
    return ""
