"""One run from the first start to the last look: what is started, what is done to it when, and what was seen."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis

from tests.soak.crowd import Crowd
from tests.soak.judge import Verdict, judge, waiting
from tests.soak.loglines import LogVerdict, Window, judge_log
from tests.soak.processes import Deployment, Fault
from tests.soak.sampler import Sampler
from tests.soak.settings import Settings

DRAIN_SEC = 180.0
"""From the last push to an empty queue; a retry waits half a minute at most here, and rates are far below capacity."""
_QUIET_SEC = 3.0
"""The queue is empty for so long: nothing hands anything on any more."""
_STEP_SEC = 0.1
_PROGRESS_SEC = 30.0
_HOLD_SEC = 3.0
"""Redis writes its file every second and may put a write off for two: what it has acknowledged in that time, a kill can
take back. Producers hold before the kill, so that what was accepted is known; the worker works on."""
Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """All that the report is made from."""

    settings: Settings
    began: float
    """Time of day."""
    sampler: Sampler
    crowd: Crowd
    faults: list[Fault]
    drained_sec: float | None = None
    """None: the queue was not empty in time."""
    exit_code: int | None = None
    verdict: Verdict = field(default_factory=Verdict)
    log: LogVerdict = field(default_factory=LogVerdict)
    insight: dict[str, int] = field(default_factory=dict)
    """Documents by collection at the end: what followed from the mentions."""

    @property
    def windows(self) -> list[Window]:
        return [Window(one.name, one.from_time, one.to_time) for one in self.faults if one.from_time and one.to_time]


def faults_of(deployment: Deployment, crowd: Crowd, settings: Settings) -> list[Fault]:
    """One of each kind in the warm-up, which is to bring memory to its height; the last one early enough that what it
    leaves behind is seen."""
    at = [settings.seconds * share for share in (0.10, 0.18, 0.26, 0.50, 0.72)]
    redis_server, mongo = deployment.redis, deployment.mongo
    return [
        Fault("redis", "Redis stopped (SIGTERM)", at[0], redis_server, signal.SIGTERM, 3.0),
        Fault("mongodb", "MongoDB stopped (SIGTERM)", at[1], mongo, signal.SIGTERM, 5.0),
        Fault("llm", "language models killed (SIGKILL)", at[2], deployment.llm, signal.SIGKILL, 8.0),
        Fault(
            "redis", "Redis killed (SIGKILL)", at[3], redis_server, signal.SIGKILL, 2.0,
            lead_sec=_HOLD_SEC, before=crowd.hold, after=crowd.go_on,
        ),
        Fault("mongodb", "MongoDB killed (SIGKILL)", at[4], mongo, signal.SIGKILL, 3.0),
    ]  # fmt: skip


def soak(deployment: Deployment, settings: Settings, say: Say) -> Outcome:
    """Run, drain, end the worker, judge."""
    crowd = Crowd(settings, redis_url=deployment.redis.url, http_url=deployment.http_url)
    outcome = Outcome(settings, time.time(), Sampler(deployment), crowd, faults_of(deployment, crowd, settings))
    crowd.start()
    try:
        _load(deployment, outcome, say)
        outcome.drained_sec = _drained(deployment, outcome)
    finally:
        crowd.stop()
    say(f"drained in {outcome.drained_sec} s; judging")
    outcome.exit_code = deployment.end_worker()
    outcome.verdict = judge(deployment.client, deployment.database, crowd.producers.ledger)
    outcome.log = judge_log(deployment.worker.log_lines(), outcome.windows)
    names = ("mentions", "processed_chunks", "volume", "spikes", "crisis_events", "leads", "competitors", "launches",
             "llm_calls", "transcripts", "analyses", "topics")  # fmt: skip
    outcome.insight = {name: deployment.database[name].count_documents({}) for name in names}
    return outcome


def _load(deployment: Deployment, outcome: Outcome, say: Say) -> None:
    crowd, said_at = outcome.crowd, 0.0
    while crowd.producing or not all(fault.done for fault in outcome.faults):
        _turn(deployment, outcome)
        if crowd.elapsed >= said_at:
            said_at += _PROGRESS_SEC
            say(_progress(outcome))
        assert crowd.elapsed < outcome.settings.seconds + 300, "the load does not come to its end"
        time.sleep(_STEP_SEC)


def _turn(deployment: Deployment, outcome: Outcome) -> None:
    elapsed = outcome.crowd.elapsed
    for fault in outcome.faults:
        fault.step(elapsed)
    outcome.sampler.step(elapsed)
    deployment.worker.must_live()


def _drained(deployment: Deployment, outcome: Outcome) -> float | None:
    began = time.monotonic()
    quiet_since: float | None = None
    while time.monotonic() - began < DRAIN_SEC:
        _turn(deployment, outcome)
        if _left(deployment):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > _QUIET_SEC:
            return round(quiet_since - began, 1)
        time.sleep(5 * _STEP_SEC)
    return None


def _left(deployment: Deployment) -> int:
    try:
        return waiting(deployment.client)
    except (redis.RedisError, OSError):
        return 1


def _progress(outcome: Outcome) -> str:
    last = outcome.sampler.samples[-1] if outcome.sampler.samples else None
    ledger = outcome.crowd.producers.ledger
    away = [fault.what for fault in outcome.faults if fault.from_time and not fault.done]
    figures: dict[str, Any] = {"sent": ledger.accepted, "mentions": ledger.mentions, "away": ", ".join(away) or "-"}
    if last is not None:
        lags = outcome.sampler.lags[-1][1] if outcome.sampler.lags else None
        figures |= {
            "rss": f"{last.rss_mb:.1f} MB",
            "fds": last.fds,
            "threads": last.threads,
            "cpu": f"{last.worker_cpu:.0%} of a core, machine {last.machine_cpu:.0%}",
            "queue": last.queue,
            "lag p99": f"{lags.quantile(0.99) * 1000:.0f} ms" if lags and lags.total else "?",
        }
    return f"{outcome.crowd.elapsed:5.0f} s  " + "  ".join(f"{name} {value}" for name, value in figures.items())
