"""What customers of a competitor complain about: which complaints count, their one shape, weaknesses in sum. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..models import Analysed, Mention
from ..patterns import read
from ..queue_commands import Command
from ..times import iso
from .announcements import QUEUE_COMPLAINTS, collected, newest_first

OTHER: Final = "other"
_PAIN: Final = 6
"""Contract 2.3: a complaint of no category counts only above it."""
_TEXT_MAX: Final = 500
"""Characters of the text in a complaint (contract 1.4)."""
_LIST_MAX: Final = 100
_PLATFORM: Final = "python_worker"
"""What readers of complaints know this worker by (contract 1.4)."""

_STRONG, _MODERATE, _USUAL = 8, 6, 5
"""Pain by words (contract 3.9), where no model was asked: hate and its like, something broken, anything else."""

_ISSUES_SHOWN: Final = 3
_ENOUGH: Final = 3
_LARGE: Final = 0.2
"""A category is an opportunity from three complaints and a fifth of all: fewer is chance."""
_OPENINGS: Final = {
    "pricing": "show what yours costs in full",
    "missing_features": "show that you have what is missed",
    "support_issues": "show how fast people reach you",
    "performance": "show how fast yours is",
    "usability": "show how simple yours is",
    "reliability": "show how rarely yours fails",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One that counts."""

    mention: Mention
    category: str
    """Contract 3.7."""
    issue: str | None
    """What is complained about; None where nobody has read it with understanding."""
    pain: int
    """1..10."""
    tier: int


def counts(category: str, pain: int) -> bool:
    """Contract 2.3."""
    return category != OTHER or pain > _PAIN


def by_rules(analysed: Analysed) -> Complaint | None:
    """A complaint as the rules see it. They find a category and words of pain, and cannot say what the issue is."""
    named = [reason for reason in analysed.verdict.reasons if reason.startswith("complaint:")]
    if not named:
        return None
    category = named[0].removeprefix("complaint:")
    words = {hit.rule.name for hit in read(analysed.mention.text).affirmed("PAIN")}
    pain = _STRONG if "hate" in words else _MODERATE if "broken" in words else _USUAL
    if not counts(category, pain):
        return None
    return Complaint(analysed.mention, category, None, pain, analysed.verdict.tier)


@dataclass(frozen=True, slots=True)
class Rival:
    """Whom the complaints are about; `brand` is the slug of the one who watches."""

    id: str
    name: str
    brand: str | None


def complaint_key(rival: Rival, mention: Mention) -> str:
    """One per competitor and text of a person: the same text by two people hurts twice."""
    author = (mention.author or "").strip().lstrip("@").casefold()
    digest = hashlib.sha256(f"{mention.content_hash}|{author}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{rival.id}:{digest[:40]}"


def complaint_body(one: Complaint, rival: Rival) -> dict[str, Any]:
    """The contract's fields (1.4) and those by which a complaint is found again and judged."""
    mention = one.mention
    text = mention.text if len(mention.text) <= _TEXT_MAX else mention.text[: _TEXT_MAX - 1] + "…"
    return {
        "type": "competitor_complaint",
        "id": f"complaint-{hashlib.sha256(complaint_key(rival, mention).encode()).hexdigest()[:24]}",
        "competitorId": rival.id,
        "competitorName": rival.name,
        "brand": rival.brand,
        "category": one.category,
        "specificIssue": one.issue,
        "painLevel": one.pain,
        "sourceText": text,
        "sourcePlatform": _PLATFORM,
        "source": mention.source,
        "sourceAuthor": mention.author,
        "sourceUrl": mention.url,
        "mentionId": mention.id,
        "createdAt": iso(mention.created_at),
        "tier": one.tier,
        "degraded": one.tier < 3,
    }


def complaint_commands(bodies: Sequence[Mapping[str, Any]], rival: Rival) -> list[Command]:
    """The queue of the notification worker and the competitor's list, newest first."""
    return [
        *collected(QUEUE_COMPLAINTS, bodies),
        *newest_first(f"competitor:complaints:{rival.id}", bodies, most=_LIST_MAX),
    ]


@dataclass(frozen=True, slots=True)
class Tally:
    """Complaints of one category, `issues` being their most frequent ones with how often each was said."""

    category: str
    count: int
    pain: float
    """Mean, 1..10."""
    issues: tuple[tuple[str, int], ...]


def weaknesses(tallies: Sequence[Tally]) -> dict[str, Any]:
    """The frontend's analysis of weaknesses (contract 1.4): most frequent category first.

    `opportunities` are sentences made of these figures alone; there are none where too few people complain.
    """
    total = sum(one.count for one in tallies)
    ranked = sorted(tallies, key=lambda one: (-one.count, one.category))
    return {
        "totalComplaints": total,
        "categoryBreakdown": [
            {
                "category": one.category,
                "count": one.count,
                "percentage": round(100 * one.count / total, 1),
                "avgPainLevel": round(one.pain, 1),
                "topIssues": [issue for issue, _ in one.issues[:_ISSUES_SHOWN]],
            }
            for one in ranked
        ],
        "opportunities": [
            _opportunity(one, total)
            for one in ranked
            if one.category in _OPENINGS and one.count >= _ENOUGH and one.count >= _LARGE * total
        ],
    }


def _opportunity(one: Tally, total: int) -> str:
    words = one.category.replace("_", " ")
    example = f', for example "{one.issues[0][0]}"' if one.issues else ""
    share = (
        f"{one.count / total:.0%} of {total:,} complaints are about {words} (mean pain {one.pain:.1f} of 10){example}"
    )
    return f"{share}: {_OPENINGS[one.category]}"
