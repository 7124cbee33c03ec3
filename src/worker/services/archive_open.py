"""The archive put together from the settings, for whoever runs it: the janitor, a restore, a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ..config import Settings
from ..cpu import Cpu
from ..storage import Storage
from .archive import ArchiveStep
from .archive_books import ArchiveBooks
from .archive_days import Days
from .archive_parts import ArchiveParts
from .archive_restore import Restorer
from .archive_store import open_archive
from .archive_summary import DaySummaries
from .day_events import DayEvents

if TYPE_CHECKING:
    from ..llm_adapter import LLMAdapter


class Archive:
    """Built once per process; nothing is read or written before a step or a restore runs."""

    def __init__(
        self, settings: Settings, storage: Storage, llm: LLMAdapter | None, *, clock: Callable[[], datetime]
    ) -> None:
        """Without `llm`, summaries are made of figures. Raises `ConfigError` for an ARCHIVE_URL nobody can open."""
        self._settings = settings
        self._storage = storage
        self._llm = llm
        self._clock = clock
        self._cpu = Cpu()
        self._books = ArchiveBooks(storage)
        self._store = open_archive(settings, storage)

    def step(self) -> ArchiveStep:
        """The janitor's step, for one run."""
        days = Days(self._books, DayEvents(self._storage), DaySummaries(self._llm), clock=self._clock)
        return ArchiveStep(
            self._books,
            self._store,
            self._cpu,
            days,
            clock=self._clock,
            hot_days=self._settings.mentions_hot_days,
            keep_days=self._settings.archive_keep_days,
        )

    def restorer(self) -> Restorer:
        parts = ArchiveParts(self._books, self._store, self._cpu, clock=self._clock)
        return Restorer(self._books, parts, clock=self._clock)

    def close(self) -> None:
        self._cpu.close()
