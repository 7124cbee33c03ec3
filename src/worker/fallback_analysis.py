"""The heuristic analysis: what a text means when no model is asked, from the hits of `patterns.read` and a sentiment.

Every function is pure. An intent is evidence, not a keyword: each rule that fires is one independent piece, a negated
one is none, and the pieces are combined as chances (noisy-or). No single weak word reaches the threshold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .models import Intent, Priority, StrategicTag, Urgency
from .patterns import BRAND, FLAGS, Hit, Reading, read
from .vocabulary import LEAD_POINTS

EMOTIONS: tuple[str, ...] = ("joy", "anger", "fear", "sadness", "surprise", "disgust")

MAX_TOPICS = 5
"""Contract 3.7."""
THRESHOLD = 0.5
"""Evidence from which an intent is called, more likely than not: one strong rule or two middling ones."""
TIE = 0.08
"""A wish and a trouble nearer than this are a tie, which the contract's order settles: a bug comes first."""
MOST_CONFIDENT = 0.95
"""Rules never claim more; an independent judge disagrees with any of them now and then."""
CLEAR = 0.4
"""Weight from which a failure counts in any text; weaker ones ("lousy", "not") only where a stake shows."""
SUPPOSED = 3
"""Words that "would" reaches forward: "would be so great"."""
UNCERTAIN = 0.25
"""Confidence of GENERAL where nothing was found. Silence is weak evidence: the rules are blind to much of it."""

_INTENTS = (
    (Intent.CHURN_RISK, "churn"),
    (Intent.HOT_LEAD, "lead"),
    (Intent.BUG_REPORT, "bug"),
    (Intent.FEATURE_REQUEST, "feature"),
    (Intent.PRAISE, "praise"),
)
_ALTERNATIVES = frozenset({"alternative", "asks_recommendation"})
_JOYFUL = frozenset({"joy", "surprise"})


Review = Callable[[Intent, float], tuple[Intent, float]]
"""Intent and confidence by the rules -> by whoever knows better."""


@dataclass(frozen=True, slots=True)
class Signals:
    """What the rules think of a text. Shares and confidences are in 0..1, `lead_score` in 0..100 (contract 3.8)."""

    intent: Intent
    intent_confidence: float
    emotions: Mapping[str, float]
    urgency: Urgency
    lead_score: int
    is_sarcastic: bool
    topics: tuple[str, ...]
    complaint_category: str | None
    reasons: tuple[str, ...]


def analyse(text: str, sentiment: float) -> Signals:
    """The signals of a text whose sentiment is in -1..1 (VADER's compound or better)."""
    return conclude(read(text), sentiment)


