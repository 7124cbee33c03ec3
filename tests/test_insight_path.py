"""From mentions in the queue to insight in MongoDB, Redis and REST, through a running worker."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from src.worker.api.application import create_application
from src.worker.redis_client import RedisClient
from src.worker.runtime import Runtime
from tests.helpers import finished, push, running, until
from tests.insight_streams import strict

pytestmark = pytest.mark.anyio
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
T0 = datetime(2025, 3, 1, 10, tzinfo=UTC)
ANGRY = "Acme keeps crashing, this is terrible and I want a refund, case {n}"
FINE = "I am happy with Acme number {n}"


def _mention(text: str, author: str | None, minutes: float = 0, **more: Any) -> dict[str, Any]:
    at = T0 + timedelta(minutes=minutes)
    return {"id": f"{author}-{minutes}", "text": text, "source": "x", "created_at": at.isoformat(), **more} | (
        {"author": author} if author else {}
    )


async def _chunk(runtime: Runtime, client: RedisClient, mentions: list[dict[str, Any]], brand: str = "acme") -> None:
    task = await push(client, {"type": "analyze_mentions", "brand": brand, "mentions": mentions})
    assert (await finished(runtime, task))["status"] == "succeeded"


async def _summary(client: RedisClient, chunks: int, brand: str = "acme") -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        raw = await client.call("GET", f"summary:brand:{brand}")
        found = strict(raw) if raw else None
        return found if found and found["totalChunks"] >= chunks else None

    found: dict[str, Any] = await until(there)
    return found


async def test_mentions_of_the_queue_become_insight_in_redis_and_rest(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await _chunk(runtime, client, [_mention(FINE.format(n=word), word) for word in ("one", "two", "three", "four")])
        await _chunk(runtime, client, [_mention("Acme app keeps crashing all day, terrible", "five", 7)])
        summary = await _summary(client, 2)
        assert summary["totalMentions"] == 5
        assert summary["sentiment"]["negative"] == 1
        assert summary["pain_points"] == ["Acme app keeps crashing all day, terrible"]
        assert (await until(lambda: client.call("GET", "health:brand:acme"))) is not None
        app = create_application(runtime.api, api_key=None, max_body_bytes=10_000)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as web:
            shown = (await web.get("/v1/brands/acme/summary")).json()
            volume = (await web.get("/v1/brands/acme/volume")).json()
            text = (await web.get("/metrics")).text
        assert shown == summary
        assert [item["count"] for item in volume["items"]] == [1, 4]
        assert 'worker_insight_folds_total{outcome="folded"}' in text
        assert "worker_insight_fold_lag_seconds" in text


async def test_the_same_posts_found_again_count_once_and_those_of_others_each(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    text = "Acme keeps losing my parcels and nobody answers the phone"
    async with running(redis_url, mongo_uri) as runtime:
        await _chunk(runtime, client, [_mention(text, "ann")])
        for cycle in range(3):  # aggregators push everything again, under new ids and times
            again = [_mention(text, "@Ann", 60 * cycle + 1, id=f"new{cycle}"), _mention(text, "bob", 5, id=f"b{cycle}")]
            await _chunk(runtime, client, [*again, _mention(text, None, 9, id=f"n{cycle}")])
        summary = await _summary(client, 4)
        assert summary["totalMentions"] == 1
        assert summary["totalPosts"] == 3  # ann, bob, and somebody
        buckets = await runtime.storage.collection("volume").find({}).to_list(None)
        assert sum(bucket["count"] for bucket in buckets) == 3
        (day,) = summary["sentimentHistory"]
        assert day["negative"] + day["neutral"] + day["positive"] == 3


async def test_what_is_processed_before_the_end_of_a_worker_is_folded(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await _chunk(runtime, client, [_mention(FINE.format(n="one"), "one")])
    assert (await _summary(client, 1))["totalMentions"] == 1


async def test_what_a_dead_worker_left_behind_is_folded_by_the_next(
    client: RedisClient, redis_url: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("src.worker.services.insight.InsightService.start", lambda _: None)
        async with running(redis_url, mongo_uri) as runtime:
            await _chunk(runtime, client, [_mention(FINE.format(n="one"), "one")])
            assert await client.call("GET", "summary:brand:acme") is None
    async with running(redis_url, mongo_uri):
        assert (await _summary(client, 1))["totalMentions"] == 1


async def test_results_say_that_a_spike_was_detected_and_only_for_a_day(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    def many(label: str, hours: list[float]) -> list[dict[str, Any]]:
        # Different words each, or they would be one text that is repeated.
        return [
            _mention(f"acme {label} {' '.join(f'{label}{n}x{k}' for k in range(6))}", f"{label}{n}", 60 * hour)
            for n, hour in enumerate(hours)
        ]

    async def detected() -> list[bool]:
        raw = await client.call("LRANGE", "result:brand:acme:chunks", 0, -1)
        return [strict(one)["spikeDetected"] for one in raw]

    async with running(redis_url, mongo_uri) as runtime:
        await _chunk(runtime, client, many("quiet", [n / 2 for n in range(60)]))
        await _summary(client, 1)
        await _chunk(runtime, client, many("loud", [30.5 + n / 3600 for n in range(60)]))
        assert (await _summary(client, 2))["spikeDetected"] is True  # provisional: the hour for late ones is not over
        await _chunk(runtime, client, many("after", [33.0]))
        assert (await _summary(client, 3))["spikeDetected"] is True
        assert await client.call("LLEN", "spike:brand:acme") == 1
        await _chunk(runtime, client, many("later", [56.0]))
        assert (await _summary(client, 4))["spikeDetected"] is False
        await _chunk(runtime, client, many("last", [56.5]))
        assert (await detected()) == [False, False, True, True, False]


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
@pytest.mark.timeout(200)  # a week at once, on a machine that may have much else to do
async def test_a_week_of_an_airline_has_a_spike_for_its_give_away_and_no_crisis_for_it(
    client: RedisClient, redis_url: str, mongo_uri: str
) -> None:
    with gzip.open(DATA / "airline_stream.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["brand"] == "Southwest"]
    mentions = [
        {"id": row["tweet_id"], "text": row["text"], "author": row["user"], "created_at": row["ts_utc"], "source": "x"}
        for row in rows
    ]
    parts = [mentions[start : start + 30] for start in range(0, len(mentions), 30)]
    # A backlog is held for two leases, and a busy machine may take longer than two short ones.
    async with running(redis_url, mongo_uri, queue_lease_sec=10) as runtime:
        for part in parts:  # a backlog: all at once, done by many at the same time
            await push(client, {"type": "analyze_mentions", "brand": "southwest", "mentions": part})

        async def folded() -> Any:
            state = await runtime.storage.collection("brand_state").find_one({"_id": "southwest"})
            if not state or state["chunks"] < len(parts):
                return None
            waits = {"insight.waiting": {"$exists": True}}  # marked after everything that follows has been written
            return None if await runtime.storage.collection("processed_chunks").find_one(waits) else state

        state = await until(folded, 150)
    assert state["crisis"]["late"] == state["spike"]["late"] == 0
    spikes = [strict(raw) for raw in await client.call("LRANGE", "spike:brand:southwest", 0, -1)]
    assert [spike["timestamp"][:13] for spike in spikes] == ["2015-02-23T01"]
    events = [strict(raw) for raw in await client.call("LRANGE", "queue:crisis:events", 0, -1)]
    assert {event["timestamp"][:10] for event in events} <= {"2015-02-22"}
    assert "critical" not in {event["severity"] for event in events}
