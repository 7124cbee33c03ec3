"""Tier 3 about competitors. What it says is held against the evidence: a name that was not shown is not taken.

Mention texts and pages are strangers' words. A model that obeys them could at most confirm a name that stands in them;
so a name that no pattern found is taken only when people of two accounts wrote it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ..brand_terms import BrandTerms
from ..competitor_discovery import Candidate
from ..competitor_findings import (
    AUTHORS_MIN,
    CONFIRM_MIN,
    Finding,
    Grade,
    Rule,
    Source,
    confirmed,
    counted,
    remembered,
)
from ..competitor_names import NAME_CHARS, name_key
from ..cpu import Cpu
from ..llm.errors import LLMError
from ..llm.texts import PAGE_MAX, fit
from ..llm.tokens import estimate
from ..llm_adapter import LLMAdapter
from ..pipeline.grounding import foreign_links, linkless
from ..web.seams import WebPage

if TYPE_CHECKING:
    from ..llm.operations.competitors import (
        MentionedCompetitor,
        MentionedCompetitors,
        SuggestedCompetitors,
        WebCompetitors,
    )

ASKED_MAX: Final = 20
"""Names in one question: as many as its answer may hold."""
CONTEXTS_SHOWN: Final = 3
"""Posts shown per name: more of the same say little more."""
ANSWER_SEC: Final = 60.0
"""Longest for one question, whatever LLM_DEADLINE_SEC allows others: somebody polls for the result."""
_UNSAID: Final = "The model's reason is left out: it gives a link that it was not shown."


@dataclass(frozen=True, slots=True)
class Subject:
    """The brand a question is about."""

    brand: str
    """Slug, for records."""
    name: str
    task_id: str


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one question. `problem`: nobody could be made to answer."""

    findings: tuple[Finding, ...] = ()
    refused: int = 0
    """Names in the answer that do not stand in what was shown."""
    problem: LLMError | None = None


class CompetitorQuestions:
    """`available` is False when no provider is configured."""

    def __init__(self, llm: LLMAdapter, cpu: Cpu) -> None:
        self._llm = llm
        self._cpu = cpu

    @property
    def available(self) -> bool:
        return bool(self._llm.targets)

    async def confirm(self, subject: Subject, candidates: Sequence[Candidate]) -> Said:
        """Which of the names found in mentions compete; those of which nothing is said come back as counted."""
        asked = candidates[:ASKED_MAX]
        if not asked:
            return Said()
        forms = await asyncio.to_thread(_operations)
        texts, left_out = await self._cpu.run(_shown, asked, forms.COMPETITOR_MENTIONS.input_tokens)
        inputs = forms.NamedInMentions(subject.name, texts, tuple(one.name for one in asked), left_out)
        answer = await self._asked(forms.COMPETITOR_MENTIONS, inputs, subject)
        if isinstance(answer, LLMError):
            return Said(tuple(counted(one) for one in candidates), problem=answer)
        return await self._cpu.run(_weighed, answer, candidates, texts)

    async def from_pages(self, subject: Subject, pages: Sequence[WebPage]) -> Said:
        """Who competes by the word of pages that were read."""
        if not pages:
            return Said()
        forms = await asyncio.to_thread(_operations)
        shown = tuple(page.text[:PAGE_MAX] for page in pages)
        answer = await self._asked(forms.COMPETITOR_WEB_ANALYSIS, forms.Pages(subject.name, shown), subject)
        if isinstance(answer, LLMError):
            return Said(problem=answer)
        read = [replace(page, text=text) for page, text in zip(pages, shown, strict=True)]
        return await self._cpu.run(_on_pages, answer, read)

    async def from_memory(self, subject: Subject, description: str | None, keywords: Sequence[str]) -> Said:
        """Who competes as far as a model remembers. Nothing checks it, and it says so."""
        forms = await asyncio.to_thread(_operations)
        profile = forms.BrandProfile(subject.name, description, tuple(keywords))
        answer: SuggestedCompetitors | LLMError = await self._asked(forms.COMPETITOR_DETECTION, profile, subject)
        if isinstance(answer, LLMError):
            return Said(problem=answer)
        found = (
            remembered(
                one.name,
                keywords=one.keywords,
                products=one.products,
                confidence=one.confidence,
                reason=linkless(one.reason, [one.name]) or _UNSAID,
            )
            for one in answer.competitors
        )
        return Said(tuple(one for one in found if one is not None))

    async def _asked(self, operation: Any, inputs: Any, subject: Subject) -> Any:
        try:
            answer = await self._llm.run(
                operation,
                inputs,
                operation.read,
                brand=subject.brand,
                task_id=subject.task_id,
                deadline_sec=ANSWER_SEC,
            )
        except LLMError as error:
            return error
        return answer.value


