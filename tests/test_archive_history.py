"""History over what is at hand and what is archived; summaries with a model and without; blocks and stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from bson import encode
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from src.worker.access import Role
from src.worker.api import history, problems
from src.worker.api.access import Caller
from src.worker.config import load_settings
from src.worker.errors import ConfigError
from src.worker.llm.budget import Unlimited
from src.worker.llm.price_files import load_prices
from src.worker.llm_adapter import LLMAdapter
from src.worker.pipeline.archive_block import ArchiveDamaged, Block, digest_of, pack, unpack
from src.worker.pipeline.archive_sums import Sums, sums_of
from src.worker.services.archive_open import Archive
from src.worker.services.archive_store import (
    ArchiveMissing,
    ArchiveUnavailable,
    FsspecArchive,
    LocalArchive,
    archive_name,
    open_archive,
)
from src.worker.services.archive_summary import DaySummaries, sample_of
from src.worker.services.insight_store import CRISIS_EVENTS, SPIKES
from src.worker.storage import LEADS, Storage
from src.worker.times import to_ms
from tests.archive_helpers import NOW, OLD, Bench, days_of, mention
from tests.llm_doubles.scripted import Asked, Fault, ScriptedServer, scripted_server

pytestmark = pytest.mark.anyio
BASE = "/v1/brands/acme/history"
SPAN = {"from": "2026-01-01", "to": "2026-06-01"}


@pytest.fixture
async def bench(mongo_uri: str, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, tmp_path / "archive")
    yield bench
    bench.close()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.context = SimpleNamespace(history=bench.history())
    problems.install(app)
    app.include_router(history.router)
    reader = {"worker.caller": Caller("reader", Role.READ)}  # whom the guard lets in

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope | reader, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(let_in), base_url="http://test") as client:
        yield client


async def _get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# -- the API ---------------------------------------------------------------------------------------------------------


async def test_days_are_paged_newest_first_and_complete_across_the_border_of_the_archive(
    bench: Bench, client: httpx.AsyncClient
) -> None:
    await bench.put(days_of(50, days=5))
    await bench.put(mention(1_000 + n, NOW - timedelta(days=n)) for n in range(3))
    before = await _get(client, BASE, **SPAN)
    await bench.archive()
    items: list[dict[str, Any]] = []
    page = await _get(client, BASE, limit=3, **SPAN)
    while True:
        items += page["items"]
        if page["next"] is None:
            break
        page = await _get(client, BASE, limit=3, cursor=page["next"], **SPAN)
    assert [one["day"] for one in items] == [
        *("2026-06-01", "2026-05-31", "2026-05-30"),
        *("2026-02-05", "2026-02-04", "2026-02-03", "2026-02-02", "2026-02-01"),
    ]
    assert [one["where"] for one in items] == ["hot"] * 3 + ["archive"] * 5
    own = {"where"}
    assert [{k: v for k, v in one.items() if k not in own} for one in items] == [
        {k: v for k, v in one.items() if k not in own} for one in before["items"]
    ]


async def test_figures_are_those_of_the_mentions(bench: Bench, client: httpx.AsyncClient) -> None:
    judged = [("positive", 0.5), ("negative", -0.25), ("negative", -0.5)]
    await bench.put(
        mention(
            n,
            OLD + timedelta(hours=n),
            sentiment={"label": label, "score": score},
            author=("@Ann", "ann", None)[n],
            source="x",
            topics=["bugs"] * (n > 0),
            lead_score=40 * (n == 0),
        )
        for n, (label, score) in enumerate(judged)
    )
    (day,) = (await _get(client, BASE, **SPAN))["items"]
    assert day["sentiment"] == {"positive": 1, "neutral": 0, "negative": 2, "score": -0.083333}
    assert (day["mentions"], day["authors"], day["leads"], day["avgLeadScore"]) == (3, 1, 1, 40)
    assert (day["topics"], day["topicsDistinct"]) == ([{"name": "bugs", "count": 2}], 1)


async def test_a_day_says_where_it_is_what_happened_and_its_summary(bench: Bench, client: httpx.AsyncClient) -> None:
    await bench.put(days_of(40, days=1))
    at = OLD + timedelta(hours=5)
    await bench.storage.collection(LEADS).insert_one({"_id": "l", "brand": "acme", "at": OLD})
    for name, more in ((SPIKES, {"spikeScore": 9.5}), (CRISIS_EVENTS, {"severity": "critical"})):
        await bench.storage.collection(name).insert_one({"_id": "s", "brand": "acme", "ms": to_ms(at), **more})
    hot = await _get(client, f"{BASE}/2026-02-01")
    assert (hot["summary"], hot["reason"]) == (None, "the day has not been archived yet")
    await bench.archive()
    for name in (LEADS, SPIKES, CRISIS_EVENTS):
        await bench.storage.collection(name).delete_many({})  # as their age does in time
    found = await _get(client, f"{BASE}/2026-02-01")
    assert (found["where"], found["mentions"], found["leadsFound"]) == ("archive", 40, 1)
    assert found["events"]["spikes"] == [{"at": "2026-02-01T05:00:00.000Z", "spikeScore": 9.5}]
    assert found["events"]["crises"][0]["severity"] == "critical"
    assert {name: found[name] for name in hot if name not in ("where", "summary", "reason", "parts")} == {
        name: hot[name] for name in hot if name not in ("where", "summary", "reason", "parts")
    }
    assert [one["state"] for one in found["parts"]] == ["done"]
    assert found["summary"]["source"] == "statistics"
    assert found["summary"]["text"].startswith("2026-02-01: 40 mentions (")
    assert "crises at 05:00" in found["summary"]["text"]


async def test_nobody_wrote_is_a_404_and_a_bad_day_a_400(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{BASE}/2026-02-01")).status_code == 404
    for path in (f"{BASE}/2026-02-31", f"{BASE}?from=yesterday", f"{BASE}?from=2026-02-02&to=2026-02-01"):
        answer = await client.get(path)
        assert answer.status_code == 400, path
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert await _get(client, BASE, **SPAN) == {"brand": "acme", "items": [], "next": None}


async def test_a_page_ends_early_where_days_are_large(bench: Bench) -> None:
    await bench.put(days_of(90, days=3))
    page = await bench.history(hot_per_page=30).page("acme", since=date(2026, 1, 1), until=date(2026, 6, 1), limit=31)
    assert ([one.day for one in page.days], page.following) == (["2026-02-03"], "2026-02-02")


async def test_a_span_over_years_of_silence_is_walked_in_pages(bench: Bench) -> None:
    await bench.put([mention(1, OLD), mention(2, OLD - timedelta(days=100))])
    history_of = bench.history()
    first = await history_of.page("acme", since=date(2025, 10, 1), until=date(2026, 6, 1), limit=31)
    assert [one.day for one in first.days] == ["2026-02-01"]
    assert first.following is not None
    days = []
    until = date.fromisoformat(first.following)
    while True:
        page = await history_of.page("acme", since=date(2025, 10, 1), until=until, limit=31)
        days += [one.day for one in page.days]
        if page.following is None:
            break
        until = date.fromisoformat(page.following)
    assert days == [(OLD - timedelta(days=100)).date().isoformat()]


async def test_days_of_silence_are_not_asked_for_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard asks for the last 400 days of brands that are known for a week."""
    await bench.put([mention(number, OLD + timedelta(days=number)) for number in range(5)])
    await bench.put([mention(9, OLD - timedelta(days=77))])
    await bench.archive()
    await bench.put([mention(10, OLD - timedelta(days=23))])
    history_of, asked = bench.history(), list[str]()
    one = history_of._one

    async def counted(brand: str, day: str) -> Any:
        asked.append(day)
        return await one(brand, day)

    monkeypatch.setattr(history_of, "_one", counted)
    until = OLD.date() + timedelta(days=90)
    page = await history_of.page("acme", since=OLD.date() - timedelta(days=90), until=until, limit=31)
    days = [OLD.date() + timedelta(days=offset) for offset in (4, 3, 2, 1, 0, -23, -77)]
    assert [day.day for day in page.days] == [day.isoformat() for day in days]
    assert page.following is None
    assert len(asked) < 30


