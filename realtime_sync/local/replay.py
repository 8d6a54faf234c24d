"""The server's part of a recorded talk, played to a client that is checked against the recording."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from realtime_sync._deadline import Deadline
from realtime_sync.local.checks import Refusal
from realtime_sync.local.outbox import Outbox
from realtime_sync.local.passive import Passive
from realtime_sync.recording.message import Close, Message, audio_length, is_hidden, is_same_text, restored, strings_of

__all__ = ["Replay", "ReplayDifference", "Talk"]

JsonObject = dict[str, Any]
_APPENDS: Final = frozenset({"input_audio_buffer.append", "session.input_audio_buffer.append"})
_NOT_SENT: Final = (1005, 1006, 1015)
"""Codes that stand for a connection without a close frame."""
_NAMED_BY_THE_USER: Final = ("prompt.id", "voice.id")


class ReplayDifference(AssertionError):
    """A client did not send what the recording has. The message names the first difference."""


class Talk:
    """One connection of a recording, made ready to be played.

    ``expected`` are the client's events but its audio, in order. ``steps`` are the server's messages, each with what it
    waits for: so many of those events, and so many characters of audio. ``close`` is how the server ended it, if that
    was written down.
    """

    def __init__(self, messages: list[Message], close: Close | None = None) -> None:
        self.close = close if close is not None and close.direction == "to_client" else None
        self.expected: list[JsonObject | str] = []
        self.steps: list[tuple[Message, int, int]] = []
        self.server_ids: set[str] = set()
        client_ids: set[str] = set()
        audio = 0
        for message in messages:
            ids = {text for name, text in strings_of(message.event) if _is_id(name)}
            if message.direction == "to_client":
                self.server_ids |= ids - client_ids
                self.steps.append((message, len(self.expected), audio))
                continue
            client_ids |= ids - self.server_ids
            if isinstance(message.event, dict) and message.type in _APPENDS:
                audio += audio_length(str(message.event.get("audio") or ""))
            else:
                self.expected.append(message.event)
        self.audio = audio


class Replay(Passive):
    """One connection that plays a `Talk`: what a session is to a server that thinks for itself.

    Each message of the server is sent once the client has sent what came before it in the recording; ``speed`` paces
    them at so many times the recorded speed, ``None`` sends them at once. Ids that the client makes up may be others
    than the recorded ones, as long as they are used alike. Audio counts by its length only. The first difference ends
    the connection with code 4000 and is kept in ``server.failures``.
    """

    def __init__(
        self,
        talk: Talk,
        outbox: Outbox,
        failed: Callable[[BaseException], None],
        speed: float | None,
        cut: Callable[[], None],
    ) -> None:
        self._talk = talk
        self._outbox = outbox
        self._keep_failure = failed
        self._speed = speed
        self._cut = cut
        # Guards all below; notified of every change.
        self._changed = threading.Condition()
        self._matched = 0
        self._audio = 0
        self._ids: dict[str, str] = {}
        self._ended = False
        self._failed = False
        name = f"{threading.current_thread().name}-replay"
        self._thread = threading.Thread(target=self._play, name=name, daemon=True)

    def open(self) -> None:
        """Begin to play."""
        self._thread.start()

    def receive(self, raw: JsonObject | Refusal, frame: str | bytes) -> None:
        """Compare one message of the client with the recording."""
        with self._changed:
            if self._failed:
                return
            if isinstance(raw, dict) and raw.get("type") in _APPENDS:
                self._audio += len(str(raw.get("audio") or ""))
            else:
                told = raw if isinstance(raw, dict) else frame if isinstance(frame, str) else repr(frame)
                difference = self._difference(told)
                if difference is not None:
                    self._fail(difference)
                    return
                self._matched += 1
            self._changed.notify_all()

    def end(self) -> list[threading.Thread]:
        """The connection is gone; the thread that has yet to notice."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            left = self._talk.expected[self._matched :]
            if left and not self._failed:
                self._failed = True
                self._keep_failure(ReplayDifference(f"the client left before it sent {_named(left[0])}"))
        return [self._thread] if self._thread.is_alive() else []

    def _play(self) -> None:
        before_s = 0.0
        for message, events, audio in self._talk.steps:
            with self._changed:
                if not self._comes_to_locked(events, audio, message.at_s - before_s):
                    return
                before_s = message.at_s
                self._outbox.put(self._translated(message))
        close = self._talk.close
        if close is None:
            return
        with self._changed:
            ends = self._comes_to_locked(len(self._talk.expected), self._talk.audio, close.at_s - before_s)
        if ends and close.code in _NOT_SENT:
            self._outbox.wait_until_sent()
            self._cut()
        elif ends:
            self._outbox.close(close.code, close.reason)

    def _comes_to_locked(self, events: int, audio: int, pause_s: float) -> bool:
        """Wait until the client has sent so much and the time has passed; False when it is all over before."""
        self._changed.wait_for(
            lambda: self._ended or self._failed or (self._matched >= events and self._audio >= audio)
        )
        if self._speed is not None:
            pause = Deadline(max(0.0, pause_s) / self._speed)
            self._changed.wait_for(lambda: self._ended or self._failed, pause.remaining())
        return not (self._ended or self._failed)

    def _translated(self, message: Message) -> str:
        """A message of the recording with the ids that this client made up."""
        if not isinstance(message.event, dict):
            return message.event
        return json.dumps(_with_ids(restored(message.event), self._ids), ensure_ascii=False, separators=(",", ":"))

    def _difference(self, sent: JsonObject | str) -> str | None:
        if self._matched >= len(self._talk.expected):
            return f"{_named(sent)} comes after the end of the recording"
        recorded = self._talk.expected[self._matched]
        where = f"event {self._matched + 1}, {_named(recorded)}"
        if not isinstance(recorded, dict) or not isinstance(sent, dict) or recorded.get("type") != sent.get("type"):
            return None if recorded == sent else f"{where}: {_named(sent)} was sent"
        found = self._compare(recorded, sent, "", "")
        return None if found is None else f"{where}: {found}"

    def _compare(self, recorded: Any, sent: Any, path: str, name: str) -> str | None:
        """The first difference, in words."""
        if is_hidden(recorded) or is_same_text(recorded, sent):
            return None
        if isinstance(recorded, dict) and isinstance(sent, dict):
            # An id that the one client gave and the other did not is no difference.
            optional = {"event_id"} if not path else {"id"} if path == "item" else set()
            for key in dict.fromkeys((*recorded, *sent)):
                below = f"{path}.{key}" if path else key
                if key not in sent or key not in recorded:
                    if key in optional:
                        continue
                    return f"{below} is missing" if key not in sent else f"{below} is not in the recording"
                found = self._compare(recorded[key], sent[key], below, key)
                if found is not None:
                    return found
            return None
        if isinstance(recorded, list) and isinstance(sent, list):
            if len(recorded) != len(sent):
                return f"{path} has {len(sent)} entries, recorded were {len(recorded)}"
            found_all = (
                self._compare(a, b, f"{path}[{i}]", name) for i, (a, b) in enumerate(zip(recorded, sent, strict=True))
            )
            return next((found for found in found_all if found is not None), None)
        chosen = path.endswith(_NAMED_BY_THE_USER)
        if _is_id(name) and not chosen and isinstance(recorded, str) and isinstance(sent, str):
            return self._compare_ids(recorded, sent, path)
        if recorded == sent and isinstance(recorded, bool) == isinstance(sent, bool):
            return None
        return f"{path} is {_short(sent)}, recorded was {_short(recorded)}"

    def _compare_ids(self, recorded: str, sent: str, path: str) -> str | None:
        if recorded not in self._talk.server_ids and recorded not in self._ids:
            if sent in self._ids.values():
                return f"{path} is {_short(sent)} once more, recorded was another one: {_short(recorded)}"
            self._ids[recorded] = sent
        known = self._ids.get(recorded, recorded)
        return None if known == sent else f"{path} is {_short(sent)}, expected was {_short(known)}"

    def _fail(self, difference: str) -> None:
        self._failed = True
        self._keep_failure(ReplayDifference(difference))
        error = Refusal("replay_difference", difference).shown(None)
        self._outbox.put(json.dumps({"type": "error", "event_id": "event_replay", "error": error}))
        self._outbox.close(4000, "replay_difference")
        self._changed.notify_all()


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def _named(event: JsonObject | str) -> str:
    return str(event.get("type")) if isinstance(event, dict) else _short(event)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def _with_ids(value: Any, ids: Mapping[str, str], name: str = "") -> Any:
    if isinstance(value, str):
        return ids.get(value, value) if _is_id(name) else value
    if isinstance(value, dict):
        return {key: _with_ids(entry, ids, key) for key, entry in value.items()}
    return [_with_ids(entry, ids, name) for entry in value] if isinstance(value, list) else value
