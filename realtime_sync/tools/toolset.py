"""Functions that the model may call: from a Python function to what the model is told of it, and from the model's
arguments to the call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, overload

import attrs

from realtime_sync._unset import UNSET, Unset
from realtime_sync.errors import ConfigurationError
from realtime_sync.events import FunctionTool
from realtime_sync.tools.schema.docstring import read_docstring
from realtime_sync.tools.results import read_arguments
from realtime_sync.tools.schema.shapes import Field, Shapes, hints_of, is_documented, load_fields, object_schema

if TYPE_CHECKING:
    import threading

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
    _fields: Mapping[str, Field] = attrs.field(repr=False)
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
        values = load_fields(raw, self._fields, "", strict=self._strict)
        values.update(dict.fromkeys(self._contexts, context))
        # What is positional-only must be given up to the last one, defaults included.
        positional = [values.pop(name) if name in values else self._fields[name].default for name in self._positional]
        return partial(self.function, *positional, **values)


class Toolset:
    """A collection of functions for the model, to use with any number of sessions.

    ``@toolset.tool`` adds a function. Its name, its docstring and its type hints are what the model is told. Any
    thread may add tools; a session tells the server of those that are there when it announces them.
    """

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._tools: dict[str, FunctionSpec] = {}
        for function in functions:
            self.tool(function)

    @overload
    def tool(self, function: F) -> F: ...
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
    ) -> Any:
        """Add a function, which stays as it is: as a decorator with or without options, or called with the function.

        ``name`` and ``description`` (else the function's name and the prose of its docstring) are for the model.
        ``timeout_s`` limits a call, in seconds; ``None`` does not. ``strict`` refuses arguments that the function does
        not have; else they are dropped. ``inline`` runs calls on the thread that dispatches events, which they block.
        ``approve`` is asked before each call, with the `ToolCall`.

        Raises `ConfigurationError` for a function whose parameters JSON cannot express, and for a bad name or one that
        is taken.
        """
        if function is None:
            return lambda given: self.tool(
                given,
                name=name,
                description=description,
                timeout_s=timeout_s,
                strict=strict,
                inline=inline,
                approve=approve,
            )
        spec = _spec(function, name, description, timeout_s, strict, inline, approve)
        if spec.name in self._tools:
            raise ConfigurationError(f"there is a tool {spec.name!r} already")
        self._tools[spec.name] = spec
        return function

    @property
    def definitions(self) -> list[FunctionTool]:
        """The tools as the server is told of them, for the ``tools`` of a session or a response."""
        return [spec.definition for spec in self]

    def get(self, name: str) -> FunctionSpec | None:
        """The tool of this name, if there is one."""
        return self._tools.get(name)

    def __iter__(self) -> Iterator[FunctionSpec]:
        return iter(list(self._tools.values()))

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __repr__(self) -> str:
        return f"<Toolset: {', '.join(self._tools) or 'empty'}>"


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
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"a tool cannot be called {name!r}: give it a name of 1 to 64 letters, digits, underscores and hyphens"
        )
    where = f"tool {name}"
    if not callable(function):
        raise ConfigurationError(f"{where}: {function!r} cannot be called")
    inner = _implementation(function)
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        raise ConfigurationError(f"{where} is async; tools are plain functions, which run on threads of their own")
    if isinstance(timeout_s, (int, float)) and not timeout_s > 0:
        raise ConfigurationError(f"{where}: timeout_s must be above 0; None is no limit")
    documented = read_docstring(inspect.getdoc(function))
    shapes = Shapes(strict=strict)
    hints = hints_of(inner, where)
    fields: dict[str, Field] = {}
    positional: list[str] = []
    contexts: list[str] = []
    for parameter in _parameters(function, where):
        place = f"{where}, parameter {parameter.name}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(f"{place}: * and ** cannot be expressed; name every parameter")
        if parameter.name not in hints:
            raise ConfigurationError(f"{place} has no type hint")
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
        timeout_s=timeout_s,
        inline=inline,
        approve=approve,
        fields=fields,
        positional=tuple(positional),
        contexts=tuple(contexts),
        strict=strict,
    )
