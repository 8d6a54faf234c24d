"""Text in, text out: a blocking question, a streamed answer, and a conversation that remembers."""

from __future__ import annotations

import realtime_sync as rt
from realtime_sync.local import somewhere

with rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]}) as session:
    reply = session.ask("Name one planet.")
    print("The whole reply:", reply.text)

    print("As it streams:  ", end="")
    turn = session.respond("And another one?")
    for piece in turn.text():
        print(piece, end="", flush=True)
    print()

    usage = turn.reply.usage
    if usage is not None:
        print(f"{usage.total_tokens} tokens, of which {usage.output_tokens} for the answer")
