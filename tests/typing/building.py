"""A user's events and configurations: what a type checker knows of them."""

from __future__ import annotations

from typing_extensions import reveal_type

import realtime_sync as rt
from realtime_sync import events

config = events.RealtimeSessionConfig(
    instructions="Be brief.",
    audio=events.AudioConfig(
        input=events.AudioInput(turn_detection=None, noise_reduction=events.NoiseReduction(type="near_field")),
        output=events.AudioOutput(voice="marin"),
    ),
    tools=[events.FunctionTool(name="clock", parameters={"type": "object"})],
    tool_choice="auto",
    tracing=rt.UNSET,
)
events.SessionUpdate(session=config)
events.InputAudioBufferAppend(audio="AAA=")
events.InputAudioBufferAppend()  # E: call-arg  # P: reportCallIssue
events.InputAudioBufferAppend("AAA=")  # E: arg-type call-arg call-arg  # P: reportCallIssue
events.InputAudioBufferAppend(audio=b"AAA=")  # E: arg-type  # P: reportArgumentType
events.ConversationItemCreate(item=events.UserMessage(content=[events.InputText(text="hi")]))
events.ConversationItemCreate(item=events.InputText(text="hi"))  # E: arg-type  # P: reportArgumentType
events.AudioInput(format=rt.UNSET)  # E: arg-type  # P: reportArgumentType
config.instruction = "x"  # E: attr-defined  # P: reportAttributeAccessIssue

reveal_type(config.audio)  # R: realtime_sync.events.config.AudioConfig | None
reveal_type(events.ServerVad().idle_timeout_ms)  # R: int | realtime_sync._unset.Unset | None
reveal_type(events.CLIENT_EVENTS["response.create"])  # R: type[realtime_sync.events.base.ClientEvent]
events.CLIENT_EVENTS["response.create"] = events.ResponseCreate  # E: index  # P: reportIndexIssue
reveal_type(events.ClientEventType.RESPONSE_CREATE.value)  # R: Literal['response.create']
reveal_type(rt.encode_event({"type": "response.create"}))  # R: str
reveal_type(rt.event_to_dict(events.ResponseCreate()))  # R: dict[str, Any]
rt.encode_event("response.create")  # E: arg-type  # P: reportArgumentType


def walk(event: events.ServerEvent) -> None:
    if isinstance(event, events.ResponseDone):
        for item in event.response.output:
            if isinstance(item, events.FunctionCall):
                reveal_type(item.arguments)  # R: str
            elif isinstance(item, events.AssistantMessage):
                for part in item.content:
                    if isinstance(part, events.OutputAudio):
                        reveal_type(part.transcript)  # R: str | None
    elif isinstance(event, events.ResponseOutputAudioDelta):
        reveal_type(event.delta_bytes)  # R: bytes
