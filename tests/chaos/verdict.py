"""What is there after a run, compared with what was pushed. Reads what neighbours read: keys and collections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from src.worker import keys
from src.worker.keys import PlatformKeys

from .cluster import Cluster
from .workload import BRANDS, Workload

_SHOWN = 20


@dataclass(slots=True)
class Verdict:
    """Three kinds of findings, each a line; empty ones are what the test is about."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    redelivered: int = 0
    most_attempts: int = 0

    def problems(self) -> str:
        kinds = {"lost": self.lost, "doubled": self.doubled, "wrong": self.wrong}
        return "\n".join(
            f"{len(lines)} {kind}:\n  " + "\n  ".join(lines[:_SHOWN]) for kind, lines in kinds.items() if lines
        )


def waiting(client: redis.Redis) -> dict[str, int]:
    """What is left anywhere in the queue, from one moment; empty when nothing is."""
    pipe = client.pipeline(transaction=True)
    for stream in keys.ALL_STREAMS:
        pipe.xlen(stream)
    for index in (keys.DELAYED, *keys.LANE_INDEXES.values()):
        pipe.zcard(index)
    for brand in BRANDS:
        pipe.llen(PlatformKeys().chunks(brand))
    places = [*keys.ALL_STREAMS, keys.DELAYED, *keys.LANE_INDEXES.values(), *BRANDS]
    return {place: size for place, size in zip(places, pipe.execute(), strict=True) if size}


def records(client: redis.Redis) -> dict[str, dict[str, Any]]:
    """All result records by task id."""
    found: dict[str, dict[str, Any]] = {}
    names = list(client.scan_iter(match=keys.result("*"), count=5_000))
    for start in range(0, len(names), 1_000):
        for raw in client.mget(names[start : start + 1_000]):
            record = orjson.loads(raw) if raw else {}
            if record:
                found[record["id"]] = record
    return found


