"""From pages that name a brand to a report: judged by a language model, or counted where none can be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..errors import WorkerError
from ..llm.errors import Kind, LLMError
from ..llm.operation import INPUT_TOKENS
from ..llm.texts import PAGE_MAX, fit
from ..llm_adapter import Answer, LLMAdapter
from ..logging import get_logger
from ..models import Analysed, Chunk, Mention
from ..pipeline.normalize import normalise
from ..pipeline.web_passages import excerpt, sentences_naming
from ..pipeline.web_report import Findings, Report, Sentence, counted_report, judged_report, linked_summary

if TYPE_CHECKING:
    from ..llm.operation import Operation
    from ..llm.operations.web import WebInsights, WebScan

log = get_logger(__name__)

_MATERIAL_CHARS: Final = 18_000
"""Of all pages together: some 4,500 tokens of a European language, inside of an operation's budget of 6,000."""
_PAGE_LEAST: Final = 600
"""Characters of a page in a prompt at least; below that a page is a headline."""
_WAIT_MAX_SEC: Final = 60.0
"""Models that rest for longer are not waited for: a report that was counted now is worth more to who asked."""
_SENTENCES_MAX: Final = 200
"""Sentences whose mood is judged locally: some 40 ms of work, and more than anybody reads."""
_THEME_WORDS: Final = 3
"""Words of a phrase; what is longer is no phrase but the text of a page that has none."""


class Local(Protocol):
    """Tiers 1 and 2, as `services.local_analysis.LocalAnalysis` is them."""

    async def analyse(self, mentions: Sequence[Mention], terms: BrandTerms) -> list[Analysed]: ...


class _Question(NamedTuple):
    operation: Operation[WebScan]
    inputs: WebScan
    read: Callable[[str], WebInsights]


class _Named(NamedTuple):
    """Sentences that name the brand: the source of each, its words, and the same as a mention for the analyser."""

    sources: list[int]
    texts: list[str]
    mentions: list[Mention]


class WebInsight:
    """Built once per process."""

    def __init__(self, llm: LLMAdapter, local: Local, cpu: Cpu) -> None:
        self._llm = llm
        self._local = local
        self._cpu = cpu

    async def report(
        self, findings: Findings, terms: BrandTerms, *, task_id: str | None, deadline_sec: float, patient: bool
    ) -> Report:
        """The report on pages that name the brand; there is at least one.

        Args:
            deadline_sec: for the model's answer, all tries included.
            patient: a failure of the models that will pass soon is raised, so that the task can be tried again.

        Raises:
            LLMError: only when `patient`.
            QueueUnavailable: a daily budget is set and Redis, which keeps it, does not answer.
        """
        try:
            return await self._judged(findings, terms, task_id, deadline_sec)
        except LLMError as error:
            if patient and error.retryable and (error.not_before_sec or 0.0) <= _WAIT_MAX_SEC:
                raise
            log.info("a web scan is counted, not judged", brand=findings.brand, problem=error.message)
            return await self._counted(findings, terms, error)

    async def _judged(self, findings: Findings, terms: BrandTerms, task_id: str | None, deadline_sec: float) -> Report:
        if not self._llm.targets:
            raise LLMError(Kind.NO_KEY, "no language model is configured")
        # In a thread: an operation's form takes 0.2 s to load the first time.
        question = await asyncio.to_thread(self._question, findings, terms)
        answer = await self._llm.run(
            question.operation,
            question.inputs,
            question.read,
            brand=findings.brand,
            task_id=task_id,
            deadline_sec=deadline_sec,
        )
        return await self._cpu.run(judged_report, findings, answer.value, _origin(answer))

    def _question(self, findings: Findings, terms: BrandTerms) -> _Question:
        """What a model is asked: about the first pages that fit a prompt, of each the part that speaks of the brand."""
        from ..llm.operations.web import WEB_INSIGHTS, WebScan, grounded

        limit = min(PAGE_MAX, max(_PAGE_LEAST, _MATERIAL_CHARS // len(findings.sources)))
        model = self._llm.targets[0].model
        texts, left_out = fit(
            [excerpt(one.page, terms, limit) for one in findings.sources],
            INPUT_TOKENS,
            lambda text: self._llm.tokens.count(text, model),
            limit=limit,
        )
        return _Question(
            WEB_INSIGHTS,
            WebScan(findings.name, texts, left_out),
            lambda text: linked_summary(findings, grounded(WEB_INSIGHTS.read(text), len(texts))),
        )

    async def _counted(self, findings: Findings, terms: BrandTerms, why: WorkerError) -> Report:
        named = await self._cpu.run(_named, findings, terms)
        analysed = await self._local.analyse(named.mentions, terms)
        sentences = [
            Sentence(source, text, one.verdict.sentiment)
            for source, text, one in zip(named.sources, named.texts, analysed, strict=True)
        ]
        themes = await self._cpu.run(_themes, (findings.name, findings.brand), sentences)
        return await self._cpu.run(counted_report, findings, sentences, themes, why)


def _origin(answer: Answer[Any]) -> dict[str, Any]:
    target = answer.reply.target
    cost = None if answer.cost_usd is None else float(answer.cost_usd)
    return {"provider": target.provider, "model": target.model, "cost_usd": cost}


def _named(findings: Findings, terms: BrandTerms) -> _Named:
    """Each sentence once, though several pages may have it."""
    firsts: dict[str, int] = {}
    for index, source in enumerate(findings.sources):
        for text in sentences_naming(source.page, terms):
            firsts.setdefault(text, index)
    texts = list(firsts)[:_SENTENCES_MAX]
    chunk = Chunk(findings.brand, "web_scan", tuple({"text": text, "source": "web"} for text in texts))
    normal = normalise(chunk, received_at=findings.generated_at, max_chars=PAGE_MAX)
    kept = [texts[index] for index, _ in normal.mentions]
    return _Named([firsts[text] for text in kept], kept, [mention for _, mention in normal.mentions])


def _themes(brands: Sequence[str], sentences: Sequence[Sentence]) -> dict[str, list[int]]:
    """Phrases that the sentences have in common, each with the sources that use it."""
    from ..cluster_labels import labels_of

    if not sentences:
        return {}
    (label,) = labels_of([[one.text for one in sentences]], brands)
    phrases = [one for one in label.split(", ") if len(one.split()) <= _THEME_WORDS]
    places = {
        phrase: sorted({one.source for one in sentences if phrase.lower() in one.text.lower()}) for phrase in phrases
    }
    return {phrase: found for phrase, found in places.items() if found}