# -- summaries -------------------------------------------------------------------------------------------------------


class Unrecorded:
    def record(self, attempt: object) -> None:
        return None


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        server.answer = _told
        yield server


def _told(asked: Asked) -> str:
    answer = {"summary": "Logins failed.", "key_events": ["outage"], "themes": ["login"], "sentiment_score": -0.4}
    return orjson.dumps(answer).decode()


@pytest.fixture
async def llm(scripted: ScriptedServer) -> AsyncIterator[LLMAdapter]:
    options = {"openai_api_key": "k", "openai_base_url": scripted.url, "llm_provider": "openai", "llm_deadline_sec": 25}
    settings = load_settings(_env_file=None, **options)
    adapter = LLMAdapter(settings, recorder=Unrecorded(), money=load_prices(None), budget=Unlimited())
    yield adapter
    await adapter.close()


async def test_a_model_summarises_a_day_once_from_its_figures_and_a_sample(
    bench: Bench, llm: LLMAdapter, scripted: ScriptedServer
) -> None:
    await bench.put(days_of(400, days=1))
    report = await bench.archive(summaries=DaySummaries(llm))
    assert report["summaries"] == len(scripted.asked) == 1
    assert "400 mentions" in scripted.asked[0].user
    assert scripted.asked[0].user.count("2026-02-01T") == 50
    day = await bench.books.day("acme", "2026-02-01")
    assert day is not None
    assert (day["summary"]["source"], day["summary"]["text"], day["summary"]["mentions"]) == (
        "model",
        "Logins failed.",
        400,
    )
    await bench.put(mention(9_000 + n, OLD + timedelta(minutes=n)) for n in range(5))
    await bench.archive(summaries=DaySummaries(llm))
    assert len(scripted.asked) == 1, "five more among 400 tell nothing new"
    await bench.put(mention(9_500 + n, OLD + timedelta(minutes=n)) for n in range(100))
    await bench.archive(summaries=DaySummaries(llm))
    assert len(scripted.asked) == 2


