"""Topics on the whole way: from the queue into results, documents, insight and REST, with and without embeddings."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from src.worker.api.application import create_application
from src.worker.llm.costs import By, costs
from src.worker.llm.errors import Kind, LLMError
from src.worker.pipeline.intake import parse_chunk
from src.worker.runtime import Runtime
from src.worker.services.topics import TopicService
from tests.helpers import finished, push, running, until
from tests.insight_streams import strict
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server

pytestmark = pytest.mark.anyio
T0 = datetime(2025, 3, 1, 10, tzinfo=UTC)
REFUND = ["where is my refund", "refund not received yet", "still no refund after two weeks", "I want my refund now"]
CRASH = ["App crashes on login", "the app crashes again", "crashes when I open the app", "login makes the app crash"]


def _mentions(texts: list[str], start: int = 0, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": f"m{n}",
            "text": f"@acme {text}",
            "source": "x",
            "author": f"a{n}",
            "created_at": (T0 + timedelta(minutes=n)).isoformat(),
            **more,
        }
        for n, text in enumerate(texts, start)
    ]


def _chunk(mentions: list[dict[str, Any]], name: str = "c") -> dict[str, Any]:
    return {"type": "analyze_mentions", "brand": "acme", "chunkId": name, "mentions": mentions}


async def _done(runtime: Runtime, mentions: list[dict[str, Any]], name: str = "c") -> dict[str, Any]:
    """The result of a chunk, as the orchestrator collects it."""
    record = await finished(runtime, await push(runtime.redis, _chunk(mentions, name)), 30)
    assert record["status"] == "succeeded", record
    return (await _results(runtime))[-1]


async def _results(runtime: Runtime) -> list[dict[str, Any]]:
    return [strict(raw) for raw in await runtime.redis.call("LRANGE", "result:brand:acme:chunks", 0, -1)]


async def _summary(runtime: Runtime, chunks: int) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        raw = await runtime.redis.call("GET", "summary:brand:acme")
        found = strict(raw) if raw else None
        return found if found and found["totalChunks"] >= chunks else None

    found: dict[str, Any] = await until(there)
    return found


async def _stored(runtime: Runtime) -> list[dict[str, Any]]:
    return await runtime.storage.collection("mentions").find({"brand": "acme"}).sort("created_at", 1).to_list(None)


@asynccontextmanager
async def _web(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    app = create_application(runtime.api, api_key=None, max_body_bytes=10_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as web:
        yield web


async def _get(web: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await web.get(f"/v1/brands/acme/{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_topics_go_from_the_queue_into_results_documents_insight_and_rest(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        first = await _done(runtime, _mentions([*REFUND[:2], *CRASH[:2], "a lonely matter of parking", "🚀🚀"]), "c1")
        second = await _done(runtime, _mentions([REFUND[2], CRASH[2], CRASH[3], CRASH[3]], 20), "c2")
        summary = await _summary(runtime, 2)
        documents = await _stored(runtime)
        async with _web(runtime) as web:
            page = await _get(web, "clusters", limit=2)
            rest = await _get(web, "clusters", limit=2, cursor=page["next"])
            volume = await _get(web, "volume", topic="t2")
            mentions = await _get(web, "mentions", topic="t1")
            bad = await web.get("/v1/brands/acme/mentions", params={"topic": "t1.x"})
            nobody = await web.get("/v1/brands/nobody/clusters")
    by_id = {one["id"]: one for one in first["clusters"]}
    assert {name: one["mentionCount"] for name, one in by_id.items()} == {"t1": 2, "t2": 2, "noise": 2}
    assert "refund" in by_id["t1"]["label"].lower()
    keys = [key for one in first["clusters"] for key in one["mentions"]]
    assert sorted(keys) == sorted(one["_id"] for one in documents[:6])
    assert [one["topic"] for one in documents] == ["t1", "t1", "t2", "t2", "t3", "noise", "t1", "t2", "t2"]
    later = {one["id"]: one for one in second["clusters"]}
    assert {name: one["mentionCount"] for name, one in later.items()} == {"t2": 2, "t1": 1}
    for name in later:  # comparable over chunks, as the orchestrator merges them
        assert np.array(by_id[name]["centroid"]) @ np.array(later[name]["centroid"]) >= 0.75
    assert [(one["id"], one["mentions"], one["posts"]) for one in summary["clusters"]] == [("t2", 4, 5), ("t1", 3, 3)]
    assert [one["id"] for one in page["items"]] == ["t2", "t1"]
    assert [(one["id"], one["mentions"]) for one in rest["items"]] == [("noise", 1)]
    assert (page["mentions"], page["alone"], rest["next"]) == (9, 1, None)
    shown = page["items"][0]
    assert (shown["mentionsAll"], shown["postsAll"], shown["share"]) == (4, 5, round(4 / 9, 4))
    assert sum(shown["sentiments"].values()) == 4
    assert shown["labelBy"] == "phrases"
    assert set(shown["examples"]) <= {one["_id"] for one in documents if one["topic"] == "t2"}
    assert sum(bucket["count"] for bucket in volume["items"]) == 5  # a repeat by somebody else is volume
    assert [one["topic"] for one in mentions["items"]] == ["t1"] * 3
    assert (bad.status_code, bad.json()["field"]) == (400, "topic")
    assert nobody.status_code == 404


async def test_a_second_execution_keeps_topics_and_counts_once(redis_url: str, mongo_uri: str) -> None:
    chunk = parse_chunk(_chunk(_mentions([*REFUND, *CRASH, "a lonely matter of parking"])), brand=None, fallback_id="c")
    async with running(redis_url, mongo_uri) as runtime:

        async def executed() -> Any:
            done = await runtime.mentions.process(chunk, task_id="t", received_at=T0, entry="e")
            assert done.result is not None
            return done.result["clusters"]

        first = await executed()
        before = await _stored(runtime)
        await _summary(runtime, 1)
        assert await executed() == first
        assert [one["topic"] for one in await _stored(runtime)] == [one["topic"] for one in before]
        kept = await runtime.storage.collection("processed_chunks").find_one({})
        assert kept is not None
        assert [one["id"] for one in kept["result"]["clusters"]] == [one["id"] for one in first]
        assert not any("centroid" in one for one in kept["result"]["clusters"])
    async with running(redis_url, mongo_uri) as runtime:
        await _done(runtime, _mentions(["the refund has not come"], 50), "c2")
        summary = await _summary(runtime, 2)
    assert {one["id"]: one["mentions"] for one in summary["clusters"]} == {"t1": 5, "t2": 4}
    assert [one["id"] for one in first] == ["t1", "t2", "noise"]


async def test_counts_are_exact_after_a_kill_that_lost_the_movement_of_topics(
    redis_url: str, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: TopicService) -> None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(TopicService, "start", lambda _: None)
        patch.setattr(TopicService, "close", never)
        async with running(redis_url, mongo_uri) as runtime:
            await _done(runtime, _mentions([*REFUND, *CRASH]), "c1")
            assert await runtime.storage.collection("topics").count_documents({}) == 0
    async with running(redis_url, mongo_uri) as runtime:
        await _done(runtime, _mentions(["the refund has not come", "a refund is due to me"], 20), "c2")
        summary = await _summary(runtime, 2)
        topics = Counter(one["topic"] for one in await _stored(runtime))
    assert {one["id"]: one["mentions"] for one in summary["clusters"]} == dict(topics)
    assert set(topics) == {"t1", "t2", "t101"}  # numbers of the lost topics are not given again
    assert sum(topics.values()) == summary["totalMentions"] == 10


async def test_competitors_have_a_cluster_and_no_topic(redis_url: str, mongo_uri: str) -> None:
    rival = {"metadata": {"isCompetitor": True, "competitorId": "7", "competitorName": "Other"}}
    async with running(redis_url, mongo_uri) as runtime:
        result = await _done(runtime, [*_mentions(REFUND[:2]), *_mentions(["Other app crashes on login"], 9, **rival)])
        documents = await _stored(runtime)
    assert {one["id"]: one["mentionCount"] for one in result["clusters"]} == {"t1": 2, "competitors": 1}
    assert [(one["topic"], one["topic_reason"]) for one in documents][-1] == (None, "about a competitor")


async def test_topics_that_became_one_are_found_under_both_names(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri) as runtime:
        await _done(runtime, _mentions([*REFUND[:2], *CRASH[:2]]), "c1")
        await _summary(runtime, 1)
        # Another worker has found them to be one: its chunk tells.
        async with runtime.topics._shelf.held("acme") as entry:
            entry.merged["t2"] = "t1"
        await _done(runtime, _mentions([REFUND[2]], 9), "c2")
        summary = await _summary(runtime, 2)
        async with runtime.topics._shelf.held("acme") as entry:
            assert entry.merged == {}
        async with _web(runtime) as web:
            shown = await _get(web, "clusters")
            found = [len((await _get(web, "mentions", topic=name))["items"]) for name in ("t1", "t2")]
            posts = [
                sum(one["count"] for one in (await _get(web, "volume", topic=name))["items"]) for name in ("t1", "t2")
            ]
    assert [(one["id"], one["mentions"]) for one in summary["clusters"]] == [("t1", 5)]
    assert [(one["id"], one["mentions"]) for one in shown["items"]] == [("t1", 5)]
    assert (found, posts) == ([5, 5], [5, 5])


# -- language models ---------------------------------------------------------------------------------------------


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.answer = _named
        yield server


def _named(asked: Asked) -> str | Fault:
    if "You name topics" not in asked.system:
        return Fault(500)
    return orjson.dumps({"label": "Refunds that do not come", "summary": "People wait for refunds."}).decode()


def _asking(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {
        "llm_provider": "openai",
        "openai_api_key": "k",
        "openai_base_url": server.url,
        "llm_max_share": 0,
        **more,
    }


async def _names(runtime: Runtime) -> list[Any]:
    found = await runtime.storage.collection("topics").find_one({"_id": "acme"})
    return [] if found is None else [(row["label"], row["labelBy"]) for row in found["topics"]]


async def test_a_model_names_topics_in_the_background_and_the_ledger_says_so(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer
) -> None:
    async with running(redis_url, mongo_uri, **_asking(scripted)) as runtime:
        runtime.topics._flush_sec = 0.05
        await _done(runtime, _mentions([f"{REFUND[n % 4]} case {n}" for n in range(11)]), "c1")
        await asyncio.sleep(0.3)
        assert scripted.asked == []
        await _done(runtime, _mentions(["my refund please case 11", *CRASH], 20), "c2")

        async def by_model() -> bool:
            return ("Refunds that do not come", "llm") in await _names(runtime)

        await until(by_model)
        result = await _done(runtime, _mentions(["no refund yet case 12"], 40), "c3")
        summary = await _summary(runtime, 3)
        async with _web(runtime) as web:
            shown = (await _get(web, "clusters"))["items"][0]
        rows = []

        async def recorded() -> bool:
            now = datetime.now(UTC)
            rows[:] = await costs(runtime.storage, since=now - timedelta(days=1), until=now, by=By.OPERATION)
            return bool(rows)

        await until(recorded)
    assert len(scripted.asked) == 1
    assert len(re.findall(r"refund", scripted.asked[0].user)) >= 10
    assert [(row.key, row.calls) for row in rows] == [("cluster_label", 1)]
    (cluster,) = result["clusters"]
    assert (cluster["label"], cluster["labelBy"]) == ("Refunds that do not come", "llm")
    assert summary["clusters"][0]["label"] == "Refunds that do not come"
    assert (shown["label"], shown["labelBy"]) == ("Refunds that do not come", "llm")
    assert shown["summary"] == "People wait for refunds."


async def test_a_model_that_fails_leaves_the_phrases_and_is_not_asked_again_at_once(
    redis_url: str, mongo_uri: str, scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: Fault(400)
    async with running(redis_url, mongo_uri, **_asking(scripted)) as runtime:
        runtime.topics._flush_sec = 0.05
        await _done(runtime, _mentions([f"{REFUND[n % 4]} case {n}" for n in range(14)]), "c1")

        async def failed() -> bool:
            return b'worker_topics_named_total{outcome="failed"} 1.0' in runtime.metrics.render()

        await until(failed)
        await _done(runtime, _mentions(["no refund yet case 20"], 40), "c2")
        await asyncio.sleep(0.3)
        assert len(scripted.asked) == 1
    async with running(redis_url, mongo_uri, **_asking(scripted)) as runtime:
        assert [by for _, by in await _names(runtime)] == ["phrases"]


# -- embeddings that fail ----------------------------------------------------------------------------------------


class _Away:
    """A provider of embeddings that does not answer, until `back` or, if that is given, for so many questions."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.space = inner.space
        self.back = False
        self.failures: int | None = None
        self.asked = 0

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Any:
        self.asked += 1
        if not self.back and (self.failures is None or self.asked <= self.failures):
            raise LLMError(Kind.SERVER, "away")
        return await self.inner.embed(texts, brand=brand)

    async def close(self) -> None:
        await self.inner.close()


