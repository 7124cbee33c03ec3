"""`web_scan {brand, query?, urls?}`: what the web says of a brand, read and quoted, never remembered."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from .. import strictjson
from ..config import Settings
from ..cpu import Cpu
from ..errors import InvalidTask
from ..keys import PlatformKeys
from ..llm_adapter import LLMAdapter
from ..models import Task
from ..pipeline.web_urls import checked_url
from ..queue_commands import Command
from ..queue_outputs import wall_ms
from ..redis_client import RedisClient
from ..services.web_scan import STANDS, ScanRequest, WebScanService
from ..services.web_scan_insights import Local, WebInsight
from ..services.web_scan_store import WebScans
from ..storage import Storage
from ..tasks import json_kind, slug_of
from ..web.seams import Fetcher, PageReader
from . import HandlerResult, TaskType

_QUERY_MAX: Final = 200
"""Characters; search engines cut off what is longer."""
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_PATIENT: Final = 2
"""The execution that takes what it gets: models that are away are done without, and where nothing that could be read
names the brand, that is the report. Every execution reads the web again; a report now is worth more than a fifth look
at the same pages."""
_SHARE: Final = 0.95
"""Of the time a task has, so that it ends in an error of its own and not in a timeout."""


class WebScanHandler:
    """`SET result:brand:{slug}:web_insights` for a day, in the transaction that acknowledges the task."""

    def __init__(
        self,
        service: WebScanService,
        keys: PlatformKeys,
        *,
        has_sources: bool,
        pages_max: int,
        max_attempts: int,
        timeout_sec: float,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """`has_sources`: WEB_SEARCH_SOURCES names any. `timeout_sec`: longest run of a task."""
        self._service = service
        self._keys = keys
        self._has_sources = has_sources
        self._pages_max = pages_max
        self._patient = min(_PATIENT, max_attempts)
        self._timeout_sec = timeout_sec
        self._now_ms = now_ms

    @classmethod
    def build(
        cls,
        settings: Settings,
        *,
        fetcher: Fetcher,
        reader: PageReader,
        redis: RedisClient,
        storage: Storage,
        cpu: Cpu,
        llm: LLMAdapter,
        local: Local,
        now: Callable[[], datetime],
    ) -> WebScanHandler:
        """The handler with its service, from the parts of a process."""
        sources = settings.search_sources
        service = WebScanService(
            fetcher=fetcher,
            reader=reader,
            redis=redis,
            keys=settings.platform_keys,
            cpu=cpu,
            insight=WebInsight(llm, local, cpu),
            kept=WebScans(storage),
            sources=sources,
            pages_max=settings.web_scan_pages,
            llm_deadline_sec=settings.llm_deadline_sec,
            now=now,
        )
        return cls(
            service,
            settings.platform_keys,
            has_sources=bool(sources),
            pages_max=settings.web_scan_pages,
            max_attempts=settings.queue_max_attempts,
            timeout_sec=settings.task_timeout_sec,
        )

    def task_types(self) -> dict[str, TaskType]:
        return {"web_scan": TaskType(self.handle, self.check)}

    def check(self, task: Task) -> None:
        self._request(task)

    async def handle(self, task: Task) -> HandlerResult:
        """The result is the report, with `published`: whether it is now the brand's latest."""
        request = self._request(task)
        kept = await self._service.scan(
            request,
            task_id=task.id,
            entry=task.entry,
            deadline_sec=self._seconds(task),
            patient=task.attempt < self._patient,
        )
        outputs: tuple[Command, ...] = ()
        if kept.published:
            key = f"{self._keys.result_prefix}{request.brand}:web_insights"
            outputs = (("SET", key, strictjson.dumps(kept.report), "EX", int(STANDS.total_seconds())),)
        return HandlerResult({**kept.report, "published": kept.published}, outputs)

    def _seconds(self, task: Task) -> float:
        seconds = self._timeout_sec
        if task.deadline_ms is not None:
            seconds = min(seconds, (task.deadline_ms - self._now_ms()) / 1000)
        return max(1.0, _SHARE * seconds)

    def _request(self, task: Task) -> ScanRequest:
        if task.brand is None:
            raise InvalidTask("brand", "is required")
        query, urls = _query(task.payload.get("query")), self._urls(task.payload.get("urls"))
        if not self._has_sources:
            if not urls:
                raise InvalidTask("urls", "is required, because WEB_SEARCH_SOURCES names no source to search")
            if query is not None:
                raise InvalidTask("query", "cannot be asked, because WEB_SEARCH_SOURCES names no source to search")
        return ScanRequest(slug_of(task.brand), task.brand, query, urls)

    def _urls(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise InvalidTask("urls", f"must be an array, not {json_kind(value)}")
        if len(value) > self._pages_max:
            raise InvalidTask("urls", f"has {len(value)} items, at most {self._pages_max} are read (WEB_SCAN_PAGES)")
        return tuple(_url(index, one) for index, one in enumerate(value))


def _query(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTask("query", f"must be text, not {json_kind(value)}")
    if _CONTROLS.search(value):
        raise InvalidTask("query", "holds control characters")
    query = " ".join(value.split())
    if not 1 <= len(query) <= _QUERY_MAX:
        raise InvalidTask("query", f"must be 1 to {_QUERY_MAX} characters")
    return query


def _url(index: int, value: Any) -> str:
    field = f"urls[{index}]"
    if not isinstance(value, str):
        raise InvalidTask(field, f"must be text, not {json_kind(value)}")
    try:
        return checked_url(value)
    except ValueError as error:
        raise InvalidTask(field, str(error)) from None
