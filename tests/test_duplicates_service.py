"""Near-duplicates across chunks and replicas: one original whoever asks first, the same again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from src.worker.batch_processor import BatchProcessor
from src.worker.cpu import Cpu
from src.worker.errors import QueueUnavailable
from src.worker.keys import PlatformKeys
from src.worker.metrics import Metrics
from src.worker.models import Chunk, Mention, TimeSource
from src.worker.near_duplicates import BANDS, BUCKET_MAX
from src.worker.near_features import same_post, unpacked
from src.worker.pipeline.canonical import canonical, content_hash
from src.worker.redis_client import RedisClient
from src.worker.services import duplicates
from src.worker.services.brands import BrandDirectory
from src.worker.services.duplicates import NearLinks, links_within
from src.worker.services.sorting import Repeat
from src.worker.storage import Storage
from tests.helpers import local_tiers, settings

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WINDOW = timedelta(hours=72)
POST = "The new Acme app logs me out every time I try to pay with my card"


def _mention(text: str, *, brand: str = "acme", source: str = "x", at: datetime = NOW) -> Mention:
    form = canonical(text)
    return Mention(text[:20], brand, text, form, content_hash(source, form), source, at, TimeSource.EVENT)


@pytest.fixture
def cpu() -> Iterator[Cpu]:
    cpu = Cpu()
    yield cpu
    cpu.close()


@pytest.fixture
def links(client: RedisClient, cpu: Cpu) -> NearLinks:
    return NearLinks(client, cpu, window=WINDOW)


@asynccontextmanager
async def replica(redis_url: str, mongo_uri: str, *, near: bool = True) -> AsyncIterator[BatchProcessor]:
    """A service with connections and a thread of its own, as in another process."""
    client, storage, cpu = RedisClient(redis_url), Storage(mongo_uri), Cpu()
    try:
        metrics = Metrics()
        yield BatchProcessor(
            storage,
            BrandDirectory(client, PlatformKeys()),
            cpu,
            metrics,
            clock=lambda: NOW,
            max_chars=1_000,
            tiers=local_tiers(cpu, metrics),
            near=NearLinks.build(client, cpu, settings()) if near else None,
        )
    finally:
        await client.close()
        storage.close()
        cpu.close()


def _chunk(name: str, *texts: str, **more: Any) -> Chunk:
    items = tuple(
        {"id": f"{name}-{n}", "text": text, "source": "x", "created_at": "2026-11-21T12:00:00Z", "author": "jo", **more}
        for n, text in enumerate(texts)
    )
    return Chunk("acme", name, items)


def _figures(counts: Any) -> list[int]:
    return [counts[name] for name in ("read", "stored", "duplicates", "nearDuplicates", "rejected", "synthetic")]


# -- the links -------------------------------------------------------------------------------------------------------


async def test_a_copy_in_a_later_chunk_names_the_original(links: NearLinks) -> None:
    first, copy = _mention(POST), _mention(f"{POST} #fail 😡")
    assert await links.of([first]) == {}
    assert await links.of([copy]) == {copy.content_hash: first.content_hash}
    assert await links.of([_mention("Something else entirely happened in the shop")]) == {}


async def test_the_same_question_again_has_the_same_answer(links: NearLinks) -> None:
    chunk = [_mention(f"{POST} #{tag}") for tag in ("new", "fail", "wow", "why")] + [
        _mention("quite another post on it")
    ]
    answer = await links.of(chunk)
    assert len(answer) == 3
    assert await links.of(chunk) == answer
    assert await links.of(list(reversed(chunk))) == answer
    assert await links.of(chunk[1:3]) == {m.content_hash: answer[m.content_hash] for m in chunk[1:3]}


async def test_a_post_that_was_linked_is_nobodys_original(links: NearLinks) -> None:
    words = [f"{letter}word" for letter in "abcdefghijkl"]
    first, middle, last = (_mention(" ".join(words[start : start + 10])) for start in range(3))
    assert (await links.of([first, middle]))[middle.content_hash] == first.content_hash
    # `last` is like `middle` and not like `first`; `middle` comes again with it, as a chunk sent twice does.
    answer = await links.of([middle, last])
    assert answer[middle.content_hash] == first.content_hash
    assert answer.get(last.content_hash) in (None, first.content_hash)


@pytest.mark.parametrize("more", [{"brand": "globex"}, {"source": "reddit"}, {"at": NOW + timedelta(hours=73)}])
async def test_brands_sources_and_windows_are_apart(links: NearLinks, more: dict[str, Any]) -> None:
    await links.of([_mention(POST)])
    assert await links.of([_mention(f"{POST} #fail", **more)]) == {}


@pytest.mark.parametrize("hours", [-71, -1, 1, 71])
async def test_posts_are_linked_by_the_time_they_were_written(links: NearLinks, hours: int) -> None:
    await links.of([_mention(POST)])
    assert len(await links.of([_mention(f"{POST} #fail", at=NOW + timedelta(hours=hours))])) == 1


async def test_replicas_agree_who_was_first(redis_url: str, cpu: Cpu) -> None:
    """Many chunks of copies at once from two replicas: every family has exactly one original, and all name it."""
    rng = Random(7)
    families = [" ".join(rng.sample([f"w{a}{b}" for a in "abcdefgh" for b in "ijklmnop"], 14)) for _ in range(12)]
    mentions = [
        (number, _mention(f"{text} #tag{'abcdefgh'[copy]}"))
        for number, text in enumerate(families)
        for copy in range(8)
    ]
    rng.shuffle(mentions)
    clients = [RedisClient(redis_url) for _ in range(2)]
    replicas = [NearLinks(client, cpu, window=WINDOW) for client in clients]
    chunks = [mentions[start : start + 6] for start in range(0, len(mentions), 6)]
    answers = await asyncio.gather(
        *(replicas[turn % 2].of([mention for _, mention in chunk]) for turn, chunk in enumerate(chunks))
    )
    found = {digest: target for answer in answers for digest, target in answer.items()}
    originals = {
        number: [m.content_hash for n, m in mentions if n == number and m.content_hash not in found]
        for number in range(12)
    }
    assert all(len(one) == 1 for one in originals.values())
    assert all(found.get(m.content_hash, originals[n][0]) == originals[n][0] for n, m in mentions)
    for client in clients:
        await client.close()


async def test_a_usual_chunk_takes_one_round_trip_and_one_with_copies_two(redis_url: str, cpu: Cpu) -> None:
    class Counted(RedisClient):
        trips = 0

        async def call(self, *words: Any) -> Any:
            Counted.trips += 1
            return await super().call(*words)

    client = Counted(redis_url)
    links = NearLinks(client, cpu, window=WINDOW)
    await links.of([_mention("the script is loaded by the first call")])
    rng = Random(3)
    texts = [" ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(12)) for _ in range(30)]
    Counted.trips = 0
    await links.of([_mention(text) for text in texts])
    assert Counted.trips == 1
    await links.of([_mention(f"{text} #again") for text in texts])
    assert Counted.trips == 3
    await client.close()


async def test_texts_of_one_template_do_not_cost_their_square(
    links: NearLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bots that change a number: every post shares bands with every other, and none repeats another."""
    chunks = [[_mention(f"{POST}, order {chunk} number {post}") for post in range(60)] for chunk in range(12)]
    read: list[bytes] = []
    compared: list[int] = []
    monkeypatch.setattr(duplicates, "unpacked", lambda packed: (read.append(packed), unpacked(packed))[1])
    monkeypatch.setattr(duplicates, "same_post", lambda one, other: (compared.append(1), same_post(one, other))[1])
    found = await asyncio.gather(*(links.of(chunk) for chunk in chunks))
    assert found == [{}] * 12
    posts = sum(map(len, chunks))
    # An original is read once by a chunk, whatever number of its posts meet it; the newest of a band are compared.
    assert len(read) <= posts * (len(chunks) - 1) / 2
    assert len(compared) <= posts * 2 * BANDS * BUCKET_MAX, f"{len(compared) / posts:.0f} comparisons per post"


