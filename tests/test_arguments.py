"""Arguments that a verb does not have are answered with those that it has."""

from __future__ import annotations

import contextlib
import gc
import inspect
import math
import threading
import traceback
import types
import weakref
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSession

import realtime_sync as rt
from realtime_sync import audio, conversation, events, local, playback, recording, tools, usage
from realtime_sync._arguments import answered, answering, check_function
from realtime_sync.local import LocalServer
from realtime_sync.recording import Recorder

OF_ONE_ARGUMENT = {
    *("decode_server_event", "decode_client_event", "encode_event", "event_to_dict"),
    *("decode_pcma", "decode_pcmu", "encode_pcma", "encode_pcmu", "describe_audio", "tone_speech"),
}
"""Nobody names it, and much passes through them."""
MADE_BY_THE_LIBRARY = {
    *("AudioChunk", "Close", "Cut", "HeardPart", "Interruption", "Message", "Recording"),
    *("BadArguments", "FunctionSpec", "ToolCall", "ToolContext", "ToolFailure", "ToolRound"),
    *("Conversation", "ConversationEntry", "ConversationSnapshot", "LeftOut", "Reply", "Restored"),
    *("RateLimitState", "RateLimits", "Tokens", "UsageTally", "Used", "Unset"),
    *("Gate", "LogEntry", "RefusedEvent", "ReplayDifference", "Request", "Turn"),
}
"""Users are given these and call next to nothing of them with an argument."""


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function that users call by name, and every method and constructor of a class that they use."""
    for room in (rt, audio, conversation, local, playback, recording, tools, usage):
        for name in room.__all__:
            value = getattr(room, name)
            told = f"{room.__name__.rpartition('.')[2]}.{name}"
            if isinstance(value, types.FunctionType) and name not in OF_ONE_ARGUMENT:
                yield told, value
            elif isinstance(value, type) and not issubclass(value, (BaseException, Enum, events.ServerEvent)):
                if "Visitor" in name or (name in MADE_BY_THE_LIBRARY and (room, name) not in OF_ROOM):
                    continue
                for own, method in inspect.getmembers(value, inspect.isroutine):
                    shown = not own.startswith("_") or own == "__init__"
                    if shown and isinstance(method, (types.FunctionType, types.MethodType)):
                        yield f"{told}.{own}", method


OF_ROOM = {(local, "ToolCall"), (local, "Reply"), (rt, "Turn")}
"""The same names elsewhere are for users."""
MADE_BY_VERBS = {f"realtime_sync.{name}.__init__" for name in ("RealtimeSession", "Turn", "Ack")}
HAND_ON = {"realtime_sync.RealtimeSession.tool", "realtime_sync.RealtimeSession.use_tools", "local.LocalServer.replay"}
"""Take ``**options`` and hand them on; what they are handed to is in the list too."""
CALLED = {name: function for name, function in public() if name not in HAND_ON}


@pytest.mark.parametrize("name", CALLED)
def test_a_name_that_does_not_exist_is_answered_with_those_that_do(name: str) -> None:
    function = CALLED[name]
    parameters = inspect.signature(function).parameters
    if name in MADE_BY_VERBS:
        with pytest.raises(rt.ConfigurationError, match=r"^\w+ is not made by hand: .* one$"):
            function(None, no_such_name=1)
        return
    with pytest.raises(rt.ConfigurationError, match=r"^\w+\(\) has no argument 'no_such_name'; it takes ") as told:
        function(*[None for name in parameters if name == "self"], no_such_name=1)
    for ours in [p.name for p in parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "self"]:
        assert ours in str(told.value)


@pytest.fixture
def fake() -> Iterator[FakeSession]:
    with FakeSession() as made:
        yield made


@pytest.mark.parametrize(
    ("verb", "named", "told"),
    [
        ("update_session", {"session": {}}, "update_session() has no argument 'session': it is config here"),
        ("create_response", {"response": {}}, "create_response() has no argument 'response': it is config here"),
        ("create_item", {"content": {}}, "create_item() has no argument 'content': it is item here"),
        ("append_audio_bytes", {"audio": b""}, "'audio': it is pcm here"),
        ("delete_item", {"id": "i"}, "'id': it is item_id here"),
        ("cancel_response", {"id": "i"}, "'id': it is response_id here"),
        ("submit_function_output", {"call_id": "c", "result": 1}, "'result': it is output here"),
        ("ask", {"prompt": "hi"}, "'prompt': it is text here"),
        ("ask", {"txt": "hi", "imges": ()}, "'txt': it is text here; nor 'imges': it is images here"),
        ("ask", {"instructions": "x"}, "options of the model go into config={'instructions': ...}"),
        ("recv", {"timeout_s": 1}, "recv() has no argument 'timeout_s': it is timeout here"),
        ("wait_for", {"event": "x"}, "'event': it is key here"),
        ("on", {"event_type": "x", "callback": print}, "'event_type': it is key here; nor 'callback': it is handler"),
        (
            "use_tools",
            {"toolset": rt.Toolset(), "rounds": 1},
            "ToolRunner() has no argument 'rounds': it is max_rounds",
        ),
        ("poll", {"x": 1}, "poll() has no argument 'x'; it takes none"),
    ],
)
def test_what_others_call_it_is_answered_with_ours(
    fake: FakeSession, verb: str, named: dict[str, Any], told: str
) -> None:
    with pytest.raises(rt.ConfigurationError) as refused:
        getattr(fake.session, verb)(**named)
    assert told in str(refused.value)
    assert fake.wire.texts == []


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"url": "x"}, "base_url"),
        ({"token": "x"}, "api_key"),
        ({"config": {}}, "session"),
        ({"ping_interval": 3}, "ping_interval_s"),
        ({"extra_headers": {}}, "headers"),
        ({"sytem_prompt": "x"}, "it takes model, api_key, "),
        ({"temperature": 1}, "options of the model go into session={'temperature': ...}"),
    ],
)
def test_connect_too(named: dict[str, Any], told: str) -> None:
    with pytest.raises(rt.ConfigurationError, match=rf"^connect\(\) has no argument '{next(iter(named))}'") as refused:
        rt.connect("m", **named)
    assert told in str(refused.value)


def test_too_many_and_too_few_are_answered_with_what_there_is(fake: FakeSession) -> None:
    with pytest.raises(
        rt.ConfigurationError, match=r"^connect\(\): too many positional .*; it takes model, and by name"
    ):
        rt.connect("m", "sk-secret-of-the-test")  # type: ignore[misc]
    with pytest.raises(
        rt.ConfigurationError, match=r"^create_item\(\): missing .*'item'; it takes item, previous_item"
    ):
        fake.session.create_item()  # type: ignore[call-arg]
    with pytest.raises(rt.ConfigurationError, match=r"^poll\(\): too many positional .*; it takes nothing"):
        fake.session.poll(1)  # type: ignore[call-arg]


def test_the_options_of_a_tool(fake: FakeSession) -> None:
    with pytest.raises(rt.ConfigurationError, match=r"tool\(\) has no argument 'timeout': it is timeout_s here"):

        @fake.session.tool(timeout=5)  # type: ignore[call-overload, untyped-decorator, unused-ignore]
        def clock() -> str:
            return ""


def test_a_replay_hands_its_options_to_the_server(tmp_path: Path) -> None:
    with Recorder(tmp_path / "talk.jsonl") as recorder:
        recorder.tap()("in", '{"type": "session.created"}')
    with pytest.raises(rt.ConfigurationError, match="no argument 'hots': it is host here"):
        LocalServer.replay(tmp_path / "talk.jsonl", hots="::1")


def test_no_key_stays_in_a_traceback() -> None:
    calls: list[Callable[[], object]] = [
        lambda: rt.connect("m", api_key="sk-" + "x" * 9, url="x"),  # type: ignore[call-arg]
        lambda: rt.connect("m", "sk-" + "x" * 9),  # type: ignore[misc]
        lambda: rt.connect("m", api_key="sk-" + "x" * 9, base_url="http://localhost:1", timeout=0),
        lambda: rt.resolve_endpoint(model="m", api_key="sk-" + "x" * 9, base_url="gopher://x"),
    ]
    for call in calls:
        with pytest.raises(rt.ConfigurationError) as refused:
            call()
        frames = [frame.frame.raw for frame in refused.traceback]
        wrappers = [frame for frame in frames if frame.f_code.co_name == "call" and "named" in frame.f_locals]
        assert wrappers
        assert "sk-" not in repr([frame.f_locals for frame in wrappers])


def test_what_is_raised_inside_goes_through_as_it_is() -> None:
    @answering
    def fails(kind: type[BaseException]) -> None:
        raise kind("inside")

    for kind in (TypeError, KeyboardInterrupt, ValueError):
        with pytest.raises(kind, match="inside"):
            fails(kind)


def test_what_was_raised_keeps_nothing_in_a_cycle() -> None:
    class Opened: ...

    @answering
    def fails(kind: type[Exception]) -> None:
        opened = Opened()
        known.append(weakref.ref(opened))
        raise kind("inside")

    known: list[weakref.ref[Opened]] = []
    gc.disable()
    try:
        for kind in (TypeError, ValueError):
            with contextlib.suppress(kind):
                fails(kind)
        with contextlib.suppress(rt.ConfigurationError):
            fails(kind=ValueError, other=Opened())  # type: ignore[call-arg]
        assert [ref() for ref in known] == [None, None]
    finally:
        gc.enable()


def test_names_signatures_and_docstrings_stay() -> None:
    assert list(inspect.signature(rt.RealtimeSession.ask).parameters)[:2] == ["self", "text"]
    assert rt.connect.__name__ == "connect"
    assert "Open a session" in (rt.connect.__doc__ or "")
    assert events.SessionUpdate(session=events.RealtimeSessionConfig()).session is not None


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda: None, r"called with 1 argument, the event: <lambda>\(\) does not take that"),
        (lambda a, b: None, "does not take that"),
        (threading.Event().set, r"set\(\) does not take that"),
        ("print", "must be callable, not 'print'"),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused_at_once(fake: FakeSession, function: Any, told: str) -> None:
    for register in (fake.session.on, fake.session.once):
        with pytest.raises(rt.ConfigurationError, match=f"^a handler .*{told}"):
            register("response.done", function)


def test_other_callbacks_are_looked_at_too(fake: FakeSession) -> None:
    async def later(event: object) -> None: ...

    for call in (
        lambda: fake.session.on("response.done", later),
        lambda: fake.session.start(on_error=later),
        lambda: fake.session.wait_for("response.done", lambda: True, timeout=0),
        lambda: fake.session.add_tap(lambda text: None),
    ):
        with pytest.raises(rt.ConfigurationError, match=r"nobody would await it|does not take that"):
            call()
    for fits in (print, [].append, lambda *more: None, int):  # `int` does not tell its signature
        check_function(fits, "a handler", "the event")


def test_private_methods_are_left_alone() -> None:
    @answered
    class Owner:
        def _own(self) -> None: ...

        def verb(self) -> None: ...

    assert not hasattr(Owner._own, "__wrapped__")
    assert hasattr(Owner.verb, "__wrapped__")


OF_CONNECT = set(inspect.signature(rt.connect).parameters) - {"checks", "instructions", "voice"}
"""All but what is true or false, as everything is, and the options of the model, which the server judges."""


@pytest.mark.parametrize("name", sorted(OF_CONNECT))
def test_what_connect_cannot_use_is_refused_by_its_name_and_before_it_dials(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime_sync.transport.dial._connect", lambda *_: pytest.fail("it has dialled"))
    where = {"azure_endpoint": "https://x.openai.azure.com"} if "azure" in name else {"base_url": "http://localhost:1"}
    wrong = {"model": "m", "api_key": "k", **where, name: object()}
    if name in ("call_id", "endpoint"):
        wrong = {name: object()}
    with pytest.raises((rt.ConfigurationError, rt.InvalidEvent), match=r"^(the )?" + NAMED.get(name, name)):
        rt.connect(wrong.pop("model", None), **wrong)


NAMED = {"tools": "object cannot be called", "session": "object cannot be sent as JSON"}
"""What is told of what is inside."""


@pytest.mark.parametrize("query", [5, "a=b", {"a": 5}, [("a", "b")]])
def test_an_endpoint_names_the_query_and_shows_none_of_it(query: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^query must be a mapping from str to str$"):
        rt.resolve_endpoint(model="m", api_key="k", query=query)


def test_a_recording_goes_to_a_path() -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^path must be the path of a file, not int$"):
        Recorder(5)  # type: ignore[arg-type]


def test_things_in_the_place_of_others_are_refused(fake: FakeSession) -> None:
    sent = len(fake.wire.texts)
    for images in (5, None):
        for say in (fake.session.ask, fake.session.respond):
            with pytest.raises(rt.InvalidEvent, match=rf"^images= takes a list of .*, not {images}$"):
                say("x", images=images)  # type: ignore[arg-type]
    for sessions in (5, None, [5], []):
        with pytest.raises(rt.ConfigurationError, match=r"wait\(\[session\]\)"):
            rt.wait(sessions)  # type: ignore[arg-type]
    for hook in (5, lambda response_id: ()):
        with pytest.raises(
            rt.ConfigurationError, match=r"^an interrupter (must be callable|is called with no argument:)"
        ):
            fake.session.add_interrupter(hook)  # type: ignore[arg-type]
    fake.session.interrupt()
    assert len(fake.wire.texts) == sent


@pytest.mark.parametrize("port", [99_999, -1, "80", 1.5])
def test_a_port_that_is_none_is_refused_at_once(port: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^port must be a number from 0 .* to 65535, not "):
        LocalServer(port=port)


class LacksTheEvent(rt.ServerEventVisitor[None]):
    def visit_response_done(self) -> None: ...  # type: ignore[override]


class IsAsync(rt.ServerEventVisitor[None]):
    async def visit_response_done(self, event: object) -> None: ...  # type: ignore[override]


class AsyncByDefault(rt.ServerEventVisitor[None]):
    async def default(self, event: object) -> None: ...  # type: ignore[override]


class IsNone(rt.ServerEventVisitor[None]):
    unknown = None  # type: ignore[assignment]


@pytest.mark.parametrize("visitor", [LacksTheEvent(), IsAsync(), AsyncByDefault(), IsNone()])
def test_methods_of_a_visitor_are_looked_at_as_handlers_are(fake: FakeSession, visitor: Any) -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^\w+\.(visit_response_done|default|unknown) (is|must be) "):
        fake.session.run(visitor)


FITS = {
    **{
        "text": "x",
        "key": "a",
        "handler": print,
        "pcm": b"",
        "audio": "AAAA",
        "item": {},
        "item_id": "i",
        "hook": list,
    },
    **{"content_index": 0, "audio_end_ms": 0, "config": {}, "call_id": "c", "output": "o", "event": {}, "tap": print},
    **{"toolset": [], "conversation": []},
}
VERBS = {
    name: [p for p in inspect.signature(verb).parameters.values() if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    for name, verb in inspect.getmembers(rt.RealtimeSession, inspect.isfunction)
    if not name.startswith("_")
}


@pytest.mark.parametrize(("verb", "name"), [(verb, p.name) for verb in VERBS for p in VERBS[verb]])
def test_no_verb_lets_a_foreign_exception_out(fake: FakeSession, verb: str, name: str) -> None:
    given = {p.name: FITS[p.name] for p in VERBS[verb] if p.default is p.empty}
    given |= {p.name: 0 for p in VERBS[verb] if p.name == "timeout"}
    with contextlib.suppress(rt.RealtimeError):  # some things may be anything
        getattr(fake.session, verb)(**given | {name: object()})


ODD: tuple[Any, ...] = (
    *(5, -1, 1.5, 10**400, math.nan, math.inf, True, None, "", "x", "http://[x", b"\0"),
    *([], {}, [5], {"a": 1}, (1, 2), object(), print),
)
GIVEN_TO_A_USER: dict[str, Callable[[rt.RealtimeSession, LocalServer, Path], Any]] = {
    "Ack": lambda session, server, folder: session.send_text("hello"),
    "BargeIn": lambda session, server, folder: playback.BargeIn(session, playback.PlaybackTracker()),
    "Conversation": lambda session, server, folder: session.conversation,
    "ConversationSnapshot": lambda session, server, folder: session.conversation.snapshot(),
    "Gate": lambda session, server, folder: server.gate("response.done"),
    "LocalServer": lambda session, server, folder: server,
    "MicrophoneFeed": lambda session, server, folder: playback.MicrophoneFeed(session),
    "PlaybackTracker": lambda session, server, folder: playback.PlaybackTracker(),
    "Recorder": lambda session, server, folder: Recorder(folder / "talk.jsonl"),
    "Request": lambda session, server, folder: server.requests[0],
    "ToolRunner": lambda session, server, folder: session.use_tools([]),
    "Toolset": lambda session, server, folder: rt.Toolset(),
    "UsageTally": lambda session, server, folder: session.usage,
}
BY_THE_SESSION = {("ToolRunner", "lose")}
"""Called by it alone."""


def calls_of(made: object) -> Iterator[tuple[str, str, Callable[[Any], object]]]:
    """What can be called of an object, with each parameter that it takes, as a function of what is given for that."""
    for method, call in inspect.getmembers(made, inspect.isroutine):
        if method.startswith("_") or (type(made).__name__, method) in BY_THE_SESSION:
            continue
        parameters = [p for p in inspect.signature(call).parameters.values() if p.kind is not p.VAR_KEYWORD]
        for wanted in parameters:
            others = {p.name: "x" for p in parameters if p.default is p.empty}
            others |= {p.name: 0.01 for p in parameters if p.name == "timeout"}

            def given(value: Any, call: Callable[..., object] = call, wanted: str = wanted.name) -> object:
                return call(**others | {wanted: value})  # noqa: B023  used before the next

            yield method, wanted.name, given


@pytest.mark.parametrize("name", GIVEN_TO_A_USER)
def test_nothing_that_a_user_holds_lets_a_foreign_exception_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some things are written to where they are told
    foreign = []
    with LocalServer() as server, rt.connect("gpt-realtime", base_url=server.base_url) as session:
        made = GIVEN_TO_A_USER[name](session, server, tmp_path)
        for method, parameter, call in calls_of(made):
            for value in ODD:
                if parameter == "timeout" and value in (None, math.inf, 10**400, 5, 1.5, True):
                    continue  # a wait, as asked for
                try:
                    call(value)
                except rt.RealtimeError:
                    pass
                except Exception as error:
                    foreign.append(f"{method}({parameter}={value!r}): {error!r}")
        if isinstance(made, Recorder):
            made.close()
    assert not foreign, "\n".join(foreign)


def test_sound_is_exported_to_a_path() -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^directory must be the path of a directory, not int$"):
        recording.export_audio(None, 5)  # type: ignore[arg-type]


def test_what_ends_is_looked_at_before_anything_ends(fake: FakeSession) -> None:
    fake.session.start()
    for call, told in (
        (lambda: fake.session.stop(timeout="soon"), "a time limit must be a number of seconds"),  # type: ignore[arg-type]
        (lambda: fake.session.close(reason=5), "the reason of a close must be str, not int"),  # type: ignore[arg-type]
        (lambda: fake.session.close(code=1001), "close code 1001 is not for clients"),
    ):
        with pytest.raises(rt.ConfigurationError, match=told):
            call()
    assert not fake.session.closed
    assert fake.session._background is not None
    assert fake.session._background.alive


def test_what_hands_options_on_names_what_it_lacks_itself(fake: FakeSession) -> None:
    with pytest.raises(
        rt.ConfigurationError, match=r"^use_tools\(\): missing .* it takes toolset, and by name announce$"
    ):
        fake.session.use_tools(workers=2)  # type: ignore[call-arg]
    with pytest.raises(rt.ConfigurationError, match=r"^tool\(\): too many positional arguments; it takes function$"):
        fake.session.tool(print, "print")  # type: ignore[call-overload]
    with pytest.raises(
        rt.ConfigurationError, match=r"^replay\(\): missing .*'path'; it takes path, and by name speed$"
    ):
        LocalServer.replay(host="::1")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "port",
        "gates",
        "mcp_tools",
        "quirks",
        "record",
        "speed",
        "latency_s",
        "api_key",
        "ssl_context",
        "tls",
        "strict",
        "upstream_key",
        "on_message",
        "transcriber",
        "speaker",
    ],
)
def test_what_the_local_server_cannot_use_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(rt.ConfigurationError, match=f"^{name} must be "):
        LocalServer(**{name: object()})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["replies", "on_message", "transcriber", "speaker"])
def test_functions_of_the_local_server_are_looked_at_when_they_are_given(name: str) -> None:
    async def later(*given: Any) -> str:
        return "never"

    for function, told in ((later, "is a plain function, not an async one"), (lambda: "", "is called with . argument")):
        with pytest.raises(rt.ConfigurationError, match=f"^{name} {told}"):
            LocalServer(**{name: function})  # type: ignore[arg-type]
    with (
        LocalServer() as server,
        pytest.raises(rt.ConfigurationError, match=r"^replies is called with 1 argument, the"),
    ):
        server.replies = lambda: "x"  # type: ignore[assignment,misc]
    with pytest.raises(rt.ConfigurationError, match=r"^entry 1 of the script: a reply is a plain function"):
        LocalServer(["x", later])


def test_an_endpoint_is_a_url_with_headers() -> None:
    with pytest.raises(rt.ConfigurationError, match=r"^url must be str, not int$"):
        rt.Endpoint(5, {})  # type: ignore[arg-type]
    for headers in (5, "Authorization: Bearer x", {"a": 5}):
        with pytest.raises(rt.ConfigurationError, match=r"^headers must be a mapping from str to str$"):
            rt.Endpoint("wss://x.test", headers)  # type: ignore[arg-type]


def test_the_plumbing_is_left_out_of_tracebacks() -> None:
    with FakeSession() as fake, pytest.raises(rt.RealtimeTimeout) as caught:
        fake.session.wait_for("response.done", timeout=0.01)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    hidden = [frame.f_code.co_name for frame in frames if frame.f_locals.get("__tracebackhide__")]
    assert hidden == ["call", "wait", "_with_pump", "_pump_until"]
