"""What is there after a run, compared with what was accepted. Reads what neighbours read: keys and collections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from src.worker import keys
from src.worker.keys import PlatformKeys
from tests.chaos import malformed
from tests.chaos.verdict import records
from tests.soak.generator import BRANDS, Key
from tests.soak.ledger import Ledger

SHOWN = 20
_BLUESKY = "bluesky"


@dataclass(slots=True)
class Verdict:
    """Findings by kind, each a line, and what was counted on the way."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def problems(self) -> dict[str, list[str]]:
        kinds = {"lost": self.lost, "doubled": self.doubled, "wrong": self.wrong}
        return {kind: [*lines[:SHOWN], f"{len(lines)} in all"] for kind, lines in kinds.items() if lines}


@dataclass(frozen=True, slots=True)
class Letter:
    raw: bytes
    reason: str
    task_id: str


def waiting(client: redis.Redis) -> int:
    """How much is left anywhere in the queue, what is being executed included."""
    pipe = client.pipeline(transaction=True)
    for stream in keys.ALL_STREAMS:
        pipe.xlen(stream)
    for index in (keys.DELAYED, *keys.LANE_INDEXES.values()):
        pipe.zcard(index)
    for brand in (*BRANDS, malformed.BRAND):
        pipe.llen(PlatformKeys().chunks(brand))
    return sum(pipe.execute())


def letters_of(client: redis.Redis) -> Iterator[Letter]:
    after = "-"
    while page := client.xrange(keys.DEAD, min=after, count=100):
        for _, fields in page:
            task_id = fields.get(b"id", b"").decode("utf-8", "replace")
            yield Letter(fields[b"task"], fields[b"reason"].decode("utf-8", "replace"), task_id)
        after = b"(" + page[-1][0]


def judge(client: redis.Redis, database: Any, ledger: Ledger) -> Verdict:
    verdict = Verdict()
    found = records(client)
    letters = list(letters_of(client))
    judge_ends(verdict, ledger, found, letters)
    judge_malformed(verdict, ledger, letters)
    owned = _judge_mentions(verdict, ledger, database, found)
    _judge_results(verdict, client, found, owned)
    verdict.figures |= {
        "records": len(found),
        "deadLetters": len(letters),
        "leftInQueue": waiting(client),
        "succeededByType": dict(Counter(r["type"] for r in found.values() if r["status"] == "succeeded")),
        "executedMoreThanOnce": sum(record["attempts"] > 1 for record in found.values()),
    }
    return verdict


def judge_ends(verdict: Verdict, ledger: Ledger, found: Mapping[str, Mapping[str, Any]], letters: list[Letter]) -> None:
    """Every task that was accepted has one record, which says that it has succeeded, and no dead letter."""
    dead = Counter(letter.task_id for letter in letters if letter.task_id)
    for task_id, sent in ledger.tasks.items():
        record = found.get(task_id)
        if record is None:
            verdict.lost.append(f"no record: {sent.type} {task_id}, by {sent.door} at {sent.at:.1f} s")
        elif record["status"] != "succeeded":
            verdict.wrong.append(f"{record['status']}: {str(record)[:400]}")
        elif dead[task_id]:
            verdict.doubled.append(f"{task_id} has succeeded and has {dead[task_id]} dead letters")
        elif record["type"] not in (sent.type, "cluster_mentions"):
            verdict.wrong.append(f"{task_id} is of type {record['type']}, was {sent.type}")
    by_chunk = Counter(_chunk_id(record) for record in found.values() if record["status"] == "succeeded")
    for chunk_id in ledger.chunks:
        most = ledger.tries[chunk_id] or 1
        if not by_chunk[chunk_id]:
            verdict.lost.append(f"no record of {chunk_id}")
        elif by_chunk[chunk_id] > most:
            verdict.doubled.append(f"{by_chunk[chunk_id]} records of {chunk_id}, which arrived {most} times")


