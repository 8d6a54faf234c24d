"""Where to connect and with which headers: OpenAI, Azure OpenAI, and servers that speak the same protocol."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal, get_args
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import attrs

from realtime_sync._arguments import answered, answering, check_kind
from realtime_sync._secrets import is_secret
from realtime_sync._version import __version__
from realtime_sync.errors import ConfigurationError
from realtime_sync.transport import headers as grammar
from realtime_sync.transport.headers import Headers
from realtime_sync.transport.target import ascii_host

__all__ = ["Endpoint", "Intent", "Secret", "resolve_endpoint"]

Secret = str | Callable[[], str]
"""A credential, or a function that returns it: called at each connection, so that a token is always fresh."""

Intent = Literal["realtime", "transcription", "translation"]

_OPENAI: Final = "https://api.openai.com/v1"
_AZURE_DOMAINS: Final = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_LOCAL_DOMAINS: Final = (".localhost", ".local", ".internal", ".lan")
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_SHOWN_QUERY: Final = frozenset({"model", "intent", "call_id", "deployment", "api-version"})
_OWN_HEADERS: Final = frozenset(
    {"host", "upgrade", "connection", "content-length", "transfer-encoding", "sec-websocket-key"}
    | {"sec-websocket-version", "sec-websocket-extensions", "sec-websocket-accept"}
)
_CREDENTIAL: Final = re.compile(r"[!-~]+")


def _shown_url(url: str) -> str:
    address, _, query = url.partition("?")
    shown = ((name, value if name in _SHOWN_QUERY else "...") for name, value in parse_qsl(query, True))
    return repr(f"{address}?{urlencode(list(shown), quote_via=quote)}" if query else address)


@answered
@attrs.frozen
class Endpoint:
    """Where to connect: a ws:// or wss:// URL with its query, and the headers of the request.

    The repr shows the names of the headers only, and of the query only what is no secret.
    """

    url: str = attrs.field(repr=_shown_url)
    headers: Mapping[str, str] = attrs.field(converter=grammar.checked)

    def __attrs_post_init__(self) -> None:
        check_kind("url", self.url, "str", str)


@answering
def resolve_endpoint(
    *,
    model: str | None = None,
    api_key: Secret | None = None,
    base_url: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    call_id: str | None = None,
    intent: Intent | None = None,
    azure_endpoint: str | None = None,
    azure_ad_token: Secret | None = None,
    azure_api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    allow_insecure: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Endpoint:
    """Work out where to connect, from arguments first and the environment next.

    ``model``: the model, or the deployment at Azure. ``call_id`` joins a running SIP or WebRTC call instead. ``intent``
    is ``"transcription"`` for a session that only transcribes (its model goes into the session's configuration) or
    ``"translation"``; ``None`` for speech to speech.

    ``base_url`` (``OPENAI_BASE_URL``) is an http(s) or ws(s) address, with or without ``/realtime`` at its end;
    OpenAI's by default. ``api_key`` (``OPENAI_API_KEY``) is needed there, elsewhere it may be missing. ``organization``
    (``OPENAI_ORG_ID``) and ``project`` (``OPENAI_PROJECT_ID``) are OpenAI's.

    Azure OpenAI is addressed by ``azure_endpoint``, by a ``base_url`` of its domains, or by ``AZURE_OPENAI_ENDPOINT``
    when nothing of OpenAI's is set. The credential is ``azure_ad_token`` (``AZURE_OPENAI_AD_TOKEN``, Microsoft Entra)
    or else ``api_key`` (``AZURE_OPENAI_API_KEY``). ``azure_api_version`` selects the older preview addresses.

    ``headers`` and ``query`` are added, and win over what would be sent otherwise. Credentials are not sent unencrypted
    beyond this machine and its private network unless ``allow_insecure``.

    Raises `ConfigurationError`, which never shows a credential, for whatever is missing or cannot work.
    """
    environ = grammar.texts("environ", environ)  # whose values no traceback with local variables shows
    query = grammar.texts("query", {} if query is None else query)
    named = {"model": model, "base_url": base_url, "organization": organization, "project": project}
    named |= {"call_id": call_id, "azure_endpoint": azure_endpoint, "azure_api_version": azure_api_version}
    for name, value in named.items():
        check_kind(name, value, "str", str, type(None))
    if intent not in (None, *get_args(Intent)):
        raise ConfigurationError(f"intent must be one of {', '.join(get_args(Intent))}, not {intent!r}")
    extra = _checked_headers(headers or {})
    if model is not None and not model.strip():
        raise ConfigurationError("model is empty")
    for name, value in (("base_url", base_url), ("azure_endpoint", azure_endpoint)):
        if value is not None and not value.strip():  # the default would be OpenAI, with the key of another service
            raise ConfigurationError(f"{name} is empty: pass the address, or None for the usual one")
    if not isinstance(allow_insecure, bool):  # "no" would count as yes
        raise ConfigurationError(f"allow_insecure must be True or False, not {allow_insecure!r}")
    if call_id and model:
        raise ConfigurationError("pass model or call_id, not both: a running call has its model already")
    azure = azure_endpoint is not None or azure_ad_token is not None or azure_api_version is not None
    base, azure = _base(azure_endpoint, base_url, azure=azure, has_key=api_key is not None, environ=environ)
    address = _address(base)
    host = address.hostname or ""
    if azure or host.endswith(_AZURE_DOMAINS):
        path, own_query = _azure_path(address.path, model, call_id, intent, azure_api_version)
        own_headers = _azure_credentials(api_key, azure_ad_token, extra, environ)
    else:
        path, own_query = _path(address.path, model, call_id, intent)
        own_headers = _credentials(host, api_key, organization, project, extra, environ)
        if _is_openai(host):
            _check_openai(model, call_id, intent, own_headers, extra)
    sent = {"User-Agent": f"realtime-sync/{__version__}", **own_headers}
    sent = {name: value for name, value in sent.items() if name.lower() not in extra} | dict(headers or {})
    scheme = _SCHEMES[address.scheme]
    pairs = dict(parse_qsl(address.query, True)) | own_query | query
    has_credentials = any(map(is_secret, (*sent, *pairs)))
    if scheme == "ws" and has_credentials and not allow_insecure and not _private(host):
        raise ConfigurationError(
            f"the credentials would go to {host} unencrypted: use https:// or wss://, or allow_insecure=True"
        )
    url = f"{scheme}://{address.netloc}{path}"
    return Endpoint(f"{url}?{urlencode(pairs, quote_via=quote)}" if pairs else url, sent)


def _base(
    azure_endpoint: str | None, base_url: str | None, *, azure: bool, has_key: bool, environ: Mapping[str, str]
) -> tuple[str, bool]:
    """The base URL, and whether it is Azure's: by argument, else by the environment."""
    if azure_endpoint and base_url:
        raise ConfigurationError("pass azure_endpoint or base_url, not both")
    if base_url:
        return base_url, azure
    if not azure:
        if environ.get("OPENAI_BASE_URL"):
            return environ["OPENAI_BASE_URL"], False
        if has_key or environ.get("OPENAI_API_KEY") or not environ.get("AZURE_OPENAI_ENDPOINT"):
            return _OPENAI, False
    url = azure_endpoint or environ.get("AZURE_OPENAI_ENDPOINT")
    if not url:
        raise ConfigurationError("no address for Azure: set AZURE_OPENAI_ENDPOINT or pass azure_endpoint")
    return url, True


def _address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises when it is no number
    except ValueError:
        raise ConfigurationError("the base URL is not valid (its host or its port)") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("the base URL must not hold credentials: pass api_key or headers")
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.fragment:
        raise ConfigurationError(
            "the base URL must look like https://HOST/v1 (http, https, ws or wss, without a # part)"
            + (f", not {url!r}" if len(url) < 100 and not set("?@") & set(url) else "")
        )
    return parts._replace(path=quote(parts.path, safe="/%:@!$&'()*+,;=~"))


def _path(base: str, model: str | None, call_id: str | None, intent: Intent | None) -> tuple[str, dict[str, str]]:
    path = base.rstrip("/")
    if path.endswith("/realtime/translations"):
        path = path.removesuffix("/translations")
        intent = intent or "translation"
    if not path.endswith("/realtime"):
        path += "/realtime"
    if intent == "translation":
        path += "/translations"
    query = {"model": model, "call_id": call_id, "intent": "transcription" if intent == "transcription" else None}
    return path, {name: value for name, value in query.items() if value}


def _azure_path(
    base: str, model: str | None, call_id: str | None, intent: Intent | None, version: str | None
) -> tuple[str, dict[str, str]]:
    if not model and not call_id and intent != "transcription":
        raise ConfigurationError("Azure needs model: the name of your deployment")
    root = re.sub(r"/openai(/v1)?(/realtime(/translations)?)?/?$", "", base).rstrip("/")
    if version is None:
        return _path(f"{root}/openai/v1", model, call_id, intent)
    path, query = _path(f"{root}/openai", model, call_id, intent)
    deployment = query.pop("model", None)
    return path, {"api-version": version, **({"deployment": deployment} if deployment else {}), **query}


def _azure_credentials(
    api_key: Secret | None, token: Secret | None, extra: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    if "authorization" in extra or "api-key" in extra:
        return {}
    if token is None and api_key is None:
        token = environ.get("AZURE_OPENAI_AD_TOKEN") or None
        api_key = environ.get("AZURE_OPENAI_API_KEY") or None
    if token is not None:
        return {"Authorization": f"Bearer {_credential(token, 'azure_ad_token')}"}
    if api_key is not None:
        return {"api-key": _credential(api_key, "api_key")}
    raise ConfigurationError("no credential for Azure: set AZURE_OPENAI_API_KEY, or pass api_key or azure_ad_token")


def _credentials(
    host: str,
    api_key: Secret | None,
    organization: str | None,
    project: str | None,
    extra: Mapping[str, str],
    environ: Mapping[str, str],
) -> dict[str, str]:
    found: dict[str, str] = {}
    key = api_key if api_key is not None else environ.get("OPENAI_API_KEY") or None
    if key is not None and "authorization" not in extra:
        found["Authorization"] = f"Bearer {_credential(key, 'api_key')}"
    elif _is_openai(host) and "authorization" not in extra:
        raise ConfigurationError("no API key: set OPENAI_API_KEY or pass api_key")
    if _is_openai(host):
        organization = organization or environ.get("OPENAI_ORG_ID")
        project = project or environ.get("OPENAI_PROJECT_ID")
    if organization:
        found["OpenAI-Organization"] = organization
    if project:
        found["OpenAI-Project"] = project
    _checked_headers(found)
    return found


def _credential(secret: Secret, name: str) -> str:
    value = secret() if callable(secret) else secret
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be str or a function that returns str, not {type(value).__name__}")
    if not value.strip():
        raise ConfigurationError(f"{name} is empty")
    if value.startswith("Bearer "):
        raise ConfigurationError(f"{name} begins with 'Bearer ': pass the key alone")
    if not _CREDENTIAL.fullmatch(value):
        raise ConfigurationError(
            f"{name} has a blank, a line break or a character beyond ASCII in it; was more than the key copied?"
        )
    return value


def _check_openai(
    model: str | None,
    call_id: str | None,
    intent: Intent | None,
    own_headers: Mapping[str, str],
    extra: Mapping[str, str],
) -> None:
    if "openai-beta" in extra:
        raise ConfigurationError("OpenAI refuses connections with the header OpenAI-Beta: leave it out")
    if intent == "transcription":
        if model:
            raise ConfigurationError(
                "a transcription session takes no model here: put it into its configuration (audio.input.transcription)"
            )
    elif not model and not call_id and not own_headers.get("Authorization", "").startswith("Bearer ek_"):
        # A client secret (ek_...) was made for a session whose model is set.
        raise ConfigurationError('no model: pass model="gpt-realtime" or another that speaks Realtime')


def _checked_headers(headers: Any) -> Headers:
    """The headers by their names in lower case."""
    found = grammar.checked(headers)
    for name in found:
        if name.lower() in _OWN_HEADERS:
            raise ConfigurationError(f"the header {name} belongs to the WebSocket handshake and cannot be set")
    return Headers({name.lower(): found[name] for name in found})


def _is_openai(host: str) -> bool:
    return host == "api.openai.com" or host.endswith(".api.openai.com")  # the latter for data residency


def _private(host: str) -> bool:
    """Whether a host is this machine or within its own network, as far as its name tells."""
    host = ascii_host(host).rstrip(".").lower()
    address = _address_of(host)
    if address is None:
        return "." not in host or host.endswith(_LOCAL_DOMAINS)
    return address.is_private or address.is_loopback or address.is_link_local


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is, in any way that the system's look-up reads: 0x08080808 is 8.8.8.8 too."""
    import socket  # here, since most addresses are wss:// and never come here

    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        return getattr(address, "ipv4_mapped", None) or address
    with suppress(OSError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None
