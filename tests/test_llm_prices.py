"""What a call costs: exact, by the right model's price, and unknown where it is unknown."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.config_llm import PROVIDERS
from src.worker.errors import ConfigError
from src.worker.llm.exchange import Target, Usage
from src.worker.llm.price_files import load_prices, read_table
from src.worker.llm.prices import OPEN_OUTPUT_TOKENS, Price, Prices, Rate, Tier, built_in_table, ceiling, cost

D = Decimal
TABLE = load_prices(None)
CLAUDE = Price("anthropic", "m", Rate(D(3), D(15), D("0.3"), D("3.75")), "2025-11", "test")


def _own(tmp_path: Path, *entries: Any) -> Path:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"prices": entries}))
    return path


def _entry(**more: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "gpt-4o", "input": 1, "output": 2, "date": "2026-01", **more}


def test_one_token_costs_exactly_its_millionth() -> None:
    mini = TABLE.find(Target("openai", "gpt-4o-mini"))
    assert cost(Usage(1, 0), mini) == D("0.00000015")


def test_cached_tokens_are_charged_once_and_at_their_own_price() -> None:
    # 11 plain, 3 read from the cache, 2 written to it: the provider's adapter reports 16 input tokens.
    usage = Usage(16, 4, cached_tokens=3, cache_write_tokens=2)
    expected = (11 * D(3) + 3 * D("0.3") + 2 * D("3.75") + 4 * D(15)) / 1_000_000
    assert cost(usage, CLAUDE) == expected


def test_reasoning_is_part_of_the_output_and_not_charged_again() -> None:
    assert cost(Usage(5, 100, reasoning_tokens=80), CLAUDE) == cost(Usage(5, 100), CLAUDE)


def test_cached_tokens_counted_beside_the_input_never_make_a_call_cheaper() -> None:
    assert cost(Usage(3, 0, cached_tokens=10), CLAUDE) == 10 * D("0.3") / 1_000_000


@given(st.lists(st.tuples(*(st.integers(0, 10**7) for _ in range(4))), max_size=20))
def test_a_sum_of_costs_is_the_cost_of_the_sum(parts: list[tuple[int, int, int, int]]) -> None:
    usages = [Usage(plain + read + write, out, read, write) for plain, read, write, out in parts]
    costs = [cost(usage, CLAUDE) for usage in usages]
    whole = sum(usages, Usage(0, 0))
    assert sum((one for one in costs if one is not None), D(0)) == cost(whole, CLAUDE)


def test_what_is_unknown_costs_none_and_what_is_local_costs_nothing() -> None:
    assert TABLE.cost(Target("nvidia", "nvidia/llama-3.1-nemotron-70b-instruct"), Usage(10, 10)) is None
    assert TABLE.ceiling(Target("openai", "gpt-99"), 10, 10) is None
    assert cost(None, CLAUDE) is None
    assert cost(Usage(1, 1), None) is None
    local = TABLE.cost(Target("ollama", "llama3.2:3b"), Usage(10, 10))
    assert local is not None
    assert local[0] == 0
    assert TABLE.cost(Target("ollama", "gpt-oss:120b-cloud"), Usage(10, 10)) is None


@pytest.mark.parametrize(
    ("provider", "model", "listed"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gemini", "models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini", "gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic", "claude-sonnet-4-0", "claude-sonnet-4"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic", "claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile"),
        ("xai", "grok-4-0709", "grok-4"),
        ("mistral", "mistral-small-latest", "mistral-small"),
        ("deepseek", "deepseek-chat", "deepseek-chat"),
    ],
)
def test_a_version_of_a_model_has_the_models_price(provider: str, model: str, listed: str) -> None:
    found = TABLE.find(Target(provider, model))
    assert found is not None
    assert found.model == listed


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-mini-audio-preview"),
        ("openai", "gpt-4o-audio-preview-2024-10-01"),
        ("openai", "ft:gpt-4o-mini:acme::abc"),
        ("openai", "gpt-4"[:-1]),
        ("groq", "gpt-4o"),
        ("gemini", "gemini-2.5-flash-preview-05-20"),
        ("mistral", "mistral-small-2402"),
        ("anthropic", "claude-sonnet-4-6"),
        ("openai", "*"),
    ],
)
def test_a_name_that_only_begins_like_a_known_one_has_no_price(provider: str, model: str) -> None:
    assert TABLE.find(Target(provider, model)) is None


def test_every_entry_of_the_table_is_dated_names_its_source_and_is_found_under_its_own_name() -> None:
    prices = read_table(built_in_table(), "prices.json", default_source="")
    assert {price.provider for price in prices} == set(PROVIDERS) - {"nvidia"}  # no public price of NVIDIA's is known
    for price in prices:
        assert price.date
        assert price.source
        assert TABLE.find(Target(price.provider, price.model)) == price
        assert price.rate.cached <= price.rate.input
        no_output = price.provider == "ollama" or "embedding" in price.model
        assert price.rate.output >= price.rate.input or no_output


def test_long_context_is_charged_whole_at_its_tier() -> None:
    target = Target("gemini", "gemini-2.5-pro")
    at, over = TABLE.cost(target, Usage(200_000, 0)), TABLE.cost(target, Usage(200_001, 0))
    assert at is not None
    assert over is not None
    assert at[0] == 200_000 * D("1.25") / 1_000_000
    assert over[0] == 200_001 * D("2.5") / 1_000_000


@given(
    st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**5)
)
def test_no_call_costs_more_than_its_ceiling(tokens: int, more: int, read: int, write: int, out: int) -> None:
    price = Price(
        "anthropic", "m", CLAUDE.rate, "2025-11", "test", (Tier(200_000, Rate(D(6), D(22), D("0.6"), D("7.5"))),)
    )
    read = min(read, tokens)
    usage = Usage(tokens, out, read, min(write, tokens - read))
    spent, most = cost(usage, price), ceiling(price, tokens, out + more)
    assert spent is not None
    assert most is not None
    assert spent <= most


def test_an_open_end_of_output_is_set_aside_as_the_longest_there_is() -> None:
    assert ceiling(CLAUDE, 0, None) == OPEN_OUTPUT_TOKENS * D(15) / 1_000_000


def test_a_record_says_which_price_was_applied_and_where_cached_tokens_went_at_full_price() -> None:
    known, assumed = Target("openai", "gpt-4o-mini"), Target("openai", "gpt-4-turbo")
    usage = Usage(10, 0, cached_tokens=10)
    assert TABLE.cost(known, usage) == (D("0.00000075"), "openai/gpt-4o-mini@2025-08")
    assert TABLE.cost(assumed, usage) == (D("0.0001"), "openai/gpt-4-turbo@2025-08+cached-at-full-price")


def test_own_prices_win_under_every_name_of_the_model(tmp_path: Path) -> None:
    entries = [
        _entry(input="0.1", output=0.3, cached=0.05),
        _entry(provider="nvidia", model="nvidia/llama-3.1-nemotron-70b-instruct"),
        _entry(provider="anthropic", model="claude-sonnet-4"),
    ]
    prices = load_prices(_own(tmp_path, *entries))
    own = prices.find(Target("openai", "gpt-4o-2024-08-06"))
    assert own is not None
    assert (own.rate, own.source) == (Rate(D("0.1"), D("0.3"), D("0.05"), D("0.1")), "own.json")
    assert prices.cost(Target("nvidia", "nvidia/llama-3.1-nemotron-70b-instruct"), Usage(1, 0)) is not None
    alias = prices.find(Target("anthropic", "claude-sonnet-4-0"))
    assert alias is not None
    assert alias.source == "own.json"
    assert prices.find(Target("openai", "gpt-4o-mini")) == TABLE.find(Target("openai", "gpt-4o-mini"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (_entry(input=-1), "prices[1] (openai/gpt-4o): input: must be from 0"),
        (_entry(input="NaN"), "input: must be a finite number"),
        (_entry(output="Infinity"), "output: must be a finite number"),
        (_entry(output="-Infinity"), "output: must be a finite number"),
        (_entry(output=True), "output: must be a number"),
        (_entry(output=None), "output: is required"),
        (_entry(cached="1e-13"), "cached: has more than 12 decimals"),
        (_entry(cached="cheap"), "cached: 'cheap' is no number"),
        (_entry(input=10_000_000), "input: must be from 0 to 1,000,000"),
        (_entry(provider="acme"), "provider: 'acme' is none"),
        (_entry(model=" "), "model: must be text"),
        (_entry(date="soon"), "date: must be YYYY-MM"),
        (_entry(price=1), "unknown field 'price'"),
        (_entry(aliases="x"), "aliases: must be a list"),
        (_entry(tiers=[{"above": 0, "input": 1, "output": 1}]), "tiers[0].above: must be a whole number"),
        (_entry(tiers=[{"above": 5, "input": 1, "output": 1}] * 2), "tiers[1].above: must rise"),
        (_entry(cache_write=9, tiers=[{"above": 5, "input": 1, "output": 1}]), "tiers[0].cache_write: is required"),
        (_entry(tiers=["x"]), "tiers[0].must be an object"),
        (_entry(model="gpt-4.1"), "'gpt-4.1' has a price already"),
        ([], "prices[1]: must be an object"),
    ],
)
def test_a_bad_price_of_the_operator_is_refused_by_name(tmp_path: Path, entry: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_prices(_own(tmp_path, _entry(model="gpt-4.1"), entry))
    assert caught.value.message.startswith("LLM_PRICES_FILE: ")
    assert words in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"prices": [{"provider": "openai", "model": "m", "input": NaN}]}', "NaN is no price"),
        (b'{"prices": [{"provider": "openai", "model": "m", "input": 1, "input": 2}]}', "'input' stands twice"),
        (b"[]", "must be a JSON object"),
        (b'{"prices": [], "currency": "EUR"}', "unknown field 'currency'"),
        (b"\xff", "can't decode"),
        (b"{", "Expecting property name"),
    ],
)
def test_a_file_that_is_no_price_table_is_refused(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="LLM_PRICES_FILE") as caught:
        load_prices(path)
    assert words in caught.value.message


def test_a_price_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LLM_PRICES_FILE: cannot be read: No such file"):
        load_prices(tmp_path / "absent.json")


def test_prices_without_a_table_know_nothing() -> None:
    assert Prices([]).find(Target("ollama", "llama3.2")) is None
