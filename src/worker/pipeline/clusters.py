"""The clusters of a chunk result: its mentions by the topic they were stored with, each in exactly one. Pure.

Mentions that are alone in a new topic, and those without words, are in one cluster named noise; mentions of competitors
in one of their own. Ids are the topics' and stay over chunks, so that readers can add clusters up; centroids of
different chunks compare by cosine (contract 1.3).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from ..cluster_labels import NOISE_LABEL, labels_of
from ..topics import Topic, TopicState, resolved
from .documents import COMPETITORS
from .topic_sums import NOISE

COMPETITORS_ID: Final = "competitors"
_COMPETITORS_LABEL: Final = "about competitors"
CENTROIDS_MAX: Final = 20
"""A centroid of 512 numbers has 4 kB: twenty of them keep a result of 30 mentions below 100 kB."""
_DECIMALS: Final = 4
"""A cosine of rounded centroids is off by less than .001."""
_UNKNOWN: Final = "topics are not known"

Document = Mapping[str, Any]


def missing(documents: Sequence[Document]) -> str | None:
    """Why the mentions cannot be shown in clusters: one of them has no topic and should have one; None: they can."""
    for document in documents:
        reason = document.get("topic_reason", _UNKNOWN)
        if document.get("topic") is None and reason != COMPETITORS.reason:
            return reason or _UNKNOWN
    return None


def chunk_clusters(
    documents: Sequence[Document], state: TopicState, spiking: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The clusters of stored mentions (their documents), biggest first.

    Args:
        documents: `missing` has found nothing.
        state: the brand's topics after these mentions; one that is not among them any more is shown without a centroid.
        spiking: topics that take part in a spike of the brand.
    """
    topics = {one.id: one for one in state.topics}
    groups: dict[str, list[Document]] = {}
    for document in documents:
        groups.setdefault(_cluster_of(document, state.merged), []).append(document)
    for name in [one for one, members in groups.items() if _alone(topics.get(one), one, len(members))]:
        groups.setdefault(NOISE, []).extend(groups.pop(name))
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    centroids = _rounded([topics[name] for name, _ in ordered if name in topics][:CENTROIDS_MAX])
    out = []
    for name, members in ordered:
        topic = topics.get(name)
        cluster = {
            "id": name,
            "label": _label(name, topic, members),
            "labelBy": topic.label.by.value if topic is not None and topic.label is not None else None,
            "mentions": [document["_id"] for document in members],
            "mentionCount": len(members),
            "sentimentScore": round(sum(one["sentiment"]["score"] for one in members) / len(members), 4),
            "spike": name in spiking,
        }
        if name in centroids:
            cluster["centroid"] = centroids[name]
        out.append(cluster)
    return out


def _cluster_of(document: Document, merged: Mapping[str, str]) -> str:
    topic: str | None = document["topic"]
    return COMPETITORS_ID if topic is None else resolved(topic, merged)


def _alone(topic: Topic | None, name: str, members: int) -> bool:
    if name in (NOISE, COMPETITORS_ID):
        return False
    return members == 1 and (topic is None or topic.count <= 1)


def _label(name: str, topic: Topic | None, members: Sequence[Document]) -> str:
    if name == NOISE:
        return NOISE_LABEL
    if name == COMPETITORS_ID:
        return _COMPETITORS_LABEL
    if topic is not None and topic.label is not None:
        return topic.label.text
    return labels_of([[document["text"] for document in members]])[0]


def _rounded(topics: Sequence[Topic]) -> dict[str, list[float]]:
    import numpy as np

    if not topics:
        return {}
    # float64 first: a float32 rounded to four decimals is written with seventeen.
    rows = np.round(np.stack([one.centroid for one in topics]).astype(np.float64), _DECIMALS)
    return {one.id: row.tolist() for one, row in zip(topics, rows, strict=True)}
