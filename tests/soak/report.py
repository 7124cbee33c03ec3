"""What a run has shown: figures, the judge's table, and both as JSON, as a page for people and as a picture."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from src.worker import __version__
from tests.chaos.cluster import ROOT
from tests.soak.readers import Seen
from tests.soak.run import Outcome
from tests.soak.sampler import Lags, Sample
from tests.soak.settings import LLM_FAULTS, SLOPE_MINUTES
from tests.soak.trend import Trend, theil_sen

SLOPE_MB_PER_HOUR = 5.0
LAG_SEC = 0.05
FDS_DRIFT = 10
"""Between the medians of the first and the last quarter: pools breathe by half a dozen connections; one that is leaked
per page, question or connection of a reader adds up to hundreds."""
FDS_SPREAD = 60
"""Between any two moments: pools fill after an outage and pages are read, each with a connection, and all go back."""
THREADS_SPREAD = 12
_WINDOW_AFTER_SEC = 15.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the judge. `passed` None: said, not judged."""

    name: str
    found: str
    wanted: str
    passed: bool | None


def settled(outcome: Outcome) -> list[Sample]:
    """Samples after the warm-up, while there was load."""
    first, last = outcome.settings.warm_up_sec, outcome.settings.seconds
    return [one for one in outcome.sampler.samples if first <= one.at <= last]


def lag(outcome: Outcome) -> Lags:
    """How late the event loop came round after the warm-up, outages included."""
    marks = [found for at, found in outcome.sampler.lags if at >= outcome.settings.warm_up_sec]
    assert len(marks) > 1, "the worker's metrics could not be read"
    return marks[-1].since(marks[0])


def memory(outcome: Outcome) -> Trend:
    """MB per hour."""
    return theil_sen([(one.at / 3600, one.rss_mb) for one in settled(outcome)])


def checks(outcome: Outcome) -> list[Check]:
    ledger = outcome.crowd.producers.ledger
    lost, doubled, wrong = (len(getattr(outcome.verdict, kind)) for kind in ("lost", "doubled", "wrong"))
    levels: Counter[str] = Counter()
    for (level, _, _), count in outcome.log.counts.items():
        levels[level] += count
    loud = f"{levels['warning']} warnings, {levels['error'] + levels['critical']} errors"
    return [
        Check("restarts done", f"{sum(one.done for one in outcome.faults)}", f"{len(outcome.faults)}",
              all(one.done for one in outcome.faults)),
        Check("queue drained after the load", f"{outcome.drained_sec} s", "in time", outcome.drained_sec is not None),
        Check("worker's exit after SIGTERM", f"{outcome.exit_code}", "0", outcome.exit_code == 0),
        Check("lost, of what was accepted", f"{lost} of {ledger.accepted}", "0", not lost),
        Check("doubled", f"{doubled}", "0", not doubled),
        Check("otherwise wrong (failed, blamed on another field, counted wrongly)", f"{wrong}", "0", not wrong),
        *_trends(outcome),
        _lag_check(outcome),
        Check("log lines without a cause", f"{len(outcome.log.unexplained)} of {loud}", "0",
              not outcome.log.unexplained),
        _readers_check(outcome),
    ]  # fmt: skip


def _trends(outcome: Outcome) -> list[Check]:
    trend, samples = memory(outcome), settled(outcome)
    judged = outcome.settings.minutes >= SLOPE_MINUTES
    slope = f"{trend.slope:+.2f} MB/h (95 %: {trend.low:+.2f} to {trend.high:+.2f})"
    fds, threads = [one.fds for one in samples], [one.threads for one in samples]
    drift = _drift(fds)
    return [
        Check("memory slope after warm-up (RSS, Theil-Sen)", slope, f"< {SLOPE_MB_PER_HOUR:g} MB/h"
              + ("" if judged else ", judged from 10 minutes on"),
              trend.slope < SLOPE_MB_PER_HOUR if judged else None),
        Check("file descriptors", f"{min(fds)} to {max(fds)}, drift {drift:+g}", f"drift <= {FDS_DRIFT}, spread <= "
              f"{FDS_SPREAD}", abs(drift) <= FDS_DRIFT and max(fds) - min(fds) <= FDS_SPREAD),
        Check("threads", f"{min(threads)} to {max(threads)}", f"spread <= {THREADS_SPREAD}",
              max(threads) - min(threads) <= THREADS_SPREAD),
    ]  # fmt: skip


