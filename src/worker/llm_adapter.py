"""Many providers, one door: `LLMAdapter` turns an operation and its inputs into a checked answer.

Here: which models there are and in which order, redaction, reuse of answers, the check of an answer's form.
The loop that retries and falls over is `llm_executor`; how providers speak is `llm/wire`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any, Final, Generic, TypeVar

from .config import Settings
from .llm.answers import BadAnswer, repair_messages
from .llm.cache import ResponseCache, SingleFlight, cache_key
from .llm.errors import Kind, LLMError
from .llm.exchange import Attempt, Message, Purpose, Reply, Request, Target
from .llm.operation import Operation
from .llm.policy import Backoff
from .llm.pool import LinePool
from .llm.rate import LocalMeter, Meter, RateLimit, SharedMeter, Unlimited
from .llm.redaction import redact
from .llm.reply import check
from .llm.roster import Roster, configured_targets
from .llm.seams import Answered, Budget, Check, Mending, Money, Question, Recorder, Unfit
from .llm.tokens import TokenCounter
from .llm.view import ProviderState
from .llm_executor import Executor
from .redis_client import RedisClient

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - inputs

GRACE_SEC: Final = 1.0
"""The executor ends a question by itself; whoever asked it gives up this much later, whoever joined in time."""
JOIN_AGAIN_SEC: Final = 1.0
"""With so much time left, a question whose shared call ran out of somebody else's time is asked again."""
LONG_CHARS: Final = 8_000
"""Searching it for personal data takes 2 ms, at worst (nothing but telephone numbers) some 6 ms."""
_REPLY_PROBLEMS: Final = {
    Kind.REFUSED: "refused to answer",
    Kind.TRUNCATED: "the answer was cut off at its limit of tokens",
    Kind.EMPTY: "answered nothing",
}


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """An accepted answer and where it comes from."""

    value: T
    reply: Reply
    attempts: tuple[Attempt, ...] = ()
    reused: str | None = None
    """`cache`, or `flight` for the answer to an equal question that was under way; None: asked for this."""
    cost_usd: Decimal | None = None
    """What this answer has cost us: 0 when reused, None when the price is unknown."""


