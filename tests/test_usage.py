"""Counting tokens, prices that the user brings, rate limits and the budget."""

from __future__ import annotations

import copy
import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_sync import events as e
from realtime_sync.errors import BudgetExceeded, ConfigurationError
from realtime_sync.state.usage import CostLimit, PriceTable, RateLimits, Tokens, UsageTally, Used, limits
from realtime_sync.state.usage.tokens import MODALITIES, used_by_response, used_by_transcription

# Round numbers that are easy to check, not anybody's prices.
PRICES: dict[str, Any] = {
    "talker": {
        "input": {"text": 10, "audio": 100, "image": 50},
        "cached": {"text": 1, "audio": 2},
        "output": {"text": 20, "audio": 200},
    },
    "listener": {"minute": 6},
    "reader": {"input": {"text": 1, "audio": 3}, "output": {"text": 5}},
}


def usage(text: int = 0, audio: int = 0, image: int = 0, cached: Any = None, out: tuple[int, int] = (0, 0)) -> e.Usage:
    details = e.InputTokenDetails(text_tokens=text, audio_tokens=audio, image_tokens=image)
    if cached is not None:
        details.cached_tokens = sum(cached)
        details.cached_tokens_details = e.CachedTokenDetails(text_tokens=cached[0], audio_tokens=cached[1])
    return e.Usage(
        total_tokens=text + audio + image + sum(out),
        input_tokens=text + audio + image,
        output_tokens=sum(out),
        input_token_details=details,
        output_token_details=e.OutputTokenDetails(text_tokens=out[0], audio_tokens=out[1]),
    )


def ended(response_id: str | None, used: e.Usage | None, event_id: str | None = None) -> e.ResponseDone:
    return e.ResponseDone(event_id=event_id, response=e.Response(id=response_id, usage=used))


def heard(item_id: Any, used: Any) -> e.ConversationItemInputAudioTranscriptionCompleted:
    return e.ConversationItemInputAudioTranscriptionCompleted(
        item_id=item_id, content_index=0, transcript="x", usage=used
    )


def tokens_heard(audio: int, output: int) -> e.TokenTranscriptionUsage:
    return e.TokenTranscriptionUsage(
        input_tokens=audio,
        output_tokens=output,
        total_tokens=audio + output,
        input_token_details=e.InputTokenDetails(text_tokens=0, audio_tokens=audio),
    )


def configured(model: str | None, transcription_model: Any = None) -> e.SessionUpdated:
    transcription: Any = transcription_model and e.InputTranscription(model=transcription_model)
    audio = e.AudioConfig(input=e.AudioInput(transcription=transcription))
    return e.SessionUpdated(session=e.RealtimeSessionConfig(model=model, audio=audio))


def tally_of(*events: e.ServerEvent) -> UsageTally:
    tally = UsageTally()
    for event in events:
        tally.apply(event)
    return tally


# Counting


def test_a_response_counts_by_modality_and_cached_tokens_are_among_the_input() -> None:
    used = used_by_response(usage(100, 50, 7, cached=(64, 10), out=(5, 40)))
    assert used == Used(Tokens(100, 50, 7), Tokens(64, 10), Tokens(5, 40))
    assert used.uncached == Tokens(36, 40, 7)
    assert used.total_tokens == 202


def test_a_server_without_details_is_counted_without_modalities() -> None:
    bare = e.Usage(input_tokens=10, output_tokens=4)
    assert used_by_response(bare) == Used(Tokens(other=10), Tokens(), Tokens(other=4))
    assert used_by_response(e.Usage()) == Used()


def test_cached_tokens_without_modality_are_taken_for_text_first() -> None:
    details = e.InputTokenDetails(text_tokens=50, audio_tokens=30, cached_tokens=60)
    assert used_by_response(e.Usage(input_token_details=details)).cached == Tokens(50, 10)
    everything = e.Usage(input_tokens=10, input_token_details=e.InputTokenDetails(cached_tokens=8))
    assert used_by_response(everything) == Used(Tokens(other=10), Tokens(other=8))


