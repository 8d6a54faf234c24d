"""Functions that the model may call: from a Python function to what the model is told of it, and from the model's
arguments to the call."""

from __future__ import annotations

import inspect
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar, get_args, get_type_hints, overload

import attrs

from realtime_sync import _limits
from realtime_sync._arguments import answered, check_function
from realtime_sync._unset import UNSET, Unset
from realtime_sync.codec import object_to_dict
from realtime_sync.errors import ConfigurationError, InvalidEvent, RealtimeError
from realtime_sync.events import FunctionTool
from realtime_sync.tools.results import read_arguments
from realtime_sync.tools.schema.docstring import read_docstring
from realtime_sync.tools.schema.shapes import (
    BadArguments,
    Field,
    Shapes,
    hints_of,
    is_documented,
    load_fields,
    object_schema,
)

__all__ = ["Approve", "FunctionSpec", "ToolCall", "ToolContext", "Toolset"]

F = TypeVar("F", bound=Callable[..., Any])
_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@attrs.frozen
class ToolCall:
    """A call that the model asked for. ``arguments`` is JSON text as the model wrote it, which need not be valid;
    ``response_id`` is ``None`` where a compatible server does not say it."""

    name: str
    arguments: str
    call_id: str
    response_id: str | None = None

    @property
    def args(self) -> dict[str, Any]:
        """The arguments as JSON data, a new dict each time. An ``approve`` hook is asked only about arguments that fit
        the tool; elsewhere `BadArguments` is raised for text that is not the JSON of an object."""
        return read_arguments(self.arguments)


@attrs.frozen
class ToolContext:
    """What a tool gets for a parameter that is annotated with this class; the model does not see the parameter.

    ``session`` is the `RealtimeSession` that the call came over: its verbs may be called from the tool's thread.
    ``cancelled`` is set when nobody wants the result any more: the response was cancelled, the call timed out, or the
    session has ended. A tool that takes long looks at it, or waits on it in place of sleeping.
    """

    call: ToolCall
    session: Any
    cancelled: threading.Event


Approve = Callable[[ToolCall], "bool | tuple[bool, str]"]
"""Decides whether a call may run; with a reason for the model, if it likes."""


@attrs.frozen
class FunctionSpec:
    """One tool of a `Toolset`.

    ``parameters`` is the JSON schema of the arguments. ``timeout_s`` is how long a call may take, in seconds; ``None``
    sets no limit, `UNSET` takes the runner's. ``inline`` calls run on the thread that dispatches events. ``approve``
    is asked before each call.
    """

    name: str
    description: str | None
    parameters: dict[str, Any]
    function: Callable[..., Any]
    timeout_s: float | Unset | None
    inline: bool
    approve: Approve | None
    _fields: Mapping[str, Field] | None = attrs.field(repr=False)  # None: the function takes the arguments as they are
    _positional: tuple[str, ...] = attrs.field(repr=False)
    _contexts: tuple[str, ...] = attrs.field(repr=False)
    _strict: bool = attrs.field(repr=False)

    @property
    def definition(self) -> FunctionTool:
        """The tool as the server is told of it."""
        return FunctionTool(name=self.name, description=self.description, parameters=self.parameters)

    def bind(self, arguments: str | Mapping[str, Any], context: ToolContext | None = None) -> Callable[[], Any]:
        """The call with these arguments, JSON text or the data that it stands for, ready to be made.

        Raises `BadArguments` when they do not fit the parameters.
        """
        raw = read_arguments(arguments) if isinstance(arguments, str) else dict(arguments)
        if self._fields is None:
            _check_by_schema(raw, self.parameters)
            return partial(self.function, raw, **dict.fromkeys(self._contexts, context))
        values = load_fields(raw, self._fields, "", strict=self._strict)
        values.update(dict.fromkeys(self._contexts, context))
        # What is positional-only must be given up to the last one, defaults included.
        positional = [values.pop(name) if name in values else self._fields[name].default for name in self._positional]
        return partial(self.function, *positional, **values)


