"""What happens to model calls at the edges: load, cancellation, damaged memory, clocks that run out."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from src.worker import strictjson
from src.worker.config import load_settings
from src.worker.errors import ConfigError
from src.worker.llm.budget import DailyBudget
from src.worker.llm.budget import Unlimited as NoBudget
from src.worker.llm.cache import ResponseCache
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Purpose, Reply, Request, Role, Stop, Target, Usage
from src.worker.llm.health import CONSECUTIVE, OPEN_SEC, Health
from src.worker.llm.operations import OPERATIONS
from src.worker.llm.operations.mentions import OneMention
from src.worker.llm.policy import Backoff
from src.worker.llm.price_files import load_prices
from src.worker.llm.rate import LocalMeter, Meter, RateLimit, Turn, Unlimited
from src.worker.llm.roster import configured_targets
from src.worker.llm.seams import Budget, Line, Mending, Question, Unfit
from src.worker.llm.tokens import TokenCounter
from src.worker.llm_adapter import LLMAdapter, text_of
from src.worker.llm_executor import Executor
from src.worker.redis_client import RedisClient
from tests.helpers import Attempts
from tests.virtual_time import VIRTUAL, Backend, clock, pass_by

pytestmark = pytest.mark.anyio

FIRST, SECOND = Target("openai", "gpt-4o-mini"), Target("groq", "llama-3.3-70b-versatile")
REQUEST = Request((Message(Role.USER, "How are you?"),), max_tokens=100, temperature=0.0)
GOOD = '{"sales_intent": true, "confidence": 0.9, "intent_type": "none", "pain_point": null}'


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Backend | str:
    """Waits are measured by a clock that leaps, whatever the machine does meanwhile; not so beside a real Redis."""
    return "asyncio" if "redis_url" in request.fixturenames else VIRTUAL


Speak = Callable[[Request, int, float], Any]
"""Given the request, how many came before and its time: a text, an error to raise, or an awaitable of either."""


@dataclass
class Lines:
    """Lines whose answers a test writes."""

    speak: dict[Target, Speak]
    asked: list[tuple[Target, Request]] = field(default_factory=list)

    async def line(self, target: Target) -> Line:
        return _Line(target, self)

    def requests(self, target: Target) -> list[Request]:
        return [request for asked, request in self.asked if asked == target]


@dataclass
class _Line:
    target: Target
    lines: Lines

    async def call(self, request: Request, *, timeout_sec: float) -> Reply:
        number = len(self.lines.requests(self.target))
        self.lines.asked.append((self.target, request))
        said = self.lines.speak[self.target](request, number, timeout_sec)
        if asyncio.iscoroutine(said):
            said = await said
        if isinstance(said, LLMError):
            raise said
        return Reply(self.target, said, Stop.COMPLETE, Usage(10, 5), None, 0.01)

    async def close(self) -> None:
        return None


@dataclass
class Bench:
    executor: Executor
    lines: Lines
    log: Attempts

    async def ask(self, *targets: Target, seconds: float = 5.0, check: Any = text_of) -> Any:
        return await self.executor.ask(Question(REQUEST, targets, Purpose("test"), clock() + seconds, check))


def bench(
    speak: dict[Target, Speak],
    *,
    meters: Callable[[str], Meter] = lambda _: Unlimited(),
    budget: Budget | None = None,
    rng: Random | None = None,
    **options: Any,
) -> Bench:
    lines, log = Lines(speak), Attempts()
    executor = Executor(
        lines,
        meters=meters,
        budget=budget or NoBudget(),
        money=load_prices(None),
        tokens=TokenCounter(environ={}),
        recorder=log,
        clock=clock,
        now=lambda: datetime.now(UTC),
        rng=rng or Random(1),
        backoff=Backoff(base_sec=0.01, cap_sec=0.05),
        **options,
    )
    return Bench(executor, lines, log)


async def late(seconds: float, text: str, limit: float) -> str:
    """A model that takes its time, on a line that keeps to its own."""
    if seconds > limit:
        await asyncio.sleep(limit)
        raise LLMError(Kind.TIMEOUT, "no answer in time")
    await asyncio.sleep(seconds)
    return text


async def test_load_beyond_our_own_places_does_not_open_the_breaker_of_a_model_that_is_well() -> None:
    # 0.2 s per answer, two places, one second for everybody: ten of twenty-five get an answer, no more can.
    b = bench({FIRST: lambda request, number, limit: late(0.2, "fine", limit)}, max_concurrency=2)
    outcomes = await asyncio.gather(*(b.ask(FIRST, seconds=1.05) for _ in range(25)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in outcomes) >= 8
    assert all(one.kind is Kind.TIMEOUT for one in outcomes if isinstance(one, LLMError))
    for _ in range(CONSECUTIVE):  # places that come free when little time is left
        await asyncio.gather(*(b.ask(FIRST, seconds=0.3) for _ in range(4)), return_exceptions=True)
    assert b.executor.health.state(FIRST).breaker == "closed"
    assert (await b.ask(FIRST)).answer == "fine"


async def test_a_model_that_hangs_for_a_whole_turn_does_open_it() -> None:
    b = bench({FIRST: lambda request, number, limit: late(60.0, "", limit), SECOND: lambda *_: "fine"})
    answers = await asyncio.gather(*(b.ask(FIRST, SECOND, seconds=0.4) for _ in range(CONSECUTIVE)))
    assert [one.answer for one in answers] == ["fine"] * CONSECUTIVE
    assert b.executor.health.state(FIRST).breaker == "open"


async def test_calls_from_before_a_breaker_opened_do_not_decide_its_trial() -> None:
    now = 0.0
    health = Health(lambda: now)
    for _ in range(CONSECUTIVE):
        assert health.begin(FIRST) is False
        health.failed(FIRST, trial=False)
    now = OPEN_SEC
    assert health.begin(FIRST) is True
    health.abandoned(FIRST, trial=False)  # a call of before, cancelled
    health.failed(FIRST, trial=False)  # another, that failed late
    assert health.available_at(FIRST)[1] == "breaker half open"  # one trial at a time
    health.abandoned(FIRST, trial=True)
    assert health.available_at(FIRST)[1] is None


async def test_a_cancelled_trial_leaves_the_trial_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.worker.llm.health.OPEN_SEC", 0.05)
    down: list[Any] = [LLMError(Kind.SERVER, "down")] * CONSECUTIVE
    b = bench(
        {FIRST: lambda request, number, limit: down[number] if number < CONSECUTIVE else late(0.1, "back", limit)}
    )
    for _ in range(CONSECUTIVE):
        with pytest.raises(LLMError):
            await b.ask(FIRST, seconds=0.06)
        if b.executor.health.state(FIRST).breaker == "open":
            break
    await asyncio.sleep(0.06)
    trial = asyncio.create_task(b.ask(FIRST))
    await asyncio.sleep(0.02)
    trial.cancel()
    await asyncio.wait({trial})
    assert (await b.ask(FIRST)).answer == "back"
    assert b.executor.health.state(FIRST).breaker == "closed"


async def test_no_wait_for_a_rest_goes_beyond_the_deadline() -> None:
    class Latest(Random):
        def uniform(self, a: float, b: float) -> float:
            return b

    b = bench({FIRST: lambda *_: "fine"}, rng=Latest())
    b.executor.health.rest(FIRST, 0.9, "rate limit")
    began = clock()
    assert (await b.ask(FIRST, seconds=0.97)).answer == "fine"
    assert clock() - began < 0.97


def fitting(request: Request, reply: Reply) -> str:
    if reply.text != "good":
        mend = replace(request, messages=(*request.messages, Message(Role.USER, "mend it")))
        raise Unfit(Mending("wrong form", mend))
    return reply.text


async def test_an_answer_is_mended_also_after_a_body_that_was_none() -> None:
    said = [LLMError(Kind.MALFORMED, "a page of HTML"), "bad", "good"]
    b = bench({FIRST: lambda request, number, limit: said[number]})
    answered = await b.ask(FIRST, check=fitting)
    assert [(one.outcome, one.repair) for one in answered.attempts] == [
        ("malformed", False),
        ("malformed", False),
        ("ok", True),
    ]


async def test_only_the_model_that_gave_the_wrong_form_is_shown_its_answer_again() -> None:
    b = bench({FIRST: lambda *_: "good", SECOND: lambda request, number, limit: ["bad", "good"][number]})
    b.executor.health.rest(FIRST, 0.05, "rate limit")

    def slowly(request: Request, reply: Reply) -> str:
        pass_by(0.06)  # the first model's rest ends while the second's answer is looked at
        return fitting(request, reply)

    answered = await b.ask(FIRST, SECOND, check=slowly)
    assert [one.target for one in answered.attempts] == [SECOND, SECOND]
    assert not b.lines.requests(FIRST)


async def test_a_request_that_was_cancelled_on_the_wire_is_in_the_books() -> None:
    b = bench({FIRST: lambda request, number, limit: late(1.0, "", limit)})
    task = asyncio.create_task(b.ask(FIRST))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait({task})
    assert len(b.lines.asked) == 1
    assert [(one.outcome, one.usage, one.cost_usd) for one in b.log.attempts] == [("cancelled", None, None)]


async def test_a_check_that_breaks_does_not_lose_what_the_call_has_cost() -> None:
    def broken(request: Request, reply: Reply) -> str:
        raise ZeroDivisionError

    b = bench({FIRST: lambda *_: "fine"})
    with pytest.raises(ZeroDivisionError):
        await b.ask(FIRST, check=broken)
    assert [(one.outcome, one.usage) for one in b.log.attempts] == [("unknown", Usage(10, 5))]
    assert b.log.attempts[0].cost_usd is not None


async def test_cancelled_questions_leave_no_place_and_no_tokens_of_a_minute_behind() -> None:
    meter = LocalMeter(RateLimit(requests=6000, tokens=60_000), clock)
    b = bench({FIRST: lambda request, number, limit: late(0.02, "fine", limit)}, meters=lambda _: meter)
    for _ in range(5):
        tasks = [asyncio.create_task(b.ask(FIRST)) for _ in range(40)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert b.executor.concurrency("openai")["now"] == 0
    assert (await b.ask(FIRST)).answer == "fine"


async def test_what_a_refused_budget_took_from_the_minute_is_given_back() -> None:
    class Empty(NoBudget):
        @property
        def limited(self) -> bool:
            return True

        async def reserve(self, usd: Decimal) -> Any:
            raise LLMError(Kind.BUDGET, "nothing is left")

    settled: list[int] = []

    class Watching(Unlimited):
        async def take(self, tokens: int, *, longest_sec: float) -> Turn:
            return Turn(True, 0.0)

        async def settle(self, reserved: int, used: int) -> None:
            settled.append(used)

    b = bench({FIRST: lambda *_: "fine"}, budget=Empty(), meters=lambda _: Watching())
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST)
    assert (caught.value.kind, settled, b.lines.asked) == (Kind.BUDGET, [0], [])


async def test_an_answer_whose_call_is_cancelled_while_the_minute_is_settled_is_paid_for() -> None:
    paid: list[Decimal | None] = []

    class Watched(NoBudget):
        @property
        def limited(self) -> bool:
            return True

        async def settle(self, hold: Any, actual: Decimal | None) -> None:
            paid.append(actual)

    class Slow(Unlimited):
        async def settle(self, reserved: int, used: int) -> None:
            await asyncio.sleep(5)

    b = bench({FIRST: lambda *_: "fine"}, budget=Watched(), meters=lambda _: Slow())
    task = asyncio.create_task(b.ask(FIRST))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert len(paid) == 1
    assert paid[0] is not None
    assert [(one.outcome, one.cost_usd) for one in b.log.attempts] == [("cancelled", paid[0])]


async def test_an_answer_is_not_thrown_away_because_the_books_are_slow() -> None:
    class Slow(Unlimited):
        async def settle(self, reserved: int, used: int) -> None:
            await asyncio.sleep(5)

    b = bench({FIRST: lambda *_: "fine"}, meters=lambda _: Slow())
    assert (await b.ask(FIRST, seconds=0.2)).answer == "fine"
    assert len(b.lines.asked) == 1


async def test_a_storm_of_cancelled_reservations_leaves_the_budget_whole(redis_url: str) -> None:
    redis = RedisClient(redis_url)
    try:
        budget = DailyBudget(redis, Decimal(1), now=lambda: datetime.now(UTC))
        await budget.state()
        for round_ in range(10):
            tasks = [asyncio.create_task(budget.reserve(Decimal("0.01"))) for _ in range(20)]
            for _ in range(round_):  # at different moments of the exchange with Redis
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled():
                    await budget.settle(task.result(), Decimal(0))
        state = await budget.state()
        assert (state.reserved, state.spent) == (Decimal(0), Decimal(0))
    finally:
        await redis.close()


@pytest.mark.parametrize(
    "change",
    [
        {"text": 7},
        {"text": None},
        {"text": ["{}"]},
        {"provider": {}},
        {"served_model": 3},
        {"usage": [1e300, "x"]},
        {"usage": "12"},
        {"stop": "later"},
    ],
)
async def test_a_kept_answer_of_the_wrong_shape_is_nothing_kept(
    redis_url: str, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.worker.llm.cache.PATIENCE_SEC", 30.0)  # a machine that stalls is no Redis that hangs
    redis = RedisClient(redis_url)
    try:
        cache = ResponseCache(redis, ttl_sec=60)
        good = {"provider": "openai", "model": "m", "served_model": None, "text": "{}", "stop": "stop", "usage": [1, 2]}
        await redis.call("SET", "worker:llm:cache:k", strictjson.dumps(good))
        assert (await cache.get("k")) is not None
        await redis.call("SET", "worker:llm:cache:k", strictjson.dumps(good | change))
        kept = await cache.get("k")
        assert kept is None or isinstance(kept.text, str)
        assert kept is None or change == {"usage": "12"}
    finally:
        await redis.close()


async def test_counting_a_very_long_prompt_does_not_hold_the_event_loop() -> None:
    text = "Das Produkt ist gut, aber (leider) zu teuer! 12.5 EUR\n" * 20_000
    b = bench({FIRST: lambda *_: "fine"})
    request = replace(REQUEST, messages=(Message(Role.USER, text),))
    began = time.thread_time()
    TokenCounter(environ={}).count_messages(request.messages, FIRST.model)
    counting = time.thread_time() - began
    worst, over = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not over.is_set():
            began = time.thread_time()  # of this thread alone: what others of the machine take is not ours
            await asyncio.sleep(0.001)
            worst = max(worst, time.thread_time() - began)

    gc.disable()  # a collection over all that other tests have left might be counted as ours
    try:
        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await b.executor.ask(Question(request, (FIRST,), Purpose("test"), clock() + 20, text_of))
        over.set()
        await watching
    finally:
        gc.enable()
    assert worst < counting / 2  # all of it if it were counted in the loop


class Hanging(RedisClient):
    """A server that takes the connection and says nothing."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1/0")

    async def call(self, *words: Any) -> Any:
        await asyncio.sleep(60)


