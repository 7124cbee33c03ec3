"""What a run pushes, and what must have come of it. A function of the seed, so that a failed run can be repeated."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from src.worker import keys
from src.worker.keys import PlatformKeys

BRANDS = tuple(f"chaos-{name}" for name in ("ada", "bo", "cy", "dee", "eli", "flo", "gus", "hal"))
BRAND_WEIGHTS = (30, 20, 15, 10, 10, 6, 5, 4)
"""One brand has most of the traffic, as in life; the small ones must come through beside it."""
REPEATED_MENTIONS = 0.10
REPEATED_CHUNKS = 0.02
LATER = 0.04
"""Share of the tasks on streams that name a `runAt` in the near future."""
_SOURCES = ("reddit", "x", "news")
_WORDS = "great terrible slow lovely broken cheap pricey quick rude kind odd plain shiny loud quiet".split()

Mention = tuple[str, str]
"""Source and text: what makes a mention, beside its brand."""


@dataclass(frozen=True, slots=True)
class Push:
    """One task as a producer pushes it."""

    number: int
    key: str
    document: dict[str, Any]
    chunk_id: str | None
    """None: a noop."""
    run_in: float | None
    careful: bool
    """Its producer keeps a ledger and pushes exactly once; the others push again when no reply came."""
    door: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """A chunk as it must be found afterwards."""

    brand: str
    mentions: frozenset[Mention]
    read: int
    careful: bool
    copies: int
    """How often it is pushed on purpose."""


@dataclass(slots=True)
class Workload:
    """`pushes` in their order; the sets to compare with afterwards."""

    pushes: list[Push] = field(default_factory=list)
    noops: dict[str, int] = field(default_factory=dict)
    chunks: dict[str, Expected] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    """Envelopes of each batch whose aggregator counts them (`batch:{id}:remaining`)."""

    def mentions(self, brand: str) -> set[Mention]:
        return {mention for chunk in self.chunks.values() if chunk.brand == brand for mention in chunk.mentions}

    @property
    def tasks(self) -> int:
        """Distinct tasks; pushes on purpose of a chunk that was pushed before are not counted."""
        return len(self.noops) + len(self.chunks)


@dataclass(frozen=True, slots=True)
class Mix:
    """How many tasks of each kind. What they cost on two cores is measured in test_chaos."""

    noops: int
    singles: int
    """Chunks of one mention."""
    multis: int
    """Chunks of 2 to 10 mentions."""
    doors: float
    """Share of the chunks that come over the platform's lists."""


class _Maker:
    def __init__(self, seed: int, mix: Mix) -> None:
        self._seed = seed
        self._mix = mix
        self._rng = Random(seed)
        self._keys = PlatformKeys()
        self._streams = list(keys.STREAMS.values())
        self._seen: dict[str, list[Mention]] = {brand: [] for brand in BRANDS}
        self.workload = Workload()

    def make(self) -> Workload:
        kinds = ["noop"] * self._mix.noops + ["single"] * self._mix.singles + ["multi"] * self._mix.multis
        self._rng.shuffle(kinds)
        for number, kind in enumerate(kinds):
            if kind == "noop":
                self._noop(number)
            else:
                self._chunk(number, 1 if kind == "single" else self._rng.randint(2, 10))
        self._push_some_again()
        self._count_batches()
        return self.workload

    def _noop(self, number: int) -> None:
        identity = f"noop-{self._seed}-{number}"
        document = {"type": "noop", "id": identity, "n": number}
        self.workload.noops[identity] = number
        stream = self._rng.choice(self._streams)
        self.workload.pushes.append(Push(number, stream, document, None, self._later(), careful=False, door=False))

    def _chunk(self, number: int, size: int) -> None:
        rng = self._rng
        brand = rng.choices(BRANDS, BRAND_WEIGHTS)[0]
        chunk_id = f"chunk-{self._seed}-{number}"
        mentions = [self._mention(brand, f"n{number}x{index}") for index in range(size)]
        items = [{"id": f"{number}-{i}", "source": s, "text": t} for i, (s, t) in enumerate(mentions)]
        door, careful = rng.random() < self._mix.doors, rng.random() < 0.5
        push = Push(
            number,
            self._keys.chunks(brand) if door else rng.choice(self._streams),
            self._document(brand, chunk_id, items, door, careful),
            chunk_id,
            None if door else self._later(),
            careful,
            door,
        )
        self.workload.pushes.append(push)
        self.workload.chunks[chunk_id] = Expected(brand, frozenset(mentions), size, push.careful, 1)

    def _document(
        self, brand: str, chunk_id: str, items: list[dict[str, Any]], door: bool, careful: bool
    ) -> dict[str, Any]:
        """Shape (b) or (c) of the platform for a list; the worker's own task, with an id or without, for a stream."""
        rng = self._rng
        if not door:
            task = {"type": "analyze_mentions", "brand": brand, "chunkId": chunk_id, "mentions": items}
            return {**task, "id": f"task-{chunk_id}"} if rng.random() < 0.5 else task
        if rng.random() < 0.5:
            return {"brand": brand, "chunkId": chunk_id, "createdAt": "2026-11-01T00:00:00Z", "mentions": items}
        return {
            "envelope_id": chunk_id,
            "batch_id": f"{'counted' if careful else 'uncounted'}-{brand}",
            "secure_context": {"org_id": "system_aggregator"},
            "task": {"type": "cluster_mentions", "brand": brand, "mentions": items, "keywords": [brand]},
        }

    def _mention(self, brand: str, unique: str) -> Mention:
        seen = self._seen[brand]
        if seen and self._rng.random() < REPEATED_MENTIONS:
            return self._rng.choice(seen)
        mention = (self._rng.choice(_SOURCES), f"{brand} is {self._rng.choice(_WORDS)} today, says {unique}")
        seen.append(mention)
        return mention

    def _later(self) -> float | None:
        return self._rng.uniform(0.3, 5.0) if self._rng.random() < LATER else None

    def _push_some_again(self) -> None:
        """Producers that send a chunk twice, a while later: nothing of it may be counted or published again."""
        pushes = self.workload.pushes
        originals = [push for push in pushes if push.chunk_id is not None]
        for push in self._rng.sample(originals, int(len(originals) * REPEATED_CHUNKS)):
            pushes.insert(self._rng.randint(pushes.index(push) + 1, len(pushes)), push)
            known = self.workload.chunks[push.chunk_id or ""]
            again = Expected(known.brand, known.mentions, known.read, known.careful, known.copies + 1)
            self.workload.chunks[push.chunk_id or ""] = again

    def _count_batches(self) -> None:
        """Only a careful aggregator can know how many envelopes it has pushed."""
        batches = (push.document["batch_id"] for push in self.workload.pushes if "batch_id" in push.document)
        self.workload.batches = dict(Counter(batch for batch in batches if batch.startswith("counted-")))


def make(seed: int, mix: Mix) -> Workload:
    return _Maker(seed, mix).make()
