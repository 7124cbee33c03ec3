"""From a text to a lead: local verdict, a model's word where one can be had, the slot of its person in MongoDB."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..models import Mention, Task
from ..pipeline.commercial import Finding, Recipients, addressed, by_model, by_rules, heading_here
from ..pipeline.documents import to_document
from ..pipeline.leads import Lead
from ..storage import LEADS, Storage, call
from .advisor import Advice, Advisor, Asked
from .audience import LeadStore
from .local_analysis import LocalAnalysis

if TYPE_CHECKING:
    from ..llm.operations.mentions import Commercial


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One text and whom its lead is for."""

    mention: Mention
    """Its `brand` is the slug, "" where none is known."""
    brand_name: str | None
    to: Recipients


@dataclass(frozen=True, slots=True)
class Outcome:
    """`lead` is there when it is one; `announced`: by this task."""

    finding: Finding
    lead: Lead | None
    announced: bool
    advice: Advice[Any]


class CommercialService:
    """Built once per process."""

    def __init__(
        self, advisor: Advisor, local: LocalAnalysis, storage: Storage, *, clock: Callable[[], datetime]
    ) -> None:
        self._advisor = advisor
        self._local = local
        self._storage = storage
        self._leads = LeadStore(storage)
        self._clock = clock

    async def judge(self, inquiry: Inquiry, task: Task) -> Outcome:
        """
        Raises:
            LLMError: another try of the task may bring a model's word. StorageUnavailable, QueueUnavailable: try again.
        """
        terms = await self._local.terms(inquiry.mention.brand)
        (analysed,) = await self._local.analyse([inquiry.mention], terms)
        document = heading_here(to_document(analysed, owner=f"task:{task.id}", now=self._clock()), terms)
        advice = await self._advisor.ask(lambda: _question(inquiry), brand=inquiry.to.brand, task=task)
        if advice.value is None:
            finding = by_rules(document, terms)
        else:
            finding = by_model(document, terms, advice.value, advice.llm)
        if finding.lead is None:
            return Outcome(finding, None, False, advice)
        lead = addressed(finding.lead, inquiry.to, advice.marks())
        return Outcome(finding, lead, await self._first(lead, task), advice)

    async def _first(self, lead: Lead, task: Task) -> bool:
        """Whether this task holds the slot of the person, kind and week.

        The holder's name is the task's, not the mention's: the chunk that brings the same mention announces it by the
        mention's, so that whoever comes second, chunk or task, finds the slot taken.
        """
        holder = f"task:{task.id}|"
        held = await self._leads.keep([replace(lead, mention_key=holder + task.entry)], now=self._clock())
        if held or not task.replayed:
            return bool(held)
        async with call("read leads"):  # a replay continues the task that had failed, whose entry was another
            query = {"_id": lead.slot, "mention_key": {"$regex": f"^{re.escape(holder)}"}}
            return await self._storage.collection(LEADS).find_one(query, {"_id": 1}) is not None


def _question(inquiry: Inquiry) -> Asked[Commercial]:
    from ..llm.operations.mentions import COMMERCIAL_INTENT, OneMention

    mention = inquiry.mention
    source = None if mention.source == "unknown" else mention.source
    inputs = OneMention(inquiry.brand_name or "(not named)", mention.text, source, mention.competitor)
    return Asked(COMMERCIAL_INTENT, inputs, COMMERCIAL_INTENT.read)
