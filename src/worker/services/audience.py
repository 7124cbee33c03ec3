"""Who speaks about a brand, and what follows for sales: publishing new mentions, leads, influencers, competitors.

Redis holds what neighbours read, MongoDB is the authority. Leads are stored before the chunk is acknowledged, each
under the slot of its person, kind and week; the mention that was first in a slot announces the lead, at every execution
of its chunk, and the queue lets one of them speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, UpdateOne
from pymongo.errors import BulkWriteError
from pymongo.write_concern import WriteConcern

from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..errors import StorageUnavailable
from ..pipeline.leads import Lead, lead_of
from ..pipeline.publication import publication
from ..queue_commands import Command
from ..storage import LEADS, MENTIONS, Document, Page, Storage, call
from .brands import BrandDirectory

_JOURNALED: Final = WriteConcern(w="majority", j=True)
_DUPLICATE_KEY: Final = 11000
_TRIES: Final = 5
"""Two workers that insert one slot at the same moment: one is told "duplicate key" and finds it at the next try."""


class AudienceService:
    """Built once per process."""

    def __init__(
        self, storage: Storage, brands: BrandDirectory, cpu: Cpu, *, clock: Callable[[], datetime], live: bool
    ) -> None:
        """`live`: this worker takes in the platform's live lists, so that the hour buckets are its to write."""
        self._leads = LeadStore(storage)
        self._brands = brands
        self._cpu = cpu
        self._clock = clock
        self._live = live

    async def outputs(
        self, brand: str, documents: Sequence[Document], *, keywords: Sequence[str] = ()
    ) -> tuple[Command, ...]:
        """Store the leads among a chunk's own mentions and say what is to be published with its acknowledgement.

        Raises:
            StorageUnavailable, QueueUnavailable: try again later; nothing was published.
        """
        if not documents:
            return ()
        terms = await self._brands.terms(brand, keywords)
        found = await self._cpu.run(_found, documents, terms)
        announced = await self._leads.keep(found, now=self._clock()) if found else []
        return await self._cpu.run(_commands, brand, documents, [lead.body for lead in announced], self._live)


def _found(documents: Sequence[Document], terms: BrandTerms) -> list[Lead]:
    return [lead for lead in (lead_of(document, terms) for document in documents) if lead is not None]


def _commands(
    brand: str, documents: Sequence[Document], leads: Sequence[Mapping[str, Any]], live: bool
) -> tuple[Command, ...]:
    return tuple(publication(brand, documents, leads, live=live))


@dataclass(frozen=True, slots=True)
class LeadFilter:
    """Which leads are asked for; None leaves a field open."""

    status: str | None = None
    intent: str | None = None
    kind: str | None = None
    min_score: int | None = None
    """Of `leadScore`, 0..100."""
    min_confidence: float | None = None

    def query(self) -> Document:
        wanted: Document = {"status": self.status, "intent": self.intent, "kind": self.kind}
        query = {name: value for name, value in wanted.items() if value is not None}
        if self.min_score is not None:
            query["lead_score"] = {"$gte": self.min_score}
        if self.min_confidence is not None:
            query["confidence"] = {"$gte": self.min_confidence}
        return query


