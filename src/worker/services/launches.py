"""Launches of a brand and of its competitors: asked about once, kept one per product, looked for once a day."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pymongo import UpdateOne

from .. import strictjson
from ..cpu import Cpu
from ..keys import STREAMS
from ..models import Task, TaskPriority
from ..pipeline.announcements import DAY_SEC
from ..pipeline.launches import (
    Finding,
    LaunchKind,
    Signs,
    Source,
    Subject,
    by_model,
    by_rules,
    launch_body,
    launch_key,
    signs,
)
from ..queue_commands import Command
from ..redis_client import RedisClient
from ..storage import Document
from ..times import iso
from ..trace_context import outgoing
from .advisor import Advice, Advisor, Asked
from .trade_store import LAUNCHES, Origin, TradeStore

if TYPE_CHECKING:
    from ..llm.operations.mentions import Launch

_SEEN_MAX: Final = 200
"""Texts by which a launch knows what it has counted; a launch that more people tell of needs no count."""
_TEXT_MAX: Final = 5_000
"""Characters of a text in a task: as many as the analysis reads, three times what a model is shown."""
_PATTERN_ONLY: Final[Advice[Any]] = Advice(None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`body` is the prediction, also of what is no launch."""

    finding: Finding
    signs: Signs
    body: dict[str, Any]


class LaunchService:
    """Built once per process."""

    def __init__(self, advisor: Advisor, store: TradeStore, cpu: Cpu, *, clock: Callable[[], datetime]) -> None:
        self._advisor = advisor
        self._store = store
        self._cpu = cpu
        self._clock = clock

    async def detect(self, subject: Subject, told: Source, task: Task) -> Outcome:
        """
        Raises:
            LLMError: another try of the task may bring a model's word. StorageUnavailable: try again.
        """
        found = await self._cpu.run(signs, told.text)
        if not found.words:  # nothing to ask about, and nothing missing
            marks = {**_PATTERN_ONLY.marks(), "degraded": False, "tier": 1}
            finding = by_rules(found)
            body = launch_body(subject, finding, told, detected_at=task.received_at, marks=marks)
            return Outcome(finding, found, body)
        advice = await self._advisor.ask(lambda: _question(subject, told), brand=subject.brand, task=task)
        finding = by_rules(found) if advice.value is None else _judged(advice.value, told.text)
        body = launch_body(subject, finding, told, detected_at=task.received_at, marks=advice.marks())
        if finding.is_launch:
            await self._keep(subject, finding, told, body, task)
        return Outcome(finding, found, body)

    async def _keep(self, subject: Subject, finding: Finding, told: Source, body: dict[str, Any], task: Task) -> None:
        """One per product and kind: the latest prediction, how many texts tell of it. What was judged by nobody is kept
        only where there is nothing better."""
        at = task.received_at
        key = launch_key(subject, finding, at.date().isoformat())
        new: Document = {
            "brand": subject.brand,
            "kind": subject.kind.value,
            "competitor": subject.competitor,
            "product": finding.product,
            "first_at": at,
            **Origin.of(task).fields(),
        }
        change: Document = {"$setOnInsert": new, "$max": {"at": at}, "$set": {"written_at": self._clock()}}
        change["$setOnInsert" if body["degraded"] else "$set"]["body"] = body
        digest = told.content_hash
        counted: Document = {"$inc": {"mentions": 1}, "$push": {"seen": {"$each": [digest], "$slice": -_SEEN_MAX}}}
        await self._store.write(
            LAUNCHES,
            [UpdateOne({"_id": key}, change, upsert=True), UpdateOne({"_id": key, "seen": {"$ne": digest}}, counted)],
        )


def _question(subject: Subject, told: Source) -> Asked[Launch]:
    from ..llm.operations.mentions import LAUNCH_DETECTION, OneMention

    rival = (subject.competitor or "a competitor of the brand") if subject.is_competitor else None
    source = None if told.source == "unknown" else told.source
    return Asked(LAUNCH_DETECTION, OneMention(subject.brand_name, told.text, source, rival), LAUNCH_DETECTION.read)


