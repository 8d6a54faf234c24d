"""Proxies: which one applies, and how to get through it."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import attrs

from realtime_sync._arguments import check_kind
from realtime_sync._deadline import Deadline
from realtime_sync.errors import ConfigurationError, HandshakeError, RealtimeError, RealtimeTimeout
from realtime_sync.transport.failures import mapped
from realtime_sync.transport.headers import Headers, SecretBytes, Secrets, header_lines
from realtime_sync.transport.http import read_body, read_head, refusal
from realtime_sync.transport.stream import Stream
from realtime_sync.transport.target import Target, ascii_host

__all__ = ["Proxy", "bypassed", "choose", "socks_connect", "tunnel"]

_PORTS: Final = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


@attrs.frozen
class Proxy:
    """A proxy to connect through. Its text and repr leave the credentials out."""

    scheme: str
    host: str
    port: int
    user: str | None = attrs.field(default=None, repr=False)
    password: str = attrs.field(default="", repr=False)

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Read the URL of a proxy; without a scheme it is of HTTP. Raises `ConfigurationError`, not showing the URL."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise ConfigurationError("the URL of the proxy is not valid (its host or its port)") from None
        scheme = "socks5h" if parts.scheme == "socks" else parts.scheme
        if scheme not in _PORTS or not parts.hostname:
            known = ", ".join(f"{name}://" for name in _PORTS)
            raise ConfigurationError(f"the URL of the proxy must name a host and begin with one of {known}")
        user = None if parts.username is None else unquote(parts.username)
        return cls(scheme, ascii_host(parts.hostname), port or _PORTS[scheme], user, unquote(parts.password or ""))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def choose(target: Target, proxy: str | bool | None, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for a target: ``"auto"`` (or True) asks the environment, a URL is taken as it is, else none.

    The environment is ``HTTPS_PROXY`` for wss, ``HTTP_PROXY`` for ws, then ``ALL_PROXY``, each in lower case first.
    ``NO_PROXY`` and this machine itself are exempt.
    """
    if not proxy:
        return None
    check_kind("proxy", proxy, 'the URL of a proxy, "auto" or None', str, bool)
    if proxy is not True and proxy != "auto":
        return Proxy.of(proxy)
    for name in ("HTTPS_PROXY" if target.secure else "HTTP_PROXY", "ALL_PROXY"):
        # A web server hands a request's "Proxy" header to CGI scripts as HTTP_PROXY: not to be trusted there.
        upper = "" if name == "HTTP_PROXY" and "REQUEST_METHOD" in environ else environ.get(name, "")
        url = (environ.get(name.lower()) or upper).strip()
        if url:
            no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY", "")
            if bypassed(target.host, target.port, no_proxy):
                return None
            return Proxy.of(url)
    return None


def bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether a target is reached without the proxy: it is this machine, or ``no_proxy`` names it.

    Entries are separated by commas or blanks: ``*``, a domain (with or without a leading dot; subdomains included), an
    address, a network such as ``10.0.0.0/8``; each may end in ``:port``.
    """
    host = host.rstrip(".").lower()
    address = _address(host)
    if host == "localhost" or host.endswith(".localhost") or (address and address.is_loopback):
        return True
    return any(_matches(entry.lower(), host, address, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _matches(entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    bracketed = re.fullmatch(r"\[(.+)\](?::(\d+))?", entry) or re.fullmatch(r"([^:]+)(?::(\d+))?", entry)
    name, only_port = bracketed.groups() if bracketed else (entry, None)  # else a bare IPv6 address or network
    if only_port and int(only_port) != port:
        return False
    if address:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    domain = name.removeprefix("*").strip(".")
    return host == domain or (bool(domain) and host.endswith(f".{domain}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def tunnel(stream: Stream, proxy: Proxy, target: Target, deadline: Deadline) -> None:
    """Have an HTTP proxy connect the stream to the target. Raises `HandshakeError`, `RealtimeTimeout`."""
    who = f"the proxy {proxy}"
    doing = f"asking {who} for {target.address}"
    headers = Headers(Host=target.address, **_credentials(proxy))
    secrets = Secrets((*headers.get("Proxy-Authorization", "").split(), proxy.password))
    request = b"CONNECT %s HTTP/1.1\r\n" % target.address.encode()
    stream.send_all(SecretBytes(request + header_lines(headers) + b"\r\n"), deadline, doing)
    head, received = read_head(stream, deadline, who, doing, secrets)
    if not 200 <= head.status < 300:
        raise refusal(who, head, read_body(stream, head, received, deadline), secrets, by_proxy=True)
    if received:
        raise HandshakeError(f"{who} sent bytes of its own into the tunnel")


def _credentials(proxy: Proxy) -> Headers:
    if proxy.user is None:
        return Headers()
    token = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
    return Headers({"Proxy-Authorization": f"Basic {token}"})


def socks_connect(proxy: Proxy, target: Target, deadline: Deadline) -> socket.socket:
    """Connect to the target through a SOCKS proxy; blocks, so it runs beside the dialling thread."""
    try:
        from python_socks import ProxyType
        from python_socks.sync import Proxy as SocksProxy
    except ImportError as error:
        raise ConfigurationError("a SOCKS proxy needs the extra: pip install 'realtime-sync[socks]'") from error
    kind = ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5
    # socks4a and socks5h have the proxy look the name up.
    rdns = proxy.scheme in ("socks4a", "socks5h")

    def failure(error: Exception) -> RealtimeError:
        cause: BaseException | None = error
        while cause is not None:
            cause.__traceback__ = None  # whose frames hold the password
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, TimeoutError):
            doing = f"connecting to {target.address} through {proxy}"
            return RealtimeTimeout(f"{doing}: not done within {deadline.timeout_s:g} s")
        return HandshakeError(f"the proxy {proxy} did not connect to {target.address}: {error}")

    with mapped(failure, Exception):  # of many kinds, the package's own among them
        dialler = SocksProxy.create(kind, proxy.host, proxy.port, proxy.user, proxy.password, rdns=rdns)
        sock: socket.socket = dialler.connect(target.host, target.port, timeout=deadline.remaining())
    return sock
