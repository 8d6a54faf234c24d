"""Several sessions at once, on one thread: `rt.wait` says where something has arrived."""

from __future__ import annotations

from contextlib import ExitStack

import realtime_sync as rt
from realtime_sync.local import somewhere

LANGUAGES = ["English", "French", "Italian"]
where = somewhere()

with ExitStack() as stack:
    running: dict[rt.RealtimeSession, tuple[str, rt.Turn]] = {}
    for language in LANGUAGES:
        config = {"output_modalities": ["text"], "instructions": f"Translate into {language}."}
        session = stack.enter_context(rt.connect("gpt-realtime", **where, session=config))
        running[session] = language, session.respond(f"Good morning, {language}!")

    while running:
        for session in rt.wait(running, timeout=60) or running:
            session.poll()  # dispatches what has arrived: to its handlers, and to its turn
            language, turn = running[session]
            if turn.reply.done:
                print(f"{language}: {turn.result().text}")
                del running[session]
    print("All have answered.")
