"""The one loop that retries, falls over and waits. Every model call of the worker goes through it.

classify (the line) → record → policy (again, onward, raise) → wait. Everything ends before the question's deadline.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Final, TypeVar

from .llm.concurrency import AdaptiveLimit
from .llm.errors import Kind, LLMError
from .llm.exchange import Attempt, Reply, Request, Target, Usage
from .llm.health import Health, why
from .llm.llm_spans import describe
from .llm.policy import RULES, Backoff
from .llm.progress import Candidate, Progress, Sent
from .llm.rate import Meter
from .llm.seams import Answered, Budget, Hold, Lines, Money, Question, Recorder, TokenCounts, Unfit
from .trace_context import SpanKind
from .tracing import span

T = TypeVar("T")

WORTH_A_TRY_SEC: Final = 0.05
"""With less time left than this no request is sent: it could only be paid for and thrown away."""
SHARE_OF_TIME: Final = 0.5
"""While another target could still be asked, one gets at most this share of the time left: a provider that hangs must
leave room for the next."""
GRACE_SEC: Final = 0.5
"""A line reports its own timeout first; this much later the loop stops waiting for it."""
LONG_CHARS: Final = 20_000
"""Estimating its tokens takes some 5 ms; ten times as much would hold the event loop far over its 20 ms."""
CANCELLED: Final = "cancelled"
"""Outcome of a request that nobody waited for to the end."""
_NEVER_BILLED: Final = frozenset(Kind) - {Kind.TIMEOUT, Kind.UNKNOWN, Kind.MALFORMED, Kind.EMPTY, Kind.TRUNCATED}
"""Refused or never arrived. A request that timed out may be billed: what was set aside for it stays spent."""
RESERVE_FACTOR: Final = 1.3
"""Token estimates are up to that much too low for languages written with Latin letters (measured against o200k)."""


class Executor:
    """State that is shared by all questions of a process: health, limits, lines."""

    def __init__(
        self,
        lines: Lines,
        *,
        meters: Callable[[str], Meter],
        budget: Budget,
        money: Money,
        tokens: TokenCounts,
        recorder: Recorder,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
        timeout_sec: float = 60.0,
        max_concurrency: int = 32,
        backoff: Backoff | None = None,
    ) -> None:
        self.health = Health(clock)
        self._lines = lines
        self._meters = meters
        self._budget = budget
        self._money = money
        self._tokens = tokens
        self._recorder = recorder
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._rng = rng or Random()
        self._timeout_sec = timeout_sec
        self._max_concurrency = max_concurrency
        self._backoff = backoff or Backoff()
        self._limits: dict[str, AdaptiveLimit] = {}

    async def ask(self, question: Question[T]) -> Answered[T]:
        """The first acceptable answer of the question's targets.

        Raises:
            LLMError: no target answered; it holds every attempt and is of the kind of the last failure.
        """
        progress = Progress(
            question, uuid.uuid4().hex, [Candidate(target) for target in question.targets], question.request
        )
        with span(f"ask {question.purpose.operation}") as here:
            while True:
                candidate = await self._next(progress)
                answered = await self._try(progress, candidate)
                if answered is not None:
                    here.set("worker.llm.attempts", len(progress.attempts))
                    return answered

    # -- which target, and when ----------------------------------------------------------------------------------

    async def _next(self, progress: Progress[T]) -> Candidate:
        """The first target that may be asked; waits for the earliest when none may be now."""
        while True:
            now = self._clock()
            left = progress.question.deadline - now
            open_ones = [one for one in progress.candidates if not one.done]
            if not open_ones or left < WORTH_A_TRY_SEC:
                raise progress.final(Kind.TIMEOUT if open_ones else Kind.NO_KEY, "no time is left")
            waits = [(self._free_at(one)[0], index) for index, one in enumerate(open_ones)]
            earliest, index = min(waits)
            if earliest <= now:
                free = [one for (at, _), one in zip(waits, open_ones, strict=True) if at <= now]
                return next((one for one in free if one is progress.repairing), free[0])
            if earliest + WORTH_A_TRY_SEC > progress.question.deadline:
                raise self._resting(progress, open_ones[index], earliest - now)
            # A little later than the others that wait for the same moment, but never too late.
            slack = progress.question.deadline - WORTH_A_TRY_SEC - earliest
            await self._sleep(earliest - now + self._rng.uniform(0.0, min(0.1 * (earliest - now), 0.5 * slack)))

    def _free_at(self, one: Candidate) -> tuple[float, str | None]:
        at, reason = self.health.available_at(one.target)
        return (one.not_before, "backing off") if one.not_before > at else (at, reason)

    def _resting(self, progress: Progress[T], one: Candidate, seconds: float) -> LLMError:
        """Nobody can be asked before the deadline."""
        if progress.last is not None:
            return progress.final(progress.last.kind, "", retry_after_sec=seconds)
        reason = self._free_at(one)[1]
        return progress.final(Kind.RESTING, f"{one.target} rests: {reason}", retry_after_sec=seconds)

    # -- one try -------------------------------------------------------------------------------------------------

    async def _try(self, progress: Progress[T], candidate: Candidate) -> Answered[T] | None:
        """One request to one target. None: it failed, and the candidate knows when it may be asked again."""
        left = progress.question.deadline - self._clock()
        others = any(one is not candidate and not one.done and not one.failures for one in progress.candidates)
        turn = min(self._timeout_sec, left * SHARE_OF_TIME if others else left)
        turn_ends = self._clock() + turn
        limit = self._limit(candidate.target.provider)
        try:
            async with asyncio.timeout(turn):
                await limit.enter()
        except TimeoutError:
            message = f"{candidate.target}: no place among {limit.limit} calls at a time for {turn:.1f} s"
            error = LLMError(Kind.TIMEOUT, message, target=candidate.target)
            self._after(progress, candidate, error)
            return None
        try:
            if self._free_at(candidate)[0] > self._clock():
                return None  # it began to rest while we waited for a place
            with span(f"chat {candidate.target.model}", SpanKind.CLIENT):
                return await self._send(progress, candidate, limit, turn, turn_ends)
        finally:
            limit.leave()

    async def _send(
        self, progress: Progress[T], candidate: Candidate, limit: AdaptiveLimit, turn: float, turn_ends: float
    ) -> Answered[T] | None:
        request, sent = progress.request_for(candidate), Sent(candidate.target, self._now(), self._clock(), turn)
        sent.trial = self.health.begin(candidate.target)
        try:
            reply = await self._bounded(sent, request, turn_ends)
            answer = progress.question.check(request, reply)
        except LLMError as error:
            failure, sent.usage = error, sent.usage or error.usage
        except Unfit as unfit:
            failure = self._unfit(progress, candidate, unfit)
        except BaseException as error:
            self.health.abandoned(candidate.target, trial=sent.trial)
            if sent.time_sec is not None:  # it was on its way and may be billed
                self._note(progress, request, sent, _broken_off(candidate.target, error))
            raise
        else:
            self._note(progress, request, sent, None)
            self.health.succeeded(candidate.target)
            limit.succeeded()
            return Answered(answer, reply, tuple(progress.attempts))
        self._note(progress, request, sent, failure)
        self._keep_health(limit, sent, failure)
        self._after(progress, candidate, failure)
        return None

    async def _bounded(self, sent: Sent, request: Request, turn_ends: float) -> Reply:
        """`_exchange` with an end: opening a line or asking Redis may hang too. The line itself ends first."""
        try:
            async with asyncio.timeout(max(0.0, turn_ends - self._clock()) + GRACE_SEC):
                return await self._exchange(sent, request, turn_ends)
        except TimeoutError as error:
            if sent.reply is not None:
                return sent.reply  # only the books were slow; the budget makes the settlement later
            what = "not even asked in time" if sent.time_sec is None else "its line does not end in time"
            raise LLMError(Kind.TIMEOUT, f"{sent.target}: {what}", target=sent.target) from error

    async def _exchange(self, sent: Sent, request: Request, turn_ends: float) -> Reply:
        """Open the line, take a turn and the money, send, settle."""
        target = sent.target
        line = await self._lines.line(target)
        estimate = int(await self._counted(request, target.model) * RESERVE_FACTOR)
        reserved = estimate + (request.max_tokens or 0)
        meter = self._meters(target.provider)
        turn = await meter.take(reserved, longest_sec=max(0.0, turn_ends - self._clock() - WORTH_A_TRY_SEC))
        if not turn.granted:
            message = f"{target}: our own rate limit is used up for {turn.wait_sec:.1f} s"
            raise LLMError(Kind.RESTING, message, target=target, retry_after_sec=turn.wait_sec)
        hold: Hold | None = None
        billed = False
        try:
            if turn.wait_sec > 0:
                await self._sleep(turn.wait_sec)
            hold = await self._reserve(target, estimate, request.max_tokens)
            billed = True
            sent.time_sec = max(0.0, turn_ends - self._clock())
            sent.reply = reply = await line.call(request, timeout_sec=sent.time_sec)
            sent.usage = reply.usage or self._estimated(request, reply)
            if reply.usage is not None:
                self._tokens.observe(request.messages, target.model, reply.usage.input_tokens)
            return reply
        except LLMError as error:
            sent.usage = error.usage
            billed = billed and error.kind not in _NEVER_BILLED
            raise
        finally:
            await self._settle(sent, meter, reserved, hold, billed=billed)

    async def _counted(self, request: Request, model: str) -> int:
        """Tokens of the prompt. A long one is counted in a thread; the counter remembers it for what follows."""
        if sum(len(message.text) for message in request.messages) < LONG_CHARS:
            return self._tokens.count_messages(request.messages, model)
        return await asyncio.to_thread(self._tokens.count_messages, request.messages, model)

    async def _reserve(self, target: Target, input_tokens: int, max_tokens: int | None) -> Hold | None:
        if not self._budget.limited:
            return None
        most = self._money.ceiling(target, input_tokens, max_tokens)
        if most is None:
            raise LLMError(
                Kind.BUDGET,
                f"{target}: its price is unknown, so the daily budget cannot be kept; name it in LLM_PRICES_FILE",
                target=target,
            )
        return await self._budget.reserve(most)

    async def _settle(self, sent: Sent, meter: Meter, reserved: int, hold: Hold | None, *, billed: bool) -> None:
        """Money first: the budget remembers at once what it is told, whatever breaks this off."""
        used = sent.usage
        cost: Decimal | None = None if billed else Decimal(0)
        if used is not None:
            known = self._money.cost(sent.target, used)
            cost = known[0] if known else None
        try:
            if hold is not None:
                await self._budget.settle(hold, cost)
        finally:
            if used is not None or not billed:
                await meter.settle(reserved, used.input_tokens + used.output_tokens if used else 0)

    def _estimated(self, request: Request, reply: Reply) -> Usage:
        model = reply.target.model
        asked = self._tokens.count_messages(request.messages, model)
        return Usage(asked, self._tokens.count(reply.text, model), estimated=True)

    # -- afterwards ----------------------------------------------------------------------------------------------

    def _unfit(self, progress: Progress[T], candidate: Candidate, unfit: Unfit) -> LLMError:
        """An answer of the wrong form: the same target is asked once to mend it."""
        if not progress.mended:
            progress.mended = progress.repair_due = True
            progress.repairing = candidate
            progress.request = unfit.mending.request
        return LLMError(Kind.MALFORMED, f"{candidate.target}: {unfit.mending.problem}", target=candidate.target)

    def _after(self, progress: Progress[T], candidate: Candidate, error: LLMError) -> None:
        """May the candidate be asked again, and when?"""
        progress.last = error
        failed = candidate.failures.get(error.kind, 0)
        candidate.failures[error.kind] = failed + 1
        if not RULES[error.kind].onward and not self._without_temperature(progress, error):
            for one in progress.candidates:
                one.done = True
            return
        if progress.repairing is candidate:
            if progress.repair_due:
                progress.repair_due = False
                return  # the repair turn, at once
            progress.repairing, progress.request = None, progress.question.request  # whoever is next gets the question
        again = 0 if error.kind is Kind.MALFORMED and progress.mended else self._backoff.tries(error.kind)
        if failed >= again and error.kind not in (Kind.RESTING, Kind.INVALID):
            candidate.done = True
        candidate.not_before = self._clock() + self._backoff.wait(error.kind, failed, error.retry_after_sec, self._rng)

    def _without_temperature(self, progress: Progress[T], error: LLMError) -> bool:
        """Some models take no temperature and say so: the question is asked once more without."""
        if error.rejected_parameter != "temperature" or progress.request.temperature is None:
            return False
        progress.request = replace(progress.request, temperature=None)
        return True

    def _keep_health(self, limit: AdaptiveLimit, sent: Sent, error: LLMError) -> None:
        """What a failed request says about its target, for all questions."""
        if error.kind is Kind.RATE_LIMITED:
            limit.refused()
        rule, target = RULES[error.kind], sent.target
        if sent.reply is not None:
            self.health.succeeded(target)  # it answered, however badly
        elif rule.breaker and not (error.kind is Kind.TIMEOUT and error.status is None and sent.late):
            self.health.failed(target, trial=sent.trial)
        else:
            self.health.abandoned(target, trial=sent.trial)
        asked = error.retry_after_sec if error.kind is not Kind.RESTING else None
        seconds = rule.rest_sec if asked is None else asked
        if seconds > 0:
            self.health.rest(target.provider if rule.whole_provider else target, seconds, why(error.kind))

    def _note(self, progress: Progress[T], request: Request, sent: Sent, failure: LLMError | None) -> None:
        """Record the attempt."""
        priced = self._money.cost(sent.target, sent.usage) if sent.usage is not None else None
        reply = sent.reply
        attempt = Attempt(
            id=uuid.uuid4().hex,
            call_id=progress.call_id,
            number=len(progress.attempts) + 1,
            target=sent.target,
            purpose=progress.question.purpose,
            started_at=sent.started_at,
            seconds=round(self._clock() - sent.began, 4),
            outcome="ok" if failure is None else _outcome(failure),
            status=200 if reply is not None else failure.status if failure is not None else None,
            usage=sent.usage,
            cost_usd=priced[0] if priced else None,
            price=priced[1] if priced else None,
            stop=reply.stop if reply is not None else None,
            served_model=reply.served_model if reply is not None else None,
            repair=len(request.messages) > len(progress.question.request.messages),
            problem=failure.message if failure is not None else None,
        )
        progress.attempts.append(attempt)
        self._recorder.record(attempt)
        describe(attempt, request)

    def concurrency(self, provider: str) -> dict[str, int]:
        """For people: calls that run and that may run at a time."""
        limit = self._limit(provider)
        return {"now": limit.inside, "limit": limit.limit}

    def _limit(self, provider: str) -> AdaptiveLimit:
        limit = self._limits.get(provider)
        if limit is None:
            limit = self._limits[provider] = AdaptiveLimit(self._max_concurrency, self._clock)
        return limit


def _broken_off(target: Target, error: BaseException) -> LLMError:
    failure = LLMError(Kind.UNKNOWN, f"{target}: broken off by {type(error).__name__}", target=target)
    failure.__cause__ = error
    return failure


def _outcome(failure: LLMError) -> str:
    return CANCELLED if isinstance(failure.__cause__, asyncio.CancelledError) else failure.kind.value