async def test_a_redis_that_hangs_costs_a_question_a_moment_and_no_answer() -> None:
    operation, one = OPERATIONS["commercial_intent"], OneMention("Acme", "I would buy it")
    target = configured_targets(load_settings(_env_file=None, llm_provider="openai", openai_api_key="k"))[0]
    llm = adapter(Lines({target: lambda *_: GOOD}), redis=Hanging(), llm_rate_limit_rpm=60)
    began = clock()
    answers = await asyncio.gather(
        *(llm.run(operation, replace(one, text=f"{n}"), operation.read, deadline_sec=4) for n in range(5))
    )
    assert [answer.reused for answer in answers] == [None] * 5
    assert clock() - began < 3.5


def adapter(lines: Lines, redis: RedisClient | None = None, **settings: Any) -> LLMAdapter:
    llm = LLMAdapter(
        load_settings(_env_file=None, llm_provider="openai", openai_api_key="sk-one", **settings),
        recorder=Attempts(),
        money=load_prices(None),
        budget=NoBudget(),
        redis=redis,
        clock=clock,
    )
    llm.executor._lines = lines
    return llm


async def test_whoever_joins_a_question_under_way_keeps_to_its_own_deadline() -> None:
    operation, one = OPERATIONS["commercial_intent"], OneMention("Acme", "I would buy it")
    target = configured_targets(load_settings(_env_file=None, llm_provider="openai", openai_api_key="k"))[0]
    llm = adapter(Lines({target: lambda request, number, limit: late(0.6, GOOD, limit)}))
    first = asyncio.create_task(llm.run(operation, one, operation.read, deadline_sec=5))
    await asyncio.sleep(0.05)
    began = clock()
    with pytest.raises(LLMError) as caught:
        await llm.run(operation, one, operation.read, deadline_sec=0.2)
    assert caught.value.kind is Kind.TIMEOUT
    assert clock() - began < 0.4
    assert (await first).reused is None


