"""What the platform's orchestrator reads from `result:brand:{slug}:chunks`. Pure.

Its acceptance rules and the fields it sums without checking are in the platform's contract (1.3); each is a test.
`clusters` are `clusters.chunk_clusters`; where topics could not be found the array is empty and `meta.clustersReason`
says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ..models import SentimentLabel
from ..times import iso

_TOPICS_MAX: Final = 10


def chunk_result(
    *,
    brand: str,
    chunk_id: str,
    verdicts: Sequence[Mapping[str, Any]],
    processed_at: datetime,
    metrics: Mapping[str, float],
    clusters: Sequence[Mapping[str, Any]] = (),
    clusters_reason: str | None = None,
    spike_detected: bool = False,
) -> dict[str, Any]:
    """One result for the stored mentions of a chunk (their documents).

    `sentiment` holds shares of the mentions (0..1, summing to 1) and `score` = positive - negative (-1..1).

    Raises:
        ValueError: no mentions: an empty result would overwrite the brand's summary with zeros.
    """
    if not verdicts:
        raise ValueError("a chunk result needs at least one mention")
    share = sentiment_shares(verdicts)
    topics = [name for name, _ in Counter(t for v in verdicts for t in v["topics"]).most_common(_TOPICS_MAX)]
    meta: dict[str, Any] = {"metrics": dict(metrics), "mentionCount": len(verdicts)}
    if clusters_reason is not None:
        meta["clustersReason"] = clusters_reason
    return {
        "chunkId": chunk_id,
        "brand": brand,
        "processedAt": iso(processed_at),
        "sentiment": {**share, "score": round(share["positive"] - share["negative"], 4)},
        "clusters": [dict(one) for one in clusters],
        "topics": topics,
        "summary": _summary(verdicts, topics),
        "spikeDetected": spike_detected,
        "meta": meta,
    }


def without_centroids(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result as the chunk's own document keeps it: centroids are nine tenths of it, and the topics have them."""
    kept = [{name: value for name, value in one.items() if name != "centroid"} for one in result["clusters"]]
    return {**result, "clusters": kept}


def sentiment_shares(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    counts = Counter(v["sentiment"]["label"] for v in verdicts)
    return {label.value: round(counts[label.value] / len(verdicts), 4) for label in SentimentLabel}


def _summary(verdicts: Sequence[Mapping[str, Any]], topics: Sequence[str]) -> str:
    """Counted, not judged: true whatever the tier."""
    counts = Counter(v["sentiment"]["label"] for v in verdicts)
    total = len(verdicts)
    parts = ", ".join(f"{counts[label.value]} {label.value}" for label in SentimentLabel if counts[label.value])
    text = f"{total} mention{'' if total == 1 else 's'}: {parts}"
    return f"{text}; about {', '.join(topics[:3])}." if topics else f"{text}."


def tallies(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts per sentiment, intent, priority and tier."""
    return {
        "sentiments": dict(Counter(v["sentiment"]["label"] for v in verdicts)),
        "intents": dict(Counter(v["intent"] for v in verdicts)),
        "priorities": dict(Counter(v["priority"] for v in verdicts)),
        "tiers": dict(Counter(str(v["tier"]) for v in verdicts)),
    }
