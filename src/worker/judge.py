"""Tier 3: a language model's verdicts on mentions, several per question, kept by what was judged."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import strictjson
from .errors import InvalidTask, QueueUnavailable, WorkerError
from .llm_adapter import Answer, LLMAdapter
from .logging import get_logger
from .models import Intent, Mention, Sentiment, SentimentLabel, StrategicTag, Urgency
from .redis_client import RedisClient

if TYPE_CHECKING:
    from .llm.operations.judge import Judgement

log = get_logger(__name__)

TOGETHER: Final = 10
"""Mentions in one question: the rules of the prompt are paid for once per question, and an answer of the wrong form
costs as many again. Beyond ten the share of the rules is below a fifth."""
_KEY: Final = "worker:llm:verdict:"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """What tier 3 says of one mention. Priority and tags that follow from it are the analyser's to derive."""

    relevant: bool
    sentiment: Sentiment
    intent: Intent
    intent_confidence: float
    strategic_tag: StrategicTag
    emotions: Mapping[str, float]
    urgency: Urgency
    is_sarcastic: bool
    topics: tuple[str, ...]
    lead_score: int
    provider: str
    model: str
    cost_usd: float | None
    """This mention's share of what the question cost; 0 when the verdict was kept from before, None when unknown."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """Verdicts by `content_hash`. Those that are missing could not be had, for `problem`."""

    verdicts: Mapping[str, Judged]
    problem: WorkerError | None = None


class MentionJudge:
    """Asks tier 3. `available` is False when no provider is configured."""

    def __init__(self, llm: LLMAdapter, redis: RedisClient | None, *, keep_sec: int) -> None:
        self._llm = llm
        self._redis = redis if keep_sec > 0 else None
        self._keep_sec = keep_sec

    @property
    def available(self) -> bool:
        return bool(self._llm.targets)

    async def judge(
        self, mentions: Sequence[Mention], *, brand: str, deadline_sec: float | None = None, task_id: str | None = None
    ) -> Judgements:
        """Judge mentions of one brand. Never raises for what models do: who got no verdict is missing.

        Waits for answers, never for a model that rests: mentions keep coming, and tier 2 has judged them already.
        """
        if not mentions:
            return Judgements({})
        operation = await asyncio.to_thread(_operation)  # its form takes long to build the first time
        salt = f"{_FORMAT}|{operation.prompt_hash}|{','.join(map(str, self._llm.targets))}"
        keys = {mention.content_hash: _key(salt, brand, mention) for mention in mentions}
        known = await self._kept(keys)
        missing = [mention for mention in mentions if mention.content_hash not in known]
        resting = self._llm.resting()
        if missing and resting is not None:
            return Judgements(known, resting)
        batches = _batches(missing)
        outcomes = await asyncio.gather(
            *(self._ask(batch, brand, deadline_sec, task_id) for batch in batches), return_exceptions=True
        )
        fresh: dict[str, Judged] = {}
        problem: WorkerError | None = None
        for outcome in outcomes:
            if isinstance(outcome, WorkerError):
                problem = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                fresh |= outcome
        await self._keep({keys[digest]: one for digest, one in fresh.items()})
        return Judgements({**known, **fresh}, problem)

    async def _ask(
        self, batch: Sequence[Mention], brand: str, deadline_sec: float | None, task_id: str | None
    ) -> dict[str, Judged]:
        from .llm.operations.judge import JUDGE_MENTIONS, Judging, complete

        answer = await self._llm.run(
            JUDGE_MENTIONS,
            Judging(brand, tuple(mention.text for mention in batch), batch[0].competitor),
            lambda text: complete(JUDGE_MENTIONS.read(text), len(batch)),
            brand=brand,
            task_id=task_id,
            deadline_sec=deadline_sec,
            reuse=False,  # verdicts are kept one by one
        )
        share = None if answer.cost_usd is None else float(answer.cost_usd) / len(batch)
        return {
            mention.content_hash: _judged(one, answer, share) for mention, one in zip(batch, answer.value, strict=True)
        }

    async def _kept(self, keys: Mapping[str, str]) -> dict[str, Judged]:
        if self._redis is None:
            return {}
        try:
            found = await self._redis.call("MGET", *keys.values())
        except QueueUnavailable as error:
            log.warning("kept verdicts cannot be read", problem=error.message)
            return {}
        read = ((digest, _from_json(raw)) for digest, raw in zip(keys, found, strict=True) if raw is not None)
        return {digest: one for digest, one in read if one is not None}

    async def _keep(self, verdicts: Mapping[str, Judged]) -> None:
        if self._redis is None or not verdicts:
            return
        try:
            await self._redis.batch(
                [("SET", key, strictjson.dumps(_to_json(one)), "EX", self._keep_sec) for key, one in verdicts.items()]
            )
        except QueueUnavailable as error:
            log.warning("verdicts cannot be kept", problem=error.message)


def _operation() -> Any:
    from .llm.operations.judge import JUDGE_MENTIONS

    return JUDGE_MENTIONS


def _key(salt: str, brand: str, mention: Mention) -> str:
    judged = f"{salt}|{brand}|{mention.competitor or ''}|{mention.canonical}"
    return _KEY + hashlib.sha256(judged.encode("utf-8", "replace")).hexdigest()


def _batches(mentions: Sequence[Mention]) -> list[list[Mention]]:
    """As few questions as possible; one question is about one subject (the brand, or one competitor)."""
    subjects: dict[str | None, list[Mention]] = {}
    for mention in mentions:
        subjects.setdefault(mention.competitor, []).append(mention)
    return [group[at : at + TOGETHER] for group in subjects.values() for at in range(0, len(group), TOGETHER)]


def _judged(one: Judgement, answer: Answer[Any], share: float | None) -> Judged:
    return Judged(
        relevant=one.relevant,
        sentiment=Sentiment(one.sentiment.label, one.sentiment.score),
        intent=one.intent,
        intent_confidence=one.intent_confidence,
        strategic_tag=one.strategic_tag,
        emotions=one.emotions.model_dump(),
        urgency=one.urgency,
        is_sarcastic=one.is_sarcastic,
        topics=tuple(str(topic) for topic in one.topics),
        lead_score=one.lead_score,
        provider=answer.reply.target.provider,
        model=answer.reply.target.model,
        cost_usd=share,
    )


def _to_json(one: Judged) -> dict[str, Any]:
    return {
        "relevant": one.relevant,
        "sentiment": [one.sentiment.label.value, one.sentiment.score],
        "intent": one.intent.value,
        "intent_confidence": one.intent_confidence,
        "strategic_tag": one.strategic_tag.value,
        "emotions": dict(one.emotions),
        "urgency": one.urgency.value,
        "is_sarcastic": one.is_sarcastic,
        "topics": list(one.topics),
        "lead_score": one.lead_score,
        "provider": one.provider,
        "model": one.model,
    }


def _from_json(raw: bytes) -> Judged | None:
    try:
        one = strictjson.loads(raw)
        return Judged(
            relevant=bool(one["relevant"]),
            sentiment=Sentiment(SentimentLabel(one["sentiment"][0]), float(one["sentiment"][1])),
            intent=Intent(one["intent"]),
            intent_confidence=float(one["intent_confidence"]),
            strategic_tag=StrategicTag(one["strategic_tag"]),
            emotions={str(name): float(value) for name, value in one["emotions"].items()},
            urgency=Urgency(one["urgency"]),
            is_sarcastic=bool(one["is_sarcastic"]),
            topics=tuple(str(topic) for topic in one["topics"]),
            lead_score=int(one["lead_score"]),
            provider=str(one["provider"]),
            model=str(one["model"]),
            cost_usd=0.0,
        )
    except (InvalidTask, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        log.warning("a kept verdict cannot be read and is ignored", problem=f"{type(error).__name__}: {error}")
        return None