def judge_malformed(verdict: Verdict, ledger: Ledger, letters: list[Letter]) -> None:
    """Each malformed item is there byte for byte, with the field that is to blame, and nothing else is."""
    wanted: Counter[bytes] = Counter()
    most: Counter[bytes] = Counter()
    fields = {}
    for number, bad in enumerate(ledger.malformed):
        raw = bad.raw or b""
        wanted[raw] += 1
        most[raw] += ledger.tries[f"bad:{number}"]
        fields[raw] = bad.field
    got: Counter[bytes] = Counter()
    for letter in letters:
        got[letter.raw] += 1
        if letter.raw not in wanted:
            verdict.wrong.append(f"dead letter of a good task: {letter.reason[:200]} {letter.raw[:200]!r}")
        elif not letter.reason.startswith(f"{fields[letter.raw]}: "):
            verdict.wrong.append(f"{letter.raw[:100]!r} is blamed on {letter.reason[:100]}, not {fields[letter.raw]}")
    verdict.lost += [f"no dead letter: {raw[:200]!r}" for raw in (wanted - got)]
    verdict.doubled += [f"dead letters of {raw[:200]!r}: {got[raw]}" for raw in wanted if got[raw] > most[raw]]
    verdict.figures["malformed"] = len(ledger.malformed)


def _judge_mentions(
    verdict: Verdict, ledger: Ledger, database: Any, found: Mapping[str, Mapping[str, Any]]
) -> Counter[str]:
    """Every text is stored once, or something that says the same is. Returns how many mentions each chunk owns."""
    there: dict[str, Counter[Key]] = defaultdict(Counter)
    owned: Counter[str] = Counter()
    posts = 0
    for mention in database.mentions.find({}, {"brand": 1, "source": 1, "text": 1, "owner": 1}):
        owned[mention["owner"]] += 1
        if mention["source"] == _BLUESKY:
            posts += 1
        else:
            there[mention["brand"]][mention["source"], mention["text"]] += 1
    judge_texts(verdict, ledger, there)
    queued = sum(_result(record).get("queued", 0) for record in found.values() if record["type"] == "bluesky_search")
    if posts != queued:
        (verdict.lost if posts < queued else verdict.doubled).append(f"{posts} of {queued} Bluesky posts are stored")
    verdict.figures |= {"mentionsStored": sum(owned.values()), "blueskyPosts": posts}
    by_key = {chunk["_id"]: chunk["chunk_id"] for chunk in database.processed_chunks.find({}, {"chunk_id": 1})}
    repeated = [chunk_id for chunk_id, times in Counter(by_key.values()).items() if times > 1]
    verdict.doubled += [f"processed_chunks has {chunk_id} more than once" for chunk_id in repeated]
    verdict.wrong += [f"mentions of an unknown chunk {owner}" for owner in owned if owner not in by_key]
    return Counter({by_key[owner]: count for owner, count in owned.items() if owner in by_key})


def judge_texts(verdict: Verdict, ledger: Ledger, there: Mapping[str, Counter[Key]]) -> None:
    for brand, groups in ledger.groups.items():
        stored = there.get(brand, Counter())
        verdict.doubled += [f"mention of {brand} {times} times: {key}" for key, times in stored.items() if times > 1]
        known: set[Key] = set()
        for same in groups.values():
            known |= same
            if not any(key in stored for key in same):
                verdict.lost.append(f"mention of {brand}: {min(same)}")
        verdict.wrong += [f"unknown mention of {brand}: {key}" for key in stored.keys() - known]


def _judge_results(
    verdict: Verdict, client: redis.Redis, found: Mapping[str, Mapping[str, Any]], owned: Counter[str]
) -> None:
    """A chunk that brought anything new has one result, which counts just that; any other chunk has none."""
    published: dict[str, list[int]] = defaultdict(list)
    for brand in BRANDS:
        for raw in client.lrange(PlatformKeys().results(brand), 0, -1):
            result = orjson.loads(raw)
            published[result["chunkId"]].append(result["meta"]["mentionCount"])
    verdict.figures["results"] = sum(map(len, published.values()))
    for chunk_id in {*published, *owned}:
        wanted, have = owned[chunk_id], published.get(chunk_id, [])
        if not have:
            verdict.lost.append(f"result of {chunk_id} ({wanted} mentions)")
        elif len(have) > 1:
            verdict.doubled.append(f"{len(have)} results of {chunk_id}")
        elif have[0] != wanted:
            verdict.wrong.append(f"result of {chunk_id} counts {have[0]} mentions of {wanted}")
    for record in found.values():
        chunk_id = _chunk_id(record)
        if chunk_id is not None and _result(record)["stored"] != owned[chunk_id]:
            verdict.wrong.append(
                f"{record['id']} says {_result(record)['stored']} stored, {chunk_id} owns {owned[chunk_id]}"
            )


def _result(record: Mapping[str, Any]) -> Mapping[str, Any]:
    result = record.get("result")
    return result if isinstance(result, dict) else {}


def _chunk_id(record: Mapping[str, Any]) -> str | None:
    return _result(record).get("chunkId") if record["type"] in ("analyze_mentions", "cluster_mentions") else None
