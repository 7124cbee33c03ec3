"""The evaluation workers as task types: the same services and the same documents as the scripts under `workers/`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..config import Settings
from ..cpu import Cpu
from ..errors import WorkerError
from ..evaluation.environment import read_environment
from ..evaluation.health import check_health
from ..evaluation.model import Models
from ..evaluation.plan import read_plan
from ..evaluation.probe import ProbeFailed, run_probe
from ..evaluation.summarize import check_payload, run_summarize
from ..evaluation.validation import require_fields, require_list
from ..models import Task
from ..services.evaluations import Evaluations
from . import HandlerResult, TaskType


class EnvironmentUnfit(WorkerError):
    """health_check found that the other workers cannot run; another try finds the same."""

    code = "VALIDATION_ERROR"


def deadline_sec(settings: Settings) -> float:
    """Seconds an evaluation task may take: PYTHON_WORKER_TIMEOUT, but a little less than the task's own timeout, so
    that what was paid for is told in an error of its own."""
    return min(settings.python_worker_timeout, settings.task_timeout_sec * 0.95)


class EvaluationHandlers:
    """`deadline_sec`: how long one task may take, retries and waits included; a little under the task's own timeout."""

    def __init__(
        self,
        models: Models,
        cpu: Cpu,
        kept: Evaluations,
        *,
        deadline_sec: float,
        now: Callable[[], datetime],
    ) -> None:
        self._models = models
        self._kept = kept
        self._cpu = cpu
        self._deadline_sec = deadline_sec
        self._now = now

    def task_types(self) -> dict[str, TaskType]:
        return {
            "probe": TaskType(self.probe, _check_probe),
            "summarize": TaskType(self.summarize, _check_summarize),
            "analyze_basic": TaskType(self.analyze_basic, _check_analyze),
            "health_check": TaskType(self.health_check),
        }

    async def probe(self, task: Task) -> HandlerResult:
        """The transcript goes into the task's record and into MongoDB, also the paid turns of one that failed."""
        try:
            document = await run_probe(
                read_plan(task.payload), self._models, deadline=self._deadline(), now=self._now, task_id=task.id
            )
        except ProbeFailed as failed:
            if "transcript" in failed.details:
                await self._kept.keep_transcript(task.id, task.payload, {"success": False, "error": failed.as_dict()})
            raise
        await self._kept.keep_transcript(task.id, task.payload, document)
        return HandlerResult(document)

    async def summarize(self, task: Task) -> HandlerResult:
        """A batch of which a part failed is a result too: its document says which."""
        return HandlerResult(
            await run_summarize(task.payload, self._models, deadline=self._deadline(), task_id=task.id)
        )

    async def analyze_basic(self, task: Task) -> HandlerResult:
        """`GET /v1/analyses/{id of the task}/report` shows what was found."""
        document = await self._cpu.run(_analysed, dict(task.payload), self._now)
        await self._kept.keep_analysis(task.id, str(task.payload["runId"]), document["analysis"])
        return HandlerResult(document)

    async def health_check(self, task: Task) -> HandlerResult:
        document = await self._cpu.run(_health)
        if not document["success"]:
            raise EnvironmentUnfit(document["error"]["message"])
        return HandlerResult(document)

    def _deadline(self) -> float:
        return time.monotonic() + self._deadline_sec


def _analysed(payload: dict[str, Any], now: Callable[[], datetime]) -> dict[str, Any]:
    from ..evaluation.analysis import analyse

    return {"success": True, "analysis": analyse(payload, now=now)}


def _health() -> dict[str, Any]:
    return check_health(read_environment() if os.path.exists(".env") else os.environ)


def _check_probe(task: Task) -> None:
    read_plan(task.payload)


def _check_summarize(task: Task) -> None:
    check_payload(task.payload)


def _check_analyze(task: Task) -> None:
    require_fields(task.payload, ("runId",))
    if "transcriptIds" not in task.payload:
        require_fields(task.payload, ("runId", "transcripts"))
        require_list(task.payload["transcripts"], "transcripts")
