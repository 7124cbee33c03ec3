"""probe: one conversation with one model, every turn with its tokens, stop reason and the model that answered.

No other model ever answers instead. Tries of the same turn are repeated by the LLM layer, inside the deadline. When a
turn fails for good, the error carries the turns that were paid for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..errors import WorkerError
from ..llm.errors import Kind, LLMError
from ..llm.exchange import Purpose, Reply, Request, Stop, Target
from ..llm.providers import PROVIDERS
from .model import Model, Models, WithoutTemperature
from .outcome import details_of
from .plan import Plan, Question
from .transcript import Conversation

Now = Callable[[], datetime]
Started = Callable[[Callable[[], Mapping[str, Any] | None]], None]


class ProbeFailed(WorkerError):
    """A turn could not be had. `details` holds the transcript of those before it, with their tokens and cost."""

    def __init__(self, error: WorkerError, details: Mapping[str, Any]) -> None:
        super().__init__(error.message, not_before_sec=error.not_before_sec)
        self.code = error.code
        self.retryable = error.retryable
        self.counts_attempt = error.counts_attempt
        self.details = dict(details)

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "details": self.details}


async def run_probe(
    plan: Plan,
    models: Models,
    *,
    deadline: float,
    now: Now,
    task_id: str | None = None,
    started: Started = lambda _: None,
) -> dict[str, Any]:
    """The whole document of a probe that went well.

    Args:
        deadline: by `time.monotonic`.
        started: is given a function that tells at any time what has been paid for so far.

    Raises:
        ProbeFailed: a turn failed, or answered nothing.
    """
    conversation = Conversation(plan.model_id, now(), plan.prices, plan.temperature, warnings=list(plan.warnings))
    started(lambda: _paid(conversation, now()))
    purpose = Purpose("probe", task_id=task_id)
    temperature = plan.temperature
    for number, question in enumerate(plan.questions, 1):
        messages = conversation.messages(plan.preamble, question.prompt)
        request = Request(messages, plan.max_tokens, temperature, plan.seed)
        try:
            reply, temperature = await _ask(models(plan.model_id), request, deadline, purpose)
        except WorkerError as error:
            raise ProbeFailed(error, _failed(conversation, number, question, error, now())) from error
        sent = temperature is not None and _takes_temperature(reply.target)
        turn = conversation.add(question, reply, messages, temperature_sent=sent)
        if turn.text:
            continue
        if not turn.refused:
            empty = _empty(plan.model_id, question, reply)
            raise ProbeFailed(empty, _failed(conversation, number, question, empty, now()))
        if number < len(plan.questions):
            # Providers refuse a history with an empty answer in it; a word put into the model's mouth would be a lie.
            conversation.warnings.append(f"turn {number} is a refusal without a word: no follow-up was asked")
            break
    return {"success": True, "transcript": conversation.as_dict(now())}


async def _ask(model: Model, request: Request, deadline: float, purpose: Purpose) -> tuple[Reply, float | None]:
    """The reply, and the temperature that the model accepts."""
    try:
        reply = await model.ask(request, deadline=deadline, purpose=purpose)
        return reply, None if isinstance(reply, WithoutTemperature) else request.temperature
    except LLMError as error:
        if error.rejected_parameter != "temperature" or request.temperature is None:
            raise
    return await model.ask(replace(request, temperature=None), deadline=deadline, purpose=purpose), None


def _takes_temperature(target: Target) -> bool:
    """To some models the LLM layer sends none, whatever the request says."""
    row = PROVIDERS.get(target.provider)
    return row is None or row.takes_temperature(target.model)


def _empty(model_id: str, question: Question, reply: Reply) -> LLMError:
    """No content is an error: a transcript without an answer would pass for one."""
    tokens = "unknown" if reply.usage is None else str(reply.usage.output_tokens)
    limit = ", its limit of tokens was used up before any text" if reply.stop is Stop.LENGTH else ""
    return LLMError(
        Kind.EMPTY,
        f"{model_id} answered nothing to {question.label} (finish reason {reply.stop.value}, "
        f"output tokens {tokens}{limit})",
        target=reply.target,
    )


def _paid(conversation: Conversation, at: datetime) -> dict[str, Any] | None:
    return {"transcript": conversation.as_dict(at)} if conversation.turns else None


def _failed(
    conversation: Conversation, number: int, question: Question, error: WorkerError, at: datetime
) -> dict[str, Any]:
    known = details_of(error)
    details: dict[str, Any] = dict(known) if isinstance(known, dict) else {}
    details |= {"failedTurn": number, "promptLabel": question.label, "transcript": conversation.as_dict(at)}
    usage = getattr(error, "usage", None)
    if usage is not None:  # tokens of failed tries are billed too
        details["failedTokens"] = {"inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens}
    return details