class LeadStore:
    """Leads in MongoDB. `body` is what was published; the fields beside it are what is searched."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def keep(self, leads: Iterable[Lead], *, now: datetime) -> list[Lead]:
        """Store those whose slot is free, and return the ones that hold their slot, also when stored before."""
        firsts: dict[str, Lead] = {}
        latest: dict[str, datetime] = {}
        for lead in sorted(leads, key=lambda one: (one.at, one.mention_key)):
            firsts.setdefault(lead.slot, lead)
            latest[lead.slot] = lead.at
        operations = [
            UpdateOne(
                {"_id": slot}, {"$setOnInsert": _document(lead, now), "$max": {"last_at": latest[slot]}}, upsert=True
            )
            for slot, lead in firsts.items()
        ]
        await self._write(operations)
        async with call("read leads"):
            cursor = self._storage.collection(LEADS).find({"_id": {"$in": list(firsts)}}, {"mention_key": 1})
            holders = {one["_id"]: one["mention_key"] for one in await cursor.to_list(None)}
        return [lead for slot, lead in firsts.items() if holders.get(slot) == lead.mention_key]

    async def _write(self, operations: Sequence[UpdateOne]) -> None:
        collection = self._storage.collection(LEADS).with_options(write_concern=_JOURNALED)
        for _ in range(_TRIES):
            async with call("store leads"):
                try:
                    await collection.bulk_write(list(operations), ordered=False)
                except BulkWriteError as error:
                    problems = error.details.get("writeErrors", [])
                    if not problems or any(one.get("code") != _DUPLICATE_KEY for one in problems):
                        raise
                else:
                    return
        raise StorageUnavailable("store leads: other workers write the same ones all the time")

    async def page(self, brand: str, wanted: LeadFilter, *, limit: int, before: tuple[datetime, str] | None) -> Page:
        """Leads of a brand, newest first by the time of their first mention."""
        query: Document = {"brand": brand, **wanted.query()}
        if before is not None:
            when, key = before
            query["$or"] = [{"at": {"$lt": when}}, {"at": when, "_id": {"$lt": key}}]
        async with call("list leads"):
            cursor = self._storage.collection(LEADS).find(query).sort([("at", DESCENDING), ("_id", DESCENDING)])
            items = await cursor.limit(limit + 1).to_list(limit + 1)
        more, items = len(items) > limit, items[:limit]
        return Page(items, (items[-1]["at"], items[-1]["_id"]) if more else None)


def _document(lead: Lead, now: datetime) -> Document:
    body = dict(lead.body)
    return {
        "brand": body["brand"],
        "mention_key": lead.mention_key,
        "kind": lead.kind.value,
        "at": lead.at,
        "written_at": now,
        "status": body["status"],
        "intent": body["intent"],
        "lead_score": body["leadScore"],
        "confidence": body["confidence"],
        "body": body,
    }


@dataclass(frozen=True, slots=True)
class Span:
    """The time a report covers, from `since` to `until`, both included."""

    since: datetime
    until: datetime


class AudienceView:
    """Competitors and influencers of a brand, counted from its stored mentions."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def span(self, brand: str, *, days: int, now: datetime) -> Span:
        """The last `days` up to the brand's newest mention: a history that was replayed has its own present.

        A mention dated ahead of the clock does not move the present.
        """
        async with call("read the newest mention"):
            newest = await self._storage.collection(MENTIONS).find_one(
                {"brand": brand}, {"created_at": 1}, sort=[("created_at", DESCENDING), ("_id", DESCENDING)]
            )
        until = now if newest is None else min(now, newest["created_at"])
        return Span(until - timedelta(days=days), until)

    async def competitors(self, brand: str, span: Span, *, limit: int) -> list[Document]:
        """`_id` (name), `ids`, `mentions`, `positive`, `neutral`, `negative`, `score` (mean, -1..1), `opportunities`,
        `last`; most mentioned first."""
        labels = ("positive", "neutral", "negative")
        group: Document = {
            "_id": "$competitor",
            "ids": {"$addToSet": "$metadata.competitorId"},
            "mentions": {"$sum": 1},
            **{label: {"$sum": _one_if("$sentiment.label", label)} for label in labels},
            "score": {"$avg": "$sentiment.score"},
            "opportunities": {"$sum": _one_if("$strategic_tag", "OPPORTUNITY_TO_STEAL")},
            "last": {"$max": "$created_at"},
        }
        return await self._counted({**_within(brand, span), "competitor": {"$gt": ""}}, group, "mentions", limit)

    async def influencers(self, brand: str, span: Span, *, limit: int) -> list[Document]:
        """`_id` {source, author in lower case}, `author`, `url`, `followers` and `influence` (most), `influence_sum`,
        `mentions`, `score` (mean, -1..1), `last`. Authors without any influence are not listed."""
        match = {**_within(brand, span), "competitor": None, "author": {"$gt": ""}, "influence_score": {"$gt": 0}}
        group: Document = {
            "_id": {"source": "$source", "author": {"$toLower": {"$ltrim": {"input": "$author", "chars": "@ "}}}},
            "author": {"$max": "$author"},
            "followers": {"$max": "$author_followers"},
            "influence": {"$max": "$influence_score"},
            "influence_sum": {"$sum": "$influence_score"},
            "mentions": {"$sum": 1},
            "score": {"$avg": "$sentiment.score"},
            "last": {"$max": "$created_at"},
        }
        return await self._counted(match, group, "influence", limit)

    async def _counted(self, match: Document, group: Document, by: str, limit: int) -> list[Document]:
        order = {by: DESCENDING, "last": DESCENDING, "_id": ASCENDING}
        return await self._storage.aggregate(
            MENTIONS, [{"$match": match}, {"$group": group}, {"$sort": order}, {"$limit": limit}]
        )


def _within(brand: str, span: Span) -> Document:
    # Times are whole milliseconds: "after the one before". The embedded server leaves the bound of `$gte` itself out
    # where an index is in descending order.
    return {"brand": brand, "created_at": {"$gt": span.since - timedelta(milliseconds=1), "$lte": span.until}}


def _one_if(field: str, value: str) -> Document:
    return {"$cond": [{"$eq": [field, value]}, 1, 0]}
