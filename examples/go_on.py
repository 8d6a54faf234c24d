"""An interview that goes on where it was left: stop it with Ctrl-C (or lose the connection), and start it again.

The conversation is kept in interview.json, which is removed when the last question is answered.
"""

from __future__ import annotations

import sys
from pathlib import Path

import realtime_sync as rt
from realtime_sync.local import somewhere

QUESTIONS = ["Name a planet.", "Is it larger than the Earth?", "How long is its day?", "Has it any moons?"]
CONFIG = {"output_modalities": ["text"], "instructions": "Answer in one sentence."}
FILE = Path("interview.json")


def interview(session: rt.RealtimeSession) -> None:
    """Ask what is not answered yet."""
    entries = list(session.conversation)
    asked = sum(entry.role == "user" for entry in entries)
    answered = sum(entry.role == "assistant" and entry.status == "completed" for entry in entries)
    for number, question in enumerate(QUESTIONS[answered:], answered):
        print("You:  ", question)
        # What was asked already, and not answered, is not asked twice: without a text `ask` asks for the answer.
        print("Model:", session.ask(question if number >= asked else None))


def main() -> int:
    with rt.connect("gpt-realtime", **somewhere(), session=CONFIG) as session:
        if FILE.exists():
            print(session.restore(FILE))
        try:
            interview(session)
        except (KeyboardInterrupt, rt.ConnectionLost, rt.SessionExpired) as error:
            FILE.write_text(session.conversation.to_json(indent=2), encoding="utf-8")
            print(f"{type(error).__name__}: start me again to go on.")
            return 1
    FILE.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rt.RealtimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
