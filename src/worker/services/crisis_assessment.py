"""One task's opinion on how bad it is: mood and urgency by a model or by the local analysis, kept and told once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .. import strictjson
from ..cpu import Cpu
from ..errors import InvalidTask
from ..logging import get_logger
from ..models import Analysed, Mention, Task
from ..pipeline.announcements import DAY_SEC
from ..pipeline.crisis_assessment import (
    SOURCE,
    Assessment,
    assessment_id,
    event_commands,
    event_document,
    metrics_document,
    once_each,
    voices,
)
from ..queue_commands import Command
from ..redis_client import RedisClient, RedisRefused
from .advisor import Advice, Advisor, Asked
from .local_analysis import LocalAnalysis
from .trade_store import CRISIS_ASSESSMENTS, Origin, TradeStore

if TYPE_CHECKING:
    from ..llm.operations.clusters import Enhanced

log = get_logger(__name__)

_SHOWN_MAX: Final = 60
"""Mentions a model is shown: with 1,500 characters each they still fit the budget of a prompt for most networks, and a
mean over sixty is certain to a tenth of a point."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is to be assessed. `brand` is the slug."""

    mentions: tuple[Mention, ...]
    brand: str | None
    brand_name: str | None
    monitor_id: str | None
    velocity: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """`commands` are empty when nothing is to be told."""

    result: dict[str, Any]
    commands: tuple[Command, ...]


class CrisisAssessments:
    """Built once per process."""

    def __init__(
        self,
        advisor: Advisor,
        local: LocalAnalysis,
        store: TradeStore,
        redis: RedisClient,
        cpu: Cpu,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._advisor = advisor
        self._local = local
        self._store = store
        self._redis = redis
        self._cpu = cpu
        self._clock = clock

    async def assess(self, situation: Situation, task: Task) -> Outcome:
        """
        Raises:
            LLMError: another try of the task may bring a model's word. StorageUnavailable, QueueUnavailable: try again.
        """
        terms = await self._local.terms(situation.brand or "")
        analysed = await self._local.analyse(situation.mentions, terms)
        advice = await self._advisor.ask(lambda: _question(situation, analysed), brand=situation.brand, task=task)
        # Of a thousand long mentions all words are looked at: some 100 ms.
        found = await self._cpu.run(_assessment, situation, analysed, advice)
        day = task.received_at.date().isoformat()
        hashes = [mention.content_hash for mention in situation.mentions]
        event = event_document(
            found,
            identity=assessment_id(situation.brand, situation.monitor_id, hashes, situation.velocity, day),
            brand=situation.brand,
            monitor_id=situation.monitor_id,
            at_ms=task.received_ms,
            marks=advice.marks(),
        )
        first = await self._keep(event, found.is_event, task)
        commands = event_commands(event, situation.brand) if found.is_event and first else []
        commands += await self._metrics(found, situation, task)
        return Outcome(_result(event, found, first), tuple(commands))

    async def _keep(self, event: dict[str, Any], is_event: bool, task: Task) -> bool:
        """Whether this task is the first with this assessment."""
        document = {
            "_id": event["id"],
            "brand": event["brand"],
            "at": task.received_at,
            "event": is_event,
            "body": event,
        }
        kept = await self._store.keep(CRISIS_ASSESSMENTS, [document], Origin.of(task), now=self._clock())
        return bool(kept)

    async def _metrics(self, found: Assessment, situation: Situation, task: Task) -> list[Command]:
        brand = situation.brand
        if brand is None:
            return []
        # The state of a brand is the detector's to tell. A task speaks where nobody has, and over itself, so that its
        # own alarm does not stand for a day after things have calmed down.
        key = f"crisis:metrics:{brand}"
        holder = await self._holder(key)
        body = strictjson.dumps(metrics_document(found, at_ms=task.received_ms))
        if holder is None and found.is_event:
            return [("SET", key, body, "EX", DAY_SEC, "NX")]
        return [("SET", key, body, "EX", DAY_SEC, "XX")] if holder == SOURCE else []

    async def _holder(self, key: str) -> str | None:
        """Who wrote the brand's metrics; None when nobody did."""
        try:
            raw = await self._redis.call("GET", key)
            document = None if raw is None else strictjson.loads(raw)
        except (RedisRefused, InvalidTask) as error:  # of another type, or not JSON: somebody else's
            log.warning("the crisis metrics of a brand cannot be read and are left alone", problem=error.message)
            return "unknown"
        if raw is None:
            return None
        return str(document.get("source") or "detector") if isinstance(document, dict) else "unknown"


def _question(situation: Situation, analysed: Sequence[Analysed]) -> Asked[Enhanced]:
    from ..llm.operations.clusters import ENHANCED_ANALYSIS, Texts
    from ..llm.texts import fit
    from ..llm.tokens import estimate

    texts = [one.mention.text for one in once_each(analysed)]
    shown = evenly(texts, _SHOWN_MAX)
    fitted = fit(shown, ENHANCED_ANALYSIS.input_tokens, lambda text: math.ceil(estimate(text)))
    inputs = Texts(situation.brand_name or "(not named)", fitted.texts, len(texts) - len(fitted.texts))
    return Asked(ENHANCED_ANALYSIS, inputs, ENHANCED_ANALYSIS.read)


def evenly(texts: Sequence[str], most: int) -> list[str]:
    """At most so many, spread over the whole: the head alone would be the oldest, or the angriest."""
    if len(texts) <= most:
        return list(texts)
    return [texts[index * len(texts) // most] for index in range(most)]


def _assessment(situation: Situation, analysed: Sequence[Analysed], advice: Advice[Enhanced]) -> Assessment:
    heard = voices(analysed)
    said = advice.value
    if said is None:
        return Assessment(heard, heard.sentiment, heard.urgency, situation.velocity, "the local analysis")
    note = f"the local analysis says {heard.sentiment:+.2f} and urgency {heard.urgency.value}"
    return Assessment(heard, said.sentiment_score, said.urgency, situation.velocity, "a language model", (note,))


def _result(event: dict[str, Any], found: Assessment, first: bool) -> dict[str, Any]:
    if not found.is_event:
        why = f"risk score {found.risk} is not above 50 and the velocity is not above 3"
    elif first:
        why = "; ".join(found.triggers())
    else:
        why = "these mentions have been assessed today"
    return {
        **event,
        "isEvent": found.is_event,
        "announced": found.is_event and first,
        "why": why,
        "repeats": found.voices.repeats,
    }