async def test_no_time_left_is_not_taken_for_the_usual_deadline() -> None:
    operation, one = OPERATIONS["commercial_intent"], OneMention("Acme", "I would buy it")
    lines = Lines({})
    with pytest.raises(LLMError) as caught:
        await adapter(lines).run(operation, one, operation.read, deadline_sec=0.0)
    assert (caught.value.kind, lines.asked) == (Kind.TIMEOUT, [])


async def test_a_provider_whose_package_is_missing_does_not_keep_the_others_from_answering() -> None:
    missing = LLMError(Kind.UNSUPPORTED, "openai: the package of its adapter is not installed")
    b = bench({FIRST: lambda *_: missing, SECOND: lambda *_: "fine"})
    for _ in range(2):
        assert (await b.ask(FIRST, SECOND)).answer == "fine"
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST)
    assert (caught.value.kind, caught.value.retryable) == (Kind.UNSUPPORTED, False)


@pytest.mark.parametrize(
    "url",
    ["http://host:99999", "http://:80", "http://host/v1?key=1", "http://host/v1#a", "http://a host/v1", "http://[::1"],
)
def test_a_base_url_that_no_request_could_use_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="OPENAI_BASE_URL"):
        load_settings(_env_file=None, openai_base_url=url)


@pytest.mark.parametrize("url", ["http://[::1]:8000/v1", "HTTPS://Example.org", " http://user:secret@host/v1 "])
def test_a_base_url_of_a_server_is_taken_without_the_blanks_around_it(url: str) -> None:
    assert load_settings(_env_file=None, openai_base_url=url).openai_base_url == url.strip()


@pytest.mark.parametrize("order", ["google,gemini", "gemini,Google , gemini"])
def test_a_provider_that_is_named_under_both_its_names_is_asked_once(order: str) -> None:
    settings = load_settings(_env_file=None, llm_provider=order, gemini_api_key="k", openai_api_key="k")
    assert [target.provider for target in configured_targets(settings)] == ["gemini", "openai"]
