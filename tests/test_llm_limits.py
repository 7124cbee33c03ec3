"""Rate limits that are never exceeded, places that are never lost, answers that are asked for once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.llm import cache, rate
from src.worker.llm.cache import ResponseCache, SingleFlight, cache_key
from src.worker.llm.concurrency import AdaptiveLimit
from src.worker.llm.errors import Kind
from src.worker.llm.exchange import Message, Reply, Request, Role, Stop, Target, Usage
from src.worker.llm.policy import RULES, Backoff
from src.worker.llm.rate import LocalMeter, RateLimit, SharedMeter
from src.worker.redis_client import RedisClient

pytestmark = pytest.mark.anyio

TARGET = Target("openai", "a")
REQUEST = Request((Message(Role.USER, "How are you?"),), max_tokens=100, temperature=0.0)


@pytest.fixture
async def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RedisClient]:
    # A machine that stalls for a second or two is no Redis that hangs.
    monkeypatch.setattr(rate, "PATIENCE_SEC", 30.0)
    monkeypatch.setattr(cache, "PATIENCE_SEC", 30.0)
    client = RedisClient(redis_url)
    yield client
    await client.close()


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@settings(max_examples=60, deadline=None)
@given(requests=st.integers(1, 400), gaps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=300))
def test_no_sixty_seconds_see_more_requests_than_allowed(requests: int, gaps: list[float]) -> None:
    clock = Hand()
    meter = LocalMeter(RateLimit(requests=requests), clock)
    sent: list[float] = []
    for gap in gaps:
        clock.now += gap
        turn = asyncio.run(meter.take(1, longest_sec=3600.0))
        assert turn.granted
        sent.append(clock.now + turn.wait_sec)
    for start in sent:
        assert sum(start <= one < start + 59.999 for one in sent) <= requests


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=100))
def test_no_sixty_seconds_see_more_tokens_than_allowed(sizes: list[int]) -> None:
    clock = Hand()
    limit = RateLimit(tokens=6000)
    meter = LocalMeter(limit, clock)
    sent = [(clock.now + asyncio.run(meter.take(size, longest_sec=1e6)).wait_sec, size) for size in sizes]
    for start, _ in sent:
        # One that is larger than may come at once is let through when all before it has been worked off.
        assert sum(size for at, size in sent if start <= at < start + 59.999) <= 6000 + 3000


async def test_a_call_that_would_wait_too_long_takes_nothing_from_the_others() -> None:
    clock = Hand()
    meter = LocalMeter(RateLimit(requests=6), clock)
    assert (await meter.take(1, longest_sec=0.0)).granted
    refused = await meter.take(1, longest_sec=1.0)
    assert not refused.granted
    assert refused.wait_sec == pytest.approx(10.0)
    clock.now += 10.0
    assert (await meter.take(1, longest_sec=0.0)).granted


async def test_replicas_share_one_meter_and_never_take_more_than_it_has(redis: RedisClient) -> None:
    provider = f"p{time.monotonic_ns()}"
    limit = RateLimit(requests=12)  # two at once, then one every five seconds: more than a machine stalls
    replicas = [SharedMeter(redis, provider, limit, time.monotonic) for _ in range(3)]
    turns = await asyncio.gather(*(replicas[n % 3].take(1, longest_sec=600.0) for n in range(30)))
    waits = sorted(turn.wait_sec for turn in turns)
    assert all(turn.granted for turn in turns)
    assert sum(wait == 0 for wait in waits) == limit.request_burst
    later, apart = waits[limit.request_burst :], limit.request_us / 1e6
    assert [b - a for a, b in pairwise(later)] == [pytest.approx(apart, abs=apart / 2)] * (len(later) - 1)


async def test_shared_and_local_meters_agree(redis: RedisClient) -> None:
    limit = RateLimit(requests=120, tokens=1_200)  # a hundred tokens are six seconds
    shared = SharedMeter(redis, f"q{time.monotonic_ns()}", limit, time.monotonic)
    local = LocalMeter(limit, time.monotonic)
    for tokens in (100, 900, 50, 4000, 10, 700):
        one, other = await shared.take(tokens, longest_sec=600), await local.take(tokens, longest_sec=600)
        assert one.wait_sec == pytest.approx(other.wait_sec, abs=3)  # the machine may stall between the two


async def test_tokens_that_were_not_used_are_given_back(redis: RedisClient) -> None:
    limit = RateLimit(tokens=6_000)
    meter = SharedMeter(redis, f"r{time.monotonic_ns()}", limit, time.monotonic)
    await meter.take(1_000, longest_sec=0)
    assert not (await meter.take(900, longest_sec=0)).granted  # nor in the next ten seconds
    await meter.settle(1_000, 20)
    assert (await meter.take(900, longest_sec=0)).granted


async def test_without_redis_a_process_keeps_the_limit_alone(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = RedisClient("redis://127.0.0.1:1/0")
    meter = SharedMeter(nowhere, "openai", RateLimit(requests=6), Hand())
    turns = [await meter.take(1, longest_sec=0.0) for _ in range(3)]
    assert [turn.granted for turn in turns] == [True, False, False]
    await nowhere.close()


async def test_a_cancelled_waiter_never_takes_a_place_with_it() -> None:
    limit = AdaptiveLimit(1, Hand())
    await limit.enter()
    waiters = [asyncio.create_task(limit.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    limit.leave()  # the place goes to the first that still waits, also if it is cancelled in that moment
    waiters[1].cancel()
    await asyncio.wait(waiters, timeout=30)
    assert [one.cancelled() for one in waiters] == [True, True, False]
    assert limit.inside == 1


def test_waits_spread_and_never_undercut_what_the_provider_asked_for() -> None:
    rng, backoff = Random(7), Backoff(base_sec=1.0, cap_sec=8.0)
    for tries in range(6):
        waits = [backoff.wait(Kind.SERVER, tries, None, rng) for _ in range(200)]
        assert 0 <= min(waits) < 0.2 * min(8.0, 2.0**tries)
        assert max(waits) <= min(8.0, 2.0**tries)
    asked = [backoff.wait(Kind.RATE_LIMITED, 0, 5.0, rng) for _ in range(200)]
    assert 5.0 <= min(asked) < max(asked) <= 6.0
    assert len({round(one, 2) for one in asked}) > 20


def test_fixed_steps_end_with_the_last() -> None:
    backoff = Backoff(rate_limit_steps=(30, 60, 90, 120))
    assert [backoff.wait(Kind.RATE_LIMITED, n, None, Random(1)) for n in range(4)] == [30, 60, 90, 120]
    assert (backoff.tries(Kind.RATE_LIMITED), backoff.tries(Kind.SERVER)) == (4, RULES[Kind.SERVER].again)


def test_every_kind_of_failure_has_a_rule() -> None:
    assert set(RULES) == set(Kind)


async def test_equal_questions_at_the_same_time_make_one_call() -> None:
    calls = 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02)
        return calls

    flight = SingleFlight[int]()
    outcomes = await asyncio.gather(*(flight.do("k", call) for _ in range(20)))
    assert calls == 1
    assert sorted(joined for _, joined in outcomes) == [False] + [True] * 19
    assert await flight.do("k", call) == (2, False)


async def test_who_gives_up_waiting_does_not_spoil_it_for_the_others() -> None:
    begun, answer, cancelled = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def call() -> str:
        begun.set()
        try:
            await answer.wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "fine"

    flight = SingleFlight[str]()
    first, second = (asyncio.create_task(flight.do("k", call)) for _ in range(2))
    await begun.wait()
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()
    answer.set()
    assert (await second)[0] == "fine"
    assert not cancelled.is_set()
    begun.clear()
    answer.clear()
    alone = asyncio.create_task(flight.do("k", call))
    await begun.wait()
    alone.cancel()
    await asyncio.wait({alone})
    async with asyncio.timeout(30):
        await cancelled.wait()


async def test_a_failure_reaches_everybody_who_waits_and_is_not_kept() -> None:
    async def fails() -> str:
        await asyncio.sleep(0.01)
        raise ValueError("no")

    async def works() -> str:
        return "fine"

    flight = SingleFlight[str]()
    outcomes = await asyncio.gather(*(flight.do("k", fails) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in outcomes] == [ValueError] * 3
    assert (await flight.do("k", works))[0] == "fine"


def test_the_key_of_an_answer_changes_with_all_that_decides_it() -> None:
    key = cache_key(REQUEST, (TARGET,), "p1")
    assert key == cache_key(REQUEST, (TARGET,), "p1")
    others = [
        cache_key(REQUEST, (TARGET,), "p2"),
        cache_key(REQUEST, (Target("openai", "b"),), "p1"),
        cache_key(Request(REQUEST.messages, max_tokens=99, temperature=0.0), (TARGET,), "p1"),
        cache_key(Request(REQUEST.messages, max_tokens=100, temperature=0.1), (TARGET,), "p1"),
        cache_key(Request(REQUEST.messages, max_tokens=100, temperature=0.0, seed=1), (TARGET,), "p1"),
        cache_key(Request((Message(Role.SYSTEM, "How are you?"),), max_tokens=100, temperature=0.0), (TARGET,), "p1"),
    ]
    assert len({key, *others}) == 7


async def test_an_answer_is_kept_for_its_time_and_a_damaged_one_is_none(redis: RedisClient) -> None:
    kept_answers = ResponseCache(redis, ttl_sec=60)
    key = f"k{time.monotonic_ns()}"
    reply = Reply(TARGET, "süß 🙂", Stop.COMPLETE, Usage(3, 4), "a-1", 1.5)
    assert await kept_answers.get(key) is None
    await kept_answers.put(key, reply)
    kept = await kept_answers.get(key)
    assert kept is not None
    assert (kept.text, kept.usage, kept.served_model, kept.target) == ("süß 🙂", Usage(3, 4), "a-1", TARGET)
    assert 0 < await redis.call("TTL", f"worker:llm:cache:{key}") <= 60
    for damaged in (b"{", b"[]", b'{"provider": 1}', b"\x80\x04K\x01."):
        await redis.call("SET", f"worker:llm:cache:{key}", damaged)
        assert await kept_answers.get(key) is None


async def test_a_cache_that_is_away_knows_nothing(redis: RedisClient) -> None:
    nowhere = RedisClient("redis://127.0.0.1:1/0")
    kept_answers = ResponseCache(nowhere, ttl_sec=60)
    await kept_answers.put("k", Reply(TARGET, "x", Stop.COMPLETE, None, None, 0.0))
    assert await kept_answers.get("k") is None
    await nowhere.close()
