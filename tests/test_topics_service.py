"""Topics over chunks, restarts and workers: ids stay and are never given twice, whatever happens to a process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from src.worker.brand_terms import BrandTerms
from src.worker.cpu import Cpu
from src.worker.embeddings import CachedEmbedder, LocalEmbedder
from src.worker.errors import StorageUnavailable
from src.worker.llm.errors import Kind, LLMError
from src.worker.models import Mention, TimeSource
from src.worker.pipeline.canonical import canonical, content_hash
from src.worker.pipeline.documents import COMPETITORS, Place
from src.worker.pipeline.topic_sums import NOISE
from src.worker.services import topic_shelf
from src.worker.services.topic_metrics import TopicMetrics
from src.worker.services.topic_shelf import BLOCK
from src.worker.services.topic_store import TOPIC_NUMBERS, TOPICS, TopicStore
from src.worker.services.topics import TopicService
from src.worker.storage import MENTIONS, Document, Storage
from src.worker.topics import number_of
from tests.helpers import until

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERMS = BrandTerms.build("acme")
REFUND = ["@acme where is my refund", "refund not received yet", "still no refund after two weeks", "I want my refund"]
CRASH = ["App crashes on login", "the app crashes again", "crashes when I open the app", "login makes the app crash"]


def _mention(text: str, n: int = 0, **more: Any) -> Mention:
    form = canonical(text)
    at = AT + timedelta(seconds=n)
    return Mention(f"m{n}", "acme", text, form, content_hash("x", form), "x", at, TimeSource.EVENT, **more)


def _mentions(texts: Sequence[str]) -> list[Mention]:
    return [_mention(text, n) for n, text in enumerate(texts)]


class _Failing:
    """Embeddings of a provider that is away."""

    space = "away/2"

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    async def embed(self, texts: Sequence[str], *, brand: str | None = None) -> Any:
        raise LLMError(self.kind, "away")

    async def close(self) -> None:
        return None


@dataclass
class Workers:
    """Processes over one database."""

    storage: Storage
    cpu: Cpu
    store: TopicStore
    made: list[TopicService]

    def another(self, **more: Any) -> TopicService:
        embedder = more.pop("embedder", None) or CachedEmbedder(LocalEmbedder(self.cpu))
        self.metrics = TopicMetrics(CollectorRegistry())
        service = TopicService(embedder, more.pop("store", self.store), self.cpu, self.metrics, **more)
        self.made.append(service)
        return service

    async def stored(self) -> Document:
        found = await self.store.read("acme")
        assert found is not None
        return found


@pytest.fixture
async def workers(mongo_uri: str) -> AsyncIterator[Workers]:
    storage, cpu = Storage(mongo_uri), Cpu()
    yield Workers(storage, cpu, TopicStore(storage), [])
    storage.close()
    cpu.close()


async def _place(service: TopicService, mentions: Sequence[Mention], last_attempt: bool = False) -> list[str | None]:
    places = await service.place("acme", mentions, TERMS, last_attempt=last_attempt)
    assert set(places) == {one.content_hash for one in mentions}
    return [places[one.content_hash].topic for one in mentions]


def _value(counter: Any, outcome: str | None = None) -> float:
    child = counter.labels(outcome) if outcome is not None else counter
    return float(child._value.get())


async def test_ids_stay_over_chunks_and_restarts(workers: Workers) -> None:
    first = workers.another()
    topics = await _place(first, _mentions([*REFUND[:2], *CRASH[:2]]))
    assert topics == ["t1", "t1", "t2", "t2"]
    assert await _place(first, _mentions([REFUND[2], CRASH[2]])) == ["t1", "t2"]
    await first.close()
    second = workers.another()
    assert await _place(second, _mentions([CRASH[3], REFUND[3]])) == ["t2", "t1"]
    await second.close()
    record = await workers.stored()
    assert (record["version"], [row["count"] for row in record["topics"]]) == (2, [4, 4])
    assert len(record["vectors"]) == 2 * 512 * 4
    assert all("acme" not in text for row in record["topics"] for text in row["examples"])


async def test_a_kill_loses_movement_and_never_gives_an_id_twice(workers: Workers) -> None:
    killed = workers.another()
    lost = await _place(killed, _mentions([REFUND[0], CRASH[0]]))
    after = workers.another()  # the first one has stored nothing but its numbers
    found = await _place(after, _mentions([*REFUND[1:3], "quite another matter altogether"]))
    assert not set(found) & set(lost)
    assert min(number_of(one) for one in found if one) > BLOCK


async def test_a_chunk_that_is_tried_again_gets_the_same_topics_and_counts_once(workers: Workers) -> None:
    service = workers.another()
    mentions = _mentions([*REFUND, *CRASH])
    assert await _place(service, mentions) == await _place(service, mentions)
    await service.close()
    assert [row["count"] for row in (await workers.stored())["topics"]] == [4, 4]


async def test_two_workers_on_one_brand_come_to_one_state(workers: Workers) -> None:
    one, other = workers.another(), workers.another()
    first, second = await asyncio.gather(_place(one, _mentions(REFUND)), _place(other, _mentions([*REFUND, *CRASH])))
    assert not set(first) & set(second)
    await one.close()
    await other.close()  # finds the other's state
    record = await workers.stored()
    older, younger = sorted(number_of(topics[0] or "") for topics in (first, second))
    merged = dict(record["merged"])
    assert merged == {f"t{younger}": f"t{older}"}
    assert sorted(row["count"] for row in record["topics"]) == [4, 8]
    assert _value(workers.metrics.flushes, "conflict") == 1
    # The merger is told by the next chunk of whoever knows of it, until a stored one has carried it.
    next_one = workers.another()
    told = await next_one.chunk("acme", [], [f"t{younger}"], ())
    assert told.news.merged == merged
    assert set(told.news.labels) == {f"t{older}"}
    next_one.carried("acme", told.news)
    assert (await next_one.chunk("acme", [], [], ())).news.merged == {}


async def test_a_topic_of_one_mention_that_others_repeat_has_a_name(workers: Workers) -> None:
    service = workers.another()
    only = _mention("stranded in Oslo without any help from the airline")
    topics = [topic for topic in await _place(service, [only]) if topic is not None]
    document = {"_id": "acme:1", "topic": "t1", "text": only.text, "sentiment": {"score": -0.5}}
    alone = await service.chunk("acme", [document], topics, ())
    assert not alone.news.labels  # a name for one mention would be the mention
    repeated = await service.chunk("acme", [document], [*topics, *topics], ())
    label = repeated.news.labels["t1"]
    assert ("stranded" in label.text.lower(), label.by.value, label.at) == (True, "phrases", 1)
    assert (await service.chunk("acme", [], topics, ())).news.labels == repeated.news.labels  # it stays
    await _place(service, [_mention("stranded in Oslo and no help at all from them", 1)])
    assert (await service.chunk("acme", [], topics, ())).news.labels["t1"].at == 2
    await service.close()
    assert (await workers.stored())["topics"][0]["label"]


async def test_concurrent_chunks_of_a_brand_in_one_worker_lose_nothing(workers: Workers) -> None:
    service = workers.another()
    parts = [_mentions([f"{REFUND[n % 4]} {n}", f"{CRASH[n % 4]} {n}"]) for n in range(20)]
    found = await asyncio.gather(*(_place(service, part) for part in parts))
    assert {topic for topics in found for topic in topics} == {"t1", "t2"}
    await service.close()
    assert [row["count"] for row in (await workers.stored())["topics"]] == [20, 20]


async def test_changes_are_stored_in_the_background(workers: Workers) -> None:
    service = workers.another(flush_sec=0.05)
    service.start()
    await _place(service, _mentions(REFUND))

    async def there() -> bool:
        return await workers.store.read("acme") is not None

    await until(there)
    version = (await workers.stored())["version"]
    await asyncio.sleep(0.2)
    assert (await workers.stored())["version"] == version  # nothing changed, nothing written
    await service.close()


async def test_an_answer_that_was_lost_is_not_taken_for_another_worker(workers: Workers) -> None:
    class Deaf(TopicStore):
        def __init__(self, storage: Storage) -> None:
            super().__init__(storage)
            self.deaf = 1

        async def replace(self, brand: str, record: Document, *, read: int | None) -> bool:
            done = await super().replace(brand, record, read=read)
            if self.deaf:
                self.deaf -= 1
                raise StorageUnavailable("the answer was lost")
            return done

    service = workers.another(store=Deaf(workers.storage), flush_sec=0.05)
    await _place(service, _mentions(REFUND))
    service.start()

    async def stored() -> bool:
        return _value(workers.metrics.flushes, "stored") > 0

    await until(stored)
    await _place(service, _mentions([f"{REFUND[0]} again"]))
    await service.close()
    assert [row["count"] for row in (await workers.stored())["topics"]] == [5]
    assert _value(workers.metrics.flushes, "failed") == 1


async def test_topics_of_another_space_or_damaged_begin_anew_under_new_ids(workers: Workers) -> None:
    first = workers.another()
    await _place(first, _mentions(REFUND))
    await first.close()
    for change in ({"space": "other/3"}, {"vectors": b"x"}):
        await workers.storage.collection(TOPICS).update_one({"_id": "acme"}, {"$set": change})
        before = (await workers.storage.collection(TOPIC_NUMBERS).find_one({"_id": "acme"}) or {})["last"]
        service = workers.another()
        topics = await _place(service, _mentions([f"{REFUND[0]} {before}"]))
        assert topics == [f"t{before + 1}"]
        assert _value(workers.metrics.discarded) == 1
        await service.close()
        assert (await workers.stored())["space"] == "local-1/512"


async def test_brands_beyond_the_room_come_back_from_the_database(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_shelf, "BRANDS_MAX", 2)
    service = workers.another(flush_sec=0.02)
    service.start()
    for n in range(4):
        await service.place(f"brand{n}", _mentions(REFUND), TERMS, last_attempt=False)

    async def smaller() -> bool:
        return _value(workers.metrics.brands) == 2 and _value(workers.metrics.flushes, "stored") == 4

    await until(smaller)
    (place,) = (await service.place("brand0", _mentions(["my refund is late"]), TERMS, last_attempt=False)).values()
    assert place == Place("t1")
    await service.close()


async def test_mentions_without_words_are_noise_and_competitors_have_no_topic(workers: Workers) -> None:
    service = workers.another()
    mentions = [
        _mention("🚀🚀"),
        _mention("@acme"),
        _mention("https://acme.org/x"),
        _mention(REFUND[0], competitor="Other"),
    ]
    places = await service.place("acme", mentions, TERMS, last_attempt=False)
    assert [places[one.content_hash] for one in mentions] == [Place(NOISE)] * 3 + [COMPETITORS]
    assert await workers.store.read("acme") is None
    assert _value(workers.metrics.placed, "noise") == 3


async def test_names_of_the_brand_make_no_topic(workers: Workers) -> None:
    service = workers.another()
    found = await _place(service, _mentions(["@acme lounge closed", "@acme gate changed twice", "@acme wifi broken"]))
    assert len(set(found)) == 3


@pytest.mark.parametrize(("kind", "retryable"), [(Kind.RATE_LIMITED, True), (Kind.AUTH, False), (Kind.BUDGET, False)])
async def test_failed_embeddings_are_a_retry_while_one_may_help_and_then_a_reason(
    workers: Workers, kind: Kind, retryable: bool
) -> None:
    service = workers.another(embedder=_Failing(kind))
    mentions = [*_mentions(REFUND), _mention("🚀")]
    if retryable:
        with pytest.raises(LLMError):
            await service.place("acme", mentions, TERMS, last_attempt=False)
    places = await service.place("acme", mentions, TERMS, last_attempt=retryable)
    lost = {places[one.content_hash] for one in mentions[:4]}
    (place,) = lost
    assert place.topic is None
    assert place.reason is not None
    assert place.reason.startswith("embeddings failed: ")
    assert places[mentions[4].content_hash] == Place(NOISE)
    assert _value(workers.metrics.degraded) == 1
    documents = [{"_id": "a", "topic": None, "topic_reason": place.reason, "text": "x", "sentiment": {"score": 0.0}}]
    told = await service.chunk("acme", documents, [], ())
    assert (told.clusters, told.reason) == ((), place.reason)


async def test_a_database_that_is_away_is_a_retry_and_loses_nothing(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = workers.another()

    async def away(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(TopicStore, "reserve", away)
        with pytest.raises(StorageUnavailable):
            await _place(service, _mentions(REFUND))
    assert await _place(service, _mentions(REFUND)) == ["t1"] * 4
    await service.close()
    assert [row["count"] for row in (await workers.stored())["topics"]] == [4]


async def test_numbers_are_given_once_however_many_ask(workers: Workers) -> None:
    ranges = await asyncio.gather(*(workers.store.reserve("acme", 7) for _ in range(12)))
    given = [n for one in ranges for n in one]
    assert len(given) == len(set(given)) == 12 * 7


async def test_only_one_worker_has_a_topic_named_for_so_many_mentions(workers: Workers) -> None:
    await workers.store.reserve("acme", 1)
    claims = await asyncio.gather(*(workers.store.claim_naming("acme", "t1", 12) for _ in range(5)))
    assert claims.count(True) == 1
    assert await workers.store.claim_naming("acme", "t1", 48)
    assert not await workers.store.claim_naming("acme", "t1", 12)


async def test_rows_of_a_span_count_by_topic_and_mood(workers: Workers) -> None:
    documents = [
        {"_id": f"{n}", "brand": "acme", "topic": topic, "created_at": AT + timedelta(hours=n), "sentiment": mood}
        for n, (topic, mood) in enumerate(
            [
                ("t1", {"label": "negative", "score": -0.5}),
                ("t1", {"label": "positive", "score": 0.8}),
                ("t1", {"label": "positive", "score": 0.6}),
                (None, {"label": "positive", "score": 0.6}),
                (NOISE, {"label": "neutral", "score": 0.0}),
            ]
        )
    ]
    await workers.storage.collection(MENTIONS).insert_many(documents)
    rows = await workers.store.rows("acme", AT + timedelta(minutes=30))
    assert set(rows) == {"t1", NOISE}
    assert (rows["t1"].stored, rows["t1"].score, dict(rows["t1"].labels)) == (2, 0.7, {"positive": 2})
    assert (await workers.store.rows("acme", AT))["t1"].stored == 3
    assert [one["_id"] for one in await workers.store.newest("acme", ["t1"], 2)] == ["2", "1"]
