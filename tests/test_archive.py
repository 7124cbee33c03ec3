"""The archive: nothing is lost, nothing is counted twice, what comes back is what went in, whatever happens."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import DatetimeMS, Decimal128, ObjectId, encode

from src.worker.errors import InvalidTask, StorageUnavailable
from src.worker.janitor_seams import LockLost
from src.worker.pipeline.archive_block import ArchiveDamaged, Block, pack, unpack
from src.worker.pipeline.archive_sums import sums_of
from src.worker.raw_storage import decoded, id_of
from src.worker.services.archive import ArchiveTrouble
from src.worker.services.archive_records import HISTORY, PARTS, PartState
from src.worker.services.archive_restore import HELD_DAYS, NotArchived
from src.worker.services.archive_store import ArchiveMissing, ArchiveUnavailable, LocalArchive
from src.worker.storage import ARCHIVED, MENTIONS
from tests.archive_helpers import NOW, OLD, Bench, OpenFence, days_of, mention

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(mongo_uri: str, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, tmp_path / "archive")
    yield bench
    bench.close()


# -- what goes and what stays ----------------------------------------------------------------------------------------


async def test_days_that_are_old_as_a_whole_leave_and_all_others_stay(bench: Bench) -> None:
    first_hot = datetime(2026, 3, 3, tzinfo=UTC)
    old = await bench.put([mention(1, OLD), mention(2, first_hot - timedelta(milliseconds=1))])
    hot = await bench.put([mention(3, first_hot), mention(4, NOW)])
    report = await bench.archive()
    assert await bench.hot() == hot
    assert sorted(bench.archived()) == sorted(old.values())
    assert (report["mentions_archived"], report["days"], report["cutoff"]) == (2, 2, "2026-03-03")


async def test_a_day_of_many_mentions_becomes_parts_of_bounded_size(bench: Bench) -> None:
    sent = await bench.put(days_of(1_000, days=1))
    report = await bench.archive(part_mentions=300)
    parts = await bench.books.parts_of("acme", "2026-02-01")
    assert sorted(one.count for one in parts) == [100, 300, 300, 300]
    assert sorted(bench.archived()) == sorted(sent.values())
    assert {one.state for one in parts} == {PartState.DONE}
    assert report["parts"] == 4


async def test_mentions_of_one_moment_are_not_skipped_between_parts(bench: Bench) -> None:
    sent = await bench.put(mention(n, OLD) for n in range(70))
    await bench.archive(part_mentions=20)
    assert await bench.hot() == {}
    assert sorted(bench.archived()) == sorted(sent.values())


@pytest.mark.parametrize("windows", [1, 2, 7, 997])
async def test_a_day_is_read_completely_and_in_order_whatever_its_windows(bench: Bench, windows: int) -> None:
    burst = [mention(n, OLD + timedelta(hours=5)) for n in range(30)]
    edges = [OLD + timedelta(days=1) * n / 7 for n in range(7)] + [OLD + timedelta(days=1, milliseconds=-1)]
    at_edges = [mention(100 + n, at.replace(microsecond=at.microsecond // 1000 * 1000)) for n, at in enumerate(edges)]
    sent = await bench.put([*burst, *at_edges, mention(999, OLD, created_at=[OLD, OLD])])
    read: list[Any] = []
    after: tuple[datetime, Any] | None = None
    while found := await bench.books.mentions("acme", "2026-02-01", after=after, count=7, size=6_000, windows=windows):
        read += found
        after = decoded(found[-1].bson)["created_at"], found[-1].id
    assert {one.id: one.bson for one in read} == {key: bson for key, bson in sent.items() if b"m999" not in bson}
    assert len(read) == 38
    times = [decoded(one.bson)["created_at"] for one in read]
    assert times == sorted(times)


async def test_a_part_is_bounded_in_bytes_too(bench: Bench) -> None:
    await bench.put(mention(n, OLD + timedelta(seconds=n), text="x" * 10_000) for n in range(20))
    await bench.archive(part_bytes=50_000)
    assert {one.count for one in await bench.books.parts_of("acme", "2026-02-01")} == {5}


async def test_brands_have_days_of_their_own_and_cannot_leave_the_directory(bench: Bench) -> None:
    sent = await bench.put([mention(1, OLD, brand="acme"), mention(2, OLD, brand="../evil/../../x")])
    await bench.archive()
    assert sorted(bench.archived()) == sorted(sent.values())
    assert all(path.resolve().is_relative_to(bench.directory.resolve()) for path in bench.blocks())
    assert {path.relative_to(bench.directory).parts[0] for path in bench.blocks()} == {
        "acme",
        "%2E%2E%2Fevil%2F%2E%2E%2F%2E%2E%2Fx",
    }


async def test_documents_of_others_are_archived_as_they_are(bench: Bench) -> None:
    strange = {
        "_id": ObjectId(),
        "brand": "acme",
        "created_at": OLD,
        "sentiment": 7,
        "topics": "x",
        "d": Decimal128("1"),
    }
    odd = {"_id": "acme:1", "brand": "acme", "created_at": OLD, "sentiment": {"score": float("nan")}, "author": 3}
    sent = await bench.put([strange, odd])
    await bench.archive()
    assert sorted(bench.archived()) == sorted(sent.values())
    await bench.restorer().restore("acme", "2026-02-01")
    assert await bench.hot() == sent


def test_values_that_python_does_not_know_are_counted_and_kept_as_they_are() -> None:
    """MongoDB takes dates of millions of years, and texts that are no UTF-8 from some drivers."""
    far = encode({**mention(1, OLD), "metadata": {"ends": DatetimeMS(2**50)}, "ends": DatetimeMS(-(2**50))})
    broken = encode(mention(2, OLD, author="@AAAA")).replace(b"@AAAA", b"@\xff\xfe\xfdA")
    for bson in (far, broken):
        assert decoded(bson)["created_at"] == OLD
        assert id_of(bson) == decoded(bson)["_id"]
    assert sums_of(decoded(one) for one in (far, broken)).mentions == 2
    assert unpack(pack(Block("acme", "2026-02-01", (far, broken)))).documents == (far, broken)


async def test_mentions_without_a_time_of_their_own_stay_and_keep_no_other_from_the_archive(bench: Bench) -> None:
    stay = [
        mention(1, OLD, created_at=[OLD, OLD]),
        mention(2, OLD, created_at="2026-02-01"),
        mention(3, OLD, created_at=None),
        {name: value for name, value in mention(5, OLD).items() if name != "created_at"},
        mention(6, OLD, brand=None),
    ]
    await bench.put(
        [*stay, mention(7, OLD), mention(8, datetime(1970, 1, 1, tzinfo=UTC)), mention(9, NOW + timedelta(days=9_000))]
    )
    report = await bench.archive()
    assert (report["mentions_archived"], report["days"]) == (2, 2)
    left = await bench.storage.collection(MENTIONS).distinct("id")
    assert sorted(left) == ["m1", "m2", "m3", "m5", "m6", "m9"]


async def test_a_dry_run_says_what_would_be_done_and_changes_nothing(bench: Bench) -> None:
    sent = await bench.put([*days_of(50, days=2), mention(99, NOW)])
    fence = OpenFence()
    report = await bench.step().run(bench.run(dry=True, fence=fence))
    assert (report["mentions_archived"], report["days"], report["parts"]) == (50, 2, 0)
    assert await bench.hot() == sent
    assert bench.blocks() == []
    assert fence.asked == 0
    assert set(await bench.storage.database.list_collection_names()) & {PARTS, HISTORY, ARCHIVED} == set()


async def test_the_terminal_is_told_of_every_mention(bench: Bench) -> None:
    await bench.put(days_of(500))
    run = bench.run()
    await bench.step().run(run)
    assert run.progress.totals == run.progress.done == {"archive": 500}  # type: ignore[attr-defined]


# -- what comes back -------------------------------------------------------------------------------------------------


async def test_a_restored_day_is_what_it_was_byte_for_byte(bench: Bench) -> None:
    sent = await bench.put(days_of(600))
    await bench.archive()
    assert await bench.hot() == {}
    for day in ("2026-02-01", "2026-02-02", "2026-02-03"):
        done = await bench.restorer().restore("acme", day)
        assert (done.mentions, done.inserted, done.present, done.changed) == (200, 200, 0, 0)
    assert await bench.hot() == sent


async def test_restoring_again_changes_nothing_and_keeps_what_is_newer(bench: Bench) -> None:
    sent = await bench.put(days_of(10, days=1))
    await bench.archive()
    await bench.restorer().restore("acme", "2026-02-01")
    key = next(iter(sent))
    await bench.storage.collection(MENTIONS).update_one({"_id": key}, {"$set": {"topic": "another"}})
    after = await bench.hot()
    done = await bench.restorer().restore("acme", "2026-02-01")
    assert (done.inserted, done.present, done.changed) == (0, 9, 1)
    assert await bench.hot() == after


async def test_a_restored_day_is_left_alone_for_a_week_and_then_leaves_without_another_copy(bench: Bench) -> None:
    sent = await bench.put(days_of(30, days=1))
    await bench.archive()
    figures, blocks = await bench.figures(), bench.blocks()
    await bench.restorer().restore("acme", "2026-02-01")
    assert await bench.figures() == figures
    report = await bench.archive()
    assert (report["mentions_archived"], report["days_held"]) == (0, 1)
    assert await bench.hot() == sent
    bench.now = NOW + timedelta(days=HELD_DAYS, seconds=1)
    await bench.archive()
    assert await bench.hot() == {}
    assert bench.blocks() == blocks
    assert await bench.figures() == figures


async def test_a_mention_changed_after_it_was_restored_is_kept_in_both_versions_and_counted_once(bench: Bench) -> None:
    await bench.put(days_of(30, days=1))
    await bench.archive()
    figures = await bench.figures()
    await bench.restorer().restore("acme", "2026-02-01")
    changed = next(iter(await bench.hot()))
    await bench.storage.collection(MENTIONS).update_one({"_id": changed}, {"$set": {"topic": "another"}})
    bench.now = NOW + timedelta(days=HELD_DAYS, seconds=1)
    await bench.archive()
    assert await bench.hot() == {}
    assert len(bench.archived()) == 31
    assert await bench.figures() == figures


@pytest.mark.parametrize("day", ["2026-02-30", "20260201", "yesterday", "2026-W05-7"])
async def test_a_day_that_is_none_is_refused(bench: Bench, day: str) -> None:
    with pytest.raises(InvalidTask, match="day"):
        await bench.restorer().restore("acme", day)


async def test_nothing_is_restored_of_a_day_that_was_not_archived(bench: Bench) -> None:
    with pytest.raises(NotArchived, match="acme on 2026-02-01"):
        await bench.restorer().restore("acme", "2026-02-01")


# -- what is counted -------------------------------------------------------------------------------------------------


async def test_figures_of_every_day_are_the_same_before_and_after(bench: Bench) -> None:
    brands = ("acme", "other")
    await bench.put(days_of(400, days=4))
    await bench.put(days_of(150, days=2, brand="other"))
    await bench.put(mention(5_000 + n, NOW - timedelta(hours=n)) for n in range(50))
    before = await bench.figures(brands, recent=True)
    assert sum(one["mentions"] for one in before.values()) == 600
    assert any(one["authors"] > 10 and one["topics"] and one["clusters"] for one in before.values())
    await bench.archive(part_mentions=60)
    assert len(await bench.hot()) == 50
    assert await bench.figures(brands, recent=True) == before


async def test_mentions_that_come_late_become_another_part_of_their_day(bench: Bench) -> None:
    first = await bench.put(days_of(40, days=1))
    await bench.archive()
    late = await bench.put(mention(n, OLD + timedelta(hours=n - 999)) for n in range(1_000, 1_005))
    assert (await bench.figures())["acme", "2026-02-01"]["mentions"] == 45
    figures = await bench.figures()
    await bench.archive()
    assert await bench.figures() == figures
    assert sorted(bench.archived()) == sorted({**first, **late}.values())
    day = await bench.books.day("acme", "2026-02-01")
    assert day is not None
    assert (day["mentions"], len(day["parts"])) == (45, 2)


async def test_an_archived_mention_that_is_delivered_again_is_still_a_repeat(bench: Bench) -> None:
    (sent,) = days_of(1, days=1)
    await bench.put([sent])
    await bench.archive()
    known = await bench.storage.mentions_by_key([sent["_id"], "acme:never"])
    assert list(known) == [sent["_id"]]
    found = known[sent["_id"]]
    assert found["content_hash"] == sent["_id"].partition(":")[2]
    assert (found["author"], found["owner"]) == (sent["author"], "")
    # The chunk that brought it is executed again: what it owns is its own, and cannot be a repeat of itself.
    assert await bench.storage.mentions_by_key([sent["_id"]], owner=sent["owner"]) == {}
    assert list(await bench.storage.mentions_by_key([sent["_id"]], owner="another")) == [sent["_id"]]


async def test_a_mention_that_is_changed_while_it_is_archived_does_not_get_lost(bench: Bench) -> None:
    sent = await bench.put(days_of(20, days=1))
    figures = await bench.figures()
    changed = next(iter(sent))

    class Meddling(LocalArchive):
        async def write(self, name: str, data: bytes) -> None:
            await super().write(name, data)
            await bench.storage.collection(MENTIONS).update_one({"_id": changed}, {"$set": {"tier": 3, "new": True}})

    await bench.archive(store=Meddling(bench.directory))
    assert list(await bench.hot()) == [changed]
    assert await bench.figures() == figures, "counted once, as it was when it was archived"
    await bench.archive()
    assert await bench.hot() == {}
    assert len(bench.archived()) == 21
    assert await bench.figures() == figures


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "other"])
async def test_a_block_that_reads_back_differently_is_refused_and_nothing_is_deleted(bench: Bench, damage: str) -> None:
    sent = await bench.put(days_of(30, days=1))

    class Damaging(LocalArchive):
        async def read(self, name: str) -> bytes:
            data = await super().read(name)
            at = len(data) // 2
            return {
                "cut": data[:-1],
                "bit": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
                "empty": b"",
                "other": b"BWARCHV\x02" + data[8:],
            }[damage]

    with pytest.raises(ArchiveTrouble, match=r"acme/2026-02-01/\w+\.bwa: its SHA-256"):
        await bench.archive(store=Damaging(bench.directory))
    assert await bench.hot() == sent
    await bench.archive()
    assert sorted(bench.archived()) == sorted(sent.values())


async def test_a_damaged_day_does_not_keep_the_others_from_the_archive(bench: Bench) -> None:
    await bench.put(days_of(30))

    class Damaging(LocalArchive):
        async def read(self, name: str) -> bytes:
            data = await super().read(name)
            return data[::-1] if "2026-02-02" in name else data

    with pytest.raises(ArchiveTrouble, match="20 mentions of other days were archived"):
        await bench.archive(store=Damaging(bench.directory))
    assert len(await bench.hot()) == 10


async def test_a_block_damaged_later_is_refused_by_a_restore_before_anything_is_inserted(bench: Bench) -> None:
    await bench.put(days_of(60, days=1))
    await bench.archive(part_mentions=30)
    bench.blocks()[-1].write_bytes(b"BWARCHV\x01 but not what it was")
    with pytest.raises(ArchiveDamaged, match="SHA-256"):
        await bench.restorer().restore("acme", "2026-02-01")
    assert await bench.hot() == {}
    bench.blocks()[-1].unlink()
    with pytest.raises(ArchiveMissing):
        await bench.restorer().restore("acme", "2026-02-01")


async def test_a_full_disk_ends_the_run_and_deletes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await bench.put(days_of(30))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("src.worker.services.archive_store.os.fsync", full)
    with pytest.raises(ArchiveUnavailable, match="ENOSPC"):
        await bench.archive()
    assert await bench.hot() == sent
    assert [path for path in bench.directory.rglob("*") if path.is_file()] == []


async def test_a_place_that_cannot_be_written_ends_the_run_and_deletes_nothing(bench: Bench) -> None:
    sent = await bench.put(days_of(30))
    bench.directory.write_text("a file where the directory should be")
    with pytest.raises(ArchiveUnavailable, match="write acme/2026-02-01"):
        await bench.archive()
    assert await bench.hot() == sent


async def test_nothing_is_deleted_when_the_lock_is_lost_and_the_next_run_goes_on(bench: Bench) -> None:
    sent = await bench.put(days_of(30, days=1))
    figures = await bench.figures()

    class Lost(OpenFence):
        async def hold(self) -> None:
            raise LockLost("somebody else has it")

    with pytest.raises(LockLost):
        await bench.step().run(bench.run(fence=Lost()))
    assert await bench.hot() == sent
    assert await bench.figures() == figures
    await bench.archive()
    assert await bench.hot() == {}
    assert await bench.figures() == figures


class Killed(BaseException):
    """The process ends here: nothing catches it."""


class _Deadly:
    """Any part of the archive: before its `last` call, counted over all of them, the process is killed."""

    calls = 0
    last = 0

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*arguments: Any, **named: Any) -> Any:
            _Deadly.calls += 1
            if _Deadly.calls == _Deadly.last:
                raise Killed
            return await method(*arguments, **named)

        return call


async def _killed_run(bench: Bench, last: int) -> bool:
    """A run that is killed at its `last` call; False when it was done before."""
    _Deadly.calls, _Deadly.last = 0, last
    try:
        await bench.archive(books=_Deadly(bench.books), store=_Deadly(bench.store), part_mentions=3)
    except Killed:
        return True
    return False


async def test_killed_between_any_two_steps_nothing_is_lost_or_counted_twice(bench: Bench) -> None:
    sent = days_of(4, days=1)
    last = 1
    figures: dict[str, Any] | None = None
    while True:
        for name in (MENTIONS, PARTS, HISTORY, ARCHIVED):
            await bench.storage.collection(name).delete_many({})
        for path in bench.blocks():
            path.unlink()
        raw = await bench.put(sent)
        figures = figures or await bench.first_day()
        killed = await _killed_run(bench, last)
        assert await bench.first_day() == figures, f"after a kill at call {last}"
        assert set(bench.archived()) | set((await bench.hot()).values()) == set(raw.values()), f"at call {last}"
        await bench.archive(part_mentions=3)
        assert await bench.hot() == {}
        assert set(bench.archived()) == set(raw.values())
        assert await bench.stones() == 4
        assert await bench.first_day() == figures, f"after the run after a kill at call {last}"
        assert await bench.books.open_days() == []
        if not killed:
            break
        last += 1
    assert last > 25, "a run of two parts has that many steps"


async def test_a_block_that_a_killed_janitor_left_behind_is_swept_after_a_day(bench: Bench) -> None:
    """The mention is gone or has changed since, so that the next run makes another block."""
    sent = await bench.put(days_of(4, days=1))

    class Killing(LocalArchive):
        async def write(self, name: str, data: bytes) -> None:
            await super().write(name, data)
            raise Killed

    with pytest.raises(Killed):
        await bench.archive(store=Killing(bench.directory))
    (orphan,) = bench.blocks()
    cut_off = bench.directory / ".writing" / "cut.bwa.0123"
    cut_off.write_bytes(b"half of a bl")
    os.utime(cut_off, (0, bench.now.timestamp()))
    late = mention(99, OLD + timedelta(minutes=1))
    await bench.put([late])
    assert (await bench.archive())["blocks_swept"] == 0, "its janitor may be at work on it"
    assert orphan in bench.blocks()
    assert (await bench.restorer().restore("acme", "2026-02-01")).mentions == 5, "no part knows of it"
    bench.now += timedelta(days=HELD_DAYS, minutes=1)
    report = await bench.archive()
    assert (report["blocks_swept"], orphan in bench.blocks(), cut_off.exists()) == (1, False, False)
    assert sorted(bench.archived()) == sorted([*sent.values(), encode(late)])
    assert await bench.books.abandoned(bench.now, 9) == []
    assert (await bench.archive())["blocks_swept"] == 0


async def test_two_janitors_at_once_archive_each_mention_once(bench: Bench) -> None:
    raw = await bench.put(days_of(300, days=2))
    figures = await bench.figures()
    await bench.books.ensure_indexes()
    await asyncio.gather(bench.archive(part_mentions=40), bench.archive(part_mentions=70))
    assert await bench.hot() == {}
    assert set(bench.archived()) == set(raw.values())
    assert await bench.figures() == figures
    await bench.archive()
    assert await bench.figures() == figures


async def test_without_a_database_the_run_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise StorageUnavailable("find old mentions: away")

    books = bench.books
    monkeypatch.setattr(books, "old_days", away)
    with pytest.raises(StorageUnavailable):
        await bench.archive(books=books)


# -- when archives end -----------------------------------------------------------------------------------------------


async def test_archives_are_kept_for_ever_unless_a_setting_says_otherwise(bench: Bench) -> None:
    await bench.put(days_of(30))
    await bench.archive()
    figures = await bench.figures()
    bench.now = NOW + timedelta(days=5_000)
    assert (await bench.archive())["parts_expired"] == 0
    bench.now = OLD + timedelta(days=402)
    assert (await bench.archive(keep_days=400))["parts_expired"] == 2
    assert len(bench.blocks()) == 1
    assert await bench.stones() == 10
    assert await bench.figures() == figures
    with pytest.raises(NotArchived, match="for good"):
        await bench.restorer().restore("acme", "2026-02-01")


async def test_what_had_expired_and_comes_again_is_archived_again_and_counted_once(bench: Bench) -> None:
    sent = days_of(10, days=1)
    await bench.put(sent)
    await bench.archive()
    figures = await bench.figures()
    bench.now = OLD + timedelta(days=500)
    await bench.archive(keep_days=400)
    raw = await bench.put(sent)
    await bench.archive()
    assert await bench.hot() == {}
    assert await bench.figures() == figures
    assert (await bench.restorer().restore("acme", "2026-02-01")).inserted == 10
    assert await bench.hot() == raw


def test_bytes_differ_where_json_would_not() -> None:
    """The promise "byte for byte" is about something: these are equal as values."""
    assert encode({"_id": 1, "a": 0.0, "b": 1}) != encode({"_id": 1, "b": 1, "a": 0.0})
    assert encode({"_id": 1, "a": 0.0}) != encode({"_id": 1, "a": -0.0})