@given(
    st.builds(
        e.InputTokenDetails,
        **{f"{name}_tokens": st.none() | st.integers(-5, 100) for name in (*MODALITIES, "cached")},
        cached_tokens_details=st.none()
        | st.builds(
            e.CachedTokenDetails, **{f"{name}_tokens": st.none() | st.integers(-5, 100) for name in MODALITIES}
        ),
    ),
    st.none() | st.integers(-5, 300),
)
def test_whatever_a_server_reports_no_more_is_cached_than_given(details: e.InputTokenDetails, total: Any) -> None:
    used = used_by_response(e.Usage(input_tokens=total, input_token_details=details))
    for name in (*MODALITIES, "other"):
        assert 0 <= getattr(used.cached, name) <= getattr(used.input, name)
    given_by_modality = sum(max(0, getattr(details, f"{name}_tokens") or 0) for name in MODALITIES)
    assert used.input.total == max(total or 0, given_by_modality, 0)
    if details.cached_tokens is not None and details.cached_tokens_details is None:
        assert used.cached.total == min(max(0, details.cached_tokens), used.input.total)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.integers(0, 50)), max_size=10))
def test_a_response_counts_once_however_often_it_is_told(told: list[tuple[str, int, int]]) -> None:
    first = {name: (text, audio) for name, text, audio in reversed(told)}
    tally = tally_of(*(ended(name, usage(text, audio)) for name, text, audio in told))
    assert tally.total.input == Tokens(sum(t for t, _ in first.values()), sum(a for _, a in first.values()))
    assert {name: (used.input.text, used.input.audio) for name, used in tally.responses.items()} == first


@given(
    told=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9), st.sampled_from(["talker", "reader"]))),
    looks=st.sets(st.integers(0, 9)),
)
def test_whenever_somebody_looks_the_sums_are_the_same(told: list[tuple[str, int, str]], looks: set[int]) -> None:
    seen, unseen = UsageTally(), UsageTally()
    for n, (name, text, model) in enumerate(told):
        for tally in (seen, unseen):
            tally.apply(configured(model))
            tally.apply(ended(name, usage(text)))
        if n in looks:
            assert seen.total.input.text == sum(used.input.text for used in seen.responses.values())
    prices = PriceTable(PRICES)
    assert (seen.total, seen.responses, seen.cost(prices)) == (unseen.total, unseen.responses, unseen.cost(prices))


