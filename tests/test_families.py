"""Families as values: what each knows, that they do not disturb each other, and that a third one is a folder."""

from __future__ import annotations

import json
from typing import Any

import live_family as live
import pytest
from live_family import LIVE
from servers import RawServer, frame

import realtime_sync as rt
from realtime_sync import codec, decode_server_event, encode_event, event_to_dict
from realtime_sync import events as e
from realtime_sync.errors import InvalidEvent
from realtime_sync.events import CLIENT_EVENTS, REALTIME, SERVER_EVENTS, TRANSLATION
from realtime_sync.local import LocalServer
from realtime_sync.sending.checks import Checks
from realtime_sync.transport.frames import CLOSE, TEXT

SHARED = {"error", "session.created", "session.updated"}


def test_the_registries_are_those_of_both_families() -> None:
    assert {*REALTIME.server, *TRANSLATION.server} == set(SERVER_EVENTS)
    assert {*REALTIME.client, *TRANSLATION.client} == set(CLIENT_EVENTS)
    assert set(REALTIME.server) & set(TRANSLATION.server) == SHARED
    assert set(REALTIME.client) & set(TRANSLATION.client) == {"session.update"}
    assert all(REALTIME.server[kind] is TRANSLATION.server[kind] for kind in SHARED)
    assert "54 server and 12 client" in repr(REALTIME)


def test_what_is_particular_about_each() -> None:
    assert REALTIME.opened_by == (e.SessionCreated, e.TranscriptionSessionCreated)
    assert TRANSLATION.opened_by == (e.SessionCreated,)
    assert LIVE.opened_by == (live.SessionStarted,)
    assert (REALTIME.opens_with, TRANSLATION.opens_with, LIVE.opens_with) == (None, None, live.SessionStart)
    assert REALTIME.update is TRANSLATION.update is e.SessionUpdate
    assert REALTIME.append is e.InputAudioBufferAppend
    assert TRANSLATION.append is e.SessionInputAudioBufferAppend
    assert LIVE.append is live.Speak
    for family in (REALTIME, TRANSLATION):
        with pytest.raises(TypeError):
            family.server["x"] = e.ErrorEvent  # type: ignore[index]


def test_what_confirms_an_event_stands_at_its_class() -> None:
    confirmed = {cls: cls.CONFIRMED_BY for cls in CLIENT_EVENTS.values() if cls.CONFIRMED_BY}
    assert e.InputAudioBufferAppend.CONFIRMED_BY == e.SessionInputAudioBufferAppend.CONFIRMED_BY == ()
    assert confirmed[e.ResponseCancel] == (e.ResponseDone,)
    assert (live.SessionStarted,) == live.SessionStart.CONFIRMED_BY
    assert e.UnknownEvent.CONFIRMED_BY == e.ClientEvent.CONFIRMED_BY == ()


def test_ids_and_refusals() -> None:
    detail = e.ErrorDetail(type="a", message="b", event_id="event_1")
    assert REALTIME.refused_by(e.ErrorEvent(error=detail)) == "event_1"
    assert REALTIME.refused_by(e.ErrorEvent(error=e.ErrorDetail(type="a", message="b"))) is None
    assert REALTIME.refused_by(e.SessionUpdated(session=e.FlatSessionConfig())) is None
    nothing: Any = None
    assert REALTIME.refused_by(e.ErrorEvent(error=nothing)) is None
    assert REALTIME.id_of(e.ResponseCreate(event_id="event_2")) == "event_2"
    assert LIVE.refused_by(live.Failure(reason="a", client_event_id="c")) == "c"
    assert LIVE.id_of(live.Speak(data="", client_event_id="c", event_id="e")) == "c"
    assert LIVE.id_of(e.ResponseCreate(event_id="e")) is None


COLLIDING = [
    ({"type": "session.updated", "settings": {"language": "es"}, "client_event_id": "c"}, live.SessionUpdated),
    ({"type": "error", "reason": "r", "client_event_id": "c"}, live.Failure),
    ({"type": "failure", "reason": "r"}, live.Failure),
]


@pytest.mark.parametrize(("raw", "cls"), COLLIDING, ids=lambda value: getattr(value, "__name__", None))
def test_a_third_family_decodes_its_own_classes(raw: dict[str, Any], cls: Any) -> None:
    decode = codec.server_decoder(LIVE)
    event = decode(json.dumps(raw))
    assert type(event) is cls
    assert event.extra == {}
    assert event_to_dict(event) == raw
    assert decode(encode_event(event)) == decode(raw) == event
    ours = decode_server_event(raw)
    assert type(ours) is SERVER_EVENTS.get(raw["type"], e.UnknownEvent)
    assert codec.server_decoder(REALTIME)(raw) == ours


