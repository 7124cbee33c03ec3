"""Who competes with a brand: from its mentions, from pages that are read, and last, marked as such, from memory.

A run only ever adds. Its findings are joined with what earlier runs stored, and what is published is the whole: a run
that finds nothing, or whose model is away, takes nothing away from a better one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ..brand_terms import BrandTerms
from ..competitor_discovery import Discovery, Post
from ..competitor_findings import Finding, Grade, Source, counted, suggestions
from ..competitor_names import TEXT_MAX, name_key
from ..cpu import Cpu
from ..llm.errors import LLMError
from ..llm_adapter import LLMAdapter
from ..storage import Document, Storage
from ..times import iso
from ..web.seams import FetchError, PageReader, Problem, WebPage
from .brands import BrandDirectory
from .competitor_mentions import SLICE, MentionScan, MentionsRead, gathered
from .competitor_questions import CompetitorQuestions, Said, Subject
from .competitor_store import CompetitorStore

PAGE_SEC: Final = 30.0
"""Longest for one page, politeness towards its host included."""
MEMORY_FILLS_TO: Final = 10
"""Names with which a list counts as full (contract, section 8: 5 to 10): memory only fills what evidence leaves."""
PAGES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a task asks for."""

    brand: str
    """Slug."""
    name: str
    task_id: str
    description: str | None = None
    keywords: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @property
    def from_memory(self) -> bool:
        """Whoever describes the brand asks for names beyond its mentions."""
        return self.description is not None or bool(self.keywords)


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a run came to. `complete`: everybody who could have been asked has answered."""

    document: Document
    complete: bool


@dataclass(slots=True)
class _Run:
    """One run on its way."""

    subject: Subject
    mentions: MentionsRead
    pages: list[WebPage] = field(default_factory=list)
    problems: list[Document] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refused: int = 0
    failure: LLMError | None = None

    def take(self, said: Said) -> None:
        self.findings += said.findings
        self.refused += said.refused
        self.failure = said.problem or self.failure


class Competitors:
    """Built once per process. `pages` None: this worker reads no pages, and says so when a task names some."""

    def __init__(
        self,
        storage: Storage,
        brands: BrandDirectory,
        cpu: Cpu,
        llm: LLMAdapter,
        *,
        clock: Callable[[], datetime],
        pages: PageReader | None = None,
        scan: MentionScan | None = None,
    ) -> None:
        self._store = CompetitorStore(storage)
        self._brands = brands
        self._cpu = cpu
        self._questions = CompetitorQuestions(llm, cpu)
        self._clock = clock
        self._pages = pages
        self._scan = scan or MentionScan(storage, cpu)

    async def discover(self, wanted: Wanted) -> Discovered:
        """One run, merged into what is known.

        Raises:
            StorageUnavailable, QueueUnavailable: try again later; what was merged before stays, and merges again.
        """
        terms, own_names = await self._own(wanted)
        mentions = await self._scan.read(wanted.brand, terms, own_names, now=self._clock())
        run = _Run(Subject(wanted.brand, wanted.name, wanted.task_id), mentions)
        await self._read_pages(run, wanted.urls)
        await self._judge(run, wanted, terms, own_names)
        foreign = [one for one in run.findings if not _is_own(one, terms, own_names)]
        stored = await self._store.merge(wanted.brand, foreign, now=self._clock())
        return Discovered(self._document(run, wanted, stored), complete=run.failure is None)

    # -- steps -------------------------------------------------------------------------------------------------

    async def _own(self, wanted: Wanted) -> tuple[BrandTerms, list[str]]:
        """What names the brand itself. A display name of its own is one name more."""
        meta = await self._brands.meta(wanted.brand)
        terms = await self._brands.terms(wanted.brand, wanted.keywords)
        given = BrandTerms.build(wanted.name)
        names = [wanted.brand, wanted.name, *meta.aliases, *([meta.name] if meta.name else [])]
        return BrandTerms(_either(terms.own, given.own), _either(terms.any_term, given.any_term)), names

    async def _read_pages(self, run: _Run, urls: Sequence[str]) -> None:
        """All pages a task names, each failure on record."""

        async def one(url: str) -> WebPage | FetchError:
            if self._pages is None:
                return FetchError(Problem.CONNECTION, "this worker reads no pages", url=url)
            try:
                return await self._pages.read(url, deadline_sec=PAGE_SEC)
            except FetchError as error:
                return error

        for url, outcome in zip(urls, await asyncio.gather(*(one(url) for url in urls)), strict=True):
            if isinstance(outcome, FetchError):
                run.problems.append({"url": url, "problem": outcome.problem.value, "message": outcome.message})
            else:
                run.pages.append(outcome)

    async def _judge(self, run: _Run, wanted: Wanted, terms: BrandTerms, own_names: Sequence[str]) -> None:
        """Weakest first: what is merged later stands over its equals."""
        if not self._questions.available:
            run.findings += await self._counted_on_pages(run.pages, terms, own_names)
            run.findings += [counted(one) for one in run.mentions.candidates]
            return
        pages, mentions = await _together(
            self._questions.from_pages(run.subject, run.pages),
            self._questions.confirm(run.subject, run.mentions.candidates),
        )
        if pages.problem is not None:
            run.findings += await self._counted_on_pages(run.pages, terms, own_names)
        run.take(pages)
        run.take(mentions)
        known = {one.key for one in run.findings}
        solid = sum(one.competes and (one.grade is Grade.CONFIRMED) for one in run.findings)
        if wanted.from_memory and solid < MEMORY_FILLS_TO:
            said = await self._questions.from_memory(run.subject, wanted.description, wanted.keywords)
            new = [one for one in said.findings if one.key not in known][: MEMORY_FILLS_TO - solid]
            run.take(Said(tuple(new), problem=said.problem))

    async def _counted_on_pages(
        self, pages: Sequence[WebPage], terms: BrandTerms, own_names: Sequence[str]
    ) -> list[Finding]:
        """The same patterns over the paragraphs of pages; a site is one voice."""
        discovery = Discovery(terms, own_names)
        for page in pages[:PAGES_SHOWN]:
            voice = urlsplit(page.final_url).hostname
            parts = [part for part in page.text.split("\n") if part.strip()]
            posts = [Post(page.final_url, part[:TEXT_MAX], voice) for part in parts]
            for start in range(0, len(posts), SLICE):
                await self._cpu.run(discovery.add, posts[start : start + SLICE])
        return [
            counted(one, Source.PAGES, tuple(dict.fromkeys(one.evidence)))
            for one in await gathered(discovery, self._cpu)
        ]

    # -- what is told ------------------------------------------------------------------------------------------

    def _document(self, run: _Run, wanted: Wanted, stored: Sequence[Document]) -> Document:
        """What is published under the platform's key: the whole of what is known, and how this run went."""
        shown = suggestions(stored)
        reason = self._degraded_reason(run)
        document: dict[str, Any] = {
            "brand": wanted.brand,
            "suggestedCompetitors": shown,
            "generatedAt": iso(self._clock()),
            "degraded": reason is not None,
            "degradedReason": reason,
            "considered": {
                "mentions": run.mentions.posts,
                "since": iso(run.mentions.span.since),
                "until": iso(run.mentions.span.until),
                "pages": [page.final_url for page in run.pages],
                "namesFound": len(run.mentions.candidates),
                "namesRefused": run.refused,
            },
            "errors": run.problems,
        }
        if not shown:
            document["reason"] = _why_empty(run)
        return document

    def _degraded_reason(self, run: _Run) -> str | None:
        if run.failure is not None:
            return f"{run.failure.code}: {run.failure.message}"
        return None if self._questions.available else "no language model is configured: names are counted, not judged"


async def _together(*questions: Any) -> list[Said]:
    """Answers to questions asked side by side. If one fails for another reason than a model, so does the run."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    said: list[Said] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        said.append(answer)
    return said


def _either(first: re.Pattern[str] | None, second: re.Pattern[str] | None) -> re.Pattern[str] | None:
    if first is None or second is None:
        return first or second
    return re.compile(f"{first.pattern}|{second.pattern}", re.IGNORECASE)


def _is_own(finding: Finding, terms: BrandTerms, own_names: Sequence[str]) -> bool:
    """Models like to name the brand among its competitors."""
    own = terms.own is not None and terms.own.fullmatch(finding.name) is not None
    return own or finding.key in {name_key(name) for name in own_names}


def _why_empty(run: _Run) -> str:
    read = f"{run.mentions.posts} mentions since {iso(run.mentions.span.since)}"
    if not run.mentions.candidates:
        return f"{read} set no other name against the brand"
    return f"{read} set {len(run.mentions.candidates)} names against the brand, none by two people or confirmed"
