"""The conversation of a probe while it grows, and the document it becomes. Plain data, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ..llm.exchange import Message, Reply, Role, Stop, Usage
from ..times import iso
from .compat.cost import ModelCost, create_cost_snapshot, estimate_tokens
from .plan import Question
from .redaction import without_surrogates

_TOKENS_PER_MESSAGE: Final = 4
"""What chat formats add around each message; OpenAI's cookbook counts three to four."""
_NOT_SAID: Final = "the provider does not say which model answered"


@dataclass(frozen=True, slots=True)
class Turn:
    number: int
    question: Question
    reply: Reply
    text: str
    usage: Usage
    temperature_sent: bool

    @property
    def refused(self) -> bool:
        return self.reply.stop in (Stop.REFUSED, Stop.FILTERED) or self.reply.refusal is not None

    @property
    def truncated(self) -> bool:
        return self.reply.stop is Stop.LENGTH

    def as_dict(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "turnNumber": self.number,
            "promptLabel": self.question.label,
            "probePrompt": self.question.prompt,
            "targetResponse": self.text,
            "inputTokens": self.usage.input_tokens,
            "outputTokens": self.usage.output_tokens,
            "tokensEstimated": self.usage.estimated,
            "finishReason": self.reply.stop.value,
            "truncated": self.truncated,
            "refused": self.refused,
            "empty": not self.text,
            "servedModel": self.reply.served_model,
            "temperatureSent": self.temperature_sent,
            "durationMs": round(self.reply.seconds * 1000),
        }
        if self.usage.reasoning_tokens:
            out["reasoningTokens"] = self.usage.reasoning_tokens
        return out


@dataclass(slots=True)
class Conversation:
    """Grows by one turn per paid answer; can be read at any moment, also by the thread that ends the process."""

    requested: str
    started_at: datetime
    prices: ModelCost | None
    temperature: float | None = None
    """The one asked for; None: the model's own."""
    turns: list[Turn] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def messages(self, preamble: str | None, prompt: str) -> tuple[Message, ...]:
        """The whole history and the next question."""
        out = [] if preamble is None else [Message(Role.SYSTEM, preamble)]
        for turn in self.turns:
            out += [Message(Role.USER, turn.question.prompt), Message(Role.ASSISTANT, turn.text)]
        return (*out, Message(Role.USER, prompt))

    def add(self, question: Question, reply: Reply, messages: tuple[Message, ...], *, temperature_sent: bool) -> Turn:
        # Half a surrogate pair can be sent to nobody: it would fail every later turn.
        text = without_surrogates(reply.text or (reply.refusal or "").strip())
        usage = reply.usage or _estimate(messages, text)
        turn = Turn(len(self.turns) + 1, question, reply, text, usage, temperature_sent)
        self.turns.append(turn)
        return turn

    def as_dict(self, completed_at: datetime) -> dict[str, Any]:
        """The transcript as the specification shows it, with marks beside."""
        turns = list(self.turns)
        total = sum((turn.usage for turn in turns), Usage(0, 0))
        served = [name for turn in turns if (name := turn.reply.served_model) is not None]
        out: dict[str, Any] = {
            "turns": [turn.as_dict() for turn in turns],
            "totalInputTokens": total.input_tokens,
            "totalOutputTokens": total.output_tokens,
            "tokensEstimated": total.estimated,
            "modelVersion": served[0] if served else None,
            "requestedModel": self.requested,
            "startedAt": iso(self.started_at),
            "completedAt": iso(completed_at),
            "warnings": [*self.warnings, *self._remarks(turns, served)],
        }
        if not served and turns:
            out["modelVersionReason"] = _NOT_SAID
        if total.reasoning_tokens:
            out["totalReasoningTokens"] = total.reasoning_tokens
        if self.prices is not None:
            snapshot = create_cost_snapshot(
                total.input_tokens,
                total.output_tokens,
                self.prices.cost_input_per_million,
                self.prices.cost_output_per_million,
            )
            out["costSnapshot"] = snapshot.to_dict() | {"tokensEstimated": total.estimated}
        return out

    def _remarks(self, turns: list[Turn], served: list[str]) -> list[str]:
        out = []
        for turn in turns:
            marks = [name for name in ("truncated", "refused") if getattr(turn, name)]
            if marks:
                out.append(f"turn {turn.number} ({turn.question.label}) was {' and '.join(marks)}")
        if any(turn.usage.estimated for turn in turns):
            out.append("the provider gave no token counts for every turn; missing ones are estimated")
        if len(set(served)) > 1:
            out.append(f"more than one model answered: {', '.join(dict.fromkeys(served))}")
        if self.temperature is not None and not all(turn.temperature_sent for turn in turns):
            out.append("the model does not take a temperature: it was not sent")
        return out


def _estimate(messages: tuple[Message, ...], answer: str) -> Usage:
    sent = sum(estimate_tokens(message.text) + _TOKENS_PER_MESSAGE for message in messages)
    return Usage(sent, estimate_tokens(answer), estimated=True)
