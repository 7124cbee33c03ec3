"""What the producers of the soak send, as a function of a seed and of the event clock.

Half of all mentions are of one brand, the other half of 49. Event time runs ahead of the clock so that a run covers a
week: baselines form, and now and then a brand has a burst of many angry authors, which spikes and crises are found in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from tests.soak.settings import MINUTES
from tests.soak.words import numbered, sentence

BRANDS = tuple(f"soak-{number:02d}" for number in range(50))
_WEIGHTS = (49.0, *(1.0 for _ in BRANDS[1:]))
_CUMULATIVE = tuple(accumulate(_WEIGHTS))
SPAN = timedelta(days=7)
"""Event time of a whole run: a detector wants a day or more to know what is usual."""
AUTHORS = 5_000
CHUNK_MAX = 10
HISTORY_ROUNDS = 20
"""Chunks of each brand in the week before a whole run. After 200 posts a brand of the soak has all of its topics, some
30, and after 150 as many remembered places as it may have (`topic_shelf`). Without them small brands, at 7 posts a
minute, would still be filling that memory at the end of the run."""
FULL_SEC = MINUTES * 60
REPOSTS = 0.08
"""Share of mentions that are word for word what somebody else has said before, in the same source."""
NEAR = 0.04
"""Share that repeats an earlier text with "RT" before it: alike, not equal."""
BURST_EVERY_SEC = 25.0
BURST_SEC = 5.0
BURST_SHARE = 0.35
_SOURCES = ("reddit", "x", "news", "hn", "youtube")
_REMEMBERED = 200
"""Earlier mentions per brand that may be repeated."""

Key = tuple[str, str]
"""Source and text: what makes a mention, beside its brand."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Mentions of one brand as a producer sends them together. `group[i]` is the original that mention i repeats."""

    brand: str
    chunk_id: str
    items: list[dict[str, Any]]
    keys: list[Key]
    groups: list[int]


@dataclass(slots=True)
class _Said:
    source: str
    text: str
    group: int


@dataclass(slots=True)
class Generator:
    """`seconds`: of the run."""

    seed: int
    seconds: float
    end: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    rng: Random = field(init=False)
    mentions: int = 0
    bursts: list[tuple[float, str]] = field(default_factory=list)
    _chunks: int = 0
    _said: dict[str, list[_Said]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    def brand(self) -> str:
        return self.rng.choices(BRANDS, cum_weights=_CUMULATIVE)[0]

    def history(self) -> Iterator[Chunk]:
        """What brands have said in the week before the run, in order: every one has the topics that it goes on with."""
        rounds = max(1, round(HISTORY_ROUNDS * min(1.0, self.seconds / FULL_SEC)))
        for number in range(rounds):
            for brand in BRANDS:
                yield self.chunk(-self.seconds * (1 - number / rounds), CHUNK_MAX, brand)

    def chunk(self, elapsed: float, size: int | None = None, brand: str | None = None) -> Chunk:
        """The next chunk; `elapsed` seconds of the run have gone by, less than none: before it.

        `size`, `brand`: None: as it comes.
        """
        rng = self.rng
        burst = self._burst(elapsed)
        angry = burst is not None and rng.random() < BURST_SHARE
        brand = brand or (burst if burst is not None and angry else self.brand())
        self._chunks += 1
        chunk = Chunk(brand, f"chunk-{self.seed}-{self._chunks}", [], [], [])
        for _ in range(size or rng.randint(1, CHUNK_MAX)):
            said = self._say(brand, "crisis" if angry else None)
            key = (said.source, said.text)
            if key in chunk.keys:  # a repetition within one chunk is another test's
                continue
            chunk.keys.append(key)
            chunk.groups.append(said.group)
            chunk.items.append(self._item(brand, said, elapsed))
        return chunk

    def _burst(self, elapsed: float) -> str | None:
        """The brand that everybody is angry with just now."""
        number, since = divmod(elapsed, BURST_EVERY_SEC)
        if number < 2 or since > BURST_SEC:  # the first ones would find no baseline
            return None
        brand = BRANDS[int(number) % 7]
        if not self.bursts or elapsed - self.bursts[-1][0] > BURST_SEC:
            self.bursts.append((elapsed, brand))
        return brand

    def _say(self, brand: str, mood: str | None) -> _Said:
        rng, earlier = self.rng, self._said.setdefault(brand, [])
        dice = rng.random()
        if earlier and dice < REPOSTS:
            return rng.choice(earlier)
        self.mentions += 1
        if earlier and dice < REPOSTS + NEAR:
            again = rng.choice(earlier)
            return _Said(rng.choice(_SOURCES), f"RT {again.text}", again.group)
        said = _Said(
            rng.choice(_SOURCES), f"{sentence(rng, brand, mood)[:-1]} (no {numbered(self.mentions)})", self.mentions
        )
        if len(earlier) < _REMEMBERED:
            earlier.append(said)
        else:
            earlier[rng.randrange(_REMEMBERED)] = said
        return said

    def _item(self, brand: str, said: _Said, elapsed: float) -> dict[str, Any]:
        author = f"author-{self.rng.randrange(AUTHORS)}"
        return {
            "id": f"{brand}-{self.rng.getrandbits(48):x}",
            "source": said.source,
            "text": said.text,
            "created_at": self.event_time(elapsed).isoformat(),
            "author": author,
            "metadata": {"author": author, "url": f"https://{said.source}.example/{author}"},
        }

    def event_time(self, elapsed: float) -> datetime:
        share = min(1.0, elapsed / self.seconds)  # below zero for the week before
        return self.end - SPAN * (1 - share) - timedelta(seconds=self.rng.uniform(0, 120))