def test_what_only_another_family_knows_is_unknown() -> None:
    assert isinstance(codec.server_decoder(LIVE)({"type": "session.created"}), e.UnknownEvent)
    assert isinstance(codec.server_decoder(REALTIME)({"type": "session.closed"}), e.UnknownEvent)
    assert isinstance(codec.server_decoder(TRANSLATION)({"type": "response.done"}), e.UnknownEvent)
    assert isinstance(codec.client_decoder(TRANSLATION)({"type": "session.update"}), e.SessionUpdate)
    create = codec.client_decoder(LIVE)({"type": "response.create", "topic": "rain"})
    assert create == live.ResponseCreate(topic="rain")
    assert codec.server_decoder(LIVE) is codec.server_decoder(LIVE)


def test_an_odd_field_of_a_third_family() -> None:
    event = codec.server_decoder(LIVE)({"type": "session.started", "settings": {"warmth": "much"}})
    assert isinstance(event, live.SessionStarted)
    assert event.settings.extra == {"warmth": "much"}
    assert codec.oddities(event) == "settings.warmth: expected float, got str"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (live.SessionStart(settings=live.Settings(warmth=2)), "settings.warmth is 2: it must be from 0 to 1"),
        (live.Speak(data="123456789"), "data has 9 characters: 8 is the most of one event"),
        (live.ResponseCreate(topic=""), "topic is missing"),
    ],
    ids=["range", "length", "required"],
)
def test_its_events_are_checked_by_their_facts(event: Any, said: str) -> None:
    with pytest.raises(InvalidEvent, match=said):
        Checks().check(event)


# A session of a third family


def _live_server(received: list[dict[str, Any]]) -> RawServer:
    """Answers in the live family."""

    def answer(peer: Any) -> None:
        while True:
            opcode, text = peer.read_frame()
            if opcode == CLOSE:
                peer.send(frame(CLOSE, text))
                return
            said = json.loads(text)
            received.append(said)
            reply = {"client_event_id": said["client_event_id"]}
            if said["type"] == "session.start":
                event = {"type": "session.started", "settings": said["settings"], **reply}
            elif said["type"] == "session.update" and said["settings"].get("language") == "xx":
                event = {"type": "error", "reason": "no such language", **reply}
            elif said["type"] == "session.update":
                event = {"type": "session.updated", "settings": said["settings"], **reply}
            else:
                continue
            peer.send(frame(TEXT, json.dumps(event).encode()))

    return RawServer(answer)


def test_a_session_of_a_third_family_is_opened_confirmed_refused_and_spoken_to_in_its_own_events() -> None:
    received: list[dict[str, Any]] = []
    with _live_server(received) as server:
        endpoint = rt.Endpoint(f"ws://{server.address}/live", {})
        with rt.connect(endpoint=lambda: endpoint, family=LIVE, session={"language": "es"}) as session:
            heard: list[Any] = []
            session.on("session.updated", heard.append)
            updated = session.update_session({"language": "fr"}).result()
            assert heard == [updated]
            assert isinstance(updated, live.SessionUpdated)
            assert updated.settings.language == "fr"
            refused = session.send(live.SessionUpdate(settings=live.Settings(language="xx")))
            with pytest.raises(rt.ServerError, match="no such language"):
                refused.result()
            session.append_audio_bytes(b"\x01\x02")
            session.send({"type": "response.create", "topic": "rain"})
            with pytest.raises(InvalidEvent, match=r"session\.started"):
                session.send({"type": "session.started"})
    assert [said["type"] for said in received] == [
        "session.start",
        "session.update",
        "session.update",
        "audio",
        "response.create",
    ]
    assert received[3]["data"] == "AQI="
    assert all(said["client_event_id"] and "event_id" not in said for said in received)


class LiveVisitor:
    """For what the live family sends, and nothing else."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def _see(self, event: e.ServerEvent) -> None:
        self.seen.append(event.type)

    visit_session_started = visit_session_updated = visit_error = unknown = malformed = _see


def test_a_visitor_of_a_third_family_has_the_methods_of_that_family() -> None:
    visitor: Any = LiveVisitor()
    with _live_server([]) as server:
        endpoint = rt.Endpoint(f"ws://{server.address}/live", {})
        with rt.connect(endpoint=endpoint, family=LIVE, session={"language": "es"}) as session:
            session.on("session.updated", lambda _: session.stop())
            session.update_session({"language": "fr"})
            session.run(visitor)
            assert visitor.seen == ["session.started", "session.updated"]
    with LocalServer() as local, rt.connect("m", base_url=local.base_url, api_key="k") as session:
        with pytest.raises(
            rt.ConfigurationError, match=r"LiveVisitor is no visitor of this session: .* and \d+ more; der"
        ):
            session.run(visitor)
        session.on("session.created", lambda _: session.stop())
        session.run(rt.ServerEventVisitor())


def test_an_endpoint_stands_for_all_that_says_where_to_connect() -> None:
    endpoint = rt.Endpoint("ws://127.0.0.1:1/", {})
    with pytest.raises(rt.ConfigurationError, match="leave out model, api_key"):
        rt.connect("m", api_key="x", endpoint=endpoint)
    with pytest.raises(rt.ConfigurationError, match="takes an Endpoint"):
        rt.connect(endpoint="ws://127.0.0.1:1/")  # type: ignore[arg-type]
