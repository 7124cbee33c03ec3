"""Tokens are counted at once: exactly where the tables lie in the cache, else by estimates that learn. No download."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from src.worker.llm.exchange import Message, Role
from src.worker.llm.seams import TokenCounts
from src.worker.llm.tokens import (
    EXACT_MAX,
    MESSAGE_TOKENS,
    MODELS_MAX,
    REPLY_TOKENS,
    TABLES,
    TokenCounter,
    estimate,
    load_table,
)

ENGLISH = (
    "The update arrived this morning and I have to say that the new version of the app feels much faster than before. "
    "Support answered within an hour, and the person on the phone was friendly and knew what they were talking about."
)
GERMAN = (
    "Die neue Version der Anwendung ist heute Morgen angekommen, und ich muss sagen, dass sie sich deutlich schneller "
    "anfühlt als vorher. Der Kundendienst hat innerhalb einer Stunde geantwortet und war sehr freundlich."
)
CHINESE = "新版本的应用程序今天早上发布了，我必须说它比以前快得多。客服在一个小时内就回复了，而且态度非常友好。"
RUSSIAN = (
    "Новая версия приложения вышла сегодня утром, и должен сказать, что она работает гораздо быстрее, чем раньше. "
    "Служба поддержки ответила в течение часа, и сотрудник был очень вежлив."
)
HINDI = "ऐप का नया संस्करण आज सुबह आया और मुझे कहना होगा कि यह पहले से बहुत तेज़ लगता है। सहायता ने एक घंटे में उत्तर दिया।"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("token counting reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def counter(tmp_path: Path) -> TokenCounter:
    """Its cache is empty."""
    return TokenCounter(environ={"TIKTOKEN_CACHE_DIR": str(tmp_path)})


def user(text: str) -> tuple[Message, ...]:
    return (Message(Role.USER, text),)


def until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the table was not read within thirty seconds"
        time.sleep(0.005)


class Words:
    """An encoder with one token per word."""

    def encode_ordinary(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]


def cached(tmp_path: Path, name: str, content: bytes = b"table") -> Path:
    path = TABLES[name].path({"TIKTOKEN_CACHE_DIR": str(tmp_path)})
    assert path is not None
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("text", "characters_per_token"),
    [(ENGLISH, 5.3), (GERMAN, 5.2), (CHINESE, 1.56), (RUSSIAN, 4.84), (HINDI, 3.44)],
)
def test_an_estimate_is_within_a_third_of_what_the_script_was_measured_to_need(
    text: str, characters_per_token: float
) -> None:
    assert estimate(text) * characters_per_token / len(text) == pytest.approx(1, abs=0.33)


def test_dense_text_is_not_counted_like_prose() -> None:
    json_text = '{"id":"a81f","score":0.75,"tags":["x","y"],"user":{"name":"ann","age":41}}' * 5
    assert len(json_text) / estimate(json_text) < 3.6
    assert len("🎉🔥😀" * 50) / estimate("🎉🔥😀" * 50) < 1
    assert estimate("1234567890" * 30) == 100


def test_the_start_is_the_same_in_every_process(counter: TokenCounter, tmp_path: Path) -> None:
    other = TokenCounter(environ={"TIKTOKEN_CACHE_DIR": str(tmp_path)})
    for text in (ENGLISH, CHINESE, RUSSIAN):
        assert counter.count(text, "llama3.2") == other.count(text, "llama3.2") == round(estimate(text))


def test_nothing_has_no_tokens_and_anything_has_some(counter: TokenCounter) -> None:
    assert counter.count("", "x") == 0
    assert counter.count(" ", "x") == counter.count("a", "x") == 1
    assert counter.count_messages((), "x") == REPLY_TOKENS
    assert counter.count_messages(user("a"), "x") == REPLY_TOKENS + MESSAGE_TOKENS + 1


def test_estimates_learn_from_real_usage_per_model(counter: TokenCounter) -> None:
    messages = user(RUSSIAN)
    truth = 2 * counter.count_messages(messages, "dear")
    for _ in range(30):
        counter.observe(messages, "dear", truth)
    assert counter.count_messages(messages, "dear") == pytest.approx(truth, rel=0.02)
    assert counter.ratio("other") == 1.0


def test_one_odd_count_moves_the_ratio_by_a_fifth_and_none_moves_it_out_of_bounds(counter: TokenCounter) -> None:
    counter.observe(user(ENGLISH), "m", 10**9)
    assert counter.ratio("m") == pytest.approx(1 + 0.2 * 3)
    for _ in range(200):
        counter.observe(user(ENGLISH), "m", 10**9)
    assert counter.ratio("m") == pytest.approx(4)
    for _ in range(200):
        counter.observe(user(ENGLISH), "m", 9)
    assert counter.ratio("m") == pytest.approx(0.25)


@pytest.mark.parametrize("actual", [0, -5, 3])
def test_counts_that_say_nothing_teach_nothing(counter: TokenCounter, actual: int) -> None:
    counter.observe(user(ENGLISH), "m", actual)
    counter.observe(user("short"), "m", 500)
    assert counter.ratio("m") == 1.0


def test_memory_is_bounded_to_the_models_last_used(counter: TokenCounter) -> None:
    for number in range(MODELS_MAX + 10):
        counter.observe(user(ENGLISH), f"m{number}", 500)
    assert counter.ratio("m0") == 1.0
    assert counter.ratio(f"m{MODELS_MAX + 9}") > 1.0


def test_without_a_table_in_the_cache_the_tokenizer_is_not_even_imported(
    counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)  # importing it would fail
    before = threading.active_count()
    assert counter.count(ENGLISH, "gpt-4o-mini") == round(estimate(ENGLISH))
    assert not counter.exact("gpt-4o-mini")
    assert threading.active_count() == before


def test_a_cache_that_is_switched_off_has_no_table() -> None:
    assert TABLES["o200k_base"].path({"TIKTOKEN_CACHE_DIR": ""}) is None
    assert not TokenCounter(environ={"TIKTOKEN_CACHE_DIR": ""}).exact("gpt-4o")


def test_tables_are_looked_for_where_the_tokenizer_keeps_them(tmp_path: Path) -> None:
    constants = {}
    import tiktoken_ext.openai_public as public

    for name in TABLES:
        constants[name] = getattr(public, name).__code__.co_consts
        assert TABLES[name].url in constants[name]
        assert any(TABLES[name].sha256 == one or TABLES[name].sha256 in str(one) for one in constants[name])
    path = TABLES["o200k_base"].path({"DATA_GYM_CACHE_DIR": str(tmp_path)})
    assert path == tmp_path / "fb374d419588a4632f3f557e76b4b70aebbca790"
    assert TABLES["cl100k_base"].path({}).name == "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"  # type: ignore[union-attr]


def test_a_table_is_read_in_a_thread_while_the_estimator_counts(tmp_path: Path) -> None:
    cached(tmp_path, "o200k_base")
    released, reader = threading.Event(), []

    def load(name: str, path: Path) -> Words:
        assert (name, path.read_bytes()) == ("o200k_base", b"table")
        reader.append(threading.current_thread())
        assert released.wait(30)
        return Words()

    counter = TokenCounter(environ={"TIKTOKEN_CACHE_DIR": str(tmp_path)}, load=load)
    assert counter.count("one two three", "gpt-4o") == round(estimate("one two three"))
    assert not counter.exact("gpt-4o")
    released.set()
    until(lambda: counter.exact("gpt-4o"))
    assert counter.count("one two three, four", "gpt-4o") == 4
    assert counter.exact("o3-mini")
    assert not counter.exact("claude-sonnet-4")
    assert not counter.exact("gpt-4")  # another table
    assert len(reader) == 1
    assert reader[0] is not threading.current_thread()
    counter.observe(user(ENGLISH), "gpt-4o", 500)
    assert counter.count("one two", "gpt-4o") == 2  # exact counts are not corrected


def test_a_text_too_long_for_the_event_loop_is_estimated(tmp_path: Path) -> None:
    cached(tmp_path, "o200k_base")
    counter = TokenCounter(environ={"TIKTOKEN_CACHE_DIR": str(tmp_path)}, load=lambda *_: Words())
    until(lambda: counter.exact("gpt-4o"))
    text = "internationalisation " * (EXACT_MAX // 21 + 1)
    assert counter.count(text[: EXACT_MAX // 21 * 21], "gpt-4o") == EXACT_MAX // 21
    assert counter.count(text, "gpt-4o") == round(estimate(text)) > len(text.split())


def test_a_file_that_is_not_the_published_one_is_left_alone(tmp_path: Path) -> None:
    path = cached(tmp_path, "o200k_base", b"something else")
    assert load_table("o200k_base", path) is None
    assert path.read_bytes() == b"something else"


@pytest.mark.parametrize("failure", [OSError("gone"), ValueError("broken"), ImportError("not installed")])
def test_a_table_that_cannot_be_read_leaves_the_estimator(
    tmp_path: Path, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    cached(tmp_path, "cl100k_base")
    done = threading.Event()

    def load(*_: Any) -> Words:
        done.set()
        raise failure

    counter = TokenCounter(environ={"TIKTOKEN_CACHE_DIR": str(tmp_path)}, load=load)
    assert counter.count(ENGLISH, "gpt-4") == round(estimate(ENGLISH))
    assert done.wait(30)
    until(lambda: "token counts stay estimates" in caplog.text)
    assert not counter.exact("gpt-4")
    assert counter.count(ENGLISH, "gpt-4") == round(estimate(ENGLISH))


@pytest.mark.parametrize("unit", ["a", " ", "新", "{", "🎉", "9", "\n ", "é", "a1 ", "\u0301"])
def test_estimating_is_linear(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        began = time.process_time()
        estimate(text)
        return time.process_time() - began

    assert min(seconds(80_000) for _ in range(3)) < 8 * min(seconds(20_000) for _ in range(3)) + 0.05


def test_it_is_what_the_loop_needs(counter: TokenCounter) -> None:
    part: TokenCounts = counter
    assert part.count_messages(user("hello"), "m") > 0


def test_real_tables_count_exactly_where_they_are_cached() -> None:
    import os

    path = TABLES["o200k_base"].path(os.environ)
    if (
        path is None
        or not path.is_file()
        or hashlib.sha256(path.read_bytes()).hexdigest() != TABLES["o200k_base"].sha256
    ):
        pytest.skip("no table of the tokenizer in the local cache")
    counter = TokenCounter()
    counter.count("x", "gpt-4o")
    until(lambda: counter.exact("gpt-4o"))
    assert counter.count("hello world", "gpt-4o") == 2
