"""A stored mention as the platform's feeds carry it: one JSON shape for every key (contract 1.3 and 1.4). Pure.

A field is there whether or not its value is known: what nobody has found out is null, never a plausible default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..models import Intent, Priority, StrategicTag
from ..times import iso, to_ms

Document = Mapping[str, Any]

TEXT_MAX: Final = 2_000
"""Characters of a text in Redis: any post of the networks watched but the longest; lists hold thousands of copies.
MongoDB has the whole text."""
_CUT: Final = "…"
_PRODUCERS: Final = (
    "platform", "score", "likes", "reposts", "synthetic", "matchConfidence", "matchType", "matchedTerm", "matchReason",
)  # fmt: skip
"""Fields of a producer's metadata that are passed on (contract 1.2); its whole metadata may have 50 kB."""
_VALUE_MAX: Final = 500
_COMPETITOR_ID: Final = re.compile(r"[^\s:*?\[\]\x00-\x1f\x7f]{1,200}\Z")
"""Ids become parts of key names: a colon would make two keys one, a star belongs to patterns."""

_ACTION_URGENCY: Final = {
    Priority.P0_CRITICAL: "IMMEDIATE",
    Priority.P1_HIGH: "TODAY",
    Priority.P2_MEDIUM: "THIS_WEEK",
    Priority.P3_LOW: "WHENEVER",
}
_Test = Callable[[str, str, bool], bool]
_ACTIONS: Final[tuple[tuple[_Test, str], ...]] = (
    (lambda intent, tag, rival: intent == Intent.HOT_LEAD, "Reach out to this person with an offer"),
    (
        lambda intent, tag, rival: intent == Intent.CHURN_RISK and tag == StrategicTag.CRITICAL_ALERT,
        "Escalate to customer success at once",
    ),
    (lambda intent, tag, rival: intent == Intent.CHURN_RISK and not rival, "Call this customer to keep them"),
    (lambda intent, tag, rival: intent == Intent.BUG_REPORT and not rival, "Open a ticket for engineering"),
    (lambda intent, tag, rival: intent == Intent.FEATURE_REQUEST and not rival, "Add the request to the backlog"),
    (
        lambda intent, tag, rival: rival and tag == StrategicTag.OPPORTUNITY_TO_STEAL,
        "Contact this user of a competitor",
    ),
    (lambda intent, tag, rival: tag == StrategicTag.CRITICAL_ALERT, "Start the crisis response"),
)
"""In the contract's order (3.7). Customers, tickets and the backlog are the brand's own: a competitor's bug is none."""


def enriched(document: Document) -> dict[str, Any]:
    """The feeds' form of a stored mention: JSON types only, bounded (some 5 kB at most, 1 kB as a rule).

    `timestamp` is the mention's own time in epoch milliseconds, `created_at` and `createdAt` the same in ISO 8601;
    `sentiment` is the label, `sentiment_score` in -1..1, `influence_score` at least 0.
    """
    when = document["created_at"]
    text, cut = _bounded(document["text"])
    intent, tag = document["intent"], document["strategic_tag"]
    rival = document["competitor"] is not None
    return {
        "id": document["id"],
        "brand": document["brand"],
        "source": document["source"],
        "text": text,
        "text_truncated": cut,
        "timestamp": to_ms(when),
        "created_at": iso(when),
        "createdAt": iso(when),
        "time_source": document["time_source"],
        "author": document["author"],
        "url": document["url"],
        "author_followers": document["author_followers"],
        "influence_score": document["influence_score"],
        "sentiment": document["sentiment"]["label"],
        "sentiment_score": document["sentiment"]["score"],
        "intent": intent,
        "intent_confidence": document["intent_confidence"],
        "strategic_tag": tag,
        "priority": document["priority"],
        "urgency": document["urgency"],
        "action_suggested": action(intent, tag, rival),
        "action_urgency": _ACTION_URGENCY[Priority(document["priority"])],
        "is_competitor": rival,
        "is_sarcastic": document["is_sarcastic"],
        "topics": list(document["topics"]),
        "relevant": document["relevant"],
        "tier": document["tier"],
        "confidence": document["confidence"],
        "degraded": document["degraded"],
        "enhanced_analysis": None,
        "is_verified": None,
        "verification_score": None,
        "verification_reason": None,
        "metadata": _metadata(document),
    }


def action(intent: str, tag: str, is_competitor: bool) -> str:
    """What to do about a mention."""
    return next((text for holds, text in _ACTIONS if holds(intent, tag, is_competitor)), "Monitor")


def competitor_id(document: Document) -> str | None:
    """The platform's id of the competitor that a mention is about, None where there is none that can name a key."""
    if document["competitor"] is None:
        return None
    found = document["metadata"].get("competitorId")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return found if isinstance(found, str) and _COMPETITOR_ID.match(found) else None


def author_key(document: Document) -> str | None:
    """Who speaks: the name on its network, however it is cased; None for a mention that nobody signed."""
    author = (document["author"] or "").strip().lstrip("@").casefold()
    return f"{document['source']}:{author}" if author else None


def complaint_category(document: Document) -> str | None:
    """What is complained about, None when nothing is or the rules could not tell (`other`)."""
    found = next((r.removeprefix("complaint:") for r in document["reasons"] if r.startswith("complaint:")), None)
    return None if found == "other" else found


def _metadata(document: Document) -> dict[str, Any]:
    given = document["metadata"]
    passed = {name: _value(given[name]) for name in _PRODUCERS if name in given}
    return {
        **passed,
        "author": document["author"],
        "url": document["url"],
        "followers": document["author_followers"],
        "emotion": _strongest(document["emotions"]),
        "isCompetitor": document["competitor"] is not None,
        "competitorId": competitor_id(document),
        "competitorName": document["competitor"],
        "complaint_category": complaint_category(document),
        "complaint_pain_level": None,
    }


def _strongest(emotions: Mapping[str, float]) -> str | None:
    name = max(emotions, key=lambda one: emotions[one], default=None)
    return name if name is not None and emotions[name] > 0 else None


def _value(value: Any) -> Any:
    """A producer's value when it is a plain one; lists and objects are not passed on."""
    if isinstance(value, str):
        return value[:_VALUE_MAX]
    return value if isinstance(value, bool | int | float) else None


def _bounded(text: str) -> tuple[str, bool]:
    return (text, False) if len(text) <= TEXT_MAX else (text[: TEXT_MAX - 1] + _CUT, True)
