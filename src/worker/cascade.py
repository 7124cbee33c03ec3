"""Which mentions a language model should see, and how its verdict and tier 2's become one. Pure and deterministic.

Tier 3 is asked about a share of the mentions at most: those where tier 2's doubt, times what is at stake, is greatest
among the latest. The threshold is a running quantile, so a chunk of doubtful mentions may take what ten clear ones
have left over, and a mention that comes alone is treated as one in a crowd. While there is no student yet (warm-up),
every second mention is asked about, picked by its content: an even sample, and 500 verdicts come quickly.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol

from .fallback_analysis import priority, strategic_tag
from .models import Intent, Mention, Priority, Sentiment, StrategicTag, Urgency, Verdict

WARM_UP_LABELS: Final = 500
"""Verdicts of tier 3 until a student knows enough: 500 labels of the domain beat any general light model."""
_WARM_UP_PART: Final = 2
"""One mention in so many during the warm-up."""
_WINDOW: Final = 1_000
"""Latest mentions that the threshold is a quantile of; a brand's half hour in a crisis, its week otherwise."""
_SLACK: Final = 1.2
"""The bar lets through so many times the share, and the allowance caps it: with exactly the share, a stream whose
doubts fade, as they do while a student learns, would leave some of it unused."""
_BURST: Final = 10.0
"""Questions that may be saved up: one prompt of tier 3 holds ten mentions."""

# What is at stake, as a factor of doubt; argued, not fitted. A missed churn or lead is lost; other mentions are only
# counted wrong. The factors are modest, because a mention that tier 2 is sure of gains nothing from tier 3.
_URGENT: Final = 1.5
_ACTIONABLE: Final = 1.2


class Why(StrEnum):
    """Why a mention goes to tier 3."""

    WARM_UP = "warm_up"
    DOUBT = "doubt"


class TierThree(Protocol):
    """What a language model says of one mention."""

    @property
    def relevant(self) -> bool: ...
    @property
    def sentiment(self) -> Sentiment: ...
    @property
    def intent(self) -> Intent: ...
    @property
    def intent_confidence(self) -> float: ...
    @property
    def emotions(self) -> Mapping[str, float]: ...
    @property
    def urgency(self) -> Urgency: ...
    @property
    def is_sarcastic(self) -> bool: ...
    @property
    def topics(self) -> tuple[str, ...]: ...
    @property
    def lead_score(self) -> int: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def cost_usd(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """`index` in the batch that was offered."""

    index: int
    why: Why


@dataclass(slots=True)
class Tally:
    """What was offered and chosen so far; the warm-up apart."""

    seen: int = 0
    chosen: int = 0
    warm_up_seen: int = 0
    warm_up_chosen: int = 0

    @property
    def share(self) -> float | None:
        """Share of mentions sent to tier 3 after the warm-up; None before its end."""
        return self.chosen / self.seen if self.seen else None


class Cascade:
    """Chooses within `max_share` (0..1) of the mentions offered after the warm-up. One per process; not thread-safe."""

    def __init__(self, max_share: float) -> None:
        if not 0.0 <= max_share <= 1.0:
            raise ValueError("max_share must be in 0..1")
        self.tally = Tally()
        self._share = max_share
        self._allowance = 0.0
        self._latest: deque[float] = deque()
        self._ordered: list[float] = []

    def choose(self, mentions: Sequence[Mention], verdicts: Sequence[Verdict], *, warming_up: bool) -> list[Chosen]:
        """The mentions of a batch that tier 3 should judge, greatest stakes first.

        Verdicts of tier 1 are settled: they are counted, never chosen.
        """
        if self._share == 0.0:
            return []
        if warming_up:
            return self._warm_up(mentions, verdicts)
        self.tally.seen += len(verdicts)
        self._allowance = min(max(_BURST, self._share * len(verdicts)), self._allowance + self._share * len(verdicts))
        candidates = []
        for index, verdict in enumerate(verdicts):
            stakes = stake(verdict) if verdict.tier == 2 else 0.0
            self._remember(stakes)
            if stakes > 0.0:
                candidates.append((-stakes, index))
        bar = self._bar()
        chosen = []
        for negative, index in sorted(candidates):
            if self._allowance < 1.0 or -negative < bar:
                break
            self._allowance -= 1.0
            chosen.append(Chosen(index, Why.DOUBT))
        self.tally.chosen += len(chosen)
        return chosen

    def _warm_up(self, mentions: Sequence[Mention], verdicts: Sequence[Verdict]) -> list[Chosen]:
        chosen = [
            Chosen(index, Why.WARM_UP)
            for index, (mention, verdict) in enumerate(zip(mentions, verdicts, strict=True))
            if verdict.tier == 2 and int(mention.content_hash[-8:], 16) % _WARM_UP_PART == 0
        ]
        self.tally.warm_up_seen += len(verdicts)
        self.tally.warm_up_chosen += len(chosen)
        return chosen

    def _remember(self, stakes: float) -> None:
        if len(self._latest) == _WINDOW:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]
        self._latest.append(stakes)
        insort(self._ordered, stakes)

    def _bar(self) -> float:
        """The stakes from which a mention is among the greatest of the latest: a few more than may be sent."""
        above = min(1.0, _SLACK * self._share)
        return self._ordered[min(len(self._ordered) - 1, int(len(self._ordered) * (1.0 - above)))]


def stake(verdict: Verdict) -> float:
    """Doubt times value: 0 for what is certain; possible churn, leads and crises first."""
    return (1.0 - verdict.confidence) * _value(verdict)


def _value(verdict: Verdict) -> float:
    urgent = verdict.intent in (Intent.CHURN_RISK, Intent.HOT_LEAD) or verdict.strategic_tag is not StrategicTag.NONE
    if urgent or "flag:crisis" in verdict.reasons:
        return _URGENT
    if verdict.priority is not Priority.P3_LOW or "flag:lead" in verdict.reasons:
        return _ACTIONABLE
    return 1.0


def merged(verdict: Verdict, judged: TierThree, mention: Mention, why: Why) -> Verdict:
    """Tier 3's verdict, with what follows from it by the contract and the entities that tier 2 has seen."""
    score = judged.sentiment.score
    tag = strategic_tag(judged.intent, score, mention.competitor is not None)
    llm: dict[str, Any] = {"provider": judged.provider, "model": judged.model, "cost_usd": judged.cost_usd}
    return replace(
        verdict,
        sentiment=judged.sentiment,
        intent=judged.intent,
        intent_confidence=judged.intent_confidence,
        emotions=judged.emotions,
        urgency=judged.urgency,
        priority=priority(tag, judged.intent, score),
        strategic_tag=tag,
        is_sarcastic=judged.is_sarcastic,
        topics=judged.topics,
        lead_score=judged.lead_score,
        relevant=judged.relevant,
        tier=3,
        reasons=(f"tier3:{why.value}", *(one for one in verdict.reasons if one.startswith(("relevance:", "text:")))),
        confidence=max(verdict.confidence, judged.intent_confidence),
        degraded=False,
        llm=llm,
    )


def degraded(verdict: Verdict, reason: str) -> Verdict:
    """Tier 2's verdict as it is, marked: tier 3 should have seen it. `reason` is an error's code, e.g. `LLM_BUDGET`."""
    return replace(verdict, degraded=True, reasons=(*verdict.reasons, f"degraded:{reason.lower()}"))
