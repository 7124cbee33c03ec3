"""What neighbours read in Redis of insight: types, fields, bounds and TTLs of the platform's contract, strict JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis

from src.worker.health_score import LEAST_MENTIONS
from src.worker.pipeline.brand_state import BrandState, Folder, Pending
from src.worker.pipeline.brand_summary import brand_summary, health_document
from src.worker.pipeline.contribution import EXCERPT_CHARS, EXCERPTS, Post, contribution
from src.worker.times import to_ms
from tests.insight_streams import BRAND, NOW, T0, Bench, chunks, document, mention, mood_of, stream, strict, together

pytestmark = pytest.mark.anyio
DAY = 24


@pytest.fixture
async def bench(mongo_uri: str, redis_url: str) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, redis_url)
    yield bench
    await bench.close()


@pytest.fixture
async def crisis(bench: Bench) -> Bench:
    """A brand with a spike and a crisis behind it."""
    for number, part in enumerate(chunks(stream(), 400)):
        await bench.save(number, part, result={"summary": f"part {number}", "clusters": []})
    await bench.fold_all()
    return bench


async def _kind(bench: Bench, key: str) -> tuple[str, int]:
    """Type of a key, and its TTL in hours, rounded up: some seconds of it may be over."""
    kind, ttl = await bench.client.call("TYPE", key), await bench.client.call("TTL", key)
    return kind.decode(), -(-ttl // 3600)


def _is_time(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() == timedelta(0)


async def test_spikes_have_the_gateways_shape(crisis: Bench) -> None:
    key = f"spike:brand:{BRAND}"
    assert await _kind(crisis, key) == ("list", 7 * DAY)
    (spike,) = await crisis.texts(key)
    assert _is_time(spike["timestamp"])
    assert {type(spike[name]) for name in ("spikeScore", "threshold")} == {float}
    assert isinstance(spike["mentionCount"], int)
    assert spike["spikeScore"] > 1
    assert spike["mentionCount"] >= spike["threshold"] > 0
    assert spike["baseline"] > 0


async def test_crises_have_the_fields_of_both_shapes_and_of_the_frontend(crisis: Bench) -> None:
    key = f"crisis:events:{BRAND}"
    assert await _kind(crisis, key) == ("list", 30 * DAY)
    (event,) = await crisis.texts(key)
    both = {"timestamp", "severity", "reasons", "recommended_action", "metrics"}
    both |= {"id", "createdAt", "type", "monitorId", "riskScore", "velocityMultiplier", "sentimentIntensity"}
    both |= {"mentionCount", "triggeredReasons", "recommendedAction", "isResolved"}
    assert both <= set(event)
    assert event["type"] == "crisis_event"
    assert event["isResolved"] is True
    assert _is_time(event["createdAt"])
    assert _is_time(event["timestamp"])
    queue = await crisis.texts("queue:crisis:events")
    assert await _kind(crisis, "queue:crisis:events") == ("list", 30 * DAY)
    assert len({one["id"] for one in queue}) == 1
    assert queue[0]["isResolved"] is False
    assert [one["severity"] for one in queue][-1] == "recovered"
    assert any(one["severity"] == "critical" and one["riskScore"] > 75 for one in queue)
    assert "insufficient_history" not in {one["severity"] for one in queue}


async def test_crisis_metrics_return_to_normal(crisis: Bench) -> None:
    key = f"crisis:metrics:{BRAND}"
    assert await _kind(crisis, key) == ("string", DAY)
    found = await crisis.text(key)
    assert found is not None
    assert {"riskScore", "severity", "velocityMultiplier", "sentimentIntensity", "mentionCount", "reasons"} <= set(
        found
    )
    assert isinstance(found["riskScore"], int)
    assert found["severity"] == "normal"
    assert isinstance(found["reasons"], list)
    assert _is_time(found["updatedAt"])


async def test_health_has_its_score_and_when_it_was_made(crisis: Bench) -> None:
    key = f"health:brand:{BRAND}"
    assert await _kind(crisis, key) == ("string", DAY)
    found = await crisis.text(key)
    assert found is not None
    assert isinstance(found["score"], float)
    assert 0 < found["score"] < 100
    assert _is_time(found["updated_at"])
    assert set(found["parts"]) == {"sentiment", "volume", "engagement", "crisis"}
    assert found["parts"]["crisis"]["points"] == 90.0  # one crisis, however often it escalated


COMMON: dict[str, Any] = {
    "brand": str,
    "generatedAt": str,
    "totalChunks": int,
    "totalMentions": int,
    "sentiment": dict,
    "dominantTopics": list,
    "clusters": list,
    "spikeDetected": bool,
    "summary": str,
    "chunkSummaries": list,
}
OF_THE_WORKER: dict[str, Any] = {
    "healthScore": int,
    "entities": dict,
    "feature_requests": list,
    "pain_points": list,
    "churn_risks": list,
    "recommended_actions": list,
    "avgLeadScore": int,
    "sentimentHistory": list,
}


async def test_the_summary_is_a_superset_of_the_common_fields(crisis: Bench) -> None:
    key = f"summary:brand:{BRAND}"
    assert await _kind(crisis, key) == ("string", 8 * DAY)
    found = await crisis.text(key)
    assert found is not None
    assert {name: type(found[name]) for name in COMMON} == COMMON
    assert {name: type(found[name]) for name in OF_THE_WORKER} == OF_THE_WORKER
    assert _is_time(found["generatedAt"])
    assert found["spikeDetected"] is True
    assert found["chunkSummaries"][0].startswith("part ")
    assert all(isinstance(text, str) and len(text) <= EXCERPT_CHARS for text in found["pain_points"])
    assert len(found["pain_points"]) == EXCERPTS
    assert set(found["entities"]) == {"people", "companies", "products"}
    for day in found["sentimentHistory"]:
        assert set(day) == {"date", "positive", "neutral", "negative", "score"}
        assert round((day["positive"] - day["negative"]) / sum(list(day.values())[1:4]), 2) == day["score"]
    mood = found["sentiment"]
    assert mood["positive"] + mood["neutral"] + mood["negative"] == found["totalMentions"] == len(stream())
    assert mood["score"] == round((mood["positive"] - mood["negative"]) / found["totalMentions"], 2)


async def test_events_tell_of_each_chunk_once(bench: Bench, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pubsub() as channel:
        channel.subscribe(f"events:brand:{BRAND}")
        channel.get_message(timeout=20)
        for number, part in enumerate(chunks(stream(days=1), 200)):
            await bench.save(number, part)
        await bench.fold_all()
        bench.restart()
        await bench.fold_all()  # a process that does not know what has been published
        parts = chunks(stream(days=1), 200)
        messages = [channel.get_message(timeout=20) for _ in parts]
        assert channel.get_message(timeout=0.3) is None, "told twice"
    told = [strict(message["data"]) for message in messages if message is not None]
    assert [one["chunkId"] for one in told] == [f"c{number}" for number in range(len(parts))]
    assert told[0] == {
        "type": "chunk_processed",
        "brand": BRAND,
        "chunkId": "c0",
        "clusterCount": 0,
        "mentionCount": 200,
    }


async def test_a_summary_that_an_orchestrator_owns_is_not_written(bench: Bench) -> None:
    bench.restart(summaries=False)
    await bench.save(0, stream(days=1)[:30])
    await bench.fold_all()
    assert await bench.text(f"summary:brand:{BRAND}") is None
    assert await bench.text(f"health:brand:{BRAND}") is not None


async def test_a_neighbours_key_of_another_type_stays_as_it_is_and_keeps_nothing_else(bench: Bench) -> None:
    for key in (f"spike:brand:{BRAND}", f"crisis:events:{BRAND}"):
        await bench.client.call("SADD", key, "theirs")
    for number, part in enumerate(chunks(stream(), 800)):
        await bench.save(number, part)
    await bench.fold_all()
    assert await bench.client.call("TTL", f"spike:brand:{BRAND}") == -1
    assert await bench.client.call("SMEMBERS", f"spike:brand:{BRAND}") == [b"theirs"]
    assert await bench.client.call("SMEMBERS", f"crisis:events:{BRAND}") == [b"theirs"]
    assert len(await bench.texts("queue:crisis:events")) > 1
    assert await bench.text(f"summary:brand:{BRAND}") is not None


async def test_entries_of_others_in_the_list_of_crises_stay(bench: Bench) -> None:
    key = f"crisis:events:{BRAND}"
    await bench.client.call("RPUSH", key, b"not json", b'"text"', b'{"id": null}', b'{"id": "another"}')
    for number, part in enumerate(chunks(stream(), 100)):
        await bench.save(number, part)
    await bench.fold_all()
    kept = await bench.client.call("LRANGE", key, 1, -1)
    assert kept == [b"not json", b'"text"', b'{"id": null}', b'{"id": "another"}']


async def test_lists_keep_their_bounds(crisis: Bench) -> None:
    await crisis.client.call("RPUSH", f"spike:brand:{BRAND}", *[b'{"old": 1}'] * 120)
    await crisis.client.call("RPUSH", f"crisis:events:{BRAND}", *[b'{"old": 1}'] * 70)
    await crisis.client.call("LPUSH", "queue:crisis:events", *[b'{"old": 1}'] * 10_000)
    later = stream()[-1].mention.created_at + timedelta(days=1)
    again = [
        Post(one, mood_of(-0.9), document(one, mood_of(-0.9)))
        for one in (
            mention(70_000 + n, later + timedelta(seconds=n * 18), author=f"again{n}")
            for n in range(1_000)  # five hours
        )
    ]
    end = mention(80_000, later + timedelta(hours=9), author="end")
    await crisis.save(900, [*again, Post(end, mood_of(0), document(end, mood_of(0)))])
    await crisis.fold_all()
    assert await crisis.client.call("LLEN", f"spike:brand:{BRAND}") == 100
    assert await crisis.client.call("LLEN", f"crisis:events:{BRAND}") == 50
    assert await crisis.client.call("LLEN", "queue:crisis:events") == 10_000


def _folded(posts: list[Post]) -> BrandState:
    state = BrandState.new(BRAND, 1)
    Folder().fold(state, together(Pending("k", "c", 1, contribution(posts, received_at=NOW))), to_ms(NOW))
    return state


def test_what_is_not_known_is_null_with_a_reason() -> None:
    one = mention(1, T0, author="a", metadata={})
    state = _folded([Post(one, mood_of(0), document(one, mood_of(0)))])
    summary, health = brand_summary(state), health_document(state)
    assert summary["healthScore"] is None
    assert summary["avgLeadScore"] is None
    assert f"{LEAST_MENTIONS} are needed" in summary["null_reasons"]["healthScore"]
    assert "avgLeadScore" in summary["null_reasons"]
    assert health["score"] is None
    assert health["parts"]["engagement"]["points"] is None
    assert summary["recommended_actions"] == []
    assert summary["spikeDetected"] is False


def test_a_brand_of_which_only_competitors_were_mentioned_has_an_empty_summary() -> None:
    one = mention(1, T0, author="a", competitor="Other")
    summary = brand_summary(_folded([Post(one, mood_of(0), document(one, mood_of(0)))]))
    assert (summary["totalMentions"], summary["competitorMentions"], summary["asOf"]) == (0, 1, None)
    assert set(summary["null_reasons"]) == {"healthScore", "avgLeadScore", "asOf"}
    assert summary["sentimentHistory"] == []


def test_topics_are_ordered_by_frequency_and_history_has_ninety_days() -> None:
    posts = []
    for n in range(200):
        one = mention(n, T0 + timedelta(days=n), author=f"a{n}")
        topics = ["rare"] if n == 0 else ["often", "seldom"] if n % 3 else ["often"]
        posts.append(Post(one, mood_of(0.4), document(one, mood_of(0.4), topics=topics)))
    summary = brand_summary(_folded(posts))
    assert summary["dominantTopics"] == ["often", "seldom", "rare"]
    assert len(summary["sentimentHistory"]) == 90
    assert summary["sentimentHistory"][-1]["date"] == (T0 + timedelta(days=199)).date().isoformat()
    assert summary["avgLeadScore"] == 30