async def test_everything_in_redis_ends_by_itself(client: RedisClient, links: NearLinks) -> None:
    await links.of([_mention(POST), _mention(f"{POST} #fail")])
    keys = await client.call("KEYS", "*")
    assert keys
    assert all(key.startswith(b"worker:near:{acme}:") for key in keys)
    assert {0 < await client.call("TTL", key) <= 2 * 72 * 3600 for key in keys} == {True}


async def test_a_short_post_costs_redis_nothing(client: RedisClient, links: NearLinks) -> None:
    assert await links.of([_mention("thank you acme"), _mention("thank you")]) == {}
    assert await client.call("DBSIZE") == 0


async def test_without_redis_the_caller_is_told_to_come_again(cpu: Cpu) -> None:
    client = RedisClient("redis://127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable):
        await NearLinks(client, cpu, window=WINDOW).of([_mention(POST)])
    await client.close()


def test_a_batch_is_linked_within_itself() -> None:
    first, copy, other = _mention(POST), _mention(f"{POST} #fail"), _mention(f"{POST} #fail", source="reddit")
    assert links_within([first, copy, other]) == {copy.content_hash: first.content_hash}


# -- the chunks ------------------------------------------------------------------------------------------------------


async def test_a_near_duplicate_is_counted_with_its_time_and_author_and_not_stored(
    redis_url: str, mongo_uri: str
) -> None:
    async with replica(redis_url, mongo_uri) as service:
        first = await service.process(_chunk("c1", POST, "Acme is fine"), task_id="t1", received_at=NOW)
        outcome = await service.process(
            _chunk("c2", f"{POST} #fail", "acme is FINE", "Acme has a new shop"), task_id="t2", received_at=NOW
        )
        assert _figures(first.counts) == [2, 2, 0, 0, 0, 0]
        assert _figures(outcome.counts) == [3, 1, 2, 1, 0, 0]
        original = f"acme:{_mention(POST).content_hash}"
        fine = f"acme:{_mention('Acme is fine').content_hash}"
        assert outcome.repeats == (
            Repeat("c2-0", original, NOW, "jo", near=True),
            Repeat("c2-1", fine, NOW, "jo", near=False),
        )
        assert sum(outcome.counts["sentiments"].values()) == 1
        stored = await service._storage.collection("mentions").find({}).to_list(None)
        assert len(stored) == 3
        assert original in {document["_id"] for document in stored}
        record = await service._storage.collection("processed_chunks").find_one({"chunk_id": "c2"})
        assert record is not None
        assert record["duplicates"][0] == {
            "id": "c2-0",
            "duplicate_of": original,
            "created_at": NOW,
            "author": "jo",
            "near": True,
        }


async def test_a_chunk_processed_twice_has_the_same_numbers(redis_url: str, mongo_uri: str) -> None:
    """As after a crash before the acknowledgement, by another replica, while copies have come in between."""
    chunk = _chunk("c1", POST, f"{POST} #fail", "Acme is fine", f"{POST} #fail", "Acme opened a shop in our street")
    async with replica(redis_url, mongo_uri) as one, replica(redis_url, mongo_uri) as other:
        first = await one.process(chunk, task_id="t1", received_at=NOW)
        await other.process(_chunk("c2", f"{POST} #wow"), task_id="t2", received_at=NOW)
        again = await other.process(chunk, task_id="t1", received_at=NOW)
    assert _figures(first.counts) == [5, 3, 2, 2, 0, 0]
    assert again.counts == first.counts
    assert again.repeats == first.repeats


async def test_a_crash_between_the_decision_and_the_storage_changes_nothing(redis_url: str, mongo_uri: str) -> None:
    chunk = _chunk("c1", POST, f"{POST} #fail")
    async with replica(redis_url, mongo_uri) as service:
        whole, service._tiers.analyse = service._tiers.analyse, _crash  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="crash"):
            await service.process(chunk, task_id="t1", received_at=NOW)
        service._tiers.analyse = whole  # type: ignore[method-assign]
        outcome = await service.process(chunk, task_id="t1", received_at=NOW)
        assert _figures(outcome.counts) == [2, 1, 1, 1, 0, 0]
        assert await service._storage.collection("mentions").count_documents({}) == 1


