"""Volume spikes: when far more is said about a brand than is usual for it. Pure, in event time, O(1) per bucket.

Mentions are counted in buckets of five minutes. A bucket is judged once the brand's watermark, its newest bucket, is
an hour past the bucket's end: whatever order mentions came in within that hour, however they were batched, and
wherever the process restarted, the judged counts are the same, and so are the spikes. Five minutes without a mention
count as zero.

The rule: with x the mentions of ten minutes, and mean and deviation those of the x of the trailing 14 days, a spike is
x >= mean + 7 deviations, and then silence for a day. It is the plainest of the detectors measured on the Numenta
Anomaly Benchmark's tweet counts (Lavin and Ahmad 2015), and one set of parameters for all brands; `bench/detect.py`
shows its score and what its neighbours score. Sums are integers: no rounding depends on the order of additions.

    state = SpikeState("acme")
    spikes = SpikeDetector().apply(state, count_buckets(times_ms))     # may be saved with state.to_dict() in between
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

from .times import iso_ms

BUCKET_MS: Final = 300_000
"""Five minutes: the step of the published benchmark, and of the `volume` collection."""
LATENESS_MS: Final = 3_600_000
"""How late a mention may come, in event time against the newest of its brand, and still be judged: an hour is what the
order of a replay is promised not to matter for."""
_DAY: Final = 86_400_000 // BUCKET_MS


@dataclass(frozen=True, slots=True)
class SpikeRules:
    """The shipped parameters. They were argued, not searched for: five series are too few to search on. `python -m
    bench detect` prints what each neighbour of them scores, and what a search would have been worth."""

    span: int = 2
    """Buckets that are judged together. Ten minutes: one bucket is noise where brands have 3 mentions in five minutes,
    half an hour comes too late."""
    deviations: float = 7.0
    """Counts of posts have heavy tails (retweets come in bursts): 3 or 4 would fire every day."""
    block: int = _DAY // 4
    """Buckets whose sums are kept together, six hours: 57 rows of state instead of 4,032."""
    blocks: int = 56
    """The trailing window: 14 days hold each day of the week twice, and a spike widens the band for two weeks."""
    silence: int = _DAY
    """Buckets without another spike: what goes on for a day is one event."""
    least: int = 10
    """Mentions in the span without which nothing is a spike: below, single people and retweets make the figure."""
    history: int = _DAY
    """Buckets that must have been seen before anything is judged: one whole daily rhythm."""
    active: int = 3
    """Blocks of the window in which somebody must have written. One old article that comes in with the first live
    posts makes a long, empty history; it is none."""


class SpikeStatus(StrEnum):
    INSUFFICIENT_HISTORY = "insufficient_history"
    WATCHING = "watching"
    SILENCED = "silenced"
    """A spike was less than a day ago."""


@dataclass(frozen=True, slots=True)
class Spike:
    """One alarm. Counts are mentions per `window_minutes`."""

    brand: str
    bucket_ms: int
    """Beginning of the bucket that completed it."""
    mention_count: int
    baseline: float
    """Mean of the trailing window."""
    deviation: float
    threshold: float
    """Mentions from which on it is a spike."""
    score: float
    """Deviations above the baseline."""
    score_threshold: float
    window_minutes: int
    provisional: bool = False
    """Judged before the hour for late mentions was over; a final one may name a neighbouring bucket."""

    def as_dict(self) -> dict[str, Any]:
        """Entry of `spike:brand:{slug}` (`timestamp`, `spikeScore`, `mentionCount`, `threshold`), and more.

        `id` is the same whenever the same stream is replayed.
        """
        return {
            "id": f"{self.brand}:{self.bucket_ms}",
            "brand": self.brand,
            "timestamp": iso_ms(self.bucket_ms),
            "spikeScore": round(self.score, 3),
            "scoreThreshold": self.score_threshold,
            "mentionCount": self.mention_count,
            "threshold": round(self.threshold, 3),
            "baseline": round(self.baseline, 3),
            "deviation": round(self.deviation, 3),
            "windowMinutes": self.window_minutes,
            "provisional": self.provisional,
        }


@dataclass(slots=True)
class SpikeState:
    """All that is remembered of a brand: about 60 rows of integers. Buckets are numbers: epoch time // 5 minutes."""

    brand: str
    newest: int = 0
    """The watermark: the newest bucket of which something is known."""
    open: dict[int, int] = field(default_factory=dict)
    """Bucket → mentions, where more may still come."""
    since: int | None = None
    """First bucket of the history."""
    next: int | None = None
    """The bucket that is judged next."""
    tail: list[int] = field(default_factory=list)
    """Counts of the last judged buckets, one fewer than are judged together."""
    blocks: list[list[int]] = field(default_factory=list)
    """[number of the block, buckets, sum, sum of squares] of the spans' counts, oldest first."""
    quiet_until: int = 0
    """No spike before this bucket."""
    late: int = 0
    """Mentions that came after their bucket had been judged. They are in the volume, but not in the baseline."""
    future: int = 0
    """Mentions dated after `not_after_ms`: a producer's clock is wrong."""

    def to_dict(self) -> dict[str, Any]:
        """Strict JSON; keys are text, so that MongoDB takes it too."""
        return {
            "brand": self.brand,
            "newest": self.newest,
            "open": {str(bucket): count for bucket, count in sorted(self.open.items())},
            "since": self.since,
            "next": self.next,
            "tail": list(self.tail),
            "blocks": [list(block) for block in self.blocks],
            "quietUntil": self.quiet_until,
            "late": self.late,
            "future": self.future,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError or ValueError when the document is not one of `to_dict`."""
        since, following = document["since"], document["next"]
        return cls(
            brand=str(document["brand"]),
            newest=int(document["newest"]),
            open={int(bucket): int(count) for bucket, count in document["open"].items()},
            since=None if since is None else int(since),
            next=None if following is None else int(following),
            tail=[int(count) for count in document["tail"]],
            blocks=[[int(number) for number in block] for block in document["blocks"]],
            quiet_until=int(document["quietUntil"]),
            late=int(document["late"]),
            future=int(document["future"]),
        )

    def copy(self) -> SpikeState:
        return SpikeState.from_dict(self.to_dict())


def count_buckets(times_ms: Iterable[int], count: int = 1) -> Counter[int]:
    """Bucket → mentions, with `count` mentions at each of the moments (epoch ms, event time).

    What `SpikeDetector.apply` takes. Counters of parts of a stream add up, in any order.
    """
    buckets: Counter[int] = Counter()
    for when in times_ms:
        buckets[when // BUCKET_MS] += count
    return buckets


class SpikeDetector:
    """The rule applied to states. Holds nothing but its parameters."""

    def __init__(self, rules: SpikeRules | None = None) -> None:
        self.rules = rules or SpikeRules()

    def apply(self, state: SpikeState, buckets: Mapping[int, int], *, not_after_ms: int | None = None) -> list[Spike]:
        """Count a batch (bucket → mentions; 0 says that nobody wrote) and judge what has become final.

        Args:
            not_after_ms: the present, where it is known: what is dated more than an hour after it is not counted, and
                does not move the watermark. A replay has no present.
        """
        limit = None if not_after_ms is None else (not_after_ms + LATENESS_MS) // BUCKET_MS
        for bucket, count in buckets.items():
            if limit is not None and bucket > limit:
                state.future += count
            elif state.next is not None and bucket < state.next:
                state.late += count
            else:
                state.open[bucket] = state.open.get(bucket, 0) + count
                state.newest = max(state.newest, bucket)
        return self._judge_until(state, state.newest - LATENESS_MS // BUCKET_MS)

    def flush(self, state: SpikeState) -> list[Spike]:
        """Judge all that is open: the stream has ended, nothing comes late any more."""
        return self._judge_until(state, max(state.open) + 1) if state.open else []

    def preview(self, state: SpikeState) -> list[Spike]:
        """What would be a spike if nothing more came, as `provisional`; the state stays as it is.

        For showing a spike within minutes: the final one comes up to an hour later.
        """
        return [replace(spike, provisional=True) for spike in self.flush(state.copy())]

    def status(self, state: SpikeState) -> SpikeStatus:
        if state.next is None or not self._known(state, state.next):
            return SpikeStatus.INSUFFICIENT_HISTORY
        return SpikeStatus.SILENCED if state.next < state.quiet_until else SpikeStatus.WATCHING

    # -- one bucket after the other ----------------------------------------------------------------------------

    def _judge_until(self, state: SpikeState, end: int) -> list[Spike]:
        spikes = []
        for bucket in sorted(one for one in state.open if one < end):
            count = state.open.pop(bucket)
            self._pass_empty(state, bucket)
            spike = self._judge(state, bucket, count)
            if spike is not None:
                spikes.append(spike)
        return spikes

    def _judge(self, state: SpikeState, bucket: int, count: int) -> Spike | None:
        rules = self.rules
        total = count + sum(state.tail)
        spike = None
        if count and bucket >= state.quiet_until and total >= rules.least and self._known(state, bucket):
            mean, deviation = self._baseline(state)
            threshold = mean + rules.deviations * deviation
            if total >= threshold:
                state.quiet_until = bucket + 1 + rules.silence
                score = (total - mean) / deviation
                minutes = rules.span * BUCKET_MS // 60_000
                spike = Spike(
                    state.brand,
                    bucket * BUCKET_MS,
                    total,
                    mean,
                    deviation,
                    threshold,
                    score,
                    rules.deviations,
                    minutes,
                )
        self._remember(state, bucket, total)
        state.tail = [*state.tail, count][1:]
        state.next = bucket + 1
        return spike

    def _pass_empty(self, state: SpikeState, until: int) -> None:
        """Buckets without a mention up to `until`; in O(blocks), however long nobody has written."""
        if state.next is None or until - state.next > self.rules.block * self.rules.blocks:
            # Nothing for as long as the window is: whether nobody wrote or nobody watched, it says nothing of today.
            state.since, state.next, state.tail, state.blocks = until, until, [0] * (self.rules.span - 1), []
            return
        bucket = state.next
        while bucket < until and any(state.tail):
            self._remember(state, bucket, sum(state.tail))
            state.tail = [*state.tail[1:], 0]
            bucket += 1
        while bucket < until:
            step = min(until, (bucket // self.rules.block + 1) * self.rules.block)
            self._remember(state, bucket, 0, step - bucket)
            bucket = step
        state.next = until

    def _remember(self, state: SpikeState, bucket: int, total: int, buckets: int = 1) -> None:
        number = bucket // self.rules.block
        if not state.blocks or state.blocks[-1][0] != number:
            state.blocks.append([number, 0, 0, 0])
            while state.blocks[0][0] < number - self.rules.blocks:
                del state.blocks[0]
        block = state.blocks[-1]
        block[1] += buckets
        block[2] += total
        block[3] += total * total

    # -- baseline ----------------------------------------------------------------------------------------------

    def _known(self, state: SpikeState, bucket: int) -> bool:
        long_enough = state.since is not None and bucket - state.since >= self.rules.history
        return long_enough and sum(block[2] > 0 for block in state.blocks) >= self.rules.active

    def _baseline(self, state: SpikeState) -> tuple[float, float]:
        """Mean and deviation of the window's spans.

        The deviation is at least that of events which come independently (Poisson: the root of the mean), and 1: a
        brand nobody writes about must not have an infinite score.
        """
        buckets, total, squares = (sum(block[place] for block in state.blocks) for place in (1, 2, 3))
        mean = total / buckets
        # n * sum(x²) - sum(x)² in whole numbers: the textbook form loses nothing before the division.
        variance = (buckets * squares - total * total) / (buckets * buckets)
        return mean, max(math.sqrt(variance), math.sqrt(mean), 1.0)