def unfinished(workload: Workload, found: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Ids of noops and chunks without a succeeded record."""
    done = {r["id"] for r in found.values() if r["status"] == "succeeded"}
    chunks = {_chunk_id(r) for r in found.values() if r["status"] == "succeeded"}
    return {identity for identity in workload.noops if identity not in done} | (set(workload.chunks) - chunks)


def judge(cluster: Cluster, workload: Workload, tries: Mapping[str, int]) -> Verdict:
    """`tries`: by chunk id, how often it may have arrived in the queue."""
    verdict = Verdict()
    found = records(cluster.client)
    verdict.redelivered = sum(record["attempts"] - 1 for record in found.values())
    verdict.most_attempts = max((record["attempts"] for record in found.values()), default=0)
    _judge_records(verdict, workload, found, tries)
    owned = _judge_mentions(verdict, workload, cluster.database)
    _judge_results(verdict, workload, cluster.client, owned)
    _judge_counts(verdict, found, owned)
    _judge_batches(verdict, workload, cluster.client)
    _judge_queue(verdict, cluster.client)
    return verdict


def _judge_records(
    verdict: Verdict, workload: Workload, found: Mapping[str, Mapping[str, Any]], tries: Mapping[str, int]
) -> None:
    """Every task has succeeded; one that arrived once has exactly one record."""
    verdict.lost += [f"no succeeded record: {identity}" for identity in sorted(unfinished(workload, found))]
    verdict.wrong += [f"{r['status']}: {r}" for r in found.values() if r["status"] != "succeeded"]
    for identity, number in workload.noops.items():
        record = found.get(identity, {})
        if record.get("status") == "succeeded" and record.get("result") != {"n": number}:
            verdict.wrong.append(f"another result: {record}")
    per_chunk = Counter(_chunk_id(record) for record in found.values())
    for chunk_id, expected in workload.chunks.items():
        most = expected.copies if expected.careful else tries[chunk_id]
        if per_chunk[chunk_id] > most:
            verdict.doubled.append(f"{per_chunk[chunk_id]} records of {chunk_id}, which arrived {most} times")


def _judge_mentions(verdict: Verdict, workload: Workload, database: Any) -> Counter[str]:
    """Every mention is there once. Returns how many each chunk (by chunk id) owns."""
    chunk_of: dict[str, str] = {}
    for chunk in database.processed_chunks.find({}, {"chunk_id": 1, "counts.read": 1}):
        if chunk["chunk_id"] in chunk_of.values() or chunk["chunk_id"] not in workload.chunks:
            verdict.wrong.append(f"processed_chunks: {chunk}")
        chunk_of[chunk["_id"]] = chunk["chunk_id"]
    owned: Counter[str] = Counter()
    there: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for mention in database.mentions.find({}, {"brand": 1, "source": 1, "text": 1, "owner": 1}):
        there[mention["brand"]][mention["source"], mention["text"]] += 1
        owner = chunk_of.get(mention["owner"], "")
        owned[owner] += 1
        if owner not in workload.chunks or (mention["source"], mention["text"]) not in workload.chunks[owner].mentions:
            verdict.wrong.append(f"owner {owner!r} never brought {mention}")
    for brand in BRANDS:
        wanted = workload.mentions(brand)
        verdict.lost += [f"mention of {brand}: {one}" for one in wanted - there[brand].keys()]
        verdict.doubled += [f"mention of {brand}: {one}" for one, times in there[brand].items() if times > 1]
        verdict.wrong += [f"unknown mention of {brand}: {one}" for one in there[brand].keys() - wanted]
    return owned


def _judge_results(verdict: Verdict, workload: Workload, client: redis.Redis, owned: Counter[str]) -> None:
    """A chunk that brought anything new has one result that counts just that, any other chunk has none."""
    published: dict[str, list[int]] = defaultdict(list)
    for brand in BRANDS:
        for raw in client.lrange(PlatformKeys().results(brand), 0, -1):
            result = orjson.loads(raw)
            published[result["chunkId"]].append(result["meta"]["mentionCount"])
            if result["brand"] != brand:
                verdict.wrong.append(f"result of {result['brand']} under {brand}: {result['chunkId']}")
    for chunk_id in workload.chunks:
        wanted, have = [owned[chunk_id]] if owned[chunk_id] else [], published.pop(chunk_id, [])
        if len(have) < len(wanted):
            verdict.lost.append(f"result of {chunk_id} ({owned[chunk_id]} mentions)")
        elif len(have) > len(wanted):
            verdict.doubled.append(f"{len(have)} results of {chunk_id}, which owns {owned[chunk_id]} mentions")
        elif have != wanted:
            verdict.wrong.append(f"result of {chunk_id} counts {have[0]} mentions of {owned[chunk_id]}")
    verdict.wrong += [f"results of an unknown chunk {chunk_id}" for chunk_id in published]


def _judge_counts(verdict: Verdict, found: Mapping[str, Mapping[str, Any]], owned: Counter[str]) -> None:
    """What a task's record says was stored is what its chunk owns, however often it was executed."""
    for record in found.values():
        chunk_id = _chunk_id(record)
        if chunk_id is not None and record["result"]["stored"] != owned[chunk_id]:
            verdict.wrong.append(f"{record['id']} says {record['result']['stored']} stored, owns {owned[chunk_id]}")


def _judge_batches(verdict: Verdict, workload: Workload, client: redis.Redis) -> None:
    """Each envelope is counted down once; a counter that nobody has made is not made by the worker."""
    for batch_id, count in workload.batches.items():
        left = int(client.get(f"batch:{batch_id}:remaining") or -1)
        if left > 0:
            verdict.lost.append(f"{left} of {count} envelopes of {batch_id} are not counted down")
        elif left < 0:
            verdict.doubled.append(f"the counter of {batch_id} is at {left}")
    verdict.wrong += [
        f"made by the worker: {key!r}" for key in client.scan_iter(match="batch:uncounted-*", count=5_000)
    ]


def _judge_queue(verdict: Verdict, client: redis.Redis) -> None:
    """Nothing waits, nothing is pending, nothing is dead."""
    verdict.lost += [f"{count} left in {key}" for key, count in waiting(client).items()]
    for stream in keys.ALL_STREAMS:
        pending = client.xpending(stream, keys.GROUP)["pending"]
        if pending:
            verdict.wrong.append(f"{pending} pending in {stream}")
    for _, fields in client.xrange(keys.DEAD, count=_SHOWN):
        verdict.lost.append(f"dead letter: {fields[b'reason']!r} {fields[b'task'][:200]!r} {fields.get(b'history')!r}")


def _chunk_id(record: Mapping[str, Any]) -> str | None:
    result = record.get("result")
    return result.get("chunkId") if isinstance(result, dict) else None