async def test_days_of_few_mentions_are_not_worth_a_question(
    bench: Bench, llm: LLMAdapter, scripted: ScriptedServer
) -> None:
    await bench.put(days_of(10, days=1))
    await bench.archive(summaries=DaySummaries(llm))
    assert scripted.asked == []


async def test_a_model_that_refuses_the_key_is_asked_once_and_the_days_are_archived_all_the_same(
    bench: Bench, llm: LLMAdapter, scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: Fault(401)
    await bench.put(days_of(90))
    report = await bench.archive(summaries=DaySummaries(llm))
    assert (report["mentions_archived"], report["summaries"]) == (90, 0)
    assert len(scripted.asked) == 1
    for day in ("2026-02-01", "2026-02-02", "2026-02-03"):
        found = await bench.books.day("acme", day)
        assert found is not None
        assert found["summary"]["source"] == "statistics"
        assert found["summary"]["reason"].startswith("AUTH_ERROR")


def test_a_sample_is_spread_over_the_day_and_holds_what_weighs_most() -> None:
    documents = [mention(n, OLD + timedelta(seconds=n), influence_score=0.0, lead_score=0) for n in range(500)]
    for n in (3, 250, 499):
        documents[n]["influence_score"] = 9.0
    found = sample_of(documents)
    assert len(found) == 50
    assert {3, 250, 499} <= {documents.index(one) for one in found}
    assert found == sorted(found, key=lambda one: one["created_at"])
    assert sample_of(documents[:7]) == documents[:7]


# -- sums and blocks -------------------------------------------------------------------------------------------------


def test_sums_add_up_in_any_order_and_parting() -> None:
    documents = days_of(300, days=2)
    whole = sums_of(documents)
    for size in (1, 7, 299):
        merged = Sums()
        for start in reversed(range(0, 300, size)):
            part = Sums.from_dict(sums_of(documents[start : start + size]).to_dict())
            merged.merge(part)
        assert merged == whole
        assert merged.shown() == whole.shown()
    assert whole.shown()["mentions"] == 300


def test_sums_of_nothing_have_no_mean() -> None:
    assert Sums().shown()["sentiment"] == {"positive": 0, "neutral": 0, "negative": 0, "score": None}


def _block(count: int = 50) -> Block:
    return Block("acme", "2026-02-01", tuple(encode(one) for one in days_of(count, days=1)))


def test_a_block_is_what_was_packed_and_the_same_every_time() -> None:
    block = _block()
    data = pack(block)
    assert unpack(data, sha256=digest_of(data)) == block
    assert pack(block) == data
    assert len(data) < sum(map(len, block.documents)) / 2


def test_every_byte_of_a_block_is_guarded() -> None:
    data = pack(_block(5))
    intact = digest_of(data)
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        with pytest.raises(ArchiveDamaged):
            unpack(damaged, sha256=intact)
    for end in range(len(data)):
        with pytest.raises(ArchiveDamaged):
            unpack(data[:end])


def test_a_block_that_says_it_is_huge_is_refused_before_it_is_unpacked() -> None:
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(80 << 20))
    header = orjson.dumps({"brand": "acme", "day": "2026-02-01", "count": 1, "raw_bytes": 80 << 20, "sha256": "0" * 64})
    with pytest.raises(ArchiveDamaged, match="bytes"):
        unpack(b"BWARCHV\x01" + len(header).to_bytes(4, "little") + header + bomb)