@answered
class Toolset:
    """A collection of functions for the model, to use with any number of sessions.

    ``@toolset.tool`` adds a function: its name, its docstring and its type hints are what the model is told. `add` is
    for a function whose JSON schema is there already. Methods are added bound to their object:
    ``Toolset(cart.put, cart.total)``; a list of functions will do. Another `Toolset` may be given too: its tools, also
    later ones, are in this one.

    All methods may be called from any thread, also while sessions use it: they announce a tool that is added late.
    """

    def __init__(self, *functions: Callable[..., Any] | Toolset | Sequence[Callable[..., Any] | Toolset]) -> None:
        self._lock = threading.Lock()  # guards all below
        self._tools: dict[str, FunctionSpec] = {}
        self._parts: list[Toolset] = []
        self._watchers: list[weakref.WeakMethod[Callable[[], None]]] = []
        for function in _flat(functions):
            if isinstance(function, Toolset):
                for spec in function:
                    if spec.name in self:
                        raise _taken(spec.name)
                self._parts.append(function)
            else:
                self.tool()(function)  # also None is looked at

    @overload
    def tool(
        self,
        function: F,
        *,
        name: str | None = ...,
        description: str | None = ...,
        timeout_s: float | Unset | None = ...,
        strict: bool = ...,
        inline: bool = ...,
        approve: Approve | None = ...,
        replace: bool = ...,
    ) -> F: ...
    @overload
    def tool(
        self,
        function: None = None,
        *,
        name: str | None = ...,
        description: str | None = ...,
        timeout_s: float | Unset | None = ...,
        strict: bool = ...,
        inline: bool = ...,
        approve: Approve | None = ...,
        replace: bool = ...,
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        function: Any = None,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout_s: float | Unset | None = UNSET,
        strict: bool = True,
        inline: bool = False,
        approve: Approve | None = None,
        replace: bool = False,
    ) -> Any:
        """Add a function, which stays as it is: as a decorator with or without options, or called with the function.

        ``name`` and ``description`` (else the function's name and the prose of its docstring) are for the model.
        ``timeout_s`` limits a call, in seconds; ``None`` does not. ``strict`` refuses arguments that the function does
        not have; else they are dropped. ``inline`` runs calls on the thread that dispatches events, which they block.
        ``approve`` is asked before each call, with the `ToolCall`. ``replace=True`` takes the place of the tool of this
        name, if there is one: of the earlier definition when a cell of a notebook is run again.

        Raises `ConfigurationError` for a function whose parameters JSON cannot express, for impossible options, and
        for a bad name or one that is taken; where sessions use the toolset already, also what their `update_session`
        raises: the tool is there then, but not all servers know of it.
        """

        def add(given: Any) -> Any:
            self._put(_spec(given, name, description, timeout_s, strict, inline, approve), replace=replace)
            return given

        return add if function is None else add(function)

    def add(
        self,
        name: str,
        description: str | None,
        parameters: Mapping[str, Any],
        function: Callable[..., Any],
        *,
        timeout_s: float | Unset | None = UNSET,
        inline: bool = False,
        approve: Approve | None = None,
        replace: bool = False,
    ) -> None:
        """Add a tool whose JSON schema is there already: from another framework, or from an MCP client of your own.

        ``parameters`` is the schema of an object; ``None`` for ``description`` gives none. ``function`` is called with
        one argument, the dict of the model's arguments as JSON data (``lambda arguments: mcp.call(name, arguments)``),
        and needs no type hints; a further parameter that is annotated with `ToolContext` gets the context. What it
        returns is written as for any tool. Names that the schema requires, or with ``additionalProperties: false``
        does not know, are checked; what else the schema demands is for the function to check: a `BadArguments` that it
        raises tells the model. The options are those of `tool`.

        Raises `ConfigurationError` for a schema that is not of an object or not JSON, and as `tool` does.
        """
        _check_function(name, function)
        _check_options(name, description, approve)
        contexts = _contexts_of(function)
        called = partial(function, **dict.fromkeys(contexts)) if contexts else function
        check_function(called, f"the function of tool {name}", "the arguments")
        self._put(
            FunctionSpec(
                name=name,
                description=None if description is None else inspect.cleandoc(description),
                parameters=_checked_schema(name, parameters),
                function=function,
                timeout_s=_limit(name, timeout_s),
                inline=inline,
                approve=approve,
                fields=None,
                positional=(),
                contexts=contexts,
                strict=False,
            ),
            replace=replace,
        )

    def _put(self, spec: FunctionSpec, *, replace: bool) -> None:
        with self._lock:
            if not replace and any(spec.name == known.name for known in self._specs_locked()):
                raise _taken(spec.name)
            self._tools[spec.name] = spec
            watchers = list(self._watchers)
        failures: list[RealtimeError] = []
        for watcher in watchers:  # without the lock: they look at this toolset, and send
            tell = watcher()
            try:
                if tell is not None:
                    tell()
            except RealtimeError as error:
                failures.append(error)  # the other sessions are to hear of it all the same
        if failures:
            raise failures[0]

    def _watch(self, watcher: weakref.WeakMethod[Callable[[], None]]) -> None:
        """Call ``watcher`` after a tool was added or replaced, here or in a part, as long as its object lives."""
        with self._lock:
            self._watchers = [known for known in self._watchers if known() is not None and known != watcher]
            self._watchers.append(watcher)
        for part in self._parts:
            part._watch(watcher)

    def _unwatch(self, watcher: weakref.WeakMethod[Callable[[], None]]) -> None:
        with self._lock:
            self._watchers = [known for known in self._watchers if known != watcher]
        for part in self._parts:
            part._unwatch(watcher)

    def _specs_locked(self) -> list[FunctionSpec]:
        # A name that is here too is hidden: it came into a part later, or was replaced here.
        found = dict(self._tools)
        for part in self._parts:
            for spec in part:
                found.setdefault(spec.name, spec)
        return list(found.values())

    @property
    def definitions(self) -> list[FunctionTool]:
        """The tools as the server is told of them, for the ``tools`` of a session or a response."""
        return [spec.definition for spec in self]

    def get(self, name: str) -> FunctionSpec | None:
        """The tool of this name, if there is one."""
        return next((spec for spec in self if spec.name == name), None)

    def __iter__(self) -> Iterator[FunctionSpec]:
        with self._lock:
            return iter(self._specs_locked())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(spec.name == name for spec in self)

    def __repr__(self) -> str:
        return f"<Toolset: {', '.join(spec.name for spec in self) or 'empty'}>"