def _judged(said: Launch, text: str) -> Finding:
    from ..llm.operations.mentions import reception_of

    return by_model(said, text, reception_of(said.success_score).value)


class LaunchScout:
    """Looks for launches among new mentions: at most one question per brand, competitor and day (UTC).

    The first chunk that finds a candidate takes the day, in Redis and before it is acknowledged; an execution that is
    repeated finds its own name there and asks for the same again. Whether it is a launch is another task's business.
    """

    def __init__(
        self, redis: RedisClient, cpu: Cpu, *, available: Callable[[], bool], clock: Callable[[], datetime]
    ) -> None:
        """`available`: whether there is a model to ask. Patterns alone are no reason to announce anything by itself."""
        self._redis = redis
        self._cpu = cpu
        self._available = available
        self._clock = clock

    async def outputs(self, brand: str, documents: Sequence[Document], task: Task) -> tuple[Command, ...]:
        """The tasks to be enqueued when the chunk of these stored mentions is acknowledged.

        Raises:
            QueueUnavailable: try again later.
        """
        if not documents or not self._available():
            return ()
        found = await self._cpu.run(candidates, documents)
        if not found:
            return ()
        day, owner = self._clock().date().isoformat(), f"{task.id}|{task.entry}"
        commands: list[Command] = []
        for rival, document in found.items():
            key = scout_key(brand, rival, day)
            await self._redis.call("SET", key, owner, "EX", DAY_SEC, "NX")
            if await self._redis.call("GET", key) == owner.encode():
                commands.append(_enqueue(brand, document, key))
        return tuple(commands)


def scout_key(brand: str, rival: str | None, day: str) -> str:
    """Who has taken the day; the day is in the name, so that a key's age never decides."""
    digest = hashlib.sha256((rival or "").casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"worker:launch:{brand}:{digest if rival else 'own'}:{day}"


def candidates(documents: Sequence[Mapping[str, Any]]) -> dict[str | None, Mapping[str, Any]]:
    """Per competitor (None: the brand itself) the mention that tells of a launch most plainly, if any does.

    Only mentions that name what they are about: "it shipped" may be anybody's parcel. Of equals the first wins.
    """
    best: dict[str | None, tuple[int, Mapping[str, Any]]] = {}
    for document in documents:
        reasons = document["reasons"]
        if not document["relevant"] or "relevance:named" not in reasons:
            continue
        if "flag:launch" not in reasons and document["tier"] < 3:  # tier 3's verdicts do not carry flags
            continue
        seen = signs(document["text"])
        rival = document["competitor"]
        if seen.strong and seen.words and (rival not in best or len(seen.words) > best[rival][0]):
            best[rival] = (len(seen.words), document)
    return {rival: document for rival, (_, document) in best.items()}


def _enqueue(brand: str, document: Mapping[str, Any], key: str) -> Command:
    rival = document["competitor"]
    task = {
        "type": "detect_launch",
        "brand": brand,
        "priority": TaskPriority.LOW.value,
        "dedupKey": key,
        "text": document["text"][:_TEXT_MAX],
        "source": document["source"],
        "mentionId": document["id"],
        "url": document["url"],
        "createdAt": iso(document["created_at"]),
        "isCompetitor": rival is not None,
        "competitor": rival,
        **outgoing(),
    }
    return ("XADD", STREAMS[TaskPriority.LOW], "*", "task", strictjson.dumps(task))


class LaunchView:
    """Launches of a brand as they were kept."""

    def __init__(self, store: TradeStore) -> None:
        self._store = store

    async def latest(self, brand: str, kind: LaunchKind, *, since: datetime) -> Document | None:
        """The launch that was told of last."""
        page = await self._store.page(LAUNCHES, {"brand": brand, "kind": kind.value, "at": {"$gte": since}}, limit=1)
        return page.items[0] if page.items else None
