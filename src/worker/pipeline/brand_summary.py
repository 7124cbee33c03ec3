"""What neighbours and the API are shown of a brand's state: summary, health, crisis figures. Pure, strict JSON.

Fields and units are the platform's (contract 1.3, 1.4, 3.15); `null_reasons` says of every null why it is one.
Everything is computed from the state, so it can be shown again at any time and is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from ..crisis_events import ACTIONS, Severity, State
from ..health_score import Health
from ..models import SentimentLabel
from ..times import iso_ms
from .brand_state import BrandState
from .contribution import EXCERPT_LISTS

_TOPICS: Final = 10
_CLUSTERS: Final = 20
_HISTORY_DAYS: Final = 90
_TOPICS_NAMED: Final = 3
_NO_MENTION: Final = "no mention of it could be counted yet"
_ACTION_OF: Final = {
    State.WATCH: ACTIONS[Severity.WATCH],
    State.WARNING: ACTIONS[Severity.WARNING],
    State.CRITICAL: ACTIONS[Severity.CRITICAL],
    State.RECOVERING: ACTIONS[Severity.WATCH],
}
"""What to do in each state; calm asks for nothing."""


def brand_summary(state: BrandState) -> dict[str, Any]:
    """`summary:brand:{slug}`: a superset of the fields that all readers have in common.

    `totalMentions` and `sentiment` count stored mentions, like the chunk results whose sum they are; `totalPosts`
    adds what others repeated of them. `sentiment.score` = (positive - negative) / all.
    """
    totals, health = state.totals, state.health()
    topics = sorted(totals.topics.items(), key=lambda item: (-item[1], item[0]))[:_TOPICS]
    action = _ACTION_OF.get(state.crisis.state)
    reasons: dict[str, str] = {}
    if health is None or health.score is None:
        reasons["healthScore"] = _NO_MENTION if health is None else health.reason
    if not totals.leads:
        reasons["avgLeadScore"] = "no mention has a lead score above 0"
    return {
        "brand": state.brand,
        "generatedAt": iso_ms(state.updated_ms),
        "totalChunks": state.chunks,
        "totalMentions": totals.stored,
        "totalPosts": totals.posts,
        "competitorMentions": totals.competitor,
        "sentiment": _sentiment(totals.sentiments),
        "dominantTopics": [name for name, _ in topics],
        "topics": [{"name": name, "count": count} for name, count in topics],
        "clusters": _clusters(state),
        "spikeDetected": state.spiking,
        "summary": _text(state, [name for name, _ in topics[:_TOPICS_NAMED]]),
        "chunkSummaries": [text for _, text in reversed(state.summaries)],
        "healthScore": None if health is None or health.score is None else round(health.score),
        "crisisState": state.crisis.state.value,
        "entities": {"people": [], "companies": [], "products": []},
        **{name: [one.text for one in totals.excerpts.get(name, ())] for name in EXCERPT_LISTS.values()},
        "recommended_actions": [action] if action else [],
        "avgLeadScore": round(totals.lead_sum / totals.leads) if totals.leads else None,
        "sentimentHistory": _history(state),
        "intents": dict(sorted(totals.intents.items())),
        "tiers": dict(sorted(totals.tiers.items())),
        "asOf": iso_ms(state.as_of_ms) if state.as_of_ms else None,
        "null_reasons": {**reasons, **({} if state.as_of_ms else {"asOf": _NO_MENTION})},
    }


def health_document(state: BrandState) -> dict[str, Any]:
    """`health:brand:{brand}`: `score` 0..100 or null with a reason, `updated_at`, and the parts."""
    found = state.health()
    known = {"score": None, "reason": _NO_MENTION, "parts": {}} if found is None else health_of(found)
    return {"brand": state.brand, "updated_at": iso_ms(state.updated_ms), **known}


def health_of(found: Health) -> dict[str, Any]:
    """Health of one day, as it is shown: `score`, `reason`, `date`, `mentions7d`, `parts`."""
    document = found.as_dict()
    return {"score": document.pop("healthScore"), **document}


def crisis_metrics(state: BrandState) -> dict[str, Any] | None:
    """`crisis:metrics:{brand}`; None before the first hour has been judged."""
    risk = state.crisis.risk
    return None if risk is None else {**risk, "brand": state.brand}


def chunk_event(brand: str, chunk_id: str, clusters: int, mentions: int) -> dict[str, Any]:
    """Message on `events:brand:{brand}`."""
    return {
        "type": "chunk_processed",
        "brand": brand,
        "chunkId": chunk_id,
        "clusterCount": clusters,
        "mentionCount": mentions,
    }


def _sentiment(counts: Mapping[str, int]) -> dict[str, int | float]:
    shares: dict[str, int | float] = {label.value: counts.get(label.value, 0) for label in SentimentLabel}
    return {**shares, "score": _score(shares)}


def _score(counts: Mapping[str, int | float]) -> float:
    """0 of nothing at all: readers add it up, and the counts beside it say that there was nothing."""
    total = sum(counts.values())
    return round((counts["positive"] - counts["negative"]) / total, 2) if total else 0.0


def _clusters(state: BrandState) -> list[dict[str, Any]]:
    """The largest topics: `mentions` are stored ones, like `totalMentions`; `posts` adds what others repeated."""
    return [
        {
            "id": topic,
            "label": label.text if label is not None else topic,
            "labelBy": label.by.value if label is not None else None,
            "mentions": row.stored,
            "posts": row.posts,
            "spike": topic in state.clusters.spiking,
            "sentimentScore": row.score,
        }
        for topic, row, label in state.clusters.shown(_CLUSTERS)
    ]


def _history(state: BrandState) -> list[dict[str, Any]]:
    """Posts by sentiment of each day on which somebody wrote, oldest first."""
    first = (state.today - timedelta(days=_HISTORY_DAYS - 1)).isoformat()
    days = state.totals.days
    return [
        {"date": day, **_sentiment(days[day].labels)}
        for day in sorted(days)
        if day >= first and days[day].health.mentions
    ]


def _text(state: BrandState, topics: list[str]) -> str:
    """Counted, not judged: true whatever the tier."""
    counts, total = state.totals.sentiments, state.totals.stored
    if not total:
        return ""
    shares = ", ".join(f"{counts[label.value]:,} {label.value}" for label in SentimentLabel if counts[label.value])
    about = f"; mostly about {', '.join(topics)}" if topics else ""
    return f"{total:,} mention{'' if total == 1 else 's'}: {shares}{about}."