def _flat(functions: Iterable[Any]) -> Iterator[Any]:
    for function in functions:
        if isinstance(function, (list, tuple)):
            yield from function
        else:
            yield function


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(f"there is a tool {name!r} already; tool(..., replace=True) puts another in its place")


def _checked_schema(name: str, parameters: Any) -> dict[str, Any]:
    """A copy of a ready schema."""
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        raise ConfigurationError(
            f'tool {name}: parameters must be the JSON schema of an object, {{"type": "object", "properties": ...}}'
        )
    try:
        return object_to_dict(parameters)
    except InvalidEvent as error:
        raise ConfigurationError(f"tool {name}: the schema is no JSON: {error}") from error


def _check_by_schema(arguments: dict[str, Any], schema: Mapping[str, Any]) -> None:
    required, known = schema.get("required"), schema.get("properties")
    for name in required if isinstance(required, list) else ():
        if name not in arguments:
            raise BadArguments(f"{name} is missing")
    if schema.get("additionalProperties") is False and isinstance(known, dict):
        for name in arguments:
            if name not in known:
                raise BadArguments(f"{name} is unknown; known are {', '.join(known)}")


def _contexts_of(function: Any) -> tuple[str, ...]:
    """The parameters of a function with a ready schema that want the context."""
    try:
        hints = get_type_hints(_implementation(function))
    except Exception:  # it needs no hints, so those that it has need not be right
        return ()
    return tuple(name for name, hint in hints.items() if hint is ToolContext or ToolContext in get_args(hint))


def _implementation(function: Any) -> Any:
    """The function that has the annotations."""
    if isinstance(function, partial):
        return _implementation(function.func)
    if isinstance(function, type):
        return function.__init__  # type: ignore[misc]
    return function if inspect.isroutine(function) else function.__call__


def _parameters(function: Any, where: str) -> list[inspect.Parameter]:
    """The parameters that are left to the model: not those that a partial has given already."""
    try:
        parameters = inspect.signature(function).parameters
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from error
    given = function.keywords if isinstance(function, partial) else {}
    return [parameter for name, parameter in parameters.items() if name not in given]