def conclude(reading: Reading, sentiment: float, review: Review | None = None) -> Signals:
    """`analyse` for a text that has been read already. `review` may replace the intent that the rules decided for."""
    evidence = weigh(reading, sentiment)
    intent, confidence = decide(evidence)
    if review is not None:
        intent, confidence = review(intent, confidence)
    sarcastic = sarcasm(reading, sentiment)
    emotions = _emotions(reading, sentiment)
    if sarcastic:
        emotions["joy"] = 0.0
    complains = intent in (Intent.BUG_REPORT, Intent.CHURN_RISK) or sentiment < -0.4
    category = _complaint_category(reading) if complains else None
    return Signals(
        intent=intent,
        intent_confidence=confidence,
        emotions=emotions,
        urgency=_urgency(intent, reading, sentiment),
        lead_score=_lead_score(reading, complains),
        is_sarcastic=bool(sarcastic),
        topics=_topics(reading),
        complaint_category=category,
        reasons=tuple(_reasons(reading, intent, evidence, emotions, category, sarcastic)),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """For one intent: the chance that it is meant and the rules that say so, strongest first."""

    chance: float
    rules: tuple[str, ...]


def weigh(reading: Reading, sentiment: float) -> Mapping[str, Evidence]:
    """The evidence for each family of intents after vetoes, negation, context and sentiment."""
    hits = {family: _standing(reading, family) for _, family in _INTENTS}
    customer = bool(reading.affirmed("customer"))
    product = bool(reading.hits.get("product")) or BRAND in reading.tokens
    sarcastic = bool(sarcasm(reading, sentiment))
    if sarcastic:
        sentiment = -abs(sentiment)
    stake = customer or product or sarcastic
    failures = [hit for hit in hits["bug"] if stake or hit.rule.weight >= CLEAR]
    bug = _combine(failures, _displeasure(sentiment, stake, "?" in reading.tokens))
    churn = _combine(hits["churn"], 0.15 if sentiment < -0.05 else 0.0)
    lead = _combine(hits["lead"], 0.0)
    if not _ALTERNATIVES.intersection(lead.rules):
        # A customer's question and a complaint that mention a price are no purchase.
        complaint = sentiment < -0.05 or bug.chance >= THRESHOLD
        lead = _scaled(lead, (0.6 if customer else 1.0) * (0.5 if complaint else 1.0))
    feature = _scaled(_combine(hits["feature"], 0.15 if product else 0.0), 0.7 if customer else 1.0)
    praise = _combine(_meant(hits["praise"], reading), 0.3 * sentiment) if sentiment > 0.05 else Evidence(0.0, ())
    return {"churn": churn, "lead": lead, "bug": bug, "feature": feature, "praise": praise}


def _standing(reading: Reading, family: str) -> list[Hit]:
    """The hits of a family that neither a negator reaches nor a veto overlaps."""
    hits = reading.affirmed(family)
    if not hits or "veto" not in reading.hits:
        return hits
    silenced: dict[str, set[int]] = {}
    for veto in reading.hits["veto"]:
        vetoed_family, _, rule = veto.rule.name.partition(":")
        if vetoed_family == family:
            silenced.setdefault(rule, set()).update(range(veto.start, veto.end))
    everywhere = silenced.get("", set())
    return [
        hit
        for hit in hits
        if everywhere.isdisjoint(range(hit.start, hit.end))
        and silenced.get(hit.rule.name, everywhere).isdisjoint(range(hit.start, hit.end))
    ]


def _meant(hits: Iterable[Hit], reading: Reading) -> list[Hit]:
    """The hits that are not wished for: what "would be great" is not great yet."""
    if "would" not in reading.tokens:
        return list(hits)
    return [hit for hit in hits if "would" not in reading.tokens[max(0, hit.start - SUPPOSED) : hit.start]]


def _combine(hits: Iterable[Hit], context: float) -> Evidence:
    """Noisy-or: 1 - the product of (1 - weight), and of (1 - context) where any rule fired at all.

    Only independent pieces count: each rule once, and of hits that share words the strongest.
    """
    taken: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.rule.weight, hit.start)):
        if all(hit.rule is not other.rule and (hit.end <= other.start or other.end <= hit.start) for other in taken):
            taken.append(hit)
    if not taken:
        return Evidence(0.0, ())
    doubt = 1.0 - context
    for hit in taken:
        doubt *= 1.0 - hit.rule.weight
    return Evidence(1.0 - doubt, tuple(hit.rule.name for hit in taken))


def _scaled(evidence: Evidence, factor: float) -> Evidence:
    return Evidence(evidence.chance * factor, evidence.rules)


def _displeasure(sentiment: float, stake: bool, question: bool) -> float:
    """Context for a failure: the mood, and a stake in it (a bill, a product, the brand named); a question only asks."""
    mood = 0.25 if sentiment < -0.5 else 0.2 if sentiment < -0.05 else 0.0 if sentiment < 0.3 else -0.1
    return (mood + 0.15 if stake else 0.5 * mood) - (0.15 if question else 0.0)


def decide(evidence: Mapping[str, Evidence]) -> tuple[Intent, float]:
    """The intent and the confidence in it: the first of the contract's order that reaches the threshold.

    One exception: a wish that is clearer than the trouble it comes from ("it crashes so often, please add autosave")
    is a wish.
    """
    wish, trouble = evidence["feature"].chance, evidence["bug"].chance
    for intent, family in _INTENTS:
        chance = evidence[family].chance
        if chance < THRESHOLD or (intent is Intent.BUG_REPORT and wish > trouble + TIE):
            continue
        return intent, round(min(MOST_CONFIDENT, chance), 3)
    # Nothing reached the threshold. The nearer something came to it, the less sure that there is nothing.
    nearest = max(item.chance for item in evidence.values())
    return Intent.GENERAL, round(UNCERTAIN * (1.0 - nearest), 3)


def _emotions(reading: Reading, sentiment: float) -> dict[str, float]:
    """Contract 3.9: min(0.8, 0.3 * words); a strong mood of the same colour adds 0.2, never alone."""
    words = Counter(hit.rule.name for hit in _meant(reading.affirmed("emotion"), reading))
    emotions = dict.fromkeys(EMOTIONS, 0.0)
    for name, count in words.items():
        strong = sentiment > 0.5 if name in _JOYFUL else sentiment < -0.5
        emotions[name] = round(min(0.8, 0.3 * count) + (0.2 if strong else 0.0), 2)
    return emotions