# -- stores ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "default", "gridfs", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    kinds = {"file": f"file://{tmp_path}/a%20b", "default": None, "gridfs": "gridfs://", "memory": "memory://archive"}
    return kinds[request.param]


async def test_every_store_gives_back_what_it_was_given(url: str | None, tmp_path: Path, bench: Bench) -> None:
    settings = load_settings(_env_file=None, archive_url=url, data_dir=tmp_path)
    store = open_archive(settings, bench.storage)
    name = archive_name("acme", "2026-02-01", "ab" * 32)
    with pytest.raises(ArchiveMissing):
        await store.read(name)
    await store.delete(name)
    for data in (b"first", b"second, in its place", bytes(3 << 20)):
        await store.write(name, data)
        assert await store.read(name) == data
    await store.delete(name)
    with pytest.raises(ArchiveMissing):
        await store.read(name)


async def test_a_gridfs_archive_works_from_end_to_end(bench: Bench, tmp_path: Path) -> None:
    sent = await bench.put(days_of(60, days=2))
    settings = load_settings(_env_file=None, archive_url="gridfs://", data_dir=tmp_path)
    archive = Archive(settings, bench.storage, None, clock=lambda: NOW)
    await archive.step().run(bench.run())
    assert await bench.hot() == {}
    for day in ("2026-02-01", "2026-02-02"):
        await archive.restorer().restore("acme", day)
    archive.close()
    assert await bench.hot() == sent


async def test_a_block_cut_short_is_never_seen_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalArchive(tmp_path)

    def dies(descriptor: int) -> None:
        raise OSError("the disk has gone")

    monkeypatch.setattr("src.worker.services.archive_store.os.fsync", dies)
    with pytest.raises(ArchiveUnavailable):
        await store.write("acme/2026-02-01/x.bwa", b"data")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_store_that_is_not_installed_is_named_without_its_secrets() -> None:
    with pytest.raises(ConfigError, match="s3fs") as caught:
        FsspecArchive("s3://key:hunter2@bucket/archive")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="ARCHIVE_URL"):
        load_settings(_env_file=None, archive_url="/srv/archive")


def test_the_archive_is_beside_the_other_data_by_default(tmp_path: Path, mongo_uri: str) -> None:
    storage = Storage(mongo_uri)
    store = open_archive(load_settings(_env_file=None, data_dir=tmp_path), storage)
    storage.close()
    assert isinstance(store, LocalArchive)
    assert store.directory == tmp_path / "archive"
