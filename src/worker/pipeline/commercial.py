"""Does one text make a lead? By a model's answer or by the local verdict; one rule, one schema with `leads`. Pure.

The contract's task (2.1) asks for a wish to buy, try or switch with a confidence above 0.6. Who is gained or lost, the
slot of a person and the shape are those of every other lead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from ..analyzer import BrandTerms
from ..fallback_analysis import priority, strategic_tag
from ..models import Intent
from ..queue_commands import Command
from .announcements import collected, newest_first
from .grounding import echoes, linkless
from .leads import Lead, LeadKind, intent_type, lead_of
from .publication import QUEUE_LEADS

CONFIDENT: Final = 0.6
"""Contract 2.1: only above it."""
_LEADS_MAX: Final = 100
"""Contract 2.1."""

Document = Mapping[str, Any]

_READ_MAX: Final = 5_000
"""Characters looked at for a direction, as many as the analyser reads."""
_SIGN: Final = "ownbrandsign"
_LEAVE: Final = (
    r"(?i:(?:switch|mov|migrat|chang|com)(?:e|es|ed|ing)?(?:\s+(?:over|away|back))?\s+from"
    r"|(?:leav|ditch|dump|dropp?|quitt?)(?:e|es|ed|ing)?|cancel(?:l?(?:ed|ing))?)"
)
_COMES: Final = re.compile(rf"\b{_LEAVE}\s+(?i:the\s+|my\s+|our\s+)?(?!{_SIGN})[@#]?[A-Z]\w+")
"""Whoever is left has a name: a word that begins with a capital, as the names of rivals are found (trap 20)."""
_GOES: Final = re.compile(rf"\b(?:{_LEAVE}|(?i:done with|goodbye))\s+(?i:the\s+|my\s+|our\s+)?{_SIGN}\b")


class CommercialAnswer(Protocol):
    """A model's answer to `commercial_intent`."""

    @property
    def sales_intent(self) -> bool: ...
    @property
    def confidence(self) -> float: ...
    @property
    def intent_type(self) -> str: ...
    @property
    def pain_point(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of the author's wish, and the lead where there is one."""

    sales_intent: bool
    confidence: float
    """Of the model in its answer, or of the rules in the intent they see; never the strength of a mood."""
    intent_type: str
    """Contract 3.7."""
    pain_point: str | None
    lead: Lead | None
    why: str
    """In words: what makes it a lead, or what is missing."""


def heading_here(document: Document, own: BrandTerms) -> Document:
    """The document of somebody who leaves another company in a text that names the brand: a wish to buy here.

    The rules for all mentions take "switching from" for a customer of the brand about to leave, because few posts say
    whom they leave and to whom they go. Where the text names somebody else as the one who is left, it is no loss.
    """
    if document["intent"] != Intent.CHURN_RISK or document["competitor"] is not None:
        return document
    text = own.mask(document["text"][:_READ_MAX], f" {_SIGN} ")
    if _SIGN not in text or _GOES.search(text) or not _COMES.search(text):
        return document
    score = document["sentiment"]["score"]
    tag = strategic_tag(Intent.HOT_LEAD, score, False)
    return {
        **document,
        "intent": Intent.HOT_LEAD.value,
        "strategic_tag": tag.value,
        "priority": priority(tag, Intent.HOT_LEAD, score).value,
        "reasons": [*document["reasons"], "intent:leaves_another"],
    }


def by_model(document: Document, own: BrandTerms, said: CommercialAnswer, llm: Document | None) -> Finding:
    """`document` is the mention as the local tiers judged it and as it would be stored."""
    kind = str(said.intent_type)
    lead: Lead | None = None
    if not said.sales_intent:
        why = "the model sees no wish to buy, try or switch"
    elif said.confidence <= CONFIDENT:
        why = f"the model's confidence is {said.confidence:.2f}, a lead needs more than {CONFIDENT}"
    else:
        lead = lead_of(_judged(document, said.confidence, llm), own)
        why = "the text says nothing about anything" if lead is None else "the model sees a wish to buy, try or switch"
    pain = _pain(said.pain_point, document["text"])
    if pain is None and said.pain_point is not None:
        why += "; the pain point it gave is not in the author's words and is left out"
    if lead is not None:
        lead = replace(lead, body={**lead.body, "intentType": kind, "painPoint": pain})
    return Finding(said.sales_intent, said.confidence, kind, pain, lead, why)


def _pain(said: str | None, text: str) -> str | None:
    """What drives the author, if that can be the author's own word: the model was asked for nothing else."""
    return said if said is not None and linkless(said, [text]) and echoes(said, text) else None


def by_rules(document: Document, own: BrandTerms) -> Finding:
    """A lead by the rule for all mentions (contract 3.8), where there is something to gain: the author of a mention
    that only shows a customer about to leave wants to buy nothing here."""
    lead = lead_of(document, own)
    kind = intent_type(document)
    gain = lead is not None and lead.kind is not LeadKind.RETENTION
    confidence = float(lead.body["confidence"] if lead is not None else document["intent_confidence"])
    if lead is None:
        why = "no rule sees a wish to buy, try or switch"
    elif not gain:
        why = "a customer is about to leave, which is no wish to buy"
    elif confidence <= CONFIDENT:
        why = f"the rules' confidence is {confidence:.2f}, a lead needs more than {CONFIDENT}"
    else:
        return Finding(True, confidence, kind, None, lead, "the rules see a wish to buy, try or switch")
    return Finding(gain, confidence, kind, None, None, why)


def _judged(document: Document, confidence: float, llm: Document | None) -> dict[str, Any]:
    """The document with the model's word on the intent. Who is leaving the brand stays somebody to be kept: the model
    was asked for a wish to buy or switch, not for the direction."""
    intent = Intent.CHURN_RISK if document["intent"] == Intent.CHURN_RISK else Intent.HOT_LEAD
    score = document["sentiment"]["score"]
    tag = strategic_tag(intent, score, document["competitor"] is not None)
    return {
        **document,
        "intent": intent.value,
        "intent_confidence": confidence,
        "strategic_tag": tag.value,
        "priority": priority(tag, intent, score).value,
        "tier": 3,
        "degraded": False,
        "reasons": [*document["reasons"], "tier3:commercial_intent"],
        "llm": None if llm is None else dict(llm),
    }


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a lead is for; None where the task names nobody."""

    brand: str | None
    monitor_id: str | None
    user_id: str | None


def addressed(lead: Lead, to: Recipients, marks: Document) -> Lead:
    """The lead for those who asked: their ids in it, and who decided. Without a brand its slot is the monitor's."""
    slot = lead.slot if to.brand else f"monitor:{to.monitor_id or ''}{lead.slot}"
    body = {
        **lead.body,
        "brand": to.brand,
        "monitorId": to.monitor_id,
        "userId": to.user_id,
        "degraded": marks["degraded"],
        "reason": marks["reason"],
    }
    return replace(lead, slot=slot, body=body)


def lead_commands(lead: Lead, to: Recipients) -> list[Command]:
    """The queue of the notification worker, and the lists of the brand and of the monitor where there is one."""
    commands = collected(QUEUE_LEADS, [lead.body])
    for key in (
        f"leads:brand:{to.brand}" if to.brand else None,
        f"leads:monitor:{to.monitor_id}" if to.monitor_id else None,
    ):
        if key is not None:
            commands += newest_first(key, [lead.body], most=_LEADS_MAX)
    return commands