def _check_options(name: str, description: object, approve: object) -> None:
    if not (description is None or isinstance(description, str)):
        raise ConfigurationError(f"tool {name}: the description must be text, or None; not {description!r}")
    if approve is not None:
        check_function(approve, f"tool {name}: approve", "the call")


def _limit(name: str, timeout_s: object) -> float | Unset | None:
    if isinstance(timeout_s, Unset):
        return timeout_s
    return _limits.seconds(f"tool {name}: timeout_s", timeout_s, optional=True)


def _check_function(name: Any, function: Any) -> None:
    """Refuse what cannot be a tool, and say what can."""
    if isinstance(function, (classmethod, staticmethod)):
        raise ConfigurationError(
            f"tool {function.__func__.__name__} is decorated inside its class: add it from outside,"
            f" toolset.tool(TheClass.{function.__func__.__name__})"
        )
    if not callable(function):
        kind = type(function).__name__
        way_out = "of an object with methods add the methods, bound: toolset.tool(thing.method)"
        if isinstance(function, Mapping):
            way_out = (
                "for a ready JSON schema there is toolset.add(name, description, parameters, function), for a hosted"
                ' tool the configuration: session={"tools": [...]}'
            )
        raise ConfigurationError(f"{f'tool {name}: ' if name else ''}{kind} cannot be called; {way_out}")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise ConfigurationError(
            f"a tool cannot be called {name!r}: give it a name of 1 to 64 letters, digits, underscores and hyphens,"
            " toolset.tool(function, name='look_up')"
        )
    where = f"tool {name}"
    inner = _implementation(function)
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise ConfigurationError(
            f"{where} is async; tools are plain functions, which run on threads of their own: wrap it in one,"
            f" def {name}(...): return asyncio.run(async_{name}(...))"
        )


def _no_hint(place: str, parameter: inspect.Parameter, function: Any, *, first: bool) -> ConfigurationError:
    name = getattr(function, "__name__", "")
    if first and parameter.name in ("self", "cls"):
        return ConfigurationError(
            f"{place} has no type hint: this is a method of no object yet; add it bound to one, after the object is"
            f" made: toolset.tool(thing.{name})"
        )
    return ConfigurationError(f"{place} has no type hint: annotate it, e.g. `{parameter.name}: str`")


def _spec(
    function: Any,
    name: str | None,
    description: str | None,
    timeout_s: float | Unset | None,
    strict: bool,
    inline: bool,
    approve: Approve | None,
) -> FunctionSpec:
    name = name if name is not None else getattr(function, "__name__", "")
    _check_function(name, function)
    _check_options(name, description, approve)
    where = f"tool {name}"
    inner = _implementation(function)
    documented = read_docstring(inspect.getdoc(function))
    shapes = Shapes(strict=strict)
    hints = hints_of(inner, where)
    fields: dict[str, Field] = {}
    positional: list[str] = []
    contexts: list[str] = []
    for number, parameter in enumerate(_parameters(function, where)):
        place = f"{where}, parameter {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(f"{place}: * and ** cannot be expressed; name every parameter")
        if parameter.name not in hints:
            raise _no_hint(place, parameter, function, first=number == 0)
        hint = hints[parameter.name]
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(parameter.name)
        if hint is ToolContext or ToolContext in get_args(hint):
            contexts.append(parameter.name)
            continue
        fields[parameter.name] = Field(
            parameter.name,
            shapes.of(hint, place),
            parameter.default is parameter.empty,
            None if is_documented(hint) else documented.arguments.get(parameter.name),
            parameter.default,
        )
    schema = object_schema(fields.values(), strict=strict)
    return FunctionSpec(
        name=name,
        description=documented.summary or None if description is None else inspect.cleandoc(description),
        parameters={**schema, "$defs": shapes.definitions} if shapes.definitions else schema,
        function=function,
        timeout_s=_limit(name, timeout_s),
        inline=inline,
        approve=approve,
        fields=fields,
        positional=tuple(positional),
        contexts=tuple(contexts),
        strict=strict,
    )
