"""What is known of one competitor, from which source, and how a run's findings join what earlier runs found. Pure.

Three grades, and a better one is never replaced by a weaker: remembered (a model named it, nobody else), counted (it
stands in the brand's mentions or in pages read, set against the brand), confirmed (a model has read that evidence and
says that it competes, or the platform watches it already).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any, Final

from .competitor_discovery import Candidate
from .competitor_names import NAME_CHARS, name_key

Document = dict[str, Any]

AUTHORS_MIN: Final = 2
"""People who must agree before a name that no model has confirmed is suggested."""
CONFIRM_MIN: Final = 0.6
"""Confidence from which a model's word counts (contract 3.19)."""
HALF: Final = 0.5
"""Chance that one author's comparison names a rival. Of the names that one author alone set against United or
Southwest in the development data six of seven were airlines; half leaves room for brands whose names are words."""
CONFIDENCE_MAX: Final = 0.95
"""However many agree, patterns alone are never certain."""
MENTIONS_KEPT: Final = 50
URLS_KEPT: Final = 10
WORDS_KEPT: Final = 10
SUGGESTED_MAX: Final = 20
"""Suggestions published; the contract's prompt asks for 5 to 10, evidence may bring more."""
REASON_CHARS: Final = 600


class Source(StrEnum):
    MENTIONS = "mentions"
    PAGES = "pages"
    MODEL_MEMORY = "model_memory"


class Status(StrEnum):
    SUGGESTED = "suggested"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"


class Grade(IntEnum):
    REMEMBERED = 0
    COUNTED = 1
    CONFIRMED = 2


class Rule(StrEnum):
    """Where a confidence comes from, so that two are only compared when they mean the same."""

    AUTHORS = "authors"
    """1 - 0.5 ** distinct authors, at most 0.95."""
    MODEL = "model"
    """What the model said of itself."""
    TRACKED = "tracked"
    """1: the platform watches this competitor already."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One name as one run found it. `competes` False: a model has read the evidence and says that it does not."""

    key: str
    name: str
    grade: Grade
    source: Source
    confidence: float | None
    rule: Rule | None
    reason: str
    competes: bool = True
    set_against: bool = True
    """Somebody set it against the brand; else it only stands beside it, and a model has to confirm it."""
    surfaces: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    website: str | None = None
    mentions: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    authors: int = 0
    leaving: int = 0
    joining: int = 0
    contexts: tuple[str, ...] = ()
    tracked: bool = False


def counted(candidate: Candidate, source: Source = Source.MENTIONS, urls: Sequence[str] = ()) -> Finding:
    """What stands in the evidence, before any model was asked."""
    tracked = candidate.tracked
    return Finding(
        key=candidate.key,
        name=candidate.name,
        grade=Grade.CONFIRMED if tracked else Grade.COUNTED,
        source=source,
        confidence=1.0 if tracked else author_confidence(candidate.strong_authors),
        rule=Rule.TRACKED if tracked else Rule.AUTHORS,
        set_against=candidate.strong_authors > 0,
        reason=counted_reason(candidate, source),
        surfaces=candidate.surfaces,
        keywords=candidate.surfaces[:WORDS_KEPT],
        mentions=() if source is Source.PAGES else candidate.evidence[:MENTIONS_KEPT],
        urls=tuple(urls)[:URLS_KEPT],
        authors=candidate.authors,
        leaving=candidate.leaving,
        joining=candidate.joining,
        contexts=tuple(context.text for context in candidate.contexts),
        tracked=tracked,
    )


def author_confidence(authors: int) -> float:
    """`Rule.AUTHORS`: the chance that not all of them are wrong, each taken for right half of the time.

    >>> [author_confidence(n) for n in (1, 2, 3, 9)]
    [0.5, 0.75, 0.875, 0.95]
    """
    return min(CONFIDENCE_MAX, 1 - HALF**authors)


def counted_reason(candidate: Candidate, source: Source) -> str:
    """The count in words."""
    if candidate.tracked:
        return "The platform watches it as a competitor of the brand already."
    where = f"{candidate.authors} {'site' if source is Source.PAGES else 'author'}{_plural(candidate.authors)}"
    moves = [
        f"{count} {'goes' if count == 1 else 'go'} {way}"
        for count, way in ((candidate.leaving, "from the brand to it"), (candidate.joining, "from it to the brand"))
        if count
    ]
    names = ", ".join(sorted(candidate.patterns))
    return f"{where} set it against the brand ({names})" + (f"; {' and '.join(moves)}." if moves else ".")


def _plural(count: int) -> str:
    return "" if count == 1 else "s"


def publishable(finding: Finding) -> bool:
    """Whether a finding may be suggested at all: what nobody has confirmed needs two people, or was asked for."""
    if not finding.competes:
        return False
    return finding.grade is not Grade.COUNTED or (finding.set_against and finding.authors >= AUTHORS_MIN)


def merged(old: Mapping[str, Any] | None, finding: Finding, *, brand: str, now: datetime) -> Document | None:
    """The stored document after this finding; None when there is nothing to store. Merging twice changes nothing."""
    if old is None:
        return _new(finding, brand, now) if publishable(finding) else None
    document = dict(old)
    if not finding.competes:
        if document["grade"] < Grade.CONFIRMED and not document.get("decided"):
            document |= {"status": Status.DISMISSED.value, "reason": finding.reason, "last_seen": now}
        return document
    if publishable(finding) and _is_better(finding, document):
        document |= _judgement(finding)
    if finding.grade is not Grade.REMEMBERED or document["grade"] == Grade.REMEMBERED:
        document |= _joined(document, finding)
        document["last_seen"] = now
    document["status"] = _status(document).value
    return document


