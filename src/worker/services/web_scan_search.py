"""Asking the search sources: side by side, each within the time there is, each failure on record."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..brand_terms import BrandTerms
from ..cpu import Cpu
from ..logging import get_logger
from ..pipeline.web_hits import Hit, Unanswered, Unreadable
from ..pipeline.web_report import Failure
from ..pipeline.web_search import ACCEPT, read_hits
from ..search_sources import SearchSource
from ..web.seams import Fetcher, FetchError, Problem

log = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Searched:
    """What each source has found, in the sources' order; nothing from those that failed."""

    found: tuple[tuple[Hit, ...], ...]
    failures: tuple[Failure, ...]


async def search(
    sources: Sequence[SearchSource],
    query: str,
    terms: BrandTerms,
    *,
    fetcher: Fetcher,
    cpu: Cpu,
    deadline_sec: float,
) -> Searched:
    """Ask all sources at once. A feed that takes no query is searched for the brand here. Never raises `FetchError`."""
    outcomes = await side_by_side(_ask(one, query, terms, fetcher, cpu, deadline_sec) for one in sources)
    failures = tuple(one for one in outcomes if isinstance(one, Failure))
    for failure in failures:
        log.warning("a search source gave nothing", source=failure.name, problem=failure.error.message)
    return Searched(tuple(one for one in outcomes if isinstance(one, tuple)), failures)


async def side_by_side(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, in order. The first fault ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
    return [task.result() for task in tasks]


async def _ask(
    source: SearchSource, query: str, terms: BrandTerms, fetcher: Fetcher, cpu: Cpu, deadline_sec: float
) -> tuple[Hit, ...] | Failure:
    try:
        answer = await fetcher.get(
            source.url(query), accept=ACCEPT[source.kind], trusted=True, deadline_sec=deadline_sec
        )
        hits = await cpu.run(read_hits, source.kind, answer)
    except FetchError as error:
        return Failure("source", source.name, error, error.problem.value)
    except Unreadable as error:
        problem = Problem.CONNECTION if isinstance(error, Unanswered) else Problem.UNREADABLE
        told = FetchError(problem, f"{source.name}: the answer {error}", url=source.template)
        return Failure("source", source.name, told, problem.value)
    if not source.searches:
        hits = [one for one in hits if terms.names(f"{one.title or ''}\n{one.snippet or ''}")]
    return tuple(hits)
