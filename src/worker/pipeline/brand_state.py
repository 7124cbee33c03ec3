"""What is remembered of a brand, and how chunks are folded into it. Pure; the present is given.

One document per brand. Folding is the only way it changes: the sums of any number of chunks go in at once, the
detectors judge what has become final, and what has to be written elsewhere because of it (volume, spikes, crises,
messages) is left in the `outbox` of the very same document. Who stores the document has stored what follows from it;
who finds it can finish what was left undone (`services/insight`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, Self

from ..crisis_detector import CrisisDetector, CrisisState
from ..crisis_events import HOUR_MS, RANK, Crisis, Severity, State
from ..health_score import Day, Health, health, history
from ..spike_detector import BUCKET_MS, Spike, SpikeDetector, SpikeState
from ..times import from_ms
from .brand_topics import BrandTopics, spike_topics
from .contribution import Contribution, DaySums
from .topic_sums import TopicSums

DAY_MS: Final = 86_400_000
_DAYS_KEPT: Final = 120
"""90 that are shown (contract 3.15), and the 30 before them that the health of the first one looks back on."""
_TOPICS_KEPT: Final = 200
"""Topics come from short vocabularies; a model may add names of its own. The rarest go when there are twice as many."""
_SUMMARIES_KEPT: Final = 10
_LIVE_MS: Final = DAY_MS
"""A brand is followed live while its newest mention is at most a day old when it is folded. Replays of old files are
not: nobody knows when their next mention comes, and silence must not be assumed."""
_ADVANCE_MS: Final = HOUR_MS
"""A live brand is judged again after an hour without a chunk: the detectors think in hours."""
_FOLLOWED_MS: Final = 8 * DAY_MS
"""So long a silent brand is judged: after a week of silence there is no health, and no crisis is left to end."""
_RISE: Final = RANK[Severity.WARNING]


@dataclass(frozen=True, slots=True)
class Pending:
    """A processed chunk whose contribution waits for being folded."""

    key: str
    chunk_id: str
    first_seen_ms: int
    contribution: Contribution
    summary: str | None = None
    """Of its chunk result."""
    clusters: int = 0
    """How many its chunk result has."""


@dataclass(slots=True)
class Gathered:
    """Chunks for one version of a state, taken in one by one: a contribution is not kept, only what it adds."""

    sums: Contribution = field(default_factory=Contribution)
    keys: list[str] = field(default_factory=list)
    told: list[list[Any]] = field(default_factory=list)
    """As in `Outbox.chunks`."""
    summaries: list[list[Any]] = field(default_factory=list)
    """When its chunk was first seen, and what it says."""

    def take(self, chunk: Pending) -> None:
        self.sums.merge(chunk.contribution)
        self.keys.append(chunk.key)
        self.told.append([chunk.chunk_id, chunk.clusters, chunk.contribution.stored])
        if chunk.summary:
            self.summaries = sorted([*self.summaries, [chunk.first_seen_ms, chunk.summary]])[-_SUMMARIES_KEPT:]


@dataclass(slots=True)
class Outbox:
    """What follows from one version of the state, to be written once."""

    volume: list[list[Any]] = field(default_factory=list)
    """[bucket, posts to add, [[topic, posts to add], …]]; the last is missing in what older versions wrote."""
    spikes: list[dict[str, Any]] = field(default_factory=list)
    crises: list[dict[str, Any]] = field(default_factory=list)
    """In the order in which they were told; several may have one id."""
    chunks: list[list[Any]] = field(default_factory=list)
    """[chunk id, clusters, mentions] of the chunks folded."""

    def to_dict(self) -> dict[str, Any]:
        return {"volume": self.volume, "spikes": self.spikes, "crises": self.crises, "chunks": self.chunks}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        return cls(**{name: list(document[name]) for name in ("volume", "spikes", "crises", "chunks")})


@dataclass(slots=True)
class BrandState:
    """`totals` is the sum of all contributions; its hours and buckets are the detectors' business and empty here."""

    brand: str
    version: int
    """One more with every change. It begins at the time of its making, so that a state made anew after the old one was
    deleted is newer than whatever the old one left in other places."""
    spike: SpikeState
    crisis: CrisisState
    totals: Contribution = field(default_factory=Contribution)
    chunks: int = 0
    clusters: BrandTopics = field(default_factory=BrandTopics)
    """Topics of the stream; those of the totals are empty here."""
    summaries: list[list[Any]] = field(default_factory=list)
    """[first seen (ms), text] of the last chunks."""
    as_of_ms: int = 0
    """The brand's own time: its newest mention, or the moment up to which silence is certain."""
    newest_ms: int = 0
    """Its newest mention (beginning of the bucket)."""
    folded_ms: int = 0
    """When a chunk was folded last (the clock of the worker), as are the next two."""
    updated_ms: int = 0
    advance_ms: int | None = None
    """When silence is to be judged, if nothing is folded before."""
    spiked_ms: int | None = None
    """Its last spike."""
    warned: str | None = None
    """Crisis that has been counted for health: one that escalates is still one."""
    applied: list[str] = field(default_factory=list)
    """Chunks of the last fold. Until they are marked as folded they could be taken for waiting."""
    outbox: Outbox = field(default_factory=Outbox)
    provisional: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"spikes": [], "crises": []})
    """What would be told if nothing more came: known minutes after the fact, and not yet certain."""

    @classmethod
    def new(cls, brand: str, now_ms: int) -> Self:
        return cls(brand, now_ms, SpikeState(brand), CrisisState(brand))

    def to_dict(self) -> dict[str, Any]:
        """For MongoDB; `_id` is the brand."""
        return {
            "_id": self.brand,
            "version": self.version,
            "spike": self.spike.to_dict(),
            "crisis": self.crisis.to_dict(),
            "totals": self.totals.to_dict(),
            "chunks": self.chunks,
            "stream_topics": self.clusters.to_dict(),
            "summaries": self.summaries,
            "as_of_ms": self.as_of_ms,
            "newest_ms": self.newest_ms,
            "folded_ms": self.folded_ms,
            "updated_ms": self.updated_ms,
            "advance_ms": self.advance_ms,
            "spiked_ms": self.spiked_ms,
            "warned": self.warned,
            "applied": self.applied,
            "outbox": self.outbox.to_dict(),
            "provisional": self.provisional,
            "overview": self._overview(),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when the document is not one of `to_dict`."""
        plain = ("as_of_ms", "newest_ms", "folded_ms", "updated_ms", "advance_ms", "spiked_ms", "warned")
        return cls(
            brand=str(document["_id"]),
            version=int(document["version"]),
            spike=SpikeState.from_dict(document["spike"]),
            crisis=CrisisState.from_dict(document["crisis"]),
            totals=Contribution.from_dict(document["totals"]),
            chunks=int(document["chunks"]),
            clusters=BrandTopics.from_dict(document.get("stream_topics")),
            summaries=[list(row) for row in document["summaries"]],
            applied=[str(key) for key in document["applied"]],
            outbox=Outbox.from_dict(document["outbox"]),
            provisional={name: list(found) for name, found in document["provisional"].items()},
            **{name: document[name] for name in plain},
        )

    @property
    def today(self) -> date:
        return from_ms(self.as_of_ms).date()

    @property
    def spiking(self) -> bool:
        """Whether there was a spike within the last 24 hours of the brand's own time, certain or provisional."""
        found = [self.spiked_ms] if self.spiked_ms is not None else []
        found += [one["bucketMs"] for one in self.provisional["spikes"]]
        return any(when > self.as_of_ms - DAY_MS for when in found)

    def health(self) -> Health | None:
        """Of the brand's own today; None for a brand of which no mention could be counted."""
        return health(self._days(), self.today, since=self._since()) if self.totals.days else None

    def health_history(self) -> list[Health]:
        """Of every day that is kept, oldest first."""
        return history(self._days(), until=self.today, since=self._since()) if self.totals.days else []

    def _overview(self) -> dict[str, Any]:
        """What lists of brands show, so that they need not read whole states."""
        found = self.health()
        return {
            "healthScore": None if found is None else found.score,
            "crisisState": self.crisis.state.value,
            "spikeDetected": self.spiking,
        }

    def _days(self) -> dict[date, Day]:
        return {sums.health.day: sums.health for sums in self.totals.days.values()}

    def _since(self) -> date:
        """The day on which watching began: when a hundredth of all that is kept was written. The one old article among
        a hundred posts is no month in which the brand was silent."""
        days = sorted(self._days().items())
        before, all_of_them = 0, sum(day.mentions for _, day in days)
        for when, day in days:
            before += day.mentions
            if before * 100 > all_of_them:
                return when
        return days[0][0]


class Folder:
    """Folds chunks, or silence, into states. Holds the detectors only."""

    def __init__(self, spikes: SpikeDetector | None = None, crises: CrisisDetector | None = None) -> None:
        self._spikes = spikes or SpikeDetector()
        self._crises = crises or CrisisDetector()

    def fold(self, state: BrandState, gathered: Gathered, now_ms: int) -> None:
        """The next version of a state: with these chunks, all at once, and an outbox of what follows."""
        added = gathered.sums
        state.summaries = sorted([*state.summaries, *gathered.summaries])[-_SUMMARIES_KEPT:]
        state.clusters.add(added.clusters)
        topics = added.clusters.buckets
        state.outbox = Outbox(
            volume=[
                [bucket, posts, [list(pair) for pair in sorted(topics.get(bucket, {}).items())]]
                for bucket, posts in sorted(added.buckets.items())
            ]
        )
        state.outbox.chunks = gathered.told
        state.chunks += len(gathered.keys)
        state.applied = gathered.keys
        _move_time(state, added, now_ms)
        self._tell(
            state,
            self._spikes.apply(state.spike, added.buckets),
            self._crises.apply(state.crisis, added.hours),
        )
        _add_totals(state, added)
        self._conclude(state, now_ms)

    def advance(self, state: BrandState, now_ms: int) -> None:
        """The next version of a live brand's state after silence. Only when nothing older is on its way."""
        state.outbox, state.applied = Outbox(), []
        spikes = self._spikes.apply(state.spike, {now_ms // BUCKET_MS: 0})
        crises = self._crises.advance(state.crisis, now_ms - HOUR_MS)
        state.as_of_ms = max(state.as_of_ms, now_ms)
        self._tell(state, spikes, crises)
        _forget_old_days(state)
        followed = now_ms - state.newest_ms < _FOLLOWED_MS or state.crisis.state is not State.CALM
        state.advance_ms = now_ms + _ADVANCE_MS if followed else None
        self._conclude(state, now_ms)

    def _tell(self, state: BrandState, spikes: Sequence[Spike], crises: Sequence[Crisis]) -> None:
        for spike in spikes:
            state.spiked_ms = max(state.spiked_ms or 0, spike.bucket_ms)
            state.clusters.window = _window(state, spike)
        state.outbox.spikes = [_spike(state, one) for one in spikes]
        state.outbox.crises = [one.as_dict() for one in crises]
        for crisis in crises:
            if RANK.get(crisis.severity, 0) >= _RISE and crisis.id != state.warned:
                state.warned = crisis.id
                # Raised at the end of an hour: what ends at midnight belongs to the day before.
                day = from_ms(crisis.raised_at_ms - 1).date()
                sums = state.totals.days.setdefault(day.isoformat(), DaySums(Day(day)))
                sums.merge(DaySums(Day(day, crises=1)))

    def _conclude(self, state: BrandState, now_ms: int) -> None:
        previewed = self._spikes.preview(state.spike)
        state.provisional = {
            "spikes": [_spike(state, one) for one in previewed],
            "crises": [one.as_dict() for one in self._crises.preview(state.crisis)],
        }
        state.clusters.forget(state.newest_ms)
        window = _window(state, previewed[-1]) if previewed else state.clusters.window
        state.clusters.judge(window if state.spiking else [], state.totals.posts)
        state.version += 1
        state.updated_ms = now_ms


def _spike(state: BrandState, spike: Spike) -> dict[str, Any]:
    """The event, with the topics that were talked about."""
    topics = spike_topics(_window(state, spike), state.clusters.sums.labels)
    return {**spike.as_dict(), "bucketMs": spike.bucket_ms, "topics": topics}


def _window(state: BrandState, spike: Spike) -> list[Any]:
    return state.clusters.in_spike(spike.bucket_ms, spike.window_minutes, spike.mention_count)


def _move_time(state: BrandState, added: Contribution, now_ms: int) -> None:
    last = added.last_ms
    if last is not None:
        state.newest_ms = max(state.newest_ms, last)
        state.as_of_ms = max(state.as_of_ms, last)
    state.folded_ms = now_ms
    live = state.newest_ms > 0 and now_ms - state.newest_ms <= _LIVE_MS
    state.advance_ms = now_ms + _ADVANCE_MS if live else None


def _add_totals(state: BrandState, added: Contribution) -> None:
    totals = state.totals
    totals.merge(added)
    totals.buckets.clear()
    totals.hours.clear()
    totals.clusters = TopicSums()
    if len(totals.topics) > 2 * _TOPICS_KEPT:
        kept = sorted(totals.topics.items(), key=lambda item: (-item[1], item[0]))[:_TOPICS_KEPT]
        totals.topics.clear()
        totals.topics.update(dict(kept))
    _forget_old_days(state)


def _forget_old_days(state: BrandState) -> None:
    first = (state.today - timedelta(days=_DAYS_KEPT - 1)).isoformat()
    for day in [one for one in state.totals.days if one < first]:
        del state.totals.days[day]
