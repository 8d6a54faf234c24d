"""Tools: Python functions that the model may call. Their type hints and docstrings are what it is told of them."""

from __future__ import annotations

from typing import Annotated, Literal

import realtime_sync as rt
from realtime_sync.local import somewhere
from realtime_sync.tools import Toolset

tools = Toolset()


@tools.tool
def get_weather(
    city: Annotated[str, "The city, in English"], unit: Literal["celsius", "fahrenheit"] = "celsius"
) -> dict[str, object]:
    """The weather in a city right now."""
    print(f"  (looking the weather of {city} up, in degrees {unit})")
    return {"city": city, "sky": "clear", unit: 21 if unit == "celsius" else 70}


@tools.tool(timeout_s=5, approve=lambda call: (False, "The user has to be asked first."))
def delete_files(folder: str) -> str:
    """Delete all files in a folder."""
    raise AssertionError("never called: it was not approved")


with rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]}, tools=tools) as session:
    # Calls are run on threads of their own and answered; ask() returns what the model says in the end.
    print(session.ask("What is the weather in Paris?").text)

    turn = session.respond("Please delete files in Downloads.")
    for piece in turn.text():
        print(piece, end="", flush=True)
    print(f"\n{len(turn.replies)} responses; the first one called {turn.replies[0].tool_calls[0].name}")