async def _crash(*_: Any, **__: Any) -> Any:
    raise RuntimeError("crash")


async def test_replicas_at_once_store_each_family_once(redis_url: str, mongo_uri: str) -> None:
    texts = [f"{POST} in {place}" for place in ("Aachen", "Bremen", "Coburg", "Dresden", "Essen", "Fulda")]
    async with replica(redis_url, mongo_uri) as one, replica(redis_url, mongo_uri) as other:
        outcomes = await asyncio.gather(
            *(
                service.process(_chunk(f"c{n}-{text[-5:]}", text), task_id=f"t{n}-{text[-5:]}", received_at=NOW)
                for text in texts
                for n, service in enumerate((one, other))
            )
        )
        stored = await one._storage.collection("mentions").find({}).to_list(None)
    totals = [sum(column) for column in zip(*(_figures(outcome.counts) for outcome in outcomes), strict=True)]
    assert len(stored) == 1
    assert totals[:3] == [12, 1, 11]
    assert {repeat.duplicate_of for outcome in outcomes for repeat in outcome.repeats} == {stored[0]["_id"]}


async def test_analyse_links_within_the_batch_and_judges_the_original_only(redis_url: str, mongo_uri: str) -> None:
    async with replica(redis_url, mongo_uri, near=False) as service:
        verdicts, _ = await service.analyse(_chunk("c", POST, "Acme is fine", f"{POST} #fail", POST.upper()))
        assert [verdict.get("duplicate_of") for verdict in verdicts] == [None, None, "c-0", "c-0"]
        assert verdicts[2]["text"].endswith("#fail")
        assert verdicts[2]["sentiment"] == verdicts[0]["sentiment"]
        assert await service._storage.collection("mentions").count_documents({}) == 0
