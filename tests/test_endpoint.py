from __future__ import annotations

from typing import Any

import pytest

import realtime_sync as rt

OPENAI = {"OPENAI_API_KEY": "sk-1"}
AZURE = {"AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com", "AZURE_OPENAI_API_KEY": "az-1"}


def resolve(environ: dict[str, str] | None = None, **arguments: Any) -> rt.Endpoint:
    return rt.resolve_endpoint(environ=environ or {}, **arguments)


@pytest.mark.parametrize(
    ("arguments", "environ", "url"),
    [
        ({"model": "m"}, OPENAI, "wss://api.openai.com/v1/realtime?model=m"),
        ({"call_id": "rtc_1"}, OPENAI, "wss://api.openai.com/v1/realtime?call_id=rtc_1"),
        ({"intent": "transcription"}, OPENAI, "wss://api.openai.com/v1/realtime?intent=transcription"),
        ({"model": "m", "intent": "translation"}, OPENAI, "wss://api.openai.com/v1/realtime/translations?model=m"),
        (
            {"model": "m"},
            OPENAI | {"OPENAI_BASE_URL": "http://127.0.0.1:80/v1/"},
            "ws://127.0.0.1:80/v1/realtime?model=m",
        ),
        ({"base_url": "https://host/api/realtime"}, {}, "wss://host/api/realtime"),
        (
            {"base_url": "wss://host/v1?x=1", "model": "m", "query": {"y": "2"}},
            {},
            "wss://host/v1/realtime?x=1&model=m&y=2",
        ),
        ({"model": "d"}, AZURE, "wss://mine.openai.azure.com/openai/v1/realtime?model=d"),
        (
            {"model": "d", "azure_api_version": "2024-10-01-preview"},
            AZURE,
            "wss://mine.openai.azure.com/openai/realtime?api-version=2024-10-01-preview&deployment=d",
        ),
    ],
)
def test_the_address(arguments: dict[str, Any], environ: dict[str, str], url: str) -> None:
    assert resolve(environ, **arguments).url == url


@pytest.mark.parametrize(
    ("arguments", "environ", "headers"),
    [
        ({}, OPENAI, {"Authorization": "Bearer sk-1"}),
        ({"api_key": "sk-2"}, OPENAI, {"Authorization": "Bearer sk-2"}),
        ({"api_key": lambda: "sk-3"}, {}, {"Authorization": "Bearer sk-3"}),
        (
            {"organization": "o", "project": "p"},
            OPENAI,
            {"Authorization": "Bearer sk-1", "OpenAI-Organization": "o", "OpenAI-Project": "p"},
        ),
        ({"headers": {"authorization": "Basic x"}}, OPENAI, {"authorization": "Basic x"}),
        ({}, AZURE, {"api-key": "az-1"}),
        ({"azure_ad_token": lambda: "token"}, AZURE, {"Authorization": "Bearer token"}),
        ({"base_url": "http://localhost:1"}, {}, {}),
    ],
)
def test_the_headers(arguments: dict[str, Any], environ: dict[str, str], headers: dict[str, str]) -> None:
    sent = dict(resolve(environ, model="m", **arguments).headers)
    assert sent.pop("User-Agent") == f"realtime-sync/{rt.__version__}"
    assert sent == headers


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": 5}, "model must be str, not int"),
        ({"model": " "}, "model is empty"),
        ({}, "no model"),
        ({"model": "m", "call_id": "c"}, "not both"),
        ({"model": "m", "intent": "translate"}, "intent must be one of realtime, transcription, translation"),
        ({"model": "m", "intent": "transcription"}, "takes no model here"),
        ({"model": "m", "api_key": 5}, "api_key must be str or a function that returns str, not int"),
        ({"model": "m", "api_key": lambda: None}, "not NoneType"),
        ({"model": "m", "api_key": ""}, "api_key is empty"),
        ({"model": "m", "api_key": "Bearer sk"}, "pass the key alone"),
        ({"model": "m", "api_key": "sk-1\n"}, "line break"),
        ({"model": "m", "base_url": 5}, "base_url must be str"),
        ({"model": "m", "base_url": "localhost:8000"}, "must look like https://HOST/v1"),
        ({"model": "m", "base_url": "http://host:port/v1"}, "its host or its port"),
        ({"model": "m", "base_url": "https://user:secret@host/v1"}, "must not hold credentials"),
        ({"model": "m", "base_url": "http://example.com/v1"}, "unencrypted"),
        ({"model": "m", "headers": {"x": 5}}, "mapping from str to str"),
        ({"model": "m", "headers": [("x", "y")]}, "mapping from str to str"),
        ({"model": "m", "headers": {"x": "a\r\nb: c"}}, "line break"),
        ({"model": "m", "headers": {"Host": "x"}}, "belongs to the WebSocket handshake"),
        ({"model": "m", "headers": {"OpenAI-Beta": "realtime=v1"}}, "OpenAI-Beta"),
        ({"model": "m", "azure_endpoint": "https://a", "base_url": "https://b"}, "not both"),
        ({"model": "m", "azure_ad_token": "t"}, "no address for Azure"),
    ],
)
def test_what_cannot_work_is_refused_without_showing_a_credential(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(rt.ConfigurationError, match=said) as refused:
        resolve(OPENAI, **arguments)
    assert not any(secret in str(refused.value) for secret in ("sk-1", "secret"))


def test_what_is_missing_is_said() -> None:
    with pytest.raises(rt.ConfigurationError, match="set OPENAI_API_KEY or pass api_key"):
        resolve({}, model="m")
    with pytest.raises(rt.ConfigurationError, match="set AZURE_OPENAI_API_KEY"):
        resolve({}, model="d", azure_endpoint="https://mine.openai.azure.com")
    with pytest.raises(rt.ConfigurationError, match="the name of your deployment"):
        resolve(AZURE)


def test_the_repr_shows_no_credential() -> None:
    shown = repr(resolve(OPENAI, model="m", headers={"X-Token": "hidden"}, query={"sig": "hidden"}))
    assert "model=m" in shown
    assert "Authorization" in shown
    assert not any(secret in shown for secret in ("sk-1", "hidden"))
