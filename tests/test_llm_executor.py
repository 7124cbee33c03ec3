"""The one loop that retries, falls over and waits, against scripted lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Purpose, Reply, Request, Role, Stop, Target, Usage
from src.worker.llm.policy import Backoff
from src.worker.llm.rate import LocalMeter, Meter, RateLimit, Turn, Unlimited
from src.worker.llm.seams import Answered, Line, Mending, Question, Unfit
from src.worker.llm_executor import Executor
from tests.helpers import Attempts
from tests.virtual_time import VIRTUAL, Backend, clock

pytestmark = pytest.mark.anyio

FIRST, SECOND, THIRD = Target("openai", "a"), Target("groq", "b"), Target("xai", "c")
REQUEST = Request((Message(Role.USER, "How are you?"),), max_tokens=100, temperature=0.0)
PURPOSE = Purpose("test")


@pytest.fixture
def anyio_backend() -> Backend:
    """Waits are measured by a clock that leaps: what they last is exact, whatever the machine does meanwhile."""
    return VIRTUAL


Script = Callable[[Request, int], Any]
"""Given the request and how many came before: text, a Reply, an error to raise, or seconds to hang."""


@dataclass
class ScriptedLine:
    target: Target
    script: Script
    requests: list[Request] = field(default_factory=list)
    inside: int = 0
    most: int = 0

    async def call(self, request: Request, *, timeout_sec: float) -> Reply:
        self.requests.append(request)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(0.002)
            outcome = self.script(request, len(self.requests) - 1)
            if isinstance(outcome, float):
                try:
                    async with asyncio.timeout(timeout_sec):
                        await asyncio.sleep(outcome)
                except TimeoutError:
                    raise LLMError(Kind.TIMEOUT, f"{self.target}: no answer", target=self.target) from None
                outcome = "late"
            if isinstance(outcome, LLMError):
                raise outcome
            if isinstance(outcome, Reply):
                return outcome
            return Reply(self.target, outcome, Stop.COMPLETE, Usage(10, 5), None, 0.01)
        finally:
            self.inside -= 1

    async def close(self) -> None:
        return None


class ScriptedLines:
    def __init__(self, scripts: dict[Target, Script]) -> None:
        self.lines = {target: ScriptedLine(target, script) for target, script in scripts.items()}

    async def line(self, target: Target) -> Line:
        return self.lines[target]

    def count(self, target: Target) -> int:
        return len(self.lines[target].requests)


class Purse:
    """A budget that counts."""

    def __init__(self, limit: Decimal | None = None) -> None:
        self.limit, self.held, self.spent = limit, Decimal(0), Decimal(0)

    @property
    def limited(self) -> bool:
        return self.limit is not None

    async def reserve(self, usd: Decimal) -> list[Decimal]:
        assert self.limit is not None
        if self.held + self.spent + usd > self.limit:
            raise LLMError(Kind.BUDGET, "nothing is left")
        self.held += usd
        return [usd]

    async def settle(self, hold: Any, actual: Decimal | None) -> None:
        (held,) = hold
        self.held -= held
        self.spent += held if actual is None else actual


class Tariff:
    """A cent per token; `unpriced` providers have no price."""

    def __init__(self, *unpriced: str) -> None:
        self.unpriced = unpriced

    def ceiling(self, target: Target, input_tokens: int, max_tokens: int | None) -> Decimal | None:
        return None if target.provider in self.unpriced else Decimal(input_tokens + (max_tokens or 0)) / 100

    def cost(self, target: Target, usage: Usage) -> tuple[Decimal, str] | None:
        if target.provider in self.unpriced:
            return None
        return Decimal(usage.input_tokens + usage.output_tokens) / 100, "test 2026-01-01"


class Words:
    def count(self, text: str, model: str) -> int:
        return len(text.split())

    def count_messages(self, messages: tuple[Message, ...], model: str) -> int:
        return sum(len(message.text.split()) for message in messages)

    def observe(self, messages: tuple[Message, ...], model: str, actual: int) -> None:
        return None


@dataclass
class Bench:
    executor: Executor
    lines: ScriptedLines
    log: Attempts
    purse: Purse

    async def ask(self, *targets: Target, seconds: float = 5.0, check: Any = None, request: Request = REQUEST) -> Any:
        question = Question(request, targets, PURPOSE, clock() + seconds, check or text_of)
        return await self.executor.ask(question)


def text_of(request: Request, reply: Reply) -> str:
    return reply.text


def bench(
    scripts: dict[Target, Script],
    *,
    meters: Callable[[str], Meter] = lambda _: Unlimited(),
    purse: Purse | None = None,
    tariff: Tariff | None = None,
    **options: Any,
) -> Bench:
    lines, log, purse = ScriptedLines(scripts), Attempts(), purse or Purse()
    executor = Executor(
        lines,
        meters=meters,
        budget=purse,
        money=tariff or Tariff(),
        tokens=Words(),
        recorder=log,
        clock=clock,
        now=lambda: datetime.now(UTC),
        rng=Random(1),
        backoff=options.pop("backoff", Backoff(base_sec=0.01, cap_sec=0.05)),
        **options,
    )
    return Bench(executor, lines, log, purse)


def always(outcome: Any) -> Script:
    return lambda request, number: outcome


def fails(kind: Kind, **fields: Any) -> LLMError:
    return LLMError(kind, kind.value, **fields)


def then(*outcomes: Any) -> Script:
    """One after the other; the last for ever."""
    return lambda request, number: outcomes[min(number, len(outcomes) - 1)]


async def test_the_first_target_answers_and_no_other_is_asked() -> None:
    b = bench({FIRST: always("fine"), SECOND: always("no")})
    answered: Answered[str] = await b.ask(FIRST, SECOND)
    assert (answered.answer, b.lines.count(SECOND)) == ("fine", 0)
    assert [one.outcome for one in answered.attempts] == ["ok"]
    assert answered.cost_usd == Decimal("0.15")


@pytest.mark.parametrize(
    "kind",
    sorted(set(Kind) - {Kind.INVALID, Kind.CONTEXT_LENGTH, Kind.REFUSED, Kind.UNSUPPORTED, Kind.RESTING}),
)
async def test_another_target_answers_at_once_whatever_failed(kind: Kind) -> None:
    b = bench({FIRST: always(fails(kind)), SECOND: always("fine")})
    began = clock()
    answered = await b.ask(FIRST, SECOND)
    assert answered.answer == "fine"
    assert clock() - began < 0.5
    assert (b.lines.count(FIRST), b.lines.count(SECOND)) == (1, 1)
    assert [one.outcome for one in answered.attempts] == [kind.value, "ok"]


@pytest.mark.parametrize("kind", [Kind.INVALID, Kind.CONTEXT_LENGTH, Kind.REFUSED])
async def test_a_request_that_is_wrong_everywhere_is_sent_once(kind: Kind) -> None:
    b = bench({FIRST: always(fails(kind)), SECOND: always("fine")})
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST, SECOND)
    assert (caught.value.kind, b.lines.count(FIRST), b.lines.count(SECOND)) == (kind, 1, 0)


@pytest.mark.parametrize(
    ("kind", "requests"), [(Kind.SERVER, 3), (Kind.CONNECTION, 3), (Kind.EMPTY, 2), (Kind.AUTH, 1), (Kind.UNKNOWN, 1)]
)
async def test_one_target_alone_is_tried_as_often_as_the_policy_says(kind: Kind, requests: int) -> None:
    b = bench({FIRST: always(fails(kind))})
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST)
    assert b.lines.count(FIRST) == requests == len(caught.value.attempts)


async def test_the_final_error_holds_every_attempt_of_every_target() -> None:
    b = bench({FIRST: always(fails(Kind.AUTH)), SECOND: always(fails(Kind.SERVER, status=503))})
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST, SECOND)
    error = caught.value
    assert (error.kind, error.status, error.retryable) == (Kind.SERVER, 503, True)
    assert [(one.target, one.outcome) for one in error.attempts] == [(FIRST, "auth"), *[(SECOND, "server")] * 3]
    assert b.log.attempts == list(error.attempts)


async def test_retry_after_is_a_floor_of_the_wait() -> None:
    b = bench({FIRST: then(fails(Kind.RATE_LIMITED, retry_after_sec=0.3), "fine")})
    began = clock()
    assert (await b.ask(FIRST)).answer == "fine"
    assert 0.3 <= clock() - began < 0.6


async def test_a_long_retry_after_rests_the_target_for_everybody() -> None:
    b = bench({FIRST: always(fails(Kind.RATE_LIMITED, retry_after_sec=3600.0)), SECOND: always("fine")})
    began = clock()
    answers = [(await b.ask(FIRST, SECOND)).answer for _ in range(20)]
    assert answers == ["fine"] * 20
    assert clock() - began < 1
    assert b.lines.count(FIRST) == 1


async def test_a_retry_after_beyond_the_deadline_is_reported_not_waited_for() -> None:
    b = bench({FIRST: always(fails(Kind.RATE_LIMITED, retry_after_sec=60.0))})
    began = clock()
    for requests in (1, 1):  # the second question knows already
        with pytest.raises(LLMError) as caught:
            await b.ask(FIRST, seconds=1.0)
        assert b.lines.count(FIRST) == requests
        assert caught.value.retryable
        assert caught.value.not_before_sec == pytest.approx(60, abs=2)
    assert clock() - began < 0.5


async def test_a_storm_of_rate_limits_costs_few_requests() -> None:
    b = bench({FIRST: always(fails(Kind.RATE_LIMITED, retry_after_sec=2.0)), SECOND: always("fine")})
    began = clock()
    answers = await asyncio.gather(*(b.ask(FIRST, SECOND) for _ in range(50)))
    assert [one.answer for one in answers] == ["fine"] * 50
    assert b.lines.count(FIRST) + b.lines.count(SECOND) <= 60
    assert clock() - began < 1


async def test_a_target_that_hangs_leaves_time_for_the_next() -> None:
    b = bench({FIRST: always(60.0), SECOND: always("fine")})
    began = clock()
    assert (await b.ask(FIRST, SECOND, seconds=1.0)).answer == "fine"
    assert clock() - began < 0.8


async def test_waiting_for_a_place_at_a_hanging_target_leaves_time_for_the_next_too() -> None:
    b = bench({FIRST: always(60.0), SECOND: always("fine")}, max_concurrency=2)
    answers = await asyncio.gather(*(b.ask(FIRST, SECOND, seconds=1.5) for _ in range(6)))
    assert [one.answer for one in answers] == ["fine"] * 6
    assert b.lines.lines[FIRST].most == 2


async def test_nothing_goes_beyond_the_deadline() -> None:
    b = bench({FIRST: always(60.0)})
    began = clock()
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST, seconds=0.4)
    assert caught.value.kind is Kind.TIMEOUT
    assert clock() - began < 0.7


async def test_a_breaker_opens_and_one_trial_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.worker.llm.health.OPEN_SEC", 0.3)
    down = True
    b = bench({FIRST: lambda request, number: fails(Kind.SERVER) if down else "back", SECOND: always("fine")})
    for _ in range(10):
        await b.ask(FIRST, SECOND)
    assert b.lines.count(FIRST) == 5
    assert b.executor.health.state(FIRST).breaker == "open"
    down = False
    await asyncio.sleep(0.35)
    answers = await asyncio.gather(*(b.ask(FIRST, SECOND) for _ in range(5)))
    assert sorted(one.answer for one in answers) == ["back", "fine", "fine", "fine", "fine"]
    assert (await b.ask(FIRST, SECOND)).answer == "back"
    assert b.executor.health.state(FIRST).breaker == "closed"


async def test_a_failed_trial_keeps_the_breaker_open_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.worker.llm.health.OPEN_SEC", 0.1)
    b = bench({FIRST: always(fails(Kind.SERVER)), SECOND: always("fine")})
    for _ in range(6):
        await b.ask(FIRST, SECOND)
    await asyncio.sleep(0.12)
    await b.ask(FIRST, SECOND)
    assert b.lines.count(FIRST) == 6
    assert b.executor.health.state(FIRST).resting_sec > 0.1


async def test_a_wrong_request_says_nothing_about_the_target() -> None:
    b = bench({FIRST: always(fails(Kind.INVALID))})
    for _ in range(10):
        with pytest.raises(LLMError):
            await b.ask(FIRST)
    assert b.lines.count(FIRST) == 10


async def test_a_key_that_does_not_work_rests_all_models_of_the_provider() -> None:
    other = Target("openai", "z")
    b = bench({FIRST: always(fails(Kind.AUTH)), other: always("fine"), SECOND: always("fine")})
    await b.ask(FIRST, SECOND)
    assert (await b.ask(other, SECOND)).reply.target == SECOND
    assert b.executor.health.state(other).why == "the key is not accepted"


def mended(request: Request, reply: Reply) -> str:
    if reply.text != "good":
        again = replace(request, messages=(*request.messages, Message(Role.USER, "mend it")))
        raise Unfit(Mending("wrong form", again))
    return reply.text


async def test_an_answer_of_the_wrong_form_gets_one_repair_turn_and_its_tokens_count() -> None:
    b = bench({FIRST: then("bad", "good"), SECOND: always("good")})
    answered = await b.ask(FIRST, SECOND, check=mended)
    assert [(one.outcome, one.repair) for one in answered.attempts] == [("malformed", False), ("ok", True)]
    assert b.lines.lines[FIRST].requests[1].messages[-1].text == "mend it"
    assert (answered.cost_usd, b.lines.count(SECOND)) == (Decimal("0.30"), 0)


async def test_after_a_failed_repair_the_next_target_gets_the_question_itself() -> None:
    b = bench({FIRST: always("bad"), SECOND: always("good")})
    answered = await b.ask(FIRST, SECOND, check=mended)
    assert [one.target for one in answered.attempts] == [FIRST, FIRST, SECOND]
    assert b.lines.lines[SECOND].requests[0] == REQUEST


async def test_a_form_that_nobody_masters_is_malformed_and_paid_for() -> None:
    b = bench({FIRST: always("bad"), SECOND: always("bad")})
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST, SECOND, check=mended)
    assert (caught.value.kind, len(caught.value.attempts)) == (Kind.MALFORMED, 3)
    assert caught.value.usage == Usage(30, 15)
    assert b.executor.health.state(FIRST).breaker == "closed"


async def test_a_model_that_takes_no_temperature_is_asked_without() -> None:
    refusal = fails(Kind.INVALID, rejected_parameter="temperature")
    b = bench({FIRST: then(refusal, "fine")})
    assert (await b.ask(FIRST)).answer == "fine"
    assert [one.temperature for one in b.lines.lines[FIRST].requests] == [0.0, None]


async def test_a_model_that_still_complains_without_temperature_is_not_asked_for_ever() -> None:
    b = bench({FIRST: always(fails(Kind.INVALID, rejected_parameter="temperature"))})
    with pytest.raises(LLMError):
        await b.ask(FIRST)
    assert b.lines.count(FIRST) == 2


async def test_money_is_set_aside_before_and_settled_after_every_try() -> None:
    b = bench({FIRST: then(fails(Kind.SERVER), "fine")}, purse=Purse(Decimal(10)))
    await b.ask(FIRST)
    assert (b.purse.held, b.purse.spent) == (Decimal(0), Decimal("0.15"))


async def test_a_budget_that_is_used_up_ends_the_question_before_anything_is_sent() -> None:
    b = bench({FIRST: always("fine")}, purse=Purse(Decimal("0.5")))
    with pytest.raises(LLMError) as caught:
        await b.ask(FIRST)
    assert (caught.value.kind, caught.value.retryable, b.lines.count(FIRST)) == (Kind.BUDGET, False, 0)


async def test_a_model_without_a_price_is_not_asked_under_a_budget() -> None:
    b = bench({FIRST: always("no"), SECOND: always("fine")}, purse=Purse(Decimal(10)), tariff=Tariff(FIRST.provider))
    assert (await b.ask(FIRST, SECOND)).answer == "fine"
    assert b.lines.count(FIRST) == 0
    assert "price is unknown" in (b.log.attempts[0].problem or "")


async def test_a_request_that_timed_out_may_be_billed_so_its_money_stays_spent() -> None:
    b = bench({FIRST: always(60.0), SECOND: always("fine")}, purse=Purse(Decimal(10)))
    await b.ask(FIRST, SECOND, seconds=0.6)
    assert b.purse.spent > Decimal("1.0")


async def test_an_unknown_price_is_unknown_not_zero() -> None:
    b = bench({FIRST: always("fine")}, tariff=Tariff(FIRST.provider))
    answered = await b.ask(FIRST)
    assert answered.cost_usd is None
    assert answered.attempts[0].price is None


async def test_missing_usage_is_estimated_and_says_so() -> None:
    b = bench({FIRST: always(Reply(FIRST, "three words here", Stop.COMPLETE, None, None, 0.1))})
    answered = await b.ask(FIRST)
    assert answered.attempts[0].usage == Usage(3, 3, estimated=True)


async def test_a_cancelled_question_frees_its_place_and_settles_its_money() -> None:
    b = bench({FIRST: then(60.0, "fine")}, purse=Purse(Decimal(10)), max_concurrency=1)
    task = asyncio.create_task(b.ask(FIRST))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert b.purse.held == 0
    assert (await b.ask(FIRST)).answer == "fine"


async def test_our_own_rate_limit_waits_its_turn_inside_the_deadline_and_goes_on_beyond_it() -> None:
    meter = LocalMeter(RateLimit(requests=60), clock)
    b = bench(
        {FIRST: always("one"), SECOND: always("two")},
        meters=lambda provider: meter if provider == "openai" else Unlimited(),
    )
    answers = [(await b.ask(FIRST, SECOND, seconds=1.0)).answer for _ in range(15)]
    assert answers == ["one"] * 10 + ["two"] * 5


async def test_the_meter_learns_what_a_call_really_used() -> None:
    settled: list[tuple[int, int]] = []

    class Watching(Unlimited):
        async def take(self, tokens: int, *, longest_sec: float) -> Turn:
            return Turn(True, 0.0)

        async def settle(self, reserved: int, used: int) -> None:
            settled.append((reserved, used))

    b = bench({FIRST: always("fine")}, meters=lambda _: Watching())
    await b.ask(FIRST)
    assert settled == [(103, 15)]  # three words by 1.3, and 100 at most to come


async def test_concurrency_grows_while_a_target_is_well_and_shrinks_at_a_rate_limit() -> None:
    b = bench({FIRST: always("fine")}, max_concurrency=24)
    await asyncio.gather(*(b.ask(FIRST) for _ in range(200)))
    assert 8 < b.lines.lines[FIRST].most <= 24
    b.lines.lines[FIRST].script = then(*[fails(Kind.RATE_LIMITED, retry_after_sec=0.01)] * 204, "fine")
    grown = b.executor._limit("openai").limit
    await b.ask(FIRST)
    assert b.executor._limit("openai").limit == grown // 2