def _urgency(intent: Intent, reading: Reading, sentiment: float) -> Urgency:
    """Contract 3.9, and high for a failure that the author calls urgent or that is grave both in word and in mood."""
    if intent in (Intent.CHURN_RISK, Intent.HOT_LEAD):
        return Urgency.HIGH
    if intent is not Intent.BUG_REPORT:
        return Urgency.LOW
    grave = bool(reading.affirmed("CRISIS")) and sentiment < -0.5
    return Urgency.HIGH if grave or reading.affirmed("urgent") else Urgency.MEDIUM


def _lead_score(reading: Reading, complains: bool) -> int:
    """Contract 3.8, each group counted once; in a complaint the word "price" shows no interest in buying."""
    groups = {hit.rule.name for hit in reading.affirmed("score")}
    if complains:
        groups.discard("pricing")
    return max(0, min(100, sum(LEAD_POINTS[group] for group in groups)))


def _topics(reading: Reading) -> tuple[str, ...]:
    """At most MAX_TOPICS, most hits first, then in order of appearance. A negated topic is still the topic."""
    counted = Counter(hit.rule.name for hit in reading.hits.get("topic", ()))
    return tuple(name for name, _ in counted.most_common(MAX_TOPICS))


def _complaint_category(reading: Reading) -> str:
    counted = Counter(hit.rule.name for hit in reading.hits.get("complaint", ()))
    return counted.most_common(1)[0][0] if counted else "other"


def sarcasm(reading: Reading, sentiment: float) -> tuple[str, ...]:
    """The rules of sarcasm that hold. Praise of a failure needs the failure, a rolling eye bad news or praise."""
    marks = _standing(reading, "sarcasm")
    failures = _standing(reading, "failure") if marks else []

    def holds(mark: Hit) -> bool:
        failed = any(failure.end > mark.end or failure.end <= mark.start for failure in failures)
        if mark.rule.name == "praise_of_failure":
            return failed
        return mark.rule.name != "eye_roll" or failed or sentiment > 0.3

    return tuple(sorted({mark.rule.name for mark in marks if holds(mark)}))


def strategic_tag(intent: Intent, sentiment: float, is_competitor: bool) -> StrategicTag:
    """Contract 3.9; besides, who leaves a competitor or is about to buy there can be won."""
    if is_competitor:
        winnable = sentiment < -0.3 or intent in (Intent.CHURN_RISK, Intent.HOT_LEAD)
        return StrategicTag.OPPORTUNITY_TO_STEAL if winnable else StrategicTag.NONE
    critical = intent is Intent.CHURN_RISK and sentiment < -0.5
    return StrategicTag.CRITICAL_ALERT if critical else StrategicTag.NONE


def priority(tag: StrategicTag, intent: Intent, sentiment: float) -> Priority:
    """Contract 3.7."""
    if tag is StrategicTag.CRITICAL_ALERT or (intent is Intent.CHURN_RISK and sentiment < -0.7):
        return Priority.P0_CRITICAL
    if tag is StrategicTag.OPPORTUNITY_TO_STEAL or intent in (Intent.HOT_LEAD, Intent.CHURN_RISK):
        return Priority.P1_HIGH
    if intent in (Intent.BUG_REPORT, Intent.FEATURE_REQUEST):
        return Priority.P2_MEDIUM
    return Priority.P3_LOW


def _reasons(
    reading: Reading,
    intent: Intent,
    evidence: Mapping[str, Evidence],
    emotions: Mapping[str, float],
    category: str | None,
    sarcastic: Sequence[str],
) -> Iterable[str]:
    """Names of rules, never words of the text."""
    family = next((family for called, family in _INTENTS if called is intent), None)
    if family is None:
        yield "intent:general"
    else:
        yield from (f"intent:{intent.value.lower()}:{name}" for name in evidence[family].rules)
    yield from (f"flag:{flag.lower()}" for flag in FLAGS if reading.affirmed(flag))
    yield from (f"emotion:{name}" for name, value in emotions.items() if value)
    if category is not None:
        yield f"complaint:{category}"
    yield from (f"sarcasm:{name}" for name in sarcastic)
