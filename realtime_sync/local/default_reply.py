"""What the server says when nobody told it what to say: it repeats what it heard, and calls a tool it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from realtime_sync.local.arguments import arguments_for
from realtime_sync.local.script import Output, ToolCall, Turn

__all__ = ["default_reply"]


def default_reply(turn: Turn) -> Output:
    """A reply that follows from the turn alone.

    A tool is called when the text mentions its name (or ``tool_choice`` asks for one), once: its output is told in the
    response after that. Otherwise the last user text is repeated.
    """
    outputs = turn.tool_outputs
    if outputs:
        return "The tool says: " + "; ".join(str(item["output"]) for item in outputs)
    text = turn.text
    tool = _wanted_tool(turn, text)
    if tool is not None:
        return ToolCall(tool["name"], arguments_for(tool.get("parameters") or {}, text))
    return f"You said: {text}" if text else "Hello! What can I do for you?"


def _wanted_tool(turn: Turn, text: str) -> Mapping[str, Any] | None:
    choice = turn.response["tool_choice"]
    tools = [tool for tool in turn.response["tools"] if tool["type"] == "function"]
    if choice == "none" or not tools:
        return None
    if isinstance(choice, dict):
        return next((tool for tool in tools if tool["name"] == choice.get("name")), None)
    words = set(_words(text))
    mentioned = next((tool for tool in tools if _topic(tool["name"]) <= words), None)
    return mentioned or (tools[0] if choice == "required" else None)


_FILLERS = frozenset({"get", "set", "the", "a", "current", "do", "make"})


def _topic(name: str) -> set[str]:
    """The words of a tool's name that a text has to hold to mean it."""
    words = set(_words(name))
    return words - _FILLERS or words


def _words(text: str) -> list[str]:
    """Words in lower case; ``getWeather`` and ``get_weather`` are two words each."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", " ", text).lower().split()
