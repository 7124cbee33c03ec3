"""llmock grades how the whole loop behaves at faulty servers, provider by provider: its verdict must be PASS."""

from __future__ import annotations

import time
from typing import Any

import pytest

from src.worker.config import load_settings
from src.worker.llm.budget import Unlimited
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Purpose, Request, Role
from src.worker.llm.price_files import load_prices
from src.worker.llm_adapter import LLMAdapter, text_of
from tests.helpers import Attempts
from tests.llm_doubles.judge import JUDGED, Judge

pytest_plugins = ("tests.llm_doubles.fixtures",)
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("provider", JUDGED)]

QUESTION = Request((Message(Role.USER, "Does it rain in the mountains today, or only here?"),), 50, 0.0)


async def ask(judge: Judge, provider: str, log: Attempts, seconds: float) -> str:
    account: dict[str, Any] = {f"{provider}_api_key": "key", f"{provider}_base_url": judge.base_url(provider)}
    settings = load_settings(_env_file=None, llm_provider=provider, **account)
    llm = LLMAdapter(settings, recorder=log, money=load_prices(None), budget=Unlimited())
    try:
        await llm._pool.line(llm.targets[0])  # an import may take longer than these deadlines
        answered = await llm.ask(QUESTION, purpose=Purpose("test"), deadline=time.monotonic() + seconds, check=text_of)
        return answered.answer
    finally:
        await llm.close()


def passed(judge: Judge, attempts: int) -> None:
    verdict = judge.verdict()
    assert verdict["passed"], judge.report()
    assert (verdict["errors"], verdict["attempts"]) == (0, attempts), judge.report()


async def test_a_rate_limit_is_waited_out_as_long_as_the_server_asks(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 429, retry_after=1)
    log, began = Attempts(), time.monotonic()
    assert await ask(llmock_server, provider, log, seconds=30)
    assert time.monotonic() - began >= 1
    assert [one.outcome for one in log.attempts] == ["rate_limited", "ok"]
    passed(llmock_server, attempts=2)


async def test_a_server_that_stumbles_twice_answers_the_third_time(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 503, times=2)
    log = Attempts()
    assert await ask(llmock_server, provider, log, seconds=30)
    assert [one.outcome for one in log.attempts] == ["server", "server", "ok"]
    passed(llmock_server, attempts=3)


async def test_a_server_that_is_down_is_given_up_after_three_tries(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 503, times=None)
    log = Attempts()
    with pytest.raises(LLMError) as caught:
        await ask(llmock_server, provider, log, seconds=30)
    assert (caught.value.kind, caught.value.retryable, len(log.attempts)) == (Kind.SERVER, True, 3)
    passed(llmock_server, attempts=3)


async def test_a_key_that_is_refused_is_never_tried_again(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 401, times=None)
    log = Attempts()
    with pytest.raises(LLMError) as caught:
        await ask(llmock_server, provider, log, seconds=30)
    assert (caught.value.kind, caught.value.retryable) == (Kind.AUTH, False)
    passed(llmock_server, attempts=1)


async def test_a_wait_beyond_the_deadline_is_reported_at_once(llmock_server: Judge, provider: str) -> None:
    llmock_server.fail(provider, 429, times=None, retry_after=60)
    log, began = Attempts(), time.monotonic()
    with pytest.raises(LLMError) as caught:
        await ask(llmock_server, provider, log, seconds=40)
    assert time.monotonic() - began < 30, "importing the provider takes seconds at most"
    assert caught.value.kind is Kind.RATE_LIMITED
    assert caught.value.not_before_sec == pytest.approx(60, abs=15)
    passed(llmock_server, attempts=1)