async def test_a_chunk_whose_embeddings_fail_is_tried_again_and_then_goes_on_without_topics(
    redis_url: str, mongo_uri: str
) -> None:
    async with running(redis_url, mongo_uri, queue_max_attempts=3, queue_retry_base_sec=0.01) as runtime:
        away = _Away(runtime.topics._embedder)
        runtime.topics._embedder = away
        result = await _done(runtime, _mentions(REFUND), "c1")
        documents = await _stored(runtime)
        asked, away.back = away.asked, True
        later = await _done(runtime, _mentions(CRASH, 20), "c2")
        summary = await _summary(runtime, 2)
        metrics = runtime.metrics.render().decode()
    assert asked == 3
    assert result["clusters"] == []
    assert result["meta"]["clustersReason"] == "embeddings failed: SERVER_ERROR"
    assert {(one["topic"], one["topic_reason"]) for one in documents} == {(None, "embeddings failed: SERVER_ERROR")}
    assert "worker_topics_degraded_chunks_total 1.0" in metrics
    assert [one["mentionCount"] for one in later["clusters"]] == [4]
    assert (summary["totalMentions"], [one["mentions"] for one in summary["clusters"]]) == (8, [4])


async def test_embeddings_that_come_back_in_time_cost_a_chunk_nothing(redis_url: str, mongo_uri: str) -> None:
    async with running(redis_url, mongo_uri, queue_retry_base_sec=0.01) as runtime:
        away = _Away(runtime.topics._embedder)
        runtime.topics._embedder = away
        away.failures = 2
        record = await finished(runtime, await push(runtime.redis, _chunk(_mentions(REFUND))))
        (result,) = await _results(runtime)
    assert (record["status"], record["attempts"], away.asked) == ("succeeded", 3, 3)
    assert [(one["id"], one["mentionCount"]) for one in result["clusters"]] == [("t1", 4)]