def test_threads_that_look_add_each_report_up_once() -> None:
    tally = tally_of(*(ended(f"r{n}", usage(1)) for n in range(500)))
    threads = [threading.Thread(target=lambda: tally.total) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.total == Used(Tokens(500))
    assert len(tally.responses) == 500


def test_a_report_is_not_lost_to_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = tally_of(ended("r", usage(3)), ended("s", usage(4)))

    def interrupted(_: object) -> Used:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("realtime_sync.state.usage.tally.used_by_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _ = tally.total
    assert tally.total == Used(Tokens(7))


def test_a_response_without_id_is_known_by_its_event() -> None:
    told = [ended(None, usage(1), "e1"), ended(None, usage(1), "e1"), ended(None, usage(1)), ended(None, usage(1))]
    assert tally_of(*told).total.input.text == 3
    assert tally_of(*told).responses == {}


def test_a_response_without_usage_counts_once_it_has_one() -> None:
    nothing: Any = None
    told = [ended("r", None), e.ResponseDone(response=nothing), ended("r", usage(5)), ended("r", usage(5))]
    assert tally_of(*told).total.input.text == 5


def test_transcriptions_count_apart_and_once() -> None:
    told = [ended("r", usage(5)), heard("i", tokens_heard(30, 8)), heard("i", tokens_heard(30, 8))]
    tally = tally_of(*told, heard("j", e.DurationTranscriptionUsage(seconds=2.5)))
    assert tally.total == Used(Tokens(text=5))
    assert tally.transcription == Used(Tokens(audio=30), Tokens(), Tokens(text=8), 2.5)
    assert repr(tally) == "<UsageTally: 5 input and 0 output tokens>"


def test_transcriptions_that_tell_nothing() -> None:
    told = [heard("i", None), heard("i", e.UnknownObject(type="words")), heard(None, tokens_heard(1, 0))]
    tally = tally_of(*told, heard(None, tokens_heard(1, 0)), heard("i", tokens_heard(1, 0)))
    assert tally.transcription == Used(Tokens(audio=3))
    assert used_by_transcription(e.DurationTranscriptionUsage(seconds=None)) == Used()  # type: ignore[arg-type]


def test_the_models_are_learned_from_the_configuration() -> None:
    tally = tally_of(configured("talker", "listener"), configured(None, None))
    assert (tally.model, tally.transcription_model) == ("talker", "listener")
    flat = e.FlatSessionConfig(model="old", input_audio_transcription=e.InputTranscription(model="reader"))
    tally.apply(e.SessionCreated(session=flat))
    assert (tally.model, tally.transcription_model) == ("old", "reader")
    for config in (e.TranscriptionSessionConfig(), e.RealtimeSessionConfig(audio=e.AudioConfig()), None):
        tally.apply(e.SessionUpdated(session=config))  # type: ignore[arg-type]
    tally.apply(e.UnknownEvent(type="x"))
    assert (tally.model, tally.transcription_model) == ("old", "reader")


# Prices


def test_each_modality_has_its_price_and_cached_tokens_their_own() -> None:
    used = Used(Tokens(100, 50, 8), Tokens(64, 10, 4), Tokens(5, 40))
    expected = (36 * 10 + 40 * 100 + 4 * 50) + (64 * 1 + 10 * 2 + 4 * 50) + (5 * 20 + 40 * 200)
    assert PriceTable(PRICES).cost(used, "talker") == pytest.approx(expected / 1e6)


def test_the_cost_of_a_session_is_that_of_its_models() -> None:
    told = [
        configured("talker", "listener"),
        ended("r", usage(1_000_000)),
        heard("i", e.DurationTranscriptionUsage(seconds=30)),
    ]
    told += [configured("talker", "reader"), heard("j", tokens_heard(1_000_000, 0))]
    assert tally_of(*told).cost(PriceTable(PRICES)) == pytest.approx(10 + 3 + 3)


def test_models_that_the_server_does_not_name() -> None:
    tally = tally_of(ended("r", usage(1_000_000)), heard("i", e.DurationTranscriptionUsage(seconds=60)))
    prices = PriceTable(PRICES)
    assert tally.cost(prices, model="talker", transcription_model="listener") == pytest.approx(16)
    with pytest.raises(ConfigurationError, match="does not name its model"):
        tally.cost(prices)
    everything = PriceTable({"*": {**PRICES["talker"], **PRICES["listener"]}})
    assert tally.cost(everything) == pytest.approx(16)


def test_a_dated_model_has_the_prices_of_its_family() -> None:
    prices = PriceTable(PRICES)
    assert prices.cost(Used(Tokens(1_000_000)), "talker-2030-01-31") == pytest.approx(10)
    with pytest.raises(ConfigurationError, match=r"no prices for 'talker-mini', only for talker, listener, reader"):
        prices.cost(Used(Tokens(1)), "talker-mini")


def test_tokens_without_modality_cost_the_dearest() -> None:
    assert PriceTable(PRICES).cost(Used(Tokens(other=1_000_000)), "talker") == pytest.approx(100)


@pytest.mark.parametrize(
    ("used", "model", "missing"),
    [
        (Used(Tokens(image=1)), "reader", "image tokens, input of reader"),
        (Used(Tokens(), Tokens(), Tokens(audio=1)), "reader", "audio tokens, output of reader"),
        (Used(Tokens(other=1)), "listener", "other tokens, input of listener"),
        (Used(seconds=1), "talker", "a minute of talker"),
    ],
)
def test_a_missing_price_is_told(used: Used, model: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        PriceTable(PRICES).cost(used, model)


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ([], "the price table: expected an object, not list"),
        ({"m": 5}, "the prices of m: expected an object, not int"),
        ({"m": {"inputs": {}}}, "the prices of m: 'inputs' is none of input, cached, output, minute"),
        ({"m": {"input": 5}}, "'input' of m: expected an object, not int"),
        ({"m": {"input": {"video": 5}}}, "'input' of m: 'video' is none of text, audio, image"),
        ({"m": {"input": {"text": "5"}}}, "'input' of m, text: '5' is no price"),
        ({"m": {"input": {"text": -1}}}, "'input' of m, text: -1 is no price"),
        ({"m": {"input": {"text": True}}}, "'input' of m, text: True is no price"),
        ({"m": {"minute": float("nan")}}, "'minute' of m: nan is no price"),
    ],
)
def test_mistakes_in_a_price_table_are_told_with_their_place(prices: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        PriceTable(prices)
    assert str(raised.value) == message


def test_a_price_table_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(PRICES), encoding="utf-8")
    table = PriceTable.load(path)
    assert repr(table) == "<PriceTable of talker, listener, reader>"
    table.require("talker")
    path.write_text("{", encoding="utf-8")
    for unreadable in (path, tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            PriceTable.load(unreadable)


def test_a_table_does_not_change_with_what_it_was_made_of() -> None:
    mine = {"m": {"input": {"text": 1}}}
    table = PriceTable(mine)
    mine["m"]["input"]["text"] = 1000
    assert table.cost(Used(Tokens(1_000_000)), "m") == pytest.approx(1)


# The budget


def test_the_budget_refuses_the_next_response() -> None:
    limit = CostLimit(10, PriceTable(PRICES))
    tally = tally_of(configured("talker"), ended("a", usage(999_999)))
    limit.check(tally)
    tally.apply(ended("b", usage(1)))
    with pytest.raises(BudgetExceeded, match="the session has cost 10 of at most 10") as raised:
        limit.check(tally)
    assert raised.value.cost == pytest.approx(10)
    assert raised.value.max_cost == 10


def test_a_model_without_price_is_refused_before_anything_is_spent() -> None:
    with pytest.raises(ConfigurationError, match="no prices for 'other'"):
        CostLimit(10, PriceTable(PRICES)).check(tally_of(configured("other")))
    CostLimit(10, PriceTable(PRICES), model="talker").check(tally_of())
    with pytest.raises(ConfigurationError, match="max_cost: -1 is no price"):
        CostLimit(-1, PriceTable(PRICES))


# Rate limits


def test_the_latest_report_of_each_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(limits, "now", lambda: clock[0])
    tokens = e.RateLimit(name="tokens", limit=1000, remaining=900, reset_seconds=6.0)
    requests = e.RateLimit(name="requests", limit=10, remaining=9)
    nothing: Any = None
    tally = tally_of(
        e.RateLimitsUpdated(rate_limits=[tokens, requests]),
        e.RateLimitsUpdated(rate_limits=[e.RateLimit(name="requests", limit=10, remaining=8), e.RateLimit(limit=3)]),
        e.RateLimitsUpdated(rate_limits=nothing),
    )
    assert [state.name for state in tally.limits] == ["tokens", "requests"]
    assert len(tally.limits) == 2
    assert (tally.limits.remaining("requests"), tally.limits.remaining("tokens")) == (8, 900)
    assert tally.limits["tokens"].resets_at == 106.0
    clock[0] = 104.0
    assert tally.limits["tokens"].resets_in_s == 2.0
    clock[0] = 110.0
    assert tally.limits["tokens"].resets_in_s == 0.0
    assert tally.limits["requests"].resets_in_s is None
    assert repr(tally.limits) == "<RateLimits: tokens 900 of 1000, requests 8 of 10>"


def test_limits_outlive_a_pickle() -> None:
    reported = RateLimits()
    reported.update([e.RateLimit(name="tokens", limit=1000, remaining=900)])
    restored = pickle.loads(pickle.dumps(reported))
    assert restored["tokens"] == reported["tokens"]


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda tally: pickle.loads(pickle.dumps(tally))])
def test_a_copy_of_the_tally_counts_on_its_own(copied: Any) -> None:
    tally = UsageTally()
    tally.apply(e.SessionCreated(session=e.RealtimeSessionConfig(model="m")))
    usage = e.Usage(input_tokens=3, output_tokens=2, total_tokens=5)
    tally.apply(e.ResponseDone(response=e.Response(id="r1", usage=usage)))
    tally.apply(e.RateLimitsUpdated(rate_limits=[e.RateLimit(name="tokens", limit=1000, remaining=900)]))
    restored = copied(tally)
    assert (restored.total, restored.model, repr(restored)) == (tally.total, "m", repr(tally))
    assert restored.responses == tally.responses
    assert restored.limits["tokens"] == tally.limits["tokens"]
    for response_id in ("r1", "r2"):  # the first is known
        restored.apply(e.ResponseDone(response=e.Response(id=response_id, usage=usage)))
    assert restored.total.total_tokens == 10
    assert tally.total.total_tokens == 5


def test_limits_that_were_never_reported() -> None:
    limits_of_nobody = RateLimits()
    assert limits_of_nobody.get("tokens") is None
    assert limits_of_nobody.remaining("tokens") is None
    assert repr(limits_of_nobody) == "<RateLimits: none reported>"


@pytest.mark.parametrize("wrong", [None, {}, PRICES, 5])
def test_what_is_no_price_table_is_refused(wrong: Any) -> None:
    told = f"prices must be a PriceTable: .*, not {type(wrong).__name__}"
    with pytest.raises(ConfigurationError, match=told):
        UsageTally().cost(wrong)
    with pytest.raises(ConfigurationError, match=told):
        CostLimit(1, wrong)
