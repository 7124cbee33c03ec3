"""What the web says of a brand: search, read, report. Nothing is published that was not read.

A failure is never a report: when every source, or every page, has failed, the task fails and nothing is stored. That
nothing names the brand is a report, but it takes the place of one with content only when that is a day old, because a
search engine's bad day must not wipe out what was found in the morning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..errors import WorkerError
from ..keys import PlatformKeys
from ..pipeline.web_hits import candidates
from ..pipeline.web_passages import named_on, snippet
from ..pipeline.web_report import Failure, Findings, SourcePage, empty_report
from ..redis_client import RedisClient
from ..search_sources import SearchSource
from ..web.seams import Fetcher, PageReader
from .brands import BrandMeta, stored_meta
from .web_scan_insights import WebInsight
from .web_scan_pages import ReadPage, page_url, read_pages
from .web_scan_search import Searched, search
from .web_scan_store import Kept, WebScans

STANDS: Final = timedelta(hours=24)
"""How long a report is kept in Redis (contract 1.4), and how long one with content stands against one with less."""
_SNIPPET_MAX: Final = 300
_SHOWN: Final = 5
"""Failures named in an error; all of them are in its fields."""
# Shares of the time a task has. Searching and reading also have bounds of their own: sources that take over 20 s and
# pages that are not there after 90 s together are not worth the wait, and a model needs the rest.
_SEARCH_SHARE: Final = 0.15
_SEARCH_SEC: Final = 20.0
_READ_SHARE: Final = 0.5
_READ_SEC: Final = 90.0
_JUDGE_SHARE: Final = 0.92
"""What is left after it is for counting where no model answers, and for the database."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """What to scan. `urls` without a `query`: exactly these pages are read, and no source is asked."""

    brand: str
    """Slug."""
    name: str
    """The brand as the task calls it."""
    query: str | None = None
    urls: tuple[str, ...] = ()
    """Checked, in the form of `web_urls.checked_url`."""


class WebScanFailed(WorkerError):
    """Nothing could be read. Worth another try where any of the reasons may pass."""

    code = "WEB_SCAN_FAILED"

    def __init__(self, what: str, failures: Sequence[Failure]) -> None:
        passing = [one.error for one in failures if one.error.retryable]
        waits = [error.not_before_sec for error in passing]
        soonest = min((wait for wait in waits if wait is not None), default=None)
        named = "; ".join(dict.fromkeys(one.error.message for one in failures[:_SHOWN]))
        super().__init__(f"{what}: {named}", not_before_sec=None if None in waits else soonest)
        self.retryable = bool(passing)
        self.failures = tuple(failures)

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "errors": [one.as_dict() for one in self.failures]}


class WebScanService:
    """Built once per process."""

    def __init__(
        self,
        *,
        fetcher: Fetcher,
        reader: PageReader,
        redis: RedisClient,
        keys: PlatformKeys,
        cpu: Cpu,
        insight: WebInsight,
        kept: WebScans,
        sources: tuple[SearchSource, ...],
        pages_max: int,
        llm_deadline_sec: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            pages_max: pages that one scan tries to read.
            llm_deadline_sec: longest wait for a model's answer.
            now: for dates; `clock`: for deadlines, in seconds.
        """
        self._fetcher = fetcher
        self._reader = reader
        self._redis = redis
        self._keys = keys
        self._cpu = cpu
        self._insight = insight
        self._kept = kept
        self._sources = sources
        self._pages_max = pages_max
        self._llm_deadline_sec = llm_deadline_sec
        self._now = now
        self._clock = clock

    async def scan(
        self, request: ScanRequest, *, task_id: str, entry: str = "", deadline_sec: float, patient: bool
    ) -> Kept:
        """Scan, report and store. A second execution of the same entry of the queue gives the first one's report.

        Args:
            deadline_sec: for all of it.
            patient: what may pass is worth another try of the task: models that will be back soon, and pages or
                sources that failed while nothing else names the brand.

        Raises:
            WebScanFailed: every source, or every page, has failed; or, when `patient`, what names the brand may have.
            LLMError: only when `patient`. QueueUnavailable, StorageUnavailable, StorageRefused
        """
        earlier = await self._kept.of_task(task_id, entry)
        if earlier is not None:
            return earlier
        started = self._clock()
        meta = await stored_meta(self._redis, self._keys, request.brand)
        terms = BrandTerms.build(request.brand, aliases=[request.name, *filter(None, (meta.name, *meta.aliases))])
        findings = await self._find(request, meta, terms, started, deadline_sec)
        if not findings.sources and patient and any(one.error.retryable for one in findings.failures):
            raise WebScanFailed("nothing that could be read names the brand", findings.failures)
        report = empty_report(findings)
        if findings.sources:
            left = started + _JUDGE_SHARE * deadline_sec - self._clock()
            report = await self._insight.report(
                findings,
                terms,
                task_id=task_id,
                deadline_sec=max(0.1, min(self._llm_deadline_sec, left)),
                patient=patient,
            )
        at = findings.generated_at
        better = await self._kept.better(request.brand, report.rank, since=at - STANDS)
        return await self._kept.keep(
            report, brand=request.brand, task_id=task_id, entry=entry, at=at, published=better is None
        )

    async def _find(
        self, request: ScanRequest, meta: BrandMeta, terms: BrandTerms, started: float, deadline_sec: float
    ) -> Findings:
        query = _query(request, meta)
        searched = Searched((), ())
        if query is not None:
            searched = await search(
                self._sources,
                query,
                terms,
                fetcher=self._fetcher,
                cpu=self._cpu,
                deadline_sec=min(_SEARCH_SEC, _SEARCH_SHARE * deadline_sec),
            )
        if not searched.found and not request.urls:
            raise WebScanFailed("no search source answered", searched.failures)
        found = await self._cpu.run(candidates, request.urls, searched.found)
        named = found[: self._pages_max]
        until = min(self._clock() + _READ_SEC, started + _READ_SHARE * deadline_sec)
        reading = await read_pages(named, self._reader, until=until, clock=self._clock)
        if named and not reading.pages:
            raise WebScanFailed("no page could be read", (*reading.failures, *searched.failures))
        sources = await self._cpu.run(_naming, reading.pages, terms)
        return Findings(
            brand=request.brand,
            name=meta.name or request.name,
            query=query,
            generated_at=self._now(),
            sources=sources,
            found=len(found),
            tried=len(named),
            read=len(reading.pages),
            failures=(*searched.failures, *reading.failures),
        )


def _query(request: ScanRequest, meta: BrandMeta) -> str | None:
    """What the sources are asked for; None when the task says which pages to read.

    The name alone: sources that take several words want all of them on a page.
    """
    if request.query is not None:
        return request.query
    if request.urls:
        return None
    if meta.name is not None:
        return meta.name
    return request.name if request.name != request.brand or not meta.keywords else meta.keywords[0]


def _naming(pages: Sequence[ReadPage], terms: BrandTerms) -> tuple[SourcePage, ...]:
    return tuple(
        SourcePage(
            one.page,
            page_url(one.page),
            snippet(one.page, terms, _SNIPPET_MAX),
            one.page.published_at or one.hit.published_at,
        )
        for one in pages
        if named_on(one.page, terms)
    )
