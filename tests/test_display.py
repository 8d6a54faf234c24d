"""What a notebook shows: well-formed HTML, with nothing of the content taken for markup."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import realtime_sync as rt
from realtime_sync.audio import read_wav
from realtime_sync.local import Failure, LocalServer, Reply, ToolCall, Turn

NASTY = "<script>alert('x')</script> & \"quoted\" \n second line"
SPEECH = Path(__file__).parent.parent / "examples" / "speech.wav"


class Checker(HTMLParser):
    """Finds what is opened and not closed, and what is not among the plain elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(html: str) -> str:
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert checker.seen <= {"div", "b", "audio", "table", "thead", "tbody", "tr", "th", "td"}
    return checker.text


TEXT = {"output_modalities": ["text"]}


@contextmanager
def opened(replies: Any, config: Any = TEXT, **more: Any) -> Iterator[rt.RealtimeSession]:
    with (
        LocalServer(replies, **more) as server,
        rt.connect("gpt-realtime", base_url=server.base_url, session=config) as made,
    ):
        yield made


def test_a_reply_shows_text_and_usage() -> None:
    with opened([NASTY]) as session:
        reply = session.ask("hi")
        shown = text_of(reply._repr_html_())
        assert NASTY in shown
        assert "completed" in shown
        assert f"{reply.usage.output_tokens} out" in shown  # type: ignore[union-attr]
        assert "<audio" not in reply._repr_html_()


def test_a_spoken_reply_has_a_player_that_plays_it() -> None:
    config = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    with opened(["It is sunny."], config, transcripts=["What is it like?"]) as session:
        reply = session.ask(audio=SPEECH, heard=True)
        html = reply._repr_html_()
        assert "You: What is it like?" in text_of(html)
        source = re.search(r'src="data:audio/wav;base64,([^"]+)"', html)
        assert source is not None
        assert read_wav(base64.b64decode(source[1])) == reply.audio
        assert "user" in text_of(session.conversation._repr_html_())


def test_what_has_failed_or_calls_a_tool_says_so() -> None:
    replies = [Reply("half", failure=Failure("no", code="overloaded")), Reply(tool_calls=[ToolCall("f", {"a": 1})])]
    with opened(replies) as session:
        assert "failed" in text_of(session.ask("x", check=False)._repr_html_())
        assert 'f({"a":' in text_of(session.ask("x")._repr_html_())
        assert "f(" in text_of(session.conversation._repr_html_())


def test_conversation_usage_and_session(capsys: pytest.CaptureFixture[str]) -> None:
    def reply(turn: Turn) -> str:
        return NASTY

    with opened(reply) as session:
        assert "no items yet" in text_of(session.conversation._repr_html_())
        session.on("*", lambda event: None)
        turn = session.respond(NASTY)
        assert "asked" in text_of(turn._repr_html_())
        assert "asked" in repr(turn)
        turn.result()
        chat = text_of(session.conversation._repr_html_())
        assert chat.count(NASTY) == 2
        assert text_of(session.conversation.snapshot()._repr_html_()) == chat
        assert f"{session.usage.total.total_tokens:,}" in text_of(session.usage._repr_html_()) + text_of(
            session._repr_html_()
        )
        shown = text_of(session._repr_html_())
        assert "open" in shown
        assert str(session.id) in shown
        session.close()
        assert "closed" in text_of(session._repr_html_())


def test_a_sound_that_is_too_long_is_told_by_its_size() -> None:
    from realtime_sync.state.display import player

    assert "audio controls" in player(bytes(1000))
    assert "<audio" not in player(bytes(9 * 2**20))
    assert "9 MiB" in player(bytes(9 * 2**20))