class LLMAdapter:
    """All models of a deployment. `targets` is empty when no provider is configured: nothing can be asked then."""

    def __init__(
        self,
        settings: Settings,
        *,
        recorder: Recorder,
        money: Money,
        budget: Budget,
        redis: RedisClient | None = None,
        tokens: TokenCounter | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: Random | None = None,
    ) -> None:
        self._settings = settings
        self.targets = configured_targets(settings)
        self.tokens = tokens or TokenCounter()
        self._redis = redis
        self._clock = clock
        self._meters: dict[str, Meter] = {}
        self._pool = LinePool(settings.llm_accounts)
        self._cache = ResponseCache(redis, ttl_sec=settings.llm_cache_ttl_sec)
        self._flights: SingleFlight[Answered[Any]] = SingleFlight()
        self.executor = Executor(
            self._pool,
            meters=self._meter,
            budget=budget,
            money=money,
            tokens=self.tokens,
            recorder=recorder,
            clock=clock,
            now=now,
            rng=rng,
            timeout_sec=settings.llm_timeout_sec,
            max_concurrency=settings.llm_max_concurrency,
            backoff=backoff,
        )
        self._roster = Roster(settings, self.targets, self.executor.health, self.executor.concurrency)

    async def run(
        self,
        operation: Operation[I],
        inputs: I,
        read: Callable[[str], T],
        *,
        brand: str | None = None,
        task_id: str | None = None,
        deadline_sec: float | None = None,
        reuse: bool = True,
    ) -> Answer[T]:
        """Ask for an operation.

        Args:
            read: the answer in a model's text; raises `BadAnswer` for one that cannot be used. Mostly `operation.read`.
            deadline_sec: for everything, all tries at all providers included; LLM_DEADLINE_SEC when None.
            reuse: an answer given before, or under way for somebody else, will do.

        Raises:
            LLMError: nobody could be made to answer; it holds every attempt.
            QueueUnavailable: a budget is set and Redis, which keeps it, does not answer.
        """
        request = await self._prepared(operation.render(inputs))
        deadline = self._clock() + (self._settings.llm_deadline_sec if deadline_sec is None else deadline_sec)
        question = Question(
            request, self._required(), operation.purpose_for(brand, task_id), deadline, _structured(read)
        )
        if not reuse:
            return _asked(await self.executor.ask(question))
        key = cache_key(request, question.targets, operation.prompt_hash)
        kept = await self._kept(key, read)
        return kept if kept is not None else await self._together(key, question)

    async def ask(
        self,
        request: Request,
        *,
        purpose: Purpose,
        deadline: float,
        targets: tuple[Target, ...] | None = None,
        check: Check[T],
    ) -> Answered[T]:
        """One question as it stands: nothing redacted, nothing reused. For those whose subject is the model itself.

        Args:
            deadline: by the adapter's clock (`time.monotonic`).
        """
        asked = targets if targets is not None else self._required()
        return await self.executor.ask(Question(request, asked, purpose, deadline, check))

    async def _kept(self, key: str, read: Callable[[str], T]) -> Answer[T] | None:
        reply = await self._cache.get(key)
        if reply is None:
            return None
        try:
            return Answer(read(reply.text), reply, reused="cache", cost_usd=Decimal(0))
        except BadAnswer:  # kept by a version that accepted more: asked again
            return None

    async def _together(self, key: str, question: Question[T]) -> Answer[T]:
        async def call() -> Answered[Any]:
            answered = await self.executor.ask(question)
            await self._cache.put(key, answered.reply)
            return answered

        while True:
            joining = self._flights.under_way(key)
            left = question.deadline - self._clock()
            try:
                async with asyncio.timeout(max(0.0, left) if joining else left + GRACE_SEC):
                    answered, joined = await self._flights.do(key, call)
            except TimeoutError as error:
                raise LLMError(Kind.TIMEOUT, "an equal question under way was not answered in time") from error
            except LLMError as error:
                ours_lasts = question.deadline - self._clock() > JOIN_AGAIN_SEC
                if joining and ours_lasts and error.kind in (Kind.TIMEOUT, Kind.RESTING):
                    continue  # it was somebody else's time that ran out
                raise
            if joined:
                return Answer(answered.answer, answered.reply, reused="flight", cost_usd=Decimal(0))
            return _asked(answered)

    async def _prepared(self, request: Request) -> Request:
        """Without personal data. Long prompts are searched in a thread: they can take more than a loop may wait."""
        if not self._settings.llm_redact_pii:
            return request
        if sum(len(message.text) for message in request.messages) < LONG_CHARS:
            return _redacted(request)
        return await asyncio.to_thread(_redacted, request)

    def _required(self) -> tuple[Target, ...]:
        if not self.targets:
            raise LLMError(
                Kind.NO_KEY, "no language model is configured: set a key such as GEMINI_API_KEY, or LLM_PROVIDER=ollama"
            )
        return self.targets

    def _meter(self, provider: str) -> Meter:
        meter = self._meters.get(provider)
        if meter is None:
            rates = self._settings.llm_rates(provider)
            limit = RateLimit(rates.requests, rates.tokens)
            if not (limit.requests or limit.tokens):
                meter = Unlimited()
            elif self._redis is None:
                meter = LocalMeter(limit, self._clock)
            else:
                meter = SharedMeter(self._redis, provider, limit, self._clock)
            self._meters[provider] = meter
        return meter

    def resting(self) -> LLMError | None:
        """Why nobody can be asked at this moment; None: somebody can, or nobody is configured."""
        waits = [self.executor.health.state(target) for target in self.targets]
        if not waits or any(one.available for one in waits):
            return None
        first = min(waits, key=lambda one: one.resting_sec)
        return LLMError(
            Kind.RESTING,
            f"all models rest, the first for {first.resting_sec} s: {first.why}",
            retry_after_sec=first.resting_sec,
        )

    def providers(self) -> list[ProviderState]:
        """All nine: those that are used in the order in which they are asked, then those that are left out."""
        return self._roster.states()

    def states(self) -> dict[str, str]:
        """Provider → state, for metrics."""
        return {one["provider"]: one["state"] for one in self.providers()}

    async def close(self) -> None:
        await self._pool.close()


def _redacted(request: Request) -> Request:
    return replace(request, messages=tuple(Message(one.role, redact(one.text)) for one in request.messages))


def _structured(read: Callable[[str], T]) -> Check[T]:
    """The check of an operation's answers: complete, and of the form asked for."""

    def checked(request: Request, reply: Reply) -> T:
        text_of(request, reply)
        try:
            return read(reply.text)
        except BadAnswer as bad:
            again = replace(request, messages=repair_messages(request, reply.text, bad.problems))
            raise Unfit(Mending("the answer does not have the form asked for", again)) from bad

    return checked


def text_of(request: Request, reply: Reply) -> str:
    """The check of free text: complete, not empty, no refusal."""
    kind = check(reply)
    if kind is not None:
        raise LLMError(
            kind, f"{reply.target} {_REPLY_PROBLEMS.get(kind, kind.value)}", target=reply.target, usage=reply.usage
        )
    return reply.text


def _asked(answered: Answered[T]) -> Answer[T]:
    return Answer(answered.answer, answered.reply, answered.attempts, cost_usd=answered.cost_usd)
