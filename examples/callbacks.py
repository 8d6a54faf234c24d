"""Callbacks: functions for the events that matter, by class or by type, and one that sees all."""

from __future__ import annotations

from collections import Counter

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere

with rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]}) as session:
    seen: Counter[str] = Counter()

    @session.once("session.created")
    def opened(event: events.SessionCreated) -> None:
        print("Opened", session.id)

    @session.on(events.ResponseOutputTextDelta)
    def show(event: events.ResponseOutputTextDelta) -> None:
        print(event.delta, end="", flush=True)

    @session.on("response.done")
    def finish(event: events.ResponseDone) -> None:
        print(f"\n({event.response.status})")
        session.stop()  # ends run() below; the session stays open

    @session.on("error")
    def complain(event: events.ErrorEvent) -> None:
        print("The server says:", event.error.message)

    @session.on("*")
    def count(event: events.ServerEvent) -> None:
        seen[event.type] += 1

    session.send_text("Say something nice.")
    session.create_response()
    session.run()  # dispatches on this thread, until stop()

    session.off("*", count)
    session.delete_item("item_that_is_not_there")  # no one waits for its confirmation: the error goes to the handler
    session.wait_for("error")
    print(f"{seen.total()} events of {len(seen)} types")
