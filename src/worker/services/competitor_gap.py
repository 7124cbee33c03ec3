"""Complaints about a competitor: found in mentions, kept once each, and added up into weaknesses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ..cpu import Cpu
from ..models import Analysed, Mention, Task
from ..pipeline.complaints import (
    Complaint,
    Rival,
    Tally,
    by_rules,
    complaint_body,
    complaint_key,
    counts,
)
from ..pipeline.grounding import linkless
from ..storage import Document, Storage
from .advisor import LOCAL_TIER, Advice, Advisor, Asked
from .local_analysis import LocalAnalysis
from .trade_store import COMPLAINTS, Origin, TradeStore

if TYPE_CHECKING:
    from ..llm.operations.mentions import Complaint as Answered

_TOGETHER: Final = 10
"""Texts in one question, as many as the operation takes."""
_ISSUES_READ: Final = 500
"""Different issues that are looked at for the most frequent ones; many are said once."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What was found. `fresh` are the bodies that this task stored and is to announce."""

    complaints: tuple[dict[str, Any], ...]
    fresh: tuple[dict[str, Any], ...]
    marks: Mapping[str, Any]


class CompetitorGaps:
    """Built once per process."""

    def __init__(
        self,
        advisor: Advisor,
        local: LocalAnalysis,
        store: TradeStore,
        cpu: Cpu,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._advisor = advisor
        self._local = local
        self._store = store
        self._cpu = cpu
        self._clock = clock

    async def find(self, mentions: Sequence[Mention], rival: Rival, task: Task) -> Gap:
        """What a rival's customers complain about, counted, with what could be made of it.

        Raises:
            LLMError: another try of the task may bring a model's word (what was answered is kept).
            StorageUnavailable, QueueUnavailable: try again.
        """
        parts = [mentions[start : start + _TOGETHER] for start in range(0, len(mentions), _TOGETHER)]
        asked = [self._advisor.ask(_asking(part, rival), brand=rival.brand, task=task) for part in parts]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        advice: list[Advice[tuple[Answered, ...]]] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            advice.append(outcome)
        found: list[Complaint] = []
        for part, said in zip(parts, advice, strict=True):
            found += await self._by_rules(part, rival) if said.value is None else _by_model(part, said.value)
        bodies = {complaint_key(rival, one.mention): complaint_body(one, rival) for one in found}
        documents = [_document(key, body, rival, task) for key, body in bodies.items()]
        mine = await self._store.keep(COMPLAINTS, documents, Origin.of(task), now=self._clock())
        fresh = tuple(body for key, body in bodies.items() if key in mine)
        return Gap(tuple(bodies.values()), fresh, _marks(advice))

    async def _by_rules(self, mentions: Sequence[Mention], rival: Rival) -> list[Complaint]:
        terms = await self._local.terms(rival.brand or "")
        analysed = await self._local.analyse(mentions, terms)
        return await self._cpu.run(_complaints, analysed)


def _complaints(analysed: Sequence[Analysed]) -> list[Complaint]:
    return [found for one in analysed if (found := by_rules(one)) is not None]


def _by_model(mentions: Sequence[Mention], answers: Sequence[Answered]) -> list[Complaint]:
    return [
        # In the model's own words, so that it cannot be looked up; a link that nobody posted can be seen.
        Complaint(mention, str(said.category), linkless(said.specific_issue, [mention.text]), said.pain_level, 3)
        for mention, said in zip(mentions, answers, strict=True)
        if counts(str(said.category), said.pain_level)
    ]


def _asking(part: Sequence[Mention], rival: Rival) -> Callable[[], Asked[tuple[Answered, ...]]]:
    def question() -> Asked[tuple[Answered, ...]]:
        from ..llm.operations.mentions import COMPETITOR_COMPLAINTS, CompetitorTexts, each_complaint

        inputs = CompetitorTexts(rival.name, tuple(mention.text for mention in part))
        return Asked(
            COMPETITOR_COMPLAINTS, inputs, lambda text: each_complaint(COMPETITOR_COMPLAINTS.read(text), len(part))
        )

    return question


def _marks(advice: Sequence[Advice[Any]]) -> dict[str, Any]:
    """Of all questions together: degraded where one was not answered; costs add up where all are known."""
    missing = [one.reason for one in advice if one.value is None]
    said = [one.llm for one in advice if one.llm is not None]
    costs = [one["cost_usd"] for one in said]
    llm = None
    if said:
        llm = {**said[0], "cost_usd": None if None in costs else sum(costs), "questions": len(said)}
    tier = 3 if said else LOCAL_TIER
    return {"degraded": bool(missing), "reason": missing[0] if missing else None, "tier": tier, "llm": llm}


def _document(key: str, body: dict[str, Any], rival: Rival, task: Task) -> Document:
    return {
        "_id": key,
        "competitor_id": rival.id,
        "competitor_name": rival.name,
        "brand": rival.brand,
        "category": body["category"],
        "pain": body["painLevel"],
        "issue": body["specificIssue"],
        "at": task.received_at,
        "body": body,
    }


class WeaknessView:
    """Complaints of a competitor, added up."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def tallies(self, competitor_id: str, *, brand: str | None, since: datetime) -> list[Tally]:
        """By category, over what was found since then; `brand`: only what that brand has found."""
        match: Document = {"competitor_id": competitor_id, "at": {"$gte": since}}
        if brand is not None:
            match["brand"] = brand
        sums: Document = {"count": {"$sum": 1}, "pain": {"$avg": "$pain"}}
        categories = await self._storage.aggregate(
            COMPLAINTS, [{"$match": match}, {"$group": {"_id": "$category", **sums}}]
        )
        issues = await self._storage.aggregate(
            COMPLAINTS,
            [
                {"$match": {**match, "issue": {"$gt": ""}}},
                {
                    "$group": {
                        "_id": {"category": "$category", "issue": {"$toLower": "$issue"}},
                        "said": {"$min": "$issue"},
                        **sums,
                    }
                },
                {"$sort": {"count": -1, "pain": -1, "_id": 1}},
                {"$limit": _ISSUES_READ},
            ],
        )
        return [
            Tally(
                row["_id"],
                row["count"],
                float(row["pain"]),
                tuple((one["said"], one["count"]) for one in issues if one["_id"]["category"] == row["_id"]),
            )
            for row in categories
        ]
