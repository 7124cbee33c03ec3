"""The worker and the janitor on the same mentions: chunks that are executed again after their mentions were archived,
and mentions that arrive while their day is being archived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from src.worker.models import Task, TaskPriority
from src.worker.services.archive_store import LocalArchive
from tests.archive_helpers import OLD, Bench, days_of, mention
from tests.helpers import running

pytestmark = pytest.mark.anyio


def _chunk(number: int, *texts: str) -> Task:
    mentions = [{"id": f"i{n}", "text": text, "created_at": "2026-02-01T10:00:00Z"} for n, text in enumerate(texts)]
    document = {"brand": "acme", "chunkId": f"acme-{number}", "mentions": mentions}
    return Task(f"t-{number}", "analyze_mentions", document, "acme", TaskPriority.NORMAL, 1, 1_780_000_000_000)


@pytest.fixture
async def bench(mongo_uri: str, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, tmp_path / "archive")
    yield bench
    bench.close()


async def test_a_chunk_executed_again_after_its_mentions_were_archived_has_the_same_numbers(
    redis_url: str, mongo_uri: str, bench: Bench
) -> None:
    """A worker that was killed before it acknowledged a chunk of old mentions, and a janitor that ran meanwhile."""
    task = _chunk(1, "Acme is good", "Acme is bad", "Acme is good")
    async with running(redis_url, mongo_uri) as runtime:
        handle = runtime.handlers["analyze_mentions"].handle
        first = await handle(task)
        assert (first.result["stored"], first.result["duplicates"]) == (2, 1)
        assert (await bench.archive())["mentions_archived"] == 2
        assert await bench.hot() == {}
        assert (await handle(task)).result == first.result
        other = await handle(_chunk(2, "Acme is good"))
        assert (other.result["stored"], other.result["duplicates"]) == (0, 1)
    day = await bench.history().day("acme", "2026-02-01")
    assert day is not None
    assert (day.sums.mentions, day.mentions_hot) == (2, 0), "back at hand, and counted where they were archived"
    await bench.archive()
    assert await bench.hot() == {}
    assert await bench.stones() == 2
    assert (await bench.first_day() or {})["mentions"] == 2


async def test_mentions_that_arrive_while_their_day_is_archived_are_neither_lost_nor_counted_twice(
    bench: Bench,
) -> None:
    sent = await bench.put(days_of(30, days=1))

    class Meanwhile(LocalArchive):
        """While a block is written, a mention arrives whose place has been read, and one whose place has not."""

        arrived = 0

        async def write(self, name: str, data: bytes) -> None:
            self.arrived += 1
            for hour in (0, 23) if self.arrived <= 3 else ():
                when = OLD + timedelta(hours=hour, minutes=59, milliseconds=self.arrived)
                sent.update(await bench.put([mention(1_000 * hour + self.arrived + 100, when)]))
            assert (await bench.first_day() or {})["mentions"] == len(sent)
            await super().write(name, data)

    await bench.archive(store=Meanwhile(bench.directory), part_mentions=10)
    assert set(bench.archived()) | set((await bench.hot()).values()) == set(sent.values())
    assert (await bench.first_day() or {})["mentions"] == len(sent) == 36
    await bench.archive()
    assert await bench.hot() == {}
    assert sorted(bench.archived()) == sorted(sent.values())
    assert (await bench.first_day() or {})["mentions"] == len(sent) == await bench.stones()
