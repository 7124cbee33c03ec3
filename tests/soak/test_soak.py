"""Half an hour of everything at once: every task type, every door, restarts of all servers, readers and a browser.

`make soak` runs it; SOAK_MINUTES, SOAK_RATE, SOAK_SEED and SOAK_REPORT say how (`settings`). A run that fails keeps its
logs and data and says where.
"""

from __future__ import annotations

import pytest

from tests.chaos.cluster import ROOT
from tests.soak import report
from tests.soak.processes import Deployment
from tests.soak.run import Outcome, soak
from tests.soak.settings import Settings, read

SETTINGS = read(ROOT)
_AROUND_SEC = 900.0
"""For starts, draining and judging."""


@pytest.mark.soak
@pytest.mark.timeout(SETTINGS.seconds + _AROUND_SEC)
def test_everything_at_once_loses_nothing_doubles_nothing_and_leaks_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def say(line: str) -> None:
        with capsys.disabled():
            print(f"soak  {line}", flush=True)

    deployment = Deployment(SETTINGS)
    passed = False
    try:
        with deployment:
            outcome = soak(deployment, SETTINGS, say)
        passed = _told(outcome, SETTINGS, say)
    finally:
        if passed:
            deployment.remove()
        else:
            say(f"logs and data stay in {deployment.directory}")
    assert passed, outcome.verdict.problems() or "see the lines marked FAILED above"


def _told(outcome: Outcome, settings: Settings, say: object) -> bool:
    """Say and write what was found. True: every check that is judged has passed."""
    assert callable(say)
    found = report.checks(outcome)
    path = report.write(outcome)
    say(f"{settings.minutes:g} minutes, written to {path.relative_to(ROOT)}")
    for check in found:
        mark = {True: "ok", False: "FAILED", None: "said"}[check.passed]
        say(f"{mark:6}  {check.name}: {check.found} (wanted: {check.wanted})")
    return all(check.passed is not False for check in found)
