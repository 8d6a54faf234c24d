"""A function call, put together from the events that tell of it: not every server tells all of it with each."""

from __future__ import annotations

from collections import deque
from typing import Final

from realtime_sync.events import FunctionCall, ResponseFunctionCallArgumentsDone
from realtime_sync.events.base import or_none

__all__ = ["Calls", "filled", "same_call"]

_MOST_KEPT: Final = 256


class Calls:
    """The latest calls that were announced, each before its arguments were there."""

    def __init__(self) -> None:
        self._begun: deque[FunctionCall] = deque(maxlen=_MOST_KEPT)

    def begin(self, item: FunctionCall) -> None:
        """A call is announced."""
        self._begun.append(item)

    def told(self, event: ResponseFunctionCallArgumentsDone) -> FunctionCall:
        """The call whose arguments are there: with the name and the id of its announcement, where it says neither."""
        call = FunctionCall(
            id=event.item_id,
            call_id=event.call_id,
            name=event.name,
            arguments=event.arguments,
            extra={name: odd for name, odd in event.extra.items() if name == "arguments"},
        )
        begun = next((known for known in reversed(self._begun) if same_call(known, call)), None)
        return call if begun is None else filled(call, begun)


def same_call(one: FunctionCall, other: FunctionCall) -> bool:
    """Whether both tell of one call: by the id for its answer, else by that of its item."""
    if one.call_id and other.call_id:
        return one.call_id == other.call_id
    return bool(one.id) and one.id == other.id


def filled(call: FunctionCall, earlier: FunctionCall) -> FunctionCall:
    """The call, with what it does not say itself as it was told before."""
    missing = {name: getattr(earlier, name) for name in ("id", "call_id", "name") if getattr(call, name) is None}
    if or_none(call.arguments) is None and "arguments" not in call.extra:  # else they came in another form
        odd = {name: value for name, value in earlier.extra.items() if name == "arguments"}
        missing.update(arguments=earlier.arguments or None, extra={**call.extra, **odd})
    return call.__replace__(**missing) if missing else call
