"""Verdicts of tiers 1 and 2 for mentions that are not stored: what tasks fall back on when no model answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from ..analyzer import Analyzer, BrandTerms
from ..cpu import Cpu
from ..models import Analysed, Mention
from ..students.panel import Students
from ..vader import Vader
from .brands import BrandDirectory

_SLICE: Final = 50
"""Mentions analysed in one go, as `services.tiers` does: some 10 ms between two looks at what else waits."""


class School(Protocol):
    """Whoever keeps tier 2's students."""

    @property
    def current(self) -> Students: ...


class LocalAnalysis:
    """Built once per process; the analyser is loaded by the first task, off the event loop."""

    def __init__(self, cpu: Cpu, brands: BrandDirectory, school: School) -> None:
        self._cpu = cpu
        self._brands = brands
        self._school = school
        self._analyzer: Analyzer | None = None
        self._loading = asyncio.Lock()

    async def terms(self, brand: str) -> BrandTerms:
        """What names a brand, by its slug; nothing does where there is none ("").

        Raises:
            QueueUnavailable: Redis cannot be asked.
        """
        return await self._brands.terms(brand) if brand else BrandTerms.build("")

    async def analyse(self, mentions: Sequence[Mention], terms: BrandTerms) -> list[Analysed]:
        """One verdict per mention, in order."""
        analyzer = await self._ready()
        out: list[Analysed] = []
        for start in range(0, len(mentions), _SLICE):
            part = mentions[start : start + _SLICE]
            verdicts = await self._cpu.run(analyzer.analyse_batch, part, terms, self._school.current)
            out += [Analysed(mention, verdict) for mention, verdict in zip(part, verdicts, strict=True)]
        return out

    async def _ready(self) -> Analyzer:
        async with self._loading:
            if self._analyzer is None:
                self._analyzer = await self._cpu.run(lambda: Analyzer(Vader.load()))
            return self._analyzer
