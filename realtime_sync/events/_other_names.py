"""What the official SDK calls things, and what they are called here: for the text of an `AttributeError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["OF_CONVERSATIONS", "OF_EVENTS", "OF_SESSIONS", "no_attribute"]

OF_EVENTS: Final = dict.fromkeys(
    ("model_dump", "to_dict", "dict"), "realtime_sync.event_to_dict(event) is the event as JSON data"
) | dict.fromkeys(("model_dump_json", "to_json", "json"), "realtime_sync.encode_event(event) is the event as JSON text")

OF_CONVERSATIONS: Final = {
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
}


def no_attribute(owner: object, name: str, known: Mapping[str, str]) -> AttributeError:
    """What ``owner.name`` raises, with our own name for it in its text where there is one."""
    told: Any = known.get(name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}{f': {told}' if told else ''}"
    return AttributeError(text, name=name, obj=owner)
