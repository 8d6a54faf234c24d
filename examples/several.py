"""Several sessions at once: each dispatches in the background, and all put what happens into one queue."""

from __future__ import annotations

import queue
from contextlib import ExitStack

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere

LANGUAGES = ["English", "French", "Italian"]
where = somewhere()
happened: queue.Queue[tuple[str, events.ServerEvent]] = queue.Queue()

with ExitStack() as stack:
    for language in LANGUAGES:
        config = {"output_modalities": ["text"], "instructions": f"Translate into {language}."}
        session = stack.enter_context(rt.connect("gpt-realtime", **where, session=config))
        for key in ("response.output_text.done", "response.done"):
            session.on(key, lambda event, language=language: happened.put((language, event)))
        session.start()
        session.send_text(f"Good morning, {language}!")
        session.create_response()

    running = set(LANGUAGES)
    while running:
        language, event = happened.get(timeout=60)
        if isinstance(event, events.ResponseOutputTextDone):
            print(f"{language}: {event.text}")
        elif isinstance(event, events.ResponseDone):
            running.remove(language)
    print("All have answered.")
