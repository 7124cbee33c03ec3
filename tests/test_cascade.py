"""The cascade: never more than its share, the greatest stakes first, and never less than tier 2's answer."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.cascade import Cascade, Why, degraded, merged, stake
from src.worker.models import Intent, Mention, Priority, Sentiment, SentimentLabel, StrategicTag, Urgency, Verdict
from src.worker.vader import Vader
from tests.lessons import mention

ANALYZER = Analyzer(Vader.load())
ACME = BrandTerms.build("acme")
PLAIN = ANALYZER.analyse(mention("the acme shop is on main street and it has doors"), ACME)
ONE = mention("any")


def verdict(confidence: float, *, tier: int = 2, intent: Intent = Intent.GENERAL) -> Verdict:
    return replace(PLAIN, confidence=confidence, tier=tier, intent=intent)


def offer(cascade: Cascade, verdicts: list[Verdict], *, warming_up: bool = False) -> list[int]:
    return [one.index for one in cascade.choose([ONE] * len(verdicts), verdicts, warming_up=warming_up)]


@given(
    st.floats(0, 1),
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=30),
)
def test_never_more_than_the_share_of_what_was_offered(share: float, chunks: list[list[float]]) -> None:
    cascade = Cascade(share)
    seen = sent = 0
    for chunk in chunks:
        chosen = offer(cascade, [verdict(confidence) for confidence in chunk])
        assert len(set(chosen)) == len(chosen)
        seen, sent = seen + len(chunk), sent + len(chosen)
        assert sent <= share * seen + 1e-9
    assert (cascade.tally.seen, cascade.tally.chosen) == ((seen, sent) if share else (0, 0))


@pytest.mark.parametrize("size", [1, 30, 200])
def test_the_share_is_used_whatever_the_size_of_a_chunk(size: int) -> None:
    rng = random.Random(1)
    cascade = Cascade(0.10)
    for _ in range(6_000 // size):
        offer(cascade, [verdict(rng.random()) for _ in range(size)])
    assert cascade.tally.share is not None
    assert 0.08 <= cascade.tally.share <= 0.10


def test_the_most_doubtful_of_a_stream_are_chosen() -> None:
    rng = random.Random(2)
    cascade = Cascade(0.10)
    chosen, passed = [], []
    for _ in range(200):
        doubts = [rng.random() for _ in range(30)]
        picked = set(offer(cascade, [verdict(1 - doubt) for doubt in doubts]))
        for index, doubt in enumerate(doubts):
            (chosen if index in picked else passed).append(doubt)
    assert sum(chosen) / len(chosen) > 0.9
    assert sum(passed) / len(passed) < 0.5


def test_of_equal_doubt_a_possible_churn_or_lead_goes_first() -> None:
    for intent in (Intent.CHURN_RISK, Intent.HOT_LEAD):
        verdicts = [verdict(0.4)] * 10 + [verdict(0.4, intent=intent)] + [verdict(0.4)] * 9
        assert offer(Cascade(0.05), verdicts) == [10]
    crisis = replace(verdict(0.4), reasons=("flag:crisis",))
    assert stake(crisis) > stake(verdict(0.4))


def test_what_tier_one_settled_is_never_sent() -> None:
    settled = [verdict(0.0, tier=1)] * 100
    assert offer(Cascade(1.0), settled) == []
    assert offer(Cascade(1.0), settled, warming_up=True) == []


def test_the_warm_up_asks_about_half_by_content_and_counts_apart() -> None:
    cascade = Cascade(0.10)
    mentions = [mention(f"text {number}") for number in range(1_000)]
    chosen = cascade.choose(mentions, [verdict(0.9)] * 1_000, warming_up=True)
    assert 430 <= len(chosen) <= 570
    assert {one.why for one in chosen} == {Why.WARM_UP}
    assert chosen == Cascade(0.5).choose(mentions, [verdict(0.1)] * 1_000, warming_up=True)
    assert (cascade.tally.warm_up_seen, cascade.tally.warm_up_chosen) == (1_000, len(chosen))
    assert (cascade.tally.seen, cascade.tally.chosen, cascade.tally.share) == (0, 0, None)


def test_a_share_of_nothing_sends_nothing_not_even_to_warm_up() -> None:
    assert offer(Cascade(0.0), [verdict(0.0)] * 50, warming_up=True) == []
    assert offer(Cascade(0.0), [verdict(0.0)] * 50) == []


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="max_share"):
        Cascade(share)


@dataclass(frozen=True)
class Says:
    relevant: bool = True
    sentiment: Sentiment = field(default_factory=lambda: Sentiment(SentimentLabel.NEGATIVE, -0.8))
    intent: Intent = Intent.CHURN_RISK
    intent_confidence: float = 0.9
    emotions: Mapping[str, float] = field(default_factory=lambda: {"anger": 0.7})
    urgency: Urgency = Urgency.HIGH
    is_sarcastic: bool = False
    topics: tuple[str, ...] = ("pricing",)
    lead_score: int = 5
    provider: str = "p"
    model: str = "m"
    cost_usd: float | None = 0.0002


def test_a_merged_verdict_is_tier_threes_with_what_the_contract_derives_from_it() -> None:
    one = merged(PLAIN, Says(), ONE, Why.DOUBT)
    assert (one.tier, one.degraded, one.intent) == (3, False, Intent.CHURN_RISK)
    assert (one.strategic_tag, one.priority) == (StrategicTag.CRITICAL_ALERT, Priority.P0_CRITICAL)
    assert one.llm == {"provider": "p", "model": "m", "cost_usd": 0.0002}
    assert one.entities == PLAIN.entities
    assert one.reasons[0] == "tier3:doubt"
    assert any(reason.startswith("relevance:") for reason in one.reasons)
    assert not any(reason.startswith("sentiment:") for reason in one.reasons)


def test_who_leaves_a_competitor_can_be_won() -> None:
    theirs: Mention = mention("any", competitor="Globex")
    assert merged(PLAIN, Says(), theirs, Why.DOUBT).strategic_tag is StrategicTag.OPPORTUNITY_TO_STEAL


def test_without_tier_three_the_answer_of_tier_two_stands_and_says_why() -> None:
    one = degraded(PLAIN, "LLM_BUDGET")
    assert one.degraded
    assert one.reasons == (*PLAIN.reasons, "degraded:llm_budget")
    assert replace(one, degraded=False, reasons=PLAIN.reasons) == PLAIN