def _drift(values: Sequence[int]) -> float:
    """From the median of the first quarter to that of the last."""
    quarter = max(1, len(values) // 4)
    return median(values[-quarter:]) - median(values[:quarter])


def _lag_check(outcome: Outcome) -> Check:
    found = lag(outcome)
    said = (
        f"p50 {found.quantile(0.5) * 1000:.1f} ms, p99 {found.quantile(0.99) * 1000:.1f} ms,"
        f" worst under {found.worst() * 1000:g} ms, {found.within(LAG_SEC):.2%} within 50 ms"
    )
    return Check("event loop lag", said, "p99 < 50 ms", found.within(LAG_SEC) >= 0.99)


def unexpected(outcome: Outcome) -> list[str]:
    """What readers met outside of outages."""
    return [
        f"{at - outcome.began:.0f} s {what}"
        for at, what in outcome.crowd.seen.faults
        if not any(one.start - 1 <= at <= one.end + _WINDOW_AFTER_SEC for one in outcome.windows)
    ]


def _readers_check(outcome: Outcome) -> Check:
    found = unexpected(outcome)
    answers = sum(outcome.crowd.seen.answers.values())
    return Check("REST answers that failed outside of outages", f"{len(found)} of {answers}", "0", not found)


# -- writing ---------------------------------------------------------------------------------------------------


def machine() -> dict[str, Any]:
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memoryGB": round(memory_kb / 2**20, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "worker": __version__,
        "commit": commit.stdout.strip(),
    }


def document(outcome: Outcome) -> dict[str, Any]:
    """Everything, for machines."""
    ledger, seen, samples = outcome.crowd.producers.ledger, outcome.crowd.seen, settled(outcome)
    return {
        "began": datetime.fromtimestamp(outcome.began, UTC).isoformat(timespec="seconds"),
        "minutes": outcome.settings.minutes,
        "rate": outcome.settings.rate,
        "seed": outcome.settings.seed,
        "llmFaults": LLM_FAULTS,
        "warmUpSec": outcome.settings.warm_up_sec,
        "machine": machine(),
        "checks": [asdict(one) for one in checks(outcome)],
        "problems": outcome.verdict.problems(),
        "figures": outcome.verdict.figures,
        "insight": outcome.insight,
        "accepted": {
            "tasks": ledger.accepted,
            "mentions": ledger.mentions,
            "chunksByDoor": dict(ledger.doors),
            "tasksByType": dict(Counter(sent.type for sent in ledger.tasks.values())),
            "lostReplies": ledger.lost_replies,
            "bursts": len(outcome.crowd.made.bursts),
            "history": ledger.history,
        },
        "timeline": [
            {"at": one.at, "what": one.what, "awaySec": round((one.to_time or 0) - (one.from_time or 0), 1)}
            for one in outcome.faults
        ],
        "cpu": {
            "workerMedian": median(one.worker_cpu for one in samples),
            "machineMedian": median(one.machine_cpu for one in samples),
        },
        "log": [
            {"level": level, "message": message, "cause": cause, "count": count}
            for (level, message, cause), count in sorted(outcome.log.counts.items())
        ],
        "unexplained": outcome.log.unexplained[:20],
        "readers": _readers(seen, unexpected(outcome)),
        "samples": outcome.sampler.documents(),
    }


def _readers(seen: Seen, unexplained: list[str]) -> dict[str, Any]:
    took = sorted(seen.took_sec)
    statuses: Counter[str] = Counter()
    for route, count in seen.answers.items():
        statuses[route.rpartition(" ")[2]] += count
    return {
        "answers": dict(statuses),
        "medianMs": round(took[len(took) // 2] * 1000, 1) if took else None,
        "p99Ms": round(took[int(len(took) * 0.99)] * 1000, 1) if took else None,
        "slowestMs": round(seen.slowest_sec * 1000, 1),
        "inOutages": len(seen.faults) - len(unexplained),
        "unexplained": unexplained[:20],
        "liveEvents": dict(seen.live),
        "endsTold": len(seen.ends),
        "endsToldTwice": sum(count > 1 for count in seen.ends.values()),
        "browser": seen.browser,
        "browserSaid": dict(seen.browser_said),
    }


def write(outcome: Outcome) -> Path:
    """The JSON file, and the page where SOAK_REPORT names one."""
    found = document(outcome)
    out = outcome.settings.out
    out.mkdir(parents=True, exist_ok=True)
    name = datetime.fromtimestamp(outcome.began, UTC).strftime("%Y%m%d-%H%M%S")
    path = out / f"{name}.json"
    path.write_text(json.dumps(found, indent=1), "utf-8")
    if outcome.settings.report is not None:
        from tests.soak.page import write_page

        write_page(outcome.settings.report, found)
    return path
