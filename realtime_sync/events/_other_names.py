"""What the official SDK calls things, and what they are called here: for the text of an `AttributeError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = [
    "OF_ACKS",
    "OF_CONFIGURATIONS",
    "OF_CONVERSATIONS",
    "OF_EVENTS",
    "OF_REPLIES",
    "OF_SESSIONS",
    "OF_TURNS",
    "OF_USAGE",
    "missing",
    "no_attribute",
]

OF_EVENTS: Final = dict.fromkeys(
    ("model_dump", "to_dict", "dict"), "realtime_sync.event_to_dict(event) is the event as JSON data"
) | dict.fromkeys(("model_dump_json", "to_json", "json"), "realtime_sync.encode_event(event) is the event as JSON text")

OF_CONFIGURATIONS: Final[Mapping[str, str]] = {
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "modalities": "output_modalities",
    "turn_detection": "audio.input.turn_detection",
    "input_audio_format": 'audio.input.format, {"type": "audio/pcm", "rate": 24000} for "pcm16"',
    "output_audio_format": 'audio.output.format, {"type": "audio/pcm", "rate": 24000} for "pcm16"',
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "max_response_output_tokens": "max_output_tokens",
    "temperature": "",
}
"""Names of the preview's configuration, and the place of the same today; empty for what is gone."""

OF_REPLIES: Final = dict.fromkeys(
    ("content", "message", "output_text", "output"), "text is what was written, transcript what was said"
) | {"output_audio": "audio is the sound as bytes, wav a whole WAV file"}

OF_TURNS: Final = dict.fromkeys(("wait", "get", "join"), "result() waits for the reply") | {
    "done": "reply.done says so",
    "stop": "cancel() stops it",
}

OF_ACKS: Final = dict.fromkeys(("wait", "get", "join"), "result() waits for the confirmation")

OF_USAGE: Final = dict.fromkeys(
    ("total_tokens", "input_tokens", "output_tokens", "input", "output"), "total has the tokens: total.total_tokens"
)

OF_CONVERSATIONS: Final = dict.fromkeys(("messages", "entries", "history"), "iterate it for its entries") | {
    "item": (
        "the verbs are those of the session: create_item(item) and send_text(text) send conversation.item.create,"
        " and there are delete_item(), retrieve_item() and truncate_item()"
    )
}

OF_SESSIONS: Final = {
    "response": (
        "create_response(config) sends response.create, cancel_response() response.cancel; ask(text) and respond(text)"
        " are whole turns"
    ),
    "session": "update_session(config) sends session.update, with the configuration itself",
    "transcription_session": "update_session(config) sends the update of a transcription session too",
    "input_audio_buffer": (
        "append_audio_bytes(pcm) and append_audio(base64) send input_audio_buffer.append, commit_audio() and"
        " clear_audio() the others"
    ),
    "output_audio_buffer": "clear_output_audio() sends output_audio_buffer.clear",
    "dispatch_events": "run() dispatches to the handlers until stop(), poll() what has arrived",
    "recv_bytes": "add_tap(tap) shows each frame as it is on the wire, recv() gives events",
    "parse_event": "realtime_sync.decode_server_event(frame) makes an event of a frame",
    "send_raw": "send(event) takes any event, also as a mapping",
    "send_audio": "append_audio_bytes(pcm) sends audio, ask(audio=...) a whole turn of it",
    "add_tool": "tool(function) offers a function, use_tools(toolset) several",
    "model": "config.model is the model",
    "voice": "config.audio.output.voice is the voice",
    "add_handler": "on(key, handler) adds a handler",
    "remove_handler": "off(key, handler) takes a handler back",
    "cancel": "cancel_response() stops the response, interrupt() also the player",
    "wait": "wait_for(key) waits for an event, recv() for the next one; realtime_sync.wait([...]) for several sessions",
    "listen": "run() dispatches to the handlers until stop(), recv() returns the next event",
    **dict.fromkeys(
        ("send_message", "say", "chat"), "ask(text) and respond(text) are whole turns, send_text(text) adds a message"
    ),
    **dict.fromkeys(("messages", "history", "items"), "conversation has the items, with their text"),
    **dict.fromkeys(("is_open", "is_connected", "connected", "is_closed"), "closed says so"),
    **dict.fromkeys(("disconnect", "shutdown", "aclose", "end"), "close() ends it"),
    **dict.fromkeys(("events", "stream"), "iterate the session itself, or a turn: for event in session"),
}


def missing(known: Mapping[str, str]) -> Callable[[object, str], Any]:
    """A ``__getattr__`` that answers the names of ``known``."""

    def __getattr__(owner: object, name: str) -> Any:
        raise no_attribute(owner, name, known)

    return __getattr__


def no_attribute(owner: object, name: str, known: Mapping[str, str]) -> AttributeError:
    """What ``owner.name`` raises, with our own name for it in its text where there is one."""
    told: Any = known.get(name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}{f': {told}' if told else ''}"
    return AttributeError(text, name=name, obj=owner)
