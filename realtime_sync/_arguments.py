"""Arguments that a function does not have: told with the names that it has, in place of Python's bare `TypeError`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from types import FunctionType
from typing import Any, Final, TypeVar

from realtime_sync.errors import ConfigurationError

__all__ = ["answered", "answering", "check_function", "check_kind", "check_session", "unknown"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)

_THEIRS: Final[Mapping[str, str]] = {
    "api_key": "access_token apikey auth_token bearer bearer_token key openai_api_key secret token",
    "audio": "data file input_audio pcm wav",
    "audio_end_ms": "end end_ms ms",
    "azure_ad_token": "azure_ad_token_provider",
    "azure_api_version": "api_version",
    "base_url": "address endpoint_url host server uri url websocket_base_url",
    "config": "configuration options response response_config session session_config settings",
    "functions": "tools",
    "handler": "callback fn func function listener",
    "headers": "additional_headers default_headers extra_headers header",
    "images": "image",
    "inbox_limit_bytes": "max_queue max_queue_size",
    "instructions": "prompt system system_message system_prompt",
    "item": "content message",
    "item_id": "id item message_id",
    "key": "event event_class event_name event_type name type",
    "max_message_bytes": "max_size",
    "model": "azure_deployment deployment engine model_id model_name",
    "on_error": "error_handler on_exception",
    "organization": "openai_organization org organisation",
    "output": "content data result value",
    "pcm": "audio audio_bytes buffer chunk data samples",
    "predicate": "condition filter where",
    "project": "openai_project",
    "proxy": "http_proxy http_proxy_host proxies",
    "query": "default_query extra_query params",
    "rate_hz": "framerate frequency rate sample_rate samplerate sampling_rate",
    "replies": "answers reply responses script",
    "response_id": "id response",
    "session": "config configuration options session_config settings",
    "ssl_context": "ssl ssl_options sslopt verify",
    "text": "content input message prompt question",
    "timeout": "connect_timeout max_wait open_timeout seconds wait",
    "tools": "functions",
}
"""What else people call an argument, from other libraries or by guess: our name, and theirs for it."""

_MADE_BY: Final[Mapping[str, str]] = {
    "RealtimeSession": "connect(model) opens one",
    "Turn": "respond(text) and next_reply() return one",
    "Ack": "the verbs of a session return one",
}
"""Classes that users have no business to construct."""

_OPTIONS: Final = ("config", "session")
"""Arguments that take the options of the model."""


def answering(function: F) -> F:
    """The function, but that a call whose arguments do not fit raises a `ConfigurationError` which names those it has.

    A return value passes through one frame more: not for what would be lost if Ctrl-C struck there (see `unknown`)."""

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True  # IPython and pytest leave such frames out of a traceback
        try:
            return function(*args, **named)
        except BaseException as error:
            told = None if _has_begun(error) else _wrong_call(function, args, named)
            # The traceback holds this frame: it must hold no exception (a cycle, which keeps all that was opened), and
            # no argument, among which are keys.
            args = ()
            named.clear()
            if told is None:
                raise
            raise ConfigurationError(told) from None

    return call  # type: ignore[return-value]


def answered(cls: C) -> C:
    """The class with all its public methods, and its constructor, `answering`."""
    for name, value in list(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(value, FunctionType) and not _takes_any(value):
            setattr(cls, name, answering(value))
        elif isinstance(value, classmethod):
            setattr(cls, name, classmethod(answering(value.__func__)))
    return cls


def check_kind(name: str, given: object, wanted: str, *kinds: type) -> None:
    """Raises `ConfigurationError`, which does not show what was ``given``, unless it is of one of these kinds: what
    ``wanted`` says."""
    if not isinstance(given, kinds):
        raise ConfigurationError(f"{name} must be {wanted}, not {type(given).__name__}")


def check_function(function: object, role: str, *given: str) -> None:
    """Raises `ConfigurationError` unless ``function`` can be called with so many arguments: what ``given`` names them.
    ``role`` says what it is for, with its article. A function that does not tell its signature is taken as it is."""
    if not callable(function):
        raise ConfigurationError(f"{role} must be callable, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise ConfigurationError(f"{role} is a plain function, not an async one: nobody would await it")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*given)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        count = f"{len(given)} argument{'s' * (len(given) > 1)}, {' and '.join(given)}" if given else "no argument"
        raise ConfigurationError(f"{role} is called with {count}: {name}{signature} does not take that") from None


def check_session(session: object) -> None:
    """Raises `ConfigurationError` for what is no session, nor looks like one."""
    if not (hasattr(session, "config") and hasattr(session, "on")):
        raise ConfigurationError(f"a session is wanted, as connect() returns one, not {type(session).__name__}")


def unknown(function: Callable[..., object], named: Iterable[str]) -> ConfigurationError:
    """What to raise for arguments of these names, which the function does not have."""
    return ConfigurationError(_unknown(function, named))


def _unknown(function: Callable[..., object], named: Iterable[str]) -> str:
    ours = [p.name for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD]
    ours = [name for name in ours if name not in ("self", "cls")]
    told = [_meant(name, ours) for name in named]
    return f"{_called(function)}() has no argument {'; nor '.join(told)}"


def _has_begun(error: BaseException) -> bool:
    """Whether what was raised comes out of the function, and not from binding its arguments."""
    trace = error.__traceback__
    return not isinstance(error, TypeError) or trace is None or trace.tb_next is not None


def _takes_any(function: Callable[..., object]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _wrong_call(function: Callable[..., object], args: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    if _called(function) in _MADE_BY:
        return f"{_called(function)} is not made by hand: {_MADE_BY[_called(function)]}"
    signature = inspect.signature(function)
    others = [] if _takes_any(function) else [name for name in named if name not in signature.parameters]
    if others:
        return _unknown(function, others)
    try:
        signature.bind(*args, **named)
    except TypeError as error:
        wrong = str(error)
    shown = [p for p in signature.parameters.values() if p.name not in ("self", "cls") and p.kind is not p.VAR_KEYWORD]
    positional = ", ".join(p.name for p in shown if p.kind is not p.KEYWORD_ONLY) or "nothing"
    by_name = ", ".join(p.name for p in shown if p.kind is p.KEYWORD_ONLY)
    takes = f"it takes {positional}{f', and by name {by_name}' if by_name else ''}"
    return f"{_called(function)}(): {wrong}; {takes}"


def _called(function: Callable[..., object]) -> str:
    *_, owner, name = ["", *function.__qualname__.split(".")]
    return owner if name == "__init__" else name


def _meant(name: str, ours: list[str]) -> str:
    """The name that is not ours, with what to write instead."""
    import difflib

    synonyms = [mine for mine in ours if name in _THEIRS.get(mine, "").split()]
    for mine in synonyms or difflib.get_close_matches(name, ours, 1, 0.75):
        return f"{name!r}: it is {mine} here"
    takes = f"{name!r}; it takes {', '.join(ours) or 'none'}"
    options = next((mine for mine in _OPTIONS if mine in ours), None)
    return f"{takes}; options of the model go into {options}={{{name!r}: ...}}" if options else takes