def _operations() -> ModuleType:
    """The questions; their forms take long to build the first time, so never on the event loop."""
    from ..llm.operations import competitors

    return competitors


def _shown(candidates: Sequence[Candidate], budget_tokens: int) -> tuple[tuple[str, ...], int]:
    """The posts in which the names stand, each once: the first of every name before the second of any."""
    order: dict[str, None] = {}
    for place in range(CONTEXTS_SHOWN):
        for one in candidates:
            if place < len(one.contexts):
                order[one.contexts[place].text] = None
    fitted = fit(list(order), budget_tokens, lambda text: math.ceil(estimate(text)))
    return fitted.texts, fitted.left_out


def stands_in(name: str, text: str) -> bool:
    """Whether a text holds a name as whole words, however spaced, joined or cased."""
    return BrandTerms.build(name).names(text)


def _weighed(answer: MentionedCompetitors, candidates: Sequence[Candidate], texts: Sequence[str]) -> Said:
    """The answer held against what was shown."""
    by_key = {one.key: one for one in candidates}
    out = {one.key: counted(one) for one in candidates}
    refused = 0
    for one in answer.competitors:
        key = name_key(one.name)
        candidate = by_key.get(key)
        if candidate is None:
            stray = _stray(one.name, key, candidates, texts) if one.is_competitor else None
            refused += stray is None
            if stray is not None and one.confidence >= CONFIRM_MIN:
                out[key] = confirmed(stray, reason=_context(one, texts), confidence=one.confidence)
        elif one.confidence >= CONFIRM_MIN and one.is_competitor:
            out[key] = confirmed(out[key], reason=_context(one, texts), confidence=one.confidence)
        elif one.confidence >= CONFIRM_MIN and not candidate.tracked:
            relationship = linkless(one.relationship, texts) or _UNSAID
            reason = f"A model that read the mentions sees no competitor in it: {relationship}"
            out[key] = replace(out[key], competes=False, reason=reason)
    return Said(tuple(out.values()), refused)


def _context(one: MentionedCompetitor, texts: Sequence[str]) -> str:
    return linkless(one.mentioned_context, [*texts, one.name]) or _UNSAID


def _stray(name: str, key: str, candidates: Sequence[Candidate], texts: Sequence[str]) -> Finding | None:
    """A name that no pattern found, if it stands in posts of several accounts that were shown; else None."""
    shown = set(texts)
    where: dict[str, str] = {}
    for candidate in candidates:
        for context in candidate.contexts:
            if context.text in shown and stands_in(name, context.text):
                where[context.mention] = context.author
    authors = set(where.values())
    if not key or len(authors) < AUTHORS_MIN:
        return None
    return Finding(
        key=key,
        name=name.strip()[:NAME_CHARS],
        grade=Grade.COUNTED,
        source=Source.MENTIONS,
        confidence=None,
        rule=None,
        reason="",
        keywords=(name.strip()[:NAME_CHARS],),
        mentions=tuple(where),
        authors=len(authors),
    )


def _on_pages(answer: WebCompetitors, pages: Sequence[WebPage]) -> Said:
    """Names that stand in a page, each with the pages it stands in."""
    found: list[Finding] = []
    refused = 0
    texts = [text for page in pages for text in (page.text, page.final_url)]
    for one in answer.competitors:
        urls = [page.final_url for page in pages if stands_in(one.name, page.text)]
        if not urls or not name_key(one.name):
            refused += 1
            continue
        if one.confidence < CONFIRM_MIN:
            continue
        said = [*(f"for it: {text}" for text in one.strengths), *(f"against it: {text}" for text in one.weaknesses)]
        said = [text for text in said if not foreign_links(text, [*texts, one.name])]
        found.append(
            Finding(
                key=name_key(one.name),
                name=one.name.strip()[:NAME_CHARS],
                grade=Grade.CONFIRMED,
                source=Source.PAGES,
                confidence=one.confidence,
                rule=Rule.MODEL,
                reason="; ".join(said) or "Named as a competitor on the pages read.",
                competes=one.is_direct_competitor,
                keywords=(one.name.strip()[:NAME_CHARS],),
                website=_given_website(one.website, pages),
                urls=tuple(urls),
                authors=len({urlsplit(url).hostname for url in urls}),
            )
        )
    return Said(tuple(found), refused)


def _given_website(website: str | None, pages: Sequence[WebPage]) -> str | None:
    """The website as the model gives it, if its host stands on a page or is one's own; a model's guess is none."""
    if website is None:
        return None
    address = website.strip() if "://" in website else f"https://{website.strip()}"
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or "." not in host:
        return None
    given = any(host in page.text.lower() or page.source_name.lower() == host for page in pages)
    return address if given else None
