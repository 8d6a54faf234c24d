"""A tool, by hand: the model asks for a function call, we answer it and let the model go on."""

from __future__ import annotations

import json
from typing import Any

from _where import where

import realtime_sync as rt
from realtime_sync import events

WEATHER = events.FunctionTool(
    name="get_weather",
    description="The weather in a city right now.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def get_weather(city: str) -> dict[str, Any]:
    return {"city": city, "sky": "clear", "celsius": 21}


config = events.RealtimeSessionConfig(output_modalities=["text"], tools=[WEATHER])
with rt.connect("gpt-realtime", **where(), session=config) as session:
    reply = session.ask("What is the weather in Paris?")
    while reply.tool_calls:
        for call in reply.tool_calls:
            print(f"The model calls {call.name}({call.arguments})")
            session.submit_function_output(call.call_id, get_weather(**json.loads(call.arguments)))
        reply = session.ask()  # nothing new to say: go on with the outputs
    print(reply.text)
