"""Where to connect and with which headers, for each kind of server and each mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync._version import __version__
from realtime_sync.errors import ConfigurationError
from realtime_sync.transport import endpoint
from realtime_sync.transport.endpoint import Endpoint, resolve_endpoint

KEY = "sk-secret-0123456789"
BEARER = f"Bearer {KEY}"
AZURE = "https://res.openai.azure.com"


def resolved(environ: Mapping[str, str] | None = None, **arguments: Any) -> Endpoint:
    return resolve_endpoint(**arguments, environ=environ or {})


def own(found: Endpoint) -> dict[str, str]:
    """The headers without the one that names this library."""
    headers = dict(found.headers)
    assert headers.pop("User-Agent") == f"realtime-sync/{__version__}"
    return headers


def refusal(environ: Mapping[str, str] | None = None, **arguments: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolved(environ, **arguments)
    assert "secret" not in str(caught.value)
    return str(caught.value)


# OpenAI


def test_openai() -> None:
    found = resolved(model="gpt-realtime", api_key=KEY)
    assert found.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime"
    assert own(found) == {"Authorization": BEARER}


def test_everything_from_the_environment() -> None:
    environ = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": "https://eu.api.openai.com/v1/",
        "OPENAI_ORG_ID": "org-1",
        "OPENAI_PROJECT_ID": "proj_1",
    }
    found = resolved(environ, model="m")
    assert found.url == "wss://eu.api.openai.com/v1/realtime?model=m"
    assert own(found) == {"Authorization": BEARER, "OpenAI-Organization": "org-1", "OpenAI-Project": "proj_1"}
    found = resolved(environ, model="m", api_key="other", organization="o", project="p", base_url="wss://x.test")
    assert found.url == "wss://x.test/realtime?model=m"
    assert own(found) == {"Authorization": "Bearer other", "OpenAI-Organization": "o", "OpenAI-Project": "p"}
    # Another server is not told of the organization that the environment names.
    assert own(resolved(environ, model="m", base_url="https://x.test")) == {"Authorization": BEARER}


def test_the_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert own(resolve_endpoint(model="m")) == {"Authorization": BEARER}


def test_a_fresh_key_for_each_connection() -> None:
    keys = iter(["one", "two"])

    def fresh() -> str:
        return next(keys)

    assert own(resolved(model="m", api_key=fresh)) == {"Authorization": "Bearer one"}
    assert own(resolved(model="m", api_key=fresh)) == {"Authorization": "Bearer two"}


def test_a_running_call() -> None:
    assert resolved(call_id="rtc_1", api_key=KEY).url == "wss://api.openai.com/v1/realtime?call_id=rtc_1"
    assert "not both" in refusal(call_id="rtc_1", model="m", api_key=KEY)


def test_transcription_and_translation() -> None:
    found = resolved(intent="transcription", api_key=KEY)
    assert found.url == "wss://api.openai.com/v1/realtime?intent=transcription"
    assert "configuration" in refusal(intent="transcription", model="m", api_key=KEY)
    found = resolved(intent="translation", model="m", api_key=KEY)
    assert found.url == "wss://api.openai.com/v1/realtime/translations?model=m"
    assert "no model" in refusal(intent="translation", api_key=KEY)
    assert resolved(intent="realtime", model="m", api_key=KEY) == resolved(model="m", api_key=KEY)


def test_a_client_secret_knows_its_model() -> None:
    assert resolved(api_key="ek_1").url == "wss://api.openai.com/v1/realtime"
    assert "no model" in refusal(api_key=KEY)


def test_the_beta_header_is_refused() -> None:
    assert "OpenAI-Beta" in refusal(model="m", api_key=KEY, headers={"OpenAI-Beta": "realtime=v1"})
    found = resolved(model="m", base_url="wss://x.test", headers={"OpenAI-Beta": "realtime=v1"})
    assert own(found) == {"OpenAI-Beta": "realtime=v1"}


# Servers that speak the same protocol


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:8080/v1", "ws://127.0.0.1:8080/v1/realtime"),
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/realtime"),
        ("ws://127.0.0.1:8080/v1/realtime", "ws://127.0.0.1:8080/v1/realtime"),
        ("ws://127.0.0.1:8080/v1/realtime/", "ws://127.0.0.1:8080/v1/realtime"),
        ("https://x.test/a%20b/v1", "wss://x.test/a%20b/v1/realtime"),
        ("https://x.test/ä b", "wss://x.test/%C3%A4%20b/realtime"),
        ("wss://x.test/v1/realtime/translations", "wss://x.test/v1/realtime/translations"),
        ("HTTPS://X.test:99/", "wss://X.test:99/realtime"),
        ("http://[::1]:1/v1", "ws://[::1]:1/v1/realtime"),
        (" https://x.test/v1\n", "wss://x.test/v1/realtime"),
    ],
)
def test_base_urls(base_url: str, url: str) -> None:
    assert resolved(base_url=base_url).url == url
    assert resolved({"OPENAI_BASE_URL": base_url}).url == url
    assert own(resolved(base_url=base_url)) == {}


def test_the_query_of_the_base_url_is_kept_and_yours_wins() -> None:
    found = resolved(base_url="wss://x.test/v1?a=1&b=&model=old", model="new model", query={"a": "2", "c": "/&"})
    assert found.url == "wss://x.test/v1/realtime?a=2&b=&model=new%20model&c=%2F%26"
    found = resolved(base_url="wss://x.test", model="m", intent="transcription")
    assert found.url == "wss://x.test/realtime?model=m&intent=transcription"
    assert resolved(base_url="wss://x.test", model="m", query={"model": "n"}).url == "wss://x.test/realtime?model=n"


@pytest.mark.parametrize(
    "base_url",
    [
        "api.openai.com/v1",
        "ftp://x",
        "https://",
        "https://x:nan",
        "https://x:99999",
        "https://[x",
        "https://x/#part",
        "https://user:secret@x",
        "user:secret@x/v1",
        "/v1",
        "wss:x",
    ],
)
def test_base_urls_that_are_none(base_url: str) -> None:
    assert "base URL" in refusal(model="m", api_key=KEY, base_url=base_url)


def test_a_short_wrong_address_is_shown() -> None:
    assert "not 'api.openai.com/v1'" in refusal(model="m", api_key=KEY, base_url="api.openai.com/v1")


# Azure


@pytest.mark.parametrize("endpoint_url", [AZURE, AZURE + "/", AZURE + "/openai", AZURE + "/openai/v1/"])
def test_azure(endpoint_url: str) -> None:
    found = resolved(azure_endpoint=endpoint_url, model="my-deployment", api_key=KEY)
    assert found.url == "wss://res.openai.azure.com/openai/v1/realtime?model=my-deployment"
    assert own(found) == {"api-key": KEY}


@pytest.mark.parametrize(
    "base_url",
    [
        AZURE + "/openai/v1",
        AZURE + "/openai/v1/realtime",
        "wss://res.openai.azure.com",
        "https://res.services.ai.azure.com",
        "https://res.cognitiveservices.azure.com/openai/v1/",
    ],
)
def test_azure_by_its_domain(base_url: str) -> None:
    found = resolved({"AZURE_OPENAI_API_KEY": KEY}, base_url=base_url, model="d")
    assert found.url.endswith(".azure.com/openai/v1/realtime?model=d")
    assert own(found) == {"api-key": KEY}


def test_azure_with_an_entra_token() -> None:
    found = resolved(azure_endpoint=AZURE, model="d", azure_ad_token=lambda: KEY, api_key="unused")
    assert own(found) == {"Authorization": BEARER}
    environ = {"AZURE_OPENAI_ENDPOINT": AZURE, "AZURE_OPENAI_AD_TOKEN": KEY, "AZURE_OPENAI_API_KEY": "unused"}
    assert own(resolved(environ, model="d")) == {"Authorization": BEARER}
    assert own(resolved(environ, model="d", azure_endpoint=AZURE, api_key="mine")) == {"api-key": "mine"}


def test_azure_behind_another_name() -> None:
    found = resolved(base_url="https://gateway.test/azure", azure_ad_token=KEY, model="d")
    assert found.url == "wss://gateway.test/azure/openai/v1/realtime?model=d"
    found = resolved(azure_endpoint="https://gateway.test/azure/", api_key=KEY, model="d")
    assert found.url == "wss://gateway.test/azure/openai/v1/realtime?model=d"
    assert own(found) == {"api-key": KEY}


def test_the_preview_address_of_azure() -> None:
    found = resolved(azure_endpoint=AZURE, azure_api_version="2025-04-01-preview", model="d", api_key=KEY)
    assert found.url == "wss://res.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d"
    found = resolved(azure_endpoint=AZURE, azure_api_version="v", intent="transcription", api_key=KEY)
    assert found.url == "wss://res.openai.azure.com/openai/realtime?api-version=v&intent=transcription"


def test_azure_by_environment_only_when_nothing_of_openai_is_set() -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": AZURE, "AZURE_OPENAI_API_KEY": KEY}
    assert resolved(environ, model="d").url.startswith("wss://res.openai.azure.com/openai/v1/")
    assert resolved(environ, model="d", azure_api_version="v").url.startswith("wss://res.openai.azure.com/openai/realt")
    for more in ({"OPENAI_API_KEY": "sk"}, {"OPENAI_BASE_URL": "https://api.openai.com/v1", "OPENAI_API_KEY": "sk"}):
        assert resolved(environ | more, model="d").url.startswith("wss://api.openai.com/")
    assert resolved(environ, model="d", api_key="sk").url.startswith("wss://api.openai.com/")
    assert resolved(environ, base_url="wss://x.test").url == "wss://x.test/realtime"


def test_mistakes_with_azure() -> None:
    assert "deployment" in refusal(azure_endpoint=AZURE, api_key=KEY)
    assert "no credential for Azure" in refusal(azure_endpoint=AZURE, model="d")
    assert "not both" in refusal(azure_endpoint=AZURE, base_url="https://x", model="d", api_key=KEY)
    assert "AZURE_OPENAI_ENDPOINT" in refusal(azure_ad_token=KEY, model="d")
    assert "AZURE_OPENAI_ENDPOINT" in refusal({"OPENAI_API_KEY": KEY}, azure_api_version="v", model="d")
    assert own(resolved(azure_endpoint=AZURE, model="d", headers={"API-Key": "x"})) == {"API-Key": "x"}


# Credentials


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("secret\n", "line break"),
        (" secret", "blank"),
        ("sec ret-secret", "blank"),
        ("secret\r\nX-Evil: 1", "line break"),
        ("secret\0", "line break"),
        ("sécret-secret", "ASCII"),
        ("Bearer secret", "pass the key alone"),
    ],
)
def test_keys_that_cannot_be_right(key: str, says: str) -> None:
    assert says in refusal(model="m", api_key=key)
    assert says in refusal(model="m", api_key=lambda: key)
    if key.strip():
        assert says in refusal({"OPENAI_API_KEY": key}, model="m")
    assert says in refusal(model="m", azure_endpoint=AZURE, azure_ad_token=key)


def test_a_missing_key() -> None:
    assert "OPENAI_API_KEY" in refusal(model="m")
    assert "OPENAI_API_KEY" in refusal({"OPENAI_API_KEY": ""}, model="m")


def test_your_headers_win() -> None:
    headers = {"authorization": "Bearer mine", "user-agent": "me", "X-Other": ""}
    found = resolved(model="m", headers=headers)
    assert found.headers == headers
    assert resolved({"OPENAI_API_KEY": KEY}, model="m", headers=headers).headers == headers


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "secret\r\nY: 1"},
        {"X\n": "secret"},
        {"X": " secret"},
        {"X": "secret日"},
        {"": "secret"},
        {"X Y": "secret"},
        {"Host": "secret"},
        {"sec-websocket-key": "secret"},
        {"Connection": "secret"},
        {"Upgrade": "secret"},
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, str]) -> None:
    assert "header" in refusal(model="m", api_key=KEY, headers=headers)


def test_an_organization_cannot_break_out() -> None:
    assert "OpenAI-Organization" in refusal(model="m", api_key=KEY, organization="secret\r\nX: y")


def test_an_empty_model() -> None:
    assert "model is empty" in refusal(model=" ", api_key=KEY)
    assert "base_url is empty" in refusal(model="m", api_key=KEY, base_url="")
    assert "azure_endpoint is empty" in refusal(model="m", api_key=KEY, azure_endpoint=" ")


@pytest.mark.parametrize("value", ["no", "", 0, 1, None])
def test_only_true_lets_credentials_out_unencrypted(value: Any) -> None:
    told = refusal(model="m", base_url="http://example.com/v1", api_key=KEY, allow_insecure=value)
    assert "allow_insecure must be True or False" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": 5}, "model must be str, not int"),
        ({"base_url": 5}, "base_url must be str"),
        ({"azure_endpoint": b"x"}, "azure_endpoint must be str"),
        ({"intent": "translate"}, "intent must be one of realtime, transcription, translation"),
        ({"api_key": 5}, "api_key must be str or a function that returns str, not int"),
        ({"api_key": lambda: None}, "not NoneType"),
        ({"headers": {"x": 5}}, "mapping from str to str"),
        ({"headers": [("x", "y")]}, "mapping from str to str"),
    ],
)
def test_arguments_of_the_wrong_type(arguments: dict[str, Any], says: str) -> None:
    assert says in refusal({"OPENAI_API_KEY": KEY}, **{"model": "m", **arguments})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.1.2.3",
        "192.168.0.9",
        "172.16.0.1",
        "169.254.1.1",
        "[fd00::1]",
        "llm",
        "box.local",
        "llm.internal",
        "a.localhost",
        "nas.lan",
    ],
)
def test_no_tls_is_needed_nearby(host: str) -> None:
    assert resolved(base_url=f"http://{host}:1/v1", api_key=KEY).url == f"ws://{host}:1/v1/realtime"


@pytest.mark.parametrize(
    "host",
    [
        "x.test",
        "8.8.8.8",
        "8.8.8.8.",
        "[2606:4700::1111]",
        "local.test",
        # All of these are 8.8.8.8 to the system's look-up.
        "134744072",
        "0x08080808",
        "0x8.0x8.0x8.0x8",
        "010.8.8.8",
        "8.526344",
        "134744072.",
        "[::ffff:8.8.8.8]",
        "１３４７４４０７２",  # noqa: RUF001  digits of full width, which are looked up as plain ones
    ],
)
def test_credentials_do_not_travel_in_clear_text(host: str) -> None:
    assert "unencrypted" in refusal(base_url=f"http://{host}/v1", api_key=KEY)
    assert "unencrypted" in refusal({"OPENAI_API_KEY": KEY}, base_url=f"ws://{host}/v1")
    assert "unencrypted" in refusal(base_url=f"ws://{host}/v1", headers={"Cookie": "secret"})
    found = resolved(base_url=f"http://{host}/v1", api_key=KEY, allow_insecure=True)
    assert found.url == f"ws://{host}/v1/realtime"
    assert resolved(base_url=f"http://{host}/v1").url == f"ws://{host}/v1/realtime"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0xa.1", "[::ffff:10.0.0.1]", "localhost."])
def test_other_spellings_of_what_is_near(host: str) -> None:
    assert resolved(base_url=f"http://{host}/v1", api_key=KEY).url == f"ws://{host}/v1/realtime"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "X-Auth-Token", "api-key", "X-API-Key", "Cookie", "Ocp-Apim-Subscription-Key", "X-Client-Secret"],
)
def test_credentials_in_any_header_and_in_the_query_are_guarded(name: str) -> None:
    url = "http://x.test/v1"
    assert "unencrypted" in refusal(base_url=url, headers={name: "secret"})
    assert "unencrypted" in refusal(base_url=url, query={name: "secret"})
    assert "unencrypted" in refusal(base_url=f"{url}?{name}=secret")
    assert resolved(base_url=url, headers={name: "x"}, query={name: "y"}, allow_insecure=True)


def test_what_is_no_credential_may_travel_in_clear_text() -> None:
    harmless = {"X-Trace-Id": "1", "User-Agent": "me", "X-Region": "eu"}
    assert resolved(base_url="http://x.test/v1?sign=no", model="m", headers=harmless, query={"language": "de"})


def test_a_repr_shows_no_credential() -> None:
    found = resolved(
        model="gpt-realtime",
        api_key=KEY,
        headers={"X-Api-Key": "secret", "X-Note": "secret"},
        query={"token": "secret", "intent": "realtime"},
    )
    shown = repr(found)
    assert "secret" not in shown
    assert "api.openai.com/v1/realtime?model=gpt-realtime&token=...&intent=realtime" in shown
    assert "Authorization" in shown
    assert "wss://api.openai.com/v1/realtime'" not in shown
    assert repr(resolved(base_url="wss://x.test")).startswith(
        "Endpoint(url='wss://x.test/realtime', headers=<User-Agent>)"
    )


def test_endpoints_are_values() -> None:
    one, other = resolved(model="m", api_key=KEY), resolved(model="m", api_key=KEY)
    assert one == other
    with pytest.raises(AttributeError):
        one.url = "x"  # type: ignore[misc]


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_given_comes_out_safe_or_is_refused(model: str, key: str, name: str, value: str) -> None:
    try:
        found = resolve_endpoint(model=model, api_key=key, headers={name: value}, query={name: value}, environ={})
    except ConfigurationError:
        return
    assert found.url.isascii()
    assert found.url.isprintable()
    assert " " not in found.url
    for text in (*found.headers, *found.headers.values()):
        assert not set("\r\n\0") & set(text)


def test_public_names() -> None:
    assert set(endpoint.__all__) == {"Endpoint", "Intent", "Secret", "resolve_endpoint"}
