"""How things look in a notebook: HTML that needs no script and no style sheet, in light and in dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import Any, Final

__all__ = ["chat", "panel", "player", "table", "usage"]

_BOX: Final = "font-family:system-ui,sans-serif;line-height:1.45;max-width:46em"
_SMALL: Final = "font-size:.82em;opacity:.7"
_TEXT: Final = "white-space:pre-wrap;overflow-wrap:anywhere"
_CELL: Final = "padding:.15em .8em .15em 0;border-bottom:1px solid rgba(128,128,128,.35)"
_COLOURS: Final = {"user": "rgba(60,120,240,.16)", "assistant": "rgba(128,128,128,.16)"}
_MOST_PLAYED_BYTES: Final = 8 * 2**20
"""A longer sound would make the notebook heavy: its length is told instead."""


def panel(title: str, *parts: str, notes: Iterable[str] = ()) -> str:
    """A box with a title, its parts (HTML) and small notes (text) below."""
    head = f'<div style="{_SMALL};font-weight:600">{escape(title)}</div>' if title else ""
    told = " &middot; ".join(escape(note) for note in notes if note)
    foot = f'<div style="{_SMALL};margin-top:.3em">{told}</div>' if told else ""
    return f'<div style="{_BOX}">{head}{"".join(parts)}{foot}</div>'


def text(content: str, *, who: str = "") -> str:
    """A paragraph, as it was written."""
    label = f"<b>{escape(who)}</b> " if who else ""
    return f'<div style="{_TEXT};margin:.3em 0">{label}{escape(content)}</div>'


def player(wav: bytes) -> str:
    """A player for a WAV file; nothing for an empty one."""
    if not wav:
        return ""
    if len(wav) > _MOST_PLAYED_BYTES:
        return text(f"{len(wav) / 2**20:.0f} MiB of audio: save(path) writes it to a file")
    source = f"data:audio/wav;base64,{base64.b64encode(wav).decode()}"
    return f'<audio controls preload="metadata" style="width:100%;margin:.3em 0" src="{source}"></audio>'


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table; numbers stand at the right."""
    ths = "".join(f'<th style="{_CELL};text-align:left">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    style = "border-collapse:collapse;margin:.3em 0;color:inherit"
    return f'<table style="{style}"><thead><tr>{ths}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: Any) -> str:
    number = isinstance(value, (int, float))
    shown = f"{value:,}" if number else escape("" if value is None else str(value))
    return f'<td style="{_CELL};text-align:{"right" if number else "left"};{_TEXT}">{shown}</td>'


def chat(entries: Iterable[Any]) -> str:
    """The entries of a conversation, each item as a bubble: the user's at the right."""
    bubbles = []
    for entry in entries:
        who = entry.role or entry.item.type or "item"
        side = "margin-left:auto" if who == "user" else "margin-right:auto"
        colour = _COLOURS.get(who, "transparent")
        style = f"{side};background:{colour};border-radius:.7em;padding:.35em .8em;margin-top:.35em;width:fit-content"
        edge = "" if who in _COLOURS else ";border:1px dashed rgba(128,128,128,.5)"
        label = who if entry.status == "completed" else f"{who}, {entry.status}"
        small = f'<div style="{_SMALL}">{escape(label)}</div>'
        bubbles.append(
            f'<div style="{style};max-width:85%{edge}">{small}<div style="{_TEXT}">{escape(entry.text)}</div></div>'
        )
    inner = "".join(bubbles) or text("no items yet")
    return panel("Conversation", f'<div style="display:flex;flex-direction:column">{inner}</div>')


def usage(tally: Any) -> str:
    """What a session has used, by its tally."""
    total, transcription = tally.total, tally.transcription
    rows = [_row("input", total.input), _row("of it cached", total.cached), _row("output", total.output)]
    notes = [tally.model or "", f"{len(tally.responses)} responses"]
    if transcription.total_tokens or transcription.seconds:
        rows.append(_row("transcription", transcription.input + transcription.output))
        notes.append(f"{transcription.seconds:g} s transcribed" if transcription.seconds else "")
    head = ("tokens", "text", "audio", "image", "other", "total")
    return panel("Usage", table(head, rows), notes=notes)


def _row(name: str, tokens: Any) -> tuple[Any, ...]:
    return (name, tokens.text, tokens.audio, tokens.image, tokens.other, tokens.total)
