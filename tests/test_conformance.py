"""Our classes against the event models of the `openai` package: we lack nothing, and they know whatever we send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import attrs
import pytest
from protocol_examples import CLIENT_EXAMPLES, SERVER_EXAMPLES

from realtime_sync import decode_client_event, decode_server_event, event_to_dict
from realtime_sync.events import (
    CLIENT_EVENTS,
    SERVER_EVENTS,
    FlatSessionConfig,
    ItemReference,
    Message,
    RealtimeSessionConfig,
    ResponseCreate,
    TranscriptionSessionConfig,
    WireObject,
)
from realtime_sync.events.base import fields_of

pydantic = pytest.importorskip("pydantic")
openai = pytest.importorskip("openai")

from openai.types.beta.realtime.transcription_session import TranscriptionSession  # noqa: E402
from openai.types.beta.realtime.transcription_session_update import TranscriptionSessionUpdate  # noqa: E402
from openai.types.realtime import (  # noqa: E402
    realtime_client_event,
    realtime_client_event_param,
    realtime_server_event,
    realtime_translation_client_event,
    realtime_translation_client_event_param,
    realtime_translation_server_event,
)
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse  # noqa: E402
from openai.types.realtime.realtime_transcription_session_create_response import (  # noqa: E402
    RealtimeTranscriptionSessionCreateResponse,
)
from openai.types.realtime.response_create_event_with_references_param import (  # noqa: E402
    ResponseCreateEventWithReferencesParam,
)
from openai.types.realtime.response_item_reference import ResponseItemReference  # noqa: E402

ServerEvent: Any = realtime_server_event.RealtimeServerEvent
ClientEvent: Any = realtime_client_event.RealtimeClientEvent
TranslationServerEvent: Any = realtime_translation_server_event.RealtimeTranslationServerEvent
TranslationClientEvent: Any = realtime_translation_client_event.RealtimeTranslationClientEvent


def arms(kind: Any) -> Iterator[Any]:
    """The types that an annotation is made of, through unions, lists and tables."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from arms(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for arm in get_args(kind):
            yield from arms(arm)
    elif origin is list:
        yield from arms(get_args(kind)[0])
    elif origin is dict:
        yield from arms(get_args(kind)[1])
    else:
        yield kind


def models(kind: Any) -> list[Any]:
    return [arm for arm in arms(kind) if isinstance(arm, type) and issubclass(arm, pydantic.BaseModel)]


def classes(kind: Any) -> list[type[WireObject]]:
    found = [arm for arm in arms(kind) if isinstance(arm, type) and issubclass(arm, WireObject)]
    return found + [sub for cls in found if cls is Message for sub in Message.__subclasses__()]


def literals(model: Any, name: str) -> set[str]:
    """The values that the model allows for its ``type`` or ``role``."""
    field = model.model_fields.get(name)
    return (
        {value for arm in arms(field.annotation) if get_origin(arm) is Literal for value in get_args(arm)}
        if field
        else set()
    )


def default(cls: type[WireObject], name: str) -> Any:
    return next((a.default for a in fields_of(cls) if a.name == name and isinstance(a.default, str)), None)


def matching(model: Any, candidates: list[type[WireObject]]) -> list[type[WireObject]]:
    """Which of our classes stand for a model: those that its ``type`` and ``role`` select, or the only one."""
    for name in ("type", "role"):
        allowed = literals(model, name)
        chosen = [cls for cls in candidates if allowed & {default(cls, name), *cls.TAGS}]
        candidates = chosen if chosen else candidates
    return candidates


def lacking(model: Any, candidates: list[type[WireObject]], path: str) -> Iterator[str]:
    """The fields of a model, at every level, that none of our classes for it has."""
    ours = matching(model, candidates)
    if not ours:
        yield f"{path} ({model.__name__})"
        return
    for cls in ours:
        attrs.resolve_types(cls)  # type: ignore[type-var]
    for name, field in model.model_fields.items():
        kinds = [a.type for cls in ours for a in fields_of(cls) if a.name == name]
        if not kinds:
            yield f"{path}.{name}"
        elif not any(kind is Any for kind in kinds):
            for inner in models(field.annotation):
                yield from lacking(inner, [cls for kind in kinds for cls in classes(kind)], f"{path}.{name}")


@pytest.mark.parametrize(
    ("union", "registry", "how_many"),
    [
        (ServerEvent, SERVER_EVENTS, 46),
        (ClientEvent, CLIENT_EVENTS, 11),
        (TranslationServerEvent, SERVER_EVENTS, 7),
        (TranslationClientEvent, CLIENT_EVENTS, 3),
    ],
    ids=["server", "client", "translation server", "translation client"],
)
def test_we_lack_no_event_and_no_field(union: Any, registry: Any, how_many: int) -> None:
    found = models(union)
    assert len(found) >= how_many, "the models are where we look for them"
    missing = []
    for model in found:
        (kind,) = literals(model, "type")
        cls = registry.get(kind)
        missing += list(lacking(model, [cls], kind)) if cls else [kind]
    assert missing == []


