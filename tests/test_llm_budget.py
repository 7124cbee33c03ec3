"""The daily budget: never overspent by any number of workers, never lost to a crash, a repeat or an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from src.worker.errors import QueueUnavailable
from src.worker.llm.budget import BudgetState, DailyBudget, DayHold, Unlimited
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.seams import Budget
from src.worker.redis_client import RedisClient

pytestmark = pytest.mark.anyio
D = Decimal


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(redis_url)
    yield client
    await client.close()


def _budget(redis: RedisClient, clock: Clock, limit: str = "1") -> DailyBudget:
    return DailyBudget(redis, D(limit), now=clock)


async def _figures(budget: DailyBudget) -> tuple[Decimal, Decimal, Decimal]:
    state = await budget.state()
    return state.spent, state.reserved, state.left


async def test_fifty_reservations_of_two_workers_at_once_never_exceed_the_limit(
    redis: RedisClient, redis_url: str, clock: Clock
) -> None:
    other_redis = RedisClient(redis_url)
    workers = (_budget(redis, clock), _budget(other_redis, clock))
    results = await asyncio.gather(*(workers[n % 2].reserve(D("0.03")) for n in range(50)), return_exceptions=True)
    granted = [one for one in results if isinstance(one, DayHold)]
    refused = [one for one in results if isinstance(one, LLMError)]
    assert (len(granted), len(refused)) == (33, 17)
    assert {one.kind for one in refused} == {Kind.BUDGET}
    assert await _figures(workers[0]) == (D(0), D("0.99"), D("0.01"))
    await other_redis.close()


async def test_spent_money_never_exceeds_the_limit_while_calls_cost_what_was_set_aside_or_less(
    redis: RedisClient, clock: Clock
) -> None:
    budget = _budget(redis, clock)
    places = asyncio.Semaphore(5)

    async def call(n: int) -> int:
        async with places:
            try:
                hold = await budget.reserve(D("0.05"))
            except LLMError:
                return 0
            await budget.settle(hold, D("0.05") if n % 2 else D("0.02"))
            return 1

    done = sum([await one for one in asyncio.as_completed([call(n) for n in range(100)])])
    spent, reserved, _ = await _figures(budget)
    assert done >= 20
    assert D("0.9") < spent <= D(1)
    assert reserved == 0


async def test_a_refusal_says_what_is_left_and_a_smaller_call_still_goes(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock, "0.01")
    await budget.settle(await budget.reserve(D("0.009")), D("0.0085"))
    held = await budget.reserve(D("0.0005"))
    with pytest.raises(LLMError) as caught:
        await budget.reserve(D("0.0012"))
    assert caught.value.kind is Kind.BUDGET
    assert not caught.value.retryable
    assert caught.value.message == (
        "the daily budget of 0.01 USD has 0.001 USD left (0.0005 USD are set aside for calls under way);"
        " this call may cost up to 0.0012 USD"
    )
    await budget.reserve(D("0.001"))
    assert held.nano_usd == 500_000


async def test_the_whole_limit_can_be_spent_to_the_last_nano(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock, "0.000000003")
    for _ in range(3):
        await budget.settle(await budget.reserve(D("0.000000001")), D("0.0000000001"))  # rounded up, never to nothing
    with pytest.raises(LLMError):
        await budget.reserve(D("0.0000000001"))
    assert await _figures(budget) == (D("3E-9"), D(0), D(0))


async def test_what_a_crashed_worker_held_is_free_after_fifteen_minutes(redis: RedisClient, clock: Clock) -> None:
    await _budget(redis, clock).reserve(D("0.8"))  # and never settled
    other = _budget(redis, clock)
    clock.forward(minutes=14.9)
    with pytest.raises(LLMError):
        await other.reserve(D("0.5"))
    clock.forward(minutes=0.2)
    await other.reserve(D("0.5"))
    assert await _figures(other) == (D(0), D("0.5"), D("0.5"))


async def test_settling_twice_counts_once(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock)
    hold = await budget.reserve(D("0.5"))
    for amount in (D("0.2"), D("0.2"), D("0.4"), None):
        await budget.settle(hold, amount)
    assert await _figures(budget) == (D("0.2"), D(0), D("0.8"))


async def test_a_settlement_after_the_hold_has_ended_is_counted_once_too(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock)
    hold = await budget.reserve(D("0.5"))
    clock.forward(minutes=20)
    assert await _figures(budget) == (D(0), D(0), D(1))
    await budget.settle(hold, D("0.3"))
    await budget.settle(hold, D("0.3"))
    assert await _figures(budget) == (D("0.3"), D(0), D("0.7"))


async def test_a_call_of_unknown_cost_has_cost_what_was_set_aside(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock)
    await budget.settle(await budget.reserve(D("0.25")), None)
    assert await _figures(budget) == (D("0.25"), D(0), D("0.75"))


async def test_a_call_that_cost_more_than_set_aside_is_counted_whole_and_nothing_is_left(
    redis: RedisClient, clock: Clock
) -> None:
    budget = _budget(redis, clock)
    await budget.settle(await budget.reserve(D("0.5")), D("1.5"))
    assert await _figures(budget) == (D("1.5"), D(0), D(0))
    with pytest.raises(LLMError, match="has 0 USD left"):
        await budget.reserve(D("0.000001"))


async def test_a_new_day_has_a_budget_of_its_own_and_late_settlements_belong_to_their_day(
    redis: RedisClient, clock: Clock
) -> None:
    budget = _budget(redis, clock)
    clock.now = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
    hold = await budget.reserve(D(1))
    clock.forward(seconds=2)
    assert await budget.state() == BudgetState("2026-03-02", D(1), D(0), D(0))
    await budget.settle(hold, D("0.9"))
    assert await _figures(budget) == (D(0), D(0), D(1))
    clock.forward(seconds=-2)
    assert await _figures(budget) == (D("0.9"), D(0), D("0.1"))


async def test_the_keys_of_a_day_go_after_three_days(redis: RedisClient, clock: Clock) -> None:
    budget = _budget(redis, clock)

    async def ages() -> list[int]:
        return [await redis.call("TTL", key) for key in await redis.call("KEYS", "worker:llm:budget:*")]

    first, _ = await budget.reserve(D("0.1")), await budget.reserve(D("0.1"))
    before = await ages()
    await budget.settle(first, None)
    for found in (before, await ages()):
        assert len(found) == 3
        assert all(2 * 86_400 < age <= 3 * 86_400 for age in found)


async def test_without_redis_no_call_is_allowed() -> None:
    client = RedisClient("redis://127.0.0.1:1/0")
    budget = DailyBudget(client, D(1), now=Clock())
    with pytest.raises(QueueUnavailable):
        await budget.reserve(D("0.1"))
    await client.close()


class _Away:
    """A client whose Redis can be taken away."""

    def __init__(self, client: RedisClient) -> None:
        self.client, self.away, self.hang = client, False, False
        self.hangs = asyncio.Event()

    async def call(self, *words: str | bytes | int) -> object:
        if self.away:
            raise QueueUnavailable("gone")
        reply = await self.client.call(*words)
        if self.hang:
            self.hangs.set()
            await asyncio.Event().wait()
        return reply


async def test_costs_that_come_while_redis_is_away_are_settled_when_it_is_back(
    redis: RedisClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    door = _Away(redis)
    budget = DailyBudget(door, D(1), now=clock)  # type: ignore[arg-type]
    holds = [await budget.reserve(D("0.2")) for _ in range(3)]
    door.away = True
    for hold in holds:
        await budget.settle(hold, D("0.1"))
    assert budget.unsettled == 3
    assert "settled later" in caplog.text
    door.away = False
    assert await _figures(budget) == (D("0.3"), D(0), D("0.7"))
    assert budget.unsettled == 0


async def test_a_settlement_that_is_cancelled_on_its_way_is_made_once(redis: RedisClient, clock: Clock) -> None:
    door = _Away(redis)
    budget = DailyBudget(door, D(1), now=clock)  # type: ignore[arg-type]
    hold = await budget.reserve(D("0.2"))
    door.hang = True
    settling = asyncio.create_task(budget.settle(hold, D("0.1")))
    await door.hangs.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    door.hang = False
    assert budget.unsettled == 1
    await budget.close()
    assert budget.unsettled == 0
    assert await _figures(budget) == (D("0.1"), D(0), D("0.9"))


async def test_every_known_state_of_today_is_told(redis: RedisClient, clock: Clock) -> None:
    told: list[Decimal] = []
    budget = DailyBudget(redis, D(1), now=clock, on_change=lambda state: told.append(state.left))
    await budget.settle(await budget.reserve(D("0.4")), D("0.1"))
    assert told == [D("0.6"), D("0.9")]


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity"])
async def test_what_is_no_amount_is_refused(redis: RedisClient, clock: Clock, amount: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        await _budget(redis, clock).reserve(D(amount))


async def test_without_a_limit_everything_is_allowed_and_both_fit_the_executors_seam(
    redis: RedisClient, clock: Clock
) -> None:
    budgets: list[Budget] = [Unlimited(), _budget(redis, clock)]
    assert [one.limited for one in budgets] == [False, True]
    for _ in range(3):
        await budgets[0].settle(await budgets[0].reserve(D(10**9)), None)
    assert await Unlimited().state() is None
