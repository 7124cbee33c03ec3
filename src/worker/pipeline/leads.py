"""Which mentions are leads, of which kind, and their one JSON shape. Pure.

The rule is the contract's (3.8). Confidence is that of what makes the lead: of the intent, or of the whole verdict
where the tag alone does, never the mood's strength. The shape holds the fields of the pipeline's leads, of the task
path's and of the frontend's (contract 1.4, lead shapes).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ..brand_terms import BrandTerms
from ..models import Intent, StrategicTag
from ..times import to_ms
from .enriched import author_key, enriched

WINDOW: Final = timedelta(days=7)
"""One person is one lead of a kind per week, however many posts: who writes five times about switching is called once.
Who comes back a week later may have a new reason. Weeks are fixed ones of event time, so that a replay and live traffic
agree; two posts on both sides of a border are two leads."""
_LEAD_INTENTS: Final = frozenset((Intent.HOT_LEAD, Intent.CHURN_RISK))
_LEAD_TAGS: Final = frozenset((StrategicTag.OPPORTUNITY_TO_STEAL, StrategicTag.CRITICAL_ALERT))
_READ_MAX: Final = 5_000
"""Characters looked at for a direction, as many as the analyser reads."""

_FROM: Final = r"(?:from|off|leav(?:e|es|ing)|left|quit|quitting|ditch(?:ed|ing)?|dump(?:ed|ing)?|drop(?:ped|ping)?)"
_TO: Final = r"(?:to|for|with|over to|back to)"


def _move(start: str, end: str) -> re.Pattern[str]:
    """ "from A to B", "leaving A for B", "to B from A"; bounded gaps within one sentence. A name may end with "!"."""
    forth = rf"\b{_FROM} (?:the |my |your )?{start}\b(?: ?!)?[^.!?\n]{{0,60}}?\b{_TO} (?:the )?{end}\b"
    back = rf"\b{_TO} (?:the )?{end}\b[^.!?\n]{{0,30}}?\bfrom (?:the )?{start}\b"
    return re.compile(f"{forth}|{back}", re.IGNORECASE)


_OWN: Final = "ownbrandsign"
_OTHER: Final = "otherbrandsign"
_AWAY: Final = _move(_OWN, _OTHER)
_HERE: Final = _move(_OTHER, _OWN)


class LeadKind(StrEnum):
    """What can be gained."""

    PURCHASE = "purchase"
    """Somebody wants to buy from the brand."""
    RETENTION = "retention"
    """A customer of the brand is about to leave, or already in the open about it."""
    WIN_OVER = "win_over"
    """Somebody is unhappy with a competitor, leaves it, or is about to buy there."""


class LeadStatus(StrEnum):
    """What became of a lead; the worker itself only makes new ones."""

    NEW = "new"


@dataclass(frozen=True, slots=True)
class Lead:
    """One lead with what finds it again."""

    slot: str
    """One per person, kind and week; of an unsigned mention, one per mention."""
    mention_key: str
    kind: LeadKind
    at: datetime
    body: Mapping[str, Any]
    """As it is published."""


def lead_of(document: Mapping[str, Any], own: BrandTerms) -> Lead | None:
    """The lead in a stored mention, None when it is none. `own` names the brand watched."""
    intent, tag = document["intent"], document["strategic_tag"]
    by_intent = intent in _LEAD_INTENTS
    if not document["relevant"] or not (by_intent or tag in _LEAD_TAGS):
        return None
    kind = _kind(document, own)
    key = document["_id"]
    who = author_key(document)
    week = to_ms(document["created_at"]) // round(WINDOW.total_seconds() * 1000)
    slot = f"{document['brand']}:{_digest(f'{who}|{kind}|{week}')}" if who else key
    confidence = document["intent_confidence"] if by_intent else document["confidence"]
    return Lead(slot, key, kind, document["created_at"], _body(document, kind, confidence))


def _kind(document: Mapping[str, Any], own: BrandTerms) -> LeadKind:
    """Who is left and who is gone to: the intent is about the brand that the mention is about, which may be a rival."""
    rival = document["competitor"]
    if rival is None:
        if document["strategic_tag"] == StrategicTag.OPPORTUNITY_TO_STEAL:
            return LeadKind.WIN_OVER
        return LeadKind.PURCHASE if document["intent"] == Intent.HOT_LEAD else LeadKind.RETENTION
    # Signs as words, because a boundary is asked for on both sides; the names may end with any mark.
    text = own.mask(BrandTerms.build(rival).mask(document["text"][:_READ_MAX], f" {_OTHER} "), f" {_OWN} ")
    text = re.sub(r"[ \t]+", " ", text)
    return LeadKind.RETENTION if _AWAY.search(text) and not _HERE.search(text) else LeadKind.WIN_OVER


def _body(document: Mapping[str, Any], kind: LeadKind, confidence: float) -> dict[str, Any]:
    mention = enriched(document)
    gain = kind is not LeadKind.RETENTION
    return {
        **mention,
        "type": "lead",
        "id": f"lead-{_digest(document['_id'])}",
        "mentionId": document["id"],
        "mention_id": document["id"],
        "kind": kind.value,
        # A customer to be kept shows no wish to buy: that none was found is a figure, not a gap.
        "salesIntentScore": round(100 * confidence) if gain else 0,
        "intentType": intent_type(document),
        "confidence": confidence,
        "painPoint": None,
        "leadScore": document["lead_score"],
        "status": LeadStatus.NEW.value,
        "generatedPitch": None,
        "sourcePlatform": mention["source"],
        "sourceText": mention["text"],
        "sourceAuthor": mention["author"],
        "sourceUrl": mention["url"],
        "monitorId": None,
        "userId": None,
    }


_TYPES: Final = (
    ("alternative_seeking", ("alternative", "asks_recommendation", "switch", "leaving")),
    ("price_sensitive", ("price_question", "plan_words")),
)


def intent_type(document: Mapping[str, Any]) -> str:
    """The commercial intent in the contract's words (3.7), from the rules that fired; `none` when no rule tells."""
    rules = {reason.rpartition(":")[2] for reason in document["reasons"] if reason.startswith("intent:")}
    found = next((name for name, wanted in _TYPES if rules.intersection(wanted)), None)
    if found is not None:
        return found
    if document["intent"] == Intent.CHURN_RISK or any(r.startswith("complaint:") for r in document["reasons"]):
        return "complaint"
    return "feature_request" if document["intent"] == Intent.FEATURE_REQUEST else "none"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