@pytest.mark.parametrize(
    ("model", "cls"),
    [
        (RealtimeSessionCreateResponse, RealtimeSessionConfig),
        (RealtimeTranscriptionSessionCreateResponse, TranscriptionSessionConfig),
        (TranscriptionSession, FlatSessionConfig),
        (TranscriptionSessionUpdate, CLIENT_EVENTS["transcription_session.update"]),
        (ResponseItemReference, ItemReference),
    ],
)
def test_we_lack_no_field_of_what_is_in_no_event_of_theirs(model: Any, cls: Any) -> None:
    # How long a key shall live is asked for over REST, not over an open connection.
    ours = [path for path in lacking(model, [cls], "") if not path.startswith(".session.client_secret.expires_at")]
    assert ours == []


def test_the_walk_finds_what_is_missing() -> None:
    class Inner(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        instructions: str
        colour: str

    class Outer(pydantic.BaseModel):  # type: ignore[name-defined,misc]
        type: Literal["response.create"]
        response: list[Inner] | None
        urgency: int

    assert list(lacking(Outer, [ResponseCreate], "create")) == ["create.response.colour", "create.urgency"]


def foreign(value: Any, path: str) -> Iterator[str]:
    """The fields that a validated model does not know."""
    if isinstance(value, pydantic.BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from foreign(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from foreign(inner, path)


def encoded(examples: list[dict[str, Any]], decode: Any, *, translation: bool) -> list[Any]:
    """What our encoder makes of the examples that are in today's dialect, for one kind of session."""
    chosen = []
    for example in examples:
        event = decode(json.dumps(example))
        session = getattr(event, "session", None)
        if event.type != event.TYPE or isinstance(session, FlatSessionConfig):
            continue  # the older dialect, which these models do not have
        translates = type(event).__module__.endswith("translation") or type(session).__name__.startswith("Translation")
        if translates is translation:
            chosen.append(pytest.param(event_to_dict(event), id=event.type))
    return chosen


def without_null(value: Any) -> Any:
    """Their types of parameters have no null where their documentation gives it a meaning; their models do."""
    if isinstance(value, dict):
        return {name: without_null(inner) for name, inner in value.items() if inner is not None}
    return [without_null(inner) for inner in value] if isinstance(value, list) else value


CLIENT_MODELS: Any = pydantic.TypeAdapter(ClientEvent)
CLIENT_PARAMS: Any = pydantic.TypeAdapter(realtime_client_event_param.RealtimeClientEventParam)
REFERENCES: Any = pydantic.TypeAdapter(ResponseCreateEventWithReferencesParam)
TRANSLATION_PARAMS: Any = pydantic.TypeAdapter(
    realtime_translation_client_event_param.RealtimeTranslationClientEventParam
)


@pytest.mark.parametrize("event", encoded(CLIENT_EXAMPLES, decode_client_event, translation=False))
def test_what_we_send_is_valid_for_their_models(event: Any) -> None:
    if "item_reference" in str(event):  # these models have it in a class of its own only
        REFERENCES.validate_python(event)
        event["response"]["input"].pop(0)
    CLIENT_PARAMS.validate_python(without_null(event))
    assert list(foreign(CLIENT_MODELS.validate_python(event), event["type"])) == []


@pytest.mark.parametrize("event", encoded(CLIENT_EXAMPLES, decode_client_event, translation=True))
def test_what_we_send_to_be_translated_is_valid_for_their_models(event: Any) -> None:
    TRANSLATION_PARAMS.validate_python(without_null(event))
    validated = pydantic.TypeAdapter(TranslationClientEvent).validate_python(event)
    assert list(foreign(validated, event["type"])) == []


# Their events reuse the model of a session request, which lacks what the server adds (the REST models have it), and one
# event has no id of its own.
ADDED_BY_THE_SERVER = {
    "input_audio_buffer.dtmf_event_received.event_id",
    *(f"session.{kind}.session.{name}" for kind in ("created", "updated") for name in ("id", "object", "expires_at")),
}


@pytest.mark.parametrize("event", encoded(SERVER_EXAMPLES, decode_server_event, translation=False))
def test_what_our_server_sends_is_valid_for_their_models(event: Any) -> None:
    validated = pydantic.TypeAdapter(ServerEvent).validate_python(event)
    extra = [path for path in foreign(validated, event["type"]) if path not in ADDED_BY_THE_SERVER]
    assert extra == []


@pytest.mark.parametrize("event", encoded(SERVER_EXAMPLES, decode_server_event, translation=True))
def test_what_our_server_sends_translated_is_valid_for_their_models(event: Any) -> None:
    validated = pydantic.TypeAdapter(TranslationServerEvent).validate_python(event)
    assert list(foreign(validated, event["type"])) == []