def _is_better(finding: Finding, document: Mapping[str, Any]) -> bool:
    """Of two findings of one grade the one with more people behind it; of equals the newer."""
    return (finding.grade, finding.authors) >= (document["grade"], document["evidence"]["authors"])


def _new(finding: Finding, brand: str, now: datetime) -> Document:
    document = {
        "_id": f"{brand}:{finding.key}",
        "brand": brand,
        "key": finding.key,
        **_judgement(finding),
        **_joined({}, finding),
        "first_seen": now,
        "last_seen": now,
    }
    return {**document, "status": _status(document).value}


def _judgement(finding: Finding) -> Document:
    """The fields that go as one: who said it, how sure, and why."""
    return {
        "name": finding.name[:NAME_CHARS],
        "grade": int(finding.grade),
        "source": finding.source.value,
        "confidence": finding.confidence,
        "confidence_rule": None if finding.rule is None else finding.rule.value,
        "reason": finding.reason[:REASON_CHARS],
    }


def _joined(old: Mapping[str, Any], finding: Finding) -> Document:
    """The fields that grow: evidence, spellings, counts. Runs overlap in time, so counts are the largest seen."""
    evidence = old.get("evidence") or {}
    return {
        "aliases": _union(finding.surfaces, old.get("aliases", ()), WORDS_KEPT),
        "keywords": _union(finding.keywords, old.get("keywords", ()), WORDS_KEPT),
        "products": _union(finding.products, old.get("products", ()), WORDS_KEPT),
        "website": finding.website or old.get("website"),
        "tracked": finding.tracked or bool(old.get("tracked")),
        "evidence": {
            "mentions": _union(finding.mentions, evidence.get("mentions", ()), MENTIONS_KEPT),
            "urls": _union(finding.urls, evidence.get("urls", ()), URLS_KEPT),
            "authors": max(finding.authors, evidence.get("authors", 0)),
            "contexts": _union(finding.contexts, evidence.get("contexts", ()), 5),
        },
        "leaving": max(finding.leaving, old.get("leaving", 0)),
        "joining": max(finding.joining, old.get("joining", 0)),
    }


def _union(first: Iterable[str], then: Iterable[str], most: int) -> list[str]:
    return list(dict.fromkeys([*first, *then]))[:most]


def _status(document: Mapping[str, Any]) -> Status:
    if document.get("decided"):  # by a person: no run changes it
        return Status(document["status"])
    if document["grade"] == Grade.CONFIRMED:
        return Status.CONFIRMED
    return Status.DISMISSED if document.get("status") == Status.DISMISSED.value else Status.SUGGESTED


def ranked(documents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Best first: by grade, then by people, then by confidence. What is only remembered comes last."""
    return sorted(
        documents,
        key=lambda one: (-one["grade"], -one["evidence"]["authors"], -(one["confidence"] or 0.0), one["key"]),
    )


def suggestion(document: Mapping[str, Any]) -> Document:
    """A stored competitor in the form its readers know, with what it rests on beside it."""
    grade, evidence = document["grade"], document["evidence"]
    return {
        "name": document["name"],
        "keywords": list(document["keywords"]) or [document["name"]],
        "products": list(document["products"]),
        "confidence": document["confidence"],
        "confidenceRule": document["confidence_rule"],
        "reason": document["reason"],
        "website": document["website"],
        "source": document["source"],
        "verified": grade != Grade.REMEMBERED,
        "degraded": grade == Grade.COUNTED,
        "status": document["status"],
        "decided": document.get("decided") is not None,
        "tracked": document["tracked"],
        "evidence": {name: evidence[name] for name in ("mentions", "urls", "authors")},
        "direction": {"leavingForThem": document["leaving"], "comingFromThem": document["joining"]},
    }


def suggestions(documents: Iterable[Mapping[str, Any]]) -> list[Document]:
    """What is published: nothing that was dismissed, the best first."""
    shown = [one for one in documents if one["status"] != Status.DISMISSED.value]
    return [suggestion(one) for one in ranked(shown)[:SUGGESTED_MAX]]


def confirmed(finding: Finding, *, reason: str, confidence: float, name: str | None = None) -> Finding:
    """The same finding after a model has read its evidence."""
    return replace(
        finding,
        name=name or finding.name,
        grade=Grade.CONFIRMED,
        confidence=confidence if not finding.tracked else finding.confidence,
        rule=Rule.MODEL if not finding.tracked else finding.rule,
        reason=reason[:REASON_CHARS],
    )


def remembered(
    name: str, *, keywords: Sequence[str], products: Sequence[str], confidence: float, reason: str
) -> Finding | None:
    """A name a model gave from memory; None when there is no name in it. It has no website: no page gave it one."""
    key = name_key(name)
    if not key:
        return None
    return Finding(
        key=key,
        name=name.strip()[:NAME_CHARS],
        grade=Grade.REMEMBERED,
        source=Source.MODEL_MEMORY,
        confidence=confidence,
        rule=Rule.MODEL,
        reason=reason,
        keywords=tuple(keywords)[:WORDS_KEPT],
        products=tuple(products)[:WORDS_KEPT],
    )
