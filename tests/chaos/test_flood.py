"""A flood of malformed items does no harm to the good ones between them, nor to the worker."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from random import Random
from typing import Any

import pytest

from src.worker import keys
from src.worker.keys import PlatformKeys

from .cluster import Cluster, wait_until
from .malformed import BRAND, LIST, Bad, make
from .verdict import records, waiting

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(150)]

BAD = 10_000
GOOD = 1_000
FINISH_SEC = 90.0
RSS_GROWTH_MB = 150.0
"""Ten tasks of 2 to 6 MB among them, several of which run at once, each as bytes, as a document and as an answer."""
_NAMES_A_FIELD = re.compile(r"^[\w.\[\]-]{1,100}: \S")


def _good(number: int) -> tuple[str, dict[str, Any]]:
    """Where it goes, and the task: noops and chunks by stream, chunks by list."""
    mention = {"id": f"m{number}", "source": "x", "text": f"{BRAND} is fine, says n{number}"}
    if number % 4 < 2:
        return "", {"type": "noop", "id": f"good-{number}", "n": number}
    chunk = {"brand": BRAND, "chunkId": f"good-{number}", "mentions": [mention]}
    return (LIST, chunk) if number % 4 == 2 else ("", {"type": "analyze_mentions", "id": f"good-{number}", **chunk})


def _push(cluster: Cluster, bad: list[Bad]) -> None:
    streams = cycle(keys.STREAMS.values())
    items = [(one.key, one.raw) for one in bad]
    for number in range(GOOD):
        key, document = _good(number)
        items.append((key or next(streams), json.dumps(document).encode()))
    Random(7).shuffle(items)
    cluster.client.sadd("brands:set", BRAND)
    for start in range(0, len(items), 100):
        pipe = cluster.client.pipeline(transaction=False)
        for key, raw in items[start : start + 100]:
            if key == LIST:
                pipe.rpush(key, raw or b"")
            else:
                pipe.xadd(key, {"task": raw} if raw is not None else {"note": "there is no task in here"})
        pipe.execute()


def _letters(cluster: Cluster) -> Iterator[tuple[bytes, str]]:
    """Original and reason of each dead letter, in pages: a few are large."""
    after = "-"
    while page := cluster.client.xrange(keys.DEAD, min=after, count=500):
        for _, fields in page:
            yield fields[b"task"], fields[b"reason"].decode()
        after = b"(" + page[-1][0]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(1, CHUNK_RESULTS_MAX="100000") as cluster:
        yield cluster


def test_ten_thousand_bad_items_are_dead_lettered_by_field_and_the_good_ones_between_them_are_done(
    cluster: Cluster, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    (worker,) = cluster.workers
    pid, rss_before, began = worker.process.pid, worker.rss_mb(), time.monotonic()
    bad = list(make(BAD))
    _push(cluster, bad)
    peak = [rss_before]

    def done() -> bool:
        peak.append(worker.rss_mb())
        return not waiting(cluster.client) and not cluster.client.llen(LIST)

    wait_until(done, FINISH_SEC, "the flood is dealt with")
    seconds = time.monotonic() - began
    found = records(cluster.client)
    succeeded = [record for record in found.values() if record["status"] == "succeeded"]
    letters = list(_letters(cluster))
    answer = worker.get("/metrics")
    assert answer is not None
    series = len(answer.text.splitlines())
    figure = (
        f"{BAD} bad, {GOOD} good in {seconds:.1f} s, {len(succeeded)} done, {len(letters)} dead letters,"
        f" RSS {rss_before:.0f} MB, at most {max(peak):.0f} MB, {worker.rss_mb():.0f} MB after, {series} series"
    )
    record_property("figure", figure)
    with capsys.disabled():
        print(f"\nflood: {figure}")
    assert worker.process.poll() is None
    assert worker.process.pid == pid
    assert worker.ready()
    _assert_all_good_are_done(cluster, succeeded)
    _assert_letters(bad, letters)
    assert max(peak) - rss_before < RSS_GROWTH_MB
    assert series < 2_000, "a label takes whatever producers write"


def _assert_all_good_are_done(cluster: Cluster, succeeded: list[dict[str, Any]]) -> None:
    names = Counter(r["id"] if r["type"] == "noop" else r["result"]["chunkId"] for r in succeeded)
    assert names == Counter(f"good-{number}" for number in range(GOOD))
    results = cluster.client.lrange(PlatformKeys().results(BRAND), 0, -1)
    published = Counter(json.loads(raw)["chunkId"] for raw in results)
    assert published == Counter(f"good-{number}" for number in range(GOOD) if number % 4 >= 2)
    assert cluster.database.mentions.count_documents({}) == GOOD // 2


def _assert_letters(bad: list[Bad], letters: list[tuple[bytes, str]]) -> None:
    """Each bad item is there once, byte for byte, with the field that is to blame."""
    nameless = [reason for _, reason in letters if not _NAMES_A_FIELD.match(reason)]
    assert not nameless, nameless[:20]
    wanted, got = Counter(one.raw or b"" for one in bad), Counter(raw for raw, _ in letters)
    assert wanted == got, _short([*(wanted - got).elements(), b"--- and not wanted:", *(got - wanted).elements()])
    fields = {one.raw or b"": one.field for one in bad}
    elsewhere = [(raw, why) for raw, why in letters if fields[raw] and not why.startswith(f"{fields[raw]}: ")]
    assert not elsewhere, [(raw[:150], why[:150], fields[raw]) for raw, why in elsewhere[:20]]


def _short(items: list[bytes]) -> list[bytes]:
    return [item[:150] for item in items[:20]]
