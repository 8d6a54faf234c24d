"""A user's loop, handlers and waits: what type checkers know of the events. `E` is the error that mypy must give, `P`
the one that pyright must."""

from __future__ import annotations

import sys
from typing import Any

from typing_extensions import assert_type

import realtime_sync as rt
from realtime_sync import events


def loop(session: rt.RealtimeSession) -> None:
    for event in session:
        if event.type == "response.output_text.delta":
            assert_type(event, events.ResponseOutputTextDelta)
            print(event.delta)
        elif event.type == "response.audio.delta":
            assert_type(event, events.ResponseOutputAudioDelta)
            print(event.delta_bytes)
        elif event.type == "error":
            print(event.error.message)
            print(event.response)  # E: attr-defined  # P: reportAttributeAccessIssue
        if isinstance(event, events.ResponseDone):
            assert_type(event.response, events.Response)
        elif isinstance(event, events.UnknownEvent):
            print(event.raw["type"])
        elif isinstance(event, events.MalformedEvent):
            print(event.error)
        match event.type:
            case "session.created":
                print(event.session)

    received = session.recv(timeout=1)
    if received is not None and received.type == "response.done":
        print(received.response.usage)


def handlers(session: rt.RealtimeSession) -> None:
    @session.on("response.done")
    def done(event: events.ResponseDone) -> int:
        return len(event.response.output or ())

    assert_type(done(session.wait_for("response.done")), int)

    @session.on("error")  # E: arg-type  # P: reportArgumentType
    def wrong(event: events.ResponseDone) -> None: ...

    @session.once("*")
    def every(event: rt.AnyServerEvent) -> None:
        print(event.event_id)

    @session.on(events.ErrorEvent, replace=True)
    def by_class(event: events.ErrorEvent) -> None: ...

    @session.on("vendor.thing")
    def vendor(event: events.UnknownEvent) -> None: ...

    session.on("response.output_text.delta", lambda event: print(event.delta))
    session.on("response.done", lambda event: print(event.delta))  # E: attr-defined  # P: reportAttributeAccessIssue
    session.once("error", lambda event: event.response)  # E: attr-defined  # P: reportAttributeAccessIssue
    session.on("response.done", finished)
    session.on("error", finished)  # E: arg-type  # P: reportArgumentType  # P: reportCallIssue
    session.on("vendor.thing", lambda event: print(event.raw["x"]))
    session.on("vendor.thing", vendor)
    session.off("response.done", done)
    session.off()


def finished(event: events.ResponseDone) -> bool:
    return event.response.status == "completed"


def any_one(event: rt.AnyServerEvent) -> bool:
    return event.event_id is not None


def of_a_variable(session: rt.RealtimeSession, key: str) -> None:
    """It may be any type, so the handler must take any event."""
    session.on(key, any_one)
    session.once(key, print)
    session.on(key, lambda event: print(event.type == "response.done", event.raw))
    session.on(key, finished)  # E: arg-type  # P: reportArgumentType  # P: reportCallIssue
    session.on(events.ServerEventType.RESPONSE_DONE, finished)
    assert_type(session.wait_for(key, any_one, timeout=1), Any)


def waits(session: rt.RealtimeSession) -> None:
    added = session.wait_for("conversation.item.added", lambda event: event.item is not None)
    assert_type(added, events.ConversationItemAdded)
    done = session.wait_for("response.done", lambda event: event.response.status == "completed", timeout=1)
    assert_type(done, events.ResponseDone)
    assert_type(session.wait_for("response.done", finished), events.ResponseDone)
    assert_type(session.wait_for(events.ResponseDone, lambda event: event.response), events.ResponseDone)
    session.wait_for("response.done", lambda event: event.delta)  # E: attr-defined  # P: reportAttributeAccessIssue
    session.wait_for("error", finished)  # E: arg-type  # P: reportArgumentType  # P: reportCallIssue
    assert_type(session.wait_for("vendor.thing", lambda event: event.raw["x"]), Any)
    session.wait_for("*", lambda event: event.type == "vendor.thing")
    assert_type(session.wait_for(events.ServerEventType.RESPONSE_DONE.value, finished), events.ResponseDone)
    assert_type(session.wait_for("conversation.item.added"), events.ConversationItemAdded)
    assert_type(session.wait_for(events.ResponseDone), events.ResponseDone)
    first: rt.AnyServerEvent = session.wait_for("*")
    print(first.type)


def config(session: rt.RealtimeSession) -> None:
    if session.config.audio and session.config.audio.output:
        print(session.config.audio.output.voice, session.config.instructions)
    if isinstance(session.config, events.RealtimeSessionConfig):
        print(session.config.tools)


def tools(session: rt.RealtimeSession) -> None:
    @session.tool(name="now", timeout_s=None)
    def clock() -> str:
        return "noon"

    assert_type(clock(), str)
    session.tool(timeout=5)  # E: call-overload  # P: reportCallIssue
    session.use_tools(rt.Toolset(clock), max_rounds=3, approve=lambda call: call.name == "now")
    session.update_session(session={})  # E: call-arg  # P: reportCallIssue
    session.use_tools(rt.Toolset(), rounds=3)  # E: call-arg  # P: reportCallIssue


def turns(session: rt.RealtimeSession) -> None:
    turn = session.respond("hi")
    for kind, piece in turn.pieces():
        print(kind, len(piece))
    for pair in turn.pieces():
        if pair[0] == "audio":
            assert_type(pair[1], bytes)
    assert_type(turn.result(timeout=None, heard=True).heard, "str | None")
    assert_type(session.poll(), int)
    session.add_tap(lambda way, text: sys.stdout.write(f"{way} {text!r}"))
    assert_type(rt.wait([session], 1), list[rt.RealtimeSession])
    session.recv(seconds=1)  # E: arg-type  # P: reportArgumentType


event = events.UnknownEvent(type="vendor.thing", raw={"type": "vendor.thing"})
response_done = events.ResponseDone(response=events.Response())
