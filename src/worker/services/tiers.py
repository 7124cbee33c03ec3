"""The three tiers together: patterns and local models judge every mention, a language model the few that matter.

What tier 3 says teaches tier 2's students. When tier 3 is away, tier 2's verdict stands and is marked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from ..analyzer import Analyzer, BrandTerms
from ..cascade import WARM_UP_LABELS, Cascade, Chosen, degraded, merged
from ..cpu import Cpu
from ..errors import StorageUnavailable, WorkerError
from ..judge import Judged, Judgements
from ..logging import get_logger
from ..metrics import Metrics
from ..models import Analysed, Mention, Sentiment, Verdict
from ..students.panel import Students
from ..students.school import Labelled
from ..students.student import StudentTask
from ..vader import Vader
from .students import labelled

log = get_logger(__name__)

_SLICE: Final = 50
"""Mentions analysed in one go: some 10 ms of work between two looks at what else waits for the processor."""
TIER3_SEC: Final = 60.0
"""Longest a chunk waits for tier 3, whatever LLM_DEADLINE_SEC allows others: its mentions are not published before."""


class Judge(Protocol):
    """Tier 3, as `judge.MentionJudge` is it."""

    @property
    def available(self) -> bool:
        """Is there a model to be asked at all?"""
        ...

    async def judge(
        self, mentions: Sequence[Mention], *, brand: str, deadline_sec: float | None = None, task_id: str | None = None
    ) -> Judgements: ...


class School(Protocol):
    """Tier 2's students, as `services.students.StudentService` keeps them."""

    @property
    def current(self) -> Students: ...

    async def add(self, task: StudentTask, texts: Sequence[Labelled]) -> int: ...

    async def labels(self, task: StudentTask) -> int: ...


class Tiers:
    """Built once per process; the analyser is loaded by the first chunk, off the event loop."""

    def __init__(self, cpu: Cpu, metrics: Metrics, school: School, judge: Judge, cascade: Cascade) -> None:
        self._cpu = cpu
        self._metrics = metrics
        self._school = school
        self._judge = judge
        self._cascade = cascade
        self._analyzer: Analyzer | None = None
        self._loading = asyncio.Lock()
        self._taught = 0
        """Labels of the sentiment student, as of the last look."""

    async def analyse(
        self, mentions: Sequence[Mention], terms: BrandTerms, *, brand: str, task_id: str | None = None
    ) -> list[Analysed]:
        """One verdict per mention, in order. Never fails because of tier 3."""
        verdicts = await self._local(mentions, terms)
        if self._judge.available and verdicts:
            verdicts = await self._with_tier3(mentions, verdicts, brand, task_id)
        for verdict in verdicts:
            self._metrics.verdicts.labels(str(verdict.tier)).inc()
        return [Analysed(mention, verdict) for mention, verdict in zip(mentions, verdicts, strict=True)]

    async def moods(self, mentions: Sequence[Mention], terms: BrandTerms) -> list[Sentiment]:
        """Sentiments of mentions that are counted and not stored: by tiers 1 and 2, in order."""
        return [verdict.sentiment for verdict in await self._local(mentions, terms)]

    async def _local(self, mentions: Sequence[Mention], terms: BrandTerms) -> list[Verdict]:
        analyzer = await self._ready_analyzer()
        out: list[Verdict] = []
        for start in range(0, len(mentions), _SLICE):
            part = mentions[start : start + _SLICE]
            out += await self._cpu.run(analyzer.analyse_batch, part, terms, self._school.current)
        return out

    async def _with_tier3(
        self, mentions: Sequence[Mention], verdicts: list[Verdict], brand: str, task_id: str | None
    ) -> list[Verdict]:
        chosen = self._cascade.choose(mentions, verdicts, warming_up=await self._warming_up())
        if not chosen:
            return verdicts
        asked = [mentions[one.index] for one in chosen]
        judged = await self._judge.judge(asked, brand=brand, deadline_sec=TIER3_SEC, task_id=task_id)
        out = list(verdicts)
        for one in chosen:
            out[one.index] = self._final(mentions[one.index], verdicts[one.index], one, judged)
        await self._teach([(mention, judged.verdicts.get(mention.content_hash)) for mention in asked])
        return out

    def _final(self, mention: Mention, verdict: Verdict, chosen: Chosen, judged: Judgements) -> Verdict:
        said = judged.verdicts.get(mention.content_hash)
        if said is not None:
            return merged(verdict, said, mention, chosen.why)
        self._metrics.degraded.inc()
        return degraded(verdict, judged.problem.code if judged.problem is not None else "NO_VERDICT")

    async def _warming_up(self) -> bool:
        """Are labels still too few? Asked of the database until they are not, by every replica."""
        if self._taught >= WARM_UP_LABELS:
            return False
        try:
            self._taught = await self._school.labels(StudentTask.SENTIMENT)
        except StorageUnavailable as error:
            log.debug("labels cannot be counted", problem=error.message)
        return self._taught < WARM_UP_LABELS

    async def _teach(self, verdicts: Sequence[tuple[Mention, Judged | None]]) -> None:
        """Hand tier 3's verdicts to the students. They can be had again, so an outage only means a later lesson."""
        known = [(mention, said) for mention, said in verdicts if said is not None]
        if not known:
            return
        moods = [labelled(StudentTask.SENTIMENT, mention, said.sentiment.label.value) for mention, said in known]
        intents = [labelled(StudentTask.INTENT, mention, said.intent.value) for mention, said in known]
        try:
            await self._school.add(StudentTask.SENTIMENT, moods)
            await self._school.add(StudentTask.INTENT, intents)
        except WorkerError as error:
            log.warning("tier 3's verdicts could not be kept to learn from", problem=error.message)

    async def _ready_analyzer(self) -> Analyzer:
        async with self._loading:
            if self._analyzer is None:
                self._analyzer = await self._cpu.run(lambda: Analyzer(Vader.load()))
            return self._analyzer
