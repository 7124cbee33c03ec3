"""/v1/brands and /v1/brands/{brand}/…: what is known of brands, paged; problems where nothing is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from src.worker.api import insight, problems
from src.worker.services import insight_store
from src.worker.services.insight_store import InsightStore
from tests.insight_streams import BRAND, Bench, chunks, stream

pytestmark = pytest.mark.anyio
BASE = f"/v1/brands/{BRAND}"


def _client(store: InsightStore | None) -> httpx.AsyncClient:
    app = FastAPI()
    app.state.context = SimpleNamespace(insight=store)
    problems.install(app)
    app.include_router(insight.router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


@pytest.fixture
async def bench(mongo_uri: str, redis_url: str) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, redis_url)
    yield bench
    await bench.close()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """The API over a brand that has had a spike and a crisis."""
    for number, part in enumerate(chunks(stream(), 500)):
        await bench.save(number, part)
    await bench.fold_all()
    async with _client(bench.store) as client:
        yield client


async def _get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _all(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages."""
    items: list[dict[str, Any]] = []
    page = await _get(client, path, **query)
    while True:
        items += page["items"]
        if page["next"] is None:
            return items
        page = await _get(client, path, **query, cursor=page["next"])


async def test_the_summary_is_the_published_one(client: httpx.AsyncClient, bench: Bench) -> None:
    assert await _get(client, f"{BASE}/summary") == await bench.text(f"summary:brand:{BRAND}")


async def test_names_are_found_as_people_write_them(client: httpx.AsyncClient) -> None:
    assert (await _get(client, "/v1/brands/Acme/summary"))["brand"] == BRAND


async def test_health_comes_with_its_parts_and_its_days(client: httpx.AsyncClient) -> None:
    found = await _get(client, f"{BASE}/health", limit=2)
    assert set(found["parts"]) == {"sentiment", "volume", "engagement", "crisis"}
    days = await _all(client, f"{BASE}/health", limit=2)
    assert [day["date"] for day in days] == ["2025-03-06", "2025-03-05", "2025-03-04", "2025-03-03"]
    assert days[0]["score"] == found["score"]
    assert days[0]["parts"]["crisis"]["points"] == 90.0
    assert days[-1]["parts"]["crisis"]["points"] == 100.0


async def test_crises_come_with_what_was_said_of_them(client: httpx.AsyncClient) -> None:
    found = await _get(client, f"{BASE}/crisis")
    assert found["state"] == "calm"
    assert found["metrics"]["severity"] == "normal"
    event = found["items"][0]
    assert event["severity"] == "recovered"
    assert event["evidence"] is not None
    said = [one["severity"] for one in event["history"]]
    assert said[-2:] == ["critical", "recovered"]
    assert all(one["reasons"] for one in event["history"])
    assert found["items"][-1]["severity"] == "insufficient_history"
    assert await _all(client, f"{BASE}/crisis", limit=1) == found["items"]
    assert not {"_id", "fold", "ms", "written_at"} & set(event)


async def test_spikes_say_whether_one_is_on(client: httpx.AsyncClient) -> None:
    found = await _get(client, f"{BASE}/spikes")
    assert found["spikeDetected"] is True
    assert found["status"] in ("watching", "silenced")
    (spike,) = found["items"]
    assert {"timestamp", "spikeScore", "mentionCount", "threshold"} <= set(spike)
    assert "bucketMs" not in spike


async def test_volume_is_complete_over_all_pages_and_within_its_bounds(client: httpx.AsyncClient) -> None:
    items = await _all(client, f"{BASE}/volume", limit=100)
    assert sum(item["count"] for item in items) == len(stream())
    assert [item["timestamp"] for item in items] == sorted({item["timestamp"] for item in items}, reverse=True)
    since, until = "2025-03-03T05:00:00Z", "2025-03-03T06:00:00Z"
    hour = await _all(client, f"{BASE}/volume", since=since, until=until)
    assert sum(item["count"] for item in hour) == 12
    assert all("2025-03-03T05" in item["timestamp"] for item in hour)
    for bound in (items[0], items[-1]):  # the bucket that begins at `since` is there, the one at `until` is not
        begins = bound["timestamp"]
        assert (await _all(client, f"{BASE}/volume", since=begins))[-1] == bound
        assert bound not in await _all(client, f"{BASE}/volume", until=begins)
    assert await _all(client, f"{BASE}/volume", until=items[-2]["timestamp"]) == items[-1:]


@pytest.mark.parametrize("limit", [5, 6, 7])
async def test_where_a_page_ends_does_not_depend_on_how_many_are_read_at_once(
    client: httpx.AsyncClient, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await _get(client, f"{BASE}/volume", limit=2_000)
    monkeypatch.setattr(insight_store, "_AT_ONCE", 3)
    assert len(whole["items"]) > 2 * limit
    assert await _all(client, f"{BASE}/volume", limit=limit) == whole["items"]
    page = await _get(client, f"{BASE}/volume", limit=len(whole["items"]))
    assert (page["items"], page["next"]) == (whole["items"], None)


async def test_brands_are_listed_with_how_they_are_doing(client: httpx.AsyncClient, bench: Bench) -> None:
    known = await bench.store.state(BRAND)
    assert known is not None
    for n in range(4):
        await bench.storage.collection("brand_state").insert_one({**known, "_id": f"brand{n}"})
    items = await _all(client, "/v1/brands", limit=2)
    assert [item["brand"] for item in items] == [BRAND, "brand0", "brand1", "brand2", "brand3"]
    summary = await _get(client, f"{BASE}/summary")
    assert items[0]["totalMentions"] == summary["totalMentions"]
    assert round(items[0]["healthScore"]) == summary["healthScore"]
    assert (items[0]["crisisState"], items[0]["spikeDetected"]) == ("calm", True)


@pytest.mark.parametrize("part", ["summary", "health", "crisis", "spikes", "volume"])
async def test_a_brand_nobody_has_mentioned_is_not_found(client: httpx.AsyncClient, part: str) -> None:
    answer = await client.get(f"/v1/brands/nobody/{part}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "nobody" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("volume", {"since": "yesterday"}, "since"),
        ("volume", {"limit": 5_000}, "limit"),
        ("spikes", {"cursor": "nonsense"}, "cursor"),
        ("crisis", {"cursor": "nonsense"}, "cursor"),
        ("health", {"cursor": "nonsense"}, "cursor"),
        ("health", {"limit": 0}, "limit"),
    ],
)
async def test_a_bad_question_names_its_field(
    client: httpx.AsyncClient, path: str, query: dict[str, Any], field: str
) -> None:
    answer = await client.get(f"{BASE}/{path}", params=query)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


async def test_a_process_without_insight_says_so() -> None:
    async with _client(None) as client:
        assert (await client.get(f"{BASE}/summary")).status_code == 503
