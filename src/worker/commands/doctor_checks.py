"""What a check of `doctor` says, and how checks are run: each with a deadline, none may end the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..errors import WorkerError

DEADLINE_SEC: Final = 10.0
"""For one check: above the drivers' own five seconds for a connection, so that their words are heard."""


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works; something about it is worth knowing."""
    FAULT = "fault"
    SKIPPED = "skipped"
    """It could not be looked at, or there is nothing to look at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `mend` says what to do where something is to be done."""

    name: str
    verdict: Verdict
    detail: str
    mend: str | None = None

    def document(self) -> dict[str, str | None]:
        return {"check": self.name, "verdict": self.verdict.value, "detail": self.detail, "mend": self.mend}


Check = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class Named:
    """A group of checks. A group that breaks off is a fault of its name, and says why."""

    name: str
    check: Check
    deadline_sec: float = DEADLINE_SEC


async def run_checks(groups: Sequence[Named]) -> list[Finding]:
    """All of them at the same time; the findings in the order of the groups."""
    found = await asyncio.gather(*(_run(group) for group in groups))
    return [one for findings in found for one in findings]


async def _run(group: Named) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(group.deadline_sec):
            return await group.check()
    except TimeoutError:
        problem, mend = f"no answer in {group.deadline_sec:g} s", "look whether it is overloaded or behind a firewall"
    except WorkerError as error:
        problem, mend = error.message, "correct what the message names"
    return [Finding(group.name, Verdict.FAULT, problem, mend)]


def ok(name: str, detail: str) -> Finding:
    return Finding(name, Verdict.OK, detail)


def warning(name: str, detail: str, mend: str) -> Finding:
    return Finding(name, Verdict.WARNING, detail, mend)


def fault(name: str, detail: str, mend: str) -> Finding:
    return Finding(name, Verdict.FAULT, detail, mend)


def skipped(name: str, detail: str) -> Finding:
    return Finding(name, Verdict.SKIPPED, detail)
